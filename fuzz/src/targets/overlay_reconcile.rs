//! Reconciliation: two sets become known to each other, and whatever a stranger sends is answered within
//! bounds.

use althing_base::hash::sha256;
use althing_overlay::limits::RECONCILE_BYTES_MIN;
use althing_overlay::reconcile::{Item, Session, Set, answer};
use std::collections::BTreeSet;

/// Takes the first byte for the size of the sets, a few for what differs, and the rest for a message.
pub fn run(data: &[u8]) {
    let Some((&[count, differing], rest)) = data.split_first_chunk() else { return };
    let (changes, message) = rest.split_at(rest.len().min(differing.into()));
    let item = |number: u64| Item {
        time: number / (1 + u64::from(differing)),
        id: sha256(&number.to_be_bytes()).0,
    };
    let mut ours: Set = (0..u64::from(count) * 3).map(item).collect();
    let mut theirs = ours.clone();
    for (number, change) in (0..).zip(changes) {
        let item = item(number * u64::from(*change));
        match change % 4 {
            0 => ours.insert(item),
            1 => theirs.insert(item),
            2 => ours.remove(&item),
            _ => theirs.remove(&item),
        };
    }
    let max = RECONCILE_BYTES_MIN;
    let (mut session, first) = Session::start(&ours, max);
    for set in [&ours, &theirs, &Set::new()] {
        let hostile = answer(set, message, max);
        assert!(hostile.is_err() || hostile.is_ok_and(|answer| answer.len() <= max));
        if let Ok(step) = session.clone().heed(set, message) {
            assert!(step.need.len() * 32 <= message.len() && step.have.len() <= set.len());
            assert!(step.message.is_none_or(|next| next.len() <= max));
        }
    }
    let (mut have, mut need) = (BTreeSet::new(), BTreeSet::new());
    let mut next = Some(first);
    while let Some(message) = next {
        let answer = answer(&theirs, &message, max).expect("an honest message");
        let step = session.heed(&ours, &answer).expect("an honest answer, before too many");
        have.extend(step.have);
        need.extend(step.need);
        next = step.message;
    }
    let only = |one: &Set, other: &Set| -> BTreeSet<[u8; 32]> {
        one.iter().filter(|item| !other.contains(item)).map(|item| item.id).collect()
    };
    assert_eq!((have, need), (only(&ours, &theirs), only(&theirs, &ours)));
}
