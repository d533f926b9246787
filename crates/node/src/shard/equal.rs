//! Taking files from other torrents that have the same ones, and giving them to those: what
//! [`equal`](crate::equal) decides is carried out here.

use super::Command;
use super::core::Core;
use super::torrent::Files;
use crate::clock;
use crate::equal::{Change, Message, Offer, Place, Twin, Twins};
use crate::limits::EQUAL_PATIENCE;
use althing_base::Instant;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::swarm::{Input, Swarm};
use althing_bittorrent::{Bitfield, PieceIndex, Priority};
use althing_router::TorrentKey;
use althing_store::pieces::{Copied, Partial, Source};
use std::collections::BTreeMap;
use tracing::debug;

/// What a torrent has to do with others that have some of its files.
pub(super) struct Sharing {
    twins: Twins,
    /// Where to copy from.
    sources: BTreeMap<TorrentKey, Source>,
    /// Others have been told that we fetch what we lack.
    leads: bool,
    /// Since when we may be expected to.
    since: Instant,
}

impl Core {
    /// A torrent's files are about to be ready, with what it has of them: looks who else has them, and
    /// leaves to those what they may have until they have answered.
    pub(super) fn meet_twins(&mut self, key: TorrentKey, have: &Bitfield, partials: &[Partial]) {
        let Some(metainfo) = self.metainfo(key) else { return };
        if metainfo.info_hashes().v2().is_none() {
            return;
        }
        let found = self.shared.equals.join(key, self.number, &metainfo);
        let (now, running) = (clock::now(), self.is_running(key));
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        if found.is_empty() && torrent.sharing.is_none() {
            return;
        }
        let sharing = torrent.sharing.get_or_insert_with(|| Box::new(Sharing::new(now, key)));
        (sharing.since, sharing.leads) = (now, running);
        let mut met: BTreeMap<(usize, TorrentKey), Vec<(FileIndex, Twin)>> = BTreeMap::new();
        for (file, twin) in found {
            sharing.twins.meet(now, &metainfo, file, twin, true);
            let own = Twin {
                place: Place { torrent: key, file },
                shard: self.number,
                piece_length: metainfo.piece_length(),
            };
            let theirs = met.entry((twin.shard, twin.place.torrent)).or_default();
            theirs.push((twin.place.file, own));
        }
        let begun = |piece: &PieceIndex| partials.iter().any(|partial| partial.piece == *piece);
        let mut hold = sharing.twins.asked(&metainfo);
        hold.retain(|piece| !have.get(*piece) && !begun(piece));
        for ((shard, torrent), files) in met {
            self.tell_twin(shard, torrent, Message::Met(files));
        }
        self.waiting_for_twins.insert(key);
        self.change(key, Change { hold, release: Vec::new() });
    }

    /// A torrent that has some of the same files tells something.
    pub(super) fn twin_says(&mut self, key: TorrentKey, message: Message) {
        match message {
            Message::Met(files) => self.met(key, &files),
            Message::Offer { from, source, files } => self.offered(key, from, source, &files),
            Message::Gone { from } => {
                let (Some(torrent), Some(swarm)) =
                    (self.torrents.get_mut(&key), self.router.swarm(key))
                else {
                    return;
                };
                let Some(sharing) = &mut torrent.sharing else { return };
                sharing.sources.remove(&from);
                let change = sharing.twins.gone(from, swarm);
                if sharing.twins.is_empty() {
                    torrent.sharing = None;
                }
                self.change(key, change);
            }
            Message::Wrong { file } => self.found_wrong(key, file),
        }
    }

    fn met(&mut self, key: TorrentKey, files: &[(FileIndex, Twin)]) {
        let Some(metainfo) = self.metainfo(key) else { return };
        let running = self.is_running(key);
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        if torrent.closing.is_some() {
            return;
        }
        let now = clock::now();
        // Whether anything comes, time will tell.
        let new = || Box::new(Sharing { leads: running, ..Sharing::new(now, key) });
        let sharing = torrent.sharing.get_or_insert_with(new);
        for (file, twin) in files {
            sharing.twins.meet(now, &metainfo, *file, *twin, false);
        }
        let by = files.first().map(|(_, twin)| twin.place.torrent);
        self.offer(key, None, by);
    }

    fn offered(
        &mut self,
        key: TorrentKey,
        from: TorrentKey,
        source: Option<Source>,
        files: &[Offer],
    ) {
        let (Some(torrent), Some(swarm)) = (self.torrents.get_mut(&key), self.router.swarm(key))
        else {
            return;
        };
        let Some(sharing) = &mut torrent.sharing else { return };
        if let Some(source) = source {
            sharing.sources.insert(from, source);
        }
        let mut change = Change::default();
        for offer in files {
            let Change { hold, release } = sharing.twins.offered(clock::now(), from, offer, swarm);
            change.hold.extend(hold);
            change.release.extend(release);
        }
        if sharing.twins.any_waiting() {
            self.waiting_for_twins.insert(key);
        }
        self.change(key, change);
        self.copy_more(key);
    }

    /// A twin has found something else in one of our files than what it should have.
    fn found_wrong(&mut self, key: TorrentKey, file: FileIndex) {
        let Some(metainfo) = self.metainfo(key) else { return };
        let Some(file) = metainfo.files().get(file.0 as usize) else { return };
        let sentence = format!(
            "{} has changed since it was checked, as another torrent with the same file has found; \
             verify this one to mend it",
            file.path()
        );
        // Once is enough.
        if let Some(torrent) = self.torrents.get_mut(&key).filter(|one| one.note.is_none()) {
            torrent.note = Some(sentence.as_str().into());
            self.publish(key);
            self.note_event(key, &sentence);
        }
    }

    /// Tells a torrent's swarm what comes from elsewhere.
    fn change(&mut self, key: TorrentKey, change: Change) {
        let Change { hold, release } = change;
        if !release.is_empty() {
            self.input(key, Input::Release { pieces: release });
        }
        if !hold.is_empty() {
            self.input(key, Input::Hold { pieces: hold });
        }
    }

    /// Works out anew what comes from other torrents.
    pub(super) fn plan_copies(&mut self, key: TorrentKey) {
        let (Some(torrent), Some(swarm)) = (self.torrents.get_mut(&key), self.router.swarm(key))
        else {
            return;
        };
        let Some(sharing) = &mut torrent.sharing else { return };
        let change = sharing.twins.plan_all(swarm);
        self.change(key, change);
        self.copy_more(key);
    }

    /// A torrent goes on, or rests.
    pub(super) fn resume_copies(&mut self, key: TorrentKey) {
        if let Some(Sharing { since, .. }) =
            self.torrents.get_mut(&key).and_then(|torrent| torrent.sharing.as_deref_mut())
        {
            *since = clock::now();
            self.plan_copies(key);
            self.offer_all(key);
        }
    }

    /// Somebody reads these pieces: a twin is not waited for any more if one of them is left to it.
    pub(super) fn do_not_wait(
        &mut self,
        key: TorrentKey,
        mut pieces: impl Iterator<Item = PieceIndex>,
    ) {
        let (Some(torrent), Some(swarm)) = (self.torrents.get_mut(&key), self.router.swarm(key))
        else {
            return;
        };
        let Some(sharing) = &mut torrent.sharing else { return };
        if pieces.any(|piece| swarm.held().get(piece)) {
            let change = sharing.twins.give_up(swarm);
            self.change(key, change);
        }
    }

    /// Starts as many copies as there is room for.
    fn copy_more(&mut self, key: TorrentKey) {
        if !self.is_running(key) {
            return;
        }
        let (Some(torrent), Some(swarm)) = (self.torrents.get_mut(&key), self.router.swarm(key))
        else {
            return;
        };
        let Files::Ready(files) = &torrent.files else { return };
        let (Some(sharing), Some(metainfo)) = (&mut torrent.sharing, swarm.metainfo()) else {
            return;
        };
        let mut failed = Vec::new();
        while let Some((piece, place)) = sharing.twins.next(swarm) {
            let source = sharing.sources.get(&place.torrent).cloned();
            match (metainfo.piece_hash(piece), source) {
                (Some(expected), Some(source)) => {
                    files.copy_piece(piece, expected, source, place.file);
                }
                _ => {
                    sharing.twins.copied(metainfo, piece, false);
                    failed.push(piece);
                }
            }
        }
        self.change(key, Change { hold: Vec::new(), release: failed });
    }

    /// A copy has come to its end.
    pub(super) fn piece_copied(&mut self, key: TorrentKey, piece: PieceIndex, copied: Copied) {
        let Some(metainfo) = self.metainfo(key) else { return };
        let Some(torrent) = self.torrents.get_mut(&key) else { return };
        let mut twins = torrent.sharing.as_mut().map(|sharing| &mut sharing.twins);
        if let Copied::Fault(fault) = copied {
            if !twins.is_some_and(|twins| twins.try_again(piece)) {
                self.change(key, Change { hold: Vec::new(), release: vec![piece] });
            }
            return self.disk_fault(key, fault);
        }
        let right = copied == Copied::Right;
        let from = twins.as_mut().and_then(|twins| twins.copied(&metainfo, piece, right));
        if right {
            torrent.copied_bytes += u64::from(metainfo.piece_data_size(piece));
            self.input(key, Input::PieceStored { piece, block_digests: None });
        } else if !from.is_some_and(|(_, again)| again) {
            self.change(key, Change { hold: Vec::new(), release: vec![piece] });
        }
        if let (Copied::Differs, Some((place, _))) = (copied, from) {
            debug!(torrent = key.0, %piece, "another torrent's file is not what it was");
            self.tell_wrong(key, place);
        }
        self.copy_more(key);
    }

    /// Time has passed: looks whether what is left to others comes.
    pub(super) fn look_at_twins(&mut self) {
        for key in self.waiting_for_twins.clone() {
            let (Some(torrent), Some(swarm)) =
                (self.torrents.get_mut(&key), self.router.swarm(key))
            else {
                self.waiting_for_twins.remove(&key);
                continue;
            };
            let Some(sharing) = torrent.sharing.as_mut().filter(|s| s.twins.any_waiting()) else {
                self.waiting_for_twins.remove(&key);
                continue;
            };
            let change = sharing.twins.tick(clock::now(), swarm);
            self.change(key, change);
        }
    }

    /// Offers twins all that there is.
    pub(super) fn offer_all(&mut self, key: TorrentKey) {
        self.offer(key, None, None);
        self.plan_copies(key);
    }

    /// Offers twins a piece that has come.
    pub(super) fn offer_piece(&mut self, key: TorrentKey, piece: PieceIndex) {
        self.offer(key, Some(piece), None);
    }

    /// Whether a torrent is fetching; twins are told when that changes.
    pub(super) fn lead_or_not(&mut self, key: TorrentKey, receives: bool) {
        let running = self.is_running(key);
        let Some(sharing) =
            self.torrents.get_mut(&key).and_then(|torrent| torrent.sharing.as_deref_mut())
        else {
            return;
        };
        let now = clock::now();
        // At the start nothing comes yet.
        let leads = running && (receives || now.since(sharing.since) < EQUAL_PATIENCE);
        if leads != sharing.leads {
            sharing.leads = leads;
            self.offer(key, None, None);
        }
    }

    fn offer(&self, key: TorrentKey, piece: Option<PieceIndex>, to: Option<TorrentKey>) {
        let (Some(torrent), Some(swarm)) = (self.torrents.get(&key), self.router.swarm(key)) else {
            return;
        };
        let Some(sharing) = &torrent.sharing else { return };
        let source = match &torrent.files {
            Files::Ready(files) => Some(files.source()),
            _ => None,
        };
        let running = sharing.leads && source.is_some();
        let leads = |file| running && lacks(swarm, file, piece);
        for ((shard, to), files) in sharing.twins.offers(swarm, piece, to, leads) {
            let source = source.clone();
            self.tell_twin(shard, to, Message::Offer { from: key, source, files });
        }
    }

    /// A torrent's files are being closed: twins are told, and nothing is left to them.
    pub(super) fn leave_twins(&mut self, key: TorrentKey) {
        let Some(metainfo) = self.metainfo(key) else { return };
        if metainfo.info_hashes().v2().is_none() {
            return;
        }
        self.shared.equals.leave(key, self.number, &metainfo);
        let Some(sharing) = self.torrents.get_mut(&key).and_then(|torrent| torrent.sharing.take())
        else {
            return;
        };
        for (shard, twin) in sharing.twins.torrents() {
            self.tell_twin(shard, twin, Message::Gone { from: key });
        }
        let held = self.router.swarm(key).map(|swarm| swarm.held().ones().collect());
        self.change(key, Change { hold: Vec::new(), release: held.unwrap_or_default() });
    }

    fn tell_wrong(&self, key: TorrentKey, place: Place) {
        let sharing = self.torrents.get(&key).and_then(|torrent| torrent.sharing.as_ref());
        let torrents = sharing.map(|sharing| sharing.twins.torrents()).unwrap_or_default();
        let twin = torrents.into_iter().find(|(_, torrent)| *torrent == place.torrent);
        if let Some((shard, torrent)) = twin {
            self.tell_twin(shard, torrent, Message::Wrong { file: place.file });
        }
    }

    fn tell_twin(&self, shard: usize, torrent: TorrentKey, message: Message) {
        if let Some(shard) = self.shared.shards().get(shard) {
            shard.send(Command::Twin(torrent, message));
        }
    }
}

impl Sharing {
    fn new(now: Instant, torrent: TorrentKey) -> Self {
        Sharing { twins: Twins::new(torrent), sources: BTreeMap::new(), leads: false, since: now }
    }
}

/// Whether a file is wanted and not all there. What comes after the piece that came last is looked at
/// first: most often that is still missing.
fn lacks(swarm: &Swarm, file: FileIndex, last: Option<PieceIndex>) -> bool {
    let Some(metainfo) = swarm.metainfo() else { return false };
    let pieces = metainfo.file_pieces(file);
    let middle = last.map_or(pieces.start, |last| last.0.clamp(pieces.start, pieces.end));
    let mut all = (middle..pieces.end).chain(pieces.start..middle);
    let absent = |piece| !swarm.have().get(PieceIndex(piece));
    swarm.priorities().of(file) != Priority::Skip && all.any(absent)
}
