//! What is to be looked up and published when: no clock, no network, no chance but a seed.

use crate::limits::{FOLLOW_RETRY, FOLLOW_RETRY_MAX, LOOK_UP_INTERVAL, PUT_INTERVAL};
use althing_base::{Instant, Rng, Seed};
use althing_bittorrent::metainfo::Feed;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Something that comes up again and again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Job {
    /// Put our own item.
    Publish(Feed),
    /// See whether what is followed has changed.
    LookUp(Feed),
}

impl Job {
    fn interval(&self) -> Duration {
        match self {
            Job::Publish(_) => PUT_INTERVAL,
            Job::LookUp(_) => LOOK_UP_INTERVAL,
        }
    }
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    failures: u32,
}

/// All jobs, and when each is due.
#[derive(Debug)]
pub(super) struct Schedule {
    jobs: BTreeMap<Job, Entry>,
    rng: Rng,
}

impl Schedule {
    pub(super) fn new(seed: Seed) -> Self {
        Schedule { jobs: BTreeMap::new(), rng: Rng::new(seed) }
    }

    /// These are all jobs there are from now on. New ones are due at once.
    pub(super) fn set(&mut self, now: Instant, jobs: BTreeSet<Job>) {
        self.jobs.retain(|job, _| jobs.contains(job));
        for job in jobs {
            self.jobs.entry(job).or_insert(Entry { due: now, failures: 0 });
        }
    }

    /// A job is due now, whenever it was last done.
    pub(super) fn hurry(&mut self, now: Instant, job: Job) {
        self.jobs.insert(job, Entry { due: now, failures: 0 });
    }

    /// A job is not due before its time has passed once: it has been done already.
    pub(super) fn begin(&mut self, now: Instant, job: Job) {
        let due = now + self.spread(job.interval());
        self.jobs.insert(job, Entry { due, failures: 0 });
    }

    /// The job that is due longest.
    pub(super) fn due(&self, now: Instant) -> Option<Job> {
        let (job, entry) = self.jobs.iter().min_by_key(|(_, entry)| entry.due)?;
        (entry.due <= now).then(|| job.clone())
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.jobs.values().map(|entry| entry.due).min()
    }

    /// A job has been done, or not.
    pub(super) fn done(&mut self, now: Instant, job: &Job, worked: bool) {
        let interval = self.spread(job.interval());
        // It may be gone by now.
        let Some(entry) = self.jobs.get_mut(job) else { return };
        if worked {
            (entry.failures, entry.due) = (0, now + interval);
        } else {
            let pause = FOLLOW_RETRY * 2u32.saturating_pow(entry.failures.min(16));
            entry.failures = entry.failures.saturating_add(1);
            entry.due = now + pause.min(FOLLOW_RETRY_MAX).min(interval);
        }
    }

    /// Up to a fifth less: what began together comes apart, and never later than it should.
    fn spread(&mut self, interval: Duration) -> Duration {
        interval.mul_f64(1.0 - self.rng.unit() / 5.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u8) -> Job {
        Job::LookUp(Feed { key: [number; 32], salt: Vec::new() })
    }

    fn ours() -> Job {
        Job::Publish(Feed { key: [9; 32], salt: Vec::new() })
    }

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn everything_at_the_start_and_then_each_in_its_time() {
        let mut schedule = Schedule::new(Seed::from_u64(1));
        assert_eq!((schedule.due(at(5)), schedule.next()), (None, None));
        schedule.set(at(5), [job(1), job(2), ours()].into());
        let mut done = BTreeMap::<Job, Vec<u64>>::new();
        for now in 5..36_000 {
            while let Some(job) = schedule.due(at(now)) {
                schedule.done(at(now), &job, true);
                done.entry(job).or_default().push(now);
            }
        }
        assert_eq!(done.len(), 3);
        for (job, times) in done {
            assert_eq!(times.first(), Some(&5));
            let most = job.interval().as_secs() + 1;
            let fits = |pair: &[u64]| (most * 4 / 5 - 1..=most).contains(&(pair[1] - pair[0]));
            assert!(times.windows(2).all(fits), "{job:?} {times:?}");
        }
    }

    #[test]
    fn what_fails_is_tried_soon_and_then_less_and_less_often() {
        let mut schedule = Schedule::new(Seed::from_u64(1));
        schedule.set(at(0), [ours()].into());
        let mut tries = Vec::new();
        for now in 0..1200 {
            if let Some(job) = schedule.due(at(now)) {
                tries.push(now);
                schedule.done(at(now), &job, false);
            }
        }
        assert_eq!(tries, [0, 5, 15, 35, 75, 155, 315, 615, 915]);
        // Once it works it begins with five seconds again.
        schedule.hurry(at(1200), ours());
        schedule.done(at(1200), &ours(), true);
        assert!(schedule.next() > Some(at(1200 + 2800)));
    }

    #[test]
    fn what_is_gone_is_not_done() {
        let mut schedule = Schedule::new(Seed::from_u64(1));
        schedule.set(at(0), [job(1), job(2)].into());
        schedule.set(at(1), [job(2)].into());
        schedule.done(at(1), &job(1), true);
        assert_eq!(schedule.due(at(1)), Some(job(2)));
        schedule.begin(at(1), job(2));
        assert_eq!(schedule.due(at(600)), None);
        schedule.hurry(at(600), job(2));
        assert_eq!(schedule.due(at(600)), Some(job(2)));
    }
}
