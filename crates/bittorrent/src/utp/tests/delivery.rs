//! What is written arrives, in order, each byte once, whatever the path does.

use super::world::{Path, World, ms};
use crate::utp::{CloseReason, Config, Input};
use proptest::prelude::*;
use std::time::Duration;

/// Sends over a pair of paths; panics if it does not arrive.
fn deliver(world: &mut World, (a, b): (usize, usize), bytes: u64) {
    let conn = world.connect(a, b, bytes);
    let done = world.run_while(Duration::from_secs(3_600), |world| {
        let closed = world.hosts[a].streams[&conn].closed.is_some();
        !closed || world.hosts[b].streams.values().any(|stream| !stream.finished)
    });
    let stream = &world.hosts[a].streams[&conn];
    assert!(done && stream.closed == Some(CloseReason::Done), "{stream:?}");
    assert_eq!(world.received(b), bytes);
}

#[test]
fn a_quiet_path_needs_no_packet_more_than_it_must() {
    let mut world = World::new(1);
    let pair = world.pair(Path::of(ms(25)), Path::of(ms(25)));
    deliver(&mut world, pair, 1_000_000);
    let began = world.now;
    // 700 packets of data, and an acknowledgement for every second but the first few.
    assert!(world.datagrams < 1_200, "{}", world.datagrams);
    world.run_for(Duration::from_secs(60));
    for host in &world.hosts {
        assert_eq!(host.utp.stats().connections, 0);
        assert_eq!(host.utp.stats().strays, 0);
    }
    assert!(world.now > began);
}

#[test]
fn numbers_wrap() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        let pair = world.pair(Path::of(ms(5)), Path::of(ms(5)));
        // 70,000 packets and more.
        deliver(&mut world, pair, 110_000_000);
    }
}

#[test]
fn an_idle_connection_is_kept_alive_and_costs_little() {
    let mut world = World::new(1);
    let (a, b) = world.pair(Path::of(ms(25)), Path::of(ms(25)));
    let conn = world.connect(a, b, 1_000_000_000);
    world.run_for(ms(100));
    let stream = world.hosts[a].streams.get_mut(&conn).unwrap();
    (stream.to_write, stream.close_when_written) = (0, false);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.hosts[a].streams[&conn].closed, None);
    let before = world.datagrams;
    world.run_for(Duration::from_secs(290));
    assert_eq!(world.datagrams - before, 20);
    assert_eq!(world.hosts[a].streams[&conn].closed, None);
}

#[test]
fn silence_and_absence_are_noticed() {
    let mut world = World::new(1);
    let (a, b) = world.pair(Path::of(ms(25)), Path::of(ms(25)));
    let conn = world.connect(a, b, 100_000_000);
    world.run_for(ms(500));
    world.paths.clear();
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.hosts[a].streams[&conn].closed, Some(CloseReason::TimedOut));
    assert!(world.hosts[b].streams.values().all(|s| s.closed == Some(CloseReason::TimedOut)));
    let nobody = world.connect(a, b, 1);
    world.run_for(Duration::from_secs(11));
    assert_eq!(world.hosts[a].streams[&nobody].closed, Some(CloseReason::NoAnswer));
    let refused = world.connect(a, b, 1);
    let to = world.hosts[b].addr;
    world.input(a, Input::Unreachable { to });
    assert_eq!(world.hosts[a].streams[&refused].closed, Some(CloseReason::Refused));
    assert_eq!(world.hosts[a].utp.stats().connections, 0);
    assert_eq!(world.hosts[b].utp.stats().connections, 0);
}

#[test]
fn a_reader_that_does_not_read_holds_the_writer_up() {
    let mut world = World::new(1);
    let (a, b) = world.pair(Path::of(ms(25)), Path::of(ms(25)));
    world.hosts[b].incoming_reads_lazily = true;
    let conn = world.connect(a, b, 20_000_000);
    world.run_for(Duration::from_secs(40));
    let window = u64::from(Config::default().receive_window);
    let got = world.received(b);
    assert!(got <= window && got > window - 3_000, "{got}");
    assert_eq!(world.hosts[a].streams[&conn].closed, None);
    let before = world.datagrams;
    world.run_for(Duration::from_secs(60));
    assert!(world.datagrams - before < 100, "{}", world.datagrams - before);
    for stream in world.hosts[b].streams.values_mut() {
        stream.lazy = false;
    }
    let id = *world.hosts[b].streams.keys().next().unwrap();
    world.input(b, Input::Consumed { conn: id, bytes: 0 });
    assert!(world.run_while(Duration::from_secs(60), |world| world.received(b) < 20_000_000));
}

#[test]
fn breaking_off_is_told_once() {
    let mut world = World::new(1);
    let (a, b) = world.pair(Path::of(ms(25)), Path::of(ms(25)));
    let conn = world.connect(a, b, 20_000_000);
    world.run_for(ms(500));
    let id = *world.hosts[b].streams.keys().next().unwrap();
    world.input(b, Input::Abort { conn: id });
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.hosts[a].streams[&conn].closed, Some(CloseReason::Reset));
    assert_eq!(world.hosts[b].streams.len(), 1);
    assert_eq!(world.hosts[b].utp.stats().connections, 0);
}

#[test]
fn the_size_of_a_path_is_found_and_used() {
    // A path of Ethernet; jumbo frames; loopback; a tunnel; a path that shrinks.
    for (mtu, interface, packets) in
        [(1500, 65_507, 7_300), (9000, 8_972, 1_600), (65_535, 65_507, 500), (1_400, 1_472, 8_500)]
    {
        let mut world = World::new(3);
        let mut path = Path::of(ms(2));
        path.mtu = mtu;
        let config = Config { datagram_bytes_max: interface, ..Config::default() };
        let (a, b) = (world.host(config.clone()), world.host(config));
        world.paths.insert((a, b), path.clone());
        world.paths.insert((b, a), path);
        deliver(&mut world, (a, b), 10_000_000);
        let sent = world.hosts[b].utp.stats().datagrams_received;
        assert!(sent < packets, "{mtu}: {sent}");
    }
}

#[test]
fn a_path_that_narrows_does_not_end_it() {
    let mut world = World::new(3);
    let (a, b) = world.pair(Path::of(ms(20)), Path::of(ms(20)));
    world.connect(a, b, 30_000_000);
    world.run_for(Duration::from_secs(1));
    assert!(world.received(b) > 1_000_000 && world.received(b) < 30_000_000);
    for path in world.paths.values_mut() {
        path.mtu = 800;
    }
    assert!(world.run_while(Duration::from_secs(120), |world| world.received(b) < 30_000_000));
}

#[test]
fn an_interface_that_refuses_costs_nothing() {
    let mut world = World::new(3);
    let (a, b) = world.pair(Path::of(ms(20)), Path::of(ms(20)));
    world.hosts[a].interface_mtu = 1_280;
    deliver(&mut world, (a, b), 5_000_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_the_path_does(
        seed: u64,
        bytes in 0u64..3_000_000,
        delay in 0u64..150,
        jitter in 0u64..40,
        loss in 0.0f64..0.15,
        duplication in 0.0f64..0.1,
        mtu in 576usize..4_000,
        window in 20_000u32..1_000_000,
    ) {
        let mut world = World::new(seed);
        let config = Config {
            datagram_bytes_max: 9_000,
            receive_window: window,
            receive_window_near: window / 2,
            ..Config::default()
        };
        let (a, b) = (world.host(config.clone()), world.host(config));
        let path = Path { jitter: ms(jitter), loss, duplication, mtu, ..Path::of(ms(delay)) };
        world.paths.insert((a, b), path.clone());
        world.paths.insert((b, a), path);
        let conn = world.connect(a, b, bytes);
        let ended = world.run_while(Duration::from_secs(3_600), |world| {
            world.hosts[a].streams[&conn].closed.is_none()
        });
        prop_assert!(ended);
        match world.hosts[a].streams[&conn].closed {
            Some(CloseReason::Done) => prop_assert_eq!(world.received(b), bytes),
            // Of four opening packets none got through, or of seven attempts.
            Some(CloseReason::NoAnswer) => {}
            other => prop_assert!(loss > 0.1, "{other:?}"),
        }
    }
}
