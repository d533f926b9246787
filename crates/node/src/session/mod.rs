//! The session: all torrents of one data folder, and what users do with them.
//!
//! A [`Session`] is a handle; clones share one. Its methods may be called from any task of a tokio
//! runtime. Reading lists is cheap: each shard publishes its torrents' figures once a second and
//! whenever a state changes.

mod add;
pub(crate) mod blocks;
mod categories;
mod create;
pub(crate) mod dht;
mod error;
mod event;
pub(crate) mod find;
mod follow;
mod id;
pub(crate) mod index;
mod listings;
mod live;
mod load;
mod mail;
mod network;
mod options;
mod overlay;
pub(crate) mod persist;
mod queue;
mod reading;
mod records;
mod relocate;
pub(crate) mod settings;
pub(crate) mod shared;
mod snapshot;
mod start;
mod steward;
mod ticket;
mod watch;
pub(crate) mod wishes;

pub use crate::index::{IndexStatus, SearchError, read_documents_with};
pub(crate) use add::{folder as save_dir, shard_of};
pub use althing_net::portmap::Status as PortMapping;
pub use blocks::{BlocksError, BlocksStatus, list_name, parse_follow};
pub use categories::Category;
pub use create::{Created, make_torrent};
pub use dht::{DhtError, DhtFamily, DhtLookup, DhtStatus, DhtTorrent};
pub use error::{AddError, ChangeConfigError, CommandError, CreateError, PublishError, StartError};
pub use event::Event;
pub use find::{
    Answer, AnswerPage, FINDS_OPEN_MAX, Find, FindCost, FindError, FindKind, FindListener,
    FindOptions, FindSnapshot, FindState, FindVia, WANTED_MAX,
};
pub use follow::{FollowedStatus, PublishedStatus};
pub use id::{PREFIX_DIGITS_MIN, TorrentId};
pub use listings::KnownListing;
pub use live::ConfigChanged;
pub use mail::{MailError, Mails};
pub use network::{NetworkStatus, Reachable, Translation};
pub use options::{AddOptions, AddSource, CreateOptions, TorrentKind};
pub use overlay::{OverlayError, OverlayLink, OverlayStatus};
pub use queue::QueueMove;
pub use reading::{FileReader, OpenFile, Viewer};
pub use records::{RECORDS_OF_PAGE_MAX, RecordsPage, RecordsQuery};
pub use relocate::Located;
pub use settings::TorrentChange;
pub use snapshot::{
    Encrypted, FileSnapshot, IpFilterStats, PeerFlags, PeerSnapshot, Protocol, SessionStats,
    TorrentDetail, TorrentSnapshot, TorrentState, TrackerSnapshot, TrackerStatus,
};

use crate::config::Config;
use crate::metrics;
use crate::net;
use crate::net::Way;
use crate::overlay::Request as OverlayRequest;
use crate::shard::Command;
pub use crate::shard::ReadError;
use althing_bittorrent::metainfo::Metainfo;
pub use althing_store::files::Location;
pub use althing_store::records::{Goal, Label, LabelError, Ratio, TorrentSettings};
use shared::{Entry, Shared};
use start::Running;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
pub(crate) use ticket::Ticket;
use tokio::sync::{broadcast, oneshot};

/// A running session.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    running: Arc<Running>,
}

impl Session {
    /// Opens the data folder `dir`, starts listening for peers and loads the torrents that were
    /// there.
    ///
    /// # Errors
    /// If the folder is in use or cannot be used, or the peer port cannot be listened on.
    pub async fn start(config: Config, dir: &Path) -> Result<Session, StartError> {
        let (shared, running) = start::start(config, dir).await?;
        Ok(Session { shared, running: Arc::new(running) })
    }

    /// Adds a torrent and, unless it is to be paused, starts it. It is durable when this returns.
    ///
    /// # Errors
    /// If it is malformed, here already, or cannot be written down.
    pub async fn add(&self, source: AddSource, options: AddOptions) -> Result<TorrentId, AddError> {
        add::add(&self.shared, source, options).await
    }

    /// Publishes a torrent of this session as the newest version of `what` (BEP 46), under the key that
    /// `what` has had since it was first published here. It is put into the DHT soon, and again each
    /// hour; [`published`](Self::published) tells how that goes. The version before leaves the list,
    /// and its files stay.
    ///
    /// # Errors
    /// If it has no v1 info-hash, is private, is one too many, or its key cannot be written down.
    pub async fn publish(&self, what: String, id: TorrentId) -> Result<(), PublishError> {
        follow::publish(&self.shared, what, id).await
    }

    /// Makes a torrent from a file or folder. `progress` is told how many bytes of how many have
    /// been hashed. The torrent is not added; [`AddOptions::in_place`] and
    /// [`AddOptions::trusted`] share it without reading the files again.
    ///
    /// # Errors
    /// If the files cannot be read. Dropping the future stops the work.
    pub async fn create(
        &self,
        path: &Path,
        options: CreateOptions,
        progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<Created, CreateError> {
        create::create(&self.shared, path, options, progress).await
    }

    /// All torrents, in order of their names.
    pub fn list(&self) -> Vec<TorrentSnapshot> {
        let all = self.shared.torrents.all();
        let mut list: Vec<_> = all.iter().map(|entry| entry.snapshot()).collect();
        list.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        list
    }

    /// How many torrents there are.
    pub fn count(&self) -> usize {
        self.shared.torrents.len()
    }

    /// One torrent's line.
    pub fn snapshot(&self, id: TorrentId) -> Option<TorrentSnapshot> {
        self.shared.torrents.by_id(id).map(|entry| entry.snapshot())
    }

    /// The torrent that `given` means: an id, a start of one that no other has (at least
    /// [`PREFIX_DIGITS_MIN`] digits), or a name that no other has. Of hybrid torrents the v2
    /// info-hash does as well.
    ///
    /// # Errors
    /// If it means none or several.
    pub fn resolve(&self, given: &str) -> Result<TorrentId, CommandError> {
        // Programs say ids in full, and need not wait for a look at ten thousand names.
        if let Some(entry) = given.parse().ok().and_then(|id| self.shared.torrents.by_id(id)) {
            return Ok(entry.id);
        }
        let all = self.list();
        let is_prefix = given.len() >= PREFIX_DIGITS_MIN
            && given.bytes().all(|digit| digit.is_ascii_hexdigit());
        let v2 = |torrent: &TorrentSnapshot| torrent.info_hashes.v2().map(|hash| hash.to_string());
        let means = |torrent: &&TorrentSnapshot| {
            let starts_v2 = || {
                let lower = given.to_ascii_lowercase();
                v2(torrent).is_some_and(|hash| hash.starts_with(&lower))
            };
            is_prefix && (torrent.id.starts_with(given) || starts_v2())
        };
        let mut matches: Vec<_> = all.iter().filter(means).collect();
        matches.extend(all.iter().filter(|torrent| torrent.name == given && !means(torrent)));
        match matches[..] {
            [] => Err(CommandError::Unknown { given: given.to_owned() }),
            [one] => Ok(one.id),
            _ => Err(CommandError::Ambiguous {
                given: given.to_owned(),
                matches: matches.iter().map(|one| (one.id, one.name.clone())).collect(),
            }),
        }
    }

    /// The torrent in the list that has one of these names.
    pub fn of_hashes(&self, hashes: althing_bittorrent::InfoHashes) -> Option<TorrentId> {
        let found = hashes.short_hashes().find_map(|hash| self.shared.torrents.by_hash(hash));
        found.filter(|entry| !entry.is_hidden()).map(|entry| entry.id)
    }

    /// All about a torrent; `None` if there is none of that id.
    pub async fn show(&self, id: TorrentId) -> Option<TorrentDetail> {
        self.ask(id, Command::Show).await
    }

    /// The peers a torrent is connected to; `None` if there is no torrent of that id.
    pub async fn peers(&self, id: TorrentId) -> Option<Vec<PeerSnapshot>> {
        self.ask(id, Command::ShowPeers).await
    }

    /// The peers that a torrent exchanged payload with and is no longer connected to, the latest last;
    /// some dozens at most. `None` if there is no torrent of that id.
    pub async fn departed_peers(&self, id: TorrentId) -> Option<Vec<PeerSnapshot>> {
        self.ask(id, Command::ShowDeparted).await
    }

    /// The torrent itself; `None` if there is none of that id or its info dictionary is not here yet.
    pub async fn metainfo(&self, id: TorrentId) -> Option<Arc<Metainfo>> {
        self.ask(id, Command::Metainfo).await?
    }

    /// Rests a torrent: its connections are closed, nothing is sent or fetched. Also after the next
    /// start.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn pause(&self, id: TorrentId) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        self.write_down(self.shared.persist.paused(id, true).await)?;
        self.shared.send(&entry, Command::Pause(entry.key));
        self.settled(id).await
    }

    /// Lets a torrent go on, or try again after something went wrong.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn resume(&self, id: TorrentId) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        self.write_down(self.shared.persist.paused(id, false).await)?;
        self.shared.send(&entry, Command::Resume(entry.key));
        self.settled(id).await
    }

    /// Takes a torrent out of the session; with `delete_data` its files are deleted, too, and folders
    /// that are empty then.
    ///
    /// # Errors
    /// If there is none of that id, or its files cannot be deleted (it is out of the session then).
    pub async fn remove(&self, id: TorrentId, delete_data: bool) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        leave(&self.shared, &entry, delete_data).await
    }

    /// Reads all files of a torrent and compares them with their hashes. Returns when it has begun;
    /// [`TorrentState::Checking`] tells the progress.
    ///
    /// # Errors
    /// If there is none of that id, or it has no info dictionary yet.
    pub async fn verify(&self, id: TorrentId) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        if self.metainfo(id).await.is_none() {
            return Err(CommandError::NoMetadata { name: entry.name() });
        }
        self.shared.send(&entry, Command::Verify(entry.key));
        self.settled(id).await
    }

    /// Gives a torrent addresses of peers to try.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn add_peers(
        &self,
        id: TorrentId,
        peers: Vec<SocketAddr>,
    ) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        self.shared.send(&entry, Command::Peers(entry.key, peers));
        self.settled(id).await
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The whole session's figures.
    pub fn stats(&self) -> SessionStats {
        let mut stats = SessionStats {
            banned: u32::try_from(self.shared.admission.banned()).unwrap_or(u32::MAX),
            buffer_bytes: self.shared.buffer_bytes(),
            ..SessionStats::default()
        };
        for entry in self.shared.torrents.all() {
            let torrent = entry.snapshot();
            stats.torrents += 1;
            stats.downloading += u32::from(torrent.state == TorrentState::Downloading);
            stats.seeding += u32::from(torrent.state == TorrentState::Seeding);
            stats.queued += u32::from(torrent.state == TorrentState::Queued);
            stats.peers += torrent.peers;
            stats.down_bytes_per_s += torrent.down_bytes_per_s;
            stats.up_bytes_per_s += torrent.up_bytes_per_s;
        }
        let payload = self.shared.counters.payload();
        (stats.downloaded_bytes, stats.uploaded_bytes) = payload;
        stats
    }

    /// All figures as Prometheus reads them (text format 0.0.4).
    pub fn metrics(&self) -> String {
        metrics::render(&self.shared, &self.stats())
    }

    /// The settings it was started with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The addresses it listens on for peers at the moment.
    pub fn peer_addrs(&self) -> Vec<SocketAddr> {
        let listening =
            self.shared.peer_addrs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match &self.shared.udp {
            // Without TCP the sockets for datagrams are where.
            Some(udp) if !self.config().network.tcp && net::listens(&self.config().network) => {
                udp.addrs()
            }
            _ => listening,
        }
    }

    /// By which everything goes out.
    pub(crate) fn way(&self) -> &Way {
        &self.shared.way
    }

    /// The proxy that everything goes through, as it may be shown.
    pub fn proxy(&self) -> Option<String> {
        self.shared.way.proxy().map(ToString::to_string)
    }

    /// How asking the router for the port goes; `None` if it is not asked.
    pub fn port_mapping(&self) -> Option<PortMapping> {
        self.shared.port_mapping.borrow().clone()
    }

    /// The list of addresses that are kept out, if there is one.
    pub fn ip_filter(&self) -> Option<IpFilterStats> {
        let list = self.shared.admission.blocklist()?;
        let (ranges, skipped_lines, refused) = list.figures();
        Some(IpFilterStats { ranges, skipped_lines, refused })
    }

    /// Why nothing can go out, as a user should read it, if that is so: the interface that
    /// `network.interface` names is not there.
    pub fn blocked(&self) -> Option<String> {
        self.shared.way.look().blocked
    }

    /// Stops: trackers are told, progress is saved, connections are closed. Takes at most
    /// `runtime.shutdown_s` seconds. Other handles find the session stopping.
    pub async fn shutdown(&self) {
        self.running.stop(&self.shared).await;
    }

    fn entry(&self, id: TorrentId) -> Result<Arc<Entry>, CommandError> {
        if self.running.is_stopping() {
            return Err(CommandError::Stopping);
        }
        let unknown = || CommandError::Unknown { given: id.to_string() };
        self.shared.torrents.by_id(id).ok_or_else(unknown)
    }

    async fn ask<T>(
        &self,
        id: TorrentId,
        command: impl FnOnce(althing_router::TorrentKey, oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let entry = self.shared.torrents.by_id(id)?;
        let (reply, answer) = oneshot::channel();
        self.shared.send(&entry, command(entry.key, reply));
        answer.await.ok()
    }

    /// Waits until the shard has carried out what it was sent: it answers in order.
    async fn settled(&self, id: TorrentId) -> Result<(), CommandError> {
        match self.ask(id, Command::Metainfo).await {
            Some(_) => Ok(()),
            None => Err(CommandError::Stopping),
        }
    }

    fn write_down(&self, result: Result<(), String>) -> Result<(), CommandError> {
        result.map_err(|reason| CommandError::Storage { reason })
    }
}

/// Takes a torrent out of the session.
async fn leave(shared: &Shared, entry: &Arc<Entry>, delete_data: bool) -> Result<(), CommandError> {
    let id = entry.id;
    if entry.leave() {
        return Err(CommandError::Unknown { given: id.to_string() });
    }
    // First of all it must not come back: better files that nobody claims than a claim without
    // files.
    let forgotten = shared.persist.remove(id).await;
    let (done, gone) = oneshot::channel();
    let delete = delete_data && forgotten.is_ok();
    shared.send(entry, Command::Remove { torrent: entry.key, delete, done });
    let closed = gone.await.unwrap_or(Ok(()));
    shared.torrents.remove(id);
    if let Some(overlay) = &shared.overlay {
        overlay.say(OverlayRequest::Withdraw(entry.snapshot().info_hashes));
    }
    shared.steward.notify_one();
    shared.emit(Event::Removed { id });
    forgotten.and(closed).map_err(|reason| CommandError::Storage { reason })
}
