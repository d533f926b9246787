//! One torrent's machines and what passes between them.

use crate::{DhtWish, Output, TorrentKey, TorrentSetup};
use althing_base::machine::is_due;
use althing_base::{Instant, Machine, Seed, Sha1Digest};
use althing_bittorrent::swarm::{self, ConnId, PeerSource, Swarm};
use althing_bittorrent::tracker::announcer::{self, AnnounceId};
use althing_bittorrent::tracker::{
    AnnounceResponse, Announcer, AnnouncerConfig, TrackerError, Transfer,
};
use althing_bittorrent::webseed::{self, WebSeeds};
use althing_bittorrent::wire::Message;
use althing_bittorrent::{BlockRef, InfoHashes};
use althing_dht::{Announce, NodeId};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// What trackers are told where nobody can connect to us: they refuse 0, so programs that do not listen
/// name the port of a service that no machine has (as libtorrent does).
const NO_PORT: u16 = 1;

pub(crate) struct Torrent {
    pub(crate) swarm: Swarm,
    pub(crate) announcer: Announcer,
    /// Its web seeds, if it has any and something was to be fetched.
    pub(crate) web: Option<Box<WebSeeds>>,
    web_connections: u32,
    web_seed: Seed,
    /// Web seeds have been told that there is something to fetch.
    fetching: bool,
    /// The names under which the router knows it.
    pub(crate) known_as: Option<InfoHashes>,
    /// When the router will wake it.
    pub(crate) wake: Option<Instant>,
    /// Trackers have been told that we are there.
    announcing: bool,
    /// The names under which it is looked for in public: on our own network, and in the DHT.
    public: Option<InfoHashes>,
    /// What the DHT is told of us.
    announce: Option<Announce>,
    listen_port: Option<u16>,
    /// Whether it was known to be private (BEP 27) when it was added.
    private: bool,
}

impl Torrent {
    pub(crate) fn new(now: Instant, seed: Seed, setup: TorrentSetup) -> Self {
        let TorrentSetup {
            source,
            trackers,
            families,
            private,
            paused,
            web_connections,
            swarm: config,
        } = setup;
        let (peer_id, listen_port) = (config.peer_id, config.listen_port);
        let port = listen_port.unwrap_or(NO_PORT);
        let swarm = Swarm::new(now, config, seed.fork("swarm", 0), source, paused);
        let info_hashes = swarm.info_hashes();
        let config =
            AnnouncerConfig { info_hashes, tiers: trackers, private, peer_id, port, families };
        let announcer = Announcer::new(&config, seed.fork("announcer", 0));
        Torrent {
            swarm,
            announcer,
            web: None,
            web_connections,
            web_seed: seed.fork("web", 0),
            fetching: false,
            known_as: None,
            wake: None,
            announcing: false,
            public: None,
            announce: None,
            listen_port,
            private,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let due = |at| is_due(now, at);
        if due(self.swarm.poll_timeout().map(|(at, _)| at)) {
            self.swarm.handle_timeout(now);
        }
        if due(self.announcer.poll_timeout().map(|(at, _)| at)) {
            self.report();
            self.announcer.handle_timeout(now);
        }
        if let Some(web) = &mut self.web
            && due(web.poll_timeout().map(|(at, _)| at))
        {
            web.handle_timeout(now);
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let swarm = self.swarm.poll_timeout().map(|(at, _)| at);
        let announcer = self.announcer.poll_timeout().map(|(at, _)| at);
        let web = self.web.as_ref().and_then(|web| web.poll_timeout()).map(|(at, _)| at);
        swarm.into_iter().chain(announcer).chain(web).min()
    }

    /// Others find us at this port from now on.
    pub(crate) fn listen_at(&mut self, now: Instant, port: Option<u16>) {
        self.listen_port = port;
        self.announcer.set_port(port.unwrap_or(NO_PORT));
        self.swarm.handle_input(now, swarm::Input::ListenPort(port));
    }

    /// Trackers are to be told soon where we are.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.report();
        self.announcer.handle_input(now, announcer::Input::Moved);
    }

    pub(crate) fn announced(
        &mut self,
        now: Instant,
        id: AnnounceId,
        result: Result<AnnounceResponse, TrackerError>,
    ) {
        let input = match result {
            Ok(response) => announcer::Input::Response { id, response },
            Err(error) => announcer::Input::Failed { id, error },
        };
        self.report();
        self.announcer.handle_input(now, input);
    }

    /// Passes things on until all machines are drained: one input, then all outputs, then the next
    /// input that came of them.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        key: TorrentKey,
        outputs: &mut VecDeque<Output>,
        banned: &mut BTreeSet<IpAddr>,
    ) {
        let mut steps = VecDeque::new();
        let mut hurry = false;
        loop {
            while let Some(output) = self.swarm.poll_output() {
                match &output {
                    swarm::Output::FindPeers => {
                        steps.push_back(Step::Announcer(announcer::Input::NeedPeers));
                        hurry = true;
                        continue;
                    }
                    swarm::Output::DhtNode { addr } => {
                        outputs.push_back(Output::DhtNode { addr: *addr });
                        continue;
                    }
                    swarm::Output::ExternalAddress { by, ip } => {
                        outputs.push_back(Output::ExternalAddress { by: Some(*by), ip: *ip });
                        continue;
                    }
                    swarm::Output::Connect { addr } | swarm::Output::Punch { addr }
                        if banned.contains(&addr.ip()) =>
                    {
                        steps.push_back(Step::Swarm(swarm::Input::ConnectFailed { addr: *addr }));
                        continue;
                    }
                    // Trackers count those that have everything.
                    swarm::Output::Completed if !self.swarm.is_partial_seed() => {
                        steps.push_back(Step::Announcer(announcer::Input::Completed));
                    }
                    swarm::Output::Ban { ip } => {
                        banned.insert(*ip);
                    }
                    swarm::Output::Send { conn, message } if WebSeeds::is_ours(*conn) => {
                        tell_web_seed(*conn, message, &mut steps);
                        continue;
                    }
                    swarm::Output::Disconnect { conn, .. } if WebSeeds::is_ours(*conn) => {
                        steps.push_back(Step::Web(webseed::Input::Closed { conn: *conn }));
                        continue;
                    }
                    swarm::Output::WebSeedLied { seed, piece } => {
                        let (seed, piece) = (*seed, *piece);
                        steps.push_back(Step::Web(webseed::Input::Lied { seed, piece }));
                    }
                    _ => {}
                }
                outputs.push_back(Output::Swarm { torrent: key, output });
            }
            while let Some(output) = self.announcer.poll_output() {
                match output {
                    announcer::Output::PeersFound { peers } => {
                        let source = PeerSource::Tracker;
                        steps.push_back(Step::Swarm(swarm::Input::PeersFound { source, peers }));
                    }
                    announcer::Output::TrackerChanged => {
                        steps.push_back(Step::Swarm(swarm::Input::TrackerChanged));
                    }
                    announcer::Output::Announce { id, url, family, request } => {
                        let torrent = key;
                        outputs.push_back(Output::Announce { torrent, id, url, family, request });
                    }
                    announcer::Output::Cancel { id } => {
                        outputs.push_back(Output::CancelAnnounce { torrent: key, id });
                    }
                    announcer::Output::ExternalAddress { by, ip } => {
                        outputs.push_back(Output::ExternalAddress { by, ip });
                    }
                }
            }
            while let Some(output) = self.web.as_mut().and_then(|web| web.poll_output()) {
                match output {
                    webseed::Output::Open { conn, seed, have } => {
                        let input = swarm::Input::WebSeedOpened { conn, seed, have };
                        steps.push_back(Step::Swarm(input));
                    }
                    webseed::Output::Close { conn } => {
                        steps.push_back(Step::Swarm(swarm::Input::Disconnected { conn }));
                        outputs.push_back(Output::Web { torrent: key, output });
                    }
                    webseed::Output::Reject { conn, block } => {
                        let message = Message::Reject(block);
                        steps.push_back(Step::Swarm(swarm::Input::Message { conn, message }));
                    }
                    output => outputs.push_back(Output::Web { torrent: key, output }),
                }
            }
            if steps.is_empty() {
                steps.extend(self.start_or_stop_announcing());
                steps.extend(self.start_or_stop_fetching());
            }
            match steps.pop_front() {
                Some(Step::Swarm(input)) => self.swarm.handle_input(now, input),
                Some(Step::Announcer(input)) => {
                    self.report();
                    self.announcer.handle_input(now, input);
                }
                Some(Step::Web(input)) => {
                    if let Some(web) = &mut self.web {
                        web.handle_input(now, input);
                    }
                }
                None => {
                    self.find_in_public(key, hurry, outputs);
                    return;
                }
            }
        }
    }

    /// Peers on our own network, and the DHT, hear of it when trackers do, unless it is private (BEP 14,
    /// 5, 27); `hurry` if peers are needed soon.
    fn find_in_public(&mut self, torrent: TorrentKey, hurry: bool, outputs: &mut VecDeque<Output>) {
        let metainfo = self.swarm.metainfo();
        let private = self.private || metainfo.is_some_and(|metainfo| metainfo.is_private());
        let public = (self.announcing && !private).then(|| self.swarm.info_hashes());
        let seed = self.swarm.has_everything();
        let announce = public.and(self.listen_port).map(|port| Announce { port: Some(port), seed });
        if !hurry && (public, announce) == (self.public, self.announce) {
            return;
        }
        let names = |hashes: Option<InfoHashes>| -> BTreeSet<Sha1Digest> {
            hashes.iter().flat_map(InfoHashes::short_hashes).collect()
        };
        let (before, now) = (names(self.public), names(public));
        for info_hash in before.difference(&now).copied() {
            let (wanted, wish) = (false, DhtWish::Forget);
            outputs.push_back(Output::FindLocally { torrent, info_hash, wanted });
            outputs.push_back(Output::FindInDht { torrent, info_hash: info_hash.into(), wish });
        }
        for info_hash in now.iter().copied() {
            let is_new = !before.contains(&info_hash);
            if is_new {
                outputs.push_back(Output::FindLocally { torrent, info_hash, wanted: true });
            }
            let info_hash = NodeId::from(info_hash);
            if is_new || announce != self.announce {
                let wish = DhtWish::Want(announce);
                outputs.push_back(Output::FindInDht { torrent, info_hash, wish });
            }
            // What has just begun is not waiting for anything yet.
            if hurry && !is_new {
                let wish = DhtWish::Hurry;
                outputs.push_back(Output::FindInDht { torrent, info_hash, wish });
            }
        }
        (self.public, self.announce) = (public, announce);
    }

    /// Peers that nodes of the DHT named.
    pub(crate) fn found_in_dht(&mut self, now: Instant, peers: Vec<SocketAddr>) {
        // It may have turned out to be private while they were looked for.
        if self.public.is_some() {
            let source = PeerSource::Dht;
            self.swarm.handle_input(now, swarm::Input::PeersFound { source, peers });
        }
    }

    /// Peers on our own network that have it, too.
    pub(crate) fn found_locally(&mut self, now: Instant, peers: Vec<SocketAddr>) {
        if self.public.is_some() {
            let source = PeerSource::Lsd;
            self.swarm.handle_input(now, swarm::Input::PeersFound { source, peers });
        }
    }

    /// Trackers are told that we are there when we are: running, and sure of what is on disk.
    fn start_or_stop_announcing(&mut self) -> Option<Step> {
        let announce = self.swarm.wants_to_be_found();
        if announce == self.announcing {
            return None;
        }
        self.announcing = announce;
        let input = if announce { announcer::Input::Start } else { announcer::Input::Stop };
        Some(Step::Announcer(input))
    }

    /// Web seeds are connected to while there is something to fetch.
    fn start_or_stop_fetching(&mut self) -> Option<Step> {
        let fetch = self.web_connections > 0 && self.swarm.wants_web_seeds();
        if fetch == self.fetching {
            return None;
        }
        self.fetching = fetch;
        if !fetch {
            return self.web.as_ref().map(|_| Step::Web(webseed::Input::Stop));
        }
        let metainfo = self.swarm.metainfo().filter(|metainfo| !metainfo.web_seeds().is_empty())?;
        let (connections, seed) = (self.web_connections, self.web_seed);
        self.web.get_or_insert_with(|| Box::new(WebSeeds::new(connections, seed)));
        Some(Step::Web(webseed::Input::Start { metainfo: metainfo.clone() }))
    }

    /// A block came over a connection to a web seed.
    pub(crate) fn web_block_arrived(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        if let Some(web) = &mut self.web {
            web.handle_input(now, webseed::Input::Arrived { conn, block });
        }
    }

    /// Tells the announcer what it may have to tell trackers.
    fn report(&mut self) {
        let (downloaded, uploaded) = self.swarm.transferred_bytes();
        let left = self.swarm.absent_bytes();
        self.announcer.set_transfer(Transfer { uploaded, downloaded, left });
        self.announcer.set_partial_seed(self.swarm.is_partial_seed());
    }
}

/// What has to be told to whom.
enum Step {
    Swarm(swarm::Input),
    Announcer(announcer::Input),
    Web(webseed::Input),
}

/// Passes on what the swarm says to a web seed; requests in a row become one.
fn tell_web_seed(conn: ConnId, message: &Message, steps: &mut VecDeque<Step>) {
    match message {
        Message::Request(block) => {
            if let Some(Step::Web(webseed::Input::Requests { conn: last, blocks })) =
                steps.back_mut()
                && *last == conn
            {
                blocks.push(*block);
            } else {
                let blocks = vec![*block];
                steps.push_back(Step::Web(webseed::Input::Requests { conn, blocks }));
            }
        }
        Message::Cancel(block) => {
            steps.push_back(Step::Web(webseed::Input::Cancel { conn, block: *block }));
        }
        _ => {}
    }
}
