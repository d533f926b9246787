//! Looking for something by words: what is on our own shelf is found at once and costs nothing, then the
//! overlay is asked.
//!
//! A [`Find`] is a search that has been started; whoever looks at it sees the answers so far. The last few
//! are kept when they have ended, so that an answer can be fetched by its number.

mod answers;
mod limits;
mod rank;
mod run;

pub use answers::{Answer, AnswerPage};
pub use limits::{FINDS_OPEN_MAX, WANTED_MAX};

use super::index::is_blocked;
use super::{OverlayError, Session};
use crate::blocks::Desk;
use crate::clock;
use althing_base::Instant;
use althing_overlay::search::words::{Word, words};
use answers::Answers;
pub(crate) use answers::{Source, Told};
pub(crate) use limits::ASKED_AGAIN;
use limits::{FINDS_KEPT_MAX, UNHEARD_MAX, WORDS_BYTES_MAX};
pub(crate) use run::has_words;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FindVia {
    /// Whoever is likely to know, by what is known of how rare the words are; nobody if enough is here.
    #[default]
    Auto,
    /// Neighbours, and on through them.
    Walk,
    /// Those whom the DHT names for the rarest word.
    Dht,
    /// Peers that index for others.
    Super,
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FindKind {
    /// Anything.
    #[default]
    Any,
    /// Files, by names, tags and descriptions.
    Files,
    /// Pages: what is written in documents.
    Pages,
}

/// What to look for, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FindOptions {
    /// Words that are all wanted.
    pub words: String,
    /// Who is asked.
    pub via: FindVia,
    /// What is looked for.
    pub kind: FindKind,
    /// After so many different answers nobody is asked any further, 1 to [`WANTED_MAX`].
    pub wanted: u8,
    /// Go on until it is stopped: what comes later is reported when it comes.
    pub watch: bool,
}

/// What a search has cost, as far as who asks knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FindCost {
    /// Messages that it has caused, ours and others'.
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Peers that were asked.
    pub peers: u64,
}

/// How far a search is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FindState {
    /// Others are being asked.
    Asking,
    /// Nobody is asked at present; what comes is reported, and now and then others are asked again.
    Watching,
    /// It is over.
    Ended,
}

/// Why nothing can be looked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Nobody can be asked.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// There is nothing to look for.
    #[error("there is no word in {0:?}; name one or more, of two letters or more")]
    NoWords(String),
    /// Too long to be meant.
    #[error("the words have {bytes} bytes; name a few words, {WORDS_BYTES_MAX} bytes at most")]
    TooLong {
        /// Bytes that were given.
        bytes: usize,
    },
    /// Too many searches are open.
    #[error("{FINDS_OPEN_MAX} searches are open already; stop one of them")]
    TooMany,
}

/// A search.
#[derive(Debug)]
pub struct Find {
    id: u64,
    options: FindOptions,
    /// The words, as others see them.
    words: Vec<Word>,
    started: Instant,
    state: Mutex<State>,
    /// Wakes who listens.
    changes: watch::Sender<()>,
    listeners: AtomicUsize,
    /// What is not to be shown, once it is known.
    blocks: OnceLock<Arc<Desk>>,
}

#[derive(Debug)]
struct State {
    answers: Answers,
    /// Grows with each change.
    version: u64,
    phase: FindState,
    cost: FindCost,
    /// When it was over, or last was.
    ended: Option<Instant>,
    /// Since when nobody listens.
    unheard: Instant,
}

/// A search as it is at a moment.
#[derive(Clone, Debug)]
pub struct FindSnapshot {
    /// By which it is known in this session.
    pub id: u64,
    /// What was asked for.
    pub options: FindOptions,
    /// How far it is.
    pub state: FindState,
    /// What it has cost so far.
    pub cost: FindCost,
    /// How long it took, or has taken so far.
    pub took: Duration,
    /// How long ago it was begun.
    pub age: Duration,
}

/// Somebody listens, for as long as this lives.
pub struct FindListener {
    find: Arc<Find>,
    changes: watch::Receiver<()>,
    /// The version up to which everything was told; none after the end.
    seen: Option<u64>,
}

impl Find {
    fn new(id: u64, options: FindOptions, words: Vec<Word>) -> Self {
        let now = clock::now();
        let state = State {
            answers: Answers::default(),
            version: 0,
            phase: FindState::Asking,
            cost: FindCost::default(),
            ended: None,
            unheard: now,
        };
        Find {
            id,
            options,
            words,
            started: now,
            state: Mutex::new(state),
            changes: watch::Sender::new(()),
            listeners: AtomicUsize::new(0),
            blocks: OnceLock::new(),
        }
    }

    /// By which it is known in this session.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is looked for.
    pub fn options(&self) -> &FindOptions {
        &self.options
    }

    pub(crate) fn words(&self) -> &[Word] {
        &self.words
    }

    /// How it stands, without its answers.
    pub fn snapshot(&self) -> FindSnapshot {
        self.snapshot_of(&self.lock())
    }

    fn snapshot_of(&self, state: &State) -> FindSnapshot {
        let now = clock::now();
        FindSnapshot {
            id: self.id,
            options: self.options.clone(),
            state: state.phase,
            cost: state.cost,
            took: state.ended.unwrap_or(now).since(self.started),
            age: now.since(self.started),
        }
    }

    /// The answers so far, the best first.
    pub fn answers(&self) -> Vec<Answer> {
        let mut answers = self.lock().answers.all().to_vec();
        rank::sort(&mut answers, &self.words);
        answers
    }

    /// The answer of a number; they count from 1 in the order in which they came.
    pub fn answer(&self, number: u32) -> Option<Answer> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.lock().answers.all().get(at).cloned()
    }

    /// Listens to what comes, from the first answer on.
    pub fn listen(self: &Arc<Self>) -> FindListener {
        self.listeners.fetch_add(1, Ordering::AcqRel);
        let mut changes = self.changes.subscribe();
        changes.mark_changed();
        FindListener { find: Arc::clone(self), changes, seen: Some(0) }
    }

    /// Takes what somebody says; whether it was new.
    pub(crate) fn tell(&self, told: Told) -> bool {
        if self.is_blocked(&told) {
            return false;
        }
        let mut state = self.lock();
        if state.phase == FindState::Ended {
            return false;
        }
        let version = state.version + 1;
        let is_news = state.answers.tell(told, version, clock::now().since(self.started));
        if is_news {
            state.version = version;
            self.changes.send_replace(());
        }
        is_news
    }

    /// Whether it is something that the user does not want to see.
    fn is_blocked(&self, told: &Told) -> bool {
        match (told, self.blocks.get()) {
            (Told::Listing { record, .. }, Some(desk)) => {
                desk.filter().judge_record(record).is_some()
            }
            (Told::Indexed(hit), Some(desk)) => is_blocked(&desk.filter(), hit),
            _ => false,
        }
    }

    /// How many answers there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().answers.all().len()
    }

    /// What asking others has cost, once more.
    pub(crate) fn spent(&self, cost: FindCost) {
        let mut state = self.lock();
        state.cost.messages = state.cost.messages.saturating_add(cost.messages);
        state.cost.bytes = state.cost.bytes.saturating_add(cost.bytes);
        state.cost.peers = state.cost.peers.saturating_add(cost.peers);
    }

    /// It goes over to another state; what is over stays so.
    pub(crate) fn set(&self, phase: FindState) {
        let mut state = self.lock();
        if state.phase == FindState::Ended || state.phase == phase {
            return;
        }
        state.phase = phase;
        if phase != FindState::Asking {
            state.ended = Some(clock::now());
        }
        state.version += 1;
        self.changes.send_replace(());
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().phase == FindState::Ended
    }

    /// Whether it goes on though nobody has listened for long.
    pub(crate) fn is_forgotten(&self, now: Instant) -> bool {
        self.listeners.load(Ordering::Acquire) == 0 && now.since(self.lock().unheard) >= UNHEARD_MAX
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FindListener {
    /// The answers that are new or have changed, in the order of their numbers, and how the search stands;
    /// `None` after it is over. Nothing is lost if this is dropped while it waits.
    pub async fn next(&mut self) -> Option<(Vec<Answer>, FindSnapshot)> {
        let seen = self.seen?;
        // The search itself is held, so that its sender is there.
        self.changes.changed().await.ok()?;
        let state = self.find.lock();
        let news = state.answers.since(seen);
        let snapshot = self.find.snapshot_of(&state);
        self.seen = (state.phase != FindState::Ended).then_some(state.version);
        drop(state);
        Some((news, snapshot))
    }
}

impl Drop for FindListener {
    fn drop(&mut self) {
        self.find.lock().unheard = clock::now();
        self.find.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The searches of a session: those that are open and the last ones that were.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    /// The newest last.
    finds: VecDeque<Arc<Find>>,
}

impl Finds {
    fn open(&self, options: FindOptions) -> Result<Arc<Find>, FindError> {
        if options.words.len() > WORDS_BYTES_MAX {
            return Err(FindError::TooLong { bytes: options.words.len() });
        }
        let mut found = words(&options.words);
        found.sort();
        found.dedup();
        if found.is_empty() {
            return Err(FindError::NoWords(options.words));
        }
        let now = clock::now();
        let mut inner = self.lock();
        let open = inner.finds.iter().filter(|find| !find.is_over()).count();
        if open >= FINDS_OPEN_MAX {
            // Somebody has gone without stopping it.
            let forgotten = inner
                .finds
                .iter()
                .find(|find| !find.is_over() && find.options.watch && find.is_forgotten(now));
            forgotten.ok_or(FindError::TooMany)?.set(FindState::Ended);
        }
        inner.last_id += 1;
        let options = FindOptions { wanted: options.wanted.clamp(1, WANTED_MAX), ..options };
        let find = Arc::new(Find::new(inner.last_id, options, found));
        inner.finds.push_back(Arc::clone(&find));
        while inner.finds.iter().filter(|find| find.is_over()).count() > FINDS_KEPT_MAX {
            let oldest = inner.finds.iter().position(|find| find.is_over());
            oldest.and_then(|at| inner.finds.remove(at));
        }
        Ok(find)
    }

    /// Nobody is asked any more, and nothing more comes.
    pub(in crate::session) fn end(&self) {
        self.all().iter().for_each(|find| find.set(FindState::Ended));
    }

    fn all(&self) -> Vec<Arc<Find>> {
        self.lock().finds.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Looks for something. What is on our own shelf has been looked through when this returns; what
    /// others say comes later.
    ///
    /// # Errors
    /// If this session takes no part in the overlay, there is no word, or too many searches are open.
    pub async fn find(&self, options: FindOptions) -> Result<Arc<Find>, FindError> {
        if self.overlay_handle()?.has_ended() {
            return Err(OverlayError::Stopping.into());
        }
        let find = self.shared.finds.open(options)?;
        // Nothing has been told yet.
        let _ = find.blocks.set(Arc::clone(&self.shared.blocks));
        run::start(&self.shared, &find).await;
        Ok(find)
    }

    /// The searches that are open, and the last ones that were, the newest last.
    pub fn finds(&self) -> Vec<Arc<Find>> {
        self.shared.finds.all()
    }

    /// A search by its number, or the last one.
    pub fn found(&self, id: Option<u64>) -> Option<Arc<Find>> {
        let finds = self.shared.finds.all();
        match id {
            Some(id) => finds.into_iter().find(|find| find.id == id),
            None => finds.into_iter().next_back(),
        }
    }

    /// Stops a search; its answers stay. False if there is none of that number.
    pub fn stop_finding(&self, id: u64) -> bool {
        let Some(find) = self.found(Some(id)) else { return false };
        find.set(FindState::Ended);
        run::stop(&self.shared, id);
        true
    }
}

#[cfg(test)]
mod tests;
