//! Small files that are there whole or not at all, whatever happens while they are written:
//! settings, the API's token.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Whoever the system's defaults let.
    Default,
    /// The owner only (0600), from the moment it exists.
    OwnerOnly,
}

/// Puts `contents` at `path`: when this returns, they survive a power cut; if it fails, or does
/// not return, what was there before still is.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let temporary = temporary_beside(folder, path)?;
    let written = write_new(&temporary, contents, access)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_folder(folder));
    if written.is_err() {
        // Gone already if it was renamed.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A name in the same folder (renaming does not cross file systems) that nobody else uses.
fn temporary_beside(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}-{number}.tmp", std::process::id()));
    Ok(folder.join(temporary))
}

fn write_new(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    restrict(&mut options, access);
    let mut file = match options.open(path) {
        // Left behind by a process that had our number and did not get to finish.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)?
        }
        opened => opened?,
    };
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, access: Access) {
    if access == Access::OwnerOnly {
        std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    }
}

/// Files in a user's folders are that user's on other systems.
#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions, _access: Access) {}

/// Makes the new name durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_replaced_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for contents in [&b"one"[..], b"", b"three"] {
            write(&path, contents, Access::Default).unwrap();
            assert_eq!(fs::read(&path).unwrap(), contents);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "kept").unwrap();
        write(&path, b"new", Access::Default).unwrap_err();
        assert_eq!(fs::read(path.join("x")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        write(&dir.path().join("none/x"), b"", Access::Default).unwrap_err();
        write(Path::new("/"), b"", Access::Default).unwrap_err();
    }

    #[test]
    #[cfg(unix)]
    fn a_secret_is_the_owners_only_even_over_an_open_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.token");
        write(&path, b"old", Access::Default).unwrap();
        write(&path, b"secret", Access::OwnerOnly).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
