//! What forty processes ask, and what the simulator says of the same questions.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use althing_sim::overlay::lab::{Ask, Copies, Report, Scenario, Way};
use althing_tests::daemon::Daemon;
use althing_tests::wait::poll;

use super::{Crowd, LIMIT};

/// By how much of all questions processes may find less than the simulator: one of the twelve of a row.
const FOUND_APART: f64 = 0.1;

/// Messages a question by which processes and simulator may differ. A few are tests of neighbours, indexes are
/// told by other clocks, and whoever has died is asked until that is noticed: one question of a row that is asked again
/// with a budget of 120 puts ten on its average.
const MESSAGES_APART: f64 = 12.0;

/// Different things of each number of copies.
const THINGS: usize = 4;

/// Questions in each way for each of these numbers. The simulator asks forty.
const QUESTIONS: usize = 6;

/// Questions under way at a time: there are two cores, and lines that are slow.
const AT_ONCE: usize = 4;

/// Something that some of them have.
pub(super) struct Thing {
    name: String,
    item: Copies,
    holders: Vec<usize>,
}

/// How the questions of a row went: for things of all numbers of copies together.
pub(super) struct Row {
    label: String,
    via: Way,
    found: f64,
    messages: f64,
}

impl Row {
    /// As many are answered as in the simulator, for as many messages.
    #[track_caller]
    pub(super) fn agrees_with(&self, report: &Report) {
        let rows: Vec<_> = report
            .answers
            .iter()
            .filter(|row| row.label == self.label && row.via == self.via)
            .collect();
        assert!(!rows.is_empty(), "{} by {:?} is in no row", self.label, self.via);
        let count = rows.len() as f64;
        let found = rows.iter().map(|row| row.found).sum::<f64>() / count;
        let messages = rows.iter().map(|row| row.messages.mean).sum::<f64>() / count;
        let said = format!(
            "{} by {:?}: found {:.2} for {:.1} messages, in the simulator {found:.2} for {messages:.1}",
            self.label, self.via, self.found, self.messages
        );
        eprintln!("{said}");
        assert!(self.found >= found - FOUND_APART, "{said}");
        // What everybody was told of is found without a question, which no node of the simulator is told.
        if self.via != Way::Auto {
            assert!((self.messages - messages).abs() <= MESSAGES_APART, "{said}");
        }
    }
}

impl Crowd {
    /// Some of them have things and say so, as many as the scenario asks for. Everybody hears of it.
    pub(super) fn stock(&mut self, scenario: &Scenario, folder: &Path) -> Vec<Thing> {
        let count = self.daemons.len();
        let mut things = Vec::new();
        for (kind, item) in scenario.items.iter().enumerate() {
            let copies = item.of(count);
            for which in 0..THINGS {
                let name = format!("thing{which}of{copies}");
                // Spread over both halves, and nobody has everything; 7 and 40 have no common divisor.
                let first = kind * 3 + which * 11;
                let holders = (0..copies).map(|at| (first + at * 7) % count).collect();
                std::fs::write(folder.join(format!("{name}.txt")), format!("{name} and no more"))
                    .expect("there is room for some bytes");
                things.push(Thing { name, item: *item, holders });
            }
        }
        let shares: Vec<_> = things
            .iter()
            .flat_map(|thing| thing.holders.iter().map(|at| (*at, thing.name.clone())))
            .collect();
        at_once(shares.len(), |number| {
            let (at, name) = &shares[number];
            let path = folder.join(format!("{name}.txt"));
            let path = path.to_str().expect("a plain path");
            self.daemons[*at].does(&["share", path, "--publish"]);
        });
        self.said += shares.len() as u64;
        self.expected.fill(self.said);
        self.hear("what each of them has", |_, _| true);
        let is_told = |at: &usize| self.figure(*at, "terms_near").is_some_and(|terms| terms > 0);
        let mut waiting = self.living.clone();
        let told = poll(LIMIT, || {
            waiting.retain(|at| !is_told(at));
            waiting.is_empty().then_some(())
        });
        assert!(told.is_some(), "nobody has told {waiting:?} what there is");
        things
    }

    /// Asks what a step of the scenario asks.
    pub(super) fn ask(&mut self, scenario: &Scenario, ask: &Ask, things: &[Thing]) -> Vec<Row> {
        let label = ask.label.clone().expect("each of these has a name");
        scenario.via.iter().map(|via| self.ask_by(&label, *via, scenario, things)).collect()
    }

    fn ask_by(&self, label: &str, via: Way, scenario: &Scenario, things: &[Thing]) -> Row {
        let way = match via {
            Way::Walk => "walk",
            Way::Super => "super",
            Way::Dht => "dht",
            Way::Auto => "auto",
            Way::Flood => panic!("nobody floods"),
        };
        let mut questions = Vec::new();
        for item in &scenario.items {
            let lives = |thing: &&Thing| {
                thing.item == *item && thing.holders.iter().any(|at| self.living.contains(at))
            };
            let of: Vec<_> = things.iter().filter(lives).collect();
            assert!(!of.is_empty(), "nobody is left who has anything");
            // 3 is no divisor of what lives.
            let askers = self.living.iter().cycle().step_by(3);
            let asks = askers.zip(of.iter().cycle()).filter(|(at, of)| !of.holders.contains(at));
            questions.extend(asks.take(QUESTIONS).map(|(at, thing)| (*at, thing.name.as_str())));
        }
        let before = self.questions();
        let found = AtomicUsize::new(0);
        at_once(questions.len(), |number| {
            let (at, name) = questions[number];
            found.fetch_add(usize::from(finds(&self.daemons[at], name, way)), Ordering::Relaxed);
        });
        let sent = self.questions() - before;
        let count = questions.len() as f64;
        let found = found.into_inner() as f64 / count;
        Row { label: label.to_owned(), via, found, messages: sent as f64 / count }
    }

    /// Questions and answers that all who live have sent.
    fn questions(&self) -> u64 {
        let sent = std::sync::Mutex::new(0);
        at_once(self.living.len(), |number| {
            let figure = self.figure(self.living[number], "questions").unwrap_or(0);
            *sent.lock().expect("nobody panics with it") += figure;
        });
        sent.into_inner().expect("nobody panics with it")
    }
}

/// Whether a question is answered: by others, or from what everybody was told if the way is left open.
fn finds(daemon: &Daemon, name: &str, way: &str) -> bool {
    let said = daemon.lines(&["find", name, "--via", way, "--limit", "1"]);
    let answers = said.iter().filter(|line| line["type"] == "answer").map(|line| &line["answer"]);
    let told = if way == "auto" { "here" } else { "network" };
    answers.into_iter().any(|answer| {
        answer[told] == true && answer["name"].as_str().is_some_and(|said| said.starts_with(name))
    })
}

/// Does a thing for each number below a count, some at a time.
fn at_once(count: usize, does: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    does(number);
                }
            });
        }
    });
}
