//! Making torrents.

use super::shared::Shared;
use super::{CreateError, CreateOptions, Event, TorrentKind};
use crate::clock;
use althing_bittorrent::metainfo::{Builder, Format, Metainfo};
use althing_store::create::{Content, CreateError as StoreError, Hashing, Progress};
use althing_store::files::Location;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A new torrent.
#[derive(Clone, Debug)]
pub struct Created {
    /// What it is.
    pub metainfo: Metainfo,
    /// Where its data is: for [`AddOptions::in_place`](super::AddOptions::in_place).
    pub location: Location,
}

/// Makes a torrent; see [`Session::create`](super::Session::create).
pub(super) async fn create(
    shared: &Arc<Shared>,
    path: &Path,
    options: CreateOptions,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Created, CreateError> {
    let threads = shared.config.disk_threads();
    let (created, warnings) = make(path, options, threads, progress).await?;
    for warning in warnings {
        shared.emit(Event::Note { id: None, sentence: warning.into() });
    }
    Ok(created)
}

/// Makes a torrent from a file or folder without any session, on all cores. With it come sentences
/// about what was left out. `progress` is told how many bytes of how many have been hashed.
/// Dropping the future stops it.
///
/// # Errors
/// If the files cannot be read, or the options do not fit.
pub async fn make_torrent(
    path: &Path,
    options: CreateOptions,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<(Created, Vec<String>), CreateError> {
    make(path, options, Hashing::default().threads, progress).await
}

async fn make(
    path: &Path,
    options: CreateOptions,
    threads: usize,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<(Created, Vec<String>), CreateError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
    let cancelled = Arc::clone(&cancel.0);
    let name = path.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        let content = Content::find(&path)?;
        let plan = builder(&content, options).plan()?;
        let progress = |Progress { done, total }| progress(done, total);
        let how =
            Hashing { threads, cancel: &cancelled, progress: &progress, ..Hashing::default() };
        let created = content.hash(plan, &how)?;
        Ok::<_, StoreError>((created, content.warnings().to_vec()))
    });
    let (created, warnings) =
        hashing.await.map_err(|_| CreateError::Stopping)?.map_err(|error| match error {
            StoreError::Build(error) => CreateError::Build(error),
            StoreError::Cancelled => CreateError::Stopping,
            error => CreateError::Content { path: name, reason: error.to_string() },
        })?;
    Ok((Created { metainfo: created.metainfo, location: created.location }, warnings))
}

fn builder(content: &Content, options: CreateOptions) -> Builder {
    let mut builder = content.builder(options.name.as_deref());
    builder.format = match options.kind {
        TorrentKind::V1 => Format::V1,
        TorrentKind::V2 => Format::V2,
        TorrentKind::Hybrid => Format::Hybrid,
    };
    builder.piece_length = options.piece_bytes;
    builder.private = options.private;
    builder.source = options.source;
    builder.trackers = options.trackers;
    builder.web_seeds = options.web_seeds;
    builder.comment = options.comment;
    builder.created_by = Some(concat!("Althing ", env!("CARGO_PKG_VERSION")).to_owned());
    builder.creation_date = Some(clock::unix_now());
    builder
}

/// Stops hashing when nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
