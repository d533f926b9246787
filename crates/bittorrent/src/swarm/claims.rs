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
use std::collections::{BTreeMap, BinaryHeap};

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

/// Those that wait for slots. Who gets one makes all others of its network stand behind, so that each
/// network has a line of its own, and the first ones of all lines are compared.
struct Waiting {
    slots: BTreeMap<Network, usize>,
    lines: BTreeMap<Network, BinaryHeap<Reverse<Place>>>,
    /// The first of each line, as it stood when it became that or when its network's slots changed.
    firsts: BinaryHeap<Reverse<(Place, Network)>>,
}

impl Waiting {
    fn new(slots: BTreeMap<Network, usize>, line: Vec<(Place, Network)>) -> Self {
        let mut lines: BTreeMap<Network, Vec<Reverse<Place>>> = BTreeMap::new();
        for (place, network) in line {
            lines.entry(network).or_default().push(Reverse(place));
        }
        let lines = lines.into_iter().map(|(network, line)| (network, line.into()));
        let mut waiting = Waiting { slots, lines: lines.collect(), firsts: BinaryHeap::new() };
        let networks: Vec<Network> = waiting.lines.keys().copied().collect();
        networks.into_iter().for_each(|network| waiting.put_forward(network));
        waiting
    }

    fn slots(&self, network: Network) -> usize {
        self.slots.get(&network).copied().unwrap_or(0)
    }

    /// Has the first of a network's line compared with the others' as it stands now.
    fn put_forward(&mut self, network: Network) {
        let of_network = self.slots(network);
        let first = self.lines.get(&network).and_then(|line| line.peek());
        if let Some(Reverse((claim, choked, merit, _, had, conn))) = first.copied() {
            self.firsts.push(Reverse(((claim, choked, merit, of_network, had, conn), network)));
        }
    }

    /// Takes out the one that is to have the next slot, which counts as its network's from now on.
    fn next(&mut self) -> Option<ConnId> {
        while let Some(Reverse(((.., of_network, _, conn), network))) = self.firsts.pop() {
            if of_network != self.slots(network) {
                continue;
            }
            let Some(line) = self.lines.get_mut(&network) else { continue };
            if line.peek().is_none_or(|Reverse((.., first))| *first != conn) {
                continue;
            }
            line.pop();
            *self.slots.entry(network).or_default() += 1;
            self.put_forward(network);
            return Some(conn);
        }
        None
    }

    /// One of the network has lost its slot.
    fn gave_up_slot(&mut self, network: Network) {
        if let Some(slots) = self.slots.get_mut(&network) {
            *slots = slots.saturating_sub(1);
        }
        self.put_forward(network);
    }
}

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
    pub(super) fn send_ahead(&self, now: Instant, peer: &Peer) -> u32 {
        if self.is_doubtful(now, peer) { SEND_AHEAD_DOUBTFUL } else { SEND_AHEAD_MAX }
    }

    /// What a peer's claim is.
    fn claim(&self, now: Instant, peer: &Peer, patience: Duration) -> Claim {
        let recently = |at: Instant| now.since(at) < WASTE_REMEMBERED_FOR;
        // The few pieces that anybody may have while choked, sockets take unread.
        let takes = || !peer.choked && peer.upload.rate(now, SLOT_IDLE_AFTER.as_secs()) > 0;
        if peer.gives(now) {
            Claim::Full
        } else if self.wastes_slot(now, peer, patience) || peer.slot_wasted_at.is_some_and(recently)
        {
            Claim::Wasted
        } else if self.conduct.wastes_slots(now, Network::of(peer.addr.ip())) && !takes() {
            Claim::Doubtful
        } else {
            Claim::Full
        }
    }

    /// How many slots each network has.
    fn slots_of_networks(&self) -> BTreeMap<Network, usize> {
        let mut slots: BTreeMap<Network, usize> = BTreeMap::new();
        for peer in self.peers.values().filter(|p| !p.choked) {
            *slots.entry(Network::of(peer.addr.ip())).or_default() += 1;
        }
        slots
    }

    /// Where those of the peers stand in the line for slots for which `is_in` holds, in no order.
    fn places_in_line(
        &self,
        now: Instant,
        slots: &BTreeMap<Network, usize>,
        is_in: impl Fn(&Peer) -> bool,
    ) -> Vec<(Place, Network)> {
        let patience = self.slot_patience(now);
        let seeding = self.is_complete();
        let merit = |p: &Peer| -> Merit {
            match (seeding, self.config.seeding) {
                (true, SeedingKind::Rare) => (Reverse(0), self.standing(p)),
                (true, _) => (Reverse(0), Standing::Unknown),
                (false, _) => (Reverse(p.choke_rates(now).0), Standing::Unknown),
            }
        };
        let place = |(conn, p): (&ConnId, &Peer)| {
            let network = Network::of(p.addr.ip());
            let of_network = slots.get(&network).copied().unwrap_or(0);
            let had = if p.had_slot { p.last_sent_block_at } else { Instant::ORIGIN };
            let claim = self.claim(now, p, patience);
            ((claim, p.choked, merit(p), of_network, had, *conn), network)
        };
        self.peers.iter().filter(|(_, p)| is_in(p)).map(place).collect()
    }

    /// Of those that want something the ones whom the choker is to choose among, by their numbers: who
    /// wastes slots has only those that nobody else can use.
    pub(super) fn contenders(&self, now: Instant) -> Vec<ConnId> {
        let slots = self.slots_of_networks();
        let mut line = self.places_in_line(now, &slots, |p| p.interested_in_us);
        let nobody_before = line.iter().filter(|((claim, ..), _)| *claim == Claim::Full).count();
        let count = nobody_before.max(self.slots());
        if count < line.len() {
            line.select_nth_unstable(count);
            line.truncate(count);
        }
        let mut conns: Vec<ConnId> = line.into_iter().map(|((.., conn), _)| conn).collect();
        conns.sort_unstable();
        conns
    }

    /// Those that wait for a slot and for whom `may` holds.
    fn waiting_for_slots(&self, now: Instant, may: impl Fn(&Peer) -> bool) -> Waiting {
        let trust = self.trust();
        let seeding = self.is_complete();
        let waits = |p: &Peer| {
            p.choked && p.interested_in_us && may(p) && (seeding || !p.is_indebted(now, trust))
        };
        let slots = self.slots_of_networks();
        let line = self.places_in_line(now, &slots, waits);
        Waiting::new(slots, line)
    }

    /// A free slot is of no use to anyone until the next round: give it away at once. So is one that
    /// its owner does not use.
    pub(super) fn fill_free_slots(&mut self, now: Instant) {
        if !self.is_running() || self.phase != Phase::Active {
            return;
        }
        let mut free = self.slots().saturating_sub(self.slots_taken());
        if free > 0 && self.guests.moves_in() {
            free -= 1;
        }
        if free > 0 {
            let mut waiting = self.waiting_for_slots(now, |_| true);
            for _ in 0..free {
                let Some(first) = waiting.next() else { return };
                self.unchoke(now, first);
            }
        }
        self.reclaim_slots(now);
        self.see_to_guests(now);
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
            .filter(|(conn, p)| !p.choked && !self.guests.is_guest(**conn) && !p.gives(now))
            .filter(|(_, p)| self.wastes_slot(now, p, patience))
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
        if !wasters.is_empty() {
            let mut waiting = self.waiting_for_slots(now, is_new);
            for conn in wasters {
                let Some(next) = waiting.next() else { return };
                if let Some(peer) = self.peers.get(&conn) {
                    waiting.gave_up_slot(Network::of(peer.addr.ip()));
                }
                self.choke(now, conn);
                self.unchoke(now, next);
            }
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
