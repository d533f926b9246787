//! Forty peers in an overlay, as real processes far from each other, on lines that lose some of what they
//! carry: all hear what one says, also when the network was split, and when half of them die while it is
//! on its way.

#![allow(clippy::print_stderr, reason = "how long each step took is worth knowing")]

use std::net::Ipv4Addr;
use std::time::Duration;

use althing_tests::daemon::Daemon;
use althing_tests::far::Far;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::wait::{now, poll};
use rustix::process::Signal;

/// For each step; the simulator says seconds, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(90);

const PEERS: u8 = 40;

/// Of a hundred frames.
const LOST: u32 = 2;

/// The first of them, whom all others know at the start.
const KNOWN: [u8; 2] = [1, 2];

#[test]
fn forty_peers_hear_what_any_of_them_says() {
    let test = "forty_peers_hear_what_any_of_them_says";
    let scratch = Scratch::new();
    let far = tools::obstacle(&["/usr/bin/python3"])
        .map_or_else(|| Far::new(PEERS, 1, scratch.path()), Err);
    let mut far = match far {
        Ok(far) => far,
        Err(why) => return tools::skip(test, &why),
    };
    far.lose(LOST);
    let peers = KNOWN.map(|number| format!("\"{}:7716\"", Ipv4Addr::new(10, 77, number, 1)));
    let settings = format!(
        "[dht]\nenabled = false\n[overlay]\nenabled = true\npeers = [{}]\n",
        peers.join(", ")
    );
    let daemons: Vec<Daemon> = far
        .hosts
        .iter()
        .enumerate()
        .map(|(at, host)| {
            Daemon::launch(host.clone(), &scratch.dir(&format!("peer{}", at + 1)), &settings)
        })
        .collect();
    for daemon in &daemons {
        daemon.answers();
    }
    let all: Vec<&Daemon> = daemons.iter().collect();
    let mut said = 0;
    let mut says = |daemon: &Daemon| {
        said += 1;
        daemon.does(&["overlay", "profile", &format!("the one who spoke as number {said}")]);
        said
    };

    // Somebody speaks as soon as it is up; who joins later compares what there is.
    let count = says(all[17]);
    hear("what was said first", &all, count);
    let count = says(all[0]);
    hear("what was said when all were there", &all, count);

    // Split in two: each half hears its own, and all of it once the line is mended.
    let (left, right) = all.split_at(usize::from(PEERS) / 2);
    far.split(left.len());
    let half = says(left[3]);
    hear("what was said on the left", left, half);
    let count = says(right[4]);
    hear("what was said on the right", right, half);
    assert!(
        all.iter().all(|daemon| records(daemon) == Some(half)),
        "the split lets records through"
    );
    far.heal();
    hear("what was said while it was split", &all, count);

    // Every other one dies, unasked, while something is on its way.
    let (dying, living): (Vec<_>, Vec<_>) =
        all.iter().copied().enumerate().partition(|(at, _)| at % 2 == 0);
    let living: Vec<&Daemon> = living.into_iter().map(|(_, daemon)| daemon).collect();
    let count = says(living[9]);
    for (_, daemon) in &dying {
        daemon.process.signal(Signal::KILL);
    }
    hear("what was on its way", &living, count);
    let count = says(living[2]);
    hear("what was said afterwards", &living, count);

    // The tree is a tree: few come twice.
    let figure = |daemon: &Daemon, name: &str| daemon.json(&["overlay"])[name].as_u64();
    let sum = |name| living.iter().filter_map(|daemon| figure(daemon, name)).sum::<u64>();
    let (received, twice) = (sum("received"), sum("duplicates"));
    let reconciled = sum("reconciled");
    eprintln!("{received} came along the tree, {twice} of them twice; {reconciled} by comparing");
    assert!(twice <= received / 2, "{twice} of {received} came twice");
}

/// How many records it holds.
fn records(daemon: &Daemon) -> Option<u64> {
    daemon.try_json(&["overlay"])?["records"].as_u64()
}

/// Waits until all of them hold so many records.
#[track_caller]
fn hear(what: &str, daemons: &[&Daemon], count: u64) {
    let start = now();
    let mut waiting = daemons.to_vec();
    let heard = poll(LIMIT, || {
        waiting.retain(|daemon| records(daemon) != Some(count));
        waiting.is_empty().then_some(())
    });
    let logs: String = waiting.iter().take(3).map(|daemon| daemon.process.tail()).collect();
    assert!(heard.is_some(), "{what}: {} have not heard of it\n{logs}", waiting.len());
    eprintln!("{what}: all {} after {:.1} s", daemons.len(), start.elapsed().as_secs_f64());
}
