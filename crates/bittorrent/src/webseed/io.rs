//! What the web seeds of a torrent are told and what they ask for.

use super::answer::Head;
use crate::metainfo::Metainfo;
use crate::swarm::ConnId;
use crate::types::{Bitfield, BlockRef, PieceIndex};
use std::ops::Range;
use std::sync::Arc;

/// A web seed, by its place in the torrent's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebSeedId(pub u16);

/// One request to a server; a number is never used twice within a torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FetchId(pub u64);

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// There is something to fetch; said again when the torrent goes on after a [`Input::Stop`].
    Start {
        /// What the torrent is.
        metainfo: Arc<Metainfo>,
    },
    /// There is nothing to fetch any more: the torrent rests, or is complete.
    Stop,
    /// The swarm ordered these blocks over a connection.
    Requests {
        /// Which connection.
        conn: ConnId,
        /// What, in the order in which it is wanted.
        blocks: Vec<BlockRef>,
    },
    /// The swarm takes an order back; unless the block comes first, [`Output::Reject`] answers.
    Cancel {
        /// Which connection.
        conn: ConnId,
        /// What.
        block: BlockRef,
    },
    /// The swarm was handed a block that came over a connection.
    Arrived {
        /// Which connection.
        conn: ConnId,
        /// What.
        block: BlockRef,
    },
    /// The swarm wants a connection ended.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// What this server sent of a piece is not what the torrent says.
    Lied {
        /// Who.
        seed: WebSeedId,
        /// Where.
        piece: PieceIndex,
    },
    /// The head of the answer to a [`Output::Fetch`] is here, redirects followed.
    Head {
        /// Which.
        fetch: FetchId,
        /// What it says.
        head: Head,
    },
    /// All that [`Output::Take`] named has been handed on.
    Delivered {
        /// Which.
        fetch: FetchId,
    },
    /// A fetch came to nothing: no answer, or a body that ended too soon or was too slow.
    Failed {
        /// Which.
        fetch: FetchId,
        /// Why, as a user should read it.
        words: String,
    },
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Tell the swarm of a new connection.
    Open {
        /// Its name: such as no other connection of the torrent has.
        conn: ConnId,
        /// To whom.
        seed: WebSeedId,
        /// What can be had over it.
        have: Bitfield,
    },
    /// Tell the swarm that a connection is gone; the driver ends what goes on for it.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// Tell the swarm that a block that it took back will not come.
    Reject {
        /// Which connection.
        conn: ConnId,
        /// What.
        block: BlockRef,
    },
    /// The driver cuts the bytes that it gets from now on for this connection into these blocks.
    Expect {
        /// Which connection.
        conn: ConnId,
        /// In this order.
        blocks: Vec<BlockRef>,
    },
    /// The blocks of [`Output::Expect`] that have not come are not wanted any more.
    Forget {
        /// Which connection.
        conn: ConnId,
    },
    /// The next bytes of the connection's blocks are zeros: padding (BEP 47).
    Zeros {
        /// Which connection.
        conn: ConnId,
        /// How many.
        len: u64,
    },
    /// Ask a server for part of a file; answer [`Input::Head`] or [`Input::Failed`]. Of one
    /// connection there is one at a time.
    Fetch {
        /// To be named in the answers.
        fetch: FetchId,
        /// For which connection.
        conn: ConnId,
        /// The file's URL.
        url: String,
        /// Which bytes of it.
        range: Range<u64>,
    },
    /// Of the body of an answer pass over `skip` bytes, then add `len` to the connection's blocks,
    /// and answer [`Input::Delivered`]. Said again for a body that goes on.
    Take {
        /// Which.
        fetch: FetchId,
        /// For which connection.
        conn: ConnId,
        /// Bytes to throw away first.
        skip: u64,
        /// Bytes to hand on then.
        len: u64,
    },
    /// Hang up on a fetch; it is not answered any more. The connection lives on.
    Abort {
        /// Which.
        fetch: FetchId,
        /// Whose.
        conn: ConnId,
    },
}

/// How it stands with a server, for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerStatus<'a> {
    /// Its place in the list.
    pub seed: WebSeedId,
    /// Its URL.
    pub url: &'a str,
    /// Connections to it.
    pub connections: usize,
    /// It will not be asked again.
    pub is_gone: bool,
    /// What it said last that was of no use, or why it could not be asked.
    pub message: Option<&'a str>,
}
