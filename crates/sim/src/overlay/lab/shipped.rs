//! The scenarios that come with the program.

use super::limits::FILE_BYTES_MAX;
use super::scenario::{Scenario, ScenarioError};
use std::io::Read as _;
use std::path::PathBuf;

/// Their names and files.
pub const SHIPPED: &[(&str, &str)] = &[
    ("overlays", include_str!("../../../scenarios/overlays.toml")),
    ("mass-failure", include_str!("../../../scenarios/mass-failure.toml")),
    ("super-peers", include_str!("../../../scenarios/super-peers.toml")),
    ("churn", include_str!("../../../scenarios/churn.toml")),
    ("churn-hard", include_str!("../../../scenarios/churn-hard.toml")),
    ("split", include_str!("../../../scenarios/split.toml")),
    ("sybils", include_str!("../../../scenarios/sybils.toml")),
    ("poisoners", include_str!("../../../scenarios/poisoners.toml")),
    ("poisoners-half", include_str!("../../../scenarios/poisoners-half.toml")),
    ("swallowers", include_str!("../../../scenarios/swallowers.toml")),
    ("eclipse", include_str!("../../../scenarios/eclipse.toml")),
    ("growth", include_str!("../../../scenarios/growth.toml")),
    ("forty", include_str!("../../../scenarios/forty.toml")),
];

/// Why there is no scenario to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is neither a file nor a scenario of that name.
    #[error(
        "there is no scenario \"{name}\", and no file of that name ({error}); `althing lab list` names those that come with the program"
    )]
    Missing {
        /// The name.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is one, and it cannot be read.
    #[error("{name}: {error}")]
    Bad {
        /// Which.
        name: String,
        /// Why not.
        error: ScenarioError,
    },
}

/// A scenario that comes with the program, by its name, or else one in a file.
///
/// # Errors
/// There is none, or it is none; says what to do.
pub fn load(name: &str) -> Result<Scenario, LoadError> {
    let bad = |error| LoadError::Bad { name: name.to_owned(), error };
    if let Some((_, text)) = SHIPPED.iter().find(|(other, _)| *other == name) {
        return Scenario::parse(text).map_err(bad);
    }
    let mut text = String::new();
    std::fs::File::open(PathBuf::from(name))
        // One byte more, so that what is too long is seen to be.
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text))
        .map_err(|error| LoadError::Missing { name: name.to_owned(), error })?;
    Scenario::parse(&text).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_can_be_read_and_are_called_as_their_files() {
        for (name, text) in SHIPPED {
            let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(scenario.name, *name);
        }
    }
}
