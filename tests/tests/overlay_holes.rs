//! Two members of an overlay behind routers that let nobody in get a link of their own through a third that both know,
//! and what one publishes comes to the other when that one is gone.
//!
//! Both hear of the other from the third, and call. Where routers leave ports as they are, each call opens its own
//! router for the other's, if they come at about the same time. Where they don't, nobody is where he says that he is, and the
//! third has to tell each where it sees the other (BEP 55). Either way one link is left.

#![allow(clippy::print_stderr, reason = "how long each step took is worth knowing")]

use std::net::SocketAddr;
use std::time::Duration;

use althing_tests::daemon::Daemon;
use althing_tests::nat::{Kind, Nat, make_public, public_ip};
use althing_tests::net::Network;
use althing_tests::payload::Payload;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::wait::{now, poll};
use serde_json::Value;

/// For each step. They take seconds.
const LIMIT: Duration = Duration::from_secs(50);

const PORT: u16 = 7716;

/// What a router makes of the port of UDP in the second test.
const MOVED_TO: u16 = 41_000;

#[test]
fn two_behind_routers_have_a_link_of_their_own() {
    check("two_behind_routers_have_a_link_of_their_own", None);
}

#[test]
fn two_whose_routers_move_their_ports_have_one_through_a_hole() {
    check("two_whose_routers_move_their_ports_have_one_through_a_hole", Some(MOVED_TO));
}

fn check(test: &str, moved: Option<u16>) {
    let network = tools::obstacle(&["nft"]).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let between = network.host("middle");
    make_public(&between);
    let known = SocketAddr::new(public_ip(&between), PORT);
    // Over TCP the third does not see what a router makes of ports of UDP.
    let network_settings = moved.map_or("", |_| "prefer = \"utp\"\n");
    let settings = |peers: &str| {
        format!(
            "{network_settings}[dht]\nenabled = false\n[overlay]\nenabled = true\n\
             secret = \"nobody guesses this secret\"\npeers = [{peers}]\n"
        )
    };
    let middle = Daemon::start(between, &scratch.dir("middle"), &settings(""));
    let behind = ["one", "other"].map(|name| {
        let nat = Nat::new(&mut network, name, Kind::PortRestricted);
        moved.into_iter().for_each(|port| nat.moves_udp_to(port));
        let Nat { router, inside } = nat;
        (router, Daemon::start(inside, &scratch.dir(name), &settings(&format!("\"{known}\""))))
    });
    let [(_, one), (_, other)] = &behind;
    let name = |daemon: &Daemon| daemon.json(&["overlay"])["node"].clone();
    let links_to = |daemon: &Daemon, node: &Value| {
        let overlay = daemon.json(&["overlay"]);
        let links = overlay["links"].as_array().cloned().unwrap_or_default();
        links.iter().filter(|link| link["node"] == *node).count()
    };
    let names = [name(one), name(other)];
    let began = now();
    let met = || {
        let links = [links_to(one, &names[1]), links_to(other, &names[0])];
        (links == [1, 1]).then_some(())
    };
    let tails =
        || format!("{}{}{}", middle.process.tail(), one.process.tail(), other.process.tail());
    assert!(poll(LIMIT, met).is_some(), "they have no link\n{}", tails());
    eprintln!("they have a link after {:.1} s", began.elapsed().as_secs_f64());
    if moved.is_some() {
        assert!(one.process.output().contains("calling through a hole"), "{}", tails());
    }

    // What comes now can only come on it.
    drop(middle);
    let payload = Payload::write(&scratch.dir("files"), 7);
    let path = payload.path().to_str().expect("a plain path").to_owned();
    one.does(&["share", &path, "--publish", "--tag", "steam"]);
    let found = poll(LIMIT, || {
        let said = other.lines(&["find", "assembly", "steam", "--via", "walk"]);
        let answers = said.last()?["find"]["answers"].as_array()?.clone();
        answers.into_iter().find(|answer| answer["name"] == "assembly")
    });
    let tails = || format!("{}{}", one.process.tail(), other.process.tail());
    assert!(found.is_some(), "nothing comes\n{}", tails());
    assert_eq!([links_to(one, &names[1]), links_to(other, &names[0])], [1, 1], "{}", tails());
}
