//! What stands in a scenario's file: parts, times and numbers, each read once into a type that is within its
//! bounds.

use super::limits::{NODES_MAX, QUESTIONS_MAX, TIME_MAX};
use althing_base::time::Duration;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a value is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It is no part of a whole.
    #[error(
        "\"{0}\" is no part of a whole; write a number from 0 to 100 and a percent sign: \"50 %\""
    )]
    Part(String),
    /// It is no time.
    #[error("\"{0}\" is no time; write a number and ms, s, min or h, at most 7 days: \"10 s\"")]
    Time(String),
    /// It is no number of copies.
    #[error(
        "\"{0}\" is no number of copies; write \"one\", or a part of all nodes up to 50 %: \"0.1 %\""
    )]
    Copies(String),
    /// It is not within its bounds.
    #[error("{0} is not from {1} to {2}; choose a number in between")]
    Bounds(u64, u64, u64),
    /// It is no way to look for something.
    #[error("\"{0}\" is no way to look for something; there are walk, dht, super, auto and flood")]
    Way(String),
}

/// A part of a whole: 0 to 1, written in percent.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Part(f64);

impl Part {
    /// From 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// So much of a number, rounded.
    pub fn of(self, whole: usize) -> usize {
        (whole as f64 * self.0).round() as usize
    }
}

impl FromStr for Part {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let within = number.filter(|number| (0.0..=100.0).contains(number));
        within.map(|number| Part(number / 100.0)).ok_or(ValueError::Part(text.to_owned()))
    }
}

impl TryFrom<String> for Part {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 0.1 % of a whole is not exactly a thousandth.
        write!(f, "{} %", (self.0 * 1e8).round() / 1e6)
    }
}

/// How long something takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(Duration);

impl Time {
    /// As a duration.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Time {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || ValueError::Time(text.to_owned());
        let at = text.find(|c: char| c != '.' && !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(at);
        let unit_s = match unit.trim() {
            "ms" => 0.001,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3_600.0,
            _ => return Err(error()),
        };
        let number: f64 = number.parse().map_err(|_| error())?;
        let time = Duration::try_from_secs_f64(number * unit_s).map_err(|_| error())?;
        if time <= TIME_MAX { Ok(Time(time)) } else { Err(error()) }
    }
}

impl TryFrom<String> for Time {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

/// How many have something.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Copies {
    /// One node.
    One,
    /// A part of all nodes, at least two of them.
    Part(Part),
}

impl Copies {
    /// Of so many nodes.
    pub fn of(self, nodes: usize) -> usize {
        match self {
            Copies::One => 1,
            Copies::Part(part) => part.of(nodes).clamp(2, (nodes / 2).max(2)),
        }
    }
}

impl TryFrom<String> for Copies {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        if text == "one" {
            return Ok(Copies::One);
        }
        let part = text.parse().ok().filter(|part: &Part| (0.0..=0.5).contains(&part.get()));
        part.map(Copies::Part).ok_or(ValueError::Copies(text))
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Copies::One => f.write_str("one copy"),
            Copies::Part(part) => write!(f, "on {part} of nodes"),
        }
    }
}

/// A number of nodes, of somebody or something: from 1 to a bound.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub struct Bounded<const MAX: usize>(usize);

/// How many nodes there are.
pub type Nodes = Bounded<NODES_MAX>;

/// How many questions are asked, or records published.
pub type Questions = Bounded<QUESTIONS_MAX>;

impl<const MAX: usize> Bounded<MAX> {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl<const MAX: usize> TryFrom<u64> for Bounded<MAX> {
    type Error = ValueError;

    fn try_from(number: u64) -> Result<Self, ValueError> {
        let within = (1..=MAX as u64).contains(&number);
        if within {
            Ok(Bounded(number as usize))
        } else {
            Err(ValueError::Bounds(number, 1, MAX as u64))
        }
    }
}

/// How something is looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Unstructured: over neighbours' indexes.
    Walk,
    /// Structured: by term in the DHT.
    Dht,
    /// Hybrid: at those who index for others.
    Super,
    /// As the node chooses.
    Auto,
    /// To compare: everybody passes it on to all neighbours, over seven links.
    Flood,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 5] = [Way::Walk, Way::Dht, Way::Super, Way::Auto, Way::Flood];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Way::Walk => "walk",
            Way::Dht => "dht",
            Way::Super => "super",
            Way::Auto => "auto",
            Way::Flood => "flood",
        }
    }

    /// Reads "all", or names with commas between them.
    ///
    /// # Errors
    /// [`ValueError::Way`] with what is no name.
    pub fn list(text: &str) -> Result<Vec<Way>, ValueError> {
        if text == "all" {
            return Ok(Way::ALL.to_vec());
        }
        let mut ways = Vec::new();
        for name in text.split(',') {
            let way = Way::ALL.into_iter().find(|way| way.name() == name.trim());
            let way = way.ok_or_else(|| ValueError::Way(name.to_owned()))?;
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        Ok(ways)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_times_and_copies() {
        for (text, part) in [("50 %", 0.5), ("0.1%", 0.001), ("100 %", 1.0), ("0 %", 0.0)] {
            let read: Part = text.parse().expect(text);
            assert!((read.get() - part).abs() < 1e-12, "{text}");
        }
        assert_eq!("0.1 %".parse::<Part>().map(|part| part.to_string()), Ok("0.1 %".into()));
        for bad in ["", "50", "%", "-1 %", "101 %", "NaN %", "inf %", "1 % 2"] {
            assert!(bad.parse::<Part>().is_err(), "{bad}");
        }
        for (text, ms) in
            [("250 ms", 250), ("10 s", 10_000), ("1.5min", 90_000), ("2 h", 7_200_000)]
        {
            assert_eq!(text.parse::<Time>().map(|time| time.get().as_millis()), Ok(ms), "{text}");
        }
        for bad in ["", "10", "s", "-1 s", "1 d", "1e9 s", "999999 h", "1..2 s"] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
        let copies = |text: &str| Copies::try_from(text.to_owned());
        assert_eq!(copies("one").map(|copies| copies.of(10_000)), Ok(1));
        assert_eq!(copies("0.1 %").map(|copies| copies.of(10_000)), Ok(10));
        assert_eq!(copies("0.1 %").map(|copies| copies.of(40)), Ok(2));
        assert!(copies("two").is_err() && copies("60 %").is_err());
    }

    #[test]
    fn ways() {
        assert_eq!(Way::list("all").map(|ways| ways.len()), Ok(5));
        assert_eq!(Way::list("walk, super,walk"), Ok(vec![Way::Walk, Way::Super]));
        assert_eq!(Way::list("walk,fly"), Err(ValueError::Way("fly".into())));
    }
}
