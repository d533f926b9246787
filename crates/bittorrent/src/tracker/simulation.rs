//! Our announcers and clients against our tracker, over HTTP and UDP, on a network that loses,
//! repeats and reorders packets, with somebody on it who forges them.

use super::announcer::{self, AnnounceId};
use super::udp::{self, RequestId, RetryPolicy};
use super::{
    AnnounceRequest, Announcer, AnnouncerConfig, Scheme, Server, ServerConfig, TrackerError, http,
};
use crate::types::{InfoHashes, PeerId};
use althing_base::hash::Sha256;
use althing_base::time::Duration;
use althing_base::{Instant, Machine, Rng, Seed, Sha1Digest, Sha256Digest};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

const HASH: Sha1Digest = Sha1Digest([1; 20]);
const TRACKER: ([u8; 4], u16) = ([192, 0, 2, 1], 6969);
/// Nobody listens there; whoever hears of it has believed the forger.
const NOBODY: [u8; 4] = [203, 0, 113, 66];

/// What happens later.
enum Event {
    Packet {
        from: SocketAddr,
        to: SocketAddr,
        packet: Vec<u8>,
    },
    HttpReply {
        node: usize,
        id: AnnounceId,
        body: Vec<u8>,
    },
    HttpTimeout {
        node: usize,
        id: AnnounceId,
    },
    /// Each node looks whether it knows enough peers.
    LookAround,
}

struct Node {
    announcer: Announcer,
    udp: udp::Client,
    addr: SocketAddr,
    found: BTreeSet<SocketAddr>,
}

struct World {
    rng: Rng,
    now: Instant,
    later: BTreeMap<(Instant, u64), Event>,
    events: u64,
    log: Sha256,
    server: Server,
    nodes: Vec<Node>,
    loss: f64,
    forger: bool,
}

impl World {
    fn new(seed: u64, nodes: u8, loss: f64, forger: bool) -> Self {
        let seed = Seed::from_u64(seed);
        let config = ServerConfig { interval: Duration::from_secs(300), ..Default::default() };
        let node = |index: u8| {
            let scheme = if index.is_multiple_of(2) { "udp" } else { "http" };
            let config = AnnouncerConfig {
                info_hashes: InfoHashes::v1_only(HASH),
                tiers: vec![vec![format!("{scheme}://192.0.2.1:6969/announce")]],
                private: false,
                peer_id: PeerId([index; 20]),
                port: 7716,
                families: Vec::new(),
            };
            Node {
                announcer: Announcer::new(&config, seed.fork("announcer", index.into())),
                udp: udp::Client::new(RetryPolicy::default(), seed.fork("udp", index.into())),
                addr: ([10, 0, 0, index], 7716).into(),
                found: BTreeSet::new(),
            }
        };
        World {
            rng: Rng::new(seed.fork("network", 0)),
            now: Instant::ORIGIN + Duration::from_secs(1),
            later: BTreeMap::new(),
            events: 0,
            log: Sha256::new(),
            server: Server::new(config, seed.fork("server", 0)),
            nodes: (0..nodes).map(node).collect(),
            loss,
            forger,
        }
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.events += 1;
        self.later.insert((self.now + after, self.events), event);
    }

    /// A while, up to two seconds, so that packets overtake one another.
    fn delay(&mut self) -> Duration {
        Duration::from_millis(10 + self.rng.below(2000))
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        self.log.update(packet);
        while !self.rng.chance(self.loss) {
            let after = self.delay();
            self.schedule(after, Event::Packet { from, to, packet: packet.to_vec() });
            if !self.rng.chance(0.1) {
                break;
            }
        }
        if self.forger {
            self.forge(from, to, packet);
        }
    }

    /// The forger sees some packets but cannot receive for others: it answers in the tracker's name
    /// with numbers that it guesses, in its own name with those it saw, and announces in the name of
    /// others.
    fn forge(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        let mut answer = vec![0, 0, 0, self.rng.below(4) as u8];
        let liar = SocketAddr::from(([192, 0, 2, 66], 6969));
        let (name, transaction) = if self.rng.chance(0.5) {
            (TRACKER.into(), self.rng.next_u32().to_be_bytes().to_vec())
        } else {
            (liar, packet.get(12..16).unwrap_or(&[0; 4]).to_vec())
        };
        answer.extend(transaction);
        answer.extend([0; 12]);
        answer.extend(NOBODY);
        answer.extend([0x1a, 0xe1]);
        if to == TRACKER.into() {
            let after = self.delay();
            self.schedule(after, Event::Packet { from: name, to: from, packet: answer });
            let announce = udp::Request::Announce {
                connection: self.rng.next_u64(),
                transaction: 1,
                request: AnnounceRequest::new(HASH, PeerId([66; 20]), 6881),
                target: Vec::new(),
            };
            let after = self.delay();
            let (from, packet) = ((NOBODY, 6881).into(), announce.encode());
            self.schedule(after, Event::Packet { from, to, packet });
        }
    }

    fn announcer(&mut self, node: usize, input: announcer::Input) {
        self.nodes[node].announcer.handle_input(self.now, input);
        self.settle(node);
    }

    fn udp(&mut self, node: usize, input: udp::Input) {
        self.nodes[node].udp.handle_input(self.now, input);
        self.settle(node);
    }

    /// Drains both machines of a node.
    fn settle(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].announcer.poll_output() {
            self.announcer_output(node, output);
        }
        while let Some(output) = self.nodes[node].udp.poll_output() {
            let id = |id: RequestId| AnnounceId(id.0);
            let input = match output {
                udp::Output::Send { to, packet } => {
                    let from = self.nodes[node].addr;
                    self.send(from, to, &packet);
                    continue;
                }
                udp::Output::Announced { id: request, response } => {
                    announcer::Input::Response { id: id(request), response }
                }
                udp::Output::Failed { id: request, error } => {
                    announcer::Input::Failed { id: id(request), error }
                }
                udp::Output::Scraped { .. } => continue,
            };
            self.announcer(node, input);
        }
    }

    fn announcer_output(&mut self, node: usize, output: announcer::Output) {
        match output {
            announcer::Output::Announce { id, url, request, .. } => {
                let ip: IpAddr = url.host().parse().expect("an address");
                match url.scheme() {
                    Scheme::Udp => {
                        let (tracker, target) = ((ip, url.port()).into(), url.target().into());
                        let id = RequestId(id.0);
                        let announce = udp::Input::Announce { id, tracker, target, request };
                        self.nodes[node].udp.handle_input(self.now, announce);
                    }
                    Scheme::Http | Scheme::Https => {
                        let text = http::announce_url(&url, &request);
                        self.get(node, id, &text["http://192.0.2.1:6969".len()..]);
                    }
                }
            }
            announcer::Output::Cancel { id } => {
                let id = RequestId(id.0);
                self.nodes[node].udp.handle_input(self.now, udp::Input::Cancel { id });
            }
            announcer::Output::PeersFound { peers } => self.nodes[node].found.extend(peers),
            announcer::Output::TrackerChanged => {}
            announcer::Output::ExternalAddress { ip, .. } => {
                assert_eq!(ip, self.nodes[node].addr.ip());
            }
        }
    }

    fn get(&mut self, node: usize, id: AnnounceId, target: &str) {
        self.log.update(target.as_bytes());
        if self.rng.chance(self.loss) {
            self.schedule(Duration::from_secs(30), Event::HttpTimeout { node, id });
        } else {
            let reply = self.server.handle_get(self.now, self.nodes[node].addr, target.as_bytes());
            let after = self.delay();
            self.schedule(after, Event::HttpReply { node, id, body: reply.body });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { from, to, packet } if to == TRACKER.into() => {
                if let Some(answer) = self.server.handle_packet(self.now, from, &packet) {
                    self.send(to, from, &answer);
                }
            }
            Event::Packet { from, to, packet } => {
                if let Some(node) = self.nodes.iter().position(|node| node.addr == to) {
                    self.udp(node, udp::Input::Packet { from, packet: Bytes::from(packet) });
                }
            }
            Event::HttpReply { node, id, body } => {
                let input = match http::parse_announce(&body) {
                    Ok(response) => announcer::Input::Response { id, response },
                    Err(error) => announcer::Input::Failed { id, error },
                };
                self.announcer(node, input);
            }
            Event::HttpTimeout { node, id } => {
                let error = TrackerError::TimedOut;
                self.announcer(node, announcer::Input::Failed { id, error });
            }
            Event::LookAround => {
                for node in 0..self.nodes.len() {
                    if self.nodes[node].found.len() < self.nodes.len() - 1 {
                        self.announcer(node, announcer::Input::NeedPeers);
                    }
                }
                self.schedule(Duration::from_secs(10), Event::LookAround);
            }
        }
    }

    /// Goes to whatever comes next, if it comes before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let event = self.later.keys().next().map(|(at, _)| *at);
        let timers = self.nodes.iter().flat_map(|node| {
            let announcer = node.announcer.poll_timeout().map(|(at, _)| at);
            announcer.into_iter().chain(node.udp.poll_timeout().map(|(at, _)| at))
        });
        let server = self.server.poll_timeout().map(|(at, _)| at);
        let Some(next) = timers.chain(event).chain(server).min().filter(|at| *at <= end) else {
            return false;
        };
        assert!(self.now <= next, "time goes forward");
        self.now = next;
        self.log.update(&next.as_nanos().to_be_bytes());
        if event == Some(next)
            && let Some((_, event)) = self.later.pop_first()
        {
            self.happen(event);
        }
        self.server.handle_timeout(self.now);
        for node in 0..self.nodes.len() {
            self.nodes[node].announcer.handle_timeout(self.now);
            self.settle(node);
            self.nodes[node].udp.handle_timeout(self.now);
            self.settle(node);
        }
        true
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    fn start(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.announcer(node, announcer::Input::Start));
        self.schedule(Duration::from_secs(10), Event::LookAround);
    }

    fn stop(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.announcer(node, announcer::Input::Stop));
    }

    /// How many nodes know each other. Nobody else is ever heard of.
    fn acquainted(&self) -> usize {
        let all: BTreeSet<_> = self.nodes.iter().map(|node| node.addr).collect();
        let knows_all = |node: &&Node| {
            // A tracker that lists a node under another's id would name it to itself.
            assert!(node.found.is_subset(&all), "{:?}", node.found);
            node.found.len() >= all.len() - 1
        };
        self.nodes.iter().filter(knows_all).count()
    }
}

fn run(seed: u64, nodes: u8, loss: f64, forger: bool, time: Duration) -> (usize, Sha256Digest) {
    let mut world = World::new(seed, nodes, loss, forger);
    world.start();
    world.run(time);
    assert_eq!(world.server.peer_count(), nodes.into(), "seed {seed}");
    let acquainted = world.acquainted();
    world.stop();
    world.run(Duration::from_secs(1200));
    assert_eq!(world.server.peer_count(), 0, "seed {seed}");
    (acquainted, world.log.finish())
}

#[test]
fn on_a_good_network_all_meet_at_once() {
    // The last ones hear of all; the first ones when they ask again a minute later.
    let (acquainted, _) = run(1, 20, 0.0, false, Duration::from_secs(70));
    assert_eq!(acquainted, 20);
}

#[test]
fn on_a_bad_one_all_meet_in_the_end() {
    for seed in 0..20 {
        let (acquainted, _) = run(seed, 12, 0.3, true, Duration::from_secs(1800));
        assert_eq!(acquainted, 12, "seed {seed}");
    }
}

#[test]
fn a_seed_reproduces_a_run() {
    let once = || run(42, 10, 0.2, true, Duration::from_secs(600)).1;
    assert_eq!(once(), once());
    assert_ne!(once(), run(43, 10, 0.2, true, Duration::from_secs(600)).1);
}

#[test]
fn a_dead_tracker_is_asked_ever_more_rarely() {
    let mut world = World::new(1, 2, 1.0, false);
    world.start();
    world.run(Duration::from_secs(24 * 3600));
    let events = world.events;
    world.run(Duration::from_secs(24 * 3600));
    // A day's look-arounds, and an attempt about every hour: three packets each for the one over
    // UDP, none of which arrives, and a timeout for the one over HTTP.
    let attempts = world.events - events - 8640;
    assert!(attempts < 30, "{attempts}");
}
