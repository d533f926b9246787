//! What one torrent knows of its twins, and what it makes of it: which pieces it leaves to them, which
//! it copies, and what it offers in turn.

use super::cover::{covered, touched};
use super::{Offer, Place, Twin};
use crate::limits::{COPIES_AT_ONCE, EQUAL_HORIZON, EQUAL_PAIRS_MAX, EQUAL_PATIENCE};
use althing_base::Instant;
use althing_bittorrent::metainfo::{FileIndex, Metainfo};
use althing_bittorrent::swarm::Swarm;
use althing_bittorrent::{Bitfield, BlockRef, PieceIndex};
use althing_router::TorrentKey;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What the torrent's swarm is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Change {
    /// Pieces that are not to be ordered from peers.
    pub(crate) hold: Vec<PieceIndex>,
    /// Pieces that are, again.
    pub(crate) release: Vec<PieceIndex>,
}

/// Offers for another torrent, and the shard that has it.
pub(crate) type Offers = BTreeMap<(usize, TorrentKey), Vec<Offer>>;

/// See the [module](self).
pub(crate) struct Twins {
    torrent: TorrentKey,
    /// By our file and its twin's place.
    pairs: BTreeMap<(FileIndex, Place), Pair>,
    /// Pieces that are offered and wanted.
    queue: BTreeSet<PieceIndex>,
    /// Pieces that are being copied, and from where.
    copying: BTreeMap<PieceIndex, Place>,
}

/// The same file here and there.
struct Pair {
    shard: usize,
    piece_length: u32,
    /// The pieces of our file, counted from its first, that we are offered.
    ready: Bitfield,
    waiting: Waiting,
}

/// Whether we leave fetching to the other side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waiting {
    No,
    /// Since when, when the last piece came, and how many have.
    Since {
        since: Instant,
        last: Instant,
        came: u64,
    },
    /// It took too long.
    GivenUp,
}

impl Waiting {
    fn from(now: Instant) -> Self {
        Waiting::Since { since: now, last: now, came: 0 }
    }

    fn is_on(self) -> bool {
        matches!(self, Waiting::Since { .. })
    }
}

impl Twins {
    pub(crate) fn new(torrent: TorrentKey) -> Self {
        Twins { torrent, pairs: BTreeMap::new(), queue: BTreeSet::new(), copying: BTreeMap::new() }
    }

    /// One of our files has a twin. If it is `asked` what it has, we wait for the answer.
    pub(crate) fn meet(
        &mut self,
        now: Instant,
        metainfo: &Metainfo,
        file: FileIndex,
        twin: Twin,
        asked: bool,
    ) {
        let len = metainfo.file_pieces(file).len() as u32;
        let is_known = self.pairs.contains_key(&(file, twin.place));
        if len == 0 || (!is_known && self.pairs.len() >= EQUAL_PAIRS_MAX) {
            return;
        }
        let pair = self.pairs.entry((file, twin.place)).or_insert_with(|| Pair {
            shard: twin.shard,
            piece_length: twin.piece_length,
            ready: Bitfield::new(len),
            waiting: Waiting::No,
        });
        if asked && pair.waiting == Waiting::No {
            pair.waiting = Waiting::from(now);
        }
    }

    /// The pieces of files with twins that have been asked what they have. They are left to them until
    /// they have answered.
    pub(crate) fn asked(&self, metainfo: &Metainfo) -> Vec<PieceIndex> {
        let waiting = self.pairs.iter().filter(|(_, pair)| pair.waiting.is_on());
        let files: BTreeSet<FileIndex> = waiting.map(|((file, _), _)| *file).collect();
        files.into_iter().flat_map(|file| metainfo.file_pieces(file)).map(PieceIndex).collect()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether anything is left to a twin that has not come yet.
    pub(crate) fn any_waiting(&self) -> bool {
        self.pairs.values().any(|pair| pair.waiting.is_on())
    }

    /// The torrents that have twins of our files, each once.
    pub(crate) fn torrents(&self) -> BTreeSet<(usize, TorrentKey)> {
        self.pairs.iter().map(|((_, place), pair)| (pair.shard, place.torrent)).collect()
    }

    /// A twin offers something.
    pub(crate) fn offered(
        &mut self,
        now: Instant,
        from: TorrentKey,
        offer: &Offer,
        swarm: &Swarm,
    ) -> Change {
        let place = Place { torrent: from, file: offer.mine };
        let own = Place { torrent: self.torrent, file: offer.yours };
        let Some(pair) = self.pairs.get_mut(&(offer.yours, place)) else {
            return Change::default();
        };
        let Some(pieces) = swarm.metainfo().map(|m| m.file_pieces(offer.yours)) else {
            return Change::default();
        };
        let mut change = Change::default();
        let mut came = 0;
        let all = pair.ready.len();
        for n in offer.pieces.iter().flat_map(|run| run.start..run.end.min(all)) {
            if !pair.ready.set(PieceIndex(n), true) {
                continue;
            }
            came += 1;
            let piece = PieceIndex(pieces.start + n);
            if swarm.is_wanted(piece) && !self.copying.contains_key(&piece) {
                self.queue.insert(piece);
                change.hold.push(piece);
            }
        }
        let before = pair.waiting;
        // Of two that lack something the one that was there first fetches it.
        pair.waiting = match before {
            Waiting::GivenUp => Waiting::GivenUp,
            _ if !offer.leads || place > own => Waiting::No,
            Waiting::No => Waiting::from(now),
            Waiting::Since { since, last, came: earlier } => {
                let last = if came > 0 { now } else { last };
                Waiting::Since { since, last, came: earlier + came }
            }
        };
        if before.is_on() == pair.waiting.is_on() { change } else { self.plan(offer.yours, swarm) }
    }

    /// A torrent has nothing for us any more.
    pub(crate) fn gone(&mut self, torrent: TorrentKey, swarm: &Swarm) -> Change {
        self.pairs.retain(|(_, place), _| place.torrent != torrent);
        self.plan_all(swarm)
    }

    /// What has become of pieces is no longer what it was: works out anew what is to come from twins.
    pub(crate) fn plan_all(&mut self, swarm: &Swarm) -> Change {
        let mut change = Change::default();
        let files: BTreeSet<FileIndex> = self.pairs.keys().map(|(file, _)| *file).collect();
        let mut covered = Bitfield::new(swarm.held().len());
        for file in files {
            let Change { hold, release } = self.plan(file, swarm);
            change.hold.extend(hold);
            change.release.extend(release);
            let pieces = swarm.metainfo().map_or(0..0, |m| m.file_pieces(file));
            for piece in pieces {
                covered.set(PieceIndex(piece), true);
            }
        }
        // What is held for twins that are gone.
        let lost = swarm.held().ones().filter(|piece| !covered.get(*piece));
        change.release.extend(lost.filter(|piece| !self.copying.contains_key(piece)));
        change
    }

    fn plan(&mut self, file: FileIndex, swarm: &Swarm) -> Change {
        let mut change = Change::default();
        let Some(pieces) = swarm.metainfo().map(|m| m.file_pieces(file)) else { return change };
        let pairs: Vec<&Pair> = of_file(&self.pairs, file).map(|(_, pair)| pair).collect();
        let waits = pairs.iter().any(|pair| pair.waiting.is_on());
        for (n, piece) in pieces.enumerate() {
            let (n, piece) = (PieceIndex(n as u32), PieceIndex(piece));
            let is_copied = self.copying.contains_key(&piece);
            let wanted = swarm.is_wanted(piece);
            let ready = wanted && !is_copied && pairs.iter().any(|pair| pair.ready.get(n));
            if ready {
                self.queue.insert(piece);
            } else {
                self.queue.remove(&piece);
            }
            let hold = is_copied || ready || (wanted && waits);
            match (hold, swarm.held().get(piece)) {
                (true, false) => change.hold.push(piece),
                (false, true) => change.release.push(piece),
                _ => {}
            }
        }
        change
    }

    /// The next piece to copy, and from where; `None` if there is none or enough are under way.
    pub(crate) fn next(&mut self, swarm: &Swarm) -> Option<(PieceIndex, Place)> {
        while self.copying.len() < COPIES_AT_ONCE {
            let piece = self.queue.pop_first()?;
            // What peers have sent a part of is not held.
            if !swarm.is_wanted(piece) || !swarm.held().get(piece) {
                continue;
            }
            let place = swarm.metainfo().and_then(|metainfo| self.place_of(metainfo, piece));
            if let Some(place) = place {
                self.copying.insert(piece, place);
                return Some((piece, place));
            }
        }
        None
    }

    /// Where a piece is offered.
    fn place_of(&self, metainfo: &Metainfo, piece: PieceIndex) -> Option<Place> {
        let file = file_of(metainfo, piece)?;
        let n = PieceIndex(piece.0.checked_sub(metainfo.file_pieces(file).start)?);
        of_file(&self.pairs, file).find(|(_, pair)| pair.ready.get(n)).map(|(place, _)| place)
    }

    /// A copy has come to its end. Says where it was from, and whether another twin has the piece, too,
    /// if it was not right.
    pub(crate) fn copied(
        &mut self,
        metainfo: &Metainfo,
        piece: PieceIndex,
        right: bool,
    ) -> Option<(Place, bool)> {
        let place = self.copying.remove(&piece)?;
        if right {
            return Some((place, false));
        }
        let file = file_of(metainfo, piece)?;
        if let Some(pair) = self.pairs.get_mut(&(file, place)) {
            let n = piece.0.saturating_sub(metainfo.file_pieces(file).start);
            pair.ready.set(PieceIndex(n), false);
        }
        let again = self.place_of(metainfo, piece).is_some();
        if again {
            self.queue.insert(piece);
        }
        Some((place, again))
    }

    /// A copy could not be written: it is tried again when the disk is well. Says whether it is ours.
    pub(crate) fn try_again(&mut self, piece: PieceIndex) -> bool {
        let ours = self.copying.remove(&piece).is_some();
        if ours {
            self.queue.insert(piece);
        }
        ours
    }

    /// Time has passed: whoever leads and brings nothing, or so little that it would take long, is not
    /// waited for any more.
    pub(crate) fn tick(&mut self, now: Instant, swarm: &Swarm) -> Change {
        let Some(metainfo) = swarm.metainfo() else { return Change::default() };
        let mut late = BTreeSet::new();
        for ((file, _), pair) in &mut self.pairs {
            let Waiting::Since { since, last, came } = pair.waiting else { continue };
            let waited = now.since(since);
            if waited < EQUAL_PATIENCE {
                continue;
            }
            let held = metainfo.file_pieces(*file).map(PieceIndex);
            let left = held
                .filter(|piece| {
                    let comes = self.queue.contains(piece) || self.copying.contains_key(piece);
                    swarm.held().get(*piece) && !comes
                })
                .count() as u128;
            let stalls = now.since(last) >= EQUAL_PATIENCE;
            let crawls = left * waited.as_millis() > u128::from(came) * EQUAL_HORIZON.as_millis();
            if left > 0 && (stalls || crawls) {
                pair.waiting = Waiting::GivenUp;
                late.insert(*file);
            }
        }
        let mut change = Change::default();
        for file in late {
            let Change { hold, release } = self.plan(file, swarm);
            change.hold.extend(hold);
            change.release.extend(release);
        }
        change
    }

    /// Nothing is left to twins any more but what they have.
    pub(crate) fn give_up(&mut self, swarm: &Swarm) -> Change {
        for pair in self.pairs.values_mut().filter(|pair| pair.waiting.is_on()) {
            pair.waiting = Waiting::GivenUp;
        }
        self.plan_all(swarm)
    }

    /// What we have for twins: of all files or that of `piece`, for all of them or one.
    pub(crate) fn offers(
        &self,
        swarm: &Swarm,
        piece: Option<PieceIndex>,
        to: Option<TorrentKey>,
        leads: impl Fn(FileIndex) -> bool,
    ) -> Offers {
        let mut offers = Offers::new();
        let Some(metainfo) = swarm.metainfo() else { return offers };
        let only = piece.map(|piece| file_of(metainfo, piece));
        let pairs = self.pairs.iter().filter(|((file, place), _)| {
            only.is_none_or(|only| only == Some(*file)) && to.is_none_or(|to| to == place.torrent)
        });
        for ((file, place), pair) in pairs {
            let pieces = parts(metainfo, swarm.have(), *file, pair.piece_length, piece);
            let leads = leads(*file);
            if piece.is_some() && pieces.is_empty() {
                continue;
            }
            let offer = Offer { yours: place.file, mine: *file, pieces, leads };
            offers.entry((pair.shard, place.torrent)).or_default().push(offer);
        }
        offers
    }
}

/// What there is of a file in pieces of another length: all, or what touches `piece`.
fn parts(
    metainfo: &Metainfo,
    have: &Bitfield,
    file: FileIndex,
    theirs: u32,
    piece: Option<PieceIndex>,
) -> Vec<Range<u32>> {
    let size = metainfo.files().get(file.0 as usize).map_or(0, |file| file.size());
    let first = metainfo.file_pieces(file).start;
    let ours = metainfo.piece_length();
    let wanted = match piece {
        Some(piece) => touched(size, ours, theirs, piece.0.saturating_sub(first)),
        None => 0..size.div_ceil(u64::from(theirs.max(1))) as u32,
    };
    covered(size, ours, theirs, wanted, |n| have.get(PieceIndex(first + n)))
}

/// The file that a piece of a v2 torrent is part of.
fn file_of(metainfo: &Metainfo, piece: PieceIndex) -> Option<FileIndex> {
    let first = BlockRef { piece, begin: 0, len: 1 };
    metainfo.slices(first).next().map(|slice| slice.file)
}

fn of_file(
    pairs: &BTreeMap<(FileIndex, Place), Pair>,
    file: FileIndex,
) -> impl Iterator<Item = (Place, &Pair)> {
    let lowest = Place { torrent: TorrentKey(0), file: FileIndex(0) };
    let highest = Place { torrent: TorrentKey(u64::MAX), file: FileIndex(u32::MAX) };
    pairs.range((file, lowest)..=(file, highest)).map(|((_, place), pair)| (*place, pair))
}
