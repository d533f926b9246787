//! Who this peer is in the overlay: a secret key in a file of the data folder that only its owner may
//! read. Whoever has the file can speak in this peer's name.

use crate::entropy;
use crate::session::StartError;
use althing_overlay::Keys;
use althing_store::atomic::{self, Access};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Bytes of the file: Ed25519's seed (RFC 8032).
const SECRET_BYTES: usize = 32;

/// The keys in the file at `path`; if there is none, new ones, which are on disk when this returns.
///
/// # Errors
/// If the file cannot be read or written, or is not what it should be: a new one in its place would make
/// this peer somebody else.
pub(crate) fn open(path: &Path) -> Result<Keys, StartError> {
    let failed = |reason: String| StartError::Identity { path: path.to_owned(), reason };
    match read(path) {
        Ok(Some(secret)) => Ok(Keys::from_secret(&secret)),
        Ok(None) => {
            let secret = entropy::seed()?.0;
            atomic::write(path, &secret, Access::OwnerOnly)
                .map_err(|error| failed(error.to_string()))?;
            Ok(Keys::from_secret(&secret))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn read(path: &Path) -> io::Result<Option<[u8; SECRET_BYTES]>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is not 32 bytes long");
    bytes.try_into().map(Some).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_once_and_never_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("identity.key");
        let made = open(&path).expect("it is made").node();
        assert_eq!(open(&path).expect("it is read").node(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        for damaged in [&[7; 31][..], &[7; 33], b""] {
            std::fs::write(&path, damaged).expect("it is written");
            let error = open(&path).expect_err("it is damaged").to_string();
            assert!(error.contains("identity.key"), "{error}");
            assert_eq!(std::fs::read(&path).expect("it is there"), damaged);
        }
    }
}
