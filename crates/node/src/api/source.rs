//! What a request names as a torrent: a file's bytes, a magnet link, a bare info-hash, or an address
//! to fetch a file from.

use super::app::App;
use super::error::ApiError;
use super::limits::TORRENT_BYTES_MAX;
use super::types::ErrorCode;
use althing_bittorrent::metainfo::{FollowLink, Magnet, MagnetError, Metainfo};
use base64::Engine as _;

/// A torrent that a request named; it is valid.
pub(super) enum Source {
    /// A torrent file, and its bytes.
    Torrent(Box<Metainfo>, Vec<u8>),
    /// A magnet link.
    Magnet(Magnet),
    /// A link to what changes (BEP 46).
    Follow(FollowLink),
}

/// Reads whichever of the two the request has.
pub(super) async fn read(
    app: &App,
    link: Option<&str>,
    torrent: Option<&str>,
) -> Result<Source, ApiError> {
    match (link, torrent) {
        (Some(link), None) => from_link(app, link.trim()).await,
        (None, Some(base64)) => {
            let bytes =
                base64::engine::general_purpose::STANDARD.decode(base64).map_err(|error| {
                    ApiError::new(
                        ErrorCode::BadRequest,
                        format!("`torrent` is not base64: {error}"),
                        "encode the torrent file's bytes as RFC 4648 has it, with padding",
                    )
                })?;
            from_torrent(bytes)
        }
        _ => Err(ApiError::new(
            ErrorCode::BadRequest,
            "the request must name exactly one of `link` and `torrent`",
            "`link` is a magnet link, an address or an info-hash, `torrent` a file's bytes as base64",
        )),
    }
}

/// Reads the bytes of a torrent file.
pub(super) fn from_torrent(bytes: Vec<u8>) -> Result<Source, ApiError> {
    if bytes.len() > TORRENT_BYTES_MAX {
        return Err(super::extract::too_large(TORRENT_BYTES_MAX));
    }
    let metainfo = Metainfo::parse(&bytes).map_err(|error| invalid(&error))?;
    Ok(Source::Torrent(Box::new(metainfo), bytes))
}

async fn from_link(app: &App, link: &str) -> Result<Source, ApiError> {
    let scheme = link.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => {
            from_torrent(super::fetch::fetch(app.session().way(), link).await?)
        }
        Some("magnet") => match link.parse() {
            Err(MagnetError::KeyMissing) => {
                link.parse().map(Source::Magnet).map_err(|error| invalid(&error))
            }
            other => other.map(Source::Follow).map_err(|error| invalid(&error)),
        },
        Some(other) => Err(ApiError::new(
            ErrorCode::InvalidTorrent,
            format!("links that begin with {other:?} are not known here"),
            "use a magnet link, an http:// or https:// address, or an info-hash",
        )),
        None => Magnet::from_info_hash(link).map(Source::Magnet).map_err(|error| invalid(&error)),
    }
}

fn invalid(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::sentence(
        ErrorCode::InvalidTorrent,
        error,
        "it cannot be used as it is; ask whoever made it for another",
    )
}
