//! `files`: what a torrent is made of, and how much each part of it is wanted.

use super::choose::{self, Choice};
use crate::cli::{Files, Global};
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, text, units};
use althing_node::api::types::{FilePriority, FileProgress};

pub(super) async fn files(global: &Global, args: Files, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let mut files = choose::list(&client, &args.torrent.id).await?;
    let mut priorities = match args.only[..] {
        [] => std::collections::BTreeMap::new(),
        _ => choose::only(&files, &args.only)?,
    };
    let wishes: [(&[Choice], FilePriority); 4] = [
        (&args.skip, FilePriority::Skip),
        (&args.low, FilePriority::Low),
        (&args.normal, FilePriority::Normal),
        (&args.high, FilePriority::High),
    ];
    for (choices, priority) in wishes {
        for file in choose::chosen(&files, choices)? {
            priorities.insert(file.index, priority);
        }
    }
    if !priorities.is_empty() {
        choose::set(&client, &args.torrent.id, priorities).await?;
        files = choose::list(&client, &args.torrent.id).await?;
    }
    screen.value(&files, false);
    let rows: Vec<_> = files
        .iter()
        .map(|file| {
            [
                file.index.to_string(),
                units::bytes(file.file.size_bytes),
                format!("{} %", done(file)),
                choose::priority_word(file.priority).to_owned(),
                text::escape(&file.file.path).into(),
            ]
        })
        .collect();
    let header = [
        ("NO", Align::Right),
        ("SIZE", Align::Right),
        ("DONE", Align::Right),
        ("WANTED", Align::Left),
        ("FILE", Align::Left),
    ];
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    Ok(())
}

fn done(file: &FileProgress) -> u64 {
    match file.file.size_bytes {
        0 => 100,
        size => units::percent(file.done_bytes, size),
    }
}
