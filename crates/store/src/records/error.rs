//! What can be wrong with records.

use althing_base::Sha1Digest;
use std::path::PathBuf;

/// Why a record can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A later version wrote them.
    #[error(
        "the records in {path} are of format {found}, and this Althing knows formats up to \
         {known}; update Althing, or choose another folder with --dir"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Their format.
        found: u64,
        /// The newest format that can be read.
        known: u64,
    },
    /// Another process uses them.
    #[error(
        "the records in {path} are in use by another process; stop that one first, or choose \
         another folder with --dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// One torrent's record makes no sense.
    #[error("the record of torrent {torrent} is damaged ({what}); remove it and add it again")]
    Damaged {
        /// The torrent.
        torrent: Sha1Digest,
        /// Where.
        what: &'static str,
    },
    /// The store itself failed.
    #[error(
        "the records in {path} can't be used: {error}; see that the disk is sound and has room"
    )]
    Engine {
        /// The folder.
        path: PathBuf,
        /// The engine's words.
        error: fjall::Error,
    },
}
