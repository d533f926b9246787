//! The peers that no Debian package has: libtorrent's newest and rqbit, once, under `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use althing_tests::tools::BINARY;

use crate::target;

/// What ANCHORS and the marks refer to.
const LIBTORRENT: &str = "2.1.1";

/// The newest when the marks were set.
const RQBIT: &str = "9.1.0";

fn folder() -> PathBuf {
    target().join("bench-tools")
}

/// A Python that has libtorrent, from PyPI.
///
/// # Errors
/// A sentence, when it is not there and cannot be installed.
pub(crate) fn libtorrent() -> Result<PathBuf, String> {
    let environment = folder().join("libtorrent");
    let python = environment.join("bin/python");
    if !works(Command::new(&python).args(["-c", "import libtorrent"])) {
        println!("installing libtorrent {LIBTORRENT} under {}", environment.display());
        must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let package = format!("libtorrent=={LIBTORRENT}");
        must(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
    }
    Ok(python)
}

/// rqbit, built here: minutes, once.
///
/// # Errors
/// As [`libtorrent`].
pub(crate) fn rqbit() -> Result<PathBuf, String> {
    let program = folder().join("bin/rqbit");
    if !program.exists() {
        println!("building rqbit {RQBIT} under {} (minutes, once)", folder().display());
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        must(
            Command::new("nice")
                .arg(cargo)
                // What it has beyond the default is a database and another TLS library.
                .args(["install", "rqbit", "--version", RQBIT, "--locked", "--quiet"])
                .args(["--no-default-features", "--features", "rust-tls", "--root"])
                .arg(folder())
                .env("CARGO_TARGET_DIR", folder().join("build"))
                .env_remove("RUSTFLAGS"),
        )?;
        remove(&folder().join("build"));
    }
    Ok(program)
}

/// Althing's release binary, which `cargo xtask bench` has built, or another that
/// `ALTHING_BINARY` names.
///
/// # Errors
/// A sentence, when it is not there.
pub(crate) fn althing() -> Result<PathBuf, String> {
    let other = std::env::var_os(BINARY).map(PathBuf::from);
    let program = other.unwrap_or_else(|| target().join("release/althing"));
    if program.exists() { Ok(program) } else { Err(format!("{} is not built", program.display())) }
}

/// What stands after a program's name in what it says its version is.
pub(crate) fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let word =
        said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    word.unwrap_or("").to_owned()
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        println!("{} could not be removed: {error}", path.display());
    }
}

fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn must(command: &mut Command) -> Result<(), String> {
    let line = format!("{command:?}");
    let status = command.status().map_err(|error| format!("{line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{line} failed ({status})")) }
}
