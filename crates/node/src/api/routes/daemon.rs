//! The daemon as a whole: its figures, settings and end.

use super::super::app::App;
use super::super::convert;
use super::super::types::{ConfigInfo, NetInfo, SessionInfo};
use crate::Config;
use axum::Json;
use axum::extract::State;
use http::{StatusCode, header};
use utoipa::openapi::OpenApi;

/// The daemon and its totals
#[utoipa::path(get, path = "/session", tag = "daemon", responses((status = OK, body = SessionInfo)))]
pub(super) async fn session(State(app): State<App>) -> Json<SessionInfo> {
    Json(app.session_info())
}

/// How the daemon is connected to the world
///
/// Whether others can reach it, how that is known, and what can be done about it.
#[utoipa::path(get, path = "/net", tag = "daemon", responses((status = OK, body = NetInfo)))]
pub(super) async fn network(State(app): State<App>) -> Json<NetInfo> {
    Json(convert::network(app.session().network()))
}

/// The settings in force
///
/// A password is shown as asterisks.
#[utoipa::path(get, path = "/config", tag = "daemon", responses((status = OK, body = ConfigInfo)))]
pub(super) async fn config(State(app): State<App>) -> Json<ConfigInfo> {
    let config = Config::clone(&app.session().current_config()).without_secrets();
    Json(ConfigInfo {
        path: crate::paths::Paths::new(app.dir()).config().to_string_lossy().into_owned(),
        settings: serde_json::to_value(config).expect("settings have only string keys"),
    })
}

/// Stop the daemon
///
/// It tells the trackers, saves its progress and ends. The answer comes before that.
#[utoipa::path(post, path = "/shutdown", tag = "daemon",
    responses((status = ACCEPTED, description = "it is stopping")))]
pub(super) async fn shutdown(State(app): State<App>) -> StatusCode {
    app.shutdown().send_replace(true);
    StatusCode::ACCEPTED
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "daemon",
    responses((status = OK, description = "the OpenAPI document", content_type = "application/json")))]
pub(super) async fn openapi() -> Json<OpenApi> {
    Json(super::openapi())
}

/// Figures for Prometheus
///
/// Text format 0.0.4.
#[utoipa::path(get, path = "/metrics", tag = "daemon",
    responses((status = OK, body = String, content_type = "text/plain; version=0.0.4")))]
pub(super) async fn metrics(
    State(app): State<App>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.session().metrics())
}
