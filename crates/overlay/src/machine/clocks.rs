//! Whether our clock seems to be behind: what neighbours bring was created long after now.
//!
//! Nobody passes on what is far ahead of his own clock, so that who brings it has another time than we have.
//! One of them may be wrong, or lie; two that agree are believed, or the only one there is. What it comes to is a
//! sentence to the user: the clock is his.

use super::limits::{CLOCK_REMEMBERED_FOR, CLOCKS_MAX};
use crate::id::NodeId;
use althing_base::Instant;
use std::collections::VecDeque;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Who has brought something, by how many seconds it was ahead, and when that was.
    seen: VecDeque<(NodeId, i64, Instant)>,
}

impl Clocks {
    /// Somebody has brought a record that was created so many seconds from now.
    pub(super) fn note(&mut self, now: Instant, from: NodeId, ahead_s: i64) {
        self.seen.retain(|(node, ..)| *node != from);
        if self.seen.len() >= CLOCKS_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((from, ahead_s, now));
    }

    /// What is long ago is forgotten.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.seen.retain(|(_, _, at)| now.since(*at) < CLOCK_REMEMBERED_FOR);
    }

    /// The clock was set: what was seen says nothing any more.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// By how many seconds the clock is behind at least, if it seems to be, with so many neighbours.
    pub(super) fn behind_s(&self, neighbours: usize) -> Option<i64> {
        let enough = neighbours.clamp(1, 2);
        let least = self.seen.iter().map(|(_, ahead_s, _)| *ahead_s).min();
        least.filter(|_| self.seen.len() >= enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_agree_are_believed_and_one_alone_is_not() {
        let (mut clocks, now) = (Clocks::default(), Instant::ORIGIN);
        let node = |n: u8| NodeId([n; 32]);
        clocks.note(now, node(1), 7_000);
        clocks.note(now, node(1), 5_000);
        assert_eq!((clocks.behind_s(5), clocks.behind_s(1)), (None, Some(5_000)));
        clocks.note(now, node(2), 3_600);
        assert_eq!(clocks.behind_s(5), Some(3_600));
        clocks.forget_old(now + CLOCK_REMEMBERED_FOR);
        assert_eq!(clocks.behind_s(1), None);
        (0..100).for_each(|n| clocks.note(now, node(n), 1_000));
        assert_eq!(clocks.seen.len(), CLOCKS_MAX);
        clocks.forget();
        assert_eq!(clocks.behind_s(0), None);
    }
}
