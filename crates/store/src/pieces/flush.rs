//! What may take the disk seconds, on a thread of its own so that no block waits for it: making
//! writes durable, creating what has no pieces, closing and deleting.

use super::allocate::Allocation;
use super::event::{Durable, Event, Partial};
use super::io::Disk;
use super::pool::Inner;
use super::torrent::Shared;
use crate::files::{self, Files, Mode, Root, Stamp};
use crate::limits::{FLUSH_EACH_MAX, PARTIAL_BLOCKS_MAX};
use crate::mutex::guard;
use althing_bittorrent::metainfo::{FileIndex, Metainfo};
use althing_bittorrent::swarm::StorageFault;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

/// Work for the thread.
pub(super) enum Task {
    /// Create empty files and links.
    Prepare(Arc<Shared>),
    /// Take space on disk, some of it at a time.
    Allocate(Allocation),
    /// Make durable what has been written, the blocks of unfinished pieces included.
    Sync(Arc<Shared>, Vec<Partial>),
    /// All workers have let go of a torrent.
    Close {
        torrent: Arc<Shared>,
        /// What they have written of unfinished pieces.
        partials: Vec<Partial>,
        /// Its data is to go.
        delete: bool,
        /// Someone waits for the answer.
        answer: bool,
    },
    /// The pool ends.
    Stop,
}

/// What comes after a [`Gathering`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// All is made durable.
    Sync,
    /// The torrent is closed, and deleted if it is to be; someone may wait for the answer.
    Close { delete: bool, answer: bool },
}

impl Then {
    /// Whether blocks of unfinished pieces are of any use afterwards.
    pub(super) fn keeps_blocks(self) -> bool {
        matches!(self, Then::Sync | Then::Close { delete: false, answer: true })
    }
}

/// All workers are asked what they have of a torrent. When the last one drops its part, the thread
/// does the rest: of a torrent that is being closed nothing happens any more then.
pub(super) struct Gathering {
    pool: Arc<Inner>,
    torrent: Arc<Shared>,
    partials: Mutex<Vec<Partial>>,
    pub(super) then: Then,
}

impl Gathering {
    pub(super) fn new(pool: Arc<Inner>, torrent: Arc<Shared>, then: Then) -> Self {
        Gathering { pool, torrent, partials: Mutex::default(), then }
    }

    /// Adds what a worker has.
    pub(super) fn add(&self, partials: Vec<Partial>) {
        guard(&self.partials).extend(partials);
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let torrent = Arc::clone(&self.torrent);
        let mut partials = std::mem::take(&mut *guard(&self.partials));
        partials.sort_by_key(|partial| partial.piece);
        let mut room = PARTIAL_BLOCKS_MAX;
        partials.retain(|partial| {
            let fits = partial.blocks.len() <= room;
            room -= if fits { partial.blocks.len() } else { 0 };
            fits
        });
        self.pool.flush(match self.then {
            Then::Sync => Task::Sync(torrent, partials),
            Then::Close { delete, answer } => Task::Close { torrent, partials, delete, answer },
        });
    }
}

/// The thread's loop.
pub(super) fn run(pool: &Inner, tasks: &Receiver<Task>) {
    super::queue::enter_pool();
    for task in tasks {
        match task {
            Task::Prepare(torrent) => {
                let fault = prepare(pool, &torrent).err();
                if !torrent.is_closing() {
                    torrent.emit(Event::Prepared { fault });
                }
            }
            Task::Allocate(allocation) => allocation.step(pool),
            Task::Sync(torrent, _) if torrent.is_closing() => {}
            Task::Sync(torrent, partials) => {
                let (durable, fault) = sync(pool, &torrent, partials);
                torrent.emit(Event::Synced { durable, fault });
            }
            Task::Close { torrent, partials, delete, answer } => {
                close(pool, &torrent, partials, delete, answer);
            }
            Task::Stop => return,
        }
    }
}

/// Creates empty files and links.
fn prepare(pool: &Inner, torrent: &Shared) -> Result<(), StorageFault> {
    let Shared { root, metainfo, .. } = torrent;
    let files = pool.descriptors().files();
    for file in metainfo.files().iter().filter(|file| !file.is_pad() && file.size() == 0) {
        let path = root.relative(file);
        match file.symlink() {
            // It leads nowhere in the torrent.
            None if file.is_symlink() => {}
            None => {
                let mode = Mode::Write { executable: file.is_executable() };
                files
                    .open(root, &path, mode)
                    .map_err(|error| files::fault(&root.path(file), &error))?;
            }
            Some(target) => {
                // The torrent's own name is not part of where things are within it.
                let target: PathBuf = target.split('/').skip(1).collect();
                if let Err(error) = files.link(root, &path, &target) {
                    // No piece depends on it, and some file systems know no links.
                    let path = root.path(file);
                    tracing::warn!(path = %path.display(), %error, "a link could not be created");
                }
            }
        }
    }
    Ok(())
}

/// Flushes what was written, and says what is durable with that and what went wrong first.
fn sync(pool: &Inner, torrent: &Shared, partials: Vec<Partial>) -> (Durable, Option<StorageFault>) {
    let layout = &torrent.metainfo;
    let checked = torrent.checked();
    let mut unsynced = guard(&torrent.unsynced);
    unsynced.queued = false;
    let mut pieces = std::mem::take(&mut unsynced.pieces);
    let files = std::mem::take(&mut unsynced.files);
    drop(unsynced);
    let at_once = files.len() > FLUSH_EACH_MAX && sync_all(pool, torrent);
    let mut first_fault = None;
    let mut stamps = Vec::with_capacity(files.len());
    for &file in &files {
        match sync_file(pool, torrent, file, at_once) {
            Ok(stamp) => stamps.push((file, stamp)),
            Err(fault) => {
                tracing::warn!(%fault, "could not flush");
                let lost = layout.file_pieces(file);
                pieces.retain(|piece| !lost.contains(&piece.0));
                first_fault.get_or_insert(fault);
            }
        }
    }
    if !at_once {
        sync_folders(pool, torrent, &files);
    }
    // A checksum would tell that a block is not there; better not to look for it at all.
    let partials = if first_fault.is_some() { Vec::new() } else { partials };
    let checked = checked.filter(|_| first_fault.is_none());
    (Durable { pieces, stamps, partials: Some(partials), checked }, first_fault)
}

/// Flushes all files at once; says whether that was done. If not, each file will be flushed by
/// itself, which also shows which one has the error.
fn sync_all(pool: &Inner, torrent: &Shared) -> bool {
    pool.descriptors().files().sync_all(&torrent.root).unwrap_or_else(|error| {
        tracing::warn!(%error, "could not flush the file system");
        false
    })
}

/// Flushes a file, unless that is done, and says what it looks like then.
fn sync_file(
    pool: &Inner,
    torrent: &Shared,
    file: FileIndex,
    done: bool,
) -> Result<Stamp, StorageFault> {
    let disk = Disk { torrent, descriptors: pool.descriptors() };
    let flush = || -> io::Result<Stamp> {
        let mut open = pool.descriptors().if_open(torrent.slot, file);
        if !done {
            let file = disk.open_to_sync(file)?;
            file.sync()?;
            open = Some(file);
        }
        let there = disk.stamp(file)?;
        // If another file has taken its place, what was flushed is no longer the torrent's.
        match open {
            Some(open) if open.stamp()?.inode != there.inode => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(there),
        }
    };
    flush().map_err(|error| disk.fault(file, &error))
}

/// Makes the names of files durable. A name that is lost with its folder is noticed at the next
/// start (the file is missing), so an error is only told.
fn sync_folders(pool: &Inner, torrent: &Shared, files: &BTreeSet<FileIndex>) {
    let Shared { root, metainfo, .. } = torrent;
    let mut folders: BTreeSet<Option<PathBuf>> = BTreeSet::new();
    for file in files.iter().filter_map(|file| metainfo.files().get(file.0 as usize)) {
        let relative = root.relative(file);
        folders.extend(relative.ancestors().skip(1).map(|folder| Some(folder.to_owned())));
        folders.insert(None);
    }
    for folder in folders {
        if let Err(error) = pool.descriptors().files().sync_folder(root, folder.as_deref()) {
            let path = folder.as_deref().unwrap_or(Path::new(""));
            tracing::debug!(path = %path.display(), %error, "could not flush a folder");
        }
    }
}

fn close(pool: &Inner, torrent: &Shared, partials: Vec<Partial>, delete: bool, answer: bool) {
    let (durable, mut fault) = match (delete, answer) {
        (false, true) => sync(pool, torrent, partials),
        _ => (Durable::default(), None),
    };
    torrent.forget_any_verify();
    pool.descriptors().close(torrent.slot);
    if delete {
        let files = pool.descriptors().files();
        fault = remove(&**files, &torrent.root, &torrent.metainfo).err();
    }
    if answer {
        torrent.emit(Event::Closed { durable, fault });
    }
}

/// Deletes a torrent's files, and its folders as far as nothing else is in them.
pub(crate) fn remove(
    files: &dyn Files,
    root: &Root,
    metainfo: &Metainfo,
) -> Result<(), StorageFault> {
    let mut folders = BTreeSet::new();
    let mut done = Ok(());
    for file in metainfo.files().iter().filter(|file| !file.is_pad()) {
        let path = root.relative(file);
        match files.remove(root, &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                done = done.and(Err(files::fault(&root.path(file), &error)));
            }
            _ => {}
        }
        folders.extend(path.ancestors().skip(1).map(Path::to_owned));
    }
    if root.is_file() {
        return done;
    }
    // The deepest first: a folder comes before what is in it.
    for folder in folders.iter().rev() {
        if let Err(error) = files.remove_folder(root, folder) {
            tracing::debug!(path = %folder.display(), %error, "a folder stays");
        }
    }
    done
}
