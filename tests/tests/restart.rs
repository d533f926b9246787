//! What Althing keeps when its process ends, on purpose or not.

use std::time::Duration;

use althing_tests::clients::opentracker::{Kind, Scheme, Tracker, url};
use althing_tests::clients::{Peer as _, Seat, Task, althing, libtorrent};
use althing_tests::net::Network;
use althing_tests::payload::Payload;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::poll;

const LIMIT: Duration = Duration::from_secs(40);

/// How a leecher is ended in the middle.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// SIGTERM: it has time to write down what it has.
    Asked,
    /// SIGKILL: it has none.
    Killed,
}

#[test]
fn a_leecher_that_was_stopped_goes_on_where_it_was() {
    goes_on("a_leecher_that_was_stopped_goes_on_where_it_was", End::Asked);
}

#[test]
fn a_leecher_that_was_killed_goes_on_where_it_was() {
    goes_on("a_leecher_that_was_killed_goes_on_where_it_was", End::Killed);
}

fn goes_on(test: &str, end: End) {
    let obstacle = tools::obstacle(&["opentracker", "python3-libtorrent"]);
    let network = obstacle.map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let (meeting, one, two) =
        (network.host("tracker"), network.host("seed"), network.host("leecher"));
    if let Err(why) = one.limit_upload(4) {
        return tools::skip(test, &why);
    }

    let payload = Payload::write(&scratch.dir("seed-files"), 2);
    let file = scratch.path().join("assembly.torrent");
    let url = url(Scheme::Http, meeting.ip());
    let torrent = Torrent::make(&payload, Format::Hybrid, &[url], &file);
    let hashes = &torrent.info_hashes;
    let tracker =
        Tracker::start(Kind::Opentracker, &meeting, meeting.ip(), hashes, &scratch.dir("tracker"));
    let seat = Seat { host: &one, folder: scratch.dir("seed") };
    let task =
        Task { torrent: &torrent, source: Source::File, folder: payload.parent(), seed: true };
    let mut seed = libtorrent::start(&seat, &task);
    tracker.wait_for_seed(hashes, || seed.diagnosis());

    let into = scratch.dir("copy");
    let seat = Seat { host: &two, folder: scratch.dir("leecher") };
    let task = Task { torrent: &torrent, source: Source::Magnet, folder: &into, seed: false };
    let mut leecher = althing::start(&seat, &task);
    let half = payload.size() / 2;
    if poll(LIMIT, || (seed.bytes_sent() > half).then_some(())).is_none() {
        panic!("not even half of it within {LIMIT:?}\n{}{}", seed.diagnosis(), leecher.diagnosis());
    }
    assert!(!leecher.is_complete(), "it was too quick to be ended in the middle");
    if end == End::Asked {
        leecher.ends_well();
    }
    drop(leecher);
    let before = seed.bytes_sent();

    let mut leecher = althing::start(&seat, &task);
    if poll(LIMIT, || leecher.is_complete().then_some(())).is_none() {
        panic!("not complete within {LIMIT:?}\n{}{}", seed.diagnosis(), leecher.diagnosis());
    }
    payload.assert_copied_to(&into);
    // The seed says ten times a second how much it has sent; the last of it may be missing, never
    // more than it sends in that time.
    let again = seed.bytes_sent().saturating_sub(before);
    assert!(
        again < payload.size() * 3 / 4,
        "after half of {} bytes, {again} were fetched anew\n{}",
        payload.size(),
        leecher.diagnosis()
    );
    assert!(leecher.ends_well(), "a seed ends well when it is asked to\n{}", leecher.diagnosis());
}
