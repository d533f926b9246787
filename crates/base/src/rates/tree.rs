//! The tree: what leaves want goes up, what buckets have comes down.

use crate::bucket::TokenBucket;
use crate::time::Instant;
use std::num::NonZeroU64;

/// A limited node may let through at once what it lets through in this part of a second.
pub const BURST_PART_OF_SECOND: u64 = 4;

/// Bytes that any limited node may let through at once: a block of BitTorrent, so that the slowest
/// limit still lets whole ones pass.
pub const BURST_BYTES_MIN: u64 = 16 * 1024;

/// Bytes that a node of this rate may let through at once.
pub fn burst(rate: NonZeroU64) -> u64 {
    (rate.get() / BURST_PART_OF_SECOND).max(BURST_BYTES_MIN)
}

/// A node of a [`RateTree`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(u32);

/// Limits within limits, each of bytes a second. Leaves say what they want, and
/// [`fill`](Self::fill) grants it as far as all nodes above them let it through, max-min fair among the
/// leaves: a node is a limit for those below it, and neither a share of its own nor a handicap. One has
/// less than another only if it wants no more, or if a limit above it that is not above the other has
/// nothing left. It knows one direction; for two there are two trees.
#[derive(Clone, Debug)]
pub struct RateTree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// Leaves that want something.
    wanting: Vec<NodeId>,
    /// Room for [`fill`](Self::fill) to work in.
    grants: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// `None` for the root, and for a node that is free.
    parent: Option<NodeId>,
    bucket: Option<TokenBucket>,
    /// What a leaf wants.
    want: u64,
    /// Whether it is among those that want.
    listed: bool,
    /// Its children that want something, while a fill is under way.
    active: Vec<NodeId>,
    /// What could come through it, and what does, in the last fill.
    demand: u64,
    granted: u64,
    /// Which child's turn it is.
    turn: usize,
}

impl RateTree {
    /// The node above all others.
    pub const ROOT: NodeId = NodeId(0);

    /// A tree of nothing but its root, with a limit or without.
    pub fn new(now: Instant, limit: Option<NonZeroU64>) -> Self {
        let mut tree = RateTree {
            nodes: vec![Node::default()],
            free: Vec::new(),
            wanting: Vec::new(),
            grants: Vec::new(),
        };
        tree.set_limit(now, Self::ROOT, limit);
        tree
    }

    /// A new node below `parent`.
    pub fn add(&mut self, now: Instant, parent: NodeId, limit: Option<NonZeroU64>) -> NodeId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            NodeId(u32::try_from(self.nodes.len() - 1).expect("memory ends before"))
        });
        *self.node_mut(id) = Node { parent: Some(parent), ..Node::default() };
        self.set_limit(now, id, limit);
        id
    }

    /// Takes a node away that has none below it.
    pub fn remove(&mut self, id: NodeId) {
        debug_assert!(self.nodes.iter().all(|node| node.parent != Some(id)), "it has children");
        if id != Self::ROOT {
            self.wanting.retain(|wanting| *wanting != id);
            *self.node_mut(id) = Node::default();
            self.free.push(id);
        }
    }

    /// Puts a node below another one, which must not be below itself.
    pub fn set_parent(&mut self, id: NodeId, parent: NodeId) {
        if id != Self::ROOT {
            self.node_mut(id).parent = Some(parent);
        }
    }

    /// Limits a node, or lets it pass everything.
    pub fn set_limit(&mut self, now: Instant, id: NodeId, limit: Option<NonZeroU64>) {
        let bucket = &mut self.node_mut(id).bucket;
        match (limit, bucket) {
            (None, bucket) => *bucket = None,
            (Some(rate), Some(bucket)) => bucket.set_rate(now, rate.get(), burst(rate)),
            (Some(rate), bucket) => {
                *bucket = Some(TokenBucket::new(now, rate.get(), burst(rate)));
            }
        }
    }

    /// A leaf wants so many bytes from now on; what it wanted before is forgotten.
    pub fn want(&mut self, leaf: NodeId, bytes: u64) {
        let node = self.node_mut(leaf);
        node.want = bytes;
        if bytes > 0 && !std::mem::replace(&mut node.listed, true) {
            self.wanting.push(leaf);
        }
    }

    /// A leaf does not need bytes after all that it was granted.
    pub fn give_back(&mut self, leaf: NodeId, bytes: u64) {
        let mut at = Some(leaf);
        while let Some(id) = at {
            let node = self.node_mut(id);
            if let Some(bucket) = &mut node.bucket {
                bucket.give_back(bytes);
            }
            at = node.parent;
        }
    }

    /// Grants what leaves want, as far as there is of it; appends leaves and bytes to `granted`.
    /// What a leaf did not get it still wants.
    pub fn fill(&mut self, now: Instant, granted: &mut Vec<(NodeId, u64)>) {
        let mut wanting = std::mem::take(&mut self.wanting);
        wanting.retain(|&leaf| {
            let node = self.node_mut(leaf);
            node.listed = node.want > 0;
            node.listed
        });
        // The order is that of the ids, so that turns mean the same each time.
        wanting.sort_unstable();
        for &leaf in &wanting {
            self.activate(leaf);
        }
        if !wanting.is_empty() {
            let through = self.demand(now, Self::ROOT);
            self.grant(now, Self::ROOT, through);
        }
        for &leaf in &wanting {
            let node = self.node_mut(leaf);
            node.want -= node.granted;
            if node.granted > 0 {
                granted.push((leaf, node.granted));
            }
        }
        wanting.retain(|&leaf| {
            let node = self.node_mut(leaf);
            node.listed = node.want > 0;
            node.listed
        });
        self.wanting = wanting;
    }

    /// Whether any leaf wants something.
    pub fn is_wanted(&self) -> bool {
        !self.wanting.is_empty()
    }

    /// Notes on the way from a leaf to the root who wants something.
    fn activate(&mut self, leaf: NodeId) {
        let mut at = leaf;
        while let Some(parent) = self.node_mut(at).parent {
            let active = &mut self.node_mut(parent).active;
            let is_first = active.is_empty();
            active.push(at);
            if !is_first {
                return;
            }
            at = parent;
        }
    }

    /// How much could come through a node.
    fn demand(&mut self, now: Instant, id: NodeId) -> u64 {
        let active = std::mem::take(&mut self.node_mut(id).active);
        let mut demand = self.node_mut(id).want;
        for &child in &active {
            demand = demand.saturating_add(self.demand(now, child));
        }
        let node = self.node_mut(id);
        node.active = active;
        if let Some(bucket) = &mut node.bucket {
            demand = demand.min(bucket.available(now));
        }
        node.demand = demand;
        demand
    }

    /// Lets `bytes` through a node, no more than its demand.
    fn grant(&mut self, now: Instant, id: NodeId, bytes: u64) {
        let node = self.node_mut(id);
        node.granted = bytes;
        if let Some(bucket) = &mut node.bucket {
            let taken = bucket.take(now, bytes);
            debug_assert!(taken, "a node's demand is no more than its bucket has");
        }
        let active = std::mem::take(&mut node.active);
        if active.is_empty() {
            return;
        }
        // The highest level that all leaves below it can be let have.
        let all = active.iter().fold(0u64, |all, &c| all.saturating_add(self.node(c).demand));
        let enough = all <= bytes;
        let (mut level, mut beyond) =
            if enough { (u64::MAX - 1, u64::MAX) } else { (0, bytes.saturating_add(1)) };
        while level + 1 < beyond {
            let middle = level + (beyond - level) / 2;
            let through: u64 = active
                .iter()
                .fold(0, |sum, &child| sum.saturating_add(self.through(child, middle)));
            if through <= bytes {
                level = middle;
            } else {
                beyond = middle;
            }
        }
        let mut left = bytes;
        let mut grants = std::mem::take(&mut self.grants);
        grants.clear();
        for &child in &active {
            let through = self.through(child, level);
            left -= through;
            grants.push(through);
        }
        // What is too little for another byte to every leaf goes round.
        let turn = self.node(id).turn;
        let count = active.len();
        for place in (0..count).map(|place| (turn + place) % count) {
            if left == 0 {
                break;
            }
            let (Some(&child), Some(grant)) = (active.get(place), grants.get_mut(place)) else {
                continue;
            };
            let more = (self.through(child, level.saturating_add(1)) - *grant).min(left);
            *grant += more;
            left -= more;
            if more > 0 {
                self.node_mut(id).turn = place + 1;
            }
        }
        for (&child, &bytes) in active.iter().zip(&grants) {
            self.grant(now, child, bytes);
        }
        self.grants = grants;
        let mut active = active;
        active.clear();
        self.node_mut(id).active = active;
    }

    /// How much comes through a node if each leaf is let have `level` bytes.
    fn through(&self, id: NodeId, level: u64) -> u64 {
        let node = self.node(id);
        let own = node.want.min(level);
        let below = |sum: u64, &child: &NodeId| sum.saturating_add(self.through(child, level));
        node.active.iter().fold(own, below).min(node.demand)
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).expect("ids come from `add` and name nodes for good")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(id.0 as usize).expect("ids come from `add` and name nodes for good")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use proptest::prelude::*;

    fn rate(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    /// What each of `leaves` is granted by one fill.
    fn filled(tree: &mut RateTree, now: Instant, leaves: &[NodeId]) -> Vec<u64> {
        let mut granted = Vec::new();
        tree.fill(now, &mut granted);
        let of = |leaf| granted.iter().filter(|(id, _)| id == leaf).map(|(_, bytes)| *bytes).sum();
        leaves.iter().map(of).collect()
    }

    #[test]
    fn leaves_share_whatever_branch_they_are_on() {
        let mut tree = RateTree::new(at(0), rate(400_000));
        let (one, many) =
            (tree.add(at(0), RateTree::ROOT, None), tree.add(at(0), RateTree::ROOT, None));
        let leaves =
            [tree.add(at(0), one, None), tree.add(at(0), many, None), tree.add(at(0), many, None)];
        leaves.iter().for_each(|leaf| tree.want(*leaf, 1_000_000));
        assert_eq!(filled(&mut tree, at(0), &leaves), [33_334, 33_333, 33_333]);
        // Nothing has come in since.
        assert_eq!(filled(&mut tree, at(0), &leaves), [0, 0, 0]);
        // The first one wants little now: the others share what it leaves.
        tree.want(leaves[0], 1000);
        assert_eq!(filled(&mut tree, at(100), &leaves), [1000, 19_500, 19_500]);
        // A limit further down holds, too, and what it keeps back is not lost.
        tree.set_limit(at(100), many, rate(65_536));
        assert!(filled(&mut tree, at(100), &leaves).iter().all(|bytes| *bytes == 0));
        tree.want(leaves[0], 1_000_000);
        let grants = filled(&mut tree, at(350), &leaves);
        assert_eq!(grants, [100_000 - 16_384, 8192, 8192]);
        assert!(tree.is_wanted());
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let mut tree = RateTree::new(at(0), rate(1_000_000));
        let leaf = tree.add(at(0), RateTree::ROOT, rate(1_000_000));
        let other = tree.add(at(0), RateTree::ROOT, None);
        tree.want(leaf, 250_000);
        assert_eq!(filled(&mut tree, at(0), &[leaf]), [250_000]);
        tree.give_back(leaf, 100_000);
        tree.want(other, u64::MAX);
        assert_eq!(filled(&mut tree, at(0), &[other]), [100_000]);
    }

    #[test]
    fn without_limits_everybody_gets_everything() {
        let mut tree = RateTree::new(at(0), None);
        let leaves = [RateTree::ROOT; 2].map(|root| tree.add(at(0), root, None));
        leaves.iter().for_each(|leaf| tree.want(*leaf, u64::MAX / 2));
        assert_eq!(filled(&mut tree, at(0), &leaves), [u64::MAX / 2; 2]);
        tree.remove(leaves[0]);
        assert!(!tree.is_wanted());
        // The place is taken again, and nothing of the old node is left.
        let again = tree.add(at(0), RateTree::ROOT, rate(1));
        assert_eq!(again, leaves[0]);
        assert_eq!(filled(&mut tree, at(9), &[again]), [0]);
    }

    fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..count).flat_map(move |one| (0..count).map(move |other| (one, other)))
    }

    /// A leaf and all nodes above it.
    fn way_up(tree: &RateTree, leaf: NodeId) -> Vec<NodeId> {
        std::iter::successors(Some(leaf), |id| tree.node(*id).parent).collect()
    }

    #[test]
    fn a_limited_branch_is_neither_favoured_nor_starved() {
        let mut tree = RateTree::new(at(0), rate(1_000_000));
        // One torrent in a category of 500 KB/s, and nine in one of 800 KB/s, and two in none.
        let one = tree.add(at(0), RateTree::ROOT, rate(500_000));
        let nine = tree.add(at(0), RateTree::ROOT, rate(800_000));
        let mut leaves = vec![tree.add(at(0), one, None)];
        leaves.extend((0..9).map(|_| tree.add(at(0), nine, None)));
        leaves.extend((0..2).map(|_| tree.add(at(0), RateTree::ROOT, None)));
        let mut totals = vec![0; leaves.len()];
        for step in 1..=200 {
            leaves.iter().for_each(|leaf| tree.want(*leaf, 1 << 40));
            let grants = filled(&mut tree, at(step * 50), &leaves);
            totals.iter_mut().zip(&grants).for_each(|(total, grant)| *total += grant);
        }
        // The burst and what came in since the first fill, in twelve parts that are equal but for the odd
        // byte of each fill.
        let expected = (250_000 + 9_950_000) / 12;
        let fair = |total: &u64| total.abs_diff(expected) <= 200;
        assert!(totals.iter().all(fair), "{totals:?}");
        // Of those nine all but one have enough: it may have what the others have, and no more.
        for leaf in &leaves[2..10] {
            tree.want(*leaf, 0);
        }
        let grants = filled(&mut tree, at(10_400), &leaves);
        assert!(grants[1].abs_diff(grants[10]) <= 1 && grants[0] > 0, "{grants:?}");
    }

    /// Who wants how much.
    type Wants = Vec<(usize, u64)>;

    #[derive(Clone, Debug)]
    struct Plan {
        root: u64,
        /// Each branch's limit, and those of its leaves; 0 is none.
        branches: Vec<(u64, Vec<u64>)>,
        /// Milliseconds that pass, who wants how much, and how much of a grant goes back in per cent.
        steps: Vec<(u64, Wants, u64)>,
    }

    fn plans() -> impl Strategy<Value = Plan> {
        let limit = || prop_oneof![Just(0), 1..2_000_000u64];
        let branch = (limit(), prop::collection::vec(limit(), 1..4));
        let wants = prop::collection::vec((0..9usize, 0..400_000u64), 0..6);
        let step = (0..400u64, wants, prop_oneof![Just(0), 0..100u64]);
        (limit(), prop::collection::vec(branch, 1..4), prop::collection::vec(step, 1..25))
            .prop_map(|(root, branches, steps)| Plan { root, branches, steps })
    }

    proptest! {
        #[test]
        fn limits_hold_over_any_window_and_nothing_is_wasted(plan in plans()) {
            let mut tree = RateTree::new(at(0), rate(plan.root));
            let mut leaves = Vec::new();
            // Each limited node with the leaves below it.
            let mut limited = vec![(plan.root, Vec::new())];
            for (limit, below) in &plan.branches {
                let branch = tree.add(at(0), RateTree::ROOT, rate(*limit));
                let from = leaves.len();
                for limit in below {
                    limited.push((*limit, vec![leaves.len()]));
                    leaves.push(tree.add(at(0), branch, rate(*limit)));
                }
                limited.push((*limit, (from..leaves.len()).collect()));
            }
            limited[0].1 = (0..leaves.len()).collect();
            limited.retain(|(limit, _)| *limit > 0);
            // When, and what each leaf kept of its grant.
            let mut history: Vec<(u64, Vec<u64>)> = Vec::new();
            let mut now = 0;
            for (millis, wants, back) in &plan.steps {
                now += millis;
                for (leaf, want) in wants {
                    tree.want(leaves[leaf % leaves.len()], *want);
                }
                let before: Vec<u64> =
                    leaves.iter().map(|leaf| tree.node(*leaf).want).collect();
                let mut grants = filled(&mut tree, at(now), &leaves);
                for (leaf, (grant, want)) in grants.iter().zip(&before).enumerate() {
                    prop_assert!(grant <= want);
                    prop_assert_eq!(tree.node(leaves[leaf]).want, want - grant);
                    if grant == want {
                        continue;
                    }
                    // Somebody on the way up has nothing left.
                    let (mut at_node, mut empty) = (Some(leaves[leaf]), false);
                    while let Some(id) = at_node {
                        let node = tree.node_mut(id);
                        let left = node.bucket.as_mut().map(|bucket| bucket.available(at(now)));
                        empty |= left == Some(0);
                        at_node = node.parent;
                    }
                    prop_assert!(empty, "leaf {leaf} went without");
                }
                // Who could take more has no less than any other, but where a limit is used up
                // that does not hold for the other.
                for (one, other) in pairs(leaves.len()) {
                    if grants[one] == before[one] || grants[other] <= grants[one] + 1 {
                        continue;
                    }
                    let above_other = way_up(&tree, leaves[other]);
                    let own = way_up(&tree, leaves[one]);
                    let used_up = own.iter().filter(|id| !above_other.contains(id)).any(|&id| {
                        let bucket = tree.node_mut(id).bucket.as_mut();
                        bucket.is_some_and(|bucket| bucket.available(at(now)) == 0)
                    });
                    prop_assert!(used_up, "{one} has {}, {other} has {}", grants[one], grants[other]);
                }
                for (leaf, grant) in grants.iter_mut().enumerate() {
                    let unused = *grant * back / 100;
                    tree.give_back(leaves[leaf], unused);
                    *grant -= unused;
                }
                history.push((now, grants));
            }
            for (limit, below) in limited {
                let rate = NonZeroU64::new(limit).expect("those without were left out");
                for from in 0..history.len() {
                    let mut sum = 0;
                    for (when, grants) in &history[from..] {
                        sum += below.iter().map(|leaf| grants[*leaf]).sum::<u64>();
                        let time = when - history[from].0;
                        let most = burst(rate) + limit * time / 1000 + 1;
                        prop_assert!(sum <= most, "{sum} in {time} ms at {limit}");
                    }
                }
            }
        }
    }
}
