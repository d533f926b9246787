//! A process that is killed at any instant never claims what it does not have.

use crate::support::{Node, PATIENCE, config, noise, torrent_of_file};
use althing_bittorrent::metainfo::{Format, Metainfo};
use althing_node::Session;
use althing_node::session::{AddOptions, AddSource, Event, TorrentId, TorrentState};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const DIR: &str = "ALTHING_TEST_KILLED_DIR";
const PEER: &str = "ALTHING_TEST_KILLED_PEER";

/// What the killed process fetches.
fn content() -> (Metainfo, Vec<u8>) {
    let bytes = noise(10, 24 << 20);
    (torrent_of_file("file.bin", Format::Hybrid, &bytes, 256 * 1024), bytes)
}

/// Not a test: what the process does that is killed. It says each piece that it has.
#[tokio::test]
async fn the_one_that_is_killed() {
    let (Some(dir), Ok(peer)) = (std::env::var_os(DIR), std::env::var(PEER)) else { return };
    let mut config = config();
    config.storage.save_interval_s = 1;
    let session = Session::start(config, &PathBuf::from(dir)).await.expect("it starts");
    let mut events = session.subscribe();
    let (metainfo, _) = content();
    let options =
        AddOptions { peers: vec![peer.parse().expect("an address")], ..AddOptions::default() };
    let source = AddSource::Torrent(metainfo.to_torrent());
    session.add(source, options).await.expect("it is added");
    loop {
        if let Ok(Event::PieceVerified { pieces_done, .. }) = events.recv().await {
            println!("\npieces {pieces_done}");
        }
    }
}

#[tokio::test]
async fn killed_while_fetching_and_started_again() {
    let (metainfo, bytes) = content();
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    seeder.complete(id).await;
    for kill_at in [1, 20, 60] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--exact", "kill::the_one_that_is_killed", "--nocapture"])
            .env(DIR, dir.path())
            .env(PEER, seeder.addr().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = child.stdout.take().expect("it is piped");
        let reading = tokio::task::spawn_blocking(move || {
            let pieces = BufReader::new(output).lines().map_while(Result::ok).filter_map(|line| {
                line.strip_prefix("pieces ").and_then(|number| number.parse::<u32>().ok())
            });
            pieces.into_iter().find(|pieces| *pieces >= kill_at)
        });
        let reached = tokio::time::timeout(PATIENCE, reading).await.expect("it fetches");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert!(reached.expect("no panic").is_some(), "it ended before it was killed");

        let session = Session::start(config(), dir.path()).await.expect("it starts again");
        let node = Node::around(session, dir);
        let known = node
            .until(id, |torrent| {
                matches!(torrent.state, TorrentState::Downloading | TorrentState::Seeding)
            })
            .await;
        // What it says it has, it has.
        let detail = node.session.show(id).await.expect("it is there");
        assert_eq!(detail.have.count_ones(), known.pieces_done);
        let on_disk = std::fs::read(node.downloads().join("file.bin")).unwrap_or_default();
        for piece in detail.have.ones() {
            let start = piece.0 as usize * 256 * 1024;
            let end = (start + 256 * 1024).min(bytes.len());
            assert!(on_disk.get(start..end) == Some(&bytes[start..end]), "{piece} is wrong");
        }
        node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
        node.complete(id).await;
        let got = std::fs::read(node.downloads().join("file.bin")).expect("it is there");
        assert!(got == bytes);
    }
}

const ADDS_DIR: &str = "ALTHING_TEST_ADDS_DIR";

/// How many torrents the killed process adds, all at once.
const ADDED_AT_ONCE: u64 = 200;

/// Not a test: what the process does that is killed. It says each torrent that it was told is added.
#[tokio::test]
async fn the_one_that_adds_and_is_killed() {
    let Some(dir) = std::env::var_os(ADDS_DIR) else { return };
    let session = Session::start(config(), &PathBuf::from(dir)).await.expect("it starts");
    let mut adding = tokio::task::JoinSet::new();
    for number in 0..ADDED_AT_ONCE {
        let session = session.clone();
        adding.spawn(async move {
            let bytes = noise(number, 20_000);
            let metainfo = torrent_of_file(&format!("{number}"), Format::V1, &bytes, 16_384);
            let source = AddSource::Torrent(metainfo.to_torrent());
            session.add(source, AddOptions::default()).await.expect("it is added")
        });
    }
    while let Some(added) = adding.join_next().await {
        println!("\nadded {}", added.expect("no panic"));
    }
}

/// Records that are asked for at once are flushed together; none counts as there before that.
#[tokio::test]
async fn killed_while_adding_many_at_once() {
    for kill_at in [1, 40, 150] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--exact", "kill::the_one_that_adds_and_is_killed", "--nocapture"])
            .env(ADDS_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = child.stdout.take().expect("it is piped");
        let reading = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let added = lines.filter_map(|line| line.strip_prefix("added ")?.parse().ok());
            added.take(kill_at).collect::<Vec<TorrentId>>()
        });
        let added = tokio::time::timeout(PATIENCE, reading).await.expect("it adds");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let added = added.expect("no panic");
        assert_eq!(added.len(), kill_at);
        let session = Session::start(config(), dir.path()).await.expect("it starts again");
        for id in added {
            assert!(session.snapshot(id).is_some(), "{id} was said to be added, and is not there");
        }
        session.shutdown().await;
    }
}
