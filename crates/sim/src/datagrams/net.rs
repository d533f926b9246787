//! The nodes, their addresses, and the datagrams that are under way.

use super::crawl::Listening;
use super::crowd::Crowd;
use super::driven::Driven;
use super::search::Watch;
use crate::digest::EventHash;
use crate::limits::{
    DHT_SETTLE, LATENCY_MAX, LATENCY_MIN, NAT_MAPPING, NAT_MAPPINGS_MAX, WAKES_AT_ONCE_MAX,
};
use crate::node::{NEVER, NodeIndex, mix};
use crate::queue::Queue;
use althing_base::time::Duration;
use althing_base::{Instant, Machine as _, Rng, Seed};
use althing_dht::crawl::CrawlStats;
use althing_dht::wire::{Body, Message, Query};
use althing_dht::{Config, Dht, Input, NodeId, Output, Stats};
use std::collections::HashMap;
use std::net::SocketAddr;

/// What the network is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// Which part of all datagrams is lost.
    pub loss: f64,
    /// Which part of the nodes is behind a NAT that lets in only who was written to in the last half
    /// minute. They do not know it, so that they are in tables and do not answer.
    pub behind_nat: f64,
}

/// What has been sent, by all or by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Their bytes without headers, as each sixteenth of them lets expect.
    pub bytes: u64,
}

/// A network. See the [module](super).
pub struct Net {
    pub(super) now: Instant,
    pub(super) rng: Rng,
    pub(super) hosts: Vec<Host>,
    pub(super) crowds: Vec<Crowd>,
    pub(super) next_search: u64,
    /// Searches under way.
    pub(super) open: usize,
    /// Somebody all of whose messages are written down.
    pub(super) overheard: Option<Overheard>,
    /// Somebody who crawls.
    pub(super) listening: Option<Listening>,
    /// What another network has to do with it.
    pub(super) driven: Option<Box<Driven>>,
    conditions: Conditions,
    /// From it the delay between two hosts follows.
    map: u64,
    by_addr: HashMap<SocketAddr, NodeIndex>,
    pub(super) queue: Queue<Event>,
    traffic: Traffic,
    hash: EventHash,
}

/// What one node sent.
pub(super) struct Overheard {
    pub(super) who: NodeIndex,
    /// When, and to whom.
    pub(super) sent: Vec<(Instant, NodeIndex)>,
    /// When peers of a torrent were asked for, and of which.
    pub(super) searched: Vec<(Instant, NodeId)>,
}

pub(super) struct Host {
    pub(super) addr: SocketAddr,
    pub(super) kind: Kind,
    pub(super) alive: bool,
    /// Whom it wrote to lately, if it is behind a NAT.
    nat: Option<Vec<(NodeIndex, Instant)>>,
    pub(super) watch: Option<Box<Watch>>,
    /// When it is next to be woken, as far as the queue knows.
    wake: Instant,
    wakes_at_once: u32,
}

pub(super) enum Kind {
    Honest(Box<Dht>),
    /// One of a crowd, and its name.
    Sybil(super::CrowdId, NodeId),
}

/// Each so many messages one is written and parsed.
const ENCODED_EACH: u64 = 16;

/// How long it takes until a twentieth of the nodes has joined besides: everybody's first lookups end
/// within.
const JOIN_STEP: Duration = Duration::from_millis(700);

/// Nodes whose addresses one who joins is given.
const BOOTSTRAP_NODES: usize = 3;

pub(super) enum Event {
    Arrives { from: NodeIndex, to: NodeIndex, message: Box<Message> },
    Wakes(NodeIndex),
}

impl Net {
    /// A network of `count` nodes that have joined one after the other, each through three of those that
    /// were there, and have had two minutes since.
    pub fn new(seed: u64, count: usize, conditions: Conditions) -> Net {
        let mut net = Net::empty(seed, conditions);
        net.grow(count);
        net
    }

    /// A network in which nobody is.
    pub(super) fn empty(seed: u64, conditions: Conditions) -> Net {
        let mut rng = Rng::new(Seed::from_u64(seed).fork("datagrams", 0));
        Net {
            now: Instant::ORIGIN,
            map: rng.next_u64(),
            rng,
            hosts: Vec::new(),
            crowds: Vec::new(),
            next_search: 0,
            open: 0,
            overheard: None,
            listening: None,
            driven: None,
            conditions,
            by_addr: HashMap::new(),
            queue: Queue::default(),
            traffic: Traffic::default(),
            hash: EventHash::new(),
        }
    }

    /// More nodes join, until there are `count`; then two minutes go by.
    pub fn grow(&mut self, count: usize) {
        while self.hosts.len() < count {
            let step = (self.hosts.len() / 20).clamp(1, count - self.hosts.len());
            for _ in 0..step {
                self.join();
            }
            self.run(JOIN_STEP);
        }
        self.run(DHT_SETTLE);
    }

    /// One more node joins.
    pub fn join(&mut self) -> NodeIndex {
        let addr = self.address();
        let at = self.add_honest(addr);
        let behind_nat = at.0 > 0 && self.rng.chance(self.conditions.behind_nat);
        self.put_behind_nat(at, behind_nat);
        at
    }

    pub(super) fn add_honest(&mut self, addr: SocketAddr) -> NodeIndex {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let mut config = Config::new(Seed(seed));
        config.v6 = false;
        self.add(addr, Kind::Honest(Box::new(Dht::new(self.now, config))))
    }

    /// Says whether somebody who has just joined is behind a NAT, and where he is.
    pub(super) fn put_behind_nat(&mut self, at: NodeIndex, behind_nat: bool) {
        let addr = self.hosts[at.index()].addr;
        self.hosts[at.index()].nat = behind_nat.then(Vec::new);
        self.tell(at, Input::External(addr.ip()));
    }

    /// Somebody is given addresses of nodes that are there and can be reached, as by the names of
    /// bootstrap nodes.
    fn give_contacts(&mut self, to: NodeIndex) {
        let mut contacts = Vec::new();
        // The first node has nobody, and of the second there is one.
        for _ in 0..10 * BOOTSTRAP_NODES {
            let host = &self.hosts[self.rng.index(self.hosts.len())];
            let is_honest = host.alive && matches!(host.kind, Kind::Honest(_));
            let is_other = host.addr != self.hosts[to.index()].addr;
            if is_honest && is_other && host.nat.is_none() && contacts.len() < BOOTSTRAP_NODES {
                contacts.push(host.addr);
            }
        }
        self.tell(to, Input::Contacts(contacts));
    }

    /// A part of the honest nodes is gone without a word.
    pub fn kill(&mut self, part: f64) {
        for at in 0..self.hosts.len() {
            if matches!(self.hosts[at].kind, Kind::Honest(_)) && self.rng.chance(part) {
                self.hosts[at].alive = false;
            }
        }
    }

    /// Time goes by.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// The next thing happens, if it does by then. Says whether something did.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        let Some((at, event)) = self.queue.pop_until(until) else { return false };
        self.now = at;
        match event {
            Event::Arrives { from, to, message } => self.arrive(from, to, *message),
            Event::Wakes(node) => self.wake(node, at),
        }
        true
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What has been sent so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Over everything that has arrived so far: runs with one hash were the same run.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// How many there are, those that are dead or lie included.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Figures of an honest node.
    pub fn stats(&self, at: NodeIndex) -> Option<Stats> {
        self.dht(at).map(Dht::stats)
    }

    /// The honest nodes that are alive.
    pub fn honest(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        let is_honest = |host: &Host| host.alive && matches!(host.kind, Kind::Honest(_));
        let all = self.hosts.iter().zip(0..);
        all.filter(move |(host, _)| is_honest(host)).map(|(_, at)| NodeIndex(at))
    }

    /// An honest node that is alive and searches nothing.
    pub fn anybody(&mut self) -> NodeIndex {
        loop {
            let at = self.rng.index(self.hosts.len());
            let host = &self.hosts[at];
            if host.alive && host.watch.is_none() && matches!(host.kind, Kind::Honest(_)) {
                return NodeIndex(at as u32);
            }
        }
    }

    pub(super) fn dht(&self, at: NodeIndex) -> Option<&Dht> {
        match &self.hosts[at.index()].kind {
            Kind::Honest(dht) => Some(dht),
            Kind::Sybil(..) => None,
        }
    }

    /// A public address, which nobody has, most likely in a network of its own.
    pub(super) fn address(&mut self) -> SocketAddr {
        loop {
            let [a, b, c, d] = self.rng.next_u32().to_be_bytes();
            let addr = SocketAddr::from(([a % 100 + 11, b, c, d], 6881));
            if !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    pub(super) fn add(&mut self, addr: SocketAddr, kind: Kind) -> NodeIndex {
        let at = NodeIndex(self.hosts.len() as u32);
        self.by_addr.insert(addr, at);
        self.hosts.push(Host {
            addr,
            kind,
            alive: true,
            nat: None,
            watch: None,
            wake: NEVER,
            wakes_at_once: 0,
        });
        at
    }

    pub(super) fn tell(&mut self, at: NodeIndex, input: Input) {
        let now = self.now;
        if let Kind::Honest(dht) = &mut self.hosts[at.index()].kind {
            dht.handle_input(now, input);
            self.drain(at);
        }
    }

    pub(super) fn send(&mut self, from: NodeIndex, to: SocketAddr, message: Message) {
        let mut message = message;
        if self.traffic.messages.is_multiple_of(ENCODED_EACH) {
            let bytes = message.encode();
            self.traffic.bytes += ENCODED_EACH * bytes.len() as u64;
            message = Message::parse(&bytes).expect("what a node of ours writes can be read");
        }
        self.traffic.messages += 1;
        let Some(to) = self.by_addr.get(&to).copied() else { return };
        let now = self.now;
        if let Some(overheard) = &mut self.overheard
            && overheard.who == from
        {
            overheard.sent.push((now, to));
            if let Body::Query { query, .. } = &message.body
                && let Query::GetPeers { info_hash, .. } = **query
            {
                overheard.searched.push((now, info_hash));
            }
        }
        let sender = &mut self.hosts[from.index()];
        if let Some(nat) = &mut sender.nat {
            nat.retain(|(node, until)| *node != to && *until > now);
            if nat.len() >= NAT_MAPPINGS_MAX {
                nat.remove(0);
            }
            nat.push((to, now + NAT_MAPPING));
        }
        if let (Body::Query { query, .. }, Some(watch)) = (&message.body, &mut sender.watch) {
            watch.asked(query);
        }
        if let Some(driven) = &mut self.driven
            && !driven.passes(from, to, &message)
        {
            return;
        }
        if self.conditions.loss > 0.0 && self.rng.chance(self.conditions.loss) {
            return;
        }
        let delay = self.delay(from, to);
        self.queue.at(now + delay, Event::Arrives { from, to, message: Box::new(message) });
    }

    /// How long a datagram takes between two hosts, the same both ways.
    fn delay(&self, a: NodeIndex, b: NodeIndex) -> Duration {
        if let Some(driven) = &self.driven {
            return driven.latency(a, b);
        }
        let pair = u64::from(a.min(b).0) << 32 | u64::from(a.max(b).0);
        let mixed = mix(self.map.wrapping_add(pair.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let range = (LATENCY_MAX - LATENCY_MIN).as_nanos() as u64;
        LATENCY_MIN + Duration::from_nanos(mixed % range)
    }

    fn wake(&mut self, node: NodeIndex, at: Instant) {
        let now = self.now;
        let host = &mut self.hosts[node.index()];
        if host.wake != at {
            // It was scheduled before something sooner was.
            return;
        }
        host.wake = NEVER;
        let Kind::Honest(dht) = &mut host.kind else { return };
        if !host.alive {
            return;
        }
        if dht.poll_timeout().is_some_and(|(wake, _)| wake <= now) {
            dht.handle_timeout(now);
        }
        self.drain(node);
    }

    fn arrive(&mut self, from: NodeIndex, to: NodeIndex, message: Message) {
        let now = self.now;
        self.hash.word(now.as_nanos());
        self.hash.word(u64::from(from.0) << 32 | u64::from(to.0));
        let host = &mut self.hosts[to.index()];
        let is_let_in = host
            .nat
            .as_ref()
            .is_none_or(|nat| nat.iter().any(|(node, until)| *node == from && *until > now));
        if !host.alive || !is_let_in {
            return;
        }
        match host.kind {
            Kind::Honest(_) => {
                let from = self.hosts[from.index()].addr;
                self.tell(to, Input::Message { from, message });
            }
            Kind::Sybil(crowd, id) => self.answer_as_sybil(to, from, crowd, id, message),
        }
    }

    /// How the crawl of a node stands.
    pub(super) fn crawl_of(&self, at: NodeIndex) -> Option<CrawlStats> {
        match &self.hosts[at.index()].kind {
            Kind::Honest(dht) => dht.crawl(),
            Kind::Sybil(..) => None,
        }
    }

    fn drain(&mut self, at: NodeIndex) {
        let mut needs_contacts = false;
        loop {
            let host = &mut self.hosts[at.index()];
            let Kind::Honest(dht) = &mut host.kind else { return };
            match dht.poll_output() {
                Some(Output::Send { to, message }) => self.send(at, to, message),
                Some(Output::Found { search, what }) => {
                    if let Some(driven) = &mut self.driven {
                        driven.found(search, what);
                    } else if let Some(watch) = &mut host.watch {
                        watch.found(self.now, search, what);
                    }
                }
                Some(Output::Done { search, cost }) => {
                    if let Some(driven) = &mut self.driven {
                        driven.done(search);
                    }
                    let is_it = |watch: &mut Box<Watch>| watch.done(self.now, search, cost);
                    self.open -= usize::from(host.watch.as_mut().is_some_and(is_it));
                }
                Some(Output::NeedContacts) => needs_contacts = true,
                // What wanted torrents get nobody looks at here.
                Some(Output::External { .. } | Output::Peers { .. }) => {}
                Some(Output::Crawled { info_hash }) => {
                    if let Some(listening) = self.listening.as_mut().filter(|one| one.who == at) {
                        listening.found.insert(info_hash);
                    }
                }
                None => break,
            }
        }
        if needs_contacts {
            self.give_contacts(at);
            return;
        }
        let now = self.now;
        let host = &mut self.hosts[at.index()];
        let Kind::Honest(dht) = &host.kind else { return };
        let Some((wake, reason)) = dht.poll_timeout() else { return };
        if wake <= now {
            host.wakes_at_once += 1;
            assert!(
                host.wakes_at_once <= WAKES_AT_ONCE_MAX,
                "{at:?} wants to be woken again and again for {reason:?}"
            );
        } else {
            host.wakes_at_once = 0;
        }
        let wake = wake.max(now);
        if wake < host.wake {
            host.wake = wake;
            self.queue.at(wake, Event::Wakes(at));
        }
    }
}
