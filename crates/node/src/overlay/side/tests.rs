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
    let mut side = side(1, "ours", Vec::new());
    let draft = |name| profile(name, 100);
    let first = side.sign(UnixTime(1_000_000), draft("first")).expect("it is signed");
    side.publish(NOW, first.clone()).expect("it is said");
    let second = side.sign(UnixTime(999_500), draft("second")).expect("it is signed");
    assert!(second.version() > first.version());
    assert_eq!(second.expires().0 - second.created().0, 100);
    side.publish(NOW, second.clone()).expect("it is said");
    assert!(side.publish(NOW, first).is_err());
    let held: Vec<_> = side.records().iter().map(|record| record.id()).collect();
    assert_eq!(held, [second.id()]);
}

/// A draft of who somebody is, for so many seconds.
fn profile(name: &str, lifetime_s: i64) -> Draft {
    use althing_overlay::records::{Profile, Text};
    let profile = Profile::new(Text::cleaned(name), Text::cleaned(""));
    Draft::profile(profile.expect("it has a name"), UnixTime(0), lifetime_s)
}

/// Two that are linked, whose clocks say these times.
fn two(one: i64, other: i64) -> (Side, Side) {
    let (mut caller, mut answerer) = (side(1, "ours", vec![addr(2)]), side(2, "ours", Vec::new()));
    caller.clock(NOW, UnixTime(one), Some(7716));
    answerer.clock(NOW, UnixTime(other), Some(7716));
    wishes(&mut caller);
    caller.event(NOW, met(5, 2, Direction::Outgoing, true));
    answerer.event(NOW, met(5, 1, Direction::Incoming, false));
    assert!(carry(5, &mut caller, &mut answerer));
    (caller, answerer)
}

/// Has one say who it is, by its own clock. What the other then holds of it.
fn says(one: &mut Side, other: &mut Side, unix: i64) -> Option<Record> {
    let said = one.sign(UnixTime(unix), profile("somebody", MONTH_S)).expect("it is signed");
    let said = super::super::stamped(&said).expect("a stamp is found");
    one.publish(NOW, said.clone()).expect("it is its own");
    assert!(carry(5, one, other));
    // What was not sent at once is announced.
    one.timeout(NOW + Duration::from_secs(2));
    other.timeout(NOW + Duration::from_secs(2));
    assert!(carry(5, one, other));
    let held = other.records();
    held.into_iter().find(|record| record.author() == said.author())
}

const MONTH_S: i64 = 30 * 24 * 3_600;

/// An hour, a day, and a year.
const OFF_S: [i64; 3] = [3_600, 24 * 3_600, 365 * 24 * 3_600];

#[test]
fn what_a_clock_that_is_ahead_signs_nobody_takes_until_it_is_right() {
    let right = 1_800_000_000;
    for off in OFF_S {
        let (mut wrong, mut other) = two(right + off, right);
        assert_eq!(says(&mut wrong, &mut other, right + off), None, "{off} s");
        assert!(other.stats().refused > 0);
        assert_eq!(wrong.stats().clock_off_s, Some(-off));
        // What others say it takes, unless that seems to be over.
        let heard = says(&mut other, &mut wrong, right);
        assert_eq!(heard.is_some(), off < MONTH_S, "{off} s");
        // The clock is set right. What was said is said anew, without anybody doing anything.
        for side in [&mut wrong, &mut other] {
            side.clock(NOW, UnixTime(right + 1), Some(7716));
        }
        assert_eq!(wrong.stats().clock_off_s, None);
        assert_eq!(other.stats().clock_off_s, Some(off - 1), "it cannot tell who is right");
        let anew = wrong.renewal(UnixTime(right + 1), |_| false).expect("it is said anew");
        assert_eq!(anew.created(), UnixTime(right + 1));
        let anew = super::super::stamped(&anew).expect("a stamp is found");
        wrong.publish(NOW, anew.clone()).expect("it is its own");
        assert!(carry(5, &mut wrong, &mut other));
        for side in [&mut wrong, &mut other] {
            side.timeout(NOW + Duration::from_secs(4));
        }
        assert!(carry(5, &mut wrong, &mut other));
        assert!(other.records().iter().any(|record| record.id() == anew.id()), "{off} s");
    }
}

#[test]
fn a_clock_that_is_behind_is_noticed_and_nothing_is_lost() {
    let right = 1_800_000_000;
    for off in OFF_S {
        let (mut wrong, mut other) = two(right - off, right);
        assert_eq!(wrong.stats().clock_off_s, Some(off));
        assert_eq!(says(&mut other, &mut wrong, right), None, "{off} s");
        // What it says itself is old for others, and over if that is longer ago than a month.
        let heard = says(&mut wrong, &mut other, right - off);
        assert_eq!(heard.is_some(), off < MONTH_S, "{off} s");
        // When it is right there is no doubt any more, and what it says is newer than what it said.
        wrong.clock(NOW, UnixTime(right), Some(7716));
        assert_eq!(wrong.stats().clock_off_s, None);
        let heard = says(&mut wrong, &mut other, right).expect("it is taken");
        assert_eq!(heard.created(), UnixTime(right));
    }
}

#[test]
fn what_was_signed_by_a_right_clock_is_not_given_up_for_one_that_is_behind() {
    let right = 1_800_000_000;
    let (mut wrong, mut other) = two(right, right);
    let said = says(&mut wrong, &mut other, right).expect("it is taken");
    says(&mut other, &mut wrong, right).expect("it is taken");
    // As after a start without a clock that runs while the power is off.
    wrong.clock(NOW, UnixTime(0), Some(7716));
    assert!(wrong.renewal(UnixTime(0), |_| true).is_none());
    let again = wrong.sign(UnixTime(0), profile("somebody else", MONTH_S)).expect("it is signed");
    assert!(again.version() > said.version(), "others take it for newer");
    assert_eq!(again.created(), said.created());
}
