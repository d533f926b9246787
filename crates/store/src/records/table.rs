//! The key-value store with the records.

use super::codec::{self, DecodeError, VERSION};
use super::error::RecordError;
use super::record::{Record, Resume};
use crate::engine::{self, failed, plain};
use crate::mutex::guard;
use crate::pieces::{BeforeWrite, Durable};
use althing_base::Sha1Digest;
use althing_bittorrent::Bitfield;
use althing_bittorrent::swarm::StorageFault;
use bytes::Bytes;
use fjall::{Database, Keyspace, KvSeparationOptions, PersistMode};
use std::fmt;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// All torrents' records, by [`InfoHashes::primary`](althing_bittorrent::InfoHashes::primary).
pub struct Records {
    path: PathBuf,
    /// `None` after the engine failed and could not be started again; each use tries anew.
    engine: RwLock<Option<Engine>>,
    /// Held while resume data are read, changed and written.
    changing: Mutex<()>,
}

/// The open store. After a failed write (a full disk, say) it takes no more until it is opened
/// again, which repairs what the write left behind.
pub(super) struct Engine {
    pub(super) database: Database,
    torrents: Keyspace,
    pub(super) records: Keyspace,
    pub(super) resume: Keyspace,
    pub(super) moves: Keyspace,
}

/// What is remembered of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Which one.
    pub id: Sha1Digest,
    /// What the user wants, and what has come of it.
    pub record: Record,
    /// The .torrent file; `None` as long as there is only a magnet link.
    pub torrent: Option<Bytes>,
    /// Which pieces are claimed; `None` if none ever were.
    pub resume: Option<Resume>,
}

impl Records {
    /// Opens the records in the folder `path`; creates them if there are none.
    ///
    /// # Errors
    /// They are another process's, or of a later format, or the disk fails.
    pub fn open(path: &Path) -> Result<Records, RecordError> {
        let engine = RwLock::new(Some(Engine::open(path)?));
        Ok(Records { path: path.to_owned(), engine, changing: Mutex::new(()) })
    }

    /// All torrents, in the order of their ids, read as the iterator goes. One that can't be read
    /// does not hide the others.
    pub fn iter(&self) -> impl Iterator<Item = Result<Stored, RecordError>> + '_ {
        let tables = self.with(|engine| {
            Ok((engine.records.iter(), engine.torrents.iter(), engine.resume.iter()))
        });
        let (tables, error) = match tables {
            Ok(tables) => (Some(tables), None),
            Err(error) => (None, Some(Err(error))),
        };
        let stored = tables.into_iter().flat_map(move |(records, torrents, resume)| {
            let mut torrents = torrents.map(fjall::Guard::into_inner).peekable();
            let mut resume = resume.map(fjall::Guard::into_inner).peekable();
            records.map(move |record| {
                let failed = |error| self.failed(error);
                let (key, record) = record.into_inner().map_err(failed)?;
                let torrent = at(&mut torrents, &key).transpose().map_err(failed);
                let resume = at(&mut resume, &key).transpose().map_err(failed);
                let id = Sha1Digest::from_slice(&key)
                    .ok_or(RecordError::Damaged { torrent: Sha1Digest::ZERO, what: "its id" })?;
                self.stored(id, &record, torrent?.as_deref(), resume?.as_deref())
            })
        });
        error.into_iter().chain(stored)
    }

    /// One torrent's; `None` if there is none of that id.
    ///
    /// # Errors
    /// It is damaged, or the disk fails.
    pub fn get(&self, id: Sha1Digest) -> Result<Option<Stored>, RecordError> {
        let read = |engine: &Engine| {
            let record = engine.records.get(id.0)?;
            Ok((record, engine.torrents.get(id.0)?, engine.resume.get(id.0)?))
        };
        let (Some(record), torrent, resume) = self.with(read)? else { return Ok(None) };
        self.stored(id, &record, torrent.as_deref(), resume.as_deref()).map(Some)
    }

    /// A torrent's record alone; `None` if there is none of that id.
    ///
    /// # Errors
    /// It is damaged, or the disk fails.
    pub fn record(&self, id: Sha1Digest) -> Result<Option<Record>, RecordError> {
        let text = self.with(|engine| engine.records.get(id.0))?;
        let record = text.map(|text| codec::decode_record(&text));
        record.transpose().map_err(|error| self.bad(id, error))
    }

    /// Adds or replaces a torrent's record.
    ///
    /// # Errors
    /// The disk fails.
    pub fn put(&self, id: Sha1Digest, record: &Record) -> Result<(), RecordError> {
        let record = codec::encode_record(record);
        self.with(|engine| engine.records.insert(id.0, record.as_slice()))
    }

    /// Keeps a torrent's .torrent file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn put_torrent(&self, id: Sha1Digest, torrent: &[u8]) -> Result<(), RecordError> {
        self.with(|engine| engine.torrents.insert(id.0, torrent))
    }

    /// Claims pieces of a torrent that has `piece_count`. `clean` says that it was closed and
    /// nothing else has been written.
    ///
    /// # Errors
    /// What was claimed before is damaged, or the disk fails.
    pub fn claim(
        &self,
        id: Sha1Digest,
        piece_count: u32,
        durable: &Durable,
        clean: bool,
    ) -> Result<(), RecordError> {
        let _changing = guard(&self.changing);
        let known = self.resume_of(id)?.filter(|resume| resume.pieces.len() == piece_count);
        let before = known.clone();
        let mut resume = known.unwrap_or_else(|| Resume::new(piece_count));
        resume.claim(durable);
        resume.clean = clean;
        if before.as_ref() == Some(&resume) {
            return Ok(());
        }
        self.put_resume(id, &resume)
    }

    /// Takes back the claim to pieces, which have turned out not to be there. Flushed at once.
    ///
    /// # Errors
    /// The record is damaged, or the disk fails.
    pub fn unclaim(&self, id: Sha1Digest, pieces: &Bitfield) -> Result<(), RecordError> {
        let _changing = guard(&self.changing);
        let Some(mut resume) = self.resume_of(id)? else { return Ok(()) };
        let mut changed = false;
        for piece in pieces.ones() {
            changed |= resume.pieces.set(piece, false);
        }
        if changed {
            self.put_resume(id, &resume)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Notes that a check of all of a torrent goes on, and what it has still to look at; or, with
    /// `None`, that it has come to its end.
    ///
    /// # Errors
    /// The record is damaged, or the disk fails.
    pub fn checking(
        &self,
        id: Sha1Digest,
        piece_count: u32,
        unchecked: Option<&Bitfield>,
    ) -> Result<(), RecordError> {
        let _changing = guard(&self.changing);
        let known = self.resume_of(id)?.filter(|resume| resume.pieces.len() == piece_count);
        let mut resume = known.unwrap_or_else(|| Resume::new(piece_count));
        if resume.unchecked.as_ref() == unchecked {
            return Ok(());
        }
        resume.unchecked = unchecked.cloned();
        self.put_resume(id, &resume)
    }

    /// Forgets what was claimed of a torrent: damaged, or meant for another layout.
    ///
    /// # Errors
    /// The disk fails.
    pub fn forget_claims(&self, id: Sha1Digest) -> Result<(), RecordError> {
        let _changing = guard(&self.changing);
        self.with(|engine| engine.resume.remove(id.0))?;
        self.flush()
    }

    /// What a torrent is to be opened with: notes that more is on disk than is claimed, before the
    /// first byte is.
    pub fn before_write(self: &Arc<Self>, id: Sha1Digest, piece_count: u32) -> BeforeWrite {
        let records = Arc::clone(self);
        Arc::new(move || {
            let nothing = Durable::default();
            let noted = records.claim(id, piece_count, &nothing, false);
            noted.map_err(|error| StorageFault::Io {
                path: records.path.display().to_string(),
                error: error.to_string(),
            })
        })
    }

    /// Forgets a torrent, for good once it is [flushed](Self::flush).
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, id: Sha1Digest) -> Result<(), RecordError> {
        let _changing = guard(&self.changing);
        self.with(|engine| {
            let mut batch = engine.database.batch();
            batch.remove(&engine.records, id.0);
            batch.remove(&engine.torrents, id.0);
            batch.remove(&engine.resume, id.0);
            batch.remove(&engine.moves, id.0);
            batch.commit()
        })
    }

    /// Makes all that was written so far survive a power cut.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&self) -> Result<(), RecordError> {
        self.with(|engine| engine.database.persist(PersistMode::SyncData))
    }

    fn stored(
        &self,
        id: Sha1Digest,
        record: &[u8],
        torrent: Option<&[u8]>,
        resume: Option<&[u8]>,
    ) -> Result<Stored, RecordError> {
        let bad = |error| self.bad(id, error);
        Ok(Stored {
            id,
            record: codec::decode_record(record).map_err(bad)?,
            torrent: torrent.map(Bytes::copy_from_slice),
            resume: resume.map(codec::decode_resume).transpose().map_err(bad)?,
        })
    }

    /// To be held while resume data are read, changed and written.
    pub(super) fn change(&self) -> std::sync::MutexGuard<'_, ()> {
        guard(&self.changing)
    }

    pub(super) fn resume_of(&self, id: Sha1Digest) -> Result<Option<Resume>, RecordError> {
        let text = self.with(|engine| engine.resume.get(id.0))?;
        let resume = text.map(|text| codec::decode_resume(&text));
        resume.transpose().map_err(|error| self.bad(id, error))
    }

    fn put_resume(&self, id: Sha1Digest, resume: &Resume) -> Result<(), RecordError> {
        let resume = codec::encode_resume(resume);
        self.with(|engine| engine.resume.insert(id.0, resume.as_slice()))
    }

    /// Uses the engine; if it has failed before, starts it again first.
    pub(super) fn with<T>(
        &self,
        work: impl Fn(&Engine) -> fjall::Result<T>,
    ) -> Result<T, RecordError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        match engine.as_ref().map(&work) {
            Some(Err(fjall::Error::Poisoned)) | None => {}
            Some(done) => return done.map_err(|error| self.failed(error)),
        }
        drop(engine);
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        // The folder is locked as long as the old one is there.
        *engine = None;
        let started = engine.insert(Engine::open(&self.path)?);
        work(started).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: fjall::Error) -> RecordError {
        RecordError::Engine { path: self.path.clone(), error }
    }

    fn bad(&self, torrent: Sha1Digest, error: DecodeError) -> RecordError {
        match error {
            DecodeError::Newer(found) => {
                RecordError::Newer { path: self.path.clone(), found, known: VERSION }
            }
            DecodeError::Damaged(what) => RecordError::Damaged { torrent, what },
        }
    }
}

impl Engine {
    fn open(path: &Path) -> Result<Engine, RecordError> {
        let failed = |error| failed(path, error);
        let database = engine::open(path, VERSION)?;
        // .torrent files are written once: compaction has no reason to move them.
        let large = || plain().with_kv_separation(Some(KvSeparationOptions::default()));
        Ok(Engine {
            torrents: database.keyspace("torrents", large).map_err(failed)?,
            records: database.keyspace("records", plain).map_err(failed)?,
            resume: database.keyspace("resume", plain).map_err(failed)?,
            moves: database.keyspace("moves", plain).map_err(failed)?,
            database,
        })
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The value of `key` among ascending pairs, of which those before it are skipped.
fn at(
    pairs: &mut Peekable<impl Iterator<Item = fjall::Result<fjall::KvPair>>>,
    key: &[u8],
) -> Option<fjall::Result<fjall::Slice>> {
    while pairs.next_if(|pair| pair.as_ref().is_ok_and(|(other, _)| **other < *key)).is_some() {}
    let found = pairs.next_if(|pair| pair.as_ref().is_ok_and(|(other, _)| **other == *key));
    match found {
        Some(pair) => Some(pair.map(|(_, value)| value)),
        None => match pairs.next_if(Result::is_err) {
            Some(Err(error)) => Some(Err(error)),
            _ => None,
        },
    }
}
