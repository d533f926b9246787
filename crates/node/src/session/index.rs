//! Searching the local index, and how it stands.

use super::Session;
use crate::index::{IndexStatus, SEARCH_TIME, SearchError};
use althing_index::{Found, Query};

impl Session {
    /// How the local index stands; nothing if there is none.
    pub fn index(&self) -> Option<IndexStatus> {
        Some(self.shared.index.as_ref()?.status())
    }

    /// Searches the local index; nobody else is asked.
    ///
    /// # Errors
    /// There is none, it does not work, or too many search it at the same time.
    pub async fn search_index(&self, query: Query) -> Result<Found, SearchError> {
        let index = self.shared.index.as_ref().ok_or(SearchError::Off)?;
        index.search(query, SEARCH_TIME).await
    }
}
