//! One node among peers that do as they like.

use super::*;
use crate::id::{Contact, Keys};
use crate::io::CloseReason;
use crate::membership::limits::{
    DIALS_PER_S, GREETING_TIMEOUT, IN_CROWD_MAX, IN_MAX, MEET_FIRST, OUT_WANTED, PASSIVE_MAX,
    PROTECTED, SILENCE_ASK, SILENCE_DOUBT, SILENCE_END,
};
use crate::records::{Draft, Profile, Text};
use crate::wire::{Announced, Hello};
use std::net::SocketAddr;

mod hostile;
mod mesh;
mod supers;

struct Node {
    machine: Overlay,
    now: Instant,
    outputs: Vec<Output>,
    links: u64,
}

fn name(number: u64) -> NodeId {
    let mut name = [0; 32];
    name[..8].copy_from_slice(&number.to_be_bytes());
    NodeId(name)
}

/// An address in a network of its own.
fn place(number: u64) -> SocketAddr {
    let [.., a, b] = number.to_be_bytes();
    SocketAddr::from(([20, a, b, 1], 7716))
}

fn record(number: u64) -> Record {
    let profile = Profile::new(Text::new("Ada").unwrap(), Text::default()).unwrap();
    let mut draft = Draft::profile(profile, UnixTime(1_800_000_000), 3_600);
    draft.seq = number;
    draft.sign(&Keys::from_secret(&[9; 32]), &NetworkKey::public()).unwrap()
}

impl Node {
    fn new() -> Node {
        let mut config = Config::new(Seed::from_u64(1), NodeId([0xff; 32]), NetworkKey::public());
        config.caps.stranger_work_bits = 0;
        let machine = Overlay::new(Instant::ORIGIN, config);
        let mut node = Node { machine, now: Instant::ORIGIN, outputs: Vec::new(), links: 0 };
        node.drain();
        node.tell(Input::Clock(UnixTime(1_800_000_000)));
        node
    }

    /// With as many neighbours of its own choice as it wants.
    fn settled() -> Node {
        let mut node = Node::new();
        node.tell(Input::Contacts((1..=OUT_WANTED as u64).map(place).collect()));
        for number in 1..=OUT_WANTED as u64 {
            let link = node.link(number, place(number), true);
            node.hears(link, Message::NeighbourReply { yes: true });
        }
        assert_eq!(node.machine.stats().views.outgoing, OUT_WANTED);
        node.outputs.clear();
        node
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        self.outputs.extend(std::iter::from_fn(|| self.machine.poll_output()));
    }

    fn hears(&mut self, link: LinkId, message: Message) {
        self.tell(Input::Message { link, message });
    }

    /// A link to somebody who has said who he is.
    fn link(&mut self, number: u64, addr: SocketAddr, outgoing: bool) -> LinkId {
        let link = self.mute(number, addr, outgoing);
        let hello =
            Hello { version: 1, port: Some(addr.port()), is_super: false, ..Hello::default() };
        self.hears(link, Message::Hello(hello));
        link
    }

    /// A link to somebody who says nothing.
    fn mute(&mut self, number: u64, addr: SocketAddr, outgoing: bool) -> LinkId {
        self.links += 1;
        let link = LinkId(self.links);
        self.tell(Input::LinkUp { link, node: name(number), addr, outgoing });
        link
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut wakes = 0;
        while let Some((at, reason)) = self.machine.poll_timeout()
            && at <= until
        {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.drain();
            wakes += 1;
            assert!(wakes < 100_000, "a busy loop: {reason:?}");
        }
        self.now = until;
    }

    fn count(&self, which: impl Fn(&Output) -> bool) -> usize {
        self.outputs.iter().filter(|output| which(output)).count()
    }

    fn dials(&self) -> usize {
        self.count(|output| matches!(output, Output::Dial { .. }))
    }

    fn closed(&self, link: LinkId) -> Option<CloseReason> {
        self.outputs.iter().find_map(|output| match output {
            Output::Close { link: other, reason } if *other == link => Some(*reason),
            _ => None,
        })
    }

    fn said(&self, link: LinkId) -> Vec<&Message> {
        let to = |output| match output {
            &Output::Send { link: other, ref message } if other == link => Some(message),
            _ => None,
        };
        self.outputs.iter().filter_map(to).collect()
    }
}

#[test]
fn who_knows_nobody_asks_the_meeting_place_ever_more_rarely() {
    let mut node = Node::new();
    let asked = |node: &Node| node.count(|output| matches!(output, Output::NeedContacts));
    assert_eq!(asked(&node), 1);
    node.run(MEET_FIRST * 2);
    assert!(asked(&node) >= 2);
    node.outputs.clear();
    node.run(Duration::from_secs(24 * 3_600));
    // Ten minutes, give or take, once it is known that nobody is there.
    assert!((100..220).contains(&asked(&node)), "{}", asked(&node));
    node.outputs.clear();
    node.tell(Input::Contacts((0..1_000).map(place).collect()));
    assert_eq!(node.dials(), OUT_WANTED);
}

#[test]
fn nobody_is_called_because_a_stranger_says_so() {
    let mut node = Node::settled();
    let link = LinkId(1);
    let mut number = 1_000;
    let mut invented = || {
        number += 1;
        Contact { node: name(number), addr: place(number) }
    };
    for _ in 0..200 {
        let contact = Box::new(invented());
        node.hears(link, Message::ForwardJoin { contact, ttl: 0 });
        let contacts = (0..8).map(|_| invented()).collect();
        node.hears(link, Message::Shuffle { token: 7, ttl: 0, contacts });
        let contacts = (0..8).map(|_| invented()).collect();
        node.hears(link, Message::ShuffleReply { token: 8, contacts });
    }
    assert_eq!(node.dials(), 0);
    // When neighbours are missing, whoever is known is called, but at no more than a rate.
    for link in 1..=OUT_WANTED as u64 {
        node.tell(Input::LinkDown { link: LinkId(link) });
    }
    node.run(Duration::from_secs(10));
    let (rate, burst) = DIALS_PER_S;
    assert!(node.dials() as u64 <= burst + 10 * rate, "{}", node.dials());
    assert!(node.dials() > 0);
}

#[test]
fn addresses_in_the_house_are_not_believed_of_strangers() {
    let mut node = Node::settled();
    let before = node.machine.stats().views.passive;
    let addr = "192.168.0.1:80".parse().unwrap();
    let contacts = vec![Contact { node: name(77), addr }];
    node.hears(LinkId(1), Message::Shuffle { token: 7, ttl: 0, contacts });
    assert_eq!(node.machine.stats().views.passive, before);
}

#[test]
fn answers_that_nobody_asked_for_are_not_heeded() {
    let mut node = Node::settled();
    let before = node.machine.stats().views.passive;
    for token in [0, 1, 2] {
        let contacts = vec![Contact { node: name(77), addr: place(77) }];
        node.hears(LinkId(1), Message::ShuffleReply { token, contacts: contacts.clone() });
        node.hears(LinkId(1), Message::ShuffleReply { token, contacts });
    }
    // What a newcomer is told, once.
    assert!(node.machine.stats().views.passive <= before + 1);
}

#[test]
fn a_flood_of_newcomers_takes_no_place_that_is_not_theirs() {
    let mut node = Node::settled();
    let mut oldest = Vec::new();
    for number in 100..1_100 {
        let link = node.link(number, place(number), false);
        node.hears(link, Message::Neighbour { urgent: true });
        oldest.extend((oldest.len() < PROTECTED).then_some(link));
        node.run(Duration::from_millis(20));
        for of_ours in 1..=OUT_WANTED as u64 {
            node.hears(LinkId(of_ours), Message::Pong);
        }
        let views = node.machine.stats().views;
        assert_eq!(views.outgoing, OUT_WANTED);
        assert!(views.incoming <= IN_MAX && views.passive <= PASSIVE_MAX, "{views:?}");
    }
    assert!(oldest.iter().all(|link| node.closed(*link).is_none()));
    // One each ten seconds gave way, and two at first.
    let displaced =
        |output: &Output| matches!(output, Output::Close { reason: CloseReason::Displaced, .. });
    assert!(node.count(displaced) <= 2 + 20 / 10 + 1, "{}", node.count(displaced));
}

#[test]
fn one_network_gets_half_of_the_places_and_gives_way() {
    let mut node = Node::settled();
    for number in 0..20 {
        let addr = SocketAddr::from(([99, 0, 0, number as u8 + 1], 7716));
        let link = node.link(100 + number, addr, false);
        node.hears(link, Message::Neighbour { urgent: true });
    }
    assert_eq!(node.machine.stats().views.incoming, IN_CROWD_MAX);
}

#[test]
fn who_does_not_speak_or_speaks_first_of_something_else_is_let_go() {
    let mut node = Node::settled();
    let mute = node.mute(100, place(100), false);
    let rude = node.mute(101, place(101), false);
    node.hears(rude, Message::Join);
    assert_eq!(node.closed(rude), Some(CloseReason::Protocol));
    node.run(GREETING_TIMEOUT);
    assert_eq!(node.closed(mute), Some(CloseReason::Idle));
    // And is let in no more.
    let again = node.mute(101, place(101), false);
    assert_eq!(node.closed(again), Some(CloseReason::Banned));
}

#[test]
fn who_is_silent_is_asked_and_then_let_go() {
    let mut node = Node::settled();
    node.tell(Input::Publish(Box::new(record(1))));
    for link in [LinkId(2), LinkId(3)] {
        node.hears(link, Message::Pong);
    }
    node.run(SILENCE_ASK);
    assert_eq!(node.said(LinkId(1)).last(), Some(&&Message::Ping));
    assert_ne!(node.said(LinkId(2)).last(), Some(&&Message::Ping));
    // Somebody else is looked for before it is given up.
    node.run(SILENCE_DOUBT + SILENCE_END / 2);
    assert_eq!(node.closed(LinkId(1)), None);
    assert!(node.count(|output| matches!(output, Output::NeedContacts)) > 0);
    node.run(SILENCE_END);
    assert_eq!(node.closed(LinkId(1)), Some(CloseReason::Silent));
}

#[test]
fn a_ping_is_answered_and_an_answer_is_not() {
    let mut node = Node::settled();
    node.hears(LinkId(1), Message::Pong);
    assert!(node.said(LinkId(1)).is_empty());
    node.hears(LinkId(1), Message::Ping);
    // Nothing is waited for after that, or two would ask each other for ever.
    node.run(Duration::from_secs(10));
    assert_eq!(node.said(LinkId(1)).first(), Some(&&Message::Pong));
    assert!(!node.said(LinkId(1)).contains(&&Message::Ping));
}

#[test]
fn records_are_checked_before_they_are_passed_on() {
    let mut node = Node::settled();
    let good = record(1);
    let mut forged = good.bytes().to_vec();
    // In the signature.
    let at = forged.len() - 20;
    forged[at] ^= 1;
    for _ in 0..3 {
        node.hears(LinkId(1), Message::Gossip { hops: 0, record: forged.clone().into() });
    }
    assert_eq!(node.closed(LinkId(1)), Some(CloseReason::Banned));
    let passed_on = |output: &Output| {
        let Output::Send { message, .. } = output else { return false };
        matches!(message, Message::Gossip { .. } | Message::IHave(_))
    };
    assert_eq!(node.count(passed_on), 0);
    node.hears(LinkId(2), Message::Gossip { hops: 0, record: good.bytes().clone() });
    assert_eq!(node.count(passed_on), 1);
    assert!(node.machine.shelf().holds(&good.id()));
}

#[test]
fn records_that_were_not_asked_for_are_not_taken() {
    let mut node = Node::settled();
    let record = record(1);
    node.hears(LinkId(1), Message::Records(vec![record.bytes().clone()]));
    assert!(!node.machine.shelf().holds(&record.id()));
    // From who is no neighbour not even along the tree.
    let link = node.link(100, place(100), false);
    node.hears(link, Message::Gossip { hops: 0, record: record.bytes().clone() });
    assert!(!node.machine.shelf().holds(&record.id()));
    node.hears(link, Message::Offer(vec![record.id()]));
    assert_eq!(node.said(link).last(), Some(&&Message::Need(vec![record.id()])));
    node.hears(link, Message::Records(vec![record.bytes().clone()]));
    assert!(node.machine.shelf().holds(&record.id()));
}

#[test]
fn two_that_are_linked_have_the_same_records() {
    let mut nodes = [Node::settled(), Node::settled()];
    for number in 0..50 {
        // One author's record replaces the one before, so authors differ.
        for (which, node) in nodes.iter_mut().enumerate() {
            let secret = [1 + number as u8 + 100 * which as u8; 32];
            let profile = Profile::new(Text::new("Ada").unwrap(), Text::default()).unwrap();
            let draft = Draft::profile(profile, UnixTime(1_800_000_000), 3_600);
            let record = draft.sign(&Keys::from_secret(&secret), &NetworkKey::public()).unwrap();
            node.tell(Input::Publish(Box::new(record)));
            node.outputs.clear();
        }
    }
    let link = LinkId(77);
    for (node, outgoing) in nodes.iter_mut().zip([true, false]) {
        node.tell(Input::LinkUp { link, node: name(200), addr: place(200), outgoing });
    }
    for _ in 0..50 {
        for from in 0..2 {
            let outputs = std::mem::take(&mut nodes[from].outputs);
            for output in outputs {
                match output {
                    Output::Send { link: at, message } if at == link => {
                        nodes[1 - from].hears(link, message);
                    }
                    _ => {}
                }
            }
        }
    }
    for node in &nodes {
        assert_eq!(node.machine.stats().records, 100);
    }
}

#[test]
fn ids_that_nobody_has_cost_their_inventor_his_link() {
    let mut node = Node::settled();
    for number in 0..100u8 {
        let announced = Announced { id: crate::records::RecordId([number; 32]), hops: 1 };
        node.hears(LinkId(1), Message::IHave(vec![announced]));
    }
    node.run(Duration::from_secs(10));
    assert_eq!(node.closed(LinkId(1)), Some(CloseReason::Banned));
    assert_eq!(node.machine.stats().missing, 0);
}

#[test]
fn who_says_too_much_is_let_go() {
    let mut node = Node::settled();
    for _ in 0..10_000 {
        node.hears(LinkId(1), Message::Ping);
    }
    assert_eq!(node.closed(LinkId(1)), Some(CloseReason::Flood));
}

#[test]
fn clocks_that_jump_make_nothing_loop() {
    let mut node = Node::settled();
    node.tell(Input::Publish(Box::new(record(1))));
    node.now = Instant::from_nanos(u64::MAX / 2);
    node.run(Duration::from_secs(1));
    node.tell(Input::Clock(UnixTime(i64::MAX)));
    node.run(Duration::from_secs(1));
    node.tell(Input::Clock(UnixTime(i64::MIN)));
    node.now = Instant::ORIGIN;
    node.run(Duration::from_secs(60));
    node.now = Instant::from_nanos(u64::MAX - 1);
    node.run(Duration::ZERO);
}

#[test]
fn both_call_each_other_and_one_link_is_left() {
    let mut node = Node::settled();
    // Our name is the greater, so that the link that the other made is kept.
    let ours = node.link(100, place(100), true);
    let theirs = node.link(100, place(100), false);
    assert_eq!((node.closed(ours), node.closed(theirs)), (Some(CloseReason::Duplicate), None));
}
