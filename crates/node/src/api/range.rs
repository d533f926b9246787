//! Ranges of bytes that a client asks for (RFC 9110, section 14).

use http::{HeaderMap, header};
use std::ops::Range;

/// What part of a representation is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// All of it: no range was asked for, or none that is understood.
    All,
    /// These bytes, of which there is at least one.
    Part(Range<u64>),
    /// A range that begins past the end.
    Nothing,
}

/// Reads `Range` and `If-Range` of a request for `size` bytes that are named by the strong `etag`.
/// Several ranges at once, other units and what makes no sense are as if they were not there, which
/// RFC 9110 allows.
pub(super) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE) else { return Wanted::All };
    // Also if it is a date: content that hashes name never changes, and has none.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Wanted::All;
    }
    let parsed = range.trim().strip_prefix("bytes=").and_then(|spec| parse(spec.trim(), size));
    match parsed {
        None => Wanted::All,
        Some(range) if range.is_empty() => Wanted::Nothing,
        Some(range) => Wanted::Part(range),
    }
}

/// One range; empty if it begins past the end.
fn parse(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let number = |text: &str| {
        // Digits alone: `parse` would take a sign, too. What does not fit is past any end.
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let length = number(last)?;
        return Some(size.saturating_sub(length)..size);
    }
    let first = number(first)?;
    let end = match last {
        "" => size,
        last => {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(size)
        }
    };
    Some(first.min(end)..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(range: &str, expected: &Wanted) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        assert_eq!(wanted(&headers, 1000, "\"x\""), *expected, "{range}");
    }

    #[test]
    fn ranges_as_rfc_9110_has_them() {
        check("bytes=0-499", &Wanted::Part(0..500));
        check("bytes=500-999", &Wanted::Part(500..1000));
        check("bytes=-500", &Wanted::Part(500..1000));
        check("bytes=950-", &Wanted::Part(950..1000));
        check("bytes=0-0", &Wanted::Part(0..1));
        check("bytes=-1", &Wanted::Part(999..1000));
        check("bytes=0-", &Wanted::Part(0..1000));
        check("bytes=900-99999999999999999999999", &Wanted::Part(900..1000));
        check("bytes=-5000", &Wanted::Part(0..1000));
        check("bytes=1000-", &Wanted::Nothing);
        check("bytes=99999999999999999999999-", &Wanted::Nothing);
        check("bytes=-0", &Wanted::Nothing);
        for ignored in [
            "bytes=0-1,5-6",
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "items=0-1",
        ] {
            check(ignored, &Wanted::All);
        }
    }

    #[test]
    fn an_if_range_must_be_met() {
        let mut headers = HeaderMap::new();
        assert_eq!(wanted(&headers, 10, "\"x\""), Wanted::All);
        headers.insert(header::RANGE, "bytes=1-2".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"x\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"x\""), Wanted::Part(1..3));
        assert_eq!(wanted(&headers, 0, "\"x\""), Wanted::Nothing);
        for other in ["\"y\"", "W/\"x\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            headers.insert(header::IF_RANGE, other.parse().unwrap());
            assert_eq!(wanted(&headers, 10, "\"x\""), Wanted::All, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_within(text in "bytes=[0-9]{0,5}-[0-9]{0,5}", size in 0..2000u64) {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            if let Wanted::Part(range) = wanted(&headers, size, "") {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
