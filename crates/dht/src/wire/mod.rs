//! The DHT's messages: bencoded dictionaries, one in each datagram (BEP 5).
//!
//! [`Message::parse`] reads one into types that cannot be wrong; what an honest node would never send is
//! refused, and what is only odd (lists that are too long, addresses that nobody can have) is cut off.
//! [`Message::encode`] writes one. A response does not say what it answers, so all that can stand in one
//! stands in [`Response`], and whoever asked knows where to look.

mod bloom;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use bloom::Bloom;
pub use decode::ParseError;

use crate::id::NodeId;
use bytes::Bytes;
use std::net::SocketAddr;

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What a query is called by who asks, and by the answer to it: at most
    /// [`TRANSACTION_BYTES_MAX`](crate::limits::TRANSACTION_BYTES_MAX).
    pub transaction: Bytes,
    /// What the sender runs: two letters and two bytes of version, if it says so.
    pub version: Option<[u8; 4]>,
    /// What it is about.
    pub body: Body,
}

/// What a message is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// A question.
    Query {
        /// Who asks.
        from: NodeId,
        /// It answers nobody, and is not to be kept in a table (BEP 43).
        read_only: bool,
        /// What it asks.
        query: Box<Query>,
    },
    /// An answer.
    Response(Box<Response>),
    /// A refusal.
    Error(Refusal),
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// Are you there?
    Ping,
    /// Which nodes do you know near `target`?
    FindNode {
        /// A name.
        target: NodeId,
        /// Of which address families.
        want: Want,
    },
    /// Which peers have a torrent?
    GetPeers {
        /// Its info-hash.
        info_hash: NodeId,
        /// Nodes of which address families, besides.
        want: Want,
        /// Leave out those that have all of it (BEP 33).
        no_seeds: bool,
        /// Send Bloom filters of all peers (BEP 33).
        scrape: bool,
    },
    /// I have a torrent, or want to have it.
    AnnouncePeer {
        /// Its info-hash.
        info_hash: NodeId,
        /// Where connections are taken.
        port: AnnouncedPort,
        /// What the same node gave out for this torrent shortly before.
        token: Bytes,
        /// I have all of it (BEP 33).
        seed: bool,
    },
    /// What is stored under `target` (BEP 44)?
    Get {
        /// A key.
        target: NodeId,
        /// A mutable item only if it is newer than this.
        newer_than: Option<i64>,
        /// Nodes of which address families, besides.
        want: Want,
    },
    /// Store an item (BEP 44).
    Put {
        /// What the same node gave out for this key shortly before.
        token: Bytes,
        /// What.
        item: Item,
        /// Only if what is there has this number.
        cas: Option<i64>,
    },
    /// Which torrents do you know peers of (BEP 51)?
    SampleInfohashes {
        /// Nodes near this name are sent besides.
        target: NodeId,
        /// Of which address families.
        want: Want,
    },
    /// Something that is not known here. If it has a target it is to be answered like `find_node`
    /// (BEP 5 does not say so; libtorrent and others do, so that new queries get somewhere).
    Unknown {
        /// What it is about.
        target: Option<NodeId>,
        /// Nodes of which address families.
        want: Want,
    },
}

/// Of which address families nodes are asked for (BEP 32). Neither means: of the asker's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Want {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// Where a peer that announces itself takes connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnnouncedPort {
    /// Where the datagram comes from: it knows its port no better (BEP 5's `implied_port`).
    Implied,
    /// At this one; never 0.
    Given(u16),
}

/// Something stored under a key (BEP 44). Whether hash and signature are right is not looked at here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Under the hash of what it is.
    Immutable {
        /// Bencode, at most [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
        value: Bytes,
    },
    /// Under a public key.
    Mutable(Mutable),
}

/// Something stored under a public key, replaceable by whoever has the secret one (BEP 44).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutable {
    /// Bencode, at most [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
    pub value: Bytes,
    /// The public key (Ed25519).
    pub key: [u8; 32],
    /// Which of several items under the key; at most [`SALT_BYTES_MAX`](crate::limits::SALT_BYTES_MAX). Not in
    /// answers: who asked knows it.
    pub salt: Bytes,
    /// The higher is the newer.
    pub seq: i64,
    /// Over salt, number and value.
    pub signature: [u8; 64],
}

/// A node and where it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node {
    /// Its name, as somebody says.
    pub id: NodeId,
    /// Its address; an IPv4 address never comes in IPv6's clothes.
    pub addr: SocketAddr,
}

/// An answer. Fields are empty where it says nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Who answers.
    pub id: NodeId,
    /// Where it sees the asker (BEP 42). One node's word.
    pub external: Option<SocketAddr>,
    /// Nodes near what was asked for, of both address families.
    pub nodes: Vec<Node>,
    /// To be shown when announcing or storing there.
    pub token: Option<Bytes>,
    /// Peers of a torrent.
    pub peers: Vec<SocketAddr>,
    /// Which peers have all of a torrent (BEP 33).
    pub seeds_bloom: Option<Box<Bloom>>,
    /// Which do not (BEP 33).
    pub peers_bloom: Option<Box<Bloom>>,
    /// An item (BEP 44).
    pub item: Option<Item>,
    /// The number of a mutable item, which is not sent if the asker's is as new.
    pub seq: Option<i64>,
    /// Torrents (BEP 51).
    pub samples: Option<Samples>,
}

/// Some of the torrents that a node knows peers of (BEP 51).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Samples {
    /// When to ask again, seconds.
    pub interval: u32,
    /// How many it knows.
    pub total: u32,
    /// Some of them.
    pub info_hashes: Vec<NodeId>,
}

/// Why a question is not answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// A number: see the constants here.
    pub code: i64,
    /// In words, at most [`ERROR_TEXT_BYTES_MAX`](crate::limits::ERROR_TEXT_BYTES_MAX).
    pub text: String,
}

impl Refusal {
    /// Something (BEP 5).
    pub const GENERIC: i64 = 201;
    /// No time (BEP 5).
    pub const SERVER: i64 = 202;
    /// A message that cannot be, such as one with a bad token (BEP 5).
    pub const PROTOCOL: i64 = 203;
    /// Not known here (BEP 5).
    pub const METHOD_UNKNOWN: i64 = 204;
    /// The value is too long (BEP 44).
    pub const VALUE_TOO_LONG: i64 = 205;
    /// The signature is wrong (BEP 44).
    pub const BAD_SIGNATURE: i64 = 206;
    /// The salt is too long (BEP 44).
    pub const SALT_TOO_LONG: i64 = 207;
    /// What is there has another number than was said (BEP 44).
    pub const CAS_MISMATCH: i64 = 301;
    /// What is there is newer (BEP 44).
    pub const SEQ_TOO_LOW: i64 = 302;
}

impl Response {
    /// An answer that says nothing but who gives it.
    pub fn new(id: NodeId) -> Self {
        Response {
            id,
            external: None,
            nodes: Vec::new(),
            token: None,
            peers: Vec::new(),
            seeds_bloom: None,
            peers_bloom: None,
            item: None,
            seq: None,
            samples: None,
        }
    }
}

/// Bytes of an IPv4 address and a port.
const V4_LEN: usize = 6;
/// Bytes of an IPv6 address and a port.
const V6_LEN: usize = 18;
