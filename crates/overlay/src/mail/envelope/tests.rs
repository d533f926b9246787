//! What is sealed is opened by its receiver alone, and nothing of it can be changed.

use super::*;
use proptest::prelude::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn keys(n: u8) -> Keys {
    Keys::from_secret(&[n; 32])
}

fn sealed(body: &[u8]) -> (Envelope, Token) {
    let draft = Draft {
        receiver: keys(2).node(),
        key: None,
        sent: NOW,
        lifetime_s: 3_600,
        kind: KIND_TEXT,
        body,
    };
    draft.seal(&keys(1), &NetworkKey::public(), Seed::from_u64(7)).unwrap()
}

fn open(envelope: &Envelope, by: u8) -> Result<Letter, OpenError> {
    let keys = keys(by);
    let secrets = [[9; 32], keys.x25519_secret()];
    envelope.open(&NetworkKey::public(), &keys.node(), &secrets, NodeId::has_signed)
}

#[test]
fn the_receiver_opens_it_and_nobody_else() {
    let (envelope, token) = sealed(b"hello");
    let letter = open(&envelope, 2).unwrap();
    assert_eq!((letter.sender, letter.sent, letter.kind), (keys(1).node(), NOW, KIND_TEXT));
    assert_eq!((&letter.body[..], letter.token), (&b"hello"[..], token));
    assert_eq!(envelope.expires(), UnixTime(NOW.0 + 3_600));
    assert_eq!(envelope.commitment(), token.commitment());
    assert!(Tag::alive(&NetworkKey::public(), &keys(2).node(), NOW).contains(&envelope.tag()));
    assert_eq!(open(&envelope, 1), Err(OpenError::Sealed));
    assert_eq!(open(&envelope, 3), Err(OpenError::Sealed));
    let other = NetworkKey::derive("another");
    let secrets = [keys(2).x25519_secret()];
    let opened = envelope.open(&other, &keys(2).node(), &secrets, NodeId::has_signed);
    assert_eq!(opened, Err(OpenError::Sealed));
}

#[test]
fn a_key_that_was_published_is_used_and_the_sender_names_his_receiver() {
    let key = curve25519_dalek::MontgomeryPoint::mul_base_clamped([5; 32]).to_bytes();
    let draft = Draft {
        receiver: keys(2).node(),
        key: Some(key),
        sent: NOW,
        lifetime_s: i64::MAX,
        kind: 9,
        body: &[],
    };
    let network = NetworkKey::public();
    let (envelope, _) = draft.seal(&keys(1), &network, Seed::from_u64(1)).unwrap();
    assert_eq!(open(&envelope, 2), Err(OpenError::Sealed));
    let opened = |by: u8| {
        envelope.open(&network, &keys(by).node(), &[[5; 32]], NodeId::has_signed).map(|l| l.kind)
    };
    assert_eq!(opened(2), Ok(9));
    // Somebody else with the key, in whose name it was not sealed.
    assert_eq!(opened(3), Err(OpenError::Signature));
    assert_eq!(envelope.expires(), UnixTime(NOW.0 + LIFETIME_MAX_S));
    let nobody = Draft { key: Some([0; 32]), ..draft };
    let refused = nobody.seal(&keys(1), &network, Seed::from_u64(1));
    assert_eq!(refused.unwrap_err(), SealError::Receiver);
    let nobody = Draft { key: None, receiver: NodeId([0; 32]), ..draft };
    assert!(nobody.seal(&keys(1), &network, Seed::from_u64(1)).is_err());
}

#[test]
fn no_byte_of_it_can_be_changed_but_the_stamp() {
    let (envelope, _) = sealed(b"hello");
    let bytes = envelope.bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let Ok(changed) = Envelope::parse(&changed) else {
            assert_eq!(at, 0);
            continue;
        };
        if at < bytes.len() - STAMP_BYTES {
            assert!(open(&changed, 2).is_err(), "byte {at}");
            assert_ne!(changed.id(), envelope.id());
        } else {
            assert_eq!(changed.id(), envelope.id());
        }
    }
}

#[test]
fn it_has_few_sizes_and_work_grows_with_them() {
    for (body, size, bits) in [
        (0, 512, 20),
        (512 - SEALED_OVERHEAD_BYTES, 512, 20),
        (513 - SEALED_OVERHEAD_BYTES, 2_048, 21),
        (5_000, 8_192, 22),
        (BODY_BYTES_MAX, 15_872, 23),
    ] {
        let (envelope, _) = sealed(&vec![7; body]);
        assert_eq!(envelope.bytes().len(), size + ENVELOPE_OVERHEAD_BYTES);
        assert_eq!(envelope.wanted_work(), bits);
        assert_eq!(open(&envelope, 2).unwrap().body.len(), body);
    }
    let long = vec![0; BODY_BYTES_MAX + 1];
    let draft = Draft {
        receiver: keys(2).node(),
        key: None,
        sent: NOW,
        lifetime_s: 1,
        kind: 1,
        body: &long,
    };
    let refused = draft.seal(&keys(1), &NetworkKey::public(), Seed::from_u64(1)).unwrap_err();
    assert_eq!(refused, SealError::TooLong { bytes: long.len() });
}

#[test]
fn a_stamp_counts_for_one_envelope() {
    let (envelope, _) = sealed(b"hello");
    let stamped = envelope.stamped(0, u64::MAX).unwrap();
    assert_eq!(stamped.id(), envelope.id());
    assert!(stamped.spare_work(WORK_BITS).is_some());
    assert_eq!(envelope.spare_work(0), Some(0));
    let mut other = stamped.bytes().to_vec();
    other[100] ^= 1;
    assert_eq!(Envelope::parse(&other).unwrap().spare_work(WORK_BITS), None);
}

#[test]
fn tags_change_and_those_alive_are_known() {
    let (network, node) = (NetworkKey::public(), keys(2).node());
    let tag = |at| Tag::of(&network, &node, UnixTime(at));
    assert_eq!(tag(NOW.0), tag(NOW.0 - NOW.0 % TAG_PERIOD_S));
    assert_ne!(tag(NOW.0), tag(NOW.0 + TAG_PERIOD_S));
    for at in [NOW.0, NOW.0 - NOW.0 % TAG_PERIOD_S, NOW.0 - NOW.0 % TAG_PERIOD_S - 1] {
        let alive = Tag::alive(&network, &node, UnixTime(at));
        assert!(alive.len() <= 3);
        for written in [at, at - LIFETIME_MAX_S, at - LIFETIME_MAX_S / 2, at + 300] {
            assert!(alive.contains(&tag(written)));
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 600..700)) {
        let mut bytes = bytes;
        bytes.resize(512 + ENVELOPE_OVERHEAD_BYTES, 3);
        bytes[0] = 1;
        let envelope = Envelope::parse(&bytes).unwrap();
        prop_assert_eq!(&envelope.bytes()[..], &bytes[..]);
        prop_assert!(open(&envelope, 2).is_err());
        bytes.pop();
        prop_assert!(Envelope::parse(&bytes).is_err());
    }
}

const _: () = assert!(crate::mail::limits::ENVELOPE_BYTES_MAX <= u16::MAX as usize);
