//! How a record reaches everybody: Plumtree (Leitão, Pereira and Rodrigues, SRDS 2007), changed so that
//! the first record, too, comes to each node once.
//!
//! Links to neighbours are eager or lazy. A record goes along eager links at once, and its id along the
//! lazy ones; who hears of an id and does not get the record asks for it, and the link becomes eager. Who
//! gets a record twice makes the second link lazy. So the eager links become a tree, and the others mend
//! it.
//!
//! Where the paper begins with all links eager, so that the first record crosses every one of them, here
//! they begin lazy, and a node that the tree does not reach asks at once rather than after a
//! while: the first record travels as fast as three messages can and grows the tree. The paper compares
//! hops to find shorter branches; here times are compared, which need not be believed.
//!
//! What is remembered: the ids of what is missing, what was refused, and nothing else, for what is held
//! is on the shelf.

pub mod limits;
#[cfg(test)]
mod tests;

use crate::io::LinkId;
use crate::linked::Linked;
use crate::records::RecordId;
use crate::sink::Sink;
use crate::wire::limits::{ANNOUNCED_MAX, ASKED_MAX};
use crate::wire::{Announced, Message};
use althing_base::machine::is_due;
use althing_base::{Instant, TokenBucket};
use bytes::Bytes;
use limits::{
    ANNOUNCE_EVERY, ANSWER_TIMEOUT, GRAFTS_PER_S, HOPS_KNOWN_MAX, MISSING_MAX,
    MISSING_PER_LINK_MAX, PATIENCE, REFUSED_MAX, SERVED_BYTES_PER_S, SOURCES_MAX, SWAP_AFTER,
};
use std::collections::{BTreeMap, VecDeque};

/// The tree, as one node sees it. See the [module](self).
#[derive(Debug)]
pub(crate) struct Broadcast {
    sides: Linked<Side>,
    missing: BTreeMap<RecordId, Missing>,
    /// The earliest of all that is missing; maybe earlier than that.
    missing_due: Option<Instant>,
    /// When something is to be announced; maybe earlier than that.
    announce_due: Option<Instant>,
    /// An eager link has gone, maybe the one by which records came.
    is_orphan: bool,
    refused: VecDeque<RecordId>,
    hops: VecDeque<(RecordId, u8)>,
}

/// A neighbour.
#[derive(Debug)]
struct Side {
    link: LinkId,
    is_eager: bool,
    /// What is to be announced.
    queue: Vec<Announced>,
    /// When something may be announced again.
    next_announce: Instant,
    /// Records that are missing and that it was the first to announce.
    missing: usize,
    /// Apart, because all neighbours are looked at with each record, and this only when one asks.
    rates: Box<Rates>,
}

/// How much a neighbour may ask for.
#[derive(Debug)]
struct Rates {
    grafts: TokenBucket,
    served: TokenBucket,
}

/// A record that was announced and is not here.
#[derive(Debug)]
struct Missing {
    heard: Instant,
    first: LinkId,
    /// Who else has it. The first of all who are not asked yet is asked next.
    sources: Vec<LinkId>,
    asked: Option<LinkId>,
    /// When somebody is asked.
    due: Instant,
}

impl Broadcast {
    pub(crate) fn new() -> Self {
        Broadcast {
            sides: Linked::default(),
            missing: BTreeMap::new(),
            missing_due: None,
            announce_due: None,
            is_orphan: false,
            refused: VecDeque::new(),
            hops: VecDeque::new(),
        }
    }

    /// Links along which records are sent and those along which they are announced.
    pub(crate) fn links(&self) -> (usize, usize) {
        let eager = self.sides.iter().filter(|side| side.is_eager).count();
        (eager, self.sides.len() - eager)
    }

    /// Records that were announced and are not here.
    pub(crate) fn missing(&self) -> usize {
        self.missing.len()
    }

    fn side(&mut self, link: LinkId) -> Option<&mut Side> {
        let at = self.sides.position(link)?;
        self.sides.get_mut(at)
    }

    /// Somebody is a neighbour now.
    pub(crate) fn up(&mut self, now: Instant, link: LinkId) {
        let side = Side {
            link,
            is_eager: false,
            queue: Vec::new(),
            next_announce: now,
            missing: 0,
            rates: Box::new(Rates {
                grafts: TokenBucket::new(now, GRAFTS_PER_S.0, GRAFTS_PER_S.1),
                served: TokenBucket::new(now, SERVED_BYTES_PER_S.0, SERVED_BYTES_PER_S.1),
            }),
        };
        self.sides.push(link, side);
    }

    /// Somebody is a neighbour no longer.
    pub(crate) fn down(&mut self, now: Instant, link: LinkId) {
        let Some(at) = self.sides.position(link) else { return };
        let side = self.sides.swap_remove(at);
        self.is_orphan |= side.is_eager;
        for missing in self.missing.values_mut() {
            missing.sources.retain(|source| *source != link);
            // Asked for there, or waited for along a branch that is gone.
            let is_vain = missing.asked == Some(link);
            if is_vain || side.is_eager && missing.asked.is_none() {
                missing.asked = None;
                missing.due = missing.due.min(now);
                self.missing_due = Some(now);
            }
        }
    }

    /// A record that is new here is told to the others. `from` is nobody if it is our own or was
    /// fetched by reconciliation: then it says nothing about the tree.
    pub(crate) fn received(
        &mut self,
        now: Instant,
        from: Option<LinkId>,
        (id, hops, record): (RecordId, u8, &Bytes),
        sink: &mut Sink,
    ) {
        let missing = self.take_missing(&id);
        if let Some(from) = from {
            self.is_orphan = false;
            if let Some(side) = self.side(from) {
                side.is_eager = true;
            }
            if let Some(missing) = &missing {
                self.shorten(now, from, missing, sink);
            }
        }
        if self.hops.len() == HOPS_KNOWN_MAX {
            self.hops.pop_front();
        }
        self.hops.push_back((id, hops));
        let has_it = |link: LinkId| {
            let others = missing.as_ref();
            from == Some(link)
                || others.is_some_and(|m| m.first == link || m.sources.contains(&link))
        };
        for side in self.sides.iter_mut() {
            if has_it(side.link) {
                continue;
            }
            if side.is_eager {
                let hops = hops.saturating_add(1);
                sink.send(side.link, Message::Gossip { hops, record: record.clone() });
            } else {
                let due = side.announce(now, Announced { id, hops }, sink);
                self.announce_due = self.announce_due.into_iter().chain(due).min();
            }
        }
    }

    /// If somebody had announced the record long before it came, it is to come from there.
    fn shorten(&mut self, now: Instant, from: LinkId, missing: &Missing, sink: &mut Sink) {
        let first = missing.first;
        if missing.asked.is_some() || first == from || now.since(missing.heard) < SWAP_AFTER {
            return;
        }
        let Some(nearer) = self.side(first) else { return };
        nearer.is_eager = true;
        sink.send(first, Message::Graft(Vec::new()));
        if let Some(farther) = self.side(from) {
            farther.is_eager = false;
            sink.send(from, Message::Prune);
        }
    }

    /// A record has come along the tree that was here already.
    pub(crate) fn duplicate(&mut self, link: LinkId, sink: &mut Sink) {
        if let Some(side) = self.side(link) {
            side.is_eager = false;
            sink.send(link, Message::Prune);
        }
    }

    /// A record is not wanted, whoever has it.
    pub(crate) fn refuse(&mut self, id: RecordId) {
        self.take_missing(&id);
        if self.refused.len() == REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back(id);
    }

    fn take_missing(&mut self, id: &RecordId) -> Option<Missing> {
        if self.missing.is_empty() {
            return None;
        }
        let missing = self.missing.remove(id)?;
        if let Some(side) = self.side(missing.first) {
            side.missing = side.missing.saturating_sub(1);
        }
        if self.missing.is_empty() {
            self.missing_due = None;
        }
        Some(missing)
    }

    /// A neighbour has records.
    pub(crate) fn announced(
        &mut self,
        now: Instant,
        link: LinkId,
        announced: &[Announced],
        holds: impl Fn(&RecordId) -> bool,
        sink: &mut Sink,
    ) {
        let Some(at) = self.sides.position(link) else { return };
        let mut wanted = Vec::new();
        for Announced { id, .. } in announced {
            if holds(id) {
                // It need not be told.
                self.sides[at].queue.retain(|queued| queued.id != *id);
                continue;
            }
            if let Some(missing) = self.missing.get_mut(id) {
                let is_known = missing.first == link || missing.sources.contains(&link);
                if !is_known && missing.sources.len() < SOURCES_MAX {
                    missing.sources.push(link);
                }
                continue;
            }
            let is_full = self.missing.len() >= MISSING_MAX || self.refused.contains(id);
            // A node that the tree does not reach has nothing to wait for.
            let is_reached = !self.is_orphan && self.sides.iter().any(|side| side.is_eager);
            let side = &mut self.sides[at];
            if is_full || side.missing >= MISSING_PER_LINK_MAX {
                continue;
            }
            side.missing += 1;
            let mut missing = Missing {
                heard: now,
                first: link,
                sources: vec![link],
                asked: None,
                due: now + PATIENCE,
            };
            if !is_reached || !wanted.is_empty() {
                missing.asked = Some(link);
                missing.sources.clear();
                missing.due = now + ANSWER_TIMEOUT;
                wanted.push(*id);
                side.is_eager = true;
                self.is_orphan = false;
            }
            self.missing_due =
                Some(self.missing_due.map_or(missing.due, |due| due.min(missing.due)));
            self.missing.insert(*id, missing);
        }
        if !wanted.is_empty() {
            sink.send(link, Message::Graft(wanted));
        }
    }

    /// A neighbour wants records now, and all that is new later.
    pub(crate) fn grafted(
        &mut self,
        now: Instant,
        link: LinkId,
        ids: &[RecordId],
        get: impl Fn(&RecordId) -> Option<Bytes>,
        sink: &mut Sink,
    ) {
        let Some(at) = self.sides.position(link) else { return };
        let side = &mut self.sides[at];
        if !side.rates.grafts.take(now, 1) {
            return;
        }
        side.is_eager = true;
        for id in ids {
            let Some(record) = get(id) else { continue };
            if !side.rates.served.take(now, record.len() as u64) {
                return;
            }
            let hops = self.hops.iter().find(|(known, _)| known == id).map_or(0, |(_, hops)| *hops);
            sink.send(link, Message::Gossip { hops: hops.saturating_add(1), record });
        }
    }

    /// A neighbour wants ids only.
    pub(crate) fn pruned(&mut self, link: LinkId) {
        if let Some(side) = self.side(link) {
            side.is_eager = false;
        }
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.announce_due.into_iter().chain(self.missing_due).min()
    }

    /// Announces and asks for what is due. Says who has not answered.
    pub(crate) fn timeout(&mut self, now: Instant, sink: &mut Sink) -> Vec<LinkId> {
        if is_due(now, self.announce_due) {
            self.announce_due = None;
            for side in self.sides.iter_mut().filter(|side| !side.queue.is_empty()) {
                if side.next_announce <= now {
                    side.flush(now, sink);
                } else {
                    let due = Some(side.next_announce);
                    self.announce_due = self.announce_due.into_iter().chain(due).min();
                }
            }
        }
        if self.missing_due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut silent = Vec::new();
        let mut wanted: BTreeMap<LinkId, Vec<RecordId>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (id, missing) in &mut self.missing {
            if missing.due > now {
                continue;
            }
            silent.extend(missing.asked.take());
            if missing.sources.is_empty() {
                // Reconciliation will bring it, if it is anywhere.
                lost.push(*id);
                continue;
            }
            let source = missing.sources.remove(0);
            missing.asked = Some(source);
            missing.due = now + ANSWER_TIMEOUT;
            wanted.entry(source).or_default().push(*id);
        }
        for id in lost {
            self.take_missing(&id);
        }
        for (link, ids) in wanted {
            if let Some(side) = self.side(link) {
                side.is_eager = true;
                self.is_orphan = false;
                for ids in ids.chunks(ASKED_MAX) {
                    sink.send(link, Message::Graft(ids.to_vec()));
                }
            }
        }
        self.missing_due = self.missing.values().map(|missing| missing.due).min();
        silent
    }
}

impl Side {
    /// Says that a record is here: at once, if nothing was said lately; else says when it will.
    fn announce(&mut self, now: Instant, what: Announced, sink: &mut Sink) -> Option<Instant> {
        self.queue.push(what);
        if self.next_announce <= now || self.queue.len() == ANNOUNCED_MAX {
            self.flush(now, sink);
            return None;
        }
        Some(self.next_announce)
    }

    fn flush(&mut self, now: Instant, sink: &mut Sink) {
        self.next_announce = now + ANNOUNCE_EVERY;
        sink.send(self.link, Message::IHave(std::mem::take(&mut self.queue)));
    }
}
