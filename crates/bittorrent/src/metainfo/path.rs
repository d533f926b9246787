//! File names from strangers, made safe: whatever a torrent says, what comes out is an ordinary
//! name in the folder that the user chose. Where several results would be safe it is libtorrent's,
//! so that files fetched by other clients are found again.

use super::limits::NAME_SIZE_MAX;

/// Which names are safe depends on where they are used.
///
/// What holds everywhere is done everywhere: no `.`, `..` or empty name, no `/`, `\`, NUL, control
/// character, invalid UTF-8, or character that turns the direction of writing, and no name of more
/// than 255 bytes. A name that only Windows cannot have is left alone elsewhere, because it is a
/// good name there ("R.E.M.", "aux.c") and the file may exist already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameRules {
    /// Linux, macOS and their kin.
    Unix,
    /// Also no drive letters and alternate streams (`:`), no `<>"|?*`, no device names (`CON`,
    /// `nul.txt`), no dots or spaces at the end.
    Windows,
}

impl NameRules {
    /// The rules of the platform this was built for.
    pub const NATIVE: NameRules = if cfg!(windows) { NameRules::Windows } else { NameRules::Unix };

    /// A safe name as close as possible to `name`; `None` if nothing is left of it but dots.
    pub(super) fn sanitize(self, name: &[u8]) -> Option<String> {
        let mut safe = String::with_capacity(name.len());
        let mut rest = name;
        while !rest.is_empty() {
            // Each invalid byte becomes one character, as libtorrent has it.
            let valid = match std::str::from_utf8(rest) {
                Ok(valid) => valid,
                Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
            };
            safe.extend(valid.chars().filter(|&c| !is_dropped(c)).map(|c| self.replace(c)));
            rest = &rest[valid.len()..];
            if let Some((_, after)) = rest.split_first() {
                safe.push('_');
                rest = after;
            }
        }
        if safe.len() <= 2 && safe.bytes().all(|byte| byte == b'.') {
            return None;
        }
        shorten(&mut safe);
        if self == NameRules::Windows {
            let end = safe.trim_end_matches(['.', ' ']).len();
            safe.truncate(end);
            if is_device(&safe) {
                safe.insert(0, '_');
                shorten(&mut safe);
            }
        }
        (!safe.is_empty()).then_some(safe)
    }

    /// Like [`sanitize`](Self::sanitize), with `_` for a name of which nothing is left.
    pub(super) fn sanitize_or_underscore(self, name: &[u8]) -> String {
        self.sanitize(name).unwrap_or_else(|| "_".to_owned())
    }

    fn replace(self, c: char) -> char {
        let forbidden = c.is_control()
            || (self == NameRules::Windows && matches!(c, '<' | '>' | '"' | '|' | '?' | '*' | ':'));
        if forbidden { '_' } else { c }
    }
}

/// Bytes of a name that is too long which are kept before its extension; libtorrent's figure.
const CUT_AT: usize = 240;

/// An extension longer than this, in bytes with its dot, is not kept; libtorrent's figure.
const EXTENSION_SIZE_MAX: usize = 9;

/// Cuts a name that is too long for file systems, but keeps its extension.
fn shorten(name: &mut String) {
    if name.len() <= NAME_SIZE_MAX {
        return;
    }
    let cut = (CUT_AT..name.len()).find(|&at| name.is_char_boundary(at)).unwrap_or(name.len());
    let extension = name
        .rfind('.')
        .filter(|&dot| dot > cut && name.len() - dot <= EXTENSION_SIZE_MAX)
        .map(|dot| name[dot..].to_owned());
    name.truncate(cut);
    name.push_str(extension.as_deref().unwrap_or_default());
}

/// As much of the start of `text` as fits into `size` bytes.
pub(super) fn cut(text: &str, size: usize) -> &str {
    let end = (0..=size.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// Characters that simply vanish: separators, NUL, and those that turn the direction of writing,
/// with which `gpj.exe` is shown as `exe.jpg`.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '/' | '\\' | '\0'
        | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Names that mean a device on Windows, whatever extension follows.
fn is_device(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let base = base.to_ascii_uppercase();
    match base.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CLOCK$" | "CONIN$" | "CONOUT$" => true,
        other => ["COM", "LPT"].iter().any(|port| {
            other.strip_prefix(port).is_some_and(|digit| {
                matches!(digit, "\u{b9}" | "\u{b2}" | "\u{b3}")
                    || (digit.len() == 1 && digit.bytes().all(|byte| byte.is_ascii_digit()))
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(rules: NameRules, name: &[u8], expected: Option<&str>) {
        let shown = name.escape_ascii();
        assert_eq!(rules.sanitize(name).as_deref(), expected, "{rules:?} {shown}");
    }

    #[test]
    fn everywhere() {
        for rules in [NameRules::Unix, NameRules::Windows] {
            check(rules, b"bar.txt", Some("bar.txt"));
            check(rules, b"", None);
            check(rules, b".", None);
            check(rules, b"..", None);
            check(rules, b"/../", None);
            check(rules, b"..\\", None);
            check(rules, b"foo/../../../bar", Some("foo......bar"));
            check(rules, b"\\est2", Some("est2"));
            check(rules, b"a\0b\x01\x7f\xc2\x85", Some("ab___"));
            check(rules, b"\xff\xfea\xc3", Some("__a_"));
            check(rules, "\u{202e}gpj.exe\u{2066}".as_bytes(), Some("gpj.exe"));
            check(rules, "e\u{301}\u{1f600}".as_bytes(), Some("e\u{301}\u{1f600}"));
        }
    }

    #[test]
    fn where_windows_differs() {
        let both = |name: &[u8], unix, windows| {
            check(NameRules::Unix, name, unix);
            check(NameRules::Windows, name, windows);
        };
        both(b"C:\\x", Some("C:x"), Some("C_x"));
        both(b"a.txt:stream", Some("a.txt:stream"), Some("a.txt_stream"));
        both(b"What? *<\">|", Some("What? *<\">|"), Some("What_ _____"));
        both(b"R.E.M.", Some("R.E.M."), Some("R.E.M"));
        both(b"end. . ", Some("end. . "), Some("end"));
        both(b"...", Some("..."), None);
        both(b" ", Some(" "), None);
        both(b"con", Some("con"), Some("_con"));
        both(b"Aux.tar.gz", Some("Aux.tar.gz"), Some("_Aux.tar.gz"));
        both(b"nul .txt", Some("nul .txt"), Some("_nul .txt"));
        both(b"NUL.", Some("NUL."), Some("_NUL"));
        both(b"com1.x", Some("com1.x"), Some("_com1.x"));
        both("LPT\u{b2}".as_bytes(), Some("LPT\u{b2}"), Some("_LPT\u{b2}"));
        both(b"com10", Some("com10"), Some("com10"));
        both(b"console", Some("console"), Some("console"));
    }

    #[test]
    fn names_too_long_keep_their_extension() {
        let long = "x".repeat(300);
        let cut = "x".repeat(240);
        check(NameRules::Unix, format!("{long}.mp4").as_bytes(), Some(&format!("{cut}.mp4")));
        check(NameRules::Unix, format!("{long}.extension").as_bytes(), Some(&cut));
        check(NameRules::Unix, &long.as_bytes()[..255], Some(&long[..255]));
        let wide = "\u{1f600}".repeat(80);
        check(
            NameRules::Unix,
            format!("a{wide}.mp4").as_bytes(),
            Some(&format!("a{}.mp4", &wide[..240])),
        );
    }

    fn any_name() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => Just(&b"."[..]),
            2 => prop::sample::select(vec![
                &b"/"[..], b"\\", b":", b" ", b"\0", b"CON", b"com1", b"\xff", b"\xe2\x80\xae", b"*",
                b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ]),
            1 => prop::sample::select(vec![&b"a"[..], b"B", b"~", b"$", b"\xc3\xa9"]),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(name in any_name()) {
            for rules in [NameRules::Unix, NameRules::Windows] {
                let safe = rules.sanitize_or_underscore(&name);
                prop_assert!(!safe.is_empty() && safe != "." && safe != ".." && safe.len() <= 255);
                let has_bad = safe.contains(['/', '\\', '\u{202e}']) || safe.contains(char::is_control);
                prop_assert!(!has_bad, "{:?}", safe);
                if rules == NameRules::Windows {
                    prop_assert!(!safe.contains([':', '*']) && !safe.ends_with(['.', ' ']));
                    prop_assert!(!is_device(&safe));
                }
                prop_assert_eq!(rules.sanitize(safe.as_bytes()), Some(safe.clone()), "safe names stay");
            }
        }
    }
}
