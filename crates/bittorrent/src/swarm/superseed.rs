//! Super-seeding (BEP 16): a seed that shows each peer one piece, and the next when it has seen that
//! piece at somebody else's. The first copy of a torrent leaves it hardly more than once, and
//! goes to those who pass it on.
//!
//! What a peer is shown is its [`Mask`]. A peer without one knows everything that we have.

use super::io::{ConnId, DisconnectReason, Output};
use super::limits::{SUPER_SEED_AHEAD_BYTES, SUPER_SEED_COPIES, SUPER_SEED_PATIENCE};
use super::peer::Peer;
use super::{Phase, Swarm};
use crate::types::{Bitfield, BlockRef, PieceIndex};
use crate::wire::Message;
use althing_base::Instant;

/// A piece that a peer was shown and that nobody else has yet.
#[derive(Clone, Copy, Debug)]
struct Shown {
    piece: PieceIndex,
    /// Bytes of it that were sent.
    sent_bytes: u32,
    /// Since when it has all of it.
    has_it_since: Option<Instant>,
}

/// What one peer is shown.
#[derive(Debug)]
pub(super) struct Mask {
    /// All pieces that it was ever shown.
    pub(super) shown: Bitfield,
    /// Those that are still to turn up elsewhere.
    open: Vec<Shown>,
}

/// What a super-seed remembers of all its peers together.
#[derive(Debug, Default)]
pub(super) struct SuperSeed {
    /// By piece: to how many peers it was shown. Empty at rest.
    shown_to: Vec<u16>,
    /// No piece counts less than this.
    least: u32,
    /// Where the search for the next piece to show begins.
    cursor: u32,
    /// Peers that came to have everything while we watched.
    finished: u32,
}

impl Swarm {
    /// Whether new peers are shown one piece at a time.
    pub(super) fn is_super_seeding(&self) -> bool {
        self.config.super_seed && self.is_complete() && self.have.is_full() && !self.have.is_empty()
    }

    /// The user wants it, or not any more.
    pub(super) fn set_super_seed(&mut self, now: Instant, on: bool) {
        if std::mem::replace(&mut self.config.super_seed, on) == on {
            return;
        }
        self.super_seed = SuperSeed::default();
        if !on {
            self.unmask_all(now);
            return;
        }
        if !self.is_super_seeding() {
            return;
        }
        // Who knows that we have everything is let go of, and sees one piece when it calls again.
        let is_peer = |(_, p): &(&ConnId, &Peer)| p.web.is_none();
        let conns: Vec<ConnId> = self.peers.iter().filter(is_peer).map(|(c, _)| *c).collect();
        for conn in conns {
            self.drop_peer(now, conn, DisconnectReason::Outdated);
        }
        self.candidates.retry_all(now);
        self.connect_more(now);
    }

    /// A new peer, which has been told of nothing.
    pub(super) fn mask(&mut self, conn: ConnId) {
        let shown = Bitfield::new(self.have.len());
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.mask = Some(Box::new(Mask { shown, open: Vec::new() }));
        }
    }

    /// Shows a masked peer as many pieces as it may have before they are seen elsewhere: one, or so
    /// many small ones that it need not wait for us after each.
    pub(super) fn show_more(&mut self, now: Instant, conn: ConnId) {
        let piece_length = self.metainfo.as_ref().map_or(1, |m| m.piece_length()).max(1);
        let ahead = (SUPER_SEED_AHEAD_BYTES / piece_length).max(1) as usize;
        if self.phase != Phase::Active || !self.is_running() {
            return;
        }
        while self
            .peers
            .get(&conn)
            .is_some_and(|p| !p.is_seed() && p.mask.as_ref().is_some_and(|m| m.open.len() < ahead))
        {
            let Some(piece) = self.next_to_show(conn) else { return };
            if let Some(count) = self.super_seed.shown_to.get_mut(piece.0 as usize) {
                *count = count.saturating_add(1);
            }
            if let Some(mask) = self.peers.get_mut(&conn).and_then(|p| p.mask.as_mut()) {
                mask.shown.set(piece, true);
                mask.open.push(Shown { piece, sent_bytes: 0, has_it_since: None });
            }
            self.send(now, conn, Message::Have(piece));
        }
    }

    /// The piece that fewest have or were shown, of those that the peer lacks.
    fn next_to_show(&mut self, conn: ConnId) -> Option<PieceIndex> {
        let pieces = self.have.len();
        let peer = self.peers.get(&conn)?;
        let mask = peer.mask.as_ref()?;
        let state = &mut self.super_seed;
        if state.shown_to.len() != pieces as usize {
            state.shown_to = vec![0; pieces as usize];
            state.least = 0;
            state.cursor = self.rng.below(u64::from(pieces.max(1))) as u32;
        }
        let count = |piece: PieceIndex| {
            let shown = state.shown_to.get(piece.0 as usize).copied().unwrap_or(0);
            u32::from(shown) + u32::from(self.availability.of(piece))
        };
        let mut best: Option<(u32, PieceIndex)> = None;
        let mut least_of_all = u32::MAX;
        for step in 0..pieces {
            let piece = PieceIndex((state.cursor + step) % pieces);
            let here = count(piece);
            least_of_all = least_of_all.min(here);
            if mask.shown.get(piece) || peer.has(piece) {
                continue;
            }
            if best.is_none_or(|(least, _)| here < least) {
                best = Some((here, piece));
                if here <= state.least {
                    break;
                }
            }
        }
        // Counts also sink, when peers leave; then the search is longer and finds as well.
        if best.is_none_or(|(least, _)| least > state.least) && least_of_all != u32::MAX {
            state.least = least_of_all;
        }
        let (_, piece) = best?;
        state.cursor = (piece.0 + 1) % pieces;
        Some(piece)
    }

    /// A peer has a piece: whoever was shown that piece alone has passed it on, and sees another.
    pub(super) fn piece_seen(&mut self, now: Instant, at: ConnId, piece: PieceIndex) {
        if self.super_seed.shown_to.is_empty() {
            // Nobody was shown anything. Each `have` of each peer comes by here, so to look at all
            // peers would be a large part of all work.
            return;
        }
        let is_whole = self.peers.get(&at).is_some_and(Peer::is_seed);
        let mut passed_on = Vec::new();
        for (conn, peer) in &mut self.peers {
            let Some(mask) = &mut peer.mask else { continue };
            let Some(open) = mask.open.iter().position(|shown| shown.piece == piece) else {
                continue;
            };
            if *conn == at {
                mask.open[open].has_it_since.get_or_insert(now);
            } else {
                mask.open.swap_remove(open);
                peer.spread.was_given = peer.spread.was_given.saturating_add(1);
                peer.spread.passed_on = peer.spread.passed_on.saturating_add(1);
                passed_on.push(*conn);
            }
        }
        if is_whole && self.peers.get(&at).is_some_and(|p| p.mask.is_some()) {
            self.super_seed.finished = self.super_seed.finished.saturating_add(1);
        }
        for conn in passed_on {
            self.show_more(now, conn);
        }
        self.let_go_of_pointless(now, at);
    }

    /// A block of a shown piece has left. Clients that tell nobody what he has already would never
    /// say that they have the piece, since we seem to have it; so it is counted.
    pub(super) fn shown_block_sent(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let Some(mask) = self.peers.get_mut(&conn).and_then(|p| p.mask.as_mut()) else { return };
        let size = self.metainfo.as_ref().map_or(0, |m| m.piece_size(block.piece));
        let Some(shown) = mask.open.iter_mut().find(|shown| shown.piece == block.piece) else {
            return;
        };
        shown.sent_bytes = shown.sent_bytes.saturating_add(block.len);
        if shown.sent_bytes >= size && shown.has_it_since.is_none() {
            shown.has_it_since = Some(now);
            self.let_go_of_pointless(now, conn);
        }
    }

    /// Does not wait for a piece to turn up elsewhere if there is nobody else that lacks it, or if
    /// it has not for long: its owner may not be able to reach anyone.
    fn let_go_of_pointless(&mut self, now: Instant, conn: ConnId) {
        let Some(mask) = self.peers.get(&conn).and_then(|p| p.mask.as_ref()) else { return };
        let is_pointless = |shown: &Shown| {
            let since = shown.has_it_since?;
            let lacks = |p: &Peer| !p.is_seed() && !p.has(shown.piece);
            let others = self.peers.iter().any(|(other, p)| *other != conn && lacks(p));
            (!others || now.since(since) >= SUPER_SEED_PATIENCE).then_some((shown.piece, others))
        };
        let judged: Vec<(PieceIndex, bool)> = mask.open.iter().filter_map(is_pointless).collect();
        let pointless: Vec<PieceIndex> = judged.iter().map(|(piece, _)| *piece).collect();
        // Where nobody else lacks a piece, nobody could have been given it.
        let kept = judged.iter().filter(|(_, others)| *others).count() as u32;
        if pointless.is_empty() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            if let Some(mask) = &mut peer.mask {
                mask.open.retain(|shown| !pointless.contains(&shown.piece));
            }
            peer.spread.was_given = peer.spread.was_given.saturating_add(kept);
        }
        self.show_more(now, conn);
    }

    /// With the choker's rounds: whoever waits in vain goes on, and super-seeding ends when there are
    /// copies enough elsewhere.
    pub(super) fn super_seed_round(&mut self, now: Instant) {
        if !self.peers.values().any(|p| p.mask.is_some()) {
            return;
        }
        if self.is_spread() {
            tracing::debug!("enough copies are out: super-seeding ends");
            self.config.super_seed = false;
            self.outputs.push_back(Output::SuperSeedingEnded);
            self.unmask_all(now);
            return;
        }
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            self.let_go_of_pointless(now, conn);
            self.show_more(now, conn);
        }
    }

    /// Whether each piece is elsewhere often enough, as far as there are peers to have it.
    fn is_spread(&self) -> bool {
        let peers = self.peers.values().filter(|p| p.web.is_none());
        let seeds = peers.clone().filter(|p| p.is_seed()).count() as u32;
        let others = peers.count() as u32 - seeds;
        let copies = u32::from(self.availability.least()) + seeds + self.super_seed.finished;
        copies > 0 && copies >= SUPER_SEED_COPIES.min(others + seeds + self.super_seed.finished)
    }

    /// From now on everybody may know what we have.
    pub(super) fn unmask_all(&mut self, now: Instant) {
        let masked: Vec<ConnId> =
            self.peers.iter().filter(|(_, p)| p.mask.is_some()).map(|(conn, _)| *conn).collect();
        let all = self.have.clone();
        for conn in masked {
            let Some(mask) = self.peers.get_mut(&conn).and_then(|p| p.mask.take()) else {
                continue;
            };
            let mut rest = Bitfield::new(all.len());
            for piece in all.ones().filter(|piece| !mask.shown.get(*piece)) {
                rest.set(piece, true);
            }
            self.tell_changes(now, conn, &Bitfield::new(0), &rest);
            self.offer_allowed_fast(now, conn);
            if self.peers.get(&conn).is_some_and(|p| p.extended) {
                self.send_extension_handshake(now, conn, Some(self.is_complete()));
            }
        }
        self.super_seed = SuperSeed::default();
    }

    /// A masked peer is gone: what it was shown and did not get is shown to others first.
    pub(super) fn forget_shown(&mut self, peer: &Peer) {
        let Some(mask) = &peer.mask else { return };
        for shown in mask.open.iter().filter(|shown| shown.has_it_since.is_none()) {
            if let Some(count) = self.super_seed.shown_to.get_mut(shown.piece.0 as usize) {
                *count = count.saturating_sub(1);
                let count = u32::from(*count) + u32::from(self.availability.of(shown.piece));
                self.super_seed.least = self.super_seed.least.min(count);
            }
        }
        if self.peers.is_empty() {
            self.super_seed.shown_to = Vec::new();
        }
    }
}
