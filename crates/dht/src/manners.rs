//! What nodes may expect of each other: in the DHT that belongs to everybody, and in one of a group's own.
//!
//! In everybody's, whoever asks much or has much stored is taken for a nuisance. In a group's own a few nodes
//! hold all that the group has, each word of each name included, and are asked for all of it as soon as
//! somebody publishes.

use crate::limits::{
    ANNOUNCE_RETRY_S, EARLY_S, GROUP_ANNOUNCE_RETRY_S, GROUP_EARLY_S, GROUP_HURRY_S,
    GROUP_IN_PER_SOURCE_MAX, GROUP_OUT_PER_NODE_PER_S, GROUP_START_MS, GROUP_STORED_PER_SOURCE_MAX,
    GROUP_STORED_TORRENTS_MAX, HURRY_S, IN_PER_SOURCE_MAX, OUT_PER_NODE_PER_S, START_MS,
    STORED_PER_SOURCE_MAX, STORED_TORRENTS_MAX,
};

/// Whose a DHT is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manners {
    /// Everybody's.
    #[default]
    Public,
    /// A group's own: its members' nodes begin with each other and with nobody else.
    Group,
}

impl Manners {
    /// Questions a second to one node, on average and at once.
    pub(crate) fn out_per_node(self) -> (u64, u64) {
        self.pick(OUT_PER_NODE_PER_S, GROUP_OUT_PER_NODE_PER_S)
    }

    /// Messages of one source in a window.
    pub(crate) fn in_per_source(self) -> u16 {
        self.pick(IN_PER_SOURCE_MAX, GROUP_IN_PER_SOURCE_MAX)
    }

    /// Torrents, or words, that are kept for others.
    pub(crate) fn stored_torrents(self) -> usize {
        self.pick(STORED_TORRENTS_MAX, GROUP_STORED_TORRENTS_MAX)
    }

    /// Those of them that one address may have stored.
    pub(crate) fn stored_per_source(self) -> u16 {
        self.pick(STORED_PER_SOURCE_MAX, GROUP_STORED_PER_SOURCE_MAX)
    }

    /// Milliseconds between the starts of two searches for what is wanted.
    pub(crate) fn start_ms(self) -> u64 {
        self.pick(START_MS, GROUP_START_MS)
    }

    /// Seconds until a search that reached nobody is tried again.
    pub(crate) fn retry_s(self) -> u64 {
        self.pick(ANNOUNCE_RETRY_S, GROUP_ANNOUNCE_RETRY_S)
    }

    /// Seconds after which what few were told comes up again.
    pub(crate) fn early_s(self) -> &'static [u64] {
        self.pick(&EARLY_S[..], &GROUP_EARLY_S[..])
    }

    /// Seconds between two searches of what is in a hurry.
    pub(crate) fn hurry_s(self) -> u64 {
        self.pick(HURRY_S, GROUP_HURRY_S)
    }

    fn pick<T>(self, public: T, group: T) -> T {
        match self {
            Manners::Public => public,
            Manners::Group => group,
        }
    }
}
