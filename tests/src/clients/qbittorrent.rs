//! qBittorrent without its window, driven by its Web API.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::clients::{Exchanges, Peer, Seat, Task};
use crate::http;
use crate::net::Host;
use crate::process::Process;
use crate::wait::poll;

/// How long it may take to answer its Web API.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The settings it would otherwise ask for: the notice accepted, no password on loopback. Its
/// queue would hold a seed back, and it would look for peers beyond the tracker. PEX and SPEED (KiB/s, 0
/// for no limit) stand for what differs.
const SETTINGS: &str = "\
[LegalNotice]
Accepted=true

[BitTorrent]
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=PEX
Session\\GlobalDLSpeedLimit=SPEED
Session\\BTProtocol=TCP
Session\\Port=6881
Session\\QueueingSystemEnabled=false

[Network]
PortForwardingEnabled=false

[Preferences]
WebUI\\Address=127.0.0.1
WebUI\\Port=8080
WebUI\\LocalHostAuth=false
WebUI\\UseUPnP=false
";

/// A multipart boundary that no torrent of ours contains.
const BOUNDARY: &str = "----althing-tests-7d81f3c0";

struct Qbittorrent {
    process: Process,
    host: Host,
}

pub(super) fn start(seat: &Seat<'_>, task: &Task<'_>) -> impl Peer + use<> {
    let config = seat.folder.join("qBittorrent/config");
    let exchanges = Exchanges::told(seat);
    let speed = if exchanges == Some(Exchanges::StandsBetween) { "1" } else { "0" };
    let pex = if exchanges.is_some() { "true" } else { "false" };
    let settings = SETTINGS.replace("PEX", pex).replace("SPEED", speed);
    std::fs::create_dir_all(&config)
        .and_then(|()| std::fs::write(config.join("qBittorrent.conf"), settings))
        .expect("the settings can be written");
    let mut command = seat.host.command("qbittorrent-nox");
    command.arg(format!("--profile={}", seat.folder.display())).env("HOME", &seat.folder);
    let process = Process::start("qbittorrent", command, &seat.folder);
    let peer = Qbittorrent { process, host: seat.host.clone() };
    if poll(START_LIMIT, || peer.get("/api/v2/app/version").ok()).is_none() {
        panic!("qbittorrent does not answer\n{}", peer.process.tail());
    }
    peer.add(task);
    peer
}

impl Peer for Qbittorrent {
    fn is_complete(&mut self) -> bool {
        let Ok(torrents) = self.get("/api/v2/torrents/info") else { return false };
        torrents.get(0).is_some_and(|torrent| {
            let uploads = matches!(torrent["state"].as_str(), Some("uploading" | "stalledUP"));
            uploads && torrent["progress"].as_f64() == Some(1.0)
        })
    }

    fn diagnosis(&mut self) -> String {
        let torrents = self.get("/api/v2/torrents/info");
        let log = self.get("/api/v2/log/main");
        format!("{}\n{torrents:#?}\n{log:#?}\n", self.process.tail())
    }
}

impl Qbittorrent {
    fn address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 8080))
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let answer = http::get(&self.host, Qbittorrent::address(), path)?;
        match answer.status {
            200 => Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null)),
            status => Err(format!("{path}: {status} {}", answer.text())),
        }
    }

    fn add(&self, task: &Task<'_>) {
        let mut form = Form::default();
        form.field("savepath", &task.folder.display().to_string());
        form.field("autoTMM", "false");
        if let Some(link) = task.torrent.link(task.source) {
            form.field("urls", &link);
        } else {
            let torrent = std::fs::read(&task.torrent.file).expect("the torrent was written");
            form.file("torrents", "t.torrent", &torrent);
        }
        let header = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
        let answer = http::post(
            &self.host,
            Qbittorrent::address(),
            "/api/v2/torrents/add",
            &header,
            &form.end(),
        );
        let fine = answer.as_ref().is_ok_and(|answer| answer.body.starts_with(b"Ok."));
        assert!(fine, "qbittorrent refuses the torrent: {answer:?}");
    }
}

/// A multipart form (RFC 7578), as the Web API takes torrents.
#[derive(Default)]
struct Form(Vec<u8>);

impl Form {
    fn field(&mut self, name: &str, value: &str) {
        self.part(&format!("name=\"{name}\"\r\n"), value.as_bytes());
    }

    fn file(&mut self, name: &str, file: &str, bytes: &[u8]) {
        let kind = "application/x-bittorrent";
        self.part(
            &format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {kind}\r\n"),
            bytes,
        );
    }

    fn part(&mut self, name: &str, bytes: &[u8]) {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(b"\r\n");
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }
}
