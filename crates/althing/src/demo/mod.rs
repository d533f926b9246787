//! `demo`: five peers on this machine share something real, every copy is compared byte by byte, and twenty
//! find each other's texts by words.
//!
//! Each peer is a process of its own with its own data folder, as if it were on a machine of its own;
//! they find each other in a DHT that consists of themselves, and with `--tracker` through a tracker, too,
//! which is a process as well. All of them listen on the loopback interface alone, on ports of the system's choice, and address nothing beyond. A crowd of light peers, which
//! publish and search only, lives in the demo's own process. The demo starts all of them, tells them what to do
//! over their APIs, and watches.

mod compare;
mod content;
mod crowd;
mod network;
mod report;
mod search;
mod svg;
mod watch;

use crate::cli::Demo;
use crate::client::{Client, torrent_path};
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api::types::{
    AddRequest, CreateOptions, DhtTorrentInfo, Job, JobState, ShareRequest, Torrent, TorrentDetail,
};
use content::Content;
use network::Network;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use watch::Watch;

/// Time between two looks at the peers; their own figures change once a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Time between two plain lines where nothing can be redrawn.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// How long a peer may take to announce itself in the DHT; it goes on without after that.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(40);

/// When nobody has received anything for so long, something is broken.
const STALL_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn demo(args: Demo, screen: &Screen, mut signals: Signals) -> Result<(), Failure> {
    let mut network = Network::new(args.keep)?;
    let outcome = tokio::select! {
        outcome = run(&args, &mut network, screen) => outcome,
        () = signals.interrupted() => {
            Err(Failure::interrupted("interrupted; everything is being removed", ""))
        }
    };
    match outcome {
        Ok(()) if args.keep => {
            network.keep(screen).await;
            Ok(())
        }
        Ok(()) => {
            network.stop().await;
            screen.note("All peers have stopped, and their folders are removed.");
            Ok(())
        }
        Err(failure) => {
            network.kill().await;
            Err(failure)
        }
    }
}

async fn run(args: &Demo, network: &mut Network, screen: &Screen) -> Result<(), Failure> {
    let content = content::choose(args.path.as_deref(), network.dir()).await?;
    network.check_space(content.bytes, usize::from(args.peers) - 1)?;
    screen.note(&format!(
        "Content: {}, {} in {}\n         {}",
        content.about,
        units::bytes(content.bytes),
        units::counted(content.files, "file"),
        text::escape(&content.path.to_string_lossy()),
    ));
    network.start(args.peers, args.crowd, args.tracker).await?;
    screen.note(&format!(
        "Started {}{} as processes of their own, on 127.0.0.1 alone{}.",
        if args.tracker { "a tracker and " } else { "" },
        units::counted(args.peers.into(), "peer"),
        match args.crowd {
            0 => String::new(),
            crowd => format!(", and {} in this one", units::counted(crowd.into(), "light peer")),
        },
    ));
    let published = search::publish(network).await?;
    screen.note(
        "Each of them has published a text of its own, which the others are to find by words.",
    );
    let shared = share(network, &content, screen).await?;
    let started = Instant::now();
    let mut watch = Watch::begin(network, &shared, started).await?;
    fetch(network, &shared).await?;
    let mut picture = svg::Picture::new(args.svg.as_deref());
    follow(network, &mut watch, &mut picture, screen).await?;
    watch.look_at_last(network).await?;
    let compared = compare::all(&content.path, &network.copies(&shared.torrent.name)).await?;
    let searched = search::run(network, &published, screen).await?;
    let report = report::Report::new(&watch, &shared, &compared, searched);
    report.print(screen);
    picture.write(&report, screen)?;
    Ok(())
}

/// Has the first peer share the content.
async fn share(
    network: &Network,
    content: &Content,
    screen: &Screen,
) -> Result<TorrentDetail, Failure> {
    let seeder = network.seeder()?;
    let request = ShareRequest {
        follow: false,
        listing: None,
        path: content.path.to_string_lossy().into_owned(),
        options: CreateOptions {
            trackers: network.tracker_url().map(|url| vec![url.to_owned()]).into_iter().collect(),
            ..CreateOptions::default()
        },
        super_seeding: false,
    };
    let mut job: Job = seeder.client.post("/share", &request).await?;
    let mut progress = Progress::new(screen, "Peer 1 hashes it");
    while job.state == JobState::Running {
        progress.update(job.done_bytes, job.total_bytes, "");
        tokio::time::sleep(LOOK_INTERVAL / 5).await;
        job = seeder.client.get(&format!("/jobs/{}", job.id)).await?;
    }
    if let Some(error) = job.error {
        return Err(Failure::from(error));
    }
    let id = job.torrent.unwrap_or_default();
    if network.tracker_url().is_none() {
        announced(&seeder.client, &id).await?;
    }
    seeder.client.get(&torrent_path(&id, "")).await
}

/// Waits until the DHT has been told that a peer has the content. Whoever asks before that asks again
/// after a minute, as is decent among strangers.
async fn announced(client: &Client, id: &str) -> Result<(), Failure> {
    let since = Instant::now();
    while since.elapsed() < ANNOUNCED_WITHIN {
        let names: Vec<DhtTorrentInfo> = client.get(&torrent_path(id, "/dht")).await?;
        if names.iter().any(|name| name.announced_to > 0) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL / 10).await;
    }
    Ok(())
}

/// Gives the others the link, and nothing but the link: all of them at once, or where only the DHT
/// knows who is there one after the other, so that each is told of those before.
async fn fetch(network: &Network, shared: &TorrentDetail) -> Result<(), Failure> {
    let mut adding = JoinSet::new();
    for peer in network.leechers() {
        while network.tracker_url().is_none()
            && let Some(added) = adding.join_next().await
        {
            added.unwrap_or_else(|error| Err(Failure::new(error.to_string(), "")))?;
        }

        let client = peer.client.clone();
        let request = AddRequest {
            link: Some(shared.magnet.clone()),
            save_dir: Some(peer.files().to_string_lossy().into_owned()),
            ..AddRequest::default()
        };
        let (id, waits) = (shared.torrent.id.clone(), network.tracker_url().is_none());
        adding.spawn(async move {
            client.post::<Torrent>("/torrents", &request).await?;
            if waits { announced(&client, &id).await } else { Ok(()) }
        });
    }
    while let Some(added) = adding.join_next().await {
        added.unwrap_or_else(|error| Err(Failure::new(error.to_string(), "")))?;
    }
    Ok(())
}

/// Shows how it goes until everybody has everything.
async fn follow(
    network: &mut Network,
    watch: &mut Watch,
    picture: &mut svg::Picture,
    screen: &Screen,
) -> Result<(), Failure> {
    let mut drawing = report::Drawing::new(screen);
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    let mut last_line = Instant::now();
    while !watch.all_complete() {
        tokio::select! {
            _ = look.tick() => {
                watch.look(network).await?;
                network.check_alive()?;
                picture.offer(watch);
                if screen.redraws() {
                    drawing.redraw(watch);
                } else if last_line.elapsed() >= LINE_INTERVAL {
                    last_line = Instant::now();
                    screen.note(&report::line(watch));
                }
                if watch.idle_for() > STALL_LIMIT {
                    return Err(network.stalled(&report::line(watch)));
                }
            }
            event = watch.next_complete() => event?,
        }
    }
    drawing.clear();
    Ok(())
}
