//! Settings of the daemon, categories and the queue.

use super::super::app::App;
use super::super::change;
use super::super::error::ApiError;
use super::super::extract::{Json, Path};
use super::super::types::{
    Category, ConfigChange, ErrorCode, ErrorReply, QueueMove, QueuePlace, QueueRequest,
};
use super::making::absolute;
use crate::session;
use axum::extract::State;
use http::StatusCode;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// Change settings
///
/// The body has settings by their names, as in `{"limits.upload_kib_s": 500}`; `null` takes one back
/// to its default. `config.toml` has them when the answer comes, and those that can change at run time
/// are in force.
#[utoipa::path(patch, path = "/config", tag = "daemon",
    request_body = BTreeMap<String, serde_json::Value>,
    responses((status = OK, body = ConfigChange), (status = "4XX", body = ErrorReply)))]
pub(super) async fn change(
    State(app): State<App>,
    Json(request): Json<BTreeMap<String, serde_json::Value>>,
) -> Result<axum::Json<ConfigChange>, ApiError> {
    let bad = |setting: &str| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("{setting} cannot have that value"),
            "GET /api/v1/config shows what it has now",
        )
    };
    let read = |(setting, value): (String, serde_json::Value)| match value {
        serde_json::Value::Null => Ok((setting, None)),
        value => match toml::Value::try_from(value) {
            Ok(value) => Ok((setting, Some(value))),
            Err(_) => Err(bad(&setting)),
        },
    };
    let changes = request.into_iter().map(read).collect::<Result<BTreeMap<_, _>, _>>()?;
    // It reads and writes a small file.
    let session = app.session().clone();
    let changing = tokio::task::spawn_blocking(move || session.change_config(&changes));
    let changed = changing.await.map_err(|_| {
        ApiError::new(ErrorCode::Stopping, "althing is stopping", "start it again")
    })??;
    Ok(axum::Json(ConfigChange {
        in_force: changed.in_force,
        at_next_start: changed.at_next_start,
    }))
}

/// Every category that something is set for
#[utoipa::path(get, path = "/categories", tag = "torrents",
    responses((status = OK, body = BTreeMap<String, Category>)))]
pub(super) async fn categories(State(app): State<App>) -> axum::Json<BTreeMap<String, Category>> {
    let all = app.session().categories();
    axum::Json(all.iter().map(|(name, one)| (name.to_string(), category(one))).collect())
}

/// Set what holds for a category
///
/// What is left out is at its default then.
#[utoipa::path(put, path = "/categories/{name}", tag = "torrents",
    params(("name" = String, Path, description = "The category's name")),
    request_body = Category,
    responses((status = OK, body = Category), (status = "4XX", body = ErrorReply)))]
pub(super) async fn set_category(
    State(app): State<App>,
    Path(name): Path<String>,
    Json(request): Json<Category>,
) -> Result<axum::Json<Category>, ApiError> {
    let name = change::label(&name)?;
    let limit = |bytes: Option<u64>| bytes.and_then(NonZeroU64::new);
    let set = session::Category {
        save_dir: request.save_dir.as_deref().map(absolute).transpose()?,
        upload_limit: limit(request.upload_limit_bytes_per_s),
        download_limit: limit(request.download_limit_bytes_per_s),
        ratio_limit: change::ratio_goal(request.ratio_limit)?,
        seed_time_limit: change::time_goal(request.seed_time_limit_s),
    };
    app.session().set_category(&name, set.clone())?;
    Ok(axum::Json(category(&set)))
}

/// Forget a category
///
/// Its torrents stay, and are in none then.
#[utoipa::path(delete, path = "/categories/{name}", tag = "torrents",
    params(("name" = String, Path, description = "The category's name")),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply)))]
pub(super) async fn remove_category(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.session().remove_category(&change::label(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn category(category: &session::Category) -> Category {
    Category {
        save_dir: category.save_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()),
        upload_limit_bytes_per_s: category.upload_limit.map(NonZeroU64::get),
        download_limit_bytes_per_s: category.download_limit.map(NonZeroU64::get),
        ratio_limit: change::ratio_limit(category.ratio_limit),
        seed_time_limit_s: change::time_limit(category.seed_time_limit),
    }
}

/// Move a torrent in the queue
#[utoipa::path(post, path = "/torrents/{id}/queue", tag = "torrents",
    params(("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name")),
    request_body = QueueRequest,
    responses((status = OK, body = QueuePlace), (status = "4XX", body = ErrorReply)))]
pub(super) async fn queue(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(request): Json<QueueRequest>,
) -> Result<axum::Json<QueuePlace>, ApiError> {
    let id = app.session().resolve(&id)?;
    let to = match request.to {
        QueueMove::Top => session::QueueMove::Top,
        QueueMove::Up => session::QueueMove::Up,
        QueueMove::Down => session::QueueMove::Down,
        QueueMove::Bottom => session::QueueMove::Bottom,
    };
    app.session().move_in_queue(id, to).await?;
    let position = app.session().queue_position(id).unwrap_or(0) as u64;
    Ok(axum::Json(QueuePlace { position }))
}
