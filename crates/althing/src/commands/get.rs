//! `get`: what a link or torrent file names comes to this machine.

use super::choose::{self, Choice};
use super::find;
use super::follow::{Follower, Step, is_complete};
use super::list::short_id;
use crate::cli::{Get, Global};
use crate::client::{Client, torrent_path};
use crate::daemon::{Daemon, running_or_own};
use crate::exit::{Exit, Failure};
use crate::screen::progress::Progress;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api::limits::TORRENT_BYTES_MAX;
use althing_node::api::types::{
    AddRequest, ChangeRequest, DhtInfo, ErrorCode, Torrent, TorrentState, TrackerInfo, TrackerState,
};
use base64::Engine as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// After so long without any peer it is time to say what may be wrong.
const LONELY_AFTER: Duration = Duration::from_secs(15);

pub(super) async fn get(
    global: &Global,
    args: Get,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let answer = find::wanted(&args.source).filter(|_| !Path::new(&args.source).exists());
    let source = match answer {
        Some(answer) => Source::Link(find::magnet(global, answer, screen).await?),
        None => read_source(&args.source)?,
    };
    let (link, torrent) = match source {
        Source::Link(link) => (Some(link), None),
        Source::File(bytes) => (None, Some(encoded(&bytes))),
    };
    let save_dir = save_dir(args.output.as_deref())?;
    let request = AddRequest {
        link,
        torrent,
        save_dir: Some(save_dir.to_string_lossy().into_owned()),
        paused: false,
        skip_files: !args.only.is_empty(),
        anyway: args.anyway,
        sequential: args.sequential,
        trackers: args.trackers.clone(),
        peers: args.peers.iter().map(ToString::to_string).collect(),
        category: args.category.clone(),
        tags: args.tags.clone(),
    };
    let reached = running_or_own(global, &args.listen).await?;
    let own = reached.own.is_some();
    let fetched = fetch(&reached.client, &request, &args.only, own, screen, &mut signals).await;
    let Some(daemon) = reached.own else {
        return fetched.map(drop);
    };
    let result = match fetched {
        Ok(id) if args.seed => seed(&daemon, &reached.client, &id, screen, &mut signals).await,
        other => other.map(drop),
    };
    daemon.stop().await;
    result
}

/// A torrent file as the API takes it.
pub(super) fn encoded(torrent: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(torrent)
}

/// What is to be fetched, as it was typed.
pub(super) enum Source {
    /// Something that the daemon looks up.
    Link(String),
    /// The bytes of a torrent file on this machine.
    File(Vec<u8>),
}

/// Tells links from files: a link has a scheme, or is an info-hash and no file.
pub(super) fn read_source(source: &str) -> Result<Source, Failure> {
    let lower = source.trim().to_ascii_lowercase();
    // The daemon knows which schemes it understands, and says so.
    if lower.starts_with("magnet:") || lower.contains("://") {
        return Ok(Source::Link(source.trim().to_owned()));
    }
    let path = Path::new(source);
    let is_hash = matches!(lower.len(), 32 | 40 | 64)
        && lower.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_hash && !path.exists() {
        return Ok(Source::Link(lower));
    }
    read_torrent_file(path).map(Source::File)
}

/// Reads a torrent file, but not whatever size.
pub(super) fn read_torrent_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = text::escape(&path.to_string_lossy()).into_owned();
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "name a torrent file, a magnet link (in quotes), an address or an info-hash"
            }
            _ => "check the path and that you may read it",
        };
        Failure::new(format!("{shown} cannot be read: {error}"), hint)
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > TORRENT_BYTES_MAX as u64 {
        return Err(Failure::new(
            format!("{shown} is no torrent file: it has {}", units::bytes(size)),
            format!("torrent files have at most {}", units::bytes(TORRENT_BYTES_MAX as u64)),
        )
        .with_code(ErrorCode::InvalidTorrent));
    }
    std::fs::read(path).map_err(failed)
}

/// The folder that downloads go to, created if it is not there.
pub(super) fn save_dir(output: Option<&Path>) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        let shown = text::escape(&path.to_string_lossy()).into_owned();
        Failure::new(
            format!("nothing can be put into {shown}: {error}"),
            "name a folder that is there and writable with -o",
        )
    };
    let dir = output.unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    // Without the dots and links that another working directory would read otherwise.
    std::fs::canonicalize(dir).map_err(|error| failed(dir, error))
}

/// Adds the torrent and waits until it is complete; its id.
async fn fetch(
    client: &Client,
    request: &AddRequest,
    only: &[Choice],
    own: bool,
    screen: &Screen,
    signals: &mut Signals,
) -> Result<String, Failure> {
    let added: Torrent = tokio::select! {
        added = client.post("/torrents", request) => added?,
        () = signals.interrupted() => return Err(interrupted(own)),
    };
    if added.state == TorrentState::Paused {
        client.post::<Torrent>(&torrent_path(&added.id, "/resume"), &()).await?;
    }
    if request.sequential {
        // It may have been here before.
        let change = ChangeRequest { sequential: Some(true), ..ChangeRequest::default() };
        client.patch::<Torrent>(&torrent_path(&added.id, ""), &change).await?;
    }
    let mut chosen = only.is_empty();
    let mut follower = Follower::new(client, &added.id, screen).await?;
    let mut watch = Watch::new(screen, added.downloaded_bytes);
    loop {
        let step = tokio::select! {
            step = follower.next() => step?,
            () = signals.interrupted() => {
                watch.progress.clear();
                return Err(interrupted(own));
            }
            () = tokio::time::sleep_until(watch.lonely_at), if !watch.told_lonely => {
                watch.told_lonely = true;
                if watch.had_peers { continue }
                let trackers: Vec<TrackerInfo> =
                    client.get(&torrent_path(&added.id, "/trackers")).await?;
                let dht: DhtInfo = client.get("/dht").await?;
                screen.note(&lonely(&trackers, &dht));
                continue;
            }
        };
        match step {
            Step::Note(note) => screen.note(&text::escape(&note)),
            Step::Torrent(torrent) if !chosen && torrent.size_bytes.is_some() => {
                chosen = true;
                let files = choose::list(client, &added.id).await?;
                let priorities = choose::only(&files, only)?;
                choose::set(client, &added.id, priorities).await?;
                // What this one still has to tell is from before.
                follower = Follower::new(client, &added.id, screen).await?;
            }
            Step::Torrent(torrent) if is_complete(&torrent) => {
                watch.done(&torrent);
                return Ok(added.id);
            }
            Step::Torrent(torrent) if torrent.state == TorrentState::Failed => {
                watch.progress.clear();
                let note = torrent.note.unwrap_or_else(|| "it failed".to_owned());
                return Err(Failure::sentence(&text::escape(&note)).with_exit(Exit::Failed));
            }
            Step::Torrent(torrent) => watch.show(&torrent),
        }
    }
}

fn interrupted(own: bool) -> Failure {
    if own {
        Failure::interrupted(
            "interrupted; what has come in so far is kept",
            "the same command, or `althing up`, goes on where this stopped",
        )
    } else {
        Failure::interrupted(
            "no longer watching; the daemon goes on fetching",
            "`althing ls` shows how far it is",
        )
    }
}

/// What is shown while it comes in.
struct Watch {
    screen: Screen,
    progress: Progress,
    started: Instant,
    /// Payload received before, in earlier runs.
    received_before: u64,
    named: bool,
    had_peers: bool,
    lonely_at: Instant,
    told_lonely: bool,
}

impl Watch {
    fn new(screen: &Screen, received_before: u64) -> Self {
        let started = Instant::now();
        Watch {
            screen: screen.clone(),
            progress: Progress::new(screen, ""),
            started,
            received_before,
            named: false,
            had_peers: false,
            lonely_at: started + LONELY_AFTER,
            told_lonely: false,
        }
    }

    fn show(&mut self, torrent: &Torrent) {
        self.had_peers |= torrent.peers > 0;
        let peers = units::counted(torrent.peers.into(), "peer");
        let Some(size) = torrent.size_bytes else {
            let known = units::counted(torrent.known_peers.into(), "address");
            self.progress.say(&format!(
                "asking peers what this link means: {peers} connected, {known} known"
            ));
            return;
        };
        if !self.named {
            self.named = true;
            self.screen.note(&format!(
                "{} {} ({}) to {}",
                short_id(&torrent.id),
                text::escape(&torrent.name),
                units::bytes(size),
                text::escape(&torrent.save_dir),
            ));
            self.progress.name(text::cut(&torrent.name, 30));
        }
        if torrent.state == TorrentState::Checking {
            let checked = torrent.pieces_checked.unwrap_or_default();
            let percent = units::percent(checked.into(), torrent.pieces.into());
            self.progress.say(&format!("looking at what is there already, {percent} %"));
            return;
        }
        let left = torrent.eta_s.map(Duration::from_secs).map(units::duration);
        let left = left.map(|left| format!(", {left} left")).unwrap_or_default();
        let down = units::rate(torrent.download_bytes_per_s);
        let up = units::rate(torrent.upload_bytes_per_s);
        let wanted = torrent.wanted_bytes.unwrap_or(size);
        self.progress.update(
            wanted.saturating_sub(torrent.left_bytes),
            wanted,
            &format!("↓ {down}  ↑ {up}  {peers}{left}"),
        );
    }

    /// Says that it is there, and prints where.
    fn done(&mut self, torrent: &Torrent) {
        self.progress.clear();
        let size = torrent.wanted_bytes.or(torrent.size_bytes).unwrap_or_default();
        let path = Path::new(&torrent.save_dir).join(&torrent.name);
        let received = torrent.downloaded_bytes.saturating_sub(self.received_before);
        if received == 0 {
            self.screen.note("Everything is there already:");
        } else {
            let took = self.started.elapsed();
            let rate = received as f64 / took.as_secs_f64().max(0.001);
            self.screen.note(&format!(
                "Done: {} in {} ({}), every piece verified.",
                units::bytes(size),
                units::duration(took),
                units::rate(rate as u64),
            ));
        }
        self.screen.result(&text::escape(&path.to_string_lossy()));
    }
}

/// Why nothing may be happening, as far as it can be known.
fn lonely(trackers: &[TrackerInfo], dht: &DhtInfo) -> String {
    let failing: Vec<_> =
        trackers.iter().filter(|tracker| tracker.state == TrackerState::Failing).collect();
    let mut text = "No peer yet. ".to_owned();
    if trackers.is_empty() && dht.running {
        text.push_str(&text::escape(&dht.summary));
        text.push_str(&match &dht.advice {
            Some(advice) => format!("\n  What to do: {}.", text::escape(advice)),
            None => " It names nobody who can be reached at present: whoever shares it may be \
                     offline. This goes on trying; if you know an address, add --peer ADDRESS:PORT."
                .to_owned(),
        });
    } else if trackers.is_empty() {
        text.push_str(
            "The link names no tracker, and this version finds peers through trackers, or if you \
             name them:\n  ask whoever shares it for their address, and add --peer ADDRESS:PORT",
        );
    } else if failing.len() == trackers.len() {
        text.push_str("None of its trackers answers:");
        for tracker in failing {
            let message = tracker.message.as_deref().unwrap_or("no answer");
            text.push_str(&format!(
                "\n  {}: {}",
                text::escape(&tracker.url),
                text::escape(message)
            ));
        }
    } else {
        text.push_str(
            "Its trackers know of nobody who can be reached at present; whoever shares it may be \
             offline. This goes on trying.",
        );
    }
    text
}

/// Gives it to others until Ctrl-C.
async fn seed(
    daemon: &Daemon,
    client: &Client,
    id: &str,
    screen: &Screen,
    signals: &mut Signals,
) -> Result<(), Failure> {
    screen.note("Giving it to others until Ctrl-C.");
    let mut follower = Follower::new(client, id, screen).await?;
    let mut progress = Progress::new(screen, "giving");
    loop {
        let step = tokio::select! {
            step = follower.next() => step?,
            () = signals.interrupted() => return Ok(()),
            () = daemon.shutdown_requested() => return Ok(()),
        };
        match step {
            Step::Note(note) => screen.note(&text::escape(&note)),
            Step::Torrent(torrent) => progress.say(&format!(
                "{}  ↑ {}  {} sent",
                units::counted(torrent.peers.into(), "peer"),
                units::rate(torrent.upload_bytes_per_s),
                units::bytes(torrent.uploaded_bytes),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_from_files() {
        let is_link = |source: &str| matches!(read_source(source), Ok(Source::Link(_)));
        for link in [
            "magnet:?xt=urn:btih:0123456789012345678901234567890123456789",
            " MAGNET:?xt=urn:btih:0123456789012345678901234567890123456789\n",
            "https://example.org/a.torrent",
            "ftp://example.org/a.torrent",
            "0123456789ABCDEF0123456789abcdef01234567",
        ] {
            assert!(is_link(link), "{link}");
        }
        for file in ["a.torrent", "/none/magnet:", "0123"] {
            assert!(read_source(file).is_err(), "{file}");
        }
        let here = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
        assert!(matches!(read_source(&here), Ok(Source::File(_))));
    }
}
