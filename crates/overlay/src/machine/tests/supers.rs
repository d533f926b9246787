//! One who indexes, among those who want to lean on it, and who is called although there is a link.

use super::*;
use crate::membership::limits::{
    LEAVES_KEPT, LEAVES_MAX, LINKED_WAIT, LOAD_EVERY, LOAD_SLACK, REFUSED_WAIT,
};
use crate::wire::Indexer;

fn super_peer() -> Node {
    let mut config = Config::new(Seed::from_u64(1), NodeId([0xff; 32]), NetworkKey::public());
    config.is_super = true;
    let machine = Overlay::new(Instant::ORIGIN, config);
    let mut node = Node { machine, now: Instant::ORIGIN, outputs: Vec::new(), links: 0 };
    node.drain();
    node.tell(Input::Clock(UnixTime(1_800_000_000)));
    node
}

/// Somebody leans on it who leans on so many others. Whether he may.
fn leans(node: &mut Node, number: u64, others: u8) -> (LinkId, bool) {
    let link = node.link(number, place(number), false);
    node.hears(link, Message::Lean { others });
    let yes = node.said(link).contains(&&Message::NeighbourReply { yes: true });
    if !yes {
        node.tell(Input::LinkDown { link });
    }
    (link, yes)
}

/// Another one who indexes leans on it, and says for how many he does.
fn mesh(node: &mut Node, number: u64, leaves: u16) -> LinkId {
    let link = node.mute(number, place(number), false);
    let hello = Hello { version: 1, port: Some(7716), is_super: true, ..Hello::default() };
    node.hears(link, Message::Hello(hello));
    node.hears(link, Message::Lean { others: 0 });
    node.hears(link, Message::Load { leaves });
    link
}

#[test]
fn who_leans_on_nobody_is_taken_in_the_place_of_who_leans_on_others() {
    let mut node = super_peer();
    // Others have as many, so that nobody is refused for that.
    mesh(&mut node, 1, u16::MAX / 2);
    let mut taken = Vec::new();
    for number in 0..LEAVES_MAX as u64 {
        taken.push(leans(&mut node, 10 + number, 1));
    }
    let count = taken.iter().filter(|(_, yes)| *yes).count();
    assert_eq!(count, LEAVES_MAX - LEAVES_KEPT, "places are kept");
    node.outputs.clear();
    for number in 0..LEAVES_KEPT as u64 + 3 {
        assert!(leans(&mut node, 2_000 + number, 0).1, "{number}");
    }
    let displaced = taken.iter().filter(|(link, _)| {
        node.closed(*link) == Some(CloseReason::Displaced)
            && node.said(*link).contains(&&Message::Disconnect)
    });
    assert_eq!(displaced.count(), 3);
    assert_eq!(node.machine.stats().views.serving, LEAVES_MAX + 1);
}

#[test]
fn who_has_more_than_others_says_who_has_fewer() {
    let mut node = super_peer();
    mesh(&mut node, 1, 2);
    mesh(&mut node, 2, 4);
    let (mut yes, mut number) = (true, 10);
    while yes {
        yes = leans(&mut node, number, 1).1;
        number += 1;
        assert!(number < 100, "nobody is refused");
    }
    let count = node.machine.stats().views.serving - 2;
    assert!((LOAD_SLACK..3 * LOAD_SLACK).contains(&count), "{count}");
    let refused = LinkId(node.links);
    let named = node.said(refused).into_iter().find_map(|message| match message {
        Message::Indexers(named) => Some(named.clone()),
        _ => None,
    });
    let leaves = |named: &[Indexer]| named.iter().map(|one| one.leaves).collect::<Vec<_>>();
    assert_eq!(leaves(&named.unwrap()), [Some(2), Some(4)]);
    // Who leans on nobody else is taken.
    assert!(leans(&mut node, 500, 0).1);
    // Others who index hear of it.
    node.outputs.clear();
    node.run(LOAD_EVERY * 3);
    let said = Message::Load { leaves: count as u16 + 1 };
    assert!(node.count(|o| matches!(o, Output::Send { message, .. } if *message == said)) >= 2);
}

#[test]
fn who_has_far_more_than_others_lets_those_go_who_have_found_others() {
    let mut node = super_peer();
    let others: Vec<_> = (1..=5).map(|number| mesh(&mut node, number, 2)).collect();
    let links: Vec<_> = (0..40).map(|number| leans(&mut node, 10 + number, 0).0).collect();
    let gone = |node: &Node| {
        links.iter().filter(|link| node.closed(**link) == Some(CloseReason::Displaced)).count()
    };
    let pass = |node: &mut Node| {
        for _ in 0..10 {
            node.run(LOAD_EVERY / 2);
            others.iter().for_each(|link| node.hears(*link, Message::Load { leaves: 2 }));
        }
    };
    pass(&mut node);
    assert_eq!(gone(&node), 0, "they have nobody else");
    links.iter().for_each(|link| node.hears(*link, Message::Lean { others: 2 }));
    pass(&mut node);
    assert!((10..40).contains(&gone(&node)), "{}", gone(&node));
}

#[test]
fn who_is_refused_goes_on_to_who_has_fewer() {
    let mut node = Node::settled();
    let contact = |number| Contact { node: name(number), addr: place(number) };
    let indexer = |number, leaves| Indexer { contact: contact(number), leaves: Some(leaves) };
    // A neighbour is asked, and names one.
    node.run(Duration::from_secs(5));
    let asked = (1..=OUT_WANTED as u64)
        .find(|link| node.said(LinkId(*link)).contains(&&Message::WhoIndexes))
        .expect("it looks for somebody to lean on");
    node.hears(LinkId(asked), Message::Indexers(vec![indexer(50, 400)]));
    let called = |node: &Node, number: u64| {
        node.count(|o| matches!(o, Output::Dial { addr, .. } if *addr == place(number))) > 0
    };
    assert!(called(&node, 50));
    let link = node.mute(50, place(50), true);
    let hello = Hello { version: 1, port: Some(7716), is_super: true, ..Hello::default() };
    node.hears(link, Message::Hello(hello));
    assert!(node.said(link).contains(&&Message::Lean { others: 0 }));
    node.hears(link, Message::Indexers(vec![indexer(51, 10)]));
    node.hears(link, Message::NeighbourReply { yes: false });
    assert!(called(&node, 51), "at once");
    node.outputs.clear();
    node.run(REFUSED_WAIT / 2);
    assert!(!called(&node, 50));
}

#[test]
fn who_could_not_be_called_because_there_is_a_link_is_let_be_for_a_while_only() {
    let mut node = Node::new();
    let calls = |o: &Output| matches!(o, Output::Dial { addr, .. } if *addr == place(1));
    node.tell(Input::Contacts(vec![place(1)]));
    for time in 0..4 {
        let begun = node.now;
        while node.count(calls) == 0 {
            assert!(node.now.since(begun) <= LINKED_WAIT * 2, "it is not called again: {time}");
            node.run(Duration::from_secs(1));
        }
        // While it is, the other one calls, from another port; so the call comes to nothing.
        let mut from = place(1);
        from.set_port(50_000);
        let link = node.mute(1, from, false);
        let hello = Hello { version: 1, port: Some(7716), is_super: false, ..Hello::default() };
        node.hears(link, Message::Hello(hello));
        node.tell(Input::DialFailed { addr: place(1) });
        node.outputs.clear();
        node.run(LINKED_WAIT / 10);
        assert_eq!(node.count(calls), 0, "there is a link");
        node.tell(Input::LinkDown { link });
    }
}

#[test]
fn who_leans_on_nobody_asks_all_neighbours_at_first_and_then_one_at_a_time() {
    let mut node = Node::settled();
    let links: Vec<LinkId> = (1..=OUT_WANTED as u64).map(LinkId).collect();
    let mut asked = Vec::new();
    for _ in 0..120 {
        node.run(Duration::from_secs(1));
        let is_asked = |link: &&LinkId| node.said(**link).contains(&&Message::WhoIndexes);
        asked.extend(Some(links.iter().filter(is_asked).count()).filter(|count| *count > 0));
        node.outputs.clear();
        links.iter().for_each(|link| node.hears(*link, Message::Pong));
    }
    let all = asked.iter().take_while(|count| **count == OUT_WANTED).count();
    assert!((2..=4).contains(&all) && asked.len() > all, "{asked:?}");
    assert!(asked[all..].iter().all(|count| *count == 1), "{asked:?}");
}
