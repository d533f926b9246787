//! Behind a SOCKS5 proxy everything goes through it: names, trackers over HTTP and UDP, peers. The
//! proxies are microsocks (with a password) and Dante (which passes datagrams on). What leaves the
//! host for anybody but the proxy is counted by the kernel, and there is to be none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_tests::clients::opentracker::{Kind, PORT, Tracker};
use althing_tests::clients::{Peer as _, Seat, Task, althing, libtorrent};
use althing_tests::net::{Host, Network};
use althing_tests::payload::Payload;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::poll;

const LIMIT: Duration = Duration::from_secs(60);

/// A name that only the proxy can look up.
const NAME: &str = "tracker.beyond";

const PASSWORD: &str = "s3cret-p4ss";

/// The proxy's file of names, which is gone afterwards.
struct Hosts(PathBuf);

impl Hosts {
    fn write(host: &Host, text: &str) -> Hosts {
        let folder = Path::new("/etc/netns").join(host.namespace());
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join("hosts"), text))
            .expect("root can write there");
        Hosts(folder)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct World {
    scratch: Scratch,
    peer: Host,
    proxy: Host,
    payload: Payload,
    torrent: Torrent,
    seed: libtorrent::Libtorrent,
    _tracker: Tracker,
    _hosts: Hosts,
    _network: Network,
}

impl World {
    fn new(test: &str, program: &str, scheme: &str) -> Option<World> {
        let obstacle = tools::obstacle(&[program, "nft", "python3-libtorrent"]);
        let mut network = match obstacle.map_or_else(Network::new, Err) {
            Ok(network) => network,
            Err(why) => {
                tools::skip(test, &why);
                return None;
            }
        };
        let scratch = Scratch::new();
        let (peer, proxy, far, one) = (
            network.host("peer"),
            network.host("proxy"),
            network.host("far"),
            network.host("seed"),
        );
        for host in [&proxy, &far, &one] {
            network.attach(host, "far0");
        }
        // If anything did leave, it would find its way.
        peer.configure(&["route", "add", "default", "via", &far.ip().to_string()]);
        let rules = format!(
            "nft add table inet leak && \
             nft add chain inet leak out '{{ type filter hook output priority 0; }}' && \
             nft add rule inet leak out oifname eth0 ip daddr != {} counter && \
             echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
            proxy.ip()
        );
        let made = peer.command("sh").args(["-c", &rules]).status().expect("a shell");
        assert!(made.success(), "the kernel counts");
        let ip = far.second_ip();
        let hosts = Hosts::write(&proxy, &format!("127.0.0.1 localhost\n{ip} {NAME}\n"));
        let payload = Payload::write(&scratch.dir("seed-files"), 4);
        let file = scratch.path().join("assembly.torrent");
        // The seed is not behind the proxy, and knows no names.
        let direct = [format!("http://{ip}:{PORT}/announce")];
        let seeds = Torrent::make(&payload, Format::V1, &direct, &file);
        let folder = scratch.dir("tracker");
        let tracker = Tracker::start(Kind::Althing, &far, ip, &seeds.info_hashes, &folder);
        let seat = Seat { host: &one, folder: scratch.dir("seed") };
        let folder = payload.parent();
        let task = Task { torrent: &seeds, source: Source::File, folder, seed: true };
        let mut seed = libtorrent::start(&seat, &task);
        tracker.wait_for_seed(&seeds.info_hashes, || seed.diagnosis());
        let named = [format!("{scheme}://{NAME}:{PORT}/announce")];
        let file = scratch.path().join("by-name.torrent");
        let torrent = Torrent::make(&payload, Format::V1, &named, &file);
        Some(World {
            scratch,
            peer,
            proxy,
            payload,
            torrent,
            seed,
            _tracker: tracker,
            _hosts: hosts,
            _network: network,
        })
    }

    fn fetch(&self, credentials: &str) -> (althing::Althing, PathBuf) {
        let into = self.scratch.dir("copy");
        let seat = Seat { host: &self.peer, folder: self.scratch.dir("peer") };
        let url = format!("socks5://{credentials}{}:1080", self.proxy.ip());
        althing::configure(&seat, &format!("[network]\nproxy = '{url}'\n"));
        let task =
            Task { torrent: &self.torrent, source: Source::File, folder: &into, seed: false };
        (althing::start(&seat, &task), into)
    }

    /// What left for anybody but the proxy.
    fn leaked(&self) -> String {
        let output =
            self.peer.command("nft").args(["list", "chain", "inet", "leak", "out"]).output();
        let text = output.expect("nft is there").stdout;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| line.contains("counter packets"));
        line.expect("the rule is there").trim().to_owned()
    }

    #[track_caller]
    fn arrives(&mut self, leecher: &mut althing::Althing, into: &Path, proxy: &Process) {
        if poll(LIMIT, || leecher.is_complete().then_some(())).is_none() {
            let (seed, peer) = (self.seed.diagnosis(), leecher.diagnosis());
            panic!("not complete\n{seed}{peer}{}\n{}", proxy.tail(), self.leaked());
        }
        self.payload.assert_copied_to(into);
        self.nothing_leaked(leecher);
    }

    #[track_caller]
    fn nothing_leaked(&self, leecher: &mut althing::Althing) {
        let leaked = self.leaked();
        assert!(leaked.contains("counter packets 0 "), "{leaked}\n{}", leecher.diagnosis());
        assert!(!leecher.output().contains(PASSWORD), "{}", leecher.diagnosis());
    }
}

fn microsocks(world: &World) -> Process {
    let mut command = world.proxy.command("microsocks");
    command.args(["-i", &world.proxy.ip().to_string(), "-p", "1080", "-u", "anna", "-P", PASSWORD]);
    Process::start("microsocks", command, &world.scratch.dir("proxy"))
}

#[test]
fn names_and_peers_go_through_a_proxy_with_a_password() {
    let test = "names_and_peers_go_through_a_proxy_with_a_password";
    let Some(mut world) = World::new(test, "microsocks", "http") else { return };
    let proxy = microsocks(&world);
    let (mut leecher, into) = world.fetch(&format!("anna:{PASSWORD}@"));
    world.arrives(&mut leecher, &into, &proxy);
    // Without the proxy there is no other way.
    drop(proxy);
    poll(Duration::from_secs(3), || None::<()>);
    world.nothing_leaked(&mut leecher);
    assert!(leecher.ends_well(), "{}", leecher.diagnosis());
    world.nothing_leaked(&mut leecher);
}

#[test]
fn a_wrong_password_leads_nowhere_and_is_not_told() {
    let test = "a_wrong_password_leads_nowhere_and_is_not_told";
    let Some(world) = World::new(test, "microsocks", "udp") else { return };
    let _proxy = microsocks(&world);
    let (mut leecher, _) = world.fetch("anna:wrong-s3cret@");
    poll(Duration::from_secs(4), || None::<()>);
    assert!(!leecher.is_complete());
    world.nothing_leaked(&mut leecher);
    assert!(!leecher.output().contains("wrong-s3cret"), "{}", leecher.diagnosis());
}

#[test]
fn trackers_over_udp_go_through_a_proxy_that_passes_datagrams_on() {
    let test = "trackers_over_udp_go_through_a_proxy_that_passes_datagrams_on";
    let Some(mut world) = World::new(test, "danted", "udp") else { return };
    let folder = world.scratch.dir("proxy");
    let settings = folder.join("danted.conf");
    let text = format!(
        "logoutput: stdout\ninternal: {} port = 1080\nexternal: far0\nclientmethod: none\n\
         socksmethod: none\nuser.privileged: root\nuser.unprivileged: root\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0\nlog: connect disconnect error data }}\n",
        world.proxy.ip()
    );
    std::fs::write(&settings, text).expect("settings can be written");
    let mut command = world.proxy.command("danted");
    command.arg("-f").arg(&settings).arg("-p").arg(folder.join("pid"));
    let proxy = Process::start("danted", command, &folder);
    proxy.wait_for("start", LIMIT, |said| said.contains("running").then_some(()));
    let (mut leecher, into) = world.fetch("");
    world.arrives(&mut leecher, &into, &proxy);
}
