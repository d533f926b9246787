//! Checking what is on disk.

mod common;

use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::files::Stamp;
use althing_store::pieces::Event;
use common::faulty::Faulty;
use common::{BLOCK, Bench, Entry, Kind, Sample, random, rng, small};
use std::fs;
use std::sync::Arc;

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
