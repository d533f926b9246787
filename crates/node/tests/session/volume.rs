//! Hostile peers in large numbers: honest ones finish all the same, and memory stays where it was.

use crate::stranger::{Heard, Stranger};
use crate::support::{Node, config, gauge, noise, torrent_of_file};
use althing_bittorrent::metainfo::{Format, Metainfo};
use althing_bittorrent::wire::Message;
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_node::config::Encryption;
use althing_node::session::{AddOptions, TorrentId};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

/// Bytes of blocks and messages that a session may hold, whatever strangers do.
const HELD_MAX: u64 = 64 << 20;

/// Liars, each with an address of its own.
const LIARS: u16 = 1000;

/// Peers that ask for blocks and do not read them.
const DEAF: u16 = 15;

async fn session() -> Node {
    let mut config = config();
    // The deaf have all the slots they want, which is the worst for memory.
    config.sharing.upload_slots = 100;
    // The handshakes of hundreds would else be most of what is tested.
    config.network.encryption = Encryption::Plain;
    Node::with(config).await
}

async fn honest_seed(metainfo: &Metainfo, bytes: &[u8]) -> (Node, TorrentId) {
    let node = session().await;
    std::fs::create_dir_all(node.downloads()).expect("a folder");
    std::fs::write(node.downloads().join("file.bin"), bytes).expect("a file");
    let id = node.add(metainfo, AddOptions::default()).await;
    node.complete(id).await;
    (node, id)
}

fn assert_got(node: &Node, bytes: &[u8]) {
    let got = std::fs::read(node.downloads().join("file.bin")).expect("it is there");
    assert!(got == bytes, "the copy differs");
}

/// A peer at an address of its own that says that it has everything, and answers requests with
/// noise.
async fn liar(number: u16, metainfo: &Metainfo) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    let listener = TcpListener::bind((Ipv4Addr::new(127, 3, high, low), 0)).await;
    let listener = listener.expect("all of 127/8 is here");
    let addr = listener.local_addr().expect("it listens");
    let hash = metainfo.info_hashes().primary();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stranger = Stranger::accepted_as(stream, hash, number).await;
                stranger.say(&Message::HaveAll).await;
                stranger.say(&Message::Unchoke).await;
                loop {
                    match stranger.hear().await {
                        Heard::Message(Message::Request(block)) => {
                            let payload = noise(u64::from(number), block.len as usize);
                            stranger.say_block(block, &payload).await;
                        }
                        Heard::End => return,
                        _ => {}
                    }
                }
            });
        }
    });
    addr
}

#[tokio::test]
async fn a_thousand_liars_are_found_out_and_the_honest_one_is_enough() {
    let bytes = noise(21, 4 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 32 * 1024);
    let mut peers = Vec::new();
    for number in 0..LIARS {
        peers.push(liar(number, &metainfo).await);
    }
    let leecher = session().await;
    let mut events = leecher.session.subscribe();
    let id = leecher.fetch(&metainfo, &peers).await;
    let mut most = 0;
    while gauge(&leecher, "althing_banned_addresses") < u64::from(LIARS) {
        most = most.max(gauge(&leecher, "althing_buffer_bytes"));
        let next = tokio::time::timeout(crate::support::PATIENCE, events.recv()).await;
        // Falling behind is no harm.
        let _ = next.expect("liars are found out one after the other");
    }
    assert!(most < HELD_MAX, "{most} bytes held");
    let (honest, _) = honest_seed(&metainfo, &bytes).await;
    leecher.session.add_peers(id, vec![honest.addr()]).await.expect("it is there");
    leecher.complete(id).await;
    assert_got(&leecher, &bytes);
}

#[tokio::test]
async fn those_that_ask_and_do_not_read_cost_a_bounded_amount() {
    let bytes = noise(23, 8 << 20);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, 256 * 1024);
    let (seeder, id) = honest_seed(&metainfo, &bytes).await;
    let hash = metainfo.info_hashes().primary();
    let mut flood = Vec::new();
    Message::Interested.encode(&mut flood);
    for number in 0..500u32 {
        let piece = PieceIndex(number % metainfo.piece_count());
        let block = BlockRef { piece, begin: number % 16 * 16384, len: 16384 };
        Message::Request(block).encode(&mut flood);
    }
    let mut strangers = Vec::new();
    let mut most = 0;
    for number in 0..DEAF {
        let mut stranger = Stranger::connect(seeder.addr()).await;
        // Refused where there are too many from one address; the others are many enough.
        if stranger.shake_hands_as(hash, number).await.is_ok() {
            let _ = stranger.send(&flood).await;
        }
        most = most.max(gauge(&seeder, "althing_buffer_bytes"));
        strangers.push(stranger);
    }
    let leecher = session().await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    assert_got(&leecher, &bytes);
    most = most.max(gauge(&seeder, "althing_buffer_bytes"));
    assert!(most < HELD_MAX, "{most} bytes held for those who do not read");
}
