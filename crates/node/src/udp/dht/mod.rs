//! The DHT's place on the UDP thread: the machine, and what passes between it and the rest.
//!
//! Shards say which torrents are to be looked for and get the peers; the API asks what it wants shown
//! and for single searches; others say where nodes may be, and what our address is. What the node knows
//! is written down now and then and at the end, so that the next run finds its way without asking
//! anybody's servers.

mod bootstrap;
mod figures;
mod saved;
mod searches;
mod torrents;

pub(crate) use bootstrap::may_look_up;
#[cfg(test)]
pub(crate) use figures::Traffic;
pub(crate) use figures::{DhtGauges, Rates};
pub(crate) use searches::Searched;
pub(crate) use torrents::TorrentFigures;

use crate::config::{NodeName, ReadOnly};
use crate::net::Admission;
use crate::session::shared::Shared;
use crate::shard::Command;
use althing_base::{Instant, Machine as _, Seed, Sha1Digest};
use althing_dht::wire::{Message, ParseError};
use althing_dht::{
    Config, CrawlConfig, CrawlStats, Dht, Goal, Input, Manners, NodeId, Output, Stats,
};
use althing_router::DhtWish;
use bootstrap::Bootstrap;
use figures::Figures;
use saved::Keeper;
use searches::Searches;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Weak;
use tokio::sync::{mpsc, oneshot};
use torrents::Torrents;
use tracing::{debug, trace};

/// What we say that we are in messages: "AL" and the release.
const VERSION: [u8; 4] = *b"AL\x00\x01";

/// What others ask of the DHT.
pub(crate) enum Request {
    /// What a torrent wants.
    Wish {
        /// Its name.
        info_hash: NodeId,
        /// What.
        wish: DhtWish,
    },
    /// Nodes that may be there.
    Contacts(Vec<SocketAddr>),
    /// Nodes that torrents of the last run name: to be asked if no other is known.
    Named(Vec<NodeName>),
    /// The bootstrap nodes have been looked up: where they are, and why some are not known.
    LookedUp { addrs: Vec<SocketAddr>, failed: Option<String> },
    /// Our address as the world sees it.
    External(IpAddr),
    /// Whether others can reach us.
    Standing(Standing),
    /// Search once.
    Search(Goal, oneshot::Sender<Searched>),
    /// Find out which torrents there are, and tell of them.
    Crawl(CrawlConfig, mpsc::UnboundedSender<NodeId>),
    /// One of them was looked at.
    Resolved(NodeId),
    /// How that stands, if it is done.
    CrawlStats(oneshot::Sender<Option<CrawlStats>>),
    /// How it is.
    Status(oneshot::Sender<Status>),
    /// How torrents stand that have these names; it is found out how many have them if that was not done
    /// lately.
    Torrents(Vec<NodeId>, oneshot::Sender<Vec<TorrentFigures>>),
}

/// What bears on how we announce ourselves, and on whether we answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Standing {
    /// Nobody can reach us.
    pub(crate) unreachable: bool,
    /// The port that we name is open: else the one counts that datagrams come from (BEP 5), to which
    /// our router may have made a way.
    pub(crate) port_is_open: bool,
}

/// How it is with the node.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) ids: [Option<NodeId>; 2],
    pub(crate) stats: Stats,
    pub(crate) read_only: bool,
    pub(crate) rates: Rates,
    /// How many torrents peers were found for by it, and how many peers.
    pub(crate) found: (usize, u64),
    /// Why the bootstrap nodes could not be looked up, the last time that was tried.
    pub(crate) bootstrap_failed: Option<String>,
    pub(crate) has_bootstrap: bool,
}

/// See the [module](self).
pub(super) struct DhtSide {
    /// `None` if the settings do not want it.
    machine: Option<Dht>,
    shared: Weak<Shared>,
    admission: Option<Admission>,
    /// Datagrams that are to go.
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    standing: Standing,
    read_only: ReadOnly,
    torrents: Torrents,
    searches: Searches,
    bootstrap: Bootstrap,
    /// Who is told which torrents there are. What waits there is bounded by what may be open at a time.
    crawled: Option<mpsc::UnboundedSender<NodeId>>,
    /// It has known nobody to begin with, once.
    is_lost: bool,
    keeper: Keeper,
    figures: Figures,
}

impl DhtSide {
    pub(super) fn new(now: Instant, seed: Seed, shared: Weak<Shared>) -> Self {
        let strong = shared.upgrade();
        let strong = strong.as_ref();
        let settings = strong.map(|shared| shared.config.dht.clone()).unwrap_or_default();
        let (keeper, saved) = match strong.filter(|_| settings.enabled) {
            Some(shared) => Keeper::open(now, shared.paths.dht()),
            None => (Keeper::none(), None),
        };
        let machine = strong.filter(|_| settings.enabled).map(|_| {
            let read_only = settings.read_only == ReadOnly::Always;
            let version = Some(VERSION);
            let manners = strong.map_or(Manners::default(), |shared| shared.config.dht_manners());
            Dht::new(now, Config { read_only, version, saved, manners, ..Config::new(seed) })
        });
        DhtSide {
            machine,
            admission: strong.map(|shared| shared.admission.clone()),
            out: VecDeque::new(),
            standing: Standing::default(),
            read_only: settings.read_only,
            torrents: Torrents::default(),
            searches: Searches::default(),
            bootstrap: Bootstrap::new(settings.bootstrap),
            crawled: None,
            is_lost: false,
            keeper,
            figures: Figures::new(now),
            shared,
        }
    }

    /// A datagram came that may be the DHT's.
    pub(super) fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        if self.machine.is_none() || !self.lets_through(from.ip()) {
            return;
        }
        self.figures.received(bytes.len());
        match Message::parse(bytes) {
            Ok(message) => self.input(now, Input::Message { from, message }),
            Err(ParseError::BadQuery { transaction, refusal }) => {
                self.input(now, Input::BadQuery { from, transaction, refusal });
            }
            Err(error) => trace!(%from, %error, "not a message of the DHT"),
        }
    }

    /// Others ask something.
    pub(super) fn request(&mut self, now: Instant, request: Request) {
        match request {
            Request::Wish { info_hash, wish } => self.wish(now, info_hash, wish),
            Request::Contacts(addrs) => self.contacts(now, addrs),
            Request::Named(nodes) => {
                self.bootstrap.add(nodes);
                let nobody = |machine: &Dht| machine.stats().nodes == [0, 0];
                if self.is_lost && self.machine.as_ref().is_some_and(nobody) {
                    self.bootstrap.look_up(&self.shared);
                }
            }
            Request::LookedUp { addrs, failed } => {
                self.bootstrap.looked_up(failed);
                self.contacts(now, addrs);
            }
            Request::External(ip) => self.input(now, Input::External(ip)),
            Request::Standing(standing) => self.stand(now, standing),
            Request::Search(goal, reply) => {
                if self.machine.is_some() {
                    let search = self.searches.begin(reply);
                    self.input(now, Input::Search { search, goal });
                }
            }
            Request::Crawl(config, told) => {
                self.crawled = Some(told);
                self.input(now, Input::Crawl(Some(config)));
            }
            Request::Resolved(info_hash) => self.input(now, Input::Resolved { info_hash }),
            Request::CrawlStats(reply) => {
                let _ = reply.send(self.machine.as_ref().and_then(Dht::crawl));
            }
            Request::Status(reply) => {
                if let Some(status) = self.status(now) {
                    // Who asked may have given up waiting, here and below.
                    let _ = reply.send(status);
                }
            }
            Request::Torrents(names, reply) => {
                let _ = reply.send(self.figures_of(now, &names));
            }
        }
    }

    /// This machine has other addresses than before.
    pub(super) fn moved(&mut self, now: Instant) {
        self.input(now, Input::NetworkChanged);
    }

    /// The system says that nobody can be reached there.
    pub(super) fn unreachable(&mut self, now: Instant, addr: SocketAddr) {
        self.input(now, Input::Unreachable { addr });
    }

    /// When to call [`timeout`](Self::timeout).
    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = self.machine.as_ref()?.poll_timeout().map(|(at, _)| at);
        next.into_iter().chain(self.keeper.due()).min()
    }

    /// That time has come.
    pub(super) fn timeout(&mut self, now: Instant) {
        let Some(machine) = &mut self.machine else { return };
        machine.handle_timeout(now);
        if self.keeper.is_due(now) {
            self.keeper.keep_later(now, machine);
        }
        self.figures.mark(now);
        if self.figures.may_show(now)
            && let Some(shared) = self.shared.upgrade()
        {
            shared.counters.dht.show(&machine.stats(), &self.figures);
        }
        self.drain(now);
    }

    /// The next datagram that is to go.
    pub(super) fn poll_send(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let next = self.out.pop_front()?;
        self.figures.sent(next.1.len());
        Some(next)
    }

    /// The session ends: what the node knows is written down.
    pub(super) fn stop(&mut self) {
        if let Some(machine) = &self.machine {
            self.keeper.keep_now(machine);
        }
    }

    fn lets_through(&self, ip: IpAddr) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.lets_through(ip))
    }

    fn wish(&mut self, now: Instant, info_hash: NodeId, wish: DhtWish) {
        match wish {
            DhtWish::Want(announce) => {
                self.torrents.want(info_hash, announce);
                let announce = self.torrents.told(announce, self.standing);
                self.input(now, Input::Want { info_hash, announce });
            }
            DhtWish::Hurry => self.input(now, Input::Hurry { info_hash }),
            DhtWish::Forget => {
                self.torrents.forget(&info_hash);
                self.input(now, Input::Forget { info_hash });
            }
        }
    }

    /// Asks whether nodes are there, of those that may be talked to.
    fn contacts(&mut self, now: Instant, mut addrs: Vec<SocketAddr>) {
        addrs.retain(|addr| self.lets_through(addr.ip()));
        if !addrs.is_empty() {
            self.input(now, Input::Contacts(addrs));
        }
    }

    fn stand(&mut self, now: Instant, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing);
        if self.read_only == ReadOnly::Auto {
            self.input(now, Input::Reachable(!standing.unreachable));
        }
        if before.port_is_open != standing.port_is_open {
            for (info_hash, announce) in self.torrents.announced() {
                let announce = self.torrents.told(announce, standing);
                self.input(now, Input::Want { info_hash, announce });
            }
        }
    }

    fn is_read_only(&self) -> bool {
        match self.read_only {
            ReadOnly::Auto => self.standing.unreachable,
            ReadOnly::Always => true,
            ReadOnly::Never => false,
        }
    }

    fn status(&mut self, now: Instant) -> Option<Status> {
        let machine = self.machine.as_ref()?;
        Some(Status {
            ids: machine.ids(),
            stats: machine.stats(),
            read_only: self.is_read_only(),
            rates: self.figures.rates(now),
            found: self.torrents.found(),
            bootstrap_failed: self.bootstrap.failed().map(str::to_owned),
            has_bootstrap: !self.bootstrap.is_empty(),
        })
    }

    fn figures_of(&mut self, now: Instant, names: &[NodeId]) -> Vec<TorrentFigures> {
        for name in names {
            if self.machine.is_some() && self.torrents.may_count(now, name) {
                let search = self.searches.begin_count(*name);
                self.input(now, Input::Search { search, goal: Goal::Scrape(*name) });
            }
        }
        let Some(machine) = &self.machine else { return Vec::new() };
        names
            .iter()
            .filter_map(|name| Some(self.torrents.figures(now, *name, machine.wanted(name)?)))
            .collect()
    }

    fn input(&mut self, now: Instant, input: Input) {
        if let Some(machine) = &mut self.machine {
            machine.handle_input(now, input);
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Instant) {
        let mut out_of_reach = Vec::new();
        while let Some(output) = self.machine.as_mut().and_then(|machine| machine.poll_output()) {
            match output {
                Output::Send { to, message } if self.lets_through(to.ip()) => {
                    self.out.push_back((to, message.encode()));
                }
                Output::Send { to, .. } => out_of_reach.push(to),
                Output::Peers { info_hash, peers } => self.found(info_hash, peers),
                Output::Found { search, what } => self.searches.found(search, what),
                Output::Done { search, cost } => {
                    if let Some((name, seeds, peers)) = self.searches.done(search, cost) {
                        self.torrents.counted(&name, seeds, peers);
                    }
                }
                Output::Crawled { info_hash } => {
                    if let Some(told) = &self.crawled {
                        // An error means that the session ends.
                        let _ = told.send(info_hash);
                    }
                }
                Output::NeedContacts => {
                    self.is_lost = true;
                    self.bootstrap.look_up(&self.shared);
                }
                Output::External { by, addr } => {
                    if let Some(shared) = self.shared.upgrade() {
                        shared.reach.told(by.ip(), addr.ip(), Some(addr.port()));
                    }
                }
            }
        }
        // Nobody answers from there.
        for addr in out_of_reach {
            self.input(now, Input::Unreachable { addr });
        }
    }

    /// Hands peers on to the shard that has their torrent, all but ourselves.
    fn found(&mut self, info_hash: NodeId, mut peers: Vec<SocketAddr>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let (view, port) = (shared.reach.view(), shared.told_port());
        peers.retain(|peer| !view.is_us(*peer, port));
        if peers.is_empty() {
            return;
        }
        debug!(%info_hash, peers = peers.len(), "the DHT names peers");
        self.torrents.found_peers(&info_hash, peers.len());
        if let Some(entry) = shared.torrents.by_hash(Sha1Digest(info_hash.0)) {
            shared.send(&entry, Command::FoundInDht(entry.key, peers));
        }
    }
}
