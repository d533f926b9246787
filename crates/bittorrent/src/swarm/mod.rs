//! The swarm machine: one torrent's dealings with its peers.

mod io;

pub use io::{ConnId, Direction, DisconnectReason, Input, Output, PeerSource, StorageFault};
