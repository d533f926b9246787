//! Following one torrent through the daemon's events.

use crate::client::{Client, Events};
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use althing_node::api::types::{Event, Torrent, TorrentState};

/// What became known about the torrent that is followed.
pub(super) enum Step {
    /// It is like this now.
    Torrent(Box<Torrent>),
    /// Something to read.
    Note(String),
}

/// Follows a torrent.
pub(super) struct Follower {
    events: Events,
    screen: Screen,
    id: String,
}

impl Follower {
    /// Begins to follow the torrent `id`. With `--json` what happens to it is printed as it comes.
    pub(super) async fn new(client: &Client, id: &str, screen: &Screen) -> Result<Self, Failure> {
        let events = client.events().await?;
        Ok(Follower { events, screen: screen.clone(), id: id.to_owned() })
    }

    /// The next thing that happens to it. Nothing is lost if this is dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Step, Failure> {
        loop {
            let Some(event) = self.events.next().await? else {
                return Err(Failure::new(
                    "the daemon stopped",
                    "what was done so far is saved; start it with `althing up`, and it goes on",
                )
                .with_exit(Exit::NoDaemon));
            };
            let event = match event {
                Event::Snapshot { torrents, .. } => {
                    let found = torrents.into_iter().find(|torrent| torrent.id == self.id);
                    Event::Torrent { torrent: found.ok_or_else(removed)? }
                }
                other => other,
            };
            let ours = match &event {
                Event::Torrent { torrent } => torrent.id == self.id,
                Event::Completed { id } | Event::Removed { id } => *id == self.id,
                Event::Note { id, .. } => id.as_ref().is_none_or(|id| *id == self.id),
                _ => false,
            };
            if !ours {
                continue;
            }
            self.screen.value(&event, true);
            match event {
                Event::Torrent { torrent } => return Ok(Step::Torrent(Box::new(torrent))),
                Event::Note { message, .. } => return Ok(Step::Note(message)),
                Event::Removed { .. } => return Err(removed()),
                _ => {}
            }
        }
    }
}

fn removed() -> Failure {
    Failure::new("the torrent was removed meanwhile", "add it again if you want it")
}

/// Whether everything wanted is on disk and known to be right.
pub(super) fn is_complete(torrent: &Torrent) -> bool {
    let all = torrent.pieces > 0 && torrent.pieces_done == torrent.pieces;
    torrent.state == TorrentState::Seeding || (all && torrent.state == TorrentState::Paused)
}
