//! What the store asks of a file system, as a narrow trait, so that tests can put a disk that
//! fills up, fails or is changed underneath in the place of the real one ([`DiskFiles`]).

mod descriptors;
mod disk;
mod os;
mod space;

pub(crate) use descriptors::{Descriptors, Slot};
pub use disk::DiskFiles;
pub(crate) use disk::stamp_of;
pub use space::free_bytes;

use althing_bittorrent::metainfo::File;
use althing_bittorrent::swarm::StorageFault;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a torrent's data is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// A folder that the torrent's own file or folder is in, under the torrent's name for it:
    /// downloads.
    Under(PathBuf),
    /// The torrent's own file or folder itself, whatever it is called here: data that is seeded
    /// where the user has it.
    At(PathBuf),
    /// The same, with files in it that are called differently than in the torrent, because other
    /// systems could not use their names.
    Renamed {
        /// The torrent's own folder.
        path: PathBuf,
        /// Where a file is, from that folder, by its [`path`](File::path) in the torrent.
        names: BTreeMap<String, PathBuf>,
    },
}

impl Location {
    /// The path that the user named.
    pub fn path(&self) -> &Path {
        match self {
            Location::Under(path) | Location::At(path) | Location::Renamed { path, .. } => path,
        }
    }
}

/// A torrent's data as a place that nothing of it can lead out of.
///
/// The [`anchor`](Self::anchor) is opened as the user named it, through links if it has some. All
/// below is opened beneath it: a link on the way may lead to another place below, never out, and
/// a torrent's own folder and the files themselves must not be links at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    anchor: PathBuf,
    folder: Option<PathBuf>,
    /// What a single file is called here; else the files' own paths count.
    file: Option<PathBuf>,
    /// Where files are that are called differently here.
    names: BTreeMap<String, PathBuf>,
}

impl Root {
    /// The place of the torrent that has `files`, at `location`.
    pub fn new(location: &Location, files: &[File]) -> Root {
        let name = files.iter().flat_map(|file| file.components().next()).next().unwrap_or("");
        // Padding stands under a path of its own that is never used.
        let single = !files.iter().any(|file| !file.is_pad() && file.components().nth(1).is_some());
        let root = Root {
            anchor: location.path().to_owned(),
            folder: None,
            file: None,
            names: BTreeMap::new(),
        };
        match location {
            Location::Under(_) if single => Root { file: Some(single_name(files)), ..root },
            Location::Under(_) => Root { folder: Some(name.into()), ..root },
            Location::At(path) | Location::Renamed { path, .. } if single => {
                let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Root {
                    anchor: folder.unwrap_or(Path::new(".")).to_owned(),
                    file: Some(path.file_name().map_or_else(|| single_name(files), PathBuf::from)),
                    ..root
                }
            }
            Location::At(_) => root,
            Location::Renamed { names, .. } => Root { names: names.clone(), ..root },
        }
    }

    /// The place of what is at `path`: the folder itself, or the folder with that file.
    pub(crate) fn of(path: &Path, is_folder: bool) -> Root {
        let (anchor, file) = match path.parent() {
            Some(parent) if !is_folder => (parent, path.file_name().map(PathBuf::from)),
            _ => (path, None),
        };
        Root { anchor: anchor.to_owned(), folder: None, file, names: BTreeMap::new() }
    }

    /// The folder that is opened as it is named, links and all.
    pub fn anchor(&self) -> &Path {
        &self.anchor
    }

    /// The torrent's own folder in the anchor, if it is not the anchor itself.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Whether the torrent is a single file, without a folder of its own.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Where `file` is, from the folder (or the anchor, if there is none).
    pub fn relative(&self, file: &File) -> PathBuf {
        let here = self.file.as_ref().or_else(|| self.names.get(file.path()));
        here.cloned().unwrap_or_else(|| file.components().skip(1).collect())
    }

    /// Where `file` is, to show and to stat; opening it goes through [`Files`].
    pub fn path(&self, file: &File) -> PathBuf {
        let mut path = self.anchor.clone();
        path.extend(&self.folder);
        path.push(self.relative(file));
        path
    }
}

/// The name of the one file of `files` that is not padding.
fn single_name(files: &[File]) -> PathBuf {
    files.iter().find(|file| !file.is_pad()).map_or_else(PathBuf::new, |file| file.path().into())
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Reading; it must be there.
    Read,
    /// Writing and reading; it and its folders are created if they are not there.
    Write {
        /// Whether a file that is created is to be executable, where systems know such a thing.
        executable: bool,
    },
}

/// What tells that a file is still the one it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// When it was last modified, in nanoseconds since 1970-01-01T00:00:00Z.
    pub modified_ns: i64,
    /// The file's number in its file system; 0 where there is none.
    pub inode: u64,
}

/// A file system, reduced to what the store needs. Every path is relative to a [`Root`] and comes
/// from [`Root::relative`].
///
/// # Errors
/// What the operating system says. A missing file or folder is [`io::ErrorKind::NotFound`], a full
/// disk [`io::ErrorKind::StorageFull`].
pub trait Files: Send + Sync {
    /// Opens a file. It must be an ordinary one; a link, a pipe or a device is refused.
    fn open(&self, root: &Root, path: &Path, mode: Mode) -> io::Result<Arc<dyn OpenFile>>;

    /// What a file is like, without opening it; links are not followed.
    fn stamp(&self, root: &Root, path: &Path) -> io::Result<Stamp>;

    /// Creates a link at `path` to `target`, a path like it (BEP 47). One that is already there
    /// and leads to the same is fine.
    fn link(&self, root: &Root, path: &Path, target: &Path) -> io::Result<()>;

    /// Gives what is at `path` another place, if both are on the same disk. Folders on the way are
    /// created.
    ///
    /// [`io::ErrorKind::AlreadyExists`] if something is there, [`io::ErrorKind::CrossesDevices`] if it
    /// is another disk.
    fn rename(&self, from: &Root, path: &Path, to: &Root, new_path: &Path) -> io::Result<()>;

    /// Removes a file or a link.
    fn remove(&self, root: &Root, path: &Path) -> io::Result<()>;

    /// Removes a folder, if it is empty; an empty path is the torrent's own folder.
    fn remove_folder(&self, root: &Root, path: &Path) -> io::Result<()>;

    /// Makes everything durable that has been written to the file system that `root` is on; false
    /// if the system has no such call that tells of errors.
    fn sync_all(&self, root: &Root) -> io::Result<bool>;

    /// Makes the names in a folder durable; an empty path is the torrent's own folder, `None` the
    /// anchor.
    fn sync_folder(&self, root: &Root, path: Option<&Path>) -> io::Result<()>;
}

/// An open file. Reads and writes name their offset, so that threads can share it.
///
/// # Errors
/// What the operating system says.
pub trait OpenFile: Send + Sync {
    /// Reads a prefix of `buf` from `offset`; says how many bytes, 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes a prefix of `bufs`, one after the other, at `offset`; says how many bytes.
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;

    /// What the file is like now.
    fn stamp(&self) -> io::Result<Stamp>;

    /// Cuts the file to `size` bytes.
    fn truncate(&self, size: u64) -> io::Result<()>;

    /// Takes disk space for a part of the file, which reads as zeros, and makes the file as long as
    /// that. What has been written is left as it is.
    ///
    /// [`io::ErrorKind::Unsupported`] if the file system cannot.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Has the system copy a part of another file to `offset` of this one, which may cost nothing on
    /// file systems that share blocks; says how many bytes.
    ///
    /// [`io::ErrorKind::Unsupported`] if it has no such call, [`io::ErrorKind::CrossesDevices`] or
    /// another one if it does not do so for these files.
    fn copy_from(
        &self,
        _source: &std::fs::File,
        _from: u64,
        _offset: u64,
        _len: usize,
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The file itself, if it is one of the operating system's.
    fn as_file(&self) -> Option<&std::fs::File> {
        None
    }

    /// The first offset from `offset` on that may hold data; `None` if only a hole follows, which
    /// reads as zeros to the end of the file.
    fn data_from(&self, offset: u64) -> io::Result<Option<u64>>;
}

impl fmt::Debug for dyn OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenFile")
    }
}

/// Reads exactly `buf`, whatever parts the system hands out.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if the file ends before; what the system says.
pub(crate) fn read_exact_at(file: &dyn OpenFile, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => done += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `bufs` one after the other, whatever parts the system takes.
///
/// Each slice is a write of its own, though the system would take all of them at once: Linux then
/// gives the page cache one large folio, for which a virtual machine often has to ask its host for
/// memory again. Slices are blocks of 16 KiB, and with folios of that size the same gibibyte costs
/// a third of the time there, and a tenth more elsewhere (docs/decisions/0015).
///
/// # Errors
/// [`io::ErrorKind::WriteZero`] if it takes nothing; what the system says. Part may be written.
pub(crate) fn write_all_at(
    file: &dyn OpenFile,
    mut bufs: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut bufs, 0);
    while !bufs.is_empty() {
        match file.write_at(&bufs[..1], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => {
                offset += len as u64;
                IoSlice::advance_slices(&mut bufs, len);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the swarm is told of an error with the file at `path`.
pub(crate) fn fault(path: &Path, error: &io::Error) -> StorageFault {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StorageFault::DiskFull { path }
        }
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
            StorageFault::FileChanged { path }
        }
        _ => StorageFault::Io { path, error: error.to_string() },
    }
}
