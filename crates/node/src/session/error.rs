//! Why a session could not do what it was asked. Each says what happened, what it means and what
//! to do, because users read them as they are.

use super::TorrentId;
use crate::entropy::EntropyError;
use althing_bittorrent::metainfo::{BuildError, FeedError, FileIndex, MetainfoError};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A session could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder cannot be made or used.
    #[error("the data folder {} cannot be used: {error}", path.display())]
    Folder {
        /// The folder or the file in it.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Another process has the data folder.
    #[error("{reason}")]
    InUse {
        /// Which folder, and what to do.
        reason: String,
    },
    /// The records of the torrents cannot be read.
    #[error("{reason}")]
    Records {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// What is set for categories cannot be read.
    #[error("{reason}")]
    Categories {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// What is blocked cannot be read.
    #[error("{reason}")]
    Blocks {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No peer could connect to us.
    #[error("cannot listen for peers on {addr}: {error}; {}", listen_advice(error))]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// The secret key that says who this peer is in the overlay cannot be used.
    #[error(
        "the key {} cannot be used: {reason}; put the right one back, or move it away: then this peer is \
         somebody new to others in the overlay", path.display()
    )]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The list of addresses to keep out cannot be read.
    #[error(
        "the IP filter {} cannot be read: {error}; mend network.ip_filter in config.toml, or leave it \
         empty to do without", path.display()
    )]
    Filter {
        /// The list.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// A thread or its event loop could not be made.
    #[error("cannot start a thread: {error}; the system's limit may be reached")]
    Thread {
        /// The system's words.
        error: io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has the port; choose one with network.port in config.toml (0 lets the \
             system choose)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; mend network.bind in config.toml"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for administrators; choose another with network.port in config.toml"
        }
        _ => "choose another port or address under [network] in config.toml",
    }
}

/// A torrent could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It is not a torrent, or not one that can be trusted.
    #[error(transparent)]
    Metainfo(#[from] MetainfoError),
    /// The session has it.
    #[error("{name} is already here as {id}")]
    AlreadyHere {
        /// Its name in the session.
        id: TorrentId,
        /// Its name.
        name: String,
    },
    /// It is blocked here.
    #[error("{name} is blocked by {why}; add it with `--anyway` to have it all the same")]
    Blocked {
        /// Its name, as far as it is known.
        name: String,
        /// Whose entry it is.
        why: String,
    },
    /// Its files are to be shared in place and are not there.
    #[error("{} is not where the torrent's content would be: {reason}", path.display())]
    NotInPlace {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be written down.
    #[error(
        "the torrent could not be saved: {reason}; free some space or mend the disk, then add it again"
    )]
    Save {
        /// The system's words.
        reason: String,
    },
    /// As many torrents as a session takes.
    #[error("there are {max} torrents already, more than a session takes; remove some")]
    TooMany {
        /// How many it takes.
        max: usize,
    },
    /// As many links are followed as a session does.
    #[error("{max} links are followed already, more than a session does; remove some of theirs")]
    FollowsTooMany {
        /// How many it follows.
        max: usize,
    },
    /// It is here, and a version of something else that is followed.
    #[error("{name} is here already, and follows another link; remove it first")]
    FollowsAnother {
        /// Its name.
        name: String,
    },
    /// Links of BEP 46 need the DHT.
    #[error("a link that is followed is looked up in the DHT: {reason}")]
    NoDht {
        /// Why that cannot be.
        reason: String,
    },
    /// Nobody has what the link names.
    #[error(
        "what this link names is not found ({reason}); its publisher may be offline, try again later"
    )]
    NothingPublished {
        /// How the search ended.
        reason: String,
    },
    /// What is published is no torrent.
    #[error("{0}; ask whoever made the link")]
    Feed(#[from] FeedError),
    /// The session is stopping.
    #[error("althing is stopping")]
    Stopping,
}

/// A torrent could not be published (BEP 46).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It has no v1 info-hash.
    #[error("only v1 and hybrid torrents can be followed; share it without --format v2")]
    NoV1,
    /// It is private.
    #[error("a private torrent is never in the DHT and so cannot be followed; leave --private out")]
    Private,
    /// As many as a session publishes.
    #[error(
        "{max} names are published already, more than a session does; remove keys from the folder \
         `follow` in the data folder and start again"
    )]
    TooMany {
        /// How many it publishes.
        max: usize,
    },
    /// The key cannot be kept.
    #[error("the key cannot be written down: {reason}; mend the data folder, then share it again")]
    Store {
        /// The system's words.
        reason: String,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// It was removed meanwhile.
    #[error("the torrent was removed meanwhile; share it again")]
    Gone,
}

/// A torrent could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The files cannot be read or are not fit for a torrent.
    #[error("{} cannot be shared: {reason}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The options do not fit, or no torrent can be made of such files.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The session is stopping.
    #[error("althing is stopping")]
    Stopping,
}

/// Settings could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeConfigError {
    /// There is no such setting.
    #[error("there is no setting {setting}; `althing config reference` lists them")]
    Unknown {
        /// What was named.
        setting: String,
    },
    /// It does not exist, or it cannot have that value.
    #[error("{reason}")]
    Value {
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be changed: {reason}; mend it, then try again", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A command about a torrent could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is none of that name.
    #[error("no torrent here is called {given}; `althing ls` lists them")]
    Unknown {
        /// What the user typed.
        given: String,
    },
    /// There are several.
    #[error("{given} could be any of {}; type more of it", listed(matches))]
    Ambiguous {
        /// What the user typed.
        given: String,
        /// Which torrents it fits.
        matches: Vec<(TorrentId, String)>,
    },
    /// It came as a magnet link and its info dictionary is not here yet.
    #[error("{name} is still fetching its info dictionary from peers; wait until it has a size")]
    NoMetadata {
        /// Its name.
        name: String,
    },
    /// Nothing of it is in the folder that was named.
    #[error("none of the files of {name} is in {}; name the folder they are in", dir.display())]
    NotLocated {
        /// Its name.
        name: String,
        /// Where they were looked for.
        dir: PathBuf,
    },
    /// Something else is being done with its files.
    #[error("{name}: {reason}")]
    Busy {
        /// Its name.
        name: String,
        /// What, and what to do.
        reason: String,
    },
    /// It has no such file.
    #[error("{name} has no file number {}; `althing show ID --files` lists them", file.0)]
    NoSuchFile {
        /// Its name.
        name: String,
        /// The file's index in the torrent.
        file: FileIndex,
    },
    /// It has no such pieces.
    #[error("{name} has no pieces {}-{}; its pieces are 0 to {}", range.start(), range.end(), pieces - 1)]
    NoSuchPieces {
        /// Its name.
        name: String,
        /// What was named.
        range: RangeInclusive<u32>,
        /// How many pieces it has; at least one.
        pieces: u32,
    },
    /// More ranges of pieces would have a priority of their own than may.
    #[error("at most {max} ranges of pieces have a priority of their own; take some back first")]
    TooManyRanges {
        /// How many may.
        max: usize,
    },
    /// It would have more tags than a torrent may.
    #[error("a torrent has at most {max} tags; take others away first")]
    TooManyTags {
        /// How many it may have.
        max: usize,
    },
    /// The disk refused.
    #[error("{reason}")]
    Storage {
        /// What happened and what to do.
        reason: String,
    },
    /// The session is stopping.
    #[error("althing is stopping")]
    Stopping,
}

fn listed(matches: &[(TorrentId, String)]) -> String {
    let shown = matches.iter().take(MATCHES_SHOWN).map(|(id, name)| {
        let digits: String = id.to_string().chars().take(12).collect();
        format!("{digits} ({name})")
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if matches.len() > MATCHES_SHOWN {
        text.push_str(&format!(" and {} more", matches.len() - MATCHES_SHOWN));
    }
    text
}

/// How many torrents an error names before it only counts.
const MATCHES_SHOWN: usize = 5;
