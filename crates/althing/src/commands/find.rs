//! `find`: who has something, by words.

use super::list::short_id;
use crate::cli::{Find, FindKindArg, FindViaArg, Global};
use crate::client::Client;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api::types::{
    ErrorCode, FindAnswer, FindEvent, FindInfo, FindKind, FindRequest, FindState, FindVia,
    OverlayInfo,
};
use http::Method;
use std::collections::BTreeSet;
use std::time::Duration;

/// Characters of a name, or of what stands around words, that are shown in a table.
const SHOWN_CHARS: usize = 60;

pub(super) async fn find(
    global: &Global,
    args: Find,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let request = FindRequest {
        words: args.words.join(" "),
        via: match args.via {
            FindViaArg::Auto => FindVia::Auto,
            FindViaArg::Walk => FindVia::Walk,
            FindViaArg::Dht => FindVia::Dht,
            FindViaArg::Super => FindVia::Super,
        },
        kind: match args.kind {
            None => FindKind::Any,
            Some(FindKindArg::File) => FindKind::File,
            Some(FindKindArg::Page) => FindKind::Page,
        },
        limit: Some(args.limit),
        watch: args.watch,
    };
    let begun: FindInfo = client.post("/find", &request).await?;
    let path = format!("/find/{}", begun.id);
    let outcome = tokio::select! {
        outcome = follow(&client, &path, args.watch, screen) => outcome?,
        () = signals.interrupted() => None,
    };
    let Some(ended) = outcome else {
        // The daemon would go on.
        client.act(Method::DELETE, &path).await?;
        let info: FindInfo = client.get(&path).await?;
        if !args.watch {
            print(&info, screen);
        }
        return match args.watch {
            true => Ok(()),
            false => Err(Failure::interrupted("stopped before everybody had answered", "")),
        };
    };
    print(&ended, screen);
    if ended.answers.is_empty() && ended.cost.peers == 0 {
        // It has ended whether this is known or not.
        if let Ok(info) = client.get::<OverlayInfo>("/overlay").await {
            screen.note(&nobody(&info));
        }
    }
    Ok(())
}

/// Why nobody was asked, and what to do about it.
fn nobody(info: &OverlayInfo) -> String {
    match info.links.len() {
        0 => "Nobody could be asked: this peer has no neighbours in the overlay now. It needs a connection to the \
              network, somebody else who takes part (in a private network with the same `overlay.secret`), and a \
              way to find each other: the DHT, the own network, or an address in `overlay.peers`. \
              `althing overlay` says how it stands; what comes later is told with `--watch`."
            .to_owned(),
        links => format!(
            "Nobody could be asked in this way, though there are {} to others; try `--via auto`.",
            units::counted(links as u64, "link"),
        ),
    }
}

/// Shows what comes until the search ends; `None` if the daemon does before.
async fn follow(
    client: &Client,
    path: &str,
    watch: bool,
    screen: &Screen,
) -> Result<Option<FindInfo>, Failure> {
    let mut events = client.listen::<FindEvent>(&format!("{path}/events")).await?;
    let mut progress = Progress::new(screen, "");
    let mut seen = BTreeSet::new();
    while let Some(event) = events.next().await? {
        screen.value(&event, true);
        match event {
            // When more becomes known of one that was shown, the end has it.
            FindEvent::Answer { answer } if seen.insert(answer.number) => {
                let shown = line(&answer);
                match watch {
                    true => screen.result(&shown),
                    false => screen.note(&shown),
                }
            }
            FindEvent::Find { find } if find.state == FindState::Ended => {
                progress.clear();
                return Ok(Some(find));
            }
            FindEvent::Find { find } => {
                let found = units::counted(find.answers.len() as u64, "answer");
                match find.state {
                    FindState::Watching => {
                        progress.say(&format!("{found}; waiting for what comes, until Ctrl-C"));
                    }
                    _ => {
                        progress.say(&format!("{found} so far; asking others"));
                    }
                }
            }
            _ => {}
        }
    }
    progress.clear();
    Err(Failure::new("the daemon stopped", "start it with `althing up`, and search again"))
}

/// One answer, as it comes.
fn line(answer: &FindAnswer) -> String {
    let from = if answer.here { "known here" } else { "from others" };
    format!(
        "{:>3}  {}  {}, {from}",
        answer.number,
        text::cut(&answer.name, SHOWN_CHARS),
        units::bytes(answer.size_bytes),
    )
}

/// All answers, the best first, and what they have cost.
fn print(info: &FindInfo, screen: &Screen) {
    if info.answers.is_empty() {
        if info.cost.peers > 0 {
            screen.note(
                "Nobody who answered has anything with all of these words. Fewer words find more.",
            );
        }
    } else {
        let header = [
            ("NO.", Align::Right),
            ("NAME", Align::Left),
            ("SIZE", Align::Right),
            ("SEEDS", Align::Right),
            ("LISTED BY", Align::Right),
            ("HASH", Align::Left),
        ];
        let rows: Vec<[String; 6]> = info.answers.iter().map(row).collect();
        let mut table = lay_out(&header, &rows).into_iter();
        screen.result(&table.next().unwrap_or_default());
        for (answer, line) in info.answers.iter().zip(table) {
            screen.result(&line);
            for page in &answer.pages {
                let snippet = text::cut(&page.snippet, SHOWN_CHARS);
                let said = format!("     {}: {snippet}", text::cut(&page.path, SHOWN_CHARS));
                screen.result(&said);
            }
        }
    }
    if info.cost.messages > 0 || !info.answers.is_empty() {
        screen.note(&cost(info));
    }
    if !info.answers.is_empty() {
        screen.note("`althing get NO.` fetches one.");
    }
}

fn row(answer: &FindAnswer) -> [String; 6] {
    let hash = answer.info_hash.as_deref().or(answer.info_hash_v2.as_deref());
    let mut name = text::cut(&answer.name, SHOWN_CHARS);
    if answer.torrent.is_some() {
        name.push_str(" (in your list)");
    }
    [
        answer.number.to_string(),
        name,
        units::bytes(answer.size_bytes),
        answer.seeders.map_or_else(|| "?".to_owned(), |seeders| units::count(seeders.into())),
        units::count(answer.authors.len() as u64),
        short_id(hash.unwrap_or_default()).to_owned(),
    ]
}

fn cost(info: &FindInfo) -> String {
    let took = units::duration(Duration::from_millis(info.cost.took_ms));
    if info.cost.messages == 0 {
        return format!("It was all known here: nobody was asked, in {took}.");
    }
    format!(
        "Asked {}: at most {} and {} on our own lines, in {took}.",
        units::counted(info.cost.peers, "peer"),
        units::counted(info.cost.messages, "message"),
        units::bytes(info.cost.bytes),
    )
}

/// How an answer of the last search is named.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// By its number.
    Number(u32),
    /// By the beginning of its hash.
    Hash(String),
}

/// What is to be fetched, if it looks like an answer of the last search.
pub(super) fn wanted(source: &str) -> Option<Wanted> {
    let is_number = source.bytes().all(|byte| byte.is_ascii_digit());
    let is_hash = source.bytes().all(|byte| byte.is_ascii_hexdigit());
    match source.len() {
        1..=3 if is_number => source.parse().ok().filter(|n| *n > 0).map(Wanted::Number),
        // Whole hashes need no search before them.
        4..=31 if is_hash => Some(Wanted::Hash(source.to_ascii_lowercase())),
        _ => None,
    }
}

/// The link of an answer of the last search.
pub(super) async fn magnet(
    global: &Global,
    wanted: Wanted,
    screen: &Screen,
) -> Result<String, Failure> {
    let client = running(global).await?;
    let answer = match wanted {
        Wanted::Number(number) => client.get(&format!("/find/last/answers/{number}")).await?,
        Wanted::Hash(start) => {
            let last: FindInfo = client.get("/find/last").await?;
            let is_it = |answer: &FindAnswer| {
                let hashes = answer.info_hash.iter().chain(&answer.info_hash_v2);
                hashes.into_iter().any(|hash| hash.starts_with(&start))
            };
            let mut found = last.answers.into_iter().filter(is_it);
            match (found.next(), found.next()) {
                (Some(answer), None) => answer,
                (Some(_), Some(_)) => {
                    return Err(Failure::new(
                        format!("several answers of the last search begin with {start}"),
                        "name more digits, or the answer's number",
                    ));
                }
                (None, _) => {
                    return Err(Failure::new(
                        format!("no answer of the last search begins with {start}"),
                        "search again, or name the whole info-hash",
                    )
                    .with_code(ErrorCode::NotFound));
                }
            }
        }
    };
    let FindAnswer { number, name, magnet, .. } = answer;
    screen.note(&format!("Answer {number} of the last search: {}", text::escape(&name)));
    Ok(magnet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_names_and_hashes() {
        assert_eq!(wanted("3"), Some(Wanted::Number(3)));
        assert_eq!(wanted("500"), Some(Wanted::Number(500)));
        assert_eq!(wanted("2B66"), Some(Wanted::Hash("2b66".to_owned())));
        assert_eq!(wanted("12345678"), Some(Wanted::Hash("12345678".to_owned())));
        let whole = "0123456789ABCDEF0123456789abcdef01234567";
        for other in ["", "0", "000", "3a", "-1", "+3", "٣", " 3", "a.torrent", whole, &whole[..32]]
        {
            assert_eq!(wanted(other), None, "{other}");
        }
    }
}
