//! Making torrents of paths on this machine, and looking into torrents without adding them.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path};
use super::super::jobs::{self, Work};
use super::super::source::{self, Source};
use super::super::types::{
    CreateOptions, CreateRequest, ErrorCode, ErrorReply, Format, InspectReport, InspectRequest,
    Job, ShareRequest,
};
use crate::session::{self, TorrentKind};
use althing_base::Sha256Digest;
use axum::extract::State;
use http::StatusCode;
use std::path::PathBuf;

/// Share a file or folder of this machine
///
/// It is hashed, which takes a while, and then seeded from where it lies; nothing is copied. The
/// answer is the job that does this; `GET /jobs/{id}` and the event stream tell how far it is.
#[utoipa::path(post, path = "/share", tag = "making", request_body = ShareRequest,
    responses(
        (status = ACCEPTED, body = Job),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn share(
    State(app): State<App>,
    Json(request): Json<ShareRequest>,
) -> Result<(StatusCode, axum::Json<Job>), ApiError> {
    let path = absolute(&request.path)?;
    if request.follow && request.options.format == Format::V2 {
        return Err(session::PublishError::NoV1.into());
    }
    if request.follow && request.options.private {
        return Err(session::PublishError::Private.into());
    }
    if request.listing.is_some() {
        app.session().may_publish(request.options.private)?;
    }
    let what = match &request.options.name {
        Some(name) => format!("name {name}"),
        None => format!("path {}", path.display()),
    };
    let follow = request.follow.then_some(what);
    let ShareRequest { super_seeding, listing, .. } = request;
    let work = Work::Share { super_seeding, follow, listing };
    let job = jobs::start(&app, path, create_options(request.options), work)?;
    Ok((StatusCode::ACCEPTED, axum::Json(job)))
}

/// Make a torrent file of a file or folder of this machine
///
/// As with `/share`, the answer is a job.
#[utoipa::path(post, path = "/create", tag = "making", request_body = CreateRequest,
    responses(
        (status = ACCEPTED, body = Job),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn create(
    State(app): State<App>,
    Json(request): Json<CreateRequest>,
) -> Result<(StatusCode, axum::Json<Job>), ApiError> {
    let path = absolute(&request.path)?;
    let output = absolute(&request.output)?;
    if output.exists() {
        return Err(ApiError::new(
            ErrorCode::Storage,
            format!("{} is there already", output.display()),
            "name another file, or remove that one first; nothing is ever overwritten",
        ));
    }
    let job = jobs::start(&app, path, create_options(request.options), Work::Create(output))?;
    Ok((StatusCode::ACCEPTED, axum::Json(job)))
}

/// Jobs under way, and the last ones that ended
#[utoipa::path(get, path = "/jobs", tag = "making", responses((status = OK, body = Vec<Job>)))]
pub(super) async fn jobs(State(app): State<App>) -> axum::Json<Vec<Job>> {
    axum::Json(app.jobs().list())
}

/// One job
#[utoipa::path(get, path = "/jobs/{id}", tag = "making",
    params(("id" = u64, Path, description = "The job's id")),
    responses((status = OK, body = Job), (status = NOT_FOUND, body = ErrorReply)))]
pub(super) async fn job(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<axum::Json<Job>, ApiError> {
    let job = app.jobs().find(id).ok_or_else(|| {
        ApiError::new(
            ErrorCode::NotFound,
            format!("there is no job {id}"),
            "GET /api/v1/jobs lists those under way and the last ones that ended",
        )
    })?;
    Ok(axum::Json(job))
}

/// Say what a torrent file or link is, without adding it
#[utoipa::path(post, path = "/inspect", tag = "making", request_body = InspectRequest,
    responses(
        (status = OK, body = InspectReport),
        (status = UNPROCESSABLE_ENTITY, body = ErrorReply, description = "it is not valid; why"),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn inspect(
    State(app): State<App>,
    Json(request): Json<InspectRequest>,
) -> Result<axum::Json<InspectReport>, ApiError> {
    let source = source::read(&app, request.link.as_deref(), request.torrent.as_deref()).await?;
    let report = match source {
        Source::Torrent(metainfo, _) => convert::inspect_torrent(&metainfo),
        Source::Magnet(magnet) => convert::inspect_magnet(&magnet),
        Source::Follow(link) => {
            let key = Sha256Digest(link.feed.key);
            return Err(ApiError::new(
                ErrorCode::BadRequest,
                "the link names a public key, under which another torrent may be published tomorrow",
                format!("`althing get` the link, or GET /api/v1/dht/items/{key} for the item"),
            ));
        }
    };
    Ok(axum::Json(report))
}

/// Paths in requests are absolute: the daemon's working directory means nothing to its clients.
pub(super) fn absolute(path: &str) -> Result<PathBuf, ApiError> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(ApiError::new(
        ErrorCode::BadRequest,
        format!("{} is not an absolute path", path.display()),
        "name the whole path on the daemon's machine",
    ))
}

fn create_options(options: CreateOptions) -> session::CreateOptions {
    session::CreateOptions {
        kind: match options.format {
            Format::Hybrid => TorrentKind::Hybrid,
            Format::V1 => TorrentKind::V1,
            Format::V2 => TorrentKind::V2,
        },
        name: options.name,
        piece_bytes: options.piece_length_bytes,
        trackers: options.trackers,
        web_seeds: options.web_seeds,
        comment: options.comment,
        private: options.private,
        source: options.source,
    }
}
