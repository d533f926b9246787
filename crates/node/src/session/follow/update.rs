//! Following: adding a link, seeing whether there is a newer version, and putting it in the place of
//! the one before.

use super::super::add;
use super::super::dht::{self, DhtError};
use super::super::settings::change_settings;
use super::super::shared::{Entry, Shared};
use super::super::{
    AddError, AddOptions, AddSource, TorrentDetail, TorrentId, TorrentState, leave,
};
use super::schedule::Job;
use super::{UNNUMBERED, may_come, tell, versions};
use crate::clock;
use crate::limits::{FOLLOW_FIRST_RETRY, FOLLOW_FIRST_WITHIN, FOLLOWED_MAX, PUT_INTERVAL};
use crate::shard::Command;
use althing_base::Sha1Digest;
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::{Feed, FollowLink, Magnet, info_hash_in};
use althing_bittorrent::swarm::Direction;
use althing_dht::Goal;
use althing_dht::wire::{Item, Mutable};
use althing_store::records::{Followed, TorrentSettings};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Looks a link up, adds the version that it names, and follows it from then on.
pub(in crate::session) async fn add(
    shared: &Arc<Shared>,
    link: FollowLink,
    mut options: AddOptions,
) -> Result<TorrentId, AddError> {
    let known = versions(shared);
    if let Some((_, entry)) = known.get(&link.feed).and_then(|of_feed| of_feed.last()) {
        return Err(AddError::AlreadyHere { id: entry.id, name: entry.name() });
    }
    if known.len() >= FOLLOWED_MAX {
        return Err(AddError::FollowsTooMany { max: FOLLOWED_MAX });
    }
    let feed = link.feed.clone();
    let (magnet, seq) = match (first(shared, &feed).await, link.version) {
        (Ok((version, seq)), _) => (link.magnet(InfoHashes::v1_only(version)), seq),
        (Err(AddError::NothingPublished { .. }), Some(version)) => {
            (link.magnet(version), UNNUMBERED)
        }
        (Err(error), _) => return Err(error),
    };
    let followed = Followed { feed: feed.clone(), seq };
    options.settings.followed = Some(Box::new(followed.clone()));
    let added = match Box::pin(add::add(shared, AddSource::Magnet(magnet), options)).await {
        Err(AddError::AlreadyHere { id, name }) => {
            adopt(shared, id, followed).await?;
            Err(AddError::AlreadyHere { id, name })
        }
        other => other,
    };
    if seq != UNNUMBERED {
        shared.follow.looked(&feed, None, true);
        shared.follow.lock().schedule.begin(clock::now(), Job::LookUp(feed));
    }
    shared.follow.changed.notify_one();
    added
}

/// What is published now; asks again while nodes have yet to be met.
async fn first(shared: &Arc<Shared>, feed: &Feed) -> Result<(Sha1Digest, i64), AddError> {
    let began = clock::now();
    let mut why = "no node of the DHT has it".to_owned();
    let asking = async {
        loop {
            match newest(shared, feed).await {
                Ok(Some(item)) => return Ok(item),
                // Nodes that have just been met may not be all.
                Ok(None) => {}
                Err(error) if may_come(&error) => why = error.to_string(),
                Err(error) => return Err(AddError::NoDht { reason: error.to_string() }),
            }
            tokio::time::sleep(FOLLOW_FIRST_RETRY).await;
        }
    };
    let found = tokio::time::timeout(FOLLOW_FIRST_WITHIN, asking).await;
    tracing::debug!(took = ?clock::now().since(began), found = found.is_ok(), "looked up");
    let item = found.unwrap_or_else(|_| Err(AddError::NothingPublished { reason: why }))?;
    let version = info_hash_in(&item.value)?;
    Ok((version, item.seq))
}

async fn newest(shared: &Arc<Shared>, feed: &Feed) -> Result<Option<Mutable>, DhtError> {
    let goal = Goal::Mutable { key: feed.key, salt: feed.salt.clone().into() };
    let found = dht::search(shared, goal).await?;
    Ok(match found.item {
        Some(Item::Mutable(item)) => Some(item),
        _ => None,
    })
}

/// A torrent that is here already is a version of what is followed.
async fn adopt(shared: &Arc<Shared>, id: TorrentId, followed: Followed) -> Result<(), AddError> {
    let entry = shared.torrents.by_id(id).ok_or(AddError::Stopping)?;
    if entry.settings().followed.as_ref().is_some_and(|other| other.feed != followed.feed) {
        return Err(AddError::FollowsAnother { name: entry.name() });
    }
    let change = move |settings: &mut TorrentSettings| {
        settings.followed = Some(Box::new(followed));
    };
    change_settings(shared, id, change).await.map_err(|reason| AddError::Save { reason })
}

/// Sees whether there is a newer version of what is followed, and adds it; says whether it worked.
pub(super) async fn look_up(shared: &Arc<Shared>, feed: &Feed) -> bool {
    let item = match newest(shared, feed).await {
        Ok(item) => item,
        Err(error) => {
            shared.follow.looked(feed, Some(error.to_string()), false);
            return false;
        }
    };
    let Some(item) = item else {
        let gone = "no node of the DHT has it at present; who publishes it may be offline";
        shared.follow.looked(feed, Some(gone.to_owned()), true);
        return true;
    };
    let error = match (info_hash_in(&item.value), current(shared, feed)) {
        (Ok(version), Some((seq, entry))) if item.seq > seq => {
            update(shared, &entry, version, item.seq).await.err()
        }
        (Ok(_), _) => None,
        (Err(error), _) => Some(error.into()),
    };
    let worked = error.is_none();
    let sentence = error.map(|error: AddError| format!("the newest version is not added: {error}"));
    shared.follow.looked(feed, sentence, true);
    keep(shared, feed, item).await;
    worked
}

fn current(shared: &Shared, feed: &Feed) -> Option<(i64, Arc<Entry>)> {
    versions(shared).remove(feed)?.pop()
}

/// Puts an item again now and then, so that it stays while its publisher is offline (BEP 46).
async fn keep(shared: &Arc<Shared>, feed: &Feed, item: Mutable) {
    let now = clock::now();
    {
        let mut state = shared.follow.lock();
        let Some(looked) = state.looked.get_mut(feed) else { return };
        if looked.kept.is_some_and(|kept| now.since(kept) < PUT_INTERVAL) {
            return;
        }
        looked.kept = Some(now);
    }
    if let Err(error) = dht::put(shared, Item::Mutable(item), None).await {
        tracing::debug!(%error, "what is followed is not put again");
    }
}

/// Adds a newer version beside the one that is here, and lets it take that one's place.
async fn update(
    shared: &Arc<Shared>,
    old: &Arc<Entry>,
    version: Sha1Digest,
    seq: i64,
) -> Result<(), AddError> {
    let snapshot = old.snapshot();
    let Some(before) = old.settings().followed.as_deref().cloned() else { return Ok(()) };
    let followed = Followed { seq, ..before };
    let mut settings = TorrentSettings::clone(&old.settings());
    settings.followed = Some(Box::new(followed.clone()));
    // They name files and pieces of the old version by number.
    settings.priorities.clear();
    settings.pieces = Default::default();
    let detail = ask(shared, old, Command::Show).await;
    let trackers = |detail: TorrentDetail| detail.trackers.into_iter().map(|one| one.url);
    let options = AddOptions {
        save_dir: Some(snapshot.save_dir.clone()),
        paused: snapshot.state == TorrentState::Paused,
        trackers: detail.map(|detail| trackers(detail).collect()).unwrap_or_default(),
        // Whoever publishes it is likely among them, and who follows it as well.
        peers: listening(shared, old).await,
        settings,
        ..AddOptions::default()
    };
    let mut magnet = Magnet::new(InfoHashes::v1_only(version));
    magnet.name = Some(snapshot.name.clone());
    match Box::pin(add::add(shared, AddSource::Magnet(magnet), options)).await {
        Ok(id) => {
            let name = snapshot.name;
            tell(shared, Some(id), format!("there is a new version of {name}, number {seq}"));
            Ok(())
        }
        Err(AddError::AlreadyHere { id, .. }) => adopt(shared, id, followed).await,
        Err(error) => Err(error),
    }
}

/// Where the peers of a torrent listen, of those that we are connected to or were in the last run.
async fn listening(shared: &Shared, entry: &Entry) -> Vec<SocketAddr> {
    let peers = ask(shared, entry, Command::ShowPeers).await.unwrap_or_default().into_iter();
    let (records, id) = (shared.persist.records(), entry.id);
    let record = tokio::task::spawn_blocking(move || records?.record(id.0).ok()?).await;
    let before = record.ok().flatten().map(|record| record.peers).unwrap_or_default();
    let ours = |peer: &super::super::PeerSnapshot| {
        peer.direction == Direction::Outgoing && peer.transport.is_some()
    };
    peers.filter(ours).map(|peer| peer.addr).chain(before).collect()
}

async fn ask<T>(
    shared: &Shared,
    entry: &Entry,
    command: impl FnOnce(althing_router::TorrentKey, oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    shared.send(entry, command(entry.key, reply));
    answer.await.ok()
}

/// Takes versions out of the list that a newer one has replaced; says whether some wait for that. Their
/// files stay: the newer version has found what it needs in them, or they are not its own.
pub(super) async fn settle(
    shared: &Arc<Shared>,
    versions: &BTreeMap<Feed, Vec<(i64, Arc<Entry>)>>,
) -> bool {
    let mut waits = false;
    for of_feed in versions.values() {
        let Some(((_, newest), older)) = of_feed.split_last() else { continue };
        if older.is_empty() {
            continue;
        }
        let new = newest.snapshot();
        for (_, entry) in older {
            let old = entry.snapshot();
            // Two that use the same files must not, once it is known that they do. A link that never
            // became a torrent has none.
            let has_files = |torrent: &super::super::TorrentSnapshot| torrent.pieces > 0;
            let same = (&old.save_dir, &old.name) == (&new.save_dir, &new.name);
            if !has_files(&old) || (has_files(&new) && (same || new.completed.is_some())) {
                if let Err(error) = leave(shared, entry, false).await {
                    tell(shared, Some(old.id), format!("{} stays: {error}", old.name));
                }
                continue;
            }
            waits = true;
            // It would write into what the new version is about to look at.
            if old.completed.is_none() && old.state != TorrentState::Paused {
                let written = shared.persist.paused(old.id, true).await;
                shared.send(entry, Command::Pause(entry.key));
                if let Err(error) = written {
                    tell(shared, Some(old.id), format!("{} cannot rest: {error}", old.name));
                }
            }
        }
    }
    waits
}
