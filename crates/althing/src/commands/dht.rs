//! `dht`: how it is with the DHT, who has a torrent, and small items (BEP 44).

use crate::cli::{Dht, DhtCommand, Global};
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_bittorrent::metainfo::Magnet;
use althing_node::api::types::{DhtInfo, DhtItem, DhtLookupInfo, DhtStored};
use std::fmt::Write as _;
use std::time::Duration;

pub(super) async fn dht(global: &Global, args: Dht, screen: &Screen) -> Result<(), Failure> {
    match args.what {
        None | Some(DhtCommand::Status) => status(global, screen).await,
        Some(DhtCommand::Find { torrent }) => find(global, &torrent, screen).await,
        Some(DhtCommand::Get { name, salt }) => get(global, &name, salt.as_deref(), screen).await,
        Some(DhtCommand::Put { text }) => put(global, &text, screen).await,
    }
}

async fn status(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let info: DhtInfo = running(global).await?.get("/dht").await?;
    screen.value(&info, false);
    in_words(&info, screen);
    if info.running {
        screen.result("");
        for (name, value) in lines(&info) {
            screen.result(&format!("{name:<12} {}", text::escape(&value)));
        }
    }
    Ok(())
}

/// How it is, and what to do about it.
pub(super) fn in_words(info: &DhtInfo, screen: &Screen) {
    screen.result(&text::escape(&info.summary));
    if let Some(advice) = &info.advice {
        screen.result(&format!("What to do: {}.", text::escape(advice)));
    }
}

fn lines(info: &DhtInfo) -> Vec<(&'static str, String)> {
    let family = |ip_version| if ip_version == 6 { "IPv6" } else { "IPv4" };
    let mut lines: Vec<_> = info
        .families
        .iter()
        .map(|one| {
            let mut said = units::counted(one.nodes, "node");
            if let Some(all) = one.nodes_in_all {
                let _ = write!(said, " of some {}", units::count(all));
            }
            (family(one.ip_version), format!("{said}; here it is {}", one.id))
        })
        .collect();
    let torrents = units::counted(info.torrents_found, "torrent");
    let named = units::count(info.peers_named);
    lines.push(("found", format!("peers named {named} times, for {torrents}")));
    let stored = format!(
        "{} with {}, {}",
        units::counted(info.stored_torrents, "torrent"),
        units::counted(info.stored_peers, "peer"),
        units::counted(info.stored_items, "item"),
    );
    lines.push(("kept", format!("{stored}, for others")));
    let each = |bytes, rate, messages| {
        let (bytes, rate) = (units::bytes(bytes), units::rate(rate));
        format!("{bytes} ({rate}, {} a second)", units::counted(messages, "message"))
    };
    lines.push((
        "received",
        each(info.received_bytes, info.received_bytes_per_s, info.received_messages_per_s),
    ));
    lines.push(("sent", each(info.sent_bytes, info.sent_bytes_per_s, info.sent_messages_per_s)));
    lines
}

async fn find(global: &Global, given: &str, screen: &Screen) -> Result<(), Failure> {
    let hash = match given.parse::<Magnet>() {
        Ok(magnet) => magnet.info_hashes.primary().to_string(),
        // A v2 info-hash goes by its first half there.
        Err(_) => given.chars().take(40).collect(),
    };
    let client = running(global).await?;
    let found: DhtLookupInfo = client.get(&format!("/dht/lookup/{hash}")).await?;
    screen.value(&found, false);
    found.peers.iter().for_each(|peer| screen.result(&text::escape(peer)));
    let took = units::duration(Duration::from_millis(found.took_ms));
    let mut said = format!(
        "{} named; {} asked, {} answered, in {took}",
        units::counted(found.peers.len() as u64, "peer"),
        units::counted(found.asked.into(), "node"),
        found.answered,
    );
    if let (Some(seeds), Some(leechers)) = (found.seeds, found.leechers) {
        let _ = write!(said, "; {seeds} have all of it, {leechers} fetch it");
    }
    screen.note(&said);
    Ok(())
}

async fn get(
    global: &Global,
    name: &str,
    salt: Option<&str>,
    screen: &Screen,
) -> Result<(), Failure> {
    let query = salt.map(|salt| format!("?salt={}", hex(salt.as_bytes()))).unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let client = running(global).await?;
    let item: DhtItem = client.get(&format!("/dht/items/{name}{query}")).await?;
    screen.value(&item, false);
    let value = unhex(&item.value);
    screen.result(&text::escape(&String::from_utf8_lossy(&value)));
    if let Some(seq) = item.seq {
        screen.note(&format!("number {seq} under its key"));
    }
    Ok(())
}

async fn put(global: &Global, given: &str, screen: &Screen) -> Result<(), Failure> {
    let mut value = given.len().to_string().into_bytes();
    value.push(b':');
    value.extend(given.as_bytes());
    let item = DhtItem { value: hex(&value), ..DhtItem::default() };
    let stored: DhtStored = running(global).await?.put("/dht/items", &item).await?;
    screen.value(&stored, false);
    screen.result(&stored.target);
    screen.note(&format!("on {}, for two hours", units::counted(stored.nodes.into(), "node")));
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the API wrote so.
fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_there_and_back() {
        assert_eq!(hex(b"5:hello"), "353a68656c6c6f");
        assert_eq!(unhex("353a68656c6c6f"), b"5:hello");
    }
}
