//! An extension of an application's own (BEP 10), which a swarm only carries: whoever drives it says what
//! is to be said, and hears what came.
//!
//! The torrent of such a swarm is a meeting place: what is exchanged is not its pieces. So peers that know
//! the extension stay though both have everything, nobody is called but whom the application names, and
//! it is told of every address that was found. Everything else is as in any swarm, so that
//! ordinary clients can be in it too.

use super::Swarm;
use super::io::{ApplicationEvent, ApplicationWish, ConnId, Direction, DisconnectReason, Output};
use super::limits::{
    APPLICATION_BURST, APPLICATION_BYTES_MAX, APPLICATION_PER_S, RENDEZVOUS_TIMEOUT,
};
use crate::wire::Message;
use althing_base::{Instant, TokenBucket};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Calls that the application has asked for, until it is known whether somebody is there who speaks its
/// extension.
#[derive(Debug, Default)]
pub(super) struct Calls {
    under_way: BTreeSet<SocketAddr>,
    /// Those of them that nobody answered, while somebody between brings us together with who is there (BEP
    /// 55): where the hole is, and since when.
    between: BTreeMap<SocketAddr, (SocketAddr, Instant)>,
}

impl Swarm {
    /// Whether the swarm is an application's.
    pub(super) fn is_carrier(&self) -> bool {
        self.config.application.is_some()
    }

    pub(super) fn application_wish(&mut self, now: Instant, wish: ApplicationWish) {
        if !self.is_carrier() {
            return;
        }
        match wish {
            ApplicationWish::Call { addr } => self.call_for_application(now, addr),
            ApplicationWish::Say { conn, payload } => self.say_for_application(now, conn, payload),
            ApplicationWish::Part { conn } => {
                if self.peers.get(&conn).is_some_and(|peer| peer.speaks.is_some()) {
                    self.drop_peer(now, conn, DisconnectReason::Parted);
                }
            }
            ApplicationWish::FindPeers => {
                if self.is_running() {
                    self.outputs.push_back(Output::FindPeers);
                }
            }
        }
    }

    fn call_for_application(&mut self, now: Instant, addr: SocketAddr) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        self.give_up_holes(now);
        self.candidates.add(now, addr, super::PeerSource::Manual);
        let is_free =
            self.connections() + self.candidates.connecting() < self.config.connections_max;
        let may = self.is_running() && (is_free || self.gives_way(now, None).is_some());
        if may && self.candidates.begin(addr) {
            self.calls.under_way.insert(addr);
            self.may_be_introduced(addr);
            self.outputs.push_back(Output::Connect { addr });
        } else {
            self.tell_application(ApplicationEvent::NotReached { addr });
        }
    }

    fn say_for_application(&mut self, now: Instant, conn: ConnId, payload: Bytes) {
        let Some(name) = self.config.application else { return };
        let Some(peer) = self.peers.get(&conn).filter(|peer| peer.speaks.is_some()) else { return };
        if let Some(id) = peer.extensions.id(name.as_bytes())
            && payload.len() <= APPLICATION_BYTES_MAX
        {
            self.send(now, conn, Message::Extended { id, payload });
        }
    }

    fn tell_application(&mut self, event: ApplicationEvent) {
        self.outputs.push_back(Output::Application(event));
    }

    /// Addresses have been found.
    pub(super) fn found_for_application(&mut self, peers: Vec<SocketAddr>) {
        if self.is_carrier() && !peers.is_empty() {
            self.tell_application(ApplicationEvent::Found { peers });
        }
    }

    /// A peer has said which extensions it knows.
    pub(super) fn meet_for_application(&mut self, now: Instant, conn: ConnId) {
        let Some(name) = self.config.application else { return };
        let Some(peer) = self.peers.get_mut(&conn).filter(|peer| peer.speaks.is_none()) else {
            return;
        };
        let (addr, direction, punched) = (peer.addr, peer.direction, peer.punched);
        if peer.extensions.id(name.as_bytes()).is_none() {
            self.not_met(direction, addr);
            return;
        }
        let bucket = TokenBucket::new(now, APPLICATION_PER_S, APPLICATION_BURST);
        peer.speaks = Some(Box::new(bucket));
        // Through a hole whoever is called may be the one who gets through; and then from another port.
        let hole = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let through = self.calls.between.iter().find(|(_, (at, _))| *at == hole);
        let addr = through.map_or(addr, |(to, _)| *to);
        let is_ours = direction == Direction::Outgoing || punched;
        let called = is_ours && self.calls.under_way.remove(&addr);
        if called {
            self.calls.between.remove(&addr);
        }
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        self.tell_application(ApplicationEvent::Met { conn, addr, direction, called });
    }

    /// Somebody else than was hoped for is there, or nobody.
    pub(super) fn not_met(&mut self, direction: Direction, addr: SocketAddr) {
        if self.is_carrier()
            && direction == Direction::Outgoing
            && self.calls.under_way.remove(&addr)
        {
            self.gives_up_hole(addr);
            self.tell_application(ApplicationEvent::NotReached { addr });
        }
    }

    /// Nobody was reached at an address. If it was called for the application and somebody between was asked
    /// for whoever is there, the wish stays.
    pub(super) fn call_failed(&mut self, now: Instant, addr: SocketAddr) {
        if !self.is_carrier() {
            return;
        }
        let through = self.calls.between.iter().find(|(_, (hole, _))| *hole == addr);
        let to = through.map_or(addr, |(to, _)| *to);
        if self.calls.under_way.contains(&to) && self.holes.are_made(to) {
            self.calls.between.entry(to).or_insert((to, now));
            return;
        }
        self.calls.between.remove(&to);
        self.not_met(Direction::Outgoing, to);
    }

    /// Somebody between says where whoever was called is to be called through a hole.
    pub(super) fn call_goes_through(&mut self, now: Instant, to: SocketAddr, hole: SocketAddr) {
        if !self.calls.under_way.contains(&to) {
            return;
        }
        if self.holes.are_made(hole) {
            self.calls.between.insert(to, (hole, now));
        } else {
            self.call_failed(now, to);
        }
    }

    /// Those between who have not answered do not answer any more.
    fn give_up_holes(&mut self, now: Instant) {
        let is_over = |since: &Instant| now.since(*since) >= RENDEZVOUS_TIMEOUT;
        let over = self.calls.between.iter().filter(|(_, (_, since))| is_over(since));
        for to in over.map(|(to, _)| *to).collect::<Vec<_>>() {
            self.calls.between.remove(&to);
            self.not_met(Direction::Outgoing, to);
        }
    }

    /// A peer has said something of the application's.
    pub(super) fn application_message(
        &mut self,
        now: Instant,
        conn: ConnId,
        payload: Bytes,
    ) -> Result<(), DisconnectReason> {
        let bucket = self.peers.get_mut(&conn).and_then(|peer| peer.speaks.as_mut());
        let Some(bucket) = bucket else {
            return self.overlook(now, conn, "an application's messages");
        };
        if payload.len() > APPLICATION_BYTES_MAX {
            return Err(DisconnectReason::ProtocolViolation("an application's message too long"));
        }
        // Each costs something, however short.
        if !bucket.take(now, 64 + payload.len() as u64) {
            return Err(DisconnectReason::Flood("an application's messages"));
        }
        self.tell_application(ApplicationEvent::Said { conn, payload });
        Ok(())
    }

    /// A connection is gone.
    pub(super) fn part_for_application(
        &mut self,
        conn: ConnId,
        speaks: bool,
        direction: Direction,
        addr: SocketAddr,
    ) {
        if speaks {
            self.tell_application(ApplicationEvent::Gone { conn });
        } else {
            self.not_met(direction, addr);
        }
    }
}
