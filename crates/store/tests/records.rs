//! Records across restarts: what is claimed is on disk, whatever instant the process dies at.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code outside of test functions")]

mod common;

use althing_base::{Rng, Seed, Sha1Digest, UnixTime};
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::files::{DiskFiles, Location, Root};
use althing_store::pieces::{Durable, Event, Opening, Pool, PoolConfig, Torrent, TorrentKey};
use althing_store::records::{Assessment, Record, RecordError, Records, Resume, Stored, assess};
use common::{BLOCK, Bench, Entry, Kind, Sample, random};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

fn id(number: u8) -> Sha1Digest {
    Sha1Digest([number; 20])
}

fn record(path: &Path) -> Record {
    Record::new(Location::Under(path.to_owned()), UnixTime(1_700_000_000))
}

fn pieces(count: u32, ones: impl IntoIterator<Item = u32>) -> Bitfield {
    let mut pieces = Bitfield::new(count);
    ones.into_iter().for_each(|piece| assert!(pieces.set(PieceIndex(piece), true)));
    pieces
}

#[test]
fn torrents_come_back_in_order_with_all_that_was_put() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let records = Records::open(&path).unwrap();
    let mut expected = Vec::new();
    for number in [3, 1, 2] {
        let mut stored =
            Stored { id: id(number), record: record(dir.path()), torrent: None, resume: None };
        stored.record.uploaded = u64::from(number);
        records.put(stored.id, &stored.record).unwrap();
        if number != 2 {
            stored.torrent = Some(vec![number; 5000].into());
            records.put_torrent(stored.id, &[number; 5000]).unwrap();
        }
        if number == 3 {
            records.claim(stored.id, 9, &Durable::default(), false).unwrap();
            stored.resume = Some(Resume { clean: false, ..Resume::new(9) });
        }
        expected.push(stored);
    }
    expected.sort_by_key(|stored| stored.id);
    // A torrent file without a record is nobody's.
    records.put_torrent(id(0), b"left over").unwrap();
    drop(records);
    let records = Records::open(&path).unwrap();
    let all: Vec<Stored> = records.iter().map(Result::unwrap).collect();
    assert_eq!(all, expected);
    for stored in expected {
        assert_eq!(records.get(stored.id).unwrap(), Some(stored.clone()));
        records.remove(stored.id).unwrap();
        assert_eq!(records.get(stored.id).unwrap(), None);
    }
    assert_eq!(records.iter().count(), 0);
}

#[test]
fn a_newer_format_and_a_second_process_are_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let records = Records::open(&path).unwrap();
    let error = Records::open(&path).unwrap_err();
    assert!(matches!(error, RecordError::InUse { .. }), "{error}");
    drop(records);
    let database = fjall::Database::builder(&path).open().unwrap();
    let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
    meta.insert("format", "3").unwrap();
    drop((meta, database));
    let error = Records::open(&path).unwrap_err();
    assert!(matches!(error, RecordError::Newer { found: 3, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("update Althing"), "{error}");
}

#[test]
fn one_damaged_record_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let records = Records::open(&path).unwrap();
    records.put(id(2), &record(dir.path())).unwrap();
    drop(records);
    let database = fjall::Database::builder(&path).open().unwrap();
    let table = database.keyspace("records", fjall::KeyspaceCreateOptions::default).unwrap();
    table.insert([1; 20], "junk").unwrap();
    table.insert("short", "junk").unwrap();
    drop((table, database));
    let records = Records::open(&path).unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = records.iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 2));
    let error = bad[0].as_ref().unwrap_err().to_string();
    assert!(error.contains(&id(1).to_string()) && error.contains("add it again"), "{error}");
}

/// A real disk that fills up: a file system in memory.
#[test]
#[cfg(target_os = "linux")]
fn after_the_disk_was_full_records_go_on_and_what_was_written_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
        .arg(dir.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small file system takes root");
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill_the_disk(dir.path()));
    assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
    outcome.unwrap();
}

fn fill_the_disk(folder: &Path) {
    let path = folder.join("records");
    let records = Records::open(&path).unwrap();
    let torrent = |number: u8| random(&mut Rng::new(Seed::from_u64(number.into())), 300_000);
    let put = |number: u8| {
        records.put_torrent(id(number), &torrent(number))?;
        records.put(id(number), &record(folder))
    };
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![1; 16 << 20]).unwrap();
    let mut written: Vec<u8> = (0..).take_while(|&number| put(number).is_ok()).collect();
    assert!(!written.is_empty());
    fs::remove_file(&ballast).unwrap();
    for number in [200, 201] {
        put(number).unwrap();
        written.push(number);
    }
    drop(records);
    let records = Records::open(&path).unwrap();
    for number in written {
        let stored = records.get(id(number)).unwrap().unwrap();
        assert_eq!(stored.torrent.unwrap(), torrent(number));
    }
}

/// A torrent of three files and four pieces, stored through a pool and recorded.
struct Scene {
    dir: tempfile::TempDir,
    sample: Sample,
    records: Arc<Records>,
    root: Root,
}

impl Scene {
    /// `one` has pieces 0 and 1, `two` 1 and 2, `three` 2 and 3.
    fn new() -> Scene {
        let rng = &mut Rng::new(Seed::from_u64(9));
        let dir = tempfile::tempdir().unwrap();
        let size = BLOCK as usize * 3 / 2;
        let files = ["one", "two", "three"].map(|name| Entry::new(name, random(rng, size)));
        let sample = Sample::new(Kind::V1, BLOCK + 2048, &files);
        assert_eq!(sample.metainfo.piece_count(), 4);
        let location = Location::Under(dir.path().to_owned());
        let root = Root::new(&location, sample.metainfo.files());
        let records = Arc::new(Records::open(&dir.path().join("records")).unwrap());
        Scene { dir, sample, records, root }
    }

    /// Stores pieces and claims them; then stores more if asked and ends, cleanly or not.
    fn run(&self, claimed: &[u32], then: &[u32], clean: bool) {
        let bench = Bench::new(1, 64 << 20);
        let torrent = bench.pool.open(Opening {
            key: TorrentKey(7),
            metainfo: Arc::clone(&self.sample.metainfo),
            location: Location::Under(self.dir.path().to_owned()),
            sink: bench.sink(),
            before_write: Some(self.records.before_write(id(1), 4)),
        });
        self.store(&bench, &torrent, claimed);
        torrent.sync();
        let Event::Synced { durable, fault: None } = bench.event() else { panic!("synced") };
        self.records.claim(id(1), 4, &durable, false).unwrap();
        self.store(&bench, &torrent, then);
        if clean {
            torrent.close();
            let Event::Closed { durable, fault: None } = bench.event() else { panic!("closed") };
            self.records.claim(id(1), 4, &durable, true).unwrap();
        }
    }

    fn store(&self, bench: &Bench, torrent: &Torrent, pieces: &[u32]) {
        for &piece in pieces {
            self.sample.store(torrent, PieceIndex(piece));
            assert!(matches!(bench.event(), Event::PieceStored { .. }));
        }
    }

    fn check(&self, trusted: &[u32], to_verify: &[u32], notes: &[(&str, &str)]) {
        let stored = self.records.get(id(1)).unwrap();
        let resume = stored.and_then(|stored| stored.resume);
        let expected = Assessment {
            trusted: pieces(4, trusted.iter().copied()),
            to_verify: pieces(4, to_verify.iter().copied()),
            notes: notes
                .iter()
                .map(|(file, what)| format!("{} {what}", self.path(file).display()))
                .collect(),
        };
        assert_eq!(
            assess(resume.as_ref(), &self.sample.metainfo, &self.root, &DiskFiles),
            expected
        );
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir.path().join("t").join(file)
    }
}

const CHANGED: &str = "has changed since it was checked; it is checked again";
const MISSING: &str = "is missing; it will be fetched again";

fn scene() -> Scene {
    let scene = Scene::new();
    scene.records.put(id(1), &record(scene.dir.path())).unwrap();
    scene
}

#[test]
fn a_new_torrent_is_checked_where_files_are() {
    let scene = scene();
    scene.check(&[], &[], &[]);
    fs::create_dir(scene.dir.path().join("t")).unwrap();
    fs::write(scene.path("one"), "something").unwrap();
    scene.check(&[], &[0], &[]);
    fs::write(scene.path("two"), "something").unwrap();
    scene.check(&[], &[0, 1], &[]);
}

#[test]
fn after_a_clean_end_all_claims_are_trusted_and_nothing_else_is_looked_at() {
    let scene = scene();
    scene.run(&[0, 1], &[2], true);
    scene.check(&[0, 1, 2], &[], &[]);
    scene.run(&[], &[3], true);
    scene.check(&[0, 1, 2, 3], &[], &[]);
}

#[test]
fn blocks_written_early_are_no_change_after_a_clean_end() {
    let scene = scene();
    scene.run(&[0], &[], true);
    let bench = Bench::new(1, 0);
    let torrent = bench.open(&scene.sample, scene.dir.path());
    let block = scene.sample.metainfo.block(PieceIndex(1), 0).unwrap();
    torrent.store_block(block, scene.sample.bytes(block));
    torrent.close();
    let Event::Closed { durable, fault: None } = bench.event() else { panic!("closed") };
    assert_eq!(bench.pool.gauges().spilled_bytes, u64::from(BLOCK));
    scene.records.claim(id(1), 4, &durable, true).unwrap();
    scene.check(&[0], &[], &[]);
}

#[test]
fn after_a_crash_what_is_not_claimed_is_checked() {
    let scene = scene();
    scene.run(&[0, 1], &[2], false);
    // Piece 3's file is there as well, since piece 2 ends in it.
    scene.check(&[0, 1], &[2, 3], &[]);
}

#[test]
fn before_the_first_claim_a_crash_is_noticed_too() {
    let scene = scene();
    scene.run(&[], &[1], false);
    scene.check(&[], &[0, 1], &[]);
    let resume = scene.records.get(id(1)).unwrap().unwrap().resume.unwrap();
    assert_eq!((resume.clean, resume.pieces.count_ones()), (false, 0));
}

#[test]
fn missing_and_changed_files_are_said() {
    let scene = scene();
    scene.run(&[0, 1, 2, 3], &[], true);
    fs::rename(scene.path("three"), scene.path("gone")).unwrap();
    scene.check(&[0, 1], &[], &[("three", MISSING)]);
    fs::rename(scene.path("gone"), scene.path("three")).unwrap();
    scene.check(&[0, 1, 2, 3], &[], &[]);
    // Same length, other time.
    let bytes = fs::read(scene.path("two")).unwrap();
    let file = fs::File::options().write(true).open(scene.path("two")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    scene.check(&[0, 3], &[1, 2], &[("two", CHANGED)]);
    // The same bytes and time in another file.
    fs::remove_file(scene.path("one")).unwrap();
    fs::write(scene.path("one"), bytes).unwrap();
    scene.check(&[3], &[0, 1, 2], &[("one", CHANGED), ("two", CHANGED)]);
    fs::remove_dir_all(scene.dir.path().join("t")).unwrap();
    scene.check(&[], &[], &[("one", MISSING), ("two", MISSING), ("three", MISSING)]);
}

#[test]
fn after_a_crash_a_file_that_was_being_written_may_have_grown_but_not_shrunk() {
    let scene = scene();
    scene.run(&[0, 2], &[], false);
    let two = fs::File::options().append(true).open(scene.path("two")).unwrap();
    let len = two.metadata().unwrap().len();
    two.set_len(len + 1).unwrap();
    scene.check(&[0, 2], &[1, 3], &[]);
    two.set_len(len - 1).unwrap();
    scene.check(&[0], &[1, 2, 3], &[("two", CHANGED)]);
}

#[test]
fn after_a_crash_a_file_that_was_complete_must_be_as_it_was() {
    let scene = scene();
    scene.run(&[0, 1, 2], &[], false);
    let two = fs::File::options().append(true).open(scene.path("two")).unwrap();
    two.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    scene.check(&[0], &[1, 2, 3], &[("two", CHANGED)]);
}

#[test]
fn claims_can_be_taken_back() {
    let scene = scene();
    scene.run(&[0, 1, 2, 3], &[], true);
    scene.records.unclaim(id(1), &pieces(4, [1, 2])).unwrap();
    scene.check(&[0, 3], &[], &[]);
    scene.records.forget_claims(id(1)).unwrap();
    scene.check(&[], &[0, 1, 2, 3], &[]);
    // Claims for another number of pieces are no claims.
    scene.records.claim(id(1), 5, &Durable::default(), true).unwrap();
    scene.check(&[], &[0, 1, 2, 3], &[]);
}

#[test]
fn ten_thousand_notes_are_not_ten_thousand_sentences() {
    let rng = &mut Rng::new(Seed::from_u64(9));
    let files: Vec<Entry> =
        (0..100).map(|number| Entry::new(&format!("{number:03}"), random(rng, 10))).collect();
    let sample = Sample::new(Kind::V1, BLOCK, &files);
    let root = Root::new(&Location::Under("/none".into()), sample.metainfo.files());
    let resume = Resume { pieces: Bitfield::full(1), ..Resume::new(1) };
    let assessment = assess(Some(&resume), &sample.metainfo, &root, &DiskFiles);
    assert_eq!(assessment.notes.len(), 17);
    assert_eq!(assessment.notes[16], "84 more files are missing or have changed");
}

/// The child's folder is handed over in this variable.
const CHILD: &str = "ALTHING_TEST_CRASH_FOLDER";

/// A torrent is fetched by a process that is killed again and again.
#[test]
#[cfg(unix)]
fn whatever_instant_the_process_is_killed_at_all_claims_are_true() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return fetch_until_killed(Path::new(&folder));
    }
    let rng = &mut Rng::new(Seed::from_u64(4));
    let sample = crash_sample();
    // What a killed process leaves behind does not depend on the disk, so the fastest will do.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut kills = 0;
    let mut finished = 0;
    while kills < 20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "whatever_instant_the_process_is_killed_at_all_claims_are_true"])
            .arg("--nocapture")
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A line for each thing it does, so that it dies in the middle of the next one.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.take(20 + rng.index(60)).map(Result::unwrap);
        let done = lines.any(|line| line == "done");
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        check_claims(&sample, dir.path(), done);
        if done {
            finished += 1;
            fs::remove_dir_all(dir.path().join("t")).unwrap();
            fs::remove_dir_all(dir.path().join("records")).unwrap();
        }
    }
    assert!(finished > 0, "it gets on in spite of all");
}

fn crash_sample() -> Sample {
    let rng = &mut Rng::new(Seed::from_u64(5));
    let files: Vec<Entry> =
        (0..6).map(|number| Entry::new(&format!("{number}"), random(rng, 700_000))).collect();
    Sample::new(Kind::Hybrid, 4 * BLOCK, &files)
}

/// What is claimed is there, and what is there is claimed or will be looked at.
fn check_claims(sample: &Sample, folder: &Path, done: bool) {
    let records = Records::open(&folder.join("records")).unwrap();
    let resume = records.get(id(1)).unwrap().and_then(|stored| stored.resume);
    let metainfo = &sample.metainfo;
    let root = Root::new(&Location::Under(folder.to_owned()), metainfo.files());
    let claimed = resume.as_ref().map_or(Bitfield::new(0), |resume| resume.pieces.clone());
    let assessment = assess(resume.as_ref(), metainfo, &root, &DiskFiles);
    assert_eq!(assessment.notes, Vec::<String>::new());
    assert!(!done || claimed.is_full());
    let mut disk = Vec::new();
    for file in metainfo.files() {
        let mut data = Vec::new();
        if !file.is_pad() {
            data = fs::read(folder.join(file.path())).unwrap_or_default();
        }
        data.resize(file.size() as usize, 0);
        disk.extend(data);
    }
    for piece in sample.pieces() {
        let at = metainfo.layout().piece_offset(piece) as usize;
        let range = at..at + metainfo.piece_size(piece) as usize;
        let right = disk[range.clone()] == sample.space[range];
        let trusted = assessment.trusted.get(piece);
        assert_eq!(claimed.get(piece), trusted);
        assert!(right || !trusted, "{piece:?} is claimed and not there");
        assert!(!right || trusted || assessment.to_verify.get(piece), "{piece:?} is forgotten");
    }
}

/// The child: goes on where the last one was killed.
fn fetch_until_killed(folder: &Path) {
    let sample = crash_sample();
    let count = sample.metainfo.piece_count();
    let rng = &mut Rng::new(Seed::from_u64(std::process::id().into()));
    let records = Arc::new(Records::open(&folder.join("records")).unwrap());
    records.put(id(1), &record(folder)).unwrap();
    let location = Location::Under(folder.to_owned());
    let root = Root::new(&location, sample.metainfo.files());
    let resume = records.get(id(1)).unwrap().unwrap().resume;
    let known = assess(resume.as_ref(), &sample.metainfo, &root, &DiskFiles);
    // So little memory that most blocks are written early.
    let config = PoolConfig {
        workers: 2,
        held_bytes_max: 5 * BLOCK as usize,
        open_files_max: 3,
        ..PoolConfig::default()
    };
    let pool = Pool::new(&config).unwrap();
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let torrent = pool.open(Opening {
        key: TorrentKey(1),
        metainfo: Arc::clone(&sample.metainfo),
        location,
        sink: Arc::new(move |_, event| sender.lock().unwrap().send(event).unwrap_or(())),
        before_write: Some(records.before_write(id(1), count)),
    });
    torrent.verify(known.to_verify);
    let mut missing: Vec<PieceIndex> = Vec::new();
    let mut left = None;
    loop {
        match events.recv().unwrap() {
            Event::Verified { have, .. } => {
                let have = |piece: &PieceIndex| have.get(*piece) || known.trusted.get(*piece);
                missing = sample.pieces().filter(|piece| !have(piece)).collect();
                rng.shuffle(&mut missing);
                left = Some(missing.len());
                torrent.sync();
            }
            Event::PieceStored { piece, .. } => {
                println!("stored {piece}");
                left = left.map(|left| left - 1);
                if rng.chance(0.3) || left == Some(0) {
                    torrent.sync();
                }
            }
            Event::Synced { durable, fault: None } => {
                println!("synced");
                records.claim(id(1), count, &durable, false).unwrap();
                println!("claimed");
                let resume = records.get(id(1)).unwrap().and_then(|stored| stored.resume);
                if resume.unwrap().pieces.is_full() {
                    println!("done");
                }
            }
            Event::VerifyProgress(_) => {}
            other => panic!("{other:?}"),
        }
        // A few pieces at a time, their blocks mixed.
        let some: Vec<PieceIndex> = missing.drain(..missing.len().min(3)).collect();
        let mut blocks: Vec<_> = some.iter().flat_map(|&piece| sample.blocks(piece)).collect();
        rng.shuffle(&mut blocks);
        for block in blocks {
            torrent.store_block(block, sample.bytes(block));
        }
        some.iter().for_each(|&piece| sample.complete(&torrent, piece, false));
    }
}
