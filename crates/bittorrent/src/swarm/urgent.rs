//! Fetching what somebody is waiting for: pieces with deadlines, before all others.
//!
//! A reader needs the next piece soon and the ones after it later, so what counts is not when the
//! whole comes but when the most urgent piece does. Three things keep it waiting, and each has its
//! remedy here:
//!
//! * **Full pipes.** Seconds of other blocks are on order with every peer. When a reader jumps, those
//!   that need not come first are taken back; and as long as something is due soon, a peer has no more
//!   on order than it sends in [`URGENT_QUEUE_TIME`].
//! * **Slow peers.** A peer that would deliver after the deadline, and is much slower than the best,
//!   takes blocks of later pieces that it can deliver in time.
//! * **Peers that stop.** When a block of a piece that is due soon would come too late, it is ordered
//!   from a peer that is sooner, too; who comes first counts, and the copies are cancelled.
//!
//! Everything is looked at in the order of the deadlines and to a fixed depth, so that neither the
//! number of pieces nor that of readers' pieces makes a block dearer. Nothing of this costs anything
//! while nobody reads. The rest of the capacity goes on as it did, rarest first or in order.

use super::deadlines::ReaderId;
use super::io::ConnId;
use super::limits::{
    ENDGAME_STALLED_AFTER, HURRY_INTERVAL, PIPELINE_MAX, PIPELINE_SNUBBED, RESCUED_AFTER,
    RESCUED_AT_ONCE_MAX, RESCUED_PIECES_MAX, STALLED_AFTER, URGENT_BLOCKS_UNPROVEN,
    URGENT_COPIES_MAX, URGENT_LOOKED_AT_MAX, URGENT_QUEUE_TIME, URGENT_SOON,
};
use super::peer::{Order, Peer};
use super::{Phase, Swarm};
use crate::types::{BLOCK_SIZE, BlockRef, PieceIndex};
use crate::wire::Message;
use althing_base::Instant;
use althing_base::time::Duration;
use std::collections::BTreeMap;

/// A peer is slow beside one that sends so many times faster.
const SLOW_BESIDE: u64 = 4;

/// Orders that a jump leaves with each peer: they are on their way, and taking them back would
/// leave the line idle for a round trip.
const LEFT_AT_A_JUMP: usize = 2;

impl Peer {
    /// Bytes a second that it has sent of late; 0 if it has shown nothing yet.
    fn pace(&self, now: Instant) -> u64 {
        self.download.pace(now)
    }

    /// How many orders are still waited for.
    fn awaited(&self) -> usize {
        self.orders.iter().filter(|order| order.counted_in.is_some()).count()
    }

    /// How many blocks may be on order while urgent ones wait: few at first and twice as many after
    /// each round trip, until its pace shows.
    fn urgent_limit(&self, now: Instant) -> usize {
        if self.snubs_us {
            return PIPELINE_SNUBBED;
        }
        let bytes = match self.is_unproven() {
            true => u128::from(self.download.total_bytes()),
            false => u128::from(self.pace(now)) * URGENT_QUEUE_TIME.as_millis() / 1000,
        };
        let blocks = usize::try_from(bytes / u128::from(BLOCK_SIZE)).unwrap_or(usize::MAX);
        let blocks = blocks.saturating_add(URGENT_BLOCKS_UNPROVEN);
        blocks.min(self.pipeline).min(self.queue_limit)
    }

    /// How many more blocks may be ordered now while urgent ones are on their way.
    pub(super) fn urgent_room(&self, now: Instant) -> usize {
        // What was taken back stays on the list until it is answered (BEP 6).
        let unanswered = PIPELINE_MAX.saturating_sub(self.orders.len());
        self.urgent_limit(now).saturating_sub(self.awaited()).min(unanswered)
    }

    /// How long until it would have sent `blocks` more blocks.
    pub(super) fn time_for(&self, now: Instant, blocks: usize) -> Duration {
        // One that has shown nothing yet gets the benefit of the doubt.
        let pace = self.pace(now).max(BLOCK_SIZE.into());
        Duration::from_secs_f64(blocks as f64 * f64::from(BLOCK_SIZE) / pace as f64)
    }

    /// How long until it would have sent all that it owes; `None` if it has stalled, where `response`
    /// is what blocks take of late: on a thin line of ours they all take long.
    pub(super) fn through_in(&self, now: Instant, response: Duration) -> Option<Duration> {
        let first = self.orders.front()?;
        let waits = now.since(first.at.max(self.last_block_at));
        let stalled = ENDGAME_STALLED_AFTER + response + self.time_for(now, 4);
        (!self.snubs_us && waits < stalled).then(|| self.time_for(now, self.orders.len()))
    }

    /// When the order at `position` of those that are waited for is to be expected; `None` if the
    /// peer has stalled.
    fn expected(&self, now: Instant, order: &Order, position: usize) -> Option<Duration> {
        let waiting_since = order.at.max(self.last_block_at);
        if self.snubs_us || now.since(waiting_since) >= STALLED_AFTER {
            return None;
        }
        Some(self.time_for(now, position + 1))
    }
}

impl Swarm {
    /// A reader needs these pieces at these times; in the place of what it needed before.
    pub(super) fn set_deadlines(
        &mut self,
        now: Instant,
        reader: ReaderId,
        window: Vec<(PieceIndex, Instant)>,
    ) {
        let soon = now + URGENT_SOON;
        let new = |(piece, due): &(PieceIndex, Instant)| {
            *due <= soon && self.wants(*piece) && self.deadlines.due(*piece).is_none()
        };
        let jumped = window.iter().any(new);
        let (selected, have) = (&self.priorities.selected, &self.have);
        let missing = |piece| selected.get(piece) && !have.get(piece);
        self.deadlines.set(reader, window, missing);
        if self.phase != Phase::Active || !self.is_running() {
            return;
        }
        if jumped {
            self.make_way(now);
        }
        self.order_by_pace(now);
        self.watch_deadlines(now);
    }

    /// Makes sure that readers who wait are thought of again soon.
    pub(super) fn watch_deadlines(&mut self, now: Instant) {
        let waiting =
            self.phase == Phase::Active && self.is_running() && !self.deadlines.is_empty();
        self.hurry_at = waiting.then(|| {
            let next = now + HURRY_INTERVAL;
            self.hurry_at.map_or(next, |at| at.min(next).max(now))
        });
    }

    /// Time has passed, and readers are waiting.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.hurry_at = None;
        self.order_by_pace(now);
        self.rescue(now);
        self.watch_deadlines(now);
    }

    /// Whether something is due so soon that pipes are to be kept short for its sake.
    pub(super) fn is_pressed(&self, now: Instant) -> bool {
        self.deadlines.in_order().next().is_some_and(|(due, _)| due <= now + URGENT_SOON)
    }

    /// Fills pipelines, the fastest peer first: it gets what is needed first.
    fn order_by_pace(&mut self, now: Instant) {
        let mut conns: Vec<(u64, ConnId)> =
            self.peers.iter().map(|(conn, p)| (p.pace(now), *conn)).collect();
        conns.sort_by_key(|(pace, conn)| (std::cmp::Reverse(*pace), *conn));
        for (_, conn) in conns {
            self.order_from(now, conn);
        }
    }

    /// Takes back what peers owe that nobody waits for, all but what is about to come.
    fn make_way(&mut self, now: Instant) {
        let deadlines = &self.deadlines;
        let urgent = |order: &Order| deadlines.due(order.block.piece).is_some();
        let helpful = |p: &Peer| {
            deadlines.in_order().take(URGENT_LOOKED_AT_MAX).any(|(_, piece)| p.would_give(piece))
        };
        let in_the_way: Vec<(ConnId, Vec<BlockRef>)> = self
            .peers
            .iter()
            .filter(|(_, p)| helpful(p))
            .map(|(conn, p)| {
                let later = p.orders.iter().skip(LEFT_AT_A_JUMP).filter(|order| !urgent(order));
                (*conn, later.map(|order| order.block).collect())
            })
            .collect();
        for (conn, blocks) in in_the_way {
            for block in blocks {
                self.take_back(now, conn, block);
            }
        }
    }

    /// Orders what is urgent from a peer. Says whether it is to get no other orders now: urgent
    /// blocks wait that it is to take next.
    pub(super) fn order_urgent(&mut self, now: Instant, conn: ConnId) -> bool {
        let best = self.peers.values().filter(|p| !p.chokes_us).map(|p| p.pace(now)).max();
        let best = best.unwrap_or(0);
        loop {
            let Some(peer) = self.peers.get(&conn) else { return true };
            let full = peer.urgent_room(now) == 0;
            let Some((piece, is_open)) = self.next_urgent(now, peer, conn, best) else {
                return false;
            };
            if full {
                return true;
            }
            if !is_open && !self.open_piece(conn, piece) {
                return false;
            }
            let block = self.open.order_free(piece).and_then(|n| self.block(piece, n));
            let Some(block) = block else { return false };
            self.order(now, conn, block);
        }
    }

    /// The piece that a peer should send a block of now, and whether it is in progress.
    fn next_urgent(
        &self,
        now: Instant,
        peer: &Peer,
        conn: ConnId,
        best: u64,
    ) -> Option<(PieceIndex, bool)> {
        let is_slow =
            |p: &Peer| p.pace(now).max(BLOCK_SIZE.into()).saturating_mul(SLOW_BESIDE) < best;
        let slow = is_slow(peer);
        let ready = now + peer.time_for(now, peer.awaited() + 1);
        // What nobody else gives is to be had from the slow one, or not at all.
        let only_here = |at: usize, piece: PieceIndex| {
            let mut others = self.peers.values().filter(|p| p.would_give(piece));
            at < RESCUED_PIECES_MAX && others.all(is_slow)
        };
        let looked_at = self.deadlines.in_order().take(URGENT_LOOKED_AT_MAX).enumerate();
        let mut in_time = looked_at
            .filter(|(_, (_, piece))| peer.would_give(*piece))
            .filter(|(at, (due, piece))| !slow || ready <= *due || only_here(*at, *piece));
        in_time.find_map(|(_, (_, piece))| match self.open.get(piece) {
            Some(open) => {
                let eligible = open.only_from.is_none_or(|only| only == conn);
                (eligible && open.has_free()).then_some((piece, true))
            }
            None => self.picker.wants(piece).then_some((piece, false)),
        })
    }

    /// Orders copies of blocks that are due soon and would come too late.
    fn rescue(&mut self, now: Instant) {
        let soon = now + URGENT_SOON;
        let pieces: Vec<(PieceIndex, Instant)> = self
            .deadlines
            .in_order()
            .take_while(|(due, _)| *due <= soon)
            .filter(|(_, piece)| self.open.get(*piece).is_some_and(|open| !open.is_complete()))
            .map(|(due, piece)| (piece, due))
            .take(RESCUED_PIECES_MAX)
            .collect();
        if pieces.is_empty() {
            return;
        }
        let expected = self.expected_blocks(now, &pieces);
        let mut left = RESCUED_AT_ONCE_MAX;
        let first = self.deadlines.in_order().next().map(|(_, piece)| piece);
        for (piece, due) in pieces {
            let Some(open) = self.open.get(piece).filter(|open| open.only_from.is_none()) else {
                continue;
            };
            for n in open.on_order(URGENT_COPIES_MAX).collect::<Vec<_>>() {
                let Some(block) = self.block(piece, n) else { continue };
                let comes = expected.get(&(piece, block.begin)).copied().flatten();
                let late = comes.is_none_or(|comes| now + comes > due.max(now + RESCUED_AFTER));
                if left > 0 && late && self.order_sooner(now, block, comes, first == Some(piece)) {
                    left -= 1;
                }
            }
        }
    }

    /// For the blocks of these pieces when the first of those who owe them will have sent them;
    /// `None` if all of them have stalled.
    fn expected_blocks(
        &self,
        now: Instant,
        pieces: &[(PieceIndex, Instant)],
    ) -> BTreeMap<(PieceIndex, u32), Option<Duration>> {
        let mut expected: BTreeMap<(PieceIndex, u32), Option<Duration>> = BTreeMap::new();
        for peer in self.peers.values() {
            let awaited = peer.orders.iter().filter(|order| order.counted_in.is_some());
            for (position, order) in awaited.enumerate() {
                let BlockRef { piece, begin, .. } = order.block;
                if !pieces.iter().any(|(late, _)| *late == piece) {
                    continue;
                }
                let comes = peer.expected(now, order, position);
                let earliest = expected.entry((piece, begin)).or_default();
                *earliest = [*earliest, comes].into_iter().flatten().min();
            }
        }
        expected
    }

    /// Orders a block from the peer that would send it first, if that is well before `comes`. Only one
    /// of the `first` piece may have to wait behind a full pipe: others would be in its way.
    fn order_sooner(
        &mut self,
        now: Instant,
        block: BlockRef,
        comes: Option<Duration>,
        first: bool,
    ) -> bool {
        let room = |p: &Peer| p.orders.len() < p.queue_limit.min(PIPELINE_MAX);
        let owes = |p: &Peer| p.orders.iter().any(|order| order.block == block);
        let able = |p: &Peer| {
            // One whose own orders are overdue is no help.
            let alive = p.orders.front().is_none_or(|o| p.expected(now, o, 0).is_some());
            alive && !p.snubs_us && p.would_give(block.piece) && !owes(p)
        };
        let best = self
            .peers
            .iter()
            .filter(|(_, p)| able(p) && !self.is_on_trial(now, p))
            .filter(|(_, p)| if first { room(p) } else { p.urgent_room(now) > 0 })
            .map(|(conn, p)| (p.time_for(now, p.awaited() + 1), *conn))
            .min();
        let Some((takes, conn)) = best else { return false };
        if comes.is_some_and(|comes| takes * 2 > comes) {
            return false;
        }
        self.open.order_again(block.piece, block.begin / BLOCK_SIZE);
        self.order(now, conn, block);
        true
    }

    /// Takes back an order that has not come.
    pub(super) fn take_back(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let Some(at) = peer.orders.iter().position(|o| o.block == block && o.counted_in.is_some())
        else {
            return;
        };
        let order = if peer.fast {
            // An answer comes either way (BEP 6), and is told from what nobody asked for by this.
            peer.orders.get_mut(at).map(|order| {
                let counted_in = order.counted_in.take();
                Order { counted_in, ..*order }
            })
        } else {
            peer.orders.remove(at)
        };
        if let Some(order) = order {
            self.release(&order);
            self.send(now, conn, Message::Cancel(block));
        }
    }
}
