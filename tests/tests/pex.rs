//! Peers that nobody but another peer names (BEP 11), told by Althing and told to Althing.
//!
//! A seed and a leecher know one peer in the middle and no tracker. What the one in the middle
//! may fetch is so limited that the payload cannot go through it: if the leecher has
//! everything in time, it has met the seed.

use std::path::Path;
use std::time::Duration;

use althing_tests::net::{Host, Network};
use althing_tests::payload::{Empty, Payload};
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, PYTHON, SCRIPT, Torrent};
use althing_tests::wait::poll;

/// Peers are told once a minute, and somebody has to be there to be told of.
const LIMIT: Duration = Duration::from_secs(150);

/// Where libtorrent listens, and where Althing does.
const LIBTORRENT_PORT: u16 = 6881;
const ALTHING_PORT: u16 = 7716;

#[test]
fn althing_tells_libtorrent() {
    introduces("althing_tells_libtorrent", true);
}

#[test]
fn libtorrent_tells_althing() {
    introduces("libtorrent_tells_althing", false);
}

fn introduces(test: &str, althing_in_the_middle: bool) {
    let network = tools::obstacle(&["python3-libtorrent"]).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let hosts = ["middle", "seed", "leecher"].map(|name| network.host(name));
    let [middle, seed, leecher] = &hosts;
    let payload = Payload::write(&scratch.dir("seed-files"), 3);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    let into = |name: &str| scratch.dir(&format!("{name}-files"));
    let port = if althing_in_the_middle { ALTHING_PORT } else { LIBTORRENT_PORT };
    let contact = format!("{}:{port}", middle.ip());
    let folder = |name: &str| scratch.dir(name);
    let between = if althing_in_the_middle {
        let settings = "[network]\nlsd = false\n[limits]\ndownload_kib_s = 1\n";
        althing(middle, &folder("middle"), &torrent, &into("middle"), settings, None)
    } else {
        libtorrent(middle, &folder("middle"), &torrent, &into("middle"), &["--slow"])
    };
    let known = ["--peer", &contact];
    let args = [known[0], known[1], "--seed"];
    let gives = libtorrent(seed, &folder("seed"), &torrent, payload.parent(), &args);
    let copy = into("leecher");
    let takes = if althing_in_the_middle {
        libtorrent(leecher, &folder("leecher"), &torrent, &copy, &known)
    } else {
        let settings = "[network]\nlsd = false\n";
        althing(leecher, &folder("leecher"), &torrent, &copy, settings, Some(&contact))
    };
    let same = || payload.difference(&copy, Empty::Kept).is_none().then_some(());
    if poll(LIMIT, same).is_none() {
        panic!("not complete within {LIMIT:?}\n{}{}{}", between.tail(), gives.tail(), takes.tail());
    }
}

fn libtorrent(
    host: &Host,
    folder: &Path,
    torrent: &Torrent,
    into: &Path,
    args: &[&str],
) -> Process {
    let mut command = host.command(PYTHON);
    command.args(["-Wignore", SCRIPT, "run"]).arg(&torrent.file).arg(into).args(args);
    Process::start("libtorrent", command, folder)
}

fn althing(
    host: &Host,
    folder: &Path,
    torrent: &Torrent,
    into: &Path,
    settings: &str,
    peer: Option<&str>,
) -> Process {
    let data = folder.join("data");
    std::fs::create_dir_all(&data)
        .and_then(|()| std::fs::write(data.join("config.toml"), settings))
        .expect("settings can be written");
    let binary = tools::althing().unwrap_or_else(|error| panic!("{error}"));
    let mut command = host.command(binary);
    command.arg("--dir").arg(&data).arg("get").arg(&torrent.file).arg("-o").arg(into).arg("--seed");
    if let Some(peer) = peer {
        command.arg("--peer").arg(peer);
    }
    Process::start("althing", command, folder)
}
