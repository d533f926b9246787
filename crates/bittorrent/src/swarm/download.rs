//! Ordering blocks from peers and taking them in, until each piece is whole, right and on disk.

use super::io::{ConnId, DisconnectReason, Output};
use super::limits::{
    COPY_SOONER_BY, ENDGAME_COPIES_MAX, ENDGAME_LOOKED_AT_MAX, OPEN_BYTES_ENOUGH, PIPELINE_ENDGAME,
    PIPELINE_MIN, PIPELINE_SNUBBED, PIPELINE_UNPROVEN, REJECTS_MAX,
};
use super::peer::{Order, Peer};
use super::pieces::{Arrival, OpenPiece};
use super::{Phase, Swarm};
use crate::types::{BLOCK_SIZE, BlockDigests, BlockRef, PieceIndex};
use crate::wire::Message;
use althing_base::Instant;
use althing_base::time::Duration;
use std::cmp::Reverse;

type Broken = DisconnectReason;

/// The number of a block within its piece, if it stands on the grid.
fn number_of(block: BlockRef) -> Option<u32> {
    block.begin.is_multiple_of(BLOCK_SIZE).then_some(block.begin / BLOCK_SIZE)
}

impl Swarm {
    /// Fills a peer's pipeline.
    pub(super) fn order_from(&mut self, now: Instant, conn: ConnId) {
        if self.phase != Phase::Active || !self.is_running() {
            return;
        }
        let Some(peer) = self.peers.get(&conn) else { return };
        if !peer.interesting || (peer.chokes_us && peer.allowed_fast.is_empty()) {
            return;
        }
        let on_trial = self.is_on_trial(now, peer);
        if !self.deadlines.is_empty() && !on_trial && self.order_urgent(now, conn) {
            return;
        }
        let pressed = self.is_pressed(now);
        let most = if self.somebody_gives { PIPELINE_UNPROVEN } else { PIPELINE_MIN };
        let room = |p: &Peer| if pressed { p.urgent_room(now) } else { p.room(most) };
        let mut room = self.peers.get(&conn).map_or(0, room);
        while room > 0
            && let Some(block) = self.next_block(now, conn)
        {
            room -= 1;
            self.order(now, conn, block);
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.current = Some(block.piece);
            }
        }
    }

    /// Asks a peer for a block that has been marked as on order.
    pub(super) fn order(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let counted_in = self.open.opening(block.piece);
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let was_idle = peer.orders.is_empty();
        if was_idle {
            // It owes us from now on: the time before was not its fault.
            peer.last_block_at = now;
        }
        peer.orders.push_back(Order { block, at: now, counted_in });
        self.send(now, conn, Message::Request(block));
        if was_idle {
            self.watch(now, Duration::from_secs(1));
        }
    }

    /// Fills every peer's pipeline: blocks have become free.
    pub(super) fn order_from_all(&mut self, now: Instant) {
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            self.order_from(now, conn);
        }
    }

    /// The block to ask a peer for next, marked as on order: of the piece it is at work on; else of
    /// the rarest piece that it has, one in progress being preferred to a new one that is no
    /// rarer; or, when all are on order, a copy of one that somebody else owes.
    fn next_block(&mut self, now: Instant, conn: ConnId) -> Option<BlockRef> {
        if let Some(block) = self.next_of_a_gap(conn) {
            return Some(block);
        }
        let peer = self.peers.get(&conn)?;
        if self.is_on_trial(now, peer) {
            return self.next_on_trial(now, conn);
        }
        let eligible = |piece: PieceIndex, open: &OpenPiece| {
            peer.would_give(piece) && open.only_from.is_none_or(|only| only == conn)
        };
        let current = peer
            .current
            .filter(|piece| self.open.get(*piece).is_some_and(|open| eligible(*piece, open)));
        if let Some(piece) = current
            && let Some(n) = self.open.order_free(piece)
        {
            return self.block(piece, n);
        }
        let begun = self.open.next_with_free(eligible, |piece| self.turn(piece));
        let before = begun.filter(|_| self.has_enough_open()).map_or(u64::MAX, |_| 0);
        let before = begun.map_or(before, |piece| before.min(self.turn(piece)));
        let piece = self.start_piece(conn, before).or(begun);
        match piece {
            Some(piece) => {
                let n = self.open.order_free(piece)?;
                self.block(piece, n)
            }
            None => self.copy_of_a_block(now, conn),
        }
    }

    /// Whether so many pieces are in progress that they come before rarer ones.
    fn has_enough_open(&self) -> bool {
        let open = self.open.len();
        let bytes = self.metainfo.as_ref().map_or(0, |m| open as u64 * u64::from(m.piece_length()));
        open * 2 > self.peers.len() * 3 || bytes > OPEN_BYTES_ENOUGH
    }

    pub(super) fn turn(&self, piece: PieceIndex) -> u64 {
        self.picker.turn(piece, self.priorities.of(piece))
    }

    pub(super) fn block(&self, piece: PieceIndex, n: u32) -> Option<BlockRef> {
        self.metainfo.as_ref()?.block(piece, n)
    }

    /// Opens the piece that the picker wants most of those that the peer has, if its turn comes
    /// before `before`.
    pub(super) fn start_piece(&mut self, conn: ConnId, before: u64) -> Option<PieceIndex> {
        let peer = self.peers.get(&conn).filter(|p| before > 0 && !p.exhausted)?;
        let (blame, peers) = (&self.blame, &self.peers);
        // Bad data is fetched again, all of it from one peer: best from one that had no hand in it
        // and does not keep us waiting.
        let doubts = |peer: &Peer, piece: PieceIndex| {
            let involved = blame.had_a_hand_in(piece, peer.sender());
            (peer.snubs_us || peer.rejects > 0, involved)
        };
        let better_elsewhere = |piece: PieceIndex| {
            let doubts_here = doubts(peer, piece);
            peers
                .values()
                .any(|other| other.would_give(piece) && doubts(other, piece) < doubts_here)
        };
        let picked = self.picker.pick(&mut |piece| {
            peer.would_give(piece) && !(blame.is_suspect(piece) && better_elsewhere(piece))
        });
        let Some(piece) = picked else {
            let any_suspects = self.picker.wanted() > 0 && blame.any();
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.exhausted = !any_suspects;
            }
            return None;
        };
        if self.turn(piece) >= before {
            return None;
        }
        let piece = self.better_suggested(conn, piece);
        self.open_piece(conn, piece).then_some(piece)
    }

    /// Begins a wanted piece; one that was wrong before is taken from `conn` alone.
    pub(super) fn open_piece(&mut self, conn: ConnId, piece: PieceIndex) -> bool {
        let Some(blocks) = self.metainfo.as_ref().map(|m| m.block_count(piece)) else {
            return false;
        };
        let only_from = self.blame.is_suspect(piece).then_some(conn);
        self.picker.remove(piece);
        self.open.open(piece, blocks, only_from);
        true
    }

    /// Whether nothing is left to order once.
    pub(super) fn is_endgame(&self) -> bool {
        self.picker.wanted() == 0 && !self.open.any_free() && self.open.len() > 0
    }

    /// The endgame: nothing is left to order once, so that the slowest peer would decide when the
    /// last piece comes. The block that is to be expected last is ordered from another, too, if that
    /// one would have sent it well before.
    fn copy_of_a_block(&mut self, now: Instant, conn: ConnId) -> Option<BlockRef> {
        let peer = self.peers.get(&conn)?;
        let unproven = peer.download.total_bytes() == 0;
        if !self.is_endgame()
            || peer.snubs_us
            || (peer.web.is_some() || self.somebody_gives) && unproven
            || peer.orders.len() >= PIPELINE_ENDGAME
        {
            return None;
        }
        let takes = peer.time_for(now, peer.orders.len() + 1) * COPY_SOONER_BY;
        let owes = |block: BlockRef| peer.orders.iter().any(|order| order.block == block);
        let may_be_copied = |block: BlockRef, stalled: bool| {
            let copies = if stalled { ENDGAME_COPIES_MAX } else { 2 };
            let open = self.open.get(block.piece).filter(|open| open.only_from.is_none());
            let ordered = open.zip(number_of(block)).and_then(|(open, n)| open.orders(n));
            ordered.is_some_and(|n| n < copies) && peer.would_give(block.piece) && !owes(block)
        };
        // The slowest first, and of each what it would send last.
        let mut slow: Vec<(Duration, ConnId, &Peer)> = self
            .peers
            .iter()
            .filter(|(other, p)| **other != conn && !p.orders.is_empty())
            .map(|(other, p)| {
                (p.through_in(now, self.response).unwrap_or(Duration::MAX), *other, p)
            })
            .filter(|(through, ..)| *through >= takes)
            .collect();
        slow.sort_by_key(|(through, other, _)| (Reverse(*through), *other));
        let block = slow.into_iter().find_map(|(through, _, p)| {
            let stalled = through == Duration::MAX;
            let orders = p.orders.iter().enumerate().rev().take(ENDGAME_LOOKED_AT_MAX);
            orders
                .take_while(|(position, _)| stalled || p.time_for(now, position + 1) >= takes)
                .filter(|(_, order)| order.counted_in.is_some())
                .map(|(_, order)| order.block)
                .find(|block| may_be_copied(*block, stalled))
        })?;
        self.open.order_again(block.piece, number_of(block)?);
        Some(block)
    }

    /// An order came to nothing.
    pub(super) fn release(&mut self, order: &Order) {
        if let (Some(n), Some(opening)) = (number_of(order.block), order.counted_in) {
            self.open.release(order.block.piece, n, opening);
        }
    }

    /// Gives up a piece in progress; it is wanted again.
    pub(super) fn abandon(&mut self, piece: PieceIndex) {
        if self.open.close(piece).is_some() {
            self.outputs.push_back(Output::AbandonPiece { piece });
            self.want_again(piece);
        }
    }

    fn want_again(&mut self, piece: PieceIndex) {
        if !self.priorities.selected.get(piece) || self.held.get(piece) {
            return;
        }
        self.picker.add(piece, self.priorities.of(piece));
        for peer in self.peers.values_mut() {
            peer.exhausted = false;
        }
    }

    /// Gives up what was reserved for a connection that is gone.
    pub(super) fn abandon_reserved(&mut self, conn: ConnId) {
        let reserved: Vec<PieceIndex> = self
            .open
            .iter()
            .filter(|(_, open)| open.only_from == Some(conn) && !open.is_complete())
            .map(|(piece, _)| piece)
            .collect();
        for piece in reserved {
            self.abandon(piece);
        }
    }

    pub(super) fn block_arrived(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.download.add(now, block.len);
        self.totals.downloaded_bytes += u64::from(block.len);
        peer.heard(now, self.totals.downloaded_bytes);
        self.last_received_at = now;
        let ordered = peer.orders.iter().position(|order| order.block == block);
        let order = ordered.and_then(|at| peer.orders.remove(at));
        if let Some(order) = order {
            self.response = (self.response * 7 + now.since(order.at)) / 8;
        }
        let from = peer.sender();
        // A block off the grid is one that nobody orders.
        let n = number_of(block).filter(|n| self.block(block.piece, *n) == Some(block));
        let arrival = n.map_or(Arrival::Unwanted, |n| {
            let counted_in = order.and_then(|order| order.counted_in);
            self.open.arrive(block.piece, n, conn, from, counted_in)
        });
        match arrival {
            Arrival::Unwanted => {
                self.totals.wasted_bytes += u64::from(block.len);
                if order.is_none()
                    && let Err(reason) = self.overlook(now, conn, "blocks nobody asked for")
                {
                    self.drop_peer(now, conn, reason);
                    return;
                }
                if let Some(peer) = self.peers.get_mut(&conn).filter(|_| order.is_some()) {
                    // Others were sooner; but it moves.
                    peer.last_block_at = now;
                    peer.snubs_us = false;
                }
            }
            Arrival::Kept { other_orders, completes } => {
                self.outputs.push_back(Output::StoreBlock { conn, block });
                if let Some(peer) = self.peers.get_mut(&conn) {
                    peer.last_block_at = now;
                    peer.snubs_us = false;
                    peer.rejects = 0;
                    peer.grow_pipeline();
                }
                if other_orders > 0 {
                    self.cancel_copies(now, block);
                }
                if completes {
                    self.complete(block.piece);
                }
            }
        }
        self.order_from(now, conn);
    }

    /// Takes back the other orders for a block that is here.
    fn cancel_copies(&mut self, now: Instant, block: BlockRef) {
        let owing: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.orders.iter().any(|o| o.block == block))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in owing {
            if let Some(peer) = self.peers.get_mut(&conn) {
                // With the fast extension an answer comes either way; without, maybe nothing.
                if peer.fast {
                    let copies = peer.orders.iter_mut().filter(|o| o.block == block);
                    copies.for_each(|copy| copy.counted_in = None);
                } else {
                    peer.orders.retain(|o| o.block != block);
                }
                self.send(now, conn, Message::Cancel(block));
            }
        }
    }

    /// Blocks of an unfinished piece are there from the last run.
    pub(super) fn partial_piece(&mut self, now: Instant, piece: PieceIndex, blocks: &[u32]) {
        if self.phase != Phase::Active {
            return;
        }
        let metainfo = self.metainfo.as_ref().filter(|m| m.piece_hash(piece).is_some());
        let count = metainfo.map(|m| m.block_count(piece));
        let is_due = self.wants(piece) && !self.held.get(piece);
        let Some(count) = count.filter(|_| is_due) else {
            if self.open.get(piece).is_none() {
                self.outputs.push_back(Output::AbandonPiece { piece });
            }
            return;
        };
        if self.open.get(piece).is_none() {
            self.picker.remove(piece);
            self.open.open(piece, count, None);
        }
        for &n in blocks {
            let Arrival::Kept { other_orders, completes } = self.open.was_here(piece, n) else {
                continue;
            };
            if other_orders > 0
                && let Some(block) = self.block(piece, n)
            {
                self.cancel_copies(now, block);
            }
            if completes {
                self.complete(piece);
            }
        }
    }

    fn complete(&mut self, piece: PieceIndex) {
        let Some(expected) = self.metainfo.as_ref().and_then(|m| m.piece_hash(piece)) else {
            debug_assert!(false, "only pieces with a known hash are started");
            return;
        };
        let want_block_digests = self.blame.is_suspect(piece);
        self.outputs.push_back(Output::CompletePiece { piece, expected, want_block_digests });
    }

    pub(super) fn piece_stored(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        digests: Option<&BlockDigests>,
    ) {
        if self.phase != Phase::Active {
            return;
        }
        let open = self.open.close(piece);
        if open.as_ref().is_some_and(|open| !open.is_complete()) {
            // A fault came in between, the piece was begun again, and now its first copy is on
            // disk after all.
            self.outputs.push_back(Output::AbandonPiece { piece });
        }
        self.held.set(piece, false);
        self.picker.remove(piece);
        self.deadlines.stored(piece);
        if !self.have.set(piece, true) {
            return;
        }
        if self.priorities.selected.get(piece) {
            self.missing -= 1;
        }
        if let Some(digests) = digests {
            for liar in self.blame.resolved(piece, digests) {
                self.accuse(now, liar, piece);
            }
        }
        if let Some(open) = open.filter(OpenPiece::is_complete) {
            self.acquit(now, &open);
        }
        self.outputs.push_back(Output::PieceVerified { piece });
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            if let Some(peer) = self.peers.get_mut(&conn)
                && peer.has(piece)
                && self.priorities.selected.get(piece)
            {
                peer.useful = peer.useful.saturating_sub(1);
                self.update_interest(now, conn);
            }
            self.send(now, conn, Message::Have(piece));
        }
        if self.is_complete() && self.priorities.selected.get(piece) {
            self.outputs.push_back(Output::Completed);
            self.note_debts(now);
            self.tell_upload_only(now);
            // Debts are no reason any more to let slots lie idle until the next round.
            self.fill_free_slots(now);
        }
    }

    pub(super) fn piece_corrupt(&mut self, now: Instant, piece: PieceIndex, digests: BlockDigests) {
        if !self.open.get(piece).is_some_and(OpenPiece::is_complete) {
            // Begun again since, or given up: who sent what is not known any more.
            return;
        }
        let Some(open) = self.open.close(piece) else { return };
        self.totals.corrupt_pieces += 1;
        self.conduct.lied(now);
        let size = self.metainfo.as_ref().map_or(0, |m| m.piece_data_size(piece));
        self.totals.wasted_bytes += u64::from(size);
        let liar = self.blame.corrupt(piece, open.senders(), digests);
        self.want_again(piece);
        if let Some(liar) = liar {
            self.accuse(now, liar, piece);
        }
        self.order_from_all(now);
        self.connect_more(now);
    }

    // What peers say about our orders.

    pub(super) fn unchoked_by(&mut self, now: Instant, conn: ConnId) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if !peer.chokes_us {
            return self.overlook(now, conn, "repeated unchokes");
        }
        peer.chokes_us = false;
        peer.rejects = 0;
        peer.exhausted = false;
        self.order_from(now, conn);
        Ok(())
    }

    pub(super) fn choked_by(&mut self, now: Instant, conn: ConnId) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if peer.chokes_us {
            return self.overlook(now, conn, "repeated chokes");
        }
        peer.chokes_us = true;
        peer.current = None;
        let fast = peer.fast;
        // All orders may have to be given again: honest ones choke once in some rounds of theirs.
        self.overlook(now, conn, "chokes")?;
        // What only it may send would have to wait until it unchokes us again.
        self.abandon_reserved(conn);
        // With the fast extension each order is answered or rejected by itself (BEP 6); without,
        // all of them are void.
        if !fast {
            let orders = self.peers.get_mut(&conn).map(|p| std::mem::take(&mut p.orders));
            let orders = orders.unwrap_or_default();
            for order in &orders {
                self.release(order);
            }
            self.order_from_all(now);
        }
        Ok(())
    }

    pub(super) fn rejected(
        &mut self,
        now: Instant,
        conn: ConnId,
        block: BlockRef,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if !peer.fast {
            return Err(DisconnectReason::ProtocolViolation(
                "a fast message without the extension",
            ));
        }
        let Some(at) = peer.orders.iter().position(|o| o.block == block) else {
            return self.overlook(now, conn, "rejects of what nobody asked for");
        };
        let order = peer.orders.remove(at).filter(|order| order.counted_in.is_some());
        let Some(order) = order else {
            // We have taken the order back, and this is the answer to that.
            self.order_from(now, conn);
            return Ok(());
        };
        peer.allowed_fast.remove(&block.piece);
        let refuses_unchoked = !peer.chokes_us;
        peer.rejects = peer.rejects.saturating_add(1);
        let refuses_all = refuses_unchoked && peer.rejects >= REJECTS_MAX && !peer.snubs_us;
        self.release(&order);
        // What only it may send would have to wait until it changes its mind.
        self.abandon_reserved(conn);
        if refuses_all {
            self.snubbed(now, conn);
        }
        if refuses_unchoked {
            // It may go on like that for ever; an honest peer has few reasons to.
            self.overlook(now, conn, "rejected requests")?;
        }
        self.order_from_all_but(now, conn);
        Ok(())
    }

    /// Blocks have become free that this peer will not give.
    fn order_from_all_but(&mut self, now: Instant, but: ConnId) {
        let idle: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(conn, p)| **conn != but && p.orders.is_empty())
            .map(|(conn, _)| *conn)
            .collect();
        for conn in idle {
            self.order_from(now, conn);
        }
    }

    /// A peer owes blocks and sends none: everything but the first is asked of others, and it
    /// gets no more orders until it moves.
    pub(super) fn snubbed(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.snubs_us = true;
        peer.current = None;
        let keep = PIPELINE_SNUBBED.min(peer.orders.len());
        let taken_back: Vec<Order> = peer.orders.drain(keep..).collect();
        // The one that stays may be had from others as well.
        let stays = peer.orders.front_mut().map(|first| {
            let counted_in = first.counted_in.take();
            Order { counted_in, ..*first }
        });
        for order in &taken_back {
            self.release(order);
            self.send(now, conn, Message::Cancel(order.block));
        }
        if let Some(order) = stays {
            self.release(&order);
        }
        self.abandon_reserved(conn);
        self.order_from_all(now);
    }
}
