//! The torrents of the last run: read, compared with their files from outside, and dealt to the
//! shards, all cores at once.

use super::add;
use super::shared::{self, Entry, Shared};
use super::ticket::{Counter, Ticket};
use super::wishes;
use super::{Event, StartError, TorrentId, TorrentState};
use crate::config::NodeName;
use crate::limits::{DHT_NODES_NAMED_MAX, LOADED_AHEAD_MAX};
use crate::shard::{Command, NewTorrent, Spent, Start, Totals, remove_leftovers};
use crate::udp::DhtRequest;
use althing_bittorrent::metainfo::{Magnet, Metainfo};
use althing_bittorrent::swarm::Source;
use althing_store::files::{DiskFiles, Root};
use althing_store::records::{self, RecordError, Stored, Unmoved};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::warn;

/// Loads what the records have. A torrent whose record is damaged is left out and said; the others
/// are not kept from starting.
///
/// # Errors
/// If the records as a whole cannot be read.
pub(super) fn load(shared: &Arc<Shared>) -> Result<(), StartError> {
    let moves = match shared.persist.records().map(|records| records.moves()) {
        Some(Ok(moves)) => moves,
        Some(Err(error)) => return Err(StartError::Records { reason: error.to_string() }),
        None => return Ok(()),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let Some(records) = shared.persist.records() else { return Ok(()) };
    let stored = Mutex::new(records.iter());
    let failure = Mutex::new(None);
    let unresolved = Mutex::new(Vec::new());
    let nodes = Mutex::new(Vec::new());
    let tickets = Counter::new(LOADED_AHEAD_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(next) = next(&stored) {
                    match next {
                        Ok(stored) => {
                            let unmoved = moves.get(&stored.id);
                            let names = (&unresolved, &nodes);
                            start(shared, stored, unmoved, names, tickets.take());
                        }
                        Err(error @ RecordError::Damaged { .. }) => {
                            tell(shared, &error.to_string());
                        }
                        Err(error) => {
                            guard(&failure).get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = guard(&failure).take() {
        return Err(StartError::Records { reason: error.to_string() });
    }
    for (entry, hosts) in std::mem::take(&mut *guard(&unresolved)) {
        add::look_up(shared, &entry, hosts);
    }
    let nodes = std::mem::take(&mut *guard(&nodes));
    if !nodes.is_empty() {
        shared.ask_dht(DhtRequest::Named(nodes));
    }
    Ok(())
}

/// Takes one from the iterator that all threads share.
fn next<T>(iter: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    guard(iter).next()
}

fn guard<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(shared: &Shared, sentence: &str) {
    warn!("{sentence}");
    shared.emit(Event::Note { id: None, sentence: sentence.into() });
}

/// What torrents name that may have to be looked up: peers, and nodes of the DHT.
type Names<'a> = (&'a Mutex<Vec<(Arc<Entry>, add::Hosts)>>, &'a Mutex<Vec<NodeName>>);

/// Hands a torrent to its shard, if it can be read.
fn start(
    shared: &Arc<Shared>,
    stored: Stored,
    unmoved: Option<&Unmoved>,
    (unresolved, nodes): Names<'_>,
    ticket: Ticket,
) {
    let Stored { id, record, torrent, resume } = stored;
    let source = match (&torrent, &record.magnet) {
        (Some(bytes), _) => Metainfo::parse(bytes)
            .map(|metainfo| Source::Metainfo(Arc::new(metainfo)))
            .map_err(|error| error.to_string()),
        (None, Some(link)) => {
            link.parse::<Magnet>().map(Source::Magnet).map_err(|error| error.to_string())
        }
        (None, None) => Err("there is neither a torrent nor a magnet link".to_owned()),
    };
    let source = match source {
        Ok(source) => source,
        Err(reason) => {
            tell(shared, &format!("torrent {id} cannot be loaded: {reason}; add it again"));
            return;
        }
    };
    let mut shown = match &source {
        Source::Metainfo(metainfo) => {
            let mut shown = shared::blank(metainfo.info_hashes(), String::new(), record.added);
            shared::describe(&mut shown, metainfo);
            shown.state = TorrentState::Checking { done: 0, total: 0 };
            shown
        }
        Source::Magnet(magnet) => {
            let name = add::magnet_name(magnet);
            let mut shown = shared::blank(magnet.info_hashes, name, record.added);
            shown.state = TorrentState::Metadata;
            shown
        }
    };
    // A magnet link may have named the torrent by another of its info-hashes.
    shown.id = TorrentId(id);
    shown.settings = Arc::clone(&record.settings);
    shown.save_dir = add::folder(&record.location);
    let partials = resume.as_ref().map(|resume| resume.partials.clone()).unwrap_or_default();
    let checked = resume.as_ref().is_none_or(|resume| resume.unchecked.is_none());
    let moving = match unmoved {
        Some(Unmoved::To(to)) => Some(to.clone()),
        Some(Unmoved::From(_)) | None => None,
    };
    let (start, note) = match &source {
        // Some of the files are here and some there; they are looked at when they are together.
        _ if moving.is_some() => (Start::Look, None),
        Source::Metainfo(metainfo) => {
            let root = Root::new(&record.location, metainfo.files());
            let found = records::assess(resume.as_ref(), metainfo, &root, &DiskFiles);
            let note = found.notes.first().map(|note| note.as_str().into());
            (Start::Resume { have: found.trusted, check: found.to_verify }, note)
        }
        Source::Magnet(_) => (Start::Look, None),
    };
    // What was shared from where it lies was never fetched, and is no download that waits either.
    let whole = matches!(&start, Start::Resume { have, .. } if have.is_full());
    shown.completed = record.completed.or_else(|| whole.then_some(record.added));
    let complete = shown.completed.is_some();
    // Whoever looks before the shard has begun is not to take what came before for news.
    (shown.downloaded_bytes, shown.uploaded_bytes) = (record.downloaded, record.uploaded);
    let link = record.magnet.as_ref().and_then(|link| link.parse::<Magnet>().ok());
    let link_wants = link.as_ref().map(wishes::of_link).unwrap_or_default();
    let hashes = shown.info_hashes;
    let shard = add::shard_of(shared, hashes);
    let entry = Arc::new(Entry::new(shared.torrents.new_key(), shard, shown));
    if shared.torrents.insert(&entry, hashes).is_err() {
        tell(shared, &format!("torrent {id} is there twice; the second is left alone"));
        return;
    }
    if let (Some(Unmoved::From(old)), Source::Metainfo(metainfo)) = (unmoved, &source) {
        let (shared, entry) = (Arc::clone(shared), Arc::clone(&entry));
        let (old, metainfo) = (Root::new(old, metainfo.files()), Arc::clone(metainfo));
        // Nothing waits for it: what belongs to the torrent is elsewhere.
        std::thread::spawn(move || remove_leftovers(&shared, &entry, &metainfo, &old));
    }
    // Who was named by host name was not written down otherwise.
    let (peers, hosts) = match (&source, record.peers.is_empty()) {
        (Source::Magnet(_), true) => add::peers(&source, Vec::new()),
        _ => (record.peers, Vec::new()),
    };
    if !hosts.is_empty() {
        guard(unresolved).push((Arc::clone(&entry), hosts));
    }
    if let Source::Metainfo(metainfo) = &source {
        let mut nodes = guard(nodes);
        if nodes.len() < DHT_NODES_NAMED_MAX {
            nodes.extend(add::nodes_of(shared, metainfo));
        }
    }
    let mut trackers = add::trackers(&source);
    trackers.extend(record.trackers.iter().map(|url| vec![url.clone()]));
    // The steward lets go on those whose turn it is, as soon as all are there.
    let queue = &shared.config.queue;
    let bound = if complete { queue.seeds } else { queue.downloads };
    let waits = bound > 0 || queue.active > 0;
    entry.waits.store(waits, Ordering::Relaxed);
    shared.queue_last.fetch_max(record.settings.queue, Ordering::Relaxed);
    let new = NewTorrent {
        entry: Arc::clone(&entry),
        source,
        trackers,
        paused: record.paused,
        waits,
        location: record.location,
        start,
        ticket: Some(ticket),
        link_wants,
        peers,
        spent: Spent { active: record.active, seeding: record.seeding },
        settings: record.settings,
        before: Totals { downloaded: record.downloaded, uploaded: record.uploaded },
        note,
        partials,
        moving,
        check_paused: record.paused && !checked,
        application: None,
    };
    shared.send(&entry, Command::Add(Box::new(new)));
}
