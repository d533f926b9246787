//! The way back of questions, for as long as answers may come.

use super::hit::{Page, What};
use super::limits::{
    ANSWERS_PASSED_MAX, DOUBTFUL_PASSED_MAX, PAGES_OF_RECORD_MAX, PASSED_OF_AUTHOR_MAX,
    PASSED_OF_LINK_MAX, SEEN_MAX, SEEN_TIME,
};
use super::words::Word;
use crate::id::NodeId;
use crate::io::LinkId;
use crate::records::RecordId;
use crate::wire::Question;
use althing_base::Instant;
use std::collections::{BTreeMap, VecDeque};

/// Questions that came by, and ours.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ways: BTreeMap<u64, Way>,
    /// When they are forgotten, in order.
    order: VecDeque<(Instant, u64)>,
}

/// Where a question came from and went.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// What is asked for.
    pub(super) words: Vec<Word>,
    /// What kind of thing.
    pub(super) what: What,
    /// We ask.
    pub(super) is_ours: bool,
    /// Links that it came on: answers go back on the first of them that is there.
    pub(super) from: Vec<LinkId>,
    /// Links that it was sent on.
    pub(super) sent: Vec<LinkId>,
    /// What was answered.
    pub(super) passed: Vec<Passed>,
    /// What was answered from here.
    pub(super) own: Vec<(RecordId, Option<Page>)>,
}

/// An answer of somebody else.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) record: RecordId,
    pub(super) page: Option<Page>,
    pub(super) author: NodeId,
    pub(super) link: LinkId,
    pub(super) is_doubtful: bool,
}

impl Way {
    /// How many more answers go back on it.
    pub(super) fn room(&self) -> usize {
        ANSWERS_PASSED_MAX.saturating_sub(self.passed.len() + self.own.len())
    }

    /// Whether one more goes back on it. What is in doubt, one link or one author does not take all places; what came
    /// in doubt before is as new if it no longer is.
    pub(super) fn takes(&self, new: &Passed) -> bool {
        let count = |which: &dyn Fn(&Passed) -> bool| {
            self.passed.iter().filter(|passed| which(passed)).count()
        };
        let is_known = |passed: &Passed| {
            passed.record == new.record
                && passed.page == new.page
                && (new.is_doubtful || !passed.is_doubtful)
        };
        self.room() > 0
            && count(&is_known) == 0
            && count(&|passed| passed.record == new.record) <= PAGES_OF_RECORD_MAX
            && count(&|passed| passed.link == new.link) < PASSED_OF_LINK_MAX
            && count(&|passed| passed.author == new.author) < PASSED_OF_AUTHOR_MAX
            && (!new.is_doubtful || count(&|passed| passed.is_doubtful) < DOUBTFUL_PASSED_MAX)
    }
}

impl Seen {
    /// A question of our own. Whether there is none of that number.
    pub(super) fn ask(&mut self, now: Instant, id: u64, words: Vec<Word>, what: What) -> bool {
        let way = Way { words, what, is_ours: true, ..Way::default() };
        self.add(now, id, way)
    }

    /// A question has come. Whether it is the first time; nothing if another one has its number.
    pub(super) fn came(&mut self, now: Instant, link: LinkId, question: &Question) -> Option<bool> {
        self.forget(now);
        if let Some(way) = self.ways.get_mut(&question.id) {
            if way.words != question.words || way.what != question.what {
                return None;
            }
            if !way.from.contains(&link) {
                way.from.push(link);
            }
            return Some(false);
        }
        let (words, what) = (question.words.clone(), question.what);
        let way = Way { words, what, from: vec![link], ..Way::default() };
        Some(self.add(now, question.id, way))
    }

    fn add(&mut self, now: Instant, id: u64, way: Way) -> bool {
        self.forget(now);
        if self.ways.contains_key(&id) {
            return false;
        }
        self.ways.insert(id, way);
        self.order.push_back((now + SEEN_TIME, id));
        true
    }

    /// Forgets what is old, and makes room for one more.
    fn forget(&mut self, now: Instant) {
        let is_over = |order: &VecDeque<(Instant, u64)>| {
            order.front().is_some_and(|(until, _)| *until <= now || order.len() >= SEEN_MAX)
        };
        while is_over(&self.order) {
            if let Some((_, id)) = self.order.pop_front() {
                self.ways.remove(&id);
            }
        }
    }

    pub(super) fn way(&mut self, id: u64) -> Option<&mut Way> {
        self.ways.get_mut(&id)
    }

    /// These answers were given from here.
    pub(super) fn has_given(&mut self, id: u64, given: impl Iterator<Item = RecordId>) {
        if let Some(way) = self.ways.get_mut(&id) {
            way.own.extend(given.map(|record| (record, None)));
        }
    }
}
