//! The extension handshake (BEP 10) and what others put into it: `metadata_size` (BEP 9),
//! `upload_only` (BEP 21), and libtorrent's `complete_ago`.
//!
//! Clients are sloppy here: numbers are negative or absurd, addresses have odd lengths, bytes
//! follow the dictionary. Each entry is taken or dropped by itself; only text that is not a
//! bencoded dictionary at all is refused.

use super::limits::{
    CLIENT_CHARS_MAX, EXTENSION_NAME_BYTES_MAX, EXTENSIONS_MAX, METADATA_BYTES_MAX,
    REQUEST_QUEUE_MAX,
};
use crate::text::printable;
use althing_base::bencode::{self, Dict, Document, Encoder, Limits};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Name of the extension by which peers hand out the info dictionary (BEP 9).
pub const UT_METADATA: &[u8] = b"ut_metadata";

/// The extended message by which a peer says what it supports. Sent again, it changes what was
/// said before: see [`update`](Self::update).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtensionHandshake {
    /// `m`: the extensions' names, and the ids by which the sender wants to be sent their messages.
    /// 0 means that the extension is off.
    pub extensions: BTreeMap<Vec<u8>, u8>,
    /// `v`: the client's name and version. Control characters have been replaced, but it is still
    /// a stranger's text.
    pub client: Option<String>,
    /// `p`: the TCP port on which the sender listens; never 0.
    pub port: Option<u16>,
    /// `reqq`: how many requests the sender keeps; the rest it may drop. At least 1.
    pub request_queue: Option<u32>,
    /// `yourip`: the receiver's address as the sender sees it.
    pub your_ip: Option<IpAddr>,
    /// `ipv4`: the sender's IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// `ipv6`: the sender's IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// `metadata_size`: the length of the info dictionary in bytes; at least 1 and at most
    /// [`METADATA_BYTES_MAX`].
    pub metadata_size: Option<u32>,
    /// `upload_only`: whether the sender wants nothing more.
    pub upload_only: Option<bool>,
    /// `complete_ago`: seconds since the sender last saw a peer that has everything.
    pub complete_ago: Option<u32>,
    /// `e`: whether the sender prefers encrypted connections.
    pub prefers_encryption: Option<bool>,
}

impl ExtensionHandshake {
    /// Reads the payload of an extended message with id 0.
    ///
    /// # Errors
    /// If the payload does not start with bencode.
    pub fn parse(payload: &[u8]) -> Result<Self, bencode::Error> {
        let (document, _) = Document::parse_prefix(payload, &Limits::MESSAGE)?;
        let Some(dict) = document.root().as_dict() else {
            return Ok(Self::default());
        };
        Ok(ExtensionHandshake {
            extensions: dict.dict(b"m").map(parse_extensions).unwrap_or_default(),
            client: dict
                .bytes(b"v")
                .map(|name| printable(name, CLIENT_CHARS_MAX))
                .filter(|name| !name.is_empty()),
            port: bounded(dict, b"p", 1, u16::MAX.into()).map(|port| port as u16),
            request_queue: dict
                .int(b"reqq")
                .filter(|&count| count > 0)
                .map(|count| count.min(REQUEST_QUEUE_MAX.into()) as u32),
            your_ip: dict.bytes(b"yourip").and_then(parse_ip),
            ipv4: dict.bytes(b"ipv4").and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(Into::into),
            ipv6: dict.bytes(b"ipv6").and_then(|ip| <[u8; 16]>::try_from(ip).ok()).map(Into::into),
            metadata_size: bounded(dict, b"metadata_size", 1, METADATA_BYTES_MAX),
            upload_only: dict.int(b"upload_only").map(|flag| flag != 0),
            complete_ago: bounded(dict, b"complete_ago", 0, u32::MAX),
            prefers_encryption: dict.int(b"e").map(|flag| flag != 0),
        })
    }

    /// The payload of an extended message with id 0.
    pub fn encode(&self) -> Bytes {
        let mut out = Encoder::new();
        out.dict(|out| {
            let int = |out: &mut Encoder, key: &[u8], value: Option<u32>| {
                if let Some(value) = value {
                    out.key(key).int(value.into());
                }
            };
            int(out, b"complete_ago", self.complete_ago);
            int(out, b"e", self.prefers_encryption.map(Into::into));
            if let Some(ip) = self.ipv4 {
                out.key(b"ipv4").bytes(&ip.octets());
            }
            if let Some(ip) = self.ipv6 {
                out.key(b"ipv6").bytes(&ip.octets());
            }
            out.key(b"m").dict(|out| {
                for (name, &id) in &self.extensions {
                    out.key(name).int(id.into());
                }
            });
            int(out, b"metadata_size", self.metadata_size);
            int(out, b"p", self.port.map(Into::into));
            int(out, b"reqq", self.request_queue);
            int(out, b"upload_only", self.upload_only.map(Into::into));
            if let Some(client) = &self.client {
                out.key(b"v").bytes(client.as_bytes());
            }
            match self.your_ip {
                Some(IpAddr::V4(ip)) => out.key(b"yourip").bytes(&ip.octets()),
                Some(IpAddr::V6(ip)) => out.key(b"yourip").bytes(&ip.octets()),
                None => {}
            }
        });
        out.finish().into()
    }

    /// The id by which the sender wants the extension's messages, if it wants them.
    pub fn id(&self, extension: &[u8]) -> Option<u8> {
        self.extensions.get(extension).copied().filter(|&id| id != 0)
    }

    /// Applies a later handshake of the same peer: what it names replaces what was known, and the
    /// rest stays (BEP 10: "`m` is additive").
    pub fn update(&mut self, later: ExtensionHandshake) {
        for (name, id) in later.extensions {
            if self.extensions.len() < EXTENSIONS_MAX || self.extensions.contains_key(&name) {
                self.extensions.insert(name, id);
            }
        }
        self.client = later.client.or(self.client.take());
        self.port = later.port.or(self.port);
        self.request_queue = later.request_queue.or(self.request_queue);
        self.your_ip = later.your_ip.or(self.your_ip);
        self.ipv4 = later.ipv4.or(self.ipv4);
        self.ipv6 = later.ipv6.or(self.ipv6);
        self.metadata_size = later.metadata_size.or(self.metadata_size);
        self.upload_only = later.upload_only.or(self.upload_only);
        self.complete_ago = later.complete_ago.or(self.complete_ago);
        self.prefers_encryption = later.prefers_encryption.or(self.prefers_encryption);
    }
}

/// The integer under `key`, if it lies between the bounds.
fn bounded(dict: Dict<'_>, key: &[u8], min: u32, max: u32) -> Option<u32> {
    let value = u32::try_from(dict.int(key)?).ok()?;
    (min..=max).contains(&value).then_some(value)
}

fn parse_extensions(m: Dict<'_>) -> BTreeMap<Vec<u8>, u8> {
    let mut extensions = BTreeMap::new();
    for (name, id) in m.iter() {
        let id = id.as_int().and_then(|id| u8::try_from(id).ok());
        if let Some(id) = id.filter(|_| name.len() <= EXTENSION_NAME_BYTES_MAX)
            && extensions.len() < EXTENSIONS_MAX
        {
            extensions.entry(name.to_vec()).or_insert(id);
        }
    }
    extensions
}

fn parse_ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(ip) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(ip).into());
    }
    let ip = <[u8; 16]>::try_from(bytes).ok()?;
    Some(IpAddr::from(ip).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(payload: &[u8]) -> ExtensionHandshake {
        ExtensionHandshake::parse(payload).expect("a dictionary")
    }

    #[test]
    fn the_example_of_bep_10() {
        let payload =
            b"d1:md11:LT_metadatai1e7:\xc2\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e";
        let handshake = parse(payload);
        assert_eq!(handshake.id(b"LT_metadata"), Some(1));
        assert_eq!(handshake.id("µT_PEX".as_bytes()), Some(2));
        assert_eq!(handshake.id(UT_METADATA), None);
        assert_eq!(handshake.port, Some(6881));
        assert_eq!(handshake.client.as_deref(), Some("µTorrent 1.2"));
        assert_eq!(handshake.encode(), &payload[..]);
    }

    #[test]
    fn what_clients_send() {
        // Captured from libtorrent 2.1.1, then from Transmission 3.00.
        let libtorrent = parse(
            b"d12:complete_agoi-1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e\
              12:ut_holepunchi4e11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei205e1:pi7102e\
              4:reqqi2000e1:v18:libtorrent/2.1.1.06:yourip4:\xc0\x00\x02\x02e",
        );
        assert_eq!(libtorrent.id(UT_METADATA), Some(2));
        assert_eq!(libtorrent.extensions.len(), 6);
        assert_eq!(libtorrent.metadata_size, Some(205));
        assert_eq!(libtorrent.port, Some(7102));
        assert_eq!(libtorrent.request_queue, Some(2000));
        assert_eq!(libtorrent.complete_ago, None);
        assert_eq!(libtorrent.your_ip, Some(IpAddr::from([192, 0, 2, 2])));

        let transmission = parse(
            b"d1:ei1e1:md11:ut_metadatai3e6:ut_pexi1ee13:metadata_sizei205e1:pi7101e4:reqqi512e\
              11:upload_onlyi0e1:v17:Transmission 3.00e",
        );
        assert_eq!(transmission.id(UT_METADATA), Some(3));
        assert_eq!(transmission.upload_only, Some(false));
        assert_eq!(transmission.prefers_encryption, Some(true));
        assert_eq!(transmission.client.as_deref(), Some("Transmission 3.00"));
    }

    #[test]
    fn each_entry_stands_or_falls_alone() {
        let sloppy = parse(
            b"d4:ipv43:abc4:ipv64:abcd1:md1:ai256e1:bi-1e1:c1:11:di4ee13:metadata_sizei99999999999e\
              1:pi65536e4:reqqi-5e11:upload_only1:11:v0:6:yourip16:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04e\
              and bytes after it",
        );
        let expected = ExtensionHandshake {
            extensions: BTreeMap::from([(b"d".to_vec(), 4)]),
            your_ip: Some(IpAddr::from([1, 2, 3, 4])),
            ..ExtensionHandshake::default()
        };
        assert_eq!(sloppy, expected);
        assert_eq!(parse(b"d4:reqqi999999e1:pi0ee").request_queue, Some(REQUEST_QUEUE_MAX));
        assert_eq!(parse(b"le"), ExtensionHandshake::default());
        assert!(ExtensionHandshake::parse(b"hello").is_err());
        assert!(ExtensionHandshake::parse(&b"l".repeat(100_000)).is_err());
    }

    #[test]
    fn names_cannot_command_a_terminal() {
        let named = parse(b"d1:v6:a\x1b[31me");
        assert_eq!(named.client.as_deref(), Some("a\u{fffd}[31m"));
        let long = [b"d1:v1000:", &b"x".repeat(1000)[..], b"e"].concat();
        assert_eq!(parse(&long).client.map(|name| name.len()), Some(CLIENT_CHARS_MAX));
    }

    #[test]
    fn extensions_are_bounded() {
        let many: String = (0..1000).map(|n| format!("4:{n:04}i1e")).collect();
        let mut known = parse(format!("d1:md{many}ee").as_bytes());
        assert_eq!(known.extensions.len(), EXTENSIONS_MAX);
        known.update(parse(b"d1:md4:zzzzi1eee"));
        assert_eq!(known.extensions.len(), EXTENSIONS_MAX);
    }

    #[test]
    fn a_later_handshake_changes_only_what_it_names() {
        let mut known = parse(b"d1:md1:ai1e1:bi2ee1:pi7e1:v1:xe");
        known.update(parse(b"d1:md1:ai0e1:ci3ee4:reqqi9ee"));
        assert_eq!((known.id(b"a"), known.id(b"b"), known.id(b"c")), (None, Some(2), Some(3)));
        assert_eq!((known.port, known.request_queue), (Some(7), Some(9)));
        assert_eq!(known.client.as_deref(), Some("x"));
    }

    prop_compose! {
        fn any_handshake()(
            extensions in proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 0..20), any::<u8>(), 0..10),
            client in proptest::option::of("[a-zµ0-9/. ]{1,30}"),
            port in proptest::option::of(1..=u16::MAX),
            request_queue in proptest::option::of(1..=REQUEST_QUEUE_MAX),
            your_ip in proptest::option::of(any::<IpAddr>().prop_map(|ip| ip.to_canonical())),
            ipv4: Option<Ipv4Addr>,
            ipv6: Option<Ipv6Addr>,
            metadata_size in proptest::option::of(1..=METADATA_BYTES_MAX),
            upload_only: Option<bool>,
            complete_ago: Option<u32>,
            prefers_encryption: Option<bool>,
        ) -> ExtensionHandshake {
            ExtensionHandshake {
                extensions, client, port, request_queue, your_ip, ipv4, ipv6, metadata_size,
                upload_only, complete_ago, prefers_encryption,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(handshake in any_handshake()) {
            prop_assert_eq!(ExtensionHandshake::parse(&handshake.encode()), Ok(handshake));
        }
    }
}
