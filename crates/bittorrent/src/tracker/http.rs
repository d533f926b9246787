//! The client's side of HTTP trackers: the URL to get and what the body of the answer says (BEP 3,
//! 7, 23, 24, 31, 48). Getting it is the driver's business.

use super::limits::{
    MESSAGE_CHARS_MAX, RESPONSE_PEERS_MAX, SCRAPE_MAX, SCRAPE_SENT_MAX, TRACKER_ID_BYTES_MAX,
};
use super::types::{compact_v4, compact_v6, is_peer_address};
use super::{
    AnnounceRequest, AnnounceResponse, Event, Retry, ScrapeEntry, TrackerError, TrackerUrl,
};
use crate::text::printable;
use althing_base::Sha1Digest;
use althing_base::bencode::{Dict, Document, Limits, Value};
use bytes::Bytes;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The URL to get for an announce.
pub fn announce_url(url: &TrackerUrl, request: &AnnounceRequest) -> String {
    let mut query = Query::new(url.origin(), url.target());
    query.bytes("info_hash", &request.info_hash.0);
    query.bytes("peer_id", &request.peer_id.0);
    query.number("port", request.port.into());
    query.number("uploaded", request.transfer.uploaded);
    query.number("downloaded", request.transfer.downloaded);
    query.number("left", request.transfer.left_announced());
    query.bytes("key", format!("{:08X}", request.key).as_bytes());
    if let Some(count) = request.num_want {
        query.number("numwant", count.into());
    }
    match request.event {
        Event::None => {}
        Event::Started => query.bytes("event", b"started"),
        Event::Completed => query.bytes("event", b"completed"),
        Event::Stopped => query.bytes("event", b"stopped"),
        Event::Paused => query.bytes("event", b"paused"),
    }
    query.number("compact", 1);
    query.number("no_peer_id", 1);
    if let Some(ip) = request.ipv4 {
        query.bytes("ipv4", ip.to_string().as_bytes());
    }
    if let Some(ip) = request.ipv6 {
        query.bytes("ipv6", ip.to_string().as_bytes());
    }
    if let Some(id) = &request.tracker_id {
        query.bytes("trackerid", id);
    }
    query.url
}

/// The URL to get for a scrape of at most [`SCRAPE_SENT_MAX`] torrents (more are left out);
/// `None` if the tracker has none: the last part of its path must start with "announce" (BEP 48).
pub fn scrape_url(url: &TrackerUrl, info_hashes: &[Sha1Digest]) -> Option<String> {
    let target = url.target();
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let (folder, last) = path.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    let mut scrape = Query::new(url.origin(), &format!("{folder}/scrape{rest}{query}"));
    for hash in info_hashes.iter().take(SCRAPE_SENT_MAX) {
        scrape.bytes("info_hash", &hash.0);
    }
    Some(scrape.url)
}

/// A URL to which parameters are being added.
struct Query {
    url: String,
    /// What stands before the next parameter.
    separator: &'static str,
}

impl Query {
    fn new(origin: &str, target: &str) -> Self {
        let slash = if target.starts_with('/') { "" } else { "/" };
        let separator = match target.split_once('?') {
            None => "?",
            // One that ends with its own separator needs no second one.
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        Query { url: format!("{origin}{slash}{target}"), separator }
    }

    fn key(&mut self, key: &str) {
        self.url.push_str(self.separator);
        self.separator = "&";
        self.url.push_str(key);
        self.url.push('=');
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.url.push_str(&value.to_string());
    }

    /// All bytes are escaped but those that need not be (RFC 3986, "unreserved").
    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        for &byte in value {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.url.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(self.url, "%{byte:02X}");
            }
        }
    }
}

/// Reads the body of an answer to an announce.
///
/// # Errors
/// [`TrackerError::Refused`] if the tracker says so, [`TrackerError::BadResponse`] if the body is
/// none of a tracker's.
pub fn parse_announce(body: &[u8]) -> Result<AnnounceResponse, TrackerError> {
    let document = parse(body)?;
    let dict = answer(&document)?;
    let count = |key| dict.int(key).and_then(|count| u32::try_from(count).ok());
    let mut peers = Vec::new();
    if let Some(value) = dict.get(b"peers") {
        match value.as_bytes() {
            Some(bytes) => extend_peers(&mut peers, compact_v4(bytes)),
            None => {
                extend_peers(&mut peers, value.as_list().into_iter().flatten().filter_map(peer));
            }
        }
    }
    if let Some(bytes) = dict.bytes(b"peers6") {
        extend_peers(&mut peers, compact_v6(bytes));
    }
    Ok(AnnounceResponse {
        peers,
        interval: seconds(dict, b"interval"),
        min_interval: seconds(dict, b"min interval"),
        seeders: count(b"complete"),
        leechers: count(b"incomplete"),
        downloaded: count(b"downloaded"),
        warning: dict.bytes(b"warning message").map(|text| printable(text, MESSAGE_CHARS_MAX)),
        tracker_id: dict
            .bytes(b"tracker id")
            .filter(|id| id.len() <= TRACKER_ID_BYTES_MAX)
            .map(Bytes::copy_from_slice),
        external_ip: dict.bytes(b"external ip").and_then(packed_ip),
        answered_by: None,
    })
}

/// Reads the body of an answer to a scrape: the swarms in the order of the answer, not more than
/// [`SCRAPE_MAX`].
///
/// # Errors
/// As [`parse_announce`].
pub fn parse_scrape(body: &[u8]) -> Result<Vec<(Sha1Digest, ScrapeEntry)>, TrackerError> {
    let document = parse(body)?;
    let dict = answer(&document)?;
    let files = dict
        .dict(b"files")
        .ok_or_else(|| TrackerError::BadResponse("it lists no torrents".into()))?;
    let entries = files.iter().filter_map(|(hash, entry)| {
        let entry = entry.as_dict()?;
        let count =
            |key| entry.int(key).and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
        let entry = ScrapeEntry {
            seeders: count(b"complete"),
            leechers: count(b"incomplete"),
            downloaded: count(b"downloaded"),
        };
        Some((Sha1Digest::from_slice(hash)?, entry))
    });
    Ok(entries.take(SCRAPE_MAX).collect())
}

fn parse(body: &[u8]) -> Result<Document<'_>, TrackerError> {
    // Some trackers end their answers with a line break.
    Document::parse_prefix(body, &Limits::MESSAGE).map(|(document, _)| document).map_err(|error| {
        let start = printable(body, 40);
        TrackerError::BadResponse(format!("{error}; it starts with \"{start}\""))
    })
}

/// The dictionary of an answer that is no refusal.
fn answer<'d>(document: &'d Document<'_>) -> Result<Dict<'d>, TrackerError> {
    let dict = document
        .root()
        .as_dict()
        .ok_or_else(|| TrackerError::BadResponse("it is no dictionary".into()))?;
    // BEP 48 has an underscore where BEP 3 has a space.
    match dict.bytes(b"failure reason").or(dict.bytes(b"failure_reason")) {
        Some(reason) => Err(TrackerError::Refused {
            reason: printable(reason, MESSAGE_CHARS_MAX),
            retry: dict.get(b"retry in").map(retry).unwrap_or_default(),
        }),
        None => Ok(dict),
    }
}

/// Minutes as a number or as its text, or "never" (BEP 31).
fn retry(value: Value<'_>) -> Retry {
    let minutes = value.as_int().or_else(|| value.as_str()?.parse().ok());
    match (value.as_bytes(), minutes) {
        (Some(b"never"), _) => Retry::Never,
        (_, Some(minutes)) if minutes > 0 => {
            Retry::After(Duration::from_secs(minutes.saturating_mul(60) as u64))
        }
        _ => Retry::Unsaid,
    }
}

fn seconds(dict: Dict<'_>, key: &[u8]) -> Option<Duration> {
    let seconds = dict.int(key).and_then(|seconds| u64::try_from(seconds).ok())?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn extend_peers(peers: &mut Vec<SocketAddr>, more: impl Iterator<Item = SocketAddr>) {
    let room = RESPONSE_PEERS_MAX.saturating_sub(peers.len());
    peers.extend(more.filter(is_peer_address).take(room));
}

/// A peer of the dictionary model. Names are not looked up: a tracker could make us ask for
/// anything.
fn peer(value: Value<'_>) -> Option<SocketAddr> {
    let dict = value.as_dict()?;
    let ip: IpAddr = dict.str(b"ip")?.parse().ok()?;
    let port = dict.int(b"port").and_then(|port| u16::try_from(port).ok())?;
    Some((ip.to_canonical(), port).into())
}

fn packed_ip(bytes: &[u8]) -> Option<IpAddr> {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(ip), _) => Some(ip.into()),
        (_, Ok(ip)) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::Transfer;
    use crate::types::PeerId;
    use proptest::prelude::*;

    fn url(text: &str) -> TrackerUrl {
        TrackerUrl::parse(text).expect(text)
    }

    fn request() -> AnnounceRequest {
        AnnounceRequest {
            transfer: Transfer { uploaded: 1, downloaded: 2, left: Some(3) },
            event: Event::Started,
            key: 0xeb21_6f71,
            ..AnnounceRequest::new(
                Sha1Digest(*b"i\xd5\xf27\xf8~\xc1\x89\xb3\xdf\xa7?\x16\x85v\xc2\xed|L\x80"),
                PeerId(*b"-AL0100-~ab+/=def.-_"),
                7716,
            )
        }
    }

    #[test]
    fn announce_urls() {
        assert_eq!(
            announce_url(&url("http://t.example:6969/announce?passkey=a%2Fb"), &request()),
            "http://t.example:6969/announce?passkey=a%2Fb\
             &info_hash=i%D5%F27%F8~%C1%89%B3%DF%A7%3F%16%85v%C2%ED%7CL%80\
             &peer_id=-AL0100-~ab%2B%2F%3Ddef.-_&port=7716&uploaded=1&downloaded=2&left=3\
             &key=EB216F71&numwant=200&event=started&compact=1&no_peer_id=1"
        );
        let request = AnnounceRequest {
            event: Event::None,
            num_want: None,
            transfer: Transfer::default(),
            tracker_id: Some(Bytes::from_static(b"a&b")),
            ipv4: Some([1, 2, 3, 4].into()),
            ipv6: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
            ..request()
        };
        let url = announce_url(&url("http://t.example/announce"), &request);
        assert!(url.starts_with("http://t.example/announce?info_hash=i%D5"), "{url}");
        assert!(
            url.ends_with(
                "&uploaded=0&downloaded=0&left=16384&key=EB216F71&compact=1&no_peer_id=1\
             &ipv4=1.2.3.4&ipv6=2001%3Adb8%3A%3A1&trackerid=a%26b"
            ),
            "{url}"
        );
    }

    #[test]
    fn parameters_are_added_to_any_url() {
        let check = |text: &str, expected: &str| {
            let announce = announce_url(&url(text), &request());
            assert!(announce.starts_with(&format!("{expected}info_hash=i%D5")), "{announce}");
        };
        check("http://t", "http://t/?");
        check("http://t?a=b", "http://t/?a=b&");
        check("http://t/announce?", "http://t/announce?");
        check("http://t/announce?a&", "http://t/announce?a&");
        check("http://t/a&", "http://t/a&?");
    }

    #[test]
    fn scrape_urls() {
        let check = |text: &str, expected: Option<&str>| {
            let scrape = scrape_url(&url(text), &[Sha1Digest(*b"aaaaaaaaaaaaaaaaaaaa")]);
            let expected = expected.map(|start| format!("{start}info_hash=aaaaaaaaaaaaaaaaaaaa"));
            assert_eq!(scrape, expected, "{text}");
        };
        check("http://t/announce", Some("http://t/scrape?"));
        check("http://t/x/announce.php?a=b", Some("http://t/x/scrape.php?a=b&"));
        check("http://t/announce/abc", None);
        check("http://t/a", None);
        check("http://t", None);
        let many = vec![Sha1Digest::ZERO; 100];
        let long = scrape_url(&url("http://t/announce"), &many).expect("a scrape URL");
        assert_eq!(long.matches("info_hash=").count(), SCRAPE_SENT_MAX);
    }

    fn parsed(body: &[u8]) -> AnnounceResponse {
        parse_announce(body).expect("an answer")
    }

    #[test]
    fn compact_peers_of_both_families() {
        // The example of BEP 7, with addresses.
        let body =
            b"d8:completei5e11:external ip4:\x09\x08\x07\x0610:incompletei2e8:intervali1800e\
                     12:min intervali60e5:peers13:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\0\0x\
                     6:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1\
                     10:tracker id3:abc15:warning message7:be\x1bwaree";
        let expected = AnnounceResponse {
            peers: vec![
                "1.2.3.4:6881".parse().expect("an address"),
                "[2001:db8::1]:6881".parse().expect("an address"),
            ],
            interval: Some(Duration::from_secs(1800)),
            min_interval: Some(Duration::from_secs(60)),
            seeders: Some(5),
            leechers: Some(2),
            downloaded: None,
            warning: Some("be\u{fffd}ware".into()),
            tracker_id: Some(Bytes::from_static(b"abc")),
            external_ip: Some([9, 8, 7, 6].into()),
            answered_by: None,
        };
        assert_eq!(parsed(body), expected);
    }

    #[test]
    fn peers_as_dictionaries_have_addresses_not_names() {
        let body =
            b"d5:peersld2:ip7:1.2.3.44:porti6881eed2:ip11:2001:db8::17:peer id2:xx4:porti1ee\
                     d2:ip9:localhost4:porti80eed2:ip7:1.2.3.44:porti0eed2:ip7:0.0.0.04:porti9ee\
                     d2:ip7:1.2.3.54:porti65536eei7eee\n";
        let expected = ["1.2.3.4:6881", "[2001:db8::1]:1"];
        assert_eq!(parsed(body).peers, expected.map(|addr| addr.parse().expect("an address")));
    }

    #[test]
    fn what_is_missing_or_absurd_is_left_out() {
        assert_eq!(parsed(b"de"), AnnounceResponse::default());
        let body = b"d8:completei-1e11:external ip3:abc8:intervali-5e12:min interval2:605:peersi1e\
                     6:peers6lee";
        assert_eq!(parsed(body), AnnounceResponse::default());
        let mut flood = b"d5:peers60000:".to_vec();
        flood.extend([7; 60_000]);
        flood.push(b'e');
        assert_eq!(parsed(&flood).peers.len(), RESPONSE_PEERS_MAX);
    }

    #[test]
    fn refusals() {
        let check = |body: &[u8], expected: Retry| {
            let refused = TrackerError::Refused { reason: "no".into(), retry: expected };
            assert_eq!(parse_announce(body), Err(refused), "{}", body.escape_ascii());
        };
        check(b"d14:failure reason2:noe", Retry::Unsaid);
        // BEP 31: minutes, as a string in its examples.
        check(b"d14:failure reason2:no8:retry in1:5e", Retry::After(Duration::from_secs(300)));
        check(b"d14:failure reason2:no8:retry ini5ee", Retry::After(Duration::from_secs(300)));
        check(b"d14:failure reason2:no8:retry in5:nevere", Retry::Never);
        check(b"d14:failure reason2:no8:retry in2:-1e", Retry::Unsaid);
        let max = Duration::from_secs(i64::MAX as u64);
        check(b"d14:failure reason2:no8:retry ini9223372036854775807ee", Retry::After(max));
        for body in [&b""[..], b"le", b"<html>", &b"l".repeat(100_000)] {
            assert!(matches!(parse_announce(body), Err(TrackerError::BadResponse(_))));
        }
    }

    #[test]
    fn the_example_of_bep_48() {
        let body = b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee\
                     20:yyyyyyyyyyyyyyyyyyyyd8:completei21e10:downloadedi206e10:incompletei20eeee";
        let entry = |seeders, downloaded, leechers| ScrapeEntry { seeders, leechers, downloaded };
        assert_eq!(
            parse_scrape(body),
            Ok(vec![
                (Sha1Digest([b'x'; 20]), entry(11, 13772, 19)),
                (Sha1Digest([b'y'; 20]), entry(21, 206, 20)),
            ])
        );
        assert_eq!(
            parse_scrape(b"d14:failure_reason2:noe"),
            Err(TrackerError::Refused { reason: "no".into(), retry: Retry::Unsaid })
        );
        assert!(matches!(parse_scrape(b"de"), Err(TrackerError::BadResponse(_))));
    }

    proptest! {
        #[test]
        fn any_value_survives_the_url(value: Vec<u8>) {
            let mut query = Query::new("http://t", "/");
            query.bytes("k", &value);
            prop_assert!(query.url.bytes().all(|byte| byte.is_ascii_graphic()));
            let (_, escaped) = query.url.split_once("?k=").expect("as written");
            let mut bytes = escaped.bytes();
            let mut read = Vec::new();
            while let Some(byte) = bytes.next() {
                read.push(if byte == b'%' {
                    let digits = [bytes.next(), bytes.next()].map(|c| c.expect("two digits"));
                    u8::from_str_radix(str::from_utf8(&digits).expect("ASCII"), 16).expect("hex")
                } else {
                    byte
                });
            }
            prop_assert_eq!(read, value);
        }
    }
}
