//! Messages that take back a `have`: four bytes, and written they are the same again.

use althing_bittorrent::wire::DontHave;

/// Reads any bytes as a don't-have message.
pub fn run(data: &[u8]) {
    match DontHave::parse(data) {
        Ok(message) => assert_eq!(message.encode(), data),
        Err(error) => assert!(error.len == data.len() && data.len() != 4),
    }
}
