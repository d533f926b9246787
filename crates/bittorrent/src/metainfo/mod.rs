//! What a torrent is: BEP 3 (v1), BEP 52 (v2 and hybrid), and what came between, namely tiers of
//! trackers (BEP 12), private torrents (BEP 27), padding, links and attributes (BEP 47), web seeds
//! (BEP 17, BEP 19) and DHT nodes (BEP 5). Also [magnet links](Magnet) (BEP 9, BEP 53) and making
//! torrents.
//!
//! [`Metainfo::parse`] reads a stranger's file once into a type that cannot be wrong: paths that
//! are safe on the platform this runs on ([`NameRules`]), links that stay inside, sizes and hashes
//! that fit together, all within the bounds of [`limits`]. What it makes of a torrent is what
//! libtorrent makes of it.

mod build;
mod build_write;
mod error;
mod feed;
mod file;
mod info;
mod layout;
pub mod limits;
mod links;
mod magnet;
pub mod merkle;
mod names;
mod path;
mod torrent;

pub use build::{BuildError, Builder, Format, NewFile, PieceDigests, Plan};
pub use error::MetainfoError;
pub use feed::{Feed, FeedError, FollowLink, info_hash_in, item_of};
pub use file::{Attributes, File};
pub use layout::{FileIndex, FileSlice, Layout, Slices};
pub use magnet::{Magnet, MagnetError, PeerAddress};
pub use path::NameRules;

use crate::types::{BlockRef, InfoHashes, PieceHash, PieceIndex, V2PieceHash};
use althing_base::{Sha1Digest, Sha256Digest, UnixTime};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A torrent. Cloning copies nothing but a pointer for each file whose piece layer is known.
///
/// Where its pieces, blocks and files are, its [`Layout`] knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Metainfo {
    info: Arc<Info>,
    announce: Arc<Announce>,
    /// Of files longer than a piece: the hashes of their pieces, as far as they are known.
    layers: BTreeMap<FileIndex, Arc<[Sha256Digest]>>,
}

/// What the info dictionary says: the part that the info-hash stands for.
#[derive(PartialEq, Eq)]
struct Info {
    /// The dictionary's exact bytes.
    bytes: Bytes,
    hashes: InfoHashes,
    name: String,
    layout: Layout,
    /// The SHA-1 hashes of all pieces, a part of `bytes`; empty in a v2 torrent.
    v1_pieces: Bytes,
    private: bool,
    source: Option<String>,
}

/// What stands beside the info dictionary: who knows of the torrent, and remarks.
#[derive(Clone, PartialEq, Eq, Default)]
struct Announce {
    tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    http_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<UnixTime>,
}

impl Metainfo {
    /// Reads a .torrent file, with names made safe for the platform this runs on.
    ///
    /// # Errors
    /// Says what is wrong with it; see [`MetainfoError`].
    pub fn parse(torrent: &[u8]) -> Result<Self, MetainfoError> {
        Self::parse_with(torrent, NameRules::NATIVE)
    }

    /// Reads a .torrent file, with names made safe by `rules`.
    ///
    /// # Errors
    /// Says what is wrong with it; see [`MetainfoError`].
    pub fn parse_with(torrent: &[u8], rules: NameRules) -> Result<Self, MetainfoError> {
        torrent::parse(torrent, rules)
    }

    /// Reads an info dictionary that peers sent (BEP 9), after checking that it is the one that
    /// `magnet` means. Trackers and web seeds are the magnet link's.
    ///
    /// # Errors
    /// It is another one, or says what is wrong with it; see [`MetainfoError`].
    pub fn from_info(info: &[u8], magnet: &Magnet) -> Result<Self, MetainfoError> {
        torrent::from_info(info, magnet, NameRules::NATIVE)
    }

    /// This torrent with a file's piece layer, which peers sent (BEP 52).
    ///
    /// # Errors
    /// There is no such file, or the hashes do not come to its root.
    pub fn with_layer(
        &self,
        file: FileIndex,
        hashes: Vec<Sha256Digest>,
    ) -> Result<Self, MetainfoError> {
        let mut metainfo = self.clone();
        metainfo.add_layer(file, hashes)?;
        Ok(metainfo)
    }

    /// Adds a file's piece layer, which peers sent (BEP 52).
    ///
    /// # Errors
    /// There is no such file, or the hashes do not come to its root. Nothing is changed then.
    pub fn add_layer(
        &mut self,
        file: FileIndex,
        hashes: Vec<Sha256Digest>,
    ) -> Result<(), MetainfoError> {
        let pieces_root = self.files().get(file.0 as usize).and_then(|file| file.pieces_root);
        let pieces_root = pieces_root.ok_or(MetainfoError::LayerUnwanted(file))?;
        let pieces = self.file_pieces(file).len();
        if hashes.len() != pieces || merkle::layer_root(&hashes, self.piece_length()) != pieces_root
        {
            return Err(MetainfoError::LayerInvalid { pieces_root });
        }
        if pieces > 1 {
            self.layers.insert(file, hashes.into());
        }
        Ok(())
    }

    /// The .torrent file again: the info dictionary as it came, and all that is known beside it.
    pub fn to_torrent(&self) -> Vec<u8> {
        torrent::write(self)
    }

    /// Its names on the network.
    pub fn info_hashes(&self) -> InfoHashes {
        self.info.hashes
    }

    /// What it is called: a safe file name, that of its only file or of the folder of its files.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Where its pieces, blocks and files are.
    pub fn layout(&self) -> &Layout {
        &self.info.layout
    }

    /// Length of every piece but perhaps the last, in bytes.
    pub fn piece_length(&self) -> u32 {
        self.layout().piece_length()
    }

    /// How many pieces there are.
    pub fn piece_count(&self) -> u32 {
        self.layout().piece_count()
    }

    /// All files together, padding included, in bytes.
    pub fn total_size(&self) -> u64 {
        self.layout().total_size()
    }

    /// All files in order, padding included.
    pub fn files(&self) -> &[File] {
        self.layout().files()
    }

    /// Length of a piece in bytes, padding included. See [`Layout::piece_size`].
    pub fn piece_size(&self, piece: PieceIndex) -> u32 {
        self.layout().piece_size(piece)
    }

    /// Length of a piece in bytes without the padding it ends with. See
    /// [`Layout::piece_data_size`].
    pub fn piece_data_size(&self, piece: PieceIndex) -> u32 {
        self.layout().piece_data_size(piece)
    }

    /// How many blocks a piece is fetched in. See [`Layout::block_count`].
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.layout().block_count(piece)
    }

    /// Block `number` of a piece. See [`Layout::block`].
    pub fn block(&self, piece: PieceIndex, number: u32) -> Option<BlockRef> {
        self.layout().block(piece, number)
    }

    /// The parts of files that `block` covers. See [`Layout::slices`].
    pub fn slices(&self, block: BlockRef) -> Slices<'_> {
        self.layout().slices(block)
    }

    /// The pieces that a file has bytes in. See [`Layout::file_pieces`].
    pub fn file_pieces(&self, file: FileIndex) -> Range<u32> {
        self.layout().file_pieces(file)
    }

    /// What a piece must hash to; `None` if there is no such piece, or if it is part of a v2-only
    /// torrent's file whose piece layer is not known yet.
    pub fn piece_hash(&self, piece: PieceIndex) -> Option<PieceHash> {
        let v1 = self.v1_piece_hash(piece);
        let v2 = self.v2_piece_hash(piece);
        (v1.is_some() || v2.is_some()).then_some(PieceHash { v1, v2 })
    }

    fn v1_piece_hash(&self, piece: PieceIndex) -> Option<Sha1Digest> {
        let at = piece.0 as usize * Sha1Digest::LEN;
        Sha1Digest::from_slice(self.info.v1_pieces.get(at..at + Sha1Digest::LEN)?)
    }

    fn v2_piece_hash(&self, piece: PieceIndex) -> Option<V2PieceHash> {
        if piece.0 >= self.piece_count() || self.info.hashes.v2().is_none() {
            return None;
        }
        let index = self.layout().file_at(self.layout().piece_offset(piece));
        let file = self.files().get(index)?;
        let index = FileIndex(u32::try_from(index).ok()?);
        let nth = piece.0.checked_sub(self.file_pieces(index).start)?;
        let root = *self.piece_layer(index)?.get(nth as usize)?;
        let leaves = merkle::piece_width(file.size, self.piece_length());
        Some(V2PieceHash { root, leaves })
    }

    /// The hashes of a file's pieces (BEP 52): what [`pieces_root`](File::pieces_root) comes from,
    /// and for a file of one piece that root itself. `None` if they are not known yet, in a v1
    /// torrent, and for files without a root.
    pub fn piece_layer(&self, file: FileIndex) -> Option<&[Sha256Digest]> {
        let root = self.files().get(file.0 as usize)?.pieces_root.as_ref()?;
        if self.file_pieces(file).len() == 1 {
            return Some(std::slice::from_ref(root));
        }
        self.layers.get(&file).map(|layer| &layer[..])
    }

    /// The measures of a file's hash tree (BEP 52); `None` if it has none.
    pub fn tree_shape(&self, file: FileIndex) -> Option<merkle::TreeShape> {
        merkle::TreeShape::new(self.files().get(file.0 as usize)?, self.piece_length())
    }

    /// The upper part of a file's hash tree, to answer peers' requests with; `None` if it has none
    /// or its piece layer is not known. Takes a while for large files; see [`merkle::Tree`].
    pub fn tree(&self, file: FileIndex) -> Option<merkle::Tree> {
        merkle::Tree::new(self.tree_shape(file)?, self.piece_layer(file)?)
    }

    /// The file with this root hash, the first of several with the same content. Peers name files
    /// so (BEP 52).
    pub fn file_by_root(&self, pieces_root: &Sha256Digest) -> Option<FileIndex> {
        let at =
            self.files().iter().position(|file| file.pieces_root.as_ref() == Some(pieces_root));
        at.and_then(|at| u32::try_from(at).ok()).map(FileIndex)
    }

    /// The files whose piece layers are not known yet, in order.
    pub fn missing_layers(&self) -> impl Iterator<Item = FileIndex> + '_ {
        (0..).map(FileIndex).zip(self.files()).filter_map(|(index, file)| {
            (file.pieces_root.is_some() && self.piece_layer(index).is_none()).then_some(index)
        })
    }

    /// The exact bytes of the info dictionary, as peers ask for them (BEP 9).
    pub fn info_bytes(&self) -> &Bytes {
        &self.info.bytes
    }

    /// Whether peers may come from nowhere but the torrent's own trackers (BEP 27).
    pub fn is_private(&self) -> bool {
        self.info.private
    }

    /// What the info dictionary names as its source: a tag with which one tracker's torrents get
    /// info-hashes of their own.
    pub fn source(&self) -> Option<&str> {
        self.info.source.as_deref()
    }

    /// URLs of trackers, in tiers to be tried one after the other (BEP 12). No tier is empty.
    pub fn trackers(&self) -> &[Vec<String>] {
        &self.announce.tiers
    }

    /// URLs of web servers that have the files (BEP 19, `url-list`).
    pub fn web_seeds(&self) -> &[String] {
        &self.announce.web_seeds
    }

    /// URLs of web servers that hand out pieces (BEP 17, `httpseeds`).
    pub fn http_seeds(&self) -> &[String] {
        &self.announce.http_seeds
    }

    /// DHT nodes to begin with: host name or address, and port (BEP 5).
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.announce.nodes
    }

    /// A remark of whoever made it.
    pub fn comment(&self) -> Option<&str> {
        self.announce.comment.as_deref()
    }

    /// The program it was made with.
    pub fn created_by(&self) -> Option<&str> {
        self.announce.created_by.as_deref()
    }

    /// When it was made.
    pub fn creation_date(&self) -> Option<UnixTime> {
        self.announce.creation_date
    }
}

impl fmt::Debug for Metainfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metainfo")
            .field("name", &self.name())
            .field("info_hashes", &self.info_hashes())
            .field("files", &self.files().len())
            .field("pieces", &self.piece_count())
            .finish_non_exhaustive()
    }
}
