//! One simulated computer: its program, if it runs, its disk, and what its driver has to remember.

use crate::disk::Disk;
use crate::limits::{WAKES_AT_ONCE_MAX, WAKES_PER_SECOND_MAX};
use crate::plan::{Finds, HostPlan, Order, Start};
use crate::report::Sources;
use crate::torrent::Torrent;
use crate::tracker;
use crate::units::{Content, HostId};
use crate::world::{Node, Viewer};
use althing_base::time::Duration;
use althing_base::{Instant, Rng, Seed};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::swarm::{self, ConnId, PickerKind, Source, Swarm, SwarmConfig};
use althing_bittorrent::wire::Handshake;
use althing_bittorrent::{Bitfield, BlockRef, PeerId};
use althing_router::{self as router, Router, TorrentKey, TorrentSetup};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The one torrent that every program has.
pub(crate) const TORRENT: TorrentKey = TorrentKey(1);

/// Where every program listens.
const PORT: u16 = 7716;

/// A host. See the [module](self).
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) plan: HostPlan,
    seed: Seed,
    /// For what liars do.
    pub(crate) rng: Rng,
    /// The machines, while the program runs.
    pub(crate) router: Option<Router>,
    /// How often the program has been started.
    pub(crate) runs: u32,
    pub(crate) peer_id: PeerId,
    /// Its node of the DHT, while the program runs and if it has one.
    pub(crate) dht: Option<Node>,
    /// Told to the machines one at a time.
    pub(crate) inbox: VecDeque<router::Input>,
    /// The block that the machine is being told of; its content waits here for `StoreBlock`.
    pub(crate) arriving: Option<(ConnId, BlockRef, Content)>,
    /// When it is going to be woken.
    pub(crate) wake: Option<Instant>,
    wakes: Wakes,
    pub(crate) disk: Disk,
    /// What is known of the torrent; survives restarts.
    pub(crate) metainfo: Option<Arc<Metainfo>>,
    /// Steps of its life that lie behind.
    pub(crate) lived: usize,
    /// A fault of its disk is going to be mended.
    pub(crate) mending: bool,
    pub(crate) first_started: Option<Instant>,
    pub(crate) finished: Option<Instant>,
    /// How long its program had run until then.
    pub(crate) finished_after: Option<Duration>,
    /// When its program was started last, and how long it had run before.
    ran_since: Instant,
    ran_before: Duration,
    /// What its user looks at.
    pub(crate) viewer: Option<Viewer>,
    /// Of runs that have ended.
    pub(crate) past: Totals,
    /// Where its payload came from.
    pub(crate) sources: Sources,
}

/// What a host has sent and received, in bytes of payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) downloaded: u64,
    pub(crate) uploaded: u64,
    pub(crate) wasted: u64,
}

/// Watches for busy loops.
#[derive(Clone, Copy, Debug, Default)]
struct Wakes {
    at: Instant,
    at_once: u32,
    second: u64,
    in_second: u32,
}

impl Host {
    pub(crate) fn new(id: HostId, plan: HostPlan, torrent: &Torrent, seed: Seed) -> Host {
        let pieces = torrent.metainfo.piece_count();
        let mut disk = Disk::new(plan.disk.clone(), pieces);
        if plan.start == Start::Everything || plan.behaviour.claims_everything() {
            disk.fill(Bitfield::full(pieces));
        }
        let knows = plan.start != Start::Magnet || plan.behaviour.claims_everything();
        Host {
            id,
            disk,
            seed,
            rng: Rng::new(seed.fork("mischief", 0)),
            router: None,
            runs: 0,
            peer_id: PeerId([0; 20]),
            dht: None,
            inbox: VecDeque::new(),
            arriving: None,
            wake: None,
            wakes: Wakes::default(),
            metainfo: knows.then(|| Arc::clone(&torrent.metainfo)),
            lived: 0,
            mending: false,
            first_started: None,
            finished: None,
            finished_after: None,
            ran_since: Instant::ORIGIN,
            ran_before: Duration::ZERO,
            viewer: None,
            past: Totals::default(),
            sources: Sources::default(),
            plan,
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), PORT)
    }

    /// Its address, another one after each start if it hides who it is.
    pub(crate) fn ip(&self) -> IpAddr {
        match ip_of(self.id) {
            IpAddr::V4(ip) if self.plan.new_addresses => {
                let [a, b, c, _] = ip.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, (1 + self.runs % 250) as u8))
            }
            ip => ip,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.router.is_some()
    }

    pub(crate) fn swarm(&self) -> Option<&Swarm> {
        self.router.as_ref()?.swarm(TORRENT)
    }

    /// Starts the program.
    pub(crate) fn start(&mut self, now: Instant, torrent: &Torrent) {
        let seed = self.seed.fork("run", u64::from(self.runs));
        self.runs += 1;
        self.peer_id = PeerId::generate(&mut Rng::new(seed.fork("peer id", 0)));
        let mut config = SwarmConfig::new(self.peer_id);
        config.listen_port = Some(PORT);
        config.connections_max = self.plan.connections_max.unwrap_or(config.connections_max);
        config.unchoke_slots = self.plan.unchoke_slots.unwrap_or(config.unchoke_slots);
        config.choker = self.plan.choker;
        config.seeding = self.plan.seeding;
        if self.plan.watching.as_ref().is_some_and(|watching| watching.order == Order::Sequential) {
            config.picker = PickerKind::Sequential;
        }
        let finds = self.plan.finds;
        config.dht = finds == Finds::Dht;
        let source = match &self.metainfo {
            Some(metainfo) => Source::Metainfo(Arc::clone(metainfo)),
            None => Source::Magnet(torrent.magnet.clone()),
        };
        let mut router = Router::new(seed);
        let setup = TorrentSetup {
            source,
            trackers: match finds {
                Finds::Tracker => vec![vec![tracker::URL.to_owned()]],
                Finds::Dht => Vec::new(),
            },
            families: Vec::new(),
            private: false,
            paused: false,
            // No servers are simulated.
            web_connections: 0,
            swarm: config,
        };
        router.add(now, TORRENT, setup);
        self.router = Some(router);
        self.dht = (finds == Finds::Dht).then(|| Node::new(now, self.ip(), seed));
        self.first_started.get_or_insert(now);
        self.ran_since = now;
        self.inbox.clear();
        self.mending = false;
        if self.metainfo.is_some() {
            self.open_files();
        }
    }

    /// The files are open: the machine may know what is there.
    pub(crate) fn open_files(&mut self) {
        let have = self.disk.stored().clone();
        self.expect(swarm::Input::StorageReady { have });
    }

    /// Puts something into the inbox that the swarm is to be told next.
    pub(crate) fn expect(&mut self, input: swarm::Input) {
        self.inbox.push_back(router::Input::Swarm { torrent: TORRENT, input });
    }

    /// The program is gone. What its machines counted is kept.
    pub(crate) fn end(&mut self, now: Instant, in_time: bool) {
        if let Some(swarm) = self.swarm() {
            let stats = swarm.stats(now);
            self.past.downloaded += stats.downloaded_bytes;
            self.past.uploaded += stats.uploaded_bytes;
            self.past.wasted += stats.wasted_bytes;
        }
        if self.is_running() {
            self.ran_before += now - self.ran_since;
        }
        self.router = None;
        self.dht = None;
        self.inbox.clear();
        self.wake = None;
        self.disk.end_process(now, in_time);
        if !self.disk.stored().is_full() {
            self.finished = None;
            self.finished_after = None;
        }
    }

    /// It has everything.
    pub(crate) fn finish(&mut self, now: Instant) {
        self.finished.get_or_insert(now);
        self.finished_after.get_or_insert(self.ran_before + (now - self.ran_since));
    }

    /// What it has sent and received in all its runs.
    pub(crate) fn totals(&self, now: Instant) -> Totals {
        let mut totals = self.past;
        if let Some(swarm) = self.swarm() {
            let stats = swarm.stats(now);
            totals.downloaded += stats.downloaded_bytes;
            totals.uploaded += stats.uploaded_bytes;
            totals.wasted += stats.wasted_bytes;
        }
        totals
    }

    /// What it says first on a connection.
    pub(crate) fn handshake(&self) -> Option<Handshake> {
        let hashes = self.swarm()?.info_hashes();
        let handshake = Handshake::new(hashes.primary(), self.peer_id, hashes.v2().is_some());
        Some(handshake.with_dht(self.dht.is_some()))
    }

    /// Notes that it was woken.
    ///
    /// # Panics
    /// If it asked for that too often: machines that spin would stop the world.
    pub(crate) fn count_wake(&mut self, now: Instant, reason: impl std::fmt::Debug) {
        let second = now.as_nanos() / 1_000_000_000;
        let wakes = &mut self.wakes;
        wakes.at_once = if wakes.at == now { wakes.at_once + 1 } else { 1 };
        wakes.in_second = if wakes.second == second { wakes.in_second + 1 } else { 1 };
        (wakes.at, wakes.second) = (now, second);
        assert!(
            wakes.at_once <= WAKES_AT_ONCE_MAX && wakes.in_second <= WAKES_PER_SECOND_MAX,
            "busy loop: {:?} wants to be woken for {reason:?}, {} times at {now:?}, {} times in \
             that second",
            self.id,
            wakes.at_once,
            wakes.in_second,
        );
    }
}

/// The first byte of addresses.
const FIRST_NETWORK: u8 = 11;

/// A host's address. Each has a network of its own, 11.x.0.0/16 and what comes after those, as hosts of
/// one swarm do: who gives way to whom and which pieces are allowed fast follow from the network.
pub(crate) fn ip_of(host: HostId) -> IpAddr {
    let [_, _, x, y] = host.0.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(FIRST_NETWORK.wrapping_add(x), y, 0, 1))
}

/// The host at an address.
pub(crate) fn host_at(ip: IpAddr) -> Option<HostId> {
    let IpAddr::V4(ip) = ip.to_canonical() else { return None };
    let [x, y, ..] = ip.octets();
    Some(HostId(u32::from_be_bytes([0, 0, x.checked_sub(FIRST_NETWORK)?, y])))
}
