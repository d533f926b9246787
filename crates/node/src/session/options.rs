//! What a user says about a torrent when adding or making one.

use althing_bittorrent::metainfo::{FollowLink, Magnet};
use althing_store::files::Location;
use althing_store::records::TorrentSettings;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a torrent comes from.
#[derive(Clone, Debug)]
pub enum AddSource {
    /// The bytes of a `.torrent` file.
    Torrent(Vec<u8>),
    /// A magnet link: the rest comes from peers (BEP 9).
    Magnet(Magnet),
    /// A link to what changes: the DHT says which torrent that is now, and later (BEP 46).
    Follow(FollowLink),
}

/// How to add a torrent.
#[derive(Clone, Debug, Default)]
pub struct AddOptions {
    /// The folder to put its files in; `None` for the configured one.
    pub save_dir: Option<PathBuf>,
    /// Where its files are already: it is shared from there, nothing is copied. Goes before
    /// `save_dir`. [`Created::location`](super::Created::location), or [`Location::At`] a path.
    pub in_place: Option<Location>,
    /// Add it without starting it.
    pub paused: bool,
    /// Its files were hashed a moment ago by this program: they are not read again.
    pub trusted: bool,
    /// Trackers besides those it names.
    pub trackers: Vec<String>,
    /// Peers to try at once.
    pub peers: Vec<SocketAddr>,
    /// None of its files is wanted until it is said which are.
    pub skip_files: bool,
    /// Although it is blocked here.
    pub anyway: bool,
    /// Everything else that is set for it.
    pub settings: TorrentSettings,
}

/// Which kind of torrent to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TorrentKind {
    /// BEP 3 only.
    V1,
    /// BEP 52 only.
    V2,
    /// Both in one: any client can fetch it.
    #[default]
    Hybrid,
}

/// How to make a torrent.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// Which kind.
    pub kind: TorrentKind,
    /// Its name; `None` for that of the file or folder.
    pub name: Option<String>,
    /// Bytes of a piece, a power of two from 16 KiB; `None` to go by the content's size.
    pub piece_bytes: Option<u32>,
    /// Trackers, tier by tier (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// A comment for people.
    pub comment: Option<String>,
    /// Only its own trackers may name peers (BEP 27).
    pub private: bool,
    /// Text that sets it apart from the same content elsewhere.
    pub source: Option<String>,
}
