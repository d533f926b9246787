//! Which torrents two have named who are not one, and which of those have been looked at.

use super::limits::{DONE_MAX, NETWORK_SIGHTINGS_MAX, READY_MAX, SIGHTINGS_MAX};
use crate::id::{NodeId, subnet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// Who is taken for one: a network (/24, /48), or where that says nothing, as on this machine, an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Origin {
    Network(u64),
    Addr(SocketAddr),
}

impl Origin {
    fn of(addr: SocketAddr) -> Self {
        subnet(addr.ip()).map_or(Origin::Addr(addr), Origin::Network)
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// Named by one alone.
    once: BTreeMap<NodeId, Origin>,
    /// The same, the first that came first; those that are not there any more count as well.
    order: VecDeque<NodeId>,
    /// How many are of each.
    counts: BTreeMap<Origin, u32>,
    /// Named by two.
    ready: VecDeque<NodeId>,
    /// Whatever was ready once.
    done: BTreeSet<NodeId>,
    done_order: VecDeque<NodeId>,
    /// Different ones that were noted.
    pub(super) noted: u64,
}

impl Sightings {
    /// A node names torrents.
    pub(super) fn told(&mut self, by: SocketAddr, info_hashes: &[NodeId]) {
        let origin = Origin::of(by);
        for info_hash in info_hashes {
            if self.done.contains(info_hash) {
                continue;
            }
            match self.once.get(info_hash) {
                Some(first) if *first == origin => {}
                Some(_) => {
                    self.drop_one(info_hash);
                    self.is_ready(*info_hash);
                }
                None => self.note(origin, *info_hash),
            }
        }
    }

    fn note(&mut self, origin: Origin, info_hash: NodeId) {
        let count = self.counts.entry(origin).or_default();
        if *count >= NETWORK_SIGHTINGS_MAX {
            return;
        }
        *count += 1;
        self.noted += 1;
        self.once.insert(info_hash, origin);
        self.order.push_back(info_hash);
        while self.once.len() > SIGHTINGS_MAX || self.order.len() > 2 * SIGHTINGS_MAX {
            let Some(first) = self.order.pop_front() else { break };
            self.drop_one(&first);
        }
    }

    fn drop_one(&mut self, info_hash: &NodeId) {
        let Some(origin) = self.once.remove(info_hash) else { return };
        if let Some(count) = self.counts.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&origin);
            }
        }
    }

    fn is_ready(&mut self, info_hash: NodeId) {
        self.done.insert(info_hash);
        self.done_order.push_back(info_hash);
        if self.done_order.len() > DONE_MAX
            && let Some(first) = self.done_order.pop_front()
        {
            self.done.remove(&first);
        }
        self.ready.push_back(info_hash);
        if self.ready.len() > READY_MAX {
            self.ready.pop_front();
        }
    }

    /// The next that two have named.
    pub(super) fn pop(&mut self) -> Option<NodeId> {
        self.ready.pop_front()
    }

    /// Named by one alone, and ready.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.once.len(), self.ready.len())
    }
}
