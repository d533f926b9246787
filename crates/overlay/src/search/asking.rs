//! Questions of our own: which way they go, with little at first, and again with more.

use super::Search;
use super::hit::{Hit, What};
use super::limits::{
    ASKING_MAX, COUNTS_ONE_OF, DHT_PATIENCE, ENOUGH_FOR_EACH, LAST_WAIT, QUERY_WORDS_MAX, ROUNDS,
    WANTED_MAX,
};
use super::structured::Lookup;
use super::words::{Term, Word, words};
use crate::id::NodeId;
use crate::io::{Cost, Find, LinkId, Output, Page, Via};
use crate::machine::Terms;
use crate::records::Slot;
use crate::sink::Sink;
use crate::wire::{Message, Question};
use althing_base::Instant;
use std::collections::{BTreeMap, VecDeque};

/// Bytes of an answer besides what was found: its type and the question's number.
const ANSWER_OVERHEAD_BYTES: usize = 9;

/// What is done about a question, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It walks over neighbours, with the budget of this round.
    Walk(usize),
    /// It goes to those who index for us, with the budget of this round.
    Super(usize),
    /// Those are asked whom the DHT names.
    Dht,
}

/// A question that is not answered yet.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) id: u64,
    pub(super) words: Vec<Word>,
    wanted: u8,
    what: What,
    cost: Cost,
    /// Links on which it was asked.
    asked: Vec<LinkId>,
    /// What was found, by what it is about: two who have the same are one answer.
    found: BTreeMap<(Slot, Option<Page>), Source>,
    /// How many of it count towards what is wanted.
    counting: usize,
    steps: VecDeque<Step>,
    /// The ways were chosen by us.
    is_auto: bool,
    /// The DHT was asked.
    was_looked_up: bool,
    /// And the next step is not taken before it has answered, or for some time.
    waits_for_dht: bool,
    /// So few others are known that all of them are asked.
    reaches_all: bool,
    /// How much was known here.
    own: usize,
    /// How much was known when the last step was taken.
    before: usize,
    /// When the next step is taken.
    next: Instant,
    pub(super) lookup: Lookup,
}

/// From where an answer is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Source {
    is_doubtful: bool,
    author: NodeId,
    /// The link that brought it; none if it was here.
    link: Option<LinkId>,
    /// That link is to a stranger whom the DHT has named.
    is_visit: bool,
}

impl Asking {
    /// Whether there is as much as was wanted.
    pub(super) fn is_satisfied(&self) -> bool {
        self.counting >= self.wanted.into()
    }

    /// How many answers are missing.
    pub(super) fn missing(&self) -> usize {
        usize::from(self.wanted).saturating_sub(self.counting)
    }

    /// Counts what was found towards what is wanted: no more of it than a part that is one author's, one link's,
    /// strangers' or in doubt. Whoever makes answers to measure ends no search with them alone.
    fn count(&mut self) {
        let wanted = usize::from(self.wanted);
        let part = wanted.div_ceil(COUNTS_ONE_OF);
        let links = self.asked.len().clamp(1, COUNTS_ONE_OF);
        let of_link = wanted.div_ceil(links);
        let mut by: BTreeMap<(Option<NodeId>, Option<LinkId>), usize> = BTreeMap::new();
        let (mut of_strangers, mut in_doubt, mut counting) = (0, 0, 0);
        for source in self.found.values() {
            let Source { is_doubtful, author, link, is_visit } = *source;
            let of_author = by.entry((Some(author), None)).or_default();
            if link.is_some() && *of_author >= part
                || is_doubtful && in_doubt >= wanted / COUNTS_ONE_OF
                || is_visit && of_strangers >= part
            {
                continue;
            }
            *of_author += 1;
            in_doubt += usize::from(is_doubtful);
            of_strangers += usize::from(is_visit);
            let brought = by.entry((None, link)).or_default();
            if link.is_none() || is_visit || *brought < of_link {
                *brought += 1;
                counting += 1;
            }
        }
        self.counting = counting;
    }

    /// The question as it is said to others.
    pub(super) fn question(&self, budget: u16, width: u8) -> Question {
        // No more than were wanted.
        let missing = self.missing() as u8;
        Question {
            id: self.id,
            budget,
            width,
            wanted: missing.max(1),
            what: self.what,
            receipt: false,
            words: self.words.clone(),
        }
    }

    /// A question has gone out on some links, with so much of a budget on each.
    pub(super) fn has_sent(&mut self, question: &Question, sent: &[(LinkId, u16)]) {
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

    /// Leaves out what would bring little: if what is rare was found by way of the DHT, which names all who have it,
    /// and if the last of several steps has brought nothing that was not known before.
    fn is_enough(&mut self, now: Instant) {
        if self.waits_for_dht && !self.lookup.is_open() {
            self.waits_for_dht = false;
            self.next = self.next.min(now);
        }
        if self.is_auto
            && self.sure() > self.own
            && self.was_looked_up
            && !self.lookup.is_open()
            && !self.lookup.was_cut()
        {
            self.steps.clear();
        }
    }

    /// How much was found that is not in doubt.
    fn sure(&self) -> usize {
        self.found.values().filter(|source| !source.is_doubtful).count()
    }

    /// When something is to be done about it.
    pub(super) fn deadline(&self) -> Instant {
        match self.lookup.deadline() {
            // Nothing else is left to be done.
            Some(at) if self.steps.is_empty() => at,
            at => at.into_iter().fold(self.next, Instant::min),
        }
    }
}

impl Search {
    /// The user looks for something, and wants so many answers that differ. So many `others` there are, if
    /// all that were heard of are known.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        find: &Find,
        others: Option<usize>,
        sink: &mut Sink,
    ) {
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
            let mut oldest = self.asking.remove(0);
            self.end(now, &mut oldest, sink);
        }
        let wanted = wanted.min(WANTED_MAX);
        if what != What::Pages {
            self.note_question(now, None, &words);
        }
        let here = self.offered(&words, what, wanted.into());
        let rounds = rounds(others);
        let steps = self.steps(&words, (via, what), rounds);
        self.asking.push(Asking {
            id,
            words,
            wanted,
            what,
            cost: Cost::default(),
            asked: Vec::new(),
            found: BTreeMap::new(),
            counting: 0,
            steps,
            is_auto: via == Via::Auto,
            was_looked_up: false,
            waits_for_dht: false,
            reaches_all: rounds < ROUNDS.len(),
            own: 0,
            before: 0,
            next: now,
            lookup: Lookup::default(),
        });
        let here = here.into_iter();
        let here = here.map(|record| Hit { record, page: None, from: None, is_doubtful: false });
        self.found(now, (id, None), here.collect(), sink);
        if let Some(asking) = self.asking.last_mut() {
            asking.own = asking.found.len();
        }
        self.ask_again(now, sink);
    }

    /// Which ways a question goes, one after the other.
    ///
    /// Those who index for others know of everything for some ten messages. Without them, what some neighbour offers
    /// or leads to is a few messages away, and nothing is cheaper; what none of forty nodes around us has is
    /// rare, and the DHT names who has it for some forty messages, wherever that is; to walk to it costs hundreds.
    /// What stands in documents nobody but who has them knows of.
    fn steps(&self, words: &[Word], (via, what): (Via, What), rounds: usize) -> VecDeque<Step> {
        let walks = (0..rounds).map(Step::Walk);
        match via {
            Via::Auto if what == What::Pages => walks.collect(),
            Via::Walk => walks.collect(),
            Via::Super => (0..rounds).map(Step::Super).collect(),
            Via::Dht => [Step::Dht].into(),
            Via::Auto => {
                let terms: Vec<Term> = words.iter().map(Word::term).collect();
                let is_near = self.links.iter().any(|other| other.has_near(&terms));
                let leans = self.leans();
                // On their way to those who index, questions go to neighbours who have the answer, too.
                let is_near = is_near && !leans;
                let near = is_near.then_some(Step::Walk(0));
                let up = leans.then_some([Step::Super(0), Step::Super(1)]);
                let dht = (self.structured.terms != Terms::None).then_some(Step::Dht);
                // By now those on whom we leaned and who are dead are found out, and others are there.
                let again = leans.then_some(Step::Super(2));
                let rest = walks.skip(usize::from(is_near));
                let up = up.into_iter().flatten();
                near.into_iter().chain(up).chain(dht).chain(again).chain(rest).collect()
            }
        }
    }

    /// The user has seen enough.
    pub(crate) fn stop(&mut self, now: Instant, id: u64, sink: &mut Sink) {
        if let Some(mut asking) = self.take_asking(id) {
            self.end_lookup(now, &mut asking, sink);
        }
    }

    pub(super) fn take_asking(&mut self, id: u64) -> Option<Asking> {
        let at = self.asking.iter().position(|asking| asking.id == id)?;
        Some(self.asking.remove(at))
    }

    fn end(&mut self, now: Instant, asking: &mut Asking, sink: &mut Sink) {
        self.end_lookup(now, asking, sink);
        sink.outputs.push_back(Output::Searched { id: asking.id, cost: asking.cost });
    }

    /// An answer to a question of ours has come on a link, of so many bytes of what was found.
    pub(super) fn heard(
        &mut self,
        now: Instant,
        (id, link): (u64, LinkId),
        bytes: usize,
        hits: Vec<Hit>,
        sink: &mut Sink,
    ) {
        let was_good = !hits.is_empty();
        if let Some(asking) = self.asking.iter_mut().find(|asking| asking.id == id) {
            asking.cost.messages += 1;
            asking.cost.bytes += (ANSWER_OVERHEAD_BYTES + bytes) as u64;
        }
        self.found(now, (id, Some(link)), hits, sink);
        if let Some(mut asking) = self.take_asking(id) {
            self.visited(now, &mut asking, link, was_good, sink);
            self.asking.push(asking);
        }
        self.ask_again(now, sink);
    }

    /// What answers a question of ours, and on which link it came.
    fn found(
        &mut self,
        now: Instant,
        (id, link): (u64, Option<LinkId>),
        hits: Vec<Hit>,
        sink: &mut Sink,
    ) {
        let asking = self.asking.iter_mut().find(|asking| asking.id == id);
        if let Some(asking) = asking {
            let is_visit = link.is_some_and(|link| asking.lookup.visits_on(link));
            for hit in &hits {
                let name = (hit.record.key().slot, hit.page.clone());
                let (author, is_doubtful) = (hit.record.author(), hit.is_doubtful);
                let source = Source { is_doubtful, author, link, is_visit };
                // What is not in doubt any more counts as such.
                let known = asking.found.entry(name).or_insert(source);
                *known = if known.is_doubtful { source } else { *known };
            }
            asking.count();
            if asking.is_satisfied() {
                asking.next = now;
                asking.steps.clear();
            }
        }
        for hit in hits {
            sink.outputs.push_back(Output::Found { id, hit: Box::new(hit) });
        }
    }

    /// Takes the next step with what has not been answered, or gives it up.
    pub(super) fn ask_again(&mut self, now: Instant, sink: &mut Sink) {
        for mut asking in std::mem::take(&mut self.asking) {
            self.end_visits(now, &mut asking, sink);
            asking.is_enough(now);
            while asking.next <= now && self.step(now, &mut asking, sink) {}
            let is_over = asking.steps.is_empty()
                && asking.next <= now
                && (asking.is_satisfied() || !asking.lookup.is_open());
            match is_over {
                true => self.end(now, &mut asking, sink),
                false => self.asking.push(asking),
            }
        }
    }

    /// Takes the next step. Whether there was one.
    fn step(&mut self, now: Instant, asking: &mut Asking, sink: &mut Sink) -> bool {
        let sure = asking.sure();
        let had = std::mem::replace(&mut asking.before, sure);
        if asking.is_auto && asking.before > asking.own && had == asking.before {
            asking.steps.clear();
        }
        let Some(step) = asking.steps.pop_front() else { return false };
        let (round, via) = match step {
            Step::Walk(round) => (round, Via::Walk),
            Step::Super(round) => (round, Via::Super),
            Step::Dht => {
                (asking.was_looked_up, asking.waits_for_dht) = (true, true);
                self.look_up(now, asking, sink);
                // What comes of it later is welcome, but others are asked meanwhile.
                asking.next = now + DHT_PATIENCE;
                return true;
            }
        };
        asking.waits_for_dht = false;
        let (budget, width, wait) = ROUNDS[round];
        let question = asking.question(budget, width);
        let sent = self.walk(None, &question, via, sink);
        asking.has_sent(&question, &sent);
        // Nothing is asked after it that would be late for what still comes.
        let is_last = asking.reaches_all && asking.steps.is_empty();
        let wait = if is_last { wait.max(LAST_WAIT) } else { wait };
        // Who has nobody to ask need not wait.
        asking.next = if sent.is_empty() { now } else { now + wait };
        true
    }
}

/// How often a question is asked, each time with more, if so many others are known and nobody was ever
/// heard of besides: no more often than it takes to come to all of them.
fn rounds(others: Option<usize>) -> usize {
    let Some(others) = others else { return ROUNDS.len() };
    let enough = (others as u64).saturating_mul(ENOUGH_FOR_EACH);
    let mut sum = 0;
    let short = ROUNDS.iter().take_while(|(budget, _, _)| {
        let is_short = sum < enough;
        sum += u64::from(*budget);
        is_short
    });
    short.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_asked_less_often_than_many() {
        let of = |others| rounds(Some(others));
        assert_eq!([of(0), of(2), of(5), of(6), of(20), of(21), of(36)], [1, 1, 1, 2, 2, 3, 3]);
        assert_eq!((of(1_000), rounds(None)), (ROUNDS.len(), ROUNDS.len()));
    }
}
