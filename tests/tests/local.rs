//! Peers on one network find each other without a tracker (BEP 14): Althing is found by other
//! clients, and finds them.

use std::time::Duration;

use althing_tests::clients::Client::{self, Althing, Libtorrent, Transmission};
use althing_tests::clients::Seat;
use althing_tests::net::Network;
use althing_tests::payload::{Empty, Payload};
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::poll;

/// A client may announce once a minute only, and connect some time later.
const LIMIT: Duration = Duration::from_secs(150);

macro_rules! found {
    ($($name:ident: $seed:expr, $leecher:expr;)*) => {
        $(
            #[test]
            fn $name() {
                finds(stringify!($name), $seed, $leecher);
            }
        )*
    };
}

found! {
    althing_and_libtorrent: Althing, Libtorrent;
    libtorrent_and_althing: Libtorrent, Althing;
    althing_and_transmission: Althing, Transmission;
    transmission_and_althing: Transmission, Althing;
    althing_and_althing: Althing, Althing;
}

fn finds(test: &str, seed: Client, leecher: Client) {
    let needs: Vec<&str> = ["python3-libtorrent"]
        .into_iter()
        .chain([seed, leecher].into_iter().filter_map(Client::tool))
        .collect();
    let network = tools::obstacle(&needs).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let (one, two) = (network.host("seed"), network.host("leecher"));
    for host in [&one, &two] {
        // As a default route does: some clients leave the choice of an interface to the system.
        host.configure(&["route", "add", "224.0.0.0/4", "dev", "eth0"]);
    }
    let payload = Payload::write(&scratch.dir("seed-files"), 3);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    let seat = Seat { host: &one, folder: scratch.dir("seed") };
    let mut seed = seed.seed(&seat, &torrent, payload.parent());
    let into = scratch.dir("copy");
    let seat = Seat { host: &two, folder: scratch.dir("leecher") };
    let mut fetching = leecher.fetch(&seat, &torrent, Source::File, &into);
    if poll(LIMIT, || fetching.is_complete().then_some(())).is_none() {
        panic!("not complete within {LIMIT:?}\n{}{}", seed.diagnosis(), fetching.diagnosis());
    }
    // Transmission writes no empty files.
    let empty = if leecher == Transmission { Empty::LeftOut } else { Empty::Kept };
    assert_eq!(payload.difference(&into, empty), None);
}
