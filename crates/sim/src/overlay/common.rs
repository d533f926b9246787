//! What all nodes have in common, and what changes only while no time passes: threads read it side by side.

use super::conduct::Conduct;
use super::net::{Conditions, Death};
use super::news::NewsId;
use crate::node::{NodeIndex, latency};
use althing_base::time::Duration;
use althing_base::{Instant, UnixTime};
use althing_overlay::records::RecordId;
use althing_overlay::{NetworkKey, NodeId};
use std::collections::HashMap;
use std::net::SocketAddr;

/// See the module.
pub(super) struct Common {
    pub(super) conditions: Conditions,
    /// From it the delay between two hosts follows.
    pub(super) map: u64,
    pub(super) places: Places,
    pub(super) faces: Vec<Face>,
    /// Who is alive: looked at with each message that is sent.
    pub(super) is_alive: Vec<bool>,
    pub(super) by_addr: HashMap<SocketAddr, NodeIndex>,
    pub(super) by_node: HashMap<NodeId, NodeIndex>,
    pub(super) by_record: HashMap<RecordId, NewsId>,
    pub(super) by_tag: HashMap<u64, NewsId>,
    /// The network is in two parts.
    pub(super) is_split: bool,
}

/// What others can know of a node, and what becomes of it.
#[derive(Clone, Copy)]
pub(super) struct Face {
    pub(super) node: NodeId,
    pub(super) addr: SocketAddr,
    pub(super) death: Option<Death>,
    /// When it died last.
    pub(super) died: Option<Instant>,
    pub(super) conduct: Conduct,
    /// In which part it is when the network is split.
    pub(super) part: bool,
    pub(super) is_behind_nat: bool,
    pub(super) is_super: bool,
}

/// What clocks say in the beginning.
pub(super) const EPOCH: i64 = 1_800_000_000;

impl Common {
    pub(super) fn face(&self, at: NodeIndex) -> &Face {
        &self.faces[at.index()]
    }

    /// How long a message is under way between two hosts.
    pub(super) fn latency(&self, one: NodeIndex, other: NodeIndex) -> Duration {
        latency(self.map, one, other)
    }

    /// Whether nothing passes between two hosts.
    pub(super) fn is_cut(&self, one: NodeIndex, other: NodeIndex) -> bool {
        self.is_split && self.face(one).part != self.face(other).part
    }

    pub(super) fn conduct_of(&self, node: NodeId) -> Conduct {
        self.by_node.get(&node).map_or(Conduct::Honest, |at| self.face(*at).conduct)
    }
}

/// Which nodes are in which shard: each in turn. The number of shards is a power of two, so that a node is found
/// without a division.
#[derive(Clone, Copy)]
pub(super) struct Places {
    bits: u32,
}

impl Places {
    /// At most so many shards, and at least one.
    pub(super) fn among(shards: usize) -> Places {
        Places { bits: shards.max(1).ilog2() }
    }

    pub(super) fn shards(self) -> usize {
        1 << self.bits
    }

    pub(super) fn shard(self, at: NodeIndex) -> usize {
        at.index() & (self.shards() - 1)
    }

    /// Which of its shard's it is.
    pub(super) fn local(self, at: NodeIndex) -> usize {
        at.index() >> self.bits
    }

    pub(super) fn node(self, shard: usize, local: usize) -> NodeIndex {
        NodeIndex((local << self.bits | shard) as u32)
    }
}

pub(super) fn network() -> NetworkKey {
    NetworkKey::derive("simulation")
}

/// What clocks say.
pub(super) fn unix(now: Instant) -> UnixTime {
    UnixTime(EPOCH + now.as_nanos() as i64 / 1_000_000_000)
}
