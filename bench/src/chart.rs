//! The figures as bars: SVG that reads on light and on dark pages.

use std::fmt::Write as _;

use crate::report::short;
use crate::results::Row;

/// Sizes in the picture's own units.
const WIDTH: f64 = 860.0;
const LABELS: f64 = 190.0;
const VALUES: f64 = 110.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const TITLE: f64 = 34.0;
const TICKS: f64 = 30.0;

/// One colour a meaning, of a lightness that stands out from white and from black.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}\
.title{font-weight:600}.tick,.legend{font-size:11px;fill:#57606a}\
.grid{stroke:#d0d7de;stroke-width:1}\
.first{fill:#3b82c4}.second{fill:#d9822b}.own{font-weight:600}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick,.legend{fill:#9198a1}.grid{stroke:#3d444d}}";

/// One part of the picture: an axis, and bars of one or two parts.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// What is shown, with its unit, and which way is better.
    pub(crate) title: &'static str,
    /// What the two parts of each bar are.
    pub(crate) legend: Option<(&'static str, &'static str)>,
    /// The unit at the end of each bar.
    pub(crate) unit: &'static str,
    /// The bars, from above.
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// What stands before it.
    pub(crate) label: String,
    /// Whether it is ours.
    pub(crate) own: bool,
    /// The first part.
    pub(crate) first: f64,
    /// The second part; 0 where there is none.
    pub(crate) second: f64,
}

impl Panel {
    /// A bar of one part for each row that has the figure.
    pub(crate) fn one(
        title: &'static str,
        unit: &'static str,
        rows: &[Row],
        figure: &str,
    ) -> Panel {
        Panel { title, legend: None, unit, bars: bars(rows, figure, None) }
    }

    /// A bar of two parts for each row that has the first figure.
    pub(crate) fn two(
        title: &'static str,
        unit: &'static str,
        rows: &[Row],
        figures: [(&'static str, &str); 2],
    ) -> Panel {
        let [(first, figure), (second, other)] = figures;
        let bars = bars(rows, figure, Some(other));
        Panel { title, legend: Some((first, second)), unit, bars }
    }
}

fn bars(rows: &[Row], first: &str, second: Option<&str>) -> Vec<Bar> {
    rows.iter()
        .filter(|row| row.figures.contains_key(first))
        .map(|row| Bar {
            label: row.label.clone(),
            own: row.is_own(),
            first: row.median(first),
            second: second.map_or(0.0, |second| row.median(second)),
        })
        .collect()
}

/// The panels below each other.
pub(crate) fn svg(label: &str, panels: &[Panel]) -> String {
    let height: f64 = panels.iter().map(height_of).sum::<f64>() + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{label}\"><style>{STYLE}</style>\n"
    );
    let mut top = 0.0;
    for panel in panels {
        draw(&mut svg, panel, top);
        top += height_of(panel);
    }
    svg.push_str("</svg>\n");
    svg
}

fn height_of(panel: &Panel) -> f64 {
    TITLE + STEP * panel.bars.len() as f64 + TICKS
}

fn draw(svg: &mut String, panel: &Panel, top: f64) {
    let most = panel.bars.iter().map(|bar| bar.first + bar.second).fold(0.0, f64::max);
    let step = tick_step(most);
    let end = (most / step).ceil().max(1.0) * step;
    let scale = (WIDTH - LABELS - VALUES) / end;
    let (bars, bottom) = (top + TITLE, top + TITLE + STEP * panel.bars.len() as f64);

    let _ =
        writeln!(svg, "<text class=\"title\" x=\"0\" y=\"{}\">{}</text>", top + 20.0, panel.title);
    if let Some((first, second)) = panel.legend {
        legend(svg, top + 20.0, first, second);
    }
    let mut tick = 0.0;
    while tick <= end + step / 2.0 {
        let x = LABELS + tick * scale;
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {bars}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 15.0,
            tick_text(tick, step),
        );
        tick += step;
    }
    for (number, bar) in panel.bars.iter().enumerate() {
        let y = bars + STEP * number as f64 + (STEP - BAR) / 2.0;
        let (one, two) = (bar.first * scale, bar.second * scale);
        let own = if bar.own { " class=\"own\"" } else { "" };
        let middle = y + BAR - 5.0;
        let _ = writeln!(
            svg,
            "<text{own} x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
             <rect class=\"first\" x=\"{LABELS}\" y=\"{y}\" width=\"{one:.1}\" height=\"{BAR}\"/>\
             <rect class=\"second\" x=\"{:.1}\" y=\"{y}\" width=\"{two:.1}\" height=\"{BAR}\"/>\
             <text{own} x=\"{:.1}\" y=\"{middle}\">{}</text>",
            LABELS - 8.0,
            bar.label,
            LABELS + one,
            LABELS + one + two + 6.0,
            value(panel, bar),
        );
    }
}

fn legend(svg: &mut String, y: f64, first: &str, second: &str) {
    for (x, class, name) in [(WIDTH - 170.0, "first", first), (WIDTH - 90.0, "second", second)] {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\"/>\
             <text class=\"legend\" x=\"{}\" y=\"{y}\">{name}</text>",
            y - 9.0,
            x + 15.0,
        );
    }
}

fn value(panel: &Panel, bar: &Bar) -> String {
    let unit = panel.unit;
    match panel.legend {
        None => format!("{} {unit}", short(bar.first)),
        Some(_) => format!("{} + {} {unit}", short(bar.first), short(bar.second)),
    }
}

/// The distance of the ticks: 1, 2 or 5 times a power of ten, so that there are four to ten.
fn tick_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf((most / 10.0).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| most / (factor * magnitude) <= 10.0);
    factor.unwrap_or(10.0) * magnitude
}

fn tick_text(tick: f64, step: f64) -> String {
    // Compared with some slack: 0.1 as a power of ten may be a little less.
    let decimals = [1.0, 0.1].iter().filter(|unit| step < *unit * 0.99).count();
    format!("{tick:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for (most, step) in [(9.6, 1.0), (10.1, 2.0), (0.45, 0.05), (2_600.0, 500.0), (0.0, 1.0)] {
            let got = tick_step(most);
            assert!((got - step).abs() < step / 1e6, "{most}: {got}, not {step}");
        }
    }

    #[test]
    fn ticks_have_the_decimals_they_need() {
        assert_eq!(tick_text(20.0, 10.0), "20");
        assert_eq!(tick_text(0.5, 0.1), "0.5");
        assert_eq!(tick_text(0.15, 0.05), "0.15");
    }

    #[test]
    fn every_row_has_a_bar_in_every_panel() {
        let row = |peer: &str, wall_s: f64| Row {
            label: format!("{peer} 1.0"),
            peer: peer.to_owned(),
            other: String::new(),
            figures: [("wall_s".to_owned(), vec![wall_s]), ("cpu_s".to_owned(), vec![1.0])].into(),
        };
        let rows = [row("althing", 2.0), row("other", 4.0)];
        let panels = [
            Panel::one("Time", "s", &rows, "wall_s"),
            Panel::two("Both", "s", &rows, [("one", "wall_s"), ("two", "cpu_s")]),
        ];
        let svg = svg("Time", &panels);
        assert_eq!(svg.matches("other 1.0").count(), 2);
        assert_eq!(svg.matches("class=\"first\" x=\"190\"").count(), 4);
        // The axis ends at 4 s: 560 units; ours takes half of them.
        assert!(svg.contains("width=\"280.0\"") && svg.contains("width=\"560.0\""), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark"));
        assert!(Panel::one("None", "s", &rows, "no_s").bars.is_empty());
    }
}
