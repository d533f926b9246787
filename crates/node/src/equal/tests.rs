//! How long a torrent waits for another one, and what it makes of what it is offered.

use super::*;
use althing_base::time::Duration;
use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::metainfo::{Builder, Format, Metainfo, PieceDigests};
use althing_bittorrent::swarm::{Input, Source as SwarmSource, Swarm, SwarmConfig};
use althing_bittorrent::{Bitfield, PeerId, PieceIndex};
use std::sync::Arc;

const PIECE: u32 = 32 * 1024;
const PIECES: u32 = 100;
const FILE: FileIndex = FileIndex(0);
const OURS: TorrentKey = TorrentKey(5);

fn metainfo() -> Metainfo {
    let mut builder = Builder::file("film", u64::from(PIECES * PIECE));
    builder.format = Format::V2;
    builder.piece_length = Some(PIECE);
    let plan = builder.plan().expect("a plan");
    let mut digests = PieceDigests::default();
    for piece in 0..PIECES {
        let data = vec![piece as u8; PIECE as usize];
        digests.push(plan.hash_piece(PieceIndex(piece), &data).expect("a whole piece"));
    }
    plan.finish(&digests).expect("a torrent")
}

/// A torrent that fetches, and knows of one twin.
struct Table {
    swarm: Swarm,
    twins: Twins,
    now: Instant,
    twin: TorrentKey,
}

impl Table {
    fn new(twin: TorrentKey) -> Table {
        let metainfo = Arc::new(metainfo());
        let now = Instant::ORIGIN + Duration::from_secs(1000);
        let config = SwarmConfig::new(PeerId([1; 20]));
        let source = SwarmSource::Metainfo(Arc::clone(&metainfo));
        let swarm = Swarm::new(now, config, Seed::from_u64(1), source, false);
        let mut twins = Twins::new(OURS);
        let place = Place { torrent: twin, file: FILE };
        let known = Twin { place, shard: 0, piece_length: 2 * PIECE };
        twins.meet(now, &metainfo, FILE, known, true);
        let mut table = Table { swarm, twins, now, twin };
        table.tell(Input::Hold { pieces: table.twins.asked(&metainfo) });
        table.tell(Input::StorageReady { have: Bitfield::new(PIECES) });
        table
    }

    fn tell(&mut self, input: Input) {
        self.swarm.handle_input(self.now, input);
        while self.swarm.poll_output().is_some() {}
    }

    fn change(&mut self, change: Change) {
        self.tell(Input::Release { pieces: change.release });
        self.tell(Input::Hold { pieces: change.hold });
    }

    fn offered(&mut self, pieces: Range<u32>, leads: bool) {
        let offer = Offer { yours: FILE, mine: FILE, pieces: Vec::from([pieces]), leads };
        let change = self.twins.offered(self.now, self.twin, &offer, &self.swarm);
        self.change(change);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let change = self.twins.tick(self.now, &self.swarm);
        self.change(change);
    }

    fn held(&self) -> u32 {
        self.swarm.held().count_ones()
    }
}

#[test]
fn a_twin_that_brings_nothing_is_left_to_itself() {
    let mut table = Table::new(TorrentKey(1));
    assert_eq!(table.held(), PIECES);
    table.offered(0..0, true);
    table.wait(9);
    assert_eq!(table.held(), PIECES);
    table.wait(2);
    assert_eq!(table.held(), 0);
    // From then on what it has is copied, and the rest fetched, whatever it says.
    table.offered(7..9, true);
    assert_eq!(table.held(), 2);
}

#[test]
fn a_twin_that_never_answers_is_left_to_itself() {
    let mut table = Table::new(TorrentKey(1));
    table.wait(11);
    assert_eq!(table.held(), 0);
    assert!(!table.twins.any_waiting());
}

#[test]
fn a_twin_that_would_take_long_is_not_waited_for_and_a_fast_one_is() {
    for (each, waits) in [(1, false), (4, true)] {
        let mut table = Table::new(TorrentKey(1));
        table.offered(0..0, true);
        for step in 0..5 {
            table.wait(2);
            table.offered(step * each..(step + 1) * each, true);
        }
        table.wait(1);
        assert_eq!(table.twins.any_waiting(), waits, "{each} pieces in two seconds");
        assert_eq!(table.held(), if waits { PIECES } else { 5 * each });
    }
}

#[test]
fn of_two_the_first_leads() {
    for (twin, leads, waits) in [(1, true, true), (1, false, false), (9, true, false)] {
        let mut table = Table::new(TorrentKey(twin));
        table.offered(0..3, leads);
        assert_eq!(table.twins.any_waiting(), waits, "{twin} {leads}");
        assert_eq!(table.held(), if waits { PIECES } else { 3 });
    }
}

#[test]
fn what_is_offered_is_copied_in_order_and_a_failure_costs_one_piece() {
    let mut table = Table::new(TorrentKey(9));
    table.offered(10..10 + 2 * crate::limits::COPIES_AT_ONCE as u32, false);
    let mut begun = Vec::new();
    while let Some((piece, place)) = table.twins.next(&table.swarm) {
        assert_eq!(place, Place { torrent: TorrentKey(9), file: FILE });
        begun.push(piece.0);
    }
    assert_eq!(begun, (10..10 + crate::limits::COPIES_AT_ONCE as u32).collect::<Vec<_>>());
    let metainfo = metainfo();
    assert!(table.twins.try_again(PieceIndex(11)));
    assert_eq!(table.twins.next(&table.swarm).map(|(piece, _)| piece), Some(PieceIndex(11)));
    let failed = table.twins.copied(&metainfo, PieceIndex(12), false);
    assert!(failed.is_some_and(|(_, again)| !again));
    table.change(Change { hold: Vec::new(), release: vec![PieceIndex(12)] });
    assert!(!table.swarm.held().get(PieceIndex(12)));
    assert!(table.twins.copied(&metainfo, PieceIndex(10), true).is_some());
    table.tell(Input::PieceStored { piece: PieceIndex(10), block_digests: None });
    // What is under way is still held when the twin is gone; nothing else is.
    let change = table.twins.gone(TorrentKey(9), &table.swarm);
    table.change(change);
    assert_eq!(table.held() as usize, crate::limits::COPIES_AT_ONCE - 2);
}

#[test]
fn what_is_there_is_offered_in_the_others_pieces() {
    let mut table = Table::new(TorrentKey(1));
    table.offered(0..0, false);
    for piece in [3, 4, 5] {
        table.tell(Input::PieceStored { piece: PieceIndex(piece), block_digests: None });
    }
    let offers = |piece, to| table.twins.offers(&table.swarm, piece, to, |_| true);
    let of = |run: Range<u32>| {
        vec![Offer { yours: FILE, mine: FILE, pieces: Vec::from([run]), leads: true }]
    };
    let key = (0, TorrentKey(1));
    assert_eq!(offers(None, None), [(key, of(2..3))].into());
    assert_eq!(offers(Some(PieceIndex(5)), None), [(key, of(2..3))].into());
    assert!(offers(Some(PieceIndex(3)), None).is_empty());
    assert!(offers(None, Some(TorrentKey(8))).is_empty());
}
