//! The records' bytes: bencode, with a version in each value. A field that is missing has its
//! default, so that fields can be added without a new version; one is needed only when old
//! software would do harm.

use super::record::{Record, Resume};
use super::settings::TorrentSettings;
use super::settings_codec;
use crate::files::{Location, Stamp};
use crate::limits::{PARTIAL_BLOCKS_MAX, RECORD_BYTES_MAX, RECORD_PEERS_MAX};
use crate::pieces::{BlockSum, Partial};
use althing_base::UnixTime;
use althing_base::bencode::{Dict, Document, Encoder, Limits, Value};
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::{Bitfield, PieceIndex};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version that is written. 2 added the settings of a torrent: older software would write records
/// without them, and fetch what the user does not want.
pub const VERSION: u64 = 2;

/// Why a value can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DecodeError {
    Newer(u64),
    Damaged(&'static str),
}

/// Bytes of a file's entry among the stamps: index, size, time, inode.
const STAMP_LEN: usize = 4 + 8 + 8 + 8;

/// Bytes of a block's entry among the unfinished pieces: number, checksum.
const PARTIAL_LEN: usize = 4 + 8;

pub(super) fn encode_record(record: &Record) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"active_s").int(seconds(record.active));
        out.key(b"added").int(record.added.0);
        if let Some(completed) = record.completed {
            out.key(b"completed").int(completed.0);
        }
        out.key(b"downloaded").int(to_i64(record.downloaded));
        if let Some(magnet) = &record.magnet {
            out.key(b"magnet").bytes(magnet.as_bytes());
        }
        write_names(out, &record.location);
        out.key(b"path").bytes(&path_bytes(record.location.path()));
        out.key(b"paused").int(record.paused.into());
        out.key(b"peers").list(|out| {
            let peers = record.peers.iter().take(RECORD_PEERS_MAX);
            peers.for_each(|peer| out.bytes(peer.to_string().as_bytes()));
        });
        out.key(b"seeding_s").int(seconds(record.seeding));
        if *record.settings != TorrentSettings::default() {
            settings_codec::encode(&record.settings, out.key(b"settings"));
        }
        out.key(b"trackers").list(|out| {
            record.trackers.iter().for_each(|tracker| out.bytes(tracker.as_bytes()));
        });
        let under = matches!(record.location, Location::Under(_));
        out.key(b"under").int(under.into());
        out.key(b"uploaded").int(to_i64(record.uploaded));
        out.key(b"v").int(VERSION as i64);
    });
    out.finish()
}

pub(super) fn decode_record(text: &[u8]) -> Result<Record, DecodeError> {
    let document = parse(text)?;
    let dict = root(&document)?;
    let location = location_of(dict)?;
    let strings = |key| {
        let list = dict.list(key).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned)
    };
    Ok(Record {
        location,
        paused: dict.int(b"paused").unwrap_or(0) != 0,
        added: UnixTime(dict.int(b"added").unwrap_or(0)),
        completed: dict.int(b"completed").map(UnixTime),
        uploaded: to_u64(dict.int(b"uploaded")),
        downloaded: to_u64(dict.int(b"downloaded")),
        active: Duration::from_secs(to_u64(dict.int(b"active_s"))),
        seeding: Duration::from_secs(to_u64(dict.int(b"seeding_s"))),
        settings: dict
            .dict(b"settings")
            .map_or_else(TorrentSettings::default, settings_codec::decode)
            .shared(),
        magnet: dict.str(b"magnet").map(str::to_owned),
        trackers: strings(b"trackers").collect(),
        peers: strings(b"peers")
            .filter_map(|peer| peer.parse::<SocketAddr>().ok())
            .take(RECORD_PEERS_MAX)
            .collect(),
    })
}

/// A place by itself.
pub(super) fn encode_location(location: &Location) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        write_names(out, location);
        out.key(b"path").bytes(&path_bytes(location.path()));
        out.key(b"under").int(matches!(location, Location::Under(_)).into());
        out.key(b"v").int(VERSION as i64);
    });
    out.finish()
}

pub(super) fn decode_location(text: &[u8]) -> Result<Location, DecodeError> {
    let document = parse(text)?;
    location_of(root(&document)?)
}

fn write_names(out: &mut Encoder, location: &Location) {
    if let Location::Renamed { names, .. } = location {
        out.key(b"names").dict(|out| {
            for (name, path) in names {
                out.key(name.as_bytes()).bytes(&path_bytes(path));
            }
        });
    }
}

fn location_of(dict: Dict<'_>) -> Result<Location, DecodeError> {
    let path = path_of(dict.bytes(b"path").ok_or(DecodeError::Damaged("no path"))?)?;
    Ok(match (dict.int(b"under").unwrap_or(0) != 0, dict.dict(b"names")) {
        (true, _) => Location::Under(path),
        (false, None) => Location::At(path),
        (false, Some(names)) => Location::Renamed { path, names: decode_names(names)? },
    })
}

fn decode_names(names: Dict<'_>) -> Result<BTreeMap<String, PathBuf>, DecodeError> {
    let damaged = DecodeError::Damaged("a file's name");
    names
        .iter()
        .map(|(name, path)| {
            let name = std::str::from_utf8(name).map_err(|_| damaged)?;
            Ok((name.to_owned(), path_of(path.as_bytes().ok_or(damaged)?)?))
        })
        .collect()
}

pub(super) fn encode_resume(resume: &Resume) -> Vec<u8> {
    let mut stamps = Vec::with_capacity(resume.stamps.len() * STAMP_LEN);
    for (file, stamp) in &resume.stamps {
        stamps.extend(file.0.to_be_bytes());
        stamps.extend(stamp.size.to_be_bytes());
        stamps.extend(stamp.modified_ns.to_be_bytes());
        stamps.extend(stamp.inode.to_be_bytes());
    }
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"clean").int(resume.clean.into());
        out.key(b"count").int(resume.pieces.len().into());
        if !resume.partials.is_empty() {
            out.key(b"partials").bytes(&encode_partials(&resume.partials));
        }
        // The usual case, and then the bits say nothing.
        if !resume.pieces.is_full() {
            out.key(b"pieces").bytes(resume.pieces.as_bytes());
        }
        out.key(b"stamps").bytes(&stamps);
        if let Some(unchecked) = &resume.unchecked {
            out.key(b"unchecked").bytes(unchecked.as_bytes());
        }
        out.key(b"v").int(VERSION as i64);
    });
    out.finish()
}

pub(super) fn decode_resume(text: &[u8]) -> Result<Resume, DecodeError> {
    let document = parse(text)?;
    let dict = root(&document)?;
    let count = dict.int(b"count").and_then(|count| u32::try_from(count).ok());
    let count = count.ok_or(DecodeError::Damaged("no number of pieces"))?;
    let pieces = match dict.bytes(b"pieces") {
        None => Bitfield::full(count),
        Some(bits) => {
            Bitfield::from_bytes(bits, count).ok_or(DecodeError::Damaged("its pieces"))?
        }
    };
    let stamps = dict.bytes(b"stamps").unwrap_or_default();
    if stamps.len() % STAMP_LEN != 0 {
        return Err(DecodeError::Damaged("its files' stamps"));
    }
    Ok(Resume {
        clean: dict.int(b"clean").unwrap_or(0) != 0,
        pieces,
        stamps: stamps.chunks_exact(STAMP_LEN).filter_map(decode_stamp).collect(),
        partials: decode_partials(dict.bytes(b"partials").unwrap_or_default(), count)?,
        unchecked: match dict.bytes(b"unchecked") {
            None => None,
            Some(bits) => {
                let bits = Bitfield::from_bytes(bits, count);
                Some(bits.ok_or(DecodeError::Damaged("what is still to be checked"))?)
            }
        },
    })
}

/// For each piece its number, how many blocks, and for each of them its number and checksum.
fn encode_partials(partials: &[Partial]) -> Vec<u8> {
    let mut out = Vec::new();
    for partial in partials {
        out.extend(partial.piece.0.to_be_bytes());
        // At most PARTIAL_BLOCKS_MAX.
        out.extend((partial.blocks.len() as u32).to_be_bytes());
        for (number, sum) in &partial.blocks {
            out.extend(number.to_be_bytes());
            out.extend(sum.0);
        }
    }
    out
}

fn decode_partials(mut bytes: &[u8], count: u32) -> Result<Vec<Partial>, DecodeError> {
    const DAMAGED: DecodeError = DecodeError::Damaged("its unfinished pieces");
    let mut partials = Vec::new();
    let mut room = PARTIAL_BLOCKS_MAX;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_first_chunk().ok_or(DAMAGED)?;
        let (blocks, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let piece = PieceIndex(u32::from_be_bytes(*piece));
        let blocks = u32::from_be_bytes(*blocks) as usize;
        if piece.0 >= count || blocks > room {
            return Err(DAMAGED);
        }
        room -= blocks;
        let (entries, rest) = rest.split_at_checked(blocks * PARTIAL_LEN).ok_or(DAMAGED)?;
        bytes = rest;
        let blocks = entries.chunks_exact(PARTIAL_LEN).filter_map(|entry| {
            let (number, sum) = entry.split_first_chunk()?;
            Some((u32::from_be_bytes(*number), BlockSum(*sum.first_chunk()?)))
        });
        partials.push(Partial { piece, blocks: blocks.collect() });
    }
    Ok(partials)
}

fn decode_stamp(bytes: &[u8]) -> Option<(FileIndex, Stamp)> {
    let (file, rest) = bytes.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (modified, rest) = rest.split_first_chunk()?;
    let (inode, _) = rest.split_first_chunk()?;
    let stamp = Stamp {
        size: u64::from_be_bytes(*size),
        modified_ns: i64::from_be_bytes(*modified),
        inode: u64::from_be_bytes(*inode),
    };
    Some((FileIndex(u32::from_be_bytes(*file)), stamp))
}

fn parse(text: &[u8]) -> Result<Document<'_>, DecodeError> {
    if text.len() > RECORD_BYTES_MAX {
        return Err(DecodeError::Damaged("its length"));
    }
    Document::parse(text, &Limits::default()).map_err(|_| DecodeError::Damaged("no bencode"))
}

fn root<'a>(document: &'a Document<'a>) -> Result<Dict<'a>, DecodeError> {
    let dict = document.root().as_dict().ok_or(DecodeError::Damaged("no dictionary"))?;
    match dict.int(b"v").and_then(|version| u64::try_from(version).ok()) {
        Some(version) if version > VERSION => Err(DecodeError::Newer(version)),
        Some(_) => Ok(dict),
        None => Err(DecodeError::Damaged("no version")),
    }
}

/// Bytes that passed fit an `i64` for some 300 million years at a gigabyte a second.
fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(time: Duration) -> i64 {
    to_i64(time.as_secs())
}

fn to_u64(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Result<PathBuf, DecodeError> {
    Ok(PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes)))
}

/// Windows has UTF-16, not always valid, so its units are written as they are.
#[cfg(windows)]
fn path_bytes(path: &Path) -> Vec<u8> {
    let units = std::os::windows::ffi::OsStrExt::encode_wide(path.as_os_str());
    units.flat_map(u16::to_be_bytes).collect()
}

#[cfg(windows)]
fn path_of(bytes: &[u8]) -> Result<PathBuf, DecodeError> {
    if bytes.len() % 2 != 0 {
        return Err(DecodeError::Damaged("a path"));
    }
    let units = bytes.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
    let units: Vec<u16> = units.collect();
    Ok(PathBuf::from(<std::ffi::OsString as std::os::windows::ffi::OsStringExt>::from_wide(&units)))
}

#[cfg(test)]
mod tests {
    use super::super::settings_codec::tests::settings;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn locations() -> impl Strategy<Value = Location> {
        let names = prop::collection::btree_map("[^\0]{1,9}", "[^\0]{1,9}".prop_map_into(), 1..4);
        prop_oneof![
            "[^\0]{1,9}".prop_map(|path| Location::Under(path.into())),
            "[^\0]{1,9}".prop_map(|path| Location::At(path.into())),
            ("[^\0]{1,9}", names)
                .prop_map(|(path, names)| Location::Renamed { path: path.into(), names }),
        ]
    }

    fn peers() -> impl Strategy<Value = Vec<SocketAddr>> {
        let peer = (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
        prop::collection::vec(peer, 0..5)
    }

    fn stamps() -> impl Strategy<Value = BTreeMap<FileIndex, Stamp>> {
        let stamp = (any::<u64>(), any::<i64>(), any::<u64>())
            .prop_map(|(size, modified_ns, inode)| Stamp { size, modified_ns, inode });
        prop::collection::btree_map(any::<u32>().prop_map(FileIndex), stamp, 0..5)
    }

    fn partials() -> impl Strategy<Value = Vec<Partial>> {
        let block = (any::<u32>(), any::<[u8; 8]>());
        let blocks = prop::collection::vec(block.prop_map(|(n, sum)| (n, BlockSum(sum))), 0..5);
        let partial = (0u32..100, blocks)
            .prop_map(|(piece, blocks)| Partial { piece: PieceIndex(piece), blocks });
        prop::collection::vec(partial, 0..3)
    }

    proptest! {
        #[test]
        fn records_come_back(
            location in locations(),
            (paused, added, completed) in any::<(bool, i64, Option<i64>)>(),
            (uploaded, downloaded) in (0..=i64::MAX as u64, 0..=i64::MAX as u64),
            (active, seeding) in (0..=i64::MAX as u64, 0..=i64::MAX as u64),
            settings in settings(),
            magnet in any::<Option<String>>(),
            trackers in prop::collection::vec(".*", 0..3),
            peers in peers(),
        ) {
            let record = Record {
                location,
                paused,
                added: UnixTime(added),
                completed: completed.map(UnixTime),
                uploaded,
                downloaded,
                active: Duration::from_secs(active),
                seeding: Duration::from_secs(seeding),
                settings: Arc::new(settings),
                magnet,
                trackers,
                peers,
            };
            let location = encode_location(&record.location);
            prop_assert_eq!(decode_location(&location), Ok(record.location.clone()));
            prop_assert_eq!(decode_record(&encode_record(&record)), Ok(record));
        }

        #[test]
        fn resume_data_come_back(
            clean in any::<bool>(),
            count in 0u32..100,
            set in prop::collection::vec(0u32..100, 0..100),
            stamps in stamps(),
            partials in partials(),
            unchecked in any::<bool>(),
        ) {
            let mut pieces = Bitfield::new(count);
            for piece in set {
                pieces.set(PieceIndex(piece), true);
            }
            for pieces in [pieces, Bitfield::full(count)] {
                let resume = Resume {
                    clean,
                    unchecked: unchecked.then(|| pieces.clone()),
                    pieces,
                    stamps: stamps.clone(),
                    partials: partials.iter().filter(|p| p.piece.0 < count).cloned().collect(),
                };
                prop_assert_eq!(decode_resume(&encode_resume(&resume)), Ok(resume));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (decode_record(&text), decode_resume(&text));
        }
    }

    fn check(text: &str, expected: DecodeError) {
        assert_eq!(decode_resume(text.as_bytes()), Err(expected), "{text}");
    }

    #[test]
    fn damage_and_newer_versions_are_told_apart() {
        check("d5:counti8e1:vi3ee", DecodeError::Newer(3));
        check("d5:counti8ee", DecodeError::Damaged("no version"));
        check("d5:counti8e6:pieces2:xx1:vi1ee", DecodeError::Damaged("its pieces"));
        check("d5:counti8e6:stamps3:xxx1:vi1ee", DecodeError::Damaged("its files' stamps"));
        check("d5:counti-1e1:vi1ee", DecodeError::Damaged("no number of pieces"));
        check("le", DecodeError::Damaged("no dictionary"));
        check("junk", DecodeError::Damaged("no bencode"));
        assert_eq!(decode_record(b"d1:vi1ee"), Err(DecodeError::Damaged("no path")));
    }

    /// Bytes that version 1 wrote.
    #[test]
    fn records_of_the_first_format_are_read() {
        let text = b"d5:addedi1700000000e9:completedi1700000100e10:downloadedi7e\
            4:path10:/home/anna6:pausedi1e5:peersl14:192.0.2.7:7716e\
            8:trackersl25:http://t.example/announcee5:underi1e8:uploadedi9e1:vi1ee";
        let expected = Record {
            paused: true,
            completed: Some(UnixTime(1_700_000_100)),
            uploaded: 9,
            downloaded: 7,
            trackers: vec!["http://t.example/announce".into()],
            peers: vec!["192.0.2.7:7716".parse().expect("an address")],
            ..Record::new(Location::Under("/home/anna".into()), UnixTime(1_700_000_000))
        };
        assert_eq!(decode_record(text), Ok(expected));
        let resume = b"d5:cleani1e5:counti3e6:pieces1:\xa06:stamps0:1:vi1ee";
        let resume = decode_resume(resume).expect("the first format");
        assert!(resume.clean && resume.pieces.count_ones() == 2);
    }
}
