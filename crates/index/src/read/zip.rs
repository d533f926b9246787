//! ZIP archives (PKWARE's APPNOTE), as EPUB has them: the central directory, and files that are stored or
//! deflated. No archives of several parts or of more than 4 GiB, no encryption.

use super::ReadError;
use crate::limits::{ARCHIVE_FILES_MAX, UNPACKED_BYTES_MAX};
use flate2::read::DeflateDecoder;
use std::cell::Cell;
use std::io::Read as _;

/// Bytes of the record that ends an archive, without its comment, and the longest comment.
const END_BYTES: usize = 22;
const COMMENT_BYTES_MAX: usize = 65_535;

/// An archive.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    files: Vec<File>,
    /// Bytes that may still be unpacked.
    left: Cell<u64>,
}

/// A file in it.
struct File {
    name: String,
    method: u16,
    packed: u32,
    /// Where its own header is.
    header: u32,
}

fn damaged() -> ReadError {
    ReadError::damaged("it is no ZIP archive, or damaged")
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

impl<'a> Archive<'a> {
    /// Reads which files there are.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let files = files_of(bytes).ok_or_else(damaged)?;
        Ok(Archive { bytes, files, left: Cell::new(UNPACKED_BYTES_MAX) })
    }

    /// The names of all files, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Unpacks a file.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, ReadError> {
        let file = self.files.iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| ReadError::damaged(format!("there is no {name} in it")))?;
        let packed = packed_of(self.bytes, file).ok_or_else(damaged)?;
        let mut unpacked = Vec::new();
        let left = self.left.get();
        // One more than there may be, to see whether there is more.
        let most = left.saturating_add(1);
        let result = match file.method {
            0 => packed.take(most).read_to_end(&mut unpacked),
            8 => DeflateDecoder::new(packed).take(most).read_to_end(&mut unpacked),
            _ => return Err(ReadError::damaged("it is packed in a way that is not known")),
        };
        result.map_err(|_| damaged())?;
        let length = unpacked.len() as u64;
        if length > left {
            return Err(ReadError::damaged("too much is packed into it"));
        }
        self.left.set(left - length);
        Ok(unpacked)
    }
}

/// The central directory.
fn files_of(bytes: &[u8]) -> Option<Vec<File>> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(COMMENT_BYTES_MAX);
    let end = (first..=last).rev().find(|&at| {
        bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x05\x06"))
            && u16_at(bytes, at + 20)
                .is_some_and(|comment| at + END_BYTES + usize::from(comment) == bytes.len())
    })?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = index(u32_at(bytes, end + 16)?)?;
    let mut files = Vec::new();
    for _ in 0..usize::from(count).min(ARCHIVE_FILES_MAX) {
        if !bytes.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let lengths = [28, 30, 32].map(|field| u16_at(bytes, at + field).map(usize::from));
        let [name, extra, comment] = lengths;
        let (name, extra, comment) = (name?, extra?, comment?);
        let name_at = at.checked_add(46)?;
        let name_end = name_at.checked_add(name)?;
        files.push(File {
            name: String::from_utf8_lossy(bytes.get(name_at..name_end)?).into_owned(),
            method: u16_at(bytes, at + 10)?,
            packed: u32_at(bytes, at + 20)?,
            header: u32_at(bytes, at + 42)?,
        });
        at = name_end.checked_add(extra)?.checked_add(comment)?;
    }
    Some(files)
}

/// The bytes of a file as they are packed.
fn packed_of<'a>(bytes: &'a [u8], file: &File) -> Option<&'a [u8]> {
    let at = index(file.header)?;
    if !bytes.get(at..)?.starts_with(b"PK\x03\x04") {
        return None;
    }
    let name = usize::from(u16_at(bytes, at.checked_add(26)?)?);
    let extra = usize::from(u16_at(bytes, at.checked_add(28)?)?);
    let start = at.checked_add(30)?.checked_add(name)?.checked_add(extra)?;
    bytes.get(start..start.checked_add(index(file.packed)?)?)
}
