//! What users do with torrents.

use crate::support::{Node, assert_files, some_files, torrent, write_files};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{
    AddError, AddOptions, AddSource, CommandError, CreateOptions, Event, TorrentKind, TorrentState,
};

#[tokio::test]
async fn made_here_shared_from_where_it_is_and_not_read_again() {
    let files = some_files();
    let content = tempfile::tempdir().expect("a temporary folder");
    let folder = content.path().join("my things");
    write_files(&folder, &files);
    let sharer = Node::start().await;
    for kind in [TorrentKind::V1, TorrentKind::V2, TorrentKind::Hybrid] {
        let (progress, told) = std::sync::mpsc::channel();
        let options = CreateOptions { kind, ..CreateOptions::default() };
        let tell = move |done, total| progress.send((done, total)).expect("it is listened to");
        let created = sharer.session.create(&folder, options, tell).await.expect("it is made");
        let total: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!(told.iter().last(), Some((total, total)));
        assert_eq!(created.metainfo.name(), "my things");
        let options = AddOptions {
            in_place: Some(created.location.clone()),
            trusted: true,
            ..AddOptions::default()
        };
        let id = sharer.add(&created.metainfo, options).await;
        sharer.complete(id).await;
        let leecher = Node::start().await;
        leecher.fetch(&created.metainfo, &[sharer.addr()]).await;
        leecher.complete(id).await;
        assert_files(&leecher.downloads().join("my things"), &files);
    }
    // After the next start it is known without reading.
    let sharer = sharer.restart().await;
    for torrent in sharer.session.list() {
        let states = sharer.states_until_seeding(torrent.id).await;
        assert!(!states.iter().any(is_checking), "{states:?}");
    }
}

fn is_checking(state: &TorrentState) -> bool {
    matches!(state, TorrentState::Checking { total, .. } if *total > 0)
}

#[tokio::test]
async fn pause_lasts_over_a_restart_and_resume_ends_it() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    let leecher = Node::start().await;
    let options = AddOptions { paused: true, peers: vec![seeder.addr()], ..AddOptions::default() };
    let id = leecher.add(&metainfo, options).await;
    leecher.until(id, |torrent| torrent.state == TorrentState::Paused).await;
    let leecher = leecher.restart().await;
    leecher.until(id, |torrent| torrent.state == TorrentState::Paused).await;
    assert_eq!(leecher.session.snapshot(id).expect("it is there").done_bytes, 0);
    leecher.session.resume(id).await.expect("it is there");
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.complete(id).await;
    leecher.session.pause(id).await.expect("it is there");
    assert_eq!(leecher.session.snapshot(id).expect("it is there").state, TorrentState::Paused);
    assert_eq!(leecher.session.peers(id).await.expect("it is there"), []);
}

#[tokio::test]
async fn removed_with_and_without_its_files() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let node = Node::start().await;
    let id = node.seed(&metainfo, &files).await;
    let events = node.session.subscribe();
    node.session.remove(id, false).await.expect("it is there");
    node.event(events, |event| *event == Event::Removed { id }).await;
    assert_files(&node.downloads().join("things"), &files);
    assert!(matches!(node.session.remove(id, true).await, Err(CommandError::Unknown { .. })));
    let node = node.restart().await;
    assert_eq!(node.session.list(), []);
    // It may come back, and what is there is found.
    node.add(&metainfo, AddOptions::default()).await;
    node.complete(id).await;
    node.session.remove(id, true).await.expect("it is there");
    assert!(!node.downloads().join("things").exists());
}

#[tokio::test]
async fn verify_finds_what_has_changed_and_fetches_it_again() {
    let files = some_files();
    let metainfo = torrent("things", Format::V2, &files);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &files).await;
    let id = leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    let path = leecher.downloads().join("things/b/second.bin");
    let mut bytes = std::fs::read(&path).expect("it is there");
    bytes[500_000] ^= 1;
    std::fs::write(&path, &bytes).expect("it is writable");
    leecher.session.verify(id).await.expect("it is there");
    // With the peer that is still known, it is mended by itself.
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.until(id, |torrent| torrent.downloaded_bytes > torrent.size_bytes).await;
    leecher.complete(id).await;
    assert_files(&leecher.downloads().join("things"), &files);
}

#[tokio::test]
async fn torrents_are_named_by_prefixes_and_names() {
    let files = some_files();
    let node = Node::start().await;
    let first = node.add(&torrent("first", Format::Hybrid, &files), AddOptions::default()).await;
    let second = node.add(&torrent("second", Format::V1, &files), AddOptions::default()).await;
    let digits = first.to_string();
    assert_eq!(node.session.resolve(&digits), Ok(first));
    assert_eq!(node.session.resolve(&digits[..10].to_uppercase()), Ok(first));
    assert_eq!(node.session.resolve("second"), Ok(second));
    let v2 = torrent("first", Format::Hybrid, &files).info_hashes().v2().expect("it is a hybrid");
    assert_eq!(node.session.resolve(&v2.to_string()), Ok(first));
    for unknown in [&digits[..3], "third", "", "0000000000"] {
        assert!(matches!(node.session.resolve(unknown), Err(CommandError::Unknown { .. })));
    }
    let private = CreateOptions { private: true, ..CreateOptions::default() };
    write_files(&node.downloads().join("first"), &files);
    let folder = node.downloads().join("first");
    let twin = node.session.create(&folder, private, |_, _| {}).await.expect("it is made");
    node.add(&twin.metainfo, AddOptions::default()).await;
    assert!(matches!(node.session.resolve("first"), Err(CommandError::Ambiguous { .. })));
}

#[tokio::test]
async fn nonsense_is_refused_with_a_sentence() {
    let node = Node::start().await;
    let add =
        |bytes: &[u8]| node.session.add(AddSource::Torrent(bytes.to_vec()), AddOptions::default());
    assert!(matches!(add(b"not a torrent").await, Err(AddError::Metainfo(_))));
    assert!(matches!(add(b"").await, Err(AddError::Metainfo(_))));
    let nowhere = node.dir.path().join("nowhere");
    let made = node.session.create(&nowhere, CreateOptions::default(), |_, _| {}).await;
    assert!(made.expect_err("there is nothing").to_string().contains("nowhere"));
    node.session.shutdown().await;
    let late = add(b"d4:infodee").await;
    assert!(late.is_err());
}

#[tokio::test]
async fn one_process_for_each_folder() {
    let node = Node::start().await;
    let second = althing_node::Session::start(crate::support::config(), node.dir.path()).await;
    let error = second.err().expect("the folder is in use").to_string();
    assert!(error.contains("in use"), "{error}");
    node.session.shutdown().await;
    let third = althing_node::Session::start(crate::support::config(), node.dir.path()).await;
    third.expect("the folder is free again").shutdown().await;
}
