//! An extension that the swarm only carries.

use super::*;
use crate::wire::{ExtensionHandshake, PexFlags, PexMessage, PexPeer};
use std::collections::BTreeMap;

const NAME: &str = "al_test";
/// The number under which the other side wants its messages, and we ours.
const THEIRS: u8 = 9;
const OURS: u8 = 5;
const OUR_PEX: u8 = 2;

/// A swarm that has everything, as its peers will.
fn carrier() -> Table {
    let config = SwarmConfig { application: Some(NAME), ..SwarmConfig::new(our_id()) };
    Table::with(config, 2, &[0, 1])
}

fn wish(table: &mut Table, wish: ApplicationWish) -> Vec<Output> {
    table.tell(Input::Application(wish))
}

fn events(outputs: &[Output]) -> Vec<String> {
    let event = |output: &Output| match output {
        Output::Application(event) => Some(match event {
            ApplicationEvent::Met { conn, direction, called, .. } => {
                format!("met {} {direction:?} {called}", conn.0)
            }
            ApplicationEvent::Said { conn, payload } => format!("said {} {payload:?}", conn.0),
            ApplicationEvent::Gone { conn } => format!("gone {}", conn.0),
            ApplicationEvent::NotReached { addr } => format!("not reached {addr}"),
            ApplicationEvent::Found { peers } => format!("found {peers:?}"),
        }),
        _ => None,
    };
    outputs.iter().filter_map(event).collect()
}

impl Table {
    /// A peer that has everything connects, or answers; it says whether it knows the extension.
    fn arrive(&mut self, n: u64, direction: Direction, knows: bool) -> Vec<Output> {
        let (info_hash, peer_id) = (self.info_hash, peer_id(n));
        let handshake = Handshake { info_hash, peer_id, reserved: Handshake::RESERVED };
        let (conn, transport, addr) = (ConnId(n), Transport::Tcp, addr(n));
        let mut outputs =
            self.tell(Input::Connected { conn, addr, direction, transport, handshake });
        outputs.extend(self.hear(n, Message::HaveAll));
        let mut extensions = BTreeMap::new();
        if knows {
            extensions.insert(NAME.as_bytes().to_vec(), THEIRS);
        }
        let handshake =
            ExtensionHandshake { extensions, port: Some(7000), ..ExtensionHandshake::default() };
        outputs.extend(self.hear(n, Message::Extended { id: 0, payload: handshake.encode() }));
        outputs
    }
}

#[test]
fn who_speaks_it_stays_though_there_is_nothing_to_exchange() {
    let mut table = carrier();
    let outputs = table.arrive(1, Direction::Incoming, true);
    assert_eq!(events(&outputs), ["met 1 Incoming false"]);
    let told = said(&outputs, 1).into_iter().find_map(|message| match message {
        Message::Extended { id: 0, payload } => ExtensionHandshake::parse(payload).ok(),
        _ => None,
    });
    assert_eq!(told.expect("we say what we know").id(NAME.as_bytes()), Some(OURS));
    let outputs = table.arrive(2, Direction::Incoming, false);
    assert_eq!(dropped(&outputs, 2), Some(DisconnectReason::NothingToExchange));
    let outputs = table.wait(60);
    assert_eq!((dropped(&outputs, 1), events(&outputs)), (None, Vec::new()));
    // Both say and hear.
    let payload = Bytes::from_static(b"hello");
    let outputs =
        wish(&mut table, ApplicationWish::Say { conn: ConnId(1), payload: payload.clone() });
    let expected = Message::Extended { id: THEIRS, payload: payload.clone() };
    assert_eq!(said(&outputs, 1), [&expected]);
    let outputs = table.hear(1, Message::Extended { id: OURS, payload });
    assert_eq!(events(&outputs), ["said 1 b\"hello\""]);
    // It is parted with once.
    let outputs = wish(&mut table, ApplicationWish::Part { conn: ConnId(1) });
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::Parted));
    assert_eq!(events(&outputs), ["gone 1"]);
    assert!(events(&table.tell(Input::Disconnected { conn: ConnId(1) })).is_empty());
}

#[test]
fn nobody_is_called_but_whom_the_application_names() {
    let mut table = carrier();
    let connects = |outputs: &[Output]| {
        outputs.iter().filter(|output| matches!(output, Output::Connect { .. })).count()
    };
    let peers = vec![addr(1), addr(2)];
    let found = Input::PeersFound { source: PeerSource::Tracker, peers: peers.clone() };
    let outputs = table.tell(found);
    assert_eq!((connects(&outputs), events(&outputs)), (0, vec![format!("found {peers:?}")]));
    table.arrive(3, Direction::Incoming, true);
    let added = vec![PexPeer { addr: addr(4), flags: PexFlags::SEED }];
    let payload = PexMessage { added, dropped: Vec::new() }.encode();
    let outputs = table.hear(3, Message::Extended { id: OUR_PEX, payload });
    assert_eq!(events(&outputs), [format!("found {:?}", [addr(4)])]);
    assert_eq!(connects(&outputs) + connects(&table.wait(300)), 0);
    // The three ends of a call.
    for n in [1, 2, 4] {
        let outputs = wish(&mut table, ApplicationWish::Call { addr: addr(n) });
        assert_eq!((connects(&outputs), events(&outputs).len()), (1, 0), "{n}");
    }
    let outputs = table.arrive(1, Direction::Outgoing, true);
    assert_eq!(events(&outputs), ["met 1 Outgoing true"]);
    let outputs = table.arrive(2, Direction::Outgoing, false);
    assert_eq!(events(&outputs), [format!("not reached {}", addr(2))]);
    let outputs = table.tell(Input::ConnectFailed { addr: addr(4) });
    assert_eq!(events(&outputs), [format!("not reached {}", addr(4))]);
    // Who is there already is not called again.
    let outputs = wish(&mut table, ApplicationWish::Call { addr: addr(1) });
    assert_eq!((connects(&outputs), events(&outputs).len()), (0, 1));
    assert_eq!(events(&table.tell(Input::Disconnected { conn: ConnId(1) })), ["gone 1"]);
}

#[test]
fn what_a_peer_may_say_has_bounds() {
    let mut table = carrier();
    let long = Bytes::from(vec![0; APPLICATION_BYTES_MAX]);
    let message = |payload: &Bytes| Message::Extended { id: OURS, payload: payload.clone() };
    table.arrive(1, Direction::Incoming, true);
    let most = APPLICATION_BURST / (64 + APPLICATION_BYTES_MAX as u64);
    for _ in 0..most {
        assert_eq!(dropped(&table.hear(1, message(&long)), 1), None);
    }
    let outputs = table.hear(1, message(&long));
    assert!(matches!(dropped(&outputs, 1), Some(DisconnectReason::Flood(_))));
    assert_eq!(events(&outputs), ["gone 1"]);
    table.arrive(2, Direction::Incoming, true);
    let outputs = table.hear(2, message(&Bytes::from(vec![0; APPLICATION_BYTES_MAX + 1])));
    assert!(matches!(dropped(&outputs, 2), Some(DisconnectReason::ProtocolViolation(_))));
    // Nor do we say more than others take.
    table.arrive(3, Direction::Incoming, true);
    let payload = Bytes::from(vec![0; APPLICATION_BYTES_MAX + 1]);
    let outputs = wish(&mut table, ApplicationWish::Say { conn: ConnId(3), payload });
    assert!(said(&outputs, 3).is_empty());
}

#[test]
fn without_an_application_nothing_of_it_is_there() {
    let mut table = Table::new(2, &[0, 1]);
    let outputs = table.arrive(1, Direction::Incoming, true);
    assert!(events(&outputs).is_empty());
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::NothingToExchange));
    let outputs = wish(&mut table, ApplicationWish::Call { addr: addr(2) });
    assert!(outputs.is_empty());
}

#[test]
fn strangers_do_not_take_the_places_of_those_who_speak_it() {
    let config =
        SwarmConfig { application: Some(NAME), connections_max: 2, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, 2, &[0, 1]);
    table.arrive(1, Direction::Incoming, true);
    table.connect(2);
    table.now = table.now + IDLE_GRACE + Duration::from_secs(1);
    // The idle one gives way, and the other stays.
    let outputs = table.connect(3);
    assert_eq!(dropped(&outputs, 1), None);
    assert_eq!(dropped(&outputs, 2), Some(DisconnectReason::TooManyConnections));
}
