//! Examples of what there is to say of the overlay.

use super::super::{RecordKind, RecordTorrent};
use super::{
    Example, ID, ListingRequest, NODE, OverlayInfo, OverlayRecord, ProfileRequest, RecordInfo,
    RecordsPage, V2,
};
use crate::api::types::OverlayLinkInfo;

impl Example for OverlayInfo {
    fn example() -> Self {
        OverlayInfo {
            node: NODE.into(),
            neighbours_out: 3,
            neighbours_in: 4,
            known: 28,
            super_peer: false,
            indexed_by: 3,
            leaves: 0,
            terms_here: 214,
            terms_near: 1_480,
            links: vec![OverlayLinkInfo {
                node: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".into(),
                address: "192.0.2.7:7716".into(),
                outgoing: true,
                age_s: 5_417,
            }],
            records: 812,
            record_bytes: 340_118,
            received: 903,
            duplicates: 121,
            reconciled: 640,
            refused: 2,
            clock_behind_s: None,
            clock_ahead_s: None,
            questions: 4_120,
        }
    }
}

impl Example for OverlayRecord {
    fn example() -> Self {
        OverlayRecord {
            id: "b4ecfb6d61b6eaa21da55e270cf7e0973b83cee98387d0ab0715ebaeca3e657c".into(),
            expires_unix_s: 1_790_000_000,
        }
    }
}

impl Example for ProfileRequest {
    fn example() -> Self {
        ProfileRequest { name: "Ada".into(), about: "I share lectures on engines.".into() }
    }
}

impl Example for ListingRequest {
    fn example() -> Self {
        ListingRequest {
            tags: vec!["engines".into(), "lectures".into()],
            about: "Recorded in the winter.".into(),
        }
    }
}

impl Example for RecordInfo {
    fn example() -> Self {
        RecordInfo {
            id: "b4ecfb6d61b6eaa21da55e270cf7e0973b83cee98387d0ab0715ebaeca3e657c".into(),
            kind: RecordKind::Listing,
            author: NODE.into(),
            own: false,
            created_unix_s: 1_787_408_000,
            expires_unix_s: 1_790_000_000,
            bytes: 318,
            withdrawn: false,
            name: Some("lectures on engines".into()),
            about: Some("Recorded in the winter.".into()),
            torrent: Some(RecordTorrent {
                info_hash: Some(ID.into()),
                info_hash_v2: Some(V2.into()),
                size_bytes: 734_003_200,
                files: 12,
                content: "video".into(),
                tags: vec!["engines".into(), "lectures".into()],
            }),
            entries: None,
        }
    }
}

impl Example for RecordsPage {
    fn example() -> Self {
        let record = RecordInfo::example();
        let next = Some(format!("{}.0.{}", record.created_unix_s, record.id));
        RecordsPage { records: vec![record], matched: 214, held: 812, next }
    }
}
