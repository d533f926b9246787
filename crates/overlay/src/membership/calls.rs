//! Who is called, when, and how many at a time.

use super::limits::{
    DIAL_PATIENCE, DIAL_TIMEOUT, DIALS_MAX, DIALS_PER_S, LINKED_WAIT, MEET_EVERY, MEET_FIRST,
    MEET_MAX, MET_MAX, OUT_SPARE, TOP_UP_EVERY,
};
use super::passive::Known;
use super::peer::{Peer, Stage};
use super::{Membership, subnet};
use crate::id::{Contact, NodeId};
use crate::io::{CloseReason, LinkId, Output};
use crate::sink::{Change, Sink};
use crate::wire::{Message, is_sound};
use althing_base::machine::is_due;
use althing_base::time::Duration;
use althing_base::{Instant, TokenBucket};
use std::net::SocketAddr;

/// What somebody is called for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To be a neighbour.
    Neighbour,
    /// To compare records only.
    Visit,
    /// To index for us.
    Lean,
    /// The same, although there may be enough who do.
    Mix,
    /// To be asked something and let go.
    Seek,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) addr: SocketAddr,
    since: Instant,
    pub(super) purpose: Purpose,
}

/// Calls under way, and when the next can be made.
#[derive(Debug)]
pub(super) struct Calls {
    under_way: Vec<Call>,
    tokens: TokenBucket,
    /// When neighbours are missing: when to try again to mend that.
    mend_at: Option<Instant>,
    /// When the meeting place may be asked again, and how long to wait after that.
    meet_at: Instant,
    meet_wait: Duration,
    /// When one more is called than a node always calls, if few have called us.
    top_up_at: Option<Instant>,
}

impl Calls {
    pub(super) fn new(now: Instant) -> Self {
        Calls {
            under_way: Vec::new(),
            tokens: TokenBucket::new(now, DIALS_PER_S.0, DIALS_PER_S.1),
            mend_at: None,
            meet_at: now,
            meet_wait: MEET_FIRST,
            top_up_at: None,
        }
    }

    /// Somebody answered there, or nobody did.
    pub(super) fn done(&mut self, addr: SocketAddr) -> Option<Call> {
        let at = self.under_way.iter().position(|call| call.addr == addr)?;
        Some(self.under_way.swap_remove(at))
    }

    pub(super) fn is_calling(&self, addr: SocketAddr) -> bool {
        self.under_way.iter().any(|call| call.addr == addr)
    }

    /// How many are called for some purpose.
    pub(super) fn count(&self, purpose: Purpose) -> usize {
        self.under_way.iter().filter(|call| call.purpose == purpose).count()
    }

    /// How many are called to be more than asked something.
    fn lasting(&self) -> usize {
        self.under_way.len() - self.count(Purpose::Seek)
    }

    /// Calls somebody.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        node: Option<NodeId>,
        purpose: Purpose,
        sink: &mut Sink,
    ) {
        self.under_way.push(Call { addr, since: now, purpose });
        sink.outputs.push_back(Output::Dial { addr, node });
    }

    /// Whether nobody is called, and nobody is missing as far as was last seen.
    pub(super) fn is_content(&self) -> bool {
        self.under_way.is_empty() && self.mend_at.is_none() && self.top_up_at.is_none()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let over = self.under_way.iter().map(|call| call.since + DIAL_TIMEOUT).min();
        self.mend_at.into_iter().chain(over).min()
    }
}

impl Membership {
    /// What the machine does first of all.
    pub(crate) fn start(&mut self, now: Instant, sink: &mut Sink) {
        self.mend(now, sink);
    }

    /// The meeting place has named some.
    pub(crate) fn met(&mut self, now: Instant, addrs: &[SocketAddr], sink: &mut Sink) {
        for addr in addrs.iter().take(MET_MAX).filter(|addr| is_sound(addr)) {
            if !self.peers.iter().any(|peer| peer.addr == *addr) {
                self.passive.hear(&mut self.rng, None, *addr);
            }
        }
        self.mend(now, sink);
    }

    /// Nobody answered.
    pub(crate) fn dial_failed(&mut self, now: Instant, addr: SocketAddr, sink: &mut Sink) {
        let call = self.calls.done(addr);
        self.in_vain(now, addr, call.map(|call| call.purpose), sink);
        self.mend(now, sink);
    }

    /// Nobody has answered there, who was called for some purpose.
    fn in_vain(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        purpose: Option<Purpose>,
        sink: &mut Sink,
    ) {
        // Who is linked, on another connection than the one that was called, is there all the same.
        let is_here =
            |peer: &&Peer| peer.addr == addr || peer.contact().is_some_and(|c| c.addr == addr);
        let link = self.peers.iter().find(is_here).map(|peer| peer.link);
        if purpose == Some(Purpose::Seek) {
            sink.changes.push(Change::Sought { addr, link });
        }
        match link {
            Some(_) => {
                self.passive.let_be(addr, now + LINKED_WAIT);
                self.leaning.let_be(addr, now + LINKED_WAIT);
            }
            None => {
                self.passive.failed(now, &mut self.rng, addr);
                self.leaning.forget(addr);
            }
        }
        if purpose == Some(Purpose::Lean) {
            self.lean(now, sink);
        }
    }

    /// How many neighbours answer: those that we called, and all.
    fn sure(&self) -> (usize, usize) {
        let sure = || self.peers.iter().filter(|peer| peer.is_sure());
        (sure().filter(|peer| peer.outgoing).count(), sure().count())
    }

    /// How many calls there should be for neighbours that are missing, besides those under way.
    fn missing(&mut self, now: Instant) -> usize {
        let (outgoing, all) = self.sure();
        let mut missing = self.room.out_wanted().saturating_sub(outgoing);
        if missing > 0 || all >= self.room.wanted() {
            self.calls.top_up_at = None;
        } else if is_due(now, self.calls.top_up_at) {
            missing = 1;
        } else if self.calls.top_up_at.is_none() {
            let wait = TOP_UP_EVERY.mul_f64(0.5 + self.rng.unit());
            self.calls.top_up_at = Some(now + wait);
        }
        let asking = self.peers.iter().filter(|peer| peer.stage == Stage::Asking).count();
        let young = |call: &&Call| {
            call.purpose == Purpose::Neighbour && now.since(call.since) < DIAL_PATIENCE
        };
        let calling = self.calls.under_way.iter().filter(young).count();
        missing.saturating_sub(asking + calling)
    }

    /// Calls others if neighbours are missing.
    pub(super) fn mend(&mut self, now: Instant, sink: &mut Sink) {
        self.give_up_calls(now, sink);
        let missing = self.missing(now);
        let (outgoing, all) = self.sure();
        if outgoing >= self.room.out_wanted() && all >= self.room.wanted() {
            self.calls.meet_wait = MEET_FIRST;
            self.calls.mend_at = None;
            return;
        }
        let mut nobody = false;
        for _ in 0..missing {
            if self.calls.lasting() >= DIALS_MAX {
                break;
            }
            let Some(known) = self.candidate(now) else {
                nobody = true;
                break;
            };
            if !self.call(now, known, Purpose::Neighbour, sink) {
                break;
            }
            self.calls.top_up_at = None;
        }
        if nobody {
            self.meet(now, sink);
        }
        self.calls.mend_at = self.next_mend(now, missing > 0, nobody);
    }

    /// Calls that the driver has said nothing about for too long.
    fn give_up_calls(&mut self, now: Instant, sink: &mut Sink) {
        let over = |call: &Call| now.since(call.since) >= DIAL_TIMEOUT;
        while let Some(at) = self.calls.under_way.iter().position(over) {
            let call = self.calls.under_way.swap_remove(at);
            self.in_vain(now, call.addr, Some(call.purpose), sink);
        }
    }

    /// When to look again whether neighbours can be found. Answers wake us anyway.
    fn next_mend(&self, now: Instant, is_missing: bool, nobody: bool) -> Option<Instant> {
        if nobody {
            let known = self.passive.ready_at(now);
            return Some(known.map_or(self.calls.meet_at, |at| at.min(self.calls.meet_at)));
        }
        // As soon as a call is late, there may be another, or one more is wanted.
        let late = |call: &Call| Some(call.since + DIAL_PATIENCE).filter(|at| *at > now);
        let late = self.calls.under_way.iter().filter_map(late).min();
        let rate = is_missing.then_some(now + DIAL_PATIENCE / 3);
        late.or(rate).into_iter().chain(self.calls.top_up_at.filter(|at| *at > now)).min()
    }

    fn candidate(&mut self, now: Instant) -> Option<Known> {
        let taken: Vec<_> =
            self.peers.iter().filter(|peer| peer.is_active()).filter_map(|p| p.subnet).collect();
        let calls = &self.calls.under_way;
        let peers = &self.peers;
        let is_busy = |known: &Known| {
            calls.iter().any(|call| call.addr == known.addr)
                || peers.iter().any(|peer| is_of(peer, known))
        };
        self.passive.candidate(now, &mut self.rng, is_busy, &taken)
    }

    /// Calls somebody, if the rate lets us.
    fn call(&mut self, now: Instant, known: Known, purpose: Purpose, sink: &mut Sink) -> bool {
        self.dial(now, known.addr, known.node, purpose, sink)
    }

    /// As [`call`](Self::call), for somebody who need not be in the passive view.
    pub(super) fn dial(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        node: Option<NodeId>,
        purpose: Purpose,
        sink: &mut Sink,
    ) -> bool {
        if !self.calls.tokens.take(now, 1) {
            return false;
        }
        self.calls.begin(now, addr, node, purpose, sink);
        true
    }

    /// Asks the meeting place, if it was not asked lately.
    fn meet(&mut self, now: Instant, sink: &mut Sink) {
        if now < self.calls.meet_at {
            return;
        }
        sink.outputs.push_back(Output::NeedContacts);
        let wait = self.calls.meet_wait.mul_f64(0.75 + self.rng.unit() / 2.0);
        self.calls.meet_at = now + wait;
        self.calls.meet_wait = (self.calls.meet_wait * 2).min(MEET_MAX);
    }

    /// Calls somebody to compare records with, who is no neighbour; now and then asks the meeting place
    /// for some whom nobody told of.
    pub(super) fn visit(&mut self, now: Instant, sink: &mut Sink) {
        if now.since(self.calls.meet_at) >= MEET_EVERY {
            self.calls.meet_wait = MEET_FIRST;
            self.meet(now, sink);
        }
        if self.calls.lasting() >= DIALS_MAX {
            return;
        }
        let peers = &self.peers;
        let is_busy = |known: &Known| peers.iter().any(|peer| is_of(peer, known));
        if let Some(known) = self.passive.visit(&mut self.rng, is_busy) {
            // Who is there again may be in a part of the network that we have lost: that is worth a
            // neighbour.
            let is_lost = known.failures > 0 && self.sure().0 < self.room.out_max();
            let purpose = if is_lost { Purpose::Neighbour } else { Purpose::Visit };
            self.call(now, known, purpose, sink);
        }
    }

    /// A visit has shown that what others know does not come here: the two become neighbours.
    pub(crate) fn keep(&mut self, link: LinkId, sink: &mut Sink) {
        let is_room = self.sure().0 < self.room.out_max();
        let visited =
            |peer: &Peer| peer.link == link && peer.outgoing && peer.stage == Stage::Visiting;
        if is_room && let Some(at) = self.peers.iter().position(visited) {
            self.peers[at].stage = Stage::Asking;
            self.watch(at);
            sink.send(link, Message::Neighbour { urgent: false });
        }
    }

    /// Lets a neighbour go that was kept besides.
    pub(super) fn trim(&mut self, now: Instant, sink: &mut Sink) {
        let (outgoing, all) = self.sure();
        if outgoing <= self.room.out_wanted() + 1 || all <= self.room.wanted() {
            return;
        }
        let old =
            |peer: &&Peer| peer.is_sure() && peer.outgoing && now.since(peer.since) >= OUT_SPARE;
        let least = self.peers.iter().filter(old).min_by_key(|peer| (peer.score, peer.link));
        if let Some(link) = least.map(|peer| peer.link)
            && let Some(at) = self.position(link)
        {
            sink.send(link, Message::Disconnect);
            self.close(now, at, CloseReason::Disconnected, sink);
        }
    }

    /// A contact that a peer told of.
    pub(super) fn told(&mut self, teller: SocketAddr, contact: Contact) {
        let Contact { node, addr } = contact;
        let is_linked = self.peers.iter().any(|peer| peer.node == node);
        if node != self.me && !is_linked && subnet::may_tell(&teller, &addr) {
            self.passive.hear(&mut self.rng, Some(node), addr);
        }
    }
}

/// Whether somebody who is known is at the other end of a link: by name, or, of whom it is not known, by where he says
/// that he can be called.
fn is_of(peer: &Peer, known: &Known) -> bool {
    match known.node {
        Some(node) => peer.node == node,
        None => {
            peer.addr == known.addr
                || peer.contact().is_some_and(|contact| contact.addr == known.addr)
        }
    }
}
