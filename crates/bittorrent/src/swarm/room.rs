//! Who gives way when all places of a torrent are taken.
//!
//! A place costs a stranger nothing, and one that has a network of addresses can take them all: by
//! saying that it is interested, or that it has everything, and nothing more. So a newcomer gets the
//! place of a peer that neither gives nor takes, or has not for long; else one of those of the network
//! that has most of them, if its own has fewer. Peers that blocks come from or go to stay. (Bitcoin
//! Core's inbound connections give way in the same manner, by network of their addresses.)

use super::Swarm;
use super::io::ConnId;
use super::limits::{IDLE_GRACE, PROTECTED_FOR, READER_BYTES, TURNOVER_AFTER};
use super::peer::Peer;
use althing_base::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is likely to be in one hand: an IPv4 /16 or an IPv6 /32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Network {
    V4([u8; 2]),
    V6([u8; 4]),
}

impl Network {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [first, second, ..] = ip.octets();
                Network::V4([first, second])
            }
            IpAddr::V6(ip) => {
                let [one, two, three, four, ..] = ip.octets();
                Network::V6([one, two, three, four])
            }
        }
    }
}

impl Peer {
    /// When a block last came from it or went to it; when it connected, if none ever did.
    fn exchanged_at(&self) -> Instant {
        let came =
            if self.download.total_bytes() > 0 { self.last_block_at } else { self.connected_at };
        let went =
            if self.upload.total_bytes() > 0 { self.last_sent_block_at } else { self.connected_at };
        came.max(went)
    }

    /// Whether it gives or takes. What one that is doubted gives does not count, nor do the few blocks
    /// that it may have while it is choked, or those that only its socket took.
    fn is_exchanging(&self, now: Instant, is_doubted: bool) -> bool {
        let took = self.upload.total_bytes();
        let takes = took >= READER_BYTES || took > 0 && !self.choked;
        let gives = self.download.total_bytes() > 0 && !is_doubted;
        let ever = gives || takes && self.slot_wasted_at.is_none();
        ever && now.since(self.exchanged_at()) < PROTECTED_FOR
    }
}

/// Who would find a place. See [`Swarm::gives_way`].
pub(super) enum Room {
    ForAnybody,
    /// For one whose network has at least two places fewer than the one with most of those that may go.
    ForFewer {
        places: BTreeMap<Network, usize>,
        most: usize,
    },
}

impl Room {
    pub(super) fn is_for(&self, ip: IpAddr) -> bool {
        match self {
            Room::ForAnybody => true,
            Room::ForFewer { places, most } => {
                // With one place less there still are as many as the newcomer's then.
                let own = places.get(&Network::of(ip)).copied().unwrap_or(0);
                *most >= own + 2
            }
        }
    }
}

impl Swarm {
    /// Who would find a place now, all being taken.
    pub(super) fn room(&self, now: Instant) -> Room {
        if self.makes_room_for_anybody(now).is_some() {
            return Room::ForAnybody;
        }
        let places = self.places();
        let peers = self.peers.values().filter(|p| p.web.is_none() && !self.is_exchanging(now, p));
        let most = peers.filter_map(|p| places.get(&Network::of(p.addr.ip()))).max();
        Room::ForFewer { most: most.copied().unwrap_or(0), places }
    }

    /// Whether blocks come from a peer that may be right, or go to it.
    fn is_exchanging(&self, now: Instant, peer: &Peer) -> bool {
        peer.is_exchanging(now, self.is_doubted(now, peer))
    }

    /// How many places each network has.
    fn places(&self) -> BTreeMap<Network, usize> {
        let mut places: BTreeMap<Network, usize> = BTreeMap::new();
        for peer in self.peers.values().filter(|p| p.web.is_none()) {
            *places.entry(Network::of(peer.addr.ip())).or_default() += 1;
        }
        places
    }

    /// Who has been of no use for so long that anybody may have its place.
    fn makes_room_for_anybody(&self, now: Instant) -> Option<ConnId> {
        let peers = || self.peers.iter().filter(|(_, p)| p.web.is_none() && p.speaks.is_none());
        let is_idle = |p: &Peer| {
            !p.interesting && !p.interested_in_us && now.since(p.connected_at) > IDLE_GRACE
        };
        if let Some((idle, _)) = peers().find(|(_, p)| is_idle(p)) {
            return Some(*idle);
        }
        let (oldest, p) = peers().min_by_key(|(_, p)| p.exchanged_at())?;
        (now.since(p.exchanged_at()) > TURNOVER_AFTER).then_some(*oldest)
    }

    /// Who gives way to a newcomer from `network`, if anybody does; `None` stands for a network that
    /// has no place yet.
    pub(super) fn gives_way(&self, now: Instant, network: Option<Network>) -> Option<ConnId> {
        if let Some(idle) = self.makes_room_for_anybody(now) {
            return Some(idle);
        }
        let places = self.places();
        let of = |network: Network| places.get(&network).copied().unwrap_or(0);
        // With one place less it still has as many as the newcomer's then.
        let enough = network.map_or(0, of) + 2;
        self.peers
            .iter()
            .filter(|(_, p)| p.web.is_none() && p.speaks.is_none() && !self.is_exchanging(now, p))
            .map(|(conn, p)| (of(Network::of(p.addr.ip())), p.connected_at, *conn))
            .filter(|(places, ..)| *places >= enough)
            // The youngest: who was there first has more to lose.
            .max()
            .map(|(.., conn)| conn)
    }
}
