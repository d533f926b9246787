//! What went wrong, in one shape for every route.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorReply {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What happened, what it means and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what happened.
    pub message: String,
    /// For people: what to do about it.
    pub hint: String,
}

/// The kinds of failure that a program may want to tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request is not what this route takes.
    BadRequest,
    /// The token or password is missing or wrong.
    Unauthorized,
    /// The `Host` header names something other than this API (DNS rebinding).
    HostNotAllowed,
    /// A page of another origin asked.
    OriginNotAllowed,
    /// There is no such route.
    NoSuchRoute,
    /// The route is there, but not with this method.
    MethodNotAllowed,
    /// No torrent or job has this id.
    NotFound,
    /// Several torrents fit what was given as an id.
    Ambiguous,
    /// The torrent file, magnet link or info-hash is not valid; the message says where.
    InvalidTorrent,
    /// The request's body is larger than this route takes.
    TooLarge,
    /// Too many of these are under way.
    TooMany,
    /// It took too long.
    TimedOut,
    /// The URL could not be fetched.
    FetchFailed,
    /// A file or folder could not be read or written.
    Storage,
    /// It is blocked here; it can be had all the same if the request says so.
    Blocked,
    /// The torrent's state does not allow it (its metadata is not there yet, say).
    Conflict,
    /// The daemon is stopping.
    Stopping,
    /// Anything else; the message says what.
    Failed,
    /// A fault in Althing itself.
    Internal,
}
