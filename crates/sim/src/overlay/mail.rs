//! Mail in networks whose nodes come and go: to receivers that are there and that are not, past carriers that
//! throw away what they are given.
//!
//! Envelopes hold nothing, and whoever has one knows its token by its number; all else is as in the daemon. What is on a
//! node's disk is there again when it comes back.

use super::common::{Common, EPOCH, network};
use super::net::{Conditions, Death, Net};
use super::shard::Shard;
use crate::node::NodeIndex;
use crate::tables::{head, row};
use althing_base::time::Duration;
use althing_base::{Instant, Rng, Seed};
use althing_overlay::io::Input;
use althing_overlay::mail::carrier::{Caps, Receipt};
use althing_overlay::mail::envelope::{Envelope, MailId, Tag, Token};
use althing_overlay::mail::io::{State, Told, Wish};
use althing_overlay::mail::limits::{CARRIED_BYTES, LIFETIME_MAX_S, SIZES};
use althing_overlay::wire::Message;
use std::collections::BTreeMap;

/// What the network is like about mail.
#[derive(Clone, Copy, Debug)]
pub struct Custom {
    /// Which part of the nodes takes mail; all carry it.
    pub homes: f64,
    /// Which part of the nodes says that it carries, and throws away.
    pub drops: f64,
}

/// What a node has on its disk, and what is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) is_home: bool,
    pub(super) drops: bool,
    carried: BTreeMap<MailId, Envelope>,
    receipts: BTreeMap<MailId, Receipt>,
    /// When what came.
    inbox: BTreeMap<MailId, Instant>,
    /// What is to be delivered.
    sending: BTreeMap<MailId, Envelope>,
    delivered: BTreeMap<MailId, Instant>,
    held: BTreeMap<MailId, u32>,
}

/// What mail has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Cost {
    pub(super) fn count(&mut self, message: &Message) {
        let is_mail = matches!(
            message,
            Message::MailAsk(_)
                | Message::MailHave(_)
                | Message::Mail { .. }
                | Message::MailDeposit(_)
        );
        if is_mail {
            self.messages += 1;
            self.bytes += message.encoded_len() as u64;
        }
    }
}

fn token(number: u64) -> Token {
    let mut token = [7; 32];
    token[..8].copy_from_slice(&number.to_be_bytes());
    Token(token)
}

/// The number that an envelope of the simulator's has in it.
fn number(envelope: &Envelope) -> u64 {
    let sealed = envelope.bytes().get(73..).and_then(|rest| rest.first_chunk());
    sealed.map_or(0, |number| u64::from_be_bytes(*number))
}

impl Disk {
    /// How its node is about mail.
    pub(super) fn config(&self, conditions: Conditions) -> althing_overlay::mail::Config {
        let mut config = althing_overlay::mail::Config::off();
        if conditions.mail.is_some() {
            config.is_home = self.is_home;
            config.caps = Caps { bytes: CARRIED_BYTES, work_bits: 0 };
        }
        config
    }

    /// What a machine is told of it when it begins.
    pub(super) fn told(self) -> impl Iterator<Item = Told> {
        let receipts = self.receipts.into_values().map(Told::Received);
        let carried = self.carried.into_values().map(Told::Restored);
        let sending = self.sending.into_values().map(Told::Send);
        receipts.chain(carried).chain(sending)
    }
}

impl Shard {
    /// Does what a machine wants done about mail.
    pub(super) fn post(&mut self, common: &Common, at: NodeIndex, wish: Wish) {
        let now = self.now;
        let disk = self.disk(at);
        let told = match wish {
            Wish::Arrived(envelope) => {
                let id = envelope.id();
                assert!(disk.inbox.insert(id, now).is_none(), "mail comes twice");
                let token = token(number(&envelope));
                let (tag, expires) = (envelope.tag(), envelope.expires());
                let receipt = Receipt { id, tag, token, expires };
                disk.receipts.insert(id, receipt);
                vec![Told::Kept(receipt)]
            }
            Wish::Carry(envelope) if disk.drops => {
                let id = envelope.id();
                vec![Told::Carried(id), Told::NotCarried(id)]
            }
            Wish::Carry(envelope) => {
                let id = envelope.id();
                disk.carried.insert(id, envelope);
                vec![Told::Carried(id)]
            }
            Wish::LetGo(id) => {
                disk.carried.remove(&id);
                disk.receipts.remove(&id);
                Vec::new()
            }
            Wish::Remember(receipt) => {
                disk.carried.remove(&receipt.id);
                disk.receipts.insert(receipt.id, receipt);
                Vec::new()
            }
            Wish::State(id, state) => {
                match state {
                    State::Held(count) => drop(disk.held.insert(id, count)),
                    State::Delivered(_) => {
                        disk.sending.remove(&id);
                        disk.delivered.entry(id).or_insert(now);
                    }
                    State::Expired => drop(disk.sending.remove(&id)),
                }
                Vec::new()
            }
        };
        for told in told {
            self.tell(common, at, Input::Mail(Box::new(told)));
        }
    }
}

impl Net {
    /// Somebody writes to somebody else, of the smallest size.
    pub fn mail(&mut self, from: NodeIndex, to: NodeIndex) -> MailId {
        let number = self.next_number();
        let mut sealed = vec![0; SIZES[0] + 48];
        sealed[..8].copy_from_slice(&number.to_be_bytes());
        let tag = Tag::of(&network(), &self.common.face(to).node, self.unix());
        let expires = althing_base::UnixTime(self.unix().0 + LIFETIME_MAX_S);
        let made = Envelope::around(tag, token(number).commitment(), expires, &sealed);
        let envelope = made.expect("it has one of the sizes");
        let id = envelope.id();
        self.disk(from).sending.insert(id, envelope.clone());
        self.tell(from, Input::Mail(Box::new(Told::Send(envelope))));
        id
    }

    /// When mail came to somebody.
    pub fn came(&self, to: NodeIndex, id: MailId) -> Option<Instant> {
        self.disk_of(to).inbox.get(&id).copied()
    }

    /// When the sender knew.
    pub fn known(&self, from: NodeIndex, id: MailId) -> Option<Instant> {
        self.disk_of(from).delivered.get(&id).copied()
    }

    /// All, be they alive or not.
    fn all(&self) -> impl Iterator<Item = NodeIndex> {
        (0..self.common.faces.len() as u32).map(NodeIndex)
    }

    /// Those who take mail, be they alive or not.
    fn homes(&self) -> Vec<NodeIndex> {
        let is_home = |at: &NodeIndex| self.disk_of(*at).is_home && !self.disk_of(*at).drops;
        self.all().filter(is_home).collect()
    }

    fn is_alive(&self, at: NodeIndex) -> bool {
        self.common.is_alive[at.index()]
    }

    /// How many have a mail on their disks, and how many of them are there.
    fn copies(&self, id: MailId) -> (usize, usize) {
        let has = self.all().filter(|at| self.disk_of(*at).carried.contains_key(&id));
        let there = has.map(|at| usize::from(self.is_alive(at)));
        there.fold((0, 0), |(all, there), one| (all + 1, there + one))
    }
}

/// Nodes that come and go, each with sessions of its own.
struct Churn {
    rng: Rng,
    next: BTreeMap<(Instant, NodeIndex), ()>,
    /// Who is left alone: senders and receivers.
    actors: Vec<NodeIndex>,
}

/// Sessions as measured: a Weibull distribution of shape 0.59 and scale 41 minutes (Stutzbach and Rejaie
/// 2006, of BitTorrent), 63 minutes on average.
const SHAPE: f64 = 0.59;
const SCALE_S: f64 = 41.0 * 60.0;

/// Time away, on average, for each time there: of a hundred nodes forty are there.
const AWAY: f64 = 1.5;

impl Churn {
    fn session(rng: &mut Rng) -> f64 {
        SCALE_S * (-(1.0 - rng.unit()).ln()).powf(1.0 / SHAPE)
    }

    fn new(net: &Net, seed: u64, actors: Vec<NodeIndex>) -> Churn {
        let mut rng = Rng::new(Seed::from_u64(seed).fork("churn", 0));
        let mut next = BTreeMap::new();
        for at in net.all() {
            // Whoever is met by chance is in a long session most likely: the longest of three.
            let long = (0..3).map(|_| Churn::session(&mut rng)).fold(0.0, f64::max);
            let rest = Duration::from_secs_f64(long * rng.unit());
            next.insert((net.now() + rest, at), ());
        }
        Churn { rng, next, actors }
    }

    /// Lets time pass in which nodes come and go.
    fn run(&mut self, net: &mut Net, time: Duration) {
        let until = net.now() + time;
        while let Some((&(due, at), ())) = self.next.first_key_value() {
            if due > until {
                break;
            }
            self.next.pop_first();
            net.run(due.since(net.now()));
            let session = Churn::session(&mut self.rng);
            let wait = if net.is_alive(at) { session * AWAY } else { session };
            if !self.actors.contains(&at) {
                match net.is_alive(at) {
                    true => net.kill_these(&[at], Death::Closed),
                    false => net.revive(at),
                }
            }
            self.next.insert((due + Duration::from_secs_f64(wait.clamp(1.0, 1e7)), at), ());
        }
        net.run(until.since(net.now()));
    }
}

/// What has come of some mail.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The part that came.
    pub came: f64,
    /// How long it took from when both it and the receiver were there, half of those that came, and 99 of 100.
    pub took: [Option<Duration>; 2],
    /// The part of which the sender knows that it came.
    pub known: f64,
    /// Messages for each mail, until it was with its carriers, or its receiver.
    pub messages: f64,
    /// Bytes of them.
    pub bytes: f64,
    /// Nodes that have one on disk when its receiver comes, and of them those that are there.
    pub copies: [f64; 2],
}

fn outcome(net: &Net, mails: &[(NodeIndex, NodeIndex, MailId)], from: Instant) -> Outcome {
    let count = mails.len().max(1) as f64;
    let mut took: Vec<_> =
        mails.iter().filter_map(|(_, to, id)| Some(net.came(*to, *id)?.since(from))).collect();
    took.sort_unstable();
    let known = mails.iter().filter(|(by, _, id)| net.known(*by, *id).is_some()).count();
    let came = took.len() as f64 / count;
    let known = known as f64 / count;
    Outcome {
        came,
        took: [0.5, 0.99].map(|part| of_all(&took, part)),
        known,
        messages: 0.0,
        bytes: 0.0,
        copies: [0.0; 2],
    }
}

/// What mail has cost so far: messages, and their bytes.
fn spent(net: &Net) -> (f64, f64) {
    let costs = net.shards.iter().map(|shard| shard.mail_cost);
    costs.fold((0.0, 0.0), |(messages, bytes), cost| {
        (messages + cost.messages as f64, bytes + cost.bytes as f64)
    })
}

/// How long after it was sent mail is looked at, if its receiver is there.
const SOON: Duration = Duration::from_secs(30);

/// So many mails go to receivers that are there, one each second.
pub fn present(seed: u64, nodes: usize, conditions: Conditions, mails: usize) -> Outcome {
    let mut net = Net::new(seed, nodes, conditions);
    // Receivers have done asking what came while they were away.
    net.run(Duration::from_secs(400));
    let homes: Vec<_> = net.homes().into_iter().filter(|at| net.is_alive(*at)).collect();
    let before = spent(&net);
    let mut sent = Vec::new();
    for number in 0..mails {
        let (from, to) = (homes[number % homes.len()], homes[(number * 7 + 1) % homes.len()]);
        if from != to {
            sent.push((net.now(), from, to, net.mail(from, to)));
        }
        net.run(Duration::from_secs(1));
    }
    net.run(SOON);
    let after = spent(&net);
    let count = sent.len().max(1) as f64;
    let came = |(at, _, to, id): &(Instant, NodeIndex, NodeIndex, MailId)| {
        Some(net.came(*to, *id)?.since(*at))
    };
    let mut took: Vec<_> = sent.iter().filter_map(came).collect();
    took.sort_unstable();
    let known = sent.iter().filter(|(_, from, _, id)| net.known(*from, *id).is_some()).count();
    let copies: Vec<_> = sent.iter().map(|(.., id)| net.copies(*id)).collect();
    let sum = |of: fn(&(usize, usize)) -> usize| copies.iter().map(of).sum::<usize>() as f64;
    Outcome {
        came: took.len() as f64 / count,
        took: [0.5, 0.99].map(|part| of_all(&took, part)),
        known: known as f64 / count,
        messages: (after.0 - before.0) / count,
        bytes: (after.1 - before.1) / count,
        copies: [sum(|copies| copies.0) / count, sum(|copies| copies.1) / count],
    }
}

/// The time within which a part of some came, which are in order.
fn of_all(took: &[Duration], part: f64) -> Option<Duration> {
    let at = (took.len() as f64 * part).ceil() as usize;
    at.checked_sub(1).and_then(|at| took.get(at).copied())
}

/// So many mails go to receivers that are not there; then their senders go, others come and go for some time,
/// the receivers come, and go, and the senders come back.
pub fn absent(
    seed: u64,
    nodes: usize,
    conditions: Conditions,
    mails: usize,
    away: Duration,
) -> Outcome {
    // So that as many are there as in a network in which nobody goes.
    let all = (nodes as f64 * (1.0 + AWAY)) as usize;
    let mut net = Net::new(seed, if away.is_zero() { nodes } else { all }, conditions);
    let homes = net.homes();
    let mails = mails.min(homes.len() / 2);
    let receivers: Vec<_> = homes.iter().copied().take(mails).collect();
    let senders: Vec<_> = homes.iter().copied().skip(mails).take(mails).collect();
    let actors = [&receivers[..], &senders[..]].concat();
    net.kill_these(&receivers, Death::Closed);
    let mut churn = Churn::new(&net, seed, actors);
    if !away.is_zero() {
        // Two of five are there.
        let others = net.alive().into_iter().filter(|at| !churn.actors.contains(at));
        let part = (AWAY / (1.0 + AWAY) * 5.0).round() as usize;
        let gone: Vec<_> = others.filter(|at| at.index() % 5 < part).collect();
        net.kill_these(&gone, Death::Closed);
        churn.run(&mut net, Duration::from_secs(1_200));
    }
    let before = spent(&net);
    let ids: Vec<_> =
        senders.iter().zip(&receivers).map(|(s, r)| (*s, *r, net.mail(*s, *r))).collect();
    net.run(Duration::from_secs(40));
    let after = spent(&net);
    net.kill_these(&senders, Death::Closed);
    churn.run(&mut net, away);
    let copies: Vec<_> = ids.iter().map(|(.., id)| net.copies(*id)).collect();
    let began = net.now();
    receivers.iter().for_each(|at| net.revive(*at));
    net.run(Duration::from_secs(120));
    net.kill_these(&receivers, Death::Closed);
    senders.iter().for_each(|at| net.revive(*at));
    net.run(Duration::from_secs(120));
    let mut outcome = outcome(&net, &ids, began);
    let count = ids.len().max(1) as f64;
    (outcome.messages, outcome.bytes) =
        ((after.0 - before.0) / count, (after.1 - before.1) / count);
    let sum = |of: fn(&(usize, usize)) -> usize| copies.iter().map(of).sum::<usize>() as f64;
    outcome.copies = [sum(|copies| copies.0) / count, sum(|copies| copies.1) / count];
    outcome
}

fn conditions(drops: f64, supers: f64) -> Conditions {
    let mail = Some(Custom { homes: 0.05, drops });
    Conditions { mail, supers, ..Conditions::default() }
}

/// The table.
pub(super) fn table(seed: u64, nodes: usize) -> String {
    let columns = [
        "receiver",
        "carriers that drop",
        "indexing for others",
        "came",
        "half after",
        "99 % after",
        "sender knows",
        "messages a mail",
        "kB a mail",
        "copies on disk",
        "of them there",
    ];
    let mut text = head(&columns);
    let time =
        |took: Option<Duration>| took.map_or("–".into(), |t| format!("{:.1} s", t.as_secs_f64()));
    let mut line = |what: String, (drops, supers): (f64, f64), outcome: &Outcome| {
        let cells = [
            what,
            format!("{:.0} %", drops * 100.0),
            format!("{:.0} %", supers * 100.0),
            format!("{:.1} %", outcome.came * 100.0),
            time(outcome.took[0]),
            time(outcome.took[1]),
            format!("{:.1} %", outcome.known * 100.0),
            format!("{:.0}", outcome.messages),
            format!("{:.1}", outcome.bytes / 1_000.0),
            format!("{:.1}", outcome.copies[0]),
            format!("{:.1}", outcome.copies[1]),
        ];
        row(&mut text, &cells);
    };
    const MAILS: usize = 200;
    for what in [(0.0, 0.0), (0.1, 0.0), (0.1, 0.01)] {
        let found = present(seed, nodes, conditions(what.0, what.1), MAILS / 2);
        line("there".to_owned(), what, &found);
    }
    for (hours, what) in [
        (0, (0.0, 0.0)),
        (0, (0.1, 0.0)),
        (0, (0.1, 0.01)),
        (1, (0.1, 0.0)),
        (6, (0.0, 0.0)),
        (6, (0.1, 0.0)),
        (24, (0.1, 0.0)),
    ] {
        // Days of ten thousand nodes are for another machine.
        if hours * nodes > 30_000 {
            continue;
        }
        let away = Duration::from_secs(hours as u64 * 3_600);
        let found = absent(seed, nodes, conditions(what.0, what.1), MAILS, away);
        line(format!("comes {hours} h after"), what, &found);
    }
    text
}

const _: () = assert!(EPOCH > LIFETIME_MAX_S);
