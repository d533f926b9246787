//! Peers on trial: while pieces are found wrong, who has yet to send something right gets a piece of
//! its own.
//!
//! A piece that came from many and is wrong names nobody ([`blame`](super::blame)), and a stranger with a
//! thousand addresses spoils one after the other that way. If a piece is all from one peer, its fault is
//! plain at once: each lie costs an address and no more than one piece. So for a while after a lie peers
//! that nothing right has come from send a whole piece alone, and get no more to send until that is found
//! right. Of a network that lies were told from only few are tried at a time, so that the others have the
//! line, the disk and the processor to themselves; and its peers do not keep their places by what they
//! send.

use super::Swarm;
use super::blame::Sender;
use super::io::ConnId;
use super::limits::{TRIAL_ALONE_FOR, TRIALS_PER_NETWORK};
use super::peer::Peer;
use super::pieces::{OpenPiece, Opening};
use super::room::Network;
use crate::types::{BlockRef, PieceIndex};
use althing_base::Instant;
use std::collections::BTreeSet;

/// A piece that a peer on trial was given to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    piece: PieceIndex,
    opening: Opening,
    since: Instant,
}

impl Swarm {
    /// Whether a peer has still to show that what it sends is right.
    pub(super) fn is_on_trial(&self, now: Instant, peer: &Peer) -> bool {
        !peer.was_right && peer.web.is_none() && self.conduct.was_lied_to(now)
    }

    /// Whether nothing right has come from a peer, and lies from its network.
    pub(super) fn is_doubted(&self, now: Instant, peer: &Peer) -> bool {
        !peer.was_right && self.conduct.tells_lies(now, Network::of(peer.addr.ip()))
    }

    /// The piece that it is tried with, if nobody has given that up since.
    fn tried_with(&self, peer: &Peer) -> Option<PieceIndex> {
        let Trial { piece, opening, .. } = peer.trial?;
        (self.open.opening(piece) == Some(opening)).then_some(piece)
    }

    /// The block to ask a peer on trial for next, marked as on order.
    pub(super) fn next_on_trial(&mut self, now: Instant, conn: ConnId) -> Option<BlockRef> {
        let peer = self.peers.get(&conn)?;
        let piece = match self.tried_with(peer) {
            Some(piece) => piece,
            None if self.may_be_tried(now, peer) => {
                let untouched = self.start_piece(conn, u64::MAX);
                let piece = match untouched {
                    Some(piece) => piece,
                    None => self.start_again(conn)?,
                };
                let opening = self.open.reserve(piece, Some(conn))?;
                let peer = self.peers.get_mut(&conn)?;
                peer.trial = Some(Trial { piece, opening, since: now });
                piece
            }
            None => return None,
        };
        // If all of it is on order or here, there is nothing for it until it is found right.
        let n = self.open.order_free(piece)?;
        self.block(piece, n)
    }

    /// All pieces have been begun. One that nobody is at work on is begun again: what is here of it may be
    /// from those who lied.
    fn start_again(&mut self, conn: ConnId) -> Option<PieceIndex> {
        let peer = self.peers.get(&conn)?;
        let lies_about = |(piece, open): &(PieceIndex, &OpenPiece)| {
            open.has_free()
                && open.only_from.is_none()
                && open.on_order(u8::MAX).next().is_none()
                && peer.would_give(*piece)
        };
        let (piece, _) = self.open.iter().find(lies_about)?;
        self.abandon(piece);
        self.start_piece(conn, u64::MAX)
    }

    /// Whether there is room for one more to be tried.
    fn may_be_tried(&self, now: Instant, peer: &Peer) -> bool {
        let network = Network::of(peer.addr.ip());
        if !self.conduct.tells_lies(now, network) {
            return true;
        }
        let is_tried = |p: &&Peer| {
            p.trial.is_some()
                && !p.was_right
                && Network::of(p.addr.ip()) == network
                && self.tried_with(p).is_some()
        };
        self.peers.values().filter(is_tried).take(TRIALS_PER_NETWORK).count() < TRIALS_PER_NETWORK
    }

    /// Trials that last long keep others waiting: what is left of their pieces may be had from anybody.
    pub(super) fn end_long_trials(&mut self, now: Instant) {
        let is_long = |p: &&Peer| {
            !p.was_right && p.trial.is_some_and(|trial| now.since(trial.since) >= TRIAL_ALONE_FOR)
        };
        let long = self.peers.values().filter(is_long).filter_map(|p| self.tried_with(p));
        let reserved = |piece: &PieceIndex| {
            let is_reserved = |open: &OpenPiece| open.only_from.is_some();
            self.open.get(*piece).is_some_and(is_reserved) && !self.blame.is_suspect(*piece)
        };
        let pieces: Vec<PieceIndex> = long.filter(reserved).collect();
        for piece in &pieces {
            self.open.reserve(*piece, None);
        }
        if !pieces.is_empty() {
            self.order_from_all(now);
        }
    }

    /// A piece is right: so were those who sent it.
    pub(super) fn acquit(&mut self, now: Instant, open: &OpenPiece) {
        if self.peers.values().all(|p| p.was_right || p.download.total_bytes() == 0) {
            return;
        }
        let senders: BTreeSet<Sender> = open.senders().flatten().collect();
        let mut any = false;
        for peer in self.peers.values_mut() {
            if !peer.was_right && senders.contains(&peer.sender()) {
                any |= peer.trial.is_some();
                peer.was_right = true;
                peer.trial = None;
            }
        }
        // They are given more, and others of their network are tried.
        if any && self.conduct.was_lied_to(now) {
            self.order_from_all(now);
        }
    }
}
