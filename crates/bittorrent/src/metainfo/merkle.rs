//! BEP 52's hash trees.

use crate::types::BLOCK_SIZE;
use althing_base::Sha256Digest;
use althing_base::hash::Sha256;

/// The parent of two nodes.
fn parent(left: Sha256Digest, right: Sha256Digest) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// The root over `nodes`, filled up with `pad` to the next power of two.
fn root(nodes: &[Sha256Digest], mut pad: Sha256Digest) -> Sha256Digest {
    let mut level = nodes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| parent(pair[0], pair.get(1).copied().unwrap_or(pad)))
            .collect();
        pad = parent(pad, pad);
    }
    level.first().copied().unwrap_or(pad)
}

/// The root of a tree of zero hashes.
pub fn pad_hash(leaves: u32) -> Sha256Digest {
    (0..leaves.max(1).ilog2()).fold(Sha256Digest::ZERO, |pad, _| parent(pad, pad))
}

/// The root over a file's piece layer, that is its `pieces root`.
pub fn layer_root(layer: &[Sha256Digest], piece_length: u32) -> Sha256Digest {
    root(layer, pad_hash(piece_length / BLOCK_SIZE))
}
