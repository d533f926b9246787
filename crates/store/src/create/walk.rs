//! Finding the files that a torrent is to be made of.

use super::{Content, CreateError, Found, Kind};
use crate::files::stamp_of;
use crate::limits::{WALK_DEPTH_MAX, WALK_ENTRIES_MAX};
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

pub(super) fn find(path: &Path) -> Result<Content, CreateError> {
    // Without links and dots: what `..` is called, and where links inside may lead to.
    let full = fs::canonicalize(path).map_err(|error| failed(path, error))?;
    let metadata = fs::metadata(&full).map_err(|error| failed(path, error))?;
    let name = full.file_name().ok_or_else(|| CreateError::Nameless { path: path.to_owned() })?;
    let mut content = Content {
        name: name.to_string_lossy().into_owned(),
        is_folder: metadata.is_dir(),
        files: Vec::new(),
        warnings: Vec::new(),
        path: full.clone(),
    };
    if metadata.is_file() {
        let stamp = stamp_of(&metadata).map_err(|error| failed(path, error))?;
        content.files.push(Found {
            path: name.into(),
            executable: is_executable(&metadata),
            hidden: is_hidden(name, &metadata),
            kind: Kind::File(stamp),
        });
    } else if metadata.is_dir() {
        Walk { content: &mut content, entries: 0 }.run()?;
        drop_loose_links(&mut content);
    } else {
        return Err(CreateError::Special { path: path.to_owned() });
    }
    Ok(content)
}

struct Walk<'a> {
    content: &'a mut Content,
    /// Files and folders seen.
    entries: usize,
}

impl Walk<'_> {
    /// Depth first, without recursion: folders still to be read, from the root.
    fn run(mut self) -> Result<(), CreateError> {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let mut names = self.names(&folder)?;
            names.sort();
            self.entries += names.len();
            if self.entries > WALK_ENTRIES_MAX || folder.components().count() >= WALK_DEPTH_MAX {
                return Err(CreateError::TooLarge {
                    path: self.content.path.clone(),
                    max: WALK_ENTRIES_MAX,
                    depth: WALK_DEPTH_MAX,
                });
            }
            for name in names {
                let path = folder.join(name);
                if self.add(&path)? {
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    fn names(&self, folder: &Path) -> Result<Vec<std::ffi::OsString>, CreateError> {
        let full = self.content.path.join(folder);
        let names = fs::read_dir(&full).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.file_name())).collect()
        });
        names.map_err(|error| failed(&full, error))
    }

    /// Adds what is at `path`; true if it is a folder to walk.
    fn add(&mut self, path: &Path) -> Result<bool, CreateError> {
        let full = self.content.path.join(path);
        let metadata = fs::symlink_metadata(&full).map_err(|error| failed(&full, error))?;
        let executable = is_executable(&metadata);
        let hidden = path.file_name().is_some_and(|name| is_hidden(name, &metadata));
        let path = path.to_owned();
        if metadata.is_dir() {
            return Ok(true);
        } else if metadata.is_file() {
            let stamp = stamp_of(&metadata).map_err(|error| failed(&full, error))?;
            self.content.files.push(Found { path, executable, hidden, kind: Kind::File(stamp) });
        } else if metadata.is_symlink() {
            match self.inside(&full) {
                Some(target) => {
                    self.content.files.push(Found {
                        path,
                        executable: false,
                        hidden,
                        kind: Kind::Link(target),
                    });
                }
                None => self.warn(&full, "is a link that leads out of the folder or nowhere"),
            }
        } else {
            self.warn(&full, "is neither a file nor a folder");
        }
        Ok(false)
    }

    /// Where a link leads, from the root, if that is inside.
    fn inside(&self, link: &Path) -> Option<PathBuf> {
        let target = fs::canonicalize(link).ok()?;
        let inside = target.strip_prefix(&self.content.path).ok()?;
        (!inside.as_os_str().is_empty()).then(|| inside.to_owned())
    }

    fn warn(&mut self, path: &Path, why: &str) {
        self.content.warnings.push(format!("{} {why}; it is left out", path.display()));
    }
}

/// Leaves out links to what is not in the torrent itself, such as empty folders: nobody else would
/// have anything there.
fn drop_loose_links(content: &mut Content) {
    let mut there: BTreeSet<&Path> = BTreeSet::new();
    for found in content.files.iter().filter(|found| matches!(found.kind, Kind::File(_))) {
        there.extend(found.path.ancestors());
    }
    let loose: Vec<PathBuf> = content
        .files
        .iter()
        .filter(|found| matches!(&found.kind, Kind::Link(to) if !there.contains(&**to)))
        .map(|found| found.path.clone())
        .collect();
    for path in &loose {
        let full = content.path.join(path);
        let why = "is a link to something that is left out";
        content.warnings.push(format!("{} {why}; it is left out", full.display()));
    }
    let loose: BTreeSet<PathBuf> = loose.into_iter().collect();
    content.files.retain(|found| !loose.contains(&found.path));
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o100 != 0
}

/// Other systems tell by the name.
#[cfg(not(unix))]
fn is_executable(_metadata: &Metadata) -> bool {
    false
}

/// Whether listings leave a file out.
#[cfg(windows)]
fn is_hidden(_name: &std::ffi::OsStr, metadata: &Metadata) -> bool {
    const FILE_ATTRIBUTE_HIDDEN: u32 = 2;
    std::os::windows::fs::MetadataExt::file_attributes(metadata) & FILE_ATTRIBUTE_HIDDEN != 0
}

/// Whether listings leave a file out.
#[cfg(not(windows))]
fn is_hidden(name: &std::ffi::OsStr, _metadata: &Metadata) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn failed(path: &Path, error: io::Error) -> CreateError {
    match error.kind() {
        io::ErrorKind::NotFound => CreateError::Missing { path: path.to_owned() },
        _ => CreateError::Unreadable { path: path.to_owned(), error },
    }
}
