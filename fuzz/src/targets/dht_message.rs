//! Messages of the DHT: bounded, written back as they were read, and borne by a node whatever they say.

use althing_base::{Instant, Machine, Seed};
use althing_dht::limits::{ANSWER_BYTES_MAX, NODES_READ_MAX, VALUES_READ_MAX};
use althing_dht::wire::{Body, Item, Message, ParseError, Query};
use althing_dht::{Config, Dht, Input, Output};
use bytes::Bytes;
use std::net::SocketAddr;

/// Reads any bytes as a message, and has a node take it.
pub fn run(data: &[u8]) {
    let message = Message::parse(data);
    let from = SocketAddr::from(([192, 0, 2, 1], 6881));
    let input = match &message {
        Ok(message) => Input::Message { from, message: message.clone() },
        Err(ParseError::BadQuery { transaction, refusal }) => {
            let (transaction, refusal) = (transaction.clone(), refusal.clone());
            Input::BadQuery { from, transaction, refusal }
        }
        Err(_) => return,
    };
    let mut dht = Dht::new(Instant::ORIGIN, Config::new(Seed::from_u64(1)));
    dht.handle_input(Instant::ORIGIN, input);
    while let Some(output) = dht.poll_output() {
        if let Output::Send { message, .. } = output {
            let bytes = message.encode();
            assert!(bytes.len() <= ANSWER_BYTES_MAX, "{} bytes", bytes.len());
            assert!(Message::parse(&bytes).is_ok(), "{}", bytes.escape_ascii());
        }
    }
    let Ok(mut message) = message else { return };
    match &mut message.body {
        Body::Response(response) => {
            assert!(response.nodes.len() <= 2 * NODES_READ_MAX);
            assert!(response.peers.len() <= VALUES_READ_MAX);
            // The families are written apart; an IPv4 address in IPv6's clothes comes back as itself.
            response.nodes.sort_by_key(|node| node.addr.is_ipv6());
            if response.nodes.iter().filter(|node| node.addr.is_ipv4()).count() > NODES_READ_MAX {
                return;
            }
            // Who asked knows the salt, so it is not written; a mutable item has its own number.
            if let Some(Item::Mutable(item)) = &mut response.item {
                item.salt = Bytes::new();
                response.seq = Some(item.seq);
            }
        }
        // Their texts are cut, and what is no UTF-8 in them is replaced.
        Body::Error(_) => return,
        // Written as `find_node`.
        Body::Query { query, .. } if matches!(**query, Query::Unknown { .. }) => return,
        Body::Query { .. } => {}
    }
    let bytes = message.encode();
    match Message::parse(&bytes) {
        Err(ParseError::TooLong(_)) => {}
        again => assert_eq!(again, Ok(message), "{}", bytes.escape_ascii()),
    }
}
