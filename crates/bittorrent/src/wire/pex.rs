//! Messages of peer exchange, by which peers name whom they are connected to (BEP 11).
//!
//! Each message is a difference: who has come since the last one, and who has gone. Lists are cut
//! off at a bound, lengths that are no multiple of an address lose what is over, and addresses that
//! nobody can have are left out; only text that is not a bencoded dictionary is refused.

use super::limits::PEX_CONTACTS_READ_MAX;
use althing_base::bencode::{self, Dict, Document, Encoder, Limits};
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Name of the extension by which peers name others (BEP 11).
pub const UT_PEX: &[u8] = b"ut_pex";

/// Bytes of an IPv4 address and a port.
const V4_LEN: usize = 6;
/// Bytes of an IPv6 address and a port.
const V6_LEN: usize = 18;

/// What is said of a peer (BEP 11's `added.f`). Bits that are not known are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// It prefers encrypted connections.
    pub const PREFERS_ENCRYPTION: PexFlags = PexFlags(0x01);
    /// It wants nothing more.
    pub const SEED: PexFlags = PexFlags(0x02);
    /// It can be reached by uTP.
    pub const UTP: PexFlags = PexFlags(0x04);
    /// It knows the hole-punch extension.
    pub const HOLEPUNCH: PexFlags = PexFlags(0x08);
    /// The sender opened the connection to it: it can be called.
    pub const OUTGOING: PexFlags = PexFlags(0x10);

    /// Whether all bits of `flag` are set.
    pub fn has(self, flag: PexFlags) -> bool {
        self.0 & flag.0 == flag.0
    }

    /// The same with `flag`, if `set`.
    #[must_use]
    pub fn with(self, flag: PexFlags, set: bool) -> PexFlags {
        if set { PexFlags(self.0 | flag.0) } else { self }
    }
}

/// A peer that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PexPeer {
    /// Where it listens; an IPv4 address never comes in IPv6's clothes.
    pub addr: SocketAddr,
    /// What is said of it.
    pub flags: PexFlags,
}

/// The payload of an extended message of `ut_pex`. Of each list at most
/// [`PEX_CONTACTS_READ_MAX`] entries are read, both address families together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PexMessage {
    /// Who has come: `added` and `added6`.
    pub added: Vec<PexPeer>,
    /// Who has gone: `dropped` and `dropped6`.
    pub dropped: Vec<SocketAddr>,
}

impl PexMessage {
    /// Reads an extended message's payload.
    ///
    /// # Errors
    /// If it does not start with bencode.
    pub fn parse(payload: &[u8]) -> Result<Self, bencode::Error> {
        let (document, _) = Document::parse_prefix(payload, &Limits::MESSAGE)?;
        let Some(dict) = document.root().as_dict() else { return Ok(Self::default()) };
        let mut message = PexMessage::default();
        let flags_v4 = dict.bytes(b"added.f").unwrap_or_default();
        let flags_v6 = dict.bytes(b"added6.f").unwrap_or_default();
        let v4 = contacts(dict, b"added", V4_LEN, flags_v4);
        let v6 = contacts(dict, b"added6", V6_LEN, flags_v6);
        message.added.extend(v4.chain(v6).take(PEX_CONTACTS_READ_MAX));
        let v4 = contacts(dict, b"dropped", V4_LEN, &[]);
        let v6 = contacts(dict, b"dropped6", V6_LEN, &[]);
        message.dropped.extend(v4.chain(v6).map(|peer| peer.addr).take(PEX_CONTACTS_READ_MAX));
        Ok(message)
    }

    /// The extended message's payload. Keys of empty lists are left out, but for the three that
    /// older clients look for.
    pub fn encode(&self) -> Bytes {
        let added = |v4: bool| self.added.iter().filter(move |peer| peer.addr.is_ipv4() == v4);
        let addrs = |v4: bool| -> Vec<u8> { added(v4).flat_map(|p| compact(p.addr)).collect() };
        let flags = |v4: bool| -> Vec<u8> { added(v4).map(|peer| peer.flags.0).collect() };
        let dropped = |v4: bool| -> Vec<u8> {
            let gone = self.dropped.iter().filter(|addr| addr.is_ipv4() == v4);
            gone.flat_map(|addr| compact(*addr)).collect()
        };
        let mut out = Encoder::new();
        out.dict(|out| {
            out.key(b"added").bytes(&addrs(true));
            out.key(b"added.f").bytes(&flags(true));
            if added(false).next().is_some() {
                out.key(b"added6").bytes(&addrs(false));
                out.key(b"added6.f").bytes(&flags(false));
            }
            out.key(b"dropped").bytes(&dropped(true));
            let dropped6 = dropped(false);
            if !dropped6.is_empty() {
                out.key(b"dropped6").bytes(&dropped6);
            }
        });
        out.finish().into()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }
}

/// The addresses under `key` with what is said of each; what is not said is no flags.
fn contacts<'d>(
    dict: Dict<'d>,
    key: &[u8],
    len: usize,
    flags: &'d [u8],
) -> impl Iterator<Item = PexPeer> + use<'d> {
    let bytes = dict.bytes(key).unwrap_or_default();
    bytes.chunks_exact(len).enumerate().filter_map(move |(at, chunk)| {
        let (ip, port) = chunk.split_last_chunk::<2>()?;
        let ip = match (<[u8; 4]>::try_from(ip), <[u8; 16]>::try_from(ip)) {
            (Ok(v4), _) => IpAddr::V4(Ipv4Addr::from(v4)),
            (_, Ok(v6)) => IpAddr::V6(Ipv6Addr::from(v6)).to_canonical(),
            _ => return None,
        };
        let port = u16::from_be_bytes(*port);
        let flags = PexFlags(flags.get(at).copied().unwrap_or_default());
        let possible = port != 0 && !ip.is_unspecified() && !ip.is_multicast();
        possible.then_some(PexPeer { addr: SocketAddr::new(ip, port), flags })
    })
}

fn compact(addr: SocketAddr) -> Vec<u8> {
    let mut bytes = match addr.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend(addr.port().to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn peer(text: &str, flags: u8) -> PexPeer {
        PexPeer { addr: addr(text), flags: PexFlags(flags) }
    }

    #[test]
    fn what_clients_send() {
        // As libtorrent 2.0 and Transmission 3.00 write it.
        let payload =
            b"d5:added12:\x0a\x4d\x00\x02\x1a\xe1\x0a\x4d\x00\x03\xc8\xd57:added.f2:\x12\x02\
            6:added60:8:added6.f0:7:dropped6:\x0a\x4d\x00\x04\x1a\xe18:dropped60:e";
        let message = PexMessage::parse(payload).expect("a dictionary");
        assert_eq!(message.added, [peer("10.77.0.2:6881", 0x12), peer("10.77.0.3:51413", 0x02)]);
        assert!(message.added[0].flags.has(PexFlags::OUTGOING));
        assert!(message.added[0].flags.has(PexFlags::SEED));
        assert!(!message.added[1].flags.has(PexFlags::OUTGOING));
        assert_eq!(message.dropped, [addr("10.77.0.4:6881")]);
    }

    #[test]
    fn each_list_stands_or_falls_alone() {
        let parse = |payload: &[u8]| PexMessage::parse(payload).expect("bencode");
        // Cut short, without flags, with too many flags, of the wrong type, with port 0.
        let odd = parse(b"d5:added7:\x01\x02\x03\x04\x00\x09\x017:droppedi3ee");
        assert_eq!(odd.added, [peer("1.2.3.4:9", 0)]);
        let long = parse(b"d5:added6:\x01\x02\x03\x04\x00\x097:added.f3:\x01\x02\x03e");
        assert_eq!(long.added, [peer("1.2.3.4:9", 1)]);
        assert!(parse(b"d5:added6:\x01\x02\x03\x04\x00\x00e").is_empty());
        assert!(parse(b"le").is_empty() && parse(b"de").is_empty());
        assert!(PexMessage::parse(b"hello").is_err());
        let mapped = b"d6:added618:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\x00\x09e";
        assert_eq!(parse(mapped).added, [peer("1.2.3.4:9", 0)]);
    }

    #[test]
    fn lists_are_cut_off() {
        let many: Vec<u8> =
            (0..1000u16).flat_map(|n| [1, 2, (n >> 8) as u8, n as u8, 0, 9]).collect();
        let mut payload = b"d5:added6000:".to_vec();
        payload.extend(&many);
        payload.extend(b"7:dropped6000:");
        payload.extend(&many);
        payload.push(b'e');
        let message = PexMessage::parse(&payload).expect("bencode");
        assert_eq!(message.added.len(), PEX_CONTACTS_READ_MAX);
        assert_eq!(message.dropped.len(), PEX_CONTACTS_READ_MAX);
    }

    fn any_addr() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), 1..=u16::MAX)
            .prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
            .prop_filter("possible", |a| !a.ip().is_unspecified() && !a.ip().is_multicast())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            added in proptest::collection::vec((any_addr(), any::<u8>()), 0..40),
            dropped in proptest::collection::vec(any_addr(), 0..40),
        ) {
            // The families are written apart.
            let mut added: Vec<PexPeer> =
                added.into_iter().map(|(addr, f)| PexPeer { addr, flags: PexFlags(f) }).collect();
            added.sort_by_key(|peer| peer.addr.is_ipv6());
            let mut dropped = dropped;
            dropped.sort_by_key(SocketAddr::is_ipv6);
            let message = PexMessage { added, dropped };
            prop_assert_eq!(PexMessage::parse(&message.encode()), Ok(message));
        }
    }
}
