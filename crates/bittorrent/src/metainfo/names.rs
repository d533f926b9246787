//! No two files of a torrent at one path, and none where another has its directory. Case does not
//! count, as it does not on macOS and Windows; a name that is taken gets a number, as libtorrent
//! does it: `bar.txt`, `bar.1.txt`.

use super::limits::{NAME_SIZE_MAX, RENAME_TRIES_MAX};
use super::path::cut;
use super::{File, MetainfoError};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

/// Renames files whose paths are taken. Padding is left alone, since it is never on disk.
///
/// # Errors
/// So many names are taken that the torrent is up to something.
pub(super) fn separate(files: &mut [File]) -> Result<(), MetainfoError> {
    let mut taken = Taken::default();
    // Directories first, as they keep their names.
    for file in files.iter().filter(|file| !file.is_pad()) {
        taken.insert_directories(&file.path);
    }
    let mut tries = 0;
    for file in files.iter_mut().filter(|file| !file.is_pad()) {
        if taken.insert(&file.path) {
            continue;
        }
        let mut number = 1u32;
        file.path = loop {
            tries += 1;
            if tries > RENAME_TRIES_MAX {
                return Err(MetainfoError::TooManyDuplicates { path: file.path.to_string() });
            }
            let path = numbered(&file.path, number);
            if taken.insert(&path) {
                break path.into();
            }
            number += 1;
        };
    }
    Ok(())
}

/// The paths that are taken, as hashes without regard to case: the directories of a path are many,
/// and to keep each as text would take many times the memory of the torrent. Should two hash alike
/// by chance, a file is renamed in vain.
#[derive(Default)]
struct Taken {
    hashes: HashSet<u64>,
    /// A name in lower case, kept for its memory.
    name: String,
}

impl Taken {
    /// Notes a path; says whether it was free.
    fn insert(&mut self, path: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        path.split('/').for_each(|name| self.fold(name, &mut hasher));
        self.hashes.insert(hasher.finish())
    }

    /// Notes all directories that a file is in.
    fn insert_directories(&mut self, path: &str) {
        let Some((directories, _)) = path.rsplit_once('/') else { return };
        let mut hasher = DefaultHasher::new();
        for name in directories.split('/') {
            self.fold(name, &mut hasher);
            self.hashes.insert(hasher.finish());
        }
    }

    /// Hashes what names that differ only in case have in common.
    fn fold(&mut self, name: &str, hasher: &mut DefaultHasher) {
        self.name.clear();
        if name.is_ascii() {
            self.name.push_str(name);
            self.name.make_ascii_lowercase();
        } else {
            self.name.extend(name.chars().flat_map(char::to_lowercase));
        }
        hasher.write(self.name.as_bytes());
        hasher.write_u8(b'/');
    }
}

/// `path` with a number before its extension.
fn numbered(path: &str, number: u32) -> String {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(name_at);
    let (base, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    let suffix = format!(".{number}{extension}");
    let room = NAME_SIZE_MAX.saturating_sub(suffix.len());
    // An extension may be all of a name and leave no room; then the number alone is put behind.
    let name = if suffix.len() > NAME_SIZE_MAX {
        let number = format!(".{number}");
        format!("{}{number}", cut(name, NAME_SIZE_MAX - number.len()))
    } else {
        format!("{}{suffix}", cut(base, room))
    };
    format!("{directory}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(paths: &[&str], expected: &[&str]) {
        let mut files: Vec<_> = paths.iter().map(|path| File::for_test(path)).collect();
        separate(&mut files).expect("few duplicates");
        let paths: Vec<_> = files.iter().map(File::path).collect();
        assert_eq!(paths, expected);
    }

    #[test]
    fn taken_names_get_numbers() {
        check(&["t/a.txt", "t/a.txt", "t/a.txt"], &["t/a.txt", "t/a.1.txt", "t/a.2.txt"]);
        check(&["t/a", "t/a.1", "t/a"], &["t/a", "t/a.1", "t/a.2"]);
        check(&["t/a", "t/a/b"], &["t/a.1", "t/a/b"]);
        check(&["t/A", "t/a/b/c"], &["t/A.1", "t/a/b/c"]);
        check(&["t/d/A", "t/D/a"], &["t/d/A", "t/D/a.1"]);
        check(&["t/\u{c9}", "t/\u{e9}"], &["t/\u{c9}", "t/\u{e9}.1"]);
        check(&["t/.hidden", "t/.hidden"], &["t/.hidden", "t/.1.hidden"]);
        check(&["t/d.x/f", "t/d.x/f"], &["t/d.x/f", "t/d.x/f.1"]);
    }

    #[test]
    fn numbers_fit_into_long_names() {
        let long = "x".repeat(255);
        check(&[&long, &long], &[&long, &format!("{}.1", &long[..253])]);
        let extension = format!(".{}", &long[..254]);
        check(&[&extension, &extension], &[&extension, &format!("{}.1", &extension[..253])]);
    }

    #[test]
    fn a_flood_of_duplicates_is_refused() {
        let mut files = vec![File::for_test("t/a"); 100_000];
        let refused = separate(&mut files);
        assert_eq!(refused, Err(MetainfoError::TooManyDuplicates { path: "t/a".to_owned() }));
    }

    proptest! {
        #[test]
        fn all_paths_differ_and_none_is_a_directory(
            paths in prop::collection::vec("(a|A|b|a.1)(/(a|A|b|a.1)){0,3}", 1..30),
        ) {
            let mut files: Vec<_> = paths.iter().map(|path| File::for_test(path)).collect();
            if separate(&mut files).is_err() {
                return Ok(());
            }
            let lower = |path: &str| path.to_ascii_lowercase();
            let mut seen = HashSet::new();
            for file in &files {
                prop_assert!(seen.insert(lower(file.path())), "{:?}", files);
            }
            for file in &files {
                for (at, _) in file.path().match_indices('/') {
                    prop_assert!(!seen.contains(&lower(&file.path()[..at])), "{:?}", files);
                }
            }
        }
    }
}
