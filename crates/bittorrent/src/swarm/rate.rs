//! Bytes a second over the last seconds, from counts.

use super::limits::RATE_WINDOW_S;
use althing_base::Instant;
use althing_base::time::Duration;

const SLOTS: usize = RATE_WINDOW_S as usize + 1;

/// A meter younger than this has no two whole seconds to look back at.
const YOUNG_FOR: Duration = Duration::from_secs(3);

/// Counts bytes by the second. The current second is left out of rates, so that a rate read at its
/// start does not sag.
#[derive(Clone, Debug, Default)]
pub(super) struct RateMeter {
    slots: [u32; SLOTS],
    /// The second that the newest slot counts.
    second: u64,
    /// When the first byte came: a young meter divides by its age.
    first: Option<Instant>,
    total_bytes: u64,
}

impl RateMeter {
    fn second_of(now: Instant) -> u64 {
        now.as_nanos() / 1_000_000_000
    }

    fn advance(&mut self, now: Instant) {
        let second = Self::second_of(now);
        let gap = second.saturating_sub(self.second).min(SLOTS as u64);
        for step in 1..=gap {
            let slot = (self.second + step) as usize % SLOTS;
            self.slots[slot] = 0;
        }
        if gap == SLOTS as u64 {
            self.slots = [0; SLOTS];
        }
        self.second = self.second.max(second);
    }

    pub(super) fn add(&mut self, now: Instant, bytes: u32) {
        self.advance(now);
        let slot = &mut self.slots[self.second as usize % SLOTS];
        *slot = slot.saturating_add(bytes);
        self.first.get_or_insert(now);
        self.total_bytes += u64::from(bytes);
    }

    /// Bytes a second of late, good from the first moments on: over the last two whole seconds, or
    /// if it is younger since the first byte (at least a quarter of a second).
    pub(super) fn pace(&self, now: Instant) -> u64 {
        let Some(first) = self.first else { return 0 };
        let age = now.since(first);
        if age >= YOUNG_FOR {
            return self.rate(now, 2);
        }
        let millis = age.as_millis().max(250) as u64;
        self.total_bytes.saturating_mul(1000) / millis
    }

    /// All bytes ever counted.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes a second over the last `window_s` whole seconds, or over the meter's age if it is
    /// younger (at least one second).
    pub(super) fn rate(&self, now: Instant, window_s: u64) -> u64 {
        let Some(first) = self.first else { return 0 };
        let second = Self::second_of(now);
        let window = window_s.min(SLOTS as u64 - 1);
        let age_s = second.saturating_sub(Self::second_of(first));
        if age_s == 0 {
            return u64::from(self.slots[self.second as usize % SLOTS]);
        }
        let span = window.min(age_s);
        let bytes: u64 = (1..=span)
            .filter_map(|back| second.checked_sub(back))
            .filter(|s| *s <= self.second && self.second - s < SLOTS as u64)
            .map(|s| u64::from(self.slots[s as usize % SLOTS]))
            .sum();
        bytes / span.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn steady_flow_and_its_end() {
        let mut meter = RateMeter::default();
        for tick in 0..100 {
            meter.add(at(tick * 100), 10);
        }
        assert_eq!(meter.rate(at(10_000), 5), 100);
        assert_eq!(meter.rate(at(10_000), 20), 100);
        // Five seconds of silence: a quarter of the last 20 s is missing, and all of the last 3.
        assert_eq!(meter.rate(at(15_000), 3), 0);
        assert_eq!(meter.rate(at(15_000), 15), 66);
        assert_eq!(meter.rate(at(1_000_000), 20), 0);
        assert_eq!(meter.total_bytes(), 1000);
    }

    #[test]
    fn a_pace_is_known_within_a_moment() {
        let mut meter = RateMeter::default();
        assert_eq!(meter.pace(at(900)), 0);
        for tick in 0..400 {
            meter.add(at(900 + tick * 10), 10);
            let expected = if tick < 25 { 40..=1000 } else { 900..=1100 };
            assert!(expected.contains(&meter.pace(at(900 + tick * 10))), "{tick}");
        }
        assert_eq!(meter.pace(at(20_000)), 0);
    }

    #[test]
    fn a_young_meter_divides_by_its_age() {
        let mut meter = RateMeter::default();
        meter.add(at(5_000), 500);
        assert_eq!(meter.rate(at(5_100), 20), 500);
        assert_eq!(meter.rate(at(7_100), 20), 250);
    }
}
