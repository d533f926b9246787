//! What records say, by kind. A kind is a file beside this one, a number in [`Kind`] and an arm in
//! [`Body`].

use super::{BlockList, Listing, Profile, RecordError, Slot};
use crate::limits::BODY_BYTES_MAX;
use bytes::Bytes;
use std::fmt;

/// Which kind a record is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// Files that its author has: a [`Listing`].
    pub const LISTING: Kind = Kind(1);
    /// Who its author is: a [`Profile`].
    pub const PROFILE: Kind = Kind(2);
    /// What its author does not want to carry: a [`BlockList`].
    pub const BLOCK_LIST: Kind = Kind(3);
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::LISTING => f.write_str("listing"),
            Kind::PROFILE => f.write_str("profile"),
            Kind::BLOCK_LIST => f.write_str("block list"),
            Kind(number) => write!(f, "kind {number}"),
        }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// That its author takes back what stood under the key: an empty body, of any kind.
    Withdrawn,
    /// Files that its author has.
    Listing(Listing),
    /// Who its author is.
    Profile(Profile),
    /// What its author does not want to carry.
    BlockList(BlockList),
    /// Something that a later version of this program understands: a kind, or a version of one, that is
    /// not known here. It is held and passed on, not shown (decision 0026).
    Foreign(Foreign),
}

/// A body that is not understood: not empty, and no longer than a body may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    kind: Kind,
    bytes: Bytes,
}

impl Foreign {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The body as it came; the first byte is the version of the kind.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Body {
    /// Reads the body of a record of `kind` that stands in `slot`.
    ///
    /// # Errors
    /// It is too long; or the kind and its version are known, and it is not what they say; or it belongs
    /// in another slot.
    pub fn parse(kind: Kind, slot: &Slot, bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(RecordError::TooLong { bytes: bytes.len(), max: BODY_BYTES_MAX });
        }
        let body = match (kind, bytes.first()) {
            (_, None) => Body::Withdrawn,
            // No kind begins with version 0, so that nothing is of a version before the first.
            (_, Some(0)) => return Err(RecordError::Version { version: 0 }),
            (Kind::LISTING, Some(&Listing::VERSION)) => Body::Listing(Listing::parse(bytes)?),
            (Kind::PROFILE, Some(&Profile::VERSION)) => Body::Profile(Profile::parse(bytes)?),
            (Kind::BLOCK_LIST, Some(&BlockList::VERSION)) => {
                Body::BlockList(BlockList::parse(bytes)?)
            }
            _ => Body::Foreign(Foreign { kind, bytes: Bytes::copy_from_slice(bytes) }),
        };
        match body.slot() {
            Some(right) if right != *slot => Err(RecordError::Slot),
            _ => Ok(body),
        }
    }

    /// The bytes that [`parse`](Body::parse) reads.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Body::Withdrawn => Vec::new(),
            Body::Listing(listing) => listing.encode(),
            Body::Profile(profile) => profile.encode(),
            Body::BlockList(list) => list.encode(),
            Body::Foreign(foreign) => foreign.bytes.to_vec(),
        }
    }

    /// The slot in which it has to stand, if its kind says so.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Body::Withdrawn | Body::Foreign(_) => None,
            Body::Listing(listing) => Some(listing.slot()),
            Body::Profile(_) => Some(Slot::ZERO),
            Body::BlockList(list) => Some(list.slot()),
        }
    }
}
