//! What a scenario may ask for. Each constant says its unit and its source.

use althing_base::time::Duration;

/// Nodes: each takes some 30 kB, so that these take 6 GB (guess: what a good machine has).
pub const NODES_MAX: usize = 200_000;

/// Questions of a row, or records of a step (guess: a minute of a core).
pub const QUESTIONS_MAX: usize = 10_000;

/// The longest that one step lets pass.
pub const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Steps of a scenario (guess).
pub const STEPS_MAX: usize = 1_000;

/// Bytes of a scenario's file (guess: no text that somebody wrote is longer).
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// Answers that differ and are wanted: as many as a question may ask for.
pub const WANTED_MAX: usize = althing_overlay::search::limits::WANTED_MAX as usize;
