//! The token in `DIR/api.token`: whoever can read that file may use the API, and nobody else.
//! That makes the operating system's file permissions the API's.

use althing_store::atomic::{self, Access};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;

/// The file's name within the data folder.
pub const TOKEN_FILE: &str = "api.token";

/// Random bytes in a token; written as twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 32;

/// A secret that is compared in constant time and never printed.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of these characters.
    pub fn new(text: &str) -> Self {
        Secret(text.as_bytes().into())
    }

    /// Whether `given` is it. How long this takes tells its length at most, which is no secret.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.0.ct_eq(given).into()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file could not be read or written.
    #[error("cannot keep the API's token in {path}: {error}; make the folder writable for you")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for the API's token: {0}")]
    Entropy(getrandom::Error),
}

/// The token in the data folder `dir`; made at the first start, and made anew if the file is
/// damaged or if others could have read it.
pub fn load_or_create(dir: &Path) -> Result<Secret, TokenError> {
    load_or_create_in(dir, TOKEN_FILE).map(|token| Secret::new(&token))
}

/// The same for another key than the API's, in a file of its own; its text.
pub(super) fn load_or_create_in(dir: &Path, file: &str) -> Result<String, TokenError> {
    let path = dir.join(file);
    match read_in(dir, file) {
        Ok(token) if is_private(&path) => return Ok(token),
        Ok(_) => tracing::warn!(
            path = %path.display(),
            "other users could read the API's token; it is replaced by a new one"
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => tracing::warn!(
            path = %path.display(),
            "the API's token is damaged; it is replaced by a new one"
        ),
        Err(error) => return Err(TokenError::Io { path, error }),
    }
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(TokenError::Entropy)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    atomic::write(&path, format!("{token}\n").as_bytes(), Access::OwnerOnly)
        .map_err(|error| TokenError::Io { path, error })?;
    Ok(token)
}

/// The token's text in the data folder `dir`, for a client. `InvalidData` if the file holds
/// something else.
pub fn read(dir: &Path) -> io::Result<String> {
    read_in(dir, TOKEN_FILE)
}

fn read_in(dir: &Path, file: &str) -> io::Result<String> {
    let text = fs::read_to_string(dir.join(file))?;
    let token = text.trim_ascii_end();
    if token.len() != TOKEN_BYTES * 2 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no token"));
    }
    Ok(token.to_owned())
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}

/// Elsewhere the data folder's own permissions have to do.
#[cfg(not(unix))]
fn is_private(_path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        let token = read(dir.path()).unwrap();
        assert_eq!(token.len(), 64);
        assert!(load_or_create(dir.path()).unwrap().matches(token.as_bytes()));
        assert_eq!(read(dir.path()).unwrap(), token);
    }

    #[test]
    fn compares_everything() {
        let secret = Secret::new("0123");
        assert!(secret.matches(b"0123"));
        for wrong in ["", "012", "01234", "0124", "1123"] {
            assert!(!secret.matches(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn replaced_if_damaged() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(TOKEN_FILE), "short\n").unwrap();
        load_or_create(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 64);
    }

    #[cfg(unix)]
    #[test]
    fn readable_by_the_owner_alone_or_replaced() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        load_or_create(dir.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);

        let leaked = read(dir.path()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!load_or_create(dir.path()).unwrap().matches(leaked.as_bytes()));
        assert_eq!(mode(&path), 0o600);
    }
}
