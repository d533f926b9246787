//! The local index at work: one thread that puts into it what is on the overlay's shelf, what the crawler
//! meets and what stands in documents that the user has published; others search it from wherever they are.
//!
//! Nothing gets into it that is not shared: listings come from the overlay's shelf, where the user's own stand
//! because the user has published them, and documents are those of torrents that are listed there by the user. It
//! is open only while the overlay or the crawler is, so that whoever does without pays nothing for it.

mod documents;
mod limits;
mod shelf;
mod thread;

use crate::clock;
use crate::config::Config;
use crate::session::StartError;
use crate::session::shared::Shared;
use althing_index::{Bounds, Found, Index, IndexError, Listing, Query, Searcher, Stats};
use althing_overlay::NodeId;
use althing_overlay::records::Change;
use limits::{SEARCHES_MAX, WAITING_MAX};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::warn;

pub use documents::read_documents_with;
pub(crate) use limits::SEARCH_TIME;

/// What the thread is told.
enum Told {
    /// Something has changed on the overlay's shelf.
    Change(Box<Change>),
    /// Put this, or replace it.
    Put(Box<Listing>),
    /// A document was read, or cannot be.
    Document(Box<documents::Job>, documents::Outcome),
    /// End.
    Stop(oneshot::Sender<()>),
}

/// How the index stands.
#[derive(Clone, Debug, Default)]
pub struct IndexStatus {
    /// What is in it.
    pub stats: Stats,
    /// What is wrong, if its last change could not be written.
    pub trouble: Option<String>,
    /// Documents that wait to be read.
    pub documents_waiting: u64,
}

/// A question was not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// There is no index.
    #[error(
        "this peer has no index to search; set overlay.enabled = true and search.index = true in config.toml and \
         restart it"
    )]
    Off,
    /// Too many look at the same time.
    #[error("too many searches at once; try again in a moment")]
    Busy,
    /// The index does not work.
    #[error("{reason}")]
    Broken {
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// The index as others see it.
#[derive(Clone)]
pub(crate) struct Handle {
    told: mpsc::UnboundedSender<Told>,
    /// Things that wait in the queue.
    waiting: Arc<AtomicUsize>,
    searcher: Searcher,
    searches: Arc<Semaphore>,
    status: Arc<Mutex<IndexStatus>>,
}

impl Handle {
    /// Says what has changed on the overlay's shelf. What was there before is asked for.
    pub(crate) fn change(&self, change: &Change) {
        if matches!(change, Change::Hold(_) | Change::Drop(..)) {
            self.tell(Told::Change(Box::new(change.clone())));
        }
    }

    /// Puts a torrent that was met in the DHT. Says whether there was room in the queue; it is no harm to
    /// leave one out and come back to it.
    pub(crate) fn put(&self, listing: Listing) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= WAITING_MAX {
            return false;
        }
        self.tell(Told::Put(Box::new(listing)));
        true
    }

    /// How it stands.
    pub(crate) fn status(&self) -> IndexStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Searches it, on a thread for such things. Past the time it answers with what was found until then.
    ///
    /// # Errors
    /// Too many search at the same time, or the index does not work.
    pub(crate) async fn search(
        &self,
        query: Query,
        within: Duration,
    ) -> Result<Found, SearchError> {
        let place = Arc::clone(&self.searches).try_acquire_owned();
        let place = place.map_err(|_| SearchError::Busy)?;
        let searcher = self.searcher.clone();
        let until = clock::now() + within;
        let searching = tokio::task::spawn_blocking(move || {
            let _place = place;
            searcher.search(&query, &|| clock::now() >= until)
        });
        match searching.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(SearchError::Broken { reason: error.to_string() }),
            Err(error) => Err(SearchError::Broken { reason: error.to_string() }),
        }
    }

    /// Commits what there is, and ends the thread.
    pub(crate) fn stop(&self) -> oneshot::Receiver<()> {
        let (done, stopped) = oneshot::channel();
        self.tell(Told::Stop(done));
        stopped
    }

    /// The queue has no bound of its own: what comes from the shelf is bounded by what the shelf holds, and the
    /// crawler asks whether there is room.
    fn tell(&self, told: Told) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // An error means that the thread has ended.
        let _ = self.told.send(told);
    }
}

/// The thread before it runs.
pub(crate) struct Prepared {
    pub(crate) handle: Handle,
    told: mpsc::UnboundedReceiver<Told>,
    index: Index,
}

impl Prepared {
    /// Opens the index, if there is to be one. One that cannot be opened is done without, and said.
    pub(crate) fn open(config: &Config, path: &Path) -> Option<Prepared> {
        if !config.has_index() {
            return None;
        }
        let bounds = Bounds { disk_bytes: u64::from(config.search.index_mib) << 20 };
        match Self::open_index(path, bounds) {
            Ok(prepared) => Some(prepared),
            Err(error) => {
                warn!("nothing is indexed: {error}");
                None
            }
        }
    }

    fn open_index(path: &Path, bounds: Bounds) -> Result<Prepared, IndexError> {
        let index = Index::open(path, bounds)?;
        let (sender, told) = mpsc::unbounded_channel();
        let status = IndexStatus { stats: index.stats(), ..IndexStatus::default() };
        let handle = Handle {
            told: sender,
            waiting: Arc::default(),
            searcher: index.searcher(),
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            status: Arc::new(Mutex::new(status)),
        };
        Ok(Prepared { handle, told, index })
    }

    /// Starts the thread; `me` is who we are in the overlay.
    ///
    /// # Errors
    /// If the system has none for us.
    pub(crate) fn start(
        self,
        shared: Weak<Shared>,
        me: Option<NodeId>,
    ) -> Result<std::thread::JoinHandle<()>, StartError> {
        let thread_error = |error| StartError::Thread { error };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(thread_error)?;
        let Prepared { handle: Handle { told: sender, waiting, status, .. }, told, index } = self;
        // The sender is let go of, so that the thread ends with the session.
        let sender = sender.downgrade();
        let keeper = thread::Keeper::new(index, status, me);
        std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || runtime.block_on(thread::run(shared, keeper, told, sender, waiting)))
            .map_err(thread_error)
    }
}
