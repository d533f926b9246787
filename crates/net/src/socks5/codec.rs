//! SOCKS5 on the wire: targets, and the header of datagrams (RFC 1928, sections 4 to 7).

use crate::limits::NAME_BYTES_MAX;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const VERSION: u8 = 5;
pub(super) const PASSWORD_VERSION: u8 = 1;
pub(super) const OPEN: u8 = 0;
pub(super) const BY_PASSWORD: u8 = 2;
pub(super) const CONNECT: u8 = 1;
pub(super) const UDP_ASSOCIATE: u8 = 3;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Whom to reach.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// By address.
    Addr(SocketAddr),
    /// By name, which the proxy looks up: 1 to [`NAME_BYTES_MAX`] bytes; and port.
    Name(String, u16),
}

impl Target {
    /// An address or a name; `None` if it can be neither.
    pub fn parse(host: &str, port: u16) -> Option<Self> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Target::Addr(SocketAddr::new(ip, port)));
        }
        let fits = (1..=NAME_BYTES_MAX).contains(&host.len());
        let is_name = fits && host.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then(|| Target::Name(host.to_owned(), port))
    }

    /// Kind, address and port.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let port = match self {
            Target::Addr(addr) => {
                match addr.ip() {
                    IpAddr::V4(ip) => {
                        to.push(IPV4);
                        to.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        to.push(IPV6);
                        to.extend(ip.octets());
                    }
                }
                addr.port()
            }
            Target::Name(name, port) => {
                to.push(NAME);
                let name = name.as_bytes().get(..NAME_BYTES_MAX).unwrap_or(name.as_bytes());
                // At most 253.
                to.push(name.len() as u8);
                to.extend(name);
                *port
            }
        };
        to.extend(port.to_be_bytes());
    }

    /// Kind, address and port from the start of `bytes`, and what is left.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, rest) = bytes.split_first()?;
        let port = |rest: &[u8]| rest.first_chunk().map(|port| u16::from_be_bytes(*port));
        match *kind {
            IPV4 => {
                let (ip, rest) = rest.split_first_chunk::<4>()?;
                let addr = SocketAddr::new(Ipv4Addr::from(*ip).into(), port(rest)?);
                Some((Target::Addr(addr), rest.get(2..)?))
            }
            IPV6 => {
                let (ip, rest) = rest.split_first_chunk::<16>()?;
                let addr = SocketAddr::new(Ipv6Addr::from(*ip).into(), port(rest)?);
                Some((Target::Addr(addr), rest.get(2..)?))
            }
            NAME => {
                let (len, rest) = rest.split_first()?;
                let name = rest.get(..usize::from(*len))?;
                let rest = rest.get(usize::from(*len)..)?;
                let name = str::from_utf8(name).ok()?;
                Some((Target::parse(name, port(rest)?)?, rest.get(2..)?))
            }
            _ => None,
        }
    }
}

/// How many bytes follow the first one of an address of this kind, the port included.
pub(super) fn rest_of_address(kind: u8, first: u8) -> Option<usize> {
    match kind {
        IPV4 => Some(4 - 1 + 2),
        IPV6 => Some(16 - 1 + 2),
        NAME => Some(usize::from(first) + 2),
        _ => None,
    }
}

/// A datagram for `target`, as the proxy wants it.
pub fn datagram(target: &Target, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0, 0, 0];
    target.write(&mut datagram);
    datagram.extend(payload);
    datagram
}

/// Who sent a datagram that came from the proxy, and what. `None` if it is none, or a fragment:
/// nobody sends those.
pub fn read_datagram(datagram: &[u8]) -> Option<(Target, &[u8])> {
    let [_, _, 0, rest @ ..] = datagram else { return None };
    Target::read(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_datagram_as_the_rfc_draws_it() {
        let target = Target::Addr("192.0.2.1:6969".parse().expect("an address"));
        let datagram = datagram(&target, b"hi");
        assert_eq!(datagram, b"\0\0\0\x01\xc0\x00\x02\x01\x1b\x39hi");
        assert_eq!(read_datagram(&datagram), Some((target, b"hi".as_slice())));
        assert_eq!(read_datagram(b"\0\0\x01\x01\xc0\x00\x02\x01\x1b\x39hi"), None);
    }

    #[test]
    fn a_name_that_is_an_address_is_one() {
        assert_eq!(
            Target::parse("::1", 1),
            Some(Target::Addr("[::1]:1".parse().expect("an address")))
        );
        assert_eq!(Target::parse("", 1), None);
        assert_eq!(Target::parse("a b", 1), None);
        assert_eq!(Target::parse(&"a".repeat(254), 1), None);
    }

    proptest! {
        #[test]
        fn datagrams_come_back(v6: bool, ip: u128, name in "[a-z][a-z.]{0,252}", named: bool, port: u16, payload: Vec<u8>) {
            let ip = if v6 { IpAddr::from(ip.to_be_bytes()) } else { IpAddr::from((ip as u32).to_be_bytes()) };
            let target = if named { Target::Name(name, port) } else { Target::Addr(SocketAddr::new(ip, port)) };
            let datagram = datagram(&target, &payload);
            prop_assert_eq!(read_datagram(&datagram), Some((target, payload.as_slice())));
        }
    }
}
