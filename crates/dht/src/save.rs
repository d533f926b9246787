//! What is kept from one run to the next: our names, and nodes that answered.
//!
//! An explicit format: the magic, a version, both names, a count, then for each node its family, name,
//! address and port.

use crate::id::NodeId;
use crate::limits::SAVED_NODES_MAX;
use crate::wire::Node;
use std::net::{IpAddr, SocketAddr};

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Our name over IPv4, and over IPv6.
    pub ids: [NodeId; 2],
    /// Nodes that answered lately, of both families; at most
    /// [`SAVED_NODES_MAX`](crate::limits::SAVED_NODES_MAX) of each.
    pub nodes: Vec<Node>,
}

/// Why nothing can be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is something else, or damaged.
    #[error("not the saved state of a DHT node, or damaged")]
    Damaged,
    /// A later release wrote it.
    #[error("the saved state of the DHT has version {0}, and this release knows {VERSION}")]
    Newer(u8),
}

const MAGIC: &[u8; 5] = b"ALDHT";
const VERSION: u8 = 1;

impl Saved {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        out.extend(self.ids.iter().flat_map(|id| id.0));
        let count = self.nodes.len().min(2 * SAVED_NODES_MAX);
        out.extend((count as u16).to_be_bytes());
        for node in self.nodes.iter().take(count) {
            match node.addr.ip().to_canonical() {
                IpAddr::V4(v4) => {
                    out.push(4);
                    out.extend(node.id.0);
                    out.extend(v4.octets());
                }
                IpAddr::V6(v6) => {
                    out.push(6);
                    out.extend(node.id.0);
                    out.extend(v6.octets());
                }
            }
            out.extend(node.addr.port().to_be_bytes());
        }
        out
    }

    /// Reads what [`Saved::encode`] wrote.
    ///
    /// # Errors
    /// If it is something else, or of a later release.
    pub fn parse(bytes: &[u8]) -> Result<Self, SavedError> {
        let mut rest = bytes;
        if take::<5>(&mut rest)? != *MAGIC {
            return Err(SavedError::Damaged);
        }
        let [version] = take(&mut rest)?;
        if version != VERSION {
            return Err(SavedError::Newer(version));
        }
        let ids = [NodeId(take(&mut rest)?), NodeId(take(&mut rest)?)];
        let count = usize::from(u16::from_be_bytes(take(&mut rest)?));
        if count > 2 * SAVED_NODES_MAX {
            return Err(SavedError::Damaged);
        }
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            let [family] = take(&mut rest)?;
            let id = NodeId(take(&mut rest)?);
            let ip = match family {
                4 => IpAddr::from(take::<4>(&mut rest)?),
                6 => IpAddr::from(take::<16>(&mut rest)?),
                _ => return Err(SavedError::Damaged),
            };
            let port = u16::from_be_bytes(take(&mut rest)?);
            nodes.push(Node { id, addr: SocketAddr::new(ip.to_canonical(), port) });
        }
        if !rest.is_empty() {
            return Err(SavedError::Damaged);
        }
        Ok(Saved { ids, nodes })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], SavedError> {
    let (taken, left) = rest.split_first_chunk().ok_or(SavedError::Damaged)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(
            ids: [[u8; 20]; 2],
            nodes in prop::collection::vec((any::<[u8; 20]>(), any::<IpAddr>(), any::<u16>()), 0..50),
        ) {
            let node = |(id, ip, port): ([u8; 20], IpAddr, u16)| {
                Node { id: NodeId(id), addr: SocketAddr::new(ip.to_canonical(), port) }
            };
            let saved = Saved {
                ids: ids.map(NodeId),
                nodes: nodes.into_iter().map(node).collect(),
            };
            let bytes = saved.encode();
            prop_assert_eq!(Saved::parse(&bytes[..bytes.len() - 1]), Err(SavedError::Damaged));
            prop_assert_eq!(Saved::parse(&bytes), Ok(saved));
        }

        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>) {
            let mut text = b"ALDHT\x01".to_vec();
            text.extend(&bytes);
            let _ = (Saved::parse(&bytes), Saved::parse(&text));
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        assert_eq!(Saved::parse(b"ALDHT\x02"), Err(SavedError::Newer(2)));
    }
}
