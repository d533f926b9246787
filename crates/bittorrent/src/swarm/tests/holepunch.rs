//! Peers that are brought together, and ourselves with others (BEP 55).

use super::*;
use crate::wire::{
    ExtensionHandshake, HolepunchMessage, HolepunchRefusal, PexFlags, PexMessage, PexPeer,
    UT_HOLEPUNCH, UT_PEX,
};
use std::collections::BTreeMap;

/// The numbers under which the other side wants its extensions' messages.
const THEIR_HOLEPUNCH: u8 = 9;
const THEIR_PEX: u8 = 7;
/// And we ours.
const OUR_PEX: u8 = 2;
const OUR_HOLEPUNCH: u8 = 4;

/// The port that a peer sends from, where that is not the one it listens on.
fn sends_from(n: u64) -> SocketAddr {
    SocketAddr::new(addr(n).ip(), 41_000)
}

fn over_utp() -> Table {
    let config = SwarmConfig { utp: true, listen_port: Some(7716), ..SwarmConfig::new(our_id()) };
    Table::with(config, 3, &[0])
}

impl Table {
    /// A peer that listens at `addr(n)` and sends from another port; it knows the extension or not.
    fn meet(&mut self, n: u64, transport: Transport, knows: bool) -> Vec<Output> {
        let (info_hash, peer_id) = (self.info_hash, peer_id(n));
        let handshake = Handshake { info_hash, peer_id, reserved: Handshake::RESERVED };
        let (conn, direction, addr) = (ConnId(n), Direction::Incoming, sends_from(n));
        let mut outputs =
            self.tell(Input::Connected { conn, addr, direction, transport, handshake });
        let mut extensions = BTreeMap::from([(UT_PEX.to_vec(), THEIR_PEX)]);
        if knows {
            extensions.insert(UT_HOLEPUNCH.to_vec(), THEIR_HOLEPUNCH);
        }
        let handshake = ExtensionHandshake {
            extensions,
            port: Some(super::addr(n).port()),
            your_ip: Some(our_ip()),
            ..ExtensionHandshake::default()
        };
        let payload = handshake.encode();
        outputs.extend(self.hear(n, Message::Extended { id: 0, payload }));
        outputs
    }

    fn hear_punch(&mut self, n: u64, message: HolepunchMessage) -> Vec<Output> {
        let payload = message.encode();
        self.hear(n, Message::Extended { id: OUR_HOLEPUNCH, payload })
    }

    /// The `n`th peer names whoever is at `addr` as one that knows the extension.
    fn name(&mut self, n: u64, addr: SocketAddr) -> Vec<Output> {
        let added = vec![PexPeer { addr, flags: PexFlags::HOLEPUNCH }];
        let payload = PexMessage { added, dropped: Vec::new() }.encode();
        self.hear(n, Message::Extended { id: OUR_PEX, payload })
    }
}

fn our_ip() -> IpAddr {
    IpAddr::from([10, 9, 9, 9])
}

/// What is said of holes to a peer.
fn told(outputs: &[Output], n: u64) -> Vec<HolepunchMessage> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Extended { id: THEIR_HOLEPUNCH, payload } => {
                HolepunchMessage::parse(payload).ok()
            }
            _ => None,
        })
        .collect()
}

fn punches(outputs: &[Output]) -> Vec<SocketAddr> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Punch { addr } => Some(*addr),
            _ => None,
        })
        .collect()
}

fn refusal(addr: SocketAddr, why: HolepunchRefusal) -> [HolepunchMessage; 1] {
    [HolepunchMessage::Error { addr, why }]
}

#[test]
fn both_are_told_where_the_other_one_sends_from() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    table.meet(2, Transport::Utp, true);
    // By where it listens, as peer exchange names it, and by where it sends from.
    for named in [addr(2), sends_from(2)] {
        let outputs = table.hear_punch(1, HolepunchMessage::Rendezvous(named));
        assert_eq!(told(&outputs, 1), [HolepunchMessage::Connect(sends_from(2))]);
        assert_eq!(told(&outputs, 2), [HolepunchMessage::Connect(sends_from(1))]);
    }
    // Of one that came over TCP nobody knows where its datagrams come from.
    table.meet(3, Transport::Tcp, true);
    let outputs = table.hear_punch(3, HolepunchMessage::Rendezvous(addr(2)));
    assert_eq!(told(&outputs, 2), [HolepunchMessage::Connect(addr(3))]);
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    table.meet(2, Transport::Utp, false);
    let mut ask = |addr: SocketAddr| {
        let outputs = table.hear_punch(1, HolepunchMessage::Rendezvous(addr));
        assert!(punches(&outputs).is_empty());
        told(&outputs, 1)
    };
    let nowhere = SocketAddr::from(([10, 1, 0, 2], 0));
    assert_eq!(ask(nowhere), refusal(nowhere, HolepunchRefusal::NoSuchPeer));
    assert_eq!(ask(addr(9)), refusal(addr(9), HolepunchRefusal::NotConnected));
    assert_eq!(ask(addr(1)), refusal(addr(1), HolepunchRefusal::NotConnected));
    assert_eq!(ask(addr(2)), refusal(addr(2), HolepunchRefusal::NoSupport));
    let ours = SocketAddr::new(our_ip(), 7716);
    assert_eq!(ask(ours), refusal(ours, HolepunchRefusal::NoSelf));
}

#[test]
fn who_asks_too_often_is_not_heard_and_who_is_asked_for_too_often_is_left_alone() {
    let mut table = over_utp();
    let all = HOLEPUNCH_BURST / HOLEPUNCH_COST;
    for n in 1..=3 {
        table.meet(n, Transport::Utp, true);
    }
    let ask = HolepunchMessage::Rendezvous(addr(2));
    let mut passed_on = 0;
    for _ in 0..all * 3 {
        passed_on += told(&table.hear_punch(1, ask), 2).len() as u64;
    }
    assert_eq!(passed_on, all);
    // The one that was asked for has been told enough for now, whoever asks.
    assert_eq!(told(&table.hear_punch(3, ask), 2), []);
    table.wait(HOLEPUNCH_COST);
    assert_eq!(told(&table.hear_punch(3, ask), 2).len(), 1);
}

#[test]
fn neighbours_and_strangers_are_not_brought_together() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    let (info_hash, peer_id) = (table.info_hash, peer_id(2));
    let handshake = Handshake { info_hash, peer_id, reserved: Handshake::RESERVED };
    let far = SocketAddr::from(([203, 0, 113, 5], 7716));
    let (conn, direction, transport) = (ConnId(2), Direction::Incoming, Transport::Utp);
    table.tell(Input::Connected { conn, addr: far, direction, transport, handshake });
    let extensions = BTreeMap::from([(UT_HOLEPUNCH.to_vec(), THEIR_HOLEPUNCH)]);
    let payload = ExtensionHandshake { extensions, ..ExtensionHandshake::default() }.encode();
    table.hear(2, Message::Extended { id: 0, payload });
    let outputs = table.hear_punch(1, HolepunchMessage::Rendezvous(far));
    assert_eq!(told(&outputs, 1), refusal(far, HolepunchRefusal::NoSuchPeer));
    assert_eq!(told(&outputs, 2), []);
    // Nor is a stranger believed who names a neighbour of ours.
    let outputs = table.hear_punch(2, HolepunchMessage::Connect(addr(7)));
    assert_eq!(punches(&outputs), []);
}

#[test]
fn whom_nobody_reaches_is_asked_for_at_those_who_named_it() {
    let mut table = over_utp();
    for n in [1, 2, 3] {
        table.meet(n, Transport::Utp, n != 3);
        table.name(n, addr(8));
    }
    assert_eq!(table.swarm.candidates.connecting(), 1);
    // The last one does not know the extension itself.
    let outputs = table.tell(Input::ConnectFailed { addr: addr(8) });
    assert_eq!(told(&outputs, 2), [HolepunchMessage::Rendezvous(addr(8))]);
    assert_eq!(told(&outputs, 1), []);
    let why = HolepunchRefusal::NotConnected;
    let outputs = table.hear_punch(2, HolepunchMessage::Error { addr: addr(8), why });
    assert_eq!(told(&outputs, 1), [HolepunchMessage::Rendezvous(addr(8))]);
    // It sends from another port than the one it listens on.
    let outputs = table.hear_punch(1, HolepunchMessage::Connect(sends_from(8)));
    assert_eq!(punches(&outputs), [sends_from(8)]);
    let outputs = table.tell(Input::ConnectFailed { addr: sends_from(8) });
    assert_eq!(told(&outputs, 1), []);
    assert_eq!(table.swarm.candidates.connecting(), 0);
}

#[test]
fn who_was_called_in_vain_is_asked_for_once_somebody_knows_it() {
    let mut table = over_utp();
    for n in 1..=4 {
        table.meet(n, Transport::Utp, n != 4);
    }
    // The DHT names it first.
    table.tell(Input::PeersFound { source: PeerSource::Dht, peers: vec![addr(8)] });
    assert_eq!(told(&table.name(1, addr(8)), 1), [], "it is being called");
    let outputs = table.tell(Input::ConnectFailed { addr: addr(8) });
    assert_eq!(told(&outputs, 1), [HolepunchMessage::Rendezvous(addr(8))]);
    let why = HolepunchRefusal::NotConnected;
    let error = HolepunchMessage::Error { addr: addr(8), why };
    assert_eq!(told(&table.hear_punch(1, error), 1), []);
    // There is nobody left to ask, until another one names it; who does not know the extension cannot help.
    assert_eq!(told(&table.name(4, addr(8)), 4), []);
    let ask = [HolepunchMessage::Rendezvous(addr(8))];
    assert_eq!(told(&table.name(2, addr(8)), 2), ask);
    // Once a pair, and one at a time.
    assert_eq!(told(&table.name(2, addr(8)), 2), []);
    assert_eq!(told(&table.name(1, addr(8)), 1), []);
    assert_eq!(told(&table.name(3, addr(8)), 3), []);
    let outputs = table.hear_punch(2, HolepunchMessage::Connect(addr(8)));
    assert_eq!(punches(&outputs), [addr(8)], "its turn had not come");
    let outputs = table.tell(Input::ConnectFailed { addr: addr(8) });
    assert_eq!(told(&outputs, 3), ask);
    let error = HolepunchMessage::Error { addr: addr(8), why };
    table.hear_punch(3, error);
    for n in 1..=3 {
        table.wait(60);
        assert_eq!(told(&table.name(n, addr(8)), n), []);
    }
}

#[test]
fn nobody_is_asked_for_all_that_was_called_in_vain() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    let peers: Vec<_> = (100..400).map(addr).collect();
    table.tell(Input::PeersFound { source: PeerSource::Dht, peers: peers.clone() });
    for addr in &peers {
        table.tell(Input::ConnectFailed { addr: *addr });
    }
    let added = peers.iter().map(|addr| PexPeer { addr: *addr, flags: PexFlags::HOLEPUNCH });
    let payload = PexMessage { added: added.collect(), dropped: Vec::new() }.encode();
    let outputs = table.hear(1, Message::Extended { id: OUR_PEX, payload });
    assert_eq!(told(&outputs, 1).len(), PUNCHING_MAX);
    assert!(table.swarm.can_be_introduced(peers[20]));
    // It leaves, and nothing is kept.
    table.tell(Input::Disconnected { conn: ConnId(1) });
    assert!(!table.swarm.can_be_introduced(peers[20]));
}

#[test]
fn who_was_reached_through_a_hole_is_not_said_to_be_reachable() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    let outputs = table.hear_punch(1, HolepunchMessage::Connect(addr(8)));
    assert_eq!(punches(&outputs), [addr(8)]);
    // Told again while it is at it, it does nothing more.
    assert_eq!(punches(&table.hear_punch(1, HolepunchMessage::Connect(addr(8)))), []);
    let (info_hash, peer_id) = (table.info_hash, peer_id(8));
    let handshake = Handshake { info_hash, peer_id, reserved: Handshake::RESERVED };
    let (conn, direction, transport) = (ConnId(8), Direction::Outgoing, Transport::Utp);
    table.tell(Input::Connected { conn, addr: addr(8), direction, transport, handshake });
    let outputs = table.wait(10);
    let news = said(&outputs, 1).into_iter().find_map(|message| match message {
        Message::Extended { id: THEIR_PEX, payload } => PexMessage::parse(payload).ok(),
        _ => None,
    });
    let named = news.expect("somebody has come").added;
    assert_eq!(named.iter().map(|peer| peer.addr).collect::<Vec<_>>(), [addr(8)]);
    assert!(named[0].flags.has(PexFlags::UTP) && !named[0].flags.has(PexFlags::OUTGOING));
}

#[test]
fn nobody_can_send_us_to_many_places() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    let mut sent = 0;
    for n in 0..1000 {
        let outputs = table.hear_punch(1, HolepunchMessage::Connect(addr(100 + n)));
        for addr in punches(&outputs) {
            sent += 1;
            table.tell(Input::ConnectFailed { addr });
        }
    }
    assert_eq!(sent, HOLEPUNCH_BURST / HOLEPUNCH_COST);
    // And to no more than a few at once.
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    let told = (0..1000).map(|n| HolepunchMessage::Connect(addr(100 + n)));
    let sent: usize = told.map(|message| punches(&table.hear_punch(1, message)).len()).sum();
    assert_eq!(sent, PUNCHING_MAX);
}

#[test]
fn without_utp_none_of_it_is_offered_or_done() {
    let mut table = Table::new(3, &[0]);
    let outputs = table.meet(1, Transport::Tcp, true);
    let offered = said(&outputs, 1).into_iter().any(|message| match message {
        Message::Extended { id: 0, payload } => {
            ExtensionHandshake::parse(payload).expect("ours").id(UT_HOLEPUNCH).is_some()
        }
        _ => false,
    });
    assert!(!offered);
    assert_eq!(punches(&table.hear_punch(1, HolepunchMessage::Connect(addr(8)))), []);
    table.name(1, addr(8));
    assert_eq!(told(&table.tell(Input::ConnectFailed { addr: addr(8) }), 1), []);
}

#[test]
fn what_a_peer_calls_us_is_passed_on_once() {
    let mut table = over_utp();
    let told = |outputs: &[Output]| -> Vec<(IpAddr, IpAddr)> {
        let mut told = Vec::new();
        for output in outputs {
            if let Output::ExternalAddress { by, ip } = output {
                told.push((*by, *ip));
            }
        }
        told
    };
    assert_eq!(told(&table.meet(1, Transport::Tcp, true)), [(addr(1).ip(), our_ip())]);
    let again = ExtensionHandshake { your_ip: Some(our_ip()), ..ExtensionHandshake::default() };
    let payload = again.encode();
    assert_eq!(told(&table.hear(1, Message::Extended { id: 0, payload })), []);
}

#[test]
fn an_applications_call_stays_while_somebody_between_helps() {
    let application = Some("al_test");
    let config = SwarmConfig {
        utp: true,
        listen_port: Some(7716),
        application,
        ..SwarmConfig::new(our_id())
    };
    let failures = |outputs: &[Output]| {
        let is_one = |output: &&Output| matches!(output, Output::Application(ApplicationEvent::NotReached { addr: at }) if *at == addr(8));
        outputs.iter().filter(is_one).count()
    };
    for (gets_through, from) in
        [(true, Direction::Outgoing), (true, Direction::Incoming), (false, Direction::Outgoing)]
    {
        let mut table = Table::with(config.clone(), 3, &[0]);
        table.meet(1, Transport::Utp, true);
        table.name(1, addr(8));
        table.tell(Input::Application(ApplicationWish::Call { addr: addr(8) }));
        let outputs = table.tell(Input::ConnectFailed { addr: addr(8) });
        assert_eq!(told(&outputs, 1), [HolepunchMessage::Rendezvous(addr(8))]);
        assert_eq!(failures(&outputs), 0);
        let hole = sends_from(8);
        let outputs = table.hear_punch(1, HolepunchMessage::Connect(hole));
        assert_eq!((punches(&outputs), failures(&outputs)), (vec![hole], 0));
        if !gets_through {
            let outputs = table.tell(Input::ConnectFailed { addr: hole });
            assert_eq!(failures(&outputs), 1);
            continue;
        }
        let (info_hash, peer_id) = (table.info_hash, peer_id(8));
        let handshake = Handshake { info_hash, peer_id, reserved: Handshake::RESERVED };
        let (conn, transport) = (ConnId(8), Transport::Utp);
        table.tell(Input::Connected { conn, addr: hole, direction: from, transport, handshake });
        let extensions = BTreeMap::from([(b"al_test".to_vec(), 3)]);
        let handshake = ExtensionHandshake { extensions, ..ExtensionHandshake::default() };
        let outputs = table.hear(8, Message::Extended { id: 0, payload: handshake.encode() });
        let met = outputs.iter().find_map(|output| match output {
            Output::Application(ApplicationEvent::Met { addr, called, direction, .. }) => {
                Some((*addr, *called, *direction))
            }
            _ => None,
        });
        assert_eq!(met, Some((addr(8), true, from)));
    }
    // Nobody has to wait for one who does not answer.
    let mut table = Table::with(config, 3, &[0]);
    table.meet(1, Transport::Utp, true);
    table.name(1, addr(8));
    table.tell(Input::Application(ApplicationWish::Call { addr: addr(8) }));
    table.tell(Input::ConnectFailed { addr: addr(8) });
    table.wait(31);
    let outputs = table.tell(Input::Application(ApplicationWish::Call { addr: addr(9) }));
    assert_eq!(failures(&outputs), 1);
}

#[test]
fn an_application_asks_those_who_speak_its_extension_though_they_have_named_nobody() {
    let config = SwarmConfig {
        utp: true,
        listen_port: Some(7716),
        application: Some("al_test"),
        ..SwarmConfig::new(our_id())
    };
    let mut table = Table::with(config, 3, &[0]);
    for n in 1..=9 {
        table.meet(n, Transport::Utp, n != 9);
        if n > 4 {
            let extensions = BTreeMap::from([(b"al_test".to_vec(), 3)]);
            let handshake = ExtensionHandshake { extensions, ..ExtensionHandshake::default() };
            table.hear(n, Message::Extended { id: 0, payload: handshake.encode() });
        }
    }
    // Each call asks some of the four that may know, one after the other, and then it has come to nothing.
    let addr = addr(20);
    for _ in 0..3 {
        table.tell(Input::Application(ApplicationWish::Call { addr }));
        assert!(table.swarm.can_be_introduced(addr));
        let mut outputs = table.tell(Input::ConnectFailed { addr });
        for _ in 0..3 {
            let asked: Vec<u64> = (1..=9).filter(|n| !told(&outputs, *n).is_empty()).collect();
            let [n] = asked[..] else { panic!("{asked:?} were asked") };
            assert!((5..=8).contains(&n), "{n} was asked");
            let why = HolepunchRefusal::NotConnected;
            outputs = table.hear_punch(n, HolepunchMessage::Error { addr, why });
        }
        let is_failure = |output: &Output| matches!(output, Output::Application(ApplicationEvent::NotReached { addr: at }) if *at == addr);
        assert!(outputs.iter().any(is_failure), "{outputs:?}");
        assert!(!table.swarm.can_be_introduced(addr), "nothing is kept");
    }
}

#[test]
fn who_has_come_through_the_hole_first_is_called_no_longer() {
    let mut table = over_utp();
    table.meet(1, Transport::Utp, true);
    table.name(1, addr(8));
    table.tell(Input::ConnectFailed { addr: addr(8) });
    let hole = sends_from(8);
    assert_eq!(punches(&table.hear_punch(1, HolepunchMessage::Connect(hole))), [hole]);
    assert!(!table.swarm.is_connected_to(hole));
    table.meet(8, Transport::Utp, true);
    assert!(table.swarm.is_connected_to(hole) && !table.swarm.is_connected_to(addr(8)));
    // So nobody shakes hands on what comes of our own call.
    let outputs = table.tell(Input::ConnectFailed { addr: hole });
    assert_eq!(told(&outputs, 1), []);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Disconnect { .. })));
    assert_eq!(table.swarm.candidates.connecting(), 0);
    // When it has gone it can be met in the same way again.
    table.tell(Input::Disconnected { conn: ConnId(8) });
    assert_eq!(punches(&table.hear_punch(1, HolepunchMessage::Connect(hole))), [hole]);
    // Who sends from there over TCP may send from another port over uTP.
    table.meet(7, Transport::Tcp, true);
    assert!(!table.swarm.is_connected_to(sends_from(7)));
}
