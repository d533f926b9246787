//! HTML and XHTML, as far as it matters for finding: what is shown, and the title.
//!
//! Not a parser of the standard's: a pass over the source that never goes back, so that the time it takes is
//! that of its length, whatever the source is.

use super::{Document, ReadError, text};
use crate::limits::TEXT_BYTES_MAX;

/// Bytes of a page in which it may say in which encoding it is (HTML standard: 1,024).
const HEAD_BYTES: usize = 1_024;

/// Bytes of the name of a character, `&` and `;` included; the longest has 33.
const ENTITY_BYTES_MAX: usize = 34;

/// Elements between whose tags there is no text.
const HIDDEN: [&str; 4] = ["script", "style", "template", "svg"];

/// Elements that stay in the line.
const INLINE: [&str; 29] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
    "font", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup",
    "tt", "u", "var",
];

/// Reads a page.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    let head =
        String::from_utf8_lossy(bytes.get(..HEAD_BYTES).unwrap_or(bytes)).to_ascii_lowercase();
    let declared = declared(&head, "charset").or_else(|| declared(&head, "encoding"));
    Ok(read_text(&text::decode(bytes, declared)?))
}

/// What follows `name=` before the next mark.
fn declared<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = head.split_once(name)?;
    let after = after.trim_start().strip_prefix('=')?.trim_start();
    let after = after.trim_start_matches(['"', '\'']);
    after.split(['"', '\'', '>', ';', ' ', '/', '?']).next()
}

/// A piece of the source.
pub(super) enum Piece<'a> {
    /// Text as it stands there, with characters that are named.
    Text(&'a str),
    /// A tag: its name as it stands there, with `/` before it if it ends an element, and its attributes.
    Tag {
        /// The name.
        name: &'a str,
        /// All that follows it.
        attributes: &'a str,
    },
}

/// The pieces of a source, one after the other.
pub(super) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Pieces { rest: source }
    }

    /// Takes so many bytes; all, if there are fewer or a character would be cut.
    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Passes over what is between the tags of an element.
    fn skip_element(&mut self, name: &str) {
        let bytes = self.rest.as_bytes();
        let mut at = 0;
        while let Some(found) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == b'<'))
        {
            at += found + 1;
            let Some(after) = bytes.get(at..) else { break };
            let is_end = after.first() == Some(&b'/')
                && after
                    .get(1..=name.len())
                    .is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()));
            if is_end {
                self.take(at - 1);
                return;
            }
        }
        self.rest = "";
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(inside) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                return Some(Piece::Text(self.take(end)));
            };
            if inside.starts_with("!--") {
                let end = inside.find("-->").map_or(self.rest.len(), |end| end + 4);
                self.take(end);
                continue;
            }
            if let Some(data) = inside.strip_prefix("![CDATA[") {
                let length = data.find("]]>").unwrap_or(data.len());
                self.take("<![CDATA[".len());
                let text = self.take(length);
                self.take("]]>".len());
                return Some(Piece::Text(text));
            }
            let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?');
            if !inside.starts_with(begins) {
                // Not a tag at all.
                let end = inside.find('<').map_or(self.rest.len(), |end| end + 1);
                return Some(Piece::Text(self.take(end)));
            }
            let tag = self.take(1 + end_of_tag(inside));
            let tag = tag.strip_prefix('<').unwrap_or(tag);
            let tag = tag.strip_suffix('>').unwrap_or(tag);
            if tag.starts_with(['!', '?']) {
                continue;
            }
            let end = tag.char_indices().skip(1).find(|(_, c)| c.is_whitespace() || *c == '/');
            let (name, attributes) = tag.split_at(end.map_or(tag.len(), |(at, _)| at));
            return Some(Piece::Tag { name, attributes });
        }
    }
}

/// How many bytes there are up to the `>` of a tag and with it; one in quotes does not end it.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that nobody ends is none.
    tag.find('>').map_or(tag.len(), |at| at + 1)
}

/// The value of an attribute, if it is there.
pub(super) fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '/'))?;
        let (name, after) = rest.split_at(end);
        let after = after.trim_start();
        let Some(value) = after.strip_prefix('=') else {
            if after.len() == rest.len() {
                return None;
            }
            rest = after;
            continue;
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value.get(1..)?.split_once(quote)?,
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                value.split_at(end)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            let mut decoded = String::new();
            decode_entities(value, &mut decoded);
            return Some(decoded);
        }
        rest = after;
    }
}

/// Reads a page that is text already.
pub(super) fn read_text(source: &str) -> Document {
    let mut document = Document::default();
    let mut is_title = false;
    let mut pieces = Pieces::new(source);
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) if is_title => decode_entities(text, &mut document.title),
            Piece::Text(text) => push_flowing(text, &mut document.text),
            Piece::Tag { name, attributes } => {
                let (is_end, name) = match name.strip_prefix('/') {
                    Some(name) => (true, name),
                    None => (false, name),
                };
                let name = name.to_ascii_lowercase();
                if name == "title" {
                    // A picture inside may have one of its own.
                    is_title = !is_end && document.title.is_empty();
                } else if !is_end && HIDDEN.contains(&name.as_str()) && !attributes.ends_with('/') {
                    pieces.skip_element(&name);
                } else if !INLINE.contains(&name.as_str()) && !document.text.ends_with('\n') {
                    document.text.push('\n');
                }
            }
        }
        if document.text.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    document
}

/// Text as it is shown: any space is one space.
fn push_flowing(text: &str, out: &mut String) {
    let mut decoded = String::with_capacity(text.len());
    decode_entities(text, &mut decoded);
    for c in decoded.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(char::is_whitespace) {
            out.push(' ');
        }
    }
}

/// Text with the characters that are named in it.
fn decode_entities(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, named) = rest.split_at(at);
        out.push_str(before);
        let name =
            crate::codec::cut(named, ENTITY_BYTES_MAX).find(';').and_then(|end| named.get(..=end));
        let decoded = name.and_then(|name| htmlescape::decode_html(name).ok());
        let length = match (name, decoded) {
            (Some(name), Some(decoded)) => {
                out.push_str(&decoded);
                name.len()
            }
            _ => {
                out.push('&');
                1
            }
        };
        rest = named.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
}
