//! Sessions that talk over uTP (BEP 29): alone, encrypted, limited, beside TCP, and with a peer that is
//! gone from one moment to the next.

use crate::support::{
    Node, PATIENCE, assert_files, config, gauge, noise, some_files, torrent, torrent_of_file,
};
use althing_bittorrent::metainfo::{Format, Metainfo};
use althing_bittorrent::swarm::Transport;
use althing_node::Config;
use althing_node::config::{Encryption, Prefer};
use althing_node::session::{Encrypted, TorrentId};

/// Settings of a session without TCP.
fn without_tcp() -> Config {
    let mut config = config();
    config.network.tcp = false;
    config
}

fn with_encryption(encryption: Encryption) -> Config {
    let mut config = without_tcp();
    config.network.encryption = encryption;
    config
}

/// Some megabytes, so that a look at the connections finds them at work.
fn large() -> (Vec<u8>, Metainfo) {
    let bytes = noise(21, 24 << 20);
    let metainfo = torrent_of_file("large.bin", Format::V1, &bytes, 256 * 1024);
    (bytes, metainfo)
}

async fn seed_large(node: &Node, bytes: &[u8], metainfo: &Metainfo) -> TorrentId {
    std::fs::create_dir_all(node.downloads()).expect("a folder");
    std::fs::write(node.downloads().join("large.bin"), bytes).expect("a file");
    let id = node.add(metainfo, Default::default()).await;
    node.complete(id).await;
    id
}

/// What a session is connected over, and how that is encrypted, once it is connected to somebody.
async fn until_connected(node: &Node, id: TorrentId) -> (Option<Transport>, Option<Encrypted>) {
    let asking = async {
        loop {
            let peers = node.session.peers(id).await.expect("it is there");
            match peers.first() {
                Some(peer) => return (peer.transport, peer.encrypted),
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("they connect")
}

/// What a file of one session comes over to another.
async fn check(
    seeding: Config,
    fetching: Config,
    expected: (Option<Transport>, Option<Encrypted>),
) {
    let (bytes, metainfo) = large();
    let (seeder, leecher) = (Node::with(seeding).await, Node::with(fetching).await);
    seed_large(&seeder, &bytes, &metainfo).await;
    let id = leecher.fetch(&metainfo, &[seeder.addr()]).await;
    assert_eq!(until_connected(&leecher, id).await, expected);
    leecher.complete(id).await;
    let copy = std::fs::read(leecher.downloads().join("large.bin")).expect("a file");
    assert!(copy == bytes);
    assert!(gauge(&leecher, "althing_peer_received_bytes") >= bytes.len() as u64);
}

#[tokio::test]
async fn without_tcp_files_go_over_utp() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let files = some_files();
        let metainfo = torrent("things", format, &files);
        let (seeder, leecher) = (Node::with(without_tcp()).await, Node::with(without_tcp()).await);
        seeder.seed(&metainfo, &files).await;
        // By a link, so that the metadata comes the same way.
        let mut magnet = metainfo.magnet();
        let addr = seeder.addr();
        magnet.peers = vec![althing_bittorrent::metainfo::PeerAddress::Ip(addr)];
        let source = althing_node::session::AddSource::Magnet(magnet);
        let id = leecher.session.add(source, Default::default()).await.expect("it is added");
        leecher.complete(id).await;
        assert_files(&leecher.downloads().join("things"), &files);
        assert!(std::net::TcpStream::connect(addr).is_err(), "it listens over TCP");
    }
}

#[tokio::test]
async fn encrypted_as_the_settings_have_it() {
    use Encryption::{Plain, Preferred, Required};
    for (seeding, fetching, encrypted) in [
        (Plain, Preferred, Encrypted::No),
        (Preferred, Preferred, Encrypted::Handshake),
        (Required, Preferred, Encrypted::All),
    ] {
        let expected = (Some(Transport::Utp), Some(encrypted));
        check(with_encryption(seeding), with_encryption(fetching), expected).await;
    }
}

#[tokio::test]
async fn what_is_preferred_is_used_and_what_is_there_is_found() {
    let preferring = |prefer| {
        let mut config = config();
        config.network.prefer = prefer;
        config
    };
    let (tcp, utp) = (Some(Transport::Tcp), Some(Transport::Utp));
    let handshake = Some(Encrypted::Handshake);
    check(config(), preferring(Prefer::Tcp), (tcp, handshake)).await;
    check(config(), preferring(Prefer::Utp), (utp, handshake)).await;
    // Who has only one of the two is reached whatever is preferred.
    check(without_tcp(), preferring(Prefer::Tcp), (utp, handshake)).await;
    let mut without_utp = config();
    without_utp.network.utp = false;
    check(without_utp, preferring(Prefer::Utp), (tcp, handshake)).await;
}

#[tokio::test]
async fn limits_hold_for_utp_too() {
    let mut slow = without_tcp();
    slow.limits.download_kib_s = 4096;
    let (bytes, metainfo) = large();
    let (seeder, leecher) = (Node::with(without_tcp()).await, Node::with(slow).await);
    seed_large(&seeder, &bytes, &metainfo).await;
    let begin = tokio::time::Instant::now();
    let id = leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.complete(id).await;
    // Faster than that would be past the limit; how much slower says nothing.
    assert!(begin.elapsed() >= std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn who_stops_says_goodbye_and_who_comes_back_is_found() {
    let (bytes, metainfo) = large();
    let (seeder, leecher) = (Node::with(without_tcp()).await, Node::with(without_tcp()).await);
    let id = seed_large(&seeder, &bytes, &metainfo).await;
    leecher.fetch(&metainfo, &[seeder.addr()]).await;
    leecher.until(id, |torrent| torrent.pieces_done > 3).await;
    seeder.session.shutdown().await;
    // Not when the time for an answer has come to its end, but at once.
    let gone = async {
        while !leecher.session.peers(id).await.expect("it is there").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let soon = std::time::Duration::from_secs(10);
    tokio::time::timeout(soon, gone).await.expect("it said goodbye");
    let seeder = seeder.start_again().await;
    seeder.complete(id).await;
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.complete(id).await;
    let copy = std::fs::read(leecher.downloads().join("large.bin")).expect("a file");
    assert!(copy == bytes);
}

#[tokio::test]
async fn one_port_is_tcps_and_udps() {
    let node = Node::start().await;
    let addr = node.addr();
    let taken = std::net::UdpSocket::bind(addr).expect_err("it has the port");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    // And whoever names one that is taken for datagrams alone is told.
    let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    let mut config = config();
    config.network.port = other.local_addr().expect("it is bound").port();
    let dir = tempfile::tempdir().expect("a folder");
    let error = althing_node::Session::start(config, dir.path()).await.err().expect("it is taken");
    assert!(error.to_string().contains("network.port"), "{error}");
}

#[tokio::test]
async fn behind_a_proxy_there_are_no_datagrams() {
    let mut config = config();
    config.network.proxy = serde_json::from_str("\"socks5://127.0.0.1:1\"").expect("a proxy");
    config.network.proxy_incoming = true;
    let node = Node::with(config).await;
    std::net::UdpSocket::bind(node.addr()).expect("nobody has the port for datagrams");
}
