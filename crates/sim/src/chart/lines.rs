//! Lines over numbers of nodes, each ten times the last.

use super::{Colour, TITLE, WIDTH, escape, picture, thousands, tick_step, tick_text, ticks, title};
use std::fmt::Write as _;

/// Sizes in the picture's own units.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 190.0;
const PLOT: f64 = 150.0;
const BELOW: f64 = 34.0;

/// The most ticks of an axis.
const TICKS: f64 = 6.0;

/// One part of the picture: an axis, and lines.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is shown, with its unit.
    pub title: &'static str,
    /// The lines' names and their points: how many nodes, and the value.
    pub lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// The panels below each other.
pub fn svg(label: &str, panels: &[Panel]) -> String {
    let each = TITLE + PLOT + BELOW;
    let mut body = String::new();
    for (number, panel) in panels.iter().enumerate() {
        draw(&mut body, panel, each * number as f64);
    }
    picture(label, (WIDTH, each * panels.len() as f64), &body)
}

fn draw(svg: &mut String, panel: &Panel, top: f64) {
    let points = || panel.lines.iter().flat_map(|(_, points)| points);
    let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let step = tick_step(most, TICKS);
    let end = ticks(most, step).last().unwrap_or(step);
    let (first, last) = points()
        .fold((f64::MAX, 1.0f64), |(low, high), (x, _)| (low.min(x.log10()), high.max(x.log10())));
    let (bottom, right) = (top + TITLE + PLOT, WIDTH - RIGHT);
    let x_of = |x: f64| LEFT + (x.log10() - first) / (last - first).max(1e-9) * (right - LEFT);
    let y_of = |y: f64| bottom - y / end * PLOT;

    title(svg, top, panel.title);
    for tick in ticks(most, step) {
        let y = y_of(tick);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
             <text class=\"small\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            tick_text(tick, step)
        );
    }
    for power in first.ceil() as i32..=last.floor() as i32 {
        let x = x_of(10f64.powi(power));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {}V{bottom}\"/>\
             <text class=\"small\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{} nodes</text>",
            top + TITLE,
            bottom + 16.0,
            thousands(10u64.pow(power.unsigned_abs())),
        );
    }
    let mut names: Vec<f64> = Vec::new();
    for (number, (name, points)) in panel.lines.iter().enumerate() {
        let Colour(colour) = Colour::new(number);
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let (x, y) = (x_of(*x), y_of(*y));
            let letter = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{x:.1} {y:.1}");
            let circle =
                format!("<circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
            let _ = writeln!(svg, "{circle}");
        }
        let _ = writeln!(svg, "<path class=\"line s{colour}\" d=\"{path}\"/>");
        // Names stand at the ends of their lines, apart from each other.
        let mut y = points.last().map_or(bottom, |(_, y)| y_of(*y)) + 4.0;
        while let Some(other) = names.iter().find(|other| (**other - y).abs() < 15.0) {
            y = other + 15.5;
        }
        names.push(y);
        let name = escape(name);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{y:.1}\">{name}</text>", right + 10.0);
    }
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
}
