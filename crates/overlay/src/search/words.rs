//! The words of a text, as publishers, indexes and questions all see them.

use super::limits::{WORD_BYTES_MAX, WORDS_OF_LISTING_MAX};
use crate::id::NetworkKey;
use crate::records::Listing;
use althing_base::hash::{Sha1Digest, sha1, sha256};
use std::fmt;

/// A word: letters and digits in lower case, at most [`WORD_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Box<str>);

/// What a word is known by in an index that is told to neighbours: 24 bits, so that of a thousand words in
/// such an index one that is not in it seems to be with one chance in 17,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Term(u32);

impl Term {
    /// There are so many.
    pub const SPACE: u32 = 1 << 24;

    /// By number, if there is one of it.
    pub fn new(number: u32) -> Option<Term> {
        (number < Term::SPACE).then_some(Term(number))
    }

    /// Its number, below [`SPACE`](Term::SPACE).
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Word {
    /// Takes a word that is written as words are, and nothing else.
    pub fn parse(text: &str) -> Option<Word> {
        let mut words = words(text);
        let word = words.pop()?;
        (words.is_empty() && &*word.0 == text).then_some(word)
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key in the DHT at which those can be found who offer it: SHA-1 of a context, the network's key and
    /// the word.
    pub fn key(&self, network: &NetworkKey) -> Sha1Digest {
        sha1(&[b"althing term key v1\0", &network.0[..], self.0.as_bytes()].concat())
    }

    /// What it is known by: the first 24 bits of a hash.
    pub fn term(&self) -> Term {
        let hash = sha256(&[b"althing term v1\0", self.0.as_bytes()].concat());
        let [a, b, c, ..] = hash.0;
        Term(u32::from_be_bytes([0, a, b, c]))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Writing in which words are not set apart: each character is taken for one.
fn is_word_itself(character: char) -> bool {
    matches!(character,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// A mark on the letter before.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// The words of a text, in its order, each as often as it stands there: whatever lies between what is
/// neither letter nor digit, in lower case, without marks that stand apart from their letters, cut to
/// [`WORD_BYTES_MAX`]. Single letters are no words, but for those of writing without spaces.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        let is_alone = is_word_itself(character);
        if is_mark(character) {
            continue;
        }
        if is_alone || !character.is_alphanumeric() {
            finish(&mut word, &mut words);
            words.extend(is_alone.then(|| Word(character.to_string().into())));
        } else if word.len() + character.len_utf8() <= WORD_BYTES_MAX {
            word.push(character);
        }
    }
    finish(&mut word, &mut words);
    words
}

/// A word ends, if there is one.
fn finish(word: &mut String, words: &mut Vec<Word>) {
    if word.chars().nth(1).is_some() {
        words.push(Word(word.as_str().into()));
    }
    word.clear();
}

/// The words by which a listing is found: those of its name, its tags and its description, the first
/// [`WORDS_OF_LISTING_MAX`] in that order, in order of their letters.
pub fn words_of(listing: &Listing) -> Vec<Word> {
    let mut found: Vec<Word> = words(listing.name());
    found.extend(listing.tags().flat_map(words));
    found.extend(words(listing.about()));
    found.truncate(WORDS_OF_LISTING_MAX);
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let words = words(text);
        let found: Vec<_> = words.iter().map(Word::as_str).collect();
        assert_eq!(found, expected, "{text}");
        for word in found {
            assert!(Word::parse(word).is_some(), "{word} is written as it is read");
        }
    }

    #[test]
    fn words_are_what_publishers_and_askers_mean() {
        check("Debian-12.5.0_amd64 (NETINST).iso", &["debian", "12", "amd64", "netinst", "iso"]);
        check("ÜBER Größe\tИгра ΣΊΣΥΦΟΣ", &["über", "größe", "игра", "σίσυφοσ"]);
        check("cafe\u{301} \u{130}stanbul", &["cafe", "istanbul"]);
        check("東京 Tower 2", &["東", "京", "tower"]);
        check("", &[]);
        check("a - b", &[]);
        let long = "x".repeat(100);
        check(&long, &[&"x".repeat(WORD_BYTES_MAX)]);
        for bad in ["", "A", "Debian", "a b", "a", "x-y", &long, " debian"] {
            assert_eq!(Word::parse(bad), None, "{bad}");
        }
    }
}
