//! The bounds of the settings of `[overlay]`, and which network they mean.

use super::Overlay;
use althing_overlay::NetworkKey;
use althing_overlay::machine::Terms;
use serde::{Deserialize, Serialize};

/// Characters of a private network's secret, at least: whoever has its info-hash can try words.
pub(super) const SECRET_CHARS_MIN: usize = 16;

/// Peers that may be named.
pub(super) const PEERS_MAX: usize = 64;

/// Which words of what is published here the DHT names this peer for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhtTerms {
    /// A few of those that are rare.
    #[default]
    Rare,
    /// All.
    All,
    /// None, and it is not asked for any.
    Off,
}

impl DhtTerms {
    /// As the overlay takes it.
    pub(crate) fn terms(self) -> Terms {
        match self {
            DhtTerms::Rare => Terms::Rare,
            DhtTerms::All => Terms::All,
            DhtTerms::Off => Terms::None,
        }
    }
}

impl Overlay {
    /// The key of the network that is meant.
    pub(crate) fn network(&self) -> NetworkKey {
        match self.secret.as_str() {
            "" => NetworkKey::public(),
            secret => NetworkKey::derive(secret),
        }
    }
}
