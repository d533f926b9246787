//! What machines ask for is done, or what liars make of it, under the observer's eyes.

use super::World;
use crate::behaviour::{BlockFate, block_fate, twist};
use crate::checks::false_claim;
use crate::disk::Outcome;
use crate::host::host_at;
use crate::plan::LeaveWhen;
use crate::queue::Event;
use crate::units::{Content, HostId};
use althing_bittorrent::BlockRef;
use althing_bittorrent::swarm::{self, ConnId, DisconnectReason, StorageFault};
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::wire::Message;
use althing_router as router;
use std::net::IpAddr;
use std::sync::Arc;

impl World {
    pub(super) fn act(&mut self, id: HostId, output: router::Output) {
        match output {
            router::Output::Swarm { output, .. } => self.act_for_swarm(id, output),
            router::Output::Announce { id: number, url, request, .. } => {
                self.announce(id, number, url, request);
            }
            // No torrent here names web seeds.
            router::Output::Web { .. } => {}
            router::Output::CancelAnnounce { id: number, .. } => self.cancel_announce(id, number),
            // Simulated hosts have no network of their own.
            router::Output::FindLocally { .. } => {}
            router::Output::FindInDht { info_hash, wish, .. } => {
                self.find_in_dht(id, info_hash, wish);
            }
            router::Output::DhtNode { addr } => self.dht_node(id, addr),
            router::Output::ExternalAddress { ip, .. } => {
                if ip != self.hosts[id.index()].ip() {
                    self.violated(id, || format!("takes {ip} for its address"));
                }
            }
        }
    }

    fn act_for_swarm(&mut self, id: HostId, output: swarm::Output) {
        match output {
            swarm::Output::Send { conn, message } => self.send(id, conn, message),
            swarm::Output::SendBlock { conn, block } => self.send_block(id, conn, block),
            swarm::Output::StoreBlock { conn, block } => self.store_block(id, conn, block),
            swarm::Output::CompletePiece { piece, expected, want_block_digests } => {
                let meant = self.torrent.metainfo.piece_hash(piece);
                if meant != Some(expected) {
                    self.violated(id, || format!("completes {piece:?} with a wrong hash"));
                }
                let bytes = self.torrent.metainfo.piece_size(piece);
                let now = self.now;
                let done = self.host(id).disk.complete(now, piece, bytes, want_block_digests);
                self.queue.at(done, Event::DiskDone(id));
            }
            swarm::Output::AbandonPiece { piece } => self.host(id).disk.abandon(piece),
            swarm::Output::PieceVerified { piece } => {
                if !self.host(id).disk.stored().get(piece) {
                    self.violated(id, || format!("takes {piece:?} for verified"));
                }
                self.view_on(id);
            }
            swarm::Output::Completed => self.completed(id),
            swarm::Output::SuperSeedingEnded => {}
            swarm::Output::Connect { addr } => self.connect(id, addr),
            // Simulated hosts speak TCP alone, and the router keeps the others to itself.
            swarm::Output::Punch { .. }
            | swarm::Output::Application(_)
            | swarm::Output::ExternalAddress { .. }
            | swarm::Output::DhtNode { .. } => {}
            swarm::Output::Disconnect { conn, reason } => self.disconnect(id, conn, reason),
            swarm::Output::FindPeers => {
                self.violated(id, || "lets a request for peers past the router".to_owned());
            }
            swarm::Output::WebSeedLied { .. } => {}
            // Of one torrent, slots are not shared.
            swarm::Output::UploadDemand { .. } => {}
            swarm::Output::Ban { ip } => self.banned(id, ip),
            // The swarm itself does so, too.
            swarm::Output::KeepOut { .. } => {}
            swarm::Output::ReadLeaves { piece } => {
                let leaves = match self.host(id).disk.read(piece) {
                    Ok(()) => self.torrent.leaves_of(piece),
                    Err(_) => None,
                };
                self.host(id).expect(swarm::Input::Leaves { piece, leaves });
            }
            swarm::Output::MetadataReceived { metainfo } => {
                if metainfo.info_hashes() != self.torrent.metainfo.info_hashes() {
                    self.violated(id, || "takes false metadata for genuine".to_owned());
                }
                let host = self.host(id);
                host.metainfo = Some(Arc::clone(&metainfo));
                host.open_files();
            }
            swarm::Output::LayersReceived { metainfo } => self.host(id).metainfo = Some(metainfo),
        }
    }

    pub(super) fn violated(&mut self, id: HostId, what: impl FnOnce() -> String) {
        if self.hosts[id.index()].plan.behaviour.is_honest() {
            self.checks.violated(self.now, || format!("{id:?} {}", what()));
        }
    }

    fn send(&mut self, id: HostId, conn: ConnId, message: Message) {
        let host = &self.hosts[id.index()];
        if host.plan.behaviour.is_honest()
            && !host.disk.is_lossy()
            && let Some(piece) = false_claim(&message, host.disk.stored())
        {
            self.violated(id, || format!("claims {piece:?}, which is not on its disk"));
        }
        let message = twist(&self.hosts[id.index()], message);
        if !self.network.send(&mut self.queue, self.now, conn, id, message) {
            self.hang_up(id, conn);
        }
    }

    fn send_block(&mut self, id: HostId, conn: ConnId, block: BlockRef) {
        let host = &mut self.hosts[id.index()];
        if host.plan.behaviour.is_honest()
            && let Err(fault) = host.disk.read(block.piece)
        {
            if !host.disk.is_lossy() {
                self.violated(id, || format!("sends of {:?}, which it does not have", block.piece));
            }
            self.disk_failed(id, fault);
            return;
        }
        match block_fate(host) {
            BlockFate::Sent(content) => {
                self.network.send_block(&mut self.queue, self.now, conn, id, block, content);
            }
            BlockFate::Swallowed => {
                host.expect(swarm::Input::BlockSent { conn, block });
            }
            BlockFate::Refused => {
                host.expect(swarm::Input::BlockSent { conn, block });
                self.send(id, conn, Message::Reject(block));
            }
        }
    }

    fn store_block(&mut self, id: HostId, conn: ConnId, block: BlockRef) {
        let blocks = self.torrent.metainfo.block_count(block.piece);
        let host = self.host(id);
        let arriving = host.arriving.take();
        let content = match arriving {
            Some((from, which, content)) if (from, which) == (conn, block) => content,
            _ => {
                self.violated(id, || format!("stores {block:?}, which has not just come"));
                Content::TRUE
            }
        };
        self.host(id).disk.keep(block.piece, blocks, block.begin / BLOCK_SIZE, content);
    }

    pub(super) fn disk_done(&mut self, id: HostId) {
        let now = self.now;
        let was_lossy = self.host(id).disk.is_lossy();
        match self.host(id).disk.done(now) {
            None => {}
            Some(Outcome::Stored { piece, block_digests }) => {
                if !was_lossy && self.host(id).disk.is_lossy() {
                    self.count_copies();
                }
                self.piece_spread(id, piece);
                self.praise(id, piece);
                self.tell(id, swarm::Input::PieceStored { piece, block_digests });
            }
            Some(Outcome::Corrupt { piece, block_digests }) => {
                self.tell(id, swarm::Input::PieceCorrupt { piece, block_digests });
            }
            Some(Outcome::Fault(fault)) => {
                self.disk_failed(id, fault);
                self.settle(id);
            }
        }
    }

    /// The machine is told after what it asked for has been done; the user comes in a while.
    fn disk_failed(&mut self, id: HostId, fault: StorageFault) {
        let now = self.now;
        let host = self.host(id);
        if matches!(&fault, StorageFault::Io { error, .. } if error.contains("lacks blocks")) {
            self.violated(id, || fault.to_string());
            return;
        }
        host.expect(swarm::Input::StorageFault(fault));
        if !std::mem::replace(&mut host.mending, true) {
            let at = now + host.disk.mended_after();
            self.queue.at(at, Event::Mend(id));
        }
    }

    /// The user has mended the disk, and goes on.
    pub(super) fn mend(&mut self, id: HostId) {
        let host = self.host(id);
        if !host.is_running() || !std::mem::replace(&mut host.mending, false) {
            return;
        }
        if host.disk.mend() {
            host.expect(swarm::Input::Recheck);
            host.open_files();
        }
        host.expect(swarm::Input::Resume);
        self.settle(id);
    }

    fn completed(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host(id);
        if !host.disk.stored().is_full() && !host.disk.is_lossy() {
            self.violated(id, || "is complete without all pieces".to_owned());
            return;
        }
        host.finish(now);
        if let Some(LeaveWhen::Finished(after)) = host.plan.leaves {
            self.queue.at(now + after, Event::Leave(id));
        }
    }

    fn disconnect(&mut self, id: HostId, conn: ConnId, reason: DisconnectReason) {
        if self.hosts[id.index()].plan.behaviour.is_honest() {
            *self.partings.entry(reason).or_default() += 1;
        }
        if let Some(peer) = self.network.peer_of(conn, id) {
            self.judge(id, peer, reason);
        }
        self.hang_up(id, conn);
    }

    /// Closes a connection from the host's side.
    fn hang_up(&mut self, id: HostId, conn: ConnId) {
        if self.network.close(&mut self.queue, self.now, conn, id) {
            self.host(id).expect(swarm::Input::Disconnected { conn });
        }
    }

    /// Between honest hosts some reasons must not come up.
    fn judge(&mut self, id: HostId, peer: HostId, reason: DisconnectReason) {
        let Some(other) = self.hosts.get(peer.index()) else { return };
        if !other.plan.behaviour.is_honest() {
            return;
        }
        let unjust = match reason {
            DisconnectReason::ProtocolViolation(_)
            | DisconnectReason::Flood(_)
            | DisconnectReason::BadData
            | DisconnectReason::Banned => true,
            // Whoever is there is heard of.
            DisconnectReason::Idle => other.is_running() && other.runs == 1,
            _ => false,
        };
        if unjust {
            self.violated(id, || format!("drops the honest {peer:?}: {reason:?}"));
        }
    }

    fn banned(&mut self, id: HostId, ip: IpAddr) {
        let Some(liar) = host_at(ip) else { return };
        if !self.hosts[id.index()].plan.behaviour.is_honest() {
            return;
        }
        if self.hosts[liar.index()].plan.behaviour.sends_wrong_data() {
            *self.bans.entry(liar).or_default() += 1;
        } else {
            self.violated(id, || format!("bans the honest {liar:?}"));
        }
    }
}
