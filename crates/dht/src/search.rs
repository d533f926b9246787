//! A search: a lookup in each address family, what is found on the way, and what is stored at its end.

use crate::id::NodeId;
use crate::io::{Announce, Cost, Find, Goal, SearchId};
use crate::limits::{K, PEERS_FOUND_MAX};
use crate::lookup::Lookup;
use crate::wire::{AnnouncedPort, Bloom, Item, Mutable, Node, Query, Refusal, Response, Want};
use althing_base::Instant;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// On whose behalf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Whoever drives the machine.
    Asked(SearchId),
    /// A wanted torrent's turn.
    Wanted,
    /// The table's, to be filled and measured.
    Table,
}

/// A search.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) owner: Owner,
    pub(crate) goal: Goal,
    pub(crate) announce: Option<Announce>,
    pub(crate) lookups: [Option<Lookup>; 2],
    pub(crate) wake: Option<Instant>,
    /// What is to be stored, once the lookups have ended.
    pub(crate) storing: Option<Storing>,
    started: Instant,
    /// When the last answer came that said something new.
    mattered: Instant,
    peers: BTreeSet<SocketAddr>,
    blooms: Option<Box<(Bloom, Bloom)>>,
    item: Option<Item>,
    stored_cost: (u32, u32),
    /// The lookups go on where others ended, so that what they have to store with may be out of date.
    pub(crate) resumed: bool,
}

/// Storing on the nearest nodes.
#[derive(Debug, Default)]
pub(crate) struct Storing {
    /// Nodes that are still to be told.
    pub(crate) queue: VecDeque<(Node, Bytes)>,
    /// Nodes that have been told and have not said anything.
    pub(crate) waiting: usize,
    stored: usize,
    outdated: usize,
}

impl Search {
    pub(crate) fn new(now: Instant, owner: Owner, goal: Goal, announce: Option<Announce>) -> Self {
        Search {
            owner,
            goal,
            announce,
            lookups: [None, None],
            wake: None,
            storing: None,
            started: now,
            mattered: now,
            peers: BTreeSet::new(),
            blooms: None,
            item: None,
            stored_cost: (0, 0),
            resumed: false,
        }
    }

    /// The name that it looks around.
    pub(crate) fn target(&self) -> NodeId {
        match &self.goal {
            Goal::Nodes(target)
            | Goal::Peers(target)
            | Goal::Scrape(target)
            | Goal::Immutable(target)
            | Goal::Samples(target) => *target,
            Goal::Mutable { key, salt } => Mutable::target(key, salt),
            Goal::Put { item, .. } => item.target(),
        }
    }

    /// Whether something is stored at its end, so that it must know where.
    pub(crate) fn stores(&self) -> bool {
        self.announce.is_some() || matches!(self.goal, Goal::Put { .. })
    }

    /// What nodes are asked. `both`: nodes of the other family are wanted, too.
    pub(crate) fn query(&self, both: bool) -> Query {
        let want = Want { v4: both, v6: both };
        match &self.goal {
            Goal::Nodes(target) => Query::FindNode { target: *target, want },
            Goal::Peers(info_hash) => {
                Query::GetPeers { info_hash: *info_hash, want, no_seeds: false, scrape: false }
            }
            Goal::Scrape(info_hash) => {
                Query::GetPeers { info_hash: *info_hash, want, no_seeds: false, scrape: true }
            }
            Goal::Samples(target) => Query::SampleInfohashes { target: *target, want },
            Goal::Immutable(_) | Goal::Mutable { .. } | Goal::Put { .. } => {
                let newest = match (&self.item, &self.goal) {
                    (Some(Item::Mutable(item)), _) => Some(item.seq),
                    (_, Goal::Put { item: Item::Mutable(item), .. }) => Some(item.seq),
                    _ => None,
                };
                Query::Get { target: self.target(), newer_than: newest, want }
            }
        }
    }

    /// What the nearest nodes are told at its end.
    pub(crate) fn store_query(&self, token: Bytes) -> Option<Query> {
        if let Goal::Put { item, cas } = &self.goal {
            return Some(Query::Put { token, item: item.clone(), cas: *cas });
        }
        let announce = self.announce?;
        let port = announce.port.map_or(AnnouncedPort::Implied, AnnouncedPort::Given);
        let (info_hash, seed) = (self.target(), announce.seed);
        Some(Query::AnnouncePeer { info_hash, port, token, seed })
    }

    /// A node has answered. What the owner is to hear at once.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        node: Node,
        response: &mut Response,
    ) -> Option<Find> {
        let found = match &self.goal {
            Goal::Nodes(_) => None,
            Goal::Peers(_) => self.peers_found(std::mem::take(&mut response.peers)),
            Goal::Scrape(_) => {
                let blooms = self.blooms.get_or_insert(Box::new((Bloom::EMPTY, Bloom::EMPTY)));
                if let Some(seeds) = &response.seeds_bloom {
                    blooms.0.unite(seeds);
                }
                if let Some(peers) = &response.peers_bloom {
                    blooms.1.unite(peers);
                }
                None
            }
            Goal::Samples(_) => {
                response.samples.take().map(|samples| Find::Samples { node, samples })
            }
            Goal::Immutable(_) | Goal::Mutable { .. } | Goal::Put { .. } => {
                let item = response.item.take()?;
                self.item_found(item)
            }
        };
        if found.is_some() || matches!(self.goal, Goal::Nodes(_)) {
            self.mattered = now;
        }
        found
    }

    /// Who has announced a torrent here, counted with what others say.
    pub(crate) fn count(&mut self, here: Option<(Bloom, Bloom)>) {
        let Some((seeds, peers)) = here else { return };
        let blooms = self.blooms.get_or_insert(Box::new((Bloom::EMPTY, Bloom::EMPTY)));
        blooms.0.unite(&seeds);
        blooms.1.unite(&peers);
    }

    pub(crate) fn peers_found(&mut self, peers: Vec<SocketAddr>) -> Option<Find> {
        let room = PEERS_FOUND_MAX.saturating_sub(self.peers.len());
        if room == 0 {
            return None;
        }
        let mut new = peers;
        new.retain(|peer| self.peers.insert(*peer));
        new.truncate(room);
        (!new.is_empty()).then_some(Find::Peers(new))
    }

    /// Takes an item that is what the key says, and newer than what was found.
    pub(crate) fn item_found(&mut self, mut item: Item) -> Option<Find> {
        if let (Goal::Mutable { key, salt }, Item::Mutable(found)) = (&self.goal, &mut item) {
            if found.key != *key {
                return None;
            }
            // Who asked knows the salt; answers do not have it.
            found.salt = salt.clone();
        }
        if let (Goal::Put { item: Item::Mutable(ours), .. }, Item::Mutable(found)) =
            (&self.goal, &mut item)
        {
            found.salt = ours.salt.clone();
        }
        let is_newer = match (&self.item, &item) {
            (None, _) => true,
            (Some(Item::Mutable(old)), Item::Mutable(new)) => new.seq > old.seq,
            _ => false,
        };
        if !is_newer || item.target() != self.target() || !item.is_genuine() {
            return None;
        }
        self.item = Some(item.clone());
        Some(Find::Item(item))
    }

    /// Whether all that it was for has been found, however far the lookups are.
    pub(crate) fn is_satisfied(&self) -> bool {
        matches!(self.goal, Goal::Immutable(_)) && self.item.is_some()
    }

    /// The lookups have ended: whom to tell.
    pub(crate) fn begin_storing(&mut self) {
        let lookups = self.lookups.iter().flatten();
        let nodes = lookups.flat_map(Lookup::closest);
        let queue = nodes.filter_map(|(node, token)| Some((node, token?))).collect();
        self.storing = Some(Storing { queue, ..Storing::default() });
    }

    /// A node has answered when others are being told already: it is told, too, if it is among the nearest.
    pub(crate) fn store_late(&mut self, family: usize, addr: SocketAddr) {
        let (Some(storing), Some(Some(lookup))) = (&mut self.storing, self.lookups.get(family))
        else {
            return;
        };
        let nearest = lookup.closest().into_iter().find(|(node, _)| node.addr == addr);
        if let Some((node, Some(token))) = nearest {
            storing.queue.push_back((node, token));
        }
    }

    /// A node that was told has said something, or nothing in time (`None`).
    pub(crate) fn stored(&mut self, answer: Option<Result<(), &Refusal>>) {
        let Some(storing) = &mut self.storing else { return };
        storing.waiting = storing.waiting.saturating_sub(1);
        self.stored_cost.1 += u32::from(answer.is_some());
        match answer {
            Some(Ok(())) => storing.stored += 1,
            Some(Err(Refusal { code: Refusal::CAS_MISMATCH | Refusal::SEQ_TOO_LOW, .. })) => {
                storing.outdated += 1;
            }
            _ => {}
        }
    }

    /// A node is being told.
    pub(crate) fn told(&mut self) {
        self.stored_cost.0 += 1;
        if let Some(storing) = &mut self.storing {
            storing.waiting += 1;
        }
    }

    /// How many nodes have stored what was to be stored.
    pub(crate) fn nodes_told(&self) -> usize {
        self.storing.as_ref().map_or(0, |storing| storing.stored)
    }

    /// Whether what nodes had given out was of no use to anybody.
    pub(crate) fn stored_in_vain(&self) -> bool {
        self.resumed
            && self.storing.as_ref().is_some_and(|one| (one.stored, one.outdated) == (0, 0))
    }

    /// What there is to say at the end, and what it took.
    pub(crate) fn end(&self) -> (Option<Find>, Cost) {
        let found = match &self.goal {
            Goal::Nodes(target) => {
                let lookups = self.lookups.iter().flatten();
                let mut nodes: Vec<_> =
                    lookups.flat_map(Lookup::closest).map(|(node, _)| node).collect();
                nodes.sort_by_key(|node| node.id.distance(target));
                Some(Find::Nodes(nodes))
            }
            Goal::Scrape(_) => {
                let (seeds, peers) =
                    self.blooms.as_deref().copied().unwrap_or((Bloom::EMPTY, Bloom::EMPTY));
                Some(Find::Scrape { seeds: Box::new(seeds), peers: Box::new(peers) })
            }
            Goal::Put { .. } => self
                .storing
                .as_ref()
                .map(|storing| Find::Stored { nodes: storing.stored, outdated: storing.outdated }),
            _ => None,
        };
        let costs = self.lookups.iter().flatten().map(Lookup::cost);
        let (asked, answered) =
            costs.fold(self.stored_cost, |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
        (found, Cost { asked, answered, took: self.mattered.since(self.started) })
    }

    /// How far the nearest [`K`] nodes of a family were, as parts of the space.
    pub(crate) fn distances(&self, family: usize) -> Vec<f64> {
        let Some(lookup) = self.lookups.get(family).and_then(Option::as_ref) else {
            return Vec::new();
        };
        let target = lookup.target();
        let closest = lookup.closest().into_iter().take(K);
        closest.map(|(node, _)| node.id.distance(&target).fraction()).collect()
    }
}
