//! The figures as bars: SVG that reads on light and on dark pages.

use std::fmt::Write as _;

use crate::report::Row;

/// Sizes in the picture's own units.
const WIDTH: f64 = 860.0;
const LABELS: f64 = 130.0;
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

/// One part of the picture: an axis and a bar of one or two parts for each row.
struct Panel<'a> {
    title: &'a str,
    legend: Option<(&'a str, &'a str)>,
    unit: &'a str,
    decimals: usize,
    values: Vec<(f64, f64)>,
}

/// Wall time, processor time of both ends, and peak memory of both ends, a bar for each row.
pub(crate) fn svg(rows: &[Row]) -> String {
    let panels = [
        Panel {
            title: "Time until the leecher has the file, seconds (shorter is better)",
            legend: None,
            unit: "s",
            decimals: 2,
            values: rows.iter().map(|row| (row.wall_s, 0.0)).collect(),
        },
        Panel {
            title: "Processor time, seconds",
            legend: Some(("leecher", "seed")),
            unit: "s",
            decimals: 2,
            values: rows.iter().map(|row| (row.leecher_cpu_s, row.seed_cpu_s)).collect(),
        },
        Panel {
            title: "Peak resident memory, MiB",
            legend: Some(("leecher", "seed")),
            unit: "MiB",
            decimals: 0,
            values: rows.iter().map(|row| (row.leecher_peak_mib, row.seed_peak_mib)).collect(),
        },
    ];
    let panel_height = TITLE + STEP * rows.len() as f64 + TICKS;
    let height = panel_height * panels.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Althing beside other peers\"><style>{STYLE}</style>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        draw(&mut svg, panel, rows, panel_height * number as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel<'_>, rows: &[Row], top: f64) {
    let most = panel.values.iter().map(|(first, second)| first + second).fold(0.0, f64::max);
    let step = tick_step(most);
    let end = (most / step).ceil().max(1.0) * step;
    let scale = (WIDTH - LABELS - VALUES) / end;
    let (bars, bottom) = (top + TITLE, top + TITLE + STEP * rows.len() as f64);

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
    for (number, (row, (first, second))) in rows.iter().zip(&panel.values).enumerate() {
        let y = bars + STEP * number as f64 + (STEP - BAR) / 2.0;
        let (one, two) = (first * scale, second * scale);
        let own = if row.name == "althing" { " class=\"own\"" } else { "" };
        let middle = y + BAR - 5.0;
        let _ = writeln!(
            svg,
            "<text{own} x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
             <rect class=\"first\" x=\"{LABELS}\" y=\"{y}\" width=\"{one:.1}\" height=\"{BAR}\"/>\
             <rect class=\"second\" x=\"{:.1}\" y=\"{y}\" width=\"{two:.1}\" height=\"{BAR}\"/>\
             <text{own} x=\"{:.1}\" y=\"{middle}\">{}</text>",
            LABELS - 8.0,
            row.label(),
            LABELS + one,
            LABELS + one + two + 6.0,
            value(panel, *first, *second),
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

fn value(panel: &Panel<'_>, first: f64, second: f64) -> String {
    let (decimals, unit) = (panel.decimals, panel.unit);
    match panel.legend {
        None => format!("{first:.decimals$} {unit}"),
        Some(_) => format!("{first:.decimals$} + {second:.decimals$} {unit}"),
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
        let row = |name: &str, wall_s: f64| Row {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            wall_s,
            wall_range_s: (wall_s, wall_s),
            leecher_cpu_s: wall_s,
            seed_cpu_s: 1.0,
            leecher_peak_mib: 100.0,
            seed_peak_mib: 50.0,
        };
        let svg = svg(&[row("althing", 2.0), row("other", 4.0)]);
        assert_eq!(svg.matches("other 1.0").count(), 3);
        assert_eq!(svg.matches("class=\"first\" x=\"130\"").count(), 6);
        // The axis ends at 4 s: 620 units; ours takes half of them.
        assert!(svg.contains("width=\"310.0\"") && svg.contains("width=\"620.0\""), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark"));
    }
}
