//! Churn as it was measured: who comes, how long they stay, and that they come again.

use super::Scenario;
use crate::plan::{HostPlan, LeaveWhen, Life, Plan, Start};
use crate::torrent::TorrentSpec;
use crate::units::Rate;
use althing_base::time::Duration;
use althing_base::{Rng, Seed};

/// How long people stay: a Weibull distribution.
///
/// The figures are those of Stutzbach and Rejaie 2006, "Understanding Churn in Peer-to-Peer Networks"
/// (IMC '06), from the logs of three trackers, in minutes. They count whoever took leave of the
/// tracker: of FlatOut's sessions that is 73 %.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sessions {
    /// Its shape; below 1, so that whoever has been here for long stays for long.
    pub shape: f64,
    /// Its scale, in minutes: 63 % are shorter.
    pub scale_min: f64,
}

impl Sessions {
    /// A game's demo, two months from November 2004.
    pub const FLATOUT: Sessions = Sessions { shape: 0.59, scale_min: 41.9 };
    /// Debian's images, two months from February 2005.
    pub const DEBIAN: Sessions = Sessions { shape: 0.38, scale_min: 42.4 };
    /// Red Hat's images, three months from March 2003.
    pub const RED_HAT: Sessions = Sessions { shape: 0.34, scale_min: 21.3 };

    /// One session's length.
    fn draw(self, rng: &mut Rng) -> Duration {
        let minutes = self.scale_min * (-(1.0 - rng.unit()).ln()).powf(1.0 / self.shape);
        // Nobody is here for less than a second, nor are a year's sessions of interest.
        Duration::from_secs_f64((minutes * 60.0).clamp(1.0, 1e7))
    }
}

/// One seed that stays, and people who come at any time (within an hour arrivals are a Poisson
/// process: the same measurement), stay for as long as was measured whether they have everything or
/// not, and, if they have not, come back after as long again with what they have. At the end of the
/// time looked at all who are not through are there and stay until they are.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredChurn {
    /// Hosts that come in that time, on the average one every so many seconds.
    pub every_s: f64,
    /// How many come.
    pub hosts: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// How long they stay; `None` if nobody goes before he has everything.
    pub sessions: Option<Sessions>,
}

impl Default for MeasuredChurn {
    fn default() -> Self {
        MeasuredChurn { every_s: 40.0, hosts: 180, pieces: 400, sessions: Some(Sessions::FLATOUT) }
    }
}

impl MeasuredChurn {
    /// Its name.
    pub const NAME: &'static str = "measured-churn";
}

impl Scenario for MeasuredChurn {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let horizon = Duration::from_secs_f64(self.every_s * f64::from(self.hosts) * 1.5);
        // Lines of those years: a download takes a good part of a session.
        let rate = Rate::kib_per_s(256);
        let mut hosts = vec![HostPlan::new(Start::Everything, rate, rate)];
        let mut comes = Duration::ZERO;
        let root = Seed::from_u64(rng.next_u64());
        for number in 0..self.hosts {
            // Who comes when is the same however long they stay.
            let mut rng = Rng::new(root.fork("host", number.into()));
            comes += Duration::from_secs_f64(-self.every_s * (1.0 - rng.unit()).ln());
            let (up, down) = (Rate::kib_per_s(64), Rate::kib_per_s(640));
            let mut host = HostPlan::new(Start::Nothing, up, down).joining(comes);
            host.returns_for_more_only = true;
            match self.sessions {
                None => host.leaves = Some(LeaveWhen::Finished(Duration::from_secs(60))),
                Some(sessions) => host.life = sessions.life(comes, horizon, &mut rng),
            }
            hosts.push(host);
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: horizon + Duration::from_secs(2 * 3600),
        }
    }
}

impl Sessions {
    /// Comes and goes until the horizon.
    fn life(self, comes: Duration, horizon: Duration, rng: &mut Rng) -> Vec<(Duration, Life)> {
        let mut at = comes;
        let mut life = vec![(at, Life::Start)];
        loop {
            at += self.draw(rng);
            if at >= horizon {
                return life;
            }
            let end = if rng.chance(GRACEFUL) { Life::Stop } else { Life::Vanish };
            life.push((at, end));
            at = horizon.min(at + self.draw(rng));
            life.push((at, Life::Start));
            if at == horizon {
                return life;
            }
        }
    }
}

/// Part of the sessions that end with a goodbye: FlatOut's, in the same measurement.
const GRACEFUL: f64 = 0.73;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::run;

    #[test]
    fn lengths_are_distributed_as_measured() {
        // The median of a Weibull distribution is its scale times the root of ln 2.
        for (sessions, median_min) in
            [(Sessions::FLATOUT, 22.5), (Sessions::DEBIAN, 16.2), (Sessions::RED_HAT, 7.25)]
        {
            let mut rng = Rng::new(Seed::from_u64(1));
            let mut drawn: Vec<Duration> = (0..20_001).map(|_| sessions.draw(&mut rng)).collect();
            drawn.sort();
            let median = drawn[10_000].as_secs_f64() / 60.0;
            assert!((0.95..1.05).contains(&(median / median_min)), "{sessions:?}: {median}");
        }
    }

    #[test]
    fn whoever_comes_back_gets_the_rest() {
        let sessions = Some(Sessions { shape: 0.59, scale_min: 1.0 });
        let scenario = MeasuredChurn { every_s: 8.0, hosts: 20, pieces: 48, sessions };
        let report = run(&scenario, 1).expect("a torrent");
        assert!(report.is_good(), "{report}");
        assert_eq!(report.completion.hosts, 20);
        // Some were away in between.
        assert!(report.running.last_s < report.completion.last_s, "{report}");
        assert_eq!(report.hash, run(&scenario, 1).expect("a torrent").hash);
    }
}
