//! All connections over one socket.

use super::conn::{Conn, microseconds};
use super::io::{CloseReason, Config, ConnId, Input, Output, Reason};
use super::limits::{HEADER_BYTES, INCOMING_PER_SOURCE_MAX};
use super::outbox::Outbox;
use super::packet::{Header, Kind, Packet};
use super::seq::Seq;
use super::strangers::{Key, Source, Strangers};
use althing_base::{Instant, Machine, Rng, Seed};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

/// What has happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Connections there are, those that say goodbye included.
    pub connections: usize,
    /// Datagrams that came.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Bytes that were sent, headers of uTP included.
    pub bytes_sent: u64,
    /// Datagrams that were no packets.
    pub malformed: u64,
    /// Opening packets that came.
    pub openings: u64,
    /// Of which were answered.
    pub openings_answered: u64,
    /// Packets that belonged to no connection.
    pub strays: u64,
}

/// The place of a connection in the table.
type Place = usize;

/// The machine of all connections over one socket. See the [module](super).
#[derive(Debug)]
pub struct Utp {
    config: Config,
    rng: Rng,
    strangers: Strangers,
    conns: Vec<Option<Box<Conn>>>,
    free: Vec<Place>,
    by_key: HashMap<Key, Place>,
    by_id: HashMap<ConnId, Place>,
    /// Where the last packet belonged, as the next one most often does, too.
    last: Option<(Key, Place)>,
    /// How many connections each source has opened.
    sources: BTreeMap<Source, u16>,
    timers: BTreeSet<(Instant, Place)>,
    /// To be flushed when outputs are polled.
    dirty: Vec<Place>,
    next_incoming: ConnId,
    now: Instant,
    out: Outbox,
    stats: Stats,
}

impl Utp {
    /// For one socket. The seed gives connection ids and first sequence numbers, which others must
    /// not be able to guess.
    pub fn new(config: Config, seed: Seed) -> Self {
        Utp {
            config,
            rng: Rng::new(seed.fork("ids", 0)),
            strangers: Strangers::new(seed.fork("strangers", 0)),
            conns: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            by_id: HashMap::new(),
            last: None,
            sources: BTreeMap::new(),
            timers: BTreeSet::new(),
            dirty: Vec::new(),
            next_incoming: ConnId::INCOMING,
            now: Instant::ORIGIN,
            out: Outbox::default(),
            stats: Stats::default(),
        }
    }

    /// What has happened.
    pub fn stats(&self) -> Stats {
        let connections = self.conns.len() - self.free.len();
        Stats { connections, bytes_sent: self.out.bytes, ..self.stats }
    }

    /// Whether connections that others open are taken from now on.
    pub fn set_accept(&mut self, accept: bool) {
        self.config.accept = accept;
    }

    fn conn(&mut self, place: Place) -> Option<&mut Conn> {
        self.conns.get_mut(place)?.as_deref_mut()
    }

    fn is_full(&self) -> bool {
        self.conns.len() - self.free.len() >= self.config.connections_max
    }

    fn insert(&mut self, conn: Conn) -> Place {
        let key = (conn.to, conn.receive_id);
        let id = conn.id;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.conns.push(None);
                self.conns.len() - 1
            }
        };
        self.by_key.insert(key, place);
        self.by_id.insert(id, place);
        if let Some(slot) = self.conns.get_mut(place) {
            *slot = Some(Box::new(conn));
        }
        self.touch(place);
        place
    }

    fn remove(&mut self, place: Place) {
        let Some(conn) = self.conns.get_mut(place).and_then(Option::take) else { return };
        let key = (conn.to, conn.receive_id);
        self.by_key.remove(&key);
        self.by_id.remove(&conn.id);
        self.last = None;
        self.free.push(place);
        if let Some(at) = conn.wakes {
            self.timers.remove(&(at, place));
        }
        if conn.id.is_incoming() {
            let source = Source::of(conn.to.ip());
            if let Some(count) = self.sources.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.sources.remove(&source);
                }
            }
        }
        let opened_by = conn.id.is_incoming().then_some(conn.opened_by);
        self.strangers.bury(self.now, key, opened_by);
    }

    /// Something of a connection has changed.
    fn touch(&mut self, place: Place) {
        if let Some(conn) = self.conns.get_mut(place).and_then(Option::as_deref_mut)
            && !conn.dirty
        {
            conn.dirty = true;
            self.dirty.push(place);
        }
    }

    /// Says what the connections that have changed have to say.
    fn flush(&mut self) {
        while let Some(place) = self.dirty.pop() {
            let now = self.now;
            let Some(conn) = self.conns.get_mut(place).and_then(Option::as_deref_mut) else {
                continue;
            };
            conn.dirty = false;
            conn.flush(now, &mut self.out);
            if conn.is_dead() {
                self.remove(place);
                continue;
            }
            // A timer that is too early costs one look; moving it with each packet costs more.
            let wanted = conn.wake_at();
            if let Some(at) = wanted
                && conn.wakes.is_none_or(|noted| at < noted)
            {
                let noted = conn.wakes.replace(at);
                if let Some(noted) = noted {
                    self.timers.remove(&(noted, place));
                }
                self.timers.insert((at, place));
            }
        }
        self.out.finish_run();
    }

    fn connect(&mut self, id: ConnId, to: SocketAddr) {
        if self.is_full() || self.by_id.contains_key(&id) || id.is_incoming() {
            return self.out.push(Output::Closed { conn: id, why: CloseReason::Full });
        }
        // An id that is free both ways: resets are marked with either.
        let taken = |receive_id: u16| {
            (0..3).any(|off| {
                self.by_key.contains_key(&(to, receive_id.wrapping_add(off).wrapping_sub(1)))
            })
        };
        let mut drawn = std::iter::repeat_with(|| self.rng.next_u32() as u16).take(64);
        let Some(receive_id) = drawn.find(|receive_id| !taken(*receive_id)) else {
            return self.out.push(Output::Closed { conn: id, why: CloseReason::Full });
        };
        let first = Seq(self.rng.next_u32() as u16);
        self.insert(Conn::connect(self.now, &self.config, id, to, receive_id, first));
    }

    fn find(&mut self, key: Key) -> Option<Place> {
        match self.last {
            Some((last, place)) if last == key => Some(place),
            _ => {
                let place = *self.by_key.get(&key)?;
                self.last = Some((key, place));
                Some(place)
            }
        }
    }

    /// The connection that a reset is for: it is marked as its packets are, or as ours.
    fn find_reset(&mut self, from: SocketAddr, id: u16) -> Option<Place> {
        for receive_id in [id, id.wrapping_sub(1), id.wrapping_add(1)] {
            if let Some(place) = self.by_key.get(&(from, receive_id)).copied()
                && let Some(conn) = self.conn(place)
                && (receive_id == id || conn.send_id == id)
            {
                return Some(place);
            }
        }
        None
    }

    fn datagram(&mut self, from: SocketAddr, data: &Bytes, offset: usize, len: usize) {
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += len as u64;
        let datagram = data.get(offset..offset + len).unwrap_or_default();
        let Ok(packet) = Packet::parse(datagram) else {
            self.stats.malformed += 1;
            return;
        };
        let header = &packet.header;
        let key = (from, header.connection);
        let place = match header.kind {
            Kind::Syn => return self.opening(from, header),
            Kind::Reset => self.find_reset(from, header.connection),
            Kind::Data | Kind::Fin | Kind::State => {
                self.find(key).or_else(|| self.stray(key, header))
            }
        };
        let Some(place) = place else { return };
        if let Some(conn) = self.conns.get_mut(place).and_then(Option::as_deref_mut) {
            conn.on_packet(self.now, &packet, data, offset, &mut self.out);
            if !conn.dirty {
                conn.dirty = true;
                self.dirty.push(place);
            }
        }
    }

    /// Somebody wants to open a connection. It is answered and not remembered.
    fn opening(&mut self, from: SocketAddr, header: &Header) {
        self.stats.openings += 1;
        let receive_id = header.connection.wrapping_add(1);
        let key = (from, receive_id);
        if !self.config.accept || self.is_full() || self.by_key.contains_key(&key) {
            return;
        }
        let Some(seq) = self.strangers.answer(self.now, key, header.seq) else { return };
        self.stats.openings_answered += 1;
        let answer = Header {
            kind: Kind::State,
            connection: header.connection,
            timestamp: microseconds(self.now),
            delay: match header.timestamp {
                0 => 0,
                sent => microseconds(self.now).wrapping_sub(sent),
            },
            window: self.config.receive_window_near.min(self.config.receive_window),
            seq,
            ack: header.seq,
        };
        answer.write(self.out.packet(from, true, HEADER_BYTES, 0));
    }

    /// A packet of no connection: the first of a new one, or a stray.
    fn stray(&mut self, key: Key, header: &Header) -> Option<Place> {
        let (from, receive_id) = key;
        if self.config.accept
            && !self.is_full()
            && let Some(numbers) = self.strangers.admit(self.now, key, header)
        {
            let source = self.sources.entry(Source::of(from.ip())).or_insert(0);
            if *source < INCOMING_PER_SOURCE_MAX {
                *source += 1;
                let id = self.next_incoming;
                self.next_incoming = ConnId(id.0 + 1);
                self.out.push(Output::Incoming { conn: id, from });
                let conn = Conn::accept(self.now, &self.config, id, from, receive_id, numbers);
                let place = self.insert(conn);
                self.last = Some((key, place));
                return Some(place);
            }
        }
        self.stats.strays += 1;
        if self.strangers.may_reset(self.now, key, header) {
            let reset = Header {
                kind: Kind::Reset,
                connection: header.connection,
                timestamp: microseconds(self.now),
                delay: 0,
                window: 0,
                seq: Seq(self.rng.next_u32() as u16),
                ack: header.seq,
            };
            reset.write(self.out.packet(from, true, HEADER_BYTES, 0));
        }
        None
    }

    /// Every connection with an address; rare, so it is looked for.
    fn all_with(&self, to: SocketAddr) -> Vec<Place> {
        let conns = self.conns.iter().enumerate();
        conns
            .filter(|(_, conn)| conn.as_ref().is_some_and(|conn| conn.to == to))
            .map(|(place, _)| place)
            .collect()
    }
}

impl Machine for Utp {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        let now = self.now;
        let named = match &input {
            Input::Write { conn, .. }
            | Input::Consumed { conn, .. }
            | Input::Close { conn }
            | Input::Abort { conn } => self.by_id.get(conn).copied(),
            _ => None,
        };
        if let Some(place) = named {
            let Some(conn) = self.conns.get_mut(place).and_then(Option::as_deref_mut) else {
                return;
            };
            match input {
                Input::Write { data, .. } => conn.write(data),
                Input::Consumed { bytes, .. } => conn.consumed(bytes),
                Input::Close { .. } => conn.close(now, &mut self.out),
                _ => conn.abort(now, &mut self.out),
            }
            return self.touch(place);
        }
        match input {
            Input::Datagrams { from, data, stride } => {
                let mut offset = 0;
                while offset < data.len() {
                    let len = (data.len() - offset).min(stride.max(1));
                    self.datagram(from, &data, offset, len);
                    offset += len;
                }
            }
            Input::Connect { conn, to } => self.connect(conn, to),
            Input::Unreachable { to } => {
                for place in self.all_with(to) {
                    if let Some(conn) = self.conns.get_mut(place).and_then(Option::as_deref_mut)
                        && conn.is_connecting()
                    {
                        conn.end(CloseReason::Refused, &mut self.out);
                        self.touch(place);
                    }
                }
            }
            Input::TooBig { to, fits } => {
                for place in self.all_with(to) {
                    if let Some(conn) = self.conn(place) {
                        conn.too_big(fits);
                        self.touch(place);
                    }
                }
            }
            // Of a connection that is no more.
            Input::Write { .. }
            | Input::Consumed { .. }
            | Input::Close { .. }
            | Input::Abort { .. } => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some((at, place)) = self.timers.first().copied()
            && at <= self.now
        {
            self.timers.pop_first();
            if let Some(conn) = self.conns.get_mut(place).and_then(Option::as_deref_mut) {
                conn.wakes = None;
                conn.on_timer(self.now, &mut self.out);
            }
            self.touch(place);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        if !self.dirty.is_empty() || !self.out.is_empty() {
            self.flush();
        }
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.timers.first().map(|(at, _)| (*at, Reason::Connection))
    }
}
