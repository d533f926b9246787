//! Torrents' files get other places: moved by a session, or by the user behind its back.

use crate::support::{Node, assert_files, noise, some_files, torrent, torrent_of_file};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{AddOptions, CommandError, Location, TorrentId, TorrentState};
use althing_store::records::Records;
use std::path::{Path, PathBuf};

/// Waits until a move has come to its end, whichever.
async fn settled(node: &Node, id: TorrentId) -> althing_node::session::TorrentSnapshot {
    node.until(id, |torrent| {
        matches!(torrent.state, TorrentState::Seeding | TorrentState::Downloading)
    })
    .await
}

async fn moved(node: &Node, id: TorrentId, dir: &Path) {
    node.session.move_to(id, dir).await.expect("it begins");
    let torrent = node.until(id, |torrent| torrent.save_dir == dir).await;
    assert_eq!(torrent.note, None);
    settled(node, id).await;
}

/// A folder on another disk than the temporary ones, where there is one.
fn other_disk() -> Option<tempfile::TempDir> {
    use std::os::unix::fs::MetadataExt as _;
    let here = std::fs::metadata(std::env::temp_dir()).ok()?.dev();
    let there = Path::new("/dev/shm");
    let other = std::fs::metadata(there).ok()?.dev();
    (here != other).then(|| tempfile::tempdir_in(there).ok()).flatten()
}

#[tokio::test]
async fn a_torrent_moves_and_goes_on() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let mut node = Node::start().await;
    let id = node.seed(&metainfo, &files).await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other = other_disk();
    let other = other.as_ref().map(|dir| dir.path().join("new"));
    for dir in [Some(elsewhere.path().join("a/b")), other].into_iter().flatten() {
        let before = node.session.snapshot(id).expect("it is there").save_dir;
        moved(&node, id, &dir).await;
        assert_files(&dir.join("things"), &files);
        assert!(!before.join("things").exists(), "{}", before.display());
        // Nothing is read again, neither now nor after a restart.
        node = node.restart().await;
        let states = node.states_until_seeding(id).await;
        assert!(
            !states.iter().any(|s| matches!(s, TorrentState::Checking { total, .. } if *total > 0))
        );
        let leecher = Node::start().await;
        leecher.fetch(&metainfo, &[node.addr()]).await;
        leecher.complete(id).await;
    }
}

#[tokio::test]
async fn half_a_torrent_moves_and_the_rest_comes_there() {
    let bytes = noise(40, 1 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 32 * 1024);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    std::fs::create_dir_all(leecher.downloads()).expect("a folder");
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    // What is there of it already is found.
    std::fs::write(leecher.downloads().join("file.bin"), &bytes[..500_000]).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    leecher.add(&metainfo, AddOptions::default()).await;
    let there = leecher.until(id, |torrent| torrent.state == TorrentState::Downloading).await;
    assert_eq!(there.pieces_done, 500_000 / (32 * 1024));
    let dir = leecher.dir.path().join("new");
    moved(&leecher, id, &dir).await;
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    let done = leecher.complete(id).await;
    assert_eq!(done.downloaded_bytes, (32 - 15) * 32 * 1024);
    assert!(std::fs::read(dir.join("file.bin")).expect("it is there") == bytes);
    assert!(!leecher.downloads().join("file.bin").exists());
}

#[tokio::test]
async fn what_is_in_the_way_stays_and_so_does_the_torrent() {
    let files = some_files();
    let metainfo = torrent("things", Format::V2, &files);
    let node = Node::start().await;
    let id = node.seed(&metainfo, &files).await;
    let dir = node.dir.path().join("new");
    // The same is no obstacle, something else is.
    let taken = dir.join("things/third.bin");
    std::fs::create_dir_all(dir.join("things/a")).expect("a folder");
    std::fs::write(dir.join("things/a/first.bin"), &files[0].1).expect("a file");
    std::fs::write(&taken, "mine").expect("a file");
    node.session.move_to(id, &dir).await.expect("it begins");
    let stayed = node.until(id, |torrent| torrent.note.is_some()).await;
    let note = stayed.note.expect("it says why");
    assert!(note.contains("third.bin is there already"), "{note}");
    assert_eq!(stayed.save_dir, node.downloads());
    settled(&node, id).await;
    assert_files(&node.downloads().join("things"), &files);
    assert_eq!(std::fs::read(&taken).expect("it is there"), b"mine");
    std::fs::remove_file(&taken).expect("it is there");
    node.session.resume(id).await.expect("it is there");
    moved(&node, id, &dir).await;
    assert_files(&dir.join("things"), &files);
    assert!(!node.downloads().join("things").exists());
}

#[tokio::test]
async fn a_process_that_died_while_moving_is_followed_by_one_that_goes_on() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let node = Node::start().await;
    let id = node.seed(&metainfo, &files).await;
    node.session.shutdown().await;
    // One file is there, one half is copied, the record knows where to.
    let dir = node.dir.path().join("new");
    let (from, to) = (node.downloads().join("things"), dir.join("things"));
    std::fs::create_dir_all(to.join("b")).expect("a folder");
    std::fs::rename(from.join("b/second.bin"), to.join("b/second.bin")).expect("it is there");
    std::fs::write(to.join(".third.bin.althing-part"), "half").expect("a file");
    let records = Records::open(&node.dir.path().join("torrents")).expect("nobody has them");
    records.begin_move(id.0, &Location::Under(dir.clone())).expect("it is written");
    drop(records);
    let node = node.start_again().await;
    node.until(id, |torrent| torrent.save_dir == dir).await;
    node.complete(id).await;
    assert_files(&to, &files);
    assert!(!from.exists());
    assert!(!to.join(".third.bin.althing-part").exists());
    // And once is enough.
    let node = node.restart().await;
    node.complete(id).await;
    node.session.shutdown().await;
    let records = Records::open(&node.dir.path().join("torrents")).expect("nobody has them");
    assert!(records.moves().expect("they can be read").is_empty());
}

#[tokio::test]
async fn a_torrent_that_is_removed_while_it_moves_is_gone() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let node = Node::start().await;
    let id = node.seed(&metainfo, &files).await;
    let dir = node.dir.path().join("new");
    node.session.move_to(id, &dir).await.expect("it begins");
    node.session.remove(id, true).await.expect("it is there");
    for place in [node.downloads(), dir] {
        let left = walk(&place);
        assert!(left.is_empty(), "{left:?}");
    }
    node.session.shutdown().await;
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn files_that_the_user_moved_and_renamed_are_found() {
    let files = some_files();
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let metainfo = torrent("things", format, &files);
        let node = Node::start().await;
        let id = node.seed(&metainfo, &files).await;
        node.session.shutdown().await;
        let from = node.downloads().join("things");
        let other = node.dir.path().join("sorted");
        std::fs::create_dir_all(other.join("deep/er")).expect("a folder");
        // Two of the same length, of which one is right.
        std::fs::write(other.join("decoy"), noise(99, 1_000_003)).expect("a file");
        std::fs::rename(from.join("b/second.bin"), other.join("deep/er/2")).expect("it is there");
        std::fs::rename(from.join("a/first.bin"), other.join("the first")).expect("it is there");
        std::fs::remove_file(from.join("third.bin")).expect("it is there");
        std::fs::rename(from.join("b/one-byte"), other.join("one-byte")).expect("it is there");
        let node = node.start_again().await;
        settled(&node, id).await;
        let nothing = tempfile::tempdir().expect("a folder");
        let refused = node.session.locate(id, Some(nothing.path().to_owned())).await;
        assert!(matches!(refused, Err(CommandError::NotLocated { .. })), "{refused:?}");
        let found = node.session.locate(id, Some(other.clone())).await.expect("they are there");
        assert_eq!((found.found, found.missing), (3, 1));
        let torrent = node.until(id, |torrent| torrent.state == TorrentState::Downloading).await;
        assert!(torrent.pieces_done > 30, "{torrent:?}");
        // The one that is missing comes to them.
        let seeder = Node::start().await;
        seeder.seed(&metainfo, &files).await;
        node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
        node.complete(id).await;
        let read = |path: &str| std::fs::read(other.join(path)).expect("it is there");
        assert!(read("third.bin") == files[4].1 && read("deep/er/2") == files[3].1);
        let node = node.restart().await;
        node.complete(id).await;
    }
}

#[tokio::test]
async fn a_folder_that_was_moved_as_a_whole_is_found() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    for name in ["things", "something else"] {
        let node = Node::start().await;
        let id = node.seed(&metainfo, &files).await;
        node.session.shutdown().await;
        let other = node.dir.path().join("sorted");
        std::fs::create_dir_all(&other).expect("a folder");
        std::fs::rename(node.downloads().join("things"), other.join(name)).expect("it is there");
        let node = node.start_again().await;
        settled(&node, id).await;
        node.session.locate(id, Some(node.dir.path().to_owned())).await.expect("they are there");
        node.complete(id).await;
        assert_files(&other.join(name), &files);
        assert!(!node.downloads().join("things/third.bin").exists());
    }
}

#[tokio::test]
async fn a_check_rests_with_its_torrent_and_goes_on_where_it_was() {
    let bytes = noise(41, 48 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 1 << 20);
    let node = Node::start().await;
    std::fs::create_dir_all(node.downloads()).expect("a folder");
    std::fs::write(node.downloads().join("file.bin"), &bytes).expect("a file");
    let id = node.add(&metainfo, AddOptions::default()).await;
    node.session.pause(id).await.expect("it is there");
    // It may have been done before.
    let paused = node.until(id, |torrent| torrent.state == TorrentState::Paused).await;
    let node = node.restart().await;
    let again = node.until(id, |torrent| torrent.state == TorrentState::Paused).await;
    assert!(again.pieces_done >= paused.pieces_done, "{again:?}");
    node.session.resume(id).await.expect("it is there");
    let done = node.complete(id).await;
    assert_eq!(done.pieces_done, 48);
}
