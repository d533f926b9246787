//! Rate limits on real sockets. What is measured is measured with a lot of room: that a limit holds
//! to the byte is tested without a clock, in `rates` and in `althing_base::rates`.

use crate::support::{Node, PATIENCE, config, gauge, noise, torrent_of_file};
use althing_bittorrent::metainfo::Format;
use althing_node::Config;
use althing_node::session::{TorrentChange, TorrentId};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

#[expect(clippy::disallowed_methods, reason = "this measures what a user would see")]
fn now() -> Instant {
    Instant::now()
}

/// How long it takes to get a torrent of so many bytes from one session to another.
async fn transfer(seeder: &Node, leecher: &Node, len: usize) -> (TorrentId, Duration) {
    let bytes = noise(len as u64, len);
    let metainfo = torrent_of_file("thing", Format::V1, &bytes, 65_536);
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("thing"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, Default::default()).await;
    seeder.complete(id).await;
    let begun = now();
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    (id, begun.elapsed())
}

fn limited(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config();
    change(&mut config);
    config
}

#[tokio::test]
async fn an_upload_limit_holds_and_is_used() {
    let seeder = Node::with(limited(|config| config.limits.upload_kib_s = 1024)).await;
    let leecher = Node::start().await;
    let (_, took) = transfer(&seeder, &leecher, 3 * MIB).await;
    // A burst of a quarter of a second goes first, and as much may be on its way.
    assert!(took > Duration::from_millis(2300), "{took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn torrents_of_all_shards_take_turns_with_one_upload_slot() {
    let seeder = Node::with(limited(|config| config.sharing.upload_slots_total = 1)).await;
    let leecher = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    let mut ids = Vec::new();
    for number in 0..3 {
        let bytes = noise(number, MIB);
        let name = format!("thing {number}");
        let metainfo = torrent_of_file(&name, Format::V1, &bytes, 65_536);
        std::fs::write(seeder.downloads().join(&name), &bytes).expect("a file");
        let id = seeder.add(&metainfo, Default::default()).await;
        seeder.complete(id).await;
        leecher.fetch(&metainfo, &[seeder.addr()]).await;
        ids.push(id);
    }
    for id in ids {
        leecher.complete(id).await;
        assert!(gauge(&seeder, "althing_upload_slots_used") <= 1);
    }
    assert_eq!(gauge(&seeder, "althing_upload_slots"), 1);
    let all_idle = async || {
        while gauge(&seeder, "althing_upload_slots_used") > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_idle()).await.expect("what is done holds no slot");
}

#[tokio::test]
async fn a_download_limit_pushes_back_on_who_sends() {
    let seeder = Node::start().await;
    let leecher = Node::with(limited(|config| config.limits.download_kib_s = 1024)).await;
    let (_, took) = transfer(&seeder, &leecher, 3 * MIB).await;
    assert!(took > Duration::from_millis(2300), "{took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn a_torrent_is_limited_and_let_go_while_it_runs() {
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    let bytes = noise(1, 4 * MIB);
    let metainfo = torrent_of_file("thing", Format::V2, &bytes, 65_536);
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("thing"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, Default::default()).await;
    seeder.complete(id).await;
    let limit = |bytes| TorrentChange {
        upload_limit: Some(NonZeroU64::new(bytes)),
        ..TorrentChange::default()
    };
    // At this rate it would take five minutes.
    seeder.session.change(id, limit(16 * 1024)).await.expect("it is there");
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    let begun = leecher.until(id, |torrent| torrent.downloaded_bytes > 0).await;
    assert!(begun.done_bytes < 2 * MIB as u64, "{begun:?}");
    seeder.session.change(id, limit(0)).await.expect("it is there");
    leecher.complete(id).await;
}

#[tokio::test]
async fn settings_change_while_it_runs_and_are_there_at_the_next_start() {
    let node = Node::start().await;
    let set = |name: &str, value: toml::Value| [(name.to_owned(), Some(value))].into();
    let changed = node.session.change_config(&set("limits.upload_kib_s", 7.into()));
    assert_eq!(changed.expect("it exists").in_force, ["limits.upload_kib_s"]);
    assert_eq!(node.session.current_config().limits.upload_kib_s, 7);
    let changed = node.session.change_config(&set("runtime.shards", 3.into()));
    assert_eq!(changed.expect("it exists").at_next_start, ["runtime.shards"]);
    assert_eq!(node.session.current_config().runtime.shards, 2);
    for (name, value) in
        [("limits.speed", 1.into()), ("limits", 1.into()), ("queue.downloads", "many".into())]
    {
        let refused = node.session.change_config(&set(name, value));
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    let written = Config::load(&node.dir.path().join("config.toml")).expect("it is right");
    assert_eq!((written.limits.upload_kib_s, written.runtime.shards), (7, 3));
}
