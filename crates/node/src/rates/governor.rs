//! What all shards share of the limits: a tree of buckets for each direction, down to torrents.

use super::Flow;
use super::limits::{Limits, Pair, own};
use crate::limits::ROUND;
use althing_base::Instant;
use althing_base::rates::{NodeId, RateTree};
use althing_router::TorrentKey;
use althing_store::records::{Label, TorrentSettings};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Governor {
    sides: [Mutex<Side>; 2],
}

/// What a shard asks for a torrent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) torrent: TorrentKey,
    pub(crate) settings: Arc<TorrentSettings>,
    /// Bytes it could use.
    pub(crate) want: u64,
    /// Bytes it was granted before and does not need.
    pub(crate) back: u64,
    /// The answer: bytes it may use.
    pub(crate) granted: u64,
    /// Nobody of it wants anything for now.
    pub(crate) done: bool,
}

#[derive(Debug)]
struct Side {
    flow: Flow,
    limits: Arc<Limits>,
    tree: RateTree,
    /// Only categories that have a limit are a node: others are just a word.
    categories: BTreeMap<Label, NodeId>,
    members: BTreeMap<TorrentKey, Member>,
    nodes: BTreeMap<NodeId, TorrentKey>,
    /// Not before this are the buckets shared out again: shards ask at different moments, and the
    /// first must not take what the others are about to ask for.
    next_round: Instant,
    granted: Vec<(NodeId, u64)>,
}

#[derive(Debug)]
struct Member {
    node: NodeId,
    settings: Arc<TorrentSettings>,
    /// Granted, and not fetched by its shard yet.
    credit: u64,
}

impl Governor {
    pub(crate) fn new(now: Instant, limits: &Arc<Limits>) -> Self {
        Governor { sides: Flow::BOTH.map(|flow| Mutex::new(Side::new(now, flow, limits))) }
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.side(Flow::Up).limits)
    }

    /// Puts other limits in force. The shards' gates must be set after this.
    pub(crate) fn set_limits(&self, now: Instant, limits: &Arc<Limits>) {
        for flow in Flow::BOTH {
            self.side(flow).set_limits(now, limits);
        }
    }

    /// A shard's turn in one direction: answers all its requests.
    pub(crate) fn exchange(&self, now: Instant, flow: Flow, requests: &mut [Request]) {
        self.side(flow).exchange(now, requests);
    }

    fn side(&self, flow: Flow) -> MutexGuard<'_, Side> {
        self.sides[flow.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Side {
    fn new(now: Instant, flow: Flow, limits: &Arc<Limits>) -> Self {
        let mut side = Side {
            flow,
            limits: Arc::default(),
            tree: RateTree::new(now, None),
            categories: BTreeMap::new(),
            members: BTreeMap::new(),
            nodes: BTreeMap::new(),
            next_round: now,
            granted: Vec::new(),
        };
        side.set_limits(now, limits);
        side
    }

    fn set_limits(&mut self, now: Instant, limits: &Arc<Limits>) {
        self.limits = Arc::clone(limits);
        let of = |pair: Pair| pair[self.flow.index()];
        self.tree.set_limit(now, RateTree::ROOT, of(limits.global));
        let limited: BTreeMap<&Label, NonZeroU64> =
            limits.categories.iter().filter_map(|(name, pair)| Some((name, of(*pair)?))).collect();
        for (name, limit) in &limited {
            match self.categories.get(*name) {
                Some(node) => self.tree.set_limit(now, *node, Some(*limit)),
                None => {
                    let node = self.tree.add(now, RateTree::ROOT, Some(*limit));
                    self.categories.insert(Label::clone(name), node);
                }
            }
        }
        let gone: Vec<Label> =
            self.categories.keys().filter(|name| !limited.contains_key(name)).cloned().collect();
        let gone: Vec<NodeId> =
            gone.iter().filter_map(|name| self.categories.remove(name)).collect();
        for member in self.members.values() {
            let category = member.settings.category.as_ref();
            let parent = category.and_then(|name| self.categories.get(name));
            self.tree.set_parent(member.node, parent.copied().unwrap_or(RateTree::ROOT));
        }
        gone.into_iter().for_each(|node| self.tree.remove(node));
    }

    fn exchange(&mut self, now: Instant, requests: &mut [Request]) {
        for request in &*requests {
            let node = self.member(now, request);
            self.tree.give_back(node, request.back);
            self.tree.want(node, request.want);
        }
        if now >= self.next_round {
            // A shard that is late must not find all rounds since then at once.
            self.next_round = now + ROUND;
            self.tree.fill(now, &mut self.granted);
            for (node, bytes) in self.granted.drain(..) {
                let key = self.nodes.get(&node);
                if let Some(member) = key.and_then(|key| self.members.get_mut(key)) {
                    member.credit = member.credit.saturating_add(bytes);
                }
            }
        }
        for request in requests {
            if request.done {
                self.leave(request.torrent);
            } else if let Some(member) = self.members.get_mut(&request.torrent) {
                request.granted = std::mem::take(&mut member.credit);
            }
        }
    }

    /// The torrent's node, as its settings are now.
    fn member(&mut self, now: Instant, request: &Request) -> NodeId {
        let settings = &request.settings;
        if let Some(member) = self.members.get(&request.torrent)
            && Arc::ptr_eq(&member.settings, settings)
        {
            return member.node;
        }
        let category = settings.category.as_ref().and_then(|name| self.categories.get(name));
        let parent = category.copied().unwrap_or(RateTree::ROOT);
        let limit = own(self.flow, settings);
        if let Some(member) = self.members.get_mut(&request.torrent) {
            self.tree.set_parent(member.node, parent);
            self.tree.set_limit(now, member.node, limit);
            member.settings = Arc::clone(settings);
            return member.node;
        }
        let node = self.tree.add(now, parent, limit);
        let member = Member { node, settings: Arc::clone(settings), credit: 0 };
        self.members.insert(request.torrent, member);
        self.nodes.insert(node, request.torrent);
        node
    }

    fn leave(&mut self, torrent: TorrentKey) {
        if let Some(member) = self.members.remove(&torrent) {
            self.tree.give_back(member.node, member.credit);
            self.nodes.remove(&member.node);
            self.tree.remove(member.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limit(rate: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(rate)
    }

    fn request(torrent: u64, settings: &Arc<TorrentSettings>, want: u64) -> Request {
        let settings = Arc::clone(settings);
        let torrent = TorrentKey(torrent);
        Request { torrent, settings, want, back: 0, granted: 0, done: false }
    }

    /// What each torrent was granted in so many seconds, each asked for by a shard of its own that
    /// comes at other moments than the others.
    fn run(governor: &Governor, seconds: u64, asking: &[(&Arc<TorrentSettings>, u64)]) -> Vec<u64> {
        let mut totals = vec![0; asking.len()];
        for millis in 0..seconds * 1000 {
            for (at, (settings, want)) in asking.iter().enumerate() {
                if (millis + 17 * at as u64).is_multiple_of(50) {
                    let mut requests = [request(at as u64, settings, *want)];
                    let now = Instant::ORIGIN + Duration::from_millis(millis);
                    governor.exchange(now, Flow::Up, &mut requests);
                    totals[at] += requests[0].granted;
                }
            }
        }
        totals
    }

    #[test]
    fn torrents_of_different_shards_share_the_global_limit() {
        let limits = Limits { global: [limit(1_000_000), None], ..Limits::default() };
        let governor = Governor::new(Instant::ORIGIN, &Arc::new(limits));
        let free = Arc::new(TorrentSettings::default());
        let limited = TorrentSettings { upload_limit: limit(100_000), ..Default::default() };
        let limited = Arc::new(limited);
        let totals = run(&governor, 10, &[(&free, 1 << 40), (&limited, 1 << 40), (&free, 1 << 40)]);
        let sum: u64 = totals.iter().sum();
        assert!((9_900_000..=10_250_000).contains(&sum), "{totals:?}");
        assert!((980_000..=1_025_000).contains(&totals[1]), "{totals:?}");
        assert!(totals[0].abs_diff(totals[2]) < 300_000, "{totals:?}");
    }

    #[test]
    fn a_category_is_limited_as_one_and_a_change_is_in_force_at_once() {
        let name: Label = "slow".parse().expect("a label");
        let categories = [(name.clone(), [limit(200_000), None])].into();
        let limits = Limits { categories, ..Limits::default() };
        let governor = Governor::new(Instant::ORIGIN, &Arc::new(limits.clone()));
        let settings = TorrentSettings { category: Some(name), ..Default::default() };
        assert!(limits.apply_to(Flow::Up, &settings) && !limits.apply_to(Flow::Down, &settings));
        let settings = Arc::new(settings);
        let totals = run(&governor, 10, &[(&settings, 1 << 40), (&settings, 1 << 40)]);
        let sum: u64 = totals.iter().sum();
        assert!((1_960_000..=2_050_000).contains(&sum), "{totals:?}");
        // Without it, nothing is held back.
        governor.set_limits(Instant::ORIGIN, &Arc::new(Limits::default()));
        let mut requests = [request(0, &settings, 9_000_000)];
        let later = Instant::ORIGIN + Duration::from_secs(20);
        governor.exchange(later, Flow::Up, &mut requests);
        assert_eq!(requests[0].granted, 9_000_000);
        requests[0].done = true;
        governor.exchange(later, Flow::Up, &mut requests);
        assert_eq!(governor.side(Flow::Up).members.len(), 1);
    }
}
