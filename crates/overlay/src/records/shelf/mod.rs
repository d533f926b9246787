//! What a node holds: the newest record of each key until it expires, within bounds.
//!
//! Of a key that is no longer held it is remembered which version was the newest, for as long as an older
//! one could still be alive. So what was replaced or has expired never comes back, whatever the order in
//! which things arrive; and two shelves that were given the same records hold the same, unless a bound
//! was hit.

mod authors;
mod order;

use super::{Key, RawRecord, Record, RecordId, Version};
use crate::id::NodeId;
use crate::limits::{
    AUTHOR_BYTES_MAX, AUTHOR_KEYS_MAX, AUTHOR_RECORDS_MAX, CREATED_AHEAD_MAX_S, KNOWN_AUTHORS_MAX,
    LIFETIME_MAX_S, REMEMBERED_KEYS_MAX, SHELF_BYTES_MAX, SHELF_RECORDS_MAX, STRANGER_WORK_BITS,
    UNWANTED_IDS_MAX,
};
use crate::reconcile::{Item, Set};
use althing_base::UnixTime;
use authors::Authors;
use order::{ByExpiry, ById};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a node regards an author. What has to give way is taken from those first whom the user does not want, and then
/// from strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Standing {
    /// The user does not want to carry what he says. As a stranger otherwise: what is blocked here is passed on. Forgotten
    /// when nothing of his is here any more.
    Blocked,
    /// Somebody. Has to show work, if [`Caps::stranger_work_bits`] says so.
    #[default]
    Stranger,
    /// The user knows him.
    Known,
    /// It is the node itself: nothing of its own ever gives way to others.
    Own,
}

/// How much a shelf holds.
#[derive(Clone, Debug)]
pub struct Caps {
    /// Records of one author.
    pub author_records: usize,
    /// Bytes of one author's records.
    pub author_bytes: usize,
    /// Keys of one author, held or remembered.
    pub author_keys: usize,
    /// Records.
    pub records: usize,
    /// Bytes of records.
    pub bytes: usize,
    /// Keys that are remembered and not held.
    pub remembered: usize,
    /// Leading zero bits of a stranger's stamp; 0 asks for none.
    pub stranger_work_bits: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Caps {
            author_records: AUTHOR_RECORDS_MAX,
            author_bytes: AUTHOR_BYTES_MAX,
            author_keys: AUTHOR_KEYS_MAX,
            records: SHELF_RECORDS_MAX,
            bytes: SHELF_BYTES_MAX,
            remembered: REMEMBERED_KEYS_MAX,
            stranger_work_bits: STRANGER_WORK_BITS,
        }
    }
}

/// What putting a record on the shelf has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The older version of the same key, which it has replaced.
    pub replaced: Option<Record>,
    /// Records that gave way to it.
    pub evicted: Vec<Record>,
}

/// Why a record is not put on the shelf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is there already.
    #[error("it is held already")]
    Held,
    /// A newer version of its key is there, or was.
    #[error("a newer version is known")]
    Replaced,
    /// Its time is over, or was when it was last here.
    #[error("it has expired")]
    Expired,
    /// It was created too far ahead of our clock. If many are, it is our clock that is wrong.
    #[error("it was created {ahead_s} s ahead of our clock")]
    Ahead {
        /// By how many seconds.
        ahead_s: i64,
    },
    /// Its author is a stranger, and has not worked enough.
    #[error("its stamp shows {found} bits of work, where {needed} are needed")]
    Work {
        /// What it shows.
        found: u32,
        /// What is asked for.
        needed: u32,
    },
    /// Its author has as much here as one may have, and all of it is newer.
    #[error("its author has as much here as one may have")]
    AuthorFull,
    /// There is no room that it could be given.
    #[error("there is no room")]
    Full,
}

/// What has become of a record that is no longer held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Its time is over.
    Expired,
    /// A newer version has come.
    Replaced,
    /// It gave way to others.
    Evicted,
}

/// What has changed, for whoever keeps it on disk or in an index. In the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A record is held.
    Hold(Record),
    /// A record is no longer held.
    Drop(Record, Why),
    /// Something is to be remembered of a key, in place of what was.
    Remember(Memory),
    /// Nothing is to be remembered of a key any more, because a record of it is held, or because nothing
    /// older is alive.
    Forget(Key),
}

/// What is remembered of a key of which nothing is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory {
    /// The key.
    pub key: Key,
    /// The newest version that was there.
    pub newest: Version,
    /// Whether that one gave way and may come back; otherwise it has expired.
    pub may_return: bool,
}

impl Memory {
    /// From when on nothing older can be alive, so that it may be forgotten.
    pub fn until(&self) -> UnixTime {
        UnixTime(self.newest.created.0.saturating_add(LIFETIME_MAX_S))
    }
}

/// What is remembered under a key.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    newest: Version,
    may_return: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Shelf {
    caps: Caps,
    authors: Authors,
    ids: BTreeSet<ById>,
    /// What is remembered of keys of which nothing is held.
    remembered: BTreeMap<Key, Remembered>,
    /// How many authors are known.
    known: usize,
    /// What is held, by when it expires.
    expiring: BTreeSet<ByExpiry>,
    /// What is remembered, by when it is forgotten.
    fading: BTreeSet<(UnixTime, Key)>,
    /// The first of either: asked for with each record.
    next_expiry: Option<UnixTime>,
    set: Set,
    bytes: usize,
    unwanted: Unwanted,
    changes: VecDeque<Change>,
}

impl Shelf {
    /// An empty shelf.
    pub fn new(caps: Caps) -> Self {
        Shelf {
            caps,
            authors: Authors::default(),
            ids: BTreeSet::new(),
            remembered: BTreeMap::new(),
            known: 0,
            expiring: BTreeSet::new(),
            fading: BTreeSet::new(),
            next_expiry: None,
            set: Set::new(),
            bytes: 0,
            unwanted: Unwanted::default(),
            changes: VecDeque::new(),
        }
    }

    /// Puts a record on the shelf. `now` is what our clock says.
    ///
    /// # Errors
    /// Why it does not belong there. Room may have been made for it in vain.
    pub fn admit(&mut self, now: UnixTime, record: &Record) -> Result<Admitted, Refused> {
        self.expire(now);
        let result = self.try_admit(now, record);
        match result {
            Err(Refused::Held | Refused::Ahead { .. } | Refused::Work { .. }) | Ok(_) => {}
            Err(_) => self.unwanted.add(record.id()),
        }
        result
    }

    /// Puts a record on the shelf that comes from elsewhere, if `check` finds that its author has signed it: the dearest
    /// of all there is to look at comes after all else.
    ///
    /// # Errors
    /// Why it does not belong there, or what `check` says.
    pub fn admit_checked<E>(
        &mut self,
        now: UnixTime,
        raw: &RawRecord,
        check: impl FnOnce(&RawRecord) -> Result<Record, E>,
    ) -> Result<Record, Result<Refused, E>> {
        self.expire(now);
        self.judge(now, raw).map_err(Ok)?;
        let record = check(raw).map_err(Err)?;
        if let Err(refused) = self.place(&record) {
            self.unwanted.add(record.id());
            return Err(Ok(refused));
        }
        Ok(record)
    }

    fn try_admit(&mut self, now: UnixTime, record: &Record) -> Result<Admitted, Refused> {
        if let Err(refused) = self.judge(now, record) {
            if refused == Refused::Expired {
                self.heed_expired(now, record);
            }
            return Err(refused);
        }
        self.place(record)
    }

    /// Puts a record on the shelf that was judged to belong there.
    fn place(&mut self, record: &Record) -> Result<Admitted, Refused> {
        let key = record.key();
        let giving_way = self.author_room(record)?;
        let mut admitted = Admitted::default();
        if let Some(old) = self.newest(&key).cloned() {
            self.take_out(&old, Why::Replaced);
            admitted.replaced = Some(old);
        } else if let Some(memory) = self.memory(&key) {
            self.forget(memory.until(), key);
        }
        for id in giving_way {
            admitted.evicted.extend(self.evict(id));
        }
        self.put_in(record);
        while self.ids.len() > self.caps.records || self.bytes > self.caps.bytes {
            // Where there is nothing but our own, the newcomer is our own, and goes.
            let victim = self.victim().unwrap_or(record.id());
            let evicted = self.evict(victim);
            if victim == record.id() {
                return Err(Refused::Full);
            }
            admitted.evicted.extend(evicted);
        }
        Ok(admitted)
    }

    /// Whether a record would be refused for what can be told without looking at its signature. What
    /// passes here may still find no room.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn judge(&self, now: UnixTime, record: &RawRecord) -> Result<(), Refused> {
        if self.holds(&record.id()) {
            return Err(Refused::Held);
        }
        let ahead_s = record.created().0.saturating_sub(now.0);
        if ahead_s > CREATED_AHEAD_MAX_S {
            return Err(Refused::Ahead { ahead_s });
        }
        let version = record.version();
        let key = record.key();
        if let Some(held) = self.newest(&key) {
            if held.version() > version {
                return Err(Refused::Replaced);
            }
        } else if let Some(memory) = self.memory(&key) {
            if memory.newest > version {
                return Err(Refused::Replaced);
            }
            if memory.newest == version && !memory.may_return {
                return Err(Refused::Expired);
            }
        } else {
            let keys = self.authors.keys(&key.author);
            if keys > 0 && keys >= self.caps.author_keys {
                return Err(Refused::AuthorFull);
            }
        }
        let needed = self.caps.stranger_work_bits;
        if needed > 0 && self.standing(&record.author()) <= Standing::Stranger {
            let found = record.work();
            if found < needed {
                return Err(Refused::Work { found, needed });
            }
        }
        // Last, so that what is refused for this alone can be told.
        if record.expires() <= now { Err(Refused::Expired) } else { Ok(()) }
    }

    /// A version that has expired has still replaced older ones, wherever it was in time; so it does here.
    fn heed_expired(&mut self, now: UnixTime, record: &Record) {
        let (key, newest) = (record.key(), record.version());
        let memory = Memory { key, newest, may_return: false };
        if let Some(old) = self.newest(&key).cloned() {
            if old.version() >= newest {
                return;
            }
            self.take_out(&old, Why::Replaced);
        } else if let Some(old) = self.memory(&key) {
            if old.newest > newest {
                return;
            }
            self.forget(old.until(), key);
        }
        if memory.until() > now {
            self.remember(memory);
        }
    }

    /// Which of its author's records have to give way to a new one: those created first.
    fn author_room(&self, record: &Record) -> Result<Vec<RecordId>, Refused> {
        let author = record.author();
        let replaced = self.newest(&record.key());
        let theirs = self.authors.records(&author);
        let mut records = theirs.len() + 1 - usize::from(replaced.is_some());
        let mut bytes = self.authors.bytes(&author) + size(record) - replaced.map_or(0, size);
        let mut giving_way = Vec::new();
        for other in theirs {
            if records <= self.caps.author_records && bytes <= self.caps.author_bytes {
                break;
            }
            if replaced.is_some_and(|old| old.id() == other.id()) {
                continue;
            }
            if (other.created(), other.id()) > (record.created(), record.id()) {
                return Err(Refused::AuthorFull);
            }
            records -= 1;
            bytes -= size(other);
            giving_way.push(other.id());
        }
        if records > self.caps.author_records || bytes > self.caps.author_bytes {
            return Err(Refused::AuthorFull);
        }
        Ok(giving_way)
    }

    /// What gives way next: what was created first by the author who has the most bytes, among those who are blocked as
    /// long as there are any, then among strangers, and then among those who are known.
    fn victim(&mut self) -> Option<RecordId> {
        let standings = [Standing::Blocked, Standing::Stranger, Standing::Known];
        standings.into_iter().find_map(|standing| self.authors.oldest_of_heaviest(standing))
    }

    fn evict(&mut self, id: RecordId) -> Option<Record> {
        let record = self.record(&id)?.clone();
        self.take_out(&record, Why::Evicted);
        Some(record)
    }

    fn put_in(&mut self, record: &Record) {
        self.authors.insert(record);
        self.ids.insert(ById(record.clone()));
        self.expiring.insert(ByExpiry(record.clone()));
        self.set.insert(item(record));
        self.bytes += size(record);
        self.expects(record.expires());
        self.changes.push_back(Change::Hold(record.clone()));
    }

    /// Takes a record from the shelf; unless it was replaced it is remembered.
    fn take_out(&mut self, record: &Record, why: Why) {
        let (key, id) = (record.key(), record.id());
        self.authors.remove(record);
        self.ids.remove(&id);
        self.expiring.remove(&ByExpiry(record.clone()));
        self.set.remove(&item(record));
        self.bytes -= size(record);
        self.is_over(record.expires());
        if self.ids.len() < self.caps.records / 2 && self.bytes < self.caps.bytes / 2 {
            self.authors.relax();
        }
        match why {
            // There is room now for what had none.
            Why::Expired => self.unwanted.clear(),
            Why::Replaced | Why::Evicted => self.unwanted.add(id),
        }
        self.changes.push_back(Change::Drop(record.clone(), why));
        if why != Why::Replaced {
            let may_return = why == Why::Evicted;
            self.remember(Memory { key, newest: record.version(), may_return });
        }
    }

    fn remember(&mut self, memory: Memory) {
        let Memory { key, newest, may_return } = memory;
        self.remembered.insert(key, Remembered { newest, may_return });
        self.fading.insert((memory.until(), key));
        self.expects(memory.until());
        self.authors.remember(key.author);
        self.changes.push_back(Change::Remember(memory));
        while self.fading.len() > self.caps.remembered {
            let Some(&(until, key)) = self.fading.first() else { break };
            self.forget(until, key);
        }
    }

    fn forget(&mut self, until: UnixTime, key: Key) {
        self.fading.remove(&(until, key));
        self.remembered.remove(&key);
        self.is_over(until);
        self.authors.forget(key.author);
        self.changes.push_back(Change::Forget(key));
    }

    /// Something is to be done then.
    fn expects(&mut self, at: UnixTime) {
        self.next_expiry = self.next_expiry.into_iter().chain([at]).min();
    }

    /// Something that was to be done then is not any more.
    fn is_over(&mut self, at: UnixTime) {
        if self.next_expiry.is_some_and(|next| next >= at) {
            let held = self.expiring.first().map(|ByExpiry(record)| record.expires());
            let remembered = self.fading.first().map(|(until, _)| *until);
            self.next_expiry = held.into_iter().chain(remembered).min();
        }
    }

    /// Takes back what the node itself has put under a key, as if it had never been there: what it says next of
    /// it need not be newer. For what was signed while its clock was ahead, which nobody else has taken.
    pub fn disown(&mut self, key: &Key) {
        if let Some(record) = self.newest(key).cloned() {
            self.take_out(&record, Why::Replaced);
        } else if let Some(memory) = self.memory(key) {
            self.forget(memory.until(), *key);
        }
    }

    /// Says how an author is regarded. Beyond [`KNOWN_AUTHORS_MAX`] who is to be known stays a stranger.
    pub fn regard(&mut self, name: NodeId, standing: Standing) {
        let before = self.standing(&name);
        let is_new = before <= Standing::Stranger && standing == Standing::Known;
        if is_new && self.known >= KNOWN_AUTHORS_MAX {
            return;
        }
        self.known += usize::from(standing > Standing::Stranger);
        self.known -= usize::from(before > Standing::Stranger);
        self.authors.regard(name, standing);
    }

    /// How an author is regarded.
    pub fn standing(&self, name: &NodeId) -> Standing {
        self.authors.standing(name)
    }

    /// Drops what has expired by `now`, and forgets what need not be remembered longer. Costs nothing if
    /// there is nothing.
    pub fn expire(&mut self, now: UnixTime) {
        if self.next_expiry.is_none_or(|next| next > now) {
            return;
        }
        let is_over = |ByExpiry(record): &&ByExpiry| record.expires() <= now;
        while let Some(ByExpiry(record)) = self.expiring.first().filter(is_over).cloned() {
            self.take_out(&record, Why::Expired);
        }
        while let Some(&(until, key)) = self.fading.first().filter(|(until, _)| *until <= now) {
            self.forget(until, key);
        }
    }

    /// When [`expire`](Shelf::expire) has something to do next.
    pub fn next_expiry(&self) -> Option<UnixTime> {
        self.next_expiry
    }

    /// Takes up again what was remembered before a restart. Records are [admitted](Shelf::admit) anew.
    pub fn recall(&mut self, now: UnixTime, memory: Memory) {
        let known = self.newest(&memory.key).is_some() || self.memory(&memory.key).is_some();
        let ahead_s = memory.newest.created.0.saturating_sub(now.0);
        if !known && memory.until() > now && ahead_s <= CREATED_AHEAD_MAX_S {
            self.remember(memory);
        }
    }

    /// What has changed since the last call, one at a time. Whoever changes the shelf drains this.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// A record that is held.
    pub fn record(&self, id: &RecordId) -> Option<&Record> {
        self.ids.get(id).map(|ById(record)| record)
    }

    /// The record that is held of a key.
    pub fn newest(&self, key: &Key) -> Option<&Record> {
        self.authors.newest(key)
    }

    /// What is remembered of a key of which nothing is held.
    fn memory(&self, key: &Key) -> Option<Memory> {
        let Remembered { newest, may_return } = *self.remembered.get(key)?;
        Some(Memory { key: *key, newest, may_return })
    }

    /// Whether a record is held.
    pub fn holds(&self, id: &RecordId) -> bool {
        self.ids.contains(id)
    }

    /// Whether a record of which others have told the name is worth asking for: it is not held, and was
    /// not refused or dropped lately. Without this two nodes that hold as much as they may would send
    /// each other the same again and again.
    pub fn wants(&self, id: &RecordId) -> bool {
        !self.holds(id) && !self.unwanted.ids.contains(id)
    }

    /// All that is held, by time of creation and name.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.set.iter().filter_map(|item| self.record(&RecordId(item.id)))
    }

    /// What is held of one author, by time of creation and name.
    pub fn records_of(&self, author: &NodeId) -> impl Iterator<Item = &Record> {
        self.authors.records(author).iter()
    }

    /// What is remembered of keys of which nothing is held, by key.
    pub fn memories(&self) -> impl Iterator<Item = Memory> {
        let memory = |(key, remembered): (&Key, &Remembered)| {
            let Remembered { newest, may_return } = *remembered;
            Memory { key: *key, newest, may_return }
        };
        self.remembered.iter().map(memory)
    }

    /// What is held, to be reconciled with others'.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// How many records are held.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes of all records that are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Names that are not asked for.
#[derive(Debug, Default)]
struct Unwanted {
    ids: BTreeSet<RecordId>,
    /// The same, the first that came first.
    order: VecDeque<RecordId>,
}

impl Unwanted {
    fn add(&mut self, id: RecordId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
            if self.order.len() > UNWANTED_IDS_MAX
                && let Some(first) = self.order.pop_front()
            {
                self.ids.remove(&first);
            }
        }
    }

    fn clear(&mut self) {
        self.ids.clear();
        self.order.clear();
    }
}

fn size(record: &Record) -> usize {
    record.bytes().len()
}

fn item(record: &Record) -> Item {
    Item { time: record.created().0.cast_unsigned(), id: record.id().0 }
}

#[cfg(test)]
mod tests;
