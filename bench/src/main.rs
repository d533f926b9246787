//! Althing measured beside other peers, in one run. `cargo xtask bench` builds and calls this.
//!
//! Absolute times say more about a machine than about a program; so every figure stands beside
//! those of other peers that did the same work on the same machine, turn by turn in the same run.
//! [`sections`] has what is compared, a module each; [`results`] is what they leave, from which
//! [`report`] writes the page and [`chart`] its pictures. [`peers`] says how each peer is started,
//! [`measure`] what a transfer takes. [`floor`], [`load`] and [`attack`] are other ends of connections: this
//! program itself, called again.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line program")]

mod attack;
mod chart;
mod daemon;
mod files;
mod floor;
mod install;
mod load;
mod machine;
mod measure;
mod options;
mod peers;
mod report;
mod results;
mod sections;

use std::path::PathBuf;
use std::process::ExitCode;

use options::{Options, USAGE};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] | ["--help" | "-h", ..] | ["files", "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["files", options @ ..] => Options::parse(options).and_then(|options| files::run(&options)),
        ["floor-send", address, file] => floor::send(address, file),
        ["floor-receive", address, file] => floor::receive(address, file),
        ["load", rest @ ..] => load::run(rest),
        ["attack", rest @ ..] => attack::run(rest),
        other => Err(format!("{other:?} is no benchmark\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(PathBuf::from).unwrap_or(own)
}

/// The folder for payloads, copies and the peers that are installed for this.
fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}
