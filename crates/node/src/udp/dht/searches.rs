//! Single searches that somebody waits for.

use althing_dht::wire::{Item, Node};
use althing_dht::{Cost, Find, NodeId, SearchId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::sync::oneshot;

/// What a search has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Searched {
    pub(crate) nodes: Vec<Node>,
    pub(crate) peers: Vec<SocketAddr>,
    /// Who has all of a torrent and who fetches it, estimated.
    pub(crate) counted: Option<(u32, u32)>,
    /// The newest.
    pub(crate) item: Option<Item>,
    /// On how many nodes something was stored, and how many have something newer.
    pub(crate) stored: Option<(usize, usize)>,
    pub(crate) cost: Cost,
}

impl Searched {
    /// Whether nothing at all was found.
    pub(crate) fn is_nothing(&self) -> bool {
        let Searched { nodes, peers, item, stored, .. } = self;
        nodes.is_empty() && peers.is_empty() && item.is_none() && stored.is_none()
    }
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Searches {
    last: u64,
    waiting: BTreeMap<SearchId, (Whose, Searched)>,
}

enum Whose {
    Somebody(oneshot::Sender<Searched>),
    /// How many have a torrent is to be shown with it.
    Count(NodeId),
}

impl Searches {
    pub(super) fn begin(&mut self, reply: oneshot::Sender<Searched>) -> SearchId {
        self.add(Whose::Somebody(reply))
    }

    pub(super) fn begin_count(&mut self, name: NodeId) -> SearchId {
        self.add(Whose::Count(name))
    }

    fn add(&mut self, whose: Whose) -> SearchId {
        self.last += 1;
        let search = SearchId(self.last);
        self.waiting.insert(search, (whose, Searched::default()));
        search
    }

    pub(super) fn found(&mut self, search: SearchId, what: Find) {
        let Some((_, found)) = self.waiting.get_mut(&search) else { return };
        match what {
            Find::Nodes(nodes) => found.nodes = nodes,
            Find::Peers(peers) => found.peers.extend(peers),
            Find::Scrape { seeds, peers } => {
                found.counted = Some((seeds.estimate() as u32, peers.estimate() as u32));
            }
            Find::Item(item) => found.item = Some(item),
            Find::Stored { nodes, outdated } => found.stored = Some((nodes, outdated)),
            // Nobody here asks for them.
            Find::Samples { .. } => {}
        }
    }

    /// A search has ended. If it was to count who has a torrent: which, and how many there are.
    pub(super) fn done(&mut self, search: SearchId, cost: Cost) -> Option<(NodeId, u32, u32)> {
        let (whose, mut found) = self.waiting.remove(&search)?;
        found.cost = cost;
        match whose {
            Whose::Somebody(reply) => {
                // Who asked may have given up waiting.
                let _ = reply.send(found);
                None
            }
            Whose::Count(name) => {
                let (seeds, peers) = found.counted.filter(|_| cost.answered > 0)?;
                Some((name, seeds, peers))
            }
        }
    }
}
