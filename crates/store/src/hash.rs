//! Hashing a piece front to back, for v1 (BEP 3), v2 (BEP 52) or both in one pass over the data.

use althing_base::hash::{Sha1, sha256};
use althing_base::{Sha1Digest, Sha256Digest};
use althing_bittorrent::PieceHash;
use althing_bittorrent::metainfo::merkle;
use althing_bittorrent::types::BLOCK_SIZE;

/// What padding is made of.
pub(crate) static ZEROS: [u8; BLOCK_SIZE as usize] = [0; BLOCK_SIZE as usize];

/// Which hashes are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kinds {
    pub(crate) v1: bool,
    pub(crate) v2: bool,
}

impl Kinds {
    /// Those that `expected` has.
    pub(crate) fn of(expected: &PieceHash) -> Kinds {
        Kinds { v1: expected.v1.is_some(), v2: expected.v2.is_some() }
    }
}

/// A running hash over a piece.
pub(crate) struct PieceHasher {
    sha1: Option<Sha1>,
    leaves: Option<Vec<Sha256Digest>>,
}

impl PieceHasher {
    pub(crate) fn new(kinds: Kinds) -> Self {
        PieceHasher { sha1: kinds.v1.then(Sha1::new), leaves: kinds.v2.then(Vec::new) }
    }

    /// The piece's next bytes: whole blocks, but for the last call.
    pub(crate) fn update(&mut self, data: &[u8]) {
        // Block by block, so that the second hash finds the bytes in the innermost cache.
        for block in data.chunks(BLOCK_SIZE as usize) {
            if let Some(sha1) = &mut self.sha1 {
                sha1.update(block);
            }
            if let Some(leaves) = &mut self.leaves {
                leaves.push(sha256(block));
            }
        }
    }

    /// `len` bytes of padding after the data, which only v1 hashes.
    pub(crate) fn pad(&mut self, len: u32) {
        if let Some(sha1) = &mut self.sha1 {
            pad(sha1, len);
        }
    }

    /// Whether the piece is what it should be.
    pub(crate) fn matches(self, expected: &PieceHash) -> bool {
        matches(expected, self.sha1.map(Sha1::finish), self.leaves.as_deref())
    }

    /// The SHA-1 of the piece and the SHA-256 of each block, if wanted.
    pub(crate) fn finish(self) -> (Option<Sha1Digest>, Vec<Sha256Digest>) {
        (self.sha1.map(Sha1::finish), self.leaves.unwrap_or_default())
    }
}

/// Adds `len` zeros.
pub(crate) fn pad(sha1: &mut Sha1, len: u32) {
    let mut left = len as usize;
    while left > 0 {
        let now = left.min(ZEROS.len());
        sha1.update(&ZEROS[..now]);
        left -= now;
    }
}

/// Whether hashes are what they should be. A hybrid torrent's piece must be right both ways; one
/// of which nothing is known never is.
pub(crate) fn matches(
    expected: &PieceHash,
    sha1: Option<Sha1Digest>,
    leaves: Option<&[Sha256Digest]>,
) -> bool {
    let v1 = expected.v1.map(|v1| sha1 == Some(v1));
    let v2 = expected.v2.map(|v2| {
        leaves.is_some_and(|leaves| {
            leaves.len() <= v2.leaves as usize && merkle::root(leaves, v2.leaves) == v2.root
        })
    });
    match (v1, v2) {
        (None, None) => false,
        (v1, v2) => v1.unwrap_or(true) && v2.unwrap_or(true),
    }
}
