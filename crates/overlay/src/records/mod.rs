//! Records: what nodes tell each other. A record is small, signed by its author, of a kind, replaced by
//! what its author makes later, and expires.
//!
//! Bytes from a stranger become a [`RawRecord`], of which everything is right but perhaps the signature;
//! [`RawRecord::check`] makes it a [`Record`], and only that can be put on a [`Shelf`] or passed on.
//! There is one encoding of a record: what is read is written the same again.
//!
//! ```
//! use althing_base::UnixTime;
//! use althing_overlay::records::{Body, Draft, Profile, RawRecord, Text};
//! use althing_overlay::{Keys, NetworkKey, NodeId};
//!
//! let (keys, network) = (Keys::from_secret(&[7; 32]), NetworkKey::public());
//! let profile = Profile::new(Text::new("Ada")?, Text::default())?;
//! let draft = Draft::profile(profile, UnixTime(1_800_000_000), 7 * 24 * 3_600);
//! let record = draft.sign(&keys, &network)?;
//!
//! // Elsewhere.
//! let raw = RawRecord::parse(record.bytes())?;
//! let read = raw.check(&network, NodeId::has_signed)?;
//! assert_eq!(read.author(), keys.node());
//! assert!(matches!(read.body(), Body::Profile(profile) if profile.name() == "Ada"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block_list;
mod body;
mod draft;
mod listing;
mod profile;
mod reader;
mod shelf;
pub mod stamp;
mod text;

pub use block_list::{BlockList, Blocked, Blocks, Salt, Target};
pub use body::{Body, Foreign, Kind};
pub use draft::Draft;
pub use listing::{Content, InfoHash, Listing};
pub use profile::Profile;
pub use shelf::{Admitted, Caps, Change, Memory, Refused, Shelf, Standing, Why};
pub use text::{Text, TextError};

use crate::id::{NetworkKey, NodeId, Verify};
use crate::limits::{LIFETIME_MAX_S, RECORD_BYTES_MAX, RECORD_OVERHEAD_BYTES};
use althing_base::UnixTime;
use althing_base::hash::{Sha256Digest, sha256};
use bytes::Bytes;
use reader::Reader;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The version of what is around a body.
const VERSION: u8 = 1;

/// Where fields are, in bytes from the start.
const HEADER_BYTES: usize = 92;
const SIGNATURE_BYTES: usize = 64;
const STAMP_BYTES: usize = 8;
const _: () = assert!(HEADER_BYTES + SIGNATURE_BYTES + STAMP_BYTES == RECORD_OVERHEAD_BYTES);

/// A record's name: SHA-256 of all of it but the stamp.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub [u8; 32]);

impl fmt::Display for RecordId {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Sha256Digest(self.0), f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a record is about within its author's things: an info-hash, or zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub [u8; 32]);

impl Slot {
    /// The slot of what an author has one of.
    pub const ZERO: Slot = Slot([0; 32]);
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Sha256Digest(self.0), f)
    }
}

/// Records of the same key replace each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose it is.
    pub author: NodeId,
    /// What it is.
    pub kind: Kind,
    /// What it is about.
    pub slot: Slot,
}

/// Which of the records of a key is the newest: the greatest.
///
/// The time of creation comes first, because it also bounds a record's life: what was replaced by a
/// version created at `t` has expired by `t` and [`LIFETIME_MAX_S`], so it need not be remembered longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// When it was created.
    pub created: UnixTime,
    /// Which it is of those created in that second.
    pub seq: u64,
    /// If an author has made two that are equally new, one of them wins everywhere.
    pub id: RecordId,
}

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// They end too early.
    #[error("a record that ends too early")]
    Truncated,
    /// They go on after the end.
    #[error("{bytes} bytes after the end of a record")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// More than a record, or its body, may have.
    #[error("{bytes} bytes, where {max} are the most")]
    TooLong {
        /// How many they are.
        bytes: usize,
        /// How many they may be.
        max: usize,
    },
    /// A version that is not known.
    #[error("version {version} of a record is not known")]
    Version {
        /// Which.
        version: u8,
    },
    /// It expires before it is created, or lives too long, or the times are out of this world.
    #[error("a record that lives from {created} to {expires} (in seconds since 1970)")]
    Lifetime {
        /// When it was created, in seconds since 1970.
        created: u64,
        /// When it expires, in seconds since 1970.
        expires: u64,
    },
    /// What is to be said is not of the kind that it is said to be.
    #[error("a body that is no {kind:?}")]
    Kind {
        /// Which.
        kind: Kind,
    },
    /// The body belongs in another slot.
    #[error("a record whose body belongs in another slot")]
    Slot,
    /// The flags of a body say something that is not known, or nothing.
    #[error("a record whose flags are {flags:#04x}")]
    Flags {
        /// Which.
        flags: u8,
    },
    /// Too many tags, an empty one, or not in their order.
    #[error("a listing whose tags are too many, empty, or not in order")]
    Tags,
    /// A block list with too many parts or entries, one of a kind that is not known, or not in order.
    #[error(
        "a block list whose entries or parts are too many, of no kind that is known, or not in order"
    )]
    Blocked,
    /// The name is empty.
    #[error("a record without a name")]
    NoName,
    /// A text that could deceive, or does not fit.
    #[error("a record with {0}")]
    Text(#[from] TextError),
    /// The author has not signed it, or for another network.
    #[error("a record that its author has not signed for this network")]
    Signature,
}

/// Fields of a record, and all of it as bytes.
struct Parts {
    bytes: Bytes,
    id: RecordId,
    key: Key,
    seq: u64,
    created: UnixTime,
    expires: UnixTime,
}

/// How records are read: [`RawRecord::parse`], or, where thousands of nodes are in one process, what remembers for
/// all of them what it has read.
pub type Read = fn(&[u8]) -> Result<RawRecord, RecordError>;

/// Bytes that are a record in everything but that nobody has looked at the signature. Cheap to clone.
#[derive(Clone)]
pub struct RawRecord(Arc<Parts>);

impl RawRecord {
    /// Reads a record. What it costs is in proportion to the bytes: a hash of them and a look at each.
    ///
    /// # Errors
    /// They are not the one encoding of a record that is within the bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { bytes: bytes.len(), max: RECORD_BYTES_MAX });
        }
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(RecordError::Version { version });
        }
        let kind = Kind(reader.u8()?);
        let author = NodeId(reader.array()?);
        let slot = Slot(reader.array()?);
        let seq = reader.u64()?;
        let (created, expires) = lifetime(reader.u64()?, reader.u64()?)?;
        let length = usize::from(reader.u16()?);
        let body = reader.bytes(length)?;
        reader.bytes(SIGNATURE_BYTES)?;
        reader.bytes(STAMP_BYTES)?;
        reader.end()?;
        Body::parse(kind, &slot, body)?;
        let id = RecordId(sha256(&bytes[..bytes.len() - STAMP_BYTES]).0);
        let bytes = Bytes::copy_from_slice(bytes);
        let key = Key { author, kind, slot };
        Ok(RawRecord(Arc::new(Parts { bytes, id, key, seq, created, expires })))
    }

    /// Checks the signature: by far the dearest of all that is looked at, so whoever can refuse a record
    /// for something else does that before.
    ///
    /// # Errors
    /// [`RecordError::Signature`].
    pub fn check(&self, network: &NetworkKey, verify: Verify) -> Result<Record, RecordError> {
        let (signed, rest) = self.bytes().split_at(self.signed_bytes());
        let signature = rest.first_chunk().expect("a record has a signature");
        if verify(&self.author(), &signed_message(network, signed), signature) {
            Ok(Record(self.clone()))
        } else {
            Err(RecordError::Signature)
        }
    }

    /// How many bytes the signature is over.
    fn signed_bytes(&self) -> usize {
        self.0.bytes.len() - SIGNATURE_BYTES - STAMP_BYTES
    }

    /// The one encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Its name.
    pub fn id(&self) -> RecordId {
        self.0.id
    }

    /// Whose it is, what it is, and what it is about.
    pub fn key(&self) -> Key {
        self.0.key
    }

    /// Whose it is.
    pub fn author(&self) -> NodeId {
        self.0.key.author
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.key.kind
    }

    /// How new it is among those of its key.
    pub fn version(&self) -> Version {
        Version { created: self.0.created, seq: self.0.seq, id: self.0.id }
    }

    /// When it was created, as its author says.
    pub fn created(&self) -> UnixTime {
        self.0.created
    }

    /// The first second in which it is no longer anything.
    pub fn expires(&self) -> UnixTime {
        self.0.expires
    }

    /// Whether its author takes back what stood under the key.
    pub fn is_withdrawal(&self) -> bool {
        self.signed_bytes() == HEADER_BYTES
    }

    /// What it says. Read anew with each call, since most records are carried and not looked at.
    pub fn body(&self) -> Body {
        let body = &self.0.bytes[HEADER_BYTES..self.signed_bytes()];
        Body::parse(self.kind(), &self.0.key.slot, body).expect("it could be read before")
    }

    /// The number of its stamp.
    pub fn nonce(&self) -> u64 {
        self.0.bytes.last_chunk().map_or(0, |nonce| u64::from_be_bytes(*nonce))
    }

    /// How much work its stamp shows: leading zero bits, see [`stamp::work`].
    pub fn work(&self) -> u32 {
        stamp::work(&self.id(), self.nonce())
    }
}

impl PartialEq for RawRecord {
    /// Stamps count, so that what is read can be compared with what was written.
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for RawRecord {}

impl fmt::Debug for RawRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} of {}", self.kind(), self.id(), self.author())
    }
}

/// A record that its author has signed. It can be read in all ways of a [`RawRecord`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(RawRecord);

impl Record {
    /// The same with another stamp; neither name nor signature change.
    pub fn with_nonce(&self, nonce: u64) -> Record {
        let mut bytes = self.bytes().to_vec();
        if let Some(stamp) = bytes.last_chunk_mut() {
            *stamp = nonce.to_be_bytes();
        }
        let Parts { id, key, seq, created, expires, .. } = *self.0.0;
        let parts = Parts { bytes: bytes.into(), id, key, seq, created, expires };
        Record(RawRecord(Arc::new(parts)))
    }
}

impl Deref for Record {
    type Target = RawRecord;

    fn deref(&self) -> &RawRecord {
        &self.0
    }
}

/// What is signed: words that say what it is, the network's key, and the record up to the signature.
fn signed_message(network: &NetworkKey, signed: &[u8]) -> Vec<u8> {
    [b"althing record v1\0", &network.0[..], signed].concat()
}

/// The times of a record as they are on the wire.
fn lifetime(created: u64, expires: u64) -> Result<(UnixTime, UnixTime), RecordError> {
    let error = RecordError::Lifetime { created, expires };
    let (Ok(from), Ok(to)) = (i64::try_from(created), i64::try_from(expires)) else {
        return Err(error);
    };
    if to <= from || to - from > LIFETIME_MAX_S {
        return Err(error);
    }
    Ok((UnixTime(from), UnixTime(to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::from_secret(&[1; 32])
    }

    fn network() -> NetworkKey {
        NetworkKey::derive("test")
    }

    fn profile(created: i64, lifetime: i64) -> Draft {
        let profile = Profile::new(Text::new("Ada").unwrap(), Text::default()).unwrap();
        Draft::profile(profile, UnixTime(created), lifetime)
    }

    #[test]
    fn every_bit_but_the_stamps_is_signed_for_one_network() {
        let record = profile(1_000, 60).sign(&keys(), &network()).unwrap();
        let bytes = record.bytes();
        assert_eq!(bytes.len(), RECORD_OVERHEAD_BYTES + 7);
        let check = |bytes: &[u8], network| {
            RawRecord::parse(bytes).and_then(|raw| raw.check(&network, NodeId::has_signed))
        };
        assert_eq!(check(bytes, network()), Ok(record.clone()));
        assert_eq!(check(bytes, NetworkKey::public()), Err(RecordError::Signature));
        for at in 0..bytes.len() - STAMP_BYTES {
            let mut broken = bytes.to_vec();
            broken[at] ^= 1 << (at % 8);
            assert!(check(&broken, network()).is_err(), "byte {at}");
        }
        let stamped = record.with_nonce(77);
        assert_eq!((stamped.id(), stamped.nonce()), (record.id(), 77));
        assert_eq!(check(stamped.bytes(), network()), Ok(stamped));
    }

    #[test]
    fn the_encoding_is_the_one_that_is_written_down() {
        // docs/protocols/overlay.md; made in Python, with OpenSSL's Ed25519.
        let record = profile(1_000, 60).sign(&keys(), &network()).unwrap();
        let bytes = record.bytes();
        assert_eq!(bytes[..2], [1, 2]);
        assert_eq!(bytes[2..34], keys().node().0);
        assert_eq!(bytes[34..66], [0; 32]);
        assert_eq!(bytes[66..74], 0u64.to_be_bytes());
        assert_eq!(bytes[74..82], 1_000u64.to_be_bytes());
        assert_eq!(bytes[82..90], 1_060u64.to_be_bytes());
        assert_eq!(bytes[90..92], [0, 7]);
        assert_eq!(&bytes[92..99], b"\x01\x03Ada\0\0");
        assert_eq!(bytes[163..], [0; 8]);
        let hex = |text: &str| text.parse::<Sha256Digest>().unwrap().0;
        let signature = [
            hex("c248ed8ff88ec04346dfe7b4de0db6c6e1679e37d9434800e542503a0b9470c8"),
            hex("1e1aefe5f7db8d32bbcee0ad5223ad3f4104e51c898d8bbb3af266b2abbd8301"),
        ];
        assert_eq!(bytes[99..163], *signature.as_flattened());
        let id = "b4ecfb6d61b6eaa21da55e270cf7e0973b83cee98387d0ab0715ebaeca3e657c";
        assert_eq!(record.id().to_string(), id);
        assert_eq!(stamp::find(&record.id(), 12, 0, 10_000), Some(7_581));
        assert_eq!(record.with_nonce(7_581).work(), 12);
    }

    #[test]
    fn lives_are_bounded() {
        let sign = |created, lifetime| profile(created, lifetime).sign(&keys(), &network());
        assert!(sign(0, LIFETIME_MAX_S).is_ok());
        assert!(sign(i64::MAX - 1, 1).is_ok());
        for (created, lifetime) in [(5, 0), (5, -1), (5, LIFETIME_MAX_S + 1), (-1, 60)] {
            let error = sign(created, lifetime).unwrap_err();
            assert!(matches!(error, RecordError::Lifetime { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_kept_as_it_is() {
        let record = profile(1_000, 60).sign(&keys(), &network()).unwrap();
        let mut bytes = record.bytes().to_vec();
        let body = |bytes: &[u8]| RawRecord::parse(bytes).map(|raw| raw.body());
        // A later version of a profile, and a kind that nobody has heard of.
        bytes[92] = 2;
        let Ok(Body::Foreign(foreign)) = body(&bytes) else { panic!("{:?}", body(&bytes)) };
        assert_eq!((foreign.kind(), &foreign.bytes()[..]), (Kind::PROFILE, &bytes[92..99]));
        bytes[1] = 200;
        assert!(matches!(body(&bytes), Ok(Body::Foreign(f)) if f.kind() == Kind(200)));
        bytes[92] = 0;
        assert_eq!(body(&bytes), Err(RecordError::Version { version: 0 }));
        bytes[0] = 2;
        assert_eq!(body(&bytes), Err(RecordError::Version { version: 2 }));
        // A profile has one place.
        let mut elsewhere = record.bytes().to_vec();
        elsewhere[40] = 1;
        assert_eq!(body(&elsewhere), Err(RecordError::Slot));
    }

    fn any_body() -> impl Strategy<Value = Draft> {
        let text = "[a-zé ]{1,20}";
        let profile = (text, text).prop_map(|(name, about)| {
            Body::Profile(Profile::new(Text::cleaned(&name), Text::cleaned(&about)).unwrap())
        });
        let listing = (text, any::<[u8; 32]>(), any::<u64>(), prop::collection::vec(text, 0..20))
            .prop_map(|(name, hash, size, tags)| {
                let info_hash = InfoHash::V2(Sha256Digest(hash));
                let listing = Listing::new(info_hash, Text::cleaned(&name), size, hash[0].into());
                let tags = tags.iter().map(|tag| Text::cleaned(tag)).collect();
                let content = Content(hash[1]);
                Body::Listing(listing.unwrap().with_tags(tags).with_content(content))
            });
        let blocked = (text, text, any::<[u8; 16]>(), prop::collection::vec(text, 0..9)).prop_map(
            |(name, reason, salt, words)| {
                let words = words.iter().filter_map(|word| crate::blocks::Entry::words(word));
                let entries = words.map(|entry| (entry, Text::cleaned(&reason)));
                let parts = BlockList::parts(&Text::cleaned(&name), Salt(salt), entries);
                Body::BlockList(parts.unwrap().remove(0))
            },
        );
        let body = prop_oneof![Just(Body::Withdrawn), profile, listing, blocked];
        (body, any::<u8>(), any::<[u8; 32]>(), any::<u64>(), 0..i64::MAX / 2, 1..=LIFETIME_MAX_S)
            .prop_map(|(body, kind, slot, seq, created, lifetime)| Draft {
                kind: match body {
                    Body::Listing(_) => Kind::LISTING,
                    Body::Profile(_) => Kind::PROFILE,
                    Body::BlockList(_) => Kind::BLOCK_LIST,
                    _ => Kind(kind),
                },
                slot: body.slot().unwrap_or(Slot(slot)),
                seq,
                created: UnixTime(created),
                expires: UnixTime(created + lifetime),
                body,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(draft in any_body()) {
            let record = draft.clone().sign(&keys(), &network()).unwrap();
            prop_assert_eq!(&record.body(), &draft.body);
            prop_assert_eq!(record.is_withdrawal(), draft.body == Body::Withdrawn);
            prop_assert_eq!(record.kind(), draft.kind);
            prop_assert_eq!(record.key().slot, draft.slot);
            prop_assert_eq!(record.version().seq, draft.seq);
            prop_assert_eq!((record.created(), record.expires()), (draft.created, draft.expires));
            // And written again from what was read, byte for byte.
            let again = draft.sign(&keys(), &network()).unwrap();
            prop_assert_eq!(again, record);
        }

        #[test]
        fn any_bytes_that_can_be_read_are_the_one_encoding(
            draft in any_body(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = draft.sign(&keys(), &network()).unwrap().bytes().to_vec();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(raw) = RawRecord::parse(&bytes) {
                prop_assert_eq!(Draft::of(&raw).encode(&raw.author()), &bytes[..raw.signed_bytes()]);
            }
        }
    }
}
