//! Peers that do not play fair.

use super::{Scenario, home, seed, some_home};
use crate::plan::{Behaviour, Plan, Start};
use crate::torrent::TorrentSpec;
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
