//! What is written of the results: the tables, the marks, and where they go.

use std::fmt::Write as _;
use std::path::Path;

use crate::chart::{self, Panel};
use crate::results::{Results, Row};
use crate::sections::Section;

/// The name of the part with all marks, which is no section.
const MARKS: &str = "marks";

/// What is written of one section.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Markdown.
    pub(crate) text: String,
    /// Its pictures.
    pub(crate) charts: Vec<Chart>,
    /// Its marks; none where there is nothing to reach.
    pub(crate) marks: Vec<Mark>,
}

/// One picture.
#[derive(Debug)]
pub(crate) struct Chart {
    /// The file's name under docs/img.
    pub(crate) file: &'static str,
    /// What it shows, in words.
    pub(crate) alt: &'static str,
    /// Its parts, from above.
    pub(crate) panels: Vec<Panel>,
}

/// Something to reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// What is measured.
    pub(crate) what: String,
    /// What is to be reached.
    pub(crate) mark: String,
    /// What we have, and libtorrent where it is beside it.
    pub(crate) ours: String,
    /// libtorrent's, in the same run; may be empty.
    pub(crate) theirs: String,
    /// Our figure by the mark: at most 1 is met.
    pub(crate) ratio: f64,
}

impl Mark {
    /// A figure that is to be small.
    pub(crate) fn at_most(what: &str, unit: &str, mark: f64, ours: f64, theirs: f64) -> Mark {
        Mark {
            what: what.to_owned(),
            mark: format!("≤ {} {unit}", short(mark)),
            ours: format!("{} {unit}", short(ours)),
            theirs: if theirs > 0.0 { format!("{} {unit}", short(theirs)) } else { String::new() },
            ratio: ours / mark,
        }
    }

    /// A figure that is to be large.
    pub(crate) fn at_least(what: &str, unit: &str, mark: f64, ours: f64, theirs: f64) -> Mark {
        Mark {
            mark: format!("≥ {} {unit}", short(mark)),
            ratio: mark / ours,
            ..Mark::at_most(what, unit, mark, ours, theirs)
        }
    }
}

/// A number with three digits or so.
pub(crate) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.5 => 0,
        value if value >= 9.95 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// The marks as a table.
pub(crate) fn marks(marks: &[Mark]) -> String {
    let mut text = String::new();
    if marks.is_empty() {
        return text;
    }
    text.push_str("| | mark | Althing | libtorrent, same run | met? |\n");
    text.push_str("| --- | --: | --: | --: | --- |\n");
    for mark in marks {
        let by = (mark.ratio - 1.0).abs() * 100.0;
        let met = match mark.ratio {
            ratio if !ratio.is_finite() => "not measured".to_owned(),
            ratio if ratio <= 1.0 => format!("**yes**, by {by:.0} %"),
            ratio if ratio >= 2.0 => format!("no: {ratio:.1} times the mark"),
            _ => format!("no, by {by:.0} %"),
        };
        let _ = writeln!(
            text,
            "| {} | {} | **{}** | {} | {met} |",
            mark.what, mark.mark, mark.ours, mark.theirs
        );
    }
    text
}

/// One column of a table: its title, and what it says of a row.
pub(crate) type Column<'a> = (&'a str, &'a dyn Fn(&Row) -> String);

/// The rows as a table, with the sizes, the machine and what is missing below it.
pub(crate) fn table(results: &Results, first: &str, columns: &[Column<'_>], how: &str) -> String {
    let mut text = format!("| {first} |");
    for (title, _) in columns {
        let _ = write!(text, " {title} |");
    }
    text.push_str("\n| --- |");
    for (title, _) in columns {
        text.push_str(if title.starts_with('(') { " :-: |" } else { " --: |" });
    }
    text.push('\n');
    for row in &results.rows {
        let label = if row.is_own() { format!("**{}**", row.label) } else { row.label.clone() };
        let _ = write!(text, "| {label} |");
        for (_, of) in columns {
            let _ = write!(text, " {} |", of(row));
        }
        text.push('\n');
    }
    let rounds = match results.rounds {
        1 => "one round".to_owned(),
        rounds => format!("medians of {rounds} rounds, turn by turn"),
    };
    let _ = writeln!(text, "\n{how}; {rounds}. Measured on {}.", results.machine);
    for sentence in &results.missing {
        let _ = writeln!(text, "Missing: {sentence}.");
    }
    text
}

/// The median of a figure, or nothing where a row has none of it.
pub(crate) fn median(name: &'static str) -> impl Fn(&Row) -> String {
    move |row| match row.figures.contains_key(name) {
        true => short(row.median(name)),
        false => String::new(),
    }
}

/// The quickest and the slowest round.
pub(crate) fn range(name: &'static str) -> impl Fn(&Row) -> String {
    move |row| match row.figures.contains_key(name) {
        true => {
            let (least, most) = row.range(name);
            format!("{}–{}", short(least), short(most))
        }
        false => String::new(),
    }
}

/// Replaces the parts of `docs/performance.md` between the markers, and the charts they show.
///
/// # Errors
/// A sentence, when a file cannot be read or written or has no markers.
pub(crate) fn write(docs: &Path, kept: &[(Section, Results)]) -> Result<(), String> {
    let page = docs.join("performance.md");
    let failed = |error: std::io::Error| format!("{}: {error}", page.display());
    let mut text = std::fs::read_to_string(&page).map_err(failed)?;
    let images = docs.join("img");
    std::fs::create_dir_all(&images).map_err(failed)?;
    let mut all = Vec::new();
    for (section, results) in kept {
        let part = section.page(results);
        let mut shown = String::new();
        for chart in &part.charts {
            let _ = writeln!(shown, "![{}](img/{})\n", chart.alt, chart.file);
            std::fs::write(images.join(chart.file), chart::svg(chart.alt, &chart.panels))
                .map_err(failed)?;
        }
        let name = section.name();
        text = replaced(&text, name, &format!("{shown}{}", part.text))
            .ok_or_else(|| format!("{} has no markers for {name}", page.display()))?;
        all.extend(part.marks);
    }
    if !all.is_empty() {
        text = replaced(&text, MARKS, &marks(&all))
            .ok_or_else(|| format!("{} has no markers for the marks", page.display()))?;
    }
    std::fs::write(&page, text).map_err(failed)?;
    println!("written to {}", page.display());
    Ok(())
}

fn replaced(page: &str, name: &str, part: &str) -> Option<String> {
    let begin = format!("<!-- bench files {name}: begin -->");
    let end = format!("<!-- bench files {name}: end -->");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{part}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_by_how_much_it_is_missed() {
        let text = marks(&[
            Mark::at_most("wall", "s", 2.4, 1.2, 2.75),
            Mark::at_most("memory", "MB", 80.0, 100.0, 0.0),
            Mark::at_least("rate", "MB/s", 900.0, 300.0, 0.0),
        ]);
        assert!(
            text.contains("| wall | ≤ 2.40 s | **1.20 s** | 2.75 s | **yes**, by 50 % |"),
            "{text}"
        );
        assert!(text.contains("| ≤ 80.0 MB | **100 MB** |  | no, by 25 % |"), "{text}");
        assert!(text.contains("| no: 3.0 times the mark |"), "{text}");
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let begin = "<!-- bench files v2: begin -->";
        let end = "<!-- bench files v2: end -->";
        let page = format!("a\n{begin}\nold\n{end}\nb\n");
        let once = replaced(&page, "v2", "new\n").expect("it has markers");
        assert_eq!(once, format!("a\n{begin}\n\nnew\n\n{end}\nb\n"));
        assert_eq!(replaced(&once, "v2", "new\n"), Some(once.clone()));
        assert_eq!(replaced(&once, "v1", "new"), None);
    }

    #[test]
    fn the_page_in_docs_has_markers_for_every_section() {
        let page = crate::root().join("docs/performance.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        for name in Section::ALL.map(Section::name).into_iter().chain([MARKS]) {
            assert!(replaced(&page, name, "").is_some(), "no markers for {name}");
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [(0.123, "0.12"), (9.949, "9.95"), (12.34, "12.3"), (391.4, "391")] {
            assert_eq!(short(value), text);
        }
    }
}
