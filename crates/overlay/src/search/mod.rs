//! How a question reaches who can answer it: walks over neighbours' indexes.
//!
//! * Each neighbour tells two sets of [`terms`]: of what it offers itself, and of what its neighbours offer, all
//!   together (after the attenuated Bloom filters of Rhea and Kubiatowicz, INFOCOM 2002). So whoever holds
//!   a question sees who has the answer within two links, of some forty nodes, without asking anybody.
//! * A question has a budget: the messages that it may cause. It goes to neighbours that have all its words,
//!   a small part to those that lead to some, and the rest in equal parts where it has not been; so it spreads
//!   as a tree and then walks on many ways at once. It never costs more than whoever asks has said.
//! * Whoever asks begins with little and asks again with more if nothing comes of it ([`limits::ROUNDS`]):
//!   what is common costs a few messages, and only what is rare the whole sum.
//! * Peers that index for others (super-peers) do nothing else: they have some hundred leaves beside their
//!   neighbours, who tell them what they offer, and tell each other what all their leaves offer. So a
//!   question of a leaf needs three links, of hundreds of nodes each.
//! * Answers are records that their authors have signed. They go back the way that the question came, and
//!   each node on it checks them before it passes them on, so that who invents answers is found out by his
//!   own neighbour. Nobody but the one who asks knows who that is.
//!
//! This file has the indexes and what comes from neighbours; `walk` where questions go, `seen` where
//! they came from, `asking` the questions of our own.

mod asking;
pub mod limits;
pub(crate) mod offers;
mod seen;
pub mod terms;
mod walk;
pub mod words;

use crate::io::{LinkId, Via};
use crate::machine::limits::{SCORE_INVALID, SCORE_UNASKED};
use crate::records::{RawRecord, Record, RecordId};
use crate::sink::Sink;
use crate::wire::{Message, Question};
use althing_base::machine::is_due;
use althing_base::{Instant, Rng, Seed, TokenBucket};
use asking::Asking;
use bytes::Bytes;
use limits::{
    ANSWERS_OF_NODE_MAX, ANSWERS_PASSED_MAX, BUDGET_PER_S, TELL_AFTER, TERMS_MAX, TERMS_PER_S,
};
use offers::{Offers, has_words};
use seen::Seen;
use terms::TermSet;

/// What a peer is to the other, as far as questions go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// A neighbour.
    Peer,
    /// It indexes for us.
    Index,
    /// We index for it.
    Leaf,
    /// Both index for others.
    Mesh,
}

impl Role {
    /// Whether it is told an index of ours: of what is offered here, or near here.
    fn is_told(self, which: usize) -> bool {
        match self {
            Role::Peer | Role::Mesh => true,
            Role::Index => which == 0,
            Role::Leaf => false,
        }
    }
}

/// What a node knows of what there is to find, and the questions under way.
#[derive(Debug)]
pub(crate) struct Search {
    rng: Rng,
    /// It indexes for others.
    is_super: bool,
    links: Vec<Neighbour>,
    offers: Offers,
    /// The indexes that neighbours are told: of what is offered here, and of what they themselves offer.
    ours: [TermSet; 2],
    /// When changes of them are told.
    tell_at: [Option<Instant>; 2],
    seen: Seen,
    asking: Vec<Asking>,
}

/// What a neighbour has told and was told.
#[derive(Debug)]
struct Neighbour {
    link: LinkId,
    role: Role,
    theirs: [TermSet; 2],
    told: [TermSet; 2],
    terms: TokenBucket,
    budget: TokenBucket,
}

/// A peer tells more than anybody has: it is to be parted with.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl Search {
    pub(crate) fn new(seed: Seed, is_super: bool) -> Self {
        Search {
            rng: Rng::new(seed),
            is_super,
            links: Vec::new(),
            offers: Offers::default(),
            ours: Default::default(),
            tell_at: [None; 2],
            seen: Seen::default(),
            asking: Vec::new(),
        }
    }

    /// There is something to find here, or no longer.
    pub(crate) fn offer(&mut self, now: Instant, record: &Record) {
        if self.offers.put(record) {
            self.plan(now, 0);
        }
    }

    /// Terms that neighbours are told: of what is offered here, and of what neighbours offer.
    pub(crate) fn told(&self) -> [usize; 2] {
        [self.ours[0].len(), self.ours[1].len()]
    }

    /// Somebody is a neighbour, or one of two indexes for the other.
    pub(crate) fn up(&mut self, now: Instant, link: LinkId, role: Role) {
        if self.position(link).is_none() {
            self.links.push(Neighbour {
                link,
                role,
                theirs: Default::default(),
                told: Default::default(),
                terms: TokenBucket::new(now, TERMS_PER_S.0, TERMS_PER_S.1),
                budget: TokenBucket::new(now, BUDGET_PER_S.0, BUDGET_PER_S.1),
            });
            self.plan(now, 0);
            self.plan(now, 1);
        }
    }

    /// And is so no longer.
    pub(crate) fn down(&mut self, now: Instant, link: LinkId) {
        if let Some(at) = self.position(link) {
            let gone = self.links.swap_remove(at);
            if !gone.theirs[0].is_empty() {
                self.plan(now, 1);
            }
        }
    }

    fn position(&self, link: LinkId) -> Option<usize> {
        self.links.iter().position(|other| other.link == link)
    }

    /// An index has changed, or somebody has not been told of it.
    fn plan(&mut self, now: Instant, which: usize) {
        if self.tell_at[which].is_none() {
            let wait = TELL_AFTER[which].mul_f64(0.5 + self.rng.unit());
            self.tell_at[which] = Some(now + wait);
        }
    }

    /// Tells all neighbours what they do not know of an index.
    fn tell(&mut self, which: usize, sink: &mut Sink) {
        let most = TERMS_MAX[which];
        self.ours[which] = match which {
            0 => self.offers.terms(most),
            _ => TermSet::joined(self.links.iter().map(|other| &other.theirs[0]), most),
        };
        let now = &self.ours[which];
        for other in self.links.iter_mut().filter(|other| other.role.is_told(which)) {
            let toggled = now.toggled(&other.told[which]);
            for toggled in toggled.parts() {
                sink.send(other.link, Message::Terms { is_near: which == 1, toggled });
            }
            other.told[which] = now.clone();
        }
    }

    /// A neighbour tells what has changed in an index of its own.
    pub(crate) fn terms(
        &mut self,
        now: Instant,
        link: LinkId,
        is_near: bool,
        toggled: &TermSet,
    ) -> Result<(), TooMuch> {
        let Some(at) = self.position(link) else { return Ok(()) };
        let which = usize::from(is_near);
        let other = &mut self.links[at];
        let set = other.theirs[which].toggled(toggled);
        if set.len() > TERMS_MAX[which] || !other.terms.take(now, toggled.len() as u64) {
            return Err(TooMuch);
        }
        other.theirs[which] = set;
        if !is_near {
            self.plan(now, 1);
        }
        Ok(())
    }

    /// A neighbour asks.
    pub(crate) fn question(
        &mut self,
        now: Instant,
        link: LinkId,
        question: Question,
        sink: &mut Sink,
    ) {
        let Some(at) = self.position(link) else { return };
        let bucket = &mut self.links[at].budget;
        let allowed = bucket.available(now).min(question.budget.into());
        bucket.take(now, allowed);
        // No more than a question's budget, which is as small.
        let Some(budget) = (allowed as u16).checked_sub(1) else { return };
        let Some(is_new) = self.seen.came(now, link, &question) else { return };
        let mut wanted = usize::from(question.wanted);
        if is_new {
            let found = self.offers.find(&question.words, wanted.min(ANSWERS_OF_NODE_MAX));
            wanted -= found.len();
            let records: Vec<_> = found.into_iter().map(|record| record.bytes().clone()).collect();
            self.seen.has_passed(question.id, records.len());
            answer(link, question.id, records, sink);
        }
        // It was no more than the question's.
        if let Some(wanted) = u8::try_from(wanted).ok().filter(|wanted| *wanted > 0) {
            let from = Some((link, self.links[at].role));
            self.walk(from, &Question { budget, wanted, ..question }, Via::Auto, sink);
        }
    }

    /// A neighbour answers; `check` looks at what its author says, at last at the signature. How the
    /// neighbour is to be regarded for it.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        link: LinkId,
        (id, records): (u64, &[Bytes]),
        check: impl Fn(&RawRecord) -> Result<Record, i32>,
        sink: &mut Sink,
    ) -> i32 {
        // It may be late.
        let Some(way) = self.seen.way(id) else { return 0 };
        if !way.sent.contains(&link) {
            return SCORE_UNASKED;
        }
        let mut good = Vec::new();
        let mut score = 0;
        for record in records {
            let Ok(raw) = RawRecord::parse(record) else {
                score += SCORE_INVALID;
                break;
            };
            if way.passed.len() + way.own >= ANSWERS_PASSED_MAX {
                break;
            }
            if way.passed.contains(&raw.id()) {
                continue;
            }
            if !has_words(&raw, &way.words) {
                score += SCORE_INVALID;
                break;
            }
            match check(&raw) {
                Ok(record) => {
                    way.passed.push(record.id());
                    good.push(record);
                }
                Err(harm) => score += harm,
            }
        }
        if way.is_ours {
            self.found(now, id, good, sink);
        } else if let Some(back) =
            way.from.iter().find(|from| self.links.iter().any(|other| other.link == **from))
        {
            let records = good.iter().map(|record| record.bytes().clone()).collect();
            answer(*back, id, records, sink);
        }
        score
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let asking = self.asking.iter().map(|asking| asking.next);
        asking.chain(self.tell_at.into_iter().flatten()).min()
    }

    pub(crate) fn timeout(&mut self, now: Instant, sink: &mut Sink) {
        for which in 0..2 {
            if is_due(now, self.tell_at[which]) {
                self.tell_at[which] = None;
                self.tell(which, sink);
            }
        }
        self.ask_again(now, sink);
    }
}

/// Sends records that answer a question, as many to a message as fit it.
fn answer(link: LinkId, id: u64, records: Vec<Bytes>, sink: &mut Sink) {
    use crate::wire::limits::{MESSAGE_BYTES_MAX, RECORDS_MAX};
    let mut fitting = Vec::new();
    let mut bytes = 0;
    for record in records {
        let len = 2 + record.len();
        if 9 + bytes + len > MESSAGE_BYTES_MAX || fitting.len() == RECORDS_MAX {
            sink.send(link, Message::Answer { id, records: std::mem::take(&mut fitting) });
            bytes = 0;
        }
        bytes += len;
        fitting.push(record);
    }
    if !fitting.is_empty() {
        sink.send(link, Message::Answer { id, records: fitting });
    }
}

/// What was passed back for a question.
type Passed = Vec<RecordId>;

#[cfg(test)]
mod tests;
