//! What nodes have to do with the DHT: each is in it, too, with a node of its own, by the same clock.

use super::net::Net;
use crate::datagrams::Told;
use crate::node::NodeIndex;
use althing_base::hash::Sha1Digest;
use althing_overlay::io::Input;

impl Net {
    /// The next thing happens in the DHT, and whoever asked for it is told.
    pub(super) fn advance_dht(&mut self) {
        if let Some(dht) = &mut self.dht {
            self.traffic.events += 1;
            dht.advance();
        }
        self.hear_dht();
    }

    fn hear_dht(&mut self) {
        while let Some(told) = self.dht.as_mut().and_then(|dht| dht.told()) {
            match told {
                Told::Sent { question, to, bytes } => self.finds.looked_up(question, to, bytes),
                Told::Peers { asker, question: id, key, addrs } => {
                    self.tell(asker, Input::TermFound { id, key, addrs });
                }
                Told::Done { asker, question: id, key } => {
                    self.tell(asker, Input::TermFound { id, key, addrs: Vec::new() });
                }
            }
        }
    }

    /// Somebody lets himself be found at these keys and no others.
    pub(super) fn announce_terms(&mut self, at: NodeIndex, mut keys: Vec<Sha1Digest>) {
        let host = &mut self.hosts[at.index()];
        let port = host.addr.port();
        let Some(dht) = &mut self.dht else { return };
        keys.sort_unstable();
        keys.dedup();
        for key in host.terms.iter().filter(|key| keys.binary_search(key).is_err()) {
            dht.announce_at(self.now, at, *key, None);
        }
        for key in keys.iter().filter(|key| host.terms.binary_search(key).is_err()) {
            dht.announce_at(self.now, at, *key, Some(port));
        }
        host.terms = keys;
    }
}
