//! Torrents that change (BEP 46): links that are followed, and what is published here under a key.
//!
//! A torrent that is followed has in its settings of whom it is and the number of its version. When a
//! higher one shows up, the new version is added beside it, in the same folder, and the old one leaves
//! the list as soon as both would use the same files, or the new one is complete. All that is needed to
//! go on is in the torrents' records, whenever the process ends.

mod keys;
mod publish;
mod schedule;
mod update;

pub(super) use publish::publish;
pub(super) use update::add;

use super::dht::DhtError;
use super::shared::{Entry, Shared};
use super::{Event, Session, TorrentId};
use crate::clock;
use althing_base::{Instant, Seed};
use althing_bittorrent::metainfo::{Feed, FollowLink};
use keys::Publication;
use schedule::{Job, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};

/// What is followed and published.
pub(crate) struct Desk {
    state: Mutex<State>,
    /// There may be something to do.
    changed: Arc<Notify>,
}

struct State {
    schedule: Schedule,
    published: BTreeMap<Feed, Publication>,
    looked: BTreeMap<Feed, Looked>,
}

/// What the last look came to.
#[derive(Clone, Debug, Default)]
struct Looked {
    /// When there was an answer last.
    at: Option<Instant>,
    /// What is wrong.
    error: Option<String>,
    /// When the item was put again, so that it stays.
    kept: Option<Instant>,
}

/// How following a torrent goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowedStatus {
    /// Whom it is of, as a link.
    pub link: FollowLink,
    /// The number of this version; `None` until the DHT has named one.
    pub seq: Option<i64>,
    /// How long ago the DHT last answered in this run.
    pub looked_up: Option<Duration>,
    /// What is wrong, if something is.
    pub note: Option<String>,
}

/// How publishing a torrent goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedStatus {
    /// The link that others follow.
    pub link: FollowLink,
    /// The number of this version; `None` until it has one.
    pub seq: Option<i64>,
    /// How long ago nodes last took it in this run, and how many did.
    pub put: Option<(Duration, usize)>,
    /// What is wrong, if something is.
    pub note: Option<String>,
}

impl Desk {
    /// Reads what was published before from `folder`.
    pub(super) fn open(folder: &Path, seed: Seed) -> Self {
        let published = keys::read_all(folder).into_iter();
        let published = published.map(|one| (one.feed.clone(), one)).collect();
        let schedule = Schedule::new(seed);
        let state = State { schedule, published, looked: BTreeMap::new() };
        Desk { state: Mutex::new(state), changed: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong with a look, or nothing.
    fn looked(&self, feed: &Feed, error: Option<String>, answered: bool) {
        let mut state = self.lock();
        let looked = state.looked.entry(feed.clone()).or_default();
        looked.error = error;
        if answered {
            looked.at = Some(clock::now());
        }
    }
}

impl Session {
    /// How following a torrent goes, if it is of a link that is followed.
    pub fn followed(&self, id: TorrentId) -> Option<FollowedStatus> {
        let settings = self.shared.torrents.by_id(id)?.settings();
        let followed = settings.followed.as_deref()?;
        let looked = self.shared.follow.lock().looked.get(&followed.feed).cloned();
        let Looked { at, error, .. } = looked.unwrap_or_default();
        Some(FollowedStatus {
            link: FollowLink::new(followed.feed.clone()),
            seq: (followed.seq != UNNUMBERED).then_some(followed.seq),
            looked_up: at.map(|at| clock::now().since(at)),
            note: error,
        })
    }

    /// How publishing a torrent goes, if it is the newest version of something published here.
    pub fn published(&self, id: TorrentId) -> Option<PublishedStatus> {
        let entry = self.shared.torrents.by_id(id)?;
        let version = entry.snapshot().info_hashes.v1()?;
        let state = self.shared.follow.lock();
        let one = state.published.values().find(|one| one.version == version)?;
        Some(PublishedStatus {
            link: FollowLink { name: Some(entry.name()), ..FollowLink::new(one.feed.clone()) },
            seq: (one.seq > 0 && !one.pending).then_some(one.seq),
            put: one.put.map(|(when, nodes)| (clock::now().since(when), nodes)),
            note: one.error.clone(),
        })
    }
}

/// Stands for the number of a version that the DHT has not named: every other is higher.
const UNNUMBERED: i64 = i64::MIN;

/// The versions here of all that is followed, the oldest first.
fn versions(shared: &Shared) -> BTreeMap<Feed, Vec<(i64, Arc<Entry>)>> {
    let mut versions = BTreeMap::<Feed, Vec<_>>::new();
    for entry in shared.torrents.all() {
        if let Some(followed) = entry.settings().followed.as_deref() {
            let of_feed = versions.entry(followed.feed.clone()).or_default();
            of_feed.push((followed.seq, Arc::clone(&entry)));
        }
    }
    versions.values_mut().for_each(|of_feed| of_feed.sort_by_key(|(seq, _)| *seq));
    versions
}

/// Follows and publishes as long as the session runs; rests if there is nothing.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let events = strong.events.subscribe();
        let versions = versions(&strong);
        let replaced = update::settle(&strong, &versions).await;
        let now = clock::now();
        let due = {
            let mut state = strong.follow.lock();
            let looks = versions.keys().cloned().map(Job::LookUp);
            let puts = state.published.keys().cloned().map(Job::Publish);
            let jobs: BTreeSet<Job> = looks.chain(puts).collect();
            state.looked.retain(|feed, _| versions.contains_key(feed));
            state.schedule.set(now, if strong.has_dht() { jobs } else { BTreeSet::new() });
            state.schedule.due(now)
        };
        if let Some(job) = due {
            let worked = match &job {
                Job::LookUp(feed) => update::look_up(&strong, feed).await,
                Job::Publish(feed) => publish::put(&strong, feed).await,
            };
            strong.follow.lock().schedule.done(clock::now(), &job, worked);
            continue;
        }
        let next = strong.follow.lock().schedule.next();
        let changed = Arc::clone(&strong.follow.changed);
        drop(strong);
        tokio::select! {
            () = changed.notified() => {}
            () = until(next, now) => {}
            () = torrent_changed(events), if replaced => {}
        }
    }
}

async fn until(next: Option<Instant>, now: Instant) {
    match next {
        Some(next) => tokio::time::sleep(next.since(now).max(Duration::from_millis(1))).await,
        None => std::future::pending().await,
    }
}

/// Waits until something happens that an old version may have waited for.
async fn torrent_changed(mut events: broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(
                Event::MetadataReceived { .. } | Event::Completed { .. } | Event::Removed { .. },
            )
            | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Whether there may soon be an answer where there was none.
fn may_come(error: &DhtError) -> bool {
    matches!(error, DhtError::Alone | DhtError::Late)
}

fn tell(shared: &Shared, id: Option<TorrentId>, sentence: String) {
    tracing::info!("{sentence}");
    shared.emit(Event::Note { id, sentence: sentence.into() });
}
