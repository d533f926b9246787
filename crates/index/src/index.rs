//! The index on disk: what is put into it and taken out, and when that lasts.
//!
//! Everything is written by [`commit`](Index::commit) and not before; a process that is killed leaves what
//! was committed last. When a write fails, the disk being full for instance, what was not committed is
//! gone ([`take_lost`](Index::take_lost)), what is committed can still be searched, and the next change tries
//! again.

use crate::codec::{Kept, Passage};
use crate::doc::{Listing, Page, Source, page_key, torrent_key};
use crate::error::{IndexError, guarded, is_damaged};
use crate::limits::{
    DELETED_SHARE_MAX, DISK_BYTES, LISTINGS_MAX, PASSAGES_MAX, UNCOMMITTED_MAX, WRITER_BYTES,
};
use crate::passages::passages;
use crate::schema::{Fields, Kind, class_number, tokenizers};
use crate::search::Searcher;
use althing_overlay::NodeId;
use althing_overlay::records::InfoHash;
use std::path::{Path, PathBuf};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::store::Compressor;
use tantivy::{
    Directory, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument,
    TantivyError, Term,
};

/// The format of what is written.
const FORMAT: u64 = 1;

/// The file that says it.
const FORMAT_FILE: &str = "format";

/// How much the index may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes on disk of what is in it. Past them what was met in the DHT longest ago is forgotten; if there is
    /// none, nothing but the user's own listings is taken. What has been deleted and not yet cleared
    /// away comes on top, some fifth, and for a while what is being put together.
    pub disk_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { disk_bytes: DISK_BYTES }
    }
}

/// How the index stands, as of the last commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Listings that the user has published.
    pub own: u64,
    /// Those of others in the overlay.
    pub shelf: u64,
    /// Torrents met in the DHT.
    pub crawled: u64,
    /// Passages of documents; each document has at least one.
    pub passages: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Changes that wait to be committed.
    pub uncommitted: u64,
}

/// A listing that is in the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Held {
    /// The torrent.
    pub hash: InfoHash,
    /// Who has said that it is there.
    pub author: Option<NodeId>,
    /// What was given with it.
    pub version: u64,
}

/// What there is to find, on disk: it is put in, taken out and searched.
pub struct Index {
    path: PathBuf,
    bounds: Bounds,
    fields: Fields,
    engine: tantivy::Index,
    reader: IndexReader,
    /// `None` after a write failed, until the next.
    writer: Option<IndexWriter>,
    /// Changes since the last commit.
    uncommitted: usize,
    /// Passages that were put since.
    passages_put: u64,
    listings_put: u64,
    is_lost: bool,
    is_new: bool,
    stats: Stats,
    /// Nothing but the user's own listings is taken.
    is_full: bool,
    /// Hours up to this one are forgotten already.
    forgotten: Option<u64>,
}

impl Index {
    /// Opens the index in a folder, or makes one there. A damaged one and one of an older format are made
    /// anew: then it [is new](Index::is_new), and for its owner to fill.
    ///
    /// # Errors
    /// A newer Althing has made it, or the folder cannot be read or written.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, IndexError> {
        let wrong = |error: &std::io::Error| IndexError::from_io(path, error);
        std::fs::create_dir_all(path).map_err(|error| wrong(&error))?;
        let format = std::fs::read_to_string(path.join(FORMAT_FILE)).ok();
        let format = format.and_then(|text| text.trim().parse::<u64>().ok());
        match format {
            Some(found) if found > FORMAT => {
                return Err(IndexError::Newer { path: path.to_owned(), found, known: FORMAT });
            }
            Some(FORMAT) => match Self::open_directory(path, bounds) {
                Err(error) if is_damaged(&error) => {
                    tracing::warn!(%error, "the index is damaged, and made anew");
                }
                opened => {
                    return opened.map_err(|error| IndexError::from_engine(path, &error));
                }
            },
            _ => {}
        }
        std::fs::remove_dir_all(path).map_err(|error| wrong(&error))?;
        std::fs::create_dir_all(path).map_err(|error| wrong(&error))?;
        std::fs::write(path.join(FORMAT_FILE), format!("{FORMAT}\n"))
            .map_err(|error| wrong(&error))?;
        Self::open_directory(path, bounds).map_err(|error| IndexError::from_engine(path, &error))
    }

    fn open_directory(path: &Path, bounds: Bounds) -> Result<Self, TantivyError> {
        guarded(|| Self::open_in(path, tantivy::directory::MmapDirectory::open(path)?, bounds))
    }

    pub(crate) fn open_in(
        path: &Path,
        directory: impl Directory,
        bounds: Bounds,
    ) -> Result<Self, TantivyError> {
        let fields = Fields::new();
        let is_new = !tantivy::Index::exists(&directory)?;
        let settings = IndexSettings {
            docstore_compression: Compressor::Lz4,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let engine = tantivy::Index::builder()
            .schema(fields.schema.clone())
            .settings(settings)
            .tokenizers(tokenizers())
            .open_or_create(Box::new(directory) as Box<dyn Directory>)?;
        let reader = engine.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let mut index = Index {
            path: path.to_owned(),
            bounds,
            fields,
            engine,
            reader,
            writer: None,
            uncommitted: 0,
            passages_put: 0,
            listings_put: 0,
            is_lost: false,
            is_new,
            stats: Stats::default(),
            is_full: false,
            forgotten: None,
        };
        index.measure()?;
        Ok(index)
    }

    /// Whether there was none before, so that all that should be in it has to be put.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether changes were lost since this was asked last, because a write failed: then all that should be in
    /// it has to be compared with what [is](Index::listings).
    pub fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        Stats { uncommitted: self.uncommitted as u64, ..self.stats }
    }

    /// For whoever asks, on any thread. It sees what was committed last.
    pub fn searcher(&self) -> Searcher {
        Searcher::new(self.reader.clone(), self.fields.clone(), self.path.clone())
    }

    /// Puts a listing in place of the one of the same torrent, source and author.
    ///
    /// # Errors
    /// There is no room for it, or it cannot be written: then it is as if it had not been put.
    pub fn put_listing(&mut self, listing: &Listing) -> Result<(), IndexError> {
        let listings = self.stats.own + self.stats.shelf + self.stats.crawled + self.listings_put;
        if listing.source != Source::Own && (self.is_full || listings >= LISTINGS_MAX) {
            return Err(IndexError::Full { what: "listings" });
        }
        let listing = listing.cleaned();
        let key = listing.key();
        let fields = &self.fields;
        let mut document = TantivyDocument::default();
        document.add_bytes(fields.torrent, &torrent_key(&listing.hash)[..]);
        document.add_bytes(fields.key, &key[..]);
        document.add_u64(fields.class, class_number(Kind::Listing, listing.source));
        if listing.source == Source::Crawled {
            document.add_u64(fields.hour, listing.seen / 3_600);
        }
        document.add_text(fields.name, &listing.name);
        for tag in &listing.tags {
            document.add_text(fields.rest, tag);
        }
        if !listing.about.is_empty() {
            document.add_text(fields.rest, &listing.about);
        }
        document.add_bytes(fields.kept, &Kept::Listing(listing).to_bytes()[..]);
        self.replace(key, vec![document])?;
        self.listings_put += 1;
        Ok(())
    }

    /// Puts a document in place of the one at the same path of the same torrent.
    ///
    /// # Errors
    /// As [`put_listing`](Index::put_listing).
    pub fn put_page(&mut self, page: &Page) -> Result<(), IndexError> {
        if self.is_full {
            return Err(IndexError::Full { what: "bytes" });
        }
        let parts = passages(page.text());
        if self.stats.passages + self.passages_put + parts.len() as u64 > PASSAGES_MAX {
            return Err(IndexError::Full { what: "passages of documents" });
        }
        let key = page.key();
        let fields = &self.fields;
        let documents: Vec<TantivyDocument> = parts
            .iter()
            .map(|&text| {
                let mut document = TantivyDocument::default();
                document.add_bytes(fields.torrent, &torrent_key(&page.hash)[..]);
                document.add_bytes(fields.key, &key[..]);
                document.add_u64(fields.class, class_number(Kind::Passage, page.source));
                for name in [&page.torrent, &page.path, &page.title] {
                    let name = crate::codec::cut(name, crate::limits::NAME_BYTES_MAX);
                    document.add_text(fields.name, name);
                }
                document.add_text(fields.rest, text);
                let kept = Kept::Passage(Passage {
                    hash: page.hash,
                    source: page.source,
                    torrent: page.torrent.clone(),
                    path: page.path.clone(),
                    title: page.title.clone(),
                    text: text.to_owned(),
                });
                document.add_bytes(fields.kept, &kept.to_bytes()[..]);
                document
            })
            .collect();
        let count = documents.len() as u64;
        self.replace(key, documents)?;
        self.passages_put += count;
        Ok(())
    }

    /// Takes out what is known of a torrent from a source, its documents included.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove(&mut self, hash: &InfoHash, source: Source) -> Result<(), IndexError> {
        let fields = &self.fields;
        let term =
            |term| -> Box<dyn Query> { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) };
        let classes = Kind::ALL.map(|kind| (Occur::Should, term(fields.class(kind, source))));
        let torrent = Term::from_field_bytes(fields.torrent, &torrent_key(hash));
        let query = BooleanQuery::new(vec![
            (Occur::Must, term(torrent)),
            (Occur::Must, Box::new(BooleanQuery::new(Vec::from(classes)))),
        ]);
        self.change(|writer| writer.delete_query(Box::new(query)).map(drop))
    }

    /// Takes out all documents.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_pages(&mut self) -> Result<(), IndexError> {
        let terms = Source::ALL.map(|source| self.fields.class(Kind::Passage, source));
        self.change(|writer| {
            terms.into_iter().for_each(|term| {
                writer.delete_term(term);
            });
            Ok(())
        })
    }

    /// Takes out one listing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_listing(
        &mut self,
        hash: &InfoHash,
        source: Source,
        author: Option<NodeId>,
    ) -> Result<(), IndexError> {
        let key = Listing { author, ..Listing::new(*hash, "", source) }.key();
        let term = Term::from_field_bytes(self.fields.key, &key);
        self.change(|writer| {
            writer.delete_term(term);
            Ok(())
        })
    }

    /// Whether the document at a path of a torrent was put and committed.
    pub fn holds_page(&self, hash: &InfoHash, path: &str) -> bool {
        let key = Term::from_field_bytes(self.fields.key, &page_key(hash, path));
        self.searcher().holds(&key)
    }

    /// All listings from a source, as of the last commit, in order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn listings(&self, source: Source) -> Result<Vec<Held>, IndexError> {
        let term = self.fields.class(Kind::Listing, source);
        let mut held = self.searcher().listings(&term)?;
        held.sort();
        Ok(held)
    }

    /// Whether so much waits that it should be committed now.
    pub fn wants_commit(&self) -> bool {
        self.uncommitted >= UNCOMMITTED_MAX
    }

    /// Makes all changes last, and lets them be found. Takes some ten milliseconds at least, for the disk is
    /// waited for.
    ///
    /// # Errors
    /// It cannot be written: what was not committed is gone.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        if self.uncommitted == 0 {
            return Ok(());
        }
        self.change(|writer| writer.commit().map(drop))?;
        self.uncommitted = 0;
        self.renew()?;
        self.make_room()
    }

    /// Frees what is no longer used on disk, once parts of the index have been put together in the background.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn tidy(&mut self) -> Result<(), IndexError> {
        self.renew()?;
        if let Some(writer) = &self.writer {
            // What cannot be deleted now is the next time.
            let _ = writer.garbage_collect_files().wait();
        }
        self.measure().map_err(|error| IndexError::from_engine(&self.path, &error))
    }

    /// Waits until nothing is done in the background, and closes the index. What is not committed is gone.
    ///
    /// # Errors
    /// What was done in the background has failed; nothing of what was committed is lost.
    pub fn close(mut self) -> Result<(), IndexError> {
        match self.writer.take() {
            Some(writer) => writer
                .wait_merging_threads()
                .map_err(|error| IndexError::from_engine(&self.path, &error)),
            None => Ok(()),
        }
    }

    /// Lets what was committed be found, and counts it.
    fn renew(&mut self) -> Result<(), IndexError> {
        let renewed = guarded(|| self.reader.reload()).and_then(|()| self.measure());
        renewed.map_err(|error| IndexError::from_engine(&self.path, &error))?;
        (self.passages_put, self.listings_put) = (0, 0);
        Ok(())
    }

    /// If there is too much, marks for deletion what was met in the DHT longest ago.
    fn make_room(&mut self) -> Result<(), IndexError> {
        let searcher = self.searcher();
        let used = searcher.share_alive(self.stats.disk_bytes);
        self.is_full = used > self.bounds.disk_bytes;
        if !self.is_full {
            return Ok(());
        }
        let Some(hour) = searcher.oldest_hour(self.forgotten) else { return Ok(()) };
        self.forgotten = Some(hour);
        let term = Term::from_field_u64(self.fields.hour, hour);
        self.change(|writer| {
            writer.delete_term(term);
            Ok(())
        })
    }

    fn measure(&mut self) -> Result<(), TantivyError> {
        let searcher = self.searcher();
        let count = |kind, source| searcher.count(&self.fields.class(kind, source));
        let mut stats = Stats {
            own: count(Kind::Listing, Source::Own)?,
            shelf: count(Kind::Listing, Source::Shelf)?,
            crawled: count(Kind::Listing, Source::Crawled)?,
            ..Stats::default()
        };
        for source in Source::ALL {
            stats.passages += count(Kind::Passage, source)?;
        }
        stats.disk_bytes = bytes_in(&self.path);
        self.stats = stats;
        Ok(())
    }

    /// Puts documents in place of those with a key.
    fn replace(
        &mut self,
        key: [u8; 16],
        documents: Vec<TantivyDocument>,
    ) -> Result<(), IndexError> {
        let term = Term::from_field_bytes(self.fields.key, &key);
        let count = documents.len();
        let operations = std::iter::once(UserOperation::Delete(term))
            .chain(documents.into_iter().map(UserOperation::Add))
            .collect::<Vec<_>>();
        self.change(|writer| writer.run(operations).map(drop))?;
        self.uncommitted += count - 1;
        Ok(())
    }

    /// Changes something. After a failure the writer is of no use any more, and goes.
    fn change(
        &mut self,
        change: impl FnOnce(&mut IndexWriter) -> Result<(), TantivyError>,
    ) -> Result<(), IndexError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.new_writer()?,
        };
        match guarded(|| change(&mut writer)) {
            Ok(()) => {
                self.uncommitted += 1;
                self.writer = Some(writer);
                Ok(())
            }
            Err(error) => {
                // What is wrong, the threads know that have written.
                let cause = guarded(|| writer.prepare_commit().map(drop)).err().unwrap_or(error);
                drop(writer);
                self.is_lost = true;
                self.uncommitted = 0;
                Err(IndexError::from_engine(&self.path, &cause))
            }
        }
    }

    fn new_writer(&self) -> Result<IndexWriter, IndexError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        let writer: IndexWriter = self
            .engine
            .writer_with_options(options)
            .map_err(|error| IndexError::from_engine(&self.path, &error))?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }
}

/// Bytes of the files in a folder.
fn bytes_in(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let lengths = entries.flatten().filter_map(|entry| entry.metadata().ok());
    lengths.filter(|file| file.is_file()).map(|file| file.len()).sum()
}
