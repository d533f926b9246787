//! The local index: how it stands, and what is found in it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How the local index stands, as of its last commit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct IndexInfo {
    /// Whether there is one.
    pub enabled: bool,
    /// Torrents that this peer has published.
    pub own: u64,
    /// Listings of others in the overlay; a torrent that several list counts several times.
    pub shelf: u64,
    /// Torrents that were met in the DHT.
    pub crawled: u64,
    /// Parts of documents of some 8 KiB; each document has at least one.
    pub passages: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Changes that wait to be written.
    pub uncommitted: u64,
    /// Documents that wait to be read.
    pub documents_waiting: u64,
    /// What is wrong, if its last change could not be written.
    pub trouble: Option<String>,
}

/// What is looked for in the local index.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IndexQuery {
    /// Words that are all wanted.
    pub q: String,
    /// `file` for torrents alone, `page` for documents alone.
    #[param(inline)]
    pub kind: Option<IndexKind>,
    /// So many answers at most: 1 to 500; 20 unless said otherwise.
    pub limit: Option<u32>,
}

/// What kind of thing is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    /// Torrents.
    File,
    /// Documents in torrents.
    Page,
}

/// What was found in the local index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IndexAnswer {
    /// Those that fit best first.
    pub hits: Vec<IndexFound>,
    /// How many listings and parts of documents fit.
    pub matched: u64,
    /// Whether it took too long, and not everything was looked at.
    pub cut: bool,
}

/// A torrent, or a document in one, that was found in the local index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IndexFound {
    /// Its v1 info-hash, 40 hexadecimal digits.
    pub info_hash_v1: Option<String>,
    /// Its v2 info-hash, 64 hexadecimal digits.
    pub info_hash_v2: Option<String>,
    /// The torrent's name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Bytes of all files, if known.
    pub size_bytes: Option<u64>,
    /// How many files, if known.
    pub files: Option<u32>,
    /// How it is known.
    pub source: IndexSource,
    /// Who has published it, 64 hexadecimal digits each.
    pub authors: Vec<String>,
    /// When it was published or last met, if known.
    pub seen_unix_s: Option<u64>,
    /// The document, if it is one.
    pub page: Option<IndexPage>,
}

/// How a torrent is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IndexSource {
    /// This peer has published it.
    Own,
    /// Others have, in the overlay.
    Shelf,
    /// It was met in the DHT.
    Crawled,
}

/// A document that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IndexPage {
    /// Where it is in the torrent, with `/` between folders and without the torrent's own name.
    pub path: String,
    /// Its title; often empty.
    pub title: String,
    /// What stands around the words.
    pub snippet: String,
}
