//! Answers of one search: one for each torrent, whoever has told of it.

use super::limits::{ANSWERS_MAX, AUTHORS_MAX, PAGES_MAX, PEERS_MAX};
use althing_base::UnixTime;
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::{Magnet, PeerAddress};
use althing_index::{IndexHit, PageHit};
use althing_overlay::NodeId;
use althing_overlay::records::{Body, Content, Record};
use std::net::SocketAddr;
use std::time::Duration;

/// A torrent that was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Which it is of its search, from 1 on; it stays the same.
    pub number: u32,
    /// By which it is fetched.
    pub info_hashes: InfoHashes,
    /// What whoever told of it first calls it.
    pub name: String,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u32,
    /// What they are.
    pub content: Content,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// A description; often empty.
    pub about: String,
    /// Who says that they have it, in the order in which they were heard of.
    pub authors: Vec<NodeId>,
    /// When one of them last said so.
    pub created: UnixTime,
    /// Peers of ours that answered with it.
    pub brought_by: Vec<NodeId>,
    /// We knew of it without asking anybody.
    pub here: bool,
    /// Others have answered with it.
    pub network: bool,
    /// Nobody has answered with it but who seems to answer everything.
    pub is_doubtful: bool,
    /// Documents in it that have the words.
    pub pages: Vec<AnswerPage>,
    /// How many have all of it, if that could be found out.
    pub seeders: Option<u32>,
    /// Where some of those listen who have it, as far as the overlay knows.
    pub peers: Vec<SocketAddr>,
    /// How long after the beginning it came.
    pub after: Duration,
    /// How long after it others answered with it first.
    pub network_after: Option<Duration>,
    /// The version of the search in which it last changed.
    changed: u64,
}

/// A document that has the words.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AnswerPage {
    /// Its path in the torrent.
    pub path: String,
    /// What stands around the words; empty if that is not known.
    pub snippet: String,
}

impl Answer {
    /// One of which nothing is known but how it is fetched.
    fn blank(info_hashes: InfoHashes, created: UnixTime, after: Duration, changed: u64) -> Self {
        Answer {
            number: 0,
            info_hashes,
            name: String::new(),
            size_bytes: 0,
            files: 0,
            content: Content::OTHER,
            tags: Vec::new(),
            about: String::new(),
            authors: Vec::new(),
            brought_by: Vec::new(),
            created,
            here: false,
            network: false,
            // Until somebody brings it who is not in doubt.
            is_doubtful: true,
            pages: Vec::new(),
            seeders: None,
            peers: Vec::new(),
            after,
            network_after: None,
            changed,
        }
    }

    /// What fetches it.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            info_hashes: self.info_hashes,
            name: Some(self.name.clone()),
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: self.peers.iter().copied().map(PeerAddress::Ip).collect(),
            select: Vec::new(),
        }
    }
}

/// From where it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// We knew it without asking.
    Here,
    /// Somebody has answered.
    Network,
}

/// What a search is told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// A listing that has the words.
    Listing {
        record: Box<Record>,
        source: Source,
        page: Option<AnswerPage>,
        /// Where whoever has it listens, if that is known.
        peers: Vec<SocketAddr>,
        /// Who answered, if somebody did and it is known.
        from: Option<NodeId>,
        /// Somebody on its way doubts it.
        is_doubtful: bool,
    },
    /// What the index on disk has found.
    Indexed(Box<IndexHit>),
    /// How many have all of it.
    Seeders { info_hashes: InfoHashes, count: u32 },
}

/// The answers of one search, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<Answer>);

impl Answers {
    pub(super) fn all(&self) -> &[Answer] {
        &self.0
    }

    /// Those that have changed since.
    pub(super) fn since(&self, version: u64) -> Vec<Answer> {
        self.0.iter().filter(|answer| answer.changed > version).cloned().collect()
    }

    /// Takes something; whether it was new.
    pub(super) fn tell(&mut self, told: Told, version: u64, after: Duration) -> bool {
        match told {
            Told::Indexed(hit) => self.indexed(*hit, version, after),
            Told::Listing { record, source, page, peers, from, is_doubtful } => {
                let Body::Listing(listing) = record.body() else { return false };
                let hash = listing.info_hash();
                let Some(info_hashes) = InfoHashes::new(hash.v1(), hash.v2()) else {
                    return false;
                };
                let created = record.created();
                let new = || Answer {
                    name: listing.name().to_owned(),
                    size_bytes: listing.size(),
                    files: listing.files(),
                    content: listing.content(),
                    tags: listing.tags().map(str::to_owned).collect(),
                    about: listing.about().to_owned(),
                    ..Answer::blank(info_hashes, created, after, version)
                };
                let Some(answer) = self.of(info_hashes, new) else { return false };
                let before = answer.clone();
                // Hybrid torrents are listed by some under one name alone.
                answer.info_hashes = InfoHashes::new(
                    answer.info_hashes.v1().or(hash.v1()),
                    answer.info_hashes.v2().or(hash.v2()),
                )
                .unwrap_or(info_hashes);
                answer.is_doubtful &= is_doubtful;
                put(&mut answer.authors, record.author(), AUTHORS_MAX);
                answer.created = answer.created.max(record.created());
                if let Some(page) = page {
                    put(&mut answer.pages, page, PAGES_MAX);
                }
                for peer in peers {
                    put(&mut answer.peers, peer, PEERS_MAX);
                }
                match source {
                    Source::Here => answer.here = true,
                    Source::Network => {
                        answer.network = true;
                        answer.network_after.get_or_insert(after);
                    }
                }
                let is_news = *answer != before || before.authors.is_empty();
                // It counts for its place, and is nothing to tell.
                if let Some(from) = from {
                    put(&mut answer.brought_by, from, AUTHORS_MAX);
                }
                if is_news {
                    answer.changed = version;
                }
                is_news
            }
            Told::Seeders { info_hashes, count } => {
                let at = self.position(info_hashes);
                let Some(answer) = at.and_then(|at| self.0.get_mut(at)) else { return false };
                let is_news = answer.seeders != Some(count);
                (answer.seeders, answer.changed) = (Some(count), version);
                is_news
            }
        }
    }

    /// Takes what the index on disk has found.
    fn indexed(&mut self, hit: IndexHit, version: u64, after: Duration) -> bool {
        let Some(info_hashes) = InfoHashes::new(hit.hash.v1(), hit.hash.v2()) else { return false };
        let seen = UnixTime(i64::try_from(hit.seen).unwrap_or(i64::MAX));
        let new = || Answer {
            name: hit.name,
            size_bytes: hit.size,
            files: hit.files,
            content: hit.content,
            tags: hit.tags,
            authors: hit.authors.into_iter().take(AUTHORS_MAX).collect(),
            ..Answer::blank(info_hashes, seen, after, version)
        };
        let Some(answer) = self.of(info_hashes, new) else { return false };
        let pages = answer.pages.len();
        if let Some(PageHit { path, snippet, .. }) = hit.page {
            put(&mut answer.pages, AnswerPage { path, snippet }, PAGES_MAX);
        }
        let is_news = !answer.here || answer.pages.len() > pages;
        (answer.here, answer.is_doubtful) = (true, false);
        if is_news {
            answer.changed = version;
        }
        is_news
    }

    /// The answer of a torrent; a new one, with the next number, if there is none yet and there is room.
    fn of(&mut self, info_hashes: InfoHashes, new: impl FnOnce() -> Answer) -> Option<&mut Answer> {
        let at = self.position(info_hashes).unwrap_or(self.0.len());
        if at == self.0.len() {
            if at >= ANSWERS_MAX {
                return None;
            }
            let number = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
            self.0.push(Answer { number, ..new() });
        }
        self.0.get_mut(at)
    }

    fn position(&self, hashes: InfoHashes) -> Option<usize> {
        let is_it = |answer: &Answer| {
            let same_v1 = hashes.v1().is_some() && answer.info_hashes.v1() == hashes.v1();
            let same_v2 = hashes.v2().is_some() && answer.info_hashes.v2() == hashes.v2();
            same_v1 || same_v2
        };
        self.0.iter().position(is_it)
    }
}

/// Adds what is not there yet, if there is room.
fn put<T: PartialEq>(all: &mut Vec<T>, one: T, most: usize) {
    if all.len() < most && !all.contains(&one) {
        all.push(one);
    }
}
