//! What the pool answers.

use crate::files::Stamp;
use althing_base::Sha256Digest;
use althing_base::hash::sha256;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, BlockDigests, BlockRef, PieceIndex};
use bytes::Bytes;
use std::sync::Arc;

/// What the owner of a torrent calls it; it comes back with each event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentKey(pub u64);

/// Where a torrent's events go. Called from the pool's threads, so it must not block: it hands
/// the event on, through a channel for instance. It may call the pool.
pub type Sink = Arc<dyn Fn(TorrentKey, Event) + Send + Sync>;

/// Something happened with a torrent's data.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// [`complete_piece`] succeeded: the hash is right and the piece has been written. It survives
    /// the end of this process; that it survives a power cut, [`Synced`](Event::Synced) says later.
    ///
    /// [`complete_piece`]: super::Torrent::complete_piece
    PieceStored {
        /// Which piece.
        piece: PieceIndex,
        /// The digests of its blocks, if they were asked for.
        block_digests: Option<BlockDigests>,
    },
    /// [`complete_piece`] failed: the data hashes to something else and is forgotten.
    ///
    /// [`complete_piece`]: super::Torrent::complete_piece
    PieceCorrupt {
        /// Which piece.
        piece: PieceIndex,
        /// The digests of its blocks.
        block_digests: BlockDigests,
    },
    /// A piece could not be written, early or when it was complete; nothing of it is claimed. Its
    /// blocks are still held: [`complete_piece`] tries again, [`abandon_piece`] gives up, and
    /// handing in the blocks again is fine. (Only if the disk refuses and the memory is used up
    /// too are blocks dropped; completing the piece is then answered with this again, and the
    /// piece begins anew.)
    ///
    /// [`complete_piece`]: super::Torrent::complete_piece
    /// [`abandon_piece`]: super::Torrent::abandon_piece
    PieceFault {
        /// Which piece.
        piece: PieceIndex,
        /// Why.
        fault: StorageFault,
    },
    /// The blocks of a [`read`](super::Torrent::read).
    BlocksRead {
        /// As given.
        tag: u64,
        /// The blocks in the order they were asked for, with their bytes.
        blocks: Vec<(BlockRef, Bytes)>,
    },
    /// A [`read`](super::Torrent::read) failed; none of its blocks is answered.
    ReadFault {
        /// As given.
        tag: u64,
        /// The blocks that were asked for.
        blocks: Vec<BlockRef>,
        /// Why.
        fault: StorageFault,
    },
    /// The answer to [`leaves`](super::Torrent::leaves).
    Leaves {
        /// Which piece.
        piece: PieceIndex,
        /// SHA-256 of each of its blocks, not padded; `None` if it could not be read.
        leaves: Option<Vec<Sha256Digest>>,
    },
    /// How far a check is.
    VerifyProgress(VerifyProgress),
    /// A check has ended.
    Verified {
        /// The pieces that were checked and are on disk as they should be.
        have: Bitfield,
        /// The pieces that were checked. All that were asked for, unless it was cancelled.
        checked: Bitfield,
        /// What could not be read for another reason than that it is not there; the first few.
        faults: Vec<StorageFault>,
    },
    /// An answer to [`restore`](super::Torrent::restore), for each piece of which there was anything:
    /// these blocks have been read, are as they were, and count as handed in.
    Restored {
        /// Which piece.
        piece: PieceIndex,
        /// The numbers of its blocks, ascending; at least one.
        blocks: Vec<u32>,
    },
    /// The answer to [`copy_piece`](super::Torrent::copy_piece).
    PieceCopied {
        /// Which piece.
        piece: PieceIndex,
        /// What became of it.
        copied: Copied,
    },
    /// The answer to [`prepare`](super::Torrent::prepare).
    Prepared {
        /// What could not be created, if anything.
        fault: Option<StorageFault>,
    },
    /// The answer to [`sync`](super::Torrent::sync).
    Synced {
        /// What is durable now and was not before.
        durable: Durable,
        /// What could not be made durable, if anything. The pieces concerned will be checked at
        /// the next start: once a flush failed, the system no longer tells what is on disk.
        fault: Option<StorageFault>,
    },
    /// The answer to [`close`](super::Torrent::close) and [`delete`](super::Torrent::delete): the
    /// last event of this torrent.
    Closed {
        /// What has become durable with the closing. Nothing, if the data was deleted.
        durable: Durable,
        /// What could not be made durable or be deleted, if anything.
        fault: Option<StorageFault>,
    },
}

/// What became of a piece that was to be copied from another torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Copied {
    /// It has been written and is right, as after
    /// [`PieceStored`](Event::PieceStored).
    Right,
    /// What the other torrent has in its place is something else: its file has been changed.
    Differs,
    /// It could not be read there, or is on its way in already. Nothing is lost.
    Unavailable,
    /// It could not be written.
    Fault(StorageFault),
}

/// How far a check is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyProgress {
    /// Pieces looked at so far.
    pub checked: u32,
    /// Pieces that are to be looked at.
    pub total: u32,
    /// Pieces that are right so far.
    pub have: u32,
}

/// Pieces that are on disk for good, and what their files looked like right after. Only the pool
/// makes one with anything in it, after the files have been flushed, so whoever has one may
/// record it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    pub(crate) pieces: Vec<PieceIndex>,
    pub(crate) stamps: Vec<(FileIndex, Stamp)>,
    /// All that is on disk of unfinished pieces, in the place of what was before; `None` if that
    /// was not looked at.
    pub(crate) partials: Option<Vec<Partial>>,
    /// How far a check is that goes on, or that was ended by closing the torrent.
    pub(crate) checked: Option<Checked>,
}

/// What a check has found so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The pieces that it has looked at.
    pub checked: Bitfield,
    /// Those of them that are right.
    pub right: Bitfield,
}

/// Blocks of an unfinished piece that have been written to their place. They claim nothing: each
/// has a checksum, and counts only if what is read has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partial {
    /// Which piece.
    pub piece: PieceIndex,
    /// The numbers of the blocks, ascending, and their checksums.
    pub blocks: Vec<(u32, BlockSum)>,
}

/// A block's checksum: the first eight bytes of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BlockSum(pub [u8; 8]);

impl BlockSum {
    /// The checksum of a block's bytes.
    pub fn of(data: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = sha256(data).0;
        BlockSum([a, b, c, d, e, f, g, h])
    }
}

impl Durable {
    /// The pieces, in no order.
    pub fn pieces(&self) -> &[PieceIndex] {
        &self.pieces
    }

    /// The files that were flushed, ascending, and what they looked like after.
    pub fn stamps(&self) -> &[(FileIndex, Stamp)] {
        &self.stamps
    }

    /// What is on disk of unfinished pieces; `None` if that was not looked at.
    pub fn partials(&self) -> Option<&[Partial]> {
        self.partials.as_deref()
    }

    /// How far a check is that goes on.
    pub fn checked(&self) -> Option<&Checked> {
        self.checked.as_ref()
    }

    /// Whether there is nothing new.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
            && self.stamps.is_empty()
            && self.partials.as_ref().is_none_or(Vec::is_empty)
            && self.checked.is_none()
    }
}
