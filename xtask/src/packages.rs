//! The Debian packages of the real clients: installed where we are root, else named.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{has_program, is_root, own_folder, works};

/// Programs and their packages; the tests read the same list.
const LIST: &str = include_str!("../../tests/packages.txt");

/// The file that tells Debian's package scripts not to start services.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Where a machine's own policy stands while ours is in force.
const POLICY_ASIDE: &str = "/usr/sbin/policy-rc.d.before-althing";

/// Our policy, by which a later run knows it again.
const POLICY_TEXT: &str =
    "#!/bin/sh\n# althing: nothing starts while its tests' packages are installed\nexit 101\n";

/// How long apt-get may take, seconds: downloading and unpacking some 30 MB.
const INSTALL_LIMIT_S: &str = "600";

/// Packages with a service that would start at the next boot and listen beyond loopback, and the
/// service.
const SERVICES: &[(&str, &str)] = &[
    ("transmission-daemon", "transmission-daemon"),
    ("opentracker", "opentracker"),
    ("lighttpd", "lighttpd"),
    ("dante-server", "danted"),
    ("miniupnpd-nftables", "miniupnpd"),
];

/// Installs what the tests with real clients need and this machine lacks, or says what will be
/// skipped. Never fails: those tests skip themselves.
pub(crate) fn provide() {
    let missing = missing();
    if !is_root() {
        println!(
            "not root, so the tests in network namespaces are skipped: real clients, and whatever \
             needs a network of its own (run this as root to have them)"
        );
        return;
    }
    if missing.is_empty() {
        return;
    }
    let names = missing.join(" ");
    if !has_program("apt-get") {
        println!("no apt-get here; the tests that need {names} are skipped");
        return;
    }
    println!("installing {names}");
    if let Err(why) = install(&missing) {
        println!("{why}; the tests that need them are skipped");
    }
}

fn missing() -> Vec<&'static str> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    let mut packages: Vec<&str> = lines
        .filter_map(|line| line.split_once(' '))
        .filter(|(tool, _)| !is_here(tool))
        .map(|(_, package)| package.trim())
        .collect();
    packages.dedup();
    packages
}

fn is_here(tool: &str) -> bool {
    match tool {
        "python3-libtorrent" => {
            works(Command::new("/usr/bin/python3").args(["-c", "import libtorrent"]))
        }
        _ => has_program(tool),
    }
}

fn install(packages: &[&str]) -> Result<(), String> {
    let _quiet = NoServices::enforce()?;
    let log = own_folder()?.join("apt.log");
    // A list that could not be renewed may still be good enough; installing will tell.
    let _ = apt(&["update", "-qq"], &log);
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    let done = apt(&arguments, &log);
    for (_, service) in SERVICES.iter().filter(|(package, _)| packages.contains(package)) {
        // Where there is no systemd there is nothing to switch off.
        works(Command::new("systemctl").args(["--quiet", "disable", "--now", service]));
    }
    done
}

fn apt(arguments: &[&str], log: &Path) -> Result<(), String> {
    let failed = |why: String| format!("apt-get {} {why}", arguments.first().unwrap_or(&""));
    let out = std::fs::File::create(log).map_err(|error| failed(format!("has no log: {error}")))?;
    let err = out.try_clone().map_err(|error| failed(format!("has no log: {error}")))?;
    let status = Command::new("timeout")
        .args([INSTALL_LIMIT_S, "apt-get", "-o", "DPkg::Lock::Timeout=60", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .map_err(|error| failed(format!("could not be run: {error}")))?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").to_owned();
    Err(failed(format!("failed ({status}): {last} (all of it in {})", log.display())))
}

/// While it lives, no package's script starts a service; then the machine's own policy is back.
struct NoServices;

impl NoServices {
    fn enforce() -> Result<NoServices, String> {
        restore();
        let say = |error: std::io::Error| format!("{POLICY} cannot be set ({error})");
        if Path::new(POLICY).exists() {
            std::fs::rename(POLICY, POLICY_ASIDE).map_err(say)?;
        }
        let guard = NoServices;
        std::fs::write(POLICY, POLICY_TEXT).map_err(say)?;
        make_executable(&PathBuf::from(POLICY)).map_err(say)?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the machine's own policy back, also after a run that was ended halfway.
fn restore() {
    if std::fs::read_to_string(POLICY).is_ok_and(|text| text == POLICY_TEXT) {
        let _ = std::fs::remove_file(POLICY);
    }
    if Path::new(POLICY_ASIDE).exists() && !Path::new(POLICY).exists() {
        let _ = std::fs::rename(POLICY_ASIDE, POLICY);
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_belongs_to_a_listed_package() {
        let listed: Vec<&str> = LIST
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        for (package, _) in SERVICES {
            assert!(listed.contains(package), "{package} is not in {listed:?}");
        }
    }
}
