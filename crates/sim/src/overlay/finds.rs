//! Questions that somebody asked, and what has come of them.

use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_overlay::records::{Body, InfoHash, Record};
use althing_overlay::wire::Message;
use std::collections::HashMap;

/// Something that was looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FindId(usize);

/// What has come of it.
#[derive(Clone, Debug)]
pub struct Find {
    /// Who asks.
    pub by: NodeIndex,
    /// When he began.
    pub at: Instant,
    /// What he means by the words.
    meant: InfoHash,
    /// When it was found, and who has it, if he is known.
    found: Option<(Instant, Option<NodeIndex>)>,
    /// Answers that name something else.
    pub wrong: u32,
    /// When nobody was asked any more.
    pub ended: Option<Instant>,
    /// Messages that it has caused, answers and those of the DHT included.
    pub messages: u64,
    /// Those of them that were of the DHT.
    pub lookup: u64,
    /// Their bytes, without what a link adds.
    pub bytes: u64,
    kind: usize,
    /// Links that it crossed to come to some.
    links: HashMap<NodeIndex, u8>,
}

impl Find {
    /// How long it took to the first answer that names what is meant.
    pub fn took(&self) -> Option<Duration> {
        self.found.map(|(at, _)| at.since(self.at))
    }

    /// How many links the question crossed to who has what is meant, if it came to him on links.
    pub fn crossed(&self) -> Option<u8> {
        let (_, who) = self.found?;
        self.links.get(&who?).copied()
    }

    /// The same question, with what is known of it among more nodes.
    pub(super) fn with(mut self, other: &Find) -> Find {
        self.found = self.found.or(other.found);
        self.ended = self.ended.or(other.ended);
        self.wrong += other.wrong;
        self.messages += other.messages;
        self.lookup += other.lookup;
        self.bytes += other.bytes;
        for (node, links) in &other.links {
            let here = self.links.entry(*node).or_insert(u8::MAX);
            *here = (*here).min(*links);
        }
        self
    }
}

/// All of them, and what is known of them among some of the nodes.
#[derive(Default)]
pub(super) struct Finds {
    finds: Vec<Find>,
    by_id: HashMap<u64, FindId>,
    load: Vec<u64>,
    kind: usize,
    /// Messages that each node got, by kind of question.
    by_kind: Vec<Vec<u64>>,
}

impl Finds {
    pub(super) fn add(&mut self, id: u64, by: NodeIndex, at: Instant, meant: InfoHash) -> FindId {
        let find = FindId(self.finds.len());
        self.finds.push(Find {
            by,
            at,
            meant,
            found: None,
            wrong: 0,
            ended: None,
            messages: 0,
            lookup: 0,
            bytes: 0,
            kind: self.kind,
            links: HashMap::from([(by, 0)]),
        });
        self.by_id.insert(id, find);
        find
    }

    pub(super) fn find(&self, id: FindId) -> &Find {
        &self.finds[id.0]
    }

    fn by_id(&mut self, id: u64) -> Option<&mut Find> {
        self.by_id.get(&id).map(|id| &mut self.finds[id.0])
    }

    pub(super) fn begin_kind(&mut self, kind: usize) {
        self.kind = kind;
    }

    /// Messages of questions of a kind to a node.
    pub(super) fn of_kind(&self, kind: usize, at: NodeIndex) -> u64 {
        self.by_kind.get(kind).and_then(|load| load.get(at.index())).copied().unwrap_or(0)
    }

    pub(super) fn forget_load(&mut self) {
        self.by_kind.clear();
    }

    /// An answer has come to who asks, from a node if it is known.
    pub(super) fn found(&mut self, id: u64, at: Instant, from: Option<NodeIndex>, record: &Record) {
        let Some(find) = self.by_id(id) else { return };
        let Body::Listing(listing) = record.body() else { return };
        if listing.info_hash() != find.meant {
            find.wrong += 1;
        } else if find.found.is_none() {
            find.found = Some((at, from));
        }
    }

    pub(super) fn searched(&mut self, id: u64, at: Instant) {
        if let Some(find) = self.by_id(id) {
            find.ended = Some(at);
        }
    }

    /// A question, or an answer to it, goes from somebody to somebody else. How many links it will have crossed
    /// there, if it is known of somebody's question.
    pub(super) fn sent(
        &mut self,
        id: u64,
        from: NodeIndex,
        to: NodeIndex,
        message: &Message,
    ) -> Option<u8> {
        add(&mut self.load, to.index());
        let find = self.by_id(id)?;
        find.messages += 1;
        find.bytes += message.encoded_len() as u64;
        let is_question = matches!(message, Message::Query(_));
        let links = find.links.get(&from).filter(|_| is_question).copied();
        let kind = find.kind;
        self.count(kind, to);
        links.map(|links| links.saturating_add(1))
    }

    /// A question comes to somebody, over so many links.
    pub(super) fn comes(&mut self, id: u64, to: NodeIndex, crossed: u8) {
        if let Some(find) = self.by_id(id) {
            let here = find.links.entry(to).or_insert(u8::MAX);
            *here = (*here).min(crossed);
        }
    }

    /// A lookup in the DHT for a question has caused a message.
    pub(super) fn looked_up(&mut self, id: u64, to: NodeIndex, bytes: usize) {
        let Some(find) = self.by_id(id) else { return };
        find.messages += 1;
        find.lookup += 1;
        find.bytes += bytes as u64;
        let kind = find.kind;
        self.count(kind, to);
    }

    fn count(&mut self, kind: usize, to: NodeIndex) {
        if self.by_kind.len() <= kind {
            self.by_kind.resize_with(kind + 1, Vec::new);
        }
        add(&mut self.by_kind[kind], to.index());
    }

    pub(super) fn load(&self, at: NodeIndex) -> u64 {
        self.load.get(at.index()).copied().unwrap_or(0)
    }
}

/// Counts one more in a list that is as long as it has to be.
fn add(counts: &mut Vec<u64>, at: usize) {
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    counts[at] += 1;
}
