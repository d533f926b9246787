//! `move` and `locate`: where torrents' files are.

use super::follow::{Follower, Step};
use super::list::short_id;
use crate::cli::{Global, Locate, Move};
use crate::client::torrent_path;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api::types::{
    LocateReport, LocateRequest, MoveRequest, Torrent, TorrentDetail, TorrentState,
};
use std::path::Path;

/// The daemon may have been started somewhere else.
fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}

pub(super) async fn relocate(
    global: &Global,
    args: Move,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let dir = absolute(&args.to);
    let request = MoveRequest { dir: dir.clone() };
    let path = torrent_path(&args.torrent.id, "/move");
    let begun: Torrent = client.post(&path, &request).await?;
    let mut follower = Follower::new(&client, &begun.id, screen).await?;
    let mut progress = Progress::new(screen, text::cut(&begun.name, 30));
    // It may have been done before anybody watched.
    let mut torrent = client.get::<TorrentDetail>(&torrent_path(&begun.id, "")).await?.torrent;
    while torrent.state == TorrentState::Moving || is_closing(&torrent, &dir) {
        let size = torrent.size_bytes.unwrap_or_default();
        progress.update(torrent.moved_bytes.unwrap_or_default(), size, "moved");
        let step = tokio::select! {
            step = follower.next() => step?,
            () = signals.interrupted() => {
                return Err(Failure::interrupted(
                    "no longer watching; the daemon goes on moving",
                    "`althing ls` shows how far it is",
                ));
            }
        };
        match step {
            Step::Torrent(now) => torrent = *now,
            Step::Note(note) => screen.note(&text::escape(&note)),
        }
    }
    progress.clear();
    let name = text::escape(&torrent.name);
    if torrent.save_dir == dir {
        screen.note(&format!(
            "{} moved: {name} is in {}",
            short_id(&torrent.id),
            text::escape(&dir)
        ));
        screen.value(&torrent, false);
        return Ok(());
    }
    let why = torrent.note.unwrap_or_else(|| "the daemon did not say why".to_owned());
    Err(Failure::new(
        format!("{name} stays in {}: {}", text::escape(&torrent.save_dir), text::escape(&why)),
        "nothing of it is lost",
    ))
}

/// Whether its files are still being closed: after that they are moved, or it says why not.
fn is_closing(torrent: &Torrent, dir: &str) -> bool {
    torrent.state == TorrentState::Checking
        && torrent.save_dir != dir
        && torrent.note.is_none()
        && torrent.pieces_checked == Some(0)
}

pub(super) async fn locate(global: &Global, args: Locate, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let request = LocateRequest { dir: args.dir.as_deref().map(absolute) };
    let path = torrent_path(&args.torrent.id, "/locate");
    let report: LocateReport = client.post(&path, &request).await?;
    let torrent = &report.torrent;
    let (id, name) = (short_id(&torrent.id), text::escape(&torrent.name));
    let found = units::counted(report.found, "file");
    screen.note(&match report.missing {
        0 => format!("{id} found: {found} of {name}, which are checked now"),
        missing => format!(
            "{id} found: {found} of {name}, which are checked now; {} missing",
            units::count(missing)
        ),
    });
    if report.cut_short {
        screen.note("There is more in that folder than is looked at; name one further down.");
    }
    screen.value(&report, false);
    Ok(())
}
