//! Fuzz targets for everything that reads bytes from strangers.
//!
//! A target is a function that takes any bytes and panics if something is wrong: a parser that
//! panics, or a round trip that does not come back. It stands in `targets/NAME.rs` and in
//! [`TARGETS`], has a corpus in `corpus/NAME/`, and a file `cargo-fuzz/fuzz_targets/NAME.rs` with
//! which libFuzzer runs it:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz/cargo-fuzz --sanitizer none NAME fuzz/corpus/NAME
//! ```
//!
//! On stable Rust, `tests/replay.rs` runs every target on its corpus and on mutations of it.

pub mod targets;

/// A fuzz target: panics if something is wrong.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("bencode", targets::bencode::run),
    ("dht_message", targets::dht_message::run),
    ("dns_answer", targets::dns_answer::run),
    ("document", targets::document::run),
    ("encrypted_handshake", targets::encrypted_handshake::run),
    ("dont_have_message", targets::dont_have_message::run),
    ("extension_handshake", targets::extension_handshake::run),
    ("handshake", targets::handshake::run),
    ("holepunch_message", targets::holepunch_message::run),
    ("ip_filter", targets::ip_filter::run),
    ("lsd_packet", targets::lsd_packet::run),
    ("magnet", targets::magnet::run),
    ("metadata_message", targets::metadata_message::run),
    ("metainfo", targets::metainfo::run),
    ("overlay_link", targets::overlay_link::run),
    ("overlay_reconcile", targets::overlay_reconcile::run),
    ("overlay_record", targets::overlay_record::run),
    ("overlay_shelf", targets::overlay_shelf::run),
    ("overlay_words", targets::overlay_words::run),
    ("overlay_mail", targets::overlay_mail::run),
    ("overlay_message", targets::overlay_message::run),
    ("peer_message", targets::peer_message::run),
    ("pex_message", targets::pex_message::run),
    ("port_mapping", targets::port_mapping::run),
    ("socks5", targets::socks5::run),
    ("tracker_http_response", targets::tracker_http_response::run),
    ("tracker_server_request", targets::tracker_server_request::run),
    ("tracker_udp_response", targets::tracker_udp_response::run),
    ("tracker_url", targets::tracker_url::run),
    ("utp_connection", targets::utp_connection::run),
    ("utp_packet", targets::utp_packet::run),
    ("web_seed_answer", targets::web_seed_answer::run),
];
