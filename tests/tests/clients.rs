//! The matrix: what one client seeds, another fetches, and every byte is compared.
//!
//! The rows among the other clients prove the harness: if one of those fails, look there first.

use althing_tests::clients::Client::{Althing, Aria2, Libtorrent, Qbittorrent, Transmission};
use althing_tests::encryption::Policy::{Handshake, Plain, Preferred, Required};
use althing_tests::exchange::Exchange;
use althing_tests::torrent::Format::{Hybrid, V2};
use althing_tests::torrent::Source::{MagnetV1, MagnetV2};

macro_rules! matrix {
    ($($name:ident: $exchange:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $exchange.run(concat!(module_path!(), "::", stringify!($name)));
            }
        )*
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
        libtorrent_to_qbittorrent_hybrid_magnet: Exchange::new(Libtorrent, Qbittorrent).format(Hybrid).by_magnet();
        qbittorrent_to_everybody_v1: Exchange::new(Qbittorrent, Libtorrent).and(&[Transmission, Aria2]);
    }
}

mod transmission {
    use super::*;

    matrix! {
        seeds_v1: Exchange::new(Transmission, Althing);
        seeds_v1_magnet: Exchange::new(Transmission, Althing).by_magnet();
        fetches_v1: Exchange::new(Althing, Transmission);
        fetches_v1_magnet: Exchange::new(Althing, Transmission).by_magnet();
        fetches_hybrid_magnet: Exchange::new(Althing, Transmission).format(Hybrid).by_magnet();
    }
}

mod aria2 {
    use super::*;

    matrix! {
        seeds_v1: Exchange::new(Aria2, Althing);
        seeds_v1_magnet: Exchange::new(Aria2, Althing).by_magnet();
        seeds_hybrid: Exchange::new(Aria2, Althing).format(Hybrid);
        fetches_v1: Exchange::new(Althing, Aria2);
        fetches_v1_magnet: Exchange::new(Althing, Aria2).by_magnet();
        fetches_hybrid_magnet: Exchange::new(Althing, Aria2).format(Hybrid).by_magnet();
    }
}

mod qbittorrent {
    use super::*;

    matrix! {
        seeds_v1_magnet: Exchange::new(Qbittorrent, Althing).by_magnet();
        seeds_v2: Exchange::new(Qbittorrent, Althing).format(V2);
        seeds_v2_magnet: Exchange::new(Qbittorrent, Althing).format(V2).by_magnet();
        seeds_hybrid_magnet: Exchange::new(Qbittorrent, Althing).format(Hybrid).by_magnet();
        fetches_v1: Exchange::new(Althing, Qbittorrent);
        fetches_v1_magnet: Exchange::new(Althing, Qbittorrent).by_magnet();
        fetches_v2_magnet: Exchange::new(Althing, Qbittorrent).format(V2).by_magnet();
        fetches_hybrid: Exchange::new(Althing, Qbittorrent).format(Hybrid);
        fetches_hybrid_magnet: Exchange::new(Althing, Qbittorrent).format(Hybrid).by_magnet();
    }
}

mod libtorrent {
    use super::*;

    matrix! {
        seeds_v1: Exchange::new(Libtorrent, Althing);
        seeds_v1_magnet: Exchange::new(Libtorrent, Althing).by_magnet();
        seeds_v2: Exchange::new(Libtorrent, Althing).format(V2);
        seeds_v2_magnet: Exchange::new(Libtorrent, Althing).format(V2).by_magnet();
        seeds_hybrid: Exchange::new(Libtorrent, Althing).format(Hybrid);
        seeds_hybrid_magnet: Exchange::new(Libtorrent, Althing).format(Hybrid).by_magnet();
        seeds_hybrid_v1_magnet: Exchange::new(Libtorrent, Althing).format(Hybrid).by(MagnetV1);
        seeds_hybrid_v2_magnet: Exchange::new(Libtorrent, Althing).format(Hybrid).by(MagnetV2);
        fetches_v1: Exchange::new(Althing, Libtorrent);
        fetches_v1_magnet: Exchange::new(Althing, Libtorrent).by_magnet();
        fetches_v2: Exchange::new(Althing, Libtorrent).format(V2);
        fetches_v2_magnet: Exchange::new(Althing, Libtorrent).format(V2).by_magnet();
        fetches_hybrid: Exchange::new(Althing, Libtorrent).format(Hybrid);
        fetches_hybrid_magnet: Exchange::new(Althing, Libtorrent).format(Hybrid).by_magnet();
        fetches_hybrid_v1_magnet: Exchange::new(Althing, Libtorrent).format(Hybrid).by(MagnetV1);
        fetches_hybrid_v2_magnet: Exchange::new(Althing, Libtorrent).format(Hybrid).by(MagnetV2);
        fetches_its_own_v1: Exchange::new(Althing, Libtorrent).made_by_libtorrent();
        fetches_its_own_v2: Exchange::new(Althing, Libtorrent).made_by_libtorrent().format(V2);
        fetches_its_own_hybrid: Exchange::new(Althing, Libtorrent).made_by_libtorrent().format(Hybrid);
    }
}

/// The first policy is the seed's, the second the leecher's, which is the side that connects.
mod encrypted {
    use super::*;

    matrix! {
        transmission_required_seeds_to_preferred: Exchange::new(Transmission, Althing).encrypted(Required, Preferred);
        transmission_required_seeds_to_required: Exchange::new(Transmission, Althing).encrypted(Required, Required);
        transmission_tolerant_seeds_to_preferred: Exchange::new(Transmission, Althing).encrypted(Plain, Preferred);
        transmission_tolerant_seeds_to_required: Exchange::new(Transmission, Althing).encrypted(Plain, Required);
        transmission_preferring_seeds_to_plain: Exchange::new(Transmission, Althing).encrypted(Preferred, Plain);
        transmission_required_fetches_from_preferred: Exchange::new(Althing, Transmission).encrypted(Preferred, Required);
        transmission_required_fetches_from_required: Exchange::new(Althing, Transmission).encrypted(Required, Required);
        transmission_tolerant_fetches_from_preferred: Exchange::new(Althing, Transmission).encrypted(Preferred, Plain);
        transmission_preferring_fetches_from_plain: Exchange::new(Althing, Transmission).encrypted(Plain, Preferred);
        libtorrent_required_seeds_to_preferred: Exchange::new(Libtorrent, Althing).encrypted(Required, Preferred);
        libtorrent_required_seeds_to_required_hybrid_magnet: Exchange::new(Libtorrent, Althing).encrypted(Required, Required).format(Hybrid).by_magnet();
        libtorrent_required_seeds_to_required_v2: Exchange::new(Libtorrent, Althing).encrypted(Required, Required).format(V2);
        libtorrent_hides_its_handshake_and_seeds_to_preferred: Exchange::new(Libtorrent, Althing).encrypted(Handshake, Preferred);
        libtorrent_preferring_seeds_to_required: Exchange::new(Libtorrent, Althing).encrypted(Preferred, Required);
        libtorrent_plain_seeds_to_preferred: Exchange::new(Libtorrent, Althing).encrypted(Plain, Preferred);
        libtorrent_plain_seeds_to_plain: Exchange::new(Libtorrent, Althing).encrypted(Plain, Plain);
        libtorrent_required_fetches_from_preferred: Exchange::new(Althing, Libtorrent).encrypted(Preferred, Required);
        libtorrent_required_fetches_from_required_hybrid: Exchange::new(Althing, Libtorrent).encrypted(Required, Required).format(Hybrid);
        libtorrent_required_fetches_from_required_v2_magnet: Exchange::new(Althing, Libtorrent).encrypted(Required, Required).format(V2).by_magnet();
        libtorrent_hides_its_handshake_and_fetches_from_preferred: Exchange::new(Althing, Libtorrent).encrypted(Preferred, Handshake);
        libtorrent_plain_fetches_from_preferred: Exchange::new(Althing, Libtorrent).encrypted(Preferred, Plain);
        aria2_required_seeds_to_preferred: Exchange::new(Aria2, Althing).encrypted(Required, Preferred);
        aria2_required_fetches_from_required: Exchange::new(Althing, Aria2).encrypted(Required, Required);
        althing_required_to_itself: Exchange::new(Althing, Althing).encrypted(Required, Required);
    }
}

/// No packet of TCP gets from peer to peer (BEP 29). Transmission 3.00 does not get beyond a handshake that it
/// opens over uTP if that alone is encrypted, with libtorrent either; so it is told to do all or nothing.
mod utp {
    use super::*;

    matrix! {
        libtorrent_to_itself: Exchange::new(Libtorrent, Libtorrent).over_utp();
        libtorrent_seeds_v1: Exchange::new(Libtorrent, Althing).over_utp();
        libtorrent_seeds_hybrid_magnet: Exchange::new(Libtorrent, Althing).over_utp().format(Hybrid).by_magnet();
        libtorrent_required_seeds: Exchange::new(Libtorrent, Althing).over_utp().encrypted(Required, Preferred);
        libtorrent_plain_seeds: Exchange::new(Libtorrent, Althing).over_utp().encrypted(Plain, Plain);
        libtorrent_fetches_v1: Exchange::new(Althing, Libtorrent).over_utp();
        libtorrent_fetches_v2_magnet: Exchange::new(Althing, Libtorrent).over_utp().format(V2).by_magnet();
        libtorrent_required_fetches: Exchange::new(Althing, Libtorrent).over_utp().encrypted(Required, Required);
        libtorrent_over_ipv6: Exchange::new(Libtorrent, Althing).over_utp().at_our_tracker().over_ipv6();
        transmission_seeds_v1: Exchange::new(Transmission, Althing).over_utp();
        transmission_seeds_v1_magnet: Exchange::new(Transmission, Althing).over_utp().by_magnet();
        transmission_required_seeds: Exchange::new(Transmission, Althing).over_utp().encrypted(Required, Required);
        transmission_plain_fetches_v1: Exchange::new(Althing, Transmission).over_utp().encrypted(Plain, Plain);
        transmission_plain_fetches_v1_magnet: Exchange::new(Althing, Transmission).over_utp().encrypted(Preferred, Plain).by_magnet();
        transmission_required_fetches: Exchange::new(Althing, Transmission).over_utp().encrypted(Preferred, Required);
        althing_to_itself: Exchange::new(Althing, Althing).over_utp().format(Hybrid);
        everybody: Exchange::new(Althing, Althing).over_utp().and(&[Libtorrent, Transmission, Althing]).encrypted(Preferred, Required);
    }
}

mod trackers {
    use super::*;

    matrix! {
        althing_asks_opentracker_over_udp: Exchange::new(Libtorrent, Althing).over_udp();
        althing_announces_to_opentracker_over_udp: Exchange::new(Althing, Libtorrent).over_udp();
        libtorrent_at_ours_over_http: Exchange::new(Libtorrent, Libtorrent).at_our_tracker();
        libtorrent_at_ours_over_udp: Exchange::new(Libtorrent, Libtorrent).at_our_tracker().over_udp();
        qbittorrent_at_ours_over_udp_v2: Exchange::new(Libtorrent, Qbittorrent).at_our_tracker().over_udp().format(V2);
        transmission_at_ours_over_udp: Exchange::new(Libtorrent, Transmission).at_our_tracker().over_udp();
        aria2_at_ours_over_http: Exchange::new(Libtorrent, Aria2).at_our_tracker();
        althing_at_ours_over_http: Exchange::new(Althing, Althing).at_our_tracker().format(Hybrid).by_magnet();
        althing_at_ours_over_udp: Exchange::new(Althing, Althing).at_our_tracker().over_udp().format(Hybrid);
        ipv6_libtorrent_to_althing: Exchange::new(Libtorrent, Althing).at_our_tracker().over_ipv6();
        ipv6_althing_to_libtorrent_over_udp: Exchange::new(Althing, Libtorrent).at_our_tracker().over_udp().over_ipv6();
    }
}

mod swarms {
    use super::*;

    matrix! {
        super_seeded_to_aria2_v1: Exchange::new(Althing, Aria2).super_seeded();
        super_seeded_to_several_v1: Exchange::new(Althing, Aria2).and(&[Libtorrent, Transmission, Althing]).super_seeded();
        everybody_v1: Exchange::new(Althing, Althing).and(&[Althing, Transmission, Aria2, Qbittorrent, Libtorrent]);
        everybody_from_transmission_v1_magnet: Exchange::new(Transmission, Althing).and(&[Aria2, Qbittorrent, Libtorrent, Althing]).by_magnet();
        those_of_bep_52_hybrid: Exchange::new(Qbittorrent, Althing).and(&[Althing, Libtorrent, Qbittorrent]).format(Hybrid);
        those_of_bep_52_v2_magnet: Exchange::new(Althing, Althing).and(&[Qbittorrent, Libtorrent]).format(V2).by_magnet();
    }
}
