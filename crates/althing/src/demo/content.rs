//! What the demo shares: what the user names, or something real that is at hand on a machine where
//! Rust programs are built, or, where nothing is, bytes made up on the spot.

use crate::exit::Failure;
use crate::screen::text;
use althing_base::{Rng, Seed};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What is chosen has at least so many bytes, so that there is something to see, …
const BYTES_MIN: u64 = 64 << 20;
/// … and at most so many, because every peer gets a copy.
const BYTES_MAX: u64 = 512 << 20;
/// Nor has it more files than this.
const FILES_MAX: u64 = 20_000;

/// How long the Rust toolchain may take to say where it is.
const TOOLCHAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Something to share.
pub(super) struct Content {
    pub(super) path: PathBuf,
    /// What it is, in a few words.
    pub(super) about: String,
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// The content at `path`, or one that is chosen; `scratch` is a folder for made-up bytes.
pub(super) async fn choose(path: Option<&Path>, scratch: &Path) -> Result<Content, Failure> {
    if let Some(path) = path {
        return named(path.to_owned()).await;
    }
    if let Some(content) = toolchain().await {
        return Ok(content);
    }
    made_up(scratch.join("made-up-bytes.bin"), BYTES_MIN).await
}

async fn named(path: PathBuf) -> Result<Content, Failure> {
    let failed = |error: &dyn std::fmt::Display, path: &Path| {
        let shown = text::escape(&path.to_string_lossy()).into_owned();
        Failure::new(format!("{shown} cannot be shared: {error}"), "check the path")
    };
    let full = std::path::absolute(&path).map_err(|error| failed(&error, &path))?;
    let measured = measure(full.clone(), u64::MAX).await.map_err(|error| failed(&error, &path))?;
    let Some((bytes, files)) = measured.filter(|(bytes, _)| *bytes > 0) else {
        return Err(Failure::new(
            format!("there is nothing in {}", text::escape(&path.to_string_lossy())),
            "name a file or folder with something in it",
        ));
    };
    Ok(Content { path: full, about: "what you named".to_owned(), bytes, files })
}

/// A part of the Rust toolchain that has a fitting size; the same each time, as it does not change.
async fn toolchain() -> Option<Content> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let mut command = Command::new(rustc);
    command.args(["--print", "sysroot"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(TOOLCHAIN_TIMEOUT, command.output()).await.ok()?.ok()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    for (part, about) in [
        ("lib/rustlib", "the standard library of your Rust toolchain"),
        ("lib", "the libraries of your Rust toolchain"),
        ("bin", "the programs of your Rust toolchain"),
        ("share/doc", "the documents of your Rust toolchain"),
    ] {
        let path = sysroot.join(part);
        if let Ok(Some((bytes, files))) = measure(path.clone(), FILES_MAX).await
            && (BYTES_MIN..=BYTES_MAX).contains(&bytes)
        {
            return Some(Content { path, about: about.to_owned(), bytes, files });
        }
    }
    None
}

/// Bytes and number of the files under `path`; `None` if there are more than `files_max`.
async fn measure(path: PathBuf, files_max: u64) -> io::Result<Option<(u64, u64)>> {
    let measured = tokio::task::spawn_blocking(move || {
        let (mut bytes, mut files) = (0_u64, 0_u64);
        let mut waiting = vec![path];
        while let Some(path) = waiting.pop() {
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                for entry in fs::read_dir(&path)? {
                    waiting.push(entry?.path());
                }
            } else if metadata.is_file() {
                files += 1;
                bytes = bytes.saturating_add(metadata.len());
            }
            if files > files_max {
                return Ok(None);
            }
        }
        Ok(Some((bytes, files)))
    });
    measured.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

async fn made_up(path: PathBuf, bytes: u64) -> Result<Content, Failure> {
    let target = path.clone();
    let written = tokio::task::spawn_blocking(move || {
        let mut file = BufWriter::new(File::create_new(target)?);
        let mut rng = Rng::new(Seed::from_u64(7716));
        let mut block = [0; 1 << 16];
        for _ in 0..bytes / block.len() as u64 {
            rng.fill(&mut block);
            file.write_all(&block)?;
        }
        file.flush()
    });
    match written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(()) => Ok(Content {
            path,
            about: "bytes made up for this, as nothing of 64 MiB or more was found at hand"
                .to_owned(),
            bytes,
            files: 1,
        }),
        Err(error) => Err(Failure::new(
            format!("cannot write {}: {error}", path.display()),
            "free some space there, or name something to share: althing demo PATH",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_are_measured_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/one"), [1; 10]).unwrap();
        fs::write(dir.path().join("two"), [2; 5]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/", dir.path().join("a/out")).unwrap();
        let measured = measure(dir.path().to_owned(), 10).await.unwrap();
        assert_eq!(measured, Some((15, 2)));
        assert_eq!(measure(dir.path().to_owned(), 1).await.unwrap(), None);
        assert!(named(dir.path().join("none")).await.is_err());
    }

    #[tokio::test]
    async fn bytes_are_made_up_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let content = made_up(dir.path().join("bytes"), 1 << 20).await.unwrap();
        let bytes = fs::read(&content.path).unwrap();
        assert_eq!(bytes.len() as u64, content.bytes);
        let again = made_up(dir.path().join("again"), 1 << 20).await.unwrap();
        assert_eq!(bytes, fs::read(&again.path).unwrap());
        assert!(made_up(dir.path().join("again"), 1 << 20).await.is_err());
    }
}
