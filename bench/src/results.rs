//! What a section measured: kept in a file, so that the report can be written again from it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{machine, target};

/// The results of one section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    /// How often each row was measured.
    pub(crate) rounds: usize,
    /// The machine and the day.
    pub(crate) machine: String,
    /// Sizes and the like, by name.
    pub(crate) sizes: BTreeMap<String, f64>,
    /// What was measured, in the order of the table.
    pub(crate) rows: Vec<Row>,
    /// Sentences about what could not be measured.
    pub(crate) missing: Vec<String>,
}

/// One line of a section's table: a peer, or two of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) label: String,
    /// The peer, or the seed of two.
    pub(crate) peer: String,
    /// The leecher of two.
    pub(crate) other: String,
    /// The figures of each round by their name, which ends in the unit.
    pub(crate) figures: BTreeMap<String, Vec<f64>>,
}

/// The figures of one round.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// One row to be measured.
pub(crate) struct Job<'a> {
    /// As [`Row::label`].
    pub(crate) label: String,
    /// As [`Row::peer`].
    pub(crate) peer: String,
    /// As [`Row::other`].
    pub(crate) other: String,
    /// Measures once; it panics or says why not.
    pub(crate) measure: Box<dyn FnMut() -> Result<Figures, String> + 'a>,
}

impl Results {
    /// Measures each job once a round, turn by turn. One that fails is left out from then on.
    pub(crate) fn measure(rounds: usize, sizes: &[(&str, f64)], jobs: &mut [Job<'_>]) -> Results {
        let row = |job: &Job<'_>| Row {
            label: job.label.clone(),
            peer: job.peer.clone(),
            other: job.other.clone(),
            figures: BTreeMap::new(),
        };
        let mut rows: Vec<Row> = jobs.iter().map(row).collect();
        let mut failed: Vec<Option<String>> = vec![None; jobs.len()];
        for round in 1..=rounds {
            for ((job, row), failed) in jobs.iter_mut().zip(&mut rows).zip(&mut failed) {
                if failed.is_some() {
                    continue;
                }
                match caught(|| (job.measure)()) {
                    Ok(figures) => {
                        println!("  round {round} {:<26} {}", row.label, line(&figures));
                        row.add(figures);
                    }
                    Err(why) => {
                        let first = why.lines().next().unwrap_or_default();
                        println!("  round {round} {} failed: {first}", row.label);
                        log(&row.label, &why);
                        *failed = Some(format!("{} failed in round {round}: {first}", row.label));
                    }
                }
            }
        }
        rows.retain(|row| !row.figures.is_empty());
        Results {
            rounds,
            machine: machine::line(),
            sizes: sizes.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect(),
            rows,
            missing: failed.into_iter().flatten().collect(),
        }
    }

    /// A size; 0 where there is none of this name.
    pub(crate) fn size(&self, name: &str) -> f64 {
        self.sizes.get(name).copied().unwrap_or(0.0)
    }

    /// The row of a peer, or of a peer with itself.
    pub(crate) fn of(&self, peer: &str) -> Option<&Row> {
        self.pair(peer, peer)
            .or_else(|| self.rows.iter().find(|row| row.peer == peer && row.other.is_empty()))
    }

    /// The row of a seed and a leecher.
    pub(crate) fn pair(&self, seed: &str, leecher: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.peer == seed && row.other == leecher)
    }

    /// Keeps them for this section.
    ///
    /// # Errors
    /// A sentence, when the file cannot be written.
    pub(crate) fn keep(&self, section: &str) -> Result<(), String> {
        let path = path(section);
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What a section measured last, if it ever did.
    pub(crate) fn kept(section: &str) -> Option<Results> {
        serde_json::from_slice(&std::fs::read(path(section)).ok()?).ok()
    }
}

fn path(section: &str) -> PathBuf {
    target().join("bench/results").join(format!("{section}.json"))
}

/// Runs `work`; a panic becomes what it said.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "it panicked".to_owned()))
    })
}

/// Keeps all that there is to say of a failure where it is not in the way.
fn log(label: &str, why: &str) {
    let path = target().join("bench/failures.log");
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("=== {label}\n{why}\n").as_bytes()));
    match written {
        Ok(()) => println!("  its logs: {}", path.display()),
        Err(error) => println!("  {}: {error}\n{why}", path.display()),
    }
}

fn line(figures: &Figures) -> String {
    let figure = |(name, value): &(&str, f64)| format!("{name} {value:.2}");
    figures.iter().map(figure).collect::<Vec<_>>().join(", ")
}

impl Row {
    fn add(&mut self, figures: Figures) {
        for (name, value) in figures {
            self.figures.entry(name.to_owned()).or_default().push(value);
        }
    }

    /// The median of a figure; 0 where there is none of this name.
    pub(crate) fn median(&self, name: &str) -> f64 {
        let sorted = self.sorted(name);
        let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        match (sorted.get(low), sorted.get(high)) {
            (Some(low), Some(high)) => (low + high) / 2.0,
            _ => 0.0,
        }
    }

    /// The least and the most of a figure.
    pub(crate) fn range(&self, name: &str) -> (f64, f64) {
        let sorted = self.sorted(name);
        (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0))
    }

    fn sorted(&self, name: &str) -> Vec<f64> {
        let mut sorted = self.figures.get(name).cloned().unwrap_or_default();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// Whether this is ours, or ours with itself.
    pub(crate) fn is_own(&self) -> bool {
        self.peer == "althing" && (self.other.is_empty() || self.other == "althing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job<'a>(name: &str, measure: impl FnMut() -> Result<Figures, String> + 'a) -> Job<'a> {
        let (label, peer) = (name.to_owned(), name.to_owned());
        Job { label, peer, other: String::new(), measure: Box::new(measure) }
    }

    #[test]
    fn jobs_take_turns_and_a_failed_one_stops_no_other() {
        let turns = std::cell::RefCell::new(String::new());
        let turn = |name: char| turns.borrow_mut().push(name);
        let mut values = [3.0, 1.0, 2.0].into_iter();
        let mut jobs = [
            job("a", || {
                turn('a');
                Ok(vec![("wall_s", values.next().unwrap_or(9.0))])
            }),
            job("b", || {
                turn('b');
                panic!("no disk\nlog")
            }),
            job("c", || {
                turn('c');
                Ok(vec![("wall_s", 1.0)])
            }),
        ];
        let results = Results::measure(3, &[("mib", 64.0)], &mut jobs);
        drop(jobs);
        assert_eq!(turns.into_inner(), "abcacac");
        assert_eq!(results.missing, ["b failed in round 1: no disk"]);
        let a = results.of("a").expect("it was measured");
        assert_eq!((a.median("wall_s"), a.range("wall_s")), (2.0, (1.0, 3.0)));
        assert_eq!(results.of("b"), None);
        assert_eq!(results.size("mib"), 64.0);
        let text = serde_json::to_string(&results).expect("it is plain data");
        assert_eq!(serde_json::from_str::<Results>(&text).expect("the same"), results);
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        let mut row = Row {
            label: String::new(),
            peer: "althing".to_owned(),
            other: "althing".to_owned(),
            figures: BTreeMap::new(),
        };
        row.add(vec![("x", 1.0)]);
        row.add(vec![("x", 4.0)]);
        assert_eq!((row.median("x"), row.median("y")), (2.5, 0.0));
        assert!(row.is_own());
    }
}
