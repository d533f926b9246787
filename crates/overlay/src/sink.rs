//! Where the parts of the machine put what is to be done, and what the other parts must know.

use crate::io::{CloseReason, LinkId, Output};
use crate::search::Role;
use crate::wire::Message;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What the machine hands out, and what has become of links.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) changes: Vec<Change>,
    pub(crate) wishes: Vec<Wish>,
}

/// What a part wants of links that are not there, or not for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// Somebody at this address is to be asked something: answered by [`Change::Sought`].
    Seek(SocketAddr),
    /// He has been asked.
    LetGo(LinkId),
}

/// What has become of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Its peer is a neighbour now.
    Up {
        link: LinkId,
        /// We asked.
        ours: bool,
    },
    /// We called to compare records only.
    Visit(LinkId),
    /// One indexes for the other now.
    Leans { link: LinkId, role: Role },
    /// Somebody who was to be asked something is there, or nobody is.
    Sought { addr: SocketAddr, link: Option<LinkId> },
    /// Its peer is silent, or has spoken again.
    Doubted { link: LinkId, is_doubted: bool },
    /// It is gone, or about to be closed.
    Down {
        link: LinkId,
        /// Nobody said so before: the peer is dead, as far as we know.
        died: bool,
        /// It was a neighbour's.
        active: bool,
    },
}

impl Sink {
    pub(crate) fn send(&mut self, link: LinkId, message: Message) {
        self.outputs.push_back(Output::Send { link, message });
    }

    /// Ends a link, be it a neighbour's (`active`) or not.
    pub(crate) fn close(&mut self, link: LinkId, active: bool, reason: CloseReason) {
        self.outputs.push_back(Output::Close { link, reason });
        let died = reason == CloseReason::Silent;
        self.changes.push(Change::Down { link, died, active });
    }
}
