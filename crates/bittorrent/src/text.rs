//! What strangers write for people to read: names, errors, comments.

/// At most `chars_max` characters of `bytes` as UTF-8, with what a terminal would obey or an eye
/// would misread replaced: control characters, and those that turn the direction of text or have
/// no width.
pub(crate) fn printable(bytes: &[u8], chars_max: usize) -> String {
    // A character takes at most four bytes, so the rest need not be decoded.
    let head = bytes.get(..chars_max.saturating_mul(4)).unwrap_or(bytes);
    String::from_utf8_lossy(head)
        .chars()
        .take(chars_max)
        .map(|c| if c.is_control() || is_format(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(printable(bytes, 8), expected);
    }

    #[test]
    fn what_is_replaced() {
        check(b"plain", "plain");
        check("µ€🦀".as_bytes(), "µ€🦀");
        check(b"a\x1b[31m\r\n", "a\u{fffd}[31m\u{fffd}\u{fffd}");
        check("a\u{202e}b\u{200b}\u{feff}".as_bytes(), "a\u{fffd}b\u{fffd}\u{fffd}");
        check(b"a\xffb", "a\u{fffd}b");
        check(b"0123456789", "01234567");
        check("🦀".repeat(9).as_bytes(), &"🦀".repeat(8));
    }

    proptest! {
        #[test]
        fn always_short_and_harmless(bytes: Vec<u8>) {
            let text = printable(&bytes, 8);
            prop_assert!(text.chars().count() <= 8);
            prop_assert!(!text.chars().any(|c| c.is_control() || is_format(c)));
        }
    }
}
