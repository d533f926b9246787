//! Making records: what is to be said, before it is signed.

use super::{
    BlockList, Body, Kind, Listing, Profile, RawRecord, Record, RecordError, STAMP_BYTES, Slot,
    VERSION, signed_message,
};
use crate::id::{Keys, NetworkKey, NodeId};
use crate::limits::BODY_BYTES_MAX;
use althing_base::UnixTime;

/// A record that nobody has signed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is.
    pub kind: Kind,
    /// What it is about; where the body says so, it has to be that.
    pub slot: Slot,
    /// Which it is of those that its author creates in the same second.
    pub seq: u64,
    /// When it was created.
    pub created: UnixTime,
    /// When it expires.
    pub expires: UnixTime,
    /// What it says.
    pub body: Body,
}

impl Draft {
    /// Files that the author has, from `created` on for `lifetime_s` seconds.
    pub fn listing(listing: Listing, created: UnixTime, lifetime_s: i64) -> Self {
        Draft::of_body(Kind::LISTING, listing.slot(), Body::Listing(listing), created, lifetime_s)
    }

    /// Who the author is, from `created` on for `lifetime_s` seconds.
    pub fn profile(profile: Profile, created: UnixTime, lifetime_s: i64) -> Self {
        Draft::of_body(Kind::PROFILE, Slot::ZERO, Body::Profile(profile), created, lifetime_s)
    }

    /// What the author does not want to carry, from `created` on for `lifetime_s` seconds.
    pub fn block_list(list: BlockList, created: UnixTime, lifetime_s: i64) -> Self {
        let slot = list.slot();
        Draft::of_body(Kind::BLOCK_LIST, slot, Body::BlockList(list), created, lifetime_s)
    }

    /// That the author takes `record` back. It lives as long as what it takes back would have at the
    /// longest, so that nobody who has missed it keeps that.
    pub fn withdrawal(record: &RawRecord, now: UnixTime) -> Self {
        let (created, seq) = Draft::after(record, now);
        let lifetime_s = record.expires().0.saturating_sub(created.0).max(1);
        let key = record.key();
        let draft = Draft::of_body(key.kind, key.slot, Body::Withdrawn, created, lifetime_s);
        Draft { seq, ..draft }
    }

    /// A time of creation and a number that are newer than those of `record`, even if our clock was set
    /// back since.
    pub fn after(record: &RawRecord, now: UnixTime) -> (UnixTime, u64) {
        let version = record.version();
        if now > version.created {
            (now, 0)
        } else if let Some(seq) = version.seq.checked_add(1) {
            (version.created, seq)
        } else {
            (UnixTime(version.created.0.saturating_add(1)), 0)
        }
    }

    /// What was signed in a record that was read.
    pub fn of(record: &RawRecord) -> Self {
        let (key, version) = (record.key(), record.version());
        Draft {
            kind: key.kind,
            slot: key.slot,
            seq: version.seq,
            created: version.created,
            expires: record.expires(),
            body: record.body(),
        }
    }

    fn of_body(kind: Kind, slot: Slot, body: Body, created: UnixTime, lifetime_s: i64) -> Self {
        let expires = UnixTime(created.0.saturating_add(lifetime_s));
        Draft { kind, slot, seq: 0, created, expires, body }
    }

    /// Signs it.
    ///
    /// # Errors
    /// It does not fit, or lives too long, or what it says belongs elsewhere: what
    /// [`RawRecord::parse`] would say.
    pub fn sign(self, keys: &Keys, network: &NetworkKey) -> Result<Record, RecordError> {
        self.sign_with(&keys.node(), network, |message| keys.sign(message))
    }

    /// Signs it with a function, which a simulation gives.
    ///
    /// # Errors
    /// As [`sign`](Draft::sign).
    pub fn sign_with(
        self,
        author: &NodeId,
        network: &NetworkKey,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Record, RecordError> {
        let bytes = self.body.encode().len();
        if bytes > BODY_BYTES_MAX {
            return Err(RecordError::TooLong { bytes, max: BODY_BYTES_MAX });
        }
        let mut bytes = self.encode(author);
        let signature = sign(&signed_message(network, &bytes));
        bytes.extend(signature);
        bytes.extend([0; STAMP_BYTES]);
        let record = RawRecord::parse(&bytes)?;
        // A body under a kind that is not its own may be read as something else.
        if record.body() != self.body {
            return Err(RecordError::Kind { kind: self.kind });
        }
        Ok(Record(record))
    }

    /// The bytes that are signed, in the one encoding.
    pub(super) fn encode(&self, author: &NodeId) -> Vec<u8> {
        let body = self.body.encode();
        let mut bytes = vec![VERSION, self.kind.0];
        bytes.extend(author.0);
        bytes.extend(self.slot.0);
        bytes.extend(self.seq.to_be_bytes());
        // Times before 1970 become ones that nobody reads.
        bytes.extend(self.created.0.cast_unsigned().to_be_bytes());
        bytes.extend(self.expires.0.cast_unsigned().to_be_bytes());
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }
}
