//! The pieces in progress, block by block.

use super::blame::Sender;
use super::io::ConnId;
use crate::types::PieceIndex;
use std::collections::{BTreeMap, BTreeSet};

/// One block of a piece in progress.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// From how many peers it is on order.
    ordered: u8,
    /// Whether it is here.
    here: bool,
    /// Who sent it, once it is here; `None` if it was here before.
    from: Option<Sender>,
}

/// One opening of one piece: a number that is never used twice, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Opening(u64);

/// A piece of which blocks are on order or here.
#[derive(Debug)]
pub(super) struct OpenPiece {
    opening: Opening,
    blocks: Vec<Block>,
    /// Blocks neither here nor on order.
    free: u32,
    /// Blocks not here.
    missing: u32,
    /// No block before this one is free.
    first_free: u32,
    /// After bad data: only this connection may send it, so that it is clear who lies ([`trial`]
    /// also).
    ///
    /// [`trial`]: super::trial
    pub(super) only_from: Option<ConnId>,
}

impl OpenPiece {
    /// Whether all blocks are here and the disk is at work on it.
    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Whether nothing of it is here.
    pub(super) fn is_untouched(&self) -> bool {
        self.missing as usize == self.blocks.len()
    }

    /// Who sent each block.
    pub(super) fn senders(&self) -> impl Iterator<Item = Option<Sender>> + '_ {
        self.blocks.iter().map(|block| block.from)
    }

    /// From how many peers block `n` is on order; `None` if it is here (or does not exist).
    pub(super) fn orders(&self, n: u32) -> Option<u8> {
        self.blocks.get(n as usize).filter(|block| !block.here).map(|block| block.ordered)
    }

    /// Whether any block is neither here nor on order.
    pub(super) fn has_free(&self) -> bool {
        self.free > 0
    }

    /// The blocks that are on order, each from fewer than `limit` peers.
    pub(super) fn on_order(&self, limit: u8) -> impl Iterator<Item = u32> + '_ {
        (0..self.blocks.len() as u32)
            .filter(move |n| self.orders(*n).is_some_and(|orders| (1..limit).contains(&orders)))
    }
}

/// What became of a block that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// Not wanted: no such piece in progress, here already, or reserved for someone else.
    Unwanted,
    /// Kept.
    Kept {
        /// It is still on order with this many other peers.
        other_orders: u8,
        /// It was the last one of its piece.
        completes: bool,
    },
}

/// All pieces in progress.
#[derive(Debug, Default)]
pub(super) struct OpenPieces {
    pieces: BTreeMap<PieceIndex, OpenPiece>,
    /// Those with free blocks, in the order they were opened.
    with_free: BTreeSet<(Opening, PieceIndex)>,
    next: Opening,
}

impl OpenPieces {
    pub(super) fn open(&mut self, piece: PieceIndex, blocks: u32, only_from: Option<ConnId>) {
        let opening = self.next;
        self.next.0 += 1;
        self.with_free.insert((opening, piece));
        self.pieces.insert(
            piece,
            OpenPiece {
                opening,
                blocks: vec![Block::default(); blocks as usize],
                free: blocks,
                missing: blocks,
                first_free: 0,
                only_from,
            },
        );
    }

    pub(super) fn close(&mut self, piece: PieceIndex) -> Option<OpenPiece> {
        let open = self.pieces.remove(&piece)?;
        self.with_free.remove(&(open.opening, piece));
        Some(open)
    }

    pub(super) fn get(&self, piece: PieceIndex) -> Option<&OpenPiece> {
        self.pieces.get(&piece)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PieceIndex, &OpenPiece)> {
        self.pieces.iter().map(|(piece, open)| (*piece, open))
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Of the pieces with a free block for which `eligible` holds, the one with the lowest `turn`;
    /// among equals the oldest.
    pub(super) fn next_with_free(
        &self,
        mut eligible: impl FnMut(PieceIndex, &OpenPiece) -> bool,
        turn: impl Fn(PieceIndex) -> u64,
    ) -> Option<PieceIndex> {
        self.with_free
            .iter()
            .map(|(_, piece)| *piece)
            .filter(|piece| self.pieces.get(piece).is_some_and(|open| eligible(*piece, open)))
            .min_by_key(|piece| turn(*piece))
    }

    /// Whether any piece has a free block.
    pub(super) fn any_free(&self) -> bool {
        !self.with_free.is_empty()
    }

    /// Orders the first free block of the piece.
    pub(super) fn order_free(&mut self, piece: PieceIndex) -> Option<u32> {
        let open = self.pieces.get_mut(&piece)?;
        if open.free == 0 {
            return None;
        }
        let is_free = |block: &Block| block.ordered == 0 && !block.here;
        let start = open.first_free as usize;
        let n = start + open.blocks.get(start..)?.iter().position(is_free)?;
        open.blocks[n].ordered = 1;
        open.first_free = n as u32 + 1;
        open.free -= 1;
        if open.free == 0 {
            self.with_free.remove(&(open.opening, piece));
        }
        Some(n as u32)
    }

    /// Orders one more copy of a block that is on order already.
    pub(super) fn order_again(&mut self, piece: PieceIndex, n: u32) {
        if let Some(block) = self.pieces.get_mut(&piece).and_then(|p| p.blocks.get_mut(n as usize))
        {
            block.ordered = block.ordered.saturating_add(1);
        }
    }

    /// Has a piece sent by one peer alone from now on, or by anybody.
    pub(super) fn reserve(&mut self, piece: PieceIndex, only: Option<ConnId>) -> Option<Opening> {
        let open = self.pieces.get_mut(&piece)?;
        open.only_from = only;
        Some(open.opening)
    }

    /// The opening that counts orders for a piece now.
    pub(super) fn opening(&self, piece: PieceIndex) -> Option<Opening> {
        self.pieces.get(&piece).map(|open| open.opening)
    }

    /// An order counted in `opening` came to nothing.
    pub(super) fn release(&mut self, piece: PieceIndex, n: u32, opening: Opening) {
        let Some(open) = self.pieces.get_mut(&piece).filter(|open| open.opening == opening) else {
            return;
        };
        let Some(block) = open.blocks.get_mut(n as usize) else { return };
        debug_assert!(block.ordered > 0, "each order is released once");
        block.ordered = block.ordered.saturating_sub(1);
        if block.ordered == 0 && !block.here {
            open.free += 1;
            open.first_free = open.first_free.min(n);
            self.with_free.insert((open.opening, piece));
        }
    }

    /// A block came in from a peer; `counted_in` is the opening that counts its order, if one does.
    pub(super) fn arrive(
        &mut self,
        piece: PieceIndex,
        n: u32,
        conn: ConnId,
        from: Sender,
        counted_in: Option<Opening>,
    ) -> Arrival {
        let Some(open) = self.pieces.get_mut(&piece) else { return Arrival::Unwanted };
        let Some(block) = open.blocks.get_mut(n as usize) else { return Arrival::Unwanted };
        let was_ordered = counted_in == Some(open.opening);
        if was_ordered {
            block.ordered = block.ordered.saturating_sub(1);
        }
        let reserved = open.only_from.is_some_and(|only| only != conn);
        if block.here || reserved {
            return Arrival::Unwanted;
        }
        let was_free = !was_ordered && block.ordered == 0;
        block.from = Some(from);
        self.take(piece, n, was_free)
    }

    /// A block has been here since before this run. Of a piece that is reserved for one peer, to
    /// tell who lies, it is not wanted.
    pub(super) fn was_here(&mut self, piece: PieceIndex, n: u32) -> Arrival {
        let open = self.pieces.get(&piece).filter(|open| open.only_from.is_none());
        match open.and_then(|open| open.orders(n)) {
            Some(orders) => self.take(piece, n, orders == 0),
            None => Arrival::Unwanted,
        }
    }

    /// A block that was not here is.
    fn take(&mut self, piece: PieceIndex, n: u32, was_free: bool) -> Arrival {
        let Some(open) = self.pieces.get_mut(&piece) else { return Arrival::Unwanted };
        let Some(block) = open.blocks.get_mut(n as usize) else { return Arrival::Unwanted };
        if was_free {
            open.free -= 1;
            if open.free == 0 {
                self.with_free.remove(&(open.opening, piece));
            }
        }
        block.here = true;
        open.missing -= 1;
        Arrival::Kept { other_orders: block.ordered, completes: open.missing == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const P: PieceIndex = PieceIndex(7);
    const FIRST: Opening = Opening(0);
    const A: (ConnId, Sender) = (ConnId(1), sender(1));
    const B: (ConnId, Sender) = (ConnId(2), sender(2));

    const fn sender(n: u8) -> Sender {
        Sender::Peer(IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)))
    }

    fn three_blocks(only_from: Option<ConnId>) -> OpenPieces {
        let mut open = OpenPieces::default();
        open.open(P, 3, only_from);
        open
    }

    #[test]
    fn blocks_are_ordered_released_and_ordered_again() {
        let mut open = three_blocks(None);
        assert_eq!(
            [open.order_free(P), open.order_free(P), open.order_free(P)],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(open.order_free(P), None);
        assert!(!open.any_free());
        open.release(P, 1, FIRST);
        assert!(open.any_free());
        assert_eq!(open.order_free(P), Some(1));
        assert_eq!(open.order_free(P), None);
    }

    #[test]
    fn copies_and_late_arrivals() {
        let mut open = three_blocks(None);
        open.order_free(P);
        open.order_again(P, 0);
        open.order_again(P, 0);
        let kept = open.arrive(P, 0, A.0, A.1, Some(FIRST));
        assert_eq!(kept, Arrival::Kept { other_orders: 2, completes: false });
        assert_eq!(open.arrive(P, 0, B.0, B.1, Some(FIRST)), Arrival::Unwanted);
        // Releasing an order for a block that is here does not make it free again.
        open.release(P, 0, FIRST);
        assert_eq!(open.order_free(P), Some(1));
        // A block that was never ordered is taken all the same.
        let kept = open.arrive(P, 2, B.0, B.1, None);
        assert_eq!(kept, Arrival::Kept { other_orders: 0, completes: false });
        assert!(!open.any_free());
        let kept = open.arrive(P, 1, A.0, A.1, Some(FIRST));
        assert_eq!(kept, Arrival::Kept { other_orders: 0, completes: true });
        let senders: Vec<_> = open.close(P).expect("open").senders().flatten().collect();
        assert_eq!(senders, [A.1, A.1, B.1]);
        assert_eq!(open.len(), 0);
    }

    #[test]
    fn orders_that_were_given_up_or_outlived_their_piece_do_not_count() {
        let mut open = three_blocks(None);
        // Released, and answered after all: the block is not free any more.
        assert_eq!(open.order_free(P), Some(0));
        open.release(P, 0, FIRST);
        open.arrive(P, 0, A.0, A.1, None);
        assert_eq!([open.order_free(P), open.order_free(P)], [Some(1), Some(2)]);
        assert!(!open.any_free());
        // Of the piece's second opening the orders of the first one change nothing.
        open.close(P);
        open.open(P, 3, None);
        assert_eq!(open.order_free(P), Some(0));
        open.release(P, 0, FIRST);
        assert_eq!(open.order_free(P), Some(1));
        let kept = open.arrive(P, 0, B.0, B.1, Some(FIRST));
        assert_eq!(kept, Arrival::Kept { other_orders: 1, completes: false });
        let kept = open.arrive(P, 2, B.0, B.1, Some(FIRST));
        assert_eq!(kept, Arrival::Kept { other_orders: 0, completes: false });
        assert!(!open.any_free());
    }

    #[test]
    fn blocks_of_an_earlier_run_are_not_ordered() {
        let mut open = three_blocks(None);
        assert_eq!(open.order_free(P), Some(0));
        let kept = Arrival::Kept { other_orders: 0, completes: false };
        assert_eq!(open.was_here(P, 1), kept);
        assert_eq!(open.was_here(P, 1), Arrival::Unwanted);
        assert_eq!(open.was_here(P, 7), Arrival::Unwanted);
        // One that is on order is taken, too, and what is sent for it is of no use.
        assert_eq!(open.was_here(P, 0), Arrival::Kept { other_orders: 1, completes: false });
        assert_eq!(open.arrive(P, 0, A.0, A.1, Some(FIRST)), Arrival::Unwanted);
        assert_eq!(open.order_free(P), Some(2));
        assert!(!open.any_free());
        let last = open.arrive(P, 2, A.0, A.1, Some(FIRST));
        assert_eq!(last, Arrival::Kept { other_orders: 0, completes: true });
        let senders: Vec<_> = open.close(P).expect("open").senders().collect();
        assert_eq!(senders, [None, None, Some(A.1)]);
        let mut open = three_blocks(Some(A.0));
        assert_eq!(open.was_here(P, 0), Arrival::Unwanted);
    }

    #[test]
    fn a_reserved_piece_takes_blocks_from_one_peer_only() {
        let mut open = three_blocks(Some(A.0));
        assert_eq!(open.arrive(P, 0, B.0, B.1, None), Arrival::Unwanted);
        assert_ne!(open.arrive(P, 0, A.0, A.1, None), Arrival::Unwanted);
    }
}
