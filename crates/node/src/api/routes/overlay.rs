//! The overlay: how it stands, and saying something in it.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path};
use super::super::types::{ErrorReply, ListingRequest, OverlayInfo, OverlayRecord, ProfileRequest};
use axum::extract::State;

/// How it is with the overlay
#[utoipa::path(get, path = "/overlay", tag = "overlay",
    responses((status = OK, body = OverlayInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn status(State(app): State<App>) -> Result<axum::Json<OverlayInfo>, ApiError> {
    Ok(axum::Json(convert::overlay(&app.session().overlay().await?)))
}

/// Say who we are
///
/// Everybody in the overlay hears of it and holds it for a month, or until it is said anew. Takes a
/// second or so of work, which others ask for.
#[utoipa::path(put, path = "/overlay/profile", tag = "overlay", request_body = ProfileRequest,
    responses((status = OK, body = OverlayRecord), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn profile(
    State(app): State<App>,
    Json(request): Json<ProfileRequest>,
) -> Result<axum::Json<OverlayRecord>, ApiError> {
    let record = app.session().overlay_profile(&request.name, &request.about).await?;
    Ok(axum::Json(convert::overlay_record(&record)))
}

/// Say that we have a torrent
///
/// Everybody in the overlay hears of it and holds it for a month, or until it is said anew. Private
/// torrents are refused.
#[utoipa::path(put, path = "/torrents/{id}/listing", tag = "overlay", request_body = ListingRequest,
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    responses((status = OK, body = OverlayRecord), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(request): Json<ListingRequest>,
) -> Result<axum::Json<OverlayRecord>, ApiError> {
    let id = app.session().resolve(&id)?;
    let record = app.session().overlay_list(id, &request.tags, &request.about).await?;
    Ok(axum::Json(convert::overlay_record(&record)))
}
