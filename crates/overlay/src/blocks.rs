//! What a node does not want to carry: a pure function from what is said of a torrent to whether it is
//! blocked here, and by whom.
//!
//! A [`Filter`] is made of the user's own entries and of lists of others whom the user follows
//! ([`BlockList`]). It looks at what is shown, answered, offered and fetched. It does not look at what is
//! passed on: whoever forwards records forwards all of them, so that nobody blocks anything for others
//! (decision 0033).

use crate::id::NodeId;
use crate::limits::{BLOCK_REASON_BYTES_MAX, BLOCKED_WORDS_MAX};
use crate::records::{BlockList, Blocks, Body, Listing, RawRecord, Salt, Target, Text};
use crate::search::limits::WORDS_OF_LISTING_MAX;
use crate::search::words::{Word, words};
use althing_base::Sha1Digest;
use std::collections::BTreeMap;

/// Something that is to be blocked, in the clear: as a user says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A torrent, by the 20 bytes that handshakes and the DHT know it by: its info-hash of v1, or the
    /// first 20 bytes of that of v2.
    Torrent(Sha1Digest),
    /// Whatever has these words in a row, in its name, one of its tags, or its description.
    Words(Phrase),
    /// All that an author says.
    Author(NodeId),
}

/// One to [`BLOCKED_WORDS_MAX`] words, as searches see words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phrase(Vec<Word>);

impl Entry {
    /// The words of a text, if it has any and not too many.
    pub fn words(text: &str) -> Option<Entry> {
        let words = words(text);
        let fits = (1..=usize::from(BLOCKED_WORDS_MAX)).contains(&words.len());
        fits.then_some(Entry::Words(Phrase(words)))
    }

    /// What it is on a list with this salt.
    pub fn target(&self, salt: Salt) -> Target {
        match self {
            Entry::Torrent(hash) => torrent_target(salt, hash),
            Entry::Words(phrase) => words_target(salt, &phrase.0),
            Entry::Author(author) => Target::new(salt, Blocks::Author, &[&author.0]),
        }
    }
}

impl std::fmt::Display for Phrase {
    /// The words with spaces between them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = self.0.iter().map(Word::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

fn torrent_target(salt: Salt, hash: &Sha1Digest) -> Target {
    Target::new(salt, Blocks::Torrent, &[&hash.0])
}

fn words_target(salt: Salt, words: &[Word]) -> Target {
    // No word has a space in it.
    let spaced = words.iter().flat_map(|word| [word.as_str().as_bytes(), &b" "[..]]);
    Target::new(salt, Blocks::Words(words.len() as u8), &spaced.collect::<Vec<_>>())
}

/// What is said of something that may be blocked.
#[derive(Clone, Debug, Default)]
pub struct Subject<'a> {
    hashes: Vec<Sha1Digest>,
    author: Option<NodeId>,
    texts: Vec<&'a str>,
}

impl<'a> Subject<'a> {
    /// Nothing yet.
    pub fn new() -> Self {
        Subject::default()
    }

    /// One of the names that handshakes know the torrent by; a hybrid has two.
    pub fn hash(mut self, hash: Sha1Digest) -> Self {
        self.hashes.push(hash);
        self
    }

    /// Who says it.
    pub fn author(mut self, author: NodeId) -> Self {
        self.author = Some(author);
        self
    }

    /// Text in which words may be blocked. Of all texts together the first [`WORDS_OF_LISTING_MAX`] words
    /// count, as in searches: by what comes after them it is not found either.
    pub fn text(mut self, text: &'a str) -> Self {
        self.texts.push(text);
        self
    }

    /// What a listing says.
    pub fn listing(listing: &'a Listing, author: NodeId) -> Self {
        let subject = listing.info_hash().short().fold(Subject::new(), Subject::hash);
        let subject = subject.author(author).text(listing.name());
        listing.tags().fold(subject, Subject::text).text(listing.about())
    }

    /// The words of each text.
    fn words(&self) -> Vec<Vec<Word>> {
        let mut left = WORDS_OF_LISTING_MAX;
        let cut = |text: &&str| {
            let mut words = words(text);
            words.truncate(left);
            left -= words.len();
            words
        };
        self.texts.iter().map(cut).collect()
    }
}

/// Whose entry it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The user's own.
    Own,
    /// One of a list that the user follows.
    List {
        /// Its author.
        author: NodeId,
        /// Its name.
        name: String,
    },
}

/// Why something is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whose entry it is.
    pub by: By,
    /// What kind of entry.
    pub blocks: Blocks,
    /// What the entry says why; often empty.
    pub reason: Text<BLOCK_REASON_BYTES_MAX>,
}

/// Entries by target, all with one salt.
#[derive(Debug)]
struct Rules {
    by: By,
    salt: Salt,
    /// For which numbers of words there are entries, a bit each.
    lengths: u32,
    entries: BTreeMap<Target, Text<BLOCK_REASON_BYTES_MAX>>,
}

impl Rules {
    fn new(by: By, salt: Salt) -> Self {
        Rules { by, salt, lengths: 0, entries: BTreeMap::new() }
    }

    fn add(&mut self, target: Target, reason: Text<BLOCK_REASON_BYTES_MAX>) {
        if let Blocks::Words(words) = target.blocks {
            self.lengths |= 1 << words;
        }
        self.entries.entry(target).or_insert(reason);
    }

    fn verdict(&self, target: Target) -> Option<Verdict> {
        let reason = self.entries.get(&target)?.clone();
        Some(Verdict { by: self.by.clone(), blocks: target.blocks, reason })
    }

    fn judge(&self, subject: &Subject<'_>, texts: &mut Option<Vec<Vec<Word>>>) -> Option<Verdict> {
        let torrent = |hash| self.verdict(torrent_target(self.salt, hash));
        if let Some(verdict) = subject.hashes.iter().find_map(torrent) {
            return Some(verdict);
        }
        let author = subject.author.map(|author| Entry::Author(author).target(self.salt));
        if let Some(verdict) = author.and_then(|target| self.verdict(target)) {
            return Some(verdict);
        }
        if self.lengths == 0 {
            return None;
        }
        let texts = texts.get_or_insert_with(|| subject.words());
        (1..=usize::from(BLOCKED_WORDS_MAX))
            .filter(|words| self.lengths & (1 << words) != 0)
            .find_map(|words| {
                let mut rows = texts.iter().flat_map(|text| text.windows(words));
                rows.find_map(|row| self.verdict(words_target(self.salt, row)))
            })
    }
}

/// What is blocked here. See the [module](self).
#[derive(Debug, Default)]
pub struct Filter {
    rules: Vec<Rules>,
}

impl Filter {
    /// The user's own entries, with reasons, and lists of others, with their authors. Parts of a list
    /// belong together; one whose salt is not that of the list's first part is not heeded, so that what a
    /// look costs does not depend on how a list is cut.
    pub fn new<'a>(
        own: impl IntoIterator<Item = (&'a Entry, &'a Text<BLOCK_REASON_BYTES_MAX>)>,
        lists: impl IntoIterator<Item = (NodeId, BlockList)>,
    ) -> Self {
        // What nobody else sees needs no salt of its own.
        let mut mine = Rules::new(By::Own, Salt([0; 16]));
        for (entry, reason) in own {
            mine.add(entry.target(mine.salt), reason.clone());
        }
        let mut parts: Vec<_> = lists.into_iter().collect();
        parts.sort_by(|(a, list_a), (b, list_b)| {
            (a, list_a.name(), list_a.part()).cmp(&(b, list_b.name(), list_b.part()))
        });
        let mut rules = vec![mine];
        for (author, list) in parts {
            let by = By::List { author, name: list.name().to_owned() };
            if rules.last().is_none_or(|rules| rules.by != by) {
                rules.push(Rules::new(by, list.salt()));
            }
            if let Some(rules) = rules.last_mut().filter(|rules| rules.salt == list.salt()) {
                for entry in list.entries() {
                    rules.add(entry.target, entry.reason.clone());
                }
            }
        }
        rules.retain(|rules| !rules.entries.is_empty());
        Filter { rules }
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether something is blocked, and why: the user's own entries first. What it costs: for each list
    /// that is followed a hash for each name, and one for each row of words of a length that is on the list.
    pub fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let mut texts = None;
        self.rules.iter().find_map(|rules| rules.judge(subject, &mut texts))
    }

    /// Whether a record that says something is blocked. One that says nothing of files is so by its
    /// author alone.
    pub fn judge_record(&self, record: &RawRecord) -> Option<Verdict> {
        if self.is_empty() {
            return None;
        }
        match record.body() {
            Body::Listing(listing) => self.judge(&Subject::listing(&listing, record.author())),
            _ => self.judge(&Subject::new().author(record.author())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::InfoHash;
    use althing_base::hash::{Sha256Digest, sha1, sha256};
    use proptest::prelude::*;

    fn author(number: u8) -> NodeId {
        NodeId([number; 32])
    }

    fn listing(name: &str, tags: &[&str], about: &str) -> Listing {
        let hash = InfoHash::Hybrid(sha1(name.as_bytes()), sha256(name.as_bytes()));
        Listing::new(hash, Text::cleaned(name), 1, 1)
            .unwrap()
            .with_tags(tags.iter().map(|tag| Text::cleaned(tag)).collect())
            .with_about(Text::cleaned(about))
    }

    fn reason() -> Text<BLOCK_REASON_BYTES_MAX> {
        Text::cleaned("because")
    }

    fn own(entries: &[Entry]) -> Filter {
        let reasons = vec![reason(); entries.len()];
        Filter::new(entries.iter().zip(&reasons), [])
    }

    fn list_of(entries: &[Entry], salt: u8) -> Vec<(NodeId, BlockList)> {
        let entries = entries.iter().map(|entry| (entry.clone(), reason()));
        let parts = BlockList::parts(&Text::cleaned("l"), Salt([salt; 16]), entries).unwrap();
        parts.into_iter().map(|part| (author(200), part)).collect()
    }

    #[test]
    fn each_kind_of_entry_blocks_what_it_names() {
        let ill = listing("Buy Cheap.Pills now", &["offer"], "from the pharmacy");
        let good = listing("A walk", &["cheap"], "pills are bad");
        let check = |entry: Entry, blocks: Blocks| {
            let filter = own(&[entry]);
            let verdict = filter.judge(&Subject::listing(&ill, author(1))).expect("it is blocked");
            assert_eq!((verdict.by, verdict.blocks), (By::Own, blocks));
            assert_eq!(filter.judge(&Subject::listing(&good, author(2))), None);
        };
        check(Entry::words("CHEAP, pills!").unwrap(), Blocks::Words(2));
        check(Entry::words("offer").unwrap(), Blocks::Words(1));
        check(Entry::Author(author(1)), Blocks::Author);
        let InfoHash::Hybrid(v1, v2) = ill.info_hash() else { panic!("a hybrid") };
        check(Entry::Torrent(v1), Blocks::Torrent);
        check(Entry::Torrent(Sha1Digest::from_slice(&v2.0[..20]).unwrap()), Blocks::Torrent);
        assert_eq!(Entry::words("a ! -"), None);
        assert_eq!(Entry::words("five words are one too many"), None);
    }

    #[test]
    fn parts_of_a_list_have_one_salt() {
        let entries: Vec<_> = (0..400u32).map(|n| Entry::Torrent(sha1(&n.to_be_bytes()))).collect();
        let blocked = |filter: &Filter| {
            let is_blocked = |entry: &&Entry| {
                let Entry::Torrent(hash) = entry else { panic!("a torrent") };
                filter.judge(&Subject::new().hash(*hash)).is_some()
            };
            entries.iter().filter(is_blocked).count()
        };
        let mut list = list_of(&entries, 1);
        assert!(list.len() > 1);
        assert_eq!(blocked(&Filter::new([], list.clone())), 400);
        let first = list[0].1.entries().len();
        let other = list_of(&entries, 2);
        list.truncate(1);
        list.push(other[1].clone());
        assert_eq!(blocked(&Filter::new([], list)), first);
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            (0..6u8).prop_map(|n| Entry::Torrent(sha1(&[n]))),
            (0..6u8).prop_map(|n| Entry::Author(author(n))),
            prop::collection::vec("[abc]{2}", 1..=4)
                .prop_map(|words| Entry::words(&words.join("-")).unwrap()),
        ]
    }

    fn any_listing() -> impl Strategy<Value = (Listing, NodeId)> {
        let text = || "[abc]{2}( [abc]{2}){0,4}";
        let tags = prop::collection::vec(text(), 0..3);
        (0..6u8, text(), tags, text(), 0..6u8).prop_map(|(hash, name, tags, about, by)| {
            let hash = InfoHash::Hybrid(sha1(&[hash]), Sha256Digest([hash; 32]));
            let tags = tags.iter().map(|tag| Text::cleaned(tag)).collect();
            let listing = Listing::new(hash, Text::cleaned(&name), 1, 1).unwrap();
            (listing.with_tags(tags).with_about(Text::cleaned(&about)), author(by))
        })
    }

    /// What the entries mean, without hashes.
    fn means(entries: &[Entry], listing: &Listing, author: NodeId) -> bool {
        let padded = |text: &str| format!(" {} ", text.replace('-', " "));
        let mut texts: Vec<_> = listing.tags().map(padded).collect();
        texts.extend([padded(listing.name()), padded(listing.about())]);
        entries.iter().any(|entry| match entry {
            Entry::Torrent(hash) => listing.info_hash().short().any(|short| short == *hash),
            Entry::Author(blocked) => *blocked == author,
            Entry::Words(phrase) => {
                texts.iter().any(|text| text.contains(&padded(&phrase.to_string())))
            }
        })
    }

    proptest! {
        #[test]
        fn who_follows_a_list_blocks_what_its_author_does(
            entries in prop::collection::vec(any_entry(), 0..6),
            (listing, by) in any_listing(),
            salt in any::<u8>(),
        ) {
            let subject = Subject::listing(&listing, by);
            let mine = own(&entries).judge(&subject).map(|verdict| verdict.blocks);
            let theirs = Filter::new([], list_of(&entries, salt)).judge(&subject);
            prop_assert_eq!(mine.is_some(), means(&entries, &listing, by));
            prop_assert_eq!(theirs.map(|verdict| verdict.blocks), mine);
        }

        #[test]
        fn another_entry_lets_nothing_through(
            entries in prop::collection::vec(any_entry(), 1..6),
            (listing, by) in any_listing(),
        ) {
            let subject = Subject::listing(&listing, by);
            let (last, fewer) = entries.split_last().expect("there is one");
            let before = own(fewer).judge(&subject).is_some();
            let joined = Filter::new([(last, &reason())], list_of(fewer, 9));
            prop_assert!(!before || own(&entries).judge(&subject).is_some());
            prop_assert!(!before || joined.judge(&subject).is_some());
        }
    }
}
