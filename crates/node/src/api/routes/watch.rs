//! Files as they come: for programs with the token, and for players with an address of their own.

use super::super::app::App;
use super::super::error::ApiError;
use super::super::extract::Path;
use super::super::limits::CONTENT_READS_MAX;
use super::super::range::{self, Wanted};
use super::super::types::{ErrorCode, ErrorReply, StreamInfo};
use crate::serve::stopped;
use crate::session::{FileReader, OpenFile, ReadError, TorrentChange, TorrentId, Viewer};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::FileIndex;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode, header};
use std::fmt::Write as _;
use std::ops::Range;
use tokio::sync::OwnedSemaphorePermit;

/// Where the addresses for players begin; they need no token of the API.
pub(in super::super) const STREAM_PREFIX: &str = "/stream/";

/// A file, as it comes
///
/// Works while it is being fetched: what is missing is waited for, and fetched before all else. One
/// range at a time; several are answered with everything (RFC 9110).
#[utoipa::path(get, path = "/torrents/{id}/files/{index}/content", tag = "torrents",
    params(
        ("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name"),
        ("index" = u32, Path, description = "The file's index in the torrent"),
        ("range" = Option<String>, Header, description = "as in `bytes=1000-`"),
    ),
    responses(
        (status = OK, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = PARTIAL_CONTENT, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = RANGE_NOT_SATISFIABLE, description = "the range begins past the end"),
        (status = "4XX", body = ErrorReply),
    ))]
pub(super) async fn content(
    State(app): State<App>,
    Path((id, index)): Path<(String, u32)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = app.session().resolve(&id)?;
    let open = app.session().open_file(id, FileIndex(index)).await?;
    if is_skipped(&app, id, open.index()) {
        return Err(ApiError::new(
            ErrorCode::Conflict,
            "this file is skipped, so that what is missing of it will not come",
            "give it another priority with PATCH /api/v1/torrents/{id}",
        ));
    }
    answer(&app, &open, &method, &headers, |range| open.read(range))
}

/// Open a file for a player
///
/// Answers with a path under which the file can be read without the token, by whoever knows it: as
/// unguessable as the token, good for this one file, until it is closed, was not read for hours, or
/// the daemon ends. A file that was skipped is fetched from now on. A viewer looks at one place at a
/// time: where it began to read last comes first.
#[utoipa::path(post, path = "/torrents/{id}/files/{index}/stream", tag = "torrents",
    params(
        ("id" = String, Path, description = "A torrent's id, an unambiguous beginning of it, or its name"),
        ("index" = u32, Path, description = "The file's index in the torrent"),
    ),
    responses((status = CREATED, body = StreamInfo), (status = "4XX", body = ErrorReply)))]
pub(super) async fn open(
    State(app): State<App>,
    Path((id, index)): Path<(String, u32)>,
) -> Result<(StatusCode, axum::Json<StreamInfo>), ApiError> {
    let id = app.session().resolve(&id)?;
    let open = app.session().open_file(id, FileIndex(index)).await?;
    if is_skipped(&app, id, open.index()) {
        let priorities = [(open.index(), Priority::Normal)].into();
        let change = TorrentChange { priorities, ..TorrentChange::default() };
        app.session().change(id, change).await?;
    }
    let (file, content_type) = (open.file(), content_type(open.file().path()));
    let (path, size_bytes) = (file.path().to_owned(), file.size());
    let name = escaped(path.rsplit('/').next().unwrap_or(&path));
    let token = app
        .watched()
        .open(Viewer::new(open))
        .map_err(|error| ApiError::sentence(ErrorCode::Failed, &error, "try again"))?;
    let info = StreamInfo {
        url_path: format!("{STREAM_PREFIX}{token}/{name}"),
        token,
        torrent: id.to_string(),
        file: path,
        size_bytes,
        content_type: content_type.to_owned(),
    };
    Ok((StatusCode::CREATED, axum::Json(info)))
}

/// Close a player's address
#[utoipa::path(delete, path = "/streams/{token}", tag = "torrents",
    params(("token" = String, Path, description = "what opening it answered")),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorReply)))]
pub(super) async fn close(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<StatusCode, ApiError> {
    if app.watched().close(&token) { Ok(StatusCode::NO_CONTENT) } else { Err(ended()) }
}

/// What players read. Not in the document: its address comes from [`open`].
pub(super) async fn stream(
    State(app): State<App>,
    Path((token, _name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewer = app.watched().find(&token).ok_or_else(ended)?;
    let open = viewer.file().clone();
    answer(&app, &open, &method, &headers, |range| viewer.read(range))
}

fn ended() -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        "this stream has ended",
        "open the file again, with `althing play` for instance",
    )
}

fn is_skipped(app: &App, id: TorrentId, file: FileIndex) -> bool {
    let settings = app.session().snapshot(id).map(|snapshot| snapshot.settings);
    settings.is_some_and(|settings| settings.priority(file) == Priority::Skip)
}

/// The answer to a request for a file or a part of it.
fn answer(
    app: &App,
    open: &OpenFile,
    method: &Method,
    headers: &HeaderMap,
    read: impl FnOnce(Range<u64>) -> FileReader,
) -> Result<Response, ApiError> {
    let size = open.file().size();
    let etag = format!("\"{}-{}\"", open.torrent(), open.index().0);
    let mut response = Response::builder()
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, &etag)
        .header(header::CONTENT_TYPE, content_type(open.file().path()));
    let range = match range::wanted(headers, size, &etag) {
        Wanted::All => 0..size,
        Wanted::Part(range) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            response =
                response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, shown);
            range
        }
        Wanted::Nothing => {
            response = response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{size}"));
            0..0
        }
    };
    let response = response.header(header::CONTENT_LENGTH, range.end - range.start);
    let body = if method == Method::HEAD || range.is_empty() {
        Body::empty()
    } else {
        let place = app.content_places().try_acquire_owned().map_err(|_| {
            ApiError::new(
                ErrorCode::TooMany,
                format!("{CONTENT_READS_MAX} files are being read already"),
                "close some players",
            )
        })?;
        body(app, read(range), place)
    };
    let response = response.body(body);
    // Numbers, hexadecimal digits and words of our own.
    Ok(response.expect("every header is plain text"))
}

/// The bytes as a reader gives them, and no faster than they are taken.
fn body(app: &App, reader: FileReader, place: OwnedSemaphorePermit) -> Body {
    let state = Some((reader, app.stop(), place));
    Body::from_stream(stream::unfold(state, async |state| {
        let (mut reader, mut stop, place) = state?;
        let next: Result<Option<Bytes>, ReadError> = tokio::select! {
            next = reader.next() => next,
            () = stopped(&mut stop) => Err(ReadError::Gone),
        };
        match next {
            Ok(None) => None,
            Ok(Some(data)) => Some((Ok(data), Some((reader, stop, place)))),
            Err(error) => {
                tracing::debug!(%error, "a file could not be read to its end");
                Some((Err(error), None))
            }
        }
    }))
}

/// A file's name as a part of a path.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    escaped
}

/// What a file is, by its name. Nothing that a browser would run: a torrent is a stranger's.
fn content_type(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "mp4" | "m4v" => "video/mp4",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "mov" => "video/quicktime",
        "mpg" | "mpeg" => "video/mpeg",
        "ts" | "m2ts" | "mts" => "video/mp2t",
        "ogv" => "video/ogg",
        "wmv" => "video/x-ms-wmv",
        "flv" => "video/x-flv",
        "mp3" => "audio/mpeg",
        "m4a" | "m4b" => "audio/mp4",
        "flac" => "audio/flac",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "aac" => "audio/aac",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "srt" => "application/x-subrip",
        "vtt" => "text/vtt",
        "pdf" => "application/pdf",
        "txt" | "nfo" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_part_of_the_path() {
        assert_eq!(escaped("a b/ü?.mkv"), "a%20b%2F%C3%BC%3F.mkv");
        assert_eq!(content_type("a/b.MKV"), "video/x-matroska");
        for plain in ["a.html", "a.svg", "a.js", "mp4", ".x"] {
            assert_eq!(content_type(plain), "application/octet-stream", "{plain}");
        }
    }
}
