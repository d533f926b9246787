//! Open files of all torrents: as many as the limit allows, the least recently used one goes.

use super::{Files, Mode, OpenFile, Root};
use crate::mutex::guard;
use althing_bittorrent::metainfo::{File, FileIndex};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// An open torrent, numbered by the pool; a number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Slot(pub(crate) u64);

/// The table of open files.
pub(crate) struct Descriptors {
    files: Arc<dyn Files>,
    table: Mutex<Table>,
    limit: usize,
}

#[derive(Default)]
struct Table {
    /// Ordered, so that a torrent's files are together.
    open: BTreeMap<(Slot, FileIndex), Entry>,
    uses: u64,
}

struct Entry {
    file: Arc<dyn OpenFile>,
    writable: bool,
    used: u64,
}

impl Descriptors {
    pub(crate) fn new(files: Arc<dyn Files>, limit: usize) -> Self {
        Descriptors { files, table: Mutex::default(), limit: limit.max(1) }
    }

    pub(crate) fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// How many are open in the table. A file that was pushed out stays open until the last
    /// thread that uses it is done.
    pub(crate) fn len(&self) -> usize {
        guard(&self.table).open.len()
    }

    /// An open file of a torrent, for reading; it must be there.
    pub(crate) fn to_read(
        &self,
        slot: Slot,
        root: &Root,
        index: FileIndex,
        file: &File,
    ) -> io::Result<Arc<dyn OpenFile>> {
        self.find(slot, index, false)
            .map_or_else(|| self.open(slot, root, index, file, Mode::Read), Ok)
    }

    /// An open file of a torrent, for writing. If it was longer than the torrent has it, its end
    /// is cut off: what is written to is to become the torrent's file.
    pub(crate) fn to_write(
        &self,
        slot: Slot,
        root: &Root,
        index: FileIndex,
        file: &File,
    ) -> io::Result<Arc<dyn OpenFile>> {
        if let Some(open) = self.find(slot, index, true) {
            return Ok(open);
        }
        let mode = Mode::Write { executable: file.is_executable() };
        let open = self.open(slot, root, index, file, mode)?;
        if open.stamp()?.size > file.size() {
            open.truncate(file.size())?;
        }
        Ok(open)
    }

    /// A torrent's file, if it is open anyway.
    pub(crate) fn if_open(&self, slot: Slot, index: FileIndex) -> Option<Arc<dyn OpenFile>> {
        guard(&self.table).open.get(&(slot, index)).map(|entry| Arc::clone(&entry.file))
    }

    /// Closes a torrent's files.
    pub(crate) fn close(&self, slot: Slot) {
        let mut table = guard(&self.table);
        let mut rest = table.open.split_off(&(slot, FileIndex(0)));
        let mut after = rest.split_off(&(Slot(slot.0 + 1), FileIndex(0)));
        table.open.append(&mut after);
        drop(table);
        // Closing can take its time (network file systems); here nobody waits for the table.
        drop(rest);
    }

    fn find(&self, slot: Slot, index: FileIndex, writable: bool) -> Option<Arc<dyn OpenFile>> {
        let mut table = guard(&self.table);
        table.uses += 1;
        let uses = table.uses;
        let entry = table.open.get_mut(&(slot, index))?;
        if writable && !entry.writable {
            return None;
        }
        entry.used = uses;
        Some(Arc::clone(&entry.file))
    }

    /// Opens outside of the lock, so that a slow disk holds up only those who need it.
    fn open(
        &self,
        slot: Slot,
        root: &Root,
        index: FileIndex,
        file: &File,
        mode: Mode,
    ) -> io::Result<Arc<dyn OpenFile>> {
        let open = self.files.open(root, &root.relative(file), mode)?;
        let writable = mode != Mode::Read;
        let mut table = guard(&self.table);
        table.uses += 1;
        let used = table.uses;
        let entry = Entry { file: Arc::clone(&open), writable, used };
        let mut gone = table.open.insert((slot, index), entry);
        if table.open.len() > self.limit {
            let oldest = table.open.iter().min_by_key(|(_, entry)| entry.used);
            let oldest = oldest.map(|(key, _)| *key);
            gone = oldest.and_then(|key| table.open.remove(&key));
        }
        drop(table);
        drop(gone);
        Ok(open)
    }
}
