//! What others say that our address is, of one family.
//!
//! Each hand (a /16 or /32, and our router) has one vote, its latest. An address is ours when enough
//! hands name it and more than half of all do; it stays so until another is, or nobody is left who says
//! anything.

use super::address::Hand;
use super::limits::{AGREE_MIN, VOTE_LASTS, VOTERS_MAX};
use althing_base::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Clone, Copy, Debug)]
struct Vote {
    ip: IpAddr,
    /// The port that our datagrams came from, if the voter said it.
    port: Option<u16>,
    at: Instant,
}

/// From which ports our datagrams arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ports {
    /// Too few have said.
    #[default]
    Unknown,
    /// Everybody sees the same one: a hole that is made towards one peer can be used by others' packets.
    Steady(u16),
    /// Each sees another one (a symmetric NAT): holes can be made only towards those who take packets
    /// from any port.
    Varying,
}

/// How the votes stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Our address, if it is settled.
    pub ip: Option<IpAddr>,
    /// Hands that say so.
    pub agree: usize,
    /// Hands that say something else.
    pub differ: usize,
    /// From which ports our datagrams arrive.
    pub ports: Ports,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Votes {
    by: BTreeMap<Hand, Vote>,
    settled: Option<IpAddr>,
}

impl Votes {
    /// A hand says something.
    pub(super) fn hear(&mut self, now: Instant, hand: Hand, ip: IpAddr, port: Option<u16>) {
        // Who leaves the port out has not taken back what it said of it, unless the address changed.
        let before = self.by.get(&hand).filter(|vote| vote.ip == ip).and_then(|vote| vote.port);
        if !self.by.contains_key(&hand) && self.by.len() >= VOTERS_MAX {
            let others = self.by.iter().filter(|(hand, _)| **hand != Hand::Router);
            let oldest = others.min_by_key(|(_, vote)| vote.at).map(|(hand, _)| *hand);
            oldest.map(|hand| self.by.remove(&hand));
        }
        self.by.insert(hand, Vote { ip, port: port.or(before), at: now });
        self.settle();
    }

    /// A hand says nothing any more.
    pub(super) fn silence(&mut self, hand: Hand) {
        self.by.remove(&hand);
        self.settle();
    }

    /// Forgets all: we are elsewhere.
    pub(super) fn clear(&mut self) {
        self.by.clear();
        self.settled = None;
    }

    /// Forgets what was said too long ago; our router takes its word back itself. A clock that goes back
    /// makes nothing old.
    pub(super) fn expire(&mut self, now: Instant) {
        self.by.retain(|hand, vote| *hand == Hand::Router || now.since(vote.at) < VOTE_LASTS);
        self.settle();
    }

    /// When the next vote will be too old.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        let others = self.by.iter().filter(|(hand, _)| **hand != Hand::Router);
        others.map(|(_, vote)| vote.at + VOTE_LASTS).min()
    }

    fn settle(&mut self) {
        if self.by.is_empty() {
            self.settled = None;
        }
        let most = most(self.by.values().map(|vote| vote.ip));
        if let Some((ip, count)) = most
            && count >= AGREE_MIN
            && count * 2 > self.by.len()
        {
            self.settled = Some(ip);
        }
    }

    /// Our address, if it is settled.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.settled
    }

    /// How they stand.
    pub(super) fn tally(&self) -> Tally {
        let said = |vote: &&Vote| Some(vote.ip) == self.settled;
        let agree = self.by.values().filter(said).count();
        let differ = if self.settled.is_some() { self.by.len() - agree } else { 0 };
        Tally { ip: self.settled, agree, differ, ports: self.ports() }
    }

    fn ports(&self) -> Ports {
        let ends = || self.by.values().filter_map(|vote| Some((vote.ip, vote.port?)));
        let all = ends().count();
        match most(ends()) {
            Some(((_, port), count)) if count >= AGREE_MIN && count * 2 > all => {
                Ports::Steady(port)
            }
            Some((_, count)) if all >= AGREE_MIN && count * 2 <= all => Ports::Varying,
            _ => Ports::Unknown,
        }
    }
}

/// What is said most often, and how often; the smallest of equals.
fn most<T: Ord + Copy>(said: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for one in said {
        *counts.entry(one).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(one, count)| (*count, std::cmp::Reverse(*one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, n])
    }

    fn hand(n: u8) -> Hand {
        Hand::V4([40, n])
    }

    fn at(s: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(s)
    }

    #[test]
    fn three_that_agree_settle_it_and_two_do_not() {
        let mut votes = Votes::default();
        votes.hear(at(0), hand(1), ip(7), None);
        votes.hear(at(1), hand(1), ip(7), None);
        votes.hear(at(2), hand(2), ip(7), None);
        assert_eq!(votes.ip(), None);
        votes.hear(at(3), hand(3), ip(7), None);
        let tally = Tally { ip: Some(ip(7)), agree: 3, differ: 0, ports: Ports::Unknown };
        assert_eq!(votes.tally(), tally);
        votes.hear(at(4), hand(4), ip(8), None);
        assert_eq!((votes.tally().agree, votes.tally().differ), (3, 1));
    }

    #[test]
    fn an_address_that_changes_is_noticed_and_votes_wear_off() {
        let mut votes = Votes::default();
        for n in 0..VOTERS_MAX as u8 {
            votes.hear(at(0), hand(n), ip(1), None);
        }
        for n in 100..100 + VOTERS_MAX as u8 / 2 {
            votes.hear(at(60), hand(n), ip(2), None);
            assert_eq!(votes.ip(), Some(ip(1)));
        }
        votes.hear(at(60), hand(200), ip(2), None);
        assert_eq!(votes.ip(), Some(ip(2)));
        votes.expire(at(60) + VOTE_LASTS);
        assert_eq!((votes.ip(), votes.expires_at()), (None, None));
    }

    #[test]
    fn ports_that_are_the_same_for_all_and_ports_that_are_not() {
        let mut votes = Votes::default();
        for n in 0..3 {
            assert_eq!(votes.tally().ports, Ports::Unknown);
            votes.hear(at(0), hand(n), ip(1), Some(7716));
        }
        // A tracker does not know.
        votes.hear(at(0), hand(9), ip(1), None);
        assert_eq!(votes.tally().ports, Ports::Steady(7716));
        let mut votes = Votes::default();
        for n in 0..4 {
            votes.hear(at(0), hand(n), ip(1), Some(1000 + u16::from(n)));
        }
        assert_eq!(votes.tally().ports, Ports::Varying);
        assert_eq!(votes.ip(), Some(ip(1)));
        // Several addresses are no better.
        let mut votes = Votes::default();
        for n in 0..4 {
            votes.hear(at(0), hand(n), ip(n), Some(1000));
        }
        assert_eq!((votes.tally().ports, votes.ip()), (Ports::Varying, None));
    }

    proptest! {
        /// Whoever they are, as long as those who say the truth are more hands than the liars: the truth
        /// is settled or nothing is, and the table is bounded.
        #[test]
        fn liars_that_are_fewer_never_win(
            said in proptest::collection::vec((0u8..7, 0u64..10_000, any::<Option<u16>>()), 1..200),
            lie in 0u8..3,
        ) {
            // Hands 0 to 2 lie, 3 to 6 do not; the clock goes where it wants. All have said something.
            let mut votes = Votes::default();
            let says = |n: u8| if n < 3 { ip(100 + n.min(lie)) } else { ip(1) };
            for n in (0..7).rev() {
                votes.hear(at(0), hand(n), says(n), None);
            }
            for (n, s, port) in said {
                votes.hear(at(s), hand(n), says(n), port);
                prop_assert_eq!(votes.ip(), Some(ip(1)));
                prop_assert!(votes.by.len() <= VOTERS_MAX);
            }
        }

        /// One hand alone never settles anything, whatever it says and however often.
        #[test]
        fn one_liar_never_wins(
            said in proptest::collection::vec((any::<[u8; 2]>(), 0u8..5, any::<u32>()), 1..100),
        ) {
            let mut votes = Votes::default();
            for (host, n, s) in said {
                let liar = IpAddr::from([198, 51, host[0], host[1]]);
                votes.hear(at(s.into()), Hand::of(liar), ip(n), Some(1));
                prop_assert_eq!(votes.ip(), None);
                prop_assert_eq!(votes.tally().ports, Ports::Unknown);
            }
        }
    }
}
