//! Reading lists of addresses. They are collected by many hands over many years, so whatever is no
//! range is skipped; names are in any encoding.

use super::IpFilter;
use crate::limits::RANGES_MAX;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What was found in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Lines with a range that is to be kept out.
    pub ranges: usize,
    /// Lines with a range that is allowed (eMule's levels above 127).
    pub allowed: usize,
    /// Lines that make no sense; empty lines and comments are not counted.
    pub skipped: usize,
    /// The first of them, from 1.
    pub first_skipped: Option<usize>,
}

/// eMule keeps out what has at most this level.
const LEVEL_MAX: u32 = 127;

enum Line {
    Range(IpAddr, IpAddr),
    Allowed,
    Nothing,
    Nonsense,
}

pub(super) fn parse(list: &[u8]) -> (IpFilter, Report) {
    let mut report = Report::default();
    let mut ranges = Vec::new();
    let list = list.strip_prefix(b"\xef\xbb\xbf").unwrap_or(list);
    for (at, line) in list.split(|byte| *byte == b'\n').enumerate() {
        match read(line.trim_ascii()) {
            Line::Range(first, last) if ranges.len() < RANGES_MAX => {
                report.ranges += 1;
                ranges.push((first, last));
            }
            Line::Allowed => report.allowed += 1,
            Line::Nothing => {}
            Line::Range(..) | Line::Nonsense => {
                report.skipped += 1;
                report.first_skipped.get_or_insert(at + 1);
            }
        }
    }
    (IpFilter::new(ranges), report)
}

fn read(line: &[u8]) -> Line {
    if line.is_empty()
        || line.starts_with(b"#")
        || line.starts_with(b";")
        || line.starts_with(b"//")
    {
        return Line::Nothing;
    }
    if let Some(line) = emule(line) {
        return line;
    }
    if let Some((first, last)) = plain(line) {
        return Line::Range(first, last);
    }
    // PeerGuardian's: the name may have colons, and so may the addresses.
    for (at, _) in line.iter().enumerate().filter(|(_, byte)| **byte == b':').take(COLONS_MAX) {
        if let Some((first, last)) = line.get(at + 1..).and_then(plain) {
            return Line::Range(first, last);
        }
    }
    Line::Nonsense
}

/// Colons of a line after which a range is looked for: a name's and both addresses'.
const COLONS_MAX: usize = 32;

/// `first - last , level , name`.
fn emule(line: &[u8]) -> Option<Line> {
    let mut fields = line.splitn(3, |byte| *byte == b',');
    let (first, last) = range(fields.next()?)?;
    let level: u32 = str::from_utf8(fields.next()?.trim_ascii()).ok()?.parse().ok()?;
    Some(if level > LEVEL_MAX { Line::Allowed } else { Line::Range(first, last) })
}

/// `first-last`, `address/prefix` or an address.
fn plain(text: &[u8]) -> Option<(IpAddr, IpAddr)> {
    range(text).or_else(|| network(text)).or_else(|| {
        let ip = address(text)?;
        Some((ip, ip))
    })
}

fn range(text: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let at = text.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (address(text.get(..at)?)?, address(text.get(at + 1..)?)?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last))
}

fn network(text: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let at = text.iter().position(|byte| *byte == b'/')?;
    let prefix: u32 = str::from_utf8(text.get(at + 1..)?.trim_ascii()).ok()?.parse().ok()?;
    match address(text.get(..at)?)? {
        IpAddr::V4(ip) if prefix <= 32 => {
            let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let first = ip.to_bits() & !hosts;
            Some((Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | hosts).into()))
        }
        IpAddr::V6(ip) if prefix <= 128 => {
            let hosts = u128::MAX.checked_shr(prefix).unwrap_or(0);
            let first = ip.to_bits() & !hosts;
            Some((Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | hosts).into()))
        }
        _ => None,
    }
}

/// An address; of IPv4's numbers, zeros may go before them, as eMule writes them.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = text.trim_ascii();
    if text.contains(&b':') {
        return str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let mut octets = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let part = parts.next()?;
        if !(1..=3).contains(&part.len()) {
            return None;
        }
        let mut value = 0u16;
        for digit in part {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u16::from(digit - b'0');
        }
        *octet = u8::try_from(value).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[u8], blocked: &[&str], free: &[&str], report: Report) {
        let (filter, found) = IpFilter::parse(list);
        assert_eq!(found, report);
        for ip in blocked {
            assert!(filter.blocks(ip.parse().expect("an address")), "{ip} is let through");
        }
        for ip in free {
            assert!(!filter.blocks(ip.parse().expect("an address")), "{ip} is kept out");
        }
    }

    #[test]
    fn peer_guardian_lists() {
        let list = b"# a comment\r\nBogon: of all kinds:1.2.3.0-1.2.3.255\r\nCaf\xe9 - Ltd:5.6.7.8-5.6.7.8\n\
            Six:2001:db8::-2001:db8::ff\n\nno range at all\nbackwards:9.9.9.9-9.9.9.1\n";
        let report = Report { ranges: 3, allowed: 0, skipped: 2, first_skipped: Some(6) };
        let blocked = ["1.2.3.4", "5.6.7.8", "2001:db8::7"];
        check(list, &blocked, &["1.2.4.0", "5.6.7.9", "2001:db8::100", "9.9.9.5"], report);
    }

    #[test]
    fn emule_lists_with_levels() {
        let list = b"001.002.003.000 - 001.002.003.255 , 000 , Somebody, and Co\n\
            010.000.000.000-010.000.000.255,127,On the edge\n\
            20.0.0.0 - 20.0.0.255 , 128 , Allowed\n\
            300.0.0.0 - 300.0.0.1 , 0 , nonsense\n";
        let report = Report { ranges: 2, allowed: 1, skipped: 1, first_skipped: Some(4) };
        check(list, &["1.2.3.7", "10.0.0.255"], &["20.0.0.7", "10.0.1.0"], report);
    }

    #[test]
    fn networks_ranges_and_single_addresses() {
        let list = b"\xef\xbb\xbf10.1.2.3/8\n2001:db8::/32\n 7.7.7.7 \n8.0.0.0-8.0.0.3\n0.0.0.0/33\n::/0\n// end";
        let report = Report { ranges: 5, allowed: 0, skipped: 1, first_skipped: Some(5) };
        let blocked = ["10.255.0.0", "2001:db8:ffff::1", "7.7.7.7", "8.0.0.3", "::", "ff00::1"];
        check(list, &blocked, &["11.0.0.0", "7.7.7.8", "8.0.0.4"], report);
    }

    #[test]
    fn a_large_list_is_read_in_full() {
        use std::fmt::Write as _;
        let mut list = String::new();
        // Every other /24 of a fifth of the address space: none touches another.
        for number in 0..300_000u32 {
            let [a, b, c, _] = ((number * 2) << 8).to_be_bytes();
            writeln!(list, "Company {number}:{a}.{b}.{c}.0-{a}.{b}.{c}.255").expect("a string");
        }
        let (filter, report) = IpFilter::parse(list.as_bytes());
        assert_eq!((filter.len(), report.ranges, report.skipped), (300_000, 300_000, 0));
        assert!(filter.blocks("0.0.2.9".parse().expect("an address")));
        assert!(!filter.blocks("0.0.1.9".parse().expect("an address")));
    }
}
