//! A worker: the only thread that knows of the pieces in progress which are its own.

use super::event::{BlockSum, Event};
use super::io::Disk;
use super::job::Job;
use super::piece::{Extent, FinishError, Piece};
use super::pool::Inner;
use super::queue::{self, Lane};
use super::torrent::Shared;
use super::verify::Share;
use crate::files::Slot;
use crate::hash::{Kinds, PieceHasher};
use crate::limits::{
    BACKGROUND_WEIGHT, HELD_AFTER_SPILL_PERCENT, HELD_OVERSHOOT, READ_BLOCK_BYTES_MAX,
    READ_BLOCKS_MAX, READ_RUN_BYTES_MAX, SCAN_READ_BYTES,
};
use crate::segments::whole;
use althing_base::Sha256Digest;
use althing_bittorrent::metainfo::{File, Layout};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{BlockRef, PieceHash, PieceIndex};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// See the module.
pub(super) struct Worker {
    pool: Arc<Inner>,
    number: usize,
    pub(super) pieces: BTreeMap<(Slot, PieceIndex), InProgress>,
    /// For checks.
    pub(super) buffer: Vec<u8>,
}

pub(super) struct InProgress {
    pub(super) torrent: Arc<Shared>,
    pub(super) piece: Piece,
    /// Checksums of the blocks that were written early.
    pub(super) sums: BTreeMap<u32, BlockSum>,
    /// It was there when the torrent was last synced.
    pub(super) lingers: bool,
}

impl Worker {
    pub(super) fn new(pool: Arc<Inner>, number: usize) -> Self {
        Worker { pool, number, pieces: BTreeMap::new(), buffer: Vec::new() }
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        queue::enter_pool();
        let pool = Arc::clone(&self.pool);
        let mut batch = Vec::new();
        while pool.queues()[self.number].take(&mut batch) {
            for job in batch.drain(..) {
                self.work(job);
            }
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Block { torrent, block, data } => self.store(&torrent, block, data),
            Job::Complete { torrent, piece, expected, want_digests } => {
                self.complete(&torrent, piece, &expected, want_digests);
            }
            Job::Abandon { torrent, piece } => self.forget((torrent.slot, piece)),
            Job::MakeRoom => {
                self.pool.makes_room(self.number);
                self.make_room();
            }
            Job::Restore { torrent, partial } => self.restore(&torrent, &partial),
            Job::Gather { torrent, gathering } => {
                if !torrent.is_closing() {
                    gathering.add(self.gather(&torrent, false));
                }
                drop(gathering);
            }
            Job::Copy { torrent, piece, expected, source, file } => {
                if !torrent.is_closing() {
                    let copied = self.copy(&torrent, piece, &expected, &source, file);
                    torrent.emit(Event::PieceCopied { piece, copied });
                }
            }
            Job::Read { torrent, blocks, tag } => {
                if !torrent.is_closing() {
                    torrent.emit(self.read(&torrent, blocks, tag));
                }
            }
            Job::Leaves { torrent, piece } => {
                if !torrent.is_closing() {
                    let leaves = self.leaves(&torrent, piece);
                    torrent.emit(Event::Leaves { piece, leaves });
                }
            }
            Job::Verify(share) => self.verify(share),
            Job::Close { torrent, gathering } => {
                if gathering.then.keeps_blocks() {
                    gathering.add(self.gather(&torrent, true));
                }
                let mut own = self.pieces.split_off(&(torrent.slot, PieceIndex(0)));
                let mut after = own.split_off(&(Slot(torrent.slot.0 + 1), PieceIndex(0)));
                self.pieces.append(&mut after);
                let held = own.values().map(|own| own.piece.held()).sum();
                self.pool.held.fetch_sub(held, Ordering::Relaxed);
                drop(gathering);
            }
        }
    }

    pub(super) fn disk<'a>(&'a self, torrent: &'a Shared) -> Disk<'a> {
        Disk { torrent, descriptors: self.pool.descriptors() }
    }
}

/// Blocks on their way in.
impl Worker {
    fn store(&mut self, torrent: &Arc<Shared>, block: BlockRef, data: Bytes) {
        let layout = torrent.metainfo.layout();
        let number = block.begin / BLOCK_SIZE;
        if layout.block(block.piece, number) != Some(block) || data.len() != block.len as usize {
            tracing::warn!(?block, len = data.len(), "not a block of the torrent");
            return;
        }
        let tainted = torrent.padded && !padding_is_zeros(layout, block, &data);
        let key = (torrent.slot, block.piece);
        let progress =
            self.pieces.entry(key).or_insert_with(|| InProgress::new(torrent, block.piece));
        if tainted {
            progress.piece.taint();
        }
        if !progress.sums.is_empty() {
            progress.sums.remove(&number);
        }
        let before = progress.piece.held();
        progress.piece.store(number, data);
        // A block that is replaced has the same length, so this is never negative.
        let more = progress.piece.held() - before;
        if self.pool.held.fetch_add(more, Ordering::Relaxed) + more > self.pool.held_max {
            self.make_room();
        }
    }

    fn complete(
        &mut self,
        torrent: &Arc<Shared>,
        index: PieceIndex,
        expected: &PieceHash,
        want_digests: bool,
    ) {
        let key = (torrent.slot, index);
        match self.finish(key, torrent, expected, want_digests) {
            Ok(event) => {
                self.forget(key);
                torrent.emit(event);
            }
            Err(fault) => {
                tracing::warn!(piece = index.0, %fault, "a piece could not be stored");
                torrent.emit(Event::PieceFault { piece: index, fault });
            }
        }
    }

    /// Hashes, compares, writes. If it fails, the piece stays as it is, unless blocks are missing:
    /// then it has to begin anew.
    fn finish(
        &mut self,
        key: (Slot, PieceIndex),
        torrent: &Arc<Shared>,
        expected: &PieceHash,
        want_digests: bool,
    ) -> Result<Event, StorageFault> {
        let (_, index) = key;
        let disk = Disk { torrent, descriptors: self.pool.descriptors() };
        let mut read_back = |begin: u32, buf: &mut [u8]| {
            // A block's length, which is at most a piece's.
            let len = buf.len() as u32;
            disk.read_range(BlockRef { piece: index, begin, len }, buf)
        };
        let Some(InProgress { piece, .. }) = self.pieces.get_mut(&key) else {
            return Err(incomplete(index, 0));
        };
        let stuck = piece.unstick();
        let right = match piece.is_right(expected, &mut read_back) {
            Ok(right) => right,
            Err(FinishError::Fault(fault)) => return Err(fault),
            Err(FinishError::Incomplete { block }) => {
                self.forget(key);
                return Err(stuck.unwrap_or_else(|| incomplete(index, block)));
            }
        };
        if !right {
            let block_digests = piece.digests(&mut read_back)?;
            return Ok(Event::PieceCorrupt { piece: index, block_digests });
        }
        let block_digests = if want_digests { Some(piece.digests(&mut read_back)?) } else { None };
        for run in piece.held_runs() {
            write_run(disk, index, piece, run)?;
        }
        crate::mutex::guard(&torrent.unsynced).add(torrent.metainfo.layout(), index);
        Ok(Event::PieceStored { piece: index, block_digests })
    }

    fn forget(&mut self, key: (Slot, PieceIndex)) {
        if let Some(gone) = self.pieces.remove(&key) {
            self.pool.held.fetch_sub(gone.piece.held(), Ordering::Relaxed);
        }
    }

    /// Writes blocks of unfinished pieces to their place, the fullest piece first, until enough
    /// memory is free or this worker has nothing left. They claim nothing there: to everyone else
    /// the place is as empty as it was. What has been hashed already is never read again.
    fn make_room(&mut self) {
        let enough = self.pool.held_max / 100 * HELD_AFTER_SPILL_PERCENT;
        while self.pool.held.load(Ordering::Relaxed) > enough {
            let candidates = self.pieces.iter().filter(|(_, own)| !own.piece.is_stuck());
            let fullest = candidates.max_by_key(|(_, own)| own.piece.held());
            let Some((&key, own)) = fullest.filter(|(_, own)| own.piece.held() > 0) else { break };
            let torrent = Arc::clone(&own.torrent);
            self.spill(key, &torrent);
        }
        if self.pool.held.load(Ordering::Relaxed) > self.pool.held_max {
            self.pool.ask_for_room(self.number);
        }
        if self.pool.held.load(Ordering::Relaxed) <= self.pool.held_max * HELD_OVERSHOOT {
            return;
        }
        // What is left can't be written, or is another worker's, which is about to do the same.
        for own in self.pieces.values_mut().filter(|own| own.piece.is_stuck()) {
            self.pool.held.fetch_sub(own.piece.held(), Ordering::Relaxed);
            own.piece.drop_blocks();
        }
    }

    /// Writes what a piece has in memory.
    pub(super) fn spill(&mut self, key: (Slot, PieceIndex), torrent: &Arc<Shared>) {
        let disk = Disk { torrent, descriptors: self.pool.descriptors() };
        let Some(InProgress { piece, sums, .. }) = self.pieces.get_mut(&key) else { return };
        for run in piece.held_runs() {
            if let Err(fault) = write_run(disk, key.1, piece, run.clone()) {
                tracing::warn!(piece = key.1.0, %fault, "blocks could not be written early");
                piece.stick(fault.clone());
                torrent.emit(Event::PieceFault { piece: key.1, fault });
                return;
            }
            sums.extend(
                run.clone().zip(piece.buffers(run.clone()).iter().map(|b| BlockSum::of(b))),
            );
            let before = piece.held();
            piece.spilled(run);
            let freed = before - piece.held();
            self.pool.held.fetch_sub(freed, Ordering::Relaxed);
            self.pool.spilled.fetch_add(freed as u64, Ordering::Relaxed);
        }
    }
}

/// Blocks on their way out.
impl Worker {
    fn read(&self, torrent: &Shared, blocks: Vec<BlockRef>, tag: u64) -> Event {
        match self.try_read(torrent, &blocks) {
            Ok(data) => Event::BlocksRead { tag, blocks: blocks.into_iter().zip(data).collect() },
            Err(fault) => Event::ReadFault { tag, blocks, fault },
        }
    }

    fn try_read(&self, torrent: &Shared, blocks: &[BlockRef]) -> Result<Vec<Bytes>, StorageFault> {
        let layout = torrent.metainfo.layout();
        let bad = blocks
            .iter()
            .find(|&&block| !layout.contains(block) || block.len > READ_BLOCK_BYTES_MAX);
        if let Some(block) = bad {
            return Err(nonsense(torrent, format!("{block:?} is no part of the torrent")));
        }
        if blocks.len() > READ_BLOCKS_MAX {
            return Err(nonsense(torrent, format!("{} blocks in one request", blocks.len())));
        }
        let mut data = Vec::with_capacity(blocks.len());
        for run in runs(blocks) {
            let mut buffer = self.pool.buffers.buffer(run.len as usize);
            self.disk(torrent).read_range(run, buffer.as_mut())?;
            let bytes = buffer.freeze();
            let mut at = 0;
            while at < bytes.len()
                && let Some(block) = blocks.get(data.len())
            {
                let end = at + block.len as usize;
                data.push(bytes.slice(at..end));
                at = end;
            }
        }
        Ok(data)
    }

    fn leaves(&mut self, torrent: &Arc<Shared>, piece: PieceIndex) -> Option<Vec<Sha256Digest>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(SCAN_READ_BYTES, 0);
        let whole = whole(torrent.metainfo.layout(), piece);
        let mut hasher = PieceHasher::new(Kinds { v1: false, v2: true });
        let mut done = whole.len > 0;
        let mut begin = 0;
        while done && begin < whole.len {
            let len = (whole.len - begin).min(SCAN_READ_BYTES as u32);
            let part = &mut buffer[..len as usize];
            done = self.disk(torrent).read_range(BlockRef { piece, begin, len }, part).is_ok();
            hasher.update(part);
            begin += len;
        }
        self.buffer = buffer;
        done.then(|| hasher.finish().1)
    }

    fn verify(&mut self, mut share: Share) {
        match share.step(self.pool.descriptors(), &mut self.buffer) {
            Some(bytes) => {
                self.pool.queues()[self.number].put_back(
                    Lane::Background,
                    Job::Verify(share),
                    bytes * BACKGROUND_WEIGHT,
                );
            }
            None => {
                share.end();
                // Checks are rare, and idle workers are to be small.
                self.buffer = Vec::new();
            }
        }
    }
}

/// Writes a run of blocks that a piece has in memory.
fn write_run(
    disk: Disk<'_>,
    index: PieceIndex,
    piece: &Piece,
    run: Range<u32>,
) -> Result<(), StorageFault> {
    let bytes = extent(disk.torrent.metainfo.layout(), index).bytes_of(run.clone());
    let range = BlockRef { piece: index, begin: bytes.start, len: bytes.end - bytes.start };
    disk.write_range(range, &piece.buffers(run))
}

impl InProgress {
    pub(super) fn new(torrent: &Arc<Shared>, piece: PieceIndex) -> Self {
        InProgress {
            torrent: Arc::clone(torrent),
            piece: Piece::new(extent(torrent.metainfo.layout(), piece), torrent.kinds),
            sums: BTreeMap::new(),
            lingers: false,
        }
    }
}

fn extent(layout: &Layout, piece: PieceIndex) -> Extent {
    Extent { data: layout.piece_data_size(piece), size: layout.piece_size(piece) }
}

/// Whether the parts of a block that are padding within the piece are zeros.
fn padding_is_zeros(layout: &Layout, block: BlockRef, data: &[u8]) -> bool {
    let mut rest = data;
    layout.slices(block).all(|slice| {
        let (now, after) = rest.split_at_checked(slice.len as usize).unwrap_or((rest, &[]));
        rest = after;
        let pad = layout.files().get(slice.file.0 as usize).is_some_and(File::is_pad);
        !pad || now.iter().all(|&byte| byte == 0)
    })
}

/// Merges blocks that follow one another in a piece, as far as one read goes.
fn runs(blocks: &[BlockRef]) -> Vec<BlockRef> {
    let mut runs: Vec<BlockRef> = Vec::new();
    for &block in blocks {
        match runs.last_mut() {
            Some(run)
                if run.piece == block.piece
                    && run.begin + run.len == block.begin
                    && (run.len + block.len) as usize <= READ_RUN_BYTES_MAX =>
            {
                run.len += block.len;
            }
            _ => runs.push(block),
        }
    }
    runs
}

/// The caller asked for what can't be; no disk is at fault, but the swarm has to hear of it.
fn nonsense(torrent: &Shared, error: String) -> StorageFault {
    StorageFault::Io { path: torrent.root.anchor().display().to_string(), error }
}

fn incomplete(piece: PieceIndex, block: u32) -> StorageFault {
    let error = format!("block {block} of piece {piece} was never handed in");
    StorageFault::Io { path: format!("piece {piece}"), error }
}
