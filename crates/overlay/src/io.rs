//! What the overlay is told and what it asks for.

use crate::id::NodeId;
use crate::records::{Change, Record};
use crate::wire::Message;
use althing_base::UnixTime;
use std::net::SocketAddr;

/// A link, by a number that its driver gives and never gives again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

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
