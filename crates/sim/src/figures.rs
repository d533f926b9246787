//! The tables of `docs/simulator.md`: who is served how, under which policy.

use crate::report::Report;
use crate::scenario::{self, FreeRiders, Policies, Scenario, Trick, Tyrants};
use althing_bittorrent::metainfo::MetainfoError;
use althing_bittorrent::swarm::{ChokerKind, SeedingKind};
use std::fmt::Write as _;

const CHOKERS: [(&str, ChokerKind); 2] =
    [("tit-for-tat", ChokerKind::TitForTat), ("proportional", ChokerKind::Proportional)];

const SEEDINGS: [(&str, SeedingKind); 4] = [
    ("rare", SeedingKind::Rare),
    ("fastest", SeedingKind::Fastest),
    ("round-robin", SeedingKind::RoundRobin),
    ("grateful", SeedingKind::Grateful),
];

/// Parts of a crowd that give nothing, in percent.
const PARTS: [u32; 3] = [10, 40, 70];

/// Parts of it that give strategically.
const STRATEGIC_PARTS: [u32; 3] = [5, 10, 40];

/// The line of a table: when the median of the crowd was through, when that of the others, how much
/// longer that is, and where the others had theirs from.
fn line(report: &Report, others: &str) -> Option<String> {
    let (others, crowd) = (report.groups.get(others)?, report.groups.get("crowd")?);
    let (crowd_s, others_s) = (crowd.completion.median_s, others.expected_s);
    let mib = |bytes: u64| bytes >> 20;
    let from = others.sources;
    Some(format!(
        "{crowd_s:.0} s | {others_s:.0} s | {:.2} | {} | {} | {} |",
        others_s / crowd_s,
        mib(from.fetching_bytes),
        mib(from.first_seeds_bytes),
        mib(from.finished_bytes)
    ))
}

/// A row for each policy and what is tried on it; written as Markdown. `leechers` bounds the size of
/// the runs.
///
/// # Errors
/// A torrent cannot be made.
pub fn fairness(seed: u64, leechers: u32) -> Result<String, MetainfoError> {
    let mut text = String::new();
    let mut row = |what: &str, scenario: &dyn Scenario, group: &str| {
        let report = scenario::run(scenario, seed)?;
        if let Some(line) = line(&report, group) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {what} | {line}");
        }
        Ok::<(), MetainfoError>(())
    };
    for (name, choker) in CHOKERS {
        let policies = Policies { choker, ..Policies::default() };
        let base = FreeRiders { leechers, policies, ..FreeRiders::default() };
        for (trick, suffix) in [(Trick::None, ""), (Trick::LargeView, ", large view")] {
            for percent in PARTS {
                let scenario = FreeRiders { percent, trick, ..base };
                row(&format!("{name}; {percent} % free-riders{suffix}"), &scenario, "free-riders")?;
            }
        }
        let slow = FreeRiders { fast_seed: false, ..base };
        let what = format!("{name}; 40 % free-riders, a seed as slow as the others");
        row(&what, &slow, "free-riders")?;
        for (trick, what) in [
            (Trick::NewAddresses, "who change their address every half minute"),
            (Trick::Praise, "who praise each other"),
        ] {
            let scenario = FreeRiders { trick, ..base };
            row(&format!("{name}; 40 % free-riders {what}"), &scenario, "free-riders")?;
        }
        for percent in STRATEGIC_PARTS {
            let tyrants = leechers * percent / 100;
            let scenario = Tyrants { leechers, tyrants, policies, ..Tyrants::default() };
            row(&format!("{name}; {percent} % strategic hosts"), &scenario, "strategic")?;
        }
        for (seeding_name, seeding) in SEEDINGS {
            let policies = Policies { choker, seeding };
            let scenario = FreeRiders { lingers_s: 60, policies, ..base };
            let what = format!("{name}, {seeding_name}; 40 % free-riders, others stay a minute");
            row(&what, &scenario, "free-riders")?;
        }
    }
    Ok(text)
}
