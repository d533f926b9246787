//! Extension handshakes: what is read is within bounds, and is written and read the same again.

use althing_bittorrent::wire::ExtensionHandshake;
use althing_bittorrent::wire::limits::{
    CLIENT_CHARS_MAX, EXTENSION_NAME_BYTES_MAX, EXTENSIONS_MAX, METADATA_BYTES_MAX,
    REQUEST_QUEUE_MAX,
};

/// Reads any bytes as an extension handshake.
pub fn run(data: &[u8]) {
    let Ok(handshake) = ExtensionHandshake::parse(data) else { return };
    assert!(handshake.extensions.len() <= EXTENSIONS_MAX);
    assert!(handshake.extensions.keys().all(|name| name.len() <= EXTENSION_NAME_BYTES_MAX));
    assert!(handshake.metadata_size.is_none_or(|size| (1..=METADATA_BYTES_MAX).contains(&size)));
    assert!(handshake.request_queue.is_none_or(|size| (1..=REQUEST_QUEUE_MAX).contains(&size)));
    assert!(handshake.port != Some(0));
    if let Some(client) = &handshake.client {
        assert!(client.chars().count() <= CLIENT_CHARS_MAX);
        assert!(!client.contains(char::is_control), "{client:?}");
    }
    assert_eq!(ExtensionHandshake::parse(&handshake.encode()).as_ref(), Ok(&handshake));
    let mut known = handshake.clone();
    known.update(handshake.clone());
    assert_eq!(known, handshake);
}
