//! The overlay: one machine made of membership, broadcast, the shelf of records, and reconciliation.
//!
//! A driver makes links and ends them; this machine says with whom and what is said. It knows nothing of
//! the ciphers on a link, so that ten thousand of these can be driven in one process.

mod clocks;
mod compare;
pub mod limits;
mod part;
#[cfg(test)]
mod tests;

use crate::broadcast::Broadcast;
use crate::id::{NetworkKey, NodeId, Verify};
use crate::io::{Input, LinkId, Output};
use crate::mail::{self, Mail, Now};
use crate::membership::{Membership, Views};
use crate::records::{Caps, RawRecord, Read, Record, Refused, Shelf, Standing};
use crate::search::hit::RawHit;
use crate::search::{Role, Search, Setup};
use crate::sink::{Change, Sink, Wish};
use crate::wire::Message;
use althing_base::machine::is_due;
use althing_base::{Instant, Machine, Rng, Seed, UnixTime};
use bytes::Bytes;
use clocks::Clocks;
use compare::Compare;
use limits::{
    AFTER_DEATH, SCORE_FIRST, SCORE_IDLE_STAMP, SCORE_INVALID, SCORE_UNASKED, SCORE_UNKEPT,
};
use part::Part;
use std::time::Duration;

pub use crate::membership::Neighbours;

/// How a node is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// From which all its choices follow; nobody else may know it.
    pub seed: Seed,
    /// Its name.
    pub me: NodeId,
    /// The network that it is in.
    pub network: NetworkKey,
    /// How signatures are checked: [`NodeId::has_signed`] but in simulations.
    pub verify: Verify,
    /// How records are read: [`RawRecord::parse`] but in simulations.
    pub read: Read,
    /// How much it holds.
    pub caps: Caps,
    /// It indexes for others.
    pub is_super: bool,
    /// It answers what others ask. If not, it tells nobody what is offered here, in no way, and has the DHT name
    /// it for nothing; questions are passed on all the same.
    pub answers: bool,
    /// It has an index on disk that answers what others ask ([`Output::Consult`]).
    pub consults: bool,
    /// Which words of what is offered here the DHT names us for.
    pub terms: Terms,
    /// Whether it takes mail, and carries any.
    pub mail: mail::Config,
    /// How many neighbours it has.
    pub neighbours: Neighbours,
}

/// Which words of what is offered the DHT names a node for ([`Output::AnnounceTerms`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Terms {
    /// None, and it is not asked for any.
    None,
    /// Those that are rare among neighbours, and few of them: in a DHT that belongs to everybody.
    #[default]
    Rare,
    /// All: in a DHT of a group's own.
    All,
}

impl Config {
    /// A node as nodes are, but that it has no mail.
    pub fn new(seed: Seed, me: NodeId, network: NetworkKey) -> Self {
        let verify = NodeId::has_signed;
        Config {
            seed,
            me,
            network,
            verify,
            read: |bytes| RawRecord::parse(bytes),
            caps: Caps::default(),
            is_super: false,
            answers: true,
            consults: false,
            terms: Terms::default(),
            mail: mail::Config::off(),
            neighbours: Neighbours::default(),
        }
    }
}

/// Outputs for which room is kept when there are none: most of what happens has fewer.
const OUTPUTS_KEPT: usize = 32;

/// A node of the overlay. See [`Machine`] for the run loop.
///
/// What is looked at with everything that happens comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Overlay {
    members: Part<Membership>,
    tree: Part<Broadcast>,
    compare: Part<Compare>,
    search: Part<Search>,
    mail: Part<Mail>,
    /// When the clock was last read, and what it said.
    clock: (Instant, UnixTime),
    /// Whether it seems to be wrong.
    clocks: Clocks,
    /// When records are compared with a neighbour because another has died.
    compare_at: Option<Instant>,
    /// When the next record expires.
    expiry: Option<Instant>,
    sink: Sink,
    stats: Stats,
    shelf: Shelf,
    network: NetworkKey,
    verify: Verify,
    read: Read,
    rng: Rng,
}

/// What a node has done and has; counts since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Neighbours and others.
    pub views: Views,
    /// Links along which records are sent.
    pub eager: usize,
    /// Links along which they are announced.
    pub lazy: usize,
    /// Records that were announced and are not here.
    pub missing: usize,
    /// Records that are held.
    pub records: usize,
    /// Bytes of them.
    pub record_bytes: usize,
    /// Records that came along the tree, be they new or not.
    pub payloads: u64,
    /// Those of them that were here already.
    pub duplicates: u64,
    /// Records that came by reconciliation.
    pub reconciled: u64,
    /// Records that were refused.
    pub refused: u64,
    /// By how many seconds our clock is behind those of others, or ahead if it is less than 0; nothing if it is right as
    /// far as they say.
    pub clock_off_s: Option<i64>,
    /// Questions and answers that were sent, our own and others', without those that only test neighbours.
    pub questions: u64,
    /// Terms that neighbours are told: of what is offered here, and of what neighbours offer.
    pub terms: [usize; 2],
    /// Mail.
    pub mail: mail::Stats,
}

/// Why it wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Neighbours are missing or silent, or it is time to exchange addresses.
    Members,
    /// Something is to be announced, or has been and did not come.
    Tree,
    /// Records are to be compared, or somebody does not answer.
    Compare,
    /// Neighbours are to be told what there is to find, or a question is asked again.
    Search,
    /// Mail is to be looked for, or its receiver.
    Mail,
    /// A record expires.
    Expiry,
}

impl Overlay {
    /// A node that knows nobody. It looks for others when it is first woken.
    pub fn new(now: Instant, config: Config) -> Self {
        let Config { seed, me, network, verify, read, caps, is_super, consults, terms, .. } =
            config;
        let Config { mail, neighbours, answers, .. } = config;
        let setup = Setup { network, is_super, answers, consults, terms };
        let mut shelf = Shelf::new(caps);
        shelf.regard(me, Standing::Own);
        let mut overlay = Overlay {
            network,
            verify,
            read,
            rng: Rng::new(seed.fork("overlay", 0)),
            members: Part::new(Membership::new(
                now,
                me,
                seed.fork("membership", 0),
                is_super,
                neighbours,
            )),
            tree: Part::new(Broadcast::new()),
            shelf,
            compare: Part::new(Compare::default()),
            search: Part::new(Search::new(now, seed.fork("search", 0), setup)),
            mail: Part::new(Mail::new(me, network, seed.fork("mail", 0), mail, is_super)),
            clock: (now, UnixTime(0)),
            clocks: Clocks::default(),
            compare_at: None,
            expiry: None,
            stats: Stats::default(),
            sink: Sink::default(),
        };
        overlay.members.start(now, &mut overlay.sink);
        overlay
    }

    /// What is held.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The shelf, to say how authors are regarded or to put back what was kept on disk. Whoever changes it
    /// has the machine handle something after.
    pub fn shelf_mut(&mut self) -> &mut Shelf {
        &mut self.shelf
    }

    /// What it has done and has.
    pub fn stats(&self) -> Stats {
        let (eager, lazy) = self.tree.links();
        let views = self.members.views();
        Stats {
            views,
            clock_off_s: self.clocks.off_s(views.outgoing + views.incoming),
            eager,
            lazy,
            missing: self.tree.missing(),
            records: self.shelf.len(),
            record_bytes: self.shelf.bytes(),
            terms: self.search.told(),
            mail: self.mail.stats(),
            ..self.stats
        }
    }

    /// What the clock says now, as far as it was told.
    fn unix(&self, now: Instant) -> UnixTime {
        let (at, UnixTime(said)) = self.clock;
        let passed = i64::try_from(now.since(at).as_secs()).unwrap_or(i64::MAX);
        UnixTime(said.saturating_add(passed))
    }

    /// What time it is by both clocks.
    fn both(&self, now: Instant) -> Now {
        Now { at: now, unix: self.unix(now) }
    }

    fn message(&mut self, now: Instant, link: LinkId, message: Message) {
        if !self.members.heard(now, link, &message, &mut self.sink) {
            return;
        }
        let both = self.both(now);
        let shelf = &self.shelf;
        let sink = &mut self.sink;
        match message {
            Message::Gossip { hops, record } => {
                if self.members.is_active(link) {
                    self.gossip(now, link, hops, &record);
                }
            }
            Message::IHave(announced) => {
                self.tree.announced(now, link, &announced, |id| shelf.holds(id), sink);
            }
            Message::Graft(ids) => {
                let get = |id: &_| shelf.record(id).map(|record| record.bytes().clone());
                self.tree.grafted(now, link, &ids, get, sink);
            }
            Message::Prune => self.tree.pruned(link),
            Message::Reconcile { is_answer: false, step } => {
                self.members.visited(link);
                if self.compare.question(now, link, &step, shelf, sink).is_err() {
                    self.members.garbage(now, link, sink);
                }
            }
            Message::Reconcile { is_answer: true, step } => {
                match self.compare.answered(now, link, &step, shelf, sink) {
                    Ok(differs) => {
                        if differs {
                            self.members.keep(link, sink);
                        }
                        self.finish_visit(now, link);
                    }
                    Err(_) => self.members.garbage(now, link, sink),
                }
            }
            Message::Offer(ids) => self.compare.want(now, link, &ids, shelf, sink),
            Message::Need(ids) => self.compare.needed(now, link, &ids, shelf, sink),
            Message::Records(records) => {
                for record in &records {
                    self.fetched(now, link, record);
                }
                self.compare.next(now, link, &self.shelf, &mut self.sink);
                self.finish_visit(now, link);
            }
            Message::Terms { is_near, toggled } => {
                if self.search.terms(now, link, is_near, &toggled).is_err() {
                    self.members.garbage(now, link, sink);
                } else if !is_near {
                    self.mail.heard(both, &toggled);
                }
            }
            Message::MailAsk(ask) => self.mail.asked(both, link, *ask, &self.search, sink),
            Message::MailHave(have) => self.mail.answered(both, link, *have, sink),
            Message::Mail { way, holder, said } => {
                let score = self.mail.said(both, link, (way, holder), *said, sink);
                self.regard(now, link, score);
            }
            Message::MailDeposit(deposit) => {
                let score = self.mail.deposited(both, link, *deposit, sink);
                self.regard(now, link, score);
            }
            Message::Query(question) => {
                self.members.visited(link);
                if !self.members.is_watched(link) {
                    self.search.visitor_asks(now, link, &question, sink);
                } else {
                    self.search.question(now, link, *question, sink);
                }
            }
            Message::Answer { id, hits } => self.answer(now, link, id, hits),
            Message::Hello(hello) => {
                if let Some(from) = self.members.node(link) {
                    self.clocks.note(now, from, hello.time.0.saturating_sub(both.unix.0));
                }
                self.members.message(now, link, message, sink);
            }
            other => self.members.message(now, link, other, sink),
        }
    }

    /// A peer did something that counts against it, or not.
    fn regard(&mut self, now: Instant, link: LinkId, score: i32) {
        if score != 0 {
            self.members.score(now, link, score, &mut self.sink);
        }
    }

    /// A record has come along the tree.
    fn gossip(&mut self, now: Instant, link: LinkId, hops: u8, bytes: &Bytes) {
        self.stats.payloads += 1;
        let Ok(raw) = (self.read)(bytes) else {
            self.stats.refused += 1;
            self.members.score(now, link, SCORE_INVALID, &mut self.sink);
            return;
        };
        if self.shelf.holds(&raw.id()) {
            self.stats.duplicates += 1;
            self.tree.duplicate(link, &mut self.sink);
            return;
        }
        if let Some(record) = self.admit(now, link, &raw) {
            let what = (record.id(), hops, record.bytes());
            self.tree.received(now, Some(link), what, &mut self.sink);
        }
    }

    /// A record has come that was asked for after reconciliation.
    fn fetched(&mut self, now: Instant, link: LinkId, bytes: &Bytes) {
        let raw = (self.read)(bytes);
        let was_asked = raw.as_ref().is_ok_and(|raw| self.compare.was_asked(link, &raw.id()));
        let (Ok(raw), true) = (raw, was_asked) else {
            self.members.score(now, link, SCORE_UNASKED, &mut self.sink);
            return;
        };
        if self.shelf.holds(&raw.id()) {
            return;
        }
        if let Some(record) = self.admit(now, link, &raw) {
            self.stats.reconciled += 1;
            self.tree.received(now, None, (record.id(), 0, record.bytes()), &mut self.sink);
        }
    }

    /// Somebody answers a question that went there.
    fn answer(&mut self, now: Instant, link: LinkId, id: u64, hits: Vec<RawHit>) {
        let unix = self.unix(now);
        let check = |raw: &RawRecord| {
            match self.shelf.judge(unix, raw) {
                // It is not to be put there.
                Ok(()) | Err(Refused::Held | Refused::AuthorFull) => {}
                // Nobody gets it but who asks, and he no more than a question allows: it need not have cost
                // its author anything. So a node can answer with what it has come by without an author.
                Err(Refused::Work { .. }) if raw.expires() > unix => {}
                Err(_) => return Err(0),
            }
            raw.check(&self.network, self.verify).map_err(|_| SCORE_INVALID)
        };
        let from = self.members.node(link);
        let score = self.search.answer(now, (link, from), (id, hits), check, &mut self.sink);
        if score != 0 {
            self.members.score(now, link, score, &mut self.sink);
        }
    }

    /// Puts a record on the shelf that came from somebody, if it belongs there.
    fn admit(&mut self, now: Instant, link: LinkId, raw: &RawRecord) -> Option<Record> {
        let unix = self.unix(now);
        let check = |raw: &RawRecord| raw.check(&self.network, self.verify);
        let admitted = self.shelf.admit_checked(unix, raw, check).map_err(|why| match why {
            Err(_) => SCORE_INVALID,
            Ok(Refused::Work { .. }) => SCORE_IDLE_STAMP,
            Ok(_) => 0,
        });
        match admitted {
            Ok(record) => {
                self.members.score(now, link, SCORE_FIRST, &mut self.sink);
                Some(record)
            }
            Err(score) => {
                self.stats.refused += 1;
                self.tree.refuse(raw.id());
                if score != 0 {
                    self.members.score(now, link, score, &mut self.sink);
                }
                None
            }
        }
    }

    /// Somebody who was called to compare records only is let go when that is done.
    fn finish_visit(&mut self, now: Instant, link: LinkId) {
        if self.compare.is_done(link) {
            self.members.compared(now, link, &mut self.sink);
        }
    }

    /// Our user has something to say.
    fn publish(&mut self, now: Instant, record: &Record) {
        let unix = self.unix(now);
        if self.shelf.admit(unix, record).is_ok() {
            self.tree.received(now, None, (record.id(), 0, record.bytes()), &mut self.sink);
        }
    }

    /// Tells the parts what has become of links, and hands out what has become of records.
    fn settle(&mut self, now: Instant) {
        let both = self.both(now);
        let (mut changed, mut wished) = (0, 0);
        loop {
            if let Some(wish) = self.sink.wishes.get(wished).copied() {
                wished += 1;
                match wish {
                    Wish::Seek(addr) => self.members.seek(now, addr, &mut self.sink),
                    Wish::LetGo(link) if self.search.is_visiting(link) => {}
                    Wish::LetGo(link) => self.members.let_go(now, link, &mut self.sink),
                }
                continue;
            }
            let Some(change) = self.sink.changes.get(changed).copied() else { break };
            changed += 1;
            match change {
                Change::Up { link, ours } => {
                    self.tree.up(now, link);
                    self.search.up(now, link, Role::Peer);
                    self.mail.up(both, link, Role::Peer);
                    if ours {
                        self.compare.start(now, link, &self.shelf, &mut self.sink);
                    }
                }
                Change::Leans { link, role } => {
                    self.search.up(now, link, role);
                    self.mail.up(both, link, role);
                }
                Change::Doubted { link, is_doubted } => self.search.doubted(link, is_doubted),
                Change::Visit(link) => {
                    self.compare.start(now, link, &self.shelf, &mut self.sink);
                }
                Change::Sought { addr, link } => {
                    self.search.sought(now, addr, link, &mut self.sink);
                }
                Change::Down { link, died, active } => {
                    self.tree.down(now, link);
                    self.compare.down(link);
                    self.search.down(now, link, &mut self.sink);
                    self.mail.down(link);
                    if died && active && self.compare_at.is_none() {
                        let wait = AFTER_DEATH.mul_f64(1.0 + self.rng.unit());
                        self.compare_at = Some(now + wait);
                    }
                }
            }
        }
        self.sink.changes.clear();
        self.sink.wishes.clear();
        if self.mail.has_new_terms()
            && let Some(terms) = self.mail.terms()
        {
            self.search.also(now, terms);
        }
        let mut has_changed = false;
        while let Some(change) = self.shelf.poll_change() {
            has_changed = true;
            self.sink.outputs.push_back(Output::Shelf(Box::new(change)));
        }
        if has_changed {
            self.expiry = self.next_expiry();
        }
        for output in &self.sink.outputs {
            let Output::Send { link, message } = output else { continue };
            let is_question = matches!(message, Message::Query(_));
            let is_search = match message {
                // Neighbours are asked to say that they have heard by tests alone.
                Message::Query(question) => !question.receipt || !self.members.is_watched(*link),
                Message::Answer { hits, .. } => !hits.is_empty() || !self.members.is_watched(*link),
                _ => false,
            };
            self.stats.questions += u64::from(is_search);
            if is_answered(message) || is_question && self.members.is_leaning(*link) {
                self.members.sent(now, *link);
            }
        }
        self.members.look();
        self.tree.look();
        self.compare.look();
        self.search.look();
        self.mail.look();
    }

    /// When the next record expires.
    fn next_expiry(&self) -> Option<Instant> {
        let (at, UnixTime(said)) = self.clock;
        let UnixTime(next) = self.shelf.next_expiry()?;
        let wait = u64::try_from(next.saturating_sub(said)).unwrap_or(0);
        Some(at + Duration::from_secs(wait))
    }
}

/// Whether a peer that is there says something after this, or is asked if it does not. What answers
/// something itself would be asked about for ever.
fn is_answered(message: &Message) -> bool {
    matches!(
        message,
        Message::Gossip { .. }
            | Message::IHave(_)
            | Message::Graft(_)
            | Message::Shuffle { .. }
            | Message::Reconcile { is_answer: false, .. }
            | Message::Need(_)
    )
}

impl Machine for Overlay {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.sink.outputs.is_empty(), "outputs are drained before the next input");
        match input {
            Input::LinkUp { link, node, addr, outgoing } => {
                let time = self.unix(now);
                self.members.link_up(now, time, (link, node, addr), outgoing, &mut self.sink);
            }
            Input::LinkDown { link } => self.members.link_down(now, link, &mut self.sink),
            Input::Message { link, message } => self.message(now, link, message),
            Input::Garbage { link } => self.members.garbage(now, link, &mut self.sink),
            Input::DialFailed { addr } => self.members.dial_failed(now, addr, &mut self.sink),
            Input::Contacts(addrs) => self.members.met(now, &addrs, &mut self.sink),
            Input::Publish(record) => self.publish(now, &record),
            Input::Offer(record) => self.search.offer(now, &record),
            Input::Find(find) => {
                let others = self.members.others();
                self.search.find(now, &find, others, &mut self.sink);
            }
            Input::StopFinding { id } => self.search.stop(now, id, &mut self.sink),
            Input::Consulted { ask, hits } => {
                self.search.consulted(now, ask, &hits, &mut self.sink);
            }
            Input::TermFound { id, key, addrs } => {
                self.search.term_found(now, id, key, &addrs, &mut self.sink);
            }
            Input::Mail(told) => {
                let both = self.both(now);
                self.mail.told(both, *told, &self.search, &mut self.sink);
            }
            Input::Clock(unix) => {
                let moved = unix.0.saturating_sub(self.unix(now).0);
                self.clocks.was_set(moved);
                self.clocks.forget_old(now);
                self.clock = (now, unix);
                self.shelf.expire(unix);
                self.expiry = self.next_expiry();
                self.mail.clock(Now { at: now, unix }, &mut self.sink);
            }
            Input::Listening(port) => self.members.listening(port),
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if is_due(now, self.members.due()) {
            self.members.timeout(now, &mut self.sink);
        }
        if is_due(now, self.tree.due()) {
            for link in self.tree.timeout(now, &mut self.sink) {
                self.members.score(now, link, SCORE_UNKEPT, &mut self.sink);
            }
        }
        if is_due(now, self.compare.due()) {
            for link in self.compare.timeout(now, &mut self.sink) {
                self.finish_visit(now, link);
            }
        }
        if is_due(now, self.search.due()) {
            self.search.timeout(now, &mut self.sink);
        }
        if is_due(now, self.mail.due()) {
            let both = self.both(now);
            self.mail.timeout(both, &self.search, &mut self.sink);
        }
        if is_due(now, self.compare_at) {
            self.compare_at = None;
            if let Some(link) = self.members.any_neighbour() {
                self.compare.start(now, link, &self.shelf, &mut self.sink);
            }
        }
        if is_due(now, self.expiry) {
            self.shelf.expire(self.unix(now));
            self.expiry = self.next_expiry();
        }
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.sink.outputs.pop_front();
        if output.is_none() && self.sink.outputs.capacity() > OUTPUTS_KEPT {
            // Ten thousand of them may rest in a simulation.
            self.sink.outputs.shrink_to(OUTPUTS_KEPT / 2);
        }
        output
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let compare = self.compare.due().into_iter().chain(self.compare_at).min();
        let deadlines = [
            (self.members.due(), Reason::Members),
            (self.tree.due(), Reason::Tree),
            (compare, Reason::Compare),
            (self.search.due(), Reason::Search),
            (self.mail.due(), Reason::Mail),
            (self.expiry, Reason::Expiry),
        ];
        deadlines
            .into_iter()
            .filter_map(|(at, reason)| Some((at?, reason)))
            .min_by_key(|(at, _)| *at)
    }
}
