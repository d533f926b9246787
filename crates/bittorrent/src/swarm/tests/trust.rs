//! What strangers get: a little while we fetch, and once we have everything it is for them to pass on.

use super::super::choker::Standing;
use super::super::peer::Trust;
use super::*;
use proptest::prelude::*;

const PIECES: u32 = 64;
const PIECE_BYTES: u64 = (BLOCKS_PER_PIECE * BLOCK_SIZE) as u64;

/// A swarm that lacks the last piece, which each of its peers has.
fn fetching() -> Table {
    Table::new(PIECES, &(0..PIECES - 1).collect::<Vec<_>>())
}

/// Connects somebody who has the last piece, wants the others and never gives anything.
fn taker(table: &mut Table, n: u64) {
    table.connect(n);
    let mut bits = Bitfield::new(PIECES);
    bits.set(PieceIndex(PIECES - 1), true);
    table.hear(n, Message::Bitfield(Bytes::copy_from_slice(bits.as_bytes())));
    table.hear(n, Message::Interested);
}

/// It asks for many blocks; those that the driver is given are sent. How many bytes it got.
fn takes(table: &mut Table, n: u64) -> u64 {
    let mut outputs = Vec::new();
    for piece in 0..16 {
        for at in 0..BLOCKS_PER_PIECE {
            outputs.extend(table.hear(n, Message::Request(block(piece, at))));
        }
    }
    let mut got = 0;
    while !outputs.is_empty() {
        let mut next = Vec::new();
        for output in outputs {
            if let Output::SendBlock { conn, block } = output
                && conn == ConnId(n)
            {
                got += u64::from(block.len);
                next.extend(table.tell(Input::BlockSent { conn, block }));
            }
        }
        outputs = next;
    }
    got
}

#[test]
fn who_gives_nothing_gets_what_is_given_on_trust_and_no_more() {
    let mut table = fetching();
    taker(&mut table, 1);
    assert!(!table.swarm.peers[&ConnId(1)].choked, "a free slot is given away");
    let got = takes(&mut table, 1);
    assert!(got > 0 && got <= TRUST_BYTES_MIN + u64::from(BLOCK_SIZE), "{got}");
    // At once, and not with the next round; and it stays so.
    assert!(table.swarm.peers[&ConnId(1)].choked);
    table.wait(60);
    assert!(table.swarm.peers[&ConnId(1)].choked);
    assert_eq!(takes(&mut table, 1), 0);
}

#[test]
fn slots_that_debts_left_idle_are_given_away_when_everything_is_here() {
    let mut table = fetching();
    taker(&mut table, 1);
    assert!(takes(&mut table, 1) > 0);
    assert!(table.swarm.peers[&ConnId(1)].choked);
    let piece = PieceIndex(PIECES - 1);
    table.tell(Input::PieceStored { piece, block_digests: None });
    assert!(table.swarm.is_complete());
    assert!(!table.swarm.peers[&ConnId(1)].choked, "and not with the next round");
}

#[test]
fn slots_that_debts_left_idle_are_given_away_when_nothing_more_is_wanted() {
    let mut table = fetching();
    taker(&mut table, 1);
    assert!(takes(&mut table, 1) > 0);
    let mut pieces = PieceWishes::default();
    assert!(pieces.set(PIECES - 1..=PIECES - 1, Some(Priority::Skip)));
    let mut priorities = FilePriorities::default();
    priorities.set_pieces(pieces);
    table.tell(Input::SetPriorities(priorities));
    assert!(table.swarm.is_complete());
    assert!(!table.swarm.peers[&ConnId(1)].choked);
}

#[test]
fn calling_again_renews_no_trust() {
    let mut table = fetching();
    taker(&mut table, 1);
    assert!(takes(&mut table, 1) > 0);
    table.tell(Input::Disconnected { conn: ConnId(1) });
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(9),
        reserved: Handshake::RESERVED,
    };
    let (conn, direction) = (ConnId(9), Direction::Incoming);
    let transport = Transport::Tcp;
    table.tell(Input::Connected { conn, addr: addr(1), direction, transport, handshake });
    let mut bits = Bitfield::new(PIECES);
    bits.set(PieceIndex(PIECES - 1), true);
    table.hear(9, Message::Bitfield(Bytes::copy_from_slice(bits.as_bytes())));
    table.hear(9, Message::Interested);
    table.wait(30);
    assert_eq!(takes(&mut table, 9), 0);
}

/// A seed of which the hosts 1 to `peers` want everything.
fn seeding(peers: u64) -> Table {
    let mut table = Table::new(PIECES, &(0..PIECES).collect::<Vec<_>>());
    for n in 1..=peers {
        table.connect(n);
        table.hear(n, Message::HaveNone);
        table.hear(n, Message::Interested);
    }
    table
}

/// The seed gives a whole piece to somebody, who then says so.
fn gift(table: &mut Table, n: u64, piece: u32) {
    if let Some(peer) = table.swarm.peers.get_mut(&ConnId(n)) {
        peer.choked = false;
    }
    for at in 0..BLOCKS_PER_PIECE {
        let conn = ConnId(n);
        table.hear(n, Message::Request(block(piece, at)));
        table.tell(Input::BlockSent { conn, block: block(piece, at) });
    }
    table.hear(n, Message::Have(PieceIndex(piece)));
}

fn standing(table: &Table, n: u64) -> Standing {
    table.swarm.standing(&table.swarm.peers[&ConnId(n)])
}

/// So many pieces a peer gets of which nothing is known.
fn credit() -> u32 {
    (SPREAD_CREDIT_BYTES / PIECE_BYTES as u32).max(SPREAD_CREDIT_PIECES)
}

#[test]
fn two_others_must_have_seen_what_is_passed_on() {
    let mut table = seeding(5);
    gift(&mut table, 1, 0);
    assert_eq!(standing(&table, 1), Standing::Unknown);
    table.hear(2, Message::Have(PieceIndex(0)));
    assert_eq!(standing(&table, 1), Standing::Unknown, "one friend proves nothing");
    table.hear(3, Message::Have(PieceIndex(0)));
    assert_eq!(standing(&table, 1), Standing::Passes);
}

#[test]
fn who_keeps_what_it_gets_is_not_praised_for_what_another_passes_on() {
    let mut table = seeding(5);
    for piece in 0..credit() {
        gift(&mut table, 1, piece);
    }
    assert_eq!(standing(&table, 1), Standing::Keeps);
    // The seed gives the same pieces to somebody else, who passes them on.
    for piece in 0..credit() {
        gift(&mut table, 2, piece);
        for witness in 3..=5 {
            table.hear(witness, Message::Have(PieceIndex(piece)));
        }
    }
    assert_eq!(standing(&table, 1), Standing::Keeps);
    // A piece of its own tells who that one is.
    gift(&mut table, 2, PIECES - 1);
    for witness in 3..=5 {
        table.hear(witness, Message::Have(PieceIndex(PIECES - 1)));
    }
    assert_eq!(standing(&table, 2), Standing::Passes);
}

#[test]
fn who_asks_for_what_it_said_to_have_is_no_witness() {
    let mut table = seeding(5);
    gift(&mut table, 1, 0);
    for liar in 2..=3 {
        table.hear(liar, Message::Have(PieceIndex(7)));
        table.hear(liar, Message::Request(block(7, 0)));
        table.hear(liar, Message::Have(PieceIndex(0)));
        assert_eq!(standing(&table, liar), Standing::Keeps);
    }
    assert_eq!(standing(&table, 1), Standing::Unknown);
}

#[test]
fn what_is_at_others_already_says_nothing() {
    let mut table = seeding(4);
    for piece in 0..credit() {
        table.hear(2, Message::Have(PieceIndex(piece)));
        gift(&mut table, 1, piece);
    }
    assert_eq!(standing(&table, 1), Standing::Unknown);
    table.wait(SPREAD_PATIENCE.as_secs() + 20);
    assert!(table.swarm.spread.is_empty());
}

proptest! {
    /// Nobody owes anything before it took what is given on trust, nor while it gives a quarter of what
    /// it takes; and whoever gives more never owes more.
    #[test]
    fn trust_is_bounded_and_gifts_count(
        total in 0u64..1 << 42,
        piece in 1u64..1 << 28,
        gave in 0u64..1 << 40,
        took in 0u64..1 << 40,
        more in 0u64..1 << 20,
    ) {
        let trust = Trust::of(total, piece);
        let least = piece.max(TRUST_BYTES_MIN);
        let most = piece.max(TRUST_BYTES_MAX);
        prop_assert!(took > least || !trust.is_exceeded(0, took, 0));
        prop_assert!(took <= most || trust.is_exceeded(0, took, 0));
        prop_assert!(!trust.is_exceeded(took.div_ceil(TRUST_FACTOR), took, 0));
        prop_assert!(!trust.is_exceeded(gave + more, took, 0) || trust.is_exceeded(gave, took, 0));
    }
}
