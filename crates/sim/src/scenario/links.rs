//! Lines as homes have them: ten times as fast down as up, with modems that take in far more than
//! they can send, with packets that get lost, and a few that are hardly lines at all.

use super::{Scenario, seed};
use crate::plan::{HostPlan, Plan, Start};
use crate::torrent::TorrentSpec;
use crate::units::Rate;
use althing_base::Rng;
use althing_base::time::Duration;

/// What ails the lines.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Trouble {
    /// Nothing: routers queue fairly.
    None,
    /// Every modem takes in [`BLOATED_BYTES`] before it says stop.
    Bloated,
    /// On a fifth of the lines one packet of a hundred is lost.
    Lossy,
    /// Both, as on bad radio links: a fifth loses packets, all are bloated.
    BloatedAndLossy,
    /// A fifth of the lines has a tenth of the others' rates.
    Slow,
    /// One host sends 1 KiB a second, and receives as the others do.
    TrickleUp,
    /// One host sends and receives 1 KiB a second, and is not waited for.
    Trickle,
}

/// What a modem takes in before it says stop, in bytes: 128 and 256 KiB are by far the most common
/// of the uplinks measured by Kreibich et al. 2010, "Netalyzr: Illuminating the Edge Network".
pub const BLOATED_BYTES: u64 = 256 * 1024;

/// Part of the packets that is lost on a bad line.
const LOSS: f64 = 0.01;

/// One seed, and homes with 256 KiB/s up and 2560 KiB/s down.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// What ails their lines.
    pub trouble: Trouble,
}

impl Default for Links {
    fn default() -> Self {
        Links { leechers: 60, pieces: 200, trouble: Trouble::None }
    }
}

impl Links {
    /// Its name.
    pub const NAME: &'static str = "lines";
    /// Its name if modems take in too much.
    pub const BLOATED_NAME: &'static str = "bloated-lines";
    /// Its name if packets are lost.
    pub const LOSSY_NAME: &'static str = "lossy-lines";
    /// Its name with both.
    pub const BLOATED_AND_LOSSY_NAME: &'static str = "bad-lines";
    /// Its name if some are slow.
    pub const SLOW_NAME: &'static str = "slow-lines";
    /// Its name if one sends next to nothing.
    pub const TRICKLE_UP_NAME: &'static str = "trickle-up";
    /// Its name if one sends and receives next to nothing.
    pub const TRICKLE_NAME: &'static str = "trickle";

    /// One of five, the first one not among them.
    fn is_afflicted(number: u32) -> bool {
        number % 5 == 1
    }
}

impl Scenario for Links {
    fn name(&self) -> &'static str {
        match self.trouble {
            Trouble::None => Self::NAME,
            Trouble::Bloated => Self::BLOATED_NAME,
            Trouble::Lossy => Self::LOSSY_NAME,
            Trouble::BloatedAndLossy => Self::BLOATED_AND_LOSSY_NAME,
            Trouble::Slow => Self::SLOW_NAME,
            Trouble::TrickleUp => Self::TRICKLE_UP_NAME,
            Trouble::Trickle => Self::TRICKLE_NAME,
        }
    }

    fn plan(&self, _: &mut Rng) -> Plan {
        let line =
            |up, down| HostPlan::new(Start::Nothing, Rate::kib_per_s(up), Rate::kib_per_s(down));
        let mut hosts = vec![seed()];
        for number in 0..self.leechers {
            let mut host = line(256, 2560);
            let afflicted = Self::is_afflicted(number);
            if matches!(self.trouble, Trouble::Bloated | Trouble::BloatedAndLossy) {
                host.line.buffer_bytes = BLOATED_BYTES;
            }
            match self.trouble {
                Trouble::Lossy | Trouble::BloatedAndLossy if afflicted => {
                    host.line.loss = LOSS;
                    host.group = "afflicted";
                }
                Trouble::Slow if afflicted => {
                    host = line(26, 256);
                    host.group = "afflicted";
                }
                Trouble::TrickleUp if number == 0 => {
                    host.line.up = Rate::kib_per_s(1);
                    host.group = "afflicted";
                }
                Trouble::Trickle if number == 0 => {
                    host = line(1, 1);
                    host.group = "afflicted";
                    host.must_finish = false;
                }
                _ => {}
            }
            hosts.push(host);
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(2 * 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::scenario::run;

    fn report(trouble: Trouble) -> Report {
        let scenario = Links { leechers: 12, pieces: 24, trouble };
        let report = run(&scenario, 1).expect("a torrent");
        let again = run(&scenario, 1).expect("a torrent");
        assert_eq!(report.hash, again.hash);
        assert!(report.is_good(), "{report}");
        report
    }

    #[test]
    fn one_who_sends_next_to_nothing_holds_nobody_up() {
        let without = report(Trouble::None).completion.last_s;
        for trouble in [Trouble::TrickleUp, Trouble::Trickle] {
            let report = report(trouble);
            // It may itself have to wait: who gives nothing is served after those who give.
            let others = report.groups["crowd"].completion.last_s;
            assert!(others < 1.5 * without, "{without}: {report}");
        }
    }

    #[test]
    fn what_is_said_waits_in_a_bloated_modem() {
        let (fair, bloated) = (report(Trouble::None), report(Trouble::Bloated));
        assert!(fair.waited_in_modems_s < 0.05, "{fair}");
        // A whole buffer takes a second.
        assert!((0.2..=1.1).contains(&bloated.waited_in_modems_s), "{bloated}");
        assert!(bloated.completion.last_s < 1.6 * fair.completion.last_s, "{bloated}");
    }

    #[test]
    fn lost_packets_are_sent_again() {
        let (fair, lossy) = (report(Trouble::None), report(Trouble::Lossy));
        // By the payload: how much of that is sent twice in the endgame differs from run to run.
        let sent = |report: &Report| {
            let lines = report.timeline.last().map_or(0, |last| last.sent_bytes);
            lines as f64 / report.sent_bytes as f64
        };
        assert!(sent(&lossy) > sent(&fair), "{} {}: {lossy}", sent(&lossy), sent(&fair));
        assert!(lossy.completion.last_s < 1.6 * fair.completion.last_s, "{lossy}");
    }

    #[test]
    fn slow_lines_hold_up_only_themselves() {
        let report = report(Trouble::Slow);
        let without = self::report(Trouble::None);
        let crowd = report.groups["crowd"].completion;
        assert!(crowd.last_s < 1.6 * without.completion.last_s, "{report}");
    }
}
