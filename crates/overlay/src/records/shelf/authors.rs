//! What is held of whom: records by author and key, and authors by how much they have.
//!
//! Of most authors one record is held and nothing else is known: that record is all there is of them, found by its key.
//! More is kept of those of whom there is more, and the order by weight from when on somebody has first to give way: a shelf
//! that is never full never has it.

use super::order::{ByCreation, ByKey};
use super::{Standing, size};
use crate::id::NodeId;
use crate::records::{Key, Kind, Record, RecordId, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// What there is of an author.
#[derive(Clone, Debug, Default)]
struct Author {
    standing: Standing,
    records: ByCreation,
    bytes: usize,
    /// Keys that are remembered and not held.
    remembered: usize,
}

/// By how they are regarded and how many bytes they have here.
type Weights = BTreeSet<(Standing, usize, NodeId)>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Authors {
    held: BTreeSet<ByKey>,
    /// All but strangers of whom one record is held and nothing is remembered.
    noted: BTreeMap<NodeId, Author>,
    weights: Option<Weights>,
}

impl Author {
    fn of(record: Option<&Record>) -> Self {
        let mut author = Author::default();
        if let Some(record) = record {
            author.insert(record);
        }
        author
    }

    fn insert(&mut self, record: &Record) {
        self.records.insert(record);
        self.bytes += size(record);
    }

    fn remove(&mut self, record: &Record) {
        self.records.remove(record);
        self.bytes -= size(record);
    }

    /// There is no more than the record that is found by its key, if that.
    fn is_plain(&self) -> bool {
        let is_stranger = self.standing == Standing::Stranger;
        is_stranger && self.remembered == 0 && self.records.in_order().len() <= 1
    }
}

impl Authors {
    /// How many records are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The record that is held of a key.
    pub(super) fn newest(&self, key: &Key) -> Option<&Record> {
        self.held.get(key).map(|ByKey(record)| record)
    }

    /// One author's records by time of creation and name.
    pub(super) fn records(&self, name: &NodeId) -> &[Record] {
        match self.noted.get(name) {
            Some(author) => author.records.in_order(),
            None => self.first(name).map(std::slice::from_ref).unwrap_or_default(),
        }
    }

    /// Bytes of one author's records.
    pub(super) fn bytes(&self, name: &NodeId) -> usize {
        match self.noted.get(name) {
            Some(author) => author.bytes,
            None => self.first(name).map_or(0, size),
        }
    }

    /// Keys of one author, held or remembered.
    pub(super) fn keys(&self, name: &NodeId) -> usize {
        match self.noted.get(name) {
            Some(author) => author.records.in_order().len() + author.remembered,
            None => usize::from(self.first(name).is_some()),
        }
    }

    /// How an author is regarded.
    pub(super) fn standing(&self, name: &NodeId) -> Standing {
        self.noted.get(name).map_or(Standing::Stranger, |author| author.standing)
    }

    /// Says how.
    pub(super) fn regard(&mut self, name: NodeId, standing: Standing) {
        self.change(name, |author| author.standing = standing);
        self.forget_blocked(name);
    }

    /// A record of a key of which none is held.
    pub(super) fn insert(&mut self, record: &Record) {
        let name = record.author();
        if self.weights.is_some() || self.noted.contains_key(&name) || self.first(&name).is_some() {
            self.change(name, |author| author.insert(record));
        }
        self.held.insert(ByKey(record.clone()));
    }

    /// A record that is held is held no longer.
    pub(super) fn remove(&mut self, record: &Record) {
        let name = record.author();
        if self.weights.is_some() || self.noted.contains_key(&name) {
            self.change(name, |author| author.remove(record));
        }
        self.held.remove(&record.key());
    }

    /// Something is remembered of a key of which nothing is held.
    pub(super) fn remember(&mut self, name: NodeId) {
        self.change(name, |author| author.remembered += 1);
    }

    /// Nothing is remembered of it any more.
    pub(super) fn forget(&mut self, name: NodeId) {
        self.change(name, |author| author.remembered -= 1);
        self.forget_blocked(name);
    }

    /// What was created first by the author who has the most bytes of all who are so regarded.
    pub(super) fn oldest_of_heaviest(&mut self, standing: Standing) -> Option<RecordId> {
        if self.weights.is_none() {
            self.weights = Some(self.weigh());
        }
        let until = (standing, usize::MAX, NodeId([0xff; 32]));
        let (found, _, author) = self.weights.as_ref()?.range(..=until).next_back()?;
        let oldest = self.records(author).first()?;
        (*found == standing).then(|| oldest.id())
    }

    /// There is room again: nobody has to give way for some time.
    pub(super) fn relax(&mut self) {
        self.weights = None;
    }

    /// The record of an author that has the least key.
    fn first(&self, name: &NodeId) -> Option<&Record> {
        let least = Key { author: *name, kind: Kind(0), slot: Slot::ZERO };
        let ByKey(record) = self.held.range::<Key, _>(least..).next()?;
        (record.author() == *name).then_some(record)
    }

    fn weigh(&self) -> Weights {
        let mut weights = Weights::new();
        let mut last = None;
        for ByKey(record) in &self.held {
            let name = record.author();
            if last != Some(name) {
                weights.insert((self.standing(&name), self.bytes(&name), name));
                last = Some(name);
            }
        }
        weights
    }

    /// Changes what there is of an author, before `held` is.
    fn change(&mut self, name: NodeId, change: impl FnOnce(&mut Author)) {
        let noted = self.noted.remove(&name);
        let mut author = noted.unwrap_or_else(|| Author::of(self.first(&name)));
        let before = (author.standing, author.bytes, name);
        change(&mut author);
        if let Some(weights) = &mut self.weights {
            weights.remove(&before);
            if !author.records.in_order().is_empty() {
                weights.insert((author.standing, author.bytes, name));
            }
        }
        if !author.is_plain() {
            self.noted.insert(name, author);
        }
    }

    /// Who is blocked is nobody once nothing of his is here or remembered: authors without end can be blocked.
    fn forget_blocked(&mut self, name: NodeId) {
        let is_nobody = |author: &Author| {
            let is_blocked = author.standing == Standing::Blocked;
            is_blocked && author.remembered == 0 && author.records.in_order().is_empty()
        };
        if self.noted.get(&name).is_some_and(is_nobody) {
            self.noted.remove(&name);
        }
    }

    /// Looks whether all of it agrees.
    #[cfg(test)]
    pub(super) fn check(&self, records_max: usize, bytes_max: usize) {
        let mut authors = BTreeMap::<NodeId, Author>::new();
        for ByKey(record) in &self.held {
            authors.entry(record.author()).or_default().insert(record);
        }
        for (name, author) in &authors {
            assert_eq!(self.records(name), author.records.in_order());
            assert_eq!(self.bytes(name), author.bytes);
            assert!(author.records.in_order().len() <= records_max && author.bytes <= bytes_max);
        }
        assert!(self.noted.values().all(|author| !author.is_plain()));
        assert!(self.weights.as_ref().is_none_or(|weights| *weights == self.weigh()));
    }

    /// Whether nothing is known of anybody.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.noted.is_empty()
    }
}
