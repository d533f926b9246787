//! Somebody watches a film while it comes, and jumps in it.

use super::{Scenario, home, seed, some_home};
use crate::plan::{HostPlan, Order, Plan, Start, Watching};
use crate::torrent::TorrentSpec;
use crate::units::Rate;
use althing_base::Rng;
use althing_base::time::Duration;

/// One who watches, and others who have everything, on lines from a quarter to four times the usual
/// rate. It begins at the beginning, then jumps to three quarters and back to the middle, neither of
/// which has come by then.
#[derive(Clone, Copy, Debug)]
pub struct Watcher {
    /// Hosts that have everything. A single one has a line of 4 MiB/s.
    pub seeds: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// In which order it fetches.
    pub order: Order,
    /// Hosts that fetch besides.
    pub crowd: u32,
    /// How long after them it comes, in seconds.
    pub comes_after_s: u32,
}

impl Default for Watcher {
    fn default() -> Self {
        Watcher { seeds: 20, pieces: 4000, order: Order::Deadlines, crowd: 0, comes_after_s: 0 }
    }
}

impl Watcher {
    /// Its name.
    pub const NAME: &'static str = "watcher";
    /// Its name if it fetches in order.
    pub const SEQUENTIAL_NAME: &'static str = "watcher-in-order";
    /// Its name in a crowd.
    pub const CROWD_NAME: &'static str = "watcher-in-crowd";
    /// Its name if it fetches the rarest first.
    pub const RAREST_NAME: &'static str = "watcher-rarest";

    /// How much has to be there, in bytes: what a player wants before it shows something, and two
    /// seconds of the best there is.
    pub const MARKS: [u64; 2] = [1 << 20, 4 << 20];
}

impl Scenario for Watcher {
    fn name(&self) -> &'static str {
        match self.order {
            _ if self.crowd > 0 => Self::CROWD_NAME,
            Order::Deadlines => Self::NAME,
            Order::Sequential => Self::SEQUENTIAL_NAME,
            Order::RarestFirst => Self::RAREST_NAME,
        }
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        // 80 Mbit/s: less than the others have to give.
        let mut watcher =
            HostPlan::new(Start::Nothing, Rate::kib_per_s(2048), Rate::kib_per_s(10 * 1024));
        let comes = Duration::from_secs(self.comes_after_s.into());
        let jumps = [(0, 0), (10, self.pieces / 4 * 3), (20, self.pieces / 2)];
        let jumps = jumps.map(|(at, piece)| (comes + Duration::from_secs(at), piece));
        watcher.watching =
            Some(Watching { order: self.order, jumps: jumps.into(), marks: Self::MARKS.into() });
        watcher.group = "watcher";
        let mut hosts: Vec<HostPlan> = match self.seeds {
            1 => vec![seed()],
            many => (0..many).map(|_| some_home(Start::Everything, rng)).collect(),
        };
        hosts.extend((0..self.crowd).map(|_| home(Start::Nothing)));
        hosts.push(watcher.joining(comes));
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::View;
    use crate::scenario::run;

    /// The waits for the first 1 and 4 MiB at the start and after each jump, in seconds.
    fn waits(order: Order, seed: u64) -> Vec<[f64; 2]> {
        let watcher = Watcher { order, ..Watcher::default() };
        let report = run(&watcher, seed).expect("a torrent");
        assert!(report.is_good(), "{report}");
        let wait = |waited: &Vec<f64>, n: usize| waited.get(n).copied().unwrap_or(f64::INFINITY);
        report.views.iter().map(|view| [0, 1].map(|n| wait(&view.waited_s, n))).collect()
    }

    #[test]
    fn a_film_begins_in_a_second_or_two_and_so_it_does_after_a_jump() {
        for seed in 1..=3 {
            let waits = waits(Order::Deadlines, seed);
            assert_eq!(waits.len(), 3);
            for [first, enough] in &waits {
                assert!(*first <= 1.5 && *enough <= 2.5, "seed {seed}: {waits:?}");
            }
        }
    }

    #[test]
    fn in_a_crowd_the_watcher_is_served_what_it_needs_next() {
        let waits = |order| {
            let crowd = Watcher { seeds: 1, pieces: 200, order, crowd: 8, comes_after_s: 20 };
            let report = run(&crowd, 1).expect("a torrent");
            assert!(report.is_good(), "{report}");
            assert_eq!(report.hash, run(&crowd, 1).expect("a torrent").hash);
            // A wait that the next jump ended is as long as from one jump to the next.
            let wait = |view: &View| view.waited_s.first().copied().unwrap_or(10.0);
            report.views.iter().map(wait).sum::<f64>()
        };
        let (deadlines, rarest) = (waits(Order::Deadlines), waits(Order::RarestFirst));
        assert!(deadlines < rarest, "{deadlines} s, {rarest} s");
    }

    #[test]
    fn no_other_order_can_jump() {
        for order in [Order::Sequential, Order::RarestFirst] {
            let waits = waits(order, 1);
            assert!(waits[1..].iter().all(|waited| waited[0] > 10.0), "{order:?}: {waits:?}");
        }
    }
}
