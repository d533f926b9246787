//! The watched folder: what is put there is added.
//!
//! The folder is listed every few seconds: that works on every system and on network drives, and
//! costs one system call a look when nothing is there. A file is taken when two looks find it the
//! same, so that one that is still being written is left alone; afterwards it is moved or deleted, so
//! that each is taken once, and one that cannot be moved is remembered until it changes.

use super::add::add;
use super::shared::Shared;
use super::{AddError, AddOptions, AddSource, Event, TorrentSettings};
use crate::api::limits::TORRENT_BYTES_MAX;
use crate::config::{AfterAdding, Watch};
use crate::limits::{WATCH_ENTRIES_MAX, WATCH_LINK_BYTES_MAX};
use althing_bittorrent::metainfo::MagnetError;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tracing::{info, warn};

/// What a file looks like from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Look {
    size: u64,
    modified: Option<SystemTime>,
}

/// What is remembered of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    /// It looked so the last time.
    Waiting(Look),
    /// It has been dealt with, and could not be moved away; or it cannot be added for now, and that
    /// has been said.
    Said(Look),
}

type Memory = BTreeMap<PathBuf, Seen>;

/// Watches as long as the session runs.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut memory = Memory::new();
    let mut complained = false;
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let config = strong.current().watch.clone();
        if !config.dir.as_os_str().is_empty() {
            let outcome = look(&strong, &config, &mut memory).await;
            let is_new = outcome.is_err() && !complained;
            complained = outcome.is_err();
            if let (Err(error), true) = (outcome, is_new) {
                let dir = config.dir.display();
                tell(&strong, &format!("the folder {dir} cannot be watched: {error}; mend it"));
            }
        }
        drop(strong);
        tokio::time::sleep(Duration::from_secs(config.interval_s.max(1).into())).await;
    }
}

/// Looks once, and adds what is ready.
async fn look(shared: &Arc<Shared>, config: &Watch, memory: &mut Memory) -> io::Result<()> {
    let dir = config.dir.clone();
    let found = blocking(move || list(&dir)).await?;
    memory.retain(|path, _| found.contains_key(path));
    for (path, now) in found {
        let before = memory.insert(path.clone(), Seen::Waiting(now));
        match before {
            Some(Seen::Waiting(then)) if then == now => {}
            Some(Seen::Said(then)) if then == now => {
                memory.insert(path.clone(), Seen::Said(now));
                continue;
            }
            _ => continue,
        }
        let done = take(shared, config, &path).await;
        let moved = match done {
            Taken::Added => put_away(config, &path, "added", config.then).await,
            Taken::Bad => put_away(config, &path, "failed", AfterAdding::Keep).await,
            Taken::Later => Ok(()),
        };
        memory.insert(path.clone(), Seen::Said(now));
        if let Err(error) = moved {
            let path = path.display();
            tell(shared, &format!("{path} cannot be moved away: {error}; it is left alone now"));
        }
    }
    Ok(())
}

/// What became of a file.
enum Taken {
    Added,
    Bad,
    /// Not its fault.
    Later,
}

async fn take(shared: &Arc<Shared>, config: &Watch, path: &Path) -> Taken {
    let name = path.display();
    let file = path.to_owned();
    let source = match blocking(move || read(&file)).await {
        Ok(source) => source,
        Err(error) => {
            tell(shared, &format!("{name} is not added: {error}"));
            return Taken::Bad;
        }
    };
    let settings =
        TorrentSettings { category: config.category.parse().ok(), ..TorrentSettings::default() };
    match add(shared, source, AddOptions { settings, ..AddOptions::default() }).await {
        Ok(id) => {
            info!(torrent = %id, %name, "added from the watched folder");
            Taken::Added
        }
        Err(AddError::AlreadyHere { .. }) => Taken::Added,
        Err(error @ (AddError::Save { .. } | AddError::TooMany { .. } | AddError::Stopping)) => {
            tell(shared, &format!("{name} is not added: {error}"));
            Taken::Later
        }
        Err(error) => {
            tell(shared, &format!("{name} is not added: {error}"));
            Taken::Bad
        }
    }
}

/// The torrent files and links in a folder, with what they look like.
fn list(dir: &Path) -> io::Result<BTreeMap<PathBuf, Look>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)?.take(WATCH_ENTRIES_MAX) {
        let path = entry?.path();
        let is_ours = ["torrent", "magnet"].iter().any(|kind| is_kind(&path, kind));
        // One that has gone meanwhile, or cannot be looked at, is nothing to us.
        if is_ours
            && let Ok(about) = fs::metadata(&path)
            && about.is_file()
        {
            let modified = about.modified().ok();
            found.insert(path, Look { size: about.len(), modified });
        }
    }
    Ok(found)
}

fn is_kind(path: &Path, kind: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(kind))
}

fn read(path: &Path) -> io::Result<AddSource> {
    let is_link = is_kind(path, "magnet");
    let max = if is_link { WATCH_LINK_BYTES_MAX } else { TORRENT_BYTES_MAX };
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::other(format!("it has more than {max} bytes")));
    }
    if !is_link {
        return Ok(AddSource::Torrent(bytes));
    }
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let text = text.trim();
    match text.parse() {
        Err(MagnetError::KeyMissing) => {
            text.parse().map(AddSource::Magnet).map_err(io::Error::other)
        }
        other => other.map(AddSource::Follow).map_err(io::Error::other),
    }
}

/// Moves a file into a folder beside it, under a name that is free there, or deletes it.
async fn put_away(
    config: &Watch,
    path: &Path,
    folder: &'static str,
    then: AfterAdding,
) -> io::Result<()> {
    let (folder, path) = (config.dir.join(folder), path.to_owned());
    blocking(move || {
        if then == AfterAdding::Delete {
            return fs::remove_file(&path);
        }
        fs::create_dir_all(&folder)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut to = folder.join(name);
        let mut number = 1;
        while to.try_exists()? && number < WATCH_ENTRIES_MAX {
            number += 1;
            to = folder.join(format!("{number}-{}", name.to_string_lossy()));
        }
        fs::rename(&path, to)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn tell(shared: &Shared, sentence: &str) {
    warn!("{sentence}");
    shared.emit(Event::Note { id: None, sentence: sentence.into() });
}
