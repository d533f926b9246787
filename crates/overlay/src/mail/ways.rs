//! The ways that questions and copies have gone, by which what belongs to them is carried on and back.
//!
//! Nobody on a way knows who began it or who is at its end: each knows the link that it came on, and the
//! links on which those are who have answered.

use super::envelope::Tag;
use super::limits::{HOLDERS_MAX, WAY_TIME, WAYS_MAX, WAYS_OF_LINK_MAX};
use crate::io::LinkId;
use althing_base::Instant;
use std::collections::{BTreeMap, VecDeque};

/// A way.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// What it is about.
    pub(super) tags: Vec<Tag>,
    /// Where it came from; nowhere if it is ours.
    pub(super) from: Option<LinkId>,
    /// Links that it came on.
    pub(super) came: Vec<LinkId>,
    /// Links that it was sent on.
    pub(super) sent: Vec<LinkId>,
    /// Where those are who answered; here if nowhere else.
    holders: BTreeMap<u64, Option<LinkId>>,
    /// Mails that were carried back.
    pub(super) mails: usize,
}

impl Way {
    /// Where somebody is who answered; `Some(None)` if it is us.
    pub(super) fn holder(&self, holder: u64) -> Option<Option<LinkId>> {
        self.holders.get(&holder).copied()
    }

    /// Somebody has answered. Whether he is the first of that number, and there is room.
    pub(super) fn answered(&mut self, holder: u64, link: Option<LinkId>) -> bool {
        if self.holders.contains_key(&holder) || self.holders.len() >= HOLDERS_MAX {
            return false;
        }
        self.holders.insert(holder, link);
        true
    }
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Ways {
    ways: BTreeMap<u64, Way>,
    order: VecDeque<(Instant, u64)>,
    /// How many came on each link.
    of_link: BTreeMap<LinkId, usize>,
}

impl Ways {
    pub(super) fn get(&mut self, way: u64) -> Option<&mut Way> {
        self.ways.get_mut(&way)
    }

    fn forget(&mut self, number: u64) {
        let from = self.ways.remove(&number).and_then(|way| way.from);
        if let Some(from) = from
            && let Some(count) = self.of_link.get_mut(&from)
        {
            *count -= 1;
            if *count == 0 {
                self.of_link.remove(&from);
            }
        }
    }

    /// Notes one; nothing if there is one of that number, or too many came on the link.
    pub(super) fn open(
        &mut self,
        now: Instant,
        number: u64,
        tags: &[Tag],
        from: Option<LinkId>,
    ) -> Option<&mut Way> {
        let is_over = |order: &VecDeque<(Instant, u64)>| {
            order.front().is_some_and(|(until, _)| *until <= now || order.len() >= WAYS_MAX)
        };
        while is_over(&self.order) {
            if let Some((_, number)) = self.order.pop_front() {
                self.forget(number);
            }
        }
        if self.ways.contains_key(&number) {
            return None;
        }
        if let Some(from) = from {
            let count = self.of_link.entry(from).or_default();
            if *count >= WAYS_OF_LINK_MAX {
                return None;
            }
            *count += 1;
        }
        self.order.push_back((now + WAY_TIME, number));
        let came = from.into_iter().collect();
        let way = Way { tags: tags.to_vec(), from, came, ..Way::default() };
        Some(self.ways.entry(number).or_insert(way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_link_does_not_make_us_forget_what_came_on_others() {
        let mut ways = Ways::default();
        let (one, two) = (Some(LinkId(1)), Some(LinkId(2)));
        assert!(ways.open(Instant::ORIGIN, 0, &[], two).is_some());
        assert!(ways.open(Instant::ORIGIN, 0, &[], one).is_none());
        let opened = (1..5_000).filter(|n| ways.open(Instant::ORIGIN, *n, &[], one).is_some());
        assert_eq!(opened.count(), WAYS_OF_LINK_MAX);
        assert!(ways.get(0).is_some());
        // When they are over there is room again.
        let later = Instant::ORIGIN + WAY_TIME;
        assert!(ways.open(later, 9_000, &[], one).is_some());
        assert!(ways.get(0).is_none() && ways.ways.len() == 1);
        assert_eq!(ways.of_link.values().sum::<usize>(), 1);
    }
}
