//! Pieces that are taken from the same file of another torrent (BEP 52) instead of the network.
//!
//! Where the system can copy from file to file it does, and a file system that shares blocks then
//! needs no space for it; else the bytes pass through here. Either way what is hashed is what lies
//! in the target's file, or is about to: the source may change at any time, and nobody would know.
//! Nothing is claimed before the hash is right, so a copy that was cut off or went wrong leaves what
//! an unfinished piece leaves.

use super::event::Copied;

use super::torrent::Shared;
use super::worker::Worker;
use crate::files::{OpenFile, read_exact_at, write_all_at};
use crate::hash::{Kinds, PieceHasher};
use crate::limits::SCAN_READ_BYTES;
use crate::mutex::guard;
use crate::segments::{Segment, segments, whole};
use althing_bittorrent::metainfo::{File, FileIndex};
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{PieceHash, PieceIndex};
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// A torrent's files, for others to copy from. Of no use any more when the torrent is closed, and no
/// harm.
#[derive(Clone)]
pub struct Source(pub(super) Arc<Shared>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.0.key).finish()
    }
}

/// What went wrong on which side.
enum Failure {
    /// The source could not be read.
    Source,
    /// The target could not be written.
    Target(io::Error),
}

impl Worker {
    pub(super) fn copy(
        &mut self,
        torrent: &Arc<Shared>,
        piece: PieceIndex,
        expected: &PieceHash,
        source: &Source,
        file: FileIndex,
    ) -> Copied {
        // What has been written early of a piece in progress must stay what it is.
        if self.pieces.contains_key(&(torrent.slot, piece)) || source.0.is_closing() {
            return Copied::Unavailable;
        }
        let Some((target, part)) = target_of(torrent, piece, source, file) else {
            return Copied::Unavailable;
        };
        if let Err(fault) = torrent.before_write() {
            return Copied::Fault(fault);
        }
        let disk = self.disk(torrent);
        let (from, to) = (self.disk(&source.0).open_to_read(file), disk.open_to_write(target));
        let Ok(from) = from else { return Copied::Unavailable };
        let to = match to {
            Ok(to) => to,
            Err(error) => return Copied::Fault(disk.fault(target, &error)),
        };
        guard(&torrent.unsynced).files.insert(target);
        let mut buffer = vec![0; part.len.min(SCAN_READ_BYTES)];
        let mut hasher = PieceHasher::new(Kinds::of(expected));
        let copied = copy(&*from, &*to, &part, &mut buffer, |data| hasher.update(data));
        match copied {
            Ok(()) => {}
            Err(Failure::Source) => return Copied::Unavailable,
            Err(Failure::Target(error)) => return Copied::Fault(disk.fault(target, &error)),
        }
        let layout = torrent.metainfo.layout();
        hasher.pad(layout.piece_size(piece) - layout.piece_data_size(piece));
        if !hasher.matches(expected) {
            return Copied::Differs;
        }
        guard(&torrent.unsynced).add(layout, piece);
        Copied::Right
    }
}

/// Which part of which file a piece is, if that file is the same as the source's. In v1 alone pieces
/// may be parts of several files.
fn target_of(
    torrent: &Shared,
    piece: PieceIndex,
    source: &Source,
    file: FileIndex,
) -> Option<(FileIndex, Segment)> {
    let layout = torrent.metainfo.layout();
    let parts = segments(layout, [whole(layout, piece)]);
    let [part] = parts[..] else { return None };
    let target = part.file?;
    let ours = torrent.metainfo.files().get(target.0 as usize)?;
    let theirs = source.0.metainfo.files().get(file.0 as usize)?;
    let is_same = |a: &File, b: &File| {
        a.pieces_root().is_some() && a.pieces_root() == b.pieces_root() && a.size() == b.size()
    };
    is_same(ours, theirs).then_some((target, part))
}

/// Copies a part of a file to the same place of another, and shows what has been written.
fn copy(
    from: &dyn OpenFile,
    to: &dyn OpenFile,
    part: &Segment,
    buffer: &mut [u8],
    mut each: impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let mut by_system = true;
    let mut done = 0;
    while done < part.len {
        let at = part.offset + done as u64;
        let len = (part.len - done).min(buffer.len());
        let data = buffer.get_mut(..len).unwrap_or_default();
        by_system = by_system && copy_by_system(from, to, at, len);
        if by_system {
            read_exact_at(to, data, at).map_err(Failure::Target)?;
        } else {
            read_exact_at(from, data, at).map_err(|_| Failure::Source)?;
            let mut blocks: Vec<IoSlice<'_>> =
                data.chunks(BLOCK_SIZE as usize).map(IoSlice::new).collect();
            write_all_at(to, &mut blocks, at).map_err(Failure::Target)?;
        }
        each(data);
        done += len;
    }
    Ok(())
}

/// Whether the system has copied all of it. If not, the other way tells why.
fn copy_by_system(from: &dyn OpenFile, to: &dyn OpenFile, at: u64, len: usize) -> bool {
    let Some(source) = from.as_file() else { return false };
    let mut done = 0;
    while done < len {
        match to.copy_from(source, at + done as u64, at + done as u64, len - done) {
            Ok(0) => return false,
            Ok(copied) => done += copied,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    true
}
