//! Peers' nodes of the DHT (BEP 5): whoever has one says so by a bit of the handshake, and where it is by
//! a `port` message. So a node that knows nobody gets to know the DHT by any peer at all.

use super::Swarm;
use super::io::{ConnId, DisconnectReason, Output};
use crate::wire::Message;
use althing_base::Instant;
use std::net::SocketAddr;
use std::num::NonZeroU16;

impl Swarm {
    /// Whether peers' nodes and ours are of any concern: not where the torrent is private (BEP 27).
    fn speaks_of_dht(&self) -> bool {
        self.config.dht && !self.metainfo.as_ref().is_some_and(|metainfo| metainfo.is_private())
    }

    /// Tells a peer that has a node where ours is.
    pub(super) fn tell_dht_port(&mut self, now: Instant, conn: ConnId) {
        let has_node = self.peers.get(&conn).is_some_and(|peer| peer.dht);
        if let (true, true, Some(port)) = (has_node, self.speaks_of_dht(), self.config.listen_port)
        {
            self.send(now, conn, Message::Port(port));
        }
    }

    /// A peer says where its node is. Its first word counts, and only of its own address: else peers
    /// could have us ask whomever they like.
    pub(super) fn dht_port(
        &mut self,
        now: Instant,
        conn: ConnId,
        port: u16,
    ) -> Result<(), DisconnectReason> {
        let speaks = self.speaks_of_dht();
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Some(port) = NonZeroU16::new(port).filter(|_| peer.dht_port.is_none()) else {
            return self.overlook(now, conn, "DHT ports");
        };
        peer.dht_port = Some(port);
        if speaks {
            let addr = SocketAddr::new(peer.addr.ip().to_canonical(), port.get());
            self.outputs.push_back(Output::DhtNode { addr });
        }
        Ok(())
    }
}
