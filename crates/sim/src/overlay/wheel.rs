//! What is going to happen, in order of time: a wheel of short spans for what is near, which costs the same
//! however much there is, and a heap for what is far.

use althing_base::Instant;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A span is 2 to the power of this in nanoseconds: 1 ms.
const SPAN_BITS: u32 = 20;

/// Spans on the wheel: a turn is 2.1 s, longer than what is sent is under way.
const SPANS: usize = 2_048;

/// Something that is going to happen.
pub(super) struct Entry<T> {
    pub(super) at: Instant,
    /// No two of one instant have the same, and the lower comes first.
    pub(super) number: u64,
    pub(super) what: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// The earliest is the greatest, because the heap gives out the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Events by time; those of one instant by their numbers.
pub(super) struct Wheel<T> {
    spans: Vec<Vec<Entry<T>>>,
    /// The span that is being worked off, counted from the beginning of time.
    current: u64,
    /// What is left of it, the earliest last.
    today: Vec<Entry<T>>,
    far: BinaryHeap<Entry<T>>,
    on_wheel: usize,
}

fn span(at: Instant) -> u64 {
    at.as_nanos() >> SPAN_BITS
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Wheel {
            spans: (0..SPANS).map(|_| Vec::new()).collect(),
            current: 0,
            today: Vec::new(),
            far: BinaryHeap::new(),
            on_wheel: 0,
        }
    }

    /// Schedules something, not before what has been taken last.
    pub(super) fn put(&mut self, entry: Entry<T>) {
        let span = span(entry.at);
        if span <= self.current {
            let at = self.today.partition_point(|other| other.key() > entry.key());
            self.today.insert(at, entry);
        } else if span < self.current + SPANS as u64 {
            self.spans[span as usize % SPANS].push(entry);
            self.on_wheel += 1;
        } else {
            self.far.push(entry);
        }
    }

    /// The next event, if it is due by `until`.
    pub(super) fn pop(&mut self, until: Instant) -> Option<Entry<T>> {
        while self.today.is_empty() {
            if self.current >= span(until) {
                return None;
            }
            self.current += 1;
            if self.on_wheel == 0 {
                // Nothing is near: on to what is far, or to the end.
                let next = self.far.peek().map_or(u64::MAX, |entry| span(entry.at));
                self.current = self.current.max(next.min(span(until)));
            }
            let horizon = self.current + SPANS as u64;
            while self.far.peek().is_some_and(|entry| span(entry.at) < horizon) {
                if let Some(entry) = self.far.pop() {
                    self.put(entry);
                }
            }
            let turned = &mut self.spans[self.current as usize % SPANS];
            self.on_wheel -= turned.len();
            self.today.append(turned);
            self.today.sort_unstable();
        }
        let is_due = self.today.last().is_some_and(|entry| entry.at <= until);
        if is_due { self.today.pop() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};

    #[test]
    fn by_time_then_by_number() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut wheel = Wheel::new();
        let mut expected = Vec::new();
        let mut order = Vec::new();
        let mut now = 0;
        for number in 0..5_000u64 {
            // Near, far, and many at one instant.
            let ahead = [0, 1, 90_000_000, 5_000_000_000][rng.index(4)];
            let at = now + rng.below(ahead + 1) / 1_000 * 1_000;
            wheel.put(Entry { at: Instant::from_nanos(at), number, what: () });
            expected.push((at, number));
            if rng.chance(0.5) {
                let until = Instant::from_nanos(now + rng.below(40_000_000));
                if let Some(Entry { at, number, .. }) = wheel.pop(until) {
                    assert!(at <= until);
                    order.push((at.as_nanos(), number));
                    now = at.as_nanos();
                } else {
                    now = until.as_nanos();
                }
            }
        }
        let rest = Instant::from_nanos(now + 10_000_000_000);
        while let Some(Entry { at, number, .. }) = wheel.pop(rest) {
            order.push((at.as_nanos(), number));
        }
        expected.sort_unstable();
        assert_eq!(order, expected);
    }
}
