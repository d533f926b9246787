//! Peers that announced themselves here (BEP 5), counted by Bloom filters (BEP 33) and sampled (BEP 51).

use crate::id::{NodeId, farthest, is_exempt};
use crate::limits::{SAMPLES_S, SAMPLES_SENT_MAX, STORED_PEER_S, STORED_PEERS_MAX};
use crate::manners::Manners;
use crate::sources::Sources;
use crate::wire::{Bloom, Samples};
use althing_base::{Instant, Rng};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Peers by torrent.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    manners: Manners,
    torrents: BTreeMap<NodeId, Vec<Peer>>,
    sources: Sources,
    sample: Vec<NodeId>,
    sample_until: Instant,
}

/// A peer in 24 bytes: a million may be kept.
#[derive(Clone, Debug)]
struct Peer {
    ip: [u8; 16],
    port: u16,
    seed: bool,
    until_s: u32,
}

impl Peer {
    fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }
}

impl Peers {
    pub(crate) fn new(manners: Manners) -> Self {
        Peers { manners, sources: Sources::new(manners), ..Peers::default() }
    }

    /// A peer has announced itself. `me` is our name: where there is no room the torrent farthest from
    /// it goes. Says whether it is kept.
    pub(crate) fn announce(
        &mut self,
        now: Instant,
        me: &NodeId,
        info_hash: NodeId,
        addr: SocketAddr,
        seed: bool,
        rng: &mut Rng,
    ) -> bool {
        let ip = addr.ip().to_canonical();
        let bytes = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let until_s = secs(now + Duration::from_secs(STORED_PEER_S));
        let peer = Peer { ip: bytes, port: addr.port(), seed, until_s };
        if let Some(peers) = self.torrents.get_mut(&info_hash) {
            // An address has one peer; at home, where many share one, each port has.
            let is_same =
                |known: &Peer| known.ip == bytes && (known.port == addr.port() || !is_exempt(ip));
            if let Some(known) = peers.iter_mut().find(|known| is_same(known)) {
                *known = peer;
                return true;
            }
        }
        if !self.sources.may(ip) || !self.has_room(me, &info_hash) {
            return false;
        }
        // Most torrents have one.
        let peers = self.torrents.entry(info_hash).or_insert_with(|| Vec::with_capacity(1));
        if peers.len() >= STORED_PEERS_MAX {
            let gone = peers.swap_remove(rng.index(peers.len()));
            self.sources.remove(gone.ip());
        }
        peers.push(peer);
        self.sources.add(ip);
        true
    }

    /// Up to `count` peers of a torrent in one address family, at random.
    pub(crate) fn some(
        &self,
        now: Instant,
        info_hash: &NodeId,
        v4: bool,
        count: usize,
        no_seeds: bool,
        rng: &mut Rng,
    ) -> Vec<SocketAddr> {
        let now_s = secs(now);
        let peers = self.torrents.get(info_hash).into_iter().flatten();
        let mut peers: Vec<_> = peers
            .filter(|peer| peer.until_s > now_s && !(no_seeds && peer.seed))
            .map(Peer::addr)
            .filter(|addr| addr.is_ipv4() == v4)
            .collect();
        rng.shuffle(&mut peers);
        peers.truncate(count);
        peers
    }

    /// Those who have all of a torrent, and those who have not (BEP 33); `None` if nobody is known.
    pub(crate) fn blooms(&self, now: Instant, info_hash: &NodeId) -> Option<(Bloom, Bloom)> {
        let (mut seeds, mut others) = (Bloom::EMPTY, Bloom::EMPTY);
        for peer in self.torrents.get(info_hash)?.iter().filter(|peer| peer.until_s > secs(now)) {
            if peer.seed { &mut seeds } else { &mut others }.insert(peer.ip());
        }
        Some((seeds, others))
    }

    /// Some torrents (BEP 51); the same ones for a while, so that asking more often is of no use.
    pub(crate) fn samples(&mut self, now: Instant, rng: &mut Rng) -> Samples {
        if now >= self.sample_until {
            let mut all: Vec<_> = self.torrents.keys().copied().collect();
            rng.shuffle(&mut all);
            all.truncate(SAMPLES_SENT_MAX);
            self.sample = all;
            self.sample_until = now + Duration::from_secs(SAMPLES_S);
        }
        let interval = (self.sample_until - now).as_secs();
        Samples {
            interval: u32::try_from(interval).unwrap_or(u32::MAX),
            total: u32::try_from(self.torrents.len()).unwrap_or(u32::MAX),
            info_hashes: self.sample.clone(),
        }
    }

    /// Forgets announces whose time has ended.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let now_s = secs(now);
        let sources = &mut self.sources;
        self.torrents.retain(|_, peers| {
            peers.retain(|peer| {
                let stays = peer.until_s > now_s;
                if !stays {
                    sources.remove(peer.ip());
                }
                stays
            });
            peers.shrink_to(2 * peers.len());
            !peers.is_empty()
        });
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.torrents.is_empty()
    }

    /// Torrents, and peers of all of them.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.torrents.len(), self.torrents.values().map(Vec::len).sum())
    }

    fn has_room(&mut self, me: &NodeId, new: &NodeId) -> bool {
        let most = self.manners.stored_torrents();
        if self.torrents.contains_key(new) || self.torrents.len() < most {
            return true;
        }
        let Some(farthest) = farthest(&self.torrents, me) else { return true };
        if farthest.distance(me) <= new.distance(me) {
            return false;
        }
        for peer in self.torrents.remove(&farthest).into_iter().flatten() {
            self.sources.remove(peer.ip());
        }
        true
    }
}

fn secs(now: Instant) -> u32 {
    u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STORED_TORRENTS_MAX;
    use althing_base::Seed;

    const ME: NodeId = NodeId([0; 20]);

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    fn addr(n: u32) -> SocketAddr {
        SocketAddr::new(IpAddr::from((n + 0x0800_0000).to_be_bytes()), 6881)
    }

    fn hash(n: u32) -> NodeId {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        NodeId(hash)
    }

    fn rng() -> Rng {
        Rng::new(Seed::from_u64(1))
    }

    #[test]
    fn announces_are_given_out_until_their_time_ends() {
        let (mut peers, mut rng) = (Peers::default(), rng());
        assert!(peers.announce(at(0), &ME, hash(1), addr(1), true, &mut rng));
        assert!(peers.announce(at(60), &ME, hash(1), addr(2), false, &mut rng));
        let some = |peers: &Peers, secs, no_seeds| {
            let mut some = peers.some(at(secs), &hash(1), true, 9, no_seeds, &mut self::rng());
            some.sort();
            some
        };
        assert_eq!(some(&peers, 60, false), [addr(1), addr(2)]);
        assert_eq!(some(&peers, 60, true), [addr(2)]);
        assert_eq!(some(&peers, STORED_PEER_S, false), [addr(2)]);
        assert!(peers.some(at(60), &hash(1), false, 9, false, &mut rng).is_empty());
        let (seeds, others) = peers.blooms(at(60), &hash(1)).expect("two are known");
        assert_eq!((seeds.estimate().round(), others.estimate().round()), (1.0, 1.0));
        peers.sweep(at(60 + STORED_PEER_S));
        assert!(peers.is_empty());
        assert_eq!(peers.sources.len(), 0);
    }

    #[test]
    fn torrents_and_peers_are_bounded_and_the_nearest_torrents_stay() {
        let (mut peers, mut rng) = (Peers::default(), rng());
        for n in (1..10_000).rev() {
            peers.announce(at(0), &ME, hash(n), addr(n), false, &mut rng);
        }
        assert_eq!(peers.len().0, STORED_TORRENTS_MAX);
        assert!(peers.torrents.contains_key(&hash(1)));
        assert!(!peers.torrents.contains_key(&hash(9_999)));
        for n in 0..10_000 {
            peers.announce(at(0), &ME, hash(1), addr(n), false, &mut rng);
        }
        assert_eq!(peers.torrents[&hash(1)].len(), STORED_PEERS_MAX);
        assert!(peers.sources.len() <= peers.len().1);
    }

    #[test]
    fn one_address_has_one_peer_of_a_torrent_and_a_share_of_the_torrents() {
        let (mut peers, mut rng) = (Peers::default(), rng());
        for port in 1..1_000 {
            let addr = SocketAddr::new(addr(1).ip(), port);
            peers.announce(at(0), &ME, hash(1), addr, false, &mut rng);
        }
        assert_eq!(peers.len(), (1, 1));
        for n in 0..1_000 {
            peers.announce(at(0), &ME, hash(n), addr(1), false, &mut rng);
        }
        assert_eq!(peers.len().0, usize::from(crate::limits::STORED_PER_SOURCE_MAX));
    }

    #[test]
    fn a_group_has_room_for_every_word() {
        let (mut peers, mut rng) = (Peers::new(Manners::Group), rng());
        let words = 4_096;
        for n in 0..10 * words {
            peers.announce(at(0), &ME, hash(n), addr(n / words), false, &mut rng);
        }
        assert_eq!(peers.len().0, 10 * words as usize);
    }

    #[test]
    fn a_sample_stays_the_same_for_its_interval() {
        let (mut peers, mut rng) = (Peers::default(), rng());
        for n in 0..500 {
            peers.announce(at(0), &ME, hash(n), addr(n), false, &mut rng);
        }
        let first = peers.samples(at(0), &mut rng);
        assert_eq!((first.total, first.info_hashes.len()), (500, SAMPLES_SENT_MAX));
        let later = peers.samples(at(10), &mut rng);
        assert_eq!(later.info_hashes, first.info_hashes);
        assert_eq!(later.interval, first.interval - 10);
        let next = peers.samples(at(SAMPLES_S), &mut rng);
        assert_ne!(next.info_hashes, first.info_hashes);
    }
}
