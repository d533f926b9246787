//! Every target on its corpus, and on thousands of mutations of it, on stable Rust.

use althing_base::{Rng, Seed};
use althing_fuzz::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Mutations tried for each target: a second or two in a debug build.
const MUTATIONS: u64 = 20_000;

/// The same for targets each run of which does arithmetic of large numbers, or drives two machines for
/// hundreds of packets: a millisecond in a debug build.
const DEAR_MUTATIONS: u64 = 2_000;
const DEAR_TARGETS: [&str; 7] = [
    "encrypted_handshake",
    "overlay_link",
    "overlay_mail",
    "overlay_message",
    "overlay_reconcile",
    "overlay_shelf",
    "utp_connection",
];

/// A mutated input is not let grow beyond this many bytes.
const MUTATED_SIZE_MAX: usize = 64 * 1024;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The inputs of a target's corpus, by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("the target {name} has no corpus {}: {error}", folder.display())
    });
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("a directory that can be read");
            let input = fs::read(entry.path()).expect("a file that can be read");
            (entry.file_name().to_string_lossy().into_owned(), input)
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    inputs
}

/// Runs a target and, if it panics, says on what.
fn run(target: Target, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{what}, on \"{}\"", input.escape_ascii());
    }
}

#[test]
fn corpora_pass() {
    for (name, target) in TARGETS {
        for (file, input) in corpus(name) {
            run(*target, &input, &format!("{name}/{file}"));
        }
    }
}

#[test]
fn mutations_pass() {
    for (name, target) in TARGETS {
        let inputs: Vec<_> = corpus(name).into_iter().map(|(_, input)| input).collect();
        let dear = DEAR_TARGETS.contains(name);
        for number in 0..if dear { DEAR_MUTATIONS } else { MUTATIONS } {
            let mut rng = Rng::new(Seed::from_u64(7).fork(name, number));
            let mut input = rng.choose(&inputs).cloned().unwrap_or_default();
            for _ in 0..=rng.below(4) {
                mutate(&mut input, &inputs, &mut rng);
            }
            run(*target, &input, &format!("{name}, mutation {number}"));
        }
    }
}

/// Changes an input in one of the ways in which formats break.
fn mutate(input: &mut Vec<u8>, inputs: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.index(input.len() + 1);
    let end = (at + rng.index(16)).min(input.len());
    match rng.below(8) {
        0 if at < input.len() => input[at] ^= 1 << rng.below(8),
        1 if at < input.len() => input[at] = rng.next_u32() as u8,
        2 => drop(input.drain(at..end)),
        3 => {
            let copy = input[at..end].to_vec();
            let to = rng.index(input.len() + 1);
            input.splice(to..to, copy);
        }
        4 => {
            let number = match rng.below(4) {
                0 => rng.below(20),
                1 => 1 << rng.below(64),
                2 => (1u64 << rng.below(64)).wrapping_sub(1),
                _ => rng.next_u64(),
            };
            let digits = input[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            input.splice(at..at + digits, number.to_string().into_bytes());
        }
        5 => {
            let tokens: [&[u8]; 12] =
                [b"d", b"l", b"e", b"i", b"0:", b"1:", b"..", b"/", b"&", b"%", b"i-1e", b"\xff"];
            let token = rng.choose(&tokens).copied().unwrap_or_default();
            input.splice(at..at, token.iter().copied());
        }
        6 => {
            let other = rng.choose(inputs).cloned().unwrap_or_default();
            let from = rng.index(other.len() + 1);
            input.splice(at..end, other[from..(from + rng.index(64)).min(other.len())].to_vec());
        }
        _ => input.truncate(at),
    }
    input.truncate(MUTATED_SIZE_MAX);
}

#[test]
fn libfuzzer_knows_every_target() {
    let manifest =
        fs::read_to_string(folder("cargo-fuzz/Cargo.toml")).expect("the wrapper's manifest");
    for (name, _) in TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("path = \"{path}\"")), "{path} is not in the manifest");
        let source = fs::read_to_string(folder("cargo-fuzz").join(&path)).expect("the wrapper");
        assert!(source.contains(&format!("targets::{name}::run")), "{path} runs something else");
    }
    let corpora = fs::read_dir(folder("corpus")).expect("the corpora");
    for folder in
        corpora.map(|entry| entry.expect("a readable folder")).filter(|e| e.path().is_dir())
    {
        let name = folder.file_name();
        assert!(TARGETS.iter().any(|(known, _)| name == *known), "{name:?} is no target's corpus");
    }
}
