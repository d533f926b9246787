//! What never comes back, who gives way, and that whoever writes changes down has what the shelf has.

use super::*;
use crate::NetworkKey;
use crate::reconcile;
use crate::records::{Body, Draft, Kind, Slot};
use proptest::prelude::*;

const DAY: i64 = 24 * 3_600;
/// What the clock says when a test begins.
const START: i64 = 1_000 * DAY;

/// What a test says of a record.
#[derive(Clone, Copy, Debug)]
struct Made {
    author: u8,
    slot: u8,
    /// Days before [`START`] on which it was created.
    age: i64,
    seq: u64,
    days: i64,
    /// Bytes of the body.
    bytes: usize,
}

const PLAIN: Made = Made { author: 1, slot: 1, age: 0, seq: 0, days: 10, bytes: 0 };

impl Made {
    fn sign(self) -> Record {
        let (kind, slot) = (Kind(200), Slot([self.slot; 32]));
        let body = Body::parse(kind, &slot, &vec![1; self.bytes]).unwrap();
        let created = UnixTime(START - self.age * DAY);
        let expires = UnixTime(created.0 + self.days * DAY);
        let draft = Draft { kind, slot, seq: self.seq, created, expires, body };
        let author = NodeId([self.author; 32]);
        draft.sign_with(&author, &NetworkKey::public(), |_| [0; 64]).unwrap()
    }
}

fn shelf() -> Shelf {
    Shelf::new(Caps { stranger_work_bits: 0, ..Caps::default() })
}

fn now() -> UnixTime {
    UnixTime(START)
}

/// The clock some days on.
fn on(days: i64) -> UnixTime {
    UnixTime(START + days * DAY)
}

#[test]
fn the_newest_stays_and_what_it_replaced_does_not_come_back() {
    let mut shelf = shelf();
    let old = Made { age: 2, seq: 9, days: 30, ..PLAIN }.sign();
    let new = Made { age: 1, seq: 0, days: 5, ..PLAIN }.sign();
    assert_eq!(shelf.admit(now(), &old), Ok(Admitted::default()));
    assert_eq!(shelf.admit(now(), &old), Err(Refused::Held));
    assert_eq!(shelf.admit(now(), &new).unwrap().replaced, Some(old.clone()));
    assert_eq!(shelf.admit(now(), &old), Err(Refused::Replaced));
    assert_eq!(shelf.newest(&new.key()), Some(&new));
    assert!(!shelf.wants(&old.id()) && !shelf.wants(&new.id()));
    // The new one expires long before the old one would have.
    shelf.expire(on(4));
    assert!(shelf.is_empty() && !shelf.holds(&new.id()));
    assert_eq!(shelf.admit(on(4), &old), Err(Refused::Replaced));
    assert_eq!(shelf.admit(on(27), &old), Err(Refused::Replaced));
    // Should the clock go back, it still has expired.
    assert_eq!(shelf.admit(now(), &new), Err(Refused::Expired));
    // By then the old one has expired, and nothing need be remembered.
    assert_eq!(shelf.next_expiry(), Some(on(29)));
    shelf.expire(on(29));
    assert_eq!(shelf.memories().count(), 0);
    assert_eq!(shelf.admit(on(29), &old), Err(Refused::Expired));
    assert_eq!(shelf.next_expiry(), None);
}

#[test]
fn clocks_may_differ_a_little() {
    let mut shelf = shelf();
    let record = PLAIN.sign();
    let back = |seconds| UnixTime(START - seconds);
    let ahead_s = CREATED_AHEAD_MAX_S + 1;
    assert_eq!(shelf.admit(back(ahead_s), &record), Err(Refused::Ahead { ahead_s }));
    assert!(shelf.admit(back(CREATED_AHEAD_MAX_S), &record).is_ok());
    assert_eq!(shelf.admit(UnixTime(i64::MIN), &record), Err(Refused::Held));
    let other = Made { slot: 2, ..PLAIN }.sign();
    assert!(matches!(shelf.admit(UnixTime(i64::MIN), &other), Err(Refused::Ahead { .. })));
    assert_eq!(shelf.admit(UnixTime(i64::MAX), &other), Err(Refused::Expired));
    assert!(shelf.is_empty());
}

#[test]
fn strangers_have_to_work_and_acquaintances_have_not() {
    let mut shelf = Shelf::new(Caps { stranger_work_bits: 6, ..Caps::default() });
    let record = PLAIN.sign();
    let lazy = (0..).map(|nonce| record.with_nonce(nonce)).find(|r| r.work() < 6).unwrap();
    let found = lazy.work();
    assert_eq!(shelf.admit(now(), &lazy), Err(Refused::Work { found, needed: 6 }));
    let nonce = crate::records::stamp::find(&record.id(), 6, 0, 10_000).unwrap();
    assert!(shelf.admit(now(), &record.with_nonce(nonce)).is_ok());
    let lazy = Made { author: 2, ..PLAIN }.sign();
    shelf.regard(lazy.author(), Standing::Known);
    assert!(shelf.admit(now(), &lazy).is_ok());
}

#[test]
fn an_authors_oldest_give_way_to_his_newest_in_any_order() {
    let caps = Caps { author_records: 3, stranger_work_bits: 0, ..Caps::default() };
    let records: Vec<_> =
        (1..=6).map(|slot| Made { slot, age: i64::from(slot), ..PLAIN }.sign()).collect();
    let mut forwards = Shelf::new(caps.clone());
    for record in &records {
        let _ = forwards.admit(now(), record);
    }
    assert_eq!(forwards.admit(now(), &records[5]), Err(Refused::AuthorFull));
    assert!(records[3..].iter().all(|record| !forwards.wants(&record.id())));
    let mut backwards = Shelf::new(caps);
    for record in records.iter().rev() {
        assert!(backwards.admit(now(), record).is_ok());
    }
    let newest: Vec<_> = records[..3].iter().rev().collect();
    assert!(forwards.records().eq(newest.iter().copied()));
    assert!(backwards.records_of(&NodeId([1; 32])).eq(newest.iter().copied()));
    // Of a key that is there already there may be newer ones.
    let newer = Made { slot: 1, age: 0, ..PLAIN }.sign();
    assert_eq!(forwards.admit(now(), &newer).unwrap().evicted, []);
    // What gave way may come back when there is room.
    for record in &records[..3] {
        forwards.expire(record.expires());
    }
    assert_eq!(forwards.len(), 1);
    assert!(forwards.wants(&records[5].id()));
}

#[test]
fn who_has_most_gives_way_first_and_we_never_do() {
    let caps = Caps { records: 6, stranger_work_bits: 0, ..Caps::default() };
    let mut shelf = Shelf::new(caps);
    let [own, known, much, little] = [1, 2, 3, 4].map(|author| NodeId([author; 32]));
    shelf.regard(own, Standing::Own);
    shelf.regard(known, Standing::Known);
    for (author, slots) in [(1, 2), (2, 2), (3, 1), (4, 1)] {
        for slot in 1..=slots {
            let bytes = if author == 3 { 10 } else { 0 };
            shelf.admit(now(), &Made { author, slot, bytes, ..PLAIN }.sign()).unwrap();
        }
    }
    let held = |shelf: &Shelf, author| shelf.records_of(&author).count();
    let count = |shelf: &Shelf| [own, known, much, little].map(|author| held(shelf, author));
    assert_eq!(count(&shelf), [2, 2, 1, 1]);
    let admit = |shelf: &mut Shelf, author, slot| {
        shelf.admit(now(), &Made { author, slot, ..PLAIN }.sign()).map(|done| done.evicted.len())
    };
    // Our own and acquaintances' take the places of strangers, the one with more bytes first.
    assert_eq!(admit(&mut shelf, 2, 9), Ok(1));
    assert_eq!(count(&shelf), [2, 3, 0, 1]);
    assert_eq!(admit(&mut shelf, 1, 9), Ok(1));
    assert_eq!(count(&shelf), [3, 3, 0, 0]);
    // A stranger finds no room now, acquaintances only at each other's cost.
    assert_eq!(admit(&mut shelf, 4, 9), Err(Refused::Full));
    assert_eq!(admit(&mut shelf, 1, 10), Ok(1));
    assert_eq!(admit(&mut shelf, 1, 11), Ok(1));
    assert_eq!(admit(&mut shelf, 1, 12), Ok(1));
    assert_eq!(count(&shelf), [6, 0, 0, 0]);
    assert_eq!(admit(&mut shelf, 1, 13), Err(Refused::Full));
    assert_eq!(admit(&mut shelf, 2, 13), Err(Refused::Full));
    assert_eq!(count(&shelf), [6, 0, 0, 0]);
}

#[test]
fn who_is_blocked_gives_way_before_strangers_and_leaves_no_trace() {
    let caps = Caps { records: 4, stranger_work_bits: 0, ..Caps::default() };
    let mut shelf = Shelf::new(caps);
    let [blocked, stranger] = [1, 2].map(|author| NodeId([author; 32]));
    let admit = |shelf: &mut Shelf, author, slot| {
        shelf.admit(now(), &Made { author, slot, ..PLAIN }.sign()).map(|done| done.evicted.len())
    };
    shelf.regard(blocked, Standing::Blocked);
    assert_eq!(shelf.standing(&blocked), Standing::Stranger, "nothing of his is here");
    assert_eq!(admit(&mut shelf, 1, 1), Ok(0));
    (1..=3).for_each(|slot| assert_eq!(admit(&mut shelf, 2, slot), Ok(0)));
    shelf.regard(blocked, Standing::Blocked);
    // The one who has the most bytes would be the stranger.
    assert_eq!(admit(&mut shelf, 3, 1), Ok(1));
    assert_eq!(shelf.records_of(&blocked).count(), 0);
    assert_eq!(shelf.records_of(&stranger).count(), 3);
    // There is no room for him among strangers, be they as poor as he.
    assert_eq!(admit(&mut shelf, 1, 2), Err(Refused::Full));
    // What gave way is remembered until it would have expired, and so is he.
    shelf.regard(blocked, Standing::Stranger);
    assert_eq!(shelf.standing(&blocked), Standing::Stranger);
    shelf.regard(blocked, Standing::Blocked);
    shelf.expire(UnixTime(now().0 + 100 * DAY));
    assert!(shelf.authors.is_empty());
}

#[test]
fn acquaintances_are_bounded_and_forgotten_without_a_trace() {
    let mut shelf = shelf();
    let name = |number: usize| {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_be_bytes());
        NodeId(name)
    };
    for number in 0..=KNOWN_AUTHORS_MAX {
        shelf.regard(name(number), Standing::Known);
    }
    assert_eq!(shelf.standing(&name(KNOWN_AUTHORS_MAX - 1)), Standing::Known);
    assert_eq!(shelf.standing(&name(KNOWN_AUTHORS_MAX)), Standing::Stranger);
    shelf.regard(name(KNOWN_AUTHORS_MAX), Standing::Own);
    assert_eq!(shelf.standing(&name(KNOWN_AUTHORS_MAX)), Standing::Own);
    for number in 0..=KNOWN_AUTHORS_MAX {
        shelf.regard(name(number), Standing::Stranger);
    }
    assert!(shelf.authors.is_empty());
    shelf.regard(name(7), Standing::Known);
    assert_eq!(shelf.standing(&name(7)), Standing::Known);
}

#[test]
fn an_author_cannot_make_us_forget_by_publishing_more() {
    let mut shelf = Shelf::new(Caps { author_keys: 3, stranger_work_bits: 0, ..Caps::default() });
    for slot in 1..=3 {
        shelf.admit(now(), &Made { slot, days: 1, ..PLAIN }.sign()).unwrap();
    }
    let more = Made { slot: 4, days: 9, ..PLAIN }.sign();
    assert_eq!(shelf.admit(on(2), &more), Err(Refused::AuthorFull));
    assert_eq!((shelf.len(), shelf.memories().count()), (0, 3));
    let older = Made { slot: 1, age: 1, days: 30, ..PLAIN }.sign();
    assert_eq!(shelf.admit(on(2), &older), Err(Refused::Replaced));
    // Another author is not bothered by it.
    assert!(shelf.admit(on(2), &Made { author: 2, days: 9, ..PLAIN }.sign()).is_ok());
}

/// What somebody knows who has only heard of the changes: a disk.
#[derive(Debug, Default, PartialEq, Eq)]
struct Disk {
    records: BTreeMap<RecordId, Record>,
    memories: BTreeMap<Key, Memory>,
}

impl Disk {
    fn of(shelf: &Shelf) -> Self {
        Disk {
            records: shelf.records().map(|record| (record.id(), record.clone())).collect(),
            memories: shelf.memories().map(|memory| (memory.key, memory)).collect(),
        }
    }

    fn follow(&mut self, shelf: &mut Shelf) {
        while let Some(change) = shelf.poll_change() {
            match change {
                Change::Hold(record) => {
                    assert!(!self.memories.contains_key(&record.key()));
                    assert_eq!(self.records.insert(record.id(), record), None);
                }
                Change::Drop(record, _) => {
                    assert_eq!(self.records.remove(&record.id()), Some(record));
                }
                Change::Remember(memory) => {
                    assert_eq!(self.memories.insert(memory.key, memory), None);
                }
                Change::Forget(key) => assert!(self.memories.remove(&key).is_some()),
            }
        }
    }
}

fn check(shelf: &Shelf) {
    let records: Vec<_> = shelf.records().collect();
    assert_eq!(records.len(), shelf.len());
    assert_eq!(records.iter().map(|record| size(record)).sum::<usize>(), shelf.bytes());
    assert!(records.is_sorted_by_key(|record| (record.created(), record.id())));
    assert_eq!(shelf.expiring.len(), shelf.len());
    assert_eq!(shelf.fading.len(), shelf.memories().count());
    let known = shelf.authors.len() + shelf.remembered.len();
    assert_eq!(known, shelf.len() + shelf.fading.len());
    let held = shelf.expiring.iter().map(|ByExpiry(record)| record.expires());
    assert_eq!(shelf.next_expiry(), held.chain(shelf.fading.iter().map(|(at, _)| *at)).min());
    assert!(shelf.len() <= shelf.caps.records && shelf.bytes() <= shelf.caps.bytes);
    assert!(shelf.fading.len() <= shelf.caps.remembered);
    shelf.authors.check(shelf.caps.author_records, shelf.caps.author_bytes);
}

fn any_made() -> impl Strategy<Value = Made> {
    (0..3u8, 0..3u8, 0..20i64, 0..3u64, 1..=30i64, 0..40usize).prop_map(
        |(author, slot, age, seq, days, bytes)| Made { author, slot, age, seq, days, bytes },
    )
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter_and_nothing_comes_back(
        made in prop::collection::vec((any_made(), any::<u32>(), 0..2i64), 1..40),
    ) {
        let records: Vec<_> = made.iter().map(|(made, ..)| made.sign()).collect();
        let mut shuffled: Vec<_> = (0..records.len()).collect();
        shuffled.sort_by_key(|&at| made[at].1);
        let orders = [(0..records.len()).collect(), shuffled];
        let shelves = orders.map(|order: Vec<usize>| {
            let (mut shelf, mut clock) = (shelf(), START);
            let mut gone = BTreeSet::new();
            // All of them twice, so that each is offered again after what replaced it.
            for &at in order.iter().chain(&order) {
                clock += made[at].2 * DAY / 2;
                let _ = shelf.admit(UnixTime(clock), &records[at]);
                while let Some(change) = shelf.poll_change() {
                    match change {
                        Change::Hold(record) => assert!(!gone.contains(&record.id())),
                        Change::Drop(record, _) => assert!(gone.insert(record.id())),
                        Change::Remember(_) | Change::Forget(_) => {}
                    }
                }
                check(&shelf);
            }
            shelf
        });
        prop_assert_eq!(Disk::of(&shelves[0]), Disk::of(&shelves[1]));
        prop_assert_eq!(shelves[0].set(), shelves[1].set());
    }

    #[test]
    fn two_that_reconcile_hold_the_same(
        made in prop::collection::vec((any_made(), 0..3u8), 1..80),
    ) {
        let mut shelves = [shelf(), shelf()];
        for (made, whose) in made {
            let record = Made { days: 30, ..made }.sign();
            for (number, shelf) in (0..).zip(&mut shelves) {
                if whose == 2 || whose == number {
                    let _ = shelf.admit(now(), &record);
                }
            }
        }
        let [mut ours, mut theirs] = shelves;
        let (mut session, first) = reconcile::Session::start(ours.set(), 4_096);
        let mut next = Some(first);
        while let Some(message) = next {
            let answer = reconcile::answer(theirs.set(), &message, 4_096).unwrap();
            let step = session.heed(ours.set(), &answer).unwrap();
            // Records go over while names are still being told.
            for id in step.have {
                let record = ours.record(&RecordId(id)).cloned();
                record.map(|record| theirs.admit(now(), &record));
            }
            for id in step.need {
                let record = theirs.record(&RecordId(id)).cloned();
                record.map(|record| ours.admit(now(), &record));
            }
            next = step.message;
        }
        prop_assert_eq!(ours.set(), theirs.set());
    }

    #[test]
    fn bounds_hold_and_whoever_writes_it_down_has_the_same(
        made in prop::collection::vec((any_made(), 0..2i64), 1..80),
        caps in (1..6usize, 164..700usize, 1..9usize, 1..9usize, 164..1_500usize, 0..6usize),
        standings in any::<[u8; 2]>(),
    ) {
        let (author_records, author_bytes, author_keys, records, bytes, remembered) = caps;
        let stranger_work_bits = 0;
        let mut shelf = Shelf::new(Caps {
            author_records, author_bytes, author_keys, records, bytes, remembered,
            stranger_work_bits,
        });
        let kinds = [Standing::Stranger, Standing::Known, Standing::Own, Standing::Blocked];
        for (author, standing) in standings.into_iter().enumerate() {
            shelf.regard(NodeId([author as u8; 32]), kinds[usize::from(standing) % 4]);
        }
        let (mut disk, mut clock) = (Disk::default(), START);
        for (made, days) in made {
            clock += days * DAY;
            let own = |shelf: &Shelf| {
                let records = shelf.records().filter(|r| shelf.standing(&r.author()) == Standing::Own);
                records.cloned().collect::<Vec<_>>()
            };
            shelf.expire(UnixTime(clock));
            let before = own(&shelf);
            let record = made.sign();
            let judged = shelf.judge(UnixTime(clock), &record);
            let admitted = shelf.admit(UnixTime(clock), &record);
            if judged.is_err() {
                prop_assert_eq!(admitted.err(), judged.err());
            } else {
                prop_assert_eq!(admitted.is_ok(), shelf.holds(&record.id()));
            }
            // Only our own make our own go.
            if shelf.standing(&record.author()) != Standing::Own {
                prop_assert_eq!(before, own(&shelf));
            }
            check(&shelf);
            disk.follow(&mut shelf);
            prop_assert_eq!(&disk, &Disk::of(&shelf));
        }
        // A restart: all is as it was, in any order of records.
        let mut again = Shelf::new(shelf.caps.clone());
        for (author, standing) in standings.into_iter().enumerate() {
            again.regard(NodeId([author as u8; 32]), kinds[usize::from(standing) % 4]);
        }
        for memory in disk.memories.values() {
            again.recall(UnixTime(clock), *memory);
        }
        for record in disk.records.values() {
            again.admit(UnixTime(clock), record).unwrap();
        }
        prop_assert_eq!(Disk::of(&again), disk);
    }
}
