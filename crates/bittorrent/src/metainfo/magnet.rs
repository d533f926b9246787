//! Magnet links: a torrent's name on the network and where to ask for the rest (BEP 9), which files
//! of it are wanted (BEP 53), with the names of v1 (`urn:btih:`) and v2 (`urn:btmh:`, BEP 52).

use super::limits::{
    MAGNET_NAME_SIZE_MAX, MAGNET_PEER_COUNT_MAX, MAGNET_RANGE_COUNT_MAX, MAGNET_SIZE_MAX,
    TRACKER_COUNT_MAX, URL_SIZE_MAX, WEB_SEED_COUNT_MAX,
};
use super::path::cut;
use super::torrent::is_tracker_url;
use super::{FileIndex, Metainfo};
use crate::types::InfoHashes;
use althing_base::{Sha1Digest, Sha256Digest};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A magnet link.
///
/// ```
/// use althing_bittorrent::metainfo::Magnet;
///
/// let link = "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=a%20box";
/// let magnet: Magnet = link.parse()?;
/// assert_eq!(magnet.name.as_deref(), Some("a box"));
/// assert_eq!(magnet.to_string(), link);
/// # Ok::<(), althing_bittorrent::metainfo::MagnetError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Magnet {
    /// The torrent's names on the network (`xt`).
    pub info_hashes: InfoHashes,
    /// What the link calls it, to be shown until the torrent's own name is known (`dn`). Anyone
    /// can have written it; it is no file name.
    pub name: Option<String>,
    /// URLs of trackers, each a tier of its own (`tr`).
    pub trackers: Vec<String>,
    /// URLs of web servers that have the files (`ws`).
    pub web_seeds: Vec<String>,
    /// Peers that should have it (`x.pe`).
    pub peers: Vec<PeerAddress>,
    /// The files that are wanted (`so`), as ranges of their indexes; all if there is none.
    pub select: Vec<RangeInclusive<u32>>,
}

/// Where a peer listens: an address, or a name still to be looked up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerAddress {
    /// An address.
    Ip(SocketAddr),
    /// A host name and a port.
    Host(String, u16),
}

/// Why a text is no magnet link that we understand.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MagnetError {
    /// Longer than [`MAGNET_SIZE_MAX`].
    #[error("the magnet link is {size} bytes long; more than {max} are not read")]
    TooLong {
        /// Its length in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// It starts otherwise.
    #[error("this is not a magnet link; one starts with \"magnet:?\"")]
    NotAMagnet,
    /// No `xt` of BitTorrent's.
    #[error("the magnet link names no BitTorrent info-hash (xt=urn:btih:… or xt=urn:btmh:…)")]
    HashMissing,
    /// An `xt` of BitTorrent's that is no hash.
    #[error("the magnet link's info-hash \"{0}\" is invalid; it may have been cut off")]
    HashInvalid(String),
    /// Two info-hashes or public keys of one kind.
    #[error("the magnet link names two different torrents")]
    Ambiguous,
    /// No public key (BEP 46).
    #[error("the magnet link names no public key to follow (xs=urn:btpk:…)")]
    KeyMissing,
    /// An `xs` of BEP 46 that is no public key.
    #[error(
        "the magnet link's public key \"{0}\" is invalid: it has 64 hexadecimal digits; it may have \
         been cut off"
    )]
    KeyInvalid(String),
    /// A salt that is none.
    #[error(
        "the magnet link's salt \"{0}\" is invalid: it has at most 64 bytes, in hexadecimal digits; \
         it may have been cut off"
    )]
    SaltInvalid(String),
}

impl Magnet {
    /// A link with nothing but the torrent's names on the network.
    pub fn new(info_hashes: InfoHashes) -> Self {
        Magnet {
            info_hashes,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            select: Vec::new(),
        }
    }

    /// A bare info-hash, as people paste them: 40 hexadecimal digits or 32 characters of base 32
    /// for v1, 64 hexadecimal digits (also behind `1220`) for v2.
    ///
    /// # Errors
    /// It is none of these.
    pub fn from_info_hash(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        let v2 = || text.parse().ok().or_else(|| multihash(text)).map(InfoHashes::v2_only);
        let hashes = btih(text).map(InfoHashes::v1_only).or_else(v2);
        hashes.map(Magnet::new).ok_or_else(|| invalid(text))
    }

    /// Whether the link wants this file.
    pub fn selects(&self, file: FileIndex) -> bool {
        self.select.is_empty() || self.select.iter().any(|range| range.contains(&file.0))
    }
}

impl Metainfo {
    /// A link to this torrent, with its trackers and web seeds.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            name: Some(self.name().to_owned()),
            trackers: self.trackers().iter().flatten().cloned().collect(),
            web_seeds: self.web_seeds().to_vec(),
            ..Magnet::new(self.info_hashes())
        }
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    /// Reads a link. What is not understood, or too much, is left out, but for the info-hashes.
    fn from_str(link: &str) -> Result<Self, MagnetError> {
        let Parts { info_hashes, name, trackers, web_seeds, peers, select } =
            read(link, |_, _| Ok(()))?;
        let info_hashes = info_hashes.ok_or(MagnetError::HashMissing)?;
        Ok(Magnet { info_hashes, name, trackers, web_seeds, peers, select })
    }
}

/// What a link says, whatever it names its torrent by.
pub(super) struct Parts {
    pub(super) info_hashes: Option<InfoHashes>,
    pub(super) name: Option<String>,
    pub(super) trackers: Vec<String>,
    web_seeds: Vec<String>,
    pub(super) peers: Vec<PeerAddress>,
    select: Vec<RangeInclusive<u32>>,
}

/// Reads a link; what is no part of it goes to `other`, key and value.
pub(super) fn read(
    link: &str,
    mut other: impl FnMut(&str, &str) -> Result<(), MagnetError>,
) -> Result<Parts, MagnetError> {
    let link = link.trim();
    if link.len() > MAGNET_SIZE_MAX {
        return Err(MagnetError::TooLong { size: link.len(), max: MAGNET_SIZE_MAX });
    }
    let query = strip_prefix_ignoring_case(link, "magnet:?").ok_or(MagnetError::NotAMagnet)?;
    let (mut v1, mut v2) = (None, None);
    let mut name = None;
    let mut trackers = Vec::new();
    let mut web_seeds = Vec::new();
    let mut peers = Vec::new();
    let mut select = Vec::new();
    for (key, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
        // Links with several of a kind may number them: `tr.1`.
        let key = key.split_once('.').filter(|(key, _)| *key != "x").map_or(key, |(key, _)| key);
        match key {
            "xt" => topic(value, &mut v1, &mut v2)?,
            "dn" if name.is_none() => name = decode_name(value),
            "tr" => {
                let url = decode_url(value).filter(|url| is_tracker_url(url));
                push_new(&mut trackers, url, TRACKER_COUNT_MAX);
            }
            "ws" => push_new(&mut web_seeds, decode_url(value), WEB_SEED_COUNT_MAX),
            "x.pe" => {
                let peer =
                    unescape(value).and_then(|peer| str::from_utf8(&peer).ok()?.parse().ok());
                push_new(&mut peers, peer, MAGNET_PEER_COUNT_MAX);
            }
            "so" => select.extend(unescape(value).iter().flat_map(|so| ranges(so))),
            _ => other(key, value)?,
        }
    }
    let info_hashes = InfoHashes::new(v1, v2);
    Ok(Parts { info_hashes, name, trackers, web_seeds, peers, select: merge(select) })
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "magnet:?";
        let mut parameter = |f: &mut fmt::Formatter<'_>, key: &str, value: &dyn fmt::Display| {
            write!(f, "{}{key}={value}", std::mem::replace(&mut separator, "&"))
        };
        if let Some(v1) = self.info_hashes.v1() {
            parameter(f, "xt", &format_args!("urn:btih:{v1}"))?;
        }
        if let Some(v2) = self.info_hashes.v2() {
            parameter(f, "xt", &format_args!("urn:btmh:{MULTIHASH_SHA256}{v2}"))?;
        }
        if let Some(name) = &self.name {
            parameter(f, "dn", &Escaped(name))?;
        }
        for url in &self.trackers {
            parameter(f, "tr", &Escaped(url))?;
        }
        for url in &self.web_seeds {
            parameter(f, "ws", &Escaped(url))?;
        }
        for peer in &self.peers {
            parameter(f, "x.pe", peer)?;
        }
        for (at, range) in self.select.iter().enumerate() {
            if at == 0 {
                parameter(f, "so", &"")?;
            } else {
                f.write_str(",")?;
            }
            write!(f, "{}", range.start())?;
            if range.end() > range.start() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

impl FromStr for PeerAddress {
    type Err = ();

    /// Reads `host:port`, where an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return if addr.port() == 0 { Err(()) } else { Ok(PeerAddress::Ip(addr)) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(())?;
        // RFC 1123, and the underscore that some have all the same. All digits and dots would be
        // an address that is out of range.
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && host.bytes().any(|byte| byte.is_ascii_alphabetic());
        is_name.then(|| PeerAddress::Host(host.to_owned(), port)).ok_or(())
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddress::Ip(addr) => write!(f, "{addr}"),
            PeerAddress::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// The multihash prefix of SHA-256: function 0x12, 0x20 bytes.
const MULTIHASH_SHA256: &str = "1220";

/// Reads an `xt`; those of other networks are passed over.
fn topic(
    value: &str,
    v1: &mut Option<Sha1Digest>,
    v2: &mut Option<Sha256Digest>,
) -> Result<(), MagnetError> {
    fn note<T: PartialEq>(slot: &mut Option<T>, hash: T) -> Result<(), MagnetError> {
        if slot.as_ref().is_some_and(|known| *known != hash) {
            return Err(MagnetError::Ambiguous);
        }
        *slot = Some(hash);
        Ok(())
    }
    // Some escape the colons.
    let topic = unescape(value).ok_or_else(|| invalid(value))?;
    let topic = str::from_utf8(&topic).map_err(|_| invalid(value))?;
    if let Some(hash) = strip_prefix_ignoring_case(topic, "urn:btih:") {
        note(v1, btih(hash).ok_or_else(|| invalid(hash))?)?;
    } else if let Some(hash) = strip_prefix_ignoring_case(topic, "urn:btmh:") {
        note(v2, multihash(hash).ok_or_else(|| invalid(hash))?)?;
    }
    Ok(())
}

fn invalid(hash: &str) -> MagnetError {
    MagnetError::HashInvalid(shown(hash))
}

/// As much of something wrong as an error shows.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).filter(|c| !c.is_control()).collect()
}

fn btih(hash: &str) -> Option<Sha1Digest> {
    hash.parse().ok().or_else(|| base32(hash))
}

fn multihash(hash: &str) -> Option<Sha256Digest> {
    hash.strip_prefix(MULTIHASH_SHA256)?.parse().ok()
}

/// RFC 4648's base 32, as early magnet links have it.
fn base32(text: &str) -> Option<Sha1Digest> {
    if text.len() != 32 {
        return None;
    }
    let mut bytes = [0; 20];
    for (chunk, chars) in bytes.chunks_exact_mut(5).zip(text.as_bytes().chunks_exact(8)) {
        let bits = chars.iter().try_fold(0u64, |bits, c| {
            let digit = match c.to_ascii_uppercase() {
                c @ b'A'..=b'Z' => c - b'A',
                c @ b'2'..=b'7' => c - b'2' + 26,
                _ => return None,
            };
            Some(bits << 5 | u64::from(digit))
        })?;
        chunk.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(Sha1Digest(bytes))
}

/// BEP 53: `0,2,4-6`. What makes no sense is left out.
fn ranges(text: &[u8]) -> Vec<RangeInclusive<u32>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(first..=last)
    };
    let text = str::from_utf8(text).unwrap_or_default();
    text.split(',').filter_map(range).take(MAGNET_RANGE_COUNT_MAX).collect()
}

/// Ranges in order, none touching another.
fn merge(mut ranges: Vec<RangeInclusive<u32>>) -> Vec<RangeInclusive<u32>> {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged.truncate(MAGNET_RANGE_COUNT_MAX);
    merged
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: Option<T>, max: usize) {
    if let Some(item) = item.filter(|item| list.len() < max && !list.contains(item)) {
        list.push(item);
    }
}

fn decode_url(value: &str) -> Option<String> {
    let url = String::from_utf8(unescape(value)?.into_owned()).ok()?;
    let url = url.trim();
    (!url.is_empty() && url.len() <= URL_SIZE_MAX).then(|| url.to_owned())
}

/// A name to be shown: `+` means a space, characters that upset a terminal are gone.
fn decode_name(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    let mut name = String::from_utf8_lossy(&unescape(&spaced)?).into_owned();
    name.retain(|c| !c.is_control());
    let name = cut(&name, MAGNET_NAME_SIZE_MAX);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Undoes `%41`; `None` if something else follows a `%`.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(Cow::Owned(bytes))
}

/// Text with everything escaped but what needs no escape anywhere in a URL (RFC 3986).
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(f, "{}", char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

pub(super) fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
    const V2: &str = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";

    /// Reads `parameters` behind the v1 hash and writes them again.
    fn check(parameters: &str, expected: &str) {
        let link = format!("magnet:?xt=urn:btih:{V1}{parameters}");
        let magnet = link.parse::<Magnet>().expect("a link with a hash");
        assert_eq!(magnet.to_string(), format!("magnet:?xt=urn:btih:{V1}{expected}"));
    }

    #[test]
    fn info_hashes() {
        // libtorrent 2.1.1 reads these as the same hashes.
        let v1 = InfoHashes::v1_only(V1.parse().expect("hex"));
        let v2 = InfoHashes::v2_only(V2.parse().expect("hex"));
        let both = InfoHashes::new(v1.v1(), v2.v2()).expect("two");
        for (link, expected) in [
            (format!("magnet:?xt=urn:btih:{V1}"), v1),
            (format!("magnet:?xt=urn:btih:{}", V1.to_uppercase()), v1),
            ("magnet:?xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK".to_owned(), v1),
            ("MAGNET:?xt=URN:BTIH:yex6dqdlxisuvhoj6um3gnnkpqjwpkek".to_owned(), v1),
            (format!("magnet:?xt=urn%3Abtih%3A{V1}"), v1),
            (format!("magnet:?xt=urn:sha1:ABC&xt=urn:btih:{V1}&xt=urn:btih:{V1}"), v1),
            (format!("magnet:?xt=urn:btmh:1220{V2}"), v2),
            (format!("magnet:?xt.1=urn:btih:{V1}&xt.2=urn:btmh:1220{V2}"), both),
        ] {
            assert_eq!(link.parse::<Magnet>().map(|magnet| magnet.info_hashes), Ok(expected));
        }
        for (text, expected) in [(V1, v1), (V2, v2), (&format!("1220{V2}"), v2)] {
            assert_eq!(Magnet::from_info_hash(text), Ok(Magnet::new(expected)));
        }
        assert_eq!(Magnet::from_info_hash("12"), Err(MagnetError::HashInvalid("12".to_owned())));
    }

    #[test]
    fn refusals() {
        let refuse = |link: &str, expected| assert_eq!(link.parse::<Magnet>(), Err(expected));
        refuse("", MagnetError::NotAMagnet);
        refuse(V1, MagnetError::NotAMagnet);
        refuse("magnet:?dn=x", MagnetError::HashMissing);
        refuse("magnet:?xt=urn:btih:zz", MagnetError::HashInvalid("zz".to_owned()));
        refuse(
            &format!("magnet:?xt=urn:btmh:1221{V2}"),
            MagnetError::HashInvalid(format!("1221{V2}")),
        );
        let other = "a".repeat(40);
        refuse(&format!("magnet:?xt=urn:btih:{V1}&xt=urn:btih:{other}"), MagnetError::Ambiguous);
        let long = format!("magnet:?xt=urn:btih:{V1}&dn={}", "x".repeat(MAGNET_SIZE_MAX));
        refuse(&long, MagnetError::TooLong { size: long.len(), max: MAGNET_SIZE_MAX });
    }

    #[test]
    fn parameters() {
        check("&dn=a+b%20c", "&dn=a%20b%20c");
        check("&dn=a%26b%3dc&dn=second", "&dn=a%26b%3Dc");
        check("&dn=%zz&dn=%1b[31mred", "&dn=%5B31mred");
        check("&dn=%", "");
        check(
            "&tr=%20http://x/a+b%20&tr=&tr.2=udp%3a%2f%2fb%3a1&tr=http://x/a+b",
            "&tr=http%3A%2F%2Fx%2Fa%2Bb&tr=udp%3A%2F%2Fb%3A1",
        );
        check("&ws=http://w/", "&ws=http%3A%2F%2Fw%2F");
        check(
            "&x.pe=1.2.3.4:5&x.pe=[::1]:6&x.pe=%5b::1%5d:6&x.pe=host.example:7",
            "&x.pe=1.2.3.4:5&x.pe=[::1]:6&x.pe=host.example:7",
        );
        check("&x.pe=1.2.3.4&x.pe=1.2.3.400:5&x.pe=a:0&x.pe=::1:6&x.pe=a/b:1&x.pe=:1", "");
        check("&tr=x&tr=http://&tr=http:/a&tr=foo://a", "");
        check("&so=4,0,2-3,1,7", "&so=0-4,7");
        check("&so=5-3&so=1-&so=x&so=4294967295,0-4294967295", "&so=0-4294967295");
        check("&xl=10&unknown=1&&=&novalue", "");
    }

    #[test]
    fn lists_are_bounded() {
        let many: String = (1..5000).map(|n| format!("&tr=udp://u{n}&x.pe=1.2.3.4:{n}")).collect();
        let many = &many[..many[..60_000].rfind('&').expect("some")];
        let magnet: Magnet = format!("magnet:?xt=urn:btih:{V1}{many}").parse().expect("a link");
        assert_eq!(magnet.trackers.len(), TRACKER_COUNT_MAX);
        assert_eq!(magnet.peers.len(), MAGNET_PEER_COUNT_MAX);
    }

    fn any_magnet() -> impl Strategy<Value = Magnet> {
        let hashes = (any::<Option<[u8; 20]>>(), any::<[u8; 32]>(), any::<bool>()).prop_map(
            |(v1, v2, has_v2)| {
                let v2 = (has_v2 || v1.is_none()).then_some(Sha256Digest(v2));
                InfoHashes::new(v1.map(Sha1Digest), v2).expect("one of them")
            },
        );
        let url = "(udp|http)://[a-z]{1,9}/[!-~é€]{0,9}";
        let peer = prop_oneof![
            (any::<std::net::IpAddr>(), 1..=u16::MAX)
                .prop_map(|(ip, port)| PeerAddress::Ip((ip, port).into())),
            ("[a-z][a-z0-9.-]{0,9}", 1..=u16::MAX)
                .prop_map(|(host, port)| PeerAddress::Host(host, port)),
        ];
        let range =
            (any::<u32>(), 0..100u32).prop_map(|(first, more)| first..=first.saturating_add(more));
        (
            hashes,
            prop::option::of("[ -~é€\u{1f600}]{1,20}"),
            prop::collection::hash_set(url, 0..4),
            prop::collection::hash_set(url, 0..4),
            prop::collection::btree_set(peer, 0..4),
            prop::collection::vec(range, 0..4),
        )
            .prop_map(|(info_hashes, name, trackers, web_seeds, peers, select)| Magnet {
                info_hashes,
                name,
                trackers: trackers.into_iter().collect(),
                web_seeds: web_seeds.into_iter().collect(),
                peers: peers.into_iter().collect(),
                select: merge(select),
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(magnet in any_magnet()) {
            prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
        }

        #[test]
        fn what_is_read_is_written_the_same_again(parameters in "[a-z.&=%0-9+\\[\\]:,-]{0,60}") {
            let link = format!("magnet:?xt=urn:btih:{V1}&{parameters}");
            if let Ok(magnet) = link.parse::<Magnet>() {
                prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
            }
        }
    }
}
