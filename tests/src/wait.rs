//! The one place where a test waits for something outside itself.

use std::time::{Duration, Instant};

/// How often a condition is looked at again.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Milliseconds resolution wall time, for limits and for figures.
#[expect(clippy::disallowed_methods, reason = "real processes run on real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks at `condition` until it gives a value, at most `limit` long; `None` when that ran out.
pub fn poll<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if now() >= end {
            return None;
        }
        std::thread::sleep(POLL_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_never_holds_ends_at_the_limit() {
        let start = now();
        let mut looks = 0;
        let found: Option<()> = poll(Duration::from_millis(60), || {
            looks += 1;
            None
        });
        assert!(found.is_none());
        assert!(looks >= 2, "it was looked at {looks} times");
        assert!(start.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn a_condition_that_holds_ends_at_once() {
        let mut looks = 0;
        let found = poll(Duration::from_secs(3600), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Some(3));
    }
}
