//! Choosing among a torrent's files: by number, by range, by a pattern for their paths.

use crate::client::{Client, torrent_path};
use crate::exit::{Exit, Failure};
use crate::screen::text;
use althing_node::api::types::{ChangeRequest, FilePriority, FileProgress, Torrent};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What users name files by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// Their numbers, as `althing files` lists them.
    Numbers(RangeInclusive<u32>),
    /// A pattern.
    Pattern(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u32>().ok();
        let range = match given.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)).map(|(a, b)| a..=b),
            None => number(given).map(|n| n..=n),
        };
        match range {
            Some(range) if range.is_empty() => Err(format!(
                "write the smaller number first, as in {}-{}",
                range.end(),
                range.start()
            )),
            Some(range) => Ok(Choice::Numbers(range)),
            None if given.is_empty() => Err("write a number, a range or a pattern".to_owned()),
            None => Ok(Choice::Pattern(given.to_owned())),
        }
    }
}

impl Choice {
    /// Whether it means this file. A pattern with a `/` is held against the whole path below the
    /// torrent's own folder, another one against the name alone; capitals do not count.
    fn means(&self, file: &FileProgress) -> bool {
        match self {
            Choice::Numbers(range) => range.contains(&file.index),
            Choice::Pattern(pattern) => {
                let path = file.file.path.to_lowercase();
                let pattern = pattern.to_lowercase();
                let below = path.split_once('/').map_or(path.as_str(), |(_, below)| below);
                let name = path.rsplit('/').next().unwrap_or(&path);
                if pattern.contains('/') {
                    matches(&pattern, below) || matches(&pattern, &path)
                } else {
                    matches(&pattern, name)
                }
            }
        }
    }
}

/// Whether a text fits a pattern, in which `*` stands for any text and `?` for any character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and what it was taken to end before.
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if wanted == character || *wanted == '?' => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

/// A torrent's files.
pub(super) async fn list(client: &Client, id: &str) -> Result<Vec<FileProgress>, Failure> {
    client.get(&torrent_path(id, "/files")).await
}

/// The files that are meant; an error if a choice means none.
pub(super) fn chosen<'a>(
    files: &'a [FileProgress],
    choices: &[Choice],
) -> Result<Vec<&'a FileProgress>, Failure> {
    for choice in choices {
        if !files.iter().any(|file| choice.means(file)) {
            let shown = match choice {
                Choice::Numbers(range) if range.start() == range.end() => range.start().to_string(),
                Choice::Numbers(range) => format!("{}-{}", range.start(), range.end()),
                Choice::Pattern(pattern) => text::escape(pattern).into_owned(),
            };
            return Err(Failure::new(
                format!("the torrent has no file {shown}"),
                "`althing files ID` lists its files with their numbers; put patterns in quotes, as \
                 in '*.mkv'",
            )
            .with_exit(Exit::Usage));
        }
    }
    Ok(files.iter().filter(|file| choices.iter().any(|choice| choice.means(file))).collect())
}

/// How much something is wanted, in a word.
pub(super) fn priority_word(priority: FilePriority) -> &'static str {
    match priority {
        FilePriority::Skip => "skip",
        FilePriority::Low => "low",
        FilePriority::Normal => "normal",
        FilePriority::High => "high",
    }
}

/// Changes how much files are wanted.
pub(super) async fn set(
    client: &Client,
    id: &str,
    priorities: BTreeMap<u32, FilePriority>,
) -> Result<(), Failure> {
    let change = ChangeRequest { priorities, ..ChangeRequest::default() };
    client.patch::<Torrent>(&torrent_path(id, ""), &change).await.map(drop)
}

/// What makes the chosen files wanted and all others not; those that are wanted more or less than
/// usual stay so.
pub(super) fn only(
    files: &[FileProgress],
    choices: &[Choice],
) -> Result<BTreeMap<u32, FilePriority>, Failure> {
    let chosen = chosen(files, choices)?;
    let wanted = |file: &FileProgress| match file.priority {
        _ if !chosen.iter().any(|chosen| chosen.index == file.index) => FilePriority::Skip,
        FilePriority::Skip => FilePriority::Normal,
        priority => priority,
    };
    Ok(files.iter().map(|file| (file.index, wanted(file))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_node::api::types::FileInfo;

    fn file(index: u32, path: &str) -> FileProgress {
        FileProgress {
            index,
            priority: FilePriority::Normal,
            file: FileInfo {
                path: path.to_owned(),
                size_bytes: 1,
                executable: false,
                symlink: None,
            },
            done_bytes: 0,
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("*.mkv", "a.mkv"),
            ("a*b*c", "axxbyybzc"),
            ("?.mkv", "ü.mkv"),
            ("**", "x"),
            ("s0?e*", "s01e02.mkv"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("*.mkv", "a.mkv.txt"), ("a*b", "acbc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        // However many stars: the time is bounded by the product of the lengths.
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    #[test]
    fn files_are_named_by_number_range_and_pattern() {
        let files = [
            file(0, "Show/S01/E01.mkv"),
            file(2, "Show/S01/E02.mkv"),
            file(4, "Show/extra/Poster.JPG"),
        ];
        let means = |text: &str| -> Vec<u32> {
            let choice: Choice = text.parse().expect("a choice");
            files.iter().filter(|file| choice.means(file)).map(|file| file.index).collect()
        };
        assert_eq!(means("2"), [2]);
        assert_eq!(means("1-4"), [2, 4]);
        assert_eq!(means("*.mkv"), [0, 2]);
        assert_eq!(means("poster.jpg"), [4]);
        assert_eq!(means("s01/*"), [0, 2]);
        assert_eq!(means("Show/extra/*"), [4]);
        assert_eq!(means("S01"), [0u32; 0]);
        assert!("4-1".parse::<Choice>().is_err() && "".parse::<Choice>().is_err());
        let only = only(&files, &["*.mkv".parse().expect("a choice")]).expect("two files");
        let expected = [FilePriority::Normal, FilePriority::Normal, FilePriority::Skip];
        assert_eq!(only.into_values().collect::<Vec<_>>(), expected);
        assert!(chosen(&files, &["*.avi".parse().expect("a choice")]).is_err());
    }
}
