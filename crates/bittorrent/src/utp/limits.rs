//! What bounds uTP. Each constant says its unit, what follows from it and where the figure comes from.

use std::time::Duration;

/// Bytes of a uTP header (BEP 29).
pub const HEADER_BYTES: usize = 20;

/// The largest payload of a UDP datagram over IPv4, in bytes (RFC 768, RFC 791). More is never probed
/// for, also not over IPv6, where 20 bytes less go through an interface of the same size.
pub const DATAGRAM_BYTES_MAX: u16 = 65_507;

/// What a path is trusted with before anything is known of it, in bytes of UDP payload: every path
/// of IPv6 takes it (RFC 8200: 1280 less 48), and nearly all of IPv4.
pub const DATAGRAM_BYTES_START: u16 = 1_232;

/// What is left when even that does not arrive over IPv4: 576 less 28 (RFC 1122).
pub const DATAGRAM_BYTES_MIN_V4: u16 = 548;

/// What Ethernet takes over IPv4: 1500 less 28. Tried first.
pub const DATAGRAM_BYTES_ETHERNET_V4: u16 = 1_472;

/// The same over IPv6: 1500 less 48.
pub const DATAGRAM_BYTES_ETHERNET_V6: u16 = 1_452;

/// The search for a path's size ends when it is known this closely, in bytes (libutp's 16).
pub const MTU_SEARCH_STEP: u16 = 16;

/// Lost probes of a size after which the size is held to be too large. Two: one may have been lost
/// as any other packet (RFC 8899 takes three).
pub const MTU_PROBES_PER_SIZE: u8 = 2;

/// After that long a larger size is tried again (RFC 8899, PMTU_RAISE_TIMER).
pub const MTU_RAISE_AFTER: Duration = Duration::from_secs(600);

/// Packets between the oldest that is not acknowledged and the newest sent, at most. libutp drops
/// what is 1,024 ahead of what it expects, libtorrent what is `1 MiB / 1100` = 953 ahead.
pub const PACKETS_UNDERWAY_MAX: usize = 950;

/// Packets ahead of the one expected that are kept: as libutp.
pub const REORDER_PACKETS_MAX: usize = 1_024;

/// Bytes of a selective acknowledgement that are written, at most: a bit for each of
/// [`REORDER_PACKETS_MAX`].
pub const SACK_BYTES_MAX: usize = 128;

/// The delay that we add to a path and no more (BEP 29, RFC 6817: 100 ms).
pub const TARGET_DELAY: Duration = Duration::from_millis(100);

/// By how many bytes the window grows in a round trip when nothing waits in the path (libutp:
/// 3,000, as libtorrent). Where a packet is larger than that, by one packet, as RFC 6817 has it.
pub const GAIN_BYTES: u64 = 3_000;

/// What is left of the window after a loss, in hundredths (BEP 29).
pub const AFTER_LOSS_PERCENT: u64 = 50;

/// The same if the queue of the path is nearly empty, so that the loss was hardly made by us (RFC
/// 9438: what is left of CUBIC's).
pub const AFTER_STRAY_LOSS_PERCENT: u64 = 70;

/// A queue below this is called nearly empty (guess: a quarter of the target).
pub const LOW_DELAY: Duration = Duration::from_millis(25);

/// Slow start ends when the queue has grown to this: what is under way by then makes it twice as long
/// (draft-irtf-iccrg-ledbat-plus-plus: three quarters of the target).
pub const SLOW_START_DELAY: Duration = Duration::from_millis(75);

/// The congestion window at the start, in packets and in bytes (RFC 6928).
pub const WINDOW_START_PACKETS: u64 = 10;
/// See [`WINDOW_START_PACKETS`].
pub const WINDOW_START_BYTES: u64 = 14_600;

/// The smallest congestion window, in packets (RFC 6817).
pub const WINDOW_MIN_PACKETS: u64 = 2;

/// How often a queue that never empties is emptied on purpose, to see how long the path is without it
/// (draft-irtf-iccrg-ledbat-plus-plus; rarer, so that it costs 2 % at most).
pub const SLOWDOWN_EVERY: Duration = Duration::from_secs(30);

/// The base delay is the smallest of so many minutes (RFC 6817: 2 to 10).
pub const BASE_DELAY_MINUTES: usize = 4;

/// Of how many samples the smallest is taken for the delay now (RFC 6817's CURRENT_FILTER).
pub const DELAY_SAMPLES: usize = 4;

/// A fall of the other direction's base delay up to this is held to be drift of the clocks, and ours
/// is raised by it, in microseconds (libutp: 10 ms).
pub const DRIFT_MAX_US: u32 = 10_000;

/// The time that a packet is waited for when nothing is known of the path (BEP 29).
pub const TIMEOUT_START: Duration = Duration::from_secs(1);

/// The shortest time that a packet is waited for (BEP 29).
pub const TIMEOUT_MIN: Duration = Duration::from_millis(500);

/// The longest (libtorrent).
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Timeouts in a row, without a sign of life, after which a connection is given up: 31 s at least
/// (libtorrent takes three, of which users complain on mobile networks; TCP takes minutes).
pub const TIMEOUTS_MAX: u8 = 6;

/// The longest that a question to a full receiver waits, which may have said that it has room again
/// without our hearing it (libutp: 15 s).
pub const FULL_PROBE_MAX: Duration = Duration::from_secs(15);

/// A connection that is not answered in this time has failed (guess: four attempts, after 0, 1, 3 and
/// 7 s).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Something is sent at least this often, so that address translators remember us (libutp: "determined
/// from measuring many home NAT devices").
pub const KEEP_ALIVE: Duration = Duration::from_secs(29);

/// A connection on which nothing was heard for this long is gone. BitTorrent's own keep-alive comes
/// every two minutes (BEP 3).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How long a closed connection is kept, since the other side last took something, to deliver what was
/// written and to say goodbye.
pub const LINGER: Duration = Duration::from_secs(30);

/// How long at most, whatever the other side takes.
pub const LINGER_MAX: Duration = Duration::from_secs(5 * 60);

/// How long it is kept after both sides have said goodbye, to say it again to who did not hear it
/// (guess: three timeouts).
pub const FAREWELL: Duration = Duration::from_secs(3);

/// A connection that was broken off is remembered for so long that stray packets do not open it anew.
pub const TOMBSTONE: Duration = Duration::from_secs(130);

/// Connections that are remembered so, at most: 64 KiB.
pub const TOMBSTONES_MAX: usize = 2_048;

/// An acknowledgement waits at most this long for data to go with or for a second packet (guess: below
/// what a round trip on the internet varies by).
pub const ACK_DELAY: Duration = Duration::from_millis(10);

/// The first packets are each acknowledged at once: who sends is in slow start.
pub const QUICK_ACKS: u32 = 32;

/// Bytes of a run of packets to one destination, at most: what one call with GSO takes.
pub const RUN_BYTES_MAX: usize = 65_507;

/// Packets of a run, at most (Linux: UDP_MAX_SEGMENTS).
pub const RUN_PACKETS_MAX: usize = 64;

/// Bytes that a connection takes for sending beyond what is under way, at least.
pub const SEND_BUFFER_MIN: u64 = 128 * 1024;

/// Bytes that a connection takes for sending, at most (twice what [`PACKETS_UNDERWAY_MAX`] carry over
/// Ethernet).
pub const SEND_BUFFER_MAX: u64 = 3 * 1024 * 1024;

/// A path whose round trip is shorter is a cable and a switch: its window is bounded by the socket's
/// buffer, not by what is under way.
pub const NEAR_ROUND_TRIP: Duration = Duration::from_millis(2);

/// Answers to strangers' opening packets a second, in total. An answer is as large as the question.
pub const SYN_ANSWERS_PER_S: u64 = 2_000;

/// The same for one address (IPv6: one /64), or what shares its place in a table of
/// [`SOURCE_PLACES`]. Clients of a swarm come in ones.
pub const SYN_ANSWERS_PER_SOURCE_PER_S: u16 = 32;

/// Resets a second, in total: a courtesy, not a duty (libutp remembers 1,000 in 10 s).
pub const RESETS_PER_S: u64 = 100;

/// Resets a second to one address.
pub const RESETS_PER_SOURCE_PER_S: u16 = 4;

/// Places in the table that counts by source.
pub const SOURCE_PLACES: usize = 1_024;

/// Connections that one address (IPv6: one /64) may open to us (guess: a household behind one address).
pub const INCOMING_PER_SOURCE_MAX: u16 = 64;

/// The secret behind our first sequence numbers changes after so many seconds; the one before
/// still counts.
pub const COOKIE_SECONDS: u64 = 60;

/// How far the first packet that we see of an answered stranger may be from its first, because those
/// before it were lost or overtaken.
pub const FIRST_PACKETS: u16 = 3;

/// How far a packet may be from the first to be waited for in silence, rather than told that there is no
/// connection: what goes out in a first window, and somewhat more.
pub const EARLY_PACKETS: u16 = 16;

const _: () = {
    assert!(PACKETS_UNDERWAY_MAX < REORDER_PACKETS_MAX);
    assert!(REORDER_PACKETS_MAX <= SACK_BYTES_MAX * 8);
    assert!(SACK_BYTES_MAX.is_multiple_of(4) && SACK_BYTES_MAX < 256);
    assert!(REORDER_PACKETS_MAX < 1 << 15);
    // A cookie is older than a tombstone at no time.
    assert!(TOMBSTONE.as_secs() > 2 * COOKIE_SECONDS);
    assert!(RUN_BYTES_MAX >= DATAGRAM_BYTES_MAX as usize);
};
