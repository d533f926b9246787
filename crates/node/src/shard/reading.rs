//! Reading a torrent's data for those who watch it while it comes: a read waits for its piece, then
//! for the disk, and what is waited for has deadlines (`swarm::urgent`).

use super::core::Core;
use crate::clock;
use crate::limits::{READS_WAITING_MAX, TAG_OF_READS};
use althing_bittorrent::swarm::{Input, ReaderId, StorageFault};
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_router::TorrentKey;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a part of a torrent could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The torrent was removed, or Althing is stopping.
    #[error("the torrent is gone")]
    Gone,
    /// More reads wait for missing pieces than there is room for.
    #[error("{max} reads are waiting already; close some players")]
    TooMany {
        /// How many may wait.
        max: usize,
    },
    /// The disk refused.
    #[error(transparent)]
    Storage(StorageFault),
}

/// Where the answer to a read goes.
pub(crate) type ReadReply = oneshot::Sender<Result<Bytes, ReadError>>;

/// What is being waited for.
#[derive(Default)]
pub(super) struct Reads {
    /// For pieces, by torrent.
    for_piece: BTreeMap<(TorrentKey, PieceIndex), Vec<(BlockRef, ReadReply)>>,
    waiting: usize,
    /// For the disk, by the tag it was asked with.
    from_disk: BTreeMap<u64, (TorrentKey, ReadReply)>,
    next_tag: u64,
}

impl Reads {
    /// Forgets reads that nobody waits for any more.
    fn forget_abandoned(&mut self) {
        self.for_piece.retain(|_, reads| {
            reads.retain(|(_, reply)| !reply.is_closed());
            !reads.is_empty()
        });
        self.waiting = self.for_piece.values().map(Vec::len).sum();
    }
}

/// Whether the disk was asked with this tag for a reader; else it was for a peer.
pub(super) fn is_read(tag: u64) -> bool {
    tag & TAG_OF_READS != 0
}

impl Core {
    /// Reads a block, as soon as its piece is there.
    pub(super) fn read(&mut self, key: TorrentKey, block: BlockRef, reply: ReadReply) {
        let Some(swarm) = self.router.swarm(key) else {
            // Who asked may have given up waiting, here and below.
            let _ = reply.send(Err(ReadError::Gone));
            return;
        };
        if swarm.have().get(block.piece) {
            self.read_from_disk(key, block, reply);
            return;
        }
        if self.reads.waiting >= READS_WAITING_MAX {
            self.reads.forget_abandoned();
        }
        if self.reads.waiting >= READS_WAITING_MAX {
            let _ = reply.send(Err(ReadError::TooMany { max: READS_WAITING_MAX }));
            return;
        }
        self.reads.waiting += 1;
        self.reads.for_piece.entry((key, block.piece)).or_default().push((block, reply));
    }

    fn read_from_disk(&mut self, key: TorrentKey, block: BlockRef, reply: ReadReply) {
        let tag = TAG_OF_READS | self.reads.next_tag;
        self.reads.next_tag = (self.reads.next_tag + 1) % TAG_OF_READS;
        match self.torrents.get(&key).and_then(|torrent| torrent.files()) {
            Some(files) => {
                files.read(vec![block], tag);
                self.reads.from_disk.insert(tag, (key, reply));
            }
            None => drop(reply.send(Err(ReadError::Gone))),
        }
    }

    /// A piece is on disk: those who wait for it may read it.
    pub(super) fn readable(&mut self, key: TorrentKey, piece: PieceIndex) {
        let Some(reads) = self.reads.for_piece.remove(&(key, piece)) else { return };
        self.reads.waiting -= reads.len();
        for (block, reply) in reads.into_iter().filter(|(_, reply)| !reply.is_closed()) {
            self.read_from_disk(key, block, reply);
        }
    }

    /// What is on disk has become known: those who wait for some of it may read it.
    pub(super) fn all_readable(&mut self, key: TorrentKey) {
        let Some(swarm) = self.router.swarm(key) else { return };
        let of_torrent = (key, PieceIndex(0))..=(key, PieceIndex(u32::MAX));
        let here: Vec<PieceIndex> = self
            .reads
            .for_piece
            .range(of_torrent)
            .map(|((_, piece), _)| *piece)
            .filter(|piece| swarm.have().get(*piece))
            .collect();
        for piece in here {
            self.readable(key, piece);
        }
    }

    /// A torrent's files are being closed: nothing that is waited for will come.
    pub(super) fn unreadable(&mut self, key: TorrentKey) {
        self.reads.from_disk.retain(|_, (of, _)| *of != key);
        self.reads.for_piece.retain(|(of, _), _| *of != key);
        self.reads.forget_abandoned();
    }

    /// The disk's answer to a read with one of our tags.
    pub(super) fn read_answered(&mut self, tag: u64, answer: Result<Bytes, StorageFault>) {
        if let Some((_, reply)) = self.reads.from_disk.remove(&tag) {
            let _ = reply.send(answer.map_err(ReadError::Storage));
        }
    }

    /// A reader needs these pieces so long from now.
    pub(super) fn set_window(
        &mut self,
        key: TorrentKey,
        reader: ReaderId,
        pieces: Vec<(PieceIndex, Duration)>,
    ) {
        let now = clock::now();
        self.do_not_wait(key, pieces.iter().map(|(piece, _)| *piece));
        let pieces = pieces.into_iter().map(|(piece, wait)| (piece, now + wait)).collect();
        self.input(key, Input::SetDeadlines { reader, pieces });
    }
}
