//! A router gives Althing a port (PCP, UPnP): a peer outside gets through it, and when Althing ends the
//! port is closed again. The router is miniupnpd with the kernel's own address translation.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use althing_tests::clients::{Peer as _, Seat, Task, althing};
use althing_tests::net::{Host, Network};
use althing_tests::payload::Payload;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::poll;

const LIMIT: Duration = Duration::from_secs(60);

/// What the router says its address is: it insists on one that is not private. Nothing is sent there.
const EXTERNAL: &str = "44.44.44.44";

#[test]
fn by_pcp_peers_come_through_until_the_end() {
    come_through(
        "by_pcp_peers_come_through_until_the_end",
        "enable_natpmp=yes\nenable_upnp=no\n",
        "PCP",
    );
}

#[test]
fn by_upnp_peers_come_through_until_the_end() {
    come_through(
        "by_upnp_peers_come_through_until_the_end",
        "enable_natpmp=no\nenable_upnp=yes\n",
        "UPnP",
    );
}

/// Runs a shell's words in a host.
#[track_caller]
fn run(host: &Host, words: &str) {
    let status = host.command("sh").args(["-c", words]).status().expect("a shell is everywhere");
    assert!(status.success(), "{words}");
}

fn rules(router: &Host) -> String {
    let output = router.command("nft").args(["list", "ruleset"]).output().expect("nft is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn start_router(router: &Host, switches: &str, folder: &Path) -> Process {
    run(router, "echo 1 > /proc/sys/net/ipv4/ip_forward");
    run(
        router,
        "nft add table inet igd && \
         nft add chain inet igd forward '{ type filter hook forward priority 0; }' && \
         nft add chain inet igd prerouting '{ type nat hook prerouting priority -100; }' && \
         nft add chain inet igd postrouting '{ type nat hook postrouting priority 100; }'",
    );
    let settings = folder.join("miniupnpd.conf");
    let text = format!(
        "ext_ifname=wan0\next_ip={EXTERNAL}\nlistening_ip=eth0\n{switches}secure_mode=yes\n\
         uuid=00000000-0000-0000-0000-000000000001\nupnp_table_name=igd\nupnp_nat_table_name=igd\n\
         upnp_forward_chain=forward\nupnp_nat_chain=prerouting\nupnp_nat_postrouting_chain=postrouting\n\
         allow 1024-65535 10.77.0.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
    );
    std::fs::write(&settings, text).expect("settings can be written");
    let mut command: Command = router.command("miniupnpd");
    command.args(["-d", "-P"]).arg(folder.join("pid")).arg("-f").arg(&settings);
    let process = Process::start("miniupnpd", command, folder);
    process.wait_for("start", LIMIT, |said| said.contains("starting").then_some(()));
    process
}

fn come_through(test: &str, switches: &str, method: &str) {
    let obstacle = tools::obstacle(&["miniupnpd", "nft", "python3-libtorrent"]);
    let mut network = match obstacle.map_or_else(Network::new, Err) {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let (router, inside, outside) =
        (network.host("router"), network.host("inside"), network.host("outside"));
    network.attach(&router, "wan0");
    network.attach(&outside, "wan0");
    inside.configure(&["route", "add", "default", "via", &router.ip().to_string()]);
    // Only the router knows the way in.
    outside.configure(&["addr", "flush", "dev", "eth0"]);
    let daemon = start_router(&router, switches, &scratch.dir("router"));

    let payload = Payload::write(&scratch.dir("seed-files"), 5);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, Format::V1, &[], &file);
    let seat = Seat { host: &inside, folder: scratch.dir("inside") };
    althing::configure(&seat, "[network]\nlsd = false\n");
    let folder = payload.parent();
    let task = Task { torrent: &torrent, source: Source::File, folder, seed: true };
    let mut seed = althing::start(&seat, &task);
    let binary = tools::althing().expect("the seed runs it");
    let status = || {
        let mut command = inside.command(&binary);
        command.arg("--dir").arg(seat.folder.join("data")).arg("status");
        String::from_utf8_lossy(&command.output().expect("it runs").stdout).into_owned()
    };
    let wanted = format!("peers can connect to {EXTERNAL} port 7716 ({method})");
    if poll(LIMIT, || status().contains(&wanted).then_some(())).is_none() {
        panic!("{}\n{}{}", status(), seed.diagnosis(), daemon.tail());
    }
    assert!(rules(&router).contains("dnat"), "{}", rules(&router));

    let into = scratch.dir("copy");
    let mut command = outside.command(&binary);
    command.arg("--dir").arg(scratch.dir("outside")).arg("get").arg(&file).arg("-o").arg(&into);
    command.args(["--peer", &format!("{}:7716", router.second_ip())]);
    let mut leecher = Process::start("leecher", command, &scratch.dir("outside"));
    assert!(leecher.wait_until_ended(LIMIT), "{}{}", leecher.tail(), seed.diagnosis());
    payload.assert_copied_to(&into);

    assert!(seed.ends_well(), "{}", seed.diagnosis());
    let closed = poll(LIMIT, || (!rules(&router).contains("dnat")).then_some(()));
    assert!(closed.is_some(), "{}\n{}", rules(&router), daemon.tail());
}
