//! What has come of a scenario, and how it is written.

use super::measure::{Quantiles, Spreading};
use super::scenario::Scenario;
use super::values::Way;
use super::{page, picture};
use crate::chart::thousands;
use crate::overlay::net::Net;
use serde::Serialize;
use std::fmt::Write as _;

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Tables for a terminal.
    #[default]
    Text,
    /// Tables for a document.
    Markdown,
    /// One object.
    Json,
    /// A picture.
    Svg,
    /// A page of its own: words, tables and the picture.
    Html,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        Ok(match text {
            "text" => Format::Text,
            "markdown" => Format::Markdown,
            "json" => Format::Json,
            "svg" => Format::Svg,
            "html" => Format::Html,
            _ => {
                return Err(format!(
                    "no report is written as {text}; write text, markdown, json, svg or html"
                ));
            }
        })
    }
}

/// What has come of a scenario. The same scenario and seed make the same report, to the last byte.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub scenario: String,
    /// What it shows.
    pub about: String,
    /// From which everything followed that was left to chance.
    pub seed: u64,
    /// Nodes in the beginning.
    pub nodes: usize,
    /// Questions, and what has come of them.
    pub answers: Vec<Answers>,
    /// Records, and whom they have reached.
    pub spreading: Vec<Spreading>,
    /// What else there is to say.
    pub facts: Vec<Fact>,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Things that have happened to nodes: messages, links, time-outs, answers.
    pub events: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Their bytes, without what a link adds.
    pub bytes: u64,
    /// Over everything that has happened: runs with one fingerprint were the same run.
    pub fingerprint: String,
    /// Of how many nodes items are parts.
    #[serde(skip)]
    pub(super) grown_to: usize,
}

/// Something to know besides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fact {
    /// Of what.
    pub what: String,
    /// How much it is.
    pub value: String,
}

/// Questions for things of one rarity, looked for in one way.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Answers {
    /// When they were asked.
    pub label: String,
    /// Simulated seconds from the beginning.
    pub at_s: f64,
    /// Honest nodes there were.
    pub nodes: usize,
    /// How many have what was looked for.
    pub item: String,
    /// How.
    pub via: Way,
    /// Questions.
    pub questions: usize,
    /// The part of them that found it (recall): 0 to 1.
    pub found: f64,
    /// Answers that named something else, for each question.
    pub wrong: f64,
    /// Messages of a question, answers included.
    pub messages: Quantiles,
    /// Their bytes, without what a link adds.
    pub bytes: Quantiles,
    /// Links that the question crossed to who had the first answer.
    pub hops: Quantiles,
    /// Milliseconds until the first answer, of those that had one.
    pub latency_ms: Quantiles,
    /// Messages that the busiest node got, for each question that anybody asked.
    pub busiest: f64,
}

/// A table: what it is about, its columns, its rows.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Report {
    pub(super) fn new(scenario: &Scenario) -> Report {
        Report {
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            seed: scenario.seed,
            nodes: scenario.nodes.get(),
            answers: Vec::new(),
            spreading: Vec::new(),
            facts: Vec::new(),
            simulated_s: 0.0,
            events: 0,
            messages: 0,
            bytes: 0,
            fingerprint: String::new(),
            grown_to: scenario.nodes.get(),
        }
    }

    pub(super) fn fact(&mut self, what: &str, value: String) {
        self.facts.push(Fact { what: what.to_owned(), value });
    }

    pub(super) fn end(&mut self, net: &Net) {
        let traffic = net.traffic();
        self.simulated_s = net.now().as_nanos() as f64 / 1e9;
        self.events = traffic.events;
        self.messages = traffic.messages;
        self.bytes = traffic.bytes;
        self.fingerprint = format!("{:016x}", net.hash());
    }

    /// Writes it.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
            Format::Json => {
                let json = serde_json::to_string_pretty(self);
                json.expect("a report has only numbers, strings and lists") + "\n"
            }
            Format::Svg => picture::svg(self),
            Format::Html => page::html(self),
        }
    }

    /// In a sentence: what was run.
    pub(super) fn headline(&self) -> String {
        format!(
            "{}, {} nodes, seed {}: {} things happened in {:.0} simulated seconds (fingerprint {})",
            self.scenario,
            thousands(self.nodes as u64),
            self.seed,
            thousands(self.events),
            self.simulated_s,
            self.fingerprint
        )
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.headline(), self.about);
        for table in self.tables() {
            let _ = writeln!(text, "\n{}", table.title);
            text.push_str(&table.text());
        }
        text
    }

    fn markdown(&self) -> String {
        let name = &self.scenario;
        let mut text = format!(
            "# {name}\n\n{}\n\n{}.\n\n![{name}]({name}.svg)\n",
            self.about,
            self.headline()
        );
        for table in self.tables() {
            let _ = writeln!(text, "\n{}.\n", table.title);
            let _ = writeln!(text, "| {} |", table.columns.join(" | "));
            let _ = writeln!(text, "|{}", " --- |".repeat(table.columns.len()));
            for row in &table.rows {
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
        text
    }

    /// All that has rows.
    pub(super) fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.answers_table(), self.spreading_table()];
        tables.push(Table {
            title: "Besides",
            columns: vec!["what", "how much"],
            rows: self.facts.iter().map(|f| vec![f.what.clone(), f.value.clone()]).collect(),
        });
        tables.retain(|table| !table.rows.is_empty());
        tables
    }

    fn answers_table(&self) -> Table {
        let has_wrong = self.answers.iter().any(|answers| answers.wrong > 0.0);
        let mut columns = vec![
            "when",
            "what",
            "via",
            "found",
            "messages",
            "99 %",
            "kB",
            "hops",
            "99 %",
            "first answer",
            "99 %",
            "busiest node",
        ];
        if has_wrong {
            columns.push("wrong answers");
        }
        let rows = self.answers.iter().map(|answers| {
            let mut row = vec![
                answers.label.clone(),
                answers.item.clone(),
                answers.via.name().to_owned(),
                percent(answers.found),
                number(answers.messages.mean),
                number(answers.messages.p99),
                format!("{:.1}", answers.bytes.mean / 1_000.0),
                number(answers.hops.median),
                number(answers.hops.p99),
                seconds((answers.found > 0.0).then_some(answers.latency_ms.median)),
                seconds((answers.found > 0.0).then_some(answers.latency_ms.p99)),
                format!("{:.2}", answers.busiest),
            ];
            if has_wrong {
                row.push(format!("{:.2}", answers.wrong));
            }
            row
        });
        Table {
            title: "Questions: found, what one cost, and messages a question at the busiest node",
            columns,
            rows: rows.collect(),
        }
    }

    fn spreading_table(&self) -> Table {
        let columns = vec![
            "records",
            "number",
            "nodes",
            "in 10 s",
            "in 30 s",
            "in 60 s",
            "in the end",
            "copies a node",
            "half after",
            "99 % after",
            "last after",
            "hops",
        ];
        let rows = self.spreading.iter().map(|spreading| {
            vec![
                spreading.label.clone(),
                spreading.records.to_string(),
                thousands(spreading.nodes as u64),
                percent(spreading.within_10_s),
                percent(spreading.within_30_s),
                percent(spreading.within_60_s),
                percent(spreading.reached),
                format!("{:.2}", spreading.copies),
                seconds(spreading.half_ms),
                seconds(spreading.p99_ms),
                seconds(spreading.last_ms),
                spreading.hops.to_string(),
            ]
        });
        Table {
            title: "Records: whom they have reached, the worst of each step",
            columns,
            rows: rows.collect(),
        }
    }
}

impl Table {
    /// In columns; the first ones are words, the others numbers.
    fn text(&self) -> String {
        let is_words = |at: usize| {
            let is_number = |row: &Vec<String>| row[at].starts_with(|c: char| c.is_ascii_digit());
            !self.rows.iter().any(is_number)
        };
        let width = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].chars().count());
            cells.max().unwrap_or(0).max(self.columns[at].chars().count())
        };
        let mut text = String::new();
        let head: Vec<String> = self.columns.iter().map(|column| (*column).to_owned()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = width(at);
                if is_words(at) {
                    let _ = write!(line, "{cell:<width$}  ");
                } else {
                    let _ = write!(line, "{cell:>width$}  ");
                }
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

/// A part as percent. Not rounded up: all but one is not all.
pub(super) fn percent(part: f64) -> String {
    format!("{:.2} %", (part * 10_000.0).floor() / 100.0)
}

/// A number without what nobody wants to know of it.
pub(super) fn number(value: f64) -> String {
    if value >= 100.0 { thousands(value.round() as u64) } else { format!("{value:.1}") }
}

pub(super) fn seconds(ms: Option<f64>) -> String {
    ms.map_or("–".to_owned(), |ms| format!("{:.2} s", ms / 1_000.0))
}
