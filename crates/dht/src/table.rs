//! The routing table of one address family (BEP 5): the nodes that have answered, in buckets of eight
//! by how many bits of their names are ours.
//!
//! Only who has answered a question gets in. A full bucket keeps its good nodes, since who was there
//! long will be there longer (Maymounkov and Mazières 2002); newcomers wait beside it. A name that fits
//! its address (BEP 42) takes the place of one that does not, an address is there once, and a network
//! has few places in a bucket, so that being much of a table takes as many networks.

use crate::id::{NodeId, is_exempt, subnet};
use crate::limits::{K, NODE_FAILURES_MAX, NODE_GOOD_S, SPARE_NODES_MAX, SUBNET_NODES_MAX};
use crate::wire::Node;
use althing_base::{Instant, Rng};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The nodes of one family.
#[derive(Debug)]
pub(crate) struct Table {
    me: NodeId,
    /// Bucket `i` has the nodes that share `i` bits with us; the last one, those that share more as well.
    buckets: Vec<Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    live: Vec<Entry>,
    /// Who answered when there was no place, the latest last.
    spare: Vec<Entry>,
}

/// A node, in 60 bytes: a simulation has a hundred thousand tables.
#[derive(Clone, Debug)]
struct Entry {
    node: Node,
    /// When it last answered, or asked after it had; seconds of the machine's clock.
    heard_s: u32,
    rtt_ms: u16,
    /// Questions in a row that it did not answer.
    failures: u8,
    fits: bool,
}

/// What became of a node that answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answered {
    /// It was there already.
    Known,
    /// It is there now.
    Added,
    /// It waits for a place.
    Spare,
    /// It will not be there.
    Refused,
}

impl Entry {
    fn is_bad(&self) -> bool {
        self.failures >= NODE_FAILURES_MAX
    }

    fn is_good(&self, now_s: u32) -> bool {
        self.failures == 0 && now_s.saturating_sub(self.heard_s) < NODE_GOOD_S
    }
}

impl Table {
    /// An empty one around our name.
    pub(crate) fn new(me: NodeId) -> Self {
        Table { me, buckets: vec![Bucket::default()] }
    }

    /// Our name.
    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// How many nodes are in it that are not bad.
    pub(crate) fn len(&self) -> usize {
        self.live().filter(|entry| !entry.is_bad()).count()
    }

    /// Whether there is nobody to ask.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A node has answered, after `rtt`.
    pub(crate) fn answered(&mut self, now: Instant, node: Node, rtt: Duration) -> Answered {
        if node.id == self.me {
            return Answered::Refused;
        }
        let rtt_ms = u16::try_from(rtt.as_millis()).unwrap_or(u16::MAX);
        let now_s = secs(now);
        if let Some(entry) = self.entry_at(node.addr) {
            if entry.node.id == node.id {
                entry.heard_s = now_s;
                entry.failures = 0;
                entry.rtt_ms = ((u32::from(entry.rtt_ms) * 7 + u32::from(rtt_ms)) / 8) as u16;
                return Answered::Known;
            }
            // It has another name now, or there is another node.
            self.remove(node.addr);
        }
        let fits = node.id.fits(node.addr.ip());
        let entry = Entry { node, heard_s: now_s, rtt_ms, failures: 0, fits };
        if !self.make_way(&entry) {
            return Answered::Refused;
        }
        self.place(entry)
    }

    /// A node has asked. Says whether it should be asked, too, because there would be a place for it.
    pub(crate) fn asked_us(&mut self, now: Instant, node: Node) -> bool {
        let now_s = secs(now);
        if let Some(entry) = self.entry_at(node.addr) {
            // Anybody can write a sender; but a node that is good stays so only by answering.
            if entry.node.id == node.id && !entry.is_bad() && entry.failures == 0 {
                entry.heard_s = entry.heard_s.max(now_s.saturating_sub(NODE_GOOD_S / 2));
            }
            return entry.node.id != node.id || entry.failures > 0;
        }
        self.has_place(node)
    }

    /// Whether a node would get in if it answered.
    pub(crate) fn has_place(&self, node: Node) -> bool {
        if node.id == self.me || self.is_ip_taken(node.addr.ip()) {
            return false;
        }
        let at = self.index(&node.id);
        let Some(bucket) = self.buckets.get(at) else { return false };
        let splits = at + 1 == self.buckets.len();
        let fits = node.id.fits(node.addr.ip());
        bucket.has_subnet_place(node.addr.ip())
            && (splits
                || bucket.live.len() < K
                || bucket.live.iter().any(|entry| entry.failures > 0 || (fits && !entry.fits)))
    }

    /// A node at `addr` has not answered.
    pub(crate) fn failed(&mut self, addr: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.spare.retain(|entry| entry.node.addr != addr);
            let Some(at) = bucket.live.iter().position(|entry| entry.node.addr == addr) else {
                continue;
            };
            let entry = &mut bucket.live[at];
            entry.failures = entry.failures.saturating_add(1);
            if entry.is_bad() && !bucket.spare.is_empty() {
                bucket.live.remove(at);
                bucket.promote();
            }
        }
    }

    /// The `count` nodes nearest to `target`, nearest first. Bad ones are left out, or, if
    /// `desperate`, taken where there are no others.
    pub(crate) fn nearest(&self, target: &NodeId, count: usize, desperate: bool) -> Vec<Node> {
        let mut nodes: Vec<_> = self
            .live()
            .filter(|entry| desperate || !entry.is_bad())
            .map(|entry| (entry.is_bad(), entry.node.id.distance(target), entry.node))
            .collect();
        if nodes.len() > count && count > 0 {
            nodes.select_nth_unstable_by_key(count - 1, |(bad, distance, _)| (*bad, *distance));
        }
        nodes.truncate(count);
        nodes.sort_unstable_by_key(|(_, distance, _)| *distance);
        nodes.into_iter().map(|(_, _, node)| node).collect()
    }

    /// Nodes worth saving: those that answer, nearest to us first.
    pub(crate) fn to_save(&self, count: usize) -> Vec<Node> {
        self.nearest(&self.me, count, false)
    }

    /// The node that was not heard of for the longest, if that makes it questionable, and a name in its
    /// bucket to ask it for.
    pub(crate) fn questionable(&self, now: Instant, rng: &mut Rng) -> Option<(Node, NodeId)> {
        let now_s = secs(now);
        let entry = self
            .live()
            .filter(|entry| !entry.is_bad() && !entry.is_good(now_s))
            .min_by_key(|entry| entry.heard_s)?;
        let bits = self.index(&entry.node.id) as u32;
        Some((entry.node, self.name_in_bucket(bits, rng)))
    }

    /// When the next node becomes questionable, if any is there.
    pub(crate) fn questionable_at(&self) -> Option<Instant> {
        let entry =
            self.live().filter(|entry| !entry.is_bad()).min_by_key(|entry| entry.heard_s)?;
        if entry.failures > 0 {
            return Some(Instant::ORIGIN);
        }
        let at = u64::from(entry.heard_s) + u64::from(NODE_GOOD_S);
        Some(Instant::ORIGIN + Duration::from_secs(at))
    }

    /// Nobody is known to be there any more (another network): all are to be asked again.
    pub(crate) fn doubt_all(&mut self) {
        for entry in self.buckets.iter_mut().flat_map(|bucket| &mut bucket.live) {
            entry.heard_s = 0;
            entry.failures = 0;
        }
    }

    /// We have another name: everybody moves.
    pub(crate) fn rename(&mut self, me: NodeId) {
        self.me = me;
        let buckets = std::mem::replace(&mut self.buckets, vec![Bucket::default()]);
        for entry in buckets.into_iter().flat_map(|bucket| bucket.live) {
            if entry.node.id != me && self.make_way(&entry) {
                self.place(entry);
            }
        }
    }

    /// Whether a node at `addr` is known to answer.
    pub(crate) fn knows(&self, addr: SocketAddr) -> bool {
        self.live().any(|entry| entry.node.addr == addr && !entry.is_bad())
    }

    fn live(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.live)
    }

    fn entry_at(&mut self, addr: SocketAddr) -> Option<&mut Entry> {
        let mut live = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.live);
        live.find(|entry| entry.node.addr == addr)
    }

    fn index(&self, id: &NodeId) -> usize {
        (self.me.shared_bits(id) as usize).min(self.buckets.len() - 1)
    }

    fn is_ip_taken(&self, ip: IpAddr) -> bool {
        !is_exempt(ip) && self.live().any(|entry| entry.node.addr.ip() == ip && !entry.is_bad())
    }

    fn remove(&mut self, addr: SocketAddr) {
        for bucket in &mut self.buckets {
            let before = bucket.live.len();
            bucket.live.retain(|entry| entry.node.addr != addr);
            if bucket.live.len() < before {
                bucket.promote();
            }
        }
    }

    /// Whether nobody who is alive has the name or the address; who is dead and has them goes.
    fn make_way(&mut self, new: &Entry) -> bool {
        let ip = new.node.addr.ip();
        let same = |entry: &Entry| {
            entry.node.id == new.node.id || (!is_exempt(ip) && entry.node.addr.ip() == ip)
        };
        let taken: Vec<_> = self.live().filter(|entry| same(entry)).cloned().collect();
        if taken.iter().any(|entry| !entry.is_bad()) {
            return false;
        }
        for entry in taken {
            self.remove(entry.node.addr);
        }
        true
    }

    fn place(&mut self, entry: Entry) -> Answered {
        loop {
            let at = self.index(&entry.node.id);
            let is_last = at + 1 == self.buckets.len();
            let bucket = &mut self.buckets[at];
            bucket.spare.retain(|spare| spare.node.addr != entry.node.addr);
            let has_subnet_place = bucket.has_subnet_place(entry.node.addr.ip());
            if bucket.live.len() < K && has_subnet_place {
                bucket.live.push(entry);
                return Answered::Added;
            }
            if let Some(bad) = bucket.live.iter_mut().find(|entry| entry.is_bad())
                && has_subnet_place
            {
                *bad = entry;
                return Answered::Added;
            }
            if is_last && bucket.live.len() >= K && at < NodeId::BITS as usize - 1 {
                self.split();
                continue;
            }
            if !has_subnet_place {
                return Answered::Refused;
            }
            if entry.fits
                && let Some(unfit) = bucket.live.iter_mut().find(|entry| !entry.fits)
            {
                let unfit = std::mem::replace(unfit, entry);
                bucket.keep_spare(unfit);
                return Answered::Added;
            }
            bucket.keep_spare(entry);
            return Answered::Spare;
        }
    }

    /// Cuts the last bucket in two: those that share one bit more with us move on.
    fn split(&mut self) {
        let me = self.me;
        let at = self.buckets.len() - 1;
        let bucket = &mut self.buckets[at];
        let is_here = |entry: &Entry| me.shared_bits(&entry.node.id) as usize == at;
        let (live, moved): (Vec<_>, Vec<_>) = bucket.live.drain(..).partition(is_here);
        let (spare, moved_spare) = bucket.spare.drain(..).partition(is_here);
        *bucket = Bucket { live, spare };
        while bucket.live.len() < K && !bucket.spare.is_empty() {
            bucket.promote();
        }
        let mut next = Bucket { live: moved, spare: moved_spare };
        while next.live.len() < K && !next.spare.is_empty() {
            next.promote();
        }
        self.buckets.push(next);
    }

    /// A name that shares exactly `bits` bits with ours (or more, in the last bucket).
    fn name_in_bucket(&self, bits: u32, rng: &mut Rng) -> NodeId {
        let mut id = NodeId::random(rng);
        for bit in 0..=bits.min(NodeId::BITS - 1) {
            let (byte, mask) = ((bit / 8) as usize, 0x80u8 >> (bit % 8));
            let ours = self.me.0[byte] & mask;
            let wanted = if bit == bits { !ours & mask } else { ours };
            id.0[byte] = (id.0[byte] & !mask) | wanted;
        }
        id
    }
}

impl Bucket {
    fn has_subnet_place(&self, ip: IpAddr) -> bool {
        let Some(net) = subnet(ip) else { return true };
        let same = |entry: &&Entry| subnet(entry.node.addr.ip()) == Some(net);
        self.live.iter().filter(same).count() < SUBNET_NODES_MAX
    }

    /// The best of those who wait takes a place: a fitting name first, then the latest.
    fn promote(&mut self) {
        let nets = |entry: &Entry| self.has_subnet_place(entry.node.addr.ip());
        let best = (0..self.spare.len())
            .filter(|at| nets(&self.spare[*at]))
            .max_by_key(|at| (self.spare[*at].fits, *at));
        match best {
            Some(at) => self.live.push(self.spare.remove(at)),
            // None of them may have it.
            None => self.spare.clear(),
        }
    }

    fn keep_spare(&mut self, entry: Entry) {
        if self.spare.len() >= SPARE_NODES_MAX {
            let worst = self.spare.iter().position(|spare| !spare.fits).unwrap_or(0);
            self.spare.remove(worst);
        }
        self.spare.push(entry);
    }
}

fn secs(now: Instant) -> u32 {
    u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const RTT: Duration = Duration::from_millis(40);

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    fn rng() -> Rng {
        Rng::new(Seed::from_u64(5))
    }

    /// A node whose name fits its address, number `n`.
    fn node(n: u32) -> Node {
        let ip = IpAddr::from(n.wrapping_mul(2_654_435_761).to_be_bytes());
        let id = NodeId::for_address(ip, &mut Rng::new(Seed::from_u64(n.into())));
        Node { id, addr: SocketAddr::new(ip, 6881) }
    }

    fn table(nodes: u32) -> Table {
        let mut table = Table::new(NodeId::random(&mut rng()));
        for n in 1..=nodes {
            table.answered(at(1), node(n), RTT);
        }
        table
    }

    #[test]
    fn a_table_grows_with_the_logarithm() {
        let lens: Vec<_> = [100, 1_000, 10_000].map(|nodes| table(nodes).len()).to_vec();
        assert!(lens[0] >= 30 && lens[2] < 120, "{lens:?}");
        assert!(lens.is_sorted(), "{lens:?}");
    }

    #[test]
    fn the_nearest_come_first() {
        let table = table(1_000);
        let target = NodeId::random(&mut rng());
        let nearest = table.nearest(&target, 8, false);
        let distances: Vec<_> = nearest.iter().map(|node| node.id.distance(&target)).collect();
        assert_eq!(distances.len(), 8);
        assert!(distances.is_sorted());
        let all = table.nearest(&target, usize::MAX, false);
        assert_eq!(all[..8], nearest[..]);
    }

    #[test]
    fn who_does_not_answer_gives_way() {
        let mut table = table(1_000);
        let first = table.nearest(&NodeId([0; 20]), 1, false)[0];
        table.failed(first.addr);
        assert!(table.knows(first.addr), "once is nothing");
        table.failed(first.addr);
        assert!(!table.knows(first.addr));
        let all = table.nearest(&NodeId([0; 20]), 1_000, false);
        assert!(!all.contains(&first));
    }

    #[test]
    fn a_good_node_is_not_pushed_out_by_one_who_says_its_name() {
        let mut table = table(10);
        let old = table.nearest(&NodeId([0; 20]), 1, false)[0];
        let thief = Node { addr: node(99_999).addr, ..old };
        assert_eq!(table.answered(at(2), thief, RTT), Answered::Refused);
        assert!(table.knows(old.addr) && !table.knows(thief.addr));
    }

    #[test]
    fn names_that_fit_take_the_places_of_those_that_do_not() {
        let mut table = Table::new(NodeId([0; 20]));
        let mut rng = rng();
        for n in 1..=8u32 {
            let mut id = NodeId::random(&mut rng);
            id.0[0] |= 0x80;
            table.answered(at(1), Node { id, ..node(n) }, RTT);
        }
        let fitting: Vec<_> = (100..).map(node).filter(|n| n.id.0[0] >= 0x80).take(8).collect();
        // Another half of the space, so that the first bucket is not the last one.
        for n in (100..).map(node).filter(|n| n.id.0[0] < 0x80).take(2) {
            table.answered(at(1), n, RTT);
        }
        for node in &fitting {
            assert_eq!(table.answered(at(2), *node, RTT), Answered::Added);
        }
        assert!(fitting.iter().all(|node| table.knows(node.addr)));
    }

    #[test]
    fn one_network_has_few_places() {
        let mut table = Table::new(NodeId([0; 20]));
        for last in 0..=255u8 {
            let ip = IpAddr::from([203, 0, 113, last]);
            let id = NodeId::for_address(ip, &mut Rng::new(Seed::from_u64(last.into())));
            table.answered(at(1), Node { id, addr: SocketAddr::new(ip, 1) }, RTT);
        }
        assert!(table.len() <= 2 * 8, "{}", table.len());
    }

    #[test]
    fn at_home_one_address_is_many_nodes() {
        let mut table = Table::new(NodeId([0; 20]));
        for port in 1..=8 {
            let id = NodeId::random(&mut Rng::new(Seed::from_u64(port.into())));
            let addr = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port);
            table.answered(at(1), Node { id, addr }, RTT);
        }
        assert_eq!(table.len(), 8);
    }

    #[test]
    fn the_oldest_is_asked_first_and_for_a_name_in_its_bucket() {
        let mut table = table(50);
        let old = table.nearest(&NodeId([0; 20]), 1, false)[0];
        for node in table.nearest(&NodeId([0; 20]), 1_000, false) {
            if node != old {
                table.answered(at(600), node, RTT);
            }
        }
        assert_eq!(table.questionable(at(800), &mut rng()), None);
        assert_eq!(table.questionable_at(), Some(at(901)));
        let (node, name) = table.questionable(at(901), &mut rng()).expect("900 s have gone");
        assert_eq!(node, old);
        assert_eq!(table.index(&name), table.index(&old.id));
    }

    proptest! {
        /// Whatever happens: places are bounded, names and addresses there once, each in its bucket.
        #[test]
        fn invariants(ops in prop::collection::vec((0u8..4, 1u32..400), 0..600), me: [u8; 20]) {
            let mut table = Table::new(NodeId(me));
            for (step, (op, n)) in ops.into_iter().enumerate() {
                let now = at(step as u64 * 5);
                match op {
                    0 => table.failed(node(n).addr),
                    1 => { table.asked_us(now, node(n)); }
                    2 if n == 7 => table.rename(NodeId::random(&mut Rng::new(Seed::from_u64(step as u64)))),
                    _ => { table.answered(now, node(n), RTT); }
                }
            }
            for (at, bucket) in table.buckets.iter().enumerate() {
                prop_assert!(bucket.live.len() <= K && bucket.spare.len() <= SPARE_NODES_MAX);
                for entry in &bucket.live {
                    prop_assert_eq!(table.index(&entry.node.id), at);
                    let net = subnet(entry.node.addr.ip());
                    let same = bucket.live.iter().filter(|e| subnet(e.node.addr.ip()) == net);
                    prop_assert!(net.is_none() || same.count() <= SUBNET_NODES_MAX);
                }
            }
            let nodes: Vec<_> = table.live().map(|entry| entry.node).collect();
            let ids: BTreeSet<_> = nodes.iter().map(|node| node.id).collect();
            let addrs: BTreeSet<_> = nodes.iter().map(|node| node.addr).collect();
            prop_assert_eq!(ids.len(), nodes.len());
            prop_assert_eq!(addrs.len(), nodes.len());
            prop_assert!(table.buckets.len() <= NodeId::BITS as usize);
        }
    }
}
