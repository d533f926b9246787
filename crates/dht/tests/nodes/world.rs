//! A small network of nodes in memory: delays, dead nodes, and nodes that answer with lies.

use althing_base::{Instant, Machine, Rng, Seed};
use althing_dht::wire::{Body, Message, Node, Query, Response};
use althing_dht::{Config, Cost, Dht, Find, Goal, Input, NodeId, Output, SearchId};
use bytes::Bytes;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// All of it.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) nodes: Vec<Host>,
    by_addr: BTreeMap<SocketAddr, usize>,
    events: BinaryHeap<std::cmp::Reverse<(Instant, u64, Event)>>,
    next_event: u64,
    next_search: u64,
    /// One way, at the least and at the most.
    pub(crate) delay_ms: (u64, u64),
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
}

/// A node and what it said.
pub(crate) struct Host {
    pub(crate) addr: SocketAddr,
    pub(crate) kind: Kind,
    pub(crate) alive: bool,
    pub(crate) said: Vec<Output>,
    /// It is busy: what it says goes out so much later.
    pub(crate) lag: Duration,
    wake: Option<Instant>,
}

/// What a host is.
pub(crate) enum Kind {
    /// One of ours.
    Dht(Box<Dht>),
    /// One that has the name it likes, and names nobody but its friends.
    Sybil { id: NodeId, friends: Vec<Node> },
}

#[derive(PartialEq, Eq)]
enum Event {
    Arrives { from: SocketAddr, to: usize, message: Box<Message> },
    Wakes(usize),
}

// Never compared: the number before it is unique.
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl World {
    /// A network of `count` nodes, all of which have joined.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut world = World {
            now: Instant::ORIGIN,
            rng: Rng::new(Seed::from_u64(seed)),
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            events: BinaryHeap::new(),
            next_event: 0,
            next_search: 0,
            delay_ms: (10, 100),
            sent: 0,
            sent_bytes: 0,
        };
        for at in 0..count {
            world.join();
            if at % 8 == 7 {
                world.run(Duration::from_millis(200));
            }
        }
        world.run(Duration::from_secs(90));
        world
    }

    /// A node's address: public, and in a network of its own.
    pub(crate) fn address(&mut self) -> SocketAddr {
        loop {
            let [a, b, c, d] = self.rng.next_u32().to_be_bytes();
            let addr = SocketAddr::from(([a % 100 + 11, b, c, d], 6881));
            if !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    /// One more node joins through one that is there.
    pub(crate) fn join(&mut self) -> usize {
        let addr = self.address();
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let mut config = Config::new(Seed(seed));
        config.v6 = false;
        let at = self.add(addr, Kind::Dht(Box::new(Dht::new(self.now, config))));
        self.tell(at, Input::External(addr.ip()));
        if at > 0 {
            let known = self.rng.index(at);
            let contacts = vec![self.nodes[known].addr];
            self.tell(at, Input::Contacts(contacts));
        }
        at
    }

    pub(crate) fn add(&mut self, addr: SocketAddr, kind: Kind) -> usize {
        let at = self.nodes.len();
        self.by_addr.insert(addr, at);
        self.nodes.push(Host {
            addr,
            kind,
            alive: true,
            said: Vec::new(),
            lag: Duration::ZERO,
            wake: None,
        });
        at
    }

    pub(crate) fn dht(&self, at: usize) -> &Dht {
        match &self.nodes[at].kind {
            Kind::Dht(dht) => dht,
            _ => panic!("{at} is no node of ours"),
        }
    }

    pub(crate) fn tell(&mut self, at: usize, input: Input) {
        let now = self.now;
        let Kind::Dht(dht) = &mut self.nodes[at].kind else { panic!("{at} is no node of ours") };
        dht.handle_input(now, input);
        self.drain(at);
    }

    /// A datagram from anywhere, which need not be where its sender is.
    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, message: &Message) {
        self.sent += 1;
        let bytes = message.encode();
        self.sent_bytes += bytes.len() as u64;
        assert!(bytes.len() <= 1_400, "{} bytes", bytes.len());
        let message = Box::new(Message::parse(&bytes).expect("it is one"));
        let Some(to) = self.by_addr.get(&to).copied() else { return };
        let (least, most) = self.delay_ms;
        let lag = self.by_addr.get(&from).map_or(Duration::ZERO, |from| self.nodes[*from].lag);
        let delay = lag + Duration::from_millis(least + self.rng.below(most - least + 1));
        self.schedule(self.now + delay, Event::Arrives { from, to, message });
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.events.push(std::cmp::Reverse((at, self.next_event, event)));
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.events.peek()
            && next.0.0 <= until
        {
            let (at, _, event) = self.events.pop().expect("it was there").0;
            self.now = self.now.max(at);
            match event {
                Event::Arrives { from, to, message } => self.arrive(from, to, *message),
                Event::Wakes(node) => self.wake(node),
            }
        }
        self.now = until;
    }

    fn wake(&mut self, at: usize) {
        let now = self.now;
        let host = &mut self.nodes[at];
        if host.wake.is_some_and(|wake| wake <= now) {
            host.wake = None;
            if let (Kind::Dht(dht), true) = (&mut host.kind, host.alive) {
                dht.handle_timeout(now);
                self.drain(at);
            }
        }
    }

    fn arrive(&mut self, from: SocketAddr, to: usize, message: Message) {
        let now = self.now;
        let host = &mut self.nodes[to];
        if !host.alive {
            return;
        }
        match &mut host.kind {
            Kind::Dht(dht) => {
                dht.handle_input(now, Input::Message { from, message });
                self.drain(to);
            }
            Kind::Sybil { id, friends } => {
                let Body::Query { query, .. } = &message.body else { return };
                let mut response = Response::new(*id);
                if !matches!(**query, Query::Ping) {
                    let start = self.rng.index(friends.len());
                    let circle = friends.iter().cycle().skip(start);
                    response.nodes = circle.take(8).copied().collect();
                    response.token = Some(Bytes::from_static(b"whatever"));
                }
                let addr = host.addr;
                let body = Body::Response(Box::new(response));
                let answer = Message { transaction: message.transaction, version: None, body };
                self.send(addr, from, &answer);
            }
        }
    }

    fn drain(&mut self, at: usize) {
        let addr = self.nodes[at].addr;
        loop {
            let Kind::Dht(dht) = &mut self.nodes[at].kind else { return };
            match dht.poll_output() {
                Some(Output::Send { to, message }) => self.send(addr, to, &message),
                Some(Output::External { .. } | Output::Crawled { .. }) => {}
                Some(output) => self.nodes[at].said.push(output),
                None => break,
            }
        }
        let Kind::Dht(dht) = &self.nodes[at].kind else { return };
        let wake = dht.poll_timeout().map(|(wake, _)| wake.max(self.now));
        if wake != self.nodes[at].wake {
            self.nodes[at].wake = wake;
            if let Some(wake) = wake {
                self.schedule(wake, Event::Wakes(at));
            }
        }
    }

    /// Searches, and says what was found, and what it took.
    pub(crate) fn search(&mut self, at: usize, goal: Goal) -> (Vec<Find>, Cost) {
        let search = SearchId(self.next_search);
        self.next_search += 1;
        self.nodes[at].said.clear();
        self.tell(at, Input::Search { search, goal });
        for _ in 0..600 {
            let ended = self.nodes[at].said.iter().find_map(|said| match said {
                Output::Done { search: done, cost } if *done == search => Some(*cost),
                _ => None,
            });
            if let Some(cost) = ended {
                let found = self.nodes[at].said.drain(..).filter_map(|said| match said {
                    Output::Found { what, .. } => Some(what),
                    _ => None,
                });
                return (found.collect(), cost);
            }
            self.run(Duration::from_millis(100));
        }
        panic!("a search that does not end");
    }

    pub(crate) fn random_id(&mut self) -> NodeId {
        NodeId::random(&mut self.rng)
    }

    /// Somebody alive, at random.
    pub(crate) fn anybody(&mut self) -> usize {
        loop {
            let at = self.rng.index(self.nodes.len());
            if self.nodes[at].alive && matches!(self.nodes[at].kind, Kind::Dht(_)) {
                return at;
            }
        }
    }

    /// A crowd around a key: `count` names next to it, at addresses all over the Internet, which make
    /// themselves known to everybody.
    pub(crate) fn crowd(&mut self, key: NodeId, count: usize) {
        let friends: Vec<_> = (0..count)
            .map(|n| {
                let mut id = key;
                id.0[10..14].copy_from_slice(&(n as u32).to_be_bytes());
                Node { id, addr: self.address() }
            })
            .collect();
        let honest: Vec<_> = self.nodes.iter().map(|host| host.addr).collect();
        for node in &friends {
            let kind = Kind::Sybil { id: node.id, friends: friends.clone() };
            self.add(node.addr, kind);
        }
        for round in 0..20 {
            for (n, node) in friends.iter().enumerate() {
                let to = honest[(n * 7 + round * 13) % honest.len()];
                let query = Box::new(Query::FindNode { target: key, want: Default::default() });
                let body = Body::Query { from: node.id, read_only: false, query };
                let transaction = Bytes::from_static(b"sy");
                self.send(node.addr, to, &Message { transaction, version: None, body });
            }
            self.run(Duration::from_secs(5));
        }
    }
}

/// An address, by number.
pub(crate) fn public(n: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((n.wrapping_mul(2_654_435_761) | 0x8000_0000).to_be_bytes()), 6881)
}
