//! The thread that changes the index: puts and takes out what it is told, commits now and then, and compares
//! with the shelf when something was lost.

use super::documents::{self, Job, Outcome};
use super::limits::{
    COMMIT_OWN_AFTER, COMMIT_SHELF_AFTER, DOCUMENTS_WAITING_MAX, RETRY_AFTER, TIDY_AFTER,
    TOLD_PER_TURN,
};
use super::shelf::{held, listing_of};
use super::{IndexStatus, Told};
use crate::clock;
use crate::overlay::Request;
use crate::session::shared::Shared;
use crate::session::{Event, TorrentState};
use althing_base::Instant;
use althing_base::machine::is_due;
use althing_index::{Held, Index, IndexError, Listing, Page, Source, torrent_key};
use althing_overlay::NodeId;
use althing_overlay::records::{Change, InfoHash, Record, Why};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// The index, and what should be in it.
pub(super) struct Keeper {
    index: Index,
    status: Arc<Mutex<IndexStatus>>,
    me: Option<NodeId>,
    /// What has just been replaced by what is said next.
    replaced: Option<Listing>,
    /// Whether documents are read.
    documents: bool,
    /// Torrents of ours that are listed.
    own: BTreeSet<InfoHash>,
    /// Those of them whose documents are to be looked for.
    unread: BTreeSet<InfoHash>,
    /// Documents that wait to be read, and the one that is being read.
    jobs: VecDeque<Job>,
    reading: bool,
    commit_at: Option<Instant>,
    tidy_at: Option<Instant>,
    /// When all is to be compared with the shelf: at the start, and some time after a write has failed.
    compare_at: Option<Instant>,
}

/// Runs until it is told to stop, or nobody is left who could tell it anything.
pub(super) async fn run(
    shared: Weak<Shared>,
    mut keeper: Keeper,
    mut told: mpsc::UnboundedReceiver<Told>,
    sender: mpsc::WeakUnboundedSender<Told>,
    waiting: Arc<AtomicUsize>,
) {
    let Some(strong) = shared.upgrade() else { return };
    let (mut events, documents) = (strong.events.subscribe(), strong.config.search.documents);
    let written_after = Duration::from_secs(strong.config.crawler.written_after_s.into());
    drop(strong);
    let (reader, jobs) = mpsc::channel(1);
    tokio::spawn(documents::run(Weak::clone(&shared), jobs, sender));
    keeper.reads(documents);
    let mut batch = Vec::with_capacity(TOLD_PER_TURN);
    loop {
        tokio::select! {
            event = events.recv() => {
                keeper.heard(&event, &shared);
            }
            count = told.recv_many(&mut batch, TOLD_PER_TURN) => if count == 0 {
                return keeper.end();
            },
            () = clock::sleep_until(keeper.deadline()) => {}
        }
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        for told in batch.drain(..) {
            match told {
                Told::Change(change) => keeper.change(*change),
                Told::Put(listing) => {
                    let put = keeper.index.put_listing(&listing);
                    keeper.done(put, written_after);
                }
                Told::Document(job, outcome) => {
                    // Nobody counts these.
                    waiting.fetch_add(1, Ordering::Relaxed);
                    keeper.document(&job, outcome);
                }
                Told::Stop(done) => {
                    keeper.end();
                    // Who asked may have given up waiting.
                    let _ = done.send(());
                    return;
                }
            }
        }
        if is_due(clock::now(), keeper.compare_at) {
            keeper.compare_at = None;
            if let Some(records) = records_of(&shared).await {
                keeper.compare(&records);
            }
        }
        keeper.look_for_documents(&shared).await;
        keeper.read_next(&reader);
        keeper.turn();
    }
}

/// All that is on the shelf, if there is one.
async fn records_of(shared: &Weak<Shared>) -> Option<Vec<Record>> {
    let shared = shared.upgrade()?;
    let asked = shared.overlay.as_ref()?.ask(Request::Records);
    drop(shared);
    asked.await.ok()
}

impl Keeper {
    pub(super) fn new(index: Index, status: Arc<Mutex<IndexStatus>>, me: Option<NodeId>) -> Self {
        Keeper {
            index,
            status,
            me,
            replaced: None,
            documents: true,
            own: BTreeSet::new(),
            unread: BTreeSet::new(),
            jobs: VecDeque::new(),
            reading: false,
            commit_at: None,
            tidy_at: None,
            compare_at: Some(clock::now()),
        }
    }

    /// When there is something to do.
    fn deadline(&self) -> Option<Instant> {
        [self.commit_at, self.tidy_at, self.compare_at].into_iter().flatten().min()
    }

    /// Does what is due.
    fn turn(&mut self) {
        let now = clock::now();
        if is_due(now, self.commit_at) || self.index.wants_commit() {
            self.commit();
        }
        if is_due(now, self.tidy_at) {
            self.tidy_at = None;
            if let Err(error) = self.index.tidy() {
                debug!(%error, "the index is not tidied");
            }
            self.show();
        }
    }

    /// Makes last what there is, and ends.
    fn end(mut self) {
        self.commit();
        // What is being put together in the background would be done again at the next start.
        drop(self.index);
    }

    fn commit(&mut self) {
        self.commit_at = None;
        match self.index.commit() {
            Ok(()) => {
                let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
                status.trouble = None;
            }
            Err(error) => self.failed(&error),
        }
        self.tidy_at = Some(clock::now() + TIDY_AFTER);
        self.show();
    }

    fn show(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.stats = self.index.stats();
        status.documents_waiting = self.jobs.len() as u64 + u64::from(self.reading);
    }

    /// Something was put or taken out, and is to last in this time.
    fn done(&mut self, result: Result<(), IndexError>, within: Duration) {
        match result {
            Ok(()) => {
                let at = clock::now() + within;
                self.commit_at = Some(self.commit_at.map_or(at, |before| before.min(at)));
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &IndexError) {
        if self.index.take_lost() {
            self.compare_at = Some(clock::now() + RETRY_AFTER);
        }
        let sentence = error.to_string();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.trouble.as_ref() != Some(&sentence) {
            warn!("{sentence}");
            status.trouble = Some(sentence);
        }
    }

    /// Hears what has changed on the shelf.
    fn change(&mut self, change: Change) {
        let replaced = self.replaced.take();
        match change {
            Change::Hold(record) => {
                let listing = listing_of(&record, self.me);
                let is_same = |old: &Listing| {
                    listing
                        .as_ref()
                        .is_some_and(|new| (new.hash, new.author) == (old.hash, old.author))
                };
                // What replaces it may be that it is taken back.
                if let Some(old) = replaced.filter(|old| !is_same(old)) {
                    self.remove(&old.hash, old.author, old.source);
                }
                if let Some(listing) = listing {
                    self.put(&listing);
                }
            }
            Change::Drop(record, why) => {
                let Some(listing) = listing_of(&record, self.me) else { return };
                match why {
                    // Its documents stay, if it is said anew.
                    Why::Replaced => self.replaced = Some(listing),
                    Why::Expired | Why::Evicted => {
                        self.remove(&listing.hash, listing.author, listing.source);
                    }
                }
            }
            Change::Remember(_) | Change::Forget(_) => {}
        }
    }

    fn put(&mut self, listing: &Listing) {
        let within = match listing.source {
            Source::Own => COMMIT_OWN_AFTER,
            _ => COMMIT_SHELF_AFTER,
        };
        let put = self.index.put_listing(listing);
        self.done(put, within);
        if listing.source == Source::Own {
            self.own.insert(listing.hash);
            self.unread.insert(listing.hash);
        }
    }

    fn remove(&mut self, hash: &InfoHash, author: Option<NodeId>, source: Source) {
        let removed = match source {
            // With its documents.
            Source::Own => {
                self.own.remove(hash);
                self.unread.remove(hash);
                self.jobs.retain(|job| job.hash != *hash);
                self.index.remove(hash, source)
            }
            _ => self.index.remove_listing(hash, source, author),
        };
        self.done(removed, COMMIT_OWN_AFTER);
    }

    /// Puts what is on the shelf and not in the index, and takes out what is in the index and no longer on the
    /// shelf.
    fn compare(&mut self, records: &[Record]) {
        for source in [Source::Own, Source::Shelf] {
            let there: BTreeSet<Held> = match self.index.listings(source) {
                Ok(listings) => listings.into_iter().collect(),
                Err(error) => return self.failed(&error),
            };
            let me = self.me;
            let listings = records.iter().filter_map(|record| listing_of(record, me));
            let wanted: Vec<Listing> =
                listings.filter(|listing| listing.source == source).collect();
            let names: BTreeSet<_> =
                wanted.iter().map(|listing| (listing.hash, listing.author)).collect();
            let gone = there.iter().filter(|held| !names.contains(&(held.hash, held.author)));
            for held in gone.copied().collect::<Vec<_>>() {
                self.remove(&held.hash, held.author, source);
            }
            for listing in wanted.iter().filter(|listing| !there.contains(&held(listing))) {
                self.put(listing);
            }
            if source == Source::Own {
                self.own.extend(wanted.iter().map(|listing| listing.hash));
                self.unread.clone_from(&self.own);
            }
        }
    }

    /// Whether documents are to be read. If not, what was read before goes.
    fn reads(&mut self, documents: bool) {
        self.documents = documents;
        if !documents && self.index.stats().passages > 0 {
            let removed = self.index.remove_pages();
            self.done(removed, COMMIT_OWN_AFTER);
        }
    }

    /// Hears what has happened in the session: a torrent that is complete now may be one of ours.
    fn heard(&mut self, event: &Result<Event, RecvError>, shared: &Weak<Shared>) {
        let id = match event {
            Ok(
                Event::Completed { id } | Event::StateChanged { id, state: TorrentState::Seeding },
            ) => *id,
            Err(RecvError::Lagged(_)) => return self.unread.clone_from(&self.own),
            _ => return,
        };
        if self.own.is_empty() {
            return;
        }
        let Some(entry) = shared.upgrade().and_then(|shared| shared.torrents.by_id(id)) else {
            return;
        };
        let hashes: Vec<_> =
            entry.snapshot().info_hashes.short_hashes().map(|hash| hash.0).collect();
        let is_it = |hash: &&InfoHash| hashes.contains(&torrent_key(hash));
        self.unread.extend(self.own.iter().filter(is_it).copied());
    }

    /// Looks for documents in torrents of ours.
    async fn look_for_documents(&mut self, shared: &Weak<Shared>) {
        if !self.documents {
            self.unread.clear();
        }
        while let Some(hash) = self.unread.pop_first() {
            let Some(shared) = shared.upgrade() else { return };
            let room = DOCUMENTS_WAITING_MAX.saturating_sub(self.jobs.len());
            let jobs = documents::jobs_of(&shared, &hash).await;
            self.jobs.retain(|job| job.hash != hash);
            let unread = jobs.into_iter().filter(|job| !self.index.holds_page(&hash, &job.path));
            self.jobs.extend(unread.take(room));
            self.show();
        }
    }

    /// Has the next document read, if none is.
    fn read_next(&mut self, reader: &mpsc::Sender<Job>) {
        if self.reading {
            return;
        }
        let Some(job) = self.jobs.pop_front() else { return };
        self.reading = reader.try_send(job).is_ok();
    }

    /// A document was read, or cannot be: then it is put without text, so that it is not read again.
    fn document(&mut self, job: &Job, outcome: Outcome) {
        self.reading = false;
        let document = match outcome {
            Outcome::Read(document) => document,
            Outcome::Unreadable(reason) => {
                debug!(path = job.path, reason, "a document cannot be read");
                Default::default()
            }
            Outcome::NotThere(reason) => {
                debug!(path = job.path, reason, "a document is not there");
                return self.show();
            }
        };
        // It may have been taken back meanwhile.
        if self.own.contains(&job.hash) {
            let page = Page {
                hash: job.hash,
                torrent: job.torrent.clone(),
                path: job.path.clone(),
                title: document.title,
                text: document.text,
                source: Source::Own,
            };
            let put = self.index.put_page(&page);
            self.done(put, COMMIT_OWN_AFTER);
        }
        self.show();
    }
}
