//! A worker's queue: one lane for blocks on their way in, one for blocks on their way out, one
//! for work that can wait. The lanes share the worker by bytes of work done, so none starves.

use crate::limits::{LANE_QUANTUM_BYTES, QUEUE_BYTES_MAX, QUEUE_JOBS_MAX, WAKE_BYTES};
use crate::mutex::guard;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

thread_local! {
    /// Set in the pool's own threads, which never wait for room in a queue: only they make it.
    static IN_POOL: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one of the pool's.
pub(super) fn enter_pool() {
    IN_POOL.set(true);
}

/// Which lane a job is in. Jobs of one lane are done in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// Blocks and pieces to store.
    Store,
    /// Reads for peers.
    Read,
    /// Checks.
    Background,
}

const LANES: usize = 3;

/// Whether a job's answer is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hurry {
    /// The worker is woken.
    Now,
    /// A sleeping worker is woken once enough of these have come together.
    Batch,
}

/// What is added to each job's bytes, so that a lane of jobs without any isn't free.
const JOB_COST: u64 = 1024;

/// See the module.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    work: Condvar,
    room: Condvar,
    /// Bytes of blocks waiting in all queues of the pool.
    queued: Arc<AtomicUsize>,
}

struct State<J> {
    lanes: [Waiting<J>; LANES],
    /// The `served` of the lane that was last served.
    now: u64,
    /// Bytes of blocks in the lanes.
    held: usize,
    asleep: bool,
    /// Callers that wait for room.
    waiters: usize,
    closed: bool,
}

struct Waiting<J> {
    jobs: VecDeque<Entry<J>>,
    /// Bytes of work done for this lane. The lane that had least is next.
    served: u64,
}

struct Entry<J> {
    job: J,
    /// Bytes of work.
    cost: u64,
    /// Bytes of memory that the job keeps.
    held: usize,
}

impl<J> Queue<J> {
    pub(super) fn new(queued: Arc<AtomicUsize>) -> Self {
        let state = State {
            lanes: std::array::from_fn(|_| Waiting { jobs: VecDeque::new(), served: 0 }),
            now: 0,
            held: 0,
            asleep: false,
            waiters: 0,
            closed: false,
        };
        Queue { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new(), queued }
    }

    /// Hands in a job of `cost` bytes of work that keeps `held` bytes of memory. Waits while the
    /// queue is full, unless the caller is one of the pool's own threads.
    pub(super) fn push(&self, lane: Lane, job: J, cost: u64, held: usize, hurry: Hurry) {
        let mut state = guard(&self.state);
        while !state.closed && state.is_full(lane, held) && !IN_POOL.get() {
            state.waiters += 1;
            if std::mem::take(&mut state.asleep) {
                self.work.notify_one();
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiters -= 1;
        }
        if state.closed {
            return;
        }
        let now = state.now;
        state.held += held;
        self.queued.fetch_add(held, Ordering::Relaxed);
        let waiting = &mut state.lanes[lane as usize];
        if waiting.jobs.is_empty() {
            // A lane that had nothing to do has no claim on the time it did not use.
            waiting.served = waiting.served.max(now);
        }
        waiting.jobs.push_back(Entry { job, cost: cost + JOB_COST, held });
        let wake = hurry == Hurry::Now || state.held >= WAKE_BYTES;
        if wake && std::mem::take(&mut state.asleep) {
            drop(state);
            self.work.notify_one();
        }
    }

    /// Waits for work and moves a portion of one lane's to `batch`; false once the queue is closed
    /// and empty.
    pub(super) fn take(&self, batch: &mut Vec<J>) -> bool {
        let mut state = guard(&self.state);
        loop {
            if state.portion(batch, &self.queued) {
                if state.waiters > 0 && state.has_room() {
                    self.room.notify_all();
                }
                return true;
            }
            if state.closed {
                return false;
            }
            state.asleep = true;
            while state.asleep {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Puts a job back as the next one of its lane, for the worker whose queue this is. Once the
    /// queue is closed it is dropped: what goes on and on would keep the worker from ending.
    pub(super) fn put_back(&self, lane: Lane, job: J, cost: u64) {
        let mut state = guard(&self.state);
        if state.closed {
            return;
        }
        let entry = Entry { job, cost: cost + JOB_COST, held: 0 };
        state.lanes[lane as usize].jobs.push_front(entry);
    }

    /// Forgets the jobs of a lane that `gone` picks.
    pub(super) fn forget(&self, lane: Lane, gone: impl Fn(&J) -> bool) {
        let mut state = guard(&self.state);
        let mut freed = 0;
        state.lanes[lane as usize].jobs.retain(|entry| {
            let gone = gone(&entry.job);
            freed += if gone { entry.held } else { 0 };
            !gone
        });
        state.held -= freed;
        self.queued.fetch_sub(freed, Ordering::Relaxed);
    }

    /// Lets the worker finish what is there and end.
    pub(super) fn close(&self) {
        let mut state = guard(&self.state);
        state.closed = true;
        state.asleep = false;
        drop(state);
        self.work.notify_all();
        self.room.notify_all();
    }
}

impl<J> State<J> {
    fn is_full(&self, lane: Lane, held: usize) -> bool {
        (held > 0 && self.held >= QUEUE_BYTES_MAX)
            || self.lanes[lane as usize].jobs.len() >= QUEUE_JOBS_MAX
    }

    /// Whether it is worth waking those who wait: one block's room at a time would have two threads
    /// take turns.
    fn has_room(&self) -> bool {
        self.held <= QUEUE_BYTES_MAX / 2
            && self.lanes.iter().all(|lane| lane.jobs.len() <= QUEUE_JOBS_MAX / 2)
    }

    /// Moves up to a quantum of the next lane's jobs to `batch`; says whether there was any.
    fn portion(&mut self, batch: &mut Vec<J>, queued: &AtomicUsize) -> bool {
        let next = self.lanes.iter_mut().filter(|lane| !lane.jobs.is_empty());
        let Some(lane) = next.min_by_key(|lane| lane.served) else { return false };
        self.now = lane.served;
        let mut cost = 0;
        let mut held = 0;
        while cost < LANE_QUANTUM_BYTES
            && let Some(entry) = lane.jobs.pop_front()
        {
            cost += entry.cost;
            held += entry.held;
            batch.push(entry.job);
        }
        lane.served += cost;
        self.held -= held;
        queued.fetch_sub(held, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const KIB: u64 = 1024;

    fn queue() -> Queue<u32> {
        Queue::new(Arc::default())
    }

    fn push(queue: &Queue<u32>, lane: Lane, jobs: impl IntoIterator<Item = u32>, cost: u64) {
        jobs.into_iter().for_each(|job| queue.push(lane, job, cost, 0, Hurry::Now));
    }

    fn take(queue: &Queue<u32>) -> Vec<u32> {
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        batch
    }

    #[test]
    fn lanes_share_by_the_work_they_cause_and_keep_their_order() {
        let queue = queue();
        push(&queue, Lane::Store, 0..1000, 16 * KIB);
        push(&queue, Lane::Read, 1000..1010, 256 * KIB);
        push(&queue, Lane::Background, [2000], 4096 * KIB);
        let mut order = Vec::new();
        while order.len() < 1011 {
            order.extend(take(&queue));
        }
        let at = |job| order.iter().position(|&other| other == job).unwrap();
        // Sixteen blocks are as much work as one large read, and the check has its turn at once.
        for number in 0..10 {
            let blocks = order[..at(1000 + number)].iter().filter(|&&job| job < 1000).count();
            assert!((15 * number..=17 * (number + 1)).contains(&(blocks as u32)), "{blocks}");
        }
        assert!(at(2000) < 50);
        order.retain(|&job| job < 1000);
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_lane_that_was_idle_has_no_claim_on_the_past() {
        let queue = queue();
        push(&queue, Lane::Store, 0..100, 1024 * KIB);
        (0..100).for_each(|job| assert_eq!(take(&queue), [job]));
        push(&queue, Lane::Read, 200..220, 1024 * KIB);
        push(&queue, Lane::Store, 100..110, 1024 * KIB);
        let order: Vec<u32> = (0..20).flat_map(|_| take(&queue)).collect();
        assert_eq!(order.iter().filter(|&&job| job < 200).count(), 10);
    }

    #[test]
    fn what_is_put_back_is_next_and_what_is_forgotten_is_gone() {
        let queue = queue();
        push(&queue, Lane::Background, [1, 2], 1024 * KIB);
        assert_eq!(take(&queue), [1]);
        queue.put_back(Lane::Background, 1, 1024 * KIB);
        assert_eq!(take(&queue), [1]);
        queue.push(Lane::Store, 3, 0, 100, Hurry::Now);
        queue.push(Lane::Store, 4, 0, 100, Hurry::Now);
        assert_eq!(queue.queued.load(Ordering::Relaxed), 200);
        queue.forget(Lane::Store, |job| *job == 3);
        queue.forget(Lane::Read, |_| true);
        assert_eq!(queue.queued.load(Ordering::Relaxed), 100);
        let mut rest = [take(&queue), take(&queue)].concat();
        rest.sort_unstable();
        assert_eq!(rest, [2, 4]);
        assert_eq!(queue.queued.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_full_queue_holds_up_its_callers_and_loses_nothing() {
        let queue = &queue();
        let block = 1 << 20;
        let count = 4 * (QUEUE_BYTES_MAX / block) as u32;
        let mut all = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                (0..count).for_each(|job| queue.push(Lane::Store, job, 0, block, Hurry::Batch));
                queue.close();
            });
            let mut batch = Vec::new();
            while queue.take(&mut batch) {
                assert!(queue.queued.load(Ordering::Relaxed) <= QUEUE_BYTES_MAX);
                all.append(&mut batch);
            }
        });
        assert_eq!(all, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn a_closed_queue_is_worked_off_and_takes_no_more() {
        let queue = queue();
        push(&queue, Lane::Read, [1], 0);
        queue.close();
        push(&queue, Lane::Read, [2], 0);
        queue.put_back(Lane::Read, 3, 0);
        assert_eq!(take(&queue), [1]);
        assert!(!queue.take(&mut Vec::new()));
    }
}
