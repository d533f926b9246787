//! What users say: records that they publish, what they have, and what they look for.

use super::common::network;
use super::finds::{Find, FindId, Finds};
use super::net::Net;
use super::news::{News, NewsId, Note};
use crate::digest::EventHash;
use crate::node::{NodeIndex, mix};
use althing_base::hash::sha1;
use althing_overlay::NodeId;
use althing_overlay::io::{Find as Question, Input, Via, What};
use althing_overlay::records::{Draft, InfoHash, Listing, RawRecord, Record, RecordError, Text};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

impl Net {
    /// What has become by now of what was published.
    pub fn news(&self, id: NewsId) -> News {
        let (by, at) = self.published[id.0];
        let mut news = News::new(by, at, self.common.faces.len());
        for shard in &self.shards {
            news.add(&shard.notes[id.0], |local| self.common.places.node(shard.number, local));
        }
        news
    }

    /// Somebody who is alive publishes a record of some 300 bytes.
    pub fn publish(&mut self, by: NodeIndex) -> NewsId {
        let number = self.next_number();
        let node = self.common.face(by).node;
        let said = format!("news {number}");
        let name = Text::new(&said).expect("it is short");
        let about = Text::new(&"of what there is to be had ".repeat(4)).expect("it is short");
        // Each in a slot of its own, so that what somebody says later replaces nothing.
        let listing = Listing::new(what(&said), name, 1 << 30, 3).expect("it has a name");
        let mut draft = Draft::listing(listing.with_about(about), self.unix(), 24 * 3_600);
        draft.seq = number;
        let record: Record = draft
            .sign_with(&node, &network(), |message| signature(&node, message))
            .expect("it is as records are");
        let id = NewsId(self.published.len());
        self.published.push((by, self.now));
        self.shards.iter_mut().for_each(|shard| shard.notes.push(Note::default()));
        self.common.by_record.insert(record.id(), id);
        self.common.by_tag.insert(tag(record.bytes()), id);
        self.tell(by, Input::Publish(Box::new(record)));
        id
    }

    /// Somebody who is alive has something that others may find by the words of its name. What has one name
    /// is the same, whoever has it.
    pub fn offer(&mut self, by: NodeIndex, name: &str) {
        self.offer_as(by, name, what(name));
    }

    /// Somebody says that he has what he has not: something else of that name, of his own.
    pub fn forge(&mut self, by: NodeIndex, name: &str) {
        let forged = InfoHash::V1(sha1(format!("{name} of {}", by.0).as_bytes()));
        self.offer_as(by, name, forged);
    }

    fn offer_as(&mut self, by: NodeIndex, name: &str, info_hash: InfoHash) {
        let number = self.next_number();
        let node = self.common.face(by).node;
        let name = Text::new(name).expect("it is short");
        let listing = Listing::new(info_hash, name, 1 << 30, 3).expect("it has a name");
        let mut draft = Draft::listing(listing, self.unix(), 24 * 3_600);
        draft.seq = number;
        let record = draft
            .sign_with(&node, &network(), |message| signature(&node, message))
            .expect("it is as records are");
        self.tell(by, Input::Offer(Box::new(record)));
    }

    /// Somebody who is alive looks for something, until he has found so many that differ.
    pub fn find(&mut self, by: NodeIndex, words: &str, wanted: u8, via: Via) -> FindId {
        let id = self.rng.next_u64();
        let mut find = None;
        let now = self.now;
        for finds in self.finds_mut() {
            find = Some(finds.add(id, by, now, what(words)));
        }
        let words = words.to_owned();
        let question = Question { id, words, wanted, via, what: What::Any };
        self.tell(by, Input::Find(Box::new(question)));
        find.expect("there is a shard")
    }

    /// What has come of it.
    pub fn found(&self, id: FindId) -> Find {
        let mut parts = self.finds().map(|finds| finds.find(id));
        let first = parts.next().expect("there is a shard").clone();
        parts.fold(first, Find::with)
    }

    /// From now on messages of questions and answers are counted by node and by kind of question, from
    /// 0 again: of questions that are asked until the next is begun.
    pub fn begin_kind(&mut self, kind: usize) {
        self.finds_mut().for_each(|finds| finds.begin_kind(kind));
    }

    /// The most messages of questions of a kind that one node got since they were counted anew.
    pub fn busiest(&self, kind: usize) -> u64 {
        let nodes = (0..self.common.faces.len() as u32).map(NodeIndex);
        let of = |at| self.finds().map(|finds| finds.of_kind(kind, at)).sum();
        nodes.map(of).max().unwrap_or(0)
    }

    /// Counts them anew.
    pub fn forget_load(&mut self) {
        self.finds_mut().for_each(Finds::forget_load);
    }

    /// Messages of questions and answers that each node got so far.
    pub fn asked(&self, at: NodeIndex) -> u64 {
        self.finds().map(|finds| finds.load(at)).sum()
    }

    /// One that nothing else has that is said.
    pub(super) fn next_number(&mut self) -> u64 {
        self.said += 1;
        self.said
    }
}

/// What has such a name, if nobody lies.
fn what(name: &str) -> InfoHash {
    InfoHash::V1(sha1(name.as_bytes()))
}

/// A signature that costs nothing: it tells apart, and nobody here forges one.
fn signature(author: &NodeId, message: &[u8]) -> [u8; 64] {
    let mut hash = EventHash::new();
    hash.bytes(&author.0);
    hash.bytes(message);
    let mut signature = [0; 64];
    signature[..8].copy_from_slice(&hash.finish().to_le_bytes());
    signature
}

pub(super) fn verify(author: &NodeId, message: &[u8], given: &[u8; 64]) -> bool {
    signature(author, message) == *given
}

/// What has been read, in parts by its tag, so that threads seldom wait for each other. Ten thousand nodes are
/// in one process, and each gets each record.
static READ: [Mutex<BTreeMap<u64, RawRecord>>; READ_PARTS] =
    [const { Mutex::new(BTreeMap::new()) }; READ_PARTS];

const READ_PARTS: usize = 64;

/// Records that each part remembers; past them all are forgotten, and read anew.
const READ_MAX: usize = 256;

/// Reads a record, or finds that this was done: then it is the same, and takes no room of its own.
pub(super) fn read(bytes: &[u8]) -> Result<RawRecord, RecordError> {
    let tag = tag(bytes);
    let part = &READ[mix(tag) as usize % READ_PARTS];
    // Whoever panicked with it has changed nothing halfway.
    let mut known = part.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(raw) = known.get(&tag).filter(|raw| raw.bytes() == bytes) {
        return Ok(raw.clone());
    }
    let raw = RawRecord::parse(bytes)?;
    if known.len() >= READ_MAX {
        known.clear();
    }
    known.insert(tag, raw.clone());
    Ok(raw)
}

/// By which a record is known without reading it: what its signature begins with.
pub(super) fn tag(record: &[u8]) -> u64 {
    let at = record.len().saturating_sub(72);
    record.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |tag| u64::from_le_bytes(*tag))
}
