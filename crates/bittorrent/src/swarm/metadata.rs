//! Fetching the info dictionary of a magnet link from peers (BEP 9).
//!
//! Peers say how large it is, and may lie; a few sizes are tried side by side. Memory grows only
//! with the bytes that come in. A dictionary that hashes wrong names nobody if several peers gave
//! parts of it; from then on each attempt takes all parts from one peer, so that the next failure
//! has a culprit.

use super::io::ConnId;
use super::limits::{METADATA_MAX, METADATA_SIZES_MAX};
use crate::types::{BLOCK_SIZE, InfoHashes};
use althing_base::hash::{sha1, sha256};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One attempt at a dictionary of a certain size.
#[derive(Debug)]
struct Assembly {
    pieces: Vec<Option<Bytes>>,
    /// Pieces on order.
    ordered: BTreeSet<u32>,
    missing: usize,
    senders: BTreeSet<IpAddr>,
}

impl Assembly {
    fn new(size: u32) -> Self {
        let count = size.div_ceil(BLOCK_SIZE) as usize;
        Assembly {
            pieces: vec![None; count],
            ordered: BTreeSet::new(),
            missing: count,
            senders: BTreeSet::new(),
        }
    }
}

/// What a piece of metadata led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is needed.
    Partial,
    /// Not asked for, or of the wrong length.
    Unwanted,
    /// The dictionary is whole and hashes to what the magnet link names.
    Complete(Bytes),
    /// It is whole and wrong; the peer that sent all of it lied, if it was one alone.
    Wrong(Option<IpAddr>),
}

/// The state of the search for the metadata.
#[derive(Debug)]
pub(super) struct MetadataFetch {
    wanted: InfoHashes,
    /// By size and, once somebody has lied, by connection.
    attempts: BTreeMap<(u32, Option<ConnId>), Assembly>,
    alone: bool,
}

impl MetadataFetch {
    pub(super) fn new(wanted: InfoHashes) -> Self {
        MetadataFetch { wanted, attempts: BTreeMap::new(), alone: false }
    }

    fn key(&self, conn: ConnId, size: u32) -> (u32, Option<ConnId>) {
        (size, self.alone.then_some(conn))
    }

    /// Whether a peer's idea of the size is worth following.
    pub(super) fn is_plausible(size: u32) -> bool {
        (1..=METADATA_MAX).contains(&size)
    }

    /// The next piece to ask this peer for, given the size it claims.
    pub(super) fn order(&mut self, conn: ConnId, size: u32) -> Option<u32> {
        if !Self::is_plausible(size) {
            return None;
        }
        let key = self.key(conn, size);
        if !self.attempts.contains_key(&key) {
            let claimed: u32 = self.attempts.keys().map(|(size, _)| size).sum();
            let too_much = claimed + size > 2 * METADATA_MAX;
            if self.attempts.len() >= METADATA_SIZES_MAX || (claimed > 0 && too_much) {
                return None;
            }
        }
        let attempt = self.attempts.entry(key).or_insert_with(|| Assembly::new(size));
        let piece = (0..attempt.pieces.len() as u32)
            .find(|n| attempt.pieces[*n as usize].is_none() && !attempt.ordered.contains(n))?;
        attempt.ordered.insert(piece);
        Some(piece)
    }

    /// An order came to nothing: the peer refused, was too slow, or is gone.
    pub(super) fn release(&mut self, conn: ConnId, size: u32, piece: u32) {
        let key = self.key(conn, size);
        if let Some(attempt) = self.attempts.get_mut(&key) {
            attempt.ordered.remove(&piece);
            // A size that only a vanished peer believed in makes room for another.
            if attempt.ordered.is_empty() && attempt.missing == attempt.pieces.len() {
                self.attempts.remove(&key);
            }
        }
    }

    /// The peer is gone for good; what it sent on its own goes with it.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.attempts.retain(|(_, by), _| *by != Some(conn));
    }

    /// A piece came in.
    pub(super) fn receive(
        &mut self,
        conn: ConnId,
        from: IpAddr,
        size: u32,
        piece: u32,
        payload: Bytes,
    ) -> Progress {
        let key = self.key(conn, size);
        let Some(attempt) = self.attempts.get_mut(&key) else { return Progress::Unwanted };
        attempt.ordered.remove(&piece);
        let offset = u64::from(piece) * u64::from(BLOCK_SIZE);
        let length = u64::from(size).saturating_sub(offset).min(u64::from(BLOCK_SIZE));
        let Some(slot) = attempt.pieces.get_mut(piece as usize) else { return Progress::Unwanted };
        if slot.is_some() || payload.len() as u64 != length {
            return Progress::Unwanted;
        }
        *slot = Some(payload);
        attempt.missing -= 1;
        attempt.senders.insert(from);
        if attempt.missing > 0 {
            return Progress::Partial;
        }
        self.finish(key)
    }

    fn finish(&mut self, key: (u32, Option<ConnId>)) -> Progress {
        let Some(attempt) = self.attempts.remove(&key) else { return Progress::Unwanted };
        let info: Vec<u8> =
            attempt.pieces.iter().flatten().flat_map(|p| p.iter().copied()).collect();
        let v1_agrees = self.wanted.v1().is_none_or(|hash| sha1(&info) == hash);
        let v2_agrees = self.wanted.v2().is_none_or(|hash| sha256(&info) == hash);
        if v1_agrees && v2_agrees {
            self.attempts.clear();
            return Progress::Complete(Bytes::from(info));
        }
        self.alone = true;
        self.attempts.clear();
        Progress::Wrong(attempt.senders.first().copied().filter(|_| attempt.senders.len() == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn info() -> Vec<u8> {
        (0..40_000u32).map(|n| n as u8).collect()
    }

    fn fetch() -> MetadataFetch {
        MetadataFetch::new(InfoHashes::v1_only(sha1(&info())))
    }

    fn part(n: u32) -> Bytes {
        let info = info();
        let start = (n * BLOCK_SIZE) as usize;
        Bytes::copy_from_slice(&info[start..info.len().min(start + BLOCK_SIZE as usize)])
    }

    #[test]
    fn two_peers_give_parts() {
        let mut fetch = fetch();
        assert_eq!(
            [fetch.order(A, 40_000), fetch.order(B, 40_000), fetch.order(A, 40_000)],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(fetch.order(B, 40_000), None);
        assert_eq!(fetch.receive(A, ip(1), 40_000, 0, part(0)), Progress::Partial);
        assert_eq!(fetch.receive(A, ip(1), 40_000, 2, part(2)), Progress::Partial);
        assert_eq!(fetch.receive(B, ip(2), 40_000, 1, part(1)), Progress::Complete(info().into()));
    }

    #[test]
    fn a_refused_piece_is_asked_of_someone_else() {
        let mut fetch = fetch();
        assert_eq!(fetch.order(A, 16_000), Some(0));
        assert_eq!(fetch.order(B, 16_000), None);
        fetch.release(A, 16_000, 0);
        assert_eq!(fetch.order(B, 16_000), Some(0));
    }

    #[test]
    fn a_lie_is_pinned_down_by_taking_all_from_one_peer() {
        let mut fetch = fetch();
        for (conn, n) in [(A, 0), (B, 1), (A, 2)] {
            assert_eq!(fetch.order(conn, 40_000), Some(n));
        }
        let lie = Bytes::from(vec![0; BLOCK_SIZE as usize]);
        fetch.receive(A, ip(1), 40_000, 0, part(0));
        fetch.receive(B, ip(2), 40_000, 1, lie.clone());
        assert_eq!(fetch.receive(A, ip(1), 40_000, 2, part(2)), Progress::Wrong(None));
        // Now each for itself.
        assert_eq!(fetch.order(A, 40_000), Some(0));
        assert_eq!(fetch.order(B, 40_000), Some(0));
        assert_eq!(fetch.order(B, 40_000), Some(1));
        assert_eq!(fetch.order(B, 40_000), Some(2));
        fetch.receive(B, ip(2), 40_000, 0, part(0));
        fetch.receive(B, ip(2), 40_000, 1, lie);
        assert_eq!(fetch.receive(B, ip(2), 40_000, 2, part(2)), Progress::Wrong(Some(ip(2))));
    }

    #[test]
    fn absurd_sizes_cost_nothing() {
        let mut fetch = fetch();
        assert_eq!(fetch.order(A, 0), None);
        assert_eq!(fetch.order(A, u32::MAX), None);
        for size in 1..=METADATA_SIZES_MAX as u32 {
            assert_eq!(fetch.order(A, size), Some(0));
        }
        assert_eq!(fetch.order(A, 1000), None);
        fetch.release(A, 1, 0);
        assert_eq!(fetch.order(A, 1000), Some(0));
        assert_eq!(
            fetch.receive(A, ip(1), 1000, 0, Bytes::from_static(b"short")),
            Progress::Unwanted
        );
        assert_eq!(fetch.receive(A, ip(1), 1000, 9, part(0)), Progress::Unwanted);
    }
}
