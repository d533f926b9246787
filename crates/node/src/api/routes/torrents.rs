//! Torrents: adding, watching, steering, removing.

use super::super::app::App;
use super::super::change;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path, Query, too_large};
use super::super::limits::TORRENT_BYTES_MAX;
use super::super::source::{self, Source};
use super::super::types::{
    AddPeersRequest, AddRequest, ChangeRequest, ErrorCode, ErrorReply, FileProgress, Peer,
    PeersQuery, PieceMap, RemoveQuery, Torrent, TorrentDetail, TrackerInfo,
};
use super::making::absolute;
use crate::session::{
    self, AddError, AddOptions, AddSource, CommandError, TorrentId, TorrentSettings,
};
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use http::{HeaderValue, StatusCode, header};
use std::net::SocketAddr;

/// The type of a body that is a torrent file.
const TORRENT_TYPE: &str = "application/x-bittorrent";

/// Every torrent
#[utoipa::path(get, path = "/torrents", tag = "torrents",
    responses((status = OK, body = Vec<Torrent>)))]
pub(super) async fn list(State(app): State<App>) -> axum::Json<Vec<Torrent>> {
    axum::Json(app.session().list().iter().map(convert::torrent).collect())
}

/// Add a torrent
///
/// Adding one that is there already is no error: it gets the peers named here and in the link, and
/// the rest of the request is ignored.
#[utoipa::path(post, path = "/torrents", tag = "torrents",
    request_body(description = "what to add, or the torrent file itself", content(
        (AddRequest = "application/json"),
        (Vec<u8> = "application/x-bittorrent"),
    )),
    responses(
        (status = CREATED, body = Torrent),
        (status = OK, body = Torrent, description = "it is there already"),
        (status = UNPROCESSABLE_ENTITY, body = ErrorReply, description = "it is not valid; why"),
        (status = "4XX", body = ErrorReply),
        (status = BAD_GATEWAY, body = ErrorReply, description = "its address cannot be fetched"),
    ))]
pub(super) async fn add(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Torrent>), ApiError> {
    let (source, options) = add_request(&app, request).await?;
    let source = match source {
        Source::Torrent(_, bytes) => AddSource::Torrent(bytes),
        Source::Magnet(magnet) => AddSource::Magnet(magnet),
        Source::Follow(link) => AddSource::Follow(link),
    };
    let (status, id) = match app.session().add(source, options).await {
        Ok(id) => (StatusCode::CREATED, id),
        Err(AddError::AlreadyHere { id, .. }) => (StatusCode::OK, id),
        Err(error) => return Err(error.into()),
    };
    Ok((status, axum::Json(snapshot(&app, id)?)))
}

async fn add_request(app: &App, request: Request) -> Result<(Source, AddOptions), ApiError> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value == TORRENT_TYPE) {
        let bytes = Bytes::from_request(request, &())
            .await
            .ok()
            .filter(|bytes| bytes.len() <= TORRENT_BYTES_MAX)
            .ok_or_else(|| too_large(TORRENT_BYTES_MAX))?;
        return Ok((source::from_torrent(bytes.into())?, AddOptions::default()));
    }
    let Json(request) = Json::<AddRequest>::from_request(request, &()).await?;
    let options = AddOptions {
        save_dir: request.save_dir.as_deref().map(absolute).transpose()?,
        in_place: None,
        paused: request.paused,
        trusted: false,
        trackers: request.trackers,
        peers: addresses(&request.peers)?,
        skip_files: request.skip_files,
        anyway: request.anyway,
        settings: TorrentSettings {
            category: request.category.as_deref().map(change::label).transpose()?,
            tags: change::labels(&request.tags)?,
            sequential: request.sequential,
            ..TorrentSettings::default()
        },
    };
    let source = source::read(app, request.link.as_deref(), request.torrent.as_deref()).await?;
    Ok((source, options))
}

fn addresses(peers: &[String]) -> Result<Vec<SocketAddr>, ApiError> {
    let parse = |peer: &String| {
        peer.parse().map_err(|_| {
            ApiError::new(
                ErrorCode::BadRequest,
                format!("{peer:?} is not a peer's address"),
                "write 192.0.2.7:7716 or [2001:db8::7]:7716",
            )
        })
    };
    peers.iter().map(parse).collect()
}

/// All about a torrent
#[utoipa::path(get, path = "/torrents/{id}", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = TorrentDetail), (status = "4XX", body = ErrorReply)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<TorrentDetail>, ApiError> {
    let (id, detail) = detail(&app, &id).await?;
    let metainfo = app.session().metainfo(id).await;
    let mut shown = convert::detail(&detail, metainfo.as_deref());
    shown.followed = app.session().followed(id).map(convert::followed);
    shown.published = app.session().published(id).map(convert::published);
    Ok(axum::Json(shown))
}

/// Change a torrent's settings
///
/// What is left out stays as it is. The change is durable and in force when the answer comes.
#[utoipa::path(patch, path = "/torrents/{id}", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    request_body = ChangeRequest,
    responses((status = OK, body = TorrentDetail), (status = "4XX", body = ErrorReply)))]
pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(request): Json<ChangeRequest>,
) -> Result<axum::Json<TorrentDetail>, ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().change(id, change::change(request)?).await?;
    show(State(app), Path(id.to_string())).await
}

/// Remove a torrent
#[utoipa::path(delete, path = "/torrents/{id}", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name"), RemoveQuery),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode, ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().remove(id, query.data).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rest a torrent
///
/// Its connections are closed; it rests until it is resumed, also after a restart.
#[utoipa::path(post, path = "/torrents/{id}/pause", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = Torrent), (status = "4XX", body = ErrorReply)))]
pub(super) async fn pause(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<Torrent>, ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().pause(id).await?;
    snapshot(&app, id).map(axum::Json)
}

/// Let a torrent go on
///
/// After a pause, or after a fault has been mended.
#[utoipa::path(post, path = "/torrents/{id}/resume", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = Torrent), (status = "4XX", body = ErrorReply)))]
pub(super) async fn resume(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<Torrent>, ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().resume(id).await?;
    snapshot(&app, id).map(axum::Json)
}

/// Compare a torrent's files with their hashes
///
/// The answer comes when it has begun; the state `checking` tells how far it is.
#[utoipa::path(post, path = "/torrents/{id}/verify", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = ACCEPTED, body = Torrent), (status = "4XX", body = ErrorReply)))]
pub(super) async fn verify(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Torrent>), ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().verify(id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(snapshot(&app, id)?)))
}

/// The peers a torrent is connected to
#[utoipa::path(get, path = "/torrents/{id}/peers", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name"), PeersQuery),
    responses((status = OK, body = Vec<Peer>), (status = "4XX", body = ErrorReply)))]
pub(super) async fn peers(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<PeersQuery>,
) -> Result<axum::Json<Vec<Peer>>, ApiError> {
    let id = app.session().resolve(&id)?;
    let connected = app.session().peers(id).await.ok_or_else(|| gone(id))?;
    let mut peers: Vec<Peer> = connected.iter().map(|peer| convert::peer(peer, true)).collect();
    if query.all {
        let departed = app.session().departed_peers(id).await.ok_or_else(|| gone(id))?;
        peers.extend(departed.iter().map(|peer| convert::peer(peer, false)));
    }
    Ok(axum::Json(peers))
}

/// Name peers for a torrent to try
#[utoipa::path(post, path = "/torrents/{id}/peers", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    request_body = AddPeersRequest,
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply)))]
pub(super) async fn add_peers(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(request): Json<AddPeersRequest>,
) -> Result<StatusCode, ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().add_peers(id, addresses(&request.peers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A torrent's files
#[utoipa::path(get, path = "/torrents/{id}/files", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = Vec<FileProgress>), (status = "4XX", body = ErrorReply)))]
pub(super) async fn files(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<Vec<FileProgress>>, ApiError> {
    let (id, detail) = detail(&app, &id).await?;
    let metainfo = app.session().metainfo(id).await.ok_or_else(|| no_metadata(&detail))?;
    Ok(axum::Json(convert::files(&detail.files, &metainfo)))
}

/// A torrent's trackers
#[utoipa::path(get, path = "/torrents/{id}/trackers", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = Vec<TrackerInfo>), (status = "4XX", body = ErrorReply)))]
pub(super) async fn trackers(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<Vec<TrackerInfo>>, ApiError> {
    let (_, detail) = detail(&app, &id).await?;
    Ok(axum::Json(detail.trackers.iter().map(convert::tracker).collect()))
}

/// Which pieces are here and around
#[utoipa::path(get, path = "/torrents/{id}/pieces", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = PieceMap), (status = "4XX", body = ErrorReply)))]
pub(super) async fn pieces(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<PieceMap>, ApiError> {
    let (_, detail) = detail(&app, &id).await?;
    Ok(axum::Json(convert::pieces(&detail)))
}

/// The torrent file
#[utoipa::path(get, path = "/torrents/{id}/metainfo", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses(
        (status = OK, body = Vec<u8>, content_type = "application/x-bittorrent"),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn metainfo(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<([(header::HeaderName, HeaderValue); 1], Vec<u8>), ApiError> {
    let (id, detail) = detail(&app, &id).await?;
    let metainfo = app.session().metainfo(id).await.ok_or_else(|| no_metadata(&detail))?;
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(TORRENT_TYPE));
    Ok(([content_type], metainfo.to_torrent()))
}

async fn detail(app: &App, given: &str) -> Result<(TorrentId, session::TorrentDetail), ApiError> {
    let id = app.session().resolve(given)?;
    let detail = app.session().show(id).await.ok_or_else(|| gone(id))?;
    Ok((id, detail))
}

pub(super) fn snapshot(app: &App, id: TorrentId) -> Result<Torrent, ApiError> {
    app.session().snapshot(id).map(|snapshot| convert::torrent(&snapshot)).ok_or_else(|| gone(id))
}

/// It was there when the request came, and was removed since.
fn gone(id: TorrentId) -> ApiError {
    CommandError::Unknown { given: id.to_string() }.into()
}

fn no_metadata(detail: &session::TorrentDetail) -> ApiError {
    CommandError::NoMetadata { name: detail.torrent.name.clone() }.into()
}
