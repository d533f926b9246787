//! Handshakes: what is read is written the same again, and nothing else is let in.

use althing_bittorrent::wire::{HANDSHAKE_LEN, Handshake, client_name};

/// Reads any bytes as the start of a connection.
pub fn run(data: &[u8]) {
    let head = data.get(..HANDSHAKE_LEN).unwrap_or(data);
    match Handshake::parse(data) {
        Ok(Some(handshake)) => {
            assert_eq!(handshake.encode(), head);
            assert_eq!(Handshake::peek_info_hash(data), Some(handshake.info_hash));
            let name = client_name(&handshake.peer_id);
            assert!(!name.is_empty() && !name.contains(char::is_control), "{name:?}");
        }
        Ok(None) => assert!(data.len() < HANDSHAKE_LEN),
        Err(_) => assert!(!b"\x13BitTorrent protocol".starts_with(data)),
    }
}
