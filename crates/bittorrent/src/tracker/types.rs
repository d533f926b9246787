//! What is said to trackers and what they answer, whichever transport carries it (BEP 3, 7, 15, 24,
//! 31).

use super::limits::NUM_WANT;
use crate::types::PeerId;
use althing_base::Sha1Digest;
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Why an announce is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Event {
    /// At a regular interval, or because more peers are wanted.
    #[default]
    None,
    /// The torrent has become complete.
    Completed,
    /// The first one since the torrent was started.
    Started,
    /// The last one: the peer leaves the swarm.
    Stopped,
    /// As [`None`](Self::None), of a peer that does not have everything and wants nothing more
    /// (BEP 21). UDP trackers have no word for it.
    Paused,
}

/// How much has gone over the network and how much is left, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Transfer {
    /// Payload sent since the torrent was started.
    pub uploaded: u64,
    /// Payload received since the torrent was started.
    pub downloaded: u64,
    /// What is not there, wanted or not; `None` while the metadata is unknown.
    pub left: Option<u64>,
}

impl Transfer {
    /// What `left` is in an announce. Where it is not known yet it must not be zero, because that
    /// would be a seed's; libtorrent says one block.
    pub fn left_announced(&self) -> u64 {
        self.left.unwrap_or(16 * 1024)
    }
}

/// Joins or leaves a swarm, or asks for peers of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceRequest {
    /// The swarm: a v1 info-hash, or a v2 info-hash cut to 20 bytes.
    pub info_hash: Sha1Digest,
    /// What the sender calls itself.
    pub peer_id: PeerId,
    /// Where the sender listens.
    pub port: u16,
    /// What it has sent and received.
    pub transfer: Transfer,
    /// Why it announces.
    pub event: Event,
    /// How many peers it wants; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// By which the tracker knows the sender again should its address change (BEP 7, 15).
    pub key: u32,
    /// What the tracker asked to be handed back (BEP 3, HTTP only).
    pub tracker_id: Option<Bytes>,
    /// The sender's address if it is not the one the request comes from (BEP 7); trackers rarely
    /// believe it.
    pub ipv4: Option<Ipv4Addr>,
    /// The same for IPv6 (HTTP only).
    pub ipv6: Option<Ipv6Addr>,
}

impl AnnounceRequest {
    /// A request without an event that asks for [`NUM_WANT`] peers.
    pub fn new(info_hash: Sha1Digest, peer_id: PeerId, port: u16) -> Self {
        AnnounceRequest {
            info_hash,
            peer_id,
            port,
            transfer: Transfer::default(),
            event: Event::None,
            num_want: Some(NUM_WANT),
            key: 0,
            tracker_id: None,
            ipv4: None,
            ipv6: None,
        }
    }
}

/// A tracker's answer to an announce. What is out of bounds has been dropped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnnounceResponse {
    /// Where peers listen; no port is 0 and no address unspecified.
    pub peers: Vec<SocketAddr>,
    /// When the tracker wants to hear of us again; as it says, without bounds.
    pub interval: Option<Duration>,
    /// When it lets us ask again at the earliest.
    pub min_interval: Option<Duration>,
    /// Peers that have everything.
    pub seeders: Option<u32>,
    /// Peers that do not.
    pub leechers: Option<u32>,
    /// How often the torrent has been completed.
    pub downloaded: Option<u32>,
    /// Something that the user should know; a stranger's words.
    pub warning: Option<String>,
    /// What to hand back in the next announce.
    pub tracker_id: Option<Bytes>,
    /// Our address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// The tracker's own address, if whoever asked it knows: not through a proxy.
    pub answered_by: Option<IpAddr>,
}

/// A swarm's size (BEP 15, 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrapeEntry {
    /// Peers that have everything.
    pub seeders: u32,
    /// Peers that do not.
    pub leechers: u32,
    /// How often the torrent has been completed.
    pub downloaded: u32,
}

/// Why a tracker did not answer as hoped.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// It refused, in its own words.
    #[error("the tracker refuses: {reason}")]
    Refused {
        /// Its words.
        reason: String,
        /// What it says about trying again (BEP 31).
        retry: Retry,
    },
    /// It answered something that is no tracker's answer.
    #[error("the tracker's answer makes no sense: {0}")]
    BadResponse(String),
    /// The HTTP server answered with an error.
    #[error("the tracker's server answers with HTTP status {0}")]
    HttpStatus(u16),
    /// No answer in time.
    #[error("the tracker does not answer; it may be down or the network in between")]
    TimedOut,
    /// Its host has no address of the kind asked for. Not the tracker's failure if it has one of
    /// the other kind.
    #[error("the tracker's host has no {0} address")]
    NoAddress(Family),
    /// The name could not be looked up, no connection could be opened, and the like.
    #[error("the tracker cannot be reached: {0}")]
    Unreachable(String),
    /// More requests under way than we keep.
    #[error("too many tracker requests are under way; this one will be tried again")]
    TooManyRequests,
}

/// When to come back after a refusal (BEP 31).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retry {
    /// The tracker does not say.
    #[default]
    Unsaid,
    /// After this time.
    After(Duration),
    /// Never.
    Never,
}

/// A kind of address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The kind of `addr`; an IPv4 address in IPv6 clothing is an IPv4 address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// Whether a peer can be there at all.
pub(super) fn is_peer_address(addr: &SocketAddr) -> bool {
    addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast()
}

/// Addresses in the compact form, 6 bytes for each (BEP 23); a remainder is ignored.
pub(super) fn compact_v4(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
    bytes.as_chunks::<6>().0.iter().map(|&[a, b, c, d, high, low]| {
        (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()
    })
}

/// Addresses in the compact form, 18 bytes for each (BEP 7); a remainder is ignored.
pub(super) fn compact_v6(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
    bytes.as_chunks::<18>().0.iter().map(|chunk| {
        let mut ip = [0; 16];
        ip.copy_from_slice(&chunk[..16]);
        (IpAddr::from(ip).to_canonical(), u16::from_be_bytes([chunk[16], chunk[17]])).into()
    })
}

/// Appends the compact form of an address, 6 or 18 bytes by its family.
pub(super) fn put_compact(out: &mut Vec<u8>, addr: &SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend(ip.octets()),
        IpAddr::V6(ip) => out.extend(ip.octets()),
    }
    out.extend(addr.port().to_be_bytes());
}
