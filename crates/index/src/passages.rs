//! Documents are cut into passages, so that the words of a question are looked for near each other, and
//! answering is quick however long a document is.

use crate::codec::cut;
use crate::limits::PASSAGE_BYTES_MAX;

/// Cuts a text into passages of at most [`PASSAGE_BYTES_MAX`] bytes, where a paragraph ends if one does in
/// their second half, else where a sentence, else where a word does. Nothing is left out.
pub(crate) fn passages(text: &str) -> Vec<&str> {
    let mut passages = Vec::new();
    let mut rest = text;
    while rest.len() > PASSAGE_BYTES_MAX {
        let most = cut(rest, PASSAGE_BYTES_MAX);
        let (passage, after) = rest.split_at(place_to_cut(most));
        passages.push(passage);
        rest = after;
    }
    if !rest.is_empty() || passages.is_empty() {
        passages.push(rest);
    }
    passages
}

/// How many bytes of a text that is too long are taken; at least half of them.
fn place_to_cut(text: &str) -> usize {
    let half = text.len() / 2;
    let after = |found: Option<usize>, length: usize| {
        found.map(|at| at + length).filter(|&at| at > half && text.is_char_boundary(at))
    };
    after(text.rfind("\n\n"), 2)
        .or_else(|| after(text.rfind(". "), 2))
        .or_else(|| after(text.rfind('\n'), 1))
        .or_else(|| after(text.rfind(' '), 1))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_passage_ends_with_a_paragraph() {
        let text = format!("{}\n\n{}", "a ".repeat(3_000), "b ".repeat(3_000));
        let passages = passages(&text);
        assert_eq!(passages.len(), 2);
        assert!(passages[1].starts_with('b'), "{}", &passages[1][..10]);
    }

    #[test]
    fn an_empty_text_is_one_passage() {
        assert_eq!(passages(""), [""]);
    }

    proptest! {
        #[test]
        fn nothing_is_left_out(word in "[a-zßあ]{1,9}[ \n.]{1,3}", other in "[a-zßあ]{1,30}[ \n.]{0,3}", count in 0usize..3_000) {
            let text = format!("{word}{other}{word}").repeat(count);
            let passages = passages(&text);
            prop_assert_eq!(&passages.concat(), &text);
            prop_assert!(passages.iter().all(|passage| passage.len() <= PASSAGE_BYTES_MAX));
        }
    }
}
