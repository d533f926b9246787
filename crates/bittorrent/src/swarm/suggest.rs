//! Suggestions (BEP 6): a seed that is asked by many at once tells each of them which rare piece to ask
//! for next, a different one each.
//!
//! Each of a crowd asks for what is rarest, and cannot see what the others have asked for a moment
//! before: seconds of requests are under way to a seed, and where a torrent has not many more pieces than
//! that, a good part of what leaves the seed leaves it twice. The seed knows who has been given what. A
//! suggestion binds nobody: it is followed where it is as rare as what would be asked for otherwise.

use super::io::ConnId;
use super::limits::{
    PROMISED_MAX, SUGGEST_AHEAD_BYTES, SUGGEST_AHEAD_PIECES_MAX, SUGGESTED_BY_PEER_MAX,
};
use super::peer::Peer;
use super::{Phase, Swarm};
use crate::types::{Bitfield, PieceIndex};
use crate::wire::Message;
use althing_base::Instant;
use std::collections::VecDeque;

/// What a seed keeps of all its peers together, while it has any.
#[derive(Debug)]
pub(super) struct Suggestions {
    /// Pieces that somebody was suggested or has asked for.
    promised: Bitfield,
    /// Where the search for the next piece begins.
    cursor: u32,
    /// All that is rare has been promised.
    none_left: bool,
}

/// What a peer and we have suggested to each other.
#[derive(Debug, Default)]
pub(super) struct Suggested {
    /// What it suggests to us.
    to_us: VecDeque<PieceIndex>,
    /// It has suggested something that we wanted.
    advises: bool,
    /// What we suggested and it has not asked for yet.
    to_it: Vec<PieceIndex>,
    /// Pieces that it asked for and that nobody else has.
    begun: VecDeque<PieceIndex>,
}

impl Suggested {
    /// Whether it tells us what to ask for.
    pub(super) fn advises(&self) -> bool {
        self.advises
    }
}

impl Swarm {
    /// A peer suggests a piece. Nothing is asked for because of it that would not have been asked for.
    pub(super) fn piece_suggested(&mut self, conn: ConnId, piece: PieceIndex) {
        let wanted = self.picker.wants(piece);
        let Some(peer) = self.peers.get_mut(&conn).filter(|p| wanted && p.fast) else { return };
        peer.suggested.advises = true;
        let to_us = &mut peer.suggested.to_us;
        if !to_us.contains(&piece) {
            if to_us.len() >= SUGGESTED_BY_PEER_MAX {
                to_us.pop_front();
            }
            to_us.push_back(piece);
        }
    }

    /// What the peer suggests in place of `picked`, if that is as rare and as much wanted.
    pub(super) fn better_suggested(&mut self, conn: ConnId, picked: PieceIndex) -> PieceIndex {
        let turn = self.turn(picked);
        let (picker, priorities, blame) = (&self.picker, &self.priorities, &self.blame);
        let Some(peer) = self.peers.get_mut(&conn) else { return picked };
        peer.suggested.to_us.retain(|piece| picker.wants(*piece));
        let suits = |piece: &&PieceIndex| {
            peer.would_give(**piece)
                && picker.turn(**piece, priorities.of(**piece)) <= turn
                && !blame.is_suspect(**piece)
        };
        peer.suggested.to_us.iter().find(suits).copied().unwrap_or(picked)
    }

    /// A peer has asked a seed for the first block of a piece.
    pub(super) fn piece_begun(&mut self, now: Instant, conn: ConnId, piece: PieceIndex) {
        if !self.suggests() {
            return;
        }
        let is_rare = self.availability.of(piece) == 0;
        if let Some(peer) = self.peers.get_mut(&conn) {
            let suggested = &mut peer.suggested;
            suggested.to_it.retain(|other| *other != piece);
            if is_rare && !suggested.begun.contains(&piece) {
                if suggested.begun.len() >= PROMISED_MAX {
                    suggested.begun.pop_front();
                }
                suggested.begun.push_back(piece);
            }
        }
        if is_rare {
            self.promises().promised.set(piece, true);
        }
        self.suggest_more(now, conn);
    }

    /// Keeps a peer that is served in suggestions.
    pub(super) fn suggest_more(&mut self, now: Instant, conn: ConnId) {
        if !self.suggests() {
            return;
        }
        let piece_length = self.metainfo.as_ref().map_or(1, |m| m.piece_length()).max(1);
        let ahead = (SUGGEST_AHEAD_BYTES / piece_length).max(1) as usize;
        let ahead = ahead.min(SUGGEST_AHEAD_PIECES_MAX);
        let availability = &self.availability;
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.suggested.to_it.retain(|piece| availability.of(*piece) == 0);
        peer.suggested.begun.retain(|piece| availability.of(*piece) == 0);
        while self.peers.get(&conn).is_some_and(|p| may_suggest_to(p, ahead)) {
            let Some(piece) = self.promise_next(conn) else { return };
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.suggested.to_it.push(piece);
            }
            self.send(now, conn, Message::SuggestPiece(piece));
        }
    }

    fn suggests(&self) -> bool {
        self.is_complete()
            && self.phase == Phase::Active
            && self.is_running()
            && self.peers.len() > 1
    }

    fn promises(&mut self) -> &mut Suggestions {
        let (pieces, rng) = (self.have.len(), &mut self.rng);
        self.suggestions.get_or_insert_with(|| {
            let cursor = rng.below(u64::from(pieces.max(1))) as u32;
            Box::new(Suggestions { promised: Bitfield::new(pieces), cursor, none_left: false })
        })
    }

    /// A piece that only we have and that nobody has been promised; it is promised now.
    fn promise_next(&mut self, conn: ConnId) -> Option<PieceIndex> {
        self.promises();
        let state = self.suggestions.as_mut().filter(|state| !state.none_left)?;
        let (peer, pieces) = (self.peers.get(&conn)?, self.have.len());
        for step in 0..pieces {
            let piece = PieceIndex((state.cursor + step) % pieces);
            let is_rare = self.availability.of(piece) == 0 && self.have.get(piece);
            if is_rare && !state.promised.get(piece) && !peer.has(piece) {
                state.cursor = (piece.0 + 1) % pieces;
                state.promised.set(piece, true);
                return Some(piece);
            }
        }
        state.none_left = true;
        None
    }

    /// A peer is choked: what it was suggested and has not asked for is for others.
    pub(super) fn suggestions_lapse(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let pieces = std::mem::take(&mut peer.suggested.to_it);
        self.break_promises(&pieces);
    }

    /// A peer is gone, and with it what it has not finished.
    pub(super) fn forget_suggestions(&mut self, gone: &Peer) {
        self.break_promises(&gone.suggested.to_it);
        let begun: Vec<PieceIndex> = gone.suggested.begun.iter().copied().collect();
        self.break_promises(&begun);
        if self.peers.is_empty() {
            self.suggestions = None;
        }
    }

    fn break_promises(&mut self, pieces: &[PieceIndex]) {
        let Some(state) = &mut self.suggestions else { return };
        for piece in pieces {
            state.promised.set(*piece, false);
            state.none_left = false;
        }
    }
}

/// Whether a peer is served, understands suggestions, and has fewer than `ahead` of them.
fn may_suggest_to(peer: &Peer, ahead: usize) -> bool {
    peer.fast
        && peer.mask.is_none()
        && !peer.choked
        && peer.interested_in_us
        && peer.suggested.to_it.len() < ahead
}
