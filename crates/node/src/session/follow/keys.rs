//! What is published here (BEP 46): one file in `follow/` for each name, with its secret key and the
//! version that was published last. Whoever reads such a file can publish in its name: only its owner
//! may, and neither logs nor the API show the secret.

use crate::entropy;
use crate::limits::{PUBLICATION_BYTES_MAX, PUBLISHED_MAX};
use althing_base::bencode::{Document, Encoder, Limits};
use althing_base::hash::sha1;
use althing_base::{Instant, Sha1Digest};
use althing_bittorrent::metainfo::Feed;
use althing_dht::wire::Mutable;
use althing_store::atomic::{self, Access};
use bytes::Bytes;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use tracing::warn;

/// Something that is published, and its versions under one key.
#[derive(Clone)]
pub(super) struct Publication {
    /// What it is found by when it is shared again: the name that the user gave, or the path.
    pub(super) what: String,
    /// The Ed25519 seed.
    secret: [u8; 32],
    /// Where it is published.
    pub(super) feed: Feed,
    /// The version that holds.
    pub(super) version: Sha1Digest,
    /// The number it was published with; with `pending`, the one before.
    pub(super) seq: i64,
    /// It is to be published with a higher number.
    pub(super) pending: bool,
    /// When nodes last took it, and how many; not kept over a restart.
    pub(super) put: Option<(Instant, usize)>,
    /// Why it was not put the last time.
    pub(super) error: Option<String>,
}

impl std::fmt::Debug for Publication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publication").field("what", &self.what).field("seq", &self.seq).finish()
    }
}

impl Publication {
    /// Something new, with a key of its own.
    ///
    /// # Errors
    /// If the system has no entropy.
    pub(super) fn new(what: String, version: Sha1Digest) -> Result<Self, entropy::EntropyError> {
        Ok(Self::of(entropy::seed()?.0, what, version, 0, true))
    }

    fn of(secret: [u8; 32], what: String, version: Sha1Digest, seq: i64, pending: bool) -> Self {
        let key = Mutable::sign(&secret, Bytes::new(), 0, Bytes::new()).key;
        let feed = Feed { key, salt: Vec::new() };
        Publication { what, secret, feed, version, seq, pending, put: None, error: None }
    }

    /// The item to be put.
    pub(super) fn sign(&self, value: Vec<u8>) -> Mutable {
        let salt = self.feed.salt.clone();
        Mutable::sign(&self.secret, salt.into(), self.seq, value.into())
    }

    /// Writes it down, for good when this returns.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut out = Encoder::new();
        out.dict(|out| {
            out.key(b"pending").int(self.pending.into());
            out.key(b"secret").bytes(&self.secret);
            out.key(b"seq").int(self.seq);
            out.key(b"version").bytes(&self.version.0);
            out.key(b"what").bytes(self.what.as_bytes());
        });
        atomic::write(&self.path(folder), &out.finish(), Access::OwnerOnly)
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.key", sha1(self.what.as_bytes())))
    }

    fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(PUBLICATION_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)?;
        let parsed = (bytes.len() <= PUBLICATION_BYTES_MAX).then(|| Self::parse(&bytes)).flatten();
        parsed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let document = Document::parse(bytes, &Limits::MESSAGE).ok()?;
        let dict = document.root().as_dict()?;
        let secret = dict.bytes(b"secret")?.try_into().ok()?;
        let version = dict.bytes(b"version")?.try_into().map(Sha1Digest).ok()?;
        let (seq, pending) = (dict.int(b"seq")?, dict.int(b"pending")? != 0);
        Some(Self::of(secret, dict.str(b"what")?.to_owned(), version, seq, pending))
    }
}

/// Everything that is published. A file that cannot be read is left alone and said.
pub(super) fn read_all(folder: &Path) -> Vec<Publication> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            warn!(path = %folder.display(), %error, "the keys of what is published cannot be read");
            return Vec::new();
        }
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let keys = paths.filter(|path| path.extension().is_some_and(|extension| extension == "key"));
    let read = |path: PathBuf| {
        Publication::read(&path)
            .inspect_err(|error| warn!(path = %path.display(), %error, "a key cannot be read"))
            .ok()
    };
    keys.take(PUBLISHED_MAX).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_never_shown() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("follow");
        assert!(read_all(&folder).is_empty());
        let mut one = Publication::new("name a".to_owned(), Sha1Digest([3; 20])).expect("entropy");
        one.write(&folder).expect("it can be written");
        (one.seq, one.pending) = (7, false);
        one.write(&folder).expect("it can be written again");
        let [read] = &read_all(&folder)[..] else { panic!("there is one") };
        assert_eq!((read.seq, read.pending, &read.feed), (7, false, &one.feed));
        assert_eq!((read.secret, &read.what, read.version), (one.secret, &one.what, one.version));
        let shown = format!("{read:?}");
        assert_eq!(shown, "Publication { what: \"name a\", seq: 7 }");
        let item = read.sign(b"de".to_vec());
        assert!(item.is_genuine() && item.key == one.feed.key && item.seq == 7);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(one.path(&folder)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(one.path(&folder), b"d6:secret1:xe").expect("it can be written");
        assert!(read_all(&folder).is_empty());
    }
}
