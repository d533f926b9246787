//! `cargo xtask sim`: the deterministic simulator (crates/sim).

use crate::run::{Done, cargo, must};

/// Runs the simulator; all arguments are its own.
pub(crate) fn run(arguments: &[String]) -> Done {
    must(cargo(["run", "--quiet", "--release", "--package", "althing-sim", "--"]).args(arguments))
}
