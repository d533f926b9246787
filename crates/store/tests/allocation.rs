//! `storage.allocation = "full"`: a download's space is taken before it comes.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod common;

use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::pieces::Event;
use common::faulty::{Faults, Faulty};
use common::{Bench, Kind, Sample, small, stored};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn all_files(sample: &Sample) -> Vec<FileIndex> {
    (0..sample.metainfo.files().len() as u32).map(FileIndex).collect()
}

/// Whether the file system takes space before it is written to: some can't.
#[cfg(target_os = "linux")]
fn can_allocate(folder: &Path) -> bool {
    let file = fs::File::create(folder.join("probe")).unwrap();
    let can = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 4096).is_ok();
    fs::remove_file(folder.join("probe")).unwrap();
    can
}

#[test]
#[cfg(target_os = "linux")]
fn all_space_is_taken_really_and_nothing_counts_as_there() {
    use std::os::unix::fs::MetadataExt;
    for kind in [Kind::V1, Kind::Hybrid] {
        let sample = small(kind);
        let dir = tempfile::tempdir().unwrap();
        if !can_allocate(dir.path()) {
            println!("skipped: this file system takes no space before it is written to");
            return;
        }
        let bench = Bench::new(1, 64 << 20);
        let torrent = bench.open(&sample, dir.path());
        sample.store(&torrent, PieceIndex(1));
        assert_eq!(bench.event(), stored(1));
        torrent.allocate(all_files(&sample));
        assert_eq!(bench.event(), Event::Prepared { fault: None });
        for file in sample.metainfo.files() {
            let path = dir.path().join(file.path());
            if file.is_pad() {
                assert!(!path.exists(), "{}", path.display());
                continue;
            }
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.len(), file.size());
            assert!(metadata.blocks() * 512 >= file.size(), "{} has holes", file.path());
        }
        // What was there before has stayed, and zeros are not taken for data.
        torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
        let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
        assert_eq!(have.ones().collect::<Vec<_>>(), [PieceIndex(1)]);
        for piece in sample.pieces() {
            sample.store(&torrent, piece);
            assert_eq!(bench.event(), stored(piece.0));
        }
        sample.assert_files(dir.path());
    }
}

#[test]
fn a_disk_that_is_too_small_is_found_before_anything_comes() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::new(Faults { space: Some(50_000), ..Faults::default() });
    let bench = Bench::with_files(1, 64 << 20, Arc::new(disk));
    let torrent = bench.open(&sample, dir.path());
    torrent.allocate(all_files(&sample));
    let refused = bench.event();
    let Event::Prepared { fault: Some(StorageFault::DiskFull { path }) } = refused else {
        panic!("{refused:?}")
    };
    assert!(path.ends_with("t/a/one"), "{path}");
}

#[test]
fn without_it_files_take_no_more_than_what_has_come() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    sample.store(&torrent, PieceIndex(0));
    assert_eq!(bench.event(), stored(0));
    let piece = u64::from(sample.metainfo.piece_length());
    assert_eq!(fs::metadata(dir.path().join("t/a/one")).unwrap().len(), piece);
    assert!(!dir.path().join("t/b").exists());
}
