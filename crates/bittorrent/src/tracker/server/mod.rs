//! A tracker: it remembers who is in which swarm and introduces them to each other (BEP 3, 15), over
//! HTTP and UDP alike.
//!
//! Every request has at most one answer and it follows at once, so there is no queue of outputs:
//! [`Server::handle_get`] and [`Server::handle_packet`] return what is to be sent. What remains of a
//! machine is that peers are forgotten in time ([`Server::handle_timeout`]).
//!
//! A peer is listed under the address that its request comes from, never under one that it names:
//! else anyone could have a swarm connect to a stranger. The exception is a request from this very
//! machine, whose loopback address is of no use to others (BEP 3: "generally used for the origin if
//! it's on the same machine as the tracker").

mod http;
mod registry;
mod udp;

pub use http::HttpReply;

use super::AnnounceRequest;
use super::limits::{
    ANSWER_PEERS_DEFAULT, ANSWER_PEERS_MAX, INTERVAL_DEFAULT, PEERS_MAX, SOURCE_PEERS_MAX,
    SOURCE_TORRENT_PEERS_MAX, TORRENT_PEERS_MAX, TORRENTS_MAX,
};
use althing_base::{Instant, Rng, Seed};
use registry::{Announce, Bounds, Registry};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use udp::Connections;

/// How a tracker behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// How often peers are to announce. One that is not heard of for twice as long is forgotten.
    pub interval: Duration,
    /// How often they may at most.
    pub min_interval: Duration,
    /// Torrents that are remembered.
    pub torrents_max: usize,
    /// Peers that are remembered, in all torrents together.
    pub peers_max: usize,
    /// Peers that are listed of one torrent.
    pub torrent_peers_max: usize,
    /// Peers that are remembered at one [`Source`], in all torrents together.
    pub source_peers_max: usize,
    /// Peers that are listed at one [`Source`] in one torrent.
    pub source_torrent_peers_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            interval: INTERVAL_DEFAULT,
            min_interval: Duration::from_secs(60),
            torrents_max: TORRENTS_MAX,
            peers_max: PEERS_MAX,
            torrent_peers_max: TORRENT_PEERS_MAX,
            source_peers_max: SOURCE_PEERS_MAX,
            source_torrent_peers_max: SOURCE_TORRENT_PEERS_MAX,
        }
    }
}

/// Who can be told apart: an IPv4 address, or a /64 network of IPv6, in which everyone has as many
/// addresses as they like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// An address.
    V4(Ipv4Addr),
    /// The first half of an address.
    V6(u64),
}

impl Source {
    /// Where an address belongs.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip),
            IpAddr::V6(ip) => Source::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

/// Why a tracker wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Peers may have to be forgotten.
    Expiry,
}

/// The tracker; see the [module](self).
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    registry: Registry,
    connections: Connections,
}

impl Server {
    /// A tracker that knows nobody. From `seed` follow its choices and the secret of its connection
    /// ids.
    pub fn new(config: ServerConfig, seed: Seed) -> Self {
        let bounds = Bounds {
            torrents: config.torrents_max,
            peers: config.peers_max,
            torrent_peers: config.torrent_peers_max,
            source_peers: config.source_peers_max,
            source_torrent_peers: config.source_torrent_peers_max,
            peer_life: config.interval.saturating_mul(2),
        };
        Server {
            config,
            registry: Registry::new(bounds, Rng::new(seed.fork("registry", 0))),
            connections: Connections::new(seed.fork("connections", 0)),
        }
    }

    /// Forgets peers that have not been heard of.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.registry.expire(now);
    }

    /// When to be woken.
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.registry.next_check().map(|at| (at, Reason::Expiry))
    }

    /// How many torrents it knows.
    pub fn torrent_count(&self) -> usize {
        self.registry.torrent_count()
    }

    /// How many peers it knows, each once for each of its torrents.
    pub fn peer_count(&self) -> usize {
        self.registry.peer_count()
    }
}

/// The address under which a peer is listed.
fn address(from: IpAddr, named: Option<IpAddr>) -> IpAddr {
    named.filter(|ip| from.is_loopback() && !ip.is_unspecified()).unwrap_or(from).to_canonical()
}

fn peers_wanted(wanted: Option<u32>) -> usize {
    wanted.map_or(ANSWER_PEERS_DEFAULT, |count| count as usize).min(ANSWER_PEERS_MAX)
}

/// What the registry has to know of a request.
fn announce(request: &AnnounceRequest, ip: IpAddr) -> Announce {
    Announce {
        info_hash: request.info_hash,
        addr: (ip, request.port).into(),
        peer_id: request.peer_id,
        event: request.event,
        is_seed: request.transfer.left == Some(0),
        wanted: peers_wanted(request.num_want),
        both_families: true,
    }
}
