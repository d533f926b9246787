//! What a node begins itself: to look for the receiver of its user's mail and place copies, to look for its
//! own mail, and to look whether mail that it carries has other carriers.

use super::carrier::Receipt;
use super::envelope::{Envelope, MailId, Tag};
use super::io::{State, Told, Wish};
use super::limits::{
    ASKED_MAX, CENSUS_EVERY, CENSUS_FIRST, CENSUS_GAP, COMING_MAX, COMING_OF_ONE_MAX, COPIES,
    COPIES_MIN, DEPOSIT_DETOUR, DEPOSIT_STEPS, ERRANDS_MAX, FETCH_AGAIN, FETCH_FIRST, FETCH_ROUNDS,
    GET_PATIENCE, HOMES_TRIED_MAX, NAMED_MAX, NUDGE_AFTER, SEND_AGAIN, SEND_ROUNDS, SENDING_MAX,
    WAY_TIME,
};
use super::{Mail, Now, wish_for};
use crate::io::LinkId;
use crate::search::Search;
use crate::sink::Sink;
use crate::wire::{MailAsk, MailDeposit, MailHave, MailSaid, Message};
use althing_base::machine::is_due;
use althing_base::time::Duration;
use althing_base::{Instant, UnixTime};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Why it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// This is to be received.
    Send(MailId),
    /// What there is for us is wanted.
    Fetch,
    /// Who else carries what we carry?
    Census,
}

/// A question of ours, and what has come of it.
#[derive(Debug)]
pub(super) struct Errand {
    purpose: Purpose,
    tags: Vec<Tag>,
    way: u64,
    /// Ways of copies that were placed for it, and of which mail.
    copies: Vec<(u64, MailId)>,
    round: usize,
    next: Instant,
    /// Who has which mail: way and number of each.
    seen: BTreeMap<MailId, BTreeSet<(u64, u64)>>,
    homes: usize,
}

/// Mail of our user's that has not been received.
#[derive(Debug)]
pub(super) struct Sending {
    envelope: Envelope,
    /// Who has it, by the numbers that they go by.
    holders: BTreeSet<u64>,
    /// When its receiver is looked for again; when there is somebody to ask if there is no time.
    next: Option<Instant>,
    times: usize,
    told: u32,
}

/// Mail for us that is on its way, or with the driver.
#[derive(Debug)]
pub(super) struct Coming {
    /// The driver has it.
    pub(super) is_here: bool,
    /// When it is asked of another.
    until: Instant,
    /// Who says that he has it: ways and numbers; the last was asked.
    holders: Vec<(u64, u64)>,
    /// Who put it here and waits for the receipt.
    pub(super) tell: Vec<(u64, u64)>,
}

/// When we look for mail.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    at: Option<Instant>,
    last: Option<Instant>,
    times: usize,
}

/// When it is looked whether there are other carriers, for each tag.
#[derive(Debug, Default)]
pub(super) struct Census {
    by_tag: BTreeMap<Tag, Instant>,
    by_time: BTreeSet<(Instant, Tag)>,
    /// Not before this.
    free: Option<Instant>,
}

impl Census {
    /// It is looked then, unless that is settled.
    fn plan(&mut self, tag: Tag, at: Instant) {
        if let Entry::Vacant(free) = self.by_tag.entry(tag) {
            free.insert(at);
            self.by_time.insert((at, tag));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let (first, _) = self.by_time.first()?;
        Some(self.free.map_or(*first, |free| free.max(*first)))
    }

    /// A tag whose time has come.
    fn due(&mut self, now: Instant) -> Option<Tag> {
        self.deadline().filter(|at| *at <= now)?;
        let (_, tag) = self.by_time.pop_first()?;
        self.by_tag.remove(&tag);
        self.free = Some(now + CENSUS_GAP);
        Some(tag)
    }
}

impl Fetching {
    /// A neighbour seems to have some.
    pub(super) fn nudge(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| (last + NUDGE_AFTER).max(now));
        self.at = Some(self.at.map_or(soonest, |at| at.min(soonest)));
    }
}

impl Mail {
    /// There is somebody to ask.
    pub(super) fn hurry(&mut self, now: Now) {
        if self.config.is_home && self.fetching.at.is_none() {
            self.fetching.at = Some(now.at + FETCH_FIRST);
            self.fetching.times = 0;
        }
        for sending in self.outbox.values_mut().filter(|sending| sending.next.is_none()) {
            sending.next = Some(now.at + FETCH_FIRST);
        }
    }

    /// The driver says something.
    pub(crate) fn told(&mut self, now: Now, told: Told, search: &Search, sink: &mut Sink) {
        match told {
            Told::Send(envelope) => self.send(now, envelope, search, sink),
            Told::Withdraw(id) => {
                if self.outbox.remove(&id).is_some() {
                    self.carrier.remove(&id);
                    self.is_dirty = true;
                }
            }
            Told::Kept(receipt) => {
                self.remember(receipt);
                let coming = self.coming.remove(&receipt.id);
                for at in coming.map(|coming| coming.tell).unwrap_or_default() {
                    self.back(at, MailSaid::Receipt(receipt.id, receipt.token), sink);
                }
                self.pass_receipt(now, &receipt, sink);
                self.get_next(now, sink);
            }
            Told::Junk(id) => {
                self.is_junk(id);
                self.get_next(now, sink);
            }
            Told::Later(id) => drop(self.coming.remove(&id)),
            Told::Carried(id) => self.carried(now, &id, sink),
            Told::NotCarried(id) => {
                self.given.remove(&id);
                self.carrier.remove(&id);
            }
            Told::Restored(envelope) => match self.carrier.keep(now.unix, &envelope) {
                Ok(_) => {
                    self.carrier.is_on_disk(&envelope.id());
                    self.is_dirty = true;
                    let wait = CENSUS_FIRST.mul_f64(0.5 + 2.0 * self.rng.unit());
                    self.census.plan(envelope.tag(), now.at + wait);
                }
                Err(_) => wish_for(Wish::LetGo(envelope.id()), sink),
            },
            Told::Received(receipt) => {
                if receipt.expires > now.unix {
                    self.remember(receipt);
                } else {
                    wish_for(Wish::LetGo(receipt.id), sink);
                }
            }
        }
    }

    /// Our user sends something.
    fn send(&mut self, now: Now, envelope: Envelope, search: &Search, sink: &mut Sink) {
        let id = envelope.id();
        if let Some(receipt) = self.carrier.receipt(&id) {
            wish_for(Wish::State(id, State::Delivered(receipt.token)), sink);
            return;
        }
        let UnixTime(expires) = envelope.expires();
        if expires <= now.unix.0 || self.outbox.len() >= SENDING_MAX {
            if expires <= now.unix.0 {
                wish_for(Wish::State(id, State::Expired), sink);
            }
            return;
        }
        self.carrier.keep_own(&envelope);
        self.is_dirty = true;
        let next = (!self.peers.is_empty()).then_some(now.at);
        let holders = BTreeSet::new();
        self.outbox.insert(id, Sending { envelope, holders, next, times: 0, told: 0 });
        self.send_due(now, search, sink);
    }

    /// Begins to look for receivers whose time has come.
    fn send_due(&mut self, now: Now, search: &Search, sink: &mut Sink) {
        let mut due = Vec::new();
        for (id, sending) in &mut self.outbox {
            if is_due(now.at, sending.next) {
                // When it is over, it is said when the next time is.
                sending.next = None;
                due.push((*id, sending.envelope.tag()));
            }
        }
        for (id, tag) in due {
            if self.peers.is_empty() || self.begin(now, Purpose::Send(id), vec![tag]) {
                continue;
            }
            if let Some(sending) = self.outbox.get_mut(&id) {
                sending.next = Some(now.at + WAY_TIME / 4);
            }
        }
        self.go_on(now, search, sink);
    }

    /// Begins to ask; whether there is room.
    fn begin(&mut self, now: Now, purpose: Purpose, tags: Vec<Tag>) -> bool {
        let is_over = |errand: &Errand| errand.round > rounds(errand.purpose).len();
        if self.errands.len() >= ERRANDS_MAX {
            // One that is only kept for what may still be said of it.
            match self.errands.iter().position(is_over) {
                Some(at) => drop(self.errands.remove(at)),
                None => return false,
            }
        }
        let way = self.rng.next_u64();
        if self.ways.open(now.at, way, &tags, None).is_none() {
            return false;
        }
        self.errands.push(Errand {
            purpose,
            tags,
            way,
            copies: Vec::new(),
            round: 0,
            next: now.at,
            seen: BTreeMap::new(),
            homes: 0,
        });
        true
    }

    /// Asks further, where it is time, or ends it.
    fn go_on(&mut self, now: Now, search: &Search, sink: &mut Sink) {
        let mut at = 0;
        while let Some(errand) = self.errands.get_mut(at) {
            if errand.next > now.at {
                at += 1;
                continue;
            }
            let rounds = rounds(errand.purpose);
            let purpose = errand.purpose;
            if let Purpose::Send(id) = purpose
                && !self.outbox.contains_key(&id)
            {
                // It was received meanwhile; carriers of whom we hear late are still told so.
                errand.round = errand.round.max(rounds.len());
            }
            let round = errand.round;
            errand.round += 1;
            if let Some((budget, width, wait)) = rounds.get(round) {
                errand.next = now.at + *wait;
                let (way, tags) = (errand.way, errand.tags.clone());
                let ask = MailAsk { way, budget: *budget, width: *width, tags };
                if let Purpose::Send(id) = purpose
                    && round + 1 == rounds.len()
                {
                    self.place_own(now, at, &id, sink);
                }
                self.walk(None, &ask, search, sink);
            } else if round == rounds.len() {
                // What was asked for may still come, and then receipts go back the same way.
                errand.next = now.at + WAY_TIME / 2;
                match purpose {
                    Purpose::Send(id) => self.send_later(now, &id),
                    Purpose::Census => self.replenish(now, at, sink),
                    Purpose::Fetch => {}
                }
            } else {
                self.errands.remove(at);
                continue;
            }
            at += 1;
        }
    }

    /// When the receiver of mail of our user's is looked for again.
    fn send_later(&mut self, now: Now, id: &MailId) {
        let spread = 0.75 + self.rng.unit() / 2.0;
        if let Some(sending) = self.outbox.get_mut(id) {
            let wait = SEND_AGAIN[sending.times.min(SEND_AGAIN.len() - 1)];
            sending.times += 1;
            sending.next = Some(now.at + wait.mul_f64(spread));
        }
    }

    /// Places copies of our user's mail, if its receiver was not found and too few have it.
    fn place_own(&mut self, now: Now, at: usize, id: &MailId, sink: &mut Sink) {
        let Some(sending) = self.outbox.get_mut(id) else { return };
        let Some(errand) = self.errands.get_mut(at) else { return };
        let seen = errand.seen.get(id).into_iter().flatten();
        // Who was there the last time may be gone.
        sending.holders = seen.map(|(_, holder)| *holder).collect();
        let missing = COPIES.saturating_sub(sending.holders.len());
        let envelope = sending.envelope.clone();
        self.tell_state(id, sink);
        self.place(now, at, &envelope, missing, sink);
    }

    /// Sends copies on their way.
    fn place(&mut self, now: Now, at: usize, envelope: &Envelope, count: usize, sink: &mut Sink) {
        let mut used: Vec<LinkId> = Vec::new();
        for _ in 0..count {
            // With each neighbour once, as long as there are some.
            let mut next = self.next_step(&used);
            if next.is_none() {
                used.clear();
                next = self.next_step(&used);
            }
            let Some(next) = next else { return };
            used.push(next);
            let (least, most) = DEPOSIT_STEPS;
            let steps = least + self.rng.below(u64::from(most - least) + 1) as u8;
            let way = self.rng.next_u64();
            let Some(opened) = self.ways.open(now.at, way, &[envelope.tag()], None) else { return };
            opened.sent.push(next);
            if let Some(errand) = self.errands.get_mut(at) {
                errand.copies.push((way, envelope.id()));
            }
            let (steps, envelope) = (steps + DEPOSIT_DETOUR, envelope.clone());
            sink.send(next, Message::MailDeposit(Box::new(MailDeposit { way, steps, envelope })));
        }
    }

    /// Places copies of what we carry for others, if few carriers have answered.
    fn replenish(&mut self, now: Now, at: usize, sink: &mut Sink) {
        let Some(errand) = self.errands.get(at) else { return };
        let mut few = Vec::new();
        for tag in &errand.tags {
            for envelope in self.carrier.held(tag) {
                let id = envelope.id();
                let others = errand.seen.get(&id).map_or(0, BTreeSet::len);
                if others < COPIES_MIN && !self.outbox.contains_key(&id) {
                    few.push((envelope.clone(), COPIES_MIN - others));
                }
            }
        }
        for (envelope, missing) in few {
            self.place(now, at, &envelope, missing, sink);
        }
    }

    /// Somebody has answered a question of ours.
    pub(super) fn found(&mut self, now: Now, have: &MailHave, sink: &mut Sink) {
        let Some(errand) = self.errands.iter_mut().find(|errand| errand.way == have.way) else {
            return;
        };
        let at = (have.way, have.holder);
        for id in &have.held {
            let is_room = errand.seen.len() < NAMED_MAX * 4;
            if is_room || errand.seen.contains_key(id) {
                errand.seen.entry(*id).or_default().insert(at);
            }
        }
        let purpose = errand.purpose;
        if let Purpose::Send(id) = purpose
            && have.is_home
            && errand.homes < HOMES_TRIED_MAX
            && let Some(sending) = self.outbox.get(&id)
        {
            errand.homes += 1;
            let said = MailSaid::Put(sending.envelope.clone());
            self.say(at, said, sink);
        }
        for (id, token) in &have.received {
            self.shown(now, id, token, sink);
        }
        // What we have received and somebody still has.
        for id in &have.held {
            if let Some(receipt) = self.carrier.receipt(id) {
                let said = MailSaid::Receipt(*id, receipt.token);
                self.say(at, said, sink);
            } else if purpose == Purpose::Fetch && !self.junk.contains(id) {
                let of_this =
                    |coming: &&Coming| coming.holders.iter().any(|(_, of)| *of == have.holder);
                if self.coming.values().filter(of_this).count() < COMING_OF_ONE_MAX
                    && let Some(coming) = self.come(*id)
                    && coming.holders.len() < COPIES
                {
                    coming.holders.insert(0, at);
                }
            }
        }
        self.get_next(now, sink);
        if let Purpose::Send(id) = purpose {
            self.count(&id, &[], sink);
        }
    }

    /// Room for mail that is on its way to us, if there is some.
    pub(super) fn come(&mut self, id: MailId) -> Option<&mut Coming> {
        if self.coming.len() >= COMING_MAX && !self.coming.contains_key(&id) {
            return None;
        }
        Some(self.coming.entry(id).or_insert(Coming {
            is_here: false,
            until: Instant::ORIGIN,
            holders: Vec::new(),
            tell: Vec::new(),
        }))
    }

    /// Asks for mail that is for us, of one of those who have it.
    fn get_next(&mut self, now: Now, sink: &mut Sink) {
        let mut wanted: BTreeMap<(u64, u64), Vec<MailId>> = BTreeMap::new();
        self.coming.retain(|id, coming| {
            if coming.is_here || coming.until > now.at {
                return true;
            }
            let Some(at) = coming.holders.pop() else { return false };
            coming.until = now.at + GET_PATIENCE;
            wanted.entry(at).or_default().push(*id);
            true
        });
        for (at, ids) in wanted {
            for ids in ids.chunks(ASKED_MAX) {
                self.say(at, MailSaid::Get(ids.to_vec()), sink);
            }
        }
    }

    /// Says something to somebody who has answered a question of ours.
    fn say(&mut self, (number, holder): (u64, u64), said: MailSaid, sink: &mut Sink) {
        let there = self.ways.get(number).and_then(|way| way.holder(holder)).flatten();
        if let Some(link) = there {
            sink.send(link, Message::Mail { way: number, holder, said: Box::new(said) });
        }
    }

    /// Something has come back to us who asked.
    pub(super) fn came_back(&mut self, now: Now, at: (u64, u64), said: MailSaid, sink: &mut Sink) {
        match said {
            MailSaid::Got(envelope) => {
                let was_asked = self.coming.contains_key(&envelope.id());
                if was_asked {
                    self.arrived(&envelope, None, sink);
                }
            }
            MailSaid::Taken(id) => {
                let mut errands = self.errands.iter_mut();
                let errand = errands.find(|errand| errand.copies.contains(&(at.0, id)));
                if let Some(errand) = errand {
                    errand.seen.entry(id).or_default().insert(at);
                    if errand.purpose == Purpose::Send(id) {
                        self.count(&id, &[at.1], sink);
                    }
                }
            }
            MailSaid::Receipt(id, token) => self.shown(now, &id, &token, sink),
            MailSaid::Get(_) | MailSaid::Put(_) => {}
        }
    }

    /// Counts who has mail of our user's.
    fn count(&mut self, id: &MailId, taken: &[u64], sink: &mut Sink) {
        let Some(sending) = self.outbox.get_mut(id) else { return };
        sending.holders.extend(taken);
        for errand in self.errands.iter().filter(|errand| errand.purpose == Purpose::Send(*id)) {
            let seen = errand.seen.get(id).into_iter().flatten();
            sending.holders.extend(seen.map(|(_, holder)| holder).take(NAMED_MAX));
        }
        self.tell_state(id, sink);
    }

    fn tell_state(&mut self, id: &MailId, sink: &mut Sink) {
        let Some(sending) = self.outbox.get_mut(id) else { return };
        let count = u32::try_from(sending.holders.len()).unwrap_or(u32::MAX);
        if std::mem::replace(&mut sending.told, count) != count {
            wish_for(Wish::State(*id, State::Held(count)), sink);
        }
    }

    /// Tells all of whom we know that they have a mail that it was received.
    pub(super) fn pass_receipt(&mut self, _now: Now, receipt: &Receipt, sink: &mut Sink) {
        let mut all = Vec::new();
        for errand in &mut self.errands {
            all.extend(errand.seen.remove(&receipt.id).into_iter().flatten());
        }
        for at in all {
            self.say(at, MailSaid::Receipt(receipt.id, receipt.token), sink);
        }
    }

    /// When it is looked whether there are other carriers of a tag.
    pub(super) fn plan_census(&mut self, now: Now, tag: Tag) {
        let wait = CENSUS_EVERY.mul_f64(0.5 + self.rng.unit());
        self.census.plan(tag, now.at + wait);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let errands = self.errands.iter().map(|errand| errand.next);
        let sending = self.outbox.values().filter_map(|sending| sending.next);
        let coming = self.coming.values().filter(|coming| !coming.is_here).map(|c| c.until);
        let census = self.census.deadline();
        errands.chain(sending).chain(coming).chain(census).chain(self.fetching.at).min()
    }

    pub(crate) fn timeout(&mut self, now: Now, search: &Search, sink: &mut Sink) {
        if is_due(now.at, self.fetching.at) {
            self.fetch(now);
        }
        self.census_due(now);
        self.get_next(now, sink);
        self.send_due(now, search, sink);
    }

    /// Begins to look for our own mail.
    fn fetch(&mut self, now: Now) {
        self.fetching.at = None;
        if self.peers.is_empty() || self.home.is_empty() {
            return;
        }
        let wait = FETCH_AGAIN[self.fetching.times.min(FETCH_AGAIN.len() - 1)];
        self.fetching.at = Some(now.at + wait.mul_f64(0.75 + self.rng.unit() / 2.0));
        self.fetching.last = Some(now.at);
        let tags = self.home.clone();
        if self.begin(now, Purpose::Fetch, tags) {
            self.fetching.times += 1;
        }
    }

    /// Begins to look for other carriers of a tag whose time has come, one at a time.
    fn census_due(&mut self, now: Now) {
        let Some(tag) = self.census.due(now.at) else { return };
        if self.carrier.held(&tag).next().is_none() {
            return;
        }
        if !self.peers.is_empty() {
            self.begin(now, Purpose::Census, vec![tag]);
        }
        self.plan_census(now, tag);
    }
}

fn rounds(purpose: Purpose) -> &'static [(u16, u8, Duration)] {
    match purpose {
        Purpose::Send(_) => &SEND_ROUNDS,
        Purpose::Fetch | Purpose::Census => &FETCH_ROUNDS,
    }
}

#[cfg(test)]
const _: () = assert!(COPIES <= NAMED_MAX);
