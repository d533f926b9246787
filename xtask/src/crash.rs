//! `cargo xtask crash`: a daemon that is killed again and again while it fetches
//! (crates/althing/tests/crash).

use crate::run::{Done, cargo, must};

/// Kills without an argument: enough to hit each step of taking in a piece more than once.
const ROUNDS: &str = "200";

/// Runs the test with as many rounds as asked for.
pub(crate) fn run(arguments: &[String]) -> Done {
    let mut rounds = ROUNDS.to_owned();
    let mut seed = "1".to_owned();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = match word.as_str() {
            "--rounds" => &mut rounds,
            "--seed" => &mut seed,
            other => return Err(format!("there is no option {other:?}")),
        };
        *value = match words.next().filter(|number| number.parse::<u64>().is_ok()) {
            Some(number) => number.clone(),
            None => return Err(format!("{word} needs a number")),
        };
    }
    let test = ["test", "--package", "althing", "--test", "crash", "--", "--nocapture"];
    must(cargo(test).env("ALTHING_CRASH_ROUNDS", rounds).env("ALTHING_CRASH_SEED", seed))
}
