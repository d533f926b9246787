//! What users say of what they do not want to carry, and of whose judgement they follow.

use super::shared::{Entry as Torrent, Shared};
use super::{Event, OverlayError, Session};
use crate::blocks::{BlockReason, Follow, KnownList, ListName, is_followed, known_lists};
use crate::entropy;
use crate::overlay::Request;
use althing_base::UnixTime;
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::Metainfo;
use althing_overlay::NodeId;
use althing_overlay::blocks::{By, Entry, Filter, Subject, Verdict};
use althing_overlay::limits::{BLOCK_LIST_PARTS_MAX, LIFETIME_MAX_S};
use althing_overlay::records::{BlockList, Blocks, Body, Draft, Key, Kind, Record, Salt, Standing};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// How often lists that have changed are written to disk. What is lost in between, the shelf still has.
const SAVED_EVERY: Duration = Duration::from_secs(30);

/// What is blocked, and by whom.
#[derive(Clone, Debug)]
pub struct BlocksStatus {
    /// The user's own entries, with reasons.
    pub own: BTreeMap<Entry, BlockReason>,
    /// Whose lists count.
    pub follows: Vec<Follow>,
    /// These lists, as far as they are known.
    pub lists: Vec<KnownList>,
    /// The names under which the own entries are published.
    pub published: Vec<ListName>,
}

/// Why something cannot be blocked, or a list not be followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlocksError {
    /// It cannot be written down, or there is too much of it.
    #[error("{reason}")]
    Storage {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The overlay does not do it.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
}

fn storage(reason: String) -> BlocksError {
    BlocksError::Storage { reason }
}

impl Session {
    /// What is blocked here, and by whom.
    pub fn blocks(&self) -> BlocksStatus {
        let desk = &self.shared.blocks;
        BlocksStatus {
            own: desk.own(),
            follows: desk.follows().into_iter().collect(),
            lists: desk.lists(),
            published: desk.published(),
        }
    }

    /// What is blocked here, to judge by.
    pub fn block_filter(&self) -> Arc<Filter> {
        self.shared.blocks.filter()
    }

    /// Tells when [`block_filter`](Self::block_filter) says something else than before.
    pub fn block_changes(&self) -> watch::Receiver<u64> {
        self.shared.blocks.changes()
    }

    /// Blocks something from now on; says whether it was not blocked before. It is durable when this
    /// returns.
    ///
    /// # Errors
    /// If it cannot be written down, or there is too much.
    pub fn block(&self, entry: Entry, reason: BlockReason) -> Result<bool, BlocksError> {
        self.shared.blocks.add(entry, reason).map_err(storage)
    }

    /// Blocks something no longer; says whether it was blocked.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn unblock(&self, entry: &Entry) -> Result<bool, BlocksError> {
        self.shared.blocks.remove(entry).map_err(storage)
    }

    /// Lets lists of an author count from now on; says whether they did not. Those that are held already
    /// count at once.
    ///
    /// # Errors
    /// If it cannot be written down, they are too many, or this session takes no part in the overlay,
    /// where lists come from.
    pub async fn subscribe_blocks(&self, follow: Follow) -> Result<bool, BlocksError> {
        let overlay = self.overlay_handle()?;
        let author = follow.author;
        let is_new = self.shared.blocks.follow(follow).map_err(storage)?;
        overlay.say(Request::Regard(author, Standing::Known));
        heed_all(&self.shared, &self.overlay_records().await?).await;
        Ok(is_new)
    }

    /// Lets lists of an author count no longer; says whether they did.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub async fn unsubscribe_blocks(&self, follow: &Follow) -> Result<bool, BlocksError> {
        let desk = &self.shared.blocks;
        let did = desk.unfollow(follow).map_err(storage)?;
        if let Some(overlay) = self.shared.overlay.as_ref()
            && !desk.follows_any_of(&follow.author)
        {
            overlay.say(Request::Regard(follow.author, Standing::Stranger));
        }
        save(&self.shared).await;
        Ok(did)
    }

    /// All lists that others publish, as far as they have come here.
    ///
    /// # Errors
    /// If this session takes no part in the overlay.
    pub async fn block_lists(&self) -> Result<Vec<KnownList>, BlocksError> {
        let records = self.overlay_records().await?;
        let follows = self.shared.blocks.follows();
        let mut lists = known_lists(&records, |_, _| true);
        for list in &mut lists {
            list.followed = is_followed(&follows, &list.author, &list.name);
        }
        Ok(lists)
    }

    /// Publishes the user's own entries, with their reasons, as a list that others can follow, in place of what
    /// it was before; renewed as long as this session runs now and then. Returns the records of it when the first is out; the
    /// others follow, a second or so of work each.
    ///
    /// # Errors
    /// As [`overlay_publish`](Self::overlay_publish), or if it cannot be written down.
    pub async fn publish_blocks(&self, name: &ListName) -> Result<usize, BlocksError> {
        self.overlay_handle()?;
        let refused = |reason: String| OverlayError::Record { reason };
        let fresh = entropy::seed().map_err(|error| refused(error.to_string()))?;
        let fresh = Salt(*fresh.0.first_chunk().expect("a seed is longer"));
        let own = self.shared.blocks.own();
        // Before it is published it is known that it can be, and with which salt.
        BlockList::parts(name, fresh, own.clone().into_iter())
            .map_err(|error| refused(format!("the list: {error}")))?;
        let salt = self.shared.blocks.publish(name, fresh).map_err(storage)?;
        let parts = BlockList::parts(name, salt, own.into_iter());
        let parts = parts.map_err(|error| refused(error.to_string()))?;
        let count = parts.len();
        let drafts = parts.into_iter();
        let drafts = drafts.map(|part| Draft::block_list(part, UnixTime(0), LIFETIME_MAX_S));
        let mut drafts: Vec<Draft> = drafts.collect();
        drafts.extend(self.withdrawals(name, count).await?);
        self.publish_drafts(drafts).await?;
        Ok(count)
    }

    /// Takes a list of ours back; says whether it was published.
    ///
    /// # Errors
    /// As [`overlay_publish`](Self::overlay_publish), or if it cannot be written down.
    pub async fn unpublish_blocks(&self, name: &ListName) -> Result<bool, BlocksError> {
        let drafts = self.withdrawals(name, 0).await?;
        let did = self.shared.blocks.unpublish(name).map_err(storage)? || !drafts.is_empty();
        self.publish_drafts(drafts).await?;
        Ok(did)
    }

    /// What takes back the parts of a list of ours from one on.
    async fn withdrawals(&self, name: &ListName, from: usize) -> Result<Vec<Draft>, BlocksError> {
        let author = self.overlay().await?.node;
        let held = self.overlay_records().await?;
        let parts = (from..BLOCK_LIST_PARTS_MAX).map(|part| {
            let slot = BlockList::slot_of(name, part as u8);
            Key { author, kind: Kind::BLOCK_LIST, slot }
        });
        let is_there =
            |key: &Key| held.iter().any(|record| record.key() == *key && !record.is_withdrawal());
        let created = UnixTime(0);
        let expires = UnixTime(LIFETIME_MAX_S);
        let draft = |Key { kind, slot, .. }| Draft {
            kind,
            slot,
            seq: 0,
            created,
            expires,
            body: Body::Withdrawn,
        };
        Ok(parts.filter(is_there).map(draft).collect())
    }

    /// Publishes the first, and the others in the background.
    async fn publish_drafts(&self, drafts: Vec<Draft>) -> Result<(), BlocksError> {
        let mut drafts = drafts.into_iter();
        if let Some(first) = drafts.next() {
            self.overlay_publish(first).await?;
        }
        if drafts.len() > 0 {
            let session = self.clone();
            tokio::spawn(async move {
                for draft in drafts {
                    if let Err(error) = session.overlay_publish(draft).await {
                        let sentence = format!("not all of the block list is published: {error}");
                        warn!("{sentence}");
                        let event = Event::Note { id: None, sentence: sentence.into() };
                        return session.shared.emit(event);
                    }
                }
                info!("all of the block list is published");
            });
        }
        Ok(())
    }
}

/// Why a torrent is blocked, if it is: "your own entry for a word", say.
pub(crate) fn why(filter: &Filter, hashes: InfoHashes, name: &str) -> Option<String> {
    if filter.is_empty() {
        return None;
    }
    let subject = hashes.short_hashes().fold(Subject::new(), Subject::hash);
    filter.judge(&subject.text(name)).map(|verdict| sentence(&verdict))
}

/// Whose entry it is, in words.
pub(crate) fn sentence(verdict: &Verdict) -> String {
    let what = match verdict.blocks {
        Blocks::Torrent => "this torrent",
        Blocks::Words(1) => "a word in its name",
        Blocks::Words(_) => "words in its name",
        Blocks::Author => "its author",
    };
    let whose = match &verdict.by {
        By::Own => format!("your own entry for {what}"),
        By::List { author, name } => {
            let author = author.to_string();
            let author = author.get(..8).unwrap_or_default();
            format!("the list {name:?} of {author}… for {what}")
        }
    };
    match verdict.reason.as_str() {
        "" => whose,
        reason => format!("{whose} ({reason})"),
    }
}

/// A magnet link's name has become known: whether the torrent has to rest because it is blocked. If so that
/// is written down, and said.
pub(crate) fn has_to_rest(shared: &Shared, torrent: &Torrent, metainfo: &Metainfo) -> bool {
    if torrent.is_hidden() || torrent.anyway.load(Ordering::Relaxed) {
        return false;
    }
    let name = metainfo.name();
    let Some(why) = why(&shared.blocks.filter(), metainfo.info_hashes(), name) else {
        return false;
    };
    let id = torrent.id;
    shared.persist.rests(id);
    let sentence = format!(
        "{name} rests: it is blocked by {why}; `althing resume` lets it go on, `althing remove` takes it \
         out of the list"
    );
    info!(torrent = %id, "{sentence}");
    shared.emit(Event::Note { id: Some(id), sentence: sentence.into() });
    true
}

/// Takes up what the shelf has of lists that are followed, and writes down what comes later.
pub(super) async fn follow_lists(shared: Weak<Shared>) {
    if let Some(shared) = shared.upgrade()
        && let Some(overlay) = &shared.overlay
        && !shared.blocks.authors().is_empty()
    {
        // An error means that the overlay has ended.
        if let Ok(records) = overlay.ask(Request::Records).await {
            heed_all(&shared, &records).await;
        }
    }
    loop {
        tokio::time::sleep(SAVED_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.blocks.is_unsaved() {
            save(&shared).await;
        }
    }
}

async fn heed_all(shared: &Arc<Shared>, records: &[Record]) {
    records.iter().for_each(|record| shared.blocks.heed(record));
    save(shared).await;
}

async fn save(shared: &Arc<Shared>) {
    let desk = Arc::clone(&shared.blocks);
    if !desk.is_unsaved() {
        return;
    }
    let saving = tokio::task::spawn_blocking(move || desk.save());
    if let Ok(Err(error)) = saving.await {
        warn!(%error, "block lists that are followed are not written down");
    }
}

/// Who made a list, and which: `AUTHOR` or `AUTHOR/LIST`.
///
/// # Errors
/// With a sentence, if it is neither.
pub fn parse_follow(text: &str) -> Result<Follow, String> {
    let (author, list) = match text.split_once('/') {
        Some((author, list)) => (author, Some(list)),
        None => (text, None),
    };
    let author: NodeId = author.parse().map_err(|_| {
        "name the author by a key of 64 hexadecimal digits, and a list of his after a slash"
            .to_owned()
    })?;
    let list = list.map(list_name).transpose()?;
    Ok(Follow { author, list })
}

/// What a list is called.
///
/// # Errors
/// With a sentence, if nothing can be called so.
pub fn list_name(name: &str) -> Result<ListName, String> {
    match ListName::new(name) {
        Ok(name) if !name.is_empty() && !name.contains('/') => Ok(name),
        Ok(_) => Err("the name of a list is not empty and has no slash".to_owned()),
        Err(error) => Err(format!("the name of the list: {error}")),
    }
}
