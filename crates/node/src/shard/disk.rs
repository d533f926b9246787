//! What the disk pool answers, and what becomes of it.

use super::core::{Core, DiskEvent};
use super::reading::is_read;
use super::torrent::{Closing, Files};
use althing_bittorrent::swarm::{Input, StorageFault};
use althing_router::TorrentKey;
use althing_store::pieces::{Event, VerifyProgress};
use tracing::{debug, warn};

impl Core {
    /// Something happened on disk.
    pub(super) fn disk_event(&mut self, (key, event): DiskEvent) {
        match event {
            Event::BlocksRead { tag, blocks } if is_read(tag) => {
                // A reader asks for one block at a time.
                if let Some((_, data)) = blocks.into_iter().next() {
                    self.read_answered(tag, Ok(data));
                }
            }
            Event::BlocksRead { tag, blocks } => self.blocks_read(tag, blocks),
            Event::PieceStored { piece, block_digests } => {
                self.input(key, Input::PieceStored { piece, block_digests });
            }
            Event::PieceCorrupt { piece, block_digests } => {
                debug!(torrent = key.0, %piece, "a piece hashed to something else");
                self.input(key, Input::PieceCorrupt { piece, block_digests });
            }
            Event::ReadFault { tag, fault, .. } => {
                if is_read(tag) {
                    self.read_answered(tag, Err(fault.clone()));
                }
                self.disk_fault(key, fault);
            }
            Event::PieceFault { fault, .. } => {
                self.disk_fault(key, fault);
            }
            Event::Restored { piece, blocks } => {
                self.input(key, Input::PartialPiece { piece, blocks });
            }
            Event::PieceCopied { piece, copied } => self.piece_copied(key, piece, copied),
            Event::Leaves { piece, leaves } => self.input(key, Input::Leaves { piece, leaves }),
            Event::VerifyProgress(progress) => self.check_progress(key, progress),
            Event::Verified { have, checked, faults } => {
                self.checked(key, &have, &checked, &faults);
            }
            Event::Prepared { fault: Some(fault) } => self.disk_fault(key, fault),
            Event::Synced { durable, fault } => {
                self.saved(key, durable, false);
                if let Some(fault) = fault {
                    self.disk_fault(key, fault);
                }
            }
            Event::Closed { durable, fault } => {
                self.saved(key, durable, fault.is_none());
                self.closed(key, fault);
            }
            _ => {}
        }
    }

    /// The disk refused: the swarm stops itself, and users are told.
    pub(super) fn disk_fault(&mut self, key: TorrentKey, fault: StorageFault) {
        // One is enough: a full disk answers every block that was under way.
        if self.fault(key).is_some() || !self.torrents.contains_key(&key) {
            return;
        }
        warn!(torrent = key.0, %fault, "stopped");
        self.note(key, &fault.to_string());
        self.input(key, Input::StorageFault(fault));
        self.publish(key);
    }

    fn check_progress(&mut self, key: TorrentKey, progress: VerifyProgress) {
        if let Some(torrent) = self.torrents.get_mut(&key)
            && let Files::Checking { done, total, .. } = &mut torrent.files
        {
            *done = progress.checked;
            *total = progress.total;
        }
        self.publish(key);
    }

    /// The files are closed, or deleted: whoever waits for it is told.
    fn closed(&mut self, key: TorrentKey, fault: Option<StorageFault>) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let closing = torrent.closing.take();
        if let Some(Closing::Relocating(relocating)) = closing {
            return self.closed_to_relocate(key, *relocating);
        }
        self.torrents.remove(&key);
        if let Some(Closing::Removed(done)) = closing {
            // Nobody waits any more if the request was given up.
            let _ = done.send(fault.map_or(Ok(()), |fault| Err(fault.to_string())));
        } else if let Some(fault) = fault {
            warn!(torrent = key.0, %fault, "not all progress could be saved");
        }
    }
}
