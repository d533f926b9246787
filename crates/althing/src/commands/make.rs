//! `create`: a torrent file of a file or folder, without any daemon.

use crate::cli::{Create, Format, Making};
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::api;
use althing_node::api::types::{CreateOptions, ErrorCode, Format as ApiFormat};
use althing_node::session::{self, CreateError, TorrentKind, make_torrent};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::sync::watch;

/// The path in full, if something is there.
pub(super) fn existing(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            format!("{} cannot be shared: {error}", text::escape(&path.to_string_lossy())),
            "check the path",
        )
    };
    let absolute = std::path::absolute(path).map_err(failed)?;
    std::fs::metadata(&absolute).map_err(failed)?;
    Ok(absolute)
}

/// Tiers of trackers, as `--tracker` gives them: a tier each time, equals joined by commas.
fn tiers(making: &Making) -> Vec<Vec<String>> {
    let tier = |urls: &String| urls.split(',').map(|url| url.trim().to_owned()).collect();
    making.trackers.iter().map(tier).collect()
}

/// The options as the API has them.
pub(super) fn api_options(making: &Making) -> CreateOptions {
    CreateOptions {
        name: making.name.clone(),
        format: match making.format {
            Format::Hybrid => ApiFormat::Hybrid,
            Format::V1 => ApiFormat::V1,
            Format::V2 => ApiFormat::V2,
        },
        piece_length_bytes: making.piece_length,
        trackers: tiers(making),
        web_seeds: making.web_seeds.clone(),
        private: making.private,
        comment: making.comment.clone(),
        source: making.source.clone(),
    }
}

/// The options as a session has them.
fn session_options(making: &Making) -> session::CreateOptions {
    session::CreateOptions {
        kind: match making.format {
            Format::Hybrid => TorrentKind::Hybrid,
            Format::V1 => TorrentKind::V1,
            Format::V2 => TorrentKind::V2,
        },
        name: making.name.clone(),
        piece_bytes: making.piece_length,
        trackers: tiers(making),
        web_seeds: making.web_seeds.clone(),
        private: making.private,
        comment: making.comment.clone(),
        source: making.source.clone(),
    }
}

pub(super) async fn create(
    args: Create,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let path = existing(&args.path)?;
    if let Some(output) = args.output.as_ref().filter(|output| output.exists()) {
        // Before hashing for an hour, not after.
        return Err(unwritable(output, &std::io::ErrorKind::AlreadyExists.into()));
    }
    let (sender, mut hashed) = watch::channel((0, 0));
    let options = session_options(&args.making);
    let making = make_torrent(&path, options, move |done, total| {
        sender.send_replace((done, total));
    });
    let mut making = pin!(making);
    let mut progress = Progress::new(screen, "hashing");
    let (created, warnings) = loop {
        tokio::select! {
            made = &mut making => break made.map_err(|error| refused(&error))?,
            Ok(()) = hashed.changed() => {
                let (done, total) = *hashed.borrow_and_update();
                progress.update(done, total, "");
            }
            () = signals.interrupted() => {
                return Err(Failure::interrupted("interrupted; nothing was written", ""));
            }
        }
    };
    progress.clear();
    warnings.iter().for_each(|warning| screen.note(&text::escape(warning)));
    let metainfo = created.metainfo;
    let output = args.output.unwrap_or_else(|| format!("{}.torrent", metainfo.name()).into());
    write_new(&output, &metainfo.to_torrent())?;
    screen.value(&api::inspect_torrent(&metainfo), false);
    screen.note(&format!(
        "{}: {} of {}",
        text::escape(metainfo.name()),
        units::counted(metainfo.piece_count().into(), "piece"),
        units::bytes(metainfo.piece_length().into()),
    ));
    screen.result(&text::escape(&output.to_string_lossy()));
    Ok(())
}

fn refused(error: &CreateError) -> Failure {
    let code = match error {
        CreateError::Build(_) => ErrorCode::BadRequest,
        _ => ErrorCode::Storage,
    };
    Failure::sentence(error).with_code(code)
}

/// Writes a file that was not there before.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| unwritable(path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let shown = text::escape(&path.to_string_lossy()).into_owned();
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(
            format!("{shown} is there already"),
            "nothing is overwritten: remove it first, or name another file with -o",
        ),
        _ => Failure::new(
            format!("{shown} cannot be written: {error}"),
            "name a file in a folder that is there and writable with -o",
        ),
    }
}
