//! What the node answers, and how much of it to whom.

use super::{Dht, family};
use crate::id::NodeId;
use crate::io::Output;
use crate::limits::{ANSWER_BYTES_MAX, K, REFLECTION_MAX, REFLECTION_SHORT_MAX};
use crate::rate::Leave;
use crate::wire::{AnnouncedPort, Body, Item, Message, Node, Query, Refusal, Response, Want};
use althing_base::Instant;
use bytes::Bytes;
use std::net::SocketAddr;

/// The shortest question there is, a ping: 56 bytes. An answer of [`REFLECTION_MAX`] times as much
/// needs no closer look.
const QUESTION_BYTES_MIN: usize = 56;

impl Dht {
    /// Answers a question, unless too many were asked.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: Bytes,
        id: NodeId,
        read_only: bool,
        query: Query,
    ) {
        if self.is_silent() || !self.incoming.is_heard(now, from) {
            return;
        }
        let Some(side) = &mut self.sides[family(from)] else { return };
        let me = side.table.me();
        if id == me {
            // Ourselves, or somebody who would like to be.
            return;
        }
        let is_known = side.table.knows(from);
        let leave = match &query {
            _ if is_known => Leave::Whole,
            Query::AnnouncePeer { token, .. } | Query::Put { token, .. }
                if !self.tokens.is_valid(now, from.ip(), token) =>
            {
                if self.incoming.may_refuse(now) {
                    self.send(from, transaction, Body::Error(bad_token()));
                }
                return;
            }
            // He has received what we sent to his address.
            Query::AnnouncePeer { .. } => Leave::Whole,
            _ => self.incoming.leave_for_stranger(now),
        };
        // Whether an item's signature is right takes ten times as long to tell as anything else.
        if leave == Leave::Silence || (leave == Leave::Short && matches!(query, Query::Put { .. }))
        {
            return;
        }
        let Some(side) = &mut self.sides[family(from)] else { return };
        let node = Node { id, addr: from };
        if !read_only && side.table.asked_us(now, node) {
            self.check(now, node);
        }
        let bytes_in = question_bytes(&transaction, id, read_only, &query);
        let mut response = Response::new(me);
        response.external = Some(from);
        if let Err(refusal) = self.fill(now, from, me, query, &mut response) {
            self.send(from, transaction, Body::Error(refusal));
            return;
        }
        if leave == Leave::Short {
            if shorten(REFLECTION_SHORT_MAX * bytes_in, &transaction, &mut response) {
                let body = Body::Response(Box::new(response));
                let message = Message { transaction, version: None, body };
                self.outputs.push_back(Output::Send { to: from, message });
            }
            return;
        }
        let allowed = if is_known { ANSWER_BYTES_MAX } else { REFLECTION_MAX * bytes_in };
        if self.fit(now, allowed.min(ANSWER_BYTES_MAX), &mut response) {
            self.send(from, transaction, Body::Response(Box::new(response)));
        }
    }

    /// Tells somebody that his question cannot be.
    pub(super) fn refuse_bad(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: Bytes,
        refusal: Refusal,
    ) {
        let is_heard = !self.is_silent() && self.incoming.is_heard(now, from);
        if is_heard && self.incoming.may_refuse(now) {
            self.send(from, transaction, Body::Error(refusal));
        }
    }

    fn send(&mut self, to: SocketAddr, transaction: Bytes, body: Body) {
        let message = Message { transaction, version: self.version, body };
        self.outputs.push_back(Output::Send { to, message });
    }

    /// What is to be said to a question.
    fn fill(
        &mut self,
        now: Instant,
        from: SocketAddr,
        me: NodeId,
        query: Query,
        response: &mut Response,
    ) -> Result<(), Refusal> {
        match query {
            Query::Ping | Query::Unknown { target: None, .. } => {}
            Query::FindNode { target, want } | Query::Unknown { target: Some(target), want } => {
                response.nodes = self.nodes_near(&target, from, want);
            }
            Query::GetPeers { info_hash, want, no_seeds, scrape } => {
                response.token = Some(self.tokens.token(now, from.ip()));
                response.nodes = self.nodes_near(&info_hash, from, want);
                if scrape {
                    if let Some((seeds, peers)) = self.peers.blooms(now, &info_hash) {
                        response.seeds_bloom = Some(Box::new(seeds));
                        response.peers_bloom = Some(Box::new(peers));
                    }
                } else {
                    // As many as could ever fit; the rest is cut off below.
                    let (v4, most) = (from.is_ipv4(), ANSWER_BYTES_MAX / 8);
                    let rng = &mut self.rng;
                    response.peers = self.peers.some(now, &info_hash, v4, most, no_seeds, rng);
                }
            }
            Query::SampleInfohashes { target, want } => {
                response.nodes = self.nodes_near(&target, from, want);
                response.samples = Some(self.peers.samples(now, &mut self.rng));
            }
            Query::AnnouncePeer { info_hash, port, token, seed } => {
                self.check_token(now, from, &token)?;
                let port = match port {
                    AnnouncedPort::Implied => from.port(),
                    AnnouncedPort::Given(port) => port,
                };
                let addr = SocketAddr::new(from.ip(), port);
                self.peers.announce(now, &me, info_hash, addr, seed, &mut self.rng);
                self.sweep_later(now);
            }
            Query::Get { target, newer_than, want } => {
                response.token = Some(self.tokens.token(now, from.ip()));
                response.nodes = self.nodes_near(&target, from, want);
                match self.items.get(now, &target) {
                    Some(Item::Mutable(item)) if newer_than.is_some_and(|seq| item.seq <= seq) => {
                        response.seq = Some(item.seq);
                    }
                    Some(item) => response.item = Some(item.clone()),
                    None => {}
                }
            }
            Query::Put { token, item, cas } => {
                self.check_token(now, from, &token)?;
                self.items.put(now, &me, from.ip(), item, cas)?;
                self.sweep_later(now);
            }
        }
        Ok(())
    }

    fn check_token(&self, now: Instant, from: SocketAddr, token: &[u8]) -> Result<(), Refusal> {
        if self.tokens.is_valid(now, from.ip(), token) {
            return Ok(());
        }
        Err(bad_token())
    }

    /// The nodes nearest to a name, of the families wanted (BEP 32).
    fn nodes_near(&self, target: &NodeId, from: SocketAddr, want: Want) -> Vec<Node> {
        let own = !want.v4 && !want.v6;
        let wanted = [want.v4 || (own && from.is_ipv4()), want.v6 || (own && from.is_ipv6())];
        let sides = self.sides.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        let near = |side: &super::Side| {
            let mut nodes = side.table.nearest(target, K + 1, false);
            nodes.retain(|node| node.addr != from);
            nodes.truncate(K);
            nodes
        };
        sides.filter_map(|(side, _)| side.as_ref()).flat_map(near).collect()
    }

    /// Cuts an answer down to `allowed` bytes. Says whether it may be sent at all.
    fn fit(&mut self, now: Instant, allowed: usize, response: &mut Response) -> bool {
        let peers = std::mem::take(&mut response.peers);
        let mut bytes = answer_bytes(response);
        // Nodes are of less use than what was asked for, and more of them than a few are of little.
        while bytes > allowed && response.nodes.len() > K / 2 && response.item.is_none() {
            response.nodes.pop();
            bytes = answer_bytes(response);
        }
        if bytes > allowed && response.item.is_some() {
            response.nodes.clear();
            bytes = answer_bytes(response);
        }
        if let Some(first) = peers.first() {
            let each = peer_bytes(*first);
            let room = allowed.saturating_sub(bytes + LIST_BYTES) / each;
            response.peers = peers;
            response.peers.truncate(room);
        }
        bytes <= allowed.max(REFLECTION_MAX * QUESTION_BYTES_MIN)
            || self.incoming.may_answer_at_length(now)
    }
}

fn bad_token() -> Refusal {
    Refusal { code: Refusal::PROTOCOL, text: "bad token".into() }
}

/// Cuts an answer down to `allowed` bytes: peers, or else nodes, as many as fit. Says whether it is worth
/// sending: half of an item is none.
fn shorten(allowed: usize, transaction: &Bytes, response: &mut Response) -> bool {
    let is_long = response.item.is_some()
        || response.samples.is_some()
        || response.seeds_bloom.is_some()
        || response.seq.is_some();
    if is_long {
        return false;
    }
    response.external = None;
    let (mut nodes, mut peers) =
        (std::mem::take(&mut response.nodes), std::mem::take(&mut response.peers));
    let body = Body::Response(Box::new(response.clone()));
    let message = Message { transaction: transaction.clone(), version: None, body };
    let room = allowed.saturating_sub(message.encode().len());
    let node_bytes = |node: &Node| if node.addr.is_ipv4() { 26 } else { 38 };
    let each = nodes.iter().map(node_bytes).max().unwrap_or(1);
    let room_for_nodes = room.saturating_sub(NODE_LISTS_BYTES);
    nodes.truncate(if peers.is_empty() { room_for_nodes / each } else { 0 });
    let each = peers.iter().map(|peer| peer_bytes(*peer)).max().unwrap_or(1);
    peers.truncate(room.saturating_sub(LIST_BYTES) / each);
    (response.nodes, response.peers) = (nodes, peers);
    true
}

/// How long a question was at least: as it would be written here.
fn question_bytes(transaction: &Bytes, id: NodeId, read_only: bool, query: &Query) -> usize {
    let body = Body::Query { from: id, read_only, query: Box::new(query.clone()) };
    let bytes = Message { transaction: transaction.clone(), version: None, body }.encode().len();
    match query {
        // The name of its method may have been one letter.
        Query::Unknown { .. } => bytes - 8,
        _ => bytes,
    }
}

/// Bytes around a list of peers.
const LIST_BYTES: usize = 10;

/// Bytes around the nodes of both families.
const NODE_LISTS_BYTES: usize = 24;

/// Bytes of one peer in a list.
fn peer_bytes(peer: SocketAddr) -> usize {
    if peer.is_ipv4() { 8 } else { 21 }
}

/// How long an answer is at the most, its peers left out.
fn answer_bytes(response: &Response) -> usize {
    // Its frame, name, address, transaction and version.
    let mut bytes = 120;
    bytes +=
        response.nodes.iter().map(|node| if node.addr.is_ipv4() { 26 } else { 38 }).sum::<usize>();
    bytes += if response.nodes.is_empty() { 0 } else { 24 };
    bytes += response.token.as_ref().map_or(0, |token| token.len() + 10);
    bytes += if response.seeds_bloom.is_some() { 2 * (256 + 10) } else { 0 };
    bytes += response.samples.as_ref().map_or(0, |samples| 60 + 20 * samples.info_hashes.len());
    bytes += response.seq.map_or(0, |_| 28);
    bytes += match &response.item {
        None => 0,
        Some(Item::Immutable { value }) => value.len() + 3,
        Some(Item::Mutable(item)) => item.value.len() + 160,
    };
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::Items;
    use crate::wire::{Bloom, Mutable, Samples};

    #[test]
    fn short_answers_are_short() {
        let v4 = SocketAddr::from(([198, 51, 100, 1], 65_535));
        let v6: SocketAddr = "[2001:db8::1]:65535".parse().unwrap();
        let node = |addr| Node { id: NodeId([0xff; 20]), addr };
        let transaction = Bytes::from_static(b"abcd");
        for (nodes, peers) in [
            (vec![node(v4); 8], vec![]),
            (vec![node(v6); 8], vec![]),
            ([[node(v4); 8], [node(v6); 8]].concat(), vec![]),
            (vec![node(v4); 8], vec![v4; 100]),
            (vec![node(v4); 8], vec![v6; 100]),
            (vec![], vec![]),
        ] {
            for allowed in [90, 150, 190, 250] {
                let mut response = Response::new(NodeId([1; 20]));
                response.external = Some(v6);
                response.token = Some(Bytes::from_static(&[1; 8]));
                (response.nodes, response.peers) = (nodes.clone(), peers.clone());
                assert!(shorten(allowed, &transaction, &mut response));
                let what = response.nodes.len() + response.peers.len();
                let body = Body::Response(Box::new(response));
                let message = Message { transaction: transaction.clone(), version: None, body };
                let bytes = message.encode().len();
                assert!(bytes <= allowed, "{bytes} of {allowed}");
                assert!(allowed < 190 || nodes.is_empty() || what >= 2, "{what} in {allowed}");
            }
        }
        let mut response = Response::new(NodeId([1; 20]));
        response.seq = Some(1);
        assert!(!shorten(190, &transaction, &mut response));
    }

    /// The estimate is never less than what is written, nor much more.
    #[test]
    fn estimates_are_on_the_safe_side() {
        let v4 = SocketAddr::from(([198, 51, 100, 1], 65_535));
        let v6: SocketAddr = "[2001:db8::1]:65535".parse().unwrap();
        let node = |addr| Node { id: NodeId([0xff; 20]), addr };
        let mut response = Response::new(NodeId([1; 20]));
        response.external = Some(v6);
        let written = |response: &Response| {
            let body = Body::Response(Box::new(response.clone()));
            let transaction = Bytes::from_static(&[7; 16]);
            Message { transaction, version: Some(*b"AL01"), body }.encode().len()
        };
        let check = |response: &Response| {
            let (estimate, written) = (answer_bytes(response), written(response));
            assert!((written..written + 80).contains(&estimate), "{estimate} for {written}");
        };
        check(&response);
        response.nodes = [[node(v4); 8], [node(v6); 8]].concat();
        check(&response);
        response.token = Some(Bytes::from_static(&[1; 8]));
        check(&response);
        let value = Bytes::from(vec![b'1'; 1_000]);
        let item =
            Mutable { value, key: [1; 32], salt: Bytes::new(), seq: i64::MIN, signature: [2; 64] };
        response.item = Some(Item::Mutable(item));
        check(&response);
        response.item = None;
        response.seeds_bloom = Some(Box::new(Bloom::EMPTY));
        response.peers_bloom = Some(Box::new(Bloom::EMPTY));
        check(&response);
        let samples =
            Samples { interval: 21_600, total: 2_000, info_hashes: vec![NodeId([1; 20]); 20] };
        response.samples = Some(samples);
        check(&response);
        let before = written(&response);
        response.peers = vec![v6; 3];
        assert!(written(&response) - before <= LIST_BYTES + 3 * peer_bytes(v6));
        let _ = Items::default();
    }
}
