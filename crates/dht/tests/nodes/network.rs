//! Networks of a few hundred nodes: what one stores, others find.

use crate::world::{Kind, World};
use althing_base::Machine;
use althing_dht::wire::{Item, Mutable, Node};
use althing_dht::{Announce, Find, Goal, Input, NodeId, Output};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

const SECRET: [u8; 32] = [9; 32];

fn value(text: &str) -> Bytes {
    Bytes::from(format!("{}:{text}", text.len()))
}

fn put(item: Item) -> Goal {
    Goal::Put { item, cas: None }
}

fn items(found: &[Find]) -> Vec<Item> {
    let item = |find: &Find| match find {
        Find::Item(item) => Some(item.clone()),
        _ => None,
    };
    found.iter().filter_map(item).collect()
}

fn stored(found: &[Find]) -> (usize, usize) {
    let of = |find: &Find| match find {
        Find::Stored { nodes, outdated } => Some((*nodes, *outdated)),
        _ => None,
    };
    found.iter().find_map(of).expect("every put says where")
}

fn announce(world: &mut World, at: usize, info_hash: NodeId) -> SocketAddr {
    let announce = Some(Announce { port: Some(7716), seed: true });
    world.tell(at, Input::Want { info_hash, announce });
    world.run(Duration::from_secs(10));
    SocketAddr::new(world.nodes[at].addr.ip(), 7716)
}

fn finds(world: &mut World, at: usize, info_hash: NodeId, peer: SocketAddr) -> bool {
    let (found, _) = world.search(at, Goal::Peers(info_hash));
    found.iter().any(|find| matches!(find, Find::Peers(peers) if peers.contains(&peer)))
}

#[test]
fn two_nodes_are_enough() {
    let mut world = World::new(1, 2);
    let hash = world.random_id();
    let peer = announce(&mut world, 0, hash);
    // It is kept by the very node that asks.
    assert!(finds(&mut world, 1, hash, peer));
    let (found, _) = world.search(1, Goal::Scrape(hash));
    let seeds = found.iter().find_map(|find| match find {
        Find::Scrape { seeds, .. } => Some(seeds.estimate()),
        _ => None,
    });
    assert!(seeds.is_some_and(|seeds| seeds > 0.5), "{seeds:?}");
    let item = Item::Immutable { value: value("hello") };
    let (found, _) = world.search(0, put(item.clone()));
    assert_eq!(stored(&found), (1, 0));
    let (found, _) = world.search(1, Goal::Immutable(item.target()));
    assert_eq!(items(&found), [item]);
}

/// A few nodes on a machine that has much else to do: all of them are asked until they have answered.
#[test]
fn where_nodes_are_few_none_is_left_out_for_being_slow() {
    let mut world = World::new(11, 7);
    // What answers take is known by now, and this is twenty times that.
    world.delay_ms = (1, 2);
    for seed in 0..10 {
        world.search(0, Goal::Nodes(NodeId([seed; 20])));
        world.run(Duration::from_secs(5));
    }
    for slow in 1..7 {
        world.nodes[slow].lag = Duration::from_millis(1_300);
        let item = Item::Immutable { value: value(&format!("slow is {slow}")) };
        let (found, _) = world.search(0, put(item.clone()));
        assert_eq!(stored(&found), (6, 0), "{slow} is slow");
        world.nodes[slow].lag = Duration::ZERO;
        world.run(Duration::from_secs(5));
    }
    // Nobody waits for long for one that is gone.
    world.nodes[3].alive = false;
    let began = world.now;
    let (found, _) = world.search(0, put(Item::Immutable { value: value("gone") }));
    assert_eq!(stored(&found), (5, 0));
    assert!(world.now.since(began) < Duration::from_secs(6));
}

/// Where they are many, a slow one is told when it has answered, if others are still being told.
#[test]
fn late_answers_are_taken_in() {
    let mut world = World::new(12, 20);
    world.delay_ms = (1, 2);
    let item = Item::Immutable { value: value("late") };
    let target = item.target();
    let mut near: Vec<_> = (1..20).collect();
    near.sort_by_key(|at| world.dht(*at).ids()[0].map(|id| id.distance(&target)));
    // One is as late as a lookup waits that has enough, and is told; meanwhile the other answers.
    world.nodes[near[1]].lag = Duration::from_millis(900);
    world.nodes[near[0]].lag = Duration::from_millis(1_500);
    let held = |world: &World, at: usize| world.dht(at).stats().items;
    let (found, _) = world.search(0, put(item));
    assert!(stored(&found).0 >= 8, "{found:?}");
    assert_eq!((held(&world, near[0]), held(&world, near[1])), (1, 1));
}

/// Who has us under an address of another network, or family, names us to ourselves.
#[test]
fn nobody_asks_himself() {
    let mut world = World::new(15, 1);
    let id = world.dht(0).ids()[0].expect("over IPv4");
    let (elsewhere, other) = (world.address(), world.address());
    let friends = vec![Node { id, addr: elsewhere }];
    let sybil = NodeId::for_address(other.ip(), &mut world.rng);
    world.add(other, Kind::Sybil { id: sybil, friends });
    world.tell(0, Input::Contacts(vec![other]));
    world.run(Duration::from_secs(30));
    let (_, cost) = world.search(0, Goal::Nodes(world.dht(0).ids()[0].expect("it has one")));
    assert_eq!((cost.asked, cost.answered), (1, 1));
}

/// Get, and put what is newer: one lookup does for both, and no time has to pass between them.
#[test]
fn who_puts_what_he_has_just_looked_up_asks_nobody_again() {
    for count in [4, 7, 150] {
        let mut world = World::new(13, count);
        let salt = Bytes::from_static(b"news");
        let version =
            |seq| Item::Mutable(Mutable::sign(&SECRET, salt.clone(), seq, value("version")));
        let Item::Mutable(Mutable { key, .. }) = version(1) else { panic!("it is one") };
        let ask = Goal::Mutable { key, salt: salt.clone() };
        let most = (count - 1).min(8);
        for seq in 1..4 {
            let (found, _) = world.search(0, ask.clone());
            assert_eq!(items(&found).last(), (seq > 1).then(|| version(seq - 1)).as_ref());
            let (found, cost) = world.search(0, put(version(seq)));
            let (nodes, outdated) = stored(&found);
            assert!(nodes >= most && outdated == 0, "of {count}: {nodes} took it");
            // Those that are told, and few more that storing goes out to.
            assert!(cost.asked as usize <= nodes + 8, "of {count}: {cost:?}");
        }
    }
}

/// What nodes gave out does not count any more, for they have begun anew: it is asked for again.
#[test]
fn tokens_that_do_not_count_any_more_are_asked_for_again() {
    let mut world = World::new(14, 6);
    let item = Mutable::sign(&SECRET, Bytes::new(), 1, value("one"));
    world.search(0, Goal::Mutable { key: item.key, salt: Bytes::new() });
    for at in 1..6 {
        let mut config = althing_dht::Config::new(althing_base::Seed::from_u64(at as u64));
        (config.saved, config.v6) = (Some(world.dht(at).save()), false);
        let dht = althing_dht::Dht::new(world.now, config);
        world.nodes[at].kind = Kind::Dht(Box::new(dht));
    }
    let (found, _) = world.search(0, put(Item::Mutable(item)));
    assert_eq!(stored(&found), (5, 0));
}

#[test]
fn lookups_find_the_nearest_nodes_in_few_calls_and_soon() {
    let mut world = World::new(1, 300);
    let mut took = Vec::new();
    let mut calls = Vec::new();
    let mut right = 0;
    for _ in 0..60 {
        let (at, target) = (world.anybody(), world.random_id());
        let (found, cost) = world.search(at, Goal::Nodes(target));
        let Some(Find::Nodes(nodes)) = found.first() else { panic!("{found:?}") };
        let own = world.dht(at).ids()[0];
        let mut all: Vec<_> = (0..300)
            .filter_map(|at| world.dht(at).ids()[0])
            .filter(|id| Some(*id) != own)
            .collect();
        all.sort_by_key(|id| id.distance(&target));
        right += nodes.iter().take(8).filter(|node| all[..8].contains(&node.id)).count();
        took.push(cost.took);
        calls.push(cost.asked);
    }
    took.sort();
    calls.sort();
    assert!(right >= 60 * 8 * 97 / 100, "{right} of {}", 60 * 8);
    assert!(took[30] <= Duration::from_millis(500), "{took:?}");
    assert!(calls[30] <= 22, "{calls:?}");
    // Those who came first have looked when there were few.
    let estimates = (0..300).filter_map(|at| world.dht(at).stats().network[0]);
    let mut estimates: Vec<_> = estimates.collect();
    estimates.sort_by(f64::total_cmp);
    assert!((100.0..900.0).contains(&estimates[estimates.len() / 2]), "{estimates:?}");
}

#[test]
fn what_is_announced_is_found_again_and_counted() {
    let mut world = World::new(2, 200);
    let info_hash = world.random_id();
    let mut peers = Vec::new();
    for at in 0..20 {
        peers.push(announce(&mut world, at, info_hash));
    }
    let (found, cost) = world.search(100, Goal::Peers(info_hash));
    let mut all: Vec<_> = found
        .into_iter()
        .flat_map(|find| match find {
            Find::Peers(peers) => peers,
            _ => Vec::new(),
        })
        .collect();
    all.sort();
    peers.sort();
    assert_eq!(all, peers, "each once");
    assert!(cost.asked <= 40, "{cost:?}");
    let (found, _) = world.search(101, Goal::Scrape(info_hash));
    let Some(Find::Scrape { seeds, peers }) = found.first() else { panic!("{found:?}") };
    assert!((18.0..22.0).contains(&seeds.estimate()), "{seeds:?}");
    assert!(peers.estimate() < 1.0);
    // Those who announced were told of one another.
    let told =
        |said: &Output| matches!(said, Output::Peers { info_hash: of, .. } if *of == info_hash);
    assert!(world.nodes[19].said.iter().any(told));
    let (found, _) = world.search(102, Goal::Samples(info_hash));
    let of = |find: &Find| matches!(find, Find::Samples { samples, .. } if samples.info_hashes == [info_hash]);
    assert!(found.iter().any(of));
    // It is kept up, and forgotten 45 minutes after nobody wants it any more.
    world.run(Duration::from_secs(2 * 3_600));
    let first = SocketAddr::new(world.nodes[0].addr.ip(), 7716);
    assert!(finds(&mut world, 103, info_hash, first));
    for at in 0..20 {
        world.tell(at, Input::Forget { info_hash });
    }
    world.run(Duration::from_secs(46 * 60));
    assert!(!finds(&mut world, 104, info_hash, first));
}

#[test]
fn items_are_stored_found_and_replaced_by_newer_ones_only() {
    let mut world = World::new(3, 200);
    let immutable = Item::Immutable { value: value("the news") };
    let (found, _) = world.search(1, put(immutable.clone()));
    assert!(stored(&found).0 >= 8, "{found:?}");
    let (found, cost) = world.search(2, Goal::Immutable(immutable.target()));
    assert_eq!(items(&found), [immutable]);
    assert!(cost.asked <= 20, "{cost:?}");

    let salt = Bytes::from_static(b"salt");
    let version = |seq, text| Item::Mutable(Mutable::sign(&SECRET, salt.clone(), seq, value(text)));
    let Item::Mutable(Mutable { key, .. }) = version(1, "") else { panic!("it is one") };
    let ask = Goal::Mutable { key, salt: salt.clone() };
    let (found, _) = world.search(3, put(version(1, "one")));
    assert!(stored(&found).0 >= 8);
    let (found, _) = world.search(4, ask.clone());
    assert_eq!(items(&found), [version(1, "one")]);
    let (found, _) = world.search(5, Goal::Put { item: version(3, "three"), cas: Some(2) });
    assert!(matches!(stored(&found), (0..4, outdated) if outdated >= 8), "{found:?}");
    let (found, _) = world.search(5, Goal::Put { item: version(3, "three"), cas: Some(1) });
    assert!(stored(&found).0 >= 8);
    let (found, _) = world.search(6, put(version(2, "two")));
    assert!(matches!(stored(&found), (0..4, outdated) if outdated >= 8), "{found:?}");
    let (found, _) = world.search(7, ask.clone());
    assert_eq!(items(&found).last(), Some(&version(3, "three")));
    let Item::Mutable(mut forged) = version(4, "four") else { panic!("it is one") };
    forged.value = value("lies");
    let (found, _) = world.search(8, put(Item::Mutable(forged)));
    assert_eq!(stored(&found).0, 0);
    // Two hours later it is gone.
    world.run(Duration::from_secs(2 * 3_600 + 60));
    let (found, _) = world.search(9, ask);
    assert_eq!(items(&found), []);
}

#[test]
fn with_half_of_the_nodes_dead_nearly_everything_is_found() {
    let mut world = World::new(4, 400);
    let keys: Vec<_> = (0..100)
        .map(|at| {
            let info_hash = world.random_id();
            let announce = Some(Announce { port: Some(7716), seed: false });
            world.tell(at, Input::Want { info_hash, announce });
            (at, info_hash)
        })
        .collect();
    world.run(Duration::from_secs(60));
    for at in 100..400 {
        world.nodes[at].alive = at % 3 == 0;
    }
    let mut found = 0;
    let mut took = Vec::new();
    for (at, info_hash) in &keys {
        let asker = (at + 37) % 100;
        let peer = SocketAddr::new(world.nodes[*at].addr.ip(), 7716);
        found += u32::from(finds(&mut world, asker, *info_hash, peer));
        let (_, cost) = world.search(asker, Goal::Peers(*info_hash));
        took.push(cost.took);
    }
    took.sort();
    assert!(found >= 99, "{found} of 100");
    assert!(took[50] <= Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_crowd_around_a_key_does_not_hide_it() {
    let mut world = World::new(5, 300);
    let mut found = 0;
    let mut tries = 0;
    for round in 0..2 {
        let info_hash = world.random_id();
        world.crowd(info_hash, 500);
        let peer = announce(&mut world, round, info_hash);
        for at in 0..20 {
            tries += 1;
            found += u32::from(finds(&mut world, 50 + at, info_hash, peer));
        }
    }
    assert!(found * 100 >= tries * 95, "{found} of {tries}");
}

#[test]
fn a_handful_on_one_machine_need_nobody_else() {
    let mut world = World::new(6, 0);
    for port in 1..=5 {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let at = world.join();
        // Moved home.
        let host = world.nodes.pop().expect("it has just joined");
        assert_eq!(world.add(addr, host.kind), at);
        if at > 0 {
            world.tell(at, Input::Contacts(vec![SocketAddr::from(([127, 0, 0, 1], 1))]));
        }
        world.run(Duration::from_secs(5));
    }
    world.run(Duration::from_secs(60));
    let info_hash = world.random_id();
    let peer = announce(&mut world, 4, info_hash);
    assert!(finds(&mut world, 1, info_hash, peer));
}

#[test]
fn what_was_saved_is_where_the_next_run_begins() {
    let mut world = World::new(7, 100);
    let saved = world.dht(5).save();
    assert!(saved.nodes.len() >= 20);
    let mut config = althing_dht::Config::new(althing_base::Seed::from_u64(1));
    config.saved = althing_dht::Saved::parse(&saved.encode()).ok();
    let dht = althing_dht::Dht::new(world.now, config);
    assert_eq!(dht.ids()[0], Some(saved.ids[0]));
    world.nodes[5].kind = Kind::Dht(Box::new(dht));
    world.tell(5, Input::Reachable(true));
    world.run(Duration::from_secs(30));
    assert!(world.dht(5).stats().nodes[0] >= 20);
    let need = |said: &Output| matches!(said, Output::NeedContacts);
    assert!(!world.nodes[5].said.iter().any(need));
}

#[test]
fn at_rest_little_is_asked() {
    let mut world = World::new(8, 100);
    world.run(Duration::from_secs(3_600));
    let before = world.sent;
    world.run(Duration::from_secs(3_600));
    let each = (world.sent - before) as f64 / 100.0 / 3_600.0;
    // Questions and answers together.
    assert!(each < 0.5, "{each} messages a second");
}

#[test]
fn who_cannot_be_reached_says_so_and_is_in_no_table() {
    let mut world = World::new(9, 50);
    let at = world.join();
    world.tell(at, Input::Reachable(false));
    world.run(Duration::from_secs(600));
    let id = world.dht(at).ids()[0].expect("over IPv4");
    let target = id;
    let (found, _) = world.search(3, Goal::Nodes(target));
    let Some(Find::Nodes(nodes)) = found.first() else { panic!("{found:?}") };
    // It joined before it knew; since then nobody hears from it.
    assert!(!nodes.iter().any(|node| node.id == id));
    let (found, _) = world.search(at, Goal::Nodes(target));
    assert!(matches!(found.first(), Some(Find::Nodes(nodes)) if nodes.len() == 8));
}

#[test]
fn clocks_that_jump_do_no_harm() {
    let mut world = World::new(10, 60);
    // A month of sleep.
    world.now += Duration::from_secs(30 * 24 * 3_600);
    world.run(Duration::from_secs(120));
    let info_hash = world.random_id();
    let peer = announce(&mut world, 4, info_hash);
    assert!(finds(&mut world, 1, info_hash, peer));
    // One node's clock goes back to its beginning, and comes back.
    if let Kind::Dht(dht) = &mut world.nodes[7].kind {
        dht.handle_timeout(althing_base::Instant::ORIGIN);
        while dht.poll_output().is_some() {}
    }
    world.tell(7, Input::NetworkChanged);
    world.run(Duration::from_secs(120));
    assert!(finds(&mut world, 7, info_hash, peer));
}
