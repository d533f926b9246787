//! Suggestions: a seed tells each of a crowd to ask for something else, and who is told follows.

use super::*;

fn suggested(outputs: &[Output]) -> Vec<(ConnId, u32)> {
    let of = |output: &Output| match output {
        Output::Send { conn, message: Message::SuggestPiece(piece) } => Some((*conn, piece.0)),
        _ => None,
    };
    outputs.iter().filter_map(of).collect()
}

/// A peer with nothing that wants something; what is said to it.
fn leecher(table: &mut Table, n: u64) -> Vec<Output> {
    let mut said = table.connect(n);
    said.extend(table.hear(n, Message::HaveNone));
    said.extend(table.hear(n, Message::Interested));
    said
}

#[test]
fn each_of_a_crowd_is_told_of_other_pieces() {
    let mut table = Table::new(64, &(0..64).collect::<Vec<u32>>());
    let mut all = suggested(&leecher(&mut table, 1));
    assert!(all.is_empty(), "one alone needs no advice");
    all.extend(suggested(&leecher(&mut table, 2)));
    all.extend(suggested(&leecher(&mut table, 3)));
    assert_eq!(all.len(), 32, "as many as are promised at a time, to each: {all:?}");
    // The first asks for what it likes; nobody else is told of that.
    let taken = (0..64).find(|piece| all.iter().all(|(_, other)| other != piece));
    let taken = taken.expect("half of them are left");
    all.extend(suggested(&table.hear(1, Message::Request(block(taken, 0)))));
    let mut pieces: Vec<u32> = all.iter().map(|(_, piece)| *piece).collect();
    pieces.push(taken);
    pieces.sort_unstable();
    pieces.dedup();
    assert_eq!(pieces.len(), all.len() + 1, "nothing twice: {all:?}");
    // Who is gone takes nothing along.
    table.tell(Input::Disconnected { conn: ConnId(3) });
    let rest = all.iter().filter(|(conn, _)| *conn == ConnId(2)).map(|(_, piece)| *piece);
    let more: Vec<(ConnId, u32)> = rest
        .take(4)
        .flat_map(|piece| suggested(&table.hear(2, Message::Request(block(piece, 0)))))
        .collect();
    assert_eq!(more.len(), 4, "one for each that was followed");
    // What others have needs no advice.
    table.hear(1, Message::HaveAll);
    assert_eq!(suggested(&leecher(&mut table, 4)).len(), 16);
}

#[test]
fn a_suggestion_is_followed_where_it_is_as_rare() {
    let asked = |outputs: &[Output]| -> Vec<u32> {
        let of = |output: &Output| match output {
            Output::Send { conn: ConnId(1), message: Message::Request(block) } => {
                Some(block.piece.0)
            }
            _ => None,
        };
        let mut pieces: Vec<u32> = outputs.iter().filter_map(of).collect();
        pieces.dedup();
        pieces
    };
    let first = |suggestions: &[u32], common: &[u32]| {
        let mut table = Table::new(400, &[]);
        table.connect(2);
        table.hear(2, Message::HaveNone);
        for piece in common {
            table.hear(2, Message::Have(PieceIndex(*piece)));
        }
        table.connect(1);
        table.hear(1, Message::HaveAll);
        for piece in suggestions {
            table.hear(1, Message::SuggestPiece(PieceIndex(*piece)));
        }
        asked(&table.hear(1, Message::Unchoke))
    };
    assert_eq!(first(&[311, 7, 399], &[])[..3], [311, 7, 399]);
    assert!(!first(&[311], &[311]).contains(&311), "others have it, too");
    // What makes no sense changes nothing.
    assert_eq!(first(&[400, u32::MAX], &[]), first(&[], &[]));
}
