//! Blocks of unfinished pieces: from one run to the next, and within their memory.

mod common;

use althing_bittorrent::PieceIndex;
use althing_store::pieces::{Event, Partial, Torrent};
use common::faulty::{Faults, Faulty};
use common::{BLOCK, Bench, Kind, Sample, random, rng, small, stored};
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

/// Hands in some blocks of a piece.
fn store_some(sample: &Sample, torrent: &Torrent, piece: u32, numbers: &[u32]) {
    for (number, block) in (0..).zip(sample.blocks(PieceIndex(piece))) {
        if numbers.contains(&number) {
            torrent.store_block(block, sample.bytes(block));
        }
    }
}

/// Closes a torrent; what was on disk of unfinished pieces.
fn close(bench: &Bench, torrent: Torrent) -> Vec<Partial> {
    torrent.close();
    let Event::Closed { durable, fault: None } = bench.event() else { panic!("closed") };
    durable.partials().expect("it was looked at").to_vec()
}

/// The pieces and how many blocks of each.
fn numbers(partials: &[Partial]) -> Vec<(u32, Vec<u32>)> {
    let blocks = |partial: &Partial| partial.blocks.iter().map(|(number, _)| *number).collect();
    partials.iter().map(|partial| (partial.piece.0, blocks(partial))).collect()
}

#[test]
fn blocks_of_unfinished_pieces_are_there_in_the_next_run() {
    for kind in [Kind::V1, Kind::V2, Kind::Hybrid] {
        let sample = small(kind);
        let bench = Bench::new(2, 64 << 20);
        let dir = tempfile::tempdir().unwrap();
        let torrent = bench.open(&sample, dir.path());
        store_some(&sample, &torrent, 0, &[0, 2]);
        store_some(&sample, &torrent, 1, &[0, 1, 2]);
        let partials = close(&bench, torrent);
        let last = sample.blocks(PieceIndex(1)).count().min(3) as u32;
        let expected = vec![(0, vec![0, 2]), (1, (0..last).collect())];
        assert_eq!(numbers(&partials), expected, "{kind:?}");
        assert_eq!(bench.pool.gauges().held_bytes, 0);

        let torrent = bench.open(&sample, dir.path());
        torrent.restore(partials.clone());
        let mut restored = Vec::new();
        for _ in 0..2 {
            let Event::Restored { piece, blocks } = bench.event() else { panic!("restored") };
            restored.push((piece.0, blocks));
        }
        restored.sort();
        assert_eq!(restored, expected, "{kind:?}");
        // They take no memory, and the rest is all that has to be handed in.
        assert_eq!(bench.pool.gauges().held_bytes, 0);
        store_some(&sample, &torrent, 0, &[1, 3]);
        sample.complete(&torrent, PieceIndex(0), false);
        assert_eq!(bench.event(), stored(0));
        // What is not finished this time either is written down again.
        assert_eq!(numbers(&close(&bench, torrent)), expected[1..], "{kind:?}");
    }
}

#[test]
fn a_block_that_changed_underneath_is_not_taken_in() {
    let sample = small(Kind::V1);
    let bench = Bench::new(1, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    store_some(&sample, &torrent, 0, &[0, 1]);
    let partials = close(&bench, torrent);
    let mut file = fs::OpenOptions::new().write(true).open(dir.path().join("t/a/one")).unwrap();
    file.seek(SeekFrom::Start(u64::from(BLOCK) + 5)).unwrap();
    file.write_all(b"other").unwrap();
    let torrent = bench.open(&sample, dir.path());
    torrent.restore(partials.clone());
    assert_eq!(bench.event(), Event::Restored { piece: PieceIndex(0), blocks: vec![0] });
    // Without the file there is nothing, and nobody is told of a fault.
    drop(torrent);
    fs::remove_file(dir.path().join("t/a/one")).unwrap();
    let torrent = bench.open(&sample, dir.path());
    torrent.restore(partials);
    sample.store(&torrent, PieceIndex(0));
    assert_eq!(bench.event(), stored(0));
}

#[test]
fn numbers_that_cannot_be_are_ignored() {
    let sample = small(Kind::V1);
    let bench = Bench::new(1, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    store_some(&sample, &torrent, 0, &[0]);
    let mut partials = close(&bench, torrent);
    let sum = partials[0].blocks[0].1;
    partials[0].blocks.extend([(1, sum), (4, sum), (u32::MAX, sum)]);
    partials.push(Partial { piece: PieceIndex(77), blocks: vec![(0, sum)] });
    let torrent = bench.open(&sample, dir.path());
    torrent.restore(partials);
    assert_eq!(bench.event(), Event::Restored { piece: PieceIndex(0), blocks: vec![0] });
    torrent.sync();
    assert!(matches!(bench.event(), Event::Synced { .. }));
    bench.assert_quiet();
}

#[test]
fn saving_writes_what_was_there_the_last_time_too() {
    let sample = small(Kind::V1);
    let files = Faulty::default();
    let bench = Bench::with_files(1, 64 << 20, Arc::new(files.clone()));
    let dir = tempfile::tempdir().unwrap();
    let torrent = bench.open(&sample, dir.path());
    let sync = || {
        torrent.sync();
        let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
        numbers(durable.partials().expect("it was looked at"))
    };
    store_some(&sample, &torrent, 0, &[0, 1]);
    assert_eq!(sync(), []);
    assert_eq!(files.writes_and_reads().0, 0, "it may be whole in a moment");
    assert_eq!(sync(), [(0, vec![0, 1])]);
    let written = files.writes_and_reads().0;
    assert_eq!(sync(), [(0, vec![0, 1])]);
    assert_eq!(files.writes_and_reads().0, written, "nothing is written twice");
    store_some(&sample, &torrent, 0, &[2, 3]);
    sample.complete(&torrent, PieceIndex(0), false);
    assert_eq!(bench.event(), stored(0));
    assert_eq!(sync(), []);
    // A disk that does not take them keeps them from nothing but the next run.
    store_some(&sample, &torrent, 1, &[0]);
    assert_eq!(sync(), []);
    files.set(Faults { write_fails: true, ..Faults::default() });
    torrent.sync();
    assert!(matches!(bench.event(), Event::PieceFault { .. }));
    let Event::Synced { durable, .. } = bench.event() else { panic!("synced") };
    assert_eq!(numbers(durable.partials().expect("it was looked at")), []);
}

/// However slow the disk is, whoever asks before reading from a socket stays within the budget. The
/// disk here takes nothing at all until it is let go.
#[test]
fn memory_stays_in_budget_while_the_disk_takes_nothing() {
    const PIECES: u32 = 64;
    let piece_length = 8 * BLOCK;
    let data = random(&mut rng(), (PIECES * piece_length) as usize);
    let sample = Sample::single(piece_length, "big", data);
    let budget = 2 << 20;
    for workers in [1, 3] {
        let files = Faulty::new(Faults { writes_wait: true, ..Faults::default() });
        let bench = Bench::with_files(workers, budget, Arc::new(files.clone()));
        let dir = tempfile::tempdir().unwrap();
        let torrent = bench.open(&sample, dir.path());
        // In the order of the blocks' numbers, so that no piece is complete before all are begun:
        // what has come has to be held, or written early.
        let order: Vec<_> =
            (0..8).flat_map(|number| sample.pieces().map(move |piece| (piece, number))).collect();
        let mut rest = order.into_iter().peekable();
        let mut most = 0;
        let mut freed = false;
        while rest.peek().is_some() {
            if bench.pool.is_congested() {
                if !freed {
                    // The network is no longer read, and the disk has never taken a byte.
                    let gauges = bench.pool.gauges();
                    assert!(gauges.queued_bytes + gauges.held_bytes >= budget, "{gauges:?}");
                    freed = true;
                    files.set(Faults::default());
                }
                std::thread::yield_now();
                continue;
            }
            let Some((piece, number)) = rest.next() else { break };
            let block = sample.metainfo.block(piece, number).unwrap();
            torrent.store_block(block, sample.bytes(block));
            if number == 7 {
                sample.complete(&torrent, piece, false);
            }
            let gauges = bench.pool.gauges();
            most = most.max(gauges.queued_bytes + gauges.held_bytes);
        }
        assert!(freed, "8 MiB do not fit 2");
        // A quarter more, and the block that was handed in last. (Between the two gauges a block may
        // be counted twice.)
        let bound = budget / 4 * 5 + (1 + workers) * LANE_BYTES;
        assert!(most <= bound, "{most} > {bound}");
        let mut done = Vec::new();
        for _ in 0..PIECES {
            let Event::PieceStored { piece, .. } = bench.event() else { panic!("stored") };
            done.push(piece);
        }
        done.sort();
        assert!(done.into_iter().eq(sample.pieces()));
        sample.assert_files(dir.path());
        assert!(bench.pool.gauges().spilled_bytes > 0);
        assert_eq!(bench.pool.gauges().held_bytes, 0);
    }
}

/// What a worker has taken out of its queue and not looked at yet.
const LANE_BYTES: usize = 256 << 10;
