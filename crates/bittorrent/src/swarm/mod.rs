//! The swarm machine: one torrent's dealings with its peers.
//!
//! A [`Swarm`] is told what happens ([`Input`]) and says what is to be done ([`Output`]). It knows
//! which pieces there are, who has them, who may ask for what; it never sees a byte of payload.
//! The run loop is that of every machine: one mutation, then drain.
//!
//! A torrent goes through three phases. With only a magnet link, its **metadata** is fetched from
//! peers. Then the driver **opens** its files and says which pieces are there. Then it is
//! **active**: it fetches what is wanted and gives what it has.
//!
//! Where to find things: `connections` (who is connected), `messages` (what they say),
//! `download` (ordering blocks), `urgent` (those that somebody waits for), `trial` (from those who
//! may be liars), `wishes` (what is wanted
//! changes), `upload` (giving them, choking), `claims` (slots that go to
//! waste), `guests` (a slot for newcomers), `slots` (whom all torrents share), `superseed` (BEP 16),
//! `spread` (who passes on what is rare), `pex` (BEP 11), `dht` (BEP 5), `application` (an extension that is only
//! carried), `holepunch` (BEP 55), `lost`
//! (BEP 54), `hashes` (BEP 52's trees), `stats`
//! (what a user sees). The
//! policies are types of their own: [`Picker`] and [`Choker`].

mod application;
mod availability;
mod blame;
mod candidates;
mod choker;
mod claims;
mod conduct;
mod connections;
mod deadlines;
mod dht;
mod download;
mod elsewhere;
mod guests;
mod hashes;
mod holepunch;
mod io;
pub mod limits;
mod lost;
mod messages;
mod metadata;
mod peer;
mod pex;
mod picker;
mod piece_wishes;
mod pieces;
mod priority;
mod rate;
mod room;
mod seldom;
mod slots;
mod spread;
mod stats;
mod suggest;
mod superseed;
#[cfg(test)]
mod tests;
mod trial;
mod upload;
mod urgent;
mod web;
mod wishes;

pub use choker::{ChokeCandidate, Choker, ChokerKind, SeedingKind, Standing, Unchoked, Weight};
pub use deadlines::ReaderId;
pub use io::{
    ApplicationEvent, ApplicationWish, ConnId, Direction, DisconnectReason, Input, Output,
    PeerSource, StorageFault, Transport,
};
pub use picker::{Picker, PickerKind};
pub use piece_wishes::PieceWishes;
pub use priority::FilePriorities;
pub use stats::{Fault, PeerStats, State, SwarmStats};

use crate::metainfo::{Magnet, Metainfo};
use crate::types::{Bitfield, InfoHashes, PeerId, PieceIndex};
use althing_base::machine::is_due;
use althing_base::time::Duration;
use althing_base::{Instant, Machine, Rng, Seed};
use application::Calls;
use availability::Availability;
use blame::Blame;
use candidates::Candidates;
use conduct::Conduct;
use deadlines::Deadlines;
use guests::Guests;
use hashes::HashFetch;
use holepunch::Holes;
use limits::{CHOKE_INTERVAL, CONNECTING_MAX, CONNECTIONS_MAX, UNCHOKE_SLOTS};
use metadata::MetadataFetch;
use peer::Peers;
use pex::Exchange;
use pieces::OpenPieces;
use priority::PiecePriorities;
use seldom::Seldom;
use slots::SharedSlots;
use spread::{Spread, SpreadLog};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use suggest::Suggestions;
use superseed::SuperSeed;

/// How a swarm behaves.
#[derive(Clone, Debug)]
pub struct SwarmConfig {
    /// What we call ourselves (BEP 20).
    pub peer_id: PeerId,
    /// Where we listen, told to peers that we connected to (BEP 10's `p`).
    pub listen_port: Option<u16>,
    /// Connections at most.
    pub connections_max: usize,
    /// Connection attempts at once.
    pub connecting_max: usize,
    /// Peers unchoked at once, the optimistic one included.
    pub unchoke_slots: usize,
    /// Upload slots are shared with other torrents: nobody is unchoked before
    /// [`Input::UploadSlots`].
    pub shares_slots: bool,
    /// Which piece is fetched next.
    pub picker: PickerKind,
    /// Who is given to while we fetch.
    pub choker: ChokerKind,
    /// Who is given to once we have everything.
    pub seeding: SeedingKind,
    /// Show each peer one piece at a time once we have everything, until enough copies are out
    /// (BEP 16).
    pub super_seed: bool,
    /// Tell peers of each other, and believe them (BEP 11); never for private torrents.
    pub pex: bool,
    /// The driver connects over uTP: peers bring each other together through us, and us with others (BEP
    /// 55). With [`pex`](Self::pex) only.
    pub utp: bool,
    /// We have a node of the DHT where we listen: peers are told so, and what they say of theirs is
    /// passed on (BEP 5); never for private torrents.
    pub dht: bool,
    /// The name of an extension (BEP 10) that the swarm carries for an application: payloads come and go
    /// by [`Input::Application`] and [`Output::Application`]. The torrent is a meeting place then: whoever
    /// speaks the extension stays though there is nothing to exchange, and nobody is called but whom
    /// the application names.
    pub application: Option<&'static str>,
    /// How much each file is wanted at the start; [`Input::SetPriorities`] changes it.
    pub priorities: FilePriorities,
    /// Name and version of this program (BEP 10's `v`).
    pub client: Cow<'static, str>,
}

impl SwarmConfig {
    /// The defaults, under the given name.
    pub fn new(peer_id: PeerId) -> Self {
        SwarmConfig {
            peer_id,
            listen_port: None,
            connections_max: CONNECTIONS_MAX,
            connecting_max: CONNECTING_MAX,
            unchoke_slots: UNCHOKE_SLOTS,
            shares_slots: false,
            picker: PickerKind::default(),
            choker: ChokerKind::default(),
            seeding: SeedingKind::default(),
            super_seed: false,
            pex: true,
            utp: false,
            dht: false,
            application: None,
            priorities: FilePriorities::default(),
            client: concat!("Althing ", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

/// What is known of a torrent at the start.
#[derive(Clone, Debug)]
pub enum Source {
    /// All of it.
    Metainfo(Arc<Metainfo>),
    /// Its name; peers have to tell the rest.
    Magnet(Magnet),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Metadata,
    Opening,
    Active,
}

/// Why a swarm wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The choker's next round.
    Choke,
    /// An address may be tried.
    Connect,
    /// Silent, slow or stalled peers.
    Housekeeping,
    /// More peers may be asked for.
    FindPeers,
    /// Somebody waits for pieces that may be late.
    Deadlines,
}

/// One torrent's dealings with its peers. See the [module](self).
pub struct Swarm {
    config: SwarmConfig,
    rng: Rng,
    seed: Seed,
    info_hashes: InfoHashes,
    magnet: Option<Box<Magnet>>,
    metainfo: Option<Arc<Metainfo>>,
    phase: Phase,
    paused: bool,
    fault: Option<Fault>,

    peers: Peers,
    candidates: Candidates,
    conduct: Seldom<Conduct>,
    /// Somebody gives: those who only promise to are waited for less.
    somebody_gives: bool,
    departed: VecDeque<PeerStats>,

    /// On disk and right.
    have: Bitfield,
    /// How much each piece is wanted.
    priorities: PiecePriorities,
    /// Not to be ordered from peers; no bits if there are none.
    held: Bitfield,
    /// Wanted and not on disk.
    missing: u32,
    /// What is needed when.
    deadlines: Seldom<Deadlines>,
    picker: Box<dyn Picker>,
    open: Seldom<OpenPieces>,
    blame: Blame,
    /// Boxed like the link: most torrents never need either.
    metadata: Option<Box<MetadataFetch>>,
    hashes: Seldom<HashFetch>,

    /// Made with the first round, like the one for when everything is here.
    choker: Option<Box<dyn Choker>>,
    seeder: Option<Box<dyn Choker>>,
    /// What this one has of the slots that torrents share.
    shared_slots: SharedSlots,
    guests: Guests,
    /// What is sent is shared out by weight.
    shares: bool,
    /// How much those who are sent something have been sent, each byte divided by its weight.
    served: u64,
    /// What addresses that are gone gave us and took from us, in bytes, and what they did with it.
    ledger: BTreeMap<IpAddr, (u64, u64, Spread)>,
    availability: Availability,
    exchange: Exchange,
    holes: Seldom<Holes>,
    calls: Seldom<Calls>,
    spread: Seldom<SpreadLog>,
    super_seed: SuperSeed,
    suggestions: Option<Box<Suggestions>>,
    choke_at: Option<Instant>,
    connect_at: Option<Instant>,
    housekeeping_at: Option<Instant>,
    find_peers_at: Option<Instant>,
    hurry_at: Option<Instant>,
    /// How often peers have been asked for since the last one came.
    asked_in_vain: u32,

    totals: stats::Totals,
    /// How long blocks have taken of late from when they were ordered, whoever they came from.
    response: Duration,
    /// When a block of payload came last, from anybody.
    last_received_at: Instant,
    /// When a block was sent last, to anybody.
    last_sent_at: Instant,
    outputs: VecDeque<Output>,
}

impl Swarm {
    /// A swarm for a torrent. Starts paused or not; with the metainfo known it waits for
    /// [`Input::StorageReady`], else it looks for peers at once.
    pub fn new(
        now: Instant,
        config: SwarmConfig,
        seed: Seed,
        source: Source,
        paused: bool,
    ) -> Self {
        let (info_hashes, magnet, metainfo) = match source {
            Source::Metainfo(metainfo) => (metainfo.info_hashes(), None, Some(metainfo)),
            Source::Magnet(magnet) => (magnet.info_hashes, Some(Box::new(magnet)), None),
        };
        let mut swarm = Swarm {
            rng: Rng::new(seed.fork("swarm", 0)),
            picker: config.picker.build(0, seed),
            choker: None,
            seeder: None,
            shared_slots: SharedSlots::default(),
            guests: Guests::default(),
            shares: false,
            served: 0,
            ledger: BTreeMap::new(),
            availability: Availability::default(),
            exchange: Exchange::default(),
            holes: Seldom::default(),
            calls: Seldom::default(),
            spread: Seldom::default(),
            super_seed: SuperSeed::default(),
            suggestions: None,
            phase: if metainfo.is_some() { Phase::Opening } else { Phase::Metadata },
            metadata: metainfo.is_none().then(|| Box::new(MetadataFetch::new(info_hashes))),
            config,
            seed,
            info_hashes,
            magnet,
            metainfo,
            paused,
            fault: None,
            peers: Peers::new(),
            candidates: Candidates::default(),
            conduct: Seldom::default(),
            somebody_gives: false,
            departed: VecDeque::new(),
            have: Bitfield::new(0),
            held: Bitfield::new(0),
            priorities: PiecePriorities::none(),
            missing: 0,
            deadlines: Seldom::default(),
            open: Seldom::default(),
            blame: Blame::default(),
            hashes: Seldom::default(),
            choke_at: None,
            connect_at: None,
            housekeeping_at: None,
            find_peers_at: None,
            hurry_at: None,
            asked_in_vain: 0,
            totals: stats::Totals::default(),
            response: Duration::ZERO,
            last_received_at: now,
            last_sent_at: now,
            outputs: VecDeque::new(),
        };
        if swarm.phase == Phase::Metadata && !paused {
            swarm.find_peers_at = Some(now);
        }
        swarm
    }

    /// Whether it deals with peers at all.
    fn is_running(&self) -> bool {
        !self.paused && self.fault.is_none()
    }

    /// Whether every selected piece is on disk. If none is selected, the user is still choosing, and
    /// those that have everything are not sent away meanwhile.
    fn is_complete(&self) -> bool {
        self.phase == Phase::Active
            && self.missing == 0
            && self.priorities.selected.count_ones() > 0
    }

    fn wants(&self, piece: PieceIndex) -> bool {
        self.priorities.selected.get(piece) && !self.have.get(piece)
    }

    /// Lets go of every connection and of everything that is on order.
    fn stop(&mut self, now: Instant, reason: DisconnectReason) {
        let all: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in all {
            self.drop_peer(now, conn, reason);
        }
        self.choke_at = None;
        self.connect_at = None;
        self.housekeeping_at = None;
        self.find_peers_at = None;
        self.hurry_at = None;
    }

    fn resume(&mut self, now: Instant) {
        self.paused = false;
        self.fault = None;
        self.candidates.retry_all(now);
        if self.phase != Phase::Opening {
            self.find_peers_at = Some(now);
            self.connect_more(now);
            self.watch_deadlines(now);
        }
    }

    /// The disk refused: nothing can be fetched or given, and what was in progress is lost.
    fn fail(&mut self, now: Instant, fault: Fault) {
        self.fault = Some(fault);
        self.stop(now, DisconnectReason::Stopped);
        self.abandon_open_pieces();
    }

    fn abandon_open_pieces(&mut self) {
        let open: Vec<PieceIndex> = self.open.iter().map(|(piece, _)| piece).collect();
        for piece in open {
            self.abandon(piece);
        }
    }

    /// The info dictionary came in from peers and is genuine.
    fn metadata_complete(&mut self, now: Instant, info: &bytes::Bytes) {
        let Some(magnet) = self.magnet.take() else { return };
        self.metadata = None;
        match Metainfo::from_info(info, &magnet) {
            Err(error) => {
                // Every peer of this torrent has this text: nobody to blame, nothing to hope for.
                self.fail(now, Fault::Metainfo(error.to_string()));
                self.metadata = Some(Box::new(MetadataFetch::new(self.info_hashes)));
                self.magnet = Some(magnet);
            }
            Ok(metainfo) => {
                let metainfo = Arc::new(metainfo);
                self.info_hashes = metainfo.info_hashes();
                self.metainfo = Some(Arc::clone(&metainfo));
                self.phase = Phase::Opening;
                self.settle_peers(now, metainfo.piece_count());
                if metainfo.is_private() {
                    self.forget_exchanged(now);
                }
                self.outputs.push_back(Output::MetadataReceived { metainfo });
            }
        }
    }

    /// The files are open: from here on the torrent is fetched and given.
    fn storage_ready(&mut self, now: Instant, have: Bitfield) {
        let Some(metainfo) = self.metainfo.clone() else { return };
        let pieces = metainfo.piece_count();
        if have.len() != pieces {
            debug_assert_eq!(have.len(), pieces, "the driver counts other pieces");
            return;
        }
        self.phase = Phase::Active;
        let before = std::mem::replace(&mut self.have, have);
        self.take_stock(&metainfo);
        self.picker = self.config.picker.build(pieces, self.seed.fork("picker", 0));
        self.fill_picker(&metainfo);
        self.hashes = Seldom::default();
        if metainfo.missing_layers().next().is_some() {
            self.hashes.start(&metainfo);
        }
        self.availability.clear();
        self.tell_what_is_there(now, &before);
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            self.introduce(now, conn);
        }
        if self.is_running() {
            self.find_peers_at = Some(now);
            self.connect_more(now);
            self.watch_deadlines(now);
        }
    }
}

impl Machine for Swarm {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next input");
        match input {
            Input::Block { conn, block } => self.block_arrived(now, conn, block),
            Input::BlockSent { conn, block } => self.block_sent(now, conn, block),
            Input::Message { conn, message } => self.message(now, conn, message),
            Input::PieceStored { piece, block_digests } => {
                self.piece_stored(now, piece, block_digests.as_ref());
            }
            Input::PieceCorrupt { piece, block_digests } => {
                self.piece_corrupt(now, piece, block_digests);
            }
            Input::PartialPiece { piece, blocks } => self.partial_piece(now, piece, &blocks),
            Input::Connected { conn, addr, direction, transport, handshake } => {
                self.connected(now, conn, addr, direction, transport, handshake);
            }
            Input::WebSeedOpened { conn, seed, have } => {
                self.web_seed_opened(now, conn, seed, have);
            }
            Input::ConnectFailed { addr } if self.is_connected_to(addr) => self.has_come(now, addr),
            Input::ConnectFailed { addr } => {
                self.candidates.failed(now, addr);
                self.not_reached(now, addr);
                self.call_failed(now, addr);
                self.connect_more(now);
            }
            Input::Disconnected { conn } => {
                self.forget_peer(now, conn);
                self.connect_more(now);
            }
            Input::PeersFound { source, peers } => self.peers_found(now, source, &peers),
            Input::TrackerChanged => self.part_from_all(now),
            Input::Leaves { piece, leaves } => self.leaves_read(now, piece, leaves.as_deref()),
            Input::StorageReady { have } => self.storage_ready(now, have),
            Input::StorageFault(fault) => self.fail(now, Fault::Storage(fault)),
            Input::SetPriorities(priorities) => self.set_priorities(now, priorities),
            Input::SetPicker(kind) => self.set_picker(now, kind),
            Input::SetBounds { connections, upload_slots } => {
                self.config.connections_max = connections;
                self.config.unchoke_slots = upload_slots;
                self.tell_demand(false);
            }
            Input::UploadSlots(slots) => self.slots_granted(now, slots),
            Input::SetDeadlines { reader, pieces } => self.set_deadlines(now, reader, pieces),
            Input::Pause => {
                self.paused = true;
                self.stop(now, DisconnectReason::Stopped);
            }
            Input::Resume => self.resume(now),
            Input::Recheck => self.recheck(now),
            Input::PiecesLost { pieces } => self.pieces_lost(now, &pieces),
            Input::ListenPort(port) => self.config.listen_port = port,
            Input::SuperSeed(on) => self.set_super_seed(now, on),
            Input::Hold { pieces } => self.hold(now, &pieces),
            Input::Release { pieces } => self.release_held(now, &pieces),
            Input::Application(wish) => self.application_wish(now, wish),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next timeout");
        let due = |at| is_due(now, at);
        if due(self.housekeeping_at) {
            self.housekeeping(now);
        }
        if due(self.hurry_at) {
            self.hurry(now);
        }
        if due(self.choke_at) {
            self.super_seed_round(now);
            self.choke_round(now);
            self.part_from_seeds(now);
            self.exchange_peers(now);
            self.choke_at = (!self.peers.is_empty()).then(|| now + CHOKE_INTERVAL);
        }
        if due(self.find_peers_at) {
            self.find_peers(now);
        }
        if due(self.connect_at) {
            self.connect_more(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        // One of ten thousand that nobody asks for needs no room for what it might say.
        if output.is_none() && self.peers.is_empty() {
            self.outputs = VecDeque::new();
        }
        output
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        [
            (self.choke_at, Reason::Choke),
            (self.connect_at, Reason::Connect),
            (self.housekeeping_at, Reason::Housekeeping),
            (self.find_peers_at, Reason::FindPeers),
            (self.hurry_at, Reason::Deadlines),
        ]
        .into_iter()
        .filter_map(|(at, reason)| Some((at?, reason)))
        .min()
    }
}

impl Swarm {
    /// Makes sure that housekeeping happens within `wait`.
    fn watch(&mut self, now: Instant, wait: Duration) {
        let at = now + wait;
        self.housekeeping_at = Some(self.housekeeping_at.map_or(at, |old| old.min(at)));
    }
}
