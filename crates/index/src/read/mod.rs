//! The text inside documents: plain text, Markdown, HTML, EPUB and PDF.
//!
//! Documents are hostile. All that is unpacked and given back is bounded, but libraries for such formats have
//! been made to panic, to take for ever and to fill the memory; so whoever reads what others have written does it in a
//! process that may die ([`crate::limits::DOCUMENT_MEMORY_BYTES`] and the time limit are for that process). These
//! functions are what it calls.

mod epub;
mod html;
mod markdown;
mod pdf;
mod text;
mod zip;

use crate::codec::cut;
use crate::limits::{DOCUMENT_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A kind of document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Format {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// HTML and XHTML.
    Html,
    /// EPUB: a ZIP archive of XHTML.
    Epub,
    /// PDF.
    Pdf,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] =
        [Format::Text, Format::Markdown, Format::Html, Format::Epub, Format::Pdf];

    /// What a file is by the end of its name, if it is a document.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending.to_ascii_lowercase().as_str() {
            "txt" | "text" | "rst" => Format::Text,
            "md" | "markdown" => Format::Markdown,
            "htm" | "html" | "xhtml" => Format::Html,
            "epub" => Format::Epub,
            "pdf" => Format::Pdf,
            _ => return None,
        })
    }

    /// Its name: `text`, `markdown`, `html`, `epub` or `pdf`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Epub => "epub",
            Format::Pdf => "pdf",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What a document says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// Its title; empty if it has none. One line of at most [`NAME_BYTES_MAX`] bytes.
    pub title: String,
    /// Its text, at most [`TEXT_BYTES_MAX`] bytes; paragraphs are lines.
    pub text: String,
}

/// Why a document could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It has more bytes than are read.
    #[error("it has {bytes} bytes, and {max} are the most that are read")]
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        max: u64,
    },
    /// Only who has its password can read it.
    #[error("it is encrypted")]
    Encrypted,
    /// It is not what its name says, or damaged.
    #[error("{reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

impl ReadError {
    fn damaged(reason: impl Into<String>) -> Self {
        ReadError::Damaged { reason: reason.into() }
    }
}

/// Reads a document.
///
/// # Errors
/// It is too large, encrypted, or not what it should be.
pub fn read(format: Format, bytes: &[u8]) -> Result<Document, ReadError> {
    let (length, max) = (bytes.len() as u64, DOCUMENT_BYTES_MAX);
    if length > max {
        return Err(ReadError::TooLarge { bytes: length, max });
    }
    let reading = || match format {
        Format::Text => Ok(Document { title: String::new(), text: text::decode(bytes, None)? }),
        Format::Markdown => Ok(markdown::read(&text::decode(bytes, None)?)),
        Format::Html => html::read(bytes),
        Format::Epub => epub::read(bytes),
        Format::Pdf => pdf::read(bytes),
    };
    // Libraries that read such formats panic now and then.
    let document = catch_unwind(AssertUnwindSafe(reading))
        .unwrap_or_else(|_| Err(ReadError::damaged("it makes no sense")))?;
    Ok(Document { title: line(&document.title), text: tidied(&document.text) })
}

/// A title as one line.
fn line(title: &str) -> String {
    let words: Vec<&str> = title.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words = words.into_iter().filter(|word| !word.is_empty());
    cut(&words.collect::<Vec<_>>().join(" "), NAME_BYTES_MAX).to_owned()
}

/// Lines without spaces around them, of several empty ones in a row one, and no other control characters.
fn tidied(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    let mut empty = 0;
    for line in text.lines() {
        let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let line = line.trim();
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !tidied.is_empty() {
            tidied.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        tidied.push_str(line);
        if tidied.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    cut(&tidied, TEXT_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
