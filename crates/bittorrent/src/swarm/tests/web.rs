//! Web seeds as a swarm sees them: what is asked of them, and what becomes of liars.

use super::*;
use crate::webseed::WebSeedId;

const WEB: u64 = 1 << 63;

impl Table {
    /// A connection to a web seed that has these pieces; what is asked over it.
    fn web_seed(&mut self, n: u64, seed: u16, have: impl Iterator<Item = u32>) -> Vec<BlockRef> {
        let mut bits = Bitfield::new(self.pieces);
        for piece in have {
            bits.set(PieceIndex(piece), true);
        }
        let (conn, seed) = (ConnId(WEB + n), WebSeedId(seed));
        let outputs = self.tell(Input::WebSeedOpened { conn, seed, have: bits });
        requests(&outputs, WEB + n)
    }

    /// Lets the disk have a piece that came whole.
    fn stored(&mut self, piece: u32) -> Vec<Output> {
        self.tell(Input::PieceStored { piece: PieceIndex(piece), block_digests: None })
    }
}

fn pieces(blocks: &[BlockRef]) -> Vec<u32> {
    let mut pieces: Vec<u32> = blocks.iter().map(|block| block.piece.0).collect();
    pieces.dedup();
    pieces
}

#[test]
fn the_longest_gap_comes_first_and_in_order() {
    let mut table = Table::new(60, &[10, 25]);
    // Gaps: 0 to 9, 11 to 24, 26 to 59.
    let asked = table.web_seed(0, 0, 0..60);
    assert_eq!(asked.len(), PIPELINE_MIN);
    assert_eq!(pieces(&asked), (26..34).collect::<Vec<_>>());
    // The rest of that gap is the longest, but the first one comes there: half of it counts.
    assert_eq!(pieces(&table.web_seed(1, 0, 0..60)), (11..19).collect::<Vec<_>>());
    // What it lacks ends a gap.
    let asked = table.web_seed(2, 1, (0..60).filter(|piece| *piece != 50));
    assert_eq!(pieces(&asked), (0..8).collect::<Vec<_>>());
    assert_eq!(pieces(&table.web_seed(3, 0, 0..60)), (47..55).collect::<Vec<_>>());
}

#[test]
fn it_is_told_nothing_but_requests_and_never_idle() {
    let mut table = Table::new(60, &[]);
    table.web_seed(0, 0, 0..60);
    let outputs = table.wait(1000);
    assert!(said(&outputs, WEB).is_empty() && dropped(&outputs, WEB).is_none());
    for n in 0..4 {
        table.give(WEB, block(0, n));
    }
    let outputs = table.stored(0);
    let words = said(&outputs, WEB);
    assert!(words.iter().all(|word| matches!(word, Message::Request(_))), "{words:?}");
    assert!(outputs.iter().any(|output| matches!(output, Output::PieceVerified { .. })));
}

#[test]
fn runs_go_on_where_they_are() {
    let mut table = Table::new(60, &[]);
    let asked = table.web_seed(0, 0, 0..60);
    let mut more = Vec::new();
    for block in &asked {
        more.extend(requests(&table.give(WEB, *block), WEB));
    }
    let first = more.first().expect("more is asked for");
    assert_eq!((first.piece, first.begin), (PieceIndex(8), 0));
}

#[test]
fn a_lying_web_seed_is_named_and_no_address_is_banned() {
    let mut table = Table::new(60, &[]);
    table.web_seed(0, 7, 0..60);
    for n in 0..4 {
        table.give(WEB, block(0, n));
    }
    let (piece, block_digests) = (PieceIndex(0), digests(b"abcd"));
    let outputs = table.tell(Input::PieceCorrupt { piece, block_digests });
    let lied = |output: &Output| {
        matches!(output, Output::WebSeedLied { seed: WebSeedId(7), piece: PieceIndex(0) })
    };
    assert!(outputs.iter().any(lied) && bans(&outputs).is_empty());
}

#[test]
fn of_a_piece_from_several_the_right_copy_shows_who_lied() {
    let mut table = Table::new(1, &[]);
    table.web_seed(0, 3, 0..1);
    table.seed(1);
    // In the endgame both have it on order.
    table.give(WEB, block(0, 0));
    table.give(1, block(0, 1));
    table.give(WEB, block(0, 2));
    table.give(WEB, block(0, 3));
    let piece = PieceIndex(0);
    table.tell(Input::PieceCorrupt { piece, block_digests: digests(b"xbcd") });
    // It is fetched again from one alone, whoever that is.
    let peers = table.swarm.peers(table.now);
    let sender = peers.iter().max_by_key(|peer| peer.blocks_on_order).expect("two").conn.0;
    for n in 0..4 {
        table.give(sender, block(0, n));
    }
    let block_digests = Some(digests(b"abcd"));
    let outputs = table.tell(Input::PieceStored { piece, block_digests });
    let lied = |output: &Output| matches!(output, Output::WebSeedLied { seed: WebSeedId(3), .. });
    assert!(outputs.iter().any(lied), "{outputs:?}");
    assert!(bans(&outputs).is_empty());
}

#[test]
fn nothing_is_asked_when_there_is_nothing_to_fetch() {
    let mut table = Table::new(2, &[0, 1]);
    assert!(!table.swarm.wants_web_seeds());
    let have = Bitfield::full(2);
    let outputs = table.tell(Input::WebSeedOpened { conn: ConnId(WEB), seed: WebSeedId(0), have });
    assert_eq!(dropped(&outputs, WEB), Some(DisconnectReason::Stopped));
}

#[test]
fn connections_to_peers_are_counted_without_it() {
    let config = SwarmConfig { connections_max: 1, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, 10, &[]);
    table.web_seed(0, 0, 0..10);
    table.web_seed(1, 0, 0..10);
    assert_eq!(dropped(&table.connect(1), 1), None);
    assert_eq!(dropped(&table.connect(2), 2), Some(DisconnectReason::TooManyConnections));
}

#[test]
fn what_web_seeds_owe_and_do_not_send_is_had_from_a_peer() {
    // Fewer blocks than are on order with the first of them.
    let mut table = Table::new(6, &[]);
    (0..8).for_each(|n| drop(table.web_seed(n, n as u16, 0..6)));
    let mut todo = requests(&table.seed(1), 1);
    let mut got = 0;
    while let Some(block) = todo.pop() {
        got += 1;
        todo.extend(requests(&table.give(1, block), 1));
    }
    assert_eq!(got, 24, "all of them, and at once");
}

#[test]
fn a_web_seed_that_sends_nothing_owes_little_as_long_as_others_give() {
    let mut table = Table::new(60, &[]);
    let asked = table.web_seed(0, 0, 0..60);
    assert_eq!(asked.len(), PIPELINE_MIN);
    let given = requests(&table.seed(1), 1);
    table.give(1, given[0]);
    let outputs = table.wait(SNUBBED_AFTER_NOTHING_SOON.as_secs() + 1);
    let cancels = said(&outputs, WEB).len();
    assert_eq!(cancels, PIPELINE_MIN - PIPELINE_SNUBBED);
    // What it sends after all counts.
    table.give(WEB, asked[0]);
    assert!(!table.swarm.peers[&ConnId(WEB)].snubs_us);
}
