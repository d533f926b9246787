//! From one session to another.

use crate::support::{
    Node, assert_files, config, has_ipv6, noise, some_files, torrent, torrent_of_file,
};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::{Format, Magnet, PeerAddress};
use althing_node::session::{AddOptions, AddSource, Event, TorrentState};

async fn check_transfer(format: Format) {
    let files = some_files();
    let metainfo = torrent("things", format, &files);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &files).await;
    let id = leecher.fetch(&metainfo, &[seeder.addr()]).await;
    let done = leecher.complete(id).await;
    assert_files(&leecher.downloads().join("things"), &files);
    assert_eq!(done.pieces_done, metainfo.piece_count());
    assert_eq!(done.done_bytes, done.size_bytes);
    leecher.session.shutdown().await;
    seeder.session.shutdown().await;
}

#[tokio::test]
async fn a_v1_torrent() {
    check_transfer(Format::V1).await;
}

#[tokio::test]
async fn a_v2_torrent() {
    check_transfer(Format::V2).await;
}

#[tokio::test]
async fn a_hybrid_torrent() {
    check_transfer(Format::Hybrid).await;
}

#[tokio::test]
async fn what_was_fetched_is_still_there_after_a_restart() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &files).await;
    let id = leecher.fetch(&metainfo, &[seeder.addr()]).await;
    let before = leecher.complete(id).await;
    let leecher = leecher.restart().await;
    // Nothing is read again: the first look already shows it complete.
    let mut events = leecher.session.subscribe();
    let after = leecher.complete(id).await;
    assert_eq!(after.pieces_done, metainfo.piece_count());
    assert_eq!(after.downloaded_bytes, before.downloaded_bytes);
    assert_eq!(after.completed, before.completed);
    while let Ok(event) = events.try_recv() {
        let checking = |state: &TorrentState| matches!(state, TorrentState::Checking { .. });
        let checks = matches!(&event, Event::StateChanged { state, .. } if checking(state));
        assert!(!checks, "{event:?}");
    }
    // And the other way round.
    let third = Node::start().await;
    third.fetch(&metainfo, &[leecher.addr()]).await;
    third.complete(id).await;
    assert_files(&third.downloads().join("things"), &files);
}

#[tokio::test]
async fn who_a_link_names_is_remembered_until_the_metadata_is_here() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    let leecher = Node::start().await;
    let mut magnet = metainfo.magnet();
    magnet.peers = vec![PeerAddress::Ip(seeder.addr())];
    let options = AddOptions { paused: true, ..AddOptions::default() };
    let id = leecher.session.add(AddSource::Magnet(magnet), options).await.expect("a link");
    let leecher = leecher.restart().await;
    leecher.session.resume(id).await.expect("it is there");
    leecher.complete(id).await;
    assert_files(&leecher.downloads().join("things"), &files);
}

#[tokio::test]
async fn a_magnet_link() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let files = some_files();
        let metainfo = torrent("things", format, &files);
        let (seeder, leecher) = (Node::start().await, Node::start().await);
        seeder.seed(&metainfo, &files).await;
        let mut magnet = metainfo.magnet();
        magnet.peers = vec![PeerAddress::Ip(seeder.addr())];
        let source = AddSource::Magnet(magnet);
        let id = leecher.session.add(source, AddOptions::default()).await.expect("it is added");
        assert!(leecher.session.show(id).await.is_some());
        leecher.complete(id).await;
        assert_files(&leecher.downloads().join("things"), &files);
        // From now on nobody's help is needed.
        seeder.session.shutdown().await;
        let leecher = leecher.restart().await;
        let torrent = leecher.complete(id).await;
        assert_eq!((torrent.name.as_str(), torrent.pieces), ("things", metainfo.piece_count()));
    }
}

#[tokio::test]
async fn of_a_link_that_wants_some_files_only_those_come() {
    let files = some_files();
    let metainfo = torrent("things", Format::V2, &files);
    let (seeder, leecher) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &files).await;
    let path = |at: usize| metainfo.files()[at].path().to_owned();
    let wanted = (0..metainfo.files().len()).find(|at| path(*at).ends_with("third.bin"));
    let wanted = wanted.expect("it is there");
    let mut magnet = metainfo.magnet();
    magnet.peers = vec![PeerAddress::Ip(seeder.addr())];
    magnet.select = vec![wanted as u32..=wanted as u32];
    let source = AddSource::Magnet(magnet);
    let id = leecher.session.add(source, AddOptions::default()).await.expect("it is added");
    let done = leecher.complete(id).await;
    assert_eq!((done.done_bytes, done.pieces_done), (16_384, 1));
    let folder = leecher.downloads().join("things");
    assert_eq!(std::fs::read(folder.join("third.bin")).expect("it came"), files[4].1);
    assert!(!folder.join("b/second.bin").exists());
    // Nor do the others come later.
    let leecher = leecher.restart().await;
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    assert_eq!(leecher.complete(id).await.pieces_done, 1);
}

#[tokio::test]
async fn several_peers_and_both_families() {
    let bytes = noise(9, 3 << 20);
    let metainfo = torrent_of_file("file.bin", Format::Hybrid, &bytes, 64 * 1024);
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    seeder.complete(id).await;
    let mut leechers = Vec::new();
    for _ in 0..4 {
        leechers.push(Node::start().await);
    }
    let mut everyone: Vec<_> = leechers.iter().flat_map(|node| node.session.peer_addrs()).collect();
    everyone.extend(seeder.session.peer_addrs());
    assert!(everyone.iter().any(|addr| addr.is_ipv6()) || !has_ipv6(), "no IPv6 listener");
    for leecher in &leechers {
        leecher.fetch(&metainfo, &everyone).await;
    }
    for leecher in &leechers {
        leecher.complete(id).await;
        let got = std::fs::read(leecher.downloads().join("file.bin")).expect("it is there");
        assert!(got == bytes);
    }
}

#[tokio::test]
async fn over_ipv6_alone() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6 loopback");
        return;
    }
    let mut config = config();
    config.network.bind = vec!["::1".parse().expect("an address")];
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let (seeder, leecher) = (Node::with(config.clone()).await, Node::with(config).await);
    seeder.seed(&metainfo, &files).await;
    let id = leecher.fetch(&metainfo, &seeder.session.peer_addrs()).await;
    leecher.complete(id).await;
    assert_files(&leecher.downloads().join("things"), &files);
    let peers = leecher.session.peers(id).await.expect("it is there");
    assert!(peers.iter().all(|peer| peer.addr.is_ipv6()), "{peers:?}");
}

#[tokio::test]
async fn the_same_torrent_twice_is_refused_by_name() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let node = Node::start().await;
    node.seed(&metainfo, &files).await;
    let again = AddSource::Torrent(metainfo.to_torrent());
    let error = node.session.add(again, AddOptions::default()).await.expect_err("it is there");
    assert!(error.to_string().contains("things"), "{error}");
    // By its other info-hash it is the same one.
    let v2 = metainfo.info_hashes().v2().expect("it is a hybrid");
    let magnet = Magnet::new(InfoHashes::v2_only(v2));
    let again = node.session.add(AddSource::Magnet(magnet), AddOptions::default()).await;
    assert!(again.is_err());
}
