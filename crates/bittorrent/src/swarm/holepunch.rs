//! Getting through address translation by a peer between (BEP 55).
//!
//! Who is behind a router that lets nobody in can still be met if both sides call each other at the same
//! time: each one's first packet opens its own router for the other's. A peer to which both are connected
//! tells them when, and where. We do all three parts: **between** two others, who must both be connected
//! to us and know the extension; **asking** for somebody whom peer exchange named and who could not be
//! called; and being **told** to call somebody.
//!
//! None of it has a timer, and none keeps anything while nobody needs it.

use super::Swarm;
use super::candidates::is_reachable;
use super::io::{ConnId, DisconnectReason, Output, Transport};
use super::limits::{
    HOLEPUNCH_COST, INTRODUCED_MAX, INTRODUCERS_MAX, PUNCHING_MAX, RENDEZVOUS_MAX,
    RENDEZVOUS_TIMEOUT,
};
use super::peer::Peer;
use super::pex::{Scope, may_be_named};
use crate::wire::{HolepunchMessage, HolepunchRefusal, Message, UT_HOLEPUNCH};
use althing_base::Instant;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Somebody was asked to bring us together with somebody.
#[derive(Clone, Copy, Debug)]
struct Asked {
    whom: ConnId,
    at: Instant,
}

/// Somebody who could bring us together with somebody.
#[derive(Clone, Copy, Debug)]
struct Introducer {
    conn: ConnId,
    /// It has been asked to, and is not again for as long as it is connected.
    asked: bool,
}

/// What a swarm remembers of holes.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// Who could bring us together with whoever is at an address, the one to be asked next last.
    introducers: BTreeMap<SocketAddr, Vec<Introducer>>,
    /// Who was asked to.
    asked: BTreeMap<SocketAddr, Asked>,
    /// Addresses that are being called through a hole.
    calling: BTreeSet<SocketAddr>,
}

impl Holes {
    /// A connection to `addr` stands: whether it came of a hole. It needs none any more.
    pub(super) fn is_through(&mut self, addr: SocketAddr) -> bool {
        self.introducers.remove(&addr);
        self.asked.remove(&addr);
        self.calling.remove(&addr)
    }

    /// Whether somebody was asked for an address, or it is being called through a hole.
    pub(super) fn are_made(&self, addr: SocketAddr) -> bool {
        self.asked.contains_key(&addr) || self.calling.contains(&addr)
    }

    /// Nobody is connected any more: nobody is between.
    pub(super) fn nobody_is_between(&mut self) {
        (self.introducers, self.asked) = (BTreeMap::new(), BTreeMap::new());
    }

    /// Takes out what `whom` was asked for, if it concerns the host of `addr`: the port may be another,
    /// because we know the one that the peer listens on, and who is between the one that it sends from.
    fn take_answered(&mut self, whom: ConnId, addr: SocketAddr) -> Option<SocketAddr> {
        let concerns = |(to, asked): &(&SocketAddr, &Asked)| {
            asked.whom == whom && to.ip().to_canonical() == addr.ip()
        };
        let to = self.asked.iter().find(concerns).map(|(to, _)| *to)?;
        self.asked.remove(&to).map(|_| to)
    }
}

impl Peer {
    /// Where the packets of a hole would have to go: where it sends from if that is uTP, and else where
    /// it says that it listens.
    fn meets_at(&self) -> Option<SocketAddr> {
        let addr = match self.transport {
            Transport::Utp => Some(self.addr),
            Transport::Tcp => self.listens_at,
        };
        addr.map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }
}

/// Two that are to call each other: the peer asked for, what it calls the extension, and where each
/// of them is to be called.
struct Meeting {
    other: ConnId,
    other_id: u8,
    other_at: SocketAddr,
    asker_at: SocketAddr,
}

impl Swarm {
    /// Whether the extension is in use here: not if the torrent is private (BEP 27).
    pub(super) fn makes_holes(&self) -> bool {
        self.config.utp && self.exchanges_peers()
    }

    /// `conn` named an address at which somebody knows the extension, as it does itself. If nobody was reached there before, it
    /// is asked for at once: the next attempt may be long in coming, and would come to nothing.
    pub(super) fn could_be_introduced(&mut self, now: Instant, conn: ConnId, addr: SocketAddr) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let full = self.holes.introducers.len() >= INTRODUCED_MAX;
        let knows = |p: &Peer| p.extensions.id(UT_HOLEPUNCH).is_some();
        let helps = self.makes_holes() && self.peers.get(&conn).is_some_and(knows);
        if !helps || self.candidates.source(addr).is_none() {
            return;
        }
        if full && !self.holes.introducers.contains_key(&addr) {
            let peers = &self.peers;
            let is_there = |one: &Introducer| peers.contains_key(&one.conn);
            self.holes.introducers.retain(|_, by| by.iter().any(is_there));
            if self.holes.introducers.len() >= INTRODUCED_MAX {
                return;
            }
        }
        let by = self.holes.introducers.entry(addr).or_default();
        if by.len() >= INTRODUCERS_MAX {
            by.retain(|one| self.peers.contains_key(&one.conn));
        }
        if by.len() >= INTRODUCERS_MAX || by.iter().any(|one| one.conn == conn) {
            return;
        }
        by.push(Introducer { conn, asked: false });
        // It need not be asked for more than we would call.
        let of_conn = self.holes.asked.values().filter(|asked| asked.whom == conn).count();
        if of_conn < PUNCHING_MAX && self.misses(addr) && !self.holes.asked.contains_key(&addr) {
            self.ask_for(now, addr);
        }
    }

    /// An application calls somebody whose address it has from others of its own: some of those that we are connected to
    /// may be connected to that one, too, whether peer exchange has said so or not, which takes a minute. Each call
    /// may ask them anew, for who is connected to whom may have changed.
    pub(super) fn may_be_introduced(&mut self, addr: SocketAddr) {
        if !self.makes_holes() || self.holes.asked.contains_key(&addr) {
            return;
        }
        let by = self.holes.introducers.remove(&addr).unwrap_or_default();
        let has_named = |conn: ConnId| by.iter().any(|one| one.conn == conn);
        let may_know = |conn: ConnId, peer: &Peer| {
            (peer.speaks.is_some() || has_named(conn)) && peer.extensions.id(UT_HOLEPUNCH).is_some()
        };
        let peers = self.peers.iter().filter(|(conn, peer)| may_know(**conn, peer));
        let mut conns: Vec<ConnId> = peers.map(|(conn, _)| *conn).collect();
        self.rng.shuffle(&mut conns);
        // Those that have named it are asked first, which are the last.
        conns.sort_by_key(|conn| has_named(*conn));
        let spare = conns.len().saturating_sub(INTRODUCERS_MAX);
        let by: Vec<_> =
            conns.into_iter().skip(spare).map(|conn| Introducer { conn, asked: false }).collect();
        if !by.is_empty() && self.holes.introducers.len() < INTRODUCED_MAX {
            self.holes.introducers.insert(addr, by);
        }
    }

    /// An application's call has come to nothing.
    pub(super) fn gives_up_hole(&mut self, addr: SocketAddr) {
        self.holes.introducers.remove(&addr);
    }

    /// Whether whoever is at an address is of use to us, was called in vain, and has not come by another
    /// way.
    fn misses(&self, addr: SocketAddr) -> bool {
        let is_it = |p: &Peer| p.listens_at == Some(addr) || p.addr == addr;
        self.candidates.was_called_in_vain(addr, self.is_complete())
            && !self.peers.values().any(is_it)
    }

    /// Whether somebody between could help if nobody is reached at an address; who calls it need not wait as
    /// long then.
    pub fn can_be_introduced(&self, addr: SocketAddr) -> bool {
        let by = self.holes.introducers.get(&addr);
        by.is_some_and(|by| by.iter().any(|one| !one.asked))
    }

    /// Nobody was reached at an address: somebody between may help.
    pub(super) fn not_reached(&mut self, now: Instant, addr: SocketAddr) {
        self.holes.calling.remove(&addr);
        self.ask_for(now, addr);
    }

    /// Asks the next one that could bring us together with whoever is at `addr`.
    fn ask_for(&mut self, now: Instant, addr: SocketAddr) {
        if !self.makes_holes() || !self.is_running() {
            return;
        }
        if self.holes.asked.len() >= RENDEZVOUS_MAX {
            self.holes.asked.retain(|_, asked| now.since(asked.at) < RENDEZVOUS_TIMEOUT);
            if self.holes.asked.len() >= RENDEZVOUS_MAX {
                return;
            }
        }
        let Some(by) = self.holes.introducers.get_mut(&addr) else { return };
        while let Some(next) = by.iter_mut().rfind(|one| !one.asked) {
            next.asked = true;
            let whom = next.conn;
            let known = self.peers.get(&whom).and_then(|p| p.extensions.id(UT_HOLEPUNCH));
            if let Some(id) = known {
                self.holes.asked.insert(addr, Asked { whom, at: now });
                let payload = HolepunchMessage::Rendezvous(addr).encode();
                self.send(now, whom, Message::Extended { id, payload });
                return;
            }
        }
    }

    pub(super) fn holepunch_message(
        &mut self,
        now: Instant,
        conn: ConnId,
        payload: &Bytes,
    ) -> Result<(), DisconnectReason> {
        let Ok(message) = HolepunchMessage::parse(payload) else {
            return self.overlook(now, conn, "unreadable hole-punch messages");
        };
        if !self.makes_holes() {
            return self.overlook(now, conn, "hole-punch messages");
        }
        match message {
            HolepunchMessage::Rendezvous(addr) => self.bring_together(now, conn, addr),
            HolepunchMessage::Connect(addr) => self.told_to_call(now, conn, addr),
            HolepunchMessage::Error { addr, .. } => {
                let Some(to) = self.holes.take_answered(conn, addr) else {
                    return self.overlook(now, conn, "hole-punch errors");
                };
                self.ask_for(now, addr);
                self.call_failed(now, to);
                Ok(())
            }
        }
    }

    /// Tells two peers to call each other, at the word of one of them.
    fn bring_together(
        &mut self,
        now: Instant,
        conn: ConnId,
        addr: SocketAddr,
    ) -> Result<(), DisconnectReason> {
        let Some(asker) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Some(id) = asker.extensions.id(UT_HOLEPUNCH) else {
            return self.overlook(now, conn, "rendezvous messages");
        };
        if !asker.punches.take(now, HOLEPUNCH_COST) {
            return self.overlook(now, conn, "rendezvous messages");
        }
        let answer = match self.meeting(conn, addr) {
            Err(why) => HolepunchMessage::Error { addr, why },
            Ok(Meeting { other, other_id, other_at, asker_at }) => {
                let Some(peer) = self.peers.get_mut(&other) else { return Ok(()) };
                // Many who ask for the same one are its burden: it is left alone then.
                if !peer.punches.take(now, HOLEPUNCH_COST) {
                    return Ok(());
                }
                let payload = HolepunchMessage::Connect(asker_at).encode();
                self.send(now, other, Message::Extended { id: other_id, payload });
                HolepunchMessage::Connect(other_at)
            }
        };
        self.send(now, conn, Message::Extended { id, payload: answer.encode() });
        Ok(())
    }

    /// Whom a peer asks for, if the two can be brought together.
    fn meeting(&self, conn: ConnId, addr: SocketAddr) -> Result<Meeting, HolepunchRefusal> {
        let asker = self.peers.get(&conn).ok_or(HolepunchRefusal::NoSuchPeer)?;
        let asker_at = asker.meets_at().ok_or(HolepunchRefusal::NoSuchPeer)?;
        let is_ours = asker.extensions.your_ip == Some(addr.ip())
            && self.config.listen_port == Some(addr.port());
        if is_ours || self.candidates.is_ourselves(addr) {
            return Err(HolepunchRefusal::NoSelf);
        }
        if !is_reachable(addr) {
            return Err(HolepunchRefusal::NoSuchPeer);
        }
        let is_there = |p: &Peer| {
            let at = SocketAddr::new(p.addr.ip().to_canonical(), p.addr.port());
            p.web.is_none() && (p.listens_at == Some(addr) || at == addr)
        };
        let other = self.peers.iter().find(|(other, p)| **other != conn && is_there(p));
        let (other, peer) = other.ok_or(HolepunchRefusal::NotConnected)?;
        let other_id = peer.extensions.id(UT_HOLEPUNCH).ok_or(HolepunchRefusal::NoSupport)?;
        let other_at = peer.meets_at().ok_or(HolepunchRefusal::NoSupport)?;
        // One that is near us is out of reach for one that is not, and of IPv4 for one of IPv6.
        let (a, b) = (asker_at.ip(), other_at.ip());
        if !may_be_named(a, b) || !may_be_named(b, a) || a.is_ipv4() != b.is_ipv4() {
            return Err(HolepunchRefusal::NoSuchPeer);
        }
        Ok(Meeting { other: *other, other_id, other_at, asker_at })
    }

    /// A peer between says that somebody calls us, and is to be called: because we asked for it, or that
    /// one did.
    fn told_to_call(
        &mut self,
        now: Instant,
        conn: ConnId,
        addr: SocketAddr,
    ) -> Result<(), DisconnectReason> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let by = peer.addr.ip().to_canonical();
        let asked = self.holes.take_answered(conn, addr);
        // What we have asked for costs nothing; else anybody could send us to anywhere.
        if asked.is_none() && !peer.punches.take(now, HOLEPUNCH_COST)
            || !may_be_named(addr.ip(), by)
        {
            return self.overlook(now, conn, "holes to be made");
        }
        let connecting = self.candidates.connecting();
        let has_room = self.connections() + connecting < self.config.connections_max;
        let crowded = self.holes.calling.len() >= PUNCHING_MAX || !has_room;
        if crowded || !self.is_running() {
            if let Some(to) = asked {
                self.call_failed(now, to);
            }
            return Ok(());
        }
        let is_global = Scope::of(addr.ip()) == Scope::Global;
        self.candidates.add_named(now, addr, by, is_global, false);
        if self.candidates.begin(addr) {
            self.holes.calling.insert(addr);
            self.outputs.push_back(Output::Punch { addr });
        }
        if let Some(to) = asked {
            self.call_goes_through(now, to, addr);
        }
        Ok(())
    }
}
