//! Whom a seed gives to: by turns, to those who pass on what is rare, or to those who gave.

use super::super::io::ConnId;
use super::super::limits::{SEEDING_QUOTA_BYTES, SEEDING_TURN_ROUNDS};
use super::{ChokeCandidate, Choker, Standing, Unchoked, Weight};
use std::collections::BTreeMap;

/// A peer's place in the line.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// The round in which its last turn ended; who never had one comes first.
    ended: Option<u64>,
    /// The round in which its turn began, if it has it, and what it had taken by then.
    began: Option<(u64, u64)>,
}

/// Everyone by turns: a turn ends after so many bytes or so many rounds, if others wait.
#[derive(Debug, Default)]
struct Turns {
    round: u64,
    peers: BTreeMap<ConnId, Turn>,
}

impl Turns {
    /// Up to `slots` of the candidates, those of the lowest `class` first, in each class those
    /// whose turn it is.
    fn choose(
        &mut self,
        candidates: &[ChokeCandidate],
        slots: usize,
        class: impl Fn(&ChokeCandidate) -> u32,
    ) -> Vec<ConnId> {
        self.round += 1;
        let round = self.round;
        let known: BTreeMap<ConnId, Turn> = candidates
            .iter()
            .map(|p| (p.conn, self.peers.get(&p.conn).copied().unwrap_or_default()))
            .collect();
        self.peers = known;
        let turn_of =
            |peer: &ChokeCandidate| self.peers.get(&peer.conn).copied().unwrap_or_default();
        let is_over = |peer: &ChokeCandidate, (began, took): (u64, u64)| {
            round - began >= SEEDING_TURN_ROUNDS
                || peer.took.saturating_sub(took) >= SEEDING_QUOTA_BYTES
        };
        let mut line: Vec<_> = candidates
            .iter()
            .map(|peer| {
                let turn = turn_of(peer);
                let goes_on = turn.began.is_some_and(|began| !is_over(peer, began));
                // Who has just had its turn stands behind all who wait.
                let waits_since = match turn.began {
                    Some(_) if !goes_on => Some(round),
                    _ => turn.ended,
                };
                (class(peer), !goes_on, waits_since, !peer.is_new, peer.conn, peer.took)
            })
            .collect();
        line.sort();
        let mut chosen = Vec::new();
        for (place, (_, starts, .., conn, took)) in line.into_iter().enumerate() {
            let Some(turn) = self.peers.get_mut(&conn) else { continue };
            if place < slots {
                if starts {
                    turn.began = Some((round, took));
                }
                chosen.push(conn);
            } else if turn.began.take().is_some() {
                turn.ended = Some(round);
            }
        }
        chosen
    }
}

fn equal(chosen: Vec<ConnId>) -> Unchoked {
    chosen.into_iter().map(|conn| (conn, Weight::EQUAL)).collect()
}

/// Everyone by turns.
#[derive(Debug, Default)]
pub(super) struct RoundRobin(Turns);

impl Choker for RoundRobin {
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked {
        equal(self.0.choose(candidates, slots, |_| 0))
    }
}

/// First those who gave, by turns; one slot goes round among the others.
#[derive(Debug, Default)]
pub(super) struct Grateful {
    givers: Turns,
    others: Turns,
}

impl Choker for Grateful {
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked {
        // Less than a hundredth of what it took is no gift.
        let (givers, others): (Vec<ChokeCandidate>, Vec<ChokeCandidate>) =
            candidates.iter().partition(|peer| peer.gave > 0 && peer.gave >= peer.took / 100);
        let for_others = usize::from(slots > 1 && !others.is_empty());
        let mut chosen = self.givers.choose(&givers, slots - for_others.min(slots), |_| 0);
        let left = slots - chosen.len();
        chosen.extend(self.others.choose(&others, left, |_| 0));
        equal(chosen)
    }
}

/// All slots but one go to those who pass on what they get, those first who lack what is rare. One
/// slot, and all that are left, go round among the others: first those of whom nothing is known, last
/// those who keep what they get.
#[derive(Debug, Default)]
pub(super) struct Rare {
    passing: Turns,
    others: Turns,
}

impl Choker for Rare {
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked {
        let (passing, others): (Vec<ChokeCandidate>, Vec<ChokeCandidate>) =
            candidates.iter().partition(|peer| peer.standing == Standing::Passes);
        let for_others = usize::from(slots > 1 && !others.is_empty());
        let class = |peer: &ChokeCandidate| u32::from(peer.lacks_rare == 0);
        let mut chosen = self.passing.choose(&passing, slots.saturating_sub(for_others), class);
        let left = slots - chosen.len();
        chosen.extend(self.others.choose(&others, left, |peer| peer.standing as u32));
        equal(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SeedingKind, peer};
    use super::*;
    use althing_base::Seed;

    fn rounds(kind: SeedingKind, peers: &mut [ChokeCandidate], slots: usize, n: usize) -> Vec<u32> {
        let mut choker = kind.build(Seed::from_u64(1));
        let mut turns = vec![0; peers.len()];
        for _ in 0..n {
            let unchoked = choker.round(peers, slots);
            assert!(unchoked.len() <= slots);
            for peer in peers.iter_mut() {
                peer.unchoked = unchoked.contains_key(&peer.conn);
                peer.took += if peer.unchoked { 1 << 20 } else { 0 };
                turns[peer.conn.0 as usize] += u32::from(peer.unchoked);
            }
        }
        turns
    }

    #[test]
    fn turns_are_shared_out_evenly() {
        let mut peers: Vec<_> = (0..9).map(|n| peer(n, 0, 0)).collect();
        let turns = rounds(SeedingKind::RoundRobin, &mut peers, 3, 360);
        assert!(turns.iter().all(|turns| (105..=135).contains(turns)), "{turns:?}");
        // Who is alone keeps its slot.
        assert_eq!(rounds(SeedingKind::RoundRobin, &mut peers[..2], 3, 50), [50, 50]);
    }

    #[test]
    fn who_passes_on_what_is_rare_goes_first() {
        let mut peers: Vec<_> = (0..8).map(|n| peer(n, 0, 0)).collect();
        for peer in &mut peers {
            peer.lacks_rare = 5;
            peer.standing = if peer.conn.0 < 3 { Standing::Passes } else { Standing::Unknown };
        }
        let turns = rounds(SeedingKind::Rare, &mut peers, 4, 100);
        assert_eq!(turns[..3], [100; 3]);
        assert!(turns[3..].iter().all(|turns| (10..30).contains(turns)), "{turns:?}");
    }

    #[test]
    fn who_keeps_what_it_gets_comes_last_and_is_served_all_the_same() {
        let mut peers: Vec<_> = (0..8).map(|n| peer(n, 0, 0)).collect();
        for (n, peer) in peers.iter_mut().enumerate() {
            peer.standing = [Standing::Passes, Standing::Unknown, Standing::Keeps][n / 3];
        }
        // Three who pass things on leave one slot: it is for those of whom nothing is known.
        let turns = rounds(SeedingKind::Rare, &mut peers, 4, 90);
        assert_eq!(turns[..3], [90; 3]);
        assert!(turns[3..6].iter().all(|turns| *turns >= 20), "{turns:?}");
        assert_eq!(turns[6..], [0; 2]);
        // An idle line helps nobody.
        assert_eq!(rounds(SeedingKind::Rare, &mut peers, 8, 90), [90; 8]);
        peers.iter_mut().for_each(|peer| peer.standing = Standing::Keeps);
        assert!(rounds(SeedingKind::Rare, &mut peers, 3, 80).iter().all(|turns| *turns >= 24));
    }

    #[test]
    fn if_nothing_is_rare_everyone_has_a_turn() {
        let mut peers: Vec<_> = (0..8).map(|n| peer(n, 0, 0)).collect();
        let turns = rounds(SeedingKind::Rare, &mut peers, 4, 240);
        assert!(turns.iter().all(|turns| (105..=135).contains(turns)), "{turns:?}");
    }

    #[test]
    fn who_gave_is_remembered() {
        let mut peers: Vec<_> = (0..8).map(|n| peer(n, 0, 0)).collect();
        peers[..4].iter_mut().for_each(|peer| peer.gave = 1 << 30);
        let turns = rounds(SeedingKind::Grateful, &mut peers, 3, 100);
        assert_eq!(turns[..4].iter().sum::<u32>(), 200);
        assert_eq!(turns[4..].iter().sum::<u32>(), 100);
        // Alone, the others have all slots.
        assert_eq!(
            rounds(
                SeedingKind::Grateful,
                &mut peers[4..6]
                    .iter()
                    .enumerate()
                    .map(|(n, p)| ChokeCandidate { conn: ConnId(n as u64), ..*p })
                    .collect::<Vec<_>>(),
                3,
                10
            ),
            [10, 10]
        );
    }
}
