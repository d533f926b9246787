//! Web seeds: whole torrents from servers alone, beside peers, and from servers that are wrong.

use crate::support::{
    Files, Node, assert_files, gauge, noise, some_files, torrent, torrent_on_the_web,
};
use crate::web_server::{Manner, WebServer};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{AddOptions, AddSource, Event, TorrentState};
use std::net::SocketAddr;

/// A torrent comes whole although all there is of it is a server that behaves like this.
async fn check(
    format: Format,
    manner: impl Fn(&str, usize) -> Manner + Send + Sync + 'static,
) -> WebServer {
    let files = some_files();
    let server = WebServer::start("things", &files, manner).await;
    let metainfo = torrent_on_the_web("things", format, &files, &[server.url()]);
    let node = Node::start().await;
    let id = node.fetch(&metainfo, &[]).await;
    let done = node.complete(id).await;
    assert_files(&node.downloads().join("things"), &files);
    assert_eq!(done.peers, 0, "who is complete needs no servers");
    server
}

#[tokio::test]
async fn a_server_is_enough() {
    let server = check(Format::V1, |_, _| Manner::Right).await;
    // Each file in few requests, and the empty one in none.
    let asked = server.asked();
    assert!(asked.len() < 30 && !asked.iter().any(|one| one.contains("empty")), "{asked:?}");
}

#[tokio::test]
async fn hybrid_and_v2_torrents_have_no_request_for_padding() {
    for format in [Format::Hybrid, Format::V2] {
        let server = check(format, |_, _| Manner::Right).await;
        assert!(!server.asked().iter().any(|one| one.contains("pad")), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn servers_without_ranges_and_with_chunks_do() {
    check(Format::V1, |_, _| Manner::NoRanges).await;
    check(Format::Hybrid, |_, _| Manner::Chunked).await;
    // And one that never stops, or gives too little, as long as it is right in between.
    check(Format::V1, |_, number| if number % 2 == 0 { Manner::Right } else { Manner::Endless })
        .await;
}

#[tokio::test]
async fn by_magnet_link_and_from_a_peer_too() {
    let files: Files = vec![("large.bin", noise(9, 6_000_000))];
    let server = WebServer::start("things", &files, |_, _| Manner::Right).await;
    let metainfo = torrent("things", Format::Hybrid, &files);
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    let node = Node::start().await;
    let mut magnet = metainfo.magnet();
    magnet.web_seeds = vec![server.url()];
    let options = AddOptions { peers: vec![seeder.addr()], ..AddOptions::default() };
    let id = node.session.add(AddSource::Magnet(magnet), options).await.expect("it is added");
    node.complete(id).await;
    assert_files(&node.downloads().join("things"), &files);
    assert!(!server.asked().is_empty(), "the server had its part");
}

#[tokio::test]
async fn it_is_shown_among_peers() {
    let files = some_files();
    let server = WebServer::start("things", &files, |_, _| Manner::Silent).await;
    let metainfo = torrent_on_the_web("things", Format::V1, &files, &[server.url()]);
    let node = Node::start().await;
    let id = node.fetch(&metainfo, &[]).await;
    node.until(id, |torrent| torrent.seeds > 0).await;
    let peers = node.session.peers(id).await.expect("it is there");
    assert_eq!(peers.len(), 2, "two connections to a server: {peers:?}");
    assert!(peers.iter().all(|peer| peer.client == server.url() && peer.progress == 1.0));
    node.session.pause(id).await.expect("it is there");
    node.until(id, |torrent| torrent.state == TorrentState::Paused && torrent.peers == 0).await;
}

/// Nothing comes of a server like this, nothing breaks, and a peer makes up for it.
async fn check_useless(manner: impl Fn(&str, usize) -> Manner + Send + Sync + 'static) {
    let files = some_files();
    let server = WebServer::start("things", &files, manner).await;
    let metainfo = torrent_on_the_web("things", Format::V1, &files, &[server.url()]);
    let node = Node::start().await;
    let id = node.fetch(&metainfo, &[]).await;
    // It has been asked, and what it says has been seen.
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    node.complete(id).await;
    assert_files(&node.downloads().join("things"), &files);
}

#[tokio::test]
async fn answers_of_no_use_do_no_harm() {
    check_useless(|_, _| Manner::OtherRange).await;
    check_useless(|_, _| Manner::Short).await;
    check_useless(|_, _| Manner::EndlessHead).await;
    for answer in [
        "HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 9-1/0\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "\0\0\0\0 no HTTP at all\r\n\r\n",
    ] {
        check_useless(|_, _| Manner::Says(answer.to_owned())).await;
    }
}

#[tokio::test]
async fn a_silent_server_does_not_hold_what_peers_have() {
    check_useless(|_, _| Manner::Silent).await;
}

#[tokio::test]
async fn a_server_that_stalls_does_not_hold_what_peers_have() {
    check_useless(|_, _| Manner::StallsInHead).await;
    check_useless(|_, _| Manner::StallsInBody).await;
}

#[tokio::test]
async fn a_server_that_drips_is_enough() {
    // Less than a packet, and a block in two uneven parts.
    check(Format::V1, |_, _| Manner::Drips(700)).await;
    check(Format::Hybrid, |_, _| Manner::Drips(10_001)).await;
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_noticed() {
    let files: Files = vec![("a", noise(1, 400_000))];
    // From its third answer on the server has another file of the same size.
    let server =
        WebServer::start(
            "things",
            &files,
            |_, number| {
                if number < 3 { Manner::Right } else { Manner::Wrong }
            },
        )
        .await;
    let metainfo = torrent_on_the_web("things", Format::V1, &files, &[server.url()]);
    let node = Node::start().await;
    let id = node.fetch(&metainfo, &[]).await;
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    node.complete(id).await;
    assert_files(&node.downloads().join("things"), &files);
    assert_eq!(gauge(&node, "althing_banned_addresses"), 0, "the peer is not to blame");
}

#[tokio::test]
async fn wrong_data_is_found_out_and_not_fetched_again() {
    let files: Files = vec![("a", noise(1, 200_000)), ("b", noise(2, 200_000))];
    // One file was changed on the server, by one byte in each range.
    let server = WebServer::start("things", &files, |path, _| {
        if path.ends_with('a') { Manner::Wrong } else { Manner::Right }
    })
    .await;
    let metainfo = torrent_on_the_web("things", Format::Hybrid, &files, &[server.url()]);
    let node = Node::start().await;
    let (events, later) = (node.session.subscribe(), node.session.subscribe());
    let id = node.fetch(&metainfo, &[]).await;
    let noted = |event: &Event| matches!(event, Event::Note { sentence, .. } if sentence.contains("not the torrent's"));
    node.event(events, noted).await;
    // The other one comes all the same.
    node.event(later, |event| matches!(event, Event::PieceVerified { pieces_done: 7, .. })).await;
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    let before = server.asked().len();
    node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    node.complete(id).await;
    assert_files(&node.downloads().join("things"), &files);
    assert_eq!(server.asked().len(), before, "{:?}", server.asked());
    assert_eq!(gauge(&node, "althing_banned_addresses"), 0);
}

#[tokio::test]
async fn redirects_are_followed_and_remembered() {
    let files = some_files();
    let there = WebServer::start("things", &files, |_, _| Manner::Right).await;
    let url = there.url();
    let here = WebServer::start("things", &files, move |path, _| {
        let to = format!("{}{}", url.trim_end_matches('/'), path);
        Manner::Says(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))
    })
    .await;
    let metainfo = torrent_on_the_web("things", Format::V1, &files, &[here.url()]);
    let node = Node::start().await;
    let id = node.fetch(&metainfo, &[]).await;
    node.complete(id).await;
    assert_files(&node.downloads().join("things"), &files);
    assert!(here.asked().len() <= there.asked().len());
}

#[tokio::test]
async fn a_torrent_cannot_have_requests_with_a_query_made_here() {
    let files: Files = vec![("a", noise(1, 50_000))];
    let server = WebServer::start("things", &files, |_, _| Manner::Right).await;
    let far: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let urls = [
        format!("http://{}/shutdown?now=", server.addr),
        format!("http://{far}/"),
        "http://no-such-name.invalid/".to_owned(),
        "http://[::1]:1/".to_owned(),
    ];
    let metainfo = torrent_on_the_web("things", Format::V1, &files, &urls);
    let node = Node::start().await;
    let id = node.fetch(&metainfo, &[]).await;
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    node.complete(id).await;
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let files = some_files();
    let server = WebServer::start("things", &files, |_, _| Manner::Right).await;
    let metainfo = torrent_on_the_web("things", Format::V1, &files, &[server.url()]);
    let mut config = crate::support::config();
    config.web_seeds.enabled = false;
    let node = Node::with(config).await;
    let id = node.fetch(&metainfo, &[]).await;
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    node.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    node.complete(id).await;
    assert!(server.asked().is_empty());
}
