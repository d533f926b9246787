//! How the node joins and keeps its tables: contacts that are tried, names that change with the address,
//! questions that keep what is known fresh.

use super::ask::Purpose;
use super::{Dht, family};
use crate::id::NodeId;
use crate::io::{Goal, Output};
use crate::limits::{
    ANNOUNCE_S, CONTACTS_IN_FLIGHT_MAX, CONTACTS_MAX, K, MAINTENANCE_S, NEED_CONTACTS_S,
    SELF_LOOKUP_S,
};
use crate::search::Owner;
use crate::wire::{Node, Query, Want};
use althing_base::Instant;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What is to be tried, and when.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Addresses where there may be nodes.
    contacts: VecDeque<SocketAddr>,
    at: Instant,
    /// When to ask for contacts, if nobody is known by then, and how long to wait after that.
    need_at: Instant,
    need_s: u64,
}

/// Lookups of random names after joining: they fill the table's wide buckets, and show how many
/// nodes there are.
const FIRST_LOOKUPS: usize = 4;

impl Upkeep {
    pub(super) fn new(now: Instant, contacts: impl Iterator<Item = SocketAddr>) -> Self {
        let contacts: VecDeque<_> = contacts.take(CONTACTS_MAX).collect();
        let patience = if contacts.is_empty() { 0 } else { NEED_CONTACTS_S.0 };
        let need_at = now + Duration::from_secs(patience);
        Upkeep { contacts, at: now, need_at, need_s: NEED_CONTACTS_S.0 }
    }

    /// When there is something to do.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Addresses to be tried; those that come when there are too many are not.
    pub(super) fn add_contacts(&mut self, addrs: impl Iterator<Item = SocketAddr>) {
        for addr in addrs {
            let is_possible = addr.port() != 0 && !addr.ip().is_unspecified();
            if self.contacts.len() < CONTACTS_MAX && is_possible && !self.contacts.contains(&addr) {
                self.contacts.push_back(addr);
            }
        }
    }
}

impl Dht {
    /// Asks contacts whether they are nodes, a few at a time.
    pub(super) fn ask_contacts(&mut self, now: Instant) {
        let mut room = CONTACTS_IN_FLIGHT_MAX.saturating_sub(self.questions.checks());
        while room > 0
            && let Some(addr) = self.upkeep.contacts.pop_front()
        {
            let Some(side) = &self.sides[family(addr)] else { continue };
            if side.table.knows(addr) || self.questions.is_asked(addr) {
                continue;
            }
            let query = Query::FindNode { target: side.table.me(), want: self.want() };
            if self.ask(now, addr, query, Purpose::Check).is_err() {
                self.upkeep.contacts.push_front(addr);
                break;
            }
            room -= 1;
        }
        if !self.upkeep.contacts.is_empty() {
            self.upkeep.at = self.upkeep.at.min(now + Duration::from_secs(1));
        }
    }

    /// Asks a node that asked us whether it is there. Now or never: most will ask again.
    pub(super) fn check(&mut self, now: Instant, node: Node) {
        if self.questions.checks() < CONTACTS_IN_FLIGHT_MAX && !self.questions.is_asked(node.addr) {
            // If it may not be asked now, so be it.
            let _ = self.ask(now, node.addr, Query::Ping, Purpose::Check);
        }
    }

    /// Somebody named nodes: those that there is a great lack of are tried.
    pub(super) fn consider(&mut self, nodes: &[Node]) {
        for node in nodes {
            if let Some(side) = &self.sides[family(node.addr)]
                && side.table.len() < K
                && side.table.has_place(*node)
            {
                self.upkeep.add_contacts(std::iter::once(node.addr));
            }
        }
    }

    /// A node has answered: the next contacts may be tried, and the network may be joined.
    pub(super) fn after_answer(&mut self, now: Instant, at: usize) {
        self.upkeep.need_s = NEED_CONTACTS_S.0;
        self.ask_contacts(now);
        let Some(side) = &mut self.sides[at] else { return };
        if side.joined || side.table.is_empty() {
            return;
        }
        side.joined = true;
        side.self_lookup_at = now + Duration::from_secs(SELF_LOOKUP_S);
        let me = side.table.me();
        self.start_search(now, Owner::Table, Goal::Nodes(me), None);
        for _ in 0..FIRST_LOOKUPS {
            let target = NodeId::random(&mut self.rng);
            self.start_search(now, Owner::Table, Goal::Nodes(target), None);
        }
    }

    /// Keeps the tables fresh, a question at a time.
    pub(super) fn keep_up(&mut self, now: Instant) {
        self.upkeep.at = Instant::from_nanos(u64::MAX);
        self.ask_contacts(now);
        if !self.knows_anybody() {
            if now >= self.upkeep.need_at && self.questions.checks() == 0 {
                self.outputs.push_back(Output::NeedContacts);
                self.upkeep.need_at = now + Duration::from_secs(self.upkeep.need_s);
                self.upkeep.need_s = (2 * self.upkeep.need_s).min(NEED_CONTACTS_S.1);
            }
            let next = self.upkeep.need_at.max(now + Duration::from_secs(1));
            self.upkeep.at = self.upkeep.at.min(next);
            // Who did not answer for long may be back.
            for at in 0..self.sides.len() {
                let Some(side) = &mut self.sides[at] else { continue };
                side.joined = false;
                let nodes = side.table.nearest(&side.table.me(), CONTACTS_IN_FLIGHT_MAX, true);
                self.upkeep.add_contacts(nodes.into_iter().map(|node| node.addr));
            }
        }
        let soonest = now + Duration::from_secs(MAINTENANCE_S);
        for at in 0..self.sides.len() {
            self.keep_side_up(now, at);
            if let Some(side) = &self.sides[at]
                && let Some(questionable_at) = side.table.questionable_at()
            {
                let next = questionable_at.min(side.self_lookup_at).max(soonest);
                self.upkeep.at = self.upkeep.at.min(next);
            }
        }
    }

    fn keep_side_up(&mut self, now: Instant, at: usize) {
        let want = self.want();
        let Some(side) = &mut self.sides[at] else { return };
        if side.table.is_empty() {
            return;
        }
        if let Some((node, target)) = side.table.questionable(now, &mut self.rng)
            && !self.questions.is_asked(node.addr)
        {
            let query = Query::FindNode { target, want };
            // It stays questionable, so its turn comes again.
            let _ = self.ask(now, node.addr, query, Purpose::Check);
        }
        let Some(side) = &mut self.sides[at] else { return };
        if now >= side.self_lookup_at {
            side.self_lookup_at = now + Duration::from_secs(SELF_LOOKUP_S);
            let me = side.table.me();
            self.start_search(now, Owner::Table, Goal::Nodes(me), None);
            let target = NodeId::random(&mut self.rng);
            self.start_search(now, Owner::Table, Goal::Nodes(target), None);
        }
    }

    /// Our address is known: our name has to fit it (BEP 42).
    pub(super) fn external(&mut self, now: Instant, ip: IpAddr) {
        let ip = ip.to_canonical();
        let Some(side) = &mut self.sides[usize::from(ip.is_ipv6())] else { return };
        if side.table.me().fits(ip) {
            return;
        }
        side.table.rename(NodeId::for_address(ip, &mut self.rng));
        side.self_lookup_at = now;
        self.upkeep.at = now;
    }

    /// We are on another network: nobody may be where he was, and others may not know where we are.
    pub(super) fn network_changed(&mut self, now: Instant) {
        for side in self.sides.iter_mut().flatten() {
            side.table.doubt_all();
            side.self_lookup_at = now;
        }
        self.upkeep.at = now;
        self.upkeep.need_at = now;
        self.upkeep.need_s = NEED_CONTACTS_S.0;
        self.recent.clear();
        self.wanted.restart(now, Duration::from_secs(ANNOUNCE_S / 6), &mut self.rng);
    }

    /// Of which families nodes are wanted: of those that we are in, said aloud if they are two.
    fn want(&self) -> Want {
        let both = self.sides.iter().all(Option::is_some);
        Want { v4: both, v6: both }
    }
}
