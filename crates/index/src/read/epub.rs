//! EPUB (3.3): an archive in which a container names a package, which names pages and their order.

use super::html::{Piece, Pieces, attribute, read_text};
use super::zip::Archive;
use super::{Document, ReadError, html, text};
use crate::limits::TEXT_BYTES_MAX;
use std::collections::BTreeMap;

/// Where each archive says which package there is.
const CONTAINER: &str = "META-INF/container.xml";

/// Reads a book: its pages in their order.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    let archive = Archive::open(bytes)?;
    let mut book = Document::default();
    let pages = match package_of(&archive) {
        Ok((title, pages)) => {
            book.title = title;
            pages
        }
        // What is there can be read all the same.
        Err(_) => Vec::new(),
    };
    let pages = if pages.is_empty() { all_pages(&archive) } else { pages };
    if pages.is_empty() {
        return Err(ReadError::damaged("there is no page in it"));
    }
    for page in pages {
        // A page that is missing or damaged is left out.
        let Some(page) = archive.read(&page).ok().and_then(|bytes| html::read(&bytes).ok()) else {
            continue;
        };
        if book.title.is_empty() {
            book.title = page.title;
        }
        book.text.push_str(&page.text);
        book.text.push_str("\n\n");
        if book.text.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    Ok(book)
}

/// All that look like pages.
fn all_pages(archive: &Archive<'_>) -> Vec<String> {
    let is_page = |name: &&str| super::Format::of_name(name) == Some(super::Format::Html);
    archive.names().filter(is_page).map(str::to_owned).collect()
}

/// The title, and the names of the pages in their order.
fn package_of(archive: &Archive<'_>) -> Result<(String, Vec<String>), ReadError> {
    let container = text::decode(&archive.read(CONTAINER)?, None)?;
    let package = tags(&container, "rootfile").find_map(|tag| attribute(tag, "full-path"));
    let package = package.ok_or_else(|| ReadError::damaged("its container names no package"))?;
    let source = text::decode(&archive.read(&package)?, None)?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let hrefs: BTreeMap<String, String> = tags(&source, "item")
        .filter_map(|tag| Some((attribute(tag, "id")?, attribute(tag, "href")?)))
        .collect();
    let order = tags(&source, "itemref").filter_map(|tag| attribute(tag, "idref"));
    let pages = order.filter_map(|id| Some(resolve(folder, hrefs.get(&id)?))).collect();
    Ok((title_of(&source), pages))
}

/// The attributes of all tags of a name, whatever their namespace is.
fn tags<'a>(source: &'a str, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    Pieces::new(source).filter_map(move |piece| match piece {
        Piece::Tag { name, attributes } if local(name) == wanted => Some(attributes),
        _ => None,
    })
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// What stands in the first `dc:title`.
fn title_of(source: &str) -> String {
    let mut pieces = Pieces::new(source);
    let is_title =
        |piece: &Piece<'_>| matches!(piece, Piece::Tag { name, .. } if local(name) == "title");
    match pieces.find(is_title).and_then(|_| pieces.next()) {
        Some(Piece::Text(title)) => read_text(title).text,
        _ => String::new(),
    }
}

/// The name in the archive of what is at an address relative to a folder.
fn resolve(folder: &str, href: &str) -> String {
    let path = href.split(['#', '?']).next().unwrap_or_default();
    let mut parts: Vec<String> = folder.split('/').map(str::to_owned).collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(unescaped(part)),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

/// Without `%20` and the like.
fn unescaped(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(escaped) => {
                out.push(escaped);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
