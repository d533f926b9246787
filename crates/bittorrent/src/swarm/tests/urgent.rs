//! Readers who wait: deadlines, jumps, late blocks.

use super::*;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;

/// A reader needs these pieces, one every 100 ms from now on.
fn reads(table: &mut Table, reader: u64, pieces: &[u32]) -> Vec<Output> {
    let now = table.now;
    let due = |n: usize| now + MILLIS(100 * n as u64);
    let pieces = pieces.iter().enumerate().map(|(n, piece)| (PieceIndex(*piece), due(n))).collect();
    table.tell(Input::SetDeadlines { reader: ReaderId(reader), pieces })
}

fn pieces_of(blocks: &[BlockRef]) -> Vec<u32> {
    let mut pieces: Vec<u32> = blocks.iter().map(|block| block.piece.0).collect();
    pieces.dedup();
    pieces
}

/// Lets so much time pass in steps, while peers answer what they were asked, each at so many blocks
/// a second; at most 1000.
fn flow(table: &mut Table, paces: &[(u64, u64)], millis: u64) -> Vec<Output> {
    let mut outputs = Vec::new();
    for step in 1..=millis {
        table.now += MILLIS(1);
        while table.swarm.poll_timeout().is_some_and(|(at, _)| at <= table.now) {
            table.swarm.handle_timeout(table.now);
            outputs.extend(table.drain());
        }
        for (n, pace) in paces.iter().filter(|(_, pace)| step % (1000 / pace) == 0) {
            let owed = table.swarm.peers[&ConnId(*n)].orders.front().map(|o| o.block);
            let Some(owed) = owed else { panic!("{n} at {pace} a second is idle") };
            let given = table.give(*n, owed);
            for (piece, _) in completed_pieces(&given) {
                let input = Input::PieceStored { piece: PieceIndex(piece), block_digests: None };
                outputs.extend(table.tell(input));
            }
            outputs.extend(given);
        }
    }
    outputs
}

#[test]
fn what_is_needed_is_ordered_first_and_in_order() {
    let mut table = Table::new(400, &[]);
    reads(&mut table, 1, &[200, 201, 202]);
    let asked = requests(&table.seed(1), 1);
    // One that has shown nothing gets few blocks, the most urgent ones.
    assert_eq!(asked, (0..4).map(|n| block(200, n)).collect::<Vec<_>>());
    let outputs = flow(&mut table, &[(1, 100)], 1000);
    let asked = requests(&outputs, 1);
    assert_eq!(pieces_of(&asked)[..2], [201, 202]);
    assert!(asked.len() > 32, "then the rest, at full speed: {}", asked.len());
    assert!(table.swarm.deadlines.is_empty());
    assert!((200..203).all(|piece| table.swarm.have().get(PieceIndex(piece))));
    table.wait(1);
    assert_eq!(table.swarm.hurry_at, None, "nobody waits");
}

#[test]
fn a_jump_takes_back_what_is_in_the_way() {
    for (reserved, fast) in [(Handshake::RESERVED, true), ([0; 8], false)] {
        let mut table = Table::new(400, &[]);
        table.connect_with(1, reserved);
        let all = Bitfield::full(400);
        table.hear(1, Message::Bitfield(Bytes::copy_from_slice(all.as_bytes())));
        table.hear(1, Message::Unchoke);
        flow(&mut table, &[(1, 100)], 2000);
        let before = table.swarm.peers[&ConnId(1)].orders.len();
        assert!(before >= 32, "{before}");
        let outputs = reads(&mut table, 1, &[300, 301]);
        let cancels = said(&outputs, 1).iter().filter(|m| matches!(m, Message::Cancel(_))).count();
        assert_eq!(cancels, before - 2, "all but what is about to come");
        let asked = requests(&outputs, 1);
        assert_eq!(asked[..4], (0..4).map(|n| block(300, n)).collect::<Vec<_>>());
        // Nothing of what was taken back is lost: without the reader it is ordered again.
        assert!(table.swarm.open.any_free());
        let outputs = table.tell(Input::SetDeadlines { reader: ReaderId(1), pieces: Vec::new() });
        assert!(table.swarm.deadlines.is_empty());
        drop(outputs);
        // Reading on in small steps is no jump.
        if fast {
            reads(&mut table, 2, &[300, 301]);
            let later = table.now + URGENT_SOON + MILLIS(1);
            let mut window: Vec<_> = [300, 301].map(|p| (PieceIndex(p), table.now)).into();
            window.push((PieceIndex(302), later));
            let input = Input::SetDeadlines { reader: ReaderId(2), pieces: window };
            let outputs = table.tell(input);
            assert!(!said(&outputs, 1).iter().any(|m| matches!(m, Message::Cancel(_))));
        }
    }
}

#[test]
fn the_slow_take_what_they_can_deliver_in_time() {
    let mut table = Table::new(400, &[]);
    table.seed(1);
    table.seed(2);
    flow(&mut table, &[(1, 100), (2, 4)], 3000);
    let outputs = reads(&mut table, 1, &(300..340).collect::<Vec<_>>());
    let slow = pieces_of(&requests(&outputs, 2));
    let fast = pieces_of(&requests(&outputs, 1));
    assert_eq!(fast.first(), Some(&300));
    assert!(!slow.is_empty() && slow.iter().all(|piece| *piece >= 307), "{slow:?}");
}

#[test]
fn late_blocks_are_ordered_from_the_sooner_and_cancelled_when_they_came() {
    let mut table = Table::new(400, &[]);
    table.seed(1);
    reads(&mut table, 1, &[300]);
    let owed =
        table.swarm.peers[&ConnId(1)].orders.iter().filter(|o| o.block.piece.0 == 300).count();
    assert_eq!(owed, 2, "behind two others, with one that has shown nothing yet");
    // It says nothing more. Another one comes, and takes what is left before all.
    let mut copies = requests(&table.seed(2), 2);
    copies.extend(requests(&flow(&mut table, &[(2, 1)], 1500), 2));
    copies.retain(|block| block.piece.0 == 300);
    copies.sort_by_key(|block| block.begin);
    assert_eq!(copies, (0..4).map(|n| block(300, n)).collect::<Vec<_>>(), "each block once");
    let outputs = table.give(2, block(300, 0));
    assert!(said(&outputs, 1).contains(&&Message::Cancel(block(300, 0))));
}

#[test]
fn readers_who_go_leave_nothing_behind() {
    let mut table = Table::new(400, &[]);
    reads(&mut table, 1, &[300]);
    reads(&mut table, 2, &[200]);
    assert!(table.swarm.hurry_at.is_some());
    table.tell(Input::SetDeadlines { reader: ReaderId(1), pieces: Vec::new() });
    table.tell(Input::SetDeadlines { reader: ReaderId(2), pieces: Vec::new() });
    table.wait(1);
    assert_eq!(table.swarm.hurry_at, None);
    let asked = requests(&table.seed(1), 1);
    assert_eq!(asked.len(), PIPELINE_MIN);
}

#[test]
fn deadlines_outlive_a_pause_and_do_not_wake_during_it() {
    let mut table = Table::new(400, &[]);
    reads(&mut table, 1, &[300]);
    table.tell(Input::Pause);
    assert_eq!(table.swarm.poll_timeout(), None);
    table.tell(Input::Resume);
    let asked = requests(&table.seed(1), 1);
    assert_eq!(asked[..4], (0..4).map(|n| block(300, n)).collect::<Vec<_>>());
}

#[test]
fn bad_data_of_an_urgent_piece_comes_from_one_peer_the_second_time() {
    let mut table = Table::new(400, &[]);
    table.seed(1);
    table.seed(2);
    reads(&mut table, 1, &[300]);
    for n in 0..4 {
        table.give(1 + u64::from(n % 2), block(300, n));
    }
    let block_digests = digests(b"abcd");
    table.tell(Input::PieceCorrupt { piece: PieceIndex(300), block_digests });
    let owing = |table: &Table, n| {
        let orders = table.swarm.peers[&ConnId(n)].orders.iter();
        orders.filter(|o| o.block.piece.0 == 300 && o.counted_in.is_some()).count()
    };
    flow(&mut table, &[(1, 50)], 1000);
    assert!(owing(&table, 1) == 0 || owing(&table, 2) == 0);
}

#[test]
fn what_only_a_slow_peer_gives_is_asked_of_it_however_late_it_is() {
    let mut table = Table::new(400, &[]);
    table.connect(1);
    let mut bits = Bitfield::new(400);
    (1..400).for_each(|piece| assert!(bits.set(PieceIndex(piece), true)));
    table.hear(1, Message::Bitfield(Bytes::copy_from_slice(bits.as_bytes())));
    table.hear(1, Message::Unchoke);
    flow(&mut table, &[(1, 100)], 1000);
    reads(&mut table, 1, &[0]);
    flow(&mut table, &[(1, 100)], 500);
    // Nothing is known of its pace, and the piece should be here by now.
    let asked = requests(&table.seed(2), 2);
    assert_eq!(asked.first(), Some(&block(0, 0)), "{asked:?}");
}
