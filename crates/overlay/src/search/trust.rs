//! Whether a neighbour does what neighbours are for: answer, and pass on what others ask.
//!
//! Who swallows questions is as quiet as who has nothing to say. So each neighbour is asked something now and
//! then that nobody can answer, and has to say that he heard it; until he does, questions go to others and what
//! he says of his index is not believed. Whoever hears and does nothing is found out more slowly: he was given
//! questions as often as others, and never brought an answer.

use super::Search;
use super::hit::What;
use super::limits::{
    BRINGS_NOTHING_AFTER, TEST_EVERY, TEST_FIRST, TEST_RETRY, TEST_WAIT, TESTED_ALIKE,
};
use super::words::Word;
use super::{Neighbour, Role};
use crate::io::LinkId;
use crate::sink::Sink;
use crate::wire::{Message, Question};
use althing_base::{Instant, Rng};

/// What is known of a neighbour.
#[derive(Debug)]
pub(super) struct Trust {
    /// When it is tested next.
    next: Option<Instant>,
    /// The number of the test that it has not answered yet, and until when it may.
    test: Option<(u64, Instant)>,
    /// Tests in a row that it did not answer.
    missed: u32,
    /// Questions that it was given to walk on, and those of them that it brought an answer to.
    given: u32,
    brought: u32,
}

impl Trust {
    /// Of a link that is new. Leaves are asked what they offer only, and not tested.
    pub(super) fn new(now: Instant, role: Role, rng: &mut Rng) -> Self {
        let next = now + TEST_FIRST.mul_f64(0.5 + rng.unit());
        let next = (role != Role::Leaf).then_some(next);
        Trust { next, test: None, missed: 0, given: 0, brought: 0 }
    }

    /// Whether it seems to swallow questions.
    pub(super) fn swallows(&self) -> bool {
        self.missed > 0
    }

    /// Whether it has been given many questions and never brought an answer.
    pub(super) fn brings_nothing(&self) -> bool {
        self.brought == 0 && self.given >= BRINGS_NOTHING_AFTER
    }

    /// A question has been given to it to walk on.
    pub(super) fn is_given(&mut self) {
        self.given += 1;
        if self.given >= TESTED_ALIKE {
            // What was long ago counts for less.
            self.given /= 2;
            self.brought /= 2;
        }
    }

    /// It has brought an answer.
    pub(super) fn brings(&mut self) {
        self.brought += 1;
    }

    /// It has said something of a question: whether that was the test.
    pub(super) fn heard(&mut self, now: Instant, id: u64) -> bool {
        if self.test.take_if(|(test, _)| *test == id).is_none() {
            return false;
        }
        self.missed = 0;
        self.next = Some(now + TEST_EVERY);
        true
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.test.map(|(_, until)| until).or(self.next)
    }
}

impl Search {
    /// Tests those whose time has come, and gives up those who have not answered in theirs.
    pub(super) fn test(&mut self, now: Instant, sink: &mut Sink) {
        for Neighbour { link, trust, .. } in &mut self.links {
            if trust.test.take_if(|(_, until)| *until <= now).is_some() {
                trust.missed += 1;
                let wait = TEST_RETRY * 2u32.saturating_pow(trust.missed - 1).min(16);
                trust.next = Some(now + wait.min(TEST_EVERY));
            } else if trust.test.is_none() && trust.next.is_some_and(|next| next <= now) {
                let id = self.rng.next_u64();
                let again = TEST_EVERY.mul_f64(0.75 + self.rng.unit() / 2.0);
                (trust.test, trust.next) = (Some((id, now + TEST_WAIT)), Some(now + again));
                sink.send(*link, test_question(id, &mut self.rng));
            }
        }
    }

    /// Whether what a neighbour says of a question is the answer to a test.
    pub(super) fn is_test(&mut self, now: Instant, link: LinkId, id: u64) -> bool {
        let at = self.position(link);
        at.is_some_and(|at| self.links[at].trust.heard(now, id))
    }
}

/// A question for a word that nobody has, to be acknowledged and passed on to nobody.
fn test_question(id: u64, rng: &mut Rng) -> Message {
    // Letters alone, so that it is one word whatever they are.
    let letters = (0..10).map(|_| char::from(b'a' + rng.below(26) as u8));
    let words = Word::parse(&letters.collect::<String>()).into_iter().collect();
    let (what, receipt) = (What::Any, true);
    Message::Query(Box::new(Question { id, budget: 2, width: 1, wanted: 1, what, receipt, words }))
}
