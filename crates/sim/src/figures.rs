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

/// How far the hosts of a group were when those of the other had everything, and how much longer the
/// median needed.
fn compare(report: &Report, group: &str, crowd: &str) -> Option<(f64, f64, f64)> {
    let (group, crowd) = (report.groups.get(group)?, report.groups.get(crowd)?);
    let crowd_s = crowd.completion.median_s;
    Some((crowd_s, group.expected_s, group.expected_s / crowd_s))
}

/// A row for each policy; written as Markdown. `leechers` bounds the size of the runs.
///
/// # Errors
/// A torrent cannot be made.
pub fn fairness(seed: u64, leechers: u32) -> Result<String, MetainfoError> {
    let mut text = String::new();
    let mut row = |what: &str, scenario: &dyn Scenario, group: &str| {
        let report = scenario::run(scenario, seed)?;
        if let Some((crowd, group, ratio)) = compare(&report, group, "crowd") {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {what} | {crowd:.0} s | {group:.0} s | {ratio:.2} |");
        }
        Ok::<(), MetainfoError>(())
    };
    for (name, choker) in CHOKERS {
        let tried =
            [(10, Trick::None), (40, Trick::None), (70, Trick::None), (40, Trick::LargeView)];
        for (percent, trick) in tried {
            let policies = Policies { choker, ..Policies::default() };
            let scenario =
                FreeRiders { leechers, percent, trick, policies, ..FreeRiders::default() };
            let view = if trick == Trick::LargeView { ", large view" } else { "" };
            row(&format!("{name}, rare; {percent} % free-riders{view}"), &scenario, "free-riders")?;
        }
        let policies = Policies { choker, ..Policies::default() };
        let scenario = FreeRiders { leechers, fast_seed: false, policies, ..FreeRiders::default() };
        let what = format!("{name}, rare; 40 % free-riders, a seed as slow as the others");
        row(&what, &scenario, "free-riders")?;
        for (seeding_name, seeding) in SEEDINGS {
            let policies = Policies { choker, seeding };
            let scenario =
                FreeRiders { leechers, lingers_s: 60, policies, ..FreeRiders::default() };
            let what = format!("{name}, {seeding_name}; 40 % free-riders, others stay a minute");
            row(&what, &scenario, "free-riders")?;
        }
        let policies = Policies { choker, ..Policies::default() };
        let scenario = Tyrants { leechers, policies, ..Tyrants::default() };
        row(&format!("{name}; 4 strategic hosts"), &scenario, "strategic")?;
    }
    Ok(text)
}
