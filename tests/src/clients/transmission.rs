//! Transmission's daemon, driven by its JSON-RPC.
//!
//! Debian 12 has 3.00, which refuses every hybrid torrent (its bencode reader does not take the
//! empty keys that BEP 52 has; 4.0 does), writes no empty files, and looks at whom to choke and
//! whom to ask every ten seconds only, so nothing it takes part in is done sooner.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::{Exchanges, Peer, Seat, Task};
use crate::encryption::Policy;
use crate::http;
use crate::net::Host;
use crate::process::Process;
use crate::wait::poll;

/// How long the daemon may take to answer its control port.
const START_LIMIT: Duration = Duration::from_secs(15);

struct Transmission {
    process: Process,
    control: Control,
}

struct Control {
    host: Host,
    session: RefCell<String>,
}

pub(super) fn start(seat: &Seat<'_>, task: &Task<'_>) -> impl Peer + use<> {
    let exchanges = Exchanges::told(seat);
    let settings = json!({
        "rpc-bind-address": "127.0.0.1", "rpc-port": 9091,
        "dht-enabled": false, "lpd-enabled": task.is_local() && exchanges.is_none(),
        "pex-enabled": exchanges.is_some(), "utp-enabled": seat.talks_over_utp(),
        // KB/s.
        "speed-limit-down": 1,
        "speed-limit-down-enabled": exchanges == Some(Exchanges::StandsBetween),
        "port-forwarding-enabled": false, "peer-port": 51413,
        // Tolerated, preferred (as it comes), required.
        "encryption": match Policy::told(&seat.folder) {
            Some(Policy::Plain) => 0,
            None | Some(Policy::Handshake | Policy::Preferred) => 1,
            Some(Policy::Required) => 2,
        },
    });
    let path = seat.folder.join("settings.json");
    std::fs::write(&path, settings.to_string()).expect("the settings can be written");

    let mut command = seat.host.command("transmission-daemon");
    command.args(["--foreground", "--log-error", "--config-dir"]).arg(&seat.folder);
    let process = Process::start("transmission", command, &seat.folder);
    let control = Control { host: seat.host.clone(), session: RefCell::default() };
    if poll(START_LIMIT, || control.call("session-get", &json!({})).ok()).is_none() {
        panic!("transmission does not answer\n{}", process.tail());
    }

    let mut arguments = json!({ "download-dir": task.folder });
    let (key, value) = match task.torrent.link(task.source) {
        Some(link) => ("filename", link),
        None => ("metainfo", base64(&read(&task.torrent.file))),
    };
    arguments[key] = value.into();
    let added = control.call("torrent-add", &arguments);
    let fine = added.as_ref().is_ok_and(|answer| answer["result"] == "success");
    assert!(fine, "transmission refuses the torrent: {added:?}");
    Transmission { process, control }
}

impl Peer for Transmission {
    fn is_complete(&mut self) -> bool {
        self.torrent().is_some_and(|torrent| {
            torrent["metadataPercentComplete"] == 1
                && torrent["percentDone"] == 1
                && torrent["status"] == 6
        })
    }

    fn diagnosis(&mut self) -> String {
        let torrent = self.torrent();
        format!("{}\n{torrent:#?}\n", self.process.tail())
    }
}

impl Transmission {
    fn torrent(&self) -> Option<Value> {
        let fields = json!({ "fields": [
            "status", "percentDone", "metadataPercentComplete", "peersConnected", "errorString",
            "recheckProgress", "trackerStats", "peers",
        ] });
        let answer = self.control.call("torrent-get", &fields).ok()?;
        answer["arguments"]["torrents"].get(0).cloned()
    }
}

impl Control {
    /// One call; the daemon wants the session's id in a header and hands it out with a refusal.
    fn call(&self, method: &str, arguments: &Value) -> Result<Value, String> {
        let body = json!({ "method": method, "arguments": arguments }).to_string();
        let address = SocketAddr::from(([127, 0, 0, 1], 9091));
        for _ in 0..2 {
            let header = format!("X-Transmission-Session-Id: {}\r\n", self.session.borrow());
            let answer =
                http::post(&self.host, address, "/transmission/rpc", &header, body.as_bytes())?;
            if answer.status == 409 {
                let id = answer.header("X-Transmission-Session-Id").unwrap_or_default();
                id.clone_into(&mut self.session.borrow_mut());
                continue;
            }
            return serde_json::from_slice(&answer.body)
                .map_err(|error| format!("{error}: {}", answer.text()));
        }
        Err("transmission hands out a session's id and then refuses it".to_owned())
    }
}

fn read(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).expect("the torrent was written")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// RFC 4648, section 10.
    #[test]
    fn base64_agrees_with_its_rfc() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
