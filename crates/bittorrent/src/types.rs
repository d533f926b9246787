//! The nouns all modules share: pieces, blocks, bitfields, peer ids, info-hashes.

use althing_base::{Rng, Sha1Digest, Sha256Digest};
use std::fmt;

/// A piece's index within its torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(pub u32);

impl fmt::Debug for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "piece {}", self.0)
    }
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Part of a piece, as requested and sent (BEP 3): usually a block of 16 KiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockRef {
    /// Which piece.
    pub piece: PieceIndex,
    /// Offset in the piece, in bytes.
    pub begin: u32,
    /// Length in bytes.
    pub len: u32,
}

/// Size of a block in bytes (BEP 3: what every client requests; BEP 52: a leaf of the hash tree).
pub const BLOCK_SIZE: u32 = 16 * 1024;

/// How much a file is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Priority {
    /// Not at all: it is not fetched.
    Skip,
    /// After all others.
    Low,
    /// As any other.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// 0 skip, 1 low, 2 normal, 3 high.
    pub const fn as_u8(self) -> u8 {
        match self {
            Priority::Skip => 0,
            Priority::Low => 1,
            Priority::Normal => 2,
            Priority::High => 3,
        }
    }

    /// The priority of [`as_u8`](Self::as_u8), if there is one of that number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Priority::Skip,
            1 => Priority::Low,
            2 => Priority::Normal,
            3 => Priority::High,
            _ => return None,
        })
    }
}

/// One bit for each piece.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    /// As on the wire: the high bit of the first byte is piece 0; spare bits at the end are zero.
    bytes: Vec<u8>,
    len: u32,
    ones: u32,
}

impl Bitfield {
    /// `len` bits, all zero.
    pub fn new(len: u32) -> Self {
        Bitfield { bytes: vec![0; len.div_ceil(8) as usize], len, ones: 0 }
    }

    /// `len` bits, all one.
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; len.div_ceil(8) as usize];
        if let Some(last) = bytes.last_mut()
            && !len.is_multiple_of(8)
        {
            *last = 0xffu8 << (8 - len % 8);
        }
        Bitfield { bytes, len, ones: len }
    }

    /// Reads the wire form; `None` if it is not exactly as long as `len` bits need or a spare bit
    /// is set (BEP 3: drop the connection).
    pub fn from_bytes(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        if let Some(last) = bytes.last()
            && !len.is_multiple_of(8)
            && last & (0xff >> (len % 8)) != 0
        {
            return None;
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Some(Bitfield { bytes: bytes.to_vec(), len, ones })
    }

    /// The wire form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no bits at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are one.
    pub fn count_ones(&self) -> u32 {
        self.ones
    }

    /// Whether every bit is one.
    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// The bit of `piece`; false past the end.
    pub fn get(&self, piece: PieceIndex) -> bool {
        self.bytes.get(piece.0 as usize / 8).is_some_and(|byte| byte & (0x80 >> (piece.0 % 8)) != 0)
    }

    /// Sets the bit of `piece`; says whether it changed. Past the end nothing happens.
    pub fn set(&mut self, piece: PieceIndex, value: bool) -> bool {
        if piece.0 >= self.len || self.get(piece) == value {
            return false;
        }
        if let Some(byte) = self.bytes.get_mut(piece.0 as usize / 8) {
            *byte ^= 0x80 >> (piece.0 % 8);
            self.ones = if value { self.ones + 1 } else { self.ones - 1 };
        }
        true
    }

    /// The pieces whose bit is one, in order.
    pub fn ones(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(|(at, byte)| {
            (0..8u32)
                .filter(move |bit| byte & (0x80 >> bit) != 0)
                .map(move |bit| PieceIndex(at as u32 * 8 + bit))
        })
    }
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({} of {})", self.ones, self.len)
    }
}

/// What a peer calls itself (BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// Client code and version in the Azureus style: Althing 0.1.0.
    pub const PREFIX: &'static [u8; 8] = b"-AL0100-";

    /// A new id of ours.
    pub fn generate(rng: &mut Rng) -> Self {
        let mut id = [0; 20];
        rng.fill(&mut id);
        id[..8].copy_from_slice(Self::PREFIX);
        PeerId(id)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A torrent's name on the network: the v1 info-hash, the v2 info-hash, or both for a hybrid.
/// At least one is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashes {
    v1: Option<Sha1Digest>,
    v2: Option<Sha256Digest>,
}

impl InfoHashes {
    /// A v1 torrent's (BEP 3).
    pub fn v1_only(v1: Sha1Digest) -> Self {
        InfoHashes { v1: Some(v1), v2: None }
    }

    /// A v2 torrent's (BEP 52).
    pub fn v2_only(v2: Sha256Digest) -> Self {
        InfoHashes { v1: None, v2: Some(v2) }
    }

    /// A hybrid torrent's.
    pub fn hybrid(v1: Sha1Digest, v2: Sha256Digest) -> Self {
        InfoHashes { v1: Some(v1), v2: Some(v2) }
    }

    /// From what is known; `None` if nothing is.
    pub fn new(v1: Option<Sha1Digest>, v2: Option<Sha256Digest>) -> Option<Self> {
        (v1.is_some() || v2.is_some()).then_some(InfoHashes { v1, v2 })
    }

    /// The v1 info-hash.
    pub fn v1(&self) -> Option<Sha1Digest> {
        self.v1
    }

    /// The v2 info-hash.
    pub fn v2(&self) -> Option<Sha256Digest> {
        self.v2
    }

    /// The v2 info-hash cut to 20 bytes, as handshakes, trackers and the DHT use it (BEP 52).
    pub fn v2_short(&self) -> Option<Sha1Digest> {
        self.v2.and_then(|hash| Sha1Digest::from_slice(&hash.0[..20]))
    }

    /// The 20-byte names under which this torrent's swarms are found: v1 first.
    pub fn short_hashes(&self) -> impl Iterator<Item = Sha1Digest> {
        self.v1.into_iter().chain(self.v2_short())
    }

    /// The 20 bytes that stand for the torrent in lists and on the command line: v1 if there is
    /// one, else the start of v2.
    pub fn primary(&self) -> Sha1Digest {
        self.short_hashes().next().unwrap_or(Sha1Digest::ZERO)
    }

    /// Whether a handshake's or an announce's 20 bytes mean this torrent.
    pub fn matches(&self, short: Sha1Digest) -> bool {
        self.short_hashes().any(|hash| hash == short)
    }
}

impl fmt::Debug for InfoHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v1, self.v2) {
            (Some(v1), Some(v2)) => write!(f, "v1 {v1} v2 {v2}"),
            (Some(v1), None) => write!(f, "v1 {v1}"),
            (None, Some(v2)) => write!(f, "v2 {v2}"),
            (None, None) => f.write_str("none"),
        }
    }
}

/// What a piece must hash to: at least one of the two; a hybrid torrent's has both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceHash {
    /// BEP 3: SHA-1 of the whole piece, padding included.
    pub v1: Option<Sha1Digest>,
    /// BEP 52.
    pub v2: Option<V2PieceHash>,
}

/// The root of a piece's part of its file's hash tree (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct V2PieceHash {
    /// What the Merkle tree over the piece's blocks comes to.
    pub root: Sha256Digest,
    /// How many leaves the tree has, a power of two: the blocks there are, then zero hashes.
    pub leaves: u32,
}

/// One digest for each block of a piece, in order: SHA-256 of its bytes.
pub type BlockDigests = Vec<Sha256Digest>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitfield_bits_and_spares() {
        let mut bits = Bitfield::new(10);
        assert!(bits.set(PieceIndex(0), true));
        assert!(bits.set(PieceIndex(9), true));
        assert!(!bits.set(PieceIndex(10), true));
        assert_eq!(bits.as_bytes(), [0x80, 0x40]);
        assert_eq!(bits.ones().collect::<Vec<_>>(), [PieceIndex(0), PieceIndex(9)]);
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x40], 10), Some(bits));
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x20], 10), None);
        assert_eq!(Bitfield::from_bytes(&[0x80], 10), None);
        assert_eq!(Bitfield::full(10).as_bytes(), [0xff, 0xc0]);
        assert!(Bitfield::full(10).is_full());
        assert_eq!(Bitfield::full(8), Bitfield::from_bytes(&[0xff], 8).expect("one byte"));
    }
}
