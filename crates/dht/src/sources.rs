//! How much each address has stored here, so that none fills the stores alone.

use crate::id::is_exempt;
use crate::manners::Manners;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Counts of things by the address that stored them. Never more entries than things.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    manners: Manners,
    counts: BTreeMap<IpAddr, u16>,
}

impl Sources {
    pub(crate) fn new(manners: Manners) -> Self {
        Sources { manners, counts: BTreeMap::new() }
    }

    /// Whether the address may store one more thing. Those at home may store any number.
    pub(crate) fn may(&self, ip: IpAddr) -> bool {
        let most = self.manners.stored_per_source();
        is_exempt(ip) || self.counts.get(&ip).is_none_or(|count| *count < most)
    }

    /// It stored one.
    pub(crate) fn add(&mut self, ip: IpAddr) {
        let count = self.counts.entry(ip).or_default();
        *count = count.saturating_add(1);
    }

    /// One of its things is gone.
    pub(crate) fn remove(&mut self, ip: IpAddr) {
        if let Some(count) = self.counts.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&ip);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }
}
