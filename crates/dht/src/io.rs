//! What the machine is told and what it asks for.

use crate::crawl::CrawlConfig;
use crate::id::NodeId;
use crate::wire::{Bloom, Item, Message, Node, Refusal, Samples};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// A search, as its owner numbers it; a number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SearchId(pub u64);

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message came.
    Message {
        /// From where.
        from: SocketAddr,
        /// What.
        message: Message,
    },
    /// A question came that cannot be (see [`ParseError::BadQuery`](crate::wire::ParseError::BadQuery)).
    BadQuery {
        /// From where.
        from: SocketAddr,
        /// What who asked calls it.
        transaction: Bytes,
        /// What to tell.
        refusal: Refusal,
    },
    /// The operating system says that nobody is there.
    Unreachable {
        /// Where.
        addr: SocketAddr,
    },
    /// Nodes that may be there: saved ones, a torrent's `nodes`, peers' PORT messages, bootstrap names
    /// that were looked up. They are asked before they are believed.
    Contacts(Vec<SocketAddr>),
    /// Keep finding peers of a torrent, and announce us if asked to, until [`Forget`](Input::Forget). Said
    /// again it replaces what was said, without starting anew.
    Want {
        /// Its info-hash.
        info_hash: NodeId,
        /// What to tell of us, if anything.
        announce: Option<Announce>,
    },
    /// Peers are needed soon: a [`Want`](Input::Want)ed torrent's next search is not to wait its turn
    /// longer than good manners ask for.
    Hurry {
        /// Its info-hash.
        info_hash: NodeId,
    },
    /// Leave a torrent alone from now on.
    Forget {
        /// Its info-hash.
        info_hash: NodeId,
    },
    /// Search once; [`Output::Found`] comes as things are found, then [`Output::Done`].
    Search {
        /// To be named in answers.
        search: SearchId,
        /// What for.
        goal: Goal,
    },
    /// Stop a search; it is not answered any more.
    Cancel(SearchId),
    /// Our address as the world sees it, when that is known or has changed. Names are chosen by it (BEP 42).
    External(IpAddr),
    /// Whether others can reach us without our asking first. If they cannot, we say so (BEP 43).
    Reachable(bool),
    /// The machine's own addresses have changed (another network, a VPN): what is known of who
    /// answers may be out of date.
    NetworkChanged,
    /// Ask around which torrents there are (BEP 51), or do so no longer. [`Output::Crawled`] tells of them.
    /// Said again it begins anew.
    Crawl(Option<CrawlConfig>),
    /// What [`Output::Crawled`] told of has been looked at.
    Resolved {
        /// Its info-hash.
        info_hash: NodeId,
    },
}

/// What to tell of us when announcing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announce {
    /// The port where peers reach us; `None` for the one datagrams come from (BEP 5's `implied_port`).
    pub port: Option<u16>,
    /// We have all of it (BEP 33).
    pub seed: bool,
}

/// What a single search is for.
#[derive(Clone, Debug)]
pub enum Goal {
    /// Nodes near a name.
    Nodes(NodeId),
    /// Peers of a torrent.
    Peers(NodeId),
    /// How many have a torrent (BEP 33).
    Scrape(NodeId),
    /// An item under the hash of what it is (BEP 44).
    Immutable(NodeId),
    /// The newest item under a public key (BEP 44).
    Mutable {
        /// The key.
        key: [u8; 32],
        /// Which of several.
        salt: Bytes,
    },
    /// Store an item; a mutable one is signed already (BEP 44).
    Put {
        /// What.
        item: Item,
        /// Only where what is there has this number.
        cas: Option<i64>,
    },
    /// Torrents that nodes near a name know of (BEP 51).
    Samples(NodeId),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a message.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What.
        message: Message,
    },
    /// Peers of a [`Want`](Input::Want)ed torrent, each once a search.
    Peers {
        /// Which.
        info_hash: NodeId,
        /// Where they listen.
        peers: Vec<SocketAddr>,
    },
    /// Something that a search was for.
    Found {
        /// Which search.
        search: SearchId,
        /// What.
        what: Find,
    },
    /// A search has ended.
    Done {
        /// Which.
        search: SearchId,
        /// What it took.
        cost: Cost,
    },
    /// Nobody is known (any more): look up the bootstrap names, and tell [`Contacts`](Input::Contacts).
    NeedContacts,
    /// Two nodes know of a torrent, which are not in one network: its name is to be found out. Answered by
    /// [`Input::Resolved`]; there are never more open than [`CrawlConfig::resolving`] says.
    Crawled {
        /// Its info-hash: that of v1, or the first 20 bytes of that of v2.
        info_hash: NodeId,
    },
    /// A node says where it sees us. One node's word, though one that we asked.
    External {
        /// Who says so.
        by: SocketAddr,
        /// What.
        addr: SocketAddr,
    },
}

/// Something that a search was for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Find {
    /// The nodes nearest to the name that answered, nearest first; once, at the end.
    Nodes(Vec<Node>),
    /// Peers.
    Peers(Vec<SocketAddr>),
    /// Who has a torrent and who fetches it, from all nodes asked; once, at the end.
    Scrape {
        /// Who has all of it.
        seeds: Box<Bloom>,
        /// Who has not.
        peers: Box<Bloom>,
    },
    /// An item whose hash or signature is right. Of a mutable one newer versions may follow.
    Item(Item),
    /// Where an item was stored; once, at the end.
    Stored {
        /// On how many nodes.
        nodes: usize,
        /// How many refused because what is there is newer or not what was said.
        outdated: usize,
    },
    /// What a node knows of.
    Samples {
        /// Which node.
        node: Node,
        /// What.
        samples: Samples,
    },
}

/// What a search took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Questions asked.
    pub asked: u32,
    /// Of which were answered.
    pub answered: u32,
    /// From the first question to the last answer that mattered.
    pub took: std::time::Duration,
}
