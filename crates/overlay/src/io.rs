//! What the overlay is told and what it asks for.

use crate::id::NodeId;
use crate::mail::io as mail;
use crate::records::{Change, Record};
use crate::wire::Message;
use althing_base::UnixTime;
use althing_base::hash::Sha1Digest;
use std::net::SocketAddr;

pub use crate::search::hit::{Hit, Page, What};

/// A link, by a number that its driver gives and never gives again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// What a user looks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Find {
    /// By which the question is known, here and wherever it comes along: a number that nobody can guess.
    pub id: u64,
    /// Words that are all wanted; those beyond
    /// [`QUERY_WORDS_MAX`](crate::search::limits::QUERY_WORDS_MAX) are not looked at.
    pub words: String,
    /// After so many different answers it is not asked any further.
    pub wanted: u8,
    /// Who is asked.
    pub via: Via,
    /// What kind of thing is looked for.
    pub what: What,
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Via {
    /// Whoever is likely to know at the least cost, as neighbours' indexes say; then the others.
    #[default]
    Auto,
    /// Neighbours, and on through them.
    Walk,
    /// Those whom the DHT names for the rarest of the words.
    Dht,
    /// Those who index for us; neighbours only if nobody does.
    Super,
}

/// What a question has cost, as far as who asks can know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Messages: those that it was allowed to cause wherever it went, which is the most that it can have caused, and
    /// the answers that came here. What the DHT does for it is not among them.
    pub messages: u64,
    /// Bytes that were said and heard on links of ours, without what a link adds.
    pub bytes: u64,
    /// Peers that were asked by us; they have asked others.
    pub peers: u32,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// A link is made, and both know each other's key.
    LinkUp {
        /// It.
        link: LinkId,
        /// Who is at its other end.
        node: NodeId,
        /// Where; if we called, the address that was called.
        addr: SocketAddr,
        /// We called.
        outgoing: bool,
    },
    /// A link is gone, whoever ended it. One that [`Output::Close`] named is gone already.
    LinkDown {
        /// It.
        link: LinkId,
    },
    /// The peer has said something.
    Message {
        /// On which link.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// What came over a link was no message, see [`ParseError`](crate::wire::ParseError).
    Garbage {
        /// On which link.
        link: LinkId,
    },
    /// Nobody answered there, or nobody of this network.
    DialFailed {
        /// The address of [`Output::Dial`].
        addr: SocketAddr,
    },
    /// Who is at the meeting place, as the DHT, trackers and others say. Most may be gone.
    Contacts(Vec<SocketAddr>),
    /// The user has something to say.
    Publish(Box<Record>),
    /// There is something here that others may find, by its words: a listing of what its author has. One
    /// that was withdrawn is offered no longer.
    Offer(Box<Record>),
    /// The user looks for something. Answered by [`Output::Found`], any number of times, and
    /// [`Output::Searched`].
    Find(Box<Find>),
    /// The user does not look for it any longer.
    StopFinding {
        /// What.
        id: u64,
    },
    /// What the index on disk has found: the answer to [`Output::Consult`].
    Consulted {
        /// Its number.
        ask: u64,
        /// What answers it. Those that do not [show](crate::search::hit::shows) all words are let go.
        hits: Vec<Hit>,
    },
    /// Who is at a key in the DHT: an answer to [`Output::FindTerm`]. There may be several; the first that
    /// is empty says that there are no more.
    TermFound {
        /// The question's.
        id: u64,
        /// The key.
        key: Sha1Digest,
        /// Where they say that they can be called. Any of them may be somebody else, or nobody.
        addrs: Vec<SocketAddr>,
    },
    /// Something has become of mail.
    Mail(Box<mail::Told>),
    /// What the clock says. It is told before the first record is, and each minute or so.
    Clock(UnixTime),
    /// On which port others can call; none if they cannot.
    Listening(Option<u16>),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Say something.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Make a link. Answered by [`Input::LinkUp`] or [`Input::DialFailed`].
    Dial {
        /// Where.
        addr: SocketAddr,
        /// Who should be there, if that is known.
        node: Option<NodeId>,
    },
    /// End a link, when what was said on it is sent.
    Close {
        /// It.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Ask the meeting place who is there: the DHT, trackers, neighbours. Answered by
    /// [`Input::Contacts`].
    NeedContacts,
    /// What has changed on the shelf: for the disk, the index, and who watches.
    Shelf(Box<Change>),
    /// Something that was looked for is found. Its author has signed it; what else he is worth is for the
    /// user to say. Several may have the same.
    Found {
        /// The question's.
        id: u64,
        /// What.
        hit: Box<Hit>,
    },
    /// Nobody is asked any more; answers that are under way may still come.
    Searched {
        /// The question's.
        id: u64,
        /// What it has cost.
        cost: Cost,
    },
    /// Look into the index on disk for what somebody else asks. Answered by [`Input::Consulted`], within a
    /// second ([`CONSULT_WAIT`](crate::search::limits::CONSULT_WAIT)) or in vain.
    Consult {
        /// By which the answer is known.
        ask: u64,
        /// Words that are all wanted.
        words: Vec<String>,
        /// What kind of thing.
        what: What,
        /// So many are enough.
        wanted: u8,
    },
    /// Ask the DHT who is at this key (BEP 5's `get_peers`). Answered by [`Input::TermFound`].
    FindTerm {
        /// The question's.
        id: u64,
        /// The key of a word: [`Word::key`](crate::search::words::Word::key).
        key: Sha1Digest,
    },
    /// Let us be found in the DHT at these keys and no others (BEP 5's `announce_peer`, slowly), from now on
    /// until the next of these.
    AnnounceTerms(Vec<Sha1Digest>),
    /// Something is to be done about mail.
    Mail(Box<mail::Wish>),
}

/// Why a link is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// It leads to ourselves.
    Myself,
    /// There is another link to the same peer.
    Duplicate,
    /// There is no place for another neighbour.
    Full,
    /// The peer has no place for us.
    Refused,
    /// It gave way to somebody who had no neighbour at all.
    Displaced,
    /// The peer wants to be a neighbour no longer.
    Disconnected,
    /// It was made to compare records, and that is done.
    Visited,
    /// The peer did not say who it is, or not what it wants.
    Idle,
    /// The peer does not answer.
    Silent,
    /// The peer said what must not be said, or not then.
    Protocol,
    /// The peer says too much.
    Flood,
    /// The peer has been of harm.
    Banned,
}
