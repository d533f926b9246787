//! Comparing the copies with the original, byte by byte.

use crate::exit::Failure;
use crate::screen::text;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Bytes of either file that are compared at once.
const CHUNK_BYTES: usize = 1 << 18;

/// What was found to be the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Compared {
    pub(super) copies: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Compares every copy with the original.
pub(super) async fn all(original: &Path, copies: &[(usize, PathBuf)]) -> Result<Compared, Failure> {
    let mut total = Compared { copies: 0, files: 0, bytes: 0 };
    for (number, copy) in copies {
        let (left, right) = (original.to_owned(), copy.clone());
        let compared = tokio::task::spawn_blocking(move || tree(&left, &right)).await;
        let compared = compared.unwrap_or_else(|error| Err(error.to_string()));
        let (files, bytes) = compared.map_err(|difference| {
            Failure::new(
                format!("the copy of peer {number} is not the same: {}", text::escape(&difference)),
                "this must not happen; please report it with the output of `althing --version`",
            )
        })?;
        total.copies += 1;
        total.files += files;
        total.bytes += bytes;
    }
    Ok(total)
}

/// Number and bytes of the files that are the same on both sides; else the first difference.
fn tree(original: &Path, copy: &Path) -> Result<(u64, u64), String> {
    let told = |error: io::Error| error.to_string();
    let paths = files(original).map_err(told)?;
    if paths != files(copy).map_err(told)? {
        return Err("it has other files than the original".to_owned());
    }
    let mut bytes = 0;
    for path in &paths {
        // A single file is its own root, and has an empty path below it.
        let below =
            |root: &Path| if path.as_os_str().is_empty() { root.into() } else { root.join(path) };
        let (left, right) = (below(original), below(copy));
        let same = file(&left, &right).map_err(|error| format!("{}: {error}", right.display()))?;
        bytes += same.ok_or_else(|| format!("{} differs", right.display()))?;
    }
    Ok((paths.len() as u64, bytes))
}

/// The files and links below `root`.
fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        let path = if below.as_os_str().is_empty() { root.to_owned() } else { root.join(&below) };
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(below.join(entry?.file_name()));
            }
        } else if metadata.is_file() || metadata.is_symlink() {
            found.insert(below);
        }
    }
    Ok(found)
}

/// How many bytes both files have, if they are the same.
fn file(left: &Path, right: &Path) -> io::Result<Option<u64>> {
    if fs::symlink_metadata(left)?.is_symlink() && fs::symlink_metadata(right)?.is_symlink() {
        return Ok((fs::read_link(left)? == fs::read_link(right)?).then_some(0));
    }
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    let (mut ours, mut theirs) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut bytes = 0;
    loop {
        let read = fill(&mut left, &mut ours)?;
        if read != fill(&mut right, &mut theirs)? || ours.get(..read) != theirs.get(..read) {
            return Ok(None);
        }
        if read == 0 {
            return Ok(Some(bytes));
        }
        bytes += read as u64;
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two folders with the same content, and what becomes of them if the copy is changed so.
    fn check(change: impl Fn(&Path), same: bool) {
        let dir = tempfile::tempdir().unwrap();
        let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
        for root in [&original, &copy] {
            fs::create_dir_all(root.join("a")).unwrap();
            fs::write(root.join("a/large"), vec![7; CHUNK_BYTES * 2 + 3]).unwrap();
            fs::write(root.join("empty"), []).unwrap();
        }
        change(&copy);
        let result = tree(&original, &copy);
        assert_eq!(result.is_ok(), same, "{result:?}");
        if same {
            assert_eq!(result, Ok((2, CHUNK_BYTES as u64 * 2 + 3)));
        }
    }

    #[test]
    fn every_difference_is_seen() {
        let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).unwrap();
        check(|_| {}, true);
        check(|copy| write(&copy.join("more"), b""), false);
        check(|copy| fs::remove_file(copy.join("empty")).unwrap(), false);
        check(|copy| write(&copy.join("empty"), b"x"), false);
        check(|copy| write(&copy.join("a/large"), &vec![7; CHUNK_BYTES * 2 + 2]), false);
        check(
            |copy| {
                let mut bytes = vec![7; CHUNK_BYTES * 2 + 3];
                bytes[CHUNK_BYTES * 2 + 2] = 8;
                write(&copy.join("a/large"), &bytes);
            },
            false,
        );
    }

    #[test]
    fn single_files_are_compared_too() {
        let dir = tempfile::tempdir().unwrap();
        let (left, right) = (dir.path().join("left"), dir.path().join("right"));
        fs::write(&left, b"same").unwrap();
        fs::write(&right, b"same").unwrap();
        assert_eq!(tree(&left, &right), Ok((1, 4)));
        fs::write(&right, b"game").unwrap();
        assert!(tree(&left, &right).is_err());
    }
}
