//! Routers that translate addresses, as people have them at home, by the kernel's own means (nftables).
//!
//! A [`Nat`] is a host of a [`Network`] with a network of its own behind it. In front, hosts have
//! addresses of 198.51.100.0/24 (RFC 5737), which are nobody's private ones; behind, 192.168.1.0/24 each.
//! The four kinds are those of RFC 3489, in its words, as far as UDP goes; TCP comes in through none.

use std::net::{IpAddr, Ipv4Addr};

use crate::net::{Host, Network};

/// What a router lets in, and what it makes of ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A port that something was sent from is open to everybody.
    FullCone,
    /// To every port of the addresses that something was sent to from it.
    AddressRestricted,
    /// To the ports that something was sent to from it.
    PortRestricted,
    /// As before, and each of them sees another port.
    Symmetric,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] =
        [Kind::FullCone, Kind::AddressRestricted, Kind::PortRestricted, Kind::Symmetric];

    /// Whether two peers behind such routers can meet if both call each other at the same time where a
    /// third has seen them: not if one is seen at another port by everybody, and the other one's router
    /// looks at ports.
    pub fn can_meet(self, other: Kind) -> bool {
        let strict = |kind| matches!(kind, Kind::PortRestricted | Kind::Symmetric);
        let hidden = |kind| kind == Kind::Symmetric;
        !(hidden(self) && strict(other) || hidden(other) && strict(self))
    }

    fn rules(self) -> String {
        // What comes unasked is dropped before the kernel remembers it: it would else be in the way of
        // what goes out to the same place a moment later.
        let unasked = "chain input { type filter hook input priority 0; iifname eth0 drop; }\n\
             chain forward { type filter hook forward priority 0; \
             iifname eth0 ct state new ct status & dnat == 0 drop; }\n";
        let (opened, opens, lets_in) = match self {
            Kind::FullCone => ("inet_service", "udp sport", "udp dport @opened"),
            Kind::AddressRestricted => {
                ("inet_service . ipv4_addr", "udp sport . ip daddr", "udp dport . ip saddr @opened")
            }
            Kind::PortRestricted | Kind::Symmetric => {
                let random = if self == Kind::Symmetric { " fully-random" } else { "" };
                return format!(
                    "table ip nat {{\n{unasked}chain out {{ type nat hook postrouting priority 100; \
                     oifname eth0 masquerade{random}; }}\n}}\n"
                );
            }
        };
        // Ports stay what they are, since only one host is behind.
        format!(
            "table ip nat {{\nset opened {{ type {opened}; flags dynamic,timeout; timeout 2m; }}\n\
             {unasked}chain note {{ type filter hook forward priority 1; \
             oifname eth0 meta l4proto udp update @opened {{ {opens} }}; }}\n\
             chain in {{ type nat hook prerouting priority -100; \
             iifname eth0 {lets_in} dnat to {INSIDE}; }}\n\
             chain out {{ type nat hook postrouting priority 100; oifname eth0 masquerade; }}\n}}\n"
        )
    }
}

/// The host behind, and the router's address there.
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// A router and the one host behind it.
#[derive(Debug)]
pub struct Nat {
    /// The router.
    pub router: Host,
    /// Who is behind it, at 192.168.1.2.
    pub inside: Host,
}

impl Nat {
    /// A router in front of one host, which are called `name` and `name-in`.
    ///
    /// # Panics
    /// When `ip` or `nft` refuses.
    pub fn new(network: &mut Network, name: &str, kind: Kind) -> Nat {
        let router = network.host(name);
        let inside = network.host(&format!("{name}-in"));
        make_public(&router);
        // The one behind is not on the network in front.
        inside.configure(&["link", "del", "eth0"]);
        let space = inside.namespace();
        router.configure(&[
            "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", space,
        ]);
        router.configure(&["addr", "add", &format!("{GATEWAY}/24"), "dev", "lan0"]);
        router.configure(&["link", "set", "lan0", "up"]);
        inside.configure(&["addr", "add", &format!("{INSIDE}/24"), "dev", "eth0"]);
        inside.configure(&["link", "set", "eth0", "up"]);
        inside.configure(&["route", "add", "default", "via", &GATEWAY.to_string()]);
        run(&router, "echo 1 > /proc/sys/net/ipv4/ip_forward");
        run(&router, &format!("nft -f - <<'END'\n{}END\n", kind.rules()));
        Nat { router, inside }
    }

    /// From now on UDP goes out from this port, whatever port it comes from behind: what the one behind says of
    /// its port is wrong then. For kinds that don't look at who is behind a port, which are those without a list of their own.
    ///
    /// # Panics
    /// When `nft` refuses.
    pub fn moves_udp_to(&self, port: u16) {
        let rules = format!(
            "flush chain ip nat out\n\
             add rule ip nat out oifname eth0 meta l4proto udp masquerade to :{port}\n\
             add rule ip nat out oifname eth0 masquerade\n"
        );
        run(&self.router, &format!("nft -f - <<'END'\n{rules}END\n"));
    }

    /// The router's address in front.
    pub fn public_ip(&self) -> IpAddr {
        public_ip(&self.router)
    }
}

/// Gives a host an address in front of all routers in the place of the private one it has, over which
/// it reaches nothing then.
///
/// # Panics
/// When `ip` refuses.
pub fn make_public(host: &Host) {
    let IpAddr::V4(ip) = public_ip(host) else { unreachable!("that is one of IPv4") };
    make_public_at(host, ip);
}

/// Gives a host this address in front of all routers, and no other. Whatever network that is in, all
/// others in front see it.
///
/// # Panics
/// When `ip` refuses.
pub fn make_public_at(host: &Host, ip: Ipv4Addr) {
    host.configure(&["addr", "flush", "dev", "eth0"]);
    host.configure(&["addr", "add", &format!("{ip}/24"), "dev", "eth0"]);
    host.configure(&["route", "add", "default", "dev", "eth0"]);
}

/// The address that [`make_public`] gives a host.
pub fn public_ip(host: &Host) -> IpAddr {
    match host.ip() {
        IpAddr::V4(ip) => IpAddr::from([198, 51, 100, ip.octets()[3]]),
        IpAddr::V6(_) => unreachable!("hosts have IPv4 addresses"),
    }
}

#[track_caller]
fn run(host: &Host, words: &str) {
    let output = host.command("sh").args(["-c", words]).output().expect("a shell is everywhere");
    assert!(output.status.success(), "{words}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools;
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    /// How long nothing has to come before nothing comes: the packets pass through this machine's memory.
    const SILENCE: Duration = Duration::from_millis(150);

    fn network(test: &str) -> Option<Network> {
        let made = tools::obstacle(&["nft"]).map_or_else(Network::new, Err);
        made.inspect_err(|why| tools::skip(test, why)).ok()
    }

    fn socket(host: &Host, port: u16) -> UdpSocket {
        let socket = host.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)));
        let socket = socket.expect("the port is free");
        socket.set_read_timeout(Some(SILENCE)).expect("a timeout");
        socket
    }

    fn heard(socket: &UdpSocket) -> Option<SocketAddr> {
        let mut buffer = [0; 16];
        socket.recv_from(&mut buffer).ok().map(|(_, from)| from)
    }

    fn send(socket: &UdpSocket, to: SocketAddr) {
        // Refused if somebody has said that nobody listens there; that is as good as lost.
        let _ = socket.send_to(b"heyr", to);
    }

    /// Empties a socket of what came before.
    fn drain(socket: &UdpSocket) {
        while heard(socket).is_some() {}
    }

    /// What a kind is said to be, by probes from two hosts with two ports each.
    #[test]
    fn each_kind_is_what_it_is_called() {
        for kind in Kind::ALL {
            let Some(mut network) = network("each_kind_is_what_it_is_called") else { return };
            let (one, two) = (network.host("one"), network.host("two"));
            make_public(&one);
            make_public(&two);
            let nat = Nat::new(&mut network, "nat", kind);
            let inside = socket(&nat.inside, 7716);
            let (first, other_port) = (socket(&one, 4000), socket(&one, 4001));
            let stranger = socket(&two, 4000);
            // Nobody gets in before anything has gone out.
            send(&first, SocketAddr::new(nat.public_ip(), 7716));
            assert_eq!(heard(&inside), None, "{kind:?}");

            send(&inside, SocketAddr::new(public_ip(&one), 4000));
            let seen = heard(&first).expect("what goes out arrives");
            assert_eq!(seen.ip(), nat.public_ip(), "{kind:?}");
            send(&first, seen);
            assert!(heard(&inside).is_some(), "{kind:?}: an answer comes in");
            send(&other_port, seen);
            let from_other_port = heard(&inside).is_some();
            send(&stranger, seen);
            let from_stranger = heard(&inside).is_some();
            let expected = match kind {
                Kind::FullCone => (true, true),
                Kind::AddressRestricted => (true, false),
                Kind::PortRestricted | Kind::Symmetric => (false, false),
            };
            assert_eq!((from_other_port, from_stranger), expected, "{kind:?}");

            send(&inside, SocketAddr::new(public_ip(&two), 4000));
            drain(&stranger);
            send(&inside, SocketAddr::new(public_ip(&two), 4000));
            let seen_by_stranger = heard(&stranger).expect("what goes out arrives");
            assert_eq!(seen_by_stranger == seen, kind != Kind::Symmetric, "{kind:?}");
        }
    }

    /// Which two can meet: each sends to where a third has seen the other, a few times in turn, and goes on
    /// with whoever it hears.
    #[test]
    fn two_can_meet_or_cannot_as_their_kinds_have_it() {
        for (at, a) in Kind::ALL.into_iter().enumerate() {
            for b in Kind::ALL.into_iter().skip(at) {
                let test = "two_can_meet_or_cannot_as_their_kinds_have_it";
                let Some(mut network) = network(test) else { return };
                let third = network.host("third");
                make_public(&third);
                let (left, right) =
                    (Nat::new(&mut network, "left", a), Nat::new(&mut network, "right", b));
                let between = socket(&third, 4000);
                let (left, right) = (socket(&left.inside, 7716), socket(&right.inside, 7716));
                let seen = [&left, &right].map(|socket| {
                    send(socket, SocketAddr::new(public_ip(&third), 4000));
                    heard(&between).expect("what goes out arrives")
                });
                let (mut of_right, mut of_left) = (seen[1], seen[0]);
                let (mut left_heard, mut right_heard) = (false, false);
                for _ in 0..3 {
                    send(&left, of_right);
                    send(&right, of_left);
                    if let Some(from) = heard(&left) {
                        (of_right, left_heard) = (from, true);
                    }
                    if let Some(from) = heard(&right) {
                        (of_left, right_heard) = (from, true);
                    }
                }
                assert_eq!(left_heard && right_heard, a.can_meet(b), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn tcp_comes_in_through_none() {
        for kind in Kind::ALL {
            let Some(mut network) = network("tcp_comes_in_through_none") else { return };
            let one = network.host("one");
            make_public(&one);
            let nat = Nat::new(&mut network, "nat", kind);
            let port = 7716;
            let bound = || std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
            let _listener = nat.inside.run(bound).expect("the port is free");
            let address = SocketAddr::new(nat.public_ip(), port);
            let calling = || std::net::TcpStream::connect_timeout(&address, SILENCE * 3);
            assert!(one.run(calling).is_err(), "{kind:?}");
            let out = std::net::TcpListener::bind;
            let listener =
                one.run(|| out((Ipv4Addr::UNSPECIFIED, port))).expect("the port is free");
            let address = SocketAddr::new(public_ip(&one), port);
            let calling = || std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5));
            let _stream = nat.inside.run(calling).expect("it goes out through all");
            let (_, from) = listener.accept().expect("it has come");
            assert_eq!(from.ip(), nat.public_ip());
        }
    }
}
