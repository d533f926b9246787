//! From the session's values to the API's, which change on different days.

mod find;
mod mail;
mod records;

pub(super) use find::{find, find_answer, find_options, find_state};
pub(super) use mail::{mail_received, mail_sent, mails};
pub(super) use records::{read_place, record, records};

use super::change;
use super::types as api;
use crate::blocks::{BlockReason, Follow, KnownList};
use crate::crawl::{Crawled, CrawlerStatus};
use crate::session::{
    BlocksStatus, DhtFamily, DhtLookup, DhtStatus, DhtTorrent, Encrypted, FileSnapshot,
    FollowedStatus, IndexStatus, IpFilterStats, NetworkStatus, OverlayLink, OverlayStatus,
    PeerSnapshot, PortMapping, PublishedStatus, Reachable, TorrentDetail, TorrentSnapshot,
    TorrentState, TrackerSnapshot, TrackerStatus, Translation,
};
use althing_base::UnixTime;
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::{File, Magnet, Metainfo};
use althing_bittorrent::swarm::{Direction, PeerSource, Transport};
use althing_dht::wire::Item;
use althing_index::{Found, IndexHit, Source};
use althing_overlay::blocks::Entry;
use althing_overlay::records::Record;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

pub(super) fn torrent(snapshot: &TorrentSnapshot) -> api::Torrent {
    let known = snapshot.pieces > 0;
    api::Torrent {
        id: snapshot.id.to_string(),
        name: snapshot.name.clone(),
        state: state(snapshot.state),
        note: snapshot.note.clone(),
        pieces_checked: match snapshot.state {
            TorrentState::Checking { done, .. } => Some(done),
            _ => None,
        },
        moved_bytes: match snapshot.state {
            TorrentState::Moving { done_bytes, .. } => Some(done_bytes),
            _ => None,
        },
        size_bytes: known.then_some(snapshot.size_bytes),
        done_bytes: snapshot.done_bytes,
        wanted_bytes: known.then_some(snapshot.wanted_bytes),
        left_bytes: snapshot.left_bytes,
        pieces: snapshot.pieces,
        pieces_done: snapshot.pieces_done,
        download_bytes_per_s: snapshot.down_bytes_per_s,
        upload_bytes_per_s: snapshot.up_bytes_per_s,
        downloaded_bytes: snapshot.downloaded_bytes,
        uploaded_bytes: snapshot.uploaded_bytes,
        peers: snapshot.peers,
        seeds: snapshot.seeds,
        known_peers: snapshot.known_peers,
        eta_s: snapshot.eta.map(|eta| eta.as_secs()),
        save_dir: snapshot.save_dir.to_string_lossy().into_owned(),
        added_unix_s: snapshot.added.as_secs(),
        completed_unix_s: snapshot.completed.map(UnixTime::as_secs),
        category: snapshot.settings.category.as_ref().map(ToString::to_string),
        tags: snapshot.settings.tags.iter().map(ToString::to_string).collect(),
    }
}

fn state(state: TorrentState) -> api::TorrentState {
    match state {
        TorrentState::Metadata => api::TorrentState::Metadata,
        TorrentState::Checking { .. } => api::TorrentState::Checking,
        TorrentState::Moving { .. } => api::TorrentState::Moving,
        TorrentState::Downloading => api::TorrentState::Downloading,
        TorrentState::Seeding => api::TorrentState::Seeding,
        TorrentState::Queued => api::TorrentState::Queued,
        TorrentState::Paused => api::TorrentState::Paused,
        TorrentState::Faulted => api::TorrentState::Failed,
    }
}

/// `metainfo` is absent as long as the session has none.
pub(super) fn detail(detail: &TorrentDetail, metainfo: Option<&Metainfo>) -> api::TorrentDetail {
    let hashes = detail.torrent.info_hashes;
    let mut trackers = Vec::<Vec<String>>::new();
    for tracker in &detail.trackers {
        let tier = tracker.tier as usize;
        // Tiers are numbered without gaps; a gap would only make empty ones here.
        if trackers.len() <= tier && tier < detail.trackers.len() {
            trackers.resize_with(tier + 1, Vec::new);
        }
        if let Some(urls) = trackers.get_mut(tier) {
            urls.push(tracker.url.clone());
        }
    }
    api::TorrentDetail {
        torrent: torrent(&detail.torrent),
        version: metainfo.map(|metainfo| version(&metainfo.info_hashes())),
        followed: None,
        published: None,
        info_hash_v1: hashes.v1().map(|hash| hash.to_string()),
        info_hash_v2: hashes.v2().map(|hash| hash.to_string()),
        peer_id: hex(&detail.peer_id.0),
        magnet: detail.magnet.clone(),
        private: detail.torrent.private,
        piece_length_bytes: metainfo.map(Metainfo::piece_length),
        files: metainfo.map(|_| u32::try_from(detail.files.len()).unwrap_or(u32::MAX)),
        wasted_bytes: detail.wasted_bytes,
        copied_bytes: detail.copied_bytes,
        settings: change::settings(&detail.torrent.settings),
        active_s: detail.torrent.active.as_secs(),
        seeding_s: detail.torrent.seeding.as_secs(),
        trackers,
        web_seeds: metainfo.map(|metainfo| metainfo.web_seeds().to_vec()).unwrap_or_default(),
        comment: detail.comment.clone(),
        created_by: detail.created_by.clone(),
        created_unix_s: detail.created.map(UnixTime::as_secs),
    }
}

/// How following a link goes.
pub(super) fn followed(followed: FollowedStatus) -> api::Followed {
    let FollowedStatus { link, seq, looked_up, note } = followed;
    api::Followed {
        key: hex(&link.feed.key),
        salt: (!link.feed.salt.is_empty()).then(|| hex(&link.feed.salt)),
        link: link.to_string(),
        seq,
        looked_up_s_ago: looked_up.map(|ago| ago.as_secs()),
        note,
    }
}

/// How publishing under a link goes.
pub(super) fn published(published: PublishedStatus) -> api::Published {
    let PublishedStatus { link, seq, put, note } = published;
    api::Published {
        key: hex(&link.feed.key),
        link: link.to_string(),
        seq,
        put_s_ago: put.map(|(ago, _)| ago.as_secs()),
        nodes: put.map_or(0, |(_, nodes)| u32::try_from(nodes).unwrap_or(u32::MAX)),
        note,
    }
}

fn version(hashes: &InfoHashes) -> api::Version {
    match (hashes.v1(), hashes.v2()) {
        (Some(_), Some(_)) => api::Version::Hybrid,
        (None, Some(_)) => api::Version::V2,
        (_, None) => api::Version::V1,
    }
}

/// The files of a torrent in the session: what it says of them, and how far they are.
pub(super) fn files(files: &[FileSnapshot], metainfo: &Metainfo) -> Vec<api::FileProgress> {
    let said = metainfo.files().iter().filter(|file| !file.is_pad());
    said.zip(files)
        .map(|(said, file)| api::FileProgress {
            index: file.index.0,
            priority: change::priority(file.priority),
            file: api::FileInfo { path: file.path.clone(), ..file_info(said) },
            done_bytes: file.done_bytes,
        })
        .collect()
}

fn file_info(file: &File) -> api::FileInfo {
    api::FileInfo {
        path: file.path().to_owned(),
        size_bytes: file.size(),
        executable: file.is_executable(),
        symlink: file.symlink().map(ToOwned::to_owned),
    }
}

pub(super) fn peer(peer: &PeerSnapshot, connected: bool) -> api::Peer {
    api::Peer {
        connected,
        addr: peer.addr.to_string(),
        peer_id: hex(&peer.peer_id.0),
        client: peer.client.clone(),
        protocol: match peer.protocol {
            crate::session::Protocol::V1 => api::Protocol::V1,
            crate::session::Protocol::V2 => api::Protocol::V2,
        },
        transport: peer.transport.map(|transport| match transport {
            Transport::Tcp => api::Transport::Tcp,
            Transport::Utp => api::Transport::Utp,
        }),
        encrypted: peer.encrypted.map(|encrypted| match encrypted {
            Encrypted::No => api::Encrypted::No,
            Encrypted::Handshake => api::Encrypted::Handshake,
            Encrypted::All => api::Encrypted::All,
        }),
        direction: match peer.direction {
            Direction::Incoming => api::Direction::Incoming,
            Direction::Outgoing => api::Direction::Outgoing,
        },
        source: match peer.source {
            PeerSource::Tracker => api::PeerSource::Tracker,
            PeerSource::Incoming => api::PeerSource::Incoming,
            PeerSource::Manual => api::PeerSource::Manual,
            PeerSource::Lsd => api::PeerSource::Lsd,
            PeerSource::WebSeed => api::PeerSource::WebSeed,
            PeerSource::Pex => api::PeerSource::Pex,
            PeerSource::Dht => api::PeerSource::Dht,
        },
        pieces_done: peer.pieces,
        download_bytes_per_s: peer.down_bytes_per_s,
        upload_bytes_per_s: peer.up_bytes_per_s,
        downloaded_bytes: peer.downloaded_bytes,
        uploaded_bytes: peer.uploaded_bytes,
        interested: peer.flags.am_interested,
        choked: peer.flags.peer_choking,
        peer_interested: peer.flags.peer_interested,
        peer_choked: peer.flags.am_choking,
        snubbed: peer.flags.snubbed,
    }
}

pub(super) fn port_mapping(status: PortMapping) -> api::PortMappingInfo {
    let (state, method, external_ip, external_port, error) = match status {
        PortMapping::Asking => (api::PortMappingState::Asking, None, None, None, None),
        PortMapping::Mapped { method, external_ip, external_port } => {
            (api::PortMappingState::Mapped, Some(method), external_ip, Some(external_port), None)
        }
        PortMapping::Failed(why) => (api::PortMappingState::Failed, None, None, None, Some(why)),
    };
    api::PortMappingInfo {
        state,
        method: method.map(|method| method.to_string()),
        external_ip: external_ip.map(|ip| ip.to_string()),
        external_port,
        error,
    }
}

pub(super) fn network(status: NetworkStatus) -> api::NetInfo {
    let address = |(ip, agree, differ, own): &(IpAddr, usize, usize, bool)| api::NetAddress {
        ip: ip.to_string(),
        networks_agree: *agree as u32,
        networks_differ: *differ as u32,
        own: *own,
    };
    api::NetInfo {
        reachable: match status.reachable {
            Reachable::Open => api::Reachable::Open,
            Reachable::Mapped => api::Reachable::Mapped,
            Reachable::Unproven => api::Reachable::Unproven,
            Reachable::Closed => api::Reachable::Closed,
            Reachable::Offline => api::Reachable::Offline,
            Reachable::NotListening => api::Reachable::NotListening,
            Reachable::ThisMachineOnly => api::Reachable::ThisMachineOnly,
        },
        summary: status.summary,
        because: status.because,
        advice: status.advice,
        addresses: status.addresses.iter().map(address).collect(),
        listening: status.listening.iter().map(ToString::to_string).collect(),
        port: status.told_port,
        translation: match status.translation {
            Translation::Unknown => api::Translation::Unknown,
            Translation::None => api::Translation::None,
            Translation::Steady => api::Translation::Steady,
            Translation::Varying => api::Translation::Varying,
        },
        holes: status.holes,
        port_mapping: status.port_mapping.map(port_mapping),
        port_mapping_udp: status.port_mapping_udp.map(port_mapping),
        interface: status.interface,
        bind: status.bind.iter().map(ToString::to_string).collect(),
        proxy: status.proxy,
        connections_in: status.incoming,
        connections_out: status.outgoing,
        arrived_tcp: status.arrived_tcp,
        arrived_utp: status.arrived_utp,
        last_arrived_s: status.last_arrived.as_ref().map(Duration::as_secs),
    }
}

pub(super) fn overlay(status: &OverlayStatus) -> api::OverlayInfo {
    let stats = &status.stats;
    let link = |link: &OverlayLink| api::OverlayLinkInfo {
        node: link.node.to_string(),
        address: link.addr.to_string(),
        outgoing: link.outgoing,
        age_s: link.age.as_secs(),
    };
    api::OverlayInfo {
        node: status.node.to_string(),
        neighbours_out: stats.views.outgoing as u32,
        neighbours_in: stats.views.incoming as u32,
        known: stats.views.passive as u32,
        super_peer: status.super_peer,
        indexed_by: stats.views.leaning as u32,
        leaves: stats.views.serving as u32,
        terms_here: stats.terms[0] as u64,
        terms_near: stats.terms[1] as u64,
        links: status.links.iter().map(link).collect(),
        records: stats.records as u64,
        record_bytes: stats.record_bytes as u64,
        received: stats.payloads,
        duplicates: stats.duplicates,
        reconciled: stats.reconciled,
        refused: stats.refused,
        clock_behind_s: stats.clock_off_s.filter(|off_s| *off_s > 0),
        clock_ahead_s: stats.clock_off_s.filter(|off_s| *off_s < 0).map(i64::wrapping_neg),
        questions: stats.questions,
    }
}

pub(super) fn index(status: Option<&IndexStatus>) -> api::IndexInfo {
    let Some(status) = status else { return api::IndexInfo::default() };
    let stats = &status.stats;
    api::IndexInfo {
        enabled: true,
        own: stats.own,
        shelf: stats.shelf,
        crawled: stats.crawled,
        passages: stats.passages,
        disk_bytes: stats.disk_bytes,
        uncommitted: stats.uncommitted,
        documents_waiting: status.documents_waiting,
        trouble: status.trouble.clone(),
    }
}

pub(super) fn index_answer(found: &Found) -> api::IndexAnswer {
    api::IndexAnswer {
        hits: found.hits.iter().map(index_found).collect(),
        matched: found.matched,
        cut: found.is_cut,
    }
}

fn index_found(hit: &IndexHit) -> api::IndexFound {
    api::IndexFound {
        info_hash_v1: hit.hash.v1().map(|hash| hash.to_string()),
        info_hash_v2: hit.hash.v2().map(|hash| hash.to_string()),
        name: hit.name.clone(),
        tags: hit.tags.clone(),
        size_bytes: Some(hit.size).filter(|&size| size > 0),
        files: Some(hit.files).filter(|&files| files > 0),
        source: match hit.source {
            Source::Own => api::IndexSource::Own,
            Source::Shelf => api::IndexSource::Shelf,
            Source::Crawled => api::IndexSource::Crawled,
        },
        authors: hit.authors.iter().map(ToString::to_string).collect(),
        seen_unix_s: Some(hit.seen).filter(|&seen| seen > 0),
        page: hit.page.as_ref().map(|page| api::IndexPage {
            path: page.path.clone(),
            title: page.title.clone(),
            snippet: page.snippet.clone(),
        }),
    }
}

pub(super) fn overlay_record(record: &Record) -> api::OverlayRecord {
    api::OverlayRecord { id: record.id().to_string(), expires_unix_s: record.expires().0 }
}

pub(super) fn crawler(status: CrawlerStatus) -> api::CrawlerInfo {
    let crawled = |crawled: Crawled| api::CrawledTorrent {
        info_hash: crawled.info_hash.to_string(),
        name: crawled.name,
        size_bytes: crawled.size,
        found_unix_s: crawled.at.0,
    };
    api::CrawlerInfo {
        enabled: status.enabled,
        asked: status.crawl.asked,
        answered: status.crawl.answered,
        heard_of: status.crawl.noted,
        looked_for: status.crawl.handed_out,
        waiting: status.crawl.ready as u64,
        named: status.named,
        nameless: status.nameless,
        left_out: status.left_out,
        slower: status.crawl.slower,
        latest: status.latest.into_iter().map(crawled).collect(),
    }
}

pub(super) fn block_list(list: &KnownList) -> api::BlockListInfo {
    api::BlockListInfo {
        author: list.author.to_string(),
        name: list.name.clone(),
        entries: list.entries as u64,
        created_unix_s: list.created,
        followed: list.followed,
    }
}

pub(super) fn blocks(status: &BlocksStatus) -> api::BlocksInfo {
    let entry = |(entry, reason): (&Entry, &BlockReason)| {
        let (kind, value) = match entry {
            Entry::Torrent(hash) => (api::BlockKind::Hash, hash.to_string()),
            Entry::Words(phrase) => (api::BlockKind::Word, phrase.to_string()),
            Entry::Author(author) => (api::BlockKind::Author, author.to_string()),
        };
        api::BlockEntry { kind, value, reason: reason.to_string() }
    };
    let follow = |follow: &Follow| api::BlockSubscription {
        author: follow.author.to_string(),
        list: follow.list.as_ref().map(ToString::to_string),
    };
    api::BlocksInfo {
        entries: status.own.iter().map(entry).collect(),
        subscriptions: status.follows.iter().map(follow).collect(),
        lists: status.lists.iter().map(block_list).collect(),
        published: status.published.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn dht(status: DhtStatus) -> api::DhtInfo {
    let family = |family: &DhtFamily| api::DhtFamilyInfo {
        ip_version: if family.v6 { 6 } else { 4 },
        id: family.id.to_string(),
        nodes: family.nodes as u64,
        nodes_in_all: family.network.map(|nodes| nodes as u64),
    };
    let (torrents_found, peers_named) = status.found;
    api::DhtInfo {
        running: status.running,
        families: status.families.iter().map(family).collect(),
        summary: status.summary,
        advice: status.advice,
        read_only: status.read_only,
        wanted: status.wanted as u64,
        torrents_found: torrents_found as u64,
        peers_named,
        stored_torrents: status.stored_torrents as u64,
        stored_peers: status.stored_peers as u64,
        stored_items: status.stored_items as u64,
        searches: status.searches as u64,
        questions: status.questions as u64,
        received_bytes: status.received_bytes.0,
        sent_bytes: status.sent_bytes.0,
        received_bytes_per_s: status.received_bytes.1,
        sent_bytes_per_s: status.sent_bytes.1,
        received_messages_per_s: status.datagrams_per_s.0,
        sent_messages_per_s: status.datagrams_per_s.1,
    }
}

pub(super) fn dht_torrent(torrent: &DhtTorrent) -> api::DhtTorrentInfo {
    api::DhtTorrentInfo {
        info_hash: torrent.info_hash.to_string(),
        searched_s_ago: torrent.searched.map(|ago| ago.as_secs()),
        announced_to: torrent.told.into(),
        next_s: torrent.next.map(|next| next.as_secs()),
        peers_named: torrent.peers_named,
        seeds: torrent.seeds,
        leechers: torrent.leechers,
    }
}

pub(super) fn dht_lookup(lookup: &DhtLookup) -> api::DhtLookupInfo {
    api::DhtLookupInfo {
        peers: lookup.peers.iter().map(ToString::to_string).collect(),
        seeds: lookup.seeds,
        leechers: lookup.leechers,
        asked: lookup.cost.asked,
        answered: lookup.cost.answered,
        took_ms: u64::try_from(lookup.cost.took.as_millis()).unwrap_or(u64::MAX),
    }
}

pub(super) fn dht_item(item: &Item) -> api::DhtItem {
    match item {
        Item::Immutable { value } => api::DhtItem { value: hex(value), ..Default::default() },
        Item::Mutable(item) => api::DhtItem {
            value: hex(&item.value),
            key: Some(hex(&item.key)),
            salt: (!item.salt.is_empty()).then(|| hex(&item.salt)),
            seq: Some(item.seq),
            signature: Some(hex(&item.signature)),
            cas: None,
        },
    }
}

pub(super) fn ip_filter(list: IpFilterStats) -> api::IpFilterInfo {
    api::IpFilterInfo {
        ranges: list.ranges as u64,
        skipped_lines: list.skipped_lines as u64,
        refused: list.refused,
    }
}

pub(super) fn tracker(tracker: &TrackerSnapshot) -> api::TrackerInfo {
    let (state, peers, message) = match &tracker.status {
        TrackerStatus::Idle => (api::TrackerState::Idle, None, None),
        TrackerStatus::Announcing => (api::TrackerState::Announcing, None, None),
        TrackerStatus::Working { peers, warning } => {
            (api::TrackerState::Working, Some(*peers), warning.clone())
        }
        TrackerStatus::Failed { error } => (api::TrackerState::Failing, None, Some(error.clone())),
    };
    api::TrackerInfo {
        url: tracker.url.clone(),
        tier: tracker.tier,
        state,
        peers,
        message,
        seeders: tracker.seeds,
        leechers: tracker.leechers,
        next_announce_s: tracker.next_announce.as_ref().map(Duration::as_secs),
    }
}

pub(super) fn pieces(detail: &TorrentDetail) -> api::PieceMap {
    api::PieceMap {
        pieces: detail.have.len(),
        pieces_done: detail.have.count_ones(),
        have: hex(detail.have.as_bytes()),
        availability: detail.availability.clone(),
    }
}

/// What a torrent file is.
pub fn inspect_torrent(metainfo: &Metainfo) -> api::InspectReport {
    let hashes = metainfo.info_hashes();
    let files: Vec<api::FileInfo> =
        metainfo.files().iter().filter(|file| !file.is_pad()).map(file_info).collect();
    api::InspectReport {
        id: hashes.primary().to_string(),
        name: Some(metainfo.name().to_owned()),
        version: version(&hashes),
        info_hash_v1: hashes.v1().map(|hash| hash.to_string()),
        info_hash_v2: hashes.v2().map(|hash| hash.to_string()),
        magnet: metainfo.magnet().to_string(),
        size_bytes: Some(
            files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size_bytes)),
        ),
        piece_length_bytes: Some(metainfo.piece_length()),
        pieces: Some(metainfo.piece_count()),
        private: metainfo.is_private(),
        trackers: metainfo.trackers().to_vec(),
        web_seeds: metainfo.web_seeds().to_vec(),
        peers: Vec::new(),
        files,
        comment: metainfo.comment().map(ToOwned::to_owned),
        created_by: metainfo.created_by().map(ToOwned::to_owned),
        created_unix_s: metainfo.creation_date().map(UnixTime::as_secs),
    }
}

/// What a magnet link says.
pub fn inspect_magnet(magnet: &Magnet) -> api::InspectReport {
    let hashes = magnet.info_hashes;
    api::InspectReport {
        id: hashes.primary().to_string(),
        name: magnet.name.clone(),
        version: version(&hashes),
        info_hash_v1: hashes.v1().map(|hash| hash.to_string()),
        info_hash_v2: hashes.v2().map(|hash| hash.to_string()),
        magnet: magnet.to_string(),
        size_bytes: None,
        piece_length_bytes: None,
        pieces: None,
        private: false,
        trackers: magnet.trackers.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: magnet.web_seeds.clone(),
        peers: magnet.peers.iter().map(ToString::to_string).collect(),
        files: Vec::new(),
        comment: None,
        created_by: None,
        created_unix_s: None,
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// Bytes that are written as hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect()).flatten()
}
