//! The matrix: what each client seeds, another fetches; every byte is compared.
//!
//! The rows among the others prove the harness, so that a failure of an Althing row is Althing's.

use althing_tests::clients::Client::{Aria2, Libtorrent, Qbittorrent, Transmission};
use althing_tests::exchange::Exchange;
use althing_tests::torrent::Format::{Hybrid, V2};

macro_rules! matrix {
    ($($(#[$doc:meta])* $name:ident: $exchange:expr;)*) => {
        $($(#[$doc])* #[test] fn $name() { $exchange.run(concat!(module_path!(), "::", stringify!($name))) })*
    };
}

mod among_the_others {
    use super::*;

    matrix! {
        libtorrent_to_aria2_v1: Exchange::new(Libtorrent, Aria2);
        libtorrent_to_aria2_hybrid_magnet: Exchange::new(Libtorrent, Aria2).format(Hybrid).by_magnet();
        aria2_to_libtorrent_hybrid: Exchange::new(Aria2, Libtorrent).format(Hybrid);
        libtorrent_to_transmission_v1_magnet: Exchange::new(Libtorrent, Transmission).by_magnet();
        transmission_to_libtorrent_v1_udp: Exchange::new(Transmission, Libtorrent).over_udp();
        libtorrent_to_qbittorrent_v2_magnet: Exchange::new(Libtorrent, Qbittorrent).format(V2).by_magnet();
        qbittorrent_to_libtorrent_v2: Exchange::new(Qbittorrent, Libtorrent).format(V2);
        qbittorrent_to_everybody_v1: Exchange::new(Qbittorrent, Libtorrent).and(&[Transmission, Aria2]);
    }
}
