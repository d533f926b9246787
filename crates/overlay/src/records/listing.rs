//! A listing: files that an author has, by the info-hash under which any BitTorrent client gets them.

use super::reader::Reader;
use super::{RecordError, Slot, Text};
use crate::limits::{ABOUT_BYTES_MAX, NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX};
use althing_base::hash::{Sha1Digest, Sha256Digest};

/// The info-hashes of a torrent: of v1 (BEP 3), of v2 (BEP 52), or of both (hybrid).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InfoHash {
    /// v1 alone.
    V1(Sha1Digest),
    /// v2 alone.
    V2(Sha256Digest),
    /// Both.
    Hybrid(Sha1Digest, Sha256Digest),
}

impl InfoHash {
    /// That of v1.
    pub fn v1(&self) -> Option<Sha1Digest> {
        match *self {
            InfoHash::V1(v1) | InfoHash::Hybrid(v1, _) => Some(v1),
            InfoHash::V2(_) => None,
        }
    }

    /// That of v2.
    pub fn v2(&self) -> Option<Sha256Digest> {
        match *self {
            InfoHash::V2(v2) | InfoHash::Hybrid(_, v2) => Some(v2),
            InfoHash::V1(_) => None,
        }
    }

    /// The names that handshakes and the DHT know it by: that of v1, and the first 20 bytes of that of v2
    /// (BEP 3, BEP 52).
    pub fn short(&self) -> impl Iterator<Item = Sha1Digest> + use<> {
        let cut = |v2: Sha256Digest| Sha1Digest::from_slice(&v2.0[..Sha1Digest::LEN]);
        self.v1().into_iter().chain(self.v2().and_then(cut))
    }
}

/// What the files are, to search by. Numbers that are not named here are other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Content(pub u8);

impl Content {
    /// None of the others, or several.
    pub const OTHER: Content = Content(0);
    /// Films, lectures.
    pub const VIDEO: Content = Content(1);
    /// Music, audio books.
    pub const AUDIO: Content = Content(2);
    /// Books, articles, pages.
    pub const TEXT: Content = Content(3);
    /// Photographs, drawings.
    pub const IMAGES: Content = Content(4);
    /// Programs, and what they are made from.
    pub const SOFTWARE: Content = Content(5);
    /// Data sets.
    pub const DATA: Content = Content(6);
}

/// What an author has. It stands in the slot that its info-hash names, so that an author lists a torrent
/// once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    info_hash: InfoHash,
    name: Text<NAME_BYTES_MAX>,
    size: u64,
    files: u32,
    content: Content,
    tags: Vec<Text<TAG_BYTES_MAX>>,
    about: Text<ABOUT_BYTES_MAX>,
}

/// Bits that say which info-hashes follow.
const HAS_V1: u8 = 1;
const HAS_V2: u8 = 2;

impl Listing {
    /// The version that is written and read.
    pub const VERSION: u8 = 1;

    /// A listing of `files` files with `size` bytes in all.
    ///
    /// # Errors
    /// The name is empty.
    pub fn new(
        info_hash: InfoHash,
        name: Text<NAME_BYTES_MAX>,
        size: u64,
        files: u32,
    ) -> Result<Self, RecordError> {
        if name.is_empty() {
            return Err(RecordError::NoName);
        }
        let (tags, about) = (Vec::new(), Text::default());
        Ok(Listing { info_hash, name, size, files, content: Content::OTHER, tags, about })
    }

    /// Says what the files are.
    pub fn with_content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// Gives it tags: in any order, those that are twice once, empty ones and those beyond
    /// [`TAGS_MAX`] not.
    pub fn with_tags(mut self, mut tags: Vec<Text<TAG_BYTES_MAX>>) -> Self {
        tags.retain(|tag| !tag.is_empty());
        tags.sort();
        tags.dedup();
        tags.truncate(TAGS_MAX);
        self.tags = tags;
        self
    }

    /// Gives it a description.
    pub fn with_about(mut self, about: Text<ABOUT_BYTES_MAX>) -> Self {
        self.about = about;
        self
    }

    /// What it is fetched by.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The torrent's name; not empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many files.
    pub fn files(&self) -> u32 {
        self.files
    }

    /// What they are.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Words to find it by, in order of their bytes.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(Text::as_str)
    }

    /// A description; often empty.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Where it stands among its author's listings: in the slot of the info-hash of v2, or, filled up
    /// with zeros, of v1.
    pub fn slot(&self) -> Slot {
        match self.info_hash {
            InfoHash::V2(v2) | InfoHash::Hybrid(_, v2) => Slot(v2.0),
            InfoHash::V1(v1) => {
                let mut slot = [0; 32];
                slot[..Sha1Digest::LEN].copy_from_slice(&v1.0);
                Slot(slot)
            }
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != Listing::VERSION {
            return Err(RecordError::Version { version });
        }
        let info_hash = match reader.u8()? {
            HAS_V1 => InfoHash::V1(Sha1Digest(reader.array()?)),
            HAS_V2 => InfoHash::V2(Sha256Digest(reader.array()?)),
            flags if flags == HAS_V1 | HAS_V2 => {
                InfoHash::Hybrid(Sha1Digest(reader.array()?), Sha256Digest(reader.array()?))
            }
            flags => return Err(RecordError::Flags { flags }),
        };
        let length = reader.u8()?;
        let name = Text::from_bytes(reader.bytes(length.into())?)?;
        let size = reader.u64()?;
        let files = reader.u32()?;
        let content = Content(reader.u8()?);
        let count = usize::from(reader.u8()?);
        if count > TAGS_MAX {
            return Err(RecordError::Tags);
        }
        let mut tags: Vec<Text<TAG_BYTES_MAX>> = Vec::with_capacity(count);
        for _ in 0..count {
            let length = reader.u8()?;
            let tag = Text::from_bytes(reader.bytes(length.into())?)?;
            // One order, so that there is one way to write them.
            if tag.is_empty() || tags.last().is_some_and(|last| *last >= tag) {
                return Err(RecordError::Tags);
            }
            tags.push(tag);
        }
        let length = reader.u16()?;
        let about = Text::from_bytes(reader.bytes(length.into())?)?;
        reader.end()?;
        let listing = Listing::new(info_hash, name, size, files)?;
        Ok(Listing { content, tags, about, ..listing })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (v1, v2) = (self.info_hash.v1(), self.info_hash.v2());
        let flags = v1.map_or(0, |_| HAS_V1) | v2.map_or(0, |_| HAS_V2);
        let mut bytes = vec![Listing::VERSION, flags];
        bytes.extend(v1.iter().flat_map(|v1| v1.0));
        bytes.extend(v2.iter().flat_map(|v2| v2.0));
        bytes.push(self.name.len() as u8);
        bytes.extend(self.name.bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.files.to_be_bytes());
        bytes.push(self.content.0);
        bytes.push(self.tags.len() as u8);
        for tag in &self.tags {
            bytes.push(tag.len() as u8);
            bytes.extend(tag.bytes());
        }
        bytes.extend((self.about.len() as u16).to_be_bytes());
        bytes.extend(self.about.bytes());
        bytes
    }
}

// Lengths are written in a byte, or in two.
const _: () = assert!(NAME_BYTES_MAX <= 255 && TAG_BYTES_MAX <= 255 && TAGS_MAX <= 255);
const _: () = assert!(ABOUT_BYTES_MAX <= 65_535);
// The longest listing is a body.
const _: () = assert!(
    2 + 52 + 1 + NAME_BYTES_MAX + 8 + 4 + 2 + TAGS_MAX * (1 + TAG_BYTES_MAX) + 2 + ABOUT_BYTES_MAX
        <= crate::limits::BODY_BYTES_MAX
);

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::hash::{sha1, sha256};

    fn text<const MAX: usize>(text: &str) -> Text<MAX> {
        Text::new(text).unwrap()
    }

    fn listing() -> Listing {
        Listing::new(InfoHash::Hybrid(sha1(b"1"), sha256(b"2")), text("A book.epub"), 1 << 40, 3)
            .unwrap()
            .with_content(Content::TEXT)
            .with_tags(vec![text("novel"), text("1925"), text("novel"), text("")])
            .with_about(text("About it."))
    }

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let listing = listing();
        let bytes = listing.encode();
        assert_eq!(bytes[..2], [1, 3]);
        let read = Listing::parse(&bytes).unwrap();
        assert_eq!(read, listing);
        assert_eq!(read.tags().collect::<Vec<_>>(), ["1925", "novel"]);
        assert_eq!(read.slot(), Slot(sha256(b"2").0));
        assert_eq!((read.size(), read.files(), read.content()), (1 << 40, 3, Content::TEXT));
    }

    #[test]
    fn a_listing_is_cut_nowhere_and_ends_where_it_ends() {
        let bytes = listing().encode();
        for length in 0..bytes.len() {
            assert!(Listing::parse(&bytes[..length]).is_err(), "{length} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Listing::parse(&longer), Err(RecordError::Trailing { bytes: 1 }));
    }

    #[test]
    fn tags_stand_in_one_order_and_flags_are_two() {
        let one = Listing::new(InfoHash::V1(sha1(b"1")), text("n"), 0, 0).unwrap();
        let mut bytes = one.with_tags(vec![text("a"), text("b")]).encode();
        let tags = bytes.len() - 6;
        assert_eq!(bytes[tags..], [1, b'a', 1, b'b', 0, 0]);
        bytes.swap(tags + 1, tags + 3);
        assert_eq!(Listing::parse(&bytes), Err(RecordError::Tags));
        bytes[tags + 1] = b'a';
        assert_eq!(Listing::parse(&bytes), Err(RecordError::Tags));
        for flags in [0, 4, 5, 255] {
            bytes[1] = flags;
            assert_eq!(Listing::parse(&bytes), Err(RecordError::Flags { flags }));
        }
    }
}
