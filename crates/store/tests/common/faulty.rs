//! A file system that fails on demand, on top of the real one.

use althing_store::files::{DiskFiles, Files, Mode, OpenFile, Root, Stamp};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Bytes that still fit on the disk.
    pub space: Option<usize>,
    /// The longest read or write that is done at once, in bytes.
    pub at_once: Option<usize>,
    /// Reads, writes or flushes that fail with an IO error.
    pub read_fails: bool,
    pub write_fails: bool,
    pub sync_fails: bool,
    /// Every other call is interrupted before it does anything.
    pub interrupts: bool,
    /// Writes wait until this is false again.
    pub writes_wait: bool,
    /// Folders are on disks of their own.
    pub crosses_devices: bool,
}

#[derive(Clone, Default)]
pub struct Faulty {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    calls: usize,
    writes: usize,
    reads: usize,
    waiting: usize,
}

impl Faulty {
    pub fn new(faults: Faults) -> Faulty {
        let faulty = Faulty::default();
        faulty.set(faults);
        faulty
    }

    pub fn set(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
        self.changed.notify_all();
    }

    /// Writes that wait right now.
    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }

    fn wait_to_write(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        while state.faults.writes_wait {
            state = self.changed.wait(state).unwrap();
        }
        state.waiting -= 1;
    }

    /// System calls that wrote and read so far.
    pub fn writes_and_reads(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.writes, state.reads)
    }
}

fn io_error() -> io::Error {
    io::Error::other("the disk is on fire")
}

impl Files for Faulty {
    fn open(&self, root: &Root, path: &Path, mode: Mode) -> io::Result<Arc<dyn OpenFile>> {
        let file = DiskFiles.open(root, path, mode)?;
        Ok(Arc::new(FaultyFile { file, disk: self.clone() }))
    }

    fn stamp(&self, root: &Root, path: &Path) -> io::Result<Stamp> {
        DiskFiles.stamp(root, path)
    }

    fn link(&self, root: &Root, path: &Path, target: &Path) -> io::Result<()> {
        DiskFiles.link(root, path, target)
    }

    fn rename(&self, from: &Root, path: &Path, to: &Root, new_path: &Path) -> io::Result<()> {
        let other_disk = self.state.lock().unwrap().faults.crosses_devices;
        if other_disk && from.anchor() != to.anchor() {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        DiskFiles.rename(from, path, to, new_path)
    }

    fn remove(&self, root: &Root, path: &Path) -> io::Result<()> {
        DiskFiles.remove(root, path)
    }

    fn remove_folder(&self, root: &Root, path: &Path) -> io::Result<()> {
        DiskFiles.remove_folder(root, path)
    }

    fn sync_all(&self, _root: &Root) -> io::Result<bool> {
        Ok(false)
    }

    fn sync_folder(&self, _root: &Root, _path: Option<&Path>) -> io::Result<()> {
        Ok(())
    }
}

struct FaultyFile {
    file: Arc<dyn OpenFile>,
    disk: Faulty,
}

impl FaultyFile {
    /// The faults for this call, unless it is interrupted.
    fn call(&self) -> io::Result<Faults> {
        let mut state = self.disk.state.lock().unwrap();
        state.calls += 1;
        if state.faults.interrupts && state.calls % 2 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(state.faults)
    }
}

impl OpenFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let faults = self.call()?;
        self.disk.state.lock().unwrap().reads += 1;
        if faults.read_fails {
            return Err(io_error());
        }
        let len = buf.len().min(faults.at_once.unwrap_or(usize::MAX));
        self.file.read_at(&mut buf[..len], offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.wait_to_write();
        let faults = self.call()?;
        if faults.write_fails {
            return Err(io_error());
        }
        let mut state = self.disk.state.lock().unwrap();
        state.writes += 1;
        let mut room = faults.at_once.unwrap_or(usize::MAX);
        if let Some(space) = state.faults.space {
            room = room.min(space);
        }
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut data = Vec::new();
        for buf in bufs {
            let now = buf.len().min(room - data.len());
            data.extend_from_slice(&buf[..now]);
        }
        let len = self.file.write_at(&[IoSlice::new(&data)], offset)?;
        if let Some(space) = &mut state.faults.space {
            *space -= len;
        }
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.state.lock().unwrap().faults.sync_fails {
            return Err(io_error());
        }
        // The real thing takes its time and shows only in a power cut.
        Ok(())
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.file.stamp()
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.disk.state.lock().unwrap().faults.space.is_some_and(|space| space < len as usize) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.allocate(offset, len)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.truncate(size)
    }

    fn data_from(&self, offset: u64) -> io::Result<Option<u64>> {
        self.file.data_from(offset)
    }
}
