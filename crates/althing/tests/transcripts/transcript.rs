//! Running a transcript from top to bottom.

use crate::matching::{Names, lines_match, substitute};
use crate::person::Person;
use std::collections::BTreeMap;

/// What came of a transcript.
pub(crate) struct Outcome {
    /// Where it was not as it says.
    pub(crate) differences: Vec<String>,
    /// The transcript with what really came out.
    pub(crate) text: String,
}

/// A command and what it is to print.
struct Step<'a> {
    person: &'a str,
    command: &'a str,
    expected: Vec<&'a str>,
    code: i32,
}

pub(crate) fn run(text: &str) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path().canonicalize().expect("it is there");
    let mut people = BTreeMap::<String, Person>::new();
    let mut names = Names::new();
    let mut outcome = Outcome { differences: Vec::new(), text: String::new() };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("```").expect("a block has an end");
        outcome.text.push_str(before);
        outcome.text.push_str("```console\n");
        for step in steps(block) {
            let person = people
                .entry(step.person.to_owned())
                .or_insert_with(|| Person::new(root.join(step.person)));
            run_step(&step, person, &mut names, &mut outcome);
        }
        outcome.text.push_str("```");
        rest = after;
    }
    outcome.text.push_str(rest);
    outcome
}

fn steps(block: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::<Step<'_>>::new();
    for line in block.lines() {
        let prompt = line.split_once("$ ").filter(|(person, _)| {
            !person.is_empty() && person.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        match (prompt, steps.last_mut()) {
            (Some((person, command)), _) => {
                steps.push(Step { person, command, expected: Vec::new(), code: 0 });
            }
            (None, Some(step)) => match line.strip_prefix("? ") {
                Some(code) => step.code = code.parse().expect("`?` is followed by a number"),
                None => step.expected.push(line),
            },
            (None, None) => panic!("a block begins with a prompt, not with {line:?}"),
        }
    }
    steps
}

fn run_step(step: &Step<'_>, person: &mut Person, names: &mut Names, outcome: &mut Outcome) {
    let command = substitute(step.command, names);
    let home = person.home().to_string_lossy().into_owned();
    let root = person.home().parent().map(|root| root.to_string_lossy().into_owned());
    let root = root.unwrap_or_default();
    // Where the transcript is run is nobody's business.
    let shown = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.replace(&home, "~").replace(&root, "/home")).collect()
    };
    let (lines, code) = match (command.as_str(), command.strip_suffix(" &")) {
        ("^C", _) => person.interrupt().parts(),
        ("wait", _) => person.wait().parts(),
        (_, Some(command)) => {
            let enough = |lines: &[String]| {
                let lines = shown(lines);
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                lines_match(&step.expected, &lines, &mut names.clone())
            };
            (person.start(&words(command), enough), Some(step.code))
        }
        (command, None) => person.run(&words(command)).parts(),
    };
    let lines = shown(&lines);
    let found: Vec<&str> = lines.iter().map(String::as_str).collect();
    let matches = lines_match(&step.expected, &found, names) && code == Some(step.code);

    outcome.text.push_str(&format!("{}$ {}\n", step.person, step.command));
    let (shown, code) = match matches {
        true => (&step.expected, Some(step.code)),
        false => (&found, code),
    };
    shown.iter().for_each(|line| outcome.text.push_str(&format!("{line}\n")));
    if code != Some(0) {
        let code = code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        outcome.text.push_str(&format!("? {code}\n"));
    }
    if !matches {
        outcome.differences.push(format!(
            "{}$ {command}\n--- expected (exit code {})\n{}\n--- came out (exit code {code:?})\n{}",
            step.person,
            step.code,
            step.expected.join("\n"),
            found.join("\n"),
        ));
    }
}

/// A command line in words, quotes taken off as a shell does.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for char in line.chars() {
        match (quote, char) {
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (Some(open), char) if open == char => quote = None,
            (None, ' ') => words.extend(word.take()),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[test]
fn lines_become_words() {
    assert_eq!(words("a 'b c' \"\" d'e'f"), ["a", "b c", "", "def"]);
}
