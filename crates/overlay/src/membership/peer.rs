//! One link: how far it has come, how its peer behaves, and whether it is still there.

use super::limits::{
    GREETING_TIMEOUT, MESSAGES_PER_S, SCORE_MAX, SILENCE_ASK, SILENCE_DOUBT, SILENCE_END,
    VISIT_TIMEOUT, WALKS_PER_S,
};
use super::subnet::{Subnet, subnet};
use crate::id::{Contact, NodeId};
use crate::io::LinkId;
use crate::linked::Linked;
use crate::wire::Hello;
use althing_base::time::Duration;
use althing_base::{Instant, TokenBucket};
use std::net::SocketAddr;

/// How far a link has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The peer has called and has not said what it wants.
    Greeting,
    /// We have called and asked to be neighbours.
    Asking,
    /// Neighbours.
    Active,
    /// Made to compare records only, or by somebody who asks us something.
    Visiting,
    /// We have called to ask something.
    Seeking,
    /// We have called and asked to lean on the peer, which indexes for others.
    Bidding,
    /// We lean on it.
    Leaning,
    /// It leans on us.
    Serving,
}

/// Whether the peer is still there, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Silence {
    /// Nothing was sent since it was last heard.
    None,
    /// Something was sent then, and nothing heard since.
    Since(Instant),
    /// It was asked then.
    Asked(Instant),
    /// It did not answer until then.
    Doubted(Instant),
}

/// What is due about a silent peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Ask,
    Doubt,
    End,
}

/// What is looked at with every message comes first, so that it stands close together: where ten thousand nodes
/// are in one process, most of the time is spent waiting for memory.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Peer {
    pub(super) link: LinkId,
    /// When it last said something.
    pub(super) heard: Instant,
    pub(super) silence: Silence,
    pub(super) since: Instant,
    pub(super) stage: Stage,
    pub(super) outgoing: bool,
    /// It has been told of others, or we have been by it: once a link.
    pub(super) introduced: bool,
    pub(super) score: i32,
    pub(super) hello: Option<Hello>,
    messages: TokenBucket,
    pub(super) walks: TokenBucket,
    pub(super) node: NodeId,
    /// Where it is, or where it was called.
    pub(super) addr: SocketAddr,
    pub(super) subnet: Option<Subnet>,
    /// If it leans on us: on how many others it does, as it says; if we lean on it, what it was told of us.
    pub(super) others: u8,
    /// If it indexes: how many lean on it, as it says, or what it was told last if we do.
    pub(super) leaves: Option<u16>,
}

/// All links.
pub(super) type Peers = Linked<Peer>;

impl Peer {
    pub(super) fn new(
        now: Instant,
        (link, node, addr): (LinkId, NodeId, SocketAddr),
        outgoing: bool,
        stage: Stage,
    ) -> Self {
        Peer {
            link,
            node,
            addr,
            subnet: subnet(&addr),
            outgoing,
            since: now,
            stage,
            hello: None,
            silence: Silence::None,
            heard: now,
            score: 0,
            introduced: false,
            others: 0,
            leaves: None,
            messages: TokenBucket::new(now, MESSAGES_PER_S.0, MESSAGES_PER_S.1),
            walks: TokenBucket::new(now, WALKS_PER_S.0, WALKS_PER_S.1),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.stage == Stage::Active
    }

    /// A link that lasts, so that it has to be known whether the peer is there.
    pub(super) fn is_watched(&self) -> bool {
        matches!(self.stage, Stage::Active | Stage::Leaning | Stage::Serving)
    }

    /// A neighbour that answers.
    pub(super) fn is_sure(&self) -> bool {
        self.is_active() && !self.is_doubted()
    }

    /// It did not answer when it was asked whether it is there.
    pub(super) fn is_doubted(&self) -> bool {
        matches!(self.silence, Silence::Doubted(_))
    }

    /// Where others can call it. What it says of its address is not asked: the port is its own to
    /// say, the address is the one that we see.
    pub(super) fn contact(&self) -> Option<Contact> {
        let mut addr = self.addr;
        if !self.outgoing {
            addr.set_port(self.hello?.port?);
        }
        Some(Contact { node: self.node, addr })
    }

    /// It has said something; whether it may.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.silence = Silence::None;
        self.heard = now;
        self.messages.take(now, 1)
    }

    pub(super) fn sent(&mut self, now: Instant) {
        if self.silence == Silence::None && self.is_watched() {
            self.silence = Silence::Since(now);
        }
    }

    /// Whether nothing is known of a peer for so long.
    pub(super) fn is_stale(&self, now: Instant, time: Duration) -> bool {
        self.is_watched() && self.silence == Silence::None && now.since(self.heard) >= time
    }

    pub(super) fn raise(&mut self, by: i32) -> i32 {
        self.score = self.score.saturating_add(by).min(SCORE_MAX);
        self.score
    }

    /// When something is due that nobody said.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(match self.stage {
            Stage::Greeting | Stage::Asking | Stage::Bidding => self.since + GREETING_TIMEOUT,
            Stage::Visiting | Stage::Seeking => self.since + VISIT_TIMEOUT,
            Stage::Active | Stage::Leaning | Stage::Serving => match self.silence {
                Silence::None => return None,
                Silence::Since(at) => at + SILENCE_ASK,
                Silence::Asked(at) => at + SILENCE_DOUBT,
                Silence::Doubted(at) => at + SILENCE_END,
            },
        })
    }

    /// What is due now.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        self.deadline().filter(|at| *at <= now)?;
        Some(match (self.is_watched(), self.silence) {
            (true, Silence::None | Silence::Since(_)) => Due::Ask,
            (true, Silence::Asked(_)) => Due::Doubt,
            _ => Due::End,
        })
    }
}
