//! What a server's answer means (RFC 9110): the head of a response against the range that was asked
//! for.

use super::limits::{RETRY_SECONDS_MAX, SKIP_BYTES_MAX};
use althing_base::time::Duration;
use std::ops::Range;

/// The head of an answer, as far as it matters. Header values are the server's own words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// `Content-Range`.
    pub content_range: Option<String>,
    /// `Content-Length`, in bytes.
    pub content_length: Option<u64>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Date`.
    pub date: Option<String>,
}

/// What to do with an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Pass over `skip` bytes of the body, then take the range's first `len`. The body may go on
    /// after that: it is the rest of the file.
    Take { skip: u64, len: u64, whole: bool },
    /// This file cannot be had from here.
    NoFile(String),
    /// Nothing can be had from here now; after that time perhaps.
    Failure { words: String, wait: Option<Duration> },
}

/// A `Content-Range` of bytes: the first, one past the last, and the length of the whole, if they
/// are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContentRange {
    /// The bytes that the body has; `None` in an answer that has none of them (416).
    pub range: Option<(u64, u64)>,
    /// The length of the whole file.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads the header's value; `None` if it is anything else than bytes, or contradicts itself.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, rest) = value.trim().split_once([' ', '\t'])?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, total) = rest.trim().split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            digits => Some(number(digits)?),
        };
        let range = match range.trim() {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let (first, end) = (number(first.trim())?, number(last.trim())?.checked_add(1)?);
                Some((first, end)).filter(|_| first < end)
            }
            .map(Some)?,
        };
        let fits = match (range, total) {
            (Some((_, end)), Some(total)) => end <= total,
            (None, None) => false,
            _ => true,
        };
        fits.then_some(ContentRange { range, total })
    }
}

/// Decimal digits and nothing else.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

/// Judges the answer to a request for `range` of a file of `size` bytes.
pub(super) fn judge(head: &Head, range: &Range<u64>, size: u64) -> Verdict {
    let failure = |words: String| Verdict::Failure { words, wait: None };
    let encoded = head.content_encoding.as_deref().map(str::trim);
    if let Some(encoding) = encoded.filter(|e| !e.is_empty() && !e.eq_ignore_ascii_case("identity"))
        && matches!(head.status, 200 | 206)
    {
        // The bytes of the range would be those of the compressed file.
        return Verdict::NoFile(format!("it sends {encoding} instead of the file"));
    }
    match head.status {
        206 => partial(head, range, size),
        200 => whole(head, range, size),
        401 | 403 | 404 | 410 | 416 | 451 => {
            Verdict::NoFile(format!("HTTP status {}", head.status))
        }
        429 | 503 => Verdict::Failure {
            words: format!("HTTP status {}", head.status),
            wait: retry_after(head),
        },
        status => failure(format!("HTTP status {status}")),
    }
}

fn partial(head: &Head, range: &Range<u64>, size: u64) -> Verdict {
    let failure = |words: &str| Verdict::Failure { words: words.to_owned(), wait: None };
    let Some(said) = head.content_range.as_deref() else {
        return failure("it does not say which part of the file it sends");
    };
    let Some(ContentRange { range: Some((first, end)), total }) = ContentRange::parse(said) else {
        return failure("its Content-Range makes no sense");
    };
    if total.is_some_and(|total| total != size) {
        return Verdict::NoFile("the file there has another size".to_owned());
    }
    if first != range.start || end > range.end {
        return failure("it sends another part of the file than was asked for");
    }
    let len = end - first;
    if head.content_length.is_some_and(|said| said != len) {
        return failure("its Content-Range and Content-Length differ");
    }
    Verdict::Take { skip: 0, len, whole: false }
}

/// A server that knows no ranges sends everything.
fn whole(head: &Head, range: &Range<u64>, size: u64) -> Verdict {
    if head.content_length.is_some_and(|said| said != size) {
        return Verdict::NoFile("the file there has another size".to_owned());
    }
    if range.start > SKIP_BYTES_MAX {
        return Verdict::NoFile("it sends whole files only, and this one is large".to_owned());
    }
    Verdict::Take { skip: range.start, len: range.end - range.start, whole: true }
}

/// How long the server wants to be left alone: seconds, or a date beside its own clock's.
fn retry_after(head: &Head) -> Option<Duration> {
    let value = head.retry_after.as_deref()?.trim();
    let seconds = match number(value) {
        Some(seconds) => seconds,
        None => http_date(value)?.saturating_sub(http_date(head.date.as_deref()?)?),
    };
    Some(Duration::from_secs(seconds.min(RETRY_SECONDS_MAX)))
}

/// Seconds since 1970 of a date in the form that servers have to send (RFC 9110, 5.6.7):
/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.trim().split_once(", ")?.1.split(' ');
    let day = number(words.next()?).filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64;
    let year = number(words.next()?).filter(|year| (1970..10_000).contains(year))?;
    let mut time = words.next()?.split(':').map(number);
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    if words.next() != Some("GMT") || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let since_1970 = days.checked_sub(719_469)?;
    Some(since_1970 * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(status: u16, range: &str, length: Option<u64>) -> Head {
        let content_range = (!range.is_empty()).then(|| range.to_owned());
        Head { status, content_range, content_length: length, ..Head::default() }
    }

    #[test]
    fn content_ranges() {
        let parse = |text| ContentRange::parse(text).map(|r| (r.range, r.total));
        assert_eq!(parse("bytes 0-0/1"), Some((Some((0, 1)), Some(1))));
        assert_eq!(parse("Bytes  5-9/*"), Some((Some((5, 10)), None)));
        assert_eq!(parse("bytes */10"), Some((None, Some(10))));
        for wrong in [
            "",
            "bytes",
            "bytes 1-2",
            "bytes 2-1/9",
            "bytes 0-9/9",
            "bytes -1-2/9",
            "lines 0-1/2",
            "bytes +1-2/9",
            "bytes 0-18446744073709551615/*",
            "bytes */*",
            "bytes 0-/9",
            "bytes 1-2/x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn answers_are_judged() {
        let judge = |head: Head| match judge(&head, &(100..200), 1000) {
            Verdict::Take { skip, len, whole } => format!("take {skip} {len} {whole}"),
            Verdict::NoFile(_) => "no file".to_owned(),
            Verdict::Failure { wait, .. } => format!("failure {:?}", wait.map(|w| w.as_secs())),
        };
        assert_eq!(judge(head(206, "bytes 100-199/1000", Some(100))), "take 0 100 false");
        assert_eq!(judge(head(206, "bytes 100-199/*", None)), "take 0 100 false");
        // Less than was asked for is a part, more or something else is not.
        assert_eq!(judge(head(206, "bytes 100-149/1000", None)), "take 0 50 false");
        assert_eq!(judge(head(206, "bytes 100-200/1000", None)), "failure None");
        assert_eq!(judge(head(206, "bytes 0-99/1000", None)), "failure None");
        assert_eq!(judge(head(206, "bytes 100-199/1000", Some(99))), "failure None");
        assert_eq!(judge(head(206, "bytes 100-199/999", None)), "no file");
        assert_eq!(judge(head(206, "", Some(100))), "failure None");
        assert_eq!(judge(head(200, "", Some(1000))), "take 100 100 true");
        assert_eq!(judge(head(200, "", None)), "take 100 100 true");
        assert_eq!(judge(head(200, "", Some(999))), "no file");
        for status in [401, 403, 404, 410, 416, 451] {
            assert_eq!(judge(head(status, "", None)), "no file");
        }
        for status in [0, 100, 204, 301, 400, 500, 502, 999] {
            assert_eq!(judge(head(status, "", None)), "failure None");
        }
        let later = |value: &str, date: Option<&str>| {
            let (retry_after, date) = (Some(value.to_owned()), date.map(str::to_owned));
            judge(Head { retry_after, date, ..head(503, "", None) })
        };
        assert_eq!(later("120", None), "failure Some(120)");
        assert_eq!(later("99999999999", None), "failure Some(86400)");
        let (now, then) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:51:37 GMT");
        assert_eq!(later(then, Some(now)), "failure Some(120)");
        assert_eq!(later(now, Some(then)), "failure Some(0)");
        assert_eq!(later("soon", Some(now)), "failure None");
        let zipped = Head {
            content_encoding: Some("gzip".to_owned()),
            ..head(206, "bytes 100-199/1000", Some(100))
        };
        assert_eq!(judge(zipped), "no file");
    }

    #[test]
    fn a_large_file_is_not_read_from_its_start() {
        let far = SKIP_BYTES_MAX + 1;
        let verdict = judge(&head(200, "", None), &(far..far + 1), far + 10);
        assert!(matches!(verdict, Verdict::NoFile(_)));
    }

    #[test]
    fn dates() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(http_date("Sunday, 06-Nov-94 08:49:37 GMT"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_no_more_is_taken_than_was_asked_for(
            status in prop_oneof![Just(200u16), Just(206), any::<u16>()],
            range in prop_oneof![".*", "bytes [0-9]{1,3}-[0-9]{1,3}/([0-9]{1,4}|\\*)"],
            length in proptest::option::of(0..2000u64),
            retry_after in proptest::option::of(".*"),
            start in 0..500u64, len in 1..500u64,
        ) {
            let head = Head {
                status, content_range: Some(range), content_length: length,
                content_encoding: None, retry_after: retry_after.clone(), date: retry_after,
            };
            let asked = start..start + len;
            if let Verdict::Take { skip, len, whole } = judge(&head, &asked, 1000) {
                prop_assert!(len > 0 && len <= asked.end - asked.start);
                let expected_skip = if whole { start } else { 0 };
                prop_assert_eq!((whole, skip), (status == 200, expected_skip));
            }
        }
    }
}
