//! Why a torrent is refused, in words for whoever wanted to open it.

use super::FileIndex;
use crate::types::InfoHashes;
use althing_base::{Sha256Digest, bencode};

/// Why a torrent is refused. Nothing of it is used then.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetainfoError {
    /// Not bencode at all.
    #[error("this is not a torrent: {0}")]
    Bencode(#[from] bencode::Error),
    /// Bencode, but not a dictionary.
    #[error("this is not a torrent: the data is not a dictionary")]
    NotADictionary,
    /// No `info` dictionary.
    #[error("this is not a torrent: it has no info dictionary")]
    InfoMissing,
    /// Longer than [`TORRENT_SIZE_MAX`](super::limits::TORRENT_SIZE_MAX) or, from peers,
    /// [`INFO_SIZE_MAX`](super::limits::INFO_SIZE_MAX).
    #[error("the torrent is {size} bytes long; more than {max} are not read")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// No `piece length`, or one that cannot be.
    #[error("the torrent's piece length is missing or invalid{}", shown(.0))]
    PieceLength(Option<i64>),
    /// No `name`.
    #[error("the torrent has no name")]
    NameMissing,
    /// A file without a path.
    #[error("file {file} of the torrent has no path")]
    PathMissing {
        /// Its place in the list, from 0.
        file: usize,
    },
    /// A path that is not a list of strings, or absurdly long.
    #[error("file {file} of the torrent has an invalid path ({reason})")]
    PathInvalid {
        /// Its place in the list, from 0.
        file: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file entry that is not a dictionary, or a file list that is not a list.
    #[error("the torrent's list of files is malformed")]
    FilesMalformed,
    /// No files at all.
    #[error("the torrent has no files")]
    NoFiles,
    /// More files than [`FILE_COUNT_MAX`](super::limits::FILE_COUNT_MAX).
    #[error("the torrent has more than {max} files")]
    TooManyFiles {
        /// The limit.
        max: usize,
    },
    /// A file with a missing, negative or absurd length, or a torrent of no bytes at all.
    #[error("the torrent's length, or that of one of its files, is missing or invalid{}", shown(.0))]
    Length(Option<i64>),
    /// More pieces than [`PIECE_COUNT_MAX`](super::limits::PIECE_COUNT_MAX).
    #[error("the torrent has {count} pieces; more than {max} are not handled")]
    TooManyPieces {
        /// How many there would be.
        count: u64,
        /// The limit.
        max: u32,
    },
    /// No SHA-1 hashes, or not one for each piece.
    #[error("the torrent has {found} bytes of piece hashes where {expected} are needed")]
    PieceHashes {
        /// What its files need, in bytes.
        expected: u64,
        /// What there is, in bytes.
        found: usize,
    },
    /// `meta version` beyond 2.
    #[error("the torrent is of version {0}, which is newer than this program; look for an update")]
    Version(i64),
    /// A `file tree` without `meta version` 2.
    #[error("the torrent has a file tree but does not say that it is of version 2")]
    VersionMissing,
    /// `meta version` 2 without a `file tree`.
    #[error("the torrent says that it is of version 2 but has no file tree")]
    FileTreeMissing,
    /// A v2 file without the hash that its bytes are checked with.
    #[error("the file {path} of the torrent has no root hash")]
    RootMissing {
        /// Its path.
        path: String,
    },
    /// Padding in a file tree, where there is none (BEP 52).
    #[error("the file {path} of the torrent's file tree is marked as padding")]
    PadInTree {
        /// Its path.
        path: String,
    },
    /// A hybrid torrent that says one thing to v1 clients and another to v2 clients.
    #[error("the torrent's v1 and v2 parts name different files (at {path})")]
    Mismatch {
        /// The first file that differs.
        path: String,
    },
    /// `piece layers` is not a dictionary by root hashes.
    #[error("the torrent's piece layers are malformed")]
    LayersMalformed,
    /// A piece layer that is not that of a file, or does not hash to its root.
    #[error("the torrent's piece layer for the root hash {pieces_root} is wrong")]
    LayerInvalid {
        /// The root it stands under.
        pieces_root: Sha256Digest,
    },
    /// A piece layer for a file that has none.
    #[error("file {} of the torrent has no piece layer", .0.0)]
    LayerUnwanted(FileIndex),
    /// An info dictionary that is not the one asked for.
    #[error("the torrent's info dictionary is another one than {expected:?} (it is {found:?})")]
    WrongInfoHash {
        /// What was asked for.
        expected: InfoHashes,
        /// What it hashes to.
        found: InfoHashes,
    },
    /// Files with the same name, over and over.
    #[error("the torrent has too many files with the same name (at {path})")]
    TooManyDuplicates {
        /// The path at which it was given up.
        path: String,
    },
    /// Paths that take more than [`PATHS_SIZE_MAX`](super::limits::PATHS_SIZE_MAX).
    #[error("the torrent's file names take more than {max} bytes")]
    PathsTooLong {
        /// The limit in bytes.
        max: usize,
    },
}

fn shown(value: &Option<i64>) -> String {
    value.map_or_else(String::new, |value| format!(" ({value})"))
}
