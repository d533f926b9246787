//! `cargo xtask count`: how many instructions the hot functions take, against what they took before.
//!
//! Times change with the machine and with what else it does; instructions hardly do. Each case runs
//! twice under valgrind with different numbers of turns, and the difference is what its turns take.
//! What was counted last stands in bench/counts.txt, with the compiler it holds for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Done, cargo, has_program, must, root, target};

/// The cases of crates/bittorrent/examples/count.rs, and how many turns each gets at first; the second
/// run has three times as many.
const CASES: [(&str, u64); 13] = [
    ("bencode_parse", 50),
    ("bitfield_ones", 20),
    ("choke_fetching_500", 10),
    ("choke_seeding_50", 20),
    ("choke_seeding_500", 10),
    ("decode_block", 2000),
    ("decode_have", 2000),
    ("encode_request", 2000),
    ("metainfo_parse", 3),
    ("rc4_block", 50),
    ("swarm_block", 4000),
    ("swarm_first_block", 2000),
    ("swarm_request", 8000),
];

/// How much more than before is let pass, in per cent.
const TOLERANCE_PERCENT: f64 = 5.0;

/// Counts and compares; `--bless` writes down what was counted.
pub(crate) fn run(arguments: &[String]) -> Done {
    let bless = arguments.iter().any(|argument| argument == "--bless");
    if !has_program("valgrind") {
        println!(
            "valgrind is not installed, so no instructions are counted (apt-get install valgrind)"
        );
        return Ok(());
    }
    must(&mut cargo([
        "build",
        "--quiet",
        "--release",
        "--package",
        "althing-bittorrent",
        "--example",
        "count",
    ]))?;
    let program = target().join("release/examples/count");
    let path = root().join("bench/counts.txt");
    let (compiler_before, before) = read(&path);
    let compiler = compiler();
    let mut counts = BTreeMap::new();
    let mut worse = Vec::new();
    for (case, turns) in CASES {
        let once = instructions(&program, case, turns)?;
        let thrice = instructions(&program, case, turns * 3)?;
        let count = thrice.saturating_sub(once) / (turns * 2);
        let known = before.get(case).copied();
        let change = known.map(|known| 100.0 * (count as f64 / known as f64 - 1.0));
        let change_text = change.map_or("new".to_owned(), |change| format!("{change:+.1} %"));
        println!("{case:<18} {count:>9} instructions a turn  {change_text}");
        if change.is_none_or(|change| change > TOLERANCE_PERCENT) {
            worse.push(case);
        }
        counts.insert(case, count);
    }
    if bless {
        return write(&path, &compiler, &counts);
    }
    if compiler != compiler_before {
        println!(
            "these are of {compiler}, and {} holds for {compiler_before}: nothing is compared",
            path.display()
        );
        return Ok(());
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} take more than {TOLERANCE_PERCENT} % more instructions than before; if that is meant, \
         `cargo xtask count --bless` writes it down",
        worse.join(", ")
    ))
}

fn instructions(program: &Path, case: &str, turns: u64) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args([case, &turns.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let refs = said.lines().find_map(|line| line.split_once("refs:"));
    let count = refs.and_then(|(_, count)| count.trim().replace(',', "").parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("{case} fails:\n{said}"))
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).trim().to_owned()
}

/// The compiler on the first line, then a case and its count on each.
fn read(path: &PathBuf) -> (String, BTreeMap<String, u64>) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let compiler = lines.next().unwrap_or_default().to_owned();
    let count = |line: &str| {
        let (case, count) = line.split_once(' ')?;
        Some((case.to_owned(), count.trim().parse().ok()?))
    };
    (compiler, lines.filter_map(count).collect())
}

fn write(path: &Path, compiler: &str, counts: &BTreeMap<&str, u64>) -> Done {
    let lines: String = counts.iter().map(|(case, count)| format!("{case} {count}\n")).collect();
    std::fs::write(path, format!("{compiler}\n{lines}"))
        .map_err(|error| format!("{}: {error}", path.display()))
}
