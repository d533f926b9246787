//! The handle of one torrent's data, and what the pool's threads share of it.

use super::allocate::Allocation;
use super::copy::Source;
use super::event::{Checked, Event, Partial, Sink, TorrentKey};
use super::flush::{Gathering, Task, Then};
use super::io::Unsynced;
use super::job::Job;
use super::pool::Inner;
use super::queue::{Hurry, Lane};
use super::verify::Verify;
use crate::files::{Location, Root, Slot};
use crate::hash::Kinds;
use crate::mutex::guard;
use althing_bittorrent::metainfo::{FileIndex, Metainfo};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{Bitfield, BlockRef, PieceHash, PieceIndex};
use bytes::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Called once before a torrent's first byte is written: records that what is on disk is from
/// now on more than what is claimed. If it fails, nothing is written and it is called again with
/// the next write.
pub type BeforeWrite = Arc<dyn Fn() -> Result<(), StorageFault> + Send + Sync>;

/// What [`Pool::open`](super::Pool::open) needs to know.
pub struct Opening {
    /// What the owner calls the torrent.
    pub key: TorrentKey,
    /// What it is.
    pub metainfo: Arc<Metainfo>,
    /// Where its data is, or is to be.
    pub location: Location,
    /// Where events go.
    pub sink: Sink,
    /// Called once before the first write; see
    /// [`Records::before_write`](crate::records::Records::before_write).
    pub before_write: Option<BeforeWrite>,
}

/// What the pool's threads share of a torrent.
pub(super) struct Shared {
    pub(super) key: TorrentKey,
    pub(super) slot: Slot,
    pub(super) metainfo: Arc<Metainfo>,
    pub(super) root: Root,
    pub(super) kinds: Kinds,
    /// Whether any file is padding.
    pub(super) padded: bool,
    sink: Sink,
    /// No more reads and checks; set when it is being closed.
    closing: AtomicBool,
    before_write: Mutex<Option<BeforeWrite>>,
    /// What has been written and not yet flushed.
    pub(super) unsynced: Mutex<Unsynced>,
    /// The torrent with all piece layers known so far; the layout is the same.
    latest: Mutex<Arc<Metainfo>>,
    verify: Mutex<Option<Arc<Verify>>>,
}

impl Shared {
    pub(super) fn emit(&self, event: Event) {
        (self.sink)(self.key, event);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// To be called before each write.
    pub(super) fn before_write(&self) -> Result<(), StorageFault> {
        let mut hook = guard(&self.before_write);
        if let Some(call) = &*hook {
            call()?;
            *hook = None;
        }
        Ok(())
    }

    /// Ends the check that is running, if one is.
    pub(super) fn cancel_verify(&self) {
        if let Some(verify) = &*guard(&self.verify) {
            verify.cancel();
        }
    }

    /// How far the check is, if one is running or was ended by closing the torrent.
    pub(super) fn checked(&self) -> Option<Checked> {
        let verify = guard(&self.verify).clone();
        verify.map(|verify| verify.so_far())
    }

    /// A check has come to its end; nothing of it is kept.
    pub(super) fn forget_verify(&self, verify: &Arc<Verify>) {
        let mut current = guard(&self.verify);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, verify)) {
            *current = None;
        }
    }

    /// Nothing of the torrent will be checked any more.
    pub(super) fn forget_any_verify(&self) {
        *guard(&self.verify) = None;
    }
}

/// A torrent's data, open. Cheap to have: no file is open until it is needed, and a torrent that
/// nothing happens with costs some hundred bytes.
///
/// Nothing here waits for the disk; answers come as [`Event`]s. If more is handed in than the disk
/// takes, [`store_block`](Self::store_block) and [`read`](Self::read) hold up the caller in the
/// end, which a driver avoids by asking [`Pool::is_congested`](super::Pool::is_congested).
///
/// Dropping it without [`close`](Self::close) forgets the pieces in progress and says nothing.
pub struct Torrent {
    pool: Arc<Inner>,
    shared: Arc<Shared>,
}

impl Torrent {
    pub(super) fn open(pool: Arc<Inner>, slot: Slot, opening: Opening) -> Torrent {
        let Opening { key, metainfo, location, sink, before_write } = opening;
        let hashes = metainfo.info_hashes();
        let shared = Shared {
            key,
            slot,
            root: Root::new(&location, metainfo.files()),
            kinds: Kinds { v1: hashes.v1().is_some(), v2: hashes.v2().is_some() },
            padded: metainfo.files().iter().any(|file| file.is_pad()),
            latest: Mutex::new(Arc::clone(&metainfo)),
            metainfo,
            sink,
            closing: AtomicBool::new(false),
            before_write: Mutex::new(before_write),
            unsynced: Mutex::default(),
            verify: Mutex::default(),
        };
        Torrent { pool, shared: Arc::new(shared) }
    }

    /// Where the data is.
    pub fn root(&self) -> &Root {
        &self.shared.root
    }

    /// Keeps a block of a piece in progress (not copied) and hashes it. Blocks are as
    /// [`Layout::block`](althing_bittorrent::metainfo::Layout::block) cuts them; anything else is
    /// ignored. A block that was handed in before is replaced.
    pub fn store_block(&self, block: BlockRef, data: Bytes) {
        let len = data.len();
        let job = Job::Block { torrent: Arc::clone(&self.shared), block, data };
        self.push(block.piece, Lane::Store, job, len as u64, len, Hurry::Batch);
    }

    /// All blocks of `piece` have been handed in: compares, and if it is right writes it.
    /// Answered by [`Event::PieceStored`], [`Event::PieceCorrupt`] or [`Event::PieceFault`].
    pub fn complete_piece(&self, piece: PieceIndex, expected: PieceHash, want_block_digests: bool) {
        let torrent = Arc::clone(&self.shared);
        let job = Job::Complete { torrent, piece, expected, want_digests: want_block_digests };
        let cost = u64::from(self.shared.metainfo.piece_size(piece));
        self.push(piece, Lane::Store, job, cost, 0, Hurry::Now);
    }

    /// Forgets a piece in progress.
    pub fn abandon_piece(&self, piece: PieceIndex) {
        let job = Job::Abandon { torrent: Arc::clone(&self.shared), piece };
        self.push(piece, Lane::Store, job, 0, 0, Hurry::Batch);
    }

    /// Its files, for other torrents to copy from as long as it is open.
    pub fn source(&self) -> Source {
        Source(Arc::clone(&self.shared))
    }

    /// Takes a piece from `file` of another torrent, or of this one, which is the same file by its
    /// root hash (BEP 52). It counts only if it hashes to what is expected. Not for a piece that
    /// blocks have been stored of. Answered by [`Event::PieceCopied`].
    pub fn copy_piece(
        &self,
        piece: PieceIndex,
        expected: PieceHash,
        source: Source,
        file: FileIndex,
    ) {
        let torrent = Arc::clone(&self.shared);
        let job = Job::Copy { torrent, piece, expected, source, file };
        let cost = u64::from(self.shared.metainfo.piece_size(piece));
        self.push(piece, Lane::Background, job, cost, 0, Hurry::Now);
    }

    /// Reads blocks that are on disk, for peers. Answered by [`Event::BlocksRead`] or
    /// [`Event::ReadFault`]; reads with the same tag (one for each connection, say) in the order
    /// in which they were asked for. Blocks that follow one another are read at once.
    pub fn read(&self, blocks: Vec<BlockRef>, tag: u64) {
        let cost = blocks.iter().map(|block| u64::from(block.len)).sum();
        let job = Job::Read { torrent: Arc::clone(&self.shared), blocks, tag };
        self.pool.queue_of(tag).push(Lane::Read, job, cost, 0, Hurry::Now);
    }

    /// Forgets the reads with this tag that have not begun. Those that have are still answered.
    pub fn cancel_reads(&self, tag: u64) {
        self.pool.queue_of(tag).forget(Lane::Read, |job| {
            matches!(job, Job::Read { torrent, tag: other, .. }
                if *other == tag && Arc::ptr_eq(torrent, &self.shared))
        });
    }

    /// Reads a piece that is on disk and hashes its blocks (BEP 52). Answered by
    /// [`Event::Leaves`].
    pub fn leaves(&self, piece: PieceIndex) {
        let job = Job::Leaves { torrent: Arc::clone(&self.shared), piece };
        let cost = u64::from(self.shared.metainfo.piece_size(piece));
        self.push(piece, Lane::Read, job, cost, 0, Hurry::Now);
    }

    /// The same torrent with more of its piece layers known, which [`verify`](Self::verify) needs.
    pub fn layers_received(&self, metainfo: Arc<Metainfo>) {
        debug_assert_eq!(metainfo.info_hashes(), self.shared.metainfo.info_hashes());
        *guard(&self.shared.latest) = metainfo;
    }

    /// Checks pieces that may be on disk, on all threads, while other torrents' blocks keep
    /// flowing. Files that are missing and holes are not read. Answered by
    /// [`Event::VerifyProgress`] from time to time and [`Event::Verified`] at the end. A check of
    /// this torrent that is still running is cancelled.
    ///
    /// What is found right becomes durable with the next [`sync`](Self::sync).
    pub fn verify(&self, pieces: Bitfield) {
        let hashes = Arc::clone(&guard(&self.shared.latest));
        let workers = self.pool.queues().len();
        let verify = Arc::new(Verify::new(Arc::clone(&self.shared), hashes, pieces, workers));
        let before = guard(&self.shared.verify).replace(Arc::clone(&verify));
        if let Some(before) = before {
            before.cancel();
        }
        for (queue, share) in self.pool.queues().iter().zip(Verify::shares(&verify, workers)) {
            queue.push(Lane::Background, Job::Verify(share), 0, 0, Hurry::Now);
        }
    }

    /// Takes pieces for right without reading them: [`create`](crate::create), or somebody else who
    /// can be believed, has hashed their files a moment ago. They become durable with the next
    /// [`sync`](Self::sync), as after a check.
    pub fn found_right(&self, pieces: &Bitfield) {
        let mut unsynced = guard(&self.shared.unsynced);
        for piece in pieces.ones() {
            unsynced.add(self.shared.metainfo.layout(), piece);
        }
    }

    /// Ends a running check; it is answered with what it knows so far.
    pub fn cancel_verify(&self) {
        self.shared.cancel_verify();
    }

    /// Takes the space on disk that the files will need, in the order given, so that a disk which is
    /// too small is known before anything has been fetched. Files that are as long as they will be
    /// are left alone; on a file system that cannot do so, all are. Answered by [`Event::Prepared`].
    /// For downloads only.
    pub fn allocate(&self, files: Vec<FileIndex>) {
        self.pool.flush(Task::Allocate(Allocation::new(Arc::clone(&self.shared), files)));
    }

    /// Creates what has no pieces: empty files and links (BEP 47). Answered by
    /// [`Event::Prepared`]. For downloads only: what is seeded in place is the user's.
    pub fn prepare(&self) {
        self.pool.flush(Task::Prepare(Arc::clone(&self.shared)));
    }

    /// Takes in what was on disk of unfinished pieces when the torrent was last closed or synced. A
    /// piece of which blocks are right is in progress then, with those blocks; each is answered by
    /// [`Event::Restored`].
    pub fn restore(&self, partials: Vec<Partial>) {
        for partial in partials {
            let piece = partial.piece;
            let cost = partial.blocks.len() as u64 * u64::from(BLOCK_SIZE);
            let job = Job::Restore { torrent: Arc::clone(&self.shared), partial };
            self.push(piece, Lane::Store, job, cost, 0, Hurry::Now);
        }
    }

    /// Makes the pieces durable that have been stored or found right so far, also by a check that goes
    /// on, and the blocks of pieces that have been in progress since the last call. Answered by [`Event::Synced`]; calls
    /// that come while one waits for its turn share its answer.
    pub fn sync(&self) {
        let mut unsynced = guard(&self.shared.unsynced);
        if !std::mem::replace(&mut unsynced.queued, true) {
            drop(unsynced);
            self.gather(Then::Sync);
        }
    }

    /// Finishes the writes that were asked for, writes the blocks of pieces in progress, makes all of
    /// it durable and closes the files. Answered by [`Event::Closed`].
    pub fn close(self) {
        self.end(false, true);
    }

    /// Closes and deletes the torrent's files, and its folders as far as they are empty then.
    /// Answered by [`Event::Closed`].
    pub fn delete(self) {
        self.end(true, true);
    }

    fn push(&self, piece: PieceIndex, lane: Lane, job: Job, cost: u64, held: usize, hurry: Hurry) {
        // Consecutive pieces go to different workers.
        let queue = self.pool.queue_of(self.shared.slot.0.wrapping_add(u64::from(piece.0)));
        queue.push(lane, job, cost, held, hurry);
    }

    fn end(&self, delete: bool, answer: bool) {
        if self.shared.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.shared.cancel_verify();
        self.gather(Then::Close { delete, answer });
    }

    /// Asks all workers for what they have of the torrent; then does what is to come.
    fn gather(&self, then: Then) {
        let torrent = Arc::clone(&self.shared);
        let gathering = Arc::new(Gathering::new(Arc::clone(&self.pool), torrent, then));
        for queue in self.pool.queues() {
            let (torrent, gathering) = (Arc::clone(&self.shared), Arc::clone(&gathering));
            let job = match then {
                Then::Sync => Job::Gather { torrent, gathering },
                Then::Close { .. } => Job::Close { torrent, gathering },
            };
            queue.push(Lane::Store, job, 0, 0, Hurry::Now);
        }
    }
}

impl Drop for Torrent {
    fn drop(&mut self) {
        self.end(false, false);
    }
}

impl fmt::Debug for Torrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Torrent")
            .field("key", &self.shared.key)
            .field("root", &self.shared.root)
            .finish_non_exhaustive()
    }
}
