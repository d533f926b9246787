//! The files that are shared, and the comparison of what arrives.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The name of the shared folder, and so of the torrent.
pub const NAME: &str = "assembly";

/// A folder of files made from a seed, in a parent folder that holds nothing else.
#[derive(Debug)]
pub struct Payload {
    parent: PathBuf,
}

/// Path below the folder and size in bytes: what has gone wrong in some client or other before.
/// About 11 MiB, none of it on a piece's border by luck.
const FILES: &[(&str, usize)] = &[
    ("saga.bin", 6 * 1024 * 1024 + 1),
    ("empty.txt", 0),
    ("a single byte", 1),
    ("annals/exact.bin", 2 * 1024 * 1024),
    ("annals/deep/er/still/nested.bin", 3 * 1024 * 1024 - 12_345),
    ("annals/\u{fe}ing \u{e6}r.txt", 16 * 1024 + 7),
    ("zz last.bin", 70_001),
];

impl Payload {
    /// Writes the files to `parent/assembly`; another `seed` gives other bytes.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(parent: &Path, seed: u64) -> Payload {
        let payload = Payload { parent: parent.to_owned() };
        for (number, (path, size)) in (1..).zip(FILES) {
            let path = payload.path().join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder"))
                .and_then(|()| write_random(&path, *size as u64, seed.wrapping_add(number)))
                .expect("the payload can be written");
        }
        payload
    }

    /// The shared folder.
    pub fn path(&self) -> PathBuf {
        self.parent.join(NAME)
    }

    /// The folder that holds it: what a client calls its download folder.
    pub fn parent(&self) -> &Path {
        &self.parent
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        FILES.iter().map(|(_, size)| *size as u64).sum()
    }

    /// Compares the copy under `parent` byte by byte.
    ///
    /// # Panics
    /// With the first file that is missing, too many, or different.
    #[track_caller]
    pub fn assert_copied_to(&self, parent: &Path) {
        if let Some(difference) = self.difference(parent, Empty::Kept) {
            panic!("{difference}");
        }
    }

    /// What is wrong with the copy under `parent`, if anything.
    pub fn difference(&self, parent: &Path, empty: Empty) -> Option<String> {
        let (ours, theirs) = (self.path(), parent.join(NAME));
        let (mut expected, found) = (list(&ours), list(&theirs));
        if empty == Empty::LeftOut {
            expected.retain(|_, size| *size > 0);
        }
        let names = |files: &BTreeMap<PathBuf, u64>| files.keys().cloned().collect::<Vec<_>>();
        if names(&expected) != names(&found) {
            let (expected, found) = (names(&expected), names(&found));
            let theirs = theirs.display();
            return Some(format!("the files under {theirs} are {found:?}, not {expected:?}"));
        }
        expected.iter().find_map(|(path, size)| {
            let shown = theirs.join(path);
            let shown = shown.display();
            let got = found.get(path).copied().unwrap_or(0);
            if got != *size {
                return Some(format!("{shown} has {got} bytes, not {size}"));
            }
            let same = fs::read(ours.join(path)).ok() == fs::read(theirs.join(path)).ok();
            (!same).then(|| format!("{shown} has other bytes than it should"))
        })
    }
}

/// What becomes of empty files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// They are there.
    Kept,
    /// The client does not make them.
    LeftOut,
}

/// Writes `size` bytes that no file system compresses and that depend on `seed` alone.
///
/// # Errors
/// What the file system says.
pub fn write_random(path: &Path, size: u64, seed: u64) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut left = size;
    while left > 0 {
        // xorshift64*: quick, and nobody here depends on its quality.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let word = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        let take = left.min(8);
        let bytes = word.get(..usize::try_from(take).unwrap_or(8)).unwrap_or(&word);
        file.write_all(bytes)?;
        left -= take;
    }
    file.flush()
}

/// The files below `root` by path and size. Padding (BEP 47), which clients that do not know hybrid
/// torrents write to disk as files, is not part of what is shared.
fn list(root: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && entry.file_name() != ".pad" {
                folders.push(path);
            } else if kind.is_file() {
                let below = path.strip_prefix(root).unwrap_or(&path).to_owned();
                files.insert(below, entry.metadata().map_or(0, |meta| meta.len()));
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn two_copies() -> (Scratch, Payload, Payload) {
        let scratch = Scratch::new();
        let one = Payload::write(&scratch.dir("one"), 7);
        let two = Payload::write(&scratch.dir("two"), 7);
        (scratch, one, two)
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes() {
        let (_scratch, one, two) = two_copies();
        one.assert_copied_to(two.parent());
        assert_eq!(one.size(), list(&one.path()).values().sum::<u64>());
    }

    #[test]
    #[should_panic(expected = "has other bytes")]
    fn one_changed_byte_is_found() {
        let (_scratch, one, two) = two_copies();
        let path = two.path().join("zz last.bin");
        let mut bytes = fs::read(&path).expect("it was written");
        bytes[70_000] ^= 1;
        fs::write(&path, bytes).expect("it can be written again");
        one.assert_copied_to(two.parent());
    }

    #[test]
    #[should_panic(expected = "the files under")]
    fn a_missing_empty_file_is_found() {
        let (_scratch, one, two) = two_copies();
        fs::remove_file(two.path().join("empty.txt")).expect("it was written");
        one.assert_copied_to(two.parent());
    }
}
