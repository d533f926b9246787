//! The part of a text that shows why it was found.

use crate::codec::cut;
use crate::limits::SNIPPET_BYTES_MAX;
use althing_overlay::records::Text;
use althing_overlay::search::words::{Word, words};
use std::collections::BTreeSet;

/// The [`SNIPPET_BYTES_MAX`] bytes or fewer with the most of the words, in one line and without characters
/// that could deceive; of several such parts the first.
pub(crate) fn snippet(text: &str, wanted: &[Word]) -> String {
    let wanted: BTreeSet<&Word> = wanted.iter().collect();
    let line = one_line(text);
    // A part begins where a word does, some 40 bytes after the one before.
    let mut best = (0usize, 0usize);
    let mut start = 0;
    while start < line.len() {
        let part = part_at(&line, start);
        let found: BTreeSet<Word> =
            words(part).into_iter().filter(|word| wanted.contains(word)).collect();
        if found.len() > best.0 {
            best = (found.len(), start);
            if found.len() == wanted.len() {
                break;
            }
        }
        start = next_start(&line, start);
    }
    let (_, start) = best;
    // A few words before, so that the first that was found is not the first of all.
    let part = part_at(&line, start);
    let mut shown = String::with_capacity(part.len() + 6);
    if start > 0 {
        shown.push('…');
    }
    shown.push_str(part);
    if start + part.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// Runs of spaces and of characters that may not be shown become one space.
fn one_line(text: &str) -> String {
    let text = Text::<{ crate::limits::PASSAGE_BYTES_MAX }>::cleaned(text);
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// What is shown if it begins here: it ends with a word, if there is an end of one.
fn part_at(line: &str, start: usize) -> &str {
    let rest = line.get(start..).unwrap_or_default();
    // Two dots of three bytes each may come around it.
    let part = cut(rest, SNIPPET_BYTES_MAX - 6);
    if part.len() == rest.len() {
        return part;
    }
    match part.rfind(' ') {
        Some(end) if end > part.len() / 2 => part.get(..end).unwrap_or(part),
        _ => part,
    }
}

/// Where the next part begins.
fn next_start(line: &str, start: usize) -> usize {
    const STEP: usize = 40;
    let after = (start + STEP..=line.len()).find(|&at| line.is_char_boundary(at));
    let Some(after) = after else { return line.len() };
    let rest = line.get(after..).unwrap_or_default();
    match cut(rest, STEP).find(' ') {
        Some(space) => after + space + 1,
        None => after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_with_most_of_the_words_is_shown() {
        let text = format!(
            "{} The quick\n\tbrown fox\u{202e} jumps over the lazy dog. {}",
            "Nothing of interest, but a dog. ".repeat(20),
            "More of nothing. ".repeat(50)
        );
        let shown = snippet(&text, &words("fox LAZY dog"));
        assert!(shown.contains("quick brown fox jumps over the lazy dog"), "{shown}");
        assert!(shown.len() <= SNIPPET_BYTES_MAX && shown.starts_with('…') && shown.ends_with('…'));
    }

    #[test]
    fn texts_without_spaces_have_snippets() {
        let text = format!("{}東京タワー{}", "あ".repeat(900), "い".repeat(900));
        let shown = snippet(&text, &words("東京"));
        assert!(shown.contains("東京"), "{shown}");
        assert!(shown.len() <= SNIPPET_BYTES_MAX);
        assert_eq!(snippet("", &words("a b")), "");
        assert_eq!(snippet("short", &words("nothing")), "short");
    }
}
