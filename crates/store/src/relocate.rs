//! Moving a torrent's files to another place, so that at any moment all of them can be used from one.
//!
//! On one disk each file is renamed. To another disk each is copied under a name of its own, flushed,
//! read back and compared with what was read from the source; only when all are there the record
//! changes ([`Records::moved`](crate::records::Records::moved)), and only after that the sources are
//! deleted ([`remove_sources`]). A full disk, an error or a wish to stop leaves the source as it was.
//!
//! A process that dies on the way does the rest the next time: what has been renamed is found at the
//! target, what had been copied is compared again.

use crate::files::{self, Files, Mode, OpenFile, Root, Stamp, free_bytes};
use crate::limits::{MOVE_BUFFER_BYTES, MOVE_PROGRESS_BYTES};
use althing_base::hash::Sha1;
use althing_bittorrent::metainfo::{File, FileIndex, Metainfo};
use althing_bittorrent::swarm::StorageFault;
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to be moved, and how.
pub struct Relocation<'a> {
    /// The file system.
    pub files: &'a dyn Files,
    /// The torrent.
    pub metainfo: &'a Metainfo,
    /// Where its files are.
    pub from: &'a Root,
    /// Where they are to be.
    pub to: &'a Root,
    /// Whether this goes on with what a process began that died.
    pub again: bool,
    /// Told how many bytes of how many have been done.
    pub progress: &'a dyn Fn(u64, u64),
    /// Set by whoever wants it to stop.
    pub cancel: &'a AtomicBool,
}

/// A torrent is in its new place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// What its files look like there.
    pub stamps: Vec<(FileIndex, Stamp)>,
    /// There are copies of some in the old place, which can go when the new one is written down.
    pub leftovers: bool,
}

/// Why a torrent was not moved. Its files are where they were.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// There is another file in the way.
    #[error(
        "{} is there already and is another file; move it away or choose another folder",
        path.display()
    )]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A copy is not what was read; the disk or the memory is not to be trusted.
    #[error(
        "the copy {} differs from its original when read back; nothing was moved: check that disk",
        path.display()
    )]
    Differs {
        /// Which.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("{0}; nothing was moved")]
    Storage(StorageFault),
    /// It was asked to stop.
    #[error("stopped; nothing was moved")]
    Cancelled,
}

/// A file on its way.
struct Item<'a> {
    index: FileIndex,
    file: &'a File,
    source: PathBuf,
    target: PathBuf,
    size: u64,
}

/// Where the files were found.
#[derive(Default)]
struct Found<'a> {
    /// In the old place.
    todo: Vec<Item<'a>>,
    /// In both.
    there: Vec<Item<'a>>,
    /// In the new place alone: a process that died has renamed them.
    arrived: Vec<Item<'a>>,
}

/// What has been moved.
#[derive(Default)]
struct Done<'a> {
    renamed: Vec<&'a Item<'a>>,
    copied: Vec<&'a Item<'a>>,
}

impl Relocation<'_> {
    /// Moves the files.
    ///
    /// # Errors
    /// Something is in the way, the disk refuses, or it was cancelled; nothing has been moved then.
    pub fn run(&self) -> Result<Moved, MoveError> {
        let mut found = Found::default();
        let mut done = Done::default();
        let looked = self.look(&mut found);
        let moved = looked.and_then(|()| self.move_all(&found, &mut done));
        if moved.is_err() {
            self.undo(&found, &done);
            return moved;
        }
        self.links();
        self.sync_folders(&found.todo);
        if moved.as_ref().is_ok_and(|moved| !moved.leftovers) {
            self.remove_folders();
        }
        moved
    }

    fn move_all<'a>(
        &self,
        found: &'a Found<'_>,
        Done { renamed, copied }: &mut Done<'a>,
    ) -> Result<Moved, MoveError> {
        let total = found.todo.iter().map(|item| item.size).sum();
        let mut done = 0;
        for item in &found.todo {
            match self.rename(item) {
                Ok(()) => renamed.push(item),
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    if copied.is_empty() {
                        self.check_space(&found.todo)?;
                    }
                    self.copy(item, done, total)?;
                    copied.push(item);
                }
                Err(error) => return Err(self.fault(self.to, item.file, &error)),
            }
            done += item.size;
            (self.progress)(done, total);
        }
        let mut stamps = Vec::new();
        for item in found.todo.iter().chain(&found.there).chain(&found.arrived) {
            let stamp = self.files.stamp(self.to, &item.target);
            stamps.push((item.index, stamp.map_err(|e| self.fault(self.to, item.file, &e))?));
        }
        stamps.sort_by_key(|(index, _)| *index);
        Ok(Moved { stamps, leftovers: !copied.is_empty() || !found.there.is_empty() })
    }

    /// Sees where the files are.
    fn look<'a>(&'a self, found: &mut Found<'a>) -> Result<(), MoveError> {
        let all = (0..).map(FileIndex).zip(self.metainfo.files());
        for (index, file) in all.filter(|(_, file)| !file.is_pad() && file.symlink().is_none()) {
            self.go_on()?;
            let (source, target) = (self.from.relative(file), self.to.relative(file));
            // Left behind by a process that died.
            let _ = self.files.remove(self.to, &part_name(&target));
            let here = self.files.stamp(self.from, &source);
            let already = self.files.stamp(self.to, &target);
            let size = here.as_ref().map_or(0, |stamp| stamp.size);
            let item = Item { index, file, source, target, size };
            match (here, already) {
                (Err(_), Err(_)) => {}
                (Ok(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                    found.todo.push(item);
                }
                (Err(_), Ok(_)) if self.again => found.arrived.push(item),
                (Ok(from), Ok(to)) if from.size == to.size && self.is_same(&item)? => {
                    found.there.push(item);
                }
                (_, Err(error)) => return Err(self.fault(self.to, file, &error)),
                _ => return Err(MoveError::Exists { path: self.to.path(file) }),
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), MoveError> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(MoveError::Cancelled),
            false => Ok(()),
        }
    }

    /// Whether source and target are equal, byte by byte. The same file is no copy of itself.
    fn is_same(&self, item: &Item<'_>) -> Result<bool, MoveError> {
        let from = self.open(self.from, item.file, &item.source)?;
        let to = self.open(self.to, item.file, &item.target)?;
        let stamps = from.stamp().and_then(|a| Ok((a, to.stamp()?)));
        if stamps.is_ok_and(|(a, b)| a.inode == b.inode && a == b && a.inode != 0) {
            return Ok(false);
        }
        let (mut a, mut b) = (vec![0; MOVE_BUFFER_BYTES], vec![0; MOVE_BUFFER_BYTES]);
        let mut at = 0;
        while at < item.size {
            self.go_on()?;
            let len = (item.size - at).min(MOVE_BUFFER_BYTES as u64) as usize;
            let (a, b) = (&mut a[..len], &mut b[..len]);
            self.read(&*from, self.from, item.file, a, at)?;
            self.read(&*to, self.to, item.file, b, at)?;
            if a != b {
                return Ok(false);
            }
            at += len as u64;
        }
        Ok(true)
    }

    fn rename(&self, item: &Item<'_>) -> io::Result<()> {
        self.files.rename(self.from, &item.source, self.to, &item.target)
    }

    /// All that is to be copied has to fit before anything is.
    fn check_space(&self, todo: &[Item<'_>]) -> Result<(), MoveError> {
        let needed = todo.iter().map(|item| item.size).sum::<u64>();
        match free_bytes(self.to.anchor()) {
            Some(free) if free < needed => Err(MoveError::Storage(StorageFault::DiskFull {
                path: self.to.anchor().display().to_string(),
            })),
            _ => Ok(()),
        }
    }

    /// Copies a file under another name, reads it back, and gives it its name.
    fn copy(&self, item: &Item<'_>, before: u64, total: u64) -> Result<(), MoveError> {
        let part = part_name(&item.target);
        let copied = self.copy_to(item, &part, before, total);
        if copied.is_err() {
            // It may not even have been created.
            let _ = self.files.remove(self.to, &part);
        }
        copied
    }

    fn copy_to(
        &self,
        item: &Item<'_>,
        part: &Path,
        before: u64,
        total: u64,
    ) -> Result<(), MoveError> {
        let failed = |error: io::Error| self.fault(self.to, item.file, &error);
        let from = self.open(self.from, item.file, &item.source)?;
        let mode = Mode::Write { executable: item.file.is_executable() };
        let to = self.files.open(self.to, part, mode).map_err(failed)?;
        to.truncate(item.size).map_err(failed)?;
        let mut buffer = vec![0; MOVE_BUFFER_BYTES];
        let mut told = 0;
        let read_hash = self.scan(&*from, self.from, item, &mut buffer, |data, at| {
            files::write_all_at(&*to, &mut [IoSlice::new(data)], at).map_err(failed)?;
            if at - told >= MOVE_PROGRESS_BYTES {
                told = at;
                (self.progress)(before + at, total);
            }
            Ok(())
        })?;
        to.sync().map_err(failed)?;
        forget_cached(&*to);
        let written_hash = self.scan(&*to, self.to, item, &mut buffer, |_, _| Ok(()))?;
        if read_hash != written_hash {
            return Err(MoveError::Differs { path: self.to.path(item.file) });
        }
        self.files.rename(self.to, part, self.to, &item.target).map_err(failed)
    }

    /// Reads a file without its holes; what all of it hashes to.
    fn scan(
        &self,
        file: &dyn OpenFile,
        root: &Root,
        item: &Item<'_>,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8], u64) -> Result<(), MoveError>,
    ) -> Result<[u8; 20], MoveError> {
        let mut hasher = Sha1::new();
        let mut at = 0;
        while at < item.size {
            self.go_on()?;
            let len = (item.size - at).min(buffer.len() as u64);
            let data = &mut buffer[..len as usize];
            self.read(file, root, item.file, data, at)?;
            hasher.update(data);
            // Holes stay holes; whether they are read as such by the system does not matter.
            if data.iter().any(|&byte| byte != 0) {
                each(data, at)?;
            }
            at += len;
        }
        Ok(hasher.finish().0)
    }

    fn open(
        &self,
        root: &Root,
        file: &File,
        path: &Path,
    ) -> Result<std::sync::Arc<dyn OpenFile>, MoveError> {
        self.files.open(root, path, Mode::Read).map_err(|error| self.fault(root, file, &error))
    }

    fn read(
        &self,
        open: &dyn OpenFile,
        root: &Root,
        file: &File,
        data: &mut [u8],
        at: u64,
    ) -> Result<(), MoveError> {
        files::read_exact_at(open, data, at).map_err(|error| self.fault(root, file, &error))
    }

    fn fault(&self, root: &Root, file: &File, error: &io::Error) -> MoveError {
        MoveError::Storage(files::fault(&root.path(file), error))
    }

    /// Puts back what was renamed, also by a process that died, and deletes what was copied.
    fn undo(&self, found: &Found<'_>, done: &Done<'_>) {
        for item in done.renamed.iter().copied().chain(&found.arrived) {
            let back = self.files.rename(self.to, &item.target, self.from, &item.source);
            if let Err(error) = back {
                let path = self.to.path(item.file);
                tracing::warn!(path = %path.display(), %error, "a file could not be put back");
            }
        }
        for item in &done.copied {
            let _ = self.files.remove(self.to, &item.target);
        }
        remove_folders(self.files, self.to, self.metainfo);
    }

    /// Links of the torrent (BEP 47) are made anew: they lead from one of its files to another.
    fn links(&self) {
        for file in self.metainfo.files() {
            let Some(target) = file.symlink() else { continue };
            let target: PathBuf = target.split('/').skip(1).collect();
            let path = self.from.relative(file);
            // What is no link of ours is not found there under this name either.
            if self.files.link(self.to, &self.to.relative(file), &target).is_ok() {
                let _ = self.files.remove(self.from, &path);
            }
        }
    }

    /// Makes the new names durable, and that the old ones are gone.
    fn sync_folders(&self, todo: &[Item<'_>]) {
        let mut folders = std::collections::BTreeSet::new();
        for item in todo {
            folders.extend(item.target.ancestors().skip(1).map(|path| (true, path.to_owned())));
            folders.extend(item.source.ancestors().skip(1).map(|path| (false, path.to_owned())));
        }
        for (at_target, folder) in folders {
            let root = if at_target { self.to } else { self.from };
            if let Err(error) = self.files.sync_folder(root, Some(&folder)) {
                tracing::debug!(path = %folder.display(), %error, "could not flush a folder");
            }
        }
        for root in [self.to, self.from] {
            let _ = self.files.sync_folder(root, None);
        }
    }

    fn remove_folders(&self) {
        remove_folders(self.files, self.from, self.metainfo);
    }
}

/// Deletes what a move has left in the old place, now that the record names the new one.
///
/// # Errors
/// The first file that could not be deleted.
pub fn remove_sources(
    files: &dyn Files,
    root: &Root,
    metainfo: &Metainfo,
) -> Result<(), StorageFault> {
    crate::pieces::remove(files, root, metainfo)
}

/// Removes a torrent's folders as far as nothing is in them.
fn remove_folders(files: &dyn Files, root: &Root, metainfo: &Metainfo) {
    if root.is_file() {
        return;
    }
    let mut folders = std::collections::BTreeSet::new();
    for file in metainfo.files().iter().filter(|file| !file.is_pad()) {
        folders.extend(root.relative(file).ancestors().skip(1).map(Path::to_owned));
    }
    // The deepest first: a folder comes before what is in it.
    for folder in folders.iter().rev() {
        // Where something is left it stays.
        let _ = files.remove_folder(root, folder);
    }
}

/// The name of a copy until it is whole.
fn part_name(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".althing-part");
    target.with_file_name(name)
}

/// Has the system read a file from its disk the next time, as far as it does as it is told.
fn forget_cached(file: &dyn OpenFile) {
    #[cfg(target_os = "linux")]
    if let Some(file) = file.as_file() {
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
