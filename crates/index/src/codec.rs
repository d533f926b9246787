//! What is kept of each document of the index to be given back with an answer: bytes in a format of our
//! own, since the engine's would repeat the names of fields.

use crate::doc::{Listing, Source};
use crate::limits::{NAME_BYTES_MAX, PASSAGE_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX};
use althing_base::hash::{Sha1Digest, Sha256Digest};
use althing_overlay::NodeId;
use althing_overlay::records::{Content, InfoHash};

/// What stands in the index under one number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// A torrent; the description is empty.
    Listing(Listing),
    /// A part of a document.
    Passage(Passage),
}

/// A part of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Passage {
    pub(crate) hash: InfoHash,
    pub(crate) source: Source,
    /// The torrent's name.
    pub(crate) torrent: String,
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

const LISTING: u8 = 1;
const PASSAGE: u8 = 2;

/// A text cut to so many bytes, at the end of a character.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

impl Kept {
    /// As bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Kept::Listing(listing) => {
                out.push(LISTING);
                put_hash(&mut out, &listing.hash);
                out.push(listing.source.number());
                out.push(listing.content.0);
                put_number(&mut out, listing.size);
                put_number(&mut out, u64::from(listing.files));
                put_number(&mut out, listing.seen);
                out.extend(listing.version.to_be_bytes());
                match &listing.author {
                    Some(author) => {
                        out.push(1);
                        out.extend(author.0);
                    }
                    None => out.push(0),
                }
                put_text(&mut out, cut(&listing.name, NAME_BYTES_MAX));
                let tags = listing.tags.iter().take(TAGS_MAX);
                put_number(&mut out, tags.len() as u64);
                tags.for_each(|tag| put_text(&mut out, cut(tag, TAG_BYTES_MAX)));
            }
            Kept::Passage(passage) => {
                out.push(PASSAGE);
                put_hash(&mut out, &passage.hash);
                out.push(passage.source.number());
                put_text(&mut out, cut(&passage.torrent, NAME_BYTES_MAX));
                put_text(&mut out, cut(&passage.path, NAME_BYTES_MAX));
                put_text(&mut out, cut(&passage.title, NAME_BYTES_MAX));
                put_text(&mut out, cut(&passage.text, PASSAGE_BYTES_MAX));
            }
        }
        out
    }

    /// From bytes, if that is what they are.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let kept = match from.byte()? {
            LISTING => Kept::Listing(Listing {
                hash: from.hash()?,
                source: Source::from_number(from.byte()?)?,
                content: Content(from.byte()?),
                size: from.number()?,
                files: u32::try_from(from.number()?).ok()?,
                seen: from.number()?,
                version: u64::from_be_bytes(from.array()?),
                author: match from.byte()? {
                    0 => None,
                    _ => Some(NodeId(from.array()?)),
                },
                name: from.text()?,
                tags: {
                    let count = from.number()?;
                    (0..count.min(TAGS_MAX as u64)).map(|_| from.text()).collect::<Option<_>>()?
                },
                about: String::new(),
            }),
            PASSAGE => Kept::Passage(Passage {
                hash: from.hash()?,
                source: Source::from_number(from.byte()?)?,
                torrent: from.text()?,
                path: from.text()?,
                title: from.text()?,
                text: from.text()?,
            }),
            _ => return None,
        };
        from.0.is_empty().then_some(kept)
    }
}

fn put_hash(out: &mut Vec<u8>, hash: &InfoHash) {
    let flags = u8::from(hash.v1().is_some()) | u8::from(hash.v2().is_some()) << 1;
    out.push(flags);
    out.extend(hash.v1().iter().flat_map(|v1| v1.0));
    out.extend(hash.v2().iter().flat_map(|v2| v2.0));
}

/// In groups of seven bits, the lowest first.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let count = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(count)?).ok().map(str::to_owned)
    }

    fn hash(&mut self) -> Option<InfoHash> {
        Some(match self.byte()? {
            1 => InfoHash::V1(Sha1Digest(self.array()?)),
            2 => InfoHash::V2(Sha256Digest(self.array()?)),
            3 => InfoHash::Hybrid(Sha1Digest(self.array()?), Sha256Digest(self.array()?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_cut_at_the_end_of_a_character() {
        assert_eq!(cut("größe", 4), "gr\u{f6}");
        assert_eq!(cut("größe", 3), "gr");
        assert_eq!(cut("größe", 7), "größe");
    }

    proptest! {
        #[test]
        fn what_is_kept_is_given_back(
            v1: [u8; 20], v2: [u8; 32], which in 0..3, number: u64, small: u32, author: Option<[u8; 32]>,
            name in ".{0,40}", tags in proptest::collection::vec("[a-z]{1,9}", 0..5), text in ".{0,300}",
        ) {
            let hash = match which {
                0 => InfoHash::V1(Sha1Digest(v1)),
                1 => InfoHash::V2(Sha256Digest(v2)),
                _ => InfoHash::Hybrid(Sha1Digest(v1), Sha256Digest(v2)),
            };
            let listing = Kept::Listing(Listing {
                tags, author: author.map(NodeId), content: Content(v1[0]), size: number, files: small,
                version: number, seen: u64::from(small), ..Listing::new(hash, &name, Source::Crawled)
            });
            let passage = Kept::Passage(Passage {
                hash, source: Source::Own, torrent: name.clone(), path: name.clone(), title: name, text,
            });
            for kept in [listing, passage] {
                let bytes = kept.to_bytes();
                for end in 0..bytes.len() {
                    prop_assert_eq!(Kept::from_bytes(&bytes[..end]), None);
                }
                prop_assert_eq!(Kept::from_bytes(&bytes), Some(kept));
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Kept::from_bytes(&bytes);
        }
    }
}
