//! The DHT's marks in networks of some hundreds of nodes. `cargo xtask sim --table dht-marks` measures them with
//! ten thousand.

use althing_sim::datagrams::{Conditions, Key, Net, Search, crawl, manners, tables};
use std::time::Duration;

fn peers(keys: &[Key]) -> Vec<Search> {
    keys.iter().map(|key| Search::Peer(*key)).collect()
}

#[test]
fn keys_are_found_in_few_calls_and_soon_and_with_half_of_the_nodes_dead() {
    let mut net = Net::new(1, 1_000, Conditions::default());
    let keys = net.announce(200);
    let well = net.search_all(peers(&keys));
    assert_eq!(well.found(), 1.0);
    assert!(well.asked_to_find(0.5) <= 12, "{}", well.asked_to_find(0.5));
    assert!(well.asked(0.5) <= 20, "{}", well.asked(0.5));
    assert!(well.took(0.5) <= Duration::from_millis(500), "{:?}", well.took(0.5));
    let names: Vec<_> = (0..100).map(|_| Search::Nodes(net.name())).collect();
    let right = net.search_all(names).right();
    assert!(right > 0.98, "{right}");
    net.kill(0.5);
    let dying = net.search_all(peers(&keys));
    assert!(dying.found() >= 0.99, "{}", dying.found());
    assert!(dying.time_to_find(0.5) <= Duration::from_millis(500), "{:?}", dying.time_to_find(0.5));
}

#[test]
fn a_crowd_around_a_key_does_not_hide_it() {
    let mut net = Net::new(2, 500, Conditions::default());
    for before in [true, false] {
        let outcomes = tables::surrounded(&mut net, 500, 40, before);
        assert!(outcomes.found() >= 0.95, "there before: {before}: {}", outcomes.found());
    }
}

#[test]
fn losses_and_nats_do_not_hide_keys() {
    let mut net = Net::new(3, 400, Conditions { loss: 0.05, behind_nat: 0.3 });
    let keys = net.announce(100);
    let outcomes = net.search_all(peers(&keys));
    assert!(outcomes.found() >= 0.99, "{}", outcomes.found());
}

#[test]
fn thousands_of_torrents_are_no_burden_for_anybody() {
    let found = manners(4, 150, 1_000, Duration::from_secs(3_600));
    assert!(found.per_node_in_1_s < 10 && found.per_node_in_10_s < 30, "{found:?}");
    // Three in an hour or less each, and not all at once.
    assert!((25.0..60.0).contains(&found.searches_per_min), "{found:?}");
    assert!(found.searches_in_peak_minute <= 620, "{found:?}");
    assert!(found.apart_s_max <= 31 * 60, "{found:?}");
}

#[test]
fn a_seed_reproduces_a_network() {
    let run = |seed| {
        let mut net = Net::new(seed, 60, Conditions { loss: 0.02, behind_nat: 0.1 });
        let keys = net.announce(10);
        net.kill(0.3);
        let outcomes = net.search_all(peers(&keys));
        (net.hash(), net.traffic(), outcomes.asked(0.5))
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}

#[test]
fn a_crawler_finds_what_there_is_and_asks_nobody_too_often() {
    let conditions = Conditions { loss: 0.02, behind_nat: 0.2 };
    let looks = crawl(6, (400, 500), conditions, 5, (24, Duration::from_secs(300)));
    let (first, last) = (looks[0], looks[looks.len() - 1]);
    assert!(first.found > 0.3, "{first:?}");
    assert!(last.found > 0.9, "{last:?}");
    assert_eq!(last.invented, 0);
    // Two hours of at most five a second, and of ten-minute intervals.
    assert!(last.stats.asked <= 5 * 7_200, "{last:?}");
    assert!(last.stats.asked <= 400 * 7_200 / 300, "{last:?}");
}
