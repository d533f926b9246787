//! Torrents without content: their hashes are drawn by lot, since no payload is ever hashed.
//!
//! They are made as bencode and read by [`Metainfo::parse`] as a stranger's file is, so that the
//! machines get the real thing. A v2 torrent's trees (BEP 52) are real trees over leaves drawn by
//! lot, because peers check the proofs.

use althing_base::bencode::Encoder;
use althing_base::{Rng, Seed, Sha256Digest};
use althing_bittorrent::metainfo::{Magnet, Metainfo, MetainfoError, merkle};
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{BlockDigests, PieceIndex};
use std::sync::Arc;

/// Which kind of torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TorrentKind {
    /// BEP 3.
    V1,
    /// BEP 52 alone.
    V2,
}

/// What torrent the swarm is about: one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TorrentSpec {
    /// How many pieces.
    pub pieces: u32,
    /// Blocks of 16 KiB in each piece: a power of two.
    pub blocks_per_piece: u32,
    /// Its version.
    pub kind: TorrentKind,
}

impl TorrentSpec {
    /// A v1 torrent.
    pub fn new(pieces: u32, blocks_per_piece: u32) -> Self {
        TorrentSpec { pieces, blocks_per_piece, kind: TorrentKind::V1 }
    }

    /// Its size in bytes.
    pub fn total_bytes(&self) -> u64 {
        u64::from(self.pieces) * u64::from(self.piece_bytes())
    }

    fn piece_bytes(&self) -> u32 {
        self.blocks_per_piece * BLOCK_SIZE
    }
}

/// A torrent, and what only its maker knows.
#[derive(Clone, Debug)]
pub(crate) struct Torrent {
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) magnet: Magnet,
    /// Of a v2 torrent: the leaves of its file's tree.
    leaves: Vec<Sha256Digest>,
}

impl Torrent {
    pub(crate) fn new(spec: TorrentSpec, seed: Seed) -> Result<Torrent, MetainfoError> {
        let mut rng = Rng::new(seed);
        let (leaves, torrent) = match spec.kind {
            TorrentKind::V1 => (Vec::new(), v1(spec, &mut rng)),
            TorrentKind::V2 => v2(spec, &mut rng),
        };
        let metainfo = Metainfo::parse(&torrent)?;
        let magnet = Magnet::new(metainfo.info_hashes());
        Ok(Torrent { metainfo: Arc::new(metainfo), magnet, leaves })
    }

    /// SHA-256 of each block of a piece, as its reader would find them (BEP 52).
    pub(crate) fn leaves_of(&self, piece: PieceIndex) -> Option<BlockDigests> {
        let per_piece = (self.metainfo.piece_length() / BLOCK_SIZE) as usize;
        let start = piece.0 as usize * per_piece;
        self.leaves.get(start..start + per_piece).map(<[_]>::to_vec)
    }
}

fn v1(spec: TorrentSpec, rng: &mut Rng) -> Vec<u8> {
    let mut hashes = vec![0; spec.pieces as usize * 20];
    rng.fill(&mut hashes);
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"info").dict(|info| {
            info.key(b"length").int(spec.total_bytes() as i64);
            info.key(b"name").bytes(b"box");
            info.key(b"piece length").int(i64::from(spec.piece_bytes()));
            info.key(b"pieces").bytes(&hashes);
        });
    });
    out.finish()
}

fn v2(spec: TorrentSpec, rng: &mut Rng) -> (Vec<Sha256Digest>, Vec<u8>) {
    let draw = |rng: &mut Rng| {
        let mut digest = Sha256Digest::ZERO;
        rng.fill(&mut digest.0);
        digest
    };
    let blocks = spec.pieces * spec.blocks_per_piece;
    let leaves: Vec<Sha256Digest> = (0..blocks).map(|_| draw(rng)).collect();
    let layer: Vec<Sha256Digest> = leaves
        .chunks_exact(spec.blocks_per_piece as usize)
        .map(|piece| merkle::root(piece, spec.blocks_per_piece))
        .collect();
    let root = merkle::layer_root(&layer, spec.piece_bytes());
    let layer: Vec<u8> = layer.iter().flat_map(|hash| hash.0).collect();
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"info").dict(|info| {
            info.key(b"file tree").dict(|tree| {
                tree.key(b"box").dict(|file| {
                    file.key(b"").dict(|file| {
                        file.key(b"length").int(spec.total_bytes() as i64);
                        file.key(b"pieces root").bytes(&root.0);
                    });
                });
            });
            info.key(b"meta version").int(2);
            info.key(b"name").bytes(b"box");
            info.key(b"piece length").int(i64::from(spec.piece_bytes()));
        });
        out.key(b"piece layers").dict(|layers| {
            if spec.pieces > 1 {
                layers.key(&root.0).bytes(&layer);
            }
        });
    });
    (leaves, out.finish())
}
