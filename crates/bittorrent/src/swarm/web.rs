//! Web seeds in the swarm (BEP 19): connections over which whole runs of pieces are fetched.
//!
//! A web seed is asked for what peers are farthest from: the start of the longest run of pieces that
//! nobody has begun. So its requests are long, and it does not compete with peers for what is nearly
//! there. Two connections do not share a run: where one is at work at its start, the other begins in
//! its middle. When no run is left, a web seed is a peer like any other, the endgame included.

use super::blame::Sender;
use super::io::{ConnId, DisconnectReason, Output};
use super::peer::Peer;
use super::{Phase, PickerKind, Swarm};
use crate::types::{Bitfield, BlockRef, PieceIndex, Priority};
use crate::webseed::WebSeedId;
use althing_base::Instant;
use std::collections::BTreeSet;

impl Swarm {
    /// Whether there is something to fetch: web seeds are of no use else.
    pub fn wants_web_seeds(&self) -> bool {
        self.is_running() && self.phase == Phase::Active && self.missing > 0
    }

    pub(super) fn web_seed_opened(
        &mut self,
        now: Instant,
        conn: ConnId,
        seed: WebSeedId,
        have: Bitfield,
    ) {
        let pieces = self.metainfo.as_ref().map_or(0, |metainfo| metainfo.piece_count());
        if !self.wants_web_seeds() || have.len() != pieces {
            let reason = DisconnectReason::Stopped;
            self.outputs.push_back(Output::Disconnect { conn, reason });
            return;
        }
        self.peers.insert(conn, Peer::web_seed(now, seed, have));
        self.introduce(now, conn);
    }

    /// Somebody sent what cannot be right.
    pub(super) fn accuse(&mut self, now: Instant, liar: Sender, piece: PieceIndex) {
        match liar {
            Sender::Peer(ip) => self.ban(now, ip),
            Sender::Web(seed) => self.outputs.push_back(Output::WebSeedLied { seed, piece }),
        }
    }

    /// The block to ask a web seed for next, marked as on order: of the piece it is at work on, then
    /// of the one after that, then of the longest run that nobody has begun. `None` for peers, and
    /// when there is no run.
    pub(super) fn next_of_a_gap(&mut self, conn: ConnId) -> Option<BlockRef> {
        let peer = self.peers.get(&conn).filter(|p| p.web.is_some())?;
        let current = peer.current;
        let goes_on = current.and_then(|piece| self.open.get(piece)).is_some_and(|open| {
            open.only_from.is_none_or(|only| only == conn) && !open.is_complete()
        });
        if let Some(piece) = current.filter(|_| goes_on)
            && let Some(n) = self.open.order_free(piece)
        {
            return self.metainfo.as_ref()?.block(piece, n);
        }
        if peer.exhausted || self.config.picker != PickerKind::RarestFirst {
            return None;
        }
        let next = current.map(|piece| PieceIndex(piece.0 + 1));
        let piece = next
            .filter(|piece| self.is_untouched(peer, *piece))
            .or_else(|| self.longest_gap(conn, peer))?;
        let metainfo = self.metainfo.as_ref()?;
        self.picker.remove(piece);
        self.open.open(piece, metainfo.block_count(piece), None);
        let n = self.open.order_free(piece)?;
        metainfo.block(piece, n)
    }

    /// Whether a piece is wanted, and neither begun nor under suspicion.
    fn is_untouched(&self, peer: &Peer, piece: PieceIndex) -> bool {
        self.wants(piece)
            && peer.has(piece)
            && self.open.get(piece).is_none()
            && !self.held.get(piece)
            && !self.blame.is_suspect(piece)
            && self.metainfo.as_ref().is_some_and(|m| m.piece_hash(piece).is_some())
    }

    /// Where to start in the longest run of untouched pieces.
    fn longest_gap(&self, conn: ConnId, peer: &Peer) -> Option<PieceIndex> {
        let others = self.peers.iter().filter(|(other, p)| **other != conn && p.web.is_some());
        let taken: BTreeSet<u32> =
            others.filter_map(|(_, p)| p.current).map(|piece| piece.0 + 1).collect();
        let mut best: Option<(Priority, u32, u32)> = None;
        let mut consider = |priority: Priority, start: u32, end: u32| {
            let in_the_middle = taken.contains(&start) && end - start > 1;
            let start = if in_the_middle { start + (end - start) / 2 } else { start };
            if best.is_none_or(|(as_much, len, _)| (priority, end - start) > (as_much, len)) {
                best = Some((priority, end - start, start));
            }
        };
        let pieces = self.have.len();
        // A run is of pieces that are wanted equally much.
        let mut run: Option<(Priority, u32)> = None;
        for piece in 0..pieces {
            let untouched = self.is_untouched(peer, PieceIndex(piece));
            let priority = untouched.then(|| self.priorities.of(PieceIndex(piece)));
            if let Some((of_run, start)) = run
                && priority != Some(of_run)
            {
                consider(of_run, start, piece);
                run = None;
            }
            run = run.or(priority.map(|priority| (priority, piece)));
        }
        if let Some((priority, start)) = run {
            consider(priority, start, pieces);
        }
        best.map(|(.., start)| PieceIndex(start))
    }
}
