//! Files that torrents have in common are fetched once (BEP 52): copied from one another, or left to the
//! one that was there first.

use crate::faults::SmallDisk;
use crate::support::{Files, Node, PATIENCE, assert_files, noise, torrent_in_pieces};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::{FileIndex, Format, Metainfo};
use althing_node::session::{AddOptions, TorrentChange, TorrentId, TorrentState};
use std::collections::BTreeMap;

const MIB: usize = 1 << 20;

/// A film, and something beside it that only this torrent has.
fn files(own: &'static str, seed: u64) -> Files {
    vec![("film", noise(1000, 10 * MIB + 12_345)), (own, noise(seed, 100_000))]
}

/// Two torrents that have the film in common, and what is in them.
fn two(formats: [Format; 2], pieces: [u32; 2]) -> [(Metainfo, Files); 2] {
    let [a, b] = [files("a", 1), files("b", 2)];
    let first = torrent_in_pieces("first", formats[0], &a, pieces[0]);
    let second = torrent_in_pieces("second", formats[1], &b, pieces[1]);
    [(first, a), (second, b)]
}

/// Bytes of a torrent that came from peers, and from other torrents.
async fn came(node: &Node, id: TorrentId) -> (usize, usize) {
    let detail = node.session.show(id).await.expect("it is there");
    (detail.torrent.downloaded_bytes as usize, detail.copied_bytes as usize)
}

/// Waits until so many bytes of a torrent are there.
async fn has(node: &Node, id: TorrentId, bytes: usize) {
    let mut events = node.session.subscribe();
    let waiting = async {
        // What is published comes later than what is asked for.
        while node.session.show(id).await.is_none_or(|d| d.torrent.done_bytes < bytes as u64) {
            let _ = events.recv().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never had so much");
}

#[tokio::test]
async fn a_file_that_another_torrent_has_is_not_fetched() {
    let kinds = [Format::V2, Format::Hybrid];
    for (at, pieces) in [[16, 256], [256, 16], [64, 64], [32, 1024]].into_iter().enumerate() {
        let pieces = pieces.map(|kib| kib * 1024);
        let formats = [kinds[at % 2], kinds[at / 2]];
        let [(first, a), (second, b)] = two(formats, pieces);
        let (here, seeder) = (Node::start().await, Node::start().await);
        here.seed(&first, &a).await;
        seeder.seed(&second, &b).await;
        let id = here.fetch(&second, &[seeder.addr()]).await;
        here.complete(id).await;
        assert_eq!(came(&here, id).await, (b[1].1.len(), b[0].1.len()), "{formats:?} {pieces:?}");
        assert_files(&here.downloads().join("second"), &b);
        // And it is given to others as what it is.
        let leecher = Node::start().await;
        leecher.fetch(&second, &[here.addr()]).await;
        leecher.complete(id).await;
        assert_files(&leecher.downloads().join("second"), &b);
    }
}

#[tokio::test]
async fn what_v1_torrents_have_in_common_is_fetched() {
    let [(first, a), (second, b)] = two([Format::V1, Format::V2], [64 * 1024; 2]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    here.seed(&first, &a).await;
    let id = seeder.seed(&second, &b).await;
    here.fetch(&second, &[seeder.addr()]).await;
    here.complete(id).await;
    assert_eq!(came(&here, id).await, (b[0].1.len() + b[1].1.len(), 0));
}

#[tokio::test]
async fn what_was_changed_underneath_is_fetched_and_said() {
    let [(first, a), (second, b)] = two([Format::V2, Format::V2], [64 * 1024, 128 * 1024]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    let one = here.seed(&first, &a).await;
    seeder.seed(&second, &b).await;
    // Nobody is told: the length stays, and it is not looked at again.
    let mut changed = a[0].1.clone();
    changed[5 * MIB] ^= 1;
    std::fs::write(here.downloads().join("first/film"), &changed).expect("it can be written");
    let id = here.fetch(&second, &[seeder.addr()]).await;
    here.complete(id).await;
    let piece = 128 * 1024;
    let (fetched, copied) = (b[1].1.len() + piece, b[0].1.len() - piece);
    assert_eq!(came(&here, id).await, (fetched, copied));
    assert_files(&here.downloads().join("second"), &b);
    let told = here.until(one, |torrent| torrent.note.is_some()).await;
    let note = told.note.expect("it is said");
    assert!(note.contains("first/film has changed"), "{note}");
}

#[tokio::test]
async fn of_two_that_fetch_the_same_one_does() {
    for pieces in [[64, 64], [32, 256], [256, 32]] {
        let pieces = pieces.map(|kib| kib * 1024);
        let [(first, a), (second, b)] = two([Format::Hybrid, Format::V2], pieces);
        let (here, seeder) = (Node::start().await, Node::start().await);
        let one = seeder.seed(&first, &a).await;
        let two = seeder.seed(&second, &b).await;
        // They know of one another before anything comes: what was ordered before that comes twice, and ten MiB
        // over loopback are ordered at once.
        for metainfo in [&first, &second] {
            here.add(metainfo, AddOptions::default()).await;
        }
        for id in [one, two] {
            here.until(id, |torrent| torrent.state == TorrentState::Downloading).await;
        }
        for id in [one, two] {
            here.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
        }
        here.complete(one).await;
        here.complete(two).await;
        let ((by_one, _), (by_two, _)) = (came(&here, one).await, came(&here, two).await);
        let once = a[0].1.len() + a[1].1.len() + b[1].1.len();
        let total = by_one + by_two;
        assert!((once..once * 6 / 5).contains(&total), "{total} of {once}: {by_one}, {by_two}");
        assert_files(&here.downloads().join("first"), &a);
        assert_files(&here.downloads().join("second"), &b);
    }
}

#[tokio::test]
async fn a_torrent_that_rests_is_not_waited_for_and_gets_what_others_fetch() {
    let [(first, a), (second, b)] = two([Format::V2, Format::V2], [64 * 1024, 32 * 1024]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    seeder.seed(&second, &b).await;
    let only_film = AddOptions { paused: true, ..AddOptions::default() };
    let one = here.add(&first, only_film).await;
    let two = here.fetch(&second, &[seeder.addr()]).await;
    here.complete(two).await;
    assert_eq!(came(&here, two).await.0, b[0].1.len() + b[1].1.len());
    // Of what is fetched by one the other has everything as soon as it runs, without a peer.
    here.session.resume(one).await.expect("it is there");
    has(&here, one, a[0].1.len()).await;
    assert_eq!(came(&here, one).await, (0, a[0].1.len()));
}

#[tokio::test]
async fn a_torrent_without_peers_is_not_waited_for_long() {
    let [(first, _), (second, b)] = two([Format::V2, Format::V2], [64 * 1024, 32 * 1024]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    seeder.seed(&second, &b).await;
    let one = here.add(&first, AddOptions::default()).await;
    let two = here.fetch(&second, &[seeder.addr()]).await;
    here.complete(two).await;
    assert_files(&here.downloads().join("second"), &b);
    // It gets all of it in the end.
    has(&here, one, b[0].1.len()).await;
    assert_eq!(came(&here, one).await, (0, b[0].1.len()));
}

#[tokio::test]
async fn a_torrent_that_is_removed_while_it_is_copied_from_is_done_without() {
    let [(first, a), (second, b)] = two([Format::Hybrid, Format::V2], [32 * 1024, 16 * 1024]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    let one = here.seed(&first, &a).await;
    seeder.seed(&second, &b).await;
    let two = here.fetch(&second, &[seeder.addr()]).await;
    here.session.remove(one, true).await.expect("it is there");
    here.complete(two).await;
    let (fetched, copied) = came(&here, two).await;
    assert!(fetched + copied >= b[0].1.len() + b[1].1.len(), "{fetched} and {copied}");
    assert_files(&here.downloads().join("second"), &b);
    assert!(!here.downloads().join("first").exists());
}

#[tokio::test]
async fn a_disk_that_is_full_while_copying_loses_nothing() {
    let [(first, a), (second, b)] = two([Format::V2, Format::V2], [64 * 1024, 32 * 1024]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    let small = here.dir.path().join("small");
    let Some(disk) = SmallDisk::mount(&small, 4) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    here.seed(&first, &a).await;
    seeder.seed(&second, &b).await;
    let options = AddOptions { save_dir: Some(small.clone()), ..AddOptions::default() };
    let id = here.add(&second, options).await;
    let stopped = here.until(id, |torrent| torrent.state == TorrentState::Faulted).await;
    let note = stopped.note.expect("it says why");
    assert!(note.contains("full"), "{note}");
    disk.resize(64);
    here.session.resume(id).await.expect("it is there");
    here.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    here.complete(id).await;
    let (fetched, copied) = came(&here, id).await;
    assert_eq!(fetched, b[1].1.len());
    assert!(copied >= b[0].1.len(), "{copied}");
    assert_files(&small.join("second"), &b);
    here.session.shutdown().await;
}

#[tokio::test]
async fn from_one_to_the_next_over_restarts() {
    let film: Files = vec![("d/film", noise(1000, 3 * MIB + 7))];
    let node = Node::start().await;
    let one = torrent_in_pieces("one", Format::V2, &film, 32 * 1024);
    let two = torrent_in_pieces("two", Format::Hybrid, &film, 64 * 1024);
    let three = torrent_in_pieces("three", Format::V2, &film, 16 * 1024);
    let first = node.seed(&one, &film).await;
    // It is stopped at some moment of the copying, and goes on with it.
    let second = node.add(&two, AddOptions::default()).await;
    let node = node.restart().await;
    node.complete(second).await;
    let node = node.restart().await;
    node.session.remove(first, true).await.expect("it is there");
    let third = node.add(&three, AddOptions::default()).await;
    node.complete(third).await;
    assert_eq!(came(&node, third).await, (0, film[0].1.len()));
    let node = node.restart().await;
    node.complete(third).await;
    node.complete(second).await;
    for name in ["two", "three"] {
        assert_files(&node.downloads().join(name), &film);
    }
}

#[tokio::test]
async fn a_file_that_is_twice_in_one_torrent_is_fetched_once() {
    let film = noise(1000, 3 * MIB);
    let both: Files = vec![("a", film.clone()), ("b", film.clone())];
    let metainfo = torrent_in_pieces("both", Format::V2, &both, 64 * 1024);
    let (here, seeder) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &both).await;
    let id = here.fetch(&metainfo, &[seeder.addr()]).await;
    here.complete(id).await;
    assert_eq!(came(&here, id).await, (film.len(), film.len()));
    assert_files(&here.downloads().join("both"), &both);
}

#[tokio::test]
async fn a_file_that_is_wanted_later_is_copied_then() {
    let [(first, a), (second, b)] = two([Format::V2, Format::V2], [64 * 1024, 32 * 1024]);
    let (here, seeder) = (Node::start().await, Node::start().await);
    here.seed(&first, &a).await;
    seeder.seed(&second, &b).await;
    let at = second.files().iter().position(|file| file.path() == "second/film");
    let film = FileIndex(at.expect("it is there") as u32);
    let mut options = AddOptions { peers: vec![seeder.addr()], ..AddOptions::default() };
    options.settings.priorities.insert(film, Priority::Skip);
    let id = here.add(&second, options).await;
    here.complete(id).await;
    assert_eq!(came(&here, id).await, (b[1].1.len(), 0));
    let wanted = BTreeMap::from([(film, Priority::Normal)]);
    let change = TorrentChange { priorities: wanted, ..TorrentChange::default() };
    here.session.change(id, change).await.expect("it is there");
    let all = second.piece_count();
    here.until(id, |torrent| torrent.pieces_done == all).await;
    assert_eq!(came(&here, id).await, (b[1].1.len(), b[0].1.len()));
    assert_files(&here.downloads().join("second"), &b);
}
