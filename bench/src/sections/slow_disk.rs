//! A leecher whose disk is much slower than its network: what it holds in memory meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;

use althing_tests::scratch::Scratch;

use crate::chart::Panel;
use crate::daemon::Daemon;
use crate::install;
use crate::measure::{Transfer, folder, mebibytes, network, payload, settle, transfer};
use crate::options::Options;
use crate::peers;
use crate::report::{Chart, Column, Mark, Page, median, range, short, table};
use crate::results::{Job, Results, Row};

/// What the disk takes, bytes a second.
const BYTES_PER_S: u64 = 20_000_000;

/// How much the system may hold back for the disk before whoever writes has to wait, bytes.
const DIRTY_BYTES: u64 = 8 << 20;

/// The mark: what blocks may take, MiB; Althing's default setting.
const BUDGET_MIB: f64 = 64.0;

/// Where the kernel is told how fast a device may be (cgroup v1; in the root group, to which what
/// is written from the cache counts).
const THROTTLE: &str = "/sys/fs/cgroup/blkio";

pub(super) fn measure(options: &Options) -> Result<Results, String> {
    let peers = peers::all(options);
    let payload = payload(options.sizes.slow_mib, "v1")?;
    let disk = Disk::new(&folder().join("slow-disk"), options.sizes.slow_mib)?;
    let rest = if options.wants("althing") { rest()? } else { 0.0 };
    let mut jobs: Vec<Job<'_>> = peers
        .iter()
        .filter(|peer| peer.needs_tracker())
        .map(|peer| {
            let what = Transfer {
                seed: peer.as_ref(),
                leecher: peer.as_ref(),
                payload: &payload,
                encrypted: false,
                utp: false,
                into: Some(disk.mount.join("copy")),
            };
            Job {
                label: peer.label(),
                peer: peer.name().to_owned(),
                other: String::new(),
                measure: Box::new(move || Ok(transfer(&what))),
            }
        })
        .collect();
    let sizes =
        [("mib", payload.mebibytes()), ("mb_per_s", BYTES_PER_S as f64 / 1e6), ("rest_mib", rest)];
    Ok(Results::measure(options.rounds, &sizes, &mut jobs))
}

/// What Althing holds when it has nothing to do at all, MiB.
fn rest() -> Result<f64, String> {
    let mut network = network();
    let host = network.host("rest");
    let scratch = Scratch::at(folder().join("run"));
    let daemon = Daemon::start(&install::althing()?, &host, scratch.path(), "");
    daemon.until_up();
    settle(&daemon.process);
    let resident = daemon.process.memory().resident_bytes;
    daemon.stop()?;
    Ok(mebibytes(resident))
}

/// A file system on a loop device that the kernel slows down. Taken down on drop.
struct Disk {
    mount: PathBuf,
    image: PathBuf,
    device: Option<String>,
}

impl Disk {
    fn new(mount: &Path, mebibytes: u64) -> Result<Disk, String> {
        if !Path::new(THROTTLE).join("blkio.throttle.write_bps_device").exists() {
            return Err(format!("no disk can be slowed down here: {THROTTLE} has no throttle"));
        }
        let image = mount.with_extension("img");
        let mut disk = Disk { mount: mount.to_owned(), image, device: None };
        // What a run that was killed has left.
        disk.take_down();
        let failed = |error: std::io::Error| format!("{}: {error}", mount.display());
        std::fs::create_dir_all(mount).map_err(failed)?;
        let file = std::fs::File::create(&disk.image).map_err(failed)?;
        // Room for the file twice over, and what the file system needs itself.
        file.set_len((mebibytes * 2 + 64) << 20).map_err(failed)?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&disk.image))?;
        let device = device.trim().to_owned();
        disk.device = Some(device.clone());
        run(Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal", &device]))?;
        run(Command::new("mount").arg(&device).arg(mount))?;
        let number = disk.number().ok_or_else(|| format!("{device} has no number"))?;
        let bdi = Path::new("/sys/class/bdi").join(&number);
        let throttle = Path::new(THROTTLE);
        for (path, value) in [
            (bdi.join("strict_limit"), "1".to_owned()),
            (bdi.join("max_bytes"), DIRTY_BYTES.to_string()),
            (throttle.join("blkio.throttle.write_bps_device"), format!("{number} {BYTES_PER_S}")),
            (throttle.join("blkio.throttle.read_bps_device"), format!("{number} {BYTES_PER_S}")),
        ] {
            std::fs::write(&path, value).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(disk)
    }

    /// The device's number, as `7:0`.
    fn number(&self) -> Option<String> {
        let name = self.device.as_ref()?.strip_prefix("/dev/")?;
        let number = std::fs::read_to_string(format!("/sys/block/{name}/dev")).ok()?;
        Some(number.trim().to_owned())
    }

    /// Undoes everything that is there to be undone.
    fn take_down(&self) {
        if let Some(number) = self.number() {
            for file in ["blkio.throttle.write_bps_device", "blkio.throttle.read_bps_device"] {
                // First of all, or the rest takes as long as the disk is slow.
                let _ = std::fs::write(Path::new(THROTTLE).join(file), format!("{number} 0"));
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let shown = self.mount.display().to_string();
        let mounted = mounts.lines().any(|line| line.split(' ').nth(1) == Some(shown.as_str()));
        if mounted && let Err(why) = run(Command::new("umount").arg(&self.mount)) {
            println!("{shown} stays mounted: {why}");
        }
        let mut list = Command::new("losetup");
        let list = list.args(["--noheadings", "--output", "NAME", "--associated"]).arg(&self.image);
        for device in run(list).unwrap_or_default().split_whitespace() {
            if let Err(why) = run(Command::new("losetup").args(["--detach", device])) {
                println!("{device} stays: {why}");
            }
        }
        // It may not be there yet.
        let _ = std::fs::remove_file(&self.image);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.take_down();
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let line = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{line}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

pub(super) fn page(results: &Results) -> Page {
    let rate = |row: &Row| {
        let megabytes = results.size("mib") * f64::from(1 << 20) / 1e6;
        short(megabytes / row.median("wall_s"))
    };
    let columns: [Column<'_>; 7] = [
        ("wall s", &median("wall_s")),
        ("(range)", &range("wall_s")),
        ("MB/s", &rate),
        ("leecher's own memory, peak MiB", &median("leecher_own_peak_mib")),
        ("resident, peak MiB", &median("leecher_peak_mib")),
        ("leecher CPU s", &median("leecher_cpu_s")),
        ("seed peak MiB", &median("seed_peak_mib")),
    ];
    let how = format!(
        "{} MiB from one to one; the leecher's disk (ext4 on a loop device that the kernel slows down) \
         takes {} MB/s, and the system holds back at most 8 MiB for it. Own memory is what is not pages \
         of files. At rest Althing has {:.0} MiB",
        results.size("mib"),
        results.size("mb_per_s"),
        results.size("rest_mib"),
    );
    let peak = |peer: &str| results.of(peer).map_or(0.0, |row| row.median("leecher_peak_mib"));
    let mut marks = Vec::new();
    if results.of("althing").is_some() {
        let what = "disk of 20 MB/s, resident memory (64 MiB and what it has at rest)";
        let most = BUDGET_MIB + results.size("rest_mib");
        marks.push(Mark::at_most(what, "MiB", most, peak("althing"), peak("libtorrent")));
    }
    let panel = |title, unit, figure| Panel::one(title, unit, &results.rows, figure);
    let chart = Chart {
        file: "bench-slow-disk.svg",
        alt: "A leecher with a slow disk: memory and time",
        panels: vec![
            panel("Resident memory of the leecher, at its peak, MiB", "MiB", "leecher_peak_mib"),
            panel("Time until it has the file, seconds", "s", "wall_s"),
        ],
    };
    Page { text: table(results, "peer, to itself", &columns, &how), charts: vec![chart], marks }
}
