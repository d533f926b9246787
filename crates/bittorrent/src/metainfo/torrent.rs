//! The .torrent file around the info dictionary, in and out.

use super::info::{self, text};
use super::limits::{
    INFO_SIZE_MAX, NODE_COUNT_MAX, TOKEN_COUNT_MAX, TORRENT_SIZE_MAX, TRACKER_COUNT_MAX,
    URL_SIZE_MAX, WEB_SEED_COUNT_MAX,
};
use super::{Announce, FileIndex, Info, Magnet, Metainfo, MetainfoError, NameRules, merkle};
use crate::types::InfoHashes;
use althing_base::bencode::{Dict, Document, Encoder, Limits, List, Value};
use althing_base::hash::{sha1, sha256};
use althing_base::{Sha256Digest, UnixTime};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What of a torrent's bencode is looked at.
pub(super) const LIMITS: Limits = Limits { depth: Limits::DEPTH_MAX, tokens: TOKEN_COUNT_MAX };

/// Reads a .torrent file.
pub(super) fn parse(torrent: &[u8], rules: NameRules) -> Result<Metainfo, MetainfoError> {
    if torrent.len() > TORRENT_SIZE_MAX {
        return Err(MetainfoError::TooLarge { size: torrent.len(), max: TORRENT_SIZE_MAX });
    }
    // What follows the dictionary is passed over: a line end that an editor put there does no harm.
    let (document, _) = Document::parse_prefix(torrent, &LIMITS)?;
    let root = document.root().as_dict().ok_or(MetainfoError::NotADictionary)?;
    let info = info::parse(root.dict(b"info").ok_or(MetainfoError::InfoMissing)?, rules)?;
    let layers = layers(root, &info)?;
    Ok(Metainfo { info: Arc::new(info), announce: Arc::new(announce(root)), layers })
}

/// Reads an info dictionary that came from peers.
pub(super) fn from_info(
    bytes: &[u8],
    magnet: &Magnet,
    rules: NameRules,
) -> Result<Metainfo, MetainfoError> {
    if bytes.len() > INFO_SIZE_MAX {
        return Err(MetainfoError::TooLarge { size: bytes.len(), max: INFO_SIZE_MAX });
    }
    // Nothing of it is looked at before it is known to be the right one.
    let expected = magnet.info_hashes;
    let sent = InfoHashes::hybrid(sha1(bytes), sha256(bytes));
    let is_right = expected.v1().is_none_or(|v1| sent.v1() == Some(v1))
        && expected.v2().is_none_or(|v2| sent.v2() == Some(v2));
    if !is_right {
        return Err(MetainfoError::WrongInfoHash { expected, found: sent });
    }
    let document = Document::parse(bytes, &LIMITS)?;
    let info = info::parse(document.root().as_dict().ok_or(MetainfoError::InfoMissing)?, rules)?;
    let found = info.hashes;
    // A link to a v1 torrent does not mean a v2 torrent of the same bytes, nor the other way round.
    if (expected.v1().is_some() && found.v1().is_none())
        || (expected.v2().is_some() && found.v2().is_none())
    {
        return Err(MetainfoError::WrongInfoHash { expected, found });
    }
    let announce = Announce {
        tiers: magnet.trackers.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: magnet.web_seeds.clone(),
        ..Announce::default()
    };
    Ok(Metainfo { info: Arc::new(info), announce: Arc::new(announce), layers: BTreeMap::new() })
}

/// The piece layers of BEP 52, each checked against the root it stands under. One that is missing
/// can be asked of peers; one that is wrong means that the file is damaged.
fn layers(
    root: Dict<'_>,
    info: &Info,
) -> Result<BTreeMap<FileIndex, Arc<[Sha256Digest]>>, MetainfoError> {
    let mut layers = BTreeMap::new();
    let Some(given) = root.get(b"piece layers").filter(|_| info.hashes.v2().is_some()) else {
        return Ok(layers);
    };
    let given = given.as_dict().ok_or(MetainfoError::LayersMalformed)?;
    // Files of the same content have the same root and share a layer.
    let mut files: Vec<(Sha256Digest, FileIndex)> = (0..)
        .map(FileIndex)
        .zip(info.layout.files())
        .filter_map(|(index, file)| Some((file.pieces_root?, index)))
        .collect();
    files.sort_unstable();
    let mut seen = HashSet::new();
    for (key, layer) in given.iter() {
        let pieces_root = Sha256Digest::from_slice(key).ok_or(MetainfoError::LayersMalformed)?;
        if !seen.insert(pieces_root) {
            continue;
        }
        let invalid = || MetainfoError::LayerInvalid { pieces_root };
        let hashes = layer.as_bytes().ok_or_else(invalid)?;
        let (hashes, rest) = hashes.as_chunks::<{ Sha256Digest::LEN }>();
        let hashes: Arc<[Sha256Digest]> = hashes.iter().copied().map(Sha256Digest).collect();
        let first = files.partition_point(|(root, _)| *root < pieces_root);
        let sharing = files[first..].iter().take_while(|(root, _)| *root == pieces_root);
        let mut is_known = false;
        for &(_, index) in sharing {
            let pieces = info.layout.file_pieces(index).len();
            let is_right = rest.is_empty()
                && hashes.len() == pieces
                && (is_known
                    || merkle::layer_root(&hashes, info.layout.piece_length()) == pieces_root);
            if !is_right {
                return Err(invalid());
            }
            is_known = true;
            if pieces > 1 {
                layers.insert(index, Arc::clone(&hashes));
            }
        }
        if !is_known {
            return Err(invalid());
        }
    }
    Ok(layers)
}

/// Everything that is not in the info dictionary. Nothing of it is worth refusing a torrent for:
/// what makes no sense, or is too much, is left out.
fn announce(root: Dict<'_>) -> Announce {
    let utf8 =
        |key: &[u8]| root.bytes(&[key, b".utf-8"].concat()).or_else(|| root.bytes(key)).map(text);
    Announce {
        tiers: tiers(root),
        web_seeds: urls(root.get(b"url-list"), WEB_SEED_COUNT_MAX),
        http_seeds: urls(root.get(b"httpseeds"), WEB_SEED_COUNT_MAX),
        nodes: root.list(b"nodes").map(nodes).unwrap_or_default(),
        comment: utf8(b"comment"),
        created_by: utf8(b"created by"),
        creation_date: root.int(b"creation date").filter(|&date| date >= 0).map(UnixTime),
    }
}

/// BEP 12: if there is an `announce-list`, `announce` does not count.
fn tiers(root: Dict<'_>) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let list = root.list(b"announce-list").into_iter().flatten();
    let mut tiers: Vec<Vec<String>> = list
        .map(|tier| {
            let room = TRACKER_COUNT_MAX - seen.len();
            let urls = urls(tier.as_list().map(|_| tier), room).into_iter();
            urls.filter(|url| is_tracker_url(url) && seen.insert(url.clone())).collect::<Vec<_>>()
        })
        .filter(|tier| !tier.is_empty())
        .take(TRACKER_COUNT_MAX)
        .collect();
    if tiers.is_empty() {
        let url = root.get(b"announce").and_then(url).filter(|url| is_tracker_url(url));
        tiers.extend(url.map(|url| vec![url]));
    }
    tiers
}

/// Whether this can be a tracker at all. Lists are full of host names without a scheme and other
/// things that no client can use.
pub(super) fn is_tracker_url(url: &str) -> bool {
    let schemes = ["udp", "http", "https", "ws", "wss"];
    url.split_once("://").is_some_and(|(scheme, rest)| {
        schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && !rest.is_empty()
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// One URL, or a list of them; no more than `max`, each once.
fn urls(value: Option<Value<'_>>, max: usize) -> Vec<String> {
    let mut seen = HashSet::new();
    let Some(value) = value else { return Vec::new() };
    let single = url(value).into_iter();
    let list = value.as_list().into_iter().flatten().filter_map(url);
    single.chain(list).filter(|url| seen.insert(url.clone())).take(max).collect()
}

fn url(value: Value<'_>) -> Option<String> {
    let url = value.as_str()?.trim();
    (!url.is_empty() && url.len() <= URL_SIZE_MAX).then(|| url.to_owned())
}

/// BEP 5: a list of host and port.
fn nodes(list: List<'_>) -> Vec<(String, u16)> {
    let node = |node: Value<'_>| {
        let mut node = node.as_list()?;
        let host = node.next().and_then(url)?;
        let port = u16::try_from(node.next()?.as_int()?).ok()?;
        Some((host, port))
    };
    list.filter_map(node).take(NODE_COUNT_MAX).collect()
}

/// Writes a .torrent file.
pub(super) fn write(metainfo: &Metainfo) -> Vec<u8> {
    let root_of = |index: &FileIndex| metainfo.files().get(index.0 as usize)?.pieces_root;
    let layers = metainfo.layers.iter();
    let layers = layers.filter_map(|(index, layer)| Some((root_of(index)?, &layer[..]))).collect();
    let layers = metainfo.info.hashes.v2().is_some().then_some(layers);
    encode(&metainfo.announce, metainfo.info_bytes(), layers)
}

/// Writes a .torrent file of these parts; the piece layers stand under their roots.
pub(super) fn encode(
    announce: &Announce,
    info: &[u8],
    layers: Option<BTreeMap<Sha256Digest, &[Sha256Digest]>>,
) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        let mut trackers = announce.tiers.iter().flatten();
        if let Some(url) = trackers.next() {
            out.key(b"announce").bytes(url.as_bytes());
        }
        if trackers.next().is_some() {
            out.key(b"announce-list").list(|out| {
                for tier in &announce.tiers {
                    out.list(|out| tier.iter().for_each(|url| out.bytes(url.as_bytes())));
                }
            });
        }
        write_text(out, b"comment", announce.comment.as_deref());
        write_text(out, b"created by", announce.created_by.as_deref());
        if let Some(date) = announce.creation_date {
            out.key(b"creation date").int(date.as_secs());
        }
        write_urls(out, b"httpseeds", &announce.http_seeds);
        out.key(b"info").raw(info);
        if !announce.nodes.is_empty() {
            out.key(b"nodes").list(|out| {
                for (host, port) in &announce.nodes {
                    out.list(|out| {
                        out.bytes(host.as_bytes());
                        out.int(i64::from(*port));
                    });
                }
            });
        }
        if let Some(layers) = layers {
            out.key(b"piece layers").dict(|out| {
                for (root, layer) in layers {
                    let bytes: Vec<u8> = layer.iter().flat_map(|hash| hash.0).collect();
                    out.key(&root.0).bytes(&bytes);
                }
            });
        }
        write_urls(out, b"url-list", &announce.web_seeds);
    });
    out.finish()
}

fn write_text(out: &mut Encoder, key: &[u8], text: Option<&str>) {
    if let Some(text) = text {
        out.key(key).bytes(text.as_bytes());
    }
}

fn write_urls(out: &mut Encoder, key: &[u8], urls: &[String]) {
    match urls {
        [] => {}
        [url] => out.key(key).bytes(url.as_bytes()),
        urls => out.key(key).list(|out| urls.iter().for_each(|url| out.bytes(url.as_bytes()))),
    }
}
