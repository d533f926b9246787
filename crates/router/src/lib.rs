//! The router: machines never call each other, so somebody has to pass things on.
//!
//! A swarm that runs out of peers says [`FindPeers`](swarm::Output::FindPeers); the router tells
//! the torrent's announcer, which says whom to ask; the answer comes back to the router and goes to
//! the swarm as [`PeersFound`](swarm::Input::PeersFound). Unless the torrent is private, the DHT's node is
//! asked besides ([`FindInDht`](Output::FindInDht)), of which there is one for all routers. There is one router for each shard of
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
use althing_bittorrent::tracker::announcer::AnnounceId;
use althing_bittorrent::tracker::{
    AnnounceRequest, AnnounceResponse, Announcer, Family, TrackerError, TrackerUrl,
};
use althing_bittorrent::webseed::{self, WebSeeds};
use althing_dht::{Announce, NodeId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
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
    /// Over which kinds of address trackers are asked (BEP 7); if empty, over any one.
    pub families: Vec<Family>,
    /// Whether it is private (BEP 27).
    pub private: bool,
    /// Whether it starts paused.
    pub paused: bool,
    /// Connections to each of its web seeds; 0 leaves them alone.
    pub web_connections: u32,
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
    /// To a torrent's web seeds: what becomes of an [`Output::Web`].
    Web {
        /// Which.
        torrent: TorrentKey,
        /// What.
        input: webseed::Input,
    },
    /// An [`Output::Announce`] was answered, or not.
    Announced {
        /// For which torrent.
        torrent: TorrentKey,
        /// Which announce.
        id: AnnounceId,
        /// What came back.
        result: Result<AnnounceResponse, TrackerError>,
    },
    /// This machine is elsewhere now, or others find it at another port: trackers are told soon, and
    /// peers from now on.
    Moved {
        /// Where we listen, if we do.
        listen_port: Option<u16>,
    },
    /// Nodes of the DHT named peers of a torrent that is [`Output::FindInDht`].
    FoundInDht {
        /// Which torrent.
        torrent: TorrentKey,
        /// Where they listen.
        peers: Vec<SocketAddr>,
    },
    /// Somebody on our own network has a torrent that is [`Output::FindLocally`].
    FoundLocally {
        /// Which torrent.
        torrent: TorrentKey,
        /// Where they listen.
        peers: Vec<SocketAddr>,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// What a torrent's swarm asks for. Never [`FindPeers`](swarm::Output::FindPeers).
    Swarm {
        /// Which torrent.
        torrent: TorrentKey,
        /// What.
        output: swarm::Output,
    },
    /// What a torrent's web seeds ask for. Never [`Open`](webseed::Output::Open) or
    /// [`Reject`](webseed::Output::Reject). Blocks that come of it are the swarm's
    /// [`Block`](swarm::Input::Block)s.
    Web {
        /// Which torrent.
        torrent: TorrentKey,
        /// What.
        output: webseed::Output,
    },
    /// Ask a tracker, and answer [`Input::Announced`].
    Announce {
        /// For which torrent.
        torrent: TorrentKey,
        /// To be named in the answer.
        id: AnnounceId,
        /// Whom.
        url: Arc<TrackerUrl>,
        /// Over which kind of address; `None` is any.
        family: Option<Family>,
        /// What to say.
        request: AnnounceRequest,
    },
    /// Forget an [`Output::Announce`]; it is not answered any more.
    CancelAnnounce {
        /// For which torrent.
        torrent: TorrentKey,
        /// Which announce.
        id: AnnounceId,
    },
    /// Announce a torrent on our own network (BEP 14), or do so no more; answer
    /// [`Input::FoundLocally`] whenever somebody is heard of.
    FindLocally {
        /// For which torrent.
        torrent: TorrentKey,
        /// The name to announce. A hybrid has two.
        info_hash: Sha1Digest,
        /// Whether it is to be announced from now on.
        wanted: bool,
    },
    /// Look for peers of a torrent in the DHT (BEP 5), or do so no more; answer
    /// [`Input::FoundInDht`] whenever some are found. Never of a private torrent (BEP 27).
    FindInDht {
        /// For which torrent.
        torrent: TorrentKey,
        /// The name to look for. A hybrid has two.
        info_hash: NodeId,
        /// What is to be done.
        wish: DhtWish,
    },
    /// A peer has a node of the DHT there, as it says (BEP 5).
    DhtNode {
        /// Where.
        addr: SocketAddr,
    },
    /// A tracker (BEP 24) or a peer (BEP 10) said what our address is. One voice among others.
    ExternalAddress {
        /// Its own address, if that is known.
        by: Option<IpAddr>,
        /// Ours, as it says.
        ip: IpAddr,
    },
}

/// What is to be done about a torrent in the DHT; see [`althing_dht::Input`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DhtWish {
    /// Find peers of it from now on, and tell this of us, if anything; the port is where others
    /// connect to us.
    Want(Option<Announce>),
    /// Peers are needed soon.
    Hurry,
    /// Leave it alone.
    Forget,
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
    /// Boxed, because a tree keeps room for twice as many as it has.
    torrents: BTreeMap<TorrentKey, Box<Torrent>>,
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
        self.torrents.insert(key, Box::new(torrent));
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

    /// A torrent's web seeds, to look at, if it has used any.
    pub fn web_seeds(&self, key: TorrentKey) -> Option<&WebSeeds> {
        self.torrents.get(&key).and_then(|torrent| torrent.web.as_deref())
    }

    /// A torrent's announcer, to look at.
    pub fn announcer(&self, key: TorrentKey) -> Option<&Announcer> {
        self.torrents.get(&key).map(|torrent| &torrent.announcer)
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
                let came = match input {
                    swarm::Input::Block { conn, block } if WebSeeds::is_ours(conn) => {
                        Some((conn, block))
                    }
                    _ => None,
                };
                torrent.swarm.handle_input(now, input);
                if let Some((conn, block)) = came {
                    torrent.web_block_arrived(now, conn, block);
                }
                self.settle(now, key);
            }
            Input::Web { torrent: key, input } => {
                let Some(torrent) = self.torrents.get_mut(&key) else { return };
                if let Some(web) = &mut torrent.web {
                    web.handle_input(now, input);
                }
                self.settle(now, key);
            }
            Input::Announced { torrent: key, id, result } => {
                let Some(torrent) = self.torrents.get_mut(&key) else { return };
                torrent.announced(now, id, result);
                self.settle(now, key);
            }
            Input::Moved { listen_port } => {
                let keys: Vec<TorrentKey> = self.torrents.keys().copied().collect();
                for key in keys {
                    let Some(torrent) = self.torrents.get_mut(&key) else { continue };
                    torrent.listen_at(now, listen_port);
                    self.settle(now, key);
                    if let Some(torrent) = self.torrents.get_mut(&key) {
                        torrent.moved(now);
                    }
                    self.settle(now, key);
                }
            }
            Input::FoundInDht { torrent: key, peers } => {
                let Some(torrent) = self.torrents.get_mut(&key) else { return };
                torrent.found_in_dht(now, peers);
                self.settle(now, key);
            }
            Input::FoundLocally { torrent: key, peers } => {
                let Some(torrent) = self.torrents.get_mut(&key) else { return };
                torrent.found_locally(now, peers);
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

#[cfg(test)]
mod tests {
    use super::*;
    use althing_bittorrent::PeerId;
    use althing_bittorrent::swarm::{ConnId, Direction, Transport};
    use althing_bittorrent::tracker::Event;
    use althing_bittorrent::wire::Handshake;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn setup() -> TorrentSetup {
        let magnet = format!("magnet:?xt=urn:btih:{HASH}").parse().expect("a magnet link");
        TorrentSetup {
            source: Source::Magnet(magnet),
            trackers: vec![vec!["http://tracker.example/announce".into()]],
            families: Vec::new(),
            private: false,
            paused: false,
            web_connections: 0,
            swarm: SwarmConfig::new(PeerId(*b"-AL0100-000000000000")),
        }
    }

    fn drain(router: &mut Router) -> Vec<Output> {
        std::iter::from_fn(|| router.poll_output()).collect()
    }

    fn announces(outputs: &[Output]) -> Vec<(TorrentKey, AnnounceId, Event)> {
        outputs
            .iter()
            .filter_map(|output| match output {
                Output::Announce { torrent, id, request, .. } => {
                    Some((*torrent, *id, request.event))
                }
                _ => None,
            })
            .collect()
    }

    fn connects(outputs: &[Output]) -> Vec<SocketAddr> {
        outputs
            .iter()
            .filter_map(|output| match output {
                Output::Swarm { output: swarm::Output::Connect { addr }, .. } => Some(*addr),
                _ => None,
            })
            .collect()
    }

    fn answer(router: &mut Router, announce: (TorrentKey, AnnounceId, Event), peer: SocketAddr) {
        let (torrent, id, _) = announce;
        let response = AnnounceResponse { peers: vec![peer], ..AnnounceResponse::default() };
        let input = Input::Announced { torrent, id, result: Ok(response) };
        router.handle_input(Instant::ORIGIN, input);
    }

    #[test]
    fn what_a_tracker_names_is_connected_to() {
        let mut router = Router::new(Seed::from_u64(1));
        let key = TorrentKey(7);
        router.add(Instant::ORIGIN, key, setup());
        let asked = announces(&drain(&mut router));
        assert_eq!(asked.iter().map(|a| a.2).collect::<Vec<_>>(), [Event::Started]);
        assert_eq!(router.find(HASH.parse().expect("a hash")), Some(key));
        let peer = SocketAddr::from(([10, 0, 0, 1], 7716));
        answer(&mut router, asked[0], peer);
        assert_eq!(connects(&drain(&mut router)), [peer]);
    }

    #[test]
    fn a_removed_torrent_says_goodbye_and_is_forgotten() {
        let mut router = Router::new(Seed::from_u64(1));
        let key = TorrentKey(7);
        router.add(Instant::ORIGIN, key, setup());
        let asked = announces(&drain(&mut router));
        answer(&mut router, asked[0], SocketAddr::from(([10, 0, 0, 1], 7716)));
        drain(&mut router);
        router.remove(Instant::ORIGIN, key);
        let last = announces(&drain(&mut router));
        assert_eq!(last.iter().map(|a| a.2).collect::<Vec<_>>(), [Event::Stopped]);
        assert_eq!(router.find(HASH.parse().expect("a hash")), None);
        assert_eq!(router.poll_timeout(), None);
    }

    #[test]
    fn a_paused_torrent_asks_nobody() {
        let mut router = Router::new(Seed::from_u64(1));
        router.add(Instant::ORIGIN, TorrentKey(1), TorrentSetup { paused: true, ..setup() });
        assert!(drain(&mut router).is_empty());
        assert_eq!(router.poll_timeout(), None);
    }

    fn local(outputs: &[Output]) -> Vec<bool> {
        let wanted = |output: &Output| match output {
            Output::FindLocally { wanted, .. } => Some(*wanted),
            _ => None,
        };
        outputs.iter().filter_map(wanted).collect()
    }

    #[test]
    fn peers_on_our_own_network_are_asked_for_and_connected_to() {
        let mut router = Router::new(Seed::from_u64(1));
        let torrent = TorrentKey(1);
        router.add(Instant::ORIGIN, torrent, setup());
        assert_eq!(local(&drain(&mut router)), [true]);
        let peer = SocketAddr::from(([192, 168, 1, 9], 7716));
        let found = || Input::FoundLocally { torrent, peers: vec![peer] };
        router.handle_input(Instant::ORIGIN, found());
        assert_eq!(connects(&drain(&mut router)), [peer]);
        let input = swarm::Input::Pause;
        router.handle_input(Instant::ORIGIN, Input::Swarm { torrent, input });
        assert_eq!(local(&drain(&mut router)), [false]);
        router.handle_input(Instant::ORIGIN, found());
        assert!(connects(&drain(&mut router)).is_empty());
        let input = swarm::Input::Resume;
        router.handle_input(Instant::ORIGIN, Input::Swarm { torrent, input });
        assert_eq!(local(&drain(&mut router)), [true]);
        router.remove(Instant::ORIGIN, torrent);
        assert_eq!(local(&drain(&mut router)), [false]);
    }

    #[test]
    fn a_private_torrent_is_not_told_to_our_own_network() {
        let mut router = Router::new(Seed::from_u64(1));
        let torrent = TorrentKey(1);
        router.add(Instant::ORIGIN, torrent, TorrentSetup { private: true, ..setup() });
        assert_eq!(local(&drain(&mut router)), []);
        let peers = vec![SocketAddr::from(([192, 168, 1, 9], 7716))];
        router.handle_input(Instant::ORIGIN, Input::FoundLocally { torrent, peers });
        assert!(connects(&drain(&mut router)).is_empty());
    }

    #[test]
    fn who_is_banned_by_one_torrent_is_kept_out_of_all() {
        let mut router = Router::new(Seed::from_u64(1));
        let now = Instant::ORIGIN;
        let liar = SocketAddr::from(([10, 0, 0, 1], 7716));
        router.banned.insert(liar.ip());
        let torrent = TorrentKey(1);
        router.add(now, torrent, setup());
        let asked = announces(&drain(&mut router));
        answer(&mut router, asked[0], liar);
        assert!(connects(&drain(&mut router)).is_empty());
        let input = swarm::Input::Connected {
            conn: ConnId(1),
            addr: liar,
            direction: Direction::Incoming,
            transport: Transport::Tcp,
            handshake: Handshake {
                info_hash: HASH.parse().expect("a hash"),
                peer_id: PeerId([1; 20]),
                reserved: [0; 8],
            },
        };
        router.handle_input(now, Input::Swarm { torrent, input });
        let outputs = drain(&mut router);
        assert!(matches!(
            outputs[..],
            [Output::Swarm {
                output: swarm::Output::Disconnect { reason: DisconnectReason::Banned, .. },
                ..
            }]
        ));
    }
}
