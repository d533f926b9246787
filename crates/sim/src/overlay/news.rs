//! Records that somebody published, and whom they have reached.

use crate::node::{NEVER, NodeIndex};
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
    reached: Vec<Option<Instant>>,
    /// How many links it had crossed then; 0 if it came by reconciliation.
    hops: BTreeMap<u8, u32>,
    /// Times that it was sent to somebody, be he dead or not.
    pub copies: u64,
}

/// What is known of it among some of the nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    /// When it came to each of them, [`NEVER`] to those it has not reached, in their order; shorter than that if
    /// nothing is known of the last.
    reached: Vec<Instant>,
    hops: BTreeMap<u8, u32>,
    /// Times that they sent it.
    pub(super) copies: u64,
}

impl Note {
    /// When it came to one.
    pub(super) fn reached(&self, local: usize) -> Option<Instant> {
        self.reached.get(local).copied().filter(|at| *at != NEVER)
    }

    /// It has come to one, maybe not for the first time.
    pub(super) fn comes(&mut self, local: usize, now: Instant) {
        if self.reached.len() <= local {
            self.reached.resize(local + 1, NEVER);
        }
        self.reached[local] = self.reached[local].min(now);
    }

    /// It has crossed so many links when it comes to one; that counts the first time.
    pub(super) fn crossed(&mut self, local: usize, hops: u8) {
        if self.reached(local).is_none() {
            *self.hops.entry(hops).or_default() += 1;
        }
    }
}

impl News {
    pub(super) fn new(by: NodeIndex, at: Instant, nodes: usize) -> News {
        News { by, at, reached: vec![None; nodes], hops: BTreeMap::new(), copies: 0 }
    }

    /// What is known of it among some more.
    pub(super) fn add(&mut self, note: &Note, node: impl Fn(usize) -> NodeIndex) {
        for local in 0..note.reached.len() {
            self.reached[node(local).index()] = note.reached(local);
        }
        for (hops, count) in &note.hops {
            *self.hops.entry(*hops).or_default() += count;
        }
        self.copies += note.copies;
    }

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
