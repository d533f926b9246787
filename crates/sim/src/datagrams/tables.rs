//! The tables about the DHT of `docs/performance.md` and `docs/protocols/dht.md`, as Markdown.

use super::crawl::crawl;
use super::manners::manners;
use super::net::{Conditions, Net};
use super::search::{Outcomes, Search};
use crate::chart::lines::{self, Panel};
use crate::chart::thousands;
use crate::tables::{head, row};
use althing_base::time::Duration;

/// What a network of some size costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How many nodes there are.
    pub nodes: usize,
    /// Nodes in a table, on average.
    pub table: f64,
    /// Questions until a peer was found: the median.
    pub asked_to_find: u32,
    /// How long that took: the median.
    pub time_to_find: Duration,
    /// Questions of a whole search for the nearest nodes: the median, and what 95 of 100 take at the most.
    pub asked: (u32, u32),
    /// How long it took: the median, and what 95 of 100 take at the most.
    pub took: (Duration, Duration),
    /// The part of the nearest nodes that it found.
    pub right: f64,
    /// Messages that a node sends in a second when nobody searches, answers included.
    pub messages_per_s: f64,
    /// Their bytes without headers.
    pub bytes_per_s: f64,
}

/// Numbers of nodes.
const SIZES: [usize; 7] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];

/// Searches of each kind in a network, at the most.
const SEARCHES: usize = 1_000;

/// How long nobody searches before what rests is measured, and while it is: twice what a node counts as good
/// without being asked.
const REST: Duration = Duration::from_secs(15 * 60);

/// Where marks are to hold.
const MARK_NODES: usize = 10_000;

/// Names around a key, and keys that are surrounded one after the other.
const SYBILS: (usize, usize) = (1_000, 10);

/// Measures networks of up to `most` nodes.
pub fn costs(seed: u64, most: usize) -> Vec<Cost> {
    SIZES.iter().filter(|nodes| **nodes <= most).map(|nodes| cost(seed, *nodes)).collect()
}

/// Measures a network of so many nodes.
pub fn cost(seed: u64, nodes: usize) -> Cost {
    let mut net = Net::new(seed, nodes, Conditions::default());
    net.run(REST);
    let before = net.traffic();
    net.run(REST);
    let after = net.traffic();
    let per_s = |count: u64| count as f64 / nodes as f64 / REST.as_secs_f64();
    let tables: usize = net.honest().filter_map(|at| Some(net.stats(at)?.nodes[0])).sum();
    let searches = SEARCHES.min(4 * nodes);
    let keys = net.announce(searches);
    let found = net.search_all(keys.into_iter().map(Search::Peer));
    let names: Vec<_> = (0..searches).map(|_| Search::Nodes(net.name())).collect();
    let nearest = net.search_all(names);
    Cost {
        nodes,
        table: tables as f64 / nodes as f64,
        asked_to_find: found.asked_to_find(0.5),
        time_to_find: found.time_to_find(0.5),
        asked: (nearest.asked(0.5), nearest.asked(0.95)),
        took: (nearest.took(0.5), nearest.took(0.95)),
        right: nearest.right(),
        messages_per_s: per_s(after.messages - before.messages),
        bytes_per_s: per_s(after.bytes - before.bytes),
    }
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// What networks cost, as a table.
pub fn markdown(costs: &[Cost]) -> String {
    let mut text = head(&[
        "nodes",
        "in a table",
        "calls until found",
        "time until found",
        "calls, whole lookup",
        "time, whole lookup",
        "of the 8 nearest, found",
        "at rest, messages/s",
        "at rest, bytes/s",
    ]);
    for cost in costs {
        let cells = [
            thousands(cost.nodes as u64),
            format!("{:.0}", cost.table),
            cost.asked_to_find.to_string(),
            millis(cost.time_to_find),
            format!("{} (95 %: {})", cost.asked.0, cost.asked.1),
            format!("{} (95 %: {})", millis(cost.took.0), millis(cost.took.1)),
            percent(cost.right),
            format!("{:.2}", cost.messages_per_s),
            format!("{:.0}", cost.bytes_per_s),
        ];
        row(&mut text, &cells);
    }
    text
}

/// What networks cost, as a picture.
pub fn svg(costs: &[Cost]) -> String {
    let line = |value: fn(&Cost) -> f64| -> Vec<(f64, f64)> {
        costs.iter().map(|cost| (cost.nodes as f64, value(cost))).collect()
    };
    let panels = [
        Panel {
            title: "Calls (median)",
            lines: vec![
                ("whole lookup", line(|cost| f64::from(cost.asked.0))),
                ("until a peer is found", line(|cost| f64::from(cost.asked_to_find))),
            ],
        },
        Panel {
            title: "Time, ms (median; 10 to 100 ms one way)",
            lines: vec![
                ("whole lookup", line(|cost| cost.took.0.as_secs_f64() * 1e3)),
                ("until a peer is found", line(|cost| cost.time_to_find.as_secs_f64() * 1e3)),
            ],
        },
        Panel { title: "Nodes in a table", lines: vec![("on average", line(|cost| cost.table))] },
        Panel {
            title: "Messages a second that a node sends at rest",
            lines: vec![("answers included", line(|cost| cost.messages_per_s))],
        },
    ];
    lines::svg("The DHT from 100 to 100,000 nodes", &panels)
}

/// What a network does when it does badly.
pub(crate) fn marks(seed: u64, nodes: Option<u32>) -> String {
    let nodes = nodes.map_or(MARK_NODES, |nodes| nodes as usize);
    let mut text = head(&[
        "network",
        "found",
        "calls until found",
        "time until found",
        "calls, whole search",
        "time, whole search",
    ]);
    let mut line = |what: &str, outcomes: &Outcomes| {
        let cells = [
            what.to_owned(),
            percent(outcomes.found()),
            outcomes.asked_to_find(0.5).to_string(),
            millis(outcomes.time_to_find(0.5)),
            format!("{} (95 %: {})", outcomes.asked(0.5), outcomes.asked(0.95)),
            format!("{} (95 %: {})", millis(outcomes.took(0.5)), millis(outcomes.took(0.95))),
        ];
        row(&mut text, &cells);
    };
    let calm = Conditions::default();
    for (what, conditions, dead) in [
        ("all is well", calm, 0.0),
        ("1 % of datagrams lost", Conditions { loss: 0.01, ..calm }, 0.0),
        ("10 % of datagrams lost", Conditions { loss: 0.1, ..calm }, 0.0),
        ("30 % behind NATs", Conditions { behind_nat: 0.3, ..calm }, 0.0),
        ("30 % dead", calm, 0.3),
        ("half dead", calm, 0.5),
        ("70 % dead", calm, 0.7),
    ] {
        let mut net = Net::new(seed, nodes, conditions);
        let keys = net.announce(SEARCHES);
        net.kill(dead);
        line(what, &net.search_all(keys.into_iter().map(Search::Peer)));
    }
    let (count, keys) = SYBILS;
    for (what, before) in [("before it is announced", true), ("afterwards", false)] {
        let mut net = Net::new(seed, nodes, calm);
        let mut all = Outcomes::default();
        for _ in 0..keys {
            all.0.extend(surrounded(&mut net, count, SEARCHES / keys, before).0);
        }
        let what = format!("{} Sybils around the key, there {what}", thousands(count as u64));
        line(&what, &all);
    }
    text
}

/// A key with a crowd around it, announced when the crowd is there or before it comes, and searched for.
pub fn surrounded(net: &mut Net, crowd: usize, searches: usize, before: bool) -> Outcomes {
    let info_hash = net.name();
    let early = (!before).then(|| net.announce_these(&[info_hash]));
    let crowd = net.gather_crowd(info_hash, crowd);
    let key = early.unwrap_or_else(|| net.announce_these(&[info_hash]));
    let found = net.search_all(key.into_iter().cycle().take(searches).map(Search::Peer));
    net.disperse_crowd(crowd);
    found
}

/// How a node behaves that has thousands of torrents.
pub(crate) fn behaviour(seed: u64, nodes: Option<u32>) -> String {
    let nodes = nodes.map_or(MARK_NODES, |nodes| nodes as usize);
    let mut text = head(&[
        "nodes, torrents",
        "one node gets at most, in 1 s",
        "in 10 s",
        "in 1 h",
        "messages/s, all",
        "in the busiest minute",
        "searches a minute",
        "in the busiest minute",
        "a torrent's searches are apart",
    ]);
    for (nodes, torrents) in [(nodes, 500), (nodes, 5_000), (nodes / 50, 5_000)] {
        let found = manners(seed, nodes, torrents, Duration::from_secs(2 * 3_600));
        let cells = [
            format!("{}, {}", thousands(nodes as u64), thousands(torrents as u64)),
            found.per_node_in_1_s.to_string(),
            found.per_node_in_10_s.to_string(),
            found.per_node_in_1_h.to_string(),
            format!("{:.0}", found.per_s),
            format!("{:.0}", found.per_s_in_peak_minute),
            format!("{:.0}", found.searches_per_min),
            found.searches_in_peak_minute.to_string(),
            format!("{} to {} min", found.apart_s_min / 60, found.apart_s_max.div_ceil(60)),
        ];
        row(&mut text, &cells);
    }
    text
}

/// What a crawler finds, and how many questions that takes.
pub(crate) fn crawled(seed: u64, nodes: Option<u32>) -> String {
    let nodes = nodes.unwrap_or(1_000) as usize;
    let mut text =
        head(&["network", "after", "questions", "answered", "found", "torrents a question"]);
    let bad = Conditions { loss: 0.05, behind_nat: 0.3 };
    for (what, conditions) in [("good", Conditions::default()), ("5 % lost, 30 % behind NATs", bad)]
    {
        let torrents = 2 * nodes;
        let looks = (24, Duration::from_secs(5 * 60));
        let looks = crawl(seed, (nodes, torrents), conditions, 2, looks);
        for at in [0, 1, 2, 5, 11, 23] {
            let Some(look) = looks.get(at) else { continue };
            let per_question = look.found * torrents as f64 / look.stats.asked.max(1) as f64;
            let cells = [
                what.to_owned(),
                format!("{} min", look.after.as_secs() / 60),
                thousands(look.stats.asked),
                thousands(look.stats.answered),
                format!("{:.1} %", 100.0 * look.found),
                format!("{per_question:.2}"),
            ];
            row(&mut text, &cells);
        }
    }
    text
}
