//! Giving a torrent's files another place: they are moved there, or were found there.
//!
//! The torrent rests meanwhile. Its files are closed first, so that all it claims is written down;
//! then a thread of its own moves them, and in the end they are opened where they are now. What is
//! there was flushed and compared on the way, so nothing is read again.

use super::core::Core;
use super::torrent::{Closing, Files, Start};
use crate::session::shared::{Entry, Shared};
use crate::shard::Command;
use althing_bittorrent::Bitfield;
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::swarm::Input;
use althing_router::TorrentKey;
use althing_store::files::{DiskFiles, Location, Root};
use althing_store::limits::MOVE_PROGRESS_BYTES;
use althing_store::relocate::{MoveError, Relocation, remove_sources};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// What is to become of a torrent's files when they are closed.
pub(super) struct Relocating {
    to: Location,
    how: Relocate,
    /// How they are opened in the end.
    start: Start,
    /// The user wants the torrent gone, its files too perhaps.
    removal: Option<Removal>,
}

/// The user wants a torrent gone whose files are on their way.
pub(super) struct Removal {
    /// What it is, if its files are to go with it.
    pub(super) delete: Option<Arc<Metainfo>>,
    /// Who waits for the end of it.
    pub(super) done: oneshot::Sender<Result<(), String>>,
}

impl Relocating {
    /// The torrent is to go as soon as its files are closed.
    pub(super) fn remove(&mut self, removal: Removal) {
        self.removal = Some(removal);
    }

    /// Whether it is to go.
    pub(super) fn is_removed(&self) -> bool {
        self.removal.is_some()
    }
}

/// How files get to their new place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relocate {
    /// They are to be moved.
    Move,
    /// A process that died has begun to move them.
    MoveOn,
    /// They are there: the user has moved them.
    Found,
}

/// Files on their way.
pub(super) struct Moving {
    to: Location,
    start: Start,
    cancel: Arc<AtomicBool>,
    /// Bytes that have been moved, and of how many.
    pub(super) bytes: (u64, u64),
    /// What the user wanted meanwhile: the torrent gone, its files too perhaps.
    removal: Option<Removal>,
    /// The shard is ending.
    stopped: bool,
}

impl Moving {
    /// The torrent is to go as soon as its files are in one place.
    pub(super) fn remove(&mut self, removal: Removal) {
        self.cancel.store(true, Ordering::Relaxed);
        self.removal = Some(removal);
    }

    /// The shard is ending; the next run goes on.
    pub(super) fn stop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        self.stopped = true;
    }
}

impl Core {
    /// Gives a torrent's files another place. Answers whether that has begun.
    pub(super) fn relocate(
        &mut self,
        key: TorrentKey,
        to: Location,
        how: Relocate,
        begun: oneshot::Sender<Result<(), String>>,
    ) {
        let have = self.router.swarm(key).map(|swarm| swarm.have().clone());
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let (files, have, check) = match std::mem::replace(&mut torrent.files, Files::Closing) {
            Files::Ready(files) => {
                let have = have.unwrap_or_else(|| Bitfield::new(0));
                let none = Bitfield::new(have.len());
                (files, have, none)
            }
            Files::Checking { files, known, left, .. }
            | Files::CheckPaused { files, known, left } => (files, known, left),
            other => {
                torrent.files = other;
                let reason = "its files are being moved or closed; wait until that is done";
                let _ = begun.send(Err(reason.to_owned()));
                return;
            }
        };
        let start = match how {
            Relocate::Found => Start::Look,
            Relocate::Move | Relocate::MoveOn => Start::Resume { have, check },
        };
        torrent.closing =
            Some(Closing::Relocating(Box::new(Relocating { to, how, start, removal: None })));
        files.close();
        self.unreadable(key);
        self.leave_twins(key);
        self.input(key, Input::Recheck);
        self.publish(key);
        let _ = begun.send(Ok(()));
    }

    /// The files are closed.
    pub(super) fn closed_to_relocate(&mut self, key: TorrentKey, relocating: Relocating) {
        let Relocating { to, how, start, removal } = relocating;
        if let Some(removal) = removal {
            return self.remove_moved(key, removal);
        }
        match how {
            Relocate::Found => self.reopen(key, to, start),
            Relocate::Move | Relocate::MoveOn => self.start_moving(key, to, start, how),
        }
    }

    /// Starts the thread that moves a torrent's files.
    pub(super) fn start_moving(
        &mut self,
        key: TorrentKey,
        to: Location,
        start: Start,
        how: Relocate,
    ) {
        let Some(metainfo) = self.metainfo(key) else { return };
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let cancel = Arc::new(AtomicBool::new(false));
        let mover = Mover {
            shared: Arc::clone(&self.shared),
            entry: Arc::clone(&torrent.entry),
            key,
            metainfo,
            from: torrent.location.clone(),
            to: to.clone(),
            again: how == Relocate::MoveOn,
            cancel: Arc::clone(&cancel),
        };
        let moving = Moving { to, start, cancel, bytes: (0, 0), removal: None, stopped: false };
        torrent.files = Files::Moving(Box::new(moving));
        let thread = std::thread::Builder::new().name("move".to_owned());
        if let Err(error) = thread.spawn(move || mover.run()) {
            self.moved(key, Err(format!("no thread to move files with: {error}")));
        }
        self.publish(key);
    }

    pub(super) fn move_progress(&mut self, key: TorrentKey, done: u64, total: u64) {
        if let Some(torrent) = self.torrents.get_mut(&key)
            && let Files::Moving(moving) = &mut torrent.files
        {
            moving.bytes = (done, total);
        }
        self.publish(key);
    }

    /// The files are in their new place, or still in the old one.
    pub(super) fn moved(&mut self, key: TorrentKey, result: Result<(), String>) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let Files::Moving(moving) = std::mem::replace(&mut torrent.files, Files::Unknown) else {
            return;
        };
        let Moving { to, start, removal, stopped, .. } = *moving;
        let location = if result.is_ok() { to } else { torrent.location.clone() };
        if stopped {
            self.torrents.remove(&key);
            return;
        }
        if let Some(removal) = removal {
            torrent.location = location;
            self.shared.persist.forget_move(torrent.entry.id);
            return self.remove_moved(key, removal);
        }
        match result {
            Ok(()) => {
                let place = location.path().display().to_string();
                info!(torrent = key.0, place, "moved");
            }
            Err(reason) => {
                warn!(torrent = key.0, reason, "not moved");
                self.note(key, &reason);
            }
        }
        self.reopen(key, location, start);
    }

    /// Opens a torrent's files where they are now.
    fn reopen(&mut self, key: TorrentKey, location: Location, start: Start) {
        let Some(metainfo) = self.metainfo(key) else { return };
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        torrent.entry.update(|shown| shown.save_dir = crate::session::save_dir(&location));
        torrent.location = location;
        torrent.start = Some(Box::new(start));
        torrent.files = Files::Unknown;
        self.open_files(key, &metainfo);
        self.publish(key);
    }

    /// The user has removed a torrent while its files were on their way.
    fn remove_moved(&mut self, key: TorrentKey, removal: Removal) {
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let Removal { delete, done } = removal;
        let Some(metainfo) = delete else {
            self.torrents.remove(&key);
            let _ = done.send(Ok(()));
            return;
        };
        let files = self.shared.pool.open(althing_store::pieces::Opening {
            key: althing_store::pieces::TorrentKey(key.0),
            metainfo,
            location: torrent.location.clone(),
            sink: Arc::clone(&self.sink),
            before_write: None,
        });
        torrent.files = Files::Closing;
        torrent.closing = Some(Closing::Removed(done));
        files.delete();
    }
}

/// What the thread needs.
struct Mover {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    key: TorrentKey,
    metainfo: Arc<Metainfo>,
    from: Location,
    to: Location,
    again: bool,
    cancel: Arc<AtomicBool>,
}

impl Mover {
    fn run(self) {
        let result = self.relocate();
        let Mover { shared, entry, key, .. } = self;
        shared.send(&entry, Command::Moved(key, result));
    }

    fn relocate(&self) -> Result<(), String> {
        let id = self.entry.id;
        let files = self.metainfo.files();
        let (from, to) = (Root::new(&self.from, files), Root::new(&self.to, files));
        if !self.again {
            self.shared.persist.begin_move(id, self.to.clone())?;
        }
        let told = Cell::new(0);
        let progress = |done: u64, total: u64| {
            if done == total || done - told.get() >= MOVE_PROGRESS_BYTES {
                told.set(done);
                let progress = Command::MoveProgress(self.key, done, total);
                self.shared.send(&self.entry, progress);
            }
        };
        let relocation = Relocation {
            files: &DiskFiles,
            metainfo: &self.metainfo,
            from: &from,
            to: &to,
            again: self.again,
            progress: &progress,
            cancel: &self.cancel,
        };
        let moved = match relocation.run() {
            Ok(moved) => moved,
            // The next run goes on with it, unless the torrent is gone by then.
            Err(error @ MoveError::Cancelled) => return Err(error.to_string()),
            Err(error) => {
                self.shared.persist.end_move(id)?;
                return Err(error.to_string());
            }
        };
        let leftovers = moved.leftovers.then(|| self.from.clone());
        let written = self.shared.persist.moved(id, self.to.clone(), moved.stamps, leftovers);
        if let Err(reason) = written {
            // The files are in the new place all the same, and the next run finds them there.
            warn!(torrent = %id, reason, "where a torrent has been moved is not written down");
            return Ok(());
        }
        if moved.leftovers {
            remove_leftovers(&self.shared, &self.entry, &self.metainfo, &from);
        }
        Ok(())
    }
}

/// Deletes what a move has left in the old place.
pub(crate) fn remove_leftovers(shared: &Shared, entry: &Entry, metainfo: &Metainfo, from: &Root) {
    if let Err(fault) = remove_sources(&DiskFiles, from, metainfo) {
        let folder: PathBuf = from.anchor().to_owned();
        warn!(torrent = %entry.id, folder = %folder.display(), %fault, "something is left behind");
    }
    if let Err(reason) = shared.persist.end_move(entry.id) {
        warn!(torrent = %entry.id, reason, "the end of a move is not written down");
    }
}
