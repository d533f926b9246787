//! One example of every type, as a value of that type: what the OpenAPI document shows cannot be
//! something that the API would not read or write.

mod overlay;

use super::{
    AddPeersRequest, AddRequest, BlockEntry, BlockListInfo, BlockSubscription, BlocksInfo,
    Category, ChangeRequest, ConfigChange, ConfigInfo, CrawlerInfo, CreateOptions, CreateRequest,
    DhtFamilyInfo, DhtInfo, DhtItem, DhtLookupInfo, DhtStored, DhtTorrentInfo, Direction,
    Encrypted, ErrorBody, ErrorCode, ErrorReply, Event, FileInfo, FilePriority, FileProgress,
    FindAnswer, FindCost, FindInfo, FindKind, FindPage, FindRequest, FindState, FindVia, Followed,
    Format, IndexAnswer, IndexFound, IndexInfo, IndexPage, IndexSource, InspectReport,
    InspectRequest, Job, JobKind, JobState, ListingRequest, MailInfo, MailRequest, MailState,
    MailWay, NetAddress, NetInfo, NoLimit, OverlayInfo, OverlayRecord, Peer, PeerSource, PieceMap,
    PieceRange, ProfileRequest, Protocol, Published, PublishedBlocks, QueueMove, QueuePlace,
    QueueRequest, RatioLimit, Reachable, RecordInfo, RecordsPage, SessionInfo, ShareRequest,
    StreamInfo, TimeLimit, Torrent, TorrentDetail, TorrentSettings, TorrentState, TorznabInfo,
    TrackerInfo, TrackerState, Translation, Transport, Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A type of the API that can show itself.
pub trait Example {
    /// A value as it may come up.
    fn example() -> Self;
}

/// A schema of the OpenAPI document with its example.
#[derive(Clone, Debug)]
pub struct SchemaExample {
    /// The schema's name: the type's.
    pub schema: &'static str,
    /// [`Example::example`] as JSON.
    pub value: Value,
    /// Whether some JSON can be read as the type and is its example.
    pub reads: fn(&Value) -> bool,
}

/// Every schema that stands for itself; parts of others are shown within them.
pub fn schema_examples() -> Vec<SchemaExample> {
    fn reads<T: Example + DeserializeOwned + PartialEq>(value: &Value) -> bool {
        T::deserialize(value).is_ok_and(|read| read == T::example())
    }
    fn entry<T: Example + Serialize + DeserializeOwned + PartialEq>(
        schema: &'static str,
    ) -> SchemaExample {
        let value =
            serde_json::to_value(T::example()).expect("the API's types have only string keys");
        SchemaExample { schema, value, reads: reads::<T> }
    }
    vec![
        entry::<AddPeersRequest>("AddPeersRequest"),
        entry::<AddRequest>("AddRequest"),
        entry::<BlockEntry>("BlockEntry"),
        entry::<BlockListInfo>("BlockListInfo"),
        entry::<BlockSubscription>("BlockSubscription"),
        entry::<BlocksInfo>("BlocksInfo"),
        entry::<PublishedBlocks>("PublishedBlocks"),
        entry::<Category>("Category"),
        entry::<ChangeRequest>("ChangeRequest"),
        entry::<ConfigChange>("ConfigChange"),
        entry::<QueuePlace>("QueuePlace"),
        entry::<QueueRequest>("QueueRequest"),
        entry::<ConfigInfo>("ConfigInfo"),
        entry::<CrawlerInfo>("CrawlerInfo"),
        entry::<CreateOptions>("CreateOptions"),
        entry::<CreateRequest>("CreateRequest"),
        entry::<FindAnswer>("FindAnswer"),
        entry::<FindInfo>("FindInfo"),
        entry::<FindRequest>("FindRequest"),
        entry::<Followed>("Followed"),
        entry::<Published>("Published"),
        entry::<DhtInfo>("DhtInfo"),
        entry::<DhtItem>("DhtItem"),
        entry::<DhtLookupInfo>("DhtLookupInfo"),
        entry::<DhtStored>("DhtStored"),
        entry::<DhtTorrentInfo>("DhtTorrentInfo"),
        entry::<ErrorReply>("ErrorReply"),
        entry::<Event>("Event"),
        entry::<FileProgress>("FileProgress"),
        entry::<InspectReport>("InspectReport"),
        entry::<InspectRequest>("InspectRequest"),
        entry::<Job>("Job"),
        entry::<ListingRequest>("ListingRequest"),
        entry::<MailInfo>("MailInfo"),
        entry::<MailRequest>("MailRequest"),
        entry::<NetInfo>("NetInfo"),
        entry::<IndexAnswer>("IndexAnswer"),
        entry::<IndexInfo>("IndexInfo"),
        entry::<OverlayInfo>("OverlayInfo"),
        entry::<OverlayRecord>("OverlayRecord"),
        entry::<RecordInfo>("RecordInfo"),
        entry::<RecordsPage>("RecordsPage"),
        entry::<Peer>("Peer"),
        entry::<PieceMap>("PieceMap"),
        entry::<ProfileRequest>("ProfileRequest"),
        entry::<SessionInfo>("SessionInfo"),
        entry::<ShareRequest>("ShareRequest"),
        entry::<StreamInfo>("StreamInfo"),
        entry::<Torrent>("Torrent"),
        entry::<TorrentDetail>("TorrentDetail"),
        entry::<PieceRange>("PieceRange"),
        entry::<TorrentSettings>("TorrentSettings"),
        entry::<TorznabInfo>("TorznabInfo"),
        entry::<TrackerInfo>("TrackerInfo"),
    ]
}

const ID: &str = "2b66980093bc11806fab50cb3cb41835b95a0362";
const V2: &str = "cf7bc3ce1ca7fb9e0a0ba9d8d9f4d9c3a2f6d18c2bb7b3f66b6b8f2d3a5e7c41";
const TRACKER: &str = "http://tracker.example.org/announce";

fn magnet() -> String {
    format!("magnet:?xt=urn:btih:{ID}&dn=holiday&tr=http%3A%2F%2Ftracker.example.org%2Fannounce")
}

impl Example for AddRequest {
    fn example() -> Self {
        AddRequest {
            link: Some(magnet()),
            save_dir: Some("/home/anna/Downloads".into()),
            peers: vec!["192.0.2.7:7716".into()],
            ..AddRequest::default()
        }
    }
}

impl Example for AddPeersRequest {
    fn example() -> Self {
        AddPeersRequest { peers: vec!["192.0.2.7:7716".into(), "[2001:db8::7]:7716".into()] }
    }
}

impl Example for CreateOptions {
    fn example() -> Self {
        CreateOptions {
            format: Format::Hybrid,
            trackers: vec![vec![TRACKER.into()]],
            comment: Some("Pictures of the summer".into()),
            ..CreateOptions::default()
        }
    }
}

impl Example for CreateRequest {
    fn example() -> Self {
        CreateRequest {
            path: "/home/anna/holiday".into(),
            output: "/home/anna/holiday.torrent".into(),
            options: Example::example(),
        }
    }
}

impl Example for ShareRequest {
    fn example() -> Self {
        ShareRequest {
            path: "/home/anna/holiday".into(),
            options: Example::example(),
            super_seeding: false,
            follow: false,
            listing: None,
        }
    }
}

impl Example for InspectRequest {
    fn example() -> Self {
        InspectRequest { link: Some(magnet()), torrent: None }
    }
}

impl Example for ErrorReply {
    fn example() -> Self {
        ErrorReply {
            error: ErrorBody {
                code: ErrorCode::NotFound,
                message: "no torrent has an id that begins with 2b66".into(),
                hint: "GET /api/v1/torrents lists the torrents there are".into(),
            },
        }
    }
}

impl Example for Torrent {
    fn example() -> Self {
        Torrent {
            id: ID.into(),
            name: "holiday".into(),
            state: TorrentState::Downloading,
            note: None,
            pieces_checked: None,
            moved_bytes: None,
            size_bytes: Some(21_474_836_480),
            done_bytes: 9_019_431_321,
            wanted_bytes: Some(21_474_836_480),
            left_bytes: 12_455_405_159,
            pieces: 5120,
            pieces_done: 2150,
            download_bytes_per_s: 11_744_051,
            upload_bytes_per_s: 1_048_576,
            downloaded_bytes: 9_019_465_728,
            uploaded_bytes: 734_003_200,
            peers: 4,
            seeds: 1,
            known_peers: 17,
            eta_s: Some(1061),
            save_dir: "/home/anna/Downloads".into(),
            added_unix_s: 1_767_225_600,
            completed_unix_s: None,
            category: Some("pictures".into()),
            tags: vec!["family".into()],
        }
    }
}

impl Example for TorrentDetail {
    fn example() -> Self {
        TorrentDetail {
            torrent: Example::example(),
            version: Some(Version::Hybrid),
            followed: Some(Example::example()),
            published: None,
            info_hash_v1: Some(ID.into()),
            info_hash_v2: Some(V2.into()),
            peer_id: "2d414c303130302d316b38686a3973326b64386161".into(),
            magnet: magnet(),
            private: false,
            piece_length_bytes: Some(4_194_304),
            files: Some(1204),
            wasted_bytes: 0,
            copied_bytes: 0,
            settings: Example::example(),
            active_s: 86_400,
            seeding_s: 0,
            trackers: vec![vec![TRACKER.into()]],
            web_seeds: Vec::new(),
            comment: Some("Pictures of the summer".into()),
            created_by: Some("Althing 0.1.0".into()),
            created_unix_s: Some(1_767_225_600),
        }
    }
}

impl Example for Followed {
    fn example() -> Self {
        Followed {
            link: format!("magnet:?xs=urn:btpk:{V2}&s=6e"),
            key: V2.into(),
            salt: Some("6e".into()),
            seq: Some(3),
            looked_up_s_ago: Some(240),
            note: None,
        }
    }
}

impl Example for Published {
    fn example() -> Self {
        Published {
            link: format!("magnet:?xs=urn:btpk:{V2}&dn=holiday"),
            key: V2.into(),
            seq: Some(3),
            put_s_ago: Some(1800),
            nodes: 8,
            note: None,
        }
    }
}

impl Example for Category {
    fn example() -> Self {
        Category {
            save_dir: Some("/srv/pictures".into()),
            upload_limit_bytes_per_s: Some(1_024_000),
            seed_time_limit_s: TimeLimit::Seconds(86_400),
            ..Category::default()
        }
    }
}

impl Example for ConfigChange {
    fn example() -> Self {
        ConfigChange { in_force: vec!["limits.upload_kib_s".into()], at_next_start: Vec::new() }
    }
}

impl Example for QueuePlace {
    fn example() -> Self {
        QueuePlace { position: 1 }
    }
}

impl Example for QueueRequest {
    fn example() -> Self {
        QueueRequest { to: QueueMove::Top }
    }
}

impl Example for ChangeRequest {
    fn example() -> Self {
        ChangeRequest {
            category: Some("pictures".into()),
            add_tags: vec!["family".into()],
            upload_limit_bytes_per_s: Some(512_000),
            ratio_limit: Some(RatioLimit::Ratio(1.5)),
            priorities: [(3, FilePriority::High)].into(),
            ..ChangeRequest::default()
        }
    }
}

impl Example for PieceRange {
    fn example() -> Self {
        PieceRange { first: 0, last: 9, priority: Some(FilePriority::High) }
    }
}

impl Example for TorrentSettings {
    fn example() -> Self {
        TorrentSettings {
            upload_limit_bytes_per_s: Some(512_000),
            download_limit_bytes_per_s: None,
            ratio_limit: RatioLimit::Ratio(1.5),
            seed_time_limit_s: TimeLimit::Word(NoLimit::Inherited),
            forced: false,
            priorities: [(3, FilePriority::High)].into(),
            pieces: vec![PieceRange::example()],
            connections: None,
            upload_slots: Some(4),
            sequential: false,
            super_seeding: false,
        }
    }
}

impl Example for FileProgress {
    fn example() -> Self {
        FileProgress { index: 3, priority: FilePriority::High, file: file(), done_bytes: 4_194_304 }
    }
}

fn file() -> FileInfo {
    FileInfo {
        path: "holiday/beach/0001.jpg".into(),
        size_bytes: 7_340_032,
        executable: false,
        symlink: None,
    }
}

impl Example for StreamInfo {
    fn example() -> Self {
        let token = "5f".repeat(32);
        StreamInfo {
            url_path: format!("/stream/{token}/0001.mp4"),
            token,
            torrent: ID.into(),
            file: "holiday/beach/0001.mp4".into(),
            size_bytes: 734_003_200,
            content_type: "video/mp4".into(),
        }
    }
}

impl Example for Peer {
    fn example() -> Self {
        Peer {
            connected: true,
            addr: "192.0.2.7:51413".into(),
            peer_id: "2d5452343036302d6b38686a3973326b64386161".into(),
            client: "Transmission 4.06".into(),
            protocol: Protocol::V1,
            transport: Some(Transport::Tcp),
            encrypted: Some(Encrypted::Handshake),
            direction: Direction::Outgoing,
            source: PeerSource::Tracker,
            pieces_done: 5120,
            download_bytes_per_s: 8_388_608,
            upload_bytes_per_s: 0,
            downloaded_bytes: 6_442_450_944,
            uploaded_bytes: 0,
            interested: true,
            choked: false,
            peer_interested: false,
            peer_choked: true,
            snubbed: false,
        }
    }
}

impl Example for TrackerInfo {
    fn example() -> Self {
        TrackerInfo {
            url: TRACKER.into(),
            tier: 0,
            state: TrackerState::Working,
            peers: Some(4),
            message: None,
            seeders: Some(1),
            leechers: Some(3),
            next_announce_s: Some(1740),
        }
    }
}

impl Example for PieceMap {
    fn example() -> Self {
        PieceMap {
            pieces: 10,
            pieces_done: 9,
            have: "ff80".into(),
            availability: vec![3, 3, 3, 2, 2, 1, 1, 1, 1, 1],
        }
    }
}

impl Example for InspectReport {
    fn example() -> Self {
        InspectReport {
            id: ID.into(),
            name: Some("holiday".into()),
            version: Version::Hybrid,
            info_hash_v1: Some(ID.into()),
            info_hash_v2: Some(V2.into()),
            magnet: magnet(),
            size_bytes: Some(7_340_032),
            piece_length_bytes: Some(4_194_304),
            pieces: Some(2),
            private: false,
            trackers: vec![vec![TRACKER.into()]],
            web_seeds: Vec::new(),
            peers: Vec::new(),
            files: vec![file()],
            comment: None,
            created_by: Some("Althing 0.1.0".into()),
            created_unix_s: Some(1_767_225_600),
        }
    }
}

impl Example for SessionInfo {
    fn example() -> Self {
        SessionInfo {
            version: "0.1.0".into(),
            dir: "/home/anna/.local/share/althing".into(),
            pid: 4711,
            uptime_s: 3600,
            peer_addrs: vec!["0.0.0.0:7716".into(), "[::]:7716".into()],
            torrents: 3,
            downloading: 1,
            seeding: 2,
            peers: 12,
            download_bytes_per_s: 11_744_051,
            upload_bytes_per_s: 1_048_576,
            downloaded_bytes: 9_019_465_728,
            uploaded_bytes: 734_003_200,
            buffer_bytes: 1_048_576,
            banned: 0,
            blocked: None,
            proxy: None,
            ip_filter: Some(super::IpFilterInfo { ranges: 231_817, skipped_lines: 2, refused: 14 }),
            port_mapping: Some(super::PortMappingInfo {
                state: super::PortMappingState::Mapped,
                method: Some("NAT-PMP".into()),
                external_ip: Some("203.0.113.7".into()),
                external_port: Some(7716),
                error: None,
            }),
        }
    }
}

impl Example for NetInfo {
    fn example() -> Self {
        NetInfo {
            reachable: Reachable::Open,
            summary: "Others can reach you.".into(),
            because: "you have been connected to from outside 3 times over TCP, last 5 minutes ago"
                .into(),
            advice: None,
            addresses: vec![NetAddress {
                ip: "203.0.113.7".into(),
                networks_agree: 7,
                networks_differ: 0,
                own: false,
            }],
            listening: vec!["0.0.0.0:7716".into(), "[::]:7716".into()],
            port: Some(7716),
            translation: Translation::Steady,
            holes: Some("you need none: others reach you as it is".into()),
            port_mapping: SessionInfo::example().port_mapping,
            port_mapping_udp: SessionInfo::example().port_mapping,
            interface: None,
            bind: Vec::new(),
            proxy: None,
            connections_in: 3,
            connections_out: 9,
            arrived_tcp: 3,
            arrived_utp: 0,
            last_arrived_s: Some(312),
        }
    }
}

impl Example for ConfigInfo {
    fn example() -> Self {
        ConfigInfo {
            path: "/home/anna/.local/share/althing/config.toml".into(),
            settings: serde_json::json!({ "network": { "port": 7716 } }),
        }
    }
}

impl Example for Job {
    fn example() -> Self {
        Job {
            id: 1,
            kind: JobKind::Share,
            path: "/home/anna/holiday".into(),
            state: JobState::Running,
            done_bytes: 4_294_967_296,
            total_bytes: 21_474_836_480,
            torrent: None,
            error: None,
        }
    }
}

impl Example for Event {
    fn example() -> Self {
        Event::Torrent { torrent: Example::example() }
    }
}

impl Example for DhtInfo {
    fn example() -> Self {
        DhtInfo {
            running: true,
            summary: "The DHT knows 312 nodes of about 8 million; it looks for 3 torrents.".into(),
            advice: None,
            families: vec![DhtFamilyInfo {
                ip_version: 4,
                id: "5f5ba1fd7e6ac01ae4ec4fa32abf5d2d3d0cb1e1".into(),
                nodes: 312,
                nodes_in_all: Some(8_400_000),
            }],
            read_only: false,
            wanted: 3,
            torrents_found: 3,
            peers_named: 217,
            stored_torrents: 41,
            stored_peers: 66,
            stored_items: 5,
            searches: 1,
            questions: 4,
            received_bytes: 4_712_000,
            sent_bytes: 3_918_000,
            received_bytes_per_s: 1_200,
            sent_bytes_per_s: 950,
            received_messages_per_s: 9,
            sent_messages_per_s: 9,
        }
    }
}

impl Example for DhtTorrentInfo {
    fn example() -> Self {
        DhtTorrentInfo {
            info_hash: ID.into(),
            searched_s_ago: Some(312),
            announced_to: 8,
            next_s: Some(1_207),
            peers_named: 84,
            seeds: Some(12),
            leechers: Some(5),
        }
    }
}

impl Example for DhtLookupInfo {
    fn example() -> Self {
        DhtLookupInfo {
            peers: vec!["192.0.2.7:7716".into(), "[2001:db8::7]:6881".into()],
            seeds: Some(12),
            leechers: Some(5),
            asked: 21,
            answered: 18,
            took_ms: 640,
        }
    }
}

impl Example for DhtItem {
    fn example() -> Self {
        DhtItem { value: "31323a48656c6c6f20576f726c6421".into(), ..DhtItem::default() }
    }
}

impl Example for DhtStored {
    fn example() -> Self {
        DhtStored { target: "e5f96f6f38320f0f33959cb4d3d656452117aadb".into(), nodes: 8 }
    }
}

impl Example for IndexInfo {
    fn example() -> Self {
        IndexInfo {
            enabled: true,
            own: 12,
            shelf: 8_310,
            crawled: 0,
            passages: 1_207,
            disk_bytes: 14_680_064,
            uncommitted: 0,
            documents_waiting: 3,
            trouble: None,
        }
    }
}

impl Example for IndexAnswer {
    fn example() -> Self {
        IndexAnswer {
            hits: vec![IndexFound {
                info_hash_v1: Some("dd8255ecdc7ca55fb0bbf81323d87062db1f6d1c".into()),
                info_hash_v2: None,
                name: "Lectures on engines".into(),
                tags: Vec::new(),
                size_bytes: None,
                files: None,
                source: IndexSource::Own,
                authors: Vec::new(),
                seen_unix_s: None,
                page: Some(IndexPage {
                    path: "notes/the-difference-engine.md".into(),
                    title: "The difference engine".into(),
                    snippet: "…it can add and carry, and needs nobody who can calculate…".into(),
                }),
            }],
            matched: 1,
            cut: false,
        }
    }
}

impl Example for MailInfo {
    fn example() -> Self {
        MailInfo {
            id: "5a1b0a2f7a4b4d2a9c6f0f1f2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e".into(),
            way: MailWay::Sent,
            peer: NODE.into(),
            sent_unix_s: 1_790_000_000,
            arrived_unix_s: None,
            state: MailState::Carried,
            carriers: Some(7),
            text: Some("The lectures are up.".into()),
        }
    }
}

impl Example for MailRequest {
    fn example() -> Self {
        MailRequest { to: NODE.into(), text: "The lectures are up.".into() }
    }
}

impl Example for FindRequest {
    fn example() -> Self {
        FindRequest {
            words: "engine lectures".into(),
            via: FindVia::Auto,
            kind: FindKind::Any,
            limit: Some(20),
            watch: false,
        }
    }
}

impl Example for FindAnswer {
    fn example() -> Self {
        FindAnswer {
            number: 1,
            name: "lectures on engines".into(),
            info_hash: Some(ID.into()),
            info_hash_v2: Some(V2.into()),
            magnet: format!(
                "magnet:?xt=urn:btih:{ID}&xt=urn:btmh:1220{V2}&dn=lectures%20on%20engines"
            ),
            size_bytes: 734_003_200,
            files: 12,
            content: "video".into(),
            tags: vec!["engines".into(), "lectures".into()],
            about: "Recorded in the winter.".into(),
            authors: vec![NODE.into()],
            seeders: Some(3),
            pages: vec![FindPage {
                path: "notes/engines.md".into(),
                snippet: "the engine of the second lecture".into(),
            }],
            here: false,
            network: true,
            after_ms: 412,
            network_after_ms: Some(412),
            torrent: None,
        }
    }
}

impl Example for FindInfo {
    fn example() -> Self {
        FindInfo {
            id: 7,
            words: "engine lectures".into(),
            via: FindVia::Auto,
            kind: FindKind::Any,
            watch: false,
            state: FindState::Ended,
            cost: FindCost { messages: 46, bytes: 5_120, peers: 8, took_ms: 1_204 },
            age_s: 3,
            answers: vec![FindAnswer::example()],
        }
    }
}

/// A node of the overlay: the key of RFC 8032's first test.
pub(super) const NODE: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_read_back_as_what_they_are() {
        for example in schema_examples() {
            assert!((example.reads)(&example.value), "{}: {}", example.schema, example.value);
        }
    }

    #[test]
    fn requests_refuse_what_they_do_not_know() {
        let read = |text| serde_json::from_str::<AddRequest>(text).is_ok();
        assert!(read(r#"{"link": "magnet:?xt=1"}"#));
        assert!(!read(r#"{"link": "magnet:?xt=1", "pause": true}"#));
        assert!(!read(r#"{"link": 7}"#));
    }
}
