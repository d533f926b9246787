//! The packets of UDP trackers, both ways (BEP 15), with the URL as an option (BEP 41). The client
//! and the server share them, so what one writes the other's parser is tested on.

use crate::text::printable;
use crate::tracker::limits::{
    MESSAGE_CHARS_MAX, RESPONSE_PEERS_MAX, SCRAPE_MAX, SCRAPE_SENT_MAX, UDP_TARGET_BYTES_MAX,
};
use crate::tracker::types::{compact_v4, compact_v6, is_peer_address, put_compact};
use crate::tracker::{AnnounceRequest, Event, Family, ScrapeEntry, Transfer};
use crate::types::PeerId;
use althing_base::Sha1Digest;
use bytes::{Buf, BufMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What a connect request starts with in place of a connection id.
const PROTOCOL_ID: u64 = 0x417_2710_1980;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Bytes of an announce before its options.
const ANNOUNCE_LEN: usize = 98;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const URL_DATA: u8 = 2;

/// A number that a client draws for each request and the tracker repeats.
pub type TransactionId = u32;

/// Shows a tracker that the client receives what is sent to its address.
pub type ConnectionId = u64;

/// What a client sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Asks for a connection id.
    Connect {
        /// To be repeated.
        transaction: TransactionId,
    },
    /// Announces. The request's `tracker_id` and `ipv6` have no place in it.
    Announce {
        /// From the answer to a connect.
        connection: ConnectionId,
        /// To be repeated.
        transaction: TransactionId,
        /// What it says.
        request: AnnounceRequest,
        /// Path and query of the tracker's URL (BEP 41); left out if they are longer than
        /// [`UDP_TARGET_BYTES_MAX`] bytes.
        target: Vec<u8>,
    },
    /// Scrapes.
    Scrape {
        /// From the answer to a connect.
        connection: ConnectionId,
        /// To be repeated.
        transaction: TransactionId,
        /// The swarms, at least one and at most [`SCRAPE_MAX`]; [`SCRAPE_SENT_MAX`] are written.
        info_hashes: Vec<Sha1Digest>,
    },
}

impl Request {
    /// Reads a packet; `None` if it is no request. What follows a request's known fields is
    /// ignored (BEP 15: "do not expect packets to be exactly of a certain size").
    pub fn parse(mut packet: &[u8]) -> Option<Self> {
        if packet.len() < 16 {
            return None;
        }
        let connection = packet.get_u64();
        let action = packet.get_u32();
        let transaction = packet.get_u32();
        match action {
            CONNECT if connection == PROTOCOL_ID => Some(Request::Connect { transaction }),
            ANNOUNCE if packet.len() >= ANNOUNCE_LEN - 16 => {
                let request = get_announce(&mut packet)?;
                Some(Request::Announce {
                    connection,
                    transaction,
                    request,
                    target: target(packet)?,
                })
            }
            SCRAPE => {
                let info_hashes: Vec<_> = packet
                    .chunks_exact(Sha1Digest::LEN)
                    .filter_map(Sha1Digest::from_slice)
                    .take(SCRAPE_MAX + 1)
                    .collect();
                (1..=SCRAPE_MAX).contains(&info_hashes.len()).then_some(Request::Scrape {
                    connection,
                    transaction,
                    info_hashes,
                })
            }
            _ => None,
        }
    }

    /// The packet to send.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ANNOUNCE_LEN);
        match self {
            Request::Connect { transaction } => {
                put_header(&mut out, PROTOCOL_ID, CONNECT, *transaction);
            }
            Request::Announce { connection, transaction, request, target } => {
                put_header(&mut out, *connection, ANNOUNCE, *transaction);
                put_announce(&mut out, request);
                let whole = target.len() <= UDP_TARGET_BYTES_MAX;
                for part in target.chunks(255).filter(|_| whole) {
                    out.extend([URL_DATA, part.len() as u8]);
                    out.extend(part);
                }
            }
            Request::Scrape { connection, transaction, info_hashes } => {
                put_header(&mut out, *connection, SCRAPE, *transaction);
                for hash in info_hashes.iter().take(SCRAPE_SENT_MAX) {
                    out.extend(hash.0);
                }
            }
        }
        out
    }
}

fn put_header(out: &mut Vec<u8>, connection: u64, action: u32, transaction: u32) {
    out.put_u64(connection);
    out.put_u32(action);
    out.put_u32(transaction);
}

fn put_announce(out: &mut Vec<u8>, request: &AnnounceRequest) {
    out.put_slice(&request.info_hash.0);
    out.put_slice(&request.peer_id.0);
    out.put_u64(request.transfer.downloaded);
    out.put_u64(request.transfer.left_announced());
    out.put_u64(request.transfer.uploaded);
    out.put_u32(match request.event {
        Event::None | Event::Paused => 0,
        Event::Completed => 1,
        Event::Started => 2,
        Event::Stopped => 3,
    });
    out.put_u32(request.ipv4.map_or(0, Into::into));
    out.put_u32(request.key);
    out.put_u32(request.num_want.unwrap_or(u32::MAX));
    out.put_u16(request.port);
}

/// The fields of an announce after its header; `packet` has that many bytes. `None` if the event
/// is none.
fn get_announce(packet: &mut &[u8]) -> Option<AnnounceRequest> {
    let mut info_hash = Sha1Digest::ZERO;
    packet.copy_to_slice(&mut info_hash.0);
    let mut peer_id = PeerId([0; 20]);
    packet.copy_to_slice(&mut peer_id.0);
    let downloaded = packet.get_u64();
    let left = packet.get_u64();
    let uploaded = packet.get_u64();
    let event = match packet.get_u32() {
        0 => Event::None,
        1 => Event::Completed,
        2 => Event::Started,
        3 => Event::Stopped,
        _ => return None,
    };
    let ipv4 = Ipv4Addr::from(packet.get_u32());
    let key = packet.get_u32();
    let num_want = packet.get_u32();
    let port = packet.get_u16();
    Some(AnnounceRequest {
        info_hash,
        peer_id,
        port,
        transfer: Transfer { uploaded, downloaded, left: Some(left) },
        event,
        num_want: (num_want <= i32::MAX as u32).then_some(num_want),
        key,
        tracker_id: None,
        ipv4: (!ipv4.is_unspecified()).then_some(ipv4),
        ipv6: None,
    })
}

/// The URL's path and query from an announce's options; `None` if they are longer than any we take
/// or end in the middle.
fn target(mut options: &[u8]) -> Option<Vec<u8>> {
    let mut target = Vec::new();
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            END_OF_OPTIONS => break,
            NO_OPERATION => options = rest,
            _ => {
                let (&len, rest) = rest.split_first()?;
                let (data, rest) = rest.split_at_checked(len.into())?;
                if kind == URL_DATA {
                    target.extend(data);
                }
                options = rest;
            }
        }
    }
    (target.len() <= UDP_TARGET_BYTES_MAX).then_some(target)
}

/// What a tracker answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Response {
    /// To a connect.
    Connect {
        /// The request's.
        transaction: TransactionId,
        /// For requests of the next minute.
        connection: ConnectionId,
    },
    /// To an announce.
    Announce {
        /// The request's.
        transaction: TransactionId,
        /// Time to the next announce, in whole seconds.
        interval: Duration,
        /// Peers that do not have everything.
        leechers: u32,
        /// Peers that do.
        seeders: u32,
        /// Where peers listen, all of one family.
        peers: Vec<SocketAddr>,
    },
    /// To a scrape.
    Scrape {
        /// The request's.
        transaction: TransactionId,
        /// In the order of the request.
        entries: Vec<ScrapeEntry>,
    },
    /// To anything.
    Error {
        /// The request's.
        transaction: TransactionId,
        /// The tracker's words.
        message: String,
    },
}

impl Response {
    /// Reads a packet from a tracker whose address is of `family`; `None` if it is no answer.
    pub fn parse(mut packet: &[u8], family: Family) -> Option<Self> {
        if packet.len() < 8 {
            return None;
        }
        let action = packet.get_u32();
        let transaction = packet.get_u32();
        match action {
            CONNECT if packet.len() >= 8 => {
                Some(Response::Connect { transaction, connection: packet.get_u64() })
            }
            ANNOUNCE if packet.len() >= 12 => Some(Response::Announce {
                transaction,
                interval: Duration::from_secs(packet.get_u32().into()),
                leechers: packet.get_u32(),
                seeders: packet.get_u32(),
                peers: match family {
                    Family::V4 => peers(compact_v4(packet)),
                    Family::V6 => peers(compact_v6(packet)),
                },
            }),
            SCRAPE => {
                let entries =
                    packet.chunks_exact(12).take(SCRAPE_MAX).map(|mut entry| ScrapeEntry {
                        seeders: entry.get_u32(),
                        downloaded: entry.get_u32(),
                        leechers: entry.get_u32(),
                    });
                Some(Response::Scrape { transaction, entries: entries.collect() })
            }
            ERROR => {
                Some(Response::Error { transaction, message: printable(packet, MESSAGE_CHARS_MAX) })
            }
            _ => None,
        }
    }

    /// The packet to send. The peers are of the family of the client's address.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Response::Connect { transaction, connection } => {
                put_response(&mut out, CONNECT, *transaction);
                out.put_u64(*connection);
            }
            Response::Announce { transaction, interval, leechers, seeders, peers } => {
                put_response(&mut out, ANNOUNCE, *transaction);
                out.put_u32(interval.as_secs().try_into().unwrap_or(u32::MAX));
                out.put_u32(*leechers);
                out.put_u32(*seeders);
                peers.iter().for_each(|peer| put_compact(&mut out, peer));
            }
            Response::Scrape { transaction, entries } => {
                put_response(&mut out, SCRAPE, *transaction);
                for entry in entries {
                    out.put_u32(entry.seeders);
                    out.put_u32(entry.downloaded);
                    out.put_u32(entry.leechers);
                }
            }
            Response::Error { transaction, message } => {
                put_response(&mut out, ERROR, *transaction);
                out.put_slice(message.as_bytes());
            }
        }
        out
    }

    /// The transaction that it answers.
    pub fn transaction(&self) -> TransactionId {
        match self {
            Response::Connect { transaction, .. }
            | Response::Announce { transaction, .. }
            | Response::Scrape { transaction, .. }
            | Response::Error { transaction, .. } => *transaction,
        }
    }
}

fn put_response(out: &mut Vec<u8>, action: u32, transaction: u32) {
    out.put_u32(action);
    out.put_u32(transaction);
}

fn peers(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    addresses.filter(is_peer_address).take(RESPONSE_PEERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: Sha1Digest =
        Sha1Digest(*b"i\xd5\xf27\xf8~\xc1\x89\xb3\xdf\xa7?\x16\x85v\xc2\xed|L\x80");

    fn check(packet: &[u8], expected: &Request) {
        assert_eq!(Request::parse(packet).as_ref(), Some(expected));
        assert_eq!(expected.encode(), packet);
    }

    /// Captured from libtorrent 2.1.1 and Transmission 3.00.
    #[test]
    fn what_clients_send() {
        let connect = b"\x00\x00\x04\x17'\x10\x19\x80\x00\x00\x00\x00:\x92\xc2n";
        check(connect, &Request::Connect { transaction: 0x3a92_c26e });

        let connection = u64::from_be_bytes(*b"CONNID!!");
        let announce =
            b"CONNID!!\x00\x00\x00\x01VB\xd2\xaei\xd5\xf27\xf8~\xc1\x89\xb3\xdf\xa7?\x16\
            \x85v\xc2\xed|L\x80-LT2110-!zfFS0aPEnYO\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
            \x00\x01\x86\xa0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\xec16U\
            \x00\x00\x00\xc8\x1b\xbe\x02\x17/announce?passkey=a%2Fb";
        let expected = Request::Announce {
            connection,
            transaction: 0x5642_d2ae,
            request: AnnounceRequest {
                transfer: Transfer { uploaded: 0, downloaded: 0, left: Some(100_000) },
                event: Event::Started,
                key: 0xec31_3655,
                ..AnnounceRequest::new(HASH, PeerId(*b"-LT2110-!zfFS0aPEnYO"), 7102)
            },
            target: b"/announce?passkey=a%2Fb".to_vec(),
        };
        check(announce, &expected);

        let scrape =
            b"CONNID!!\x00\x00\x00\x02r6\\\x1ei\xd5\xf27\xf8~\xc1\x89\xb3\xdf\xa7?\x16\x85v\
            \xc2\xed|L\x80";
        let info_hashes = vec![HASH];
        check(scrape, &Request::Scrape { connection, transaction: 0x7236_5c1e, info_hashes });
    }

    #[test]
    fn options_of_bep_41() {
        let announce = Request::Announce {
            connection: 1,
            transaction: 2,
            request: AnnounceRequest::new(HASH, PeerId([0; 20]), 1),
            target: Vec::new(),
        };
        let read = |options: &[u8]| match Request::parse(&[&announce.encode(), options].concat()) {
            Some(Request::Announce { target, .. }) => Some(target),
            _ => None,
        };
        assert_eq!(read(b""), Some(vec![]));
        assert_eq!(read(b"\x02\x0c/dir?a=b&c=d"), Some(b"/dir?a=b&c=d".to_vec()));
        assert_eq!(read(b"\x02\x0c/dir?a=b&c=d\x01\x01\x00\xff"), Some(b"/dir?a=b&c=d".to_vec()));
        assert_eq!(read(b"\x02\x00"), Some(vec![]));
        assert_eq!(read(b"\x07\x02xx\x02\x01/\x02\x01a"), Some(b"/a".to_vec()));
        assert_eq!(read(b"\x02"), None);
        assert_eq!(read(b"\x02\x05abc"), None);
        assert_eq!(read(&[&b"\x02\xff"[..], &[b'a'; 255]].concat().repeat(5)), None);
    }

    #[test]
    fn what_is_no_request() {
        assert_eq!(Request::parse(b""), None);
        assert_eq!(Request::parse(&[0; 15]), None);
        // A connect without the protocol's number, an unknown action, an announce cut short.
        assert_eq!(Request::parse(&[0; 16]), None);
        assert_eq!(Request::parse(&[3; 200]), None);
        let mut short = [0; 97];
        short[11] = 1;
        assert_eq!(Request::parse(&short), None);
        // A scrape of nothing, and of one too many.
        for count in [0, SCRAPE_MAX + 1] {
            let mut scrape = vec![0; 16 + 20 * count];
            scrape[11] = 2;
            assert_eq!(Request::parse(&scrape), None);
        }
    }

    #[test]
    fn answers() {
        let packet = b"\0\0\0\x01\0\0\0\x07\0\0\x07\x08\0\0\0\x02\0\0\0\x03\
            \x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\0\0rest";
        let expected = Response::Announce {
            transaction: 7,
            interval: Duration::from_secs(1800),
            leechers: 2,
            seeders: 3,
            peers: vec![([1, 2, 3, 4], 6881).into()],
        };
        assert_eq!(Response::parse(packet, Family::V4), Some(expected));
        let error = Response::Error { transaction: 7, message: "no\u{fffd}".into() };
        assert_eq!(Response::parse(b"\0\0\0\x03\0\0\0\x07no\n", Family::V4), Some(error));
        for packet in [
            &b""[..],
            b"\0\0\0\0\0\0\0\x07short",
            b"\0\0\0\x01\0\0\0\x0712345678901",
            b"\0\0\0\x09\0\0\0\x07",
        ] {
            assert_eq!(Response::parse(packet, Family::V4), None);
        }
    }

    fn any_hash() -> impl Strategy<Value = Sha1Digest> {
        any::<[u8; 20]>().prop_map(Sha1Digest)
    }

    prop_compose! {
        fn any_announce()(
            info_hash in any_hash(), peer_id: [u8; 20], port: u16, uploaded: u64, downloaded: u64,
            left: u64, event in 0..4usize, num_want in proptest::option::of(0..=i32::MAX as u32),
            key: u32, ipv4 in proptest::option::of((1u32..).prop_map(Ipv4Addr::from)),
        ) -> AnnounceRequest {
            AnnounceRequest {
                info_hash,
                peer_id: PeerId(peer_id),
                port,
                transfer: Transfer { uploaded, downloaded, left: Some(left) },
                event: [Event::None, Event::Completed, Event::Started, Event::Stopped][event],
                num_want, key, tracker_id: None, ipv4, ipv6: None,
            }
        }
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let target = proptest::collection::vec(any::<u8>(), 0..=UDP_TARGET_BYTES_MAX);
        let hashes = proptest::collection::vec(any_hash(), 1..=SCRAPE_SENT_MAX);
        prop_oneof![
            any::<u32>().prop_map(|transaction| Request::Connect { transaction }),
            (any::<u64>(), any::<u32>(), any_announce(), target).prop_map(
                |(connection, transaction, request, target)| Request::Announce {
                    connection,
                    transaction,
                    request,
                    target
                }
            ),
            (any::<u64>(), any::<u32>(), hashes).prop_map(
                |(connection, transaction, info_hashes)| Request::Scrape {
                    connection,
                    transaction,
                    info_hashes
                }
            ),
        ]
    }

    fn any_response() -> impl Strategy<Value = Response> {
        let peer = (any::<[u8; 4]>(), 1..=u16::MAX)
            .prop_map(SocketAddr::from)
            .prop_filter("no peer's address", is_peer_address);
        let entry = any::<(u32, u32, u32)>().prop_map(|(seeders, leechers, downloaded)| {
            ScrapeEntry { seeders, leechers, downloaded }
        });
        prop_oneof![
            any::<(u32, u64)>().prop_map(|(transaction, connection)| Response::Connect {
                transaction,
                connection
            }),
            (any::<(u32, u32, u32, u32)>(), proptest::collection::vec(peer, 0..20)).prop_map(
                |((transaction, seconds, leechers, seeders), peers)| Response::Announce {
                    transaction,
                    interval: Duration::from_secs(seconds.into()),
                    leechers,
                    seeders,
                    peers
                }
            ),
            (any::<u32>(), proptest::collection::vec(entry, 0..=SCRAPE_MAX))
                .prop_map(|(transaction, entries)| Response::Scrape { transaction, entries }),
            (any::<u32>(), "[ -~]{0,200}")
                .prop_map(|(transaction, message)| Response::Error { transaction, message }),
        ]
    }

    proptest! {
        #[test]
        fn requests_go_both_ways(request in any_request()) {
            prop_assert_eq!(Request::parse(&request.encode()), Some(request));
        }

        #[test]
        fn responses_go_both_ways(response in any_response()) {
            prop_assert_eq!(Response::parse(&response.encode(), Family::V4), Some(response));
        }

        #[test]
        fn any_bytes_are_read_or_refused(packet: Vec<u8>, v6: bool) {
            let _ = Request::parse(&packet);
            let family = if v6 { Family::V6 } else { Family::V4 };
            let _ = Response::parse(&packet, family);
        }
    }
}
