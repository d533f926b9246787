//! Where torrents' files are.

use super::torrent::Torrent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a torrent's files are to be moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// The folder that its file or folder is to be in, an absolute path on the daemon's machine. It is
    /// made if it is not there.
    pub dir: String,
}

/// Where to look for a torrent's files.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LocateRequest {
    /// The folder they are in, at any depth: an absolute path on the daemon's machine. By default the
    /// one that they are said to be in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// What was found of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LocateReport {
    /// Files that were found.
    pub found: u64,
    /// Files that were not; they are fetched.
    pub missing: u64,
    /// There was more in the folder than is looked at (a million files and folders).
    pub cut_short: bool,
    /// The torrent, as its check begins.
    pub torrent: Torrent,
}
