//! Documents of others, but for PDF, which a library reads: the first byte says which kind it is.

use althing_index::limits::{NAME_BYTES_MAX, TEXT_BYTES_MAX};
use althing_index::read::{Format, ReadError, read};

/// Reads any bytes as a document.
pub fn run(data: &[u8]) {
    const FORMATS: [Format; 4] = [Format::Text, Format::Markdown, Format::Html, Format::Epub];
    let Some((which, bytes)) = data.split_first() else { return };
    let format = FORMATS[usize::from(*which) % FORMATS.len()];
    match read(format, bytes) {
        Ok(document) => {
            assert!(
                document.title.len() <= NAME_BYTES_MAX && document.text.len() <= TEXT_BYTES_MAX
            );
            assert!(!document.title.contains(char::is_control));
            assert!(document.text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
            // What was read once says the same when it is read as plain text.
            if !document.text.contains('\t') && !document.text.starts_with('\u{feff}') {
                let again = read(Format::Text, document.text.as_bytes());
                assert_eq!(again.map(|again| again.text), Ok(document.text));
            }
        }
        Err(ReadError::Damaged { reason }) => {
            assert_ne!(reason, "it makes no sense", "a panic");
        }
        Err(_) => {}
    }
}
