//! What is to be sent and what is under way.
//!
//! Written bytes stay in the chunks in which they were handed in; a packet under way is a range of the
//! stream, so nothing is split or counted for each. A packet keeps its range for good: BEP 29
//! numbers packets, not bytes. Which are lost is found by what arrived later: three later ones (BEP
//! 29), or for those sent again, one that was sent later (RFC 8985).

use super::mtu::Mtu;
use crate::utp::limits::PACKETS_UNDERWAY_MAX;
use crate::utp::packet::Sack;
use crate::utp::seq::Seq;
use althing_base::Instant;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// How many that arrived later tell that a packet was lost (BEP 29).
const LATER_ARRIVALS: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    UnderWay,
    Arrived,
    Lost,
}

/// A packet that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    offset: u64,
    at: Instant,
    len: u32,
    times: u8,
    fate: Fate,
    small: bool,
    fin: bool,
}

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) seq: Seq,
    pub(super) offset: u64,
    pub(super) len: usize,
    pub(super) fin: bool,
}

/// What an acknowledgement said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct News {
    /// Bytes of which it is now known that they arrived.
    pub(super) bytes: u64,
    /// Whether any packet did.
    pub(super) arrived: bool,
    /// How long the latest of them took, if it was sent once.
    pub(super) round_trip: Option<Duration>,
    /// Something was lost that was sent after the last time that this was said.
    pub(super) lost: bool,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct Sender {
    chunks: VecDeque<Bytes>,
    /// Where in the stream the first chunk begins.
    start: u64,
    /// The chunk from which the next byte is sent for the first time, and where in it that is.
    cursor: (usize, usize),
    /// Where in the stream that is.
    next: u64,
    /// Where in the stream what was written ends.
    end: u64,
    /// From the oldest that has not arrived to the newest.
    packets: VecDeque<Sent>,
    /// The number of the first of them; of the next one to be sent if there is none.
    first: Seq,
    /// Bytes that are under way.
    under_way: u64,
    /// Bytes that have not arrived, as far as is known: those under way and the lost.
    unarrived: u64,
    lost: usize,
    small: usize,
    repeats: u32,
    /// When the latest packet that arrived was sent.
    latest: Instant,
    /// Losses before this number have been answered for.
    answered: Seq,
    fin_sent: bool,
}

impl Sender {
    /// The first packet will be number `first`.
    pub(super) fn new(first: Seq) -> Self {
        Sender {
            chunks: VecDeque::new(),
            start: 0,
            cursor: (0, 0),
            next: 0,
            end: 0,
            packets: VecDeque::new(),
            first,
            under_way: 0,
            unarrived: 0,
            lost: 0,
            small: 0,
            repeats: 0,
            latest: Instant::ORIGIN,
            answered: first,
            fin_sent: false,
        }
    }

    /// Takes bytes to send.
    pub(super) fn write(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.end += data.len() as u64;
            self.chunks.push_back(data);
        }
    }

    /// Bytes that were never sent.
    pub(super) fn unsent(&self) -> u64 {
        self.end - self.next
    }

    /// Bytes that are kept: not sent, or not known to have arrived with all before them.
    pub(super) fn kept(&self) -> u64 {
        self.end - self.packets.front().map_or(self.next, |packet| packet.offset)
    }

    /// Bytes under way.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way
    }

    /// Bytes that have not arrived, as far as is known.
    pub(super) fn unarrived(&self) -> u64 {
        self.unarrived
    }

    /// Whether anything sent has not arrived.
    pub(super) fn is_waiting(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Whether all has arrived, the end included.
    pub(super) fn is_done(&self) -> bool {
        self.fin_sent && self.packets.is_empty()
    }

    /// Whether the end has been said.
    pub(super) fn fin_sent(&self) -> bool {
        self.fin_sent
    }

    /// Whether another packet may be numbered.
    pub(super) fn has_number(&self) -> bool {
        self.packets.len() < PACKETS_UNDERWAY_MAX
    }

    /// Packets under way that were smaller than they could have been.
    pub(super) fn small(&self) -> usize {
        self.small
    }

    /// The next packet's number.
    pub(super) fn next_seq(&self) -> Seq {
        self.first.plus(self.packets.len() as u16)
    }

    /// Whether this acknowledges what was sent, or did not long ago.
    pub(super) fn believes(&self, ack: Seq) -> bool {
        let count = ack.after(self.first) + 1;
        count <= self.packets.len() as i32 && count >= -(PACKETS_UNDERWAY_MAX as i32)
    }

    /// Takes an acknowledgement that is [believed](Sender::believes). `pure` is one that carries
    /// nothing else; if it says nothing new it says that something came out of order.
    pub(super) fn acked(
        &mut self,
        now: Instant,
        ack: Seq,
        sack: Option<Sack<'_>>,
        pure: bool,
        patience: Duration,
        mtu: &mut Mtu,
    ) -> News {
        let mut news = News::default();
        let count = ack.after(self.first) + 1;
        for _ in 0..count.max(0) {
            let Some(packet) = self.packets.pop_front() else { break };
            self.arrived(now, packet, &mut news);
            mtu.arrived(self.first);
            self.first = self.first.plus(1);
        }
        if count > 0 {
            self.repeats = 0;
            if self.answered.after(self.first) < 0 {
                self.answered = self.first;
            }
            self.release();
        } else if count == 0 && pure && !self.packets.is_empty() {
            self.repeats += 1;
        }
        let mut last = None;
        if let Some(sack) = sack
            && count >= 0
        {
            // The first packet of ours is the one after the acknowledged.
            for index in 1..self.packets.len().min(sack.len() - 1) {
                if sack.has(index + 1) {
                    last = Some(index);
                    if let Some(packet) = self.packets.get_mut(index)
                        && packet.fate != Fate::Arrived
                    {
                        let before = *packet;
                        packet.fate = Fate::Arrived;
                        self.arrived(now, before, &mut news);
                        mtu.arrived(self.first.plus(index as u16));
                    }
                }
            }
        }
        if let Some(last) = last {
            self.find_lost(last, patience, mtu, &mut news);
        } else if self.repeats >= LATER_ARRIVALS
            && self.packets.front().is_some_and(|first| first.times == 1)
        {
            self.lose(0, mtu, &mut news);
        }
        news
    }

    fn arrived(&mut self, now: Instant, packet: Sent, news: &mut News) {
        let len = u64::from(packet.len);
        match packet.fate {
            Fate::Arrived => return,
            Fate::UnderWay => self.under_way -= len,
            Fate::Lost => self.lost -= 1,
        }
        self.unarrived -= len;
        self.small -= usize::from(packet.small);
        news.bytes += len;
        news.arrived = true;
        if packet.times == 1 {
            news.round_trip = Some(now.since(packet.at));
        }
        self.latest = self.latest.max(packet.at);
    }

    /// Looks for packets that were lost, up to the last that arrived out of order.
    fn find_lost(&mut self, last: usize, patience: Duration, mtu: &mut Mtu, news: &mut News) {
        let mut later = 0;
        for index in (0..=last).rev() {
            let Some(packet) = self.packets.get(index) else { continue };
            let is_lost = match packet.fate {
                Fate::Arrived => {
                    later += 1;
                    false
                }
                Fate::Lost => false,
                Fate::UnderWay if packet.times == 1 => later >= LATER_ARRIVALS,
                Fate::UnderWay => packet.at + patience <= self.latest,
            };
            if is_lost {
                self.lose(index, mtu, news);
            }
        }
    }

    fn lose(&mut self, index: usize, mtu: &mut Mtu, news: &mut News) {
        let seq = self.first.plus(index as u16);
        let answered = seq.after(self.answered) < 0;
        let Some(packet) = self.packets.get_mut(index) else { return };
        if packet.fate != Fate::UnderWay {
            return;
        }
        packet.fate = Fate::Lost;
        self.under_way -= u64::from(packet.len);
        self.lost += 1;
        if mtu.probes(seq) {
            // It was too large, which says nothing about the path's queue.
            mtu.lost(seq);
        } else if !answered {
            news.lost = true;
        }
    }

    /// The loss of what has been sent up to now has been answered for.
    pub(super) fn answer(&mut self) {
        self.answered = self.next_seq();
    }

    /// Nothing arrives: all that is under way is given up.
    pub(super) fn give_up(&mut self) {
        for packet in &mut self.packets {
            if packet.fate == Fate::UnderWay {
                packet.fate = Fate::Lost;
                self.lost += 1;
            }
        }
        self.under_way = 0;
        self.repeats = 0;
        self.answer();
    }

    /// An interface has refused this packet.
    pub(super) fn refused(&mut self, seq: Seq) {
        let index = usize::try_from(seq.after(self.first)).ok();
        if let Some(packet) = index.and_then(|index| self.packets.get_mut(index))
            && packet.fate == Fate::UnderWay
        {
            packet.fate = Fate::Lost;
            self.under_way -= u64::from(packet.len);
            self.lost += 1;
        }
    }

    /// The next packet that is to be sent again, looking from `from` on; where to look on is put there.
    pub(super) fn next_lost(&self, from: &mut usize) -> Option<Piece> {
        if self.lost == 0 {
            return None;
        }
        while let Some(packet) = self.packets.get(*from) {
            if packet.fate == Fate::Lost {
                return Some(self.piece(*from, packet));
            }
            *from += 1;
        }
        None
    }

    /// The newest packet under way.
    pub(super) fn newest(&self) -> Option<Piece> {
        let index = self.packets.iter().rposition(|packet| packet.fate == Fate::UnderWay)?;
        self.packets.get(index).map(|packet| self.piece(index, packet))
    }

    fn piece(&self, index: usize, packet: &Sent) -> Piece {
        Piece {
            seq: self.first.plus(index as u16),
            offset: packet.offset,
            len: packet.len as usize,
            fin: packet.fin,
        }
    }

    /// A packet is sent again.
    pub(super) fn sent_again(&mut self, now: Instant, seq: Seq) {
        let index = usize::try_from(seq.after(self.first)).ok();
        if let Some(packet) = index.and_then(|index| self.packets.get_mut(index)) {
            packet.at = now;
            packet.times = packet.times.saturating_add(1);
            if packet.fate == Fate::Lost {
                packet.fate = Fate::UnderWay;
                self.lost -= 1;
                self.under_way += u64::from(packet.len);
            }
        }
    }

    /// Numbers the next `len` bytes, of those never sent, and writes them.
    pub(super) fn send(&mut self, now: Instant, len: usize, small: bool, out: &mut Vec<u8>) {
        let mut left = len;
        while left > 0
            && let Some(chunk) = self.chunks.get(self.cursor.0)
        {
            let rest = chunk.get(self.cursor.1..).unwrap_or_default();
            let taken = rest.get(..left).unwrap_or(rest);
            out.extend_from_slice(taken);
            left -= taken.len();
            if taken.len() == rest.len() {
                self.cursor = (self.cursor.0 + 1, 0);
            } else {
                self.cursor.1 += taken.len();
            }
        }
        let taken = (len - left) as u64;
        self.push(now, taken as u32, small, false);
        self.next += taken;
    }

    /// Numbers the end.
    pub(super) fn send_fin(&mut self, now: Instant) {
        self.push(now, 0, false, true);
        self.fin_sent = true;
    }

    fn push(&mut self, now: Instant, len: u32, small: bool, fin: bool) {
        self.packets.push_back(Sent {
            offset: self.next,
            at: now,
            len,
            times: 1,
            fate: Fate::UnderWay,
            small,
            fin,
        });
        self.under_way += u64::from(len);
        self.unarrived += u64::from(len);
        self.small += usize::from(small);
    }

    /// Writes bytes that were sent before.
    pub(super) fn write_again(&self, piece: Piece, out: &mut Vec<u8>) {
        let (mut at, mut skip, mut left) = (0, piece.offset.saturating_sub(self.start), piece.len);
        while left > 0
            && let Some(chunk) = self.chunks.get(at)
        {
            at += 1;
            let Some(rest) = usize::try_from(skip).ok().and_then(|skip| chunk.get(skip..)) else {
                skip -= chunk.len() as u64;
                continue;
            };
            skip = 0;
            let taken = rest.get(..left).unwrap_or(rest);
            out.extend_from_slice(taken);
            left -= taken.len();
        }
        debug_assert_eq!(left, 0, "what is under way is kept");
    }

    /// Lets go of chunks all of which has arrived.
    fn release(&mut self) {
        let kept_from = self.packets.front().map_or(self.next, |packet| packet.offset);
        while self.cursor.0 > 0
            && let Some(chunk) = self.chunks.front()
            && self.start + chunk.len() as u64 <= kept_from
        {
            self.start += chunk.len() as u64;
            self.cursor.0 -= 1;
            self.chunks.pop_front();
        }
    }

    /// Gives memory back that a busy time has taken.
    pub(super) fn shrink(&mut self) {
        if self.packets.is_empty() && self.chunks.is_empty() {
            self.packets = VecDeque::new();
            self.chunks = VecDeque::new();
        }
    }
}
