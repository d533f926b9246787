//! `lt_donthave`, by which a peer takes back a `have` (BEP 54).

use crate::types::PieceIndex;
use bytes::Bytes;

/// Name of the extension by which a `have` is taken back (BEP 54).
pub const LT_DONTHAVE: &[u8] = b"lt_donthave";

/// The payload of an extended message of `lt_donthave`: a piece that was there and is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DontHave(pub PieceIndex);

/// A payload of `lt_donthave` that is not four bytes long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a don't-have message has {len} bytes instead of 4")]
pub struct DontHaveError {
    /// Its length in bytes.
    pub len: usize,
}

impl DontHave {
    /// Reads an extended message's payload. Whether there is such a piece is the swarm's knowledge.
    ///
    /// # Errors
    /// If it is not four bytes long.
    pub fn parse(payload: &[u8]) -> Result<Self, DontHaveError> {
        let piece =
            <[u8; 4]>::try_from(payload).map_err(|_| DontHaveError { len: payload.len() })?;
        Ok(DontHave(PieceIndex(u32::from_be_bytes(piece))))
    }

    /// The extended message's payload.
    pub fn encode(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.0.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_and_no_other_number() {
        assert_eq!(DontHave::parse(&[0, 0, 1, 2]), Ok(DontHave(PieceIndex(258))));
        assert_eq!(DontHave(PieceIndex(258)).encode(), &[0u8, 0, 1, 2][..]);
        for len in [0, 3, 5] {
            assert_eq!(DontHave::parse(&vec![0; len]), Err(DontHaveError { len }));
        }
    }
}
