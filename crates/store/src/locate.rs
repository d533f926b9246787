//! Finding a torrent's files again where the user has put them, whatever they are called now: by
//! their length, and then by what is in them.

use crate::files::{DiskFiles, Files as _, Location, Mode, Root, read_exact_at};
use crate::hash::{Kinds, PieceHasher};
use crate::limits::{LOCATE_CANDIDATES_MAX, LOCATE_ENTRIES_MAX, SCAN_READ_BYTES, WALK_DEPTH_MAX};
use althing_bittorrent::PieceIndex;
use althing_bittorrent::metainfo::{File, FileIndex, Metainfo};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// Where the torrent's files are now. Those that were not found have the places there that they
    /// would have if they were fetched.
    pub location: Location,
    /// How many of its files were found.
    pub found: usize,
    /// How many were not.
    pub missing: usize,
    /// There was more in the folder than is looked at.
    pub cut_short: bool,
}

/// Looks for a torrent's files in a folder and those below it; `None` if there is none of them. Links
/// are not followed. A file counts as found if it has the right length and its first whole piece
/// hashes to what it should; a file that is too small for a piece of its own if it also has the right
/// name. (All of it is checked afterwards anyway.)
pub fn locate(metainfo: &Metainfo, folder: &Path, cancel: &AtomicBool) -> Option<Located> {
    let wanted: BTreeSet<u64> = data_files(metainfo).map(|(_, file)| file.size()).collect();
    let (by_size, cut_short) = walk(folder, &wanted, cancel);
    let mut names = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut missing = 0;
    for (index, file) in data_files(metainfo) {
        if cancel.load(Ordering::Relaxed) {
            return None;
        }
        let candidates = by_size.get(&file.size()).map(Vec::as_slice).unwrap_or_default();
        let found = best_first(file, candidates)
            .into_iter()
            .filter(|path| !taken.contains(*path))
            .find(|path| is_it(metainfo, index, file, folder, path));
        match found {
            Some(path) => {
                taken.insert(path);
                names.insert(file.path().to_owned(), path.to_owned());
            }
            None => missing += 1,
        }
    }
    let found = names.len();
    let location = place(metainfo, folder, names)?;
    Some(Located { location, found, missing, cut_short })
}

/// The files that have content.
fn data_files(metainfo: &Metainfo) -> impl Iterator<Item = (FileIndex, &File)> {
    let all = (0..).map(FileIndex).zip(metainfo.files());
    all.filter(|(_, file)| !file.is_pad() && file.size() > 0)
}

/// Files of the lengths that are wanted, from `folder`; and whether there was too much to look at.
fn walk(
    folder: &Path,
    wanted: &BTreeSet<u64>,
    cancel: &AtomicBool,
) -> (BTreeMap<u64, Vec<PathBuf>>, bool) {
    let mut by_size: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    let mut seen = 0;
    while let Some(here) = folders.pop() {
        // What cannot be read is not where the files are.
        let Ok(entries) = std::fs::read_dir(folder.join(&here)) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > LOCATE_ENTRIES_MAX || cancel.load(Ordering::Relaxed) {
                return (by_size, true);
            }
            let path = here.join(entry.file_name());
            // That of the entry itself: links are not followed.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && path.components().count() < WALK_DEPTH_MAX {
                folders.push(path);
            } else if metadata.is_file() && wanted.contains(&metadata.len()) {
                by_size.entry(metadata.len()).or_default().push(path);
            }
        }
    }
    by_size.values_mut().for_each(|paths| paths.sort());
    (by_size, false)
}

/// Candidates in the order of how much their names say for them, as many as are read at most.
fn best_first<'a>(file: &File, candidates: &'a [PathBuf]) -> Vec<&'a PathBuf> {
    let own: Vec<&str> = file.components().collect();
    let agrees = |path: &PathBuf| {
        let theirs = path.components().rev().map(|part| part.as_os_str());
        let ours = own.iter().rev().map(std::ffi::OsStr::new);
        theirs.zip(ours).take_while(|(theirs, ours)| theirs == ours).count()
    };
    let mut candidates: Vec<&PathBuf> = candidates.iter().collect();
    candidates.sort_by_key(|path| std::cmp::Reverse(agrees(path)));
    candidates.truncate(LOCATE_CANDIDATES_MAX);
    candidates
}

/// Whether what is at `path` seems to be this file.
fn is_it(metainfo: &Metainfo, index: FileIndex, file: &File, folder: &Path, path: &Path) -> bool {
    let Some(piece) = own_piece(metainfo, index, file) else {
        return path.file_name() == file.components().last().map(std::ffi::OsStr::new);
    };
    let Some(expected) = metainfo.piece_hash(piece) else {
        return path.file_name() == file.components().last().map(std::ffi::OsStr::new);
    };
    let start = metainfo.layout().piece_offset(piece) - file.offset();
    let root = Root::of(folder, true);
    let Ok(open) = DiskFiles.open(&root, path, Mode::Read) else { return false };
    let len = metainfo.piece_data_size(piece);
    let mut hasher = PieceHasher::new(Kinds::of(&expected));
    let mut buffer = vec![0; SCAN_READ_BYTES.min(len as usize)];
    let mut at = 0;
    while at < len {
        let now = (len - at).min(buffer.len() as u32);
        let data = &mut buffer[..now as usize];
        if read_exact_at(&*open, data, start + u64::from(at)).is_err() {
            return false;
        }
        hasher.update(data);
        at += now;
    }
    hasher.pad(metainfo.piece_size(piece) - len);
    hasher.matches(&expected)
}

/// The first piece of which this file has all the data.
fn own_piece(metainfo: &Metainfo, index: FileIndex, file: &File) -> Option<PieceIndex> {
    let end = file.offset() + file.size();
    metainfo.file_pieces(index).map(PieceIndex).find(|piece| {
        let start = metainfo.layout().piece_offset(*piece);
        start >= file.offset() && start + u64::from(metainfo.piece_data_size(*piece)) <= end
    })
}

/// The place that has the files under these names, given from `folder`; `None` without any.
fn place(metainfo: &Metainfo, folder: &Path, names: BTreeMap<String, PathBuf>) -> Option<Location> {
    let first = names.values().next()?;
    let probe = Root::new(&Location::Under(folder.to_owned()), metainfo.files());
    if probe.is_file() {
        return Some(Location::At(folder.join(first)));
    }
    // As the torrent has them, in a folder of its name or of any other.
    let own_parts = |name: &str| name.split('/').skip(1).collect::<PathBuf>();
    let top = |(name, path): (&String, &PathBuf)| {
        let own = own_parts(name);
        let top: PathBuf = {
            let depth = path.components().count().checked_sub(own.components().count())?;
            path.components().take(depth).collect()
        };
        (top.join(own) == *path).then_some(top)
    };
    let mut tops: Vec<Option<PathBuf>> = names.iter().map(top).collect();
    tops.dedup();
    if let [Some(top)] = tops.as_slice() {
        let under = top.components().next().is_some()
            && top.file_name() == Some(std::ffi::OsStr::new(metainfo.name()));
        return Some(match top.parent() {
            Some(parent) if under => Location::Under(folder.join(parent)),
            _ => Location::At(folder.join(top)),
        });
    }
    Some(Location::Renamed { path: folder.to_owned(), names })
}
