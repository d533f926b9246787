//! How much is heard and said: per source in, per node out, and what unproven addresses get.

use crate::id::is_exempt;
use crate::limits::{
    BANNED_MAX, IN_BAN_S, IN_WINDOW_S, LARGE_ANSWERS_PER_S, OUT_NODES_MAX, OUT_QUESTIONS_PER_S,
    REFUSALS_PER_S, SHORT_ANSWERS_PER_S, SOURCES_MAX, STRANGER_ANSWERS_PER_S,
};
use crate::manners::Manners;
use althing_base::{Instant, TokenBucket};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What comes in: who says too much is not heard for a while, as libtorrent does it.
#[derive(Debug)]
pub(crate) struct Incoming {
    per_source: u16,
    counts: BTreeMap<Place, u16>,
    window_until: Instant,
    /// Whoever makes way has made it: the others that are counted go on being so until the window ends.
    crowded: bool,
    banned: BTreeMap<Place, Instant>,
    strangers: TokenBucket,
    short: TokenBucket,
    refusals: TokenBucket,
    large: TokenBucket,
}

/// How much an address gets that has not proven itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// An answer of up to [`REFLECTION_MAX`](crate::limits::REFLECTION_MAX) times the question.
    Whole,
    /// One of up to [`REFLECTION_SHORT_MAX`](crate::limits::REFLECTION_SHORT_MAX) times the question.
    Short,
    /// None.
    Silence,
}

/// An address in 18 bytes: thousands may be counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place([u8; 16], [u8; 2]);

impl Place {
    fn new(ip: IpAddr, port: u16) -> Self {
        let ip = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Place(ip.octets(), port.to_be_bytes())
    }
}

/// Sources are addresses; at home, where one may be many nodes, with their ports.
fn source(addr: SocketAddr) -> Place {
    let port = if is_exempt(addr.ip()) { addr.port() } else { 0 };
    Place::new(addr.ip(), port)
}

impl Incoming {
    pub(crate) fn new(now: Instant, manners: Manners) -> Self {
        let (strangers, strangers_burst) = STRANGER_ANSWERS_PER_S;
        let (short, short_burst) = SHORT_ANSWERS_PER_S;
        let (refusals, refusals_burst) = REFUSALS_PER_S;
        let (large, large_burst) = LARGE_ANSWERS_PER_S;
        Incoming {
            per_source: manners.in_per_source(),
            counts: BTreeMap::new(),
            window_until: now,
            crowded: false,
            banned: BTreeMap::new(),
            strangers: TokenBucket::new(now, strangers, strangers_burst),
            short: TokenBucket::new(now, short, short_burst),
            refusals: TokenBucket::new(now, refusals, refusals_burst),
            large: TokenBucket::new(now, large, large_burst),
        }
    }

    /// Whether a message from `from` is to be looked at. A source that goes on while it is not
    /// heard has to wait anew.
    pub(crate) fn is_heard(&mut self, now: Instant, from: SocketAddr) -> bool {
        let source = source(from);
        if now >= self.window_until {
            self.counts.clear();
            self.crowded = false;
            self.window_until = now + Duration::from_secs(IN_WINDOW_S);
        }
        if let Some(until) = self.banned.get(&source) {
            if now < *until {
                return false;
            }
            self.banned.remove(&source);
        }
        if self.counts.len() >= SOURCES_MAX && !self.counts.contains_key(&source) {
            if !self.crowded {
                // Forged senders, for the most part, are heard once; who floods stays.
                self.counts.retain(|_, count| *count > 1);
                self.crowded = self.counts.len() > SOURCES_MAX / 2;
            }
            if self.counts.len() >= SOURCES_MAX {
                return true;
            }
        }
        let count = self.counts.entry(source).or_default();
        *count += 1;
        if *count <= self.per_source {
            return true;
        }
        if self.banned.len() >= BANNED_MAX {
            let first = self.banned.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(source, _)| *source) {
                self.banned.remove(&first);
            }
        }
        self.banned.insert(source, now + Duration::from_secs(IN_BAN_S));
        self.counts.remove(&source);
        false
    }

    /// What an address is given that has not proven itself.
    pub(crate) fn leave_for_stranger(&mut self, now: Instant) -> Leave {
        if self.strangers.take(now, 1) {
            Leave::Whole
        } else if self.short.take(now, 1) {
            Leave::Short
        } else {
            Leave::Silence
        }
    }

    /// Whether it is told that it is refused.
    pub(crate) fn may_refuse(&mut self, now: Instant) -> bool {
        self.refusals.take(now, 1)
    }

    /// Whether it gets an answer that is longer than usual.
    pub(crate) fn may_answer_at_length(&mut self, now: Instant) -> bool {
        self.large.take(now, 1)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.counts.len() + self.banned.len()
    }
}

/// Why a node cannot be asked now, and when to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// It has been asked much lately.
    Node(Instant),
    /// All together have been.
    All(Instant),
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    per_node: (u64, u64),
    /// When each node may be asked again, with the questions so far paid for in advance: the time until
    /// which its rate is used up (a leaky bucket in one number).
    nodes: BTreeMap<Place, Instant>,
    /// With so many, those are looked for that may be forgotten.
    forget_at: usize,
    all: TokenBucket,
}

/// With how many nodes it first looks for those that may be forgotten.
const FORGET_AT_LEAST: usize = 32;

impl Outgoing {
    pub(crate) fn new(now: Instant, manners: Manners) -> Self {
        let (rate, burst) = OUT_QUESTIONS_PER_S;
        let all = TokenBucket::new(now, rate, burst);
        let per_node = manners.out_per_node();
        Outgoing { per_node, nodes: BTreeMap::new(), forget_at: FORGET_AT_LEAST, all }
    }

    /// Takes leave to ask a node.
    ///
    /// # Errors
    /// When to try again.
    pub(crate) fn take(&mut self, now: Instant, to: SocketAddr) -> Result<(), Held> {
        let (rate, burst) = self.per_node;
        let each = Duration::from_secs(1) / rate as u32;
        let ahead = each * (burst as u32 - 1);
        let to = Place::new(to.ip(), to.port());
        let used = self.nodes.get(&to).copied().unwrap_or(now).max(now);
        // A clock that jumped back must not silence us.
        let used = used.min(now + ahead + each);
        if used.since(now) > ahead {
            return Err(Held::Node(now + (used.since(now) - ahead)));
        }
        if !self.all.take(now, 1) {
            return Err(Held::All(now + Duration::from_millis(20)));
        }
        if self.nodes.len() >= self.forget_at {
            self.sweep(now);
            // Twice as many, so that looking costs little however many there are.
            self.forget_at = (2 * self.nodes.len()).clamp(FORGET_AT_LEAST, OUT_NODES_MAX);
            if self.nodes.len() >= OUT_NODES_MAX {
                return Err(Held::All(now + each));
            }
        }
        self.nodes.insert(to, used + each);
        Ok(())
    }

    /// Forgets nodes that may be asked again anyhow.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.nodes.retain(|_, used| *used > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::IN_PER_SOURCE_MAX;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    fn addr(n: u32, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::from((n + 0x0800_0000).to_be_bytes()), port)
    }

    #[test]
    fn who_says_too_much_is_not_heard_for_five_minutes_whatever_his_port() {
        let mut incoming = Incoming::new(at(0), Manners::Public);
        let heard = (0..1_000u16).filter(|n| incoming.is_heard(at(0), addr(1, *n))).count();
        assert_eq!(heard, usize::from(IN_PER_SOURCE_MAX));
        assert!(incoming.is_heard(at(0), addr(2, 1)));
        assert!(!incoming.is_heard(at(299_999), addr(1, 1)));
        assert!(incoming.is_heard(at(300_000), addr(1, 1)));
    }

    #[test]
    fn what_libtorrent_bears_is_borne() {
        let mut incoming = Incoming::new(at(0), Manners::Public);
        assert!((0..1_000).all(|n| incoming.is_heard(at(n * 200 + 1), addr(1, 1))));
    }

    #[test]
    fn a_million_sources_take_no_memory() {
        let mut incoming = Incoming::new(at(0), Manners::Public);
        for n in 0..100_000 {
            incoming.is_heard(at(n / 20), addr(n as u32, 1));
        }
        assert!(incoming.len() <= SOURCES_MAX + BANNED_MAX);
    }

    /// A flood of forged senders does not hide who floods under his own address.
    #[test]
    fn who_says_too_much_is_found_among_a_million_sources() {
        let mut incoming = Incoming::new(at(0), Manners::Public);
        let flooder = |n: u64| n.is_multiple_of(10);
        let heard = (0..200_000u64)
            .filter(|n| {
                let from = if flooder(*n) { 1 } else { 1_000 + *n as u32 };
                incoming.is_heard(at(n / 20), addr(from, 1)) && flooder(*n)
            })
            .count();
        assert!(heard <= 2 * usize::from(IN_PER_SOURCE_MAX), "{heard}");
    }

    #[test]
    fn strangers_get_less_and_then_nothing() {
        let mut incoming = Incoming::new(at(0), Manners::Public);
        let leaves: Vec<_> = (0..20_000).map(|n| incoming.leave_for_stranger(at(n / 20))).collect();
        let count = |leave| leaves.iter().filter(|given| **given == leave).count() as u64;
        let most = |(rate, burst): (u64, u64)| rate + burst;
        assert!((2_000..=most(STRANGER_ANSWERS_PER_S)).contains(&count(Leave::Whole)));
        assert!((8_000..=most(SHORT_ANSWERS_PER_S)).contains(&count(Leave::Short)));
        assert!(count(Leave::Silence) > 0);
    }

    #[test]
    fn a_node_is_asked_less_than_libtorrent_blocks() {
        let public = asked_in_10_s(Manners::Public);
        assert!((20..usize::from(IN_PER_SOURCE_MAX)).contains(&public), "{public} in 10 s");
        // In a group's own DHT, too: some of it may run libtorrent.
        let group = asked_in_10_s(Manners::Group);
        assert!((40..usize::from(IN_PER_SOURCE_MAX)).contains(&group), "{group} in 10 s");
    }

    /// The most questions to one node in any ten seconds of a minute.
    fn asked_in_10_s(manners: Manners) -> usize {
        let mut outgoing = Outgoing::new(at(0), manners);
        let mut most = 0;
        let mut asked = Vec::new();
        for n in 0..60_000u64 {
            if outgoing.take(at(n), addr(1, 1)).is_ok() {
                asked.push(n);
            }
        }
        for start in &asked {
            let within = asked.iter().filter(|n| (*start..start + 10_000).contains(n)).count();
            most = most.max(within);
        }
        most
    }

    #[test]
    fn leave_comes_when_it_was_said() {
        let mut outgoing = Outgoing::new(at(0), Manners::Public);
        let mut now = at(0);
        for _ in 0..100 {
            match outgoing.take(now, addr(1, 1)) {
                Ok(()) => {}
                Err(Held::All(_)) => panic!("only one is asked"),
                Err(Held::Node(until)) => {
                    assert!(until > now);
                    now = until;
                    assert_eq!(outgoing.take(now, addr(1, 1)), Ok(()));
                }
            }
        }
    }
}
