//! Words of texts: each is read as itself again, none is longer than it may be, and what is written in
//! capitals has the same.

use althing_overlay::search::limits::WORD_BYTES_MAX;
use althing_overlay::search::words::{Word, words};

/// Takes a text.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let found = words(&text);
    for word in &found {
        assert!(word.as_str().len() <= WORD_BYTES_MAX);
        assert_eq!(Word::parse(word.as_str()).as_ref(), Some(word), "in {text:?}");
    }
    // Folding must not make much of little.
    assert!(found.len() <= 20 * data.len());
    if text.is_ascii() {
        assert_eq!(words(&text.to_ascii_uppercase()), found);
    }
}
