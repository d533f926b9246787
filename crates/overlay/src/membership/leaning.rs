//! Peers that index for others (super-peers): who leans on whom.
//!
//! Anybody may index for others; his greeting says so. Whoever does not leans on a few of them, on links of
//! their own beside those to neighbours, and those who do lean on each other. They are found by asking
//! neighbours whom they know: a node names those with whom it has a link itself, so that nobody is named who
//! is not there. As with neighbours, nobody is called faster than at a rate because somebody says so.
//!
//! Who indexes says for how many it does. Who looks for somebody to lean on takes the one with fewer of two; who indexes and
//! has clearly more than others of whom it knows refuses those who lean on others already, and says who has
//! fewer. Who leans on nobody is taken as long as there is a place, and if there is none somebody else gives way who leans
//! on others: so all have one before any has three, however few are left.

use super::calls::Purpose;
use super::limits::{
    ASK_ONE_FROM, LEAN_FIRST, LEAN_MAX, LEAVES_KEPT, LEAVES_MAX, LET_GO_AT_ONCE, LOAD_EVERY,
    LOAD_PERCENT, LOAD_PERCENT_MAX, LOAD_SLACK, MESH_MAX, MESH_WANTED, REFUSED_WAIT, RETRY_FIRST,
    SUPERS_KNOWN_MAX, SUPERS_WANTED,
};
use super::mesh::Mesh;
use super::peer::{Peer, Stage};
use super::{Membership, subnet};
use crate::id::{Contact, NodeId};
use crate::io::{CloseReason, LinkId};
use crate::search::Role;
use crate::sink::{Change, Sink};
use crate::wire::limits::{LEANS_MAX, SHUFFLE_CONTACTS_MAX};
use crate::wire::{Indexer, Message};
use althing_base::Instant;
use althing_base::machine::is_due;
use althing_base::time::Duration;
use std::net::SocketAddr;

/// Somebody who indexes.
#[derive(Clone, Copy, Debug)]
struct Known {
    contact: Contact,
    /// How many lean on him, as was last said.
    leaves: Option<u16>,
    /// When he may be called.
    not_before: Instant,
}

/// Who indexes for others, as far as we know, and when we look for more of them.
#[derive(Debug)]
pub(super) struct Leaning {
    known: Vec<Known>,
    /// Whom we have asked for others.
    asked: Vec<LinkId>,
    next: Option<Instant>,
    wait: Duration,
    /// When it is looked at how many lean on us, and how many we have told others of.
    load_at: Option<Instant>,
    told: usize,
    pub(super) mesh: Mesh,
}

impl Leaning {
    pub(super) fn new(now: Instant, unit: f64, is_super: bool) -> Self {
        let next = Some(now + LEAN_FIRST.mul_f64(1.0 + unit));
        let load_at = is_super.then(|| now + LOAD_EVERY.mul_f64(1.0 + unit));
        let mesh = Mesh::new(now, unit, is_super);
        Leaning {
            known: Vec::new(),
            asked: Vec::new(),
            next,
            wait: LEAN_FIRST,
            load_at,
            told: 0,
            mesh,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.load_at).chain(self.mesh.deadline()).min()
    }

    /// Somebody there did not answer, or does not index.
    pub(super) fn forget(&mut self, addr: SocketAddr) {
        self.known.retain(|known| known.contact.addr != addr);
    }

    pub(super) fn let_be(&mut self, addr: SocketAddr, until: Instant) {
        if let Some(known) = self.known.iter_mut().find(|known| known.contact.addr == addr) {
            known.not_before = until;
        }
    }

    /// One more is wanted, soon.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.wait = LEAN_FIRST;
        self.next = Some(now);
    }
}

impl Membership {
    /// Whether we ask a peer because it indexes for us.
    pub(crate) fn is_leaning(&self, link: LinkId) -> bool {
        self.position(link).is_some_and(|at| self.peers[at].stage == Stage::Leaning)
    }

    /// On how many of those who index we lean, or may soon, as far as they answer.
    pub(super) fn leans_on(&self) -> u8 {
        let leans = |peer: &&Peer| {
            matches!(peer.stage, Stage::Leaning | Stage::Bidding) && !peer.is_doubted()
        };
        let count = self.peers.iter().filter(leans).count();
        u8::try_from(count).unwrap_or(LEANS_MAX).min(LEANS_MAX)
    }

    /// Tells those on whom we lean on how many others we do, if that has changed.
    fn tell_others(&mut self, sink: &mut Sink) {
        let others = self.leans_on().saturating_sub(1);
        let leaning = self.peers.iter_mut().filter(|peer| peer.stage == Stage::Leaning);
        for peer in leaning.filter(|peer| peer.others != others) {
            peer.others = others;
            sink.send(peer.link, Message::Lean { others });
        }
    }

    /// Somebody indexes for others, says he himself or somebody else, and how many lean on him if that is said.
    pub(super) fn hear_of_super(&mut self, now: Instant, contact: Contact, leaves: Option<u16>) {
        let known = &mut self.leaning.known;
        if let Some(known) = known.iter_mut().find(|known| known.contact.node == contact.node) {
            known.leaves = leaves.or(known.leaves);
            return;
        }
        if contact.node == self.me {
            return;
        }
        if known.len() >= SUPERS_KNOWN_MAX {
            let at = self.rng.index(known.len());
            known.swap_remove(at);
        }
        known.push(Known { contact, leaves, not_before: now });
        if let Some(next) = &mut self.leaning.next {
            *next = (*next).min(now + LEAN_FIRST);
        }
    }

    /// Does what is due.
    pub(super) fn lean_on_time(&mut self, now: Instant, sink: &mut Sink) {
        if is_due(now, self.leaning.next) {
            self.lean(now, sink);
        }
        if is_due(now, self.leaning.load_at) {
            self.leaning.load_at = Some(now + LOAD_EVERY.mul_f64(0.75 + self.rng.unit() / 2.0));
            self.tell_load(now, sink);
        }
        self.mix_on_time(now, sink);
    }

    /// Calls somebody who indexes, if one more is wanted, or asks a neighbour who does.
    pub(super) fn lean(&mut self, now: Instant, sink: &mut Sink) {
        let wanted = if self.hello.is_super { MESH_WANTED } else { SUPERS_WANTED };
        let leans = |peer: &&Peer| {
            peer.stage == Stage::Bidding || peer.stage == Stage::Leaning && !peer.is_doubted()
        };
        self.tell_others(sink);
        let have = self.peers.iter().filter(leans).count() + self.calls.count(Purpose::Lean);
        if have >= wanted {
            self.leaning.next = None;
            return;
        }
        let is_linked = |node: NodeId| self.peers.iter().any(|peer| peer.node == node);
        let mut ready: Vec<Known> = self.leaning.known.clone();
        ready.retain(|known| {
            let Contact { node, addr } = known.contact;
            known.not_before <= now && !is_linked(node) && !self.calls.is_calling(addr)
        });
        self.rng.shuffle(&mut ready);
        let mut called = 0;
        while called < wanted - have
            && let Some(one) = ready.pop()
        {
            // Of two by chance the one with fewer: if all took the one with the fewest, it would be the one with the
            // most. Nobody knows how many lean on somebody who is new, which is likely to be few.
            let chosen = match ready.pop() {
                Some(other) if other.leaves.unwrap_or(0) < one.leaves.unwrap_or(0) => {
                    ready.push(one);
                    other
                }
                Some(other) => {
                    ready.push(other);
                    one
                }
                None => one,
            };
            let Contact { node, addr } = chosen.contact;
            if !self.dial(now, addr, Some(node), Purpose::Lean, sink) {
                break;
            }
            called += 1;
        }
        if called == 0 {
            // Those on whom we lean know others, but always of the same; neighbours know any.
            let leaning = self.peers.iter().filter(|peer| peer.stage == Stage::Leaning);
            let links: Vec<_> = leaning.map(|peer| peer.link).collect();
            let of_them = self.rng.chance(0.5).then(|| self.rng.choose(&links).copied()).flatten();
            self.leaning.asked = match of_them.or_else(|| self.any_neighbour()) {
                // Who has nobody does not wait for one answer after the other, unless nobody seems to index.
                Some(_) if links.is_empty() && self.leaning.wait < ASK_ONE_FROM => {
                    self.peers.iter().filter(|peer| peer.is_sure()).map(|peer| peer.link).collect()
                }
                one => one.into_iter().collect(),
            };
            for link in &self.leaning.asked {
                sink.send(*link, Message::WhoIndexes);
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
        let mut indexers: Vec<_> = self.peers.iter().filter(is_super).filter_map(indexer).collect();
        self.rng.shuffle(&mut indexers);
        indexers.truncate(SHUFFLE_CONTACTS_MAX);
        sink.send(link, Message::Indexers(indexers));
    }

    /// Who indexes for others, says whom we have asked, be it that or to lean on him.
    pub(super) fn indexers(
        &mut self,
        now: Instant,
        at: usize,
        indexers: &[Indexer],
        sink: &mut Sink,
    ) {
        let Peer { link, addr: teller, stage, .. } = self.peers[at];
        let before = self.leaning.asked.len();
        self.leaning.asked.retain(|asked| *asked != link);
        let was_asked = self.leaning.asked.len() < before;
        let to_mix = self.leaning.mesh.was_asked(link);
        if !was_asked && to_mix.is_none() && !matches!(stage, Stage::Bidding | Stage::Leaning) {
            return;
        }
        for Indexer { contact, leaves } in indexers {
            if subnet::may_tell(&teller, &contact.addr) {
                self.hear_of_super(now, *contact, *leaves);
            }
        }
        if was_asked && !indexers.is_empty() && self.leaning.next.is_some() {
            self.lean(now, sink);
        }
        if let Some(is_new) = to_mix {
            self.mix_in(now, (teller, is_new), indexers, sink);
        }
    }

    /// For how many we index who do not do so themselves.
    fn leaves(&self) -> usize {
        self.peers.iter().filter(|peer| is_leaf(peer)).count()
    }

    /// How many lean on one who has few, of those of whom we know it and us: a quarter have fewer. The average would be
    /// too much, for who has many is known to many. It is half of what those have on average on whom we lean at
    /// least, for anybody may lean on us and say that he has none.
    fn usual_load(&self, leaves: usize) -> usize {
        let others = self.peers.iter().filter(|peer| peer.is_watched() && !peer.is_doubted());
        let mut loads = vec![leaves];
        let (mut sum, mut count) = (0, 0);
        for peer in others {
            let Some(load) = peer.leaves.map(usize::from) else { continue };
            loads.push(load);
            if peer.stage == Stage::Leaning {
                (sum, count) = (sum + load, count + 1);
            }
        }
        loads.sort_unstable();
        let least = sum / (2 * count).max(1);
        loads[loads.len() / 4].max(least)
    }

    /// Those who index and on whom fewer lean than on us, the fewest first.
    fn lighter(&self, leaves: usize) -> Vec<Indexer> {
        let others = self.peers.iter().filter(|peer| peer.is_watched() && !peer.is_doubted());
        let mut lighter: Vec<_> = others
            .filter(|peer| peer.leaves.is_some_and(|other| usize::from(other) < leaves))
            .filter_map(indexer)
            .collect();
        lighter.sort_by_key(|indexer| indexer.leaves);
        lighter.truncate(SHUFFLE_CONTACTS_MAX);
        lighter
    }

    /// Somebody wants us to index for him, or to be asked by us in turn if he indexes, too; he leans on so many
    /// others.
    pub(super) fn leaned_on(&mut self, now: Instant, at: usize, others: u8, sink: &mut Sink) {
        let peer = &self.peers[at];
        let Some(hello) = peer.hello else { return };
        if peer.stage == Stage::Serving {
            self.peers[at].others = others;
            return;
        }
        if peer.outgoing || peer.stage != Stage::Greeting {
            return;
        }
        let link = peer.link;
        let yes = self.hello.is_super
            && match hello.is_super {
                true => self.of_mesh() < MESH_MAX,
                false => self.takes_leaf(now, others, sink),
            };
        let leaves = self.leaves();
        if !yes && self.hello.is_super {
            sink.send(link, Message::Indexers(self.lighter(leaves)));
        }
        // Others may have given way, so that it is in another place now.
        let Some(at) = self.position(link) else { return };
        sink.send(link, Message::NeighbourReply { yes });
        if yes {
            let peer = &mut self.peers[at];
            let node = peer.node;
            (peer.stage, peer.others) = (Stage::Serving, others);
            let role = if hello.is_super { Role::Mesh } else { Role::Leaf };
            sink.changes.push(Change::Leans { link, role });
            let leaves = u16::try_from(self.leaves()).unwrap_or(u16::MAX - 1);
            sink.send(link, Message::Load { leaves });
            self.watch(at);
            self.is_back(now, node);
        }
    }

    /// Others who index and lean on us.
    fn of_mesh(&self) -> usize {
        let is_super = |peer: &Peer| peer.hello.is_some_and(|hello| hello.is_super);
        self.peers.iter().filter(|peer| peer.stage == Stage::Serving && is_super(peer)).count()
    }

    /// Whether there is a place for one more to index for, maybe because another gives way.
    fn takes_leaf(&mut self, now: Instant, others: u8, sink: &mut Sink) -> bool {
        let leaves = self.leaves();
        if others > 0 {
            let most = self.usual_load(leaves) * LOAD_PERCENT / 100 + LOAD_SLACK;
            return leaves < most.min(LEAVES_MAX - LEAVES_KEPT);
        }
        leaves < LEAVES_MAX || self.let_leaf_go(now, sink)
    }

    /// Lets somebody go who leans on others, too, the one who leaned on most. Whether there was one.
    fn let_leaf_go(&mut self, now: Instant, sink: &mut Sink) -> bool {
        let spare = self.peers.iter().filter(|peer| is_leaf(peer) && peer.others > 0);
        let Some(link) = spare.max_by_key(|peer| (peer.others, peer.link)).map(|peer| peer.link)
        else {
            return false;
        };
        let lighter = self.lighter(self.leaves());
        if !lighter.is_empty() {
            sink.send(link, Message::Indexers(lighter));
        }
        sink.send(link, Message::Disconnect);
        if let Some(at) = self.position(link) {
            self.close(now, at, CloseReason::Displaced, sink);
        }
        true
    }

    /// Somebody says how many lean on it.
    pub(super) fn loaded(&mut self, now: Instant, at: usize, leaves: u16) {
        let peer = &mut self.peers[at];
        if !peer.hello.is_some_and(|hello| hello.is_super) {
            return;
        }
        peer.leaves = Some(leaves);
        if let Some(contact) = peer.contact() {
            self.hear_of_super(now, contact, Some(leaves));
        }
    }

    /// Tells others who index how many lean on us, if that has changed; lets some go if it is clearly more than on
    /// others.
    fn tell_load(&mut self, now: Instant, sink: &mut Sink) {
        let leaves = self.leaves();
        if leaves.abs_diff(self.leaning.told) * 8 >= self.leaning.told.max(LOAD_SLACK) {
            self.leaning.told = leaves;
            let of_mesh = self.peers.iter().filter(|peer| peer.is_watched() && !is_leaf(peer));
            for peer in of_mesh.filter(|peer| peer.hello.is_some_and(|hello| hello.is_super)) {
                let leaves = u16::try_from(leaves).unwrap_or(u16::MAX - 1);
                sink.send(peer.link, Message::Load { leaves });
            }
        }
        let most = self.usual_load(leaves) * LOAD_PERCENT_MAX / 100 + LOAD_SLACK;
        for _ in 0..leaves.saturating_sub(most).min(LET_GO_AT_ONCE) {
            if !self.let_leaf_go(now, sink) {
                break;
            }
        }
    }

    /// Whom we want to lean on has answered.
    pub(super) fn may_lean(&mut self, now: Instant, at: usize, yes: bool, sink: &mut Sink) {
        let peer = &mut self.peers[at];
        let (node, addr) = (peer.node, peer.addr);
        if yes && peer.hello.is_some_and(|hello| hello.is_super) {
            peer.stage = Stage::Leaning;
            let role = if self.hello.is_super { Role::Mesh } else { Role::Index };
            sink.changes.push(Change::Leans { link: peer.link, role });
            self.watch(at);
            self.let_spare_go(now, sink);
        } else {
            self.close(now, at, CloseReason::Refused, sink);
            self.leaning.let_be(addr, now + REFUSED_WAIT);
        }
        // Also if he has no place for us now.
        self.is_back(now, node);
        self.lean(now, sink);
    }

    /// A link is gone, be it without a word: if we leaned on its peer, or wanted to, somebody else is looked for.
    pub(super) fn leans_no_longer(&mut self, now: Instant, peer: &Peer, died: bool) {
        if died
            && peer.stage == Stage::Leaning
            && let Some(contact) = peer.contact()
        {
            self.lose(now, contact);
        }
        if matches!(peer.stage, Stage::Leaning | Stage::Bidding) {
            self.leaning.let_be(peer.addr, now + RETRY_FIRST);
            self.leaning.hurry(now);
        }
    }
}

/// Whether somebody leans on us who does not index.
fn is_leaf(peer: &Peer) -> bool {
    peer.stage == Stage::Serving && !peer.hello.is_some_and(|hello| hello.is_super)
}

/// Who indexes, as others are told of it.
fn indexer(peer: &Peer) -> Option<Indexer> {
    peer.contact().map(|contact| Indexer { contact, leaves: peer.leaves })
}
