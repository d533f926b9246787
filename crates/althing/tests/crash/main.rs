//! A daemon that is killed (`kill -9`) at any moment claims nothing that it does not have.
//!
//! One daemon shares a folder, another fetches it and is killed again and again: at once, after
//! some pieces, after some milliseconds, in the middle of a check, right when it is complete. After
//! each kill two claims are compared, byte by byte, with what really lies in the files: what the
//! record says ([`Records`], read here while no daemon runs), and what the next daemon says through
//! its API. A fetch that got through begins again elsewhere, with another kind of torrent.
//!
//! `ALTHING_CRASH_ROUNDS` says how many kills (10; `cargo xtask crash` asks for 200), and
//! `ALTHING_CRASH_SEED` at which moments: a number that a failure names.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod daemon;

use althing_base::{Rng, Seed};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::files::{Location, Root};
use althing_store::records::{Records, Unmoved};
use daemon::{Daemon, World};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a daemon is asked before it counts as stuck: minutes, as each answer takes its time.
const QUESTIONS_MAX: u32 = 300_000;

/// When a daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// As soon as it has been told what to fetch.
    AtOnce,
    /// So many milliseconds later.
    After(u64),
    /// When it says that it has so many pieces more than at its start.
    Pieces(u32),
    /// When it says that all are there.
    Complete,
    /// While it looks at its files, which it has been told to.
    Checking,
    /// So many milliseconds after it has been told to move them: to the place of this number.
    Moving(usize, u64),
}

fn moment(rng: &mut Rng, pieces: u32) -> Moment {
    match rng.below(10) {
        0 => Moment::AtOnce,
        1 | 2 => Moment::After(rng.below(400)),
        3..=5 => Moment::Pieces(rng.below(u64::from(pieces)) as u32),
        6 => Moment::Complete,
        7 => Moment::Checking,
        _ => Moment::Moving(rng.below(PLACES as u64) as usize, rng.below(60)),
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where a daemon's files can be: in two places on one disk, and in one on another if there is one.
const PLACES: usize = 3;

/// Kinds of torrents, in turn: what is in a piece differs (files share pieces in v1 alone).
const KINDS: [(&str, &str); 4] = [("hybrid", "256K"), ("v1", "1M"), ("v2", "64K"), ("v1", "32K")];

#[test]
fn nothing_is_claimed_that_is_not_there_however_often_it_is_killed() {
    let rounds = number("ALTHING_CRASH_ROUNDS", 10);
    let seed = number("ALTHING_CRASH_SEED", 1);
    let mut rng = Rng::new(Seed::from_u64(seed));
    let world = World::new();
    let content = Content::write(&world.path("things"));
    let seeder = world.up("seeder");
    let torrents: Vec<Torrent> = KINDS
        .iter()
        .enumerate()
        .map(|(at, (format, piece))| Torrent::share(&world, &seeder, at, format, piece))
        .collect();
    let mut counts = Counts::default();
    let mut life = 0;
    let mut torrent = &torrents[0];
    let mut begun = false;
    let places = Places::new();
    for round in 0..rounds {
        let name = format!("leecher-{life}");
        let moment = moment(&mut rng, torrent.metainfo.piece_count());
        let about = format!("round {round} of seed {seed}, {}, {moment:?}", torrent.kind);
        let leecher = world.up(&name);
        if begun {
            counts.said += torrent.compare_said(&leecher, &content, &about);
        }
        let before = torrent.pieces_done(&leecher);
        if !begun {
            torrent.get(&world, &leecher, &seeder);
            begun = true;
        } else {
            torrent.name_peer(&leecher, &seeder);
        }
        wait(&leecher, torrent, &places, moment, before);
        leecher.kill();
        counts.killed += 1;
        let (recorded, total, moving) =
            torrent.compare_recorded(&world.path(&name), &content, &about);
        counts.moving += u64::from(moving);
        counts.recorded += recorded;
        if recorded == total {
            // It got through: once more from nothing, as something else.
            let leecher = world.up(&name);
            counts.said += torrent.compare_said(&leecher, &content, &about);
            let folder = torrent.folder(&leecher);
            leecher.kill();
            content.assert_same(&folder, &about);
            fs::remove_dir_all(folder).unwrap();
            fs::remove_dir_all(world.path(&name)).unwrap();
            life += 1;
            torrent = &torrents[life % torrents.len()];
            begun = false;
        }
    }
    // What was killed last gets there all the same.
    if begun {
        let leecher = world.up(&format!("leecher-{life}"));
        counts.said += torrent.compare_said(&leecher, &content, "the end");
        torrent.name_peer(&leecher, &seeder);
        wait(&leecher, torrent, &places, Moment::Complete, 0);
        content.assert_same(&torrent.folder(&leecher), "the end");
    }
    println!(
        "killed {} times, {} of them while moving, {} fetches got through; pieces compared with \
         their bytes: {} that records claimed, {} that daemons claimed; none was wrong",
        counts.killed, counts.moving, life, counts.recorded, counts.said
    );
}

#[derive(Default)]
struct Counts {
    killed: u64,
    moving: u64,
    recorded: u64,
    said: u64,
}

/// Another disk, if there is one.
struct Places(Option<tempfile::TempDir>);

impl Places {
    fn new() -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let disk = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
        let other = Path::new("/dev/shm");
        let differs = disk(other).is_some_and(|there| Some(there) != disk(&std::env::temp_dir()));
        Places(differs.then(|| tempfile::tempdir_in(other).ok()).flatten())
    }

    /// The folder of a daemon that has this number.
    fn folder(&self, number: usize, leecher: &Daemon) -> PathBuf {
        match (number, &self.0) {
            (0, Some(other)) => other.path().join(&leecher.name),
            (1, _) => leecher.dir.join("elsewhere"),
            _ => leecher.dir.join("files"),
        }
    }
}

/// Waits for the moment.
fn wait(leecher: &Daemon, torrent: &Torrent, places: &Places, moment: Moment, before: u32) {
    let all = torrent.metainfo.piece_count();
    let reached = |pieces: u32| {
        let mut questions = 0;
        while torrent.pieces_done(leecher) < pieces {
            questions += 1;
            assert!(questions < QUESTIONS_MAX, "stuck: {}", torrent.shown(leecher));
        }
    };
    match moment {
        Moment::AtOnce => {}
        Moment::After(milliseconds) => {
            // Here sleeping is the matter itself: a moment that nothing in the daemon chose.
            std::thread::sleep(Duration::from_millis(milliseconds));
        }
        Moment::Pieces(more) => reached((before + more).min(all)),
        Moment::Complete => reached(all),
        Moment::Checking => {
            reached((before + 1).min(all));
            leecher.ask("POST", &torrent.path("/verify"));
        }
        Moment::Moving(place, milliseconds) => {
            reached((before + 3).min(all));
            // Not to where they are.
            let here = torrent.folder(leecher);
            let mut to = (0..PLACES).map(|add| places.folder((place + add) % PLACES, leecher));
            let to = to.find(|to| to.join("things") != here);
            let to = serde_json::json!({ "dir": to });
            leecher.send("POST", &torrent.path("/move"), &to.to_string());
            std::thread::sleep(Duration::from_millis(milliseconds));
        }
    }
}

/// What is fetched: the bytes of each file by its path.
struct Content(BTreeMap<PathBuf, Vec<u8>>);

impl Content {
    /// Files of which many share a piece, and some have many.
    fn write(folder: &Path) -> Self {
        let mut rng = Rng::new(Seed::from_u64(7));
        let mut files = BTreeMap::new();
        let sizes = [("large.bin", 20 << 20), ("sub/one", 5_000_001), ("sub/two", 3 << 20)];
        let small = (0..40).map(|at| (format!("small/{at:02}"), 1 + 7919 * at));
        let sizes = sizes.into_iter().map(|(path, size)| (path.to_owned(), size)).chain(small);
        for (path, size) in sizes {
            let mut bytes = vec![0; size];
            rng.fill(&mut bytes);
            let full = folder.join(&path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, &bytes).unwrap();
            files.insert(PathBuf::from(path), bytes);
        }
        Content(files)
    }

    fn assert_same(&self, folder: &Path, about: &str) {
        for (path, bytes) in &self.0 {
            let found = fs::read(folder.join(path));
            let found = found.unwrap_or_else(|error| panic!("{about}: {path:?}: {error}"));
            assert!(found == *bytes, "{about}: {path:?} is wrong");
        }
    }

    /// Panics unless the pieces in `claimed` are in the files below `folder`; how many there are.
    fn compare(&self, metainfo: &Metainfo, folder: &Path, claimed: &Bitfield, about: &str) -> u64 {
        self.compare_in(metainfo, &[folder.to_owned()], claimed, about)
    }

    /// The same if each file may be below any of several folders: the first that has it counts.
    fn compare_in(
        &self,
        metainfo: &Metainfo,
        folders: &[PathBuf],
        claimed: &Bitfield,
        about: &str,
    ) -> u64 {
        let read = |path: &PathBuf| {
            folders.iter().find_map(|folder| fs::read(folder.join(path)).ok()).unwrap_or_default()
        };
        let on_disk: BTreeMap<&PathBuf, Vec<u8>> =
            self.0.keys().map(|path| (path, read(path))).collect();
        for piece in claimed.ones() {
            let len = metainfo.layout().piece_data_size(piece);
            let range = althing_bittorrent::BlockRef { piece, begin: 0, len };
            for slice in metainfo.slices(range) {
                let file = &metainfo.files()[slice.file.0 as usize];
                if file.is_pad() {
                    continue;
                }
                let path: PathBuf = file.components().skip(1).collect();
                let range = slice.offset as usize..slice.offset as usize + slice.len as usize;
                let right = &self.0[&path][range.clone()];
                let there = on_disk[&path].get(range);
                assert!(there == Some(right), "{about}: piece {piece} is wrong in {path:?}");
            }
        }
        u64::from(claimed.count_ones())
    }
}

/// One of the torrents.
struct Torrent {
    kind: String,
    file: PathBuf,
    id: String,
    metainfo: Metainfo,
}

impl Torrent {
    /// Makes it and has it shared.
    fn share(world: &World, seeder: &Daemon, at: usize, format: &str, piece: &str) -> Self {
        let name = format!("{at}.torrent");
        let file = world.path(&name);
        seeder.ok(&[
            "create",
            "things",
            "-o",
            &name,
            "--format",
            format,
            "--piece-length",
            piece,
            // Each is another torrent, also where the format is the same.
            "--source",
            &name,
        ]);
        let metainfo = Metainfo::parse(&fs::read(&file).unwrap()).unwrap();
        let torrent =
            Torrent { kind: format!("{format} {piece}"), file, id: id(&metainfo), metainfo };
        // Found where it lies.
        seeder.ok(&["get", &name, "-o", "."]);
        torrent
    }

    fn get(&self, world: &World, leecher: &Daemon, seeder: &Daemon) {
        let request = serde_json::json!({
            "torrent": base64(&fs::read(&self.file).unwrap()),
            "save_dir": world.path(&leecher.name).join("files"),
            "peers": [seeder.peer_addr()],
        });
        leecher.send("POST", "/torrents", &request.to_string());
    }

    fn name_peer(&self, leecher: &Daemon, seeder: &Daemon) {
        let request = serde_json::json!({ "peers": [seeder.peer_addr()] });
        leecher.send("POST", &self.path("/peers"), &request.to_string());
    }

    fn path(&self, rest: &str) -> String {
        format!("/torrents/{}{rest}", self.id)
    }

    fn shown(&self, leecher: &Daemon) -> serde_json::Value {
        let all = leecher.ask("GET", "/torrents");
        all.as_array().and_then(|all| all.first()).cloned().unwrap_or_default()
    }

    fn pieces_done(&self, leecher: &Daemon) -> u32 {
        self.shown(leecher)["pieces_done"].as_u64().unwrap_or(0) as u32
    }

    /// Where its files are, as the daemon says.
    fn folder(&self, leecher: &Daemon) -> PathBuf {
        let shown = self.shown(leecher);
        let dir = shown["save_dir"].as_str().unwrap_or_else(|| panic!("{shown}"));
        Path::new(dir).join("things")
    }

    /// What a daemon that was just started says that it has, once it has looked.
    fn compare_said(&self, leecher: &Daemon, content: &Content, about: &str) -> u64 {
        let mut questions = 0;
        let claimed = loop {
            questions += 1;
            assert!(questions < QUESTIONS_MAX, "{about}: it never says: {}", self.shown(leecher));
            if ["checking", "moving"].iter().any(|state| self.shown(leecher)["state"] == *state) {
                continue;
            }
            let map = leecher.ask("GET", &self.path("/pieces"));
            let hex = map["have"].as_str().unwrap_or_else(|| panic!("{about}: {map}"));
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            // Nothing at all until its files have been opened where they are now.
            if let Some(claimed) = Bitfield::from_bytes(&bytes, self.metainfo.piece_count()) {
                break claimed;
            }
        };
        let folder = self.folder(leecher);
        content.compare(&self.metainfo, &folder, &claimed, &format!("{about}, as said"))
    }

    /// What the record of a daemon that is dead says: how many pieces, and of how many. While they are
    /// being moved, files are in the old place or in the new one, and the record says that, too.
    fn compare_recorded(&self, dir: &Path, content: &Content, about: &str) -> (u64, u64, bool) {
        let records = Records::open(&dir.join("torrents")).unwrap();
        let stored = records.get(self.metainfo.info_hashes().primary()).unwrap();
        let total = u64::from(self.metainfo.piece_count());
        let Some(stored) = stored else { panic!("{about}: the torrent is gone") };
        let moves = records.moves().unwrap();
        let id = self.metainfo.info_hashes().primary();
        let moving = moves.get(&id);
        let to = moving.and_then(|unmoved| match unmoved {
            Unmoved::To(location) => Some(location),
            Unmoved::From(_) => None,
        });
        let folder = |location: &Location| {
            let root = Root::new(location, self.metainfo.files());
            root.anchor().join(root.folder().unwrap())
        };
        let folders: Vec<PathBuf> =
            std::iter::once(&stored.record.location).chain(to).map(folder).collect();
        let claimed = stored.resume.map_or_else(|| Bitfield::new(total as u32), |r| r.pieces);
        let about = format!("{about}, as recorded");
        (content.compare_in(&self.metainfo, &folders, &claimed, &about), total, moving.is_some())
    }
}

fn id(metainfo: &Metainfo) -> String {
    metainfo.info_hashes().primary().to_string()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The comparison sees what is wrong: one byte of one claimed piece.
#[test]
fn a_wrong_byte_in_a_claimed_piece_is_seen() {
    let world = World::new();
    let content = Content::write(&world.path("things"));
    let seeder = world.up("seeder");
    let torrent = Torrent::share(&world, &seeder, 0, "v1", "256K");
    let all = Bitfield::full(torrent.metainfo.piece_count());
    let folder = world.path("things");
    assert!(content.compare(&torrent.metainfo, &folder, &all, "all is well") > 0);
    let mut bytes = content.0[Path::new("sub/two")].clone();
    bytes[12345] ^= 1;
    fs::write(folder.join("sub/two"), bytes).unwrap();
    let caught = std::panic::catch_unwind(|| {
        content.compare(&torrent.metainfo, &folder, &all, "one byte is wrong")
    });
    assert!(caught.is_err());
    let mut but_one = all;
    let file = torrent.metainfo.files().iter().find(|file| file.path() == "things/sub/two");
    let at = file.unwrap().offset() + 12345;
    let piece = at / u64::from(torrent.metainfo.piece_length());
    but_one.set(PieceIndex(piece as u32), false);
    assert!(content.compare(&torrent.metainfo, &folder, &but_one, "not claimed") > 0);
}
