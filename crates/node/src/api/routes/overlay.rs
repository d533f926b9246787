//! The overlay: how it stands, what is held of it, and saying something in it.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path, Query};
use super::super::types::{
    ErrorCode, ErrorReply, ListingRequest, OverlayInfo, OverlayRecord, ProfileRequest, RecordKind,
    RecordsPage, RecordsRequest,
};
use crate::session::RecordsQuery;
use althing_overlay::records::Kind;
use axum::extract::State;

/// Records of a page unless a request says how many.
const RECORDS: u32 = 100;

/// How it is with the overlay
#[utoipa::path(get, path = "/overlay", tag = "overlay",
    responses((status = OK, body = OverlayInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn status(State(app): State<App>) -> Result<axum::Json<OverlayInfo>, ApiError> {
    Ok(axum::Json(convert::overlay(&app.session().overlay().await?)))
}

/// What is held of what peers say
///
/// The newest first, page by page: what its `next` says is given as `after` for the following one. What is
/// blocked here is left out unless it is asked for.
#[utoipa::path(get, path = "/overlay/records", tag = "overlay", params(RecordsRequest),
    responses((status = OK, body = RecordsPage), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn records(
    State(app): State<App>,
    Query(request): Query<RecordsRequest>,
) -> Result<axum::Json<RecordsPage>, ApiError> {
    let wrong = |what: &str, hint: &str| ApiError::new(ErrorCode::BadRequest, what, hint);
    let author = request.author.map(|author| author.parse()).transpose().map_err(|_| {
        wrong("the author is not the name of a node", "a name has 64 hexadecimal digits")
    })?;
    let after = match request.after.as_deref() {
        None => None,
        Some(text) => Some(convert::read_place(text).ok_or_else(|| {
            wrong("no page ends there", "give the `next` of the page before as `after`")
        })?),
    };
    let limit = request.limit.unwrap_or(RECORDS);
    let query = RecordsQuery {
        kinds: request.kind.map(kinds).unwrap_or_default(),
        author,
        words: request.q.unwrap_or_default(),
        blocked: request.blocked.unwrap_or(false),
        after,
        most: usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let me = app.session().overlay().await?.node;
    let page = app.session().overlay_page(query).await?;
    Ok(axum::Json(convert::records(&page, me)))
}

/// The kinds that are meant by a word.
fn kinds(kind: RecordKind) -> Vec<Kind> {
    let known = [Kind::LISTING, Kind::PROFILE, Kind::BLOCK_LIST];
    match kind {
        RecordKind::Listing => vec![Kind::LISTING],
        RecordKind::Profile => vec![Kind::PROFILE],
        RecordKind::BlockList => vec![Kind::BLOCK_LIST],
        RecordKind::Other => (0..=u8::MAX).map(Kind).filter(|kind| !known.contains(kind)).collect(),
    }
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
