//! Links between nodes: each node has its own end of each, and what it knows of the other came on it.
//!
//! A call takes three round trips until the caller has a link, and half a one more until the other has it.

use super::common::Common;
use super::net::Death;
use super::said::tag;
use super::shard::{Shard, What};
use crate::limits::{CONNECT_TIMEOUT, RETRANSMIT_WAIT};
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_overlay::io::{Input, LinkId};
use althing_overlay::wire::Message;
use std::net::SocketAddr;

/// One node's end of a link, or the place of one.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) peer: NodeIndex,
    /// Counts those that had this place, so that names are never given again.
    generation: u32,
    /// What the other end calls the link, once that is known.
    theirs: LinkId,
    /// Nothing that is said from now on comes before this.
    last: Instant,
    pub(super) is_open: bool,
    /// The link is there, as far as is known here.
    pub(super) is_up: bool,
    /// Something that was said is lost for good, and so is all after it.
    is_lost: bool,
}

/// Steps one way until both ends know each other: TCP, BitTorrent's handshakes, Noise.
const HANDSHAKE_STEPS: u32 = 6;

/// Of each node's doings, each so many messages one is written and parsed.
const ENCODED_EACH: u32 = 16;

/// What a link is called before its name is known.
const NAMELESS: LinkId = LinkId(u64::MAX);

impl End {
    /// Whether this is the other end of a link, which its peer has.
    pub(super) fn meets(&self, peer: NodeIndex, other: &End) -> bool {
        let is_it = u64::from(self.generation) == other.theirs.0 >> 32;
        self.is_open && self.is_up && self.peer == peer && is_it
    }
}

impl Shard {
    /// The place of a node's end of a link, if it is open.
    pub(super) fn slot(&self, at: NodeIndex, link: LinkId) -> Option<usize> {
        let slot = (link.0 & 0xffff_ffff) as usize;
        let end = self.host(at).ends.get(slot)?;
        (end.is_open && u64::from(end.generation) == link.0 >> 32).then_some(slot)
    }

    /// A new end of a link to a peer, and what it is called here.
    fn open(&mut self, at: NodeIndex, peer: NodeIndex, theirs: Option<LinkId>) -> LinkId {
        let now = self.now;
        let ends = &mut self.host_mut(at).ends;
        let slot = ends.iter().position(|end| !end.is_open).unwrap_or(ends.len());
        let generation = ends.get(slot).map_or(0, |end| end.generation + 1);
        let end = End {
            peer,
            generation,
            theirs: theirs.unwrap_or(NAMELESS),
            last: now,
            is_open: true,
            is_up: theirs.is_some(),
            is_lost: false,
        };
        match ends.get_mut(slot) {
            Some(place) => *place = end,
            None => ends.push(end),
        }
        LinkId(u64::from(generation) << 32 | slot as u64)
    }

    /// A node calls an address.
    pub(super) fn dial(&mut self, common: &Common, from: NodeIndex, addr: SocketAddr) {
        self.traffic.dials += 1;
        match common.by_addr.get(&addr) {
            Some(&to) => {
                let latency = common.latency(from, to);
                self.cause(from, self.now + latency, to, What::Called { by: from });
            }
            None => self.cause(from, self.now + CONNECT_TIMEOUT, from, What::Refused { addr }),
        }
    }

    /// A call is at the other host.
    pub(super) fn called(&mut self, common: &Common, to: NodeIndex, by: NodeIndex) {
        let latency = common.latency(by, to);
        let face = common.face(to);
        let refused = What::Refused { addr: face.addr };
        let is_silent =
            face.death == Some(Death::Silent) || face.is_behind_nat || common.is_cut(by, to);
        if is_silent {
            self.cause(to, self.now + CONNECT_TIMEOUT, by, refused);
        } else if face.death.is_some() {
            self.cause(to, self.now + latency, by, refused);
        } else {
            let theirs = self.open(to, by, None);
            let made = self.now + latency * (HANDSHAKE_STEPS - 1);
            self.cause(to, made, by, What::Up { by: to, theirs });
        }
    }

    /// A node's call was answered.
    pub(super) fn up(&mut self, common: &Common, at: NodeIndex, by: NodeIndex, theirs: LinkId) {
        if !common.is_alive[at.index()] {
            return;
        }
        let link = self.open(at, by, Some(theirs));
        let there = self.now + common.latency(at, by);
        // Before anything that is said on it.
        self.cause(at, there, by, What::Known { by: at, link: theirs, theirs: link });
        let face = common.face(by);
        let (node, addr) = (face.node, face.addr);
        self.tell(common, at, Input::LinkUp { link, node, addr, outgoing: true });
    }

    /// The caller knows that a node has answered.
    pub(super) fn known(
        &mut self,
        common: &Common,
        at: NodeIndex,
        by: NodeIndex,
        link: LinkId,
        theirs: LinkId,
    ) {
        let Some(slot) = self.slot(at, link) else {
            // It has died since. If its system is there the caller hears of it.
            if common.face(at).death != Some(Death::Silent) {
                let there = self.now + common.latency(at, by);
                self.cause(at, there, by, What::Down { link: theirs });
            }
            return;
        };
        let end = &mut self.host_mut(at).ends[slot];
        (end.theirs, end.is_up) = (theirs, true);
        let face = common.face(by);
        let (node, addr) = (face.node, face.addr);
        self.tell(common, at, Input::LinkUp { link, node, addr, outgoing: false });
    }

    /// A node says something on a link.
    pub(super) fn send(
        &mut self,
        common: &Common,
        from: NodeIndex,
        link: LinkId,
        message: Message,
    ) {
        let Some(slot) = self.slot(from, link) else { return };
        let to = self.host(from).ends[slot].peer;
        self.traffic.messages += 1;
        self.traffic.bytes += message.encoded_len() as u64;
        self.mail_cost.count(&message);
        self.count_copies(common, &message);
        let crossed = match &message {
            Message::Query(question) => self.finds.sent(question.id, from, to, &message),
            Message::Answer { id, .. } => self.finds.sent(*id, from, to, &message),
            Message::Terms { .. } => {
                self.traffic.index_bytes += message.encoded_len() as u64;
                None
            }
            _ => None,
        };
        let is_cut = common.is_cut(from, to);
        let latency = common.latency(from, to);
        let loss = common.conditions.loss;
        let is_late = loss > 0.0 && self.chance(common, from).chance(loss);
        let now = self.now;
        let host = self.host_mut(from);
        let is_parsed = host.caused.is_multiple_of(ENCODED_EACH);
        let end = &mut host.ends[slot];
        end.is_lost |= is_cut;
        if end.is_lost || !common.is_alive[to.index()] {
            return;
        }
        let delay = if is_late { latency * 3 + RETRANSMIT_WAIT } else { latency };
        let at = (now + delay).max(end.last);
        end.last = at;
        let link = end.theirs;
        let message = if is_parsed {
            Message::parse(&message.encode()).expect("what is written can be read")
        } else {
            message
        };
        self.cause(from, at, to, What::Arrives { link, crossed, message });
    }

    fn count_copies(&mut self, common: &Common, message: &Message) {
        let mut count = |record: &[u8]| {
            if let Some(id) = common.by_tag.get(&tag(record)) {
                self.notes[id.0].copies += 1;
            }
        };
        match message {
            Message::Gossip { record, .. } => count(record),
            Message::Records(records) => records.iter().for_each(|record| count(record)),
            _ => {}
        }
    }

    /// A node closes its end of a link; the other is told, if it can be.
    pub(super) fn close(&mut self, common: &Common, from: NodeIndex, slot: usize) {
        let now = self.now;
        let end = &mut self.host_mut(from).ends[slot];
        end.is_open = false;
        let End { peer, theirs, last, is_lost, is_up, .. } = *end;
        let is_told = is_up && !is_lost && common.is_alive[peer.index()];
        if is_told && !common.is_cut(from, peer) {
            let at = (now + common.latency(from, peer)).max(last);
            self.cause(from, at, peer, What::Down { link: theirs });
        }
    }

    /// A node has died: its system closes its links if it is still there.
    pub(super) fn bury(&mut self, common: &Common, at: NodeIndex, death: Death) {
        for slot in 0..self.host(at).ends.len() {
            let end = &mut self.host_mut(at).ends[slot];
            if !end.is_open {
                continue;
            }
            match death {
                Death::Closed => self.close(common, at, slot),
                Death::Silent => end.is_open = false,
            }
        }
    }
}
