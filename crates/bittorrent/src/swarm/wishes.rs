//! What is wanted, and what follows when that changes: which pieces are missing, who is interesting,
//! what is in progress, and what peers are told (BEP 21).

use super::io::{ConnId, Output};
use super::picker::PickerKind;
use super::priority::{FilePriorities, PiecePriorities};
use super::{Phase, Swarm};
use crate::metainfo::Metainfo;
use crate::types::{PieceIndex, Priority};
use althing_base::Instant;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Swarm {
    /// How much each file is wanted.
    pub fn priorities(&self) -> &FilePriorities {
        &self.config.priorities
    }

    /// The order in which pieces are fetched.
    pub fn picker_kind(&self) -> PickerKind {
        self.config.picker
    }

    pub(super) fn set_priorities(&mut self, now: Instant, priorities: FilePriorities) {
        if priorities == self.config.priorities {
            return;
        }
        self.config.priorities = priorities;
        let Some(metainfo) = self.metainfo.clone().filter(|_| self.phase == Phase::Active) else {
            return;
        };
        let was_complete = self.is_complete();
        self.take_stock(&metainfo);
        self.give_up_unwanted(now);
        self.fill_picker(&metainfo);
        let conns: Vec<ConnId> = self.peers.keys().copied().collect();
        for conn in &conns {
            self.appraise(*conn);
            self.update_interest(now, *conn);
        }
        match (was_complete, self.is_complete()) {
            (false, true) => {
                self.outputs.push_back(Output::Completed);
                self.fill_free_slots(now);
            }
            (true, false) if self.is_running() => {
                // Those that only give are worth calling again.
                self.candidates.retry_all(now);
                self.asked_in_vain = 0;
                self.find_peers_at = Some(now);
                self.connect_more(now);
            }
            _ => {}
        }
        if was_complete != self.is_complete() {
            self.tell_upload_only(now);
        }
        self.order_from_all(now);
        self.watch_deadlines(now);
    }

    pub(super) fn set_picker(&mut self, now: Instant, kind: PickerKind) {
        if kind == self.config.picker {
            return;
        }
        self.config.picker = kind;
        let Some(metainfo) = self.metainfo.clone().filter(|_| self.phase == Phase::Active) else {
            return;
        };
        self.picker = kind.build(metainfo.piece_count(), self.seed.fork("picker", 1));
        self.fill_picker(&metainfo);
        let Swarm { peers, picker, .. } = self;
        for peer in peers.values_mut() {
            peer.exhausted = false;
            // What is in progress has no say in what comes next.
            peer.current = None;
            if let super::peer::Pieces::Known(bits) = &peer.pieces
                && !bits.is_full()
            {
                bits.ones().for_each(|piece| picker.more_common(piece));
            }
        }
        self.order_from_all(now);
    }

    /// Works out which pieces are wanted and how many of them are missing.
    pub(super) fn take_stock(&mut self, metainfo: &Metainfo) {
        self.priorities = PiecePriorities::new(&self.config.priorities, metainfo);
        let (selected, have) = (&self.priorities.selected, &self.have);
        let missing = |piece: PieceIndex| selected.get(piece) && !have.get(piece);
        self.missing = selected.ones().filter(|piece| missing(*piece)).count() as u32;
        self.deadlines.refresh(missing);
    }

    /// Tells the picker of each piece whether and how much it is wanted. What is in progress is none
    /// of its business, nor what cannot be checked yet.
    pub(super) fn fill_picker(&mut self, metainfo: &Metainfo) {
        for piece in (0..metainfo.piece_count()).map(PieceIndex) {
            let priority = self.priorities.of(piece);
            let wanted =
                priority != Priority::Skip && !self.have.get(piece) && !self.held.get(piece);
            if !wanted {
                self.picker.remove(piece);
            } else if self.open.get(piece).is_none() && metainfo.piece_hash(piece).is_some() {
                self.picker.add(piece, priority);
            }
        }
    }

    /// Gives up pieces in progress that nobody wants any more, and what is on order of them.
    fn give_up_unwanted(&mut self, now: Instant) {
        let selected = &self.priorities.selected;
        let unwanted: BTreeSet<PieceIndex> = self
            .open
            .iter()
            .filter(|(piece, open)| !selected.get(*piece) && !open.is_complete())
            .map(|(piece, _)| piece)
            .collect();
        self.take_back_all(now, &unwanted);
        for piece in unwanted {
            self.abandon(piece);
        }
    }

    /// Peers are told (BEP 21) that nothing is wanted any more, or something again. Whoever has everything
    /// has said so with its last `have`.
    pub(super) fn tell_upload_only(&mut self, now: Instant) {
        if self.have.is_full() {
            return;
        }
        let conns: Vec<ConnId> =
            self.peers.iter().filter(|(_, p)| p.extended).map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.send_extension_handshake(now, conn, Some(self.is_complete()));
        }
    }

    /// Bytes that are not on disk, wanted or not, padding not counted: what a tracker wants to know.
    /// `None` while the metadata is unknown.
    pub fn absent_bytes(&self) -> Option<u64> {
        let metainfo: &Arc<Metainfo> = self.metainfo.as_ref()?;
        if self.phase != Phase::Active {
            return Some(metainfo.total_size());
        }
        let absent = (0..self.have.len()).map(PieceIndex).filter(|piece| !self.have.get(*piece));
        Some(absent.map(|piece| u64::from(metainfo.piece_data_size(piece))).sum())
    }

    /// Whether it has all that it wants and not everything there is (BEP 21).
    pub fn is_partial_seed(&self) -> bool {
        self.is_complete() && !self.have.is_full()
    }
}
