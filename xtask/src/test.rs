//! `cargo xtask test`: every test there is.

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::packages;
use crate::run::{Done, cargo, has_cargo, must, own_folder};

/// The variable that names the file to which skipped tests add a sentence (tests/src/tools.rs).
const SKIPPED_FILE: &str = "ALTHING_SKIPPED";

/// Installs what is missing where it may, builds, runs the documentation's examples, and then all
/// other tests, so that the last thing printed is the test runner's own summary.
pub(crate) fn run(arguments: &[String]) -> Done {
    packages::provide();
    must(&mut cargo(["build", "--workspace", "--bins", "--tests"]))?;
    if arguments.is_empty() {
        must(&mut cargo(["test", "--workspace", "--doc", "--quiet"]))?;
    }
    let skipped = own_folder()?.join("skipped.txt");
    if skipped.exists() {
        std::fs::remove_file(&skipped)
            .map_err(|error| format!("{}: {error}", skipped.display()))?;
    }
    if has_cargo("nextest") {
        return nextest(arguments, &skipped);
    }
    println!("cargo-nextest is not installed, so `cargo test` runs the tests, one crate at a time");
    let mut command =
        cargo(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    must(command.args(arguments).env(SKIPPED_FILE, &skipped))
}

/// Passes nextest's output on as it comes, and puts what was skipped before its summary.
fn nextest(arguments: &[String], skipped: &Path) -> Done {
    let mut command = cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
    let color = if std::io::stderr().is_terminal() { "always" } else { "auto" };
    command.args(["--color", color]).args(arguments).env(SKIPPED_FILE, skipped);
    println!("$ {}", crate::run::line(&command));
    let held = pass_on(&mut command)?;
    for sentence in sentences(skipped) {
        eprintln!("{sentence}");
    }
    for line in held.summary {
        eprintln!("{line}");
    }
    if held.fine { Ok(()) } else { Err("tests failed".to_owned()) }
}

struct Held {
    summary: Vec<String>,
    fine: bool,
}

fn pass_on(command: &mut Command) -> Result<Held, String> {
    let failed = |error: std::io::Error| format!("cargo nextest: {error}");
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
    let mut summary = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.map_err(failed)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            if !summary.is_empty() || line.contains("Summary") && line.contains("tests run:") {
                summary.push(line);
            } else {
                eprintln!("{line}");
            }
        }
    }
    let fine = child.wait().map_err(failed)?.success();
    Ok(Held { summary, fine })
}

/// The sentences of skipped tests, those with the same reason together.
fn sentences(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix("skipped ").unwrap_or(line);
        let (test, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, tests)) => tests.push(test),
            None => reasons.push((reason, vec![test])),
        }
    }
    let sentence = |(reason, tests): &(&str, Vec<&str>)| match tests.as_slice() {
        [test] => format!("skipped {test}: {reason}"),
        tests => format!("skipped {} tests ({}, …): {reason}", tests.len(), tests[0]),
    };
    reasons.iter().map(sentence).collect()
}
