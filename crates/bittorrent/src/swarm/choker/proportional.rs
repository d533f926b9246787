//! A share for everyone in proportion to what it gave: Levin, LaCurts, Spring and Bhattacharjee,
//! "BitTorrent is an Auction: Analyzing and Improving BitTorrent's Incentives" (SIGCOMM 2008).
//!
//! Under tit for tat it pays to give just more than the last of the winners; here each further
//! byte given brings a further part of what comes back, and there is nothing to be won by strategy.

use super::super::limits::{PROPORTIONAL_PEERS, PROPORTIONAL_TRUST_PERCENT};
use super::{ChokeCandidate, Choker, Optimist, Unchoked, Weight};
use althing_base::Seed;
use std::cmp::Reverse;

/// All weights come to about this.
const WHOLE: u64 = 10_000;

/// See the [module](self).
pub(super) struct Proportional(Optimist);

impl Proportional {
    pub(super) fn new(seed: Seed) -> Self {
        Proportional(Optimist::new(seed))
    }
}

impl Choker for Proportional {
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked {
        if slots == 0 {
            return Unchoked::new();
        }
        let mut givers: Vec<&ChokeCandidate> =
            candidates.iter().filter(|peer| peer.gives > 0 && !peer.snubs_us).collect();
        givers.sort_by_key(|peer| (Reverse(peer.gives), peer.conn));
        givers.truncate(slots * PROPORTIONAL_PEERS);
        let total: u64 = givers.iter().map(|peer| peer.gives).sum();
        let on_trust = WHOLE * PROPORTIONAL_TRUST_PERCENT / 100;
        let share = |gives: u64| {
            let part = u128::from(gives) * u128::from(WHOLE - on_trust) / u128::from(total.max(1));
            Weight::new(u32::try_from(part).unwrap_or(u32::MAX))
        };
        let mut unchoked: Unchoked = givers.iter().map(|p| (p.conn, share(p.gives))).collect();
        // One in four on trust, and all while nobody gives.
        let tries = if givers.is_empty() { slots } else { slots.div_ceil(4) };
        let tried = self.0.choose(candidates, tries, |conn| unchoked.contains_key(&conn)).to_vec();
        let each = Weight::new((on_trust / tried.len().max(1) as u64) as u32);
        unchoked.extend(tried.into_iter().map(|conn| (conn, each)));
        unchoked
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::io::ConnId;
    use super::super::{ChokerKind, peer};
    use super::*;

    fn round(peers: &[ChokeCandidate], slots: usize) -> Unchoked {
        ChokerKind::Proportional.build(Seed::from_u64(5)).round(peers, slots)
    }

    #[test]
    fn twice_the_gift_is_twice_the_share() {
        let peers: Vec<_> = (0..4).map(|n| peer(n, n * 100, 0)).collect();
        let unchoked = round(&peers, 4);
        let weight = |n: u64| unchoked.get(&ConnId(n)).map_or(0, |w| w.get());
        assert!(weight(2).abs_diff(2 * weight(1)) <= 2 && weight(3).abs_diff(3 * weight(1)) <= 3);
        // The one that gives nothing is the one that is tried.
        assert_eq!(u64::from(weight(0)), WHOLE * PROPORTIONAL_TRUST_PERCENT / 100);
    }

    #[test]
    fn nobody_counts_twice_and_nobody_shares_without_end() {
        let peers: Vec<_> = (0..1000).map(|n| peer(n, 1 + n, 0)).collect();
        let unchoked = round(&peers, 4);
        assert_eq!(unchoked.len(), 4 * PROPORTIONAL_PEERS + 1);
        assert!(unchoked.contains_key(&ConnId(999)));
        let total: u32 = unchoked.values().map(|weight| weight.get()).sum();
        assert!(u64::from(total) <= WHOLE, "{total}");
        let huge = [peer(1, u64::MAX / 2, 0), peer(2, u64::MAX / 2, 0)];
        assert_eq!(round(&huge, 4).len(), 2);
    }

    #[test]
    fn while_nobody_gives_all_slots_are_on_trust() {
        let mut peers: Vec<_> = (0..10).map(|n| peer(n, 0, 0)).collect();
        assert_eq!(round(&peers, 4).len(), 4);
        peers.iter_mut().for_each(|peer| peer.indebted = true);
        assert_eq!(round(&peers, 4).len(), 0);
        assert_eq!(round(&peers, 0).len(), 0);
    }
}
