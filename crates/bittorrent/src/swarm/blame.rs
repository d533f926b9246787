//! Who sent the block that spoilt a piece.
//!
//! A piece that hashes wrong names nobody: its blocks came from several peers. So the digests of
//! its blocks are kept with their senders, the piece is fetched again from one peer alone, and
//! when it is right, every sender whose block differs has lied. If it is wrong again, the one peer
//! that sent all of it is the liar. Either way each failure ends with somebody banned.

use super::limits::SUSPECT_PIECES_MAX;
use crate::types::{BlockDigests, PieceIndex};
use crate::webseed::WebSeedId;
use althing_base::Sha256Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Who is answerable for a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Sender {
    /// A peer, by its address: behind one address there may be many connections.
    Peer(IpAddr),
    /// A web seed.
    Web(WebSeedId),
}

/// One failed attempt: what each sender claimed each block to be.
type Attempt = Vec<(Option<Sender>, Sha256Digest)>;

/// Pieces that failed and wait for a right copy to compare with.
#[derive(Debug, Default)]
pub(super) struct Blame {
    suspects: BTreeMap<PieceIndex, Attempt>,
}

impl Blame {
    /// A piece hashed wrong. Returns the liar if a single peer sent all of it. Blocks that nobody
    /// sent were there from an earlier run.
    pub(super) fn corrupt(
        &mut self,
        piece: PieceIndex,
        senders: impl Iterator<Item = Option<Sender>>,
        digests: BlockDigests,
    ) -> Option<Sender> {
        let attempt: Attempt = senders.zip(digests).collect();
        let everyone: BTreeSet<Sender> = attempt.iter().filter_map(|(from, _)| *from).collect();
        let all_known = attempt.iter().all(|(from, _)| from.is_some());
        if everyone.len() == 1 && all_known {
            return everyone.first().copied();
        }
        if self.suspects.len() >= SUSPECT_PIECES_MAX {
            self.suspects.pop_first();
        }
        self.suspects.insert(piece, attempt);
        None
    }

    /// Whether the piece failed before: fetch it from one peer alone, and ask for its digests.
    pub(super) fn is_suspect(&self, piece: PieceIndex) -> bool {
        self.suspects.contains_key(&piece)
    }

    /// Whether the peer had a hand in a piece that failed: it is not the one to repeat it from.
    pub(super) fn had_a_hand_in(&self, piece: PieceIndex, who: Sender) -> bool {
        self.suspects
            .get(&piece)
            .is_some_and(|attempt| attempt.iter().any(|(from, _)| *from == Some(who)))
    }

    /// The piece is right at last: everyone who sent something else.
    pub(super) fn resolved(
        &mut self,
        piece: PieceIndex,
        digests: &BlockDigests,
    ) -> BTreeSet<Sender> {
        let attempt = self.suspects.remove(&piece).unwrap_or_default();
        attempt
            .into_iter()
            .zip(digests)
            .filter(|((_, claimed), right)| claimed != *right)
            .filter_map(|((from, _), _)| from)
            .collect()
    }

    /// Whether any piece is under investigation.
    pub(super) fn any(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Everything is forgotten.
    pub(super) fn clear(&mut self) {
        self.suspects.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::hash::sha256;

    const PIECE: PieceIndex = PieceIndex(1);

    fn ip(n: u8) -> Sender {
        Sender::Peer(IpAddr::from([10, 0, 0, n]))
    }

    fn digests(blocks: &[&str]) -> BlockDigests {
        blocks.iter().map(|block| sha256(block.as_bytes())).collect()
    }

    #[test]
    fn a_single_sender_is_the_liar() {
        let mut blame = Blame::default();
        let senders = [Some(ip(1)), Some(ip(1))];
        assert_eq!(blame.corrupt(PIECE, senders.into_iter(), digests(&["a", "x"])), Some(ip(1)));
        assert!(!blame.is_suspect(PIECE));
    }

    #[test]
    fn the_right_copy_shows_who_lied() {
        let mut blame = Blame::default();
        let senders = [Some(ip(1)), Some(ip(2)), Some(ip(3)), Some(ip(2))];
        let attempt = digests(&["a", "x", "c", "d"]);
        assert_eq!(blame.corrupt(PIECE, senders.into_iter(), attempt), None);
        assert!(blame.is_suspect(PIECE) && blame.had_a_hand_in(PIECE, ip(3)));
        let liars = blame.resolved(PIECE, &digests(&["a", "b", "c", "d"]));
        assert_eq!(liars, BTreeSet::from([ip(2)]));
        assert!(!blame.is_suspect(PIECE));
    }

    #[test]
    fn memory_is_bounded() {
        let mut blame = Blame::default();
        for n in 0..1000 {
            blame.corrupt(
                PieceIndex(n),
                [Some(ip(1)), Some(ip(2))].into_iter(),
                digests(&["a", "b"]),
            );
        }
        assert_eq!(blame.suspects.len(), SUSPECT_PIECES_MAX);
    }
}
