//! How much may be under way: LEDBAT (RFC 6817, BEP 29), which gives way to whoever fills the path's
//! queue, with two things from its successor (draft-irtf-iccrg-ledbat-plus-plus): windows grow alike
//! and shrink in proportion, so that flows come to share, and a queue that never
//! empties is emptied now and then, so that who came late does not take the others' queue for the
//! length of the path.

use crate::utp::limits::{
    AFTER_LOSS_PERCENT, AFTER_STRAY_LOSS_PERCENT, GAIN_BYTES, LOW_DELAY, SLOW_START_DELAY,
    SLOWDOWN_EVERY, TARGET_DELAY, WINDOW_MIN_PACKETS, WINDOW_START_BYTES, WINDOW_START_PACKETS,
};
use althing_base::Instant;
use std::time::Duration;

const TARGET_US: u64 = TARGET_DELAY.as_micros() as u64;
const LOW_US: u64 = LOW_DELAY.as_micros() as u64;
const SLOW_START_US: u64 = SLOW_START_DELAY.as_micros() as u64;

/// The end of slow start on a path of which nothing is known.
const UNKNOWN: u64 = u64::MAX;

/// The congestion window.
#[derive(Debug)]
pub(super) struct Congestion {
    /// In 256ths of a byte.
    window: u64,
    slow_start: bool,
    /// Where slow start ends, in bytes.
    threshold: u64,
    /// When the queue was last seen nearly empty, or emptied on purpose.
    low_at: Instant,
    /// The window is held at its least until then.
    held_until: Option<Instant>,
}

/// An acknowledgement, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    /// Bytes that it acknowledged.
    pub(super) bytes: u64,
    /// Bytes that were under way before it.
    pub(super) under_way: u64,
    /// The path's queue in microseconds, if it is known.
    pub(super) queue_us: Option<u64>,
    /// Bytes of a packet.
    pub(super) packet: u64,
    /// The average round trip.
    pub(super) round_trip: Duration,
}

impl Congestion {
    pub(super) fn new(now: Instant, packet: u64) -> Self {
        let start = (packet * WINDOW_START_PACKETS).min(WINDOW_START_BYTES);
        Congestion {
            window: start << 8,
            slow_start: true,
            threshold: UNKNOWN,
            low_at: now,
            held_until: None,
        }
    }

    /// Bytes that may be under way.
    pub(super) fn window(&self) -> u64 {
        self.window >> 8
    }

    fn set(&mut self, window: u64, packet: u64) {
        self.window = window.max(packet * WINDOW_MIN_PACKETS) << 8;
    }

    /// Something arrived.
    pub(super) fn acked(&mut self, now: Instant, acked: Acked) {
        let Acked { bytes, under_way, queue_us, packet, round_trip } = acked;
        let queue = queue_us.unwrap_or(0);
        if queue < LOW_US && queue_us.is_some() {
            self.low_at = now;
        }
        match self.held_until {
            Some(until) if now < until => return,
            Some(_) => {
                (self.held_until, self.slow_start, self.low_at) = (None, true, now);
                return;
            }
            None => {}
        }
        if !self.slow_start && now.since(self.low_at) >= SLOWDOWN_EVERY {
            self.threshold = self.window();
            self.set(0, packet);
            self.held_until = Some(now + round_trip * 2);
            return;
        }
        // Who does not use what there is learns nothing about what there could be.
        let limited = under_way + packet >= self.window();
        if self.slow_start {
            if queue >= SLOW_START_US {
                self.slow_start = false;
                if self.threshold == UNKNOWN {
                    // What was sent since this packet was is as much again.
                    self.set(self.window() / 2, packet);
                }
                self.threshold = self.window();
            } else if limited {
                self.window += bytes << 8;
                if self.window() >= self.threshold {
                    self.slow_start = false;
                }
            }
            return;
        }
        let bytes = bytes.min(under_way);
        if limited {
            let gain = GAIN_BYTES.max(packet) << 8;
            self.window += gain * bytes / under_way.max(packet);
        }
        if queue > TARGET_US {
            // By the part of the window by which the queue is too long, in a round trip; by half at
            // most. Where that is as much as the gain, all flows of a path have equal windows.
            let excess = (queue - TARGET_US).min(TARGET_US / 2);
            let less = (bytes << 8) * excess / TARGET_US;
            let least = (packet * WINDOW_MIN_PACKETS) << 8;
            self.window = self.window.saturating_sub(less).max(least);
        }
    }

    /// Something was lost, for the first time since what was under way at the last loss arrived.
    pub(super) fn lost(&mut self, queue_us: Option<u64>, packet: u64) {
        let left = match queue_us {
            Some(queue) if queue < LOW_US => AFTER_STRAY_LOSS_PERCENT,
            _ => AFTER_LOSS_PERCENT,
        };
        self.set(self.window() * left / 100, packet);
        self.slow_start = false;
        self.threshold = self.window();
    }

    /// Nothing is heard any more.
    pub(super) fn timed_out(&mut self, packet: u64) {
        if self.held_until.take().is_none() {
            self.threshold = (self.window() / 2).max(packet * WINDOW_MIN_PACKETS);
        }
        self.slow_start = true;
        self.set(0, packet);
    }

    /// Nothing was sent for a while: what the window was says little about what it should be.
    pub(super) fn rested(&mut self, now: Instant, packet: u64) {
        let start = (packet * WINDOW_START_PACKETS).min(WINDOW_START_BYTES);
        if self.window() > start && self.held_until.is_none() {
            self.threshold = self.window();
            self.set(start, packet);
            self.slow_start = true;
        }
        self.low_at = now;
    }

    /// Packets have grown: at least two go into the window.
    pub(super) fn packets_are(&mut self, packet: u64) {
        self.window = self.window.max((packet * WINDOW_MIN_PACKETS) << 8);
    }

    /// There is nothing to be had from a window larger than this.
    pub(super) fn cap(&mut self, bytes: u64) {
        self.window = self.window.min(bytes << 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 1_452;

    fn at(ms: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(1_000_000 + ms)
    }

    fn acked(bytes: u64, under_way: u64, queue_ms: u64) -> Acked {
        Acked {
            bytes,
            under_way,
            queue_us: Some(queue_ms * 1000),
            packet: PACKET,
            round_trip: Duration::from_millis(50),
        }
    }

    #[test]
    fn slow_start_doubles_and_ends_when_the_queue_grows() {
        let mut congestion = Congestion::new(at(0), PACKET);
        assert_eq!(congestion.window(), PACKET * 10);
        congestion.acked(at(50), acked(PACKET * 10, PACKET * 10, 0));
        assert_eq!(congestion.window(), PACKET * 20);
        congestion.acked(at(100), acked(PACKET * 20, PACKET * 20, 74));
        assert_eq!(congestion.window(), PACKET * 40);
        congestion.acked(at(150), acked(PACKET * 40, PACKET * 40, 75));
        assert_eq!(congestion.window(), PACKET * 20);
        congestion.acked(at(200), acked(PACKET * 20, PACKET * 20, 50));
        assert_eq!(congestion.window(), PACKET * 20 + 3_000);
    }

    #[test]
    fn it_grows_up_to_the_target_and_shrinks_by_what_is_beyond() {
        for (queue, percent) in [(0, 0), (90, 0), (100, 0), (110, 10), (150, 50), (1000, 50)] {
            let mut congestion = Congestion::new(at(0), PACKET);
            congestion.lost(None, PACKET);
            congestion.window = 1_000_000 << 8;
            congestion.acked(at(1), acked(1_000_000, 1_000_000, queue));
            assert_eq!(congestion.window(), 1_003_000 - 10_000 * percent, "{queue} ms");
        }
    }

    #[test]
    fn who_does_not_fill_the_window_does_not_grow_it() {
        let mut congestion = Congestion::new(at(0), PACKET);
        congestion.acked(at(50), acked(PACKET, PACKET * 2, 0));
        assert_eq!(congestion.window(), PACKET * 10);
    }

    #[test]
    fn losses_halve_or_less_and_two_packets_are_left() {
        let mut congestion = Congestion::new(at(0), PACKET);
        congestion.window = 1_000_000 << 8;
        congestion.lost(Some(60_000), PACKET);
        assert_eq!(congestion.window(), 500_000);
        congestion.lost(Some(1_000), PACKET);
        assert_eq!(congestion.window(), 350_000);
        for _ in 0..20 {
            congestion.lost(None, PACKET);
        }
        assert_eq!(congestion.window(), 2 * PACKET);
        congestion.timed_out(PACKET);
        assert_eq!(congestion.window(), 2 * PACKET);
        congestion.acked(at(50), acked(PACKET * 2, PACKET * 2, 0));
        assert_eq!(congestion.window(), 4 * PACKET);
    }

    #[test]
    fn a_queue_that_never_empties_is_emptied() {
        let mut congestion = Congestion::new(at(0), PACKET);
        congestion.acked(at(0), acked(PACKET * 10, PACKET * 10, 80));
        congestion.window = 1_000_000 << 8;
        let mut held = Vec::new();
        for ms in (0..70_000).step_by(50) {
            let window = congestion.window();
            congestion.acked(at(ms), acked(window, window, window / 10_000));
            if congestion.window() == 2 * PACKET {
                held.push(ms);
            }
        }
        assert!(held.first().is_some_and(|first| (30_000..40_000).contains(first)), "{held:?}");
        assert!(held.len() < 10, "{held:?}");
    }
}
