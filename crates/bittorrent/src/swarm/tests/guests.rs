//! The slot besides the others, which whoever has just come has at once, for a little.

use super::*;

const PIECES: u32 = 512;
const SLOTS: u64 = 2;

/// Those who have been waiting for a while.
const WAITING: std::ops::RangeInclusive<u64> = 21..=60;

/// A swarm that has all pieces but so many, with as many slots as [`SLOTS`], all of them taken, and for which
/// others wait.
fn busy(lacks: u32) -> Table {
    let config = SwarmConfig { unchoke_slots: SLOTS as usize, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, PIECES, &(lacks..PIECES).collect::<Vec<_>>());
    for n in 1..=SLOTS {
        come(&mut table, n);
        assert!(!choked(&table, n));
    }
    WAITING.for_each(|n| drop(come(&mut table, n)));
    assert_eq!(unchoked(&table), SLOTS, "where all are new there are no guests");
    table.now += GUEST_NEW_FOR;
    // They do not let their slots go to waste.
    for n in 1..=SLOTS {
        takes(&mut table, n, 1);
    }
    table
}

/// Somebody comes, from a network of its own, and wants something.
fn come(table: &mut Table, n: u64) -> Vec<Output> {
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(n),
        // Without the fast extension: nothing is to be had while choked.
        reserved: [0; 8],
    };
    let addr = SocketAddr::from(([10, 100 + (n % 100) as u8, 0, 1], 7000));
    let (conn, direction, transport) = (ConnId(n), Direction::Incoming, Transport::Tcp);
    table.tell(Input::Connected { conn, addr, direction, transport, handshake });
    table.hear(n, Message::Interested)
}

fn choked(table: &Table, n: u64) -> bool {
    table.swarm.peers[&ConnId(n)].choked
}

fn unchoked(table: &Table) -> u64 {
    table.swarm.peers.values().filter(|p| !p.choked).count() as u64
}

/// It asks for two hundred blocks and takes what it is handed, up to `most` blocks: how many those were.
fn takes(table: &mut Table, n: u64, most: usize) -> usize {
    for piece in 100..150 {
        for at in 0..BLOCKS_PER_PIECE {
            table.hear(n, Message::Request(block(piece, at)));
        }
    }
    let mut taken = 0;
    while taken < most
        && let Some(block) = table.swarm.peers[&ConnId(n)].sending.front().copied()
    {
        table.tell(Input::BlockSent { conn: ConnId(n), block });
        taken += 1;
    }
    taken
}

fn blocks(bytes: u64) -> usize {
    (bytes / u64::from(BLOCK_SIZE)) as usize
}

#[test]
fn a_newcomer_has_a_seed_s_guest_slot_at_once_and_for_a_second_of_film() {
    let mut table = busy(0);
    come(&mut table, 11);
    assert!(!choked(&table, 11));
    assert_eq!(takes(&mut table, 11, usize::MAX), blocks(GUEST_BYTES_MAX));
    assert!(choked(&table, 11), "the others have theirs still");
    assert_eq!(unchoked(&table), SLOTS);
    // It does not come in twice, not with another connection either.
    table.wait(1);
    assert!(choked(&table, 11));
    table.tell(Input::Disconnected { conn: ConnId(11) });
    come(&mut table, 111);
    assert!(choked(&table, 111));
}

#[test]
fn who_came_last_comes_first_and_sends_others_on() {
    let mut table = busy(0);
    (11..=14).for_each(|n| drop(come(&mut table, n)));
    assert_eq!(unchoked(&table), SLOTS + 1);
    assert_eq!(takes(&mut table, 11, usize::MAX), blocks(GUEST_BYTES_LEAST));
    assert!(choked(&table, 11) && !choked(&table, 14));
    assert_eq!(unchoked(&table), SLOTS + 1);
    // Those who came before it do not send it on.
    assert_eq!(takes(&mut table, 14, usize::MAX), blocks(GUEST_BYTES_MAX));
    assert!(!choked(&table, 13));
}

#[test]
fn who_fetches_has_no_guests() {
    let mut table = busy(1);
    come(&mut table, 11);
    assert!(choked(&table, 11));
    // Once it is through it has.
    table.tell(Input::PieceStored { piece: PieceIndex(0), block_digests: None });
    assert!(!choked(&table, 11));
}

#[test]
fn there_are_no_guests_while_many_come() {
    let mut table = busy(0);
    // The guest stays while others come.
    (201..=240).for_each(|n| drop(come(&mut table, n)));
    assert!(!choked(&table, 201));
    takes(&mut table, 201, usize::MAX);
    assert!(choked(&table, 201));
    assert_eq!(unchoked(&table), SLOTS);
}

#[test]
fn who_takes_nothing_makes_room_for_the_next() {
    let mut table = busy(0);
    (11..=12).for_each(|n| drop(come(&mut table, n)));
    assert!(!choked(&table, 11) && choked(&table, 12));
    table.wait(GUEST_PATIENCE.as_secs() + 1);
    assert!(choked(&table, 11) && !choked(&table, 12));
}

#[test]
fn a_guest_moves_into_a_slot_that_gets_free() {
    let mut table = busy(0);
    come(&mut table, 11);
    table.tell(Input::Disconnected { conn: ConnId(1) });
    assert!(!choked(&table, 11));
    assert!(takes(&mut table, 11, usize::MAX) > blocks(GUEST_BYTES_MAX));
    come(&mut table, 12);
    assert_eq!(unchoked(&table), SLOTS + 1);
}

#[test]
fn who_gives_nobody_a_slot_has_no_guests() {
    let config = SwarmConfig { unchoke_slots: 0, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, PIECES, &(0..PIECES).collect::<Vec<_>>());
    come(&mut table, 1);
    table.wait(30);
    assert!(choked(&table, 1));
}
