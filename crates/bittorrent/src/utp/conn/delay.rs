//! How long the queue of a path is, from differences between two clocks that agree on nothing (RFC
//! 6817, section 3.4.2; BEP 29).
//!
//! A sample is the receiver's clock less the sender's: what the path takes plus a constant nobody
//! knows. The smallest sample of some minutes is the base; what a sample has more is queue.

use crate::utp::limits::{BASE_DELAY_MINUTES, DELAY_SAMPLES, DRIFT_MAX_US};
use althing_base::Instant;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The delays of one direction, in microseconds that wrap.
#[derive(Debug)]
pub(super) struct Delays {
    /// The smallest sample of each of the last minutes, the present one first; empty before the first
    /// sample.
    minutes: [Option<u32>; BASE_DELAY_MINUTES],
    minute_ends: Instant,
    /// The last samples, with the base taken off.
    recent: [u32; DELAY_SAMPLES],
    next: usize,
}

/// Whether `a` is smaller than `b` on a circle.
fn less(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Delays {
    pub(super) fn new() -> Self {
        Delays {
            minutes: [None; BASE_DELAY_MINUTES],
            minute_ends: Instant::ORIGIN,
            recent: [u32::MAX; DELAY_SAMPLES],
            next: 0,
        }
    }

    /// The smallest sample of the last minutes.
    pub(super) fn base(&self) -> Option<u32> {
        self.minutes.iter().flatten().copied().reduce(|a, b| if less(b, a) { b } else { a })
    }

    /// Takes a sample; says by how much the base fell.
    pub(super) fn add(&mut self, now: Instant, sample: u32) -> u32 {
        if now >= self.minute_ends {
            self.turn(now);
        }
        let before = self.base();
        let [present, ..] = &mut self.minutes;
        if present.is_none_or(|least| less(sample, least)) {
            *present = Some(sample);
        }
        let base = match before {
            Some(base) if !less(sample, base) => base,
            _ => sample,
        };
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = sample.wrapping_sub(base);
        }
        self.next = (self.next + 1) % DELAY_SAMPLES;
        match before {
            Some(before) => before.wrapping_sub(base),
            None => 0,
        }
    }

    /// A minute is over: the oldest goes. After a long silence nothing of before counts.
    fn turn(&mut self, now: Instant) {
        let silent = now.since(self.minute_ends).as_secs() / MINUTE.as_secs();
        if silent >= BASE_DELAY_MINUTES as u64 {
            self.minutes = [None; BASE_DELAY_MINUTES];
        } else {
            self.minutes.rotate_right(1);
            let [present, ..] = &mut self.minutes;
            *present = None;
        }
        self.minute_ends = now + MINUTE;
    }

    /// The queue now, in microseconds: the least of the last few samples, as a single one may have
    /// waited for a processor rather than for the path.
    pub(super) fn queue(&self) -> Option<u32> {
        let least = self.recent.iter().copied().min()?;
        (least != u32::MAX).then_some(least)
    }

    /// The clocks drift apart: the other direction's base fell by `fall` without its path having become
    /// shorter, so this one's rises.
    pub(super) fn drifted(&mut self, fall: u32) {
        if (1..=DRIFT_MAX_US).contains(&fall) {
            for least in self.minutes.iter_mut().flatten() {
                *least = least.wrapping_add(fall);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn the_queue_is_what_is_above_the_least_also_where_the_clock_wraps() {
        for offset in [0u32, 5_000_000, u32::MAX - 60_000, 0x7fff_fff0] {
            let mut delays = Delays::new();
            assert_eq!(delays.queue(), None);
            for sample in [70_000u32, 50_000, 90_000, 120_000, 95_000, 80_000] {
                delays.add(at(1000), sample.wrapping_add(offset));
            }
            assert_eq!(delays.base(), Some(50_000u32.wrapping_add(offset)));
            assert_eq!(delays.queue(), Some(30_000));
        }
    }

    #[test]
    fn a_base_that_is_not_seen_again_is_forgotten() {
        let mut delays = Delays::new();
        delays.add(at(1000), 50_000);
        for second in 1000..1000 + 60 * (BASE_DELAY_MINUTES as u64) {
            delays.add(at(second), 80_000);
            assert_eq!(delays.base(), Some(50_000));
        }
        for second in 0..61 {
            delays.add(at(1000 + 60 * (BASE_DELAY_MINUTES as u64) + second), 80_000);
        }
        assert_eq!(delays.base(), Some(80_000));
        delays.add(at(100_000), 200_000);
        assert_eq!(delays.base(), Some(200_000));
    }

    /// One clock is a thousandth of a percent fast: without correction the base of that direction would
    /// lag behind by what drifts in minutes.
    #[test]
    fn drift_is_taken_out() {
        let (mut ours, mut theirs) = (Delays::new(), Delays::new());
        for second in 0..600u32 {
            let drift = second * 100;
            let now = at(1000 + u64::from(second));
            ours.add(now, 1_000_000 + 20_000 + drift);
            let fall = theirs.add(now, 500_000u32.wrapping_add(20_000).wrapping_sub(drift));
            ours.drifted(fall);
        }
        assert!(ours.queue().unwrap() <= 200, "{:?}", ours.queue());
    }
}
