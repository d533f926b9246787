//! Forty peers in an overlay, as real processes far from each other: what becomes of them is what the
//! simulator says becomes of forty nodes.
//!
//! The scenario is the simulator's own (`crates/sim/scenarios/forty.toml`): lines lose some of what they
//! carry, the network is split and mended, a quarter of the peers dies with a word and a quarter without.
//! Everything that is published has to come to all of them here as there; how often it is sent, and how long
//! it takes, may differ by [`COPIES_APART`] and [`TIME_APART`]. What is asked has to be found, for as many
//! messages ([`questions`]).

#![allow(clippy::print_stderr, reason = "how it went is worth knowing when it went well, too")]

#[path = "overlay/questions.rs"]
mod questions;

use std::net::Ipv4Addr;
use std::time::Duration;

use althing_sim::overlay::lab::{self, How, Kill, Report, Scenario, Step};
use althing_tests::daemon::Daemon;
use althing_tests::far::Far;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::wait::{now, poll};
use rustix::process::Signal;

/// Times that a record is sent for each peer, by which processes and simulator may differ. Processes share
/// a machine that is busy at times, and so do not always keep to the tree.
const COPIES_APART: f64 = 0.5;

/// How much longer it may take in processes until all have a record. They share two cores, and are asked
/// one after the other whether they have it.
const TIME_APART: Duration = Duration::from_secs(30);

/// For an answer that must come at once.
const LIMIT: Duration = Duration::from_secs(60);

/// Who is known to all at the start.
const KNOWN: [usize; 2] = [0, 1];

#[test]
fn forty_processes_do_what_the_simulator_says() {
    let test = "forty_processes_do_what_the_simulator_says";
    let scenario = lab::load("forty").expect("it comes with the simulator");
    let count = u8::try_from(scenario.nodes.get()).expect("there are forty");
    let scratch = Scratch::new();
    let far = tools::obstacle(&["/usr/bin/python3"])
        .map_or_else(|| Far::new(count, scenario.seed, scratch.path()), Err);
    let mut far = match far {
        Ok(far) => far,
        Err(why) => return tools::skip(test, &why),
    };
    far.lose((scenario.loss.get() * 100.0).round() as u32);
    let mut crowd = Crowd::start(far, &scratch, scenario.supers.get());
    let things = crowd.stock(&scenario, &scratch.dir("things"));
    let (rows, asked) = crowd.perform(&scenario, &things);
    let copies = crowd.copies();

    let report = lab::run(&scenario, &mut |_| {});
    for row in &rows {
        row.agrees_with(&report);
    }
    for row in &asked {
        row.agrees_with(&report);
    }
    let simulated = report.spreading.iter().map(|row| row.copies).sum::<f64>();
    let simulated = simulated / report.spreading.len() as f64;
    eprintln!("copies a peer: {copies:.2}, in the simulator {simulated:.2}");
    assert!((copies - simulated).abs() <= COPIES_APART, "{copies} and {simulated} copies a peer");
}

/// Records that were published under one label: how long it took until all had each.
struct Row {
    label: String,
    last: Duration,
}

impl Row {
    /// All have heard, here (otherwise it would have failed) as there, after a like time.
    #[track_caller]
    fn agrees_with(&self, report: &Report) {
        let simulated = report.spreading.iter().find(|row| row.label == self.label);
        let simulated = simulated.unwrap_or_else(|| panic!("{} is in no row", self.label));
        assert!(simulated.reached >= 1.0, "{}: {simulated:?}", self.label);
        let there = simulated.last_ms.map(|ms| Duration::from_secs_f64(ms / 1_000.0));
        let there = there.expect("somebody has it");
        eprintln!("{}: {:.1?}, in the simulator {there:.1?}", self.label, self.last);
        assert!(self.last <= there + TIME_APART, "{}: {:?}", self.label, self.last);
    }
}

struct Crowd {
    far: Far,
    daemons: Vec<Daemon>,
    /// Those that live and can be reached.
    living: Vec<usize>,
    /// How many records each should have.
    expected: Vec<u64>,
    /// Records that were published.
    said: u64,
    /// Whose turn it was last to publish: each does so once, so that what all hold can be counted.
    turn: usize,
    is_split: bool,
}

impl Crowd {
    fn start(far: Far, scratch: &Scratch, supers: f64) -> Crowd {
        let ip = |at: usize| Ipv4Addr::new(10, 77, at as u8 + 1, 1);
        let peers = KNOWN.map(|at| format!("\"{}:7716\"", ip(at))).join(", ");
        let settings =
            format!("[dht]\nenabled = false\n[overlay]\nenabled = true\npeers = [{peers}]\n");
        let hosts = far.hosts.iter().cloned().enumerate();
        // Spread, as they are in the simulator.
        let each = (1.0 / supers).round() as usize;
        let start = |(at, host): (usize, _)| {
            let is_super = at % each == each / 2;
            let settings = format!("{settings}super_peer = {is_super}\n");
            Daemon::launch(host, &scratch.dir(&format!("peer{at}")), &settings)
        };
        let daemons: Vec<Daemon> = hosts.map(start).collect();
        daemons.iter().for_each(Daemon::answers);
        let count = daemons.len();
        let crowd = Crowd {
            far,
            daemons,
            living: (0..count).collect(),
            expected: vec![0; count],
            said: 0,
            turn: 0,
            is_split: false,
        };
        let linked = |at: &usize| crowd.figure(*at, "neighbours_out") != Some(0);
        let all = poll(LIMIT, || crowd.living.iter().all(linked).then_some(()));
        assert!(all.is_some(), "somebody has no neighbour");
        crowd
    }

    fn perform(
        &mut self,
        scenario: &Scenario,
        things: &[questions::Thing],
    ) -> (Vec<Row>, Vec<questions::Row>) {
        let (mut rows, mut asked) = (Vec::new(), Vec::new());
        for step in &scenario.steps {
            match step.get_ref() {
                Step::Publish(publish) => {
                    let label = publish.label.clone().expect("each of these has a name");
                    let mut last = Duration::ZERO;
                    for _ in 0..publish.records.get() {
                        let start = now();
                        let who = self.publish();
                        // What was said to one half the others hear later.
                        self.hear(&label, |at, crowd| crowd.sees(who, at));
                        last = last.max(start.elapsed());
                    }
                    rows.push(Row { label, last });
                }
                Step::Split(_) => {
                    self.far.split(self.half());
                    self.is_split = true;
                }
                Step::Mend(_) => {
                    let start = now();
                    self.far.heal();
                    self.is_split = false;
                    self.expected.fill(self.said);
                    self.hear("what was said in the other half", |_, _| true);
                    // They had heard when they saw each other again.
                    if let Some(row) = rows.last_mut() {
                        row.last = row.last.max(start.elapsed());
                    }
                }
                Step::Kill(kill) => self.kill(kill),
                Step::Ask(ask) => asked.extend(self.ask(scenario, ask, things)),
                // Here it is waited until something has come about.
                Step::Wait(_) => {}
                other => panic!("no process can do this: {other:?}"),
            }
        }
        (rows, asked)
    }

    fn half(&self) -> usize {
        self.daemons.len() / 2
    }

    /// Whether what one of them sends can reach another.
    fn sees(&self, one: usize, other: usize) -> bool {
        !self.is_split || (one < self.half()) == (other < self.half())
    }

    /// Has somebody say something.
    #[track_caller]
    fn publish(&mut self) -> usize {
        // In turn from both halves; 23 and 40 have no common divisor, so all come before any comes twice.
        let who = loop {
            let who = self.turn * 23 % self.daemons.len();
            self.turn += 1;
            if self.living.contains(&who) {
                break who;
            }
        };
        self.daemons[who].does(&["overlay", "profile", &format!("peer {who}")]);
        self.said += 1;
        for at in 0..self.daemons.len() {
            self.expected[at] += u64::from(self.sees(who, at));
        }
        who
    }

    /// Waits until all who live hold what they should.
    #[track_caller]
    fn hear(&self, what: &str, who: impl Fn(usize, &Crowd) -> bool) {
        let mut waiting: Vec<usize> =
            self.living.iter().copied().filter(|at| who(*at, self)).collect();
        let heard = poll(LIMIT, || {
            waiting.retain(|at| self.figure(*at, "records") != Some(self.expected[*at]));
            waiting.is_empty().then_some(())
        });
        let logs: String =
            waiting.iter().take(3).map(|at| self.daemons[*at].process.tail()).collect();
        assert!(heard.is_some(), "{what}: {waiting:?} have not heard of it\n{logs}");
    }

    /// Some die, while something is on its way.
    #[track_caller]
    fn kill(&mut self, kill: &Kill) {
        let who = kill.under_way.map(|_| self.publish());
        let count = kill.part.of(self.living.len());
        let spared = |at: &usize| Some(*at) == who || KNOWN.contains(at);
        let dying: Vec<usize> =
            self.living.iter().copied().filter(|at| !spared(at)).step_by(2).take(count).collect();
        assert_eq!(dying.len(), count, "so many can be spared");
        for at in &dying {
            match kill.how {
                How::Closed => self.daemons[*at].process.signal(Signal::KILL),
                How::Silent => self.far.cut(*at),
            }
        }
        self.living.retain(|at| !dying.contains(at));
        self.hear("what was on its way", |_, _| true);
    }

    fn figure(&self, at: usize, name: &str) -> Option<u64> {
        self.daemons[at].try_json(&["overlay"])?[name].as_u64()
    }

    /// How often a record was sent for each time that somebody got it.
    fn copies(&self) -> f64 {
        let sum = |name| {
            let figures = self.living.iter().filter_map(|at| self.figure(*at, name));
            figures.sum::<u64>() as f64
        };
        let (received, twice, reconciled) = (sum("received"), sum("duplicates"), sum("reconciled"));
        (received + reconciled) / (received - twice + reconciled)
    }
}
