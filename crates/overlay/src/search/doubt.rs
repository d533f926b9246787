//! Who seems to have everything, and how little that counts.
//!
//! Whoever signs a listing made to measure for each question answers as every check wants it, and nobody can tell
//! from one such answer that there is nothing behind it. What gives him away is how many questions he answers: of those
//! that came by lately, whatever they were about, an honest neighbour has one in a hundred, and he has most. So it
//! is kept in mind what was asked, and of each neighbour which of it he says he has himself.
//!
//! A great library in a small group looks the same. So who is in doubt is not shut out: he is asked after others and
//! rarely for strangers, his terms are told to nobody as if they were found near here, and what he brings is passed on as
//! doubtful: it ends nobody's search, has few places among answers, and comes after what is not in doubt.

use super::limits::{
    ALIKE_LEAST, DOUBTFUL_FROM, DOUBTFUL_UNTIL, RECENT_LEAST, RECENT_MAX, RECENT_OF_LINK_MAX,
};
use super::words::{Term, Word};
use super::{Neighbour, Search};
use crate::io::LinkId;
use althing_base::Instant;

/// Different questions that came by lately, or were ours.
#[derive(Debug, Default)]
pub(super) struct Recent {
    asked: Vec<Asked>,
    count: u64,
}

#[derive(Debug)]
struct Asked {
    from: Option<LinkId>,
    terms: Box<[Term]>,
    /// The how manieth it was.
    number: u64,
}

/// Of which of the recent questions a neighbour says that he has an answer himself, and what follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    /// A bit for the place of each.
    mask: u64,
    is_doubtful: bool,
    /// He has answered what nobody can answer.
    invents: bool,
}

impl Claims {
    /// Whether what he says that he has is in doubt.
    pub(super) fn is_doubtful(self) -> bool {
        self.is_doubtful
    }
}

impl Recent {
    /// Notes a question, unless it is there. Where: one that is as old as any gives way, of the same link if that
    /// has asked as much as one link may.
    fn note(&mut self, from: Option<LinkId>, terms: &[Term]) -> Option<usize> {
        if self.asked.iter().any(|asked| *asked.terms == *terms) {
            return None;
        }
        self.count += 1;
        let new = Asked { from, terms: terms.into(), number: self.count };
        let of_it = self.asked.iter().filter(|asked| asked.from == from).count();
        let is_much = of_it >= RECENT_OF_LINK_MAX;
        if self.asked.len() < RECENT_MAX && !is_much {
            self.asked.push(new);
            return Some(self.asked.len() - 1);
        }
        let places = self.asked.iter().enumerate();
        let oldest = places
            .filter(|(_, asked)| !is_much || asked.from == from)
            .min_by_key(|(_, asked)| asked.number)
            .map(|(place, _)| place)?;
        self.asked[oldest] = new;
        Some(oldest)
    }
}

impl Search {
    /// A question has come by, or is ours.
    pub(super) fn note_question(&mut self, now: Instant, from: Option<LinkId>, words: &[Word]) {
        let terms: Vec<Term> = words.iter().map(Word::term).collect();
        let Some(place) = self.recent.note(from, &terms) else { return };
        for other in &mut self.links {
            let bit = u64::from(other.theirs[0].has_all(&terms)) << place;
            other.claims.mask = other.claims.mask & !(1 << place) | bit;
        }
        self.judge(now);
    }

    /// A neighbour says that he has something else than before.
    pub(super) fn note_terms(&mut self, now: Instant, at: usize) {
        let Some(other) = self.links.get_mut(at) else { return };
        other.claims.mask = self.recent.asked.iter().enumerate().fold(0, |mask, (place, asked)| {
            mask | u64::from(other.theirs[0].has_all(&asked.terms)) << place
        });
        self.judge(now);
    }

    /// A neighbour has answered a question that nobody can answer.
    pub(super) fn invents(&mut self, now: Instant, link: LinkId) {
        if let Some(at) = self.position(link) {
            self.links[at].claims.invents = true;
            self.judge(now);
        }
    }

    /// Who has answers to a good part of all that was asked is in doubt.
    fn judge(&mut self, now: Instant) {
        let asked = self.recent.asked.len();
        let sharing = || self.links.iter().filter(|other| !other.theirs[0].is_empty());
        // What everybody has says nothing of anybody.
        let alike = match sharing().count() {
            0..ALIKE_LEAST => 0,
            _ => sharing().fold(u64::MAX, |all, other| all & other.claims.mask),
        };
        let mut has_changed = false;
        for Neighbour { claims, .. } in &mut self.links {
            let part = if claims.is_doubtful { DOUBTFUL_UNTIL } else { DOUBTFUL_FROM };
            let count = (claims.mask & !alike).count_ones() as usize;
            let is_much = asked >= RECENT_LEAST && count * part >= asked;
            let is_doubtful = is_much || claims.invents;
            has_changed |= is_doubtful != claims.is_doubtful;
            claims.is_doubtful = is_doubtful;
        }
        if has_changed {
            // His terms are told of no longer, or again.
            self.plan(now, 1);
        }
    }
}

const _: () = assert!(RECENT_MAX <= u64::BITS as usize);
