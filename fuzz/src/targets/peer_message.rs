//! Messages of a peer, one after another: what is read is written the same again.

use althing_bittorrent::wire::{
    BLOCK_HEADER_LEN, DecodeLimits, Decoded, Message, decode, encode_block_header,
};

/// Prefixes of each message that are tried; more would only take time.
const PREFIXES_TRIED: usize = 80;

/// Reads a peer's stream until it ends or is refused.
pub fn run(data: &[u8]) {
    let limits = DecodeLimits::default();
    let mut rest = data;
    loop {
        let decoded = decode(rest, &limits);
        for len in 0..rest.len().min(PREFIXES_TRIED) {
            match decode(&rest[..len], &limits) {
                Ok(Decoded::Incomplete { need }) => {
                    assert!(len < need && need <= 4 + limits.frame_bytes);
                }
                early => assert_eq!(early, decoded, "{len} bytes were enough, and yet not"),
            }
        }
        let consumed = match decoded {
            Ok(Decoded::Message { message, consumed }) => {
                let mut written = Vec::new();
                message.encode(&mut written);
                assert_eq!(written.len(), message.encoded_len());
                if !matches!(message, Message::Unknown { .. }) {
                    assert_eq!(written, rest[..consumed], "{message:?}");
                }
                consumed
            }
            Ok(Decoded::Block { block, payload, consumed }) => {
                assert_eq!(encode_block_header(block), rest[..BLOCK_HEADER_LEN]);
                assert_eq!(payload, BLOCK_HEADER_LEN..consumed);
                assert_eq!(payload.len(), block.len as usize);
                consumed
            }
            Ok(Decoded::Incomplete { need }) => {
                assert!(rest.len() < need);
                return;
            }
            Err(_) => return,
        };
        rest = &rest[consumed..];
    }
}
