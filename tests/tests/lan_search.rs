//! A group with a network of its own and nothing else: three hosts on one LAN, without internet, tracker or
//! bootstrap nodes, find each other by local discovery alone, and what one of them publishes by words.

#![allow(clippy::print_stderr, reason = "how long each step took is worth knowing")]

use std::time::Duration;

use althing_tests::daemon::Daemon;
use althing_tests::net::Network;
use althing_tests::payload::Payload;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::wait::{now, poll};
use serde_json::Value;

/// For each step: a host that missed an announcement hears the next within some minutes.
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn a_group_without_internet_finds_files_by_words() {
    let test = "a_group_without_internet_finds_files_by_words";
    let network = tools::obstacle(&[]).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => return tools::skip(test, &why),
    };
    let scratch = Scratch::new();
    let settings = |secret: &str| {
        format!(
            "lsd = true\n[dht]\nbootstrap = []\n[overlay]\nenabled = true\nsecret = \"{secret}\"\n"
        )
    };
    let mut start = |name: &str, secret: &str| {
        let host = network.host(name);
        // As a default route does.
        host.configure(&["route", "add", "224.0.0.0/4", "dev", "eth0"]);
        Daemon::start(host, &scratch.dir(name), &settings(secret))
    };
    let ours = "the thing of the three farms";
    let members = [start("founder", ours), start("sharer", ours), start("seeker", ours)];
    let stranger = start("stranger", "somebody else's secret");
    let [_, sharer, seeker] = &members;
    let began = now();
    for member in &members {
        let met = poll(LIMIT, || {
            let links = member.json(&["overlay"])["links"].as_array().map_or(0, Vec::len);
            (links > 0).then_some(())
        });
        assert!(met.is_some(), "a member meets nobody\n{}", member.process.tail());
    }
    eprintln!("all have met after {:.1} s", began.elapsed().as_secs_f64());

    let payload = Payload::write(&scratch.dir("files"), 7);
    let path = payload.path().to_str().expect("a plain path").to_owned();
    let about = "About turf houses.";
    sharer.does(&["share", &path, "--publish", "--tag", "steam", "--about", about]);
    let began = now();
    // By asking the others, which is what it would do if the news of it had not come.
    let answer = poll(LIMIT, || {
        let said = seeker.lines(&["find", "assembly", "steam", "turf", "--via", "walk"]);
        ended(&said)["answers"].as_array()?.iter().find(|one| one["network"] == true).cloned()
    });
    let answer = answer.unwrap_or_else(|| panic!("nothing is found\n{}", seeker.process.tail()));
    eprintln!("found after {:.1} s: {answer}", began.elapsed().as_secs_f64());
    assert_eq!(answer["name"], "assembly");
    assert_eq!(answer["number"], 1);

    let into = scratch.dir("copy");
    seeker.does(&["get", "1", "-o", into.to_str().expect("a plain path")]);
    payload.assert_copied_to(&into);

    // Who does not know the secret has met nobody and hears of nothing.
    assert_eq!(stranger.json(&["overlay"])["links"].as_array().map(Vec::len), Some(0));
    let said = stranger.lines(&["find", "assembly"]);
    assert_eq!(ended(&said)["answers"].as_array().map(Vec::len), Some(0));
}

/// How a search ended.
fn ended(said: &[Value]) -> &Value {
    let last = said.last().expect("it says something");
    assert_eq!(last["find"]["state"], "ended", "{last}");
    &last["find"]
}
