//! The one place that reads clocks. Machines are told the time; everything else in this crate asks
//! here, so that all shards and tasks of a process share one origin.

use crate::config::{Day, LocalTime};
use althing_base::{Instant, UnixTime};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// Distance from the process's first reading to [`Instant::ORIGIN`], so that machines may subtract
/// from the current time without running into the clock's beginning.
const HEAD_START: Duration = Duration::from_secs(3600);

#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
fn origin() -> std::time::Instant {
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(std::time::Instant::now)
}

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn now() -> Instant {
    let origin = origin();
    Instant::ORIGIN + HEAD_START + std::time::Instant::now().saturating_duration_since(origin)
}

/// The wall clock's time; 1970 if the clock is set before that.
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn unix_now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// What the clock on the wall shows here. The time zone is asked for anew now and then, so that a
/// traveller's machine and a change to summer time are followed.
pub fn local_now() -> LocalTime {
    let now = jiff::Timestamp::from_second(unix_now().as_secs()).unwrap_or_default();
    let local = now.to_zoned(jiff::tz::TimeZone::system());
    let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    LocalTime {
        day: Day::ALL[day % Day::ALL.len()],
        minute: u16::from(local.hour().unsigned_abs()) * 60
            + u16::from(local.minute().unsigned_abs()),
    }
}

/// When tokio has to wake someone who waits for `at`.
pub(crate) fn deadline(at: Instant) -> tokio::time::Instant {
    let after_origin = at.since(Instant::ORIGIN + HEAD_START);
    let std = origin().checked_add(after_origin).unwrap_or_else(|| origin() + FAR_FUTURE);
    tokio::time::Instant::from_std(std)
}

/// Waits until `at`; for ever if there is no such time.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(deadline(at)).await,
        None => std::future::pending().await,
    }
}

/// Longer than any process runs; stands for instants the operating system cannot express.
const FAR_FUTURE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_instant_it_was_made_from() {
        let before = now();
        let waits = deadline(before + Duration::from_secs(5)) - deadline(before);
        assert_eq!(waits, Duration::from_secs(5));
        assert!(now() >= before);
        // Far beyond what the system can express, still no panic.
        assert!(deadline(Instant::from_nanos(u64::MAX)) > deadline(before));
    }

    #[test]
    fn the_wall_clock_is_past_2020() {
        assert!(unix_now().as_secs() > 1_577_836_800);
    }
}
