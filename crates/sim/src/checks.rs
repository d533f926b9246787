//! What must never happen, whoever lies and whatever breaks, and what must stay small.

use crate::limits::VIOLATIONS_SHOWN;
use althing_base::Instant;
use althing_bittorrent::wire::Message;
use althing_bittorrent::{Bitfield, PieceIndex};
use serde::Serialize;

/// Violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) violations: Vec<String>,
    pub(crate) violations_total: u64,
    pub(crate) peaks: Peaks,
}

/// The largest values seen when the world was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Peaks {
    /// Connections of one host.
    pub connections: u32,
    /// Blocks on order with one peer.
    pub orders_per_peer: u32,
    /// Requests of one peer that wait.
    pub requests_per_peer: u32,
    /// Pieces in progress at one host.
    pub pieces_in_progress: u32,
    /// Addresses known to one host.
    pub candidates: u32,
    /// Bytes of messages that wait for one peer.
    pub queue_bytes: u64,
}

impl Checks {
    /// Something happened that must not.
    pub(crate) fn violated(&mut self, now: Instant, what: impl FnOnce() -> String) {
        self.violations_total += 1;
        if self.violations.len() < VIOLATIONS_SHOWN {
            self.violations.push(format!("{now:?}: {}", what()));
        }
    }
}

/// The first piece that a message claims and that is not on disk.
pub(crate) fn false_claim(message: &Message, stored: &Bitfield) -> Option<PieceIndex> {
    match message {
        Message::Have(piece) => (!stored.get(*piece)).then_some(*piece),
        Message::HaveAll if !stored.is_full() => Some(first_missing(stored)),
        Message::Bitfield(bytes) => {
            let Some(claimed) = Bitfield::from_bytes(bytes, stored.len()) else {
                return Some(PieceIndex(stored.len()));
            };
            first_beyond(&claimed, stored)
        }
        _ => None,
    }
}

/// The first piece of `part` that is not in `whole`.
pub(crate) fn first_beyond(part: &Bitfield, whole: &Bitfield) -> Option<PieceIndex> {
    let bytes = part.as_bytes().iter().zip(whole.as_bytes());
    if bytes.clone().all(|(part, whole)| part & !whole == 0) {
        return None;
    }
    part.ones().find(|piece| !whole.get(*piece))
}

fn first_missing(bits: &Bitfield) -> PieceIndex {
    (0..bits.len()).map(PieceIndex).find(|piece| !bits.get(*piece)).unwrap_or(PieceIndex(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn claims_are_compared_with_what_is_there() {
        let mut stored = Bitfield::new(10);
        stored.set(PieceIndex(3), true);
        let bits = |bytes: &'static [u8]| Message::Bitfield(Bytes::from_static(bytes));
        for (message, expected) in [
            (Message::Have(PieceIndex(3)), None),
            (Message::Have(PieceIndex(4)), Some(4)),
            (Message::HaveAll, Some(0)),
            (Message::HaveNone, None),
            (bits(&[0x10, 0]), None),
            (bits(&[0x11, 0]), Some(7)),
            (bits(&[0x10]), Some(10)),
        ] {
            assert_eq!(false_claim(&message, &stored), expected.map(PieceIndex), "{message:?}");
        }
    }
}
