//! The event stream (server-sent events of the HTML standard).

use super::super::app::App;
use super::super::error::ApiError;
use super::super::limits::{EVENT_STREAMS_MAX, KEEP_ALIVE};
use super::super::live::Frame;
use super::super::types::{ErrorCode, ErrorReply, Event};
use crate::serve::stopped;
use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use std::convert::Infallible;
use tokio::sync::broadcast::error::RecvError;

/// What happens, as it happens
///
/// Server-sent events. The `data` of each is one `Event`; the first is a snapshot of everything, the
/// following ones change it. Who reads too slowly gets another snapshot instead of what was missed.
/// After 15 s of silence a comment is sent.
#[utoipa::path(get, path = "/events", tag = "daemon",
    responses(
        (status = OK, body = Event, content_type = "text/event-stream"),
        (status = TOO_MANY_REQUESTS, body = ErrorReply),
    ))]
pub(super) async fn events(
    State(app): State<App>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let place = app.streams().try_acquire_owned().map_err(|_| {
        ApiError::new(
            ErrorCode::TooMany,
            format!("{EVENT_STREAMS_MAX} clients are listening already"),
            "close one of them, or ask for what you need from time to time",
        )
    })?;
    let (snapshot, receiver) = app.live().subscribe(&app);
    let listener = (Some(snapshot), receiver, app.stop(), app, place);
    let stream = stream::unfold(listener, async |(first, mut receiver, mut stop, app, place)| {
        let frame = match first {
            Some(frame) => frame,
            None => tokio::select! {
                received = receiver.recv() => match received {
                    Ok(frame) => frame,
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "a listener fell behind and gets a snapshot");
                        let (snapshot, fresh) = app.live().subscribe(&app);
                        receiver = fresh;
                        snapshot
                    }
                    Err(RecvError::Closed) => return None,
                },
                () = stopped(&mut stop) => return None,
            },
        };
        Some((Ok(event(&frame)), (None, receiver, stop, app, place)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn event(frame: &Frame) -> sse::Event {
    // JSON has no raw line breaks, so that one `data:` line holds it.
    sse::Event::default().event(frame.name).data(&*frame.json)
}
