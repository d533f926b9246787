//! Peers that are called to be asked something and let go again: those whom the DHT names for a word.
//!
//! Whoever is found so takes nobody's place, and is not remembered: anybody can have himself named there.

use super::calls::Purpose;
use super::limits::{SEEKS_MAX, SEEKS_PER_S};
use super::{Membership, Stage};
use crate::io::{CloseReason, LinkId};
use crate::sink::{Change, Sink};
use crate::wire::is_sound;
use althing_base::{Instant, TokenBucket};
use std::net::SocketAddr;

/// How many are called so, and how often.
#[derive(Debug)]
pub(super) struct Seeks {
    rate: TokenBucket,
}

impl Seeks {
    pub(super) fn new(now: Instant) -> Self {
        Seeks { rate: TokenBucket::new(now, SEEKS_PER_S.0, SEEKS_PER_S.1) }
    }
}

impl Membership {
    /// Somebody at this address is to be asked something. What comes of it is said by
    /// [`Change::Sought`].
    pub(crate) fn seek(&mut self, now: Instant, addr: SocketAddr, sink: &mut Sink) {
        let is_there = |peer: &&super::Peer| {
            peer.hello.is_some() && peer.contact().is_some_and(|contact| contact.addr == addr)
        };
        if let Some(peer) = self.peers.iter().find(is_there) {
            sink.changes.push(Change::Sought { addr, link: Some(peer.link) });
            return;
        }
        let under_way = self.calls.count(Purpose::Seek)
            + self.peers.iter().filter(|peer| peer.stage == Stage::Seeking).count();
        let is_possible = is_sound(&addr)
            && !self.calls.is_calling(addr)
            && under_way < SEEKS_MAX
            && self.seeks.rate.take(now, 1);
        if is_possible {
            self.calls.begin(now, addr, None, Purpose::Seek, sink);
        } else {
            sink.changes.push(Change::Sought { addr, link: None });
        }
    }

    /// Who was called to be asked has been asked.
    pub(crate) fn let_go(&mut self, now: Instant, link: LinkId, sink: &mut Sink) {
        if let Some(at) = self.position(link)
            && self.peers[at].stage == Stage::Seeking
        {
            self.close(now, at, CloseReason::Visited, sink);
        }
    }
}
