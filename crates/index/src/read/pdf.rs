//! PDF (ISO 32000), by a library.

use super::{Document, ReadError};
use crate::limits::{PDF_PAGES_MAX, PDF_STREAM_BYTES_MAX, TEXT_BYTES_MAX};
use lopdf::{LoadOptions, Object};

/// Pages that are read at a time: for each time the library looks for all pages anew.
const PAGES_AT_A_TIME: usize = 64;

/// Reads a document: the text of its pages, as far as it says which letters it shows.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    let options =
        LoadOptions { max_decompressed_size: Some(PDF_STREAM_BYTES_MAX), ..LoadOptions::default() };
    let pdf = lopdf::Document::load_mem_with_options(bytes, options)
        .map_err(|error| ReadError::damaged(error.to_string()))?;
    if pdf.is_encrypted() {
        return Err(ReadError::Encrypted);
    }
    let mut document = Document { title: title_of(&pdf).unwrap_or_default(), text: String::new() };
    let pages: Vec<u32> = pdf.get_pages().into_keys().take(PDF_PAGES_MAX).collect();
    for pages in pages.chunks(PAGES_AT_A_TIME) {
        // What cannot be read of a page is left out.
        for text in
            pdf.extract_text_chunks_with_limit(pages, PDF_STREAM_BYTES_MAX).into_iter().flatten()
        {
            document.text.push_str(&text);
        }
        document.text.push('\n');
        if document.text.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    Ok(document)
}

fn title_of(pdf: &lopdf::Document) -> Option<String> {
    let info = pdf.trailer.get(b"Info").ok()?;
    let (_, info) = pdf.dereference(info).ok()?;
    let Object::Dictionary(info) = info else { return None };
    let (_, title) = pdf.dereference(info.get(b"Title").ok()?).ok()?;
    lopdf::decode_text_string(title).ok()
}
