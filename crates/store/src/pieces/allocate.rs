//! Taking a download's space on disk before it comes, where the user wants it so.
//!
//! Most file systems reserve any length in a moment. Those that fill it with zeros may take minutes,
//! so a file is done in portions, and what else the thread has to do comes in between.

use super::event::Event;
use super::flush::Task;
use super::io::Disk;
use super::pool::Inner;
use super::torrent::Shared;
use crate::files::free_bytes;
use crate::limits::ALLOCATE_BYTES;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::StorageFault;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Files whose space is being taken.
pub(super) struct Allocation {
    torrent: Arc<Shared>,
    files: VecDeque<FileIndex>,
    /// Bytes of the first file that have been taken.
    done: u64,
    /// Whether the disk has been asked how much is free.
    fits: bool,
}

impl Allocation {
    pub(super) fn new(torrent: Arc<Shared>, files: Vec<FileIndex>) -> Self {
        Allocation { torrent, files: files.into(), done: 0, fits: false }
    }

    /// Takes the next portion, and comes back for the one after it.
    pub(super) fn step(mut self, pool: &Inner) {
        if self.torrent.is_closing() {
            return;
        }
        match self.portion(pool) {
            Ok(true) => pool.flush(Task::Allocate(self)),
            Ok(false) => self.torrent.emit(Event::Prepared { fault: None }),
            Err(fault) => self.torrent.emit(Event::Prepared { fault: Some(fault) }),
        }
    }

    /// Says whether there is more to do.
    fn portion(&mut self, pool: &Inner) -> Result<bool, StorageFault> {
        let disk = Disk { torrent: &self.torrent, descriptors: pool.descriptors() };
        if !std::mem::replace(&mut self.fits, true) {
            self.check_space(disk)?;
            self.torrent.before_write()?;
        }
        let Some(&index) = self.files.front() else { return Ok(false) };
        let files = self.torrent.metainfo.files();
        let file = files.get(index.0 as usize).filter(|file| !file.is_pad() && file.size() > 0);
        let left = file.map_or(0, |file| file.size().saturating_sub(self.done));
        let portion = left.min(ALLOCATE_BYTES);
        let taken = match portion {
            0 => Ok(()),
            _ => disk.allocate(index, self.done, portion),
        };
        match taken {
            Ok(()) => self.done += portion,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                // Holes it is, in this file and in all others.
                tracing::debug!("the file system cannot take space before it is written to");
                return Ok(false);
            }
            Err(error) => return Err(disk.fault(index, &error)),
        }
        if portion == left {
            self.files.pop_front();
            self.done = 0;
        }
        Ok(!self.files.is_empty())
    }

    /// The whole of it must fit before any of it is taken.
    fn check_space(&self, disk: Disk<'_>) -> Result<(), StorageFault> {
        let mut needed: u64 = 0;
        for index in &self.files {
            let size = self.torrent.metainfo.files().get(index.0 as usize).map_or(0, |f| f.size());
            let there = disk.stamp(*index).map_or(0, |stamp| stamp.size);
            // Of what is there already some may be holes; that is found when it is taken.
            needed = needed.saturating_add(size.saturating_sub(there));
        }
        let root = &self.torrent.root;
        match free_bytes(root.anchor()) {
            Some(free) if free < needed => {
                Err(StorageFault::DiskFull { path: root.anchor().display().to_string() })
            }
            _ => Ok(()),
        }
    }
}
