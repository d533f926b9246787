//! Writing progress down: only what has been flushed to disk is claimed, every half minute, on
//! completion and at the end.

use super::core::Core;
use super::relocate::Removal;
use super::torrent::{Closing, Files, Torrent, Totals};
use crate::clock;
use crate::limits::UPTIME_SAVED_WITHIN;
use crate::session::persist::Saved;
use althing_bittorrent::swarm::{Direction, Fault, Input, StorageFault};
use althing_router::TorrentKey;
use althing_store::limits::RECORD_PEERS_MAX;
use althing_store::pieces::Durable;
use std::net::SocketAddr;
use tokio::sync::oneshot;

impl Core {
    /// Flushes a torrent's files; [`saved`](Self::saved) writes down what became durable.
    pub(super) fn save(&mut self, key: TorrentKey) {
        if let Some(torrent) = self.torrents.get_mut(&key)
            && let Files::Ready(files) | Files::Checking { files, .. } = &torrent.files
        {
            torrent.unsaved = false;
            files.sync();
        }
    }

    /// Saves every torrent that has something new.
    pub(super) fn save_all(&mut self) {
        let keys: Vec<TorrentKey> = self.torrents.keys().copied().collect();
        for key in keys {
            // Blocks of pieces that take long are saved, too.
            let received = self.totals(key).downloaded;
            let unsaved = |torrent: &Torrent| {
                torrent.unsaved
                    || torrent.saved.downloaded != received
                    || matches!(torrent.files, Files::Checking { .. })
            };
            if self.torrents.get(&key).is_some_and(|torrent| unsaved(torrent)) {
                self.save(key);
            } else {
                self.saved(key, Durable::default(), false);
            }
        }
    }

    /// These pieces are on disk for good: writes that down, with the totals. `clean` if the files
    /// are closed.
    pub(super) fn saved(&mut self, key: TorrentKey, durable: Durable, clean: bool) {
        let totals = self.totals(key);
        let now = clock::now();
        let pieces = self.pieces(key).unwrap_or(0);
        let peers = self.peers_to_remember(key);
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        // A torrent that is being removed has been forgotten.
        let removed = match &torrent.closing {
            Some(Closing::Removed(_)) => true,
            Some(Closing::Relocating(relocating)) => relocating.is_removed(),
            _ => false,
        };
        let spent = torrent.uptime.spent(now);
        // A torrent that rests has nothing to be written down but the time, which may wait.
        let overdue =
            spent.active.saturating_sub(torrent.saved_spent.active) >= UPTIME_SAVED_WITHIN;
        let changed = torrent.saved != totals || overdue;
        if !removed && (!durable.is_empty() || clean || changed) {
            torrent.saved = totals;
            torrent.saved_spent = spent;
            let saved = Saved { durable, totals, spent, clean, peers };
            self.shared.persist.progress(torrent.entry.id, pieces, saved);
        }
    }

    /// Where peers listen that we connected to: where to begin the next time.
    fn peers_to_remember(&self, key: TorrentKey) -> Vec<SocketAddr> {
        let Some(swarm) = self.router.swarm(key) else { return Vec::new() };
        let peers = swarm.peers(clock::now()).into_iter();
        let outgoing = peers.filter(|peer| peer.direction == Direction::Outgoing);
        outgoing.map(|peer| peer.addr).take(RECORD_PEERS_MAX).collect()
    }

    /// Payload that went over the network since the torrent was added.
    pub(super) fn totals(&self, key: TorrentKey) -> Totals {
        let Some(torrent) = self.torrents.get(&key) else { return Totals::default() };
        let Some(swarm) = self.router.swarm(key) else { return torrent.saved };
        let (downloaded, uploaded) = swarm.transferred_bytes();
        Totals {
            downloaded: torrent.before.downloaded.saturating_add(downloaded),
            uploaded: torrent.before.uploaded.saturating_add(uploaded),
        }
    }

    /// Lets a torrent go: its connections are closed, its trackers told, its files closed or
    /// deleted. `done` is told when all of that has happened.
    pub(super) fn remove(
        &mut self,
        key: TorrentKey,
        delete: bool,
        done: oneshot::Sender<Result<(), String>>,
    ) {
        self.unreadable(key);
        self.leave_twins(key);
        let removal = self.metainfo(key).filter(|_| delete);
        self.router.remove(clock::now(), key);
        self.shared.slots.leave(key);
        self.drain();
        let Some(torrent) = self.torrents.get_mut(&key) else {
            let _ = done.send(Ok(()));
            return;
        };
        match std::mem::replace(&mut torrent.files, Files::Closing) {
            Files::Ready(files)
            | Files::Checking { files, .. }
            | Files::CheckPaused { files, .. } => {
                torrent.closing = Some(Closing::Removed(done));
                if delete {
                    files.delete();
                } else {
                    files.close();
                }
            }
            Files::Moving(mut moving) => {
                moving.remove(Removal { delete: removal, done });
                torrent.files = Files::Moving(moving);
            }
            Files::Unknown | Files::Closing => match &mut torrent.closing {
                Some(Closing::Relocating(relocating)) => {
                    relocating.remove(Removal { delete: removal, done });
                }
                _ => {
                    self.torrents.remove(&key);
                    let _ = done.send(Ok(()));
                }
            },
        }
    }

    /// Closes everything; the shard has ended when [`is_empty`](Self::is_empty).
    pub(super) fn stop(&mut self) {
        let keys: Vec<TorrentKey> = self.torrents.keys().copied().collect();
        for key in keys {
            self.unreadable(key);
            self.leave_twins(key);
            // While it still has peers to remember.
            self.saved(key, Durable::default(), false);
            // Trackers and peers are told as when the user pauses it.
            self.input(key, Input::Pause);
            let Some(torrent) = self.torrents.get_mut(&key) else { continue };
            match torrent.closing {
                // Where to, nothing has been written down yet.
                Some(Closing::Relocating(_)) => {
                    torrent.closing = Some(Closing::Stopped);
                    continue;
                }
                Some(_) => continue,
                None => {}
            }
            match std::mem::replace(&mut torrent.files, Files::Closing) {
                Files::Moving(mut moving) => {
                    moving.stop();
                    torrent.files = Files::Moving(moving);
                }
                Files::Ready(files)
                | Files::Checking { files, .. }
                | Files::CheckPaused { files, .. } => {
                    torrent.closing = Some(Closing::Stopped);
                    files.close();
                }
                Files::Unknown | Files::Closing => {
                    self.torrents.remove(&key);
                }
            }
        }
    }

    /// Whether every torrent is closed.
    pub(super) fn is_empty(&self) -> bool {
        self.torrents.is_empty()
    }

    /// Lets torrents go on that stopped because their disk was full and has space again.
    pub(super) fn retry_full_disks(&mut self) {
        let full: Vec<TorrentKey> = self
            .torrents
            .keys()
            .copied()
            .filter(|key| {
                matches!(self.fault(*key), Some(Fault::Storage(StorageFault::DiskFull { .. })))
            })
            .filter(|key| self.has_space(*key))
            .collect();
        for key in full {
            self.note_event(key, "there is space on the disk again; going on");
            self.resume(key);
        }
    }
}
