//! How the mesh of those who index stays one, although each of them has others enough.
//!
//! When a network falls in two, whoever indexes finds others in its own part in place of those whom it has lost, and
//! then has as many as it wants: it would look for no more when the network is one again. So it calls
//! those whom it has lost, ever more rarely, and all of them as soon as one is there again; and now and then
//! it asks a neighbour of its own choice who indexes, and takes one of those who are named in place of one
//! that it has. That is soon after a neighbour is new, if he names nobody with whom there is a link: he may be
//! of a part of the network in which we have nobody.
//!
//! Whoever names others gets little by it: one link at a time changes, those who are longest there stay,
//! and nobody is asked but neighbours whom we have called ourselves.

use super::calls::Purpose;
use super::limits::{
    LOST_FIRST, LOST_GAP, LOST_MOST, LOST_ONE_OF, LOST_SUPERS_MAX, LOST_TIME, MESH_KEPT,
    MESH_WANTED, MIX_EVERY, MIX_FIRST, MIX_SOON,
};
use super::peer::{Peer, Stage};
use super::{Membership, subnet};
use crate::id::{Contact, NodeId};
use crate::io::{CloseReason, LinkId};
use crate::sink::Sink;
use crate::wire::{Indexer, Message};
use althing_base::Instant;
use althing_base::machine::is_due;
use althing_base::time::Duration;
use std::net::SocketAddr;

/// Somebody on whom we leaned, and who is gone without a word.
#[derive(Clone, Copy, Debug)]
struct Lost {
    contact: Contact,
    since: Instant,
    not_before: Instant,
}

/// Whom we have lost, and when we look for others although there are enough.
#[derive(Debug)]
pub(super) struct Mesh {
    lost: Vec<Lost>,
    /// When one of them is called.
    call_at: Option<Instant>,
    /// When a neighbour is asked for others; never if we do not index.
    mix_at: Option<Instant>,
    /// And how long after that again: who is new soon, for those whom he knows first know each other.
    wait: Duration,
    /// When one was.
    mixed: Instant,
    /// A neighbour of our choice who is new.
    new: Option<LinkId>,
    /// Who was asked, and whether because he is new.
    asked: Option<(LinkId, bool)>,
}

impl Mesh {
    pub(super) fn new(now: Instant, unit: f64, is_super: bool) -> Self {
        let (wait, mixed) = (MIX_SOON, now);
        let mix_at = is_super.then(|| now + wait.mul_f64(0.5 + unit));
        Mesh { lost: Vec::new(), call_at: None, mix_at, wait, mixed, new: None, asked: None }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.call_at.into_iter().chain(self.mix_at).min()
    }

    /// Whether an answer is to what was asked on this link to mix, and if so, whether because its peer is new.
    pub(super) fn was_asked(&mut self, link: LinkId) -> Option<bool> {
        self.asked.take_if(|(asked, _)| *asked == link).map(|(_, is_new)| is_new)
    }

    fn plan(&mut self, now: Instant) {
        let first = self.lost.iter().map(|lost| lost.not_before).min();
        self.call_at = first.map(|at| at.max(now + LOST_GAP));
    }
}

impl Membership {
    /// Does what is due.
    pub(super) fn mix_on_time(&mut self, now: Instant, sink: &mut Sink) {
        if is_due(now, self.leaning.mesh.call_at) {
            self.call_lost(now, sink);
        }
        if is_due(now, self.leaning.mesh.mix_at) {
            self.mix(now, sink);
        }
    }

    /// On how many we lean who answer.
    fn sure_leaning(&self) -> usize {
        let sure = |peer: &&Peer| peer.stage == Stage::Leaning && !peer.is_doubted();
        self.peers.iter().filter(sure).count()
    }

    /// Somebody on whom we leaned is gone without a word: he may be there again.
    pub(super) fn lose(&mut self, now: Instant, contact: Contact) {
        let not_before = now + LOST_FIRST.mul_f64(0.75 + self.rng.unit() / 2.0);
        let mesh = &mut self.leaning.mesh;
        mesh.lost.retain(|lost| lost.contact.node != contact.node);
        if mesh.lost.len() >= LOST_SUPERS_MAX {
            // Who is away for longest comes back least.
            mesh.lost.remove(0);
        }
        mesh.lost.push(Lost { contact, since: now, not_before });
        mesh.plan(now);
    }

    /// Somebody who indexes is there. If he was lost, the others may be there again, too.
    pub(super) fn is_back(&mut self, now: Instant, node: NodeId) {
        let mesh = &mut self.leaning.mesh;
        let count = mesh.lost.len();
        mesh.lost.retain(|lost| lost.contact.node != node);
        if mesh.lost.len() < count {
            mesh.lost.iter_mut().for_each(|lost| lost.not_before = now);
            mesh.plan(now);
        }
    }

    /// Calls the next of those who are lost; if we do not index, only while there is nobody else.
    fn call_lost(&mut self, now: Instant, sink: &mut Sink) {
        let is_wanted = self.hello.is_super || self.sure_leaning() == 0;
        let wait = 0.75 + self.rng.unit() / 2.0;
        let is_idle = self.calls.count(Purpose::Mix) == 0;
        let (mesh, peers) = (&mut self.leaning.mesh, &self.peers);
        mesh.lost.retain(|lost| {
            let is_linked = peers.iter().any(|peer| peer.node == lost.contact.node);
            is_wanted && !is_linked && now.since(lost.since) < LOST_TIME
        });
        let ready = mesh.lost.iter_mut().filter(|lost| lost.not_before <= now);
        let next = ready.min_by_key(|lost| lost.not_before).filter(|_| is_idle);
        let next = next.map(|lost| {
            let gap = (now.since(lost.since) / LOST_ONE_OF).clamp(LOST_FIRST, LOST_MOST);
            lost.not_before = now + gap.mul_f64(wait);
            lost.contact
        });
        mesh.plan(now);
        if let Some(Contact { node, addr }) = next
            && !self.calls.is_calling(addr)
        {
            self.dial(now, addr, Some(node), Purpose::Mix, sink);
        }
    }

    /// A neighbour whom we have called is new.
    pub(super) fn note_new(&mut self, now: Instant, link: LinkId) {
        let mesh = &mut self.leaning.mesh;
        if let Some(at) = &mut mesh.mix_at {
            mesh.new = Some(link);
            *at = (*at).min((now + MIX_FIRST).max(mesh.mixed + MIX_SOON));
        }
    }

    /// Asks a neighbour who else indexes, though there are enough.
    fn mix(&mut self, now: Instant, sink: &mut Sink) {
        let mesh = &mut self.leaning.mesh;
        mesh.wait = (mesh.wait * 2).min(MIX_EVERY);
        let again = now + mesh.wait.mul_f64(0.75 + self.rng.unit() / 2.0);
        (mesh.mixed, mesh.mix_at) = (now, Some(again));
        let new = mesh.new.take().filter(|link| self.is_active(*link));
        if self.sure_leaning() < MESH_WANTED {
            // Others are looked for anyway.
            return;
        }
        self.let_spare_go(now, sink);
        let asked = new.or_else(|| self.some_neighbour(|peer| peer.outgoing));
        if let Some(link) = asked {
            self.leaning.mesh.asked = Some((link, new.is_some()));
            sink.send(link, Message::WhoIndexes);
        }
    }

    /// A neighbour has said who else indexes, because he is new or not. One of them is called, to take the place of one
    /// on whom we lean.
    pub(super) fn mix_in(
        &mut self,
        now: Instant,
        (teller, is_new): (SocketAddr, bool),
        named: &[Indexer],
        sink: &mut Sink,
    ) {
        let is_linked = |node: NodeId| self.peers.iter().any(|peer| peer.node == node);
        if self.sure_leaning() < MESH_WANTED
            || self.calls.count(Purpose::Mix) > 0
            || is_new && named.iter().any(|one| is_linked(one.contact.node))
        {
            return;
        }
        let leaning = self.peers.iter().filter(|peer| peer.stage == Stage::Leaning);
        let taken: Vec<_> = leaning.filter_map(|peer| peer.subnet).collect();
        let mut fresh: Vec<Contact> = named.iter().map(|one| one.contact).collect();
        fresh.retain(|Contact { node, addr }| {
            *node != self.me
                && !is_linked(*node)
                && !self.calls.is_calling(*addr)
                && subnet::may_tell(&teller, addr)
                && !subnet::subnet(addr).is_some_and(|net| taken.contains(&net))
        });
        if let Some(Contact { node, addr }) = self.rng.choose(&fresh).copied() {
            self.dial(now, addr, Some(node), Purpose::Mix, sink);
        }
    }

    /// If we index and lean on more than enough, one is let go: of all but those who are longest there the oldest.
    pub(super) fn let_spare_go(&mut self, now: Instant, sink: &mut Sink) {
        if !self.hello.is_super || self.sure_leaning() <= MESH_WANTED {
            return;
        }
        let sure = self.peers.iter().filter(|peer| peer.stage == Stage::Leaning);
        let sure = sure.filter(|peer| !peer.is_doubted());
        let mut sure: Vec<_> = sure.map(|peer| (peer.since, peer.link)).collect();
        sure.sort_unstable();
        let spare = sure.get(MESH_KEPT).and_then(|(_, link)| self.position(*link));
        if let Some(at) = spare {
            sink.send(self.peers[at].link, Message::Disconnect);
            self.close(now, at, CloseReason::Disconnected, sink);
        }
    }
}
