//! Messages of the overlay: what is read is written the same again, and a node that has a neighbour bears
//! whatever he says and answers in messages that can be read.

use althing_base::{Instant, Machine, Seed, UnixTime};
use althing_overlay::io::{Input, LinkId, Output};
use althing_overlay::limits::MESSAGE_BYTES_MAX;
use althing_overlay::machine::{Config, Overlay};
use althing_overlay::mail;
use althing_overlay::mail::carrier::Caps;
use althing_overlay::mail::io::{Told, Wish};
use althing_overlay::wire::{Hello, Message};
use althing_overlay::{NetworkKey, NodeId};
use std::net::SocketAddr;

const LINK: LinkId = LinkId(1);

/// Reads any bytes as a message, and has a node hear it twice.
pub fn run(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    assert_eq!(message.encoded_len(), message.encode().len());
    if !matches!(message, Message::Unknown(_)) {
        assert_eq!(message.encode(), data, "{message:?}");
    }
    let mut config = Config::new(Seed::from_u64(1), NodeId([1; 32]), NetworkKey::public());
    config.mail = mail::Config { is_home: true, caps: Caps { bytes: 100_000, work_bits: 0 } };
    let now = Instant::ORIGIN;
    let mut node = Overlay::new(now, config);
    let hello = Hello { version: 1, port: Some(7716), ..Hello::default() };
    let addr = SocketAddr::from(([192, 0, 2, 1], 7716));
    let mut inputs = vec![
        Input::Clock(UnixTime(1_800_000_000)),
        Input::LinkUp { link: LINK, node: NodeId([2; 32]), addr, outgoing: false },
    ];
    let mut said = vec![Message::Hello(hello), Message::Join, message.clone(), message];
    // Also as the very first word.
    if data.last().is_some_and(|last| last % 2 == 1) {
        said.remove(0);
    }
    inputs.extend(said.into_iter().map(|message| Input::Message { link: LINK, message }));
    drain(now, &mut node);
    for input in inputs {
        node.handle_input(now, input);
        drain(now, &mut node);
    }
    while let Some((at, _)) = node.poll_timeout() {
        if at > now + std::time::Duration::from_secs(120) {
            break;
        }
        node.handle_timeout(at);
        drain(at, &mut node);
    }
}

fn drain(now: Instant, node: &mut Overlay) {
    let mut carried = Vec::new();
    while let Some(output) = node.poll_output() {
        if let Output::Mail(wish) = &output
            && let Wish::Carry(envelope) = &**wish
        {
            carried.push(envelope.id());
        }
        if let Output::Send { message, .. } = output {
            let bytes = message.encode();
            assert!(bytes.len() <= MESSAGE_BYTES_MAX, "{} bytes", bytes.len());
            assert_eq!(Message::parse(&bytes), Ok(message));
        }
    }
    for id in carried {
        node.handle_input(now, Input::Mail(Box::new(Told::Carried(id))));
        drain(now, node);
    }
}
