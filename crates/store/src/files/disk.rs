//! The real file system. Path safety is `cap-std`'s: on Linux the kernel itself refuses a path
//! that leaves the folder (`openat2`), elsewhere each component is opened by itself.

use super::{Files, Mode, OpenFile, Root, Stamp, os};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn open(&self, root: &Root, path: &Path, mode: Mode) -> io::Result<Arc<dyn OpenFile>> {
        let file = match mode {
            Mode::Read => folder(root)?.open_with(path, OpenOptions::new().safely().read(true))?,
            Mode::Write { executable } => open_to_write(root, path, executable)?,
        };
        let file = file.into_std();
        if !file.metadata()?.is_file() {
            return Err(not_a_file());
        }
        Ok(Arc::new(DiskFile(file)))
    }

    fn stamp(&self, root: &Root, path: &Path) -> io::Result<Stamp> {
        // Nothing is opened, so where links on the way lead does not matter: at worst the stamp
        // is a stranger's, and reading is refused later.
        let mut full = root.anchor().to_owned();
        full.extend(root.folder());
        full.push(path);
        stamp_of(&full.symlink_metadata()?)
    }

    fn link(&self, root: &Root, path: &Path, target: &Path) -> io::Result<()> {
        let folder = create_folder(root)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            folder.create_dir_all(parent)?;
        }
        let text = link_text(path, target)?;
        match make_link(&folder, &text, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let same = folder.read_link_contents(path).is_ok_and(|there| there == text);
                if same { Ok(()) } else { Err(error) }
            }
            done => done,
        }
    }

    fn rename(&self, from: &Root, path: &Path, to: &Root, new_path: &Path) -> io::Result<()> {
        let source = folder(from)?;
        let target = create_folder(to)?;
        if let Some(parent) = new_path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            target.create_dir_all(parent)?;
        }
        match target.symlink_metadata(new_path) {
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        source.rename(path, &target, new_path)
    }

    fn remove(&self, root: &Root, path: &Path) -> io::Result<()> {
        folder(root)?.remove_file_or_symlink(path)
    }

    fn remove_folder(&self, root: &Root, path: &Path) -> io::Result<()> {
        if !path.as_os_str().is_empty() {
            return folder(root)?.remove_dir(path);
        }
        match root.folder() {
            Some(own) => Dir::open_ambient_dir(root.anchor(), ambient_authority())?.remove_dir(own),
            // The user's own folder, named by its path.
            None => std::fs::remove_dir(root.anchor()),
        }
    }

    fn sync_all(&self, root: &Root) -> io::Result<bool> {
        os::sync_file_system(&folder(root)?.open(".")?.into_std())
    }

    fn sync_folder(&self, root: &Root, path: Option<&Path>) -> io::Result<()> {
        let dir = match path {
            None => Dir::open_ambient_dir(root.anchor(), ambient_authority())?,
            Some(path) if path.as_os_str().is_empty() => folder(root)?,
            Some(path) => folder(root)?.open_dir(path)?,
        };
        sync_dir(&dir)
    }
}

/// Opens the torrent's folder.
fn folder(root: &Root) -> io::Result<Dir> {
    let anchor = Dir::open_ambient_dir(root.anchor(), ambient_authority())?;
    match root.folder() {
        None => Ok(anchor),
        Some(name) => anchor.open_dir_nofollow(name),
    }
}

/// Opens the torrent's folder, which it creates if need be.
fn create_folder(root: &Root) -> io::Result<Dir> {
    match folder(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    std::fs::create_dir_all(root.anchor())?;
    if let Some(name) = root.folder() {
        let anchor = Dir::open_ambient_dir(root.anchor(), ambient_authority())?;
        match anchor.create_dir(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    folder(root)
}

fn open_to_write(root: &Root, path: &Path, executable: bool) -> io::Result<cap_std::fs::File> {
    let mut options = OpenOptions::new();
    options.safely().read(true).write(true).create(true).executable(executable);
    let folder = create_folder(root)?;
    match folder.open_with(path, &options) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(file) if executable => {
            make_executable(&file);
            return Ok(file);
        }
        opened => return opened,
    }
    if let Some(parent) = path.parent() {
        folder.create_dir_all(parent)?;
    }
    folder.open_with(path, &options)
}

/// A file that was there before the torrent gets to be executable too, for those who may read it
/// (BEP 47). If that is refused, the file is somebody else's, and nothing depends on it.
#[cfg(unix)]
fn make_executable(file: &cap_std::fs::File) {
    use cap_std::fs::PermissionsExt as _;
    let Ok(metadata) = file.metadata() else { return };
    let mut permissions = metadata.permissions();
    let mode = permissions.mode();
    if metadata.is_file() && mode & 0o111 == 0 {
        permissions.set_mode(mode | ((mode & 0o444) >> 2));
        if let Err(error) = file.set_permissions(permissions) {
            tracing::debug!(%error, "a file could not be made executable");
        }
    }
}

#[cfg(not(unix))]
fn make_executable(_file: &cap_std::fs::File) {}

/// The ways of opening that need care.
trait Careful {
    /// Never through a link, and never waiting for the other end of a pipe.
    fn safely(&mut self) -> &mut Self;
    /// Executable, if it is created.
    fn executable(&mut self, yes: bool) -> &mut Self;
}

impl Careful for OpenOptions {
    fn safely(&mut self) -> &mut Self {
        self.follow(FollowSymlinks::No).nonblock(true)
    }

    #[cfg(unix)]
    fn executable(&mut self, yes: bool) -> &mut Self {
        // The process's umask takes its part of it.
        cap_std::fs::OpenOptionsExt::mode(self, if yes { 0o777 } else { 0o666 })
    }

    #[cfg(not(unix))]
    fn executable(&mut self, _yes: bool) -> &mut Self {
        self
    }
}

/// What a link at `path` has to say to lead to `target`, both from the same folder. It never
/// climbs higher than that folder.
///
/// # Errors
/// A component that is no plain name, which [`Metainfo`](althing_bittorrent::metainfo::Metainfo)
/// never has.
fn link_text(path: &Path, target: &Path) -> io::Result<PathBuf> {
    let plain = |path: &Path| {
        path.components().all(|component| matches!(component, Component::Normal(_)))
            && path.components().next().is_some()
    };
    if !plain(path) || !plain(target) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a link out of its folder"));
    }
    let mut text: PathBuf = path.components().skip(1).map(|_| Component::ParentDir).collect();
    text.push(target);
    Ok(text)
}

#[cfg(unix)]
fn make_link(folder: &Dir, text: &Path, path: &Path) -> io::Result<()> {
    folder.symlink(text, path)
}

/// Links need a privilege on Windows that few have; files that a torrent links are there under
/// their own names in any case.
#[cfg(not(unix))]
fn make_link(_folder: &Dir, _text: &Path, _path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_dir(dir: &Dir) -> io::Result<()> {
    // The handle itself may be one that only names the folder.
    dir.open(".")?.sync_all()
}

/// Windows has no such call and needs none: names are journalled.
#[cfg(not(unix))]
fn sync_dir(_dir: &Dir) -> io::Result<()> {
    Ok(())
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not an ordinary file")
}

/// What a file looks like.
///
/// # Errors
/// It is no ordinary file.
pub(crate) fn stamp_of(metadata: &std::fs::Metadata) -> io::Result<Stamp> {
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    let modified_ns = match metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    };
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok(Stamp { size: metadata.len(), modified_ns, inode })
}

struct DiskFile(File);

impl OpenFile for DiskFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        os::read_at(&self.0, buf, offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        os::write_at(&self.0, bufs, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn stamp(&self) -> io::Result<Stamp> {
        stamp_of(&self.0.metadata()?)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn data_from(&self, offset: u64) -> io::Result<Option<u64>> {
        os::data_from(&self.0, offset)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        os::allocate(&self.0, offset, len)
    }

    fn copy_from(&self, source: &File, from: u64, offset: u64, len: usize) -> io::Result<usize> {
        os::copy(source, from, &self.0, offset, len)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.0)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::read_exact_at;
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A folder with a secret beside it, and a root for a torrent called `t` in the folder.
    fn scene() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("downloads")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let root = Root {
            anchor: dir.path().join("downloads"),
            folder: Some("t".into()),
            file: None,
            names: BTreeMap::new(),
        };
        (dir, root)
    }

    const WRITE: Mode = Mode::Write { executable: false };

    /// Opening `path` for reading and writing fails, and nothing outside changes.
    fn check_refused(dir: &tempfile::TempDir, root: &Root, path: &str) {
        for mode in [Mode::Read, WRITE] {
            DiskFiles.open(root, Path::new(path), mode).expect_err(path);
        }
        assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(dir.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn files_are_created_with_their_folders() {
        let (dir, root) = scene();
        let path = Path::new("a/b/c");
        assert_eq!(
            DiskFiles.open(&root, path, Mode::Read).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let file = DiskFiles.open(&root, path, WRITE).unwrap();
        assert_eq!(file.write_at(&[IoSlice::new(b"abc")], 1).unwrap(), 3);
        file.sync().unwrap();
        assert_eq!(DiskFiles.sync_all(&root).unwrap(), cfg!(target_os = "linux"));
        for folder in [None, Some(""), Some("a/b")] {
            DiskFiles.sync_folder(&root, folder.map(Path::new)).unwrap();
        }
        let full = dir.path().join("downloads/t/a/b/c");
        assert_eq!(fs::read(&full).unwrap(), b"\0abc");
        assert_eq!(DiskFiles.stamp(&root, path).unwrap(), file.stamp().unwrap());
        let mut back = [0; 3];
        read_exact_at(&*file, &mut back, 1).unwrap();
        assert_eq!(&back, b"abc");
        assert_eq!(
            read_exact_at(&*file, &mut back, 2).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        DiskFiles.remove(&root, path).unwrap();
        DiskFiles.remove_folder(&root, Path::new("a/b")).unwrap();
        DiskFiles.remove_folder(&root, Path::new("")).expect_err("not empty yet");
        DiskFiles.remove_folder(&root, Path::new("a")).unwrap();
        DiskFiles.remove_folder(&root, Path::new("")).unwrap();
        assert!(!dir.path().join("downloads/t").exists());
    }

    #[test]
    fn executable_is_honoured_and_only_then() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, root) = scene();
        for executable in [false, true] {
            let name = format!("{executable}");
            DiskFiles.open(&root, Path::new(&name), Mode::Write { executable }).unwrap();
            let mode = fs::metadata(dir.path().join("downloads/t").join(name)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o100 != 0, executable);
        }
    }

    #[test]
    fn planted_links_never_lead_out() {
        let (dir, root) = scene();
        let own = dir.path().join("downloads/t");
        fs::create_dir(&own).unwrap();
        symlink("../../secret", own.join("file")).unwrap();
        symlink(dir.path().join("secret"), own.join("absolute")).unwrap();
        symlink("../../elsewhere", own.join("folder")).unwrap();
        symlink("folder", own.join("chain")).unwrap();
        symlink("/proc/self/root", own.join("magic")).unwrap();
        symlink("loop", own.join("loop")).unwrap();
        for path in ["file", "absolute", "folder/x", "chain/x", "magic/tmp/x", "loop", "../x"] {
            check_refused(&dir, &root, path);
        }
        // A file that is a link is refused even if the link stays inside.
        fs::write(own.join("inside"), "").unwrap();
        symlink("inside", own.join("link")).unwrap();
        check_refused(&dir, &root, "link");
        // Removing a link removes the link.
        DiskFiles.remove(&root, Path::new("file")).unwrap();
        assert!(dir.path().join("secret").exists());
        DiskFiles.remove(&root, Path::new("folder/x")).unwrap_err();
    }

    #[test]
    fn the_torrents_own_folder_must_not_be_a_link() {
        let (dir, root) = scene();
        let own = dir.path().join("downloads/t");
        let other = dir.path().join("downloads/other");
        fs::create_dir(&other).unwrap();
        // Neither out of the downloads nor into another torrent's folder.
        for target in ["../elsewhere", "other"] {
            symlink(target, &own).unwrap();
            check_refused(&dir, &root, "x");
            DiskFiles.link(&root, Path::new("l"), Path::new("x")).unwrap_err();
            DiskFiles.sync_folder(&root, Some(Path::new(""))).unwrap_err();
            fs::remove_file(&own).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("elsewhere")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(other).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_ordinary_file_is_refused_and_not_waited_for() {
        let (dir, root) = scene();
        let own = dir.path().join("downloads/t");
        fs::create_dir_all(own.join("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(own.join("socket")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(own.join("pipe")).status();
        assert!(pipe.unwrap().success());
        for path in ["folder", "socket", "pipe"] {
            check_refused(&dir, &root, path);
            DiskFiles.stamp(&root, Path::new(path)).unwrap_err();
        }
    }

    #[test]
    fn links_of_the_torrent_lead_to_their_target() {
        let (dir, root) = scene();
        let own = dir.path().join("downloads/t");
        DiskFiles.open(&root, Path::new("x/file"), WRITE).unwrap();
        for _ in 0..2 {
            DiskFiles.link(&root, Path::new("a/b/link"), Path::new("x/file")).unwrap();
        }
        assert_eq!(fs::read_link(own.join("a/b/link")).unwrap(), Path::new("../../x/file"));
        assert!(own.join("a/b/link").exists());
        DiskFiles.link(&root, Path::new("a/b/link"), Path::new("other")).unwrap_err();
        for (path, target) in [("../l", "x"), ("l", "../x"), ("l", "/etc"), ("", "x"), ("l", "")] {
            DiskFiles.link(&root, Path::new(path), Path::new(target)).unwrap_err();
        }
    }
}
