//! Giving: requests, choking, and the slots that are given away.

use super::io::{ConnId, DisconnectReason, Output};
use super::limits::{
    ALLOWED_FAST_SET, COUNTED_MIN, LEDGER_MAX, PASSED_OVER_TURNS, REQUEST_LEN_MAX, SEND_AHEAD_MAX,
    SHARED_AHEAD_MAX, SHARED_AHEAD_MIN, UPLOAD_QUEUE_MAX,
};
use super::peer::{Peer, Trust};
use super::{ChokeCandidate, Phase, Standing, Swarm, Weight};
use crate::metainfo::Metainfo;
use crate::types::{BLOCK_SIZE, BlockRef, PieceIndex};
use crate::wire::{Message, allowed_fast_set};
use althing_base::Instant;
use althing_base::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

type Broken = DisconnectReason;

/// A connection younger than this counts as new to the choker (BEP 3: three rounds).
const NEW_FOR: Duration = Duration::from_secs(30);

/// What a peer has been sent is divided by its weight with so many more bits.
const SHARE_SHIFT: u32 = 16;

/// What was said so long ago has left for the peer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a block counts for among those handed to the driver, in bytes: each costs a read and some
/// memory, however short it is.
fn counted(block: BlockRef) -> u32 {
    block.len.max(COUNTED_MIN)
}

/// How our own line does.
pub(super) struct Line {
    /// Bytes of blocks that have been sent, to anybody.
    sent_bytes: u64,
    /// When the last one was.
    last_sent_at: Instant,
    /// Peers that wait for one.
    waiting: u64,
    /// Bytes of blocks that have come, from anybody.
    pub(super) received_bytes: u64,
    /// When the last one did.
    pub(super) last_received_at: Instant,
    /// Peers that owe one.
    pub(super) owing: u64,
}

impl Peer {
    /// Whether it has been handed something and has taken nothing for `after` while our line let
    /// others through, or for `clogged_after` while nobody took anything.
    pub(super) fn takes_nothing(
        &self,
        line: &Line,
        now: Instant,
        after: Duration,
        clogged_after: Duration,
    ) -> bool {
        let Some(first) = self.sending.front() else { return false };
        let waits = now.since(self.waits_since);
        let passed_by = line.sent_bytes.saturating_sub(self.line_sent_bytes);
        let turn = u64::from(first.len.max(BLOCK_SIZE)) * line.waiting;
        let passed_over = passed_by >= PASSED_OVER_TURNS * turn;
        waits >= after && passed_over
            || waits >= clogged_after && now.since(line.last_sent_at) >= clogged_after
    }

    /// It has taken a block, or waits for its first one from now on.
    fn waits_from(&mut self, now: Instant, line_sent_bytes: u64) {
        self.waits_since = now;
        self.line_sent_bytes = line_sent_bytes;
    }
}

impl Swarm {
    /// How our line does.
    pub(super) fn line(&self) -> Line {
        Line {
            sent_bytes: self.totals.uploaded_bytes,
            last_sent_at: self.last_sent_at,
            waiting: self.peers.values().filter(|p| !p.sending.is_empty()).count() as u64,
            received_bytes: self.totals.downloaded_bytes,
            last_received_at: self.last_received_at,
            owing: self.peers.values().filter(|p| !p.orders.is_empty()).count() as u64,
        }
    }

    pub(super) fn interest(
        &mut self,
        now: Instant,
        conn: ConnId,
        interested: bool,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if peer.interested_in_us == interested {
            return self.overlook(now, conn, "repeated interest");
        }
        peer.interested_in_us = interested;
        // Each may choke one and unchoke another: honest ones change their mind a few times a minute.
        self.overlook(now, conn, "changes of interest")?;
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let was_unchoked = !peer.choked;
        self.tell_demand(false);
        if interested {
            self.fill_free_slots(now);
        } else if was_unchoked {
            self.choke(now, conn);
            self.fill_free_slots(now);
        }
        Ok(())
    }

    /// What is given to strangers.
    pub(super) fn trust(&self) -> Trust {
        let size = |m: &Arc<Metainfo>| Trust::of(m.total_size(), m.piece_length().into());
        self.metainfo.as_ref().map_or(Trust::of(0, 0), size)
    }

    /// Whether it has had what is given on trust, and gives nothing now: then it is a stranger's slot
    /// that it has, and not one that it has earned.
    fn is_beyond_trust(&self, now: Instant, peer: &Peer) -> bool {
        self.missing > 0 && peer.is_indebted(now, self.trust()) && peer.choke_rates(now).0 == 0
    }

    /// After each block: who has had what is given on trust makes room at once, and not only when the
    /// next round comes.
    fn end_of_trust(&mut self, now: Instant, conn: ConnId) {
        let ends = |p: &Peer| !p.choked && self.is_beyond_trust(now, p);
        if self.peers.get(&conn).is_some_and(ends) {
            self.choke(now, conn);
            self.fill_free_slots(now);
        }
    }

    pub(super) fn choke_round(&mut self, now: Instant) {
        self.tell_demand(true);
        self.choose_unchoked(now);
    }

    /// Lets the policy choose whom to upload to, and chokes the others.
    pub(super) fn choose_unchoked(&mut self, now: Instant) {
        if self.phase != Phase::Active {
            return;
        }
        let seeding = self.is_complete();
        self.forget_spread(now);
        for peer in self.peers.values_mut().filter(|_| !seeding) {
            peer.spread.could_give |= peer.interesting;
        }
        let candidates = self.choke_candidates(now, seeding);
        let slots = self.slots();
        let (config, seed) = (&self.config, &self.seed);
        let choker = match seeding {
            true => self.seeder.get_or_insert_with(|| config.seeding.build(seed.fork("seeder", 0))),
            false => self.choker.get_or_insert_with(|| config.choker.build(seed.fork("choker", 0))),
        };
        let unchoked = choker.round(&candidates, slots);
        self.shares = unchoked.values().any(|weight| *weight != Weight::EQUAL);
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            match unchoked.get(&conn) {
                Some(weight) => {
                    if let Some(peer) = self.peers.get_mut(&conn) {
                        peer.weight = *weight;
                    }
                    self.guests.is_no_guest(conn);
                    self.unchoke(now, conn);
                }
                None if slots > 0 && self.guests.is_guest(conn) => {}
                None => self.choke(now, conn),
            }
        }
        self.see_to_guests(now);
    }

    /// What the choker is to know of everyone that wants something.
    fn choke_candidates(&self, now: Instant, seeding: bool) -> Vec<ChokeCandidate> {
        let rare = if seeding { self.rare_pieces() } else { Vec::new() };
        let trust = self.trust();
        let candidate = |(conn, p): (&ConnId, &Peer)| {
            let (gives, takes) = p.choke_rates(now);
            let (gave, took) = p.balance();
            ChokeCandidate {
                gives,
                takes,
                gave,
                took,
                indebted: !seeding && p.is_indebted(now, trust),
                snubs_us: p.snubs_us,
                unchoked: !p.choked,
                is_new: now.since(p.connected_at) < NEW_FOR,
                lacks_rare: rare.iter().filter(|piece| !p.has(**piece)).count() as u32,
                standing: match seeding {
                    true => self.standing(p),
                    false => Standing::Unknown,
                },
                ..ChokeCandidate::new(*conn)
            }
        };
        let contenders = self.contenders(now);
        let peers = contenders.iter().filter_map(|conn| self.peers.get_key_value(conn));
        peers.map(candidate).collect()
    }

    /// A peer leaves: what it gave and took is remembered by its address, so that nobody gets rid of
    /// its debts by calling again.
    pub(super) fn remember_balance(&mut self, peer: &Peer) {
        let (gave, took) = peer.balance();
        // Once everything is here, only gifts count, and what became of ours.
        let is_known =
            peer.spread.was_given > 0 || peer.spread.in_debt || peer.spread.contradicts_itself;
        if gave == 0 && !is_known && (took == 0 || self.is_complete()) {
            return;
        }
        if self.ledger.len() >= LEDGER_MAX {
            let least = self.ledger.iter().min_by_key(|(_, (gave, took, _))| gave.abs_diff(*took));
            if let Some(least) = least.map(|(ip, _)| *ip) {
                self.ledger.remove(&least);
            }
        }
        self.ledger.insert(peer.addr.ip().to_canonical(), (gave, took, peer.spread));
    }

    /// Once everything wanted is here, those that only give are of no more use. They are let go of
    /// when they have had time to hear of our last piece: a peer that does not know that we have
    /// everything will call again. Others are called in their place.
    pub(super) fn part_from_seeds(&mut self, now: Instant) {
        if !self.is_complete() {
            return;
        }
        let heard = |p: &Peer| now.since(p.last_said_at) >= LAST_WORDS;
        let seeds: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.is_of_no_use() && heard(p))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in seeds {
            self.drop_peer(now, conn, DisconnectReason::NothingToExchange);
        }
        self.connect_more(now);
    }

    pub(super) fn unchoke(&mut self, now: Instant, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(&conn).filter(|p| p.choked) {
            peer.choked = false;
            peer.had_slot = true;
            peer.last_sent_block_at = now;
            self.send(now, conn, Message::Unchoke);
            self.suggest_more(now, conn);
        }
    }

    /// Chokes a peer: what it asked for and has not been handed to the driver is refused.
    pub(super) fn choke(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn).filter(|p| !p.choked) else { return };
        peer.choked = true;
        self.guests.is_no_guest(conn);
        let waiting = std::mem::take(&mut peer.wanted_by_it);
        let (kept, refused): (VecDeque<BlockRef>, VecDeque<BlockRef>) =
            waiting.into_iter().partition(|block| peer.may_have(block.piece));
        peer.wanted_by_it = kept;
        let fast = peer.fast;
        self.suggestions_lapse(conn);
        self.send(now, conn, Message::Choke);
        if fast {
            for block in refused {
                self.send(now, conn, Message::Reject(block));
            }
        }
    }

    /// Names a few pieces that a newcomer may have while choked, so that it soon has something to
    /// trade (BEP 6).
    pub(super) fn offer_allowed_fast(&mut self, now: Instant, conn: ConnId) {
        let Some(metainfo) = self.metainfo.as_ref().filter(|_| self.phase == Phase::Active) else {
            return;
        };
        let may_know = |p: &&Peer| p.fast && p.mask.is_none();
        let Some(peer) = self.peers.get(&conn).filter(may_know) else { return };
        let IpAddr::V4(ip) = peer.addr.ip().to_canonical() else { return };
        let info_hash = self.info_hashes.primary();
        let set = allowed_fast_set(ip, info_hash, metainfo.piece_count(), ALLOWED_FAST_SET);
        let offered: Vec<PieceIndex> = set.into_iter().filter(|p| self.have.get(*p)).collect();
        for piece in offered {
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.may_have_fast.insert(piece);
            }
            self.send(now, conn, Message::AllowedFast(piece));
        }
    }

    pub(super) fn requested(
        &mut self,
        now: Instant,
        conn: ConnId,
        block: BlockRef,
    ) -> Result<(), Broken> {
        let exists = self.phase == Phase::Active
            && self.have.get(block.piece)
            && (1..=REQUEST_LEN_MAX).contains(&block.len)
            && self.metainfo.as_ref().is_some_and(|m| m.layout().contains(block));
        let is_complete = self.is_complete();
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        peer.spoken = true;
        // What it said to have it would not ask a seed for.
        peer.spread.contradicts_itself |= is_complete && peer.has(block.piece);
        let exists = exists && peer.mask.as_ref().is_none_or(|m| m.shown.get(block.piece));
        if exists && peer.may_have(block.piece) && peer.wanted_by_it.len() < UPLOAD_QUEUE_MAX {
            if peer.wanted_by_it.is_empty() && peer.sending.is_empty() {
                // It was not waiting: it has no claim to what others were sent meanwhile.
                peer.served = peer.served.max(self.served);
            }
            peer.wanted_by_it.push_back(block);
            self.send_on(now, conn);
            if block.begin == 0 {
                self.piece_begun(now, conn, block.piece);
            }
            return Ok(());
        }
        if peer.fast {
            self.send(now, conn, Message::Reject(block));
        }
        self.overlook(now, conn, "requests that cannot be met")
    }

    pub(super) fn cancelled(
        &mut self,
        now: Instant,
        conn: ConnId,
        block: BlockRef,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        match peer.wanted_by_it.iter().position(|wanted| *wanted == block) {
            Some(at) => {
                peer.wanted_by_it.remove(at);
                // Each request is answered once (BEP 6).
                if peer.fast {
                    self.send(now, conn, Message::Reject(block));
                }
                Ok(())
            }
            None => self.overlook(now, conn, "cancels that come too late"),
        }
    }

    /// Hands requests to the driver: this peer's, or those whose turn it is if what is sent is shared
    /// out.
    fn send_on(&mut self, now: Instant, conn: ConnId) {
        if self.shares {
            self.send_by_shares(now);
        } else {
            let asks = |p: &Peer| !p.wanted_by_it.is_empty();
            let ahead = self.peers.get(&conn).filter(|p| asks(p)).map(|p| self.send_ahead(now, p));
            while let Some(ahead) = ahead
                && self.send_next(now, conn, ahead)
            {}
        }
    }

    /// Hands the next request of a peer to the driver, if fewer than `ahead` bytes are there.
    fn send_next(&mut self, now: Instant, conn: ConnId, ahead: u32) -> bool {
        // What the driver has cannot be called back: no more than what is given on trust is handed over.
        let Some(peer) = self.peers.get(&conn) else { return false };
        let Some(block) = peer.wanted_by_it.front().copied() else { return false };
        let is_enough = peer.sending_bytes + counted(block) > ahead;
        if !peer.sending.is_empty() && (is_enough || self.is_beyond_trust(now, peer)) {
            return false;
        }
        if self.guest_has_all(now, conn) {
            return false;
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return false };
        peer.wanted_by_it.pop_front();
        if peer.sending.is_empty() {
            peer.last_sent_block_at = now;
            peer.waits_from(now, self.totals.uploaded_bytes);
        }
        peer.sending.push_back(block);
        peer.sending_bytes += counted(block);
        self.outputs.push_back(Output::SendBlock { conn, block });
        true
    }

    /// Shares out what is sent by weight: a second's worth is under way, and the next block goes to
    /// the peer that has had least for its weight (self-clocked fair queueing, a finer form of
    /// deficit round robin). So the shares hold whether it is our link that is narrow or a limit in
    /// the driver; a peer whose own link is narrow leaves the rest of its share to the others.
    fn send_by_shares(&mut self, now: Instant) {
        let sending = self.peers.values().map(|p| u64::from(p.sending_bytes));
        let mut under_way: u64 = sending.sum();
        let rate: u64 = self.peers.values().map(|p| p.upload.rate(now, 2)).sum();
        let ahead = (rate + rate / 4).clamp(SHARED_AHEAD_MIN, SHARED_AHEAD_MAX);
        let active = |p: &&Peer| !p.wanted_by_it.is_empty() || !p.sending.is_empty();
        let weights: u64 =
            self.peers.values().filter(active).map(|p| u64::from(p.weight.get())).sum();
        // One that does not keep up holds twice its share at most.
        let own = |p: &Peer| {
            let share = 2 * ahead * u64::from(p.weight.get()) / weights.max(1);
            u32::try_from(share).unwrap_or(u32::MAX).clamp(REQUEST_LEN_MAX, SEND_AHEAD_MAX)
        };
        while under_way < ahead {
            let ready = |p: &Peer| {
                p.wanted_by_it
                    .front()
                    .is_some_and(|block| p.sending_bytes + counted(*block) <= own(p))
            };
            let next = self
                .peers
                .iter()
                .filter(|(conn, p)| ready(p) && !self.guest_has_all(now, **conn))
                .min_by_key(|(conn, p)| (p.served, **conn))
                .map(|(conn, p)| (*conn, own(p)));
            let Some((conn, own)) = next else { return };
            let Some(peer) = self.peers.get_mut(&conn) else { return };
            let len = peer.wanted_by_it.front().map_or(0, |block| block.len);
            self.served = self.served.max(peer.served);
            peer.served += (u64::from(len) << SHARE_SHIFT) / u64::from(peer.weight.get());
            under_way += u64::from(len);
            if !self.send_next(now, conn, own) {
                return;
            }
        }
    }

    pub(super) fn block_sent(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let Some(at) = peer.sending.iter().position(|sending| *sending == block) else {
            debug_assert!(false, "the driver sent {block:?}, which it was not asked to");
            return;
        };
        peer.sending.remove(at);
        peer.sending_bytes -= counted(block);
        peer.upload.add(now, block.len);
        peer.last_said_at = now;
        peer.last_sent_block_at = now;
        peer.slot_wasted_at = None;
        self.totals.uploaded_bytes += u64::from(block.len);
        peer.waits_from(now, self.totals.uploaded_bytes);
        self.last_sent_at = now;
        self.watch_spread(now, conn, block);
        self.shown_block_sent(now, conn, block);
        self.end_of_trust(now, conn);
        if self.guests.is_guest(conn) {
            self.see_to_guests(now);
        }
        self.send_on(now, conn);
    }
}
