//! What a user sees of a swarm.

use super::io::{ConnId, Direction, PeerSource, StorageFault, Transport};
use super::limits::DEPARTED_MAX;
use super::peer::{Peer, Pieces};
use super::{Phase, Swarm};
use crate::metainfo::Metainfo;
use crate::types::{BLOCK_SIZE, Bitfield, InfoHashes, PeerId};
use crate::webseed::WebSeedId;
use althing_base::Instant;
use std::net::SocketAddr;
use std::sync::Arc;

/// Rates shown to users are means over so many seconds.
const SHOWN_RATE_S: u64 = 3;

/// Counters that only grow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) downloaded_bytes: u64,
    pub(super) uploaded_bytes: u64,
    pub(super) wasted_bytes: u64,
    pub(super) corrupt_pieces: u64,
}

/// Why a torrent cannot go on until somebody does something.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The disk.
    #[error("{0}")]
    Storage(StorageFault),
    /// What the info-hash stands for is not a torrent that can be fetched.
    #[error(
        "the description that this magnet link stands for is not valid: {0}; nobody can download it"
    )]
    Metainfo(String),
}

/// What a swarm is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Asking peers what the torrent is.
    Metadata,
    /// Waiting for the files to be opened and checked.
    Checking,
    /// Fetching.
    Downloading,
    /// Everything wanted is there.
    Seeding,
    /// The user stopped it.
    Paused,
    /// It stopped itself.
    Faulted(Fault),
}

/// One look at a swarm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SwarmStats {
    /// What it is doing.
    pub state: State,
    /// Payload received since the start, in bytes, useful or not.
    pub downloaded_bytes: u64,
    /// Payload sent since the start, in bytes.
    pub uploaded_bytes: u64,
    /// Payload received that was not needed or not right, in bytes.
    pub wasted_bytes: u64,
    /// Pieces that hashed wrong.
    pub corrupt_pieces: u64,
    /// Payload received, in bytes a second over the last 3 s.
    pub download_rate: u64,
    /// Payload sent, in bytes a second over the last 3 s.
    pub upload_rate: u64,
    /// Bytes still to fetch, padding not counted; `None` while the metadata is unknown.
    pub left_bytes: Option<u64>,
    /// Pieces on disk.
    pub pieces_have: u32,
    /// Pieces there are; 0 while the metadata is unknown.
    pub pieces_total: u32,
    /// Connections.
    pub peers: u32,
    /// Connections to peers that have everything.
    pub seeds: u32,
    /// Addresses known.
    pub candidates: u32,
    /// Blocks on order.
    pub blocks_on_order: u32,
    /// Pieces in progress.
    pub pieces_in_progress: u32,
    /// New peers are shown one piece at a time (BEP 16).
    pub super_seeding: bool,
}

/// One look at a connection.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerStats {
    /// The connection.
    pub conn: ConnId,
    /// Its address.
    pub addr: SocketAddr,
    /// Who opened it.
    pub direction: Direction,
    /// What the connection runs over; of a web seed it means nothing.
    pub transport: Transport,
    /// Which of the torrent's web seeds it is; then it has no address.
    pub web: Option<WebSeedId>,
    /// How it became known; `None` if it connected to us from an address nobody named.
    pub source: Option<PeerSource>,
    /// What it calls itself.
    pub id: PeerId,
    /// Name and version of its client, as it says.
    pub client: Option<String>,
    /// Part of the torrent that it has, 0 to 1.
    pub progress: f64,
    /// Bytes a second from it over the last 3 s.
    pub download_rate: u64,
    /// Bytes a second to it over the last 3 s.
    pub upload_rate: u64,
    /// Payload from it, in bytes.
    pub downloaded_bytes: u64,
    /// Payload to it, in bytes.
    pub uploaded_bytes: u64,
    /// It chokes us.
    pub chokes_us: bool,
    /// We choke it.
    pub choked: bool,
    /// It wants what we have.
    pub interested_in_us: bool,
    /// We want what it has.
    pub interesting: bool,
    /// It owes us blocks and sends none.
    pub snubs_us: bool,
    /// It takes part in the v2 swarm.
    pub v2: bool,
    /// Blocks on order with it.
    pub blocks_on_order: u32,
    /// Blocks it asked for and has not got.
    pub requests_waiting: u32,
}

impl Swarm {
    /// The torrent's names, as far as they are known.
    pub fn info_hashes(&self) -> InfoHashes {
        self.info_hashes
    }

    /// What the torrent is, once that is known.
    pub fn metainfo(&self) -> Option<&Arc<Metainfo>> {
        self.metainfo.as_ref()
    }

    /// The pieces on disk; empty until the files are open.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        match (&self.fault, self.phase) {
            (Some(fault), _) => State::Faulted(fault.clone()),
            (None, Phase::Opening) => State::Checking,
            _ if self.paused => State::Paused,
            (None, Phase::Metadata) => State::Metadata,
            (None, Phase::Active) if self.missing == 0 => State::Seeding,
            (None, Phase::Active) => State::Downloading,
        }
    }

    /// Whether others should know that we are here: it runs, and is sure of what it has.
    pub fn wants_to_be_found(&self) -> bool {
        self.is_running() && self.phase != Phase::Opening
    }

    /// Whether all that there is of it is on disk.
    pub fn has_everything(&self) -> bool {
        self.phase == Phase::Active && self.have.is_full()
    }

    /// Payload received and sent since the start, in bytes.
    pub fn transferred_bytes(&self) -> (u64, u64) {
        (self.totals.downloaded_bytes, self.totals.uploaded_bytes)
    }

    /// Bytes of the pieces that are wanted, on disk or not, padding not counted; `None` while it is not
    /// known which pieces there are.
    pub fn selected_bytes(&self) -> Option<u64> {
        let metainfo = self.metainfo.as_ref().filter(|_| self.phase == Phase::Active)?;
        let selected = self.priorities.selected.ones();
        Some(selected.map(|piece| u64::from(metainfo.piece_data_size(piece))).sum())
    }

    /// Bytes still to fetch, padding not counted; `None` while the metadata is unknown.
    pub fn left_bytes(&self) -> Option<u64> {
        let metainfo = self.metainfo.as_ref()?;
        if self.phase != Phase::Active {
            return Some(metainfo.total_size());
        }
        if self.missing == 0 {
            return Some(0);
        }
        let whole: u64 = self
            .priorities
            .selected
            .ones()
            .filter(|piece| !self.have.get(*piece))
            .map(|piece| u64::from(metainfo.piece_data_size(piece)))
            .sum();
        Some(whole)
    }

    /// One look at it.
    pub fn stats(&self, now: Instant) -> SwarmStats {
        SwarmStats {
            state: self.state(),
            downloaded_bytes: self.totals.downloaded_bytes,
            uploaded_bytes: self.totals.uploaded_bytes,
            wasted_bytes: self.totals.wasted_bytes,
            corrupt_pieces: self.totals.corrupt_pieces,
            download_rate: self.peers.values().map(|p| p.download.rate(now, SHOWN_RATE_S)).sum(),
            upload_rate: self.peers.values().map(|p| p.upload.rate(now, SHOWN_RATE_S)).sum(),
            left_bytes: self.left_bytes(),
            pieces_have: self.have.count_ones(),
            pieces_total: self.metainfo.as_ref().map_or(0, |m| m.piece_count()),
            peers: self.peers.len() as u32,
            seeds: self.peers.values().filter(|p| p.is_seed()).count() as u32,
            candidates: self.candidates.len() as u32,
            blocks_on_order: self.peers.values().map(|p| p.orders.len() as u32).sum(),
            pieces_in_progress: self.open.len() as u32,
            super_seeding: self.is_super_seeding(),
        }
    }

    /// One look at each connection.
    pub fn peers(&self, now: Instant) -> Vec<PeerStats> {
        self.peers.iter().map(|(conn, peer)| self.peer_stats(now, *conn, peer)).collect()
    }

    /// The last look at peers whose connection ended and with whom payload was exchanged, the latest
    /// last; at most [`DEPARTED_MAX`]. Of a peer that came and went several times, the bytes of all
    /// its connections.
    pub fn departed(&self) -> impl ExactSizeIterator<Item = &PeerStats> {
        self.departed.iter()
    }

    /// Keeps the last look at a connection, if it was of use.
    pub(super) fn departs(&mut self, now: Instant, conn: ConnId, peer: &Peer) {
        if peer.download.total_bytes() + peer.upload.total_bytes() == 0 {
            return;
        }
        let mut stats = PeerStats {
            download_rate: 0,
            upload_rate: 0,
            blocks_on_order: 0,
            requests_waiting: 0,
            ..self.peer_stats(now, conn, peer)
        };
        if let Some(at) = self.departed.iter().position(|earlier| earlier.id == stats.id)
            && let Some(earlier) = self.departed.remove(at)
        {
            stats.downloaded_bytes += earlier.downloaded_bytes;
            stats.uploaded_bytes += earlier.uploaded_bytes;
        }
        if self.departed.len() >= DEPARTED_MAX {
            self.departed.pop_front();
        }
        self.departed.push_back(stats);
    }

    fn peer_stats(&self, now: Instant, conn: ConnId, p: &Peer) -> PeerStats {
        let progress = match &p.pieces {
            Pieces::Known(bits) if !bits.is_empty() => {
                f64::from(bits.count_ones()) / f64::from(bits.len())
            }
            Pieces::Early { all: true, .. } => 1.0,
            _ => 0.0,
        };
        PeerStats {
            conn,
            addr: p.addr,
            direction: p.direction,
            transport: p.transport,
            web: p.web,
            source: match p.web {
                Some(_) => Some(PeerSource::WebSeed),
                None => p.listens_at.and_then(|addr| self.candidates.source(addr)),
            },
            id: p.id,
            client: p.extensions.client.clone(),
            progress,
            download_rate: p.download.rate(now, SHOWN_RATE_S),
            upload_rate: p.upload.rate(now, SHOWN_RATE_S),
            downloaded_bytes: p.download.total_bytes(),
            uploaded_bytes: p.upload.total_bytes(),
            chokes_us: p.chokes_us,
            choked: p.choked,
            interested_in_us: p.interested_in_us,
            interesting: p.interesting,
            snubs_us: p.snubs_us,
            v2: p.v2,
            blocks_on_order: p.orders.len() as u32,
            requests_waiting: (p.wanted_by_it.len() + p.sending.len()) as u32,
        }
    }

    /// For each piece how many connected peers have it; empty while the metadata is unknown.
    pub fn availability(&self) -> Vec<u32> {
        let pieces = self.metainfo.as_ref().map_or(0, |metainfo| metainfo.piece_count());
        let mut counts = vec![0u32; pieces as usize];
        for peer in self.peers.values() {
            let Pieces::Known(bits) = &peer.pieces else { continue };
            for piece in bits.ones() {
                if let Some(count) = counts.get_mut(piece.0 as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// The bytes of payload that peers' pipelines hold on order, for bounds and metrics.
    pub fn bytes_on_order(&self) -> u64 {
        self.peers.values().map(|p| p.orders.len() as u64 * u64::from(BLOCK_SIZE)).sum()
    }
}
