//! What this peer does not want to carry: the user's own entries, lists of others that he follows, and
//! the filter that is made of both (decision 0033).
//!
//! Whoever shows, answers with, offers or fetches something asks `Desk::filter` and nothing else.

mod file;
pub(crate) mod limits;

pub(crate) use file::short_hash;

use althing_overlay::blocks::{Entry, Filter};
use althing_overlay::limits::{BLOCK_LIST_NAME_BYTES_MAX, BLOCK_REASON_BYTES_MAX};
use althing_overlay::records::{Body, Key, Kind, Record, Salt, Text};
use althing_overlay::{NetworkKey, NodeId};
use limits::{ENTRIES_MAX, FOLLOWED_LISTS_MAX, FOLLOWS_MAX, KEPT_RECORDS_MAX, PUBLISHED_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A list's name.
pub type ListName = Text<BLOCK_LIST_NAME_BYTES_MAX>;

/// Why something is blocked.
pub type BlockReason = Text<BLOCK_REASON_BYTES_MAX>;

/// Whose lists count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Follow {
    /// Who made them.
    pub author: NodeId,
    /// The one that counts; all of his if `None`.
    pub list: Option<ListName>,
}

/// A list of somebody else's, as it was last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownList {
    /// Who made it.
    pub author: NodeId,
    /// What it is called.
    pub name: String,
    /// How many entries it has.
    pub entries: usize,
    /// When its newest part was made, in seconds since 1970.
    pub created: i64,
    /// Whether the user follows it.
    pub followed: bool,
}

/// What `blocks.toml` has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    own: BTreeMap<Entry, BlockReason>,
    follows: BTreeSet<Follow>,
    /// What we publish, and with which salt.
    published: BTreeMap<ListName, Salt>,
}

/// See the [module](self).
pub(crate) struct Desk {
    path: PathBuf,
    lists_path: PathBuf,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

struct Inner {
    state: State,
    /// Parts of lists that are followed, as they were last said.
    lists: BTreeMap<Key, Record>,
    /// They are not on disk yet.
    unsaved: bool,
    /// Made of all this; none if something has changed since.
    filter: Option<Arc<Filter>>,
}

impl Desk {
    /// Reads what is blocked; nothing if there is no such file. `network` is where lists come from.
    ///
    /// # Errors
    /// With a sentence, if a file cannot be read or understood: what the user does not want must not show
    /// because of it.
    pub(crate) fn open(
        path: PathBuf,
        lists_path: PathBuf,
        network: &NetworkKey,
    ) -> Result<Self, String> {
        let mended = |path: &Path, reason: &str| {
            format!("{} cannot be used: {reason}; mend it, or move it away", path.display())
        };
        let state = file::read(&path).map_err(|reason| mended(&path, &reason))?;
        let lists = file::read_lists(&lists_path, network);
        let lists = lists.map_err(|reason| mended(&lists_path, &reason))?;
        let lists = lists.into_iter().map(|record| (record.key(), record)).collect();
        let inner = Mutex::new(Inner { state, lists, unsaved: false, filter: None });
        Ok(Desk { path, lists_path, inner, changed: watch::Sender::new(0) })
    }

    /// What is blocked. Cheap unless something has changed since it was last asked for.
    pub(crate) fn filter(&self) -> Arc<Filter> {
        let mut inner = self.lock();
        if let Some(filter) = &inner.filter {
            return Arc::clone(filter);
        }
        let filter = Arc::new(inner.made());
        inner.filter = Some(Arc::clone(&filter));
        filter
    }

    /// Tells when [`filter`](Self::filter) says something else than before.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The user's own entries, with reasons.
    pub(crate) fn own(&self) -> BTreeMap<Entry, BlockReason> {
        self.lock().state.own.clone()
    }

    /// Whose lists count.
    pub(crate) fn follows(&self) -> BTreeSet<Follow> {
        self.lock().state.follows.clone()
    }

    /// The names under which own entries are published.
    pub(crate) fn published(&self) -> Vec<ListName> {
        self.lock().state.published.keys().cloned().collect()
    }

    /// The lists that are followed, as far as they are known.
    pub(crate) fn lists(&self) -> Vec<KnownList> {
        let inner = self.lock();
        known_lists(inner.lists.values(), |_, _| true)
    }

    /// Blocks something, on disk when this returns; says whether it is new.
    ///
    /// # Errors
    /// With a sentence, if it cannot be written or there are too many.
    pub(crate) fn add(&self, entry: Entry, reason: BlockReason) -> Result<bool, String> {
        self.change(|state| {
            if state.own.len() >= ENTRIES_MAX && !state.own.contains_key(&entry) {
                return Err(format!("there are {ENTRIES_MAX} entries; remove some"));
            }
            Ok(state.own.insert(entry, reason).is_none())
        })
    }

    /// Blocks something no longer; says whether it was.
    ///
    /// # Errors
    /// With a sentence, if it cannot be written.
    pub(crate) fn remove(&self, entry: &Entry) -> Result<bool, String> {
        self.change(|state| Ok(state.own.remove(entry).is_some()))
    }

    /// Lets lists of an author count; says whether they did not.
    ///
    /// # Errors
    /// With a sentence, if it cannot be written or they are too many.
    pub(crate) fn follow(&self, follow: Follow) -> Result<bool, String> {
        self.change(|state| {
            if state.follows.len() >= FOLLOWS_MAX && !state.follows.contains(&follow) {
                return Err(format!("you follow {FOLLOWS_MAX} lists; follow one less first"));
            }
            Ok(state.follows.insert(follow))
        })
    }

    /// Lets lists count no longer; says whether they did.
    ///
    /// # Errors
    /// With a sentence, if it cannot be written.
    pub(crate) fn unfollow(&self, follow: &Follow) -> Result<bool, String> {
        let did = self.change(|state| Ok(state.follows.remove(follow)))?;
        self.prune();
        Ok(did)
    }

    /// The salt of a list of ours: the one that it had before, or `fresh`.
    ///
    /// # Errors
    /// With a sentence, if it cannot be written or there are too many.
    pub(crate) fn publish(&self, name: &ListName, fresh: Salt) -> Result<Salt, String> {
        self.change(|state| {
            if state.published.len() >= PUBLISHED_MAX && !state.published.contains_key(name) {
                return Err(format!("you publish {PUBLISHED_MAX} lists; take one back first"));
            }
            Ok(*state.published.entry(name.clone()).or_insert(fresh))
        })
    }

    /// A list of ours is published no longer; says whether it was.
    ///
    /// # Errors
    /// With a sentence, if it cannot be written.
    pub(crate) fn unpublish(&self, name: &ListName) -> Result<bool, String> {
        self.change(|state| Ok(state.published.remove(name).is_some()))
    }

    /// Whether lists of an author count.
    pub(crate) fn follows_any_of(&self, author: &NodeId) -> bool {
        self.lock().state.follows.iter().any(|follow| follow.author == *author)
    }

    /// The authors of whom lists count.
    pub(crate) fn authors(&self) -> BTreeSet<NodeId> {
        self.lock().state.follows.iter().map(|follow| follow.author).collect()
    }

    /// A record is on the shelf. What it says counts if it is of a list that is followed. Cheap for all
    /// others.
    pub(crate) fn heed(&self, record: &Record) {
        if record.kind() != Kind::BLOCK_LIST {
            return;
        }
        let mut inner = self.lock();
        if inner.heed(record) {
            inner.filter = None;
            inner.unsaved = true;
            drop(inner);
            self.changed.send_modify(|version| *version += 1);
        }
    }

    /// Whether [`save`](Self::save) has something to do.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.lock().unsaved
    }

    /// Writes lists that have changed to disk. What could not be written is tried again the next time.
    ///
    /// # Errors
    /// The system's words.
    pub(crate) fn save(&self) -> std::io::Result<()> {
        let records: Vec<Record> = {
            let mut inner = self.lock();
            inner.unsaved = false;
            inner.lists.values().cloned().collect()
        };
        let written = file::write_lists(&self.lists_path, &records);
        if written.is_err() {
            self.lock().unsaved = true;
        }
        written
    }

    /// Drops what is not followed any more.
    fn prune(&self) {
        let mut inner = self.lock();
        let Inner { state, lists, unsaved, .. } = &mut *inner;
        let before = lists.len();
        lists.retain(|_, record| match record.body() {
            Body::BlockList(list) => state.counts(&record.author(), list.name()),
            _ => false,
        });
        *unsaved |= lists.len() != before;
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, String>) -> Result<T, String> {
        let mut inner = self.lock();
        let mut changed = inner.state.clone();
        let result = change(&mut changed)?;
        if changed != inner.state {
            file::write(&self.path, &changed).map_err(|error| {
                format!("{} cannot be written: {error}; mend the disk", self.path.display())
            })?;
            inner.state = changed;
            inner.filter = None;
            drop(inner);
            self.changed.send_modify(|version| *version += 1);
        }
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Desk {
    /// Says how much is blocked, and not what.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.lock();
        write!(f, "Desk({} entries, {} records of lists)", inner.state.own.len(), inner.lists.len())
    }
}

impl State {
    /// Whether a list counts.
    fn counts(&self, author: &NodeId, name: &str) -> bool {
        let mut follows = self.follows.iter().filter(|follow| follow.author == *author);
        follows.any(|follow| follow.list.as_ref().is_none_or(|list| list.as_str() == name))
    }
}

impl Inner {
    fn heed(&mut self, record: &Record) -> bool {
        let key = record.key();
        let before = self.lists.get(&key);
        if before.is_some_and(|before| before.version() >= record.version()) {
            return false;
        }
        match record.body() {
            Body::BlockList(list) if self.state.counts(&record.author(), list.name()) => {
                if before.is_none() && self.lists.len() >= KEPT_RECORDS_MAX {
                    return false;
                }
                self.lists.insert(key, record.clone());
                true
            }
            // Taken back, or said in a way that is not understood.
            _ => self.lists.remove(&key).is_some(),
        }
    }

    fn made(&self) -> Filter {
        let mut lists = BTreeSet::new();
        let counting = self.lists.values().filter_map(|record| match record.body() {
            Body::BlockList(list) => Some((record.author(), list)),
            _ => None,
        });
        let bounded = counting.filter(|(author, list)| {
            let list = (*author, list.name().to_owned());
            lists.contains(&list) || lists.len() < FOLLOWED_LISTS_MAX && lists.insert(list)
        });
        Filter::new(&self.state.own, bounded)
    }
}

/// Puts parts together to lists, those of which `wanted` says so.
pub(crate) fn known_lists<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    wanted: impl Fn(&NodeId, &str) -> bool,
) -> Vec<KnownList> {
    let mut lists: BTreeMap<(NodeId, String), KnownList> = BTreeMap::new();
    for record in records {
        let Body::BlockList(list) = record.body() else { continue };
        let (author, name) = (record.author(), list.name().to_owned());
        if !wanted(&author, &name) {
            continue;
        }
        let known = lists.entry((author, name.clone())).or_insert(KnownList {
            author,
            name,
            entries: 0,
            created: 0,
            followed: true,
        });
        known.entries += list.entries().len();
        known.created = known.created.max(record.created().0);
    }
    lists.into_values().collect()
}

/// Whether a list is followed.
pub(crate) fn is_followed(follows: &BTreeSet<Follow>, author: &NodeId, name: &str) -> bool {
    State { follows: follows.clone(), ..State::default() }.counts(author, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::UnixTime;
    use althing_base::hash::sha1;
    use althing_overlay::Keys;
    use althing_overlay::blocks::Subject;
    use althing_overlay::records::{BlockList, Draft};

    fn network() -> NetworkKey {
        NetworkKey::derive("test")
    }

    fn open(dir: &Path) -> Desk {
        let (path, lists) = (dir.join("blocks.toml"), dir.join("blocks.lists"));
        Desk::open(path, lists, &network()).expect("it is readable")
    }

    fn keys() -> Keys {
        Keys::from_secret(&[5; 32])
    }

    fn name(text: &str) -> ListName {
        Text::new(text).expect("a name")
    }

    fn list(list: &str, words: &[&str], created: i64) -> Record {
        let entries =
            words.iter().map(|word| (Entry::words(word).expect("words"), Text::default()));
        let mut parts = BlockList::parts(&name(list), Salt([1; 16]), entries).expect("a list");
        let draft = Draft::block_list(parts.remove(0), UnixTime(created), 60);
        draft.sign(&keys(), &network()).expect("a record")
    }

    fn blocks(desk: &Desk, text: &str) -> bool {
        desk.filter().judge(&Subject::new().text(text)).is_some()
    }

    #[test]
    fn what_is_blocked_is_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let desk = open(dir.path());
        let entries = [
            Entry::Torrent(sha1(b"1")),
            Entry::words("Cheap Pills").expect("words"),
            Entry::Author(keys().node()),
        ];
        for entry in &entries {
            let reason = Text::new("\"no\"").expect("a text");
            assert_eq!(desk.add(entry.clone(), reason), Ok(true));
        }
        let follow = Follow { author: keys().node(), list: Some(name("spam")) };
        assert_eq!(desk.follow(follow.clone()), Ok(true));
        assert_eq!(desk.follow(Follow { author: NodeId([1; 32]), list: None }), Ok(true));
        assert_eq!(desk.publish(&name("mine"), Salt([3; 16])), Ok(Salt([3; 16])));
        assert_eq!(desk.publish(&name("mine"), Salt([4; 16])), Ok(Salt([3; 16])));
        desk.heed(&list("spam", &["watches"], 10));
        desk.save().expect("it is written");
        let again = open(dir.path());
        assert_eq!(again.own(), desk.own());
        assert_eq!(again.follows(), desk.follows());
        assert_eq!(again.publish(&name("mine"), Salt([4; 16])), Ok(Salt([3; 16])));
        assert!(blocks(&again, "cheap pills") && blocks(&again, "watches"));
        assert_eq!(again.remove(&entries[1]), Ok(true));
        assert!(!blocks(&open(dir.path()), "cheap pills"));
        assert_eq!(again.unfollow(&follow), Ok(true));
        again.save().expect("it is written");
        assert!(!blocks(&open(dir.path()), "watches"));
    }

    #[test]
    fn only_what_is_followed_counts_and_the_newest_of_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let desk = open(dir.path());
        desk.heed(&list("spam", &["watches"], 10));
        assert!(!blocks(&desk, "watches"));
        let follow = Follow { author: keys().node(), list: Some(name("spam")) };
        desk.follow(follow).expect("it is written");
        let mut changes = desk.changes();
        changes.mark_unchanged();
        desk.heed(&list("other", &["boats"], 10));
        assert!(!blocks(&desk, "boats") && !changes.has_changed().expect("it is there"));
        desk.heed(&list("spam", &["watches"], 10));
        assert!(blocks(&desk, "watches") && changes.has_changed().expect("it is there"));
        desk.heed(&list("spam", &["handbags"], 20));
        assert!(blocks(&desk, "handbags") && !blocks(&desk, "watches"));
        desk.heed(&list("spam", &["watches"], 15));
        assert!(!blocks(&desk, "watches"));
        let known = desk.lists();
        assert_eq!((known.len(), known[0].entries, known[0].created), (1, 1, 20));
        let back = Draft::withdrawal(&list("spam", &["handbags"], 20), UnixTime(30));
        desk.heed(&back.sign(&keys(), &network()).expect("a record"));
        assert!(!blocks(&desk, "handbags"));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let desk = open(dir.path());
        desk.follow(Follow { author: keys().node(), list: None }).expect("it is written");
        desk.heed(&list("spam", &["watches"], 10));
        desk.save().expect("it is written");
        let opened = |lists: &str| {
            let paths = (dir.path().join("blocks.toml"), dir.path().join(lists));
            Desk::open(paths.0, paths.1, &network()).map(|desk| blocks(&desk, "watches"))
        };
        assert_eq!(opened("blocks.lists"), Ok(true));
        // A list of another network, or one that was changed, is nothing.
        let mut bytes = std::fs::read(dir.path().join("blocks.lists")).expect("it is there");
        let last = bytes.len() - 20;
        bytes[last] ^= 1;
        std::fs::write(dir.path().join("changed"), &bytes).expect("it is written");
        assert_eq!(opened("changed"), Ok(false));
        std::fs::write(dir.path().join("blocks.toml"), "[[block]]\nwrd = 'x'").expect("written");
        let refused = opened("blocks.lists").expect_err("it is not understood");
        assert!(refused.contains("blocks.toml") && refused.contains("mend"), "{refused}");
    }
}
