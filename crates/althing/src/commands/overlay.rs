//! `overlay`: how it is with the overlay, and saying something in it.

use crate::cli::{Global, Overlay, OverlayCommand};
use crate::client::torrent_path;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_node::api::types::{ListingRequest, OverlayInfo, OverlayRecord, ProfileRequest};
use std::time::Duration;

pub(super) async fn overlay(
    global: &Global,
    args: Overlay,
    screen: &Screen,
) -> Result<(), Failure> {
    match args.what {
        None | Some(OverlayCommand::Status) => status(global, screen).await,
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
