//! Torrents made of files and folders, and seeded from where these are.

mod common;

use althing_base::{Rng, Seed};
use althing_bittorrent::metainfo::{BuildError, Format, Metainfo, PieceDigests, Plan};
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::create::{Content, CreateError, Created, Hashing};
use althing_store::files::Location;
use althing_store::pieces::{Event, Opening, TorrentKey};
use common::faulty::{Faults, Faulty};
use common::random;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};

fn write(folder: &Path, path: &str, data: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, data).expect("a file");
}

fn plan(content: &Content, format: Format, piece_length: Option<u32>) -> Result<Plan, BuildError> {
    let mut builder = content.builder(None);
    builder.format = format;
    builder.piece_length = piece_length;
    builder.plan()
}

fn create(path: &Path) -> Result<Created, CreateError> {
    let content = Content::find(path)?;
    content.hash(plan(&content, Format::Hybrid, None)?, &Hashing::default())
}

/// The slow and plain way: all bytes in memory, one piece after the other.
fn reference(path: &Path, plan: Plan) -> Metainfo {
    let layout = plan.layout().clone();
    let mut space = Vec::new();
    for file in layout.files() {
        let inside: PathBuf = file.components().skip(1).collect();
        let full = if plan.builder().is_folder() { path.join(inside) } else { path.to_owned() };
        match file.is_pad() {
            true => space.resize(space.len() + file.size() as usize, 0),
            false => space.extend(fs::read(full).expect("a file")),
        }
    }
    let mut digests = PieceDigests::default();
    for piece in (0..layout.piece_count()).map(PieceIndex) {
        let at = layout.piece_offset(piece) as usize;
        let data = &space[at..at + layout.piece_data_size(piece) as usize];
        digests.push(plan.hash_piece(piece, data).expect("a piece's bytes"));
    }
    plan.finish(&digests).expect("a torrent")
}

/// The data of a new torrent is found whole where its files are.
fn assert_seeds(created: &Created) {
    let pool = althing_store::pieces::Pool::new(&Default::default()).expect("threads");
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let count = created.metainfo.piece_count();
    let torrent = pool.open(Opening {
        key: TorrentKey(1),
        metainfo: Arc::new(created.metainfo.clone()),
        location: created.location.clone(),
        sink: Arc::new(move |_, event| sender.lock().expect("a lock").send(event).unwrap_or(())),
        before_write: None,
    });
    torrent.verify(Bitfield::full(count));
    let verified = events.iter().find_map(|event| match event {
        Event::Verified { have, .. } => Some(have),
        _ => None,
    });
    assert_eq!(verified, Some(Bitfield::full(count)));
    // What was hashed a moment ago need not be read again to be claimed.
    torrent.found_right(&Bitfield::full(count));
    torrent.sync();
    let Ok(Event::Synced { durable, fault: None }) = events.recv() else { panic!("synced") };
    assert!(durable.pieces().len() >= count as usize);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_torrent_is_the_same_as_made_the_slow_way(
        sizes in prop::collection::vec(prop_oneof![0usize..100, 1usize..200_000], 1..10),
        format in prop_oneof![Just(Format::V1), Just(Format::V2), Just(Format::Hybrid)],
        shift in 14u32..23,
        (folder, seed) in any::<(bool, u64)>(),
    ) {
        let rng = &mut Rng::new(Seed::from_u64(seed));
        let dir = tempfile::tempdir().unwrap();
        let mut path = dir.path().join("content");
        if folder {
            for (number, &size) in sizes.iter().enumerate() {
                let name = format!("{}/{number}", rng.below(3));
                write(&path, &name, &random(rng, size));
            }
            write(&path, "last", b"x");
        } else {
            write(&path, "file.txt", &random(rng, sizes[0].max(1)));
            path.push("file.txt");
        }
        let content = Content::find(&path).unwrap();
        let plan = || plan(&content, format, Some(1 << shift)).unwrap();
        let at_once = rng.chance(0.5).then_some(10_000);
        let files = Faulty::new(Faults { at_once, interrupts: true, ..Faults::default() });
        let how = Hashing { threads: 3, files: &files, ..Hashing::default() };
        let created = content.hash(plan(), &how).unwrap();
        prop_assert_eq!(&created.metainfo, &reference(&path, plan()));
        prop_assert_eq!(&created.location, &Location::At(fs::canonicalize(&path).unwrap()));
        assert_seeds(&created);
    }
}

#[test]
fn pieces_longer_than_a_read_and_progress() {
    let rng = &mut Rng::new(Seed::from_u64(3));
    let dir = tempfile::tempdir().unwrap();
    for (name, size) in [("a", 9 << 20), ("b", 5 << 20), ("c", 30 << 20)] {
        write(dir.path(), name, &random(rng, size));
    }
    let content = Content::find(dir.path()).unwrap();
    let told = Mutex::new(Vec::new());
    let progress = |progress: althing_store::create::Progress| {
        told.lock().unwrap().push((progress.done, progress.total));
    };
    let plan = || plan(&content, Format::Hybrid, Some(4 << 20)).unwrap();
    let how = Hashing { progress: &progress, ..Hashing::default() };
    let created = content.hash(plan(), &how).unwrap();
    assert_eq!(created.metainfo, reference(dir.path(), plan()));
    let told = told.into_inner().unwrap();
    assert!(told.len() >= 2 && told.contains(&(44 << 20, 44 << 20)), "{told:?}");
}

#[test]
#[cfg(unix)]
fn links_inside_are_kept_and_others_told() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("content");
    write(&path, "a/tool", b"#!");
    fs::create_dir(path.join("empty")).unwrap();
    write(dir.path(), "secret", b"secret");
    for (target, link) in [
        ("../a/tool", "b/inside"),
        ("a", "folder"),
        ("b/inside", "chain"),
        ("../secret", "outside"),
        ("/etc/passwd", "absolute"),
        ("nowhere", "dangling"),
        ("empty", "to_empty"),
        (".", "itself"),
        ("loop", "loop"),
    ] {
        let link = path.join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    let content = Content::find(&path).unwrap();
    let mut warned: Vec<&str> = Vec::new();
    for warning in content.warnings() {
        let (path, _) = warning.split_once(" is ").unwrap();
        warned.push(path.rsplit_once('/').unwrap().1);
    }
    warned.sort();
    assert_eq!(warned, ["absolute", "dangling", "itself", "loop", "outside", "socket", "to_empty"]);
    let created =
        content.hash(plan(&content, Format::Hybrid, None).unwrap(), &Hashing::default()).unwrap();
    let files = created.metainfo.files().iter().filter(|file| !file.is_pad());
    let files: Vec<_> = files.map(|file| (file.path(), file.symlink())).collect();
    assert_eq!(
        files,
        [
            ("content/a/tool", None),
            ("content/b/inside", Some("content/a/tool")),
            ("content/chain", Some("content/a/tool")),
            ("content/folder", Some("content/a")),
        ]
    );
    assert_seeds(&created);
}

#[test]
#[cfg(unix)]
fn names_that_others_could_not_use_are_changed_and_the_files_found_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("content");
    for name in ["README", "readme", "x/plain"] {
        write(&path, name, name.as_bytes());
    }
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"content/odd\xff")).to_owned();
    if fs::write(dir.path().join(odd), "odd").is_err() {
        println!("skipped: this file system takes Unicode names only");
        return;
    }
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let content = Content::find(&path).unwrap();
        let created = content.hash(plan(&content, format, None).unwrap(), &Hashing::default());
        let created = created.unwrap();
        let Location::Renamed { names, .. } = &created.location else { panic!("renamed") };
        assert!((2..=3).contains(&names.len()), "{names:?}");
        assert!(created.metainfo.files().iter().any(|file| file.path() == "content/x/plain"));
        assert_seeds(&created);
    }
}

fn check_error(result: Result<Created, CreateError>, expected: &str) {
    let error = result.expect_err(expected).to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_cannot_be_shared_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("content");
    check_error(create(&path), &format!("there is no {}", path.display()));
    fs::create_dir(&path).unwrap();
    check_error(create(&path), "there is nothing to share: no file in content has any content");
    write(&path, "empty", b"");
    check_error(create(&path), "there is nothing to share");
    check_error(create(Path::new("/")), "has no name");
    #[cfg(unix)]
    check_error(create(Path::new("/dev/null")), "neither a file nor a folder");

    write(&path, "file", &[1; 1000]);
    let content = Content::find(&path).unwrap();
    let hash = |how: &Hashing<'_>| content.hash(plan(&content, Format::Hybrid, None)?, how);
    let stop = AtomicBool::new(true);
    check_error(hash(&Hashing { cancel: &stop, ..Hashing::default() }), "stopped");
    let burning = Faulty::new(Faults { read_fails: true, ..Faults::default() });
    let file = path.join("file").display().to_string();
    check_error(
        hash(&Hashing { files: &burning, ..Hashing::default() }),
        &format!("{file} can't be read: the disk is on fire"),
    );
    // It grows while it is hashed, it shrinks, it goes.
    let grow = |_| fs::write(path.join("file"), [1; 1001]).expect("a file");
    let changed = format!("{file} changed while it was hashed");
    check_error(hash(&Hashing { progress: &grow, ..Hashing::default() }), &changed);
    fs::write(path.join("file"), [1; 999]).unwrap();
    check_error(hash(&Hashing::default()), &changed);
    fs::remove_file(path.join("file")).unwrap();
    check_error(hash(&Hashing::default()), &changed);
}

#[test]
fn one_file_may_be_called_anything_and_reached_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "file.bin", &[3; 50_000]);
    let mut paths = vec![dir.path().join("file.bin"), dir.path().join("./x/../file.bin")];
    fs::create_dir(dir.path().join("x")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("file.bin", dir.path().join("link")).unwrap();
        paths.push(dir.path().join("link"));
    }
    for path in paths {
        let content = Content::find(&path).unwrap();
        assert_eq!(content.size(), 50_000);
        let created = content
            .hash(content.builder(Some("other name")).plan().unwrap(), &Hashing::default())
            .unwrap();
        assert_eq!(created.metainfo.name(), "other name");
        assert_seeds(&created);
        assert_eq!(create(&path).unwrap().metainfo.name(), "file.bin");
    }
}
