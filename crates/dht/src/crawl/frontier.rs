//! Whom to ask next: nodes in order of their names, once around the key space and again.

use super::limits::{FRONTIER_MAX, NETWORK_NODES_MAX, RESTING_MAX};
use crate::id::{NodeId, subnet};
use crate::wire::Node;
use althing_base::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Frontier {
    /// Who has not been asked.
    ahead: BTreeMap<NodeId, SocketAddr>,
    addrs: BTreeSet<SocketAddr>,
    /// Who has been asked, and what he is called if he is to be asked again.
    resting: BTreeMap<SocketAddr, (Instant, Option<NodeId>)>,
    until: BTreeSet<(Instant, SocketAddr)>,
    /// Known nodes of each network.
    networks: BTreeMap<u64, u32>,
    cursor: NodeId,
    /// How often it has been around.
    pub(super) rounds: u64,
}

impl Frontier {
    /// Begins at a name.
    pub(super) fn new(cursor: NodeId) -> Self {
        Frontier {
            ahead: BTreeMap::new(),
            addrs: BTreeSet::new(),
            resting: BTreeMap::new(),
            until: BTreeSet::new(),
            networks: BTreeMap::new(),
            cursor,
            rounds: 0,
        }
    }

    /// Nodes that are known and were not asked, and those that rest.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.ahead.len(), self.resting.len())
    }

    /// Somebody has named a node.
    pub(super) fn learn(&mut self, node: Node) {
        let Node { id, addr } = node;
        let is_known = self.addrs.contains(&addr)
            || self.resting.contains_key(&addr)
            || self.ahead.contains_key(&id);
        if is_known || !self.has_room_for(addr) {
            return;
        }
        if self.ahead.len() >= FRONTIER_MAX {
            // The last whose turn comes: just behind where it is.
            let before = self.ahead.range(..self.cursor).next_back();
            let Some((&last, _)) = before.or_else(|| self.ahead.last_key_value()) else { return };
            if self.turn(&id) >= self.turn(&last) {
                return;
            }
            self.forget(&last);
        }
        self.put(id, addr);
    }

    /// In what order names have their turn.
    fn turn(&self, id: &NodeId) -> (bool, NodeId) {
        (*id < self.cursor, *id)
    }

    fn put(&mut self, id: NodeId, addr: SocketAddr) {
        self.ahead.insert(id, addr);
        self.addrs.insert(addr);
        if let Some(network) = subnet(addr.ip()) {
            *self.networks.entry(network).or_default() += 1;
        }
    }

    fn has_room_for(&self, addr: SocketAddr) -> bool {
        let known = subnet(addr.ip()).and_then(|network| self.networks.get(&network));
        known.is_none_or(|known| (*known as usize) < NETWORK_NODES_MAX)
    }

    fn forget(&mut self, id: &NodeId) {
        if let Some(addr) = self.ahead.remove(id) {
            self.addrs.remove(&addr);
            self.left(addr);
        }
    }

    /// One less is known of a network.
    fn left(&mut self, addr: SocketAddr) {
        let Some(network) = subnet(addr.ip()) else { return };
        if let Some(known) = self.networks.get_mut(&network) {
            *known -= 1;
            if *known == 0 {
                self.networks.remove(&network);
            }
        }
    }

    /// The next who may be asked; he rests from now on until `rest`, unless
    /// [`rests`](Self::rests) says otherwise.
    pub(super) fn take(&mut self, now: Instant, rest: Instant) -> Option<Node> {
        self.wake(now);
        if self.resting.len() >= RESTING_MAX {
            return None;
        }
        let next = self.ahead.range(self.cursor..).next();
        let (&id, &addr) = match next {
            Some(next) => next,
            None => {
                let first = self.ahead.first_key_value()?;
                self.rounds += 1;
                first
            }
        };
        self.ahead.remove(&id);
        self.addrs.remove(&addr);
        self.resting.insert(addr, (rest, None));
        self.until.insert((rest, addr));
        self.cursor = after(id);
        Some(Node { id, addr })
    }

    /// A node that was asked is not to be asked again before `until`; after that it is if it has a name.
    pub(super) fn rests(&mut self, addr: SocketAddr, until: Instant, id: Option<NodeId>) {
        let Some((before, _)) = self.resting.get(&addr).copied() else { return };
        self.until.remove(&(before, addr));
        self.until.insert((until, addr));
        self.resting.insert(addr, (until, id));
    }

    /// Whoever has rested long enough may be asked again, or is forgotten.
    fn wake(&mut self, now: Instant) {
        while let Some((until, addr)) = self.until.first().copied()
            && until <= now
        {
            self.until.pop_first();
            let Some((_, id)) = self.resting.remove(&addr) else { continue };
            self.left(addr);
            if let Some(id) = id {
                self.learn(Node { id, addr });
            }
        }
    }

    /// When somebody may be asked that cannot be now; `None` if it is nobody's turn.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if !self.ahead.is_empty() && self.resting.len() < RESTING_MAX {
            return Some(now);
        }
        self.until.first().map(|(until, _)| *until)
    }
}

/// The name after another.
fn after(id: NodeId) -> NodeId {
    let NodeId(mut bytes) = id;
    for byte in bytes.iter_mut().rev() {
        let (next, is_over) = byte.overflowing_add(1);
        *byte = next;
        if !is_over {
            break;
        }
    }
    NodeId(bytes)
}
