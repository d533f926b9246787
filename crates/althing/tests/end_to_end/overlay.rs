//! The overlay on the command line, with nobody else there.

use crate::world::World;
use std::fs;

/// Takes part in the overlay, and knows of nobody.
const SETTINGS: &str = "\n[dht]\nbootstrap = []\n\n[overlay]\nenabled = true\n";

#[test]
fn who_is_alone_is_told_so_and_sees_what_is_held() {
    let world = World::new();
    let config = world.data("anna").join("config.toml");
    let settings = fs::read_to_string(&config).unwrap() + SETTINGS;
    fs::write(&config, settings).unwrap();
    let _daemon = world.up("anna");
    for via in ["auto", "walk", "dht", "super"] {
        let output = world.run("anna", &["find", "nothing", "--via", via]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{said}");
        assert!(said.contains("no neighbours in the overlay") && said.contains("overlay.peers"));
        assert!(!said.contains("known here"), "{said}");
    }
    let said = world.run("anna", &["overlay", "records"]);
    assert!(said.stdout.is_empty());
    assert!(String::from_utf8(said.stderr).unwrap().contains("0 records in all"));

    world.ok("anna", &["overlay", "profile", "Ada", "--about", "of engines"]);
    let listed = world.ok("anna", &["overlay", "records", "engines", "--kind", "profile"]);
    assert!(listed.contains("Ada") && listed.contains("you"), "{listed}");
    let records = world.json_lines("anna", &["overlay", "records", "--limit", "1"]);
    assert_eq!((records.len(), &records[0]["name"]), (1, &"Ada".into()));
    let author = records[0]["author"].as_str().unwrap();
    assert_eq!(world.json_lines("anna", &["overlay", "records", "--author", author]), records);
    for nothing in [["--kind", "listing"], ["--blocked", "engines"]] {
        assert!(world.ok("anna", &[&["overlay", "records"], &nothing[..]].concat()).is_empty());
    }
    assert!(!world.run("anna", &["overlay", "records", "--author", "Ada"]).status.success());
}
