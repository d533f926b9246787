//! The settings of `[dht]` that are more than a number: where nodes are, and whether to answer.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Nodes that anybody may begin with, run by those who make BitTorrent clients.
const PUBLIC_NODES: [&str; 5] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "router.utorrent.com:6881",
    "dht.libtorrent.org:25401",
    "dht.aelitis.com:6881",
];

pub(super) fn public_nodes() -> Vec<NodeName> {
    PUBLIC_NODES.map(|name| name.parse().expect("they are written as they should be")).to_vec()
}

/// Where a node of the DHT is: a host's name or address, and a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName {
    host: String,
    port: u16,
}

/// Something that is no such place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{given:?} does not say where a node is; write it as \"host:port\" or \"[address]:port\"")]
pub struct NodeNameError {
    given: String,
}

/// Bytes of a host's name (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

impl NodeName {
    /// A place, if there is one that is called so.
    pub(crate) fn of(host: &str, port: u16) -> Option<Self> {
        let brackets = host.contains(':') && !host.starts_with('[');
        let name = if brackets { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        name.parse().ok()
    }

    /// The host's name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        let error = || NodeNameError { given: text.chars().take(HOST_BYTES_MAX).collect() };
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(error)?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|inner| inner.parse::<IpAddr>().is_ok())
                .ok_or_else(error)?,
            None => host,
        };
        let is_name = |host: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.chars().all(fits)
        };
        if bare.parse::<IpAddr>().is_err() && !is_name(bare) {
            return Err(error());
        }
        // Without brackets nobody can tell where an IPv6 address ends.
        if bare.contains(':') && !host.starts_with('[') {
            return Err(error());
        }
        Ok(NodeName { host: bare.to_owned(), port })
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl TryFrom<String> for NodeName {
    type Error = NodeNameError;

    fn try_from(text: String) -> Result<Self, NodeNameError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.to_string()
    }
}

/// Whether a node answers others (BEP 43).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadOnly {
    /// It answers, but not while nobody can reach it.
    #[default]
    Auto,
    /// It answers nobody.
    Always,
    /// It answers everybody.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written_back() {
        for text in ["router.example:6881", "192.0.2.1:1", "[2001:db8::1]:65535", "a-b_c:9"] {
            let name: NodeName = text.parse().expect(text);
            assert_eq!(name.to_string(), text);
        }
        let long = format!("{}:1", "a".repeat(254));
        for text in
            ["", ":1", "a", "a:", "a:0", "a:65536", "::1:80", "[a]:80", "[::1:80", "a b:1", &long]
        {
            assert!(text.parse::<NodeName>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_public_ones_are_five() {
        assert_eq!(public_nodes().len(), 5);
    }
}
