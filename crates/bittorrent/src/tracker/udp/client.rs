//! The client of UDP trackers (BEP 15): one machine for all torrents and all trackers on one
//! socket.
//!
//! A request to a tracker waits for a connection id, which is asked for once for all that wait and
//! serves for a minute. What is not answered is sent again, with the same transaction id, so that a
//! late answer still counts. An answer is believed only if it comes from the tracker's address and
//! repeats the transaction id that was drawn for it.

use super::packet::{ConnectionId, Request, Response, TransactionId};
use super::{Input, Output, Reason, RequestId, RetryPolicy};
use crate::tracker::limits::{UDP_CONNECTION_LIFE, UDP_CONNECTIONS_MAX, UDP_REQUESTS_MAX};
use crate::tracker::{AnnounceRequest, AnnounceResponse, Family, Retry, TrackerError};
use althing_base::{Instant, Machine, Rng, Seed, Sha1Digest};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The machine; see the [module](super) and [`Input`].
#[derive(Debug)]
pub struct Client {
    policy: RetryPolicy,
    rng: Rng,
    requests: BTreeMap<RequestId, Pending>,
    trackers: BTreeMap<SocketAddr, Tracker>,
    transactions: BTreeMap<TransactionId, Purpose>,
    deadlines: BTreeSet<(Instant, Purpose)>,
    /// When each tracker's connection id expires.
    expiries: BTreeSet<(Instant, SocketAddr)>,
    outputs: VecDeque<Output>,
}

/// What a transaction id or a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Purpose {
    Connect(SocketAddr),
    Request(RequestId),
}

#[derive(Debug)]
struct Pending {
    tracker: SocketAddr,
    kind: Kind,
    transaction: TransactionId,
    /// How many packets of its own or of its tracker's connect have gone unanswered.
    attempt: u32,
    /// When its packet counts as lost; `None` while it waits for a connection id.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    Announce { target: Vec<u8>, request: AnnounceRequest },
    Scrape { info_hashes: Vec<Sha1Digest> },
}

#[derive(Debug, Default)]
struct Tracker {
    /// The connection id and when it expires.
    connection: Option<(ConnectionId, Instant)>,
    /// A connect under way: its transaction and when its packet counts as lost.
    connecting: Option<(TransactionId, Instant)>,
    /// Requests that wait for a connection id.
    waiting: BTreeSet<RequestId>,
    /// Requests to this tracker in all.
    requests: usize,
}

impl Client {
    /// A client that draws its transaction ids from `seed`.
    pub fn new(policy: RetryPolicy, seed: Seed) -> Self {
        Client {
            policy,
            rng: Rng::new(seed),
            requests: BTreeMap::new(),
            trackers: BTreeMap::new(),
            transactions: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            expiries: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// How many requests are under way.
    pub fn requests_pending(&self) -> usize {
        self.requests.len()
    }

    fn request(&mut self, now: Instant, id: RequestId, tracker: SocketAddr, kind: Kind) {
        debug_assert!(!self.requests.contains_key(&id), "{id:?} is used twice");
        if self.requests.len() >= UDP_REQUESTS_MAX {
            self.outputs.push_back(Output::Failed { id, error: TrackerError::TooManyRequests });
            return;
        }
        let tracker = canonical(tracker);
        let transaction = self.draw_transaction(Purpose::Request(id));
        let pending = Pending { tracker, kind, transaction, attempt: 0, deadline: None };
        self.requests.insert(id, pending);
        self.trackers.entry(tracker).or_default().requests += 1;
        self.dispatch(now, id);
    }

    /// Sends a request if its tracker has given a connection id, else makes it wait for one.
    fn dispatch(&mut self, now: Instant, id: RequestId) {
        let Some(pending) = self.requests.get_mut(&id) else { return };
        let Some(tracker) = self.trackers.get_mut(&pending.tracker) else { return };
        match tracker.connection.filter(|(_, expires)| now < *expires) {
            Some((connection, _)) => {
                let deadline = now + self.policy.timeout(pending.attempt);
                pending.deadline = Some(deadline);
                self.deadlines.insert((deadline, Purpose::Request(id)));
                let packet = pending.packet(connection);
                self.outputs.push_back(Output::Send { to: pending.tracker, packet });
            }
            None => {
                tracker.waiting.insert(id);
                if tracker.connecting.is_none() {
                    let addr = pending.tracker;
                    let transaction = self.draw_transaction(Purpose::Connect(addr));
                    self.send_connect(now, addr, transaction);
                }
            }
        }
    }

    /// Sends a connect, to be repeated as patiently as the most patient of those that wait for it.
    fn send_connect(&mut self, now: Instant, addr: SocketAddr, transaction: TransactionId) {
        let Some(tracker) = self.trackers.get_mut(&addr) else { return };
        let attempts = tracker.waiting.iter().filter_map(|id| self.requests.get(id));
        let attempt = attempts.map(|pending| pending.attempt).max().unwrap_or_default();
        let deadline = now + self.policy.timeout(attempt);
        tracker.connecting = Some((transaction, deadline));
        self.deadlines.insert((deadline, Purpose::Connect(addr)));
        let packet = Request::Connect { transaction }.encode();
        self.outputs.push_back(Output::Send { to: addr, packet });
    }

    fn draw_transaction(&mut self, purpose: Purpose) -> TransactionId {
        // Far fewer are in use than there are numbers, so a free one is found soon.
        loop {
            let transaction = self.rng.next_u32();
            if let Entry::Vacant(free) = self.transactions.entry(transaction) {
                free.insert(purpose);
                return transaction;
            }
        }
    }

    fn packet(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let from = canonical(from);
        let Some(response) = Response::parse(packet, Family::of(from.ip())) else { return };
        match (self.transactions.get(&response.transaction()), response) {
            (Some(&Purpose::Connect(addr)), response) if addr == from => match response {
                Response::Connect { connection, .. } => self.connected(now, addr, connection),
                Response::Error { message, .. } => self.connect_refused(addr, &message),
                Response::Announce { .. } | Response::Scrape { .. } => {}
            },
            (Some(&Purpose::Request(id)), response) => self.answered(id, from, response),
            _ => {}
        }
    }

    fn connected(&mut self, now: Instant, addr: SocketAddr, connection: ConnectionId) {
        self.end_connect(addr);
        let Some(tracker) = self.trackers.get_mut(&addr) else { return };
        let waiting = std::mem::take(&mut tracker.waiting);
        let expires = now + UDP_CONNECTION_LIFE;
        if let Some((_, old)) = tracker.connection.replace((connection, expires)) {
            self.expiries.remove(&(old, addr));
        }
        self.expiries.insert((expires, addr));
        for id in waiting {
            self.dispatch(now, id);
        }
        if self.expiries.len() > UDP_CONNECTIONS_MAX
            && let Some((_, oldest)) = self.expiries.pop_first()
        {
            self.expire(oldest);
        }
    }

    fn connect_refused(&mut self, addr: SocketAddr, message: &str) {
        self.end_connect(addr);
        let waiting = self.trackers.get(&addr).map(|tracker| tracker.waiting.clone());
        for id in waiting.into_iter().flatten() {
            self.fail(id, refused(message));
        }
    }

    fn end_connect(&mut self, addr: SocketAddr) {
        if let Some(tracker) = self.trackers.get_mut(&addr)
            && let Some((transaction, deadline)) = tracker.connecting.take()
        {
            self.transactions.remove(&transaction);
            self.deadlines.remove(&(deadline, Purpose::Connect(addr)));
        }
    }

    fn answered(&mut self, id: RequestId, from: SocketAddr, response: Response) {
        let Some(pending) = self.requests.get(&id).filter(|pending| pending.tracker == from) else {
            return;
        };
        // An answer while the request waits for a new connection id is a late one; it counts.
        let output = match (&pending.kind, response) {
            (
                Kind::Announce { .. },
                Response::Announce { interval, leechers, seeders, peers, .. },
            ) => Output::Announced {
                id,
                response: AnnounceResponse {
                    peers,
                    interval: (!interval.is_zero()).then_some(interval),
                    seeders: Some(seeders),
                    leechers: Some(leechers),
                    ..AnnounceResponse::default()
                },
            },
            (Kind::Scrape { .. }, Response::Scrape { entries, .. }) => {
                Output::Scraped { id, entries }
            }
            (_, Response::Error { message, .. }) => {
                // It may mean that the tracker has lost our connection id.
                if let Some(tracker) = self.trackers.get_mut(&from)
                    && let Some((_, expires)) = tracker.connection.take()
                {
                    self.expiries.remove(&(expires, from));
                }
                Output::Failed { id, error: refused(&message) }
            }
            _ => return,
        };
        self.remove(id);
        self.outputs.push_back(output);
    }

    fn fail(&mut self, id: RequestId, error: TrackerError) {
        if self.remove(id) {
            self.outputs.push_back(Output::Failed { id, error });
        }
    }

    /// Forgets a request and, if nothing else is known of it, its tracker.
    fn remove(&mut self, id: RequestId) -> bool {
        let Some(pending) = self.requests.remove(&id) else { return false };
        self.transactions.remove(&pending.transaction);
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, Purpose::Request(id)));
        }
        if let Some(tracker) = self.trackers.get_mut(&pending.tracker) {
            tracker.waiting.remove(&id);
            tracker.requests -= 1;
            if tracker.waiting.is_empty() {
                self.end_connect(pending.tracker);
            }
            self.forget_if_unused(pending.tracker);
        }
        true
    }

    fn forget_if_unused(&mut self, addr: SocketAddr) {
        let unused = |tracker: &Tracker| tracker.requests == 0 && tracker.connection.is_none();
        if self.trackers.get(&addr).is_some_and(unused) {
            self.trackers.remove(&addr);
        }
    }

    fn expire(&mut self, addr: SocketAddr) {
        if let Some(tracker) = self.trackers.get_mut(&addr) {
            tracker.connection = None;
        }
        self.forget_if_unused(addr);
    }

    fn connect_lost(&mut self, now: Instant, addr: SocketAddr) {
        let Some(tracker) = self.trackers.get(&addr) else { return };
        let Some((transaction, _)) = tracker.connecting else { return };
        for id in tracker.waiting.clone() {
            self.lost(id);
        }
        if self.trackers.get(&addr).is_some_and(|tracker| !tracker.waiting.is_empty()) {
            self.send_connect(now, addr, transaction);
        }
    }

    /// Counts a packet as lost; says whether the request goes on.
    fn lost(&mut self, id: RequestId) -> bool {
        let Some(pending) = self.requests.get_mut(&id) else { return false };
        pending.attempt += 1;
        if pending.attempt >= self.policy.attempts {
            self.fail(id, TrackerError::TimedOut);
            return false;
        }
        pending.deadline = None;
        true
    }
}

impl Pending {
    fn packet(&self, connection: ConnectionId) -> Vec<u8> {
        let transaction = self.transaction;
        let request = match &self.kind {
            Kind::Announce { target, request } => Request::Announce {
                connection,
                transaction,
                request: request.clone(),
                target: target.clone(),
            },
            Kind::Scrape { info_hashes } => {
                Request::Scrape { connection, transaction, info_hashes: info_hashes.clone() }
            }
        };
        request.encode()
    }
}

impl Machine for Client {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.outputs.is_empty(), "drained before the next input");
        match input {
            Input::Announce { id, tracker, target, request } => {
                self.request(now, id, tracker, Kind::Announce { target, request });
            }
            Input::Scrape { id, tracker, info_hashes } => {
                self.request(now, id, tracker, Kind::Scrape { info_hashes });
            }
            Input::Cancel { id } => {
                self.remove(id);
            }
            Input::Packet { from, packet } => self.packet(now, from, &packet),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        debug_assert!(self.outputs.is_empty(), "drained before the next input");
        while let Some(&(at, purpose)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, purpose));
            match purpose {
                Purpose::Connect(addr) => self.connect_lost(now, addr),
                Purpose::Request(id) => {
                    if self.lost(id) {
                        self.dispatch(now, id);
                    }
                }
            }
        }
        while let Some(&(at, addr)) = self.expiries.first() {
            if at > now {
                break;
            }
            self.expiries.remove(&(at, addr));
            self.expire(addr);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let expiry = self.expiries.first().map(|&(at, _)| (at, Reason::Expiry));
        let deadline = self.deadlines.first().map(|&(at, purpose)| match purpose {
            Purpose::Connect(_) => (at, Reason::Connect),
            Purpose::Request(_) => (at, Reason::Request),
        });
        expiry.into_iter().chain(deadline).min()
    }
}

/// An IPv4 address that a socket for both families shows in IPv6 clothing is an IPv4 address.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, addr.port()).into(),
        IpAddr::V6(ip) => {
            // The scope tells link-local networks apart; the flow label means nothing here.
            let scope = if let SocketAddr::V6(addr) = addr { addr.scope_id() } else { 0 };
            SocketAddrV6::new(ip, addr.port(), 0, scope).into()
        }
    }
}

fn refused(message: &str) -> TrackerError {
    TrackerError::Refused { reason: message.to_owned(), retry: Retry::Unsaid }
}

#[cfg(test)]
mod tests;
