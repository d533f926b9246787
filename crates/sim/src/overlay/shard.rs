//! Some of the nodes, with what is going to happen to them: all that one thread needs to let time pass for them.
//!
//! Nobody hears of another before a message has come over, and none takes less than [`LATENCY_MIN`]: so long each
//! shard goes on for itself ([`crew`](super::crew)). What happens at one instant is put in order by who caused it and how much he had
//! caused before, whichever shard it came from: so a run is the same with any number of them.
//!
//! [`LATENCY_MIN`]: crate::limits::LATENCY_MIN

use super::common::{Common, Places};
use super::ends::End;
use super::finds::Finds;
use super::mail::{self, Disk};
use super::net::Traffic;
use super::news::Note;
use super::said::tag;
use super::structured::{Ask, Question};
use super::wheel::{Entry, Wheel};
use crate::limits::{MEETING_NAMES, MEETING_TIME, WAKES_AT_ONCE_MAX};
use crate::node::{NEVER, NodeIndex, mix};
use althing_base::hash::Sha1Digest;
use althing_base::{Instant, Machine as _, Rng, Seed};
use althing_overlay::io::{Input, LinkId, Output};
use althing_overlay::machine::Overlay;
use althing_overlay::records::{Change, RecordId};
use althing_overlay::wire::Message;
use std::net::SocketAddr;

/// See the module.
pub(super) struct Shard {
    pub(super) number: usize,
    places: Places,
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    pub(super) disks: Vec<Disk>,
    queue: Wheel<Event>,
    /// What is going to happen in each other shard because of what happened here.
    pub(super) out: Vec<Vec<Entry<Event>>>,
    /// What nodes want of the DHT.
    pub(super) asks: Vec<Ask>,
    /// What has come of each of the news here.
    pub(super) notes: Vec<Note>,
    pub(super) finds: Finds,
    pub(super) traffic: Traffic,
    pub(super) mail_cost: mail::Cost,
    /// The sum over all that has happened.
    pub(super) hash: u64,
}

/// A node, as much of it as is looked at with everything that happens: one line of the processor's memory.
#[repr(C, align(64))]
pub(super) struct Host {
    /// None of the dead.
    pub(super) machine: Option<Box<Overlay>>,
    /// When it is next to be woken, as far as the queue knows.
    pub(super) wake: Instant,
    /// When it was last woken, and how often then.
    woken: Instant,
    woken_times: u32,
    /// How much it has caused.
    pub(super) caused: u32,
    pub(super) ends: Vec<End>,
}

const _: () = assert!(size_of::<Host>() == 64);

impl Host {
    pub(super) fn new(machine: Box<Overlay>) -> Host {
        Host {
            machine: Some(machine),
            wake: NEVER,
            woken: NEVER,
            woken_times: 0,
            caused: 0,
            ends: Vec::new(),
        }
    }
}

/// Something that happens to a node.
pub(super) struct Event {
    pub(super) to: NodeIndex,
    pub(super) what: What,
}

/// What happens.
pub(super) enum What {
    /// A message comes. A question has crossed so many links then, if it is known of whom it is.
    Arrives { link: LinkId, crossed: Option<u8>, message: Message },
    /// It wanted to be woken.
    Wakes,
    /// Somebody calls.
    Called { by: NodeIndex },
    /// Its call was answered, and the other end knows the link by this name.
    Up { by: NodeIndex, theirs: LinkId },
    /// The caller knows that it was answered, and knows the link by this name.
    Known { by: NodeIndex, link: LinkId, theirs: LinkId },
    /// The other end has closed a link.
    Down { link: LinkId },
    /// A call was not answered, or refused.
    Refused { addr: SocketAddr },
    /// The meeting place names some.
    Named,
    /// The DHT names some at a key; it is done if there are none.
    Term { id: u64, key: Sha1Digest, addrs: Vec<SocketAddr> },
}

impl What {
    /// A number for each kind, for the run's hash.
    fn kind(&self) -> u64 {
        match self {
            What::Arrives { message, .. } => u64::from(message.kind()) << 8,
            What::Wakes => 1,
            What::Called { .. } => 2,
            What::Up { .. } => 3,
            What::Known { .. } => 4,
            What::Down { .. } => 5,
            What::Refused { .. } => 6,
            What::Named => 7,
            What::Term { .. } => 8,
        }
    }
}

impl Shard {
    pub(super) fn new(number: usize, places: Places) -> Shard {
        Shard {
            number,
            places,
            now: Instant::ORIGIN,
            hosts: Vec::new(),
            disks: Vec::new(),
            queue: Wheel::new(),
            out: (0..places.shards()).map(|_| Vec::new()).collect(),
            asks: Vec::new(),
            notes: Vec::new(),
            finds: Finds::default(),
            traffic: Traffic::default(),
            mail_cost: mail::Cost::default(),
            hash: 0,
        }
    }

    pub(super) fn host(&self, at: NodeIndex) -> &Host {
        &self.hosts[self.places.local(at)]
    }

    pub(super) fn host_mut(&mut self, at: NodeIndex) -> &mut Host {
        &mut self.hosts[self.places.local(at)]
    }

    pub(super) fn disk(&mut self, at: NodeIndex) -> &mut Disk {
        &mut self.disks[self.places.local(at)]
    }

    /// Lets time pass, until then inclusive.
    pub(super) fn run(&mut self, common: &Common, until: Instant) {
        while let Some(Entry { at, number, what: Event { to, what } }) = self.queue.pop(until) {
            debug_assert!(at >= self.now, "time goes on");
            self.now = at;
            let happens = mix(at.as_nanos() ^ what.kind()) ^ number;
            self.hash = self.hash.wrapping_add(mix(happens));
            self.happen(common, to, what);
        }
        self.now = until;
    }

    /// Something is going to happen to one of these nodes.
    pub(super) fn expect(&mut self, entry: Entry<Event>) {
        self.queue.put(entry);
    }

    /// The number of what a node causes next.
    pub(super) fn next_number(&mut self, by: NodeIndex) -> u64 {
        let host = self.host_mut(by);
        host.caused = host.caused.wrapping_add(1);
        u64::from(by.0) << 32 | u64::from(host.caused)
    }

    /// One of these nodes causes something, which happens at some instant to somebody, here or elsewhere.
    pub(super) fn cause(&mut self, by: NodeIndex, at: Instant, to: NodeIndex, what: What) {
        let number = self.next_number(by);
        let entry = Entry { at, number, what: Event { to, what } };
        let shard = self.places.shard(to);
        if shard == self.number {
            self.queue.put(entry);
        } else {
            self.out[shard].push(entry);
        }
    }

    /// Chance, for what a node does next: the same in each run.
    pub(super) fn chance(&self, common: &Common, by: NodeIndex) -> Rng {
        let number = u64::from(by.0) << 32 | u64::from(self.host(by).caused);
        Rng::new(Seed::from_u64(mix(common.map ^ mix(number))))
    }

    fn happen(&mut self, common: &Common, to: NodeIndex, what: What) {
        match what {
            What::Arrives { link, crossed, message } => {
                if self.slot(to, link).is_none() {
                    return;
                }
                match &message {
                    Message::Gossip { hops, record } => self.note_hops(common, to, *hops, record),
                    Message::Query(question) => {
                        if let Some(crossed) = crossed {
                            self.finds.comes(question.id, to, crossed);
                        }
                    }
                    _ => {}
                }
                if common.face(to).conduct.heeds(&message) {
                    self.tell(common, to, Input::Message { link, message });
                }
            }
            What::Wakes => self.wake(common, to),
            What::Called { by } => self.called(common, to, by),
            What::Up { by, theirs } => self.up(common, to, by, theirs),
            What::Known { by, link, theirs } => self.known(common, to, by, link, theirs),
            What::Down { link } => {
                let Some(slot) = self.slot(to, link) else { return };
                self.host_mut(to).ends[slot].is_open = false;
                self.tell(common, to, Input::LinkDown { link });
            }
            What::Refused { addr } => self.tell(common, to, Input::DialFailed { addr }),
            What::Named => {
                let mut rng = self.chance(common, to);
                let mut addrs = Vec::with_capacity(MEETING_NAMES);
                for _ in 0..MEETING_NAMES.min(common.faces.len()) {
                    let other = rng.index(common.faces.len());
                    let addr = common.faces[other].addr;
                    if other != to.index() && !addrs.contains(&addr) {
                        addrs.push(addr);
                    }
                }
                self.tell(common, to, Input::Contacts(addrs));
            }
            What::Term { id, key, addrs } => {
                self.tell(common, to, Input::TermFound { id, key, addrs });
            }
        }
    }

    /// Something happens to a node.
    pub(super) fn tell(&mut self, common: &Common, at: NodeIndex, input: Input) {
        let now = self.now;
        if let Some(machine) = &mut self.host_mut(at).machine {
            machine.handle_input(now, input);
            self.traffic.events += 1;
            self.drain(common, at);
        }
    }

    fn wake(&mut self, common: &Common, at: NodeIndex) {
        let now = self.now;
        let host = self.host_mut(at);
        if host.wake != now {
            // It has been put off, or brought forward.
            return;
        }
        host.wake = NEVER;
        let Some(machine) = &mut host.machine else { return };
        let Some((due, reason)) = machine.poll_timeout() else { return };
        if due <= now {
            host.woken_times = if host.woken == now { host.woken_times + 1 } else { 1 };
            host.woken = now;
            assert!(host.woken_times <= WAKES_AT_ONCE_MAX, "{at:?} is in a busy loop: {reason:?}");
            machine.handle_timeout(now);
            self.traffic.events += 1;
        }
        self.drain(common, at);
    }

    /// Does what a node wants done, and notes when it wants to be woken.
    pub(super) fn drain(&mut self, common: &Common, at: NodeIndex) {
        let mut wishes = Vec::new();
        while let Some(machine) = &mut self.host_mut(at).machine
            && let Some(output) = machine.poll_output()
        {
            match output {
                Output::Send { link, message } => {
                    let conduct = common.face(at).conduct;
                    if let Some(message) = conduct.says(message, |node| common.conduct_of(node)) {
                        self.send(common, at, link, message);
                    }
                }
                Output::Dial { addr, .. } => self.dial(common, at, addr),
                Output::Close { link, .. } => {
                    if let Some(slot) = self.slot(at, link) {
                        self.close(common, at, slot);
                    }
                }
                Output::NeedContacts => {
                    self.traffic.meetings += 1;
                    self.cause(at, self.now + MEETING_TIME, at, What::Named);
                }
                Output::Shelf(change) => {
                    if let Change::Hold(record) = *change {
                        self.reached(common, at, &record.id());
                    }
                }
                Output::Found { id, hit } => {
                    let from = common.by_node.get(&hit.record.author()).copied();
                    self.finds.found(id, self.now, from, &hit.record);
                }
                Output::Searched { id, .. } => {
                    self.finds.searched(id, self.now);
                    if common.conditions.dht {
                        self.ask(at, Question::Stop { id });
                    }
                }
                Output::FindTerm { id, key } => {
                    if common.conditions.dht {
                        self.ask(at, Question::LookUp { id, key });
                    } else {
                        let nobody = What::Term { id, key, addrs: Vec::new() };
                        self.cause(at, self.now, at, nobody);
                    }
                }
                Output::AnnounceTerms(keys) => {
                    if common.conditions.dht {
                        self.ask(at, Question::Announce(keys));
                    }
                }
                // Nobody here has an index on disk.
                Output::Consult { .. } => {}
                Output::Mail(wish) => wishes.push(*wish),
            }
        }
        wishes.into_iter().for_each(|wish| self.post(common, at, wish));
        let now = self.now;
        let host = self.host_mut(at);
        let Some(machine) = &host.machine else { return };
        let Some((due, _)) = machine.poll_timeout() else { return };
        let due = due.max(now);
        if due < host.wake {
            host.wake = due;
            self.cause(at, due, at, What::Wakes);
        }
    }

    fn ask(&mut self, by: NodeIndex, question: Question) {
        self.asks.push(Ask { at: self.now, by, question });
    }

    fn reached(&mut self, common: &Common, at: NodeIndex, record: &RecordId) {
        if let Some(id) = common.by_record.get(record) {
            self.notes[id.0].comes(self.places.local(at), self.now);
        }
    }

    /// Before a record is handed over: if it is new there, how many links it has crossed.
    fn note_hops(&mut self, common: &Common, at: NodeIndex, hops: u8, record: &[u8]) {
        if let Some(id) = common.by_tag.get(&tag(record)) {
            self.notes[id.0].crossed(self.places.local(at), hops);
        }
    }
}
