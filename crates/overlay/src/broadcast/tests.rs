//! The tree of one node: who is sent what, and what storms do.

use super::*;
use crate::io::Output;
use std::time::Duration;

const HERE: [LinkId; 4] = [LinkId(1), LinkId(2), LinkId(3), LinkId(4)];

fn id(number: u64) -> RecordId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    RecordId(id)
}

fn at(millis: u64) -> Instant {
    Instant::ORIGIN + Duration::from_millis(millis)
}

fn tree() -> (Broadcast, Sink) {
    let mut tree = Broadcast::new();
    HERE.into_iter().for_each(|link| tree.up(at(0), link));
    (tree, Sink::default())
}

fn said(sink: &mut Sink) -> Vec<(u64, Message)> {
    sink.outputs
        .drain(..)
        .map(|output| match output {
            Output::Send { link, message } => (link.0, message),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn announce(tree: &mut Broadcast, now: Instant, link: LinkId, number: u64, sink: &mut Sink) {
    tree.announced(now, link, &[Announced { id: id(number), hops: 1 }], |_| false, sink);
}

fn receive(tree: &mut Broadcast, now: Instant, link: LinkId, number: u64, sink: &mut Sink) {
    let record = Bytes::from_static(b"record");
    tree.received(now, Some(link), (id(number), 4, &record), sink);
}

fn gossip(hops: u8) -> Message {
    Message::Gossip { hops, record: Bytes::from_static(b"record") }
}

fn i_have(number: u64) -> Message {
    Message::IHave(vec![Announced { id: id(number), hops: 4 }])
}

#[test]
fn who_is_in_no_tree_asks_at_once_and_then_waits_for_it() {
    let (mut tree, mut sink) = tree();
    announce(&mut tree, at(0), HERE[0], 1, &mut sink);
    assert_eq!(said(&mut sink), [(1, Message::Graft(vec![id(1)]))]);
    receive(&mut tree, at(50), HERE[0], 1, &mut sink);
    assert_eq!(said(&mut sink), [(2, i_have(1)), (3, i_have(1)), (4, i_have(1))]);
    // The next comes by itself, so that an announcement is only remembered.
    announce(&mut tree, at(1_000), HERE[1], 2, &mut sink);
    assert_eq!(said(&mut sink), []);
    receive(&mut tree, at(1_050), HERE[0], 2, &mut sink);
    // Who has announced it is told nothing.
    assert_eq!(said(&mut sink), [(3, i_have(2)), (4, i_have(2))]);
    assert_eq!(tree.missing(), 0);
}

#[test]
fn a_branch_that_is_broken_is_gone_around() {
    let (mut tree, mut sink) = tree();
    announce(&mut tree, at(0), HERE[0], 1, &mut sink);
    receive(&mut tree, at(0), HERE[0], 1, &mut sink);
    announce(&mut tree, at(1_000), HERE[1], 2, &mut sink);
    announce(&mut tree, at(1_000), HERE[2], 2, &mut sink);
    said(&mut sink);
    assert_eq!(tree.timeout(at(1_599), &mut sink), []);
    assert_eq!(said(&mut sink), []);
    assert_eq!(tree.timeout(at(1_600), &mut sink), []);
    assert_eq!(said(&mut sink), [(2, Message::Graft(vec![id(2)]))]);
    // That one does not keep its word, and another is asked.
    assert_eq!(tree.timeout(at(2_800), &mut sink), [HERE[1]]);
    assert_eq!(said(&mut sink), [(3, Message::Graft(vec![id(2)]))]);
    assert_eq!(tree.timeout(at(4_000), &mut sink), [HERE[2]]);
    assert_eq!((tree.missing(), tree.deadline()), (0, None));
}

#[test]
fn when_an_eager_link_goes_what_is_missing_is_asked_for_at_once() {
    let (mut tree, mut sink) = tree();
    announce(&mut tree, at(0), HERE[0], 1, &mut sink);
    receive(&mut tree, at(0), HERE[0], 1, &mut sink);
    announce(&mut tree, at(1_000), HERE[1], 2, &mut sink);
    said(&mut sink);
    tree.down(at(1_100), HERE[0]);
    assert_eq!(tree.deadline(), Some(at(1_100)));
    tree.timeout(at(1_100), &mut sink);
    assert_eq!(said(&mut sink), [(2, Message::Graft(vec![id(2)]))]);
}

#[test]
fn the_second_copy_prunes_and_a_much_shorter_way_is_taken() {
    let (mut tree, mut sink) = tree();
    tree.grafted(at(0), HERE[0], &[], |_| None, &mut sink);
    tree.grafted(at(0), HERE[1], &[], |_| None, &mut sink);
    receive(&mut tree, at(0), HERE[0], 1, &mut sink);
    assert_eq!(said(&mut sink), [(2, gossip(5)), (3, i_have(1)), (4, i_have(1))]);
    tree.duplicate(HERE[1], &mut sink);
    assert_eq!(said(&mut sink), [(2, Message::Prune)]);
    // A little sooner is nothing; much sooner is.
    announce(&mut tree, at(1_000), HERE[1], 2, &mut sink);
    receive(&mut tree, at(1_100), HERE[0], 2, &mut sink);
    assert_eq!(said(&mut sink), [(3, i_have(2)), (4, i_have(2))]);
    announce(&mut tree, at(2_000), HERE[1], 3, &mut sink);
    receive(&mut tree, at(2_200), HERE[0], 3, &mut sink);
    let swapped = [(2, Message::Graft(Vec::new())), (1, Message::Prune)];
    assert_eq!(said(&mut sink)[..2], swapped);
    assert_eq!(tree.links(), (1, 3));
}

#[test]
fn many_records_are_announced_together() {
    let (mut tree, mut sink) = tree();
    for number in 0..50 {
        receive(&mut tree, at(number), HERE[0], number, &mut sink);
    }
    let of_two = |said: Vec<(u64, Message)>| said.iter().filter(|(link, _)| *link == 2).count();
    assert_eq!(of_two(said(&mut sink)), 1);
    tree.timeout(at(100), &mut sink);
    assert_eq!(of_two(said(&mut sink)), 1);
    assert_eq!(tree.deadline(), None);
}

#[test]
fn invented_ids_take_a_part_of_the_memory_only() {
    let (mut tree, mut sink) = tree();
    for number in 0..10_000 {
        announce(&mut tree, at(0), HERE[0], number, &mut sink);
    }
    assert_eq!(tree.missing(), MISSING_PER_LINK_MAX);
    announce(&mut tree, at(0), HERE[1], 20_000, &mut sink);
    assert_eq!(tree.missing(), MISSING_PER_LINK_MAX + 1);
    // In the end nothing is left of them, and who invented them is named for each.
    said(&mut sink);
    let mut unkept = 0;
    while let Some(due) = tree.deadline() {
        unkept += tree.timeout(due, &mut sink).iter().filter(|link| **link == HERE[0]).count();
    }
    assert_eq!(unkept, MISSING_PER_LINK_MAX);
    assert_eq!(tree.missing(), 0);
}

#[test]
fn grafts_beyond_a_rate_are_not_heeded() {
    let (mut tree, mut sink) = tree();
    let record = Bytes::from(vec![0; 4_000]);
    for _ in 0..100_000 {
        tree.grafted(at(0), HERE[0], &[id(1)], |_| Some(record.clone()), &mut sink);
        tree.pruned(HERE[0]);
    }
    let sent: usize = said(&mut sink).iter().map(|(_, message)| message.encoded_len()).sum();
    assert!(sent <= GRAFTS_PER_S.1 as usize * 4_002, "{sent}");
}
