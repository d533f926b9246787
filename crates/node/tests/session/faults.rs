//! Disks that are full, and files that go away.

use crate::support::{Node, PATIENCE, assert_files, noise, some_files, torrent, torrent_of_file};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{AddOptions, TorrentState};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk, unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where we may not mount one.
    pub(crate) fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let size = format!("size={mib}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(at.to_owned()))
    }

    pub(crate) fn resize(&self, mib: u32) {
        let size = format!("remount,size={mib}m");
        let status = Command::new("mount").args(["-o", &size]).arg(&self.0).status();
        assert!(status.expect("mount is there").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_stops_the_torrent_with_a_sentence_and_loses_nothing() {
    let bytes = noise(8, 6 << 20);
    let metainfo = torrent_of_file("file.bin", Format::Hybrid, &bytes, 64 * 1024);
    let leecher = Node::start().await;
    let Some(disk) = SmallDisk::mount(&leecher.downloads(), 3) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    seeder.complete(id).await;

    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    let stopped = leecher.until(id, |torrent| torrent.state == TorrentState::Faulted).await;
    let note = stopped.note.expect("it says why");
    assert!(note.contains("full"), "{note}");
    let before = stopped.pieces_done;
    assert!(before > 0 && before < metainfo.piece_count(), "{before}");
    // Nor is it any better after a restart.
    let leecher = leecher.restart().await;
    let again = leecher
        .until(id, |torrent| torrent.pieces_done > 0 || torrent.state == TorrentState::Faulted)
        .await;
    assert!(again.pieces_done >= before, "{} of {before}", again.pieces_done);
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.until(id, |torrent| torrent.state == TorrentState::Faulted).await;
    // Nobody has to say that there is space again.
    disk.resize(64);
    leecher.complete(id).await;
    let got = std::fs::read(leecher.downloads().join("file.bin")).expect("it is there");
    assert!(got == bytes);
    leecher.session.shutdown().await;
}

#[tokio::test]
async fn a_file_deleted_underneath_is_noticed_and_fetched_again() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let first = Node::start().await;
    let id = first.seed(&metainfo, &files).await;
    let second = Node::start().await;
    second.fetch(&metainfo, &[first.addr()]).await;
    second.complete(id).await;
    // No file is open after a restart until somebody asks for a block.
    let first = first.restart().await;
    first.complete(id).await;
    std::fs::remove_file(first.downloads().join("things/b/second.bin")).expect("it is there");
    let third = Node::start().await;
    third.fetch(&metainfo, &[first.addr()]).await;
    let stopped = first.until(id, |torrent| torrent.state == TorrentState::Faulted).await;
    let note = stopped.note.expect("it says why");
    assert!(note.contains("second.bin") && note.contains("missing"), "{note}");
    // Going on looks at the files first, and then mends them.
    first.session.resume(id).await.expect("it is there");
    first.session.add_peers(id, vec![second.addr()]).await.expect("it is there");
    first.complete(id).await;
    assert_files(&first.downloads().join("things"), &files);
    third.session.add_peers(id, vec![first.addr()]).await.expect("it is there");
    third.complete(id).await;
    assert_files(&third.downloads().join("things"), &files);
}

#[tokio::test]
async fn a_file_missing_at_the_start_is_said_and_fetched_again() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &files).await;
    let id = leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    leecher.session.shutdown().await;
    std::fs::remove_file(leecher.downloads().join("things/a/first.bin")).expect("it is there");
    let leecher = leecher.start_again().await;
    let torrent = leecher.until(id, |torrent| torrent.state == TorrentState::Downloading).await;
    let note = torrent.note.expect("it says what is wrong");
    assert!(note.contains("first.bin") && note.contains("missing"), "{note}");
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.complete(id).await;
    assert_files(&leecher.downloads().join("things"), &files);
}

#[tokio::test]
async fn stopping_is_bounded_even_if_trackers_are_silent() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let url = format!("http://{}/announce", silent.local_addr().expect("it listens"));
    let metainfo = torrent("things", Format::V1, &some_files());
    let node = Node::start().await;
    let options = AddOptions { trackers: vec![url], ..AddOptions::default() };
    node.add(&metainfo, options).await;
    silent.accept().await.expect("it announces");
    let stopping = tokio::time::timeout(PATIENCE / 5, node.session.shutdown());
    stopping.await.expect("stopping does not wait for trackers");
}
