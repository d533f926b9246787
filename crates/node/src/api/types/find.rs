//! Searches: what is looked for, and what was found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindVia {
    /// Whoever is likely to know at the least cost; nobody if enough is known here.
    #[default]
    Auto,
    /// Neighbours, and on through them.
    Walk,
    /// Those whom the DHT names for the rarest word.
    Dht,
    /// Peers that index for others.
    Super,
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindKind {
    /// Anything.
    #[default]
    Any,
    /// Files, by names, tags and descriptions.
    File,
    /// Pages: what is written in documents.
    Page,
}

/// How far a search is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindState {
    /// Others are being asked.
    Asking,
    /// Nobody is asked at present; what comes is reported, and now and then others are asked again.
    Watching,
    /// It is over.
    Ended,
}

/// Something to look for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindRequest {
    /// Words that are all wanted, at most 1,024 bytes.
    pub words: String,
    /// Who is asked.
    #[serde(default)]
    pub via: FindVia,
    /// What is looked for.
    #[serde(default)]
    pub kind: FindKind,
    /// After so many different answers nobody is asked any further, 1 to 64; 20 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u8>,
    /// Go on until it is stopped, or nobody has listened for ten minutes.
    #[serde(default)]
    pub watch: bool,
}

/// What a search has cost so far, as far as who asks knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct FindCost {
    /// Messages that it was allowed to cause and that came back.
    pub messages: u64,
    /// Bytes that were said and heard for it on our own links.
    pub bytes: u64,
    /// Peers that we asked; they have asked others.
    pub peers: u64,
    /// Time until nobody was asked any more, or so far, in milliseconds.
    pub took_ms: u64,
}

/// A document that has the words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FindPage {
    /// Its path in the torrent.
    pub path: String,
    /// What stands around the words; empty if that is not known. Only who answered says so.
    pub snippet: String,
}

/// A torrent that was found. Whoever lists it has signed what is said of it; whether it is true is for
/// the reader to judge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FindAnswer {
    /// Which it is of its search, from 1 on; it stays the same.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// The v1 info-hash, 40 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash: Option<String>,
    /// The v2 info-hash, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// What fetches it.
    pub magnet: String,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u32,
    /// What they are: `other`, `video`, `audio`, `text`, `images`, `software` or `data`.
    pub content: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// A description; often empty.
    pub about: String,
    /// Who lists it: names of nodes, 64 hexadecimal digits each, at most 64 of them.
    pub authors: Vec<String>,
    /// How many have all of it, where that could be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeders: Option<u32>,
    /// Documents in it that have the words.
    pub pages: Vec<FindPage>,
    /// Whether it was known here without asking anybody.
    pub here: bool,
    /// Whether others have answered with it.
    pub network: bool,
    /// How long after the beginning it came, in milliseconds.
    pub after_ms: u64,
    /// How long after the beginning others answered with it first, if they have, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_after_ms: Option<u64>,
    /// The torrent's id, if it is in the list here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent: Option<String>,
}

/// A search.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FindInfo {
    /// By which it is known until the daemon ends.
    pub id: u64,
    /// What is looked for.
    pub words: String,
    /// Who is asked.
    pub via: FindVia,
    /// What is looked for.
    pub kind: FindKind,
    /// Whether it goes on until it is stopped.
    pub watch: bool,
    /// How far it is.
    pub state: FindState,
    /// What it has cost so far.
    pub cost: FindCost,
    /// How long ago it was begun.
    pub age_s: u64,
    /// What was found so far, the best first; at most 500.
    pub answers: Vec<FindAnswer>,
}

/// One server-sent event of a search: its `event:` line is the `type`, its `data:` line the whole object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindEvent {
    /// Something was found, or more has become known of it.
    Answer {
        /// As it is now.
        answer: FindAnswer,
    },
    /// The search is at another point. The last event has the state `ended`, unless the stream breaks.
    Find {
        /// As it is now, with all answers, the best first.
        find: FindInfo,
    },
}

impl FindEvent {
    /// The name on the `event:` line: the same word as `type`.
    pub fn name(&self) -> &'static str {
        match self {
            FindEvent::Answer { .. } => "answer",
            FindEvent::Find { .. } => "find",
        }
    }
}
