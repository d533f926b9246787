//! Pieces that come from elsewhere are not ordered, until it turns out that they don't come.

use super::*;

fn pieces(of: &[u32]) -> Vec<PieceIndex> {
    of.iter().copied().map(PieceIndex).collect()
}

fn ordered(outputs: &[Output], n: u64) -> std::collections::BTreeSet<u32> {
    requests(outputs, n).into_iter().map(|block| block.piece.0).collect()
}

#[test]
fn what_is_held_is_ordered_when_it_is_released() {
    let mut table = Table::new(4, &[]);
    assert!(table.tell(Input::Hold { pieces: pieces(&[1, 2]) }).is_empty());
    assert!(ordered(&table.seed(1), 1).is_disjoint(&[1, 2].into()));
    // Not even in the end game, and not because somebody reads it.
    let due = vec![(PieceIndex(1), table.now)];
    let reader = ReaderId(1);
    let mut outputs = table.tell(Input::SetDeadlines { reader, pieces: due });
    for piece in [0, 3] {
        for n in 0..BLOCKS_PER_PIECE {
            outputs.extend(table.give(1, block(piece, n)));
        }
    }
    assert_eq!(completed_pieces(&outputs).len(), 2);
    assert!(ordered(&outputs, 1).is_disjoint(&[1, 2].into()));
    let outputs = table.tell(Input::Release { pieces: pieces(&[2, 3]) });
    assert_eq!(ordered(&outputs, 1), [2].into());
    let stored = Input::PieceStored { piece: PieceIndex(1), block_digests: None };
    let outputs = table.tell(stored);
    assert!(said(&outputs, 1).contains(&&Message::Have(PieceIndex(1))), "{outputs:?}");
    assert_eq!(table.swarm.held().count_ones(), 0);
    assert!(table.swarm.have().get(PieceIndex(1)));
    assert_eq!(ordered(&table.tell(Input::Release { pieces: pieces(&[1]) }), 1), [].into());
}

#[test]
fn what_is_on_order_is_taken_back_and_what_has_begun_to_come_goes_on() {
    let mut table = Table::new(2, &[]);
    assert_eq!(ordered(&table.seed(1), 1), [0, 1].into());
    table.give(1, block(0, 0));
    let outputs = table.tell(Input::Hold { pieces: pieces(&[0, 1]) });
    let cancelled: std::collections::BTreeSet<u32> = said(&outputs, 1)
        .into_iter()
        .filter_map(|m| if let Message::Cancel(block) = m { Some(block.piece.0) } else { None })
        .collect();
    assert_eq!(cancelled, [1].into());
    assert_eq!(table.swarm.held().ones().collect::<Vec<_>>(), pieces(&[1]));
    // What comes all the same is not kept: it would be in the way of what is copied.
    let late = table.give(1, block(1, 0));
    assert!(!late.iter().any(|o| matches!(o, Output::StoreBlock { .. })), "{late:?}");
    // Nor is what an earlier run had of it.
    let partial = Input::PartialPiece { piece: PieceIndex(1), blocks: vec![0] };
    let outputs = table.tell(partial);
    assert!(outputs.iter().any(|o| matches!(o, Output::AbandonPiece { piece: PieceIndex(1) })));
    let outputs = table.tell(Input::Release { pieces: pieces(&[1]) });
    assert_eq!(ordered(&outputs, 1), [1].into());
}

#[test]
fn what_is_held_stays_so_whatever_else_changes() {
    let mut table = Table::new(4, &[]);
    table.tell(Input::Hold { pieces: pieces(&[0, 1, 2, 3]) });
    assert_eq!(ordered(&table.seed(1), 1), [].into());
    assert_eq!(ordered(&table.tell(Input::SetPicker(PickerKind::Sequential)), 1), [].into());
    let priorities = FilePriorities::all(Priority::High);
    assert_eq!(ordered(&table.tell(Input::SetPriorities(priorities)), 1), [].into());
    table.tell(Input::Recheck);
    let outputs = table.tell(Input::StorageReady { have: Bitfield::new(4) });
    assert_eq!(ordered(&outputs, 1), [].into());
    let outputs = table.tell(Input::Release { pieces: pieces(&[0, 1, 2, 3]) });
    assert_eq!(ordered(&outputs, 1), [0, 1, 2, 3].into());
}
