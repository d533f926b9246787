//! Files that are chosen, and files that are watched while they come.

use crate::api;
use crate::world::{Running, World};
use althing_node::api::types::{FilePriority, FileProgress, Torrent, TorrentState};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const FILM_BYTES: usize = 24 << 20;

fn film() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..FILM_BYTES).map(|_| next()).collect()
}

/// Anna shares a folder with a film, a sample of it and a note; the link, and her daemon.
fn shared(world: &World) -> (Running, String) {
    let folder = world.path("show");
    fs::create_dir_all(folder.join("extras")).unwrap();
    let film = film();
    fs::write(folder.join("film.mkv"), &film).unwrap();
    fs::write(folder.join("extras/sample.mkv"), &film[..300_000]).unwrap();
    fs::write(folder.join("extras/note.txt"), "hello\n").unwrap();
    let daemon = world.up("anna");
    let lines = world.json_lines("anna", &["share", "show", "--piece-length", "64K"]);
    (daemon, lines.last().unwrap()["link"].as_str().unwrap().to_owned())
}

fn files(world: &World, data: &str, more: &[&str]) -> Vec<FileProgress> {
    world.json(data, &[&["files", "show"], more].concat())
}

fn wanted(files: &[FileProgress]) -> Vec<(&str, FilePriority)> {
    files.iter().map(|file| (file.file.path.as_str(), file.priority)).collect()
}

/// An HTTP answer: status, head in lower case, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

/// Asks as players do: without the token.
fn ask(method: &str, url: &str, headers: &str) -> Answer {
    let (addr, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!("{method} /{path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
    stream.write_all(format!("{head}{headers}\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: bytes[end + 4..].to_vec() }
}

/// Lets Anna send so many bytes a second; 0 for no limit.
fn limit(world: &World, bytes_per_s: u64) {
    let [torrent] = &world.json::<Vec<Torrent>>("anna", &["ls"])[..] else { panic!("one") };
    let change = json!({ "upload_limit_bytes_per_s": bytes_per_s });
    api::patch(world, "anna", &format!("/torrents/{}", torrent.id), &change);
}

#[test]
fn a_film_is_watched_while_it_comes_and_a_jump_is_served_first() {
    let world = World::new();
    let (_anna, link) = shared(&world);
    limit(&world, 2 << 20);
    let film = film();
    let mut playing = world.start("ben", &["--json", "play", &link, "--no-player", "-o", "out"]);
    let played = loop {
        let line = playing.next_json();
        if line["url"].is_string() {
            break line;
        }
    };
    let url = played["url"].as_str().unwrap().to_owned();
    assert!(url.ends_with("/film.mkv"), "the largest film is played: {url}");

    // What can be asked, before there is anything to read.
    let head = ask("HEAD", &url, "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(&*FILM_BYTES.to_string()));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    assert_eq!(head.header("content-type"), Some("video/x-matroska"));
    let beyond = ask("GET", &url, &format!("Range: bytes={FILM_BYTES}-\r\n"));
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some(&*format!("bytes */{FILM_BYTES}")))
    );

    // A jump near the end is served long before what lies between.
    let (from, len) = (FILM_BYTES - 5_000_000, 400_000);
    let range = format!("Range: bytes={from}-{}\r\n", from + len - 1);
    let etag = head.header("etag").unwrap().to_owned();
    let part = ask("GET", &url, &format!("{range}If-Range: {etag}\r\n"));
    assert_eq!(part.status, 206);
    let shown = format!("bytes {from}-{}/{FILM_BYTES}", from + len - 1);
    assert_eq!(part.header("content-range"), Some(&*shown));
    assert!(part.body == film[from..from + len], "the bytes are those of the film");
    let now = files(&world, "ben", &[]);
    let of_film = now.iter().find(|file| file.file.path.ends_with("film.mkv")).unwrap();
    assert!(of_film.done_bytes < FILM_BYTES as u64 / 2, "{} bytes are there", of_film.done_bytes);

    // Without a limit all of it comes, also for whoever asks for a range of something else.
    limit(&world, 0);
    let whole = ask("GET", &url, &format!("{range}If-Range: \"another\"\r\n"));
    assert_eq!(whole.status, 200);
    assert!(whole.body == film);

    // The address is the key, and good for nothing when the player has ended.
    let (start, _) = url.rsplit_once('/').unwrap();
    let mut wrong = start.to_owned();
    let last = wrong.pop().unwrap();
    wrong.push(if last == '0' { '1' } else { '0' });
    assert_eq!(ask("GET", &format!("{wrong}/film.mkv"), "").status, 404);
    assert_eq!(ask("GET", &url, "Origin: http://evil.example\r\n").status, 403);
    playing.signal("-INT");
    let (code, said) = playing.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("/stream/"), "an address is no business of the log");
}

#[test]
fn the_player_is_opened_and_its_end_is_the_end() {
    let world = World::new();
    let (_anna, link) = shared(&world);
    let _ben = world.up("ben");
    // A player that writes down what it plays.
    let player = world.path("player");
    fs::write(&player, "#!/bin/sh\ncurl -sf \"$1\" -o played\necho \"$1\" > address\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&player, mode).unwrap();
    let has_curl = std::process::Command::new("curl").arg("-V").output().is_ok();
    world.json_lines("ben", &["get", &link, "-o", "out", "--only", "extras/*"]);
    // What was skipped comes when it is played.
    let player = player.to_str().unwrap();
    world.ok("ben", &["play", "show/film.mkv", "--player", player]);
    if has_curl {
        assert!(fs::read(world.path("played")).unwrap() == film());
    }
    let address = fs::read_to_string(world.path("address")).unwrap();
    assert_eq!(ask("GET", address.trim(), "").status, 404, "it is closed when the player ends");
    let wanted = files(&world, "ben", &[]);
    assert!(wanted.iter().all(|file| file.priority == FilePriority::Normal));
}

#[test]
fn chosen_files_come_and_the_others_do_not_even_after_a_restart() {
    let world = World::new();
    let (_anna, link) = shared(&world);
    let ben = world.up("ben");
    world.json_lines("ben", &["get", &link, "-o", "out", "--only", "*.txt", "sample.*"]);
    let chosen = files(&world, "ben", &[]);
    let expected = [
        ("show/extras/note.txt", FilePriority::Normal),
        ("show/extras/sample.mkv", FilePriority::Normal),
        ("show/film.mkv", FilePriority::Skip),
    ];
    assert_eq!(wanted(&chosen), expected);
    assert_eq!(chosen[2].done_bytes, 0);
    assert!(world.path("out/show/extras/sample.mkv").exists());
    assert!(!world.path("out/show/film.mkv").exists(), "what is skipped is not there");
    let [torrent] = &world.json::<Vec<Torrent>>("ben", &["ls"])[..] else { panic!("one") };
    assert_eq!(torrent.state, TorrentState::Seeding, "all that is wanted is there");
    assert_eq!((torrent.wanted_bytes, torrent.left_bytes), (Some(300_006), 0));

    // It is remembered.
    ben.signal("-TERM");
    assert_eq!(ben.end().0, Some(0));
    let _ben = world.up("ben");
    assert_eq!(wanted(&files(&world, "ben", &[])), expected);

    // And can be changed: a number, or a pattern for the whole path.
    let number = chosen[2].index.to_string();
    let changed = files(&world, "ben", &["--high", &number, "--low", "extras/*"]);
    let expected = [FilePriority::Low, FilePriority::Low, FilePriority::High];
    assert_eq!(changed.iter().map(|file| file.priority).collect::<Vec<_>>(), expected);
    world.json_lines("ben", &["get", &link, "-o", "out"]);
    assert!(fs::read(world.path("out/show/film.mkv")).unwrap() == film());
    let wrong = world.run("ben", &["files", "show", "--skip", "*.avi"]);
    assert_eq!(wrong.status.code(), Some(2));
    let json: Value = world.json("ben", &["ls"]);
    assert_eq!(json[0]["left_bytes"], 0);
}
