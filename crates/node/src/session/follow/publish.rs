//! Publishing: the newest version of what a user shares, under a key of its own, put into the DHT
//! again and again, with a higher number when it has changed.

use super::super::dht;
use super::super::error::PublishError;
use super::super::shared::Shared;
use super::super::{TorrentId, leave};
use super::keys::Publication;
use super::schedule::Job;
use super::tell;
use crate::clock;
use crate::limits::PUBLISHED_MAX;
use althing_base::Sha1Digest;
use althing_bittorrent::metainfo::{Feed, info_hash_in, item_of};
use althing_dht::Goal;
use althing_dht::wire::{Item, Mutable};
use std::sync::Arc;

/// Publishes a torrent as the newest version of `what`, under the key that this has or a new one. The
/// version before leaves the list; no file is touched. That it will be published is durable when this
/// returns.
pub(in crate::session) async fn publish(
    shared: &Arc<Shared>,
    what: String,
    id: TorrentId,
) -> Result<(), PublishError> {
    let entry = shared.torrents.by_id(id).ok_or(PublishError::Gone)?;
    let snapshot = entry.snapshot();
    // An item has room for a short hash, and whoever has no more than the start of a v2 hash
    // cannot tell whether an info dictionary is right.
    let version = snapshot.info_hashes.v1().ok_or(PublishError::NoV1)?;
    if snapshot.private {
        return Err(PublishError::Private);
    }
    let (known, count) = {
        let state = shared.follow.lock();
        let known = state.published.values().find(|one| one.what == what).cloned();
        (known, state.published.len())
    };
    let mut one = match known {
        Some(one) => one,
        None if count >= PUBLISHED_MAX => {
            return Err(PublishError::TooMany { max: PUBLISHED_MAX });
        }
        None => Publication::new(what, version)?,
    };
    let before = std::mem::replace(&mut one.version, version);
    if before != version {
        (one.pending, one.put) = (true, None);
    }
    store(shared, &one).await?;
    if before != version
        && let Some(old) = shared.torrents.by_hash(before).filter(|old| old.id != id)
        && let Err(error) = leave(shared, &old, false).await
    {
        tell(shared, Some(old.id), format!("{} cannot leave the list: {error}", old.name()));
    }
    let job = Job::Publish(one.feed.clone());
    let mut state = shared.follow.lock();
    state.published.insert(one.feed.clone(), one);
    state.schedule.hurry(clock::now(), job);
    drop(state);
    shared.follow.changed.notify_one();
    Ok(())
}

async fn store(shared: &Shared, one: &Publication) -> Result<(), PublishError> {
    let (folder, one) = (shared.paths.follow(), one.clone());
    let written = tokio::task::spawn_blocking(move || one.write(&folder)).await;
    let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    written.map_err(|error| PublishError::Store { reason: error.to_string() })
}

/// Puts what is published under `feed`; says whether it worked.
pub(super) async fn put(shared: &Arc<Shared>, feed: &Feed) -> bool {
    let Some(one) = shared.follow.lock().published.get(feed).cloned() else { return true };
    let before = one.version;
    let result = try_put(shared, one).await;
    let mut state = shared.follow.lock();
    let Some(one) = state.published.get_mut(feed) else { return true };
    match result {
        Ok((seq, nodes)) => {
            tracing::info!(what = %one.what, seq, nodes, "published");
            one.put = Some((clock::now(), nodes));
            one.error = None;
            // It may have been shared anew meanwhile.
            one.version == before
        }
        Err(error) => {
            tracing::debug!(what = %one.what, error, "not published");
            one.error = Some(error);
            false
        }
    }
}

/// The number it is published with, and how many nodes took it.
async fn try_put(shared: &Arc<Shared>, mut one: Publication) -> Result<(i64, usize), String> {
    let value = item_of(one.version);
    let Feed { key, salt } = one.feed.clone();
    let goal = Goal::Mutable { key, salt: salt.into() };
    let found = dht::search(shared, goal).await.map_err(|error| error.to_string())?;
    let theirs = match found.item {
        Some(Item::Mutable(theirs)) => Some(theirs),
        _ => None,
    };
    let Numbered { seq, cas } =
        number(one.version, one.seq, one.pending, theirs.as_ref()).ok_or_else(|| {
            "somebody else who has the key publishes something newer under it; share it here again to \
             publish this instead"
                .to_owned()
        })?;
    if (seq, false) != (one.seq, one.pending) {
        (one.seq, one.pending) = (seq, false);
        store(shared, &one).await.map_err(|error| error.to_string())?;
        if let Some(kept) = shared.follow.lock().published.get_mut(&one.feed)
            && kept.version == one.version
        {
            (kept.seq, kept.pending) = (seq, false);
        }
    }
    let item = Item::Mutable(one.sign(value));
    let nodes = dht::put(shared, item, cas).await.map_err(|error| error.to_string())?;
    Ok((seq, nodes))
}

/// What an item is put with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Numbered {
    seq: i64,
    /// Only where this number is.
    cas: Option<i64>,
}

/// The number for a version that was last published with `seq`, or is to have a higher one; `None` if
/// another newer version is published.
fn number(
    version: Sha1Digest,
    seq: i64,
    pending: bool,
    theirs: Option<&Mutable>,
) -> Option<Numbered> {
    let Some(theirs) = theirs else {
        let seq = if pending { seq.saturating_add(1) } else { seq };
        return Some(Numbered { seq, cas: None });
    };
    let same = info_hash_in(&theirs.value) == Ok(version);
    if same && theirs.seq > seq {
        return Some(Numbered { seq: theirs.seq, cas: None });
    }
    if pending {
        let seq = seq.max(theirs.seq).saturating_add(1);
        return Some(Numbered { seq, cas: Some(theirs.seq) });
    }
    (theirs.seq <= seq).then_some(Numbered { seq, cas: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Sha1Digest = Sha1Digest([1; 20]);
    const OTHER: Sha1Digest = Sha1Digest([2; 20]);

    fn check(
        seq: i64,
        pending: bool,
        theirs: Option<(i64, Sha1Digest)>,
        expected: Option<(i64, Option<i64>)>,
    ) {
        let theirs = theirs.map(|(seq, version)| {
            Mutable::sign(&[7; 32], Default::default(), seq, item_of(version).into())
        });
        let numbered = number(OURS, seq, pending, theirs.as_ref());
        assert_eq!(numbered, expected.map(|(seq, cas)| Numbered { seq, cas }));
    }

    #[test]
    fn a_new_version_has_a_higher_number_than_any_before() {
        check(0, true, None, Some((1, None)));
        check(4, true, None, Some((5, None)));
        check(4, true, Some((4, OTHER)), Some((5, Some(4))));
        check(4, true, Some((9, OTHER)), Some((10, Some(9))));
        check(4, true, Some((3, OTHER)), Some((5, Some(3))));
        // It got there, and we ended before we knew.
        check(4, true, Some((5, OURS)), Some((5, None)));
        // Back to what was there before.
        check(4, true, Some((4, OURS)), Some((5, Some(4))));
    }

    #[test]
    fn the_same_version_keeps_its_number_and_gives_way_to_a_newer() {
        check(4, false, None, Some((4, None)));
        check(4, false, Some((4, OURS)), Some((4, None)));
        check(4, false, Some((3, OTHER)), Some((4, None)));
        check(4, false, Some((6, OURS)), Some((6, None)));
        check(4, false, Some((5, OTHER)), None);
    }
}
