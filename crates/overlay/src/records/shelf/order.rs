//! Records in the orders in which a shelf finds them. What a record is found by stands in the record itself, once for
//! all orders: each costs a pointer.

use super::super::{Key, Record, RecordId};
use althing_base::UnixTime;
use std::borrow::Borrow;
use std::cmp::Ordering;

/// By name.
#[derive(Clone, Debug)]
pub(super) struct ById(pub(super) Record);

/// By what it is about.
#[derive(Clone, Debug)]
pub(super) struct ByKey(pub(super) Record);

/// By when it expires.
#[derive(Clone, Debug)]
pub(super) struct ByExpiry(pub(super) Record);

/// What records are ordered by.
trait Ordered {
    type Place<'a>: Ord
    where
        Self: 'a;

    fn place(&self) -> Self::Place<'_>;
}

impl Ordered for ById {
    type Place<'a> = &'a RecordId;

    fn place(&self) -> &RecordId {
        &self.0.0.0.id
    }
}

impl Ordered for ByKey {
    type Place<'a> = &'a Key;

    fn place(&self) -> &Key {
        &self.0.0.0.key
    }
}

impl Ordered for ByExpiry {
    type Place<'a> = (UnixTime, &'a RecordId);

    fn place(&self) -> (UnixTime, &RecordId) {
        (self.0.expires(), &self.0.0.0.id)
    }
}

macro_rules! ordered {
    ($($name:ident),*) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.place() == other.place()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.place().cmp(&other.place())
            }
        }
    )*};
}

ordered!(ById, ByKey, ByExpiry);

impl Borrow<RecordId> for ById {
    fn borrow(&self) -> &RecordId {
        self.place()
    }
}

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        self.place()
    }
}

/// One author's records by time of creation and name: few as a rule, so that they stand in one piece.
#[derive(Clone, Debug, Default)]
pub(super) struct ByCreation(Vec<Record>);

impl ByCreation {
    fn find(&self, record: &Record) -> Result<usize, usize> {
        let place = |record: &Record| (record.created(), record.id());
        let sought = place(record);
        self.0.binary_search_by(|other| place(other).cmp(&sought))
    }

    pub(super) fn insert(&mut self, record: &Record) {
        if let Err(at) = self.find(record) {
            self.0.insert(at, record.clone());
        }
    }

    pub(super) fn remove(&mut self, record: &Record) {
        if let Ok(at) = self.find(record) {
            self.0.remove(at);
        }
    }

    pub(super) fn in_order(&self) -> &[Record] {
        &self.0
    }
}
