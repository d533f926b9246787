//! Making torrents: v1 (BEP 3), v2 (BEP 52) or both in one, which is the default.
//!
//! Nothing here reads a file. A [`Builder`] is told what files there are; its [`Plan`] says how
//! they lie in pieces; whoever reads the files hashes the pieces; and [`Plan::finish`] puts it all
//! together. Where there is a choice it is libtorrent's, so that the same files in pieces of the
//! same length become the same torrent, whoever makes it.
//!
//! ```
//! use althing_bittorrent::PieceIndex;
//! use althing_bittorrent::metainfo::{Builder, Metainfo, NewFile, PieceDigests};
//!
//! let contents = [b"to be, ", b"or not "];
//! let mut builder = Builder::folder("hamlet");
//! for (name, bytes) in ["1.txt", "2.txt"].iter().zip(contents) {
//!     builder.add(NewFile::new([*name], bytes.len() as u64));
//! }
//! let plan = builder.plan()?;
//! let mut digests = PieceDigests::default();
//! for (piece, bytes) in (0..plan.layout().piece_count()).zip(contents) {
//!     digests.push(plan.hash_piece(PieceIndex(piece), bytes)?);
//! }
//! let metainfo = plan.finish(&digests)?;
//! assert_eq!(Metainfo::parse(&metainfo.to_torrent()), Ok(metainfo));
//! # Ok::<(), althing_bittorrent::metainfo::BuildError>(())
//! ```

use super::limits::{NAME_SIZE_MAX, PIECE_COUNT_MAX, PIECE_LENGTH_MAX, URL_SIZE_MAX};
use super::torrent::{self, is_tracker_url};
use super::{
    Announce, Attributes, File, FileIndex, Layout, Metainfo, MetainfoError, NameRules, build_write,
    merkle,
};
use crate::types::{BLOCK_SIZE, PieceIndex};
use althing_base::hash::{Sha1, sha256};
use althing_base::{Sha1Digest, Sha256Digest, UnixTime};
use std::collections::{BTreeMap, HashSet};

/// Pieces that the length is chosen for: a length is doubled as long as there would be more. For a
/// torrent of 1 GiB it is 512 KiB, as libtorrent's own table has it.
const PIECE_COUNT_AIM: u64 = 2048;

/// The shortest piece that is chosen, in bytes: BEP 52's least.
const PIECE_LENGTH_CHOSEN_MIN: u32 = BLOCK_SIZE;

/// The longest piece that is chosen, in bytes: libtorrent's and qBittorrent's. A longer one makes
/// a peer wait longer for something to share, and lose more to a bad block.
const PIECE_LENGTH_CHOSEN_MAX: u32 = 16 * 1024 * 1024;

/// Which clients a torrent is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// All: both descriptions in one torrent, which has both info-hashes.
    #[default]
    Hybrid,
    /// BEP 3.
    V1,
    /// BEP 52.
    V2,
}

impl Format {
    /// Whether it has SHA-1 digests of its pieces.
    pub fn has_v1(self) -> bool {
        self != Format::V2
    }

    /// Whether it has trees of SHA-256 digests.
    pub fn has_v2(self) -> bool {
        self != Format::V1
    }
}

/// A file that goes into a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewFile {
    /// The names of the folders it is in, from the torrent's own, and its name.
    pub path: Vec<String>,
    /// Its length in bytes; 0 for a link.
    pub size: u64,
    /// Whether it is to be made executable.
    pub executable: bool,
    /// Whether it is to be hidden.
    pub hidden: bool,
    /// If it is a symbolic link: the path of what it points at, from the torrent's own folder.
    pub symlink: Option<Vec<String>>,
}

impl NewFile {
    /// An ordinary file of `size` bytes.
    pub fn new(path: impl IntoIterator<Item = impl Into<String>>, size: u64) -> Self {
        NewFile {
            path: path.into_iter().map(Into::into).collect(),
            size,
            executable: false,
            hidden: false,
            symlink: None,
        }
    }
}

/// What a torrent is to be made of.
#[derive(Clone, Debug)]
pub struct Builder {
    /// Which clients it is for.
    pub format: Format,
    /// Length of a piece in bytes, a power of two; `None` to have it chosen by the size of the
    /// content.
    pub piece_length: Option<u32>,
    /// Whether peers may come from nowhere but the trackers (BEP 27).
    pub private: bool,
    /// A tag that gives the same content another info-hash.
    pub source: Option<String>,
    /// URLs of trackers, in tiers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// URLs of web servers that have the files (BEP 19).
    pub web_seeds: Vec<String>,
    /// A remark.
    pub comment: Option<String>,
    /// The program's name.
    pub created_by: Option<String>,
    /// When it was made.
    pub creation_date: Option<UnixTime>,
    name: String,
    files: Vec<NewFile>,
    is_folder: bool,
}

/// Why no torrent can be made of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No bytes at all.
    #[error("there is nothing to share: no file in {name} has any content")]
    Empty {
        /// What was to be shared.
        name: String,
    },
    /// A name that other clients could not use.
    #[error("{path:?} cannot be in a torrent: {reason}")]
    Path {
        /// Where.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A piece length that BEP 52 or [`PIECE_LENGTH_MAX`] forbids.
    #[error("a piece cannot be {0} bytes long: it takes a power of two from 16,384 to 268,435,456")]
    PieceLength(u32),
    /// Something that is no URL of a tracker or web server.
    #[error("{0:?} is not a URL that can be put into a torrent")]
    Url(String),
    /// Not the bytes or digests that were asked for.
    #[error("the torrent needs {expected} {what}, not {found}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// What came out is more than a torrent may be.
    #[error("no torrent can be made of this: {0}")]
    Refused(#[from] MetainfoError),
}

impl Builder {
    /// A torrent of one ordinary file.
    pub fn file(name: impl Into<String>, size: u64) -> Self {
        let name: String = name.into();
        Self::single(NewFile::new([name], size))
    }

    /// A torrent of one file, whose name is the torrent's.
    pub fn single(file: NewFile) -> Self {
        let name = file.path.last().cloned().unwrap_or_default();
        Builder { files: vec![file], is_folder: false, ..Self::folder(name) }
    }

    /// A torrent of the files in a folder; [`add`](Self::add) them.
    pub fn folder(name: impl Into<String>) -> Self {
        Builder {
            format: Format::default(),
            piece_length: None,
            private: false,
            source: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            name: name.into(),
            files: Vec::new(),
            is_folder: true,
        }
    }

    /// Adds a file to the folder. The order does not matter.
    pub fn add(&mut self, file: NewFile) {
        let size = if file.symlink.is_some() { 0 } else { file.size };
        self.files.push(NewFile { size, ..file });
    }

    /// The torrent's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a folder; else it is a single file.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// Puts the files in order and lays them out in pieces.
    ///
    /// # Errors
    /// Says why no torrent can be made of them.
    pub fn plan(mut self) -> Result<Plan, BuildError> {
        check_name(&self.name, &self.name)?;
        self.check_urls()?;
        // BEP 52: as the keys of dictionaries within one another are ordered.
        let mut order: Vec<usize> = (0..self.files.len()).collect();
        order.sort_by(|a, b| {
            let bytes = |at: &usize| self.files[*at].path.iter().map(String::as_bytes);
            bytes(a).cmp(bytes(b))
        });
        self.check_paths(&order)?;
        let content = order.iter().fold(0u64, |sum, &at| sum.saturating_add(self.files[at].size));
        if content == 0 {
            return Err(BuildError::Empty { name: self.name });
        }
        let piece_length = self.choose_piece_length(content)?;
        // BEP 52 knows a folder of one file only as that file.
        if let (Format::V2, [file]) = (self.format, &self.files[..])
            && let [name] = &file.path[..]
        {
            self.name.clone_from(name);
            self.is_folder = false;
        }

        let mut files = Vec::with_capacity(order.len());
        let mut origins = Vec::with_capacity(order.len());
        for at in order {
            let file = &self.files[at];
            files.push(self.entry(file));
            origins.push(Some(at));
            let excess = file.size % u64::from(piece_length);
            // A hybrid of one file has no list to put padding into.
            let is_padded = self.format == Format::V2 || (self.format.has_v2() && self.is_folder);
            if excess > 0 && is_padded {
                files.push(File::padding(&self.name, u64::from(piece_length) - excess));
                origins.push(None);
            }
        }
        let layout = Layout::new(piece_length, files)?;
        Ok(Plan { builder: self, layout, origins })
    }

    fn announce(&self) -> Announce {
        Announce {
            tiers: self.trackers.iter().filter(|tier| !tier.is_empty()).cloned().collect(),
            web_seeds: self.web_seeds.clone(),
            comment: self.comment.clone(),
            created_by: self.created_by.clone(),
            creation_date: self.creation_date,
            ..Announce::default()
        }
    }

    fn check_urls(&self) -> Result<(), BuildError> {
        let bad_tracker = self.trackers.iter().flatten().find(|url| !is_tracker_url(url));
        let is_web =
            |url: &str| ["http://", "https://", "ftp://"].iter().any(|s| url.starts_with(s));
        let bad_seed = self.web_seeds.iter().find(|url| !is_web(url) || url.trim() != *url);
        let mut all = self.trackers.iter().flatten().chain(&self.web_seeds);
        let too_long = all.find(|url| url.len() > URL_SIZE_MAX);
        let bad = bad_tracker.or(bad_seed).or(too_long);
        bad.map_or(Ok(()), |url| Err(BuildError::Url(url.clone())))
    }

    /// Checks that all names are good and each path is there once, not as a folder of another.
    fn check_paths(&self, order: &[usize]) -> Result<(), BuildError> {
        let mut seen: HashSet<&[String]> = HashSet::new();
        let mut last: &[String] = &[];
        for &at in order {
            let path = &self.files[at].path[..];
            let shown = || path.join("/");
            if path.is_empty() {
                return Err(BuildError::Path { path: self.name.clone(), reason: "it has no name" });
            }
            for name in path.iter().chain(self.files[at].symlink.iter().flatten()) {
                check_name(name, &shown())?;
            }
            // In this order a folder's files come right behind a file of the folder's name.
            if path == last {
                return Err(BuildError::Path { path: shown(), reason: "it is there twice" });
            }
            if (1..path.len()).any(|len| seen.contains(&path[..len])) {
                let reason = "its folder is a file as well";
                return Err(BuildError::Path { path: shown(), reason });
            }
            seen.insert(path);
            last = path;
        }
        Ok(())
    }

    fn choose_piece_length(&self, content: u64) -> Result<u32, BuildError> {
        if let Some(length) = self.piece_length {
            let is_good =
                length.is_power_of_two() && (BLOCK_SIZE..=PIECE_LENGTH_MAX).contains(&length);
            return if is_good { Ok(length) } else { Err(BuildError::PieceLength(length)) };
        }
        let mut length = PIECE_LENGTH_CHOSEN_MIN;
        while length < PIECE_LENGTH_CHOSEN_MAX
            && content.div_ceil(u64::from(length)) > PIECE_COUNT_AIM
        {
            length *= 2;
        }
        // Beyond 32 TiB it has to be longer for there to be a torrent at all.
        while length <= PIECE_LENGTH_MAX / 2
            && content.div_ceil(u64::from(length)) > u64::from(PIECE_COUNT_MAX)
        {
            length *= 2;
        }
        Ok(length)
    }

    /// The file as the layout has it, with its names as they are.
    fn entry(&self, file: &NewFile) -> File {
        let below = file.path.iter().map(String::as_str).filter(|_| self.is_folder);
        let names = std::iter::once(self.name.as_str()).chain(below);
        let target = file.symlink.as_ref().map(|target| target.join("/").into_boxed_str());
        File {
            path: names.collect::<Vec<_>>().join("/").into(),
            size: file.size,
            offset: 0,
            attributes: Attributes {
                pad: false,
                executable: file.executable,
                hidden: file.hidden,
                symlink: target.is_some(),
            },
            symlink: target,
            pieces_root: None,
        }
    }
}

/// A name that every client can use on a system like this one. Whatever else is wrong with a name
/// is mended by those who fetch it.
fn check_name(name: &str, path: &str) -> Result<(), BuildError> {
    let reason = match name {
        "" => "a name is empty",
        "." | ".." => "a name is only dots",
        name if name.contains(['/', '\0']) => "a name has a slash or a zero byte",
        name if name.len() > NAME_SIZE_MAX => "a name is longer than 255 bytes",
        _ => return Ok(()),
    };
    Err(BuildError::Path { path: path.to_owned(), reason })
}

/// How a torrent's files lie in pieces: what is to be hashed.
#[derive(Clone, Debug)]
pub struct Plan {
    builder: Builder,
    layout: Layout,
    origins: Vec<Option<usize>>,
}

/// The digests of all pieces of a [`Plan`], in order; those that its format does not need are left
/// out.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PieceDigests {
    /// SHA-1 of each piece, with the padding behind it.
    pub v1: Vec<Sha1Digest>,
    /// The root over the leaves of each piece.
    pub v2: Vec<Sha256Digest>,
}

impl PieceDigests {
    /// Adds the next piece's.
    pub fn push(&mut self, (v1, v2): (Option<Sha1Digest>, Option<Sha256Digest>)) {
        self.v1.extend(v1);
        self.v2.extend(v2);
    }
}

impl Plan {
    /// Where the pieces and files are; the paths are as they were given. The torrent has the same
    /// pieces and files, in this order.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Which of the files given to the builder this is, by the order they were added; `None` for
    /// padding. A path in the torrent may differ from the one given, where clients could not use
    /// that or two differ only in case; whoever shares the files where they are needs this.
    pub fn origin(&self, file: FileIndex) -> Option<usize> {
        self.origins.get(file.0 as usize).copied().flatten()
    }

    /// What it is made of.
    pub fn builder(&self) -> &Builder {
        &self.builder
    }

    /// Which digests are needed.
    pub fn format(&self) -> Format {
        self.builder.format
    }

    /// For BEP 52: how many leaves the tree over a piece has, a power of two. What a piece has
    /// fewer blocks than that, count as zero hashes.
    pub fn leaves(&self, piece: PieceIndex) -> u32 {
        let at = self.layout.file_at(self.layout.piece_offset(piece));
        let size = self.layout.files().get(at).map_or(0, File::size);
        merkle::piece_width(size, self.layout.piece_length())
    }

    /// The digests of a piece. `data` are the bytes of its files without the padding behind them,
    /// as many as [`Layout::piece_data_size`] says.
    ///
    /// # Errors
    /// They are more or fewer.
    pub fn hash_piece(
        &self,
        piece: PieceIndex,
        data: &[u8],
    ) -> Result<(Option<Sha1Digest>, Option<Sha256Digest>), BuildError> {
        let expected = self.layout.piece_data_size(piece) as usize;
        if data.len() != expected {
            return Err(BuildError::Count {
                what: "bytes in a piece",
                expected,
                found: data.len(),
            });
        }
        let v1 = self.builder.format.has_v1().then(|| {
            let mut hasher = Sha1::new();
            hasher.update(data);
            let mut padding = self.layout.piece_size(piece) as usize - data.len();
            while padding > 0 {
                let zeros = &[0; BLOCK_SIZE as usize][..padding.min(BLOCK_SIZE as usize)];
                hasher.update(zeros);
                padding -= zeros.len();
            }
            hasher.finish()
        });
        let v2 = self.builder.format.has_v2().then(|| {
            let leaves: Vec<_> = data.chunks(BLOCK_SIZE as usize).map(sha256).collect();
            merkle::root(&leaves, self.leaves(piece))
        });
        Ok((v1, v2))
    }

    /// Puts the torrent together.
    ///
    /// # Errors
    /// There is not one digest for each piece, or a limit is passed that the plan could not see.
    pub fn finish(self, digests: &PieceDigests) -> Result<Metainfo, BuildError> {
        let pieces = self.layout.piece_count() as usize;
        let needed = |has: bool| if has { pieces } else { 0 };
        for (what, expected, found) in [
            ("SHA-1 digests", needed(self.builder.format.has_v1()), digests.v1.len()),
            ("tree roots", needed(self.builder.format.has_v2()), digests.v2.len()),
        ] {
            if expected != found {
                return Err(BuildError::Count { what, expected, found });
            }
        }
        let mut layers = BTreeMap::new();
        let roots: Vec<_> = (0..)
            .zip(self.layout.files())
            .map(|(at, file)| {
                let pieces = self.layout.file_pieces(FileIndex(at));
                let layer = digests.v2.get(pieces.start as usize..pieces.end as usize)?;
                let root = merkle::layer_root(layer, self.layout.piece_length());
                let has_root = !layer.is_empty() && !file.is_pad();
                if has_root && layer.len() > 1 {
                    layers.insert(root, layer);
                }
                has_root.then_some(root)
            })
            .collect();
        let info = build_write::info(&self, digests, &roots);
        let layers = self.builder.format.has_v2().then_some(layers);
        // Read as any stranger's torrent, it is what everybody else will see.
        let torrent = torrent::encode(&self.builder.announce(), &info, layers);
        Ok(Metainfo::parse_with(&torrent, NameRules::NATIVE)?)
    }
}
