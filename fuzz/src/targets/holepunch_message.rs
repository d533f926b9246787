//! Messages by which peers are brought together: what is written is read the same again, and addresses of
//! IPv4 are themselves.

use althing_bittorrent::wire::HolepunchMessage;

/// Reads any bytes as a hole-punch message.
pub fn run(data: &[u8]) {
    let Ok(message) = HolepunchMessage::parse(data) else { return };
    assert_eq!(message.addr().ip(), message.addr().ip().to_canonical());
    assert_eq!(HolepunchMessage::parse(&message.encode()), Ok(message));
}
