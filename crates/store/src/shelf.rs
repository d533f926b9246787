//! What a node of the overlay holds, from one run to the next: its records, and what it remembers of those
//! that are gone, so that nothing old comes back.
//!
//! Changes are noted one by one and written together; only the last of a key counts. What could not be
//! written is kept and written the next time.

use crate::engine::{self, failed, plain};
use crate::mail::{self, LoadedMail, MailNote, Room};
use crate::records::RecordError;
use althing_base::UnixTime;
use althing_overlay::NodeId;
use althing_overlay::records::{
    Change, Key, Kind, Memory, RawRecord, Record, RecordId, Slot, Version,
};
use fjall::{Database, Keyspace, PersistMode};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The format of what is written.
const VERSION: u64 = 1;

/// Bytes of a key: author, kind, slot.
const KEY_LEN: usize = 32 + 1 + 32;

/// Bytes of what is remembered: created, seq, id, whether it may return.
const MEMORY_LEN: usize = 8 + 8 + 32 + 1;

/// See the [module](self).
pub struct ShelfStore {
    path: PathBuf,
    /// `None` after the engine failed and could not be started again.
    engine: Option<Engine>,
    /// What is to be written: a record, or that there is none.
    records: BTreeMap<Key, Option<Record>>,
    memories: BTreeMap<Key, Option<Memory>>,
    mail: BTreeMap<(Room, [u8; 32]), Option<Vec<u8>>>,
}

/// The open store. After a failed write it takes no more until it is opened again.
struct Engine {
    database: Database,
    records: Keyspace,
    memories: Keyspace,
    /// In the order of [`Room`].
    mail: Vec<Keyspace>,
}

/// What the last run has left.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Records; nobody has looked at their signatures.
    pub records: Vec<RawRecord>,
    /// What is remembered of others.
    pub memories: Vec<Memory>,
    /// Entries that make no sense, which are left out.
    pub damaged: usize,
}

/// Makes all that was written so far survive a power cut; for another thread, because it takes its time.
pub struct Flush {
    path: PathBuf,
    database: Option<Database>,
}

impl Flush {
    /// Does so.
    ///
    /// # Errors
    /// The disk fails, or has failed before.
    pub fn run(&self) -> Result<(), RecordError> {
        let Some(database) = &self.database else {
            let (path, error) = (self.path.clone(), fjall::Error::Poisoned);
            return Err(RecordError::Engine { path, error });
        };
        database.persist(PersistMode::SyncData).map_err(|error| failed(&self.path, error))
    }
}

impl ShelfStore {
    /// Opens the store in the folder `path`; makes one if there is none.
    ///
    /// # Errors
    /// It is another process's, or of a later format, or the disk fails.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let engine = Some(Engine::open(path)?);
        let (records, memories, mail) = Default::default();
        Ok(ShelfStore { path: path.to_owned(), engine, records, memories, mail })
    }

    /// What the last run has left.
    ///
    /// # Errors
    /// The disk fails.
    pub fn load(&mut self) -> Result<Loaded, RecordError> {
        let path = self.path.clone();
        let engine = self.engine()?;
        let mut loaded = Loaded::default();
        for entry in engine.records.iter() {
            let (_, bytes) = entry.into_inner().map_err(|error| failed(&path, error))?;
            match RawRecord::parse(&bytes) {
                Ok(record) => loaded.records.push(record),
                Err(_) => loaded.damaged += 1,
            }
        }
        for entry in engine.memories.iter() {
            let (key, value) = entry.into_inner().map_err(|error| failed(&path, error))?;
            match read_memory(&key, &value) {
                Some(memory) => loaded.memories.push(memory),
                None => loaded.damaged += 1,
            }
        }
        Ok(loaded)
    }

    /// What the last run has left of mail.
    ///
    /// # Errors
    /// The disk fails.
    pub fn load_mail(&mut self) -> Result<LoadedMail, RecordError> {
        let path = self.path.clone();
        let engine = self.engine()?;
        let mut loaded = LoadedMail::default();
        let rooms = [Room::Received, Room::Sent, Room::Seen, Room::Carried, Room::Receipts];
        for (room, keyspace) in rooms.into_iter().zip(&engine.mail) {
            for entry in keyspace.iter() {
                let (key, value) = entry.into_inner().map_err(|error| failed(&path, error))?;
                loaded.take(room, &key, &value);
            }
        }
        Ok(loaded)
    }

    /// Notes what has become of mail, to be [written](Self::write).
    pub fn note_mail(&mut self, note: MailNote) {
        for (room, key, value) in mail::entries(note) {
            self.mail.insert((room, key), value);
        }
    }

    /// Notes what has changed, to be [written](Self::write).
    pub fn note(&mut self, change: Change) {
        match change {
            Change::Hold(record) => drop(self.records.insert(record.key(), Some(record))),
            Change::Drop(record, _) => drop(self.records.insert(record.key(), None)),
            Change::Remember(memory) => drop(self.memories.insert(memory.key, Some(memory))),
            Change::Forget(key) => drop(self.memories.insert(key, None)),
        }
    }

    /// Notes that a record which was loaded is not held.
    pub fn let_go(&mut self, key: Key) {
        self.records.entry(key).or_insert(None);
    }

    /// Whether there is something to be written.
    pub fn has_news(&self) -> bool {
        !self.records.is_empty() || !self.memories.is_empty() || !self.mail.is_empty()
    }

    /// Writes what was noted. [`flush`](Self::flush) makes it last.
    ///
    /// # Errors
    /// The disk fails; what was noted stays noted.
    pub fn write(&mut self) -> Result<(), RecordError> {
        if !self.has_news() {
            return Ok(());
        }
        let (records, memories) =
            (std::mem::take(&mut self.records), std::mem::take(&mut self.memories));
        let mail = std::mem::take(&mut self.mail);
        let written = self.engine().map(|engine| {
            let mut batch = engine.database.batch();
            for (key, record) in &records {
                match record {
                    Some(record) => {
                        batch.insert(&engine.records, write_key(key), &record.bytes()[..]);
                    }
                    None => batch.remove(&engine.records, write_key(key)),
                }
            }
            for (key, memory) in &memories {
                match memory {
                    Some(memory) => {
                        batch.insert(&engine.memories, write_key(key), write_memory(memory));
                    }
                    None => batch.remove(&engine.memories, write_key(key)),
                }
            }
            for ((room, key), value) in &mail {
                let Some(keyspace) = engine.mail.get(*room as usize) else { continue };
                match value {
                    Some(value) => batch.insert(keyspace, *key, &value[..]),
                    None => batch.remove(keyspace, *key),
                }
            }
            batch.commit()
        });
        let written = written.and_then(|done| {
            done.map_err(|error| {
                // It has to be opened again, which repairs what the write left behind.
                self.engine = None;
                failed(&self.path, error)
            })
        });
        if written.is_err() {
            (self.records, self.memories, self.mail) = (records, memories, mail);
        }
        written
    }

    /// What makes all that was written last, on another thread.
    pub fn flush(&self) -> Flush {
        let database = self.engine.as_ref().map(|engine| engine.database.clone());
        Flush { path: self.path.clone(), database }
    }

    fn engine(&mut self) -> Result<&Engine, RecordError> {
        match &mut self.engine {
            Some(engine) => Ok(engine),
            engine => Ok(engine.insert(Engine::open(&self.path)?)),
        }
    }
}

impl Engine {
    fn open(path: &Path) -> Result<Engine, RecordError> {
        let failed = |error| failed(path, error);
        let database = engine::open(path, VERSION)?;
        Ok(Engine {
            records: database.keyspace("records", plain).map_err(failed)?,
            memories: database.keyspace("memories", plain).map_err(failed)?,
            mail: mail::ROOMS
                .into_iter()
                .map(|room| database.keyspace(room, plain).map_err(failed))
                .collect::<Result<_, _>>()?,
            database,
        })
    }
}

fn write_key(key: &Key) -> [u8; KEY_LEN] {
    let mut bytes = [0; KEY_LEN];
    bytes[..32].copy_from_slice(&key.author.0);
    bytes[32] = key.kind.0;
    bytes[33..].copy_from_slice(&key.slot.0);
    bytes
}

fn write_memory(memory: &Memory) -> [u8; MEMORY_LEN] {
    let Version { created, seq, id } = memory.newest;
    let mut bytes = [0; MEMORY_LEN];
    bytes[..8].copy_from_slice(&created.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&seq.to_be_bytes());
    bytes[16..48].copy_from_slice(&id.0);
    bytes[48] = memory.may_return.into();
    bytes
}

fn read_memory(key: &[u8], value: &[u8]) -> Option<Memory> {
    let (author, rest) = key.split_first_chunk::<32>()?;
    let (&kind, slot) = rest.split_first()?;
    let (author, slot) = (NodeId(*author), Slot(slot.try_into().ok()?));
    let (created, rest) = value.split_first_chunk::<8>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<32>()?;
    let may_return = match rest {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    let created = UnixTime(i64::from_be_bytes(*created));
    let newest = Version { created, seq: u64::from_be_bytes(*seq), id: RecordId(*id) };
    Some(Memory { key: Key { author, kind: Kind(kind), slot }, newest, may_return })
}

impl fmt::Debug for ShelfStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShelfStore").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_overlay::records::{Draft, Profile, Text, Why};
    use althing_overlay::{Keys, NetworkKey};

    fn record(author: u8, created: i64) -> Record {
        let profile = Profile::new(Text::cleaned("somebody"), Text::cleaned(""));
        let profile = profile.expect("it has a name");
        let draft = Draft::profile(profile, UnixTime(created), 100);
        draft.sign(&Keys::from_secret(&[author; 32]), &NetworkKey::public()).expect("a record")
    }

    fn ids(loaded: &Loaded) -> Vec<RecordId> {
        loaded.records.iter().map(RawRecord::id).collect()
    }

    #[test]
    fn what_was_held_and_remembered_is_there_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (old, new, other) = (record(1, 10), record(1, 20), record(2, 10));
        let memory = Memory { key: other.key(), newest: other.version(), may_return: true };
        let mut store = ShelfStore::open(dir.path()).expect("it opens");
        store.note(Change::Hold(old.clone()));
        store.note(Change::Hold(other.clone()));
        store.write().expect("it is written");
        // In one write a key may change more than once.
        store.note(Change::Drop(old, Why::Replaced));
        store.note(Change::Hold(new.clone()));
        store.note(Change::Drop(other.clone(), Why::Evicted));
        store.note(Change::Remember(memory));
        store.write().expect("it is written");
        store.flush().run().expect("it is flushed");
        assert!(!store.has_news());
        drop(store);
        let mut store = ShelfStore::open(dir.path()).expect("it opens again");
        let loaded = store.load().expect("it is read");
        assert_eq!(ids(&loaded), [new.id()]);
        assert_eq!((loaded.memories, loaded.damaged), (vec![memory], 0));
        store.note(Change::Forget(other.key()));
        store.let_go(new.key());
        store.write().expect("it is written");
        let loaded = store.load().expect("it is read");
        assert!(loaded.records.is_empty() && loaded.memories.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let memory = Memory {
            key: record(3, 5).key(),
            newest: Version { created: UnixTime(-7), seq: u64::MAX, id: RecordId([9; 32]) },
            may_return: false,
        };
        let (key, value) = (write_key(&memory.key), write_memory(&memory));
        assert_eq!(read_memory(&key, &value), Some(memory));
        for len in 0..MEMORY_LEN {
            assert_eq!(read_memory(&key, &value[..len]), None);
        }
        for len in 0..KEY_LEN {
            assert_eq!(read_memory(&key[..len], &value), None);
        }
        let mut odd = value;
        odd[48] = 2;
        assert_eq!(read_memory(&key, &odd), None);
    }
}
