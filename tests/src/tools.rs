//! What this machine has of what the tests need, and the sentence printed where it lacks some.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs and the Debian packages they come from, as `cargo xtask test` reads it too.
const PACKAGES: &str = include_str!("../packages.txt");

/// The environment variable that names the file to which the sentences of skipped tests are added;
/// `cargo xtask test` prints them, since a test runner hides what a passing test prints.
pub const SKIPPED_FILE: &str = "ALTHING_SKIPPED";

/// The environment variable that names the `althing` binary under test.
pub const BINARY: &str = "ALTHING_BINARY";

/// Why tests in namespaces cannot run here, or `None` when they can.
pub fn obstacle(needs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let lacking: Vec<&str> =
        ["ip", "setpriv"].iter().chain(needs).copied().filter(|tool| !is_here(tool)).collect();
    if lacking.is_empty() {
        return None;
    }
    let packages: Vec<&str> = lacking.iter().map(|tool| package(tool)).collect();
    Some(format!("{} not installed (apt-get install {})", lacking.join(", "), packages.join(" ")))
}

/// Says, on standard error and in the file that [`SKIPPED_FILE`] names, that a test was skipped.
pub fn skip(test: &str, why: &str) {
    let sentence = format!("skipped {test}: {why}");
    eprintln!("{sentence}");
    let Some(path) = std::env::var_os(SKIPPED_FILE) else { return };
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        // In one write, since other tests add theirs at the same time.
        .and_then(|mut file| file.write_all(format!("{sentence}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("the skip could not be noted: {error}");
    }
}

/// The `althing` binary under test: [`BINARY`], or the one built beside this test.
///
/// # Errors
/// A sentence that says how to build it, when it is not there.
pub fn althing() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(BINARY) {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe().map_err(|error| format!("where this test is: {error}"))?;
    // target/PROFILE/deps/TEST and target/PROFILE/althing
    let built = test.parent().and_then(Path::parent).map(|profile| profile.join("althing"));
    match built {
        Some(path) if path.exists() => Ok(path),
        _ => Err("the althing binary is not built; run `cargo build -p althing` first, \
                  or the tests by `cargo xtask test`"
            .to_owned()),
    }
}

/// The first two numbers of what a program says its version is; `None` where it says none.
pub fn version(program: &str) -> Option<[u32; 2]> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    first_version(&String::from_utf8_lossy(&said))
}

/// The first word of `text` that is two numbers or more with points between.
fn first_version(text: &str) -> Option<[u32; 2]> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches('v').split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some([major, minor]),
            _ => None,
        }
    })
}

fn package(tool: &str) -> &str {
    PACKAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == tool)
        .map_or(tool, |(_, package)| package.trim())
}

fn is_here(tool: &str) -> bool {
    if tool == "python3-libtorrent" {
        return Command::new("/usr/bin/python3")
            .args(["-c", "import libtorrent"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    }
    if tool.starts_with('/') {
        return Path::new(tool).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .any(|dir| dir.join(tool).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_names_its_package() {
        assert_eq!(package("aria2c"), "aria2");
        assert_eq!(package("/usr/bin/python3"), "python3");
        assert_eq!(package("unheard-of"), "unheard-of");
        for line in PACKAGES.lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(line.split_whitespace().count(), 2, "in packages.txt: {line:?}");
        }
    }

    #[test]
    fn a_version_is_found_where_programs_say_it() {
        assert_eq!(first_version("aria2 version 1.36.0\nCopyright (C) 2006"), Some([1, 36]));
        assert_eq!(first_version("transmission-daemon 3.00 (bb6b5a062e)"), Some([3, 0]));
        assert_eq!(first_version("qBittorrent v4.5.2"), Some([4, 5]));
        assert_eq!(first_version("no idea"), None);
        assert!([1, 36] < [1, 37] && [3, 99] < [4, 0]);
    }

    #[test]
    fn a_missing_tool_is_an_obstacle() {
        assert!(!is_here("a-tool-nobody-has"));
        assert!(is_here("sh"));
        let said = obstacle(&["a-tool-nobody-has"]).expect("it is missing, or we are not root");
        assert!(said.contains("root") || said.contains("a-tool-nobody-has"), "{said}");
    }
}
