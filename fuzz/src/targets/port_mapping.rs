//! Whatever a router, or somebody who claims to be one, may say: packets of PCP and NAT-PMP, answers
//! to searches, descriptions, and answers to calls.

use althing_base::{Instant, Machine as _, Seed};
use althing_net::portmap::upnp::{self, Place};
use althing_net::portmap::{Input, Mapper, Output, Protocol, Settings, pcp};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// Reads any bytes as all of these, and tells them to the machine in each of its states.
pub fn run(data: &[u8]) {
    let _ = pcp::read(data);
    let _ = upnp::external_address(data);
    let _ = upnp::error_code(data);
    if let Some(place) = upnp::location(data, GATEWAY) {
        check(&place);
    }
    let here = Place { addr: SocketAddrV4::new(GATEWAY, 5000), path: "/d.xml".into() };
    if let Some(service) = upnp::service(data, &here) {
        check(&service.place);
        assert!(service.name.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let gateway = Some(GATEWAY);
    let client = Ipv4Addr::new(192, 168, 1, 9);
    let settings = Settings { gateway, client, protocol: Protocol::Tcp, port: 7716 };
    let mut mapper = Mapper::new(settings, Seed::from_u64(1));
    let mut now = Instant::ORIGIN + Duration::from_secs(1000);
    mapper.handle_input(now, Input::Start);
    for turn in 0..24 {
        let mut answers = Vec::new();
        while let Some(output) = mapper.poll_output() {
            match output {
                Output::Send { to, .. } => {
                    assert!(*to.ip() == GATEWAY || to == upnp::SEARCH_ADDR);
                    answers.push(Input::Packet {
                        from: SocketAddr::V4(SocketAddrV4::new(GATEWAY, to.port())),
                        packet: data.to_vec(),
                    });
                }
                Output::Http { id, place, .. } => {
                    check(&place);
                    let status = if turn % 2 == 0 { 200 } else { 500 };
                    answers.push(Input::Answered { id, answer: Some((status, data.to_vec())) });
                }
                Output::Status(_) | Output::Stopped => {}
            }
        }
        match answers.pop() {
            Some(answer) => mapper.handle_input(now, answer),
            None => {
                let Some((wake, _)) = mapper.poll_timeout() else { break };
                now = wake;
                mapper.handle_timeout(now);
            }
        }
    }
}

fn check(place: &Place) {
    assert_eq!(*place.addr.ip(), GATEWAY);
    assert!(place.addr.port() != 0 && place.path.starts_with('/'));
    assert!(place.path.bytes().all(|byte| byte.is_ascii_graphic()));
}
