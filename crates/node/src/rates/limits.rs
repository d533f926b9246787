//! Which limits are in force.

use super::Flow;
use althing_store::records::{Label, TorrentSettings};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// A limit for each direction, in bytes a second.
pub(crate) type Pair = [Option<NonZeroU64>; 2];

/// The limits of all torrents together and of categories; those of torrents are in their settings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Limits {
    /// Of all torrents together.
    pub(crate) global: Pair,
    /// Of categories that have one.
    pub(crate) categories: BTreeMap<Label, Pair>,
}

impl Limits {
    /// The limit of a category by itself.
    pub(crate) fn category(&self, flow: Flow, category: Option<&Label>) -> Option<NonZeroU64> {
        self.categories.get(category?)?[flow.index()]
    }

    /// Whether anything limits a torrent of these settings.
    pub(crate) fn apply_to(&self, flow: Flow, settings: &TorrentSettings) -> bool {
        self.global[flow.index()].is_some()
            || own(flow, settings).is_some()
            || self.category(flow, settings.category.as_ref()).is_some()
    }
}

/// A torrent's limit by itself.
pub(super) fn own(flow: Flow, settings: &TorrentSettings) -> Option<NonZeroU64> {
    match flow {
        Flow::Up => settings.upload_limit,
        Flow::Down => settings.download_limit,
    }
}
