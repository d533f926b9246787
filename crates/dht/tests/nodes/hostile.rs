//! What a node does with datagrams that mean no good.

use crate::world::{Kind, World, public};
use althing_base::{Instant, Machine, Seed};
use althing_dht::limits::{REFLECTION_MAX, STORED_ITEMS_MAX, STORED_TORRENTS_MAX};
use althing_dht::wire::{AnnouncedPort, Body, Item, Message, Mutable, Query, Response, Want};
use althing_dht::{Config, Dht, Find, Goal, Input, NodeId, Output};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

fn question(n: u32, query: Query) -> Message {
    let from = NodeId(std::array::from_fn(|at| (n >> (at % 4 * 8)) as u8));
    let body = Body::Query { from, read_only: false, query: Box::new(query) };
    Message { transaction: Bytes::from_static(b"aa"), version: None, body }
}

fn answers(dht: &mut Dht) -> Vec<(SocketAddr, Message)> {
    std::iter::from_fn(|| dht.poll_output())
        .filter_map(|output| match output {
            Output::Send { to, message } => Some((to, message)),
            _ => None,
        })
        .filter(|(_, message)| !matches!(message.body, Body::Query { .. }))
        .collect()
}

fn ask(dht: &mut Dht, now: Instant, from: SocketAddr, query: Query) -> Option<Message> {
    dht.handle_input(now, Input::Message { from, message: question(from.port().into(), query) });
    answers(dht).into_iter().next().map(|(_, message)| message)
}

fn token(dht: &mut Dht, now: Instant, from: SocketAddr, info_hash: NodeId) -> Bytes {
    let want = Want::default();
    let query = Query::GetPeers { info_hash, want, no_seeds: false, scrape: false };
    let answer = ask(dht, now, from, query).expect("it answers");
    let Body::Response(response) = answer.body else { panic!("{answer:?}") };
    response.token.expect("whoever asks may store")
}

fn announce(info_hash: NodeId, token: Bytes) -> Query {
    Query::AnnouncePeer { info_hash, port: AnnouncedPort::Given(1), token, seed: false }
}

fn is_refused(answer: &Option<Message>) -> bool {
    matches!(answer, Some(Message { body: Body::Error(_), .. }))
}

#[test]
fn tokens_are_for_one_address_and_not_for_long() {
    let mut dht = Dht::new(Instant::ORIGIN, Config::new(Seed::from_u64(1)));
    let at = |secs| Instant::ORIGIN + Duration::from_secs(secs);
    let (alice, mallory, hash) = (public(1), public(2), NodeId([7; 20]));
    let token = token(&mut dht, at(0), alice, hash);
    assert!(is_refused(&ask(&mut dht, at(1), mallory, announce(hash, token.clone()))));
    assert!(is_refused(&ask(&mut dht, at(1), alice, announce(hash, Bytes::new()))));
    assert_eq!(dht.stats().peers, 0);
    assert!(!is_refused(&ask(&mut dht, at(1), alice, announce(hash, token.clone()))));
    assert_eq!(dht.stats().peers, 1);
    // Replayed later, by whoever has got its address, it is worth nothing.
    assert!(is_refused(&ask(&mut dht, at(700), alice, announce(hash, token))));
}

#[test]
fn answers_from_elsewhere_and_answers_to_nothing_are_not_taken() {
    let mut dht = Dht::new(Instant::ORIGIN, Config::new(Seed::from_u64(1)));
    let now = Instant::ORIGIN;
    dht.handle_input(now, Input::Contacts(vec![public(1)]));
    let Some(Output::Send { message, .. }) = dht.poll_output() else { panic!("it asks") };
    let answer = |transaction: Bytes| {
        let body = Body::Response(Box::new(Response::new(NodeId([3; 20]))));
        Message { transaction, version: None, body }
    };
    for n in 0..10_000u32 {
        let transaction = Bytes::copy_from_slice(&n.to_be_bytes());
        dht.handle_input(now, Input::Message { from: public(1), message: answer(transaction) });
    }
    let message_from = |from| Input::Message { from, message: answer(message.transaction.clone()) };
    dht.handle_input(now, message_from(public(2)));
    dht.handle_input(now, message_from(SocketAddr::new(public(1).ip(), 9)));
    assert_eq!(dht.stats().nodes, [0, 0]);
    dht.handle_input(now, message_from(public(1)));
    assert_eq!(dht.stats().nodes, [1, 0]);
}

/// The largest answers that a stranger can get, for each byte of his question.
#[test]
fn what_is_reflected_is_bounded() {
    let mut world = World::new(1, 100);
    let target = NodeId([0x33; 20]);
    let now = world.now;
    let Kind::Dht(dht) = &mut world.nodes[0].kind else { panic!("all are") };
    for n in 0..300 {
        let token = token(dht, now, public(n), target);
        ask(dht, now, public(n), announce(target, token));
    }
    let value = Bytes::from(format!("996:{}", "x".repeat(996)));
    let item = Item::Mutable(Mutable::sign(&[1; 32], Bytes::new(), 1, value));
    let key = item.target();
    let put = token(dht, now, public(1), key);
    ask(dht, now, public(1), Query::Put { token: put, item, cas: None });
    let want = Want { v4: true, v6: true };
    let scrape = |scrape| Query::GetPeers { info_hash: target, want, no_seeds: false, scrape };
    let questions = [
        Query::Ping,
        Query::FindNode { target, want },
        scrape(false),
        scrape(true),
        Query::SampleInfohashes { target, want },
        Query::Get { target, newer_than: None, want },
    ];
    for (n, query) in questions.into_iter().enumerate() {
        let bytes_in = question(1, query.clone()).encode().len();
        let answer = ask(dht, now, public(1_000 + n as u32), query).expect("one is let through");
        let bytes_out = answer.encode().len();
        assert!(bytes_out <= REFLECTION_MAX * bytes_in, "{bytes_out} for {bytes_in}: {answer:?}");
    }
    // Items come whole, so they are rationed.
    let get = Query::Get { target: key, newer_than: None, want };
    let bytes_in = question(1, get.clone()).encode().len();
    let mut whole = 0;
    for n in 0..1_000 {
        let Some(answer) = ask(dht, now, public(2_000 + n), get.clone()) else { continue };
        let bytes_out = answer.encode().len();
        whole += usize::from(bytes_out > REFLECTION_MAX * bytes_in);
        assert!(bytes_out <= 16 * bytes_in, "{bytes_out} for {bytes_in}");
    }
    assert!((1..=40).contains(&whole), "{whole}");
}

#[test]
fn a_flood_changes_nothing_and_takes_no_memory() {
    let mut world = World::new(2, 60);
    let (victim, friend) = (0, 1);
    let (from, to) = (world.nodes[friend].addr, world.nodes[victim].addr);
    let before = world.dht(victim).save();
    let start = world.now;
    let mut friendly = 0;
    let mut out = 0usize;
    let mut rng = althing_base::Rng::new(Seed::from_u64(4));
    let Kind::Dht(dht) = &mut world.nodes[victim].kind else { panic!("all are") };
    for n in 0..40_000u32 {
        let now = start + Duration::from_micros(u64::from(n) * 50);
        let sender = public(if n % 2 == 0 { n } else { 7 });
        let info_hash = NodeId::random(&mut rng);
        let want = Want { v4: true, v6: true };
        let token = Bytes::from_static(b"whatever");
        let query = match n % 5 {
            0 => Query::Ping,
            1 => announce(info_hash, token),
            2 => Query::GetPeers { info_hash, want, no_seeds: false, scrape: true },
            3 => Query::Put {
                token,
                item: Item::Immutable { value: Bytes::from_static(b"i1e") },
                cas: None,
            },
            _ => Query::FindNode { target: info_hash, want },
        };
        dht.handle_input(now, Input::Message { from: sender, message: question(n, query) });
        let answer = answers(dht);
        out += answer.iter().map(|(_, message)| message.encode().len()).sum::<usize>();
        if n % 8_000 == 0 {
            let query = Query::FindNode { target: info_hash, want };
            friendly += u32::from(ask(dht, now, from, query).is_some());
        }
    }
    assert_eq!(friendly, 5, "a known node is always answered");
    // Two seconds of strangers' answers, and the burst.
    assert!(out < 3 * 2_000 * 700, "{out} bytes");
    let stats = dht.stats();
    assert_eq!((stats.peers, stats.items), (0, 0));
    assert!(stats.questions < 32, "{stats:?}");
    let after = dht.save();
    let kept = before.nodes.iter().filter(|node| after.nodes.contains(node)).count();
    assert_eq!(kept, before.nodes.len(), "nobody lost a place");
    let _ = to;
}

#[test]
fn with_tokens_in_order_stores_are_bounded_all_the_same() {
    let now = Instant::ORIGIN;
    let mut dht = Dht::new(now, Config::new(Seed::from_u64(1)));
    let mut rng = althing_base::Rng::new(Seed::from_u64(4));
    for n in 0..20_000u32 {
        let now = now + Duration::from_millis(u64::from(n) * 2);
        let hash = NodeId::random(&mut rng);
        let token = token(&mut dht, now, public(n), hash);
        ask(&mut dht, now, public(n), announce(hash, token.clone()));
        let item = Item::Immutable { value: Bytes::from(format!("i{n}e")) };
        ask(&mut dht, now, public(n), Query::Put { token, item, cas: None });
    }
    let stats = dht.stats();
    assert_eq!((stats.torrents, stats.items), (STORED_TORRENTS_MAX, STORED_ITEMS_MAX));
}

#[test]
fn liars_who_name_only_each_other_do_not_lead_lookups_astray() {
    let mut world = World::new(3, 200);
    let key = world.random_id();
    world.crowd(key, 200);
    let (found, cost) = world.search(3, Goal::Nodes(key));
    let Some(Find::Nodes(nodes)) = found.first() else { panic!("{found:?}") };
    let honest = nodes.iter().filter(|node| node.id.fits(node.addr.ip())).count();
    assert!(honest >= 4, "{honest} of {}", nodes.len());
    assert!(cost.asked <= 60, "{cost:?}");
}
