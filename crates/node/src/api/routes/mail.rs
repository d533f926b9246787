//! Mail: private messages between two peers.

use super::super::app::App;
use super::super::convert;
use super::super::error::ApiError;
use super::super::extract::{Json, Path};
use super::super::types::{ErrorReply, MailInfo, MailRequest};
use axum::extract::State;
use axum::http::StatusCode;

/// All mail
///
/// First what has come, then what was sent; of each the oldest first.
#[utoipa::path(get, path = "/mail", tag = "mail",
    responses((status = OK, body = [MailInfo]), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn list(State(app): State<App>) -> Result<axum::Json<Vec<MailInfo>>, ApiError> {
    Ok(axum::Json(convert::mails(&app.session().mail().await?)))
}

/// Send a message
///
/// Only the receiver can read it. He gets it at once if he is there; else others carry it for up to 15
/// days. Takes a second or some of work, which they ask for.
#[utoipa::path(post, path = "/mail", tag = "mail", request_body = MailRequest,
    responses((status = CREATED, body = MailInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn send(
    State(app): State<App>,
    Json(request): Json<MailRequest>,
) -> Result<(StatusCode, axum::Json<MailInfo>), ApiError> {
    let sent = app.session().mail_send(&request.to, &request.text).await?;
    Ok((StatusCode::CREATED, axum::Json(convert::mail_sent(&sent))))
}

/// Mark a mail that has come as read
#[utoipa::path(post, path = "/mail/{id}/read", tag = "mail",
    params(("id" = String, Path, description = "A mail's name, or an unambiguous beginning of it")),
    responses((status = OK, body = MailInfo), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<MailInfo>, ApiError> {
    let id = app.session().mail_id(&id).await?;
    Ok(axum::Json(convert::mail_received(&app.session().mail_read(id).await?)))
}

/// Throw a mail away
///
/// One that was sent and has not been received is not looked after any longer; carriers may still deliver
/// it.
#[utoipa::path(delete, path = "/mail/{id}", tag = "mail",
    params(("id" = String, Path, description = "A mail's name, or an unambiguous beginning of it")),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply), (status = "5XX", body = ErrorReply)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = app.session().mail_id(&id).await?;
    app.session().mail_remove(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
