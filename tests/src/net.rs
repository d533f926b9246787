//! Hosts that exist for one test: network namespaces behind a bridge in a namespace of its own.
//!
//! Nothing is made in the machine's own namespace, so the addresses are the same in every
//! [`Network`] and never collide; only the namespaces' names are global, and they carry the
//! process id of the test that made them. A test that was killed leaves its namespaces behind;
//! the next [`Network`] removes those whose process is gone, and what still runs in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal};
use rustix::thread::LinkNameSpaceType;

/// What the names of all our namespaces begin with.
const PREFIX: &str = "althing-t";

/// Where `ip netns` keeps the namespaces' names.
const NAMES: &str = "/run/netns";

/// Hosts that see each other and nothing else. Removed on drop, with what runs in them.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    hub: String,
    hosts: Vec<String>,
}

/// One host of a [`Network`]: loopback and one interface, an IPv4 and an IPv6 address.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: String,
    number: u8,
    ip: Ipv4Addr,
}

impl Network {
    /// An empty network.
    ///
    /// # Errors
    /// A sentence that says why this machine does not let us make one (a root without the right to,
    /// as in most containers).
    pub fn new() -> Result<Network, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_orphans();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}-{}-{count}", std::process::id());
        let hub = format!("{prefix}-hub");
        ip(&["netns", "add", &hub])
            .map_err(|error| format!("network namespaces cannot be made here ({error})"))?;
        let network = Network { prefix, hub, hosts: Vec::new() };
        let hub = network.hub.as_str();
        ip(&["-n", hub, "link", "add", "bridge", "type", "bridge"])
            .and_then(|()| ip(&["-n", hub, "link", "set", "bridge", "up"]))
            .map_err(|error| format!("bridges cannot be made here ({error})"))?;
        Ok(network)
    }

    /// One more host.
    ///
    /// # Panics
    /// When `ip` refuses, or past 250 hosts.
    pub fn host(&mut self, name: &str) -> Host {
        let number = self.next_number();
        let (hub, port, end) = (self.hub.as_str(), format!("port{number}"), format!("end{number}"));
        must(&["-n", hub, "link", "add", &port, "type", "veth", "peer", "name", &end]);
        must(&["-n", hub, "link", "set", &port, "master", "bridge", "up"]);
        self.adopt(name, &end, Ipv4Addr::new(10, 77, 0, number), 24)
    }

    /// One more host, at the end of a cable that is there in the hub's namespace already.
    pub(crate) fn adopt(&mut self, name: &str, device: &str, ip: Ipv4Addr, prefix: u8) -> Host {
        let number = self.next_number();
        let namespace = format!("{}-{name}", self.prefix);
        let host = Host { namespace, number, ip };
        let space = host.namespace.as_str();
        let (v4, v6) = (format!("{ip}/{prefix}"), format!("{}/64", host.ip6()));
        must(&["netns", "add", space]);
        self.hosts.push(host.namespace.clone());
        must(&["-n", &self.hub, "link", "set", device, "netns", space]);
        must(&["-n", space, "link", "set", device, "name", "eth0"]);
        must(&["-n", space, "link", "set", "lo", "up"]);
        must(&["-n", space, "addr", "add", &v4, "dev", "eth0"]);
        // Without nodad the address could not be bound for the first second or two.
        must(&["-n", space, "addr", "add", &v6, "dev", "eth0", "nodad"]);
        must(&["-n", space, "link", "set", "eth0", "up"]);
        host
    }

    fn next_number(&self) -> u8 {
        let number = u8::try_from(self.hosts.len() + 1).expect("a test has few hosts");
        assert!(number <= 250, "the network 10.77.0.0/24 is full");
        number
    }

    /// The namespace in the middle, for what connects its hosts.
    pub(crate) fn hub(&self) -> Host {
        Host { namespace: self.hub.clone(), number: 0, ip: Ipv4Addr::UNSPECIFIED }
    }
}

impl Network {
    /// Gives a host one more interface, on a second network beside the first: 10.78.0.0/24, over
    /// which hosts see each other as over a VPN. To be done again after it was deleted.
    ///
    /// # Panics
    /// When `ip` refuses.
    pub fn attach(&self, host: &Host, device: &str) {
        let (hub, port) = (self.hub.as_str(), format!("second{}", host.number));
        if ip(&["-n", hub, "link", "show", "bridge2"]).is_err() {
            must(&["-n", hub, "link", "add", "bridge2", "type", "bridge"]);
            must(&["-n", hub, "link", "set", "bridge2", "up"]);
        }
        let space = host.namespace.as_str();
        let v4 = format!("{}/24", host.second_ip());
        must(&[
            "-n", hub, "link", "add", &port, "type", "veth", "peer", "name", device, "netns", space,
        ]);
        must(&["-n", hub, "link", "set", &port, "master", "bridge2", "up"]);
        must(&["-n", space, "addr", "add", &v4, "dev", device]);
        must(&["-n", space, "link", "set", device, "up"]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.hosts.iter().chain([&self.hub]) {
            remove(namespace);
        }
    }
}

impl Host {
    /// Its IPv4 address.
    pub fn ip(&self) -> IpAddr {
        IpAddr::V4(self.ip)
    }

    /// Its IPv6 address (unique local, RFC 4193).
    pub fn ip6(&self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::from(self.number)))
    }

    /// Its address on the second network, once it is [attached](Network::attach) to that.
    pub fn second_ip(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 78, 0, self.number))
    }

    /// Runs `ip` with these arguments in this host.
    ///
    /// # Panics
    /// When it refuses.
    pub fn configure(&self, arguments: &[&str]) {
        must(&[&["-n", self.namespace.as_str()], arguments].concat());
    }

    /// How many packets have left by an interface, whatever their kind.
    ///
    /// # Panics
    /// When there is no such interface.
    pub fn packets_sent(&self, device: &str) -> u64 {
        let path = format!("/sys/class/net/{device}/statistics/tx_packets");
        let output = self.command("cat").arg(path).output().expect("cat is everywhere");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().expect("the interface counts its packets")
    }

    /// The namespace's name, as `ip netns` lists it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Lets no more than this leave the host (a token bucket at its interface), so that a transfer
    /// lasts long enough for something to happen meanwhile.
    ///
    /// # Errors
    /// A sentence, where the kernel has no such limiter.
    pub fn limit_upload(&self, mebibytes_per_s: u32) -> Result<(), String> {
        let output = self
            .command("tc")
            .args(["qdisc", "replace", "dev", "eth0", "root", "tbf", "latency", "100ms"])
            .args(["burst", "128kb", "rate", &format!("{}kbit", mebibytes_per_s * 8 * 1024)])
            .output()
            .map_err(|error| format!("tc could not be run: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("the kernel limits no rates here ({})", said.trim()))
    }

    /// A command that runs `program` in this host. It is killed when the thread that starts it
    /// ends, so start it from the test's own thread.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace, "setpriv", "--pdeathsig", "KILL", "--"])
            .arg(program.as_ref())
            // Names beyond ASCII reach the disk as they are, whatever the machine's locale.
            .env("LC_ALL", "C.UTF-8")
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .env_remove("all_proxy");
        command
    }

    /// Runs `work` on a thread inside this host; sockets it makes belong to the host for good,
    /// wherever they are used afterwards.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = Path::new(NAMES).join(&self.namespace);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let name = std::fs::File::open(&path).expect("the host's namespace has a name");
                rustix::thread::move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&name),
                    Some(LinkNameSpaceType::Network),
                )
                .expect("root can enter a network namespace");
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Removes the namespaces of tests whose process is gone.
fn remove_orphans() {
    let Ok(names) = std::fs::read_dir(NAMES) else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove(&name);
        }
    }
}

/// Ends what runs in a namespace of ours and removes it. What cannot be removed stays: the next
/// test tries again.
fn remove(namespace: &str) {
    for pid in pids(namespace) {
        // It may have ended by itself since it was listed.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
    let _ = ip(&["netns", "del", namespace]);
}

/// What runs in a namespace.
fn pids(namespace: &str) -> Vec<Pid> {
    let Ok(listed) = Command::new("ip").args(["netns", "pids", namespace]).output() else {
        return Vec::new();
    };
    let listed = String::from_utf8_lossy(&listed.stdout);
    listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

fn must(arguments: &[&str]) {
    ip(arguments).unwrap_or_else(|error| panic!("{error}"));
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|error| format!("ip could not be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`ip {}` failed: {}", arguments.join(" "), said.trim()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::tools;
    use crate::wait::poll;

    const LIMIT: Duration = Duration::from_secs(10);

    fn network(test: &str) -> Option<Network> {
        let made = match tools::obstacle(&[]) {
            Some(why) => Err(why),
            None => Network::new(),
        };
        made.inspect_err(|why| tools::skip(test, why)).ok()
    }

    #[test]
    fn two_hosts_talk_over_ipv4_and_ipv6() {
        let Some(mut network) = network("two_hosts_talk_over_ipv4_and_ipv6") else { return };
        let (one, two) = (network.host("one"), network.host("two"));
        for ip in [one.ip(), one.ip6()] {
            let address = SocketAddr::new(ip, 4000);
            let listener = one.run(|| TcpListener::bind(address)).expect("the address is ours");
            let mut sent = two
                .run(|| TcpStream::connect_timeout(&address, Duration::from_secs(5)))
                .expect("the hosts see each other");
            sent.write_all(b"heyr").expect("the connection stands");
            let mut heard = [0; 4];
            listener
                .accept()
                .and_then(|(mut stream, _)| stream.read_exact(&mut heard))
                .expect("what was sent arrives");
            assert_eq!(&heard, b"heyr");
        }
    }

    #[test]
    fn a_host_reaches_nothing_outside_its_network() {
        let Some(mut network) = network("a_host_reaches_nothing_outside_its_network") else {
            return;
        };
        let one = network.host("one");
        let outside = SocketAddr::from(([192, 0, 2, 1], 80));
        let error = one
            .run(|| TcpStream::connect_timeout(&outside, Duration::from_secs(5)))
            .expect_err("there is no route");
        assert_eq!(error.kind(), std::io::ErrorKind::NetworkUnreachable);
    }

    #[test]
    fn a_network_leaves_nothing_behind() {
        let Some(mut network) = network("a_network_leaves_nothing_behind") else { return };
        let one = network.host("one");
        let name = Path::new(NAMES).join(one.namespace());
        assert!(name.exists());
        let mut child = one.command("sleep").arg("60").spawn().expect("sleep is everywhere");
        let entered = || (!pids(one.namespace()).is_empty()).then_some(());
        poll(LIMIT, entered).expect("it enters its host");
        drop(network);
        assert!(!name.exists());
        let status = poll(LIMIT, || child.try_wait().expect("the child is ours"));
        let status = status.expect("it has ended");
        assert!(!status.success(), "it was killed, not waited for");
    }
}
