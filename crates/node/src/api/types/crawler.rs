//! What has come of finding out which torrents there are.

use super::Example;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the crawler stands; counts since the start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CrawlerInfo {
    /// Whether it runs.
    pub enabled: bool,
    /// Questions to nodes of the DHT.
    pub asked: u64,
    /// Of which were answered.
    pub answered: u64,
    /// Info-hashes that nodes have named.
    pub heard_of: u64,
    /// Torrents that two have named who are not one, and whose names were looked for.
    pub looked_for: u64,
    /// Torrents that wait for that.
    pub waiting: u64,
    /// Torrents whose names were found out.
    pub named: u64,
    /// Torrents whose names could not be found out.
    pub nameless: u64,
    /// Torrents that are blocked, private, or here already.
    pub left_out: u64,
    /// So many times fewer questions are asked than may be, because many go unanswered.
    pub slower: u32,
    /// Torrents whose names were found out last, the newest first.
    pub latest: Vec<CrawledTorrent>,
}

/// A torrent whose name was found out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CrawledTorrent {
    /// The name that the DHT knows it by: 40 hexadecimal digits.
    pub info_hash: String,
    /// What it is called.
    pub name: String,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// When that was, in seconds since 1970.
    pub found_unix_s: i64,
}

impl Example for CrawlerInfo {
    fn example() -> Self {
        CrawlerInfo {
            enabled: true,
            asked: 7_200,
            answered: 4_410,
            heard_of: 61_031,
            looked_for: 1_203,
            waiting: 12,
            named: 402,
            nameless: 797,
            left_out: 4,
            slower: 1,
            latest: vec![CrawledTorrent {
                info_hash: "2b66980093bc11806fab50cb3cb41835b95a0362".into(),
                name: "debian-13.1.0-amd64-netinst.iso".into(),
                size_bytes: 783_286_272,
                found_unix_s: 1_780_000_000,
            }],
        }
    }
}
