//! BitTorrent without IO.
//!
//! * [`metainfo`]: what a torrent is (v1, v2, hybrid), magnet links, and making new torrents.
//! * [`wire`]: the bytes peers exchange, parsed once into types that cannot be wrong.
//! * [`tracker`]: announcing and scraping over HTTP and UDP, as a client and as a server.
//! * [`lsd`]: finding peers on the same network.
//! * [`swarm`]: the machine that decides, for one torrent, whom to talk to, what to ask for and
//!   what to give.
//! * [`utp`]: streams over UDP that give way to other traffic.
//! * [`webseed`]: HTTP servers that have a torrent's files.
//!
//! None of it opens a socket or a file. A driver (the `node` crate's on tokio, the `sim` crate's
//! in a simulated network) moves the bytes; payload goes from socket to disk without passing
//! through here.

pub mod lsd;
pub mod metainfo;
pub mod swarm;
mod text;
pub mod tracker;
pub mod types;
pub mod utp;
pub mod webseed;
pub mod wire;

pub use types::{
    Bitfield, BlockDigests, BlockRef, InfoHashes, PeerId, PieceHash, PieceIndex, Priority,
    V2PieceHash,
};
