//! The threads and what they share.

use super::buffers::Buffers;
use super::flush::{self, Task};
use super::job::Job;
use super::queue::{Hurry, Lane, Queue};
use super::torrent::{Opening, Torrent};
use super::worker::Worker;
use crate::files::{Descriptors, DiskFiles, Files, Slot};
use crate::limits::{
    CONGESTED_PERCENT, HELD_BYTES_MAX, IDLE_BUFFER_BYTES_MAX, OPEN_FILES_MAX, QUEUE_CONGESTED_BYTES,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

/// How large a pool is.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Threads that hash, read and write. Default: one for each core.
    pub workers: usize,
    /// Bytes of unfinished pieces in memory before they are written early. Default:
    /// [`HELD_BYTES_MAX`].
    pub held_bytes_max: usize,
    /// Bytes of buffers for reads that are kept for reuse. Default: [`IDLE_BUFFER_BYTES_MAX`].
    pub idle_read_bytes_max: usize,
    /// Files open at a time. Default: [`OPEN_FILES_MAX`].
    pub open_files_max: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            workers: thread::available_parallelism().map_or(1, usize::from),
            held_bytes_max: HELD_BYTES_MAX,
            idle_read_bytes_max: IDLE_BUFFER_BYTES_MAX,
            open_files_max: OPEN_FILES_MAX,
        }
    }
}

/// What a pool has in use right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gauges {
    /// Bytes of blocks that wait to be hashed.
    pub queued_bytes: usize,
    /// Bytes of blocks of unfinished pieces in memory.
    pub held_bytes: usize,
    /// Bytes of blocks that were written before their piece was complete, to free memory, since
    /// the start.
    pub spilled_bytes: u64,
    /// Bytes of buffers for reads, in use or kept for reuse.
    pub read_buffer_bytes: usize,
    /// Files open.
    pub open_files: usize,
}

/// The threads that hash, read and write for all torrents.
///
/// Dropping it finishes the work that was handed in, but for checks, and ends the threads; handles
/// of torrents that are still there do nothing any more.
pub struct Pool {
    inner: Arc<Inner>,
    workers: Vec<JoinHandle<()>>,
    flusher: Option<JoinHandle<()>>,
    next_slot: AtomicU64,
}

/// What the threads share.
pub(super) struct Inner {
    queues: Vec<Queue<Job>>,
    descriptors: Descriptors,
    pub(super) buffers: Arc<Buffers>,
    flusher: Sender<Task>,
    queued: Arc<AtomicUsize>,
    pub(super) held: AtomicUsize,
    pub(super) spilled: AtomicU64,
    pub(super) held_max: usize,
    /// For each worker whether it has been asked to make room and has not begun yet.
    room_wanted: Vec<AtomicBool>,
}

impl Inner {
    pub(super) fn queues(&self) -> &[Queue<Job>] {
        &self.queues
    }

    /// The queue for all work that has this number.
    pub(super) fn queue_of(&self, number: u64) -> &Queue<Job> {
        &self.queues[(number % self.queues.len() as u64) as usize]
    }

    /// Asks the other workers to write what they hold early: this one has done what it can, and they
    /// may have nothing to do that would make them look.
    pub(super) fn ask_for_room(&self, but: usize) {
        let others = self.queues.iter().zip(&self.room_wanted).enumerate();
        for (_, (queue, wanted)) in others.filter(|(number, _)| *number != but) {
            if !wanted.swap(true, Ordering::AcqRel) {
                queue.push(Lane::Store, Job::MakeRoom, 0, 0, Hurry::Now);
            }
        }
    }

    /// The worker begins to make room.
    pub(super) fn makes_room(&self, number: usize) {
        if let Some(wanted) = self.room_wanted.get(number) {
            wanted.store(false, Ordering::Release);
        }
    }

    pub(super) fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// Hands a task to the flushing thread.
    pub(super) fn flush(&self, task: Task) {
        // An error means that the pool has ended, and then nobody waits.
        let _ = self.flusher.send(task);
    }
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub fn new(config: &PoolConfig) -> io::Result<Pool> {
        Self::with_files(config, Arc::new(DiskFiles))
    }

    /// Starts the threads on another file system than the real one.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub fn with_files(config: &PoolConfig, files: Arc<dyn Files>) -> io::Result<Pool> {
        let queued = Arc::new(AtomicUsize::new(0));
        let (flusher, tasks) = mpsc::channel();
        let count = config.workers.max(1);
        let inner = Arc::new(Inner {
            queues: (0..count).map(|_| Queue::new(Arc::clone(&queued))).collect(),
            descriptors: Descriptors::new(files, config.open_files_max),
            buffers: Arc::new(Buffers::new(config.idle_read_bytes_max)),
            flusher,
            queued,
            held: AtomicUsize::new(0),
            spilled: AtomicU64::new(0),
            held_max: config.held_bytes_max,
            room_wanted: (0..count).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut pool = Pool {
            inner: Arc::clone(&inner),
            workers: Vec::with_capacity(count),
            flusher: None,
            next_slot: AtomicU64::new(0),
        };
        for number in 0..count {
            let worker = Worker::new(Arc::clone(&inner), number);
            let thread = thread::Builder::new().name(format!("pieces-{number}"));
            pool.workers.push(thread.spawn(move || worker.run())?);
        }
        let thread = thread::Builder::new().name("pieces-flush".to_owned());
        pool.flusher = Some(thread.spawn(move || flush::run(&inner, &tasks))?);
        Ok(pool)
    }

    /// Opens a torrent. Touches no file.
    pub fn open(&self, opening: Opening) -> Torrent {
        let slot = Slot(self.next_slot.fetch_add(1, Ordering::Relaxed));
        Torrent::open(Arc::clone(&self.inner), slot, opening)
    }

    /// Whether so many blocks wait, to be hashed or to be written, that it is time to stop reading
    /// from sockets for a moment. Whoever asks before each read keeps the memory of blocks within
    /// [`CONGESTED_PERCENT`] of the budget, and what that one read brings.
    pub fn is_congested(&self) -> bool {
        let queued = self.inner.queued.load(Ordering::Relaxed);
        let held = self.inner.held.load(Ordering::Relaxed);
        queued >= QUEUE_CONGESTED_BYTES
            || queued + held >= self.inner.held_max / 100 * CONGESTED_PERCENT
    }

    /// What is in use right now.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            queued_bytes: self.inner.queued.load(Ordering::Relaxed),
            held_bytes: self.inner.held.load(Ordering::Relaxed),
            spilled_bytes: self.inner.spilled.load(Ordering::Relaxed),
            read_buffer_bytes: self.inner.buffers.allocated(),
            open_files: self.inner.descriptors.len(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.queues.iter().for_each(Queue::close);
        // A sink may own the pool and be dropped in one of its threads, which can't wait for
        // itself.
        let here = thread::current().id();
        let join = |thread: JoinHandle<()>| {
            if thread.thread().id() != here {
                let _ = thread.join();
            }
        };
        self.workers.drain(..).for_each(join);
        self.inner.flush(Task::Stop);
        self.flusher.take().into_iter().for_each(join);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("gauges", &self.gauges()).finish_non_exhaustive()
    }
}
