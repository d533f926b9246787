//! What this peer does not show, offer or fetch, and whose lists it follows.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path, Query};
use super::super::types::{
    BlockEntry, BlockKind, BlockListInfo, BlockQuery, BlockSubscription, BlocksInfo, ErrorCode,
    ErrorReply, PublishedBlocks,
};
use crate::blocks::{BlockReason, Follow, ListName, short_hash};
use crate::session::{list_name, parse_follow};
use althing_overlay::blocks::Entry;
use axum::extract::State;
use http::StatusCode;

/// What is blocked here, and by whom
#[utoipa::path(get, path = "/blocks", tag = "blocks", responses((status = OK, body = BlocksInfo)))]
pub(super) async fn status(State(app): State<App>) -> axum::Json<BlocksInfo> {
    axum::Json(convert::blocks(&app.session().blocks()))
}

/// Block something
///
/// It is not shown, answered with, offered or fetched from now on. What is here already stays. An entry
/// that is there already gets the new reason.
#[utoipa::path(post, path = "/blocks", tag = "blocks", request_body = BlockEntry,
    responses((status = OK, body = BlocksInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn add(
    State(app): State<App>,
    Json(request): Json<BlockEntry>,
) -> Result<axum::Json<BlocksInfo>, ApiError> {
    let entry = entry(request.kind, &request.value)?;
    let reason = BlockReason::new(&request.reason);
    let reason = reason.map_err(|error| bad(&format!("the reason: {error}"), "shorten it"))?;
    app.session().block(entry, reason)?;
    Ok(status(State(app)).await)
}

/// Block something no longer
#[utoipa::path(delete, path = "/blocks", tag = "blocks", params(BlockQuery),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn remove(
    State(app): State<App>,
    Query(query): Query<BlockQuery>,
) -> Result<StatusCode, ApiError> {
    match app.session().unblock(&entry(query.kind, &query.value)?)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::new(
            ErrorCode::NotFound,
            format!("{:?} is not among your own entries", query.value),
            "GET /api/v1/blocks lists them",
        )),
    }
}

/// Lists that others publish, as far as they have come here
#[utoipa::path(get, path = "/blocks/lists", tag = "blocks",
    responses((status = OK, body = Vec<BlockListInfo>), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn lists(
    State(app): State<App>,
) -> Result<axum::Json<Vec<BlockListInfo>>, ApiError> {
    let lists = app.session().block_lists().await?;
    Ok(axum::Json(lists.iter().map(convert::block_list).collect()))
}

/// Publish own entries as a list
///
/// Others who subscribe to it block the same. What stands on it are salted hashes, but the reasons can be
/// read. It is renewed as long as this peer runs, and stays as it is until it is published anew.
#[utoipa::path(put, path = "/blocks/published/{name}", tag = "blocks",
    params(("name" = String, Path, description = "What the list is called, 1 to 64 bytes without a slash")),
    responses((status = OK, body = PublishedBlocks), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn publish(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<PublishedBlocks>, ApiError> {
    let name = named(&name)?;
    let records = app.session().publish_blocks(&name).await? as u64;
    let node = app.session().overlay().await?.node;
    Ok(axum::Json(PublishedBlocks { list: format!("{node}/{name}"), records }))
}

/// Take a list back
#[utoipa::path(delete, path = "/blocks/published/{name}", tag = "blocks",
    params(("name" = String, Path, description = "What the list is called")),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn unpublish(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    match app.session().unpublish_blocks(&named(&name)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::new(
            ErrorCode::NotFound,
            format!("no list {name:?} is published here"),
            "GET /api/v1/blocks names those that are",
        )),
    }
}

/// Follow somebody's lists
///
/// What is on them is blocked here, too, as long as they are followed: also what is put on them later, and
/// even if the author is gone.
#[utoipa::path(post, path = "/blocks/subscriptions", tag = "blocks", request_body = BlockSubscription,
    responses((status = OK, body = BlocksInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn subscribe(
    State(app): State<App>,
    Json(request): Json<BlockSubscription>,
) -> Result<axum::Json<BlocksInfo>, ApiError> {
    app.session().subscribe_blocks(follow(&request)?).await?;
    Ok(status(State(app)).await)
}

/// Follow somebody's lists no longer
#[utoipa::path(delete, path = "/blocks/subscriptions", tag = "blocks", params(BlockSubscription),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn unsubscribe(
    State(app): State<App>,
    Query(query): Query<BlockSubscription>,
) -> Result<StatusCode, ApiError> {
    match app.session().unsubscribe_blocks(&follow(&query)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::new(
            ErrorCode::NotFound,
            "these lists are not followed",
            "GET /api/v1/blocks says which are",
        )),
    }
}

fn bad(message: &str, hint: &str) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, message, hint)
}

fn entry(kind: BlockKind, value: &str) -> Result<Entry, ApiError> {
    let (entry, hint) = match kind {
        BlockKind::Hash => {
            (short_hash(value).map(Entry::Torrent), "an info-hash has 40 or 64 hexadecimal digits")
        }
        BlockKind::Word => (
            Entry::words(value),
            "one to four words can be blocked together; single letters are no words",
        ),
        BlockKind::Author => (
            value.parse().ok().map(Entry::Author),
            "an author is named by a key of 64 hexadecimal digits",
        ),
    };
    entry.ok_or_else(|| bad(&format!("{value:?} cannot be blocked"), hint))
}

fn named(name: &str) -> Result<ListName, ApiError> {
    list_name(name).map_err(|reason| bad(&reason, "choose another name"))
}

fn follow(subscription: &BlockSubscription) -> Result<Follow, ApiError> {
    let text = match &subscription.list {
        Some(list) => format!("{}/{list}", subscription.author),
        None => subscription.author.clone(),
    };
    let hint = "`althing block lists` shows the lists there are";
    parse_follow(&text).map_err(|reason| bad(&reason, hint))
}
