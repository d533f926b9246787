//! Scenarios: what a network is like, what happens to it, and what is asked meanwhile. Files in TOML, read once
//! into types that are within their bounds.

use super::limits::{FILE_BYTES_MAX, STEPS_MAX, WANTED_MAX};
use super::values::{Bounded, Copies, Nodes, Part, Questions, Time, Way};
use serde::Deserialize;
use std::fmt;
use toml::Spanned;

/// What is run. See `docs/simulator.md` for the file.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Scenario {
    /// By which it is known.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// How many nodes there are in the beginning.
    pub nodes: Nodes,
    /// From which everything follows that is left to chance.
    #[serde(default = "one_seed")]
    pub seed: u64,
    /// Which part of the nodes indexes for others.
    #[serde(default)]
    pub supers: Part,
    /// Which part of all messages is lost at first, and sent again.
    #[serde(default)]
    pub loss: Part,
    /// Which part of the nodes nobody can call.
    #[serde(default)]
    pub behind_nat: Part,
    /// How things are looked for.
    #[serde(default = "all_ways")]
    pub via: Vec<Way>,
    /// How many have what is looked for: a row of the table each.
    #[serde(default = "usual_items")]
    pub items: Vec<Copies>,
    /// Questions of a row.
    #[serde(default = "some_questions")]
    pub questions: Questions,
    /// Answers that differ after which a question ends.
    #[serde(default = "one_answer")]
    pub wanted: Bounded<WANTED_MAX>,
    /// What happens, in order.
    #[serde(default, rename = "step")]
    pub steps: Vec<Spanned<Step>>,
}

fn one_seed() -> u64 {
    1
}

fn all_ways() -> Vec<Way> {
    Way::ALL.to_vec()
}

fn usual_items() -> Vec<Copies> {
    let item = |text: &str| Copies::try_from(text.to_owned()).ok();
    ["1 %", "0.1 %", "one"].into_iter().filter_map(item).collect()
}

fn some_questions() -> Questions {
    Bounded::try_from(200).expect("it is within the bounds")
}

fn one_answer() -> Bounded<WANTED_MAX> {
    Bounded::try_from(1).expect("it is within the bounds")
}

fn one_record() -> Questions {
    Bounded::try_from(1).expect("it is within the bounds")
}

/// Something that happens.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Things are looked for, in all ways, at the same time.
    Ask(Ask),
    /// Records are published, each by anybody.
    Publish(Publish),
    /// Time passes.
    Wait(Time),
    /// Some die at once.
    Kill(Kill),
    /// Nothing passes between two halves any more, and nobody is told.
    Split(Nothing),
    /// It does again.
    Mend(Nothing),
    /// From now on nodes go and others come.
    Churn(Churn),
    /// More nodes join, until there are so many.
    Grow(Grow),
    /// Strangers join who mean no good.
    Attack(Attack),
    /// Strangers gather around one node, and are all its neighbours if they can.
    Eclipse(Eclipse),
}

/// There is nothing more to say: `{}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Things are looked for.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ask {
    /// What its rows are called.
    #[serde(default)]
    pub label: Option<String>,
    /// Questions of a row, if not as many as everywhere.
    #[serde(default)]
    pub questions: Option<Questions>,
    /// Within which time they are asked, if not ten a second.
    #[serde(default)]
    pub over: Option<Time>,
    /// What is looked for, if not all.
    #[serde(default)]
    pub items: Option<Vec<Copies>>,
}

/// Records are published.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publish {
    /// What its row is called.
    #[serde(default)]
    pub label: Option<String>,
    /// How many.
    #[serde(default = "one_record")]
    pub records: Questions,
    /// How long after the one before each is published, and how long is waited after the last.
    pub every: Time,
}

/// Who dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Anybody.
    #[default]
    Anybody,
    /// Those who index for others.
    Supers,
}

/// How they die.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The system closes their links, and refuses calls.
    #[default]
    Closed,
    /// Nobody is told.
    Silent,
}

/// Some die at once.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kill {
    /// Which part of them.
    pub part: Part,
    /// Of whom.
    #[serde(default)]
    pub who: Who,
    /// And how.
    #[serde(default)]
    pub how: How,
    /// A record is published so long before, and is under way.
    #[serde(default)]
    pub under_way: Option<Time>,
}

/// From now on nodes come and go: whoever goes is followed by somebody new, who has the same things.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Churn {
    /// How long nodes stay is drawn from a Weibull distribution of this shape, 0.1 to 10,
    pub shape: Number,
    /// and this scale.
    pub scale: Time,
    /// Which part goes without a word.
    #[serde(default)]
    pub silent: Part,
}

/// A number from 0.1 to 10.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(try_from = "f64")]
pub struct Number(f64);

impl Number {
    /// It.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Number {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        let is_within = (0.1..=10.0).contains(&number);
        is_within.then_some(Number(number)).ok_or_else(|| {
            format!("{number} is not from 0.1 to 10; measured shapes are 0.3 to 0.6")
        })
    }
}

/// More nodes join.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grow {
    /// Until there are so many.
    pub to: Nodes,
}

/// What strangers do who mean no good. They are nodes like all others besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    /// They swallow questions and answers.
    Swallow,
    /// They pass nothing on, records or questions, and name nobody but each other.
    Hush,
    /// They offer everything that anybody looks for, and have none of it.
    Poison,
}

/// Strangers join.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Attack {
    /// How many.
    pub count: Nodes,
    /// What they do.
    pub conduct: Conduct,
    /// From how many networks (IPv4 /16) they come; from anywhere if it is not said.
    #[serde(default)]
    pub networks: Option<Nodes>,
}

/// Strangers gather around one node.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Eclipse {
    /// How many.
    pub attackers: Nodes,
    /// From how many networks (IPv4 /16) they come; from anywhere if it is not said.
    #[serde(default)]
    pub networks: Option<Nodes>,
    /// How long they try, calling each ten seconds.
    pub time: Time,
    /// Records that are published then, ten seconds each.
    #[serde(default = "one_record")]
    pub records: Questions,
}

/// Why a file is no scenario.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is not what a scenario's file is; says where and why.
    #[error("{0}")]
    Toml(String),
    /// It is too long.
    #[error(
        "{bytes} bytes, where a scenario has at most {FILE_BYTES_MAX}; leave out what it does not need"
    )]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// Something stands where it cannot.
    #[error("line {line}: {what}")]
    Order {
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        what: Wrong,
    },
}

/// What is wrong with the order of things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Wrong {
    /// Too many steps.
    Steps,
    /// A network is split twice.
    SplitTwice,
    /// A network is mended that is not split.
    NotSplit,
    /// A network shrinks.
    Shrinks,
    /// Super-peers die where there are none.
    NoSupers,
    /// Nothing is looked for.
    NothingAsked,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Steps => "more than 1000 steps; leave some out",
            Wrong::SplitTwice => "the network is split already; mend it first: mend = {}",
            Wrong::NotSplit => "the network is not split; split it before: split = {}",
            Wrong::Shrinks => "there are as many nodes already; grow to a greater number",
            Wrong::NoSupers => "there are no super-peers to kill; have some: supers = \"1 %\"",
            Wrong::NothingAsked => {
                "nothing is looked for; name items and ways, or leave them out for the usual ones"
            }
        })
    }
}

impl Scenario {
    /// Reads a scenario's file.
    ///
    /// # Errors
    /// It is none; the error says the line and what to do.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(ScenarioError::TooLong { bytes: text.len() });
        }
        let scenario: Scenario = toml::from_str(text)
            .map_err(|error| ScenarioError::Toml(error.to_string().trim_end().to_owned()))?;
        scenario.check().map_err(|(at, what)| {
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            ScenarioError::Order { line, what }
        })?;
        Ok(scenario)
    }

    /// Whether what happens can happen in this order; if not, at which byte of the file.
    fn check(&self) -> Result<(), (usize, Wrong)> {
        let mut is_split = false;
        let mut nodes = self.nodes;
        let has_supers = self.supers.get() > 0.0;
        if self.steps.len() > STEPS_MAX {
            return Err((self.steps[STEPS_MAX].span().start, Wrong::Steps));
        }
        for step in &self.steps {
            let wrong = match step.get_ref() {
                Step::Split(_) if is_split => Some(Wrong::SplitTwice),
                Step::Mend(_) if !is_split => Some(Wrong::NotSplit),
                Step::Grow(grow) if grow.to <= nodes => Some(Wrong::Shrinks),
                Step::Kill(Kill { who: Who::Supers, .. }) if !has_supers => Some(Wrong::NoSupers),
                Step::Ask(ask) => {
                    let items = ask.items.as_ref().unwrap_or(&self.items);
                    (items.is_empty() || self.via.is_empty()).then_some(Wrong::NothingAsked)
                }
                _ => None,
            };
            if let Some(wrong) = wrong {
                return Err((step.span().start, wrong));
            }
            match step.get_ref() {
                Step::Split(_) => is_split = true,
                Step::Mend(_) => is_split = false,
                Step::Grow(grow) => nodes = grow.to,
                _ => {}
            }
        }
        Ok(())
    }

    /// A part of the nodes dies: what stands in place of all that kills in the scenario, or comes after
    /// the first questions if nothing does.
    pub fn kill(&mut self, part: Part) {
        let mut has_killed = false;
        for step in &mut self.steps {
            if let Step::Kill(kill) = step.get_mut() {
                kill.part = part;
                has_killed = true;
            }
        }
        if !has_killed {
            let first = self.steps.iter().position(|step| matches!(step.get_ref(), Step::Ask(_)));
            let at = first.map_or(self.steps.len(), |at| at + 1);
            let kill = Kill { part, who: Who::Anybody, how: How::Closed, under_way: None };
            let after = |label: &str| Ask { label: Some(label.into()), ..Ask::default() };
            let steps = [
                Step::Kill(kill),
                Step::Ask(after("just after")),
                Step::Wait(Time::try_from("1 min".to_owned()).expect("it is a time")),
                Step::Ask(after("later")),
            ];
            let steps = steps.map(|step| Spanned::new(0..0, step));
            self.steps.splice(at..at, steps);
        }
    }

    /// All that is looked for in it: how many have each.
    pub(super) fn copies(&self, nodes: usize) -> Vec<usize> {
        let asked = self.steps.iter().filter_map(|step| match step.get_ref() {
            Step::Ask(ask) => ask.items.as_ref(),
            _ => None,
        });
        let all = asked.flatten().chain(&self.items);
        let mut copies: Vec<_> = all.map(|item| item.of(nodes)).collect();
        copies.sort_unstable();
        copies.dedup();
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = \"x\"\nabout = \"y\"\nnodes = 40\n";

    fn error(rest: &str) -> String {
        Scenario::parse(&format!("{HEAD}{rest}")).expect_err(rest).to_string()
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let scenario = Scenario::parse(HEAD).expect("it is one");
        assert_eq!(scenario.via, Way::ALL);
        assert_eq!((scenario.seed, scenario.questions.get(), scenario.wanted.get()), (1, 200, 1));
        assert_eq!(scenario.copies(10_000), [1, 10, 100]);
    }

    #[test]
    fn errors_say_the_line_and_what_to_do() {
        for (rest, line, what) in [
            ("loss = \"5\"", 4, "\"50 %\""),
            ("\n[[step]]\nkill = { part = \"150 %\" }", 6, "0 to 100"),
            ("\n[[step]]\nwait = \"10\"", 5, "\"10 s\""),
            ("\n[[step]]\nwiat = \"10 s\"", 6, "wait"),
            ("\n[[step]]\nkill = { part = \"50 %\", when = \"now\" }", 6, "`when`"),
            ("\n[[step]]\ngrow = { to = 0 }", 6, "1 to 200000"),
            ("via = [\"fly\"]", 4, "flood"),
            ("nodes = 10", 4, "duplicate key"),
        ] {
            let error = error(rest);
            assert!(error.contains(&format!("line {line}")), "{rest}: {error}");
            assert!(error.contains(what), "{rest}: {error}");
        }
        for (rest, what) in [
            ("\n[[step]]\nmend = {}", "line 5: the network is not split"),
            (
                "\n[[step]]\nsplit = {}\n[[step]]\nsplit = {}",
                "line 7: the network is split already",
            ),
            ("\n[[step]]\ngrow = { to = 30 }", "line 5: there are as many nodes already"),
            ("\n[[step]]\nkill = { part = \"1 %\", who = \"supers\" }", "supers = \"1 %\""),
            ("items = []\n[[step]]\nask = {}", "line 5: nothing is looked for"),
        ] {
            let error = error(rest);
            assert!(error.contains(what), "{rest}: {error}");
        }
    }

    #[test]
    fn who_dies_can_be_said_besides() {
        let half: Part = "50 %".parse().expect("it is a part");
        let mut scenario = Scenario::parse(&format!("{HEAD}[[step]]\nask = {{}}")).expect("one");
        scenario.kill(half);
        assert_eq!(scenario.steps.len(), 5);
        let kills = |scenario: &Scenario| {
            let kill = |step: &Spanned<Step>| match step.get_ref() {
                Step::Kill(kill) => Some(kill.part),
                _ => None,
            };
            scenario.steps.iter().filter_map(kill).collect::<Vec<_>>()
        };
        assert_eq!(kills(&scenario), [half]);
        let tenth: Part = "10 %".parse().expect("it is a part");
        scenario.kill(tenth);
        assert_eq!(kills(&scenario), [tenth]);
    }
}
