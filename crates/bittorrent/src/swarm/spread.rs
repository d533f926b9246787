//! Who passes on what it gets: a seed gives a piece that nobody else has, and watches whether it turns
//! up elsewhere.
//!
//! What somebody says to have proves little: two who work together can praise each other. So a
//! piece counts as passed on when it was seen at two others at different addresses (if there are
//! two that lack it), neither of which had it from us; and whoever asks for what it said to have is not
//! believed any more. Where two have the piece from us, neither is credited: whoever keeps what it gets
//! would else be praised for what the other one passes on.

use super::Swarm;
use super::choker::Standing;
use super::io::ConnId;
use super::limits::{
    RARE_COPIES, RARE_PIECES_MAX, SPREAD_CREDIT_BYTES, SPREAD_CREDIT_PIECES, SPREAD_LOG_MAX,
    SPREAD_PATIENCE, SPREAD_SHARE, SPREAD_WITNESSES,
};
use super::peer::Peer;
use crate::types::{BlockRef, PieceIndex};
use althing_base::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// How a peer dealt with what it got from us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    /// Rare pieces that it got from us, and that others lacked.
    pub(super) was_given: u32,
    /// Those that turned up elsewhere in time.
    pub(super) passed_on: u32,
    /// While it took, it had something for us: it could have given.
    pub(super) could_give: bool,
    /// When we had everything it owed us more than is given on trust.
    pub(super) in_debt: bool,
    /// It asked for a piece that it had said to have: its word counts for nothing.
    pub(super) contradicts_itself: bool,
}

/// A piece that was given to somebody while it was rare.
#[derive(Debug)]
struct Given {
    /// At how many addresses it has to be seen until it counts as passed on.
    needs: usize,
    /// Where it was seen.
    seen_at: Vec<IpAddr>,
    /// Nothing more is to be learnt from it but that its owner had it from us.
    is_over: bool,
}

/// Rare pieces given lately.
#[derive(Debug, Default)]
pub(super) struct SpreadLog {
    /// By piece, since most blocks that leave are of a piece that is not in here.
    given: BTreeMap<(PieceIndex, ConnId), Given>,
    /// When the first block of each left, in that order.
    order: VecDeque<(Instant, PieceIndex, ConnId)>,
}

impl SpreadLog {
    /// To whom a piece was given.
    fn of(&self, piece: PieceIndex) -> impl Iterator<Item = (ConnId, &Given)> {
        let all = (piece, ConnId(u64::MIN))..=(piece, ConnId(u64::MAX));
        self.given.range(all).map(|((_, to), given)| (*to, given))
    }

    /// Notes that a piece was given to somebody it was not given to before.
    fn note(&mut self, now: Instant, piece: PieceIndex, to: ConnId, given: Given) {
        if self.order.len() >= SPREAD_LOG_MAX {
            self.forget_first();
        }
        self.order.push_back((now, piece, to));
        self.given.insert((piece, to), given);
    }

    fn forget_first(&mut self) {
        if let Some((_, piece, to)) = self.order.pop_front() {
            self.given.remove(&(piece, to));
        }
    }
}

#[cfg(test)]
impl SpreadLog {
    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }
}

impl Swarm {
    /// A block has left for a peer. The first one of a piece that nobody else has begins a watch.
    pub(super) fn watch_spread(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let is_last = || {
            let size = self.metainfo.as_ref().map_or(0, |m| m.piece_size(block.piece));
            u64::from(block.begin) + u64::from(block.len) >= u64::from(size)
        };
        if (block.begin != 0 && !is_last()) || !self.is_complete() {
            return;
        }
        let masked = self.peers.get(&conn).is_none_or(|p| p.mask.is_some());
        let is_rare = self.availability.of(block.piece) == 0;
        let mut known = self.spread.of(block.piece).peekable();
        if masked || !(is_rare || known.peek().is_some()) || known.any(|(to, _)| to == conn) {
            return;
        }
        drop(known);
        let lacks = |(other, p): &(&ConnId, &Peer)| {
            **other != conn && p.interested_in_us && !p.has(block.piece)
        };
        let needs = match is_rare {
            true => self.peers.iter().filter(lacks).take(SPREAD_WITNESSES).count(),
            false => 0,
        };
        if needs > 0
            && let Some(peer) = self.peers.get_mut(&conn)
        {
            peer.spread.was_given = peer.spread.was_given.saturating_add(1);
        }
        let given = Given { needs, seen_at: Vec::new(), is_over: needs == 0 };
        self.spread.note(now, block.piece, conn, given);
    }

    /// A peer has got a piece: it is from whoever had it from us, unless it had it from us too.
    pub(super) fn spread_seen(&mut self, at: ConnId, piece: PieceIndex) {
        if self.spread.given.is_empty() {
            return;
        }
        let Some(witness) = self.peers.get(&at).filter(|p| !p.spread.contradicts_itself) else {
            return;
        };
        let witness = witness.addr.ip().to_canonical();
        let peers = &self.peers;
        let has_it = |conn: ConnId| peers.get(&conn).is_some_and(|p| p.has(piece));
        let mut owners = self.spread.of(piece).filter(|(to, _)| *to == at || has_it(*to));
        let (Some((owner, _)), None) = (owners.next(), owners.next()) else { return };
        drop(owners);
        let own = peers.get(&owner).is_none_or(|p| p.addr.ip().to_canonical() == witness);
        let Some(given) = self.spread.given.get_mut(&(piece, owner)) else { return };
        if own || given.is_over || given.seen_at.contains(&witness) {
            return;
        }
        given.seen_at.push(witness);
        given.is_over = given.seen_at.len() >= given.needs;
        let passed_on = given.is_over.then_some(owner);
        if let Some(peer) = passed_on.and_then(|conn| self.peers.get_mut(&conn)) {
            peer.spread.passed_on = peer.spread.passed_on.saturating_add(1);
        }
    }

    /// What was given long ago is of no more interest.
    pub(super) fn forget_spread(&mut self, now: Instant) {
        let is_old = |at: Instant| now.since(at) >= SPREAD_PATIENCE;
        while self.spread.order.front().is_some_and(|(at, ..)| is_old(*at)) {
            self.spread.forget_first();
        }
        if self.spread.order.is_empty() {
            self.spread.order = VecDeque::new();
        }
    }

    /// Everything is here: who owes us more than is given on trust is remembered.
    pub(super) fn note_debts(&mut self, now: Instant) {
        if !self.is_complete() {
            return;
        }
        let terms = self.trust();
        for peer in self.peers.values_mut() {
            peer.spread.in_debt = peer.is_indebted(now, terms);
        }
        for (gave, took, spread) in self.ledger.values_mut() {
            spread.in_debt = spread.could_give && terms.is_exceeded(*gave, *took, 0);
        }
    }

    /// Where a peer stands with a seed.
    pub(super) fn standing(&self, peer: &Peer) -> Standing {
        let piece_length = self.metainfo.as_ref().map_or(1, |m| m.piece_length()).max(1);
        let credit = (SPREAD_CREDIT_BYTES / piece_length).max(SPREAD_CREDIT_PIECES);
        let Spread { was_given, passed_on, in_debt, contradicts_itself, .. } = peer.spread;
        let gave = peer.balance().0 > 0 && !in_debt;
        let passes = passed_on > 0 && passed_on.saturating_mul(SPREAD_SHARE) >= was_given;
        if contradicts_itself {
            Standing::Keeps
        } else if passes || gave {
            Standing::Passes
        } else if in_debt || was_given >= credit {
            Standing::Keeps
        } else {
            Standing::Unknown
        }
    }

    /// Some of the pieces that we have and hardly anybody else.
    pub(super) fn rare_pieces(&self) -> Vec<PieceIndex> {
        let is_rare = |piece: &PieceIndex| self.availability.of(*piece) < RARE_COPIES;
        self.have.ones().filter(is_rare).take(RARE_PIECES_MAX).collect()
    }
}
