//! What a node offers: listings of what it has, by word.

use super::hit::is_answer;
use super::limits::{LOOKED_AT_MAX, OFFERED_MAX};
use super::terms::TermSet;
use super::words::{Term, Word, words_of};
use crate::records::{Body, Key, RawRecord, Record};
use std::collections::{BTreeMap, BTreeSet};

/// Listings that are offered, in memory. Cheap where there are thousands; what has millions is an index of
/// its own, on disk.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    records: BTreeMap<Key, Record>,
    /// Listings by word, each in the order of their keys. Most words are of one: a set for each would take kilobytes.
    by_term: BTreeMap<Term, Vec<Record>>,
}

fn terms_of(record: &RawRecord) -> BTreeSet<Term> {
    let Body::Listing(listing) = record.body() else { return BTreeSet::new() };
    words_of(&listing).iter().map(Word::term).collect()
}

/// Where the listing of a key is among those of a word, or belongs.
fn place(listings: &[Record], key: &Key) -> Result<usize, usize> {
    listings.binary_search_by_key(key, |record| record.key())
}

impl Offers {
    /// Offers a listing, in place of the one of its key; a withdrawal takes it back. Whether anything has
    /// changed.
    pub(crate) fn put(&mut self, record: &Record) -> bool {
        let key = record.key();
        let old = self.records.get(&key);
        if old.is_some_and(|old| old.version() >= record.version()) {
            return false;
        }
        let was_there = self.remove(&key);
        let terms = terms_of(record);
        if terms.is_empty() || self.records.len() >= OFFERED_MAX {
            return was_there;
        }
        for term in terms {
            let listings = self.by_term.entry(term).or_insert_with(|| Vec::with_capacity(1));
            if let Err(at) = place(listings, &key) {
                listings.insert(at, record.clone());
            }
        }
        self.records.insert(key, record.clone());
        true
    }

    fn remove(&mut self, key: &Key) -> bool {
        let Some(old) = self.records.remove(key) else { return false };
        for term in terms_of(&old) {
            if let Some(listings) = self.by_term.get_mut(&term) {
                if let Ok(at) = place(listings, key) {
                    listings.remove(at);
                }
                if listings.is_empty() {
                    self.by_term.remove(&term);
                }
            }
        }
        true
    }

    /// The terms of all that is offered.
    pub(crate) fn terms(&self, most: usize) -> TermSet {
        self.by_term.keys().take(most).copied().collect()
    }

    /// The words of each listing.
    pub(crate) fn words(&self) -> impl Iterator<Item = Vec<Word>> + '_ {
        self.records.values().map(|record| match record.body() {
            Body::Listing(listing) => words_of(&listing),
            _ => Vec::new(),
        })
    }

    /// Listings with all of some words, at most so many.
    pub(crate) fn find(&self, words: &[Word], most: usize) -> Vec<&Record> {
        let lists: Option<Vec<_>> =
            words.iter().map(|word| self.by_term.get(&word.term())).collect();
        let Some(lists) = lists else { return Vec::new() };
        // The rarest word first.
        let Some(least) = lists.iter().min_by_key(|list| list.len()) else { return Vec::new() };
        let looked_at = least.iter().take(LOOKED_AT_MAX);
        looked_at
            .filter(|record| {
                let key = record.key();
                lists.iter().all(|list| place(list, &key).is_ok())
            })
            // Two words may have one term.
            .filter(|record| is_answer(record, None, words))
            .take(most)
            .collect()
    }
}
