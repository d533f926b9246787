//! What has come: in order it goes on at once; out of order it waits, copied and bounded.

use crate::utp::limits::{DATAGRAM_BYTES_MAX, REORDER_PACKETS_MAX, SACK_BYTES_MAX};
use crate::utp::seq::Seq;
use bytes::Bytes;
use std::collections::VecDeque;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It was the next one, and nothing waited.
    InOrder,
    /// It came out of order, or filled a gap, or was there before: who sent it should know at once.
    Tell,
    /// It is beyond what can be kept or what was ever allowed: as if it had not come.
    Ignored,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct Receiver {
    /// All up to this one have come.
    last: Seq,
    /// What came after a gap: the first place is for the number two after `last`.
    waiting: VecDeque<Option<Bytes>>,
    waiting_bytes: u64,
    /// Bytes that were given out and not consumed.
    unconsumed: u64,
    fin: Option<Seq>,
}

impl Receiver {
    /// All up to `last` have come.
    pub(super) fn new(last: Seq) -> Self {
        Receiver { last, waiting: VecDeque::new(), waiting_bytes: 0, unconsumed: 0, fin: None }
    }

    /// The number up to which all have come.
    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// Whether packets wait for others before them.
    pub(super) fn has_gap(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the end has come.
    pub(super) fn is_finished(&self) -> bool {
        self.fin == Some(self.last)
    }

    /// Bytes that are held here or not consumed.
    pub(super) fn held(&self) -> u64 {
        self.unconsumed + self.waiting_bytes
    }

    /// Whether a packet with this number can be of this connection: not further ahead than may be kept,
    /// and not long past.
    pub(super) fn believes(&self, seq: Seq) -> bool {
        let ahead = seq.after(self.last);
        (-(REORDER_PACKETS_MAX as i32)..=REORDER_PACKETS_MAX as i32).contains(&ahead)
    }

    /// Takes a packet that is [believed](Receiver::believes), if no more than `window` bytes are held
    /// then, or one packet more. What is in order now is given to `deliver`.
    pub(super) fn take(
        &mut self,
        seq: Seq,
        fin: bool,
        payload: Bytes,
        window: u64,
        mut deliver: impl FnMut(Bytes),
    ) -> Verdict {
        let ahead = seq.after(self.last);
        if ahead <= 0 {
            return Verdict::Tell;
        }
        // What fills the gap sets free what waits behind it, so it may be one packet too much.
        let spare = if ahead == 1 && self.has_gap() { u64::from(DATAGRAM_BYTES_MAX) } else { 0 };
        if self.held() + payload.len() as u64 > window + spare {
            return Verdict::Tell;
        }
        if self.fin.is_some_and(|end| seq.after(end) > 0) {
            return Verdict::Ignored;
        }
        if fin && self.fin.is_none() {
            if self.waiting.iter().skip(ahead as usize - 1).any(Option::is_some) {
                // Something came that is numbered after this end.
                return Verdict::Ignored;
            }
            self.fin = Some(seq);
        }
        if let Some(place) = (ahead as usize).checked_sub(2) {
            return self.keep(place, &payload);
        }
        let verdict =
            if self.waiting.is_empty() && !fin { Verdict::InOrder } else { Verdict::Tell };
        self.unconsumed += payload.len() as u64;
        self.last = seq;
        if !payload.is_empty() {
            deliver(payload);
        }
        while let Some(Some(payload)) = self.waiting.pop_front() {
            self.last = self.last.plus(1);
            self.waiting_bytes -= payload.len() as u64;
            self.unconsumed += payload.len() as u64;
            if !payload.is_empty() {
                deliver(payload);
            }
        }
        verdict
    }

    fn keep(&mut self, place: usize, payload: &Bytes) -> Verdict {
        if place >= REORDER_PACKETS_MAX {
            return Verdict::Ignored;
        }
        if self.waiting.len() <= place {
            self.waiting.resize(place + 1, None);
        }
        if let Some(slot @ None) = self.waiting.get_mut(place) {
            self.waiting_bytes += payload.len() as u64;
            // A copy: a byte must not keep the buffer of a whole batch of datagrams.
            *slot = Some(Bytes::copy_from_slice(payload));
        }
        Verdict::Tell
    }

    /// Bytes have been dealt with.
    pub(super) fn consumed(&mut self, bytes: u64) {
        self.unconsumed = self.unconsumed.saturating_sub(bytes);
    }

    /// Writes which have come after the gap, a multiple of four bytes.
    pub(super) fn mask<'a>(&self, mask: &'a mut [u8; SACK_BYTES_MAX]) -> &'a [u8] {
        for (place, slot) in self.waiting.iter().enumerate().take(SACK_BYTES_MAX * 8) {
            if slot.is_some()
                && let Some(byte) = mask.get_mut(place / 8)
            {
                *byte |= 1 << (place % 8);
            }
        }
        let len = self.waiting.len().div_ceil(32).clamp(1, SACK_BYTES_MAX / 4) * 4;
        mask.get(..len).unwrap_or(mask)
    }

    /// Gives memory back that a busy time has taken.
    pub(super) fn shrink(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utp::packet::Sack;

    fn take(receiver: &mut Receiver, seq: u16, payload: &'static [u8]) -> (Verdict, Vec<u8>) {
        let mut got = Vec::new();
        let payload = Bytes::from_static(payload);
        let verdict =
            receiver.take(Seq(seq), false, payload, 100, |data| got.extend_from_slice(&data));
        (verdict, got)
    }

    fn mask(receiver: &Receiver) -> Vec<usize> {
        let mut bytes = [0; SACK_BYTES_MAX];
        let sack = Sack::new(receiver.mask(&mut bytes));
        (0..sack.len()).filter(|after| sack.has(*after)).collect()
    }

    #[test]
    fn order_is_made_over_the_wrap() {
        let mut receiver = Receiver::new(Seq(65_533));
        assert_eq!(take(&mut receiver, 65_534, b"a"), (Verdict::InOrder, b"a".to_vec()));
        assert_eq!(take(&mut receiver, 0, b"c"), (Verdict::Tell, vec![]));
        assert_eq!(take(&mut receiver, 2, b"e"), (Verdict::Tell, vec![]));
        assert_eq!(mask(&receiver), [2, 4]);
        assert_eq!(take(&mut receiver, 2, b"X"), (Verdict::Tell, vec![]));
        assert_eq!(take(&mut receiver, 65_535, b"b"), (Verdict::Tell, b"bc".to_vec()));
        assert_eq!(receiver.last(), Seq(0));
        assert_eq!(take(&mut receiver, 65_535, b"X"), (Verdict::Tell, vec![]));
        assert_eq!(take(&mut receiver, 1, b"d"), (Verdict::Tell, b"de".to_vec()));
        assert!(!receiver.has_gap());
        assert_eq!(receiver.held(), 5);
        receiver.consumed(5);
        assert_eq!(receiver.held(), 0);
    }

    #[test]
    fn no_more_is_held_than_was_allowed() {
        let mut receiver = Receiver::new(Seq(0));
        let long: &[u8] = &[7; 60];
        assert_eq!(take(&mut receiver, 2, long), (Verdict::Tell, vec![]));
        assert_eq!(take(&mut receiver, 3, long), (Verdict::Tell, vec![]));
        assert_eq!((receiver.held(), mask(&receiver)), (60, vec![2]));
        assert_eq!(take(&mut receiver, 1, long).1.len(), 120);
        assert_eq!(take(&mut receiver, 4, long), (Verdict::Tell, vec![]));
        assert_eq!(receiver.held(), 120);
        receiver.consumed(120);
        assert_eq!(take(&mut receiver, 3, long).1.len(), 60);
        assert!(receiver.believes(Seq(3)) && receiver.believes(Seq(1027)));
        assert!(!receiver.believes(Seq(1028)) && !receiver.believes(Seq(40_000)));
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let mut receiver = Receiver::new(Seq(0));
        let fin = |receiver: &mut Receiver, seq| {
            receiver.take(Seq(seq), true, Bytes::new(), 100, |_| panic!("an end has no bytes"))
        };
        assert_eq!(take(&mut receiver, 3, b"c").0, Verdict::Tell);
        assert_eq!(fin(&mut receiver, 2), Verdict::Ignored);
        assert_eq!(fin(&mut receiver, 4), Verdict::Tell);
        assert_eq!(take(&mut receiver, 5, b"e").0, Verdict::Ignored);
        assert_eq!(take(&mut receiver, 1, b"a").1, b"a");
        assert!(!receiver.is_finished());
        assert_eq!(take(&mut receiver, 2, b"b").1, b"bc");
        assert!(receiver.is_finished());
        assert_eq!(fin(&mut receiver, 4), Verdict::Tell);
    }
}
