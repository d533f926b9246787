//! Records that somebody published, and whom they have reached.

use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use std::collections::BTreeMap;

/// Something that was published.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NewsId(pub(super) usize);

/// What has come of it.
#[derive(Clone, Debug)]
pub struct News {
    /// Who published it.
    pub by: NodeIndex,
    /// When.
    pub at: Instant,
    /// When it came to each, in order of the nodes; nothing of those it has not reached.
    pub(super) reached: Vec<Option<Instant>>,
    /// How many links it had crossed then; 0 if it came by reconciliation.
    pub(super) hops: BTreeMap<u8, u32>,
    /// Times that it was sent to somebody, be he dead or not.
    pub copies: u64,
}

impl News {
    /// How long it took to come to a node.
    pub fn took(&self, node: NodeIndex) -> Option<Duration> {
        let at = (*self.reached.get(node.index())?)?;
        Some(at.since(self.at))
    }

    /// How many of some nodes it had reached within a time.
    pub fn count(&self, nodes: &[NodeIndex], within: Duration) -> usize {
        nodes.iter().filter(|node| self.took(**node).is_some_and(|took| took <= within)).count()
    }

    /// How long it took until it had come to such a part of some nodes, if it has.
    pub fn time(&self, nodes: &[NodeIndex], part: f64) -> Option<Duration> {
        let mut times: Vec<_> = nodes.iter().filter_map(|node| self.took(*node)).collect();
        times.sort_unstable();
        let needed = (nodes.len() as f64 * part).ceil() as usize;
        times.get(needed.checked_sub(1)?).copied()
    }

    /// The most links that it crossed.
    pub fn hops(&self) -> u8 {
        self.hops.keys().next_back().copied().unwrap_or(0)
    }
}
