//! The picture of a report: bars.

use super::measure::Spreading;
use super::report::{Answers, Report, number, percent, seconds};
use super::values::Way;
use crate::chart::Colour;
use crate::chart::bars::{self, Bar, GROUPED, Group, Panel, Scale};

/// The picture, with all that the report has of it.
pub(super) fn svg(report: &Report) -> String {
    let mut panels = Vec::new();
    if !report.answers.is_empty() {
        let linear = |of: fn(&Answers) -> f64, most: f64| move |a: &Answers| of(a) / most;
        let mut found =
            panel("Found", groups(report, linear(|a| a.found, 1.0), |a| percent(a.found)));
        found.legend = legend(report);
        panels.push(found);
        let log = |of: fn(&Answers) -> f64| {
            let most = report.answers.iter().map(of).fold(1.0, f64::max);
            move |a: &Answers| (1.0 + of(a)).ln() / (1.0 + most).ln()
        };
        let messages = groups(report, log(|a| a.messages.mean), |a| {
            format!("{}, 99 %: {}", number(a.messages.mean), number(a.messages.p99))
        });
        panels.push(panel("Messages of a question (logarithmic)", messages));
        let most = report.answers.iter().map(|a| a.latency_ms.p99).fold(1.0, f64::max);
        let latency = groups(report, linear(|a| a.latency_ms.p99, most), |a| {
            let some = (a.found > 0.0).then_some(a.latency_ms);
            format!("{}, half: {}", seconds(some.map(|l| l.p99)), seconds(some.map(|l| l.median)))
        });
        panels.push(panel("First answer to 99 of 100 questions that had one", latency));
        let busiest = groups(report, log(|a| 100.0 * a.busiest), |a| format!("{:.2}", a.busiest));
        panels.push(panel("Messages a question at the busiest node (logarithmic)", busiest));
    }
    if !report.spreading.is_empty() {
        let reached = spread(report, |s| s.within_10_s, |s| percent(s.within_10_s));
        panels.push(panel("Records: nodes reached within 10 s", reached));
        let most = report.spreading.iter().filter_map(|s| s.p99_ms).fold(1.0, f64::max);
        let time = spread(report, |s| s.p99_ms.unwrap_or(0.0) / most, |s| seconds(s.p99_ms));
        panels.push(panel("Records: 99 of 100 nodes had it after", time));
    }
    bars::svg(&report.headline(), &GROUPED, &panels)
}

fn panel(title: &str, groups: Vec<Group>) -> Panel {
    Panel { title: title.to_owned(), legend: Vec::new(), scale: Scale::Parts, groups }
}

/// The ways that there are in a report.
fn legend(report: &Report) -> Vec<(Colour, String)> {
    let is_there = |way: &Way| report.answers.iter().any(|answers| answers.via == *way);
    let ways = Way::ALL.into_iter().filter(is_there);
    ways.map(|way| (colour(way), way.name().to_owned())).collect()
}

/// Each way has the colour of its place among all.
fn colour(way: Way) -> Colour {
    Colour::new(Way::ALL.iter().position(|other| *other == way).unwrap_or(0))
}

fn groups(
    report: &Report,
    length: impl Fn(&Answers) -> f64,
    value: impl Fn(&Answers) -> String,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for answers in &report.answers {
        let label = format!("{}: {}", answers.label, answers.item);
        let parts = vec![(colour(answers.via), length(answers))];
        let bar = Bar { parts, value: value(answers) };
        match groups.last_mut() {
            Some(group) if group.label == label => group.bars.push(bar),
            _ => groups.push(Group { label, is_own: false, bars: vec![bar] }),
        }
    }
    groups
}

fn spread(
    report: &Report,
    length: impl Fn(&Spreading) -> f64,
    value: impl Fn(&Spreading) -> String,
) -> Vec<Group> {
    let group = |spreading: &Spreading| {
        let parts = vec![(Colour::default(), length(spreading))];
        let bars = vec![Bar { parts, value: value(spreading) }];
        Group { label: spreading.label.clone(), is_own: false, bars }
    };
    report.spreading.iter().map(group).collect()
}
