//! `share`: a path becomes a link that friends can use.

use super::make;
use super::reach;
use crate::cli::{Global, Share};
use crate::client::{Client, torrent_path};
use crate::daemon::{Daemon, running_or_own};
use crate::exit::{Exit, Failure};
use crate::screen::progress::Progress;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_bittorrent::metainfo::FollowLink;
use althing_node::api::types::{
    CreateOptions, DhtInfo, ErrorCode, Event, Job, JobState, ListingRequest, SessionInfo,
    ShareRequest, Torrent, TorrentDetail,
};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Paths that the daemon is asked to share at once; it takes as many.
const AT_ONCE: usize = 16;

/// What `share --json` prints for each path once its link is ready.
#[derive(Serialize)]
struct Shared<'a> {
    r#type: &'static str,
    link: &'a str,
    torrent: &'a TorrentDetail,
}

pub(super) async fn share(
    global: &Global,
    args: Share,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let paths: Vec<PathBuf> =
        args.paths.iter().map(|path| make::existing(path)).collect::<Result<_, _>>()?;
    if args.making.name.is_some() && paths.len() > 1 {
        return Err(Failure::new(
            "one name cannot be given to several torrents",
            "share one path at a time, or leave --name out",
        )
        .with_exit(Exit::Usage));
    }
    let options = make::api_options(&args.making);
    let reached = running_or_own(global, &args.listen).await?;
    let result = tokio::select! {
        result = share_all(&reached.client, &paths, &options, &args, screen) => result,
        () = signals.interrupted() => {
            Err(Failure::interrupted("interrupted before everything was hashed", ""))
        }
    };
    let Some(daemon) = reached.own else {
        if result.is_ok() {
            screen.note("The daemon goes on sharing it.");
        }
        return result;
    };
    let result = match result {
        Ok(()) => seed(&daemon, &reached.client, screen, &mut signals).await,
        Err(failure) => Err(failure),
    };
    daemon.stop().await;
    result
}

/// Has the daemon share all paths, some at a time: it writes down together what comes at once.
/// Links come in the order of the paths. If one fails, no more are begun.
async fn share_all(
    client: &Client,
    paths: &[PathBuf],
    options: &CreateOptions,
    args: &Share,
    screen: &Screen,
) -> Result<(), Failure> {
    // One stream for all: it begins with everything there is.
    let mut events = client.events().await?;
    let session: SessionInfo = client.get("/session").await?;
    let mut progress = Progress::new(screen, "hashing");
    let mut left = paths.iter();
    let mut next = left.next();
    let mut under_way: VecDeque<Job> = VecDeque::new();
    let mut told = 0;
    let mut failure = None;
    loop {
        let mut busy = false;
        while let Some(path) = next.filter(|_| under_way.len() < AT_ONCE) {
            let request = ShareRequest {
                path: path.to_string_lossy().into_owned(),
                options: options.clone(),
                super_seeding: args.super_seed,
                follow: args.follow,
                listing: args
                    .publish
                    .then(|| ListingRequest { tags: args.tags.clone(), about: args.about.clone() }),
            };
            match client.post("/share", &request).await {
                Ok(job) => under_way.push_back(job),
                // Somebody else has given it work, too: it goes on when one of ours is done.
                Err(error) if error.error.code == ErrorCode::TooMany && !under_way.is_empty() => {
                    busy = true;
                    break;
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    next = None;
                    break;
                }
            }
            next = left.next();
        }
        while under_way.front().is_some_and(|job| job.state != JobState::Running)
            && let Some(job) = under_way.pop_front()
        {
            match (job.state, job.error) {
                (JobState::Done, _) => {
                    let id = job.torrent.unwrap_or_default();
                    let detail: TorrentDetail = client.get(&torrent_path(&id, "")).await?;
                    progress.clear();
                    let dht: DhtInfo = client.get("/dht").await?;
                    tell(client, &session, &detail, dht.running, screen);
                    if args.publish {
                        screen.note(
                            "Everybody in the overlay hears of it, and finds it by its words, for as long \
                             as it is in your list.\n",
                        );
                    }
                    told += 1;
                }
                (_, error) => {
                    let unsaid = || Failure::new("it could not be shared", "try again");
                    failure.get_or_insert(error.map_or_else(unsaid, Failure::from));
                    next = None;
                }
            }
        }
        if under_way.is_empty() && next.is_none() {
            return failure.map_or(Ok(()), Err);
        }
        if next.is_some() && under_way.len() < AT_ONCE && (!busy || under_way.is_empty()) {
            continue;
        }
        let Some(event) = events.next().await? else {
            return Err(Failure::new("the daemon stopped before everything was hashed", "")
                .with_exit(Exit::NoDaemon));
        };
        let news = match event {
            Event::Job { job } => vec![job],
            Event::Snapshot { jobs, .. } => jobs,
            _ => continue,
        };
        for job in news {
            let Some(ours) = under_way.iter_mut().find(|ours| ours.id == job.id) else { continue };
            screen.value(&Event::Job { job: job.clone() }, true);
            *ours = job;
        }
        if let Some(job) = under_way.front() {
            let of_all = match paths.len() {
                1 => String::new(),
                all => format!("{} of {all}", told + 1),
            };
            progress.update(job.done_bytes, job.total_bytes, &of_all);
        }
    }
}

/// Prints the link, and how friends use it.
fn tell(
    client: &Client,
    session: &SessionInfo,
    detail: &TorrentDetail,
    dht: bool,
    screen: &Screen,
) {
    // Of another machine's addresses this one knows nothing.
    let here = client.addr().ip().is_loopback();
    let addrs: Vec<SocketAddr> = if detail.trackers.is_empty() && here {
        let listening: Vec<SocketAddr> =
            session.peer_addrs.iter().filter_map(|addr| addr.parse().ok()).collect();
        reach::reachable(&listening)
    } else {
        Vec::new()
    };
    let mut link = match &detail.published {
        Some(published) => follow_link(&published.link, detail),
        None => detail.magnet.clone(),
    };
    for addr in &addrs {
        link.push_str(&format!("&x.pe={addr}"));
    }
    screen.value(&Shared { r#type: "shared", link: &link, torrent: detail }, true);
    let torrent = &detail.torrent;
    screen.note(&format!(
        "Sharing {} ({}, {}) from where it lies; nothing is copied.\n\n\
         Send this link to your friends:\n",
        text::escape(&torrent.name),
        units::counted(detail.files.unwrap_or_default().into(), "file"),
        units::bytes(torrent.size_bytes.unwrap_or_default()),
    ));
    screen.result(&link);
    screen.note(&format!("\n{}\n", how_to_reach(detail, &addrs, dht)));
    if detail.published.is_some() {
        screen.note(
            "Who fetches it with Althing gets each new version: when it has changed, share it again with \
             --follow. The link is in the DHT for as long as Althing runs here, and two hours more.\n",
        );
    }
}

/// The link to the newest version, with the torrent's trackers: it will have them again.
fn follow_link(link: &str, detail: &TorrentDetail) -> String {
    let Ok(parsed) = link.parse::<FollowLink>() else { return link.to_owned() };
    let trackers = detail.trackers.iter().flatten().cloned().collect();
    FollowLink { trackers, ..parsed }.to_string()
}

/// Says honestly what a friend needs for the link to work.
fn how_to_reach(detail: &TorrentDetail, addrs: &[SocketAddr], dht: bool) -> String {
    let mut text =
        "They fetch it with `althing get 'LINK'`, or open it in any BitTorrent program, \
                    while this runs.\n"
            .to_owned();
    if detail.info_hash_v2.is_some() {
        text.push_str(
            "Transmission before 4.0 and aria2 before 1.37 need a link made with --format v1.\n",
        );
    }
    if let Some(tracker) = detail.trackers.iter().flatten().next() {
        let tracker = text::escape(tracker);
        text.push_str(&format!("They find this computer through the tracker {tracker}."));
        return text;
    }
    let Some(port) = addrs.first().map(SocketAddr::port) else {
        if dht {
            text.push_str("They find this computer by the link alone, through the DHT.");
            return text;
        }
        text.push_str(
            "The link names no tracker, so that they also need this computer's address:\n  \
             althing get 'LINK' --peer ADDRESS:PORT",
        );
        return text;
    };
    let listed = addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    if addrs.iter().all(|addr| addr.ip().is_loopback()) {
        text.push_str(&format!(
            "It names the address {listed}, which works on this computer only."
        ));
    } else if addrs.iter().any(|addr| reach::is_global(addr.ip())) {
        text.push_str(&format!(
            "It names this computer's address, {listed}. If a firewall is in the way, let port \
             {port} through."
        ));
    } else if dht {
        text.push_str(&format!(
            "It names this computer's address in your own network, {listed}, for friends there. \
             Friends elsewhere find it through the DHT; one of the two sides should be reachable from \
             outside: `althing net status` says whether this one is."
        ));
    } else {
        text.push_str(&format!(
            "It names this computer's address in your own network, {listed}: that works for friends \
             in the same network.\n\
             For friends elsewhere this version needs one of two things:\n  \
             - a tracker that both sides can reach: althing share PATH --tracker URL\n  \
             - port {port} forwarded to this computer in your router's settings; then they use\n    \
             althing get 'LINK' --peer YOUR.PUBLIC.ADDRESS:{port}"
        ));
    }
    text
}

/// Goes on sharing until Ctrl-C, and says how it goes.
async fn seed(
    daemon: &Daemon,
    client: &Client,
    screen: &Screen,
    signals: &mut Signals,
) -> Result<(), Failure> {
    screen.note("Sharing until Ctrl-C.");
    let mut events = client.events().await?;
    let mut progress = Progress::new(screen, "sharing");
    let mut torrents = BTreeMap::<String, Torrent>::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            () = signals.interrupted() => break,
            () = daemon.shutdown_requested() => break,
        };
        let Some(event) = event else { break };
        if matches!(event, Event::Torrent { .. } | Event::Note { .. } | Event::Removed { .. }) {
            screen.value(&event, true);
        }
        match event {
            Event::Snapshot { torrents: all, .. } => {
                torrents = all.into_iter().map(|torrent| (torrent.id.clone(), torrent)).collect();
            }
            Event::Torrent { torrent } => {
                torrents.insert(torrent.id.clone(), torrent);
            }
            Event::Removed { id } => {
                torrents.remove(&id);
            }
            Event::Note { message, .. } => screen.note(&text::escape(&message)),
            _ => {}
        }
        progress.say(&sharing(torrents.values()));
    }
    progress.clear();
    let session: SessionInfo = client.get("/session").await?;
    screen.note(&format!(
        "Stopped after sending {}. `althing up` shares it again.",
        units::bytes(session.uploaded_bytes)
    ));
    Ok(())
}

fn sharing<'a>(torrents: impl Iterator<Item = &'a Torrent>) -> String {
    let (mut count, mut peers, mut rate, mut sent) = (0_u64, 0_u64, 0_u64, 0_u64);
    for torrent in torrents {
        count += 1;
        peers += u64::from(torrent.peers);
        rate = rate.saturating_add(torrent.upload_bytes_per_s);
        sent = sent.saturating_add(torrent.uploaded_bytes);
    }
    format!(
        "{} with {}  ↑ {}  {} sent",
        units::counted(count, "torrent"),
        units::counted(peers, "peer"),
        units::rate(rate),
        units::bytes(sent)
    )
}
