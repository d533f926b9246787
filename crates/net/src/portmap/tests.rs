//! The mapper against scripted gateways, on a simulated clock.

use super::*;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// A gateway that speaks some of the protocols.
#[derive(Default)]
struct Gateway {
    pcp: bool,
    nat_pmp: bool,
    upnp: bool,
    /// It takes no mapping that ends.
    for_ever_only: bool,
    /// A port that somebody else has.
    taken: Option<u16>,
    /// When it was switched on, in seconds.
    booted_s: u64,
    /// Requests for a mapping, in seconds, with its lifetime.
    asked: Vec<(u64, u32)>,
}

struct World {
    now: Instant,
    mapper: Mapper,
    gateway: Gateway,
    said: Vec<Status>,
    stopped: bool,
}

fn at(secs: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(secs)
}

impl World {
    fn new(gateway: Gateway) -> World {
        let settings = Settings {
            gateway: Some(GATEWAY),
            client: Ipv4Addr::new(192, 168, 1, 9),
            protocol: Protocol::Tcp,
            port: 7716,
        };
        let mapper = Mapper::new(settings, Seed::from_u64(1));
        let mut world = World { now: at(1000), mapper, gateway, said: Vec::new(), stopped: false };
        world.input(Input::Start);
        world
    }

    fn secs(&self) -> u64 {
        self.now.since(at(0)).as_secs()
    }

    fn input(&mut self, input: Input) {
        self.mapper.handle_input(self.now, input);
        while let Some(output) = self.mapper.poll_output() {
            match output {
                Output::Status(status) => self.said.push(status),
                Output::Stopped => self.stopped = true,
                Output::Send { to, packet } => {
                    let Some(answer) = self.gateway.packet(self.secs(), to, &packet) else {
                        continue;
                    };
                    let from = SocketAddr::V4(SocketAddrV4::new(GATEWAY, to.port()));
                    return self.also(Input::Packet { from, packet: answer });
                }
                Output::Http { id, place, call } => {
                    assert_eq!(*place.addr.ip(), GATEWAY);
                    let answer = Some(self.gateway.http(self.secs(), &place, call.as_ref()));
                    return self.also(Input::Answered { id, answer });
                }
            }
        }
    }

    /// Drains first: the machine wants one mutation at a time.
    fn also(&mut self, input: Input) {
        let mut later = vec![input];
        while let Some(output) = self.mapper.poll_output() {
            match output {
                Output::Status(status) => self.said.push(status),
                Output::Stopped => self.stopped = true,
                Output::Send { to, packet } => {
                    if let Some(packet) = self.gateway.packet(self.secs(), to, &packet) {
                        let from = SocketAddr::V4(SocketAddrV4::new(GATEWAY, to.port()));
                        later.push(Input::Packet { from, packet });
                    }
                }
                Output::Http { id, place, call } => {
                    let answer = Some(self.gateway.http(self.secs(), &place, call.as_ref()));
                    later.push(Input::Answered { id, answer });
                }
            }
        }
        later.into_iter().for_each(|input| self.input(input));
    }

    fn run(&mut self, end: Instant) {
        while let Some((wake, _)) = self.mapper.poll_timeout()
            && wake <= end
        {
            self.now = wake;
            self.mapper.handle_timeout(wake);
            // An input that means nothing, so that what follows is drained in one place.
            self.input(Input::Start);
        }
        self.now = end;
    }

    fn mapped_by(&self) -> Option<(Method, Option<Ipv4Addr>, u16)> {
        match self.mapper.status() {
            Status::Mapped { method, external_ip, external_port } => {
                Some((*method, *external_ip, *external_port))
            }
            _ => None,
        }
    }
}

impl Gateway {
    fn packet(&mut self, now_s: u64, to: SocketAddrV4, packet: &[u8]) -> Option<Vec<u8>> {
        let epoch = ((now_s - self.booted_s) as u32).to_be_bytes();
        if to == upnp::SEARCH_ADDR {
            let answer = "HTTP/1.1 200 OK\r\nST: urn:x:InternetGatewayDevice:1\r\n\
                          LOCATION: http://192.168.1.1:5000/d.xml\r\n\r\n";
            return self.upnp.then(|| answer.as_bytes().to_vec());
        }
        assert_eq!(to, SocketAddrV4::new(GATEWAY, pcp::PORT));
        match packet {
            [2, 1, ..] if self.pcp => {
                let lifetime = packet[4..8].try_into().expect("four bytes");
                self.asked.push((now_s, u32::from_be_bytes(lifetime)));
                let mut answer = packet.to_vec();
                answer[1] |= 0x80;
                answer[8..12].copy_from_slice(&epoch);
                answer[44..].copy_from_slice(&EXTERNAL.to_ipv6_mapped().octets());
                Some(answer)
            }
            [2, 1, ..] if self.nat_pmp => Some([&[0, 0x81, 0, 1], epoch.as_slice()].concat()),
            [0, 0] if self.nat_pmp => {
                Some([&[0, 0x80, 0, 0], epoch.as_slice(), &EXTERNAL.octets()].concat())
            }
            [0, 2, _, _, rest @ ..] if self.nat_pmp => {
                let lifetime = rest[4..8].try_into().expect("four bytes");
                self.asked.push((now_s, u32::from_be_bytes(lifetime)));
                Some([&[0, 0x82, 0, 0], epoch.as_slice(), rest].concat())
            }
            _ => None,
        }
    }

    fn http(
        &mut self,
        now_s: u64,
        place: &Place,
        call: Option<&(String, String)>,
    ) -> (u16, Vec<u8>) {
        let name = "urn:schemas-upnp-org:service:WANIPConnection:1";
        let fault = |code: u16| (500, format!("<errorCode>{code}</errorCode>").into_bytes());
        let Some((action, body)) = call else {
            assert_eq!(place.path, "/d.xml");
            let text = format!(
                "<service><serviceType>{name}</serviceType><controlURL>/c</controlURL></service>"
            );
            return (200, text.into_bytes());
        };
        assert_eq!(place.path, "/c");
        let lease = |body: &str| -> u32 {
            let (_, rest) = body.split_once("<NewLeaseDuration>").expect("it is there");
            rest.split('<').next().and_then(|number| number.parse().ok()).expect("a number")
        };
        match action.rsplit('#').next() {
            Some("GetExternalIPAddress\"") => {
                let text = format!("<NewExternalIPAddress>{EXTERNAL}</NewExternalIPAddress>");
                (200, text.into_bytes())
            }
            Some("AddPortMapping\"") if self.for_ever_only && lease(body) != 0 => fault(725),
            Some("AddPortMapping\"")
                if self
                    .taken
                    .is_some_and(|port| body.contains(&format!("<NewExternalPort>{port}<"))) =>
            {
                fault(718)
            }
            Some("AddPortMapping\"") => {
                self.asked.push((now_s, lease(body)));
                (200, Vec::new())
            }
            Some("DeletePortMapping\"") => {
                self.asked.push((now_s, u32::MAX));
                (200, Vec::new())
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_protocol_maps_renews_at_half_and_gives_up_at_the_end() {
    for (gateway, method) in [
        (Gateway { pcp: true, nat_pmp: true, upnp: true, ..Gateway::default() }, Method::Pcp),
        (Gateway { nat_pmp: true, upnp: true, ..Gateway::default() }, Method::NatPmp),
        (Gateway { upnp: true, ..Gateway::default() }, Method::Upnp),
    ] {
        let mut world = World::new(gateway);
        world.run(at(1060));
        assert_eq!(world.mapped_by(), Some((method, Some(EXTERNAL), 7716)), "{method}");
        world.run(at(900 + 4 * 3600));
        let lifetimes: Vec<u32> =
            world.gateway.asked.iter().map(|(_, lifetime)| *lifetime).collect();
        assert_eq!(lifetimes, [3600; 8], "{method}");
        let gaps = world.gateway.asked.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(gaps.clone().all(|gap| gap == 1800), "{method}: {:?}", gaps.collect::<Vec<_>>());
        world.input(Input::Stop);
        assert!(world.stopped, "{method}");
        let last = world.gateway.asked.last().map(|(_, lifetime)| *lifetime);
        assert!(matches!(last, Some(0 | u32::MAX)), "{method}: {last:?}");
        assert_eq!(world.mapper.poll_timeout(), None);
    }
}

#[test]
fn a_gateway_that_was_switched_off_and_on_is_asked_again() {
    let mut world = World::new(Gateway { nat_pmp: true, ..Gateway::default() });
    world.run(at(1300));
    assert_eq!(world.gateway.asked.len(), 1);
    // It says on its own what its address is, and how long it has been up (RFC 6886, 3.2.1).
    let from: SocketAddr = "192.168.1.1:5351".parse().expect("an address");
    let announce = |epoch_s: u32| {
        let epoch = epoch_s.to_be_bytes();
        let packet = [&[0, 0x80, 0, 0], epoch.as_slice(), &EXTERNAL.octets()];
        Input::Packet { from, packet: packet.concat() }
    };
    world.input(announce(1300));
    assert_eq!(world.gateway.asked.len(), 1);
    world.gateway.booted_s = 1299;
    world.input(announce(1));
    assert_eq!(world.gateway.asked.len(), 2);
    assert!(world.mapped_by().is_some());
}

#[test]
fn old_gateways_of_upnp_get_what_they_can() {
    let mut world = World::new(Gateway {
        upnp: true,
        for_ever_only: true,
        taken: Some(7716),
        ..Gateway::default()
    });
    world.run(at(1060));
    assert_eq!(world.mapped_by(), Some((Method::Upnp, Some(EXTERNAL), 7717)));
    assert_eq!(world.gateway.asked.last().map(|(_, lifetime)| *lifetime), Some(0));
}

#[test]
fn without_an_answer_it_rests_and_tries_again() {
    let mut world = World::new(Gateway::default());
    world.run(at(1060));
    assert_eq!(world.said, [Status::Failed("no router answers".into())]);
    world.gateway.upnp = true;
    world.run(at(1000 + 20 * 60));
    assert!(world.mapped_by().is_some());
}

#[test]
fn only_the_gateway_is_heard() {
    let mut world = World::new(Gateway::default());
    let map = Map { protocol: Protocol::Tcp, internal: 7716, external: 7716, lifetime_s: 3600 };
    let mut answer = pcp::map_request(&map);
    answer[1] |= 0x80;
    answer.splice(2..4, [0, 0, 0, 0, 0, 9]);
    // In time for NAT-PMP's turn.
    world.run(at(1005));
    for from in ["192.168.1.66:5351", "203.0.113.9:5351", "192.168.1.1:9"] {
        let from = from.parse().expect("an address");
        world.input(Input::Packet { from, packet: answer.clone() });
        assert_eq!(world.mapped_by(), None, "{from}");
    }
    let from = "192.168.1.1:5351".parse().expect("an address");
    world.input(Input::Packet { from, packet: answer });
    assert!(world.mapped_by().is_some());
}
