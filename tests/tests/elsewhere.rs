//! A computer moves to another network in the middle of a transfer: the address that it had is gone, and
//! a moment later it has another. What was begun goes on, soon, without anybody's help.

use std::time::Duration;

use althing_tests::clients::{Peer as _, Seat, Task, althing};
use althing_tests::net::Network;
use althing_tests::payload::Payload;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::poll;

const LIMIT: Duration = Duration::from_secs(60);

/// Within this time it is done: a look every three seconds; then the seed, which takes the old connection
/// for alive, sends us away once, and half a minute later it does not. Otherwise a connection whose address
/// is gone is given up after two and a half minutes.
const SOON: Duration = Duration::from_secs(75);

#[test]
fn a_transfer_goes_on_when_the_address_is_another() {
    let test = "a_transfer_goes_on_when_the_address_is_another";
    let mut network = match tools::obstacle(&["python3-libtorrent"]).map_or_else(Network::new, Err)
    {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let (one, two) = (network.host("seed"), network.host("laptop"));
    if let Err(why) = one.limit_upload(1) {
        return tools::skip(test, &why);
    }
    let payload = Payload::write(&scratch.dir("seed-files"), 11);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    let seat = Seat { host: &one, folder: scratch.dir("seed") };
    let quiet = "[network]\nlsd = false\nport_mapping = false\n";
    althing::configure(&seat, quiet);
    let folder = payload.parent();
    let task = Task { torrent: &torrent, source: Source::File, folder, seed: true };
    let mut seed = althing::start(&seat, &task);

    let seat = Seat { host: &two, folder: scratch.dir("laptop") };
    althing::configure(&seat, quiet);
    let into = scratch.dir("copy");
    let mut command = two.command(tools::althing().expect("the seed runs it"));
    command.arg("--dir").arg(seat.folder.join("data")).arg("get").arg(&file).arg("-o").arg(&into);
    command.args(["--peer", &format!("{}:7716", one.ip())]);
    let mut leecher = Process::start("leecher", command, &seat.folder);
    let begun = one.packets_sent("eth0");
    let under_way = poll(LIMIT, || (one.packets_sent("eth0") > begun + 50).then_some(()));
    assert!(under_way.is_some(), "{}{}", leecher.tail(), seed.diagnosis());

    two.configure(&["addr", "flush", "dev", "eth0"]);
    two.configure(&["addr", "add", "10.77.0.200/24", "dev", "eth0"]);
    leecher.wait_for("word of it", LIMIT, |said| said.contains("on another network").then_some(()));
    assert!(!leecher.has_ended(), "it was too quick for this test");
    assert!(leecher.wait_until_ended(SOON), "{}{}", leecher.tail(), seed.diagnosis());
    payload.assert_copied_to(&into);
    assert!(seed.ends_well(), "{}", seed.diagnosis());
}
