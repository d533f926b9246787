//! Torrents and what belongs to them.

use super::settings::FilePriority;
use super::settings::TorrentSettings;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A torrent as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Torrent {
    /// Its name in this API: 40 hexadecimal digits, the v1 info-hash if there is one, else the
    /// start of the v2 info-hash. Routes and commands take any unambiguous beginning of it.
    pub id: String,
    /// What its maker called it; may hold any character but control characters. Until the metadata
    /// is there, what the link called it, else the id.
    pub name: String,
    /// What it is doing.
    pub state: TorrentState,
    /// A sentence about what is wrong or remarkable: in the state `failed` what happened and what
    /// to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Pieces read so far, in the state `checking`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces_checked: Option<u32>,
    /// Bytes of its files that have been moved so far, in the state `moving`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_bytes: Option<u64>,
    /// Bytes of all files, without padding; absent until the metadata is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Bytes of it that are on disk and verified.
    pub done_bytes: u64,
    /// Bytes of those files that are wanted; absent until the metadata is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_bytes: Option<u64>,
    /// Bytes still to be fetched, whole pieces; 0 until the metadata is there.
    pub left_bytes: u64,
    /// Pieces there are; 0 until the metadata is there.
    pub pieces: u32,
    /// Pieces that are on disk and verified.
    pub pieces_done: u32,
    /// Payload coming in.
    pub download_bytes_per_s: u64,
    /// Payload going out.
    pub upload_bytes_per_s: u64,
    /// Payload received since it was added, what was thrown away included.
    pub downloaded_bytes: u64,
    /// Payload sent since it was added.
    pub uploaded_bytes: u64,
    /// Peers connected.
    pub peers: u32,
    /// Those of them that have everything.
    pub seeds: u32,
    /// Peers known of, connected or not.
    pub known_peers: u32,
    /// How long the rest takes at the present rate; absent if nothing is missing or nothing comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u64>,
    /// The folder that its file or folder lies in, on the daemon's machine.
    pub save_dir: String,
    /// When it was added, seconds since 1970.
    pub added_unix_s: i64,
    /// When its last piece came in, or when it was added if nothing was missing then; seconds since
    /// 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_unix_s: Option<i64>,
    /// The category it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What a torrent is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TorrentState {
    /// Looking for peers that know what the link means (BEP 9).
    Metadata,
    /// Reading files on disk and comparing them.
    Checking,
    /// Its files are being moved to another folder.
    Moving,
    /// Fetching pieces.
    Downloading,
    /// Everything wanted is there; giving it to others.
    Seeding,
    /// Waiting for its turn in the queue.
    Queued,
    /// Stopped by the user.
    Paused,
    /// Stopped by a fault that somebody must mend; `note` says which.
    Failed,
}

/// A torrent with all that is known about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TorrentDetail {
    /// What lists show.
    #[serde(flatten)]
    pub torrent: Torrent,
    /// Which kinds of metadata it has; absent until that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The link that it was added by and that is followed (BEP 46).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// The link under which it is published here (BEP 46).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// The v1 info-hash, 40 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v1: Option<String>,
    /// The v2 info-hash, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// What we call ourselves to its peers, 40 hexadecimal digits (BEP 20).
    pub peer_id: String,
    /// A link with which others can fetch it (BEP 9).
    pub magnet: String,
    /// Peers come from its trackers alone (BEP 27).
    pub private: bool,
    /// Bytes of a piece; absent until the metadata is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub piece_length_bytes: Option<u32>,
    /// Files there are, padding not counted; absent until the metadata is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Bytes that came from peers and hashed to something else.
    pub wasted_bytes: u64,
    /// Bytes that were copied from other torrents here which have the same files, since the daemon
    /// started.
    pub copied_bytes: u64,
    /// What is set for it.
    pub settings: TorrentSettings,
    /// Time that it ran.
    pub active_s: u64,
    /// Time that it ran and was complete.
    pub seeding_s: u64,
    /// Tiers of trackers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web servers that hold the same files (BEP 19).
    pub web_seeds: Vec<String>,
    /// Its maker's remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The program it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it was made, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_unix_s: Option<i64>,
}

/// How following a link goes (BEP 46).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Followed {
    /// The link.
    pub link: String,
    /// The public key that signs each version, 64 hexadecimal digits.
    pub key: String,
    /// Tells those under one key apart, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The number of this version; absent until the DHT has named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// How long ago the DHT last answered; absent if it has not since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_up_s_ago: Option<u64>,
    /// What is wrong, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How publishing a torrent under a link goes (BEP 46).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// The link that others follow.
    pub link: String,
    /// The public key that signs each version, 64 hexadecimal digits.
    pub key: String,
    /// The number of this version; absent until it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// How long ago nodes of the DHT last took it; absent if none has since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_s_ago: Option<u64>,
    /// How many nodes did.
    pub nodes: u32,
    /// What is wrong, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Which metadata a torrent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// BEP 3 only.
    V1,
    /// BEP 52 only.
    V2,
    /// Both.
    Hybrid,
}

/// A file of a torrent; padding is left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FileInfo {
    /// Path below the folder that the torrent is saved in, with `/` between its parts.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// BEP 47: may be run as a program.
    pub executable: bool,
    /// BEP 47: what it points to, if it is a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symlink: Option<String>,
}

/// A file of a torrent that is being fetched or seeded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FileProgress {
    /// Its index in the torrent, by which other routes name it; padding counts, too.
    pub index: u32,
    /// How much it is wanted.
    pub priority: FilePriority,
    /// What the torrent says of it.
    #[serde(flatten)]
    pub file: FileInfo,
    /// Bytes of it that are on disk and verified; whole pieces only.
    pub done_bytes: u64,
}

/// A peer of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Whether it is connected now; else this is the last that was seen of it.
    pub connected: bool,
    /// Its address; the port is its listening port only if `direction` is `outgoing`.
    pub addr: String,
    /// The id it gave, 40 hexadecimal digits.
    pub peer_id: String,
    /// Its client by that id or by its own words.
    pub client: String,
    /// Which protocol is spoken: `v1` (BEP 3) or `v2` (BEP 52).
    pub protocol: Protocol,
    /// What the connection runs over: `tcp` or `utp`; absent of a web seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// How much of the connection is encrypted: `no`, `handshake` or `all`; absent once it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<Encrypted>,
    /// Who opened the connection.
    pub direction: Direction,
    /// How its address became known.
    pub source: PeerSource,
    /// Pieces it has.
    pub pieces_done: u32,
    /// Payload coming from it.
    pub download_bytes_per_s: u64,
    /// Payload going to it.
    pub upload_bytes_per_s: u64,
    /// Payload it sent over this connection, or if it is gone over all that there were.
    pub downloaded_bytes: u64,
    /// Payload we sent over this connection, or if it is gone over all that there were.
    pub uploaded_bytes: u64,
    /// We want pieces that it has.
    pub interested: bool,
    /// It does not let us request.
    pub choked: bool,
    /// It wants pieces that we have.
    pub peer_interested: bool,
    /// We do not let it request.
    pub peer_choked: bool,
    /// It has not delivered in time what we asked for.
    pub snubbed: bool,
}

/// Which protocol a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// BEP 3.
    V1,
    /// BEP 52.
    V2,
}

/// What a connection runs over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// uTP (BEP 29).
    Utp,
}

/// How much of a connection is encrypted (message stream encryption).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encrypted {
    /// Nothing.
    No,
    /// The handshake alone: what the connection is does not show at its start.
    Handshake,
    /// Everything, by RC4.
    All,
}

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The peer did.
    Incoming,
    /// We did.
    Outgoing,
}

/// How a peer's address became known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerSource {
    /// A tracker named it.
    Tracker,
    /// It connected to us.
    Incoming,
    /// The user or the magnet link named it.
    Manual,
    /// It announced itself on our own network.
    Lsd,
    /// It is no peer but a web seed (BEP 19): `client` is its URL, and `addr` that of the server
    /// that answered last.
    WebSeed,
    /// Another peer named it (BEP 11).
    Pex,
    /// A node of the DHT named it (BEP 5).
    Dht,
}

/// A tracker of a torrent, and how it answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrackerInfo {
    /// Its address.
    pub url: String,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
    /// How it is with it.
    pub state: TrackerState,
    /// Peers that it named last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
    /// Its words, or why it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Peers that have everything, by its count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeders: Option<u32>,
    /// Peers that are still fetching, by its count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leechers: Option<u32>,
    /// When it is asked next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_announce_s: Option<u64>,
}

/// How it is with a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackerState {
    /// Not asked yet.
    Idle,
    /// Asked; no answer yet.
    Announcing,
    /// The last answer was good.
    Working,
    /// The last try failed; `message` says how.
    Failing,
}

/// Which pieces are here and around.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PieceMap {
    /// Pieces there are.
    pub pieces: u32,
    /// Pieces that are here.
    pub pieces_done: u32,
    /// One bit for each piece that is on disk and verified, the first piece in the highest bit of
    /// the first byte; as hexadecimal digits.
    pub have: String,
    /// For each piece how many of the connected peers have it.
    pub availability: Vec<u32>,
}

/// What a torrent file or link turned out to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct InspectReport {
    /// The id it would have.
    pub id: String,
    /// What its maker called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which kinds of metadata it has.
    pub version: Version,
    /// The v1 info-hash, 40 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v1: Option<String>,
    /// The v2 info-hash, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// A link with which others can fetch it.
    pub magnet: String,
    /// Bytes of all files, without padding; absent for a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Bytes of a piece; absent for a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub piece_length_bytes: Option<u32>,
    /// Pieces there are; absent for a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<u32>,
    /// Peers come from its trackers alone (BEP 27).
    pub private: bool,
    /// Tiers of trackers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web servers that hold the same files (BEP 19).
    pub web_seeds: Vec<String>,
    /// Peers that the link names.
    pub peers: Vec<String>,
    /// Its files without padding; empty for a link, whose files its peers know.
    pub files: Vec<FileInfo>,
    /// Its maker's remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The program it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it was made, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_unix_s: Option<i64>,
}
