//! The API of a real daemon, as a stranger and as a friend.

use crate::world::World;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// Sends a request as it stands; status and body.
fn send(world: &World, data: &str, request: &str) -> (u16, String) {
    let addr = fs::read_to_string(world.path(data).join("api.addr")).unwrap();
    let mut stream = TcpStream::connect(addr.trim()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

fn token(world: &World, data: &str) -> String {
    fs::read_to_string(world.path(data).join("api.token")).unwrap().trim().to_owned()
}

/// Asks with the token.
pub(crate) fn get<T: DeserializeOwned>(world: &World, data: &str, path: &str) -> T {
    let request = format!(
        "GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\n\r\n",
        token(world, data)
    );
    let (status, body) = send(world, data, &request);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Changes something with the token.
pub(crate) fn patch(world: &World, data: &str, path: &str, change: &serde_json::Value) {
    let change = change.to_string();
    let request = format!(
        "PATCH /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\
         Authorization: Bearer {}\r\n\r\n{change}",
        change.len(),
        token(world, data)
    );
    let (status, body) = send(world, data, &request);
    assert_eq!(status, 200, "{path}: {body}");
}

#[test]
fn only_who_can_read_the_token_gets_in() {
    let world = World::new();
    let _daemon = world.up("anna");
    let ask = |headers: &str| {
        let head = "GET /api/v1/torrents HTTP/1.1\r\nConnection: close\r\n";
        send(&world, "anna", &format!("{head}{headers}\r\n")).0
    };
    let key = format!("Authorization: Bearer {}\r\n", token(&world, "anna"));
    assert_eq!(ask(&format!("Host: localhost\r\n{key}")), 200);
    assert_eq!(ask("Host: localhost\r\n"), 401);
    assert_eq!(ask("Host: localhost\r\nAuthorization: Bearer 00\r\n"), 401);
    assert_eq!(ask(&format!("Host: rebound.example\r\n{key}")), 403);
    assert_eq!(ask(&format!("Host: localhost\r\nOrigin: http://evil.example\r\n{key}")), 403);

    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(world.path("anna/api.token")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn metrics_and_the_document_are_there() {
    let world = World::new();
    let _daemon = world.up("anna");
    let document: serde_json::Value = get(&world, "anna", "/openapi.json");
    assert_eq!(document["info"]["title"], "Althing");
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\n\r\n",
        token(&world, "anna")
    );
    let (status, body) = send(&world, "anna", &request);
    assert_eq!(status, 200);
    assert!(body.contains("# TYPE althing_"), "{body}");
}

#[test]
fn events_begin_with_a_snapshot_and_tell_what_happens() {
    let world = World::new();
    world.content("content");
    let _daemon = world.up("anna");
    let addr = fs::read_to_string(world.path("anna/api.addr")).unwrap();
    let mut stream = TcpStream::connect(addr.trim()).unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        token(&world, "anna")
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut next = |name: &str| {
        let event = format!("event: {name}");
        assert!(lines.any(|line| line == event), "the stream ended before {event:?}");
        let data = lines.next().unwrap();
        serde_json::from_str::<serde_json::Value>(data.strip_prefix("data: ").unwrap()).unwrap()
    };
    assert_eq!(next("snapshot")["torrents"], serde_json::json!([]));
    world.ok("anna", &["share", "content"]);
    assert_eq!(next("job")["job"]["kind"], "share");
    let id = next("torrent")["torrent"]["id"].as_str().unwrap().to_owned();
    world.ok("anna", &["remove", &id]);
    assert_eq!(next("removed")["id"], id.as_str());
}
