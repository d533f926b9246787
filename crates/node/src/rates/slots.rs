//! Upload slots: how many peers are uploaded to at the same time, of all torrents together, and which
//! torrent has how many of them.
//!
//! A torrent asks when peers begin or cease to want something of it, and in each of its choke rounds
//! as long as some do; one that nobody wants anything of holds nothing and costs nothing. Every
//! [`SLOTS_ROUND`] what there is is divided anew, max-min fair: who wants few has them, the others have
//! equally many. Where there are fewer slots than torrents, these take turns of
//! [`SLOTS_TURN_ROUNDS`]. What one has to give up, another has only after it has been given up, so
//! that there are never more than there are.

use crate::limits::{
    SLOT_BYTES_PER_S, SLOTS_AUTOMATIC, SLOTS_AUTOMATIC_LIMITED_MIN, SLOTS_MAX, SLOTS_ROUND,
    SLOTS_TURN_ROUNDS,
};
use althing_base::Instant;
use althing_base::rates::share;
use althing_router::TorrentKey;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of our own line, if slots are to follow from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Bytes of blocks sent since the start.
    pub(crate) sent: u64,
    /// The limit on what is sent, in bytes a second.
    pub(crate) limit: Option<NonZeroU64>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Slots(Mutex<Table>);

#[derive(Debug)]
struct Table {
    /// What the user has set; 0 lets it follow from the line.
    set: u32,
    automatic: Automatic,
    torrents: BTreeMap<TorrentKey, Torrent>,
    /// The sums of what torrents hold and of what they are to hold.
    held: u64,
    due: u64,
    next_round: Instant,
    rounds: u32,
    /// Whose turn it is, where there are too few.
    turn: TorrentKey,
}

#[derive(Clone, Copy, Debug, Default)]
struct Torrent {
    want: u64,
    /// What it is to hold.
    due: u64,
    /// What it holds.
    held: u64,
}

impl Slots {
    /// So many of them; 0 lets their number follow from the line.
    pub(crate) fn new(now: Instant, set: u32) -> Self {
        Slots(Mutex::new(Table {
            set,
            automatic: Automatic { slots: SLOTS_AUTOMATIC, sent: 0, at: now },
            torrents: BTreeMap::new(),
            held: 0,
            due: 0,
            next_round: now,
            rounds: 0,
            turn: TorrentKey(0),
        }))
    }

    /// There are so many from now on; 0 lets their number follow from the line.
    pub(crate) fn set_total(&self, set: u32) {
        self.table().set = set;
    }

    /// A torrent could use so many; says how many it has from now on.
    pub(crate) fn exchange(
        &self,
        now: Instant,
        torrent: TorrentKey,
        want: usize,
        line: impl FnOnce() -> Line,
    ) -> usize {
        let mut table = self.table();
        if want == 0 {
            table.leave(torrent);
            return 0;
        }
        if now >= table.next_round {
            table.round(now, line());
        }
        usize::try_from(table.exchange(torrent, want as u64)).unwrap_or(usize::MAX)
    }

    /// A torrent is gone.
    pub(crate) fn leave(&self, torrent: TorrentKey) {
        self.table().leave(torrent);
    }

    /// How many are held, and how many there are.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let table = self.table();
        (table.held, table.total())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn total(&self) -> u64 {
        u64::from(if self.set > 0 { self.set.min(SLOTS_MAX) } else { self.automatic.slots })
    }

    fn leave(&mut self, torrent: TorrentKey) {
        if let Some(gone) = self.torrents.remove(&torrent) {
            self.held -= gone.held;
            self.due -= gone.due;
        }
    }

    fn exchange(&mut self, key: TorrentKey, want: u64) -> u64 {
        let total = self.total();
        let torrent = self.torrents.entry(key).or_default();
        torrent.want = want;
        // What others do not need is had at once.
        let due = want.min(torrent.due + total.saturating_sub(self.due));
        self.due = self.due - torrent.due + due;
        torrent.due = due;
        let held = due.min(torrent.held + total.saturating_sub(self.held));
        self.held = self.held - torrent.held + held;
        torrent.held = held;
        held
    }

    /// Divides anew what there is.
    fn round(&mut self, now: Instant, line: Line) {
        self.next_round = now + SLOTS_ROUND;
        self.automatic.look(now, line, self.held);
        let wants: Vec<u64> = self.torrents.values().map(|torrent| torrent.want).collect();
        let turn = self.turn;
        let start = self.torrents.keys().position(|key| *key >= turn).unwrap_or(0);
        let mut grants = Vec::new();
        let next = share(self.total(), &wants, 1, start, &mut grants);
        self.rounds += 1;
        if self.rounds >= SLOTS_TURN_ROUNDS {
            self.rounds = 0;
            self.turn = self.torrents.keys().nth(next).copied().unwrap_or(TorrentKey(0));
        }
        for (torrent, grant) in self.torrents.values_mut().zip(&grants) {
            torrent.due = *grant;
        }
        self.due = grants.iter().sum();
    }
}

/// A number of slots that follows from the line: it grows as long as all are in use and each moves
/// enough to be worth having, which is how libtorrent's rate-based choker has it, and shrinks again
/// when they become thin. A limit says at once how many are worth having.
#[derive(Debug)]
struct Automatic {
    slots: u32,
    sent: u64,
    at: Instant,
}

impl Automatic {
    fn look(&mut self, now: Instant, line: Line, in_use: u64) {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let sent = line.sent.saturating_sub(self.sent);
        (self.at, self.sent) = (now, line.sent);
        let moved = sent.saturating_mul(1000) / millis.max(1);
        let each = moved / in_use.max(1);
        if in_use >= u64::from(self.slots - self.slots / 4) && each >= SLOT_BYTES_PER_S {
            self.slots += self.slots / 4;
        } else if each < SLOT_BYTES_PER_S / 2 {
            self.slots -= self.slots / 8;
        }
        self.slots = self.slots.clamp(SLOTS_AUTOMATIC, SLOTS_MAX);
        if let Some(limit) = line.limit {
            let worth = u32::try_from(limit.get() / SLOT_BYTES_PER_S).unwrap_or(u32::MAX);
            self.slots = self.slots.min(worth.max(SLOTS_AUTOMATIC_LIMITED_MIN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const IDLE: Line = Line { sent: 0, limit: None };

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn ask(slots: &Slots, seconds: u64, torrent: u64, want: usize) -> usize {
        slots.exchange(at(seconds), TorrentKey(torrent), want, || IDLE)
    }

    #[test]
    fn what_nobody_else_wants_is_had_at_once_and_given_up_for_others() {
        let slots = Slots::new(at(0), 8);
        assert_eq!(ask(&slots, 0, 1, 8), 8);
        assert_eq!(ask(&slots, 1, 2, 3), 0, "the other has to give some up first");
        assert_eq!(ask(&slots, 11, 2, 3), 0);
        assert_eq!(ask(&slots, 12, 1, 8), 5);
        assert_eq!(ask(&slots, 13, 2, 3), 3);
        assert_eq!(slots.figures(), (8, 8));
        // One has gone: the other takes its part.
        assert_eq!(ask(&slots, 14, 2, 0), 0);
        assert_eq!(ask(&slots, 15, 1, 8), 8);
        slots.leave(TorrentKey(1));
        slots.leave(TorrentKey(1));
        assert_eq!(slots.figures(), (0, 8));
        assert!(slots.table().torrents.is_empty(), "at rest nothing is kept");
    }

    #[test]
    fn a_smaller_number_is_in_force_within_two_rounds() {
        let slots = Slots::new(at(0), 100);
        assert_eq!([ask(&slots, 0, 1, 40), ask(&slots, 0, 2, 40)], [40, 40]);
        slots.set_total(10);
        assert_eq!([ask(&slots, 10, 1, 40), ask(&slots, 10, 2, 40)], [5, 5]);
        assert_eq!(slots.figures(), (10, 10));
    }

    #[test]
    fn without_a_number_they_follow_from_the_line() {
        let slots = Slots::new(at(0), 0);
        let mut sent = 0;
        let mut have = 0;
        // Each slot moves 100 KB/s: there is room for all.
        for round in 0..40 {
            sent += have as u64 * 100_000 * 10;
            let line = Line { sent, limit: None };
            have = slots.exchange(at(round * 10), TorrentKey(1), 1000, || line);
        }
        assert_eq!(have, 1000);
        // The line is good for 100 KB/s in all, and they become thin.
        for round in 40..100 {
            sent += 100_000 * 10;
            let line = Line { sent, limit: None };
            have = slots.exchange(at(round * 10), TorrentKey(1), 1000, || line);
        }
        assert_eq!(have, SLOTS_AUTOMATIC as usize);
        // A limit says it beforehand.
        for (limit, expected) in [(1, 4), (40 * SLOT_BYTES_PER_S, 40)] {
            let line = Line { sent, limit: NonZeroU64::new(limit) };
            let later = 2000 + expected as u64 * 100;
            slots.exchange(at(later), TorrentKey(1), 1000, || line);
            sent += 10_000_000;
            let line = Line { sent, ..line };
            assert_eq!(slots.exchange(at(later + 10), TorrentKey(1), 1000, || line), expected);
        }
    }

    proptest! {
        /// Torrents that come, go and want more or less: never more slots are held than there are, each
        /// has no more than it wants, and nobody waits for ever.
        #[test]
        fn never_too_many_and_everybody_has_turns(
            total in 1..12u32,
            wants in proptest::collection::vec(0..5usize, 1..20),
            changes in proptest::collection::vec((0..20usize, 0..5usize), 0..40),
        ) {
            let slots = Slots::new(at(0), total);
            let mut wants = wants;
            let mut held = vec![0; wants.len()];
            let mut time = 0;
            let mut step = |wants: &[usize], held: &mut Vec<usize>| {
                time += 10;
                for (key, want) in wants.iter().enumerate() {
                    held[key] = ask(&slots, time, key as u64, *want);
                    assert!(held[key] <= *want);
                    assert!(held.iter().sum::<usize>() <= total as usize, "{held:?} of {total}");
                }
            };
            for (key, want) in changes {
                let key = key % wants.len();
                wants[key] = want;
                step(&wants, &mut held);
            }
            // Long enough for everybody's turn, and for slots to change hands.
            let mut had = vec![0; wants.len()];
            let rounds = 3 * (wants.len() + 2) * 4;
            step(&wants, &mut held);
            step(&wants, &mut held);
            for _ in 0..rounds {
                step(&wants, &mut held);
                had.iter_mut().zip(&held).for_each(|(had, held)| *had += held);
            }
            for (want, had) in wants.iter().zip(&had) {
                prop_assert!(*want == 0 || *had > 0, "{wants:?} {had:?} of {total}");
            }
            // Nothing lies idle that somebody wants, but for a round while slots change hands.
            let all: usize = wants.iter().sum();
            let most = all.min(total as usize) * rounds;
            let least = if all > total as usize { most * 2 / 3 } else { most };
            prop_assert!(had.iter().sum::<usize>() >= least, "{had:?} of {most}");
        }
    }
}
