//! Searching the local index, and how it stands.

use super::Session;
use crate::index::{IndexStatus, SEARCH_TIME, SearchError};
use althing_index::{Found, IndexHit, Query};
use althing_overlay::NodeId;
use althing_overlay::blocks::{Filter, Subject};

impl Session {
    /// How the local index stands; nothing if there is none.
    pub fn index(&self) -> Option<IndexStatus> {
        Some(self.shared.index.as_ref()?.status())
    }

    /// Searches the local index; nobody else is asked. What is blocked here is left out.
    ///
    /// # Errors
    /// There is none, it does not work, or too many search it at the same time.
    pub async fn search_index(&self, query: Query) -> Result<Found, SearchError> {
        let index = self.shared.index.as_ref().ok_or(SearchError::Off)?;
        let mut found = index.search(query, SEARCH_TIME).await?;
        let filter = self.shared.blocks.filter();
        found.hits.retain(|hit| !is_blocked(&filter, hit));
        Ok(found)
    }
}

/// Whether the user does not want to see something that is in the index: for what it is, or because nobody
/// says that it is there but those whom he does not want to hear.
pub(crate) fn is_blocked(filter: &Filter, hit: &IndexHit) -> bool {
    if filter.is_empty() {
        return false;
    }
    let subject = hit.hash.short().fold(Subject::new(), Subject::hash).text(&hit.name);
    let subject = hit.tags.iter().fold(subject, |subject, tag| subject.text(tag));
    let subject = match &hit.page {
        Some(page) => subject.text(&page.path).text(&page.title),
        None => subject,
    };
    let is_unheard = |author: &NodeId| filter.judge(&Subject::new().author(*author)).is_some();
    filter.judge(&subject).is_some()
        || !hit.authors.is_empty() && hit.authors.iter().all(is_unheard)
}
