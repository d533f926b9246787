//! Questions, and the indexes by which they find their way.

use super::ParseError;
use super::limits::{RECORD_BYTES_MAX, RECORDS_MAX};
use super::reader::Reader;
use crate::records::Text;
use crate::search::hit::{Page, RawHit, What};
use crate::search::limits::{BUDGET_MAX, QUERY_WORDS_MAX, WANTED_MAX, WIDTH_MAX};
use crate::search::terms::TermSet;
use crate::search::words::Word;
use bytes::Bytes;

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
    /// What kind of thing is looked for.
    pub what: What,
    /// Whoever gets it says at once that he has: an answer, be it one without anything. It is one of the
    /// messages of the budget.
    pub receipt: bool,
    /// What an answer has all of: 1 to [`QUERY_WORDS_MAX`], in order, none twice.
    pub words: Vec<Word>,
}

/// The bit of a question's kind that asks for a receipt.
const RECEIPT: u8 = 0x80;

pub(super) fn terms(from: &mut Reader<'_>) -> Result<TermSet, ParseError> {
    TermSet::parse(from.all()).ok_or_else(|| from.invalid("a code that is none"))
}

pub(super) fn question(from: &mut Reader<'_>) -> Result<Question, ParseError> {
    let id = from.u64()?;
    let (budget, width, wanted) = (from.u16()?, from.u8()?, from.u8()?);
    let kind = from.u8()?;
    let receipt = kind & RECEIPT != 0;
    let what = match kind & !RECEIPT {
        0 => What::Any,
        1 => What::Files,
        2 => What::Pages,
        _ => return Err(from.invalid("a kind that is none")),
    };
    let is_sound = (1..=BUDGET_MAX).contains(&budget)
        && (1..=WIDTH_MAX).contains(&width)
        && (1..=WANTED_MAX).contains(&wanted)
        && (budget > 1 || !receipt);
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
    Ok(Question { id, budget, width, wanted, what, receipt, words })
}

pub(super) fn put_question(question: &Question, out: &mut Vec<u8>) {
    out.extend(question.id.to_be_bytes());
    out.extend(question.budget.to_be_bytes());
    let what = match question.what {
        What::Any => 0,
        What::Files => 1,
        What::Pages => 2,
    };
    out.extend([
        question.width,
        question.wanted,
        what | if question.receipt { RECEIPT } else { 0 },
    ]);
    for word in &question.words {
        // A word has at most 32 bytes.
        out.push(word.as_str().len() as u8);
        out.extend(word.as_str().as_bytes());
    }
}

pub(super) fn question_len(question: &Question) -> usize {
    8 + 2 + 1 + 1 + 1 + question.words.iter().map(|word| 1 + word.as_str().len()).sum::<usize>()
}

/// Added to the length of a record that is in doubt; records are shorter.
const DOUBTFUL: u16 = 1 << 15;

const _: () = assert!(RECORD_BYTES_MAX < DOUBTFUL as usize);

/// What answers a question; none only says that it was heard.
pub(super) fn hits(from: &mut Reader<'_>) -> Result<Vec<RawHit>, ParseError> {
    let mut hits = Vec::new();
    while !from.is_empty() {
        if hits.len() == RECORDS_MAX {
            return Err(from.invalid("too many answers"));
        }
        let len = from.u16()?;
        let is_doubtful = len & DOUBTFUL != 0;
        let len = usize::from(len & !DOUBTFUL);
        if len == 0 || len > RECORD_BYTES_MAX {
            return Err(from.invalid("a record that is empty or too long"));
        }
        let record = Bytes::copy_from_slice(from.bytes(len)?);
        let len = usize::from(from.u16()?);
        let page = if len == 0 {
            None
        } else {
            let path = text(from, len)?;
            let len = usize::from(from.u16()?);
            Some(Page { path, snippet: text(from, len)? })
        };
        hits.push(RawHit { record, page, is_doubtful });
    }
    Ok(hits)
}

fn text<const MAX: usize>(from: &mut Reader<'_>, len: usize) -> Result<Text<MAX>, ParseError> {
    Text::from_bytes(from.bytes(len)?).map_err(|_| from.invalid("a text that is none"))
}

pub(super) fn put_hits(hits: &[RawHit], out: &mut Vec<u8>) {
    for RawHit { record, page, is_doubtful } in hits {
        // Longer ones are not handed in; a length that is cut would only end the link.
        let len = record.len() as u16 | if *is_doubtful { DOUBTFUL } else { 0 };
        out.extend(len.to_be_bytes());
        out.extend_from_slice(record);
        // A text is no longer than its kind of text may be.
        let path = page.as_ref().map_or("", |page| &page.path);
        out.extend((path.len() as u16).to_be_bytes());
        out.extend_from_slice(path.as_bytes());
        if let Some(page) = page.as_ref().filter(|page| !page.path.is_empty()) {
            out.extend((page.snippet.len() as u16).to_be_bytes());
            out.extend_from_slice(page.snippet.as_bytes());
        }
    }
}

pub(super) fn hits_len(hits: &[RawHit]) -> usize {
    hits.iter().map(hit_len).sum()
}

/// Bytes of one answer in a message.
pub(crate) fn hit_len(hit: &RawHit) -> usize {
    let page = hit.page.as_ref().filter(|page| !page.path.is_empty());
    4 + hit.record.len() + page.map_or(0, |page| 2 + page.path.len() + page.snippet.len())
}

const _: () = assert!(crate::search::limits::PATH_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(crate::search::limits::WORD_BYTES_MAX <= 255);
