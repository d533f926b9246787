//! The simulated disk of one host: it keeps what blocks hold, checks and writes whole pieces one
//! after the other, and fails as told.
//!
//! It stands for the `store` crate together with what is below it, and answers as that does: a
//! piece that is right is written and survives the end of the process; the records that say so
//! are written every [`RECORD_INTERVAL`], so a process that is killed starts again with a little
//! less than there was.

use crate::limits::RECORD_INTERVAL;
use crate::units::{Content, Rate};
use althing_base::time::Duration;
use althing_base::{Instant, Sha256Digest};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, BlockDigests, PieceIndex};
use std::collections::{BTreeMap, VecDeque};

/// What a disk is like, and what befalls it.
#[derive(Clone, Debug)]
pub struct DiskPlan {
    /// Bytes it writes a second.
    pub rate: Rate,
    /// What each piece waits besides: seeks, flushes, the queue of other programs.
    pub delay: Duration,
    /// What befalls it, at most once.
    pub fault: Option<DiskFault>,
}

impl Default for DiskPlan {
    /// A disk that writes 100 MiB a second after 2 ms, and never fails.
    fn default() -> Self {
        DiskPlan { rate: Rate::kib_per_s(100 * 1024), delay: Duration::from_millis(2), fault: None }
    }
}

/// What befalls a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFault {
    /// It is full after so many pieces. After `mended_after` somebody makes room and resumes.
    Full {
        /// Pieces that fit.
        after_pieces: u32,
        /// How long it lasts.
        mended_after: Duration,
    },
    /// After so many pieces a write fails. After `mended_after` the user resumes.
    WriteError {
        /// Pieces that can be written before.
        after_pieces: u32,
        /// How long it lasts.
        mended_after: Duration,
    },
    /// When it holds so many pieces, a quarter of them is gone (the user deleted a file), which
    /// shows when one of them is read. After `mended_after` the user has all of it checked.
    Loss {
        /// Pieces it holds by then.
        at_pieces: u32,
        /// Until the user acts.
        mended_after: Duration,
    },
}

/// What became of a piece that was to be checked and written.
#[derive(Debug)]
pub(crate) enum Outcome {
    Stored { piece: PieceIndex, block_digests: Option<BlockDigests> },
    Corrupt { piece: PieceIndex, block_digests: BlockDigests },
    Fault(StorageFault),
}

#[derive(Debug)]
struct Job {
    done_at: Instant,
    piece: PieceIndex,
    contents: Vec<Option<Content>>,
    want_digests: bool,
}

/// A host's disk. See the [module](self).
#[derive(Debug)]
pub(crate) struct Disk {
    plan: DiskPlan,
    /// Blocks of unfinished pieces, in memory.
    held: BTreeMap<PieceIndex, Vec<Option<Content>>>,
    jobs: VecDeque<Job>,
    /// Written and right.
    stored: Bitfield,
    /// The last pieces written, by time: a record may not name them yet.
    recent: VecDeque<(Instant, PieceIndex)>,
    fault: FaultState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FaultState {
    /// Nothing has gone wrong so far.
    Healthy,
    /// Writes fail.
    Broken,
    /// Pieces are missing and nobody has noticed, or mended it.
    Lossy,
    /// It will not happen again.
    Mended,
}

impl Disk {
    pub(crate) fn new(plan: DiskPlan, pieces: u32) -> Self {
        Disk {
            plan,
            held: BTreeMap::new(),
            jobs: VecDeque::new(),
            stored: Bitfield::new(pieces),
            recent: VecDeque::new(),
            fault: FaultState::Healthy,
        }
    }

    /// What is written and right.
    pub(crate) fn stored(&self) -> &Bitfield {
        &self.stored
    }

    /// Puts pieces there before the run starts.
    pub(crate) fn fill(&mut self, pieces: Bitfield) {
        self.stored = pieces;
    }

    /// Whether the piece can be read.
    pub(crate) fn read(&self, piece: PieceIndex) -> Result<(), StorageFault> {
        if self.stored.get(piece) {
            Ok(())
        } else {
            Err(StorageFault::FileChanged { path: path() })
        }
    }

    /// Keeps a block of a piece of `blocks` blocks.
    pub(crate) fn keep(&mut self, piece: PieceIndex, blocks: u32, number: u32, content: Content) {
        let held = self.held.entry(piece).or_insert_with(|| vec![None; blocks as usize]);
        if let Some(slot) = held.get_mut(number as usize) {
            *slot = Some(content);
        }
    }

    /// Pieces of which blocks are in memory.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Forgets the blocks of a piece. One that is being written already is written.
    pub(crate) fn abandon(&mut self, piece: PieceIndex) {
        self.held.remove(&piece);
    }

    /// Takes on a piece to check and write; says when it will be done.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        bytes: u32,
        want_digests: bool,
    ) -> Instant {
        let start = self.jobs.back().map_or(now, |job| job.done_at.max(now));
        let done_at = start + self.plan.delay + self.plan.rate.time_for(u64::from(bytes));
        let contents = self.held.remove(&piece).unwrap_or_default();
        self.jobs.push_back(Job { done_at, piece, contents, want_digests });
        done_at
    }

    /// The first job is done.
    pub(crate) fn done(&mut self, now: Instant) -> Option<Outcome> {
        if self.jobs.front().is_none_or(|job| job.done_at > now) {
            return None;
        }
        let job = self.jobs.pop_front()?;
        let piece = job.piece;
        let Some(contents) = job.contents.iter().copied().collect::<Option<Vec<Content>>>() else {
            return Some(Outcome::Fault(StorageFault::Io {
                path: path(),
                error: "a piece was to be completed that lacks blocks".into(),
            }));
        };
        if contents.is_empty() || contents.iter().any(|content| *content != Content::TRUE) {
            return Some(Outcome::Corrupt { piece, block_digests: digests(piece, &contents) });
        }
        self.worsen();
        if self.fault == FaultState::Broken {
            return Some(Outcome::Fault(self.write_fault()));
        }
        self.stored.set(piece, true);
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) >= RECORD_INTERVAL) {
            self.recent.pop_front();
        }
        self.recent.push_back((now, piece));
        let block_digests = job.want_digests.then(|| digests(piece, &contents));
        Some(Outcome::Stored { piece, block_digests })
    }

    /// Lets the planned fault happen once its time has come.
    fn worsen(&mut self) {
        let pieces = self.stored.count_ones();
        match self.plan.fault {
            _ if self.fault != FaultState::Healthy => {}
            Some(
                DiskFault::Full { after_pieces, .. } | DiskFault::WriteError { after_pieces, .. },
            ) if pieces >= after_pieces => self.fault = FaultState::Broken,
            Some(DiskFault::Loss { at_pieces, .. }) if pieces >= at_pieces => {
                let lost: Vec<PieceIndex> = self.stored.ones().step_by(4).collect();
                for piece in lost {
                    self.stored.set(piece, false);
                }
                self.fault = FaultState::Lossy;
            }
            _ => {}
        }
    }

    fn write_fault(&self) -> StorageFault {
        match self.plan.fault {
            Some(DiskFault::Full { .. }) => StorageFault::DiskFull { path: path() },
            _ => StorageFault::Io { path: path(), error: "input/output error".into() },
        }
    }

    /// Whether pieces are gone that were there, and nobody has noticed or mended it.
    pub(crate) fn is_lossy(&self) -> bool {
        self.fault == FaultState::Lossy
    }

    /// How long the user takes to mend what has gone wrong.
    pub(crate) fn mended_after(&self) -> Duration {
        match self.plan.fault {
            Some(
                DiskFault::Full { mended_after, .. }
                | DiskFault::WriteError { mended_after, .. }
                | DiskFault::Loss { mended_after, .. },
            ) => mended_after,
            None => Duration::ZERO,
        }
    }

    /// It is in order again. Says whether its files have to be checked.
    pub(crate) fn mend(&mut self) -> bool {
        std::mem::replace(&mut self.fault, FaultState::Mended) == FaultState::Lossy
    }

    /// The process ends. What was in memory is lost; what is left on disk is less than there was
    /// if it had no time to say what it wrote.
    pub(crate) fn end_process(&mut self, now: Instant, in_time: bool) {
        self.held.clear();
        self.jobs.clear();
        let recent = std::mem::take(&mut self.recent);
        if in_time {
            return;
        }
        for (at, piece) in recent {
            if now.since(at) < RECORD_INTERVAL {
                self.stored.set(piece, false);
            }
        }
    }
}

fn path() -> String {
    "box".into()
}

/// What the blocks hash to: equal contents alike, different ones apart.
fn digests(piece: PieceIndex, contents: &[Content]) -> BlockDigests {
    let digest = |(number, content): (usize, &Content)| {
        let mut digest = Sha256Digest::ZERO;
        digest.0[..4].copy_from_slice(&piece.0.to_be_bytes());
        digest.0[4..12].copy_from_slice(&(number as u64).to_be_bytes());
        digest.0[12..16].copy_from_slice(&content.0.to_be_bytes());
        digest
    };
    contents.iter().enumerate().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: PieceIndex = PieceIndex(1);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    /// A disk of 1 MiB/s that has got two blocks.
    fn disk(fault: Option<DiskFault>, contents: [Content; 2]) -> Disk {
        let plan =
            DiskPlan { rate: Rate::kib_per_s(1024), delay: Duration::from_millis(10), fault };
        let mut disk = Disk::new(plan, 4);
        for (number, content) in contents.into_iter().enumerate() {
            disk.keep(PIECE, 2, number as u32, content);
        }
        disk
    }

    #[test]
    fn a_right_piece_is_written_in_its_time() {
        let mut disk = disk(None, [Content::TRUE; 2]);
        let done = disk.complete(at(0), PIECE, 512 * 1024, false);
        assert_eq!(done, at(510));
        assert!(disk.done(at(509)).is_none());
        assert!(matches!(disk.done(done), Some(Outcome::Stored { block_digests: None, .. })));
        assert!(disk.read(PIECE).is_ok() && disk.read(PieceIndex(0)).is_err());
    }

    #[test]
    fn a_lie_is_found_and_its_digest_differs() {
        let mut lied = disk(None, [Content::TRUE, Content(7)]);
        let done = lied.complete(at(0), PIECE, 1, true);
        let Some(Outcome::Corrupt { block_digests: wrong, .. }) = lied.done(done) else {
            panic!("it is corrupt");
        };
        assert!(!lied.stored().get(PIECE));
        let mut honest = disk(None, [Content::TRUE; 2]);
        let done = honest.complete(at(0), PIECE, 1, true);
        let Some(Outcome::Stored { block_digests: Some(right), .. }) = honest.done(done) else {
            panic!("it is right");
        };
        assert_eq!(wrong[0], right[0]);
        assert_ne!(wrong[1], right[1]);
    }

    #[test]
    fn a_full_disk_writes_again_once_there_is_room() {
        let full = DiskFault::Full { after_pieces: 0, mended_after: Duration::ZERO };
        let mut disk = disk(Some(full), [Content::TRUE; 2]);
        let done = disk.complete(at(0), PIECE, 1, false);
        let fault = disk.done(done);
        assert!(matches!(fault, Some(Outcome::Fault(StorageFault::DiskFull { .. }))), "{fault:?}");
        assert!(!disk.mend());
        (0..2).for_each(|number| disk.keep(PIECE, 2, number, Content::TRUE));
        let done = disk.complete(at(1000), PIECE, 1, false);
        assert!(matches!(disk.done(done), Some(Outcome::Stored { .. })));
    }

    #[test]
    fn a_killed_process_lacks_what_it_wrote_last() {
        let mut disk = disk(None, [Content::TRUE; 2]);
        let done = disk.complete(at(0), PIECE, 1, false);
        disk.done(done);
        let mut clean = Disk::new(DiskPlan::default(), 4);
        clean.fill(disk.stored().clone());
        disk.keep(PieceIndex(2), 2, 0, Content::TRUE);
        disk.end_process(done, false);
        assert_eq!((disk.stored().count_ones(), disk.held()), (0, 0));
        clean.end_process(done, true);
        assert_eq!(clean.stored().count_ones(), 1);
    }
}
