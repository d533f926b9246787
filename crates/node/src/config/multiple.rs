//! A number such as 1.5 among the settings, kept exactly.

use althing_store::records::Ratio;
use serde::{Deserialize, Serialize};

/// How many times; 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Number", into = "f64")]
pub struct Multiple(Ratio);

impl Multiple {
    /// The limit, if there is one.
    pub fn limit(self) -> Option<Ratio> {
        (self.0.thousandths > 0).then_some(self.0)
    }
}

/// As people write it: TOML tells 2 from 2.0.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Part(f64),
}

impl TryFrom<Number> for Multiple {
    type Error = String;

    fn try_from(number: Number) -> Result<Self, String> {
        let number = match number {
            Number::Whole(number) => number as f64,
            Number::Part(number) => number,
        };
        let ratio = Ratio::from_f64(number);
        ratio.map(Multiple).ok_or_else(|| format!("{number} cannot be a ratio; write 1.5, or 0"))
    }
}

impl From<Multiple> for f64 {
    fn from(multiple: Multiple) -> f64 {
        multiple.0.as_f64()
    }
}
