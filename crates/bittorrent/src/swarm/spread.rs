//! Who passes on what is rare: a seed gives a piece that hardly anybody has, and watches whether it
//! turns up elsewhere.

use super::Swarm;
use super::io::ConnId;
use super::limits::{RARE_COPIES, RARE_PIECES_MAX, SPREAD_LOG_MAX, SPREAD_PATIENCE};
use crate::types::{BlockRef, PieceIndex};
use althing_base::Instant;
use std::collections::VecDeque;

/// How a peer dealt with rare pieces that it got from us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    /// Pieces of which it is known what became of them.
    pub(super) was_given: u32,
    /// Those that turned up elsewhere in time.
    pub(super) passed_on: u32,
}

/// Rare pieces given lately: which, to whom, and when.
#[derive(Debug, Default)]
pub(super) struct SpreadLog(VecDeque<(PieceIndex, ConnId, Instant)>);

impl Swarm {
    /// A block has left for a peer. The first one of a piece that nobody else has begins a watch.
    pub(super) fn watch_spread(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let is_rare = self.availability.of(block.piece) == 0;
        let masked = self.peers.get(&conn).is_none_or(|p| p.mask.is_some());
        if block.begin != 0 || !is_rare || masked || !self.is_complete() {
            return;
        }
        if self.spread.0.len() >= SPREAD_LOG_MAX {
            self.spread.0.pop_front();
        }
        self.spread.0.push_back((block.piece, conn, now));
    }

    /// A peer has got a piece: it is from whoever had it from us, if that is another one.
    pub(super) fn spread_seen(&mut self, at: ConnId, piece: PieceIndex) {
        let mut passed_on = Vec::new();
        self.spread.0.retain(|(given, to, _)| {
            let passed = *given == piece && *to != at;
            if passed {
                passed_on.push(*to);
            }
            !passed
        });
        for conn in passed_on {
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.spread.was_given = peer.spread.was_given.saturating_add(1);
                peer.spread.passed_on = peer.spread.passed_on.saturating_add(1);
            }
        }
    }

    /// What was given long ago and never seen elsewhere was not passed on.
    pub(super) fn judge_spread(&mut self, now: Instant) {
        while let Some((_, conn, at)) = self.spread.0.front().copied() {
            if now.since(at) < SPREAD_PATIENCE {
                break;
            }
            self.spread.0.pop_front();
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.spread.was_given = peer.spread.was_given.saturating_add(1);
            }
        }
        if self.spread.0.is_empty() {
            self.spread.0 = VecDeque::new();
        }
    }

    /// Some of the pieces that we have and hardly anybody else.
    pub(super) fn rare_pieces(&self) -> Vec<PieceIndex> {
        let is_rare = |piece: &PieceIndex| self.availability.of(*piece) < RARE_COPIES;
        self.have.ones().filter(is_rare).take(RARE_PIECES_MAX).collect()
    }
}
