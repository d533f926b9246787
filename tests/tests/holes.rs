//! Peers behind routers that let nobody in meet through a third that both know (BEP 55), with routers of all
//! four kinds.
//!
//! A seed and a leecher, each behind a router of its own, know one peer in the middle and no tracker. What
//! that one may fetch is so limited that the payload cannot go through it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use althing_tests::nat::{Kind, Nat, make_public, public_ip};
use althing_tests::net::{Host, Network};
use althing_tests::payload::{Empty, Payload};
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Torrent};
use althing_tests::wait::poll;

/// Peers are told of each other once a minute.
const LIMIT: Duration = Duration::from_secs(150);

/// How long it is looked on after the first attempt at a hole where none can be made.
const IN_VAIN: Duration = Duration::from_secs(15);

const PORT: u16 = 7716;

macro_rules! pairs {
    ($($name:ident: $one:ident, $other:ident;)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), Kind::$one, Kind::$other);
            }
        )*
    };
}

pairs! {
    full_cone_and_full_cone: FullCone, FullCone;
    full_cone_and_address_restricted: FullCone, AddressRestricted;
    full_cone_and_port_restricted: FullCone, PortRestricted;
    full_cone_and_symmetric: FullCone, Symmetric;
    address_restricted_and_address_restricted: AddressRestricted, AddressRestricted;
    address_restricted_and_port_restricted: AddressRestricted, PortRestricted;
    address_restricted_and_symmetric: AddressRestricted, Symmetric;
    port_restricted_and_port_restricted: PortRestricted, PortRestricted;
    port_restricted_and_symmetric: PortRestricted, Symmetric;
    symmetric_and_symmetric: Symmetric, Symmetric;
}

/// Whether a file gets from behind one router to behind the other.
fn check(test: &str, one: Kind, other: Kind) {
    let network = tools::obstacle(&["python3-libtorrent", "nft"]).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let between = network.host("middle");
    make_public(&between);
    let (seeds, takes) =
        (Nat::new(&mut network, "seed", one), Nat::new(&mut network, "takes", other));
    let payload = Payload::write(&scratch.dir("seed-files"), 5);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    let (slow_copy, copy) = (scratch.dir("middle-files"), scratch.dir("leecher-files"));
    let of_middle = public_ip(&between);
    let start = |host: &Host, name: &str, into: &Path, more: &str, peer: Option<IpAddr>| {
        althing(host, &scratch.dir(name), &torrent, into, more, peer)
    };
    let middle = start(&between, "middle", &slow_copy, "[limits]\ndownload_kib_s = 1\n", None);
    middle.wait_for("sign that it runs", LIMIT, |output| {
        output.contains(&*slow_copy.to_string_lossy()).then_some(())
    });
    let seed = start(&seeds.inside, "seed", payload.parent(), "", Some(of_middle));
    let leecher = start(&takes.inside, "leecher", &copy, "", Some(of_middle));
    let said = || format!("{}{}{}", middle.tail(), seed.tail(), leecher.tail());
    let same = || payload.difference(&copy, Empty::Kept).is_none().then_some(());
    if one.can_meet(other) {
        assert!(poll(LIMIT, same).is_some(), "they have not met\n{}", said());
        assert!(payload.difference(&slow_copy, Empty::Kept).is_some(), "through the middle");
    } else {
        // Both have been told to call the other, and have.
        let called = || leecher.output().contains("through a hole").then_some(());
        assert!(poll(LIMIT, called).is_some(), "nobody has tried\n{}", said());
        assert!(poll(IN_VAIN, same).is_none(), "{one:?} and {other:?} have met");
    }
}

fn althing(
    host: &Host,
    folder: &Path,
    torrent: &Torrent,
    into: &Path,
    more: &str,
    peer: Option<IpAddr>,
) -> Process {
    let data = folder.join("data");
    let settings =
        format!("[network]\nlsd = false\nport_mapping = false\n[dht]\nenabled = false\n{more}");
    std::fs::create_dir_all(&data)
        .and_then(|()| std::fs::write(data.join("config.toml"), settings))
        .expect("settings can be written");
    let binary = tools::althing().unwrap_or_else(|error| panic!("{error}"));
    let mut command = host.command(binary);
    command.arg("-vv").arg("--dir").arg(&data);
    command.arg("get").arg(&torrent.file).arg("-o").arg(into).arg("--seed");
    if let Some(peer) = peer {
        command.arg("--peer").arg(SocketAddr::new(peer, PORT).to_string());
    }
    Process::start("althing", command, folder)
}
