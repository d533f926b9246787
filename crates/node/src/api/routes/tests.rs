//! The table of routes against its own document, and against those who knock without a key.

use super::*;
use crate::api::token::Secret;
use crate::{Config, Session};
use axum::body::Body;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::sync::watch;
use tower::ServiceExt as _;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

struct Api {
    router: Router,
    session: Session,
    _stop: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

impl Api {
    async fn start() -> Self {
        Api::with(Config::default()).await
    }

    async fn with(mut config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        config.network.port = 0;
        config.network.bind = vec!["127.0.0.1".parse().unwrap()];
        config.network.reach = crate::config::Reach::Loopback;
        config.api.password = "a password of some length".into();
        let session = Session::start(config, dir.path()).await.unwrap();
        let guard = Arc::new(Guard::new(Secret::new("t0ken"), &session.config().api).unwrap());
        let torznab = torznab::Desk::new("k3y".into(), Secret::new("t0ken"));
        let (stop, stopped) = watch::channel(false);
        let app = App::new(session.clone(), dir.path().to_owned(), torznab, stopped);
        Api { router: router(app, guard), session, _stop: stop, _dir: dir }
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> (StatusCode, Vec<u8>) {
        let request = request.header(header::HOST, "localhost").body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    /// Asks with the token; the answer is JSON.
    async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, "Bearer t0ken")
            .header(header::CONTENT_TYPE, "application/json");
        let (status, bytes) = self.send(request, Body::from(body.to_owned())).await;
        let text = String::from_utf8(bytes).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// Every operation of the document, as method and path.
fn operations() -> Vec<(Method, String)> {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{id}", "7777").replace("{index}", "0");
            operations.push((method, path.replace("{token}", "ab").replace("{name}", "none")));
        }
    }
    operations
}

#[tokio::test]
async fn every_route_is_in_the_document_and_wants_a_key() {
    let api = Api::start().await;
    let operations = operations();
    assert!(operations.len() >= 20);
    for (method, path) in operations {
        let request = http::Request::builder().method(method.clone()).uri(&path);
        let (status, body) = api.send(request, Body::empty()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        let reply: crate::api::types::ErrorReply = serde_json::from_slice(&body).unwrap();
        assert_eq!(reply.error.code, ErrorCode::Unauthorized);

        // With the key, it is there: whatever it answers, it is not "no such route".
        if path.ends_with("/events") || path.ends_with("/shutdown") {
            continue;
        }
        let (_, answer) = api.ask(method.clone(), &path, "{}").await;
        let code = &answer["error"]["code"];
        assert!(code != "no_such_route" && code != "method_not_allowed", "{method} {path}");
    }
    let (status, answer) = api.ask(Method::GET, "/api/v1/nothing", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(answer["error"]["code"], "no_such_route");
    let (status, answer) = api.ask(Method::PUT, "/api/v1/torrents", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer["error"]["code"], "method_not_allowed");
}

/// What a program is answered over Torznab.
async fn torznab(api: &Api, query: &str) -> String {
    let request = http::Request::builder().uri(format!("/torznab/api?{query}"));
    let (status, body) = api.send(request, Body::empty()).await;
    assert_eq!(status, StatusCode::OK);
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn programs_ask_over_torznab_with_a_key_of_their_own() {
    use althing_base::{Sha1Digest, UnixTime};
    use althing_overlay::records::{Content, Draft, InfoHash, Listing, Text};
    let mut config = Config::default();
    config.overlay.enabled = true;
    config.dht.enabled = false;
    config.torznab.network_s = 0;
    let api = Api::with(config).await;
    assert!(torznab(&api, "t=caps").await.contains("<tv-search available=\"yes\""));
    assert!(torznab(&api, "t=search&q=x").await.contains("code=\"100\""));
    assert!(torznab(&api, "t=search&q=x&apikey=k3x").await.contains("code=\"100\""));
    assert!(torznab(&api, "apikey=k3y").await.contains("code=\"200\""));
    assert!(torznab(&api, "t=users&apikey=k3y").await.contains("code=\"202\""));
    // A test wants an answer, although nothing is known yet.
    let newest = torznab(&api, "t=search&apikey=k3y&cat=&extended=1&offset=0&limit=100").await;
    assert!(newest.contains("althing-meeting-place.txt") && newest.contains("magnet:?xt"));
    let publish = async |hash: u8, name: &str| {
        let hash = InfoHash::V1(Sha1Digest([hash; 20]));
        let listing = Listing::new(hash, Text::new(name).unwrap(), 5, 1).unwrap();
        let listing = listing.with_content(Content::VIDEO);
        let draft = Draft::listing(listing, UnixTime(0), 3_600);
        api.session.overlay_publish(draft).await.unwrap();
    };
    publish(1, "A <Show> S01E02 1080p").await;
    publish(2, "A Show S01E03 720p").await;
    let count = async |query: &str| {
        let feed = torznab(&api, &format!("{query}&apikey=t0ken")).await;
        feed.matches("<item>").count()
    };
    assert_eq!(count("t=search").await, 2);
    assert_eq!(count("t=search&q=show").await, 2);
    assert_eq!(count("t=tvsearch&q=show&season=1&ep=2").await, 1);
    assert_eq!(count("t=tvsearch&q=show&season=1").await, 2);
    assert_eq!(count("t=tvsearch&q=show&cat=5040&limit=1&offset=1").await, 1);
    assert_eq!(count("t=movie&q=show&cat=2000").await, 0);
    assert_eq!(count("t=movie&imdbid=tt1").await, 0);
    let feed = torznab(&api, "t=search&q=show&apikey=k3y").await;
    assert!(feed.contains("A &lt;Show&gt; S01E02 1080p"), "{feed}");
    api.session.shutdown().await;
}

#[test]
fn the_document_is_whole() {
    let document = serde_json::to_value(openapi()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();

    // Everything that is referred to is there.
    let text = document.to_string();
    let referred: BTreeSet<&str> = text
        .split("#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for name in &referred {
        assert!(schemas.contains_key(*name), "{name} is referred to and missing");
    }
    // Every example in the document reads as its type, and no schema with an example is missing.
    for example in schema_examples() {
        let shown = &schemas[example.schema]["examples"][0];
        assert!((example.reads)(shown), "{}: {shown}", example.schema);
    }
    // Every operation says what it does, and what it answers.
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["tags"][0].is_string(), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
        }
    }
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_committed_document_is_this_one() {
    let document = openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("ALTHING_BLESS").is_some() {
        std::fs::write(DOCUMENT, &document).unwrap();
    }
    let committed = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(
        committed == document,
        "docs/openapi.json is stale: run this test with ALTHING_BLESS=1"
    );
}

#[tokio::test]
async fn bodies_are_bounded() {
    let api = Api::start().await;
    let post = |path: &str, content_type: &str| {
        http::Request::post(path)
            .header(header::AUTHORIZATION, "Bearer t0ken")
            .header(header::CONTENT_TYPE, content_type)
    };
    for (path, content_type, bytes) in [
        ("/api/v1/share", "application/json", BODY_BYTES_MAX),
        ("/api/v1/torrents", "application/json", UPLOAD_BODY_BYTES_MAX),
        ("/api/v1/torrents", "application/x-bittorrent", UPLOAD_BODY_BYTES_MAX),
    ] {
        // Blanks are valid JSON as far as they go, so that only the size can be at fault.
        let body = Body::from(vec![b' '; bytes + 1]);
        let (status, body) = api.send(post(path, content_type), body).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path} {content_type}");
        let reply: crate::api::types::ErrorReply = serde_json::from_slice(&body).unwrap();
        assert_eq!(reply.error.code, ErrorCode::TooLarge);
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_so() {
    let api = Api::start().await;
    let post = async |path: &str, body: &str| {
        let (status, answer) = api.ask(Method::POST, path, body).await;
        let error = answer["error"].clone();
        assert!(!error["message"].as_str().unwrap().is_empty(), "{answer}");
        assert!(!error["hint"].as_str().unwrap().is_empty(), "{answer}");
        (status.as_u16(), error["code"].as_str().unwrap().to_owned())
    };
    let add = "/api/v1/torrents";
    for (body, expected) in [
        ("", (400, "bad_request")),
        ("{}", (400, "bad_request")),
        (r#"{"link": "magnet:?", "torrent": ""}"#, (400, "bad_request")),
        (r#"{"lnik": "magnet:?"}"#, (400, "bad_request")),
        (r#"{"torrent": "%"}"#, (400, "bad_request")),
        (r#"{"link": "a", "peers": ["nowhere"]}"#, (400, "bad_request")),
        (r#"{"link": "a", "save_dir": "relative"}"#, (400, "bad_request")),
        (r#"{"link": "magnet:?dn=nothing"}"#, (422, "invalid_torrent")),
        (r#"{"link": "0123"}"#, (422, "invalid_torrent")),
        (r#"{"link": "ftp://example.org/a.torrent"}"#, (422, "invalid_torrent")),
        (r#"{"torrent": "ZGU="}"#, (422, "invalid_torrent")),
        // The session of this test may not leave the machine.
        (r#"{"link": "http://192.0.2.1/a.torrent"}"#, (502, "fetch_failed")),
    ] {
        assert_eq!(post(add, body).await, (expected.0, expected.1.to_owned()), "{body}");
    }
    let (status, code) = post("/api/v1/share", r#"{"path": "relative"}"#).await;
    assert_eq!((status, code.as_str()), (400, "bad_request"));
    let (status, code) = post("/api/v1/torrents/7777/pause", "").await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    let (status, answer) = api.ask(Method::DELETE, "/api/v1/torrents/7777?date=true", "").await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &"bad_request".into()));
}

#[tokio::test]
async fn settings_of_a_torrent_are_changed_and_shown() {
    let api = Api::start().await;
    let body = r#"{"link": "0123456789012345678901234567890123456789", "paused": true,
        "tags": ["b", "a"]}"#;
    let (status, answer) = api.ask(Method::POST, "/api/v1/torrents", body).await;
    assert_eq!((status, &answer["tags"]), (StatusCode::CREATED, &serde_json::json!(["a", "b"])));
    let patch = async |body: &str| api.ask(Method::PATCH, "/api/v1/torrents/0123", body).await;
    let body = r#"{"category": "c", "remove_tags": ["a"], "upload_limit_bytes_per_s": 9,
        "ratio_limit": 1.5, "seed_time_limit_s": "never", "sequential": true,
        "connections": 30, "upload_slots": 4}"#;
    let (status, answer) = patch(body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["category"], "c");
    assert_eq!(answer["tags"], serde_json::json!(["b"]));
    let expected = serde_json::json!({
        "upload_limit_bytes_per_s": 9,
        "ratio_limit": 1.5,
        "seed_time_limit_s": "never",
        "forced": false,
        "priorities": {},
        "pieces": [],
        "connections": 30,
        "upload_slots": 4,
        "sequential": true,
        "super_seeding": false,
    });
    assert_eq!(answer["settings"], expected);
    let (_, answer) = patch(r#"{"category": "", "upload_limit_bytes_per_s": 0}"#).await;
    assert!(answer["category"].is_null(), "{answer}");
    assert!(answer["settings"]["upload_limit_bytes_per_s"].is_null(), "{answer}");
    for (body, code) in [
        (r#"{"tags": ["a,b"]}"#, "bad_request"),
        (r#"{"ratio_limit": -1}"#, "bad_request"),
        (r#"{"priorities": {"0": "high"}}"#, "conflict"),
        (r#"{"priority": {}}"#, "bad_request"),
        (r#"{"pieces": [{"first": 0, "last": 3, "priority": "low"}]}"#, "conflict"),
        (r#"{"pieces": [{"first": 0, "last": 3, "priority": "lowest"}]}"#, "bad_request"),
    ] {
        let (status, answer) = patch(body).await;
        assert!(status.is_client_error() && answer["error"]["code"] == code, "{body}: {answer}");
    }
}

#[tokio::test]
async fn the_password_is_not_told() {
    let api = Api::start().await;
    let (status, answer) = api.ask(Method::GET, "/api/v1/config", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["settings"]["api"]["password"], "********");
    assert!(!answer.to_string().contains("some length"));
    assert!(api.session.config().api.password.contains("some length"));
}

#[tokio::test]
async fn records_are_listed_page_by_page() {
    let mut config = Config::default();
    config.overlay.enabled = true;
    let api = Api::with(config).await;
    let (status, said) = api
        .ask(Method::PUT, "/api/v1/overlay/profile", r#"{"name": "Ada", "about": "engines"}"#)
        .await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let list = async |query: &str| {
        api.ask(Method::GET, &format!("/api/v1/overlay/records{query}"), "").await
    };
    let (status, page) = list("").await;
    assert_eq!((status, &page["matched"], &page["held"]), (StatusCode::OK, &1.into(), &1.into()));
    let record = &page["records"][0];
    assert_eq!((&record["kind"], &record["name"]), (&"profile".into(), &"Ada".into()));
    assert_eq!((&record["own"], &record["id"]), (&true.into(), &said["id"]));
    assert!(page.get("next").is_none());
    let me = record["author"].as_str().unwrap();
    let place = format!("{}.0.{}", record["created_unix_s"], said["id"].as_str().unwrap());
    for (query, count) in [
        (format!("?author={me}&kind=profile&q=engines&limit=1"), 1),
        ("?kind=listing".to_owned(), 0),
        ("?kind=other".to_owned(), 0),
        ("?q=nothing".to_owned(), 0),
        ("?blocked=true".to_owned(), 0),
        ("?limit=0".to_owned(), 1),
        (format!("?after={place}"), 0),
    ] {
        let (status, page) = list(&query).await;
        assert_eq!(
            (status, page["records"].as_array().map(Vec::len)),
            (StatusCode::OK, Some(count))
        );
    }
    for wrong in ["?author=ada", "?after=1", "?kind=file", "?limit=-1", "?page=2"] {
        let (status, error) = list(wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {error}");
    }
    api.session.shutdown().await;
}
