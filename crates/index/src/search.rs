//! Questions to the index: each word has to be in the listing or the passage, those in names count most.

use crate::codec::{Kept, Passage};
use crate::doc::{Listing, Source, torrent_key};
use crate::error::{IndexError, guarded};
use crate::index::Held;
use crate::limits::{
    ASKED_EVERY, CANDIDATES_PER_HIT, HITS_MAX, PAGES_PER_TORRENT_MAX, QUERY_WORDS_MAX,
};
use crate::schema::{Fields, Kind};
use crate::snippet::snippet;
use althing_overlay::NodeId;
use althing_overlay::records::{Content, InfoHash};
use althing_overlay::search::words::{Word, words};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::PathBuf;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, EnableScoring, Occur, Query as EngineQuery,
    TermQuery,
};
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{
    DocAddress, DocSet, IndexReader, SegmentReader, TERMINATED, TantivyDocument, TantivyError, Term,
};

/// How much more a word in a name counts than one elsewhere.
const NAME_BOOST: f32 = 3.0;

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum What {
    /// Torrents and documents.
    #[default]
    Any,
    /// Torrents.
    Files,
    /// Documents.
    Pages,
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    words: Vec<Word>,
    what: What,
    sources: Vec<Source>,
    wanted: usize,
}

impl Query {
    /// For the words of a text, of which each has to be there; of more than [`QUERY_WORDS_MAX`] the first.
    /// Ten answers of any kind are wanted.
    pub fn new(text: &str) -> Self {
        let mut words = words(text);
        words.truncate(QUERY_WORDS_MAX);
        words.sort();
        words.dedup();
        Query { words, what: What::Any, sources: Source::ALL.to_vec(), wanted: 10 }
    }

    /// Looks for these only.
    pub fn for_what(mut self, what: What) -> Self {
        self.what = what;
        self
    }

    /// Looks among what is known from these only.
    pub fn among(mut self, sources: &[Source]) -> Self {
        self.sources = sources.to_vec();
        self
    }

    /// So many answers are wanted, at most [`HITS_MAX`].
    pub fn wanted(mut self, wanted: usize) -> Self {
        self.wanted = wanted.min(HITS_MAX);
        self
    }

    /// The words, in order of their letters.
    pub fn words(&self) -> &[Word] {
        &self.words
    }
}

/// A torrent, or a document in one, that was found.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexHit {
    /// The torrent.
    pub hash: InfoHash,
    /// Its name.
    pub name: String,
    /// Its tags; none for a document.
    pub tags: Vec<String>,
    /// Those who say that it is there, without those who say it of themselves alone: none for a document and for
    /// what was met in the DHT. In order of relevance.
    pub authors: Vec<NodeId>,
    /// What it is.
    pub content: Content,
    /// Bytes of all files; 0 if not known, and for a document.
    pub size: u64,
    /// How many files; 0 if not known, and for a document.
    pub files: u32,
    /// How we know of it; if in several ways, the first in order.
    pub source: Source,
    /// When it was said or last met, in seconds since 1970; 0 for a document.
    pub seen: u64,
    /// How well it fits; only to be compared with others of the same answer.
    pub score: f32,
    /// The document, if it is one.
    pub page: Option<PageHit>,
}

/// A document that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageHit {
    /// Where it is in the torrent: names joined by `/`, without the torrent's own.
    pub path: String,
    /// Its title; often empty.
    pub title: String,
    /// What stands around the words, in one line.
    pub snippet: String,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// Those that fit best first.
    pub hits: Vec<IndexHit>,
    /// How many listings and passages fit, as far as was looked.
    pub matched: u64,
    /// Whether it took too long, and not everything was looked at.
    pub is_cut: bool,
}

/// A candidate. Of those that fit equally well the one that was put first comes first.
#[derive(Clone, Copy, PartialEq)]
struct Candidate {
    score: f32,
    address: DocAddress,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(other.address.cmp(&self.address))
    }
}

/// Searches the index as of the last commit, from any thread.
#[derive(Clone)]
pub struct Searcher {
    reader: IndexReader,
    fields: Fields,
    path: PathBuf,
}

impl Searcher {
    pub(crate) fn new(reader: IndexReader, fields: Fields, path: PathBuf) -> Self {
        Searcher { reader, fields, path }
    }

    /// Looks for what a question asks for. `is_late` is asked each [`ASKED_EVERY`] candidates; once it says
    /// so, what was found until then is the answer.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn search(&self, query: &Query, is_late: &dyn Fn() -> bool) -> Result<Found, IndexError> {
        guarded(|| self.search_engine(query, is_late))
            .map_err(|error| IndexError::from_engine(&self.path, &error))
    }

    fn search_engine(
        &self,
        query: &Query,
        is_late: &dyn Fn() -> bool,
    ) -> Result<Found, TantivyError> {
        let mut found = Found::default();
        if query.words.is_empty() || query.sources.is_empty() || query.wanted == 0 {
            return Ok(found);
        }
        // One view for both steps: where a candidate is means something else after the next commit.
        let searcher = self.reader.searcher();
        let candidates = self.candidates(&searcher, query, is_late, &mut found)?;
        // Where the answer about a torrent or document is in what was found.
        let mut places: BTreeMap<([u8; 20], String), usize> = BTreeMap::new();
        let mut pages: BTreeMap<[u8; 20], usize> = BTreeMap::new();
        for candidate in candidates {
            let document: TantivyDocument = searcher.doc(candidate.address)?;
            let kept = document.get_first(self.fields.kept);
            let bytes = kept.as_ref().and_then(Value::as_bytes);
            match bytes.and_then(Kept::from_bytes) {
                Some(Kept::Listing(listing)) => {
                    let key = (torrent_key(&listing.hash), String::new());
                    if let Some(hit) = places.get(&key).and_then(|&at| found.hits.get_mut(at)) {
                        merge(hit, &listing);
                    } else if found.hits.len() < query.wanted {
                        places.insert(key, found.hits.len());
                        found.hits.push(hit_of(listing, candidate.score));
                    }
                }
                Some(Kept::Passage(passage)) if found.hits.len() < query.wanted => {
                    let torrent = torrent_key(&passage.hash);
                    let of_torrent = pages.entry(torrent).or_default();
                    let key = (torrent, passage.path.clone());
                    if *of_torrent >= PAGES_PER_TORRENT_MAX || places.contains_key(&key) {
                        continue;
                    }
                    *of_torrent += 1;
                    places.insert(key, found.hits.len());
                    let snippet = shown(&passage, &query.words);
                    found.hits.push(IndexHit {
                        hash: passage.hash,
                        name: passage.torrent,
                        tags: Vec::new(),
                        authors: Vec::new(),
                        content: Content::TEXT,
                        size: 0,
                        files: 0,
                        source: passage.source,
                        seen: 0,
                        score: candidate.score,
                        page: Some(PageHit { snippet, path: passage.path, title: passage.title }),
                    });
                }
                // What makes no sense is not shown.
                _ => {}
            }
        }
        Ok(found)
    }

    /// The best candidates, the best first.
    fn candidates(
        &self,
        searcher: &tantivy::Searcher,
        query: &Query,
        is_late: &dyn Fn() -> bool,
        found: &mut Found,
    ) -> Result<Vec<Candidate>, TantivyError> {
        let most = query.wanted.saturating_mul(CANDIDATES_PER_HIT);
        let scoring = EnableScoring::enabled_from_searcher(searcher);
        let weight = self.engine_query(query).weight(scoring)?;
        let mut best: BinaryHeap<Reverse<Candidate>> = BinaryHeap::with_capacity(most + 1);
        let mut until_asked = ASKED_EVERY;
        'segments: for (segment_ord, reader) in (0u32..).zip(searcher.segment_readers()) {
            let mut scorer = weight.scorer(reader, 1.0)?;
            let mut doc_id = scorer.doc();
            while doc_id != TERMINATED {
                if is_alive(reader, doc_id) {
                    found.matched += 1;
                    let address = DocAddress { segment_ord, doc_id };
                    best.push(Reverse(Candidate { score: scorer.score(), address }));
                    if best.len() > most {
                        best.pop();
                    }
                }
                doc_id = scorer.advance();
                until_asked -= 1;
                if until_asked == 0 {
                    until_asked = ASKED_EVERY;
                    if is_late() {
                        found.is_cut = true;
                        break 'segments;
                    }
                }
            }
        }
        Ok(best.into_sorted_vec().into_iter().map(|Reverse(candidate)| candidate).collect())
    }

    /// The question in the engine's terms.
    fn engine_query(&self, query: &Query) -> BooleanQuery {
        let mut clauses: Vec<(Occur, Box<dyn EngineQuery>)> = Vec::new();
        for word in &query.words {
            let term = |field| -> Box<dyn EngineQuery> {
                let term = Term::from_field_text(field, word.as_str());
                Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
            };
            let name = BoostQuery::new(term(self.fields.name), NAME_BOOST);
            let either = BooleanQuery::new(vec![
                (Occur::Should, Box::new(name)),
                (Occur::Should, term(self.fields.rest)),
            ]);
            clauses.push((Occur::Must, Box::new(either)));
        }
        let is_wanted = |kind| match query.what {
            What::Any => true,
            What::Files => kind == Kind::Listing,
            What::Pages => kind == Kind::Passage,
        };
        if query.what != What::Any
            || Source::ALL.iter().any(|source| !query.sources.contains(source))
        {
            let kinds = Kind::ALL.into_iter().filter(|&kind| is_wanted(kind));
            let classes = kinds
                .flat_map(|kind| query.sources.iter().map(move |&source| (kind, source)))
                .map(|(kind, source)| -> (Occur, Box<dyn EngineQuery>) {
                    let term = self.fields.class(kind, source);
                    (Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
                });
            let among = Box::new(BooleanQuery::new(classes.collect()));
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(among, 0.0))));
        }
        BooleanQuery::new(clauses)
    }

    /// Whether there is something with a term.
    pub(crate) fn holds(&self, term: &Term) -> bool {
        let searcher = self.reader.searcher();
        searcher.segment_readers().iter().any(|reader| {
            let mut is_there = false;
            let _ = each(reader, term, |_| is_there = true);
            is_there
        })
    }

    /// How much there is with a term.
    pub(crate) fn count(&self, term: &Term) -> Result<u64, TantivyError> {
        let searcher = self.reader.searcher();
        let mut count = 0;
        for reader in searcher.segment_readers() {
            if reader.has_deletes() {
                each(reader, term, |_| count += 1)?;
            } else {
                count += u64::from(reader.inverted_index(term.field())?.doc_freq(term)?);
            }
        }
        Ok(count)
    }

    /// The listings with a term.
    pub(crate) fn listings(&self, term: &Term) -> Result<Vec<Held>, IndexError> {
        let wrong = |error: &TantivyError| IndexError::from_engine(&self.path, error);
        let searcher = self.reader.searcher();
        let mut listings = Vec::new();
        for (segment_ord, reader) in (0u32..).zip(searcher.segment_readers()) {
            let mut ids = Vec::new();
            each(reader, term, |id| ids.push(id)).map_err(|error| wrong(&error))?;
            for doc_id in ids {
                let address = DocAddress { segment_ord, doc_id };
                let document: TantivyDocument =
                    searcher.doc(address).map_err(|error| wrong(&error))?;
                let kept = document.get_first(self.fields.kept);
                let bytes = kept.as_ref().and_then(Value::as_bytes);
                if let Some(Kept::Listing(listing)) = bytes.and_then(Kept::from_bytes) {
                    let Listing { hash, author, version, .. } = listing;
                    listings.push(Held { hash, author, version });
                }
            }
        }
        Ok(listings)
    }

    /// How many of so many bytes belong to what is not deleted.
    pub(crate) fn share_alive(&self, bytes: u64) -> u64 {
        let searcher = self.reader.searcher();
        let readers = searcher.segment_readers();
        let all: u64 = readers.iter().map(|reader| u64::from(reader.max_doc())).sum();
        let alive: u64 = readers.iter().map(|reader| u64::from(reader.num_docs())).sum();
        let share = u128::from(bytes) * u128::from(alive) / u128::from(all.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// The first hour after another in which something was met in the DHT.
    pub(crate) fn oldest_hour(&self, after: Option<u64>) -> Option<u64> {
        let searcher = self.reader.searcher();
        let hours = searcher.segment_readers().iter().filter_map(|reader| {
            let index = reader.inverted_index(self.fields.hour).ok()?;
            let mut terms = index.terms().stream().ok()?;
            while let Some((key, _)) = terms.next() {
                let hour = key.try_into().map(u64::from_be_bytes).ok()?;
                if after.is_none_or(|after| hour > after) {
                    return Some(hour);
                }
            }
            None
        });
        hours.min()
    }
}

fn is_alive(reader: &SegmentReader, doc_id: u32) -> bool {
    reader.alive_bitset().is_none_or(|alive| alive.is_alive(doc_id))
}

/// Calls for each that is in a part of the index under a term.
fn each(
    reader: &SegmentReader,
    term: &Term,
    mut call: impl FnMut(u32),
) -> Result<(), TantivyError> {
    let index = reader.inverted_index(term.field())?;
    let Some(mut postings) = index.read_postings(term, IndexRecordOption::Basic)? else {
        return Ok(());
    };
    while postings.doc() != TERMINATED {
        if is_alive(reader, postings.doc()) {
            call(postings.doc());
        }
        postings.advance();
    }
    Ok(())
}

/// What is shown of a passage: around the words that its names do not have.
fn shown(passage: &Passage, sought: &[Word]) -> String {
    let mut named = words(&passage.torrent);
    named.extend(words(&passage.path));
    let missing: Vec<Word> = sought.iter().filter(|word| !named.contains(word)).cloned().collect();
    let title = words(&passage.title);
    let wanted = if missing.is_empty() { sought } else { &missing };
    match missing.iter().any(|word| title.contains(word)) {
        true => snippet(&format!("{}: {}", passage.title, passage.text), wanted),
        false => snippet(&passage.text, wanted),
    }
}

fn hit_of(listing: Listing, score: f32) -> IndexHit {
    IndexHit {
        hash: listing.hash,
        name: listing.name,
        tags: listing.tags,
        authors: listing.author.into_iter().collect(),
        content: listing.content,
        size: listing.size,
        files: listing.files,
        source: listing.source,
        seen: listing.seen,
        score,
        page: None,
    }
}

/// Somebody else says that the same torrent is there.
fn merge(hit: &mut IndexHit, listing: &Listing) {
    let author = listing.author.filter(|author| !hit.authors.contains(author));
    hit.authors.extend(author);
    hit.seen = hit.seen.max(listing.seen);
    if listing.source < hit.source {
        hit.source = listing.source;
    }
}
