//! The overlay: how it stands, and what is said in it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How it is with the overlay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OverlayInfo {
    /// Our name in it: an Ed25519 public key, 64 hexadecimal digits.
    pub node: String,
    /// Neighbours that we called.
    pub neighbours_out: u32,
    /// Neighbours that called us.
    pub neighbours_in: u32,
    /// Others that are known.
    pub known: u32,
    /// Whether it indexes for others.
    pub super_peer: bool,
    /// Peers that index for us or, if we index for others, others who do.
    pub indexed_by: u32,
    /// Peers for which we index, and others who index and lean on us.
    pub leaves: u32,
    /// Words that neighbours are told can be found here, and through us.
    pub terms_here: u64,
    /// See above.
    pub terms_near: u64,
    /// Links to others, those included that are no neighbours.
    pub links: Vec<OverlayLinkInfo>,
    /// Records that are held.
    pub records: u64,
    /// Bytes of them.
    pub record_bytes: u64,
    /// Records that came from neighbours since the start, be they new or not.
    pub received: u64,
    /// Those of them that were here already.
    pub duplicates: u64,
    /// Records that came by comparing with others.
    pub reconciled: u64,
    /// Records that were refused.
    pub refused: u64,
    /// By how many seconds this computer's clock is behind those of others, if it is by more than ten minutes: it is to
    /// be set right then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_behind_s: Option<i64>,
    /// By how many seconds it is ahead of them, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_s: Option<i64>,
    /// Questions and answers that were sent since the start, our own and others', without those that only test
    /// neighbours.
    pub questions: u64,
}

/// A link to another peer of the overlay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OverlayLinkInfo {
    /// The other's name, 64 hexadecimal digits.
    pub node: String,
    /// Where it is.
    pub address: String,
    /// Whether we called.
    pub outgoing: bool,
    /// For how long.
    pub age_s: u64,
}

/// Who we are to others in the overlay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// A name, 1 to 255 bytes. Nobody checks it: two may have the same.
    pub name: String,
    /// A few sentences, at most 2,048 bytes.
    #[serde(default)]
    pub about: String,
}

/// What is said of a torrent in the overlay.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingRequest {
    /// Words to find it by, at most 16 of at most 32 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// A few sentences, at most 2,048 bytes.
    #[serde(default)]
    pub about: String,
}

/// A record that was published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OverlayRecord {
    /// Its name: SHA-256 of it, 64 hexadecimal digits.
    pub id: String,
    /// Until when it is held, in seconds since 1970.
    pub expires_unix_s: i64,
}
