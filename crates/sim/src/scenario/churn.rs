//! Hosts that do not stay.

use super::{Scenario, home, seed, some_home};
use crate::plan::{LeaveWhen, Life, Plan, Start};
use crate::torrent::TorrentSpec;
use althing_base::Rng;
use althing_base::time::Duration;

/// Hosts come, stay for a while, and go: some say goodbye, some are killed, some vanish, some come
/// back. A few stay until they have everything.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// Hosts that come and go.
    pub passers_by: u32,
    /// Hosts that stay.
    pub stayers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// Mean length of a session, in seconds; exponentially distributed.
    pub session_s: f64,
    /// Everyone comes within this time, in seconds.
    pub arrivals_s: f64,
}

impl Default for Churn {
    fn default() -> Self {
        Churn { passers_by: 150, stayers: 30, pieces: 400, session_s: 90.0, arrivals_s: 300.0 }
    }
}

impl Churn {
    /// Its name.
    pub const NAME: &'static str = "churn";

    fn session(&self, rng: &mut Rng) -> Duration {
        Duration::from_secs_f64(1.0 - self.session_s * (1.0 - rng.unit()).ln())
    }
}

impl Scenario for Churn {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![seed()];
        for _ in 0..self.stayers {
            let mut host = some_home(Start::Nothing, rng);
            host.life[0].0 = Duration::from_secs_f64(rng.unit() * self.arrivals_s);
            // Even who has everything does not stay for long.
            host.leaves = Some(LeaveWhen::Finished(self.session(rng)));
            hosts.push(host);
        }
        for _ in 0..self.passers_by {
            let mut host = some_home(Start::Nothing, rng);
            host.must_finish = false;
            let mut at = Duration::from_secs_f64(rng.unit() * self.arrivals_s);
            host.life.clear();
            loop {
                host.life.push((at, Life::Start));
                at += self.session(rng);
                let end = rng.choose(&[Life::Stop, Life::Kill, Life::Vanish]);
                host.life.push((at, end.copied().unwrap_or(Life::Stop)));
                at += self.session(rng);
                if rng.chance(0.6) {
                    break;
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

/// In the middle of a download half of the hosts are gone at one instant: the power failed in their
/// part of the town.
#[derive(Clone, Copy, Debug)]
pub struct HalfGone {
    /// Hosts that fetch, half of which will be gone.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// When it happens.
    pub after: Duration,
}

impl Default for HalfGone {
    fn default() -> Self {
        HalfGone { leechers: 120, pieces: 400, after: Duration::from_secs(60) }
    }
}

impl HalfGone {
    /// Its name.
    pub const NAME: &'static str = "half-gone";
}

impl Scenario for HalfGone {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, _: &mut Rng) -> Plan {
        let mut hosts = vec![seed()];
        for number in 0..self.leechers {
            let mut host = home(Start::Nothing);
            if number % 2 == 1 {
                host.life.push((self.after, Life::Vanish));
                host.must_finish = false;
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
