//! Proofs over a file's hash tree. Until they can be made and checked, hash requests are refused.

use crate::metainfo::{FileIndex, Metainfo};
use crate::types::PieceIndex;
use crate::wire::HashRequest;
use althing_base::Sha256Digest;

pub(super) fn verify<'a>(
    _: &HashRequest,
    _: &'a [Sha256Digest],
    _: u32,
    _: u32,
) -> Option<&'a [Sha256Digest]> {
    None
}

pub(super) fn serve_hashes(
    _: &Metainfo,
    _: FileIndex,
    _: &HashRequest,
) -> Option<Vec<Sha256Digest>> {
    None
}

pub(super) fn piece_of_leaves(_: &Metainfo, _: FileIndex, _: &HashRequest) -> Option<PieceIndex> {
    None
}

pub(super) fn serve_leaves(
    _: &Metainfo,
    _: FileIndex,
    _: &HashRequest,
    _: PieceIndex,
    _: &[Sha256Digest],
) -> Option<Vec<Sha256Digest>> {
    None
}
