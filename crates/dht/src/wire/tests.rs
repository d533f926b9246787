//! Messages as BEP 5 shows them, and properties.

use super::*;
use crate::limits::DATAGRAM_BYTES_MAX;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;

/// BEP 5's examples, of which each parses and is written the same way again.
#[test]
fn the_examples_of_bep_5() {
    let examples: [&[u8]; 9] = [
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti1e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti0e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node2:roi1e1:t2:aa1:v4:AL\x01\x001:y1:qe",
    ];
    for example in examples {
        let text = example.escape_ascii();
        let message = Message::parse(example).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(message.encode().escape_ascii().to_string(), text.to_string());
    }
}

#[test]
fn a_question_that_cannot_be_is_told_to_who_asked() {
    let text = b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe";
    let Err(ParseError::BadQuery { transaction, refusal }) = Message::parse(text) else {
        panic!("no torrent is named");
    };
    assert_eq!(&transaction[..], b"aa");
    assert_eq!(refusal.code, Refusal::PROTOCOL);
}

#[test]
fn a_question_from_the_future_is_answered_like_find_node() {
    let text =
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q5:laugh1:t1:a1:y1:qe";
    let message = Message::parse(text).expect("it has all that every question has");
    let Body::Query { query, .. } = message.body else { panic!("it is a question") };
    let Query::Unknown { target, .. } = *query else { panic!("nobody knows it") };
    assert_eq!(target, Some(NodeId(*b"mnopqrstuvwxyz123456")));
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(message in message()) {
        let text = message.encode();
        prop_assume!(text.len() <= DATAGRAM_BYTES_MAX);
        prop_assert_eq!(Message::parse(&text).expect("it was written here"), message);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(message in message(), at: prop::sample::Index, byte: u8) {
        let mut text = message.encode();
        let at = at.index(text.len());
        text[at] = byte;
        let _ = Message::parse(&text);
    }
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        (id(), any::<bool>(), query()).prop_map(|(from, read_only, query)| Body::Query {
            from,
            read_only,
            query: Box::new(query)
        }),
        response().prop_map(|response| Body::Response(Box::new(response))),
        (any::<i64>(), "[a-z ]{0,40}").prop_map(|(code, text)| Body::Error(Refusal { code, text })),
    ];
    (bytes(16), any::<Option<[u8; 4]>>(), body).prop_map(|(transaction, version, body)| Message {
        transaction,
        version,
        body,
    })
}

fn query() -> impl Strategy<Value = Query> {
    let port =
        prop_oneof![Just(AnnouncedPort::Implied), (1..=u16::MAX).prop_map(AnnouncedPort::Given)];
    prop_oneof![
        Just(Query::Ping),
        (id(), want()).prop_map(|(target, want)| Query::FindNode { target, want }),
        (id(), want(), any::<bool>(), any::<bool>()).prop_map(
            |(info_hash, want, no_seeds, scrape)| Query::GetPeers {
                info_hash,
                want,
                no_seeds,
                scrape
            }
        ),
        (id(), port, bytes(20), any::<bool>()).prop_map(|(info_hash, port, token, seed)| {
            Query::AnnouncePeer { info_hash, port, token, seed }
        }),
        (id(), any::<Option<i64>>(), want()).prop_map(|(target, newer_than, want)| Query::Get {
            target,
            newer_than,
            want
        }),
        (bytes(20), item(true), any::<Option<i64>>()).prop_map(|(token, item, cas)| Query::Put {
            token,
            item,
            cas
        }),
        (id(), want()).prop_map(|(target, want)| Query::SampleInfohashes { target, want }),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let node = (id(), addr()).prop_map(|(id, addr)| Node { id, addr });
    let bloom = any::<Option<u8>>().prop_map(|fill| Some(Box::new(Bloom([fill?; Bloom::LEN]))));
    let samples = (any::<u32>(), any::<u32>(), vec(id(), 0..20))
        .prop_map(|(interval, total, list)| Samples { interval, total, info_hashes: list });
    let said = (prop::option::of(addr()), vec(node, 0..8), prop::option::of(bytes(20)));
    let more = (vec(addr(), 0..20), bloom.clone(), bloom, prop::option::of(item(false)));
    let rest = (prop::option::of(samples), any::<Option<i64>>());
    (id(), said, more, rest).prop_map(|(id, said, more, (samples, seq))| {
        let (external, mut nodes, token) = said;
        // They are written one family after the other.
        nodes.sort_by_key(|node| node.addr.is_ipv6());
        let (peers, seeds_bloom, peers_bloom, item) = more;
        let seq = match &item {
            Some(Item::Mutable(mutable)) => Some(mutable.seq),
            _ => seq,
        };
        Response {
            external,
            nodes,
            token,
            peers,
            seeds_bloom,
            peers_bloom,
            item,
            seq,
            samples,
            ..Response::new(id)
        }
    })
}

fn item(salted: bool) -> impl Strategy<Value = Item> {
    let value = vec(any::<u8>(), 0..300).prop_map(|text| {
        let mut value = format!("{}:", text.len()).into_bytes();
        value.extend(text);
        Bytes::from(value)
    });
    let salt = bytes(if salted { 64 } else { 0 });
    let signature = vec(any::<u8>(), 64).prop_map(|bytes| bytes.try_into().expect("64 of them"));
    let mutable = (value.clone(), any::<[u8; 32]>(), salt, any::<i64>(), signature).prop_map(
        |(value, key, salt, seq, signature)| {
            Item::Mutable(Mutable { value, key, salt, seq, signature })
        },
    );
    prop_oneof![value.prop_map(|value| Item::Immutable { value }), mutable]
}

fn want() -> impl Strategy<Value = Want> {
    any::<(bool, bool)>().prop_map(|(v4, v6)| Want { v4, v6 })
}

fn id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), 1..=u16::MAX)
        .prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
        .prop_filter("somebody can have it", |addr| {
            let ip = addr.ip();
            let broadcast = ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
            !ip.is_unspecified() && !ip.is_multicast() && !broadcast
        })
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}
