//! The announce of BEP 14: a few headers in the form of HTTP.

use super::limits::{HASHES_PER_PACKET_MAX, PACKET_BYTES_MAX};
use crate::tracker::Family;
use althing_base::Sha1Digest;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port of both groups (BEP 14).
pub const PORT: u16 = 6771;

/// The group of IPv4 (BEP 14).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 152, 143);

/// The group of IPv6 (BEP 14).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f);

/// Bytes of a cookie that are compared; a longer one is not ours.
const COOKIE_BYTES_MAX: usize = 32;

/// Where announces of a family go.
pub fn group(family: Family) -> SocketAddr {
    match family {
        Family::V4 => SocketAddr::new(GROUP_V4.into(), PORT),
        Family::V6 => SocketAddr::new(GROUP_V6.into(), PORT),
    }
}

/// Somebody is there who has torrents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// Where it listens.
    pub port: u16,
    /// The info-hashes (of v2 truncated): at least one.
    pub info_hashes: Vec<Sha1Digest>,
    /// By which the sender knows its own announces again; empty if it sent none.
    pub cookie: String,
}

impl Announce {
    /// How many info-hashes fit one packet.
    pub fn hashes_max(family: Family, cookie: &str) -> usize {
        let bare = Announce { port: u16::MAX, info_hashes: Vec::new(), cookie: cookie.to_owned() };
        let room = PACKET_BYTES_MAX.saturating_sub(bare.packet(family).len());
        room / "Infohash: \r\n".len().saturating_add(40)
    }

    /// The packet for the group of a family.
    pub fn packet(&self, family: Family) -> Vec<u8> {
        let mut text =
            format!("BT-SEARCH * HTTP/1.1\r\nHost: {}\r\nPort: {}\r\n", group(family), self.port);
        for hash in &self.info_hashes {
            // Writing to a string does not fail.
            let _ = write!(text, "Infohash: {hash}\r\n");
        }
        if !self.cookie.is_empty() {
            let _ = write!(text, "cookie: {}\r\n", self.cookie);
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }

    /// Reads a packet. `None` if it is no announce; what else its headers say is not looked at.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let text = str::from_utf8(packet.get(..packet.len().min(PACKET_BYTES_MAX))?).ok()?;
        let mut lines = text.split("\r\n");
        // Its version has been 1.1 since the beginning; nobody would know another.
        lines.next()?.strip_prefix("BT-SEARCH * HTTP/1.")?;
        let (mut port, mut info_hashes, mut cookie) = (None, Vec::new(), String::new());
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("port") {
                port = Some(value.parse::<u16>().ok().filter(|port| *port != 0)?);
            } else if name.eq_ignore_ascii_case("infohash") {
                if info_hashes.len() < HASHES_PER_PACKET_MAX {
                    info_hashes.push(value.parse().ok()?);
                }
            } else if name.eq_ignore_ascii_case("cookie") && value.len() <= COOKIE_BYTES_MAX {
                value.clone_into(&mut cookie);
            }
        }
        let port = port?;
        (!info_hashes.is_empty()).then_some(Announce { port, info_hashes, cookie })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> Sha1Digest {
        Sha1Digest([byte; 20])
    }

    #[test]
    fn what_libtorrent_sends_is_understood() {
        // As libtorrent 2.0.8 sends it, without its cookie's value.
        let packet = b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n\
            Infohash: 1111111111111111111111111111111111111111\r\ncookie: 3ade68b1\r\n\r\n\r\n";
        let cookie = "3ade68b1".to_owned();
        let announce = Announce { port: 6881, info_hashes: vec![hash(0x11)], cookie };
        assert_eq!(Announce::parse(packet), Some(announce.clone()));
        assert_eq!(announce.packet(Family::V4), packet);
    }

    #[test]
    fn a_full_packet_fits_and_comes_back() {
        for family in [Family::V4, Family::V6] {
            let max = Announce::hashes_max(family, "0123abcd");
            let info_hashes: Vec<_> = (0..max as u8).map(hash).collect();
            let announce = Announce { port: 65535, info_hashes, cookie: "0123abcd".to_owned() };
            let packet = announce.packet(family);
            assert!(packet.len() <= PACKET_BYTES_MAX && packet.len() + 52 > PACKET_BYTES_MAX);
            assert_eq!(Announce::parse(&packet), Some(announce));
        }
    }

    #[test]
    fn what_is_no_announce_is_none() {
        let lines = |lines: &str| Announce::parse(lines.replace('\n', "\r\n").as_bytes());
        let hash = "Infohash: 1111111111111111111111111111111111111111\n";
        assert!(lines(&format!("BT-SEARCH * HTTP/1.1\nport:1\nX: y\n{hash}\n\n")).is_some());
        for wrong in [
            "M-SEARCH * HTTP/1.1\nPort: 1\n".to_owned() + hash,
            "BT-SEARCH * HTTP/1.1\nPort: 0\n".to_owned() + hash,
            "BT-SEARCH * HTTP/1.1\nPort: 70000\n".to_owned() + hash,
            "BT-SEARCH * HTTP/1.1\n".to_owned() + hash,
            "BT-SEARCH * HTTP/1.1\nPort: 1\n\n".to_owned() + hash,
            "BT-SEARCH * HTTP/1.1\nPort: 1\nInfohash: 11\n".to_owned(),
        ] {
            assert_eq!(lines(&wrong), None, "{wrong}");
        }
    }
}
