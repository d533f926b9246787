//! Searches, and what came of them.

use super::net::Net;
use crate::limits::SEARCH_MAX;
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_dht::wire::Query;
use althing_dht::{Announce, Cost, Find, Goal, Input, NodeId, SearchId};
use std::net::SocketAddr;

/// A torrent that somebody has announced.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its info-hash.
    pub info_hash: NodeId,
    /// Who.
    pub peer: SocketAddr,
}

/// What somebody looks for.
#[derive(Clone, Copy, Debug)]
pub enum Search {
    /// The nodes nearest to a name.
    Nodes(NodeId),
    /// The peer of a torrent.
    Peer(Key),
}

/// What came of a search.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Questions asked until the peer was found, and how long it took; nothing if it was not.
    pub found: Option<(u32, Duration)>,
    /// Questions asked until the search had ended.
    pub asked: u32,
    /// How long it took to end.
    pub took: Duration,
    /// Of the nodes that are really the nearest ([`Search::Nodes`]), how many it named.
    pub right: u32,
}

/// What came of many.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(pub Vec<Outcome>);

/// A search of one node that is under way.
pub(super) struct Watch {
    search: SearchId,
    key: NodeId,
    wanted: Option<SocketAddr>,
    nearest: Vec<NodeId>,
    started: Instant,
    asked: u32,
    found: Option<(u32, Duration)>,
    right: u32,
    done: Option<(Cost, Duration)>,
}

/// Searches under way at a time, at the most.
const AT_A_TIME: usize = 64;

/// Nodes nearest to a name that count: as many as a torrent is announced to.
const NEAREST: usize = 8;

/// The port that is announced.
const PEER_PORT: u16 = 7_716;

impl Watch {
    /// A question was sent by whoever searches, for this or for something else.
    pub(super) fn asked(&mut self, query: &Query) {
        let target = match query {
            Query::GetPeers { info_hash, .. } => info_hash,
            Query::FindNode { target, .. } => target,
            _ => return,
        };
        self.asked += u32::from(*target == self.key);
    }

    pub(super) fn found(&mut self, now: Instant, search: SearchId, what: Find) {
        if search != self.search {
            return;
        }
        match what {
            Find::Peers(peers) => {
                let is_it = self.wanted.is_some_and(|wanted| peers.contains(&wanted));
                if is_it && self.found.is_none() {
                    self.found = Some((self.asked, now.since(self.started)));
                }
            }
            Find::Nodes(nodes) => {
                let right = nodes.iter().filter(|node| self.nearest.contains(&node.id));
                self.right = right.count() as u32;
            }
            _ => {}
        }
    }

    /// Says whether this search has ended.
    pub(super) fn done(&mut self, now: Instant, search: SearchId, cost: Cost) -> bool {
        let is_it = search == self.search && self.done.is_none();
        if is_it {
            self.done = Some((cost, now.since(self.started)));
        }
        is_it
    }
}

impl Net {
    /// `count` torrents are announced by as many nodes at random, once.
    pub fn announce(&mut self, count: usize) -> Vec<Key> {
        let keys = (0..count).map(|_| NodeId::random(&mut self.rng)).collect::<Vec<_>>();
        keys.chunks(AT_A_TIME).flat_map(|some| self.announce_these(some)).collect()
    }

    /// These are announced, by anybody, once.
    pub fn announce_these(&mut self, info_hashes: &[NodeId]) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut told = Vec::new();
        for info_hash in info_hashes {
            let at = self.anybody();
            let announce = Some(Announce { port: Some(PEER_PORT), seed: false });
            self.tell(at, Input::Want { info_hash: *info_hash, announce });
            let peer = SocketAddr::new(self.hosts[at.index()].addr.ip(), PEER_PORT);
            keys.push(Key { info_hash: *info_hash, peer });
            told.push(at);
        }
        self.run(Duration::from_secs(20));
        for (at, key) in told.into_iter().zip(&keys) {
            self.tell(at, Input::Forget { info_hash: key.info_hash });
        }
        keys
    }

    /// Each of these is searched for by a node at random, some at a time.
    pub fn search_all(&mut self, searches: impl IntoIterator<Item = Search>) -> Outcomes {
        let mut outcomes = Vec::new();
        let mut asking = Vec::new();
        let mut searches = searches.into_iter().peekable();
        while searches.peek().is_some() {
            for search in searches.by_ref().take(AT_A_TIME) {
                asking.push(self.search(search));
                self.run(Duration::from_millis(7));
            }
            let until = self.now + SEARCH_MAX;
            while self.open > 0 && self.step(until) {}
            assert_eq!(self.open, 0, "a search that does not end");
            for at in asking.drain(..) {
                let watch = self.hosts[at.index()].watch.take();
                let watch = watch.expect("it was set when the search began");
                let (cost, took) = watch.done.expect("all have ended");
                let Watch { found, right, .. } = *watch;
                outcomes.push(Outcome { found, asked: cost.asked, took, right });
            }
        }
        Outcomes(outcomes)
    }

    fn search(&mut self, search: Search) -> NodeIndex {
        let at = self.anybody();
        let id = SearchId(self.next_search);
        self.next_search += 1;
        let (key, wanted, goal) = match search {
            Search::Nodes(name) => (name, None, Goal::Nodes(name)),
            Search::Peer(Key { info_hash, peer }) => {
                (info_hash, Some(peer), Goal::Peers(info_hash))
            }
        };
        let nearest = match search {
            Search::Nodes(name) => self.nearest(at, name),
            Search::Peer(_) => Vec::new(),
        };
        self.hosts[at.index()].watch = Some(Box::new(Watch {
            search: id,
            key,
            wanted,
            nearest,
            started: self.now,
            asked: 0,
            found: None,
            right: 0,
            done: None,
        }));
        self.open += 1;
        self.tell(at, Input::Search { search: id, goal });
        at
    }

    /// The names that really are nearest to `name`, that of who asks left out.
    fn nearest(&self, asker: NodeIndex, name: NodeId) -> Vec<NodeId> {
        let others = self.honest().filter(|at| *at != asker);
        let ids = others.filter_map(|at| self.dht(at)?.ids()[0]);
        let mut all: Vec<_> = ids.map(|id| (id.distance(&name), id)).collect();
        if all.len() > NEAREST {
            all.select_nth_unstable(NEAREST - 1);
        }
        all.into_iter().take(NEAREST).map(|(_, id)| id).collect()
    }

    /// A name at random.
    pub fn name(&mut self) -> NodeId {
        NodeId::random(&mut self.rng)
    }
}

impl Outcomes {
    /// The part that found what it was for, 0 to 1.
    pub fn found(&self) -> f64 {
        let found = self.0.iter().filter(|outcome| outcome.found.is_some()).count();
        found as f64 / self.0.len().max(1) as f64
    }

    /// The part of the nearest nodes that was named, 0 to 1.
    pub fn right(&self) -> f64 {
        let right = self.0.iter().map(|outcome| f64::from(outcome.right)).sum::<f64>();
        right / (self.0.len().max(1) * NEAREST) as f64
    }

    /// Questions until it was found: what half of those that found it, or such a part of them, took at
    /// the most.
    pub fn asked_to_find(&self, part: f64) -> u32 {
        let asked = self.0.iter().filter_map(|outcome| outcome.found.map(|(asked, _)| asked));
        quantile(asked, part).unwrap_or_default()
    }

    /// How long it took to find it, the same.
    pub fn time_to_find(&self, part: f64) -> Duration {
        let took = self.0.iter().filter_map(|outcome| outcome.found.map(|(_, took)| took));
        quantile(took, part).unwrap_or_default()
    }

    /// Questions until the search had ended, the same.
    pub fn asked(&self, part: f64) -> u32 {
        quantile(self.0.iter().map(|outcome| outcome.asked), part).unwrap_or_default()
    }

    /// How long it took to end, the same.
    pub fn took(&self, part: f64) -> Duration {
        quantile(self.0.iter().map(|outcome| outcome.took), part).unwrap_or_default()
    }
}

/// What such a part of the values is at the most.
fn quantile<T: Ord + Copy>(values: impl Iterator<Item = T>, part: f64) -> Option<T> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    let at = (values.len() as f64 * part) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        assert_eq!(quantile([3, 1, 2, 5, 4].into_iter(), 0.5), Some(3));
        assert_eq!(quantile([3, 1, 2, 5, 4].into_iter(), 1.0), Some(5));
        assert_eq!(quantile([7].into_iter(), 0.0), Some(7));
        assert_eq!(quantile(std::iter::empty::<u8>(), 0.5), None);
    }
}
