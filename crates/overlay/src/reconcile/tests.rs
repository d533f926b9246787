//! Reconciliations between sets of all shapes, with another implementation, and with bytes that are none.

use super::*;
use althing_base::hash::sha256;
use proptest::prelude::*;

fn item(number: u64, time: u64) -> Item {
    Item { time, id: sha256(&number.to_be_bytes()).0 }
}

/// What a reconciliation came to.
#[derive(Debug, Default)]
struct Outcome {
    have: Vec<[u8; 32]>,
    need: Vec<[u8; 32]>,
    rounds: u32,
    sent: usize,
    received: usize,
}

fn reconcile(ours: &Set, theirs: &Set, bytes_max: usize) -> Outcome {
    let (mut session, first) = Session::start(ours, bytes_max);
    let (mut outcome, mut next) = (Outcome::default(), Some(first));
    while let Some(message) = next {
        assert!(message.len() <= bytes_max, "{} bytes", message.len());
        let answer = answer(theirs, &message, bytes_max).unwrap();
        assert!(answer.len() <= bytes_max, "{} bytes", answer.len());
        outcome.rounds += 1;
        outcome.sent += message.len();
        outcome.received += answer.len();
        let step = session.heed(ours, &answer).unwrap();
        outcome.have.extend(step.have);
        outcome.need.extend(step.need);
        next = step.message;
    }
    outcome
}

fn difference(of: &Set, without: &Set) -> BTreeSet<[u8; 32]> {
    of.iter().filter(|item| !without.contains(item)).map(|item| item.id).collect()
}

fn check(ours: &Set, theirs: &Set, outcome: &Outcome) {
    let (have, need) = (difference(ours, theirs), difference(theirs, ours));
    assert_eq!(outcome.have.len(), have.len(), "some were found twice or not at all");
    assert_eq!(outcome.need.len(), need.len(), "some were found twice or not at all");
    assert!(outcome.have.iter().all(|id| have.contains(id)));
    assert!(outcome.need.iter().all(|id| need.contains(id)));
}

/// How many rounds find everything among `count` items if every message fits: one for each time that
/// ranges are cut in sixteen, and one in which names are told.
fn rounds(count: usize) -> u32 {
    let mut rounds = 1;
    let mut left = count;
    while left >= 2 * PARTS {
        left = left.div_ceil(PARTS);
        rounds += 1;
    }
    rounds
}

/// Two sets of `count` items, of which each has half of `differing` for itself, here and there.
fn pair(count: u64, differing: u64) -> (Set, Set) {
    let all = count + differing / 2;
    let apart = all / differing;
    let without = |remainder| {
        let is_other = move |number: u64| {
            let part = number / apart;
            number.is_multiple_of(apart) && part < differing && part % 2 == remainder
        };
        (0..all).filter(move |n| !is_other(*n)).map(|n| item(n, n / 3)).collect()
    };
    (without(0), without(1))
}

/// Two sets of `count` items, of which each has half of `differing`, the newest, for itself.
fn grown_apart(count: u64, differing: u64) -> (Set, Set) {
    let common = count - differing / 2;
    let with = |whose| {
        let own = (common..count).map(move |number| item(number + whose * count, number / 3));
        (0..common).map(|number| item(number, number / 3)).chain(own).collect()
    };
    (with(1), with(2))
}

#[test]
fn ten_thousand_records_cost_what_is_written_down() {
    // docs/protocols/overlay.md: differences, rounds, bytes sent, bytes received.
    let cost = |(ours, theirs): (Set, Set), differing| {
        let outcome = reconcile(&ours, &theirs, RECONCILE_BYTES_MAX);
        check(&ours, &theirs, &outcome);
        assert_eq!((ours.len(), outcome.have.len() as u64), (10_000, differing / 2));
        (differing, outcome.rounds, outcome.sent, outcome.received)
    };
    let table = [10, 100, 1_000].map(|differing| cost(pair(10_000, differing), differing));
    assert_eq!(table, [(10, 2, 3520, 4061), (100, 5, 31974, 40974), (1000, 26, 182903, 268432)]);
    let table = [10, 100, 1_000].map(|differing| cost(grown_apart(10_000, differing), differing));
    assert_eq!(table, [(10, 2, 652, 604), (100, 2, 969, 2102), (1000, 3, 4743, 17406)]);
}

#[test]
fn equal_and_empty_sets_take_one_round() {
    let full: Set = (0..5_000).map(|number| item(number, number)).collect();
    let empty = Set::new();
    for (ours, theirs) in [(&full, &full), (&empty, &empty)] {
        let outcome = reconcile(ours, theirs, 4_096);
        check(ours, theirs, &outcome);
        assert_eq!(outcome.rounds, 1);
    }
    for (ours, theirs) in [(&full, &empty), (&empty, &full)] {
        let outcome = reconcile(ours, theirs, 4_096);
        check(ours, theirs, &outcome);
    }
}

#[test]
fn all_at_one_time_are_told_apart_by_their_names() {
    let ours: Set = (0..3_000).map(|number| item(number, 7)).collect();
    let theirs: Set = (100..3_100).map(|number| item(number, 7)).collect();
    check(&ours, &theirs, &reconcile(&ours, &theirs, 4_096));
}

#[test]
fn names_that_do_not_all_fit_are_followed_by_what_is_left() {
    let set: Set = (0..1_000).map(|number| item(number, number)).collect();
    let (_, question) = Session::start(&Set::new(), 4_096);
    let answer = answer(&set, &question, 4_096).unwrap();
    let mut ranges = Ranges::new(&answer[1..]);
    let Ok(Some((bound, Known::Ids(ids)))) = ranges.next() else { panic!() };
    assert!((100..128).contains(&ids.len()), "{}", ids.len());
    assert_eq!(Some(bound), set.item(ids.len()).map(Bound::before));
    let rest = Known::Fingerprint(set.fingerprint(ids.len(), set.len()));
    assert_eq!(ranges.next(), Ok(Some((Bound::END, rest))));
    assert_eq!(ranges.next(), Ok(None));
}

#[test]
fn who_does_not_end_is_left() {
    let ours: Set = (0..100).map(|number| item(number, number)).collect();
    let (mut session, _) = Session::start(&ours, 4_096);
    let (_, other) = Session::start(&(0..99).map(|number| item(number, number)).collect(), 4_096);
    for _ in 0..RECONCILE_ROUNDS_MAX {
        assert!(session.heed(&ours, &other).is_ok());
    }
    assert_eq!(session.heed(&ours, &other), Err(ReconcileError::Endless));
}

#[test]
fn what_is_not_there_is_not_reserved_room_for() {
    let set = Set::new();
    let mut message = vec![VERSION, 0, 0, 2];
    message::write_number(&mut message, u64::MAX);
    assert_eq!(answer(&set, &message, 4_096), Err(ReconcileError::Truncated));
    assert_eq!(answer(&set, &[], 4_096), Err(ReconcileError::Truncated));
    assert_eq!(answer(&set, &[0x62, 9, 9], 4_096), Ok(vec![VERSION]));
    let error = ReconcileError::Version { version: 0x51 };
    assert_eq!(answer(&set, &[0x51], 4_096), Err(error));
    let long = vec![VERSION; RECONCILE_BYTES_MAX + 1];
    assert!(matches!(answer(&set, &long, 4_096), Err(ReconcileError::TooLong { .. })));
    assert_eq!(answer(&set, &[VERSION, 0, 33], 4_096), Err(ReconcileError::LongName { bytes: 33 }));
    assert_eq!(answer(&set, &[VERSION, 0, 0, 3], 4_096), Err(ReconcileError::Mode { mode: 3 }));
    let backwards = [VERSION, 6, 1, 9, 0, 1, 1, 8, 0];
    assert_eq!(answer(&set, &backwards, 4_096), Err(ReconcileError::Order));
}

/// The set as the other implementation has it.
fn foreign(set: &Set) -> negentropy::NegentropyStorageVector {
    let mut storage = negentropy::NegentropyStorageVector::new();
    for item in set.iter() {
        storage.insert(item.time, negentropy::Id::from_byte_array(item.id)).unwrap();
    }
    storage.seal().unwrap();
    storage
}

/// Ours begins, and the `negentropy` crate answers.
fn with_their_answers(ours: &Set, theirs: &Set, bytes_max: usize) -> Outcome {
    let storage = foreign(theirs);
    let mut other = negentropy::Negentropy::borrowed(&storage, bytes_max as u64).unwrap();
    let (mut session, first) = Session::start(ours, bytes_max);
    let (mut outcome, mut next) = (Outcome::default(), Some(first));
    while let Some(message) = next {
        let step = session.heed(ours, &other.reconcile(&message).unwrap()).unwrap();
        outcome.have.extend(step.have);
        outcome.need.extend(step.need);
        next = step.message;
    }
    outcome
}

/// The `negentropy` crate begins, and ours answers.
fn with_their_questions(ours: &Set, theirs: &Set, bytes_max: usize) -> Outcome {
    let storage = foreign(ours);
    let mut other = negentropy::Negentropy::borrowed(&storage, bytes_max as u64).unwrap();
    let mut next = Some(other.initiate().unwrap());
    let (mut have, mut need) = (Vec::new(), Vec::new());
    while let Some(message) = next {
        let answer = answer(theirs, &message, bytes_max).unwrap();
        next = other.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
    }
    let bytes = |ids: Vec<negentropy::Id>| ids.into_iter().map(|id| id.to_bytes()).collect();
    Outcome { have: bytes(have), need: bytes(need), ..Outcome::default() }
}

/// Two sets that have much, little or nothing in common.
fn two_sets() -> impl Strategy<Value = (Set, Set)> {
    (0..800u64, prop::collection::vec((0..1_000u64, 0..3u8), 0..200), 1..50u64).prop_map(
        |(common, own, per_time)| {
            let (mut ours, mut theirs) = (Set::new(), Set::new());
            for number in 0..common {
                ours.insert(item(number, number / per_time));
                theirs.insert(item(number, number / per_time));
            }
            for (number, whose) in own {
                let item = item(number, number / per_time);
                let _ = match whose {
                    0 => ours.insert(item),
                    1 => theirs.insert(item),
                    _ => ours.remove(&item),
                };
            }
            (ours, theirs)
        },
    )
}

proptest! {
    #[test]
    fn any_two_sets_become_known((ours, theirs) in two_sets()) {
        let outcome = reconcile(&ours, &theirs, RECONCILE_BYTES_MIN);
        check(&ours, &theirs, &outcome);
        let outcome = reconcile(&ours, &theirs, RECONCILE_BYTES_MAX);
        check(&ours, &theirs, &outcome);
        // Eight kilobytes of names are the rounds beyond those of cutting.
        let spare = (outcome.sent + outcome.received) as u32 / 4_096;
        prop_assert!(outcome.rounds <= rounds(ours.len().max(theirs.len())) + 1 + spare);
    }

    #[test]
    fn another_implementation_understands_ours((ours, theirs) in two_sets()) {
        for bytes_max in [RECONCILE_BYTES_MIN, RECONCILE_BYTES_MAX] {
            // The other may go a little beyond its own limit.
            let bytes_max = bytes_max.min(RECONCILE_BYTES_MAX - 2_048);
            check(&ours, &theirs, &with_their_answers(&ours, &theirs, bytes_max));
            check(&ours, &theirs, &with_their_questions(&ours, &theirs, bytes_max));
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_say_too_much(
        (ours, theirs) in two_sets(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let (session, mut message) = Session::start(&theirs, 4_096);
        for (at, value) in flips {
            let at = at.index(message.len());
            message[at] = value;
        }
        let bytes = [&[VERSION], &bytes[..]].concat();
        for hostile in [&message[..], &bytes] {
            if let Ok(answer) = answer(&ours, hostile, 4_096) {
                prop_assert!(answer.len() <= 4_096);
            }
            if let Ok(step) = session.clone().heed(&ours, hostile) {
                prop_assert!(step.need.len() * 32 <= hostile.len());
                prop_assert!(step.have.len() <= ours.len());
                prop_assert!(step.message.is_none_or(|message| message.len() <= 4_096));
            }
        }
    }
}
