//! The JSON that the HTTP API speaks, and nothing else does: every type that crosses it is here,
//! with its units, and no internal type derives its form from them or they from it.
//!
//! Names end in their unit (`_bytes`, `_bytes_per_s`, `_s`, `_unix_s`). Requests refuse unknown
//! fields, so that a misspelt option is an error and not silence; answers may gain fields in later
//! versions, so that readers must skip what they don't know. Times are whole seconds.
//!
//! The command line prints the same types for `--json`.

mod blocks;
mod crawler;
mod dht;
mod error;
mod event;
mod example;
mod find;
mod index;
mod mail;
mod network;
mod overlay;
mod places;
mod record;
mod request;
mod session;
mod settings;
mod torrent;
mod torznab;
mod watch;

pub use blocks::{
    BlockEntry, BlockKind, BlockListInfo, BlockQuery, BlockSubscription, BlocksInfo,
    PublishedBlocks,
};
pub use crawler::{CrawledTorrent, CrawlerInfo};
pub use dht::{
    DhtFamilyInfo, DhtInfo, DhtItem, DhtItemQuery, DhtLookupInfo, DhtStored, DhtTorrentInfo,
};
pub use error::{ErrorBody, ErrorCode, ErrorReply};
pub use event::Event;
pub use example::{Example, SchemaExample, schema_examples};
pub use find::{
    FindAnswer, FindCost, FindEvent, FindInfo, FindKind, FindPage, FindRequest, FindState, FindVia,
};
pub use index::{
    IndexAnswer, IndexFound, IndexInfo, IndexKind, IndexPage, IndexQuery, IndexSource,
};
pub use mail::{MailInfo, MailRequest, MailState, MailWay};
pub use network::{NetAddress, NetInfo, Reachable, Translation};
pub use overlay::{ListingRequest, OverlayInfo, OverlayLinkInfo, OverlayRecord, ProfileRequest};
pub use places::{LocateReport, LocateRequest, MoveRequest};
pub use record::{RecordInfo, RecordKind, RecordTorrent, RecordsPage, RecordsRequest};
pub use request::{
    AddPeersRequest, AddRequest, CreateOptions, CreateRequest, Format, InspectRequest, PeersQuery,
    RemoveQuery, ShareRequest,
};
pub use session::{
    ConfigInfo, IpFilterInfo, Job, JobKind, JobState, PortMappingInfo, PortMappingState,
    SessionInfo,
};
pub use settings::{
    Category, ChangeRequest, ConfigChange, FilePriority, NoLimit, PieceRange, QueueMove,
    QueuePlace, QueueRequest, RatioLimit, TimeLimit, TorrentSettings,
};
pub use torrent::{
    Direction, Encrypted, FileInfo, FileProgress, Followed, InspectReport, Peer, PeerSource,
    PieceMap, Protocol, Published, Torrent, TorrentDetail, TorrentState, TrackerInfo, TrackerState,
    Transport, Version,
};
pub use torznab::TorznabInfo;
pub use watch::StreamInfo;
