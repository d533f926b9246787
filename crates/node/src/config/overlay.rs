//! The bounds of the settings of `[overlay]`, and which network they mean.

use super::Overlay;
use althing_overlay::NetworkKey;

/// Characters of a private network's secret, at least: whoever has its info-hash can try words.
pub(super) const SECRET_CHARS_MIN: usize = 16;

/// Peers that may be named.
pub(super) const PEERS_MAX: usize = 64;

impl Overlay {
    /// The key of the network that is meant.
    pub(crate) fn network(&self) -> NetworkKey {
        match self.secret.as_str() {
            "" => NetworkKey::public(),
            secret => NetworkKey::derive(secret),
        }
    }
}
