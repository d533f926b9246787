//! The hosts' nodes of the DHT: the machines that the daemon drives, and datagrams between them as bytes.
//!
//! Datagrams take as long as everything else from one host to another; they are few and small, so they
//! wait for no line, and none is lost. A host that cannot be called is reached by those whom it has
//! called first, as behind most routers.

use super::World;
use crate::host::{TORRENT, host_at};
use crate::queue::Event;
use crate::units::HostId;
use althing_base::{Instant, Machine, Seed};
use althing_dht::wire::{Message, ParseError};
use althing_dht::{Config, Dht, Input, NodeId, Output};
use althing_router::{self as router, DhtWish};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// A host's node.
pub(crate) struct Node {
    machine: Dht,
    /// When it is going to be woken.
    wake: Option<Instant>,
    /// Whom it has sent something.
    called: BTreeSet<IpAddr>,
}

/// A datagram on its way.
pub(super) struct Datagram {
    from: SocketAddr,
    to: HostId,
    addr: SocketAddr,
    bytes: Vec<u8>,
}

impl Node {
    /// A node that knows its own address, and nobody.
    pub(crate) fn new(now: Instant, ip: IpAddr, seed: Seed) -> Self {
        let config = Config { v6: false, ..Config::new(seed.fork("dht", 0)) };
        let mut machine = Dht::new(now, config);
        machine.handle_input(now, Input::External(ip));
        Node { machine, wake: None, called: BTreeSet::new() }
    }
}

impl World {
    /// A host's program has started: its node says whether it can be called, and looks for others.
    pub(super) fn join_dht(&mut self, id: HostId) {
        let reachable = self.hosts[id.index()].plan.reachable;
        self.tell_dht(id, Input::Reachable(reachable));
        self.set_dht_alarm(id);
    }

    /// What a host's router wants of its node.
    pub(super) fn find_in_dht(&mut self, id: HostId, info_hash: NodeId, wish: DhtWish) {
        self.tell_dht(
            id,
            match wish {
                DhtWish::Want(announce) => Input::Want { info_hash, announce },
                DhtWish::Hurry => Input::Hurry { info_hash },
                DhtWish::Forget => Input::Forget { info_hash },
            },
        );
    }

    /// A peer has told a host where its node is.
    pub(super) fn dht_node(&mut self, id: HostId, addr: SocketAddr) {
        self.tell_dht(id, Input::Contacts(vec![addr]));
    }

    fn tell_dht(&mut self, id: HostId, input: Input) {
        let now = self.now;
        let Some(node) = &mut self.host(id).dht else { return };
        node.machine.handle_input(now, input);
        self.drain_dht(id);
    }

    fn drain_dht(&mut self, id: HostId) {
        let mut needs_contacts = false;
        while let Some(output) =
            self.host(id).dht.as_mut().and_then(|node| node.machine.poll_output())
        {
            match output {
                Output::Send { to, message } => self.send_datagram(id, to, &message),
                Output::Peers { peers, .. } => {
                    let found = router::Input::FoundInDht { torrent: TORRENT, peers };
                    self.host(id).inbox.push_back(found);
                }
                Output::NeedContacts => needs_contacts = true,
                // Nobody crawls here.
                Output::Crawled { .. } => {}
                Output::External { addr, .. } => {
                    if addr != self.hosts[id.index()].addr() {
                        self.violated(id, || format!("is told that it is at {addr}"));
                    }
                }
                // Nothing is searched for but peers.
                Output::Found { .. } | Output::Done { .. } => {}
            }
        }
        if needs_contacts {
            let first = self.hosts.iter().find(|host| host.dht.is_some() && host.id != id);
            let contacts: Vec<SocketAddr> = first.map(|host| host.addr()).into_iter().collect();
            self.tell_dht(id, Input::Contacts(contacts));
        }
        self.set_dht_alarm(id);
    }

    fn set_dht_alarm(&mut self, id: HostId) {
        let now = self.now;
        let Some(node) = &mut self.host(id).dht else { return };
        let Some((at, _)) = node.machine.poll_timeout() else { return };
        let at = at.max(now);
        if node.wake.is_none_or(|wake| at < wake) {
            node.wake = Some(at);
            self.queue.at(at, Event::WakeDht(id));
        }
    }

    pub(super) fn wake_dht(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host(id);
        let Some(node) = host.dht.as_mut().filter(|node| node.wake == Some(now)) else { return };
        node.wake = None;
        let due = node.machine.poll_timeout().filter(|(at, _)| *at <= now);
        if let Some((_, reason)) = due {
            node.machine.handle_timeout(now);
            host.count_wake(now, reason);
        }
        self.drain_dht(id);
        self.settle(id);
    }

    fn send_datagram(&mut self, id: HostId, addr: SocketAddr, message: &Message) {
        let Some(to) = host_at(addr.ip()).filter(|to| to.index() < self.hosts.len()) else {
            return;
        };
        let from = self.host(id).addr();
        if let Some(node) = &mut self.host(id).dht {
            node.called.insert(addr.ip());
        }
        let bytes = message.encode();
        self.datagrams_sent += 1;
        self.datagrams.insert(self.datagrams_sent, Datagram { from, to, addr, bytes });
        let latency = self.network.latency(id, to);
        self.queue.at(self.now + latency, Event::Datagram(self.datagrams_sent));
    }

    pub(super) fn datagram_arrives(&mut self, number: u64) {
        let Some(Datagram { from, to: id, addr, bytes }) = self.datagrams.remove(&number) else {
            return;
        };
        let host = &self.hosts[id.index()];
        let Some(node) = host.dht.as_ref().filter(|_| host.addr() == addr) else { return };
        if !host.plan.reachable && !node.called.contains(&from.ip()) {
            return;
        }
        self.hash.word(self.now.as_nanos());
        self.hash.word(u64::from(id.0) << 8 | 0xfc);
        self.hash.bytes(&bytes);
        let input = match Message::parse(&bytes) {
            Ok(message) => Input::Message { from, message },
            Err(ParseError::BadQuery { transaction, refusal }) => {
                Input::BadQuery { from, transaction, refusal }
            }
            Err(error) => return self.violated(id, || format!("is sent {error}")),
        };
        self.tell_dht(id, input);
        self.settle(id);
    }
}
