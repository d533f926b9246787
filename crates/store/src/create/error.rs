//! Why no torrent could be made.

use althing_bittorrent::metainfo::BuildError;
use std::io;
use std::path::PathBuf;

/// Why no torrent could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is nothing at that path.
    #[error("there is no {path}")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A file or folder can't be read.
    #[error("{path} can't be read: {error}; see that it is yours to read, or leave it out")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// It is a device, a pipe or a socket.
    #[error("{path} is neither a file nor a folder")]
    Special {
        /// The path.
        path: PathBuf,
    },
    /// It has no name of its own.
    #[error("{path} has no name; give the torrent one")]
    Nameless {
        /// The path.
        path: PathBuf,
    },
    /// A folder has too much in it.
    #[error(
        "{path} has more than {max} files, or folders within one another more than {depth} deep"
    )]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// Files and folders at most.
        max: usize,
        /// Folders within one another at most.
        depth: usize,
    },
    /// A file changed while it was hashed.
    #[error("{path} changed while it was hashed; try again when nothing writes to it")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It was told to stop.
    #[error("stopped")]
    Cancelled,
    /// The plan is not of this content.
    #[error("the plan is for other files than {path}")]
    OtherPlan {
        /// The content's path.
        path: PathBuf,
    },
    /// Not a torrent's content.
    #[error(transparent)]
    Build(#[from] BuildError),
}
