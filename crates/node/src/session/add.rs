//! Adding torrents.

use super::blocks;
use super::follow;
use super::shared::{self, Entry, Shared, Taken};
use super::wishes;
use super::{AddError, AddOptions, AddSource, Event, TorrentId, TorrentState};
use crate::clock;
use crate::config::{NodeName, Reach};
use crate::limits::{DHT_NODES_PER_TORRENT, NAMED_PEERS_MAX, TORRENTS_MAX};
use crate::shard::{Command, NewTorrent, Start};
use crate::udp::{DhtRequest, may_look_up};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::{Magnet, Metainfo, PeerAddress};
use althing_bittorrent::swarm::{FilePriorities, Source};
use althing_store::files::Location;
use althing_store::limits::RECORD_PEERS_MAX;
use althing_store::records::Record;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Adds a torrent; see [`Session::add`](super::Session::add).
pub(super) async fn add(
    shared: &Arc<Shared>,
    source: AddSource,
    options: AddOptions,
) -> Result<TorrentId, AddError> {
    let mut source = match source {
        AddSource::Magnet(magnet) => Source::Magnet(magnet),
        AddSource::Torrent(bytes) => parse(bytes).await?,
        AddSource::Follow(link) => return follow::add(shared, link, options).await,
    };
    let mut settings = options.settings.clone();
    if options.skip_files {
        wishes::want_none(&mut source, &mut settings);
    }
    let (hashes, name) = match &source {
        Source::Metainfo(metainfo) => (metainfo.info_hashes(), metainfo.name().to_owned()),
        Source::Magnet(magnet) => (magnet.info_hashes, magnet_name(magnet)),
    };
    // What is shared from where it lies is the user's own.
    let wanted = options.anyway || options.in_place.is_some();
    if !wanted && let Some(why) = blocks::why(&shared.blocks.filter(), hashes, &name) {
        return Err(AddError::Blocked { name, why });
    }
    let location = location(shared, &source, &options)?;
    if shared.torrents.len() >= TORRENTS_MAX {
        return Err(AddError::TooMany { max: TORRENTS_MAX });
    }
    let added = clock::unix_now();
    let mut shown = shared::blank(hashes, name, added);
    shown.save_dir = folder(&location);
    // After all others, unless it is to stand somewhere.
    if settings.queue == 0 {
        settings.queue = shared.queue_last.load(Ordering::Relaxed);
    }
    let settings = settings.shared();
    shown.settings = Arc::clone(&settings);
    if let Source::Metainfo(metainfo) = &source {
        shared::describe(&mut shown, metainfo);
        shown.state = TorrentState::Checking { done: 0, total: metainfo.piece_count() };
    } else {
        shown.state = TorrentState::Metadata;
    }
    let name: Arc<str> = shown.name.as_str().into();
    let entry = Arc::new(Entry::new(shared.torrents.new_key(), shard_of(shared, hashes), shown));
    entry.anyway.store(wanted, Ordering::Relaxed);
    let id = entry.id;
    let (peers, hosts) = peers(&source, options.peers);
    if let Err(Taken(other)) = shared.torrents.insert(&entry, hashes) {
        // Whoever is named now may be the only one who has it.
        shared.send(&other, Command::Peers(other.key, peers));
        look_up(shared, &other, hosts);
        return Err(AddError::AlreadyHere { id: other.id, name: other.name() });
    }
    let mut trackers = trackers(&source);
    trackers.extend(options.trackers.iter().map(|url| vec![url.clone()]));
    let mut record = Record::new(location.clone(), added);
    record.paused = options.paused;
    record.trackers = options.trackers;
    record.settings = Arc::clone(&settings);
    // Until it has met others, they are where to begin after a restart, too.
    record.peers = peers.iter().copied().take(RECORD_PEERS_MAX).collect();
    let metainfo = match &source {
        Source::Metainfo(metainfo) => Some(Arc::clone(metainfo)),
        Source::Magnet(magnet) => {
            record.magnet = Some(magnet.to_string());
            None
        }
    };
    if let Err(reason) = shared.persist.add(id, record, metainfo).await {
        shared.torrents.remove(id);
        return Err(AddError::Save { reason });
    }
    let link_wants = match &source {
        Source::Magnet(magnet) => wishes::of_link(magnet),
        Source::Metainfo(_) => FilePriorities::default(),
    };
    let waits = !options.trusted && shared.queue_full.load(Ordering::Relaxed);
    entry.waits.store(waits, Ordering::Relaxed);
    let start = if options.trusted { Start::Complete } else { Start::Look };
    let paused = options.paused;
    let new = NewTorrent::new(Arc::clone(&entry), source, location, start, settings);
    let new = NewTorrent { trackers, paused, waits, link_wants, peers, ..new };
    if let Source::Metainfo(metainfo) = &new.source {
        ask_nodes(shared, metainfo);
    }
    shared.emit(Event::Added { id, name });
    shared.send(&entry, Command::Add(Box::new(new)));
    look_up(shared, &entry, hosts);
    Ok(id)
}

/// Parsing takes a while for the largest torrents, so it is done elsewhere.
async fn parse(torrent: Vec<u8>) -> Result<Source, AddError> {
    let parsing = tokio::task::spawn_blocking(move || Metainfo::parse(&torrent));
    let metainfo = parsing.await.map_err(|_| AddError::Stopping)??;
    Ok(Source::Metainfo(Arc::new(metainfo)))
}

/// What a torrent is called until its own name is known.
pub(super) fn magnet_name(magnet: &Magnet) -> String {
    magnet.name.clone().unwrap_or_else(|| magnet.info_hashes.primary().to_string())
}

/// Which shard has a torrent: any rule does that deals them out evenly.
pub(crate) fn shard_of(shared: &Shared, hashes: InfoHashes) -> usize {
    let [first, second, ..] = hashes.primary().0;
    usize::from(u16::from_be_bytes([first, second])) % shared.shards().len().max(1)
}

/// Where a torrent's files are or will be.
fn location(shared: &Shared, source: &Source, options: &AddOptions) -> Result<Location, AddError> {
    let place = match &options.in_place {
        Some(place) if !matches!(place, Location::Under(_)) => place,
        under => {
            let named = under.as_ref().map(Location::path).or(options.save_dir.as_deref());
            let category = options.settings.category.as_ref();
            let place = named
                .map(Path::to_owned)
                .or_else(|| shared.categories.get(category?)?.save_dir)
                .unwrap_or_else(|| shared.download_dir());
            return Ok(Location::Under(absolute(&place)));
        }
    };
    let path = place.path();
    let not_in_place =
        |reason: &str| AddError::NotInPlace { path: path.to_owned(), reason: reason.to_owned() };
    let found = std::fs::metadata(path).map_err(|error| not_in_place(&error.to_string()))?;
    if let Source::Metainfo(metainfo) = source {
        let data_files = metainfo.files().iter().filter(|file| !file.is_pad());
        let is_folder = data_files.clone().any(|file| file.components().nth(1).is_some());
        match (is_folder, found.is_dir()) {
            (true, false) => return Err(not_in_place("it is a file, and the torrent has several")),
            (false, true) => return Err(not_in_place("it is a folder, and the torrent is a file")),
            _ => {}
        }
    }
    Ok(match place {
        Location::Renamed { names, .. } => {
            Location::Renamed { path: absolute(path), names: names.clone() }
        }
        _ => Location::At(absolute(path)),
    })
}

/// The daemon may be started somewhere else the next time.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The folder that a torrent's file or folder is in.
pub(crate) fn folder(location: &Location) -> PathBuf {
    match location {
        Location::Under(folder) => folder.clone(),
        Location::At(path) | Location::Renamed { path, .. } => {
            path.parent().unwrap_or(path).to_owned()
        }
    }
}

pub(super) fn trackers(source: &Source) -> Vec<Vec<String>> {
    match source {
        Source::Metainfo(metainfo) => metainfo.trackers().to_vec(),
        Source::Magnet(magnet) => magnet.trackers.iter().map(|url| vec![url.clone()]).collect(),
    }
}

/// Peers that are named by host and port.
pub(super) type Hosts = Vec<(String, u16)>;

/// Peers that are named with the torrent: addresses, and names still to be looked up.
pub(super) fn peers(source: &Source, named: Vec<SocketAddr>) -> (Vec<SocketAddr>, Hosts) {
    let (mut peers, mut hosts) = (named, Vec::new());
    if let Source::Magnet(magnet) = source {
        for peer in &magnet.peers {
            match peer {
                PeerAddress::Ip(addr) => peers.push(*addr),
                PeerAddress::Host(name, port) => hosts.push((name.clone(), *port)),
            }
        }
    }
    (peers, hosts)
}

/// Looks up the names of peers and hands the addresses on.
pub(super) fn look_up(shared: &Arc<Shared>, entry: &Arc<Entry>, hosts: Hosts) {
    // Asking a name server would be talking to somebody beyond this machine, or past the proxy.
    let reach = shared.config.network.reach;
    let direct = shared.way.proxy().is_none();
    let may_ask = |host: &str| direct && (reach == Reach::Any || host == "localhost");
    for (host, port) in hosts.into_iter().take(NAMED_PEERS_MAX) {
        if !may_ask(&host) {
            continue;
        }
        let (shared, entry) = (Arc::clone(shared), Arc::clone(entry));
        tokio::spawn(async move {
            let Ok(peers) = shared.way.lookup(&host, port).await else { return };
            shared.send(&entry, Command::Peers(entry.key, peers));
        });
    }
}

/// The nodes of the DHT that a torrent names (BEP 5), of those that may be asked.
pub(super) fn nodes_of(shared: &Shared, metainfo: &Metainfo) -> Vec<NodeName> {
    if metainfo.is_private() || !shared.has_dht() {
        return Vec::new();
    }
    let reach = shared.config.network.reach;
    let nodes = metainfo.nodes().iter().filter(|(host, _)| may_look_up(reach, host));
    nodes.filter_map(|(host, port)| NodeName::of(host, *port)).take(DHT_NODES_PER_TORRENT).collect()
}

/// The nodes that a torrent names are asked whether they are there.
fn ask_nodes(shared: &Arc<Shared>, metainfo: &Metainfo) {
    let nodes = nodes_of(shared, metainfo);
    if nodes.is_empty() {
        return;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        for node in nodes {
            if let Ok(addrs) = shared.way.lookup(node.host(), node.port()).await {
                shared.ask_dht(DhtRequest::Contacts(addrs));
            }
        }
    });
}
