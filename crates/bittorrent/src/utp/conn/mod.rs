//! One connection. What comes changes its state; [`flush`](Conn::flush) then says all that there is to
//! be said, once for a batch of datagrams.

mod congestion;
mod delay;
mod mtu;
mod outgoing;
mod receive;
mod rtt;
mod send;

use super::io::{CloseReason, Config, ConnId, Output};
use super::limits::{
    ACK_DELAY, CONNECT_TIMEOUT, FAREWELL, IDLE_TIMEOUT, KEEP_ALIVE, LINGER, LINGER_MAX,
    NEAR_ROUND_TRIP, PACKETS_UNDERWAY_MAX, QUICK_ACKS, SEND_BUFFER_MAX, SEND_BUFFER_MIN,
    TIMEOUT_START, TIMEOUTS_MAX,
};
use super::outbox::Outbox;
use super::packet::{Header, Kind, Packet};
use super::seq::Seq;
use althing_base::Instant;
use bytes::Bytes;
use congestion::{Acked, Congestion};
use delay::Delays;
use mtu::Mtu;
use receive::{Receiver, Verdict};
use rtt::RoundTrips;
use send::Sender;
use std::net::SocketAddr;

/// The clock as packets have it: microseconds that wrap. Zero means "no clock".
pub(super) fn microseconds(now: Instant) -> u32 {
    ((now.as_nanos() / 1_000) as u32).max(1)
}

/// Whether a packet tells of a measurement. Some mark "none" with the largest positive number (libutp).
fn is_measured(delay: u32) -> bool {
    delay != 0 && delay != i32::MAX as u32
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The opening packet has been sent so often, and is sent again then.
    Connecting { sent: u8, again: Instant, until: Instant },
    /// It stands.
    Open,
    /// It is to be forgotten.
    Dead,
}

/// Acknowledgements that are owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owed {
    Nothing,
    /// For one packet, until then.
    Soon(Instant),
    Now,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) to: SocketAddr,
    /// What others' packets for this connection are marked with.
    pub(super) receive_id: u16,
    /// What ours are.
    pub(super) send_id: u16,
    /// The number of the packet that opened it, if the other side did.
    pub(super) opened_by: Seq,
    /// For when the machine has noted that this is to be woken.
    pub(super) wakes: Option<Instant>,
    /// Whether the machine has noted that this is to be flushed.
    pub(super) dirty: bool,
    state: State,
    sender: Sender,
    receiver: Receiver,
    trips: RoundTrips,
    /// Of what we send, as the other side measures it.
    ours: Delays,
    /// Of what comes, as we measure it.
    theirs: Delays,
    /// The last measurement, which goes with every packet.
    measured: u32,
    /// The least sum of what both sides measure, in microseconds: a round trip, which also who sends
    /// nothing learns.
    least_trip: Option<u32>,
    congestion: Congestion,
    mtu: Mtu,
    /// Bytes that the other side takes beyond the acknowledged.
    peer_window: u64,
    /// When it said so, by its clock: one packet may overtake another.
    peer_said: u32,
    /// Bytes that the driver may still write.
    granted: u64,
    window: u64,
    window_near: u64,
    /// What was said last of our window.
    said_window: u64,
    owed: Owed,
    quick_acks: u32,
    /// When what is under way is taken for lost, or asked about.
    loss_at: Option<Instant>,
    /// It was asked about.
    probed: bool,
    /// Timeouts without an acknowledgement between them, and without any sign of life.
    timeouts: u8,
    silent: u8,
    /// When a receiver that is full is asked whether it still is.
    full_at: Option<Instant>,
    /// Bytes that were under way when all was said.
    filled: u64,
    heard: Instant,
    said: Instant,
    said_data: Instant,
    /// It has been closed; that much longer what was written is tried to be delivered.
    closing: Option<Instant>,
    /// And no longer than that.
    closed_by: Instant,
    /// Nobody is interested in it any more.
    reported: bool,
    told_finished: bool,
}

impl Conn {
    /// A connection that we open. Its first packet, which opens it, will be number `first`.
    pub(super) fn connect(
        now: Instant,
        config: &Config,
        id: ConnId,
        to: SocketAddr,
        receive_id: u16,
        first: Seq,
    ) -> Self {
        let state = State::Connecting { sent: 0, again: now, until: now + CONNECT_TIMEOUT };
        let send_id = receive_id.wrapping_add(1);
        Conn::new(now, config, id, to, (receive_id, send_id), (first.plus(1), Seq(0)), state)
    }

    /// A connection that another opened, whose opening packet was number `theirs`. Our next packet is
    /// number `ours`.
    pub(super) fn accept(
        now: Instant,
        config: &Config,
        id: ConnId,
        to: SocketAddr,
        receive_id: u16,
        (ours, theirs): (Seq, Seq),
    ) -> Self {
        let send_id = receive_id.wrapping_sub(1);
        Conn::new(now, config, id, to, (receive_id, send_id), (ours, theirs), State::Open)
    }

    fn new(
        now: Instant,
        config: &Config,
        id: ConnId,
        to: SocketAddr,
        (receive_id, send_id): (u16, u16),
        (ours, theirs): (Seq, Seq),
        state: State,
    ) -> Self {
        let mtu = Mtu::new(now, to.ip().to_canonical().is_ipv4(), config.datagram_bytes_max);
        let window = u64::from(config.receive_window);
        Conn {
            id,
            to,
            receive_id,
            send_id,
            opened_by: theirs,
            wakes: None,
            dirty: false,
            state,
            sender: Sender::new(ours),
            receiver: Receiver::new(theirs),
            trips: RoundTrips::default(),
            ours: Delays::new(),
            theirs: Delays::new(),
            measured: 0,
            least_trip: None,
            congestion: Congestion::new(now, u64::from(mtu.fits())),
            mtu,
            peer_window: 0,
            peer_said: 0,
            granted: 0,
            window,
            window_near: window.min(u64::from(config.receive_window_near)),
            said_window: 0,
            owed: Owed::Nothing,
            quick_acks: QUICK_ACKS,
            loss_at: None,
            probed: false,
            timeouts: 0,
            silent: 0,
            full_at: None,
            filled: 0,
            heard: now,
            said: now,
            said_data: now,
            closing: None,
            closed_by: now,
            reported: false,
            told_finished: false,
        }
    }

    /// Whether it is to be forgotten.
    pub(super) fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Whether the other side has not answered yet.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// It is over, for whatever reason.
    pub(super) fn end(&mut self, why: CloseReason, out: &mut Outbox) {
        self.state = State::Dead;
        self.report(why, out);
    }

    fn report(&mut self, why: CloseReason, out: &mut Outbox) {
        if !self.reported {
            self.reported = true;
            out.push(Output::Closed { conn: self.id, why });
        }
    }

    /// The driver wants no more of it and wants to hear nothing of it.
    pub(super) fn abort(&mut self, now: Instant, out: &mut Outbox) {
        if self.state == State::Open {
            self.write_bare(now, Kind::Reset, out);
        }
        self.reported = true;
        self.state = State::Dead;
    }

    /// The driver has written.
    pub(super) fn write(&mut self, data: Bytes) {
        self.granted = self.granted.saturating_sub(data.len() as u64);
        if self.closing.is_none() {
            self.sender.write(data);
        }
    }

    /// The driver has dealt with bytes.
    pub(super) fn consumed(&mut self, bytes: usize) {
        self.receiver.consumed(bytes as u64);
        // Told at once only to who may be waiting for it.
        let window = self.window_now();
        if self.said_window < window / 2 && self.room() >= self.said_window + window / 4 {
            self.owed = Owed::Now;
        }
    }

    /// The driver has closed it.
    pub(super) fn close(&mut self, now: Instant, out: &mut Outbox) {
        if self.is_connecting() {
            self.end(CloseReason::Done, out);
        } else if self.closing.is_none() {
            self.closing = Some(now + LINGER);
            self.closed_by = now + LINGER_MAX;
        }
    }

    /// An interface does not take packets as large as one that was sent.
    pub(super) fn too_big(&mut self, fits: Option<u16>) {
        if let Some(seq) = self.mtu.too_big(fits) {
            self.sender.refused(seq);
        }
    }

    /// Bytes of a packet.
    fn packet_bytes(&self) -> u64 {
        u64::from(self.mtu.fits())
    }

    /// What our window would be were nothing held.
    fn window_now(&self) -> u64 {
        match self.least_trip {
            Some(least) if u128::from(least) >= NEAR_ROUND_TRIP.as_micros() => self.window,
            _ => self.window_near,
        }
    }

    /// How many bytes more we take.
    fn room(&self) -> u64 {
        self.window_now().saturating_sub(self.receiver.held())
    }

    /// The first answer came, or did not.
    fn on_answer(&mut self, now: Instant, header: &Header, out: &mut Outbox) -> bool {
        let State::Connecting { sent, again, .. } = self.state else { return true };
        if header.ack.plus(1) != self.sender.next_seq() {
            return false;
        }
        match header.kind {
            Kind::State | Kind::Data | Kind::Fin => {}
            Kind::Reset => {
                self.end(CloseReason::Refused, out);
                return false;
            }
            Kind::Syn => return false,
        }
        if sent == 1 {
            // It is sent again after the timeout, so it was sent that long before.
            let waited = self.trips.timeout(0);
            self.trips.add(waited.saturating_sub(again.since(now)));
        }
        // An answer has no number of its own: it names the first packet that will follow.
        self.receiver = Receiver::new(header.seq.minus(1));
        self.state = State::Open;
        out.push(Output::Connected { conn: self.id });
        true
    }

    /// A packet of this connection came.
    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        datagram: &Bytes,
        offset: usize,
        out: &mut Outbox,
    ) {
        let header = &packet.header;
        if self.state == State::Dead || !self.on_answer(now, header, out) {
            return;
        }
        if header.kind == Kind::Reset {
            // It names the number of a packet of ours, or the next one if that had none.
            let named = header.ack.after(self.sender.next_seq());
            if named <= 0 && named >= -(PACKETS_UNDERWAY_MAX as i32) {
                self.end(CloseReason::Reset, out);
            }
            return;
        }
        let is_ours = header.kind != Kind::Syn
            && self.sender.believes(header.ack)
            && self.receiver.believes(header.seq);
        if !is_ours {
            return;
        }
        (self.heard, self.silent) = (now, 0);
        if header.timestamp != 0 {
            self.measured = microseconds(now).wrapping_sub(header.timestamp);
            let fall = self.theirs.add(now, self.measured);
            self.ours.drifted(fall);
            if is_measured(header.delay) {
                // The clocks' difference is in both, once added and once taken off.
                let trip = self.measured.wrapping_add(header.delay);
                self.least_trip = Some(self.least_trip.map_or(trip, |least| least.min(trip)));
            }
        }
        self.on_ack(now, packet);
        if matches!(header.kind, Kind::Data | Kind::Fin) {
            let payload =
                datagram.slice(packet.payload.start + offset..packet.payload.end + offset);
            self.on_data(now, header, payload, out);
        }
    }

    fn on_ack(&mut self, now: Instant, packet: &Packet<'_>) {
        let header = &packet.header;
        let window = u64::from(header.window);
        // Who says that there is more room says so for itself, not because something is missing.
        let pure = header.kind == Kind::State && window <= self.peer_window;
        if (header.timestamp.wrapping_sub(self.peer_said) as i32) >= 0 || self.peer_said == 0 {
            self.peer_said = header.timestamp;
            self.peer_window = window;
        }
        if !self.sender.is_waiting() {
            return;
        }
        // How much later a packet that was sent later may arrive without being lost (RFC 8985).
        let patience = self.trips.smooth().unwrap_or(ACK_DELAY) / 4;
        let news = self.sender.acked(now, header.ack, packet.sack, pure, patience, &mut self.mtu);
        if let Some(took) = news.round_trip {
            self.trips.add(took);
        }
        if news.arrived {
            self.timeouts = 0;
            self.probed = false;
            self.arm(now);
            if self.closing.is_some() {
                self.closing = Some((now + LINGER).min(self.closed_by));
            }
            if is_measured(header.delay) {
                self.ours.add(now, header.delay);
            }
        }
        let queue_us = self.queue_us();
        let bytes = self.packet_bytes();
        if news.bytes > 0 {
            self.congestion.acked(
                now,
                Acked {
                    bytes: news.bytes,
                    under_way: self.filled.max(news.bytes),
                    queue_us,
                    packet: bytes,
                    round_trip: self.trips.smooth().unwrap_or(TIMEOUT_START),
                },
            );
            self.congestion.packets_are(bytes);
            self.congestion.cap(bytes * PACKETS_UNDERWAY_MAX as u64);
        }
        if news.lost {
            self.congestion.lost(queue_us, bytes);
            self.sender.answer();
        }
    }

    /// The path's queue as the other side sees it, but not more than a whole round trip.
    fn queue_us(&self) -> Option<u64> {
        let queue = u64::from(self.ours.queue()?);
        Some(queue.min(self.trips.last_us().unwrap_or(u64::MAX)))
    }

    fn on_data(&mut self, now: Instant, header: &Header, payload: Bytes, out: &mut Outbox) {
        let fin = header.kind == Kind::Fin;
        let (conn, wanted) = (self.id, self.closing.is_none());
        let mut unwanted = 0;
        let verdict = self.receiver.take(header.seq, fin, payload, self.window, |data| {
            if wanted {
                out.push(Output::Received { conn, data });
            } else {
                unwanted += data.len() as u64;
            }
        });
        self.receiver.consumed(unwanted);
        self.owed = match (verdict, self.owed) {
            (Verdict::Ignored, owed) => owed,
            (Verdict::InOrder, Owed::Nothing) if self.quick_acks == 0 => {
                Owed::Soon(now + ACK_DELAY)
            }
            (Verdict::InOrder | Verdict::Tell, _) => Owed::Now,
        };
        self.quick_acks = self.quick_acks.saturating_sub(1);
        if self.receiver.is_finished() && !self.told_finished {
            self.told_finished = true;
            if wanted {
                out.push(Output::Finished { conn });
            }
        }
    }

    /// What is under way is waited for from now on.
    fn arm(&mut self, now: Instant) {
        let wait = if self.timeouts == 0 && !self.probed {
            self.trips.probe_timeout(ACK_DELAY).min(self.trips.timeout(0))
        } else {
            self.trips.timeout(self.timeouts)
        };
        self.loss_at = self.sender.is_waiting().then(|| now + wait);
    }

    /// When it must be woken.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let owed = match self.owed {
            Owed::Nothing => None,
            Owed::Soon(at) => Some(at),
            Owed::Now => Some(self.heard),
        };
        let steady = match self.state {
            State::Connecting { again, until, .. } => return Some(again.min(until)),
            State::Dead => return None,
            State::Open => (self.said + KEEP_ALIVE).min(self.heard + IDLE_TIMEOUT),
        };
        let others = [owed, self.loss_at, self.full_at, self.closing];
        Some(others.into_iter().flatten().fold(steady, Instant::min))
    }

    /// A timer may have run out.
    pub(super) fn on_timer(&mut self, now: Instant, out: &mut Outbox) {
        match self.state {
            State::Connecting { until, .. } if until <= now => {
                return self.end(CloseReason::NoAnswer, out);
            }
            State::Connecting { .. } | State::Dead => return,
            State::Open => {}
        }
        if self.heard + IDLE_TIMEOUT <= now {
            return self.end(CloseReason::TimedOut, out);
        }
        if self.closing.is_some_and(|until| until <= now) {
            let why = if self.sender.is_done() { CloseReason::Done } else { CloseReason::TimedOut };
            return self.end(why, out);
        }
        if let Owed::Soon(at) = self.owed
            && at <= now
        {
            self.owed = Owed::Now;
        }
        if self.loss_at.is_some_and(|at| at <= now) {
            self.on_loss_timer(now, out);
        }
    }

    fn on_loss_timer(&mut self, now: Instant, out: &mut Outbox) {
        if self.timeouts == 0 && !self.probed && self.sender.newest().is_some() {
            self.probed = true;
            self.ask(now, out);
            return self.arm(now);
        }
        (self.timeouts, self.silent) = (self.timeouts.saturating_add(1), self.silent + 1);
        if self.silent > TIMEOUTS_MAX {
            return self.end(CloseReason::TimedOut, out);
        }
        if self.timeouts > 1 && self.peer_window > 0 {
            self.mtu.nothing_arrives();
        }
        self.sender.give_up();
        self.congestion.timed_out(self.packet_bytes());
        self.arm(now);
    }

    /// Says all there is to be said.
    pub(super) fn flush(&mut self, now: Instant, out: &mut Outbox) {
        match self.state {
            State::Dead => return,
            State::Connecting { sent, again, until } => {
                if again <= now {
                    let again = now + self.trips.timeout(sent);
                    self.state = State::Connecting { sent: sent.saturating_add(1), again, until };
                    self.write_syn(now, out);
                    out.finish_run();
                }
                return;
            }
            State::Open => {}
        }
        let rested = now.since(self.said_data) >= self.trips.timeout(0);
        if rested && !self.sender.is_waiting() {
            self.sender.shrink();
            self.receiver.shrink();
            if self.sender.unsent() > 0 {
                self.congestion.rested(now, self.packet_bytes());
            }
        }
        self.send_all(now, out);
        self.filled = self.sender.under_way();
        let keep_alive = self.said + KEEP_ALIVE <= now;
        if self.owed == Owed::Now || keep_alive {
            self.write_bare(now, Kind::State, out);
        }
        out.finish_run();
        self.depart(now, out);
        self.grant(out);
    }

    /// When all has been said on both sides, it is over; who did not hear our last word is told for a
    /// while longer.
    fn depart(&mut self, now: Instant, out: &mut Outbox) {
        if self.sender.is_done() {
            self.report(CloseReason::Done, out);
            if self.receiver.is_finished() {
                self.closing = self.closing.map(|until| until.min(now + FAREWELL));
            }
        }
    }

    /// Lets the driver write as much as keeps the path busy.
    fn grant(&mut self, out: &mut Outbox) {
        if self.closing.is_some() || self.reported {
            return;
        }
        let wanted = (self.congestion.window() * 2).clamp(SEND_BUFFER_MIN, SEND_BUFFER_MAX);
        let bytes = wanted.saturating_sub(self.sender.kept() + self.granted);
        if bytes >= wanted / 4 {
            self.granted += bytes;
            out.push(Output::Writable { conn: self.id, bytes });
        }
    }
}
