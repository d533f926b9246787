//! A network: who joins, who dies, and how time passes for all.

use super::common::{Common, Face, Places, network, unix};
use super::conduct::Conduct;
use super::crew;
use super::finds::Finds;
use super::lab::Pulse;
use super::mail::{self, Disk};
use super::news::NewsId;
use super::said::{read, verify};
use super::shard::{Host, Shard};
use super::structured::Structured;
use crate::limits::OVERLAY_SETTLE;
use crate::node::{NEVER, NodeIndex};
use althing_base::time::Duration;
use althing_base::{Instant, Rng, Seed, UnixTime};
use althing_overlay::NodeId;
use althing_overlay::io::Input;
use althing_overlay::machine::{Config, Overlay, Stats};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

/// What the network is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// Which part of all messages is lost at first and sent again.
    pub loss: f64,
    /// Which part of the nodes nobody can call.
    pub behind_nat: f64,
    /// Which part of the nodes indexes for others.
    pub supers: f64,
    /// There is a DHT, in which everybody is, too.
    pub dht: bool,
    /// Which part of the nodes neither answers questions nor passes them on, and is as others are besides.
    pub mute: f64,
    /// How it is with mail, if there is any.
    pub mail: Option<mail::Custom>,
}

/// How somebody dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// The process ends: the system closes its links, and refuses calls.
    Closed,
    /// The plug is pulled: nobody is told, and calls are not answered.
    Silent,
}

/// What has been sent, by all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Their bytes, without what a link adds.
    pub bytes: u64,
    /// Things that happened to machines: messages, links, time-outs, answers.
    pub events: u64,
    /// Calls.
    pub dials: u64,
    /// Times that the meeting place was asked.
    pub meetings: u64,
    /// Bytes of what neighbours tell each other of their indexes.
    pub index_bytes: u64,
}

impl Traffic {
    fn and(self, other: Traffic) -> Traffic {
        Traffic {
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
            events: self.events + other.events,
            dials: self.dials + other.dials,
            meetings: self.meetings + other.meetings,
            index_bytes: self.index_bytes + other.index_bytes,
        }
    }
}

/// A network. See the [module](super).
pub struct Net {
    pub(super) now: Instant,
    pub(super) rng: Rng,
    pub(super) common: Common,
    pub(super) shards: Vec<Shard>,
    /// The same hosts' nodes of the DHT.
    dht: Option<Box<Structured>>,
    /// Who published each of the news, and when.
    pub(super) published: Vec<(NodeIndex, Instant)>,
    /// How much has been said in all.
    pub(super) said: u64,
    pulse: Arc<Pulse>,
}

/// How long it takes until a twentieth of the nodes has joined besides.
const JOIN_STEP: Duration = Duration::from_millis(700);

/// Nodes for which a thread of their own is worth while: with fewer the threads wait for one another for longer than they work.
const NODES_A_SHARD: usize = 1_000;

/// The most threads: with more, each has next to nothing to do in a step.
const SHARDS_MAX: usize = 16;

impl Net {
    /// A network of `count` nodes that have joined one after the other through the meeting place, and have
    /// had some time since.
    pub fn new(seed: u64, count: usize, conditions: Conditions) -> Net {
        Net::watched(seed, count, conditions, Arc::default())
    }

    /// The same; how far it is can be seen meanwhile, and later.
    pub(super) fn watched(
        seed: u64,
        count: usize,
        conditions: Conditions,
        pulse: Arc<Pulse>,
    ) -> Net {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let most = (count / NODES_A_SHARD).min(SHARDS_MAX);
        let mut net = Net::empty(seed, conditions, processors.min(most), pulse);
        net.grow(count);
        net
    }

    /// The same, with so many threads, or fewer, or one if there is a DHT: what happens does not depend on it.
    pub fn on_threads(seed: u64, count: usize, conditions: Conditions, threads: usize) -> Net {
        let mut net = Net::empty(seed, conditions, threads, Arc::default());
        net.grow(count);
        net
    }

    fn empty(seed: u64, conditions: Conditions, threads: usize, pulse: Arc<Pulse>) -> Net {
        let mut rng = Rng::new(Seed::from_u64(seed).fork("overlay", 0));
        let map = rng.next_u64();
        // A DHT takes most of the time itself, and is not in parts.
        let places = Places::among(if conditions.dht { 1 } else { threads });
        Net {
            now: Instant::ORIGIN,
            rng,
            common: Common {
                conditions,
                map,
                places,
                faces: Vec::new(),
                is_alive: Vec::new(),
                by_addr: HashMap::new(),
                by_node: HashMap::new(),
                by_record: HashMap::new(),
                by_tag: HashMap::new(),
                is_split: false,
            },
            shards: (0..places.shards()).map(|number| Shard::new(number, places)).collect(),
            dht: conditions.dht.then(|| Box::new(Structured::new(seed, map, conditions))),
            published: Vec::new(),
            said: 0,
            pulse,
        }
    }

    /// So many more nodes join; then they have some time.
    pub fn grow_by(&mut self, more: usize) {
        self.grow(self.common.faces.len() + more);
    }

    /// More nodes join, until there are so many in all, the dead included; then they have some time.
    fn grow(&mut self, count: usize) {
        while self.common.faces.len() < count {
            let there = self.common.faces.len();
            for _ in 0..(there / 20).clamp(1, count - there) {
                self.join();
            }
            self.run(JOIN_STEP);
        }
        self.run(OVERLAY_SETTLE);
    }

    /// One more node joins.
    pub fn join(&mut self) -> NodeIndex {
        let addr = self.address(None);
        let mute = self.common.conditions.mute;
        let is_mute = mute > 0.0 && self.rng.chance(mute);
        self.join_as(addr, if is_mute { Conduct::Swallow } else { Conduct::Honest })
    }

    /// Somebody joins who means no good, from one of some networks (IPv4 /16) if they are given.
    pub fn intrude(&mut self, conduct: Conduct, networks: Option<&[[u8; 2]]>) -> NodeIndex {
        let network = networks.and_then(|some| self.rng.choose(some).copied());
        let addr = self.address(network);
        self.join_as(addr, conduct)
    }

    /// Networks (IPv4 /16) at random.
    pub fn networks(&mut self, count: usize) -> Vec<[u8; 2]> {
        let mut network = || {
            let [a, b, ..] = self.rng.next_u32().to_be_bytes();
            [a % 100 + 11, b]
        };
        (0..count).map(|_| network()).collect()
    }

    fn join_as(&mut self, addr: SocketAddr, conduct: Conduct) -> NodeIndex {
        let conditions = self.common.conditions;
        let mut node = [0; 32];
        self.rng.fill(&mut node);
        let node = NodeId(node);
        let is_first = self.common.faces.is_empty();
        let is_behind_nat = !is_first && self.rng.chance(conditions.behind_nat);
        let part = self.rng.chance(0.5);
        // Nobody who cannot be called. Where there are none nothing is drawn.
        let is_super = conditions.supers > 0.0 && self.rng.chance(conditions.supers);
        let is_super = is_super && !is_behind_nat && !conduct.is_attack();
        let mut disk = Disk::default();
        if let Some(custom) = conditions.mail {
            disk.is_home = self.rng.chance(custom.homes);
            disk.drops = self.rng.chance(custom.drops);
        }
        let at = NodeIndex(self.common.faces.len() as u32);
        let face =
            Face { node, addr, death: None, died: None, conduct, part, is_behind_nat, is_super };
        let machine = self.machine(&face, &disk);
        self.common.by_addr.insert(addr, at);
        self.common.by_node.insert(node, at);
        self.common.is_alive.push(true);
        self.common.faces.push(face);
        if let Some(dht) = &mut self.dht {
            dht.join(self.now, addr.ip(), is_behind_nat, part);
        }
        let shard = &mut self.shards[self.common.places.shard(at)];
        shard.hosts.push(Host::new(machine));
        shard.disks.push(disk);
        self.begin(at);
        at
    }

    /// A machine as nodes have one.
    fn machine(&mut self, face: &Face, disk: &Disk) -> Box<Overlay> {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let mut config = Config::new(Seed(seed), face.node, network());
        config.verify = verify;
        config.read = read;
        config.caps.stranger_work_bits = 0;
        config.is_super = face.is_super;
        config.mail = disk.config(self.common.conditions);
        Box::new(Overlay::new(self.now, config))
    }

    /// A machine that is new hears what time it is, and where it can be called.
    fn begin(&mut self, at: NodeIndex) {
        let face = self.common.face(at);
        let listening = (!face.is_behind_nat).then_some(face.addr.port());
        let now = self.now;
        let (shard, common) = self.shard(at);
        shard.now = now;
        shard.drain(common, at);
        self.tell(at, Input::Clock(unix(now)));
        self.tell(at, Input::Listening(listening));
    }

    /// A node that is dead comes back, with what it had on its disk and nothing else.
    pub fn revive(&mut self, at: NodeIndex) {
        if self.common.is_alive[at.index()] {
            return;
        }
        let face = &mut self.common.faces[at.index()];
        (face.death, face.died) = (None, None);
        let face = *face;
        let disk = self.disk(at).clone();
        let machine = self.machine(&face, &disk);
        self.common.is_alive[at.index()] = true;
        let host = self.shard(at).0.host_mut(at);
        (host.machine, host.wake) = (Some(machine), NEVER);
        self.begin(at);
        for told in disk.told() {
            self.tell(at, Input::Mail(Box::new(told)));
        }
    }

    /// A public address, which nobody has, most likely in a network of its own.
    fn address(&mut self, network: Option<[u8; 2]>) -> SocketAddr {
        loop {
            let [a, b, c, d] = self.rng.next_u32().to_be_bytes();
            let [a, b] = network.unwrap_or([a % 100 + 11, b]);
            let addr = SocketAddr::from(([a, b, c, d], 7716));
            if !self.common.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    /// What is known of questions, each among some of the nodes.
    pub(super) fn finds(&self) -> impl Iterator<Item = &Finds> {
        let of_dht = self.dht.iter().map(|dht| &dht.finds);
        self.shards.iter().map(|shard| &shard.finds).chain(of_dht)
    }

    pub(super) fn finds_mut(&mut self) -> impl Iterator<Item = &mut Finds> {
        let of_dht = self.dht.iter_mut().map(|dht| &mut dht.finds);
        self.shards.iter_mut().map(|shard| &mut shard.finds).chain(of_dht)
    }

    /// Whether there is a DHT beside it.
    pub(super) fn has_dht(&self) -> bool {
        self.dht.is_some()
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn unix(&self) -> UnixTime {
        unix(self.now)
    }

    /// What has been sent so far.
    pub fn traffic(&self) -> Traffic {
        let all = self.shards.iter().map(|shard| shard.traffic);
        let mut traffic = all.fold(Traffic::default(), Traffic::and);
        traffic.events += self.dht.as_ref().map_or(0, |dht| dht.events);
        traffic
    }

    /// Over everything that has happened so far: runs with one hash were the same run.
    pub fn hash(&self) -> u64 {
        self.shards.iter().fold(0, |hash, shard| hash.wrapping_add(shard.hash))
    }

    /// Figures of a node, if it is alive.
    pub fn stats(&self, at: NodeIndex) -> Option<Stats> {
        self.host(at).machine.as_ref().map(|machine| machine.stats())
    }

    /// The shard that has a node, and what all have in common.
    fn shard(&mut self, at: NodeIndex) -> (&mut Shard, &Common) {
        (&mut self.shards[self.common.places.shard(at)], &self.common)
    }

    pub(super) fn host(&self, at: NodeIndex) -> &Host {
        self.shards[self.common.places.shard(at)].host(at)
    }

    pub(super) fn disk(&mut self, at: NodeIndex) -> &mut Disk {
        self.shard(at).0.disk(at)
    }

    pub(super) fn disk_of(&self, at: NodeIndex) -> &Disk {
        &self.shards[self.common.places.shard(at)].disks[self.common.places.local(at)]
    }

    /// Something happens to a node now.
    pub(super) fn tell(&mut self, at: NodeIndex, input: Input) {
        let now = self.now;
        let (shard, common) = self.shard(at);
        shard.now = now;
        shard.tell(common, at, input);
    }

    /// These die at once.
    pub fn kill_these(&mut self, some: &[NodeIndex], death: Death) {
        let mut died = Vec::new();
        for at in some {
            if !std::mem::replace(&mut self.common.is_alive[at.index()], false) {
                continue;
            }
            let face = &mut self.common.faces[at.index()];
            (face.death, face.died) = (Some(death), Some(self.now));
            self.shard(*at).0.host_mut(*at).machine = None;
            if let Some(dht) = &mut self.dht {
                dht.die(*at);
            }
            died.push(*at);
        }
        let now = self.now;
        for at in died {
            let (shard, common) = self.shard(at);
            shard.now = now;
            shard.bury(common, at, death);
        }
    }

    /// Splits the network in two halves between which nothing passes, or mends it.
    pub fn split(&mut self, is_split: bool) {
        self.common.is_split = is_split;
        if let Some(dht) = &mut self.dht {
            dht.split(is_split);
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let dht = self.dht.as_deref_mut();
        crew::run(&self.common, &mut self.shards, dht, (self.now, until), &self.pulse);
        self.now = until;
    }

    /// Lets time pass until something has come to all of some nodes, but no longer than this. Whether it has.
    pub fn run_until_reached(&mut self, id: NewsId, nodes: &[NodeIndex], most: Duration) -> bool {
        let until = self.now + most;
        let step = Duration::from_millis(100);
        loop {
            let news = self.news(id);
            if nodes.iter().all(|node| news.took(*node).is_some()) {
                return true;
            }
            if self.now >= until {
                return false;
            }
            self.run(step);
        }
    }
}
