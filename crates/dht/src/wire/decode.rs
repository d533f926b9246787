//! Reading messages. Order of keys is not looked at: some nodes write them as they come.

use super::{
    AnnouncedPort, Bloom, Body, Item, Message, Mutable, Node, Query, Refusal, Response, Samples,
    V4_LEN, V6_LEN, Want,
};
use crate::id::NodeId;
use crate::limits::{
    DATAGRAM_BYTES_MAX, ERROR_TEXT_BYTES_MAX, NODES_READ_MAX, SALT_BYTES_MAX, SAMPLES_READ_MAX,
    TOKEN_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX, VALUES_READ_MAX,
};
use althing_base::bencode::{self, Dict, Document, Limits};
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a datagram is no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than any message.
    #[error("a datagram of {0} bytes is longer than any message")]
    TooLong(usize),
    /// Not bencode.
    #[error(transparent)]
    Bencode(#[from] bencode::Error),
    /// Something that every message has is not there or cannot be, and nobody can be told.
    #[error("not a message: no {0}")]
    NoMessage(&'static str),
    /// A question that cannot be; who asked can be told.
    #[error("a question that cannot be: {}", refusal.text)]
    BadQuery {
        /// What who asked calls its question.
        transaction: Bytes,
        /// What to tell.
        refusal: Refusal,
    },
}

impl Message {
    /// Reads a datagram.
    ///
    /// # Errors
    /// If it is not a message, or one that no honest node would send.
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(ParseError::TooLong(datagram.len()));
        }
        let document = Document::parse(datagram, &Limits::MESSAGE)?;
        let dict = document.root().as_dict().ok_or(ParseError::NoMessage("dictionary"))?;
        let transaction = dict.bytes(b"t").unwrap_or_default();
        if transaction.len() > TRANSACTION_BYTES_MAX {
            return Err(ParseError::NoMessage("transaction id of a length that can be"));
        }
        let transaction = Bytes::copy_from_slice(transaction);
        let body = match dict.bytes(b"y") {
            Some(b"q") => parse_query(dict).map_err(|refusal| match refusal {
                Some(refusal) => ParseError::BadQuery { transaction: transaction.clone(), refusal },
                None => ParseError::NoMessage("name of who asks"),
            })?,
            Some(b"r") => Body::Response(Box::new(parse_response(dict)?)),
            Some(b"e") => Body::Error(parse_refusal(dict)),
            _ => return Err(ParseError::NoMessage("kind")),
        };
        let version = dict.bytes(b"v").and_then(|version| version.try_into().ok());
        Ok(Message { transaction, version, body })
    }
}

/// Reads a question. `None` is no question at all, which is not answered.
fn parse_query(dict: Dict<'_>) -> Result<Body, Option<Refusal>> {
    let arguments = dict.dict(b"a").ok_or(None)?;
    let from = name(arguments, b"id").ok_or(None)?;
    let method = dict.bytes(b"q").ok_or(None)?;
    let read_only = dict.int(b"ro").is_some_and(|flag| flag != 0);
    let query = parse_arguments(method, arguments)?;
    Ok(Body::Query { from, read_only, query: Box::new(query) })
}

fn parse_arguments(method: &[u8], a: Dict<'_>) -> Result<Query, Refusal> {
    let want = want(a);
    let target = || name(a, b"target").ok_or_else(|| missing("target"));
    let info_hash = || name(a, b"info_hash").ok_or_else(|| missing("info_hash"));
    let flag = |key: &[u8]| a.int(key).is_some_and(|flag| flag != 0);
    Ok(match method {
        b"ping" => Query::Ping,
        b"find_node" => Query::FindNode { target: target()?, want },
        b"get_peers" => Query::GetPeers {
            info_hash: info_hash()?,
            want,
            no_seeds: flag(b"noseed"),
            scrape: flag(b"scrape"),
        },
        b"announce_peer" => Query::AnnouncePeer {
            info_hash: info_hash()?,
            port: announced_port(a)?,
            token: token(a).ok_or_else(|| missing("token"))?,
            seed: flag(b"seed"),
        },
        b"get" => Query::Get { target: target()?, newer_than: a.int(b"seq"), want },
        b"put" => Query::Put {
            token: token(a).ok_or_else(|| missing("token"))?,
            item: item(a)?.ok_or_else(|| missing("v"))?,
            cas: a.int(b"cas"),
        },
        b"sample_infohashes" => Query::SampleInfohashes { target: target()?, want },
        _ => {
            let target = name(a, b"target").or_else(|| name(a, b"info_hash"));
            Query::Unknown { target, want }
        }
    })
}

fn parse_response(dict: Dict<'_>) -> Result<Response, ParseError> {
    let r = dict.dict(b"r").ok_or(ParseError::NoMessage("answer"))?;
    let id = name(r, b"id").ok_or(ParseError::NoMessage("name of who answers"))?;
    let mut response = Response::new(id);
    response.external = dict.bytes(b"ip").and_then(address);
    for (key, len) in [(&b"nodes"[..], V4_LEN), (b"nodes6", V6_LEN)] {
        let bytes = r.bytes(key).unwrap_or_default();
        let nodes = bytes.chunks_exact(NodeId::LEN + len).filter_map(|chunk| {
            let (id, addr) = chunk.split_first_chunk()?;
            Some(Node { id: NodeId(*id), addr: possible(address(addr)?)? })
        });
        response.nodes.extend(nodes.take(NODES_READ_MAX));
    }
    response.token = token(r);
    if let Some(values) = r.list(b"values") {
        let peers = values.into_iter().filter_map(|value| possible(address(value.as_bytes()?)?));
        response.peers = peers.take(VALUES_READ_MAX).collect();
    }
    let bloom = |key: &[u8]| Some(Box::new(Bloom(r.bytes(key)?.try_into().ok()?)));
    response.seeds_bloom = bloom(b"BFsd");
    response.peers_bloom = bloom(b"BFpe");
    // An item that cannot be is none: the nodes beside it may still lead on.
    response.item = item(r).unwrap_or_default();
    response.seq = r.int(b"seq");
    response.samples = r.bytes(b"samples").map(|samples| Samples {
        interval: number(r, b"interval"),
        total: number(r, b"num"),
        info_hashes: samples
            .chunks_exact(NodeId::LEN)
            .filter_map(NodeId::from_slice)
            .take(SAMPLES_READ_MAX)
            .collect(),
    });
    Ok(response)
}

fn parse_refusal(dict: Dict<'_>) -> Refusal {
    let mut parts = dict.list(b"e").into_iter().flatten();
    let code = parts.next().and_then(|code| code.as_int()).unwrap_or(Refusal::GENERIC);
    let text = parts.next().and_then(|text| text.as_bytes()).unwrap_or_default();
    let text = text.get(..ERROR_TEXT_BYTES_MAX).unwrap_or(text);
    Refusal { code, text: String::from_utf8_lossy(text).into_owned() }
}

/// What BEP 44 puts into `put`'s arguments and into answers to `get`.
fn item(dict: Dict<'_>) -> Result<Option<Item>, Refusal> {
    let Some(value) = dict.get(b"v") else { return Ok(None) };
    let value = value.raw();
    if value.len() > VALUE_BYTES_MAX {
        return Err(refusal(Refusal::VALUE_TOO_LONG, "the value is longer than 1000 bytes"));
    }
    let value = Bytes::copy_from_slice(value);
    let Some(key) = dict.bytes(b"k") else { return Ok(Some(Item::Immutable { value })) };
    let salt = dict.bytes(b"salt").unwrap_or_default();
    if salt.len() > SALT_BYTES_MAX {
        return Err(refusal(Refusal::SALT_TOO_LONG, "the salt is longer than 64 bytes"));
    }
    Ok(Some(Item::Mutable(Mutable {
        value,
        key: key.try_into().map_err(|_| missing("k of 32 bytes"))?,
        salt: Bytes::copy_from_slice(salt),
        seq: dict.int(b"seq").ok_or_else(|| missing("seq"))?,
        signature: dict
            .bytes(b"sig")
            .and_then(|signature| signature.try_into().ok())
            .ok_or_else(|| missing("sig of 64 bytes"))?,
    })))
}

fn announced_port(a: Dict<'_>) -> Result<AnnouncedPort, Refusal> {
    if a.int(b"implied_port").is_some_and(|flag| flag != 0) {
        return Ok(AnnouncedPort::Implied);
    }
    let port = a.int(b"port").and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port != 0)
        .map(AnnouncedPort::Given)
        .ok_or_else(|| missing("port that can be"))
}

fn want(a: Dict<'_>) -> Want {
    let has = |family: &[u8]| {
        let list = a.list(b"want").into_iter().flatten();
        list.take(4).any(|word| word.as_bytes() == Some(family))
    };
    Want { v4: has(b"n4"), v6: has(b"n6") }
}

fn token(dict: Dict<'_>) -> Option<Bytes> {
    let token = dict.bytes(b"token")?;
    (token.len() <= TOKEN_BYTES_MAX).then(|| Bytes::copy_from_slice(token))
}

fn name(dict: Dict<'_>, key: &[u8]) -> Option<NodeId> {
    NodeId::from_slice(dict.bytes(key)?)
}

/// A number that says how many or how long; what cannot be is the nearest that can.
fn number(dict: Dict<'_>, key: &[u8]) -> u32 {
    let number = dict.int(key).unwrap_or_default().max(0);
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A compact address: 6 or 18 bytes.
fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip = match (<[u8; 4]>::try_from(ip), <[u8; 16]>::try_from(ip)) {
        (Ok(v4), _) => IpAddr::V4(Ipv4Addr::from(v4)),
        (_, Ok(v6)) => IpAddr::V6(Ipv6Addr::from(v6)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// An address that somebody can have.
fn possible(addr: SocketAddr) -> Option<SocketAddr> {
    let ip = addr.ip();
    let nobody = addr.port() == 0 || ip.is_unspecified() || ip.is_multicast();
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    (!nobody && !broadcast).then_some(addr)
}

fn missing(what: &str) -> Refusal {
    refusal(Refusal::PROTOCOL, &format!("no {what}"))
}

fn refusal(code: i64, text: &str) -> Refusal {
    Refusal { code, text: text.into() }
}
