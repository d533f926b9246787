//! The transcripts in `docs/cli` are what the program does: every command in them is run, and what it
//! prints is compared with what stands there.
//!
//! A transcript is a Markdown file with `console` blocks, which are run from top to bottom:
//!
//! * `anna$ althing …` runs a command as one of the people in it; each has a home and a data folder.
//!   One that ends in `&` goes on beside the others.
//! * `anna$ ^C` interrupts what Anna has running beside, and waits for its end; `anna$ wait` only waits.
//! * `? 3` says that the command before ends with exit code 3; without it, it is 0.
//! * All other lines are what comes out, standard error included. `…` stands for any text within a
//!   line, a line `…` for any lines, and `<NAME>` for a text without blanks that is the same wherever
//!   the name stands, also in commands.
//!
//! `ALTHING_BLESS=1` writes what came out into the files; what was any text has to be marked by hand.

#![cfg(unix)]

mod matching;
mod person;
mod transcript;

use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli");

#[test]
fn the_program_does_what_the_transcripts_say() {
    let mut files: Vec<PathBuf> = fs::read_dir(FOLDER)
        .expect("docs/cli is there")
        .map(|entry| entry.expect("docs/cli can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    // Beside each other: most of the time is waiting.
    let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let running: Vec<_> = files.iter().map(|path| scope.spawn(|| check(path))).collect();
        running
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("the runner panicked".into())))
            .collect()
    });
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let outcome = transcript::run(&text);
    if std::env::var_os("ALTHING_BLESS").is_some() {
        fs::write(path, &outcome.text).map_err(|error| error.to_string())?;
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match outcome.differences[..] {
        [] => Ok(()),
        _ => Err(format!("{name}:\n{}", outcome.differences.join("\n"))),
    }
}
