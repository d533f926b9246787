//! Pieces that come from elsewhere than peers: another torrent of the same program has the same file
//! (BEP 52 proves it), or is about to. They are held: not ordered from anybody. Whoever holds them
//! says [`Input::PieceStored`] of each that came, and releases those that will not come after all.
//!
//! [`Input::PieceStored`]: super::Input::PieceStored

use super::io::ConnId;
use super::{Phase, Swarm};
use crate::types::{Bitfield, BlockRef, PieceIndex};
use althing_base::Instant;
use std::collections::BTreeSet;

impl Swarm {
    /// The pieces that are not ordered from peers because they come from elsewhere.
    pub fn held(&self) -> &Bitfield {
        &self.held
    }

    /// Whether a piece is wanted, is not on disk, and can be checked when it comes.
    pub fn is_wanted(&self, piece: PieceIndex) -> bool {
        let known = |m: &std::sync::Arc<crate::metainfo::Metainfo>| m.piece_hash(piece).is_some();
        self.wants(piece) && self.metainfo.as_ref().is_some_and(known)
    }

    /// Holds pieces, but for those that are on disk or of which a peer has sent something: they come
    /// from where they began to come.
    pub(super) fn hold(&mut self, now: Instant, pieces: &[PieceIndex]) {
        let Some(count) = self.metainfo.as_ref().map(|metainfo| metainfo.piece_count()) else {
            return;
        };
        if self.held.len() != count {
            self.held = Bitfield::new(count);
        }
        let mut begun = BTreeSet::new();
        for &piece in pieces {
            match self.open.get(piece) {
                Some(open) if !open.is_untouched() => continue,
                Some(_) => drop(begun.insert(piece)),
                None => {}
            }
            if !self.have.get(piece) {
                self.held.set(piece, true);
                self.picker.remove(piece);
            }
        }
        self.take_back_all(now, &begun);
        if begun.is_empty() {
            return;
        }
        for piece in begun {
            self.abandon(piece);
        }
        self.order_from_all(now);
    }

    /// Lets pieces be ordered from peers again.
    pub(super) fn release_held(&mut self, now: Instant, pieces: &[PieceIndex]) {
        let mut any = false;
        for &piece in pieces {
            if self.held.set(piece, false)
                && self.phase == Phase::Active
                && self.is_wanted(piece)
                && self.open.get(piece).is_none()
            {
                self.picker.add(piece, self.priorities.of(piece));
                any = true;
            }
        }
        if any {
            self.peers.values_mut().for_each(|peer| peer.exhausted = false);
            self.order_from_all(now);
        }
    }

    /// Takes back what is on order of these pieces.
    pub(super) fn take_back_all(&mut self, now: Instant, pieces: &BTreeSet<PieceIndex>) {
        if pieces.is_empty() {
            return;
        }
        let orders: Vec<(ConnId, BlockRef)> = self
            .peers
            .iter()
            .flat_map(|(conn, peer)| peer.orders.iter().map(|order| (*conn, order.block)))
            .filter(|(_, block)| pieces.contains(&block.piece))
            .collect();
        for (conn, block) in orders {
            self.take_back(now, conn, block);
        }
    }
}
