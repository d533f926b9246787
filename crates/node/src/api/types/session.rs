//! The daemon as a whole, and the long work it does.

use super::error::ErrorBody;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The daemon and its totals.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// Althing's version.
    pub version: String,
    /// The data folder.
    pub dir: String,
    /// Process id.
    pub pid: u32,
    /// How long it has been running.
    pub uptime_s: u64,
    /// Where peers can connect: the listening sockets' addresses.
    pub peer_addrs: Vec<String>,
    /// Torrents there are.
    pub torrents: u32,
    /// Those that are fetching.
    pub downloading: u32,
    /// Those that have everything.
    pub seeding: u32,
    /// Peers connected over all torrents.
    pub peers: u32,
    /// Payload coming in.
    pub download_bytes_per_s: u64,
    /// Payload going out.
    pub upload_bytes_per_s: u64,
    /// Payload received since the start.
    pub downloaded_bytes: u64,
    /// Payload sent since the start.
    pub uploaded_bytes: u64,
    /// Memory held by blocks on their way between network and disk.
    pub buffer_bytes: u64,
    /// Addresses kept out because they sent bad data.
    pub banned: u32,
    /// Why nothing can go out, if that is so: the interface of `network.interface` is missing, down
    /// or without an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// The proxy that everything goes through, without its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The list of addresses that are kept out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_filter: Option<IpFilterInfo>,
    /// How asking the router for the port goes, if it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_mapping: Option<PortMappingInfo>,
}

/// How asking the router for the port goes, `network.port_mapping`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PortMappingInfo {
    /// Whether it did what it was asked for.
    pub state: PortMappingState,
    /// By which protocol: "PCP", "NAT-PMP" or "UPnP".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The router's address on the other side, if it told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ip: Option<String>,
    /// The port on the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_port: Option<u16>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether the router did what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortMappingState {
    /// It has not answered yet.
    Asking,
    /// The port is mapped.
    Mapped,
    /// It is not; it will be tried again.
    Failed,
}

/// The list of addresses that are kept out, `network.ip_filter`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IpFilterInfo {
    /// Its ranges, after those that touch have become one.
    pub ranges: u64,
    /// Its lines that make no sense.
    pub skipped_lines: u64,
    /// Incoming connections that were refused.
    pub refused: u64,
}

/// The settings that the daemon was started with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigInfo {
    /// The file they come from; where it says nothing, or is not there, defaults hold.
    pub path: String,
    /// Every setting, by section, as docs/config.md describes them. A password is not shown.
    #[schema(value_type = Object)]
    pub settings: serde_json::Value,
}

/// A piece of long work: hashing a path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number since the daemon's start.
    pub id: u64,
    /// What is done.
    pub kind: JobKind,
    /// The path it is done to.
    pub path: String,
    /// How far it is.
    pub state: JobState,
    /// Bytes hashed.
    pub done_bytes: u64,
    /// Bytes to hash; 0 until they are counted.
    pub total_bytes: u64,
    /// The torrent that came of it, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// What a [`Job`] does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Makes a torrent and seeds it.
    Share,
    /// Writes a torrent file.
    Create,
}

/// How far a [`Job`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Given up; `error` says why.
    Failed,
}
