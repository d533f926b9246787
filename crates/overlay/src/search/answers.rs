//! Answers: what is found here, be it offered or in the index on disk, and what others have found.

use super::Search;
use super::hit::{Hit, RawHit, What, is_answer};
use super::limits::{
    ANSWERS_OF_NODE_MAX, CONSULT_WAIT, CONSULTS_MAX, CONSULTS_PER_S, VISITOR_QUESTIONS_MAX,
    VISITORS_MAX,
};
use super::seen::Passed;
use super::words::Word;
use crate::id::NodeId;
use crate::io::{LinkId, Output};
use crate::machine::limits::{SCORE_INVALID, SCORE_UNASKED};
use crate::records::{RawRecord, Record};
use crate::sink::Sink;
use crate::wire::limits::{MESSAGE_BYTES_MAX, RECORDS_MAX};
use crate::wire::{Message, Question, hit_len};
use althing_base::{Instant, TokenBucket};
use std::collections::VecDeque;

/// Questions of others that are being looked for in the index on disk.
#[derive(Debug)]
pub(super) struct Consults {
    open: VecDeque<Consult>,
    next: u64,
    rate: TokenBucket,
}

#[derive(Debug)]
struct Consult {
    ask: u64,
    question: u64,
    until: Instant,
    /// A visitor who is told when there is nothing.
    visitor: Option<LinkId>,
}

impl Consults {
    pub(super) fn new(now: Instant) -> Self {
        let rate = TokenBucket::new(now, CONSULTS_PER_S.0, CONSULTS_PER_S.1);
        Consults { open: VecDeque::new(), next: 0, rate }
    }

    /// Forgets those that were not answered in time.
    fn forget(&mut self, now: Instant) {
        while self.open.front().is_some_and(|consult| consult.until <= now) {
            self.open.pop_front();
        }
    }
}

impl Search {
    /// What is offered here and has the words.
    pub(super) fn offered(&self, words: &[Word], what: What, wanted: usize) -> Vec<Record> {
        if !what.is_met_by(None) {
            return Vec::new();
        }
        let found = self.offers.find(words, wanted.min(ANSWERS_OF_NODE_MAX));
        found.into_iter().cloned().collect()
    }

    /// What of it others are told.
    pub(super) fn given(&self, words: &[Word], what: What, wanted: usize) -> Vec<Record> {
        match self.answers {
            true => self.offered(words, what, wanted),
            false => Vec::new(),
        }
    }

    /// Asks the index on disk, if there is one and it is not asked too much. Whether it is asked.
    pub(super) fn consult(
        &mut self,
        now: Instant,
        question: &Question,
        wanted: u8,
        visitor: Option<LinkId>,
        sink: &mut Sink,
    ) -> bool {
        let Some(consults) = &mut self.consults else { return false };
        consults.forget(now);
        if consults.open.len() >= CONSULTS_MAX || !consults.rate.take(now, 1) {
            return false;
        }
        let ask = consults.next;
        consults.next += 1;
        let until = now + CONSULT_WAIT;
        consults.open.push_back(Consult { ask, question: question.id, until, visitor });
        let words = question.words.iter().map(|word| word.as_str().to_owned()).collect();
        let wanted = wanted.min(ANSWERS_OF_NODE_MAX as u8);
        sink.outputs.push_back(Output::Consult { ask, words, what: question.what, wanted });
        true
    }

    /// The index on disk has found something, or nothing.
    pub(crate) fn consulted(&mut self, now: Instant, ask: u64, hits: &[Hit], sink: &mut Sink) {
        let Some(consults) = &mut self.consults else { return };
        consults.forget(now);
        let at = consults.open.iter().position(|consult| consult.ask == ask);
        let Some(consult) = at.and_then(|at| consults.open.remove(at)) else { return };
        let Some(way) = self.seen.way(consult.question) else { return };
        let mut good = Vec::new();
        for hit in hits.iter().take(ANSWERS_OF_NODE_MAX) {
            let name = (hit.record.id(), hit.page.clone());
            let is_sound = way.what.is_met_by(hit.page.as_ref())
                && is_answer(&hit.record, hit.page.as_ref(), &way.words);
            // What was found among what is offered was said already.
            if is_sound && !way.own.contains(&name) && way.room() > 0 {
                way.own.push(name);
                good.push(RawHit::from(hit));
            }
        }
        match consult.visitor {
            Some(visitor) => answer(visitor, consult.question, good, sink),
            None => self.pass_back(consult.question, good, sink),
        }
    }

    /// Somebody has called to ask this, and nobody else.
    pub(crate) fn visitor_asks(
        &mut self,
        now: Instant,
        link: LinkId,
        question: &Question,
        sink: &mut Sink,
    ) {
        let at = self.visitors.iter().position(|(visitor, _)| *visitor == link);
        let at = match at {
            None if self.visitors.len() >= VISITORS_MAX => return,
            None => {
                self.visitors.push((link, 0));
                self.visitors.len() - 1
            }
            Some(at) => at,
        };
        let asked = &mut self.visitors[at].1;
        if *asked >= VISITOR_QUESTIONS_MAX {
            return;
        }
        *asked += 1;
        // It may have come another way before.
        if self.seen.came(now, link, question).is_none() {
            return;
        }
        let found = self.given(&question.words, question.what, question.wanted.into());
        let wanted = question.wanted.saturating_sub(found.len() as u8);
        self.seen.has_given(question.id, found.iter().map(|record| record.id()));
        let hits: Vec<_> = found.iter().map(RawHit::from).collect();
        let is_empty = hits.is_empty();
        if !is_empty {
            answer(link, question.id, hits, sink);
        }
        let is_asked = wanted > 0 && self.consult(now, question, wanted, Some(link), sink);
        if is_empty && !is_asked {
            answer(link, question.id, Vec::new(), sink);
        }
    }

    /// Sends answers back on the way that the question came.
    fn pass_back(&mut self, id: u64, hits: Vec<RawHit>, sink: &mut Sink) {
        let Some(way) = self.seen.way(id) else { return };
        let back = way.from.iter().find(|from| self.links.iter().any(|other| other.link == **from));
        if let Some(back) = back.filter(|_| !hits.is_empty()) {
            answer(*back, id, hits, sink);
        }
    }

    /// A neighbour answers; `check` looks at what its author says, at last at the signature. How the
    /// neighbour is to be regarded for it.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        (link, from): (LinkId, Option<NodeId>),
        (id, hits): (u64, Vec<RawHit>),
        check: impl Fn(&RawRecord) -> Result<Record, i32>,
        sink: &mut Sink,
    ) -> i32 {
        if self.is_test(now, link, id) {
            if hits.is_empty() {
                return 0;
            }
            // Nobody has what a test asks for.
            self.invents(now, link);
            return SCORE_INVALID;
        }
        let from_doubtful = self.links.iter().any(|o| o.link == link && o.claims.is_doubtful());
        // It may be late.
        let Some(way) = self.seen.way(id) else { return 0 };
        if !way.sent.contains(&link) {
            return SCORE_UNASKED;
        }
        let bytes: usize = hits.iter().map(hit_len).sum();
        let mut good = Vec::new();
        let mut score = 0;
        for RawHit { record, page, is_doubtful } in hits {
            let Ok(raw) = RawRecord::parse(&record) else {
                score += SCORE_INVALID;
                break;
            };
            if way.room() == 0 {
                break;
            }
            let (record, author) = (raw.id(), raw.author());
            let is_doubtful = is_doubtful || from_doubtful;
            let passed = Passed { record, page: page.clone(), author, link, is_doubtful };
            if !way.takes(&passed) {
                continue;
            }
            if !way.what.is_met_by(page.as_ref()) || !is_answer(&raw, page.as_ref(), &way.words) {
                score += SCORE_INVALID;
                break;
            }
            match check(&raw) {
                Ok(record) => {
                    way.passed.push(passed);
                    good.push(Hit { record, page, from, is_doubtful });
                }
                Err(harm) => score += harm,
            }
        }
        if !good.is_empty()
            && let Some(other) = self.links.iter_mut().find(|other| other.link == link)
        {
            other.trust.brings();
        }
        if way.is_ours {
            self.heard(now, (id, link), bytes, good, sink);
        } else {
            let good = good.iter().map(RawHit::from).collect();
            self.pass_back(id, good, sink);
        }
        score
    }
}

/// Sends what answers a question, as much to a message as fits it; if it is nothing, that the question
/// was heard.
pub(super) fn answer(link: LinkId, id: u64, hits: Vec<RawHit>, sink: &mut Sink) {
    let mut fitting = Vec::new();
    let mut bytes = 0;
    for hit in hits {
        let len = hit_len(&hit);
        if 9 + bytes + len > MESSAGE_BYTES_MAX || fitting.len() == RECORDS_MAX {
            sink.send(link, Message::Answer { id, hits: std::mem::take(&mut fitting) });
            bytes = 0;
        }
        bytes += len;
        fitting.push(hit);
    }
    sink.send(link, Message::Answer { id, hits: fitting });
}
