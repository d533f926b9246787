//! The tables about the overlay of `docs/performance.md`, as Markdown.

use super::marks::{self, Spread};
use super::net::{Conditions, Death, Net};
use super::search::{self, Cost};
use crate::chart::thousands;
use crate::tables::{head, row};
use althing_base::time::Duration;
use althing_overlay::io::Via;

/// How many nodes there are unless somebody says otherwise.
pub const NODES: usize = 10_000;

/// Writes the rows of one table, from a seed, with so many nodes.
type Make = fn(u64, usize) -> String;

/// All tables, by name.
pub const TABLES: &[(&str, Make)] = &[
    ("broadcast", broadcast),
    ("failure", failure),
    ("partition", partition),
    ("rest", rest),
    ("busy", busy),
    ("search", search),
    ("mail", super::mail::table),
];

fn time(took: Option<Duration>) -> String {
    took.map_or("–".into(), |took| format!("{:.2} s", took.as_secs_f64()))
}

fn percent(part: f64) -> String {
    // Not rounded up: all but one is not all.
    format!("{:.2} %", (part * 10_000.0).floor() / 100.0)
}

fn spread_row(text: &mut String, what: &str, spread: &Spread) {
    let cells = [
        what.to_owned(),
        percent(spread.reached),
        format!("{:.2}", spread.copies),
        time(spread.took.0),
        time(spread.took.1),
        time(spread.took.2),
        spread.hops.to_string(),
    ];
    row(text, &cells);
}

const SPREAD: [&str; 7] =
    ["record", "reached", "copies a node", "half after", "99 % after", "last after", "hops"];

/// How news spreads when all is well, and when some is lost or a third cannot be called.
fn broadcast(seed: u64, nodes: usize) -> String {
    let networks = [
        ("", Conditions::default()),
        (", 2 % lost", Conditions { loss: 0.02, ..Conditions::default() }),
        (", 60 % behind NATs", Conditions { behind_nat: 0.6, ..Conditions::default() }),
    ];
    let mut text = head(&SPREAD);
    let ordinal = |number| ["second", "third", "fourth", "fifth"][number];
    for (name, conditions) in networks {
        let mut net = Net::new(seed, nodes, conditions);
        let spread = marks::publish(&mut net);
        spread_row(&mut text, &format!("first{name}"), &spread);
        for number in 0..4 {
            let spread = marks::publish(&mut net);
            spread_row(&mut text, &format!("{}{name}", ordinal(number)), &spread);
        }
        let later: Vec<_> = (0..20).map(|_| marks::publish(&mut net)).collect();
        spread_row(&mut text, &format!("worst of 20 later{name}"), &worst(&later));
    }
    text
}

/// The worst of each.
fn worst(spreads: &[Spread]) -> Spread {
    let most = |of: fn(&Spread) -> Option<Duration>| spreads.iter().map(of).max().flatten();
    Spread {
        reached: spreads.iter().map(|spread| spread.reached).fold(1.0, f64::min),
        copies: spreads.iter().map(|spread| spread.copies).fold(0.0, f64::max),
        took: (most(|s| s.took.0), most(|s| s.took.1), most(|s| s.took.2)),
        hops: spreads.iter().map(|spread| spread.hops).max().unwrap_or(0),
    }
}

/// How news spreads after many have died at once.
fn failure(seed: u64, nodes: usize) -> String {
    let columns = [
        "die at once",
        "how",
        "record",
        "living that had it",
        "within 10 s",
        "within 30 s",
        "within 60 s",
        "last after",
        "copies a living node since",
    ];
    let mut text = head(&columns);
    for (part, death) in
        [0.5, 0.9].into_iter().flat_map(|part| [(part, Death::Closed), (part, Death::Silent)])
    {
        let mut net = marks::trained(seed, nodes, Conditions::default());
        let failure = marks::failure(&mut net, part, death);
        let living = &failure.living;
        let named = [
            ("in flight", failure.in_flight, failure.had, failure.sent),
            ("1 s later", failure.next, 0, 0),
            ("61 s later", failure.later, 0, 0),
        ];
        for (what, id, had, sent) in named {
            let news = net.news(id);
            let within = |s| {
                let count = news.count(living, Duration::from_secs(s));
                percent(count as f64 / living.len() as f64)
            };
            let spread = Spread::of(&news, living);
            let cells = [
                percent(part),
                if death == Death::Closed { "closed".into() } else { "silent".into() },
                what.to_owned(),
                thousands(had as u64),
                within(10),
                within(30),
                within(60),
                time(spread.took.2),
                format!("{:.2}", (news.copies - sent) as f64 / living.len() as f64),
            ];
            row(&mut text, &cells);
        }
    }
    text
}

/// A network that is split and mended.
fn partition(seed: u64, nodes: usize) -> String {
    let columns = [
        "split for",
        "published on each side",
        "reached on its own side",
        "everything everywhere after",
        "the next: reached",
        "copies a node",
        "last after",
    ];
    let mut text = head(&columns);
    for minutes in [2, 10, 60] {
        let mut net = marks::trained(seed, nodes, Conditions::default());
        let split = Duration::from_secs(60 * minutes);
        let split = marks::split(&mut net, split, 5, Duration::from_secs(3_600));
        let cells = [
            format!("{minutes} min"),
            "5".to_owned(),
            percent(split.own_side),
            time(split.mended_after),
            percent(split.later.reached),
            format!("{:.2}", split.later.copies),
            time(split.later.took.2),
        ];
        row(&mut text, &cells);
    }
    text
}

/// A table of two columns: what, and how much of it.
fn pairs<const N: usize>(title: &str, rows: [(&str, String); N]) -> String {
    let mut text = head(&[title, ""]);
    for (what, cell) in rows {
        row(&mut text, &[what.to_owned(), cell]);
    }
    text
}

/// What a network costs in which nobody says anything, and what it is like.
fn rest(seed: u64, nodes: usize) -> String {
    const REST: Duration = Duration::from_secs(1_800);
    let mut net = marks::trained(seed, nodes, Conditions::default());
    net.run(REST);
    let before = net.traffic();
    net.run(REST);
    let after = net.traffic();
    let per = |count: u64| count as f64 / nodes as f64 / REST.as_secs_f64();
    let stats: Vec<_> = net.alive().iter().filter_map(|at| net.stats(*at)).collect();
    let mean = |of: &dyn Fn(&althing_overlay::machine::Stats) -> usize| {
        stats.iter().map(of).sum::<usize>() as f64 / nodes as f64
    };
    let neighbours = |s: &althing_overlay::machine::Stats| s.views.outgoing + s.views.incoming;
    let rows = [
        ("messages a second and node", format!("{:.3}", per(after.messages - before.messages))),
        ("bytes a second and node", format!("{:.1}", per(after.bytes - before.bytes))),
        ("things happening a second and node", format!("{:.3}", per(after.events - before.events))),
        ("calls an hour and node", format!("{:.1}", 3_600.0 * per(after.dials - before.dials))),
        (
            "questions to the meeting place, an hour and node",
            format!("{:.2}", 3_600.0 * per(after.meetings - before.meetings)),
        ),
        ("neighbours", format!("{:.2}", mean(&neighbours))),
        ("the fewest neighbours", stats.iter().map(neighbours).min().unwrap_or(0).to_string()),
        ("the most neighbours", stats.iter().map(neighbours).max().unwrap_or(0).to_string()),
        ("eager links", format!("{:.2}", mean(&|s| s.eager))),
        ("others that are known", format!("{:.1}", mean(&|s| s.views.passive))),
        ("things that have happened in all", thousands(after.events)),
        ("fingerprint of the run", format!("{:016x}", net.hash())),
    ];
    pairs("at rest", rows)
}

/// A network in which five records are published each second, and how much happens.
fn busy(seed: u64, nodes: usize) -> String {
    let mut net = marks::trained(seed, nodes, Conditions::default());
    let all = net.alive();
    let before = net.traffic();
    // Nobody twice: what an author says replaces what he said before.
    let count = all.len().min(300);
    let news: Vec<_> = (0..count)
        .map(|number| {
            let id = net.publish(all[number * all.len() / count]);
            net.run(Duration::from_millis(200));
            id
        })
        .collect();
    net.run(marks::CALM);
    let after = net.traffic();
    let spreads: Vec<_> = news.iter().map(|id| Spread::of(&net.news(*id), &all)).collect();
    let worst = worst(&spreads);
    let copies = spreads.iter().map(|spread| spread.copies).sum::<f64>() / spreads.len() as f64;
    let each = |count: u64| format!("{:.2}", count as f64 / nodes as f64 / spreads.len() as f64);
    let rows = [
        ("records", spreads.len().to_string()),
        ("reached, the least of all", percent(worst.reached)),
        ("copies a node, on average", format!("{copies:.2}")),
        ("99 % after, the longest of all", time(worst.took.1)),
        ("messages a record and node", each(after.messages - before.messages)),
        ("bytes a record and node", each(after.bytes - before.bytes)),
        ("things that have happened in all", thousands(after.events)),
        ("fingerprint of the run", format!("{:016x}", net.hash())),
    ];
    pairs("five records a second", rows)
}

/// What it costs to find something, and whether it is found.
fn search(seed: u64, nodes: usize) -> String {
    let columns = [
        "what",
        "how",
        "found",
        "messages, mean",
        "99 %",
        "most",
        "kB, mean",
        "first answer: half after",
        "99 % after",
        "busiest node: messages a question",
    ];
    let mut text = head(&columns);
    let mut line = |what: &str, how: &str, cost: &Cost| {
        let cells = [
            what.to_owned(),
            how.to_owned(),
            percent(cost.found),
            format!("{:.0}", cost.messages.0),
            thousands(cost.messages.1),
            thousands(cost.messages.2),
            format!("{:.1}", cost.bytes / 1_000.0),
            time(cost.took.0),
            time(cost.took.1),
            format!("{:.2}", cost.busiest),
        ];
        row(&mut text, &cells);
    };
    let mut library = search::library(seed, nodes, Conditions::default());
    for (what, copies) in search::things(nodes) {
        let flood = search::flood(&mut library, copies, search::QUESTIONS);
        line(what, "flooding, 7 links", &flood);
        let walk = search::ask(&mut library, copies, search::QUESTIONS, Via::Walk);
        line(what, "walk", &walk);
    }
    let indexes = search::indexes(&library);
    drop(library);
    let mute = Conditions { mute: 0.1, ..Conditions::default() };
    let mut library = search::library(seed, nodes, mute);
    for (what, copies) in search::things(nodes) {
        let walk = search::ask(&mut library, copies, search::QUESTIONS, Via::Walk);
        line(what, "walk, 10 % swallow questions", &walk);
    }
    drop(library);
    let supers = Conditions { supers: 0.01, ..Conditions::default() };
    let mut library = search::library(seed, nodes, supers);
    for (what, copies) in search::things(nodes) {
        for (how, via) in [("1 % index for others", Via::Super), ("the same, auto", Via::Auto)] {
            let cost = search::ask(&mut library, copies, search::QUESTIONS, via);
            line(what, how, &cost);
        }
    }
    let leaning = search::indexes(&library);
    for (how, part) in [("half of them die", 0.5), ("the others, too", 1.0)] {
        let mut supers = library.net.supers();
        supers.truncate((supers.len() as f64 * part).round() as usize);
        library.net.kill_these(&supers, Death::Closed);
        for after in ["0 to 5 s", "25 to 30 s", "50 to 55 s"] {
            let cost = search::ask(&mut library, 1, 50, Via::Auto);
            line("one copy", &format!("{how}: {after} after"), &cost);
        }
    }
    format!("{text}\n{indexes}\nWith super-peers: {leaning}\n")
}
