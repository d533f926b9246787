//! Messages of the metadata extension: what is read is possible, and is written and read the same
//! again.

use althing_bittorrent::wire::limits::METADATA_BYTES_MAX;
use althing_bittorrent::wire::{METADATA_PIECE_LEN, MetadataMessage};
use bytes::Bytes;

/// Reads any bytes as a metadata message.
pub fn run(data: &[u8]) {
    let Ok(message) = MetadataMessage::parse(&Bytes::copy_from_slice(data)) else { return };
    let pieces_max = MetadataMessage::piece_count(METADATA_BYTES_MAX);
    match &message {
        MetadataMessage::Request { piece } | MetadataMessage::Reject { piece } => {
            assert!(*piece < pieces_max);
        }
        MetadataMessage::Data { piece, total_size, payload } => {
            assert!((1..=METADATA_PIECE_LEN).contains(&payload.len()));
            let end = *piece as usize * METADATA_PIECE_LEN + payload.len();
            let size = total_size.unwrap_or(METADATA_BYTES_MAX) as usize;
            assert!(end <= size.next_multiple_of(METADATA_PIECE_LEN), "{end} of {size}");
        }
        MetadataMessage::Unknown => {}
    }
    assert_eq!(MetadataMessage::parse(&message.encode()), Ok(message));
}
