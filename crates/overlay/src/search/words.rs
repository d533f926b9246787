//! The words of a text, as publishers, indexes and questions all see them.

use super::limits::{WORD_BYTES_MAX, WORDS_OF_LISTING_MAX};
use crate::id::NetworkKey;
use crate::records::Listing;
use althing_base::hash::{Sha1Digest, sha1, sha256};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A word: letters, digits and marks in lower case, at most [`WORD_BYTES_MAX`] bytes.
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

/// Writing in which words are not set apart by spaces: Thai, Lao, Burmese and Khmer, Japanese and Chinese.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// A mark that people leave out: accents, and the vowels of Hebrew and Arabic. Those of Indian, Thai and
/// Japanese writing are none of them, for without them it is another word.
fn is_accent(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// The words of a text, in its order, each as often as it stands there.
///
/// The text is taken apart (NFKD), put in lower case, freed of accents and put together again (NFC),
/// so that however it is written it is the same; a word is what lies between characters that are neither letters,
/// digits nor marks, cut to [`WORD_BYTES_MAX`]. Single letters are no words. Where words are not set apart, each two
/// characters that follow each other are one, or the one that stands alone.
pub fn words(text: &str) -> Vec<Word> {
    let lower = text.nfkd().flat_map(char::to_lowercase).nfkd();
    let plain = lower.filter(|character| !is_accent(*character)).nfc();
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_cut = false;
    let mut run: Vec<char> = Vec::new();
    for character in plain {
        if is_unspaced(character) && (character.is_alphanumeric() || is_combining_mark(character)) {
            finish(&mut word, &mut words);
            is_cut = false;
            if let Some(last) = run.last() {
                words.push(Word([*last, character].iter().collect()));
            }
            run.push(character);
            continue;
        }
        finish_run(&mut run, &mut words);
        let is_part =
            character.is_alphanumeric() || is_combining_mark(character) && !word.is_empty();
        if !is_part {
            finish(&mut word, &mut words);
            is_cut = false;
        } else if !is_cut && word.len() + character.len_utf8() <= WORD_BYTES_MAX {
            word.push(character);
        } else {
            is_cut = true;
        }
    }
    finish_run(&mut run, &mut words);
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

/// Writing without spaces ends: if it was one character, that is a word.
fn finish_run(run: &mut Vec<char>, words: &mut Vec<Word>) {
    if let [alone] = run.as_slice() {
        words.push(Word(alone.to_string().into()));
    }
    run.clear();
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_a_word_is_read_as_that_word(text in any::<String>()) {
            for word in words(&text) {
                prop_assert!(word.as_str().len() <= WORD_BYTES_MAX);
                prop_assert_eq!(Word::parse(word.as_str()), Some(word));
            }
        }
    }

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
        check("ÜBER Größe\tИгра ΣΊΣΥΦΟΣ", &["uber", "große", "игра", "σισυφοσ"]);
        check("cafe\u{301} café \u{130}stanbul", &["cafe", "cafe", "istanbul"]);
        check("ﬁlm Ｆｕｌｌ №5", &["film", "full", "no5"]);
        check("東京 Tower 2", &["東京", "tower"]);
        check("東京都タワー 東", &["東京", "京都", "都タ", "タワ", "ワー", "東"]);
        check("がぎ", &["がぎ"]);
        check("か\u{3099}", &["が"]);
        check("한국어", &["한국어"]);
        check("हिन्दी", &["हिन्दी"]);
        check("ไทย", &["ไท", "ทย"]);
        check("שָׁלוֹם مُحَمَّد", &["שלום", "محمد"]);
        check("", &[]);
        check("a - b", &[]);
        let long = "x".repeat(100);
        check(&long, &[&"x".repeat(WORD_BYTES_MAX)]);
        for bad in ["", "A", "Debian", "a b", "a", "x-y", &long, " debian"] {
            assert_eq!(Word::parse(bad), None, "{bad}");
        }
    }
}
