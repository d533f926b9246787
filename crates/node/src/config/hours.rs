//! Hours of the week in which other rate limits hold.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One table `[[limits.schedule]]`: limits for certain hours, in local time. Of several that hold at a
/// time the first is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The days on which they begin; empty means every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When they begin, `HH:MM`.
    pub from: TimeOfDay,
    /// When they end, `HH:MM`; on the next day, if that is not after `from`.
    pub to: TimeOfDay,
    /// KiB a second that may be sent; 0 is no limit.
    #[serde(default)]
    pub upload_kib_s: u32,
    /// KiB a second that may be received; 0 is no limit.
    #[serde(default)]
    pub download_kib_s: u32,
}

impl Hours {
    /// Whether they hold at a local time.
    pub fn hold(&self, now: LocalTime) -> bool {
        let begins = |day: Day| self.days.is_empty() || self.days.contains(&day);
        let (from, to, minute) = (self.from.0, self.to.0, now.minute);
        if from < to {
            begins(now.day) && (from..to).contains(&minute)
        } else {
            // Past midnight they are those that began the day before.
            (begins(now.day) && minute >= from) || (begins(now.day.before()) && minute < to)
        }
    }
}

/// A moment of the week, as the clock on the wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The day.
    pub day: Day,
    /// Minutes since midnight, 0 to 1439.
    pub minute: u16,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are the days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// From Monday.
    pub const ALL: [Day; 7] =
        [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

    fn before(self) -> Day {
        Day::ALL[(self as usize + 6) % 7]
    }
}

/// A time of day in minutes since midnight, written `HH:MM`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is no time of day; write 08:30");
        let (hours, minutes) = text.split_once(':').ok_or_else(problem)?;
        let number = |text: &str, below: u16| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().filter(|number| *number < below)
        };
        let hours: u16 = number(hours, 24).ok_or_else(problem)?;
        Ok(TimeOfDay(hours * 60 + number(minutes, 60).ok_or_else(problem)?))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> TimeOfDay {
        text.parse().expect("a time")
    }

    fn hours(days: &[Day], from: &str, to: &str) -> Hours {
        Hours {
            days: days.to_vec(),
            from: time(from),
            to: time(to),
            upload_kib_s: 1,
            download_kib_s: 1,
        }
    }

    fn check(hours: &Hours, day: Day, at: &str, expected: bool) {
        let now = LocalTime { day, minute: time(at).0 };
        assert_eq!(hours.hold(now), expected, "{hours:?} at {now:?}");
    }

    #[test]
    fn within_a_day() {
        let work = hours(&[Day::Mon, Day::Fri], "08:00", "17:30");
        check(&work, Day::Mon, "08:00", true);
        check(&work, Day::Fri, "17:29", true);
        check(&work, Day::Fri, "17:30", false);
        check(&work, Day::Mon, "07:59", false);
        check(&work, Day::Tue, "12:00", false);
    }

    #[test]
    fn over_midnight_and_over_the_week() {
        let night = hours(&[Day::Sun], "22:00", "06:00");
        check(&night, Day::Sun, "22:00", true);
        check(&night, Day::Mon, "05:59", true);
        check(&night, Day::Sun, "05:00", false);
        check(&night, Day::Mon, "23:00", false);
        let always = hours(&[], "00:00", "00:00");
        Day::ALL.iter().for_each(|day| check(&always, *day, "13:00", true));
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time("9:05").to_string(), "09:05");
        for wrong in ["", "24:00", "12:60", "12", "1:-1", "+1:00", "aa:bb", "1:"] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }
}
