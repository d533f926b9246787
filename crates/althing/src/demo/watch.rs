//! What the peers are doing, as their own APIs tell it.

use super::network::Network;
use crate::client::{Client, torrent_path};
use crate::exit::Failure;
use althing_node::api::types::{Event, Peer, TorrentDetail, TorrentState};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long the last figures may take to arrive: peers look at theirs once a second.
const LAST_FIGURES_TIMEOUT: Duration = Duration::from_secs(3);

/// Time between two looks at the last figures.
const LAST_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// One peer at this moment.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerState {
    /// What it calls itself to the others.
    id: String,
    pub(super) pieces_done: u32,
    pub(super) download_bytes_per_s: u64,
    pub(super) upload_bytes_per_s: u64,
    /// When it had everything, counted from the start.
    pub(super) complete_after: Option<Duration>,
    /// Payload received from each peer, by index.
    pub(super) received_from: Vec<u64>,
}

impl PeerState {
    /// Payload received from all.
    pub(super) fn received(&self) -> u64 {
        self.received_from.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// All peers, the one that has the content first.
pub(super) struct Watch {
    id: String,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) pieces: u32,
    started: Instant,
    pub(super) peers: Vec<PeerState>,
    completions: mpsc::Receiver<Result<(usize, Instant), Failure>>,
    moved_at: Instant,
    moved: u64,
}

impl Watch {
    /// Begins to listen, before anything happens.
    pub(super) async fn begin(
        network: &Network,
        shared: &TorrentDetail,
        started: Instant,
    ) -> Result<Self, Failure> {
        let torrent = &shared.torrent;
        let count = network.peers().len();
        let (sender, completions) = mpsc::channel(count);
        for (index, peer) in network.peers().iter().enumerate().skip(1) {
            let mut events = peer.client.events().await?;
            let (sender, id) = (sender.clone(), torrent.id.clone());
            tokio::spawn(async move {
                let complete = loop {
                    match events.next().await {
                        Ok(Some(event)) if completes(&event, &id) => {
                            break Ok((index, Instant::now()));
                        }
                        Ok(Some(_)) => {}
                        // Why it ended shows when the process is looked at.
                        Ok(None) => return,
                        Err(failure) => break Err(failure),
                    }
                };
                // Nobody waits for it any more if this fails.
                drop(sender.send(complete).await);
            });
        }
        let mut peers =
            vec![PeerState { received_from: vec![0; count], ..PeerState::default() }; count];
        if let Some(seeder) = peers.first_mut() {
            seeder.pieces_done = torrent.pieces;
            seeder.complete_after = Some(Duration::ZERO);
        }
        Ok(Watch {
            id: torrent.id.clone(),
            name: torrent.name.clone(),
            size: torrent.size_bytes.unwrap_or_default(),
            pieces: torrent.pieces,
            started,
            peers,
            completions,
            moved_at: started,
            moved: 0,
        })
    }

    /// Returns when one more peer has everything.
    pub(super) async fn next_complete(&mut self) -> Result<(), Failure> {
        let Some(complete) = self.completions.recv().await else {
            // All have told, or are gone, which is noticed elsewhere.
            return std::future::pending().await;
        };
        let (index, at) = complete?;
        if let Some(peer) = self.peers.get_mut(index) {
            peer.complete_after = Some(at.duration_since(self.started));
        }
        Ok(())
    }

    pub(super) fn all_complete(&self) -> bool {
        self.peers.iter().all(|peer| peer.complete_after.is_some())
    }

    /// Time since the start, until the last one had everything.
    pub(super) fn elapsed(&self) -> Duration {
        let last = self.peers.iter().filter_map(|peer| peer.complete_after).max();
        match last {
            Some(last) if self.all_complete() => last,
            _ => self.started.elapsed(),
        }
    }

    /// How long nothing has come in anywhere.
    pub(super) fn idle_for(&self) -> Duration {
        self.moved_at.elapsed()
    }

    /// Payload received by all.
    pub(super) fn moved(&self) -> u64 {
        self.peers.iter().fold(0, |sum, peer| sum.saturating_add(peer.received()))
    }

    /// Asks every peer for its figures.
    pub(super) async fn look(&mut self, network: &Network) -> Result<(), Failure> {
        let mut connections = Vec::new();
        for (index, peer) in network.peers().iter().enumerate() {
            connections.push(self.look_at(index, &peer.client).await?);
        }
        // Only now every peer's id is known, by which the others know it.
        for (index, connections) in connections.iter().enumerate() {
            let mut received_from = vec![0_u64; self.peers.len()];
            for connection in connections {
                let from = self.peers.iter().position(|peer| peer.id == connection.peer_id);
                if let Some(bytes) = from.and_then(|from| received_from.get_mut(from)) {
                    *bytes = bytes.saturating_add(connection.downloaded_bytes);
                }
            }
            if let Some(peer) = self.peers.get_mut(index) {
                peer.received_from = received_from;
            }
        }
        let moved = self.moved();
        if moved > self.moved {
            self.moved = moved;
            self.moved_at = Instant::now();
        }
        Ok(())
    }

    /// Looks at one peer; its connections, open and ended, if it has the torrent yet.
    async fn look_at(&mut self, index: usize, client: &Client) -> Result<Vec<Peer>, Failure> {
        let detail: TorrentDetail = match client.get(&torrent_path(&self.id, "")).await {
            Ok(detail) => detail,
            Err(failure) if failure.is_no_such_torrent() => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        };
        let torrent = detail.torrent;
        if torrent.state == TorrentState::Failed {
            let note = torrent.note.unwrap_or_default();
            return Err(Failure::new(format!("peer {} failed: {note}", index + 1), ""));
        }
        if let Some(state) = self.peers.get_mut(index) {
            state.id = detail.peer_id;
            state.pieces_done = torrent.pieces_done;
            state.download_bytes_per_s = torrent.download_bytes_per_s;
            state.upload_bytes_per_s = torrent.upload_bytes_per_s;
        }
        client.get(&torrent_path(&self.id, "/peers?all=true")).await
    }

    /// Looks once more when everybody is complete, so that the figures are the last ones.
    pub(super) async fn look_at_last(&mut self, network: &Network) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            self.look(network).await?;
            let accounted = self
                .peers
                .iter()
                .skip(1)
                .all(|peer| peer.received() >= self.size && peer.pieces_done == self.pieces);
            if accounted || since.elapsed() > LAST_FIGURES_TIMEOUT {
                return Ok(());
            }
            tokio::time::sleep(LAST_LOOK_INTERVAL).await;
        }
    }
}

fn completes(event: &Event, id: &str) -> bool {
    match event {
        Event::Completed { id: completed } => completed == id,
        // Nothing else tells of a torrent that was complete before anyone listened.
        Event::Torrent { torrent } => torrent.id == id && torrent.state == TorrentState::Seeding,
        Event::Snapshot { torrents, .. } => {
            torrents.iter().any(|one| one.id == id && one.state == TorrentState::Seeding)
        }
        _ => false,
    }
}
