//! By which interface Althing goes out. A host has two: `eth0`, its home network with a default route,
//! and `wg0`, which stands for a VPN. Bound to `wg0`, no packet of whatever kind may leave by `eth0`,
//! whether `wg0` is up, down, deleted or back; and what was begun is finished.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use althing_tests::clients::opentracker::{Kind, PORT, Tracker};
use althing_tests::clients::{Peer as _, Seat, Task, althing, libtorrent};
use althing_tests::net::{Host, Network};
use althing_tests::payload::Payload;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, Source, Torrent};
use althing_tests::wait::{now, poll};

const LIMIT: Duration = Duration::from_secs(60);

/// How long it is watched that nothing leaves: several attempts of each kind fall into it.
const WATCH: Duration = Duration::from_secs(5);

/// A name that only the VPN's name server knows.
const NAME: &str = "tracker.vpn";

/// Everything around the host that is bound: a tracker, a seed, and a name server, each reached by
/// both networks.
struct World {
    scratch: Scratch,
    network: Network,
    peer: Host,
    hub: Host,
    seed: libtorrent::Libtorrent,
    _tracker: Tracker,
    names: Names,
    payload: Payload,
    torrent: Torrent,
}

/// A name server that says one address for every name, until it is dropped.
struct Names {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Names {
    fn start(host: &Host, answer: IpAddr) -> Names {
        let IpAddr::V4(answer) = answer else { panic!("an IPv4 address") };
        let any = SocketAddr::from(([0, 0, 0, 0], 53));
        let socket = host.run(|| UdpSocket::bind(any)).expect("nobody else has the port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 512];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut packet) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let mut reply = packet[..len].to_vec();
                // An answer, recursion available; an address only where IPv4's was asked for.
                reply[2..4].copy_from_slice(&[0x81, 0x80]);
                if reply[len - 4..] == [0, 1, 0, 1] {
                    reply[7] = 1;
                    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    reply.extend(answer.octets());
                }
                let _ = socket.send_to(&reply, from);
            }
        });
        Names { stop, asked, thread: Some(thread) }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl World {
    /// `None` where the machine lacks something; says so.
    fn new(test: &str) -> Option<World> {
        World::over(test, false)
    }

    /// The same where the seed talks over uTP alone, or over TCP alone.
    fn over(test: &str, utp: bool) -> Option<World> {
        let obstacle = tools::obstacle(&["python3-libtorrent", "nft"]);
        let mut network = match obstacle.map_or_else(Network::new, Err) {
            Ok(network) => network,
            Err(why) => {
                tools::skip(test, &why);
                return None;
            }
        };
        let scratch = Scratch::new();
        let (peer, hub, one) = (network.host("peer"), network.host("far"), network.host("seed"));
        network.attach(&peer, "wg0");
        network.attach(&hub, "vpn0");
        network.attach(&one, "vpn0");
        // The home network's kernel chatter would be taken for leaks; and if anything did leave by
        // eth0, it would find its way.
        let off = "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6";
        assert!(peer.command("sh").args(["-c", off]).status().is_ok_and(|status| status.success()));
        peer.configure(&["route", "add", "default", "via", &hub.ip().to_string()]);
        let rate = ["tc", "qdisc", "add", "dev", "vpn0", "root", "tbf", "latency", "100ms"];
        let limited = one
            .command(rate[0])
            .args(&rate[1..])
            .args(["burst", "64kb", "rate", "8mbit"])
            .status()
            .expect("tc can be run");
        if !limited.success() {
            tools::skip(test, "the kernel limits no rates here");
            return None;
        }
        let payload = Payload::write(&scratch.dir("seed-files"), 9);
        let file = scratch.path().join("assembly.torrent");
        let ip = hub.second_ip();
        let trackers = [
            format!("http://{ip}:{PORT}/announce"),
            format!("udp://{ip}:{PORT}/announce"),
            format!("http://{NAME}:{PORT}/announce"),
            format!("udp://{NAME}:{PORT}/announce"),
        ];
        let torrent = Torrent::make(&payload, Format::V1, &trackers, &file);
        let folder = scratch.dir("tracker");
        let tracker = Tracker::start(Kind::Althing, &hub, ip, &torrent.info_hashes, &folder);
        let names = Names::start(&hub, ip);
        let seat = Seat { host: &one, folder: scratch.dir("seed") };
        if utp {
            seat.talk_over_utp();
        }
        let folder = payload.parent();
        let task = Task { torrent: &torrent, source: Source::File, folder, seed: true };
        let mut seed = libtorrent::start(&seat, &task);
        tracker.wait_for_seed(&torrent.info_hashes, || seed.diagnosis());
        Some(World {
            scratch,
            network,
            peer,
            hub,
            seed,
            _tracker: tracker,
            names,
            payload,
            torrent,
        })
    }

    fn fetch(&self, settings: &str) -> (althing::Althing, PathBuf) {
        let into = self.scratch.dir("copy");
        let seat = Seat { host: &self.peer, folder: self.scratch.dir("peer") };
        althing::configure(&seat, settings);
        let task =
            Task { torrent: &self.torrent, source: Source::File, folder: &into, seed: false };
        (althing::start(&seat, &task), into)
    }

    fn leaked(&self) -> u64 {
        self.peer.packets_sent("eth0")
    }

    /// Waits until the seed has sent this many bytes.
    #[track_caller]
    fn sent(&mut self, bytes: u64, leecher: &mut althing::Althing) {
        if poll(LIMIT, || (self.seed.bytes_sent() >= bytes).then_some(())).is_none() {
            panic!("not {bytes} bytes\n{}{}", self.seed.diagnosis(), leecher.diagnosis());
        }
    }
}

/// Watches for a while; says whether the leecher said `words`.
#[track_caller]
fn watch(leecher: &mut althing::Althing, words: &str) {
    let end = now() + WATCH;
    let said = || leecher.output().contains(words).then_some(());
    assert!(poll(LIMIT, said).is_some(), "it does not say {words:?}\n{}", leecher.diagnosis());
    poll(WATCH, || (now() >= end).then_some(()));
}

#[test]
fn nothing_leaves_by_another_interface() {
    nothing_leaves("nothing_leaves_by_another_interface", false);
}

#[test]
fn no_datagram_leaves_by_another_interface() {
    nothing_leaves("no_datagram_leaves_by_another_interface", true);
}

/// Files come over TCP or uTP; the other of the two is tried, too.
fn nothing_leaves(test: &str, utp: bool) {
    let Some(mut world) = World::over(test, utp) else { return };
    let settings = format!(
        "[network]\ninterface = 'wg0'\ndns = ['{}']\nport = 7716\nprefer = 'utp'\n",
        world.hub.second_ip()
    );
    let before = world.leaked();
    let (mut leecher, into) = world.fetch(&settings);
    world.sent(1 << 20, &mut leecher);
    assert!(world.names.asked.load(Ordering::Relaxed) > 0, "the name server was not asked");
    assert_eq!(world.leaked(), before, "while it is up\n{}", leecher.diagnosis());

    world.peer.configure(&["link", "set", "wg0", "down"]);
    watch(&mut leecher, "\"wg0\" of network.interface is down");
    assert_eq!(world.leaked(), before, "while it is down\n{}", leecher.diagnosis());

    world.peer.configure(&["link", "set", "wg0", "up"]);
    let so_far = world.seed.bytes_sent();
    world.sent(so_far + (1 << 20), &mut leecher);
    assert_eq!(world.leaked(), before, "when it is up again\n{}", leecher.diagnosis());

    world.peer.configure(&["link", "del", "wg0"]);
    watch(&mut leecher, "\"wg0\" of network.interface is not there");
    assert!(!leecher.is_complete(), "it was too quick for this test");
    assert_eq!(world.leaked(), before, "when it is deleted\n{}", leecher.diagnosis());

    world.network.attach(&world.peer, "wg0");
    // The seed has to find out first that its old connection leads nowhere.
    let complete = poll(2 * LIMIT, || leecher.is_complete().then_some(()));
    assert!(complete.is_some(), "{}{}", world.seed.diagnosis(), leecher.diagnosis());
    world.payload.assert_copied_to(&into);
    assert!(leecher.ends_well(), "{}", leecher.diagnosis());
    assert_eq!(world.leaked(), before, "to the end\n{}", leecher.diagnosis());
}

#[test]
fn an_interface_that_is_not_there_at_the_start_is_waited_for() {
    let test = "an_interface_that_is_not_there_at_the_start_is_waited_for";
    let Some(mut world) = World::new(test) else { return };
    world.peer.configure(&["link", "del", "wg0"]);
    let before = world.leaked();
    // Name servers are the system's here, which nobody can reach by wg0.
    let (mut leecher, into) = world.fetch("[network]\ninterface = 'wg0'\nport = 0\n");
    watch(&mut leecher, "\"wg0\" of network.interface is not there");
    assert_eq!(world.leaked(), before, "{}", leecher.diagnosis());
    world.network.attach(&world.peer, "wg0");
    let complete = poll(LIMIT, || leecher.is_complete().then_some(()));
    assert!(complete.is_some(), "{}{}", world.seed.diagnosis(), leecher.diagnosis());
    world.payload.assert_copied_to(&into);
    assert_eq!(world.leaked(), before, "{}", leecher.diagnosis());
}

/// What the two tests above count would be seen: without a setting, packets do leave.
#[test]
fn without_the_setting_packets_leave_by_whatever_way_there_is() {
    let test = "without_the_setting_packets_leave_by_whatever_way_there_is";
    let Some(mut world) = World::new(test) else { return };
    let before = world.leaked();
    let (mut leecher, _) = world.fetch("");
    world.sent(1 << 20, &mut leecher);
    world.peer.configure(&["link", "del", "wg0"]);
    let leaks = poll(LIMIT, || (world.leaked() > before).then_some(()));
    assert!(leaks.is_some(), "{}", leecher.diagnosis());
}
