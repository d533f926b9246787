//! Where a question goes on.

use super::hit::What;
use super::limits::{DOUBTFUL_ASKED, DOUBTFUL_ASKED_ONE_OF, NEAR_BUDGET};
use super::words::{Term, Word};
use super::{Neighbour, Role, Search};
use crate::io::{LinkId, Via};
use crate::sink::Sink;
use crate::wire::{Message, Question};

impl Search {
    /// Sends a question on, `budget` messages of it: to who has the answer, to who knows somebody, and
    /// where it has not been. From nowhere if it is ours. On which links, with what part of the budget.
    pub(super) fn walk(
        &mut self,
        from: Option<(LinkId, Role)>,
        question: &Question,
        via: Via,
        sink: &mut Sink,
    ) -> Vec<(LinkId, u16)> {
        let mut sent = Vec::new();
        let terms: Vec<Term> = question.words.iter().map(Word::term).collect();
        let way_on = self.way_on(from.map(|(_, role)| role), via);
        let Some(way) = self.seen.way(question.id) else { return sent };
        let (mut fresh, stale): (Vec<&Neighbour>, Vec<_>) = self
            .links
            .iter()
            // Who swallows questions or is silent gets none, and whatever he says of indexes leads nowhere.
            .filter(|other| !other.trust.swallows() && !other.is_silent)
            .partition(|other| !way.sent.contains(&other.link) && !way.from.contains(&other.link));
        self.rng.shuffle(&mut fresh);
        let mut budget = question.budget;
        let mut wanted = question.wanted;
        let mut rest = Vec::with_capacity(fresh.len());
        let mut send = |link: LinkId, budget: u16, width: u8, wanted: u8| {
            if !way.sent.contains(&link) {
                way.sent.push(link);
            }
            sent.push((link, budget));
            let question = Question { budget, width, wanted, ..question.clone() };
            sink.send(link, Message::Query(Box::new(question)));
        };
        // In the text of pages there are words that no index of terms tells of.
        let is_told = question.what != What::Pages;
        // Who seems to have everything is asked rarely, and what he says he has counts for nothing.
        let mut doubtful = match from {
            None => DOUBTFUL_ASKED,
            Some(_) => usize::from(self.rng.below(DOUBTFUL_ASKED_ONE_OF) == 0),
        };
        for other in fresh {
            if !is_told || !other.theirs[0].has_all(&terms) || budget == 0 || wanted == 0 {
                rest.push(other);
            } else if !other.claims.is_doubtful() {
                send(other.link, 1, 1, wanted);
                (budget, wanted) = (budget - 1, wanted - 1);
            } else if doubtful > 0 {
                send(other.link, 1, 1, wanted);
                (budget, doubtful) = (budget - 1, doubtful - 1);
            }
        }
        rest.retain(|other| {
            let leads = is_told && !other.claims.is_doubtful() && other.theirs[1].has_all(&terms);
            if !leads || budget < 2 || wanted == 0 {
                return true;
            }
            let share = budget.min(NEAR_BUDGET);
            send(other.link, share, 1, wanted);
            (budget, wanted) = (budget - share, wanted - 1);
            false
        });
        if wanted == 0 {
            return sent;
        }
        rest.retain(|other| way_on.contains(&other.role));
        let back = |other: &&Neighbour| {
            Some(other.link) == from.map(|(link, _)| link) || !way_on.contains(&other.role)
        };
        if rest.is_empty() || from.is_none() {
            let mut again: Vec<_> = stale.into_iter().filter(|other| !back(other)).collect();
            self.rng.shuffle(&mut again);
            rest.extend(again);
        }
        // Who seems to have everything is passed by if there is another way, and who was given many questions and
        // never brought anything comes last.
        if rest.iter().any(|other| !other.claims.is_doubtful()) {
            rest.retain(|other| !other.claims.is_doubtful());
        }
        rest.sort_by_key(|other| other.trust.brings_nothing());
        let width = u16::from(question.width).min(budget);
        let count = width.min(rest.len() as u16);
        let mut walked = Vec::with_capacity(count.into());
        for (other, number) in rest.into_iter().zip(0..count) {
            let part = |of: u16| of / count + u16::from(number < of % count);
            // A part of a width of 64 is no more than that.
            send(other.link, part(budget), part(width).max(1) as u8, wanted);
            walked.push(other.link);
        }
        for other in &mut self.links {
            if walked.contains(&other.link) {
                other.trust.is_given();
            }
        }
        sent
    }

    /// Where a question goes that nobody here seems to have an answer to: to whom it came from matters, and
    /// who there is.
    fn way_on(&self, from: Option<Role>, via: Via) -> &'static [Role] {
        let up: &[Role] = if self.is_super { &[Role::Mesh] } else { &[Role::Index] };
        let is_up = self.links.iter().any(|other| up.contains(&other.role) && !other.is_silent);
        match (from, via) {
            (None, Via::Walk | Via::Dht) | (Some(Role::Peer), _) => &[Role::Peer],
            (None, Via::Auto | Via::Super) | (Some(Role::Leaf | Role::Mesh), _) if is_up => up,
            _ => &[Role::Peer],
        }
    }
}
