//! Messages between peers after the handshake (BEP 3, 6, 10, 52).

use crate::types::{BlockRef, PieceIndex};
use althing_base::Sha256Digest;
use bytes::Bytes;

/// A message without payload blocks; a `piece` message's 13-byte header is
/// parsed apart, because its payload goes to the disk and not to a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Four zero bytes: still here.
    KeepAlive,
    /// BEP 3, 0.
    Choke,
    /// BEP 3, 1.
    Unchoke,
    /// BEP 3, 2.
    Interested,
    /// BEP 3, 3.
    NotInterested,
    /// BEP 3, 4.
    Have(PieceIndex),
    /// BEP 3, 5: the raw bytes; how many pieces there are is the swarm's knowledge.
    Bitfield(Bytes),
    /// BEP 3, 6.
    Request(BlockRef),
    /// BEP 3, 8.
    Cancel(BlockRef),
    /// BEP 5, 9: the peer's DHT port.
    Port(u16),
    /// BEP 6, 13.
    SuggestPiece(PieceIndex),
    /// BEP 6, 14.
    HaveAll,
    /// BEP 6, 15.
    HaveNone,
    /// BEP 6, 16.
    Reject(BlockRef),
    /// BEP 6, 17.
    AllowedFast(PieceIndex),
    /// BEP 10, 20: `id` 0 is the extension handshake, any other was assigned by the receiver.
    Extended {
        /// Which extension, by the receiver's own numbering.
        id: u8,
        /// The extension's bytes.
        payload: Bytes,
    },
    /// BEP 52, 21.
    HashRequest(HashRequest),
    /// BEP 52, 22: hashes of the base layer, then uncle hashes.
    Hashes {
        /// What was asked.
        request: HashRequest,
        /// `length` hashes of the layer and the proof.
        hashes: Vec<Sha256Digest>,
    },
    /// BEP 52, 23.
    HashReject(HashRequest),
    /// A message of a type we do not know; BEP 3 says to ignore it.
    Unknown {
        /// Its type.
        id: u8,
    },
}

/// Which part of a file's hash tree is asked for or given (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HashRequest {
    /// The root of the file's tree.
    pub pieces_root: Sha256Digest,
    /// The layer of the hashes: 0 is the leaves, blocks of 16 KiB.
    pub base_layer: u32,
    /// Index of the first hash within its layer.
    pub index: u32,
    /// How many hashes.
    pub length: u32,
    /// How many layers of uncle hashes to prove them with.
    pub proof_layers: u32,
}

/// Bytes of a `piece` message before its payload: length, type, piece, offset (BEP 3).
pub const BLOCK_HEADER_LEN: usize = 13;

/// Bytes of a [`HashRequest`] in a message (BEP 52).
pub(super) const HASH_REQUEST_LEN: usize = 48;

/// The messages' types.
pub(super) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST_PIECE: u8 = 13;
    pub(crate) const HAVE_ALL: u8 = 14;
    pub(crate) const HAVE_NONE: u8 = 15;
    pub(crate) const REJECT: u8 = 16;
    pub(crate) const ALLOWED_FAST: u8 = 17;
    pub(crate) const EXTENDED: u8 = 20;
    pub(crate) const HASH_REQUEST: u8 = 21;
    pub(crate) const HASHES: u8 = 22;
    pub(crate) const HASH_REJECT: u8 = 23;
}
