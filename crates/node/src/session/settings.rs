//! What users set for one torrent, and how a change becomes durable and reaches its shard.

use super::shared::Shared;
use super::{CommandError, Session, TorrentId};
use crate::shard::Command;
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::limits::PIECE_RANGES_MAX;
use althing_store::limits::TAGS_MAX;
use althing_store::records::{Goal, Label, Ratio, TorrentSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A change to a torrent's settings: what is `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TorrentChange {
    /// The category, or none.
    pub category: Option<Option<Label>>,
    /// All tags.
    pub tags: Option<BTreeSet<Label>>,
    /// Tags to add.
    pub add_tags: BTreeSet<Label>,
    /// Tags to take away.
    pub remove_tags: BTreeSet<Label>,
    /// Bytes a second that may be sent, or no limit.
    pub upload_limit: Option<Option<NonZeroU64>>,
    /// Bytes a second that may be received, or no limit.
    pub download_limit: Option<Option<NonZeroU64>>,
    /// When it has been given enough, by what was sent over what it has.
    pub ratio_limit: Option<Goal<Ratio>>,
    /// When it has been given enough, by the time it was complete and running.
    pub seed_time_limit: Option<Goal<Duration>>,
    /// Whether it runs whatever the queue says.
    pub forced: Option<bool>,
    /// Files that are wanted more or less than they were; the others stay as they are.
    pub priorities: BTreeMap<FileIndex, Priority>,
    /// Pieces that are wanted more or less than their files, or with `None` as their files are again;
    /// the others stay as they are.
    pub pieces: Vec<(RangeInclusive<u32>, Option<Priority>)>,
    /// Connections to peers at most, or as many as any torrent.
    pub connections: Option<Option<NonZeroU32>>,
    /// Peers that are uploaded to at the same time, or as many as any torrent.
    pub upload_slots: Option<Option<NonZeroU32>>,
    /// Whether pieces are fetched in their order.
    pub sequential: Option<bool>,
    /// Whether a seed gives everything once (BEP 16).
    pub super_seeding: Option<bool>,
}

/// Whether there was room for everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fits {
    tags: bool,
    ranges: bool,
}

impl TorrentChange {
    /// Changes `settings`; says whether all of it could be done: tags beyond [`TAGS_MAX`] and ranges
    /// of pieces beyond [`PIECE_RANGES_MAX`] cannot.
    fn apply(self, settings: &mut TorrentSettings) -> Fits {
        let mut fits = true;
        let set = |to: &mut bool, from: Option<bool>| *to = from.unwrap_or(*to);
        if let Some(category) = self.category {
            settings.category = category;
        }
        if let Some(tags) = self.tags {
            fits &= tags.len() <= TAGS_MAX;
            settings.tags = tags.into_iter().take(TAGS_MAX).collect();
        }
        settings.tags.retain(|tag| !self.remove_tags.contains(tag));
        for tag in self.add_tags {
            fits &= settings.add_tag(tag);
        }
        settings.upload_limit = self.upload_limit.unwrap_or(settings.upload_limit);
        settings.download_limit = self.download_limit.unwrap_or(settings.download_limit);
        settings.ratio_limit = self.ratio_limit.unwrap_or(settings.ratio_limit);
        settings.seed_time_limit = self.seed_time_limit.unwrap_or(settings.seed_time_limit);
        set(&mut settings.forced, self.forced);
        for (file, priority) in self.priorities {
            if priority == Priority::default() {
                settings.priorities.remove(&file);
            } else {
                settings.priorities.insert(file, priority);
            }
        }
        let mut ranges = true;
        for (range, priority) in self.pieces {
            ranges &= settings.pieces.set(range, priority);
        }
        settings.connections = self.connections.unwrap_or(settings.connections);
        settings.upload_slots = self.upload_slots.unwrap_or(settings.upload_slots);
        set(&mut settings.sequential, self.sequential);
        set(&mut settings.super_seeding, self.super_seeding);
        Fits { tags: fits, ranges }
    }
}

impl Session {
    /// Changes a torrent's settings. They are durable and in force when this returns.
    ///
    /// # Errors
    /// If there is none of that id, a file or piece is named that it does not have, there are too many
    /// tags or ranges of pieces, or it cannot be written down.
    pub async fn change(&self, id: TorrentId, change: TorrentChange) -> Result<(), CommandError> {
        let entry = self.entry(id)?;
        if let Some((last, _)) = change.priorities.last_key_value() {
            let Some(metainfo) = self.metainfo(id).await else {
                return Err(CommandError::NoMetadata { name: entry.name() });
            };
            if last.0 as usize >= metainfo.files().len() {
                return Err(CommandError::NoSuchFile { name: entry.name(), file: *last });
            }
        }
        if !change.pieces.is_empty() {
            let Some(metainfo) = self.metainfo(id).await else {
                return Err(CommandError::NoMetadata { name: entry.name() });
            };
            let pieces = metainfo.piece_count();
            let wrong = |range: &&RangeInclusive<u32>| range.is_empty() || *range.end() >= pieces;
            if let Some(range) = change.pieces.iter().map(|(range, _)| range).find(wrong) {
                let (name, range) = (entry.name(), range.clone());
                return Err(CommandError::NoSuchPieces { name, range, pieces });
            }
        }
        let mut trial = TorrentSettings::clone(&entry.settings());
        let fits = change.clone().apply(&mut trial);
        if !fits.tags {
            return Err(CommandError::TooManyTags { max: TAGS_MAX });
        }
        if !fits.ranges {
            return Err(CommandError::TooManyRanges { max: PIECE_RANGES_MAX });
        }
        let apply = move |settings: &mut TorrentSettings| {
            // Somebody may have added tags since the trial: then some are too many after all.
            change.apply(settings);
        };
        self.write_down(change_settings(&self.shared, id, apply).await)?;
        self.settled(id).await
    }
}

/// Writes a change of a torrent's settings down, then puts it in force, in the order in which changes
/// were asked for.
pub(crate) async fn change_settings(
    shared: &Arc<Shared>,
    id: TorrentId,
    change: impl FnOnce(&mut TorrentSettings) + Send + 'static,
) -> Result<(), String> {
    shared.persist.settings(id, change, in_force(shared, id)).await
}

/// Puts changed settings in force that have been written down.
pub(super) fn in_force(
    shared: &Arc<Shared>,
    id: TorrentId,
) -> impl FnOnce(&Arc<TorrentSettings>) + Send + 'static {
    let tell = Arc::downgrade(shared);
    move |settings: &Arc<TorrentSettings>| {
        let Some(shared) = tell.upgrade() else { return };
        if let Some(entry) = shared.torrents.by_id(id) {
            entry.set_settings(Arc::clone(settings));
            shared.steward.notify_one();
            shared.send(&entry, Command::Settings(entry.key, Arc::clone(settings)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        text.parse().expect("a label")
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut settings = TorrentSettings {
            tags: [label("a"), label("b")].into(),
            upload_limit: NonZeroU64::new(5),
            sequential: true,
            priorities: [(FileIndex(1), Priority::Skip), (FileIndex(2), Priority::High)].into(),
            ..TorrentSettings::default()
        };
        let expected = TorrentSettings {
            tags: [label("b"), label("c")].into(),
            upload_limit: None,
            priorities: [(FileIndex(1), Priority::Low)].into(),
            ..settings.clone()
        };
        let change = TorrentChange {
            add_tags: [label("c")].into(),
            remove_tags: [label("a")].into(),
            upload_limit: Some(None),
            priorities: [(FileIndex(1), Priority::Low), (FileIndex(2), Priority::Normal)].into(),
            ..TorrentChange::default()
        };
        let fits = change.apply(&mut settings);
        assert!(fits.tags && fits.ranges);
        assert_eq!(settings, expected);
        let many = (0..TAGS_MAX).map(|number| label(&number.to_string())).collect();
        let change = TorrentChange { add_tags: many, ..TorrentChange::default() };
        assert!(!change.apply(&mut settings).tags);
        assert_eq!(settings.tags.len(), TAGS_MAX);
    }
}
