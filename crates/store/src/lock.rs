//! One process for each data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The folder is this process's until this is dropped or the process ends, however it does: the
/// operating system lets go of the lock, so there is no stale one to clean up.
#[derive(Debug)]
pub struct FolderLock {
    /// Holds the lock.
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{folder} is in use by another Althing{holder}; stop that one first, or choose another \
         folder with --dir"
    )]
    InUse {
        /// The folder.
        folder: String,
        /// ` (process N)`, if it is known.
        holder: String,
    },
    /// The lock file could not be made.
    #[error("{path} can't be locked: {error}; see that the folder is there and yours to write to")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

impl FolderLock {
    /// Locks the file at `path`, which stands for the folder it is in; creates it if need be.
    ///
    /// # Errors
    /// Another process has it, or it can't be created.
    pub fn acquire(path: &Path) -> Result<FolderLock, LockError> {
        let io_error = |error| LockError::Io { path: path.to_owned(), error };
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path).map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = path.parent().unwrap_or(path).display().to_string();
                return Err(LockError::InUse { folder, holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
        // Only to tell others who it is: that it can't be written is no reason not to run.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(FolderLock { _file: file })
    }
}

/// Who has the lock, as far as the file tells.
fn holder(file: &mut File) -> String {
    // A process id has at most ten digits.
    let mut text = String::new();
    let read = file.take(16).read_to_string(&mut text);
    match read.ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(process) => format!(" (process {process})"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_owners_until_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FolderLock::acquire(&path).unwrap();
        let error = FolderLock::acquire(&path).unwrap_err().to_string();
        let who = format!("(process {})", std::process::id());
        assert!(error.contains(&who), "{error}");
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
        drop(lock);
        FolderLock::acquire(&path).unwrap();
        FolderLock::acquire(&dir.path().join("none/lock")).unwrap_err();
    }
}
