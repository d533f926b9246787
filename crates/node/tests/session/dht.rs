//! Sessions that find each other in a DHT of their own, on the loopback.

use crate::support::{Node, assert_files, config, some_files, torrent};
use althing_base::Sha1Digest;
use althing_bittorrent::metainfo::{Format, Magnet, Metainfo};
use althing_bittorrent::swarm::PeerSource;
use althing_dht::wire::{Item, Mutable};
use althing_node::Config;
use althing_node::session::{AddOptions, AddSource, DhtError, TorrentState};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// On a machine that is busy an answer may be too late for a search; the next one is a minute off.
const LIMIT: Duration = Duration::from_secs(100);

/// Settings of a session that begins with these nodes.
pub(crate) fn settings(nodes: &[SocketAddr]) -> Config {
    let mut config = config();
    config.dht.enabled = true;
    config.network.peer_exchange = false;
    let name = |addr: &SocketAddr| addr.to_string().parse().expect("an address");
    config.dht.bootstrap = nodes.iter().map(name).collect();
    config
}

/// Looks again and again until it is so.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

pub(crate) async fn nodes_of(node: &Node) -> usize {
    node.session.dht().await.families.iter().map(|family| family.nodes).sum()
}

/// Three that know each other.
pub(crate) async fn three() -> [Node; 3] {
    let first = Node::with(settings(&[])).await;
    let begin = [first.addr()];
    let others = [Node::with(settings(&begin)).await, Node::with(settings(&begin)).await];
    let [second, third] = others;
    let all = [first, second, third];
    for node in &all {
        until("they know each other", async || (nodes_of(node).await >= 2).then_some(())).await;
    }
    all
}

#[tokio::test]
async fn a_link_alone_is_enough() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let [seeder, other, leecher] = three().await;
    let id = seeder.seed(&metainfo, &files).await;
    let told = until("it is announced by both names", async || {
        let names = seeder.session.dht_torrent(id).await;
        (names.len() == 2 && names.iter().all(|name| name.told > 0)).then_some(names)
    });
    told.await;
    let magnet = Magnet::new(metainfo.info_hashes());
    let added = leecher.session.add(AddSource::Magnet(magnet), AddOptions::default()).await;
    let id = added.expect("a link");
    until("it has everything", async || {
        let torrent = leecher.session.snapshot(id)?;
        (torrent.state == TorrentState::Seeding).then_some(())
    })
    .await;
    assert_files(&leecher.downloads().join("things"), &files);
    // In this order: whoever leaves between the two looks is seen twice rather than not at all.
    let mut peers = leecher.session.peers(id).await.expect("it is there");
    peers.extend(leecher.session.departed_peers(id).await.expect("it is there"));
    assert!(peers.iter().any(|peer| peer.source == PeerSource::Dht), "{peers:?}");
    // Anybody who asks hears of it, and of how many have it (BEP 33); a node is asked twice a second.
    let hash = metainfo.info_hashes().primary();
    until("who has it is found", async || {
        let lookup = other.session.dht_lookup(hash).await.expect("it knows whom to ask");
        let found = lookup.peers.contains(&seeder.addr()) && lookup.seeds >= Some(1);
        if !found {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        found.then_some(())
    })
    .await;
    seeder.session.shutdown().await;
    leecher.session.shutdown().await;
}

#[tokio::test]
async fn what_is_private_is_not_looked_for() {
    let files = some_files();
    let public = torrent("public", Format::V1, &files);
    let private = box_torrent(true, None);
    let [seeder, other, _] = three().await;
    let hidden = seeder.add(&private, AddOptions::default()).await;
    let id = seeder.seed(&public, &files).await;
    until("the public one is announced", async || {
        seeder.session.dht_torrent(id).await.iter().any(|name| name.told > 0).then_some(())
    })
    .await;
    assert!(seeder.session.dht_torrent(hidden).await.is_empty());
    let find = async |hash: Sha1Digest| other.session.dht_lookup(hash).await.expect("nodes").peers;
    assert!(!find(public.info_hashes().primary()).await.is_empty());
    assert_eq!(find(private.info_hashes().primary()).await, []);
}

/// A torrent of one byte that nobody has, private or naming a node.
fn box_torrent(is_private: bool, node: Option<SocketAddr>) -> Metainfo {
    let mut out = althing_base::bencode::Encoder::new();
    out.dict(|out| {
        out.key(b"info").dict(|info| {
            info.key(b"length").int(1);
            info.key(b"name").bytes(b"box");
            info.key(b"piece length").int(16_384);
            info.key(b"pieces").bytes(&[0; 20]);
            if is_private {
                info.key(b"private").int(1);
            }
        });
        if let Some(node) = node {
            out.key(b"nodes").list(|nodes| {
                nodes.list(|parts| {
                    parts.bytes(node.ip().to_string().as_bytes());
                    parts.int(node.port().into());
                });
            });
        }
    });
    Metainfo::parse(&out.finish()).expect("a torrent")
}

#[tokio::test]
async fn items_are_stored_found_and_replaced() {
    let [one, two, _] = three().await;
    let value = Bytes::from_static(b"12:Hello World!");
    let item = Item::Immutable { value: value.clone() };
    let target = item.target();
    assert!(one.session.dht_put(item.clone(), None).await.expect("it is stored") >= 1);
    // It may be the one that keeps it.
    let (found, _) = two.session.dht_get(target).await.expect("nodes are asked");
    assert_eq!(found, Some(item));
    let salt = Bytes::from_static(b"news");
    let signed = |seq, text: &'static [u8]| {
        Item::Mutable(Mutable::sign(&[7; 32], salt.clone(), seq, Bytes::from_static(text)))
    };
    let Item::Mutable(Mutable { key, .. }) = signed(1, b"3:old") else { unreachable!() };
    for (seq, text, cas) in [(1, &b"3:old"[..], None), (2, b"3:new", Some(1))] {
        one.session.dht_put(signed(seq, text), cas).await.expect("it is stored");
        let (found, _) = two.session.dht_get_mutable(key, salt.clone()).await.expect("found");
        assert_eq!(found, Some(signed(seq, text)));
    }
    let stale = one.session.dht_put(signed(1, b"3:old"), None).await;
    assert!(matches!(stale, Err(DhtError::NotStored { outdated: 1.. })), "{stale:?}");
    let mut forged = Mutable::sign(&[7; 32], salt, 3, value);
    forged.seq = 4;
    let refused = one.session.dht_put(Item::Mutable(forged), None).await;
    assert!(matches!(refused, Err(DhtError::Signature)), "{refused:?}");
}

#[tokio::test]
async fn saved_nodes_are_enough_after_a_restart() {
    let [_first, second, third] = three().await;
    let before = second.session.dht().await.families[0].id;
    second.session.shutdown().await;
    // Nobody is named any more: what it finds it has kept.
    let second = second.start_again_with(settings(&[])).await;
    until("it finds them", async || (nodes_of(&second).await >= 2).then_some(())).await;
    assert_eq!(second.session.dht().await.families[0].id, before);
    third.session.shutdown().await;
}

#[tokio::test]
async fn each_address_that_it_is_bound_to_answers() {
    let mut config = settings(&[]);
    config.network.bind =
        ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|ip| ip.parse().unwrap()).into();
    let node = Node::with(config).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_read_timeout(Some(LIMIT)).expect("it may wait");
    for last in [3, 1, 2, 2] {
        let addr = SocketAddr::from(([127, 0, 0, last], node.addr().port()));
        let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
        socket.send_to(ping, addr).expect("it is sent");
        let mut answer = [0; 1_500];
        loop {
            let (len, from) = socket.recv_from(&mut answer).expect("it answers");
            // It may ask us something, too.
            if answer[..len].ends_with(b"1:y1:re") {
                assert_eq!(from, addr);
                break;
            }
        }
    }
}

#[tokio::test]
async fn nodes_that_a_torrent_names_are_enough_also_after_a_restart() {
    let first = Node::with(settings(&[])).await;
    let metainfo = box_torrent(false, Some(first.addr()));
    let other = Node::with(settings(&[])).await;
    other.add(&metainfo, AddOptions::default()).await;
    let known = async |node: &Node| {
        until("its node is known", async || (nodes_of(node).await == 1).then_some(())).await;
    };
    known(&other).await;
    other.session.shutdown().await;
    // What it knew is lost.
    std::fs::remove_file(other.dir.path().join("dht")).expect("it was saved");
    let other = other.start_again_with(settings(&[])).await;
    known(&other).await;
}

#[tokio::test]
async fn a_peer_that_is_met_is_enough_to_begin_with() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let (one, two) = (Node::with(settings(&[])).await, Node::with(settings(&[])).await);
    one.seed(&metainfo, &files).await;
    let status = two.session.dht().await;
    assert!(status.running && status.advice.is_some_and(|advice| advice.contains("loopback")));
    let alone = two.session.dht_lookup(metainfo.info_hashes().primary()).await;
    assert!(matches!(alone, Err(DhtError::Alone)), "{alone:?}");
    let id = two.fetch(&metainfo, &[one.addr()]).await;
    two.complete(id).await;
    for node in [&one, &two] {
        until("its node is known", async || (nodes_of(node).await == 1).then_some(())).await;
    }
    let off = Node::with(config()).await;
    let status = off.session.dht().await;
    assert!(!status.running && status.summary.contains("off"));
    let refused = off.session.dht_lookup(Sha1Digest([1; 20])).await;
    assert!(matches!(refused, Err(DhtError::Off(_))), "{refused:?}");
}
