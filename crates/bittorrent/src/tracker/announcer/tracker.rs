//! What is remembered of one tracker of one torrent.

use super::io::{AnnounceId, TrackerState};
use crate::tracker::limits::{INTERVAL_MAX, RETRY_FIRST};
use crate::tracker::{AnnounceResponse, Event, Family, Retry, TrackerError, TrackerUrl};
use althing_base::{Instant, Sha1Digest};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Tracker {
    /// As the torrent has it.
    pub(super) text: String,
    /// `None` if it is none that we speak.
    pub(super) url: Option<Arc<TrackerUrl>>,
    pub(super) tier: usize,
    pub(super) state: TrackerState,
    pub(super) message: Option<String>,
    /// Not to be asked before; what it said itself (BEP 31).
    pub(super) not_before: Option<Instant>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) tracker_id: Option<Bytes>,
    pub(super) seeders: Option<u32>,
    pub(super) leechers: Option<u32>,
    pub(super) downloaded: Option<u32>,
    pub(super) peers: usize,
}

/// One of the ways in which a tracker is asked: an info-hash and a kind of address.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) info_hash: Sha1Digest,
    pub(super) family: Option<Family>,
    /// The announce under way and its event.
    pub(super) asking: Option<(AnnounceId, Event)>,
    /// The tracker has us in its list, for all we know.
    pub(super) started: bool,
    /// The tracker is to be told that the torrent became complete.
    pub(super) completed_due: bool,
}

impl Endpoint {
    /// What the next announce has to say.
    pub(super) fn event(&self) -> Event {
        match (self.started, self.completed_due) {
            (false, _) => Event::Started,
            (true, true) => Event::Completed,
            (true, false) => Event::None,
        }
    }

    /// Whether the tracker knows of us, but not yet that the torrent became complete.
    pub(super) fn owes_completed(&self) -> bool {
        self.event() == Event::Completed
    }
}

impl Tracker {
    pub(super) fn new(text: &str, tier: usize, endpoints: Vec<Endpoint>) -> Self {
        let (url, state, message) = match TrackerUrl::parse(text) {
            Ok(url) => (Some(Arc::new(url)), TrackerState::Unused, None),
            Err(error) => (None, TrackerState::Unsupported, Some(error.to_string())),
        };
        Tracker {
            text: text.to_owned(),
            url,
            tier,
            state,
            message,
            not_before: None,
            endpoints,
            tracker_id: None,
            seeders: None,
            leechers: None,
            downloaded: None,
            peers: 0,
        }
    }

    /// Whether it may ever be asked.
    pub(super) fn is_usable(&self) -> bool {
        !matches!(self.state, TrackerState::Unsupported | TrackerState::Gone)
    }

    /// Whether it may be asked now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.is_usable() && self.not_before.is_none_or(|at| at <= now)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.asking.is_some())
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self, response: &AnnounceResponse) {
        self.state = TrackerState::Working;
        self.message.clone_from(&response.warning);
        self.not_before = None;
        if response.tracker_id.is_some() {
            self.tracker_id.clone_from(&response.tracker_id);
        }
        self.seeders = response.seeders.or(self.seeders);
        self.leechers = response.leechers.or(self.leechers);
        self.downloaded = response.downloaded.or(self.downloaded);
        self.peers = response.peers.len();
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, now: Instant, error: &TrackerError) {
        self.message = Some(error.to_string());
        match error {
            TrackerError::Refused { retry: Retry::Never, .. } => self.state = TrackerState::Gone,
            TrackerError::Refused { retry: Retry::After(time), .. } => {
                self.state = TrackerState::Failing;
                self.not_before = Some(now + (*time).clamp(RETRY_FIRST, INTERVAL_MAX));
            }
            _ => self.state = TrackerState::Failing,
        }
    }
}
