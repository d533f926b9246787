//! How long the other side takes to answer, and how long to wait for it (BEP 29, as RFC 6298).

use crate::utp::limits::{TIMEOUT_MAX, TIMEOUT_MIN, TIMEOUT_START};
use std::time::Duration;

/// Round trips. Only packets that were sent once are measured (Karn): of others nobody knows which one
/// was answered.
#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    smooth_us: u64,
    variance_us: u64,
    last_us: u64,
    measured: bool,
}

impl RoundTrips {
    /// Takes a measurement.
    pub(super) fn add(&mut self, took: Duration) {
        // Zero is what a clock that stands still measures.
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, 1 << 40);
        self.last_us = took;
        if !self.measured {
            *self = RoundTrips {
                smooth_us: took,
                variance_us: took / 2,
                last_us: took,
                measured: true,
            };
            return;
        }
        let off = self.smooth_us.abs_diff(took);
        self.variance_us = (self.variance_us * 3 + off) / 4;
        self.smooth_us = (self.smooth_us * 7 + took) / 8;
    }

    /// The average, if there is one.
    pub(super) fn smooth(&self) -> Option<Duration> {
        self.measured.then(|| Duration::from_micros(self.smooth_us))
    }

    /// The last one, in microseconds.
    pub(super) fn last_us(&self) -> Option<u64> {
        self.measured.then_some(self.last_us)
    }

    /// How long to wait for an answer, after `timeouts` in a row.
    pub(super) fn timeout(&self, timeouts: u8) -> Duration {
        let once = if self.measured {
            TIMEOUT_MIN.max(Duration::from_micros(self.smooth_us + 4 * self.variance_us))
        } else {
            TIMEOUT_START
        };
        once.saturating_mul(1 << timeouts.min(16)).min(TIMEOUT_MAX)
    }

    /// How long to wait before asking by sending the last packet again (RFC 8985, section 7.2: twice the
    /// round trip, and what the other side may wait before it acknowledges).
    pub(super) fn probe_timeout(&self, ack_delay: Duration) -> Duration {
        match self.smooth() {
            Some(smooth) => smooth * 2 + ack_delay * 2,
            None => TIMEOUT_START,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_follow_the_formula_and_double() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.timeout(0), Duration::from_secs(1));
        assert_eq!(trips.timeout(2), Duration::from_secs(4));
        trips.add(Duration::from_millis(400));
        assert_eq!(trips.timeout(0), Duration::from_millis(400 + 4 * 200));
        for _ in 0..100 {
            trips.add(Duration::from_millis(80));
        }
        assert_eq!(trips.timeout(0), TIMEOUT_MIN);
        assert_eq!(trips.timeout(1), TIMEOUT_MIN * 2);
        assert_eq!(trips.timeout(255), TIMEOUT_MAX);
        assert_eq!(trips.last_us(), Some(80_000));
    }
}
