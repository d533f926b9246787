//! How the demo looks: the table that is redrawn while it runs, and the figures at the end.

use super::compare::Compared;
use super::search::Searched;
use super::watch::{PeerState, Watch};
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, units};
use althing_node::api::types::TorrentDetail;
use console::{Term, style};
use serde::Serialize;
use std::time::Duration;

/// Columns of a progress bar.
const BAR_COLUMNS: u64 = 16;

/// More peers than this make the table of who got what from whom too wide.
const MATRIX_PEERS_MAX: usize = 9;

/// A table that is drawn over itself.
pub(super) struct Drawing {
    screen: Screen,
    term: Term,
    lines: usize,
}

impl Drawing {
    pub(super) fn new(screen: &Screen) -> Self {
        Drawing { screen: screen.clone(), term: Term::buffered_stderr(), lines: 0 }
    }

    pub(super) fn redraw(&mut self, watch: &Watch) {
        self.clear();
        let columns = usize::from(self.term.size().1);
        for line in table(watch) {
            // A line that wraps would take two.
            let line = console::truncate_str(&line, columns.saturating_sub(1), "");
            drop(self.term.write_line(&line));
            self.lines += 1;
        }
        drop(self.term.flush());
    }

    pub(super) fn clear(&mut self) {
        if self.screen.redraws() {
            drop(self.term.clear_last_lines(self.lines));
            drop(self.term.flush());
        }
        self.lines = 0;
    }
}

/// Everybody's state in one line.
pub(super) fn line(watch: &Watch) -> String {
    let states: Vec<String> = watch
        .peers
        .iter()
        .enumerate()
        .skip(1)
        .map(|(index, peer)| {
            let done = units::percent(peer.pieces_done.into(), watch.pieces.into());
            format!("peer {} {done} %", index + 1)
        })
        .collect();
    let elapsed = units::duration(watch.elapsed());
    format!("after {elapsed}: {}; {} moved", states.join(", "), units::bytes(watch.moved()))
}

/// Everybody's state while it runs, or at the end.
pub(super) fn table(watch: &Watch) -> Vec<String> {
    let matrix = watch.peers.len() <= MATRIX_PEERS_MAX;
    let mut header = vec![
        ("PEER".to_owned(), Align::Left),
        ("HAS".to_owned(), Align::Left),
        ("DOWN".to_owned(), Align::Right),
        ("UP".to_owned(), Align::Right),
    ];
    if matrix {
        header.extend(matrix_header(watch.peers.len()));
    }
    let rows: Vec<Vec<String>> = watch
        .peers
        .iter()
        .enumerate()
        .map(|(index, peer)| {
            let mut row = vec![
                (index + 1).to_string(),
                has(peer, watch.pieces),
                rate(peer.download_bytes_per_s),
                rate(peer.upload_bytes_per_s),
            ];
            if matrix {
                row.extend(matrix_row(index, &peer.received_from, watch.size));
            }
            row
        })
        .collect();
    with_bold_head(lay_out(&header, &rows))
}

fn with_bold_head(mut lines: Vec<String>) -> Vec<String> {
    if let Some(titles) = lines.first_mut() {
        *titles = style(&titles).bold().to_string();
    }
    lines
}

/// Titles of the columns that say what part of the content came from whom.
fn matrix_header(peers: usize) -> impl Iterator<Item = (String, Align)> {
    (1..=peers).map(|number| {
        let title = if number == 1 { "FROM 1".to_owned() } else { number.to_string() };
        (title, Align::Right)
    })
}

/// What part of the content the peer `index` got from whom.
fn matrix_row(index: usize, received_from: &[u64], size: u64) -> impl Iterator<Item = String> {
    received_from.iter().enumerate().map(move |(from, bytes)| match (from == index, *bytes) {
        (true, _) => style("·").dim().to_string(),
        (false, 0) => String::new(),
        (false, bytes) => format!("{} %", units::percent(bytes, size)),
    })
}

fn rate(bytes_per_s: u64) -> String {
    if bytes_per_s == 0 { "-".to_owned() } else { units::rate(bytes_per_s) }
}

fn has(peer: &PeerState, pieces: u32) -> String {
    let percent = units::percent(peer.pieces_done.into(), pieces.into());
    let full = (percent * BAR_COLUMNS / 100) as usize;
    let bar = style("━".repeat(full));
    let bar = if percent == 100 { bar.green() } else { bar.cyan() };
    let rest = style("─".repeat(BAR_COLUMNS as usize - full)).dim();
    format!("{bar}{rest} {percent:>3} %")
}

/// The figures, as `--json` prints them.
#[derive(Serialize)]
pub(super) struct Report {
    r#type: &'static str,
    name: String,
    size_bytes: u64,
    files: u64,
    pieces: u32,
    /// From giving out the link until the last one had everything.
    seconds: f64,
    /// Payload received by all peers together.
    moved_bytes: u64,
    bytes_per_s: u64,
    /// What others that were still fetching gave.
    from_leechers_percent: u64,
    peers: Vec<PeerReport>,
    copies_compared: u64,
    bytes_compared: u64,
    identical: bool,
    /// What finding texts by words has cost.
    search: Searched,
}

#[derive(Serialize)]
struct PeerReport {
    peer: usize,
    seconds: f64,
    received_bytes: u64,
    sent_bytes: u64,
    received_bytes_from: Vec<u64>,
}

impl Report {
    pub(super) fn new(
        watch: &Watch,
        shared: &TorrentDetail,
        compared: &Compared,
        search: Searched,
    ) -> Self {
        let moved = watch.moved();
        let sent = |from: usize| {
            let to_each = watch.peers.iter().filter_map(|peer| peer.received_from.get(from));
            to_each.fold(0_u64, |sum, bytes| sum.saturating_add(*bytes))
        };
        let peers = watch
            .peers
            .iter()
            .enumerate()
            .map(|(index, peer)| PeerReport {
                peer: index + 1,
                seconds: peer.complete_after.unwrap_or_default().as_secs_f64(),
                received_bytes: peer.received(),
                sent_bytes: sent(index),
                received_bytes_from: peer.received_from.clone(),
            })
            .collect();
        let elapsed = watch.elapsed();
        Report {
            r#type: "demo",
            name: watch.name.clone(),
            size_bytes: watch.size,
            files: shared.files.unwrap_or_default().into(),
            pieces: watch.pieces,
            seconds: elapsed.as_secs_f64(),
            moved_bytes: moved,
            bytes_per_s: (moved as f64 / elapsed.as_secs_f64().max(0.001)) as u64,
            from_leechers_percent: units::percent(moved.saturating_sub(sent(0)), moved),
            peers,
            copies_compared: compared.copies,
            bytes_compared: compared.bytes,
            identical: true,
            search,
        }
    }

    /// The sentences below the tables.
    pub(super) fn sentences(&self) -> Vec<String> {
        let leechers = self.peers.len() - 1;
        vec![
            format!(
                "{} have everything after {}: {} moved, {} in all.",
                units::counted(leechers as u64, "peer"),
                units::duration(Duration::from_secs_f64(self.seconds)),
                units::bytes(self.moved_bytes),
                units::rate(self.bytes_per_s),
            ),
            format!(
                "{} % of that came from peers that were fetching it themselves, {} % from peer 1.",
                self.from_leechers_percent,
                100 - self.from_leechers_percent,
            ),
            format!(
                "Compared byte by byte: {} of {} and {}, all the same.",
                if self.copies_compared == 1 {
                    "1 copy".to_owned()
                } else {
                    format!("{} copies", self.copies_compared)
                },
                units::counted(self.files, "file"),
                units::bytes(self.size_bytes),
            ),
        ]
    }

    /// How it went for each peer.
    pub(super) fn table(&self) -> Vec<String> {
        let matrix = self.peers.len() <= MATRIX_PEERS_MAX;
        let mut header = vec![
            ("PEER".to_owned(), Align::Left),
            ("COMPLETE AFTER".to_owned(), Align::Right),
            ("RECEIVED".to_owned(), Align::Right),
            ("SENT".to_owned(), Align::Right),
        ];
        if matrix {
            header.extend(matrix_header(self.peers.len()));
        }
        let rows: Vec<Vec<String>> = self
            .peers
            .iter()
            .enumerate()
            .map(|(index, peer)| {
                let mut row = vec![
                    peer.peer.to_string(),
                    match index {
                        0 => "had it".to_owned(),
                        _ => units::duration(Duration::from_secs_f64(peer.seconds)),
                    },
                    units::bytes(peer.received_bytes),
                    units::bytes(peer.sent_bytes),
                ];
                if matrix {
                    row.extend(matrix_row(index, &peer.received_bytes_from, self.size_bytes));
                }
                row
            })
            .collect();
        with_bold_head(lay_out(&header, &rows))
    }

    pub(super) fn print(&self, screen: &Screen) {
        screen.value(self, true);
        screen.result("");
        self.table().iter().for_each(|line| screen.result(line));
        screen.result("");
        self.sentences().iter().for_each(|line| screen.result(line));
        screen.result("");
        with_bold_head(self.search.table()).iter().for_each(|line| screen.result(line));
        screen.result("");
        self.search.sentences().iter().for_each(|line| screen.result(line));
    }
}
