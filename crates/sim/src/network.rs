//! The simulated internet: connections between hosts that deliver in order, uplinks and downlinks
//! that take time, and distances.
//!
//! A host's **uplink** is shared by its connections in turns of one block. In a connection
//! messages overtake the blocks that wait and are not begun, as in the tokio driver. Data then **flies** for the time
//! that the distance takes and **lands** through the receiver's downlink. So much and no more may
//! be under way and unread in one direction ([`WINDOW_BYTES`]): a receiver that is slow, or does not
//! read at all, holds the sender up. Acknowledgements take no bytes, and on a good line no time.
//!
//! A [`Line`] may be worse than that: its modem may take in more than it can send, so that all that
//! is said waits behind, messages and acknowledgements too, and packets may get lost on it.
//! Congestion within the network is not modelled.

use crate::limits::{
    BURST_BYTES, HEADER_BYTES, LATENCY_MAX, LATENCY_MIN, OUT_QUEUE_BYTES_MAX, RETRANSMIT_WAIT,
    SEGMENT_BYTES, SMALL_BYTES, WINDOW_BYTES,
};
use crate::plan::Line;
use crate::queue::{Event, Queue};
use crate::units::{Content, HostId};
use althing_base::time::Duration;
use althing_base::{Instant, Rng, Seed};
use althing_bittorrent::BlockRef;
use althing_bittorrent::swarm::ConnId;
use althing_bittorrent::wire::{BLOCK_HEADER_LEN, Message};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// One of the two hosts of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    /// Who opened it.
    Opener,
    /// Who was called.
    Callee,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Opener => Side::Callee,
            Side::Callee => Side::Opener,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// One direction of a connection: what `from` sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Lane {
    pub(crate) conn: ConnId,
    pub(crate) from: Side,
}

/// What crosses the network.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Message(Message),
    Block(BlockRef, Content),
    /// The sender has closed the connection, or does not know it.
    Close,
}

impl Packet {
    fn bytes(&self) -> u32 {
        match self {
            Packet::Message(message) => u32::try_from(message.encoded_len()).unwrap_or(u32::MAX),
            Packet::Block(block, _) => block.len + BLOCK_HEADER_LEN as u32,
            Packet::Close => 0,
        }
    }
}

/// The state of one direction.
#[derive(Debug, Default)]
struct Stream {
    messages: VecDeque<Message>,
    message_bytes: usize,
    blocks: VecDeque<(BlockRef, Content)>,
    /// It waits for its turn at the sender's uplink with messages.
    urgent: bool,
    /// It waits with blocks.
    bulk: bool,
    /// Bytes sent and not read, as far as the sender knows.
    unread: u32,
    /// Acknowledgements on their way back to the sender, if they take time.
    acks: VecDeque<(Instant, u32)>,
    flying: VecDeque<(Instant, Packet)>,
    landing: VecDeque<(Instant, Packet)>,
    /// A [`Event::Deliver`] is scheduled.
    landing_soon: bool,
    /// The sender has said that it is gone.
    closed: bool,
}

/// How far a side of a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The handshakes are under way.
    Opening,
    Open,
    Closed,
}

struct Connection {
    hosts: [HostId; 2],
    /// Where the callee was when it was called: it may have moved on.
    called: SocketAddr,
    ends: [End; 2],
    latency: Duration,
    /// How much may be [unread](Stream::unread).
    window: u32,
    /// What part of the packets is lost.
    loss: f64,
    /// Acknowledgements take their time, since one of the lines is bad.
    slow_acks: bool,
    streams: [Stream; 2],
}

/// What is ready to be read by a host.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) to: HostId,
    pub(crate) packet: Packet,
}

/// A host's line to the network.
#[derive(Debug)]
pub(crate) struct Access {
    /// Where it is on the map: both coordinates from 0 to 1.
    place: (f64, f64),
    line: Line,
    /// The machine is switched on: it answers, if only to refuse.
    pub(crate) on: bool,
    /// It never reads a block, nor what comes after it.
    pub(crate) blind_to_blocks: bool,
    conns: BTreeSet<ConnId>,
    busy: bool,
    /// Directions with messages to send: small, and so served first, as fair queueing does.
    urgent: VecDeque<Lane>,
    /// Directions with blocks to send.
    bulk: VecDeque<Lane>,
    /// Blocks that the uplink is sending.
    sent: Vec<(ConnId, BlockRef)>,
    downlink_free: Instant,
    /// When the modem will have sent all that it has taken in.
    uplink_free: Instant,
    /// Bytes that have gone up the line, headers included.
    pub(crate) sent_bytes: u64,
}

/// Counts of what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) messages: u64,
    pub(crate) message_bytes: u64,
    pub(crate) blocks: u64,
    pub(crate) block_bytes: u64,
    /// Batches with messages that went into modems.
    pub(crate) message_batches: u64,
    /// How long they waited there, in all.
    pub(crate) waited_in_modems: Duration,
}

/// Connections and lines. See the [module](self).
pub(crate) struct Network {
    hosts: Vec<Access>,
    /// For what gets lost.
    rng: Rng,
    /// By [`ConnId`]; `None` once both sides are through with it.
    conns: Vec<Option<Box<Connection>>>,
    pub(crate) traffic: Traffic,
}

fn with_headers(bytes: u32) -> u64 {
    u64::from(bytes) + u64::from(bytes.div_ceil(SEGMENT_BYTES)) * u64::from(HEADER_BYTES)
}

/// How much TCP has under way at most where this part of its packets is lost: about a segment by the
/// root of one and a half through that part (Mathis et al. 1997, "The Macroscopic Behavior of the TCP
/// Congestion Avoidance Algorithm").
fn window(loss: f64) -> u32 {
    let segments = (1.5 / loss).sqrt();
    ((segments * f64::from(SEGMENT_BYTES)) as u32).clamp(SEGMENT_BYTES, WINDOW_BYTES)
}

impl Network {
    pub(crate) fn new(seed: Seed) -> Network {
        let (hosts, conns) = (Vec::new(), Vec::new());
        Network { hosts, rng: Rng::new(seed), conns, traffic: Traffic::default() }
    }

    pub(crate) fn add_host(&mut self, place: (f64, f64), line: Line) -> HostId {
        self.hosts.push(Access {
            place,
            line,
            on: false,
            blind_to_blocks: false,
            conns: BTreeSet::new(),
            busy: false,
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            sent: Vec::new(),
            downlink_free: Instant::ORIGIN,
            uplink_free: Instant::ORIGIN,
            sent_bytes: 0,
        });
        HostId(self.hosts.len() as u32 - 1)
    }

    pub(crate) fn access(&mut self, host: HostId) -> &mut Access {
        &mut self.hosts[host.index()]
    }

    pub(crate) fn sent_bytes(&self, host: HostId) -> u64 {
        self.hosts[host.index()].sent_bytes
    }

    /// The time from one host to another: the straight line on the map, scaled.
    pub(crate) fn latency(&self, a: HostId, b: HostId) -> Duration {
        let ((ax, ay), (bx, by)) = (self.hosts[a.index()].place, self.hosts[b.index()].place);
        let distance = ((ax - bx).powi(2) + (ay - by).powi(2)).sqrt() / std::f64::consts::SQRT_2;
        LATENCY_MIN + (LATENCY_MAX - LATENCY_MIN).mul_f64(distance.clamp(0.0, 1.0))
    }

    /// A new connection, being opened to an address.
    pub(crate) fn open(&mut self, opener: HostId, callee: HostId, called: SocketAddr) -> ConnId {
        let conn = ConnId(self.conns.len() as u64);
        let lines = [opener, callee].map(|host| self.hosts[host.index()].line);
        let [ours, theirs] = lines.map(|line| line.loss);
        let loss = 1.0 - (1.0 - ours) * (1.0 - theirs);
        self.conns.push(Some(Box::new(Connection {
            hosts: [opener, callee],
            called,
            ends: [End::Opening, End::Opening],
            latency: self.latency(opener, callee),
            window: if loss > 0.0 { window(loss) } else { WINDOW_BYTES },
            loss,
            slow_acks: loss > 0.0 || lines.iter().any(|line| line.buffer_bytes > 0),
            streams: Default::default(),
        })));
        self.hosts[opener.index()].conns.insert(conn);
        conn
    }

    fn get(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.conns.get_mut(conn.0 as usize)?.as_deref_mut()
    }

    /// The two hosts of a connection that still exists, opener first, and how far apart they are.
    pub(crate) fn hosts_of(&self, conn: ConnId) -> Option<([HostId; 2], Duration)> {
        let connection = self.conns.get(conn.0 as usize)?.as_deref()?;
        Some((connection.hosts, connection.latency))
    }

    /// The address that was called, of a connection that still exists.
    pub(crate) fn called(&self, conn: ConnId) -> Option<SocketAddr> {
        Some(self.conns.get(conn.0 as usize)?.as_deref()?.called)
    }

    /// Whoever is at the other side.
    pub(crate) fn peer_of(&self, conn: ConnId, host: HostId) -> Option<HostId> {
        let ([opener, callee], _) = self.hosts_of(conn)?;
        Some(if opener == host { callee } else { opener })
    }

    /// A side has the connection from now on.
    pub(crate) fn establish(&mut self, conn: ConnId, side: Side) {
        let Some(connection) = self.get(conn) else { return };
        connection.ends[side.index()] = End::Open;
        let host = connection.hosts[side.index()];
        self.hosts[host.index()].conns.insert(conn);
    }

    /// Whether the host has the connection, with both handshakes through.
    pub(crate) fn is_open(&self, conn: ConnId, host: HostId) -> bool {
        let connection = self.conns.get(conn.0 as usize).and_then(|conn| conn.as_deref());
        connection.is_some_and(|c| c.ends[c.side_of(host).index()] == End::Open)
    }

    /// Whether a side still waits for the handshakes.
    pub(crate) fn is_opening(&self, conn: ConnId, side: Side) -> bool {
        let connection = self.conns.get(conn.0 as usize).and_then(|conn| conn.as_deref());
        connection.is_some_and(|c| c.ends[side.index()] == End::Opening)
    }

    /// The host's connections, those being opened included.
    pub(crate) fn conns_of(&self, host: HostId) -> Vec<ConnId> {
        self.hosts[host.index()].conns.iter().copied().collect()
    }

    /// The attempt has come to nothing.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        if let Some(connection) = self.conns.get_mut(conn.0 as usize).and_then(Option::take) {
            for host in connection.hosts {
                self.hosts[host.index()].conns.remove(&conn);
            }
        }
    }

    /// Queues a message. False if too many wait already: the peer does not read.
    pub(crate) fn send(
        &mut self,
        queue: &mut Queue,
        now: Instant,
        conn: ConnId,
        from: HostId,
        message: Message,
    ) -> bool {
        let Some(connection) = self.get(conn) else { return true };
        let side = connection.side_of(from);
        let stream = &mut connection.streams[side.index()];
        let bytes = message.encoded_len();
        if stream.message_bytes + bytes > OUT_QUEUE_BYTES_MAX {
            return false;
        }
        stream.message_bytes += bytes;
        stream.messages.push_back(message);
        self.traffic.messages += 1;
        self.traffic.message_bytes += bytes as u64;
        self.line_up(queue, now, Lane { conn, from: side });
        true
    }

    /// Queues a block.
    pub(crate) fn send_block(
        &mut self,
        queue: &mut Queue,
        now: Instant,
        conn: ConnId,
        from: HostId,
        block: BlockRef,
        content: Content,
    ) {
        let Some(connection) = self.get(conn) else { return };
        let side = connection.side_of(from);
        connection.streams[side.index()].blocks.push_back((block, content));
        self.line_up(queue, now, Lane { conn, from: side });
    }

    /// Bytes of messages that wait in one direction.
    pub(crate) fn queued_bytes(&self, conn: ConnId, from: HostId) -> usize {
        let connection = self.conns.get(conn.0 as usize).and_then(|conn| conn.as_deref());
        connection.map_or(0, |c| c.streams[c.side_of(from).index()].message_bytes)
    }

    /// Gives a direction its places in the lines for its uplink, if it has data and may send.
    fn line_up(&mut self, queue: &mut Queue, now: Instant, lane: Lane) {
        let connection = self.conns.get_mut(lane.conn.0 as usize);
        let Some(connection) = connection.and_then(|conn| conn.as_deref_mut()) else { return };
        let host = connection.hosts[lane.from.index()];
        let stream = &mut connection.streams[lane.from.index()];
        let access = &mut self.hosts[host.index()];
        if stream.line_up(access, lane, connection.window) {
            self.pump(queue, now, host);
        }
    }

    /// Lets the uplink take on the next batch, if it is idle.
    fn pump(&mut self, queue: &mut Queue, now: Instant, host: HostId) {
        if self.hosts[host.index()].busy {
            return;
        }
        let mut at = self.hosts[host.index()].uplink_free.max(now);
        let mut batch = 0;
        while batch < BURST_BYTES {
            let access = &mut self.hosts[host.index()];
            let message = access.urgent.pop_front().map(|lane| (lane, true));
            let next = message.or_else(|| access.bulk.pop_front().map(|lane| (lane, false)));
            let Some((lane, urgent)) = next else { break };
            let up = access.line.up;
            let Some(connection) =
                self.conns.get_mut(lane.conn.0 as usize).and_then(|conn| conn.as_deref_mut())
            else {
                continue;
            };
            let (latency, window) = (connection.latency, connection.window);
            let stream = &mut connection.streams[lane.from.index()];
            let burst = stream.take_burst(urgent, window);
            let bytes: u32 = burst.iter().map(Packet::bytes).sum();
            if bytes == 0 {
                continue;
            }
            batch += bytes;
            stream.unread += bytes;
            if matches!(burst.first(), Some(Packet::Message(_))) {
                self.traffic.message_batches += 1;
                self.traffic.waited_in_modems += at.since(now);
            }
            at += up.time_for(with_headers(bytes));
            access.sent_bytes += with_headers(bytes);
            let mut lands = at + latency;
            if connection.loss > 0.0 {
                let segments = bytes.div_ceil(SEGMENT_BYTES);
                let all_arrive = (1.0 - connection.loss).powi(segments as i32);
                if !self.rng.chance(all_arrive) {
                    // The sender learns of it and sends again; what follows waits for it.
                    lands += latency * 2 + RETRANSMIT_WAIT;
                    at += up.time_for(with_headers(SEGMENT_BYTES));
                    access.sent_bytes += with_headers(SEGMENT_BYTES);
                }
                lands = stream.flying.back().map_or(lands, |(last, _)| lands.max(*last));
            }
            if stream.flying.is_empty() {
                queue.at(lands, Event::Arrive(lane));
            }
            for packet in burst {
                if let Packet::Block(block, _) = &packet {
                    access.sent.push((lane.conn, *block));
                    self.traffic.blocks += 1;
                    self.traffic.block_bytes += u64::from(block.len);
                }
                stream.flying.push_back((lands, packet));
            }
            stream.line_up(access, lane, window);
        }
        if batch > 0 {
            let access = &mut self.hosts[host.index()];
            access.busy = true;
            access.uplink_free = at;
            // Of what the modem has taken in so much may be left when it takes in more.
            let left = access.line.up.time_for(access.line.buffer_bytes);
            queue.at((now + at.since(now).saturating_sub(left)).max(now), Event::UplinkFree(host));
        }
    }

    /// The uplink has sent its batch: takes on the next one, and says which blocks have gone.
    pub(crate) fn uplink_free(
        &mut self,
        queue: &mut Queue,
        now: Instant,
        host: HostId,
    ) -> Vec<(ConnId, BlockRef)> {
        let access = &mut self.hosts[host.index()];
        access.busy = false;
        let sent = std::mem::take(&mut access.sent);
        self.pump(queue, now, host);
        sent
    }

    /// What has crossed the network meets the receiver's downlink.
    pub(crate) fn arrive(&mut self, queue: &mut Queue, now: Instant, lane: Lane) {
        let Some(connection) =
            self.conns.get_mut(lane.conn.0 as usize).and_then(|conn| conn.as_deref_mut())
        else {
            return;
        };
        let receiver = connection.hosts[lane.from.other().index()];
        let access = &mut self.hosts[receiver.index()];
        let known = connection.ends[lane.from.other().index()] != End::Closed;
        let stream = &mut connection.streams[lane.from.index()];
        let mut strange = false;
        while stream.flying.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, packet)) = stream.flying.pop_front()
        {
            if !access.on {
                continue;
            }
            if !known {
                strange |= !matches!(packet, Packet::Close);
                continue;
            }
            let bytes = packet.bytes();
            let mut at = stream.landing.back().map_or(now, |(at, _)| (*at).max(now));
            if bytes > SMALL_BYTES || access.line.buffer_bytes > 0 {
                let time = access.line.down.time_for(with_headers(bytes));
                access.downlink_free = access.downlink_free.max(now) + time;
                at = at.max(access.downlink_free);
            }
            stream.landing.push_back((at, packet));
        }
        if let Some((at, _)) = stream.flying.front() {
            queue.at(*at, Event::Arrive(lane));
        }
        if strange {
            // The receiver was restarted and knows nothing of this connection.
            let latency = connection.latency;
            self.say_goodbye(
                queue,
                now + latency,
                Lane { conn: lane.conn, from: lane.from.other() },
            );
        }
    }

    /// The next thing in this direction that the receiver has read, if there is one by now. Call
    /// until there is none.
    pub(crate) fn deliver(
        &mut self,
        queue: &mut Queue,
        now: Instant,
        lane: Lane,
    ) -> Option<Delivery> {
        let connection = self.conns.get_mut(lane.conn.0 as usize)?.as_deref_mut()?;
        let to = connection.hosts[lane.from.other().index()];
        let blind = self.hosts[to.index()].blind_to_blocks;
        let stream = &mut connection.streams[lane.from.index()];
        if blind && matches!(stream.landing.front(), Some((_, Packet::Block(..)))) {
            // Whatever comes now piles up behind the block; only the end is noticed.
            stream.landing.retain(|(_, packet)| matches!(packet, Packet::Close));
        }
        let (at, _) = stream.landing.front()?;
        if *at > now {
            if !stream.landing_soon {
                stream.landing_soon = true;
                queue.at(*at, Event::Deliver(lane));
            }
            return None;
        }
        let (_, packet) = stream.landing.pop_front()?;
        if connection.slow_acks {
            let waits = self.hosts[to.index()].uplink_free.since(now);
            let at = now + connection.latency + waits;
            let at = stream.acks.back().map_or(at, |(last, _)| at.max(*last));
            if stream.acks.is_empty() {
                queue.at(at, Event::Acked(lane));
            }
            stream.acks.push_back((at, packet.bytes()));
        } else {
            stream.unread = stream.unread.saturating_sub(packet.bytes());
        }
        if matches!(packet, Packet::Close) {
            let end = &mut connection.ends[lane.from.other().index()];
            let was_open = std::mem::replace(end, End::Closed) == End::Open;
            self.hosts[to.index()].conns.remove(&lane.conn);
            self.free_if_closed(lane.conn);
            return was_open.then_some(Delivery { to, packet });
        }
        self.line_up(queue, now, lane);
        Some(Delivery { to, packet })
    }

    /// The sender learns that what it sent has been read.
    pub(crate) fn acked(&mut self, queue: &mut Queue, now: Instant, lane: Lane) {
        let Some(connection) = self.get(lane.conn) else { return };
        let stream = &mut connection.streams[lane.from.index()];
        while stream.acks.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, bytes)) = stream.acks.pop_front()
        {
            stream.unread = stream.unread.saturating_sub(bytes);
        }
        if let Some((at, _)) = stream.acks.front() {
            queue.at(*at, Event::Acked(lane));
        }
        self.line_up(queue, now, lane);
    }

    /// A scheduled [`Event::Deliver`] has come.
    pub(crate) fn delivery_due(&mut self, lane: Lane) {
        if let Some(connection) = self.get(lane.conn) {
            connection.streams[lane.from.index()].landing_soon = false;
        }
    }

    /// Closes a host's side. What has left the uplink still arrives, then the other side learns of
    /// it. False if the host had closed it before.
    pub(crate) fn close(
        &mut self,
        queue: &mut Queue,
        now: Instant,
        conn: ConnId,
        host: HostId,
    ) -> bool {
        let Some(connection) = self.get(conn) else { return false };
        let (from, latency) = (connection.side_of(host), connection.latency);
        if !self.abandon(conn, host) {
            return false;
        }
        self.say_goodbye(queue, now + latency, Lane { conn, from });
        true
    }

    /// A host's side is gone without a word. False if it was gone before.
    pub(crate) fn abandon(&mut self, conn: ConnId, host: HostId) -> bool {
        let Some(connection) = self.get(conn) else { return false };
        let side = connection.side_of(host);
        if connection.ends[side.index()] == End::Closed {
            return false;
        }
        connection.ends[side.index()] = End::Closed;
        let stream = &mut connection.streams[side.index()];
        stream.messages.clear();
        stream.message_bytes = 0;
        stream.blocks.clear();
        let from_other = &mut connection.streams[side.other().index()];
        from_other.landing.clear();
        self.hosts[host.index()].conns.remove(&conn);
        self.free_if_closed(conn);
        true
    }

    fn say_goodbye(&mut self, queue: &mut Queue, at: Instant, lane: Lane) {
        let Some(connection) = self.get(lane.conn) else { return };
        let stream = &mut connection.streams[lane.from.index()];
        if std::mem::replace(&mut stream.closed, true) {
            return;
        }
        let at = stream.flying.back().map_or(at, |(last, _)| (*last).max(at));
        if stream.flying.is_empty() {
            queue.at(at, Event::Arrive(lane));
        }
        stream.flying.push_back((at, Packet::Close));
    }

    fn free_if_closed(&mut self, conn: ConnId) {
        if self.get(conn).is_some_and(|c| c.ends == [End::Closed; 2]) {
            self.conns[conn.0 as usize] = None;
        }
    }

    /// Everything that waits at a host's uplink is lost: it was switched off.
    pub(crate) fn switch_off(&mut self, host: HostId) {
        let access = &mut self.hosts[host.index()];
        access.on = false;
        access.urgent.clear();
        access.bulk.clear();
        access.sent.clear();
    }
}

impl Connection {
    fn side_of(&self, host: HostId) -> Side {
        if self.hosts[0] == host { Side::Opener } else { Side::Callee }
    }
}

impl Stream {
    /// Takes its places at the uplink: one for its messages and one for its blocks, which they
    /// overtake. Says whether it has taken any.
    fn line_up(&mut self, access: &mut Access, lane: Lane, window: u32) -> bool {
        let may_send = self.unread < window;
        let urgent = may_send && !self.urgent && !self.messages.is_empty();
        let bulk = may_send && !self.bulk && !self.blocks.is_empty();
        if urgent {
            self.urgent = true;
            access.urgent.push_back(lane);
        }
        if bulk {
            self.bulk = true;
            access.bulk.push_back(lane);
        }
        urgent || bulk
    }

    /// What is sent in one turn: the messages that wait, up to a block's length, or one block.
    /// Nothing if the window has been used up meanwhile.
    fn take_burst(&mut self, urgent: bool, window: u32) -> Vec<Packet> {
        *(if urgent { &mut self.urgent } else { &mut self.bulk }) = false;
        let mut burst = Vec::with_capacity(1);
        if self.unread >= window {
            return burst;
        }
        if !urgent {
            let block = self.blocks.pop_front();
            burst.extend(block.map(|(block, content)| Packet::Block(block, content)));
            return burst;
        }
        let mut bytes = 0;
        while bytes < BURST_BYTES
            && let Some(message) = self.messages.pop_front()
        {
            self.message_bytes -= message.encoded_len();
            let packet = Packet::Message(message);
            bytes += packet.bytes();
            burst.push(packet);
        }
        burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rate;
    use althing_bittorrent::PieceIndex;

    /// A connection of one host that has many blocks to send on a slow line to several others.
    #[test]
    fn a_message_waits_for_the_block_begun_and_no_other() {
        let (mut network, mut queue) = (Network::new(Seed::from_u64(1)), Queue::default());
        let line = |rate| Line::new(rate, rate);
        let slow = network.add_host((0.0, 0.0), line(Rate::kib_per_s(1)));
        let mut conns = Vec::new();
        for _ in 0..3 {
            let other = network.add_host((0.0, 0.0), line(Rate::kib_per_s(1000)));
            let conn = network.open(slow, other, SocketAddr::from(([10, 0, 0, 1], 7716)));
            network.access(other).on = true;
            [Side::Opener, Side::Callee].iter().for_each(|side| network.establish(conn, *side));
            conns.push(conn);
        }
        let mut now = Instant::ORIGIN;
        for n in 0..5 {
            let block = BlockRef { piece: PieceIndex(n), begin: 0, len: 16 * 1024 };
            for conn in &conns {
                network.send_block(&mut queue, now, *conn, slow, block, Content::TRUE);
            }
        }
        assert!(network.send(&mut queue, now, conns[2], slow, Message::Interested));
        let mut read = Vec::new();
        while let Some((at, event)) = queue.pop() {
            now = at;
            match event {
                Event::UplinkFree(host) => drop(network.uplink_free(&mut queue, now, host)),
                Event::Arrive(lane) => network.arrive(&mut queue, now, lane),
                Event::Deliver(lane) => network.delivery_due(lane),
                _ => continue,
            }
            for conn in &conns {
                let lane = Lane { conn: *conn, from: Side::Opener };
                while let Some(delivery) = network.deliver(&mut queue, now, lane) {
                    read.push((*conn, delivery.packet));
                }
            }
        }
        assert_eq!(read.len(), 16);
        assert!(matches!(read[0], (conn, Packet::Block(..)) if conn == conns[0]));
        assert!(matches!(read[1], (conn, Packet::Message(_)) if conn == conns[2]));
    }
}
