//! What is set for one torrent.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the user has set for a torrent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TorrentSettings {
    /// Most that is sent; absent for no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_limit_bytes_per_s: Option<u64>,
    /// Most that is received; absent for no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_limit_bytes_per_s: Option<u64>,
    /// When it has been given enough, by what was sent over what it has.
    pub ratio_limit: RatioLimit,
    /// When it has been given enough, by the time it was complete and running.
    pub seed_time_limit_s: TimeLimit,
    /// It runs whatever the queue says.
    pub forced: bool,
    /// Files that are wanted more or less than others, by their index in the torrent.
    pub priorities: BTreeMap<u32, FilePriority>,
    /// Pieces that are wanted more or less than the files they belong to.
    pub pieces: Vec<PieceRange>,
    /// Connections to peers at most; absent for as many as any torrent may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Peers that are uploaded to at the same time; absent for as many as any torrent may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_slots: Option<u32>,
    /// Pieces are fetched in their order.
    pub sequential: bool,
    /// A seed gives everything once (BEP 16).
    pub super_seeding: bool,
}

/// Settings of a torrent to change; what is left out stays as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeRequest {
    /// The category to put it in; the empty text for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// All its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Tags to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags to take away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// Most that is sent; 0 for no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_limit_bytes_per_s: Option<u64>,
    /// Most that is received; 0 for no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_limit_bytes_per_s: Option<u64>,
    /// When it has been given enough, by what was sent over what it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_limit: Option<RatioLimit>,
    /// When it has been given enough, by the time it was complete and running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_time_limit_s: Option<TimeLimit>,
    /// Whether it runs whatever the queue says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<bool>,
    /// Files that are wanted more or less than before, by their index in the torrent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub priorities: BTreeMap<u32, FilePriority>,
    /// Pieces that are wanted more or less than before, in this order; at most 1000 ranges of a
    /// torrent's pieces have a priority of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<PieceRange>,
    /// Connections to peers at most; 0 for as many as any torrent may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Peers that are uploaded to at the same time; 0 for as many as any torrent may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_slots: Option<u32>,
    /// Whether pieces are fetched in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequential: Option<bool>,
    /// Whether a seed gives everything once (BEP 16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub super_seeding: Option<bool>,
}

/// How much a range of pieces is wanted, whatever is set for the files they belong to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PieceRange {
    /// The first piece, from 0.
    pub first: u32,
    /// The last piece.
    pub last: u32,
    /// How much they are wanted; left out or `null` for as much as their files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<FilePriority>,
}

/// How much a file or piece is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilePriority {
    /// Not at all: it is not fetched.
    Skip,
    /// After all others.
    Low,
    /// As any other.
    Normal,
    /// Before all others.
    High,
}

/// A limit by what was sent over what there is: a number such as 1.5, or a word.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RatioLimit {
    /// So many times what there is.
    Ratio(f64),
    /// None of its own, or none at all.
    Word(NoLimit),
}

/// A limit in seconds: a number, or a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TimeLimit {
    /// So many seconds.
    Seconds(u64),
    /// None of its own, or none at all.
    Word(NoLimit),
}

/// What stands where a limit would.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoLimit {
    /// As the category has it, or else the settings.
    Inherited,
    /// Never, whatever those say.
    Never,
}

/// What is set for a category.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Category {
    /// Where the files of torrents go that are added to it, an absolute path on the daemon's
    /// machine; absent for where they go otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_dir: Option<String>,
    /// Most that its torrents send together; absent or 0 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_limit_bytes_per_s: Option<u64>,
    /// Most that its torrents receive together; absent or 0 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_limit_bytes_per_s: Option<u64>,
    /// When a torrent of it has been given enough, by what was sent over what it has.
    pub ratio_limit: RatioLimit,
    /// When a torrent of it has been given enough, by the time it was complete and running.
    pub seed_time_limit_s: TimeLimit,
}

impl Default for Category {
    fn default() -> Self {
        Category {
            save_dir: None,
            upload_limit_bytes_per_s: None,
            download_limit_bytes_per_s: None,
            ratio_limit: RatioLimit::Word(NoLimit::Inherited),
            seed_time_limit_s: TimeLimit::Word(NoLimit::Inherited),
        }
    }
}

/// What became of changed settings of the daemon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigChange {
    /// Settings that are in force now.
    pub in_force: Vec<String>,
    /// Settings that take effect at the next start.
    pub at_next_start: Vec<String>,
}

/// A torrent's place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct QueuePlace {
    /// From 1 at the top.
    pub position: u64,
}

/// Where a torrent is to go in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueRequest {
    /// Where to.
    pub to: QueueMove,
}

/// A way to go in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueMove {
    /// Before all others.
    Top,
    /// Before the one before it.
    Up,
    /// After the one after it.
    Down,
    /// After all others.
    Bottom,
}
