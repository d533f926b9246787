//! What is put is found, what is taken out is not, and nothing that happens to the disk loses more than it must.

use crate::index::Held;
use crate::limits::{ASKED_EVERY, PAGES_PER_TORRENT_MAX, SNIPPET_BYTES_MAX};
use crate::{Bounds, Index, IndexError, IndexHit, Listing, Page, Query, Source, What};
use althing_base::{Sha1Digest, Sha256Digest};
use althing_overlay::NodeId;
use althing_overlay::records::{Content, InfoHash};
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tantivy::directory::error::{DeleteError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, FileHandle, RamDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

fn hash(number: u8) -> InfoHash {
    InfoHash::V1(Sha1Digest([number; 20]))
}

fn listing(number: u8, name: &str) -> Listing {
    Listing::new(hash(number), name, Source::Shelf)
}

fn page(number: u8, path: &str, text: &str) -> Page {
    Page {
        hash: hash(number),
        torrent: format!("torrent {number}"),
        path: path.to_owned(),
        title: String::new(),
        text: text.to_owned(),
        source: Source::Own,
    }
}

fn new_index() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), Bounds::default()).unwrap();
    (folder, index)
}

fn find(index: &Index, query: &Query) -> Vec<IndexHit> {
    index.searcher().search(query, &|| false).unwrap().hits
}

/// Which names a question finds, the best first.
fn names(index: &Index, question: &str) -> Vec<String> {
    find(index, &Query::new(question)).into_iter().map(|hit| hit.name).collect()
}

#[test]
fn listings_are_found_by_all_their_words_and_best_by_their_names() {
    let (_folder, mut index) = new_index();
    let mut about = listing(1, "Collected lectures");
    about.about = "On the whale fisheries".to_owned();
    about.tags = vec!["history".to_owned()];
    index.put_listing(&about).unwrap();
    index.put_listing(&listing(2, "The Whale, or Moby-Dick")).unwrap();
    index
        .put_listing(&listing(3, "Whale songs and other songs of the deep and distant sea"))
        .unwrap();
    assert_eq!(names(&index, "whale"), [""; 0], "nothing is found before it lasts");
    index.commit().unwrap();
    let found = names(&index, "WHALE");
    assert_eq!(found[0], "The Whale, or Moby-Dick");
    assert_eq!(found[2], "Collected lectures");
    assert_eq!(names(&index, "whale history"), ["Collected lectures"]);
    assert_eq!(names(&index, "whale unknown"), [""; 0]);
    assert_eq!(names(&index, ""), [""; 0]);
    let stats = index.stats();
    assert_eq!((stats.shelf, stats.own, stats.passages, stats.uncommitted), (3, 0, 0, 0));
    assert!(stats.disk_bytes > 0);
}

#[test]
fn a_listing_replaces_that_of_the_same_author_and_is_shown_once_for_all() {
    let (_folder, mut index) = new_index();
    let author = |number| Some(NodeId([number; 32]));
    for (by, version) in [(1, 1), (2, 5), (1, 2)] {
        let name = format!("Atlas of birds {version}");
        let listing = Listing { author: author(by), version, seen: version, ..listing(9, &name) };
        index.put_listing(&listing).unwrap();
    }
    index.put_listing(&Listing::new(hash(9), "Birds", Source::Crawled)).unwrap();
    index.commit().unwrap();
    let held = |by, version| Held { hash: hash(9), author: author(by), version };
    assert_eq!(index.listings(Source::Shelf).unwrap(), [held(1, 2), held(2, 5)]);
    let hits = find(&index, &Query::new("birds"));
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].authors.len(), 2);
    assert_eq!((hits[0].source, hits[0].seen), (Source::Shelf, 5));

    index.remove_listing(&hash(9), Source::Shelf, author(2)).unwrap();
    index.commit().unwrap();
    assert_eq!(index.listings(Source::Shelf).unwrap(), [held(1, 2)]);
    index.remove(&hash(9), Source::Shelf).unwrap();
    index.commit().unwrap();
    assert_eq!(find(&index, &Query::new("birds"))[0].source, Source::Crawled);
    assert!(find(&index, &Query::new("birds").among(&[Source::Own, Source::Shelf])).is_empty());
}

#[test]
fn documents_are_found_by_what_they_say() {
    let (_folder, mut index) = new_index();
    let filler = "It was a quiet day in the harbour, and nothing happened. ".repeat(400);
    let text = format!("{filler}The carpenter sang of silver anchors.{filler}");
    index.put_page(&page(1, "books/harbour.txt", &text)).unwrap();
    index.put_page(&page(1, "empty.pdf", "")).unwrap();
    index.put_listing(&Listing::new(hash(1), "silver", Source::Own)).unwrap();
    index.commit().unwrap();
    assert!(index.holds_page(&hash(1), "books/harbour.txt"));
    assert!(index.holds_page(&hash(1), "empty.pdf"));
    assert!(!index.holds_page(&hash(2), "empty.pdf"));

    let hits = find(&index, &Query::new("silver carpenter harbour"));
    assert_eq!(hits.len(), 1);
    let found = hits[0].page.as_ref().unwrap();
    assert_eq!((hits[0].hash, found.path.as_str()), (hash(1), "books/harbour.txt"));
    assert!(found.snippet.contains("carpenter sang of silver anchors"), "{}", found.snippet);
    assert!(found.snippet.len() <= SNIPPET_BYTES_MAX);

    // A document is one answer, however many of its passages fit.
    assert_eq!(find(&index, &Query::new("quiet harbour")).len(), 1);
    let kinds = |what| {
        let hits = find(&index, &Query::new("silver").for_what(what));
        hits.iter().map(|hit| hit.page.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(What::Any).len(), 2);
    assert_eq!(kinds(What::Files), [false]);
    assert_eq!(kinds(What::Pages), [true]);

    index.put_page(&page(1, "books/harbour.txt", "Something else.")).unwrap();
    index.commit().unwrap();
    assert_eq!(index.stats().passages, 2, "the other passages are gone with the first");
    index.remove(&hash(1), Source::Own).unwrap();
    index.commit().unwrap();
    assert_eq!(
        index.stats(),
        crate::Stats { disk_bytes: index.stats().disk_bytes, ..Default::default() }
    );
}

#[test]
fn answers_are_bounded() {
    let (_folder, mut index) = new_index();
    for number in 0..30 {
        index.put_page(&page(1, &format!("{number}.txt"), "a common word")).unwrap();
        index.put_listing(&listing(number, &format!("common {number}"))).unwrap();
    }
    index.commit().unwrap();
    let pages = find(&index, &Query::new("common").for_what(What::Pages));
    assert_eq!(pages.len(), PAGES_PER_TORRENT_MAX);
    assert_eq!(find(&index, &Query::new("common").for_what(What::Files)).len(), 10);
    assert_eq!(find(&index, &Query::new("common").for_what(What::Files).wanted(25)).len(), 25);
    assert_eq!(find(&index, &Query::new("common").wanted(0)).len(), 0);
}

#[test]
fn a_question_that_takes_too_long_is_answered_with_what_there_is() {
    let (_folder, mut index) = new_index();
    for number in 0..3_000u32 {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let hash = InfoHash::V1(Sha1Digest(bytes));
        index.put_listing(&Listing::new(hash, "always the same", Source::Crawled)).unwrap();
    }
    index.commit().unwrap();
    let searcher = index.searcher();
    let found = searcher.search(&Query::new("same"), &|| true).unwrap();
    assert!(found.is_cut);
    assert_eq!((found.matched, found.hits.len()), (1_024, 10));
    let found = searcher.search(&Query::new("same"), &|| false).unwrap();
    assert!(!found.is_cut);
    assert_eq!(found.matched, 3_000);
}

#[test]
fn what_is_committed_while_somebody_asks_does_not_change_the_answer() {
    let (_folder, index) = new_index();
    let index = RefCell::new(index);
    let numbered = |number: u32| {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        InfoHash::V1(Sha1Digest(bytes))
    };
    for number in 0..ASKED_EVERY {
        let listing = Listing::new(numbered(number), "always the same", Source::Crawled);
        index.borrow_mut().put_listing(&listing).unwrap();
    }
    index.borrow_mut().commit().unwrap();
    let searcher = index.borrow().searcher();
    let take_all_out = || {
        let mut index = index.borrow_mut();
        for number in 0..ASKED_EVERY {
            index.remove(&numbered(number), Source::Crawled).unwrap();
        }
        index.commit().unwrap();
        false
    };
    let found = searcher.search(&Query::new("same"), &take_all_out).unwrap();
    assert_eq!((found.matched, found.hits.len()), (u64::from(ASKED_EVERY), 10));
    assert!(searcher.search(&Query::new("same"), &|| false).unwrap().hits.is_empty());
}

#[test]
fn torrents_of_v2_and_both_are_known_too() {
    let (_folder, mut index) = new_index();
    let v2 = InfoHash::V2(Sha256Digest([5; 32]));
    let both = InfoHash::Hybrid(Sha1Digest([6; 20]), Sha256Digest([7; 32]));
    for (hash, name) in [(v2, "second"), (both, "both")] {
        let listing = Listing {
            content: Content::AUDIO,
            size: 1 << 40,
            files: 7,
            tags: vec!["tag".to_owned()],
            ..Listing::new(hash, name, Source::Own)
        };
        index.put_listing(&listing).unwrap();
    }
    index.commit().unwrap();
    for (hash, name) in [(v2, "second"), (both, "both")] {
        let hit = find(&index, &Query::new(name)).remove(0);
        assert_eq!((hit.hash, hit.size, hit.files), (hash, 1 << 40, 7));
        assert_eq!((hit.content, hit.tags), (Content::AUDIO, vec!["tag".to_owned()]));
    }
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_the_rest_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = Index::open(folder.path(), Bounds::default()).unwrap();
    assert!(index.is_new());
    index.put_listing(&listing(1, "lasting")).unwrap();
    index.commit().unwrap();
    index.put_listing(&listing(2, "fleeting")).unwrap();
    // As when the process is killed.
    drop(index);
    let index = Index::open(folder.path(), Bounds::default()).unwrap();
    assert!(!index.is_new());
    assert_eq!(index.stats().shelf, 1);
    assert_eq!(names(&index, "lasting"), ["lasting"]);
    assert_eq!(names(&index, "fleeting"), [""; 0]);
    index.close().unwrap();
}

#[test]
fn a_newer_format_is_refused_with_advice_and_an_older_one_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = Index::open(folder.path(), Bounds::default()).unwrap();
    index.put_listing(&listing(1, "old")).unwrap();
    index.commit().unwrap();
    drop(index);
    std::fs::write(folder.path().join("format"), "2\n").unwrap();
    let error = Index::open(folder.path(), Bounds::default()).err().unwrap();
    assert!(matches!(error, IndexError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("delete that folder"), "{error}");
    std::fs::write(folder.path().join("format"), "0\n").unwrap();
    let index = Index::open(folder.path(), Bounds::default()).unwrap();
    assert!(index.is_new());
    assert_eq!(names(&index, "old"), [""; 0]);
}

#[test]
fn a_damaged_index_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    for damage in [&b""[..], b"{}", b"\0\0\0\0"] {
        let mut index = Index::open(folder.path(), Bounds::default()).unwrap();
        index.put_listing(&listing(1, "something")).unwrap();
        index.commit().unwrap();
        index.close().unwrap();
        std::fs::write(folder.path().join("meta.json"), damage).unwrap();
        let index = Index::open(folder.path(), Bounds::default()).unwrap();
        assert!(index.is_new(), "{damage:?}");
        drop(index);
    }
    // Parts that are gone or cut off.
    for cut in [false, true] {
        let mut index = Index::open(folder.path(), Bounds::default()).unwrap();
        index.put_listing(&listing(1, "something")).unwrap();
        index.commit().unwrap();
        index.close().unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "term" || extension == "idx") {
                if cut {
                    std::fs::write(path, b"short").unwrap();
                } else {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
        let index = Index::open(folder.path(), Bounds::default()).unwrap();
        assert!(index.is_new(), "cut: {cut}");
    }
}

#[test]
fn what_was_met_longest_ago_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = Index::open(folder.path(), Bounds { disk_bytes: 60_000 }).unwrap();
    let own = Listing::new(hash(1), "our own", Source::Own);
    index.put_listing(&own).unwrap();
    let mut number = 0u32;
    let mut most = 0;
    for hour in 0..40u64 {
        for _ in 0..50 {
            number += 1;
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let hash = InfoHash::V1(Sha1Digest(bytes));
            let name = format!("met in hour{hour}x as number {number}");
            let listing =
                Listing { seen: hour * 3_600, ..Listing::new(hash, &name, Source::Crawled) };
            match index.put_listing(&listing) {
                Ok(()) | Err(IndexError::Full { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        index.commit().unwrap();
        most = most.max(index.stats().crawled);
    }
    index.commit().unwrap();
    assert!(most < 1_000, "{most}");
    assert_eq!(names(&index, "own"), ["our own"]);
    assert_eq!(names(&index, "hour0x"), [""; 0]);
    // Our own is taken all the same.
    index.put_listing(&Listing::new(hash(2), "our second", Source::Own)).unwrap();
    index.commit().unwrap();
    assert_eq!(names(&index, "second"), ["our second"]);
}

/// A folder on a disk that can be full.
#[derive(Clone, Debug)]
struct Disk {
    inner: RamDirectory,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

struct File {
    inner: WritePtr,
    disk: Disk,
}

impl io::Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.check()?;
        self.inner.flush()
    }
}

impl TerminatingWrite for File {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.disk.check()?;
        self.inner.terminate_ref(token)
    }
}

impl Directory for Disk {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let inner = self.inner.open_write(path)?;
        Ok(io::BufWriter::new(Box::new(File { inner, disk: self.clone() })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let disk = Disk { inner: RamDirectory::create(), is_full: Arc::default() };
    let mut index = Index::open_in(Path::new("/nowhere"), disk.clone(), Bounds::default()).unwrap();
    index.put_listing(&listing(1, "before")).unwrap();
    index.commit().unwrap();

    disk.is_full.store(true, Ordering::Relaxed);
    index.put_listing(&listing(2, "meanwhile")).unwrap();
    let error = index.commit().unwrap_err();
    assert!(matches!(error, IndexError::DiskFull { .. }), "{error}");
    assert!(index.take_lost());
    assert!(!index.take_lost());
    assert_eq!(names(&index, "before"), ["before"]);
    let error = index.put_listing(&listing(2, "meanwhile")).and_then(|()| index.commit());
    assert!(matches!(error, Err(IndexError::DiskFull { .. })), "{error:?}");

    disk.is_full.store(false, Ordering::Relaxed);
    index.put_listing(&listing(3, "afterwards")).unwrap();
    index.commit().unwrap();
    assert_eq!(names(&index, "before"), ["before"]);
    assert_eq!(names(&index, "meanwhile"), [""; 0]);
    assert_eq!(names(&index, "afterwards"), ["afterwards"]);
}
