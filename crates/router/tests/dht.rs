//! What the DHT's node is asked for, and when it is told to leave a torrent alone (BEP 5, 27).

use althing_base::bencode::Encoder;
use althing_base::hash::sha1;
use althing_base::{Instant, Machine, Seed, Sha1Digest, Sha256Digest};
use althing_bittorrent::metainfo::Magnet;
use althing_bittorrent::swarm::{self, ConnId, Direction, Source, SwarmConfig, Transport};
use althing_bittorrent::wire::{
    ExtensionHandshake, Handshake, Message, MetadataMessage, UT_METADATA,
};
use althing_bittorrent::{InfoHashes, PeerId};
use althing_dht::{Announce, NodeId};
use althing_router::{DhtWish, Input, Output, Router, TorrentKey, TorrentSetup};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const TORRENT: TorrentKey = TorrentKey(7);

const HASH: Sha1Digest = Sha1Digest([1; 20]);

fn setup(hashes: InfoHashes) -> TorrentSetup {
    let mut swarm = SwarmConfig::new(PeerId(*b"-AL0100-000000000000"));
    swarm.listen_port = Some(7716);
    TorrentSetup {
        source: Source::Magnet(Magnet::new(hashes)),
        trackers: Vec::new(),
        families: Vec::new(),
        private: false,
        paused: false,
        web_connections: 0,
        swarm,
    }
}

fn router(setup: TorrentSetup) -> Router {
    let mut router = Router::new(Seed::from_u64(1));
    router.add(Instant::ORIGIN, TORRENT, setup);
    router
}

fn tell(router: &mut Router, input: swarm::Input) -> Vec<Output> {
    router.handle_input(Instant::ORIGIN, Input::Swarm { torrent: TORRENT, input });
    drain(router)
}

fn drain(router: &mut Router) -> Vec<Output> {
    std::iter::from_fn(|| router.poll_output()).collect()
}

fn wishes(outputs: &[Output]) -> Vec<(NodeId, DhtWish)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::FindInDht { torrent: TORRENT, info_hash, wish } => Some((*info_hash, *wish)),
            _ => None,
        })
        .collect()
}

fn connects(outputs: &[Output]) -> Vec<SocketAddr> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Swarm { output: swarm::Output::Connect { addr }, .. } => Some(*addr),
            _ => None,
        })
        .collect()
}

fn wanted(port: u16) -> DhtWish {
    DhtWish::Want(Some(Announce { port: Some(port), seed: false }))
}

#[test]
fn it_is_asked_while_a_torrent_runs() {
    let mut router = router(setup(InfoHashes::v1_only(HASH)));
    let name = NodeId::from(HASH);
    assert_eq!(wishes(&drain(&mut router)), [(name, wanted(7716))]);
    let peer = SocketAddr::from(([10, 0, 0, 1], 7716));
    let found = || Input::FoundInDht { torrent: TORRENT, peers: vec![peer] };
    router.handle_input(Instant::ORIGIN, found());
    assert_eq!(connects(&drain(&mut router)), [peer]);
    // Others find us elsewhere, or not at all.
    for (listen_port, wish) in [(Some(99), wanted(99)), (None, DhtWish::Want(None))] {
        router.handle_input(Instant::ORIGIN, Input::Moved { listen_port });
        assert_eq!(wishes(&drain(&mut router)), [(name, wish)]);
    }
    let outputs = tell(&mut router, swarm::Input::Pause);
    assert_eq!(wishes(&outputs), [(name, DhtWish::Forget)]);
    router.handle_input(Instant::ORIGIN, found());
    assert_eq!(connects(&drain(&mut router)), []);
    let outputs = tell(&mut router, swarm::Input::Resume);
    assert_eq!(wishes(&outputs), [(name, DhtWish::Want(None))]);
    router.remove(Instant::ORIGIN, TORRENT);
    assert_eq!(wishes(&drain(&mut router)), [(name, DhtWish::Forget)]);
}

#[test]
fn it_is_hurried_when_peers_are_lacking() {
    let mut router = router(setup(InfoHashes::v1_only(HASH)));
    drain(&mut router);
    let mut now = Instant::ORIGIN;
    let mut hurried = 0;
    while now < Instant::ORIGIN + Duration::from_secs(600) {
        let Some((at, _)) = router.poll_timeout() else { break };
        now = now.max(at);
        router.handle_timeout(now);
        let said = wishes(&drain(&mut router));
        hurried += said.iter().filter(|(_, wish)| *wish == DhtWish::Hurry).count();
    }
    assert!((2..=40).contains(&hurried), "{hurried}");
}

#[test]
fn a_hybrid_is_looked_for_by_both_names() {
    let v2 = Sha256Digest([2; 32]);
    let mut router = router(setup(InfoHashes::hybrid(HASH, v2)));
    let names = [NodeId([1; 20]), NodeId([2; 20])];
    assert_eq!(wishes(&drain(&mut router)), names.map(|name| (name, wanted(7716))));
}

#[test]
fn a_private_torrent_is_none_of_its_business() {
    let mut router = router(TorrentSetup { private: true, ..setup(InfoHashes::v1_only(HASH)) });
    assert_eq!(wishes(&drain(&mut router)), []);
    let peers = vec![SocketAddr::from(([10, 0, 0, 1], 7716))];
    router.handle_input(Instant::ORIGIN, Input::FoundInDht { torrent: TORRENT, peers });
    assert_eq!(connects(&drain(&mut router)), []);
}

/// A peer that serves metadata in one piece, and calls that extension 7.
fn meet(router: &mut Router, info_hash: Sha1Digest, addr: SocketAddr, size: usize) {
    let mut theirs = Handshake::new(info_hash, PeerId(*b"-XX0000-000000000000"), false);
    theirs = theirs.with_dht(true);
    tell(
        router,
        swarm::Input::Connected {
            conn: ConnId(1),
            addr,
            direction: Direction::Outgoing,
            transport: Transport::Tcp,
            handshake: theirs,
        },
    );
    let payload = ExtensionHandshake {
        extensions: BTreeMap::from([(UT_METADATA.to_vec(), 7)]),
        metadata_size: Some(size as u32),
        ..ExtensionHandshake::default()
    };
    let message = Message::Extended { id: 0, payload: payload.encode() };
    tell(router, swarm::Input::Message { conn: ConnId(1), message });
}

#[test]
fn what_turns_out_to_be_private_is_forgotten_with_whom_the_dht_named() {
    let mut info = Encoder::new();
    info.dict(|info| {
        info.key(b"length").int(1);
        info.key(b"name").bytes(b"box");
        info.key(b"piece length").int(16_384);
        info.key(b"pieces").bytes(&[0; 20]);
        info.key(b"private").int(1);
    });
    let info = bytes::Bytes::from(info.finish());
    let hash = sha1(&info);
    let mut router = router(setup(InfoHashes::v1_only(hash)));
    drain(&mut router);
    let peer = SocketAddr::from(([10, 0, 0, 1], 7716));
    let input = Input::FoundInDht { torrent: TORRENT, peers: vec![peer] };
    router.handle_input(Instant::ORIGIN, input);
    assert_eq!(connects(&drain(&mut router)), [peer]);
    meet(&mut router, hash, peer, info.len());
    let total_size = Some(info.len() as u32);
    let part = MetadataMessage::Data { piece: 0, total_size, payload: info };
    let message = Message::Extended { id: 1, payload: part.encode() };
    let outputs = tell(&mut router, swarm::Input::Message { conn: ConnId(1), message });
    let parted = |output: &Output| {
        let Output::Swarm { output, .. } = output else { return false };
        matches!(
            output,
            swarm::Output::Disconnect { reason: swarm::DisconnectReason::PrivateTorrent, .. }
        )
    };
    assert!(outputs.iter().any(parted), "{outputs:?}");
    // While its files are opened no torrent is announced; it does not come back after that.
    assert_eq!(wishes(&outputs), [(hash.into(), DhtWish::Forget)]);
    let have = althing_bittorrent::Bitfield::new(1);
    assert_eq!(wishes(&tell(&mut router, swarm::Input::StorageReady { have })), []);
}
