//! What is told to those who listen.

use super::record::RecordInfo;
use super::session::{Job, SessionInfo};
use super::torrent::Torrent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One server-sent event: its `event:` line is the `type`, its `data:` line the whole object.
///
/// The first is always a `snapshot`; what follows changes it. A listener that falls too far behind
/// gets another `snapshot`, which replaces everything before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Everything there is.
    Snapshot {
        /// Every torrent.
        torrents: Vec<Torrent>,
        /// Jobs under way or lately done.
        jobs: Vec<Job>,
        /// The daemon and its totals.
        session: SessionInfo,
    },
    /// A torrent was added, or anything about it changed.
    Torrent {
        /// As it is now.
        torrent: Torrent,
    },
    /// A torrent was removed.
    Removed {
        /// Which.
        id: String,
    },
    /// The totals; once a second while anything moves.
    Session {
        /// As they are now.
        session: SessionInfo,
    },
    /// A job was begun, went on or ended.
    Job {
        /// As it is now.
        job: Job,
    },
    /// A torrent's last wanted piece is on disk.
    Completed {
        /// Which.
        id: String,
    },
    /// New records have come to be held, of what peers say in the overlay. At most four a second: of those
    /// that come at once sixteen are shown, but for those that are blocked here.
    Records {
        /// How many have come since the last time that this was said.
        count: u64,
        /// The first of them.
        records: Vec<RecordInfo>,
    },
    /// Something a person would want to know.
    Note {
        /// The torrent it concerns.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// A sentence.
        message: String,
    },
}

impl Event {
    /// The name on the `event:` line: the same word as `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Snapshot { .. } => "snapshot",
            Event::Torrent { .. } => "torrent",
            Event::Removed { .. } => "removed",
            Event::Session { .. } => "session",
            Event::Job { .. } => "job",
            Event::Completed { .. } => "completed",
            Event::Records { .. } => "records",
            Event::Note { .. } => "note",
        }
    }
}
