//! Trackers, as a client and as a server, without IO (BEP 3, 7, 12, 15, 23, 24, 27, 31, 41, 48).

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
