//! The hash trees of v2 torrents (BEP 52).

use super::*;
use crate::metainfo::{Builder, Format, PieceDigests};
use crate::wire::HashRequest;

/// A v2-only torrent of one file of `pieces` pieces of two blocks, and the blocks' leaves.
fn v2_torrent(pieces: u32) -> (Metainfo, Vec<Sha256Digest>) {
    let piece_length = 2 * BLOCK_SIZE;
    let mut builder = Builder::file("box", u64::from(pieces * piece_length));
    builder.format = Format::V2;
    builder.piece_length = Some(piece_length);
    let plan = builder.plan().expect("a plan");
    let mut digests = PieceDigests::default();
    let mut leaves = Vec::new();
    for piece in 0..pieces {
        let mut data = vec![0; piece_length as usize];
        data[..4].copy_from_slice(&piece.to_be_bytes());
        leaves.extend(data.chunks(BLOCK_SIZE as usize).map(sha256));
        digests.push(plan.hash_piece(PieceIndex(piece), &data).expect("a whole piece"));
    }
    (plan.finish(&digests).expect("a torrent"), leaves)
}

/// A seed of the v2 torrent and a fetcher that has only its info dictionary, as a magnet link
/// brings it; they know each other as connection 1.
fn v2_pair(pieces: u32) -> (Table, Table, Vec<Sha256Digest>) {
    let (metainfo, leaves) = v2_torrent(pieces);
    let info_hash = metainfo.info_hashes().primary();
    let now = Instant::ORIGIN + Duration::from_secs(1000);
    let magnet = metainfo.magnet();
    let bare = Metainfo::from_info(metainfo.info_bytes(), &magnet).expect("the same torrent");
    assert_eq!(bare.missing_layers().count(), 1);
    let table = |metainfo: Metainfo, id: u64, have: Bitfield| {
        let config = SwarmConfig::new(peer_id(id));
        let source = Source::Metainfo(Arc::new(metainfo));
        let swarm = Swarm::new(now, config, Seed::from_u64(id), source, false);
        let mut table = Table { swarm, now, info_hash, pieces };
        table.tell(Input::StorageReady { have });
        table
    };
    let seed = table(metainfo, 100, Bitfield::full(pieces));
    let fetcher = table(bare, 200, Bitfield::new(pieces));
    (seed, fetcher, leaves)
}

/// Carries messages between two swarms until neither says anything more; what else they asked for.
fn talk(
    a: &mut Table,
    b: &mut Table,
    mut from_a: Vec<Output>,
    mut from_b: Vec<Output>,
) -> Vec<Output> {
    let mut rest = Vec::new();
    while !from_a.is_empty() || !from_b.is_empty() {
        let mut carry = |outputs: Vec<Output>, to: &mut Table| {
            let mut answers = Vec::new();
            for output in outputs {
                match output {
                    Output::Send { message, .. } => answers.extend(to.hear(1, message)),
                    other => rest.push(other),
                }
            }
            answers
        };
        let (to_a, to_b) = (from_b, from_a);
        from_b = carry(to_b, b);
        from_a = carry(to_a, a);
    }
    rest
}

#[test]
fn piece_layers_come_from_peers() {
    // More than two requests of 512 hashes, the last one with padding.
    let (mut seed, mut fetcher, _) = v2_pair(1100);
    let greeting = (seed.connect(1), fetcher.connect(1));
    let rest = talk(&mut seed, &mut fetcher, greeting.0, greeting.1);
    let grown = rest.iter().find_map(|output| match output {
        Output::LayersReceived { metainfo } => Some(metainfo),
        _ => None,
    });
    assert_eq!(grown.expect("a piece layer").missing_layers().count(), 0);
    assert!(rest.iter().any(|output| matches!(output, Output::SendBlock { .. })));
}

#[test]
fn pieces_without_a_hash_are_not_ordered_and_false_hashes_are_banned() {
    let (mut seed, mut fetcher, _) = v2_pair(4);
    fetcher.connect(1);
    let asked = [fetcher.hear(1, Message::HaveAll), fetcher.hear(1, Message::Unchoke)].concat();
    assert!(requests(&asked, 1).is_empty());
    let request = said(&asked, 1).into_iter().find_map(|message| match message {
        Message::HashRequest(request) => Some(*request),
        _ => None,
    });
    let request = request.expect("the layer is asked for");
    seed.connect(1);
    let answer = seed.hear(1, Message::HashRequest(request));
    let [Message::Hashes { hashes, .. }] = said(&answer, 1)[..] else { panic!("{answer:?}") };
    let mut hashes = hashes.clone();
    hashes[1].0[7] ^= 1;
    let outputs = fetcher.hear(1, Message::Hashes { request, hashes });
    assert_eq!(bans(&outputs), [addr(1).ip()]);
}

#[test]
fn leaves_are_read_from_disk_for_those_who_ask() {
    let (mut seed, _, leaves) = v2_pair(4);
    seed.connect(1);
    let metainfo = Arc::clone(seed.swarm.metainfo().expect("known"));
    let shape = metainfo.tree_shape(FileIndex(0)).expect("a tree");
    let request = shape.leaf_request(2).expect("two leaves");
    let outputs = seed.hear(1, Message::HashRequest(request));
    assert!(matches!(outputs[..], [Output::ReadLeaves { piece: PieceIndex(2) }]), "{outputs:?}");
    let answer = |leaves: Option<Vec<Sha256Digest>>| Input::Leaves { piece: PieceIndex(2), leaves };
    let outputs = seed.tell(answer(Some(leaves[4..6].to_vec())));
    let [Message::Hashes { hashes, .. }] = said(&outputs, 1)[..] else { panic!("{outputs:?}") };
    let layer = metainfo.piece_layer(FileIndex(0));
    assert_eq!(shape.verify(&request, hashes, layer), Ok(&leaves[4..6]));
    // Unreadable, or of something else: refused, which is better than being banned for it.
    for bad in [None, Some(leaves[..2].to_vec())] {
        seed.hear(1, Message::HashRequest(request));
        let outputs = seed.tell(answer(bad));
        assert_eq!(said(&outputs, 1), [&Message::HashReject(request)]);
    }
    let unknown = HashRequest { pieces_root: Sha256Digest::ZERO, ..request };
    let outputs = seed.hear(1, Message::HashRequest(unknown));
    assert_eq!(said(&outputs, 1), [&Message::HashReject(unknown)]);
}
