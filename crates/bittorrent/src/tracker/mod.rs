//! Trackers, as a client and as a server, without IO (BEP 3, 7, 12, 15, 23, 24, 27, 31, 41, 48).
//!
//! * [`Announcer`]: one torrent's trackers. It says which to ask, when, and what to tell them.
//! * [`http`] and [`udp`]: how to ask. For HTTP a URL to get and a body to read, for UDP a machine
//!   that sends packets until they are answered, one for all torrents.
//! * [`Server`]: a tracker, over both.
//!
//! ```
//! use althing_base::{Instant, Machine, Seed, Sha1Digest};
//! use althing_bittorrent::tracker::{announcer, http, Announcer, AnnouncerConfig, Server, ServerConfig};
//! use althing_bittorrent::{InfoHashes, PeerId};
//!
//! let mut announcer = Announcer::new(
//!     &AnnouncerConfig {
//!         info_hashes: InfoHashes::v1_only(Sha1Digest([1; 20])),
//!         tiers: vec![vec!["http://tracker.example/announce".to_owned()]],
//!         private: false,
//!         peer_id: PeerId(*b"-AL0100-abcdefghijkl"),
//!         port: 7716,
//!         families: Vec::new(),
//!     },
//!     Seed::from_u64(1),
//! );
//! let mut server = Server::new(ServerConfig::default(), Seed::from_u64(2));
//! let now = Instant::ORIGIN;
//!
//! // One mutation, then drain: it wants the tracker asked.
//! announcer.handle_input(now, announcer::Input::Start);
//! let Some(announcer::Output::Announce { id, url, request, .. }) = announcer.poll_output() else {
//!     panic!("its only tracker is asked first");
//! };
//! let url = http::announce_url(&url, &request);
//!
//! // The driver gets the URL; here the tracker is at hand.
//! let target = url.strip_prefix("http://tracker.example").expect("as above");
//! let reply = server.handle_get(now, "192.0.2.7:40000".parse()?, target.as_bytes());
//! let response = http::parse_announce(&reply.body)?;
//! announcer.handle_input(now, announcer::Input::Response { id, response });
//!
//! let status = announcer.trackers().next().expect("there is one");
//! assert_eq!((status.seeders, status.leechers), (Some(0), Some(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod announcer;
pub mod http;
pub mod limits;
pub mod server;
#[cfg(test)]
mod simulation;
mod types;
pub mod udp;
mod url;

pub use announcer::{Announcer, AnnouncerConfig, TrackerState, TrackerStatus};
pub use server::{HttpReply, Server, ServerConfig};
pub use types::{
    AnnounceRequest, AnnounceResponse, Event, Family, Retry, ScrapeEntry, TrackerError, Transfer,
};
pub use url::{Scheme, TrackerUrl, TrackerUrlError};
