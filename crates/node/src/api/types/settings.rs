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
    /// Whether pieces are fetched in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequential: Option<bool>,
    /// Whether a seed gives everything once (BEP 16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub super_seeding: Option<bool>,
}

/// How much a file is wanted.
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
