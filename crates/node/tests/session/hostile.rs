//! Strangers who do what no client does: a session neither falls nor swells, and serves the others.

use crate::stranger::{ELSEWHERE, Heard, Stranger, accept_plain};
use crate::support::{
    Node, PATIENCE, assert_files, gauge, noise, some_files, torrent, torrent_of_file,
};
use althing_bittorrent::metainfo::{Format, Metainfo, PeerAddress};
use althing_bittorrent::wire::{ExtensionHandshake, Message, MetadataMessage, UT_METADATA};
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_node::limits::{HALF_OPEN_PER_IP_MAX, OUT_QUEUE_BYTES_MAX};
use althing_node::session::{AddOptions, AddSource, Event};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// An honest leecher still gets everything.
async fn check_still_serves(seeder: &Node, metainfo: &Metainfo) {
    let leecher = Node::start().await;
    let id = leecher.fetch(metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    assert_files(&leecher.downloads().join(metainfo.name()), &some_files());
}

async fn seeder_of_some_files() -> (Node, Metainfo) {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let seeder = Node::start().await;
    seeder.seed(&metainfo, &files).await;
    (seeder, metainfo)
}

#[tokio::test]
async fn garbage_instead_of_a_handshake() {
    let (seeder, metainfo) = seeder_of_some_files().await;
    let unknown = [&b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0"[..], &[7; 40]].concat();
    // Longer than a key and its padding may be; one that is shorter might be the start of a key.
    let request = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1000));
    for garbage in [request.as_bytes(), &[0xff; 4096], &noise(5, 70_000), &unknown] {
        let mut stranger = Stranger::connect(seeder.addr()).await;
        // It may hang up before it has read everything.
        let _ = stranger.send(garbage).await;
        stranger.hear_the_end().await;
    }
    check_still_serves(&seeder, &metainfo).await;
}

#[tokio::test]
async fn strangers_who_say_nothing_take_only_their_share() {
    let (seeder, metainfo) = seeder_of_some_files().await;
    let mut silent = Vec::new();
    for _ in 0..HALF_OPEN_PER_IP_MAX {
        silent.push(Stranger::connect(seeder.addr()).await);
    }
    // So little that it may still become a key.
    silent[0].send(b"GET / HTTP/1.1\r\n\r\n").await.expect("it listens");
    // One more than one address may have: it is closed at once, the others are not.
    let mut refused = Stranger::connect(seeder.addr()).await;
    refused.hear_the_end().await;
    assert_eq!(gauge(&seeder, "althing_connections_half_open"), HALF_OPEN_PER_IP_MAX as u64);
    check_still_serves(&seeder, &metainfo).await;
    // And they do not stay for ever.
    for mut stranger in silent {
        stranger.hear_the_end().await;
    }
    assert_eq!(gauge(&seeder, "althing_connections_half_open"), 0);
}

#[tokio::test]
async fn absurd_messages_end_the_connection() {
    let (seeder, metainfo) = seeder_of_some_files().await;
    let hash = metainfo.info_hashes().primary();
    for absurd in [
        // Four gigabytes to come.
        &[0xff, 0xff, 0xff, 0xff][..],
        // A bitfield of the wrong length, a request of no length, a piece nobody asked for whose
        // length is no block's.
        &[0, 0, 0, 2, 5, 0xff],
        &[0, 0, 0, 13, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 0, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut stranger = Stranger::meet(seeder.addr(), hash).await;
        stranger.send(absurd).await.expect("it listens");
        stranger.hear_the_end().await;
    }
    check_still_serves(&seeder, &metainfo).await;
}

#[tokio::test]
async fn a_flood_of_requests_from_one_who_does_not_read() {
    let bytes = noise(6, 8 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 256 * 1024);
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    seeder.complete(id).await;

    let mut stranger = Stranger::meet(seeder.addr(), metainfo.info_hashes().primary()).await;
    stranger.say(&Message::Interested).await;
    stranger.hear_until(|message| matches!(message, Message::Unchoke)).await;
    let mut flood = Vec::new();
    for number in 0..100_000u32 {
        let piece = PieceIndex(number % metainfo.piece_count());
        let block = BlockRef { piece, begin: number % 16 * 16384, len: 16384 };
        Message::Request(block).encode(&mut flood);
    }
    // Until the session reads no more, or hangs up.
    for part in flood.chunks(64 * 1024) {
        let sent = stranger.send(part);
        if !matches!(tokio::time::timeout(PATIENCE / 60, sent).await, Ok(Ok(()))) {
            break;
        }
        let held = gauge(&seeder, "althing_buffer_bytes");
        assert!(held < 32 << 20, "{held} bytes held for one who does not read");
    }
    let leecher = Node::start().await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    let held = gauge(&seeder, "althing_buffer_bytes");
    assert!(held < 32 << 20, "{held} bytes held");
}

#[tokio::test]
async fn a_flood_of_refused_requests_from_one_who_does_not_read() {
    let (seeder, metainfo) = seeder_of_some_files().await;
    let mut stranger = Stranger::meet(seeder.addr(), metainfo.info_hashes().primary()).await;
    // Each is answered with a refusal, and none is read.
    let mut flood = Vec::new();
    while flood.len() < 2 * OUT_QUEUE_BYTES_MAX {
        let block = BlockRef { piece: PieceIndex(0), begin: 0, len: 16384 };
        Message::Request(block).encode(&mut flood);
    }
    loop {
        if stranger.send(&flood).await.is_err() {
            break;
        }
    }
    check_still_serves(&seeder, &metainfo).await;
}

/// A seed that lies: serves `bytes` with one byte in each block of the given pieces wrong.
async fn lying_seed(listener: TcpListener, metainfo: Metainfo, bytes: Vec<u8>, lies: Vec<u32>) {
    let hash = metainfo.info_hashes().primary();
    loop {
        let Ok(stream) = accept_plain(&listener).await else { return };
        let (bytes, lies, length) = (bytes.clone(), lies.clone(), metainfo.piece_length());
        tokio::spawn(async move {
            let mut seed = Stranger::accepted(stream, hash).await;
            seed.say(&Message::HaveAll).await;
            seed.say(&Message::Unchoke).await;
            loop {
                match seed.hear().await {
                    Heard::Message(Message::Request(block)) => {
                        let start = (block.piece.0 * length + block.begin) as usize;
                        let mut payload = bytes[start..start + block.len as usize].to_vec();
                        if lies.contains(&block.piece.0) {
                            payload[0] ^= 1;
                        }
                        seed.say_block(block, &payload).await;
                    }
                    Heard::End => return,
                    _ => {}
                }
            }
        });
    }
}

async fn listen_elsewhere() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ELSEWHERE, 0)).await.expect("some port is free");
    let addr = listener.local_addr().expect("it listens");
    (listener, addr)
}

#[tokio::test]
async fn a_liar_is_found_out_and_the_piece_fetched_again() {
    let bytes = noise(7, 2 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 64 * 1024);
    let (listener, liar) = listen_elsewhere().await;
    tokio::spawn(lying_seed(listener, metainfo.clone(), bytes.clone(), vec![3, 17]));
    let leecher = Node::start().await;
    let events = leecher.session.subscribe();
    // With nobody else there, the liar gets its chance.
    let id = leecher.fetch(&metainfo, &[liar]).await;
    leecher.event(events, |event| matches!(event, Event::Banned { ip } if *ip == ELSEWHERE)).await;
    assert!(gauge(&leecher, "althing_banned_addresses") == 1);

    let honest = Node::start().await;
    std::fs::create_dir_all(honest.downloads()).expect("a folder");
    std::fs::write(honest.downloads().join("file.bin"), &bytes).expect("a file");
    honest.add(&metainfo, AddOptions::default()).await;
    honest.complete(id).await;
    leecher.session.add_peers(id, vec![honest.addr(), liar]).await.expect("it is there");
    leecher.complete(id).await;
    let got = std::fs::read(leecher.downloads().join("file.bin")).expect("it is there");
    assert!(got == bytes);
    let peers = leecher.session.peers(id).await.expect("it is there");
    assert!(peers.iter().all(|peer| peer.addr.ip() != ELSEWHERE), "{peers:?}");
}

/// A peer that names a size for the metadata and sends noise.
async fn metadata_bomber(listener: TcpListener, metainfo: Metainfo, size: u32) {
    let hash = metainfo.info_hashes().primary();
    loop {
        let Ok(stream) = accept_plain(&listener).await else { return };
        tokio::spawn(async move {
            let mut bomber = Stranger::accepted(stream, hash).await;
            // Not by the encoder, which knows bounds.
            let handshake = format!("d1:md11:ut_metadatai1ee13:metadata_sizei{size}ee");
            bomber.say(&Message::Extended { id: 0, payload: handshake.into() }).await;
            let mut theirs = None;
            loop {
                match bomber.hear().await {
                    Heard::Message(Message::Extended { id: 0, payload }) => {
                        let handshake = ExtensionHandshake::parse(&payload).expect("valid");
                        theirs = handshake.id(UT_METADATA);
                    }
                    Heard::Message(Message::Extended { id: 1, payload }) => {
                        let asked = MetadataMessage::parse(&payload);
                        if let (Ok(MetadataMessage::Request { piece }), Some(id)) = (asked, theirs)
                        {
                            let len = (size - piece * 16384).min(16384);
                            let payload = noise(u64::from(piece), len as usize).into();
                            let data =
                                MetadataMessage::Data { piece, total_size: Some(size), payload };
                            let payload = data.encode();
                            bomber.say(&Message::Extended { id, payload }).await;
                        }
                    }
                    Heard::End => return,
                    _ => {}
                }
            }
        });
    }
}

#[tokio::test]
async fn metadata_bombs() {
    let (seeder, metainfo) = seeder_of_some_files().await;
    for size in [u32::MAX, 1 << 31, 20 << 20, metainfo.info_bytes().len() as u32] {
        let (listener, bomber) = listen_elsewhere().await;
        tokio::spawn(metadata_bomber(listener, metainfo.clone(), size));
        let leecher = Node::start().await;
        let mut magnet = metainfo.magnet();
        magnet.peers = vec![PeerAddress::Ip(bomber), PeerAddress::Ip(seeder.addr())];
        let source = AddSource::Magnet(magnet);
        let id = leecher.session.add(source, AddOptions::default()).await.expect("it is added");
        leecher.complete(id).await;
        assert_files(&leecher.downloads().join("things"), &some_files());
    }
}
