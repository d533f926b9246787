//! Disks that fail and processes that die.

use super::{Scenario, home, seed};
use crate::disk::DiskFault;
use crate::plan::{Life, Plan, Start};
use crate::torrent::TorrentSpec;
use crate::units::Rate;
use althing_base::Rng;
use althing_base::time::Duration;

/// Each host has trouble of its own: a full disk, a failing one, a slow one, lost files, or a
/// process that is killed and started again.
#[derive(Clone, Copy, Debug)]
pub struct FailingDisks {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
}

impl Default for FailingDisks {
    fn default() -> Self {
        FailingDisks { leechers: 60, pieces: 300 }
    }
}

impl FailingDisks {
    /// Its name.
    pub const NAME: &'static str = "failing-disks";
}

impl Scenario for FailingDisks {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![seed()];
        for number in 0..self.leechers {
            let mut host = home(Start::Nothing);
            let pieces = rng.below(u64::from(self.pieces)) as u32;
            // From at once to two minutes.
            let mended_after = Duration::from_secs_f64(120.0 * rng.unit() * rng.unit());
            match number % 6 {
                0 => {
                    let fault = DiskFault::Full { after_pieces: pieces, mended_after };
                    host.disk.fault = Some(fault);
                }
                1 => {
                    let fault = DiskFault::WriteError { after_pieces: pieces, mended_after };
                    host.disk.fault = Some(fault);
                    // Slow, so that many pieces wait when it fails.
                    host.disk.delay = Duration::from_millis(300);
                }
                2 => {
                    host.disk.fault = Some(DiskFault::Loss { at_pieces: pieces, mended_after });
                }
                3 => host.disk.rate = Rate::kib_per_s(512),
                _ => {
                    let end = if number % 6 == 4 { Life::Kill } else { Life::Vanish };
                    let at = Duration::from_secs_f64(5.0 + 90.0 * rng.unit());
                    host.life.push((at, end));
                    host.life.push((at + mended_after, Life::Start));
                }
            }
            hosts.push(host);
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}
