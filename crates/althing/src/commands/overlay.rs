//! `overlay`: how it is with the overlay, and saying something in it.

use super::list::short_id;
use crate::cli::{Global, Overlay, OverlayCommand, RecordKindArg};
use crate::client::{Client, path, torrent_path};
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, text, units};
use althing_node::api::types::{
    ListingRequest, OverlayInfo, OverlayRecord, ProfileRequest, RecordInfo, RecordKind, RecordsPage,
};
use std::time::Duration;

/// Characters of a name that are shown.
const SHOWN_CHARS: usize = 60;

pub(super) async fn overlay(
    global: &Global,
    args: Overlay,
    screen: &Screen,
) -> Result<(), Failure> {
    match args.what {
        None | Some(OverlayCommand::Status) => status(global, screen).await,
        Some(OverlayCommand::Records { words, kind, author, blocked, limit }) => {
            let mut query = format!("/overlay/records?blocked={blocked}");
            if let Some(kind) = kind {
                query.push_str(&format!("&kind={}", name_of(kind)));
            }
            if let Some(author) = author {
                query = path(&format!("{query}&author="), &author);
            }
            if !words.is_empty() {
                query = path(&format!("{query}&q="), &words.join(" "));
            }
            records(&running(global).await?, &query, limit, screen).await
        }
        Some(OverlayCommand::Profile { name, about }) => {
            let request = ProfileRequest { name, about };
            let said = running(global).await?.put("/overlay/profile", &request).await?;
            published(&said, screen);
            Ok(())
        }
        Some(OverlayCommand::Publish { torrent, tags, about }) => {
            let path = torrent_path(&torrent, "/listing");
            let request = ListingRequest { tags, about };
            let said = running(global).await?.put(&path, &request).await?;
            published(&said, screen);
            Ok(())
        }
    }
}

/// How the API names a kind.
fn name_of(kind: RecordKindArg) -> &'static str {
    match kind {
        RecordKindArg::Listing => "listing",
        RecordKindArg::Profile => "profile",
        RecordKindArg::BlockList => "block_list",
        RecordKindArg::Other => "other",
    }
}

/// Shows what is held, page by page until there are as many as are wanted.
async fn records(client: &Client, query: &str, limit: u32, screen: &Screen) -> Result<(), Failure> {
    let (mut shown, mut after) = (Vec::<RecordInfo>::new(), None::<String>);
    let (mut matched, mut held);
    loop {
        let left = limit.saturating_sub(u32::try_from(shown.len()).unwrap_or(u32::MAX));
        let from = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let page: RecordsPage = client.get(&format!("{query}&limit={left}{from}")).await?;
        (matched, held) = (page.matched, page.held);
        shown.extend(page.records.into_iter().take(left as usize));
        after = page.next;
        if after.is_none() || shown.len() >= limit as usize {
            break;
        }
    }
    for record in &shown {
        screen.value(record, true);
    }
    let header = [
        ("KIND", Align::Left),
        ("NAME", Align::Left),
        ("SIZE", Align::Right),
        ("BY", Align::Left),
        ("HASH", Align::Left),
    ];
    let rows: Vec<[String; 5]> = shown.iter().map(row).collect();
    if !rows.is_empty() {
        lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    }
    screen.note(&format!(
        "{} of {} that fit; this peer holds {} in all.",
        units::count(shown.len() as u64),
        units::count(matched),
        units::counted(held, "record"),
    ));
    Ok(())
}

fn row(record: &RecordInfo) -> [String; 5] {
    let kind = match record.kind {
        RecordKind::Listing => "listing",
        RecordKind::Profile => "profile",
        RecordKind::BlockList => "block list",
        RecordKind::Other => "unknown",
    };
    let name = match (&record.name, record.withdrawn) {
        (_, true) => "(taken back)".to_owned(),
        (Some(name), _) => text::cut(name, SHOWN_CHARS),
        (None, _) => "(not known to this version)".to_owned(),
    };
    let torrent = record.torrent.as_ref();
    let hash = torrent.and_then(|one| one.info_hash.as_deref().or(one.info_hash_v2.as_deref()));
    [
        kind.to_owned(),
        name,
        torrent.map(|one| units::bytes(one.size_bytes)).unwrap_or_default(),
        if record.own { "you".to_owned() } else { short_id(&record.author).to_owned() },
        short_id(hash.unwrap_or_default()).to_owned(),
    ]
}

fn published(record: &OverlayRecord, screen: &Screen) {
    screen.value(record, false);
    screen.result(&record.id);
    screen.note("everybody holds it for a month, or until it is said anew");
}

async fn status(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let info: OverlayInfo = running(global).await?.get("/overlay").await?;
    screen.value(&info, false);
    for (name, value) in lines(&info) {
        screen.result(&format!("{name:<12} {}", text::escape(&value)));
    }
    let clock = |off_s: Option<i64>, what: &str| {
        if let Some(off_s) = off_s {
            let off = units::duration(Duration::from_secs(off_s.unsigned_abs()));
            let seems = format!("This computer's clock seems to be {off} {what} Set it right.");
            screen.note(&seems);
        }
    };
    clock(
        info.clock_behind_s,
        "behind those of others: it does not take what they say now, and they may take what it says for old.",
    );
    clock(
        info.clock_ahead_s,
        "ahead of those of others: they do not take what it says, and it may take what they say for old.",
    );
    for link in &info.links {
        let way = if link.outgoing { "called" } else { "called us" };
        let age = units::duration(Duration::from_secs(link.age_s));
        let said = format!("  {} at {}, {way}, for {age}", link.node, link.address);
        screen.result(&text::escape(&said));
    }
    Ok(())
}

fn lines(info: &OverlayInfo) -> Vec<(&'static str, String)> {
    let neighbours = u64::from(info.neighbours_out) + u64::from(info.neighbours_in);
    let known = units::count(info.known.into());
    vec![
        ("here it is", info.node.clone()),
        ("neighbours", format!("{}; {known} others are known", units::count(neighbours))),
        (
            "indexing",
            match (info.super_peer, info.indexed_by) {
                (true, others) => format!(
                    "for {}; {} do so, too",
                    units::counted(info.leaves.into(), "other"),
                    units::count(others.into()),
                ),
                (false, 0) => "nobody indexes for this peer".to_owned(),
                (false, others) => {
                    format!("{} for this peer", units::counted(others.into(), "other"))
                }
            },
        ),
        (
            "records",
            format!("{} ({})", units::count(info.records), units::bytes(info.record_bytes)),
        ),
        (
            "received",
            format!(
                "{} from neighbours, {} of them twice; {} by comparing; {} refused",
                units::count(info.received),
                units::count(info.duplicates),
                units::count(info.reconciled),
                units::count(info.refused),
            ),
        ),
    ]
}
