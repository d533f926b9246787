//! The DHT's place on the UDP thread: the machine, and what passes between it and the rest.

use crate::session::shared::Shared;
use althing_base::{Instant, Machine as _, Seed};
use althing_dht::wire::{Message, ParseError};
use althing_dht::{Config, Dht, Input, Output, Saved};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Weak;
use tracing::{debug, trace};

/// What others ask of the DHT.
pub(crate) enum Request {
    /// Nodes that may be there.
    #[expect(dead_code, reason = "the DHT is on its way in")]
    Contacts(Vec<SocketAddr>),
}

/// See the [module](self).
pub(super) struct DhtSide {
    machine: Dht,
    /// Datagrams that are to go.
    out: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl DhtSide {
    pub(super) fn new(now: Instant, seed: Seed, _shared: Weak<Shared>) -> Self {
        DhtSide { machine: Dht::new(now, Config::new(seed)), out: VecDeque::new() }
    }

    /// A datagram came that may be the DHT's.
    pub(super) fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(message) => self.input(now, Input::Message { from, message }),
            Err(ParseError::BadQuery { transaction, refusal }) => {
                self.input(now, Input::BadQuery { from, transaction, refusal });
            }
            Err(error) => trace!(%from, %error, "not a message of the DHT"),
        }
    }

    /// Others ask something.
    pub(super) fn request(&mut self, now: Instant, request: Request) {
        match request {
            Request::Contacts(addrs) => self.input(now, Input::Contacts(addrs)),
        }
    }

    /// This machine has other addresses than before.
    pub(super) fn moved(&mut self, now: Instant) {
        self.input(now, Input::NetworkChanged);
    }

    /// The system says that nobody can be reached there.
    pub(super) fn unreachable(&mut self, now: Instant, addr: SocketAddr) {
        self.input(now, Input::Unreachable { addr });
    }

    /// When to call [`timeout`](Self::timeout).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.machine.poll_timeout().map(|(at, _)| at)
    }

    /// That time has come.
    pub(super) fn timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
        self.drain();
    }

    /// The next datagram that is to go.
    pub(super) fn poll_send(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// What is to be kept for the next run.
    #[expect(dead_code, reason = "the DHT is on its way in")]
    pub(super) fn saved(&self) -> Saved {
        self.machine.save()
    }

    fn input(&mut self, now: Instant, input: Input) {
        self.machine.handle_input(now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { to, message } => self.out.push_back((to, message.encode())),
                Output::Peers { .. }
                | Output::Found { .. }
                | Output::Done { .. }
                | Output::NeedContacts
                | Output::External { .. } => debug!(?output, "the DHT says"),
            }
        }
    }
}
