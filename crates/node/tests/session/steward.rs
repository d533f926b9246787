//! The queue, the limits of seeding, categories and the watched folder.

use crate::support::{Node, assert_files, config, noise, some_files, torrent, torrent_of_file};
use althing_bittorrent::metainfo::{Format, Metainfo};
use althing_node::Config;
use althing_node::config::Then;
use althing_node::session::{
    AddOptions, Category, CommandError, Event, Goal, Label, QueueMove, Ratio, TorrentChange,
    TorrentId, TorrentSettings, TorrentState,
};

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config();
    change(&mut config);
    config
}

fn nothing_has_it(number: u64) -> Metainfo {
    torrent_of_file(&format!("thing {number}"), Format::V1, &noise(number, 40_000), 16_384)
}

async fn is(node: &Node, id: TorrentId, state: TorrentState) {
    node.until(id, |torrent| torrent.state == state).await;
}

#[tokio::test]
async fn the_top_of_the_queue_runs_and_moves_take_effect() {
    let node = Node::with(with(|config| config.queue.downloads = 1)).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(node.add(&nothing_has_it(number), AddOptions::default()).await);
    }
    // They were added within a second, so that their ids say who is first.
    ids.sort();
    is(&node, ids[0], TorrentState::Downloading).await;
    is(&node, ids[1], TorrentState::Queued).await;
    is(&node, ids[2], TorrentState::Queued).await;
    node.session.move_in_queue(ids[2], QueueMove::Top).await.expect("it is there");
    assert_eq!(node.session.queue_position(ids[2]), Some(1));
    is(&node, ids[2], TorrentState::Downloading).await;
    is(&node, ids[0], TorrentState::Queued).await;
    // After a restart it is the same.
    let node = node.restart().await;
    is(&node, ids[2], TorrentState::Downloading).await;
    is(&node, ids[0], TorrentState::Queued).await;
    // Who rests makes room, and who is forced takes none.
    node.session.pause(ids[2]).await.expect("it is there");
    is(&node, ids[0], TorrentState::Downloading).await;
    let force = TorrentChange { forced: Some(true), ..TorrentChange::default() };
    node.session.change(ids[1], force).await.expect("it is there");
    is(&node, ids[1], TorrentState::Downloading).await;
    is(&node, ids[0], TorrentState::Downloading).await;
    node.session.resume(ids[2]).await.expect("it is there");
    is(&node, ids[2], TorrentState::Downloading).await;
    is(&node, ids[0], TorrentState::Queued).await;
}

#[tokio::test]
async fn what_was_shared_seeds_at_once_after_a_start_whatever_the_queue_has_room_for() {
    let node = Node::with(with(|config| config.queue.downloads = 1)).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let metainfo = nothing_has_it(number);
        std::fs::create_dir_all(node.downloads()).expect("a folder");
        let file = node.downloads().join(metainfo.name());
        std::fs::write(file, noise(number, 40_000)).expect("a file");
        let options = AddOptions { trusted: true, ..AddOptions::default() };
        let id = node.add(&metainfo, options).await;
        node.complete(id).await;
        ids.push(id);
    }
    let node = node.restart().await;
    let mut seen = Vec::new();
    let mut events = node.session.subscribe();
    for id in &ids {
        let torrent = node.session.snapshot(*id).expect("it is there");
        assert!(torrent.completed.is_some(), "it counts as a download: {torrent:?}");
        seen.push(torrent.state);
    }
    for id in &ids {
        node.complete(*id).await;
    }
    while let Ok(event) = events.try_recv() {
        if let Event::StateChanged { state, .. } = event {
            seen.push(state);
        }
    }
    assert!(!seen.contains(&TorrentState::Queued), "{seen:?}");
}

#[tokio::test]
async fn who_has_given_enough_rests_and_goes_on_if_told_to() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let seeder = Node::start().await;
    let id = seeder.seed(&metainfo, &files).await;
    let limit = TorrentChange {
        ratio_limit: Some(Goal::At(Ratio::from_f64(1.0).expect("a ratio"))),
        ..TorrentChange::default()
    };
    seeder.session.change(id, limit).await.expect("it is there");
    let leecher = Node::start().await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    is(&seeder, id, TorrentState::Paused).await;
    seeder.session.resume(id).await.expect("it is there");
    is(&seeder, id, TorrentState::Seeding).await;
}

#[tokio::test]
async fn who_has_given_enough_may_leave_the_list() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let node = Node::with(with(|config| config.seeding.then = Then::Remove)).await;
    let id = node.seed(&metainfo, &files).await;
    let category = Category { seed_time_limit: Goal::At(Default::default()), ..Default::default() };
    node.session.set_category(&label("brief"), category).expect("it is written");
    let events = node.session.subscribe();
    let change = TorrentChange { category: Some(Some(label("brief"))), ..Default::default() };
    node.session.change(id, change).await.expect("it is there");
    node.event(events, |event| *event == Event::Removed { id }).await;
    assert_files(&node.downloads().join("things"), &files);
    assert!(matches!(node.session.pause(id).await, Err(CommandError::Unknown { .. })));
}

#[tokio::test]
async fn a_category_says_where_files_go() {
    let node = Node::start().await;
    let place = node.dir.path().join("elsewhere");
    let category = Category { save_dir: Some(place.clone()), ..Category::default() };
    node.session.set_category(&label("there"), category).expect("it is written");
    let settings = TorrentSettings { category: Some(label("there")), ..TorrentSettings::default() };
    let options = AddOptions { settings, paused: true, ..AddOptions::default() };
    let id = node.add(&nothing_has_it(1), options).await;
    assert_eq!(node.session.snapshot(id).expect("it is there").save_dir, place);
    node.session.remove_category(&label("there")).await.expect("it is there");
    assert_eq!(node.session.snapshot(id).expect("it is there").settings.category, None);
    let node = node.restart().await;
    assert!(node.session.categories().is_empty());
    assert_eq!(node.session.snapshot(id).expect("it is there").save_dir, place);
}

#[tokio::test]
async fn what_is_put_into_the_watched_folder_is_added_once() {
    let watched = tempfile::tempdir().expect("a temporary folder");
    let dir = watched.path().to_owned();
    let good = nothing_has_it(1);
    std::fs::write(dir.join("good.torrent"), good.to_torrent()).expect("a file");
    std::fs::write(dir.join("bad.torrent"), "d4:infoi1ee").expect("a file");
    let link = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&dn=far";
    std::fs::write(dir.join("link.MAGNET"), format!("{link}\n")).expect("a file");
    std::fs::write(dir.join("else.txt"), link).expect("a file");
    let node = Node::with(with(|config| {
        config.watch.dir.clone_from(&dir);
        config.watch.category = "found".to_owned();
        config.watch.interval_s = 1;
    }))
    .await;
    let id = TorrentId::from(good.info_hashes());
    let events = node.session.subscribe();
    let about_bad = |event: &Event| matches!(event, Event::Note { sentence, .. } if sentence.contains("bad.torrent"));
    node.event(events, about_bad).await;
    let in_place = || {
        let places = ["added/good.torrent", "added/link.MAGNET", "failed/bad.torrent"];
        places.iter().all(|place| dir.join(place).exists())
    };
    // They are moved after they were added, of which no event tells.
    let waiting = async {
        while !in_place() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.expect("it yields");
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, waiting).await.expect("they are moved");
    let list = node.session.list();
    assert_eq!(list.len(), 2);
    assert!(list.iter().any(|torrent| torrent.id == id));
    assert!(list.iter().all(|torrent| torrent.settings.category == Some(label("found"))));
    assert!(dir.join("else.txt").exists());
}
