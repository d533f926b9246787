//! What the node asks: questions that are under way, and the searches that they belong to.

use super::{Dht, family};
use crate::announce::Outcome;
use crate::id::NodeId;
use crate::io::{Announce, Find, Goal, Output};
use crate::limits::{K, QUERIES_IN_FLIGHT_MAX, QUERY_TIMEOUT_MS, STORED_PEERS_MAX};
use crate::lookup::{Lookup, Next};
use crate::rate::Held;
use crate::recent::Lookups;
use crate::search::{Owner, Search};
use crate::wire::{Body, Message, Node, Query, Refusal, Response};
use althing_base::Instant;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Questions under way.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// By transaction: 32 bits that nobody guesses, and that count only from the address asked.
    by_transaction: BTreeMap<u32, Question>,
    timeouts: BTreeSet<(Instant, u32)>,
}

#[derive(Debug)]
pub(super) struct Question {
    to: SocketAddr,
    asked: Instant,
    until: Instant,
    pub(super) purpose: Purpose,
}

/// What a question is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A search's lookup.
    Lookup(u64),
    /// Storing what a search is about.
    Store(u64),
    /// To see whether a contact or a node is there.
    Check,
    /// The crawler's.
    Sample,
}

impl Questions {
    pub(super) fn len(&self) -> usize {
        self.by_transaction.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    pub(super) fn checks(&self) -> usize {
        self.by_transaction.values().filter(|q| q.purpose == Purpose::Check).count()
    }

    pub(super) fn is_asked(&self, addr: SocketAddr) -> bool {
        self.by_transaction.values().any(|question| question.to == addr)
    }

    /// Ends the question that a message from `from` answers.
    fn take(&mut self, from: SocketAddr, transaction: &[u8]) -> Option<Question> {
        let transaction = u32::from_be_bytes(transaction.try_into().ok()?);
        if self.by_transaction.get(&transaction)?.to != from {
            return None;
        }
        self.remove(transaction)
    }

    fn remove(&mut self, transaction: u32) -> Option<Question> {
        let question = self.by_transaction.remove(&transaction)?;
        self.timeouts.remove(&(question.until, transaction));
        Some(question)
    }
}

impl Dht {
    /// Asks a node.
    ///
    /// # Errors
    /// When to try again.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        to: SocketAddr,
        query: Query,
        purpose: Purpose,
    ) -> Result<(), Held> {
        if self.questions.len() >= QUERIES_IN_FLIGHT_MAX {
            return Err(Held::All(now + Duration::from_millis(50)));
        }
        let Some(side) = &self.sides[family(to)] else {
            return Err(Held::Node(now + Duration::from_millis(QUERY_TIMEOUT_MS)));
        };
        let from = side.table.me();
        self.outgoing.take(now, to)?;
        let mut transaction = self.rng.next_u32();
        while self.questions.by_transaction.contains_key(&transaction) {
            transaction = self.rng.next_u32();
        }
        let until = now + Duration::from_millis(QUERY_TIMEOUT_MS);
        let question = Question { to, asked: now, until, purpose };
        self.questions.by_transaction.insert(transaction, question);
        self.questions.timeouts.insert((until, transaction));
        let message = Message {
            transaction: Bytes::copy_from_slice(&transaction.to_be_bytes()),
            version: self.version,
            body: Body::Query { from, read_only: self.is_silent(), query: Box::new(query) },
        };
        self.outputs.push_back(Output::Send { to, message });
        Ok(())
    }

    /// An answer came. One to no question of ours, or from elsewhere, changes nothing.
    pub(super) fn take_response(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: &[u8],
        mut response: Response,
    ) {
        let Some(question) = self.questions.take(from, transaction) else { return };
        let Some(side) = &mut self.sides[family(from)] else { return };
        let took = now.since(question.asked);
        side.times.add(took);
        let node = Node { id: response.id, addr: from };
        side.table.answered(now, node, took);
        if let Some(addr) = response.external.take() {
            self.outputs.push_back(Output::External { by: from, addr });
        }
        self.consider(&response.nodes);
        match question.purpose {
            Purpose::Lookup(key) => self.lookup_answered(now, key, node, response),
            Purpose::Store(key) => self.store_answered(now, key, Some(Ok(()))),
            Purpose::Check => {}
            Purpose::Sample => {
                if let Some(crawl) = &mut self.crawl {
                    crawl.answered(now, node, &response.nodes, response.samples.as_ref());
                }
            }
        }
        self.after_answer(now, family(from));
    }

    /// A refusal came.
    pub(super) fn take_refusal(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: &[u8],
        refusal: &Refusal,
    ) {
        let Some(question) = self.questions.take(from, transaction) else { return };
        match question.purpose {
            Purpose::Lookup(key) => self.lookup_failed(now, key, from),
            Purpose::Store(key) => self.store_answered(now, key, Some(Err(refusal))),
            Purpose::Check => {}
            Purpose::Sample => {
                if let Some(crawl) = &mut self.crawl {
                    crawl.refused();
                }
            }
        }
    }

    /// Questions that nobody answered.
    pub(super) fn time_out_questions(&mut self, now: Instant) {
        while let Some((until, transaction)) = self.questions.timeouts.first().copied()
            && until <= now
        {
            if let Some(question) = self.questions.remove(transaction) {
                self.lost(now, &question);
            }
        }
    }

    /// Nobody is at `addr`: its questions are lost now, not when their time is up. Anybody may have
    /// caused the report, so it says no more than that.
    pub(super) fn unreachable(&mut self, now: Instant, addr: SocketAddr) {
        let all = self.questions.by_transaction.iter();
        let lost: Vec<_> = all.filter(|(_, q)| q.to == addr).map(|(key, _)| *key).collect();
        for transaction in lost {
            if let Some(question) = self.questions.remove(transaction) {
                self.lost(now, &question);
            }
        }
    }

    fn lost(&mut self, now: Instant, question: &Question) {
        if let Some(side) = &mut self.sides[family(question.to)] {
            side.table.failed(question.to);
        }
        match question.purpose {
            Purpose::Lookup(key) => self.lookup_failed(now, key, question.to),
            Purpose::Store(key) => self.store_answered(now, key, None),
            Purpose::Check => {}
            Purpose::Sample => {
                if let Some(crawl) = &mut self.crawl {
                    crawl.lost();
                }
            }
        }
    }

    /// Begins a search.
    pub(super) fn start_search(
        &mut self,
        now: Instant,
        owner: Owner,
        goal: Goal,
        announce: Option<Announce>,
    ) {
        let mut search = Box::new(Search::new(now, owner, goal, announce));
        let recent = match &search.goal {
            Goal::Put { .. } => self.recent.take(now, &search.target()),
            _ => None,
        };
        search.resumed = recent.is_some();
        self.look(&mut search, recent.unwrap_or_default());
        self.find_here(now, &mut search);
        let key = self.next_search;
        self.next_search += 1;
        self.searches.insert(key, search);
        self.step(now, key);
    }

    /// Begins the lookups of a search, or goes on with those that there are.
    fn look(&self, search: &mut Search, recent: Lookups) {
        let (target, wide) = (search.target(), search.stores());
        search.lookups = recent;
        for (lookup, side) in search.lookups.iter_mut().zip(&self.sides) {
            let Some(side) = side else { continue };
            if let Some(known) = lookup.take() {
                *lookup = Some(known.resume(side.network()));
                continue;
            }
            let nodes = side.table.nearest(&target, 2 * K, true);
            if !nodes.is_empty() {
                *lookup = Some(Lookup::new(target, &nodes, side.network(), wide));
            }
        }
    }

    /// What others have stored here is found, too: of two nodes one has what the other announced.
    fn find_here(&mut self, now: Instant, search: &mut Search) {
        let target = search.target();
        let found = match &search.goal {
            Goal::Peers(_) => {
                let mut some = |v4| {
                    let rng = &mut self.rng;
                    self.peers.some(now, &target, v4, STORED_PEERS_MAX, false, rng)
                };
                let peers = [some(true), some(false)].concat();
                search.peers_found(peers)
            }
            Goal::Scrape(_) => {
                search.count(self.peers.blooms(now, &target));
                None
            }
            Goal::Immutable(_) | Goal::Mutable { .. } => {
                let item = self.items.get(now, &target).cloned();
                item.and_then(|item| search.item_found(item))
            }
            Goal::Nodes(_) | Goal::Put { .. } | Goal::Samples(_) => None,
        };
        self.tell_found(search.owner, target, found);
    }

    fn tell_found(&mut self, owner: Owner, info_hash: NodeId, found: Option<Find>) {
        match (owner, found) {
            (Owner::Asked(search), Some(what)) => {
                self.outputs.push_back(Output::Found { search, what });
            }
            (Owner::Wanted, Some(Find::Peers(peers))) => {
                self.outputs.push_back(Output::Peers { info_hash, peers });
            }
            _ => {}
        }
    }

    /// Does what a search can do now.
    pub(super) fn step(&mut self, now: Instant, key: u64) {
        let Some(mut search) = self.searches.remove(&key) else { return };
        if let Some(wake) = search.wake.take() {
            self.wakes.remove(&(wake, key));
        }
        let mut wake = None;
        let mut is_open = self.step_lookups(now, key, &mut search, &mut wake);
        if !is_open && search.stores() {
            if search.storing.is_none() {
                search.announce = match (search.owner, search.announce) {
                    // What is to be told may have changed since.
                    (Owner::Wanted, _) => self.wanted.announce(&search.target()).flatten(),
                    (_, announce) => announce,
                };
                search.begin_storing();
            }
            is_open = self.step_storing(now, key, &mut search, &mut wake);
        }
        if !is_open && search.stored_in_vain() {
            (search.resumed, search.storing) = (false, None);
            self.look(&mut search, Lookups::default());
            self.searches.insert(key, search);
            return self.step(now, key);
        }
        if is_open {
            if let Some(wake) = wake {
                search.wake = Some(wake);
                self.wakes.insert((wake, key));
            }
            self.searches.insert(key, search);
        } else {
            self.finish(now, *search);
        }
    }

    /// Whether one of the lookups goes on.
    fn step_lookups(
        &mut self,
        now: Instant,
        key: u64,
        search: &mut Search,
        wake: &mut Option<Instant>,
    ) -> bool {
        if search.storing.is_some() || search.is_satisfied() {
            return false;
        }
        let mut is_open = false;
        let other = |at: usize| self.sides[1 - at].as_ref().is_some_and(|s| s.table.len() < K);
        let wants_both = [other(0), other(1)];
        for (at, both) in wants_both.into_iter().enumerate() {
            let Some(side) = &self.sides[at] else { continue };
            let patience = side.times.patience();
            let query = search.query(both);
            let Some(lookup) = &mut search.lookups[at] else { continue };
            loop {
                let until = match lookup.next(now, patience) {
                    Next::Done => break,
                    Next::Wait(until) => until,
                    Next::Ask(node) => {
                        match self.ask(now, node.addr, query.clone(), Purpose::Lookup(key)) {
                            Ok(()) => continue,
                            Err(Held::Node(until)) => {
                                lookup.postpone(now, node.addr, until);
                                continue;
                            }
                            Err(Held::All(until)) => {
                                lookup.unask(node.addr);
                                until
                            }
                        }
                    }
                };
                is_open = true;
                *wake = Some(wake.map_or(until, |wake| wake.min(until)));
                break;
            }
        }
        is_open
    }

    /// Whether there is still somebody to tell, or to hear from.
    fn step_storing(
        &mut self,
        now: Instant,
        key: u64,
        search: &mut Search,
        wake: &mut Option<Instant>,
    ) -> bool {
        loop {
            let Some(storing) = &mut search.storing else { return false };
            let Some((node, token)) = storing.queue.pop_front() else {
                return storing.waiting > 0;
            };
            let Some(query) = search.store_query(token.clone()) else { return false };
            match self.ask(now, node.addr, query, Purpose::Store(key)) {
                Ok(()) => search.told(),
                Err(Held::Node(until) | Held::All(until)) => {
                    if let Some(storing) = &mut search.storing {
                        storing.queue.push_front((node, token));
                    }
                    *wake = Some(until);
                    return true;
                }
            }
        }
    }

    fn lookup_answered(&mut self, now: Instant, key: u64, node: Node, mut response: Response) {
        let Some(search) = self.searches.get_mut(&key) else { return };
        let at = family(node.addr);
        let found = search.answered(now, node, &mut response);
        // Who knows us under another address names us, too; nobody would answer there.
        let me = self.sides[at].as_ref().map(|side| side.table.me());
        let is_other = |node: &&Node| family(node.addr) == at && Some(node.id) != me;
        let nodes: Vec<_> = response.nodes.iter().filter(is_other).copied().collect();
        if let Some(lookup) = &mut search.lookups[at] {
            lookup.answered(node.addr, node.id, response.token.take(), &nodes);
            search.store_late(at, node.addr);
        }
        let (owner, info_hash) = (search.owner, search.target());
        self.tell_found(owner, info_hash, found);
        self.step(now, key);
    }

    fn lookup_failed(&mut self, now: Instant, key: u64, addr: SocketAddr) {
        let Some(search) = self.searches.get_mut(&key) else { return };
        if let Some(lookup) = &mut search.lookups[family(addr)] {
            lookup.failed(addr);
        }
        self.step(now, key);
    }

    fn store_answered(&mut self, now: Instant, key: u64, answer: Option<Result<(), &Refusal>>) {
        let Some(search) = self.searches.get_mut(&key) else { return };
        search.stored(answer);
        self.step(now, key);
    }

    fn finish(&mut self, now: Instant, search: Search) {
        let (found, cost) = search.end();
        match search.owner {
            Owner::Asked(id) => {
                if let Some(what) = found {
                    self.outputs.push_back(Output::Found { search: id, what });
                }
                self.outputs.push_back(Output::Done { search: id, cost });
                if let Goal::Mutable { .. } = &search.goal {
                    self.recent.keep(now, search.target(), search.lookups);
                    self.sweep_later(now);
                }
            }
            Owner::Wanted => {
                let (answered, told) = (cost.answered as usize, search.nodes_told());
                let served = if search.announce.is_some() { told } else { answered };
                let outcome = Outcome { reached: answered > 0, told, served };
                self.wanted.finished(now, search.target(), outcome, &mut self.rng);
            }
            Owner::Table => {
                for (at, side) in self.sides.iter_mut().enumerate() {
                    let distances = search.distances(at);
                    if let Some(side) = side
                        && distances.len() == K
                    {
                        side.size.add(&distances);
                    }
                }
            }
        }
    }
}
