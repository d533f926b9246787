//! A network in memory: hosts with a machine each, paths that delay, lose, reorder and duplicate, and
//! bottlenecks with a queue, which flows of TCP's kind may share.

use crate::utp::{CloseReason, Config, ConnId, Input, Output, Utp};
use althing_base::{Instant, Machine as _, Rng, Seed};
use bytes::Bytes;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of IPv4 and UDP in front of a datagram, and of TCP in front of a segment's data.
const BELOW: u64 = 28;
const SEGMENT: u64 = 1500;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a path does to datagrams.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) delay: Duration,
    /// Up to so much more, at random, so that order is lost.
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) duplication: f64,
    /// Larger datagrams vanish.
    pub(super) mtu: usize,
    pub(super) bottleneck: Option<usize>,
}

impl Path {
    pub(super) fn of(delay: Duration) -> Path {
        Path {
            delay,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            mtu: 1500,
            bottleneck: None,
        }
    }
}

/// A line of a rate, with a queue in front.
#[derive(Debug)]
pub(super) struct Bottleneck {
    pub(super) bytes_per_s: u64,
    pub(super) queue_max: u64,
    free_at: Instant,
    pub(super) carried: u64,
    pub(super) dropped: u64,
    /// The waiting times seen, summed up, and how many: taken and cleared by tests.
    pub(super) waits: (Duration, u32),
}

impl Bottleneck {
    fn pass(&mut self, now: Instant, bytes: u64) -> Option<Instant> {
        let wait = self.free_at.since(now);
        let queued = (wait.as_secs_f64() * self.bytes_per_s as f64) as u64;
        if queued + bytes > self.queue_max {
            self.dropped += 1;
            return None;
        }
        self.waits = (self.waits.0 + wait, self.waits.1 + 1);
        self.carried += bytes;
        let took = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        self.free_at = self.free_at.max(now) + took;
        Some(self.free_at)
    }
}

/// A flow that fills queues until they overflow, as TCP's Reno does.
#[derive(Debug)]
pub(super) struct Reno {
    path: Path,
    window: f64,
    threshold: f64,
    under_way: u64,
    cut_at: Instant,
    pub(super) delivered: u64,
    running: bool,
}

/// One side of a connection, as a program has it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Still to be written, and written.
    pub(super) to_write: u64,
    written: u64,
    credit: u64,
    pub(super) received: u64,
    unconsumed: usize,
    /// What came is not consumed.
    pub(super) lazy: bool,
    pub(super) connected: bool,
    pub(super) finished: bool,
    pub(super) closed: Option<CloseReason>,
    pub(super) close_when_written: bool,
}

pub(super) struct Host {
    pub(super) utp: Utp,
    pub(super) addr: SocketAddr,
    pub(super) streams: BTreeMap<ConnId, Stream>,
    /// Its clock is ahead by so much, and gains so many parts in a million.
    pub(super) clock_ahead: Duration,
    pub(super) clock_gains_ppm: u64,
    pub(super) incoming_reads_lazily: bool,
    /// Its interface refuses larger datagrams.
    pub(super) interface_mtu: usize,
}

enum Event {
    Datagram { to: usize, from: SocketAddr, data: Bytes },
    RenoAck(usize),
    RenoLoss(usize),
}

struct Entry {
    at: Instant,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// See the [module](self).
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    pub(super) paths: BTreeMap<(usize, usize), Path>,
    pub(super) bottlenecks: Vec<Bottleneck>,
    pub(super) renos: Vec<Reno>,
    pub(super) rng: Rng,
    pub(super) datagrams: u64,
    events: BinaryHeap<Entry>,
    number: u64,
    pattern: Bytes,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut pattern = vec![0; 65_521 * 2];
        for (at, byte) in pattern.iter_mut().enumerate() {
            *byte = ((at % 65_521) as u32).wrapping_mul(2_654_435_761).to_be_bytes()[1];
        }
        World {
            now: Instant::ORIGIN + Duration::from_secs(1_000),
            hosts: Vec::new(),
            paths: BTreeMap::new(),
            bottlenecks: Vec::new(),
            renos: Vec::new(),
            rng: Rng::new(Seed::from_u64(seed)),
            datagrams: 0,
            events: BinaryHeap::new(),
            number: 0,
            pattern: pattern.into(),
        }
    }

    pub(super) fn host(&mut self, config: Config) -> usize {
        let number = self.hosts.len();
        let seed = Seed::from_u64(self.rng.next_u64());
        let addr = SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8], 7716));
        self.hosts.push(Host {
            utp: Utp::new(config, seed),
            addr,
            streams: BTreeMap::new(),
            clock_ahead: Duration::from_secs(17 * number as u64),
            clock_gains_ppm: 0,
            incoming_reads_lazily: false,
            interface_mtu: 65_535,
        });
        number
    }

    /// Two hosts and a path each way.
    pub(super) fn pair(&mut self, there: Path, back: Path) -> (usize, usize) {
        let (a, b) = (self.host(Config::default()), self.host(Config::default()));
        self.paths.insert((a, b), there);
        self.paths.insert((b, a), back);
        (a, b)
    }

    pub(super) fn bottleneck(&mut self, bytes_per_s: u64, queue_max: u64) -> usize {
        self.bottlenecks.push(Bottleneck {
            bytes_per_s,
            queue_max,
            free_at: Instant::ORIGIN,
            carried: 0,
            dropped: 0,
            waits: (Duration::ZERO, 0),
        });
        self.bottlenecks.len() - 1
    }

    /// A flow of TCP's kind begins.
    pub(super) fn reno(&mut self, path: Path) -> usize {
        self.renos.push(Reno {
            path,
            window: 10.0,
            threshold: f64::MAX,
            under_way: 0,
            cut_at: Instant::ORIGIN,
            delivered: 0,
            running: true,
        });
        let number = self.renos.len() - 1;
        self.reno_send(number);
        number
    }

    pub(super) fn stop_reno(&mut self, number: usize) {
        self.renos[number].running = false;
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.number += 1;
        self.events.push(Entry { at, number: self.number, event });
    }

    /// Opens a connection over which so much is sent.
    pub(super) fn connect(&mut self, from: usize, to: usize, bytes: u64) -> ConnId {
        let conn = ConnId(self.hosts[from].streams.len() as u64 + 1);
        let stream = Stream { to_write: bytes, close_when_written: true, ..Stream::default() };
        self.hosts[from].streams.insert(conn, stream);
        let to = self.hosts[to].addr;
        self.input(from, Input::Connect { conn, to });
        conn
    }

    fn clock(&self, host: usize) -> Instant {
        let host = &self.hosts[host];
        let gained = self.now.as_nanos() / 1_000_000 * host.clock_gains_ppm;
        self.now + host.clock_ahead + Duration::from_nanos(gained)
    }

    pub(super) fn input(&mut self, host: usize, input: Input) {
        let now = self.clock(host);
        self.hosts[host].utp.handle_input(now, input);
        self.drain(host);
    }

    /// A datagram out of nowhere.
    pub(super) fn inject(&mut self, to: usize, from: SocketAddr, data: Vec<u8>) {
        let stride = data.len();
        self.input(to, Input::Datagrams { from, data: data.into(), stride });
    }

    fn drain(&mut self, host: usize) {
        loop {
            let mut inputs = Vec::new();
            while let Some(output) = self.hosts[host].utp.poll_output() {
                match output {
                    Output::Send(run) => {
                        for packet in run.packets() {
                            let fits = self.hosts[host].interface_mtu;
                            if packet.len() > fits && run.dont_fragment {
                                let fits = Some(fits as u16);
                                inputs.push(Input::TooBig { to: run.to, fits });
                            } else {
                                self.send(host, run.to, packet, run.dont_fragment);
                            }
                        }
                    }
                    other => self.output(host, other),
                }
            }
            let Host { streams, .. } = &mut self.hosts[host];
            for (conn, stream) in streams.iter_mut() {
                let conn = *conn;
                while stream.credit > 0 && stream.to_write > 0 {
                    let len = stream.credit.min(stream.to_write).min(16 * 1024 + 13);
                    let from = (stream.written % 65_521) as usize;
                    let data = self.pattern.slice(from..from + len as usize);
                    stream.written += len;
                    stream.to_write -= len;
                    stream.credit -= len;
                    inputs.push(Input::Write { conn, data });
                }
                if stream.connected && stream.close_when_written && stream.to_write == 0 {
                    stream.close_when_written = false;
                    inputs.push(Input::Close { conn });
                }
                if stream.finished && stream.closed.is_none() && stream.to_write == 0 {
                    stream.closed = Some(CloseReason::Done);
                    inputs.push(Input::Close { conn });
                }
                if stream.unconsumed > 0 && !stream.lazy {
                    let bytes = std::mem::take(&mut stream.unconsumed);
                    inputs.push(Input::Consumed { conn, bytes });
                }
            }
            if inputs.is_empty() {
                return;
            }
            let now = self.clock(host);
            for input in inputs {
                self.hosts[host].utp.handle_input(now, input);
            }
        }
    }

    fn output(&mut self, host: usize, output: Output) {
        let Host { streams, incoming_reads_lazily, .. } = &mut self.hosts[host];
        match output {
            Output::Send(_) => unreachable!("sent above"),
            Output::Connected { conn } => streams.get_mut(&conn).unwrap().connected = true,
            Output::Incoming { conn, .. } => {
                let stream =
                    Stream { connected: true, lazy: *incoming_reads_lazily, ..Stream::default() };
                assert!(streams.insert(conn, stream).is_none());
            }
            Output::Received { conn, data } => {
                let stream = streams.get_mut(&conn).unwrap();
                assert!(stream.connected && !stream.finished);
                let from = (stream.received % 65_521) as usize;
                assert!(self.pattern[from..from + data.len()] == data, "other bytes came");
                stream.received += data.len() as u64;
                stream.unconsumed += data.len();
            }
            Output::Finished { conn } => streams.get_mut(&conn).unwrap().finished = true,
            Output::Writable { conn, bytes } => streams.get_mut(&conn).unwrap().credit += bytes,
            Output::Closed { conn, why } => {
                let stream = streams.get_mut(&conn).unwrap();
                stream.closed = Some(why);
                (stream.to_write, stream.credit) = (0, 0);
            }
        }
    }

    fn send(&mut self, host: usize, to: SocketAddr, packet: &[u8], dont_fragment: bool) {
        let from = self.hosts[host].addr;
        let Some(to) = self.hosts.iter().position(|host| host.addr == to) else { return };
        let Some(path) = self.paths.get(&(host, to)).cloned() else { return };
        self.datagrams += 1;
        let bytes = packet.len() as u64 + BELOW;
        if bytes > path.mtu as u64 && dont_fragment {
            return;
        }
        let leaves = match path.bottleneck.and_then(|number| self.bottlenecks.get_mut(number)) {
            Some(bottleneck) => bottleneck.pass(self.now, bytes),
            None => Some(self.now),
        };
        let Some(leaves) = leaves else { return };
        if self.rng.chance(path.loss) {
            return;
        }
        let data = Bytes::copy_from_slice(packet);
        let copies = if self.rng.chance(path.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = Duration::from_nanos(self.rng.below(path.jitter.as_nanos() as u64 + 1));
            let event = Event::Datagram { to, from, data: data.clone() };
            self.at(leaves + path.delay + jitter, event);
        }
    }

    fn reno_send(&mut self, number: usize) {
        loop {
            let now = self.now;
            let reno = &mut self.renos[number];
            if !reno.running || reno.under_way as f64 >= reno.window {
                return;
            }
            reno.under_way += 1;
            let path = reno.path.clone();
            let bottleneck = &mut self.bottlenecks[path.bottleneck.unwrap()];
            match bottleneck.pass(now, SEGMENT) {
                Some(leaves) => self.at(leaves + path.delay * 2, Event::RenoAck(number)),
                None => {
                    let full = bottleneck.free_at;
                    self.at(full + path.delay * 2, Event::RenoLoss(number));
                }
            }
        }
    }

    fn reno_event(&mut self, number: usize, lost: bool) {
        let now = self.now;
        let reno = &mut self.renos[number];
        reno.under_way -= 1;
        if !lost {
            reno.delivered += SEGMENT;
            reno.window += if reno.window < reno.threshold { 1.0 } else { 1.0 / reno.window };
        } else if now >= reno.cut_at {
            reno.window = (reno.window / 2.0).max(2.0);
            reno.threshold = reno.window;
            reno.cut_at = now + reno.path.delay * 2 + ms(100);
        }
        self.reno_send(number);
    }

    /// Runs until then.
    pub(super) fn run_until(&mut self, end: Instant) {
        while self.step(end) {}
        self.now = self.now.max(end);
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Runs until something is so, or for so long; says whether it is.
    pub(super) fn run_while(&mut self, most: Duration, go_on: impl Fn(&World) -> bool) -> bool {
        let end = self.now + most;
        while go_on(self) {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    fn step(&mut self, end: Instant) -> bool {
        let event_at = self.events.peek().map(|entry| entry.at);
        let mut wake: Option<(Instant, usize)> = None;
        for number in 0..self.hosts.len() {
            let host = &self.hosts[number];
            if let Some((at, _)) = host.utp.poll_timeout() {
                // By the world's clock: what a gaining clock gains in between is made up for by
                // another wake.
                let wait = at.since(self.clock(number)).max(Duration::from_nanos(1));
                let at = self.now + wait;
                if wake.is_none_or(|(first, _)| at < first) {
                    wake = Some((at, number));
                }
            }
        }
        let next = [event_at, wake.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        if event_at == Some(next) {
            match self.events.pop().map(|entry| entry.event) {
                Some(Event::Datagram { to, from, data }) => {
                    let stride = data.len();
                    self.input(to, Input::Datagrams { from, data, stride });
                }
                Some(Event::RenoAck(number)) => self.reno_event(number, false),
                Some(Event::RenoLoss(number)) => self.reno_event(number, true),
                None => {}
            }
        } else if let Some((_, number)) = wake {
            let now = self.clock(number);
            self.hosts[number].utp.handle_timeout(now);
            self.drain(number);
        }
        true
    }

    /// What has been received over incoming connections of a host.
    pub(super) fn received(&self, host: usize) -> u64 {
        self.hosts[host].streams.values().map(|stream| stream.received).sum()
    }
}
