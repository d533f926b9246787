//! Records that have come to be held, gathered for those who watch the session: a node that was away for
//! long hears of thousands at once.

use super::limits::{TOLD_OF_EVERY, TOLD_OF_MAX};
use crate::session::Event;
use althing_base::Instant;
use althing_base::machine::is_due;
use althing_overlay::records::Record;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Fresh {
    count: u64,
    /// The first of them.
    records: Vec<Record>,
    /// When watchers are told; none if there is nothing to tell.
    due: Option<Instant>,
    /// When they may be told again.
    next: Instant,
}

impl Fresh {
    /// A record is held from now on.
    pub(super) fn note(&mut self, now: Instant, record: &Record) {
        self.count += 1;
        if self.records.len() < TOLD_OF_MAX {
            self.records.push(record.clone());
        }
        if self.due.is_none() {
            self.due = Some(now.max(self.next));
        }
    }

    /// When to call [`take`](Self::take).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What watchers are told now, if anything.
    pub(super) fn take(&mut self, now: Instant) -> Option<Event> {
        if !is_due(now, self.due) {
            return None;
        }
        self.due = None;
        self.next = now + TOLD_OF_EVERY;
        let records = std::mem::take(&mut self.records).into();
        Some(Event::Records { count: std::mem::take(&mut self.count), records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::UnixTime;
    use althing_overlay::records::{Draft, Profile, Text};
    use althing_overlay::{Keys, NetworkKey};
    use std::time::Duration;

    #[test]
    fn one_is_told_at_once_and_thousands_together() {
        let name = Profile::new(Text::cleaned("Ada"), Text::default()).expect("a name");
        let draft = Draft::profile(name, UnixTime(1_000), 3_600);
        let record = draft.sign(&Keys::from_secret(&[1; 32]), &NetworkKey::public());
        let record = record.expect("it is short");
        let (mut fresh, now) = (Fresh::default(), Instant::ORIGIN + Duration::from_secs(9));
        assert_eq!((fresh.deadline(), fresh.take(now)), (None, None));
        let told = |event| match event {
            Some(Event::Records { count, records }) => (count, records.len()),
            other => panic!("{other:?}"),
        };
        fresh.note(now, &record);
        assert_eq!(fresh.deadline(), Some(now));
        assert_eq!(told(fresh.take(now)), (1, 1));
        for _ in 0..5_000 {
            fresh.note(now, &record);
        }
        assert_eq!(fresh.take(now), None);
        let due = fresh.deadline().expect("there is something to tell");
        assert_eq!(due, now + TOLD_OF_EVERY);
        assert_eq!(told(fresh.take(due)), (5_000, TOLD_OF_MAX));
        assert_eq!((fresh.deadline(), fresh.take(due)), (None, None));
    }
}
