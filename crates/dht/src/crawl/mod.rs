//! A crawler: finds out which torrents there are in the DHT, by asking its nodes for samples (BEP 51).
//!
//! It walks the key space: it asks a node for samples and for the nodes that it knows in another part of the key
//! space, be it far or near, and then the node that comes next in the order of names. (Nodes nearest to its
//! own name would lead nowhere: eight that are near each other name each other.) A node is not asked again before the interval is over that it named.
//! A torrent counts when two nodes have named it that are not in one network: whoever makes up
//! info-hashes needs two. What it is called is for somebody else to find out; a few at a time.
//!
//! It is off unless it is told to begin, and asks at most so many questions a second, fewer while they go
//! unanswered.

mod frontier;
pub mod limits;
mod sightings;
#[cfg(test)]
mod tests;

use crate::id::NodeId;
use crate::wire::{Node, Samples};
use althing_base::{Instant, Rng, Seed};
use frontier::Frontier;
use limits::{
    ANSWERS_TO_SPEED, CRAWL_FLIGHT_MAX, CRAWL_PER_S_MAX, ELSEWHERE_BITS, FAILURES_MAX, IDLE_S,
    INTERVAL_MAX_S, INTERVAL_MIN_S, REST_S, SLOWEST,
};
use sightings::Sightings;
use std::collections::BTreeSet;
use std::time::Duration;

/// How to crawl.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrawlConfig {
    /// Questions a second, 1 to [`CRAWL_PER_S_MAX`].
    pub per_s: u32,
    /// Torrents whose names may be looked for at a time.
    pub resolving: usize,
}

/// How a crawl stands; counts since it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CrawlStats {
    /// Questions asked.
    pub asked: u64,
    /// Of which were answered.
    pub answered: u64,
    /// Of which named torrents.
    pub sampled: u64,
    /// Info-hashes that were named, each once as long as it is remembered.
    pub noted: u64,
    /// Torrents that were handed out, for their names to be found out.
    pub handed_out: u64,
    /// Torrents that wait for that.
    pub ready: usize,
    /// Info-hashes that one alone has named.
    pub once: usize,
    /// Nodes that are known and were not asked.
    pub ahead: usize,
    /// Nodes that are not to be asked again for a while.
    pub resting: usize,
    /// How often it has been around the key space.
    pub rounds: u64,
    /// So many times slower than it may be, because its questions go unanswered.
    pub slower: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Crawl {
    rng: Rng,
    config: CrawlConfig,
    frontier: Frontier,
    sightings: Sightings,
    flight: usize,
    /// When the next question may be asked.
    next: Instant,
    /// When it is to be woken.
    wake: Instant,
    slower: u32,
    failures: u32,
    answers: u32,
    resolving: BTreeSet<NodeId>,
    stats: CrawlStats,
}

impl Crawl {
    pub(crate) fn new(now: Instant, seed: Seed, config: CrawlConfig) -> Self {
        let mut rng = Rng::new(seed);
        // Two crawlers do not go one behind the other.
        let begin = NodeId::random(&mut rng);
        Crawl {
            rng,
            config: CrawlConfig { per_s: config.per_s.clamp(1, CRAWL_PER_S_MAX), ..config },
            frontier: Frontier::new(begin),
            sightings: Sightings::default(),
            flight: 0,
            next: now,
            wake: now,
            slower: 1,
            failures: 0,
            answers: 0,
            resolving: BTreeSet::new(),
            stats: CrawlStats::default(),
        }
    }

    /// A place to look for somebody to begin with, if it needs one.
    pub(crate) fn lacks_nodes(&mut self, now: Instant) -> Option<NodeId> {
        let (ahead, _) = self.frontier.len();
        let lacks = ahead == 0 && self.flight == 0 && self.next <= now;
        lacks.then(|| NodeId::random(&mut self.rng))
    }

    /// Nodes that are known from elsewhere.
    pub(crate) fn learn(&mut self, nodes: impl IntoIterator<Item = Node>) {
        nodes.into_iter().for_each(|node| self.frontier.learn(node));
    }

    /// Who is to be asked now for samples, and for nodes near which name.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(Node, NodeId)> {
        if self.next > now || self.flight >= CRAWL_FLIGHT_MAX {
            return None;
        }
        let rest = now + Duration::from_secs(REST_S);
        let Some(node) = self.frontier.take(now, rest) else {
            self.next = now + Duration::from_secs(IDLE_S);
            return None;
        };
        self.flight += 1;
        self.stats.asked += 1;
        self.next = now + self.gap();
        Some((node, self.elsewhere(&node.id)))
    }

    /// A name in a part of the key space that begins as a node's name does, and differs in some bit: in as many
    /// cases in the first as in any other in which nodes of a large network differ.
    fn elsewhere(&mut self, id: &NodeId) -> NodeId {
        let bit = self.rng.index(ELSEWHERE_BITS);
        let NodeId(mut name) = NodeId::random(&mut self.rng);
        for (at, (byte, own)) in name.iter_mut().zip(id.0).enumerate() {
            let kept = bit.saturating_sub(8 * at).min(8);
            let mask = u8::try_from(0xff00u32 >> kept & 0xff).unwrap_or(0);
            *byte = own & mask | *byte & !mask;
        }
        if let Some(byte) = name.get_mut(bit / 8) {
            let own = id.0.get(bit / 8).copied().unwrap_or(0);
            let flipped = 0x80 >> (bit % 8);
            *byte = *byte & !flipped | !own & flipped;
        }
        NodeId(name)
    }

    /// The node could not be asked after all: there is too much to do.
    pub(crate) fn held(&mut self, node: Node, until: Instant) {
        self.flight = self.flight.saturating_sub(1);
        self.stats.asked -= 1;
        self.frontier.rests(node.addr, until, Some(node.id));
        self.next = self.next.max(until);
    }

    fn gap(&self) -> Duration {
        Duration::from_secs(1) * self.slower / self.config.per_s
    }

    /// A node has answered.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        node: Node,
        nodes: &[Node],
        samples: Option<&Samples>,
    ) {
        self.flight = self.flight.saturating_sub(1);
        self.stats.answered += 1;
        self.failures = 0;
        self.answers += 1;
        if self.answers >= ANSWERS_TO_SPEED {
            self.answers = 0;
            self.slower = (self.slower / 2).max(1);
        }
        let same_family = |other: &&Node| other.addr.is_ipv4() == node.addr.is_ipv4();
        self.learn(nodes.iter().filter(same_family).copied());
        let Some(samples) = samples else { return };
        // How many it says that it knows is its word, and nothing follows from it.
        let interval = samples.interval.clamp(INTERVAL_MIN_S, INTERVAL_MAX_S);
        let until = now + Duration::from_secs(interval.into());
        self.frontier.rests(node.addr, until, Some(node.id));
        if !samples.info_hashes.is_empty() {
            self.stats.sampled += 1;
            self.sightings.told(node.addr, &samples.info_hashes);
        }
    }

    /// A node has refused to answer: it is there, and does not know the question.
    pub(crate) fn refused(&mut self) {
        self.flight = self.flight.saturating_sub(1);
        self.stats.answered += 1;
        self.failures = 0;
    }

    /// Nobody has answered.
    pub(crate) fn lost(&mut self) {
        self.flight = self.flight.saturating_sub(1);
        self.answers = 0;
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.failures = 0;
            self.slower = (self.slower * 2).min(SLOWEST);
        }
    }

    /// A torrent whose name is to be found out.
    pub(crate) fn poll_resolve(&mut self) -> Option<NodeId> {
        if self.resolving.len() >= self.config.resolving {
            return None;
        }
        let info_hash = self.sightings.pop()?;
        self.resolving.insert(info_hash);
        self.stats.handed_out += 1;
        Some(info_hash)
    }

    /// Its name is known, or cannot be found out.
    pub(crate) fn resolved(&mut self, info_hash: &NodeId) {
        self.resolving.remove(info_hash);
    }

    /// Plans when it is to be woken: what it is told besides wakes it anyhow.
    pub(crate) fn plan(&mut self, now: Instant) {
        let idle = now + Duration::from_secs(IDLE_S);
        self.wake = match self.frontier.next(now) {
            Some(at) if self.flight < CRAWL_FLIGHT_MAX => at.max(self.next),
            _ => idle.max(self.next),
        };
    }

    /// When it has something to do without being told anything.
    pub(crate) fn deadline(&self) -> Instant {
        self.wake
    }

    pub(crate) fn stats(&self) -> CrawlStats {
        let ((ahead, resting), (once, ready)) = (self.frontier.len(), self.sightings.len());
        let (noted, rounds) = (self.sightings.noted, self.frontier.rounds);
        CrawlStats { ahead, resting, once, ready, noted, rounds, slower: self.slower, ..self.stats }
    }
}
