//! What the model assumes and where it gives up. Each constant says its unit and its source.

use althing_base::time::Duration;

/// The shortest time between two hosts, one way: neighbours in one city.
pub const LATENCY_MIN: Duration = Duration::from_millis(10);

/// The longest time between two hosts, one way: opposite corners of the map, about half the globe.
pub const LATENCY_MAX: Duration = Duration::from_millis(100);

/// Bytes that one direction of a connection has in flight and not yet read: then the sender waits,
/// as TCP does. Linux grows its windows to about this much over such round trips.
pub const WINDOW_BYTES: u32 = 512 * 1024;

/// Bytes that an uplink takes from one connection before the next has its turn, and that it works
/// off before it looks up again: one block and its header.
pub const BURST_BYTES: u32 = 16 * 1024 + 13;

/// Bytes of TCP and IP headers for each [`SEGMENT_BYTES`] of data.
pub const HEADER_BYTES: u32 = 40;

/// Bytes of data in a full packet on Ethernet.
pub const SEGMENT_BYTES: u32 = 1460;

/// What is lost is sent again after a round trip and this time: Linux's least time-out.
pub const RETRANSMIT_WAIT: Duration = Duration::from_millis(200);

/// Packets below this size pass a receiver's downlink without waiting for blocks of other
/// connections, as they do through any home router that queues fairly.
pub const SMALL_BYTES: u32 = 1460;

/// Messages for one peer that wait to be sent, in bytes; past it the driver closes the connection.
/// The tokio driver's `OUT_QUEUE_BYTES_MAX`.
pub const OUT_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A host that does not answer is given up after this time. The tokio driver's `CONNECT_TIMEOUT`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of an announce and its answer on the wire are not counted, but the time is: a tracker
/// thinks this long.
pub const TRACKER_THINKS: Duration = Duration::from_millis(5);

/// A restarted process lacks the pieces it stored within this time before it was killed: its
/// records are written this often, and what they do not name is fetched again.
pub const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// Times that a machine may ask to be woken at one and the same instant; past it it is in a busy
/// loop, and the run ends with a panic that names the reason.
pub const WAKES_AT_ONCE_MAX: u32 = 16;

/// Times that a machine may ask to be woken within one second; past it, the same.
pub const WAKES_PER_SECOND_MAX: u32 = 200;

/// Events of one run; past it, the run ends as a failure rather than never.
pub const EVENTS_MAX: u64 = 2_000_000_000;

/// Violations that a report spells out; further ones are counted.
pub const VIOLATIONS_SHOWN: usize = 20;

/// How often the world is looked at from outside: bounds are checked and figures taken.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How often a babbler says something.
pub const BABBLE_INTERVAL: Duration = Duration::from_millis(250);

/// How long nodes of the DHT have after joining before anything is measured.
pub const DHT_SETTLE: Duration = Duration::from_secs(120);

/// How long a NAT lets in whom somebody behind it has written to; half a minute is common for UDP.
pub const NAT_MAPPING: Duration = Duration::from_secs(30);

/// Hosts that a NAT remembers so for one that is behind it; the oldest is forgotten past them.
pub const NAT_MAPPINGS_MAX: usize = 256;

/// A search in the DHT that has not ended after this time never will.
pub const SEARCH_MAX: Duration = Duration::from_secs(120);

/// How long nodes of the overlay have after the last has joined before anything is measured.
pub const OVERLAY_SETTLE: Duration = Duration::from_secs(120);

/// How long it takes to ask the meeting place: a lookup in the DHT with half of its nodes dead and a
/// tracker's answer come sooner.
pub const MEETING_TIME: Duration = Duration::from_secs(1);

/// Addresses that the meeting place names, of all who ever came: a node of the DHT keeps them for up to
/// 45 minutes after they are gone, and several nodes are asked.
pub const MEETING_NAMES: usize = 40;

const _: () = assert!(WINDOW_BYTES >= 2 * BURST_BYTES);
