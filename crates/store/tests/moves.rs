//! Moving a torrent's files: whatever goes wrong and whenever, all of them can be used from one place,
//! and it is known from which.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod common;

use althing_bittorrent::metainfo::Metainfo;
use althing_store::files::{DiskFiles, Files, Location, Mode, OpenFile, Root, Stamp};
use althing_store::relocate::{MoveError, Moved, Relocation, remove_sources};
use common::faulty::{Faults, Faulty};
use common::{Kind, Sample, small};
use std::fs;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// A torrent in its old place, and the new one.
struct Scene {
    sample: Sample,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(kind: Kind) -> Scene {
        let scene = Scene { sample: small(kind), dir: tempfile::tempdir().unwrap() };
        scene.sample.write_files(&scene.old());
        scene
    }

    fn old(&self) -> PathBuf {
        self.dir.path().join("old")
    }

    fn new_place(&self) -> PathBuf {
        self.dir.path().join("new")
    }

    fn metainfo(&self) -> &Metainfo {
        &self.sample.metainfo
    }

    fn roots(&self) -> [Root; 2] {
        [self.old(), self.new_place()]
            .map(|path| Root::new(&Location::Under(path), self.metainfo().files()))
    }

    fn run(&self, files: &dyn Files, again: bool) -> Result<Moved, MoveError> {
        let cancel = AtomicBool::new(false);
        self.run_until(files, again, &cancel, &|_, _| {})
    }

    fn run_until(
        &self,
        files: &dyn Files,
        again: bool,
        cancel: &AtomicBool,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Moved, MoveError> {
        let [from, to] = &self.roots();
        let metainfo = self.metainfo();
        Relocation { files, metainfo, from, to, again, progress, cancel }.run()
    }

    /// All is in the new place, and nothing in the old one once leftovers are removed.
    fn assert_moved(&self, moved: &Moved) {
        self.sample.assert_files(&self.new_place());
        if moved.leftovers {
            remove_sources(&DiskFiles, &self.roots()[0], self.metainfo()).unwrap();
        }
        assert_eq!(files_in(&self.old()), Vec::<PathBuf>::new());
        assert_eq!(files_in(&self.new_place()).len(), 3);
    }

    /// All is in the old place, and nothing in the new one.
    fn assert_stayed(&self) {
        self.sample.assert_files(&self.old());
        assert_eq!(files_in(&self.old()).len(), 3);
        assert_eq!(files_in(&self.new_place()), Vec::<PathBuf>::new());
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

const OTHER_DISK: Faults = Faults {
    space: None,
    at_once: None,
    read_fails: false,
    write_fails: false,
    sync_fails: false,
    interrupts: false,
    writes_wait: false,
    crosses_devices: true,
};

#[test]
fn to_the_same_disk_and_to_another() {
    for kind in [Kind::V1, Kind::V2, Kind::Hybrid] {
        for faults in [Faults::default(), OTHER_DISK] {
            // Short and interrupted calls are no faults.
            let faults = Faults { at_once: Some(10_000), interrupts: true, ..faults };
            let scene = Scene::new(kind);
            let moved = scene.run(&Faulty::new(faults), false).unwrap();
            assert_eq!(moved.leftovers, faults.crosses_devices);
            scene.assert_moved(&moved);
        }
    }
}

#[test]
fn a_disk_that_refuses_leaves_everything_where_it_was() {
    let cases = [
        Faults { space: Some(120_000), ..OTHER_DISK },
        Faults { space: Some(0), ..OTHER_DISK },
        Faults { write_fails: true, ..OTHER_DISK },
        Faults { read_fails: true, ..OTHER_DISK },
        Faults { sync_fails: true, ..OTHER_DISK },
    ];
    for faults in cases {
        for again in [false, true] {
            let scene = Scene::new(Kind::V1);
            let error = scene.run(&Faulty::new(faults), again).unwrap_err();
            assert!(matches!(error, MoveError::Storage(_)), "{faults:?}: {error}");
            assert!(error.to_string().contains("nothing was moved"), "{error}");
            scene.assert_stayed();
        }
    }
}

#[test]
fn what_is_in_the_way_stays_and_so_does_everything_else() {
    for faults in [Faults::default(), OTHER_DISK] {
        let scene = Scene::new(Kind::V2);
        let taken = scene.new_place().join("t/c");
        fs::create_dir_all(taken.parent().unwrap()).unwrap();
        fs::write(&taken, "mine").unwrap();
        let error = scene.run(&Faulty::new(faults), false).unwrap_err();
        assert_eq!(error, MoveError::Exists { path: taken.clone() });
        assert_eq!(fs::read(&taken).unwrap(), b"mine");
        fs::remove_file(taken).unwrap();
        scene.assert_stayed();
    }
}

#[test]
fn a_place_that_cannot_be_written_to_is_said() {
    let scene = Scene::new(Kind::V1);
    // Not even the superuser makes a folder in a file.
    fs::write(scene.new_place(), "a file").unwrap();
    let error = scene.run(&DiskFiles, false).unwrap_err();
    assert!(matches!(error, MoveError::Storage(_)), "{error}");
    assert_eq!(fs::read(scene.new_place()).unwrap(), b"a file");
    fs::remove_file(scene.new_place()).unwrap();
    scene.assert_stayed();
}

#[test]
fn a_file_that_goes_away_meanwhile_stops_it_and_the_others_stay() {
    for faults in [Faults::default(), OTHER_DISK] {
        let scene = Scene::new(Kind::V1);
        let last = scene.old().join("t/c");
        let gone = |_: u64, _: u64| drop(fs::remove_file(&last));
        let cancel = AtomicBool::new(false);
        let error = scene.run_until(&Faulty::new(faults), false, &cancel, &gone).unwrap_err();
        assert!(matches!(error, MoveError::Storage(_)), "{error}");
        assert_eq!(files_in(&scene.new_place()), Vec::<PathBuf>::new());
        assert_eq!(files_in(&scene.old()).len(), 2);
    }
}

#[test]
fn whoever_stops_it_finds_everything_where_it_was() {
    for faults in [Faults::default(), OTHER_DISK] {
        let scene = Scene::new(Kind::Hybrid);
        let cancel = AtomicBool::new(false);
        let stop = |_: u64, _: u64| cancel.store(true, Ordering::Relaxed);
        let moved = scene.run_until(&Faulty::new(faults), false, &cancel, &stop);
        match moved {
            // Renaming three files is done before anybody is asked again.
            Ok(moved) if !faults.crosses_devices => scene.assert_moved(&moved),
            other => {
                assert_eq!(other, Err(MoveError::Cancelled));
                scene.assert_stayed();
            }
        }
    }
}

/// A file system of which a process uses so many calls and then dies: after that nothing is done any
/// more, also none of what would put things in order.
#[derive(Clone)]
struct Dying {
    left: Arc<AtomicI64>,
    disk: Faulty,
}

impl Dying {
    fn call(&self) -> io::Result<()> {
        match self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            true => Ok(()),
            false => Err(io::Error::other("dead")),
        }
    }
}

impl Files for Dying {
    fn open(&self, root: &Root, path: &Path, mode: Mode) -> io::Result<Arc<dyn OpenFile>> {
        self.call()?;
        let file = self.disk.open(root, path, mode)?;
        Ok(Arc::new(DyingFile { file, disk: self.clone() }))
    }

    fn stamp(&self, root: &Root, path: &Path) -> io::Result<Stamp> {
        self.call()?;
        self.disk.stamp(root, path)
    }

    fn link(&self, root: &Root, path: &Path, target: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.link(root, path, target)
    }

    fn rename(&self, from: &Root, path: &Path, to: &Root, new_path: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.rename(from, path, to, new_path)
    }

    fn remove(&self, root: &Root, path: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.remove(root, path)
    }

    fn remove_folder(&self, root: &Root, path: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.remove_folder(root, path)
    }

    fn sync_all(&self, root: &Root) -> io::Result<bool> {
        self.call()?;
        self.disk.sync_all(root)
    }

    fn sync_folder(&self, root: &Root, path: Option<&Path>) -> io::Result<()> {
        self.call()?;
        self.disk.sync_folder(root, path)
    }
}

struct DyingFile {
    file: Arc<dyn OpenFile>,
    disk: Dying,
}

impl OpenFile for DyingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call()?;
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.call()?;
        self.file.write_at(bufs, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call()?;
        self.file.sync()
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.disk.call()?;
        self.file.stamp()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.call()?;
        self.file.truncate(size)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.call()?;
        self.file.allocate(offset, len)
    }

    fn data_from(&self, offset: u64) -> io::Result<Option<u64>> {
        self.disk.call()?;
        self.file.data_from(offset)
    }
}

/// Has a process die after `calls` calls; says whether it did not get that far.
fn die(scene: &Scene, faults: Faults, calls: i64) -> bool {
    let left = Arc::new(AtomicI64::new(calls));
    let dying = Dying { left: Arc::clone(&left), disk: Faulty::new(faults) };
    // Whatever it says, nobody is left to hear it.
    let _ = scene.run(&dying, false);
    left.load(Ordering::Relaxed) > 0
}

#[test]
fn a_process_that_dies_at_any_call_is_followed_by_one_that_gets_there() {
    for faults in [Faults { at_once: Some(30_000), ..Faults::default() }, OTHER_DISK] {
        let mut calls = 0;
        loop {
            let scene = Scene::new(Kind::V1);
            let over = die(&scene, faults, calls);
            let moved = scene.run(&Faulty::new(faults), true).unwrap();
            scene.assert_moved(&moved);
            calls += 1;
            if over {
                break;
            }
        }
        assert!(calls > 10, "{calls}");
    }
}

#[test]
fn a_process_that_dies_at_any_call_is_followed_by_one_that_cannot_go_on() {
    for faults in [Faults::default(), OTHER_DISK] {
        let mut calls = 0;
        loop {
            let scene = Scene::new(Kind::V1);
            let over = die(&scene, faults, calls);
            // Somebody has put something in the way meanwhile, where nothing has arrived yet.
            let taken = scene.new_place().join("t/c");
            if !taken.exists() && scene.old().join("t/c").exists() {
                fs::create_dir_all(taken.parent().unwrap()).unwrap();
                fs::write(&taken, "mine").unwrap();
                let error = scene.run(&Faulty::new(faults), true).unwrap_err();
                assert!(matches!(error, MoveError::Exists { .. }), "{error}");
                fs::remove_file(taken).unwrap();
                scene.sample.assert_files(&scene.old());
                assert_eq!(files_in(&scene.old()).len(), 3, "after {calls} calls");
            }
            calls += 1;
            if over {
                break;
            }
        }
    }
}
