//! Writing packets: what was lost first, then what is new, as far as the windows go.

use super::send::Piece;
use super::{Conn, Owed, State, microseconds};
use crate::utp::limits::{DATAGRAM_BYTES_START, FULL_PROBE_MAX, HEADER_BYTES, SACK_BYTES_MAX};
use crate::utp::outbox::Outbox;
use crate::utp::packet::{Header, Kind};
use crate::utp::seq::Seq;
use althing_base::Instant;

/// Packets under way that are smaller than they could be, at most: the next waits until one of them has
/// arrived, or there is enough for a large one (as Nagle's algorithm, which has one).
const SMALL_PACKETS_MAX: usize = 4;

impl Conn {
    fn header(&mut self, now: Instant, kind: Kind, seq: Seq) -> Header {
        self.said = now;
        self.said_window = self.room();
        Header {
            kind,
            connection: self.send_id,
            timestamp: microseconds(now),
            delay: self.measured,
            window: u32::try_from(self.said_window).unwrap_or(u32::MAX),
            seq,
            ack: self.receiver.last(),
        }
    }

    pub(super) fn write_syn(&mut self, now: Instant, out: &mut Outbox) {
        let seq = self.sender.next_seq().minus(1);
        let mut header = self.header(now, Kind::Syn, seq);
        (header.connection, header.ack) = (self.receive_id, Seq(0));
        header.write(out.packet(self.to, true, HEADER_BYTES, 0));
    }

    /// Writes a packet that carries nothing and has no number.
    pub(super) fn write_bare(&mut self, now: Instant, kind: Kind, out: &mut Outbox) {
        let next = self.sender.next_seq();
        let header = self.header(now, kind, next);
        self.owed = Owed::Nothing;
        if self.receiver.has_gap() {
            let mut mask = [0; SACK_BYTES_MAX];
            let mask = self.receiver.mask(&mut mask);
            let len = HEADER_BYTES + 2 + mask.len();
            header.write_with_sack(mask, out.packet(self.to, true, len, 0));
        } else {
            header.write(out.packet(self.to, true, HEADER_BYTES, 0));
        }
    }

    /// What goes with every packet that has a number: an acknowledgement, unless there is a gap, of which
    /// only a packet of its own tells.
    fn with_number(&mut self, now: Instant) {
        if !self.receiver.has_gap() {
            self.owed = Owed::Nothing;
        }
        self.said_data = now;
        if self.loss_at.is_none() {
            self.arm(now);
        }
    }

    fn write_again(&mut self, now: Instant, piece: Piece, out: &mut Outbox) {
        let kind = if piece.fin { Kind::Fin } else { Kind::Data };
        let header = self.header(now, kind, piece.seq);
        let len = HEADER_BYTES + piece.len;
        // It cannot be made smaller, so if it must, routers take it apart.
        let dont_fragment = len <= usize::from(self.mtu.fits());
        let data = out.packet(self.to, dont_fragment, len, 0);
        header.write(data);
        self.sender.write_again(piece, data);
        self.sender.sent_again(now, piece.seq);
        self.with_number(now);
    }

    /// Sends the newest packet again, so that the answer tells what else is missing.
    pub(super) fn ask(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(piece) = self.sender.newest() {
            self.write_again(now, piece, out);
        }
    }

    /// Sends what may be sent.
    pub(super) fn send_all(&mut self, now: Instant, out: &mut Outbox) {
        debug_assert_eq!(self.state, State::Open);
        let mut from = 0;
        while let Some(piece) = self.sender.next_lost(&mut from) {
            let under_way = self.sender.under_way();
            if under_way > 0 && under_way + piece.len as u64 > self.congestion.window() {
                return;
            }
            self.write_again(now, piece, out);
        }
        while self.sender.has_number() {
            let unsent = self.sender.unsent();
            if unsent == 0 {
                if self.closing.is_some() && !self.sender.fin_sent() {
                    self.write_fin(now, out);
                }
                self.full_at = None;
                return;
            }
            if !self.send_one(now, unsent, out) {
                return;
            }
        }
    }

    /// Bytes of the next packet's payload, if there is enough to send.
    fn payload_max(&self) -> usize {
        let fits = u64::from(self.mtu.fits());
        let window = self.congestion.window();
        // On a slow path of large packets several small ones are better than a large one.
        let bytes = if window < fits * 2 {
            fits.min((window / 2).max(u64::from(DATAGRAM_BYTES_START)))
        } else {
            fits
        };
        bytes as usize - HEADER_BYTES
    }

    /// Sends one new packet, if it may.
    fn send_one(&mut self, now: Instant, unsent: u64, out: &mut Outbox) -> bool {
        let most = self.payload_max();
        let len = usize::try_from(unsent).map_or(most, |unsent| unsent.min(most));
        let small = len < most;
        if small && self.closing.is_none() && self.sender.small() >= SMALL_PACKETS_MAX {
            return false;
        }
        let (under_way, window) = (self.sender.under_way(), self.congestion.window());
        if under_way > 0 && under_way + len as u64 > window {
            return false;
        }
        if self.sender.unarrived() + len as u64 > self.peer_window && !self.may_overfill(now) {
            self.wait_for_room(now);
            return false;
        }
        self.full_at = None;
        let seq = self.sender.next_seq();
        let header = self.header(now, Kind::Data, seq);
        let fits = usize::from(self.mtu.fits());
        // Between others of the usual size, a probe that does not arrive is told from any other loss.
        let surrounded = unsent >= most as u64 * 3 && window >= fits as u64 * 3;
        let probe = if surrounded { self.mtu.wanted(now) } else { None };
        if let Some(size) = probe {
            let size = usize::from(size);
            out.finish_run();
            let data = out.packet(self.to, true, size, 0);
            let padding = header.write_with_padding(size - HEADER_BYTES - len, data);
            self.sender.send(now, len, false, data);
            self.mtu.sent(seq, (HEADER_BYTES + padding + len) as u16);
            out.finish_run();
        } else {
            let more = (unsent.min(window.saturating_sub(under_way)) as usize)
                .saturating_mul(103)
                .div_ceil(100);
            let data = out.packet(self.to, true, HEADER_BYTES + len, more);
            header.write(data);
            self.sender.send(now, len, small, data);
        }
        self.with_number(now);
        true
    }

    /// Whether a packet may go although the other side has no room, to hear whether that is still so.
    fn may_overfill(&mut self, now: Instant) -> bool {
        let due = self.full_at.is_some_and(|at| at <= now) && !self.sender.is_waiting();
        if due {
            self.full_at = None;
        }
        due
    }

    /// The other side has no room, as far as we know: ask later, unless an answer is on its way.
    fn wait_for_room(&mut self, now: Instant) {
        self.full_at = if self.sender.is_waiting() {
            None
        } else {
            self.full_at.or(Some(now + self.trips.timeout(0).min(FULL_PROBE_MAX)))
        };
    }

    fn write_fin(&mut self, now: Instant, out: &mut Outbox) {
        let seq = self.sender.next_seq();
        let header = self.header(now, Kind::Fin, seq);
        header.write(out.packet(self.to, true, HEADER_BYTES, 0));
        self.sender.send_fin(now);
        self.with_number(now);
    }
}
