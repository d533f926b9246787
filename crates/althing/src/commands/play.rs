//! `play`: watch a file while it comes.

use super::choose::{self, Choice};
use super::follow::{Follower, Step};
use super::get::{self, Source};
use crate::cli::{Global, Play};
use crate::client::{Client, torrent_path};
use crate::daemon::running_or_own;
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api::types::{
    AddRequest, FileProgress, StreamInfo, Torrent, TorrentDetail, TorrentState,
};
use http::Method;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Players that are looked for, the best first: both can jump in what is not there yet.
const PLAYERS: [&str; 2] = ["mpv", "vlc"];

/// What players play, by the end of the name.
const PLAYABLE: [&str; 22] = [
    "mkv", "mp4", "m4v", "webm", "avi", "mov", "mpg", "mpeg", "ts", "m2ts", "ogv", "wmv", "flv",
    "mp3", "m4a", "m4b", "flac", "ogg", "oga", "opus", "wav", "aac",
];

pub(super) async fn play(
    global: &Global,
    args: Play,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    // Before anything is fetched for a player that is not there.
    let player = player(args.player.as_deref(), args.no_player)?;
    let reached = running_or_own(global, &args.listen).await?;
    let client = &reached.client;
    let played = async {
        let (id, choice) = tokio::select! {
            found = find(client, &args) => found?,
            () = signals.interrupted() => return Err(interrupted()),
        };
        let files = tokio::select! {
            files = files(client, &id, screen) => files?,
            () = signals.interrupted() => return Err(interrupted()),
        };
        let file = pick(&files, choice.as_ref())?;
        let path = torrent_path(&id, &format!("/files/{}/stream", file.index));
        let stream: StreamInfo = client.post(&path, &()).await?;
        let result = watch(client, &id, &stream, player, screen, &mut signals).await;
        // The address must not outlive the player. If the daemon is gone, so is the address.
        let _ = client.act(Method::DELETE, &format!("/streams/{}", stream.token)).await;
        result
    };
    let result = played.await;
    if let Some(daemon) = reached.own {
        daemon.stop().await;
    }
    result
}

/// The torrent that is meant, and which of its files. It is added if it is not there yet.
async fn find(client: &Client, args: &Play) -> Result<(String, Option<Choice>), Failure> {
    let choice = |text: &str| {
        text.parse::<Choice>().map_err(|hint| {
            Failure::new(format!("{:?} is no file", text), hint).with_exit(Exit::Usage)
        })
    };
    let named = args.file.as_deref().map(choice).transpose()?;
    if !looks_like_a_source(&args.what) {
        let (id, file) = match args.what.split_once('/') {
            Some((id, file)) => (id, Some(choice(file)?)),
            None => (args.what.as_str(), None),
        };
        let detail: TorrentDetail = client.get(&torrent_path(id, "")).await?;
        return Ok((started(client, detail.torrent).await?, named.or(file)));
    }
    let (link, torrent) = match get::read_source(&args.what)? {
        Source::Link(link) => (Some(link), None),
        Source::File(bytes) => (None, Some(get::encoded(&bytes))),
    };
    let request = AddRequest {
        link,
        torrent,
        save_dir: Some(get::save_dir(args.output.as_deref())?.to_string_lossy().into_owned()),
        peers: args.peers.iter().map(ToString::to_string).collect(),
        ..AddRequest::default()
    };
    let torrent: Torrent = client.post("/torrents", &request).await?;
    Ok((started(client, torrent).await?, named))
}

/// Lets a torrent go on that rests: whoever plays it wants it to come.
async fn started(client: &Client, torrent: Torrent) -> Result<String, Failure> {
    if torrent.state == TorrentState::Paused && torrent.pieces_done < torrent.pieces.max(1) {
        client.post::<Torrent>(&torrent_path(&torrent.id, "/resume"), &()).await?;
    }
    Ok(torrent.id)
}

/// Tells links and torrent files from the names of torrents that are here.
fn looks_like_a_source(what: &str) -> bool {
    let lower = what.trim().to_ascii_lowercase();
    lower.starts_with("magnet:")
        || lower.contains("://")
        || Path::new(what).extension().is_some_and(|extension| extension == "torrent")
            && Path::new(what).is_file()
}

/// The torrent's files, as soon as it is known which they are.
async fn files(client: &Client, id: &str, screen: &Screen) -> Result<Vec<FileProgress>, Failure> {
    let mut follower = Follower::new(client, id, screen).await?;
    let mut told = false;
    loop {
        match follower.next().await? {
            Step::Torrent(torrent) if torrent.state == TorrentState::Failed => {
                let note = torrent.note.unwrap_or_else(|| "it failed".to_owned());
                return Err(Failure::sentence(&text::escape(&note)));
            }
            Step::Torrent(torrent) if torrent.size_bytes.is_some() => {
                return choose::list(client, id).await;
            }
            Step::Torrent(_) if !told => {
                told = true;
                screen.note("Asking peers what this link means.");
            }
            Step::Torrent(_) => {}
            Step::Note(note) => screen.note(&text::escape(&note)),
        }
    }
}

/// The file to play: the one that is named, or else the largest that a player plays.
fn pick<'a>(
    files: &'a [FileProgress],
    choice: Option<&Choice>,
) -> Result<&'a FileProgress, Failure> {
    if let Some(choice) = choice {
        let chosen = choose::chosen(files, std::slice::from_ref(choice))?;
        return match chosen[..] {
            [one] => Ok(one),
            _ => Err(Failure::new(
                format!("{} files are called that", chosen.len()),
                "name one of them, by its number in `althing files ID` for instance",
            )
            .with_exit(Exit::Usage)),
        };
    }
    let playable = |file: &&FileProgress| {
        let extension = Path::new(&file.file.path).extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| {
            PLAYABLE.iter().any(|known| known.eq_ignore_ascii_case(extension))
        })
    };
    let largest = files.iter().filter(playable).max_by_key(|file| file.file.size_bytes);
    largest.ok_or_else(|| {
        Failure::new(
            "nothing in this torrent looks like a film or music",
            "name a file with --file, as `althing files ID` lists them",
        )
    })
}

/// The player to open, if any.
fn player(named: Option<&str>, none: bool) -> Result<Option<PathBuf>, Failure> {
    if none {
        return Ok(None);
    }
    if let Some(named) = named {
        let found = on_path(named);
        return found.map(Some).ok_or_else(|| {
            Failure::new(
                format!("there is no program called {}", text::escape(named)),
                "name a player that is installed, or leave --player out",
            )
        });
    }
    Ok(PLAYERS.iter().find_map(|player| on_path(player)))
}

/// Where a program is.
fn on_path(name: &str) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return Path::new(name).is_file().then(|| PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Says where it can be watched, opens the player, and waits for its end.
async fn watch(
    client: &Client,
    id: &str,
    stream: &StreamInfo,
    player: Option<PathBuf>,
    screen: &Screen,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let url = format!("http://{}{}", reachable(client.addr()), stream.url_path);
    let name = text::escape(&stream.file).into_owned();
    screen.note(&format!("{name} ({}) while it comes:", units::bytes(stream.size_bytes)));
    screen.result(&url);
    screen.value(&serde_json::json!({ "url": url, "stream": stream }), true);
    let mut child = match &player {
        Some(player) => Some(open(player, &url)?),
        None => {
            screen.note("Open this address in a player; it ends with Ctrl-C.");
            None
        }
    };
    let mut follower = Follower::new(client, id, screen).await?;
    loop {
        tokio::select! {
            ended = async { child.as_mut().expect("there is a player").wait().await },
                if child.is_some() =>
            {
                return match ended {
                    Ok(status) if status.success() => Ok(()),
                    Ok(status) => Err(Failure::new(
                        format!("the player ended with {status}"),
                        "try another with --player, or open the address yourself with --no-player",
                    )),
                    Err(error) => Err(Failure::new(format!("the player is lost: {error}"), "")),
                };
            }
            () = signals.interrupted() => {
                if let Some(player) = &mut child {
                    // It has most likely had the same Ctrl-C.
                    drop(player.start_kill());
                    drop(player.wait().await);
                }
                return Ok(());
            }
            step = follower.next() => match step? {
                Step::Note(note) => screen.note(&text::escape(&note)),
                Step::Torrent(torrent) if torrent.state == TorrentState::Failed => {
                    let note = torrent.note.unwrap_or_else(|| "it failed".to_owned());
                    return Err(Failure::sentence(&text::escape(&note)));
                }
                Step::Torrent(_) => {}
            },
        }
    }
}

/// Opens a player. It has the terminal, for its own keys, unless that is for JSON.
fn open(player: &Path, url: &str) -> Result<Child, Failure> {
    let mut command = Command::new(player);
    // What it says is no part of our output.
    command.arg(url).stdin(Stdio::inherit()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().map_err(|error| {
        Failure::new(
            format!("{} cannot be started: {error}", text::escape(&player.to_string_lossy())),
            "try another with --player, or open the address yourself with --no-player",
        )
    })
}

/// An address that something on this machine can connect to: a daemon that listens everywhere is
/// reached here as well.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addr.port())
        }
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), addr.port())
        }
        _ => addr,
    }
}

fn interrupted() -> Failure {
    Failure::interrupted("interrupted before there was anything to play", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_node::api::types::{FileInfo, FilePriority};

    fn file(index: u32, path: &str, size_bytes: u64) -> FileProgress {
        let file = FileInfo { path: path.to_owned(), size_bytes, executable: false, symlink: None };
        FileProgress { index, priority: FilePriority::Normal, file, done_bytes: 0 }
    }

    #[test]
    fn the_largest_film_is_played_unless_another_is_named() {
        let files =
            [file(0, "x/sample.mkv", 10), file(1, "x/film.MKV", 700), file(2, "x/all.zip", 9000)];
        assert_eq!(pick(&files, None).map(|file| file.index), Ok(1));
        let choice = "sample.*".parse().expect("a choice");
        assert_eq!(pick(&files, Some(&choice)).map(|file| file.index), Ok(0));
        let both = "*.mkv".parse().expect("a choice");
        assert!(pick(&files, Some(&both)).is_err());
        assert!(pick(&files[2..], None).is_err());
    }

    #[test]
    fn links_are_told_from_torrents_that_are_here() {
        for link in ["magnet:?xt=urn:btih:00", "https://example.org/a.torrent"] {
            assert!(looks_like_a_source(link), "{link}");
        }
        for name in ["ab12", "ab12/3", "no.such.torrent", "a film/*.mkv"] {
            assert!(!looks_like_a_source(name), "{name}");
        }
    }

    #[test]
    fn players_are_found_by_name_and_by_path() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(on_path("/bin/sh"), Some("/bin/sh".into()));
        assert_eq!(on_path("no such player"), None);
        assert!(player(Some("no such player"), false).is_err());
        assert_eq!(player(None, true), Ok(None));
    }
}
