//! Moving torrents' files, and finding those that the user moved.

use super::{CommandError, Session, TorrentId};
use crate::shard::{Command, Relocate};
use althing_bittorrent::metainfo::Metainfo;
use althing_store::files::Location;
use althing_store::locate;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::oneshot;

/// What [`Session::locate`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// How many of the torrent's files.
    pub found: usize,
    /// How many it has besides.
    pub missing: usize,
    /// There was more in the folder than is looked at.
    pub cut_short: bool,
}

impl Session {
    /// Moves a torrent's files to the folder `dir`. Returns when that has begun;
    /// [`TorrentState::Moving`](super::TorrentState::Moving) tells the progress, and the snapshot's
    /// note if it failed: then they are where they were. The torrent rests meanwhile. A process that
    /// dies on the way goes on at its next start.
    ///
    /// # Errors
    /// If there is none of that id, it has no info dictionary yet, or its files are being moved.
    pub async fn move_to(&self, id: TorrentId, dir: &Path) -> Result<(), CommandError> {
        self.describe(id).await?;
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        self.relocate(id, Location::Under(dir), Relocate::Move).await
    }

    /// Looks for a torrent's files in the folder `dir` and below, by their length and content,
    /// whatever they are called there; by default in the folder that they are said to be in. From
    /// then on they are used there, after a check. Where some are missing they will be fetched.
    ///
    /// # Errors
    /// If there is none of that id, it has no info dictionary yet, or nothing of it is there.
    pub async fn locate(
        &self,
        id: TorrentId,
        dir: Option<PathBuf>,
    ) -> Result<Located, CommandError> {
        let metainfo = self.describe(id).await?;
        let snapshot = self.snapshot(id);
        let unknown = || CommandError::Unknown { given: id.to_string() };
        let snapshot = snapshot.ok_or_else(unknown)?;
        let dir = dir.unwrap_or(snapshot.save_dir);
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let cancel = CancelOnDrop(Arc::default());
        let (folder, cancelled) = (dir.clone(), Arc::clone(&cancel.0));
        let looking =
            tokio::task::spawn_blocking(move || locate::locate(&metainfo, &folder, &cancelled));
        let found = looking.await.map_err(|_| CommandError::Stopping)?;
        let Some(found) = found else {
            return Err(CommandError::NotLocated { name: snapshot.name, dir });
        };
        self.write_down(self.shared.persist.located(id, found.location.clone()).await)?;
        self.relocate(id, found.location, Relocate::Found).await?;
        let locate::Located { found, missing, cut_short, .. } = found;
        Ok(Located { found, missing, cut_short })
    }

    async fn describe(&self, id: TorrentId) -> Result<Arc<Metainfo>, CommandError> {
        let entry = self.entry(id)?;
        self.metainfo(id).await.ok_or_else(|| CommandError::NoMetadata { name: entry.name() })
    }

    async fn relocate(
        &self,
        id: TorrentId,
        to: Location,
        how: Relocate,
    ) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        let (begun, answer) = oneshot::channel();
        self.shared.send(&entry, Command::Relocate { torrent: entry.key, to, how, begun });
        let answer = answer.await.map_err(|_| CommandError::Stopping)?;
        answer.map_err(|reason| CommandError::Busy { name: entry.name(), reason })
    }
}

/// Ends the search when nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
