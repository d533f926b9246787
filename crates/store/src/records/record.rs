//! What is remembered.

use super::settings::TorrentSettings;
use crate::files::{Location, Stamp};
use crate::pieces::{Checked, Durable, Partial};
use althing_base::UnixTime;
use althing_bittorrent::Bitfield;
use althing_bittorrent::metainfo::FileIndex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the user wants of a torrent, and what has come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where its data is.
    pub location: Location,
    /// The user wants it to rest.
    pub paused: bool,
    /// When it was added.
    pub added: UnixTime,
    /// When its last piece came in.
    pub completed: Option<UnixTime>,
    /// Payload sent, in bytes.
    pub uploaded: u64,
    /// Payload received, in bytes, what was thrown away included.
    pub downloaded: u64,
    /// Time that it ran, whole seconds.
    pub active: Duration,
    /// Time that it ran and was complete, whole seconds.
    pub seeding: Duration,
    /// What the user has set for it. Shared, because it is looked at from many places and seldom
    /// changes.
    pub settings: Arc<TorrentSettings>,
    /// The magnet link it was added by, as long as that is all there is.
    pub magnet: Option<String>,
    /// Trackers besides those the torrent names.
    pub trackers: Vec<String>,
    /// Peers that were good: where to begin next time. The first
    /// [`RECORD_PEERS_MAX`](crate::limits::RECORD_PEERS_MAX) are kept.
    pub peers: Vec<SocketAddr>,
}

impl Record {
    /// A new torrent's.
    pub fn new(location: Location, added: UnixTime) -> Self {
        Record {
            location,
            paused: false,
            added,
            completed: None,
            uploaded: 0,
            downloaded: 0,
            active: Duration::ZERO,
            seeding: Duration::ZERO,
            settings: Arc::default(),
            magnet: None,
            trackers: Vec::new(),
            peers: Vec::new(),
        }
    }
}

/// Which of a torrent's pieces are claimed to be on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resume {
    /// Nothing has been written since that is not claimed.
    pub clean: bool,
    /// The pieces.
    pub pieces: Bitfield,
    /// What the files looked like when the last of their pieces was claimed.
    pub stamps: BTreeMap<FileIndex, Stamp>,
    /// What was on disk of unfinished pieces; not claimed.
    pub partials: Vec<Partial>,
    /// Pieces of a check that has not come to its end: still to be looked at, and until then not
    /// believed.
    pub unchecked: Option<Bitfield>,
}

impl Resume {
    /// Nothing is claimed of a torrent of so many pieces.
    pub fn new(piece_count: u32) -> Self {
        Resume {
            clean: true,
            pieces: Bitfield::new(piece_count),
            stamps: BTreeMap::new(),
            partials: Vec::new(),
            unchecked: None,
        }
    }

    /// Claims more.
    pub(super) fn claim(&mut self, durable: &Durable) {
        for &piece in durable.pieces() {
            self.pieces.set(piece, true);
        }
        self.stamps.extend(durable.stamps().iter().copied());
        if let Some(Checked { checked, right }) = durable.checked()
            && let Some(unchecked) = &mut self.unchecked
        {
            for piece in checked.ones() {
                unchecked.set(piece, false);
                if !right.get(piece) {
                    self.pieces.set(piece, false);
                }
            }
        }
        if let Some(partials) = durable.partials() {
            self.partials = partials.to_vec();
        }
        self.partials.retain(|partial| !self.pieces.get(partial.piece));
    }
}
