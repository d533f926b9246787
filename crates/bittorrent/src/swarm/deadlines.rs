//! Which pieces are needed when: the windows of those who read while the torrent is being fetched.

use super::limits::{DEADLINE_PIECES_MAX, READERS_MAX};
use crate::types::PieceIndex;
use althing_base::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Somebody who reads a torrent in order while it is being fetched, as their owner numbers them; a
/// number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReaderId(pub u64);

/// The windows of all readers, and what they come to: for each missing piece the earliest time that
/// anybody needs it.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    readers: BTreeMap<ReaderId, Vec<(PieceIndex, Instant)>>,
    by_piece: BTreeMap<PieceIndex, Instant>,
    by_time: BTreeSet<(Instant, PieceIndex)>,
}

impl Deadlines {
    /// Puts a reader's window in the place of the one before; an empty one is the reader's end. The
    /// newest reader pushes out the oldest if there are too many. `missing` says which pieces are
    /// still to be fetched.
    pub(super) fn set(
        &mut self,
        reader: ReaderId,
        mut window: Vec<(PieceIndex, Instant)>,
        missing: impl Fn(PieceIndex) -> bool,
    ) {
        window.truncate(DEADLINE_PIECES_MAX);
        self.readers.remove(&reader);
        if !window.is_empty() {
            if self.readers.len() >= READERS_MAX {
                self.readers.pop_first();
            }
            self.readers.insert(reader, window);
        }
        self.refresh(missing);
    }

    /// Counts anew, because other pieces are missing than before.
    pub(super) fn refresh(&mut self, missing: impl Fn(PieceIndex) -> bool) {
        self.by_piece.clear();
        for (piece, due) in self.readers.values().flatten() {
            if missing(*piece) {
                let earliest = self.by_piece.entry(*piece).or_insert(*due);
                *earliest = (*earliest).min(*due);
            }
        }
        self.by_time = self.by_piece.iter().map(|(piece, due)| (*due, *piece)).collect();
    }

    /// The piece is on disk.
    pub(super) fn stored(&mut self, piece: PieceIndex) {
        if let Some(due) = self.by_piece.remove(&piece) {
            self.by_time.remove(&(due, piece));
        }
    }

    /// When the piece is needed, if it is missing and somebody reads towards it.
    pub(super) fn due(&self, piece: PieceIndex) -> Option<Instant> {
        self.by_piece.get(&piece).copied()
    }

    /// The missing pieces that somebody reads towards, the most urgent first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (Instant, PieceIndex)> + '_ {
        self.by_time.iter().copied()
    }

    /// Whether nobody waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::time::Duration;
    use proptest::prelude::*;

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn a_seek_replaces_the_window_and_the_end_releases_it() {
        let mut deadlines = Deadlines::default();
        let window = |from: u32| (from..from + 2).map(|n| (PieceIndex(n), at(n.into()))).collect();
        deadlines.set(ReaderId(1), window(0), |_| true);
        deadlines.set(ReaderId(1), window(8), |_| true);
        let order: Vec<_> = deadlines.in_order().map(|(_, piece)| piece.0).collect();
        assert_eq!(order, [8, 9]);
        deadlines.set(ReaderId(1), Vec::new(), |_| true);
        assert!(deadlines.is_empty() && deadlines.readers.is_empty());
    }

    #[test]
    fn readers_and_windows_are_bounded() {
        let mut deadlines = Deadlines::default();
        for reader in 0..READERS_MAX as u64 + 1 {
            let first = reader as u32;
            let window = (first..).map(|n| (PieceIndex(n), at(n.into())));
            let window = window.take(DEADLINE_PIECES_MAX + 1).collect();
            deadlines.set(ReaderId(reader), window, |_| true);
        }
        assert_eq!(deadlines.readers.len(), READERS_MAX);
        assert_eq!(deadlines.due(PieceIndex(0)), None, "the oldest made room");
        let last = READERS_MAX as u32 + DEADLINE_PIECES_MAX as u32;
        assert_eq!(deadlines.due(PieceIndex(last)), None, "the longest windows are cut");
    }

    proptest! {
        /// Whatever readers do: each missing piece has the earliest time that any of them named.
        #[test]
        fn the_earliest_of_all_readers_counts(
            steps in proptest::collection::vec(
                (0..4u64, proptest::collection::vec((0..10u32, 0..20u64), 0..6), 0..10u32),
                0..40,
            ),
        ) {
            let mut deadlines = Deadlines::default();
            let mut stored = BTreeSet::new();
            let mut plain: BTreeMap<u64, Vec<(u32, u64)>> = BTreeMap::new();
            for (reader, window, done) in steps {
                let pieces = window.iter().map(|(n, secs)| (PieceIndex(*n), at(*secs))).collect();
                deadlines.set(ReaderId(reader), pieces, |piece| !stored.contains(&piece.0));
                plain.insert(reader, window);
                stored.insert(done);
                deadlines.stored(PieceIndex(done));
                let mut expected = Vec::new();
                for piece in (0..10).filter(|piece| !stored.contains(piece)) {
                    let named = plain.values().flatten().filter(|(n, _)| *n == piece);
                    let due = named.map(|(_, secs)| at(*secs)).min();
                    prop_assert_eq!(deadlines.due(PieceIndex(piece)), due);
                    expected.extend(due.map(|due| (due, PieceIndex(piece))));
                }
                expected.sort();
                prop_assert_eq!(deadlines.in_order().collect::<Vec<_>>(), expected);
            }
        }
    }
}
