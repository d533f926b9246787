//! What walks through the network: news of newcomers, and exchanges of addresses.

use super::limits::{
    JOIN_NOTED_AT, JOIN_STEPS, JOIN_WALKS, SHUFFLE_EVERY, SHUFFLE_NAMES, SHUFFLE_STEPS,
    VISIT_ONE_OF, WAY_BACK, WAYS_BACK_MAX,
};
use super::peer::Peer;
use super::{Membership, Stage};
use crate::id::Contact;
use crate::io::LinkId;
use crate::sink::Sink;
use crate::wire::Message;
use crate::wire::limits::SHUFFLE_CONTACTS_MAX;
use althing_base::{Instant, Rng};
use std::collections::VecDeque;

/// A shuffle that went through here.
#[derive(Clone, Copy, Debug)]
struct WayBack {
    token: u64,
    /// Where it came from; nowhere if it began here.
    from: Option<LinkId>,
    to: LinkId,
    until: Instant,
}

/// Ways back, and when to begin the next walk.
#[derive(Debug)]
pub(super) struct Walks {
    back: VecDeque<WayBack>,
    next: Instant,
}

impl Walks {
    pub(super) fn new(now: Instant, rng: &mut Rng) -> Self {
        // Those who start together need not wander together.
        Walks { back: VecDeque::new(), next: now + SHUFFLE_EVERY.mul_f64(rng.unit()) }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.next)
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.back.retain(|way| way.to != link && way.from != Some(link));
    }

    fn note(&mut self, now: Instant, token: u64, from: Option<LinkId>, to: LinkId) {
        while self.back.front().is_some_and(|way| way.until <= now)
            || self.back.len() >= WAYS_BACK_MAX
        {
            self.back.pop_front();
        }
        self.back.push_back(WayBack { token, from, to, until: now + WAY_BACK });
    }

    /// The way on which an answer came that was asked for there.
    fn take(&mut self, now: Instant, token: u64, to: LinkId) -> Option<WayBack> {
        let at = self.back.iter().position(|way| way.token == token && way.to == to)?;
        self.back.remove(at).filter(|way| way.until > now)
    }
}

impl Membership {
    /// Begins a shuffle, or a visit.
    pub(super) fn wander(&mut self, now: Instant, sink: &mut Sink) {
        self.walks.next = now + SHUFFLE_EVERY.mul_f64(0.5 + self.rng.unit());
        self.trim(now, sink);
        if self.rng.below(VISIT_ONE_OF) == 0 {
            self.visit(now, sink);
        } else if let Some(link) = self.any_neighbour() {
            self.shuffle_with(now, link, SHUFFLE_STEPS, sink);
        }
    }

    /// Tells a peer of some others, for some in return.
    pub(super) fn shuffle_with(&mut self, now: Instant, link: LinkId, ttl: u8, sink: &mut Sink) {
        // Zero is said to newcomers.
        let token = self.rng.next_u64().max(1);
        let contacts = self.names(link, SHUFFLE_NAMES.0 + SHUFFLE_NAMES.1);
        self.walks.note(now, token, None, link);
        sink.send(link, Message::Shuffle { token, ttl, contacts });
    }

    /// Some neighbours and other known peers, to tell the peer of.
    fn names(&mut self, link: LinkId, count: usize) -> Vec<Contact> {
        let count = count.min(SHUFFLE_CONTACTS_MAX);
        let mut names: Vec<Contact> = self
            .peers
            .iter()
            .filter(|peer| peer.is_sure() && peer.link != link)
            .filter_map(Peer::contact)
            .collect();
        self.rng.shuffle(&mut names);
        names.truncate(SHUFFLE_NAMES.0);
        names.extend(self.passive.sample(&mut self.rng, count.saturating_sub(names.len())));
        names
    }

    /// A shuffle has come.
    pub(super) fn shuffled(
        &mut self,
        now: Instant,
        at: usize,
        (token, ttl): (u64, u8),
        contacts: Vec<Contact>,
        sink: &mut Sink,
    ) {
        let peer = &mut self.peers[at];
        let (link, teller) = (peer.link, peer.addr);
        if !peer.walks.take(now, 1) {
            return;
        }
        if peer.stage == Stage::Greeting {
            peer.stage = Stage::Visiting;
        }
        if ttl > 0 && self.peers[at].is_active() {
            let next = self.some_neighbour(|peer| peer.link != link);
            if let Some(next) = next {
                self.walks.note(now, token, Some(link), next);
                sink.send(next, Message::Shuffle { token, ttl: ttl - 1, contacts });
                return;
            }
        }
        // As many as were told: nobody gets more out of us than he puts in, but for three.
        let answer = self.names(link, contacts.len().max(SHUFFLE_NAMES.0));
        sink.send(link, Message::ShuffleReply { token, contacts: answer });
        contacts.into_iter().for_each(|contact| self.told(teller, contact));
    }

    /// An answer has come to a shuffle that went through here, or to our wish to join.
    pub(super) fn shuffle_answered(
        &mut self,
        now: Instant,
        at: usize,
        token: u64,
        contacts: Vec<Contact>,
        sink: &mut Sink,
    ) {
        let peer = &mut self.peers[at];
        let (link, teller) = (peer.link, peer.addr);
        if token == 0 {
            if peer.outgoing && !std::mem::replace(&mut peer.introduced, true) {
                contacts.into_iter().for_each(|contact| self.told(teller, contact));
            }
            return;
        }
        match self.walks.take(now, token, link) {
            None => {}
            Some(WayBack { from: Some(from), .. }) => {
                sink.send(from, Message::ShuffleReply { token, contacts });
            }
            Some(WayBack { from: None, .. }) => {
                contacts.into_iter().for_each(|contact| self.told(teller, contact));
            }
        }
    }

    /// Tells somebody who joins of others, and others of him.
    pub(super) fn introduce(&mut self, now: Instant, at: usize, sink: &mut Sink) {
        let peer = &mut self.peers[at];
        peer.introduced = true;
        let (link, contact) = (peer.link, peer.contact());
        let contacts = self.names(link, SHUFFLE_CONTACTS_MAX);
        sink.send(link, Message::ShuffleReply { token: 0, contacts });
        let Some(contact) = contact else { return };
        if !self.joins.take(now, 1) {
            return;
        }
        let mut first = None;
        for _ in 0..JOIN_WALKS {
            let Some(next) = self.some_neighbour(|peer| Some(peer.link) != first) else { break };
            first = Some(next);
            let contact = Box::new(contact);
            sink.send(next, Message::ForwardJoin { contact, ttl: JOIN_STEPS - 1 });
        }
    }

    /// Somebody has joined, says a neighbour.
    pub(super) fn newcomer(
        &mut self,
        now: Instant,
        at: usize,
        contact: &Contact,
        ttl: u8,
        sink: &mut Sink,
    ) {
        let peer = &mut self.peers[at];
        let (link, teller) = (peer.link, peer.addr);
        if !peer.is_active() || !peer.walks.take(now, 1) {
            return;
        }
        let next = if ttl == 0 { None } else { self.some_neighbour(|peer| peer.link != link) };
        if ttl == JOIN_NOTED_AT || next.is_none() {
            self.told(teller, *contact);
        }
        if let Some(next) = next {
            let contact = Box::new(*contact);
            sink.send(next, Message::ForwardJoin { contact, ttl: ttl - 1 });
        }
    }
}
