//! What the machine asks of others in the house: of the DHT, who says that he has a word, and that it says so
//! of us; of the index on disk, what it has for somebody else. Each is done elsewhere, and the answer comes back like anything else.

use super::Told;
use super::limits::CONSULTED_WITHIN;
use crate::session::dht;
use crate::session::index::is_blocked;
use crate::session::shared::Shared;
use crate::udp::DhtRequest;
use althing_base::Sha1Digest;
use althing_dht::{Announce, Goal, NodeId};
use althing_index::Query;
use althing_router::DhtWish;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Weak;
use tokio::sync::mpsc;
use tracing::debug;

/// See the [module](self).
pub(super) struct House {
    shared: Weak<Shared>,
    told: mpsc::WeakUnboundedSender<Told>,
    /// Keys that the DHT announces us for, and at which port.
    announced: BTreeSet<Sha1Digest>,
    port: Option<u16>,
}

impl House {
    pub(super) fn new(shared: Weak<Shared>, told: mpsc::WeakUnboundedSender<Told>) -> Self {
        House { shared, told, announced: BTreeSet::new(), port: None }
    }

    /// Asks the DHT who is at a key; answers come to the thread as [`Told::TermFound`], at last without
    /// anybody.
    pub(super) fn find_term(&self, id: u64, key: Sha1Digest) {
        let (shared, told) = (self.shared.clone(), self.told.clone());
        tokio::spawn(async move {
            let found = match shared.upgrade() {
                Some(shared) => dht::search(&shared, Goal::Peers(NodeId::from(key))).await,
                None => return,
            };
            let (addrs, messages) = match found {
                Ok(found) => (found.peers, u64::from(found.cost.asked + found.cost.answered)),
                Err(error) => {
                    debug!(%error, "nobody is found by a word");
                    (Vec::new(), 0)
                }
            };
            let Some(told) = told.upgrade() else { return };
            let say = |addrs: Vec<SocketAddr>, messages| {
                // An error means that the thread has ended.
                let _ = told.send(Told::TermFound { id, key, addrs, messages });
            };
            if !addrs.is_empty() {
                say(addrs, messages);
                say(Vec::new(), 0);
            } else {
                say(addrs, messages);
            }
        });
    }

    /// Looks into the index on disk for what somebody else asks; what is found comes to the thread as
    /// [`Told::Consulted`].
    pub(super) fn consult(&self, ask: u64, query: Query) {
        let Some(shared) = self.shared.upgrade() else { return };
        let Some(index) = shared.index.clone() else { return };
        let filter = shared.blocks.filter();
        let told = self.told.clone();
        tokio::spawn(async move {
            match index.search(query, CONSULTED_WITHIN).await {
                Ok(mut found) => {
                    // What our user does not want to carry is not named to others either.
                    found.hits.retain(|hit| !is_blocked(&filter, hit));
                    if let Some(told) = told.upgrade() {
                        // An error means that the thread has ended.
                        let _ = told.send(Told::Consulted { ask, hits: found.hits });
                    }
                }
                Err(error) => debug!(%error, "a question of somebody else is not answered"),
            }
        });
    }

    /// Has the DHT announce us for these keys and no others, at its own pace.
    pub(super) fn announce(&mut self, keys: Vec<Sha1Digest>) {
        let keys: BTreeSet<Sha1Digest> = keys.into_iter().collect();
        let Some(shared) = self.shared.upgrade() else { return };
        for key in self.announced.difference(&keys) {
            wish(&shared, *key, DhtWish::Forget);
        }
        self.port = shared.told_port();
        // Without a port nobody could call; there may be one later.
        for key in keys.difference(&self.announced).filter(|_| self.port.is_some()) {
            wish(&shared, *key, named_at(self.port));
        }
        self.announced = keys;
    }

    /// Once a minute: the port may be another one.
    pub(super) fn tick(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let port = shared.told_port();
        if port == self.port || self.announced.is_empty() {
            return;
        }
        self.port = port;
        for key in &self.announced {
            wish(&shared, *key, named_at(port));
        }
    }
}

/// What the DHT is to do of a key.
fn named_at(port: Option<u16>) -> DhtWish {
    match port {
        Some(_) => DhtWish::Want(Some(Announce { port, seed: false })),
        None => DhtWish::Forget,
    }
}

fn wish(shared: &Shared, key: Sha1Digest, wish: DhtWish) {
    shared.ask_dht(DhtRequest::Wish { info_hash: NodeId::from(key), wish });
}
