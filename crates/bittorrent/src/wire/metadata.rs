//! Messages of the metadata extension, by which peers hand out the info dictionary in pieces of
//! 16 KiB (BEP 9).

use super::limits::METADATA_BYTES_MAX;
use althing_base::bencode::{self, Document, Encoder, Limits};
use bytes::Bytes;

/// Bytes of each piece of metadata but the last (BEP 9).
pub const METADATA_PIECE_LEN: usize = 16 * 1024;

/// The payload of an extended message of `ut_metadata`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataMessage {
    /// Asks for a piece.
    Request {
        /// Its index.
        piece: u32,
    },
    /// A piece: [`METADATA_PIECE_LEN`] bytes, the last one fewer; never empty.
    Data {
        /// Its index.
        piece: u32,
        /// The length of all the metadata in bytes, as the sender has it; some leave it out.
        total_size: Option<u32>,
        /// Its bytes.
        payload: Bytes,
    },
    /// The piece will not be sent.
    Reject {
        /// Its index.
        piece: u32,
    },
    /// A type that BEP 9 does not know; to be ignored.
    Unknown,
}

/// Why a metadata message is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataMessageError {
    /// Not bencode.
    #[error("a metadata message is not bencode: {0}")]
    Bencode(#[from] bencode::Error),
    /// No type or no piece, or a piece that no metadata within the limit has.
    #[error("a metadata message lacks its type, or names no possible piece")]
    MissingField,
    /// The payload does not fit the piece and the size that the message names.
    #[error("a metadata message has {len} bytes for piece {piece}")]
    WrongLength {
        /// The piece's index.
        piece: u32,
        /// The payload's length in bytes.
        len: usize,
    },
}

impl MetadataMessage {
    /// Reads an extended message's payload.
    ///
    /// # Errors
    /// If it is not a metadata message; the sender is broken or hostile.
    pub fn parse(message: &Bytes) -> Result<Self, MetadataMessageError> {
        let (document, used) = Document::parse_prefix(message, &Limits::MESSAGE)?;
        let dict = document.root().as_dict().ok_or(MetadataMessageError::MissingField)?;
        let kind = dict.int(b"msg_type").ok_or(MetadataMessageError::MissingField)?;
        if !(0..=2).contains(&kind) {
            return Ok(MetadataMessage::Unknown);
        }
        let piece = dict
            .int(b"piece")
            .and_then(|piece| u32::try_from(piece).ok())
            .filter(|&piece| piece < METADATA_BYTES_MAX.div_ceil(METADATA_PIECE_LEN as u32))
            .ok_or(MetadataMessageError::MissingField)?;
        match kind {
            0 => Ok(MetadataMessage::Request { piece }),
            2 => Ok(MetadataMessage::Reject { piece }),
            _ => {
                let total_size = dict
                    .int(b"total_size")
                    .and_then(|size| u32::try_from(size).ok())
                    .filter(|size| (1..=METADATA_BYTES_MAX).contains(size));
                let payload = message.slice(used..);
                check_length(piece, total_size, payload.len())?;
                Ok(MetadataMessage::Data { piece, total_size, payload })
            }
        }
    }

    /// The extended message's payload.
    pub fn encode(&self) -> Bytes {
        let (kind, piece, total_size, payload) = match self {
            MetadataMessage::Request { piece } => (0, Some(*piece), None, &[][..]),
            MetadataMessage::Data { piece, total_size, payload } => {
                (1, Some(*piece), *total_size, &payload[..])
            }
            MetadataMessage::Reject { piece } => (2, Some(*piece), None, &[][..]),
            MetadataMessage::Unknown => (3, None, None, &[][..]),
        };
        let mut out = Encoder::new();
        out.dict(|out| {
            out.key(b"msg_type").int(kind);
            if let Some(piece) = piece {
                out.key(b"piece").int(piece.into());
            }
            if let Some(size) = total_size {
                out.key(b"total_size").int(size.into());
            }
        });
        out.raw(payload);
        out.finish().into()
    }

    /// How many pieces metadata of `size` bytes has.
    pub fn piece_count(size: u32) -> u32 {
        size.div_ceil(METADATA_PIECE_LEN as u32)
    }
}

fn check_length(
    piece: u32,
    total_size: Option<u32>,
    len: usize,
) -> Result<(), MetadataMessageError> {
    let fits = match total_size {
        Some(size) => {
            let left = (size as usize).checked_sub(piece as usize * METADATA_PIECE_LEN);
            left.is_some_and(|left| left > 0 && len == left.min(METADATA_PIECE_LEN))
        }
        None => (1..=METADATA_PIECE_LEN).contains(&len),
    };
    if fits { Ok(()) } else { Err(MetadataMessageError::WrongLength { piece, len }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &'static [u8], expected: &Result<MetadataMessage, MetadataMessageError>) {
        let read = MetadataMessage::parse(&Bytes::from_static(bytes));
        if let Ok(message) = &read {
            assert_eq!(message.encode(), bytes, "{message:?}");
        }
        assert_eq!(&read, expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn examples_of_bep_9() {
        check(b"d8:msg_typei0e5:piecei0ee", &Ok(MetadataMessage::Request { piece: 0 }));
        check(b"d8:msg_typei2e5:piecei0ee", &Ok(MetadataMessage::Reject { piece: 0 }));
        let payload = Bytes::from_static(b"xxxxxxxx");
        check(
            b"d8:msg_typei1e5:piecei0e10:total_sizei8eexxxxxxxx",
            &Ok(MetadataMessage::Data { piece: 0, total_size: Some(8), payload: payload.clone() }),
        );
        check(
            b"d8:msg_typei1e5:piecei3eexxxxxxxx",
            &Ok(MetadataMessage::Data { piece: 3, total_size: None, payload }),
        );
        check(b"d8:msg_typei3ee", &Ok(MetadataMessage::Unknown));
    }

    #[test]
    fn refusals() {
        let wrong = |piece, len| Err(MetadataMessageError::WrongLength { piece, len });
        check(b"d8:msg_typei1e5:piecei0e10:total_sizei9eexxxxxxxx", &wrong(0, 8));
        check(b"d8:msg_typei1e5:piecei0e10:total_sizei7eexxxxxxxx", &wrong(0, 8));
        check(b"d8:msg_typei1e5:piecei1e10:total_sizei16384ee", &wrong(1, 0));
        check(b"d8:msg_typei1e5:piecei1e10:total_sizei16392eexxxxxxxxy", &wrong(1, 9));
        check(b"d8:msg_typei1e5:piecei0ee", &wrong(0, 0));
        for bytes in [
            &b"d5:piecei0ee"[..],
            b"d8:msg_typei0ee",
            b"d8:msg_typei0e5:piecei-1ee",
            b"d8:msg_typei0e5:piecei4294967296ee",
            b"d8:msg_typei0e5:piecei4294967295ee",
            b"le",
        ] {
            check(bytes, &Err(MetadataMessageError::MissingField));
        }
        check(b"x", &Err(bencode::Error::UnexpectedByte { at: 0, byte: b'x' }.into()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(size in 1..200_000u32, at: u32, named: bool) {
            let piece = at % MetadataMessage::piece_count(size);
            let len = (size as usize - piece as usize * METADATA_PIECE_LEN).min(METADATA_PIECE_LEN);
            let data = MetadataMessage::Data {
                piece,
                total_size: named.then_some(size),
                payload: vec![b'e'; len].into(),
            };
            for message in [MetadataMessage::Request { piece }, MetadataMessage::Reject { piece }, data] {
                prop_assert_eq!(MetadataMessage::parse(&message.encode()), Ok(message));
            }
        }
    }
}
