//! Questions of our own: asked with little at first, and again with more.

use super::Search;
use super::limits::{ASKING_MAX, QUERY_WORDS_MAX, ROUNDS, WANTED_MAX};
use super::words::{Word, words};
use crate::io::{Find, Output, Via};
use crate::records::{Record, Slot};
use crate::sink::Sink;
use crate::wire::Question;
use althing_base::Instant;
use std::collections::BTreeSet;

/// A question that is not answered yet.
#[derive(Debug)]
pub(super) struct Asking {
    id: u64,
    words: Vec<Word>,
    wanted: u8,
    via: Via,
    /// What was found, by what it is about: two who have the same are one answer.
    found: BTreeSet<Slot>,
    round: usize,
    /// When it is asked again.
    pub(super) next: Instant,
}

impl Search {
    /// The user looks for something, and wants so many answers that differ.
    pub(crate) fn find(&mut self, now: Instant, find: &Find, sink: &mut Sink) {
        let Find { id, wanted, via, .. } = *find;
        let mut words = words(&find.words);
        words.truncate(QUERY_WORDS_MAX);
        words.sort();
        words.dedup();
        if words.is_empty() || wanted == 0 || !self.seen.ask(now, id, words.clone()) {
            sink.outputs.push_back(Output::Searched { id });
            return;
        }
        if self.asking.len() >= ASKING_MAX {
            let oldest = self.asking.remove(0);
            sink.outputs.push_back(Output::Searched { id: oldest.id });
        }
        let wanted = wanted.min(WANTED_MAX);
        let here = self.offers.find(&words, wanted.into()).into_iter().cloned().collect();
        let found = BTreeSet::new();
        self.asking.push(Asking { id, words, wanted, via, found, round: 0, next: now });
        self.found(now, id, here, sink);
        self.ask_again(now, sink);
    }

    /// The user has seen enough.
    pub(crate) fn stop(&mut self, id: u64) {
        self.asking.retain(|asking| asking.id != id);
    }

    /// What answers a question of ours.
    pub(super) fn found(&mut self, now: Instant, id: u64, records: Vec<Record>, sink: &mut Sink) {
        let asking = self.asking.iter_mut().find(|asking| asking.id == id);
        if let Some(asking) = asking {
            asking.found.extend(records.iter().map(|record| record.key().slot));
            if asking.found.len() >= asking.wanted.into() {
                asking.next = now;
                asking.round = ROUNDS.len();
            }
        }
        for record in records {
            sink.outputs.push_back(Output::Found { id, record: Box::new(record) });
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
                sink.outputs.push_back(Output::Searched { id: asking.id });
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
                words: asking.words.clone(),
            };
            due.push((question, via));
            true
        });
        for (question, via) in due {
            self.walk(None, &question, via, sink);
        }
    }
}
