//! The hash trees of v2 torrents (BEP 52): fetching the piece layers that a magnet link did not
//! bring, and giving hashes to peers that ask.
//!
//! A piece layer is fetched in parts of at most 512 hashes, each with a proof up to the root that
//! the info dictionary names, so every part is checked by itself and a lie ends with the peer
//! that told it.

use super::io::{ConnId, DisconnectReason, Output};
use super::limits::{HASH_PIPELINE, HASH_TIMEOUT, HASHES_PER_REQUEST, LEAF_READS_MAX};
use super::{Phase, Swarm, proof};
use crate::metainfo::{FileIndex, Metainfo};
use crate::types::{BLOCK_SIZE, PieceIndex};
use crate::wire::{HashRequest, Message};
use althing_base::time::Duration;
use althing_base::{Instant, Sha256Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Broken = DisconnectReason;

/// A piece layer on its way.
#[derive(Debug)]
struct LayerFetch {
    /// The pieces of the file.
    pieces: std::ops::Range<u32>,
    /// Parts still to come, by index of their first hash, that are not on order.
    to_order: BTreeSet<u32>,
    on_order: BTreeSet<u32>,
    /// Parts that came in and were right.
    parts: BTreeMap<u32, Vec<Sha256Digest>>,
}

/// All piece layers on their way, and leaves being read for peers.
#[derive(Debug, Default)]
pub(super) struct HashFetch {
    /// By root: files of equal content share a tree.
    layers: BTreeMap<Sha256Digest, LayerFetch>,
    /// The first file with each root, once a peer has asked for hashes.
    files: Option<BTreeMap<Sha256Digest, FileIndex>>,
    /// Who waits for the leaves of which piece.
    waiting: BTreeMap<PieceIndex, Vec<(ConnId, HashRequest)>>,
}

impl HashFetch {
    /// Notes which layers are missing.
    pub(super) fn start(&mut self, metainfo: &Metainfo) {
        self.layers.clear();
        self.waiting.clear();
        for file in metainfo.missing_layers() {
            let pieces = metainfo.file_pieces(file);
            let root = metainfo.files().get(file.0 as usize).and_then(|f| f.pieces_root());
            if let Some(root) = root {
                self.layers.entry(root).or_insert_with(|| LayerFetch {
                    to_order: (0..pieces.len() as u32)
                        .step_by(HASHES_PER_REQUEST as usize)
                        .collect(),
                    on_order: BTreeSet::new(),
                    parts: BTreeMap::new(),
                    pieces,
                });
            }
        }
    }

    /// A request came to nothing.
    pub(super) fn release(&mut self, request: &HashRequest) {
        if let Some(layer) = self.layers.get_mut(&request.pieces_root)
            && layer.on_order.remove(&request.index)
        {
            layer.to_order.insert(request.index);
        }
    }

    fn file_of(&mut self, metainfo: &Metainfo, root: Sha256Digest) -> Option<FileIndex> {
        let files = self.files.get_or_insert_with(|| {
            let roots = metainfo.files().iter().enumerate().rev();
            roots.filter_map(|(n, f)| Some((f.pieces_root()?, FileIndex(n as u32)))).collect()
        });
        files.get(&root).copied()
    }
}

impl LayerFetch {
    /// The request for the part that starts with hash `index`: a power of two of hashes, and the
    /// proof up to the root.
    fn request(&self, root: Sha256Digest, index: u32, piece_length: u32) -> HashRequest {
        let left = self.pieces.len() as u32 - index;
        let height = (self.pieces.len() as u32).next_power_of_two().ilog2();
        HashRequest {
            pieces_root: root,
            base_layer: (piece_length / BLOCK_SIZE).ilog2(),
            index,
            length: left.next_power_of_two().clamp(2, HASHES_PER_REQUEST),
            proof_layers: height.saturating_sub(1),
        }
    }
}

impl Swarm {
    /// Asks peers for the parts of piece layers that are missing.
    pub(super) fn order_hashes(&mut self, now: Instant) {
        if self.hashes.layers.is_empty() || self.phase != Phase::Active || !self.is_running() {
            return;
        }
        let Some(piece_length) = self.metainfo.as_ref().map(|m| m.piece_length()) else { return };
        let mut asked = false;
        for (conn, peer) in &mut self.peers {
            if !peer.v2 || peer.hashes_refused_until > now {
                continue;
            }
            for (root, layer) in &mut self.hashes.layers {
                while peer.hash_orders.len() < HASH_PIPELINE {
                    // Whoever has a piece has the hashes around it (BEP 52).
                    let has_some = |index: &u32| {
                        let end = (index + HASHES_PER_REQUEST).min(layer.pieces.len() as u32);
                        (*index..end).any(|n| peer.has(PieceIndex(layer.pieces.start + n)))
                    };
                    let Some(index) = layer.to_order.iter().copied().find(has_some) else { break };
                    layer.to_order.remove(&index);
                    layer.on_order.insert(index);
                    let request = layer.request(*root, index, piece_length);
                    peer.hash_orders.push((request, now));
                    peer.last_said_at = now;
                    let message = Message::HashRequest(request);
                    self.outputs.push_back(Output::Send { conn: *conn, message });
                    asked = true;
                }
            }
        }
        if asked {
            self.watch(now, Duration::from_secs(1));
        }
    }

    pub(super) fn hashes_came(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: HashRequest,
        hashes: &[Sha256Digest],
    ) -> Result<(), Broken> {
        if !self.forget_hash_order(conn, &request) {
            return self.overlook(now, conn, "hashes nobody asked for");
        }
        let Some(metainfo) = self.metainfo.clone() else { return Ok(()) };
        let Some(layer) = self.hashes.layers.get_mut(&request.pieces_root) else { return Ok(()) };
        let count = layer.pieces.len() as u32;
        let Some(checked) = proof::verify(&request, hashes, count, metainfo.piece_length()) else {
            self.hashes.release(&request);
            let ip = self.peers.get(&conn).map(|p| p.addr.ip());
            if let Some(ip) = ip {
                self.ban(now, ip);
            }
            return Ok(());
        };
        layer.on_order.remove(&request.index);
        layer.parts.insert(request.index, checked.to_vec());
        if layer.to_order.is_empty()
            && layer.on_order.is_empty()
            && let Some(layer) = self.hashes.layers.remove(&request.pieces_root)
        {
            self.layer_complete(now, &metainfo, request.pieces_root, layer);
        }
        self.order_hashes(now);
        Ok(())
    }

    /// A whole piece layer is here: its pieces can be checked, and so fetched.
    fn layer_complete(
        &mut self,
        now: Instant,
        metainfo: &Arc<Metainfo>,
        root: Sha256Digest,
        layer: LayerFetch,
    ) {
        let hashes: Vec<Sha256Digest> = layer.parts.into_values().flatten().collect();
        let of_root: Vec<FileIndex> = metainfo
            .missing_layers()
            .filter(|file| {
                metainfo.files().get(file.0 as usize).and_then(|f| f.pieces_root()) == Some(root)
            })
            .collect();
        let mut grown = Metainfo::clone(metainfo);
        for file in &of_root {
            match grown.with_layer(*file, hashes.clone()) {
                Ok(more) => grown = more,
                Err(error) => {
                    debug_assert!(false, "a checked piece layer was refused: {error}");
                    return;
                }
            }
        }
        let grown = Arc::new(grown);
        self.metainfo = Some(Arc::clone(&grown));
        self.outputs.push_back(Output::LayersReceived { metainfo: Arc::clone(&grown) });
        for file in of_root {
            for piece in grown.file_pieces(file).map(PieceIndex) {
                if self.wants(piece) && self.open.get(piece).is_none() {
                    self.picker.add(piece);
                }
            }
        }
        self.peers.values_mut().for_each(|p| p.exhausted = false);
        self.order_from_all(now);
    }

    pub(super) fn hashes_refused(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: HashRequest,
    ) -> Result<(), Broken> {
        if !self.forget_hash_order(conn, &request) {
            return self.overlook(now, conn, "hash rejects nobody asked for");
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.hashes_refused_until = now + HASH_TIMEOUT;
        }
        self.hashes.release(&request);
        self.order_hashes(now);
        Ok(())
    }

    fn forget_hash_order(&mut self, conn: ConnId, request: &HashRequest) -> bool {
        let Some(peer) = self.peers.get_mut(&conn) else { return false };
        let at = peer.hash_orders.iter().position(|(ordered, _)| ordered == request);
        at.map(|at| peer.hash_orders.swap_remove(at)).is_some()
    }

    /// A peer asks for hashes: of the piece layer and above from memory, of the leaves from disk.
    pub(super) fn hashes_requested(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: HashRequest,
    ) -> Result<(), Broken> {
        self.overlook(now, conn, "hash requests")?;
        let Some(metainfo) = self.metainfo.clone().filter(|_| self.phase == Phase::Active) else {
            self.send(now, conn, Message::HashReject(request));
            return Ok(());
        };
        let file = self.hashes.file_of(&metainfo, request.pieces_root);
        if let Some(hashes) = file.and_then(|file| proof::serve_hashes(&metainfo, file, &request)) {
            self.send(now, conn, Message::Hashes { request, hashes });
            return Ok(());
        }
        // Below the piece layer, within one piece that is on disk.
        let piece = file.and_then(|file| proof::piece_of_leaves(&metainfo, file, &request));
        match piece.filter(|piece| self.have.get(*piece)) {
            Some(piece) if self.hashes.waiting.len() < LEAF_READS_MAX => {
                let waiting = self.hashes.waiting.entry(piece).or_default();
                if waiting.is_empty() {
                    self.outputs.push_back(Output::ReadLeaves { piece });
                }
                waiting.push((conn, request));
            }
            _ => self.send(now, conn, Message::HashReject(request)),
        }
        Ok(())
    }

    pub(super) fn leaves_read(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        leaves: Option<&[Sha256Digest]>,
    ) {
        let waiting = self.hashes.waiting.remove(&piece).unwrap_or_default();
        let Some(metainfo) = self.metainfo.clone() else { return };
        for (conn, request) in waiting {
            let file = self.hashes.file_of(&metainfo, request.pieces_root);
            let hashes = file.zip(leaves).and_then(|(file, leaves)| {
                proof::serve_leaves(&metainfo, file, &request, piece, leaves)
            });
            let message = match hashes {
                Some(hashes) => Message::Hashes { request, hashes },
                None => Message::HashReject(request),
            };
            self.send(now, conn, message);
        }
    }
}
