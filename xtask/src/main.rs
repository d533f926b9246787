//! The one task runner: `cargo xtask test`, `check`, `sim`, `lab`, `fuzz`, `crash`, `bench`, `count`, `dev`.
//!
//! It has no dependencies, so that it builds in a second on a machine that has built nothing yet;
//! what a task needs beyond cargo it installs, or says that it is missing and goes on.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line program")]

mod bench;
mod check;
mod count;
mod crash;
mod dev;
mod fuzz;
mod lab;
mod packages;
mod run;
mod sim;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask TASK

  test [ARGS]            every test: documentation, units, properties, simulator, real clients.
                         As root, installs the Debian packages of the real clients first.
                         ARGS go to the test runner (a name to filter by, for instance).
  check                  format, lints as errors, documentation, licences
  sim [ARGS]             run the simulator; --seed N reproduces a run, --scenario NAME picks one,
                         --table NAME prints a table of docs/simulator.md
  lab [NAME…]            run the lab's scenarios, all but growth unless they are named, and write
                         docs/lab/; a quarter of an hour
  fuzz [TARGET] [--seconds N]
                         fuzz one target, or each for N seconds (default 60)
  crash [--rounds N] [--seed N]
                         kill a daemon that fetches N times (default 200), and compare after
                         each time what it claims with what is on disk
  bench files [ARGS]     Althing beside libtorrent, aria2 and rqbit, in sections; needs root.
                         Writes docs/performance.md and docs/img/
  count [--bless]        count the instructions of the hot functions and compare them with
                         bench/counts.txt; --bless writes down what was counted
  dev [ARGS]             a peer to try things on, with its own folder and ports under target/dev
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    let done = match task {
        "test" => test::run(rest),
        "check" => check::run(),
        "count" => count::run(rest),
        "sim" => sim::run(rest),
        "lab" => lab::run(rest),
        "fuzz" => fuzz::run(rest),
        "crash" => crash::run(rest),
        "bench" => bench::run(rest),
        "dev" => dev::run(rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no task {other:?}\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
