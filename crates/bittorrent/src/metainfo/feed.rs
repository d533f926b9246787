//! Torrents that change (BEP 46): a public key, under which the DHT has the info-hash of the newest
//! version, and links that name the key.

use super::limits::FEED_SALT_SIZE_MAX;
use super::magnet::{self, Escaped, Parts, shown, strip_prefix_ignoring_case, unescape};
use super::{Magnet, MagnetError, PeerAddress};
use crate::types::InfoHashes;
use althing_base::bencode::{Document, Encoder, Limits};
use althing_base::{Sha1Digest, Sha256Digest};
use std::fmt;
use std::str::FromStr;

/// Who publishes what changes: where in the DHT (BEP 44) the newest version is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Feed {
    /// The public key (Ed25519) that signs it.
    pub key: [u8; 32],
    /// Tells those under one key apart; at most [`FEED_SALT_SIZE_MAX`] bytes, usually none.
    pub salt: Vec<u8>,
}

/// A magnet link to the newest version of a torrent.
///
/// ```
/// use althing_bittorrent::metainfo::FollowLink;
///
/// let link = "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6e";
/// let follow: FollowLink = link.parse()?;
/// assert_eq!(follow.feed.salt, b"n");
/// assert_eq!(follow.to_string(), link);
/// # Ok::<(), althing_bittorrent::metainfo::MagnetError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowLink {
    /// Whom to follow (`xs` and `s`).
    pub feed: Feed,
    /// A version that the link names besides (`xt`): where to begin if the DHT has none.
    pub version: Option<InfoHashes>,
    /// What the link calls it, to be shown (`dn`).
    pub name: Option<String>,
    /// URLs of trackers of all versions, each a tier of its own (`tr`).
    pub trackers: Vec<String>,
    /// Peers that should have the newest version (`x.pe`).
    pub peers: Vec<PeerAddress>,
}

/// An item under a followed key that names no torrent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// It is no dictionary.
    #[error("what is published under this key is no dictionary, and so names no torrent (BEP 46)")]
    NoDictionary,
    /// It has no info-hash.
    #[error("what is published under this key has no info-hash (\"ih\", BEP 46)")]
    HashMissing,
    /// The info-hash has another length.
    #[error("what is published under this key has an info-hash of {0} bytes; it should have 20")]
    HashLength(usize),
}

impl FollowLink {
    /// A link with nothing but whom to follow.
    pub fn new(feed: Feed) -> Self {
        let (trackers, peers) = (Vec::new(), Vec::new());
        FollowLink { feed, version: None, name: None, trackers, peers }
    }

    /// The link to one version. Web servers are in none: they have one version's files.
    pub fn magnet(&self, version: InfoHashes) -> Magnet {
        Magnet {
            name: self.name.clone(),
            trackers: self.trackers.clone(),
            peers: self.peers.clone(),
            ..Magnet::new(version)
        }
    }
}

impl FromStr for FollowLink {
    type Err = MagnetError;

    /// Reads a link, as [`Magnet`]'s are read. One without a public key is
    /// [`MagnetError::KeyMissing`], and may be a [`Magnet`].
    fn from_str(link: &str) -> Result<Self, MagnetError> {
        let (mut key, mut salt) = (None, None);
        let Parts { info_hashes, name, trackers, peers, .. } =
            magnet::read(link, |name, value| {
                match name {
                    "xs" => {
                        let found = public_key(value)?;
                        if key.is_some() && found.is_some() && key != found {
                            return Err(MagnetError::Ambiguous);
                        }
                        key = key.or(found);
                    }
                    // Whose it is shows when the key is there: other links may have an `s` as well.
                    "s" if salt.is_none() => salt = Some(value.to_owned()),
                    _ => {}
                }
                Ok(())
            })?;
        let key = key.ok_or(MagnetError::KeyMissing)?;
        let wrong = |salt: &str| MagnetError::SaltInvalid(shown(salt));
        let salt = salt.unwrap_or_default();
        let salt = unhex(&salt)
            .filter(|salt| salt.len() <= FEED_SALT_SIZE_MAX)
            .ok_or_else(|| wrong(&salt))?;
        let feed = Feed { key, salt };
        Ok(FollowLink { feed, version: info_hashes, name, trackers, peers })
    }
}

impl fmt::Display for FollowLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}&", Magnet::new(version))?,
            None => f.write_str("magnet:?")?,
        }
        write!(f, "xs=urn:btpk:{}", Sha256Digest(self.feed.key))?;
        if !self.feed.salt.is_empty() {
            f.write_str("&s=")?;
            self.feed.salt.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        if let Some(name) = &self.name {
            write!(f, "&dn={}", Escaped(name))?;
        }
        self.trackers.iter().try_for_each(|url| write!(f, "&tr={}", Escaped(url)))?;
        self.peers.iter().try_for_each(|peer| write!(f, "&x.pe={peer}"))
    }
}

/// Reads an `xs`; other sources are passed over.
fn public_key(value: &str) -> Result<Option<[u8; 32]>, MagnetError> {
    let invalid = |key: &str| MagnetError::KeyInvalid(shown(key));
    let source = unescape(value).ok_or_else(|| invalid(value))?;
    let Ok(source) = str::from_utf8(&source) else { return Ok(None) };
    let Some(key) = strip_prefix_ignoring_case(source, "urn:btpk:") else { return Ok(None) };
    key.parse::<Sha256Digest>().map(|key| Some(key.0)).map_err(|_| invalid(key))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect()).flatten()
}

/// The item (bencode) that names a version by its v1 info-hash.
pub fn item_of(version: Sha1Digest) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| out.key(b"ih").bytes(&version.0));
    out.finish()
}

/// The version that an item names.
///
/// # Errors
/// If it names none.
pub fn info_hash_in(item: &[u8]) -> Result<Sha1Digest, FeedError> {
    let item = Document::parse(item, &Limits::MESSAGE).map_err(|_| FeedError::NoDictionary)?;
    let item = item.root().as_dict().ok_or(FeedError::NoDictionary)?;
    let hash = item.bytes(b"ih").ok_or(FeedError::HashMissing)?;
    hash.try_into().map(Sha1Digest).map_err(|_| FeedError::HashLength(hash.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::hash::Sha1;
    use proptest::prelude::*;

    /// BEP 46's test vectors have this key.
    const KEY: &str = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    const V1: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    fn check(parameters: &str, expected: Result<&str, MagnetError>) {
        let read = format!("magnet:?{parameters}").parse::<FollowLink>();
        let expected = expected.map(|expected| format!("magnet:?{expected}"));
        assert_eq!(read.map(|link| link.to_string()), expected, "{parameters}");
    }

    #[test]
    fn links_of_bep_46() {
        for (salt, target) in [
            ("", "cc3f9d90b572172053626f9980ce261a850d050b"),
            ("&s=6e", "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"),
        ] {
            let link = format!("magnet:?xs=urn:btpk:{KEY}{salt}");
            let follow: FollowLink = link.parse().expect("the BEP's own");
            let mut hash = Sha1::new();
            hash.update(&follow.feed.key);
            hash.update(&follow.feed.salt);
            assert_eq!(hash.finish().to_string(), target);
            assert_eq!(follow.to_string(), link);
        }
    }

    #[test]
    fn links_as_people_have_them() {
        let key = format!("xs=urn:btpk:{KEY}");
        let upper = format!("xs=URN:BTPK:{}", KEY.to_uppercase());
        check(&upper, Ok(&key));
        check(&format!("xs=urn%3Abtpk%3A{KEY}&s="), Ok(&key));
        check(&format!("xs=http://there/&{key}&ws=http://w/&so=1"), Ok(&key));
        let all =
            format!("xt=urn:btih:{V1}&{key}&s=6e&dn=a%20b&tr=udp%3A%2F%2Fb%3A1&x.pe=1.2.3.4:5");
        check(&all, Ok(&all));
        check(&format!("{key}&{key}"), Ok(&key));
        let other = format!("xs=urn:btpk:{}", "a".repeat(64));
        check(&format!("{key}&{other}"), Err(MagnetError::Ambiguous));
        check(&format!("xt=urn:btih:{V1}"), Err(MagnetError::KeyMissing));
        check(&format!("xt=urn:btih:{V1}&s=zz"), Err(MagnetError::KeyMissing));
        check("xs=urn:btpk:12", Err(MagnetError::KeyInvalid("12".to_owned())));
        for salt in ["6", "zz", &"ab".repeat(65)] {
            check(&format!("{key}&s={salt}"), Err(MagnetError::SaltInvalid(shown(salt))));
        }
    }

    #[test]
    fn items() {
        let version: Sha1Digest = V1.parse().expect("digits");
        assert_eq!(info_hash_in(&item_of(version)), Ok(version));
        let mut more = b"d2:ih20:".to_vec();
        more.extend([7; 20]);
        more.extend(b"1:zi1ee");
        assert_eq!(info_hash_in(&more), Ok(Sha1Digest([7; 20])));
        for hostile in [&b""[..], b"le", b"12:Hello World!", b"d2:ih20:", b"i1e", b"d2:ih1:aee"] {
            assert_eq!(info_hash_in(hostile), Err(FeedError::NoDictionary));
        }
        for hostile in [&b"de"[..], b"d2:ihi1ee", b"d2:ihlee", b"d2:IH1:ae"] {
            assert_eq!(info_hash_in(hostile), Err(FeedError::HashMissing));
        }
        assert_eq!(info_hash_in(b"d2:ih1:ae"), Err(FeedError::HashLength(1)));
        let huge = [&b"d2:ih900:"[..], &[0; 900], b"e"].concat();
        assert_eq!(info_hash_in(&huge), Err(FeedError::HashLength(900)));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same_again(parameters in "[a-z.&=%0-9+\\[\\]:,-]{0,60}") {
            let link = format!("magnet:?xs=urn:btpk:{KEY}&{parameters}");
            if let Ok(follow) = link.parse::<FollowLink>() {
                prop_assert_eq!(follow.to_string().parse(), Ok(follow));
            }
        }
    }
}
