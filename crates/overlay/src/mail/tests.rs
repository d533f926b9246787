//! Mail between machines: to receivers that are there and that are not, past carriers that drop, lie, repeat
//! and flood.

use super::carrier::Caps;
use super::envelope::Token;
use super::io::Told;
use super::limits::{
    CARRIED_BYTES, COPIES, LIFETIME_MAX_S, SIZES, TAG_MAILS_MAX, WAYS_OF_LINK_MAX,
};
use super::*;
use crate::io::{Input, Output};
use crate::machine::{Config as NodeConfig, Overlay};
use althing_base::Machine as _;
use althing_base::time::Duration;
use std::net::SocketAddr;

const EPOCH: i64 = 1_800_000_000;

fn network() -> NetworkKey {
    NetworkKey::derive("test")
}

fn name(at: usize) -> NodeId {
    NodeId([at as u8 + 1; 32])
}

/// What a node does that is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Vice {
    #[default]
    None,
    /// It says that it carries, and throws away; asked, it knows nothing.
    Drops,
    /// It has no disk: what it should write down is never written.
    NoDisk,
}

struct Node {
    machine: Option<Overlay>,
    vice: Vice,
    carried: Vec<Envelope>,
    inbox: Vec<MailId>,
    states: Vec<(MailId, State)>,
}

/// Some nodes and the links between them; what is said is heard at once.
struct Net {
    now: Instant,
    nodes: Vec<Node>,
    links: Vec<(usize, usize)>,
    said: VecDeque<(usize, LinkId, Message)>,
    /// Of all that was said on links.
    heard: Vec<Message>,
    tokens: BTreeMap<MailId, Token>,
    /// How often a node was started: no two runs draw the same numbers.
    starts: u64,
}

impl Net {
    fn new(count: usize) -> Net {
        let mut net = Net {
            now: Instant::from_nanos(1_000_000_000),
            nodes: Vec::new(),
            links: Vec::new(),
            said: VecDeque::new(),
            heard: Vec::new(),
            tokens: BTreeMap::new(),
            starts: 0,
        };
        for _ in 0..count {
            let (vice, machine) = (Vice::None, None);
            let (carried, inbox, states) = Default::default();
            net.nodes.push(Node { machine, vice, carried, inbox, states });
        }
        net
    }

    /// A node begins, with what it had on disk.
    fn start(&mut self, at: usize) {
        self.starts += 1;
        let mut config = NodeConfig::new(Seed::from_u64(self.starts), name(at), network());
        let caps = Caps { bytes: CARRIED_BYTES, work_bits: 0 };
        config.mail = Config { is_home: true, caps };
        let mut machine = Overlay::new(self.now, config);
        while machine.poll_output().is_some() {}
        self.nodes[at].machine = Some(machine);
        self.input(at, Input::Clock(self.unix()));
        let carried = self.nodes[at].carried.clone();
        for envelope in carried {
            self.told(at, Told::Restored(envelope));
        }
        for id in self.nodes[at].inbox.clone() {
            let receipt = self.receipt(at, id);
            self.told(at, Told::Received(receipt));
        }
    }

    fn all(count: usize) -> Net {
        let mut net = Net::new(count);
        (0..count).for_each(|at| net.start(at));
        net
    }

    fn stop(&mut self, at: usize) {
        self.nodes[at].machine = None;
        for number in 0..self.links.len() {
            let (one, two) = self.links[number];
            if one == at || two == at {
                let link = LinkId(number as u64);
                self.input(if one == at { two } else { one }, Input::LinkDown { link });
                self.links[number] = (usize::MAX, usize::MAX);
            }
        }
    }

    fn connect(&mut self, one: usize, two: usize) {
        let link = LinkId(self.links.len() as u64);
        self.links.push((one, two));
        let addr = |at: usize| SocketAddr::from(([10, at as u8, 0, 1], 7716));
        for (at, other, outgoing) in [(two, one, false), (one, two, true)] {
            self.input(at, Input::LinkUp { link, node: name(other), addr: addr(other), outgoing });
        }
    }

    fn unix(&self) -> UnixTime {
        UnixTime(EPOCH + self.now.as_nanos() as i64 / 1_000_000_000)
    }

    fn told(&mut self, at: usize, told: Told) {
        self.input(at, Input::Mail(Box::new(told)));
    }

    fn receipt(&self, at: usize, id: MailId) -> Receipt {
        let tag = Tag::of(&network(), &name(at), self.unix());
        let expires = UnixTime(EPOCH + LIFETIME_MAX_S);
        Receipt { id, tag, token: self.tokens[&id], expires }
    }

    fn input(&mut self, at: usize, input: Input) {
        let Some(machine) = self.nodes.get_mut(at).and_then(|node| node.machine.as_mut()) else {
            return;
        };
        machine.handle_input(self.now, input);
        self.drain(at);
    }

    fn drain(&mut self, at: usize) {
        let mut wishes = Vec::new();
        while let Some(output) = self.nodes[at].machine.as_mut().and_then(Overlay::poll_output) {
            match output {
                Output::Send { link, message } => {
                    let (one, two) = self.links[link.0 as usize];
                    let to = if one == at { two } else { one };
                    self.heard.push(message.clone());
                    self.said.push_back((to, link, message));
                }
                Output::Mail(wish) => wishes.push(*wish),
                _ => {}
            }
        }
        for wish in wishes {
            self.wish(at, wish);
        }
    }

    fn wish(&mut self, at: usize, wish: Wish) {
        let vice = self.nodes[at].vice;
        match wish {
            Wish::Arrived(_) | Wish::Carry(_) if vice == Vice::NoDisk => {}
            Wish::Arrived(envelope) => {
                let id = envelope.id();
                assert!(!self.nodes[at].inbox.contains(&id), "it comes twice");
                self.nodes[at].inbox.push(id);
                let receipt = self.receipt(at, id);
                self.told(at, Told::Kept(receipt));
            }
            Wish::Carry(envelope) => {
                let id = envelope.id();
                self.nodes[at].carried.push(envelope);
                self.told(at, Told::Carried(id));
            }
            Wish::LetGo(id) => self.nodes[at].carried.retain(|envelope| envelope.id() != id),
            Wish::Remember(_) => {}
            Wish::State(id, state) => self.nodes[at].states.push((id, state)),
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            while let Some((to, link, message)) = self.said.pop_front() {
                let drops = self.nodes.get(to).is_some_and(|node| node.vice == Vice::Drops);
                match &message {
                    // It takes and says so, and that is all.
                    Message::MailDeposit(deposit) if drops => {
                        let way = deposit.way;
                        let said = MailSaid::Taken(deposit.envelope.id());
                        let taken = Message::Mail { way, holder: 1, said: Box::new(said) };
                        let (one, two) = self.links[link.0 as usize];
                        self.said.push_back((if one == to { two } else { one }, link, taken));
                    }
                    Message::MailAsk(_) | Message::Mail { .. } if drops => {}
                    _ => self.input(to, Input::Message { link, message }),
                }
            }
            let next = |node: &Node| node.machine.as_ref()?.poll_timeout().map(|(at, _)| at);
            let due =
                self.nodes.iter().enumerate().filter_map(|(at, node)| Some((next(node)?, at)));
            let Some((due, at)) = due.min().filter(|(due, _)| *due <= until) else { break };
            self.now = self.now.max(due);
            if let Some(machine) = &mut self.nodes[at].machine {
                machine.handle_timeout(self.now);
            }
            self.drain(at);
        }
        self.now = until;
        let unix = self.unix();
        (0..self.nodes.len()).for_each(|at| self.input(at, Input::Clock(unix)));
    }

    fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    fn envelope(&mut self, to: usize, number: u64) -> Envelope {
        let mut token = [3; 32];
        token[..8].copy_from_slice(&number.to_be_bytes());
        let token = Token(token);
        let sealed = vec![number as u8; SIZES[0] + 48];
        let tag = Tag::of(&network(), &name(to), self.unix());
        let expires = UnixTime(EPOCH + LIFETIME_MAX_S);
        let made = Envelope::around(tag, token.commitment(), expires, &sealed).unwrap();
        self.tokens.insert(made.id(), token);
        made
    }

    fn send(&mut self, from: usize, to: usize, number: u64) -> Envelope {
        let envelope = self.envelope(to, number);
        self.told(from, Told::Send(envelope.clone()));
        envelope
    }

    fn state(&self, at: usize, id: MailId) -> Option<State> {
        self.nodes[at].states.iter().rev().find(|(of, _)| *of == id).map(|(_, state)| *state)
    }

    fn is_delivered(&self, at: usize, id: MailId) -> bool {
        matches!(self.state(at, id), Some(State::Delivered(_)))
    }

    fn carried(&self) -> usize {
        let machines = self.nodes.iter().filter_map(|node| node.machine.as_ref());
        machines.map(|machine| machine.stats().mail.carried).sum()
    }

    fn deposits(&self) -> usize {
        self.heard.iter().filter(|said| matches!(said, Message::MailDeposit(_))).count()
    }
}

#[test]
fn who_is_there_gets_it_at_once_and_nobody_keeps_it() {
    let mut net = Net::all(6);
    (0..5).for_each(|at| net.connect(at, at + 1));
    net.seconds(20);
    let mail = net.send(0, 5, 1);
    net.seconds(3);
    assert_eq!(net.nodes[5].inbox, [mail.id()]);
    assert!(net.is_delivered(0, mail.id()));
    assert_eq!((net.deposits(), net.carried()), (0, 0));
    // And nobody is asked any further.
    let asked = |net: &Net| {
        net.heard
            .iter()
            .filter(|said| matches!(said, Message::MailAsk(ask) if ask.tags.len() == 1))
            .count()
    };
    let so_far = asked(&net);
    net.seconds(60);
    assert_eq!(asked(&net), so_far);
}

#[test]
fn who_is_not_there_gets_it_though_the_sender_is_gone_when_he_comes() {
    let mut net = Net::all(3);
    net.stop(2);
    net.connect(0, 1);
    net.seconds(20);
    let mail = net.send(0, 2, 1);
    net.seconds(30);
    assert_eq!(net.state(0, mail.id()), Some(State::Held(1)));
    assert_eq!(net.carried(), 1);
    net.stop(0);
    net.start(2);
    net.connect(2, 1);
    net.seconds(30);
    assert_eq!(net.nodes[2].inbox, [mail.id()]);
    assert_eq!(net.carried(), 0, "it was received");
    net.stop(2);
    net.start(0);
    net.connect(0, 1);
    net.told(0, Told::Send(mail.clone()));
    net.seconds(60);
    assert!(net.is_delivered(0, mail.id()));
}

#[test]
fn nothing_is_said_that_is_not_on_disk() {
    let mut net = Net::all(3);
    net.nodes[1].vice = Vice::NoDisk;
    net.nodes[2].vice = Vice::NoDisk;
    net.connect(0, 1);
    net.seconds(20);
    let mail = net.send(0, 2, 1);
    net.seconds(30);
    assert_eq!(net.state(0, mail.id()), None);
    net.connect(0, 2);
    net.seconds(120);
    let receipts = |said: &&Message| {
        let Message::Mail { said, .. } = said else { return false };
        matches!(**said, MailSaid::Receipt(..) | MailSaid::Taken(_))
    };
    assert_eq!(net.heard.iter().filter(receipts).count(), 0);
    // It was written after all.
    let receipt = net.receipt(2, mail.id());
    net.told(2, Told::Kept(receipt));
    net.seconds(5);
    assert!(net.is_delivered(0, mail.id()));
}

#[test]
fn one_honest_carrier_is_enough() {
    for seed in 0..5 {
        let mut net = Net::all(9);
        // Seven drop whatever they are given; one, by which the receiver comes, does not.
        (1..7).for_each(|at| net.nodes[at].vice = Vice::Drops);
        net.stop(8);
        (1..8).for_each(|at| net.connect(0, at));
        net.seconds(20);
        let mail = net.send(0, 8, seed);
        net.seconds(30);
        assert_eq!(net.nodes[7].carried.len(), 1);
        net.stop(0);
        net.start(8);
        (1..8).for_each(|at| net.connect(8, at));
        net.seconds(60);
        assert_eq!(net.nodes[8].inbox, [mail.id()]);
    }
}

#[test]
fn what_is_played_again_comes_to_nothing() {
    let mut net = Net::all(3);
    net.connect(0, 1);
    net.connect(1, 2);
    net.seconds(20);
    let mail = net.send(0, 2, 1);
    net.seconds(5);
    assert_eq!(net.nodes[2].inbox.len(), 1);
    // To a carrier that knows, to the receiver himself, and after both have been started again.
    for again in 0..3u64 {
        for (to, link) in [(1, LinkId(0)), (2, LinkId(1))] {
            let deposit = MailDeposit { way: 100 + again, steps: 0, envelope: mail.clone() };
            net.input(
                to,
                Input::Message { link, message: Message::MailDeposit(Box::new(deposit)) },
            );
        }
        net.seconds(30);
        assert_eq!(net.nodes[2].inbox.len(), 1);
    }
    net.stop(2);
    net.start(2);
    net.connect(2, 1);
    net.told(1, Told::Restored(mail.clone()));
    net.seconds(400);
    assert_eq!(net.nodes[2].inbox.len(), 1);
}

#[test]
fn who_floods_is_not_carried() {
    let mut net = Net::all(2);
    net.connect(0, 1);
    net.seconds(20);
    // To the second as if from the first, as fast as it can.
    for number in 0..4_000 {
        let to = 2 + number as usize % 100;
        let envelope = net.envelope(to, number);
        let deposit = MailDeposit { way: number, steps: 0, envelope };
        let message = Message::MailDeposit(Box::new(deposit));
        net.input(1, Input::Message { link: LinkId(0), message });
    }
    let stats = net.nodes[1].machine.as_ref().unwrap().stats().mail;
    // Some of its ways are of questions.
    let most = WAYS_OF_LINK_MAX;
    assert!((most - 8..=most).contains(&stats.carried), "{stats:?}");
    assert!(stats.carried_bytes <= LINK_BYTES_PER_S.1 as usize && stats.dropped > 3_000);
    // Another link is as free as before.
    net.start(0);
    let mut third = Net::all(3);
    third.connect(0, 1);
    third.connect(2, 1);
    third.seconds(20);
    for number in 0..500 {
        let envelope = third.envelope(9, number);
        let deposit = MailDeposit { way: number, steps: 0, envelope };
        let message = Message::MailDeposit(Box::new(deposit));
        third.input(1, Input::Message { link: LinkId(0), message });
    }
    let carried = |net: &Net| net.nodes[1].machine.as_ref().unwrap().stats().mail.carried;
    assert_eq!(carried(&third), TAG_MAILS_MAX);
    let envelope = third.envelope(8, 1_000);
    let deposit = MailDeposit { way: 1_000, steps: 0, envelope };
    let message = Message::MailDeposit(Box::new(deposit));
    third.input(1, Input::Message { link: LinkId(1), message });
    assert_eq!(carried(&third), TAG_MAILS_MAX + 1);
}

#[test]
fn who_says_falsely_that_it_was_received_is_not_believed() {
    let mut net = Net::all(3);
    net.stop(2);
    net.connect(0, 1);
    net.seconds(20);
    let mail = net.send(0, 2, 1);
    net.seconds(30);
    // The neighbour answers each question with a receipt of its own making.
    let asked: Vec<u64> = net
        .heard
        .iter()
        .filter_map(|said| match said {
            Message::MailAsk(ask) => Some(ask.way),
            _ => None,
        })
        .collect();
    for way in asked {
        let received = vec![(mail.id(), Token([9; 32]))];
        let have = MailHave { way, holder: 77, is_home: true, held: Vec::new(), received };
        net.input(
            0,
            Input::Message { link: LinkId(0), message: Message::MailHave(Box::new(have)) },
        );
    }
    net.seconds(5);
    assert_eq!(net.state(0, mail.id()), Some(State::Held(1)));
}

#[test]
fn mail_expires_everywhere() {
    let mut net = Net::all(3);
    net.stop(2);
    net.connect(0, 1);
    net.seconds(20);
    let mail = net.send(0, 2, 1);
    net.seconds(30);
    assert_eq!(net.carried(), 1);
    let end = UnixTime(EPOCH + LIFETIME_MAX_S);
    (0..2).for_each(|at| net.input(at, Input::Clock(end)));
    assert_eq!((net.carried(), net.nodes[1].carried.len()), (0, 0));
    assert_eq!(net.state(0, mail.id()), Some(State::Expired));
}

#[test]
fn copies_are_spread_and_few_are_made_up_for() {
    // A circle with chords.
    let count = 40;
    let mut net = Net::all(count + 1);
    net.stop(count);
    for at in 0..count {
        net.connect(at, (at + 1) % count);
        net.connect(at, (at + 7) % count);
    }
    net.seconds(60);
    let mail = net.send(0, count, 1);
    net.seconds(60);
    let carriers: Vec<usize> = (0..count).filter(|at| !net.nodes[*at].carried.is_empty()).collect();
    assert!((COPIES / 2..=COPIES).contains(&carriers.len()), "{carriers:?}");
    // The sender and all carriers but one are gone for good: that one finds others.
    net.stop(0);
    for at in &carriers[1..] {
        net.stop(*at);
        net.nodes[*at].carried.clear();
    }
    net.seconds(10 * 3_600);
    let carriers = (0..count).filter(|at| !net.nodes[*at].carried.is_empty()).count();
    assert!(carriers > limits::COPIES_MIN / 2, "{carriers}");
    net.start(count);
    let some = (0..count).find(|at| net.nodes[*at].machine.is_some()).unwrap();
    net.connect(count, some);
    net.seconds(60);
    assert_eq!(net.nodes[count].inbox, [mail.id()]);
}
/// Nodes that come, go, forget and are linked at random, two of five of which drop what they are given: no mail
/// comes twice (which is asserted wherever one comes), and none is lost of which somebody honest has a copy.
#[test]
fn whatever_happens_no_mail_comes_twice_and_none_is_lost_that_somebody_has() {
    const NODES: usize = 10;
    for seed in 0..12 {
        let mut rng = Rng::new(Seed::from_u64(seed));
        let mut net = Net::all(NODES);
        for node in &mut net.nodes {
            node.vice = if rng.chance(0.4) { Vice::Drops } else { Vice::None };
        }
        let mut sent: Vec<(usize, usize, Envelope)> = Vec::new();
        for number in 0..60 {
            let (one, two) = (rng.index(NODES), rng.index(NODES));
            let is_up = |net: &Net, at: usize| net.nodes[at].machine.is_some();
            match rng.below(6) {
                0 if is_up(&net, one) => net.stop(one),
                0 | 1 if !is_up(&net, one) => {
                    net.start(one);
                    let own = sent.iter().filter(|(from, ..)| *from == one);
                    let own: Vec<_> = own.map(|(.., envelope)| envelope.clone()).collect();
                    own.into_iter().for_each(|envelope| net.told(one, Told::Send(envelope)));
                }
                2 if one != two && is_up(&net, one) && net.nodes[two].vice == Vice::None => {
                    let envelope = net.send(one, two, number);
                    sent.push((one, two, envelope));
                }
                _ if one != two && is_up(&net, one) && is_up(&net, two) => net.connect(one, two),
                _ => {}
            }
            net.seconds(rng.below(100));
        }
        // All come back, carriers and receivers, but no sender sends again.
        let has = |net: &Net, id: MailId| {
            let honest = net.nodes.iter().filter(|node| node.vice == Vice::None);
            honest.flat_map(|node| &node.carried).any(|envelope| envelope.id() == id)
        };
        let held: Vec<_> = sent.iter().filter(|(.., mail)| has(&net, mail.id())).collect();
        (0..NODES).for_each(|at| net.stop(at));
        (0..NODES).for_each(|at| net.start(at));
        let honest: Vec<usize> =
            (0..NODES).filter(|at| net.nodes[*at].vice == Vice::None).collect();
        for pair in honest.windows(2) {
            net.connect(pair[0], pair[1]);
        }
        // Those that drop are in between, too, but not alone.
        for at in (0..NODES).filter(|at| !honest.contains(at)) {
            for to in [honest[0], honest[honest.len() / 2]] {
                net.connect(at, to);
            }
        }
        net.seconds(900);
        for (_, to, mail) in held {
            assert!(net.nodes[*to].inbox.contains(&mail.id()), "seed {seed}: it is lost");
        }
        assert!(sent.iter().any(|(_, to, mail)| net.nodes[*to].inbox.contains(&mail.id())));
    }
}
