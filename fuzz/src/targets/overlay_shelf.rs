//! A shelf of records beside what it has said of itself: nothing comes back, bounds hold, and who has
//! followed the changes has what is there.

use althing_base::UnixTime;
use althing_overlay::records::{
    Body, Caps, Change, Draft, Kind, Record, RecordId, Shelf, Slot, Standing, Why,
};
use althing_overlay::{NetworkKey, NodeId};
use std::collections::BTreeSet;

const DAY: i64 = 24 * 3_600;

/// Takes eight bytes for each record that arrives.
pub fn run(data: &[u8]) {
    let caps = Caps {
        author_records: 3,
        author_bytes: 700,
        author_keys: 6,
        records: 8,
        bytes: 1_800,
        remembered: 12,
        stranger_work_bits: 0,
    };
    let mut shelf = Shelf::new(caps);
    let mut clock = 1_000 * DAY;
    let (mut held, mut remembered, mut gone) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for step in data.as_chunks::<8>().0.iter().take(500) {
        let &[author, slot, age, seq, days, bytes, passed, other] = step;
        clock += i64::from(passed % 8) * DAY / 4;
        if passed & 0x80 != 0 {
            shelf.expire(UnixTime(clock));
        }
        if other & 0x80 != 0 {
            let standings = [Standing::Stranger, Standing::Known, Standing::Own];
            shelf.regard(NodeId([author % 4; 32]), standings[usize::from(other) % 3]);
        }
        let Some(record) = record(clock, author % 4, slot % 6, age, seq, days, bytes) else {
            continue;
        };
        let admitted = shelf.admit(UnixTime(clock), &record).is_ok();
        assert!(!admitted || shelf.holds(&record.id()));
        while let Some(change) = shelf.poll_change() {
            match change {
                Change::Hold(record) => {
                    assert!(!gone.contains(&record.id()), "{record:?} has come back");
                    assert!(held.insert(record.id()));
                }
                Change::Drop(record, why) => {
                    assert!(held.remove(&record.id()));
                    // With more keys than are remembered, what was replaced may come back.
                    if why == Why::Expired {
                        gone.insert(record.id());
                    }
                }
                Change::Remember(memory) => assert!(remembered.insert(memory.key)),
                Change::Forget(key) => assert!(remembered.remove(&key)),
            }
        }
        let ids: Vec<RecordId> = shelf.records().map(|record| record.id()).collect();
        assert!(held.iter().eq(&ids.into_iter().collect::<BTreeSet<_>>()));
        assert!(remembered.iter().copied().eq(shelf.memories().map(|memory| memory.key)));
        assert!(shelf.len() <= 8 && shelf.bytes() <= 1_800 && remembered.len() <= 12);
        assert_eq!(shelf.set().len(), shelf.len());
        assert!((0..4).all(|author| shelf.records_of(&NodeId([author; 32])).count() <= 3));
    }
}

fn record(
    clock: i64,
    author: u8,
    slot: u8,
    age: u8,
    seq: u8,
    days: u8,
    bytes: u8,
) -> Option<Record> {
    let (kind, slot) = (Kind(200), Slot([slot; 32]));
    let created = clock - i64::from(age % 32) * DAY;
    let draft = Draft {
        kind,
        slot,
        seq: u64::from(seq % 4),
        created: UnixTime(created),
        expires: UnixTime(created + i64::from(days % 40) * DAY),
        body: Body::parse(kind, &slot, &vec![1; bytes.into()]).ok()?,
    };
    draft.sign_with(&NodeId([author; 32]), &NetworkKey::public(), |_| [0; 64]).ok()
}
