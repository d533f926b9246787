//! Figures for Prometheus: `althing_…`, units last.

use crate::rates::Flow;
use crate::session::SessionStats;
use crate::session::shared::Shared;
use crate::udp::DhtGauges;
use althing_bittorrent::swarm::Direction;
use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the drivers count, from all threads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Bytes read from peers' sockets, protocol included.
    received: AtomicU64,
    /// Bytes written to peers' sockets, protocol included.
    sent: AtomicU64,
    /// Payload of blocks received.
    payload_received: AtomicU64,
    /// Payload of blocks sent.
    payload_sent: AtomicU64,
    /// Connections to peers there are: those that they opened, and those that we did.
    connections: [AtomicU64; 2],
    /// The DHT's node.
    pub(crate) dht: DhtGauges,
}

/// A connection that counts for as long as this is there.
pub(crate) struct Counted<'a>(&'a AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub(crate) fn received_bytes(&self, len: usize) {
        self.received.fetch_add(len as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent_bytes(&self, len: usize) {
        self.sent.fetch_add(len as u64, Ordering::Relaxed);
    }

    pub(crate) fn received_payload(&self, len: u64) {
        self.payload_received.fetch_add(len, Ordering::Relaxed);
    }

    pub(crate) fn sent_payload(&self, len: u64) {
        self.payload_sent.fetch_add(len, Ordering::Relaxed);
    }

    /// Counts one more connection to a peer.
    pub(crate) fn connection(&self, direction: Direction) -> Counted<'_> {
        let count = &self.connections[usize::from(direction == Direction::Outgoing)];
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }

    /// Connections to peers there are: those that they opened, and those that we did.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let [incoming, outgoing] = &self.connections;
        (incoming.load(Ordering::Relaxed), outgoing.load(Ordering::Relaxed))
    }

    /// Payload received and sent since the start, in bytes.
    pub(crate) fn payload(&self) -> (u64, u64) {
        (self.payload_received.load(Ordering::Relaxed), self.payload_sent.load(Ordering::Relaxed))
    }
}

/// One figure.
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    value: u64,
}

/// All figures as Prometheus reads them (text format 0.0.4).
pub(crate) fn render(shared: &Shared, stats: &SessionStats) -> String {
    let mut text = String::new();
    for Metric { name, help, kind, value } in metrics(shared, stats) {
        write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
            .expect("writing to a string");
    }
    text
}

fn metrics(shared: &Shared, stats: &SessionStats) -> Vec<Metric> {
    let counters = &shared.counters;
    let pool = shared.pool.gauges();
    let limits = shared.governor.limits();
    let (slots_used, slots_total) = shared.slots.figures();
    let limit = |flow: Flow| limits.global[flow.index()].map_or(0, NonZeroU64::get);
    let counter = |name, help, value| Metric { name, help, kind: "counter", value };
    let gauge = |name, help, value| Metric { name, help, kind: "gauge", value };
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let dht = counters.dht.metrics().map(|(name, help, grows, value)| {
        let kind = if grows { "counter" } else { "gauge" };
        Metric { name, help, kind, value }
    });
    let mut all = vec![
        counter(
            "althing_peer_received_bytes",
            "Bytes read from peers, protocol included.",
            load(&counters.received),
        ),
        counter(
            "althing_peer_sent_bytes",
            "Bytes written to peers, protocol included.",
            load(&counters.sent),
        ),
        counter(
            "althing_payload_received_bytes",
            "Payload of blocks received, wanted or not.",
            stats.downloaded_bytes,
        ),
        counter("althing_payload_sent_bytes", "Payload of blocks sent.", stats.uploaded_bytes),
        gauge("althing_torrents", "Torrents in the session.", stats.torrents.into()),
        gauge(
            "althing_torrents_downloading",
            "Torrents that are fetching.",
            stats.downloading.into(),
        ),
        gauge("althing_torrents_seeding", "Torrents that are complete.", stats.seeding.into()),
        gauge("althing_torrents_queued", "Torrents that wait in the queue.", stats.queued.into()),
        gauge(
            "althing_limit_upload_bytes_per_s",
            "Bytes a second that all torrents together may send now; 0 is no limit.",
            limit(Flow::Up),
        ),
        gauge(
            "althing_limit_download_bytes_per_s",
            "Bytes a second that all torrents together may receive now; 0 is no limit.",
            limit(Flow::Down),
        ),
        gauge("althing_peers", "Connected peers.", stats.peers.into()),
        gauge(
            "althing_upload_slots",
            "Peers that may be uploaded to at the same time.",
            slots_total,
        ),
        gauge(
            "althing_upload_slots_used",
            "Upload slots that torrents have peers for.",
            slots_used,
        ),
        gauge(
            "althing_connections",
            "Connections to peers that stand or are being made.",
            shared.places.taken() as u64,
        ),
        gauge(
            "althing_connections_half_open",
            "Incoming connections whose handshake is not through.",
            shared.admission.half_open() as u64,
        ),
        gauge(
            "althing_banned_addresses",
            "Addresses kept out because they sent bad data.",
            stats.banned.into(),
        ),
        gauge(
            "althing_buffer_bytes",
            "Memory of blocks between network and disk, both ways.",
            stats.buffer_bytes,
        ),
        gauge(
            "althing_disk_queued_bytes",
            "Blocks that wait to be hashed.",
            pool.queued_bytes as u64,
        ),
        gauge(
            "althing_disk_held_bytes",
            "Blocks of unfinished pieces in memory.",
            pool.held_bytes as u64,
        ),
        counter(
            "althing_disk_spilled_bytes",
            "Blocks written before their piece was complete, to free memory.",
            pool.spilled_bytes,
        ),
        gauge(
            "althing_disk_read_buffer_bytes",
            "Buffers for reads, in use or kept for reuse.",
            pool.read_buffer_bytes as u64,
        ),
        gauge("althing_disk_open_files", "Files open.", pool.open_files as u64),
    ];
    all.extend(dht);
    let overlay = shared.overlay.iter().flat_map(|overlay| overlay.gauges().metrics());
    all.extend(overlay.map(|(name, help, grows, value)| {
        let kind = if grows { "counter" } else { "gauge" };
        Metric { name, help, kind, value }
    }));
    all
}
