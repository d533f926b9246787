//! Which answers come first: those whose name has the words, then those that more people have.

use super::answers::Answer;
use althing_overlay::search::words::{Word, words};

/// Puts the best first; of those that are as good the one that came first.
pub(super) fn sort(answers: &mut [Answer], wanted: &[Word]) {
    answers.sort_by_cached_key(|answer| (std::cmp::Reverse(worth(answer, wanted)), answer.number));
}

/// What an answer is worth. Relevance counts most: who lists something a thousand times under other names
/// gains little, for authors count by their number of digits.
fn worth(answer: &Answer, wanted: &[Word]) -> u64 {
    let name = words(&answer.name);
    let in_name = wanted.iter().filter(|word| name.contains(word)).count() as u64;
    let exact = u64::from(name.len() == wanted.len() && in_name == name.len() as u64);
    let seeders = digits(answer.seeders.unwrap_or(0).into());
    let authors = digits(answer.authors.len() as u64);
    in_name * 4 + exact * 4 + seeders * 2 + authors
}

/// How many binary digits a number has.
fn digits(number: u64) -> u64 {
    u64::from(u64::BITS - number.leading_zeros())
}
