//! Peers that nobody but another peer names (BEP 11), told by Althing and told to Althing.
//!
//! A seed and a leecher know one peer in the middle and no tracker. What the one in the middle
//! may fetch is so limited that the payload cannot go through it: if the leecher has
//! everything in time, it has met the seed.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use althing_tests::clients::{Client, Exchanges, Peer, Seat};
use althing_tests::net::{Host, Network};
use althing_tests::payload::{Empty, Payload};
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, PYTHON, SCRIPT, Source, Torrent};
use althing_tests::wait::poll;

/// Peers are told once a minute, by Transmission every 90 s, and somebody has to be there to be told of.
const LIMIT: Duration = Duration::from_secs(240);

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(30);

/// Where each listens.
fn port(client: Client) -> u16 {
    match client {
        Client::Althing => 7716,
        Client::Transmission => 51413,
        _ => 6881,
    }
}

#[test]
fn althing_tells_libtorrent() {
    introduces("althing_tells_libtorrent", Client::Althing, Client::Libtorrent);
}

#[test]
fn libtorrent_tells_althing() {
    introduces("libtorrent_tells_althing", Client::Libtorrent, Client::Althing);
}

#[test]
fn althing_tells_transmission() {
    introduces("althing_tells_transmission", Client::Althing, Client::Transmission);
}

#[test]
fn transmission_tells_althing() {
    introduces("transmission_tells_althing", Client::Transmission, Client::Althing);
}

#[test]
fn althing_tells_qbittorrent() {
    introduces("althing_tells_qbittorrent", Client::Althing, Client::Qbittorrent);
}

#[test]
fn qbittorrent_tells_althing() {
    introduces("qbittorrent_tells_althing", Client::Qbittorrent, Client::Althing);
}

/// One of the three that a test is about.
enum One {
    /// By its command line.
    Process(Process),
    /// By its settings, as in the matrix.
    Client(Box<dyn Peer>),
}

impl One {
    fn said(&mut self) -> String {
        match self {
            One::Process(process) => process.tail(),
            One::Client(peer) => peer.diagnosis(),
        }
    }
}

fn introduces(test: &str, middle: Client, leecher: Client) {
    let mut needs = vec!["python3-libtorrent"];
    needs.extend([middle, leecher].into_iter().filter_map(Client::tool));
    needs.dedup();
    let network = tools::obstacle(&needs).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let [between, seed, takes] = ["middle", "seed", "leecher"].map(|name| network.host(name));
    let payload = Payload::write(&scratch.dir("seed-files"), 3);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    let (slow_copy, copy) = (scratch.dir("middle-files"), scratch.dir("leecher-files"));
    let contact = |host: &Host, client| format!("{}:{}", host.ip(), port(client));
    let of_middle = contact(&between, middle);
    let start = |client, host, name, into: &Path, role, peer: Option<&str>| {
        let seat = Seat { host, folder: scratch.dir(name) };
        start(client, &seat, &torrent, into, role, peer)
    };
    // Nobody can tell these two whom to call: they are called.
    let is_called = matches!(leecher, Client::Transmission | Client::Qbittorrent);
    let fetches = Exchanges::Fetches;
    let called = is_called.then(|| start(leecher, &takes, "leecher", &copy, fetches, None));
    let whom = is_called.then(|| contact(&takes, leecher));
    let role = Exchanges::StandsBetween;
    let mut one = start(middle, &between, "middle", &slow_copy, role, whom.as_deref());
    // Whoever calls in vain tries again after a minute only, and the next word of peers is a minute off then.
    let listens = || seed.run(|| TcpStream::connect(&of_middle).is_ok()).then_some(());
    assert!(poll(START, listens).is_some(), "it does not listen\n{}", one.said());
    let args = ["--peer", &of_middle, "--seed"];
    let gives = libtorrent(&seed, &scratch.dir("seed"), &torrent, payload.parent(), &args);
    let mut other = called
        .unwrap_or_else(|| start(leecher, &takes, "leecher", &copy, fetches, Some(&of_middle)));
    let empty = if leecher == Client::Transmission { Empty::LeftOut } else { Empty::Kept };
    let same = || payload.difference(&copy, empty).is_none().then_some(());
    if poll(LIMIT, same).is_none() {
        panic!("not complete within {LIMIT:?}\n{}{}{}", one.said(), gives.tail(), other.said());
    }
    assert!(payload.difference(&slow_copy, empty).is_some(), "it went through the middle");
}

fn start(
    client: Client,
    seat: &Seat<'_>,
    torrent: &Torrent,
    into: &Path,
    role: Exchanges,
    peer: Option<&str>,
) -> One {
    let slow = role == Exchanges::StandsBetween;
    match client {
        Client::Althing => {
            let limits = if slow { "[limits]\ndownload_kib_s = 1\n" } else { "" };
            let settings = format!("[network]\nlsd = false\n[dht]\nenabled = false\n{limits}");
            One::Process(althing(seat.host, &seat.folder, torrent, into, &settings, peer))
        }
        Client::Libtorrent => {
            let mut args: Vec<&str> = if slow { vec!["--slow"] } else { Vec::new() };
            args.extend(peer.into_iter().flat_map(|peer| ["--peer", peer]));
            One::Process(libtorrent(seat.host, &seat.folder, torrent, into, &args))
        }
        other => {
            role.tell(seat);
            One::Client(other.fetch(seat, torrent, Source::File, into))
        }
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
