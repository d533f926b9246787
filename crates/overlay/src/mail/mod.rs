//! Mail: private messages between two nodes, which need not be there at the same time.
//!
//! * Mail is sealed to its receiver ([`envelope`]); nobody else can read it, or tell who has sent it.
//! * Who sends looks for the receiver first: over the same indexes by which anything is found, a node that
//!   takes mail tells its tag as a term. If he is found, the mail goes to him along the way that the question
//!   came, and nobody keeps it.
//! * Else [copies](limits::COPIES) walk a few steps at random, and are kept where there is room
//!   ([`carrier`]). Carriers tell the tag as a term, so that the receiver finds them when he comes. Who
//!   brings a copy says nothing of who sent it, who asks for one nothing of who he is.
//! * Inside is a token, and outside a commitment to it. Whoever shows the token has opened the mail: carriers
//!   throw it away then, remember the token until it would have expired, and show it to the sender, who so
//!   learns that it was received, whoever of the two is there when. A copy that is played again is known by
//!   its receipt.
//! * Carriers look for each other now and then, and place further copies if few are left.
//!
//! Nothing here can open an envelope: that is for the driver, which has the keys, and to which
//! [`Wish`] and [`Told`](io::Told) go. Nothing is told to others before the driver says that it is
//! on disk.
//!
//! [`mailbox`] is what a user has.
//!
//! This file has what comes from others; `errands` what we begin ourselves, `ways` what is carried back and
//! forth.

pub mod carrier;
pub mod envelope;
mod errands;
pub mod io;
pub mod limits;
pub mod mailbox;
mod ways;

use crate::id::{NetworkKey, NodeId};
use crate::io::{LinkId, Output};
use crate::machine::limits::{SCORE_IDLE_STAMP, SCORE_INVALID};
use crate::search::terms::TermSet;
use crate::search::{Role, Search};
use crate::sink::Sink;
use crate::wire::{MailAsk, MailDeposit, MailHave, MailSaid, Message};
use althing_base::hash::Sha256;
use althing_base::{Instant, Rng, Seed, TokenBucket, UnixTime};
use carrier::{Caps, Carrier, NotKept, Receipt};
use envelope::{Envelope, MailId, Tag};
use errands::{Census, Coming, Errand, Fetching, Sending};
use io::{State, Wish};
use limits::{
    DEPOSIT_DETOUR, JUNK_MAX, LINK_ASKS_PER_S, LINK_BYTES_PER_S, NAMED_MAX, NEAR_BUDGET,
    WAY_MAILS_MAX,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use ways::Ways;

/// How a node is to be about mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// It takes mail for itself, and looks for it.
    pub is_home: bool,
    /// What it carries for others.
    pub caps: Caps,
}

impl Config {
    /// A node that takes no mail and carries none, but passes it on.
    pub fn off() -> Self {
        Config { is_home: false, caps: Caps { bytes: 0, ..Caps::default() } }
    }
}

/// What a node has done and has; counts since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Mails of others that are carried.
    pub carried: usize,
    /// Bytes of them.
    pub carried_bytes: usize,
    /// Receipts that are remembered.
    pub receipts: usize,
    /// Mails of our own that wait for their receivers.
    pub sending: usize,
    /// Mails that have come for us.
    pub arrived: u64,
    /// Envelopes that were passed on for others.
    pub passed: u64,
    /// Envelopes that were dropped: too many on a link, no work, or no room anywhere.
    pub dropped: u64,
}

/// What time it is, both ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    pub(crate) unix: UnixTime,
}

/// A link on which mail can go.
#[derive(Debug)]
struct Peer {
    link: LinkId,
    role: Role,
    since: Instant,
    asks: TokenBucket,
    bytes: TokenBucket,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Mail {
    me: NodeId,
    network: NetworkKey,
    config: Config,
    is_super: bool,
    rng: Rng,
    /// From it the numbers follow by which others know us on a way.
    secret: u64,
    carrier: Carrier,
    peers: Vec<Peer>,
    ways: Ways,
    errands: Vec<Errand>,
    outbox: BTreeMap<MailId, Sending>,
    fetching: Fetching,
    coming: BTreeMap<MailId, Coming>,
    junk: BTreeSet<MailId>,
    junk_order: VecDeque<MailId>,
    /// Who is told when mail that we carry is on disk: way and holder.
    given: BTreeMap<MailId, Vec<(u64, u64)>>,
    census: Census,
    /// Our own tags, while we take mail.
    home: Vec<Tag>,
    /// What neighbours are told has changed.
    is_dirty: bool,
    stats: Stats,
}

impl Mail {
    pub(crate) fn new(
        me: NodeId,
        network: NetworkKey,
        seed: Seed,
        config: Config,
        is_super: bool,
    ) -> Self {
        let mut rng = Rng::new(seed);
        Mail {
            me,
            network,
            config,
            is_super,
            secret: rng.next_u64(),
            rng,
            carrier: Carrier::new(config.caps),
            peers: Vec::new(),
            ways: Ways::default(),
            errands: Vec::new(),
            outbox: BTreeMap::new(),
            fetching: Fetching::default(),
            coming: BTreeMap::new(),
            junk: BTreeSet::new(),
            junk_order: VecDeque::new(),
            given: BTreeMap::new(),
            census: Census::default(),
            home: Vec::new(),
            is_dirty: false,
            stats: Stats::default(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            carried: self.carrier.len(),
            carried_bytes: self.carrier.bytes(),
            receipts: self.carrier.receipts(),
            sending: self.outbox.len(),
            ..self.stats
        }
    }

    /// Somebody is a neighbour, or one of two indexes for the other.
    pub(crate) fn up(&mut self, now: Now, link: LinkId, role: Role) {
        if self.peers.iter().any(|peer| peer.link == link) {
            return;
        }
        self.peers.push(Peer {
            link,
            role,
            since: now.at,
            asks: TokenBucket::new(now.at, LINK_ASKS_PER_S.0, LINK_ASKS_PER_S.1),
            bytes: TokenBucket::new(now.at, LINK_BYTES_PER_S.0, LINK_BYTES_PER_S.1),
        });
        self.hurry(now);
    }

    /// And is so no longer.
    pub(crate) fn down(&mut self, link: LinkId) {
        self.peers.retain(|peer| peer.link != link);
    }

    /// What the wall clock says has changed.
    pub(crate) fn clock(&mut self, now: Now, sink: &mut Sink) {
        if self.config.is_home {
            let home = Tag::alive(&self.network, &self.me, now.unix);
            self.is_dirty |= home != self.home;
            self.home = home;
        }
        for id in self.carrier.expire(now.unix) {
            self.is_dirty = true;
            self.given.remove(&id);
            let wish = match self.outbox.remove(&id) {
                Some(_) => Wish::State(id, State::Expired),
                None => Wish::LetGo(id),
            };
            wish_for(wish, sink);
        }
    }

    /// Whether what neighbours are to be told has changed.
    pub(crate) fn has_new_terms(&self) -> bool {
        self.is_dirty
    }

    /// What neighbours are to be told is here, if that has changed.
    pub(crate) fn terms(&mut self) -> Option<TermSet> {
        if !std::mem::take(&mut self.is_dirty) {
            return None;
        }
        let tags = self.carrier.tags().chain(&self.home);
        Some(tags.map(Tag::term).collect())
    }

    /// A neighbour has something that it had not, or no longer.
    pub(crate) fn heard(&mut self, now: Now, toggled: &TermSet) {
        if self.home.iter().any(|tag| toggled.has_all(&[tag.term()])) {
            self.fetching.nudge(now.at);
        }
    }

    /// By which those on a way know us.
    fn number(&self, tag: &Tag) -> u64 {
        let mut hash = Sha256::new();
        hash.update(&self.secret.to_be_bytes());
        hash.update(&tag.0);
        let digest = hash.finish();
        u64::from_be_bytes(*digest.0.first_chunk().expect("a hash has 32 bytes"))
    }

    fn peer(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.link == link)
    }

    /// A neighbour asks.
    pub(crate) fn asked(
        &mut self,
        now: Now,
        link: LinkId,
        ask: MailAsk,
        search: &Search,
        sink: &mut Sink,
    ) {
        let Some(peer) = self.peer(link) else { return };
        let role = peer.role;
        let allowed = peer.asks.available(now.at).min(ask.budget.into());
        peer.asks.take(now.at, allowed);
        // No more than the question's budget, which is as small.
        let Some(budget) = (allowed as u16).checked_sub(1) else { return };
        if self.ways.open(now.at, ask.way, &ask.tags, Some(link)).is_some() {
            self.answer(link, &ask, sink);
        } else {
            let Some(way) = self.ways.get(ask.way) else { return };
            if way.tags != ask.tags {
                return;
            }
            if !way.came.contains(&link) {
                way.came.push(link);
            }
        }
        self.walk(Some((link, role)), &MailAsk { budget, ..ask }, search, sink);
    }

    /// Says what is here.
    fn answer(&mut self, link: LinkId, ask: &MailAsk, sink: &mut Sink) {
        let tags = &ask.tags;
        let is_home = tags.iter().any(|tag| self.home.contains(tag));
        if !is_home && !tags.iter().any(|tag| self.carrier.has(tag)) {
            return;
        }
        let held = tags.iter().flat_map(|tag| self.carrier.held(tag));
        let mut held: Vec<_> = held.map(Envelope::id).collect();
        let received = tags.iter().flat_map(|tag| self.carrier.received(tag));
        let mut received: Vec<_> = received.map(|receipt| (receipt.id, receipt.token)).collect();
        // If there are more than fit, others at another time.
        self.rng.shuffle(&mut held);
        held.truncate(NAMED_MAX);
        self.rng.shuffle(&mut received);
        received.truncate(NAMED_MAX);
        if !is_home && held.is_empty() && received.is_empty() {
            return;
        }
        let holder = self.number(&ask.tags[0]);
        if let Some(way) = self.ways.get(ask.way) {
            way.answered(holder, None);
        }
        let have = MailHave { way: ask.way, holder, is_home, held, received };
        sink.send(link, Message::MailHave(Box::new(have)));
    }

    /// Sends a question on: to who has it, to who knows somebody, and where it has not been.
    fn walk(
        &mut self,
        from: Option<(LinkId, Role)>,
        ask: &MailAsk,
        search: &Search,
        sink: &mut Sink,
    ) {
        let way_on = self.way_on(from.map(|(_, role)| role));
        let terms: Vec<_> = ask.tags.iter().map(Tag::term).collect();
        let is_ours = ask.tags.iter().any(|tag| self.carrier.has(tag) || self.home.contains(tag));
        let Some(way) = self.ways.get(ask.way) else { return };
        let (mut fresh, stale): (Vec<&Peer>, Vec<&Peer>) = self
            .peers
            .iter()
            .partition(|peer| !way.sent.contains(&peer.link) && !way.came.contains(&peer.link));
        self.rng.shuffle(&mut fresh);
        let mut budget = ask.budget;
        let mut send = |link: LinkId, budget: u16, width: u8| {
            if !way.sent.contains(&link) {
                way.sent.push(link);
            }
            let ask = MailAsk { budget, width, ..ask.clone() };
            sink.send(link, Message::MailAsk(Box::new(ask)));
        };
        let mut rest = Vec::with_capacity(fresh.len());
        let leads = search.leads(&terms);
        for peer in fresh {
            let (own, near) = leads.get(&peer.link).copied().unwrap_or_default();
            // What is here is near each neighbour.
            if own && budget > 0 {
                send(peer.link, 1, 1);
                budget -= 1;
            } else if near && !is_ours && budget >= 2 {
                let share = budget.min(NEAR_BUDGET);
                send(peer.link, share, 1);
                budget -= share;
            } else if way_on.contains(&peer.role) {
                rest.push(peer);
            }
        }
        if rest.is_empty() || from.is_none() {
            let mut again: Vec<_> = stale
                .into_iter()
                .filter(|peer| Some(peer.link) != from.map(|(link, _)| link))
                .filter(|peer| way_on.contains(&peer.role))
                .collect();
            self.rng.shuffle(&mut again);
            rest.extend(again);
        }
        let width = u16::from(ask.width).min(budget);
        let count = width.min(rest.len() as u16);
        for (peer, number) in rest.into_iter().zip(0..count) {
            let part = |of: u16| of / count + u16::from(number < of % count);
            // A part of a width of 64 is no more than that.
            send(peer.link, part(budget), part(width).max(1) as u8);
        }
    }

    /// Where a question goes that nobody here seems to have an answer to.
    fn way_on(&self, from: Option<Role>) -> &'static [Role] {
        let up: &[Role] = if self.is_super { &[Role::Mesh] } else { &[Role::Index] };
        let is_up = self.peers.iter().any(|peer| up.contains(&peer.role));
        match from {
            Some(Role::Peer) => &[Role::Peer],
            Some(Role::Leaf | Role::Mesh) if is_up => up,
            None if is_up && self.is_super => &[Role::Mesh, Role::Peer],
            None if is_up => &[Role::Index, Role::Peer],
            _ => &[Role::Peer],
        }
    }

    /// Somebody has answered.
    pub(crate) fn answered(&mut self, now: Now, link: LinkId, have: MailHave, sink: &mut Sink) {
        // It may be late, or invented.
        let Some(way) = self.ways.get(have.way) else { return };
        if !way.sent.contains(&link) || !way.answered(have.holder, Some(link)) {
            return;
        }
        match way.from {
            Some(back) => sink.send(back, Message::MailHave(Box::new(have))),
            None => self.found(now, &have, sink),
        }
    }

    /// Something is said along a way. How the neighbour is to be regarded for it.
    pub(crate) fn said(
        &mut self,
        now: Now,
        link: LinkId,
        (number, holder): (u64, u64),
        said: MailSaid,
        sink: &mut Sink,
    ) -> i32 {
        let Some(way) = self.ways.get(number) else { return 0 };
        // Where a copy has gone, this is the first that is heard of who has it.
        let is_first = matches!(said, MailSaid::Taken(_) | MailSaid::Receipt(..));
        if is_first && way.sent.contains(&link) && way.holder(holder).is_none() {
            way.answered(holder, Some(link));
        }
        let Some(there) = way.holder(holder) else { return 0 };
        let is_back = there == Some(link);
        if !is_back && way.from != Some(link) {
            return 0;
        }
        let to = if is_back { way.from } else { there };
        let is_back_only = matches!(said, MailSaid::Got(_) | MailSaid::Taken(_));
        let is_on_only = matches!(said, MailSaid::Get(_) | MailSaid::Put(_));
        if is_back_only && !is_back || is_on_only && is_back {
            return SCORE_INVALID;
        }
        if let MailSaid::Got(envelope) | MailSaid::Put(envelope) = &said {
            if !way.tags.contains(&envelope.tag()) {
                return SCORE_INVALID;
            }
            way.mails += 1;
            if way.mails > WAY_MAILS_MAX {
                return 0;
            }
            if let Err(score) = self.may_pass(now, link, envelope) {
                return score;
            }
        }
        let Some(to) = to else {
            match is_back {
                true => self.came_back(now, (number, holder), said, sink),
                false => self.came_here(now, (number, holder), said, sink),
            }
            return 0;
        };
        if matches!(said, MailSaid::Got(_) | MailSaid::Put(_)) {
            self.stats.passed += 1;
        }
        sink.send(to, Message::Mail { way: number, holder, said: Box::new(said) });
        0
    }

    /// Whether an envelope may come on a link.
    fn may_pass(&mut self, now: Now, link: LinkId, envelope: &Envelope) -> Result<(), i32> {
        let bytes = envelope.bytes().len() as u64;
        let has_room = self.peer(link).is_some_and(|peer| peer.bytes.take(now.at, bytes));
        let may = match self.carrier.judge(now.unix, envelope) {
            Err(NotKept::Work) => Err(SCORE_IDLE_STAMP),
            Err(NotKept::Time) => Err(0),
            _ if !has_room => Err(0),
            _ => Ok(()),
        };
        self.stats.dropped += u64::from(may.is_err());
        may
    }

    /// Something is said to us who answered on a way.
    fn came_here(&mut self, now: Now, at: (u64, u64), said: MailSaid, sink: &mut Sink) {
        match said {
            MailSaid::Get(ids) => {
                for id in ids {
                    let Some(envelope) = self.carrier.get(&id).cloned() else { continue };
                    let Some(way) = self.ways.get(at.0) else { return };
                    way.mails += 1;
                    if way.tags.contains(&envelope.tag()) && way.mails <= WAY_MAILS_MAX {
                        self.back(at, MailSaid::Got(envelope), sink);
                    }
                }
            }
            MailSaid::Put(envelope) => self.arrived(&envelope, Some(at), sink),
            MailSaid::Receipt(id, token) => self.shown(now, &id, &token, sink),
            MailSaid::Got(_) | MailSaid::Taken(_) => {}
        }
    }

    /// Says something to who began a way that we have answered on.
    fn back(&mut self, (number, holder): (u64, u64), said: MailSaid, sink: &mut Sink) {
        if let Some(link) = self.ways.get(number).and_then(|way| way.from) {
            sink.send(link, Message::Mail { way: number, holder, said: Box::new(said) });
        }
    }

    /// A copy has come that looks for a carrier. How the neighbour is to be regarded for it.
    pub(crate) fn deposited(
        &mut self,
        now: Now,
        link: LinkId,
        deposit: MailDeposit,
        sink: &mut Sink,
    ) -> i32 {
        let MailDeposit { way, steps, envelope } = deposit;
        if let Err(score) = self.may_pass(now, link, &envelope) {
            return score;
        }
        let tag = envelope.tag();
        let holder = self.number(&tag);
        let Some(opened) = self.ways.open(now.at, way, &[tag], Some(link)) else {
            self.stats.dropped += 1;
            return 0;
        };
        opened.answered(holder, None);
        if self.home.contains(&tag) {
            self.arrived(&envelope, Some((way, holder)), sink);
            return 0;
        }
        if let Some(receipt) = self.carrier.receipt(&envelope.id()).copied() {
            self.back((way, holder), MailSaid::Receipt(receipt.id, receipt.token), sink);
            return 0;
        }
        let next = (steps > 0).then(|| self.next_step(&[link])).flatten();
        let kept = match next {
            // It has not gone far enough to be anybody's.
            Some(_) if steps > DEPOSIT_DETOUR => Err(NotKept::Full),
            _ => self.carrier.keep(now.unix, &envelope),
        };
        match (kept, next) {
            (Ok(gone), _) => {
                for id in gone {
                    self.given.remove(&id);
                    wish_for(Wish::LetGo(id), sink);
                }
                self.given.insert(envelope.id(), vec![(way, holder)]);
                wish_for(Wish::Carry(envelope), sink);
            }
            (Err(_), Some(next)) => {
                if let Some(way) = self.ways.get(way) {
                    way.sent.push(next);
                }
                self.stats.passed += 1;
                let steps = steps - 1;
                let deposit = MailDeposit { way, steps, envelope };
                sink.send(next, Message::MailDeposit(Box::new(deposit)));
            }
            (Err(NotKept::Held), None) => match self.carrier.get(&envelope.id()) {
                Some(_) => self.back((way, holder), MailSaid::Taken(envelope.id()), sink),
                None => {
                    let waiting = self.given.entry(envelope.id()).or_default();
                    if waiting.len() < NAMED_MAX {
                        waiting.push((way, holder));
                    }
                }
            },
            (Err(_), None) => self.stats.dropped += 1,
        }
        0
    }

    /// A neighbour to whom a copy goes: one that indexes, or of some by chance the one that has been there
    /// longest, and will most likely be so for longest.
    fn next_step(&mut self, not: &[LinkId]) -> Option<LinkId> {
        let some = |which: &[Role]| -> Vec<(Instant, LinkId)> {
            let peers = self.peers.iter().filter(|peer| which.contains(&peer.role));
            peers.filter(|p| !not.contains(&p.link)).map(|p| (p.since, p.link)).collect()
        };
        let mut some = match some(&[Role::Index, Role::Mesh]) {
            up if !up.is_empty() => up,
            _ => match some(&[Role::Peer]) {
                peers if !peers.is_empty() => peers,
                _ => some(&[Role::Leaf]),
            },
        };
        self.rng.shuffle(&mut some);
        some.into_iter().take(2).min().map(|(_, link)| link)
    }

    /// Mail has come that may be for us.
    fn arrived(&mut self, envelope: &Envelope, from: Option<(u64, u64)>, sink: &mut Sink) {
        let id = envelope.id();
        if let Some(receipt) = self.carrier.receipt(&id).copied() {
            if let Some(at) = from {
                self.back(at, MailSaid::Receipt(id, receipt.token), sink);
            }
            return;
        }
        if !self.home.contains(&envelope.tag()) || self.junk.contains(&id) {
            return;
        }
        if let Some(coming) = self.come(id) {
            let is_new = !std::mem::replace(&mut coming.is_here, true);
            if coming.tell.len() < NAMED_MAX {
                coming.tell.extend(from);
            }
            if is_new {
                self.stats.arrived += 1;
                wish_for(Wish::Arrived(envelope.clone()), sink);
            }
        }
    }

    /// Somebody shows a token: if it is the right one, a mail that is here has been received.
    fn shown(&mut self, now: Now, id: &MailId, token: &envelope::Token, sink: &mut Sink) {
        let Some(receipt) = self.carrier.show(id, token) else { return };
        self.given.remove(id);
        self.is_dirty = true;
        if self.outbox.remove(id).is_some() {
            wish_for(Wish::State(*id, State::Delivered(*token)), sink);
        } else {
            wish_for(Wish::LetGo(*id), sink);
        }
        wish_for(Wish::Remember(receipt), sink);
        self.pass_receipt(now, &receipt, sink);
    }

    /// What has come is none.
    fn is_junk(&mut self, id: MailId) {
        self.coming.remove(&id);
        if self.junk.insert(id) {
            self.junk_order.push_back(id);
        }
        while self.junk_order.len() > JUNK_MAX {
            if let Some(first) = self.junk_order.pop_front() {
                self.junk.remove(&first);
            }
        }
    }

    /// What we were to keep for another is on disk.
    fn carried(&mut self, now: Now, id: &MailId, sink: &mut Sink) {
        let given = self.given.remove(id).unwrap_or_default();
        if !self.carrier.is_on_disk(id) {
            return;
        }
        self.is_dirty = true;
        for at in given {
            self.back(at, MailSaid::Taken(*id), sink);
        }
        if let Some(tag) = self.carrier.get(id).map(Envelope::tag) {
            self.plan_census(now, tag);
        }
    }

    fn remember(&mut self, receipt: Receipt) {
        self.carrier.remember(receipt);
        self.is_dirty = true;
    }
}

fn wish_for(wish: Wish, sink: &mut Sink) {
    sink.outputs.push_back(Output::Mail(Box::new(wish)));
}

#[cfg(test)]
mod tests;
