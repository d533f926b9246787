//! A network of the DHT beside another network of the same hosts, by whose clock it goes: what those look up
//! and announce, and what each lookup costs.

use super::net::{Conditions, Net};
use crate::node::{NodeIndex, latency};
use althing_base::Instant;
use althing_base::hash::Sha1Digest;
use althing_base::time::Duration;
use althing_dht::wire::{Body, Message, Query};
use althing_dht::{Announce, Find, Goal, Input, NodeId, SearchId};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// The port at which nodes of the DHT are.
const PORT: u16 = 6_881;

/// What has become of lookups.
#[derive(Debug)]
pub(crate) enum Told {
    /// Somebody is at a key.
    Peers { asker: NodeIndex, question: u64, key: Sha1Digest, addrs: Vec<SocketAddr> },
    /// Nobody is asked any more.
    Done { asker: NodeIndex, question: u64, key: Sha1Digest },
    /// A message of a lookup, or the answer to it, was sent.
    Sent { question: u64, to: NodeIndex, bytes: usize },
}

/// A lookup under way.
#[derive(Clone, Copy)]
struct Lookup {
    asker: NodeIndex,
    question: u64,
    key: NodeId,
}

/// See the module.
pub(super) struct Driven {
    /// From it the delay between two hosts follows, in both networks.
    map: u64,
    lookups: BTreeMap<SearchId, Lookup>,
    by_key: HashMap<(NodeIndex, NodeId), u64>,
    /// Calls that are not answered, by who called whom and how he calls it.
    calls: HashMap<(NodeIndex, NodeIndex, Bytes), u64>,
    told: VecDeque<Told>,
    /// In which part each is if the network is split.
    parts: Vec<bool>,
    is_split: bool,
}

impl Driven {
    pub(super) fn latency(&self, one: NodeIndex, other: NodeIndex) -> Duration {
        latency(self.map, one, other)
    }

    /// Counts what belongs to a lookup; whether it passes.
    pub(super) fn passes(&mut self, from: NodeIndex, to: NodeIndex, message: &Message) -> bool {
        let call = |one, other| (one, other, message.transaction.clone());
        let question = match &message.body {
            _ if self.by_key.is_empty() => None,
            Body::Query { query, .. } => match &**query {
                Query::GetPeers { info_hash, .. } => {
                    let question = self.by_key.get(&(from, *info_hash)).copied();
                    question.inspect(|question| {
                        self.calls.insert(call(from, to), *question);
                    })
                }
                _ => None,
            },
            _ => self.calls.remove(&call(to, from)),
        };
        if let Some(question) = question {
            let bytes = message.encode().len();
            self.told.push_back(Told::Sent { question, to, bytes });
        }
        !self.is_split || self.parts[from.index()] == self.parts[to.index()]
    }

    pub(super) fn found(&mut self, search: SearchId, what: Find) {
        if let (Some(lookup), Find::Peers(addrs)) = (self.lookups.get(&search), what) {
            let Lookup { asker, question, key } = *lookup;
            let key = Sha1Digest(key.0);
            self.told.push_back(Told::Peers { asker, question, key, addrs });
        }
    }

    pub(super) fn done(&mut self, search: SearchId) {
        if let Some(Lookup { asker, question, key }) = self.lookups.remove(&search) {
            self.by_key.remove(&(asker, key));
            let key = Sha1Digest(key.0);
            self.told.push_back(Told::Done { asker, question, key });
        }
    }
}

impl Net {
    /// A network in which nobody is, beside another one.
    pub(crate) fn beside(seed: u64, map: u64, conditions: Conditions) -> Net {
        let mut net = Net::empty(seed, conditions);
        net.driven = Some(Box::new(Driven {
            map,
            lookups: BTreeMap::new(),
            by_key: HashMap::new(),
            calls: HashMap::new(),
            told: VecDeque::new(),
            parts: Vec::new(),
            is_split: false,
        }));
        net
    }

    fn driven(&mut self) -> &mut Driven {
        self.driven.as_mut().expect("it is beside another network")
    }

    /// Somebody joins.
    pub(crate) fn join_beside(&mut self, now: Instant, ip: IpAddr, behind_nat: bool, part: bool) {
        self.now = now;
        self.driven().parts.push(part);
        let at = self.add_honest(SocketAddr::new(ip, PORT));
        self.put_behind_nat(at, behind_nat);
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.next()
    }

    /// It happens.
    pub(crate) fn advance(&mut self) {
        self.step(Instant::from_nanos(u64::MAX));
    }

    /// Somebody is gone without a word.
    pub(crate) fn die(&mut self, at: NodeIndex) {
        self.hosts[at.index()].alive = false;
    }

    /// The network is split, or mended.
    pub(crate) fn split(&mut self, is_split: bool) {
        self.driven().is_split = is_split;
    }

    /// Somebody lets himself be found at a key, or no longer.
    pub(crate) fn announce_at(
        &mut self,
        now: Instant,
        at: NodeIndex,
        key: Sha1Digest,
        port: Option<u16>,
    ) {
        self.now = now;
        let info_hash = NodeId(key.0);
        let input = match port {
            Some(port) => {
                let announce = Some(Announce { port: Some(port), seed: false });
                Input::Want { info_hash, announce }
            }
            None => Input::Forget { info_hash },
        };
        self.tell(at, input);
    }

    /// Somebody looks up who is at a key.
    pub(crate) fn look_up(
        &mut self,
        now: Instant,
        asker: NodeIndex,
        question: u64,
        key: Sha1Digest,
    ) {
        self.now = now;
        let search = SearchId(self.next_search);
        self.next_search += 1;
        let key = NodeId(key.0);
        let driven = self.driven();
        driven.lookups.insert(search, Lookup { asker, question, key });
        driven.by_key.insert((asker, key), question);
        self.tell(asker, Input::Search { search, goal: Goal::Peers(key) });
    }

    /// Somebody has found what he looked for.
    pub(crate) fn stop_looking(&mut self, now: Instant, question: u64) {
        self.now = now;
        let driven = self.driven();
        let theirs = driven.lookups.iter().filter(|(_, lookup)| lookup.question == question);
        let theirs: Vec<_> = theirs.map(|(search, lookup)| (*search, *lookup)).collect();
        for (search, Lookup { asker, key, .. }) in theirs {
            let driven = self.driven();
            driven.lookups.remove(&search);
            driven.by_key.remove(&(asker, key));
            self.tell(asker, Input::Cancel(search));
        }
    }

    /// What has become of lookups, in order.
    pub(crate) fn told(&mut self) -> Option<Told> {
        self.driven().told.pop_front()
    }
}
