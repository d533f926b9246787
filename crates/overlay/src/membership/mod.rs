//! Who is a neighbour and who is known besides: HyParView (Leitão, Pereira and Rodrigues, DSN 2007),
//! changed where peers may be hostile.
//!
//! * A small active view of links and a larger passive view of addresses; what breaks in the first is
//!   mended from the second, and that is kept fresh by shuffles, as in the paper.
//! * Links that we made and links that others made have places of their own. A node always chooses three
//!   neighbours itself, and nobody who calls can take their place. Because everybody makes three and has
//!   room for eight, newcomers find places without anybody being thrown out.
//! * Nobody is called because a stranger says so: what others say only fills the passive view, from
//!   which a node calls when it lacks neighbours, within a rate. An answer to a shuffle goes back the way
//!   that the question came, rather than to an address that the question names.
//! * Whoever cannot be called (a NAT) is never named to others.
//!
//! This file has the state and what happens to links. `calls` has who is called, `walks` what walks
//! through the network.

mod calls;
mod leaning;
pub mod limits;
mod mesh;
mod passive;
mod peer;
mod room;
mod seek;
pub(crate) mod subnet;
mod walks;

use crate::id::{Contact, NodeId};
use crate::io::{CloseReason, LinkId};
use crate::sink::{Change, Sink};
use crate::wire::{Hello, Message};
use althing_base::machine::is_due;
use althing_base::{Instant, Rng, Seed, TokenBucket, UnixTime};
use calls::Purpose;
use limits::{
    BAN, BANNED_MAX, DISPLACED_COST, DISPLACED_PER_10_S, FRIEND_AFTER, JOINS_PER_S, PENDING_IN_MAX,
    PENDING_IN_MAX_SUPER, PER_ADDRESS_MAX, PROBE_EVERY, PROBE_FRESH, PROTECTED, REFUSED_WAIT,
    SCORE_MIN,
};
use passive::Passive;
use peer::{Due, Peer, Peers, Silence, Stage};
pub use room::Neighbours;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// The version of the protocol that is spoken.
const VERSION: u8 = 1;

/// The views. See the [module](self).
/// What is looked at with every message comes first, as in [`Peer`].
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Membership {
    peers: Peers,
    /// When something is due on some link, or earlier: found again when it is over, for it is asked for
    /// with everything that happens.
    links_due: Option<Instant>,
    /// When a neighbour is asked whether it is there.
    probe_at: Instant,
    walks: walks::Walks,
    leaning: leaning::Leaning,
    calls: calls::Calls,
    rng: Rng,
    hello: Hello,
    me: NodeId,
    room: Neighbours,
    passive: Passive,
    seeks: seek::Seeks,
    banned: VecDeque<(NodeId, Instant)>,
    joins: TokenBucket,
    displaced: TokenBucket,
}

/// What the views are like; for metrics and simulations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Views {
    /// Neighbours that we called.
    pub outgoing: usize,
    /// Neighbours that called us.
    pub incoming: usize,
    /// Links that are no neighbours.
    pub pending: usize,
    /// Other peers that are known.
    pub passive: usize,
    /// Peers that index for us, or, if we index, others who do.
    pub leaning: usize,
    /// Peers for which we index, and others who lean on us.
    pub serving: usize,
}

impl Membership {
    pub(crate) fn new(
        now: Instant,
        me: NodeId,
        seed: Seed,
        is_super: bool,
        room: Neighbours,
    ) -> Self {
        let mut rng = Rng::new(seed);
        Membership {
            me,
            room,
            hello: Hello { version: VERSION, port: None, is_super, ..Hello::default() },
            peers: Peers::default(),
            passive: Passive::default(),
            calls: calls::Calls::new(now),
            seeks: seek::Seeks::new(now),
            walks: walks::Walks::new(now, &mut rng),
            leaning: leaning::Leaning::new(now, rng.unit(), is_super),
            banned: VecDeque::new(),
            joins: TokenBucket::new(now, JOINS_PER_S.0, JOINS_PER_S.1),
            displaced: TokenBucket::new(now, DISPLACED_PER_10_S.0, DISPLACED_PER_10_S.1),
            probe_at: now + PROBE_EVERY.mul_f64(rng.unit()),
            links_due: None,
            rng,
        }
    }

    pub(crate) fn listening(&mut self, port: Option<u16>) {
        self.hello.port = port.filter(|port| *port != 0);
    }

    pub(crate) fn views(&self) -> Views {
        let active = |outgoing| {
            self.peers.iter().filter(|peer| peer.is_active() && peer.outgoing == outgoing).count()
        };
        let (outgoing, incoming) = (active(true), active(false));
        let stage = |stage| self.peers.iter().filter(|peer| peer.stage == stage).count();
        let (leaning, serving) = (stage(Stage::Leaning), stage(Stage::Serving));
        let pending = self.peers.len() - outgoing - incoming - leaning - serving;
        Views { outgoing, incoming, pending, passive: self.passive.len(), leaning, serving }
    }

    /// How many others there are, as far as can be told from here: none if we have heard of more than we
    /// know now.
    pub(crate) fn others(&self) -> Option<usize> {
        (!self.passive.is_short()).then(|| self.peers.len() + self.passive.len())
    }

    /// A neighbour by chance.
    pub(crate) fn any_neighbour(&mut self) -> Option<LinkId> {
        self.some_neighbour(|_| true)
    }

    fn some_neighbour(&mut self, which: impl Fn(&Peer) -> bool) -> Option<LinkId> {
        let choice = || self.peers.iter().filter(|peer| peer.is_sure() && which(peer));
        let at = self.rng.index(choice().count());
        choice().nth(at).map(|peer| peer.link)
    }

    pub(crate) fn is_active(&self, link: LinkId) -> bool {
        self.position(link).is_some_and(|at| self.peers[at].is_active())
    }

    /// Whether a link is a neighbour's, or of somebody who indexes for us or for whom we do.
    pub(crate) fn is_watched(&self, link: LinkId) -> bool {
        self.position(link).is_some_and(|at| self.peers[at].is_watched())
    }

    /// Who is at the other end of a link.
    pub(crate) fn node(&self, link: LinkId) -> Option<NodeId> {
        self.position(link).map(|at| self.peers[at].node)
    }

    fn position(&self, link: LinkId) -> Option<usize> {
        self.peers.position(link)
    }

    fn is_banned(&mut self, now: Instant, node: &NodeId) -> bool {
        while self.banned.front().is_some_and(|(_, until)| *until <= now) {
            self.banned.pop_front();
        }
        self.banned.iter().any(|(banned, _)| banned == node)
    }

    /// A link is made.
    pub(crate) fn link_up(
        &mut self,
        now: Instant,
        time: UnixTime,
        (link, node, addr): (LinkId, NodeId, SocketAddr),
        outgoing: bool,
        sink: &mut Sink,
    ) {
        let call = outgoing.then(|| self.calls.done(addr)).flatten();
        let is_sought = call.is_some_and(|call| call.purpose == Purpose::Seek);
        let refusal = self.refusal(now, &node, &addr, outgoing);
        if let Some(reason) = refusal {
            if reason == CloseReason::Myself || reason == CloseReason::Banned {
                self.passive.forget(&node, Some(addr));
            }
            sink.close(link, false, reason);
            if is_sought {
                sink.changes.push(Change::Sought { addr, link: None });
            }
            return;
        }
        if let Some(old) = self.peers.iter().find(|peer| is_sought && peer.node == node) {
            // It is known by another address: the link that there is will do.
            let old = old.link;
            sink.close(link, false, CloseReason::Duplicate);
            sink.changes.push(Change::Sought { addr, link: Some(old) });
            return;
        }
        if let Some(at) = self.peers.iter().position(|peer| peer.node == node) {
            // Both called each other: both keep the link that the smaller name made. If the other
            // link is older than a call takes, the peer has lost it.
            let old = &self.peers[at];
            let young = now.since(old.since) < limits::GREETING_TIMEOUT;
            let is_mine = self.me < node;
            if young && old.outgoing != outgoing && old.outgoing == is_mine {
                sink.close(link, false, CloseReason::Duplicate);
                return;
            }
            let old = self.peers.swap_remove(at);
            sink.close(old.link, old.is_active(), CloseReason::Duplicate);
        }
        sink.send(link, Message::Hello(Hello { time, ..self.hello }));
        let stage = match call.map(|call| call.purpose) {
            _ if !outgoing => Stage::Greeting,
            Some(Purpose::Visit) => Stage::Visiting,
            Some(Purpose::Lean | Purpose::Mix) => Stage::Bidding,
            Some(Purpose::Seek) => Stage::Seeking,
            Some(Purpose::Neighbour) | None => Stage::Asking,
        };
        let mut peer = Peer::new(now, (link, node, addr), outgoing, stage);
        if outgoing {
            self.passive.answered(node, addr);
        }
        if is_sought {
            sink.changes.push(Change::Sought { addr, link: Some(link) });
        }
        match stage {
            Stage::Asking if self.passive.len() < limits::PASSIVE_FEW => {
                sink.send(link, Message::Join);
            }
            Stage::Asking => {
                let urgent = !self.peers.iter().any(Peer::is_sure);
                sink.send(link, Message::Neighbour { urgent });
            }
            Stage::Visiting => {
                peer.introduced = true;
                self.push(peer);
                sink.changes.push(Change::Visit(link));
                self.shuffle_with(now, link, 0, sink);
                return;
            }
            Stage::Bidding => {
                peer.others = self.leans_on();
                sink.send(link, Message::Lean { others: peer.others });
            }
            Stage::Greeting | Stage::Active | Stage::Leaning | Stage::Serving | Stage::Seeking => {}
        }
        self.push(peer);
    }

    fn push(&mut self, peer: Peer) {
        self.peers.push(peer.link, peer);
        self.watch(self.peers.len() - 1);
    }

    /// Something may be due sooner on a link.
    fn watch(&mut self, at: usize) {
        let due = self.peers[at].deadline();
        self.links_due = self.links_due.into_iter().chain(due).min();
    }

    /// Why a link is not wanted, if it is not.
    fn refusal(
        &mut self,
        now: Instant,
        node: &NodeId,
        addr: &SocketAddr,
        outgoing: bool,
    ) -> Option<CloseReason> {
        if *node == self.me {
            return Some(CloseReason::Myself);
        }
        if self.is_banned(now, node) {
            return Some(CloseReason::Banned);
        }
        if outgoing {
            return None;
        }
        let ip = addr.ip();
        let here = |other: &IpAddr| *other == ip;
        let of_address = self.peers.iter().filter(|peer| here(&peer.addr.ip())).count();
        let pending = |peer: &&Peer| !peer.outgoing && !peer.is_watched();
        let most = if self.hello.is_super { PENDING_IN_MAX_SUPER } else { PENDING_IN_MAX };
        let is_full = self.peers.iter().filter(pending).count() >= most
            || !ip.is_loopback() && of_address >= PER_ADDRESS_MAX;
        is_full.then_some(CloseReason::Full)
    }

    /// A link is gone.
    pub(crate) fn link_down(&mut self, now: Instant, link: LinkId, sink: &mut Sink) {
        let Some(at) = self.position(link) else { return };
        let peer = self.peers.swap_remove(at);
        self.walks.forget(link);
        self.leans_no_longer(now, &peer, true);
        sink.changes.push(Change::Down { link, died: true, active: peer.is_active() });
        if peer.outgoing && peer.stage == Stage::Asking {
            self.remember(now, &peer, now + REFUSED_WAIT);
        } else if peer.is_active() {
            // It may be back soon; those that are known to be there come first.
            self.remember(now, &peer, now + limits::RETRY_FIRST);
        }
        self.mend(now, sink);
    }

    /// Keeps in mind where a peer was with whom there is no link any more. A friend is who was chosen by us
    /// or stayed long: who comes and goes as he likes displaces none.
    fn remember(&mut self, now: Instant, peer: &Peer, not_before: Instant) {
        let is_friend = peer.outgoing || now.since(peer.since) >= FRIEND_AFTER;
        match peer.contact() {
            Some(contact) if peer.is_active() && is_friend => {
                self.passive.part(&mut self.rng, contact, not_before);
            }
            Some(Contact { node, addr }) => {
                self.passive.hear(&mut self.rng, Some(node), addr);
                self.passive.let_be(addr, not_before);
            }
            None => {}
        }
    }

    /// Closes a link that is in the list.
    fn close(&mut self, now: Instant, at: usize, reason: CloseReason, sink: &mut Sink) {
        let peer = self.peers.swap_remove(at);
        self.walks.forget(peer.link);
        self.leans_no_longer(now, &peer, reason == CloseReason::Silent);
        sink.close(peer.link, peer.is_active(), reason);
        match reason {
            _ if peer.stage == Stage::Seeking && reason == CloseReason::Visited => {}
            CloseReason::Protocol | CloseReason::Flood | CloseReason::Banned => {
                if self.banned.len() == BANNED_MAX {
                    self.banned.pop_front();
                }
                self.banned.push_back((peer.node, now + BAN));
            }
            CloseReason::Refused | CloseReason::Full => {
                self.remember(now, &peer, now + REFUSED_WAIT);
            }
            CloseReason::Idle if !peer.outgoing => {}
            CloseReason::Silent | CloseReason::Idle => {
                self.remember(now, &peer, now + limits::RETRY_FIRST);
                self.passive.failed(now, &mut self.rng, peer.addr);
            }
            _ => self.remember(now, &peer, now + REFUSED_WAIT),
        }
    }

    /// A peer did well or badly. Who does too badly is parted with.
    pub(crate) fn score(&mut self, now: Instant, link: LinkId, by: i32, sink: &mut Sink) {
        let Some(at) = self.position(link) else { return };
        if self.peers[at].raise(by) <= SCORE_MIN {
            self.close(now, at, CloseReason::Banned, sink);
            self.mend(now, sink);
        }
    }

    /// What came over a link was no message.
    pub(crate) fn garbage(&mut self, now: Instant, link: LinkId, sink: &mut Sink) {
        if let Some(at) = self.position(link) {
            self.close(now, at, CloseReason::Protocol, sink);
            self.mend(now, sink);
        }
    }

    /// A peer has said something: whether it is to be looked at. Every message passes here first.
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        link: LinkId,
        message: &Message,
        sink: &mut Sink,
    ) -> bool {
        let Some(at) = self.position(link) else { return false };
        let peer = &mut self.peers[at];
        if peer.is_doubted() {
            sink.changes.push(Change::Doubted { link, is_doubted: false });
        }
        let reason = if !peer.heard(now) {
            CloseReason::Flood
        } else if peer.hello.is_some() == matches!(message, Message::Hello(_)) {
            // The first message is who speaks, and no other is.
            CloseReason::Protocol
        } else {
            return true;
        };
        self.close(now, at, reason, sink);
        self.mend(now, sink);
        false
    }

    /// Something was said to a peer.
    pub(crate) fn sent(&mut self, now: Instant, link: LinkId) {
        if let Some(at) = self.position(link) {
            self.peers[at].sent(now);
            self.watch(at);
        }
    }

    /// The peer compares records with us: if it is no neighbour, that is what it came for.
    pub(crate) fn visited(&mut self, link: LinkId) {
        if let Some(at) = self.position(link)
            && self.peers[at].stage == Stage::Greeting
        {
            self.peers[at].stage = Stage::Visiting;
        }
    }

    /// Records were compared with somebody who was called for that only.
    pub(crate) fn compared(&mut self, now: Instant, link: LinkId, sink: &mut Sink) {
        if let Some(at) = self.position(link) {
            let peer = &self.peers[at];
            if peer.outgoing && peer.stage == Stage::Visiting {
                self.close(now, at, CloseReason::Visited, sink);
            }
        }
    }

    /// A peer has said something about who is a neighbour.
    pub(crate) fn message(
        &mut self,
        now: Instant,
        link: LinkId,
        message: Message,
        sink: &mut Sink,
    ) {
        let Some(at) = self.position(link) else { return };
        match message {
            Message::Hello(hello) if hello.version < VERSION => {
                self.close(now, at, CloseReason::Protocol, sink);
            }
            Message::Hello(hello) => {
                self.peers[at].hello = Some(hello);
                if hello.is_super
                    && let Some(contact) = self.peers[at].contact()
                {
                    self.hear_of_super(now, contact, None);
                }
            }
            Message::NeighbourReply { yes } if self.peers[at].stage == Stage::Bidding => {
                self.may_lean(now, at, yes, sink);
            }
            Message::Lean { others } => self.leaned_on(now, at, others, sink),
            Message::Load { leaves } => self.loaded(now, at, leaves),
            Message::WhoIndexes => self.who_indexes(now, at, sink),
            Message::Indexers(indexers) => self.indexers(now, at, &indexers, sink),
            Message::Join => self.asked(now, at, true, false, sink),
            Message::Neighbour { urgent } => self.asked(now, at, false, urgent, sink),
            Message::NeighbourReply { yes } if self.peers[at].stage == Stage::Asking => {
                if yes {
                    self.activate(now, at, sink);
                } else {
                    self.close(now, at, CloseReason::Refused, sink);
                }
                self.mend(now, sink);
            }
            Message::Disconnect => {
                let stage = self.peers[at].stage;
                let is_visit = matches!(stage, Stage::Visiting | Stage::Seeking);
                let reason =
                    if is_visit { CloseReason::Visited } else { CloseReason::Disconnected };
                self.close(now, at, reason, sink);
                self.mend(now, sink);
            }
            Message::Ping => sink.send(link, Message::Pong),
            Message::ForwardJoin { contact, ttl } => {
                self.newcomer(now, at, &contact, ttl, sink);
                self.mend(now, sink);
            }
            Message::Shuffle { token, ttl, contacts } => {
                self.shuffled(now, at, (token, ttl), contacts, sink);
            }
            Message::ShuffleReply { token, contacts } => {
                self.shuffle_answered(now, at, token, contacts, sink);
                self.mend(now, sink);
            }
            _ => {}
        }
    }

    /// Somebody wants to be a neighbour.
    fn asked(&mut self, now: Instant, at: usize, join: bool, urgent: bool, sink: &mut Sink) {
        let peer = &self.peers[at];
        let link = peer.link;
        if peer.outgoing || peer.is_watched() {
            // Who was called does not ask; who is a neighbour need not.
            return;
        }
        if join && !peer.introduced {
            self.introduce(now, at, sink);
        }
        // A newcomer who knows nobody is as lost as one who has lost all.
        let yes = self.make_room(now, at, urgent || join, sink);
        sink.send(link, Message::NeighbourReply { yes });
        if yes && let Some(at) = self.position(link) {
            self.activate(now, at, sink);
        }
    }

    /// Whether there is a place for the peer, maybe because another gave way.
    fn make_room(&mut self, now: Instant, at: usize, urgent: bool, sink: &mut Sink) -> bool {
        let newcomer = &self.peers[at];
        let incoming = |peer: &&Peer| peer.is_active() && !peer.outgoing;
        let count = self.peers.iter().filter(incoming).count();
        let is_crowd = self.is_crowd(newcomer);
        if count < self.room.in_max() && (!is_crowd || count < self.room.in_crowd_max()) {
            return true;
        }
        if !urgent || is_crowd {
            return false;
        }
        let mut places: Vec<&Peer> = self.peers.iter().filter(incoming).collect();
        places.sort_by_key(|peer| (peer.since, peer.link));
        // The latest of a crowd goes first, then who is worth least, then the latest.
        let least = places
            .iter()
            .skip(PROTECTED)
            .max_by_key(|peer| (self.is_crowd(peer), -peer.score, peer.since, peer.link))
            .map(|peer| peer.link);
        let Some(link) = least else { return false };
        if !self.displaced.take(now, DISPLACED_COST) {
            return false;
        }
        sink.send(link, Message::Disconnect);
        if let Some(at) = self.position(link) {
            self.close(now, at, CloseReason::Displaced, sink);
        }
        true
    }

    /// Whether another neighbour is in the same network.
    fn is_crowd(&self, peer: &Peer) -> bool {
        let near = |other: &&Peer| {
            other.is_active() && other.link != peer.link && other.subnet == peer.subnet
        };
        peer.subnet.is_some() && self.peers.iter().any(|other| near(&other))
    }

    fn activate(&mut self, now: Instant, at: usize, sink: &mut Sink) {
        let peer = &mut self.peers[at];
        let (link, ours) = (peer.link, peer.outgoing);
        peer.stage = Stage::Active;
        self.passive.forget(&peer.node, None);
        sink.changes.push(Change::Up { link, ours });
        if ours {
            self.note_new(now, link);
        }
    }

    /// When something is due that nobody said.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // Who has no link has nobody to ask.
        let probe = (!self.peers.is_empty()).then_some(self.probe_at);
        [
            self.links_due,
            probe,
            self.calls.deadline(),
            self.walks.deadline(),
            self.leaning.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub(crate) fn timeout(&mut self, now: Instant, sink: &mut Sink) {
        let links = self.peers.len();
        let doubt = is_due(now, self.links_due) && self.links_timeout(now, sink);
        if is_due(now, Some(self.probe_at)) {
            // Those on whom we lean apart from neighbours: the more links there are, the later it would be found
            // out that all neighbours are gone.
            for neighbours in [true, false] {
                let stale = self.peers.iter_mut().filter(|peer| peer.is_stale(now, PROBE_EVERY));
                let stale = stale.filter(|peer| peer.is_active() == neighbours);
                if let Some(peer) = stale.min_by_key(|peer| (peer.heard, peer.link)) {
                    peer.silence = Silence::Asked(now);
                    sink.send(peer.link, Message::Ping);
                }
            }
            self.probe_at = now + PROBE_EVERY.mul_f64(0.75 + self.rng.unit() / 2.0);
        }
        if doubt {
            // What has befallen one may have befallen all.
            for peer in self.peers.iter_mut().filter(|peer| peer.is_stale(now, PROBE_FRESH)) {
                peer.silence = Silence::Asked(now);
                sink.send(peer.link, Message::Ping);
            }
        }
        self.links_due = self.peers.iter().filter_map(Peer::deadline).min();
        if is_due(now, self.walks.deadline()) {
            self.wander(now, sink);
        }
        if is_due(now, self.leaning.deadline()) {
            self.lean_on_time(now, sink);
        }
        // Where all is well and nobody has gone, there is nothing to mend.
        if doubt || self.peers.len() != links || !self.calls.is_content() {
            self.mend(now, sink);
        }
    }

    /// Does what is due on links. Whether a peer is doubted now.
    fn links_timeout(&mut self, now: Instant, sink: &mut Sink) -> bool {
        let (mut at, mut doubt) = (0, false);
        while at < self.peers.len() {
            let peer = &mut self.peers[at];
            match peer.due(now) {
                None => at += 1,
                Some(Due::Ask) => {
                    peer.silence = Silence::Asked(now);
                    sink.send(peer.link, Message::Ping);
                    at += 1;
                }
                Some(Due::Doubt) => {
                    peer.silence = Silence::Doubted(now);
                    sink.changes.push(Change::Doubted { link: peer.link, is_doubted: true });
                    doubt = true;
                    if peer.stage == Stage::Leaning {
                        // Somebody else is called besides.
                        self.leaning.hurry(now);
                    }
                    at += 1;
                }
                Some(Due::End) => {
                    let reason = match peer.stage {
                        Stage::Active | Stage::Leaning | Stage::Serving => CloseReason::Silent,
                        Stage::Visiting | Stage::Seeking => CloseReason::Visited,
                        Stage::Greeting | Stage::Asking | Stage::Bidding => CloseReason::Idle,
                    };
                    self.close(now, at, reason, sink);
                }
            }
        }
        doubt
    }
}
