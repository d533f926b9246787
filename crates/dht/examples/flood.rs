//! What a node does under 20,000 hostile datagrams a second, from the bytes of each to the bytes of the
//! answer: processor time, memory, and whether honest ones are still answered.
//!
//! ```text
//! cargo run --release -p althing-dht --example flood
//! ```
//!
//! The node has a table of a hundred nodes and more, which answer its questions. Each kind of flood lasts 30
//! seconds of the node's time, all of them together another 120; besides, ten of the nodes that it knows and ten
//! strangers ask it something each second. It prints a table as Markdown.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use althing_base::{Instant, Machine as _, Rng, Seed};
use althing_dht::wire::{
    AnnouncedPort, Body, Item, Message, Mutable, Node, ParseError, Query, Response, Want,
};
use althing_dht::{Config, Dht, Input, NodeId, Output};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Hostile datagrams a second.
const PER_S: u64 = 20_000;

/// Questions a second of nodes that it knows, and of honest strangers.
const HONEST_PER_S: u64 = 10;

/// Addresses from which a flood comes that has so many: four a second each, less than what is banned.
const MANY: u32 = 5_000;

const FRIENDS: u32 = 400;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OneAddress,
    ManyAddresses,
    Forged,
    Malformed,
    Replayed,
    RandomHashes,
    Oversized,
    Items,
    All,
}

const KINDS: [(Kind, &str, u64); 9] = [
    (Kind::OneAddress, "find_node from one address", 30),
    (Kind::ManyAddresses, "get_peers from 5,000 addresses", 30),
    (Kind::Forged, "find_node from forged senders, each once", 30),
    (Kind::Malformed, "no messages: garbage, cut off, lists in lists", 30),
    (Kind::Replayed, "announces with somebody else's token", 30),
    (Kind::RandomHashes, "announces of random hashes, 5,000 addresses, right tokens", 30),
    (Kind::Oversized, "items of more than 1,000 bytes", 30),
    (Kind::Items, "items with right tokens and wrong signatures, 5,000 addresses", 30),
    (Kind::All, "all of them", 120),
];

struct Bench {
    dht: Dht,
    rng: Rng,
    now: Instant,
    friends: BTreeMap<SocketAddr, NodeId>,
    /// Tokens that were given out to the many.
    tokens: BTreeMap<SocketAddr, Bytes>,
    strangers: u32,
    /// An item whose signature is wrong.
    item: Mutable,
}

#[derive(Default)]
struct Figures {
    packets: u64,
    cpu: Duration,
    known: (u64, u64),
    strangers: (u64, u64),
    /// Of hostile datagrams whose senders have proven nothing, and of the answers to them.
    bytes_in: u64,
    bytes_out: u64,
}

fn main() {
    let mut bench = Bench::new();
    bench.give_out_tokens(Kind::All);
    println!(
        "| flood of 20,000/s | µs a datagram | of a core | datagrams/s, one core | known nodes answered | \
         strangers answered | bytes out for each in | resident |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: |");
    let before = resident_kib();
    for (kind, name, secs) in KINDS {
        let figures = bench.flood(kind, Duration::from_secs(secs));
        let each = figures.cpu.as_secs_f64() / figures.packets as f64;
        let part = |(answered, asked): (u64, u64)| 100.0 * answered as f64 / asked as f64;
        println!(
            "| {name} | {:.1} | {:.1} % | {:.0} | {:.0} % | {:.0} % | {:.2} | {:+} KiB |",
            each * 1e6,
            each * PER_S as f64 * 100.0,
            1.0 / each,
            part(figures.known),
            part(figures.strangers),
            figures.bytes_out as f64 / figures.bytes_in.max(1) as f64,
            resident_kib() as i64 - before as i64,
        );
    }
    println!("\nafterwards: {:?}", bench.dht.stats());
}

impl Bench {
    fn new() -> Bench {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut config = Config::new(Seed::from_u64(2));
        config.v6 = false;
        let now = Instant::ORIGIN;
        let friends = (0..FRIENDS).map(|n| {
            let addr = address(n);
            (addr, NodeId::for_address(addr.ip(), &mut rng))
        });
        let friends: BTreeMap<_, _> = friends.collect();
        let item = Mutable::sign(&[1; 32], Bytes::new(), 1, Bytes::from_static(b"2:hi"));
        let mut bench = Bench {
            dht: Dht::new(now, config),
            rng,
            now,
            friends,
            tokens: BTreeMap::new(),
            strangers: 0,
            item: Mutable { seq: 2, ..item },
        };
        bench.dht.handle_input(now, Input::External(IpAddr::from([203, 0, 113, 9])));
        for some in bench.friends.keys().copied().collect::<Vec<_>>().chunks(200) {
            bench.dht.handle_input(bench.now, Input::Contacts(some.to_vec()));
            for _ in 0..600 {
                bench.now += Duration::from_millis(100);
                bench.dht.handle_timeout(bench.now);
                bench.friends_answer();
            }
        }
        assert!(bench.dht.stats().nodes[0] > 30, "{:?}", bench.dht.stats());
        bench
    }

    /// The nodes that it asks answer, each at once.
    fn friends_answer(&mut self) -> Vec<(SocketAddr, Message)> {
        let mut others = Vec::new();
        while let Some(output) = self.dht.poll_output() {
            let Output::Send { to, message } = output else { continue };
            let (Some(id), Body::Query { query, .. }) = (self.friends.get(&to), &message.body)
            else {
                others.push((to, message));
                continue;
            };
            let mut response = Response::new(*id);
            if let Query::FindNode { target, .. } = **query {
                let mut nodes: Vec<_> =
                    self.friends.iter().map(|(addr, id)| Node { id: *id, addr: *addr }).collect();
                nodes.sort_unstable_by_key(|node| node.id.distance(&target));
                response.nodes = nodes.into_iter().take(8).collect();
            }
            let body = Body::Response(Box::new(response));
            let message = Message { transaction: message.transaction, version: None, body };
            self.dht.handle_input(self.now, Input::Message { from: to, message });
        }
        others
    }

    /// Hands over a datagram as the driver does; the bytes of the answers to its sender, if it is a question.
    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let input = match Message::parse(bytes) {
            Ok(message) => Input::Message { from, message },
            Err(ParseError::BadQuery { transaction, refusal }) => {
                Input::BadQuery { from, transaction, refusal }
            }
            Err(_) => return Vec::new(),
        };
        self.dht.handle_input(self.now, input);
        let mut answers = Vec::new();
        for (to, message) in self.friends_answer() {
            let bytes = message.encode();
            if to == from && !matches!(message.body, Body::Query { .. }) {
                answers.push(bytes);
            }
        }
        answers
    }

    fn flood(&mut self, kind: Kind, time: Duration) -> Figures {
        let mut figures = Figures::default();
        let until = self.now + time;
        let mut number = 0u64;
        while self.now < until {
            self.give_out_tokens(kind);
            let hostile: Vec<_> =
                (0..PER_S / 100).map(|n| self.hostile(kind, number + n)).collect();
            number += hostile.len() as u64;
            let honest_at = self.rng.index(hostile.len() * (100 / HONEST_PER_S) as usize);
            let mut began = cpu_time();
            for (n, (from, bytes, proven)) in hostile.iter().enumerate() {
                self.wait();
                let answers = self.datagram(*from, bytes);
                if !proven {
                    figures.bytes_in += bytes.len() as u64;
                    figures.bytes_out += answers.iter().map(Vec::len).sum::<usize>() as u64;
                }
                if n == honest_at {
                    figures.cpu += cpu_time() - began;
                    self.wait();
                    self.honest(&mut figures);
                    began = cpu_time();
                }
            }
            self.dht.handle_timeout(self.now);
            self.friends_answer();
            figures.cpu += cpu_time() - began;
            figures.packets += hostile.len() as u64;
        }
        figures
    }

    /// Until the next datagram comes: they do not keep step.
    fn wait(&mut self) {
        self.now += Duration::from_nanos(self.rng.below(2_000_000_000 / PER_S));
    }

    /// One who is known asks, and one who is not.
    fn honest(&mut self, figures: &mut Figures) {
        let known = self.dht.save().nodes;
        let Some(friend) = self.rng.choose(&known).copied() else { return };
        let info_hash = NodeId::random(&mut self.rng);
        let bytes = question(friend.id, get_peers(info_hash));
        figures.known.1 += 1;
        figures.known.0 += u64::from(!self.datagram(friend.addr, &bytes).is_empty());
        self.strangers += 1;
        let stranger = address(2_000_000_000 + self.strangers);
        let bytes =
            question(NodeId::for_address(stranger.ip(), &mut self.rng), get_peers(info_hash));
        figures.strangers.1 += 1;
        figures.strangers.0 += u64::from(!self.datagram(stranger, &bytes).is_empty());
    }

    /// Before a flood that needs them, and every five minutes.
    fn give_out_tokens(&mut self, kind: Kind) {
        if !matches!(kind, Kind::RandomHashes | Kind::Items | Kind::Replayed | Kind::All) {
            return;
        }
        let secs = self.now.as_nanos() / 1_000_000_000;
        if !self.tokens.is_empty() && !secs.is_multiple_of(250) {
            return;
        }
        for n in 0..MANY {
            // Slowly, so that each is answered.
            if n.is_multiple_of(20) {
                self.now += Duration::from_millis(10);
            }
            let from = many(n);
            let id = NodeId::random(&mut self.rng);
            let answers = self.datagram(from, &question(id, get_peers(id)));
            if let Some(Ok(message)) = answers.first().map(|bytes| Message::parse(bytes))
                && let Body::Response(response) = message.body
                && let Some(token) = response.token
            {
                self.tokens.insert(from, token);
            }
        }
        self.now += Duration::from_secs(10);
    }

    /// A hostile datagram, and whether its sender has proven that he is there.
    fn hostile(&mut self, kind: Kind, n: u64) -> (SocketAddr, Vec<u8>, bool) {
        let target = NodeId::random(&mut self.rng);
        let id = NodeId::random(&mut self.rng);
        let want = Want::default();
        let one = many((n % u64::from(MANY)) as u32);
        let token = self.tokens.get(&one).cloned().unwrap_or_default();
        let announce = |token| Query::AnnouncePeer {
            info_hash: target,
            port: AnnouncedPort::Given(1),
            token,
            seed: false,
        };
        match kind {
            Kind::OneAddress => {
                (address(u32::MAX), question(id, Query::FindNode { target, want }), false)
            }
            Kind::ManyAddresses => (one, question(id, get_peers(target)), false),
            Kind::Forged => {
                let from = address(self.rng.next_u32());
                (from, question(id, Query::FindNode { target, want }), false)
            }
            Kind::Malformed => {
                let from = address(self.rng.next_u32());
                let bytes = match n % 4 {
                    0 => {
                        let mut bytes = vec![0; 100];
                        self.rng.fill(&mut bytes);
                        bytes
                    }
                    1 => {
                        let mut bytes = question(id, get_peers(target));
                        bytes.truncate(self.rng.index(bytes.len()));
                        bytes
                    }
                    2 => [vec![b'd'], b"1:a".to_vec(), vec![b'l'; 1_000]].concat(),
                    // A question that lacks what it is about.
                    _ => [b"d1:ad2:id20:".as_slice(), &id.0, b"e1:q9:get_peers1:t2:aa1:y1:qe"]
                        .concat(),
                };
                (from, bytes, false)
            }
            Kind::Replayed => {
                let from = address(self.rng.next_u32());
                (from, question(id, announce(token)), false)
            }
            Kind::RandomHashes => (one, question(id, announce(token)), true),
            Kind::Oversized => {
                let from = address(self.rng.next_u32());
                let value = Bytes::from(format!("1100:{}", "x".repeat(1_100)));
                let item = Item::Immutable { value };
                (from, question(id, Query::Put { token, item, cas: None }), false)
            }
            Kind::Items => {
                let item = Item::Mutable(self.item.clone());
                (one, question(id, Query::Put { token, item, cas: None }), true)
            }
            Kind::All => {
                let kinds = KINDS.len() as u64 - 1;
                let (kind, _, _) = KINDS[(n % kinds) as usize];
                self.hostile(kind, n / kinds)
            }
        }
    }
}

fn get_peers(info_hash: NodeId) -> Query {
    Query::GetPeers { info_hash, want: Want::default(), no_seeds: false, scrape: false }
}

fn question(from: NodeId, query: Query) -> Vec<u8> {
    let body = Body::Query { from, read_only: false, query: Box::new(query) };
    Message { transaction: Bytes::from_static(b"abcd"), version: None, body }.encode()
}

/// A public address, by number.
fn address(n: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((n.wrapping_mul(2_654_435_761) | 0x8000_0000).to_be_bytes()), 6881)
}

/// One of the many.
fn many(n: u32) -> SocketAddr {
    address(1_000_000_000 + n)
}

/// Processor time of this thread; of the clock where the system does not say.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).unwrap_or_else(|| {
        let since = std::time::SystemTime::UNIX_EPOCH;
        since.elapsed().unwrap_or_default()
    })
}

/// KiB of memory; 0 where the system does not say.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}
