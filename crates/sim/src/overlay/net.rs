//! The nodes, the links between them, and what is under way.

use super::conduct::Conduct;
use super::finds::Finds;
use super::lab::Pulse;
use super::mail::{self, Disk};
use super::news::{News, NewsId};
use super::said::{read, tag, verify};
use super::wheel::Wheel;
use crate::datagrams;
use crate::digest::EventHash;
use crate::limits::{
    CONNECT_TIMEOUT, MEETING_NAMES, MEETING_TIME, OVERLAY_SETTLE, RETRANSMIT_WAIT,
    WAKES_AT_ONCE_MAX,
};
use crate::node::{NEVER, NodeIndex, latency};
use althing_base::hash::Sha1Digest;
use althing_base::time::Duration;
use althing_base::{Instant, Machine as _, Rng, Seed, UnixTime};
use althing_overlay::io::{Input, LinkId, Output};
use althing_overlay::machine::{Config, Overlay, Stats};
use althing_overlay::records::{Change, RecordId};
use althing_overlay::wire::Message;
use althing_overlay::{NetworkKey, NodeId};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

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

/// A network. See the [module](super).
pub struct Net {
    pub(super) now: Instant,
    pub(super) rng: Rng,
    pub(super) conditions: Conditions,
    /// From it the delay between two hosts follows.
    map: u64,
    pub(super) hosts: Vec<Host>,
    /// Who is alive: looked at with each message that is sent.
    pub(super) is_alive: Vec<bool>,
    by_addr: HashMap<SocketAddr, NodeIndex>,
    by_node: HashMap<NodeId, NodeIndex>,
    pub(super) links: Vec<Link>,
    free: Vec<u32>,
    queue: Wheel<Event>,
    /// The same hosts' nodes of the DHT.
    pub(super) dht: Option<Box<datagrams::Net>>,
    /// The network is in two parts.
    is_split: bool,
    pub(super) news: Vec<News>,
    pub(super) by_record: HashMap<RecordId, NewsId>,
    pub(super) by_tag: HashMap<u64, NewsId>,
    pub(super) published: u64,
    pub(super) finds: Finds,
    pub(super) traffic: Traffic,
    pub(super) mail_cost: mail::Cost,
    hash: EventHash,
    pulse: Arc<Pulse>,
}

/// What is looked at with everything that happens comes first, in one line of the processor's memory.
#[repr(C, align(64))]
pub(super) struct Host {
    /// None of the dead.
    pub(super) machine: Option<Box<Overlay>>,
    /// When it is next to be woken, as far as the queue knows.
    pub(super) wake: Instant,
    /// When it was last woken, and how often then.
    woken: (Instant, u32),
    pub(super) death: Option<Death>,
    /// When it died last.
    pub(super) died: Option<Instant>,
    pub(super) conduct: Conduct,
    /// In which part it is when the network is split.
    pub(super) part: bool,
    pub(super) is_behind_nat: bool,
    pub(super) is_super: bool,
    pub(super) node: NodeId,
    pub(super) addr: SocketAddr,
    /// Where it is announced in the DHT.
    pub(super) terms: Vec<Sha1Digest>,
    pub(super) disk: Box<Disk>,
}

/// A link, or the place of one.
#[repr(align(64))]
pub(super) struct Link {
    /// Counts those that had this place, so that numbers are never given again.
    generation: u32,
    pub(super) ends: [End; 2],
}

#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) host: NodeIndex,
    pub(super) is_open: bool,
    /// Nothing that was said comes before this.
    last: Instant,
    /// Something that was said is lost for good, and so is all after it.
    is_lost: bool,
}

/// How often it is said how far it is, in simulated time.
const BEAT: Duration = Duration::from_secs(1);

/// Each so many messages one is written and parsed.
const ENCODED_EACH: u64 = 16;

/// How long it takes until a twentieth of the nodes has joined besides.
const JOIN_STEP: Duration = Duration::from_millis(700);

/// Steps one way until both ends know each other: TCP, BitTorrent's handshakes, Noise.
const HANDSHAKE_STEPS: u32 = 6;

/// What clocks say in the beginning.
pub(super) const EPOCH: i64 = 1_800_000_000;

enum Event {
    Arrives { link: LinkId, to: u8, message: Message },
    Wakes(NodeIndex),
    Up { link: LinkId, to: u8 },
    Down { link: LinkId, to: u8 },
    Refused { by: NodeIndex, addr: SocketAddr },
    Reaches { from: NodeIndex, to: NodeIndex },
    Named(NodeIndex),
    NoTerm { at: NodeIndex, id: u64, key: Sha1Digest },
}

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
        let mut rng = Rng::new(Seed::from_u64(seed).fork("overlay", 0));
        let mut net = Net {
            now: Instant::ORIGIN,
            map: rng.next_u64(),
            rng,
            conditions,
            hosts: Vec::with_capacity(count),
            is_alive: Vec::with_capacity(count),
            by_addr: HashMap::with_capacity(count),
            by_node: HashMap::with_capacity(count),
            links: Vec::new(),
            free: Vec::new(),
            queue: Wheel::new(),
            dht: None,
            is_split: false,
            news: Vec::new(),
            by_record: HashMap::new(),
            by_tag: HashMap::new(),
            published: 0,
            finds: Finds::default(),
            traffic: Traffic::default(),
            mail_cost: mail::Cost::default(),
            hash: EventHash::new(),
            pulse,
        };
        if conditions.dht {
            let Conditions { loss, behind_nat, .. } = conditions;
            let conditions = datagrams::Conditions { loss, behind_nat };
            net.dht = Some(Box::new(datagrams::Net::beside(seed, net.map, conditions)));
        }
        net.grow(count);
        net
    }

    /// So many more nodes join; then they have some time.
    pub fn grow_by(&mut self, more: usize) {
        self.grow(self.hosts.len() + more);
    }

    /// More nodes join, until there are so many in all, the dead included; then they have some time.
    fn grow(&mut self, count: usize) {
        while self.hosts.len() < count {
            let step = (self.hosts.len() / 20).clamp(1, count - self.hosts.len());
            for _ in 0..step {
                self.join();
            }
            self.run(JOIN_STEP);
        }
        self.run(OVERLAY_SETTLE);
    }

    /// One more node joins.
    pub fn join(&mut self) -> NodeIndex {
        let addr = self.address(None);
        let is_mute = self.conditions.mute > 0.0 && self.rng.chance(self.conditions.mute);
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
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let mut node = [0; 32];
        self.rng.fill(&mut node);
        let node = NodeId(node);
        let mut config = Config::new(Seed(seed), node, network());
        config.verify = verify;
        config.read = read;
        config.caps.stranger_work_bits = 0;
        let is_behind_nat = !self.hosts.is_empty() && self.rng.chance(self.conditions.behind_nat);
        let part = self.rng.chance(0.5);
        // Nobody who cannot be called. Where there are none nothing is drawn.
        let is_super = self.conditions.supers > 0.0 && self.rng.chance(self.conditions.supers);
        let is_super = is_super && !is_behind_nat && !conduct.is_attack();
        config.is_super = is_super;
        let mut disk = Disk::default();
        if let Some(custom) = self.conditions.mail {
            disk.is_home = self.rng.chance(custom.homes);
            disk.drops = self.rng.chance(custom.drops);
        }
        config.mail = self.mail_config(&disk);
        let at = NodeIndex(self.hosts.len() as u32);
        self.by_addr.insert(addr, at);
        self.by_node.insert(node, at);
        if let Some(dht) = &mut self.dht {
            dht.join_beside(self.now, addr.ip(), is_behind_nat, part);
        }
        self.is_alive.push(true);
        self.hosts.push(Host {
            addr,
            terms: Vec::new(),
            node,
            machine: Some(Box::new(Overlay::new(self.now, config))),
            death: None,
            died: None,
            is_behind_nat,
            is_super,
            disk: Box::new(disk),
            conduct,
            part,
            wake: NEVER,
            woken: (NEVER, 0),
        });
        self.drain(at);
        let unix = self.unix();
        self.tell(at, Input::Clock(unix));
        self.tell(at, Input::Listening((!is_behind_nat).then_some(addr.port())));
        at
    }

    pub(super) fn unix(&self) -> UnixTime {
        UnixTime(EPOCH + self.now.as_nanos() as i64 / 1_000_000_000)
    }

    /// A public address, which nobody has, most likely in a network of its own.
    fn address(&mut self, network: Option<[u8; 2]>) -> SocketAddr {
        loop {
            let [a, b, c, d] = self.rng.next_u32().to_be_bytes();
            let [a, b] = network.unwrap_or([a % 100 + 11, b]);
            let addr = SocketAddr::from(([a, b, c, d], 7716));
            if !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What has been sent so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Over everything that has happened so far: runs with one hash were the same run.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Figures of a node, if it is alive.
    pub fn stats(&self, at: NodeIndex) -> Option<Stats> {
        self.hosts[at.index()].machine.as_ref().map(|machine| machine.stats())
    }

    /// These die at once.
    pub fn kill_these(&mut self, some: &[NodeIndex], death: Death) {
        for at in some {
            let host = &mut self.hosts[at.index()];
            if host.machine.is_none() {
                continue;
            }
            host.machine = None;
            self.is_alive[at.index()] = false;
            host.terms = Vec::new();
            host.death = Some(death);
            host.died = Some(self.now);
            if let Some(dht) = &mut self.dht {
                dht.die(*at);
            }
        }
        if death == Death::Closed {
            for place in 0..self.links.len() {
                for end in 0..2 {
                    let link = &self.links[place];
                    let is_dead = self.hosts[link.ends[end].host.index()].machine.is_none();
                    if is_dead && link.ends[end].is_open {
                        let id = self.id(place);
                        self.close(id, end);
                    }
                }
            }
        }
    }

    /// Splits the network in two halves between which nothing passes, or mends it.
    pub fn split(&mut self, is_split: bool) {
        self.is_split = is_split;
        if let Some(dht) = &mut self.dht {
            dht.split(is_split);
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.run_until(until.min(self.now + BEAT));
            self.pulse.beat(self.now, self.traffic.events);
            if self.now >= until {
                return;
            }
        }
    }

    fn run_until(&mut self, until: Instant) {
        loop {
            let dht = self.dht.as_ref().and_then(|dht| dht.next()).filter(|next| *next <= until);
            if let Some((at, event)) = self.queue.pop(dht.unwrap_or(until)) {
                debug_assert!(at >= self.now, "time goes on");
                self.now = at;
                self.happen(event);
            } else if let Some(next) = dht {
                self.now = next;
                self.advance_dht();
            } else {
                break;
            }
        }
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

    fn id(&self, place: usize) -> LinkId {
        LinkId(u64::from(self.links[place].generation) << 32 | place as u64)
    }

    /// The place of a link that is not over at this end.
    fn place(&self, link: LinkId, end: u8) -> Option<usize> {
        let place = (link.0 & 0xffff_ffff) as usize;
        let here = self.links.get(place)?;
        let is_it = u64::from(here.generation) == link.0 >> 32;
        (is_it && here.ends[usize::from(end)].is_open).then_some(place)
    }

    /// How long a message is under way between two hosts.
    pub(super) fn latency(&self, one: NodeIndex, other: NodeIndex) -> Duration {
        latency(self.map, one, other)
    }

    fn is_cut(&self, one: NodeIndex, other: NodeIndex) -> bool {
        self.is_split && self.hosts[one.index()].part != self.hosts[other.index()].part
    }

    fn happen(&mut self, event: Event) {
        self.hash.word(self.now.as_nanos());
        match event {
            Event::Arrives { link, to, message } => {
                let Some(place) = self.place(link, to) else { return };
                let host = self.links[place].ends[usize::from(to)].host;
                self.hash.word(link.0 << 8 | u64::from(message.kind()));
                if let Message::Gossip { hops, record } = &message {
                    self.note_hops(host, *hops, tag(record));
                }
                if self.hosts[host.index()].conduct.heeds(&message) {
                    self.tell(host, Input::Message { link, message });
                }
            }
            Event::Wakes(at) => self.wake(at),
            Event::Up { link, to } => {
                let Some(place) = self.place(link, to) else { return };
                let ends = self.links[place].ends;
                let (here, there) = (ends[usize::from(to)].host, ends[usize::from(1 - to)].host);
                let Host { node, addr, .. } = self.hosts[there.index()];
                self.hash.word(link.0);
                self.tell(here, Input::LinkUp { link, node, addr, outgoing: to == 0 });
            }
            Event::Down { link, to } => {
                let Some(place) = self.place(link, to) else { return };
                self.links[place].ends[usize::from(to)].is_open = false;
                let host = self.links[place].ends[usize::from(to)].host;
                self.recycle(place);
                self.hash.word(link.0);
                self.tell(host, Input::LinkDown { link });
            }
            Event::NoTerm { at, id, key } => {
                self.tell(at, Input::TermFound { id, key, addrs: Vec::new() });
            }
            Event::Refused { by, addr } => self.tell(by, Input::DialFailed { addr }),
            Event::Reaches { from, to } => self.reach(from, to),
            Event::Named(at) => {
                let mut addrs = Vec::with_capacity(MEETING_NAMES);
                for _ in 0..MEETING_NAMES.min(self.hosts.len()) {
                    let other = self.rng.index(self.hosts.len());
                    let addr = self.hosts[other].addr;
                    if other != at.index() && !addrs.contains(&addr) {
                        addrs.push(addr);
                    }
                }
                self.tell(at, Input::Contacts(addrs));
            }
        }
    }

    /// A call is at the other host.
    fn reach(&mut self, from: NodeIndex, to: NodeIndex) {
        let latency = self.latency(from, to);
        let addr = self.hosts[to.index()].addr;
        let host = &self.hosts[to.index()];
        let is_silent =
            host.death == Some(Death::Silent) || host.is_behind_nat || self.is_cut(from, to);
        if is_silent {
            self.queue.at(self.now + CONNECT_TIMEOUT, Event::Refused { by: from, addr });
            return;
        }
        if host.death.is_some() {
            self.queue.at(self.now + latency, Event::Refused { by: from, addr });
            return;
        }
        let end = |host| End { host, is_open: true, last: self.now, is_lost: false };
        let ends = [end(from), end(to)];
        let place = self.free.pop().unwrap_or_else(|| {
            self.links.push(Link { generation: 0, ends });
            self.links.len() as u32 - 1
        }) as usize;
        self.links[place].ends = ends;
        let link = self.id(place);
        let made = self.now + latency * (HANDSHAKE_STEPS - 1);
        self.queue.at(made, Event::Up { link, to: 0 });
        self.queue.at(made + latency, Event::Up { link, to: 1 });
    }

    /// Something happens to a node.
    pub(super) fn tell(&mut self, at: NodeIndex, input: Input) {
        let now = self.now;
        if let Some(machine) = &mut self.hosts[at.index()].machine {
            self.traffic.events += 1;
            machine.handle_input(now, input);
            self.drain(at);
        }
    }

    fn wake(&mut self, at: NodeIndex) {
        let now = self.now;
        let host = &mut self.hosts[at.index()];
        if host.wake != now {
            // It has been put off, or brought forward.
            return;
        }
        host.wake = NEVER;
        let Some(machine) = &mut host.machine else { return };
        let Some((due, reason)) = machine.poll_timeout() else { return };
        if due <= now {
            self.traffic.events += 1;
            host.woken = if host.woken.0 == now { (now, host.woken.1 + 1) } else { (now, 1) };
            assert!(host.woken.1 <= WAKES_AT_ONCE_MAX, "{at:?} is in a busy loop: {reason:?}");
            machine.handle_timeout(now);
        }
        self.drain(at);
    }

    /// Does what a node wants done, and notes when it wants to be woken.
    pub(super) fn drain(&mut self, at: NodeIndex) {
        let mut wishes = Vec::new();
        while let Some(machine) = &mut self.hosts[at.index()].machine
            && let Some(output) = machine.poll_output()
        {
            match output {
                Output::Send { link, message } => {
                    let conduct = self.hosts[at.index()].conduct;
                    if let Some(message) = conduct.says(message, |node| self.conduct_of(node)) {
                        self.send(at, link, message);
                    }
                }
                Output::Dial { addr, .. } => self.dial(at, addr),
                Output::Close { link, .. } => {
                    if let Some(end) = self.end(at, link) {
                        self.close(link, end);
                    }
                }
                Output::NeedContacts => {
                    self.traffic.meetings += 1;
                    self.queue.at(self.now + MEETING_TIME, Event::Named(at));
                }
                Output::Shelf(change) => {
                    if let Change::Hold(record) = *change {
                        self.reached(at, &record.id());
                    }
                }
                Output::Found { id, hit } => {
                    let from = self.by_node.get(&hit.record.author()).copied();
                    self.finds.found(id, self.now, from, &hit.record);
                }
                Output::Searched { id, .. } => {
                    self.finds.searched(id, self.now);
                    if let Some(dht) = &mut self.dht {
                        dht.stop_looking(self.now, id);
                    }
                }
                Output::FindTerm { id, key } => match &mut self.dht {
                    Some(dht) => dht.look_up(self.now, at, id, key),
                    None => self.queue.at(self.now, Event::NoTerm { at, id, key }),
                },
                Output::AnnounceTerms(keys) => self.announce_terms(at, keys),
                // Nobody here has an index on disk.
                Output::Consult { .. } => {}
                Output::Mail(wish) => wishes.push(*wish),
            }
        }
        wishes.into_iter().for_each(|wish| self.post(at, wish));
        let host = &mut self.hosts[at.index()];
        let Some(machine) = &host.machine else { return };
        let Some((due, _)) = machine.poll_timeout() else { return };
        let due = due.max(self.now);
        if due < host.wake {
            host.wake = due;
            self.queue.at(due, Event::Wakes(at));
        }
    }

    fn conduct_of(&self, node: NodeId) -> Conduct {
        let at = self.by_node.get(&node);
        at.map_or(Conduct::Honest, |at| self.hosts[at.index()].conduct)
    }

    fn reached(&mut self, at: NodeIndex, record: &RecordId) {
        if let Some(id) = self.by_record.get(record) {
            let reached = &mut self.news[id.0].reached;
            if reached.len() <= at.index() {
                reached.resize(at.index() + 1, None);
            }
            reached[at.index()].get_or_insert(self.now);
        }
    }

    /// Before a record is handed over: if it is new there, how many links it has crossed.
    fn note_hops(&mut self, at: NodeIndex, hops: u8, tag: u64) {
        if let Some(id) = self.by_tag.get(&tag) {
            let news = &mut self.news[id.0];
            if news.took(at).is_none() {
                *news.hops.entry(hops).or_default() += 1;
            }
        }
    }

    /// Which end of a link a node has, if it is open.
    fn end(&self, at: NodeIndex, link: LinkId) -> Option<usize> {
        let mut ends = 0..2u8;
        let is_here = |end: &u8| {
            let place = self.place(link, *end);
            place.is_some_and(|place| self.links[place].ends[usize::from(*end)].host == at)
        };
        ends.find(is_here).map(usize::from)
    }

    fn send(&mut self, from: NodeIndex, link: LinkId, message: Message) {
        let Some(end) = self.end(from, link) else { return };
        let place = (link.0 & 0xffff_ffff) as usize;
        let to = self.links[place].ends[1 - end].host;
        self.traffic.messages += 1;
        self.traffic.bytes += message.encoded_len() as u64;
        self.mail_cost.count(&message);
        self.count_copies(&message);
        match &message {
            Message::Query(question) => self.finds.sent(question.id, from, to, &message),
            Message::Answer { id, .. } => self.finds.sent(*id, from, to, &message),
            Message::Terms { .. } => self.traffic.index_bytes += message.encoded_len() as u64,
            _ => {}
        }
        let message = if self.traffic.messages.is_multiple_of(ENCODED_EACH) {
            Message::parse(&message.encode()).expect("what is written can be read")
        } else {
            message
        };
        let is_cut = self.is_cut(from, to);
        let latency = self.latency(from, to);
        let is_late = self.conditions.loss > 0.0 && self.rng.chance(self.conditions.loss);
        let ends = &mut self.links[place].ends;
        ends[end].is_lost |= is_cut;
        if ends[end].is_lost || !self.is_alive[to.index()] {
            return;
        }
        let delay = if is_late { latency * 3 + RETRANSMIT_WAIT } else { latency };
        let at = (self.now + delay).max(ends[end].last);
        ends[end].last = at;
        self.queue.at(at, Event::Arrives { link, to: 1 - end as u8, message });
    }

    fn count_copies(&mut self, message: &Message) {
        let mut count = |record: &[u8]| {
            if let Some(id) = self.by_tag.get(&tag(record)) {
                self.news[id.0].copies += 1;
            }
        };
        match message {
            Message::Gossip { record, .. } => count(record),
            Message::Records(records) => records.iter().for_each(|record| count(record)),
            _ => {}
        }
    }

    fn dial(&mut self, from: NodeIndex, addr: SocketAddr) {
        self.traffic.dials += 1;
        match self.by_addr.get(&addr) {
            Some(&to) => {
                let latency = self.latency(from, to);
                self.queue.at(self.now + latency, Event::Reaches { from, to });
            }
            None => self.queue.at(self.now + CONNECT_TIMEOUT, Event::Refused { by: from, addr }),
        }
    }

    /// One end of a link is closed; the other is told, if it can be.
    fn close(&mut self, link: LinkId, end: usize) {
        let place = (link.0 & 0xffff_ffff) as usize;
        let (from, to) = (self.links[place].ends[end].host, self.links[place].ends[1 - end].host);
        let latency = self.latency(from, to);
        let is_cut = self.is_cut(from, to);
        let other = self.hosts[to.index()].machine.is_some();
        let ends = &mut self.links[place].ends;
        ends[end].is_open = false;
        if ends[1 - end].is_open && other && !ends[end].is_lost && !is_cut {
            let at = (self.now + latency).max(ends[end].last);
            self.queue.at(at, Event::Down { link, to: 1 - end as u8 });
        } else if !other {
            ends[1 - end].is_open = false;
        }
        self.recycle(place);
    }

    /// Gives the place of a link that is over at both ends to another.
    fn recycle(&mut self, place: usize) {
        let link = &mut self.links[place];
        if link.ends.iter().all(|end| !end.is_open) {
            link.generation += 1;
            self.free.push(place as u32);
        }
    }
}

pub(super) fn network() -> NetworkKey {
    NetworkKey::derive("simulation")
}
