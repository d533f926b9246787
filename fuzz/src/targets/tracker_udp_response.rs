//! Packets of UDP trackers: what is read is written and read the same again, and the client
//! machine believes none that it did not ask for.

use althing_base::{Instant, Machine, Seed, Sha1Digest};
use althing_bittorrent::tracker::Family;
use althing_bittorrent::tracker::udp::{
    Client, Input, Output, Request, RequestId, Response, RetryPolicy,
};
use bytes::Bytes;
use std::net::SocketAddr;

/// Reads any bytes as an answer, then lets a client that waits for one have it.
pub fn run(data: &[u8]) {
    for family in [Family::V4, Family::V6] {
        if let Some(response) = Response::parse(data, family) {
            // An IPv4 address in IPv6 clothing is written as what it is.
            let mapped = |peer: &SocketAddr| (family == Family::V6) == peer.is_ipv4();
            let mixed =
                matches!(&response, Response::Announce { peers, .. } if peers.iter().any(mapped));
            if !mixed {
                assert_eq!(Response::parse(&response.encode(), family).as_ref(), Some(&response));
            }
        }
    }
    client(data);
}

fn client(data: &[u8]) {
    let tracker = SocketAddr::from(([192, 0, 2, 1], 6969));
    let mut client = Client::new(RetryPolicy::default(), Seed::from_u64(1));
    let (id, info_hashes) = (RequestId(1), vec![Sha1Digest::ZERO]);
    client.handle_input(Instant::ORIGIN, Input::Scrape { id, tracker, info_hashes });
    let transaction = match client.poll_output() {
        Some(Output::Send { packet, .. }) => Request::parse(&packet),
        other => panic!("{other:?}"),
    };
    let Some(Request::Connect { transaction }) = transaction else { panic!("no connect") };
    let packet = Bytes::copy_from_slice(data);
    client.handle_input(Instant::ORIGIN, Input::Packet { from: tracker, packet });
    let repeats = data.get(4..8) == Some(&transaction.to_be_bytes());
    while let Some(output) = client.poll_output() {
        assert!(repeats, "{output:?}");
    }
    // With the right transaction a connect goes on and an error ends it; all else means nothing.
    let mut data = data.to_vec();
    if let Some(field) = data.get_mut(4..8) {
        field.copy_from_slice(&transaction.to_be_bytes());
    }
    let packet = Bytes::from(data);
    client.handle_input(Instant::ORIGIN, Input::Packet { from: tracker, packet });
    while client.poll_output().is_some() {}
    while let Some((at, _)) = client.poll_timeout() {
        client.handle_timeout(at);
        while client.poll_output().is_some() {}
    }
    assert_eq!(client.requests_pending(), 0);
}
