//! What every handler has at hand.

use super::convert;
use super::jobs::Jobs;
use super::limits::{CONTENT_READS_MAX, EVENT_STREAMS_MAX};
use super::live::Live;
use super::streams::Streams;
use super::torznab;
use super::types::SessionInfo;
use crate::clock;
use crate::session::Session;
use althing_base::Instant;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The session and what belongs to the API itself; clones share one.
#[derive(Clone)]
pub(super) struct App(Arc<Inner>);

struct Inner {
    session: Session,
    dir: PathBuf,
    started: Instant,
    live: Live,
    jobs: Jobs,
    /// Places for event streams.
    streams: Arc<Semaphore>,
    /// Files that players may open.
    watched: Streams,
    /// Places for those who read files.
    content_places: Arc<Semaphore>,
    /// What programs ask that look for films and the like.
    torznab: torznab::Desk,
    /// Becomes true when the API is to end.
    stop: watch::Receiver<bool>,
    /// Becomes true when a client asked the whole daemon to stop.
    shutdown: watch::Sender<bool>,
}

impl App {
    pub(super) fn new(
        session: Session,
        dir: PathBuf,
        torznab: torznab::Desk,
        stop: watch::Receiver<bool>,
    ) -> Self {
        App(Arc::new(Inner {
            session,
            dir,
            started: clock::now(),
            live: Live::new(),
            jobs: Jobs::default(),
            streams: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
            watched: Streams::default(),
            content_places: Arc::new(Semaphore::new(CONTENT_READS_MAX)),
            torznab,
            stop,
            shutdown: watch::Sender::new(false),
        }))
    }

    pub(super) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0.dir
    }

    pub(super) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(super) fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    pub(super) fn streams(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.streams)
    }

    pub(super) fn watched(&self) -> &Streams {
        &self.0.watched
    }

    pub(super) fn content_places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.content_places)
    }

    pub(super) fn torznab(&self) -> &torznab::Desk {
        &self.0.torznab
    }

    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.0.stop.clone()
    }

    pub(super) fn shutdown(&self) -> &watch::Sender<bool> {
        &self.0.shutdown
    }

    /// The daemon and its totals, as they are now.
    pub(super) fn session_info(&self) -> SessionInfo {
        let stats = self.session().stats();
        SessionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dir: self.dir().to_string_lossy().into_owned(),
            pid: std::process::id(),
            uptime_s: clock::now().since(self.0.started).as_secs(),
            peer_addrs: self.session().peer_addrs().iter().map(ToString::to_string).collect(),
            torrents: stats.torrents,
            downloading: stats.downloading,
            seeding: stats.seeding,
            peers: stats.peers,
            download_bytes_per_s: stats.down_bytes_per_s,
            upload_bytes_per_s: stats.up_bytes_per_s,
            downloaded_bytes: stats.downloaded_bytes,
            uploaded_bytes: stats.uploaded_bytes,
            buffer_bytes: stats.buffer_bytes,
            banned: stats.banned,
            blocked: self.session().blocked(),
            proxy: self.session().proxy(),
            port_mapping: self.session().port_mapping().map(convert::port_mapping),
            ip_filter: self.session().ip_filter().map(convert::ip_filter),
        }
    }
}
