//! A real file goes from behind one router to behind another, of several kinds, by a magnet link alone:
//! no tracker, no peer named, and nobody there but nodes of the DHT and a peer in front that has nothing.
//!
//! The seed, the leecher and the one in front find each other in the DHT; those behind routers that let
//! nobody in meet through the one in front (BEP 55), who fetches so slowly that it never has a piece to
//! give, and counts what it gives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use althing_tests::daemon::Daemon;
use althing_tests::nat::{Kind, Nat, make_public_at};
use althing_tests::net::{Host, Network};
use althing_tests::payload::{Empty, Payload};
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Torrent};
use althing_tests::wait::poll;

/// For each step. A search that came too early is made again after a quarter of a minute, who was called in
/// vain is called again after half a minute, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// How long it is looked on after the first attempt where no hole can be made.
const IN_VAIN: Duration = Duration::from_secs(15);

const PORT: u16 = 7716;

/// Where nodes of the DHT are, each in another network (RFC 2544, 5737): a network has two places at the
/// most in answers, and one vote on what our address is.
const NODES: [Ipv4Addr; 5] = [
    Ipv4Addr::new(198, 18, 0, 10),
    Ipv4Addr::new(198, 19, 0, 10),
    Ipv4Addr::new(192, 0, 2, 10),
    Ipv4Addr::new(203, 0, 113, 10),
    Ipv4Addr::new(198, 18, 1, 10),
];

/// Where the peer in front is.
const MIDDLE: Ipv4Addr = Ipv4Addr::new(198, 19, 1, 10);

macro_rules! pairs {
    ($($name:ident: $seed:ident, $leecher:ident;)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), Kind::$seed, Kind::$leecher);
            }
        )*
    };
}

// Who seeds, then who fetches: of each that can meet one that needs the other's help more than the one
// before, and one that cannot. `holes.rs` has all of them, where the third is known from the start.
pairs! {
    full_cone_to_symmetric: FullCone, Symmetric;
    symmetric_to_address_restricted: Symmetric, AddressRestricted;
    address_restricted_to_port_restricted: AddressRestricted, PortRestricted;
    port_restricted_to_port_restricted: PortRestricted, PortRestricted;
    port_restricted_to_symmetric: PortRestricted, Symmetric;
}

fn check(test: &str, of_seed: Kind, of_leecher: Kind) {
    let network = tools::obstacle(&["python3-libtorrent", "nft"]).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let payload = Payload::write(&scratch.dir("seed-files"), 6);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    assert!(!torrent.magnet.contains("tr=") && !torrent.magnet.contains("x.pe="));
    let hash = torrent.info_hashes[0].as_str();

    let answers = "read_only = \"never\"\n";
    let mut nodes: Vec<Daemon> = Vec::new();
    for (number, ip) in NODES.into_iter().enumerate() {
        let name = format!("node{number}");
        let host = network.host(&name);
        make_public_at(&host, ip);
        let first = (number > 0).then_some(NODES[0]);
        nodes.push(start(host, &scratch.dir(&name), first, answers));
    }
    for node in &nodes {
        node.knows(NODES.len() as u64 - 1);
    }

    // Knows the torrent, and never gets far enough to give any of it.
    let host = network.host("middle");
    make_public_at(&host, MIDDLE);
    let slow = format!("{answers}[limits]\ndownload_kib_s = 1\n");
    let mut middle = start(host, &scratch.dir("middle"), Some(NODES[1]), &slow);
    let (torrent_file, slow_copy) = (torrent.file.as_path(), scratch.dir("middle-files"));
    middle.gets(torrent_file, &slow_copy);
    middle.announces(hash);

    let seeds = Nat::new(&mut network, "seed", of_seed);
    let mut seed = start(seeds.inside.clone(), &scratch.dir("seed"), Some(NODES[2]), "");
    seed.gets(torrent_file, payload.parent());
    seed.announces(hash);

    let takes = Nat::new(&mut network, "takes", of_leecher);
    let copy = scratch.dir("leecher-files");
    let mut leecher = start(takes.inside.clone(), &scratch.dir("leecher"), Some(NODES[3]), "");
    leecher.gets(Path::new(&torrent.magnet), &copy);
    let all = [&middle, &seed, &leecher];
    let said = || all.map(|daemon| daemon.process.tail()).concat();
    let named = || leecher.process.output().contains("the DHT names peers").then_some(());
    assert!(poll(LIMIT, named).is_some(), "the DHT names nobody\n{}", said());
    let same = || payload.difference(&copy, Empty::Kept).is_none().then_some(());
    if of_seed.can_meet(of_leecher) {
        assert!(poll(LIMIT, same).is_some(), "they have not met\n{}", said());
        // It has come from the seed, and the one in front had next to nothing to give.
        let size = figure(&leecher, "size_bytes");
        let counted = || (figure(&seed, "uploaded_bytes") >= size - size / 20).then_some(());
        assert!(poll(LIMIT, counted).is_some(), "the seed has not given all of it\n{}", said());
        // At its rate it may have come by a few pieces of the 178 when they were long in meeting.
        let (had, gave) = (figure(&middle, "pieces_done"), figure(&middle, "uploaded_bytes"));
        assert!(had <= 4 && gave <= size / 20, "{had} pieces, gave {gave}");
    } else {
        // It has called, while the other one did, or when both were told to.
        let there = format!("addr={}:", seeds.public_ip());
        let in_vain = |line: &str| line.contains("no connection") && line.contains(&there);
        let called = || leecher.process.output().lines().any(in_vain).then_some(());
        assert!(poll(LIMIT, called).is_some(), "nobody has tried\n{}", said());
        assert!(poll(IN_VAIN, same).is_none(), "{of_seed:?} and {of_leecher:?} have met");
    }
    reads_well(&leecher, of_leecher);
}

/// Who asks whether others can reach this computer is told what its router makes of ports, and not
/// that it is cut off.
#[track_caller]
fn reads_well(daemon: &Daemon, kind: Kind) {
    let translation = match kind {
        Kind::Symmetric => "another port for everybody (symmetric)",
        _ => "the same port for everybody",
    };
    let cut_off = "Nobody can reach you";
    let mut said = String::new();
    // It takes the word of several nodes, and one that follows on an announce comes a little later.
    let well = poll(LIMIT, || {
        let output = daemon.command(&["net", "status"]).output().expect("the binary is there");
        said = String::from_utf8_lossy(&output.stdout).into_owned();
        (!said.contains(cut_off) && said.contains(translation)).then_some(())
    });
    assert!(well.is_some(), "{kind:?}: {said}");
}

/// An Althing that knows one node of the DHT.
fn start(host: Host, folder: &Path, first: Option<Ipv4Addr>, more: &str) -> Daemon {
    let node = |ip| format!("{:?}", SocketAddr::new(IpAddr::V4(ip), PORT).to_string());
    let first = first.map(node).unwrap_or_default();
    Daemon::start(host, folder, &format!("[dht]\nbootstrap = [{first}]\n{more}"))
}

/// A figure of its only torrent.
#[track_caller]
fn figure(daemon: &Daemon, name: &str) -> u64 {
    let list = daemon.json(&["ls"]);
    list[0][name].as_u64().unwrap_or_else(|| panic!("{name}: {list}"))
}
