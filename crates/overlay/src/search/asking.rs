//! Questions of our own: asked with little at first, and again with more.

use super::Search;
use super::hit::{Hit, What};
use super::limits::{ASKING_MAX, QUERY_WORDS_MAX, ROUNDS, WANTED_MAX};
use super::words::{Word, words};
use crate::io::{Cost, Find, LinkId, Output, Via};
use crate::records::Slot;
use crate::sink::Sink;
use crate::wire::{Message, Question};
use althing_base::Instant;
use std::collections::BTreeSet;

/// Bytes of an answer besides what was found: its type and the question's number.
const ANSWER_OVERHEAD_BYTES: usize = 9;

/// A question that is not answered yet.
#[derive(Debug)]
pub(super) struct Asking {
    id: u64,
    words: Vec<Word>,
    wanted: u8,
    via: Via,
    what: What,
    cost: Cost,
    /// Links on which it was asked.
    asked: Vec<LinkId>,
    /// What was found, by what it is about: two who have the same are one answer.
    found: BTreeSet<Slot>,
    round: usize,
    /// When it is asked again.
    pub(super) next: Instant,
}

impl Search {
    /// The user looks for something, and wants so many answers that differ.
    pub(crate) fn find(&mut self, now: Instant, find: &Find, sink: &mut Sink) {
        let Find { id, wanted, via, what, .. } = *find;
        let mut words = words(&find.words);
        words.truncate(QUERY_WORDS_MAX);
        words.sort();
        words.dedup();
        if words.is_empty() || wanted == 0 || !self.seen.ask(now, id, words.clone(), what) {
            sink.outputs.push_back(Output::Searched { id, cost: Cost::default() });
            return;
        }
        if self.asking.len() >= ASKING_MAX {
            let Asking { id, cost, .. } = self.asking.remove(0);
            sink.outputs.push_back(Output::Searched { id, cost });
        }
        let wanted = wanted.min(WANTED_MAX);
        let here = self.offered(&words, what, wanted.into());
        self.asking.push(Asking {
            id,
            words,
            wanted,
            via,
            what,
            cost: Cost::default(),
            asked: Vec::new(),
            found: BTreeSet::new(),
            round: 0,
            next: now,
        });
        let here = here.into_iter().map(|record| Hit { record, page: None, from: None });
        self.found(now, id, here.collect(), sink);
        self.ask_again(now, sink);
    }

    /// The user has seen enough.
    pub(crate) fn stop(&mut self, id: u64) {
        self.asking.retain(|asking| asking.id != id);
    }

    /// An answer to a question of ours has come, of so many bytes of what was found.
    pub(super) fn heard(&mut self, id: u64, bytes: usize) {
        if let Some(asking) = self.asking.iter_mut().find(|asking| asking.id == id) {
            asking.cost.messages += 1;
            asking.cost.bytes += (ANSWER_OVERHEAD_BYTES + bytes) as u64;
        }
    }

    /// What answers a question of ours.
    pub(super) fn found(&mut self, now: Instant, id: u64, hits: Vec<Hit>, sink: &mut Sink) {
        let asking = self.asking.iter_mut().find(|asking| asking.id == id);
        if let Some(asking) = asking {
            asking.found.extend(hits.iter().map(|hit| hit.record.key().slot));
            if asking.found.len() >= asking.wanted.into() {
                asking.next = now;
                asking.round = ROUNDS.len();
            }
        }
        for hit in hits {
            sink.outputs.push_back(Output::Found { id, hit: Box::new(hit) });
        }
    }

    /// Asks again what has not been answered, or gives it up.
    pub(super) fn ask_again(&mut self, now: Instant, sink: &mut Sink) {
        let mut due = Vec::new();
        self.asking.retain_mut(|asking| {
            if asking.next > now {
                return true;
            }
            let Some((budget, width, wait)) = ROUNDS.get(asking.round) else {
                let (id, cost) = (asking.id, asking.cost);
                sink.outputs.push_back(Output::Searched { id, cost });
                return false;
            };
            asking.round += 1;
            asking.next = now + *wait;
            let had = asking.found.len() as u8;
            // Who indexes may be gone, or not mean it: from the second round on neighbours are asked, too.
            let via = match asking.via {
                Via::Auto if asking.round.is_multiple_of(2) => Via::Walk,
                via => via,
            };
            let question = Question {
                id: asking.id,
                budget: *budget,
                width: *width,
                wanted: asking.wanted.saturating_sub(had).max(1),
                what: asking.what,
                receipt: false,
                words: asking.words.clone(),
            };
            due.push((question, via));
            true
        });
        for (question, via) in due {
            let sent = self.walk(None, &question, via, sink);
            let asking = self.asking.iter_mut().find(|asking| asking.id == question.id);
            if let Some(asking) = asking {
                asking.has_sent(&question, &sent);
            }
        }
    }
}

impl Asking {
    /// A question has gone out on some links, with so much of a budget on each.
    fn has_sent(&mut self, question: &Question, sent: &[(LinkId, u16)]) {
        let len = Message::Query(Box::new(question.clone())).encoded_len() as u64;
        for (link, budget) in sent {
            self.cost.messages += u64::from(*budget);
            self.cost.bytes += len;
            if !self.asked.contains(link) {
                self.asked.push(*link);
                self.cost.peers += 1;
            }
        }
    }
}
