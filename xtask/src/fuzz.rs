//! `cargo xtask fuzz`: coverage-guided fuzzing, where cargo-fuzz is installed.

use std::path::PathBuf;

use crate::run::{Done, cargo, has_cargo, must, own_folder, root};

/// How long each target is fuzzed when nothing is said, seconds.
const SECONDS: &str = "60";

/// Fuzzes one target, or all of them one after the other.
pub(crate) fn run(arguments: &[String]) -> Done {
    let mut seconds = SECONDS.to_owned();
    let mut only = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seconds" => seconds = rest.next().ok_or("--seconds needs a number")?.clone(),
            name => only = Some(name.to_owned()),
        }
    }
    seconds.parse::<u32>().map_err(|error| format!("--seconds {seconds}: {error}"))?;
    let targets = targets()?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| only.as_ref().is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        return Err(format!("there is no such target; there are: {}", targets.join(", ")));
    }
    if !has_cargo("fuzz") {
        return Err("cargo-fuzz is not installed (`cargo install cargo-fuzz`); the committed \
                    corpora are replayed by `cargo xtask test` without it"
            .to_owned());
    }
    for name in chosen {
        // New inputs go to the first corpus; the second, the committed one, is only read.
        let found = own_folder()?.join("fuzz-corpus").join(name);
        std::fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
        let mut command = cargo(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]);
        command.arg(folder()).arg(name).arg(found).arg(root().join("fuzz/corpus").join(name));
        command.args(["--".to_owned(), format!("-max_total_time={seconds}")]);
        // libFuzzer's instrumentation is a compiler flag that stable compilers hide.
        must(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("fuzz/cargo-fuzz")
}

fn targets() -> Result<Vec<String>, String> {
    let path = folder().join("fuzz_targets");
    let entries =
        std::fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
