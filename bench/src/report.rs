//! The table and where it goes.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::measure::Figures;
use crate::{chart, machine};

/// What stands before and after the part of docs/performance.md that is written here.
const BEGIN: &str = "<!-- cargo xtask bench files: begin -->";
const END: &str = "<!-- cargo xtask bench files: end -->";

/// The peer that ratios refer to.
const REFERENCE: &str = "libtorrent";

/// One peer's medians.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The peer.
    pub(crate) name: String,
    /// Its version; may be empty.
    pub(crate) version: String,
    /// Seconds until the leecher had the file.
    pub(crate) wall_s: f64,
    /// The quickest and the slowest round, seconds.
    pub(crate) wall_range_s: (f64, f64),
    /// Processor time of the leecher, seconds.
    pub(crate) leecher_cpu_s: f64,
    /// Processor time of the seed, seconds.
    pub(crate) seed_cpu_s: f64,
    /// The leecher's peak of resident memory, MiB.
    pub(crate) leecher_peak_mib: f64,
    /// The seed's peak of resident memory, MiB.
    pub(crate) seed_peak_mib: f64,
}

impl Row {
    /// The medians of a peer's rounds; `None` when there are none.
    pub(crate) fn new(name: &str, version: &str, figures: &[Figures]) -> Option<Row> {
        let seconds = |of: fn(&Figures) -> Duration| {
            sorted(figures.iter().map(|figure| of(figure).as_secs_f64()))
        };
        let mebibytes = |of: fn(&Figures) -> u64| {
            sorted(figures.iter().map(|figure| of(figure) as f64 / f64::from(1 << 20)))
        };
        let wall = seconds(|figure| figure.wall);
        Some(Row {
            name: name.to_owned(),
            version: version.to_owned(),
            wall_s: median(&wall)?,
            wall_range_s: (*wall.first()?, *wall.last()?),
            leecher_cpu_s: median(&seconds(|figure| figure.leecher.cpu))?,
            seed_cpu_s: median(&seconds(|figure| figure.seed.cpu))?,
            leecher_peak_mib: median(&mebibytes(|figure| figure.leecher.peak_resident_bytes))?,
            seed_peak_mib: median(&mebibytes(|figure| figure.seed.peak_resident_bytes))?,
        })
    }

    /// Its name with its version.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.name, self.version).trim().to_owned()
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of sorted values, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted.get(low)? + sorted.get(high)?) / 2.0)
}

/// The table, the machine it was measured on and how, in Markdown.
pub(crate) fn text(rows: &[Row], bytes: u64, rounds: usize) -> String {
    let reference = rows.iter().find(|row| row.name == REFERENCE).map(|row| row.wall_s);
    let mut text = String::from(
        "| peer, to itself | wall s | (range) | MB/s | × libtorrent | leecher CPU s | seed CPU s \
         | leecher peak MiB | seed peak MiB |\n\
         | --- | --: | :-: | --: | --: | --: | --: | --: | --: |\n",
    );
    for row in rows {
        let (quickest, slowest) = row.wall_range_s;
        let rate = bytes as f64 / 1e6 / row.wall_s;
        let ratio = reference.map_or_else(String::new, |wall| format!("{:.2}", wall / row.wall_s));
        let label =
            if row.name == "althing" { format!("**{}**", row.label()) } else { row.label() };
        let _ = writeln!(
            text,
            "| {label} | {:.2} | {quickest:.2}–{slowest:.2} | {rate:.0} | {ratio} | {:.2} | {:.2} | {:.0} | {:.0} |",
            row.wall_s, row.leecher_cpu_s, row.seed_cpu_s, row.leecher_peak_mib, row.seed_peak_mib,
        );
    }
    let mebibytes = bytes >> 20;
    let _ = write!(
        text,
        "\nOne file of {mebibytes} MiB, v1 torrent with pieces of 1 MiB, over TCP between two network \
         namespaces; medians of {rounds} rounds, the peers taking turns. Measured on {}.\n",
        machine::line()
    );
    text
}

/// Replaces the part of `docs/performance.md` between the markers, and the chart it shows.
///
/// # Errors
/// A sentence, when a file cannot be read or written or has no markers.
pub(crate) fn write(docs: &Path, text: &str, rows: &[Row]) -> Result<(), String> {
    let page = docs.join("performance.md");
    let failed = |error: std::io::Error| format!("{}: {error}", page.display());
    let old = std::fs::read_to_string(&page).map_err(failed)?;
    let part = format!("![The same figures as bars](img/bench-files.svg)\n\n{text}");
    let new = replaced(&old, &part)
        .ok_or_else(|| format!("{} has no line {BEGIN:?} before {END:?}", page.display()))?;
    let images = docs.join("img");
    std::fs::create_dir_all(&images).map_err(failed)?;
    std::fs::write(images.join("bench-files.svg"), chart::svg(rows)).map_err(failed)?;
    std::fs::write(&page, new).map_err(failed)?;
    println!("written to {}", page.display());
    Ok(())
}

fn replaced(page: &str, part: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{part}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use althing_tests::process::Usage;

    use super::*;

    fn figure(wall_ms: u64) -> Figures {
        let usage = |ms: u64| Usage {
            cpu: Duration::from_millis(ms),
            peak_resident_bytes: (ms << 20) / 10,
        };
        Figures { wall: Duration::from_millis(wall_ms), leecher: usage(wall_ms), seed: usage(100) }
    }

    #[test]
    fn a_row_has_the_medians() {
        let row = Row::new("floor", "", &[figure(300), figure(100), figure(200)]).expect("three");
        assert_eq!((row.wall_s, row.wall_range_s), (0.2, (0.1, 0.3)));
        assert_eq!((row.leecher_cpu_s, row.leecher_peak_mib), (0.2, 20.0));
        assert_eq!(row.label(), "floor");
        let even = Row::new("floor", "", &[figure(400), figure(100)]).expect("two");
        assert_eq!(even.wall_s, 0.25);
        assert_eq!(Row::new("floor", "", &[]), None);
    }

    #[test]
    fn ratios_are_to_libtorrent() {
        let rows = [("althing", 2_000), ("libtorrent", 3_000)]
            .map(|(name, wall)| Row::new(name, "1", &[figure(wall)]).expect("one"));
        let text = text(&rows, 1 << 30, 1);
        assert!(text.contains("| **althing 1** | 2.00 | 2.00–2.00 | 537 | 1.50 |"), "{text}");
        assert!(text.contains("One file of 1024 MiB"), "{text}");
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = replaced(&page, "new\n").expect("it has markers");
        assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(replaced(&once, "new\n"), Some(once.clone()));
        assert_eq!(replaced("no markers", "new"), None);
    }
}
