//! Where programs ask that look for films, series, books or music.

use super::Example;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where Prowlarr, Sonarr and the like ask, and with which key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TorznabInfo {
    /// Whether they are answered.
    pub enabled: bool,
    /// The path of the address, after the API's own.
    pub path: String,
    /// What they show as `apikey`. It lets them look for things and do nothing else.
    pub key: String,
}

impl Example for TorznabInfo {
    fn example() -> Self {
        TorznabInfo { enabled: true, path: "/torznab/api".into(), key: "6b".repeat(32) }
    }
}
