//! What can be wrong with the index, in sentences for its user.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A later version of Althing has made it.
    #[error(
        "the index in {path} has format {found}, and this Althing knows formats up to {known}; run the Althing that \
         made it, or delete that folder: the index is made anew from what is shared"
    )]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest that is known.
        known: u64,
    },
    /// The disk has no room.
    #[error(
        "there is no room left on the disk of {path}: nothing new is indexed until there is; what is indexed can \
         still be found"
    )]
    DiskFull {
        /// Where the index is.
        path: PathBuf,
    },
    /// It has as much as it may have.
    #[error("the index has {what}, as much as it may have: nothing more of the kind is taken")]
    Full {
        /// What there is enough of.
        what: &'static str,
    },
    /// Something else is wrong with its files.
    #[error("the index in {path} does not work: {reason}")]
    Broken {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl IndexError {
    /// Takes what the engine says.
    pub(crate) fn from_engine(path: &Path, error: &TantivyError) -> Self {
        let path = path.to_owned();
        if is_disk_full(error) {
            return IndexError::DiskFull { path };
        }
        IndexError::Broken { path, reason: error.to_string() }
    }

    /// Takes what the system says.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        if is_full(error) {
            return IndexError::DiskFull { path };
        }
        IndexError::Broken { path, reason: error.to_string() }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn is_disk_full(error: &TantivyError) -> bool {
    match error {
        TantivyError::IoError(error) | TantivyError::LockFailure(LockError::IoError(error), _) => {
            is_full(error)
        }
        TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => {
            is_full(io_error)
        }
        _ => false,
    }
}

/// Whether what is on disk makes no sense, so that it has to be made anew.
pub(crate) fn is_damaged(error: &TantivyError) -> bool {
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::FieldNotFound(_)
        | TantivyError::InternalError(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::InvalidArgument(_)
        | TantivyError::OpenReadError(
            OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
        ) => true,
        TantivyError::IoError(error) => {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

/// Asks the engine for something. It trusts what is on disk and may panic over what a bad disk has made of it;
/// that is an error like others. Whatever it has worked on must not be used after that but to read.
pub(crate) fn guarded<T>(
    work: impl FnOnce() -> Result<T, TantivyError>,
) -> Result<T, TantivyError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(TantivyError::InternalError("its files make no sense; delete them".to_owned()))
    })
}
