//! The world: hosts, network, tracker and time, and the loop that lets things happen one after the
//! other.
//!
//! Where to find things: `act` (what machines ask for), `connect` (connections being opened), `dht`
//! (nodes and their datagrams), `life` (programs that start, stop and die), `look` (bounds and figures).

mod act;
mod connect;
mod dht;
mod life;
mod look;
mod view;

use crate::checks::Checks;
use crate::digest::EventHash;
use crate::host::Host;
use crate::limits::{BABBLE_INTERVAL, EVENTS_MAX, LOOK_INTERVAL};
use crate::network::{Delivery, Lane, Network, Packet};
use crate::plan::{Behaviour, LeaveWhen, Line, Plan, Start};
use crate::queue::{Event, Queue};
use crate::report::{Report, Sample, View};
use crate::torrent::Torrent;
use crate::tracker::Tracker;
use crate::units::{HostId, Rate};
use althing_base::time::Duration;
use althing_base::{Instant, Machine, Rng, Seed};
use althing_bittorrent::PieceIndex;
use althing_bittorrent::metainfo::MetainfoError;
use althing_bittorrent::swarm::{self, ConnId, DisconnectReason};
use althing_bittorrent::wire::{Handshake, Message};
use althing_router as router;
use std::collections::BTreeMap;

/// When a run starts. Not at the clock's origin, so that nothing comes to rely on that.
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// How long a run goes on after everybody has finished: what is left over shows.
const EPILOGUE: Duration = Duration::from_secs(60);

/// A run: its hosts, their network and tracker, the time, and what is to happen next.
pub struct World {
    plan: Plan,
    now: Instant,
    queue: Queue,
    network: Network,
    hosts: Vec<Host>,
    torrent: Torrent,
    tracker: Tracker,
    /// Where the tracker is.
    tracker_host: HostId,
    /// Announces under way.
    announces: BTreeMap<u64, connect::Announce>,
    announced: u64,
    /// Datagrams under way.
    datagrams: BTreeMap<u64, dht::Datagram>,
    datagrams_sent: u64,
    /// What was said first on connections that are being opened.
    greetings: BTreeMap<ConnId, Handshake>,
    checks: Checks,
    hash: EventHash,
    events: u64,
    bans: BTreeMap<HostId, u32>,
    /// How often honest hosts called somebody.
    calls: u64,
    /// Why honest hosts ended connections, and how often.
    partings: BTreeMap<DisconnectReason, u64>,
    /// By piece: how many hosts that started without it have it on disk and are there.
    copies: Vec<u32>,
    /// Bytes that the first seeds had sent when one copy was out, and when that was.
    one_copy_out: Option<(Instant, u64)>,
    timeline: Vec<Sample>,
    /// What users looked at.
    views: Vec<View>,
}

pub(crate) use dht::Node;
pub(crate) use view::Viewer;

impl World {
    /// A world in which nothing has happened yet.
    ///
    /// # Errors
    /// The plan's torrent is none that can be parsed.
    pub fn new(plan: Plan, seed: Seed) -> Result<World, MetainfoError> {
        let torrent = Torrent::new(plan.torrent, seed.fork("torrent", 0))?;
        let mut map = Rng::new(seed.fork("map", 0));
        let mut network = Network::new(seed.fork("network", 0));
        let mut hosts = Vec::with_capacity(plan.hosts.len());
        for (number, host) in plan.hosts.iter().enumerate() {
            let id = network.add_host((map.unit(), map.unit()), host.line);
            network.access(id).blind_to_blocks = host.behaviour == Behaviour::NeverReads;
            hosts.push(Host::new(id, host.clone(), &torrent, seed.fork("host", number as u64)));
        }
        let rate = Rate::kib_per_s(1024 * 1024);
        let tracker_host = network.add_host((0.5, 0.5), Line::new(rate, rate));
        let mut world = World {
            now: START,
            queue: Queue::default(),
            network,
            hosts,
            tracker: Tracker::new(seed.fork("tracker", 0)),
            tracker_host,
            announces: BTreeMap::new(),
            announced: 0,
            datagrams: BTreeMap::new(),
            datagrams_sent: 0,
            greetings: BTreeMap::new(),
            checks: Checks::default(),
            hash: EventHash::new(),
            events: 0,
            bans: BTreeMap::new(),
            calls: 0,
            partings: BTreeMap::new(),
            copies: vec![0; torrent.metainfo.piece_count() as usize],
            one_copy_out: None,
            timeline: Vec::new(),
            views: Vec::new(),
            torrent,
            plan,
        };
        world.schedule_lives();
        world.schedule_views();
        world.queue.at(START + LOOK_INTERVAL, Event::Look);
        Ok(world)
    }

    /// Lets things happen until every host that must finish has, and a little longer, or until the
    /// deadline.
    ///
    /// # Panics
    /// If a machine is in a busy loop, or there is no end to the events.
    pub fn run(mut self) -> Report {
        let deadline = START + self.plan.deadline;
        let mut end = deadline;
        while let Some((at, event)) = self.queue.pop() {
            if at > end {
                break;
            }
            debug_assert!(at >= self.now, "time goes forward");
            self.now = at;
            self.events += 1;
            assert!(self.events <= EVENTS_MAX, "there is no end to the events");
            self.happen(event);
            if end == deadline && matches!(event, Event::Look) && self.all_is_done() {
                end = deadline.min(self.now + EPILOGUE);
            }
        }
        self.look();
        self.report(end == deadline)
    }

    fn host(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.index()]
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(host) => self.wake(host),
            Event::UplinkFree(host) => self.uplink_free(host),
            Event::Arrive(lane) => {
                self.network.arrive(&mut self.queue, self.now, lane);
                self.deliver(lane);
            }
            Event::Deliver(lane) => {
                self.network.delivery_due(lane);
                self.deliver(lane);
            }
            Event::Acked(lane) => self.network.acked(&mut self.queue, self.now, lane),
            Event::Syn(conn) => self.syn(conn),
            Event::Hello(conn) => self.hello(conn),
            Event::Welcome(conn) => self.welcome(conn),
            Event::ConnectFailed(conn) => self.connect_failed(conn),
            Event::DiskDone(host) => self.disk_done(host),
            Event::Announce(number) => self.announce_arrives(number),
            Event::Announced(number) => self.announce_answered(number),
            Event::WakeDht(host) => self.wake_dht(host),
            Event::Datagram(number) => self.datagram_arrives(number),
            Event::Life(host) => self.live(host),
            Event::Leave(host) => self.stop(host),
            Event::Mend(host) => self.mend(host),
            Event::Babble(host) => self.babble(host),
            Event::View(host) => self.view(host),
            Event::Look => {
                self.look();
                self.queue.at(self.now + LOOK_INTERVAL, Event::Look);
            }
        }
    }

    // Telling machines.

    /// Tells a host's machines something, if they run.
    fn tell(&mut self, host: HostId, input: swarm::Input) {
        if self.host(host).is_running() {
            self.host(host).expect(input);
            self.settle(host);
        }
    }

    /// Hands over all that waits for a host's machines: one input, then all outputs, then the
    /// next. Then sees to it that they are woken in time.
    fn settle(&mut self, id: HostId) {
        while let Some(input) = self.host(id).inbox.pop_front() {
            self.note(id, &input);
            let now = self.now;
            let host = self.host(id);
            let Some(router) = &mut host.router else { return };
            router.handle_input(now, input);
            self.drain(id);
            self.host(id).arriving = None;
        }
        self.set_alarm(id);
    }

    /// Carries out all that a host's machines ask for.
    fn drain(&mut self, id: HostId) {
        while let Some(output) = self.host(id).router.as_mut().and_then(Machine::poll_output) {
            self.act(id, output);
        }
    }

    fn set_alarm(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host(id);
        let Some((at, _)) = host.router.as_ref().and_then(Machine::poll_timeout) else { return };
        let at = at.max(now);
        if host.wake.is_none_or(|wake| at < wake) {
            host.wake = Some(at);
            self.queue.at(at, Event::Wake(id));
        }
    }

    fn wake(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host(id);
        if host.wake != Some(now) {
            // An earlier alarm has taken its place.
            return;
        }
        host.wake = None;
        let Some(router) = &mut host.router else { return };
        if let Some((at, reason)) = router.poll_timeout()
            && at <= now
        {
            router.handle_timeout(now);
            host.count_wake(now, reason);
            self.hash.word(now.as_nanos());
            self.hash.word(u64::from(id.0) << 8 | 0xff);
            self.drain(id);
        }
        self.settle(id);
    }

    /// Adds what a machine is told to the hash over the run.
    fn note(&mut self, id: HostId, input: &router::Input) {
        let input = match input {
            router::Input::Swarm { input, .. } => input,
            // Simulated hosts have no network of their own.
            router::Input::FoundLocally { .. } | router::Input::Moved { .. } => return,
            // No torrent here names web seeds.
            router::Input::Web { .. } => return,
            router::Input::FoundInDht { peers, .. } => {
                self.hash.word(self.now.as_nanos());
                self.hash.word(u64::from(id.0) << 8 | 0xfd);
                peers.iter().for_each(|peer| self.hash.bytes(peer.to_string().as_bytes()));
                return;
            }
            router::Input::Announced { result, .. } => {
                self.hash.word(self.now.as_nanos());
                self.hash.word(u64::from(id.0) << 8 | 0xfe);
                for peer in result.iter().flat_map(|response| &response.peers) {
                    self.hash.bytes(peer.to_string().as_bytes());
                }
                return;
            }
        };
        let hash = &mut self.hash;
        let mut head = |kind: u64, conn: Option<ConnId>| {
            hash.word(self.now.as_nanos());
            hash.word(u64::from(id.0) << 8 | kind);
            hash.word(conn.map_or(u64::MAX, |conn| conn.0));
        };
        match input {
            swarm::Input::Message { conn, message } => {
                head(0, Some(*conn));
                hash.message(message);
            }
            swarm::Input::Block { conn, block } => {
                head(1, Some(*conn));
                hash.block(*block);
                let content =
                    self.hosts[id.index()].arriving.map_or(0, |(_, _, content)| content.0);
                hash.word(content.into());
            }
            swarm::Input::BlockSent { conn, block } => {
                head(2, Some(*conn));
                hash.block(*block);
            }
            swarm::Input::Connected { conn, handshake, .. } => {
                head(3, Some(*conn));
                hash.bytes(&handshake.encode());
            }
            swarm::Input::WebSeedOpened { .. } => {}
            swarm::Input::Disconnected { conn } => head(4, Some(*conn)),
            swarm::Input::ConnectFailed { addr } => {
                head(5, None);
                hash.bytes(addr.to_string().as_bytes());
            }
            swarm::Input::PieceStored { piece, .. } => {
                head(6, None);
                hash.word(piece.0.into());
            }
            swarm::Input::PieceCorrupt { piece, .. } => {
                head(7, None);
                hash.word(piece.0.into());
            }
            swarm::Input::PeersFound { peers, .. } => {
                head(8, None);
                peers.iter().for_each(|peer| hash.bytes(peer.to_string().as_bytes()));
            }
            swarm::Input::StorageReady { have } => {
                head(9, None);
                hash.bytes(have.as_bytes());
            }
            swarm::Input::StorageFault(fault) => {
                head(10, None);
                hash.bytes(fault.to_string().as_bytes());
            }
            swarm::Input::Leaves { piece, .. } => {
                head(11, None);
                hash.word(piece.0.into());
            }
            // What users and the disk say now and then: its text is as good as any code.
            rare => {
                head(12, None);
                hash.bytes(format!("{rare:?}").as_bytes());
            }
        }
    }

    // What the network brings.

    fn deliver(&mut self, lane: Lane) {
        let conn = lane.conn;
        while let Some(Delivery { to, packet }) =
            self.network.deliver(&mut self.queue, self.now, lane)
        {
            match packet {
                Packet::Message(message) => self.tell(to, swarm::Input::Message { conn, message }),
                Packet::Block(block, content) => {
                    self.count_source(conn, to, block.len);
                    self.host(to).arriving = Some((conn, block, content));
                    self.tell(to, swarm::Input::Block { conn, block });
                }
                Packet::Close => self.tell(to, swarm::Input::Disconnected { conn }),
            }
        }
    }

    fn uplink_free(&mut self, id: HostId) {
        for (conn, block) in self.network.uplink_free(&mut self.queue, self.now, id) {
            if self.network.is_open(conn, id) {
                self.tell(id, swarm::Input::BlockSent { conn, block });
            }
        }
    }

    fn babble(&mut self, id: HostId) {
        let pieces = self.torrent.metainfo.piece_count();
        if self.host(id).is_running() {
            for conn in self.network.conns_of(id) {
                if !self.network.is_open(conn, id) || self.host(id).rng.chance(0.5) {
                    continue;
                }
                let message = crate::behaviour::babble(&mut self.host(id).rng, pieces);
                self.network.send(&mut self.queue, self.now, conn, id, message);
            }
        }
        self.queue.at(self.now + BABBLE_INTERVAL, Event::Babble(id));
    }

    /// Counts a block by what its sender is.
    fn count_source(&mut self, conn: ConnId, to: HostId, bytes: u32) {
        let from = self.network.peer_of(conn, to).and_then(|from| self.hosts.get(from.index()));
        let Some(from) = from else { return };
        let (first, finished) = (from.plan.start == Start::Everything, from.finished.is_some());
        let sources = &mut self.hosts[to.index()].sources;
        let source = match (first, finished) {
            (true, _) => &mut sources.first_seeds_bytes,
            (false, true) => &mut sources.finished_bytes,
            (false, false) => &mut sources.fetching_bytes,
        };
        *source += u64::from(bytes);
    }

    /// One of those who work together has got a piece: the others say that they have it too.
    fn praise(&mut self, id: HostId, piece: PieceIndex) {
        if self.hosts[id.index()].plan.behaviour != Behaviour::Colluder {
            return;
        }
        let others = self.hosts.iter().filter(|host| {
            let colludes = host.plan.behaviour == Behaviour::Colluder && host.is_running();
            colludes && host.id != id && !host.disk.stored().get(piece)
        });
        let others: Vec<HostId> = others.map(|host| host.id).collect();
        for other in others {
            for conn in self.network.conns_of(other) {
                if self.network.is_open(conn, other) {
                    let message = Message::Have(piece);
                    self.network.send(&mut self.queue, self.now, conn, other, message);
                }
            }
        }
    }

    // What spreads.

    /// A host has one more piece on disk.
    fn piece_spread(&mut self, id: HostId, piece: PieceIndex) {
        if self.hosts[id.index()].plan.start != Start::Everything
            && let Some(copies) = self.copies.get_mut(piece.0 as usize)
        {
            *copies += 1;
            if *copies == 1 && self.one_copy_out.is_none() {
                self.check_one_copy();
            }
        }
    }

    fn check_one_copy(&mut self) {
        if self.copies.contains(&0) {
            return;
        }
        let seeds = self.hosts.iter().filter(|h| h.plan.start == Start::Everything);
        let sent = seeds.map(|seed| seed.totals(self.now).uploaded).sum();
        self.one_copy_out = Some((self.now, sent));
        let leaving: Vec<HostId> = self
            .hosts
            .iter()
            .filter(|host| host.plan.leaves == Some(LeaveWhen::OneCopyIsOut))
            .map(|host| host.id)
            .collect();
        for host in leaving {
            self.queue.at(self.now, Event::Leave(host));
        }
    }

    /// Counts all copies anew: a host is gone, or came back with what it had.
    fn count_copies(&mut self) {
        if self.one_copy_out.is_some() {
            return;
        }
        self.copies.fill(0);
        for host in &self.hosts {
            if host.is_running()
                && host.plan.start != Start::Everything
                && !host.plan.behaviour.claims_everything()
            {
                for piece in host.disk.stored().ones() {
                    self.copies[piece.0 as usize] += 1;
                }
            }
        }
    }
}
