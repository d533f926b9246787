//! What answers a question: a listing that its author has signed, and perhaps a page in one of its files.

use super::limits::{PATH_BYTES_MAX, SNIPPET_BYTES_MAX};
use super::words::{Word, words, words_of};
use crate::id::NodeId;
use crate::records::{Body, Listing, RawRecord, Record, Text};
use bytes::Bytes;

/// What kind of thing is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum What {
    /// Anything that has the words.
    #[default]
    Any,
    /// Listings that have the words.
    Files,
    /// Pages in files of listings: documents whose text has the words.
    Pages,
}

/// Part of a text inside a torrent. Only who answers says so: the listing's author has signed the listing,
/// and not this.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Page {
    /// Which file of the torrent: its path, with `/` between folders. Not empty.
    pub path: Text<PATH_BYTES_MAX>,
    /// What stands there around the words.
    pub snippet: Text<SNIPPET_BYTES_MAX>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Hit {
    /// A listing.
    pub record: Record,
    /// Where in its files the words are, if it is not the listing that has them.
    pub page: Option<Page>,
    /// Who has brought it to us, if that is known: whoever is at the other end of the last link, which need not
    /// be who had it.
    pub from: Option<NodeId>,
    /// Somebody on its way had reason to doubt it: it came from who seems to have everything. Comes after all that
    /// is not in doubt.
    pub is_doubtful: bool,
}

/// An answer as it travels: of which nothing is known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawHit {
    /// The record as its author wrote it.
    pub record: Bytes,
    /// See [`Hit::page`].
    pub page: Option<Page>,
    /// See [`Hit::is_doubtful`].
    pub is_doubtful: bool,
}

impl From<&Hit> for RawHit {
    fn from(hit: &Hit) -> Self {
        RawHit {
            record: hit.record.bytes().clone(),
            page: hit.page.clone(),
            is_doubtful: hit.is_doubtful,
        }
    }
}

impl From<&Record> for RawHit {
    fn from(record: &Record) -> Self {
        RawHit { record: record.bytes().clone(), page: None, is_doubtful: false }
    }
}

impl What {
    /// Whether an answer with such a page, or without any, is what is looked for.
    pub fn is_met_by(self, page: Option<&Page>) -> bool {
        match self {
            What::Any => true,
            What::Files => page.is_none(),
            What::Pages => page.is_some(),
        }
    }
}

/// Whether some words are all to be seen in what answers a question for them: in the listing, or in the path
/// and the snippet of the page. Whoever passes an answer on looks, so an index on disk that finds by
/// the stems of words, or shows a snippet without one of them, has to be asked this before its answer is given.
pub fn shows(listing: &Listing, page: Option<&Page>, sought: &[Word]) -> bool {
    let mut has = words_of(listing);
    if let Some(page) = page {
        has.extend(words(&page.path));
        has.extend(words(&page.snippet));
        has.sort();
    }
    sought.iter().all(|word| has.binary_search(word).is_ok())
}

/// Whether a record is a listing that, with its page, shows all of some words.
pub(crate) fn is_answer(record: &RawRecord, page: Option<&Page>, sought: &[Word]) -> bool {
    matches!(record.body(), Body::Listing(listing) if shows(&listing, page, sought))
}
