//! The 68 bytes that open every connection (BEP 3), and the reserved bits in them by which the
//! two sides tell what else they speak (BEP 5, 6, 10, 52).

use super::WireError;
use crate::types::PeerId;
use althing_base::Sha1Digest;
use std::fmt;

/// Length of a handshake in bytes.
pub const HANDSHAKE_LEN: usize = 68;

/// What a handshake starts with: the length of the protocol's name and the name.
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The first message of both sides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The torrent: a v1 info-hash, or a v2 info-hash cut to 20 bytes.
    pub info_hash: Sha1Digest,
    /// What the sender calls itself.
    pub peer_id: PeerId,
    /// What the sender speaks; bits that nobody has given a meaning are kept as they are.
    pub reserved: [u8; 8],
}

impl Handshake {
    /// The bits that we set: extensions (BEP 10) and fast (BEP 6).
    pub const RESERVED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];

    /// Our handshake for a torrent; `v2` says that the torrent has a v2 info-hash, so that a peer
    /// who came by the v1 info-hash of a hybrid torrent may move on to v2 (BEP 52).
    pub fn new(info_hash: Sha1Digest, peer_id: PeerId, v2: bool) -> Self {
        let mut reserved = Self::RESERVED;
        if v2 {
            reserved[7] |= 0x10;
        }
        Handshake { info_hash, peer_id, reserved }
    }

    /// The same, from somebody who has a DHT node (BEP 5) or has not.
    pub fn with_dht(mut self, dht: bool) -> Self {
        self.reserved[7] = self.reserved[7] & !0x01 | u8::from(dht);
        self
    }

    /// Whether the sender speaks the extension protocol (BEP 10).
    pub fn supports_extensions(&self) -> bool {
        self.reserved[5] & 0x10 != 0
    }

    /// Whether the sender speaks the fast extension (BEP 6).
    pub fn supports_fast(&self) -> bool {
        self.reserved[7] & 0x04 != 0
    }

    /// Whether the sender has a DHT node (BEP 5).
    pub fn supports_dht(&self) -> bool {
        self.reserved[7] & 0x01 != 0
    }

    /// Whether the sender can go on in the v2 protocol (BEP 52).
    pub fn supports_v2(&self) -> bool {
        self.reserved[7] & 0x10 != 0
    }

    /// The bytes to send.
    pub fn encode(&self) -> [u8; HANDSHAKE_LEN] {
        let mut out = [0; HANDSHAKE_LEN];
        out[..20].copy_from_slice(PROTOCOL);
        out[20..28].copy_from_slice(&self.reserved);
        out[28..48].copy_from_slice(&self.info_hash.0);
        out[48..].copy_from_slice(&self.peer_id.0);
        out
    }

    /// Reads the handshake that `buf` starts with; it takes [`HANDSHAKE_LEN`] bytes. `None` while
    /// there are too few of them.
    ///
    /// # Errors
    /// [`WireError::NotBitTorrent`] from the first byte that differs from the protocol's name, so
    /// that a stranger who speaks something else is turned away at once.
    pub fn parse(buf: &[u8]) -> Result<Option<Self>, WireError> {
        let common = buf.iter().zip(PROTOCOL).take_while(|(ours, theirs)| ours == theirs).count();
        if common < buf.len().min(PROTOCOL.len()) {
            return Err(WireError::NotBitTorrent { at: common });
        }
        let Some(frame) = buf.first_chunk::<HANDSHAKE_LEN>() else {
            return Ok(None);
        };
        let mut handshake =
            Handshake { info_hash: Sha1Digest::ZERO, peer_id: PeerId([0; 20]), reserved: [0; 8] };
        handshake.reserved.copy_from_slice(&frame[20..28]);
        handshake.info_hash.0.copy_from_slice(&frame[28..48]);
        handshake.peer_id.0.copy_from_slice(&frame[48..]);
        Ok(Some(handshake))
    }

    /// The info-hash, once the first 48 bytes are there: enough for an incoming connection to be
    /// answered or refused. Some clients keep their peer id back until they have read ours, and a
    /// tracker that only checks reachability never sends one.
    pub fn peek_info_hash(buf: &[u8]) -> Option<Sha1Digest> {
        buf.get(28..48).and_then(Sha1Digest::from_slice)
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshake({} {:?}", self.info_hash, self.peer_id)?;
        for (name, set) in [
            ("extensions", self.supports_extensions()),
            ("fast", self.supports_fast()),
            ("dht", self.supports_dht()),
            ("v2", self.supports_v2()),
        ] {
            if set {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Handshake {
        Handshake::new(Sha1Digest([0xab; 20]), PeerId(*b"-AL0100-abcdefghijkl"), true)
    }

    #[test]
    fn the_bytes_are_those_of_bep_3() {
        let mut expected = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x14".to_vec();
        expected.extend([0xab; 20]);
        expected.extend(b"-AL0100-abcdefghijkl");
        assert_eq!(example().encode().to_vec(), expected);
    }

    #[test]
    fn each_bit_has_one_meaning() {
        let read = |byte: usize, bit: u8| {
            let mut handshake = example();
            handshake.reserved = [0; 8];
            handshake.reserved[byte] = bit;
            (
                handshake.supports_extensions(),
                handshake.supports_fast(),
                handshake.supports_dht(),
                handshake.supports_v2(),
            )
        };
        assert_eq!(read(5, 0x10), (true, false, false, false));
        assert_eq!(read(7, 0x04), (false, true, false, false));
        assert_eq!(read(7, 0x01), (false, false, true, false));
        assert_eq!(read(7, 0x10), (false, false, false, true));
        assert_eq!(read(0, 0xff), (false, false, false, false));
    }

    #[test]
    fn every_prefix_waits_for_more() {
        let bytes = example().encode();
        for len in 0..HANDSHAKE_LEN {
            assert_eq!(Handshake::parse(&bytes[..len]), Ok(None), "{len} bytes");
            let hash = (len >= 48).then_some(example().info_hash);
            assert_eq!(Handshake::peek_info_hash(&bytes[..len]), hash, "{len} bytes");
        }
    }

    #[test]
    fn the_first_wrong_byte_is_enough() {
        assert_eq!(Handshake::parse(b"GET"), Err(WireError::NotBitTorrent { at: 0 }));
        assert_eq!(Handshake::parse(b"\x13Bitz"), Err(WireError::NotBitTorrent { at: 4 }));
        let mut bytes = example().encode();
        bytes[19] ^= 1;
        assert_eq!(Handshake::parse(&bytes), Err(WireError::NotBitTorrent { at: 19 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(hash: [u8; 20], id: [u8; 20], reserved: [u8; 8], after: Vec<u8>) {
            let written = Handshake { info_hash: Sha1Digest(hash), peer_id: PeerId(id), reserved };
            let mut bytes = written.encode().to_vec();
            bytes.extend(after);
            prop_assert_eq!(Handshake::parse(&bytes), Ok(Some(written)));
        }
    }
}
