//! Two of them without a swarm, and one against those who mean ill.

use super::*;
use std::time::Duration;

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n], 7716))
}

fn side(n: u8, network: &str, contacts: Vec<SocketAddr>) -> Side {
    let keys = Keys::from_secret(&[n; 32]);
    let seed = Seed::from_u64(n.into());
    let config = Config::new(seed.fork("machine", 0), keys.node(), NetworkKey::derive(network));
    let mut side = Side::new(NOW, keys, config, contacts, seed);
    side.clock(NOW, UnixTime(1_000_000), Some(7716));
    side
}

fn wishes(side: &mut Side) -> Vec<ApplicationWish> {
    std::iter::from_fn(|| side.poll_wish()).collect()
}

fn parted(wishes: &[ApplicationWish], conn: u64) -> bool {
    let is_it = |wish: &ApplicationWish| matches!(wish, ApplicationWish::Part { conn: ConnId(n) } if *n == conn);
    wishes.iter().any(is_it)
}

fn called(wishes: &[ApplicationWish]) -> Vec<SocketAddr> {
    let call = |wish: &ApplicationWish| match wish {
        ApplicationWish::Call { addr } => Some(*addr),
        _ => None,
    };
    wishes.iter().filter_map(call).collect()
}

fn met(conn: u64, n: u8, direction: Direction, called: bool) -> ApplicationEvent {
    ApplicationEvent::Met { conn: ConnId(conn), addr: addr(n), direction, called }
}

/// Carries what two say to each other over one connection, of the same number on both sides, until
/// neither says more. Whether both kept it.
fn carry(conn: u64, one: &mut Side, two: &mut Side) -> bool {
    let mut ends = [false; 2];
    loop {
        let (first, second) = (wishes(one), wishes(two));
        if first.is_empty() && second.is_empty() {
            return ends == [false; 2];
        }
        for (at, said, other) in [(0, first, &mut *two), (1, second, &mut *one)] {
            for wish in said {
                match wish {
                    ApplicationWish::Say { payload, .. } => {
                        other.event(NOW, ApplicationEvent::Said { conn: ConnId(conn), payload });
                    }
                    ApplicationWish::Part { .. } => {
                        ends[at] = true;
                        other.event(NOW, ApplicationEvent::Gone { conn: ConnId(conn) });
                    }
                    ApplicationWish::Call { .. } | ApplicationWish::FindPeers => {}
                }
            }
        }
    }
}

#[test]
fn two_of_a_network_meet_and_two_of_different_ones_do_not() {
    for (network, meet) in [("ours", true), ("another one", false)] {
        let mut caller = side(1, "ours", vec![addr(2)]);
        let mut answerer = side(2, network, Vec::new());
        assert_eq!(called(&wishes(&mut caller)), [addr(2)]);
        caller.event(NOW, met(5, 2, Direction::Outgoing, true));
        answerer.event(NOW, met(5, 1, Direction::Incoming, false));
        assert_eq!(carry(5, &mut caller, &mut answerer), meet);
        let links = |side: &Side| side.figures().links.len();
        assert_eq!((links(&caller), links(&answerer)), (meet.into(), meet.into()));
        assert_eq!(caller.stats().views.outgoing, usize::from(meet));
    }
}

#[test]
fn who_answers_without_having_been_called_is_no_neighbour_of_our_choice() {
    let (mut side, mut other) = (side(1, "ours", Vec::new()), side(2, "ours", vec![addr(1)]));
    wishes(&mut side);
    // As through a hole that the other one has asked for: it is he who has to begin.
    wishes(&mut other);
    side.event(NOW, met(1, 2, Direction::Outgoing, false));
    assert!(wishes(&mut side).is_empty());
    other.event(NOW, met(1, 1, Direction::Incoming, true));
    assert!(carry(1, &mut other, &mut side));
    let outgoing =
        |side: &Side| side.figures().links.iter().map(|link| link.outgoing).collect::<Vec<_>>();
    assert_eq!((outgoing(&side), outgoing(&other)), (vec![false], vec![true]));
}

#[test]
fn of_two_who_call_each_other_through_a_hole_one_link_is_left() {
    for other in 2..8 {
        let mut one = side(1, "ours", vec![addr(other)]);
        let mut two = side(other, "ours", vec![addr(1)]);
        assert_eq!(called(&wishes(&mut one)), [addr(other)]);
        assert_eq!(called(&wishes(&mut two)), [addr(1)]);
        one.event(NOW, met(1, other, Direction::Outgoing, true));
        two.event(NOW, met(1, 1, Direction::Incoming, true));
        assert!(carry(1, &mut one, &mut two));
        let outgoing = |side: &Side| -> Vec<bool> {
            side.figures().links.iter().map(|link| link.outgoing).collect()
        };
        let (of_one, of_two) = (outgoing(&one), outgoing(&two));
        assert!(
            matches!((&of_one[..], &of_two[..]), ([a], [b]) if a != b),
            "{of_one:?} {of_two:?}"
        );
        let (one, two) = (one.stats().views, two.stats().views);
        assert_eq!((one.outgoing + one.incoming, two.outgoing + two.incoming), (1, 1));
    }
}

#[test]
fn who_says_nothing_or_nonsense_is_parted_with() {
    let mut side = side(1, "ours", Vec::new());
    wishes(&mut side);
    side.event(NOW, met(1, 2, Direction::Incoming, false));
    side.event(NOW, met(2, 3, Direction::Incoming, false));
    assert!(wishes(&mut side).is_empty());
    let payload = Bytes::from_static(b"nonsense");
    side.event(NOW, ApplicationEvent::Said { conn: ConnId(1), payload });
    let said = wishes(&mut side);
    assert!(parted(&said, 1) && !parted(&said, 2));
    let late = NOW + HANDSHAKE_WITHIN;
    assert!(side.deadline() <= Some(late));
    side.timeout(late);
    assert!(parted(&wishes(&mut side), 2));
    assert!(side.deadline().is_none_or(|at| at > late || at > NOW));
}

#[test]
fn those_who_come_get_so_many_places_and_no_more() {
    let mut side = side(1, "ours", vec![addr(9)]);
    assert_eq!(called(&wishes(&mut side)), [addr(9)]);
    for conn in 0..COMING_MAX as u64 {
        side.event(NOW, met(conn, 2, Direction::Incoming, false));
        assert!(!parted(&wishes(&mut side), conn));
    }
    side.event(NOW, met(100, 2, Direction::Incoming, false));
    assert!(parted(&wishes(&mut side), 100));
    // Whom we have called still finds one.
    side.event(NOW, met(101, 9, Direction::Outgoing, true));
    let said = wishes(&mut side);
    assert!(!parted(&said, 101));
    assert!(matches!(&said[..], [ApplicationWish::Say { conn: ConnId(101), .. }]));
    // And places come free again.
    side.event(NOW, ApplicationEvent::Gone { conn: ConnId(0) });
    side.event(NOW + Duration::from_secs(1), met(102, 2, Direction::Incoming, false));
    assert!(!parted(&wishes(&mut side), 102));
}

#[test]
fn what_is_said_of_a_torrent_is_renewed_while_it_is_here_and_taken_back_when_it_goes() {
    use althing_overlay::records::{Listing, Text};
    let mut side = side(1, "ours", Vec::new());
    let (hash, day) = (Sha1Digest([7; 20]), 24 * 3_600);
    let listing = Listing::new(InfoHash::V1(hash), Text::cleaned("lectures"), 1, 1);
    let draft = Draft::listing(listing.expect("it has a name"), UnixTime(0), 10 * day);
    let begin = 1_000_000;
    let first = side.sign(UnixTime(begin), draft).expect("it is signed");
    side.publish(NOW, first.clone()).expect("it is said");
    let at = |days: i64| UnixTime(begin + days * day);
    assert!(side.renewal(at(4), |_| true).is_none());
    assert!(side.renewal(at(6), |other| other != hash).is_none());
    let renewed = side.renewal(at(6), |other| other == hash).expect("its time comes");
    assert_eq!((renewed.key(), renewed.body()), (first.key(), first.body()));
    assert_eq!(renewed.expires(), at(16));
    assert!(side.withdrawal(at(7), InfoHashes::v1_only(Sha1Digest([8; 20]))).is_none());
    let gone = side.withdrawal(at(7), InfoHashes::v1_only(hash)).expect("it was said");
    assert!(gone.is_withdrawal() && gone.version() > first.version());
}

#[test]
fn what_we_say_again_is_newer_though_the_clock_was_set_back() {
    use althing_overlay::records::{Profile, Text};
    let mut side = side(1, "ours", Vec::new());
    let draft = |name: &str| {
        let profile = Profile::new(Text::cleaned(name), Text::cleaned(""));
        Draft::profile(profile.expect("it has a name"), UnixTime(0), 100)
    };
    let first = side.sign(UnixTime(1_000_000), draft("first")).expect("it is signed");
    side.publish(NOW, first.clone()).expect("it is said");
    let second = side.sign(UnixTime(900_000), draft("second")).expect("it is signed");
    assert!(second.version() > first.version());
    assert_eq!(second.expires().0 - second.created().0, 100);
    side.publish(NOW, second.clone()).expect("it is said");
    assert!(side.publish(NOW, first).is_err());
    let held: Vec<_> = side.records().iter().map(|record| record.id()).collect();
    assert_eq!(held, [second.id()]);
}
