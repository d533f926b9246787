//! The crawler at work: the DHT's node says which torrents there are (BEP 51); here their names are found out,
//! a few at a time, and put into the index.
//!
//! Of a torrent the info dictionary is fetched and nothing else; it is not announced that we have it or want
//! it, and whoever is asked for it is not told where we listen. What the user blocks is not looked at. It is off unless
//! `crawler.enabled` is set.

mod limits;
mod metadata;

use crate::clock;
use crate::config::Encryption;
use crate::content;
use crate::entropy;
use crate::peer::handshake::{greet, greet_encrypted};
use crate::peer::line::{Line, Link};
use crate::session::shared::Shared;
use crate::session::{blocks, dht};
use crate::udp::DhtRequest;
use althing_base::{Sha1Digest, UnixTime};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::wire::Handshake;
use althing_bittorrent::{InfoHashes, PeerId};
use althing_dht::{CrawlConfig, CrawlStats, Goal, NodeId};
use althing_index::{Listing, Source};
use althing_overlay::records::InfoHash;
use limits::{FILES_BYTES_MAX, GREETED_WITHIN, PEERS_MAX, RESOLVED_WITHIN, SENT_WITHIN, SHOWN_MAX};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{debug, trace};

/// A torrent whose name was found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crawled {
    /// The name that the DHT knows it by.
    pub info_hash: Sha1Digest,
    /// What it is called.
    pub name: String,
    /// Bytes of all files.
    pub size: u64,
    /// When that was.
    pub at: UnixTime,
}

/// What has come of it so far; counts since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CrawlerStatus {
    /// It runs.
    pub enabled: bool,
    /// What the DHT's node says of it.
    pub crawl: CrawlStats,
    /// Torrents whose names were found out.
    pub named: u64,
    /// Torrents whose names could not be found out: nobody who has them answers.
    pub nameless: u64,
    /// Torrents that are blocked, private, or here already.
    pub left_out: u64,
    /// Those whose names were found out last, the newest first.
    pub latest: Vec<Crawled>,
}

/// What has come of it, as others see it.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    named: u64,
    nameless: u64,
    left_out: u64,
    latest: VecDeque<Crawled>,
}

/// What came of a torrent.
enum Outcome {
    Named(Box<Metainfo>),
    Nameless,
    LeftOut,
}

impl Desk {
    fn note(&self, outcome: &Outcome, info_hash: Sha1Digest) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Nameless => state.nameless += 1,
            Outcome::LeftOut => state.left_out += 1,
            Outcome::Named(metainfo) => {
                state.named += 1;
                state.latest.push_front(Crawled {
                    info_hash,
                    name: metainfo.name().to_owned(),
                    size: sizes(metainfo).map(|(_, size)| size).sum(),
                    at: clock::unix_now(),
                });
                state.latest.truncate(SHOWN_MAX);
            }
        }
    }
}

/// How it stands.
pub(crate) async fn status(shared: &Shared) -> CrawlerStatus {
    let (reply, answer) = oneshot::channel();
    shared.ask_dht(DhtRequest::CrawlStats(reply));
    let crawl = answer.await.ok().flatten();
    let state = shared.crawler.state.lock().unwrap_or_else(PoisonError::into_inner);
    CrawlerStatus {
        enabled: crawl.is_some(),
        crawl: crawl.unwrap_or_default(),
        named: state.named,
        nameless: state.nameless,
        left_out: state.left_out,
        latest: state.latest.iter().cloned().collect(),
    }
}

/// Crawls until the session ends, if the user wants that.
pub(crate) async fn run(shared: Weak<Shared>) {
    let (sender, mut found) = mpsc::unbounded_channel();
    let at_once = {
        let Some(shared) = shared.upgrade() else { return };
        let settings = &shared.config.crawler;
        if !settings.enabled || !shared.has_dht() {
            return;
        }
        let resolving = settings.names_at_once as usize;
        let config = CrawlConfig { per_s: settings.questions_per_s, resolving };
        shared.ask_dht(DhtRequest::Crawl(config, sender));
        resolving
    };
    // No more are handed out than may be looked at; this holds it to that.
    let places = Arc::new(Semaphore::new(at_once));
    while let Some(info_hash) = found.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Some(shared) = shared.upgrade() else { return };
        tokio::spawn(async move {
            let _place = place;
            let hash = Sha1Digest(info_hash.0);
            let resolving = tokio::time::timeout(RESOLVED_WITHIN, resolve(&shared, hash));
            let outcome = resolving.await.unwrap_or(Outcome::Nameless);
            if let Outcome::Named(metainfo) = &outcome {
                index(&shared, hash, metainfo);
            }
            shared.crawler.note(&outcome, hash);
            shared.ask_dht(DhtRequest::Resolved(info_hash));
        });
    }
}

/// Finds out what a torrent is.
async fn resolve(shared: &Arc<Shared>, hash: Sha1Digest) -> Outcome {
    let is_blocked = |name: &str| {
        blocks::why(&shared.blocks.filter(), InfoHashes::v1_only(hash), name).is_some()
    };
    if shared.torrents.by_hash(hash).is_some() || is_blocked("") {
        return Outcome::LeftOut;
    }
    let found = match dht::search(shared, Goal::Peers(NodeId(hash.0))).await {
        Ok(found) => found,
        Err(error) => {
            debug!(%error, "nobody can be asked who has a torrent");
            return Outcome::Nameless;
        }
    };
    let (view, port) = (shared.reach.view(), shared.told_port());
    let mut peers: Vec<SocketAddr> = found.peers;
    peers.sort_unstable();
    peers.dedup();
    peers.retain(|peer| !view.is_us(*peer, port) && shared.admission.may_connect(peer.ip()));
    for peer in peers.into_iter().take(PEERS_MAX) {
        match ask(shared, peer, hash).await {
            Ok(info) => {
                let parsing =
                    tokio::task::spawn_blocking(move || metadata::parse(&info, hash)).await;
                // It is the right one, so nobody has a better one.
                let Ok(Ok(metainfo)) = parsing else { return Outcome::Nameless };
                let left_out = metainfo.is_private() || is_blocked(metainfo.name());
                return match left_out {
                    true => Outcome::LeftOut,
                    false => Outcome::Named(Box::new(metainfo)),
                };
            }
            Err(error) => trace!(%peer, %error, "a peer has not said what a torrent is"),
        }
    }
    Outcome::Nameless
}

/// Asks a peer for the info dictionary, with encryption as the settings say.
async fn ask(shared: &Shared, peer: SocketAddr, hash: Sha1Digest) -> Result<Vec<u8>, String> {
    // Counted with all other connections.
    let _place = shared.places.take().ok_or("there is no place for a connection")?;
    let encryption = shared.config.network.encryption;
    let plainly = async {
        let stream = shared.way.connect(peer).await.map_err(|error| error.to_string())?;
        let mut line = Line { stream, link: Link::default() };
        let (hashes, ours) = greeting(hash)?;
        let theirs = greet(&mut line, hashes, ours).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((line, theirs))
    };
    let greeted = match encryption.methods() {
        None => within(plainly).await?,
        Some(_) => match within(secretly(shared, peer, hash)).await {
            Ok(greeted) => greeted,
            Err(_) if encryption == Encryption::Preferred => within(plainly).await?,
            Err(error) => return Err(error),
        },
    };
    let (mut line, theirs) = greeted;
    if !theirs.supports_extensions() {
        return Err("it has no extensions".to_owned());
    }
    let fetching = metadata::fetch(&mut line, hash);
    let fetched = tokio::time::timeout(SENT_WITHIN, fetching).await;
    fetched.map_err(|_| "it is too slow".to_owned())?.map_err(|error| error.to_string())
}

async fn within<T>(doing: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let done = tokio::time::timeout(GREETED_WITHIN, doing).await;
    done.unwrap_or_else(|_| Err("it does not answer".to_owned()))
}

/// The same handshake under encryption.
async fn secretly(
    shared: &Shared,
    peer: SocketAddr,
    hash: Sha1Digest,
) -> Result<(Line<TcpStream>, Handshake), String> {
    let methods = shared.config.network.encryption.methods().ok_or("it is off")?;
    let stream = shared.way.connect(peer).await.map_err(|error| error.to_string())?;
    let (hashes, ours) = greeting(hash)?;
    let seed = entropy::seed().map_err(|error| error.to_string())?;
    let mut answered = false;
    let greeting = greet_encrypted(stream, hashes, ours, methods, seed, &mut answered);
    greeting.await.map_err(|error| error.to_string())
}

/// Names and handshake: under another name of ours each time, and without anything that says where we are.
fn greeting(hash: Sha1Digest) -> Result<(InfoHashes, Handshake), String> {
    let seed = entropy::seed().map_err(|error| error.to_string())?;
    let id = seed.0.first_chunk().copied().ok_or("a seed is longer")?;
    Ok((InfoHashes::v1_only(hash), Handshake::new(hash, PeerId(id), false)))
}

/// Names and sizes of the files that are any.
fn sizes(metainfo: &Metainfo) -> impl Iterator<Item = (&str, u64)> {
    let files = metainfo.files().iter().filter(|file| !file.is_pad());
    files.map(|file| (file.components().next_back().unwrap_or(""), file.size()))
}

/// Puts it into the index.
fn index(shared: &Shared, hash: Sha1Digest, metainfo: &Metainfo) {
    let hashes = metainfo.info_hashes();
    let hash = match (hashes.v1(), hashes.v2()) {
        (Some(v1), Some(v2)) => InfoHash::Hybrid(v1, v2),
        (None, Some(v2)) => InfoHash::V2(v2),
        _ => InfoHash::V1(hash),
    };
    let mut listing = Listing::new(hash, metainfo.name(), Source::Crawled);
    listing.content = content::of_files(sizes(metainfo));
    for (name, size) in sizes(metainfo) {
        listing.size = listing.size.saturating_add(size);
        listing.files = listing.files.saturating_add(1);
        if name != metainfo.name() && listing.about.len() + name.len() < FILES_BYTES_MAX {
            listing.about.push_str(name);
            listing.about.push(' ');
        }
    }
    listing.seen = u64::try_from(clock::unix_now().0).unwrap_or(0);
    if let Some(index) = &shared.index
        && !index.put(listing)
    {
        debug!("the index has no time for what the crawler has found");
    }
}
