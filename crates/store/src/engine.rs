//! The key-value engine below what is kept of torrents and of the overlay: opened in one way, with the version
//! of what is written in it.

use crate::limits::{RECORDS_CACHE_BYTES, RECORDS_MEMTABLE_BYTES, RECORDS_OPEN_FILES_MAX};
use crate::records::RecordError;
use fjall::{Database, KeyspaceCreateOptions};
use std::path::Path;

/// The key of the format's version.
const FORMAT: &[u8] = b"format";

/// Opens what is in the folder `path`, which this program writes in the format `known`; makes it if nothing is
/// there.
///
/// # Errors
/// Another process has it, it is of a newer format, or the engine fails.
pub(crate) fn open(path: &Path, known: u64) -> Result<Database, RecordError> {
    let failed = |error| failed(path, error);
    let database = Database::builder(path)
        .cache_size(RECORDS_CACHE_BYTES)
        .max_cached_files(Some(RECORDS_OPEN_FILES_MAX))
        .worker_threads(1)
        .open()
        .map_err(failed)?;
    let meta = database.keyspace("meta", plain).map_err(failed)?;
    let found = match meta.get(FORMAT).map_err(failed)? {
        None => 0,
        Some(found) => {
            let found = std::str::from_utf8(&found).ok().and_then(|text| text.parse().ok());
            found.unwrap_or(u64::MAX)
        }
    };
    if found > known {
        return Err(RecordError::Newer { path: path.to_owned(), found, known });
    }
    if found < known {
        // What is written from now on, older software must not touch.
        meta.insert(FORMAT, known.to_string()).map_err(failed)?;
    }
    Ok(database)
}

/// How a keyspace is made, if nothing speaks for another way.
pub(crate) fn plain() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(RECORDS_MEMTABLE_BYTES)
}

/// What a user is told when the engine fails.
pub(crate) fn failed(path: &Path, error: fjall::Error) -> RecordError {
    match error {
        fjall::Error::Locked => RecordError::InUse { path: path.to_owned() },
        error => RecordError::Engine { path: path.to_owned(), error },
    }
}
