//! The swarm machine: one torrent's dealings with its peers.

mod io;

pub use io::{
    BlockDigests, ConnId, Direction, DisconnectReason, Input, Output, PeerSource, PieceHash,
    StorageFault, V2PieceHash,
};
