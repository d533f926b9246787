//! What is blocked, on disk: `blocks.toml`, which people can read, and the lists that are followed, as
//! records one after the other, each after its length in two bytes.

use super::limits::{FILE_BYTES_MAX, KEPT_RECORDS_MAX, LISTS_BYTES_MAX};
use super::{BlockReason, Follow, ListName, State};
use althing_base::Sha1Digest;
use althing_base::hash::Sha256Digest;
use althing_overlay::blocks::Entry;
use althing_overlay::records::{RawRecord, Record, Salt, Text};
use althing_overlay::{NetworkKey, NodeId};
use althing_store::atomic::{self, Access};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    block: Vec<StoredEntry>,
    subscribe: Vec<StoredFollow>,
    publish: Vec<StoredList>,
}

/// Exactly one of the first three.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoredEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFollow {
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredList {
    name: String,
    salt: String,
}

/// Reads `blocks.toml`.
pub(super) fn read(path: &Path) -> Result<State, String> {
    let Some(bytes) = whole(path, FILE_BYTES_MAX)? else { return Ok(State::default()) };
    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
    let stored: Stored = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut state = State::default();
    for stored in stored.block {
        let (entry, reason) = read_entry(&stored)?;
        state.own.insert(entry, reason);
    }
    for StoredFollow { author, list } in stored.subscribe {
        let author = author.parse().map_err(|_| format!("{author} names no author"))?;
        let list = list.map(|list| read_name(&list)).transpose()?;
        state.follows.insert(Follow { author, list });
    }
    for StoredList { name, salt } in stored.publish {
        // A digest that is as long.
        let padded = format!("{salt}{}", "0".repeat(32));
        let digest: Sha256Digest = padded.parse().map_err(|_| format!("{salt} is no salt"))?;
        let salt = digest.0.first_chunk().expect("it is longer");
        state.published.insert(read_name(&name)?, Salt(*salt));
    }
    Ok(state)
}

fn read_name(name: &str) -> Result<ListName, String> {
    let name: ListName = Text::new(name).map_err(|error| error.to_string())?;
    if name.is_empty() { Err("a list without a name".to_owned()) } else { Ok(name) }
}

fn read_entry(stored: &StoredEntry) -> Result<(Entry, BlockReason), String> {
    let entry = match (&stored.hash, &stored.word, &stored.author) {
        (Some(hash), None, None) => hash.parse().ok().map(Entry::Torrent),
        (None, Some(word), None) => Entry::words(word),
        (None, None, Some(author)) => author.parse::<NodeId>().ok().map(Entry::Author),
        _ => return Err("an entry has one of hash, word and author".to_owned()),
    };
    let what = || stored.hash.iter().chain(&stored.word).chain(&stored.author).next();
    let entry = entry.ok_or_else(|| format!("{} cannot be blocked", what().map_or("", |w| w)))?;
    let reason = Text::new(&stored.reason).map_err(|error| error.to_string())?;
    Ok((entry, reason))
}

/// Writes `blocks.toml`, which lasts when this returns.
pub(super) fn write(path: &Path, state: &State) -> io::Result<()> {
    let block = state.own.iter().map(|(entry, reason)| {
        let mut stored = StoredEntry { reason: reason.to_string(), ..StoredEntry::default() };
        match entry {
            Entry::Torrent(hash) => stored.hash = Some(hash.to_string()),
            Entry::Words(phrase) => stored.word = Some(phrase.to_string()),
            Entry::Author(author) => stored.author = Some(author.to_string()),
        }
        stored
    });
    let subscribe = state.follows.iter().map(|Follow { author, list }| StoredFollow {
        author: author.to_string(),
        list: list.as_ref().map(ToString::to_string),
    });
    let publish = state.published.iter().map(|(name, salt)| {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&salt.0);
        let mut salt = Sha256Digest(digest).to_string();
        salt.truncate(32);
        StoredList { name: name.to_string(), salt }
    });
    let stored = Stored {
        block: block.collect(),
        subscribe: subscribe.collect(),
        publish: publish.collect(),
    };
    let text = toml::to_string(&stored).map_err(io::Error::other)?;
    // What somebody does not want to see is nobody else's business.
    atomic::write(path, text.as_bytes(), Access::OwnerOnly)
}

/// Reads lists; what is damaged, or not signed for this network, is left out, for it can be had again.
pub(super) fn read_lists(path: &Path, network: &NetworkKey) -> Result<Vec<Record>, String> {
    let Some(bytes) = whole(path, LISTS_BYTES_MAX)? else { return Ok(Vec::new()) };
    let mut rest = &bytes[..];
    let mut records = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk()
        && let Some((record, after)) =
            after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        && records.len() < KEPT_RECORDS_MAX
    {
        let record =
            RawRecord::parse(record).and_then(|raw| raw.check(network, NodeId::has_signed));
        records.extend(record.ok());
        rest = after;
    }
    Ok(records)
}

/// Writes lists, which last when this returns.
pub(super) fn write_lists(path: &Path, records: &[Record]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend((record.bytes().len() as u16).to_be_bytes());
        bytes.extend_from_slice(record.bytes());
    }
    atomic::write(path, &bytes, Access::OwnerOnly)
}

/// A file, if there is one and it is not too large.
fn whole(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most { Err("it is too large".to_owned()) } else { Ok(Some(bytes)) }
}

/// What is in a name of 40 or 64 digits: the 20 bytes that handshakes know a torrent by.
pub(crate) fn short_hash(text: &str) -> Option<Sha1Digest> {
    let v1 = text.parse::<Sha1Digest>().ok();
    v1.or_else(|| Sha1Digest::from_slice(&text.parse::<Sha256Digest>().ok()?.0[..20]))
}
