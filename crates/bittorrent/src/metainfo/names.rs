//! No two files of a torrent at one path, and none where another has its directory. Case does not
//! count, as it does not on macOS and Windows; a name that is taken gets a number, as libtorrent
//! does it: `bar.txt`, `bar.1.txt`.

use super::limits::{NAME_SIZE_MAX, RENAME_TRIES_MAX};
use super::path::cut;
use super::{File, MetainfoError};
use std::collections::HashSet;

/// Renames files whose paths are taken. Padding is left alone, since it is never on disk.
///
/// # Errors
/// So many names are taken that the torrent is up to something.
pub(super) fn separate(files: &mut [File]) -> Result<(), MetainfoError> {
    let mut taken = directories(files);
    let mut tries = 0;
    for file in files.iter_mut().filter(|file| !file.is_pad()) {
        if taken.insert(fold(&file.path)) {
            continue;
        }
        let mut number = 1u32;
        file.path = loop {
            tries += 1;
            if tries > RENAME_TRIES_MAX {
                return Err(MetainfoError::TooManyDuplicates { path: file.path.to_string() });
            }
            let path = numbered(&file.path, number);
            if taken.insert(fold(&path)) {
                break path.into();
            }
            number += 1;
        };
    }
    Ok(())
}

/// The directories of all files, folded. Files come in order of their directories more often than
/// not, so a directory that the last file was in as well is not looked at again.
fn directories(files: &[File]) -> HashSet<String> {
    let mut directories = HashSet::new();
    let mut last = "";
    for file in files.iter().filter(|file| !file.is_pad()) {
        let Some((mut parent, _)) = file.path.rsplit_once('/') else { continue };
        if parent == last {
            continue;
        }
        last = parent;
        while directories.insert(fold(parent)) {
            let Some((grandparent, _)) = parent.rsplit_once('/') else { break };
            parent = grandparent;
        }
    }
    directories
}

/// What two paths have in common that differ only in case.
fn fold(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.to_lowercase() }
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
            let mut seen = HashSet::new();
            for file in &files {
                prop_assert!(seen.insert(fold(file.path())), "{:?}", files);
            }
            for directory in directories(&files) {
                prop_assert!(!seen.contains(&directory), "{:?}", files);
            }
        }
    }
}
