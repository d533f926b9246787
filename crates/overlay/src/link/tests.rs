//! Links that come up, and all that keeps one from it.

use super::*;
use crate::limits::MESSAGE_BYTES_MAX;

fn ada() -> Keys {
    Keys::from_secret(&[1; 32])
}

fn bob() -> Keys {
    Keys::from_secret(&[2; 32])
}

fn network() -> NetworkKey {
    NetworkKey::derive("test")
}

fn call(expected: Option<NodeId>) -> (Link, Bytes) {
    Link::initiate(&ada(), network(), expected, Seed::from_u64(1))
}

fn wait() -> Link {
    Link::respond(&bob(), network(), Seed::from_u64(2))
}

fn answer(link: &mut Link, frame: &[u8]) -> Result<Bytes, LinkError> {
    match link.heed(frame)? {
        Event::Answer(frame) => Ok(frame),
        Event::Up { answer, .. } => Ok(answer.unwrap_or_default()),
        Event::Message(message) => Ok(message),
        Event::Stands => Ok(Bytes::new()),
    }
}

/// Two links that are up, and the frames that went between them.
fn up() -> (Link, Link, [Bytes; 3]) {
    let ((mut ours, first), mut theirs) = (call(Some(bob().node())), wait());
    let second = answer(&mut theirs, &first).unwrap();
    let third = answer(&mut ours, &second).unwrap();
    assert_eq!(answer(&mut theirs, &third).unwrap(), "");
    assert_eq!((ours.peer(), theirs.peer()), (Some(bob().node()), Some(ada().node())));
    (ours, theirs, [first, second, third])
}

#[test]
fn of_two_calls_that_cross_one_goes_on() {
    for seed in 0..8 {
        let of = |keys: &Keys, expected: &Keys, seed| {
            Link::initiate(keys, network(), Some(expected.node()), Seed::from_u64(seed))
        };
        let (mut ours, our_first) = of(&ada(), &bob(), seed);
        let (mut theirs, their_first) = of(&bob(), &ada(), seed + 100);
        let here = ours.heed(&their_first).unwrap();
        let there = theirs.heed(&our_first).unwrap();
        let (caller, called, second) = match (here, there) {
            (Event::Stands, Event::Answer(second)) => (&mut ours, &mut theirs, second),
            (Event::Answer(second), Event::Stands) => (&mut theirs, &mut ours, second),
            other => panic!("{other:?}"),
        };
        assert!(caller.has_called() && !called.has_called());
        let third = answer(caller, &second).unwrap();
        answer(called, &third).unwrap();
        assert!(caller.peer().is_some() && called.peer().is_some());
        let frame = called.seal(b"hello").unwrap();
        assert_eq!(caller.heed(&frame), Ok(Event::Message("hello".into())));
    }
}

#[test]
fn who_crosses_a_call_is_who_was_called_and_calls_once() {
    // Of some calls one is greater than ours.
    let lesser = |ours: &Bytes| {
        (0..).find_map(|seed| {
            let eve = Keys::from_secret(&[3; 32]);
            let made = Link::initiate(&eve, network(), None, Seed::from_u64(seed));
            (made.1 < *ours).then_some(made)
        })
    };
    let (mut ours, first) = call(Some(bob().node()));
    let (mut eve, theirs) = lesser(&first).unwrap();
    assert_eq!(eve.heed(&first), Ok(Event::Stands));
    assert_eq!(eve.heed(&first), Err(LinkError::Unexpected { kind: kind::FIRST }), "once");
    let (mut eve, _) = (lesser(&first).unwrap().0, ());
    eve.heed(&first).unwrap();
    let second = answer(&mut ours, &theirs).unwrap();
    let third = answer(&mut eve, &second).unwrap();
    let found = Keys::from_secret(&[3; 32]).node();
    let wrong = LinkError::WrongPeer { expected: bob().node(), found };
    assert_eq!(ours.heed(&third), Err(wrong));
    // What is sent back as it was is nobody's call.
    let (mut ours, first) = call(None);
    assert_eq!(ours.heed(&first), Err(LinkError::Ourselves));
}

#[test]
fn messages_go_both_ways_over_many_keys() {
    let (mut ours, mut theirs, _) = up();
    for number in 0..2 * FRAMES_PER_KEY + 10 {
        let message = vec![7; (number as usize * 37) % 700];
        let frame = ours.seal(&message).unwrap();
        assert_eq!(theirs.heed(&frame), Ok(Event::Message(message.into())));
        if number % 3 == 0 {
            let frame = theirs.seal(b"and back").unwrap();
            assert_eq!(ours.heed(&frame), Ok(Event::Message("and back".into())));
        }
    }
    for length in [0, MESSAGE_BYTES_MAX] {
        let frame = ours.seal(&vec![9; length]).unwrap();
        assert!(frame.len() <= FRAME_BYTES_MAX);
        assert_eq!(theirs.heed(&frame), Ok(Event::Message(vec![9; length].into())));
    }
    let bytes = MESSAGE_BYTES_MAX + 1;
    assert_eq!(ours.seal(&vec![0; bytes]), Err(LinkError::TooLong { bytes }));
    let frame = ours.seal(b"it lives on").unwrap();
    assert!(theirs.heed(&frame).is_ok());
}

#[test]
fn a_new_key_is_one_that_the_old_one_does_not_tell() {
    // The frame after the change is not read with the key before it.
    let (mut ours, mut theirs, _) = up();
    for _ in 0..FRAMES_PER_KEY - 1 {
        let frame = ours.seal(b"").unwrap();
        theirs.heed(&frame).unwrap();
    }
    let State::Up { noise, .. } = &mut theirs.state else { panic!() };
    noise.rekey_incoming();
    let frame = ours.seal(b"").unwrap();
    assert_eq!(theirs.heed(&frame), Err(LinkError::Forged));
}

#[test]
fn every_bit_of_every_frame_counts() {
    let ((_, first), (_, _, [_, second, third])) = (call(None), up());
    assert_eq!((first.len(), second.len(), third.len()), (50, 193, 161));
    let broken = |frame: &Bytes, at: usize| {
        let mut broken = frame.to_vec();
        broken[at] ^= 1 << (at % 8);
        broken
    };
    for at in 0..first.len() {
        let mut theirs = wait();
        let error = theirs.heed(&broken(&first, at)).unwrap_err();
        match at {
            0 => assert_eq!(error, LinkError::Unexpected { kind: 0 }),
            1 => assert_eq!(error, LinkError::Version { version: 3 }),
            _ => assert_eq!(error, LinkError::Network, "byte {at}"),
        }
        assert_eq!(theirs.heed(&first), Err(LinkError::Dead));
        assert_eq!(theirs.seal(b""), Err(LinkError::NotUp));
    }
    for at in 1..second.len() {
        let (mut ours, _) = call(None);
        assert_eq!(ours.heed(&broken(&second, at)), Err(LinkError::Handshake), "byte {at}");
    }
    for at in 1..third.len() {
        let mut theirs = wait();
        theirs.heed(&first).unwrap();
        assert_eq!(theirs.heed(&broken(&third, at)), Err(LinkError::Handshake), "byte {at}");
    }
    let (_, _, [_, second_again, _]) = up();
    assert_eq!(second, second_again);
    let sealed = up().0.seal(b"message").unwrap();
    for at in 1..sealed.len() {
        let (_, mut theirs, _) = up();
        assert_eq!(theirs.heed(&broken(&sealed, at)), Err(LinkError::Forged), "byte {at}");
    }
}

#[test]
fn frames_are_as_long_as_they_should_be() {
    let (_, _, [first, second, third]) = up();
    let length = |frame: &[u8]| LinkError::Length { bytes: frame.len() };
    let cut_and_grown = |frame: &Bytes| {
        let cuts = (1..frame.len()).map(|bytes| frame[..bytes].to_vec());
        let grown = [&frame[..], &[0]].concat();
        cuts.chain([grown]).collect::<Vec<_>>()
    };
    for frame in cut_and_grown(&first) {
        assert_eq!(wait().heed(&frame), Err(length(&frame)));
    }
    for frame in cut_and_grown(&second) {
        assert_eq!(call(None).0.heed(&frame), Err(length(&frame)));
    }
    for frame in cut_and_grown(&third) {
        let mut theirs = wait();
        theirs.heed(&first).unwrap();
        assert_eq!(theirs.heed(&frame), Err(length(&frame)));
    }
    let sealed = up().0.seal(b"message").unwrap();
    for frame in cut_and_grown(&sealed) {
        assert_eq!(up().1.heed(&frame), Err(LinkError::Forged));
    }
    for frame in [vec![], vec![kind::SEALED; FRAME_BYTES_MAX + 1]] {
        assert_eq!(up().1.heed(&frame), Err(length(&frame)));
        assert_eq!(wait().heed(&frame), Err(length(&frame)));
    }
}

#[test]
fn nothing_is_heard_twice_or_out_of_order() {
    let (mut ours, mut theirs, [first, second, third]) = up();
    let frames = [(); 3].map(|()| ours.seal(b"pay").unwrap());
    theirs.heed(&frames[0]).unwrap();
    assert_eq!(theirs.heed(&frames[0]), Err(LinkError::Forged));
    assert_eq!(theirs.heed(&frames[1]), Err(LinkError::Dead));
    assert_eq!(up().1.heed(&frames[1]), Err(LinkError::Forged));
    // Nor are those of another link, or of the same in the other direction.
    assert_eq!(up().0.heed(&frames[0]), Err(LinkError::Forged));
    for (frame, kind) in [(&first, 1), (&second, 2), (&third, 3)] {
        assert_eq!(up().0.heed(frame), Err(LinkError::Unexpected { kind }));
    }
    // Who plays a call again gets an answer that he cannot go on from: it has another key.
    let mut again = Link::respond(&bob(), network(), Seed::from_u64(3));
    let other_second = answer(&mut again, &first).unwrap();
    assert_ne!(other_second, second);
    assert_eq!(again.heed(&third), Err(LinkError::Handshake));
}

#[test]
fn another_network_is_told_from_ours() {
    let elsewhere = NetworkKey::derive("elsewhere");
    let (_, first) = Link::initiate(&ada(), elsewhere, None, Seed::from_u64(1));
    assert_eq!(wait().heed(&first), Err(LinkError::Network));
    // Who answers all the same, without the key, is found out.
    let (mut ours, first) = call(None);
    let mut theirs = Link::respond(&bob(), elsewhere, Seed::from_u64(2));
    let mut forged = first.to_vec();
    let marked = mark(&elsewhere, &first[2 + MARK_BYTES..]);
    forged[2..2 + MARK_BYTES].copy_from_slice(&marked);
    let second = answer(&mut theirs, &forged).unwrap();
    assert_eq!(ours.heed(&second), Err(LinkError::Handshake));
}

#[test]
fn who_answers_has_to_be_who_was_called() {
    let expected = Keys::from_secret(&[3; 32]).node();
    let ((mut ours, first), mut theirs) = (call(Some(expected)), wait());
    let second = answer(&mut theirs, &first).unwrap();
    let error = ours.heed(&second).unwrap_err();
    assert_eq!(error, LinkError::WrongPeer { expected, found: bob().node() });
    assert!(error.to_string().contains(&bob().node().to_string()));
    // And not ourselves.
    let mut mirror = Link::respond(&ada(), network(), Seed::from_u64(2));
    let (mut ours, first) = call(None);
    let second = answer(&mut mirror, &first).unwrap();
    assert_eq!(ours.heed(&second), Err(LinkError::Ourselves));
}

#[test]
fn a_name_without_its_key_is_no_name() {
    // Somebody who says that he is Bob, and signs with his own key.
    let mut theirs = wait();
    let (mut ours, first) = call(None);
    let State::Waiting { noise } = &mut theirs.state else { panic!() };
    noise.read_message(&first[2 + MARK_BYTES..], &mut []).unwrap();
    let handshake = noise.get_handshake_hash().to_vec();
    let claim = |role, handshake: &[u8], key: &[u8; 32]| {
        let network = network();
        let claim = Claim { network: &network, role, handshake, key };
        let mut identity = claim.sign(&Keys::from_secret(&[3; 32]));
        identity[..32].copy_from_slice(&bob().node().0);
        (identity, claim.sign(&bob()))
    };
    let (forged, right) = claim(Role::Responder, &handshake, &theirs.key);
    let check = |role, identity: &[u8]| {
        let network = network();
        let claim = Claim { network: &network, role, handshake: &handshake, key: &theirs.key };
        claim.check(identity)
    };
    assert_eq!(check(Role::Responder, &right), Ok(bob().node()));
    assert_eq!(check(Role::Initiator, &right), Err(LinkError::Identity));
    assert_eq!(check(Role::Responder, &forged), Err(LinkError::Identity));
    // One that was made for another handshake, or another key.
    let (_, stale) = claim(Role::Responder, &[0; 32], &theirs.key);
    assert_eq!(check(Role::Responder, &stale), Err(LinkError::Identity));
    let (_, stolen) = claim(Role::Responder, &handshake, &[9; 32]);
    assert_eq!(check(Role::Responder, &stolen), Err(LinkError::Identity));
    let mut second = vec![kind::SECOND; SECOND_BYTES];
    noise.write_message(&forged, &mut second[1..]).unwrap();
    assert_eq!(ours.heed(&second), Err(LinkError::Identity));
}

#[test]
fn names_are_not_seen_and_keys_of_small_order_are_refused() {
    let (mut ours, _, frames) = up();
    let sealed = ours.seal(&ada().node().0).unwrap();
    for frame in frames.iter().chain([&sealed]) {
        for name in [ada().node(), bob().node()] {
            assert!(frame.windows(8).all(|window| !name.0.starts_with(window)));
        }
    }
    let mut small = vec![kind::FIRST, VERSION];
    small.extend(mark(&network(), &[0; 32]));
    small.extend([0; 32]);
    assert_eq!(wait().heed(&small), Err(LinkError::Handshake));
}
