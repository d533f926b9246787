//! What the client of UDP trackers is told and what it asks for.

use crate::tracker::{AnnounceRequest, AnnounceResponse, ScrapeEntry, TrackerError};
use althing_base::Sha1Digest;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// A request, named by whoever makes it; a number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// How often and how patiently a packet is sent again: after `first`, then after twice as long each
/// time, `attempts` packets in all. Getting a connection id counts too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Time until a packet is sent for the second time.
    pub first: Duration,
    /// How many packets go unanswered before the request fails.
    pub attempts: u32,
}

impl RetryPolicy {
    /// What BEP 15 says: 15 s doubling up to 3840 s. A dead tracker takes more than two hours to be
    /// given up, and all that time the next one in its tier is not asked.
    pub const BEP_15: RetryPolicy = RetryPolicy { first: Duration::from_secs(15), attempts: 9 };

    pub(super) fn timeout(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(1 << attempt.min(16))
    }
}

impl Default for RetryPolicy {
    /// 5, 10 and 20 s: half a minute for a dead tracker, about what libtorrent waits
    /// (`tracker_completion_timeout`). What BEP 15 saves the tracker by its patience, the
    /// announcer's back-off saves it too.
    fn default() -> Self {
        RetryPolicy { first: Duration::from_secs(5), attempts: 3 }
    }
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Announce; ends with [`Output::Announced`] or [`Output::Failed`].
    Announce {
        /// Its name from now on.
        id: RequestId,
        /// Where the tracker listens.
        tracker: SocketAddr,
        /// Path and query of its URL (BEP 41).
        target: Vec<u8>,
        /// What to say.
        request: AnnounceRequest,
    },
    /// Scrape; ends with [`Output::Scraped`] or [`Output::Failed`].
    Scrape {
        /// Its name from now on.
        id: RequestId,
        /// Where the tracker listens.
        tracker: SocketAddr,
        /// The swarms; past [`SCRAPE_SENT_MAX`](crate::tracker::limits::SCRAPE_SENT_MAX) they are
        /// left out.
        info_hashes: Vec<Sha1Digest>,
    },
    /// Forget a request; nothing more is said of it.
    Cancel {
        /// Which.
        id: RequestId,
    },
    /// A packet came in.
    Packet {
        /// From where.
        from: SocketAddr,
        /// What.
        packet: Bytes,
    },
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a packet.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What.
        packet: Vec<u8>,
    },
    /// An announce is through.
    Announced {
        /// Which.
        id: RequestId,
        /// What the tracker said.
        response: AnnounceResponse,
    },
    /// A scrape is through.
    Scraped {
        /// Which.
        id: RequestId,
        /// The swarms' sizes, in the order asked for; maybe fewer.
        entries: Vec<ScrapeEntry>,
    },
    /// A request came to nothing.
    Failed {
        /// Which.
        id: RequestId,
        /// Why.
        error: TrackerError,
    },
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// A connect has not been answered.
    Connect,
    /// A request has not been answered.
    Request,
    /// A connection id has expired.
    Expiry,
}
