//! Who is connected: new connections, lost ones, silent ones, and whom to try next.

use super::io::{ConnId, Direction, DisconnectReason, Output, PeerSource, Transport};
use super::limits::{
    ASKED_IN_VAIN_MAX, CANDIDATES_LOW, EXTRA_ATTEMPTS_MAX, FIND_PEERS_INTERVAL, HASH_TIMEOUT,
    IDLE_AFTER, KEEP_ALIVE_AFTER, LINE_CLOGGED_AFTER, METADATA_TIMEOUT, PEERS_ENOUGH,
    SEND_STALLED_AFTER, SNUBBED_AFTER, SNUBBED_AFTER_NOTHING, SNUBBED_AFTER_NOTHING_SOON,
};
use super::peer::{Order, Peer, Pieces};
use super::room::{Network, Room};
use super::upload::Line;
use super::{CHOKE_INTERVAL, Phase, Swarm};
use crate::types::Bitfield;
use crate::wire::{Handshake, Message};
use althing_base::Instant;
use althing_base::time::Duration;
use std::net::{IpAddr, SocketAddr};

impl Swarm {
    pub(super) fn peers_found(&mut self, now: Instant, source: PeerSource, peers: &[SocketAddr]) {
        if self.is_carrier() {
            // Who is called is for the application to say.
            self.found_for_application(peers.to_vec());
            return;
        }
        for addr in peers {
            self.candidates.add(now, *addr, source);
        }
        self.connect_more(now);
    }

    /// The peers of a private torrent's former tracker are not carried over to the next (BEP 27). Web
    /// seeds are the torrent's own, and stay.
    pub(super) fn part_from_all(&mut self, now: Instant) {
        let peers = self.peers.iter().filter(|(_, p)| p.web.is_none());
        let conns: Vec<ConnId> = peers.map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.drop_peer(now, conn, DisconnectReason::TrackerChanged);
        }
        self.candidates.forget_others();
    }

    pub(super) fn connected(
        &mut self,
        now: Instant,
        conn: ConnId,
        addr: SocketAddr,
        direction: Direction,
        transport: Transport,
        handshake: Handshake,
    ) {
        let punched = self.holes.is_through(addr);
        if let Some(reason) = self.refuse(now, conn, addr, direction, handshake) {
            if direction == Direction::Outgoing {
                match reason {
                    DisconnectReason::OurOwnId => self.candidates.forget(addr),
                    DisconnectReason::Duplicate => self.is_known_by(addr, handshake),
                    DisconnectReason::TooManyConnections => self.candidates.declined(now, addr),
                    _ => self.candidates.disconnected(now, addr),
                }
            }
            self.outputs.push_back(Output::Disconnect { conn, reason });
            self.not_met(direction, addr);
            return;
        }
        if direction == Direction::Outgoing {
            // After the refusal: making room may have ended another connection to this address.
            self.candidates.connected(addr);
        }
        // A peer that could have moved on to v2 and did not speaks v1: libtorrent, which does not move
        // on under encryption, hangs up on hash requests then.
        let v2 = self.info_hashes.v2_short() == Some(handshake.info_hash);
        let pieces = match &self.metainfo {
            Some(metainfo) => Pieces::Known(Bitfield::new(metainfo.piece_count())),
            None => Pieces::early(),
        };
        self.asked_in_vain = 0;
        let mut peer = Peer::new(now, addr, direction, &handshake, v2, pieces);
        peer.transport = transport;
        peer.punched = punched;
        let known = self.ledger.get(&addr.ip().to_canonical()).copied();
        let (gave, took, spread) = known.unwrap_or_default();
        (peer.past, peer.spread) = ((gave, took), spread);
        if !peer.extended {
            self.not_met(direction, addr);
        }
        self.peers.insert(conn, peer);
        self.guests.came(now);
        self.choke_at.get_or_insert(now + CHOKE_INTERVAL);
        self.watch(now, KEEP_ALIVE_AFTER);
        self.greet(now, conn);
        // Its attempt is over, and another address may have its turn.
        if direction == Direction::Outgoing {
            self.connect_more(now);
        }
    }

    /// Whether the peer that sends from an address over uTP is connected. While both call each other, as through holes in
    /// routers, a packet that was lost at first makes a second connection a second later: who finds that out before
    /// he says anything on it ends it, and reports that he has not reached the address. Otherwise both would have to
    /// choose, and the first may carry something by then.
    pub fn is_connected_to(&self, addr: SocketAddr) -> bool {
        self.sends_from(addr).is_some()
    }

    fn sends_from(&self, addr: SocketAddr) -> Option<&Peer> {
        let at = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let is_it = |peer: &&Peer| {
            peer.web.is_none() && peer.transport == Transport::Utp && at(peer.addr) == at(addr)
        };
        self.peers.values().find(is_it)
    }

    /// Whoever was called at an address has called us from there meanwhile.
    pub(super) fn has_come(&mut self, now: Instant, addr: SocketAddr) {
        self.holes.is_through(addr);
        self.candidates.declined(now, addr);
        // An application that has not met him yet may still have called him.
        if self.sends_from(addr).is_some_and(|peer| peer.speaks.is_some()) {
            self.not_met(Direction::Outgoing, addr);
        }
        self.connect_more(now);
    }

    /// We have called an address, and whoever answers is connected to us already: that is where it
    /// listens, and there is no need to call again.
    fn is_known_by(&mut self, addr: SocketAddr, handshake: Handshake) {
        self.candidates.connected(addr);
        if let Some(twin) = self.peers.values_mut().find(|p| p.id == handshake.peer_id) {
            twin.listens_at = Some(addr);
        }
    }

    /// Why a new connection is not kept, if it is not.
    fn refuse(
        &mut self,
        now: Instant,
        conn: ConnId,
        addr: SocketAddr,
        direction: Direction,
        handshake: Handshake,
    ) -> Option<DisconnectReason> {
        if !self.is_running() {
            return Some(DisconnectReason::Stopped);
        }
        let ip = addr.ip().to_canonical();
        if self.candidates.is_banned(ip) || self.conduct.is_kept_out(now, ip) {
            return Some(DisconnectReason::Banned);
        }
        if handshake.peer_id == self.config.peer_id {
            return Some(DisconnectReason::OurOwnId);
        }
        // Called when the tracker was another one (BEP 27).
        let private = self.metainfo.as_ref().is_some_and(|m| m.is_private());
        let called = direction == Direction::Outgoing;
        if called && private && self.candidates.source(addr).is_none() {
            return Some(DisconnectReason::TrackerChanged);
        }
        let twin = |p: &Peer| p.id == handshake.peer_id && p.web.is_none();
        let twin = self.peers.iter().find(|(_, p)| twin(p));
        let twin = twin.map(|(conn, p)| (*conn, p.direction, p.should_have_spoken(now)));
        if let Some((twin, twin_direction, is_lost)) = twin {
            // Both sides must close the same one of two: the one that the smaller id opened.
            let ours_wins = self.config.peer_id > handshake.peer_id;
            let new_wins =
                twin_direction != direction && (direction == Direction::Outgoing) == ours_wins;
            // Whoever has moved to another network comes back while its old connection looks alive.
            if !new_wins && !is_lost {
                return Some(DisconnectReason::Duplicate);
            }
            self.drop_peer(now, twin, DisconnectReason::Duplicate);
        }
        if self.connections() >= self.config.connections_max {
            match self.gives_way(now, Some(Network::of(addr.ip()))) {
                Some(other) => self.drop_peer(now, other, DisconnectReason::TooManyConnections),
                None => return Some(DisconnectReason::TooManyConnections),
            }
        }
        debug_assert!(!self.peers.contains_key(&conn), "connection ids are never used twice");
        None
    }

    /// The first messages on a connection.
    fn greet(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get(&conn) else { return };
        let (fast, extended) = (peer.fast, peer.extended);
        let active = self.phase == Phase::Active;
        if active && self.is_super_seeding() {
            self.mask(conn);
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let masked = peer.mask.is_some();
        peer.introduced = active;
        if masked {
            if fast {
                self.send(now, conn, Message::HaveNone);
            }
        } else if fast && active && self.have.is_full() && !self.have.is_empty() {
            self.send(now, conn, Message::HaveAll);
        } else if active && self.have.count_ones() > 0 {
            let bits = bytes::Bytes::copy_from_slice(self.have.as_bytes());
            self.send(now, conn, Message::Bitfield(bits));
        } else if fast {
            self.send(now, conn, Message::HaveNone);
        }
        if extended {
            let upload_only = (self.is_complete() && !masked).then_some(true);
            self.send_extension_handshake(now, conn, upload_only);
        }
        self.offer_allowed_fast(now, conn);
        self.tell_dht_port(now, conn);
    }

    /// Ends a connection from our side.
    pub(super) fn drop_peer(&mut self, now: Instant, conn: ConnId, reason: DisconnectReason) {
        let peer = self.peers.get(&conn);
        let addr = peer.and_then(|p| p.listens_at);
        let ip = peer.map(|p| p.addr.ip().to_canonical());
        if self.forget_peer(now, conn) {
            if let (DisconnectReason::Flood(_), Some(ip)) = (reason, ip) {
                self.conduct.flooded(now, ip);
                self.candidates.forget_named_by(ip);
                self.outputs.push_back(Output::KeepOut { ip });
            }
            let broke_rules = matches!(
                reason,
                DisconnectReason::ProtocolViolation(_) | DisconnectReason::Flood(_)
            );
            if let Some(addr) = addr.filter(|_| broke_rules) {
                self.candidates.failed(now, addr);
            }
            tracing::debug!(conn = conn.0, ?reason, "connection dropped");
            self.outputs.push_back(Output::Disconnect { conn, reason });
        }
    }

    /// Takes back everything a lost connection had on order. False if it was not known.
    pub(super) fn forget_peer(&mut self, now: Instant, conn: ConnId) -> bool {
        let Some(peer) = self.peers.remove(&conn) else { return false };
        if self.peers.is_empty() {
            self.holes.nobody_is_between();
        }
        self.part_for_application(conn, peer.speaks.is_some(), peer.direction, peer.addr);
        self.forget_suggestions(&peer);
        self.guests.is_no_guest(conn);
        self.departs(now, conn, &peer);
        self.exchange_departure(&peer);
        self.remember_balance(&peer);
        self.count_out(&peer.pieces);
        self.forget_shown(&peer);
        for order in &peer.orders {
            self.release(order);
        }
        self.abandon_reserved(conn);
        self.forget_orders_for_metadata(conn, &peer);
        if let Some(addr) = peer.listens_at {
            if peer.download.total_bytes() + peer.upload.total_bytes() > 0 || peer.is_seed() {
                self.candidates.disconnected(now, addr);
            } else {
                self.candidates.declined(now, addr);
            }
            if peer.only_gives() {
                self.candidates.is_seed(addr);
            }
        }
        if peer.interested_in_us {
            self.tell_demand(false);
        }
        if !peer.choked {
            self.fill_free_slots(now);
        }
        if !peer.orders.is_empty() {
            self.order_from_all(now);
        }
        self.want_peers(now);
        true
    }

    /// Keeps an address out for good, with every connection it has.
    pub(super) fn ban(&mut self, now: Instant, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.candidates.ban(ip);
        self.conduct.lied_from(now, ip);
        self.outputs.push_back(Output::Ban { ip });
        let of_ip = |p: &Peer| p.addr.ip().to_canonical() == ip;
        let conns: Vec<ConnId> =
            self.peers.iter().filter(|(_, p)| of_ip(p)).map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.drop_peer(now, conn, DisconnectReason::BadData);
        }
    }

    /// Whether the address was banned by this swarm.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.candidates.is_banned(ip.to_canonical())
    }

    /// Starts as many attempts as there is room for.
    pub(super) fn connect_more(&mut self, now: Instant) {
        self.connect_at = None;
        if !self.is_running() || self.phase == Phase::Opening || self.is_carrier() {
            return;
        }
        let seeding = self.is_complete();
        let only_manual = seeding && self.has_enough_to_give_to();
        loop {
            let connecting = self.candidates.connecting();
            let free = self.connections() + connecting < self.config.connections_max;
            // Those who took all places must not keep us from calling others.
            let crowded = !free && !seeding && connecting < EXTRA_ATTEMPTS_MAX;
            let may = free || crowded && self.gives_way(now, None).is_some();
            if connecting >= self.config.connecting_max || !may {
                break;
            }
            // Nor is anybody called for whom no place would be found when it answers.
            let room = if free { Room::ForAnybody } else { self.room(now) };
            let fits =
                |ip, source| room.is_for(ip) && (!only_manual || source == PeerSource::Manual);
            let Some(addr) = self.candidates.next(now, seeding, &mut self.rng, fits) else {
                // With all places taken whoever parts makes room; that a seed lacks somebody to give to
                // is seen when it chokes.
                let later = free && !only_manual;
                self.connect_at = self.candidates.next_at(seeding).filter(|_| later);
                return;
            };
            self.outputs.push_back(Output::Connect { addr });
        }
    }

    /// Whether so many want something of us that nobody need be called for it: who wants something calls
    /// himself. Strangers who let slots go to waste are no reason to leave others alone.
    fn has_enough_to_give_to(&self) -> bool {
        let takes = |p: &&Peer| p.interested_in_us && p.slot_wasted_at.is_none();
        self.peers.values().filter(takes).take(PEERS_ENOUGH).count() == PEERS_ENOUGH
    }

    /// Whether it could use more peers than it knows of: to fetch from, or anybody at all to give
    /// to. A seed that cannot be called would else wait until its tracker wants to hear of it again.
    fn lacks_peers(&self) -> bool {
        if self.is_complete() {
            self.peers.is_empty() && self.asked_in_vain < ASKED_IN_VAIN_MAX
        } else {
            self.peers.len() < PEERS_ENOUGH && self.candidates.untried(false) < CANDIDATES_LOW
        }
    }

    /// More peers are asked for as soon as that is decent, ever more rarely if that is of no use.
    pub(super) fn want_peers(&mut self, now: Instant) {
        if self.is_running() && self.find_peers_at.is_none() && self.lacks_peers() {
            let patience = 1 << self.asked_in_vain.min(ASKED_IN_VAIN_MAX);
            self.find_peers_at = Some(now + FIND_PEERS_INTERVAL * patience);
        }
    }

    pub(super) fn find_peers(&mut self, now: Instant) {
        self.find_peers_at = None;
        if self.is_running() {
            self.outputs.push_back(Output::FindPeers);
            self.want_peers(now);
            self.asked_in_vain = self.asked_in_vain.saturating_add(1);
        }
    }

    /// Looks after what only time tells: silence, slowness, stalls.
    pub(super) fn housekeeping(&mut self, now: Instant) {
        self.housekeeping_at = None;
        self.see_who_gives();
        self.end_long_trials(now);
        let line = self.line();
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            self.look_after(now, conn, &line);
        }
        let busy = |p: &Peer| {
            !p.orders.is_empty() || !p.metadata_orders.is_empty() || !p.hash_orders.is_empty()
        };
        let fetching_metadata = self.phase == Phase::Metadata && !self.peers.is_empty();
        if fetching_metadata || self.peers.values().any(busy) {
            self.watch(now, Duration::from_secs(1));
        }
        let next = self
            .peers
            .values()
            .filter(|p| p.web.is_none())
            .map(|p| (p.last_said_at + KEEP_ALIVE_AFTER).min(p.last_heard_at + IDLE_AFTER))
            .min();
        if let Some(next) = next {
            self.watch(now, next.since(now).max(Duration::from_secs(1)));
        }
        if self.phase == Phase::Active && self.is_endgame() {
            // Somebody may have stalled meanwhile.
            self.order_from_all(now);
        }
        self.order_metadata(now);
        self.order_hashes(now);
        self.reclaim_slots(now);
        self.see_to_guests(now);
    }

    /// Whether there is somebody to have from what others owe: one that gives, or one that would and has
    /// nothing left to be asked for.
    fn see_who_gives(&mut self) {
        let nothing_free = self.picker.wanted() == 0 && !self.open.any_free();
        let gives = |p: &Peer| {
            let idles = || nothing_free && p.interesting && p.orders.is_empty();
            !p.chokes_us && !p.snubs_us && (p.download.total_bytes() > 0 || idles())
        };
        self.somebody_gives = self.peers.values().any(gives);
    }

    fn look_after(&mut self, now: Instant, conn: ConnId, line: &Line) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.judge_pipeline(now);
        let gave = peer.download.total_bytes() > 0;
        if peer.web.is_some() {
            // Those who drive it see to it that it moves; until it does, peers may have what it owes.
            let late = |o: &Order| now.since(o.at) >= SNUBBED_AFTER_NOTHING_SOON;
            let owes = peer.orders.front().is_some_and(late);
            if self.somebody_gives && !gave && owes && !peer.snubs_us {
                self.snubbed(now, conn);
            }
            return;
        }
        let stalled = peer.takes_nothing(line, now, SEND_STALLED_AFTER, LINE_CLOGGED_AFTER);
        if peer.is_silent(now, line) || stalled {
            self.drop_peer(now, conn, DisconnectReason::Idle);
            return;
        }
        let patience = match gave {
            true => SNUBBED_AFTER,
            false if self.somebody_gives => SNUBBED_AFTER_NOTHING_SOON,
            false => SNUBBED_AFTER_NOTHING,
        };
        let owes = peer.orders.front().is_some_and(|o| now.since(o.at) >= patience);
        if owes && now.since(peer.last_block_at) >= patience && !peer.snubs_us {
            self.snubbed(now, conn);
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let size = peer.extensions.metadata_size;
        let late = |at: Instant| now.since(at) >= METADATA_TIMEOUT;
        let timed_out: Vec<u32> =
            peer.metadata_orders.extract_if(.., |(_, at)| late(*at)).map(|(n, _)| n).collect();
        if let (Some(fetch), Some(size)) = (&mut self.metadata, size) {
            for piece in timed_out {
                fetch.release(conn, size, piece);
            }
        }
        let late = |at: Instant| now.since(at) >= HASH_TIMEOUT;
        let timed_out: Vec<_> =
            peer.hash_orders.extract_if(.., |(_, at)| late(*at)).map(|(r, _)| r).collect();
        if !timed_out.is_empty() {
            peer.hashes_refused_until = now + HASH_TIMEOUT;
        }
        for request in timed_out {
            self.hashes.release(&request);
        }
        let said = self.peers.get(&conn).map(|p| p.last_said_at);
        if said.is_some_and(|at| now.since(at) >= KEEP_ALIVE_AFTER) {
            self.send(now, conn, Message::KeepAlive);
        }
    }

    /// Connections to peers, web seeds left out.
    pub(super) fn connections(&self) -> usize {
        self.peers.len() - self.peers.values().rev().take_while(|p| p.web.is_some()).count()
    }

    /// Sends a message and notes that something was said. A web seed understands requests only.
    pub(super) fn send(&mut self, now: Instant, conn: ConnId, message: Message) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            let understood = matches!(message, Message::Request(_) | Message::Cancel(_));
            if peer.web.is_some() && !understood {
                return;
            }
            peer.last_said_at = now;
            self.outputs.push_back(Output::Send { conn, message });
        }
    }
}
