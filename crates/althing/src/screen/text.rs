//! Text from strangers, made fit for a terminal: a torrent's name must not move the cursor, change
//! colours or pretend to be something else.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with everything escaped that a terminal acts on instead of showing it: control
/// characters (C0, DEL, C1, among them ESC and CSI), line and paragraph separators, and the marks
/// that turn the direction of writing, with which `gpj.exe` is made to look like `exe.jpg`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_active(char) {
            write!(escaped, "{}", char.escape_unicode()).expect("writing to a string cannot fail");
        } else {
            escaped.push(char);
        }
    }
    Cow::Owned(escaped)
}

fn is_active(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `text`, escaped and cut to `width` columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = escape(text);
    if console::measure_text_width(&text) <= width {
        return text.into_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for char in text.chars() {
        let wide = console::measure_text_width(char.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > width {
            break;
        }
        cut.push(char);
        used += wide;
    }
    cut.push('…');
    cut
}

/// `text` quoted for a POSIX shell, if it needs to be.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_reaches_the_terminal() {
        assert_eq!(escape("Füße 日本 🎉"), "Füße 日本 🎉");
        assert_eq!(escape("\x1b[2Jgone"), r"\u{1b}[2Jgone");
        assert_eq!(escape("a\nb\r\tc\u{7f}"), r"a\u{a}b\u{d}\u{9}c\u{7f}");
        assert_eq!(escape("\u{9b}31m"), r"\u{9b}31m");
        assert_eq!(escape("photo\u{202e}gpj.exe"), r"photo\u{202e}gpj.exe");
    }

    #[test]
    fn cut_counts_columns() {
        assert_eq!(cut("holiday", 7), "holiday");
        assert_eq!(cut("holiday", 6), "holid…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("\x1b[2J", 6), r"\u{1b…");
    }

    #[test]
    fn quoted_for_the_shell() {
        assert_eq!(shell_quoted("a/b-1.txt"), "a/b-1.txt");
        assert_eq!(shell_quoted(""), "''");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_quoted("magnet:?xt=1&dn=2"), "'magnet:?xt=1&dn=2'");
    }
}
