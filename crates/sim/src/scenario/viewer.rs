//! Somebody watches a film while it comes, and jumps in it.

use super::{Scenario, some_home};
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
    /// Hosts that have everything.
    pub seeds: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// In which order it fetches.
    pub order: Order,
}

impl Default for Watcher {
    fn default() -> Self {
        Watcher { seeds: 20, pieces: 4000, order: Order::Deadlines }
    }
}

impl Watcher {
    /// Its name.
    pub const NAME: &'static str = "watcher";
    /// Its name if it fetches in order.
    pub const SEQUENTIAL_NAME: &'static str = "watcher-in-order";
    /// Its name if it fetches the rarest first.
    pub const RAREST_NAME: &'static str = "watcher-rarest";

    /// How much has to be there, in bytes: what a player wants before it shows something, and two
    /// seconds of the best there is.
    pub const MARKS: [u64; 2] = [1 << 20, 4 << 20];
}

impl Scenario for Watcher {
    fn name(&self) -> &'static str {
        match self.order {
            Order::Deadlines => Self::NAME,
            Order::Sequential => Self::SEQUENTIAL_NAME,
            Order::RarestFirst => Self::RAREST_NAME,
        }
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        // 80 Mbit/s: less than the others have to give.
        let mut watcher =
            HostPlan::new(Start::Nothing, Rate::kib_per_s(2048), Rate::kib_per_s(10 * 1024));
        let jumps = [(0, 0), (10, self.pieces / 4 * 3), (20, self.pieces / 2)];
        let jumps = jumps.map(|(at, piece)| (Duration::from_secs(at), piece));
        watcher.watching =
            Some(Watching { order: self.order, jumps: jumps.into(), marks: Self::MARKS.into() });
        let mut hosts: Vec<HostPlan> =
            (0..self.seeds).map(|_| some_home(Start::Everything, rng)).collect();
        hosts.push(watcher);
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
    fn no_other_order_can_jump() {
        for order in [Order::Sequential, Order::RarestFirst] {
            let waits = waits(order, 1);
            assert!(waits[1..].iter().all(|waited| waited[0] > 10.0), "{order:?}: {waits:?}");
        }
    }
}
