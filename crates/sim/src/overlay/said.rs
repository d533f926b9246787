//! What users say: records that they publish, what they have, and what they look for.

use super::finds::{Find, FindId};
use super::net::{Net, network};
use super::news::{News, NewsId};
use crate::digest::EventHash;
use crate::node::NodeIndex;
use althing_base::hash::sha1;
use althing_overlay::NodeId;
use althing_overlay::io::{Find as Question, Input, Via, What};
use althing_overlay::records::{Draft, InfoHash, Listing, RawRecord, Record, RecordError, Text};
use std::cell::RefCell;
use std::collections::HashMap;

impl Net {
    /// What was published.
    pub fn news(&self, id: NewsId) -> &News {
        &self.news[id.0]
    }

    /// Somebody who is alive publishes a record of some 300 bytes.
    pub fn publish(&mut self, by: NodeIndex) -> NewsId {
        self.published += 1;
        let node = self.hosts[by.index()].node;
        let said = format!("news {}", self.published);
        let name = Text::new(&said).expect("it is short");
        let about = Text::new(&"of what there is to be had ".repeat(4)).expect("it is short");
        // Each in a slot of its own, so that what somebody says later replaces nothing.
        let listing = Listing::new(what(&said), name, 1 << 30, 3).expect("it has a name");
        let mut draft = Draft::listing(listing.with_about(about), self.unix(), 24 * 3_600);
        draft.seq = self.published;
        let record: Record = draft
            .sign_with(&node, &network(), |message| signature(&node, message))
            .expect("it is as records are");
        let id = NewsId(self.news.len());
        self.news.push(News {
            by,
            at: self.now,
            reached: vec![None; self.hosts.len()],
            hops: Default::default(),
            copies: 0,
        });
        self.by_record.insert(record.id(), id);
        self.by_tag.insert(tag(record.bytes()), id);
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
        self.published += 1;
        let node = self.hosts[by.index()].node;
        let name = Text::new(name).expect("it is short");
        let listing = Listing::new(info_hash, name, 1 << 30, 3).expect("it has a name");
        let mut draft = Draft::listing(listing, self.unix(), 24 * 3_600);
        draft.seq = self.published;
        let record = draft
            .sign_with(&node, &network(), |message| signature(&node, message))
            .expect("it is as records are");
        self.tell(by, Input::Offer(Box::new(record)));
    }

    /// Somebody who is alive looks for something, until he has found so many that differ.
    pub fn find(&mut self, by: NodeIndex, words: &str, wanted: u8, via: Via) -> FindId {
        let id = self.rng.next_u64();
        let find = self.finds.add(id, by, self.now, what(words));
        let words = words.to_owned();
        let question = Question { id, words, wanted, via, what: What::Any };
        self.tell(by, Input::Find(Box::new(question)));
        find
    }

    /// What has come of it.
    pub fn found(&self, id: FindId) -> &Find {
        self.finds.find(id)
    }

    /// From now on messages of questions and answers are counted by node and by kind of question, from
    /// 0 again: of questions that are asked until the next is begun.
    pub fn begin_kind(&mut self, kind: usize) {
        self.finds.begin_kind(kind);
    }

    /// The most messages of questions of a kind that one node got since they were counted anew.
    pub fn busiest(&self, kind: usize) -> u64 {
        self.finds.busiest(kind)
    }

    /// Counts them anew.
    pub fn forget_load(&mut self) {
        self.finds.forget_load();
    }

    /// Messages of questions and answers that each node got so far.
    pub fn asked(&self, at: NodeIndex) -> u64 {
        self.finds.load(at)
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

thread_local! {
    /// What has been read. Ten thousand nodes are in one process, and each gets each record.
    static READ: RefCell<HashMap<u64, RawRecord>> = RefCell::default();
}

/// Records that are remembered; past them all are forgotten, and read anew.
const READ_MAX: usize = 16_384;

/// Reads a record, or finds that this was done: then it is the same, and takes no room of its own.
pub(super) fn read(bytes: &[u8]) -> Result<RawRecord, RecordError> {
    let tag = tag(bytes);
    READ.with_borrow_mut(|known| {
        if let Some(raw) = known.get(&tag).filter(|raw| raw.bytes() == bytes) {
            return Ok(raw.clone());
        }
        let raw = RawRecord::parse(bytes)?;
        if known.len() >= READ_MAX {
            known.clear();
        }
        known.insert(tag, raw.clone());
        Ok(raw)
    })
}

/// By which a record is known without reading it: what its signature begins with.
pub(super) fn tag(record: &[u8]) -> u64 {
    let at = record.len().saturating_sub(72);
    record.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |tag| u64::from_le_bytes(*tag))
}
