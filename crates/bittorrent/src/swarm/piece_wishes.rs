//! Pieces that the user wants more or less than the files they belong to.

use super::limits::PIECE_RANGES_MAX;
use crate::types::{PieceIndex, Priority};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Ranges of pieces with a priority of their own, at most [`PIECE_RANGES_MAX`] of them; all others are
/// wanted as their files are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PieceWishes {
    /// From the first piece to the last one of each range, none of which overlaps another, or touches
    /// one of the same priority.
    ranges: BTreeMap<u32, (u32, Priority)>,
}

impl PieceWishes {
    /// Whether all pieces are wanted as their files are.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// A piece's own priority, if it has one.
    pub fn of(&self, piece: PieceIndex) -> Option<Priority> {
        let (_, (last, priority)) = self.ranges.range(..=piece.0).next_back()?;
        (piece.0 <= *last).then_some(*priority)
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = (RangeInclusive<u32>, Priority)> + '_ {
        self.ranges.iter().map(|(first, (last, priority))| (*first..=*last, *priority))
    }

    /// Gives pieces a priority of their own, or with `None` takes it from them. False, and nothing is
    /// changed, if there would be too many ranges or the range is empty.
    pub fn set(&mut self, pieces: RangeInclusive<u32>, priority: Option<Priority>) -> bool {
        let (mut first, mut last) = pieces.into_inner();
        if first > last {
            return false;
        }
        let mut ranges = self.ranges.clone();
        let touched: Vec<(u32, u32, Priority)> = ranges
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, (end, _))| end.saturating_add(1) >= first)
            .map(|(start, (end, priority))| (*start, *end, *priority))
            .collect();
        for (start, end, other) in touched {
            ranges.remove(&start);
            if Some(other) == priority {
                (first, last) = (first.min(start), last.max(end));
                continue;
            }
            if start < first {
                ranges.insert(start, (end.min(first - 1), other));
            }
            if end > last {
                ranges.insert(start.max(last + 1), (end, other));
            }
        }
        if let Some(priority) = priority {
            ranges.insert(first, (last, priority));
        }
        let fits = ranges.len() <= PIECE_RANGES_MAX;
        if fits {
            self.ranges = ranges;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_of_one_priority_are_one_range() {
        let mut wishes = PieceWishes::default();
        assert!(wishes.set(0..=9, Some(Priority::High)));
        assert!(wishes.set(20..=29, Some(Priority::High)));
        assert!(wishes.set(10..=19, Some(Priority::High)));
        assert_eq!(wishes.iter().collect::<Vec<_>>(), [(0..=29, Priority::High)]);
        assert!(wishes.set(5..=5, None));
        assert_eq!((wishes.of(PieceIndex(5)), wishes.iter().count()), (None, 2));
        assert!(wishes.set(0..=u32::MAX, Some(Priority::Skip)));
        assert_eq!(wishes.of(PieceIndex(u32::MAX)), Some(Priority::Skip));
        assert!(wishes.set(0..=u32::MAX, None) && wishes.is_empty());
        #[expect(clippy::reversed_empty_ranges, reason = "it is refused")]
        let empty = 3..=2;
        assert!(!wishes.set(empty, None));
    }

    #[test]
    fn they_are_bounded() {
        let mut wishes = PieceWishes::default();
        for n in 0..PIECE_RANGES_MAX as u32 {
            assert!(wishes.set(2 * n..=2 * n, Some(Priority::Low)));
        }
        let before = wishes.clone();
        assert!(!wishes.set(u32::MAX..=u32::MAX, Some(Priority::Low)));
        assert_eq!(wishes, before);
        assert!(wishes.set(1..=1, Some(Priority::Low)), "it joins two");
    }

    proptest! {
        /// Against a list of all pieces of a small torrent.
        #[test]
        fn it_says_what_a_list_says(
            steps in proptest::collection::vec(
                (0..40u32, 0..20u32, proptest::option::of(0..4u8)), 0..40,
            ),
        ) {
            let mut wishes = PieceWishes::default();
            let mut list = [None; 64];
            for (first, more, priority) in steps {
                let priority = priority.and_then(Priority::from_u8);
                prop_assert!(wishes.set(first..=first + more, priority));
                list[first as usize..=(first + more) as usize].fill(priority);
                for (piece, expected) in (0..).zip(&list) {
                    prop_assert_eq!(wishes.of(PieceIndex(piece)), *expected, "{}", piece);
                }
                let ranges: Vec<_> = wishes.iter().collect();
                for pair in ranges.windows(2) {
                    prop_assert!(pair[0].0.end() < pair[1].0.start());
                    let touch = *pair[0].0.end() + 1 == *pair[1].0.start();
                    prop_assert!(!(touch && pair[0].1 == pair[1].1), "{:?}", ranges);
                }
            }
        }
    }
}
