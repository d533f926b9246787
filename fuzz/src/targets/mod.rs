//! One file for each target.

pub mod bencode;
pub mod dht_message;
pub mod dns_answer;
pub mod dont_have_message;
pub mod encrypted_handshake;
pub mod extension_handshake;
pub mod handshake;
pub mod holepunch_message;
pub mod ip_filter;
pub mod lsd_packet;
pub mod magnet;
pub mod metadata_message;
pub mod metainfo;
pub mod peer_message;
pub mod pex_message;
pub mod port_mapping;
pub mod socks5;
pub mod tracker_http_response;
pub mod tracker_server_request;
pub mod tracker_udp_response;
pub mod tracker_url;
pub mod utp_connection;
pub mod utp_packet;
pub mod web_seed_answer;
