//! The node: one machine for both address families, each with a name and a table of its own (BEP 32).
//!
//! This file has its state, its inputs and its timers. What it answers is in `answer`, what it asks in
//! `ask`, and how it keeps its tables in `upkeep`.

mod answer;
mod ask;
mod crawl;
mod upkeep;

use crate::announce::{Wanted, WantedStats};
use crate::crawl::Crawl;
use crate::id::NodeId;
use crate::io::{Goal, Input, Output, SearchId};
use crate::items::Items;
use crate::limits::{K, SAVED_NODES_MAX, SEARCHES_MAX, SWEEP_S};
use crate::manners::Manners;
use crate::measure::{Size, Times};
use crate::peers::Peers;
use crate::rate::{Incoming, Outgoing};
use crate::recent::Recent;
use crate::save::Saved;
use crate::search::{Owner, Search};
use crate::table::Table;
use crate::tokens::Tokens;
use crate::wire::{Body, Message};
use althing_base::machine::is_due;
use althing_base::{Instant, Machine, Rng, Seed};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// A node of the mainline DHT. See [`Machine`] for the run loop.
#[derive(Debug)]
pub struct Dht {
    sides: [Option<Side>; 2],
    rng: Rng,
    /// Answers nobody, by the settings or because nobody can reach it (BEP 43).
    read_only: bool,
    is_reachable: bool,
    version: Option<[u8; 4]>,
    tokens: Tokens,
    peers: Peers,
    items: Items,
    incoming: Incoming,
    outgoing: Outgoing,
    questions: ask::Questions,
    /// Boxed: a map keeps the room of a few when it is empty.
    searches: BTreeMap<u64, Box<Search>>,
    /// Searches of the owner that wait for others to end.
    waiting: VecDeque<(SearchId, Goal)>,
    next_search: u64,
    /// Where items were looked up lately.
    recent: Recent,
    wakes: BTreeSet<(Instant, u64)>,
    wanted: Wanted,
    upkeep: upkeep::Upkeep,
    sweep_at: Option<Instant>,
    /// It asks around which torrents there are. Boxed: hardly anybody does.
    crawl: Option<Box<Crawl>>,
    outputs: VecDeque<Output>,
}

/// One address family.
#[derive(Debug)]
struct Side {
    table: Table,
    times: Times,
    size: Size,
    self_lookup_at: Instant,
    /// It has been joined: the first lookup of our own name was made.
    joined: bool,
}

/// How a node is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// From which all its choices follow. Names, tokens and transactions come from it, so nobody else
    /// may know it.
    pub seed: Seed,
    /// Over IPv4.
    pub v4: bool,
    /// Over IPv6.
    pub v6: bool,
    /// Answer nobody (BEP 43).
    pub read_only: bool,
    /// What to say that we are: two letters and two bytes.
    pub version: Option<[u8; 4]>,
    /// What was kept of the last run.
    pub saved: Option<Saved>,
    /// Whose the DHT is.
    pub manners: Manners,
}

impl Side {
    /// How many nodes there are: as lookups show, or before there were any, as the nodes show that are
    /// nearest to us.
    fn network(&self) -> Option<f64> {
        self.size.estimate().or_else(|| {
            let me = self.table.me();
            let nearest = self.table.nearest(&me, K, false);
            let last = nearest.get(K - 1)?.id.distance(&me).fraction();
            (last > 0.0).then(|| (K as f64 - 1.0) / last)
        })
    }
}

impl Config {
    /// A node over both families that answers and begins anew.
    pub fn new(seed: Seed) -> Self {
        let (read_only, version, saved, manners) = (false, None, None, Manners::default());
        Config { seed, v4: true, v6: true, read_only, version, saved, manners }
    }
}

/// Why it wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A question is not answered in time.
    Question,
    /// A search goes on without an answer.
    Search,
    /// A wanted torrent's turn has come.
    Wanted,
    /// The table is to be kept fresh, or nobody is known.
    Upkeep,
    /// What others stored has come to its end.
    Sweep,
    /// Somebody is to be asked which torrents he knows of.
    Crawl,
}

/// Figures of a node.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Stats {
    /// Nodes in the tables that are not bad: IPv4, IPv6.
    pub nodes: [usize; 2],
    /// How many nodes there are, as far as lookups show: IPv4, IPv6.
    pub network: [Option<f64>; 2],
    /// Torrents that others announced here.
    pub torrents: usize,
    /// Peers of them.
    pub peers: usize,
    /// Items that others put here.
    pub items: usize,
    /// Torrents that are wanted.
    pub wanted: usize,
    /// Searches under way.
    pub searches: usize,
    /// Questions under way.
    pub questions: usize,
}

/// Which side an address is on.
fn family(addr: SocketAddr) -> usize {
    usize::from(addr.is_ipv6())
}

impl Dht {
    /// A node that knows nobody but whom it knew when it was saved.
    pub fn new(now: Instant, config: Config) -> Self {
        let Config { seed, v4, v6, read_only, version, saved, manners } = config;
        let mut rng = Rng::new(seed.fork("dht", 0));
        let ids = match &saved {
            Some(saved) => saved.ids,
            None => [NodeId::random(&mut rng), NodeId::random(&mut rng)],
        };
        let side = |wanted: bool, id| {
            wanted.then(|| Side {
                table: Table::new(id),
                times: Times::default(),
                size: Size::default(),
                self_lookup_at: now,
                joined: false,
            })
        };
        let nodes = saved.into_iter().flat_map(|saved| saved.nodes);
        Dht {
            sides: [side(v4, ids[0]), side(v6, ids[1])],
            rng,
            read_only,
            is_reachable: true,
            version,
            tokens: Tokens::new(seed.fork("dht tokens", 0)),
            peers: Peers::new(manners),
            items: Items::default(),
            incoming: Incoming::new(now, manners),
            outgoing: Outgoing::new(now, manners),
            questions: ask::Questions::default(),
            searches: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_search: 0,
            recent: Recent::default(),
            wakes: BTreeSet::new(),
            wanted: Wanted::new(manners),
            upkeep: upkeep::Upkeep::new(now, nodes.map(|node| node.addr)),
            sweep_at: None,
            crawl: None,
            outputs: VecDeque::new(),
        }
    }

    /// Our name over IPv4 and over IPv6, where we are there.
    pub fn ids(&self) -> [Option<NodeId>; 2] {
        [0, 1].map(|side| self.sides[side].as_ref().map(|side| side.table.me()))
    }

    /// What is to be kept for the next run.
    pub fn save(&self) -> Saved {
        let sides = self.sides.iter().flatten();
        let nodes = sides.flat_map(|side| side.table.to_save(SAVED_NODES_MAX)).collect();
        let id = |side: usize| {
            self.sides[side].as_ref().map_or(NodeId([0; NodeId::LEN]), |side| side.table.me())
        };
        Saved { ids: [id(0), id(1)], nodes }
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let side = |side: usize| self.sides[side].as_ref();
        let (torrents, peers) = self.peers.len();
        Stats {
            nodes: [0, 1].map(|at| side(at).map_or(0, |side| side.table.len())),
            network: [0, 1].map(|at| side(at).and_then(Side::network)),
            torrents,
            peers,
            items: self.items.len(),
            wanted: self.wanted.len(),
            searches: self.searches.len(),
            questions: self.questions.len(),
        }
    }

    /// How a torrent stands that is [`Want`](Input::Want)ed.
    pub fn wanted(&self, info_hash: &NodeId) -> Option<WantedStats> {
        self.wanted.stats(info_hash)
    }

    /// Whether anybody is known to ask.
    fn knows_anybody(&self) -> bool {
        self.sides.iter().flatten().any(|side| !side.table.is_empty())
    }

    /// Whether it answers nobody (BEP 43).
    fn is_silent(&self) -> bool {
        self.read_only || !self.is_reachable
    }

    fn take_message(&mut self, now: Instant, from: SocketAddr, message: Message) {
        match message.body {
            Body::Query { from: id, read_only, query } => {
                self.answer(now, from, message.transaction, id, read_only, *query);
            }
            Body::Response(response) => {
                self.take_response(now, from, &message.transaction, *response);
            }
            Body::Error(refusal) => {
                self.take_refusal(now, from, &message.transaction, &refusal);
            }
        }
    }

    /// Begins a search that the owner asked for, if there is room for it.
    fn search(&mut self, now: Instant, search: SearchId, goal: Goal) {
        if self.searches.len() < SEARCHES_MAX {
            self.start_search(now, Owner::Asked(search), goal, None);
        } else if self.waiting.len() < SEARCHES_MAX {
            self.waiting.push_back((search, goal));
        } else {
            self.outputs.push_back(Output::Done { search, cost: crate::io::Cost::default() });
        }
    }

    fn cancel(&mut self, search: SearchId) {
        self.waiting.retain(|(waiting, _)| *waiting != search);
        let owner = Owner::Asked(search);
        let known = self.searches.iter().find(|(_, known)| known.owner == owner);
        let key = known.map(|(key, _)| *key);
        if let Some(known) = key.and_then(|key| self.searches.remove(&key))
            && let (Some(wake), Some(key)) = (known.wake, key)
        {
            self.wakes.remove(&(wake, key));
        }
    }

    /// Starts what waits for its turn.
    fn start_what_waits(&mut self, now: Instant) {
        while self.searches.len() < SEARCHES_MAX
            && let Some((search, goal)) = self.waiting.pop_front()
        {
            self.start_search(now, Owner::Asked(search), goal, None);
        }
        if !self.knows_anybody() {
            return;
        }
        if !is_due(now, self.wanted.start_at()) {
            return;
        }
        let known = self.sides.iter().flatten().map(|side| side.table.len()).sum();
        while let Some((info_hash, announce)) = self.wanted.start(now, known) {
            self.start_search(now, Owner::Wanted, Goal::Peers(info_hash), announce);
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.peers.sweep(now);
        self.items.sweep(now);
        self.outgoing.sweep(now);
        self.recent.sweep(now);
        self.sweep_at = None;
        self.sweep_later(now);
    }

    /// Sees to it that what is stored is forgotten in time.
    fn sweep_later(&mut self, now: Instant) {
        let is_empty = self.peers.is_empty() && self.items.is_empty() && self.recent.is_empty();
        if self.sweep_at.is_none() && !is_empty {
            self.sweep_at = Some(now + Duration::from_secs(SWEEP_S));
        }
    }
}

impl Machine for Dht {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { from, message } => self.take_message(now, canonical(from), message),
            Input::BadQuery { from, transaction, refusal } => {
                self.refuse_bad(now, canonical(from), transaction, refusal);
            }
            Input::Unreachable { addr } => self.unreachable(now, canonical(addr)),
            Input::Contacts(addrs) => {
                self.upkeep.add_contacts(addrs.into_iter().map(canonical));
                self.ask_contacts(now);
            }
            Input::Want { info_hash, announce } => self.wanted.want(now, info_hash, announce),
            Input::Hurry { info_hash } => self.wanted.hurry(now, info_hash),
            Input::Forget { info_hash } => self.wanted.forget(&info_hash),
            Input::Search { search, goal } => self.search(now, search, goal),
            Input::Cancel(search) => self.cancel(search),
            Input::External(ip) => self.external(now, ip),
            Input::Reachable(reachable) => self.is_reachable = reachable,
            Input::NetworkChanged => self.network_changed(now),
            Input::Crawl(config) => self.set_crawl(now, config),
            Input::Resolved { info_hash } => self.resolved(&info_hash),
        }
        self.crawl_on(now);
        self.start_what_waits(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.time_out_questions(now);
        while let Some((at, key)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            if let Some(search) = self.searches.get_mut(&key) {
                search.wake = None;
            }
            self.step(now, key);
        }
        if is_due(now, self.sweep_at) {
            self.sweep(now);
        }
        if self.upkeep.at() <= now {
            self.keep_up(now);
        }
        self.crawl_on(now);
        self.start_what_waits(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.outputs.capacity() > 8 {
            // A hundred thousand of them may rest in a simulation.
            self.outputs.shrink_to(4);
        }
        output
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let wanted = self.wanted.start_at().filter(|_| self.knows_anybody());
        let wake = self.wakes.first().map(|(at, _)| *at);
        [
            (self.questions.next_timeout(), Reason::Question),
            (wake, Reason::Search),
            (wanted, Reason::Wanted),
            (Some(self.upkeep.at()), Reason::Upkeep),
            (self.sweep_at, Reason::Sweep),
            (self.crawl.as_ref().map(|crawl| crawl.deadline()), Reason::Crawl),
        ]
        .into_iter()
        .filter_map(|(at, reason)| Some((at?, reason)))
        .min_by_key(|(at, _)| *at)
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
