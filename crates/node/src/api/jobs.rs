//! Long work that a request starts and does not wait for: hashing a path, to seed it or to write a
//! torrent file.

use super::app::App;
use super::error::ApiError;
use super::limits::{JOBS_HASHING_MAX, JOBS_KEPT_MAX, JOBS_RUNNING_MAX};
use super::types::{ErrorCode, Job, JobKind, JobState, ListingRequest};
use crate::session::{AddError, AddOptions, AddSource, CreateOptions, Created};
use althing_store::records::TorrentSettings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// What a job is to do.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Make a torrent and seed it in place.
    Share {
        /// One piece at a time (BEP 16).
        super_seeding: bool,
        /// Publish it as the newest version of this (BEP 46).
        follow: Option<String>,
        /// Say in the overlay that we have it, with these words.
        listing: Option<ListingRequest>,
    },
    /// Write a torrent file here.
    Create(PathBuf),
}

/// The jobs under way, and the last ones that ended.
pub(super) struct Jobs {
    table: Mutex<Table>,
    /// Who may hash.
    hashing: Semaphore,
}

impl Default for Jobs {
    fn default() -> Self {
        Jobs { table: Mutex::default(), hashing: Semaphore::new(JOBS_HASHING_MAX) }
    }
}

#[derive(Default)]
struct Table {
    last_id: u64,
    jobs: BTreeMap<u64, Job>,
}

impl Jobs {
    pub(super) fn list(&self) -> Vec<Job> {
        self.lock().jobs.values().cloned().collect()
    }

    pub(super) fn find(&self, id: u64) -> Option<Job> {
        self.lock().jobs.get(&id).cloned()
    }

    fn begin(&self, kind: JobKind, path: &Path) -> Result<Job, ApiError> {
        let mut table = self.lock();
        let running = table.jobs.values().filter(|job| job.state == JobState::Running).count();
        if running >= JOBS_RUNNING_MAX {
            return Err(ApiError::new(
                ErrorCode::TooMany,
                format!("{running} paths are being hashed already"),
                "wait until one of them is done; more at once would only slow each other down",
            ));
        }
        table.last_id += 1;
        let job = Job {
            id: table.last_id,
            kind,
            path: path.to_string_lossy().into_owned(),
            state: JobState::Running,
            done_bytes: 0,
            total_bytes: 0,
            torrent: None,
            error: None,
        };
        table.jobs.insert(job.id, job.clone());
        while table.jobs.len() > JOBS_KEPT_MAX + JOBS_RUNNING_MAX {
            let oldest =
                table.jobs.values().find(|job| job.state != JobState::Running).map(|job| job.id);
            match oldest {
                Some(id) => table.jobs.remove(&id),
                None => break,
            };
        }
        Ok(job)
    }

    fn progress(&self, id: u64, done_bytes: u64, total_bytes: u64) {
        if let Some(job) = self.lock().jobs.get_mut(&id) {
            (job.done_bytes, job.total_bytes) = (done_bytes, total_bytes);
        }
    }

    fn end(&self, id: u64, result: Result<String, ApiError>) -> Option<Job> {
        let mut table = self.lock();
        let job = table.jobs.get_mut(&id)?;
        match result {
            Ok(torrent) => {
                job.state = JobState::Done;
                job.done_bytes = job.total_bytes;
                job.torrent = Some(torrent);
            }
            Err(error) => {
                job.state = JobState::Failed;
                job.error = Some(error.0);
            }
        }
        Some(job.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a job and answers with it as it begins.
pub(super) fn start(
    app: &App,
    path: PathBuf,
    options: CreateOptions,
    work: Work,
) -> Result<Job, ApiError> {
    let kind = match work {
        Work::Share { .. } => JobKind::Share,
        Work::Create(_) => JobKind::Create,
    };
    let job = app.jobs().begin(kind, &path)?;
    app.live().job_changed(&job);
    let app = app.clone();
    let id = job.id;
    tokio::spawn(async move {
        let result = run(&app, id, path, options, work).await;
        if let Some(job) = app.jobs().end(id, result) {
            app.live().job_changed(&job);
        }
    });
    Ok(job)
}

async fn run(
    app: &App,
    id: u64,
    path: PathBuf,
    options: CreateOptions,
    work: Work,
) -> Result<String, ApiError> {
    let progress = {
        let app = app.clone();
        move |done, total| app.jobs().progress(id, done, total)
    };
    let Created { metainfo, location } = {
        // It is never closed.
        let _turn = app.jobs().hashing.acquire().await.ok();
        app.session().create(&path, options, progress).await?
    };
    let torrent = metainfo.info_hashes().primary().to_string();
    match work {
        Work::Share { super_seeding, follow, listing } => {
            let options = AddOptions {
                in_place: Some(location),
                trusted: true,
                settings: TorrentSettings { super_seeding, ..TorrentSettings::default() },
                ..AddOptions::default()
            };
            let added = app.session().add(AddSource::Torrent(metainfo.to_torrent()), options).await;
            let id = match added {
                // Sharing the same files a second time changes nothing.
                Ok(id) | Err(AddError::AlreadyHere { id, .. }) => id,
                Err(error) => return Err(error.into()),
            };
            if let Some(what) = follow {
                app.session().publish(what, id).await?;
            }
            if let Some(ListingRequest { tags, about }) = listing {
                app.session().overlay_list(id, &tags, &about).await?;
            }
        }
        Work::Create(output) => write_new(output, metainfo.to_torrent()).await?,
    }
    Ok(torrent)
}

/// Writes a file that was not there before.
async fn write_new(path: PathBuf, bytes: Vec<u8>) -> Result<(), ApiError> {
    use std::io::Write as _;
    let target = path.clone();
    let written = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(target)?;
        file.write_all(&bytes)?;
        file.sync_all()
    });
    let error = match written.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(ApiError::new(
        ErrorCode::Storage,
        format!("cannot write {}: {error}", path.display()),
        "name another file, in a folder that is there and writable",
    ))
}
