//! A picture of the demo at work, for the README: the terminal's own lines as SVG.

use super::report::{self, Report};
use super::watch::Watch;
use crate::exit::Failure;
use crate::screen::{Screen, units};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Pixels of a character cell, and of the margin.
const CELL: (f64, f64) = (8.43, 19.0);
const MARGIN: f64 = 20.0;

/// The table at the moment that says most: when about half of everything has been moved.
pub(super) struct Picture {
    path: Option<PathBuf>,
    table: Vec<String>,
    head: String,
}

impl Picture {
    pub(super) fn new(path: Option<&Path>) -> Self {
        let picture =
            Picture { path: path.map(ToOwned::to_owned), table: Vec::new(), head: String::new() };
        if picture.path.is_some() {
            // The picture has colours wherever it is drawn.
            console::set_colors_enabled(true);
        }
        picture
    }

    /// Keeps the table of this moment if it is no later than half way.
    pub(super) fn offer(&mut self, watch: &Watch) {
        let all = watch.size.saturating_mul(watch.peers.len().saturating_sub(1) as u64);
        if self.path.is_some() && (self.table.is_empty() || watch.moved() <= all / 3 * 2) {
            self.table = report::table(watch);
            self.head = format!(
                "{} ({}), after {}:",
                watch.name,
                units::bytes(watch.size),
                units::duration(watch.elapsed())
            );
        }
    }

    /// Writes the picture, if one was asked for.
    pub(super) fn write(&self, report: &Report, screen: &Screen) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut lines = vec!["$ cargo run --release -- demo".to_owned(), String::new()];
        lines.push(self.head.clone());
        lines.extend(self.table.iter().cloned());
        lines.push(String::new());
        lines.extend(report.sentences());
        std::fs::write(path, draw(&lines)).map_err(|error| {
            Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "name a file in a folder that is there",
            )
        })?;
        screen.note(&format!("The picture is in {}.", path.display()));
        Ok(())
    }
}

/// Lines with the terminal's colours as a picture.
fn draw(lines: &[String]) -> String {
    let columns = lines.iter().map(|line| console::measure_text_width(line)).max().unwrap_or(0);
    let width = columns as f64 * CELL.0 + 2.0 * MARGIN;
    let height = lines.len() as f64 * CELL.1 + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"Terminal: althing demo, five peers sharing files\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#11151c\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" \
         font-size=\"14\" fill=\"#d7dde8\" xml:space=\"preserve\">\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = MARGIN + (row as f64 + 0.75) * CELL.1;
        write!(svg, "<text x=\"{MARGIN}\" y=\"{y:.1}\">").expect("writing to a string");
        let mut column = 0;
        for (style, run) in runs(line) {
            // Each run has its own place, so that fonts of another width don't push the rest.
            let x = MARGIN + column as f64 * CELL.0;
            let run_columns = console::measure_text_width(run);
            column += run_columns;
            if run.is_empty() {
                continue;
            }
            write!(
                svg,
                "<tspan x=\"{x:.1}\" textLength=\"{:.1}\"{}>{}</tspan>",
                run_columns as f64 * CELL.0,
                style,
                escape(run)
            )
            .expect("writing to a string");
        }
        svg.push_str("</text>\n");
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Cuts a line where its colour changes: each part with the SVG attributes of its colour.
fn runs(line: &str) -> Vec<(&'static str, &str)> {
    let mut runs = Vec::new();
    let mut style = "";
    for (index, part) in line.split("\x1b[").enumerate() {
        let (codes, text) = match part.split_once('m') {
            Some((codes, text)) if index > 0 => (codes, text),
            _ => ("", part),
        };
        style = match codes {
            "1" => " font-weight=\"bold\"",
            "2" => " fill=\"#596273\"",
            "32" => " fill=\"#7ee787\"",
            "36" => " fill=\"#6cc7f5\"",
            "0" => "",
            _ => style,
        };
        runs.push((style, text));
    }
    runs
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_attributes() {
        assert_eq!(
            runs("a \x1b[36mb\x1b[0m m\x1b[2mc"),
            [("", "a "), (" fill=\"#6cc7f5\"", "b"), ("", " m"), (" fill=\"#596273\"", "c")]
        );
        let svg = draw(&["<&>".to_owned()]);
        assert!(svg.contains("&lt;&amp;&gt;") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
