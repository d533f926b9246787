//! Sessions that find each other through a tracker.

use crate::support::{Node, PATIENCE, assert_files, some_files, torrent};
use althing_bittorrent::metainfo::Format;
use althing_bittorrent::tracker::ServerConfig;
use althing_node::session::{AddOptions, AddSource, TrackerStatus};
use althing_node::tracker_server::TrackerServer;

async fn check(scheme: &str) {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let tracker = TrackerServer::start(loopback, ServerConfig::default()).await.expect("it starts");
    let url = format!("{scheme}://{}/announce", tracker.addr());
    let options = || AddOptions { trackers: vec![url.clone()], ..AddOptions::default() };
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    crate::support::write_files(&seeder.downloads().join("things"), &files);
    let id = seeder.add(&metainfo, options()).await;
    seeder.complete(id).await;
    until_told(&seeder, id).await;
    // By its info-hash and the tracker alone.
    let mut magnet = metainfo.magnet();
    magnet.trackers = vec![url.clone()];
    let source = AddSource::Magnet(magnet);
    leecher.session.add(source, AddOptions::default()).await.expect("it is added");
    leecher.complete(id).await;
    assert_files(&leecher.downloads().join("things"), &files);
    // Both of the hybrid's info-hashes, and both peers under each.
    assert_eq!(tracker.counts(), (2, 4));
    // Who stops says farewell.
    leecher.session.shutdown().await;
    assert_eq!(tracker.counts(), (2, 2));
    seeder.session.remove(id, false).await.expect("it is there");
    seeder.session.shutdown().await;
    assert_eq!(tracker.counts().1, 0);
    tracker.stop().await;
}

/// Waits until the tracker has answered.
async fn until_told(node: &Node, id: althing_node::session::TorrentId) {
    let waiting = async {
        loop {
            let detail = node.session.show(id).await.expect("it is there");
            let working = |status: &TrackerStatus| matches!(status, TrackerStatus::Working { .. });
            if detail.trackers.iter().all(|tracker| working(&tracker.status)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the tracker answers");
}

#[tokio::test]
async fn over_http() {
    check("http").await;
}

#[tokio::test]
async fn over_udp() {
    check("udp").await;
}

#[tokio::test]
async fn what_a_tracker_says_is_shown() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let node = Node::start().await;
    // Nobody listens there, and the other one is beyond what the session may reach.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let addr = closed.local_addr().expect("it listens");
    drop(closed);
    let far = "http://192.0.2.1/announce".to_owned();
    let trackers = vec![format!("http://{addr}/announce"), far.clone()];
    let id = node.add(&metainfo, AddOptions { trackers, ..AddOptions::default() }).await;
    let waiting = async {
        loop {
            let detail = node.session.show(id).await.expect("it is there");
            let failed = |status: &TrackerStatus| matches!(status, TrackerStatus::Failed { .. });
            if detail.trackers.iter().all(|tracker| failed(&tracker.status)) {
                return detail;
            }
            tokio::task::yield_now().await;
        }
    };
    let detail = tokio::time::timeout(PATIENCE, waiting).await.expect("both fail");
    let words = |url: &str| {
        let tracker =
            detail.trackers.iter().find(|tracker| tracker.url == url).expect("it is there");
        match &tracker.status {
            TrackerStatus::Failed { error } => error.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert!(words(&far).contains("network.reach"), "{}", words(&far));
}
