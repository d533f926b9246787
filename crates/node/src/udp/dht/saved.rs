//! What the node knows, on disk: written now and then and at the end, read at the start. It is there
//! whole or not at all.

use althing_base::Instant;
use althing_base::machine::is_due;
use althing_dht::{Dht, Saved, SavedError};
use althing_store::atomic::{self, Access};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{debug, warn};

/// Time between two times that it is written: what is lost in a crash (guess: nodes live for hours).
const KEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The same the first time: whoever joins for a moment only need not begin anew either.
const KEEP_FIRST: Duration = Duration::from_secs(60);

/// Bytes of a file that is read; the largest has 18 KiB.
const SAVED_BYTES_MAX: u64 = 64 * 1024;

/// See the [module](self).
pub(super) struct Keeper {
    /// `None` if nothing may be written.
    path: Option<PathBuf>,
    due: Option<Instant>,
}

impl Keeper {
    /// Reads what was written last.
    pub(super) fn open(now: Instant, path: PathBuf) -> (Self, Option<Saved>) {
        let keeper = |path| Keeper { path, due: Some(now + KEEP_FIRST) };
        match read(&path) {
            Ok(saved) => (keeper(Some(path)), saved),
            // A later release wants it back.
            Err(error @ SavedError::Newer(_)) => {
                warn!("{error}; the DHT begins anew, and nothing is written over it");
                (Keeper::none(), None)
            }
            Err(error) => {
                warn!(path = %path.display(), "{error}; the DHT begins anew");
                (keeper(Some(path)), None)
            }
        }
    }

    /// Keeps nothing.
    pub(super) fn none() -> Self {
        Keeper { path: None, due: None }
    }

    /// When to [`keep`](Self::keep_later).
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        is_due(now, self.due)
    }

    /// Writes it down without waiting for the disk.
    pub(super) fn keep_later(&mut self, now: Instant, machine: &Dht) {
        self.due = Some(now + KEEP_INTERVAL);
        if let Some((path, bytes)) = self.record(machine) {
            tokio::task::spawn_blocking(move || write(&path, &bytes));
        }
    }

    /// Writes it down.
    pub(super) fn keep_now(&self, machine: &Dht) {
        if let Some((path, bytes)) = self.record(machine) {
            write(&path, &bytes);
        }
    }

    /// What is to be written; nothing in place of something.
    fn record(&self, machine: &Dht) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.path.clone()?;
        let saved = machine.save();
        (!saved.nodes.is_empty()).then(|| (path, saved.encode()))
    }
}

fn read(path: &Path) -> Result<Option<Saved>, SavedError> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > SAVED_BYTES_MAX => return Err(SavedError::Damaged),
        _ => {}
    }
    match std::fs::read(path) {
        Ok(bytes) => Saved::parse(&bytes).map(Some),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                warn!(path = %path.display(), %error, "what the DHT knew cannot be read");
            }
            Ok(None)
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    match atomic::write(path, bytes, Access::OwnerOnly) {
        Ok(()) => debug!(bytes = bytes.len(), "what the DHT knows is written down"),
        Err(error) => warn!(
            path = %path.display(),
            "what the DHT knows cannot be written down ({error}); the next start has to look for \
             nodes anew"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Seed;
    use althing_dht::{Config, NodeId};

    #[test]
    fn what_is_damaged_is_written_over_and_what_is_newer_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dht");
        let now = Instant::ORIGIN;
        let (keeper, saved) = Keeper::open(now, path.clone());
        assert!(keeper.path.is_some() && saved.is_none());
        // Nobody is known, so there is nothing to write.
        keeper.keep_now(&Dht::new(now, Config::new(Seed::from_u64(1))));
        assert!(!path.exists());
        let expected = Saved { ids: [NodeId([1; 20]), NodeId([2; 20])], nodes: Vec::new() };
        write(&path, &expected.encode());
        assert_eq!(Keeper::open(now, path.clone()).1, Some(expected));
        write(&path, b"something else");
        assert!(Keeper::open(now, path.clone()).0.path.is_some());
        write(&path, b"ALDHT\xffand what follows");
        assert!(Keeper::open(now, path).0.path.is_none());
    }
}
