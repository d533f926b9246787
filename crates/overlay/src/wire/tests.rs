//! Messages written down byte for byte, what must be refused, and that whatever is read is written the
//! same again.

use super::limits::{ANNOUNCED_MAX, RECORD_BYTES_MAX, SHUFFLE_CONTACTS_MAX, WALK_STEPS_MAX};
use super::*;
use crate::id::NodeId;
use crate::mail::envelope::{Envelope, MailId, Tag, Token};
use crate::records::Text;
use crate::search::hit::{Page, What};
use crate::search::words::{Term, words};
use althing_base::UnixTime;
use proptest::prelude::*;
use std::net::SocketAddr;

fn contact(number: u8, addr: &str) -> Contact {
    Contact { node: NodeId([number; 32]), addr: addr.parse().unwrap() }
}

fn check(message: &Message, expected: &[u8]) {
    assert_eq!(message.encode(), expected, "{message:?}");
    assert_eq!(message.encoded_len(), expected.len());
    assert_eq!(Message::parse(expected).as_ref(), Ok(message));
}

#[test]
fn the_encoding_is_the_one_that_is_written_down() {
    // docs/protocols/overlay.md
    let time = UnixTime(0x6500_0001);
    let hello = Hello { version: 1, features: 0x0102, port: Some(7716), is_super: true, time };
    check(
        &Message::Hello(hello),
        &[0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0x1e, 0x24, 1, 0, 0, 0, 0, 0x65, 0, 0, 1],
    );
    check(&Message::Join, &[1]);
    let v4 = contact(7, "192.0.2.1:7716");
    let in_v4 = [&[7; 32][..], &[4, 192, 0, 2, 1, 0x1e, 0x24]].concat();
    let forward = Message::ForwardJoin { contact: Box::new(v4), ttl: 5 };
    check(&forward, &[&[2, 5][..], &in_v4].concat());
    check(&Message::Neighbour { urgent: true }, &[3, 1]);
    check(&Message::NeighbourReply { yes: false }, &[4, 0]);
    check(&Message::Disconnect, &[5]);
    let v6 = contact(8, "[2001:db8::1]:1");
    let in_v6 =
        [&[8; 32][..], &[6, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]].concat();
    let shuffle = Message::Shuffle { token: 9, ttl: 4, contacts: vec![v4, v6] };
    check(&shuffle, &[&[6, 0, 0, 0, 0, 0, 0, 0, 9, 4][..], &in_v4, &in_v6].concat());
    check(&Message::ShuffleReply { token: 0, contacts: Vec::new() }, &[7, 0, 0, 0, 0, 0, 0, 0, 0]);
    check(&Message::Lean { others: 2 }, &[10, 2]);
    check(&Message::WhoIndexes, &[11]);
    let named = |leaves| vec![Indexer { contact: v4, leaves }];
    check(&Message::Indexers(named(Some(258))), &[&[12][..], &in_v4, &[1, 2]].concat());
    check(&Message::Indexers(named(None)), &[&[12][..], &in_v4, &[255, 255]].concat());
    check(&Message::Load { leaves: 258 }, &[13, 1, 2]);
    check(&Message::Ping, &[8]);
    check(&Message::Pong, &[9]);
    let record = Bytes::from_static(b"record");
    check(&Message::Gossip { hops: 3, record: record.clone() }, b"\x10\x03record");
    let id = RecordId([5; 32]);
    check(&Message::IHave(vec![Announced { id, hops: 2 }]), &[&[17][..], &[5; 32], &[2]].concat());
    check(&Message::Graft(Vec::new()), &[18]);
    check(&Message::Graft(vec![id]), &[&[18][..], &[5; 32]].concat());
    check(&Message::Prune, &[19]);
    let step = Bytes::from_static(b"step");
    check(&Message::Reconcile { is_answer: true, step }, b"\x20\x01step");
    check(&Message::Need(vec![id]), &[&[33][..], &[5; 32]].concat());
    check(&Message::Records(vec![record]), b"\x22\0\x06record");
    let toggled = [5, 0x40_0006].into_iter().filter_map(Term::new).collect();
    check(&Message::Terms { is_near: true, toggled }, &[48, 1, 0, 2, 0, 0, 5, 0x40, 0, 0]);
    let words = words("debian iso");
    let (what, receipt) = (What::Pages, true);
    let question = Question { id: 7, budget: 300, width: 16, wanted: 3, what, receipt, words };
    check(
        &Message::Query(Box::new(question)),
        b"\x31\0\0\0\0\0\0\0\x07\x01\x2c\x10\x03\x82\x06debian\x03iso",
    );
    let record = Bytes::from_static(b"record");
    let page = Page { path: Text::cleaned("a/b"), snippet: Text::cleaned("so") };
    let hits = vec![
        RawHit { record: record.clone(), page: None, is_doubtful: true },
        RawHit { record, page: Some(page), is_doubtful: false },
    ];
    check(
        &Message::Answer { id: 7, hits },
        b"\x32\0\0\0\0\0\0\0\x07\x80\x06record\0\0\0\x06record\0\x03a/b\0\x02so",
    );
    check(&Message::Answer { id: 7, hits: Vec::new() }, b"\x32\0\0\0\0\0\0\0\x07");
    check(&Message::Offer(vec![id]), &[&[35][..], &[5; 32]].concat());
    let (tag, mail, token) = (Tag([6; 32]), MailId([7; 32]), Token([8; 32]));
    let ask = MailAsk { way: 9, budget: 300, width: 16, tags: vec![tag] };
    let expected = [&b"\x40\0\0\0\0\0\0\0\x09\x01\x2c\x10"[..], &[6; 32]].concat();
    check(&Message::MailAsk(Box::new(ask)), &expected);
    let (held, received) = (vec![mail], vec![(mail, token)]);
    let have = MailHave { way: 9, holder: 10, is_home: true, held, received };
    let numbers = b"\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x0a";
    let expected = [&[65][..], numbers, &[1, 1], &[7; 32], &[1], &[7; 32], &[8; 32]].concat();
    check(&Message::MailHave(Box::new(have)), &expected);
    let envelope = Envelope::around(tag, [5; 32], UnixTime(1), &[4; 512 + 48]).unwrap();
    for (said, rest) in [
        (MailSaid::Get(vec![mail]), [&[0][..], &[7; 32]].concat()),
        (MailSaid::Got(envelope.clone()), [&[1][..], envelope.bytes()].concat()),
        (MailSaid::Put(envelope.clone()), [&[2][..], envelope.bytes()].concat()),
        (MailSaid::Taken(mail), [&[3][..], &[7; 32]].concat()),
        (MailSaid::Receipt(mail, token), [&[4][..], &[7; 32], &[8; 32]].concat()),
    ] {
        let said = Message::Mail { way: 9, holder: 10, said: Box::new(said) };
        check(&said, &[&[66][..], numbers, &rest].concat());
    }
    let deposit = MailDeposit { way: 9, steps: 5, envelope: envelope.clone() };
    let expected = [&[67][..], &numbers[..8], &[5], envelope.bytes()].concat();
    check(&Message::MailDeposit(Box::new(deposit)), &expected);
    let header = [&[1][..], &[6; 32], &[5; 32], &[0, 0, 0, 0, 0, 0, 0, 1], &[4; 560], &[0; 8]];
    assert_eq!(&envelope.bytes()[..], header.concat());
}

#[test]
fn what_is_not_so_is_refused() {
    let refuse = |bytes: &[u8]| assert!(Message::parse(bytes).is_err(), "{bytes:x?}");
    refuse(&[]);
    for message in [
        Message::Hello(Hello::default()),
        Message::Neighbour { urgent: false },
        Message::Disconnect,
        Message::Ping,
        Message::Shuffle { token: 1, ttl: 1, contacts: vec![contact(1, "192.0.2.1:1")] },
    ] {
        let bytes = message.encode();
        refuse(&[&bytes[..], &[0]].concat());
        if bytes.len() > 1 {
            refuse(&bytes[..bytes.len() - 1]);
        }
    }
    refuse(&[3, 2]);
    refuse(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    // Nobody, everybody, this host in IPv6's clothes, no port, a family that is none.
    let node = [1; 32];
    for addr in [
        &[4, 0, 0, 0, 0, 0, 1][..],
        &[4, 255, 255, 255, 255, 0, 1],
        &[4, 224, 0, 0, 1, 0, 1],
        &[4, 192, 0, 2, 1, 0, 0],
        &[6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0, 1],
        &[5, 192, 0, 2, 1, 0, 1],
    ] {
        refuse(&[&[2, 0][..], &node, addr].concat());
    }
    refuse(&[&[2, WALK_STEPS_MAX + 1][..], &node, &[4, 192, 0, 2, 1, 0, 1]].concat());
    let many = vec![contact(1, "192.0.2.1:1"); SHUFFLE_CONTACTS_MAX + 1];
    refuse(&Message::ShuffleReply { token: 0, contacts: many }.encode());
    let many = vec![Announced { id: RecordId([0; 32]), hops: 0 }; ANNOUNCED_MAX + 1];
    refuse(&Message::IHave(many).encode());
    refuse(&[17]);
    refuse(&[33]);
    refuse(&[10]);
    refuse(&[10, limits::LEANS_MAX + 1]);
    refuse(&[13, 1]);
    refuse(&[34]);
    refuse(&[34, 0, 0]);
    refuse(&[16, 0]);
    refuse(&[&[16, 0][..], &[0; RECORD_BYTES_MAX + 1]].concat());
    for rest in [
        &b"\0\0\x01\x01\0\x03iso"[..],
        b"\x04\x01\x01\x01\0\x03iso",
        b"\0\x01\0\x01\0\x03iso",
        b"\0\x01\x41\x01\0\x03iso",
        b"\0\x01\x01\0\0\x03iso",
        b"\0\x01\x01\x01\0",
        b"\0\x02\x01\x01\x03\x03iso",
        b"\0\x01\x01\x01\x80\x03iso",
        b"\0\x01\x01\x01\0\x03ISO",
        b"\0\x01\x01\x01\0\x03iso\x03iso",
        b"\0\x01\x01\x01\0\x03iso\x01",
        b"\0\x01\x01\x01\0\x03\xff\xff\xff",
    ] {
        refuse(&[&[49, 0, 0, 0, 0, 0, 0, 0, 7][..], rest].concat());
    }
    for rest in [
        &b"\0"[..],
        b"\0\0\0\0",
        b"\0\x01x",
        b"\0\x01x\0\x01",
        b"\0\x01x\0\x01a",
        b"\0\x01x\0\x01a\0\x01",
        b"\0\x01x\0\x01\n\0\0",
        b"\0\x01x\0\x01a\0\x01\xff",
    ] {
        refuse(&[&[50, 0, 0, 0, 0, 0, 0, 0, 7][..], rest].concat());
    }
    refuse(&[48, 2, 0, 2, 0, 0, 5, 0x40, 0, 0]);
    let way = [0; 8];
    for rest in [&b"\0\x01\x01"[..], b"\0\0\x01", b"\x04\x01\x01", b"\0\x01\0", b"\0\x01\x41"] {
        refuse(&[&[64][..], &way, rest, &[6; 31]].concat());
        let is_sound = rest == b"\0\x01\x01";
        let whole = [&[64][..], &way, rest, &[6; 32]].concat();
        assert_eq!(Message::parse(&whole).is_ok(), is_sound);
        refuse(&[&whole[..], &[6; 96]].concat());
    }
    refuse(&[&[65][..], &way, &way, &[0, 65], &[0; 32 * 65], &[0]].concat());
    refuse(&[&[65][..], &way, &way, &[2, 0, 0]].concat());
    refuse(&[&[66][..], &way, &way, &[0]].concat());
    refuse(&[&[66][..], &way, &way, &[0], &[0; 32 * 9]].concat());
    refuse(&[&[66][..], &way, &way, &[1], &[1; 600]].concat());
    refuse(&[&[66][..], &way, &way, &[3], &[1; 33]].concat());
    refuse(&[&[66][..], &way, &way, &[5], &[1; 32]].concat());
    refuse(&[&[67][..], &way, &[8], &[1; 641]].concat());
    assert!(Message::parse(&[&[67][..], &way, &[7], &[1; 641]].concat()).is_ok());
    refuse(&[0xfe; MESSAGE_BYTES_MAX + 1]);
}

#[test]
fn what_is_not_known_is_passed_over() {
    assert_eq!(Message::parse(&[200, 1, 2, 3]), Ok(Message::Unknown(200)));
}

fn any_contact() -> impl Strategy<Value = Contact> {
    (any::<[u8; 32]>(), any::<SocketAddr>())
        .prop_map(|(node, addr)| Contact { node: NodeId(node), addr })
        .prop_filter("somebody", |contact| {
            // Flow labels and scopes do not travel.
            is_sound(&contact.addr)
                && contact.addr == SocketAddr::new(contact.addr.ip(), contact.addr.port())
        })
}

fn any_message() -> impl Strategy<Value = Message> {
    let contacts = || proptest::collection::vec(any_contact(), 0..=SHUFFLE_CONTACTS_MAX);
    let ids = |least| {
        proptest::collection::vec(any::<[u8; 32]>().prop_map(RecordId), least..=limits::ASKED_MAX)
    };
    let bytes = |most| proptest::collection::vec(any::<u8>(), 1..most).prop_map(Bytes::from);
    prop_oneof![
        (any::<u8>(), any::<u64>(), any::<u16>(), any::<bool>(), 0..=i64::MAX).prop_map(
            |(version, features, port, is_super, time)| {
                let port = (port != 0).then_some(port);
                Message::Hello(Hello { version, features, port, is_super, time: UnixTime(time) })
            }
        ),
        (any_contact(), 0..=WALK_STEPS_MAX)
            .prop_map(|(contact, ttl)| Message::ForwardJoin { contact: Box::new(contact), ttl }),
        (any::<u64>(), 0..=WALK_STEPS_MAX, contacts())
            .prop_map(|(token, ttl, contacts)| Message::Shuffle { token, ttl, contacts }),
        (contacts(), any::<u16>()).prop_map(|(contacts, leaves)| {
            let leaves = Some(leaves).filter(|leaves| *leaves != u16::MAX);
            let indexer = |contact| Indexer { contact, leaves };
            Message::Indexers(contacts.into_iter().map(indexer).collect())
        }),
        (0..=limits::LEANS_MAX).prop_map(|others| Message::Lean { others }),
        any::<u16>().prop_map(|leaves| Message::Load { leaves }),
        (any::<u64>(), contacts())
            .prop_map(|(token, contacts)| Message::ShuffleReply { token, contacts }),
        (any::<u8>(), bytes(RECORD_BYTES_MAX))
            .prop_map(|(hops, record)| Message::Gossip { hops, record }),
        ids(0).prop_map(Message::Graft),
        ids(1).prop_map(Message::Need),
        ids(1).prop_map(Message::Offer),
        ids(1).prop_map(|ids| {
            Message::IHave(ids.into_iter().map(|id| Announced { id, hops: id.0[0] }).collect())
        }),
        (any::<bool>(), bytes(300))
            .prop_map(|(is_answer, step)| Message::Reconcile { is_answer, step }),
        proptest::collection::vec(bytes(200), 1..=limits::RECORDS_MAX).prop_map(Message::Records),
        (any::<bool>(), proptest::collection::vec(0..Term::SPACE, 1..300)).prop_map(
            |(is_near, terms)| {
                let toggled = terms.into_iter().filter_map(Term::new).collect();
                Message::Terms { is_near, toggled }
            }
        ),
        (any::<u64>(), 2..=1_024u16, 1..=64u8, 1..=64u8, "[a-zß]{2,9}", any_what(), any::<bool>())
            .prop_map(|(id, budget, width, wanted, word, what, receipt)| {
                let words = words(&word);
                let question = Question { id, budget, width, wanted, what, receipt, words };
                Message::Query(Box::new(question))
            }),
        (
            any::<u64>(),
            proptest::collection::vec(
                (bytes(200), any_page(), any::<bool>()),
                0..=limits::RECORDS_MAX
            )
        )
            .prop_map(|(id, hits)| {
                let hit = |(record, page, is_doubtful)| RawHit { record, page, is_doubtful };
                Message::Answer { id, hits: hits.into_iter().map(hit).collect() }
            }),
    ]
}

fn any_what() -> impl Strategy<Value = What> {
    prop_oneof![Just(What::Any), Just(What::Files), Just(What::Pages)]
}

fn any_page() -> impl Strategy<Value = Option<Page>> {
    let page = ("[a-z/ü]{1,20}", "[a-z ü]{0,20}").prop_map(|(path, snippet)| Page {
        path: Text::cleaned(&path),
        snippet: Text::cleaned(&snippet),
    });
    proptest::option::of(page)
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in any_message()) {
        let bytes = message.encode();
        prop_assert_eq!(bytes.len(), message.encoded_len());
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }

    #[test]
    fn what_is_read_is_written_the_same(kind in 0..68u8, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[kind][..], &rest].concat();
        if let Ok(message) = Message::parse(&bytes)
            && !matches!(message, Message::Unknown(_))
        {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}
