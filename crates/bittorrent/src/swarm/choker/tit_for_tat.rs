//! Tit for tat as BEP 3 has it, and its seeding mode.

use super::super::io::ConnId;
use super::{ChokeCandidate, Choker, Optimist, Unchoked, Weight};
use althing_base::Seed;
use std::cmp::Reverse;

/// All slots but one go to the peers that give most; the last one is the optimistic one.
pub(super) struct TitForTat(Optimist);

impl TitForTat {
    pub(super) fn new(seed: Seed) -> Self {
        TitForTat(Optimist::new(seed))
    }
}

/// While we seed: all slots but one go to the peers that take most.
pub(super) struct Fastest(Optimist);

impl Fastest {
    pub(super) fn new(seed: Seed) -> Self {
        Fastest(Optimist::new(seed))
    }
}

/// The best of the candidates by `rate`, and one more by chance.
fn best(
    optimist: &mut Optimist,
    candidates: &[ChokeCandidate],
    slots: usize,
    eligible: impl Fn(&ChokeCandidate) -> bool,
    rate: impl Fn(&ChokeCandidate) -> u64,
) -> Unchoked {
    let mut ranked: Vec<&ChokeCandidate> = candidates.iter().filter(|p| eligible(p)).collect();
    // Ties keep whoever is unchoked: changing partners costs both a round trip.
    ranked.sort_by_key(|peer| (Reverse(rate(peer)), !peer.unchoked, peer.conn));
    let earned = ranked.iter().take(slots.saturating_sub(1));
    let mut unchoked: Unchoked = earned.map(|peer| (peer.conn, Weight::EQUAL)).collect();
    let taken = |conn: ConnId| unchoked.contains_key(&conn);
    let tried = optimist.choose(candidates, slots.min(1), taken).to_vec();
    unchoked.extend(tried.into_iter().map(|conn| (conn, Weight::EQUAL)));
    optimist.fill(&mut unchoked, candidates, slots);
    unchoked
}

impl Choker for TitForTat {
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked {
        let gives = |peer: &ChokeCandidate| peer.gives > 0 && !peer.snubs_us;
        best(&mut self.0, candidates, slots, gives, |peer| peer.gives)
    }
}

impl Choker for Fastest {
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked {
        best(&mut self.0, candidates, slots, |_| true, |peer| peer.takes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ChokerKind, SeedingKind, peer};
    use super::*;

    fn choker() -> Box<dyn Choker> {
        ChokerKind::TitForTat.build(Seed::from_u64(5))
    }

    #[test]
    fn the_best_givers_and_one_more() {
        let peers: Vec<_> = (0..10).map(|n| peer(n, n * 100, 0)).collect();
        let unchoked = choker().round(&peers, 4);
        assert_eq!(unchoked.len(), 4);
        assert!([9, 8, 7].iter().all(|n| unchoked.contains_key(&ConnId(*n))), "{unchoked:?}");
    }

    #[test]
    fn a_snubbing_peer_is_not_rewarded() {
        let mut peers: Vec<_> = (0..10).map(|n| peer(n, 100 + n, 0)).collect();
        peers[9].snubs_us = true;
        let mut choker = choker();
        let chosen = (0..300).filter(|_| choker.round(&peers, 4).contains_key(&ConnId(9))).count();
        assert_eq!(chosen, 0);
    }

    #[test]
    fn a_debtor_gets_nothing_on_trust() {
        let mut peers: Vec<_> = (0..4).map(|n| peer(n, 0, 0)).collect();
        peers[3].indebted = true;
        let mut choker = choker();
        for _ in 0..50 {
            let unchoked = choker.round(&peers, 4);
            assert_eq!(unchoked.keys().map(|conn| conn.0).collect::<Vec<_>>(), [0, 1, 2]);
        }
        // What it gives now counts again.
        peers[3].gives = 1;
        assert!(choker.round(&peers, 4).contains_key(&ConnId(3)));
    }

    #[test]
    fn a_seed_gives_to_those_who_take_fastest() {
        let peers: Vec<_> = (0..10).map(|n| peer(n, 0, n * 100)).collect();
        let unchoked = SeedingKind::Fastest.build(Seed::from_u64(5)).round(&peers, 4);
        assert!([9, 8, 7].iter().all(|n| unchoked.contains_key(&ConnId(*n))), "{unchoked:?}");
    }

    #[test]
    fn the_optimistic_slot_moves_every_third_round_and_reaches_everyone() {
        let peers: Vec<_> = (0..6).map(|n| peer(n, if n < 3 { 1000 } else { 0 }, 0)).collect();
        let mut choker = choker();
        let extras: Vec<_> = (0..90)
            .map(|_| choker.round(&peers, 4).into_keys().find(|c| c.0 >= 3).expect("one"))
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
    fn newcomers_are_three_times_as_likely_to_be_tried() {
        let mut peers: Vec<_> = (0..13).map(|n| peer(n, if n < 3 { 1000 } else { 0 }, 0)).collect();
        peers[12].is_new = true;
        let mut choker = choker();
        let rounds = 3000;
        let tried =
            (0..rounds).filter(|_| choker.round(&peers, 4).contains_key(&ConnId(12))).count();
        // Three lots of twelve, but never twice in a row.
        let share = tried as f64 / f64::from(rounds);
        assert!((0.17..0.26).contains(&share), "{share}");
    }

    #[test]
    fn idle_slots_are_given_away_and_none_beyond_the_limit() {
        let peers: Vec<_> = (0..10).map(|n| peer(n, 0, 0)).collect();
        assert_eq!(choker().round(&peers, 4).len(), 4);
        assert_eq!(choker().round(&peers[..2], 4).len(), 2);
        assert_eq!(choker().round(&peers, 0).len(), 0);
    }
}
