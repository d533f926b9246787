//! What is simulated. Each scenario is a struct of parameters that draws up a [`Plan`].

mod churn;
mod crowd;
mod disks;
mod fairness;
mod liars;
mod links;
mod magnets;
mod sessions;
mod tyrant;
mod viewer;

pub use churn::{Churn, HalfGone};
pub use crowd::{FlashCrowd, SeederLeaves, Unreachable};
pub use disks::FailingDisks;
pub use fairness::{FreeRiders, Policies, Trick, Tyrants};
pub use liars::{LiarShare, Liars};
pub use links::{BLOATED_BYTES, Links, Trouble};
pub use magnets::MagnetOnly;
pub use sessions::{MeasuredChurn, Sessions};
pub use viewer::Watcher;

use crate::plan::{Finds, HostPlan, Order, Plan, Start};
use crate::report::Report;
use crate::units::Rate;
use crate::world::World;
use althing_base::{Rng, Seed};
use althing_bittorrent::metainfo::MetainfoError;

/// Something that can be simulated.
pub trait Scenario {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;

    /// Draws up the run; what is left to chance is drawn from `rng`.
    fn plan(&self, rng: &mut Rng) -> Plan;
}

/// Runs a scenario. The same number gives the same run, to the last event.
///
/// # Errors
/// Its torrent is none that can be parsed.
///
/// # Panics
/// If a machine is in a busy loop.
pub fn run(scenario: &dyn Scenario, seed: u64) -> Result<Report, MetainfoError> {
    let root = Seed::from_u64(seed).fork(scenario.name(), 0);
    let plan = scenario.plan(&mut Rng::new(root.fork("plan", 0)));
    let mut report = World::new(plan, root)?.run();
    report.scenario = scenario.name().to_owned();
    report.seed = seed;
    Ok(report)
}

/// An entry in the list of scenarios.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// Makes one with so many hosts that fetch, or as many as it has by itself.
    pub make: fn(peers: Option<u32>) -> Box<dyn Scenario>,
}

/// All scenarios.
pub const SCENARIOS: &[Entry] = &[
    Entry {
        name: FlashCrowd::NAME,
        summary: "one seed and hundreds who come at once",
        make: |peers| {
            let default = FlashCrowd::default();
            Box::new(FlashCrowd { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: FlashCrowd::MIXED_NAME,
        summary: "the same, with lines from a quarter to four times as fast",
        make: |peers| {
            let default = FlashCrowd { leechers: 100, pieces: 400, mixed_lines: true };
            Box::new(FlashCrowd { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: SeederLeaves::NAME,
        summary: "the only seed leaves when one copy has been given out",
        make: |peers| {
            let default = SeederLeaves::default();
            Box::new(SeederLeaves { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Unreachable::NAME,
        summary: "most hosts are behind address translation and cannot be called",
        make: |peers| {
            let default = Unreachable::default();
            Box::new(Unreachable { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Churn::NAME,
        summary: "hosts come, stay for a while and go, with and without goodbye",
        make: |peers| {
            let default = Churn::default();
            Box::new(Churn { passers_by: peers.unwrap_or(default.passers_by), ..default })
        },
    },
    Entry {
        name: MeasuredChurn::NAME,
        summary: "hosts come, go and come back as was measured in real swarms",
        make: |peers| {
            let default = MeasuredChurn::default();
            Box::new(MeasuredChurn { hosts: peers.unwrap_or(default.hosts), ..default })
        },
    },
    Entry {
        name: HalfGone::NAME,
        summary: "half of all hosts vanish at one instant without a word",
        make: |peers| {
            let default = HalfGone::default();
            Box::new(HalfGone { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Liars::NAME,
        summary: "bad blocks, bad metadata, silence, refusals, floods, babble, and peers that never read",
        make: |peers| {
            let default = Liars::default();
            Box::new(Liars { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: LiarShare::NAME,
        summary: "three of ten lie, each in another way, about a v2 torrent",
        make: |peers| {
            let default = LiarShare::default();
            Box::new(LiarShare { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::NAME,
        summary: "homes with ten times as much down as up",
        make: |peers| {
            let default = Links { trouble: Trouble::None, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::BLOATED_NAME,
        summary: "the same, and whatever is said waits in bloated modems",
        make: |peers| {
            let default = Links { trouble: Trouble::Bloated, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::LOSSY_NAME,
        summary: "the same, and a fifth of the lines loses packets",
        make: |peers| {
            let default = Links { trouble: Trouble::Lossy, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::BLOATED_AND_LOSSY_NAME,
        summary: "the same, with bloated modems and lost packets",
        make: |peers| {
            let default = Links { trouble: Trouble::BloatedAndLossy, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::SLOW_NAME,
        summary: "the same, and a fifth has a tenth of the others' rates",
        make: |peers| {
            let default = Links { trouble: Trouble::Slow, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::TRICKLE_UP_NAME,
        summary: "the same, and one sends 1 KiB a second",
        make: |peers| {
            let default = Links { trouble: Trouble::TrickleUp, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Links::TRICKLE_NAME,
        summary: "the same, and one sends and receives 1 KiB a second",
        make: |peers| {
            let default = Links { trouble: Trouble::Trickle, ..Links::default() };
            Box::new(Links { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: FreeRiders::NAME,
        summary: "two of five give nothing, and the others leave when they have everything",
        make: |peers| {
            let default = FreeRiders::default();
            Box::new(FreeRiders { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: FreeRiders::LARGE_VIEW_NAME,
        summary: "the same, and those who give nothing connect to everybody",
        make: |peers| {
            let default = FreeRiders { trick: Trick::LargeView, ..FreeRiders::default() };
            Box::new(FreeRiders { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: FreeRiders::NEW_ADDRESSES_NAME,
        summary: "the same, and they come back under another address every half minute",
        make: |peers| {
            let default = FreeRiders { trick: Trick::NewAddresses, ..FreeRiders::default() };
            Box::new(FreeRiders { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: FreeRiders::PRAISE_NAME,
        summary: "the same, and they praise each other by claiming what another of them got",
        make: |peers| {
            let default = FreeRiders { trick: Trick::Praise, ..FreeRiders::default() };
            Box::new(FreeRiders { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Tyrants::NAME,
        summary: "a few give just enough to be given to",
        make: |peers| {
            let default = Tyrants::default();
            Box::new(Tyrants { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: FailingDisks::NAME,
        summary: "disks are full, fail, lose files; processes are killed and start again",
        make: |peers| {
            let default = FailingDisks::default();
            Box::new(FailingDisks { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: MagnetOnly::NAME,
        summary: "all but the seed have nothing but the magnet link of a v2 torrent",
        make: |peers| {
            let default = MagnetOnly::default();
            Box::new(MagnetOnly { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: MagnetOnly::DHT_NAME,
        summary: "the same without a tracker: all find each other in the DHT that they form",
        make: |peers| {
            let default = MagnetOnly { finds: Finds::Dht, ..MagnetOnly::default() };
            Box::new(MagnetOnly { leechers: peers.unwrap_or(default.leechers), ..default })
        },
    },
    Entry {
        name: Watcher::NAME,
        summary: "one watches a film while it comes from twenty, and jumps in it",
        make: |peers| {
            let default = Watcher::default();
            Box::new(Watcher { seeds: peers.unwrap_or(default.seeds), ..default })
        },
    },
    Entry {
        name: Watcher::SEQUENTIAL_NAME,
        summary: "the same, fetched in order",
        make: |peers| {
            let default = Watcher { order: Order::Sequential, ..Watcher::default() };
            Box::new(Watcher { seeds: peers.unwrap_or(default.seeds), ..default })
        },
    },
    Entry {
        name: Watcher::RAREST_NAME,
        summary: "the same, fetched rarest first",
        make: |peers| {
            let default = Watcher { order: Order::RarestFirst, ..Watcher::default() };
            Box::new(Watcher { seeds: peers.unwrap_or(default.seeds), ..default })
        },
    },
    Entry {
        name: Watcher::CROWD_NAME,
        summary: "one watches while a crowd of 60 fetches the same",
        make: |peers| {
            let default = Watcher {
                seeds: 1,
                crowd: 60,
                comes_after_s: 60,
                pieces: 1000,
                ..Watcher::default()
            };
            Box::new(Watcher { crowd: peers.unwrap_or(default.crowd), ..default })
        },
    },
];

/// What homes have: 1 MiB/s up, 4 MiB/s down.
pub(crate) fn home(start: Start) -> HostPlan {
    HostPlan::new(start, Rate::kib_per_s(1024), Rate::kib_per_s(4096))
}

/// What homes have, from a quarter of that to four times as much.
pub(crate) fn some_home(start: Start, rng: &mut Rng) -> HostPlan {
    let factor = 4f64.powf(rng.unit() * 2.0 - 1.0);
    let kib = (1024.0 * factor) as u64;
    HostPlan::new(start, Rate::kib_per_s(kib), Rate::kib_per_s(4 * kib))
}

/// A seed with a fast line: 4 MiB/s both ways.
pub(crate) fn seed() -> HostPlan {
    HostPlan::new(Start::Everything, Rate::kib_per_s(4096), Rate::kib_per_s(4096))
}
