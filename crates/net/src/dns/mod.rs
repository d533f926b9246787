//! Just enough of DNS (RFC 1035, RFC 3596) to ask a name server for a host's addresses.
//!
//! There is no cache and no recursion: the server does that. What it says counts only if it repeats
//! the question and its number.

mod packet;

use crate::limits::{ADDRESSES_MAX, ALIASES_MAX, LABEL_BYTES_MAX, NAME_BYTES_MAX, RECORDS_MAX};
use packet::{Reader, Record};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a packet that any server may send over UDP (RFC 1035; longer ones come truncated).
pub const UDP_BYTES_MAX: usize = 512;

/// The port of name servers.
pub const PORT: u16 = 53;

/// Which addresses are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// IPv4.
    A,
    /// IPv6.
    Aaaa,
}

/// A question, as it is sent and as it must come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    id: u16,
    /// Lengths and labels, in lower case, with the empty label at the end.
    name: Vec<u8>,
    kind: Kind,
}

/// Why there is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// No host can be called that.
    #[error("no host can have such a name")]
    BadName,
    /// It is no answer to the question: to be waited past, since anybody may have sent it.
    #[error("it is no answer to the question")]
    Foreign,
    /// Longer than a packet: ask again over TCP.
    #[error("the answer is longer than a packet")]
    Truncated,
    /// There is no such name.
    #[error("there is no host of that name")]
    NoSuchName,
    /// The server did not do it; its code (RFC 1035, section 4.1.1).
    #[error("the name server refused (code {0})")]
    Refused(u8),
    /// Not DNS.
    #[error("the name server's answer makes no sense")]
    Malformed,
}

impl Question {
    /// Asks for the addresses of `host`; `id` is to be a number that strangers cannot guess.
    ///
    /// # Errors
    /// If no host can be called that.
    pub fn new(id: u16, host: &str, kind: Kind) -> Result<Self, DnsError> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() || host.len() > NAME_BYTES_MAX {
            return Err(DnsError::BadName);
        }
        let mut name = Vec::with_capacity(host.len() + 2);
        for label in host.split('.') {
            let fits = (1..=LABEL_BYTES_MAX).contains(&label.len());
            if !fits || !label.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(DnsError::BadName);
            }
            // Both bounds were checked above.
            name.push(label.len() as u8);
            name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        name.push(0);
        Ok(Question { id, name, kind })
    }

    /// The packet to send; over TCP its length goes before it, in two bytes.
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + self.name.len() + 4);
        packet.extend(self.id.to_be_bytes());
        // A standard query, recursion desired; one question and nothing else.
        packet.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
        packet.extend(&self.name);
        packet.extend(self.kind.code().to_be_bytes());
        packet.extend([0, 1]);
        packet
    }

    /// Reads an answer: the addresses, none if the name has none of this kind.
    ///
    /// # Errors
    /// [`DnsError::Foreign`] if it answers something else; else what the server says or did wrong.
    pub fn answer(&self, packet: &[u8]) -> Result<Vec<IpAddr>, DnsError> {
        let mut reader = Reader::new(packet);
        let head = reader.head().ok_or(DnsError::Foreign)?;
        if head.id != self.id || !head.is_answer || head.questions != 1 {
            return Err(DnsError::Foreign);
        }
        let asked = reader.question().ok_or(DnsError::Foreign)?;
        if asked != (self.name.clone(), self.kind.code()) {
            return Err(DnsError::Foreign);
        }
        if head.truncated {
            return Err(DnsError::Truncated);
        }
        match head.code {
            0 => {}
            3 => return Err(DnsError::NoSuchName),
            code => return Err(DnsError::Refused(code)),
        }
        let mut records = Vec::new();
        for _ in 0..usize::from(head.answers).min(RECORDS_MAX) {
            records.push(reader.record().ok_or(DnsError::Malformed)?);
        }
        self.follow(&records)
    }

    /// The addresses of the name, or of what it is an alias of.
    fn follow(&self, records: &[Record]) -> Result<Vec<IpAddr>, DnsError> {
        let mut name = &self.name;
        for _ in 0..=ALIASES_MAX {
            let of_name = |record: &&Record| record.name == *name;
            let found: Vec<IpAddr> = records
                .iter()
                .filter(of_name)
                .filter_map(|record| self.kind.address(record))
                .take(ADDRESSES_MAX)
                .collect();
            let alias = records.iter().filter(of_name).find_map(|record| record.alias.as_ref());
            match alias {
                Some(alias) if found.is_empty() => name = alias,
                _ => return Ok(found),
            }
        }
        Err(DnsError::Malformed)
    }
}

impl Kind {
    /// The type's number (RFC 1035, RFC 3596).
    fn code(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Aaaa => 28,
        }
    }

    fn address(self, record: &Record) -> Option<IpAddr> {
        if record.kind != self.code() {
            return None;
        }
        match self {
            Kind::A => {
                <[u8; 4]>::try_from(record.data.as_slice()).ok().map(Ipv4Addr::from).map(IpAddr::V4)
            }
            Kind::Aaaa => <[u8; 16]>::try_from(record.data.as_slice())
                .ok()
                .map(Ipv6Addr::from)
                .map(IpAddr::V6),
        }
    }
}

/// The name servers of a `resolv.conf`, in its order.
pub fn servers(resolv_conf: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    resolv_conf.lines().filter_map(server).take(SERVERS_MAX).collect()
}

/// Name servers that a system's list may have (glibc's `MAXNS`).
const SERVERS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to A? www.example.com with an alias, as BIND 9 gives it: names are pointers.
    fn answer() -> Vec<u8> {
        let mut packet = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0];
        packet.extend(b"\x03www\x07example\x03com\0\0\x01\0\x01");
        // www.example.com CNAME host.example.com
        packet.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x07\x04host\xc0\x10");
        packet.extend(b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\x00\x02\x01");
        packet.extend(b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\x00\x02\x02");
        packet
    }

    fn question() -> Question {
        Question::new(0x1234, "WWW.example.com.", Kind::A).expect("a name")
    }

    #[test]
    fn aliases_are_followed() {
        let ips: Vec<IpAddr> =
            ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().expect("an ip")).into();
        assert_eq!(question().answer(&answer()), Ok(ips));
        assert_eq!(question().packet()[12..], *b"\x03www\x07example\x03com\0\0\x01\0\x01");
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let other = Question::new(0x1235, "www.example.com", Kind::A).expect("a name");
        assert_eq!(other.answer(&answer()), Err(DnsError::Foreign));
        let other = Question::new(0x1234, "www.example.org", Kind::A).expect("a name");
        assert_eq!(other.answer(&answer()), Err(DnsError::Foreign));
        let other = Question::new(0x1234, "www.example.com", Kind::Aaaa).expect("a name");
        assert_eq!(other.answer(&answer()), Err(DnsError::Foreign));
        assert_eq!(question().answer(&question().packet()), Err(DnsError::Foreign));
    }

    #[test]
    fn codes_and_cuts_are_told_apart() {
        let with = |at: usize, byte: u8| {
            let mut packet = answer();
            packet[at] = byte;
            question().answer(&packet)
        };
        assert_eq!(with(2, 0x83), Err(DnsError::Truncated));
        assert_eq!(with(3, 0x83), Err(DnsError::NoSuchName));
        assert_eq!(with(3, 0x85), Err(DnsError::Refused(5)));
        for cut in 0..answer().len() {
            assert!(question().answer(&answer()[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn pointers_that_go_round_end() {
        let mut packet = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        packet.extend(b"\x03www\x07example\x03com\0\0\x01\0\x01");
        packet.extend(b"\xc0\x21\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x21");
        assert_eq!(question().answer(&packet), Err(DnsError::Malformed));
    }

    #[test]
    fn names_that_no_host_has_are_refused() {
        let long = "a".repeat(64);
        for name in ["", ".", "a..b", "ä.example", "a b", long.as_str()] {
            assert_eq!(Question::new(1, name, Kind::A), Err(DnsError::BadName), "{name}");
        }
    }

    #[test]
    fn the_systems_list_is_read() {
        let text = "# by hand\nsearch example.org\nnameserver 10.64.0.1\nnameserver fd00::1 \nnameserver x\n";
        let ips: Vec<IpAddr> = ["10.64.0.1", "fd00::1"].map(|ip| ip.parse().expect("an ip")).into();
        assert_eq!(servers(text), ips);
    }
}
