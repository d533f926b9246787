//! Where torrents' files are: moving them, and finding those that were moved.

use super::super::app::App;
use super::super::error::ApiError;
use super::super::extract::{Json, Path};
use super::super::types::{ErrorReply, LocateReport, LocateRequest, MoveRequest, Torrent};
use super::making::absolute;
use super::torrents::snapshot;
use axum::extract::State;
use http::StatusCode;

/// Move a torrent's files to another folder
///
/// The answer comes when it has begun; the state `moving` tells how far it is. The torrent rests
/// meanwhile. If it cannot be done, the files stay where they are, and `note` says why. What the
/// torrent has in the new folder already is used if it is the same, and is in the way if it is not.
#[utoipa::path(post, path = "/torrents/{id}/move", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    request_body = MoveRequest,
    responses((status = ACCEPTED, body = Torrent), (status = "4XX", body = ErrorReply)))]
pub(super) async fn relocate(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(request): Json<MoveRequest>,
) -> Result<(StatusCode, axum::Json<Torrent>), ApiError> {
    let id = app.session().resolve(&id)?;
    app.session().move_to(id, &absolute(&request.dir)?).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(snapshot(&app, id)?)))
}

/// Find a torrent's files where the user has moved them
///
/// They are found by their length and content, whatever they are called. The answer comes when they
/// have been found; then all of them are checked, as the state `checking` tells.
#[utoipa::path(post, path = "/torrents/{id}/locate", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    request_body = LocateRequest,
    responses(
        (status = ACCEPTED, body = LocateReport),
        (status = NOT_FOUND, body = ErrorReply, description = "nothing of it is there"),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn locate(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(request): Json<LocateRequest>,
) -> Result<(StatusCode, axum::Json<LocateReport>), ApiError> {
    let id = app.session().resolve(&id)?;
    let dir = request.dir.as_deref().map(absolute).transpose()?;
    let found = app.session().locate(id, dir).await?;
    let report = LocateReport {
        found: found.found as u64,
        missing: found.missing as u64,
        cut_short: found.cut_short,
        torrent: snapshot(&app, id)?,
    };
    Ok((StatusCode::ACCEPTED, axum::Json(report)))
}
