//! The DHT: how its node is, how torrents stand in it, and single searches.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How it is with the DHT.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DhtInfo {
    /// Whether there is a node.
    pub running: bool,
    /// How it is, in a sentence for people.
    pub summary: String,
    /// What the user can do, if something is amiss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Over IPv4 and over IPv6.
    pub families: Vec<DhtFamilyInfo>,
    /// Whether it answers nobody, because nobody can reach it or by the settings (BEP 43).
    pub read_only: bool,
    /// Names of torrents that are looked for and announced; a hybrid has two.
    pub wanted: u64,
    /// Torrents for which peers were named since the start.
    pub torrents_found: u64,
    /// How many times a peer was named.
    pub peers_named: u64,
    /// Torrents that others announced here.
    pub stored_torrents: u64,
    /// Peers of those.
    pub stored_peers: u64,
    /// Items that others put here (BEP 44).
    pub stored_items: u64,
    /// Searches under way.
    pub searches: u64,
    /// Questions under way.
    pub questions: u64,
    /// Bytes received since the start, headers not counted.
    pub received_bytes: u64,
    /// Bytes sent since the start, headers not counted.
    pub sent_bytes: u64,
    /// The same a second, of late.
    pub received_bytes_per_s: u64,
    /// The same a second, of late.
    pub sent_bytes_per_s: u64,
    /// Messages received a second, of late.
    pub received_messages_per_s: u64,
    /// Messages sent a second, of late.
    pub sent_messages_per_s: u64,
}

/// One address family of the DHT's node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DhtFamilyInfo {
    /// `4` or `6`.
    pub ip_version: u8,
    /// The node's id there, 40 hexadecimal digits.
    pub id: String,
    /// Nodes in its table.
    pub nodes: u64,
    /// How many nodes there are in all, estimated from lookups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_in_all: Option<u64>,
}

/// How a torrent stands in the DHT under one of its names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DhtTorrentInfo {
    /// The name: the v1 info-hash, or the first 20 bytes of the v2 info-hash.
    pub info_hash: String,
    /// How long ago it was last searched for, and announced if peers can connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searched_s_ago: Option<u64>,
    /// How many nodes took the announce then.
    pub announced_to: u32,
    /// Until the next time; absent while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_s: Option<u64>,
    /// How many times a peer was named since the start.
    pub peers_named: u64,
    /// How many have all of it, as nodes count (BEP 33). They are asked when this is looked at, at most
    /// every half hour, so that it is absent the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<u32>,
    /// How many fetch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leechers: Option<u32>,
}

/// Who has a torrent, as the DHT says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DhtLookupInfo {
    /// Where its peers listen.
    pub peers: Vec<String>,
    /// How many have all of it, as nodes count (BEP 33).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<u32>,
    /// How many fetch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leechers: Option<u32>,
    /// Nodes asked.
    pub asked: u32,
    /// Of which answered.
    pub answered: u32,
    /// Until the last answer that mattered.
    pub took_ms: u64,
}

/// Which of several items under a public key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DhtItemQuery {
    /// Its salt, hexadecimal; at most 64 bytes.
    #[serde(default)]
    pub salt: Option<String>,
}

/// An item of the DHT (BEP 44).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DhtItem {
    /// Its value: bencode, as hexadecimal digits; at most 1,000 bytes.
    pub value: String,
    /// A mutable item's public key (Ed25519), 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A mutable item's salt, hexadecimal, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// A mutable item's number: the higher is the newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// A mutable item's signature over salt, number and value, 128 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// When storing: only where what is there has this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<i64>,
}

/// Where an item was stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DhtStored {
    /// Under which key, 40 hexadecimal digits: the hash of the value, or of public key and salt.
    pub target: String,
    /// On how many nodes.
    pub nodes: u32,
}
