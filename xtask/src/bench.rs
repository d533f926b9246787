//! `cargo xtask bench`: Althing beside the others, measured in one run (bench/).

use crate::run::{Done, cargo, is_root, must};

/// Builds what is measured and runs the comparison; arguments are the benchmark's own.
pub(crate) fn run(arguments: &[String]) -> Done {
    if !arguments.iter().any(|argument| argument == "--help") {
        if !is_root() {
            return Err(
                "the benchmarks run between two network namespaces, which needs root".to_owned()
            );
        }
        must(&mut cargo(["build", "--release", "--package", "althing"]))?;
    }
    must(cargo(["run", "--quiet", "--release", "--package", "althing-bench", "--"]).args(arguments))
}
