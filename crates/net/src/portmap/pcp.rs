//! The packets of NAT-PMP (RFC 6886) and of its successor PCP (RFC 6887), which share a port and
//! know each other by their first byte.

use super::Protocol;
use crate::limits::PCP_BYTES_MAX;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The port that gateways listen on (RFC 6886, RFC 6887).
pub const PORT: u16 = 5351;

const NAT_PMP: u8 = 0;
const PCP: u8 = 2;
const ANSWER: u8 = 0x80;
const EXTERNAL_ADDRESS: u8 = 0;
const MAP: u8 = 1;

/// The result that says that the gateway speaks an older version (in both protocols).
pub(super) const UNSUPPORTED_VERSION: u16 = 1;

/// A mapping, as it is asked for and as it is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Map {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port on this machine.
    pub internal: u16,
    /// The port on the gateway: the one that is hoped for, or the one that was granted.
    pub external: u16,
    /// For how long, in seconds; 0 gives it up.
    pub lifetime_s: u32,
}

/// What a gateway says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// NAT-PMP: its address on the other side.
    External {
        /// The address.
        ip: Ipv4Addr,
        /// Seconds since it lost its mappings.
        epoch_s: u32,
    },
    /// NAT-PMP: a mapping is granted.
    Mapped {
        /// Which.
        map: Map,
        /// Seconds since it lost its mappings.
        epoch_s: u32,
    },
    /// PCP: a mapping is granted.
    PcpMapped {
        /// Which.
        map: Map,
        /// The gateway's address on the other side.
        ip: Ipv4Addr,
        /// Seconds since it lost its mappings.
        epoch_s: u32,
        /// What the request had, so that nobody else can answer.
        nonce: [u8; 12],
    },
    /// It refuses.
    Refused {
        /// Whether by PCP.
        pcp: bool,
        /// The result code; its meaning depends on the protocol.
        code: u16,
    },
}

/// Asks by NAT-PMP for the address on the other side.
pub fn external_request() -> Vec<u8> {
    vec![NAT_PMP, EXTERNAL_ADDRESS]
}

/// Asks by NAT-PMP for a mapping.
pub fn map_request(map: &Map) -> Vec<u8> {
    let operation = match map.protocol {
        Protocol::Udp => 1,
        Protocol::Tcp => 2,
    };
    let mut packet = vec![NAT_PMP, operation, 0, 0];
    packet.extend(map.internal.to_be_bytes());
    packet.extend(map.external.to_be_bytes());
    packet.extend(map.lifetime_s.to_be_bytes());
    packet
}

/// Asks by PCP for a mapping to `client`, this machine's address.
pub fn pcp_request(map: &Map, client: Ipv4Addr, nonce: [u8; 12]) -> Vec<u8> {
    let mut packet = vec![PCP, MAP, 0, 0];
    packet.extend(map.lifetime_s.to_be_bytes());
    packet.extend(client.to_ipv6_mapped().octets());
    packet.extend(nonce);
    packet.push(map.protocol.number());
    packet.extend([0; 3]);
    packet.extend(map.internal.to_be_bytes());
    packet.extend(map.external.to_be_bytes());
    // Any address on the other side.
    packet.extend(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    packet
}

/// Reads what a gateway says; `None` if it is nothing that was asked for.
pub fn read(packet: &[u8]) -> Option<Answer> {
    if packet.len() > PCP_BYTES_MAX {
        return None;
    }
    match packet {
        [NAT_PMP, operation, rest @ ..] if operation & ANSWER != 0 => {
            nat_pmp(operation & !ANSWER, rest)
        }
        [PCP, operation, _, code, rest @ ..] if operation & ANSWER != 0 => {
            if *code != 0 {
                return Some(Answer::Refused { pcp: true, code: (*code).into() });
            }
            (operation & !ANSWER == MAP).then(|| pcp_mapped(rest)).flatten()
        }
        // Another version: what it can is in the first byte, and that is not ours.
        [_, operation, _, code, ..] if operation & ANSWER != 0 && *code != 0 => {
            Some(Answer::Refused { pcp: true, code: (*code).into() })
        }
        _ => None,
    }
}

fn nat_pmp(operation: u8, rest: &[u8]) -> Option<Answer> {
    let (code, rest) = u16_of(rest)?;
    if code != 0 {
        return Some(Answer::Refused { pcp: false, code });
    }
    let (epoch_s, rest) = u32_of(rest)?;
    let protocol = match operation {
        EXTERNAL_ADDRESS => {
            let ip = Ipv4Addr::from_bits(u32_of(rest)?.0);
            return Some(Answer::External { ip, epoch_s });
        }
        1 => Protocol::Udp,
        2 => Protocol::Tcp,
        _ => return None,
    };
    let (internal, rest) = u16_of(rest)?;
    let (external, rest) = u16_of(rest)?;
    let (lifetime_s, _) = u32_of(rest)?;
    Some(Answer::Mapped { map: Map { protocol, internal, external, lifetime_s }, epoch_s })
}

fn pcp_mapped(rest: &[u8]) -> Option<Answer> {
    let (lifetime_s, rest) = u32_of(rest)?;
    let (epoch_s, rest) = u32_of(rest)?;
    let (nonce, rest) = rest.get(12..)?.split_first_chunk::<12>()?;
    let protocol = Protocol::of_number(*rest.first()?)?;
    let (internal, rest) = u16_of(rest.get(4..)?)?;
    let (external, rest) = u16_of(rest)?;
    let ip = Ipv6Addr::from(*rest.first_chunk::<16>()?).to_ipv4_mapped()?;
    let map = Map { protocol, internal, external, lifetime_s };
    Some(Answer::PcpMapped { map, ip, epoch_s, nonce: *nonce })
}

fn u16_of(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*first), rest))
}

fn u32_of(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*first), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: Map =
        Map { protocol: Protocol::Tcp, internal: 7716, external: 7716, lifetime_s: 3600 };

    #[test]
    fn requests_as_the_rfcs_draw_them() {
        assert_eq!(external_request(), [0, 0]);
        assert_eq!(map_request(&MAPPING), [0, 2, 0, 0, 30, 36, 30, 36, 0, 0, 14, 16]);
        let request = pcp_request(&MAPPING, Ipv4Addr::new(192, 168, 1, 9), [7; 12]);
        assert_eq!(request.len(), 60);
        assert_eq!(request[..8], [2, 1, 0, 0, 0, 0, 14, 16]);
        assert_eq!(request[18..24], [255, 255, 192, 168, 1, 9]);
        assert_eq!(request[24..40], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 0, 0, 0]);
        assert_eq!(request[40..44], [30, 36, 30, 36]);
    }

    #[test]
    fn answers_are_read() {
        let external = [0, 128, 0, 0, 0, 0, 0, 5, 203, 0, 113, 7];
        let ip = Ipv4Addr::new(203, 0, 113, 7);
        assert_eq!(read(&external), Some(Answer::External { ip, epoch_s: 5 }));
        let mapped = [0, 130, 0, 0, 0, 0, 0, 5, 30, 36, 30, 37, 0, 0, 14, 16];
        let map = Map { external: 7717, ..MAPPING };
        assert_eq!(read(&mapped), Some(Answer::Mapped { map, epoch_s: 5 }));
        assert_eq!(
            read(&[0, 130, 0, 2, 0, 0, 0, 5]),
            Some(Answer::Refused { pcp: false, code: 2 })
        );
        assert_eq!(read(&[0, 2, 0, 0, 30, 36]), None, "a request is no answer");
        let mut pcp = pcp_request(&MAPPING, ip, [7; 12]);
        pcp[1] = 129;
        pcp[8..12].copy_from_slice(&[0, 0, 0, 9]);
        pcp[44..].copy_from_slice(&ip.to_ipv6_mapped().octets());
        let answer = Answer::PcpMapped { map: MAPPING, ip, epoch_s: 9, nonce: [7; 12] };
        assert_eq!(read(&pcp), Some(answer));
        // What a gateway of NAT-PMP says to PCP.
        assert_eq!(
            read(&[0, 129, 0, 1, 0, 0, 0, 5]),
            Some(Answer::Refused { pcp: false, code: 1 })
        );
        for cut in 0..pcp.len() {
            assert_eq!(read(&pcp[..cut]), None, "{cut}");
        }
    }
}
