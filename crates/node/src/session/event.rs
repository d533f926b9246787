//! What happens in a session, for whoever watches.

use super::{TorrentId, TorrentState};
use althing_overlay::records::Record;
use std::net::IpAddr;
use std::sync::Arc;

/// Something happened.
///
/// A watcher that does not keep up loses the oldest events and is told how many
/// (`tokio::sync::broadcast::error::RecvError::Lagged`); it reads the list anew then.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A torrent joined the session.
    Added {
        /// Which.
        id: TorrentId,
        /// Its name.
        name: Arc<str>,
    },
    /// A magnet link's info dictionary came in: name, size and files are known now.
    MetadataReceived {
        /// Which.
        id: TorrentId,
        /// Its name.
        name: Arc<str>,
    },
    /// A torrent does something else now.
    StateChanged {
        /// Which.
        id: TorrentId,
        /// What it does now.
        state: TorrentState,
    },
    /// A piece is on disk and right.
    PieceVerified {
        /// Of which torrent.
        id: TorrentId,
        /// Its index.
        piece: u32,
        /// How many pieces are there now.
        pieces_done: u32,
    },
    /// Every wanted piece is on disk.
    Completed {
        /// Which.
        id: TorrentId,
    },
    /// A torrent left the session.
    Removed {
        /// Which.
        id: TorrentId,
    },
    /// An address sent bad data and is kept out.
    Banned {
        /// Whose.
        ip: IpAddr,
    },
    /// New records have come to be held, from others or from our own user.
    Records {
        /// How many since the last time that this was said.
        count: u64,
        /// The first of them.
        records: Arc<[Record]>,
    },
    /// Something a user should read.
    Note {
        /// About which torrent, if about one.
        id: Option<TorrentId>,
        /// What happened, what it means and what to do.
        sentence: Arc<str>,
    },
}
