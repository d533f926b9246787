//! Disks that are full, fail, or are changed underneath.

mod common;

use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::files::Location;
use althing_store::pieces::Event;
use common::faulty::{Faults, Faulty};
use common::{BLOCK, Bench, Kind, Sample, random, rng, small, stored};
use std::fs;
use std::sync::Arc;

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
