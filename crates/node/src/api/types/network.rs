//! How the daemon is connected to the world.

use super::session::PortMappingInfo;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the daemon is connected to the world, and whether others can reach it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct NetInfo {
    /// Whether others can reach it.
    pub reachable: Reachable,
    /// The same in a sentence for people.
    pub summary: String,
    /// How that is known.
    pub because: String,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Its addresses as others see them, at most one of each kind. Never one peer's word.
    pub addresses: Vec<NetAddress>,
    /// The listening sockets' addresses.
    pub listening: Vec<String>,
    /// The port that trackers and peers are told: the router's, if it forwards another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What becomes of its IPv4 address on the way out.
    pub translation: Translation,
    /// Whether peers that let nobody in either can be met through a third (BEP 55), in words. Absent while
    /// it is not known, or where it is of no concern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holes: Option<String>,
    /// How asking the router for the TCP port goes, if it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_mapping: Option<PortMappingInfo>,
    /// The same for UDP: uTP and the DHT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_mapping_udp: Option<PortMappingInfo>,
    /// The interface that everything is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The addresses that everything is bound to.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub bind: Vec<String>,
    /// The proxy that everything goes through, without its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Connections to peers that they opened.
    pub connections_in: u64,
    /// Connections to peers that this one opened.
    pub connections_out: u64,
    /// Peers outside that came in over TCP since the daemon is where it is.
    pub arrived_tcp: u32,
    /// The same over uTP.
    pub arrived_utp: u32,
    /// How long ago the last one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_arrived_s: Option<u64>,
}

/// Whether others can reach the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reachable {
    /// Somebody outside has.
    Open,
    /// The router forwards the port, and nobody has come in yet.
    Mapped,
    /// Nothing speaks for it or against it.
    Unproven,
    /// Many know it, and nobody has come in.
    Closed,
    /// There is no network, or not the one that everything is bound to.
    Offline,
    /// By the settings it does not listen.
    NotListening,
    /// By the settings it talks to this machine only.
    ThisMachineOnly,
}

/// What becomes of a machine's addresses on the way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Translation {
    /// Too little is known.
    Unknown,
    /// The machine has the address that others see.
    None,
    /// Others see another address, and the same port whoever they are.
    Steady,
    /// Each of the others sees another port.
    Varying,
}

/// The daemon's address as others see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct NetAddress {
    /// The address.
    pub ip: String,
    /// Networks (IPv4 /16, IPv6 /32) from which it is seen so; the router counts as one.
    pub networks_agree: u32,
    /// Networks from which something else is seen.
    pub networks_differ: u32,
    /// Whether the machine has it itself: there is no translation then.
    pub own: bool,
}
