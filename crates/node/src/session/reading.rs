//! Reading a file of a torrent while it comes.
//!
//! A [`FileReader`] reads a range in order. What is there it reads from disk; for what is missing it
//! waits, and the swarm knows what it will need when: a window of deadlines goes before it, and is
//! withdrawn when it is dropped. Nothing is read ahead of whoever takes the bytes.

use super::shared::Shared;
use super::{CommandError, Session, TorrentId};
use crate::limits::{
    EDGE_BYTES, READ_AHEAD_BYTES, READ_AHEAD_PIECES, READ_BYTES_PER_S, READ_CHUNK_BYTES,
};
use crate::shard::{Command, ReadError};
use althing_bittorrent::metainfo::{File, FileIndex, Metainfo};
use althing_bittorrent::swarm::ReaderId;
use althing_bittorrent::{BlockRef, PieceIndex};
use bytes::Bytes;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a reader that was overtaken by another of the same viewer still needs, it needs later.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// Numbers for readers, each used once in a process.
static NEXT_READER: AtomicU64 = AtomicU64::new(0);

/// Pieces with deadlines that are withdrawn when this is dropped.
struct Window {
    shared: Arc<Shared>,
    id: TorrentId,
    reader: ReaderId,
    /// The piece that is needed next; [`NOWHERE`] before the first.
    at: AtomicU32,
}

/// No piece has this number.
const NOWHERE: u32 = u32::MAX;

impl Window {
    fn new(shared: &Arc<Shared>, id: TorrentId) -> Self {
        let reader = ReaderId(NEXT_READER.fetch_add(1, Ordering::Relaxed));
        Window { shared: Arc::clone(shared), id, reader, at: AtomicU32::new(NOWHERE) }
    }

    /// Another reader of the same viewer has begun elsewhere, most likely in the place of this one:
    /// all that this one keeps is what it waits for, and that comes later. If it goes on all the
    /// same, so does its window.
    fn overtaken(&self) {
        let at = self.at.load(Ordering::Relaxed);
        let next = (at != NOWHERE).then_some((PieceIndex(at), OVERTAKEN));
        self.set(next.into_iter().collect());
    }

    fn set(&self, pieces: Vec<(PieceIndex, Duration)>) {
        if let Some(entry) = self.shared.torrents.by_id(self.id) {
            self.shared.send(&entry, Command::Window(entry.key, self.reader, pieces));
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.set(Vec::new());
    }
}

/// A file of a torrent, open to be read. Clones share one; while there is one, both ends of the file
/// are fetched early, because that is where players look first.
#[derive(Clone)]
pub struct OpenFile {
    metainfo: Arc<Metainfo>,
    file: FileIndex,
    edges: Arc<Window>,
}

impl Session {
    /// Opens a file to be read, whatever of it is there.
    ///
    /// # Errors
    /// If there is no torrent of that id, it is not known yet which files it has, or it has no such
    /// file.
    pub async fn open_file(
        &self,
        id: TorrentId,
        file: FileIndex,
    ) -> Result<OpenFile, CommandError> {
        let entry = self.entry(id)?;
        let Some(metainfo) = self.metainfo(id).await else {
            return Err(CommandError::NoMetadata { name: entry.name() });
        };
        let found = metainfo.files().get(file.0 as usize).filter(|file| !file.is_pad());
        if found.is_none() {
            return Err(CommandError::NoSuchFile { name: entry.name(), file });
        }
        let open = OpenFile { metainfo, file, edges: Arc::new(Window::new(&self.shared, id)) };
        open.edges.set(open.edges());
        Ok(open)
    }
}

impl OpenFile {
    /// The torrent.
    pub fn torrent(&self) -> TorrentId {
        self.edges.id
    }

    /// What the torrent says of the file.
    pub fn file(&self) -> &File {
        // Looked up when this was made.
        self.metainfo.files().get(self.file.0 as usize).expect("the torrent has the file")
    }

    /// Its index in the torrent.
    pub fn index(&self) -> FileIndex {
        self.file
    }

    /// Reads the bytes from `range.start` to before `range.end`, or to the end of the file.
    pub fn read(&self, range: Range<u64>) -> FileReader {
        let size = self.file().size();
        FileReader {
            open: self.clone(),
            window: Arc::new(Window::new(&self.edges.shared, self.edges.id)),
            position: range.start.min(size),
            end: range.end.min(size),
        }
    }

    /// The piece that a byte of the file is in.
    fn piece_at(&self, position: u64) -> u32 {
        let at = self.file().offset().saturating_add(position);
        u32::try_from(at / u64::from(self.metainfo.piece_length())).unwrap_or(u32::MAX)
    }

    /// The pieces that hold this part of the file.
    fn pieces_of(&self, range: Range<u64>) -> Range<u32> {
        if range.is_empty() {
            return 0..0;
        }
        self.piece_at(range.start)..self.piece_at(range.end - 1).saturating_add(1)
    }

    /// When the ends of the file are needed: the first at once, the last soon after.
    fn edges(&self) -> Vec<(PieceIndex, Duration)> {
        let size = self.file().size();
        let first =
            self.pieces_of(0..size.min(EDGE_BYTES)).map(|n| (PieceIndex(n), Duration::ZERO));
        let last = self.pieces_of(size.saturating_sub(EDGE_BYTES)..size);
        first.chain(last.map(|n| (PieceIndex(n), Duration::from_secs(1)))).collect()
    }
}

/// Somebody who looks at a file at one place at a time: where it began to read last is what it needs
/// first.
pub struct Viewer {
    open: OpenFile,
    windows: Mutex<Vec<Weak<Window>>>,
}

impl Viewer {
    /// A viewer of this file.
    pub fn new(open: OpenFile) -> Self {
        Viewer { open, windows: Mutex::default() }
    }

    /// The file.
    pub fn file(&self) -> &OpenFile {
        &self.open
    }

    /// Reads as [`OpenFile::read`] does; what the viewer's other readers look ahead for has to wait.
    pub fn read(&self, range: Range<u64>) -> FileReader {
        let reader = self.open.read(range);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|window| {
            let window = window.upgrade();
            window.iter().for_each(|window| window.overtaken());
            window.is_some()
        });
        windows.push(Arc::downgrade(&reader.window));
        reader
    }
}

/// Reads a part of a file in order.
pub struct FileReader {
    open: OpenFile,
    window: Arc<Window>,
    position: u64,
    end: u64,
}

impl FileReader {
    /// The next bytes, once they are there; `None` at the end.
    ///
    /// # Errors
    /// If the torrent is gone or the disk refuses.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let piece = self.open.piece_at(self.position);
        if self.window.at.swap(piece, Ordering::Relaxed) != piece {
            self.window.set(self.window_from(piece));
        }
        let data = self.read(self.block(piece)).await?;
        self.position = self.position.saturating_add(data.len() as u64);
        Ok(Some(data))
    }

    /// As much as is read at a time, within the piece.
    fn block(&self, piece: u32) -> BlockRef {
        let metainfo = &self.open.metainfo;
        let at = self.open.file().offset().saturating_add(self.position);
        // Both fit: a piece is no longer than four bytes say.
        let begin = (at % u64::from(metainfo.piece_length())) as u32;
        let piece_end = metainfo.piece_size(PieceIndex(piece)).saturating_sub(begin);
        let left = u32::try_from(self.end - self.position).unwrap_or(u32::MAX);
        let len = left.min(piece_end).min(READ_CHUNK_BYTES);
        BlockRef { piece: PieceIndex(piece), begin, len }
    }

    async fn read(&self, block: BlockRef) -> Result<Bytes, ReadError> {
        let shared = &self.window.shared;
        let entry = shared.torrents.by_id(self.window.id).ok_or(ReadError::Gone)?;
        let (reply, answer) = oneshot::channel();
        shared.send(&entry, Command::Read(entry.key, block, reply));
        answer.await.unwrap_or(Err(ReadError::Gone))
    }

    /// What will be needed when, from a piece on.
    fn window_from(&self, piece: u32) -> Vec<(PieceIndex, Duration)> {
        let ahead = self.position.saturating_add(READ_AHEAD_BYTES).min(self.end);
        let last = self.open.pieces_of(self.position..self.end).end;
        let end = self
            .open
            .piece_at(ahead)
            .max(piece.saturating_add(*READ_AHEAD_PIECES.start()))
            .min(piece.saturating_add(*READ_AHEAD_PIECES.end()))
            .min(last);
        let length = u64::from(self.open.metainfo.piece_length());
        let at = self.open.file().offset().saturating_add(self.position);
        (piece..end.max(piece + 1))
            .map(|n| {
                let ahead = (u64::from(n) * length).saturating_sub(at);
                let wait = Duration::from_millis(ahead.saturating_mul(1000) / READ_BYTES_PER_S);
                (PieceIndex(n), wait)
            })
            .collect()
    }
}
