//! A token bucket: so much a second, with a burst.

use crate::time::{Duration, Instant};

/// Lets through `rate` tokens a second on average and at most `burst` at once.
///
/// What a token is (a byte, a message, a request) is up to the owner. A clock that jumps, either way,
/// makes it let through one more burst or wait for as long as a fill takes, and no more than that.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: u64,
    burst: u64,
    /// Tokens in billionths, so that slow rates fill smoothly at any polling interval.
    nano_tokens: u128,
    filled_at: Instant,
}

const NANOS: u128 = 1_000_000_000;

impl TokenBucket {
    /// A full bucket of `burst` tokens, refilled with `rate` tokens a second.
    pub fn new(now: Instant, rate: u64, burst: u64) -> Self {
        TokenBucket { rate, burst, nano_tokens: u128::from(burst) * NANOS, filled_at: now }
    }

    /// How long an empty bucket takes to fill.
    fn fill_time(&self) -> Duration {
        let nanos = (u128::from(self.burst) * NANOS).checked_div(u128::from(self.rate));
        let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
        Duration::from_nanos(nanos.unwrap_or(u64::MAX))
    }

    fn refill(&mut self, now: Instant) {
        // Whoever comes with a clock read a moment ago brings no tokens. A clock that has gone back by
        // more than a fill was wrong before: waiting for it to get there again could take for ever.
        if now < self.filled_at && self.filled_at.since(now) > self.fill_time() {
            self.filled_at = now;
        }
        let elapsed = now.since(self.filled_at);
        if elapsed > Duration::ZERO {
            self.filled_at = now;
            let added = elapsed.as_nanos().saturating_mul(u128::from(self.rate));
            self.nano_tokens =
                self.nano_tokens.saturating_add(added).min(u128::from(self.burst) * NANOS);
        }
    }

    /// Takes `amount` tokens if there are as many; says whether it did.
    pub fn take(&mut self, now: Instant, amount: u64) -> bool {
        self.refill(now);
        let wanted = u128::from(amount) * NANOS;
        let enough = self.nano_tokens >= wanted;
        if enough {
            self.nano_tokens -= wanted;
        }
        enough
    }

    /// Refills differently from now on. What is there stays, as far as the new burst goes.
    pub fn set_rate(&mut self, now: Instant, rate: u64, burst: u64) {
        self.refill(now);
        (self.rate, self.burst) = (rate, burst);
        self.nano_tokens = self.nano_tokens.min(u128::from(burst) * NANOS);
    }

    /// Puts tokens back that were taken and not used.
    pub fn give_back(&mut self, amount: u64) {
        let returned = u128::from(amount) * NANOS;
        self.nano_tokens =
            self.nano_tokens.saturating_add(returned).min(u128::from(self.burst) * NANOS);
    }

    /// Tokens there are now.
    pub fn available(&mut self, now: Instant) -> u64 {
        self.refill(now);
        (self.nano_tokens / NANOS) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn average_rate_holds_over_any_interval() {
        let mut bucket = TokenBucket::new(Instant::ORIGIN, 10, 5);
        let mut taken = 0;
        for millis in 0..10_000u64 {
            let now = Instant::from_nanos(millis * 1_000_000);
            while bucket.take(now, 1) {
                taken += 1;
            }
        }
        // The burst of 5 at the start, then 10 a second for 9.999 s.
        assert_eq!(taken, 5 + 99);
    }

    #[test]
    fn what_is_given_back_and_what_stays_are_bounded_by_the_burst() {
        let mut bucket = TokenBucket::new(Instant::ORIGIN, 10, 5);
        assert!(bucket.take(Instant::ORIGIN, 4));
        bucket.give_back(2);
        assert_eq!(bucket.available(Instant::ORIGIN), 3);
        bucket.give_back(u64::MAX);
        assert_eq!(bucket.available(Instant::ORIGIN), 5);
        bucket.set_rate(Instant::ORIGIN, 1, 2);
        assert_eq!(bucket.available(Instant::ORIGIN), 2);
        bucket.set_rate(Instant::ORIGIN, 1, 9);
        assert_eq!(bucket.available(Instant::ORIGIN + Duration::from_secs(1)), 3);
    }

    #[test]
    fn takes_all_or_nothing() {
        let mut bucket = TokenBucket::new(Instant::ORIGIN, 1, 3);
        assert!(!bucket.take(Instant::ORIGIN, 4));
        assert!(bucket.take(Instant::ORIGIN, 3));
        assert_eq!(bucket.available(Instant::ORIGIN), 0);
    }

    fn any_instant() -> impl Strategy<Value = u64> {
        // Near each other, and anywhere.
        prop_oneof![0..30 * NANOS as u64, any::<u64>()]
    }

    proptest! {
        /// Wherever time has been: within a fill it flows again, and within two it is full.
        #[test]
        fn a_clock_that_jumps_does_not_stop_it(
            rate in 1..1000_u64,
            burst in 1..5000_u64,
            history in proptest::collection::vec((any_instant(), 0..6000_u64), 0..20),
            now in 0..u64::MAX / 2,
        ) {
            let mut bucket = TokenBucket::new(Instant::ORIGIN, rate, burst);
            for (at, amount) in history {
                bucket.take(Instant::from_nanos(at), amount);
            }
            let now = Instant::from_nanos(now);
            bucket.available(now);
            let fill = bucket.fill_time();
            let token = Duration::from_nanos((NANOS as u64).div_ceil(rate));
            prop_assert!(bucket.clone().take(now + fill + token, 1));
            prop_assert!(bucket.take(now + fill * 2 + token, burst));
        }

        /// Clocks that are read a moment before or after each other bring no more than time does.
        #[test]
        fn clocks_a_little_apart_do_not_fill_it_sooner(
            steps in proptest::collection::vec(0..1_000_000_000_u64, 1..50),
            behind in 0..4_000_000_000_u64,
        ) {
            let (rate, burst) = (10, 50);
            let mut bucket = TokenBucket::new(Instant::ORIGIN, rate, burst);
            let (mut now, mut taken) = (Instant::ORIGIN, 0);
            for step in steps {
                now += Duration::from_nanos(step);
                let earlier = Instant::from_nanos(now.as_nanos().saturating_sub(behind));
                for at in [now, earlier] {
                    let there = bucket.available(at);
                    prop_assert!(bucket.take(at, there));
                    taken += there;
                }
            }
            let passed = u128::from(rate) * now.since(Instant::ORIGIN).as_nanos() / NANOS;
            prop_assert!(u128::from(taken) <= u128::from(burst) + passed);
        }
    }
}
