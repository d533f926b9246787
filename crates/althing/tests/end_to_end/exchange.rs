//! Two data folders exchange a folder.

use crate::world::{World, assert_same};
use althing_node::api::types::{
    Event, InspectReport, Peer, SessionInfo, Torrent, TorrentDetail, TorrentState,
};

/// Shares `path` through the daemon of `data`; the link.
fn share(world: &World, data: &str, path: &str) -> (String, TorrentDetail) {
    let lines = world.json_lines(data, &["share", path]);
    let shared = lines.last().unwrap();
    assert_eq!(shared["type"], "shared", "{lines:?}");
    let detail = serde_json::from_value(shared["torrent"].clone()).unwrap();
    (shared["link"].as_str().unwrap().to_owned(), detail)
}

#[test]
fn a_folder_goes_from_daemon_to_daemon() {
    let world = World::new();
    let content = world.content("content");
    let _anna = world.up("anna");
    let _ben = world.up("ben");
    let (link, detail) = share(&world, "anna", "content");
    assert_eq!(detail.torrent.state, TorrentState::Seeding);
    assert_eq!(detail.files, Some(4));

    // Every line of `get --json` is an event of the API.
    let lines = world.json_lines("ben", &["get", &link, "-o", "out"]);
    let events: Vec<Event> =
        lines.iter().map(|line| serde_json::from_value(line.clone()).unwrap()).collect();
    let last = events.iter().rev().find_map(|event| match event {
        Event::Torrent { torrent } => Some(torrent),
        _ => None,
    });
    let last = last.unwrap();
    assert_eq!((last.state, last.pieces_done), (TorrentState::Seeding, last.pieces));
    assert_same(&content, &world.path("out/content"));

    // Both know it, the one as received, the other as sent.
    let size = detail.torrent.size_bytes.unwrap();
    for (who, sent, received) in [("anna", size, 0), ("ben", 0, size)] {
        let [torrent] = &world.json::<Vec<Torrent>>(who, &["ls"])[..] else { panic!("{who}") };
        assert_eq!(torrent.id, detail.torrent.id);
        assert_eq!(torrent.state, TorrentState::Seeding, "{who}");
        let shown: TorrentDetail = world.json(who, &["show", &torrent.id[..8]]);
        assert_eq!(shown.torrent.uploaded_bytes, sent, "{who}");
        assert_eq!(shown.torrent.downloaded_bytes, received, "{who}");
        let _: Vec<Peer> = world.json(who, &["peers", "content"]);
    }
}

#[test]
fn a_torrent_file_does_as_well_as_a_link_and_no_daemon_as_well_as_one() {
    let world = World::new();
    let content = world.content("content");
    let report: InspectReport = world.json("anna", &["create", "content", "-o", "c.torrent"]);
    assert_eq!(report, world.json("anna", &["inspect", "c.torrent"]));

    // `share` without a daemon is one: the other commands find it.
    let mut sharing = world.start("anna", &["--json", "share", "content"]);
    while sharing.next_json()["type"] != "shared" {}
    let [torrent] = &world.json::<Vec<Torrent>>("anna", &["ls"])[..] else { panic!("not listed") };
    assert_eq!(torrent.id, report.id);

    let addr = world.json::<serde_json::Value>("anna", &["config"])["settings"]["network"]["bind"]
        [0]
    .as_str()
    .map(ToOwned::to_owned);
    assert_eq!(addr.as_deref(), Some("127.0.0.1"));
    let peer = peer_addr(&world, "anna");
    let path = world.ok("ben", &["get", "c.torrent", "--peer", &peer, "-o", "out"]);
    assert_eq!(
        path.trim_end(),
        world.path("out/content").canonicalize().unwrap().to_string_lossy()
    );
    assert_same(&content, &world.path("out/content"));
    assert!(world.run("ben", &["ls"]).status.code() == Some(4), "its daemon ended with it");

    sharing.signal("-TERM");
    assert_eq!(sharing.end().0, Some(0));
    // A clean end leaves no address behind.
    assert!(!world.path("anna/api.addr").exists());
}

/// Where the daemon of `data` listens for peers: what its links name.
fn peer_addr(world: &World, data: &str) -> String {
    let info: SessionInfo = crate::api::get(world, data, "/session");
    info.peer_addrs[0].clone()
}

#[test]
fn what_is_interrupted_goes_on_later() {
    let world = World::new();
    world.content("content");
    world.ok("anna", &["create", "content", "-o", "c.torrent"]);
    // Nobody has it, so that this waits for ever.
    let mut waiting = world.start("ben", &["--json", "get", "c.torrent", "-o", "out"]);
    while waiting.next_json()["torrent"]["state"] != "downloading" {}
    waiting.signal("-INT");
    let (code, said) = waiting.end();
    assert_eq!(code, Some(130), "{said}");
    let error: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("kept"), "{said}");

    let _anna = world.up("anna");
    share(&world, "anna", "content");
    let _ben = world.up("ben");
    let [torrent] = &world.json::<Vec<Torrent>>("ben", &["ls"])[..] else { panic!("forgotten") };
    assert_eq!(torrent.state, TorrentState::Downloading);
    let peer = peer_addr(&world, "anna");
    world.ok("ben", &["get", &torrent.id, "--peer", &peer]);
    assert_same(&world.path("content"), &world.path("out/content"));
}

#[test]
fn a_daemon_ends_on_request_on_signals_and_with_whoever_started_it() {
    let world = World::new();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let daemon = world.up("anna");
        daemon.signal(signal);
        assert_eq!(daemon.end().0, Some(0), "{signal}");
    }
    let daemon = world.up("anna");
    world.ok("anna", &["down"]);
    assert_eq!(daemon.end().0, Some(0));
    // Standard input of these is at its end from the start.
    let daemon = world.start("anna", &["up", "--until-stdin-closes"]);
    assert_eq!(daemon.end().0, Some(0));
    let tracker = ["tracker", "--listen", "127.0.0.1:0", "--until-stdin-closes"];
    assert_eq!(world.start("anna", &tracker).end().0, Some(0));
}
