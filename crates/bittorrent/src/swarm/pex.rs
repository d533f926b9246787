//! Peer exchange: telling connected peers about each other, and taking in whom they name (BEP 11).
//!
//! Whoever can be named gets a number when it is first told of, in ascending order; each peer has been
//! told of all numbers below its own mark, and of all departures below another. So a message is
//! what lies between the marks, and nothing is kept for each pair of peers. Messages go out in the
//! choker's rounds: peer exchange has no timer.

use super::Swarm;
use super::io::{ConnId, Direction, DisconnectReason, PeerSource, Transport};
use super::limits::{
    PEX_CONTACTS_MAX, PEX_DEPARTURES_MAX, PEX_EARLY_AFTER, PEX_EARLY_MAX, PEX_INTERVAL,
};
use super::peer::Peer;
use crate::wire::{Message, PexFlags, PexMessage, PexPeer, UT_HOLEPUNCH, UT_PEX};
use althing_base::Instant;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Who left after having been told of.
#[derive(Clone, Copy, Debug)]
struct Departure {
    number: u64,
    /// The number under which it had been told of.
    came: u64,
    addr: SocketAddr,
}

/// What a swarm remembers to tell peers about each other.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The next number, of arrivals and departures alike.
    next: u64,
    departures: VecDeque<Departure>,
}

impl Exchange {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// What peer exchange knows of one connection.
#[derive(Debug, Default)]
pub(super) struct PexState {
    /// The number under which others are told of it.
    number: Option<u64>,
    /// It has been told of arrivals up to this number.
    arrivals: u64,
    /// It has been told of departures up to this number.
    departures: u64,
    said_at: Option<Instant>,
    heard_at: Option<Instant>,
    /// How often it has spoken too soon, less how often it kept the pause.
    early: u8,
}

impl PexState {
    /// A message came; false if they have become a flood.
    fn heard(&mut self, now: Instant) -> bool {
        let before = self.heard_at.replace(now);
        match before {
            Some(before) if now.since(before) < PEX_EARLY_AFTER => self.early += 1,
            _ => self.early = self.early.saturating_sub(1),
        }
        self.early <= PEX_EARLY_MAX
    }
}

/// How far an address can be heard of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Scope {
    /// On one machine.
    Machine,
    /// In one network.
    Network,
    /// Everywhere.
    Global,
}

impl Scope {
    pub(super) fn of(ip: IpAddr) -> Scope {
        match ip.to_canonical() {
            ip if ip.is_loopback() => Scope::Machine,
            IpAddr::V4(ip) => {
                // RFC 6598: between a provider and its customers.
                let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
                let local = ip.is_private() || ip.is_link_local() || shared;
                if local { Scope::Network } else { Scope::Global }
            }
            // RFC 4291: what is global is in 2000::/3.
            IpAddr::V6(ip) if ip.segments()[0] & 0xe000 == 0x2000 => Scope::Global,
            IpAddr::V6(_) => Scope::Network,
        }
    }
}

/// Whether an address may be named to, or by, a peer at `peer`: never one that cannot be reached from
/// there.
pub(super) fn may_be_named(addr: IpAddr, peer: IpAddr) -> bool {
    Scope::of(addr) >= Scope::of(peer)
}

/// What others are told of a peer.
fn flags_of(peer: &Peer) -> PexFlags {
    let seed = peer.is_seed() || peer.extensions.upload_only == Some(true);
    PexFlags::default()
        .with(PexFlags::PREFERS_ENCRYPTION, peer.extensions.prefers_encryption == Some(true))
        .with(PexFlags::SEED, seed)
        .with(PexFlags::UTP, peer.transport == Transport::Utp)
        .with(PexFlags::HOLEPUNCH, peer.extensions.id(UT_HOLEPUNCH).is_some())
        .with(PexFlags::OUTGOING, peer.direction == Direction::Outgoing && !peer.punched)
}

impl Swarm {
    /// Whether peers of this torrent may be told of each other (BEP 27: not if it is private).
    pub(super) fn exchanges_peers(&self) -> bool {
        self.config.pex && !self.metainfo.as_ref().is_some_and(|m| m.is_private())
    }

    /// Tells every peer whose minute is over who has come and gone.
    pub(super) fn exchange_peers(&mut self, now: Instant) {
        if !self.exchanges_peers() {
            return;
        }
        let due: Vec<(ConnId, u8)> = self
            .peers
            .iter()
            .filter(|(_, p)| p.pex.said_at.is_none_or(|at| now.since(at) >= PEX_INTERVAL))
            .filter_map(|(conn, p)| Some((*conn, p.extensions.id(UT_PEX)?)))
            .collect();
        if due.is_empty() {
            return;
        }
        for peer in self.peers.values_mut() {
            if peer.pex.number.is_none() && peer.listens_at.is_some() && peer.web.is_none() {
                peer.pex.number = Some(self.exchange.number());
            }
        }
        for (conn, id) in due {
            let message = self.news_for(conn);
            if !message.is_empty() {
                if let Some(peer) = self.peers.get_mut(&conn) {
                    peer.pex.said_at = Some(now);
                }
                self.send(now, conn, Message::Extended { id, payload: message.encode() });
            }
        }
    }

    /// What a peer has not been told yet; it counts as told.
    fn news_for(&mut self, conn: ConnId) -> PexMessage {
        let Some(peer) = self.peers.get(&conn) else { return PexMessage::default() };
        let (told, told_gone) = (peer.pex.arrivals, peer.pex.departures);
        let (ip, is_seed, first) = (peer.addr.ip(), peer.is_seed(), peer.pex.said_at.is_none());
        let mut new: Vec<(u64, PexPeer, bool)> = self
            .peers
            .iter()
            .filter(|(other, _)| **other != conn)
            .filter_map(|(_, p)| {
                let number = p.pex.number.filter(|number| *number > told)?;
                let addr = p.listens_at?;
                // Two seeds are of no use to each other.
                let fits = may_be_named(addr.ip(), ip) && !(is_seed && p.is_seed());
                Some((number, PexPeer { addr, flags: flags_of(p) }, fits))
            })
            .collect();
        new.sort_by_key(|(number, ..)| *number);
        let mut message = PexMessage::default();
        let (mut arrivals, mut departures) = (told, told_gone);
        for (number, contact, fits) in new {
            if message.added.len() == PEX_CONTACTS_MAX {
                break;
            }
            arrivals = number;
            if fits {
                message.added.push(contact);
            }
        }
        for gone in self.exchange.departures.iter().filter(|gone| gone.number > told_gone) {
            if message.dropped.len() == PEX_CONTACTS_MAX {
                break;
            }
            departures = gone.number;
            let is_back = || self.peers.values().any(|p| p.listens_at == Some(gone.addr));
            if !first && gone.came <= told && may_be_named(gone.addr.ip(), ip) && !is_back() {
                message.dropped.push(gone.addr);
            }
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            (peer.pex.arrivals, peer.pex.departures) = (arrivals, departures);
        }
        message
    }

    /// A connection is gone: who was told of it will be told that.
    pub(super) fn exchange_departure(&mut self, peer: &Peer) {
        if self.peers.is_empty() {
            self.exchange.departures = VecDeque::new();
            return;
        }
        let (Some(came), Some(addr)) = (peer.pex.number, peer.listens_at) else { return };
        if self.exchange.departures.len() >= PEX_DEPARTURES_MAX {
            self.exchange.departures.pop_front();
        }
        let number = self.exchange.number();
        self.exchange.departures.push_back(Departure { number, came, addr });
    }

    /// A peer names others. Whom it has lost sight of may be there all the same, so that
    /// `dropped` changes nothing.
    pub(super) fn pex_message(
        &mut self,
        now: Instant,
        conn: ConnId,
        payload: &[u8],
    ) -> Result<(), DisconnectReason> {
        if !self.exchanges_peers() {
            return self.overlook(now, conn, "peer exchange messages");
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if !peer.pex.heard(now) {
            return Err(DisconnectReason::Flood("peer exchange messages"));
        }
        let by = peer.addr.ip().to_canonical();
        let message = PexMessage::parse(payload).map_err(|_| {
            DisconnectReason::ProtocolViolation("an unreadable peer exchange message")
        })?;
        self.candidates.forget_dead_of(now, by);
        let mut found = Vec::new();
        for contact in message.added {
            let ip = contact.addr.ip();
            if may_be_named(ip, by) {
                let is_global = Scope::of(ip) == Scope::Global;
                let is_seed = contact.flags.has(PexFlags::SEED);
                self.candidates.add_named(now, contact.addr, by, is_global, is_seed);
                found.push(contact.addr);
                if contact.flags.has(PexFlags::HOLEPUNCH) {
                    self.could_be_introduced(now, conn, contact.addr);
                }
            }
        }
        self.found_for_application(found);
        self.connect_more(now);
        Ok(())
    }

    /// The torrent has turned out to be private: whom peers, the DHT or our own network named is
    /// forgotten (BEP 27).
    pub(super) fn forget_exchanged(&mut self, now: Instant) {
        let named: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(_, p)| {
                let source = p.listens_at.and_then(|addr| self.candidates.source(addr));
                source.is_some_and(PeerSource::is_public)
            })
            .map(|(conn, _)| *conn)
            .collect();
        for conn in named {
            self.drop_peer(now, conn, DisconnectReason::PrivateTorrent);
        }
        self.candidates.forget_public();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_named_what_it_cannot_reach() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let ordered = [
            vec!["127.0.0.1", "::1", "::ffff:127.0.0.1"],
            vec!["192.168.1.1", "10.0.0.1", "169.254.1.1", "100.64.0.1", "fe80::1", "fd77::1"],
            vec!["8.8.8.8", "100.128.0.1", "2a00::1"],
        ];
        for (far, addrs) in ordered.iter().enumerate() {
            for (near, peers) in ordered.iter().enumerate() {
                for (addr, peer) in addrs.iter().flat_map(|a| peers.iter().map(move |p| (a, p))) {
                    assert_eq!(may_be_named(ip(addr), ip(peer)), far >= near, "{addr} to {peer}");
                }
            }
        }
    }
}
