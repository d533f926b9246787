//! The course of a search: first our own shelf, then others, then how many have what was found.

use super::limits::{ASKED_WITHIN, COUNTED_AT_ONCE, COUNTED_MAX, COUNTED_WITHIN, INDEXED_MAX};
use super::{Answer, Find, FindKind, FindState, FindVia, Source, Told};
use crate::index::SEARCH_TIME;
use crate::overlay::Request;
use crate::session::dht;
use crate::session::shared::Shared;
use althing_dht::{Goal, NodeId};
use althing_index::{Query, What};
use althing_overlay::records::Body;
use althing_overlay::records::Record;
use althing_overlay::search::words::{Word, words_of};
use futures_util::StreamExt as _;
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::debug;

/// Looks through what is here; the rest goes on by itself.
pub(super) async fn start(shared: &Arc<Shared>, find: &Arc<Find>) {
    let Some(overlay) = shared.overlay.clone() else { return };
    let is_new = find.options().watch;
    if is_new {
        // Before the shelf is looked through, so that nothing falls between.
        overlay.say(Request::Watch(Arc::clone(find)));
    }
    // Only the index on disk knows what is written in documents.
    let looks = find.options().kind != FindKind::Pages;
    if looks && let Ok(records) = overlay.ask(Request::Records).await {
        let looked = Arc::clone(find);
        // A full shelf takes a while.
        let looking = tokio::task::spawn_blocking(move || look_through(records, &looked));
        drop(looking.await);
    }
    if let Some(index) = &shared.index {
        let what = match find.options().kind {
            FindKind::Any => What::Any,
            FindKind::Files => What::Files,
            FindKind::Pages => What::Pages,
        };
        let query = Query::new(&find.options().words).for_what(what).wanted(INDEXED_MAX);
        match index.search(query, SEARCH_TIME).await {
            Ok(found) => found.hits.into_iter().for_each(|hit| {
                find.tell(Told::Indexed(Box::new(hit)));
            }),
            Err(error) => debug!(%error, "the index is not searched"),
        }
    }
    let enough =
        find.options().via == FindVia::Auto && find.count() >= usize::from(find.options().wanted);
    let weak = Arc::downgrade(shared);
    let find = Arc::clone(find);
    tokio::spawn(async move {
        if !enough {
            let (done, asked) = oneshot::channel();
            overlay.say(Request::Find(Arc::clone(&find), done));
            // An error means that the overlay has ended.
            drop(tokio::time::timeout(ASKED_WITHIN, asked).await);
        }
        let counting = async {
            if let Some(shared) = weak.upgrade() {
                count(&shared, &find).await;
            }
        };
        drop(tokio::time::timeout(COUNTED_WITHIN, counting).await);
        let goes_on = find.options().watch && weak.upgrade().is_some();
        find.set(if goes_on { FindState::Watching } else { FindState::Ended });
    });
}

/// Nobody is asked any more.
pub(super) fn stop(shared: &Shared, id: u64) {
    if let Some(overlay) = &shared.overlay {
        overlay.say(Request::StopFinding(id));
    }
}

/// What of our own shelf has the words.
fn look_through(records: Vec<Record>, find: &Find) {
    for record in records.into_iter().filter(|record| has_words(record, find.words())) {
        let record = Box::new(record);
        let (source, page, peers) = (Source::Here, None, Vec::new());
        let (from, is_doubtful) = (None, false);
        find.tell(Told::Listing { record, source, page, peers, from, is_doubtful });
    }
}

/// Whether a record is a listing that has all of some words.
pub(crate) fn has_words(record: &Record, words: &[Word]) -> bool {
    let Body::Listing(listing) = record.body() else { return false };
    let has = words_of(&listing);
    words.iter().all(|word| has.binary_search(word).is_ok())
}

/// Finds out how many have the best answers: of torrents that are here from their swarms, of others in the
/// DHT (BEP 33), if there is one.
async fn count(shared: &Arc<Shared>, find: &Arc<Find>) {
    let best: Vec<Answer> = find.answers().into_iter().take(COUNTED_MAX).collect();
    let counting = best.into_iter().map(|answer| async move {
        let hashes = answer.info_hashes;
        let here = hashes.short_hashes().find_map(|hash| shared.torrents.by_hash(hash));
        let count = match here {
            Some(entry) => Some(entry.snapshot().seeds),
            None => {
                let name = NodeId::from(hashes.primary());
                let found = dht::search(shared, Goal::Scrape(name)).await.ok();
                found.and_then(|found| found.counted).map(|(seeds, _)| seeds)
            }
        };
        if let Some(count) = count {
            find.tell(Told::Seeders { info_hashes: hashes, count });
        }
    });
    let counting = futures_util::stream::iter(counting).buffer_unordered(COUNTED_AT_ONCE);
    counting.collect::<Vec<()>>().await;
}
