//! Pieces are taken from the same file of another torrent, and from nothing else.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod common;

use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::pieces::{Copied, Event, Torrent};
use common::faulty::{Faults, Faulty};
use common::{BLOCK, Bench, Entry, Kind, Sample, random, rng};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Two torrents with the same large file between others, in pieces of other lengths.
fn pair(kinds: [Kind; 2], blocks: [u32; 2]) -> [Sample; 2] {
    let rng = &mut rng();
    let film = Entry::new("film", random(rng, 300_001));
    let first = [Entry::new("a", random(rng, 40_000)), film.clone()];
    let second = [film, Entry::new("z", random(rng, 20_000))];
    [
        Sample::new(kinds[0], blocks[0] * BLOCK, &first),
        Sample::new(kinds[1], blocks[1] * BLOCK, &second),
    ]
}

fn film(sample: &Sample) -> FileIndex {
    let at = sample.metainfo.files().iter().position(|file| file.path() == "t/film");
    FileIndex(at.unwrap() as u32)
}

/// Asks for a piece, and what becomes of it.
fn copy(bench: &Bench, to: (&Sample, &Torrent), from: (&Sample, &Torrent), piece: u32) -> Copied {
    let piece = PieceIndex(piece);
    let expected = to.0.metainfo.piece_hash(piece).unwrap();
    to.1.copy_piece(piece, expected, from.1.source(), film(from.0));
    match bench.event() {
        Event::PieceCopied { piece: of, copied } if of == piece => copied,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pieces_of_any_length_are_copied_and_claimed() {
    for (kinds, blocks) in [
        ([Kind::V2, Kind::V2], [1, 4]),
        ([Kind::Hybrid, Kind::V2], [4, 1]),
        ([Kind::V2, Kind::Hybrid], [2, 2]),
        // Longer than what is read at once.
        ([Kind::Hybrid, Kind::Hybrid], [1, 128]),
    ] {
        // With the system's help and without.
        for faulty in [false, true] {
            let [first, second] = pair(kinds, blocks);
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("1"), dir.path().join("2"));
            first.write_files(&from);
            let bench = match faulty {
                true => Bench::with_files(2, 64 << 20, Arc::new(Faulty::default())),
                false => Bench::new(2, 64 << 20),
            };
            let (a, b) = (bench.open(&first, &from), bench.open(&second, &to));
            let pieces = second.metainfo.file_pieces(film(&second));
            for piece in pieces.clone() {
                let copied = copy(&bench, (&second, &b), (&first, &a), piece);
                assert_eq!(copied, Copied::Right, "{piece}");
            }
            assert!(fs::read(to.join("t/film")).unwrap() == fs::read(from.join("t/film")).unwrap());
            b.sync();
            let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
            let mut claimed = durable.pieces().to_vec();
            claimed.sort();
            assert_eq!(claimed, pieces.map(PieceIndex).collect::<Vec<_>>());
            assert!(!to.join("t/z").exists());
        }
    }
}

#[test]
fn what_is_not_the_same_is_refused() {
    let [first, second] = pair([Kind::V2, Kind::V2], [2, 2]);
    let v1 = pair([Kind::V1, Kind::V1], [2, 2]);
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("1"), dir.path().join("2"));
    first.write_files(&from);
    let bench = Bench::new(1, 64 << 20);
    let (a, b) = (bench.open(&first, &from), bench.open(&second, &to));
    // Another file of it, one that is not there, and files that nothing proves to be the same.
    let piece = PieceIndex(second.metainfo.file_pieces(film(&second)).start);
    let expected = second.metainfo.piece_hash(piece).unwrap();
    for file in [0, 99] {
        b.copy_piece(piece, expected, a.source(), FileIndex(file));
        let refused = Event::PieceCopied { piece, copied: Copied::Unavailable };
        assert_eq!(bench.event(), refused);
    }
    let (c, d) = (bench.open(&v1[0], &from), bench.open(&v1[1], &to));
    assert_eq!(copy(&bench, (&v1[1], &d), (&v1[0], &c), 1), Copied::Unavailable);
    assert!(!Path::new(&to).exists());
    // Its bytes have changed: nothing of it is claimed, and what is fetched instead is right.
    let mut bytes = fs::read(from.join("t/film")).unwrap();
    bytes[5] ^= 1;
    fs::write(from.join("t/film"), &bytes).unwrap();
    assert_eq!(copy(&bench, (&second, &b), (&first, &a), piece.0), Copied::Differs);
    b.sync();
    let Event::Synced { durable, .. } = bench.event() else { panic!("synced") };
    assert_eq!(durable.pieces(), []);
    second.store(&b, piece);
    assert_eq!(bench.event(), common::stored(piece.0));
    // It is shorter, or gone, or closed.
    let last = PieceIndex(second.metainfo.file_pieces(film(&second)).end - 1);
    fs::write(from.join("t/film"), &bytes[..100_000]).unwrap();
    assert_eq!(copy(&bench, (&second, &b), (&first, &a), last.0), Copied::Unavailable);
    let source = a.source();
    a.delete();
    assert!(matches!(bench.event(), Event::Closed { .. }));
    b.copy_piece(piece, expected, source, film(&first));
    assert_eq!(bench.event(), Event::PieceCopied { piece, copied: Copied::Unavailable });
}

#[test]
fn a_piece_that_blocks_have_come_of_is_left_alone() {
    let [first, second] = pair([Kind::V2, Kind::V2], [2, 4]);
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("1"), dir.path().join("2"));
    first.write_files(&from);
    let bench = Bench::new(1, 64 << 20);
    let (a, b) = (bench.open(&first, &from), bench.open(&second, &to));
    let block = second.blocks(PieceIndex(0)).next().unwrap();
    b.store_block(block, second.bytes(block));
    assert_eq!(copy(&bench, (&second, &b), (&first, &a), 0), Copied::Unavailable);
    b.abandon_piece(PieceIndex(0));
    assert_eq!(copy(&bench, (&second, &b), (&first, &a), 0), Copied::Right);
}

#[test]
fn a_disk_that_is_full_or_broken_claims_nothing() {
    let [first, second] = pair([Kind::V2, Kind::V2], [2, 4]);
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("1"), dir.path().join("2"));
    first.write_files(&from);
    let disk = Faulty::new(Faults { space: Some(10_000), ..Faults::default() });
    let bench = Bench::with_files(1, 64 << 20, Arc::new(disk.clone()));
    let (a, b) = (bench.open(&first, &from), bench.open(&second, &to));
    let full = copy(&bench, (&second, &b), (&first, &a), 0);
    assert!(matches!(full, Copied::Fault(StorageFault::DiskFull { .. })), "{full:?}");
    disk.set(Faults { write_fails: true, ..Faults::default() });
    let broken = copy(&bench, (&second, &b), (&first, &a), 0);
    assert!(matches!(broken, Copied::Fault(StorageFault::Io { .. })), "{broken:?}");
    // The other one's disk is no fault of ours.
    disk.set(Faults { read_fails: true, ..Faults::default() });
    assert_eq!(copy(&bench, (&second, &b), (&first, &a), 0), Copied::Unavailable);
    disk.set(Faults::default());
    b.verify(Bitfield::full(second.metainfo.piece_count()));
    let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
    assert_eq!(have.count_ones(), 0);
    disk.set(Faults { at_once: Some(5000), interrupts: true, ..Faults::default() });
    assert_eq!(copy(&bench, (&second, &b), (&first, &a), 0), Copied::Right);
}
