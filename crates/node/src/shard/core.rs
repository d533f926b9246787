//! What a shard knows: its router, its torrents, its connections. All of it is synchronous; inputs
//! go in, and outputs become calls to sockets' queues, the disk pool and other threads.

use super::conn::{Conn, Dial, Identity, Whom};
use super::reading::Reads;
use super::torrent::Torrent;
use super::web::Lanes;
use crate::clock;
use crate::limits::{CONNECTING_MAX, FRAME_BYTES_COMMON, READS_PERCENT};
use crate::net::Place;
use crate::peer::line::Encrypted;
use crate::peer::receive::Received;
use crate::peer::send::{Budget, QueueFull};
use crate::rates::{Flow, Gate, Line, Paced, Pacer, is_local};
use crate::session::Event;
use crate::session::shared::Shared;
use crate::shard::Command;
use crate::trackers::{Announce, Whose};
use crate::udp::DhtRequest;
use althing_base::{Instant, Machine as _, Rng, Seed};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::swarm::{
    ApplicationEvent, ConnId, DisconnectReason, Input, Output, PeerStats, State, Swarm,
};
use althing_bittorrent::tracker::announcer::AnnounceId;
use althing_bittorrent::tracker::{AnnounceResponse, TrackerError};
use althing_bittorrent::webseed;
use althing_bittorrent::wire::DecodeLimits;
use althing_bittorrent::{BlockRef, PeerId};
use althing_router::{self as router, Router, TorrentKey};
use althing_store::pieces;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{debug, trace};

/// What disk threads send back.
pub(super) type DiskEvent = (TorrentKey, pieces::Event);

/// What an output causes and must wait until all outputs are done.
pub(super) enum Deferred {
    /// Tell a torrent's swarm.
    Input(TorrentKey, Input),
    /// Open its files.
    Open(TorrentKey, Arc<Metainfo>),
    /// Work out what can be copied from other torrents.
    PlanCopies(TorrentKey),
}

/// See the [module](self).
pub(super) struct Core {
    pub(super) number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) router: Router,
    /// Boxed, because a tree keeps room for twice as many as it has.
    pub(super) torrents: BTreeMap<TorrentKey, Box<Torrent>>,
    conns: HashMap<ConnId, Rc<Conn>>,
    /// Connections to web seeds.
    pub(super) lanes: Lanes,
    /// What all of them have in memory to be written.
    budget: Rc<Budget>,
    /// Who waits for what limits let through.
    pub(super) pacer: Pacer<dyn Paced>,
    /// What connections look at that no limit holds for.
    open_gate: Rc<Gate>,
    next_conn: u64,
    /// What outputs have caused, to be done when all outputs are.
    deferred: VecDeque<Deferred>,
    /// The payload of the block that is being handed in, until somebody wants it.
    arriving: Option<Bytes>,
    /// Connections that want blocks read from disk, once the turn ends.
    to_read: Vec<Rc<Conn>>,
    /// Torrents that leave files to others, and look from time to time whether they come.
    pub(super) waiting_for_twins: BTreeSet<TorrentKey>,
    /// Torrents with something new to publish.
    pub(super) stirred: Vec<TorrentKey>,
    last_stirred: Option<TorrentKey>,
    /// Addresses to connect to, in the order in which swarms asked.
    dials: VecDeque<Dial>,
    dialling: usize,
    /// When the event loop will call back.
    armed: Option<Instant>,
    /// Where the disk pool sends its answers.
    pub(super) sink: pieces::Sink,
    /// What is read for those who watch.
    pub(super) reads: Reads,
    /// What our names in torrents' swarms are drawn from.
    names: Seed,
}

impl Core {
    pub(super) fn new(
        number: usize,
        shared: Arc<Shared>,
        seed: &Seed,
        disk: mpsc::UnboundedSender<DiskEvent>,
    ) -> Self {
        let sink: pieces::Sink = Arc::new(move |key: pieces::TorrentKey, event| {
            // The shard has ended: nobody is left to be told.
            let _ = disk.send((TorrentKey(key.0), event));
        });
        let for_reads = shared.config.memory_bytes() / 100 * READS_PERCENT;
        let out_blocks_max = for_reads / shared.config.shards().max(1);
        Core {
            number,
            shared,
            router: Router::new(seed.fork("router", 0)),
            torrents: BTreeMap::new(),
            conns: HashMap::new(),
            lanes: Lanes::default(),
            budget: Rc::new(Budget::new(out_blocks_max)),
            pacer: Pacer::default(),
            open_gate: Rc::default(),
            next_conn: 0,
            deferred: VecDeque::new(),
            arriving: None,
            to_read: Vec::new(),
            waiting_for_twins: BTreeSet::new(),
            stirred: Vec::new(),
            last_stirred: None,
            dials: VecDeque::new(),
            dialling: 0,
            armed: None,
            sink,
            reads: Reads::default(),
            names: seed.fork("peer-id", 0),
        }
    }

    /// What a tracker said, or why it said nothing.
    pub(super) fn announced(
        &mut self,
        torrent: TorrentKey,
        id: AnnounceId,
        result: Result<AnnounceResponse, TrackerError>,
    ) {
        self.stir(torrent);
        let input = router::Input::Announced { torrent, id, result };
        self.router.handle_input(clock::now(), input);
        self.drain();
    }

    /// Somebody on our own network has a torrent, too.
    pub(super) fn found_locally(&mut self, torrent: TorrentKey, addr: SocketAddr) {
        let input = router::Input::FoundLocally { torrent, peers: vec![addr] };
        self.router.handle_input(clock::now(), input);
        self.drain();
    }

    /// Nodes of the DHT named peers of a torrent.
    pub(super) fn found_in_dht(&mut self, torrent: TorrentKey, peers: Vec<SocketAddr>) {
        self.stir(torrent);
        let input = router::Input::FoundInDht { torrent, peers };
        self.router.handle_input(clock::now(), input);
        self.drain();
    }

    /// Tells a torrent's swarm something, and does what follows from it.
    pub(super) fn input(&mut self, torrent: TorrentKey, input: Input) {
        self.stir(torrent);
        self.router.handle_input(clock::now(), router::Input::Swarm { torrent, input });
        self.drain();
    }

    /// The time that [`deadline`](Self::deadline) named has come.
    pub(super) fn timeout(&mut self) {
        self.armed = None;
        self.router.handle_timeout(clock::now());
        self.drain();
    }

    /// When to call [`timeout`](Self::timeout).
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        self.armed = self.router.poll_timeout().map(|(at, _)| at);
        self.armed
    }

    /// Whether the router wants to be woken before the time it named last.
    pub(super) fn wakes_earlier(&self) -> bool {
        match (self.router.poll_timeout(), self.armed) {
            (Some((next, _)), Some(armed)) => next < armed,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Notes that a torrent has something new to publish.
    pub(super) fn stir(&mut self, key: TorrentKey) {
        // Blocks come by the thousand for the same torrent.
        if self.last_stirred == Some(key) {
            return;
        }
        if let Some(torrent) = self.torrents.get_mut(&key) {
            self.last_stirred = Some(key);
            if !std::mem::replace(&mut torrent.stirred, true) {
                self.stirred.push(key);
            }
        }
    }

    /// The torrents that have something new to publish; they count as published.
    pub(super) fn take_stirred(&mut self) -> Vec<TorrentKey> {
        self.last_stirred = None;
        let stirred = std::mem::take(&mut self.stirred);
        for key in &stirred {
            if let Some(torrent) = self.torrents.get_mut(key) {
                torrent.stirred = false;
            }
        }
        stirred
    }

    /// Does all outputs, then hands in what they have caused, until nothing is left.
    pub(super) fn drain(&mut self) {
        loop {
            while let Some(output) = self.router.poll_output() {
                match output {
                    router::Output::Swarm { torrent, output } => self.perform(torrent, output),
                    router::Output::Web { torrent, output } => {
                        let gates = self.torrents.get(&torrent).map(|torrent| &torrent.gates);
                        self.lanes.order(torrent, output, gates);
                    }
                    router::Output::Announce { torrent, id, url, family, request } => {
                        let whose = Whose { shard: self.number, torrent, id };
                        self.shared.trackers.announce(Announce { whose, url, family, request });
                    }
                    router::Output::CancelAnnounce { torrent, id } => {
                        self.shared.trackers.cancel(Whose { shard: self.number, torrent, id });
                    }
                    router::Output::FindLocally { info_hash, wanted, .. } => {
                        if let Some(local) = &self.shared.local {
                            local.want(info_hash, wanted);
                        }
                    }
                    router::Output::FindInDht { info_hash, wish, .. } => {
                        self.shared.ask_dht(DhtRequest::Wish { info_hash, wish });
                    }
                    router::Output::DhtNode { addr } => {
                        self.shared.ask_dht(DhtRequest::Contacts(vec![addr]));
                    }
                    router::Output::ExternalAddress { by, ip } => {
                        if let Some(by) = by {
                            self.shared.reach.told(by, ip, None);
                        }
                    }
                }
            }
            match self.deferred.pop_front() {
                Some(Deferred::Input(torrent, input)) => {
                    let input = router::Input::Swarm { torrent, input };
                    self.router.handle_input(clock::now(), input);
                }
                Some(Deferred::Open(key, metainfo)) => self.open_files(key, &metainfo),
                Some(Deferred::PlanCopies(key)) => self.plan_copies(key),
                None => return,
            }
        }
    }

    /// Notes what is to be done when all outputs are.
    pub(super) fn defer(&mut self, what: Deferred) {
        self.deferred.push_back(what);
    }

    fn perform(&mut self, key: TorrentKey, output: Output) {
        match output {
            Output::StoreBlock { block, .. } => {
                let Some(data) = self.arriving.take() else { return };
                if let Some(files) = self.files(key) {
                    self.shared.counters.received_payload(data.len() as u64);
                    files.store_block(block, data);
                }
            }
            Output::Send { conn, message } => {
                let Some(conn) = self.conns.get(&conn) else { return };
                trace!(torrent = key.0, conn = conn.id.0, ?message, "send");
                let queued = conn.sender.borrow_mut().push(&message);
                match queued {
                    Ok(()) => conn.wake(),
                    Err(QueueFull) => self.close(conn.id, "it does not read what it asked for"),
                }
            }
            Output::SendBlock { conn, block } => {
                let Some(conn) = self.conns.get(&conn) else { return };
                let first = conn.sender.borrow_mut().want(block);
                if first {
                    self.to_read.push(Rc::clone(conn));
                }
            }
            Output::CompletePiece { piece, expected, want_block_digests } => {
                if let Some(files) = self.files(key) {
                    files.complete_piece(piece, expected, want_block_digests);
                }
            }
            Output::AbandonPiece { piece } => {
                if let Some(files) = self.files(key) {
                    files.abandon_piece(piece);
                }
            }
            Output::ReadLeaves { piece } => match self.files(key) {
                Some(files) => files.leaves(piece),
                None => self.defer(Deferred::Input(key, Input::Leaves { piece, leaves: None })),
            },
            Output::Connect { addr } => {
                self.dials.push_back(Dial { torrent: key, addr, punch: false });
            }
            // The other side calls at the same time: whoever waits is too late.
            Output::Punch { addr } => {
                self.dials.push_front(Dial { torrent: key, addr, punch: true });
            }
            Output::Disconnect { conn, reason: DisconnectReason::Parted } => self.finish(conn),
            Output::Disconnect { conn, reason } => self.disconnect(conn, reason),
            Output::Application(event) => self.tell_overlay(event),
            Output::PieceVerified { piece } => self.piece_verified(key, piece),
            Output::Completed => self.completed(key),
            Output::SuperSeedingEnded => self.super_seeding_ended(key),
            Output::MetadataReceived { metainfo } => self.metadata_received(key, metainfo),
            Output::LayersReceived { metainfo } => self.layers_received(key, &metainfo),
            Output::Ban { ip } => self.ban(ip),
            Output::KeepOut { ip } => self.shared.admission.keep_out(clock::now(), ip),
            Output::UploadDemand { wanted } => self.share_slots(key, wanted),
            Output::WebSeedLied { seed, piece } => self.web_seed_lied(key, seed, piece),
            // The router keeps these to itself.
            Output::FindPeers | Output::ExternalAddress { .. } | Output::DhtNode { .. } => {}
        }
    }

    fn files(&self, key: TorrentKey) -> Option<&pieces::Torrent> {
        self.torrents.get(&key)?.files()
    }

    fn disconnect(&mut self, conn: ConnId, reason: DisconnectReason) {
        debug!(conn = conn.0, ?reason, "disconnecting");
        self.close(conn, "the swarm had enough of it");
    }

    /// Ends a connection when what is queued for it is out, or it takes too long.
    fn finish(&mut self, conn: ConnId) {
        if let Some(conn) = self.conns.remove(&conn) {
            trace!(conn = conn.id.0, "closing after the last words");
            conn.finish();
            let gone = Input::Disconnected { conn: conn.id };
            self.defer(Deferred::Input(conn.torrent, gone));
        }
    }

    /// The overlay hears of its meeting place.
    fn tell_overlay(&mut self, event: ApplicationEvent) {
        let said = match &event {
            ApplicationEvent::Said { conn, .. } => Some(*conn),
            _ => None,
        };
        let Some(overlay) = &self.shared.overlay else { return };
        if let (Err(_), Some(conn)) = (overlay.tell(event), said) {
            self.close(conn, "the overlay has more to read than it can");
        }
    }

    /// Ends a connection from our side; the swarm is told that it is gone.
    fn close(&mut self, conn: ConnId, why: &'static str) {
        if let Some(conn) = self.conns.remove(&conn) {
            trace!(conn = conn.id.0, why, "closing");
            conn.close();
            let gone = Input::Disconnected { conn: conn.id };
            self.defer(Deferred::Input(conn.torrent, gone));
        }
    }

    fn ban(&mut self, ip: IpAddr) {
        if self.shared.admission.ban(ip) {
            debug!(%ip, "banned: it sent data that hashes to something else");
            self.shared.emit(Event::Banned { ip });
            self.shared.tell_others(self.number, || Command::Banned(ip));
        }
    }

    /// Ends all connections to an address that lied to another shard.
    pub(super) fn banned_elsewhere(&mut self, ip: IpAddr) {
        self.close_where("it lied elsewhere", |_, peer| peer.addr.ip().to_canonical() == ip);
    }

    /// Ends all connections to addresses that the user's list keeps out.
    pub(super) fn close_filtered(&mut self) {
        let admission = self.shared.admission.clone();
        let filtered = |_: &Core, peer: &PeerStats| admission.filters(peer.addr.ip());
        self.close_where("the IP filter keeps it out", filtered);
    }

    /// Ends all connections: the interface that they went by is gone.
    pub(super) fn close_all(&mut self) {
        self.close_where("there is no way out", |_, _| true);
    }

    /// This machine has other addresses. What went by those that are gone leads nowhere; if it is elsewhere,
    /// trackers are told, and everybody is tried again.
    pub(super) fn elsewhere(&mut self, gone: &[IpAddr], port: Option<Option<u16>>) {
        if !gone.is_empty() {
            let is_dead = |core: &Core, conn| {
                core.conns
                    .get(&conn)
                    .and_then(|conn| conn.local)
                    .is_some_and(|ip| gone.contains(&ip))
            };
            self.close_where("its own address is gone", |core, peer| is_dead(core, peer.conn));
        }
        if let Some(port) = port {
            self.listen_at(port);
            self.go_on();
        }
    }

    /// Others find us at this port: trackers are told soon.
    pub(super) fn listen_at(&mut self, listen_port: Option<u16>) {
        self.router.handle_input(clock::now(), router::Input::Moved { listen_port });
        self.drain();
    }

    /// There is a way out again: peers that were lost with it are tried at once.
    pub(super) fn go_on(&mut self) {
        let keys: Vec<TorrentKey> = self.router.torrents().collect();
        for key in keys {
            if self.is_running(key) {
                self.input(key, Input::Resume);
            }
        }
    }

    fn close_where(&mut self, why: &'static str, which: impl Fn(&Core, &PeerStats) -> bool) {
        let chosen: Vec<ConnId> = self
            .router
            .torrents()
            .filter_map(|key| self.router.swarm(key))
            .flat_map(|swarm| swarm.peers(clock::now()))
            .filter(|peer| which(self, peer))
            .map(|peer| peer.conn)
            .collect();
        for conn in chosen {
            self.close(conn, why);
        }
        self.drain();
    }

    /// Who we are to a torrent's peers.
    pub(super) fn identity(&self, key: TorrentKey) -> Option<Identity> {
        let hashes = self.router.swarm(key)?.info_hashes();
        let dht = self.shared.has_dht();
        Some(Identity { hashes, peer_id: self.torrents.get(&key)?.peer_id, dht })
    }

    /// Whether a torrent deals with peers.
    pub(super) fn is_running(&self, key: TorrentKey) -> bool {
        let state = self.router.swarm(key).map(Swarm::state);
        state.is_some_and(|state| !matches!(state, State::Paused | State::Faulted(_)))
    }

    /// How long a peer's messages may be: of a torrent that is known, no longer than its bitfield,
    /// or what a torrent of any size needs.
    pub(super) fn decode_limits(&self, key: TorrentKey) -> DecodeLimits {
        let all = DecodeLimits::default();
        match self.pieces(key) {
            Some(pieces) => {
                let bitfield = 1 + pieces.div_ceil(8) as usize;
                let frame_bytes = bitfield.max(FRAME_BYTES_COMMON).min(all.frame_bytes);
                DecodeLimits { frame_bytes, ..all }
            }
            None => all,
        }
    }

    /// A connection stands: it gets a name, and the swarm decides whether to keep it.
    pub(super) fn connected(&mut self, whom: Whom) -> Rc<Conn> {
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        let gates = self.gates(whom.torrent, whom.addr.ip());
        let conn = Rc::new(Conn::new(id, whom, Rc::clone(&self.budget), gates));
        self.conns.insert(id, Rc::clone(&conn));
        let Whom { torrent, addr, direction, transport, handshake, .. } = whom;
        if self.torrents.contains_key(&torrent) {
            let input = Input::Connected { conn: id, addr, direction, transport, handshake };
            self.input(torrent, input);
        } else {
            self.close(id, "the torrent is gone");
            self.drain();
        }
        conn
    }

    /// How much of a connection is encrypted, while it stands.
    pub(super) fn encrypted(&self, conn: ConnId) -> Option<Encrypted> {
        self.conns.get(&conn).map(|conn| conn.encrypted)
    }

    /// What tells whether a connection is limited.
    fn gates(&self, torrent: TorrentKey, ip: IpAddr) -> [Rc<Gate>; 2] {
        let exempt = is_local(ip) && self.shared.current().limits.exempt_local;
        match self.torrents.get(&torrent) {
            Some(torrent) if !exempt => torrent.gates.clone(),
            _ => [Rc::clone(&self.open_gate), Rc::clone(&self.open_gate)],
        }
    }

    /// A connection waits for what limits let through.
    pub(super) fn blocked(&mut self, torrent: TorrentKey, conn: &Rc<dyn Paced>, flow: Flow) {
        if let Some(Torrent { settings, .. }) = self.torrents.get(&torrent).map(AsRef::as_ref) {
            self.pacer.join(clock::now(), flow, torrent, settings, conn);
        }
    }

    /// Shares out what limits let through, if it is time.
    pub(super) fn pace(&mut self) {
        self.pacer.round(clock::now(), &self.shared.governor);
    }

    /// Other limits are in force.
    pub(super) fn limits_changed(&mut self) {
        let limits = self.shared.governor.limits();
        for torrent in self.torrents.values() {
            torrent.set_gates(&limits);
        }
    }

    /// Tells a torrent how many of the upload slots that all share are its own.
    fn share_slots(&mut self, key: TorrentKey, wanted: usize) {
        let Shared { slots, governor, counters, .. } = &*self.shared;
        let line = || Line {
            sent: counters.payload().1,
            limit: governor.limits().global[Flow::Up.index()],
        };
        let granted = slots.exchange(clock::now(), key, wanted, line);
        self.defer(Deferred::Input(key, Input::UploadSlots(granted)));
    }

    /// A connection has ended by itself.
    pub(super) fn disconnected(&mut self, conn: &Conn) {
        if self.conns.remove(&conn.id).is_some() {
            self.input(conn.torrent, Input::Disconnected { conn: conn.id });
        }
    }

    /// A peer sent something.
    pub(super) fn received(&mut self, conn: &Conn, received: Received) {
        match received {
            Received::Block(block, payload) => {
                self.arriving = Some(payload);
                self.input(conn.torrent, Input::Block { conn: conn.id, block });
                // Nobody wants it: the buffer goes back.
                self.arriving = None;
            }
            Received::Message(message) => {
                trace!(torrent = conn.torrent.0, conn = conn.id.0, ?message, "received");
                self.input(conn.torrent, Input::Message { conn: conn.id, message });
            }
        }
    }

    /// A block came from a web seed.
    pub(super) fn web_block(
        &mut self,
        key: TorrentKey,
        conn: ConnId,
        block: BlockRef,
        data: Bytes,
    ) {
        self.arriving = Some(data);
        self.input(key, Input::Block { conn, block });
        self.arriving = None;
    }

    /// What becomes of what a torrent's web seeds asked for.
    pub(super) fn web_input(&mut self, torrent: TorrentKey, input: webseed::Input) {
        self.router.handle_input(clock::now(), router::Input::Web { torrent, input });
        self.drain();
    }

    /// Blocks have been handed to the operating system in full.
    pub(super) fn blocks_sent(&mut self, conn: &Conn, blocks: &[BlockRef]) {
        for &block in blocks {
            self.shared.counters.sent_payload(block.len.into());
            self.input(conn.torrent, Input::BlockSent { conn: conn.id, block });
        }
        // What waited for these to be gone may be read now.
        if conn.sender.borrow().wants_read()
            && let Some(conn) = self.conns.get(&conn.id)
        {
            self.to_read.push(Rc::clone(conn));
        }
    }

    /// The blocks that [`end_turn`](Self::end_turn) had read for a connection.
    pub(super) fn blocks_read(&mut self, conn: u64, blocks: Vec<(BlockRef, Bytes)>) {
        let Some(conn) = self.conns.get(&ConnId(conn)) else { return };
        let more = conn.sender.borrow_mut().read_done(blocks);
        if more {
            self.to_read.push(Rc::clone(conn));
        }
        conn.wake();
    }

    /// Starts reading what the turn's outputs want sent, one batch for each connection.
    pub(super) fn end_turn(&mut self) {
        for conn in std::mem::take(&mut self.to_read) {
            let batch = conn.sender.borrow_mut().next_read();
            if let (Some(batch), Some(files)) = (batch, self.files(conn.torrent)) {
                files.read(batch, conn.id.0);
            }
        }
    }

    /// The next address to connect to, if there is room for another attempt.
    pub(super) fn next_dial(&mut self) -> Option<(Dial, Place)> {
        // Without a way out, attempts wait instead of failing: peers are not to blame.
        let may = self.dialling < CONNECTING_MAX && self.shared.way.is_open();
        if !may || self.dials.is_empty() {
            return None;
        }
        let place = self.shared.places.take()?;
        let dial = self.dials.pop_front()?;
        self.dialling += 1;
        Some((dial, place))
    }

    /// Whether [`next_dial`](Self::next_dial) might have something.
    pub(super) fn has_dials(&self) -> bool {
        let may = self.dialling < CONNECTING_MAX && self.shared.way.is_open();
        may && !self.dials.is_empty()
    }

    /// An attempt has come to its end, whichever.
    pub(super) fn dialled(&mut self) {
        self.dialling -= 1;
    }

    /// A new name for us, for each torrent its own, so that trackers and peers cannot tell that they
    /// belong together.
    pub(super) fn new_peer_id(&self, key: TorrentKey) -> PeerId {
        PeerId::generate(&mut Rng::new(self.names.fork("torrent", key.0)))
    }
}
