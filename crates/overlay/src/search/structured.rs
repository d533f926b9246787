//! Questions by way of the DHT: who offers something rare is named there for its words, is called, asked, and
//! let go.
//!
//! Anybody can have anybody named at any key, so what the DHT says is worth a call and no more: a bounded
//! number of those named is called, few of one network, whoever answers nothing is not called again for a
//! while, and answers are checked as all are.

use super::Search;
use super::asking::Asking;
use super::limits::{
    ANNOUNCE_AFTER, ANNOUNCE_ALL_AFTER, ANNOUNCE_ALL_EVERY, ANNOUNCE_EVERY, ANNOUNCED_ALL_MAX,
    ANNOUNCED_RARE_MAX, BARREN_MAX, BARREN_TIME, CANDIDATES_MAX, KEYS_OF_QUESTION_MAX,
    RARE_SEEN_MAX, TERM_WAIT, VISIT_ANSWER, VISIT_CALL, VISIT_LINGER, VISIT_PATIENCE,
    VISITS_AT_ONCE, VISITS_OF_NETWORK, VISITS_OF_QUESTION, WORDS_OF_LISTING_ANNOUNCED,
};
use super::words::Word;
use crate::io::{LinkId, Output};
use crate::machine::Terms;
use crate::membership::subnet::subnet;
use crate::sink::{Sink, Wish};
use crate::wire::{Message, Question};
use althing_base::hash::Sha1Digest;
use althing_base::machine::is_due;
use althing_base::{Instant, Rng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// How far a question has come by way of the DHT.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Keys that are not asked for yet, that of the rarest word first.
    keys: VecDeque<Sha1Digest>,
    /// The one that is, and until when an answer is waited for.
    sought: Option<(Sha1Digest, Instant)>,
    /// Who is named there and was not called yet.
    named: Vec<SocketAddr>,
    /// Whom the DHT has named so far.
    known: BTreeSet<SocketAddr>,
    visits: Vec<Visit>,
    /// How many have been called.
    called: usize,
}

/// Somebody who is called, or asked.
#[derive(Debug)]
struct Visit {
    addr: SocketAddr,
    link: Option<LinkId>,
    since: Instant,
    until: Instant,
    /// It has lasted so long that somebody else may be called besides.
    is_late: bool,
    has_answered: bool,
}

impl Visit {
    /// Until when nobody else is called in its place.
    fn patience(&self) -> Instant {
        self.since + VISIT_PATIENCE
    }
}

/// What the DHT names us for, and whom it need not name again.
#[derive(Debug)]
pub(super) struct Structured {
    pub(super) terms: Terms,
    announced: BTreeSet<Sha1Digest>,
    announce_at: Option<Instant>,
    /// When it was last looked at what is to be announced.
    looked_at: Option<Instant>,
    /// Addresses where nobody answered, or nothing.
    barren: VecDeque<(SocketAddr, Instant)>,
}

impl Structured {
    pub(super) fn new(terms: Terms) -> Self {
        Structured {
            terms,
            announced: BTreeSet::new(),
            announce_at: None,
            looked_at: None,
            barren: VecDeque::new(),
        }
    }

    /// What there is to find here has changed.
    pub(super) fn plan(&mut self, now: Instant) {
        let (after, every) = match self.terms {
            Terms::None => return,
            Terms::Rare => (ANNOUNCE_AFTER, ANNOUNCE_EVERY),
            Terms::All => (ANNOUNCE_ALL_AFTER, ANNOUNCE_ALL_EVERY),
        };
        if self.announce_at.is_none() {
            let least = self.looked_at.map_or(now, |at| at + every);
            self.announce_at = Some(least.max(now + after));
        }
    }

    /// What neighbours have has changed, and so what is rare.
    pub(super) fn plan_anew(&mut self, now: Instant) {
        if self.terms == Terms::Rare {
            self.plan(now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.announce_at
    }

    fn note_barren(&mut self, now: Instant, addr: SocketAddr) {
        while self.barren.front().is_some_and(|(_, until)| *until <= now)
            || self.barren.len() >= BARREN_MAX
        {
            self.barren.pop_front();
        }
        self.barren.push_back((addr, now + BARREN_TIME));
    }

    fn is_barren(&self, now: Instant, addr: &SocketAddr) -> bool {
        self.barren.iter().any(|(barren, until)| barren == addr && *until > now)
    }
}

impl Lookup {
    /// Whether a link is to somebody whom the DHT has named.
    pub(super) fn visits_on(&self, link: LinkId) -> bool {
        self.visits.iter().any(|visit| visit.link == Some(link))
    }

    /// Whether more were named than were asked: then the word is not rare, or somebody wants it to seem so.
    pub(super) fn was_cut(&self) -> bool {
        !self.named.is_empty()
    }

    /// Whether anything may still come of it.
    pub(super) fn is_open(&self) -> bool {
        self.sought.is_some() || !self.visits.is_empty() || !self.keys.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let visits = self.visits.iter().map(|visit| match visit.is_late || self.named.is_empty() {
            true => visit.until,
            false => visit.until.min(visit.patience()),
        });
        visits.chain(self.sought.map(|(_, until)| until)).min()
    }

    /// Takes what the DHT names, and bounds how much of one network that is.
    fn name(&mut self, rng: &mut Rng, addrs: &[SocketAddr]) {
        let mut new: Vec<SocketAddr> = addrs.iter().take(CANDIDATES_MAX).copied().collect();
        new.retain(|addr| self.known.len() < CANDIDATES_MAX && self.known.insert(*addr));
        rng.shuffle(&mut new);
        for addr in new {
            let network = subnet(&addr);
            let of_it = self.named.iter().filter(|other| subnet(other) == network).count();
            if network.is_none() || of_it < VISITS_OF_NETWORK {
                self.named.push(addr);
            }
        }
        rng.shuffle(&mut self.named);
    }
}

impl Search {
    /// Asks the DHT for who has the rarest of the words.
    pub(super) fn look_up(&mut self, now: Instant, asking: &mut Asking, sink: &mut Sink) {
        let mut words: Vec<&Word> = asking.words.iter().collect();
        words.sort_by_key(|word| (self.seen_near(word), std::cmp::Reverse(word.as_str().len())));
        let keys = words.into_iter().take(KEYS_OF_QUESTION_MAX);
        asking.lookup.keys = keys.map(|word| word.key(&self.network)).collect();
        next_key(now, asking, sink);
    }

    /// How many neighbours offer a word, or have neighbours who do.
    pub(super) fn seen_near(&self, word: &Word) -> usize {
        let term = [word.term()];
        // Who seems to have everything makes nothing common.
        let sure = || self.links.iter().filter(|other| !other.claims.is_doubtful());
        let has = |which: usize| sure().filter(move |other| other.theirs[which].has_all(&term));
        has(0).count() + has(1).count()
    }

    /// The DHT has named some, or has no more to name.
    pub(crate) fn term_found(
        &mut self,
        now: Instant,
        id: u64,
        key: Sha1Digest,
        addrs: &[SocketAddr],
        sink: &mut Sink,
    ) {
        let Some(mut asking) = self.take_asking(id) else { return };
        let lookup = &mut asking.lookup;
        if lookup.sought.is_some_and(|(sought, _)| sought == key) {
            lookup.name(&mut self.rng, addrs);
            if addrs.is_empty() {
                lookup.sought = None;
            }
            self.visit(now, &mut asking, sink);
        }
        self.asking.push(asking);
        self.ask_again(now, sink);
    }

    /// Calls whom the DHT has named, as many as may be called; then goes on to the next key.
    fn visit(&mut self, now: Instant, asking: &mut Asking, sink: &mut Sink) {
        let at_once = VISITS_AT_ONCE.min(asking.missing() + 1);
        let lookup = &mut asking.lookup;
        let is_young = |visit: &&Visit| !visit.is_late;
        while lookup.visits.iter().filter(is_young).count() < at_once
            && lookup.called < VISITS_OF_QUESTION
        {
            let Some(addr) = lookup.named.pop() else { break };
            if self.structured.is_barren(now, &addr) {
                continue;
            }
            lookup.called += 1;
            let until = now + VISIT_CALL;
            let (link, since, is_late, has_answered) = (None, now, false, false);
            lookup.visits.push(Visit { addr, link, since, until, is_late, has_answered });
            sink.wishes.push(Wish::Seek(addr));
        }
        if lookup.sought.is_none() && lookup.visits.is_empty() {
            next_key(now, asking, sink);
        }
    }

    /// Somebody whom the DHT has named is there, or nobody is.
    pub(crate) fn sought(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        link: Option<LinkId>,
        sink: &mut Sink,
    ) {
        let mut is_wanted = false;
        for mut asking in std::mem::take(&mut self.asking) {
            let visits = &mut asking.lookup.visits;
            let at = visits.iter().position(|visit| visit.addr == addr && visit.link.is_none());
            match (at, link) {
                (Some(at), None) => {
                    visits.swap_remove(at);
                    self.structured.note_barren(now, addr);
                    self.visit(now, &mut asking, sink);
                }
                (Some(at), Some(link)) => {
                    is_wanted = true;
                    visits[at].link = Some(link);
                    visits[at].until = now + VISIT_ANSWER;
                    self.ask_directly(&mut asking, link, sink);
                }
                (None, _) => {}
            }
            self.asking.push(asking);
        }
        if let Some(link) = link.filter(|_| !is_wanted) {
            sink.wishes.push(Wish::LetGo(link));
        }
        self.ask_again(now, sink);
    }

    fn ask_directly(&mut self, asking: &mut Asking, link: LinkId, sink: &mut Sink) {
        let Some(way) = self.seen.way(asking.id) else { return };
        if !way.sent.contains(&link) {
            way.sent.push(link);
        }
        // The question and the receipt, and no other message.
        let question = Question { budget: 2, width: 1, receipt: true, ..asking.question(2, 1) };
        asking.has_sent(&question, &[(link, 1)]);
        sink.send(link, Message::Query(Box::new(question)));
    }

    /// Somebody whom the DHT has named has answered, or is gone: whether he said anything of use.
    pub(super) fn visited(
        &mut self,
        now: Instant,
        asking: &mut Asking,
        link: LinkId,
        was_good: bool,
        sink: &mut Sink,
    ) {
        let is_satisfied = asking.is_satisfied();
        let visits = &mut asking.lookup.visits;
        let Some(at) = visits.iter().position(|visit| visit.link == Some(link)) else { return };
        let visit = &mut visits[at];
        visit.has_answered |= was_good;
        if was_good && !is_satisfied {
            // There may be more to it than fits one message.
            visit.until = now + VISIT_LINGER;
            return;
        }
        let visit = visits.swap_remove(at);
        self.end_visit(now, &visit, sink);
        self.visit(now, asking, sink);
    }

    fn end_visit(&mut self, now: Instant, visit: &Visit, sink: &mut Sink) {
        if !visit.has_answered {
            self.structured.note_barren(now, visit.addr);
        }
        sink.wishes.extend(visit.link.map(Wish::LetGo));
    }

    /// Whether somebody is being asked on a link who is no neighbour.
    pub(crate) fn is_visiting(&self, link: LinkId) -> bool {
        let mut visits = self.asking.iter().flat_map(|asking| &asking.lookup.visits);
        visits.any(|visit| visit.link == Some(link))
    }

    /// Visits that have lasted too long are over, and so are keys of which the DHT says nothing.
    pub(super) fn end_visits(&mut self, now: Instant, asking: &mut Asking, sink: &mut Sink) {
        if asking.lookup.deadline().is_none_or(|at| at > now) {
            return;
        }
        let lookup = &mut asking.lookup;
        lookup.sought.take_if(|(_, until)| *until <= now);
        let visits = std::mem::take(&mut lookup.visits);
        let (over, rest): (Vec<_>, Vec<_>) = visits.into_iter().partition(|v| v.until <= now);
        lookup.visits = rest;
        for visit in &mut lookup.visits {
            visit.is_late |= visit.patience() <= now;
        }
        over.iter().for_each(|visit| self.end_visit(now, visit, sink));
        self.visit(now, asking, sink);
    }

    /// Nothing more is wanted: whoever is being asked is let go.
    pub(super) fn end_lookup(&mut self, now: Instant, asking: &mut Asking, sink: &mut Sink) {
        let lookup = std::mem::take(&mut asking.lookup);
        for visit in lookup.visits {
            // Whoever was not waited for is not to blame.
            self.end_visit(now, &Visit { has_answered: true, ..visit }, sink);
        }
    }

    /// Says by which words we are to be found in the DHT, if that has changed.
    pub(super) fn announce(&mut self, now: Instant, sink: &mut Sink) {
        if !is_due(now, self.structured.announce_at) {
            return;
        }
        self.structured.announce_at = None;
        self.structured.looked_at = Some(now);
        if !self.answers {
            return;
        }
        let keys = self.keys_to_announce();
        if keys != self.structured.announced {
            sink.outputs.push_back(Output::AnnounceTerms(keys.iter().copied().collect()));
            self.structured.announced = keys;
        }
    }

    /// The keys of the words of each listing that are the rarest near here, one of each listing before a
    /// second of any. In a DHT of a group's own those of all words.
    fn keys_to_announce(&self) -> BTreeSet<Sha1Digest> {
        let is_all = self.structured.terms == Terms::All;
        let (each, most) = match is_all {
            true => (usize::MAX, ANNOUNCED_ALL_MAX),
            false => (WORDS_OF_LISTING_ANNOUNCED, ANNOUNCED_RARE_MAX),
        };
        let mut near: BTreeMap<Word, usize> = BTreeMap::new();
        // How manieth of its listing, and how often it is seen near here.
        let mut order: BTreeMap<Word, (usize, usize)> = BTreeMap::new();
        for words in self.offers.words().take(super::limits::ANNOUNCED_OF_LISTINGS) {
            let mut rare: Vec<(usize, Word)> = Vec::with_capacity(words.len());
            for word in words {
                let seen = match near.get(&word) {
                    // How rare it is does not matter.
                    _ if is_all => 0,
                    Some(seen) => *seen,
                    None => {
                        let seen = self.seen_near(&word);
                        near.insert(word.clone(), seen);
                        seen
                    }
                };
                if is_all || seen <= RARE_SEEN_MAX {
                    rare.push((seen, word));
                }
            }
            // Of words that are as rare the longest says most.
            rare.sort_by_key(|(seen, word)| (*seen, std::cmp::Reverse(word.as_str().len())));
            for (rank, (seen, word)) in rare.into_iter().take(each).enumerate() {
                let place = order.entry(word).or_insert((rank, seen));
                *place = (*place).min((rank, seen));
            }
        }
        let mut order: Vec<_> = order.into_iter().collect();
        order.sort_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then_with(|| a.cmp(b)));
        order.truncate(most);
        order.into_iter().map(|(word, _)| word.key(&self.network)).collect()
    }
}

/// Asks for the next key, if there is one and nobody was found at those before.
fn next_key(now: Instant, asking: &mut Asking, sink: &mut Sink) {
    if asking.is_satisfied() || asking.lookup.called >= VISITS_OF_QUESTION {
        asking.lookup.keys.clear();
    }
    if let Some(key) = asking.lookup.keys.pop_front() {
        asking.lookup.sought = Some((key, now + TERM_WAIT));
        sink.outputs.push_back(Output::FindTerm { id: asking.id, key });
    }
}
