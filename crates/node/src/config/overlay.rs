//! The bounds of the settings of `[overlay]`, and which network they mean.

use super::{Config, Overlay};
use althing_dht::Manners;
use althing_overlay::NetworkKey;
use althing_overlay::machine::{Neighbours, Terms};
use althing_overlay::membership::limits;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Characters of a private network's secret, at least: whoever has its info-hash can try words.
pub(super) const SECRET_CHARS_MIN: usize = 16;

/// Neighbours to have at least, if nothing else is set.
pub(super) const NEIGHBOURS: u32 = limits::ACTIVE_WANTED as u32;

/// What may be set in place of it.
pub(super) const NEIGHBOURS_RANGE: RangeInclusive<u32> =
    limits::NEIGHBOURS_MIN as u32..=limits::NEIGHBOURS_MAX as u32;

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

impl Config {
    /// Whose the DHT is: who has all words announced there says that it is a group's own.
    pub(crate) fn dht_manners(&self) -> Manners {
        match self.search.dht_terms == DhtTerms::All {
            true => Manners::Group,
            false => Manners::Public,
        }
    }
}

impl Overlay {
    /// How many neighbours there are to be.
    pub(crate) fn room(&self) -> Neighbours {
        Neighbours::at_least(self.neighbours as usize)
    }

    /// The key of the network that is meant.
    pub(crate) fn network(&self) -> NetworkKey {
        match self.secret.as_str() {
            "" => NetworkKey::public(),
            secret => NetworkKey::derive(secret),
        }
    }
}
