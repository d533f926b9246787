//! What a shard keeps of a torrent beside its swarm: its files, its totals, and what it looks like
//! to users.

use super::core::{Core, Deferred};
use super::equal::Sharing;
use super::relocate::{Moving, Relocate, Relocating};
use super::uptime::{Spent, Uptime};
use crate::clock;
use crate::config::{Allocation, Config};
use crate::rates::{Flow, Gate, Limits};
use crate::session::settings::change_settings;
use crate::session::shared::Entry;
use crate::session::{Event, Ticket, TorrentState, blocks, wishes};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::swarm::{
    Fault, FilePriorities, Input, PeerSource, Source, State, StorageFault, SwarmConfig,
};
use althing_bittorrent::{Bitfield, PeerId, PieceIndex};
use althing_router::{TorrentKey, TorrentSetup};
use althing_store::files::Location;
use althing_store::pieces;
use althing_store::records::TorrentSettings;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{debug, info};

/// A torrent that is to be taken in.
pub(crate) struct NewTorrent {
    pub(crate) entry: Arc<Entry>,
    pub(crate) source: Source,
    pub(crate) trackers: Vec<Vec<String>>,
    pub(crate) paused: bool,
    /// It has to wait for its turn in the queue.
    pub(crate) waits: bool,
    pub(crate) location: Location,
    pub(crate) start: Start,
    /// As long as it is on its way, at the start of the program.
    pub(crate) ticket: Option<Ticket>,
    /// The files that the link wants, as long as it is not known which those are.
    pub(crate) link_wants: FilePriorities,
    /// Peers to try at once.
    pub(crate) peers: Vec<SocketAddr>,
    /// What went over the network before this run.
    pub(crate) before: Totals,
    /// For how long it ran before this run.
    pub(crate) spent: Spent,
    /// What the user has set for it.
    pub(crate) settings: Arc<TorrentSettings>,
    /// Something a user should read.
    pub(crate) note: Option<Arc<str>>,
    /// Blocks of unfinished pieces that the last run had.
    pub(crate) partials: Vec<pieces::Partial>,
    /// Where the last run has begun to move its files.
    pub(crate) moving: Option<Location>,
    /// A check of the last run was paused.
    pub(crate) check_paused: bool,
    /// The name of an extension that its swarm carries for others.
    pub(crate) application: Option<&'static str>,
}

impl NewTorrent {
    /// One that nobody has had before.
    pub(crate) fn new(
        entry: Arc<Entry>,
        source: Source,
        location: Location,
        start: Start,
        settings: Arc<TorrentSettings>,
    ) -> Self {
        NewTorrent {
            entry,
            source,
            trackers: Vec::new(),
            paused: false,
            waits: false,
            location,
            start,
            ticket: None,
            link_wants: FilePriorities::default(),
            peers: Vec::new(),
            before: Totals::default(),
            spent: Spent::default(),
            settings,
            note: None,
            partials: Vec::new(),
            moving: None,
            check_paused: false,
            application: None,
        }
    }
}

/// What is known of a torrent's files when it is taken in.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// This program hashed them a moment ago: all pieces are there.
    Complete,
    /// Nothing: look whether there are any.
    Look,
    /// From the last run: these pieces are there, and those have to be read to know.
    Resume { have: Bitfield, check: Bitfield },
}

/// Payload that went over the network, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) downloaded: u64,
    pub(crate) uploaded: u64,
}

/// A torrent's files.
pub(super) enum Files {
    /// What the torrent is, is not known yet.
    Unknown,
    /// They are being read and compared.
    Checking {
        files: pieces::Torrent,
        /// Pieces that are there whatever the check says.
        known: Bitfield,
        /// Pieces that are looked at.
        left: Bitfield,
        done: u32,
        total: u32,
    },
    /// The user wants it to rest before they have all been read.
    CheckPaused {
        files: pieces::Torrent,
        known: Bitfield,
        /// Pieces still to be looked at.
        left: Bitfield,
    },
    /// They are being moved to another place.
    Moving(Box<Moving>),
    /// Which pieces are there is known.
    Ready(pieces::Torrent),
    /// They are being closed or deleted.
    Closing,
}

/// Why a torrent is being closed.
pub(super) enum Closing {
    /// It was removed; someone waits to hear that it is gone.
    Removed(oneshot::Sender<Result<(), String>>),
    /// Its files get another place.
    Relocating(Box<Relocating>),
    /// The shard is ending.
    Stopped,
}

/// See the [module](self).
pub(super) struct Torrent {
    pub(super) entry: Arc<Entry>,
    pub(super) peer_id: PeerId,
    pub(super) trackers: Vec<Vec<String>>,
    pub(super) location: Location,
    pub(super) files: Files,
    /// How the files are to be opened once it is known what they are; `None` is [`Start::Look`].
    pub(super) start: Option<Box<Start>>,
    pub(super) before: Totals,
    /// The user wants it to rest.
    pub(super) paused: bool,
    /// It waits for its turn in the queue.
    pub(super) waits: bool,
    /// Whether its connections are limited, in each direction.
    pub(super) gates: [Rc<Gate>; 2],
    pub(super) uptime: Uptime,
    /// What the user has set for it.
    pub(super) settings: Arc<TorrentSettings>,
    /// The files that the link wants, until that is part of the settings.
    link_wants: FilePriorities,
    /// The totals that were written down last.
    pub(super) saved: Totals,
    /// The time spent that was written down last.
    pub(super) saved_spent: Spent,
    /// There are pieces on disk that are not flushed and written down.
    pub(super) unsaved: bool,
    /// Its files are not looked at before the user wants it to go on.
    check_paused: bool,
    /// Blocks of unfinished pieces that the last run had, until the files are known.
    partials: Vec<pieces::Partial>,
    /// Something a user should read; a fault of the swarm goes before it.
    pub(super) note: Option<Arc<str>>,
    /// Bytes of its files, padding not counted.
    pub(super) size: u64,
    pub(super) closing: Option<Closing>,
    /// Other torrents that have some of its files, too.
    pub(super) sharing: Option<Box<Sharing>>,
    /// Bytes that were copied from them.
    pub(super) copied_bytes: u64,
    /// There is something to publish.
    pub(super) stirred: bool,
    /// The state that was published last.
    pub(super) shown: Option<TorrentState>,
}

impl Torrent {
    /// Notes whether any of the limits hold for it.
    pub(super) fn set_gates(&self, limits: &Limits) {
        for flow in Flow::BOTH {
            self.gates[flow.index()].set(limits.apply_to(flow, &self.settings));
        }
    }

    /// The files, if blocks can be read and written.
    pub(super) fn files(&self) -> Option<&pieces::Torrent> {
        match &self.files {
            Files::Ready(files) | Files::Checking { files, .. } => Some(files),
            Files::CheckPaused { .. } | Files::Moving(_) | Files::Unknown | Files::Closing => None,
        }
    }
}

/// Connections and upload slots of a torrent: its own, or as any torrent may have.
fn bounds(config: &Config, settings: &TorrentSettings) -> (usize, usize) {
    let or = |own: Option<NonZeroU32>, all: u32| own.map_or(all, NonZeroU32::get) as usize;
    (
        or(settings.connections, config.network.connections_per_torrent),
        or(settings.upload_slots, config.sharing.upload_slots),
    )
}

impl Core {
    /// Takes a torrent in.
    pub(super) fn add(&mut self, new: NewTorrent) {
        let key = new.entry.key;
        let peer_id = self.new_peer_id(key);
        let config = self.shared.current();
        let mut swarm = SwarmConfig::new(peer_id);
        swarm.listen_port = self.shared.told_port();
        let (connections, upload_slots) = bounds(&config, &new.settings);
        swarm.connections_max = connections;
        swarm.priorities = wishes::wanted(&new.link_wants, &new.settings);
        swarm.picker = wishes::order(&new.settings);
        swarm.unchoke_slots = upload_slots;
        swarm.shares_slots = true;
        swarm.choker = config.sharing.policy.into();
        swarm.seeding = config.sharing.seeding.into();
        swarm.pex = config.network.peer_exchange;
        swarm.utp = config.network.utp && self.shared.udp.is_some();
        swarm.dht = self.shared.has_dht();
        swarm.application = new.application;
        swarm.super_seed = new.settings.super_seeding;
        let metainfo = match &new.source {
            Source::Metainfo(metainfo) => Some(Arc::clone(metainfo)),
            Source::Magnet(_) => None,
        };
        let announced = if config.trackers.enabled { new.trackers.clone() } else { Vec::new() };
        let setup = TorrentSetup {
            source: new.source,
            trackers: announced,
            families: self.shared.families.clone(),
            private: metainfo.as_ref().is_some_and(|metainfo| metainfo.is_private()),
            paused: new.paused || new.waits,
            web_connections: config.web_seeds.connections_wanted(),
            swarm,
        };
        let torrent = Torrent {
            entry: new.entry,
            peer_id,
            trackers: new.trackers,
            location: new.location,
            files: Files::Unknown,
            start: Some(Box::new(new.start)),
            link_wants: new.link_wants,
            before: new.before,
            saved: new.before,
            uptime: Uptime::new(clock::now(), new.spent),
            paused: new.paused,
            waits: new.waits,
            gates: Default::default(),
            settings: new.settings,
            saved_spent: new.spent,
            unsaved: false,
            check_paused: new.check_paused,
            partials: new.partials,
            note: new.note,
            size: 0,
            closing: None,
            sharing: None,
            copied_bytes: 0,
            stirred: false,
            shown: None,
        };
        // The next one may be read.
        drop(new.ticket);
        torrent.set_gates(&self.shared.governor.limits());
        self.torrents.insert(key, Box::new(torrent));
        self.router.add(clock::now(), key, setup);
        self.drain();
        match (metainfo, new.moving) {
            (Some(_), Some(to)) => self.start_moving(key, to, Start::Look, Relocate::MoveOn),
            (Some(metainfo), None) => self.open_files(key, &metainfo),
            (None, _) => {}
        }
        self.peers_named(key, new.peers);
        self.stir(key);
        self.publish(key);
    }

    /// The user has set something for it.
    pub(super) fn set_settings(&mut self, key: TorrentKey, settings: Arc<TorrentSettings>) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let (wanted, order) =
            (wishes::wanted(&torrent.link_wants, &settings), wishes::order(&settings));
        let before = std::mem::replace(&mut torrent.settings, settings);
        let super_seeding = torrent.settings.super_seeding;
        torrent.set_gates(&self.shared.governor.limits());
        self.pacer.set_settings(key, &torrent.settings);
        if before.super_seeding != super_seeding {
            self.input(key, Input::SuperSeed(super_seeding));
        }
        if (before.connections, before.upload_slots) != self.own_bounds(key) {
            self.set_bounds(key);
        }
        self.input(key, Input::SetPriorities(wanted));
        self.input(key, Input::SetPicker(order));
        self.plan_copies(key);
        self.offer_all(key);
        self.publish(key);
    }

    /// Other bounds of connections and upload slots are in force.
    pub(super) fn bounds_changed(&mut self) {
        let keys: Vec<TorrentKey> = self.torrents.keys().copied().collect();
        for key in keys {
            self.set_bounds(key);
        }
    }

    fn set_bounds(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get(&key) else { return };
        let (connections, upload_slots) = bounds(&self.shared.current(), &torrent.settings);
        self.input(key, Input::SetBounds { connections, upload_slots });
    }

    /// What the user has set for this torrent alone: connections and upload slots.
    fn own_bounds(&self, key: TorrentKey) -> (Option<NonZeroU32>, Option<NonZeroU32>) {
        let settings = self.torrents.get(&key).map(|torrent| &torrent.settings);
        settings.map_or((None, None), |own| (own.connections, own.upload_slots))
    }

    /// Super-seeding has done its work: it is not begun anew at the next start.
    pub(super) fn super_seeding_ended(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get(&key) else { return };
        let (shared, id) = (Arc::clone(&self.shared), torrent.entry.id);
        tokio::spawn(async move {
            let off = |settings: &mut TorrentSettings| settings.super_seeding = false;
            if let Err(reason) = change_settings(&shared, id, off).await {
                debug!(%reason, "that super-seeding has ended cannot be written down");
            }
        });
    }

    /// Tries addresses that a user named.
    pub(super) fn peers_named(&mut self, key: TorrentKey, peers: Vec<SocketAddr>) {
        if !peers.is_empty() {
            self.input(key, Input::PeersFound { source: PeerSource::Manual, peers });
        }
    }

    /// Opens a torrent's files, now that it is known which they are.
    pub(super) fn open_files(&mut self, key: TorrentKey, metainfo: &Arc<Metainfo>) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let pieces = metainfo.piece_count();
        let before_write = self.shared.persist.before_write(torrent.entry.id, pieces);
        let files = self.shared.pool.open(pieces::Opening {
            key: pieces::TorrentKey(key.0),
            metainfo: Arc::clone(metainfo),
            location: torrent.location.clone(),
            sink: Arc::clone(&self.sink),
            before_write,
        });
        let data_files = metainfo.files().iter().filter(|file| !file.is_pad());
        torrent.size = data_files.clone().map(|file| file.size()).sum();
        let ours = matches!(torrent.location, Location::Under(_));
        if ours && data_files.clone().any(|file| file.size() == 0) {
            files.prepare();
        }
        // Only the first time: after a fault or a check the files themselves tell.
        match torrent.start.take().map_or(Start::Look, |start| *start) {
            Start::Complete => {
                let all = Bitfield::full(pieces);
                files.found_right(&all);
                self.files_known(key, files, all);
                self.save(key);
            }
            Start::Resume { have, check } if have.len() == pieces && check.len() == pieces => {
                if check.count_ones() == 0 {
                    self.files_known(key, files, have);
                } else if std::mem::take(&mut torrent.check_paused) {
                    torrent.files = Files::CheckPaused { files, known: have, left: check };
                } else {
                    self.check(key, files, have, check);
                }
            }
            Start::Look | Start::Resume { .. } => self.check_all(key, files, pieces),
        }
    }

    /// Looks at everything; a run that comes to an end before goes on with it in the next.
    fn check_all(&mut self, key: TorrentKey, files: pieces::Torrent, pieces: u32) {
        let Some(torrent) = self.torrents.get(&key) else { return };
        let all = Bitfield::full(pieces);
        self.shared.persist.checking(torrent.entry.id, pieces, Some(all.clone()));
        self.check(key, files, Bitfield::new(pieces), all);
    }

    fn check(&mut self, key: TorrentKey, files: pieces::Torrent, known: Bitfield, check: Bitfield) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let total = check.count_ones();
        files.verify(check.clone());
        torrent.files = Files::Checking { files, known, left: check, done: 0, total };
        self.stir(key);
    }

    fn files_known(&mut self, key: TorrentKey, files: pieces::Torrent, have: Bitfield) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let mut partials = std::mem::take(&mut torrent.partials);
        partials.retain(|partial| !have.get(partial.piece));
        torrent.files = Files::Ready(files);
        self.meet_twins(key, &have, &partials);
        self.input(key, Input::StorageReady { have });
        self.offer_all(key);
        if let Some(torrent) = self.torrents.get(&key)
            && let Some(files) = torrent.files()
        {
            files.restore(partials);
        }
        self.all_readable(key);
        self.allocate(key);
        self.publish(key);
    }

    /// Takes the space on disk that a download still needs, if the user wants it so.
    fn allocate(&self, key: TorrentKey) {
        let wants_all = self.shared.config.storage.allocation == Allocation::Full;
        let Some(torrent) = self.torrents.get(&key).filter(|_| wants_all) else { return };
        let (Some(swarm), Some(files)) = (self.router.swarm(key), torrent.files()) else { return };
        let Some(metainfo) = swarm.metainfo() else { return };
        let ours = matches!(torrent.location, Location::Under(_));
        if !ours || swarm.left_bytes() == Some(0) {
            return;
        }
        let wanted = |file: &FileIndex| {
            swarm.priorities().of(*file) != Priority::Skip
                && metainfo.file_pieces(*file).any(|piece| !swarm.have().get(PieceIndex(piece)))
        };
        // There are at most as many files as an index can name.
        let all = (0..metainfo.files().len() as u32).map(FileIndex);
        files.allocate(all.filter(wanted).collect());
    }

    /// A check has ended: `have` of what was `checked` is right.
    pub(super) fn checked(
        &mut self,
        key: TorrentKey,
        have: &Bitfield,
        checked: &Bitfield,
        faults: &[StorageFault],
    ) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        if let Some(fault) = faults.first() {
            torrent.note = Some(fault.to_string().into());
        }
        torrent.unsaved = true;
        let mut wrong = Bitfield::new(checked.len());
        for piece in checked.ones().filter(|piece| !have.get(*piece)) {
            wrong.set(piece, true);
        }
        if wrong.count_ones() > 0 {
            self.shared.persist.unclaim(torrent.entry.id, wrong);
        }
        let id = torrent.entry.id;
        match std::mem::replace(&mut torrent.files, Files::Unknown) {
            Files::Checking { files, mut known, mut left, .. } => {
                for piece in have.ones() {
                    known.set(piece, true);
                }
                for piece in checked.ones() {
                    left.set(piece, false);
                }
                if left.count_ones() > 0 {
                    self.shared.persist.checking(id, left.len(), Some(left.clone()));
                    return self.check_ended_early(key, files, known, left);
                }
                self.shared.persist.checking(id, left.len(), None);
                self.files_known(key, files, known);
                self.save(key);
            }
            other => torrent.files = other,
        }
    }

    /// A check has been cancelled: because the torrent is to rest, unless it goes on already.
    fn check_ended_early(
        &mut self,
        key: TorrentKey,
        files: pieces::Torrent,
        known: Bitfield,
        left: Bitfield,
    ) {
        if !self.torrents.get(&key).is_some_and(|torrent| torrent.paused) {
            return self.check(key, files, known, left);
        }
        if let Some(torrent) = self.torrents.get_mut(&key) {
            files.sync();
            torrent.files = Files::CheckPaused { files, known, left };
        }
        self.publish(key);
    }

    /// Reads all files of a torrent and compares them with their hashes.
    pub(super) fn verify(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        match std::mem::replace(&mut torrent.files, Files::Unknown) {
            Files::Ready(files) | Files::CheckPaused { files, .. } => {
                let Some(pieces) = self.pieces(key) else { return };
                self.input(key, Input::Recheck);
                self.check_all(key, files, pieces);
                self.publish(key);
            }
            other => torrent.files = other,
        }
    }

    pub(super) fn pieces(&self, key: TorrentKey) -> Option<u32> {
        Some(self.router.swarm(key)?.metainfo()?.piece_count())
    }

    /// Lets a torrent go on. If its files were the reason that it stopped, what is known of them is
    /// no longer true, and they are read again.
    pub(super) fn resume(&mut self, key: TorrentKey) {
        let fault = self.fault(key);
        if matches!(fault, Some(Fault::Storage(StorageFault::FileChanged { .. }))) {
            self.verify(key);
        }
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        torrent.note = None;
        torrent.paused = false;
        torrent.check_paused = false;
        let waits = torrent.waits;
        match std::mem::replace(&mut torrent.files, Files::Unknown) {
            Files::CheckPaused { files, known, left } => self.check(key, files, known, left),
            other => torrent.files = other,
        }
        if !waits {
            self.input(key, Input::Resume);
        }
        self.resume_copies(key);
        self.publish(key);
    }

    /// Lets a torrent rest, the check of its files as well.
    pub(super) fn pause(&mut self, key: TorrentKey) {
        if let Some(torrent) = self.torrents.get_mut(&key) {
            torrent.paused = true;
            if let Files::Checking { files, .. } = &torrent.files {
                // What is still to be looked at is known when it has ended.
                files.cancel_verify();
            }
        }
        self.input(key, Input::Pause);
        self.publish(key);
    }

    /// Lets a torrent wait for its turn in the queue, or go on when that has come.
    pub(super) fn wait(&mut self, key: TorrentKey, waits: bool) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        torrent.waits = waits;
        // What has stopped for another reason stays where it is.
        if torrent.paused || self.fault(key).is_some() {
            return;
        }
        self.input(key, if waits { Input::Pause } else { Input::Resume });
        self.resume_copies(key);
        self.publish(key);
    }

    /// Why a torrent stopped, if it did.
    pub(super) fn fault(&self, key: TorrentKey) -> Option<Fault> {
        match self.router.swarm(key)?.state() {
            State::Faulted(fault) => Some(fault),
            _ => None,
        }
    }

    /// The info dictionary of a magnet link is here: write it down, open the files.
    pub(super) fn metadata_received(&mut self, key: TorrentKey, metainfo: Arc<Metainfo>) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let id = torrent.entry.id;
        info!(torrent = key.0, name = metainfo.name(), "the info dictionary is here");
        torrent.entry.described(&metainfo);
        self.shared.torrents.add_names(&torrent.entry, metainfo.info_hashes());
        let link_wants = std::mem::take(&mut torrent.link_wants);
        let rests = blocks::has_to_rest(&self.shared, &torrent.entry, &metainfo);
        torrent.paused |= rests;
        wishes::metainfo_known(&self.shared, id, &metainfo, link_wants);
        self.shared.emit(Event::MetadataReceived { id, name: metainfo.name().into() });
        if rests {
            self.defer(Deferred::Input(key, Input::Pause));
        }
        self.defer(Deferred::Open(key, metainfo));
    }

    /// More of a v2 torrent's hashes are known.
    pub(super) fn layers_received(&mut self, key: TorrentKey, metainfo: &Arc<Metainfo>) {
        let Some(torrent) = self.torrents.get(&key) else { return };
        if let Some(files) = torrent.files() {
            files.layers_received(Arc::clone(metainfo));
        }
        let (id, link_wants) = (torrent.entry.id, torrent.link_wants.clone());
        wishes::metainfo_known(&self.shared, id, metainfo, link_wants);
        // What could not be checked now can.
        self.defer(Deferred::PlanCopies(key));
    }

    pub(super) fn piece_verified(&mut self, key: TorrentKey, piece: PieceIndex) {
        let pieces_done = self.router.swarm(key).map_or(0, |swarm| swarm.have().count_ones());
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        torrent.unsaved = true;
        let id = torrent.entry.id;
        self.shared
            .emit_of(&torrent.entry, Event::PieceVerified { id, piece: piece.0, pieces_done });
        self.readable(key, piece);
        self.offer_piece(key, piece);
    }

    pub(super) fn completed(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get(&key) else { return };
        debug!(torrent = key.0, "complete");
        let id = torrent.entry.id;
        let when = clock::unix_now();
        let entry = Arc::clone(&torrent.entry);
        entry.update(|shown| shown.completed = Some(when));
        self.shared.persist.completed(id, when);
        self.save(key);
        self.publish(key);
        self.shared.emit_of(&entry, Event::Completed { id });
    }
}
