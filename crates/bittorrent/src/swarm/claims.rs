//! Who has a claim to an upload slot: a slot that its owner does not use goes to somebody who waits.
//!
//! A slot costs a stranger nothing either: it asks for blocks and does not read them, or asks for none.
//! So who has taken nothing for some seconds loses its slot as soon as another waits, and stands
//! behind everybody else for a while, by address as long as it is connected and by network after that
//! ([`conduct`](super::conduct)); who takes what it asked for, or gives something itself, has nothing to
//! fear. Among equals the network that has fewest slots comes first, so that a newcomer's first slot
//! comes soon, however many of one network wait.

use super::io::ConnId;
use super::limits::{
    READER_BYTES, SEND_AHEAD_DOUBTFUL, SEND_AHEAD_MAX, SLOT_IDLE_AFTER, SLOT_LOST_AFTER,
    SLOT_LOST_AFTER_MAX, WASTE_REMEMBERED_FOR,
};
use super::peer::Peer;
use super::room::Network;
use super::{Phase, SeedingKind, Standing, Swarm};
use crate::types::BLOCK_SIZE;
use althing_base::Instant;
use althing_base::time::Duration;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A peer's claim to a slot; the first is the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Claim {
    /// As good as anybody's.
    Full,
    /// Others of its network let slots go to waste.
    Doubtful,
    /// It let one go to waste itself.
    Wasted,
}

/// A place in the line for slots: the lowest is first. Who has a slot stands before who has none, and
/// who has had one behind who has not.
type Place = (Claim, bool, Merit, usize, Instant, ConnId);

/// What a peer deserves: while we fetch, who gives most comes first; once we have everything, who passes
/// on what it gets, if the policy looks at that.
type Merit = (Reverse<u64>, Standing);

impl Peer {
    /// Whether it has a slot and lets it go to waste: it takes none of what it asked for, or has never
    /// asked for anything; later, if it has taken more than sockets hold, or asks for no more. One that
    /// a super-seed shows its pieces has to wait for those.
    fn wastes_slot(&self, now: Instant, patience: Duration) -> bool {
        let idle = now.since(self.last_sent_block_at);
        let took = self.upload.total_bytes();
        let is_reader = took >= READER_BYTES || took > 0 && self.sending.is_empty();
        let patience = if is_reader { SLOT_IDLE_AFTER } else { patience };
        !self.choked && self.mask.is_none() && idle >= patience
    }

    /// Whether blocks have come from it of late.
    fn gives(&self, now: Instant) -> bool {
        self.download.total_bytes() > 0 && now.since(self.last_block_at) < SLOT_IDLE_AFTER
    }
}

impl Swarm {
    /// How long the owner of a slot may take nothing: longer if our own line is so narrow, or so
    /// limited, that slots have to wait for each other.
    fn slot_patience(&self, now: Instant) -> Duration {
        let owners = || self.peers.values().filter(|p| !p.choked);
        let rate: u64 = owners().map(|p| p.upload.rate(now, SLOT_IDLE_AFTER.as_secs())).sum();
        let turn = 2 * u64::from(BLOCK_SIZE) * owners().count() as u64;
        let patience = Duration::from_secs(turn.checked_div(rate).unwrap_or(0));
        patience.clamp(SLOT_LOST_AFTER, SLOT_LOST_AFTER_MAX)
    }

    /// Whether it has still to be seen that a peer reads, and others of its network did not.
    fn is_doubtful(&self, now: Instant, peer: &Peer) -> bool {
        peer.upload.total_bytes() < READER_BYTES
            && self.conduct.wastes_slots(now, Network::of(peer.addr.ip()))
    }

    /// The patience there is for one peer.
    fn patience_for(&self, now: Instant, peer: &Peer, patience: Duration) -> Duration {
        if self.is_doubtful(now, peer) { patience / 4 } else { patience }
    }

    /// [`Peer::wastes_slot`], with less patience for those of whose network others did.
    fn wastes_slot(&self, now: Instant, peer: &Peer, patience: Duration) -> bool {
        peer.wastes_slot(now, self.patience_for(now, peer, patience))
    }

    /// Bytes that may be handed to the driver for one peer and not be taken yet.
    pub(super) fn send_ahead(&self, now: Instant, conn: ConnId) -> u32 {
        let doubtful = self.peers.get(&conn).is_some_and(|p| self.is_doubtful(now, p));
        if doubtful { SEND_AHEAD_DOUBTFUL } else { SEND_AHEAD_MAX }
    }

    /// What a peer's claim is.
    fn claim(&self, now: Instant, peer: &Peer, patience: Duration) -> Claim {
        let recently = |at: Instant| now.since(at) < WASTE_REMEMBERED_FOR;
        let takes = || peer.upload.rate(now, SLOT_IDLE_AFTER.as_secs()) > 0;
        if peer.gives(now) {
            Claim::Full
        } else if self.wastes_slot(now, peer, patience) || peer.slot_wasted_at.is_some_and(recently)
        {
            Claim::Wasted
        } else if !takes() && self.conduct.wastes_slots(now, Network::of(peer.addr.ip())) {
            Claim::Doubtful
        } else {
            Claim::Full
        }
    }

    /// Those of the peers for which `is_in` holds, in the order in which they are to have slots, and
    /// how many of them nobody stands before.
    pub(super) fn line_for_slots(
        &self,
        now: Instant,
        is_in: impl Fn(&Peer) -> bool,
    ) -> (Vec<ConnId>, usize) {
        let patience = self.slot_patience(now);
        let mut slots: BTreeMap<Network, usize> = BTreeMap::new();
        for peer in self.peers.values().filter(|p| !p.choked) {
            *slots.entry(Network::of(peer.addr.ip())).or_default() += 1;
        }
        let seeding = self.is_complete();
        let merit = |p: &Peer| -> Merit {
            match (seeding, self.config.seeding) {
                (true, SeedingKind::Rare) => (Reverse(0), self.standing(p)),
                (true, _) => (Reverse(0), Standing::Unknown),
                (false, _) => (Reverse(p.choke_rates(now).0), Standing::Unknown),
            }
        };
        let place = |(conn, p): (&ConnId, &Peer)| -> Place {
            let of_network = slots.get(&Network::of(p.addr.ip())).copied().unwrap_or(0);
            let had = if p.had_slot { p.last_sent_block_at } else { Instant::ORIGIN };
            (self.claim(now, p, patience), p.choked, merit(p), of_network, had, *conn)
        };
        let mut line: Vec<Place> = self.peers.iter().filter(|(_, p)| is_in(p)).map(place).collect();
        line.sort_unstable();
        let before = line.iter().take_while(|(claim, ..)| *claim == Claim::Full).count();
        (line.into_iter().map(|(.., conn)| conn).collect(), before)
    }

    /// Those that wait for a slot, in order.
    fn waiting_for_slots(&self, now: Instant) -> Vec<ConnId> {
        let trust = self.trust();
        let seeding = self.is_complete();
        let waits =
            |p: &Peer| p.choked && p.interested_in_us && (seeding || !p.is_indebted(now, trust));
        self.line_for_slots(now, waits).0
    }

    /// A free slot is of no use to anyone until the next round: give it away at once. So is one that
    /// its owner does not use.
    pub(super) fn fill_free_slots(&mut self, now: Instant) {
        if !self.is_running() || self.phase != Phase::Active {
            return;
        }
        let taken = self.peers.values().filter(|p| !p.choked).count();
        let free = self.slots().saturating_sub(taken);
        for _ in 0..free {
            let Some(first) = self.waiting_for_slots(now).first().copied() else { return };
            self.unchoke(now, first);
        }
        self.reclaim_slots(now);
    }

    /// Takes slots from those who let them go to waste, as long as others wait who did not, and sees to
    /// it that this is looked at again.
    pub(super) fn reclaim_slots(&mut self, now: Instant) {
        let is_waiting = |p: &Peer| p.choked && p.interested_in_us;
        let active = self.is_running() && self.phase == Phase::Active;
        if !active || !self.peers.values().any(is_waiting) {
            return;
        }
        let patience = self.slot_patience(now);
        let wasters: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|(_, p)| !p.gives(now) && self.wastes_slot(now, p, patience))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in &wasters {
            let Some(peer) = self.peers.get_mut(conn) else { continue };
            peer.slot_wasted_at = Some(now);
            if !peer.sending.is_empty() || peer.upload.total_bytes() == 0 {
                self.conduct.wasted_slot(now, Network::of(peer.addr.ip()));
            }
        }
        let is_new =
            |p: &Peer| p.slot_wasted_at.is_none_or(|at| now.since(at) >= WASTE_REMEMBERED_FOR);
        for conn in wasters {
            let mut line = self.waiting_for_slots(now).into_iter();
            let next = line.find(|conn| self.peers.get(conn).is_some_and(is_new));
            let Some(next) = next else { return };
            self.choke(now, conn);
            self.unchoke(now, next);
        }
        let owners = self.peers.values().filter(|p| !p.choked && p.mask.is_none());
        let next = owners
            .map(|p| (p.last_sent_block_at + self.patience_for(now, p, patience)).since(now))
            .min();
        if let Some(wait) = next {
            self.watch(now, wait.max(Duration::from_secs(1)));
        }
    }
}
