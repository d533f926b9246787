//! What is concluded from what happens.

use super::limits::{AGREE_MIN, VOTE_LASTS};
use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Our address in these tests, as others see it.
fn ours() -> IpAddr {
    ip("203.0.113.7")
}

struct World {
    reach: Reach,
    now: Instant,
}

impl World {
    /// A machine in somebody's home.
    fn new() -> Self {
        let mut world = World { reach: Reach::new(), now: Instant::from_nanos(1) };
        world.tell(Input::Own(vec![ip("192.168.1.2"), ip("fe80::1")]));
        world
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.reach.handle_input(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.reach.poll_output()).collect()
    }

    fn wait(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = Vec::new();
        while let Some((at, _)) = self.reach.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.reach.handle_timeout(self.now);
            outputs.extend(self.drain());
            assert_ne!(self.reach.poll_timeout().map(|(at, _)| at), Some(at), "it is busy");
        }
        self.now = end;
        outputs
    }

    /// The `n`th voter says that our address is this.
    fn told(&mut self, n: u8, said: IpAddr) -> Vec<Output> {
        self.tell(Input::Told { by: IpAddr::from([40, n, 0, 1]), ip: said, port: None })
    }

    fn settle(&mut self) -> Vec<Output> {
        (0..AGREE_MIN as u8).flat_map(|n| self.told(n, ours())).collect()
    }

    fn reached(&mut self, times: u32) {
        for n in 0..times {
            self.tell(Input::Reached { to: IpAddr::from([41, n as u8, 0, 1]) });
        }
    }

    fn judgement(&self) -> Judgement {
        self.reach.view(self.now).judgement
    }
}

fn external(ip: Option<IpAddr>) -> Output {
    Output::External { family: Family::V4, ip }
}

fn mapped(ip: &str) -> Input {
    Input::Mapped(Mapped::To { ip: Some(ip.parse().expect("an address")), port: 7716 })
}

#[test]
fn several_networks_settle_an_address_and_it_wears_off() {
    let mut world = World::new();
    assert_eq!(world.settle(), [external(Some(ours()))]);
    assert_eq!(world.reach.external(Family::V4), Some(ours()));
    assert_eq!(world.reach.external(Family::V6), None);
    assert_eq!(world.wait(VOTE_LASTS), [external(None)]);
    assert_eq!(world.reach.poll_timeout(), None, "who rests is woken by nothing");
}

#[test]
fn neighbours_and_nonsense_do_not_vote() {
    let mut world = World::new();
    for n in 0..100 {
        for by in [IpAddr::from([192, 168, n, 1]), IpAddr::from([127, n, 0, 1]), ip("fd77::1")] {
            assert_eq!(world.tell(Input::Told { by, ip: ours(), port: None }), []);
        }
        // What a voter of one family says of the other it has from somebody else.
        let by = IpAddr::from([0x2a00, u16::from(n), 0, 0, 0, 0, 0, 1]);
        assert_eq!(world.tell(Input::Told { by, ip: ours(), port: None }), []);
        assert_eq!(world.told(n, ip("10.0.0.1")), []);
        assert_eq!(world.told(n, ip("0.0.0.0")), []);
    }
}

#[test]
fn our_router_has_one_vote_and_takes_it_back() {
    let mut world = World::new();
    world.tell(mapped("203.0.113.7"));
    assert_eq!(world.told(1, ours()), []);
    assert_eq!(world.told(2, ours()), [external(Some(ours()))]);
    world.wait(VOTE_LASTS);
    assert_eq!(world.reach.view(world.now).v4.agree, 1);
    assert_eq!(
        world.tell(Input::Mapped(Mapped::Failed)),
        [external(None), Output::Judged(Judgement::Unproven)]
    );
}

#[test]
fn who_comes_in_from_outside_proves_it() {
    let mut world = World::new();
    world.settle();
    let arrive = |world: &mut World, from: &str| {
        world.tell(Input::Arrived { from: ip(from), over: Over::Tcp })
    };
    for near in ["192.168.1.9", "127.0.0.1", "203.0.113.7", "fe80::9"] {
        assert_eq!(arrive(&mut world, near), [], "{near}");
    }
    assert_eq!(arrive(&mut world, "198.51.100.4"), [Output::Judged(Judgement::Open)]);
    let view = world.reach.view(world.now);
    assert_eq!((view.arrived_tcp, view.arrived_utp), (1, 0));
    let said = world.wait(OPEN_LASTS);
    assert!(said.contains(&Output::Judged(Judgement::Unproven)), "{said:?}");
}

#[test]
fn that_nobody_comes_although_many_know_us_says_something() {
    let mut world = World::new();
    world.reached(REACHED_ENOUGH - 1);
    assert_eq!(world.wait(CLOSED_AFTER * 2), []);
    assert_eq!(world.judgement(), Judgement::Unproven);
    world.reached(1);
    // It is woken at once: the first of them was reached long ago.
    assert_eq!(world.wait(Duration::ZERO), []);
    assert_eq!(world.judgement(), Judgement::Closed);
    world.tell(Input::Arrived { from: ip("198.51.100.4"), over: Over::Utp });
    assert_eq!(world.judgement(), Judgement::Open);
}

#[test]
fn a_mapping_is_believed_until_another_router_shows_behind_it() {
    let mut world = World::new();
    assert_eq!(world.tell(mapped("203.0.113.7")), [Output::Judged(Judgement::Mapped)]);
    world.reached(REACHED_ENOUGH);
    world.wait(CLOSED_AFTER);
    assert_eq!(world.judgement(), Judgement::Mapped);
    // Others see another address.
    for n in 0..4 {
        world.told(n, ip("198.51.100.99"));
    }
    assert!(world.reach.view(world.now).nat_beyond);
    assert_eq!(world.judgement(), Judgement::Closed);
    // A router that has a private address has another one before it in any case.
    let mut world = World::new();
    assert_eq!(world.tell(mapped("100.64.3.4")), []);
    assert!(world.reach.view(world.now).nat_beyond);
    assert_eq!(world.judgement(), Judgement::Unproven);
}

#[test]
fn who_came_by_a_mapping_that_is_lost_proves_nothing() {
    let mut world = World::new();
    world.tell(mapped("203.0.113.7"));
    world.tell(Input::Arrived { from: ip("198.51.100.4"), over: Over::Tcp });
    let lost = world.tell(Input::Mapped(Mapped::Failed));
    assert_eq!(lost, [Output::Judged(Judgement::Unproven)]);
}

#[test]
fn elsewhere_everything_is_forgotten() {
    let mut world = World::new();
    world.settle();
    world.tell(Input::Arrived { from: ip("198.51.100.4"), over: Over::Tcp });
    // The cable is pulled.
    assert_eq!(
        world.tell(Input::Own(Vec::new())),
        [external(None), Output::Judged(Judgement::Offline)]
    );
    let there = world.tell(Input::Own(vec![ip("10.8.0.2")]));
    assert_eq!(there, [Output::Judged(Judgement::Unproven)]);
    assert_eq!(world.settle(), [external(Some(ours()))]);
}

#[test]
fn addresses_that_come_and_go_beside_others_change_nothing() {
    let mut world = World::new();
    let v6 = ["2a00:1::5", "2a00:1::77"].map(ip);
    world.tell(Input::Own(vec![ip("192.168.1.2"), v6[0]]));
    world.settle();
    for n in 0..AGREE_MIN as u16 {
        let by = IpAddr::from([0x2a01, n, 0, 0, 0, 0, 0, 1]);
        world.tell(Input::Told { by, ip: v6[0], port: None });
    }
    world.tell(Input::Arrived { from: ip("198.51.100.4"), over: Over::Tcp });
    assert_eq!(world.reach.view(world.now).own, [v6[0]], "IPv6 is not translated");
    // A temporary address of the same network takes the place of another; a container starts.
    let own = vec![ip("192.168.1.2"), v6[1], ip("172.17.0.1")];
    assert_eq!(world.tell(Input::Own(own)), []);
    assert_eq!(world.judgement(), Judgement::Open);
    // The telephone's network takes the place of the one at home; the container stays.
    let own = vec![ip("192.168.43.2"), ip("172.17.0.1")];
    assert_eq!(world.tell(Input::Own(own)).len(), 3);
    assert_eq!(world.judgement(), Judgement::Unproven);
}

#[test]
fn our_own_address_is_told_from_a_neighbours() {
    let mut world = World::new();
    let us = |world: &World, port: u16, told: Option<u16>| {
        world.reach.view(world.now).is_us(SocketAddr::new(ours(), port), told)
    };
    assert!(!us(&world, 7716, Some(7716)), "it is not known yet what it is");
    for n in 0..AGREE_MIN as u8 {
        let by = IpAddr::from([40, n, 0, 1]);
        world.tell(Input::Told { by, ip: ours(), port: Some(41_000) });
    }
    // The port that others are told, and the one that our datagrams come from.
    assert!(us(&world, 7716, Some(7716)) && us(&world, 41_000, Some(7716)));
    assert!(us(&world, 41_000, None) && !us(&world, 7716, None));
    assert!(!us(&world, 7717, Some(7716)));
    let other = SocketAddr::new(ip("203.0.113.8"), 7716);
    assert!(!world.reach.view(world.now).is_us(other, Some(7716)));
}

#[test]
fn only_who_came_over_tcp_came_by_the_port_that_we_listen_on() {
    let mut world = World::new();
    world.tell(Input::Arrived { from: ip("198.51.100.4"), over: Over::Utp });
    assert_eq!((world.judgement(), world.reach.came_over_tcp()), (Judgement::Open, false));
    world.tell(Input::Arrived { from: ip("198.51.100.5"), over: Over::Tcp });
    assert!(world.reach.came_over_tcp());
}

#[test]
fn who_does_not_listen_is_not_reached() {
    let mut world = World::new();
    let deaf = world.tell(Input::Listening(false));
    assert_eq!(deaf, [Output::Judged(Judgement::Deaf)]);
}

fn any_input() -> impl Strategy<Value = Input> {
    let ip = prop_oneof![
        any::<IpAddr>(),
        (0u8..4, 0u8..4).prop_map(|(a, b)| IpAddr::from([40 + a, b, 0, 1])),
        (0u8..4).prop_map(|n| IpAddr::from([192, 168, 0, n])),
    ];
    let mapped = prop_oneof![
        Just(Mapped::NotAsked),
        Just(Mapped::Asking),
        Just(Mapped::Failed),
        (any::<Option<Ipv4Addr>>(), any::<u16>()).prop_map(|(ip, port)| Mapped::To { ip, port }),
    ];
    prop_oneof![
        8 => (ip.clone(), ip.clone(), any::<Option<u16>>())
            .prop_map(|(by, ip, port)| Input::Told { by, ip, port }),
        4 => (ip.clone(), any::<bool>()).prop_map(|(from, tcp)| Input::Arrived {
            from,
            over: if tcp { Over::Tcp } else { Over::Utp },
        }),
        4 => ip.clone().prop_map(|to| Input::Reached { to }),
        2 => mapped.prop_map(Input::Mapped),
        1 => proptest::collection::vec(ip, 0..100).prop_map(Input::Own),
        1 => any::<bool>().prop_map(Input::Listening),
    ]
}

proptest! {
    /// Whatever is said and wherever the clock jumps: nothing panics, what was said is what is shown,
    /// and it never wants to be woken for something that waking does not settle.
    #[test]
    fn it_is_never_confused(
        steps in proptest::collection::vec((any_input(), 0u64..1 << 47), 1..60),
    ) {
        let mut reach = Reach::new();
        let (mut addresses, mut judged) = ([None, None], Judgement::Unproven);
        for (input, nanos) in steps {
            let now = Instant::from_nanos(nanos);
            reach.handle_input(now, input);
            for woken in 0..100 {
                while let Some(output) = reach.poll_output() {
                    match output {
                        Output::External { family: Family::V4, ip } => addresses[0] = ip,
                        Output::External { family: Family::V6, ip } => addresses[1] = ip,
                        Output::Judged(judgement) => judged = judgement,
                    }
                }
                let Some((at, _)) = reach.poll_timeout() else { break };
                if at > now {
                    break;
                }
                prop_assert!(woken < 10, "it is busy");
                reach.handle_timeout(now);
            }
            let view = reach.view(now);
            prop_assert_eq!(judged, view.judgement);
            prop_assert_eq!(addresses, [view.v4.ip, view.v6.ip]);
            prop_assert!(view.v4.agree + view.v4.differ <= limits::VOTERS_MAX);
        }
    }

    /// All addresses of one /16 together settle nothing, with or without others that tell the truth.
    #[test]
    fn a_network_of_liars_never_wins(
        said in proptest::collection::vec((any::<[u8; 2]>(), any::<Ipv4Addr>()), 1..200),
        honest in 0u8..6,
    ) {
        let mut world = World::new();
        for n in 0..honest {
            world.told(n, ours());
        }
        let settled = world.reach.external(Family::V4);
        for ([a, b], lie) in said {
            let input =
                Input::Told { by: IpAddr::from([66, 66, a, b]), ip: lie.into(), port: Some(1) };
            world.tell(input);
            prop_assert_eq!(world.reach.external(Family::V4), settled);
        }
    }
}
