//! Who is in which swarm: bounded, in memory, and forgotten when not heard of.

use super::Source;
use crate::tracker::{Event, Family, ScrapeEntry};
use crate::types::PeerId;
use althing_base::{Instant, Rng, Sha1Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How much is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub(super) torrents: usize,
    pub(super) peers: usize,
    pub(super) torrent_peers: usize,
    pub(super) source_peers: usize,
    pub(super) source_torrent_peers: usize,
    /// How long a peer is remembered that is not heard of.
    pub(super) peer_life: Duration,
}

/// A peer says that it is there, or that it leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announce {
    pub(super) info_hash: Sha1Digest,
    pub(super) addr: SocketAddr,
    pub(super) peer_id: PeerId,
    pub(super) event: Event,
    /// Whether it has everything.
    pub(super) is_seed: bool,
    /// How many others it wants to know of.
    pub(super) wanted: usize,
    /// Whether those with the other kind of address are of use to it.
    pub(super) both_families: bool,
}

/// What it is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Answer {
    pub(super) swarm: ScrapeEntry,
    pub(super) peers: Vec<(SocketAddr, PeerId)>,
}

/// Why it is not listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Full {
    #[error("this tracker has as many torrents as it can keep; try again later")]
    Torrents,
    #[error("this tracker has as many peers as it can keep; try again later")]
    Peers,
    #[error("too many peers are announced from your address; stop some of them")]
    Source,
}

#[derive(Debug)]
pub(super) struct Registry {
    bounds: Bounds,
    rng: Rng,
    torrents: BTreeMap<Sha1Digest, Torrent>,
    /// One entry for each peer: when to look whether it has been heard of.
    checks: BTreeSet<(Instant, Sha1Digest, SocketAddr)>,
    sources: BTreeMap<Source, usize>,
}

#[derive(Debug, Default)]
struct Torrent {
    peers: BTreeMap<SocketAddr, Peer>,
    /// The peers by [`pool`], to draw from.
    pools: [Vec<SocketAddr>; 4],
    downloaded: u32,
}

#[derive(Debug)]
struct Peer {
    peer_id: PeerId,
    is_seed: bool,
    /// Its place in its pool.
    slot: usize,
    heard: Instant,
    /// Its entry in [`Registry::checks`].
    check: Instant,
}

/// Which pool a peer is in.
fn pool(is_seed: bool, family: Family) -> usize {
    usize::from(is_seed) * 2 + usize::from(family == Family::V6)
}

impl Registry {
    pub(super) fn new(bounds: Bounds, rng: Rng) -> Self {
        let (torrents, checks, sources) = Default::default();
        Registry { bounds, rng, torrents, checks, sources }
    }

    pub(super) fn torrent_count(&self) -> usize {
        self.torrents.len()
    }

    pub(super) fn peer_count(&self) -> usize {
        self.checks.len()
    }

    pub(super) fn scrape(&self, info_hash: Sha1Digest) -> Option<ScrapeEntry> {
        self.torrents.get(&info_hash).map(Torrent::size)
    }

    pub(super) fn announce(&mut self, now: Instant, announce: &Announce) -> Result<Answer, Full> {
        if announce.event == Event::Stopped {
            self.remove(announce.info_hash, announce.addr);
            let swarm = self.scrape(announce.info_hash).unwrap_or_default();
            return Ok(Answer { swarm, peers: Vec::new() });
        }
        self.list(now, announce)?;
        // A torrent that has just been refused a peer may have been forgotten.
        let Some(torrent) = self.torrents.get(&announce.info_hash) else {
            return Ok(Answer::default());
        };
        Ok(Answer { swarm: torrent.size(), peers: torrent.draw(announce, &mut self.rng) })
    }

    /// Adds the peer, or takes note that it was heard of.
    fn list(&mut self, now: Instant, announce: &Announce) -> Result<(), Full> {
        let &Announce { info_hash, addr, peer_id, is_seed, .. } = announce;
        if let Some(torrent) = self.torrents.get_mut(&info_hash) {
            if let Some(peer) = torrent.peers.get_mut(&addr) {
                peer.heard = now;
                peer.peer_id = peer_id;
                let became_seed = is_seed && !peer.is_seed;
                if is_seed != peer.is_seed {
                    torrent.move_to(addr, is_seed);
                }
                if became_seed && announce.event == Event::Completed {
                    torrent.downloaded = torrent.downloaded.saturating_add(1);
                }
                return Ok(());
            }
            if torrent.peers.len() >= self.bounds.torrent_peers
                || torrent.count_at(addr.ip()) >= self.bounds.source_torrent_peers
            {
                return Ok(());
            }
        } else if self.torrents.len() >= self.bounds.torrents {
            return Err(Full::Torrents);
        }
        if self.checks.len() >= self.bounds.peers {
            return Err(Full::Peers);
        }
        let source = Source::of(addr.ip());
        let at_source = self.sources.get(&source).copied().unwrap_or_default();
        if at_source >= self.bounds.source_peers {
            return Err(Full::Source);
        }
        self.sources.insert(source, at_source + 1);
        let check = now + self.bounds.peer_life;
        self.checks.insert((check, info_hash, addr));
        let peer = Peer { peer_id, is_seed, slot: 0, heard: now, check };
        self.torrents.entry(info_hash).or_default().insert(addr, peer);
        Ok(())
    }

    fn remove(&mut self, info_hash: Sha1Digest, addr: SocketAddr) {
        let Some(torrent) = self.torrents.get_mut(&info_hash) else { return };
        let Some(peer) = torrent.remove(addr) else { return };
        if torrent.peers.is_empty() {
            self.torrents.remove(&info_hash);
        }
        self.checks.remove(&(peer.check, info_hash, addr));
        let source = Source::of(addr.ip());
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// Forgets the peers that have not been heard of for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(at, info_hash, addr)) = self.checks.first() {
            if at > now {
                break;
            }
            let peer = self.torrents.get_mut(&info_hash).and_then(|t| t.peers.get_mut(&addr));
            match peer.map(|peer| (peer.heard + self.bounds.peer_life, peer)) {
                Some((expires, peer)) if expires > now => {
                    peer.check = expires;
                    self.checks.remove(&(at, info_hash, addr));
                    self.checks.insert((expires, info_hash, addr));
                }
                _ => self.remove(info_hash, addr),
            }
        }
    }

    pub(super) fn next_check(&self) -> Option<Instant> {
        self.checks.first().map(|&(at, _, _)| at)
    }
}

impl Torrent {
    fn size(&self) -> ScrapeEntry {
        let [leechers4, leechers6, seeders4, seeders6] = self.pools.each_ref().map(Vec::len);
        // Both are bounded far below 2^32.
        ScrapeEntry {
            seeders: (seeders4 + seeders6) as u32,
            leechers: (leechers4 + leechers6) as u32,
            downloaded: self.downloaded,
        }
    }

    fn insert(&mut self, addr: SocketAddr, mut peer: Peer) {
        let pool = &mut self.pools[pool(peer.is_seed, Family::of(addr.ip()))];
        peer.slot = pool.len();
        pool.push(addr);
        self.peers.insert(addr, peer);
    }

    fn remove(&mut self, addr: SocketAddr) -> Option<Peer> {
        let peer = self.peers.remove(&addr)?;
        let pool = &mut self.pools[pool(peer.is_seed, Family::of(addr.ip()))];
        pool.swap_remove(peer.slot);
        // The last one of the pool has taken its place.
        if let Some(moved) = pool.get(peer.slot)
            && let Some(moved) = self.peers.get_mut(moved)
        {
            moved.slot = peer.slot;
        }
        Some(peer)
    }

    fn move_to(&mut self, addr: SocketAddr, is_seed: bool) {
        if let Some(peer) = self.remove(addr) {
            self.insert(addr, Peer { is_seed, ..peer });
        }
    }

    /// How many peers there are at an address's source.
    fn count_at(&self, ip: IpAddr) -> usize {
        let (first, last) = match ip {
            IpAddr::V4(_) => (ip, ip),
            IpAddr::V6(ip) => {
                let prefix = ip.to_bits() & !u128::from(u64::MAX);
                let last = prefix | u128::from(u64::MAX);
                (Ipv6Addr::from_bits(prefix).into(), Ipv6Addr::from_bits(last).into())
            }
        };
        self.peers.range(SocketAddr::new(first, 0)..=SocketAddr::new(last, u16::MAX)).count()
    }

    /// Draws other peers: of the announcer's own kind of address first, then of the other. Seeds
    /// are of no use to a seed.
    fn draw(&self, announce: &Announce, rng: &mut Rng) -> Vec<(SocketAddr, PeerId)> {
        let own = Family::of(announce.addr.ip());
        let other = if own == Family::V4 { Family::V6 } else { Family::V4 };
        let mut drawn = Vec::new();
        for family in [Some(own), announce.both_families.then_some(other)].into_iter().flatten() {
            let leechers = &self.pools[pool(false, family)];
            let seeds = &self.pools[pool(true, family)];
            let seeds = if announce.is_seed { &[][..] } else { seeds };
            // One more than wanted, because the announcer itself may be drawn.
            let room = announce.wanted - drawn.len();
            let picks = sample(leechers.len() + seeds.len(), room.saturating_add(1), rng);
            let addrs = picks
                .into_iter()
                .filter_map(|pick| leechers.get(pick).or_else(|| seeds.get(pick - leechers.len())));
            let others = addrs.filter(|addr| **addr != announce.addr).take(room);
            drawn.extend(others.filter_map(|addr| Some((*addr, self.peers.get(addr)?.peer_id))));
        }
        drawn
    }
}

/// `count` different numbers below `bound` in random order, or all of them.
fn sample(bound: usize, count: usize, rng: &mut Rng) -> Vec<usize> {
    let count = count.min(bound);
    // Floyd's: each number that would be drawn twice is replaced by one that cannot have been.
    let mut drawn = BTreeSet::new();
    for top in bound - count..bound {
        let pick = rng.index(top + 1);
        if !drawn.insert(pick) {
            drawn.insert(top);
        }
    }
    let mut drawn: Vec<_> = drawn.into_iter().collect();
    rng.shuffle(&mut drawn);
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};
    use proptest::prelude::*;

    const LIFE: Duration = Duration::from_secs(100);

    fn registry() -> Registry {
        let bounds = Bounds {
            torrents: 3,
            peers: 40,
            torrent_peers: 20,
            source_peers: 10,
            source_torrent_peers: 5,
            peer_life: LIFE,
        };
        Registry::new(bounds, Rng::new(Seed::from_u64(3)))
    }

    /// A leecher's announce to torrent `torrent` from 10.0.0.`host`.
    fn announce(torrent: u8, host: u8, port: u16) -> Announce {
        Announce {
            info_hash: Sha1Digest([torrent; 20]),
            addr: ([10, 0, 0, host], port).into(),
            peer_id: PeerId([host; 20]),
            event: Event::None,
            is_seed: false,
            wanted: 50,
            both_families: true,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn hosts(answer: &Answer) -> Vec<u8> {
        let mut hosts: Vec<_> = answer.peers.iter().map(|(_, id)| id.0[0]).collect();
        hosts.sort();
        hosts
    }

    #[test]
    fn peers_hear_of_each_other_but_seeds_not_of_seeds() {
        let mut registry = registry();
        let seed = |host| Announce { is_seed: true, ..announce(1, host, 1) };
        let mut hear =
            |announce: &Announce| hosts(&registry.announce(at(0), announce).expect("room"));
        assert_eq!(hear(&seed(1)), []);
        assert_eq!(hear(&seed(2)), []);
        assert_eq!(hear(&announce(1, 3, 1)), [1, 2]);
        assert_eq!(hear(&seed(1)), [3]);
        assert_eq!(hear(&announce(1, 4, 1)), [1, 2, 3]);
        assert_eq!(hear(&Announce { wanted: 2, ..announce(1, 4, 1) }).len(), 2);
        assert_eq!(hear(&Announce { wanted: 0, ..announce(1, 4, 1) }), []);
        assert_eq!(hear(&announce(2, 4, 1)), []);
        let size = ScrapeEntry { seeders: 2, leechers: 2, downloaded: 0 };
        assert_eq!(registry.scrape(Sha1Digest([1; 20])), Some(size));
    }

    #[test]
    fn ones_own_kind_of_address_comes_first() {
        let mut registry = registry();
        for host in 1..=3u16 {
            let v6 = Announce {
                addr: ([0x2001, 0xdb8, host, 0, 0, 0, 0, 1], 1).into(),
                ..announce(1, 100 + host as u8, 1)
            };
            registry.announce(at(0), &v6).expect("room");
            registry.announce(at(0), &announce(1, host as u8, 1)).expect("room");
        }
        let mut hear = |wanted, both_families| {
            let announce = Announce { wanted, both_families, ..announce(1, 9, 1) };
            hosts(&registry.announce(at(0), &announce).expect("room"))
        };
        assert_eq!(hear(3, true), [1, 2, 3]);
        assert_eq!(hear(9, true), [1, 2, 3, 101, 102, 103]);
        assert_eq!(hear(9, false), [1, 2, 3]);
    }

    #[test]
    fn downloads_are_counted_once() {
        let mut registry = registry();
        let completed = Announce { event: Event::Completed, is_seed: true, ..announce(1, 1, 1) };
        let mut count = |announce: &Announce| {
            registry.announce(at(0), announce).expect("room").swarm.downloaded
        };
        assert_eq!(count(&completed), 0, "never seen without");
        assert_eq!(count(&announce(1, 2, 1)), 0);
        assert_eq!(count(&Announce { addr: ([10, 0, 0, 2], 1).into(), ..completed }), 1);
        assert_eq!(count(&Announce { addr: ([10, 0, 0, 2], 1).into(), ..completed }), 1);
    }

    #[test]
    fn peers_leave_or_are_forgotten() {
        let mut registry = registry();
        registry.announce(at(0), &announce(1, 1, 1)).expect("room");
        registry.announce(at(0), &announce(1, 2, 1)).expect("room");
        registry.announce(at(50), &announce(1, 2, 1)).expect("room");
        registry.announce(at(60), &announce(1, 3, 1)).expect("room");
        let stop = Announce { event: Event::Stopped, ..announce(1, 3, 1) };
        let answer = registry.announce(at(60), &stop).expect("room");
        assert_eq!((answer.swarm.leechers, answer.peers.len()), (2, 0));
        // One who was never there can leave as well.
        registry
            .announce(at(60), &Announce { event: Event::Stopped, ..announce(2, 3, 1) })
            .expect("room");
        registry.expire(at(100));
        assert_eq!(registry.peer_count(), 1);
        assert_eq!(registry.next_check(), Some(at(150)));
        registry.expire(at(150));
        assert_eq!((registry.peer_count(), registry.torrent_count()), (0, 0));
        assert!(registry.sources.is_empty());
    }

    #[test]
    fn everything_is_bounded() {
        let mut registry = registry();
        // One source in one torrent: answered, not listed.
        for port in 1..=9 {
            let answer = registry.announce(at(0), &announce(1, 1, port)).expect("room");
            assert_eq!(answer.swarm.leechers, u32::from(port.min(5)));
        }
        // One source in all.
        for port in 1..=5 {
            registry.announce(at(0), &announce(2, 1, port)).expect("room");
        }
        assert_eq!(registry.announce(at(0), &announce(3, 1, 1)), Err(Full::Source));
        // One torrent.
        for host in 2..=30 {
            let answer = registry.announce(at(0), &announce(1, host, 1)).expect("room");
            assert_eq!(answer.swarm.leechers, (5 + u32::from(host) - 1).min(20));
        }
        // Torrents.
        registry.announce(at(0), &announce(3, 2, 1)).expect("room");
        assert_eq!(registry.announce(at(0), &announce(4, 2, 1)), Err(Full::Torrents));
        // Peers in all: 20, 5 and 1 are there.
        for host in 0..14 {
            registry.announce(at(0), &announce(3, 100 + host, 1)).expect("room");
        }
        assert_eq!(registry.announce(at(0), &announce(3, 99, 1)), Err(Full::Peers));
        // Who is listed already is always heard.
        registry.announce(at(50), &announce(3, 100, 1)).expect("listed");
        registry.expire(at(100));
        assert_eq!(registry.peer_count(), 1);
    }

    #[test]
    fn an_ipv6_source_is_a_network() {
        let mut registry = registry();
        for host in 0..9u16 {
            let v6 = Announce {
                addr: ([0x2001, 0xdb8, 0, 0, host, 0, 0, 1], 1).into(),
                ..announce(1, 1, 1)
            };
            registry.announce(at(0), &v6).expect("room");
        }
        assert_eq!(registry.peer_count(), 5);
        assert_eq!(registry.sources.len(), 1);
    }

    #[test]
    fn draws_are_uniform() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut counts = [0u32; 10];
        for _ in 0..10_000 {
            sample(10, 3, &mut rng).into_iter().for_each(|pick| counts[pick] += 1);
        }
        assert!(counts.iter().all(|count| (2800..3200).contains(count)), "{counts:?}");
        assert_eq!(sample(0, 5, &mut rng), []);
    }

    proptest! {
        /// Against a model that only remembers when who was last heard of.
        #[test]
        fn it_agrees_with_a_simple_model(
            steps in proptest::collection::vec((0..4u8, 0..8u8, 1..4u16, 0..4u8, 0..60u64), 0..120),
        ) {
            let mut registry = registry();
            let mut model = BTreeMap::new();
            let mut now = at(0);
            for (torrent, host, port, kind, pause) in steps {
                now += Duration::from_secs(pause);
                registry.expire(now);
                model.retain(|_, (heard, _): &mut (Instant, bool)| *heard + LIFE > now);
                let event = if kind == 3 { Event::Stopped } else { Event::None };
                let is_seed = kind == 2;
                let announce = Announce { event, is_seed, ..announce(torrent, host, port) };
                let key = (announce.info_hash, announce.addr);
                let known = model.contains_key(&key);
                let before = registry.peer_count();
                let answer = registry.announce(now, &announce);
                if event == Event::Stopped {
                    model.remove(&key);
                } else if known || registry.peer_count() > before {
                    model.insert(key, (now, is_seed));
                }
                prop_assert_eq!(registry.peer_count(), model.len());
                prop_assert_eq!(registry.sources.values().sum::<usize>(), model.len());
                let Ok(answer) = answer else { continue };
                let others = model.iter().filter(|((hash, addr), (_, seed))| {
                    *hash == key.0 && *addr != key.1 && !(is_seed && *seed)
                });
                let mut expected: Vec<_> = others.map(|((_, addr), _)| *addr).collect();
                if event == Event::Stopped {
                    expected.clear();
                }
                let mut told: Vec<_> = answer.peers.iter().map(|(addr, _)| *addr).collect();
                told.sort();
                prop_assert_eq!(told, expected);
            }
        }
    }
}
