//! One lookup in one address family: asks nodes that are nearer and nearer to a name until the nearest
//! ones have answered (Maymounkov and Mazières 2002).
//!
//! * Several questions are under way at a time; one that takes longer than nine of ten did no longer counts
//!   as such, and the next is asked (Jimenez 2011).
//! * It ends when the nearest have answered. While they are too few it waits for all who were asked, as
//!   long as an answer may take; else for those who are nearer, and not as long.
//! * A node that has been asked much lately has its turn later, and others have theirs meanwhile.
//! * Nodes belong to the path on which they were first named, and each path has a question under way
//!   wherever it can, so that liars on one do not lead all astray (S/Kademlia, Baumgart and Mies 2007).
//! * Who crowds around a name does not get all of its places: of one network two count, and nodes
//!   whose name does not fit their address (BEP 42) count only as far as the size of the network lets
//!   expect so many, so that the lookup goes on out to where honest nodes are.

use crate::id::{Distance, NodeId, subnet};
use crate::limits::{
    K, LOOKUP_IN_FLIGHT_MAX, LOOKUP_NODES_MAX, LOOKUP_NODES_PER_ANSWER_MAX, LOOKUP_PATHS,
    LOOKUP_QUESTIONS_MAX, LOOKUP_SUBNET_MAX, PATIENCE_LATE, PATIENCE_LATE_LEAST_MS,
    POSTPONED_MS_MAX, QUERY_TIMEOUT_MS, RECENT_NODES_MAX, STORE_NODES_MAX, UNFIT_CROWD,
    UNFIT_NODES_FREE,
};
use crate::wire::Node;
use althing_base::Instant;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// For how many more nodes room is made at once.
const LOOKUP_NODES_MORE: usize = 16;

/// A lookup.
#[derive(Debug)]
pub(crate) struct Lookup {
    target: NodeId,
    /// Nearest first, each address once.
    nodes: Vec<Candidate>,
    /// How many nodes there are, if that is known.
    size: Option<f64>,
    /// Go out to the expected distance of the K-th node (to store there).
    wide: bool,
    asked: u32,
    answered: u32,
}

/// A node, in 104 bytes: where ten thousand nodes are in one process, these are most of what lookups take.
#[derive(Debug)]
struct Candidate {
    addr: SocketAddr,
    /// From the target: it says what its name is.
    distance: Distance,
    state: State,
    path: u8,
    fits: bool,
    token: Option<Box<Bytes>>,
    /// Since when it could not be asked, for it has been asked much lately.
    postponed: Option<Instant>,
}

impl Candidate {
    fn node(&self, target: &NodeId) -> Node {
        Node { id: self.distance.seen_from(target), addr: self.addr }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    /// It may be asked then.
    Later(Instant),
    Asked(Instant),
    Answered,
    Dead,
}

/// What a lookup wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Ask a node.
    Ask(Node),
    /// Wait, for an answer or until then.
    Wait(Instant),
    /// It has ended.
    Done,
}

/// Who counts towards the nearest, going outwards.
struct Places {
    nets: Vec<(u64, usize)>,
    unfit: f64,
    size: Option<f64>,
}

impl Places {
    /// How many nodes with unfit names may count before this one.
    fn allowance(&self, candidate: &Candidate) -> f64 {
        match self.size {
            Some(size) if !candidate.fits => {
                UNFIT_NODES_FREE + UNFIT_CROWD * size * candidate.distance.fraction()
            }
            _ => f64::INFINITY,
        }
    }

    /// Whether a node counts, and takes its place if it does.
    fn take(&mut self, candidate: &Candidate) -> bool {
        if self.unfit >= self.allowance(candidate) {
            return false;
        }
        if let Some(net) = subnet(candidate.addr.ip()) {
            match self.nets.iter_mut().find(|(known, _)| *known == net) {
                Some((_, count)) if *count >= LOOKUP_SUBNET_MAX => return false,
                Some((_, count)) => *count += 1,
                None => self.nets.push((net, 1)),
            }
        }
        if !candidate.fits {
            self.unfit += 1.0;
        }
        true
    }
}

impl Lookup {
    /// A lookup that begins with `nodes`.
    pub(crate) fn new(target: NodeId, nodes: &[Node], size: Option<f64>, wide: bool) -> Self {
        let mut lookup = Lookup { target, nodes: Vec::new(), size, wide, asked: 0, answered: 0 };
        for (path, node) in (0..LOOKUP_PATHS).cycle().zip(nodes) {
            lookup.add(*node, path);
        }
        lookup
    }

    /// Forgets all but the nearest nodes.
    pub(crate) fn keep_nearest(&mut self) {
        self.nodes.truncate(RECENT_NODES_MAX);
        self.nodes.shrink_to_fit();
    }

    /// Goes on, to store. Who has answered has answered; who was late may be asked anew.
    pub(crate) fn resume(mut self, size: Option<f64>) -> Self {
        for candidate in &mut self.nodes {
            if let State::Asked(_) | State::Later(_) = candidate.state {
                (candidate.state, candidate.postponed) = (State::New, None);
            }
        }
        Lookup { size, wide: true, asked: 0, answered: 0, ..self }
    }

    /// What it looks for.
    pub(crate) fn target(&self) -> NodeId {
        self.target
    }

    /// Questions asked, and answered.
    pub(crate) fn cost(&self) -> (u32, u32) {
        (self.asked, self.answered)
    }

    /// What to do now. [`Next::Ask`] has been done when this returns.
    pub(crate) fn next(&mut self, now: Instant, patience: Duration) -> Next {
        let late = (patience * PATIENCE_LATE).max(LATE_LEAST);
        let mut in_flight = [0usize; LOOKUP_PATHS as usize];
        let mut wake: Option<Instant> = None;
        for candidate in &mut self.nodes {
            let until = match candidate.state {
                State::Later(at) if at <= now => {
                    candidate.state = State::New;
                    continue;
                }
                State::Later(at) => at,
                State::Asked(at) => match now.since(at) {
                    waited if waited < patience => {
                        in_flight[usize::from(candidate.path)] += 1;
                        at + patience
                    }
                    waited if waited < late => at + late,
                    waited if waited < TIMEOUT => at + TIMEOUT,
                    _ => continue,
                },
                State::New | State::Answered | State::Dead => continue,
            };
            wake = Some(wake.map_or(until, |wake| wake.min(until)));
        }
        let Choice { node, waits } = self.choose(now, late, &in_flight);
        match node.filter(|_| self.may_ask()) {
            Some(at) if in_flight.iter().sum::<usize>() < self.in_flight_max(at) => {
                self.asked += 1;
                self.nodes[at].state = State::Asked(now);
                Next::Ask(self.nodes[at].node(&self.target))
            }
            None if !waits => Next::Done,
            _ => wake.map_or(Next::Done, Next::Wait),
        }
    }

    fn may_ask(&self) -> bool {
        (self.asked as usize) < LOOKUP_QUESTIONS_MAX
    }

    /// How many questions may be under way besides one to this candidate. Those who are nearer than
    /// the K-th is to be expected will be asked anyhow, so they need not wait for each other.
    fn in_flight_max(&self, at: usize) -> usize {
        LOOKUP_IN_FLIGHT_MAX + if self.is_at_the_end(at) { K } else { 0 }
    }

    /// Whether a candidate is nearer than the K-th is to be expected.
    fn is_at_the_end(&self, at: usize) -> bool {
        let within = |size: f64| self.nodes[at].distance.fraction() * size <= K as f64;
        self.size.is_some_and(within)
    }

    /// A question that [`Next::Ask`] named could not be asked yet, for all together were too many.
    pub(crate) fn unask(&mut self, addr: SocketAddr) {
        self.asked -= 1;
        if let Some(candidate) = self.candidate(addr) {
            candidate.state = State::New;
        }
    }

    /// A question that [`Next::Ask`] named cannot be asked before `until`: its node has been asked much
    /// lately. If that goes on, it is left out, unless there are too few others to do without it.
    pub(crate) fn postpone(&mut self, now: Instant, addr: SocketAddr, until: Instant) {
        self.asked -= 1;
        let is_other = |other: &&Candidate| {
            other.addr != addr && matches!(other.state, State::New | State::Answered)
        };
        let others = self.nodes.iter().filter(is_other).count();
        let Some(candidate) = self.candidate(addr) else { return };
        let since = *candidate.postponed.get_or_insert(now);
        let is_long = until.since(since) > Duration::from_millis(POSTPONED_MS_MAX);
        candidate.state = if is_long && others >= K { State::Dead } else { State::Later(until) };
    }

    /// A node has answered, as `id`, and names others.
    pub(crate) fn answered(
        &mut self,
        addr: SocketAddr,
        id: NodeId,
        token: Option<Bytes>,
        nodes: &[Node],
    ) {
        let target = self.target;
        let Some(candidate) = self.candidate(addr) else { return };
        if candidate.state == State::Answered {
            return;
        }
        let path = candidate.path;
        candidate.state = State::Answered;
        candidate.token = token.map(Box::new);
        if candidate.distance != id.distance(&target) {
            // Whoever named it did not know, or lied.
            candidate.distance = id.distance(&target);
            candidate.fits = id.fits(addr.ip());
            self.nodes.sort_by_key(|candidate| candidate.distance);
        }
        self.answered += 1;
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable_by_key(|node| node.id.distance(&target));
        for node in nodes.into_iter().take(LOOKUP_NODES_PER_ANSWER_MAX) {
            self.add(node, path);
        }
    }

    /// A node will not answer.
    pub(crate) fn failed(&mut self, addr: SocketAddr) {
        if let Some(candidate) = self.candidate(addr)
            && candidate.state != State::Answered
        {
            candidate.state = State::Dead;
        }
    }

    /// The nearest nodes that answered and count, nearest first, with what they gave out for storing: at
    /// most [`K`], or [`STORE_NODES_MAX`] of a wide lookup.
    pub(crate) fn closest(&self) -> Vec<(Node, Option<Bytes>)> {
        let mut places = self.places();
        let mut closest = Vec::new();
        for candidate in self.nodes.iter().filter(|c| c.state == State::Answered) {
            if !self.goes_on(closest.len(), candidate.distance) {
                break;
            }
            if places.take(candidate) {
                closest.push((candidate.node(&self.target), candidate.token.as_deref().cloned()));
            }
        }
        closest
    }

    fn candidate(&mut self, addr: SocketAddr) -> Option<&mut Candidate> {
        self.nodes.iter_mut().find(|candidate| candidate.addr == addr)
    }

    fn places(&self) -> Places {
        Places { nets: Vec::new(), unfit: 0.0, size: self.size }
    }

    /// Whether the nearest are still to be completed when `have` count and the next is so far.
    fn goes_on(&self, have: usize, distance: Distance) -> bool {
        let within = |size: f64| distance.fraction() * size <= K as f64;
        have < K || (self.wide && have < STORE_NODES_MAX && self.size.is_some_and(within))
    }

    /// The node to ask next, and whether there is anybody to wait for.
    fn choose(&self, now: Instant, late: Duration, in_flight: &[usize]) -> Choice {
        let mut places = self.places();
        let mut have = 0;
        let mut any = None;
        let mut of_its_path = None;
        let mut waits = false;
        let mut waits_long = false;
        let mut unfit_tried = 0.0;
        for (at, candidate) in self.nodes.iter().enumerate() {
            if !self.goes_on(have, candidate.distance) {
                break;
            }
            // Names of nobody, thought up by the thousand, are not all tried.
            let is_tried = unfit_tried >= UNFIT_TRIES * places.allowance(candidate);
            if !candidate.fits && matches!(candidate.state, State::Dead | State::Asked(_)) {
                unfit_tried += 1.0;
            }
            match candidate.state {
                State::New | State::Later(_) if is_tried => {}
                State::Dead => {}
                // It may yet answer and take a place; but others are asked until it does.
                State::Asked(since) => {
                    let waited = now.since(since);
                    waits |= waited < late;
                    waits_long |= waited < TIMEOUT;
                }
                State::Answered => have += usize::from(places.take(candidate)),
                State::Later(_) => waits |= places.take(candidate),
                State::New => {
                    // Asking is only worth while if the answer would count.
                    if !places.take(candidate) {
                        continue;
                    }
                    any = any.or(Some(at));
                    let path = in_flight.get(usize::from(candidate.path));
                    if path.is_some_and(|path| *path < PER_PATH) {
                        of_its_path = of_its_path.or(Some(at));
                        if self.may_ask() {
                            break;
                        }
                    }
                }
            }
        }
        Choice { node: of_its_path.or(any), waits: waits || (have < K && waits_long) }
    }

    fn add(&mut self, node: Node, path: u8) {
        if self.nodes.iter().any(|known| known.addr == node.addr) {
            return;
        }
        let distance = node.id.distance(&self.target);
        let at = self.nodes.partition_point(|known| known.distance <= distance);
        let fits = node.id.fits(node.addr.ip());
        let candidate = Candidate {
            addr: node.addr,
            distance,
            state: State::New,
            path,
            fits,
            token: None,
            postponed: None,
        };
        if self.nodes.len() == self.nodes.capacity() {
            // Not twice as many: few lookups come to know all that they may.
            self.nodes.reserve_exact(LOOKUP_NODES_MORE);
        }
        self.nodes.insert(at, candidate);
        if self.nodes.len() > LOOKUP_NODES_MAX {
            self.forget_one();
        }
    }

    /// Forgets who would not count anyway, or who is dead, or else the farthest who was not asked.
    fn forget_one(&mut self) {
        let mut places = self.places();
        let mut surplus = None;
        for (at, candidate) in self.nodes.iter().enumerate() {
            let counts = candidate.state == State::Dead || places.take(candidate);
            if candidate.state == State::New && !counts {
                surplus = Some(at);
            }
        }
        let last = |state| self.nodes.iter().rposition(|candidate| candidate.state == state);
        let at = surplus.or_else(|| last(State::New)).or_else(|| last(State::Dead));
        self.nodes.remove(at.unwrap_or(self.nodes.len() - 1));
    }
}

/// What a lookup can do.
struct Choice {
    /// Whom it may ask.
    node: Option<usize>,
    /// Somebody may yet take a place.
    waits: bool,
}

/// See [`QUERY_TIMEOUT_MS`].
const TIMEOUT: Duration = Duration::from_millis(QUERY_TIMEOUT_MS);

/// See [`PATIENCE_LATE_LEAST_MS`].
const LATE_LEAST: Duration = Duration::from_millis(PATIENCE_LATE_LEAST_MS);

/// How many nodes with unfit names are asked in vain for each that may count.
const UNFIT_TRIES: f64 = 4.0;

/// Questions of one path under way before another path's node is asked instead.
const PER_PATH: usize = LOOKUP_IN_FLIGHT_MAX.div_ceil(LOOKUP_PATHS as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};
    use proptest::prelude::*;
    use std::net::IpAddr;

    const PATIENCE: Duration = Duration::from_millis(100);

    fn ip(n: u32) -> IpAddr {
        IpAddr::from(n.wrapping_mul(2_654_435_761).to_be_bytes())
    }

    fn node(n: u32) -> Node {
        let id = NodeId::for_address(ip(n), &mut Rng::new(Seed::from_u64(n.into())));
        Node { id, addr: SocketAddr::new(ip(n), 1) }
    }

    /// A name close to `target` that fits nobody.
    fn sybil(target: NodeId, n: u32) -> Node {
        let mut id = target;
        id.0[12..16].copy_from_slice(&n.to_be_bytes());
        Node { id, addr: SocketAddr::new(ip(n), 1) }
    }

    /// Answers every question out of `network`, but for those that `is_dead`; the questions asked.
    fn run(lookup: &mut Lookup, network: &[Node], is_dead: impl Fn(&Node) -> bool) -> usize {
        let mut now = Instant::ORIGIN;
        let mut asked = 0;
        loop {
            match lookup.next(now, PATIENCE) {
                Next::Ask(node) => {
                    asked += 1;
                    assert!(asked <= LOOKUP_QUESTIONS_MAX);
                    if !is_dead(&node) {
                        let mut near = network.to_vec();
                        let target = lookup.target();
                        near.sort_unstable_by_key(|node| node.id.distance(&target));
                        near.truncate(8);
                        lookup.answered(node.addr, node.id, None, &near);
                    }
                }
                Next::Wait(until) => {
                    assert!(until > now, "it waits for what has been");
                    now = until;
                }
                Next::Done => return asked,
            }
        }
    }

    #[test]
    fn the_nearest_are_found() {
        let network: Vec<_> = (1..500).map(node).collect();
        let target = NodeId([0x55; 20]);
        let mut lookup = Lookup::new(target, &network[..8], None, false);
        let asked = run(&mut lookup, &network, |_| false);
        let mut nearest = network.clone();
        nearest.sort_unstable_by_key(|node| node.id.distance(&target));
        let found: Vec<_> = lookup.closest().into_iter().map(|(node, _)| node).collect();
        assert_eq!(found, nearest[..8]);
        assert!(asked <= 20, "{asked}");
    }

    #[test]
    fn a_crowd_with_names_at_will_gets_few_places() {
        let target = NodeId([0x55; 20]);
        let mut all: Vec<_> = (1..500).map(node).collect();
        all.extend((10_000..11_000).map(|n| sybil(target, n)));
        let mut lookup = Lookup::new(target, &all, Some(500.0), false);
        run(&mut lookup, &all, |_| false);
        let closest = lookup.closest();
        let honest = closest.iter().filter(|(node, _)| node.id.fits(node.addr.ip())).count();
        assert_eq!(closest.len(), 8);
        assert!(honest >= 6, "{honest} of 8");
    }

    #[test]
    fn one_network_gets_two_places() {
        let target = NodeId([0x55; 20]);
        let mut all: Vec<_> = (1..100).map(node).collect();
        all.extend((0..200).map(|n| Node {
            addr: SocketAddr::new(IpAddr::from([198, 51, 100, n as u8]), 1),
            ..sybil(target, n)
        }));
        let mut lookup = Lookup::new(target, &all, None, false);
        run(&mut lookup, &all, |_| false);
        let is_theirs =
            |(node, _): &&(Node, Option<Bytes>)| subnet(node.addr.ip()) == Some(0x00c6_3364);
        assert_eq!(lookup.closest().iter().filter(is_theirs).count(), 2);
    }

    #[test]
    fn a_wide_lookup_goes_out_to_where_the_kth_is_expected() {
        let network: Vec<_> = (1..500).map(node).collect();
        let mut lookup = Lookup::new(NodeId([0x55; 20]), &network, Some(100.0), true);
        run(&mut lookup, &network, |_| false);
        assert_eq!(lookup.closest().len(), STORE_NODES_MAX);
    }

    /// Who may not be asked yet is asked later, others meanwhile; where there are enough it goes on without
    /// him.
    #[test]
    fn who_has_been_asked_much_has_his_turn_later() {
        for (count, is_asked) in [(5, true), (40, false)] {
            let network: Vec<_> = (1..=count).map(node).collect();
            let target = network[3].id;
            let mut lookup = Lookup::new(target, &network, None, false);
            let held = network[3];
            let mut now = Instant::ORIGIN;
            let free_at = now + Duration::from_secs(8);
            let mut asked = Vec::new();
            loop {
                match lookup.next(now, PATIENCE) {
                    Next::Ask(node) if node == held && now < free_at => {
                        lookup.postpone(now, node.addr, now + Duration::from_millis(700));
                    }
                    Next::Ask(node) => {
                        asked.push(node);
                        lookup.answered(node.addr, node.id, None, &[]);
                    }
                    Next::Wait(until) => now = until,
                    Next::Done => break,
                }
            }
            assert_eq!(asked.contains(&held), is_asked, "of {count}");
            assert!(asked.len() >= 4 && (now < free_at) != is_asked);
        }
    }

    #[test]
    fn who_is_not_who_he_was_said_to_be_is_who_he_is() {
        let target = NodeId([0x55; 20]);
        let said = sybil(target, 7);
        let mut lookup = Lookup::new(target, &[said], None, false);
        assert_eq!(lookup.next(Instant::ORIGIN, PATIENCE), Next::Ask(said));
        lookup.answered(said.addr, NodeId([0xaa; 20]), None, &[]);
        assert_eq!(lookup.closest()[0].0.id, NodeId([0xaa; 20]));
    }

    proptest! {
        /// It ends, with bounded memory, whatever nodes say and whoever is dead.
        #[test]
        fn it_ends(seed: u64, dead in 0u32..=100, size: Option<u32>, wide: bool) {
            let mut rng = Rng::new(Seed::from_u64(seed));
            let target = NodeId::random(&mut rng);
            let start: Vec<_> = (0..rng.below(20) as u32).map(node).collect();
            let mut lookup = Lookup::new(target, &start, size.map(f64::from), wide);
            let mut now = Instant::ORIGIN;
            let mut steps = 0;
            loop {
                steps += 1;
                prop_assert!(steps < 1_000);
                prop_assert!(lookup.nodes.len() <= LOOKUP_NODES_MAX);
                prop_assert!(lookup.nodes.is_sorted_by_key(|candidate| candidate.distance));
                match lookup.next(now, PATIENCE) {
                    Next::Ask(asked) if rng.below(100) >= dead.into() => {
                        let named: Vec<_> = (0..40)
                            .map(|_| rng.next_u32())
                            .map(|n| if n % 2 == 0 { node(n) } else { sybil(target, n) })
                            .collect();
                        let id = if rng.chance(0.1) { NodeId::random(&mut rng) } else { asked.id };
                        lookup.answered(asked.addr, id, None, &named);
                    }
                    Next::Ask(asked) if rng.chance(0.5) => lookup.failed(asked.addr),
                    Next::Ask(_) => {}
                    Next::Wait(until) => now = until,
                    Next::Done => break,
                }
            }
            prop_assert!(lookup.closest().len() <= STORE_NODES_MAX);
        }
    }
}
