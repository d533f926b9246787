//! Giving: requests, choking, and the slots that are given away.

use super::io::{ConnId, DisconnectReason, Output};
use super::limits::{ALLOWED_FAST_SET, REQUEST_LEN_MAX, SEND_AHEAD_MAX, UPLOAD_QUEUE_MAX};
use super::peer::Peer;
use super::{ChokeCandidate, Phase, Swarm};
use crate::types::{BlockRef, PieceIndex};
use crate::wire::{Message, allowed_fast_set};
use althing_base::Instant;
use althing_base::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

type Broken = DisconnectReason;

/// A connection younger than this counts as new to the choker (BEP 3: three rounds).
const NEW_FOR: Duration = Duration::from_secs(30);

/// What was said so long ago has left for the peer.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Swarm {
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
        let was_unchoked = !peer.choked;
        if interested {
            self.fill_free_slots(now);
        } else if was_unchoked {
            self.choke(now, conn);
            self.fill_free_slots(now);
        }
        Ok(())
    }

    /// A free slot is of no use to anyone until the next round: give it away at once.
    pub(super) fn fill_free_slots(&mut self, now: Instant) {
        if !self.is_running() || self.phase != Phase::Active {
            return;
        }
        let taken = self.peers.values().filter(|p| !p.choked).count();
        let free = self.config.unchoke_slots.saturating_sub(taken);
        if free == 0 {
            return;
        }
        let waiting: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.choked && p.interested_in_us)
            .map(|(conn, _)| *conn)
            .take(free)
            .collect();
        for conn in waiting {
            self.unchoke(now, conn);
        }
    }

    pub(super) fn choke_round(&mut self, now: Instant) {
        if self.phase != Phase::Active {
            return;
        }
        let candidates: Vec<ChokeCandidate> = self
            .peers
            .iter()
            .filter(|(_, p)| p.interested_in_us)
            .map(|(conn, p)| {
                let (gives, takes) = p.choke_rates(now);
                ChokeCandidate {
                    conn: *conn,
                    gives,
                    takes,
                    snubs_us: p.snubs_us,
                    unchoked: !p.choked,
                    is_new: now.since(p.connected_at) < NEW_FOR,
                }
            })
            .collect();
        let seeding = self.is_complete();
        let unchoked = self.choker.round(&candidates, self.config.unchoke_slots, seeding);
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            if unchoked.contains(&conn) {
                self.unchoke(now, conn);
            } else {
                self.choke(now, conn);
            }
        }
    }

    /// Once everything wanted is here, those that only give are of no more use. They are let go of
    /// when they have had time to hear of our last piece: a peer that does not know that we have
    /// everything will call again.
    pub(super) fn part_from_seeds(&mut self, now: Instant) {
        if !self.is_complete() {
            return;
        }
        let heard = |p: &Peer| now.since(p.last_said_at) >= LAST_WORDS;
        let seeds: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.only_gives() && heard(p))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in seeds {
            self.drop_peer(now, conn, DisconnectReason::NothingToExchange);
        }
    }

    fn unchoke(&mut self, now: Instant, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(&conn).filter(|p| p.choked) {
            peer.choked = false;
            peer.last_sent_block_at = now;
            self.send(now, conn, Message::Unchoke);
        }
    }

    /// Chokes a peer: what it asked for and has not been handed to the driver is refused.
    fn choke(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn).filter(|p| !p.choked) else { return };
        peer.choked = true;
        let waiting = std::mem::take(&mut peer.wanted_by_it);
        let (kept, refused): (VecDeque<BlockRef>, VecDeque<BlockRef>) =
            waiting.into_iter().partition(|block| peer.may_have(block.piece));
        peer.wanted_by_it = kept;
        let fast = peer.fast;
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
        let Some(peer) = self.peers.get(&conn).filter(|p| p.fast) else { return };
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
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        peer.spoken = true;
        if exists && peer.may_have(block.piece) && peer.wanted_by_it.len() < UPLOAD_QUEUE_MAX {
            peer.wanted_by_it.push_back(block);
            self.send_ahead(now, conn);
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

    /// Hands requests to the driver, as far ahead as its socket may lag.
    fn send_ahead(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        while let Some(block) = peer.wanted_by_it.front().copied() {
            if peer.sending_bytes + block.len > SEND_AHEAD_MAX {
                break;
            }
            peer.wanted_by_it.pop_front();
            if peer.sending.is_empty() {
                peer.last_sent_block_at = now;
            }
            peer.sending.push_back(block);
            peer.sending_bytes += block.len;
            self.outputs.push_back(Output::SendBlock { conn, block });
        }
    }

    pub(super) fn block_sent(&mut self, now: Instant, conn: ConnId, block: BlockRef) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let Some(at) = peer.sending.iter().position(|sending| *sending == block) else {
            debug_assert!(false, "the driver sent {block:?}, which it was not asked to");
            return;
        };
        peer.sending.remove(at);
        peer.sending_bytes -= block.len;
        peer.upload.add(now, block.len);
        peer.last_said_at = now;
        peer.last_sent_block_at = now;
        self.totals.uploaded_bytes += u64::from(block.len);
        self.send_ahead(now, conn);
    }
}
