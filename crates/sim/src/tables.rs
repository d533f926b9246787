//! The tables of `docs/simulator.md` that are not about fairness, and those about the DHT, as Markdown: one
//! command makes each.

use crate::datagrams;
use crate::plan::{Behaviour, Order};
use crate::report::Report;
use crate::scenario::{
    self, FlashCrowd, LiarShare, Links, MeasuredChurn, Policies, Scenario, Sessions, Trouble,
    Watcher,
};
use althing_bittorrent::metainfo::MetainfoError;
use althing_bittorrent::swarm::{ChokerKind, SeedingKind};
use std::fmt::Write as _;

/// Writes the rows of one table. The number is the seed, the other, if there is one, how many hosts
/// fetch instead of as many as in the documentation.
type Make = fn(u64, Option<u32>) -> Result<String, MetainfoError>;

/// All tables, by name.
pub const TABLES: &[(&str, Make)] = &[
    ("crowd", crowd),
    ("liars", liars),
    ("lines", lines),
    ("churn", churn),
    ("play", play),
    ("dht", dht),
    ("dht-marks", |seed, nodes| Ok(datagrams::tables::marks(seed, nodes))),
    ("dht-crawl", |seed, nodes| Ok(datagrams::tables::crawled(seed, nodes))),
    ("dht-manners", |seed, nodes| Ok(datagrams::tables::behaviour(seed, nodes))),
];

/// One table. Which ones there are [`TABLES`] says.
///
/// # Errors
/// A torrent cannot be made.
pub fn table(make: Make, seed: u64, peers: Option<u32>) -> Result<String, MetainfoError> {
    make(seed, peers)
}

/// The head of a table.
pub(crate) fn head(columns: &[&str]) -> String {
    let titles = columns.join(" | ");
    let rule = vec!["---"; columns.len()].join(" | ");
    format!("| {titles} |\n| {rule} |\n")
}

pub(crate) fn row(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Runs a scenario. A run in which something happened that must not, or that did not end, is not
/// one whose figures mean anything: that is what its row says.
fn measure(
    text: &mut String,
    what: &str,
    scenario: &dyn Scenario,
    seed: u64,
    cells: impl FnOnce(&Report) -> Vec<String>,
) -> Result<Report, MetainfoError> {
    let report = scenario::run(scenario, seed)?;
    let mut all = vec![what.to_owned()];
    if report.is_good() {
        all.extend(cells(&report));
    } else {
        let violations = report.violations_total;
        all.push(format!("FAILED: in time: {}, {violations} violations", report.in_time));
    }
    row(text, &all);
    Ok(report)
}

fn seconds(s: f64) -> String {
    if s < 10.0 { format!("{s:.2} s") } else { format!("{s:.0} s") }
}

fn times(factor: f64) -> String {
    format!("{factor:.2}")
}

/// The part of what was received that was of no use.
fn wasted(report: &Report) -> String {
    let part = report.wasted_bytes as f64 / report.received_bytes.max(1) as f64;
    format!("{:.1} %", 100.0 * part)
}

/// A flash crowd against the ideal.
fn crowd(seed: u64, peers: Option<u32>) -> Result<String, MetainfoError> {
    let leechers = peers.unwrap_or(300);
    let columns =
        ["crowd", "ideal", "median", "last", "last by ideal", "one copy out after", "wasted"];
    let mut text = head(&columns);
    for (what, pieces, mixed_lines) in
        [("equal lines, 250 MiB", 1000, false), ("mixed lines, 100 MiB", 400, true)]
    {
        let scenario = FlashCrowd { leechers, pieces, mixed_lines };
        measure(&mut text, &format!("{leechers}, {what}"), &scenario, seed, |report| {
            let ideal = report.ideal_s.unwrap_or(f64::NAN);
            let completion = report.completion;
            vec![
                seconds(ideal),
                seconds(completion.median_s),
                seconds(completion.last_s),
                times(completion.last_s / ideal),
                seconds(report.one_copy_out_s.unwrap_or(f64::NAN)),
                wasted(report),
            ]
        })?;
    }
    Ok(text)
}

/// Ways to lie, in words.
const LIES: [(&str, Behaviour); 8] = [
    ("only false blocks", Behaviour::BadBlocks { share: 1.0 }),
    ("one false block in twenty", Behaviour::BadBlocks { share: 0.05 }),
    ("false metadata", Behaviour::BadMetadata),
    ("a false size of the metadata", Behaviour::WrongMetadataSize),
    ("false hashes", Behaviour::BadHashes),
    ("claim everything, send nothing", Behaviour::Silent),
    ("claim everything, refuse", Behaviour::Refuser),
    ("say all sorts of things", Behaviour::Babbler),
];

const CHOKERS: [(&str, ChokerKind); 2] =
    [("tit-for-tat", ChokerKind::TitForTat), ("proportional", ChokerKind::Proportional)];

/// Liars: how many, of which kind, under which policy.
fn liars(seed: u64, peers: Option<u32>) -> Result<String, MetainfoError> {
    let leechers = peers.unwrap_or(60);
    let columns = ["who lies", "median", "last", "last by last without", "wasted", "found out"];
    let mut text = head(&columns);
    let cells = |report: &Report, without: f64| {
        vec![
            seconds(report.completion.median_s),
            seconds(report.completion.last_s),
            times(report.completion.last_s / without),
            wasted(report),
            format!("{} of {}", report.banned_liars, report.liars),
        ]
    };
    let default = LiarShare { leechers, ..LiarShare::default() };
    let mut alone = f64::NAN;
    for (policy, choker) in CHOKERS {
        let policies = Policies { choker, ..Policies::default() };
        let mut without = f64::NAN;
        for percent in [0, 10, 30, 50] {
            let what = format!("{policy}: {percent} %, of all kinds");
            let scenario = LiarShare { percent, policies, ..default };
            measure(&mut text, &what, &scenario, seed, |report| {
                if percent == 0 {
                    without = report.completion.last_s;
                }
                cells(report, without)
            })?;
        }
        if alone.is_nan() {
            alone = without;
        }
    }
    for (policy, seeding) in [
        ("fastest", SeedingKind::Fastest),
        ("round-robin", SeedingKind::RoundRobin),
        ("grateful", SeedingKind::Grateful),
    ] {
        let policies = Policies { seeding, ..Policies::default() };
        let scenario = LiarShare { policies, ..default };
        let what = format!("tit-for-tat, seeds {policy}: 30 %, of all kinds");
        measure(&mut text, &what, &scenario, seed, |report| cells(report, alone))?;
    }
    for (lie, kind) in LIES {
        let scenario = LiarShare { kind: Some(kind), ..default };
        let what = format!("tit-for-tat: 30 %, {lie}");
        measure(&mut text, &what, &scenario, seed, |report| cells(report, alone))?;
    }
    Ok(text)
}

/// Clogged and asymmetric lines.
fn lines(seed: u64, peers: Option<u32>) -> Result<String, MetainfoError> {
    let leechers = peers.unwrap_or(60);
    let columns =
        ["lines", "ideal", "median", "last", "last by ideal", "a message waits", "wasted"];
    let mut text = head(&columns);
    for (what, trouble) in [
        ("256 KiB/s up, 2560 down", Trouble::None),
        ("modems take in 256 KiB", Trouble::Bloated),
        ("a fifth loses 1 % of packets", Trouble::Lossy),
        ("both", Trouble::BloatedAndLossy),
        ("a fifth has a tenth of the rates", Trouble::Slow),
        ("one sends 1 KiB/s", Trouble::TrickleUp),
        ("one sends and receives 1 KiB/s, the others", Trouble::Trickle),
    ] {
        let scenario = Links { leechers, trouble, ..Links::default() };
        measure(&mut text, what, &scenario, seed, |report| {
            let ideal = report.ideal_s.unwrap_or(f64::NAN);
            vec![
                seconds(ideal),
                seconds(report.completion.median_s),
                seconds(report.completion.last_s),
                times(report.completion.last_s / ideal),
                format!("{:.0} ms", 1000.0 * report.waited_in_modems_s),
                wasted(report),
            ]
        })?;
    }
    Ok(text)
}

/// Churn by measured session lengths.
fn churn(seed: u64, peers: Option<u32>) -> Result<String, MetainfoError> {
    let default = MeasuredChurn::default();
    let hosts = peers.unwrap_or(default.hosts);
    let columns = ["sessions", "through", "median", "nine of ten", "median, while there", "wasted"];
    let mut text = head(&columns);
    for (what, sessions) in [
        ("nobody goes before the end", None),
        ("FlatOut: k 0.59, λ 41.9 min", Some(Sessions::FLATOUT)),
        ("Debian: k 0.38, λ 42.4 min", Some(Sessions::DEBIAN)),
        ("Red Hat: k 0.34, λ 21.3 min", Some(Sessions::RED_HAT)),
    ] {
        let scenario = MeasuredChurn { sessions, hosts, ..default };
        measure(&mut text, what, &scenario, seed, |report| {
            vec![
                format!("{} of {hosts}", report.completion.hosts),
                seconds(report.completion.median_s),
                seconds(report.completion.ninth_s),
                seconds(report.running.median_s),
                wasted(report),
            ]
        })?;
    }
    Ok(text)
}

/// What somebody waits for who watches.
fn play(seed: u64, peers: Option<u32>) -> Result<String, MetainfoError> {
    let crowd = peers.unwrap_or(60);
    let columns = ["who is there", "order", "start: 1 MiB", "4 MiB", "jump: 1 MiB", "4 MiB"];
    let mut text = head(&columns);
    let alone = Watcher { seeds: 1, pieces: 400, ..Watcher::default() };
    let early = Watcher { crowd, comes_after_s: 10, ..alone };
    let late = Watcher { crowd, comes_after_s: 50, ..alone };
    for (what, scenario) in [
        ("one seed".to_owned(), alone),
        ("20 seeds".to_owned(), Watcher { pieces: 400, ..Watcher::default() }),
        (format!("one seed and {crowd} who came 10 s before"), early),
        (format!("one seed and {crowd} who came 50 s before"), late),
    ] {
        for (name, order) in [
            ("deadlines", Order::Deadlines),
            ("in order", Order::Sequential),
            ("rarest first", Order::RarestFirst),
        ] {
            let report = scenario::run(&Watcher { order, ..scenario }, seed)?;
            let wait = |view: usize, mark: usize| {
                report.views.get(view).and_then(|view| view.waited_s.get(mark)).copied()
            };
            // Of both jumps the one that took longer.
            let jump = |mark| Some(wait(1, mark)?.max(wait(2, mark)?));
            // The next jump comes after 10 s.
            let cell = |s: Option<f64>| s.map_or("> 10 s".to_owned(), seconds);
            let waits = [wait(0, 0), wait(0, 1), jump(0), jump(1)].map(cell);
            let mut cells = vec![what.clone(), name.to_owned()];
            if report.is_good() {
                cells.extend(waits);
            } else {
                cells.push("FAILED".to_owned());
            }
            row(&mut text, &cells);
        }
    }
    Ok(text)
}

/// What the DHT costs in networks of up to so many nodes.
fn dht(seed: u64, nodes: Option<u32>) -> Result<String, MetainfoError> {
    let most = nodes.map_or(usize::MAX, |nodes| nodes as usize);
    Ok(datagrams::tables::markdown(&datagrams::tables::costs(seed, most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of a small table has all its cells, and no run in it failed.
    #[test]
    fn rows_are_whole() {
        for make in [lines, churn] {
            let text = table(make, 1, Some(4)).expect("torrents");
            let cells = |line: &str| line.matches('|').count();
            let columns = text.lines().next().map_or(0, cells);
            assert!(text.lines().count() > 4, "{text}");
            assert!(text.lines().all(|line| cells(line) == columns), "{text}");
        }
    }
}
