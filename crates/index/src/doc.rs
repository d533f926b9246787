//! What is put into the index: listings of torrents, and documents in them.

use crate::codec::cut;
use crate::limits::{ABOUT_BYTES_MAX, NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, TEXT_BYTES_MAX};
use althing_base::hash::sha256;
use althing_overlay::NodeId;
use althing_overlay::records::{Content, InfoHash};

/// How we know of something. What several know of stands in the index once for each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// The user has published it.
    Own,
    /// Others have, in the overlay.
    Shelf,
    /// It was met in the DHT.
    Crawled,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 3] = [Source::Own, Source::Shelf, Source::Crawled];

    pub(crate) fn number(self) -> u8 {
        match self {
            Source::Own => 0,
            Source::Shelf => 1,
            Source::Crawled => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Source::ALL.into_iter().find(|source| source.number() == number)
    }
}

/// What a torrent is known by here: its info-hash of v1, or the first 20 bytes of that of v2, as in the DHT
/// (BEP 52).
pub fn torrent_key(hash: &InfoHash) -> [u8; 20] {
    match (hash.v1(), hash.v2()) {
        (Some(v1), _) => v1.0,
        (None, Some(v2)) => std::array::from_fn(|at| v2.0[at]),
        (None, None) => [0; 20],
    }
}

/// A torrent that somebody has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Its info-hash.
    pub hash: InfoHash,
    /// Its name; of more than [`NAME_BYTES_MAX`] bytes the first.
    pub name: String,
    /// Words to find it by; at most [`TAGS_MAX`].
    pub tags: Vec<String>,
    /// A description, or names of files: it is found by its words, and not given back.
    pub about: String,
    /// Who has said that it is there; nobody, if it was met in the DHT.
    pub author: Option<NodeId>,
    /// What it is.
    pub content: Content,
    /// Bytes of all files; 0 if that is not known.
    pub size: u64,
    /// How many files; 0 if that is not known.
    pub files: u32,
    /// How we know of it.
    pub source: Source,
    /// Whatever tells its owner whether it is the same as before.
    pub version: u64,
    /// When it was said, or last met: seconds since 1970.
    pub seen: u64,
}

impl Listing {
    /// Of a torrent of which no more is known than its name.
    pub fn new(hash: InfoHash, name: &str, source: Source) -> Self {
        Listing {
            hash,
            name: name.to_owned(),
            tags: Vec::new(),
            about: String::new(),
            author: None,
            content: Content::OTHER,
            size: 0,
            files: 0,
            source,
            version: 0,
            seen: 0,
        }
    }

    /// What replaces it has the same: its torrent and its author.
    pub(crate) fn key(&self) -> [u8; 16] {
        let author = self.author.map_or([0; 32], |author| author.0);
        let parts: [&[u8]; 4] =
            [b"listing", &torrent_key(&self.hash), &[self.source.number()], &author];
        shortened(&parts.concat())
    }

    /// Without what is too much.
    pub(crate) fn cleaned(&self) -> Self {
        let tags = self.tags.iter().take(TAGS_MAX);
        Listing {
            name: cut(&self.name, NAME_BYTES_MAX).to_owned(),
            tags: tags.map(|tag| cut(tag, TAG_BYTES_MAX).to_owned()).collect(),
            about: cut(&self.about, ABOUT_BYTES_MAX).to_owned(),
            hash: self.hash,
            author: self.author,
            content: self.content,
            size: self.size,
            files: self.files,
            source: self.source,
            version: self.version,
            seen: self.seen,
        }
    }
}

/// A document in a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The torrent's info-hash.
    pub hash: InfoHash,
    /// The torrent's name.
    pub torrent: String,
    /// Where the document lies in the torrent: names joined by `/`, without the torrent's own.
    pub path: String,
    /// Its title, if it has one of its own.
    pub title: String,
    /// What it says; of more than [`TEXT_BYTES_MAX`] bytes the first. A document without text is put too: then
    /// it is known to have been read.
    pub text: String,
    /// How we know of it.
    pub source: Source,
}

impl Page {
    /// What replaces it has the same: its torrent and its path.
    pub(crate) fn key(&self) -> [u8; 16] {
        page_key(&self.hash, &self.path)
    }

    /// The text without what is too much.
    pub(crate) fn text(&self) -> &str {
        cut(&self.text, TEXT_BYTES_MAX)
    }
}

/// The key of the document at a path.
pub(crate) fn page_key(hash: &InfoHash, path: &str) -> [u8; 16] {
    shortened(&[b"page", &torrent_key(hash)[..], path.as_bytes()].concat())
}

/// Enough of a hash that nobody meets two of the same.
fn shortened(bytes: &[u8]) -> [u8; 16] {
    let hash = sha256(bytes).0;
    std::array::from_fn(|at| hash[at])
}
