//! Upload slots that torrents share.

use super::*;

fn demand(outputs: &[Output]) -> Vec<usize> {
    let demand = |output: &Output| match output {
        Output::UploadDemand { wanted } => Some(*wanted),
        _ => None,
    };
    outputs.iter().filter_map(demand).collect()
}

fn unchoked(table: &Table) -> usize {
    table.swarm.peers.values().filter(|peer| !peer.choked).count()
}

fn sharing() -> Table {
    let config = SwarmConfig { shares_slots: true, unchoke_slots: 4, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, 4, &[0, 1, 2, 3]);
    for n in 1..=6 {
        table.connect(n);
        table.hear(n, Message::HaveNone);
    }
    table
}

#[test]
fn nobody_is_unchoked_without_slots_and_all_are_told_of() {
    let mut table = sharing();
    let outputs = table.hear(1, Message::Interested);
    assert_eq!((demand(&outputs), unchoked(&table)), (vec![1], 0));
    assert!(said(&table.tell(Input::UploadSlots(1)), 1).contains(&&Message::Unchoke));
    assert_eq!(demand(&table.hear(2, Message::Interested)), [2]);
    assert_eq!(unchoked(&table), 1);
    for n in 3..=6 {
        table.hear(n, Message::Interested);
    }
    // No more than one torrent may have; and again in every round.
    assert_eq!(demand(&table.wait(10)), [4]);
    table.tell(Input::UploadSlots(9));
    assert_eq!(unchoked(&table), 4);
    table.wait(10);
    assert_eq!(unchoked(&table), 4);
    // What is taken back is not kept until the next round.
    table.tell(Input::UploadSlots(2));
    assert_eq!(unchoked(&table), 2);
    table.tell(Input::UploadSlots(0));
    assert_eq!(unchoked(&table), 0);
}

#[test]
fn who_gives_nothing_holds_nothing() {
    let mut table = sharing();
    table.hear(1, Message::Interested);
    table.tell(Input::UploadSlots(1));
    assert_eq!(demand(&table.hear(1, Message::NotInterested)), [0]);
    assert_eq!(demand(&table.wait(30)), [0; 0], "nobody wants anything");
    table.hear(2, Message::Interested);
    assert_eq!(demand(&table.tell(Input::Disconnected { conn: ConnId(2) })), [0]);
    table.hear(3, Message::Interested);
    assert_eq!(demand(&table.tell(Input::Pause)), [0]);
}
