//! Lines over numbers of nodes, each ten times the last: SVG that reads on light and on dark pages, in the
//! style of the benchmarks' bars.

use std::fmt::Write as _;

/// Sizes in the picture's own units.
const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 190.0;
const TITLE: f64 = 34.0;
const PLOT: f64 = 150.0;
const TICKS: f64 = 34.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}\
.title{font-weight:600}.tick{font-size:11px;fill:#57606a}\
.grid{stroke:#d0d7de;stroke-width:1;fill:none}\
.line{fill:none;stroke-width:2}\
.s0{stroke:#3b82c4}.s1{stroke:#d9822b}.s2{stroke:#3a9d5d}\
.d0{fill:#3b82c4}.d1{fill:#d9822b}.d2{fill:#3a9d5d}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#9198a1}.grid{stroke:#3d444d}}";

/// One part of the picture: an axis, and at most three lines.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// What is shown, with its unit.
    pub(crate) title: &'static str,
    /// The lines' names and their points: how many nodes, and the value.
    pub(crate) lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// The panels below each other.
pub(crate) fn svg(label: &str, panels: &[Panel]) -> String {
    let each = TITLE + PLOT + TICKS;
    let height = each * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{label}\"><style>{STYLE}</style>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        draw(&mut svg, panel, each * number as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel, top: f64) {
    let points = || panel.lines.iter().flat_map(|(_, points)| points);
    let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let step = tick_step(most);
    let end = (most / step).ceil().max(1.0) * step;
    let (first, last) = points()
        .fold((f64::MAX, 1.0f64), |(low, high), (x, _)| (low.min(x.log10()), high.max(x.log10())));
    let (bottom, right) = (top + TITLE + PLOT, WIDTH - RIGHT);
    let x_of = |x: f64| LEFT + (x.log10() - first) / (last - first).max(1e-9) * (right - LEFT);
    let y_of = |y: f64| bottom - y / end * PLOT;

    // Writing to a string cannot fail.
    let _ =
        writeln!(svg, "<text class=\"title\" x=\"0\" y=\"{}\">{}</text>", top + 20.0, panel.title);
    let mut tick = 0.0;
    while tick <= end + step / 2.0 {
        let y = y_of(tick);
        let decimals = usize::from(step < 0.99) + usize::from(step < 0.099);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.decimals$}</text>",
            LEFT - 8.0,
            y + 4.0,
        );
        tick += step;
    }
    for power in first.ceil() as i32..=last.floor() as i32 {
        let x = x_of(10f64.powi(power));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{} nodes</text>",
            top + TITLE,
            bottom + 16.0,
            thousands(10u64.pow(power.unsigned_abs())),
        );
    }
    let mut names: Vec<f64> = Vec::new();
    for (number, (name, points)) in panel.lines.iter().enumerate() {
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", x_of(*x), y_of(*y));
            let _ = writeln!(
                svg,
                "<circle class=\"d{number}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                x_of(*x),
                y_of(*y)
            );
        }
        let _ = writeln!(svg, "<path class=\"line s{number}\" d=\"{path}\"/>");
        // Names stand at the ends of their lines, apart from each other.
        let mut y = points.last().map_or(bottom, |(_, y)| y_of(*y)) + 4.0;
        while let Some(other) = names.iter().find(|other| (**other - y).abs() < 15.0) {
            y = other + 15.5;
        }
        names.push(y);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{y:.1}\">{name}</text>", right + 10.0);
    }
}

/// With a comma between thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The distance of the ticks: 1, 2 or 5 times a power of ten, so that there are three to six.
fn tick_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf((most / 6.0).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| most / (factor * magnitude) <= 6.0);
    factor.unwrap_or(10.0) * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_from_edge_to_edge_and_names_do_not_meet() {
        let line = |top: f64| vec![(100.0, top / 2.0), (1_000.0, top), (10_000.0, top)];
        let panel = Panel { title: "Calls", lines: vec![("one", line(10.0)), ("two", line(10.0))] };
        let svg = svg("Calls", &[panel]);
        assert!(svg.contains("cx=\"60.0\"") && svg.contains("cx=\"670.0\""), "{svg}");
        assert!(svg.contains("10,000 nodes"), "{svg}");
        assert!(svg.contains("y=\"38.0\">one<") && svg.contains("y=\"53.5\">two<"), "{svg}");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(100_000), "100,000");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert!((tick_step(22.0) - 5.0).abs() < 1e-9);
    }
}
