//! Swarms that start from nothing but a link.

use super::{Scenario, seed, some_home};
use crate::plan::{Finds, Plan, Start};
use crate::torrent::{TorrentKind, TorrentSpec};
use althing_base::Rng;
use althing_base::time::Duration;

/// All but the seed have only the magnet link: metadata (BEP 9) and, of a v2 torrent, hashes
/// (BEP 52) have to come from peers before the first piece can.
#[derive(Clone, Copy, Debug)]
pub struct MagnetOnly {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 64 KiB.
    pub pieces: u32,
    /// Which kind of torrent.
    pub kind: TorrentKind,
    /// How hosts find each other.
    pub finds: Finds,
}

impl Default for MagnetOnly {
    fn default() -> Self {
        MagnetOnly { leechers: 60, pieces: 1500, kind: TorrentKind::V2, finds: Finds::Tracker }
    }
}

impl MagnetOnly {
    /// Its name.
    pub const NAME: &'static str = "magnet-only";

    /// Its name where there is no tracker.
    pub const DHT_NAME: &'static str = "trackerless";
}

impl Scenario for MagnetOnly {
    fn name(&self) -> &'static str {
        match self.finds {
            Finds::Tracker => Self::NAME,
            Finds::Dht => Self::DHT_NAME,
        }
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![seed()];
        hosts.extend((0..self.leechers).map(|_| some_home(Start::Magnet, rng)));
        hosts.iter_mut().for_each(|host| host.finds = self.finds);
        Plan {
            torrent: TorrentSpec { pieces: self.pieces, blocks_per_piece: 4, kind: self.kind },
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::run;

    #[test]
    fn a_link_alone_is_enough() {
        let scenario =
            MagnetOnly { leechers: 12, pieces: 40, kind: TorrentKind::V1, finds: Finds::Dht };
        let report = run(&scenario, 1).expect("a torrent");
        assert!(report.violations.is_empty(), "{:?}", report.violations);
        assert_eq!(report.unfinished, Vec::<String>::new());
    }
}
