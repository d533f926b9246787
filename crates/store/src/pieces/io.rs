//! From pieces to files and back: which parts of which files a range of a torrent is, read and
//! written with as few system calls as possible.

use super::torrent::Shared;
use crate::files::{self, Descriptors, OpenFile, Stamp};
use crate::mutex::guard;
use crate::segments::{Segment, segments, whole};
use althing_bittorrent::metainfo::{File, FileIndex, Layout};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{BlockRef, PieceIndex};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// What has been written and not been flushed.
#[derive(Default)]
pub(super) struct Unsynced {
    /// Pieces on disk that are not claimed yet.
    pub(super) pieces: Vec<PieceIndex>,
    /// The files that have been written to, or may have been.
    pub(super) files: BTreeSet<FileIndex>,
    /// A flush is waiting for its turn.
    pub(super) queued: bool,
}

impl Unsynced {
    /// Notes a piece whose bytes are all written. All of its files count as written to now, as a
    /// flush that went on meanwhile may have missed its bytes.
    pub(super) fn add(&mut self, layout: &Layout, piece: PieceIndex) {
        self.pieces.push(piece);
        let segments = segments(layout, [whole(layout, piece)]);
        self.files.extend(segments.iter().filter_map(|segment| segment.file));
    }
}

/// A torrent's files as the descriptors have them.
#[derive(Clone, Copy)]
pub(super) struct Disk<'a> {
    pub(super) torrent: &'a Shared,
    pub(super) descriptors: &'a Descriptors,
}

impl Disk<'_> {
    /// Fills `buf` with `segments`.
    pub(super) fn read(self, segments: &[Segment], mut buf: &mut [u8]) -> Result<(), StorageFault> {
        for segment in segments {
            let (now, rest) = buf.split_at_mut_checked(segment.len).unwrap_or_default();
            buf = rest;
            let Some(file) = segment.file else {
                now.fill(0);
                continue;
            };
            self.open_to_read(file)
                .and_then(|open| files::read_exact_at(&*open, now, segment.offset))
                .map_err(|error| self.fault(file, &error))?;
        }
        Ok(())
    }

    /// Reads a range of a piece into `buf`, which is as long.
    pub(super) fn read_range(self, range: BlockRef, buf: &mut [u8]) -> Result<(), StorageFault> {
        self.read(&segments(self.torrent.metainfo.layout(), [range]), buf)
    }

    /// Writes `buffers` one after the other to where `range` is, which is as long as they are
    /// together. Padding is left out.
    pub(super) fn write_range(
        self,
        range: BlockRef,
        buffers: &[Bytes],
    ) -> Result<(), StorageFault> {
        self.torrent.before_write()?;
        let segments = segments(self.torrent.metainfo.layout(), [range]);
        let written = self.write_segments(&segments, buffers);
        // Even if it failed: the files' stamps are no longer those that were recorded.
        let mut unsynced = guard(&self.torrent.unsynced);
        unsynced.files.extend(segments.iter().filter_map(|segment| segment.file));
        written
    }

    fn write_segments(self, segments: &[Segment], buffers: &[Bytes]) -> Result<(), StorageFault> {
        let mut buffers = Cursor { buffers, offset: 0 };
        let mut slices = Vec::with_capacity(buffers.buffers.len() + 1);
        for segment in segments {
            slices.clear();
            buffers.take(segment.len, &mut slices);
            let Some(file) = segment.file else { continue };
            self.open_to_write(file)
                .and_then(|open| files::write_all_at(&*open, &mut slices, segment.offset))
                .map_err(|error| self.fault(file, &error))?;
        }
        Ok(())
    }

    pub(super) fn open_to_read(self, file: FileIndex) -> io::Result<Arc<dyn OpenFile>> {
        let Shared { slot, root, .. } = self.torrent;
        self.descriptors.to_read(*slot, root, file, self.file(file)?)
    }

    /// Takes disk space for a part of a file, and makes the file as long as that.
    pub(super) fn allocate(self, file: FileIndex, offset: u64, len: u64) -> io::Result<()> {
        let allocated = self.open_to_write(file)?.allocate(offset, len);
        guard(&self.torrent.unsynced).files.insert(file);
        allocated
    }

    /// Opens a file that was written, to flush it. It is not created again if it is gone.
    pub(super) fn open_to_sync(self, file: FileIndex) -> io::Result<Arc<dyn OpenFile>> {
        if cfg!(unix) {
            return self.open_to_read(file);
        }
        // Other systems flush only what is open for writing.
        self.stamp(file)?;
        self.open_to_write(file)
    }

    /// What the file with its name looks like.
    pub(super) fn stamp(self, file: FileIndex) -> io::Result<Stamp> {
        let root = &self.torrent.root;
        self.descriptors.files().stamp(root, &root.relative(self.file(file)?))
    }

    /// The fault of an error with a file.
    pub(super) fn fault(self, file: FileIndex, error: &io::Error) -> StorageFault {
        match self.file(file) {
            Ok(file) => files::fault(&self.torrent.root.path(file), error),
            Err(error) => files::fault(self.torrent.root.anchor(), &error),
        }
    }

    pub(super) fn open_to_write(self, file: FileIndex) -> io::Result<Arc<dyn OpenFile>> {
        let Shared { slot, root, .. } = self.torrent;
        self.descriptors.to_write(*slot, root, file, self.file(file)?)
    }

    fn file(&self, file: FileIndex) -> io::Result<&File> {
        let files = self.torrent.metainfo.files();
        files.get(file.0 as usize).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// Hands out buffers end to end in portions that need not fit them.
struct Cursor<'a> {
    buffers: &'a [Bytes],
    /// Bytes of the first buffer that are handed out already.
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// Adds the next `len` bytes to `out`, or what is left.
    fn take(&mut self, mut len: usize, out: &mut Vec<IoSlice<'a>>) {
        while len > 0
            && let Some((first, rest)) = self.buffers.split_first()
        {
            let part = first.get(self.offset..).unwrap_or_default();
            let now = part.get(..len).unwrap_or(part);
            out.push(IoSlice::new(now));
            len -= now.len();
            self.offset += now.len();
            if self.offset >= first.len() {
                self.buffers = rest;
                self.offset = 0;
            }
        }
    }
}
