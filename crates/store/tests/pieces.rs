//! The pool against made-up torrents: whatever their layout, the order of blocks and the memory
//! there is, what ends up on disk is what was sent, and nothing else is ever claimed.

mod common;

use althing_base::hash::sha256;
use althing_base::{Rng, Seed, Sha256Digest};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, BlockRef, PieceIndex};
use althing_store::pieces::{Event, Torrent};
use bytes::Bytes;
use common::faulty::{Faults, Faulty};
use common::{BLOCK, Bench, Entry, Kind, Sample, random, rng, small, stored};
use proptest::prelude::*;
use std::fs;
use std::sync::Arc;

/// What a run of the property looks like.
#[derive(Clone, Debug)]
struct Plan {
    kind: Kind,
    piece_length: u32,
    sizes: Vec<usize>,
    workers: usize,
    budget: usize,
    seed: u64,
    faults: (Option<usize>, bool),
}

fn plans() -> impl Strategy<Value = Plan> {
    let size = prop_oneof![
        3 => 0usize..300,
        3 => 1usize..100_000,
        1 => Just(BLOCK as usize),
        1 => Just(2 * BLOCK as usize),
    ];
    let kind = prop_oneof![
        (Just(Kind::V1), prop_oneof![Just(BLOCK), Just(4 * BLOCK), 200u32..50_000]),
        (Just(Kind::V2), prop_oneof![Just(BLOCK), Just(4 * BLOCK)]),
        (Just(Kind::Hybrid), prop_oneof![Just(BLOCK), Just(4 * BLOCK)]),
    ];
    let sizes = prop::collection::vec(size, 1..12)
        .prop_filter("something to share", |sizes| sizes.iter().any(|&size| size > 0));
    let budget = prop_oneof![Just(0), 10_000usize..200_000, Just(64 << 20)];
    let faults = (prop::option::of(1usize..40_000), any::<bool>());
    (kind, sizes, 1usize..4, budget, any::<u64>(), faults).prop_map(
        |((kind, piece_length), sizes, workers, budget, seed, faults)| Plan {
            kind,
            piece_length,
            sizes,
            workers,
            budget,
            seed,
            faults,
        },
    )
}

/// Files of the given sizes; of a v1 torrent some are padding in the most awkward places, and
/// some have an attribute.
fn entries(plan: &Plan, rng: &mut Rng) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (number, &size) in plan.sizes.iter().enumerate() {
        if plan.kind == Kind::V1 && number > 0 && rng.chance(0.2) {
            entries.push(Entry::new(&format!(".pad/{number}"), vec![0; size]).attr("p"));
            continue;
        }
        let path =
            if rng.chance(0.5) { format!("a{number:02}/file") } else { format!("f{number:02}") };
        let zeros = rng.chance(0.1);
        let data = if zeros { vec![0; size] } else { random(rng, size) };
        entries.push(Entry::new(&path, data).attr(if rng.chance(0.1) { "x" } else { "" }));
    }
    if entries.iter().all(|entry| entry.data.is_empty()) {
        entries.push(Entry::new("last", vec![1]));
    }
    entries.sort_by(|a, b| {
        if plan.kind == Kind::V1 { std::cmp::Ordering::Equal } else { a.path.cmp(&b.path) }
    });
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sent_is_on_disk(plan in plans()) {
        let mut rng = Rng::new(Seed::from_u64(plan.seed));
        let sample = Sample::new(plan.kind, plan.piece_length, &entries(&plan, &mut rng));
        let (at_once, interrupts) = plan.faults;
        let files = Faulty::new(Faults { at_once, interrupts, ..Faults::default() });
        let bench = Bench::with_files(plan.workers, plan.budget, Arc::new(files));
        let dir = tempfile::tempdir().unwrap();
        let torrent = bench.open(&sample, dir.path());

        let mut blocks: Vec<BlockRef> = sample.pieces().flat_map(|piece| sample.blocks(piece).collect::<Vec<_>>()).collect();
        rng.shuffle(&mut blocks);
        // Some arrive wrong first, and are replaced.
        for block in &blocks {
            if rng.chance(0.1) {
                torrent.store_block(*block, Bytes::from(random(&mut rng, block.len as usize)));
            }
        }
        for block in &blocks {
            torrent.store_block(*block, sample.bytes(*block));
        }
        let wanted = rng.chance(0.5);
        for piece in sample.pieces() {
            sample.complete(&torrent, piece, wanted);
        }
        let mut stored = Bitfield::new(sample.metainfo.piece_count());
        let mut stained = Bitfield::new(sample.metainfo.piece_count());
        while !stored.is_full() {
            match bench.event() {
                Event::PieceStored { piece, block_digests } => {
                    let wanted = wanted && !stained.get(piece);
                    prop_assert_eq!(block_digests, wanted.then(|| sample.digests(piece)));
                    prop_assert!(stored.set(piece, true));
                }
                // Random bytes where padding belongs stain the piece; it is fetched again.
                Event::PieceCorrupt { piece, block_digests } => {
                    prop_assert_eq!(plan.kind, Kind::V1);
                    prop_assert_eq!(block_digests, sample.digests(piece));
                    prop_assert!(stained.set(piece, true));
                    sample.store(&torrent, piece);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(bench.pool.gauges().held_bytes, 0);

        check_reads(&bench, &torrent, &sample, &mut rng);
        for piece in sample.pieces() {
            torrent.leaves(piece);
            prop_assert_eq!(bench.event(), Event::Leaves { piece, leaves: Some(sample.digests(piece)) });
        }
        torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
        let all = Bitfield::full(sample.metainfo.piece_count());
        prop_assert_eq!(bench.event(), Event::Verified { have: all.clone(), checked: all, faults: vec![] });
        torrent.close();
        let Event::Closed { durable, fault: None } = bench.event() else { panic!("closed") };
        let mut pieces = durable.pieces().to_vec();
        pieces.sort();
        pieces.dedup();
        prop_assert_eq!(pieces, sample.pieces().collect::<Vec<_>>());
        sample.assert_files(dir.path());
        bench.assert_quiet();
    }
}

/// Reads random blocks, among them neighbours and odd lengths.
fn check_reads(bench: &Bench, torrent: &Torrent, sample: &Sample, rng: &mut Rng) {
    let mut blocks = Vec::new();
    for _ in 0..rng.below(20) {
        let piece = PieceIndex(rng.below(sample.metainfo.piece_count().into()) as u32);
        let size = u64::from(sample.metainfo.piece_size(piece));
        let mut begin = rng.below(size) as u32;
        for _ in 0..rng.below(4) {
            let left = size - u64::from(begin);
            if left == 0 {
                break;
            }
            let len = 1 + rng.below(left.min(u64::from(BLOCK))) as u32;
            blocks.push(BlockRef { piece, begin, len });
            begin += len;
        }
    }
    torrent.read(blocks.clone(), 3);
    let blocks = blocks.into_iter().map(|block| (block, sample.bytes(block))).collect();
    assert_eq!(bench.event(), Event::BlocksRead { tag: 3, blocks });
}

#[test]
fn a_wrong_block_is_told_by_its_digest_and_the_piece_is_not_written() {
    for kind in [Kind::V1, Kind::V2, Kind::Hybrid] {
        let sample = small(kind);
        for budget in [0, 64 << 20] {
            let bench = Bench::new(2, budget);
            let dir = tempfile::tempdir().unwrap();
            let torrent = bench.open(&sample, dir.path());
            let piece = PieceIndex(0);
            let wrong = sample.metainfo.block(piece, 2).unwrap();
            let junk = Bytes::from(vec![9; wrong.len as usize]);
            for block in sample.blocks(piece) {
                let data = if block == wrong { junk.clone() } else { sample.bytes(block) };
                torrent.store_block(block, data);
            }
            sample.complete(&torrent, piece, false);
            let mut digests: Vec<Sha256Digest> = sample.digests(piece);
            digests[2] = sha256(&junk);
            assert_eq!(bench.event(), Event::PieceCorrupt { piece, block_digests: digests });
            if budget > 0 {
                assert!(!dir.path().join("t").exists());
            }
            // It is forgotten: the blocks have to come again, all of them.
            sample.complete(&torrent, piece, false);
            assert!(matches!(bench.event(), Event::PieceFault { .. }));
            sample.store(&torrent, piece);
            assert_eq!(bench.event(), stored(0));
        }
    }
}

#[test]
fn padding_that_is_not_zeros_is_never_right_whatever_the_hash_says() {
    // It would read as something else ever after: padding is not on disk.
    let rng = &mut rng();
    let entries = [
        Entry::new("a", random(rng, 1000)),
        Entry::new(".pad/1", vec![7; 24]).attr("p"),
        Entry::new("b", random(rng, 1000)),
    ];
    let sample = Sample::new(Kind::V1, BLOCK, &entries);
    let hashed: Vec<u8> = entries.iter().flat_map(|entry| entry.data.clone()).collect();
    let bench = Bench::new(1, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    let piece = PieceIndex(0);
    torrent.store_block(sample.metainfo.block(piece, 0).unwrap(), Bytes::from(hashed.clone()));
    sample.complete(&torrent, piece, false);
    let block_digests = vec![sha256(&hashed)];
    assert_eq!(bench.event(), Event::PieceCorrupt { piece, block_digests });
    assert!(!dir.path().join("t").exists());
}

#[test]
fn what_is_no_block_of_the_torrent_is_ignored() {
    let sample = small(Kind::V1);
    let bench = Bench::new(1, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    let piece = PieceIndex(0);
    for (index, begin, len) in
        [(0, 1, BLOCK), (0, 0, BLOCK - 1), (9, 0, BLOCK), (0, 4 * BLOCK, BLOCK), (0, u32::MAX, 1)]
    {
        let block = BlockRef { piece: PieceIndex(index), begin, len };
        torrent.store_block(block, Bytes::from(vec![0; len as usize]));
    }
    torrent.store_block(sample.metainfo.block(piece, 0).unwrap(), Bytes::from_static(b"short"));
    sample.complete(&torrent, piece, false);
    let Event::PieceFault { fault: StorageFault::Io { error, .. }, .. } = bench.event() else {
        panic!("incomplete");
    };
    assert_eq!(error, "block 0 of piece 0 was never handed in");
    assert_eq!(bench.pool.gauges().held_bytes, 0);
    for blocks in [
        vec![BlockRef { piece, begin: 4 * BLOCK - 1, len: 2 }],
        vec![BlockRef { piece: PieceIndex(9), begin: 0, len: 1 }],
        vec![BlockRef { piece, begin: 0, len: 0 }],
        vec![BlockRef { piece, begin: 0, len: 1 }; 5000],
    ] {
        torrent.read(blocks, 0);
        assert!(matches!(bench.event(), Event::ReadFault { fault: StorageFault::Io { .. }, .. }));
    }
    torrent.leaves(PieceIndex(9));
    assert_eq!(bench.event(), Event::Leaves { piece: PieceIndex(9), leaves: None });
}

#[test]
fn an_abandoned_piece_and_a_dropped_torrent_free_their_memory() {
    let sample = small(Kind::V1);
    let bench = Bench::new(2, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    let block = sample.metainfo.block(PieceIndex(0), 1).unwrap();
    torrent.store_block(block, sample.bytes(block));
    torrent.abandon_piece(PieceIndex(0));
    sample.store(&torrent, PieceIndex(2));
    assert_eq!(bench.event(), stored(2));
    assert_eq!(bench.pool.gauges().held_bytes, 0);
    torrent.store_block(block, sample.bytes(block));
    drop(torrent);
    // The next torrent's answers come after the first one's end.
    let torrent = bench.open(&sample, dir.path());
    for piece in sample.pieces() {
        sample.store(&torrent, piece);
        assert_eq!(bench.event(), stored(piece.0));
    }
    assert_eq!(bench.pool.gauges().held_bytes, 0);
}

#[test]
fn above_the_budget_blocks_go_to_disk_early_and_claim_nothing() {
    let sample = small(Kind::Hybrid);
    let files = Faulty::default();
    let bench = Bench::with_files(1, 2 * BLOCK as usize, Arc::new(files.clone()));
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    let piece = PieceIndex(0);
    for block in sample.blocks(piece) {
        torrent.store_block(block, sample.bytes(block));
    }
    // A check says what is there, and makes sure that the blocks before it were taken.
    torrent.leaves(piece);
    assert!(matches!(bench.event(), Event::Leaves { .. }));
    torrent.sync();
    let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
    assert_eq!(durable.pieces(), []);
    let gauges = bench.pool.gauges();
    assert!(gauges.held_bytes <= 2 * BLOCK as usize, "{gauges:?}");
    assert!(gauges.spilled_bytes >= 2 * u64::from(BLOCK), "{gauges:?}");
    let (_, reads) = files.writes_and_reads();
    sample.complete(&torrent, piece, true);
    let block_digests = Some(sample.digests(piece));
    assert_eq!(bench.event(), Event::PieceStored { piece, block_digests });
    assert_eq!(files.writes_and_reads().1, reads, "blocks hashed in order are not read back");
}

#[test]
fn a_longer_file_is_cut_when_it_is_written_to_and_only_then() {
    let sample = Sample::single(4 * BLOCK, "f", random(&mut rng(), 100_000));
    let dir = tempfile::tempdir().unwrap();
    let mut longer = sample.space.clone();
    longer[0] ^= 1;
    longer.extend(b"more");
    fs::write(dir.path().join("f"), &longer).unwrap();
    let bench = Bench::new(1, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    torrent.verify(Bitfield::full(2));
    let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
    assert_eq!(have.ones().collect::<Vec<_>>(), [PieceIndex(1)]);
    torrent.read(vec![sample.metainfo.block(PieceIndex(1), 0).unwrap()], 0);
    bench.event();
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), longer);
    sample.store(&torrent, PieceIndex(0));
    assert_eq!(bench.event(), stored(0));
    sample.assert_files(dir.path());
}

#[test]
fn many_small_files_in_one_piece_and_ten_thousand_in_all() {
    let rng = &mut rng();
    let files = (0..10_000).map(|number| {
        let size = rng.below(200) as usize;
        Entry::new(&format!("d{:02}/{number:05}", number / 500), random(rng, size))
    });
    let files: Vec<Entry> = files.collect();
    let sample = Sample::new(Kind::V1, 8 * BLOCK, &files);
    // On a disk that others write to as well, flushing the whole file system takes its time.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    torrent.prepare();
    assert_eq!(bench.event(), Event::Prepared { fault: None });
    for piece in sample.pieces() {
        sample.store(&torrent, piece);
    }
    for _ in sample.pieces() {
        assert!(matches!(bench.event(), Event::PieceStored { .. }));
    }
    assert!(bench.pool.gauges().open_files <= 4);
    torrent.sync();
    let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
    assert_eq!(durable.pieces().len(), sample.pieces().count());
    torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
    let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
    assert!(have.is_full());
    sample.assert_files(dir.path());
}

#[test]
fn reads_with_one_tag_keep_their_order_and_can_be_cancelled() {
    let sample = Sample::single(16 * BLOCK, "f", random(&mut rng(), 64 * BLOCK as usize));
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    let block = |number: u32| sample.metainfo.block(PieceIndex(number / 16), number % 16).unwrap();
    for number in 0..64 {
        torrent.read(vec![block(number)], 1);
    }
    for number in 0..64 {
        let blocks = vec![(block(number), sample.bytes(block(number)))];
        assert_eq!(bench.event(), Event::BlocksRead { tag: 1, blocks });
    }
    // The first of these keeps the worker busy, so some of the rest never begin.
    for number in 0..64 {
        torrent.read((0..64).map(block).collect(), 2);
        torrent.read(vec![block(number)], 4);
    }
    torrent.cancel_reads(4);
    torrent.read(vec![block(0)], 6);
    let mut answers = (0, 0);
    loop {
        match bench.event() {
            Event::BlocksRead { tag: 2, .. } => answers.0 += 1,
            Event::BlocksRead { tag: 4, .. } => answers.1 += 1,
            Event::BlocksRead { tag: 6, .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers.0, 64);
    assert!(answers.1 < 64);
}
