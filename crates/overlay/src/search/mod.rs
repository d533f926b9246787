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
//! they came from, `answers` what goes back, `asking` the questions of our own, `trust` and `doubt` what neighbours are
//! worth.

mod answers;
mod asking;
mod doubt;
pub mod hit;
pub mod limits;
pub(crate) mod offers;
pub mod rank;
mod seen;
mod structured;
pub mod terms;
mod trust;
mod walk;
pub mod words;

use crate::id::NetworkKey;
use crate::io::{LinkId, Via};
use crate::machine::Terms;
use crate::records::Record;
use crate::sink::Sink;
use crate::wire::{Message, Question};
use althing_base::machine::is_due;
use althing_base::{Instant, Rng, Seed, TokenBucket};
use answers::{Consults, answer};
use asking::Asking;
use doubt::{Claims, Recent};
use hit::{RawHit, What};
use limits::{BUDGET_PER_S, TELL_AFTER, TERMS_MAX, TERMS_PER_S};
use offers::Offers;
use seen::Seen;
use std::collections::BTreeMap;
use structured::Structured;
use terms::TermSet;
use trust::Trust;
use words::Term;

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
    network: NetworkKey,
    /// It indexes for others.
    is_super: bool,
    /// It answers others from what is here.
    answers: bool,
    links: Vec<Neighbour>,
    offers: Offers,
    /// The indexes that neighbours are told: of what is offered here, and of what they themselves offer.
    ours: [TermSet; 2],
    /// When changes of them are told.
    tell_at: [Option<Instant>; 2],
    seen: Seen,
    recent: Recent,
    asking: Vec<Asking>,
    structured: Structured,
    /// Who has called to ask something, and how often he has.
    visitors: Vec<(LinkId, u8)>,
    /// Questions for the index on disk, if there is one.
    consults: Option<Consults>,
    /// Terms of what is here and is no listing.
    also: TermSet,
}

/// What a node is like, as far as it concerns questions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) network: NetworkKey,
    pub(crate) is_super: bool,
    pub(crate) answers: bool,
    pub(crate) consults: bool,
    pub(crate) terms: Terms,
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
    trust: Trust,
    claims: Claims,
    /// It does not answer.
    is_silent: bool,
}

/// A peer tells more than anybody has: it is to be parted with.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl Search {
    pub(crate) fn new(now: Instant, seed: Seed, setup: Setup) -> Self {
        let Setup { network, is_super, answers, consults, terms } = setup;
        Search {
            rng: Rng::new(seed),
            network,
            is_super,
            answers,
            links: Vec::new(),
            offers: Offers::default(),
            ours: Default::default(),
            tell_at: [None; 2],
            seen: Seen::default(),
            recent: Recent::default(),
            asking: Vec::new(),
            structured: Structured::new(terms),
            visitors: Vec::new(),
            consults: (answers && consults).then(|| Consults::new(now)),
            also: TermSet::default(),
        }
    }

    /// What neighbours are told of besides listings: mail ([`mail`](crate::mail)).
    pub(crate) fn also(&mut self, now: Instant, terms: TermSet) {
        if self.also != terms {
            self.also = terms;
            self.plan(now, 0);
        }
    }

    /// Who says that it has one of some terms itself, and who that somebody next to it has.
    pub(crate) fn leads(&self, terms: &[Term]) -> BTreeMap<LinkId, (bool, bool)> {
        let has = |set: &TermSet| terms.iter().any(|term| set.has_all(&[*term]));
        let leads = self.links.iter().map(|other| {
            let [own, near] = &other.theirs;
            (other.link, (has(own), has(near)))
        });
        leads.filter(|(_, (own, near))| *own || *near).collect()
    }

    /// There is something to find here, or no longer.
    pub(crate) fn offer(&mut self, now: Instant, record: &Record) {
        if self.offers.put(record) && self.answers {
            self.plan(now, 0);
            self.structured.plan(now);
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
                trust: Trust::new(now, role, &mut self.rng),
                claims: Claims::default(),
                is_silent: false,
            });
            self.plan(now, 0);
            self.plan(now, 1);
        }
    }

    /// And is so no longer; or whoever was asked something on it is gone.
    pub(crate) fn down(&mut self, now: Instant, link: LinkId, sink: &mut Sink) {
        self.visitors.retain(|(visitor, _)| *visitor != link);
        for mut asking in std::mem::take(&mut self.asking) {
            self.visited(now, &mut asking, link, false, sink);
            self.asking.push(asking);
        }
        if let Some(at) = self.position(link) {
            let gone = self.links.swap_remove(at);
            if !gone.theirs[0].is_empty() {
                self.plan(now, 1);
            }
        }
    }

    /// Somebody is silent, or has spoken again.
    pub(crate) fn doubted(&mut self, link: LinkId, is_doubted: bool) {
        if let Some(at) = self.position(link) {
            self.links[at].is_silent = is_doubted;
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
        let mut alone = TermSet::default();
        self.ours[which] = match which {
            0 if !self.answers => self.also.clone(),
            0 if self.also.is_empty() => self.offers.terms(most),
            0 => TermSet::joined([&self.also, &self.offers.terms(most)].into_iter(), most).0,
            _ => {
                let sure = self.links.iter().filter(|other| !other.claims.is_doubtful());
                let (all, once) = TermSet::joined(sure.map(|other| &other.theirs[0]), most);
                alone = once;
                all
            }
        };
        for other in self.links.iter_mut().filter(|other| other.role.is_told(which)) {
            // What only its own peer offers leads nowhere from there.
            let now = match which {
                0 => self.ours[0].clone(),
                _ => self.ours[1].without(&other.theirs[0].common(&alone)),
            };
            let toggled = now.toggled(&other.told[which]);
            for toggled in toggled.parts() {
                sink.send(other.link, Message::Terms { is_near: which == 1, toggled });
            }
            other.told[which] = now;
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
        self.structured.plan_anew(now);
        if !is_near {
            self.note_terms(now, at);
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
        // No more than a question's budget, which is as small. A receipt is one of its messages.
        let spent = 1 + u16::from(question.receipt);
        let Some(budget) = (allowed as u16).checked_sub(spent) else { return };
        let Some(is_new) = self.seen.came(now, link, &question) else { return };
        let mut wanted = usize::from(question.wanted);
        let mut hits = Vec::new();
        if is_new && question.what != What::Pages {
            self.note_question(now, Some(link), &question.words);
        }
        if is_new {
            let found = self.given(&question.words, question.what, wanted);
            wanted -= found.len();
            self.seen.has_given(question.id, found.iter().map(|record| record.id()));
            hits.extend(found.iter().map(RawHit::from));
        }
        if question.receipt || !hits.is_empty() {
            answer(link, question.id, hits, sink);
        }
        // It was no more than the question's.
        if let Some(wanted) = u8::try_from(wanted).ok().filter(|wanted| *wanted > 0) {
            if is_new {
                self.consult(now, &question, wanted, None, sink);
            }
            let from = Some((link, self.links[at].role));
            self.walk(from, &Question { budget, wanted, ..question }, Via::Auto, sink);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let asking = self.asking.iter().map(Asking::deadline);
        let told = self.tell_at.into_iter().flatten();
        let tests = self.links.iter().filter_map(|other| other.trust.deadline());
        asking.chain(told).chain(tests).chain(self.structured.deadline()).min()
    }

    pub(crate) fn timeout(&mut self, now: Instant, sink: &mut Sink) {
        for which in 0..2 {
            if is_due(now, self.tell_at[which]) {
                self.tell_at[which] = None;
                self.tell(which, sink);
            }
        }
        self.test(now, sink);
        self.announce(now, sink);
        self.ask_again(now, sink);
    }

    /// Whether somebody indexes for us.
    fn leans(&self) -> bool {
        let up = if self.is_super { Role::Mesh } else { Role::Index };
        self.links.iter().any(|other| other.role == up && !other.is_silent)
    }
}

impl Neighbour {
    /// Whether it offers all of some terms, or has neighbours who do, as far as it can be believed.
    fn has_near(&self, terms: &[Term]) -> bool {
        self.is_believed() && self.theirs.iter().any(|set| set.has_all(terms))
    }

    /// Whether what it says of its index is taken for true.
    fn is_believed(&self) -> bool {
        !self.trust.swallows() && !self.claims.is_doubtful() && !self.is_silent
    }
}

#[cfg(test)]
mod tests;
