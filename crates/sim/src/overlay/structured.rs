//! What nodes have to do with the DHT: each is in it, too, with a node of its own, by the same clock.
//!
//! What they ask of it is asked when they do; what comes of it they are told 10 ms later, for it has its turn after
//! them, in steps of that length ([`crew`](super::crew)).

use super::common::Common;
use super::finds::Finds;
use super::net::Conditions;
use super::shard::{Event, What};
use super::wheel::Entry;
use crate::datagrams::{self, Told};
use crate::limits::LATENCY_MIN;
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::hash::Sha1Digest;
use std::net::IpAddr;

/// What a node asks of the DHT, and when.
pub(super) struct Ask {
    pub(super) at: Instant,
    pub(super) by: NodeIndex,
    pub(super) question: Question,
}

/// What it asks.
pub(super) enum Question {
    /// Who is at a key?
    LookUp { id: u64, key: Sha1Digest },
    /// Nothing more, for this question.
    Stop { id: u64 },
    /// To be found at these keys and no others.
    Announce(Vec<Sha1Digest>),
}

/// The hosts' nodes of the DHT.
pub(super) struct Structured {
    net: datagrams::Net,
    /// Where each is announced.
    terms: Vec<Vec<Sha1Digest>>,
    /// How much it has told.
    told: u32,
    /// What lookups have cost, for which question.
    pub(super) finds: Finds,
    /// Things that have happened.
    pub(super) events: u64,
}

impl Structured {
    pub(super) fn new(seed: u64, map: u64, conditions: Conditions) -> Structured {
        let Conditions { loss, behind_nat, .. } = conditions;
        let conditions = datagrams::Conditions { loss, behind_nat };
        let net = datagrams::Net::beside(seed, map, conditions);
        Structured { net, terms: Vec::new(), told: 0, finds: Finds::default(), events: 0 }
    }

    /// Somebody joins.
    pub(super) fn join(&mut self, now: Instant, ip: IpAddr, behind_nat: bool, part: bool) {
        self.net.join_beside(now, ip, behind_nat, part);
        self.terms.push(Vec::new());
    }

    /// Somebody is gone.
    pub(super) fn die(&mut self, at: NodeIndex) {
        self.net.die(at);
        self.terms[at.index()] = Vec::new();
    }

    /// The network is split, or mended.
    pub(super) fn split(&mut self, is_split: bool) {
        self.net.split(is_split);
    }

    /// Lets time pass until then, in which some ask something. How much has happened.
    pub(super) fn run(
        &mut self,
        common: &Common,
        mut asks: Vec<Ask>,
        until: Instant,
        mut tell: impl FnMut(Entry<Event>),
    ) -> u64 {
        let before = self.events;
        asks.sort_by_key(|ask| (ask.at, ask.by));
        for ask in asks {
            self.advance(ask.at, &mut tell);
            let at = ask.at;
            if common.is_alive[ask.by.index()] {
                self.hear(common, ask);
                self.tell(at, &mut tell);
            }
        }
        self.advance(until, &mut tell);
        self.events - before
    }

    fn advance(&mut self, until: Instant, tell: &mut impl FnMut(Entry<Event>)) {
        while let Some(next) = self.net.next().filter(|next| *next <= until) {
            self.net.advance();
            self.events += 1;
            self.tell(next, tell);
        }
    }

    /// Whoever asked is told what has come of it by now.
    fn tell(&mut self, now: Instant, tell: &mut impl FnMut(Entry<Event>)) {
        while let Some(told) = self.net.told() {
            let (to, id, key, addrs) = match told {
                Told::Sent { question, to, bytes } => {
                    self.finds.looked_up(question, to, bytes);
                    continue;
                }
                Told::Peers { asker, question, key, addrs } => (asker, question, key, addrs),
                Told::Done { asker, question, key } => (asker, question, key, Vec::new()),
            };
            self.told = self.told.wrapping_add(1);
            tell(Entry {
                at: now + LATENCY_MIN,
                number: u64::from(u32::MAX) << 32 | u64::from(self.told),
                what: Event { to, what: What::Term { id, key, addrs } },
            });
        }
    }

    fn hear(&mut self, common: &Common, Ask { at, by, question }: Ask) {
        match question {
            Question::LookUp { id, key } => self.net.look_up(at, by, id, key),
            Question::Stop { id } => self.net.stop_looking(at, id),
            Question::Announce(mut keys) => {
                let port = common.face(by).addr.port();
                keys.sort_unstable();
                keys.dedup();
                let before = std::mem::take(&mut self.terms[by.index()]);
                for key in before.iter().filter(|key| keys.binary_search(key).is_err()) {
                    self.net.announce_at(at, by, *key, None);
                }
                for key in keys.iter().filter(|key| before.binary_search(key).is_err()) {
                    self.net.announce_at(at, by, *key, Some(port));
                }
                self.terms[by.index()] = keys;
            }
        }
    }
}
