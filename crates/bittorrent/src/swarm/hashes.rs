//! The hash trees of v2 torrents (BEP 52): fetching the piece layers that a magnet link did not
//! bring, and giving hashes to peers that ask.
//!
//! A piece layer is fetched in parts of at most 512 hashes, each with a proof up to the root that
//! the info dictionary names, so every part is checked by itself and a lie ends with the peer
//! that told it.

use super::io::{ConnId, DisconnectReason, Output};
use super::limits::{ANSWER_WASTE, HASH_PIPELINE, HASH_TIMEOUT, LEAF_READ_WASTE, LEAF_READS_MAX};
use super::peer::Peer;
use super::{Phase, Swarm};
use crate::metainfo::merkle::{Tree, TreeShape};
use crate::metainfo::{FileIndex, Metainfo};
use crate::types::PieceIndex;
use crate::wire::{HashRequest, Message};
use althing_base::time::Duration;
use althing_base::{Instant, Sha256Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

type Broken = DisconnectReason;

/// A piece layer on its way.
#[derive(Debug)]
struct LayerFetch {
    shape: TreeShape,
    /// The pieces of the file.
    pieces: Range<u32>,
    to_order: BTreeSet<HashRequest>,
    on_order: BTreeSet<HashRequest>,
    /// The parts that came in and were right, by index of their first hash.
    parts: BTreeMap<u32, Vec<Sha256Digest>>,
}

impl LayerFetch {
    /// Something to ask this peer for. Whoever has a piece has the hashes around it (BEP 52).
    fn order(&mut self, peer: &Peer) -> Option<HashRequest> {
        let pieces = &self.pieces;
        let has_some = |request: &&HashRequest| {
            let first = pieces.start + request.index;
            (first..pieces.end.min(first + request.length)).any(|n| peer.has(PieceIndex(n)))
        };
        let request = self.to_order.iter().find(has_some).copied()?;
        self.to_order.remove(&request);
        self.on_order.insert(request);
        Some(request)
    }
}

/// All piece layers on their way, and what peers are answered from.
#[derive(Debug, Default)]
pub(super) struct HashFetch {
    /// By root: files of equal content share a tree.
    layers: BTreeMap<Sha256Digest, LayerFetch>,
    /// The first file with each root, once a peer has asked for hashes.
    files: Option<BTreeMap<Sha256Digest, FileIndex>>,
    /// The tree that was asked for last: requests for one file come in rows.
    tree: Option<Box<(FileIndex, Tree)>>,
    /// Who waits for the leaves of which piece.
    waiting: BTreeMap<PieceIndex, Vec<(ConnId, HashRequest)>>,
}

impl HashFetch {
    /// Notes which layers are missing.
    pub(super) fn start(&mut self, metainfo: &Metainfo) {
        for file in metainfo.missing_layers() {
            let Some(shape) = metainfo.tree_shape(file) else { continue };
            self.layers.entry(shape.pieces_root()).or_insert_with(|| LayerFetch {
                pieces: metainfo.file_pieces(file),
                to_order: shape.piece_layer_requests().collect(),
                on_order: BTreeSet::new(),
                parts: BTreeMap::new(),
                shape,
            });
        }
    }

    /// A request came to nothing.
    pub(super) fn release(&mut self, request: &HashRequest) {
        if let Some(layer) = self.layers.get_mut(&request.pieces_root)
            && layer.on_order.remove(request)
        {
            layer.to_order.insert(*request);
        }
    }

    fn file_of(&mut self, metainfo: &Metainfo, root: Sha256Digest) -> Option<FileIndex> {
        let files = self.files.get_or_insert_with(|| {
            let roots = metainfo.files().iter().enumerate().rev();
            roots.filter_map(|(n, f)| Some((f.pieces_root()?, FileIndex(n as u32)))).collect()
        });
        files.get(&root).copied()
    }

    /// The tree that a request is about, if its piece layer is known.
    fn tree_of(
        &mut self,
        metainfo: &Metainfo,
        request: &HashRequest,
    ) -> Option<(FileIndex, &Tree)> {
        let file = self.file_of(metainfo, request.pieces_root)?;
        if self.tree.as_ref().is_none_or(|tree| tree.0 != file) {
            let tree = Tree::new(metainfo.tree_shape(file)?, metainfo.piece_layer(file)?)?;
            self.tree = Some(Box::new((file, tree)));
        }
        self.tree.as_ref().map(|tree| (file, &tree.1))
    }
}

impl Swarm {
    /// Asks peers for the parts of piece layers that are missing.
    pub(super) fn order_hashes(&mut self, now: Instant) {
        if self.hashes.layers.is_empty() || self.phase != Phase::Active || !self.is_running() {
            return;
        }
        let mut asked = false;
        for (conn, peer) in &mut self.peers {
            if !peer.v2 || peer.hashes_refused_until > now {
                continue;
            }
            for layer in self.hashes.layers.values_mut() {
                while peer.hash_orders.len() < HASH_PIPELINE
                    && let Some(request) = layer.order(peer)
                {
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
        let Some(layer) = self.hashes.layers.get_mut(&request.pieces_root) else { return Ok(()) };
        match layer.shape.verify(&request, hashes, None) {
            Ok(checked) => {
                layer.on_order.remove(&request);
                layer.parts.insert(request.index, checked.to_vec());
            }
            Err(error) => {
                tracing::debug!(conn = conn.0, %error, "a peer sent false hashes");
                self.hashes.release(&request);
                if let Some(ip) = self.peers.get(&conn).map(|p| p.addr.ip()) {
                    self.ban(now, ip);
                }
                return Ok(());
            }
        }
        if layer.to_order.is_empty()
            && layer.on_order.is_empty()
            && let Some(layer) = self.hashes.layers.remove(&request.pieces_root)
        {
            self.layer_complete(now, layer);
        }
        self.order_hashes(now);
        Ok(())
    }

    /// A whole piece layer is here: its pieces can be checked, and so fetched.
    fn layer_complete(&mut self, now: Instant, layer: LayerFetch) {
        let Some(metainfo) = &self.metainfo else { return };
        let root = layer.shape.pieces_root();
        let hashes: Vec<Sha256Digest> = layer.parts.into_values().flatten().collect();
        let has_root = |file: &FileIndex| {
            metainfo.tree_shape(*file).is_some_and(|shape| shape.pieces_root() == root)
        };
        let files: Vec<FileIndex> = metainfo.missing_layers().filter(has_root).collect();
        let mut grown = Metainfo::clone(metainfo);
        for file in &files {
            if let Err(error) = grown.add_layer(*file, hashes.clone()) {
                debug_assert!(false, "a checked piece layer was refused: {error}");
                return;
            }
        }
        let grown = Arc::new(grown);
        self.metainfo = Some(Arc::clone(&grown));
        self.outputs.push_back(Output::LayersReceived { metainfo: Arc::clone(&grown) });
        for piece in files.into_iter().flat_map(|file| grown.file_pieces(file)).map(PieceIndex) {
            if self.wants(piece) && self.open.get(piece).is_none() && !self.held.get(piece) {
                self.picker.add(piece, self.priorities.of(piece));
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

    /// A peer asks for hashes: of the piece layer and above from memory, below it from disk.
    pub(super) fn hashes_requested(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: HashRequest,
    ) -> Result<(), Broken> {
        for _ in 0..ANSWER_WASTE {
            self.overlook(now, conn, "hash requests")?;
        }
        let metainfo = self.metainfo.clone().filter(|_| self.phase == Phase::Active);
        let tree = metainfo.as_ref().and_then(|m| Some((m, self.hashes.tree_of(m, &request)?)));
        let Some((metainfo, (file, tree))) = tree else {
            self.send(now, conn, Message::HashReject(request));
            return Ok(());
        };
        let Some(piece) = tree.shape().piece_needed(&request) else {
            let message = match tree.answer(&request, &[]) {
                Some(hashes) => Message::Hashes { request, hashes },
                None => Message::HashReject(request),
            };
            self.send(now, conn, message);
            return Ok(());
        };
        let piece = PieceIndex(metainfo.file_pieces(file).start.saturating_add(piece));
        if !self.have.get(piece) || self.hashes.waiting.len() >= LEAF_READS_MAX {
            self.send(now, conn, Message::HashReject(request));
            return Ok(());
        }
        let waiting = self.hashes.waiting.entry(piece).or_default();
        if waiting.is_empty() {
            self.outputs.push_back(Output::ReadLeaves { piece });
        }
        waiting.push((conn, request));
        // A piece read and hashed for a few hashes, which nobody needs but after it got a wrong block.
        for _ in ANSWER_WASTE..LEAF_READ_WASTE {
            self.overlook(now, conn, "requests for leaves")?;
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
            let tree = self.hashes.tree_of(&metainfo, &request);
            let hashes =
                tree.zip(leaves).and_then(|((_, tree), leaves)| tree.answer(&request, leaves));
            let message = match hashes {
                Some(hashes) => Message::Hashes { request, hashes },
                None => Message::HashReject(request),
            };
            self.send(now, conn, message);
        }
    }
}
