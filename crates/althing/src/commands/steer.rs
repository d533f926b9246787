//! `pause`, `resume`, `remove` and `verify`: steering torrents that are there.

use super::follow::{Follower, Step};
use super::list::short_id;
use crate::cli::{Global, OneTorrent, Remove, Resume, Torrents};
use crate::client::torrent_path;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api::types::{ChangeRequest, Torrent, TorrentDetail, TorrentState};
use http::Method;

pub(super) async fn pause(global: &Global, args: Torrents, screen: &Screen) -> Result<(), Failure> {
    each(global, args, "/pause", "paused", screen).await
}

pub(super) async fn resume(global: &Global, args: Resume, screen: &Screen) -> Result<(), Failure> {
    if args.force {
        let client = running(global).await?;
        let force = ChangeRequest { forced: Some(true), ..ChangeRequest::default() };
        for id in &args.torrents.ids {
            client.patch::<TorrentDetail>(&torrent_path(id, ""), &force).await?;
        }
    }
    each(global, args.torrents, "/resume", "goes on", screen).await
}

async fn each(
    global: &Global,
    args: Torrents,
    action: &str,
    done: &str,
    screen: &Screen,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let mut torrents = Vec::new();
    for id in &args.ids {
        let torrent: Torrent = client.post(&torrent_path(id, action), &()).await?;
        screen.note(&format!("{} {done}: {}", short_id(&torrent.id), text::escape(&torrent.name)));
        torrents.push(torrent);
    }
    screen.value(&torrents, false);
    Ok(())
}

pub(super) async fn remove(global: &Global, args: Remove, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let mut torrents = Vec::new();
    for id in &args.torrents.ids {
        let detail: TorrentDetail = client.get(&torrent_path(id, "")).await?;
        let torrent = detail.torrent;
        let path = torrent_path(&torrent.id, &format!("?data={}", args.data));
        client.act(Method::DELETE, &path).await?;
        let (id, name) = (short_id(&torrent.id), text::escape(&torrent.name));
        if args.data {
            screen.note(&format!("{id} removed with its downloaded files: {name}"));
        } else {
            let dir = text::escape(&torrent.save_dir);
            screen.note(&format!("{id} removed: {name}; its files stay in {dir}"));
        }
        torrents.push(torrent);
    }
    screen.value(&torrents, false);
    Ok(())
}

pub(super) async fn verify(
    global: &Global,
    args: OneTorrent,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let begun: Torrent = client.post(&torrent_path(&args.id, "/verify"), &()).await?;
    let mut follower = Follower::new(&client, &begun.id, screen).await?;
    let mut progress = Progress::new(screen, text::cut(&begun.name, 30));
    let checked = loop {
        let step = tokio::select! {
            step = follower.next() => step?,
            () = signals.interrupted() => {
                return Err(Failure::interrupted(
                    "no longer watching; the check itself goes on in the daemon",
                    "`althing ls` shows how far it is",
                ));
            }
        };
        match step {
            Step::Torrent(torrent) if torrent.state == TorrentState::Checking => {
                let size = torrent.size_bytes.unwrap_or_default();
                progress.update(checked_bytes(&torrent, size), size, "checked");
            }
            Step::Torrent(torrent) => break torrent,
            Step::Note(note) => screen.note(&text::escape(&note)),
        }
    };
    progress.clear();
    let name = text::escape(&checked.name);
    let pieces = units::counted(checked.pieces.into(), "piece");
    match checked.pieces.saturating_sub(checked.pieces_done) {
        0 => {
            screen.note(&format!("All {pieces} of {name} are right."));
            Ok(())
        }
        missing => Err(Failure::new(
            format!("{} of {pieces} of {name} are missing or wrong", units::count(missing.into())),
            "they are fetched again as soon as a peer has them",
        )),
    }
}

/// Bytes that have been read, as far as the number of pieces tells.
fn checked_bytes(torrent: &Torrent, size: u64) -> u64 {
    let checked = u128::from(torrent.pieces_checked.unwrap_or_default());
    let bytes = u128::from(size) * checked / u128::from(torrent.pieces.max(1));
    u64::try_from(bytes).unwrap_or(size)
}
