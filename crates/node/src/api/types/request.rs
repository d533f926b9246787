//! What a client may ask for.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A torrent to fetch or seed: exactly one of `link` and `torrent`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AddRequest {
    /// A magnet link (also one with a public key, `xs=urn:btpk:…`, which is followed, BEP 46), the `http://` or `https://` address of a torrent file (fetched by the
    /// daemon), or a bare info-hash (40 or 64 hexadecimal digits, or 32 of base32).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The torrent file's bytes as base64. (A body of type `application/x-bittorrent` that is the
    /// file itself does the same with every option at its default.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent: Option<String>,
    /// The folder in which the torrent's file or folder is put; an absolute path on the daemon's
    /// machine. Default: `download_dir` of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_dir: Option<String>,
    /// Add it without starting it.
    pub paused: bool,
    /// Fetch none of its files until it is said which are wanted.
    pub skip_files: bool,
    /// Add it although it is blocked here.
    pub anyway: bool,
    /// Fetch its pieces in their order.
    pub sequential: bool,
    /// Trackers to use beside those that the torrent names.
    pub trackers: Vec<String>,
    /// Peers to try, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    pub peers: Vec<String>,
    /// The category to put it in. Its save path holds unless `save_dir` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
}

/// A path on the daemon's machine to share: a torrent is made of it, and it is seeded in place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// A file or folder; an absolute path.
    pub path: String,
    /// How the torrent is made.
    #[serde(default)]
    pub options: CreateOptions,
    /// Give everything once and to those who pass it on, until enough copies are out (BEP 16).
    #[serde(default)]
    pub super_seeding: bool,
    /// Publish it in the DHT as the newest version of what has the same name (`options.name`), or
    /// without a name the same path, under a key of its own (BEP 46). The torrent's `published` has
    /// the link. The version before leaves the list.
    #[serde(default)]
    pub follow: bool,
    /// Say in the overlay that we have it, with these words, so that others find it. Left out, nobody is
    /// told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<super::ListingRequest>,
}

/// A path on the daemon's machine to make a torrent file of, without seeding it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// A file or folder; an absolute path.
    pub path: String,
    /// Where the torrent file is written; an absolute path where no file is yet.
    pub output: String,
    /// How the torrent is made.
    #[serde(default)]
    pub options: CreateOptions,
}

/// How a torrent is made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateOptions {
    /// The torrent's name. Default: the file's or folder's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which kinds of client can read it.
    pub format: Format,
    /// A power of two, at least 16384. Default: by content size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub piece_length_bytes: Option<u32>,
    /// Tiers of trackers; those of the first tier are tried first (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Addresses of web servers that hold the same files (BEP 19).
    pub web_seeds: Vec<String>,
    /// Peers only from the trackers (BEP 27).
    pub private: bool,
    /// A remark for whoever opens the torrent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// A word that sets it apart from a torrent of the same files elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Which metadata a new torrent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Both, so that every client can read it.
    #[default]
    Hybrid,
    /// BEP 3 only.
    V1,
    /// BEP 52 only.
    V2,
}

/// A torrent to look into without adding it: exactly one of the two.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InspectRequest {
    /// A magnet link, or the `http://` or `https://` address of a torrent file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The torrent file's bytes as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent: Option<String>,
}

/// Peers to try for a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddPeersRequest {
    /// `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    pub peers: Vec<String>,
}

/// What removing a torrent takes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Delete the downloaded files too. Files that are shared in place are never deleted.
    pub data: bool,
}

/// Which peers are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PeersQuery {
    /// Also those that were connected and are gone, if payload was exchanged with them; some dozens
    /// at most.
    pub all: bool,
}
