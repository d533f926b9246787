//! What all threads of a session share.

use super::categories::Categories;
use super::find::Finds;
use super::follow;
use super::persist::Persist;
use super::steward::Figures;
use super::{Event, TorrentId, TorrentSnapshot, TorrentState};
use crate::blocks;
use crate::clock;
use crate::config::Config;
use crate::crawl;
use crate::equal;
use crate::index;
use crate::metrics::Counters;
use crate::net::{Admission, Desk, LocalDiscovery, Places, Way};
use crate::overlay;
use crate::paths::Paths;
use crate::rates::{Governor, Slots};
use crate::shard::{Command, ShardHandle, Spent, Uptime};
use crate::trackers::Trackers;
use crate::udp::{self, DhtRequest};
use althing_base::{Sha1Digest, UnixTime};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::tracker::Family;
use althing_bittorrent::wire::mse::lookup_key;
use althing_net::portmap::Status;
use althing_router::TorrentKey;
use althing_store::pieces::Pool;
use althing_store::records::TorrentSettings;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};

/// See the [module](self).
pub(crate) struct Shared {
    /// The settings it was started with.
    pub(crate) config: Config,
    /// The settings as they are now.
    pub(super) current: RwLock<Arc<Config>>,
    /// Held while `config.toml` is read, changed and written.
    pub(super) changing_config: Mutex<()>,
    pub(crate) paths: Paths,
    pub(crate) categories: Categories,
    /// The settings have changed that [`live::follow_schedule`](super::live) follows.
    pub(super) rescheduled: Arc<Notify>,
    /// Something has changed that the [`steward`](super::steward) looks at.
    pub(crate) steward: Arc<Notify>,
    /// There are downloads that wait in the queue: one more is to wait, too.
    pub(super) queue_full: AtomicBool,
    /// What is followed and published (BEP 46).
    pub(super) follow: follow::Desk,
    /// The largest number in the queue.
    pub(super) queue_last: AtomicI64,
    /// Rate limits, over all shards.
    pub(crate) governor: Governor,
    /// Who may upload to how many peers.
    pub(crate) slots: Slots,
    pub(crate) pool: Pool,
    /// By which everything goes out.
    pub(crate) way: Way,
    pub(crate) admission: Admission,
    pub(crate) places: Places,
    pub(crate) counters: Counters,
    pub(crate) persist: Persist,
    pub(crate) trackers: Trackers,
    /// Where torrents go that want to be found on our own network, if any may.
    pub(crate) local: Option<LocalDiscovery>,
    /// The thread that has the sockets for datagrams, if any may be sent.
    pub(crate) udp: Option<udp::Handle>,
    /// The thread that has the overlay, if this session takes part in it.
    pub(crate) overlay: Option<overlay::Handle>,
    /// Searches that are open, and the last ones that were.
    pub(super) finds: Finds,
    /// What there is to find, on disk; only while this session takes part in the overlay.
    pub(crate) index: Option<index::Handle>,
    /// Kinds of address that trackers are asked over.
    pub(crate) families: Vec<Family>,
    /// What has come of finding out which torrents there are.
    pub(crate) crawler: crawl::Desk,
    /// What is not to be shown, answered with, offered or fetched.
    pub(crate) blocks: Arc<blocks::Desk>,
    pub(crate) torrents: Registry,
    /// Which files they have in common.
    pub(crate) equals: equal::Index,
    /// The port that peers can connect to, if any.
    pub(crate) listen_port: Option<u16>,
    /// What is known of our address, and of whether others can reach us.
    pub(crate) reach: Arc<Desk>,
    /// How asking the router for the port goes, if it is asked.
    pub(crate) port_mapping: watch::Sender<Option<Status>>,
    /// The same for UDP.
    pub(crate) port_mapping_udp: watch::Sender<Option<Status>>,
    /// Where peers can connect to at the moment.
    pub(crate) peer_addrs: Arc<Mutex<Vec<SocketAddr>>>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Set once, right after the threads have been started.
    pub(crate) shards: OnceLock<Vec<ShardHandle>>,
}

impl Shared {
    /// Tells watchers.
    pub(crate) fn emit(&self, event: Event) {
        // An error means that nobody watches.
        let _ = self.events.send(event);
    }

    /// Tells watchers of a torrent, unless it is one of our own that no user knows.
    pub(crate) fn emit_of(&self, entry: &Entry, event: Event) {
        if !entry.is_hidden() {
            self.emit(event);
        }
    }

    /// The settings as they are now.
    pub(crate) fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_current(&self, config: Config) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(super) fn changing_config(&self) -> MutexGuard<'_, ()> {
        self.changing_config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where downloads go unless the user names another place.
    pub(super) fn download_dir(&self) -> PathBuf {
        let config = self.current();
        match config.storage.download_dir.as_os_str().is_empty() {
            true => self.paths.files(),
            false => config.storage.download_dir.clone(),
        }
    }

    pub(crate) fn shards(&self) -> &[ShardHandle] {
        self.shards.get().map_or(&[], Vec::as_slice)
    }

    /// Hands a command to the shard that has a torrent.
    pub(crate) fn send(&self, entry: &Entry, command: Command) {
        if let Some(shard) = self.shards().get(entry.shard) {
            shard.send(command);
        }
    }

    /// Whether this session takes part in the DHT.
    pub(crate) fn has_dht(&self) -> bool {
        self.udp.is_some() && self.config.dht.enabled
    }

    /// Asks something of the DHT's node, if there is one.
    pub(crate) fn ask_dht(&self, request: DhtRequest) {
        if let Some(udp) = self.udp.as_ref().filter(|_| self.config.dht.enabled) {
            udp.dht(request);
        }
    }

    /// The port that others are told: the router's, if it forwards another one to ours.
    pub(crate) fn told_port(&self) -> Option<u16> {
        match &*self.peer_mapping().borrow() {
            Some(Status::Mapped { external_port, .. }) => {
                self.listen_port.and(Some(*external_port))
            }
            _ => self.listen_port,
        }
    }

    /// How asking the router goes for the port that others are told: TCP's, unless there is UDP alone.
    pub(super) fn peer_mapping(&self) -> &watch::Sender<Option<Status>> {
        if self.config.network.tcp { &self.port_mapping } else { &self.port_mapping_udp }
    }

    /// Hands a command to all shards but one.
    pub(crate) fn tell_others(&self, but: usize, command: impl Fn() -> Command) {
        let others = self.shards().iter().enumerate().filter(|(at, _)| *at != but);
        others.for_each(|(_, shard)| shard.send(command()));
    }

    /// Memory held by blocks on their way, in bytes.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        let arriving: u64 = self.shards().iter().map(|shard| shard.blocks.bytes()).sum();
        arriving + self.pool.gauges().read_buffer_bytes as u64
    }
}

/// A torrent as all threads see it.
pub(crate) struct Entry {
    pub(crate) id: TorrentId,
    pub(crate) key: TorrentKey,
    /// Which shard has it.
    pub(crate) shard: usize,
    shown: Mutex<TorrentSnapshot>,
    hidden: bool,
    leaving: AtomicBool,
    /// The user wants it although it is blocked.
    pub(crate) anyway: AtomicBool,
    /// It waits in the queue, as its shard was told last.
    pub(super) waits: AtomicBool,
}

impl Entry {
    pub(crate) fn new(key: TorrentKey, shard: usize, shown: TorrentSnapshot) -> Self {
        Entry {
            id: shown.id,
            key,
            shard,
            shown: Mutex::new(shown),
            hidden: false,
            leaving: AtomicBool::new(false),
            anyway: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        }
    }

    /// One that is in no list: users neither see it nor do anything with it.
    pub(crate) fn hidden(key: TorrentKey, shard: usize, shown: TorrentSnapshot) -> Self {
        Entry { hidden: true, ..Entry::new(key, shard, shown) }
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.hidden
    }

    pub(crate) fn snapshot(&self) -> TorrentSnapshot {
        let mut shown = self.lock().clone();
        // A torrent that rests is not published, but time goes on.
        let spent = shown.uptime.spent(clock::now());
        (shown.active, shown.seeding) = (spent.active, spent.seeding);
        shown
    }

    /// What the steward looks at.
    pub(super) fn figures(&self) -> Figures {
        let shown = self.lock();
        Figures {
            state: shown.state,
            complete: shown.completed.is_some(),
            settings: Arc::clone(&shown.settings),
            added: shown.added,
            rate: shown.down_bytes_per_s.saturating_add(shown.up_bytes_per_s),
            uploaded: shown.uploaded_bytes,
            downloaded: shown.downloaded_bytes,
            done: shown.done_bytes,
            seeding: shown.uptime.spent(clock::now()).seeding,
        }
    }

    pub(crate) fn settings(&self) -> Arc<TorrentSettings> {
        Arc::clone(&self.lock().settings)
    }

    pub(super) fn set_settings(&self, settings: Arc<TorrentSettings>) {
        self.lock().settings = settings;
    }

    pub(crate) fn name(&self) -> String {
        self.lock().name.clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut TorrentSnapshot)) {
        change(&mut self.lock());
    }

    /// The torrent is being removed; says whether it was already.
    pub(crate) fn leave(&self) -> bool {
        self.leaving.swap(true, Ordering::AcqRel)
    }

    /// What it is has become known.
    pub(crate) fn described(&self, metainfo: &Metainfo) {
        self.update(|shown| describe(shown, metainfo));
    }

    fn lock(&self) -> MutexGuard<'_, TorrentSnapshot> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills in what a torrent's info dictionary tells.
pub(crate) fn describe(shown: &mut TorrentSnapshot, metainfo: &Metainfo) {
    shown.info_hashes = metainfo.info_hashes();
    metainfo.name().clone_into(&mut shown.name);
    shown.pieces = metainfo.piece_count();
    shown.private = metainfo.is_private();
    let data_files = metainfo.files().iter().filter(|file| !file.is_pad());
    shown.size_bytes = data_files.map(|file| file.size()).sum();
}

/// The torrents of a session, by id and by the names that handshakes use.
#[derive(Default)]
pub(crate) struct Registry {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_id: BTreeMap<TorrentId, Arc<Entry>>,
    by_hash: BTreeMap<Sha1Digest, Arc<Entry>>,
    /// The names in `by_hash` by what encrypted handshakes call them.
    by_lookup_key: HashMap<Sha1Digest, Sha1Digest>,
    next_key: u64,
}

/// A torrent of that name is there already.
pub(crate) struct Taken(pub(crate) Arc<Entry>);

impl Registry {
    /// A key that no torrent has had.
    pub(crate) fn new_key(&self) -> TorrentKey {
        let mut inner = self.write();
        inner.next_key += 1;
        TorrentKey(inner.next_key)
    }

    /// Adds a torrent under all its names, unless one of them is taken.
    pub(crate) fn insert(&self, entry: &Arc<Entry>, hashes: InfoHashes) -> Result<(), Taken> {
        let mut inner = self.write();
        let taken = inner
            .by_id
            .get(&entry.id)
            .or_else(|| hashes.short_hashes().find_map(|hash| inner.by_hash.get(&hash)));
        if let Some(taken) = taken {
            return Err(Taken(Arc::clone(taken)));
        }
        if !entry.hidden {
            inner.by_id.insert(entry.id, Arc::clone(entry));
        }
        for hash in hashes.short_hashes() {
            inner.by_hash.insert(hash, Arc::clone(entry));
            inner.by_lookup_key.insert(lookup_key(hash), hash);
        }
        Ok(())
    }

    /// Adds the names that have become known of a torrent; those that others have stay theirs.
    pub(crate) fn add_names(&self, entry: &Arc<Entry>, hashes: InfoHashes) {
        let mut inner = self.write();
        for hash in hashes.short_hashes() {
            inner.by_hash.entry(hash).or_insert_with(|| Arc::clone(entry));
            inner.by_lookup_key.insert(lookup_key(hash), hash);
        }
    }

    pub(crate) fn remove(&self, id: TorrentId) {
        let mut inner = self.write();
        inner.by_id.remove(&id);
        let Inner { by_hash, by_lookup_key, .. } = &mut *inner;
        by_hash.retain(|name, entry| {
            let goes = entry.id == id;
            if goes {
                by_lookup_key.remove(&lookup_key(*name));
            }
            !goes
        });
    }

    pub(crate) fn by_id(&self, id: TorrentId) -> Option<Arc<Entry>> {
        self.read().by_id.get(&id).cloned()
    }

    /// The torrent that a handshake means.
    pub(crate) fn by_hash(&self, hash: Sha1Digest) -> Option<Arc<Entry>> {
        self.read().by_hash.get(&hash).cloned()
    }

    /// The name that an encrypted handshake means.
    pub(crate) fn by_lookup_key(&self, key: Sha1Digest) -> Option<Sha1Digest> {
        self.read().by_lookup_key.get(&key).copied()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.read().by_id.values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.read().by_id.len()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A torrent nothing is known of but its names.
pub(crate) fn blank(hashes: InfoHashes, name: String, added: UnixTime) -> TorrentSnapshot {
    TorrentSnapshot {
        id: hashes.into(),
        info_hashes: hashes,
        name,
        state: TorrentState::Paused,
        note: None,
        size_bytes: 0,
        done_bytes: 0,
        wanted_bytes: 0,
        left_bytes: 0,
        pieces: 0,
        pieces_done: 0,
        downloaded_bytes: 0,
        uploaded_bytes: 0,
        down_bytes_per_s: 0,
        up_bytes_per_s: 0,
        peers: 0,
        seeds: 0,
        known_peers: 0,
        eta: None,
        ratio: 0.0,
        added,
        completed: None,
        settings: Arc::default(),
        active: Duration::ZERO,
        seeding: Duration::ZERO,
        uptime: Uptime::new(clock::now(), Spent::default()),
        save_dir: PathBuf::new(),
        private: false,
    }
}
