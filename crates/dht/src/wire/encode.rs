//! Writing messages, as canonical bencode.

use super::{AnnouncedPort, Body, Item, Message, Node, Query, Response, Want};
use althing_base::bencode::Encoder;
use std::net::{IpAddr, SocketAddr};

impl Message {
    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.dict(|out| {
            match &self.body {
                Body::Query { from, query, .. } => {
                    out.key(b"a").dict(|out| encode_arguments(out, &from.0, query));
                }
                Body::Error(refusal) => {
                    out.key(b"e").list(|out| {
                        out.int(refusal.code);
                        out.bytes(refusal.text.as_bytes());
                    });
                }
                Body::Response(response) => {
                    if let Some(addr) = response.external {
                        out.key(b"ip").bytes(&compact(addr));
                    }
                }
            }
            if let Body::Query { read_only, query, .. } = &self.body {
                out.key(b"q").bytes(method(query));
                if *read_only {
                    out.key(b"ro").int(1);
                }
            }
            if let Body::Response(response) = &self.body {
                out.key(b"r").dict(|out| encode_response(out, response));
            }
            out.key(b"t").bytes(&self.transaction);
            if let Some(version) = &self.version {
                out.key(b"v").bytes(version);
            }
            out.key(b"y").bytes(match self.body {
                Body::Query { .. } => b"q",
                Body::Response(_) => b"r",
                Body::Error(_) => b"e",
            });
        });
        out.finish()
    }
}

fn method(query: &Query) -> &'static [u8] {
    match query {
        Query::Ping => b"ping",
        Query::FindNode { .. } | Query::Unknown { .. } => b"find_node",
        Query::GetPeers { .. } => b"get_peers",
        Query::AnnouncePeer { .. } => b"announce_peer",
        Query::Get { .. } => b"get",
        Query::Put { .. } => b"put",
        Query::SampleInfohashes { .. } => b"sample_infohashes",
    }
}

fn encode_arguments(out: &mut Encoder, id: &[u8], query: &Query) {
    match query {
        Query::Ping => {
            out.key(b"id").bytes(id);
        }
        Query::FindNode { target, want } | Query::SampleInfohashes { target, want } => {
            out.key(b"id").bytes(id);
            out.key(b"target").bytes(&target.0);
            encode_want(out, *want);
        }
        Query::Unknown { target, want } => {
            out.key(b"id").bytes(id);
            if let Some(target) = target {
                out.key(b"target").bytes(&target.0);
            }
            encode_want(out, *want);
        }
        Query::GetPeers { info_hash, want, no_seeds, scrape } => {
            out.key(b"id").bytes(id);
            out.key(b"info_hash").bytes(&info_hash.0);
            if *no_seeds {
                out.key(b"noseed").int(1);
            }
            if *scrape {
                out.key(b"scrape").int(1);
            }
            encode_want(out, *want);
        }
        Query::AnnouncePeer { info_hash, port, token, seed } => {
            out.key(b"id").bytes(id);
            let implied = matches!(port, AnnouncedPort::Implied);
            out.key(b"implied_port").int(implied.into());
            out.key(b"info_hash").bytes(&info_hash.0);
            out.key(b"port").int(match port {
                // Nodes that do not know the flag refuse a port of 0.
                AnnouncedPort::Implied => 1,
                AnnouncedPort::Given(port) => i64::from(*port),
            });
            if *seed {
                out.key(b"seed").int(1);
            }
            out.key(b"token").bytes(token);
        }
        Query::Get { target, newer_than, want } => {
            out.key(b"id").bytes(id);
            if let Some(seq) = newer_than {
                out.key(b"seq").int(*seq);
            }
            out.key(b"target").bytes(&target.0);
            encode_want(out, *want);
        }
        Query::Put { token, item, cas } => {
            if let Some(cas) = cas {
                out.key(b"cas").int(*cas);
            }
            out.key(b"id").bytes(id);
            let Item::Mutable(mutable) = item else {
                out.key(b"token").bytes(token);
                out.key(b"v").raw(value(item));
                return;
            };
            out.key(b"k").bytes(&mutable.key);
            if !mutable.salt.is_empty() {
                out.key(b"salt").bytes(&mutable.salt);
            }
            out.key(b"seq").int(mutable.seq);
            out.key(b"sig").bytes(&mutable.signature);
            out.key(b"token").bytes(token);
            out.key(b"v").raw(&mutable.value);
        }
    }
}

fn encode_response(out: &mut Encoder, response: &Response) {
    let mutable = match &response.item {
        Some(Item::Mutable(mutable)) => Some(mutable),
        _ => None,
    };
    if let Some(bloom) = &response.peers_bloom {
        out.key(b"BFpe").bytes(&bloom.0);
    }
    if let Some(bloom) = &response.seeds_bloom {
        out.key(b"BFsd").bytes(&bloom.0);
    }
    out.key(b"id").bytes(&response.id.0);
    if let Some(samples) = &response.samples {
        out.key(b"interval").int(samples.interval.into());
    }
    if let Some(mutable) = mutable {
        out.key(b"k").bytes(&mutable.key);
    }
    let nodes = |v4: bool| -> Vec<u8> {
        let nodes = response.nodes.iter().filter(|node| node.addr.is_ipv4() == v4);
        nodes.flat_map(compact_node).collect()
    };
    for (key, bytes) in [(&b"nodes"[..], nodes(true)), (b"nodes6", nodes(false))] {
        if !bytes.is_empty() {
            out.key(key).bytes(&bytes);
        }
    }
    if let Some(samples) = &response.samples {
        out.key(b"num").int(samples.total.into());
        let bytes: Vec<u8> = samples.info_hashes.iter().flat_map(|hash| hash.0).collect();
        out.key(b"samples").bytes(&bytes);
    }
    if let Some(seq) = mutable.map(|mutable| mutable.seq).or(response.seq) {
        out.key(b"seq").int(seq);
    }
    if let Some(mutable) = mutable {
        out.key(b"sig").bytes(&mutable.signature);
    }
    if let Some(token) = &response.token {
        out.key(b"token").bytes(token);
    }
    if let Some(item) = &response.item {
        out.key(b"v").raw(value(item));
    }
    if !response.peers.is_empty() {
        out.key(b"values").list(|out| {
            for peer in &response.peers {
                out.bytes(&compact(*peer));
            }
        });
    }
}

fn encode_want(out: &mut Encoder, want: Want) {
    if want.v4 || want.v6 {
        out.key(b"want").list(|out| {
            for (wanted, word) in [(want.v4, b"n4"), (want.v6, b"n6")] {
                if wanted {
                    out.bytes(word);
                }
            }
        });
    }
}

fn value(item: &Item) -> &[u8] {
    match item {
        Item::Immutable { value } => value,
        Item::Mutable(mutable) => &mutable.value,
    }
}

fn compact_node(node: &Node) -> Vec<u8> {
    let mut bytes = node.id.0.to_vec();
    bytes.extend(compact(node.addr));
    bytes
}

fn compact(addr: SocketAddr) -> Vec<u8> {
    let mut bytes = match addr.ip().to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    bytes.extend(addr.port().to_be_bytes());
    bytes
}
