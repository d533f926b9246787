//! What came of a run, as a table and as JSON.

use crate::checks::Peaks;
use althing_base::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What came of a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: String,
    /// The number that reproduces it.
    pub seed: u64,
    /// How many hosts there were, the tracker's not counted.
    pub hosts: u32,
    /// Size of the torrent in bytes.
    pub torrent_bytes: u64,
    /// Its pieces.
    pub pieces: u32,
    /// Simulated time at the end, in seconds.
    pub ended_after_s: f64,
    /// Liveness: whether everyone who had to finish did, by the deadline.
    pub in_time: bool,
    /// When they did.
    pub completion: Completion,
    /// The same, only the time during which their programs ran being counted.
    pub running: Completion,
    /// The same by group of those that did not start with everything, whoever has to finish or not.
    pub groups: BTreeMap<String, Group>,
    /// Who did not, and how it stands.
    pub unfinished: Vec<String>,
    /// The time below which it cannot be done, in seconds, if hosts neither come nor go.
    pub ideal_s: Option<f64>,
    /// When every piece was at somebody else's, in seconds.
    pub one_copy_out_s: Option<f64>,
    /// How many copies the seeds had sent by then: 1 if no piece was sent twice.
    pub seed_copies: Option<f64>,
    /// Payload sent, in bytes.
    pub sent_bytes: u64,
    /// Payload received, in bytes.
    pub received_bytes: u64,
    /// Payload that honest hosts received and did not need, or that was wrong, in bytes.
    pub wasted_bytes: u64,
    /// Blocks sent.
    pub blocks: u64,
    /// Messages sent, blocks not counted.
    pub messages: u64,
    /// Their bytes.
    pub message_bytes: u64,
    /// How long messages waited in their senders' modems, until they were sent, on the average, in
    /// seconds.
    pub waited_in_modems_s: f64,
    /// Hosts that do not keep to the protocol.
    pub liars: u32,
    /// How many of them were banned by somebody.
    pub banned_liars: u32,
    /// Bans in all.
    pub bans: u32,
    /// How often honest hosts tried to connect to somebody.
    pub calls: u64,
    /// Why honest hosts ended connections, and how often.
    pub partings: BTreeMap<String, u64>,
    /// The largest values seen.
    pub peaks: Peaks,
    /// Events of the run.
    pub events: u64,
    /// The hash over everything that was delivered to the machines.
    pub hash: String,
    /// Safety: what must never happen and did; the first ones.
    pub violations: Vec<String>,
    /// How many there were.
    pub violations_total: u64,
    /// The places that somebody looked at while they came, in the order of time.
    pub views: Vec<View>,
    /// How the run went.
    pub timeline: Vec<Sample>,
}

/// When hosts finished, each counted from its own start, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Completion {
    /// How many did.
    pub hosts: u32,
    /// The first one.
    pub first_s: f64,
    /// The one in the middle.
    pub median_s: f64,
    /// The one before which nine of ten did.
    pub ninth_s: f64,
    /// The last one.
    pub last_s: f64,
}

/// What came of a group of hosts.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Group {
    /// How many there were.
    pub hosts: u32,
    /// When those that had everything by the end did.
    pub completion: Completion,
    /// The median of the times that hosts needed, in seconds; for those that were not through at the
    /// end, what they would have needed at their speed until then.
    pub expected_s: f64,
    /// Where a host's payload came from, on average.
    pub sources: Sources,
}

/// Where payload came from, in bytes.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Sources {
    /// From those that had everything at the start.
    pub first_seeds_bytes: u64,
    /// From those that were still fetching themselves.
    pub fetching_bytes: u64,
    /// From those that had everything by then.
    pub finished_bytes: u64,
}

impl Sources {
    /// Adds another host's.
    pub(crate) fn add(&mut self, of: Sources) {
        self.first_seeds_bytes += of.first_seeds_bytes;
        self.fetching_bytes += of.fetching_bytes;
        self.finished_bytes += of.finished_bytes;
    }

    /// The same for one of so many hosts.
    pub(crate) fn each(self, hosts: usize) -> Sources {
        let hosts = hosts.max(1) as u64;
        Sources {
            first_seeds_bytes: self.first_seeds_bytes / hosts,
            fetching_bytes: self.fetching_bytes / hosts,
            finished_bytes: self.finished_bytes / hosts,
        }
    }
}

/// A place that somebody looked at.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct View {
    /// The piece.
    pub from: u32,
    /// How long it took, in seconds, until as much was there from that piece on as each of the marks
    /// says; as many as were reached.
    pub waited_s: Vec<f64>,
}

/// One look at the world.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Sample {
    /// Seconds since the start.
    pub at_s: u64,
    /// Hosts that run.
    pub running: u32,
    /// Hosts that have finished.
    pub finished: u32,
    /// Mean part of the torrent that hosts have which did not start with it, 0 to 1.
    pub mean_progress: f64,
    /// Pieces of which some other host than the first seeds has a copy.
    pub copied_pieces: u32,
    /// Bytes that have left all uplinks, headers included.
    pub sent_bytes: u64,
}

impl Completion {
    /// Of times in ascending order.
    pub(crate) fn of(times: &[Duration]) -> Self {
        let at = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f64);
        Completion {
            hosts: times.len() as u32,
            first_s: at(0),
            median_s: at(times.len() / 2),
            ninth_s: at(times.len() * 9 / 10),
            last_s: at(times.len().saturating_sub(1)),
        }
    }
}

impl Report {
    /// Whether it was as it should be: nothing wrong happened, and everyone finished.
    pub fn is_good(&self) -> bool {
        self.in_time && self.violations_total == 0
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl fmt::Display for Report {
    /// A table of two columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<18}{value}");
        row(
            "scenario",
            format!(
                "{}, seed {}: {} hosts, {} pieces, {:.0} MiB",
                self.scenario,
                self.seed,
                self.hosts,
                self.pieces,
                mib(self.torrent_bytes)
            ),
        )?;
        let Completion { hosts, first_s, median_s, last_s, .. } = self.completion;
        row(
            "finished",
            format!("{hosts}: first {first_s:.1} s, median {median_s:.1} s, last {last_s:.1} s"),
        )?;
        for (name, group) in self.groups.iter().filter(|_| self.groups.len() > 1) {
            let Group { hosts, completion, expected_s, sources } = group;
            let (through, median) = (completion.hosts, completion.median_s);
            row(
                name,
                format!(
                    "{through} of {hosts}, median {median:.1} s; of all {expected_s:.0} s; MiB each \
                     from the seed {:.1}, from those who fetch {:.1}, from those who are through \
                     {:.1}",
                    mib(sources.first_seeds_bytes),
                    mib(sources.fetching_bytes),
                    mib(sources.finished_bytes)
                ),
            )?;
        }
        if let Some(ideal) = self.ideal_s {
            row("ideal", format!("{ideal:.1} s; the last took {:.2} times that", last_s / ideal))?;
        }
        if let (Some(at), Some(copies)) = (self.one_copy_out_s, self.seed_copies) {
            row("one copy out", format!("after {at:.1} s; the seeds had sent {copies:.2}"))?;
        }
        row(
            "payload",
            format!(
                "{:.0} MiB sent, {:.1} MiB wasted ({:.2} %)",
                mib(self.sent_bytes),
                mib(self.wasted_bytes),
                100.0 * self.wasted_bytes as f64 / self.received_bytes.max(1) as f64
            ),
        )?;
        row(
            "messages",
            format!(
                "{} ({:.2} % of the payload's bytes)",
                self.messages,
                100.0 * self.message_bytes as f64 / self.sent_bytes.max(1) as f64
            ),
        )?;
        if self.liars > 0 {
            row(
                "liars",
                format!(
                    "{}, of which {} banned, {} times",
                    self.liars, self.banned_liars, self.bans
                ),
            )?;
        }
        let each = self.calls as f64 / f64::from((self.hosts - self.liars).max(1));
        row("calls", format!("{}, {each:.0} a host", self.calls))?;
        for (why, times) in &self.partings {
            row("ended connections", format!("{times}: {why}"))?;
        }
        for View { from, waited_s } in &self.views {
            let waited: Vec<String> = waited_s.iter().map(|s| format!("{s:.2} s")).collect();
            row("watched", format!("from piece {from}: {}", waited.join(", ")))?;
        }
        let peaks = self.peaks;
        row(
            "peaks",
            format!(
                "{} connections, {} orders and {} requests a peer, {} pieces in progress, {} \
                 addresses, {} bytes queued",
                peaks.connections,
                peaks.orders_per_peer,
                peaks.requests_per_peer,
                peaks.pieces_in_progress,
                peaks.candidates,
                peaks.queue_bytes
            ),
        )?;
        row("events", format!("{}, hash {}", self.events, self.hash))?;
        for host in &self.unfinished {
            row("UNFINISHED", host.clone())?;
        }
        for violation in &self.violations {
            row("VIOLATION", violation.clone())?;
        }
        if self.violations_total > self.violations.len() as u64 {
            row("VIOLATIONS", format!("{} in all", self.violations_total))?;
        }
        Ok(())
    }
}
