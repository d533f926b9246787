//! The records that this node holds: what peers say in the overlay.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Files that its author has.
    Listing,
    /// Who its author is.
    Profile,
    /// What its author does not want to carry.
    BlockList,
    /// Something that this version does not know; it is held and passed on.
    Other,
}

/// Which records are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordsRequest {
    /// Of this kind; of all unless it is said.
    #[param(inline)]
    pub kind: Option<RecordKind>,
    /// Of this author: 64 hexadecimal digits.
    pub author: Option<String>,
    /// Words that all stand in what is said.
    pub q: Option<String>,
    /// `true` for those that are blocked here, in place of the others.
    pub blocked: Option<bool>,
    /// So many at most: 1 to 500; 100 unless said otherwise.
    pub limit: Option<u32>,
    /// From where on: the `next` of the page before.
    pub after: Option<String>,
}

/// A record that is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordInfo {
    /// Its name: SHA-256 of it, 64 hexadecimal digits.
    pub id: String,
    /// What it is.
    pub kind: RecordKind,
    /// Whose it is: a node's name, 64 hexadecimal digits.
    pub author: String,
    /// Whether it is our own.
    pub own: bool,
    /// When it was made by its author's clock, in seconds since 1970.
    pub created_unix_s: i64,
    /// Until when it is held, in seconds since 1970.
    pub expires_unix_s: i64,
    /// Bytes of it.
    pub bytes: u32,
    /// Its author takes back what was said before.
    pub withdrawn: bool,
    /// The name of what is listed, of the author, or of the list; nothing if it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A description of what is listed, or what the author says; often empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What is listed, if it is a listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent: Option<RecordTorrent>,
    /// Entries of it, if it is a block list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,
}

/// The torrent that a listing is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordTorrent {
    /// The v1 info-hash, 40 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash: Option<String>,
    /// The v2 info-hash, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u32,
    /// What they are: `other`, `video`, `audio`, `text`, `images`, `software` or `data`.
    pub content: String,
    /// Words to find it by.
    pub tags: Vec<String>,
}

/// A page of the records that are held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordsPage {
    /// The newest first.
    pub records: Vec<RecordInfo>,
    /// How many are wanted, on this page and all others.
    pub matched: u64,
    /// How many are held in all.
    pub held: u64,
    /// What to give as `after` for the next page, if there is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
