//! A block list: what its author does not want to carry, for others who choose to follow him.
//!
//! What is on it stands there as a salted hash, so that the list is no catalogue of what it blocks: who has
//! a torrent, a word or an author before him can tell whether it is on the list, and nobody reads from the
//! list what to look for (decision 0033).

use super::reader::Reader;
use super::{RecordError, Slot, Text};
use crate::blocks::Entry;
use crate::limits::{
    BLOCK_LIST_ENTRIES_MAX, BLOCK_LIST_NAME_BYTES_MAX, BLOCK_LIST_PARTS_MAX,
    BLOCK_REASON_BYTES_MAX, BLOCKED_WORDS_MAX, BODY_BYTES_MAX,
};
use althing_base::hash::Sha256;

/// Random bytes of a list, by which nobody can tell from two lists whether the same is on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 16]);

/// What kind of thing is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocks {
    /// A torrent, by the 20 bytes of its info-hash that the DHT knows it by.
    Torrent,
    /// Whatever has so many words in a row, 1 to [`BLOCKED_WORDS_MAX`].
    Words(u8),
    /// All that an author says.
    Author,
}

/// What is blocked: a kind, and 16 bytes of a salted hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Of what.
    pub blocks: Blocks,
    /// The beginning of the hash.
    pub digest: [u8; 16],
}

impl Target {
    /// The target that `bytes` are on a list with this salt.
    pub(crate) fn new(salt: Salt, blocks: Blocks, bytes: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"althing block v1\0");
        hash.update(&salt.0);
        let (number, words) = blocks.numbers();
        hash.update(&[number, words]);
        bytes.iter().for_each(|bytes| hash.update(bytes));
        let digest = *hash.finish().0.first_chunk().expect("the hash is longer");
        Target { blocks, digest }
    }
}

impl Blocks {
    /// As it is written: a kind, and how many words (0 if it is none).
    fn numbers(self) -> (u8, u8) {
        match self {
            Blocks::Torrent => (1, 0),
            Blocks::Words(words) => (2, words),
            Blocks::Author => (3, 0),
        }
    }

    fn read(number: u8, words: u8) -> Option<Self> {
        match (number, words) {
            (1, 0) => Some(Blocks::Torrent),
            (2, 1..=BLOCKED_WORDS_MAX) => Some(Blocks::Words(words)),
            (3, 0) => Some(Blocks::Author),
            _ => None,
        }
    }
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// What is blocked.
    pub target: Target,
    /// Why; often empty.
    pub reason: Text<BLOCK_REASON_BYTES_MAX>,
}

/// A list, or the part of one that fits a record. It stands in the slot that follows from name and part,
/// so that an author has one list of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockList {
    name: Text<BLOCK_LIST_NAME_BYTES_MAX>,
    part: u8,
    salt: Salt,
    entries: Vec<Blocked>,
}

/// Bytes of an entry without its reason: kind, words, digest, length.
const ENTRY_BYTES: usize = 1 + 1 + 16 + 1;

/// Bytes of a body without its entries and the letters of its name.
const LIST_BYTES: usize = 1 + 1 + 1 + 16 + 2;

impl BlockList {
    /// The version that is written and read.
    pub const VERSION: u8 = 1;

    /// The records that a list of some entries needs, in order of their parts; at least one, so that an
    /// empty list can be followed. What is there twice is there once.
    ///
    /// # Errors
    /// The name is empty, or they are more than [`BLOCK_LIST_PARTS_MAX`] records hold.
    pub fn parts(
        name: &Text<BLOCK_LIST_NAME_BYTES_MAX>,
        salt: Salt,
        entries: impl Iterator<Item = (Entry, Text<BLOCK_REASON_BYTES_MAX>)>,
    ) -> Result<Vec<BlockList>, RecordError> {
        if name.is_empty() {
            return Err(RecordError::NoName);
        }
        let mut all: Vec<Blocked> =
            entries.map(|(entry, reason)| Blocked { target: entry.target(salt), reason }).collect();
        all.sort_by(|a, b| (a.target, &a.reason).cmp(&(b.target, &b.reason)));
        all.dedup_by_key(|entry| entry.target);
        let room = BODY_BYTES_MAX - LIST_BYTES - name.len();
        let mut parts = Vec::new();
        let mut taken = 0;
        let mut entries = Vec::new();
        for entry in all {
            let bytes = ENTRY_BYTES + entry.reason.len();
            if taken + bytes > room {
                parts.push(std::mem::take(&mut entries));
                taken = 0;
            }
            taken += bytes;
            entries.push(entry);
        }
        parts.push(entries);
        if parts.len() > BLOCK_LIST_PARTS_MAX {
            return Err(RecordError::TooLong { bytes: parts.len(), max: BLOCK_LIST_PARTS_MAX });
        }
        let part = |(part, entries)| BlockList { name: name.clone(), part, salt, entries };
        Ok((0..).zip(parts).map(part).collect())
    }

    /// What the list is called; not empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which part of it this is, below [`BLOCK_LIST_PARTS_MAX`].
    pub fn part(&self) -> u8 {
        self.part
    }

    /// With what its entries are hashed.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// What is on it, in order of targets, none twice.
    pub fn entries(&self) -> &[Blocked] {
        &self.entries
    }

    /// Where a part of a list stands.
    pub fn slot_of(name: &str, part: u8) -> Slot {
        let mut hash = Sha256::new();
        hash.update(b"althing block list v1\0");
        hash.update(name.as_bytes());
        let mut slot = hash.finish().0;
        slot[31] = part;
        Slot(slot)
    }

    pub(super) fn slot(&self) -> Slot {
        BlockList::slot_of(&self.name, self.part)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != BlockList::VERSION {
            return Err(RecordError::Version { version });
        }
        let length = reader.u8()?;
        let name = Text::from_bytes(reader.bytes(length.into())?)?;
        if name.is_empty() {
            return Err(RecordError::NoName);
        }
        let part = reader.u8()?;
        if usize::from(part) >= BLOCK_LIST_PARTS_MAX {
            return Err(RecordError::Blocked);
        }
        let salt = Salt(reader.array()?);
        let count = usize::from(reader.u16()?);
        if count > BLOCK_LIST_ENTRIES_MAX {
            return Err(RecordError::Blocked);
        }
        let mut entries: Vec<Blocked> = Vec::with_capacity(count);
        for _ in 0..count {
            let (number, words) = (reader.u8()?, reader.u8()?);
            let blocks = Blocks::read(number, words).ok_or(RecordError::Blocked)?;
            let target = Target { blocks, digest: reader.array()? };
            let length = reader.u8()?;
            let reason = Text::from_bytes(reader.bytes(length.into())?)?;
            // One order, so that there is one way to write them.
            if entries.last().is_some_and(|last| last.target >= target) {
                return Err(RecordError::Blocked);
            }
            entries.push(Blocked { target, reason });
        }
        reader.end()?;
        Ok(BlockList { name, part, salt, entries })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![BlockList::VERSION, self.name.len() as u8];
        bytes.extend(self.name.bytes());
        bytes.push(self.part);
        bytes.extend(self.salt.0);
        bytes.extend((self.entries.len() as u16).to_be_bytes());
        for entry in &self.entries {
            let (number, words) = entry.target.blocks.numbers();
            bytes.extend([number, words]);
            bytes.extend(entry.target.digest);
            bytes.push(entry.reason.len() as u8);
            bytes.extend(entry.reason.bytes());
        }
        bytes
    }
}

// Lengths are written in a byte, numbers of entries in two.
const _: () = assert!(BLOCK_LIST_NAME_BYTES_MAX <= 255 && BLOCK_REASON_BYTES_MAX <= 255);
const _: () = assert!(BLOCK_LIST_PARTS_MAX <= 256 && BLOCK_LIST_ENTRIES_MAX <= 65_535);
// As many entries as may be said fit nowhere, and one fits everywhere.
const _: () = assert!(BLOCK_LIST_ENTRIES_MAX * ENTRY_BYTES >= BODY_BYTES_MAX - LIST_BYTES - 1);
const _: () = assert!(
    LIST_BYTES + BLOCK_LIST_NAME_BYTES_MAX + ENTRY_BYTES + BLOCK_REASON_BYTES_MAX <= BODY_BYTES_MAX
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use althing_base::hash::sha1;

    fn name() -> Text<BLOCK_LIST_NAME_BYTES_MAX> {
        Text::cleaned("spam")
    }

    fn entries(count: u32) -> Vec<(Entry, Text<BLOCK_REASON_BYTES_MAX>)> {
        let entry = |number: u32| match number % 3 {
            0 => Entry::Torrent(sha1(&number.to_be_bytes())),
            1 => Entry::words(&format!("buy number{number}")).expect("two words"),
            _ => Entry::Author(NodeId([number as u8; 32])),
        };
        (0..count).map(|number| (entry(number), Text::cleaned("not wanted"))).collect()
    }

    #[test]
    fn a_list_spans_records_and_is_read_as_it_was_written() {
        let parts = BlockList::parts(&name(), Salt([7; 16]), entries(500).into_iter()).unwrap();
        assert!(parts.len() > 2, "{}", parts.len());
        let mut slots = std::collections::BTreeSet::new();
        for (at, part) in parts.iter().enumerate() {
            assert_eq!((usize::from(part.part()), part.name()), (at, "spam"));
            let bytes = part.encode();
            assert!(bytes.len() <= BODY_BYTES_MAX);
            assert_eq!(BlockList::parse(&bytes).as_ref(), Ok(part));
            assert!(slots.insert(part.slot()));
        }
        let empty = BlockList::parts(&name(), Salt([7; 16]), [].into_iter()).unwrap();
        assert_eq!((empty.len(), empty[0].entries().len()), (1, 0));
        let nobody = BlockList::parts(&Text::default(), Salt([7; 16]), [].into_iter());
        assert_eq!(nobody, Err(RecordError::NoName));
    }

    #[test]
    fn there_is_one_way_to_write_a_list() {
        let parts = BlockList::parts(&name(), Salt([7; 16]), entries(3).into_iter()).unwrap();
        let bytes = parts[0].encode();
        for length in 0..bytes.len() {
            assert!(BlockList::parse(&bytes[..length]).is_err(), "{length} bytes");
        }
        let head = 1 + 1 + 4 + 1 + 16 + 2;
        let entry = ENTRY_BYTES + "not wanted".len();
        let mut swapped = bytes.clone();
        swapped[head..head + 2 * entry].rotate_left(entry);
        assert_eq!(BlockList::parse(&swapped), Err(RecordError::Blocked));
        for (at, wrong) in [(6, 64), (head, 0), (head, 4), (head + 1, 1)] {
            let mut changed = bytes.clone();
            changed[at] = wrong;
            assert_eq!(BlockList::parse(&changed), Err(RecordError::Blocked), "byte {at}");
        }
    }

    #[test]
    fn the_encoding_is_the_one_that_is_written_down() {
        // docs/protocols/overlay.md; made in Python.
        let entries = [
            (Entry::Torrent(sha1(b"x")), ""),
            (Entry::words("Pills").expect("a word"), "not wanted"),
            (Entry::words("buy NOW").expect("two words"), ""),
            (Entry::Author(NodeId([9; 32])), "spam"),
        ];
        let entries = entries.into_iter().map(|(entry, why)| (entry, Text::cleaned(why)));
        let mut parts = BlockList::parts(&name(), Salt([7; 16]), entries).unwrap();
        parts[0].part = 2;
        let bytes = parts[0].encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = [
            "01047370616d0207070707070707070707070707070707000401007917b7b1e3437ad11f67b264fb",
            "e0f951000201d6ae4cf51726440ab02e3dcd35be6e240a6e6f742077616e74656402023c70e9f77e",
            "a8388401c07334e548aa33000300d02aa1359a3e60d28b1b08c8c148e1a0047370616d",
        ];
        assert_eq!(hex, expected.concat());
        let slot = "e58d66c042a8e2af218fea651254e5a2c1bd2b0ce3ed89bad90a7a1cbd436802";
        assert_eq!(format!("{:?}", parts[0].slot()), slot);
    }

    #[test]
    fn too_many_entries_are_no_list() {
        let many = BlockList::parts(&name(), Salt([7; 16]), entries(40_000).into_iter());
        assert!(matches!(many, Err(RecordError::TooLong { max: BLOCK_LIST_PARTS_MAX, .. })));
    }
}
