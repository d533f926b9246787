//! A tracker over HTTP (BEP 3, 7, 23, 24, 31, 48): what the target of a GET asks for, and the body
//! of the answer. Reading requests and writing responses is the driver's business.

use super::registry::{Announce, Answer, Full};
use super::{Server, ServerConfig};
use crate::tracker::limits::{PARAMETERS_MAX, SCRAPE_MAX, TARGET_BYTES_MAX};
use crate::tracker::types::put_compact;
use crate::tracker::{AnnounceRequest, Event, Family, ScrapeEntry, Transfer};
use crate::types::PeerId;
use althing_base::bencode::Encoder;
use althing_base::{Instant, Sha1Digest};
use std::net::{IpAddr, SocketAddr};

/// An answer; its content type is `text/plain`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpReply {
    /// 200, also where the tracker refuses (clients look into the body only then), or 404.
    pub status: u16,
    /// Bencode, or a sentence.
    pub body: Vec<u8>,
}

/// Why a request is refused; the client's user reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum RequestError {
    #[error("the request is too long")]
    TooLong,
    #[error("{0} is missing or not 20 bytes long")]
    NotTwentyBytes(&'static str),
    #[error("port is missing or not a number from 1 to 65535")]
    BadPort,
    #[error("name the torrents to scrape; at most {SCRAPE_MAX} at once")]
    BadScrape,
    #[error("{0}")]
    Full(#[from] Full),
}

/// What a target asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Query {
    Announce {
        request: AnnounceRequest,
        /// BEP 3's `ip`.
        ip: Option<IpAddr>,
        compact: bool,
        peer_ids: bool,
    },
    Scrape {
        info_hashes: Vec<Sha1Digest>,
    },
}

impl Server {
    /// Answers a GET of `target` (path and query, as they stand in the request).
    pub fn handle_get(&mut self, now: Instant, from: SocketAddr, target: &[u8]) -> HttpReply {
        let (path, query) = match target.iter().position(|&byte| byte == b'?') {
            Some(at) => (&target[..at], &target[at + 1..]),
            None => (target, &[][..]),
        };
        let query = match path {
            _ if target.len() > TARGET_BYTES_MAX => Err(RequestError::TooLong),
            b"/announce" => parse_announce(query),
            b"/scrape" => parse_scrape(query),
            _ => {
                let body =
                    b"This is a BitTorrent tracker; it answers under /announce and /scrape.\n";
                return HttpReply { status: 404, body: body.to_vec() };
            }
        };
        let body = match query.and_then(|query| self.answer(now, from.ip().to_canonical(), query)) {
            Ok(body) => body,
            Err(error) => refusal(&error),
        };
        HttpReply { status: 200, body }
    }

    fn answer(&mut self, now: Instant, ip: IpAddr, query: Query) -> Result<Vec<u8>, RequestError> {
        match query {
            Query::Announce { request, ip: named, compact, peer_ids } => {
                let named = named.or(request.ipv4.map(Into::into)).or(request.ipv6.map(Into::into));
                let announce = Announce {
                    wanted: super::peers_wanted(request.num_want),
                    both_families: true,
                    ..super::announce(&request, super::address(ip, named))
                };
                let answer = self.registry.announce(now, &announce)?;
                Ok(write_announce(&self.config, ip, &answer, compact, peer_ids))
            }
            Query::Scrape { info_hashes } => {
                let mut swarms: Vec<_> = info_hashes
                    .into_iter()
                    .filter_map(|hash| Some((hash, self.registry.scrape(hash)?)))
                    .collect();
                swarms.sort_by_key(|(hash, _)| *hash);
                swarms.dedup_by_key(|(hash, _)| *hash);
                Ok(write_scrape(&swarms))
            }
        }
    }
}

fn write_announce(
    config: &ServerConfig,
    ip: IpAddr,
    answer: &Answer,
    compact: bool,
    peer_ids: bool,
) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"complete").int(answer.swarm.seeders.into());
        out.key(b"downloaded").int(answer.swarm.downloaded.into());
        match ip {
            IpAddr::V4(ip) => out.key(b"external ip").bytes(&ip.octets()),
            IpAddr::V6(ip) => out.key(b"external ip").bytes(&ip.octets()),
        }
        out.key(b"incomplete").int(answer.swarm.leechers.into());
        out.key(b"interval").int(config.interval.as_secs().try_into().unwrap_or(i64::MAX));
        out.key(b"min interval").int(config.min_interval.as_secs().try_into().unwrap_or(i64::MAX));
        if compact {
            let of = |family| {
                let mut bytes = Vec::new();
                let peers = answer.peers.iter().map(|(addr, _)| addr);
                peers
                    .filter(|addr| Family::of(addr.ip()) == family)
                    .for_each(|addr| put_compact(&mut bytes, addr));
                bytes
            };
            out.key(b"peers").bytes(&of(Family::V4));
            let peers6 = of(Family::V6);
            if !peers6.is_empty() {
                out.key(b"peers6").bytes(&peers6);
            }
        } else {
            out.key(b"peers").list(|out| {
                for (addr, id) in &answer.peers {
                    out.dict(|out| {
                        out.key(b"ip").bytes(addr.ip().to_string().as_bytes());
                        if peer_ids {
                            out.key(b"peer id").bytes(&id.0);
                        }
                        out.key(b"port").int(addr.port().into());
                    });
                }
            });
        }
    });
    out.finish()
}

/// The swarms are sorted, each once.
fn write_scrape(swarms: &[(Sha1Digest, ScrapeEntry)]) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"files").dict(|out| {
            for (hash, swarm) in swarms {
                out.key(&hash.0).dict(|out| {
                    out.key(b"complete").int(swarm.seeders.into());
                    out.key(b"downloaded").int(swarm.downloaded.into());
                    out.key(b"incomplete").int(swarm.leechers.into());
                });
            }
        });
    });
    out.finish()
}

fn refusal(error: &RequestError) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"failure reason").bytes(error.to_string().as_bytes());
        if let RequestError::Full(_) = error {
            // Minutes (BEP 31).
            out.key(b"retry in").int(30);
        }
    });
    out.finish()
}

fn parse_announce(query: &[u8]) -> Result<Query, RequestError> {
    let parameters = parameters(query)?;
    let bytes = |key: &str| parameters.iter().find(|(k, _)| k == key.as_bytes()).map(|(_, v)| v);
    let text = |key: &str| bytes(key).and_then(|value| str::from_utf8(value).ok());
    let number = |key: &str| text(key).and_then(|value| value.parse::<u64>().ok());
    let twenty = |key: &'static str| {
        bytes(key)
            .and_then(|value| <[u8; 20]>::try_from(value.as_slice()).ok())
            .ok_or(RequestError::NotTwentyBytes(key))
    };
    let request = AnnounceRequest {
        info_hash: Sha1Digest(twenty("info_hash")?),
        peer_id: PeerId(twenty("peer_id")?),
        port: number("port")
            .and_then(|port| u16::try_from(port).ok())
            .filter(|&port| port != 0)
            .ok_or(RequestError::BadPort)?,
        transfer: Transfer {
            uploaded: number("uploaded").unwrap_or_default(),
            downloaded: number("downloaded").unwrap_or_default(),
            left: number("left"),
        },
        event: match text("event") {
            Some("started") => Event::Started,
            Some("completed") => Event::Completed,
            Some("stopped") => Event::Stopped,
            Some("paused") => Event::Paused,
            _ => Event::None,
        },
        // Some clients say -1 where they have no wish.
        num_want: number("numwant").and_then(|count| u32::try_from(count).ok()),
        key: text("key").and_then(|key| u32::from_str_radix(key, 16).ok()).unwrap_or_default(),
        tracker_id: None,
        ipv4: text("ipv4").and_then(|ip| ip.parse().ok()),
        ipv6: text("ipv6").and_then(|ip| ip.parse().ok()),
    };
    Ok(Query::Announce {
        request,
        ip: text("ip").and_then(|ip| ip.parse().ok()),
        compact: text("compact") != Some("0"),
        peer_ids: text("no_peer_id") != Some("1"),
    })
}

fn parse_scrape(query: &[u8]) -> Result<Query, RequestError> {
    let hashes = parameters(query)?.into_iter().filter(|(key, _)| key == b"info_hash");
    let info_hashes: Vec<_> = hashes
        .map(|(_, value)| Sha1Digest::from_slice(&value))
        .collect::<Option<_>>()
        .ok_or(RequestError::NotTwentyBytes("info_hash"))?;
    // A scrape of everything is what nobody needs and everybody pays for.
    if info_hashes.is_empty() || info_hashes.len() > SCRAPE_MAX {
        return Err(RequestError::BadScrape);
    }
    Ok(Query::Scrape { info_hashes })
}

type Parameter = (Vec<u8>, Vec<u8>);

/// Takes a query apart. A plus sign is one: nobody writes a space that way here, and some clients
/// leave it unescaped in a peer id.
fn parameters(query: &[u8]) -> Result<Vec<Parameter>, RequestError> {
    let parts: Vec<_> = query
        .split(|&byte| byte == b'&')
        .filter(|part| !part.is_empty())
        .take(PARAMETERS_MAX + 1)
        .collect();
    if parts.len() > PARAMETERS_MAX {
        return Err(RequestError::TooLong);
    }
    let split = |part: &[u8]| match part.iter().position(|&byte| byte == b'=') {
        Some(at) => (unescape(&part[..at]), unescape(&part[at + 1..])),
        None => (unescape(part), Vec::new()),
    };
    Ok(parts.into_iter().map(split).collect())
}

/// Turns %XX into bytes; what only looks like it stays as it is.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        if first == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            out.push((high << 4 | low) as u8);
            rest = after;
        } else {
            out.push(first);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::http::{parse_announce as read_announce, parse_scrape as read_scrape};
    use crate::tracker::{AnnounceResponse, Retry, TrackerError};
    use althing_base::Seed;
    use proptest::prelude::*;
    use std::time::Duration;

    const HASH: Sha1Digest =
        Sha1Digest(*b"i\xd5\xf27\xf8~\xc1\x89\xb3\xdf\xa7?\x16\x85v\xc2\xed|L\x80");

    fn server() -> Server {
        Server::new(ServerConfig::default(), Seed::from_u64(5))
    }

    fn get(server: &mut Server, host: u8, target: &str) -> HttpReply {
        server.handle_get(Instant::ORIGIN, ([192, 0, 2, host], 40_000).into(), target.as_bytes())
    }

    fn announce(server: &mut Server, host: u8, target: &str) -> AnnounceResponse {
        let reply = get(server, host, target);
        assert_eq!(reply.status, 200);
        read_announce(&reply.body).expect("an answer")
    }

    /// Captured from libtorrent 2.1.1, Transmission 3.00 and aria2 1.36.0.
    const CLIENTS: [&str; 3] = [
        "/announce?passkey=a%2Fb&info_hash=i%d5%f27%f8~%c1%89%b3%df%a7%3f%16%85v%c2%ed%7cL%80\
         &peer_id=-LT2110-AjDu42ZJ0qop&port=7102&uploaded=0&downloaded=0&left=100000&corrupt=0\
         &key=EB216F71&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
        "/announce?passkey=a%2Fb&info_hash=i%d5%f27%f8~%c1%89%b3%df%a7%3f%16%85v%c2%ed%7cL%80\
         &peer_id=-TR3000-by7s3awj9pik&port=7101&uploaded=0&downloaded=0&left=100000&numwant=80\
         &key=5d74998c&compact=1&supportcrypto=1&event=started",
        "/announce?passkey=a%2Fb&info_hash=i%D5%F27%F8~%C1%89%B3%DF%A7%3F%16%85v%C2%ED%7CL%80\
         &peer_id=A2-1-36-0-%16g%ADH%60D%AB%FD%1Fr&uploaded=0&downloaded=0&left=100000&compact=1\
         &key=%ADH%60D%AB%FD%1Fr&numwant=50&no_peer_id=1&port=7100&event=started&supportcrypto=1",
    ];

    #[test]
    fn what_clients_send() {
        let read = |target: &str| {
            let (_, query) = target.split_once('?').expect("a query");
            match parse_announce(query.as_bytes()) {
                Ok(Query::Announce { request, compact: true, .. }) => request,
                other => panic!("{other:?}"),
            }
        };
        let [libtorrent, transmission, aria2] = CLIENTS.map(read);
        assert_eq!(
            libtorrent,
            AnnounceRequest {
                transfer: Transfer { uploaded: 0, downloaded: 0, left: Some(100_000) },
                event: Event::Started,
                key: 0xeb21_6f71,
                ..AnnounceRequest::new(HASH, PeerId(*b"-LT2110-AjDu42ZJ0qop"), 7102)
            }
        );
        assert_eq!((transmission.port, transmission.num_want), (7101, Some(80)));
        assert_eq!(aria2.peer_id, PeerId(*b"A2-1-36-0-\x16g\xadH`D\xab\xfd\x1fr"));

        let mut server = server();
        let found = [1, 2, 3]
            .map(|host| announce(&mut server, host, CLIENTS[usize::from(host) - 1]).peers.len());
        assert_eq!(found, [0, 1, 2]);
    }

    #[test]
    fn the_answer_byte_for_byte() {
        let mut server = server();
        announce(&mut server, 1, CLIENTS[0]);
        let reply = get(&mut server, 2, CLIENTS[1]);
        insta::assert_snapshot!(
            reply.body.escape_ascii(),
            @r"d8:completei0e10:downloadedi0e11:external ip4:\xc0\x00\x02\x0210:incompletei2e8:intervali1800e12:min intervali60e5:peers6:\xc0\x00\x02\x01\x1b\xbee"
        );
        let reply = get(&mut server, 2, &CLIENTS[1].replace("compact=1", "compact=0"));
        insta::assert_snapshot!(
            reply.body.escape_ascii(),
            @r"d8:completei0e10:downloadedi0e11:external ip4:\xc0\x00\x02\x0210:incompletei2e8:intervali1800e12:min intervali60e5:peersld2:ip9:192.0.2.17:peer id20:-LT2110-AjDu42ZJ0qop4:porti7102eeee"
        );
        let scrape = "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa\
            &info_hash=i%d5%f27%f8~%c1%89%b3%df%a7%3f%16%85v%c2%ed%7cL%80";
        let body = get(&mut server, 3, scrape).body;
        insta::assert_snapshot!(
            body.escape_ascii(),
            @r"d5:filesd20:i\xd5\xf27\xf8~\xc1\x89\xb3\xdf\xa7?\x16\x85v\xc2\xed|L\x80d8:completei0e10:downloadedi0e10:incompletei2eeee"
        );
        let swarm = ScrapeEntry { leechers: 2, ..ScrapeEntry::default() };
        assert_eq!(read_scrape(&body), Ok(vec![(HASH, swarm)]));
    }

    #[test]
    fn both_kinds_of_address_are_told() {
        let mut server = server();
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 40_000));
        server.handle_get(Instant::ORIGIN, v6, CLIENTS[0].as_bytes());
        let answer = announce(&mut server, 1, CLIENTS[1]);
        assert_eq!(answer.peers, [SocketAddr::new(v6.ip(), 7102)]);
        assert_eq!(answer.external_ip, Some([192, 0, 2, 1].into()));
        assert_eq!(answer.interval, Some(Duration::from_secs(1800)));
        let reply = server.handle_get(Instant::ORIGIN, v6, CLIENTS[0].as_bytes());
        let answer = read_announce(&reply.body).expect("an answer");
        assert_eq!(answer.peers, [([192, 0, 2, 1], 7101).into()]);
        assert_eq!(answer.external_ip, Some(v6.ip()));
    }

    #[test]
    fn addresses_are_only_believed_from_this_machine() {
        let mut server = server();
        let named = format!("{}&ip=203.0.113.7", CLIENTS[0]);
        get(&mut server, 1, &named);
        let local = ([127, 0, 0, 1], 40_000).into();
        server.handle_get(Instant::ORIGIN, local, named.as_bytes());
        let mut peers = announce(&mut server, 9, CLIENTS[1]).peers;
        peers.sort();
        assert_eq!(peers, [([192, 0, 2, 1], 7102).into(), ([203, 0, 113, 7], 7102).into()]);
    }

    #[test]
    fn refusals_are_sentences() {
        let mut server = server();
        let mut refused = |target: &str| {
            let reply = get(&mut server, 1, target);
            match read_announce(&reply.body) {
                Err(TrackerError::Refused { reason, retry: Retry::Unsaid }) => reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused("/announce"), "info_hash is missing or not 20 bytes long");
        let query = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=b";
        assert_eq!(refused(query), "peer_id is missing or not 20 bytes long");
        let port = "port is missing or not a number from 1 to 65535";
        for bad in ["port=0", "port=65536", "port=-1", "port=x", ""] {
            assert_eq!(refused(&CLIENTS[0].replace("port=7102", bad)), port);
        }
        let scrape = "name the torrents to scrape; at most 74 at once";
        assert_eq!(refused("/scrape"), scrape);
        assert_eq!(
            refused(&format!("/scrape?{}", "info_hash=aaaaaaaaaaaaaaaaaaaa&".repeat(75))),
            scrape
        );
        assert_eq!(refused("/scrape?info_hash=a"), "info_hash is missing or not 20 bytes long");
        assert_eq!(refused(&format!("/announce?{}", "a&".repeat(129))), "the request is too long");
        assert_eq!(refused(&format!("/announce?{}", "a".repeat(9000))), "the request is too long");
        assert_eq!(get(&mut server, 1, "/").status, 404);

        let config = ServerConfig { peers_max: 0, ..ServerConfig::default() };
        let reply = get(&mut Server::new(config, Seed::from_u64(1)), 1, CLIENTS[0]);
        let error = TrackerError::Refused {
            reason: "this tracker has as many peers as it can keep; try again later".into(),
            retry: Retry::After(Duration::from_secs(1800)),
        };
        assert_eq!(read_announce(&reply.body), Err(error));
    }

    #[test]
    fn escapes() {
        let check = |text: &[u8], expected: &[u8]| assert_eq!(unescape(text), expected);
        check(b"a%20b", b"a b");
        check(b"%C3%bc+%%41%4", b"\xc3\xbc+%A%4");
        check(b"%zz%", b"%zz%");
    }

    proptest! {
        /// What our client writes our tracker reads.
        #[test]
        fn announces_go_both_ways(
            hash: [u8; 20], id: [u8; 20], port in 1..=u16::MAX, uploaded: u64, downloaded: u64,
            left: u64, key: u32, num_want: Option<u32>, event in 0..5usize,
        ) {
            let written = AnnounceRequest {
                transfer: Transfer { uploaded, downloaded, left: Some(left) },
                event: [
                    Event::None,
                    Event::Completed,
                    Event::Started,
                    Event::Stopped,
                    Event::Paused,
                ][event],
                num_want,
                key,
                ..AnnounceRequest::new(Sha1Digest(hash), PeerId(id), port)
            };
            let url = crate::tracker::TrackerUrl::parse("http://t/announce").expect("a URL");
            let url = crate::tracker::http::announce_url(&url, &written);
            let (_, query) = url.split_once('?').expect("a query");
            match parse_announce(query.as_bytes()) {
                Ok(Query::Announce { request, compact: true, peer_ids: false, ip: None }) => {
                    prop_assert_eq!(request, written);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn any_target_is_answered(target: Vec<u8>, announce: bool) {
            let path = if announce { &b"/announce?"[..] } else { b"/scrape?" };
            let from = ([192, 0, 2, 1], 1).into();
            let reply = server().handle_get(Instant::ORIGIN, from, &[path, &target].concat());
            prop_assert!(reply.body.starts_with(b"d"));
        }
    }
}
