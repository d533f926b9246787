//! Encrypted connections between sessions of every setting, and strangers who abuse the handshake.

use crate::stranger::{Stranger, say_encrypted};
use crate::support::{
    Node, PATIENCE, assert_files, config, gauge, noise, some_files, torrent, torrent_of_file,
};
use althing_base::Sha1Digest;
use althing_bittorrent::metainfo::{Format, Metainfo};
use althing_bittorrent::wire::Message;
use althing_bittorrent::wire::mse::Methods;
use althing_node::config::Encryption::{self, Plain, Preferred, Required};
use althing_node::limits::{KEY_EXCHANGES_PER_IP_PER_S_MAX, SEALED_BLOCKS_MAX};
use althing_node::session::{Encrypted, TorrentId};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

async fn node(encryption: Encryption) -> Node {
    let mut config = config();
    config.network.encryption = encryption;
    Node::with(config).await
}

/// Ten megabytes, so that a look at the connections finds them at work.
fn large() -> (Vec<u8>, Metainfo) {
    let bytes = noise(11, 10 << 20);
    let metainfo = torrent_of_file("large.bin", Format::V1, &bytes, 256 * 1024);
    (bytes, metainfo)
}

/// Asks until a torrent has so many connections.
async fn until_peers(node: &Node, id: TorrentId, peers: usize) {
    let asking = async {
        while node.session.peers(id).await.expect("it is there").len() != peers {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes to that");
}

/// What the connection between two settings is like, and whether the file gets through it whole.
async fn check(seeding: Encryption, fetching: Encryption, expected: Encrypted) {
    let (bytes, metainfo) = large();
    let (seeder, leecher) = (node(seeding).await, node(fetching).await);
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("large.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, Default::default()).await;
    seeder.complete(id).await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    until_peers(&leecher, id, 1).await;
    let seen = leecher.session.peers(id).await.expect("it is there");
    leecher.complete(id).await;
    let copy = std::fs::read(leecher.downloads().join("large.bin")).expect("a file");
    assert!(copy == bytes, "{seeding:?} to {fetching:?}");
    assert_eq!(seen[0].encrypted, Some(expected), "{seeding:?} to {fetching:?}");
}

#[tokio::test]
async fn every_two_settings_that_can_meet_exchange_a_file() {
    check(Plain, Plain, Encrypted::No).await;
    check(Plain, Preferred, Encrypted::No).await;
    check(Preferred, Plain, Encrypted::No).await;
    check(Preferred, Preferred, Encrypted::Handshake).await;
    check(Preferred, Required, Encrypted::All).await;
    check(Required, Preferred, Encrypted::All).await;
    check(Required, Required, Encrypted::All).await;
}

#[tokio::test]
async fn plain_and_required_do_not_meet() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    for (seeding, fetching) in [(Plain, Required), (Required, Plain)] {
        let (seeder, leecher) = (node(seeding).await, node(fetching).await);
        let id = seeder.seed(&metainfo, &files).await;
        leecher.fetch(&metainfo, &[seeder.addr()]).await;
        // A third one, whom both can meet, is the proof that there was time.
        let between = node(Preferred).await;
        between.fetch(&metainfo, &[seeder.addr()]).await;
        between.complete(id).await;
        let done = leecher.session.snapshot(id).expect("it is there").pieces_done;
        assert_eq!((done, leecher.session.peers(id).await), (0, Some(Vec::new())));
        leecher.session.add_peers(id, vec![between.addr()]).await.expect("an address");
        leecher.complete(id).await;
        assert_files(&leecher.downloads().join("things"), &files);
    }
}

#[tokio::test]
async fn hybrid_torrents_are_met_by_either_name() {
    let files = some_files();
    let hybrid = torrent("things", Format::Hybrid, &files);
    let seeder = node(Required).await;
    seeder.seed(&hybrid, &files).await;
    for hash in hybrid.info_hashes().short_hashes() {
        let mut stranger = Stranger::connect(seeder.addr()).await;
        let mut line = say_encrypted(&mut stranger, hash, Methods::Rc4).await.expect("it answers");
        let mut answer = [0; 68];
        line.read(&mut stranger, &mut answer).await;
        assert_eq!(&answer[..20], b"\x13BitTorrent protocol");
        assert_eq!(answer[28..48], hash.0);
    }
}

#[tokio::test]
async fn a_torrent_that_is_not_here_or_rests_is_not_told_from_noise() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let seeder = node(Preferred).await;
    let id = seeder.seed(&metainfo, &files).await;
    seeder.session.pause(id).await.expect("it is there");
    for hash in [metainfo.info_hashes().primary(), Sha1Digest([7; 20])] {
        let mut stranger = Stranger::connect(seeder.addr()).await;
        assert!(say_encrypted(&mut stranger, hash, Methods::Either).await.is_none());
    }
}

#[tokio::test]
async fn one_address_has_so_many_keys_computed() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let seeder = node(Preferred).await;
    seeder.seed(&metainfo, &files).await;
    let key = [0x55; 96];
    let mut answered = 0;
    for _ in 0..2 * KEY_EXCHANGES_PER_IP_PER_S_MAX {
        let mut stranger = Stranger::connect(seeder.addr()).await;
        // It may have been closed for being one too many.
        let _ = stranger.send(&key).await;
        let mut byte = [0];
        let heard = tokio::time::timeout(PATIENCE, stranger.stream.read(&mut byte)).await;
        answered += u32::from(matches!(heard, Ok(Ok(1))));
    }
    // A slow machine may take more than a second for these.
    assert!(answered >= KEY_EXCHANGES_PER_IP_PER_S_MAX, "{answered}");
    assert!(gauge(&seeder, "althing_connections_half_open") <= 1);
    let leecher = node(Preferred).await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(metainfo.info_hashes().into()).await;
}

/// A peer of before 2006: hangs up on what is not the plain handshake.
#[tokio::test]
async fn who_cannot_encrypt_is_spoken_to_plainly_and_at_once_the_next_time() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let hash = metainfo.info_hashes().primary();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let leecher = node(Preferred).await;
    let id = leecher.fetch(&metainfo, &[listener.local_addr().expect("an address")]).await;
    let mut openings = Vec::new();
    while openings.len() < 4 {
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("in time");
        let (mut stream, _) = accepted.expect("a connection");
        let plain = stream.read_u8().await.expect("it speaks first") == 19;
        openings.push(plain);
        if plain {
            let mut rest = [0; 67];
            stream.read_exact(&mut rest).await.expect("a handshake");
            let mut old = Stranger::accepted(stream, hash).await;
            old.say(&Message::Unchoke).await;
            until_peers(&leecher, id, 1).await;
            drop(old);
            let addr = listener.local_addr().expect("an address");
            until_peers(&leecher, id, 0).await;
            leecher.session.add_peers(id, vec![addr]).await.expect("an address");
        }
    }
    assert_eq!(openings[..2], [false, true], "encrypted first, then plain");
    assert_eq!(openings[2..], [true, true], "and plain at once from then on");
}

#[tokio::test]
async fn who_does_not_read_what_is_encrypted_holds_little() {
    let (bytes, metainfo) = large();
    let seeder = node(Required).await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("large.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, Default::default()).await;
    seeder.complete(id).await;
    let hash = metainfo.info_hashes().primary();
    let mut strangers = Vec::new();
    for _ in 0..4 {
        let mut stranger = Stranger::connect(seeder.addr()).await;
        let mut line = say_encrypted(&mut stranger, hash, Methods::Rc4).await.expect("an answer");
        line.read(&mut stranger, &mut [0; 68]).await;
        let mut said = Vec::new();
        Message::Interested.encode(&mut said);
        for piece in 0..metainfo.piece_count() {
            for begin in (0..256 * 1024).step_by(16384) {
                let piece = althing_bittorrent::PieceIndex(piece);
                let block = althing_bittorrent::BlockRef { piece, begin, len: 16384 };
                Message::Request(block).encode(&mut said);
            }
        }
        line.write(&mut stranger, &mut said).await;
        strangers.push(stranger);
    }
    let leecher = node(Required).await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    let held = gauge(&seeder, "althing_buffer_bytes") as usize;
    // Two shards keep 256 KiB each ready to be read into.
    let sealed = strangers.len() * (SEALED_BLOCKS_MAX << 14);
    assert!(held < (16 << 20) + sealed, "{held} bytes held");
}
