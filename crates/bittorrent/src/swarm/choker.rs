//! Whom to give to: [`Choker`], and tit for tat as BEP 3 has it.

use super::io::ConnId;
use super::limits::OPTIMISTIC_ROUNDS;
use althing_base::{Rng, Seed};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What a choker knows of a peer.
#[derive(Clone, Copy, Debug)]
pub struct ChokeCandidate {
    /// Which peer.
    pub conn: ConnId,
    /// Bytes a second it gave us over the last 20 s.
    pub gives: u64,
    /// Bytes a second it took from us over the last 20 s.
    pub takes: u64,
    /// It owes us blocks and sends none (BEP 3: anti-snubbing).
    pub snubs_us: bool,
    /// It is unchoked now.
    pub unchoked: bool,
    /// It connected within the last half minute: three times as likely to be tried (BEP 3).
    pub is_new: bool,
}

/// Decides every ten seconds which of the interested peers are unchoked.
pub trait Choker: Send {
    /// The connections to unchoke, at most `slots` of the `candidates` (all interested in us);
    /// everyone else is choked. `seeding` says that there is nothing left that they could give.
    fn round(
        &mut self,
        candidates: &[ChokeCandidate],
        slots: usize,
        seeding: bool,
    ) -> BTreeSet<ConnId>;
}

/// Which choker a swarm uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ChokerKind {
    /// Give to those that give most, and to one more by chance (BEP 3).
    #[default]
    TitForTat,
}

impl ChokerKind {
    pub(super) fn build(self, seed: Seed) -> Box<dyn Choker> {
        match self {
            ChokerKind::TitForTat => {
                Box::new(TitForTat { rng: Rng::new(seed), rounds: 0, optimistic: None })
            }
        }
    }
}

/// All slots but one go to the peers with the highest rate: towards us while we fetch, from us
/// while we seed. The last slot is the optimistic one: it goes round by chance every third time,
/// which is how newcomers get their first piece and how better partners are found.
struct TitForTat {
    rng: Rng,
    rounds: u32,
    optimistic: Option<ConnId>,
}

impl Choker for TitForTat {
    fn round(
        &mut self,
        candidates: &[ChokeCandidate],
        slots: usize,
        seeding: bool,
    ) -> BTreeSet<ConnId> {
        let mut ranked: Vec<&ChokeCandidate> = candidates
            .iter()
            .filter(|peer| seeding || (peer.gives > 0 && !peer.snubs_us))
            .collect();
        let rate = |peer: &ChokeCandidate| if seeding { peer.takes } else { peer.gives };
        // Ties keep whoever is unchoked: changing partners costs both a round trip.
        ranked.sort_by_key(|peer| (Reverse(rate(peer)), !peer.unchoked, peer.conn));
        let mut unchoked: BTreeSet<ConnId> =
            ranked.iter().take(slots.saturating_sub(1)).map(|peer| peer.conn).collect();

        let due = self.rounds.is_multiple_of(OPTIMISTIC_ROUNDS);
        self.rounds = self.rounds.wrapping_add(1);
        let still_waits =
            |conn| !unchoked.contains(&conn) && candidates.iter().any(|peer| peer.conn == conn);
        if due || !self.optimistic.is_some_and(still_waits) {
            let mut lots = Vec::new();
            for peer in candidates.iter().filter(|peer| !unchoked.contains(&peer.conn)) {
                lots.extend(std::iter::repeat_n(peer.conn, if peer.is_new { 3 } else { 1 }));
            }
            // Someone else than last time, if there is someone else.
            if lots.iter().any(|conn| Some(*conn) != self.optimistic) {
                lots.retain(|conn| Some(*conn) != self.optimistic);
            }
            self.optimistic = self.rng.choose(&lots).copied();
        }
        unchoked.extend(self.optimistic.filter(|_| slots > 0));

        // Slots that nobody has earned are given away rather than left empty.
        let mut spare: Vec<ConnId> = candidates.iter().map(|peer| peer.conn).collect();
        self.rng.shuffle(&mut spare);
        spare.sort_by_key(|conn| !candidates.iter().any(|p| p.conn == *conn && p.unchoked));
        for conn in spare {
            if unchoked.len() >= slots {
                break;
            }
            unchoked.insert(conn);
        }
        unchoked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(conn: u64, gives: u64, takes: u64) -> ChokeCandidate {
        ChokeCandidate {
            conn: ConnId(conn),
            gives,
            takes,
            snubs_us: false,
            unchoked: false,
            is_new: false,
        }
    }

    fn choker() -> Box<dyn Choker> {
        ChokerKind::TitForTat.build(Seed::from_u64(5))
    }

    #[test]
    fn the_best_givers_and_one_more() {
        let peers: Vec<_> = (0..10).map(|n| peer(n, n * 100, 0)).collect();
        let unchoked = choker().round(&peers, 4, false);
        assert_eq!(unchoked.len(), 4);
        assert!([9, 8, 7].iter().all(|n| unchoked.contains(&ConnId(*n))), "{unchoked:?}");
    }

    #[test]
    fn a_snubbing_peer_is_not_rewarded() {
        let mut peers: Vec<_> = (0..10).map(|n| peer(n, 100 + n, 0)).collect();
        peers[9].snubs_us = true;
        let mut choker = choker();
        let chosen =
            (0..300).filter(|_| choker.round(&peers, 4, false).contains(&ConnId(9))).count();
        // Only ever as the optimistic unchoke: one of seven candidates.
        assert!((10..100).contains(&chosen), "{chosen}");
    }

    #[test]
    fn a_seed_gives_to_those_who_take_fastest() {
        let peers: Vec<_> = (0..10).map(|n| peer(n, 0, n * 100)).collect();
        let unchoked = choker().round(&peers, 4, true);
        assert!([9, 8, 7].iter().all(|n| unchoked.contains(&ConnId(*n))), "{unchoked:?}");
    }

    #[test]
    fn the_optimistic_slot_moves_every_third_round_and_reaches_everyone() {
        let peers: Vec<_> = (0..6).map(|n| peer(n, if n < 3 { 1000 } else { 0 }, 0)).collect();
        let mut choker = choker();
        let extras: Vec<_> = (0..90)
            .map(|_| choker.round(&peers, 4, false).into_iter().find(|c| c.0 >= 3).expect("one"))
            .collect();
        for third in extras.chunks_exact(3) {
            assert!(third.iter().all(|conn| *conn == third[0]));
        }
        assert!(
            extras.chunks_exact(3).zip(extras.chunks_exact(3).skip(1)).all(|(a, b)| a[0] != b[0])
        );
        assert!((3..6).all(|n| extras.contains(&ConnId(n))));
    }

    #[test]
    fn idle_slots_are_given_away_and_none_beyond_the_limit() {
        let peers: Vec<_> = (0..10).map(|n| peer(n, 0, 0)).collect();
        assert_eq!(choker().round(&peers, 4, false).len(), 4);
        assert_eq!(choker().round(&peers[..2], 4, false).len(), 2);
        assert_eq!(choker().round(&peers, 0, false).len(), 0);
    }
}
