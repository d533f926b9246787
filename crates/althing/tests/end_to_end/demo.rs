//! The demo, with little to share.

use crate::world::World;

#[test]
fn every_copy_agrees_and_nothing_is_left() {
    let world = World::new();
    world.content("content");
    let figures: serde_json::Value =
        world.json("unused", &["demo", "content", "--peers", "4", "--crowd", "8"]);
    let size = figures["size_bytes"].as_u64().unwrap();
    assert_eq!(size, 3_070_001);
    assert_eq!(figures["identical"], true);
    assert_eq!(figures["copies_compared"], 3);
    assert_eq!(figures["bytes_compared"], 3 * size);
    let peers = figures["peers"].as_array().unwrap();
    assert_eq!(peers[0]["received_bytes"], 0);
    for peer in &peers[1..] {
        // All of it, and perhaps a block twice where two were asked for the last ones.
        assert!(peer["received_bytes"].as_u64().unwrap() >= size, "{figures}");
    }
    finds_by_all_kinds(&figures["search"], 12);
    assert!(world.is_tidy());
}

/// Everybody finds what the next one has in each way, and fetches it.
fn finds_by_all_kinds(search: &serde_json::Value, peers: u64) {
    let rows = search["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!((&row["found"], &row["searches"]), (&peers.into(), &peers.into()), "{search}");
    }
    let messages = |at: usize| rows[at]["messages"].as_f64().unwrap();
    // What everybody was told costs nothing; the DHT asks several for each word, whatever is near.
    assert_eq!(messages(0), 0.0, "{search}");
    assert!(messages(1) >= 2.0 && messages(3) >= 2.0, "{search}");
    assert!(messages(2) > messages(3), "{search}");
    assert_eq!(search["fetched"], peers);
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let world = World::new();
    world.content("content");
    let mut demo = world.start("unused", &["demo", "content"]);
    demo.wait_for("Started 5 peers");
    demo.signal("-INT");
    let (code, said) = demo.end();
    // It may have been done already; then there was nothing to interrupt.
    assert!(matches!(code, Some(0 | 130)), "{code:?}: {said}");
    assert!(world.is_tidy());
}

#[test]
fn a_demo_that_cannot_be_says_why_and_leaves_nothing() {
    let world = World::new();
    let output = world.run("unused", &["demo", "nothing-here"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing-here cannot be shared"));
    let output = world.run("unused", &["demo", "--peers", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(world.is_tidy());
}

#[test]
fn a_kept_demo_goes_on_until_it_is_stopped_as_it_says() {
    let world = World::new();
    world.content("content");
    let output =
        world.run("unused", &["demo", "content", "--keep", "--peers", "2", "--crowd", "0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let line =
        |word: &str| said.lines().map(str::trim).find(|line| line.starts_with(word)).unwrap();

    let mut words = line("althing --dir").split(' ').skip(2);
    let listed = std::process::Command::new(env!("CARGO_BIN_EXE_althing"))
        .args(["--dir", words.next().unwrap(), "ls"])
        .output()
        .unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains("content"), "{said}");

    let stop = std::process::Command::new("sh").args(["-c", line("kill")]).status().unwrap();
    assert!(stop.success());
    assert!(world.is_tidy());
}
