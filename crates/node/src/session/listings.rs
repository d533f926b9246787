//! Listings that are here already: what others have said in the overlay and the shelf holds.

use super::{OverlayError, Session};
use crate::overlay::Meeting;
use althing_bittorrent::metainfo::Metainfo;
use althing_overlay::limits::SHELF_RECORDS_MAX;
use althing_overlay::records::{Body, Listing, Record};
use althing_overlay::search::words::{words, words_of};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A listing, and who says it.
#[derive(Clone, Debug)]
pub struct KnownListing {
    /// What was signed.
    pub record: Record,
    /// What it says.
    pub listing: Listing,
}

impl Session {
    /// The torrent in whose swarm peers of the overlay find each other; `None` if this session takes no part
    /// in it.
    pub fn meeting_place(&self) -> Option<Arc<Metainfo>> {
        self.shared.overlay.as_ref()?;
        Some(Meeting::of(&self.config().overlay.network()).metainfo)
    }

    /// Listings that the shelf holds, with all of some words, the newest first; all if there are no words.
    /// None that is blocked here, and of each torrent the newest one. What it costs is in proportion to the
    /// shelf: a second for its [`SHELF_RECORDS_MAX`] records, on another thread.
    ///
    /// # Errors
    /// If this session takes no part in the overlay.
    pub async fn listings(
        &self,
        text: &str,
        most: usize,
    ) -> Result<Vec<KnownListing>, OverlayError> {
        let records = self.overlay_records().await?;
        debug_assert!(records.len() <= SHELF_RECORDS_MAX);
        let (filter, wanted) = (self.shared.blocks.filter(), words(text));
        let looking = tokio::task::spawn_blocking(move || {
            let mut records = records;
            records.sort_by_key(|record| std::cmp::Reverse(record.version()));
            let mut torrents = BTreeSet::new();
            let mut found = Vec::new();
            for record in records {
                let Body::Listing(listing) = record.body() else { continue };
                if found.len() >= most {
                    break;
                }
                let has = words_of(&listing);
                let is_meant = wanted.iter().all(|word| has.binary_search(word).is_ok());
                if is_meant
                    && filter.judge_record(&record).is_none()
                    && torrents.insert(listing.info_hash())
                {
                    found.push(KnownListing { record, listing });
                }
            }
            found
        });
        looking.await.map_err(|_| OverlayError::Stopping)
    }
}
