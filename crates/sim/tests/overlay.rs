//! The overlay's marks in networks of some hundreds of nodes. `cargo xtask sim --overlay all` measures them
//! with ten thousand.

use althing_overlay::io::Via;
use althing_sim::overlay::mail::{self, Custom};
use althing_sim::overlay::marks::{self, Spread, failure, publish, trained};
use althing_sim::overlay::{Conditions, Death, Net, search};
use std::time::Duration;

fn all_is_well(spread: &Spread, what: &str) {
    assert_eq!(spread.reached, 1.0, "{what}: {spread:?}");
    assert!(spread.copies <= 2.0, "{what}: {spread:?}");
    assert!(spread.took.1 <= Some(Duration::from_secs(2)), "{what}: {spread:?}");
}

#[test]
fn news_reaches_everybody_once_and_soon() {
    let mut net = Net::new(1, 300, Conditions::default());
    for number in 1..=6 {
        let spread = publish(&mut net);
        all_is_well(&spread, &format!("record {number}"));
        assert!(spread.copies <= 1.2, "record {number}: {spread:?}");
    }
}

#[test]
fn losses_and_nats_do_not_keep_news_from_anybody() {
    let mut net =
        Net::new(2, 200, Conditions { loss: 0.05, behind_nat: 0.5, ..Conditions::default() });
    for number in 1..=4 {
        all_is_well(&publish(&mut net), &format!("record {number}"));
    }
}

#[test]
fn what_is_under_way_when_half_die_reaches_the_others() {
    for death in [Death::Closed, Death::Silent] {
        let mut net = trained(3, 300, Conditions::default());
        let failure = failure(&mut net, 0.5, death);
        let under_way = 1..failure.living.len();
        assert!(under_way.contains(&failure.had), "it was under way: {}", failure.had);
        for id in [failure.in_flight, failure.next, failure.later] {
            let reached = |s| net.news(id).count(&failure.living, Duration::from_secs(s));
            let living = failure.living.len();
            // Who has lost all neighbours without a word finds out after a while.
            let soon = if death == Death::Closed { living } else { living - living / 50 };
            assert!(reached(10) >= soon, "{death:?}: {} of {living}", reached(10));
            assert_eq!(reached(60), living, "{death:?}");
        }
    }
}

#[test]
fn a_tenth_finds_together_again() {
    for death in [Death::Closed, Death::Silent] {
        let mut net = trained(4, 400, Conditions::default());
        let failure = failure(&mut net, 0.9, death);
        assert!(failure.had > 0, "somebody has it");
        for id in [failure.in_flight, failure.next, failure.later] {
            let reached = net.news(id).count(&failure.living, Duration::from_secs(60));
            assert_eq!(reached, failure.living.len(), "{death:?}");
        }
    }
}

#[test]
fn what_was_published_while_the_network_was_split_comes_to_both_parts() {
    let mut net = trained(5, 200, Conditions::default());
    let split = marks::split(&mut net, Duration::from_secs(240), 2, Duration::from_secs(900));
    assert_eq!(split.own_side, 1.0);
    assert!(split.mended_after.is_some());
    all_is_well(&split.later, "the next");
}

#[test]
fn what_rests_costs_nearly_nothing() {
    let mut net = trained(6, 200, Conditions::default());
    net.run(Duration::from_secs(600));
    let before = net.traffic();
    net.run(Duration::from_secs(1_200));
    let after = net.traffic();
    let per_node_and_s = |count: u64| count as f64 / 200.0 / 1_200.0;
    let messages = per_node_and_s(after.messages - before.messages);
    let events = per_node_and_s(after.events - before.events);
    assert!(messages < 0.7 && events < 1.2, "{messages} messages, {events} events");
    for at in net.alive() {
        let views = net.stats(at).expect("it is alive").views;
        assert!((3..=14).contains(&(views.outgoing + views.incoming)), "{views:?}");
        assert!(views.incoming <= 8 && views.passive <= 30, "{views:?}");
    }
}

#[test]
fn a_seed_reproduces_a_network() {
    let run = |seed| {
        let mut net =
            trained(seed, 60, Conditions { loss: 0.02, behind_nat: 0.1, ..Conditions::default() });
        let failure = failure(&mut net, 0.3, Death::Silent);
        (net.hash(), net.traffic(), net.news(failure.next).copies)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}

#[test]
fn a_run_is_the_same_on_two_threads_as_on_one() {
    let conditions = Conditions {
        loss: 0.02,
        behind_nat: 0.1,
        supers: 0.1,
        mail: Some(Custom { homes: 0.2, drops: 0.1 }),
        ..Conditions::default()
    };
    let run = |threads| {
        let mut net = Net::on_threads(7, 60, conditions, threads);
        let holder = net.alive()[30];
        net.offer(holder, "something rare");
        net.run(Duration::from_secs(60));
        let failure = failure(&mut net, 0.3, Death::Silent);
        let asker = failure.living[5];
        let find = net.find(asker, "something rare", 1, Via::Auto);
        let mail = net.mail(failure.living[0], failure.living[1]);
        net.split(true);
        net.run(Duration::from_secs(20));
        let (find, news) = (net.found(find), net.news(failure.next));
        let came = net.came(failure.living[1], mail);
        let found = (find.took(), find.crossed(), find.messages, find.bytes);
        let asked: Vec<_> = net.alive().iter().map(|at| net.asked(*at)).collect();
        let took: Vec<_> = net.alive().iter().map(|at| news.took(*at)).collect();
        (net.hash(), net.traffic(), found, asked, (news.copies, news.hops(), took), came)
    };
    let alone = run(1);
    assert_eq!(run(2), alone);
}

#[test]
fn what_some_have_is_found_by_walking() {
    let mut library = search::library(9, 300, Conditions::default());
    for (copies, most) in [(3, 100.0), (1, 300.0)] {
        let cost = search::ask(&mut library, copies, 60, Via::Walk);
        assert!(cost.found >= 0.98, "{copies} copies: {cost:?}");
        assert!(cost.messages.0 <= most, "{copies} copies: {cost:?}");
        assert!(cost.took.1 <= Some(Duration::from_secs(5)), "{copies} copies: {cost:?}");
        let flood = search::flood(&mut library, copies, 60);
        assert!(flood.messages.0 > 4.0 * cost.messages.0, "{flood:?}, and walking {cost:?}");
    }
}

#[test]
fn who_leans_on_others_finds_with_few_messages_and_without_them_too() {
    let conditions = Conditions { supers: 0.05, ..Conditions::default() };
    let mut library = search::library(10, 300, conditions);
    let leaning = library.net.alive().into_iter().filter_map(|at| library.net.stats(at));
    let few = leaning.filter(|stats| stats.views.leaning == 0).count();
    assert!(few <= 3, "{few} lean on nobody");
    let cost = search::ask(&mut library, 1, 60, Via::Super);
    assert!(cost.found >= 0.99 && cost.messages.0 <= 40.0, "{cost:?}");
    let supers = library.net.supers();
    library.net.kill_these(&supers[..supers.len() / 2], Death::Closed);
    library.net.run(Duration::from_secs(5));
    let cost = search::ask(&mut library, 1, 40, Via::Auto);
    assert!(cost.found >= 0.97, "half have died: {cost:?}");
    library.net.kill_these(&supers, Death::Closed);
    let cost = search::ask(&mut library, 1, 40, Via::Auto);
    assert!(cost.found >= 0.95, "all have died: {cost:?}");
}

#[test]
fn mail_comes_to_who_is_there_and_to_who_is_not() {
    let with =
        |drops| Conditions { mail: Some(Custom { homes: 0.2, drops }), ..Conditions::default() };
    let there = mail::present(5, 250, with(0.1), 20);
    assert!(there.came >= 0.95 && there.known >= 0.95, "{there:?}");
    assert!(there.took[0] <= Some(Duration::from_secs(3)), "{there:?}");
    // Nobody keeps what was received.
    assert!(there.copies[1] <= 0.2, "{there:?}");
    let away = mail::absent(6, 250, with(0.0), 20, Duration::ZERO);
    assert_eq!((away.came, away.known), (1.0, 1.0), "{away:?}");
    let away = mail::absent(7, 150, with(0.1), 20, Duration::from_secs(3_600));
    assert!(away.came >= 0.9 && away.known >= 0.9, "{away:?}");
}

#[test]
fn what_is_rare_is_found_by_way_of_the_dht() {
    let conditions = Conditions { dht: true, ..Conditions::default() };
    let mut library = search::library(11, 150, conditions);
    for copies in [2, 1] {
        let cost = search::ask(&mut library, copies, 60, Via::Dht);
        assert!(cost.found >= 0.95, "{copies} copies: {cost:?}");
        assert!(cost.messages.0 <= 70.0, "{copies} copies: {cost:?}");
    }
}
