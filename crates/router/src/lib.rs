//! The router: machines never call each other, so somebody has to pass things on.
//!
//! A swarm that runs out of peers says [`FindPeers`](swarm::Output::FindPeers); the router tells
//! the torrent's announcer, which says whom to ask; the answer comes back to the router and goes to
//! the swarm as [`PeersFound`](swarm::Input::PeersFound). There is one router for each shard of
//! torrents. The daemon's tokio driver and the simulator drive the same one, so what is simulated
//! is what runs.
//!
//! It is a [`Machine`] itself: tell it one thing, drain its outputs, wait no longer than it says.
//! Outputs that are its own business (finding peers, completion, bans) it handles; all others
//! come out with the torrent's key.

mod torrent;

use althing_base::time::Duration;
use althing_base::{Instant, Machine, Seed, Sha1Digest};
use althing_bittorrent::swarm::{self, DisconnectReason, Source, Swarm, SwarmConfig};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use torrent::Torrent;

/// Addresses kept out at most; beyond, the smallest is let in again. 16 MB at worst would be
/// a million; a swarm's liars are a handful.
const BANNED_MAX: usize = 10_000;

/// A torrent, as its owner numbers it; a number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentKey(pub u64);

/// What is known of a torrent when it is added.
#[derive(Clone, Debug)]
pub struct TorrentSetup {
    /// What it is, or where that is to be learned.
    pub source: Source,
    /// Its trackers, in tiers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Whether it starts paused.
    pub paused: bool,
    /// How its swarm behaves.
    pub swarm: SwarmConfig,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// To a torrent.
    Swarm {
        /// Which.
        torrent: TorrentKey,
        /// What.
        input: swarm::Input,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// What a torrent's swarm asks for.
    Swarm {
        /// Which torrent.
        torrent: TorrentKey,
        /// What.
        output: swarm::Output,
    },
}

/// Why the router wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A machine of this torrent has something to do.
    Torrent(TorrentKey),
}

/// The machines of many torrents, wired together. See the [crate](self).
pub struct Router {
    seed: Seed,
    torrents: BTreeMap<TorrentKey, Torrent>,
    by_hash: BTreeMap<Sha1Digest, TorrentKey>,
    timers: BTreeSet<(Instant, TorrentKey)>,
    banned: BTreeSet<IpAddr>,
    outputs: VecDeque<Output>,
}

impl Router {
    /// A router without torrents.
    pub fn new(seed: Seed) -> Self {
        Router {
            seed,
            torrents: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            timers: BTreeSet::new(),
            banned: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Adds a torrent. Drain the outputs afterwards.
    pub fn add(&mut self, now: Instant, key: TorrentKey, setup: TorrentSetup) {
        debug_assert!(!self.torrents.contains_key(&key), "torrent keys are never used twice");
        let torrent = Torrent::new(now, self.seed.fork("torrent", key.0), setup);
        self.torrents.insert(key, torrent);
        self.settle(now, key);
    }

    /// Removes a torrent: its connections are closed and its trackers told.
    /// Drain the outputs afterwards.
    pub fn remove(&mut self, now: Instant, key: TorrentKey) {
        if let Some(torrent) = self.torrents.get_mut(&key) {
            torrent.swarm.handle_input(now, swarm::Input::Pause);
            self.settle(now, key);
        }
        if let Some(torrent) = self.torrents.remove(&key) {
            self.by_hash.retain(|_, of| *of != key);
            if let Some(wake) = torrent.wake {
                self.timers.remove(&(wake, key));
            }
        }
    }

    /// The torrent that a handshake's info-hash means (BEP 3, 52).
    pub fn find(&self, info_hash: Sha1Digest) -> Option<TorrentKey> {
        self.by_hash.get(&info_hash).copied()
    }

    /// The torrents there are.
    pub fn torrents(&self) -> impl Iterator<Item = TorrentKey> + '_ {
        self.torrents.keys().copied()
    }

    /// A torrent's swarm, to look at.
    pub fn swarm(&self, key: TorrentKey) -> Option<&Swarm> {
        self.torrents.get(&key).map(|torrent| &torrent.swarm)
    }

    /// Whether an address is kept out of all torrents.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains(&ip.to_canonical())
    }

    /// Passes things on between a torrent's machines until all of them are drained.
    fn settle(&mut self, now: Instant, key: TorrentKey) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        torrent.settle(now, key, &mut self.outputs, &mut self.banned);
        while self.banned.len() > BANNED_MAX {
            self.banned.pop_first();
        }
        let hashes = torrent.swarm.info_hashes();
        if torrent.known_as != Some(hashes) {
            torrent.known_as = Some(hashes);
            for hash in hashes.short_hashes() {
                self.by_hash.entry(hash).or_insert(key);
            }
        }
        let wake = torrent.next_wake();
        if wake != torrent.wake {
            if let Some(old) = torrent.wake {
                self.timers.remove(&(old, key));
            }
            torrent.wake = wake;
            self.timers.extend(wake.map(|at| (at, key)));
        }
    }

    /// Keeps banned addresses out of torrents that have not met them; true if the input was dealt
    /// with.
    fn keep_out(&mut self, torrent: TorrentKey, input: &swarm::Input) -> bool {
        let swarm::Input::Connected { conn, addr, .. } = input else { return false };
        let banned = self.is_banned(addr.ip());
        if banned {
            let output =
                swarm::Output::Disconnect { conn: *conn, reason: DisconnectReason::Banned };
            self.outputs.push_back(Output::Swarm { torrent, output });
        }
        banned
    }
}

impl Machine for Router {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Swarm { torrent: key, input } => {
                if self.keep_out(key, &input) {
                    return;
                }
                let Some(torrent) = self.torrents.get_mut(&key) else { return };
                torrent.swarm.handle_input(now, input);
                self.settle(now, key);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        // Each torrent once: one that wants to be woken again at once has to wait for the next call.
        let later = self.timers.split_off(&(now + Duration::from_nanos(1), TorrentKey(0)));
        for (_, key) in std::mem::replace(&mut self.timers, later) {
            if let Some(torrent) = self.torrents.get_mut(&key) {
                torrent.wake = None;
                torrent.handle_timeout(now);
                self.settle(now, key);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.timers.first().map(|(at, key)| (*at, Reason::Torrent(*key)))
    }
}
