//! A plain web server, as Debian ships it, as the only one that has a torrent.

use std::time::Duration;

use althing_tests::clients::{Peer as _, Seat, Task, althing};
use althing_tests::net::Network;
use althing_tests::payload::Payload;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::poll;

const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn a_v1_torrent_from_a_web_server_alone() {
    from_a_web_server("a_v1_torrent_from_a_web_server_alone", Format::V1, "/files/");
}

#[test]
fn a_hybrid_torrent_from_a_web_server_alone() {
    // Without the slash at the end it is a folder all the same: the torrent has several files.
    from_a_web_server("a_hybrid_torrent_from_a_web_server_alone", Format::Hybrid, "/files");
}

#[test]
fn a_v2_torrent_from_a_web_server_alone() {
    from_a_web_server("a_v2_torrent_from_a_web_server_alone", Format::V2, "/files/");
}

fn from_a_web_server(test: &str, format: Format, path: &str) {
    let obstacle = tools::obstacle(&["lighttpd", "python3-libtorrent"]);
    let mut network = match obstacle.map_or_else(Network::new, Err) {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let (web, leecher) = (network.host("web"), network.host("leecher"));
    let root = scratch.dir("www");
    let payload = Payload::write(&scratch.dir("www/files"), 5);
    let settings = scratch.path().join("lighttpd.conf");
    let text = format!(
        "server.document-root = \"{}\"\nserver.port = 8080\nserver.bind = \"{}\"\n",
        root.display(),
        web.ip()
    );
    std::fs::write(&settings, text).expect("the settings can be written");
    let mut command = web.command("lighttpd");
    command.arg("-D").arg("-f").arg(&settings);
    let server = Process::start("lighttpd", command, scratch.path());

    let url = format!("http://{}:8080{path}", web.ip());
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make_on_the_web(&payload, format, &url, &file);
    let into = scratch.dir("copy");
    let seat = Seat { host: &leecher, folder: scratch.dir("leecher") };
    let task = Task { torrent: &torrent, source: Source::File, folder: &into, seed: false };
    let mut althing = althing::start(&seat, &task);
    if poll(LIMIT, || althing.is_complete().then_some(())).is_none() {
        panic!("not complete within {LIMIT:?}\n{}{}", server.tail(), althing.diagnosis());
    }
    payload.assert_copied_to(&into);
    assert!(althing.ends_well(), "it ends well when it is asked to\n{}", althing.diagnosis());
}
