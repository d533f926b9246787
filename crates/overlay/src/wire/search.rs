//! Questions, and the indexes by which they find their way.

use super::ParseError;
use super::reader::Reader;
use crate::search::limits::{BUDGET_MAX, QUERY_WORDS_MAX, WANTED_MAX, WIDTH_MAX};
use crate::search::terms::TermSet;
use crate::search::words::Word;

/// A question on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// By which it is known, wherever it comes along; drawn by who asks.
    pub id: u64,
    /// Messages that it may cause, this one included: 1 to [`BUDGET_MAX`].
    pub budget: u16,
    /// Ways that it may take at the same time: 1 to [`WIDTH_MAX`].
    pub width: u8,
    /// Further answers that are wanted on this way: 1 to [`WANTED_MAX`].
    pub wanted: u8,
    /// What an answer has all of: 1 to [`QUERY_WORDS_MAX`], in order, none twice.
    pub words: Vec<Word>,
}

pub(super) fn terms(from: &mut Reader<'_>) -> Result<TermSet, ParseError> {
    TermSet::parse(from.all()).ok_or_else(|| from.invalid("a code that is none"))
}

pub(super) fn question(from: &mut Reader<'_>) -> Result<Question, ParseError> {
    let id = from.u64()?;
    let (budget, width, wanted) = (from.u16()?, from.u8()?, from.u8()?);
    let is_sound = (1..=BUDGET_MAX).contains(&budget)
        && (1..=WIDTH_MAX).contains(&width)
        && (1..=WANTED_MAX).contains(&wanted);
    if !is_sound {
        return Err(from.invalid("a question that goes nowhere or too far"));
    }
    let mut words: Vec<Word> = Vec::new();
    while !from.is_empty() {
        if words.len() == QUERY_WORDS_MAX {
            return Err(from.invalid("too many words"));
        }
        let len = usize::from(from.u8()?);
        let word = std::str::from_utf8(from.bytes(len)?).ok().and_then(Word::parse);
        let word = word.ok_or_else(|| from.invalid("a word that is none"))?;
        if words.last().is_some_and(|last| *last >= word) {
            return Err(from.invalid("words that are not in order"));
        }
        words.push(word);
    }
    if words.is_empty() {
        return Err(from.invalid("no word"));
    }
    Ok(Question { id, budget, width, wanted, words })
}

pub(super) fn put_question(question: &Question, out: &mut Vec<u8>) {
    out.extend(question.id.to_be_bytes());
    out.extend(question.budget.to_be_bytes());
    out.extend([question.width, question.wanted]);
    for word in &question.words {
        // A word has at most 32 bytes.
        out.push(word.as_str().len() as u8);
        out.extend(word.as_str().as_bytes());
    }
}

pub(super) fn question_len(question: &Question) -> usize {
    8 + 2 + 1 + 1 + question.words.iter().map(|word| 1 + word.as_str().len()).sum::<usize>()
}

const _: () = assert!(crate::search::limits::WORD_BYTES_MAX <= 255);
