//! Searches: begin one, hear what is found, stop it; and the answers of the last ones.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path};
use super::super::limits::{EVENT_STREAMS_MAX, KEEP_ALIVE};
use super::super::types::{
    ErrorCode, ErrorReply, FindAnswer, FindEvent, FindInfo, FindRequest, FindState,
};
use crate::serve::stopped;
use crate::session::Find;
use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use std::convert::Infallible;
use std::sync::Arc;

/// Look for something by words
///
/// What is known here is among the answers at once; what others say comes later, see
/// `GET /find/{id}/events`. At most 16 searches are open at a time.
#[utoipa::path(post, path = "/find", tag = "find", request_body = FindRequest,
    responses((status = OK, body = FindInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn begin(
    State(app): State<App>,
    Json(request): Json<FindRequest>,
) -> Result<axum::Json<FindInfo>, ApiError> {
    let find = app.session().find(convert::find_options(request)).await?;
    Ok(axum::Json(convert::find(app.session(), &find)))
}

/// The searches that are open, and the last few that were
///
/// The newest last.
#[utoipa::path(get, path = "/find", tag = "find",
    responses((status = OK, body = Vec<FindInfo>), (status = "4XX", body = ErrorReply)))]
pub(super) async fn list(State(app): State<App>) -> axum::Json<Vec<FindInfo>> {
    let finds = app.session().finds();
    axum::Json(finds.iter().map(|find| convert::find(app.session(), find)).collect())
}

/// A search and what it has found so far
#[utoipa::path(get, path = "/find/{id}", tag = "find",
    params(("id" = String, Path, description = "Its number, or `last`")),
    responses((status = OK, body = FindInfo), (status = "4XX", body = ErrorReply)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<FindInfo>, ApiError> {
    let find = resolve(&app, &id)?;
    Ok(axum::Json(convert::find(app.session(), &find)))
}

/// One answer of a search, by its number
#[utoipa::path(get, path = "/find/{id}/answers/{number}", tag = "find",
    params(("id" = String, Path, description = "The search's number, or `last`"),
        ("number" = u32, Path, description = "The answer's number")),
    responses((status = OK, body = FindAnswer), (status = "4XX", body = ErrorReply)))]
pub(super) async fn answer(
    State(app): State<App>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<axum::Json<FindAnswer>, ApiError> {
    let find = resolve(&app, &id)?;
    let Some(answer) = find.answer(number) else {
        let words = &find.options().words;
        let count = find.answers().len();
        return Err(ApiError::new(
            ErrorCode::NotFound,
            format!("the search for {words:?} has {count} answers, and none of number {number}"),
            "take one of its numbers, or search again",
        ));
    };
    Ok(axum::Json(convert::find_answer(app.session(), &answer)))
}

/// What a search finds, as it comes
///
/// Server-sent events. The `data` of each is one `FindEvent`: what was found before comes first. The
/// stream ends with the search. After 15 s of silence a comment is sent.
#[utoipa::path(get, path = "/find/{id}/events", tag = "find",
    params(("id" = String, Path, description = "Its number, or `last`")),
    responses(
        (status = OK, body = FindEvent, content_type = "text/event-stream"),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn events(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let find = resolve(&app, &id)?;
    let place = app.streams().try_acquire_owned().map_err(|_| {
        ApiError::new(
            ErrorCode::TooMany,
            format!("{EVENT_STREAMS_MAX} clients are listening already"),
            "close one of them, or ask for what you need from time to time",
        )
    })?;
    let listener = (find.listen(), find, None::<FindState>, app.stop(), app, place);
    let stream =
        stream::unfold(listener, async |(mut listener, find, told, mut stop, app, place)| {
            let next = tokio::select! {
                next = listener.next() => next,
                () = stopped(&mut stop) => None,
            };
            let (news, snapshot) = next?;
            let mut all: Vec<FindEvent> = news
                .iter()
                .map(|answer| convert::find_answer(app.session(), answer))
                .map(|answer| FindEvent::Answer { answer })
                .collect();
            let state = convert::find_state(snapshot.state);
            if told != Some(state) {
                all.push(FindEvent::Find { find: convert::find(app.session(), &find) });
            }
            let frames: Vec<_> = all.iter().map(|event| Ok(frame(event))).collect();
            Some((stream::iter(frames), (listener, find, Some(state), stop, app, place)))
        });
    Ok(Sse::new(stream.flatten()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Stop a search
///
/// Its answers stay for a while.
#[utoipa::path(delete, path = "/find/{id}", tag = "find",
    params(("id" = String, Path, description = "Its number, or `last`")),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply)))]
pub(super) async fn stop(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let find = resolve(&app, &id)?;
    app.session().stop_finding(find.id());
    Ok(StatusCode::NO_CONTENT)
}

fn resolve(app: &App, id: &str) -> Result<Arc<Find>, ApiError> {
    let hint =
        "searches are forgotten when the daemon ends, and all but the last few; search again";
    let is_last = id == "last";
    let number = id.parse().ok();
    let found = (is_last || number.is_some()).then(|| app.session().found(number)).flatten();
    found.ok_or_else(|| {
        let message = match is_last {
            true => "nothing has been searched for since the daemon was started".to_owned(),
            false => format!("there is no search {id:?}"),
        };
        ApiError::new(ErrorCode::NotFound, message, hint)
    })
}

fn frame(event: &FindEvent) -> sse::Event {
    let json = serde_json::to_string(event).expect("the API's types have only string keys");
    sse::Event::default().event(event.name()).data(json)
}
