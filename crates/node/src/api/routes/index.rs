//! The local index: how it stands, and searching it.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::Query;
use super::super::types::{ErrorReply, IndexAnswer, IndexInfo, IndexKind, IndexQuery};
use althing_index::{Query as Question, What};
use axum::extract::State;

/// Answers unless a request says how many.
const LIMIT: u32 = 20;

/// How it is with the local index
#[utoipa::path(get, path = "/index", tag = "index", responses((status = OK, body = IndexInfo)))]
pub(super) async fn status(State(app): State<App>) -> axum::Json<IndexInfo> {
    axum::Json(convert::index(app.session().index().as_ref()))
}

/// Search the local index
///
/// For words that are all in a listing, or close together in a document. Nobody else is asked.
#[utoipa::path(get, path = "/search", tag = "index", params(IndexQuery),
    responses((status = OK, body = IndexAnswer), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn search(
    State(app): State<App>,
    Query(query): Query<IndexQuery>,
) -> Result<axum::Json<IndexAnswer>, ApiError> {
    let what = match query.kind {
        None => What::Any,
        Some(IndexKind::File) => What::Files,
        Some(IndexKind::Page) => What::Pages,
    };
    let wanted = usize::try_from(query.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
    let question = Question::new(&query.q).for_what(what).wanted(wanted);
    let found = app.session().search_index(question).await?;
    Ok(axum::Json(convert::index_answer(&found)))
}
