//! The guest's slot of a seed: a short turn for whoever has just come.
//!
//! Slots are earned, or go round by turns of half a minute and more: in a crowd a newcomer waits for its first
//! block for as long as that, and somebody who wants to watch a film waits with it. So a seed has one
//! slot besides the others. Who came last has it at once, for a second of film; then it is the next
//! one's turn. Who fetches has no guests: what is given there is given for something.
//!
//! A slot that costs nothing is worth little, or everybody would live on it: it is a
//! ninth of our line at most, one visit a connection, none for an address that took something before,
//! nor for networks that let slots go to waste; and if others wait, none from the
//! network that the last guest was from. Nor is there one while many come at once: where all are new
//! short turns would do nobody any good, and take from the long ones.

use super::io::ConnId;
use super::limits::{
    GUEST_BYTES_LEAST, GUEST_BYTES_MAX, GUEST_NEW_FOR, GUEST_OF_PEERS, GUEST_PATIENCE,
};
use super::peer::Peer;
use super::room::Network;
use super::{Phase, Swarm};
use althing_base::Instant;

/// Who has the guest's slot, and who had it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guests {
    /// Who is there, and what it had been handed before it came in, in bytes.
    guest: Option<(ConnId, u64)>,
    /// Where the last one was from.
    network: Option<Network>,
    /// When somebody came last, whoever.
    came_at: Option<Instant>,
}

impl Guests {
    pub(super) fn is_guest(&self, conn: ConnId) -> bool {
        self.guest.is_some_and(|(guest, _)| guest == conn)
    }

    /// A peer has come.
    pub(super) fn came(&mut self, now: Instant) {
        self.came_at = Some(now);
    }

    /// It has left, or has a slot like others now.
    pub(super) fn is_no_guest(&mut self, conn: ConnId) {
        if self.is_guest(conn) {
            self.guest = None;
        }
    }

    /// Whoever is there, if anybody, has a slot like others now.
    pub(super) fn moves_in(&mut self) -> bool {
        self.guest.take().is_some()
    }
}

/// What a peer has been handed, in bytes.
fn handed(peer: &Peer) -> u64 {
    peer.upload.total_bytes() + u64::from(peer.sending_bytes)
}

impl Swarm {
    /// Peers that have a slot, the guest left out.
    pub(super) fn slots_taken(&self) -> usize {
        let owns = |(conn, p): &(&ConnId, &Peer)| !p.choked && !self.guests.is_guest(**conn);
        self.peers.iter().filter(owns).count()
    }

    /// Who is to come in next: who came last, of those who have never had anything.
    fn next_guest(&self, now: Instant) -> Option<ConnId> {
        // Mostly nobody has just come.
        let came = self.guests.came_at.is_some_and(|at| now.since(at) < GUEST_NEW_FOR);
        if !came || !self.is_complete() {
            return None;
        }
        let just_came = |p: &Peer| now.since(p.connected_at) < GUEST_NEW_FOR;
        let (mut wanting, mut new) = (0, 0);
        for peer in self.peers.values().filter(|p| p.interested_in_us) {
            wanting += 1;
            new += usize::from(just_came(peer));
        }
        if new * GUEST_OF_PEERS > wanting {
            return None;
        }
        let may_come = |p: &Peer| {
            let (_, took_before) = p.past;
            p.choked
                && p.interested_in_us
                && p.mask.is_none()
                && just_came(p)
                && !p.had_slot
                && took_before == 0
                && !self.conduct.wastes_slots(now, Network::of(p.addr.ip()))
        };
        let was_here = |p: &Peer| Some(Network::of(p.addr.ip())) == self.guests.network;
        let newcomers = self.peers.iter().filter(|(_, p)| may_come(p));
        newcomers.max_by_key(|(conn, p)| (!was_here(p), **conn)).map(|(conn, _)| *conn)
    }

    /// Whether the guest has been handed all that it gets: less if one waits who came later.
    pub(super) fn guest_has_all(&self, now: Instant, conn: ConnId) -> bool {
        let visit = self.guests.guest.filter(|(guest, _)| *guest == conn);
        let Some(((_, before), peer)) = visit.zip(self.peers.get(&conn)) else { return false };
        let got = handed(peer).saturating_sub(before);
        got >= GUEST_BYTES_MAX
            || got >= GUEST_BYTES_LEAST && self.next_guest(now).is_some_and(|next| next > conn)
            || !self.is_complete()
    }

    /// Lets the next guest in, if the last one is through.
    pub(super) fn see_to_guests(&mut self, now: Instant) {
        if self.slots() == 0 || !self.is_running() || self.phase != Phase::Active {
            return;
        }
        if let Some((conn, _)) = self.guests.guest {
            let dawdles = |p: &Peer| now.since(p.last_sent_block_at) >= GUEST_PATIENCE;
            let has_all = |p: &Peer| p.sending.is_empty() && self.guest_has_all(now, conn);
            if self.peers.get(&conn).is_some_and(|p| !dawdles(p) && !has_all(p)) {
                self.watch(now, GUEST_PATIENCE);
                return;
            }
            self.choke(now, conn);
        }
        let next = self.next_guest(now);
        let Some((conn, peer)) = next.and_then(|conn| Some((conn, self.peers.get(&conn)?))) else {
            return;
        };
        self.guests.guest = Some((conn, handed(peer)));
        self.guests.network = Some(Network::of(peer.addr.ip()));
        self.unchoke(now, conn);
        self.watch(now, GUEST_PATIENCE);
    }
}
