//! What peers say: each message, checked against what we know, turned into what it changes.

use super::io::{ConnId, Direction, DisconnectReason, Output, PeerSource, Transport};
use super::limits::{
    ALLOWED_FAST_MAX, ANSWER_WASTE, METADATA_PIPELINE, METADATA_REFUSED_FOR, UPLOAD_QUEUE_MAX,
};
use super::metadata::{MetadataFetch, Progress};
use super::peer::{Peer, Pieces};
use super::{Phase, Swarm};
use crate::types::{Bitfield, PieceIndex};
use crate::wire::{
    ExtensionHandshake, LT_DONTHAVE, Message, MetadataMessage, UT_HOLEPUNCH, UT_METADATA, UT_PEX,
};
use althing_base::Instant;
use althing_base::time::Duration;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Our own number for `ut_metadata`, told in the extension handshake (BEP 10).
const OUR_UT_METADATA: u8 = 1;

/// The same for `ut_pex`.
const OUR_UT_PEX: u8 = 2;

/// The same for `lt_donthave`.
const OUR_LT_DONTHAVE: u8 = 3;

/// The same for `ut_holepunch`.
const OUR_UT_HOLEPUNCH: u8 = 4;

/// The same for what is carried for an application.
const OUR_APPLICATION: u8 = 5;

/// Why a message ends the connection.
type Broken = DisconnectReason;

impl Swarm {
    pub(super) fn message(&mut self, now: Instant, conn: ConnId, message: Message) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.heard(now, self.totals.downloaded_bytes);
        if let Err(reason) = self.heed(now, conn, message) {
            self.drop_peer(now, conn, reason);
            self.connect_more(now);
        }
    }

    fn heed(&mut self, now: Instant, conn: ConnId, message: Message) -> Result<(), Broken> {
        match message {
            Message::KeepAlive => {}
            Message::Port(port) => self.dht_port(now, conn, port)?,
            Message::SuggestPiece(piece) => self.piece_suggested(conn, piece),
            Message::Unknown { .. } => self.overlook(now, conn, "unknown messages")?,
            Message::Bitfield(bytes) => self.peer_has_bits(now, conn, &bytes)?,
            Message::HaveAll => self.peer_has(now, conn, true)?,
            Message::HaveNone => self.peer_has(now, conn, false)?,
            Message::Have(piece) => self.peer_got(now, conn, piece)?,
            Message::Choke => self.choked_by(now, conn)?,
            Message::Unchoke => self.unchoked_by(now, conn)?,
            Message::Interested => self.interest(now, conn, true)?,
            Message::NotInterested => self.interest(now, conn, false)?,
            Message::Request(block) => self.requested(now, conn, block)?,
            Message::Cancel(block) => self.cancelled(now, conn, block)?,
            Message::Reject(block) => self.rejected(now, conn, block)?,
            Message::AllowedFast(piece) => self.allowed_fast(now, conn, piece)?,
            Message::Extended { id: 0, payload } => {
                self.extension_handshake(now, conn, &payload)?;
            }
            Message::Extended { id: OUR_UT_METADATA, payload } => {
                self.metadata_message(now, conn, &payload)?;
            }
            Message::Extended { id: OUR_UT_PEX, payload } => {
                self.pex_message(now, conn, &payload)?;
            }
            Message::Extended { id: OUR_LT_DONTHAVE, payload } => {
                self.peer_lost(now, conn, &payload)?;
            }
            Message::Extended { id: OUR_UT_HOLEPUNCH, payload } => {
                self.holepunch_message(now, conn, &payload)?;
            }
            Message::Extended { id: OUR_APPLICATION, payload } => {
                self.application_message(now, conn, payload)?;
            }
            Message::Extended { .. } => self.overlook(now, conn, "unknown extensions")?,
            Message::HashRequest(request) => self.hashes_requested(now, conn, request)?,
            Message::Hashes { request, hashes } => self.hashes_came(now, conn, request, &hashes)?,
            Message::HashReject(request) => self.hashes_refused(now, conn, request)?,
        }
        Ok(())
    }

    /// Lets something useless pass, unless it has become a flood.
    pub(super) fn overlook(
        &mut self,
        now: Instant,
        conn: ConnId,
        what: &'static str,
    ) -> Result<(), Broken> {
        let tolerable = self.peers.get_mut(&conn).is_none_or(|p| p.overlook(now));
        if tolerable { Ok(()) } else { Err(DisconnectReason::Flood(what)) }
    }

    // What the peer has.

    fn peer_has_bits(&mut self, now: Instant, conn: ConnId, bytes: &Bytes) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        match &mut peer.pieces {
            Pieces::Early { bitfield, .. } => {
                let again = bitfield.replace(bytes.clone()).is_some();
                peer.spoken = true;
                if again { self.overlook(now, conn, "repeated bitfields") } else { Ok(()) }
            }
            Pieces::Known(bits) => {
                let told = Bitfield::from_bytes(bytes, bits.len())
                    .ok_or(DisconnectReason::ProtocolViolation("bitfield of a wrong size"))?;
                self.peer_has_these(now, conn, &told)
            }
        }
    }

    fn peer_has(&mut self, now: Instant, conn: ConnId, everything: bool) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if !peer.fast {
            return Err(DisconnectReason::ProtocolViolation(
                "a fast message without the extension",
            ));
        }
        match &mut peer.pieces {
            Pieces::Early { all, .. } => {
                let again = std::mem::replace(&mut peer.spoken, true);
                *all |= everything;
                if again { self.overlook(now, conn, "repeated bitfields") } else { Ok(()) }
            }
            Pieces::Known(bits) => {
                let len = bits.len();
                let told = if everything { Bitfield::full(len) } else { Bitfield::new(len) };
                self.peer_has_these(now, conn, &told)
            }
        }
    }

    /// A peer's first words, or later ones: a bitfield comes first (BEP 3) and only once, but aria2
    /// sends another in place of many haves, and so it counts. A piece once had is not taken back.
    fn peer_has_these(
        &mut self,
        now: Instant,
        conn: ConnId,
        told: &Bitfield,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let late = std::mem::replace(&mut peer.spoken, true);
        let Pieces::Known(bits) = &mut peer.pieces else { return Ok(()) };
        if late && told.ones().all(|piece| bits.get(piece)) {
            return self.overlook(now, conn, "repeated bitfields");
        }
        let before = Pieces::Known(bits.clone());
        for piece in told.ones() {
            bits.set(piece, true);
        }
        if self.phase == Phase::Active {
            self.count_out(&before);
            self.introduce(now, conn);
        }
        Ok(())
    }

    fn peer_got(&mut self, now: Instant, conn: ConnId, piece: PieceIndex) -> Result<(), Broken> {
        let wanted = self.wants(piece);
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        peer.spoken = true;
        let bits = match &mut peer.pieces {
            Pieces::Early { .. } => {
                if peer.pieces.early_have(piece) {
                    return Ok(());
                }
                return Err(DisconnectReason::Flood("have messages"));
            }
            Pieces::Known(bits) => bits,
        };
        if piece.0 >= bits.len() {
            return Err(DisconnectReason::ProtocolViolation("a piece that does not exist"));
        }
        if !bits.set(piece, true) {
            return self.overlook(now, conn, "repeated have messages");
        }
        let is_full = bits.is_full();
        self.spread_seen(conn, piece);
        self.piece_seen(now, conn, piece);
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Pieces::Known(bits) = &mut peer.pieces else { return Ok(()) };
        if is_full {
            // Seeds are not counted; all but the newest piece were.
            let counted: Vec<PieceIndex> = bits.ones().filter(|other| *other != piece).collect();
            counted.into_iter().for_each(|counted| self.rarer(counted));
            self.met_a_seed(now, conn);
        } else {
            self.more_common(piece);
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if wanted {
            peer.useful += 1;
            peer.exhausted = false;
            self.update_interest(now, conn);
            self.order_from(now, conn);
        }
        Ok(())
    }

    /// Takes a peer's pieces into account, all at once.
    pub(super) fn introduce(&mut self, now: Instant, conn: ConnId) {
        if self.phase != Phase::Active {
            return;
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let Pieces::Known(bits) = &peer.pieces else { return };
        if !bits.is_full() {
            let pieces: Vec<PieceIndex> = bits.ones().collect();
            pieces.into_iter().for_each(|piece| self.more_common(piece));
        }
        let Some(peer) = self.peers.get(&conn) else { return };
        let is_full = matches!(&peer.pieces, Pieces::Known(bits) if bits.is_full());
        self.appraise(conn);
        if is_full {
            self.met_a_seed(now, conn);
        }
        self.update_interest(now, conn);
        self.order_from(now, conn);
        self.order_hashes(now);
        self.show_more(now, conn);
    }

    /// Counts what a peer has that we want.
    pub(super) fn appraise(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let Pieces::Known(bits) = &peer.pieces else { return };
        let (selected, have) = (&self.priorities.selected, &self.have);
        peer.useful = bits.ones().filter(|p| selected.get(*p) && !have.get(*p)).count() as u32;
        peer.exhausted = false;
    }

    /// Takes a peer's pieces out of the count.
    pub(super) fn count_out(&mut self, pieces: &Pieces) {
        if let Pieces::Known(bits) = pieces
            && !bits.is_full()
        {
            bits.ones().for_each(|piece| self.rarer(piece));
        }
    }

    /// Two that have everything have nothing to say to each other but that, lest they call each other
    /// again: whoever was called hangs up when it has heard where the other listens. The caller
    /// waits for that, or for the choker's round ([`Swarm::part_from_seeds`]).
    fn met_a_seed(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get(&conn) else { return };
        let heard_all = peer.listens_at.is_some() || !peer.extended;
        let hangs_up = peer.direction == Direction::Incoming && heard_all && peer.speaks.is_none();
        if let Some(addr) = peer.listens_at {
            self.candidates.is_seed(addr);
        }
        if self.is_complete() && hangs_up {
            self.drop_peer(now, conn, DisconnectReason::NothingToExchange);
        }
    }

    pub(super) fn update_interest(&mut self, now: Instant, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let interesting = peer.useful > 0;
        if interesting != peer.interesting {
            peer.interesting = interesting;
            let message = if interesting { Message::Interested } else { Message::NotInterested };
            self.send(now, conn, message);
        }
    }

    /// The number of pieces is known now: what peers said before can be read.
    pub(super) fn settle_peers(&mut self, now: Instant, count: u32) {
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in conns {
            let Some(peer) = self.peers.get_mut(&conn) else { continue };
            match peer.pieces.settle(count) {
                Some(bits) => peer.pieces = Pieces::Known(bits),
                None => {
                    let reason = DisconnectReason::ProtocolViolation("pieces that do not exist");
                    self.drop_peer(now, conn, reason);
                }
            }
        }
    }

    fn allowed_fast(
        &mut self,
        now: Instant,
        conn: ConnId,
        piece: PieceIndex,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if !peer.fast {
            return Err(DisconnectReason::ProtocolViolation(
                "a fast message without the extension",
            ));
        }
        if peer.allowed_fast.len() >= ALLOWED_FAST_MAX || !peer.allowed_fast.insert(piece) {
            return self.overlook(now, conn, "allowed-fast messages");
        }
        peer.exhausted = false;
        self.order_from(now, conn);
        Ok(())
    }

    // Extensions.

    /// The first one, or a later one for what it says of BEP 21.
    pub(super) fn send_extension_handshake(
        &mut self,
        now: Instant,
        conn: ConnId,
        upload_only: Option<bool>,
    ) {
        let Some(peer) = self.peers.get(&conn) else { return };
        let metadata_size = self.metainfo.as_ref().map(|m| m.info_bytes().len() as u32);
        let mut extensions = BTreeMap::from([
            (UT_METADATA.to_vec(), OUR_UT_METADATA),
            // 0 takes it back, if the torrent has turned out to be private (BEP 10).
            (UT_PEX.to_vec(), if self.exchanges_peers() { OUR_UT_PEX } else { 0 }),
            (LT_DONTHAVE.to_vec(), OUR_LT_DONTHAVE),
        ]);
        if self.config.utp {
            let id = if self.makes_holes() { OUR_UT_HOLEPUNCH } else { 0 };
            extensions.insert(UT_HOLEPUNCH.to_vec(), id);
        }
        if let Some(name) = self.config.application {
            extensions.insert(name.as_bytes().to_vec(), OUR_APPLICATION);
        }
        let handshake = ExtensionHandshake {
            extensions,
            client: Some(self.config.client.clone().into_owned()),
            port: self.config.listen_port,
            request_queue: Some(UPLOAD_QUEUE_MAX as u32),
            your_ip: Some(peer.addr.ip().to_canonical()),
            metadata_size,
            upload_only,
            ..ExtensionHandshake::default()
        };
        self.send(now, conn, Message::Extended { id: 0, payload: handshake.encode() });
    }

    fn extension_handshake(
        &mut self,
        now: Instant,
        conn: ConnId,
        payload: &Bytes,
    ) -> Result<(), Broken> {
        self.overlook(now, conn, "extension handshakes")?;
        let handshake = ExtensionHandshake::parse(payload).map_err(|_| {
            DisconnectReason::ProtocolViolation("an unreadable extension handshake")
        })?;
        let complete = self.is_complete();
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        if let (None, Some(ip)) = (peer.extensions.your_ip, handshake.your_ip) {
            let by = peer.addr.ip().to_canonical();
            self.outputs.push_back(Output::ExternalAddress { by, ip });
        }
        // A size is believed once: orders refer to it.
        let size = peer.extensions.metadata_size;
        peer.extensions.update(handshake);
        peer.extensions.metadata_size = size.or(peer.extensions.metadata_size);
        if let Some(queue) = peer.extensions.request_queue {
            peer.queue_limit = (queue as usize).max(1);
        }
        if let (None, Some(port)) = (peer.listens_at, peer.extensions.port) {
            let addr = SocketAddr::new(peer.addr.ip().to_canonical(), port);
            peer.listens_at = Some(addr);
            self.candidates.add(now, addr, PeerSource::Incoming);
            self.candidates.connected(addr);
        }
        self.meet_for_application(now, conn);
        if complete && self.peers.get(&conn).is_some_and(Peer::is_of_no_use) {
            // It may be a partial seed (BEP 21), which is of no use either as long as we want nothing.
            if let Some(addr) = self.peers.get(&conn).and_then(|p| p.listens_at) {
                self.candidates.is_seed(addr);
            }
            // See `met_a_seed`.
            if self.peers.get(&conn).is_some_and(|p| p.direction == Direction::Incoming) {
                return Err(DisconnectReason::NothingToExchange);
            }
        }
        if self.peers.get(&conn).is_some_and(|p| p.transport == Transport::Utp) {
            // Transmission 3.00 leaves what came in one packet with our handshake unread until another
            // packet comes. Whoever seeds and has said everything would wait for it, and it for us.
            self.send(now, conn, Message::KeepAlive);
        }
        self.order_metadata(now);
        Ok(())
    }

    fn metadata_message(
        &mut self,
        now: Instant,
        conn: ConnId,
        payload: &Bytes,
    ) -> Result<(), Broken> {
        let message = MetadataMessage::parse(payload)
            .map_err(|_| DisconnectReason::ProtocolViolation("an unreadable metadata message"))?;
        match message {
            MetadataMessage::Request { piece } => self.metadata_requested(now, conn, piece)?,
            MetadataMessage::Data { piece, payload, .. } => {
                self.metadata_came(now, conn, piece, payload)?;
            }
            MetadataMessage::Reject { piece } => {
                let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
                peer.metadata_orders.retain(|(ordered, _)| *ordered != piece);
                peer.metadata_refused_until = now + METADATA_REFUSED_FOR;
                let size = peer.extensions.metadata_size;
                if let (Some(fetch), Some(size)) = (&mut self.metadata, size) {
                    fetch.release(conn, size, piece);
                }
                self.order_metadata(now);
            }
            MetadataMessage::Unknown => self.overlook(now, conn, "metadata messages")?,
        }
        Ok(())
    }

    fn metadata_requested(&mut self, now: Instant, conn: ConnId, piece: u32) -> Result<(), Broken> {
        // 16 KiB for a dozen bytes is worth a flood's while, so each counts.
        for _ in 0..ANSWER_WASTE {
            self.overlook(now, conn, "metadata requests")?;
        }
        let Some(id) = self.peers.get(&conn).and_then(|p| p.extensions.id(UT_METADATA)) else {
            return Ok(());
        };
        let info = self.metainfo.as_ref().map(|m| m.info_bytes());
        let part = info.and_then(|info| {
            let start = (piece as usize).checked_mul(crate::types::BLOCK_SIZE as usize)?;
            let end = info.len().min(start + crate::types::BLOCK_SIZE as usize);
            (start < end).then(|| (info.len() as u32, info.slice(start..end)))
        });
        let answer = match part {
            Some((size, payload)) => {
                MetadataMessage::Data { piece, total_size: Some(size), payload }
            }
            None => MetadataMessage::Reject { piece },
        };
        self.send(now, conn, Message::Extended { id, payload: answer.encode() });
        Ok(())
    }

    fn metadata_came(
        &mut self,
        now: Instant,
        conn: ConnId,
        piece: u32,
        payload: Bytes,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let ordered = peer.metadata_orders.iter().position(|(n, _)| *n == piece);
        let (Some(at), Some(size)) = (ordered, peer.extensions.metadata_size) else {
            return self.overlook(now, conn, "metadata nobody asked for");
        };
        peer.metadata_orders.swap_remove(at);
        let from = peer.addr.ip().to_canonical();
        let Some(fetch) = &mut self.metadata else { return Ok(()) };
        match fetch.receive(conn, from, size, piece, payload) {
            Progress::Partial => self.order_metadata(now),
            Progress::Unwanted => self.overlook(now, conn, "metadata of a wrong length")?,
            Progress::Complete(info) => {
                self.peers.values_mut().for_each(|p| p.metadata_orders.clear());
                self.metadata_complete(now, &info);
            }
            Progress::Wrong(liar) => {
                self.peers.values_mut().for_each(|p| p.metadata_orders.clear());
                if let Some(liar) = liar {
                    self.ban(now, liar);
                }
                self.order_metadata(now);
            }
        }
        Ok(())
    }

    /// Asks every peer that may have the metadata for parts that are not on order.
    pub(super) fn order_metadata(&mut self, now: Instant) {
        let Some(fetch) = &mut self.metadata else { return };
        let mut asked = false;
        for (conn, peer) in &mut self.peers {
            let (Some(id), Some(size)) =
                (peer.extensions.id(UT_METADATA), peer.extensions.metadata_size)
            else {
                continue;
            };
            if peer.metadata_refused_until > now || !MetadataFetch::is_plausible(size) {
                continue;
            }
            while peer.metadata_orders.len() < METADATA_PIPELINE
                && let Some(piece) = fetch.order(*conn, size)
            {
                peer.metadata_orders.push((piece, now));
                peer.last_said_at = now;
                let payload = MetadataMessage::Request { piece }.encode();
                let message = Message::Extended { id, payload };
                self.outputs.push_back(Output::Send { conn: *conn, message });
                asked = true;
            }
        }
        if asked {
            self.watch(now, Duration::from_secs(1));
        }
    }

    pub(super) fn forget_orders_for_metadata(&mut self, conn: ConnId, peer: &Peer) {
        if let (Some(fetch), Some(size)) = (&mut self.metadata, peer.extensions.metadata_size) {
            for (piece, _) in &peer.metadata_orders {
                fetch.release(conn, size, *piece);
            }
            fetch.forget(conn);
        }
        for (request, _) in &peer.hash_orders {
            self.hashes.release(request);
        }
    }
}
