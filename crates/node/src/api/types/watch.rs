//! Files that are watched while they come.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file that was opened for a player.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StreamInfo {
    /// Where it can be read, on this API's address; who knows it needs no other key.
    pub url_path: String,
    /// What closes it.
    pub token: String,
    /// The torrent's id.
    pub torrent: String,
    /// The file's path below the folder that the torrent is saved in.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its media type, by its name.
    pub content_type: String,
}
