//! Peers that do not play fair.

use super::{Policies, Scenario, home, seed, some_home};
use crate::plan::{Behaviour, Plan, Start};
use crate::torrent::{TorrentKind, TorrentSpec};
use althing_base::Rng;
use althing_base::time::Duration;

/// An honest swarm, a third of which came by a magnet link, among liars of every kind.
#[derive(Clone, Copy, Debug)]
pub struct Liars {
    /// Honest hosts that fetch.
    pub leechers: u32,
    /// Liars of each kind.
    pub of_each_kind: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
}

impl Default for Liars {
    fn default() -> Self {
        Liars { leechers: 60, of_each_kind: 4, pieces: 300 }
    }
}

impl Liars {
    /// Its name.
    pub const NAME: &'static str = "liars";

    const KINDS: [Behaviour; 9] = [
        Behaviour::BadBlocks { share: 1.0 },
        Behaviour::BadBlocks { share: 0.05 },
        Behaviour::BadMetadata,
        Behaviour::WrongMetadataSize,
        Behaviour::Silent,
        Behaviour::Refuser,
        Behaviour::NeverReads,
        Behaviour::FreeRider,
        Behaviour::Babbler,
    ];
}

impl Scenario for Liars {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![seed(), seed()];
        for number in 0..self.leechers {
            let start = if number % 3 == 0 { Start::Magnet } else { Start::Nothing };
            hosts.push(some_home(start, rng));
        }
        for kind in Self::KINDS {
            for _ in 0..self.of_each_kind {
                let mut liar = home(Start::Nothing).behaving(kind);
                if kind == Behaviour::FreeRider {
                    liar.unchoke_slots = Some(0);
                }
                hosts.push(liar);
            }
        }
        // Who comes first is left to chance, by a second's difference.
        for host in &mut hosts {
            host.life[0].0 = Duration::from_secs_f64(rng.unit());
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}

/// An honest crowd that fetches a v2 torrent, a third of it with nothing but the magnet link, and so
/// many liars on top that they are the given part of all who come. Honest hosts have equal lines and
/// stay: how long they take is to be compared with how long they take alone.
#[derive(Clone, Copy, Debug)]
pub struct LiarShare {
    /// Honest hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// Part of all hosts but the seed that lie, in percent; below 100.
    pub percent: u32,
    /// How they lie; each in another way if `None`.
    pub kind: Option<Behaviour>,
    /// How the honest share.
    pub policies: Policies,
}

impl Default for LiarShare {
    fn default() -> Self {
        LiarShare {
            leechers: 60,
            pieces: 100,
            percent: 30,
            kind: None,
            policies: Policies::default(),
        }
    }
}

impl LiarShare {
    /// Its name.
    pub const NAME: &'static str = "liar-share";

    /// All ways to lie.
    pub const KINDS: [Behaviour; 8] = [
        Behaviour::BadBlocks { share: 1.0 },
        Behaviour::BadBlocks { share: 0.05 },
        Behaviour::BadMetadata,
        Behaviour::WrongMetadataSize,
        Behaviour::BadHashes,
        Behaviour::Silent,
        Behaviour::Refuser,
        Behaviour::Babbler,
    ];
}

impl Scenario for LiarShare {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![seed()];
        for number in 0..self.leechers {
            hosts.push(home(if number % 3 == 0 { Start::Magnet } else { Start::Nothing }));
        }
        let honest = 100u32.saturating_sub(self.percent).max(1);
        for number in 0..(self.leechers * self.percent).div_ceil(honest) {
            let kind = Self::KINDS[number as usize % Self::KINDS.len()];
            let mut liar = home(Start::Nothing).behaving(self.kind.unwrap_or(kind));
            liar.group = "liars";
            hosts.push(liar);
        }
        for host in &mut hosts {
            host.choker = self.policies.choker;
            host.seeding = self.policies.seeding;
            host.life[0].0 = Duration::from_secs_f64(rng.unit());
        }
        let kind = TorrentKind::V2;
        Plan {
            torrent: TorrentSpec { pieces: self.pieces, blocks_per_piece: 16, kind },
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::scenario::run;
    use althing_bittorrent::swarm::ChokerKind;

    fn report(percent: u32, kind: Option<Behaviour>, choker: ChokerKind) -> Report {
        let policies = Policies { choker, ..Policies::default() };
        let scenario = LiarShare { leechers: 12, pieces: 24, percent, kind, policies };
        let report = run(&scenario, 1).expect("a torrent");
        // Also that nobody honest was banned or let go of for what it said.
        assert!(report.is_good(), "{kind:?}: {report}");
        report
    }

    #[test]
    fn the_honest_finish_whoever_lies_and_however_they_share() {
        for choker in [ChokerKind::TitForTat, ChokerKind::Proportional] {
            for percent in [10, 50] {
                let report = report(percent, None, choker);
                assert_eq!(report.completion.hosts, 12);
                assert_eq!(report.hash, self::report(percent, None, choker).hash);
            }
        }
    }

    #[test]
    fn each_kind_of_lie_is_found_out() {
        for kind in LiarShare::KINDS {
            let report = report(40, Some(kind), ChokerKind::TitForTat);
            // Who merely keeps what it promised is no liar that can be proven.
            let provable = kind.sends_wrong_data() && kind != Behaviour::Babbler;
            assert_eq!(report.banned_liars > 0, provable, "{kind:?}: {report}");
        }
    }
}
