//! Comparing lines with patterns.

use std::collections::BTreeMap;

/// What `<NAME>`s stand for.
pub(crate) type Names = BTreeMap<String, String>;

/// Whether `lines` are what `patterns` say; names that stand for something new are learnt.
pub(crate) fn lines_match(patterns: &[&str], lines: &[&str], names: &mut Names) -> bool {
    match patterns {
        [] => lines.is_empty(),
        [any, rest @ ..] if any.trim() == "…" => (0..=lines.len()).any(|skipped| {
            let mut tried = names.clone();
            let matches = lines_match(rest, &lines[skipped..], &mut tried);
            if matches {
                *names = tried;
            }
            matches
        }),
        [first, rest @ ..] => {
            let Some((line, others)) = lines.split_first() else { return false };
            let mut tried = names.clone();
            let matches =
                line_matches(first, line, &mut tried) && lines_match(rest, others, &mut tried);
            if matches {
                *names = tried;
            }
            matches
        }
    }
}

fn line_matches(pattern: &str, line: &str, names: &mut Names) -> bool {
    if let Some(rest) = pattern.strip_prefix('…') {
        let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
        return ends.into_iter().any(|at| line_matches(rest, &line[at..], names));
    }
    if let Some((name, rest)) = name_at(pattern) {
        if let Some(value) = names.get(name) {
            let after = line.strip_prefix(value.as_str()).map(str::to_owned);
            return after.is_some_and(|after| line_matches(rest, &after, names));
        }
        let blank = line.find(char::is_whitespace).unwrap_or(line.len());
        let ends: Vec<usize> =
            line[..blank].char_indices().map(|(at, c)| at + c.len_utf8()).collect();
        return ends.into_iter().rev().any(|at| {
            let mut tried = names.clone();
            tried.insert(name.to_owned(), line[..at].to_owned());
            let matches = line_matches(rest, &line[at..], &mut tried);
            if matches {
                *names = tried;
            }
            matches
        });
    }
    let (mut expected, mut found) = (pattern.chars(), line.chars());
    match (expected.next(), found.next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => line_matches(expected.as_str(), found.as_str(), names),
        _ => false,
    }
}

/// The name that a pattern begins with, and the rest.
fn name_at(pattern: &str) -> Option<(&str, &str)> {
    let (name, rest) = pattern.strip_prefix('<')?.split_once('>')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
    is_name.then_some((name, rest))
}

/// A command with its names replaced by what they stand for.
pub(crate) fn substitute(command: &str, names: &Names) -> String {
    names.iter().fold(command.to_owned(), |command, (name, value)| {
        command.replace(&format!("<{name}>"), value)
    })
}

#[test]
fn patterns() {
    let check = |patterns: &[&str], lines: &[&str], expected: bool| {
        assert_eq!(
            lines_match(patterns, lines, &mut Names::new()),
            expected,
            "{patterns:?} {lines:?}"
        );
    };
    check(&["a", "b"], &["a", "b"], true);
    check(&["a"], &["a", "b"], false);
    check(&["a", "…"], &["a", "b"], true);
    check(&["…", "b"], &["b"], true);
    check(&["…", "b"], &["b", "c"], false);
    check(&["port … is"], &["port 17 is"], true);
    check(&["port … is"], &["port 17 was"], false);
    check(&["<PORT> <PORT>"], &["17 17"], true);
    check(&["<PORT> <PORT>"], &["17 18"], false);
    check(&["x=<A>&y=<B>"], &["x=1&y=2"], true);
    check(&["…", "<A> end"], &["no", "7 end"], true);
    check(&["<a>"], &["<a>"], true);
}
