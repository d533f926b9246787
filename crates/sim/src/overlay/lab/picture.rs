//! The picture of a report: bars, drawn here as SVG that reads on light and on dark pages.

use super::measure::Spreading;
use super::report::{Answers, Report, number, percent, seconds};
use super::values::Way;
use std::fmt::Write as _;

/// Sizes in the picture's own units.
const WIDTH: f64 = 860.0;
const LABEL: f64 = 250.0;
const VALUE: f64 = 110.0;
const BAR: f64 = 12.0;
const STEP: f64 = 15.0;
const GAP: f64 = 9.0;
const TITLE: f64 = 34.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}\
.title{font-weight:600}.value{font-size:11px;fill:#57606a}\
.walk{fill:#3b82c4}.dht{fill:#d9822b}.super{fill:#3a9d5d}.auto{fill:#8250df}.flood{fill:#9aa4af}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.value{fill:#9198a1}}";

/// A bar: its colour's name, how long it is (0 to 1), and what stands beside it.
struct Bar {
    class: &'static str,
    length: f64,
    value: String,
}

/// Bars that belong together.
struct Group {
    label: String,
    bars: Vec<Bar>,
}

/// The picture, with all that the report has of it.
pub(super) fn svg(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    if !report.answers.is_empty() {
        legend(&mut body, report, &mut y);
        let linear = |of: fn(&Answers) -> f64, most: f64| move |a: &Answers| of(a) / most;
        let found = groups(report, linear(|a| a.found, 1.0), |a| percent(a.found));
        panel(&mut body, "Found", &found, &mut y);
        let log = |of: fn(&Answers) -> f64| {
            let most = report.answers.iter().map(of).fold(1.0, f64::max);
            move |a: &Answers| (1.0 + of(a)).ln() / (1.0 + most).ln()
        };
        let messages = groups(report, log(|a| a.messages.mean), |a| {
            format!("{}, 99 %: {}", number(a.messages.mean), number(a.messages.p99))
        });
        panel(&mut body, "Messages of a question (logarithmic)", &messages, &mut y);
        let most = report.answers.iter().map(|a| a.latency_ms.p99).fold(1.0, f64::max);
        let latency = groups(report, linear(|a| a.latency_ms.p99, most), |a| {
            let some = (a.found > 0.0).then_some(a.latency_ms);
            format!("{}, half: {}", seconds(some.map(|l| l.p99)), seconds(some.map(|l| l.median)))
        });
        panel(&mut body, "First answer to 99 of 100 questions that had one", &latency, &mut y);
        let busiest = groups(report, log(|a| 100.0 * a.busiest), |a| format!("{:.2}", a.busiest));
        panel(&mut body, "Messages a question at the busiest node (logarithmic)", &busiest, &mut y);
    }
    if !report.spreading.is_empty() {
        let reached = spread(report, |s| s.within_10_s, |s| percent(s.within_10_s));
        panel(&mut body, "Records: nodes reached within 10 s", &reached, &mut y);
        let most = report.spreading.iter().filter_map(|s| s.p99_ms).fold(1.0, f64::max);
        let time = spread(report, |s| s.p99_ms.unwrap_or(0.0) / most, |s| seconds(s.p99_ms));
        panel(&mut body, "Records: 99 of 100 nodes had it after", &time, &mut y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" role=\"img\" \
         aria-label=\"{}\"><style>{STYLE}</style>\n{body}</svg>\n",
        escape(&report.headline())
    )
}

/// Text as it stands in a page or a picture.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn groups(
    report: &Report,
    length: impl Fn(&Answers) -> f64,
    value: impl Fn(&Answers) -> String,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for answers in &report.answers {
        let label = format!("{}: {}", answers.label, answers.item);
        let bar = Bar { class: answers.via.name(), length: length(answers), value: value(answers) };
        match groups.last_mut() {
            Some(group) if group.label == label => group.bars.push(bar),
            _ => groups.push(Group { label, bars: vec![bar] }),
        }
    }
    groups
}

fn spread(
    report: &Report,
    length: impl Fn(&Spreading) -> f64,
    value: impl Fn(&Spreading) -> String,
) -> Vec<Group> {
    let group = |spreading: &Spreading| Group {
        label: spreading.label.clone(),
        bars: vec![Bar { class: "walk", length: length(spreading), value: value(spreading) }],
    };
    report.spreading.iter().map(group).collect()
}

fn legend(svg: &mut String, report: &Report, y: &mut f64) {
    let mut x = LABEL;
    for way in Way::ALL {
        if report.answers.iter().any(|answers| answers.via == way) {
            let name = way.name();
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<rect class=\"{name}\" x=\"{x}\" y=\"8\" width=\"12\" height=\"12\"/>\
                 <text x=\"{}\" y=\"19\">{name}</text>",
                x + 18.0
            );
            x += 90.0;
        }
    }
    *y += 28.0;
}

fn panel(svg: &mut String, title: &str, groups: &[Group], y: &mut f64) {
    let _ = writeln!(svg, "<text class=\"title\" x=\"0\" y=\"{:.1}\">{title}</text>", *y + 20.0);
    *y += TITLE;
    for group in groups {
        let middle = *y + group.bars.len() as f64 * STEP / 2.0 + 3.0;
        let label = escape(&group.label);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{label}</text>",
            LABEL - 10.0
        );
        for bar in &group.bars {
            let width = (bar.length.clamp(0.0, 1.0) * (WIDTH - LABEL - VALUE)).max(1.0);
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{LABEL}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>\
                 <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                bar.class,
                LABEL + width + 6.0,
                *y + 10.0,
                escape(&bar.value)
            );
            *y += STEP;
        }
        *y += GAP;
    }
}
