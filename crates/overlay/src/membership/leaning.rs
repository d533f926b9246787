//! Peers that index for others (super-peers): who leans on whom.
//!
//! Anybody may index for others; his greeting says so. Whoever does not leans on a few of them, on links of
//! their own beside those to neighbours, and those who do lean on each other. They are found by asking
//! neighbours whom they know: a node names those with whom it has a link itself, so that nobody is named who
//! is not there. As with neighbours, nobody is called faster than at a rate because somebody says so.

use super::calls::Purpose;
use super::limits::{
    LEAN_FIRST, LEAN_MAX, LEAVES_MAX, MESH_MAX, MESH_WANTED, REFUSED_WAIT, RETRY_FIRST,
    SUPERS_KNOWN_MAX, SUPERS_WANTED,
};
use super::peer::{Peer, Stage};
use super::{Membership, subnet};
use crate::id::Contact;
use crate::io::{CloseReason, LinkId};
use crate::search::Role;
use crate::sink::{Change, Sink};
use crate::wire::Message;
use crate::wire::limits::SHUFFLE_CONTACTS_MAX;
use althing_base::Instant;
use althing_base::time::Duration;
use std::net::SocketAddr;

/// Who indexes for others, as far as we know, and when we look for more of them.
#[derive(Debug)]
pub(super) struct Leaning {
    /// And when each may be called.
    known: Vec<(Contact, Instant)>,
    /// Whom we have asked for others.
    asked: Option<LinkId>,
    next: Option<Instant>,
    wait: Duration,
}

impl Leaning {
    pub(super) fn new(now: Instant, unit: f64) -> Self {
        let next = Some(now + LEAN_FIRST.mul_f64(1.0 + unit));
        Leaning { known: Vec::new(), asked: None, next, wait: LEAN_FIRST }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Somebody there did not answer, or does not index.
    pub(super) fn forget(&mut self, addr: SocketAddr) {
        self.known.retain(|(known, _)| known.addr != addr);
    }

    fn let_be(&mut self, addr: SocketAddr, until: Instant) {
        if let Some((_, not_before)) = self.known.iter_mut().find(|(known, _)| known.addr == addr) {
            *not_before = until;
        }
    }

    /// One more is wanted, soon.
    fn hurry(&mut self, now: Instant) {
        self.wait = LEAN_FIRST;
        self.next = Some(now);
    }
}

impl Membership {
    /// Whether we ask a peer because it indexes for us.
    pub(crate) fn is_leaning(&self, link: LinkId) -> bool {
        self.position(link).is_some_and(|at| self.peers[at].stage == Stage::Leaning)
    }

    /// Somebody indexes for others, says he himself or somebody else.
    pub(super) fn hear_of_super(&mut self, now: Instant, contact: Contact) {
        let is_known = self.leaning.known.iter().any(|(known, _)| known.node == contact.node);
        if is_known || contact.node == self.me {
            return;
        }
        if self.leaning.known.len() >= SUPERS_KNOWN_MAX {
            let at = self.rng.index(self.leaning.known.len());
            self.leaning.known.swap_remove(at);
        }
        self.leaning.known.push((contact, now));
        if let Some(next) = &mut self.leaning.next {
            *next = (*next).min(now + LEAN_FIRST);
        }
    }

    /// Calls somebody who indexes, if one more is wanted, or asks a neighbour who does.
    pub(super) fn lean(&mut self, now: Instant, sink: &mut Sink) {
        let wanted = if self.hello.is_super { MESH_WANTED } else { SUPERS_WANTED };
        let leans = |peer: &&Peer| matches!(peer.stage, Stage::Leaning | Stage::Bidding);
        let have = self.peers.iter().filter(leans).count() + self.calls.count(Purpose::Lean);
        if have >= wanted {
            self.leaning.next = None;
            return;
        }
        let mut ready: Vec<Contact> = self
            .leaning
            .known
            .iter()
            .filter(|(known, at)| *at <= now && !self.peers.iter().any(|p| p.node == known.node))
            .filter(|(known, _)| !self.calls.is_calling(known.addr))
            .map(|(known, _)| *known)
            .collect();
        self.rng.shuffle(&mut ready);
        let mut called = 0;
        for Contact { node, addr } in ready.into_iter().take(wanted - have) {
            called += usize::from(self.dial(now, addr, Some(node), Purpose::Lean, sink));
        }
        if called == 0 {
            // Those on whom we lean know others, but always of the same; neighbours know any.
            let leaning = self.peers.iter().filter(|peer| peer.stage == Stage::Leaning);
            let links: Vec<_> = leaning.map(|peer| peer.link).collect();
            let of_them = self.rng.chance(0.5).then(|| self.rng.choose(&links).copied()).flatten();
            self.leaning.asked = of_them.or_else(|| self.any_neighbour());
            if let Some(link) = self.leaning.asked {
                sink.send(link, Message::WhoIndexes);
            }
            self.leaning.wait = (self.leaning.wait * 2).min(LEAN_MAX);
        }
        let wait = self.leaning.wait.mul_f64(0.75 + self.rng.unit() / 2.0);
        self.leaning.next = Some(now + wait);
    }

    /// A neighbour wants to know who indexes for others.
    pub(super) fn who_indexes(&mut self, now: Instant, at: usize, sink: &mut Sink) {
        let peer = &mut self.peers[at];
        let link = peer.link;
        if !peer.is_watched() || !peer.walks.take(now, 1) {
            return;
        }
        let is_super = |peer: &&Peer| {
            peer.link != link && peer.is_watched() && peer.hello.is_some_and(|h| h.is_super)
        };
        let mut contacts: Vec<_> =
            self.peers.iter().filter(is_super).filter_map(Peer::contact).collect();
        self.rng.shuffle(&mut contacts);
        contacts.truncate(SHUFFLE_CONTACTS_MAX);
        sink.send(link, Message::Indexers(contacts));
    }

    /// Who indexes for others, says whom we have asked.
    pub(super) fn indexers(
        &mut self,
        now: Instant,
        at: usize,
        contacts: &[Contact],
        sink: &mut Sink,
    ) {
        let (link, teller) = (self.peers[at].link, self.peers[at].addr);
        if self.leaning.asked.take_if(|asked| *asked == link).is_none() {
            return;
        }
        for contact in contacts {
            if subnet::may_tell(&teller, &contact.addr) {
                self.hear_of_super(now, *contact);
            }
        }
        if !contacts.is_empty() && self.leaning.next.is_some() {
            self.lean(now, sink);
        }
    }

    /// Somebody wants us to index for him, or to be asked by us in turn if he indexes, too.
    pub(super) fn leaned_on(&mut self, at: usize, sink: &mut Sink) {
        let peer = &self.peers[at];
        let Some(hello) = peer.hello else { return };
        if peer.outgoing || peer.stage != Stage::Greeting {
            return;
        }
        let of_his = |other: &&Peer| {
            other.stage == Stage::Serving
                && other.hello.is_some_and(|other| other.is_super == hello.is_super)
        };
        let most = if hello.is_super { MESH_MAX } else { LEAVES_MAX };
        let yes = self.hello.is_super && self.peers.iter().filter(of_his).count() < most;
        let link = peer.link;
        sink.send(link, Message::NeighbourReply { yes });
        if yes {
            self.peers[at].stage = Stage::Serving;
            let role = if hello.is_super { Role::Mesh } else { Role::Leaf };
            sink.changes.push(Change::Leans { link, role });
        }
    }

    /// Whom we want to lean on has answered.
    pub(super) fn may_lean(&mut self, now: Instant, at: usize, yes: bool, sink: &mut Sink) {
        let peer = &mut self.peers[at];
        let addr = peer.addr;
        if yes && peer.hello.is_some_and(|hello| hello.is_super) {
            peer.stage = Stage::Leaning;
            let role = if self.hello.is_super { Role::Mesh } else { Role::Index };
            sink.changes.push(Change::Leans { link: peer.link, role });
            self.watch(at);
        } else {
            self.close(now, at, CloseReason::Refused, sink);
            self.leaning.let_be(addr, now + REFUSED_WAIT);
        }
        self.lean(now, sink);
    }

    /// A link is gone: if we leaned on its peer, or wanted to, somebody else is looked for.
    pub(super) fn leans_no_longer(&mut self, now: Instant, peer: &Peer) {
        if matches!(peer.stage, Stage::Leaning | Stage::Bidding) {
            self.leaning.let_be(peer.addr, now + RETRY_FIRST);
            self.leaning.hurry(now);
        }
    }
}
