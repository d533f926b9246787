//! Lookups of items that have ended a moment ago. Who looks an item up mostly does so to put a newer one in
//! its place (BEP 44): that goes on where looking has ended, with the nodes that were found and what they
//! gave out for storing, and nobody is asked twice.

use crate::id::NodeId;
use crate::limits::{RECENT_LOOKUP_S, RECENT_LOOKUPS_MAX};
use crate::lookup::Lookup;
use althing_base::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// The lookups of a search: over IPv4 and over IPv6.
pub(crate) type Lookups = [Option<Lookup>; 2];

/// All of them, the one that ended first first.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ended: VecDeque<(Instant, NodeId, Lookups)>,
}

impl Recent {
    /// A search for the item under `target` has ended.
    pub(crate) fn keep(&mut self, now: Instant, target: NodeId, mut lookups: Lookups) {
        self.ended.retain(|(_, known, _)| *known != target);
        if self.ended.len() >= RECENT_LOOKUPS_MAX {
            self.ended.pop_front();
        }
        lookups.iter_mut().flatten().for_each(Lookup::keep_nearest);
        self.ended.push_back((now, target, lookups));
    }

    /// Where to go on, if that is known. What nodes have given out counts once.
    pub(crate) fn take(&mut self, now: Instant, target: &NodeId) -> Option<Lookups> {
        self.sweep(now);
        let at = self.ended.iter().position(|(_, known, _)| known == target)?;
        self.ended.remove(at).map(|(_, _, lookups)| lookups)
    }

    /// Forgets those that ended too long ago.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let time = Duration::from_secs(RECENT_LOOKUP_S);
        self.ended.retain(|(at, _, _)| now.since(*at) <= time);
        if self.ended.is_empty() {
            self.ended = VecDeque::new();
        }
    }

    /// What nodes have given out is for an address that we have no longer.
    pub(crate) fn clear(&mut self) {
        self.ended = VecDeque::new();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn they_are_few_are_taken_once_and_not_for_long() {
        let mut recent = Recent::default();
        let target = |n: usize| NodeId([n as u8; 20]);
        for n in 0..100 {
            recent.keep(at(0), target(n), [None, None]);
            recent.keep(at(1), target(n), [None, None]);
        }
        assert_eq!(recent.ended.len(), RECENT_LOOKUPS_MAX);
        assert!(recent.take(at(1), &target(0)).is_none());
        assert!(recent.take(at(1 + RECENT_LOOKUP_S), &target(99)).is_some());
        assert!(recent.take(at(1 + RECENT_LOOKUP_S), &target(99)).is_none());
        assert!(recent.take(at(2 + RECENT_LOOKUP_S), &target(98)).is_none());
        assert!(recent.is_empty());
    }
}
