//! Many who want one thing at once.

use super::{Scenario, home, seed, some_home};
use crate::plan::{LeaveWhen, Plan, Start};
use crate::torrent::TorrentSpec;
use althing_base::Rng;
use althing_base::time::Duration;

/// One seed, and hundreds who come in the same few seconds and all stay.
#[derive(Clone, Copy, Debug)]
pub struct FlashCrowd {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// Whether lines differ, from a quarter of the usual rate to four times as much.
    pub mixed_lines: bool,
}

impl Default for FlashCrowd {
    fn default() -> Self {
        FlashCrowd { leechers: 300, pieces: 1000, mixed_lines: false }
    }
}

impl FlashCrowd {
    /// Its name.
    pub const NAME: &'static str = "flash-crowd";
    /// Its name with mixed lines.
    pub const MIXED_NAME: &'static str = "mixed-crowd";
}

impl Scenario for FlashCrowd {
    fn name(&self) -> &'static str {
        if self.mixed_lines { Self::MIXED_NAME } else { Self::NAME }
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![seed()];
        for _ in 0..self.leechers {
            hosts.push(if self.mixed_lines {
                some_home(Start::Nothing, rng)
            } else {
                home(Start::Nothing)
            });
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}

/// The only seed leaves as soon as one copy of each piece is at somebody else's.
#[derive(Clone, Copy, Debug)]
pub struct SeederLeaves {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
}

impl Default for SeederLeaves {
    fn default() -> Self {
        SeederLeaves { leechers: 60, pieces: 400 }
    }
}

impl SeederLeaves {
    /// Its name.
    pub const NAME: &'static str = "seeder-leaves";
}

impl Scenario for SeederLeaves {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, _: &mut Rng) -> Plan {
        let mut first = home(Start::Everything);
        first.leaves = Some(LeaveWhen::OneCopyIsOut);
        let mut hosts = vec![first];
        hosts.extend((0..self.leechers).map(|_| home(Start::Nothing)));
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}

/// Most hosts can call and cannot be called.
#[derive(Clone, Copy, Debug)]
pub struct Unreachable {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// Part of the hosts that cannot be called, 0 to 1; the seed is one of them.
    pub share: f64,
}

impl Default for Unreachable {
    fn default() -> Self {
        Unreachable { leechers: 100, pieces: 400, share: 0.7 }
    }
}

impl Unreachable {
    /// Its name.
    pub const NAME: &'static str = "unreachable";
}

impl Scenario for Unreachable {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut first = seed();
        first.reachable = false;
        let mut hosts = vec![first];
        for _ in 0..self.leechers {
            let mut host = some_home(Start::Nothing, rng);
            host.reachable = !rng.chance(self.share);
            hosts.push(host);
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}
