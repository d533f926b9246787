//! Whether our clock seems to be wrong: others say in their greetings what theirs say.
//!
//! One of them may be wrong, or lie, so it is the middle one that is believed. It matters when it is further off than
//! what others take for now: then what we say does not reach them, or what they say does not reach us. What it comes to is a
//! sentence to the user: the clock is his.

use super::limits::{CLOCK_REMEMBERED_FOR, CLOCKS_MAX};
use crate::id::NodeId;
use crate::limits::CREATED_AHEAD_MAX_S;
use althing_base::Instant;
use std::collections::VecDeque;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Who has said what time it is, by how many seconds that was ahead of ours, and when.
    seen: VecDeque<(NodeId, i64, Instant)>,
}

impl Clocks {
    /// Somebody's clock is so many seconds ahead of ours, or behind if it is less than 0.
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

    /// Our clock was set forward by so many seconds, or back: others are so much less ahead.
    pub(super) fn was_set(&mut self, forward_s: i64) {
        for (_, ahead_s, _) in &mut self.seen {
            *ahead_s = ahead_s.saturating_sub(forward_s);
        }
    }

    /// By how many seconds ours is behind that of the middle one of others, or ahead if it is less than 0; nothing if
    /// that is little, or if there are too few: two, or the only neighbour there is.
    pub(super) fn off_s(&self, neighbours: usize) -> Option<i64> {
        let mut seen: Vec<i64> = self.seen.iter().map(|(_, ahead_s, _)| *ahead_s).collect();
        seen.sort_unstable();
        let enough = neighbours.clamp(1, 2);
        if seen.len() < enough {
            return None;
        }
        // Of two in the middle the one that doubts us less.
        let middle = [seen[(seen.len() - 1) / 2], seen[seen.len() / 2]];
        let off_s = middle.into_iter().min_by_key(|off_s| off_s.unsigned_abs())?;
        (off_s.unsigned_abs() > CREATED_AHEAD_MAX_S.unsigned_abs()).then_some(off_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    #[test]
    fn two_that_agree_are_believed_and_one_alone_is_not() {
        let (mut clocks, now) = (Clocks::default(), Instant::ORIGIN);
        clocks.note(now, node(1), 7_000);
        clocks.note(now, node(1), 5_000);
        assert_eq!((clocks.off_s(5), clocks.off_s(1)), (None, Some(5_000)));
        clocks.note(now, node(2), 3_600);
        assert_eq!(clocks.off_s(5), Some(3_600));
        clocks.note(now, node(3), -9_000);
        assert_eq!(clocks.off_s(5), Some(3_600), "it is one of three");
        clocks.note(now, node(4), 10);
        assert_eq!(clocks.off_s(5), None, "half of them say that it is right");
        clocks.forget_old(now + CLOCK_REMEMBERED_FOR);
        assert_eq!(clocks.off_s(1), None);
        (0..100).for_each(|n| clocks.note(now, node(n), -1_000));
        assert_eq!((clocks.seen.len(), clocks.off_s(8)), (CLOCKS_MAX, Some(-1_000)));
    }

    #[test]
    fn who_sets_the_clock_is_right_at_once() {
        let (mut clocks, now) = (Clocks::default(), Instant::ORIGIN);
        (0..3).for_each(|n| clocks.note(now, node(n), -86_400 + i64::from(n)));
        assert_eq!(clocks.off_s(3), Some(-86_399));
        clocks.was_set(-86_399);
        assert_eq!(clocks.off_s(3), None);
        clocks.was_set(3_600);
        assert_eq!(clocks.off_s(3), Some(-3_600));
        clocks.note(now, node(9), i64::MAX);
        clocks.was_set(i64::MIN);
        assert!(clocks.off_s(3).is_some());
    }
}
