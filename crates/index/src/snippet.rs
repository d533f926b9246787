//! The part of a text that shows why it was found.

use crate::codec::cut;
use crate::limits::SNIPPET_BYTES_MAX;
use althing_overlay::records::Text;
use althing_overlay::search::words::{Word, words};
use std::collections::BTreeSet;

/// Bytes of the part with most of the words, and of each further part for words that are not in it.
const PART_BYTES: usize = 230;
const FURTHER_BYTES: usize = 60;

/// Bytes from the beginning of one part that is looked at to that of the next.
const STEP: usize = 40;

/// At most [`SNIPPET_BYTES_MAX`] bytes of a text, in one line and without characters that could deceive: the part with
/// the most of the words, of several such the first; and, as far as there is room, a few words around each
/// word that is not in it, so that whoever reads an answer sees that it is one.
pub(crate) fn snippet(text: &str, wanted: &[Word]) -> String {
    let line = one_line(text);
    let mut missing: BTreeSet<Word> = wanted.iter().cloned().collect();
    let start = best_start(&line, PART_BYTES, &missing).unwrap_or(0);
    let part = part_at(&line, start, PART_BYTES);
    words(part).iter().for_each(|word| {
        missing.remove(word);
    });
    let mut shown = String::with_capacity(SNIPPET_BYTES_MAX);
    if start > 0 {
        shown.push('…');
    }
    shown.push_str(part);
    let mut is_end = start + part.len() >= line.len();
    while shown.len() + FURTHER_BYTES + 10 <= SNIPPET_BYTES_MAX {
        let Some(start) = best_start(&line, FURTHER_BYTES, &missing) else { break };
        let part = part_at(&line, start, FURTHER_BYTES);
        shown.push_str(" … ");
        shown.push_str(part);
        words(part).iter().for_each(|word| {
            missing.remove(word);
        });
        is_end = start + part.len() >= line.len();
    }
    if !is_end {
        shown.push('…');
    }
    shown
}

/// Where the part of so many bytes begins that has the most of some words; nowhere, if none has any.
fn best_start(line: &str, bytes: usize, wanted: &BTreeSet<Word>) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let mut best = (0, None);
    let mut start = 0;
    while start < line.len() {
        let found: BTreeSet<Word> = words(part_at(line, start, bytes))
            .into_iter()
            .filter(|word| wanted.contains(word))
            .collect();
        if found.len() > best.0 {
            best = (found.len(), Some(start));
            if found.len() == wanted.len() {
                break;
            }
        }
        start = next_start(line, start, STEP.min(bytes / 2));
    }
    best.1
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

/// The part of so many bytes that begins here: it ends with a word, if there is an end of one.
fn part_at(line: &str, start: usize, bytes: usize) -> &str {
    let rest = line.get(start..).unwrap_or_default();
    let part = cut(rest, bytes);
    if part.len() == rest.len() {
        return part;
    }
    match part.rfind(' ') {
        Some(end) if end > part.len() / 2 => part.get(..end).unwrap_or(part),
        _ => part,
    }
}

/// Where the next part begins: with a word, if one begins soon.
fn next_start(line: &str, start: usize, step: usize) -> usize {
    let after = (start + step..=line.len()).find(|&at| line.is_char_boundary(at));
    let Some(after) = after else { return line.len() };
    let rest = line.get(after..).unwrap_or_default();
    // Not so far that a word would fall between two parts.
    match cut(rest, step / 2).find(' ') {
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
    fn words_that_are_far_apart_are_all_shown() {
        let filler = "nothing of any interest ".repeat(60);
        let text = format!("{filler}albatross {filler}{filler}barnacle {filler}capstan{filler}");
        let wanted = words("albatross barnacle capstan");
        let shown = snippet(&text.replace("capstan", "capstan "), &wanted);
        assert!(shown.len() <= SNIPPET_BYTES_MAX, "{}", shown.len());
        let found = words(&shown);
        assert!(wanted.iter().all(|word| found.contains(word)), "{shown}");
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
