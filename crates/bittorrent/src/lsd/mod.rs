//! Local service discovery (BEP 14): peers on the same network find each other by announcing their
//! torrents to a multicast group, without a tracker and without the world.
//!
//! One machine serves all torrents of a process. It is told which torrents want to be found (never
//! private ones: BEP 27) and what arrives; it says what to send to the groups, and who was heard.
//! While there is no torrent it wants to be woken by nothing.

pub mod limits;
mod packet;

pub use packet::{Announce, GROUP_V4, GROUP_V6, PORT, group};

use crate::tracker::Family;
use althing_base::{Instant, Machine, Rng, Seed, Sha1Digest};
use limits::{
    ANNOUNCE_INTERVAL, GATHER_TIME, HEARD_PER_INTERVAL_MAX, PACKET_INTERVAL,
    PACKETS_PER_ANNOUNCE_MAX,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A torrent of this name wants to be found. Of a hybrid there are two names.
    Start(Sha1Digest),
    /// It does not any more.
    Stop(Sha1Digest),
    /// We are on another network: all are announced anew.
    Moved,
    /// A packet came to a group. The driver has looked whether the sender is near.
    Packet {
        /// Who sent it.
        from: SocketAddr,
        /// What.
        packet: Vec<u8>,
    },
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a packet to a family's [`group`], over every interface.
    Send {
        /// Which group.
        family: Family,
        /// The packet.
        packet: Vec<u8>,
    },
    /// Somebody near has a torrent that is here, too.
    Found {
        /// The torrent.
        info_hash: Sha1Digest,
        /// Where it listens.
        addr: SocketAddr,
    },
}

/// Why it wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A torrent's turn to be announced has come.
    Announce,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Lsd {
    port: u16,
    cookie: String,
    /// When each is to be announced next.
    torrents: BTreeMap<Sha1Digest, Instant>,
    /// The same by time.
    turns: BTreeSet<(Instant, Sha1Digest)>,
    /// No announce before that.
    quiet_until: Instant,
    heard_since: Instant,
    heard: u32,
    outputs: VecDeque<Output>,
}

impl Lsd {
    /// For a peer that listens on `port`. The seed gives the cookie by which it knows itself.
    pub fn new(port: u16, seed: Seed) -> Self {
        let cookie = format!("{:08x}", Rng::new(seed).next_u32());
        Lsd {
            port,
            cookie,
            torrents: BTreeMap::new(),
            turns: BTreeSet::new(),
            quiet_until: Instant::ORIGIN,
            heard_since: Instant::ORIGIN,
            heard: 0,
            outputs: VecDeque::new(),
        }
    }

    /// How many names want to be found.
    pub fn len(&self) -> usize {
        self.torrents.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.torrents.is_empty()
    }

    fn plan(&mut self, hash: Sha1Digest, at: Instant) {
        if let Some(before) = self.torrents.insert(hash, at) {
            self.turns.remove(&(before, hash));
        }
        self.turns.insert((at, hash));
    }

    /// Announces those whose turn has come, as many as go into the packets.
    fn announce(&mut self, now: Instant) {
        // IPv6's group has the longer name.
        let per_packet = Announce::hashes_max(Family::V6, &self.cookie).max(1);
        let mut due: Vec<Sha1Digest> = Vec::new();
        while due.len() < per_packet * PACKETS_PER_ANNOUNCE_MAX
            && let Some((at, hash)) = self.turns.first()
            && *at <= now
        {
            let hash = *hash;
            due.push(hash);
            self.plan(hash, now + ANNOUNCE_INTERVAL);
        }
        if due.is_empty() {
            return;
        }
        self.quiet_until = now + PACKET_INTERVAL;
        for hashes in due.chunks(per_packet) {
            let (info_hashes, cookie) = (hashes.to_vec(), self.cookie.clone());
            let announce = Announce { port: self.port, info_hashes, cookie };
            for family in [Family::V4, Family::V6] {
                let packet = announce.packet(family);
                self.outputs.push_back(Output::Send { family, packet });
            }
        }
    }

    fn heard(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        if now.since(self.heard_since) >= PACKET_INTERVAL {
            (self.heard_since, self.heard) = (now, 0);
        }
        if self.heard >= HEARD_PER_INTERVAL_MAX {
            return;
        }
        self.heard += 1;
        let Some(announce) = Announce::parse(packet) else { return };
        if announce.cookie == self.cookie || !can_be_peer(from.ip()) {
            return;
        }
        let addr = SocketAddr::new(from.ip().to_canonical(), announce.port);
        for info_hash in announce.info_hashes {
            if self.torrents.contains_key(&info_hash) {
                self.outputs.push_back(Output::Found { info_hash, addr });
            }
        }
    }
}

/// An address of IPv6 that means something on one cable only cannot be connected to without
/// saying on which.
fn can_be_peer(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    }
}

impl Machine for Lsd {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start(hash) => {
                if !self.torrents.contains_key(&hash) {
                    self.plan(hash, now + GATHER_TIME);
                }
            }
            Input::Stop(hash) => {
                if let Some(at) = self.torrents.remove(&hash) {
                    self.turns.remove(&(at, hash));
                }
            }
            Input::Moved => {
                let all: Vec<Sha1Digest> = self.torrents.keys().copied().collect();
                all.into_iter().for_each(|hash| self.plan(hash, now + GATHER_TIME));
            }
            Input::Packet { from, packet } => self.heard(now, from, &packet),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.quiet_until {
            self.announce(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let (at, _) = self.turns.first()?;
        Some(((*at).max(self.quiet_until), Reason::Announce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hash(number: u32) -> Sha1Digest {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        Sha1Digest(hash)
    }

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(1000 + secs)
    }

    fn drain(lsd: &mut Lsd) -> Vec<Output> {
        std::iter::from_fn(|| lsd.poll_output()).collect()
    }

    /// The names in what is sent to IPv4's group.
    fn announced(outputs: &[Output]) -> Vec<Sha1Digest> {
        let of_group = |output: &Output| match output {
            Output::Send { family: Family::V4, packet } => Announce::parse(packet),
            _ => None,
        };
        outputs.iter().filter_map(of_group).flat_map(|announce| announce.info_hashes).collect()
    }

    /// Runs until `end`, and says when what was announced.
    fn run(lsd: &mut Lsd, end: Instant) -> Vec<(u64, usize)> {
        let mut log = Vec::new();
        while let Some((wake, _)) = lsd.poll_timeout()
            && wake <= end
        {
            lsd.handle_timeout(wake);
            log.push((wake.since(at(0)).as_secs(), announced(&drain(lsd)).len()));
        }
        log
    }

    #[test]
    fn torrents_go_together_and_again_after_five_minutes() {
        let mut lsd = Lsd::new(7716, Seed::from_u64(1));
        assert_eq!(lsd.poll_timeout(), None);
        for number in 0..30 {
            lsd.handle_input(at(0), Input::Start(hash(number)));
        }
        assert_eq!(run(&mut lsd, at(700)), [(1, 30), (301, 30), (601, 30)]);
        for number in 0..30 {
            lsd.handle_input(at(700), Input::Stop(hash(number)));
        }
        assert_eq!(lsd.poll_timeout(), None);
    }

    #[test]
    fn a_group_is_spoken_to_once_a_minute() {
        let mut lsd = Lsd::new(7716, Seed::from_u64(1));
        lsd.handle_input(at(0), Input::Start(hash(0)));
        assert_eq!(run(&mut lsd, at(1)), [(1, 1)]);
        for number in 1..=5 {
            lsd.handle_input(at(u64::from(number)), Input::Start(hash(number)));
        }
        assert_eq!(run(&mut lsd, at(300)), [(61, 5)]);
    }

    #[test]
    fn thousands_take_turns() {
        let mut lsd = Lsd::new(7716, Seed::from_u64(1));
        for number in 0..10_000 {
            lsd.handle_input(at(0), Input::Start(hash(number)));
        }
        let log = run(&mut lsd, at(500));
        let most = log.iter().map(|(_, count)| *count).max().expect("some");
        assert!(most <= PACKETS_PER_ANNOUNCE_MAX * 27, "{most}");
        let first_round: usize = log.iter().take(8).map(|(_, count)| count).sum();
        assert!(first_round >= 10_000, "{log:?}");
        assert!(log.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 60), "{log:?}");
    }

    #[test]
    fn who_is_heard_is_named_but_for_ourselves_and_strangers_torrents() {
        let mut lsd = Lsd::new(7716, Seed::from_u64(1));
        lsd.handle_input(at(0), Input::Start(hash(7)));
        lsd.handle_timeout(at(2));
        let own = drain(&mut lsd);
        let from: SocketAddr = "192.168.1.9:6771".parse().expect("an address");
        for output in own {
            let Output::Send { packet, .. } = output else { continue };
            lsd.handle_input(at(3), Input::Packet { from, packet });
        }
        assert_eq!(drain(&mut lsd), []);
        let info_hashes = vec![hash(6), hash(7)];
        let theirs = Announce { port: 51413, info_hashes, cookie: String::new() };
        let packet = theirs.packet(Family::V4);
        lsd.handle_input(at(4), Input::Packet { from, packet: packet.clone() });
        let addr = "192.168.1.9:51413".parse().expect("an address");
        assert_eq!(drain(&mut lsd), [Output::Found { info_hash: hash(7), addr }]);
        let from = "[fe80::1]:6771".parse().expect("an address");
        lsd.handle_input(at(5), Input::Packet { from, packet });
        assert_eq!(drain(&mut lsd), []);
    }

    #[test]
    fn a_flood_is_not_listened_to() {
        let mut lsd = Lsd::new(7716, Seed::from_u64(1));
        lsd.handle_input(at(0), Input::Start(hash(7)));
        let theirs = Announce { port: 1, info_hashes: vec![hash(7)], cookie: String::new() };
        let packet = theirs.packet(Family::V4);
        let from: SocketAddr = "192.168.1.9:6771".parse().expect("an address");
        for _ in 0..2 * HEARD_PER_INTERVAL_MAX {
            lsd.handle_input(at(1), Input::Packet { from, packet: packet.clone() });
        }
        assert_eq!(drain(&mut lsd).len(), HEARD_PER_INTERVAL_MAX as usize);
        lsd.handle_input(at(100), Input::Packet { from, packet });
        assert_eq!(drain(&mut lsd).len(), 1);
    }
}
