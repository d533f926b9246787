//! Hashing the files of a new torrent: one pass over the data, on all cores, for both kinds of
//! hashes.

use super::{Content, CreateError, Kind};
use crate::files::{DiskFiles, Files, Location, Mode, OpenFile, Root, read_exact_at};
use crate::hash::{Kinds, PieceHasher};
use crate::limits::{PROGRESS_BYTES, SCAN_READ_BYTES, SCAN_UNIT_BYTES};
use crate::mutex::guard;
use crate::segments::{Segment, segments, whole};
use althing_base::{Sha1Digest, Sha256Digest};
use althing_bittorrent::metainfo::{FileIndex, Metainfo, PieceDigests, Plan, merkle};
use althing_bittorrent::{BlockRef, PieceIndex};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// How to hash.
#[derive(Clone, Copy)]
pub struct Hashing<'a> {
    /// Threads. Default: one for each core.
    pub threads: usize,
    /// Set it to stop. Default: never.
    pub cancel: &'a AtomicBool,
    /// Told of progress from time to time, by any of the threads. Default: nobody.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Where the files are. Default: on disk.
    pub files: &'a dyn Files,
}

impl Default for Hashing<'_> {
    fn default() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Hashing {
            threads: thread::available_parallelism().map_or(1, usize::from),
            cancel: &NEVER,
            progress: &|_| {},
            files: &DiskFiles,
        }
    }
}

/// How far hashing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Bytes hashed so far.
    pub done: u64,
    /// Bytes to hash.
    pub total: u64,
}

/// A new torrent.
#[derive(Clone, Debug)]
pub struct Created {
    /// What it is.
    pub metainfo: Metainfo,
    /// Where its data is: to be seeded from there.
    pub location: Location,
}

impl Content {
    /// Reads all files once, hashes them and puts the torrent together. `plan` comes from this
    /// content's [`builder`](Self::builder).
    ///
    /// # Errors
    /// A file can't be read, or is not what it was when it was found; it was told to stop; or what
    /// comes out is more than a torrent may be.
    pub fn hash(&self, plan: Plan, how: &Hashing<'_>) -> Result<Created, CreateError> {
        let work = Work {
            content: self,
            plan: &plan,
            root: self.root(),
            how,
            next: Mutex::new(0),
            failed: Mutex::new(None),
            digests: Mutex::new(Vec::new()),
            done: AtomicU64::new(0),
            told: AtomicU64::new(0),
        };
        thread::scope(|scope| {
            for _ in 0..how.threads.max(1) {
                scope.spawn(|| work.run());
            }
        });
        let Work { failed, digests, .. } = work;
        if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            return Err(error);
        }
        self.check_unchanged(how)?;
        let mut digests = digests.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        digests.sort_unstable_by_key(|(piece, _)| *piece);
        let mut all = PieceDigests::default();
        digests.into_iter().for_each(|(_, digests)| all.push(digests));
        let origins: Vec<Option<usize>> =
            (0..plan.layout().files().len()).map(|at| plan.origin(FileIndex(at as u32))).collect();
        let metainfo = plan.finish(&all)?;
        let location = self.location(self.renamed(&metainfo, &origins));
        Ok(Created { metainfo, location })
    }

    /// Files that the torrent has under another path than they have here.
    fn renamed(&self, metainfo: &Metainfo, origins: &[Option<usize>]) -> Vec<(String, PathBuf)> {
        if !self.is_folder {
            return Vec::new();
        }
        let files = metainfo.files().iter().zip(origins);
        files
            .filter_map(|(file, origin)| {
                let found = self.files.get((*origin)?)?;
                let path: PathBuf = file.components().skip(1).collect();
                (path != found.path).then(|| (file.path().to_owned(), found.path.clone()))
            })
            .collect()
    }

    /// All files are still what they were when they were found.
    fn check_unchanged(&self, how: &Hashing<'_>) -> Result<(), CreateError> {
        let root = self.root();
        for found in &self.files {
            let Kind::File(stamp) = found.kind else { continue };
            if how.files.stamp(&root, &found.path).ok() != Some(stamp) {
                return Err(CreateError::Changed { path: self.full(&found.path) });
            }
        }
        Ok(())
    }

    fn full(&self, path: &std::path::Path) -> PathBuf {
        if self.is_folder { self.path.join(path) } else { self.path.clone() }
    }
}

type Digests = (Option<Sha1Digest>, Option<Sha256Digest>);

/// What the threads share.
struct Work<'a> {
    content: &'a Content,
    plan: &'a Plan,
    root: Root,
    how: &'a Hashing<'a>,
    /// The next piece to hand out.
    next: Mutex<u32>,
    /// What went wrong first.
    failed: Mutex<Option<CreateError>>,
    digests: Mutex<Vec<(PieceIndex, Digests)>>,
    done: AtomicU64,
    /// Progress that was told last, in bytes.
    told: AtomicU64,
}

impl Work<'_> {
    fn run(&self) {
        let mut reader = Reader { work: self, open: None };
        let mut buffer = vec![0; SCAN_READ_BYTES];
        while let Some(unit) = self.next_unit() {
            if let Err(error) = self.hash_unit(unit, &mut reader, &mut buffer) {
                guard(&self.failed).get_or_insert(error);
                return;
            }
        }
    }

    /// The next pieces to hash: neighbours that fit the buffer together, or one.
    fn next_unit(&self) -> Option<Range<u32>> {
        if guard(&self.failed).is_some() {
            return None;
        }
        let layout = self.plan.layout();
        let each = u64::from(layout.piece_length());
        let count = u32::try_from((SCAN_UNIT_BYTES / each).max(1)).unwrap_or(1);
        let mut next = guard(&self.next);
        let first = *next;
        let last = first.saturating_add(count).min(layout.piece_count());
        *next = last;
        (first < last).then_some(first..last)
    }

    fn hash_unit(
        &self,
        unit: Range<u32>,
        reader: &mut Reader<'_>,
        buffer: &mut [u8],
    ) -> Result<(), CreateError> {
        let layout = self.plan.layout();
        let pieces = || unit.clone().map(PieceIndex);
        let segments = segments(layout, pieces().map(|piece| whole(layout, piece)));
        let len: usize = segments.iter().map(|segment| segment.len).sum();
        if len > buffer.len() {
            return pieces().try_for_each(|piece| self.hash_piece(piece, reader, buffer));
        }
        let data = &mut buffer[..len];
        reader.read(&segments, data)?;
        let mut rest = &*data;
        for piece in pieces() {
            let (now, after) = rest.split_at(layout.piece_data_size(piece) as usize);
            rest = after;
            let mut hasher = self.hasher();
            hasher.update(now);
            self.note(piece, hasher);
        }
        Ok(())
    }

    /// A piece that is longer than the buffer.
    fn hash_piece(
        &self,
        piece: PieceIndex,
        reader: &mut Reader<'_>,
        buffer: &mut [u8],
    ) -> Result<(), CreateError> {
        let layout = self.plan.layout();
        let size = layout.piece_data_size(piece);
        let mut hasher = self.hasher();
        let mut begin = 0;
        while begin < size {
            // Not above the buffer's length, so it fits.
            let len = (size - begin).min(buffer.len() as u32);
            let part = &mut buffer[..len as usize];
            reader.read(&segments(layout, [BlockRef { piece, begin, len }]), part)?;
            hasher.update(part);
            begin += len;
        }
        self.note(piece, hasher);
        Ok(())
    }

    fn hasher(&self) -> PieceHasher {
        let format = self.plan.format();
        PieceHasher::new(Kinds { v1: format.has_v1(), v2: format.has_v2() })
    }

    /// Keeps a piece's digests.
    fn note(&self, piece: PieceIndex, mut hasher: PieceHasher) {
        let layout = self.plan.layout();
        hasher.pad(layout.piece_size(piece) - layout.piece_data_size(piece));
        let (v1, leaves) = hasher.finish();
        let v2 =
            self.plan.format().has_v2().then(|| merkle::root(&leaves, self.plan.leaves(piece)));
        guard(&self.digests).push((piece, (v1, v2)));
    }

    /// Tells of progress, now and then.
    fn progress(&self, bytes: u64) {
        let total = self.content.size();
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let told = self.told.load(Ordering::Relaxed);
        let due = done >= total || done >= told.saturating_add(PROGRESS_BYTES);
        let mine = || self.told.compare_exchange(told, done, Ordering::Relaxed, Ordering::Relaxed);
        if due && mine().is_ok() {
            (self.how.progress)(Progress { done, total });
        }
    }
}

/// Reads files one after the other, and keeps the last one open.
struct Reader<'a> {
    work: &'a Work<'a>,
    open: Option<(FileIndex, Arc<dyn OpenFile>)>,
}

impl Reader<'_> {
    fn read(&mut self, segments: &[Segment], mut buf: &mut [u8]) -> Result<(), CreateError> {
        for segment in segments {
            if self.work.how.cancel.load(Ordering::Relaxed) {
                return Err(CreateError::Cancelled);
            }
            let (now, rest) = buf.split_at_mut_checked(segment.len).unwrap_or_default();
            buf = rest;
            let Some(file) = segment.file else {
                now.fill(0);
                continue;
            };
            let content = self.work.content;
            let origin = self.work.plan.origin(file).and_then(|at| content.files.get(at));
            let Some(found) = origin else {
                return Err(CreateError::OtherPlan { path: content.path.clone() });
            };
            let read =
                self.file(file, found).and_then(|open| read_exact_at(&*open, now, segment.offset));
            read.map_err(|error| {
                let path = content.full(&found.path);
                match error.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
                        CreateError::Changed { path }
                    }
                    _ => CreateError::Unreadable { path, error },
                }
            })?;
            self.work.progress(segment.len as u64);
        }
        Ok(())
    }

    fn file(&mut self, index: FileIndex, found: &super::Found) -> io::Result<Arc<dyn OpenFile>> {
        match &self.open {
            Some((open, file)) if *open == index => Ok(Arc::clone(file)),
            _ => {
                let file = self.work.how.files.open(&self.work.root, &found.path, Mode::Read)?;
                self.open = Some((index, Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}
