//! How large packets may be: a search between what is known to go and what is known not to (RFC 8899).
//!
//! A probe is an ordinary data packet of the size that is known to go, made larger by an extension that
//! means nothing, in front of the payload. So a probe that is lost, as too large a one is, can be sent
//! again whole; BEP 29 allows no other division of its payload. And who reads datagrams into a buffer
//! that is too short, as some clients do, sees a broken packet, not half of one.

use crate::utp::limits::{
    DATAGRAM_BYTES_ETHERNET_V4, DATAGRAM_BYTES_ETHERNET_V6, DATAGRAM_BYTES_MIN_V4,
    DATAGRAM_BYTES_START, MTU_PROBES_PER_SIZE, MTU_RAISE_AFTER, MTU_SEARCH_STEP,
};
use crate::utp::seq::Seq;
use althing_base::Instant;

/// The state of the search, in bytes of UDP payload.
#[derive(Debug)]
pub(super) struct Mtu {
    /// What goes, or is taken to.
    fits: u16,
    /// What may go.
    ceiling: u16,
    /// What our interfaces take.
    highest: u16,
    /// What is always let through.
    lowest: u16,
    /// What most paths take.
    ethernet: u16,
    /// The probe under way, and its size.
    probe: Option<(Seq, u16)>,
    /// Probes of the present size that were lost.
    lost: u8,
    /// When the ceiling is lifted.
    raise_at: Instant,
}

impl Mtu {
    pub(super) fn new(now: Instant, is_v4: bool, highest: u16) -> Self {
        let (lowest, ethernet) = if is_v4 {
            (DATAGRAM_BYTES_MIN_V4, DATAGRAM_BYTES_ETHERNET_V4)
        } else {
            (DATAGRAM_BYTES_START, DATAGRAM_BYTES_ETHERNET_V6)
        };
        let highest = highest.max(lowest);
        Mtu {
            fits: DATAGRAM_BYTES_START.min(highest),
            ceiling: highest,
            highest,
            lowest,
            ethernet,
            probe: None,
            lost: 0,
            raise_at: now + MTU_RAISE_AFTER,
        }
    }

    /// The size of an ordinary packet.
    pub(super) fn fits(&self) -> u16 {
        self.fits
    }

    /// The size that the next probe should have, if one should be sent.
    pub(super) fn wanted(&mut self, now: Instant) -> Option<u16> {
        if self.probe.is_some() {
            return None;
        }
        if now >= self.raise_at {
            self.raise_at = now + MTU_RAISE_AFTER;
            (self.ceiling, self.lost) = (self.highest, 0);
        }
        let room = self.ceiling.checked_sub(self.fits).filter(|room| *room >= MTU_SEARCH_STEP)?;
        if self.fits < self.ethernet && self.ethernet <= self.ceiling {
            return Some(self.ethernet);
        }
        if self.ceiling == self.highest {
            return Some(self.highest);
        }
        Some(self.fits + room.div_ceil(2))
    }

    /// A probe has been sent.
    pub(super) fn sent(&mut self, seq: Seq, size: u16) {
        self.probe = Some((seq, size));
    }

    /// The probe of this number has arrived.
    pub(super) fn arrived(&mut self, seq: Seq) {
        if let Some((probe, size)) = self.probe
            && probe == seq
        {
            (self.probe, self.lost) = (None, 0);
            self.fits = self.fits.max(size);
            self.ceiling = self.ceiling.max(size);
        }
    }

    /// The probe of this number was lost.
    pub(super) fn lost(&mut self, seq: Seq) {
        if let Some((probe, size)) = self.probe
            && probe == seq
        {
            self.probe = None;
            self.lost += 1;
            if self.lost >= MTU_PROBES_PER_SIZE {
                self.lower(size - 1);
            }
        }
    }

    /// An interface says that no more than `fits` goes, or nothing but that it was too large. Answers the
    /// probe that is known to be lost by that.
    pub(super) fn too_big(&mut self, fits: Option<u16>) -> Option<Seq> {
        let (seq, size) = match self.probe {
            Some((seq, size)) => (Some(seq), size),
            None => (None, self.fits),
        };
        let below = fits.unwrap_or(u16::MAX).min(size.saturating_sub(1));
        if below < size {
            self.lower(below);
            self.probe = None;
            return seq;
        }
        None
    }

    fn lower(&mut self, ceiling: u16) {
        self.lost = 0;
        self.ceiling = ceiling.max(self.lowest);
        self.fits = self.fits.min(self.ceiling);
    }

    /// Nothing arrives any more: perhaps because the path has become narrower.
    pub(super) fn nothing_arrives(&mut self) {
        self.probe = None;
        let below =
            if self.fits > DATAGRAM_BYTES_START { DATAGRAM_BYTES_START } else { self.lowest };
        self.lower(below);
    }

    /// The probe under way, if it has this number.
    pub(super) fn probes(&self, seq: Seq) -> bool {
        self.probe.is_some_and(|(probe, _)| probe == seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Searches a path that takes `path` bytes; says what was found and in how many probes.
    fn search(mtu: &mut Mtu, path: u16) -> (u16, u32) {
        let mut probes = 0;
        while let Some(size) = mtu.wanted(Instant::ORIGIN) {
            let seq = Seq(probes as u16);
            probes += 1;
            assert!(probes < 60);
            mtu.sent(seq, size);
            assert_eq!(mtu.wanted(Instant::ORIGIN), None);
            if size <= path { mtu.arrived(seq) } else { mtu.lost(seq) }
        }
        (mtu.fits(), probes)
    }

    #[test]
    fn the_usual_sizes_are_found_at_once() {
        let mut mtu = Mtu::new(Instant::ORIGIN, true, 65_507);
        assert_eq!(mtu.fits(), 1_232);
        assert_eq!(search(&mut mtu, u16::MAX), (65_507, 2));
        let mut mtu = Mtu::new(Instant::ORIGIN, true, 1_472);
        assert_eq!(search(&mut mtu, 1_472), (1_472, 1));
        let mut mtu = Mtu::new(Instant::ORIGIN, false, 1_452);
        assert_eq!(search(&mut mtu, 1_452), (1_452, 1));
    }

    #[test]
    fn an_interface_that_refuses_is_believed_at_once() {
        let mut mtu = Mtu::new(Instant::ORIGIN, true, 65_507);
        mtu.sent(Seq(1), 1_472);
        mtu.arrived(Seq(1));
        mtu.sent(Seq(2), mtu.highest);
        assert_eq!(mtu.too_big(Some(1_472)), Some(Seq(2)));
        assert_eq!((mtu.wanted(Instant::ORIGIN), mtu.fits()), (None, 1_472));
        // And ten minutes later it is tried again.
        assert_eq!(mtu.wanted(Instant::ORIGIN + MTU_RAISE_AFTER), Some(65_507));
    }

    proptest! {
        #[test]
        fn what_a_path_takes_is_found(path in 548u16..=65_507, highest in 548u16..=65_507, v4: bool) {
            let mut mtu = Mtu::new(Instant::ORIGIN, v4, highest);
            let path = path.max(mtu.lowest);
            while mtu.fits() > path {
                mtu.nothing_arrives();
            }
            let (found, _) = search(&mut mtu, path);
            let best = path.min(mtu.highest);
            // Of a path that is narrower than what every path is trusted with, the least is taken.
            let close = best - found < 2 * MTU_SEARCH_STEP || path < DATAGRAM_BYTES_START;
            prop_assert!(found <= best && close, "{found} of {best}");
        }
    }
}
