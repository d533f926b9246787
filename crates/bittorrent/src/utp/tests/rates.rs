//! How fast, and to whose cost: the marks of congestion control, on lines with queues.

use super::world::{Path, World, ms};
use std::time::Duration;

const MBIT: u64 = 1_000_000 / 8;

/// A line of some Mbit/s with so much delay each way and a queue for so long.
fn line(world: &mut World, mbit: u64, delay: Duration, queue: Duration) -> (Path, Path, usize) {
    let rate = mbit * MBIT;
    let number = world.bottleneck(rate, (queue.as_secs_f64() * rate as f64) as u64);
    (Path { bottleneck: Some(number), ..Path::of(delay) }, Path::of(delay), number)
}

/// Runs for a time; says which part of the line was used by what, and how long its queue was.
fn used(world: &mut World, host: usize, line: usize, time: Duration) -> (f64, Duration) {
    let before = world.received(host);
    world.bottlenecks[line].waits = (Duration::ZERO, 0);
    world.run_for(time);
    let got = (world.received(host) - before) as f64;
    let line = &world.bottlenecks[line];
    let wait = line.waits.0 / line.waits.1.max(1);
    (got / (line.bytes_per_s as f64 * time.as_secs_f64()), wait)
}

#[test]
fn a_line_is_filled_and_its_queue_stays_at_the_target() {
    for (mbit, delay, queue) in [
        (100, ms(25), ms(1000)),
        (100, ms(50), ms(1000)),
        (20, ms(10), ms(500)),
        (5, ms(40), ms(2000)),
    ] {
        let mut world = World::new(1);
        let (there, back, number) = line(&mut world, mbit, delay, queue);
        let (a, b) = world.pair(there, back);
        world.connect(a, b, u64::MAX);
        let (first, wait) = used(&mut world, b, number, Duration::from_secs(20));
        eprintln!("{mbit} Mbit/s, {delay:?}: {first:.3}, {wait:?}");
        let (then, wait) = used(&mut world, b, number, Duration::from_secs(40));
        eprintln!("    then {then:.3}, {wait:?}");
        assert!(first > 0.88 && then > 0.90, "{mbit} Mbit/s, {delay:?}: {first} and {then}");
        assert!(wait < ms(115), "{mbit} Mbit/s, {delay:?}: {wait:?}");
    }
}

#[test]
fn it_gives_way_to_tcp_and_comes_back() {
    let mut world = World::new(1);
    let (there, back, number) = line(&mut world, 20, ms(20), ms(400));
    let (a, b) = world.pair(there.clone(), back);
    world.connect(a, b, u64::MAX);
    world.run_for(Duration::from_secs(20));
    let reno = world.reno(there);
    world.run_for(Duration::from_secs(15));
    let (ours, _) = used(&mut world, b, number, Duration::from_secs(60));
    eprintln!("beside TCP: {ours:.3}");
    assert!(ours < 0.10, "{ours}");
    world.stop_reno(reno);
    world.run_for(Duration::from_secs(10));
    let (ours, _) = used(&mut world, b, number, Duration::from_secs(20));
    eprintln!("after it: {ours:.3}");
    assert!(ours > 0.85, "{ours}");
}

/// Where a queue holds less than the target, only losses say that it is full, and both hear of them.
#[test]
fn tcp_gets_the_line_however_long_its_queue() {
    for (queue, most) in [(ms(50), 0.6), (ms(150), 0.2), (ms(400), 0.08), (ms(1000), 0.05)] {
        let mut world = World::new(1);
        let (there, back, number) = line(&mut world, 20, ms(20), queue);
        let (a, b) = world.pair(there.clone(), back);
        world.connect(a, b, u64::MAX);
        world.run_for(Duration::from_secs(20));
        let reno = world.reno(there);
        let rate = (20 * MBIT) as f64;
        let mut until_most = None;
        for second in 1..=20 {
            let before = world.renos[reno].delivered;
            world.run_for(Duration::from_secs(1));
            let tcp = (world.renos[reno].delivered - before) as f64 / rate;
            if tcp > 0.8 && until_most.is_none() {
                until_most = Some(second);
            }
        }
        let before = world.renos[reno].delivered;
        let (ours, wait) = used(&mut world, b, number, Duration::from_secs(60));
        let tcp = (world.renos[reno].delivered - before) as f64 / rate / 60.0;
        eprintln!("queue of {queue:?}: {ours:.3}, TCP {tcp:.3} after {until_most:?} s, {wait:?}");
        assert!(ours < most && tcp > 0.85 - most, "queue of {queue:?}: {ours}, TCP {tcp}");
        world.stop_reno(reno);
        world.run_for(Duration::from_secs(10));
        let (ours, wait) = used(&mut world, b, number, Duration::from_secs(20));
        eprintln!("    after it: {ours:.3}, {wait:?}");
        assert!(ours > 0.85, "queue of {queue:?}: {ours}");
    }
}

#[test]
fn who_comes_late_gets_a_share_and_leaves_one() {
    let mut world = World::new(1);
    let (there, back, number) = line(&mut world, 50, ms(20), ms(1000));
    let (a, b) = world.pair(there.clone(), back.clone());
    let (c, d) = world.pair(there, back);
    world.connect(a, b, u64::MAX);
    world.run_for(Duration::from_secs(20));
    world.connect(c, d, u64::MAX);
    world.run_for(Duration::from_secs(60));
    let before = (world.received(b), world.received(d));
    let (_, wait) = used(&mut world, b, number, Duration::from_secs(120));
    let (first, second) = (world.received(b) - before.0, world.received(d) - before.1);
    let total = (50 * MBIT * 120) as f64;
    let shares = (first as f64 / total, second as f64 / total);
    eprintln!("two flows: {shares:.3?}, queue {wait:?}");
    assert!(shares.0 + shares.1 > 0.88, "{shares:?}");
    assert!(shares.0 > 0.2 && shares.1 > 0.2, "{shares:?}");
    assert!(wait < ms(200), "{wait:?}");
}

/// Loss that has nothing to do with how much is sent. What TCP's formula (Mathis) gives is the least.
#[test]
fn stray_losses_cost_no_more_than_tcp() {
    for (loss, least) in
        [(0.001, 1_452.0 * 1.22 / 0.05 / 0.0316), (0.01, 1_452.0 * 1.22 / 0.05 / 0.1)]
    {
        let mut world = World::new(5);
        let (there, back, _) = line(&mut world, 100, ms(25), ms(1000));
        let (a, b) = world.pair(Path { loss, ..there }, Path { loss, ..back });
        world.connect(a, b, u64::MAX);
        world.run_for(Duration::from_secs(60));
        let rate = world.received(b) as f64 / 60.0;
        eprintln!("loss of {loss}: {:.2} Mbit/s, TCP {:.2}", rate / 125e3, least / 125e3);
        assert!(rate > least * 1.3, "{loss}: {rate}, TCP {least}");
    }
}

#[test]
fn clocks_that_drift_apart_do_not_matter() {
    for gaining in [0, 1] {
        let mut world = World::new(1);
        let (there, back, number) = line(&mut world, 10, ms(20), ms(1000));
        let (a, b) = world.pair(there, back);
        world.hosts[[a, b][gaining]].clock_gains_ppm = 100;
        world.connect(a, b, u64::MAX);
        world.run_for(Duration::from_secs(30));
        let (share, wait) = used(&mut world, b, number, Duration::from_secs(200));
        eprintln!("drift: {share:.3}, {wait:?}");
        assert!(share > 0.88 && wait < ms(130), "{share}, {wait:?}");
    }
}
