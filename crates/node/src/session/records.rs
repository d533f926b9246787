//! The records that this node holds, as its user sees them: the newest first, page by page.

use super::{OverlayError, Session};
use althing_overlay::NodeId;
use althing_overlay::records::{BlockList, Body, Kind, Record, Version};
use althing_overlay::search::words::{words, words_of};
use std::cmp::Reverse;

/// Records of one page at the most; asked for more, so many are given.
pub const RECORDS_OF_PAGE_MAX: usize = 500;

/// Which records are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordsQuery {
    /// Of these kinds; of all if there are none.
    pub kinds: Vec<Kind>,
    /// Of this author.
    pub author: Option<NodeId>,
    /// With all of these words in what is said; of any if there are none.
    pub words: String,
    /// Those that the user does not want to see, in place of the others.
    pub blocked: bool,
    /// Older than this one.
    pub after: Option<Version>,
    /// So many, [`RECORDS_OF_PAGE_MAX`] at the most.
    pub most: usize,
}

/// A page of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordsPage {
    /// The newest first.
    pub records: Vec<Record>,
    /// How many are wanted, on this page and all others.
    pub matched: usize,
    /// How many are held in all.
    pub held: usize,
    /// The one after which the next page begins, if there is another.
    pub next: Option<Version>,
}

impl Session {
    /// A page of the records that are held. What it costs is in proportion to all of them, on another thread.
    ///
    /// # Errors
    /// If this session takes no part in the overlay.
    pub async fn overlay_page(&self, query: RecordsQuery) -> Result<RecordsPage, OverlayError> {
        let records = self.overlay_records().await?;
        let filter = self.shared.blocks.filter();
        let looking = tokio::task::spawn_blocking(move || {
            page(records, &query, |record| filter.judge_record(record).is_some())
        });
        looking.await.map_err(|_| OverlayError::Stopping)
    }

    /// Whether the user does not want to see a record.
    pub fn is_record_blocked(&self, record: &Record) -> bool {
        self.shared.blocks.filter().judge_record(record).is_some()
    }
}

fn page(
    records: Vec<Record>,
    query: &RecordsQuery,
    is_blocked: impl Fn(&Record) -> bool,
) -> RecordsPage {
    let held = records.len();
    let wanted = words(&query.words);
    let is_wanted = |record: &Record| {
        let has_kind = query.kinds.is_empty() || query.kinds.contains(&record.kind());
        has_kind
            && query.author.is_none_or(|author| record.author() == author)
            && (wanted.is_empty() || {
                let has = words_of_body(&record.body());
                wanted.iter().all(|word| has.binary_search(word).is_ok())
            })
            && is_blocked(record) == query.blocked
    };
    let mut records: Vec<Record> = records.into_iter().filter(is_wanted).collect();
    let matched = records.len();
    records.retain(|record| query.after.is_none_or(|after| record.version() < after));
    records.sort_unstable_by_key(|record| Reverse(record.version()));
    let most = query.most.clamp(1, RECORDS_OF_PAGE_MAX);
    let is_last = records.len() <= most;
    records.truncate(most);
    let next = records.last().filter(|_| !is_last).map(|last| last.version());
    RecordsPage { records, matched, held, next }
}

/// The words of what a record says, in order, none twice.
fn words_of_body(body: &Body) -> Vec<althing_overlay::search::words::Word> {
    let mut found = match body {
        Body::Listing(listing) => return words_of(listing),
        Body::Profile(profile) => words(&format!("{} {}", profile.name(), profile.about())),
        Body::BlockList(list) => words(BlockList::name(list)),
        _ => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Sha1Digest, UnixTime};
    use althing_overlay::records::{Draft, InfoHash, Listing, Profile, Text};
    use althing_overlay::{Keys, NetworkKey};

    fn sign(who: u8, draft: Draft) -> Record {
        draft.sign(&Keys::from_secret(&[who; 32]), &NetworkKey::public()).expect("it is short")
    }

    fn listing(who: u8, number: u8, name: &str) -> Record {
        let hash = InfoHash::V1(Sha1Digest([number; 20]));
        let listing = Listing::new(hash, Text::cleaned(name), 1_000, 1).expect("it has a name");
        sign(who, Draft::listing(listing, UnixTime(1_000 + i64::from(number)), 3_600))
    }

    fn some() -> Vec<Record> {
        let profile = Profile::new(Text::cleaned("Ada"), Text::cleaned("of the winter"));
        let profile = Draft::profile(profile.expect("a name"), UnixTime(5_000), 3_600);
        let mut records: Vec<_> =
            (0..100).map(|number| listing(1 + number % 3, number, "Winter songs")).collect();
        records.push(sign(9, profile));
        records
    }

    fn all() -> RecordsQuery {
        let (kinds, author, words) = (Vec::new(), None, String::new());
        RecordsQuery { kinds, author, words, blocked: false, after: None, most: 30 }
    }

    #[test]
    fn pages_have_everything_once_and_the_newest_first() {
        let (mut seen, mut query) = (Vec::new(), all());
        loop {
            let page = page(some(), &query, |_| false);
            assert_eq!((page.matched, page.held), (101, 101));
            seen.extend(page.records);
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 101);
        assert!(seen.is_sorted_by(|one, other| one.version() > other.version()));
        let page = page(some(), &RecordsQuery { most: usize::MAX, ..all() }, |_| false);
        assert_eq!((page.records.len(), page.next), (101, None));
    }

    #[test]
    fn what_is_not_wanted_is_left_out() {
        let count = |query: RecordsQuery| page(some(), &query, |_| false).matched;
        assert_eq!(count(RecordsQuery { kinds: vec![Kind::PROFILE], ..all() }), 1);
        let author = Some(Keys::from_secret(&[1; 32]).node());
        assert_eq!(count(RecordsQuery { author, ..all() }), 34);
        assert_eq!(count(RecordsQuery { words: "WINTER".to_owned(), ..all() }), 101);
        assert_eq!(count(RecordsQuery { words: "ada winter".to_owned(), ..all() }), 1);
        assert_eq!(count(RecordsQuery { words: "summer".to_owned(), ..all() }), 0);
        let is_blocked = |record: &Record| record.kind() == Kind::PROFILE;
        assert_eq!(page(some(), &all(), is_blocked).matched, 100);
        assert_eq!(page(some(), &RecordsQuery { blocked: true, ..all() }, is_blocked).matched, 1);
    }
}
