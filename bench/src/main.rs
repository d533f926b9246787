//! Althing measured beside other peers, in one run. `cargo xtask bench` builds and calls this.
//!
//! Absolute times say more about a machine than about a program; so every figure stands beside
//! those of other peers that did the same work on the same machine, turn by turn in the same run.
//! [`files`] is the one comparison so far: one seed, one leecher, one large file over TCP.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line program")]

mod chart;
mod files;
mod floor;
mod install;
mod machine;
mod measure;
mod peers;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask bench files [OPTIONS]

One file, from one seed to one leecher over TCP between two network namespaces: Althing, then
libtorrent, aria2, rqbit and the floor (sendfile, recv, SHA-1, write), turn by turn.

  --rounds N     how often each is measured; medians are reported (default 5)
  --mib N        the file's size in MiB (default 1024)
  --only A,B     measure these alone, and only print the table
  --no-report    measure all and only print the table
";

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

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    rounds: usize,
    mebibytes: u64,
    only: Vec<String>,
    report: bool,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Options, String> {
        let mut options = Options { rounds: 5, mebibytes: 1024, only: Vec::new(), report: true };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--rounds" => options.rounds = number(value()?)?,
                "--mib" => options.mebibytes = number(value()?)?,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--no-report" => options.report = false,
                other => return Err(format!("there is no option {other:?}\n\n{USAGE}")),
            }
        }
        if options.rounds == 0 || options.mebibytes == 0 {
            return Err("--rounds and --mib are at least 1".to_owned());
        }
        options.report &= options.only.is_empty();
        Ok(options)
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("{word:?}: {error}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Result<Options, &str>) {
        match (Options::parse(words), expected) {
            (Ok(options), Ok(expected)) => assert_eq!(options, expected),
            (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
            (got, expected) => panic!("{words:?} gave {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn options_are_read() {
        let default = Options { rounds: 5, mebibytes: 1024, only: Vec::new(), report: true };
        check(&[], Ok(default.clone()));
        check(&["--rounds", "3"], Ok(Options { rounds: 3, ..default.clone() }));
        // A table of some of the peers must not replace that of all of them.
        let only = vec!["floor".to_owned()];
        check(&["--only", "floor"], Ok(Options { only, report: false, ..default }));
        check(&["--rounds"], Err("needs a value"));
        check(&["--rounds", "0"], Err("at least 1"));
        check(&["--speed"], Err("no option"));
    }
}
