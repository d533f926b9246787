//! What a user interface shows: plain values, read at one moment.

use super::TorrentId;
pub use crate::peer::line::Encrypted;
use crate::shard::Uptime;
use althing_base::UnixTime;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::{Direction, PeerSource, Transport};
use althing_bittorrent::{Bitfield, InfoHashes, PeerId, Priority};
use althing_store::records::TorrentSettings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a torrent is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TorrentState {
    /// It came as a magnet link: its info dictionary is being fetched from peers.
    Metadata,
    /// Its files are being read and compared with their hashes.
    Checking {
        /// Pieces read so far.
        done: u32,
        /// Pieces to read.
        total: u32,
    },
    /// Its files are being moved to another place.
    Moving {
        /// Bytes that have been moved.
        done_bytes: u64,
        /// Bytes that are to be moved; 0 until that is known.
        total_bytes: u64,
    },
    /// Some wanted pieces are missing.
    Downloading,
    /// All wanted pieces are there.
    Seeding,
    /// It waits for its turn in the queue.
    Queued,
    /// The user wants it to rest.
    Paused,
    /// Something went wrong; [`TorrentSnapshot::note`] says what, and what to do.
    Faulted,
}

/// One line about a torrent.
#[derive(Clone, PartialEq, Debug)]
pub struct TorrentSnapshot {
    /// Its name within the session.
    pub id: TorrentId,
    /// Its names on the network.
    pub info_hashes: InfoHashes,
    /// Its name for people: from the info dictionary, else from the magnet link, else its id.
    pub name: String,
    /// What it is doing.
    pub state: TorrentState,
    /// A sentence about what is wrong or remarkable, if anything is.
    pub note: Option<String>,
    /// Bytes of its files, padding not counted; 0 while unknown.
    pub size_bytes: u64,
    /// Bytes of pieces that are on disk and right.
    pub done_bytes: u64,
    /// Bytes of those files that are wanted.
    pub wanted_bytes: u64,
    /// Bytes still to be fetched.
    pub left_bytes: u64,
    /// How many pieces it has; 0 while unknown.
    pub pieces: u32,
    /// How many of them are on disk and right.
    pub pieces_done: u32,
    /// Payload received since it was added, in bytes, what was thrown away included.
    pub downloaded_bytes: u64,
    /// Payload sent since it was added, in bytes.
    pub uploaded_bytes: u64,
    /// Payload received in bytes a second, smoothed over some seconds.
    pub down_bytes_per_s: u64,
    /// Payload sent in bytes a second, smoothed over some seconds.
    pub up_bytes_per_s: u64,
    /// Peers connected.
    pub peers: u32,
    /// How many of those have everything.
    pub seeds: u32,
    /// Peers known of, connected or not.
    pub known_peers: u32,
    /// Until it is complete at the present rate; `None` if it does not move or is complete.
    pub eta: Option<Duration>,
    /// Sent over received; over the size if nothing was received (it was shared from here).
    pub ratio: f64,
    /// When it was added.
    pub added: UnixTime,
    /// When its last piece came in, or when it was added if it was complete.
    pub completed: Option<UnixTime>,
    /// What the user has set for it.
    pub settings: Arc<TorrentSettings>,
    /// Time that it ran, over all runs of the program.
    pub active: Duration,
    /// Time that it ran and was complete.
    pub seeding: Duration,
    /// What counts the two times above.
    pub(crate) uptime: Uptime,
    /// The folder its files lie in.
    pub save_dir: PathBuf,
    /// Whether only its own trackers may name peers (BEP 27).
    pub private: bool,
}

/// All about a torrent.
#[derive(Clone, PartialEq, Debug)]
pub struct TorrentDetail {
    /// The line about it.
    pub torrent: TorrentSnapshot,
    /// What we call ourselves to its peers.
    pub peer_id: PeerId,
    /// A magnet link for it.
    pub magnet: String,
    /// Its comment, if it has one.
    pub comment: Option<String>,
    /// What made it, if it says.
    pub created_by: Option<String>,
    /// When it was made, if it says.
    pub created: Option<UnixTime>,
    /// Bytes of a piece; 0 while unknown.
    pub piece_bytes: u32,
    /// Which pieces are there; empty while unknown.
    pub have: Bitfield,
    /// For each piece how many connected peers have it.
    pub availability: Vec<u32>,
    /// Its files, pad files left out; empty while unknown.
    pub files: Vec<FileSnapshot>,
    /// Its trackers, tier by tier.
    pub trackers: Vec<TrackerSnapshot>,
    /// Bytes received that hashed to something else.
    pub wasted_bytes: u64,
    /// Bytes taken from other torrents of this session that have the same files, in this run.
    pub copied_bytes: u64,
}

/// A file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSnapshot {
    /// Its index in the torrent, padding counted.
    pub index: FileIndex,
    /// How much it is wanted.
    pub priority: Priority,
    /// Its path below [`TorrentSnapshot::save_dir`], with `/` between the parts.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes of it that are on disk and right.
    pub done_bytes: u64,
}

/// A tracker of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerSnapshot {
    /// Its announce URL.
    pub url: String,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
    /// How the last announce went.
    pub status: TrackerStatus,
    /// Until the next announce, if one is planned.
    pub next_announce: Option<Duration>,
    /// Complete peers it knows of, if it said.
    pub seeds: Option<u32>,
    /// Incomplete peers it knows of, if it said.
    pub leechers: Option<u32>,
}

/// How announcing to a tracker goes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TrackerStatus {
    /// Not asked yet.
    Idle,
    /// Asked, and no answer yet.
    Announcing,
    /// It answered.
    Working {
        /// Peers it named last.
        peers: u32,
        /// A warning it gave, if any.
        warning: Option<String>,
    },
    /// It refused, or did not answer.
    Failed {
        /// Why.
        error: String,
    },
}

/// A connected peer of a torrent.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerSnapshot {
    /// Its address.
    pub addr: SocketAddr,
    /// Its name for itself.
    pub peer_id: PeerId,
    /// Client and version, from its extension handshake or its peer id.
    pub client: String,
    /// Who opened the connection.
    pub direction: Direction,
    /// How its address became known.
    pub source: PeerSource,
    /// What the connection runs over; `None` if it is a web seed.
    pub transport: Option<Transport>,
    /// Which protocol is spoken.
    pub protocol: Protocol,
    /// How much of the connection is encrypted; `None` once it is gone.
    pub encrypted: Option<Encrypted>,
    /// How many pieces it has.
    pub pieces: u32,
    /// Share of the pieces it has, from 0 to 1.
    pub progress: f64,
    /// Payload from it in bytes a second.
    pub down_bytes_per_s: u64,
    /// Payload to it in bytes a second.
    pub up_bytes_per_s: u64,
    /// Payload from it in bytes.
    pub downloaded_bytes: u64,
    /// Payload to it in bytes.
    pub uploaded_bytes: u64,
    /// Choking and interest.
    pub flags: PeerFlags,
}

/// Which protocol a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// BEP 3: the handshake named a v1 info-hash.
    V1,
    /// BEP 52: the handshake named a v2 info-hash, or both sides moved on to v2.
    V2,
}

/// Choking and interest, both ways, and what else is worth a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerFlags {
    /// We do not send to it.
    pub am_choking: bool,
    /// It has something we want.
    pub am_interested: bool,
    /// It does not send to us.
    pub peer_choking: bool,
    /// We have something it wants.
    pub peer_interested: bool,
    /// It has not delivered what we asked for in time.
    pub snubbed: bool,
}

/// The list of addresses that are kept out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpFilterStats {
    /// Its ranges, after those that touch have become one.
    pub ranges: usize,
    /// Its lines that make no sense.
    pub skipped_lines: usize,
    /// Incoming connections that were refused.
    pub refused: u64,
}

/// The whole session at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionStats {
    /// Torrents.
    pub torrents: u32,
    /// How many of them are fetching.
    pub downloading: u32,
    /// How many of them have everything.
    pub seeding: u32,
    /// How many of them wait in the queue.
    pub queued: u32,
    /// Connected peers.
    pub peers: u32,
    /// Payload received since the start, in bytes.
    pub downloaded_bytes: u64,
    /// Payload sent since the start, in bytes.
    pub uploaded_bytes: u64,
    /// Payload received in bytes a second.
    pub down_bytes_per_s: u64,
    /// Payload sent in bytes a second.
    pub up_bytes_per_s: u64,
    /// Memory held by blocks on their way, in bytes.
    pub buffer_bytes: u64,
    /// Addresses kept out because they sent bad data.
    pub banned: u32,
}
