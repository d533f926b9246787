//! Crowds: nodes that somebody has invented around a key to make it his (Douceur 2002, "The Sybil
//! Attack").

use super::net::{Kind, Net};
use crate::node::NodeIndex;
use althing_base::time::Duration;
use althing_dht::NodeId;
use althing_dht::wire::{Body, Message, Node, Query, Response, Want};
use bytes::Bytes;
use std::net::SocketAddr;

/// A crowd, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrowdId(usize);

/// Names next to a key, each at an address in a network of its own. They answer whatever is asked, name
/// nobody but each other, and of the torrent a peer that is none; what they are told they forget.
pub(super) struct Crowd {
    nodes: Vec<Node>,
    members: Vec<NodeIndex>,
}

/// Honest nodes nearest to the key to which each of a crowd makes itself known.
const NEAREST_TOLD: usize = 100;

/// Honest nodes anywhere to which each of a crowd makes itself known besides.
const OTHERS_TOLD: usize = 20;

/// In how many parts, a second apart, they do so.
const ROUNDS: usize = 10;

/// Nodes in an answer.
const NAMED: usize = 8;

/// What they say has the torrent.
const FALSE_PEER: ([u8; 4], u16) = ([198, 51, 100, 66], 6_666);

impl Net {
    /// A crowd of `count` gathers around a key and makes itself known where the key is looked for.
    pub fn gather_crowd(&mut self, key: NodeId, count: usize) -> CrowdId {
        let crowd = CrowdId(self.crowds.len());
        let mut nodes = Vec::with_capacity(count);
        let mut members = Vec::with_capacity(count);
        for n in 0..count as u32 {
            let mut id = key;
            let mut tail = [0; 6];
            self.rng.fill(&mut tail);
            id.0[10..14].copy_from_slice(&n.to_be_bytes());
            id.0[14..].copy_from_slice(&tail);
            let node = Node { id, addr: self.address() };
            members.push(self.add(node.addr, Kind::Sybil(crowd, id)));
            nodes.push(node);
        }
        self.crowds.push(Crowd { nodes: nodes.clone(), members: members.clone() });
        let mut honest: Vec<_> = self
            .honest()
            .filter_map(|at| Some((self.dht(at)?.ids()[0]?.distance(&key), at)))
            .collect();
        honest.sort_unstable();
        for round in 0..ROUNDS {
            for (node, member) in nodes.iter().zip(&members).skip(round).step_by(ROUNDS) {
                let near = honest.iter().take(NEAREST_TOLD).map(|(_, at)| *at);
                let mut told: Vec<_> = near.collect();
                let others = (0..OTHERS_TOLD).filter_map(|_| self.rng.choose(&honest).copied());
                told.extend(others.map(|(_, at)| at));
                for at in told {
                    let query = Query::FindNode { target: key, want: Want::default() };
                    let body =
                        Body::Query { from: node.id, read_only: false, query: Box::new(query) };
                    let transaction = Bytes::from_static(b"sy");
                    let to = self.hosts[at.index()].addr;
                    self.send(*member, to, Message { transaction, version: None, body });
                }
            }
            self.run(Duration::from_secs(1));
        }
        self.run(Duration::from_secs(10));
        crowd
    }

    /// A crowd is gone.
    pub fn disperse_crowd(&mut self, crowd: CrowdId) {
        for at in 0..self.crowds[crowd.0].members.len() {
            let member = self.crowds[crowd.0].members[at];
            self.hosts[member.index()].alive = false;
        }
    }

    pub(super) fn answer_as_sybil(
        &mut self,
        me: NodeIndex,
        to: NodeIndex,
        crowd: CrowdId,
        id: NodeId,
        message: Message,
    ) {
        let Body::Query { query, .. } = message.body else { return };
        let mut response = Response::new(id);
        if !matches!(*query, Query::Ping | Query::AnnouncePeer { .. } | Query::Put { .. }) {
            let Crowd { nodes, .. } = &self.crowds[crowd.0];
            let first = self.rng.index(nodes.len());
            response.nodes = nodes.iter().cycle().skip(first).take(NAMED).copied().collect();
            response.token = Some(Bytes::from_static(b"whatever"));
        }
        if matches!(*query, Query::GetPeers { .. }) {
            response.peers = vec![SocketAddr::from(FALSE_PEER)];
        }
        let to = self.hosts[to.index()].addr;
        let body = Body::Response(Box::new(response));
        self.send(me, to, Message { transaction: message.transaction, version: None, body });
    }
}
