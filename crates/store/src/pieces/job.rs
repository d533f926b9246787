//! What a worker is asked to do.

use super::copy::Source;
use super::event::Partial;
use super::flush::Gathering;
use super::torrent::Shared;
use super::verify::Share;
use althing_bittorrent::metainfo::FileIndex;
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
    /// Write the blocks of unfinished pieces early, if there is too little memory.
    MakeRoom,
    /// Take in again what is on disk of an unfinished piece.
    Restore { torrent: Arc<Shared>, partial: Partial },
    /// Say which blocks of the torrent's unfinished pieces are on disk. When the last worker has
    /// dropped its part of `gathering`, what follows from it happens.
    Gather { torrent: Arc<Shared>, gathering: Arc<Gathering> },
    /// Take a piece from another torrent's file.
    Copy {
        torrent: Arc<Shared>,
        piece: PieceIndex,
        expected: PieceHash,
        source: Source,
        file: FileIndex,
    },
    /// Read blocks for a peer.
    Read { torrent: Arc<Shared>, blocks: Vec<BlockRef>, tag: u64 },
    /// Hash the blocks of a piece on disk.
    Leaves { torrent: Arc<Shared>, piece: PieceIndex },
    /// Do this worker's share of a check.
    Verify(Share),
    /// Forget all pieces of a torrent, after writing their blocks if they are asked for. When the
    /// last worker has dropped its part of `gathering`, the torrent is closed.
    Close { torrent: Arc<Shared>, gathering: Arc<Gathering> },
}
