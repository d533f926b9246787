//! The DHT: its node, torrents in it, and items (BEP 44).

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path, Query};
use super::super::types::{
    CrawlerInfo, DhtInfo, DhtItem, DhtItemQuery, DhtLookupInfo, DhtStored, DhtTorrentInfo,
    ErrorCode, ErrorReply,
};
use althing_base::Sha1Digest;
use althing_dht::wire::{Item, Mutable};
use althing_dht::{NodeId, limits};
use axum::extract::State;
use bytes::Bytes;

/// What the crawler has found
#[utoipa::path(get, path = "/crawler", tag = "dht", responses((status = OK, body = CrawlerInfo)))]
pub(super) async fn crawler(State(app): State<App>) -> axum::Json<CrawlerInfo> {
    axum::Json(convert::crawler(app.session().crawler().await))
}

/// How it is with the DHT
#[utoipa::path(get, path = "/dht", tag = "dht", responses((status = OK, body = DhtInfo)))]
pub(super) async fn status(State(app): State<App>) -> axum::Json<DhtInfo> {
    axum::Json(convert::dht(app.session().dht().await))
}

/// Who has a torrent
///
/// Looks in the DHT for the peers of any torrent, be it here or not.
#[utoipa::path(get, path = "/dht/lookup/{info_hash}", tag = "dht",
    params(("info_hash" = String, Path, description = "A v1 info-hash, or the beginning of a v2 info-hash: 40 hexadecimal digits")),
    responses((status = OK, body = DhtLookupInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn lookup(
    State(app): State<App>,
    Path(given): Path<String>,
) -> Result<axum::Json<DhtLookupInfo>, ApiError> {
    let info_hash = Sha1Digest(digits("info_hash", &given)?);
    Ok(axum::Json(convert::dht_lookup(&app.session().dht_lookup(info_hash).await?)))
}

/// A torrent's place in the DHT
///
/// One entry for each of its names; none if it is private or does not run.
#[utoipa::path(get, path = "/torrents/{id}/dht", tag = "dht",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = Vec<DhtTorrentInfo>), (status = "4XX", body = ErrorReply)))]
pub(super) async fn torrent(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<Vec<DhtTorrentInfo>>, ApiError> {
    let id = app.session().resolve(&id)?;
    let names = app.session().dht_torrent(id).await;
    Ok(axum::Json(names.iter().map(convert::dht_torrent).collect()))
}

/// An item of the DHT
///
/// Immutable ones are named by the hash of their value (40 digits), mutable ones by their public key (64).
#[utoipa::path(get, path = "/dht/items/{name}", tag = "dht",
    params(("name" = String, Path, description = "40 or 64 hexadecimal digits"), DhtItemQuery),
    responses((status = OK, body = DhtItem), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn get(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<DhtItemQuery>,
) -> Result<axum::Json<DhtItem>, ApiError> {
    let session = app.session();
    let (item, _) = match name.len() {
        64 => {
            let salt = bytes("salt", query.salt.as_deref().unwrap_or_default())?;
            session.dht_get_mutable(digits("name", &name)?, salt).await?
        }
        _ => session.dht_get(NodeId(digits("name", &name)?)).await?,
    };
    let item = item.ok_or_else(|| {
        let message = format!("no node has an item {name}");
        ApiError::new(
            ErrorCode::NotFound,
            message,
            "nodes keep items for two hours; have it put again",
        )
    })?;
    Ok(axum::Json(convert::dht_item(&item)))
}

/// Store an item in the DHT
///
/// Nodes keep it for two hours: put it again before that. A mutable item comes signed.
#[utoipa::path(put, path = "/dht/items", tag = "dht", request_body = DhtItem,
    responses((status = OK, body = DhtStored), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn put(
    State(app): State<App>,
    Json(request): Json<DhtItem>,
) -> Result<axum::Json<DhtStored>, ApiError> {
    let cas = request.cas;
    let item = item(&request)?;
    let target = item.target().to_string();
    let nodes = app.session().dht_put(item, cas).await?;
    Ok(axum::Json(DhtStored { target, nodes: nodes as u32 }))
}

fn item(request: &DhtItem) -> Result<Item, ApiError> {
    let value = bytes("value", &request.value)?;
    if althing_base::bencode::Document::parse(&value, &althing_base::bencode::Limits::MESSAGE)
        .is_err()
    {
        let message = "value is not bencode";
        return Err(ApiError::new(ErrorCode::BadRequest, message, BENCODE_HINT));
    }
    let DhtItem { key, salt, seq, signature, .. } = request;
    match (key, seq, signature) {
        (None, None, None) if salt.is_none() => Ok(Item::Immutable { value }),
        (Some(key), Some(seq), Some(signature)) => {
            let salt = bytes("salt", salt.as_deref().unwrap_or_default())?;
            if salt.len() > limits::SALT_BYTES_MAX {
                let message = format!("salt has {} bytes", salt.len());
                return Err(ApiError::new(ErrorCode::BadRequest, message, "64 are the most"));
            }
            let key = digits("key", key)?;
            let signature = digits("signature", signature)?;
            Ok(Item::Mutable(Mutable { value, key, salt, seq: *seq, signature }))
        }
        _ => Err(ApiError::new(
            ErrorCode::BadRequest,
            "a mutable item has key, seq and signature, and an immutable one none of them",
            "see BEP 44",
        )),
    }
}

const BENCODE_HINT: &str = "a text of 5 bytes is \"5:hello\", as hexadecimal digits 353a68656c6c6f";

/// So many bytes, as hexadecimal digits.
fn digits<const N: usize>(what: &str, text: &str) -> Result<[u8; N], ApiError> {
    let bytes = bytes(what, text)?;
    <[u8; N]>::try_from(&bytes[..]).map_err(|_| {
        let message = format!("{what} has {} digits", text.len());
        ApiError::new(ErrorCode::BadRequest, message, format!("it must have {}", 2 * N))
    })
}

fn bytes(what: &str, text: &str) -> Result<Bytes, ApiError> {
    convert::unhex(text).map(Bytes::from).ok_or_else(|| {
        let message = format!("{what} is not written in hexadecimal digits");
        ApiError::new(ErrorCode::BadRequest, message, "two digits a byte, 0-9 and a-f")
    })
}
