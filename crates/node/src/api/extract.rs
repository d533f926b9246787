//! Reading requests: axum's extractors with the API's own errors.

use super::error::ApiError;
use super::limits::BODY_BYTES_MAX;
use super::types::ErrorCode;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Json(value)),
            Err(rejection) => Err(rejected(&rejection)),
        }
    }
}

fn rejected(rejection: &JsonRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(BODY_BYTES_MAX);
    }
    let hint = match rejection {
        JsonRejection::MissingJsonContentType(_) => "send `Content-Type: application/json`",
        _ => "GET /api/v1/openapi.json describes what this route takes",
    };
    ApiError::new(ErrorCode::BadRequest, rejection.body_text(), hint)
}

/// The error for a body past its limit.
pub(super) fn too_large(limit_bytes: usize) -> ApiError {
    ApiError::new(
        ErrorCode::TooLarge,
        "the request's body is larger than this route takes",
        format!("send at most {limit_bytes} bytes"),
    )
}

/// The query of the URL.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Query(value)),
            Err(rejection) => Err(ApiError::new(
                ErrorCode::BadRequest,
                rejection.body_text(),
                "GET /api/v1/openapi.json names the parameters of this route",
            )),
        }
    }
}

/// The variable part of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(rejection) => Err(ApiError::new(
                ErrorCode::BadRequest,
                rejection.body_text(),
                "percent-encode the id in the path as UTF-8",
            )),
        }
    }
}
