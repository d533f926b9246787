//! `ut_holepunch`, by which two peers behind address translation are told by a third, to which both are
//! connected, to call each other at the same time (BEP 55).

use bytes::{BufMut as _, Bytes, BytesMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Name of the extension (BEP 55).
pub const UT_HOLEPUNCH: &[u8] = b"ut_holepunch";

/// The payload of an extended message of `ut_holepunch`. IPv4 addresses never come in IPv6's clothes.
/// The address may be one that nobody can have: whoever relays says so then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolepunchMessage {
    /// To a peer between: let the one at this address and me call each other.
    Rendezvous(SocketAddr),
    /// From a peer between: call this address now, over uTP; it calls you.
    Connect(SocketAddr),
    /// From a peer between: what was asked for cannot be done.
    Error {
        /// The address that was asked for.
        addr: SocketAddr,
        /// Why.
        why: HolepunchRefusal,
    },
}

/// Why a peer does not bring two others together (BEP 55).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolepunchRefusal {
    /// Nobody can be at the address.
    NoSuchPeer,
    /// It is not connected to whoever is there.
    NotConnected,
    /// Whoever is there does not know the extension.
    NoSupport,
    /// The address is its own.
    NoSelf,
    /// A number that BEP 55 does not have.
    Other(u32),
}

impl HolepunchRefusal {
    fn code(self) -> u32 {
        match self {
            HolepunchRefusal::NoSuchPeer => 1,
            HolepunchRefusal::NotConnected => 2,
            HolepunchRefusal::NoSupport => 3,
            HolepunchRefusal::NoSelf => 4,
            HolepunchRefusal::Other(code) => code,
        }
    }

    fn of_code(code: u32) -> Self {
        match code {
            1 => HolepunchRefusal::NoSuchPeer,
            2 => HolepunchRefusal::NotConnected,
            3 => HolepunchRefusal::NoSupport,
            4 => HolepunchRefusal::NoSelf,
            code => HolepunchRefusal::Other(code),
        }
    }
}

/// A payload of `ut_holepunch` that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HolepunchError {
    /// Neither of the two lengths of an address.
    #[error("a hole-punch message ends in its middle, after {len} bytes")]
    Short {
        /// Its length in bytes.
        len: usize,
    },
    /// Neither 0 (IPv4) nor 1 (IPv6).
    #[error("a hole-punch message has an address of the unknown kind {kind}")]
    AddressKind {
        /// What it says.
        kind: u8,
    },
    /// None of the three messages.
    #[error("a hole-punch message is of the unknown kind {kind}")]
    MessageKind {
        /// What it says.
        kind: u8,
    },
}

const RENDEZVOUS: u8 = 0;
const CONNECT: u8 = 1;
const ERROR: u8 = 2;
const V4: u8 = 0;
const V6: u8 = 1;

impl HolepunchMessage {
    /// The address that it is about.
    pub fn addr(&self) -> SocketAddr {
        match self {
            HolepunchMessage::Rendezvous(addr)
            | HolepunchMessage::Connect(addr)
            | HolepunchMessage::Error { addr, .. } => *addr,
        }
    }

    /// Reads an extended message's payload. The error's number may be missing where it is none, as
    /// libtorrent leaves it out, and what follows is not looked at.
    ///
    /// # Errors
    /// If it is too short, or of a kind that BEP 55 does not have.
    pub fn parse(payload: &[u8]) -> Result<Self, HolepunchError> {
        let short = HolepunchError::Short { len: payload.len() };
        let [kind, family, rest @ ..] = payload else { return Err(short) };
        let (ip, rest) = match *family {
            V4 => {
                let (ip, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
                (IpAddr::from(*ip), rest)
            }
            V6 => {
                let (ip, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
                (Ipv6Addr::from(*ip).to_canonical(), rest)
            }
            kind => return Err(HolepunchError::AddressKind { kind }),
        };
        let (port, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let addr = SocketAddr::new(ip, u16::from_be_bytes(*port));
        match *kind {
            RENDEZVOUS => Ok(HolepunchMessage::Rendezvous(addr)),
            CONNECT => Ok(HolepunchMessage::Connect(addr)),
            ERROR => {
                let (code, _) = rest.split_first_chunk::<4>().ok_or(short)?;
                let why = HolepunchRefusal::of_code(u32::from_be_bytes(*code));
                Ok(HolepunchMessage::Error { addr, why })
            }
            kind => Err(HolepunchError::MessageKind { kind }),
        }
    }

    /// The extended message's payload.
    pub fn encode(self) -> Bytes {
        let (kind, code) = match self {
            HolepunchMessage::Rendezvous(_) => (RENDEZVOUS, 0),
            HolepunchMessage::Connect(_) => (CONNECT, 0),
            HolepunchMessage::Error { why, .. } => (ERROR, why.code()),
        };
        let mut out = BytesMut::with_capacity(24);
        out.put_u8(kind);
        match self.addr().ip().to_canonical() {
            IpAddr::V4(ip) => {
                out.put_u8(V4);
                out.put_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.put_u8(V6);
                out.put_slice(&ip.octets());
            }
        }
        out.put_u16(self.addr().port());
        out.put_u32(code);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_layout_of_bep_55() {
        let check = |message: HolepunchMessage, bytes: &[u8]| {
            assert_eq!(message.encode(), bytes);
            assert_eq!(HolepunchMessage::parse(bytes), Ok(message));
        };
        let v4 = addr("1.2.3.4:6881");
        check(HolepunchMessage::Rendezvous(v4), b"\0\0\x01\x02\x03\x04\x1a\xe1\0\0\0\0");
        let v6 = addr("[2001:db8::1]:80");
        check(
            HolepunchMessage::Connect(v6),
            b"\x01\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50\0\0\0\0",
        );
        for (code, why) in [
            (1, HolepunchRefusal::NoSuchPeer),
            (2, HolepunchRefusal::NotConnected),
            (3, HolepunchRefusal::NoSupport),
            (4, HolepunchRefusal::NoSelf),
            (9, HolepunchRefusal::Other(9)),
        ] {
            let bytes = [b"\x02\0\x01\x02\x03\x04\x1a\xe1\0\0\0".as_slice(), &[code]].concat();
            check(HolepunchMessage::Error { addr: v4, why }, &bytes);
        }
    }

    #[test]
    fn what_libtorrent_leaves_out_is_not_missed() {
        let parse = HolepunchMessage::parse;
        let v4 = addr("1.2.3.4:6881");
        let bytes = b"\x01\0\x01\x02\x03\x04\x1a\xe1";
        assert_eq!(parse(bytes), Ok(HolepunchMessage::Connect(v4)));
        assert_eq!(parse(b"\x02\0\x01\x02\x03\x04\x1a\xe1"), Err(HolepunchError::Short { len: 8 }));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), Err(HolepunchError::Short { len }));
        }
        assert_eq!(
            parse(b"\x03\0\x01\x02\x03\x04\x1a\xe1"),
            Err(HolepunchError::MessageKind { kind: 3 })
        );
        assert_eq!(
            parse(b"\0\x02\x01\x02\x03\x04\x1a\xe1"),
            Err(HolepunchError::AddressKind { kind: 2 })
        );
        let mapped = b"\x01\x01\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\x1a\xe1\0\0\0\0";
        assert_eq!(parse(mapped), Ok(HolepunchMessage::Connect(v4)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ip in any::<IpAddr>().prop_map(|ip| ip.to_canonical()),
            port: u16,
            kind in 0..3,
            code: u32,
        ) {
            let addr = SocketAddr::new(ip, port);
            let message = match kind {
                0 => HolepunchMessage::Rendezvous(addr),
                1 => HolepunchMessage::Connect(addr),
                _ => HolepunchMessage::Error { addr, why: HolepunchRefusal::of_code(code) },
            };
            prop_assert_eq!(HolepunchMessage::parse(&message.encode()), Ok(message));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(message) = HolepunchMessage::parse(&bytes) {
                prop_assert_eq!(HolepunchMessage::parse(&message.encode()), Ok(message));
            }
        }
    }
}
