//! What an announcer is told, what it asks for, and what it shows.

use crate::tracker::{AnnounceRequest, AnnounceResponse, Family, TrackerError, TrackerUrl};
use crate::types::{InfoHashes, PeerId};
use althing_base::Instant;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// An announce, named by the announcer; a number is never used twice by one announcer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AnnounceId(pub u64);

/// What an announcer has to know of its torrent.
#[derive(Clone, Debug)]
pub struct AnnouncerConfig {
    /// The torrent. A hybrid is announced under both of its info-hashes (BEP 52), as libtorrent
    /// does, because v1 clients only ask for the one and v2 clients for the other.
    pub info_hashes: InfoHashes,
    /// Its trackers' URLs (BEP 12). What we do not speak is kept to be shown.
    pub tiers: Vec<Vec<String>>,
    /// Whether it is private (BEP 27).
    pub private: bool,
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// Where we listen.
    pub port: u16,
    /// Over which kinds of address each tracker is asked (BEP 7); if empty, over any one.
    pub families: Vec<Family>,
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The torrent takes part in its swarm from now on.
    Start,
    /// It no longer does. Trackers that know of us are told.
    Stop,
    /// It has become complete. Not to be said of one that was complete from the start (BEP 3).
    Completed,
    /// We are elsewhere now, or listen at another port ([`Announcer::set_port`](super::Announcer::set_port)):
    /// trackers are told soon, whatever they want to hear otherwise.
    Moved,
    /// More peers are wanted. Ignored where the tracker does not want to be asked yet.
    NeedPeers,
    /// [`Output::Announce`] is through.
    Response {
        /// Which.
        id: AnnounceId,
        /// What the tracker said.
        response: AnnounceResponse,
    },
    /// [`Output::Announce`] came to nothing.
    Failed {
        /// Which.
        id: AnnounceId,
        /// Why.
        error: TrackerError,
    },
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ask a tracker, in whatever way its URL says; answer [`Input::Response`] or
    /// [`Input::Failed`].
    Announce {
        /// Its name from now on.
        id: AnnounceId,
        /// Whom.
        url: Arc<TrackerUrl>,
        /// Over which kind of address; `None` is any. If the tracker has no such address, the
        /// answer is [`TrackerError::NoAddress`].
        family: Option<Family>,
        /// What to say.
        request: AnnounceRequest,
    },
    /// Forget [`Output::Announce`]; it is not answered any more.
    Cancel {
        /// Which.
        id: AnnounceId,
    },
    /// Peers of the torrent.
    PeersFound {
        /// Where they listen.
        peers: Vec<SocketAddr>,
    },
    /// Of a private torrent, another tracker has answered than the one before: the peers there are
    /// were the former one's, and are to be parted with (BEP 27). What it names comes after this.
    TrackerChanged,
    /// A tracker said what our address is (BEP 24). One tracker's word.
    ExternalAddress {
        /// The tracker's own address, if the driver said it.
        by: Option<IpAddr>,
        /// Ours.
        ip: IpAddr,
    },
}

/// Why an announcer wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// It is time for a regular announce, or for one that asks for more peers.
    Announce,
    /// It is time to try again after a failure.
    Retry,
    /// The driver has not said what became of an announce.
    Unanswered,
}

/// How a tracker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackerState {
    /// Its URL is not one we can use.
    Unsupported,
    /// It has not been needed yet.
    Unused,
    /// It is being asked.
    Announcing,
    /// It answered.
    Working,
    /// It failed; it will be tried again.
    Failing,
    /// It does not want to be asked again (BEP 31).
    Gone,
}

/// A tracker, to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerStatus<'a> {
    /// As the torrent has it.
    pub url: &'a str,
    /// Its tier, the first being 0.
    pub tier: usize,
    /// How it is doing.
    pub state: TrackerState,
    /// Why it fails, or what it warns of; one sentence.
    pub message: Option<&'a str>,
    /// When it will be asked next, if that is settled.
    pub next_announce: Option<Instant>,
    /// Peers that have everything, as it said last.
    pub seeders: Option<u32>,
    /// Peers that do not.
    pub leechers: Option<u32>,
    /// How often the torrent has been completed.
    pub downloaded: Option<u32>,
    /// How many peers it named in its last answer.
    pub peers: usize,
}
