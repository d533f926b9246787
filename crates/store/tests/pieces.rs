//! The pool against made-up torrents: whatever their layout, the order of blocks and the memory
//! there is, what ends up on disk is what was sent, and nothing else is ever claimed.

mod common;

use althing_base::hash::sha256;
use althing_base::{Rng, Seed, Sha256Digest};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, BlockRef, PieceIndex};
use althing_store::files::{Location, Stamp};
use althing_store::pieces::{Event, Torrent};
use bytes::Bytes;
use common::faulty::{Faults, Faulty};
use common::{Bench, Entry, Kind, Sample, random};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const BLOCK: u32 = 16 * 1024;

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

fn rng() -> Rng {
    Rng::new(Seed::from_u64(1))
}

/// Three files and two and a half pieces of four blocks.
fn small(kind: Kind) -> Sample {
    let rng = &mut rng();
    let entries = [
        Entry::new("a/one", random(rng, 100_000)),
        Entry::new("b", random(rng, 1000)),
        Entry::new("c", random(rng, 50_000)),
    ];
    Sample::new(kind, 4 * BLOCK, &entries)
}

fn stored(piece: u32) -> Event {
    Event::PieceStored { piece: PieceIndex(piece), block_digests: None }
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
fn a_full_disk_is_told_and_the_piece_can_be_stored_when_there_is_room() {
    let sample = small(Kind::V1);
    let piece = PieceIndex(1);
    for budget in [0, 64 << 20] {
        let files = Faulty::new(Faults { space: Some(20_000), ..Faults::default() });
        let bench = Bench::with_files(2, budget, Arc::new(files.clone()));
        let dir = tempfile::tempdir().unwrap();
        let torrent = bench.open(&sample, dir.path());
        for block in sample.blocks(piece) {
            torrent.store_block(block, sample.bytes(block));
        }
        sample.complete(&torrent, piece, false);
        let mut faults = 0;
        // Without memory, writing early fails first, and completing once more.
        for _ in 0..if budget == 0 { 2 } else { 1 } {
            let Event::PieceFault { fault, .. } = bench.event() else { panic!("a fault") };
            assert!(matches!(fault, StorageFault::DiskFull { .. }), "{fault}");
            faults += 1;
        }
        assert!(faults > 0);
        torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
        let Event::Verified { have, faults, .. } = bench.event() else { panic!("verified") };
        assert_eq!((have.count_ones(), faults.len()), (0, 0));
        files.set(Faults::default());
        if budget > 0 {
            sample.complete(&torrent, piece, false);
        } else {
            sample.store(&torrent, piece);
        }
        assert_eq!(bench.event(), stored(1));
        for piece in [0, 2] {
            sample.store(&torrent, PieceIndex(piece));
            assert_eq!(bench.event(), stored(piece));
        }
        sample.assert_files(dir.path());
    }
}

#[test]
fn memory_stays_bounded_even_if_nothing_can_be_written() {
    let sample = Sample::single(64 * BLOCK, "big", random(&mut rng(), 64 * BLOCK as usize));
    let files = Faulty::new(Faults { write_fails: true, ..Faults::default() });
    let budget = 4 * BLOCK as usize;
    let bench = Bench::with_files(1, budget, Arc::new(files.clone()));
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    let piece = PieceIndex(0);
    for block in sample.blocks(piece) {
        torrent.store_block(block, sample.bytes(block));
    }
    sample.complete(&torrent, piece, false);
    for _ in 0..2 {
        assert!(matches!(bench.event(), Event::PieceFault { .. }));
    }
    assert!(bench.pool.gauges().held_bytes <= 2 * budget + BLOCK as usize);
    files.set(Faults::default());
    sample.store(&torrent, piece);
    assert_eq!(bench.event(), stored(0));
}

#[test]
fn io_errors_are_told_with_file_and_reason() {
    let sample = small(Kind::V2);
    let files = Faulty::new(Faults { write_fails: true, ..Faults::default() });
    let bench = Bench::with_files(1, 64 << 20, Arc::new(files.clone()));
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    sample.store(&torrent, PieceIndex(0));
    let Event::PieceFault { fault: StorageFault::Io { path, error }, .. } = bench.event() else {
        panic!("a fault");
    };
    assert_eq!(path, dir.path().join("t/a/one").display().to_string());
    assert_eq!(error, "the disk is on fire");

    files.set(Faults { sync_fails: true, ..Faults::default() });
    sample.complete(&torrent, PieceIndex(0), false);
    assert_eq!(bench.event(), stored(0));
    torrent.sync();
    let Event::Synced { durable, fault: Some(_) } = bench.event() else { panic!("a fault") };
    assert_eq!(durable.pieces(), []);
    // What failed once is not claimed later either: the system may have dropped it.
    files.set(Faults::default());
    torrent.sync();
    let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
    assert_eq!(durable.pieces(), []);

    files.set(Faults { read_fails: true, ..Faults::default() });
    torrent.read(vec![sample.metainfo.block(PieceIndex(0), 0).unwrap()], 5);
    assert!(matches!(
        bench.event(),
        Event::ReadFault { tag: 5, fault: StorageFault::Io { .. }, .. }
    ));
    torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
    let Event::Verified { have, faults, .. } = bench.event() else { panic!("verified") };
    assert_eq!((have.count_ones(), faults.len()), (0, 1));
    torrent.leaves(PieceIndex(0));
    assert_eq!(bench.event(), Event::Leaves { piece: PieceIndex(0), leaves: None });
}

#[test]
fn a_file_deleted_or_truncated_underneath_is_told() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    let bench = Bench::new(1, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    let first = sample.metainfo.block(PieceIndex(0), 1).unwrap();
    let last = sample.metainfo.block(PieceIndex(2), 0).unwrap();
    torrent.read(vec![first, last], 0);
    assert!(matches!(bench.event(), Event::BlocksRead { .. }));
    let one = dir.path().join("t/a/one");
    fs::File::options().write(true).open(&one).unwrap().set_len(20_000).unwrap();
    torrent.read(vec![last, first], 1);
    let Event::ReadFault { tag: 1, fault, blocks } = bench.event() else { panic!("a fault") };
    assert_eq!(fault, StorageFault::FileChanged { path: one.display().to_string() });
    assert_eq!(blocks, [last, first]);

    // A piece is written, and then its file is replaced: what is flushed is not the torrent's.
    sample.store(&torrent, PieceIndex(0));
    assert_eq!(bench.event(), stored(0));
    fs::remove_file(&one).unwrap();
    fs::write(&one, "something else").unwrap();
    torrent.sync();
    let Event::Synced { durable, fault: Some(fault) } = bench.event() else { panic!("a fault") };
    assert_eq!(fault, StorageFault::FileChanged { path: one.display().to_string() });
    assert_eq!(durable.pieces(), []);

    torrent.close();
    assert!(matches!(bench.event(), Event::Closed { fault: None, .. }));
    let torrent = bench.open(&sample, dir.path());
    torrent.verify(Bitfield::full(3));
    let Event::Verified { have, faults, .. } = bench.event() else { panic!("verified") };
    assert_eq!(have.ones().collect::<Vec<_>>(), [PieceIndex(2)]);
    assert_eq!(faults, []);
}

#[test]
fn a_check_finds_what_is_there_whole() {
    for kind in [Kind::V1, Kind::V2, Kind::Hybrid] {
        let sample = small(kind);
        let count = sample.metainfo.piece_count();
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(2, 64 << 20);
        let torrent = bench.open(&sample, dir.path());
        let check = |wanted: &Bitfield, have: &[u32]| {
            torrent.verify(wanted.clone());
            let mut expected = Bitfield::new(count);
            have.iter().for_each(|&piece| assert!(expected.set(PieceIndex(piece), true)));
            let faults = vec![];
            assert_eq!(
                bench.event(),
                Event::Verified { have: expected, checked: wanted.clone(), faults }
            );
        };
        let all = Bitfield::full(count);
        check(&all, &[]);
        sample.write_files(dir.path());
        check(&all, &(0..count).collect::<Vec<_>>());
        let mut some = Bitfield::new(count);
        some.set(PieceIndex(1), true);
        check(&some, &[1]);
        check(&Bitfield::new(count), &[]);
        let one = dir.path().join("t/a/one");
        let mut data = fs::read(&one).unwrap();
        data[70_000] ^= 1;
        fs::write(&one, data).unwrap();
        let rest: Vec<u32> = (0..count).filter(|&piece| piece != 1).collect();
        check(&all, &rest);
    }
}

#[test]
fn holes_are_zeros_and_zeros_are_data_if_the_torrent_says_so() {
    let rng = &mut rng();
    for kind in [Kind::V1, Kind::V2, Kind::Hybrid] {
        let mut data = vec![0; 40 * BLOCK as usize];
        rng.fill(&mut data[..100]);
        let entries = [Entry::new("a", data), Entry::new("b", random(rng, 9 * BLOCK as usize))];
        let sample = Sample::new(kind, 4 * BLOCK, &entries);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("t")).unwrap();
        // Nothing but a hole of the right length each.
        for (name, blocks) in [("a", 40), ("b", 9)] {
            let file = fs::File::create(dir.path().join("t").join(name)).unwrap();
            file.set_len(blocks * u64::from(BLOCK)).unwrap();
        }
        let files = Faulty::default();
        let bench = Bench::with_files(1, 0, Arc::new(files.clone()));
        let torrent = bench.open(&sample, dir.path());
        let count = sample.metainfo.piece_count();
        torrent.verify(Bitfield::full(count));
        let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
        assert_eq!(have.ones().collect::<Vec<_>>(), (1..10).map(PieceIndex).collect::<Vec<_>>());
        if cfg!(target_os = "linux") {
            assert_eq!(files.writes_and_reads(), (0, 0), "holes are not read");
        }
    }
}

#[test]
fn a_check_can_be_cancelled_and_says_how_far_it_came() {
    let sample = Sample::single(BLOCK, "f", random(&mut rng(), 4 << 20));
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    let all = Bitfield::full(sample.metainfo.piece_count());
    torrent.verify(all.clone());
    torrent.cancel_verify();
    let Event::Verified { have, checked, .. } = bench.event() else { panic!("verified") };
    assert_eq!(have, checked);
    // A second check ends the first one.
    torrent.verify(all.clone());
    torrent.verify(all.clone());
    let Event::Verified { have, checked, .. } = bench.event() else { panic!("verified") };
    assert_eq!(have, checked);
    assert_eq!(bench.event(), Event::Verified { have: all.clone(), checked: all, faults: vec![] });
    bench.assert_quiet();
}

#[test]
fn what_a_check_found_becomes_durable_with_the_next_sync() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    torrent.verify(Bitfield::full(3));
    assert!(matches!(bench.event(), Event::Verified { .. }));
    torrent.sync();
    let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
    assert_eq!(durable.pieces(), [0, 1, 2].map(PieceIndex));
    let size = |(_, stamp): &(_, Stamp)| stamp.size;
    assert_eq!(durable.stamps().iter().map(size).collect::<Vec<_>>(), [100_000, 1000, 50_000]);
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
fn data_is_used_where_the_user_has_it_under_any_name() {
    let sample = small(Kind::Hybrid);
    let single = Sample::single(4 * BLOCK, "f", random(&mut rng(), 100_000));
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    fs::rename(dir.path().join("t"), dir.path().join("my folder")).unwrap();
    fs::write(dir.path().join("my file"), &single.space).unwrap();
    let bench = Bench::new(1, 64 << 20);
    for (sample, name) in [(&sample, "my folder"), (&single, "my file")] {
        let torrent = bench.open_at(sample, Location::At(dir.path().join(name)));
        torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
        let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
        assert!(have.is_full(), "{name}");
        torrent.delete();
        assert!(matches!(bench.event(), Event::Closed { fault: None, .. }));
        assert!(!dir.path().join(name).exists(), "{name}");
    }
    assert!(dir.path().exists());
}

#[test]
fn only_the_torrents_own_is_deleted() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    fs::write(dir.path().join("t/a/mine"), "mine").unwrap();
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    // What is still on its way is not written after.
    sample.store(&torrent, PieceIndex(0));
    torrent.delete();
    while !matches!(bench.event(), Event::Closed { fault: None, .. }) {}
    let left = |path: &str| {
        let entries = fs::read_dir(dir.path().join(path)).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(
        (left(""), left("t"), left("t/a")),
        (vec!["t".into()], vec!["a".into()], vec!["mine".into()])
    );
}

#[test]
#[cfg(unix)]
fn empty_files_links_and_executables_are_made() {
    use std::os::unix::fs::PermissionsExt;
    let mut link = Entry::new("d/link", vec![]).attr("l");
    link.link = vec!["e".to_owned(), "tool".to_owned()];
    let entries =
        [Entry::new("a/empty", vec![]), link, Entry::new("e/tool", vec![7; 100]).attr("x")];
    for kind in [Kind::V1, Kind::Hybrid] {
        let sample = Sample::new(kind, BLOCK, &entries);
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(1, 64 << 20);
        let torrent = bench.open(&sample, dir.path());
        for _ in 0..2 {
            torrent.prepare();
            assert_eq!(bench.event(), Event::Prepared { fault: None });
        }
        sample.store(&torrent, PieceIndex(0));
        assert_eq!(bench.event(), stored(0));
        let own = dir.path().join("t");
        assert_eq!(fs::read(own.join("a/empty")).unwrap(), b"");
        assert_eq!(fs::read_link(own.join("d/link")).unwrap(), Path::new("../e/tool"));
        assert_eq!(fs::read(own.join("d/link")).unwrap(), [7; 100]);
        let mode = fs::metadata(own.join("e/tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o100, 0o100);
        torrent.delete();
        assert!(matches!(bench.event(), Event::Closed { fault: None, .. }));
        assert!(!own.exists());
    }
}

#[test]
#[cfg(unix)]
fn a_planted_link_is_refused_and_what_it_leads_to_untouched() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    let downloads = dir.path().join("downloads");
    let secret = dir.path().join("secret");
    fs::write(&secret, vec![5; 200_000]).unwrap();
    let cases = [
        ("t/a", "t/a/one", "../../../secret", false),
        ("t", "t/a", "..", false),
        ("", "t", "..", false),
        // It stays in the torrent's own folder, so it may be followed.
        ("t", "t/a", ".", true),
    ];
    for (folder, link, target, fine) in cases {
        fs::create_dir_all(downloads.join(folder)).unwrap();
        std::os::unix::fs::symlink(target, downloads.join(link)).unwrap();
        let bench = Bench::new(1, 64 << 20);
        let torrent = bench.open(&sample, &downloads);
        sample.store(&torrent, PieceIndex(0));
        let answer = bench.event();
        assert_eq!(answer == stored(0), fine, "{link}: {answer:?}");
        torrent.delete();
        bench.event();
        assert_eq!(fs::read(&secret).unwrap(), vec![5; 200_000]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let _ = fs::remove_dir_all(&downloads);
    }
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

#[test]
fn nothing_is_written_before_the_owner_has_noted_it() {
    let sample = small(Kind::V1);
    let bench = Bench::new(1, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (sender, events) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let counter = Arc::clone(&calls);
    let torrent = bench.pool.open(althing_store::pieces::Opening {
        key: althing_store::pieces::TorrentKey(1),
        metainfo: Arc::clone(&sample.metainfo),
        location: Location::Under(dir.path().to_owned()),
        sink: Arc::new(move |_, event| sender.lock().unwrap().send(event).unwrap()),
        before_write: Some(Arc::new(move || {
            match counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Err(StorageFault::DiskFull { path: "records".to_owned() }),
                _ => Ok(()),
            }
        })),
    });
    sample.store(&torrent, PieceIndex(0));
    assert!(matches!(events.recv().unwrap(), Event::PieceFault { .. }));
    assert!(!dir.path().join("t").exists());
    sample.complete(&torrent, PieceIndex(0), false);
    sample.store(&torrent, PieceIndex(1));
    assert_eq!([events.recv().unwrap(), events.recv().unwrap()], [stored(0), stored(1)]);
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 2);
}

/// A real disk that is full: a file system of one mebibyte in memory.
#[test]
#[cfg(target_os = "linux")]
fn a_real_full_disk_pauses_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(dir.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small file system takes root");
        return;
    }
    let ballast = dir.path().join("ballast");
    fs::write(&ballast, vec![1; 900 << 10]).unwrap();
    let sample = Sample::single(16 * BLOCK, "f", random(&mut rng(), 32 * BLOCK as usize));
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    sample.store(&torrent, PieceIndex(0));
    let first = bench.event();
    fs::remove_file(&ballast).unwrap();
    sample.complete(&torrent, PieceIndex(0), false);
    let second = bench.event();
    sample.store(&torrent, PieceIndex(1));
    let third = bench.event();
    torrent.close();
    let last = bench.event();
    let same = fs::read(dir.path().join("f")).unwrap() == sample.space;
    drop(bench);
    let unmounted = std::process::Command::new("umount").arg(dir.path()).status();
    assert!(unmounted.unwrap().success());
    let path = dir.path().join("f").display().to_string();
    let fault = StorageFault::DiskFull { path };
    assert_eq!(first, Event::PieceFault { piece: PieceIndex(0), fault });
    assert_eq!((second, third), (stored(0), stored(1)));
    assert!(matches!(last, Event::Closed { fault: None, .. }));
    assert!(same);
}
