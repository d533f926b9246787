//! From a data folder to a running session, and back.

use super::categories::Categories;
use super::persist::Persist;
use super::shared::{Registry, Shared};
use super::{Event, StartError, follow, live, load, steward};
use crate::blocks;
use crate::clock;
use crate::config::{Config, Network, Reach};
use crate::crawl;
use crate::entropy;
use crate::index;
use crate::limits::{
    EVENTS_KEPT, HELD_PERCENT, IDLE_READS_PERCENT, PORT_GIVEN_UP_WITHIN, TRACKERS_TOLD_WITHIN,
};
use crate::metrics::Counters;
use crate::net::{
    self, Admission, Arrival, Blocklist, Desk, Known, Listening, LocalDiscovery, Places, Route, Way,
};
use crate::overlay;
use crate::paths::Paths;
use crate::rates::{Governor, Slots};
use crate::shard::{Command, Prepared};
use crate::trackers::{self, Trackers};
use crate::udp::{self, DhtRequest, Standing};
use althing_base::{Seed, Sha1Digest};
use althing_net::portmap::{Protocol, Status};
use althing_net::reach::{Judgement, Mapped, has_moved};
use althing_store::lock::{FolderLock, LockError};
use althing_store::pieces::{Pool, PoolConfig};
use althing_store::shelf::ShelfStore;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// What a session has running beside its shards.
pub(super) struct Running {
    stopping: AtomicBool,
    /// Let go when the session has stopped.
    until_stopped: Mutex<Option<UntilStopped>>,
    shared: Arc<Shared>,
}

struct UntilStopped {
    tasks: Vec<JoinHandle<()>>,
    trackers: JoinHandle<()>,
    /// Who has the router's port; ends when told to, after giving it up.
    mappings: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
    threads: Vec<std::thread::JoinHandle<()>>,
    lock: FolderLock,
}

pub(super) async fn start(
    config: Config,
    dir: &Path,
) -> Result<(Arc<Shared>, Running), StartError> {
    let folder_error = |error| StartError::Folder { path: dir.to_owned(), error };
    std::fs::create_dir_all(dir).map_err(folder_error)?;
    let paths = Paths::new(dir);
    let lock = FolderLock::acquire(&paths.lock()).map_err(|error| match error {
        LockError::Io { path, error } => StartError::Folder { path, error },
        error => StartError::InUse { reason: error.to_string() },
    })?;
    let seed = entropy::seed()?;
    let filter_error = |error| StartError::Filter { path: config.network.ip_filter.clone(), error };
    let network = config.network.clone();
    // A large list takes a while.
    let opening = tokio::task::spawn_blocking(move || Blocklist::open(&network));
    let opened = opening.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    let blocklist = opened.map_err(filter_error)?;
    let way = Way::new(&config.network);
    let Ports { port, listeners, datagrams, datagram_port } = open_ports(&config.network, &way)?;
    let peer_addrs: Vec<_> = listeners.iter().filter_map(|one| one.local_addr().ok()).collect();
    // While the interface is missing, the port that will be listened on is known all the same.
    let later = (net::listens(&config.network) && !way.is_open()).then_some(port);
    let over_utp = net::listens(&config.network) && config.network.utp && !datagrams.is_empty();
    let listen_port = peer_addrs.first().map(SocketAddr::port);
    let listen_port = listen_port.or(over_utp.then_some(datagram_port)).or(later);
    let pool = PoolConfig {
        workers: config.disk_threads(),
        held_bytes_max: config.memory_bytes() / 100 * HELD_PERCENT,
        idle_read_bytes_max: config.memory_bytes() / 100 * IDLE_READS_PERCENT,
        ..PoolConfig::default()
    };
    let (events, _) = broadcast::channel(EVENTS_KEPT);
    let persist = Persist::open(&paths)?;
    let categories =
        Categories::open(paths.categories()).map_err(|reason| StartError::Categories { reason })?;
    let (path, lists) = (paths.blocks(), paths.block_lists());
    let blocks = blocks::Desk::open(path, lists, &config.overlay.network());
    let blocks = Arc::new(blocks.map_err(|reason| StartError::Blocks { reason })?);
    let (trackers, announces) = Trackers::new();
    // Past a proxy, and beyond this machine, nobody is to hear of us; without a port it is no use.
    let hears = config.network.lsd && config.network.reach == Reach::Any;
    let port_found = listen_port.filter(|_| hears && net::listens(&config.network));
    let (local, names) = port_found.map(|_| LocalDiscovery::new()).unzip();
    let reach = Arc::new(Desk::new(&way, net::listens(&config.network)));
    let udp = udp::runs(&config.network).then(udp::Prepared::new);
    let identity = config.overlay.enabled.then(|| overlay::open_identity(&paths.identity()));
    let overlay = identity.transpose()?.map(|keys| (overlay::Prepared::new(keys.node()), keys));
    let index = index::Prepared::open(&config, &paths.index());
    let shared = Arc::new(Shared {
        index: index.as_ref().map(|index| index.handle.clone()),
        trackers,
        families: trackers::families(&config, &way),
        way,
        pool: Pool::new(&pool).map_err(|error| StartError::Thread { error })?,
        admission: Admission::new(config.network.reach, blocklist.map(Arc::new)),
        local,
        udp: udp.as_ref().map(|udp| udp.handle.clone()),
        overlay: overlay.as_ref().map(|(overlay, _)| overlay.handle.clone()),
        finds: Default::default(),
        places: Places::new(config.network.connections as usize),
        counters: Counters::default(),
        persist,
        blocks,
        crawler: crawl::Desk::default(),
        torrents: Registry::default(),
        slots: Slots::new(clock::now(), config.sharing.upload_slots_total),
        follow: follow::Desk::open(&paths.follow(), seed.fork("follow", 0)),
        equals: Default::default(),
        governor: Governor::new(clock::now(), &Arc::new(live::limits(&config, &categories))),
        current: RwLock::new(Arc::new(config.clone())),
        changing_config: Mutex::new(()),
        categories,
        paths,
        rescheduled: Arc::default(),
        steward: Arc::default(),
        queue_full: AtomicBool::new(false),
        queue_last: AtomicI64::new(0),
        config,
        listen_port,
        reach,
        peer_addrs: Arc::new(Mutex::new(peer_addrs)),
        port_mapping: watch::Sender::new(None),
        port_mapping_udp: watch::Sender::new(None),
        events,
        shards: OnceLock::new(),
    });
    let mut threads = Vec::new();
    let prepared = (0..shared.config.shards()).map(|_| Prepared::new());
    let shards = prepared
        .enumerate()
        .map(|(number, shard)| {
            let seed = seed.fork("shard", number as u64);
            let mut handle = shard.start(number, Arc::clone(&shared), &seed)?;
            threads.extend(handle.take_thread());
            Ok(handle)
        })
        .collect::<Result<Vec<_>, StartError>>()?;
    // Only this function sets it, once.
    let _ = shared.shards.set(shards);
    let route = route(&shared, &seed);
    if let Some(udp) = udp {
        threads.push(udp.start(udp::Setup {
            network: shared.config.network.clone(),
            way: shared.way.clone(),
            port: datagram_port,
            sockets: datagrams,
            door: shared.config.network.utp.then(|| {
                let accepts = net::listens(&shared.config.network);
                net::utp_door(shared.admission.clone(), route.clone(), accepts)
            }),
            shared: Arc::downgrade(&shared),
            seed: seed.fork("udp", 0),
        })?);
    }
    if let Some(index) = index {
        let me = overlay.as_ref().map(|(_, keys)| keys.node());
        threads.push(index.start(Arc::downgrade(&shared), me)?);
    }
    if let Some((overlay, keys)) = overlay {
        let config = &shared.config.overlay;
        let network = config.network();
        let meeting = overlay::Meeting::of(&network);
        let entry = meeting.open(&shared, &shared.paths.overlay(), config.super_peer)?;
        // What is said in one network has no business in another.
        let folder = shared.paths.overlay().join(entry.id.to_string());
        let store = ShelfStore::open(&folder)
            .map_err(|error| StartError::Records { reason: error.to_string() })?;
        threads.push(overlay.start(overlay::Setup {
            shared: Arc::downgrade(&shared),
            entry,
            keys,
            network,
            is_super: config.super_peer,
            mail: shared.config.mail.wanted(),
            answers: shared.config.search.answer,
            consults: shared.index.is_some() && shared.config.search.answer,
            terms: shared.config.search.dht_terms.terms(),
            neighbours: config.room(),
            contacts: config.peers.clone(),
            blocks: Arc::clone(&shared.blocks),
            store,
            seed: seed.fork("overlay", 0),
        })?);
    }
    load::load(&shared)?;
    let asking = trackers::run(
        shared.config.clone(),
        shared.way.clone(),
        Arc::downgrade(&shared),
        announces,
        seed.fork("trackers", 0),
    );
    let mut tasks = Vec::new();
    let trackers = tokio::spawn(asking);
    let listening = Listening {
        network: shared.config.network.clone(),
        way: shared.way.clone(),
        port,
        admission: shared.admission.clone(),
        route,
        addrs: Arc::clone(&shared.peer_addrs),
    };
    tasks.push(tokio::spawn(listening.run(listeners)));
    tasks.push(tokio::spawn(watch_way(&shared)));
    let reach = Arc::clone(&shared.reach);
    tasks.push(tokio::spawn(async move { reach.run().await }));
    tasks.push(tokio::spawn(follow_mapping(&shared)));
    tasks.push(tokio::spawn(follow_reach(&shared)));
    tasks.extend(watch_blocklist(&shared).map(tokio::spawn));
    if let (Some(names), Some(port)) = (names, shared.listen_port) {
        let found = found_locally(&shared);
        let seed = seed.fork("lsd", 0);
        tasks.push(tokio::spawn(names.run(shared.way.clone(), port, seed, found)));
    }
    tasks.push(tokio::spawn(super::blocks::follow_lists(Arc::downgrade(&shared))));
    tasks.push(tokio::spawn(crawl::run(Arc::downgrade(&shared))));
    tasks.push(tokio::spawn(steward::run(Arc::downgrade(&shared))));
    tasks.push(tokio::spawn(super::watch::run(Arc::downgrade(&shared))));
    tasks.push(tokio::spawn(follow::run(Arc::downgrade(&shared))));
    tasks.push(tokio::spawn(live::follow_schedule(Arc::downgrade(&shared))));
    let asks = shared.config.network.port_mapping && shared.config.network.reach == Reach::Any;
    let port = shared.listen_port.filter(|_| asks && net::listens(&shared.config.network));
    let map = |what: Protocol, port: u16, status: &watch::Sender<Option<Status>>| {
        let (stop, stopped) = oneshot::channel();
        let seed = seed.fork("portmap", u64::from(what == Protocol::Udp));
        let (way, status) = (shared.way.clone(), status.clone());
        let mapping = net::portmap::run(way, (what, port), seed, status, stopped);
        (stop, tokio::spawn(mapping))
    };
    let tcp = port.filter(|_| shared.config.network.tcp);
    let tcp = tcp.map(|port| map(Protocol::Tcp, port, &shared.port_mapping));
    let udp = port.filter(|_| shared.udp.is_some());
    let udp = udp.map(|port| map(Protocol::Udp, port, &shared.port_mapping_udp));
    let mappings = tcp.into_iter().chain(udp).collect();
    info!(torrents = shared.torrents.len(), port = shared.listen_port, "running");
    let running = Running {
        stopping: AtomicBool::new(false),
        until_stopped: Mutex::new(Some(UntilStopped { tasks, trackers, mappings, threads, lock })),
        shared: Arc::clone(&shared),
    };
    Ok((shared, running))
}

/// The port that peers connect to.
struct Ports {
    /// As it is chosen by the settings: 0 if the system chose it.
    port: u16,
    listeners: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
    /// What the sockets for datagrams are opened on again.
    datagram_port: u16,
}

/// Opens the port that peers connect to, for TCP and UDP. If the system is to choose, one that is free
/// for both.
fn open_ports(network: &Network, way: &Way) -> Result<Ports, StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = net::port(network, way);
        let listeners = net::listen(network, way, port)?;
        if !udp::runs(network) {
            return Ok(Ports { port, listeners, datagrams: Vec::new(), datagram_port: 0 });
        }
        let first = listeners.first().and_then(|one| one.local_addr().ok());
        let wanted = match net::listens(network) {
            true => first.map_or(port, |addr| addr.port()),
            // Nobody is to come: any will do.
            false => 0,
        };
        let datagrams = match udp::open(network, way, wanted) {
            Ok(datagrams) => datagrams,
            Err(error) if !is_taken(&error) => {
                warn!("{error}");
                Vec::new()
            }
            Err(_) if network.port == 0 && tries < udp::PORT_TRIES => continue,
            Err(error) => return Err(error),
        };
        let datagram_port = datagrams.first().and_then(|one| one.local_addr().ok());
        let datagram_port = datagram_port.map_or(wanted, |addr| addr.port());
        return Ok(Ports { port, listeners, datagrams, datagram_port });
    }
}

fn is_taken(error: &StartError) -> bool {
    let StartError::Listen { error, .. } = error else { return false };
    error.kind() == std::io::ErrorKind::AddrInUse
}

/// Hands peers that connect to the shard that has their torrent.
fn route(shared: &Arc<Shared>, seed: &Seed) -> Route {
    let finder = Arc::downgrade(shared);
    let encryption = shared.config.network.encryption;
    let reach = Arc::clone(&shared.reach);
    let shared = Arc::downgrade(shared);
    Route {
        hand_on: Arc::new(move |arrival: Arrival| {
            let Some(shared) = shared.upgrade() else { return false };
            let Some(entry) = shared.torrents.by_hash(arrival.named) else { return false };
            shared.send(&entry, Command::Arrival(entry.key, Box::new(arrival)));
            true
        }),
        find: Arc::new(move |key| finder.upgrade()?.torrents.by_lookup_key(key)),
        arrived: Arc::new(move |ip, over| reach.arrived(ip, over)),
        encryption,
        seed: seed.fork("handshakes", 0),
        drawn: Arc::default(),
    }
}

/// Hands neighbours to the shard that has their torrent.
fn found_locally(shared: &Arc<Shared>) -> impl Fn(Sha1Digest, SocketAddr) + Send + use<> {
    let shared = Arc::downgrade(shared);
    move |info_hash, addr| {
        let Some(shared) = shared.upgrade() else { return };
        if let Some(entry) = shared.torrents.by_hash(info_hash) {
            shared.send(&entry, Command::FoundLocally(entry.key, addr));
        }
    }
}

/// Ends connections to addresses that a list has come to keep out.
fn watch_blocklist(shared: &Arc<Shared>) -> Option<impl Future<Output = ()> + use<>> {
    let list = Arc::clone(shared.admission.blocklist()?);
    info!("{}", list.sentence());
    let shared = Arc::downgrade(shared);
    Some(list.watch(move |sentence, read| {
        let Some(shared) = shared.upgrade() else { return };
        if read {
            info!("{sentence}");
            shared.shards().iter().for_each(|shard| shard.send(Command::Filtered));
        } else {
            warn!("{sentence}");
        }
        shared.emit(Event::Note { id: None, sentence: sentence.into() });
    }))
}

/// Tells who has to know how asking the router for the port stands; trackers and peers hear of another
/// port than ours.
fn follow_mapping(shared: &Arc<Shared>) -> impl Future<Output = ()> + use<> {
    let mut status = shared.peer_mapping().subscribe();
    let mut told = shared.listen_port;
    let shared = Arc::downgrade(shared);
    async move {
        while status.changed().await.is_ok() {
            let mapped = match &*status.borrow_and_update() {
                None => Mapped::NotAsked,
                Some(Status::Asking) => Mapped::Asking,
                Some(Status::Failed(_)) => Mapped::Failed,
                Some(Status::Mapped { external_ip: ip, external_port: port, .. }) => {
                    Mapped::To { ip: *ip, port: *port }
                }
            };
            let Some(shared) = shared.upgrade() else { return };
            shared.reach.mapped(mapped);
            let port = shared.told_port();
            // What it was is likely to be what it will be, once the router has answered.
            if mapped != Mapped::Asking && port != told {
                told = port;
                shared.shards().iter().for_each(|shard| shard.send(Command::ListenAt(port)));
            }
        }
    }
}

/// Tells the DHT's node what our address is, and whether others can reach us.
fn follow_reach(shared: &Arc<Shared>) -> impl Future<Output = ()> + use<> {
    let mut changes = shared.reach.changes();
    let shared = Arc::downgrade(shared);
    async move {
        let mut before = Known::default();
        loop {
            let Some(strong) = shared.upgrade() else { return };
            let known = *changes.borrow_and_update();
            for (ip, was) in [(known.v4, before.v4), (known.v6, before.v6)] {
                if let Some(ip) = ip.filter(|_| ip != was) {
                    strong.ask_dht(DhtRequest::External(ip));
                }
            }
            let judged = known.judgement;
            // Whoever came over uTP alone has shown that the port is open which datagrams come from.
            let is_open = match judged {
                Judgement::Open => known.over_tcp,
                judged => judged == Judgement::Mapped,
            };
            strong.ask_dht(DhtRequest::Standing(Standing {
                unreachable: matches!(judged, Judgement::Closed | Judgement::Deaf),
                port_is_open: is_open,
            }));
            before = known;
            drop(strong);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Says when the interface that is named goes and comes, and when this machine's addresses change, and
/// lets the shards know.
fn watch_way(shared: &Arc<Shared>) -> impl Future<Output = ()> + use<> {
    if let Some(sentence) = shared.way.look().blocked {
        warn!("{sentence}");
        shared.emit(Event::Note { id: None, sentence: sentence.into() });
    }
    let way = shared.way.clone();
    let shared = Arc::downgrade(shared);
    way.watch(move |before, look| {
        let Some(shared) = shared.upgrade() else { return };
        shared.reach.moved(look.own.clone());
        if before.blocked == look.blocked {
            return moved(&shared, &before.own, &look.own);
        }
        let sentence = match &look.blocked {
            Some(sentence) => {
                warn!("{sentence}");
                sentence.as_str()
            }
            None => {
                info!("there is a way out again");
                "the interface is back, and work goes on"
            }
        };
        shared.emit(Event::Note { id: None, sentence: sentence.into() });
        let open = look.is_open();
        for shard in shared.shards() {
            shard.send(Command::Way { open });
        }
    })
}

/// This machine has other addresses than before.
fn moved(shared: &Shared, before: &[IpAddr], own: &[IpAddr]) {
    let gone: Arc<[IpAddr]> = before.iter().filter(|ip| !own.contains(ip)).copied().collect();
    let elsewhere = has_moved(before, own);
    if elsewhere && !own.is_empty() {
        info!("this machine is on another network");
        let sentence = "this machine is on another network: peers and trackers are being told";
        shared.emit(Event::Note { id: None, sentence: sentence.into() });
    }
    let port = (elsewhere && !own.is_empty()).then(|| shared.told_port());
    for shard in shared.shards() {
        shard.send(Command::Elsewhere { gone: Arc::clone(&gone), port });
    }
}

impl Running {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn take(&self) -> Option<UntilStopped> {
        self.stopping.store(true, Ordering::Release);
        self.until_stopped.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stops everything; a second call finds nothing to do.
    pub(super) async fn stop(&self, shared: &Shared) {
        let Some(UntilStopped { tasks, trackers, mappings, threads, lock }) = self.take() else {
            return;
        };
        tasks.iter().for_each(JoinHandle::abort);
        // Whoever listens to one that stands would wait for ever.
        shared.finds.end();
        let given_up = mappings.into_iter().map(|(stop, task)| {
            // An error means that it has ended.
            let _ = stop.send(());
            task
        });
        let mut given_up: Vec<_> = given_up.collect();
        let bound = Duration::from_secs(shared.config.runtime.shutdown_s.into());
        let stopping = async {
            if let Some(overlay) = &shared.overlay {
                let _ = overlay.ask(overlay::Request::Stop).await;
            }
            if let Some(index) = &shared.index {
                let _ = index.stop().await;
            }
            // All at once; one that has ended before does not answer.
            let asked: Vec<_> =
                shared.shards().iter().map(|shard| shard.ask(Command::Stop)).collect();
            for stopped in asked {
                let _ = stopped.await;
            }
            // Only now, when nobody has anything to say to a peer any more.
            if let Some(udp) = &shared.udp {
                let _ = udp.stop().await;
            }
            shared.persist.close().await;
            // What was on its way when the torrents stopped: their farewell.
            let told = shared.trackers.finish();
            if tokio::time::timeout(TRACKERS_TOLD_WITHIN, told).await.is_err() {
                debug!("some trackers were not told");
            }
        };
        if tokio::time::timeout(bound, stopping).await.is_err() {
            warn!("stopping takes too long; some progress will be checked at the next start");
        } else {
            // They have said that they are done.
            for thread in threads {
                let _ = thread.join();
            }
        }
        trackers.abort();
        let giving_up = async {
            for mapping in &mut given_up {
                let _ = mapping.await;
            }
        };
        if tokio::time::timeout(PORT_GIVEN_UP_WITHIN, giving_up).await.is_err() {
            debug!("the router has not said that it gave the port up");
            given_up.iter().for_each(JoinHandle::abort);
        }
        drop(lock);
        info!("stopped");
    }
}

impl Drop for Running {
    /// A session that is dropped without [`Session::shutdown`](super::Session::shutdown) ends its
    /// threads soon, without waiting for them.
    fn drop(&mut self) {
        if let Some(UntilStopped { tasks, trackers, .. }) = self.take() {
            tasks.iter().for_each(JoinHandle::abort);
            trackers.abort();
            for shard in self.shared.shards() {
                let (done, _) = oneshot::channel();
                shard.send(Command::Stop(done));
            }
            if let Some(udp) = &self.shared.udp {
                drop(udp.stop());
            }
            if let Some(overlay) = &self.shared.overlay {
                drop(overlay.ask(overlay::Request::Stop));
            }
            if let Some(index) = &self.shared.index {
                drop(index.stop());
            }
        }
    }
}
