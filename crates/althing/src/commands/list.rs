//! `ls`, `show` and `peers`: looking.

use crate::cli::{Global, Ls, OneTorrent, Show};
use crate::client::{Client, torrent_path};
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::table::{Align, Lines, lay_out};
use crate::screen::{Screen, text, units};
use althing_node::api::types::{
    DhtTorrentInfo, Direction, Encrypted, FileProgress, Followed, Peer, Published, Torrent,
    TorrentDetail, TorrentState, TrackerInfo, TrackerState, Transport, Version,
};
use std::path::Path;
use std::time::Duration;

/// Columns of a torrent's name in a list.
const NAME_COLUMNS: usize = 40;

/// Columns of a peer's client in a list.
const CLIENT_COLUMNS: usize = 24;

/// Hexadecimal digits of an id in a list: of a thousand torrents two begin alike with a probability
/// of one in ten thousand.
const ID_DIGITS: usize = 8;

pub(super) async fn ls(global: &Global, args: Ls, screen: &Screen) -> Result<(), Failure> {
    let mut torrents: Vec<Torrent> = running(global).await?.get("/torrents").await?;
    let all = torrents.len();
    torrents.retain(|torrent| {
        let category = torrent.category.as_deref().unwrap_or_default();
        args.category.as_ref().is_none_or(|wanted| wanted == category)
            && args.tags.iter().all(|tag| torrent.tags.contains(tag))
    });
    screen.value(&torrents, false);
    if torrents.is_empty() && all > 0 {
        screen.note("No torrents are like that.");
        return Ok(());
    }
    if torrents.is_empty() {
        screen.note("No torrents yet. `althing share PATH` or `althing get LINK` adds one.");
        return Ok(());
    }
    let rows: Vec<_> = torrents
        .iter()
        .map(|torrent| {
            [
                short_id(&torrent.id).to_owned(),
                text::cut(&torrent.name, NAME_COLUMNS),
                state(torrent),
                torrent.size_bytes.map_or_else(|| "?".into(), units::bytes),
                rate(torrent.download_bytes_per_s),
                rate(torrent.upload_bytes_per_s),
                torrent.peers.to_string(),
                torrent.eta_s.map(Duration::from_secs).map(units::duration).unwrap_or_default(),
            ]
        })
        .collect();
    let header = [
        ("ID", Align::Left),
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("SIZE", Align::Right),
        ("DOWN", Align::Right),
        ("UP", Align::Right),
        ("PEERS", Align::Right),
        ("LEFT", Align::Right),
    ];
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    for torrent in &torrents {
        if let Some(note) = &torrent.note {
            screen.note(&format!("{}: {}", short_id(&torrent.id), text::escape(note)));
        }
    }
    Ok(())
}

/// The beginning of an id, as lists show it.
pub(super) fn short_id(id: &str) -> &str {
    id.get(..ID_DIGITS).unwrap_or(id)
}

fn rate(bytes_per_s: u64) -> String {
    if bytes_per_s == 0 { "-".to_owned() } else { units::rate(bytes_per_s) }
}

/// A torrent's state in a few words.
fn state(torrent: &Torrent) -> String {
    let done = units::percent(torrent.pieces_done.into(), torrent.pieces.into());
    match torrent.state {
        TorrentState::Metadata => "looking for peers".to_owned(),
        TorrentState::Checking => {
            let checked = torrent.pieces_checked.unwrap_or_default();
            format!("checking {} %", units::percent(checked.into(), torrent.pieces.into()))
        }
        TorrentState::Moving => {
            let (moved, size) =
                (torrent.moved_bytes.unwrap_or_default(), torrent.size_bytes.unwrap_or_default());
            format!("moving {} %", units::percent(moved, size))
        }
        TorrentState::Downloading => format!("getting {done} %"),
        TorrentState::Seeding => "sharing".to_owned(),
        TorrentState::Queued if torrent.pieces == 0 => "queued".to_owned(),
        TorrentState::Queued => format!("queued {done} %"),
        TorrentState::Paused if torrent.pieces == 0 => "paused".to_owned(),
        TorrentState::Paused => format!("paused {done} %"),
        TorrentState::Failed => format!("failed {done} %"),
    }
}

pub(super) async fn show(global: &Global, args: Show, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let id = &args.torrent.id;
    let detail: TorrentDetail = client.get(&torrent_path(id, "")).await?;
    if screen.json() {
        screen.value(&detail, false);
        return Ok(());
    }
    let trackers: Vec<TrackerInfo> = client.get(&torrent_path(id, "/trackers")).await?;
    let dht: Vec<DhtTorrentInfo> = client.get(&torrent_path(id, "/dht")).await?;
    lines(&detail, &trackers, &dht).print(screen);
    if args.files && detail.files.is_some() {
        files(&client, id, screen).await?;
    }
    Ok(())
}

fn lines(detail: &TorrentDetail, trackers: &[TrackerInfo], dht: &[DhtTorrentInfo]) -> Lines {
    let torrent = &detail.torrent;
    let mut lines = Lines::default();
    lines.add("name", &torrent.name);
    lines.add("id", &torrent.id);
    lines.add("state", state(torrent));
    lines.add_some("note", torrent.note.as_ref());
    if let Some(size) = torrent.size_bytes {
        let files = units::counted(detail.files.unwrap_or_default().into(), "file");
        let pieces = units::counted(torrent.pieces.into(), "piece");
        let piece = units::bytes(detail.piece_length_bytes.unwrap_or_default().into());
        lines.add("size", format!("{} in {files}, {pieces} of {piece}", units::bytes(size)));
        let lies = Path::new(&torrent.save_dir).join(&torrent.name);
        lines.add("lies in", lies.to_string_lossy());
    }
    let moved = |bytes, bytes_per_s| format!("{} ({})", units::bytes(bytes), rate(bytes_per_s));
    lines.add("received", moved(torrent.downloaded_bytes, torrent.download_bytes_per_s));
    lines.add("sent", moved(torrent.uploaded_bytes, torrent.upload_bytes_per_s));
    if detail.wasted_bytes > 0 {
        lines.add("thrown away", units::bytes(detail.wasted_bytes));
    }
    if detail.copied_bytes > 0 {
        lines.add("copied", format!("{} from other torrents", units::bytes(detail.copied_bytes)));
    }
    lines.add_some("left", torrent.eta_s.map(Duration::from_secs).map(units::duration));
    lines.add(
        "peers",
        format!(
            "{} connected, {} of them complete; {} known",
            torrent.peers, torrent.seeds, torrent.known_peers
        ),
    );
    lines.add_some("kind", detail.version.map(version));
    lines.add_some("v1 info-hash", detail.info_hash_v1.as_ref());
    lines.add_some("v2 info-hash", detail.info_hash_v2.as_ref());
    if detail.private {
        lines.add("private", "peers come from its trackers alone");
    }
    lines.add_some("comment", detail.comment.as_ref());
    lines.add_some("made by", detail.created_by.as_ref());
    trackers.iter().for_each(|tracker| lines.add("tracker", tracker_line(tracker)));
    dht.iter().for_each(|name| lines.add("DHT", dht_line(name)));
    detail.web_seeds.iter().for_each(|url| lines.add("web seed", url));
    if let Some(followed) = &detail.followed {
        lines.add("follows", followed_line(followed));
    }
    if let Some(published) = &detail.published {
        lines.add("published", published_line(published));
        lines.add("to follow", &published.link);
    }
    lines.add("link", &detail.magnet);
    lines
}

fn followed_line(followed: &Followed) -> String {
    let mut said = match followed.seq {
        Some(seq) => format!("version {seq} of {}", followed.link),
        None => format!("{}, of which no version is known yet", followed.link),
    };
    said.push_str(&match followed.looked_up_s_ago {
        Some(ago) => format!("; looked up {} ago", units::duration(Duration::from_secs(ago))),
        None => "; not looked up yet".to_owned(),
    });
    if let Some(note) = &followed.note {
        said.push_str(&format!("; {note}"));
    }
    said
}

fn published_line(published: &Published) -> String {
    let number = published.seq.map(|seq| format!("as version {seq}, "));
    let mut said = number.unwrap_or_default();
    said.push_str(&match published.put_s_ago {
        Some(ago) => {
            let nodes = units::counted(published.nodes.into(), "node");
            format!("put on {nodes} {} ago", units::duration(Duration::from_secs(ago)))
        }
        None => "not in the DHT yet".to_owned(),
    });
    if let Some(note) = &published.note {
        said.push_str(&format!("; {note}"));
    }
    said
}

fn tracker_line(tracker: &TrackerInfo) -> String {
    let state = match tracker.state {
        TrackerState::Idle => "not asked yet".to_owned(),
        TrackerState::Announcing => "being asked".to_owned(),
        TrackerState::Working => {
            let named = tracker.peers.unwrap_or_default();
            format!("works, named {}", units::counted(named.into(), "peer"))
        }
        TrackerState::Failing => "fails".to_owned(),
    };
    match &tracker.message {
        Some(message) => format!("{} ({state}: {message})", tracker.url),
        None => format!("{} ({state})", tracker.url),
    }
}

fn dht_line(name: &DhtTorrentInfo) -> String {
    let time = |secs| units::duration(Duration::from_secs(secs));
    let mut said = match (name.searched_s_ago, name.announced_to) {
        (None, _) => return "no answer yet".to_owned(),
        (Some(ago), 0) => format!("asked {} ago", time(ago)),
        (Some(ago), nodes) => {
            let nodes = units::counted(nodes.into(), "node");
            format!("announced to {nodes} {} ago", time(ago))
        }
    };
    said.push_str(&match name.next_s {
        Some(next) => format!(", again in {}", time(next)),
        None => ", and again now".to_owned(),
    });
    said.push_str(&format!("; named {}", units::counted(name.peers_named, "peer")));
    if let (Some(seeds), Some(leechers)) = (name.seeds, name.leechers) {
        said.push_str(&format!("; {seeds} have all of it, {leechers} fetch it"));
    }
    said
}

/// A kind of torrent in words.
pub(super) fn version(version: Version) -> &'static str {
    match version {
        Version::V1 => "BitTorrent v1",
        Version::V2 => "BitTorrent v2",
        Version::Hybrid => "BitTorrent v1 and v2 (hybrid)",
    }
}

async fn files(client: &Client, id: &str, screen: &Screen) -> Result<(), Failure> {
    let files: Vec<FileProgress> = client.get(&torrent_path(id, "/files")).await?;
    let rows: Vec<_> = files
        .iter()
        .map(|FileProgress { file, done_bytes, .. }| {
            let done = match file.size_bytes {
                0 => 100,
                size => units::percent(*done_bytes, size),
            };
            [units::bytes(file.size_bytes), format!("{done} %"), text::escape(&file.path).into()]
        })
        .collect();
    let header = [("SIZE", Align::Right), ("DONE", Align::Right), ("FILE", Align::Left)];
    screen.result("");
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    Ok(())
}

pub(super) async fn peers(
    global: &Global,
    args: OneTorrent,
    screen: &Screen,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let peers: Vec<Peer> = client.get(&torrent_path(&args.id, "/peers")).await?;
    screen.value(&peers, false);
    if peers.is_empty() {
        screen.note("No peers are connected.");
        return Ok(());
    }
    let detail: TorrentDetail = client.get(&torrent_path(&args.id, "")).await?;
    let pieces = u64::from(detail.torrent.pieces);
    let rows: Vec<_> = peers
        .iter()
        .map(|peer| {
            [
                peer.addr.clone(),
                text::cut(&peer.client, CLIENT_COLUMNS),
                match peer.direction {
                    Direction::Incoming => "in".to_owned(),
                    Direction::Outgoing => "out".to_owned(),
                },
                format!("{} %", units::percent(peer.pieces_done.into(), pieces)),
                rate(peer.download_bytes_per_s),
                rate(peer.upload_bytes_per_s),
                units::bytes(peer.downloaded_bytes),
                units::bytes(peer.uploaded_bytes),
                flags(peer),
            ]
        })
        .collect();
    let header = [
        ("ADDRESS", Align::Left),
        ("CLIENT", Align::Left),
        ("DIR", Align::Left),
        ("HAS", Align::Right),
        ("DOWN", Align::Right),
        ("UP", Align::Right),
        ("RECEIVED", Align::Right),
        ("SENT", Align::Right),
        ("FLAGS", Align::Left),
    ];
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    screen.note(
        "flags: D we get from it, d it has what we want but does not let us, U it gets from us, \
         u it wants to but we do not let it, S it is late, E all is encrypted, e the handshake was, P it is reached over uTP",
    );
    Ok(())
}

/// Who may request from whom, in the letters that other clients use.
fn flags(peer: &Peer) -> String {
    let mut flags = String::new();
    if peer.interested {
        flags.push(if peer.choked { 'd' } else { 'D' });
    }
    if peer.peer_interested {
        flags.push(if peer.peer_choked { 'u' } else { 'U' });
    }
    if peer.snubbed {
        flags.push('S');
    }
    match peer.encrypted {
        Some(Encrypted::All) => flags.push('E'),
        Some(Encrypted::Handshake) => flags.push('e'),
        Some(Encrypted::No) | None => {}
    }
    if peer.transport == Some(Transport::Utp) {
        flags.push('P');
    }
    flags
}
