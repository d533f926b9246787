//! The packets of BEP 29: a header of 20 bytes, a chain of extensions, a payload.

use super::limits::HEADER_BYTES;
use super::seq::Seq;
use std::ops::Range;

/// Version 1, the only one in use.
const VERSION: u8 = 1;

const EXTENSION_NONE: u8 = 0;
const EXTENSION_SACK: u8 = 1;
/// Eight bytes of flags, none of which has ever meant anything (libutp).
const EXTENSION_BITS: u8 = 2;
const EXTENSION_BITS_LEN: u8 = 8;
/// Ours: nothing, to make a probe larger. Others skip what they do not know, as BEP 29 says. It never
/// comes first: libutp drops packets that begin with an extension it does not know.
const EXTENSION_PADDING: u8 = 0x80;

/// Bytes of the smallest padding that [`Header::write_with_padding`] can write.
pub const PADDING_BYTES_MIN: usize = 2 + EXTENSION_BITS_LEN as usize;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Carries data and has a number.
    Data,
    /// The last number of its sender.
    Fin,
    /// Acknowledges, and has no number: it names the sender's next one.
    State,
    /// The connection is not known to the sender.
    Reset,
    /// Opens a connection.
    Syn,
}

/// The first 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// Which connection.
    pub connection: u16,
    /// The sender's clock in microseconds when it was sent; 0 if the sender has none.
    pub timestamp: u32,
    /// The receiver's clock less the sender's, in microseconds, for the last packet that went the other
    /// way; 0 if there was none.
    pub delay: u32,
    /// How many bytes the sender can take beyond those acknowledged.
    pub window: u32,
    /// The packet's number.
    pub seq: Seq,
    /// The last packet up to which the sender has all.
    pub ack: Seq,
}

/// Which packets beyond the acknowledged have arrived: bit 0 stands for the one two after the last
/// acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sack<'a>(&'a [u8]);

impl<'a> Sack<'a> {
    /// A mask as it stands in a packet.
    pub fn new(mask: &'a [u8]) -> Self {
        Sack(mask)
    }

    /// How far after the acknowledged packet the last one is of which it speaks, plus one.
    pub fn len(&self) -> usize {
        self.0.len() * 8 + 2
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the packet `after` the acknowledged one has arrived.
    pub fn has(&self, after: usize) -> bool {
        let Some(bit) = after.checked_sub(2) else { return false };
        self.0.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
    }
}

/// A packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    /// Which have arrived out of order.
    pub sack: Option<Sack<'a>>,
    /// Where in the datagram the payload lies; empty unless it is [`Kind::Data`] or [`Kind::Fin`].
    pub payload: Range<usize>,
}

/// Why a datagram is not a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is shorter than a header.
    #[error("{0} bytes are no uTP packet: a header has 20")]
    Short(usize),
    /// Its first byte is not of version 1, or of a kind that there is not.
    #[error("the first byte {0:#04x} is of no uTP packet")]
    Kind(u8),
    /// An extension is longer than the datagram.
    #[error("an extension at byte {0} goes past the end")]
    Extension(usize),
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Kind::Data => 0,
            Kind::Fin => 1,
            Kind::State => 2,
            Kind::Reset => 3,
            Kind::Syn => 4,
        }
    }

    fn from_byte(byte: u8) -> Option<Kind> {
        if byte & 0x0f != VERSION {
            return None;
        }
        Some(match byte >> 4 {
            0 => Kind::Data,
            1 => Kind::Fin,
            2 => Kind::State,
            3 => Kind::Reset,
            4 => Kind::Syn,
            _ => return None,
        })
    }
}

/// Whether a datagram that begins with this byte is meant for uTP.
pub fn is_utp(first: u8) -> bool {
    Kind::from_byte(first).is_some()
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, Error> {
        let Some((&bytes, mut rest)) = datagram.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Error::Short(datagram.len()));
        };
        let header = Header::read(&bytes).ok_or(Error::Kind(bytes[0]))?;
        let mut sack = None;
        let mut extension = bytes[1];
        while extension != EXTENSION_NONE {
            let cut = Error::Extension(datagram.len() - rest.len());
            let [next, len, after @ ..] = rest else { return Err(cut) };
            let (content, after) = after.split_at_checked(usize::from(*len)).ok_or(cut)?;
            if extension == EXTENSION_SACK && sack.is_none() && !content.is_empty() {
                sack = Some(Sack(content));
            }
            (extension, rest) = (*next, after);
        }
        let start = match header.kind {
            Kind::Data | Kind::Fin => datagram.len() - rest.len(),
            Kind::State | Kind::Reset | Kind::Syn => datagram.len(),
        };
        Ok(Packet { header, sack, payload: start..datagram.len() })
    }
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let [first, _, c0, c1, t0, t1, t2, t3, d0, d1, d2, d3, w0, w1, w2, w3, s0, s1, a0, a1] =
            *bytes;
        Some(Header {
            kind: Kind::from_byte(first)?,
            connection: u16::from_be_bytes([c0, c1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            delay: u32::from_be_bytes([d0, d1, d2, d3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            seq: Seq(u16::from_be_bytes([s0, s1])),
            ack: Seq(u16::from_be_bytes([a0, a1])),
        })
    }

    fn bytes(&self, extension: u8) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = self.kind.number() << 4 | VERSION;
        bytes[1] = extension;
        bytes[2..4].copy_from_slice(&self.connection.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.delay.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.window.to_be_bytes());
        bytes[16..18].copy_from_slice(&self.seq.0.to_be_bytes());
        bytes[18..20].copy_from_slice(&self.ack.0.to_be_bytes());
        bytes
    }

    /// Writes the header of a packet without extensions; a payload may follow.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes(EXTENSION_NONE));
    }

    /// Writes the header and a selective acknowledgement. The mask is a multiple of four bytes (BEP
    /// 29) and shorter than 256.
    pub fn write_with_sack(&self, mask: &[u8], out: &mut Vec<u8>) {
        debug_assert!(mask.len().is_multiple_of(4) && mask.len() < 256);
        out.extend_from_slice(&self.bytes(EXTENSION_SACK));
        out.extend_from_slice(&[EXTENSION_NONE, mask.len() as u8]);
        out.extend_from_slice(mask);
    }

    /// Writes the header and `padding` bytes that mean nothing; a payload may follow. Padding of fewer
    /// than [`PADDING_BYTES_MIN`] bytes, or of one more than that, cannot be written; the next smaller
    /// that can is, and how much that was is returned.
    pub fn write_with_padding(&self, padding: usize, out: &mut Vec<u8>) -> usize {
        let Some(mut left) = padding.checked_sub(PADDING_BYTES_MIN) else {
            self.write(out);
            return 0;
        };
        let before = out.len() + HEADER_BYTES;
        out.extend_from_slice(&self.bytes(EXTENSION_BITS));
        // Each block's first byte tells the kind of the next.
        let mut len = EXTENSION_BITS_LEN;
        loop {
            let block = match left {
                0 | 1 => 0,
                // No single byte may be left over: a block has two at least.
                258 => 256,
                more => more.min(257),
            };
            left -= block;
            let next = if block == 0 { EXTENSION_NONE } else { EXTENSION_PADDING };
            out.extend_from_slice(&[next, len]);
            out.resize(out.len() + usize::from(len), 0);
            if block == 0 {
                return out.len() - before;
            }
            len = (block - 2) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(kind: Kind) -> Header {
        Header {
            kind,
            connection: 0x1234,
            timestamp: 0x0102_0304,
            delay: 0xfffe_fdfc,
            window: 1 << 20,
            seq: Seq(0xabcd),
            ack: Seq(0x00ff),
        }
    }

    /// The bytes as BEP 29 draws them.
    #[test]
    fn the_layout_is_that_of_the_specification() {
        let mut out = Vec::new();
        header(Kind::State).write_with_sack(&[0b0000_0101, 0, 0, 0x80], &mut out);
        assert_eq!(
            out,
            [
                0x21, 1, 0x12, 0x34, 1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc, 0, 0x10, 0, 0, 0xab, 0xcd,
                0, 0xff, 0, 4, 5, 0, 0, 0x80
            ]
        );
        let packet = Packet::parse(&out).unwrap();
        assert_eq!(packet.header, header(Kind::State));
        let sack = packet.sack.unwrap();
        let there: Vec<_> = (0..100).filter(|after| sack.has(*after)).collect();
        assert_eq!(there, [2, 4, 33]);
        assert!(packet.payload.is_empty());
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let mut syn = Vec::new();
        header(Kind::Syn).write(&mut syn);
        assert_eq!(Packet::parse(&syn[..19]), Err(Error::Short(19)));
        for first in [0x42, 0x51, 0x00, b'd'] {
            let mut other = syn.clone();
            other[0] = first;
            assert_eq!(Packet::parse(&other), Err(Error::Kind(first)));
            assert!(!is_utp(first));
        }
        let mut cut = syn.clone();
        cut[1] = 7;
        assert_eq!(Packet::parse(&cut), Err(Error::Extension(20)));
        cut.extend_from_slice(&[0, 3, 1, 2]);
        assert_eq!(Packet::parse(&cut), Err(Error::Extension(20)));
    }

    proptest! {
        #[test]
        fn padding_is_skipped_and_as_long_as_asked_for(wanted in 0usize..70_000, len in 0usize..50) {
            let mut out = Vec::new();
            let written = header(Kind::Data).write_with_padding(wanted, &mut out);
            prop_assert_eq!(out.len(), HEADER_BYTES + written);
            let expected = match wanted {
                0..=9 => 0,
                10 | 11 => 10,
                more => more,
            };
            prop_assert_eq!(written, expected);
            out.resize(out.len() + len, 9);
            let packet = Packet::parse(&out).unwrap();
            prop_assert_eq!(packet.header, header(Kind::Data));
            prop_assert_eq!(packet.payload, out.len() - len..out.len());
            // Cut off where the payload begins, it is no packet any more: who reads datagrams into
            // a buffer that is too short does not take half of one for the whole.
            for cut in HEADER_BYTES..HEADER_BYTES + written {
                if cut % 97 == 0 {
                    prop_assert!(Packet::parse(&out[..cut]).is_err());
                }
            }
        }

        #[test]
        fn anything_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.end == bytes.len());
                prop_assert!(is_utp(bytes[0]));
            }
        }
    }
}
