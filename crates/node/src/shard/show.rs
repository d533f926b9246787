//! What users see of a shard's torrents.

use super::core::Core;
use super::torrent::{Files, Torrent};
use crate::clock;
use crate::limits::DISK_SPACE_TO_GO_ON;
use crate::session::{
    Event, FileSnapshot, PeerFlags, PeerSnapshot, Protocol, TorrentDetail, TorrentState,
    TrackerSnapshot, TrackerStatus,
};
use althing_base::Instant;
use althing_bittorrent::metainfo::{FileIndex, Magnet, Metainfo};
use althing_bittorrent::swarm::{Direction, PeerSource, PeerStats, State, Swarm};
use althing_bittorrent::tracker::{Announcer, TrackerState, announcer};
use althing_bittorrent::wire::client_name;
use althing_bittorrent::{PieceIndex, Priority};
use althing_router::TorrentKey;
use althing_store::files::free_bytes;
use std::sync::Arc;
use std::time::Duration;

impl Core {
    /// Lets other threads see how a torrent is now, and tells watchers if its state has changed.
    pub(super) fn publish(&mut self, key: TorrentKey) {
        let totals = self.totals(key);
        let (Some(swarm), Some(torrent)) = (self.router.swarm(key), self.torrents.get_mut(&key))
        else {
            return;
        };
        let now = clock::now();
        let stats = swarm.stats(now);
        let waits = torrent.waits && !torrent.paused;
        let state = state(&stats.state, &torrent.files, waits);
        torrent.uptime.turns(now, state);
        let note = match &stats.state {
            State::Faulted(fault) => Some(fault.to_string()),
            _ => torrent.note.as_deref().map(str::to_owned),
        };
        let all = swarm.priorities().wants_all() && swarm.priorities().pieces().is_empty();
        let (done, wanted) = match swarm.metainfo().filter(|_| !all) {
            // What is left says nothing of files and pieces that nobody wants.
            Some(metainfo) => {
                let files = files(metainfo, swarm);
                let wanted = files.iter().filter(|file| file.priority != Priority::Skip);
                (
                    files.iter().map(|file| file.done_bytes).sum(),
                    match swarm.selected_bytes() {
                        Some(selected) if !swarm.priorities().pieces().is_empty() => selected,
                        _ => wanted.map(|file| file.size_bytes).sum(),
                    },
                )
            }
            None => {
                let left = stats.left_bytes.unwrap_or(torrent.size);
                (torrent.size.saturating_sub(left), torrent.size)
            }
        };
        torrent.entry.update(|shown| {
            shown.state = state;
            shown.uptime = torrent.uptime;
            shown.note = note;
            shown.size_bytes = torrent.size;
            shown.done_bytes = done;
            shown.wanted_bytes = wanted;
            shown.left_bytes = stats.left_bytes.unwrap_or(0);
            shown.pieces = stats.pieces_total;
            shown.pieces_done = stats.pieces_have;
            shown.downloaded_bytes = totals.downloaded;
            shown.uploaded_bytes = totals.uploaded;
            shown.down_bytes_per_s = stats.download_rate;
            shown.up_bytes_per_s = stats.upload_rate;
            shown.peers = stats.peers;
            shown.seeds = stats.seeds;
            shown.known_peers = stats.candidates;
            let left = stats.left_bytes.unwrap_or(0);
            shown.eta = (state == TorrentState::Downloading)
                .then(|| left.checked_div(stats.download_rate))
                .flatten()
                .map(Duration::from_secs);
            shown.ratio = ratio(totals.uploaded, totals.downloaded, torrent.size);
        });
        if torrent.shown != Some(state) {
            torrent.shown = Some(state);
            self.shared.steward.notify_one();
            let event = Event::StateChanged { id: torrent.entry.id, state };
            self.shared.emit_of(&torrent.entry, event);
        }
        let running = matches!(state, TorrentState::Downloading) && stats.download_rate > 0;
        self.lead_or_not(key, running);
        // Rates fall to zero over the next seconds, and somebody should see it.
        if stats.peers > 0 || stats.download_rate > 0 || stats.upload_rate > 0 {
            self.stir(key);
        }
    }

    /// Publishes every torrent that has something new.
    pub(super) fn publish_all(&mut self) {
        for key in self.take_stirred() {
            self.publish(key);
        }
    }

    /// Keeps a sentence with a torrent and tells watchers.
    pub(super) fn note(&mut self, key: TorrentKey, sentence: &str) {
        if let Some(torrent) = self.torrents.get_mut(&key) {
            torrent.note = Some(sentence.into());
        }
        self.note_event(key, sentence);
    }

    /// Tells watchers a sentence about a torrent.
    pub(super) fn note_event(&self, key: TorrentKey, sentence: &str) {
        if let Some(torrent) = self.torrents.get(&key) {
            let id = Some(torrent.entry.id).filter(|_| !torrent.entry.is_hidden());
            self.shared.emit(Event::Note { id, sentence: sentence.into() });
        }
    }

    /// Whether a torrent's disk has enough space that going on makes sense.
    pub(super) fn has_space(&self, key: TorrentKey) -> bool {
        let Some(torrent) = self.torrents.get(&key) else { return false };
        let needed = self.router.swarm(key).and_then(Swarm::left_bytes).unwrap_or(0);
        // A disk that does not tell is tried.
        free_bytes(torrent.location.path())
            .is_none_or(|free| free >= needed.min(DISK_SPACE_TO_GO_ON))
    }

    /// All about a torrent.
    pub(super) fn detail(&mut self, key: TorrentKey) -> Option<TorrentDetail> {
        self.publish(key);
        let torrent = self.torrents.get(&key)?;
        let swarm = self.router.swarm(key)?;
        let metainfo = swarm.metainfo();
        let have = swarm.have();
        Some(TorrentDetail {
            torrent: torrent.entry.snapshot(),
            peer_id: torrent.peer_id,
            magnet: magnet(torrent, swarm).to_string(),
            comment: metainfo.and_then(|metainfo| metainfo.comment()).map(str::to_owned),
            created_by: metainfo.and_then(|metainfo| metainfo.created_by()).map(str::to_owned),
            created: metainfo.and_then(|metainfo| metainfo.creation_date()),
            piece_bytes: metainfo.map_or(0, |metainfo| metainfo.piece_length()),
            availability: swarm.availability(),
            files: metainfo.map(|metainfo| files(metainfo, swarm)).unwrap_or_default(),
            have: have.clone(),
            trackers: self.tracker_snapshots(key),
            wasted_bytes: swarm.stats(clock::now()).wasted_bytes,
            copied_bytes: torrent.copied_bytes,
        })
    }

    /// Whom a torrent is connected to.
    pub(super) fn peer_snapshots(&self, key: TorrentKey) -> Option<Vec<PeerSnapshot>> {
        let swarm = self.router.swarm(key)?;
        let pieces = swarm.metainfo().map_or(0, |metainfo| metainfo.piece_count());
        let peers = swarm.peers(clock::now()).into_iter();
        let shown = |peer: PeerStats| {
            let encrypted = self.encrypted(peer.conn);
            PeerSnapshot { encrypted, ..self.peer_snapshot(key, peer, pieces) }
        };
        Some(peers.map(shown).collect())
    }

    /// Whom a torrent was connected to, and got something from or gave something.
    pub(super) fn departed_snapshots(&self, key: TorrentKey) -> Option<Vec<PeerSnapshot>> {
        let swarm = self.router.swarm(key)?;
        let pieces = swarm.metainfo().map_or(0, |metainfo| metainfo.piece_count());
        let departed = swarm.departed().cloned();
        Some(departed.map(|peer| self.peer_snapshot(key, peer, pieces)).collect())
    }

    fn peer_snapshot(&self, key: TorrentKey, peer: PeerStats, pieces: u32) -> PeerSnapshot {
        let (web, conn) = (peer.web, peer.conn);
        let mut snapshot = peer_snapshot(peer, pieces);
        if let Some(seed) = web {
            snapshot.client = self.web_seed_url(key, seed);
            snapshot.addr = self.lanes.server(key, conn).unwrap_or(snapshot.addr);
        }
        snapshot
    }

    /// How its trackers do.
    fn tracker_snapshots(&self, key: TorrentKey) -> Vec<TrackerSnapshot> {
        let now = clock::now();
        let trackers = self.router.announcer(key).into_iter().flat_map(Announcer::trackers);
        trackers.map(|tracker| tracker_snapshot(&tracker, now)).collect()
    }

    /// What a torrent is, if that is known.
    pub(super) fn metainfo(&self, key: TorrentKey) -> Option<Arc<Metainfo>> {
        self.router.swarm(key)?.metainfo().cloned()
    }
}

/// What a torrent is doing, the reading of its files included.
fn state(state: &State, files: &Files, waits: bool) -> TorrentState {
    match (state, files) {
        (State::Faulted(_), _) => TorrentState::Faulted,
        (_, Files::Checking { done, total, .. }) => {
            TorrentState::Checking { done: *done, total: *total }
        }
        (_, Files::CheckPaused { .. }) => TorrentState::Paused,
        (_, Files::Moving(moving)) => {
            let (done_bytes, total_bytes) = moving.bytes;
            TorrentState::Moving { done_bytes, total_bytes }
        }
        (State::Metadata, _) => TorrentState::Metadata,
        (State::Checking, _) => TorrentState::Checking { done: 0, total: 0 },
        (State::Downloading, _) => TorrentState::Downloading,
        (State::Seeding, _) => TorrentState::Seeding,
        (State::Paused, _) if waits => TorrentState::Queued,
        (State::Paused, _) => TorrentState::Paused,
    }
}

/// Sent over received; over the size if nothing was received.
fn ratio(uploaded: u64, downloaded: u64, size: u64) -> f64 {
    let base = if downloaded > 0 { downloaded } else { size };
    if base == 0 { 0.0 } else { uploaded as f64 / base as f64 }
}

/// A link to the torrent, as good as what is known of it.
fn magnet(torrent: &Torrent, swarm: &Swarm) -> Magnet {
    let mut magnet = match swarm.metainfo() {
        Some(metainfo) => metainfo.magnet(),
        None => {
            Magnet { name: Some(torrent.entry.snapshot().name), ..Magnet::new(swarm.info_hashes()) }
        }
    };
    for tracker in torrent.trackers.iter().flatten() {
        if !magnet.trackers.contains(tracker) {
            magnet.trackers.push(tracker.clone());
        }
    }
    magnet
}

/// The files and how much of each is there.
fn files(metainfo: &Metainfo, swarm: &Swarm) -> Vec<FileSnapshot> {
    let (have, wanted) = (swarm.have(), swarm.priorities());
    let numbered = metainfo.files().iter().enumerate().filter(|(_, file)| !file.is_pad());
    numbered
        .map(|(at, file)| {
            let pieces = metainfo.file_pieces(FileIndex(at as u32));
            let length = u64::from(metainfo.piece_length());
            let (start, end) = (file.offset(), file.offset().saturating_add(file.size()));
            let done_bytes = pieces
                .filter(|piece| have.get(PieceIndex(*piece)))
                .map(|piece| {
                    let from = u64::from(piece) * length;
                    from.saturating_add(length).min(end).saturating_sub(from.max(start))
                })
                .sum();
            FileSnapshot {
                index: FileIndex(at as u32),
                priority: wanted.of(FileIndex(at as u32)),
                path: file.path().to_owned(),
                size_bytes: file.size(),
                done_bytes,
            }
        })
        .collect()
}

fn tracker_snapshot(tracker: &announcer::TrackerStatus<'_>, now: Instant) -> TrackerSnapshot {
    let message = tracker.message.map(str::to_owned);
    TrackerSnapshot {
        url: tracker.url.to_owned(),
        tier: tracker.tier as u32,
        status: match tracker.state {
            TrackerState::Unused => TrackerStatus::Idle,
            TrackerState::Announcing => TrackerStatus::Announcing,
            TrackerState::Working => {
                TrackerStatus::Working { peers: tracker.peers as u32, warning: message }
            }
            TrackerState::Unsupported | TrackerState::Failing | TrackerState::Gone => {
                TrackerStatus::Failed { error: message.unwrap_or_default() }
            }
        },
        next_announce: tracker.next_announce.map(|at| at.since(now)),
        seeds: tracker.seeders,
        leechers: tracker.leechers,
    }
}

fn peer_snapshot(peer: PeerStats, pieces: u32) -> PeerSnapshot {
    let unnamed = match peer.direction {
        Direction::Incoming => PeerSource::Incoming,
        Direction::Outgoing => PeerSource::Manual,
    };
    PeerSnapshot {
        addr: peer.addr,
        peer_id: peer.id,
        client: peer.client.unwrap_or_else(|| client_name(&peer.id)),
        direction: peer.direction,
        source: peer.source.unwrap_or(unnamed),
        transport: peer.web.is_none().then_some(peer.transport),
        protocol: if peer.v2 { Protocol::V2 } else { Protocol::V1 },
        encrypted: None,
        pieces: (peer.progress * f64::from(pieces)).round() as u32,
        progress: peer.progress,
        down_bytes_per_s: peer.download_rate,
        up_bytes_per_s: peer.upload_rate,
        downloaded_bytes: peer.downloaded_bytes,
        uploaded_bytes: peer.uploaded_bytes,
        flags: PeerFlags {
            am_choking: peer.choked,
            am_interested: peer.interesting,
            peer_choking: peer.chokes_us,
            peer_interested: peer.interested_in_us,
            snubbed: peer.snubs_us,
        },
    }
}
