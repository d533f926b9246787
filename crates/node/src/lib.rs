//! Althing running: tokio drivers for the machines.

pub mod api;
pub mod blocks;
mod buffers;
pub mod clock;
pub mod config;
mod content;
pub mod crawl;
pub mod entropy;
mod equal;
mod index;
pub mod limits;
mod metrics;
mod net;
mod overlay;
pub mod paths;
mod peer;
mod rates;
mod serve;
pub mod session;
mod shard;
mod trackers;
mod udp;

pub mod tracker_server;

pub use config::Config;
pub use session::Session;
