//! What a worker is asked to do.

use super::flush::Closing;
use super::torrent::Shared;
use super::verify::Share;
use althing_bittorrent::{BlockRef, PieceHash, PieceIndex};
use bytes::Bytes;
use std::sync::Arc;

/// Work for a worker.
pub(super) enum Job {
    /// A block came in.
    Block { torrent: Arc<Shared>, block: BlockRef, data: Bytes },
    /// All blocks of a piece have come in.
    Complete { torrent: Arc<Shared>, piece: PieceIndex, expected: PieceHash, want_digests: bool },
    /// Forget a piece in progress.
    Abandon { torrent: Arc<Shared>, piece: PieceIndex },
    /// Read blocks for a peer.
    Read { torrent: Arc<Shared>, blocks: Vec<BlockRef>, tag: u64 },
    /// Hash the blocks of a piece on disk.
    Leaves { torrent: Arc<Shared>, piece: PieceIndex },
    /// Do this worker's share of a check.
    Verify(Share),
    /// Forget all pieces of a torrent. When the last worker has dropped its part of `closing`, the
    /// torrent is closed.
    Close { torrent: Arc<Shared>, closing: Arc<Closing> },
}
