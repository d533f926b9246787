//! What a handler answers when it cannot do what was asked: a status, and the one JSON shape.

use super::types::{ErrorBody, ErrorCode, ErrorReply};
use crate::session::{
    AddError, BlocksError, ChangeConfigError, CommandError, CreateError, DhtError, FindError,
    MailError, OverlayError, PublishError, SearchError,
};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// A request that failed. The status follows from the code, so that they cannot disagree.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}; {}", .0.message, .0.hint)]
pub struct ApiError(pub(super) ErrorBody);

impl ApiError {
    /// An error that says what happened and what to do about it.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError(ErrorBody { code, message: message.into(), hint: hint.into() })
    }

    /// The HTTP status of its code.
    pub fn status(&self) -> StatusCode {
        match self.0.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::HostNotAllowed | ErrorCode::OriginNotAllowed => StatusCode::FORBIDDEN,
            ErrorCode::NoSuchRoute | ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::Ambiguous | ErrorCode::Blocked | ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::InvalidTorrent => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::FetchFailed => StatusCode::BAD_GATEWAY,
            ErrorCode::TimedOut | ErrorCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Storage | ErrorCode::Failed | ErrorCode::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(ErrorReply { error: self.0 })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 15.5.2: a 401 names a scheme.
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl ApiError {
    /// An error whose sentence says what happened and, after its last semicolon, what to do.
    pub(super) fn sentence(
        code: ErrorCode,
        error: &dyn std::fmt::Display,
        default_hint: &str,
    ) -> Self {
        let sentence = error.to_string();
        match sentence.rsplit_once("; ") {
            Some((message, hint)) => ApiError::new(code, message, hint),
            None => ApiError::new(code, sentence, default_hint),
        }
    }
}

const STOPPING_HINT: &str = "start it again with `althing up`";
const INVALID_HINT: &str = "it cannot be used as it is; ask whoever made it for another";

impl From<DhtError> for ApiError {
    fn from(error: DhtError) -> Self {
        let code = match error {
            DhtError::Off(_) | DhtError::NotStored { .. } => ErrorCode::Conflict,
            DhtError::TooLong { .. } | DhtError::Signature => ErrorCode::BadRequest,
            DhtError::Alone | DhtError::Late => ErrorCode::TimedOut,
        };
        Self::sentence(code, &error, "GET /api/v1/dht says how it is")
    }
}

impl From<OverlayError> for ApiError {
    fn from(error: OverlayError) -> Self {
        let code = match error {
            OverlayError::Off => ErrorCode::Conflict,
            OverlayError::Record { .. } => ErrorCode::BadRequest,
            OverlayError::Stopping => {
                return Self::sentence(ErrorCode::Stopping, &error, STOPPING_HINT);
            }
        };
        Self::sentence(code, &error, "GET /api/v1/overlay says how it is")
    }
}

impl From<MailError> for ApiError {
    fn from(error: MailError) -> Self {
        let code = match error {
            MailError::Overlay(error) => return error.into(),
            MailError::Receiver { .. } | MailError::TooLong { .. } => ErrorCode::BadRequest,
            MailError::NoSuch { .. } => ErrorCode::NotFound,
            MailError::Several { .. } | MailError::Refused { .. } => ErrorCode::Conflict,
        };
        Self::sentence(code, &error, "GET /api/v1/mail lists all mail")
    }
}

impl From<FindError> for ApiError {
    fn from(error: FindError) -> Self {
        let code = match error {
            FindError::Overlay(error) => return error.into(),
            FindError::NoWords(_) | FindError::TooLong { .. } => ErrorCode::BadRequest,
            FindError::TooMany => ErrorCode::TooMany,
        };
        Self::sentence(code, &error, "GET /api/v1/find lists the searches")
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        let code = match error {
            SearchError::Off => ErrorCode::Conflict,
            SearchError::Busy => ErrorCode::TimedOut,
            SearchError::Broken { .. } => ErrorCode::Storage,
        };
        Self::sentence(code, &error, "GET /api/v1/index says how it is")
    }
}

impl From<BlocksError> for ApiError {
    fn from(error: BlocksError) -> Self {
        match error {
            BlocksError::Overlay(error) => error.into(),
            BlocksError::Storage { .. } => {
                Self::sentence(ErrorCode::Storage, &error, "mend it, then try again")
            }
        }
    }
}

impl From<AddError> for ApiError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Metainfo(_) => {
                Self::sentence(ErrorCode::InvalidTorrent, &error, INVALID_HINT)
            }
            AddError::AlreadyHere { .. } => {
                Self::sentence(ErrorCode::Conflict, &error, "use the one that is there")
            }
            AddError::Blocked { .. } => {
                Self::sentence(ErrorCode::Blocked, &error, "add it with `anyway`")
            }
            AddError::NotInPlace { .. } => {
                Self::sentence(ErrorCode::Storage, &error, "put the files back, then share again")
            }
            AddError::Save { .. } => {
                Self::sentence(ErrorCode::Storage, &error, "free some space, then add it again")
            }
            AddError::TooMany { .. } => {
                Self::sentence(ErrorCode::TooMany, &error, "remove some torrents")
            }
            AddError::FollowsTooMany { .. } => {
                Self::sentence(ErrorCode::TooMany, &error, "remove some torrents")
            }
            AddError::FollowsAnother { .. } | AddError::NoDht { .. } => {
                Self::sentence(ErrorCode::Conflict, &error, "GET /api/v1/dht says how the DHT is")
            }
            AddError::NothingPublished { .. } | AddError::Feed(_) => {
                Self::sentence(ErrorCode::FetchFailed, &error, INVALID_HINT)
            }
            AddError::Stopping => Self::sentence(ErrorCode::Stopping, &error, STOPPING_HINT),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let code = match error {
            PublishError::NoV1 | PublishError::Private => ErrorCode::BadRequest,
            PublishError::TooMany { .. } => ErrorCode::TooMany,
            PublishError::Store { .. } => ErrorCode::Storage,
            PublishError::Gone => ErrorCode::NotFound,
            PublishError::Entropy(_) => ErrorCode::Internal,
        };
        Self::sentence(code, &error, "share it again")
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Content { .. } => Self::sentence(
                ErrorCode::Storage,
                &error,
                "check that the path is right and that you may read it",
            ),
            CreateError::Build(_) => {
                Self::sentence(ErrorCode::InvalidTorrent, &error, "change the options")
            }
            CreateError::Stopping => Self::sentence(ErrorCode::Stopping, &error, STOPPING_HINT),
        }
    }
}

impl From<ChangeConfigError> for ApiError {
    fn from(error: ChangeConfigError) -> Self {
        let code = match error {
            ChangeConfigError::Unknown { .. } | ChangeConfigError::Value { .. } => {
                ErrorCode::BadRequest
            }
            ChangeConfigError::File { .. } => ErrorCode::Storage,
        };
        Self::sentence(code, &error, "docs/config.md lists every setting")
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let code = match error {
            CommandError::Unknown { .. } => ErrorCode::NotFound,
            CommandError::Ambiguous { .. } => ErrorCode::Ambiguous,
            CommandError::NoMetadata { .. } | CommandError::Busy { .. } => ErrorCode::Conflict,
            CommandError::NotLocated { .. } => ErrorCode::NotFound,
            CommandError::NoSuchFile { .. }
            | CommandError::NoSuchPieces { .. }
            | CommandError::TooManyRanges { .. }
            | CommandError::TooManyTags { .. } => ErrorCode::BadRequest,
            CommandError::Storage { .. } => ErrorCode::Storage,
            CommandError::Stopping => ErrorCode::Stopping,
        };
        let hint = match code {
            ErrorCode::Storage => "mend it, then try again",
            _ => STOPPING_HINT,
        };
        Self::sentence(code, &error, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_fall_into_what_happened_and_what_to_do() {
        let error = ApiError::from(CommandError::Unknown { given: "abcd".into() });
        assert_eq!(error.status(), StatusCode::NOT_FOUND);
        assert_eq!(error.0.message, "no torrent here is called abcd");
        assert_eq!(error.0.hint, "`althing ls` lists them");
        let stopping = ApiError::from(AddError::Stopping);
        assert_eq!(stopping.0.hint, STOPPING_HINT);
    }
}
