//! Pieces that were there and are not any more, a peer's and ours (BEP 54).

use super::io::{ConnId, DisconnectReason};
use super::limits::HAVES_AT_ONCE_MAX;
use super::peer::{Order, Pieces};
use super::{Phase, Swarm};
use crate::types::{Bitfield, PieceIndex};
use crate::wire::{DontHave, LT_DONTHAVE, Message};
use althing_base::Instant;
use std::collections::VecDeque;

impl Swarm {
    /// A peer has lost a piece.
    pub(super) fn peer_lost(
        &mut self,
        now: Instant,
        conn: ConnId,
        payload: &[u8],
    ) -> Result<(), DisconnectReason> {
        let DontHave(piece) = DontHave::parse(payload).map_err(|_| {
            DisconnectReason::ProtocolViolation("a don't-have message of a wrong length")
        })?;
        // Whoever says one thing and then the other, again and again, is a flood.
        self.overlook(now, conn, "don't-have messages")?;
        let wanted = self.wants(piece);
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Pieces::Known(bits) = &mut peer.pieces else {
            let noted = peer.pieces.early_loss(piece);
            return if noted {
                Ok(())
            } else {
                Err(DisconnectReason::Flood("don't-have messages"))
            };
        };
        if piece.0 >= bits.len() {
            return Err(DisconnectReason::ProtocolViolation("a piece that does not exist"));
        }
        let was_seed = bits.is_full();
        if !bits.set(piece, false) {
            return Ok(());
        }
        let fast = peer.fast;
        peer.allowed_fast.remove(&piece);
        peer.current = peer.current.filter(|current| *current != piece);
        if wanted {
            peer.useful = peer.useful.saturating_sub(1);
        }
        let listens_at = peer.listens_at;
        // With the fast extension each order is still answered; without, none of these will be.
        let mut void: Vec<Order> = Vec::new();
        if fast {
            for order in peer.orders.iter_mut().filter(|order| order.block.piece == piece) {
                void.push(*order);
                order.counted_in = None;
            }
        } else {
            let (lost, kept): (VecDeque<Order>, VecDeque<Order>) =
                std::mem::take(&mut peer.orders).into_iter().partition(|o| o.block.piece == piece);
            peer.orders = kept;
            void.extend(lost);
        }
        let left: Vec<PieceIndex> = if was_seed { bits_of(&peer.pieces) } else { Vec::new() };
        if was_seed {
            // Seeds are not counted, others are.
            left.into_iter().for_each(|piece| self.more_common(piece));
            if let Some(addr) = listens_at {
                self.candidates.is_no_seed(addr);
            }
        } else {
            self.rarer(piece);
        }
        for order in &void {
            self.release(order);
        }
        if self.open.get(piece).is_some_and(|o| o.only_from == Some(conn) && !o.is_complete()) {
            self.abandon(piece);
        }
        self.update_interest(now, conn);
        self.order_from_all(now);
        Ok(())
    }

    /// Pieces of ours are gone from the disk, or were found to be wrong: they are fetched again, and
    /// nobody is left to believe that we have them.
    pub(super) fn pieces_lost(&mut self, now: Instant, pieces: &[PieceIndex]) {
        let Some(metainfo) = self.metainfo.clone().filter(|_| self.phase == Phase::Active) else {
            return;
        };
        let was_complete = self.is_complete();
        let mut gone = Bitfield::new(metainfo.piece_count());
        for &piece in pieces {
            if self.have.set(piece, false) {
                gone.set(piece, true);
            }
        }
        if gone.count_ones() == 0 {
            return;
        }
        self.take_stock(&metainfo);
        self.fill_picker(&metainfo);
        // Who shows one piece at a time has to have all of them.
        self.unmask_all(now);
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for &conn in &conns {
            self.tell_changes(now, conn, &gone, &Bitfield::new(0));
        }
        for &conn in &conns {
            self.appraise(conn);
        }
        for conn in conns {
            self.update_interest(now, conn);
            self.order_from(now, conn);
        }
        if was_complete && !self.is_complete() {
            self.tell_upload_only(now);
        }
        self.order_hashes(now);
        self.connect_more(now);
        self.want_peers(now);
    }

    /// Tells a peer which of our pieces are gone and which have come. One that cannot be told, or
    /// to whom there is too much to tell, is let go of: on a new connection it hears how things are.
    pub(super) fn tell_changes(
        &mut self,
        now: Instant,
        conn: ConnId,
        gone: &Bitfield,
        come: &Bitfield,
    ) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        if peer.web.is_some() {
            return;
        }
        let id = peer.extensions.id(LT_DONTHAVE);
        let too_much = gone.count_ones() + come.count_ones() > HAVES_AT_ONCE_MAX;
        // With the fast extension it learns when it asks.
        let cannot_be_told = gone.count_ones() > 0 && id.is_none() && !peer.fast;
        if too_much || cannot_be_told {
            self.drop_peer(now, conn, DisconnectReason::Outdated);
            return;
        }
        let (refused, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut peer.wanted_by_it).into_iter().partition(|b| gone.get(b.piece));
        peer.wanted_by_it = kept;
        peer.may_have_fast.retain(|piece| !gone.get(*piece));
        let fast = peer.fast;
        for block in refused.into_iter().filter(|_| fast) {
            self.send(now, conn, Message::Reject(block));
        }
        for piece in gone.ones() {
            if let Some(id) = id {
                let payload = DontHave(piece).encode();
                self.send(now, conn, Message::Extended { id, payload });
            }
        }
        for piece in come.ones() {
            self.send(now, conn, Message::Have(piece));
        }
    }

    /// What is on disk is going to be checked: until that is done nothing is fetched or given. Peers
    /// stay, and are told afterwards what has changed.
    pub(super) fn recheck(&mut self, now: Instant) {
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            self.choke(now, conn);
            self.take_back_orders(now, conn);
        }
        self.abandon_open_pieces();
        self.blame.clear();
        if self.phase == Phase::Active {
            self.phase = Phase::Opening;
        }
    }

    /// Takes back all that is on order with a peer.
    fn take_back_orders(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.current = None;
        let may_have_fast = std::mem::take(&mut peer.may_have_fast);
        let refused = std::mem::take(&mut peer.wanted_by_it);
        let orders: Vec<Order> = peer.orders.iter().copied().collect();
        let hash_orders = std::mem::take(&mut peer.hash_orders);
        if peer.fast {
            peer.orders.iter_mut().for_each(|order| order.counted_in = None);
        } else {
            peer.orders.clear();
        }
        let fast = peer.fast;
        drop(may_have_fast);
        for block in refused.into_iter().filter(|_| fast) {
            self.send(now, conn, Message::Reject(block));
        }
        for order in &orders {
            self.release(order);
            self.send(now, conn, Message::Cancel(order.block));
        }
        for (request, _) in &hash_orders {
            self.hashes.release(request);
        }
    }

    /// The files have been looked at: every peer learns what it does not know yet. `before` is what we
    /// had when they were told last.
    pub(super) fn tell_what_is_there(&mut self, now: Instant, before: &Bitfield) {
        let pieces = self.have.len();
        let nothing = Bitfield::new(pieces);
        let mut any_dropped = false;
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            let Some(peer) = self.peers.get_mut(&conn) else { continue };
            let was_told = std::mem::replace(&mut peer.introduced, true);
            let shown = peer.mask.take().map(|mask| mask.shown);
            let known = match (&shown, was_told) {
                (Some(shown), _) => shown,
                (None, true) if before.len() == pieces => before,
                (None, _) => &nothing,
            };
            let (gone, come) = (without(known, &self.have), without(&self.have, known));
            self.tell_changes(now, conn, &gone, &come);
            any_dropped |= !self.peers.contains_key(&conn);
            self.offer_allowed_fast(now, conn);
        }
        if any_dropped {
            // They did nothing to be kept waiting for.
            self.candidates.retry_all(now);
        }
    }

    /// The piece is at one more peer.
    pub(super) fn more_common(&mut self, piece: PieceIndex) {
        self.picker.more_common(piece);
        let pieces = self.metainfo.as_ref().map_or(0, |m| m.piece_count());
        self.availability.up(piece, pieces);
    }

    /// The piece is at one peer fewer.
    pub(super) fn rarer(&mut self, piece: PieceIndex) {
        self.picker.rarer(piece);
        self.availability.down(piece);
    }
}

fn bits_of(pieces: &Pieces) -> Vec<PieceIndex> {
    match pieces {
        Pieces::Known(bits) => bits.ones().collect(),
        Pieces::Early { .. } => Vec::new(),
    }
}

/// What is in `all` and not in `but`.
fn without(all: &Bitfield, but: &Bitfield) -> Bitfield {
    let mut rest = Bitfield::new(all.len());
    for piece in all.ones().filter(|piece| !but.get(*piece)) {
        rest.set(piece, true);
    }
    rest
}
